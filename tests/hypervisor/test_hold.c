/* SPDX-License-Identifier: GPL-2.0-only */
/* HOLD: who is held, whose time stands still, and who lets it go on. */
#include "fixture.h"

#define HOLD MILLISECS(BRIDGE_HOLD_MS)

static uint64_t ecam(unsigned int index)
{
    return machine_bridge(&machine, index)->ecam.base;
}

static void assert_held(unsigned int index)
{
    assert_int_equal(guest_read(&machine, ecam(index), 4).state, IO_RETRY);
    assert_ptr_equal(machine.pci->held, &machine.pci->bridge[index]);
    assert_int_equal(machine.guest.pause_count, 1);
    assert_null(machine_request(&machine));
}

static void assert_runs(void)
{
    assert_null(machine.pci->held);
    assert_int_equal(machine.guest.pause_count, 0);
    assert_false(machine.guest.time_stopped);
    assert_false(machine.pci->hold_timer.active);
}

static void without_the_flag_nobody_is_held(void **state)
{
    (void)state;
    assert_background(ecam(0));
    assert_runs();
}

static void every_window_holds_but_the_service_area(void **state)
{
    const struct bridge *b = machine_bridge(&machine, 0);
    const uint64_t addresses[] = {b->ecam.base, b->memory.base, b->prefetch.base};
    unsigned int i;

    (void)state;
    assert_read(bridge_status_base(b), 4, BRIDGE_STATUS_MAGIC_VALUE);
    assert_read(bridge_v2m_base(b), 4, 0);
    assert_runs();
    assert_int_equal(guest_read(&machine, b->memory.base + b->memory.size, 4).state, IO_UNHANDLED);
    assert_runs();
    for (i = 0; i < ARRAY_SIZE(addresses); i++) {
        machine_stop(&machine);
        machine_start(&machine, 3, BRIDGE_FLAG_HOLD, 2);
        assert_int_equal(i == 1 ? guest_write(&machine, addresses[i], 4, 0) :
                         guest_read(&machine, addresses[i], 4).state, IO_RETRY);
        assert_int_equal(machine.guest.pause_count, 1);
    }
}

static void released_by_ready(void **state)
{
    const unsigned int id = machine_function_server(&machine);

    (void)state;
    assert_held(0);
    assert_true(machine.guest.time_stopped);
    time_advance(SECONDS(10));
    assert_int_equal(machine_ready(&machine, 0, id, 1), 0);
    assert_runs();
    assert_int_equal(machine.guest.times_stopped, 1);
    assert_int_equal(machine.guest.ticks_hidden, SECONDS(10) / 16);
    assert_int_equal(server_map(&machine.guest, id, XEN_DMOP_IO_RANGE_MEMORY, ecam(0), ecam(0) + 0xfffff), 0);
    assert_forwarded(ecam(0), IOREQ_TYPE_COPY, ecam(0)); /* the instruction, run again */
    time_advance(2 * HOLD);
    assert_runs();
    assert_int_equal(console.lines, 0);
}

static void second_vcpu_is_not_paused_twice(void **state)
{
    const unsigned int id = machine_function_server(&machine);
    unsigned int i;

    (void)state;
    for (i = 0; i < 5; i++) {
        assert_held(0);
    }
    assert_int_equal(machine_ready(&machine, 0, id, 1), 0);
    assert_runs();
}

static void clock_stops_when_the_last_is_descheduled(void **state)
{
    const unsigned int id = machine_function_server(&machine);

    (void)state;
    machine.guest_vcpu[0].is_running = true;
    machine.guest_vcpu[1].is_running = true;
    assert_held(0);
    time_advance(MILLISECS(50));
    assert_false(machine.guest.time_stopped);
    vcpu_deschedule(&machine.guest_vcpu[1]);
    time_advance(MILLISECS(50));
    assert_false(machine.guest.time_stopped);
    vcpu_deschedule(&machine.guest_vcpu[0]);
    assert_true(machine.guest.time_stopped);
    time_advance(MILLISECS(900));
    assert_int_equal(machine_ready(&machine, 0, id, 1), 0);
    assert_int_equal(machine.guest.ticks_hidden, MILLISECS(900) / 16);
    assert_runs();
}

