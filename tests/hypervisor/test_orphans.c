/* SPDX-License-Identifier: GPL-2.0-only */
/* Servers whose emulator died: noticed, adopted, or given up so that nobody waits for ever. */
#include "fixture.h"

#define HOLD MILLISECS(BRIDGE_HOLD_MS)

static bool exists(unsigned int id)
{
    return machine.guest.ioreq_server.server[id] != NULL;
}

static void dies(struct domain *emulator)
{
    server_emulator_dies(&machine.guest, emulator);
    tasklets_run();
}

/* In steps, so that what a timer asks for is done soon after. */
static void pass(s_time_t time)
{
    while (time > 0) {
        const s_time_t step = MIN(time, MILLISECS(100));

        time_advance(step);
        tasklets_run();
        time -= step;
    }
}

static void given_up_after_the_hold_time(void **state)
{
    const unsigned int id = machine_server_of(&machine, 0);
    const uint64_t gpa = machine_bridge(&machine, 0)->memory.base;

    (void)state;
    assert_int_equal(machine_ready(&machine, 0, id, 1), 0);
    assert_int_equal(machine_bind(&machine, 0, id, gpa + 0x100, 4, NULL), 0);
    assert_int_equal(guest_read(&machine, gpa, 4).state, IO_RETRY);
    dies(&machine.dom0);
    assert_true(exists(id));
    pass(HOLD - 1);
    assert_true(exists(id));
    assert_non_null(machine_request(&machine));
    assert_int_equal(console.lines, 0);
    pass(1);
    assert_false(exists(id));
    assert_int_equal(console.lines, 1);
    assert_true(console_says("ioreq server 0: its device model is gone, destroyed"));
    assert_null(machine_request(&machine)); /* answered with all ones */
    assert_int_equal(machine.guest_vcpu[0].io.req.data, ~0ull);
    machine_answer(&machine, 0);
    assert_background(gpa);
    assert_int_equal(machine_status(&machine, 0, BRIDGE_STATUS_STATE), 0);
    assert_int_equal(machine.pci->nr_doorbells, 0);
    pass(2 * HOLD);
    assert_int_equal(console.lines, 1);
}

static void adopted_in_time(void **state)
{
    const unsigned int id = machine_server_of(&machine, 0);
    const uint64_t gpa = machine_bridge(&machine, 0)->memory.base;
    uint32_t port, again, server = ~0u;

    (void)state;
    assert_int_equal(machine_ready(&machine, 0, id, 1), 0);
    assert_int_equal(machine_bind(&machine, 0, id, gpa + 0x100, 4, &port), 0);
    assert_int_equal(emulator_binds(&machine.guest, port, &machine.dom0), 0);
    assert_int_equal(guest_read(&machine, gpa, 4).state, IO_RETRY);
    dies(&machine.dom0);
    pass(HOLD / 2);
    assert_int_equal(machine_adopt(&machine, 0, &server), 0);
    assert_int_equal(server, id);
    assert_int_equal(server_bind(&machine.guest, id), 0);
    assert_int_equal(machine_bind(&machine, 0, id, gpa + 0x100, 4, &again), 0);
    assert_int_equal(again, port);
    assert_int_equal(emulator_binds(&machine.guest, again, &machine.dom0), 0);
    assert_non_null(machine_request(&machine)); /* still there to be answered */
    machine_answer(&machine, 0);
    pass(3 * HOLD);
    assert_true(exists(id));
    assert_int_equal(console.lines, 0);
    assert_int_equal(machine_status(&machine, 0, BRIDGE_STATUS_STATE), 1);
    assert_forwarded(gpa, IOREQ_TYPE_COPY, gpa);
    assert_int_equal(machine_adopt(&machine, 0, &server), -ENOENT);
}

static void bound_again_in_time_without_adopting(void **state)
{
    const unsigned int id = machine_function_server(&machine);

    (void)state;
    dies(&machine.dom0);
    pass(HOLD - 1);
    assert_int_equal(server_bind(&machine.guest, id), 0); /* as QEMU would, that knows of nothing */
    pass(3 * HOLD);
    assert_true(exists(id));
    /* It dies again: it has all of the hold time again. */
    dies(&machine.dom0);
    pass(HOLD - 1);
    assert_true(exists(id));
    pass(1);
    assert_false(exists(id));
}

