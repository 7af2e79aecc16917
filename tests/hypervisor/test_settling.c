/* SPDX-License-Identifier: GPL-2.0-only */
/* A device model that cannot say ready counts as ready two seconds after its last new range. */
#include "fixture.h"

#define SETTLE MILLISECS(2000)

static uint32_t is_ready(unsigned int index)
{
    return machine_status(&machine, index, BRIDGE_STATUS_STATE);
}

/* What a timer asks for is done by a tasklet soon after. */
static void pass(s_time_t time)
{
    tasklets_run();
    time_advance(time);
    tasklets_run();
}

static int map(unsigned int id, unsigned int index, uint64_t offset)
{
    const uint64_t first = machine_bridge(&machine, index)->memory.base + offset;

    return server_map(&machine.guest, id, XEN_DMOP_IO_RANGE_MEMORY, first, first + 0xfff);
}

static void two_seconds_after_the_last_range(void **state)
{
    const unsigned int id = machine_function_server(&machine);
    unsigned int i;

    (void)state;
    pass(10 * SETTLE);
    assert_int_equal(is_ready(0), 0); /* a server alone is nothing */
    for (i = 0; i < 5; i++) {
        assert_int_equal(map(id, 0, i * 0x1000), 0);
        pass(SETTLE - 1);
        assert_int_equal(is_ready(0), 0);
    }
    pass(1);
    assert_int_equal(is_ready(0), 1);
    assert_int_equal(is_ready(1), 0);
    assert_int_equal(machine_status(&machine, 0, BRIDGE_STATUS_GENERATION), 1);
    assert_int_equal(map(id, 0, 0x10000), 0);
    pass(2 * SETTLE);
    assert_int_equal(machine_status(&machine, 0, BRIDGE_STATUS_GENERATION), 1);
}

static void releases_a_held_guest(void **state)
{
    const unsigned int id = machine_function_server(&machine);

    (void)state;
    assert_int_equal(guest_read(&machine, machine_bridge(&machine, 0)->ecam.base, 4).state, IO_RETRY);
    pass(SECONDS(1));
    assert_int_equal(map(id, 0, 0), 0);
    pass(SETTLE - 1);
    assert_int_equal(machine.guest.pause_count, 1);
    pass(1);
    assert_int_equal(machine.guest.pause_count, 0);
    assert_int_equal(console.lines, 0);
}

static void saying_ready_settles_it(void **state)
{
    const unsigned int id = machine_function_server(&machine);

    (void)state;
    assert_int_equal(map(id, 0, 0), 0);
    assert_int_equal(machine_ready(&machine, 0, id, 1), 0);
    assert_int_equal(machine_ready(&machine, 0, id, 0), 0);
    pass(2 * SETTLE);
    assert_int_equal(is_ready(0), 0);
}

static void a_server_that_goes_does_not_settle(void **state)
{
    const unsigned int id = machine_function_server(&machine);

    (void)state;
    assert_int_equal(map(id, 0, 0), 0);
    assert_int_equal(server_destroy(&machine.guest, id), 0);
    pass(2 * SETTLE);
    assert_int_equal(is_ready(0), 0);
}

static void another_server_that_goes_changes_nothing(void **state)
{
    const unsigned int id = machine_function_server(&machine), other = machine_function_server(&machine);

    (void)state;
    assert_int_equal(map(id, 0, 0), 0);
    assert_int_equal(server_destroy(&machine.guest, other), 0);
    pass(SETTLE);
    assert_int_equal(is_ready(0), 1);
}

static void another_server_that_is_not_ready_changes_nothing(void **state)
{
    const unsigned int id = machine_function_server(&machine), other = machine_function_server(&machine);

    (void)state;
    assert_int_equal(map(id, 0, 0), 0);
    assert_int_equal(machine_ready(&machine, 0, other, 0), 0);
    pass(SETTLE);
    assert_int_equal(is_ready(0), 1);
}

static void each_bridge_by_itself(void **state)
{
    const unsigned int id = machine_function_server(&machine);
    unsigned int i;

    (void)state;
    assert_int_equal(map(id, 1, 0), 0);
    for (i = 0; i < 5; i++) { /* a busy neighbour does not put it off */
        pass(SETTLE / 2);
        assert_int_equal(is_ready(1), i >= 1);
        assert_int_equal(map(id, 0, i * 0x1000), 0);
    }
    assert_int_equal(is_ready(0), 0);
    pass(SETTLE);
    assert_int_equal(is_ready(0), 1);
}

static void gone(struct hypervisor_lock *lock)
{
    if (lock == &machine.guest.ioreq_server.lock) {
        locks_before_take = NULL;
        assert_int_equal(server_destroy(&machine.guest, 0), 0);
    }
}