static void clock_stops_though_timers_are_late(void **state)
{
    const unsigned int id = machine_function_server(&machine);

    (void)state;
    assert_held(0);
    time_advance_without_timers(MILLISECS(8600));
    assert_int_equal(machine_ready(&machine, 0, id, 1), 0);
    assert_int_equal(machine.guest.ticks_hidden, MILLISECS(8600) / 16);
    assert_runs();
}

static void ready_before_the_clock_is_stopped(void **state)
{
    const unsigned int id = machine_function_server(&machine);

    (void)state;
    machine.guest_vcpu[0].is_running = true;
    assert_held(0);
    assert_int_equal(machine_ready(&machine, 0, id, 1), 0);
    vcpu_deschedule(&machine.guest_vcpu[0]);
    assert_runs();
    assert_int_equal(machine.guest.times_stopped, 0);
    assert_int_equal(machine.guest.ticks_hidden, 0);
    time_advance(HOLD);
    assert_int_equal(machine.guest.times_stopped, 0);
}

static void given_up_when_the_hold_time_is_over(void **state)
{
    (void)state;
    assert_held(0);
    time_advance(HOLD - MILLISECS(1));
    assert_int_equal(machine.guest.pause_count, 1);
    assert_int_equal(console.lines, 0);
    time_advance(MILLISECS(1));
    assert_runs();
    assert_int_equal(console.lines, 1);
    assert_true(console_says("PCI bridge 0: no device model after 30000 ms, going on without"));
    assert_int_equal(machine.guest.ticks_hidden, HOLD / 16);
    assert_background(ecam(0));
    assert_int_equal(machine_status(&machine, 0, BRIDGE_STATUS_STATE), 0);
    time_advance(2 * HOLD);
    assert_background(ecam(0));
    assert_int_equal(console.lines, 1);
    /* The other bridge has a hold of its own. */
    assert_held(1);
    time_advance(HOLD);
    assert_true(console_says("PCI bridge 1: "));
    assert_runs();
}

static void given_up_though_a_vcpu_never_stops(void **state)
{
    (void)state;
    machine.guest_vcpu[1].is_running = true;
    assert_held(0);
    time_advance(HOLD + MILLISECS(1));
    assert_runs();
    assert_int_equal(machine.guest.times_stopped, 0);
    vcpu_deschedule(&machine.guest_vcpu[1]);
    assert_runs();
}

static void served_after_it_was_given_up(void **state)
{
    const unsigned int id = machine_server_of(&machine, 1);

    (void)state;
    assert_int_equal(guest_read(&machine, machine_bridge(&machine, 1)->memory.base, 4).state, IO_RETRY);
    time_advance(HOLD);
    assert_runs();
    assert_int_equal(machine_ready(&machine, 1, id, 1), 0);
    assert_int_equal(machine_status(&machine, 1, BRIDGE_STATUS_STATE), BRIDGE_STATUS_STATE_READY);
    assert_runs();
}

static void never_again_after_the_first_ready(void **state)
{
    const unsigned int id = machine_function_server(&machine);

    (void)state;
    assert_int_equal(machine_ready(&machine, 0, id, 1), 0);
    assert_background(ecam(0));
    assert_int_equal(machine_ready(&machine, 0, id, 0), 0);
    assert_background(ecam(0));
    assert_int_equal(server_destroy(&machine.guest, id), 0);
    assert_background(ecam(0));
    assert_runs();
}

static void not_ready_does_not_end_the_wait(void **state)
{
    const unsigned int id = machine_function_server(&machine);

    (void)state;
    assert_int_equal(machine_ready(&machine, 0, id, 0), 0);
    assert_held(0);
    assert_int_equal(machine_ready(&machine, 0, id, 0), 0);
    assert_int_equal(machine.guest.pause_count, 1);
    assert_int_equal(server_destroy(&machine.guest, id), 0);
    assert_int_equal(machine.guest.pause_count, 1);
    assert_held(0);
}