static void adopting_gives_the_hold_time_again(void **state)
{
    const unsigned int id = machine_function_server(&machine);
    uint32_t server;

    (void)state;
    assert_int_equal(machine_ready(&machine, 0, id, 1), 0);
    dies(&machine.dom0);
    pass(HOLD - 1);
    assert_int_equal(machine_adopt(&machine, 0, &server), 0);
    pass(HOLD - 1);
    assert_true(exists(id)); /* it has not bound its ports yet */
    assert_int_equal(machine_adopt(&machine, 0, &server), 0);
    pass(HOLD);
    assert_false(exists(id));
    assert_int_equal(machine_adopt(&machine, 0, &server), -ENOENT);
}

static void dying_again_soon_gets_all_of_the_hold_time(void **state)
{
    const unsigned int id = machine_function_server(&machine);
    uint32_t server;

    (void)state;
    assert_int_equal(machine_ready(&machine, 0, id, 1), 0);
    dies(&machine.dom0);
    pass(SECONDS(1));
    assert_int_equal(machine_adopt(&machine, 0, &server), 0);
    assert_int_equal(server_bind(&machine.guest, id), 0);
    pass(SECONDS(20));
    dies(&machine.dom0);
    pass(HOLD - 1);
    assert_true(exists(id));
    pass(1);
    assert_false(exists(id));
}

static void bound_late_and_dying_again(void **state)
{
    unsigned int round;

    (void)state;
    for (round = 0; round < 2; round++) { /* a device model that adopts, and one that knows of nothing */
        const unsigned int id = machine_function_server(&machine);
        uint32_t server;

        assert_int_equal(machine_ready(&machine, 0, id, 1), 0);
        dies(&machine.dom0);
        pass(SECONDS(2));
        if (round == 0) {
            assert_int_equal(machine_adopt(&machine, 0, &server), 0);
        }
        pass(SECONDS(5));
        assert_int_equal(server_bind(&machine.guest, id), 0);
        pass(SECONDS(2));
        dies(&machine.dom0);
        pass(HOLD - 1);
        assert_true(exists(id));
        pass(1);
        assert_false(exists(id));
    }
}

/* One whose device model is starting is not to be had, and one that is being adopted only when that takes too long. */
static void only_an_orphan_is_adopted_and_by_one(void **state)
{
    const int starting = server_create(&machine.guest);
    const unsigned int id = machine_function_server(&machine);
    uint32_t server;

    (void)state;
    assert_int_equal(server_map(&machine.guest, (unsigned int)starting, XEN_DMOP_IO_RANGE_PCI, 0x08, 0x08), 0);
    assert_int_equal(machine_adopt_owner(&machine, 0, 0x08, &server), -ENOENT);
    assert_int_equal(machine_ready(&machine, 0, id, 1), 0);
    dies(&machine.dom0);
    assert_int_equal(machine_adopt(&machine, 0, &server), 0);
    assert_int_equal(machine_adopt(&machine, 0, &server), -EBUSY);
    pass(SECONDS(1) - 1);
    assert_int_equal(machine_adopt(&machine, 0, &server), -EBUSY);
    pass(1); /* the first one was killed, by all appearances */
    assert_int_equal(machine_adopt(&machine, 0, &server), 0);
    assert_int_equal(machine_adopt(&machine, 0, &server), -EBUSY);
    assert_int_equal(server_bind(&machine.guest, id), 0);
    assert_int_equal(machine_adopt(&machine, 0, &server), -ENOENT);
}

