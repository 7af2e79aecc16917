/* SPDX-License-Identifier: GPL-2.0-only */
/* The guest is destroyed, whatever it was doing. machine_stop() looks for what is left. */
#include "fixture.h"

static void with_nothing_going_on(void **state)
{
    (void)state;
    machine_kill_guest(&machine);
}

static void twice(void **state)
{
    (void)state;
    machine_kill_guest(&machine);
    ioreq_pci_relinquish(&machine.guest); /* destruction is preempted, and goes on */
    ioreq_pci_relinquish(&machine.guest);
}

static void without_bridges(void **state)
{
    struct ioreq_pci *pci = machine.pci;

    (void)state;
    machine.guest.arch.ioreq_pci = NULL;
    ioreq_pci_relinquish(&machine.guest);
    ioreq_pci_destroy(&machine.guest);
    machine.guest.arch.ioreq_pci = pci;
}

static void with_all_going_on(void **state)
{
    const unsigned int id = machine_server_of(&machine, 0);
    const struct bridge *b = machine_bridge(&machine, 0);

    (void)state;
    assert_int_equal(machine_bind(&machine, 0, id, b->memory.base, 4, NULL), 0);
    assert_int_equal(server_map(&machine.guest, id, XEN_DMOP_IO_RANGE_PCI, 8, 8), 0);
    assert_int_equal(guest_read(&machine, b->memory.base, 4).state, IO_RETRY); /* held: settling goes on */
    time_advance(MILLISECS(10));
    assert_true(machine.guest.time_stopped);
    server_emulator_dies(&machine.guest, &machine.dom0); /* the tasklet is due */
    machine_kill_guest(&machine);
    time_advance(SECONDS(100));
    assert_int_equal(tasklets_run(), 0);
    assert_int_equal(console.lines, 0);
}

static void with_a_waiting_vcpu(void **state)
{
    const struct bridge *b = machine_bridge(&machine, 0);

    (void)state;
    machine_server_of(&machine, 0);
    assert_int_equal(guest_read(&machine, b->memory.base, 4).state, IO_RETRY);
    machine_kill_guest(&machine);
    assert_null(machine_request(&machine));
}

static void what_comes_late_does_no_harm(void **state)
{
    const unsigned int id = machine_server_of(&machine, 0);

    (void)state;
    machine.guest.is_dying = 1;
    ioreq_pci_relinquish(&machine.guest);
    /* Until the servers are gone their emulators may still say something. */
    assert_int_equal(machine_ready(&machine, 0, id, 1), 0);
    assert_int_equal(server_unmap(&machine.guest, id, XEN_DMOP_IO_RANGE_MEMORY,
                                  machine_bridge(&machine, 0)->memory.base,
                                  machine_bridge(&machine, 0)->memory.base + 0xfff), 0);
    assert_int_equal(server_map(&machine.guest, id, XEN_DMOP_IO_RANGE_MEMORY,
                                machine_bridge(&machine, 1)->memory.base,
                                machine_bridge(&machine, 1)->memory.base + 0xfff), 0);
    server_emulator_dies(&machine.guest, &machine.dom0);
    assert_int_equal(tasklets_run(), 0);
    time_advance(SECONDS(100));
    assert_int_equal(machine_status(&machine, 1, BRIDGE_STATUS_STATE), 0);
    assert_true(time_is_quiet());
    machine.guest.is_dying = 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST_WITH_HOLD(with_nothing_going_on),
        TEST_WITH_HOLD(twice),
        TEST(without_bridges),
        TEST_WITH_HOLD(with_all_going_on),
        TEST(with_a_waiting_vcpu),
        TEST_WITH_HOLD(what_comes_late_does_no_harm),
    };

    return RUN(tests);
}