static void a_server_that_goes_while_it_settles(void **state)
{
    const unsigned int id = machine_function_server(&machine);

    (void)state;
    assert_int_equal(id, 0);
    assert_int_equal(map(id, 0, 0), 0);
    pass(SETTLE - 1);
    locks_before_take = gone; /* when the timer has expired, but the tasklet has not got the lock yet */
    pass(1);
    assert_null(locks_before_take);
    assert_int_equal(is_ready(0), 0);
}

static void ranges_elsewhere_do_not_count(void **state)
{
    const unsigned int id = machine_function_server(&machine);
    struct ioreq_pci *pci = machine.pci;

    (void)state;
    assert_int_equal(server_map(&machine.guest, id, XEN_DMOP_IO_RANGE_MEMORY, 0x1000, 0x1fff), 0);
    machine.guest.arch.ioreq_pci = NULL;
    assert_int_equal(map(id, 0, 0), 0);
    machine.guest.arch.ioreq_pci = pci;
    pass(2 * SETTLE);
    assert_int_equal(is_ready(0), 0);
    assert_int_equal(is_ready(1), 0);
}

static void each_server_by_itself(void **state)
{
    const unsigned int first = machine_function_server(&machine), second = machine_function_server(&machine);
    unsigned int i;

    (void)state;
    assert_int_equal(map(first, 0, 0), 0);
    for (i = 1; i <= 2; i++) { /* one that goes on mapping does not put it off */
        pass(SETTLE / 2 - 1);
        assert_int_equal(map(second, 0, i * 0x1000), 0);
        assert_int_equal(is_ready(0), 0);
    }
    pass(2);
    assert_int_equal(is_ready(0), 1);
    /* The other one counts when this one goes. */
    assert_int_equal(server_destroy(&machine.guest, first), 0);
    assert_int_equal(is_ready(0), 0);
    pass(SETTLE);
    assert_int_equal(is_ready(0), 1);
    assert_int_equal(machine_status(&machine, 0, BRIDGE_STATUS_GENERATION), 2);
    assert_int_equal(server_destroy(&machine.guest, second), 0);
    pass(2 * SETTLE);
    assert_int_equal(is_ready(0), 0);
}

static void one_that_maps_while_another_is_ready(void **state)
{
    const unsigned int first = machine_function_server(&machine), second = machine_function_server(&machine);

    (void)state;
    assert_int_equal(machine_ready(&machine, 0, first, 1), 0);
    assert_int_equal(map(second, 0, 0x1000), 0);
    pass(SETTLE);
    assert_int_equal(server_destroy(&machine.guest, first), 0);
    pass(0);
    assert_int_equal(is_ready(0), 1);
    assert_int_equal(machine_status(&machine, 0, BRIDGE_STATUS_GENERATION), 2);
    assert_int_equal(server_destroy(&machine.guest, second), 0);
    assert_int_equal(is_ready(0), 0);
}

static void of_two_that_settle_one_goes(void **state)
{
    const unsigned int first = machine_function_server(&machine), second = machine_function_server(&machine);

    (void)state;
    assert_int_equal(map(first, 0, 0), 0);
    assert_int_equal(map(second, 0, 0x1000), 0);
    pass(SETTLE / 2);
    assert_int_equal(server_destroy(&machine.guest, second), 0);
    pass(SETTLE / 2);
    assert_int_equal(is_ready(0), 1); /* the first one, whose time it is */
}

/* Killed before it was ready: a guest that is held is not released for one that will never answer. */
static void one_that_dies_does_not_settle(void **state)
{
    const unsigned int id = machine_function_server(&machine);

    (void)state;
    assert_int_equal(guest_read(&machine, machine_bridge(&machine, 0)->ecam.base, 4).state, IO_RETRY);
    assert_int_equal(map(id, 0, 0), 0);
    pass(SETTLE / 2);
    server_emulator_dies(&machine.guest, &machine.dom0);
    pass(2 * SETTLE);
    assert_int_equal(is_ready(0), 0);
    assert_int_equal(machine.guest.pause_count, 1);
    /* Its successor takes what it had, and the guest goes on with that. */
    assert_int_equal(map(machine_function_server(&machine), 0, 0), 0);
    assert_null(machine.guest.ioreq_server.server[id]);
    pass(SETTLE);
    assert_int_equal(is_ready(0), 1);
    assert_int_equal(machine.guest.pause_count, 0);
}

static void a_stranger_to_the_bus_does_not_settle(void **state)
{
    const unsigned int id = machine_server(&machine);

    (void)state;
    assert_int_equal(map(id, 0, 0), 0); /* of the memory window, but nothing of the ECAM */
    pass(2 * SETTLE);
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
        TEST(each_server_by_itself),
        TEST(one_that_maps_while_another_is_ready),
        TEST(of_two_that_settle_one_goes),
        TEST_WITH_HOLD(one_that_dies_does_not_settle),
        TEST(a_stranger_to_the_bus_does_not_settle),
    };

    return RUN(tests);
}