static void who_may_adopt(void **state)
{
    const unsigned int id = machine_function_server(&machine);
    uint32_t server;

    (void)state;
    assert_int_equal(machine_adopt(&machine, 0, &server), -ENOENT); /* nobody ever served it */
    assert_int_equal(machine_ready(&machine, 0, id, 1), 0);
    assert_int_equal(machine_adopt(&machine, 0, &server), -ENOENT); /* its emulator lives */
    dies(&machine.dom0);
    machine_be(&machine, &machine.other);
    assert_int_equal(machine_adopt(&machine, 0, &server), -ENOENT);
    machine_be(&machine, &machine.dom0);
    assert_int_equal(machine_adopt(&machine, 1, &server), -ENOENT); /* it served another bridge */
    assert_int_equal(machine_adopt_owner(&machine, 0, 0xf7, &server), -ENOENT);
    assert_int_equal(machine_adopt(&machine, 0, &server), 0);
    assert_int_equal(machine_ready(&machine, 0, id, 0), 0);
    assert_int_equal(machine_adopt(&machine, 0, &server), -ENOENT); /* it had ended in order */
}

/* Several that share a bridge: each is known by a function of its own, whether or not it is the one that said ready. */
static void adopted_by_a_function(void **state)
{
    const unsigned int first = machine_function_server(&machine), second = machine_function_server(&machine);
    const uint32_t nowhere[] = { 0x0b, 0x200, 0xffff, 0x10009, 0xfffffffe };
    uint32_t server = ~0u;
    unsigned int i;

    (void)state;
    assert_int_equal(server_map(&machine.guest, first, XEN_DMOP_IO_RANGE_PCI, 0x08, 0x08), 0);
    assert_int_equal(server_map(&machine.guest, first, XEN_DMOP_IO_RANGE_PCI, 0x0a, 0x0a), 0);
    assert_int_equal(server_map(&machine.guest, second, XEN_DMOP_IO_RANGE_PCI, 0x09, 0x09), 0);
    assert_int_equal(server_map(&machine.guest, second, XEN_DMOP_IO_RANGE_PCI, 0x10009, 0x10009), 0);
    assert_int_equal(machine_adopt_owner(&machine, 0, 0x08, &server), -ENOENT); /* its emulator lives */
    dies(&machine.dom0);
    assert_int_equal(machine_adopt_owner(&machine, 0, 0x08, &server), 0);
    assert_int_equal(server, first);
    assert_int_equal(machine_adopt_owner(&machine, 0, 0x0a, &server), -EBUSY);
    pass(SECONDS(1));
    assert_int_equal(machine_adopt_owner(&machine, 0, 0x0a, &server), 0);
    assert_int_equal(server, first);
    assert_int_equal(machine_adopt_owner(&machine, 0, 0x09, &server), 0);
    assert_int_equal(server, second);
    pass(SECONDS(1));
    assert_int_equal(machine_adopt_owner(&machine, 1, 0x09, &server), 0);
    assert_int_equal(server, second);
    assert_int_equal(machine_adopt_owner(&machine, 1, 0x08, &server), -ENOENT);
    for (i = 0; i < ARRAY_SIZE(nowhere); i++) {
        assert_int_equal(machine_adopt_owner(&machine, 0, nowhere[i], &server), -ENOENT);
    }
    machine_be(&machine, &machine.other);
    assert_int_equal(machine_adopt_owner(&machine, 0, 0x08, &server), -ENOENT);
    machine_be(&machine, &machine.dom0);
    assert_int_equal(server_bind(&machine.guest, second), 0);
    assert_int_equal(machine_adopt_owner(&machine, 0, 0x09, &server), -ENOENT);
    assert_int_equal(machine_adopt_owner(&machine, 0, 0x08, &server), 0);
    assert_int_equal(machine_adopt(&machine, 0, &server), -ENOENT); /* nobody said ready */
}

/* Such as a QEMU with -smp 1 for a guest with two vCPUs, or one that closes a port by itself. */
static void a_device_model_of_fewer_vcpus_lives(void **state)
{
    const unsigned int id = machine_function_server(&machine);

    (void)state;
    emulator_closes(&machine.guest, machine.guest.ioreq_server.server[id]->vcpu[1].ioreq_evtchn);
    pass(3 * HOLD);
    assert_true(exists(id));
    emulator_closes(&machine.guest, machine.guest.ioreq_server.server[id]->vcpu[0].ioreq_evtchn);
    tasklets_run();
    pass(HOLD - 1);
    assert_true(exists(id));
    pass(1);
    assert_false(exists(id));
}