static void ready_of_another_bridge_does_not_release(void **state)
{
    const unsigned int id = machine_function_server(&machine);

    (void)state;
    assert_held(0);
    assert_int_equal(machine_ready(&machine, 1, id, 1), 0);
    assert_ptr_equal(machine.pci->held, &machine.pci->bridge[0]);
    assert_int_equal(machine.guest.pause_count, 1);
    assert_held(0);
    assert_background(ecam(1));
    assert_int_equal(machine_ready(&machine, 0, id, 1), 0);
    assert_runs();
}

static void one_bridge_after_the_other(void **state)
{
    const unsigned int id = machine_function_server(&machine);

    (void)state;
    assert_held(0);
    /* A vCPU that had not been descheduled yet touches the other bridge. */
    assert_int_equal(guest_read(&machine, ecam(1), 4).state, IO_RETRY);
    assert_int_equal(machine.guest.pause_count, 1);
    assert_int_equal(machine_ready(&machine, 0, id, 1), 0);
    assert_runs();
    assert_held(1);
    assert_int_equal(machine_ready(&machine, 1, id, 1), 0);
    assert_runs();
}

static void become_ready(struct hypervisor_lock *lock)
{
    if (lock == &machine.pci->lock) {
        locks_before_take = NULL;
        machine_be(&machine, &machine.dom0);
        assert_int_equal(machine_ready(&machine, 0, 0, 1), 0);
        machine_be(&machine, &machine.guest);
    }
}

static void ready_while_an_access_is_on_its_way(void **state)
{
    const unsigned int id = machine_function_server(&machine);

    (void)state;
    assert_int_equal(id, 0);
    locks_before_take = become_ready; /* between the look without the lock and the one with it */
    assert_background(ecam(0));
    assert_null(locks_before_take);
    assert_runs();
}

static void a_timer_that_comes_too_late(void **state)
{
    const unsigned int id = machine_function_server(&machine);

    (void)state;
    assert_held(0);
    assert_int_equal(machine_ready(&machine, 0, id, 1), 0);
    set_timer(&machine.pci->hold_timer, NOW()); /* it was on its way when it was stopped */
    time_advance(HOLD);
    assert_runs();
    assert_int_equal(console.lines, 0);
    assert_held(1);
    machine.pci->hold_timer.function(machine.pci->hold_timer.data); /* or comes in the middle of the next hold */
    assert_held(1);
    assert_int_equal(machine_ready(&machine, 1, id, 1), 0);
    assert_runs();
}

static void shut_down_while_held(void **state)
{
    (void)state;
    assert_held(0);
    assert_true(machine.guest.time_stopped);
    time_advance(SECONDS(1));
    domain_shutdown(&machine.guest);
    assert_runs();
    assert_int_equal(machine.guest.ticks_hidden, SECONDS(1) / 16);
    time_advance(2 * HOLD);
    assert_int_equal(console.lines, 0);
    domain_shutdown(&machine.guest);
    assert_runs();
}

static void not_held_while_shutting_down(void **state)
{
    const unsigned int id = machine_function_server(&machine);

    (void)state;
    domain_shutdown(&machine.guest);
    /* Xen pauses the vCPU. It must not have seen an empty bus if the domain is resumed. */
    assert_int_equal(guest_read(&machine, ecam(0), 4).state, IO_RETRY);
    assert_runs();
    machine.guest.is_shutting_down = false;
    assert_held(0);
    time_advance(HOLD - MILLISECS(1));
    assert_held(0);
    assert_int_equal(machine_ready(&machine, 0, id, 1), 0);
    domain_shutdown(&machine.guest);
    assert_background(ecam(0));
    assert_runs();
}

static void a_dying_domain_is_not_held(void **state)
{
    (void)state;
    machine.guest.is_dying = 1;
    assert_background(ecam(0));
    assert_int_equal(machine.guest.pause_count, 0);
    machine.guest.is_dying = 0;
}

