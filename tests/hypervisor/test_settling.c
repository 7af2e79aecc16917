/* SPDX-License-Identifier: GPL-2.0-only */
/* A device model that cannot say ready counts as ready two seconds after its last new range. */
#include "fixture.h"

#define SETTLE MILLISECS(2000)

static uint32_t is_ready(unsigned int index)
{
    return machine_status(&machine, index, BRIDGE_STATUS_STATE);
}

static int map(unsigned int id, unsigned int index, uint64_t offset)
{
    const uint64_t first = machine_bridge(&machine, index)->memory.base + offset;

    return server_map(&machine.guest, id, XEN_DMOP_IO_RANGE_MEMORY, first, first + 0xfff);
}

static void two_seconds_after_the_last_range(void **state)
{
    const unsigned int id = machine_server(&machine);
    unsigned int i;

    (void)state;
    time_advance(10 * SETTLE);
    assert_int_equal(is_ready(0), 0); /* a server alone is nothing */
    for (i = 0; i < 5; i++) {
        assert_int_equal(map(id, 0, i * 0x1000), 0);
        time_advance(SETTLE - 1);
        assert_int_equal(is_ready(0), 0);
    }
    time_advance(1);
    assert_int_equal(is_ready(0), 1);
    assert_int_equal(is_ready(1), 0);
    assert_int_equal(machine.pci->bridge[0].server, id);
    assert_int_equal(machine_status(&machine, 0, BRIDGE_STATUS_GENERATION), 1);
    assert_int_equal(map(id, 0, 0x10000), 0);
    time_advance(2 * SETTLE);
    assert_int_equal(machine_status(&machine, 0, BRIDGE_STATUS_GENERATION), 1);
}

static void releases_a_held_guest(void **state)
{
    const unsigned int id = machine_server(&machine);

    (void)state;
    assert_int_equal(guest_read(&machine, machine_bridge(&machine, 0)->ecam.base, 4).state, IO_RETRY);
    time_advance(SECONDS(1));
    assert_int_equal(map(id, 0, 0), 0);
    time_advance(SETTLE - 1);
    assert_int_equal(machine.guest.pause_count, 1);
    time_advance(1);
    assert_int_equal(machine.guest.pause_count, 0);
    assert_int_equal(console.lines, 0);
}

static void saying_ready_settles_it(void **state)
{
    const unsigned int id = machine_server(&machine);

    (void)state;
    assert_int_equal(map(id, 0, 0), 0);
    assert_int_equal(machine_ready(&machine, 0, id, 1), 0);
    assert_int_equal(machine_ready(&machine, 0, id, 0), 0);
    time_advance(2 * SETTLE);
    assert_int_equal(is_ready(0), 0);
}

static void a_server_that_goes_does_not_settle(void **state)
{
    const unsigned int id = machine_server(&machine);

    (void)state;
    assert_int_equal(map(id, 0, 0), 0);
    assert_int_equal(server_destroy(&machine.guest, id), 0);
    time_advance(2 * SETTLE);
    assert_int_equal(is_ready(0), 0);
}

static void another_server_that_goes_changes_nothing(void **state)
{
    const unsigned int id = machine_server(&machine), other = machine_server(&machine);

    (void)state;
    assert_int_equal(map(id, 0, 0), 0);
    assert_int_equal(server_destroy(&machine.guest, other), 0);
    time_advance(SETTLE);
    assert_int_equal(is_ready(0), 1);
}

static void another_server_that_is_not_ready_changes_nothing(void **state)
{
    const unsigned int id = machine_server(&machine), other = machine_server(&machine);

    (void)state;
    assert_int_equal(map(id, 0, 0), 0);
    assert_int_equal(machine_ready(&machine, 0, other, 0), 0);
    time_advance(SETTLE);
    assert_int_equal(is_ready(0), 1);
}

static void each_bridge_by_itself(void **state)
{
    const unsigned int id = machine_server(&machine);
    unsigned int i;

    (void)state;
    assert_int_equal(map(id, 1, 0), 0);
    for (i = 0; i < 5; i++) { /* a busy neighbour does not put it off */
        time_advance(SETTLE / 2);
        assert_int_equal(is_ready(1), i >= 1);
        assert_int_equal(map(id, 0, i * 0x1000), 0);
    }
    assert_int_equal(is_ready(0), 0);
    time_advance(SETTLE);
    assert_int_equal(is_ready(0), 1);
}

static void gone(struct hypervisor_lock *lock)
{
    if (lock == &machine.pci->lock) {
        locks_before_take = NULL;
        assert_int_equal(server_destroy(&machine.guest, 0), 0);
    }
}

static void a_server_that_goes_while_it_settles(void **state)
{
    const unsigned int id = machine_server(&machine);

    (void)state;
    assert_int_equal(id, 0);
    assert_int_equal(map(id, 0, 0), 0);
    time_advance(SETTLE - 1);
    locks_before_take = gone; /* when the timer has expired, but has not got the lock yet */
    time_advance(1);
    assert_null(locks_before_take);
    assert_int_equal(is_ready(0), 0);
}

static void ranges_elsewhere_do_not_count(void **state)
{
    const unsigned int id = machine_server(&machine);
    struct ioreq_pci *pci = machine.pci;

    (void)state;
    assert_int_equal(server_map(&machine.guest, id, XEN_DMOP_IO_RANGE_MEMORY, 0x1000, 0x1fff), 0);
    machine.guest.arch.ioreq_pci = NULL;
    assert_int_equal(map(id, 0, 0), 0);
    machine.guest.arch.ioreq_pci = pci;
    time_advance(2 * SETTLE);
    assert_int_equal(is_ready(0), 0);
    assert_int_equal(is_ready(1), 0);
}

static void of_two_servers_the_later_one_counts(void **state)
{
    const unsigned int first = machine_server(&machine), second = machine_server(&machine);

    (void)state;
    assert_int_equal(map(first, 0, 0), 0);
    time_advance(SETTLE / 2);
    assert_int_equal(map(second, 0, 0x1000), 0);
    time_advance(SETTLE);
    assert_int_equal(is_ready(0), 1);
    assert_int_equal(machine.pci->bridge[0].server, second);
    assert_int_equal(server_destroy(&machine.guest, first), 0);
    assert_int_equal(is_ready(0), 1);
    assert_int_equal(server_destroy(&machine.guest, second), 0);
    assert_int_equal(is_ready(0), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(two_seconds_after_the_last_range),
        TEST_WITH_HOLD(releases_a_held_guest),
        TEST(saying_ready_settles_it),
        TEST(a_server_that_goes_does_not_settle),
        TEST(another_server_that_goes_changes_nothing),
        TEST(another_server_that_is_not_ready_changes_nothing),
        TEST(each_bridge_by_itself),
        TEST(a_server_that_goes_while_it_settles),
        TEST(ranges_elsewhere_do_not_count),
        TEST(of_two_servers_the_later_one_counts),
    };

    return RUN(tests);
}