/* One that never bound the port of vCPU 1 is alive; somebody describes the bridge, so that Xen looks. */
static void a_port_that_was_never_bound_is_no_death(void **state)
{
    const int id = server_create(&machine.guest);
    struct bridge_dm_op op = {.op = BRIDGE_DM_OP_DESCRIBE};

    (void)state;
    assert_true(id >= 0);
    assert_int_equal(emulator_binds(&machine.guest, machine.guest.ioreq_server.server[id]->vcpu[0].ioreq_evtchn,
                                    &machine.dom0), 0);
    assert_int_equal(machine_dm_op(&machine, &op), 0);
    pass(3 * HOLD);
    assert_true(exists((unsigned int)id));
}

static void a_new_server_of_the_same_id_has_all_of_its_time(void **state)
{
    const unsigned int id = machine_function_server(&machine);

    (void)state;
    dies(&machine.dom0);
    pass(HOLD - 1);
    assert_int_equal(server_destroy(&machine.guest, id), 0);
    assert_int_equal(server_create(&machine.guest), (int)id);
    pass(SECONDS(10)); /* it is slow to bind its ports */
    assert_true(exists(id));
    assert_int_equal(server_bind(&machine.guest, id), 0);
    pass(3 * HOLD);
    assert_true(exists(id));
}

/* A server of virtio-mmio devices at addresses of their own, say, which nobody has to adopt. */
static void servers_that_have_nothing_of_a_bridge_stay(void **state)
{
    const unsigned int types[] = {XEN_DMOP_IO_RANGE_MEMORY, XEN_DMOP_IO_RANGE_PORT};
    unsigned int i, id;

    (void)state;
    for (i = 0; i < ARRAY_SIZE(types); i++) {
        id = machine_server(&machine);
        assert_int_equal(server_map(&machine.guest, id, types[i], 0x2000000, 0x20001ff), 0);
    }
    id = machine_server(&machine);
    assert_int_equal(server_map(&machine.guest, id, XEN_DMOP_IO_RANGE_MEMORY, 0x3000000, 0x3000fff), 0);
    assert_int_equal(server_map(&machine.guest, id, XEN_DMOP_IO_RANGE_PCI, 8, 8), 0); /* but this one has */
    assert_int_equal(server_map(&machine.guest, id, XEN_DMOP_IO_RANGE_MEMORY, 0x3001000, 0x3001fff), 0);
    dies(&machine.dom0);
    pass(3 * HOLD);
    assert_true(exists(0));
    assert_true(exists(1));
    assert_false(exists(id));
}

/* Nobody of another domain may adopt what it has left. */
static void a_dying_emulator_domain_is_not_waited_for(void **state)
{
    unsigned int id, mine;

    (void)state;
    mine = machine_function_server(&machine);
    machine_be(&machine, &machine.other);
    id = machine_function_server(&machine);
    machine_be(&machine, &machine.dom0);
    machine.other.is_dying = 1;
    dies(&machine.other);
    assert_false(exists(id));
    assert_true(exists(mine));
    assert_int_equal(console.lines, 1);
}

/* It has claimed before it has bound a port, and then was killed: nobody has described the bridge since. */
static void claimed_but_never_bound(void **state)
{
    const int id = server_create(&machine.guest);

    (void)state;
    assert_true(id >= 0);
    assert_int_equal(server_map(&machine.guest, (unsigned int)id, XEN_DMOP_IO_RANGE_PCI, 8, 8), 0);
    tasklets_run();
    pass(HOLD - 1);
    assert_true(exists((unsigned int)id));
    pass(1);
    assert_false(exists((unsigned int)id));
}