static void destroyed_while_held(void **state)
{
    (void)state;
    assert_held(0);
    assert_true(machine.guest.time_stopped);
    machine_kill_guest(&machine);
    time_advance(2 * HOLD);
    assert_int_equal(console.lines, 0);
}

static void timer_of_a_dying_domain_does_nothing(void **state)
{
    (void)state;
    assert_held(0);
    machine.guest.is_dying = 1;
    time_advance(2 * HOLD);
    assert_int_equal(machine.guest.pause_count, 1);
    assert_int_equal(console.lines, 0);
    machine.guest.is_dying = 0;
}

static void plain_ranges_hold_too(void **state)
{
    const struct bridge *b = machine_bridge(&machine, MACHINE_PLAIN);
    const unsigned int id = machine_server(&machine);

    (void)state;
    assert_int_equal(guest_read(&machine, b->memory.base + b->memory.size - 4, 4).state, IO_RETRY);
    assert_int_equal(machine.guest.pause_count, 1);
    assert_int_equal(machine_ready(&machine, MACHINE_PLAIN, id, 1), -ENXIO);
    assert_int_equal(server_map(&machine.guest, id, XEN_DMOP_IO_RANGE_MEMORY, b->prefetch.base, b->prefetch.base), 0);
    assert_int_equal(machine_ready(&machine, MACHINE_PLAIN, id, 1), 0);
    assert_int_equal(server_unmap(&machine.guest, id, XEN_DMOP_IO_RANGE_MEMORY, b->prefetch.base, b->prefetch.base), 0);
    assert_runs();
    assert_background(b->prefetch.base);
}

static void cache_maintenance_waits_too(void **state)
{
    const struct hsr_dabt dabt = {.cache = 1, .write = 1};
    const unsigned int id = machine_function_server(&machine);

    (void)state;
    assert_int_equal(machine_access(&machine, dabt, INSTR_CACHE, ecam(0), MACHINE_POISON).state, IO_RETRY);
    assert_int_equal(machine_ready(&machine, 0, id, 1), 0);
    assert_int_equal(machine_access(&machine, dabt, INSTR_CACHE, ecam(0), MACHINE_POISON).state, IO_HANDLED);
    assert_runs();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(without_the_flag_nobody_is_held),
        TEST_WITH_HOLD(every_window_holds_but_the_service_area),
        TEST_WITH_HOLD(released_by_ready),
        TEST_WITH_HOLD(second_vcpu_is_not_paused_twice),
        TEST_WITH_HOLD(clock_stops_when_the_last_is_descheduled),
        TEST_WITH_HOLD(clock_stops_though_timers_are_late),
        TEST_WITH_HOLD(ready_before_the_clock_is_stopped),
        TEST_WITH_HOLD(given_up_when_the_hold_time_is_over),
        TEST_WITH_HOLD(given_up_though_a_vcpu_never_stops),
        TEST_WITH_HOLD(served_after_it_was_given_up),
        TEST_WITH_HOLD(never_again_after_the_first_ready),
        TEST_WITH_HOLD(not_ready_does_not_end_the_wait),
        TEST_WITH_HOLD(ready_of_another_bridge_does_not_release),
        TEST_WITH_HOLD(one_bridge_after_the_other),
        TEST_WITH_HOLD(ready_while_an_access_is_on_its_way),
        TEST_WITH_HOLD(a_timer_that_comes_too_late),
        TEST_WITH_HOLD(shut_down_while_held),
        TEST_WITH_HOLD(not_held_while_shutting_down),
        TEST_WITH_HOLD(a_dying_domain_is_not_held),
        TEST_WITH_HOLD(destroyed_while_held),
        TEST_WITH_HOLD(timer_of_a_dying_domain_does_nothing),
        TEST_WITH_HOLD(plain_ranges_hold_too),
        TEST_WITH_HOLD(cache_maintenance_waits_too),
    };

    return RUN(tests);
}