/* Of a device model that died between creating the server and binding its ports. */
static void a_server_whose_ports_nobody_binds(void **state)
{
    struct bridge_dm_op op = {.op = BRIDGE_DM_OP_DESCRIBE};
    const struct dmop_args args = {.nr_bufs = 1, .buf = {{.h = {&op}, .size = sizeof(op)}}};
    const unsigned int good = machine_server(&machine);
    const int created = server_create(&machine.guest);

    (void)state;
    assert_true(created >= 0);
    pass(3 * HOLD);
    assert_true(exists((unsigned int)created)); /* nobody has looked */
    assert_int_equal(ioreq_pci_dm_op(&machine.guest, &args), 0);
    tasklets_run();
    pass(HOLD - 1);
    assert_true(exists((unsigned int)created)); /* it may only be starting */
    pass(1);
    assert_false(exists((unsigned int)created));
    assert_true(exists(good));
    assert_int_equal(console.lines, 1);
}

static void each_server_has_a_time_of_its_own(void **state)
{
    unsigned int first, second;

    (void)state;
    machine_be(&machine, &machine.other);
    second = machine_function_server(&machine);
    machine_be(&machine, &machine.dom0);
    first = machine_function_server(&machine);
    dies(&machine.dom0);
    pass(SECONDS(10));
    dies(&machine.other);
    pass(HOLD - SECONDS(10));
    assert_false(exists(first));
    assert_true(exists(second));
    pass(SECONDS(10));
    assert_false(exists(second));
    assert_int_equal(console.lines, 2);
}

static void the_place_of_one_given_up_is_free_again(void **state)
{
    unsigned int id = machine_function_server(&machine);

    (void)state;
    dies(&machine.dom0);
    pass(HOLD);
    assert_false(exists(id));
    id = machine_function_server(&machine);
    pass(3 * HOLD);
    assert_true(exists(id));
    dies(&machine.dom0);
    pass(HOLD - 1);
    assert_true(exists(id));
}

static void destroyed_by_a_new_device_model(void **state)
{
    unsigned int id = machine_function_server(&machine);

    (void)state;
    dies(&machine.dom0);
    assert_int_equal(server_destroy(&machine.guest, id), 0);
    id = machine_function_server(&machine);
    pass(3 * HOLD);
    assert_true(exists(id));
    assert_int_equal(console.lines, 0);
}

static void a_dying_domain_is_left_alone(void **state)
{
    const unsigned int id = machine_function_server(&machine);

    (void)state;
    machine.guest.is_dying = 1;
    dies(&machine.dom0);
    pass(3 * HOLD);
    assert_true(exists(id));
    assert_int_equal(console.lines, 0);
    machine.guest.is_dying = 0;
}

static void a_domain_without_bridges_keeps_its_servers(void **state)
{
    const unsigned int id = machine_server(&machine);
    struct ioreq_pci *pci = machine.pci;

    (void)state;
    machine.guest.arch.ioreq_pci = NULL;
    dies(&machine.dom0);
    pass(3 * HOLD);
    assert_true(exists(id));
    machine.guest.arch.ioreq_pci = pci;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(given_up_after_the_hold_time),
        TEST(adopted_in_time),
        TEST(bound_again_in_time_without_adopting),
        TEST(adopting_gives_the_hold_time_again),
        TEST(dying_again_soon_gets_all_of_the_hold_time),
        TEST(bound_late_and_dying_again),
        TEST(only_an_orphan_is_adopted_and_by_one),
        TEST(who_may_adopt),
        TEST(adopted_by_a_function),
        TEST(a_device_model_of_fewer_vcpus_lives),
        TEST(a_port_that_was_never_bound_is_no_death),
        TEST(a_new_server_of_the_same_id_has_all_of_its_time),
        TEST(servers_that_have_nothing_of_a_bridge_stay),
        TEST(a_dying_emulator_domain_is_not_waited_for),
        TEST(claimed_but_never_bound),
        TEST(a_server_whose_ports_nobody_binds),
        TEST(each_server_has_a_time_of_its_own),
        TEST(the_place_of_one_given_up_is_free_again),
        TEST(destroyed_by_a_new_device_model),
        TEST(a_dying_domain_is_left_alone),
        TEST(a_domain_without_bridges_keeps_its_servers),
    };

    return RUN(tests);
}
