/* SPDX-License-Identifier: GPL-2.0-only */
/* Doorbells: where they may be, what rings them, and when they go. */
#include "fixture.h"

static uint64_t memory(unsigned int offset)
{
    return machine_bridge(&machine, 0)->memory.base + offset;
}

static unsigned int bells(void)
{
    return machine.pci->nr_doorbells;
}

static void a_write_rings_and_does_not_wait(void **state)
{
    const unsigned int id = machine_server_of(&machine, 0);
    const unsigned int sizes[] = {1, 2, 4};
    uint32_t port[3];
    unsigned int i, j;

    (void)state;
    for (i = 0; i < 3; i++) {
        assert_int_equal(machine_bind(&machine, 0, id, memory(0x3000 + 4 * i), sizes[i], &port[i]), 0);
        assert_int_equal(emulator_binds(&machine.guest, port[i], &machine.dom0), 0);
        assert_int_equal(event_pending(&machine.guest, port[i]), 1); /* by the binding */
    }
    for (i = 0; i < 3; i++) {
        assert_int_equal(guest_write(&machine, memory(0x3000 + 4 * i), sizes[i], 7), IO_HANDLED);
        assert_null(machine_request(&machine));
        for (j = 0; j < 3; j++) {
            assert_int_equal(event_pending(&machine.guest, port[j]), i == j);
        }
    }
}

static void nothing_else_rings(void **state)
{
    const unsigned int id = machine_server_of(&machine, 0);
    const struct hsr_dabt unknown = {.valid = 0, .write = 1, .cache = 1, .size = 2};
    uint32_t port;

    (void)state;
    assert_int_equal(machine_bind(&machine, 0, id, memory(0x3000), 4, &port), 0);
    assert_int_equal(emulator_binds(&machine.guest, port, &machine.dom0), 0);
    event_pending(&machine.guest, port);
    assert_int_equal(guest_read(&machine, memory(0x3000), 4).state, IO_RETRY);
    machine_answer(&machine, 0);
    assert_int_equal(guest_write(&machine, memory(0x3000), 2, 0), IO_RETRY);
    machine_answer(&machine, 0);
    assert_int_equal(guest_write(&machine, memory(0x3000), 8, 0), IO_RETRY);
    machine_answer(&machine, 0);
    assert_int_equal(guest_write(&machine, memory(0x3002), 2, 0), IO_RETRY);
    machine_answer(&machine, 0);
    assert_int_equal(guest_write(&machine, memory(0x2ffc), 4, 0), IO_RETRY);
    machine_answer(&machine, 0);
    assert_int_equal(guest_write(&machine, memory(0x3004), 4, 0), IO_RETRY);
    machine_answer(&machine, 0);
    assert_int_equal(machine_access(&machine, unknown, INSTR_CACHE, memory(0x3000), 0).state, IO_HANDLED);
    assert_int_equal(event_pending(&machine.guest, port), 0);
}

static void sizes_and_alignments(void **state)
{
    const unsigned int id = machine_server_of(&machine, 0);
    const uint32_t sizes[] = {0, 3, 5, 8, 16, 0x80000000, ~0u};
    unsigned int i;

    (void)state;
    for (i = 0; i < ARRAY_SIZE(sizes); i++) {
        assert_int_equal(machine_bind(&machine, 0, id, memory(0), sizes[i], NULL), -EINVAL);
    }
    assert_int_equal(machine_bind(&machine, 0, id, memory(1), 2, NULL), -EINVAL);
    assert_int_equal(machine_bind(&machine, 0, id, memory(2), 4, NULL), -EINVAL);
    assert_int_equal(machine_bind(&machine, 0, id, memory(1), 1, NULL), 0);
}

static void only_inside_the_windows(void **state)
{
    const struct bridge *b = machine_bridge(&machine, 0);
    const unsigned int id = machine_server_of(&machine, 0);
    const uint64_t refused[] = {0, b->memory.base - 4, b->memory.base + b->memory.size, bridge_v2m_base(b),
                                bridge_status_base(b), b->memory.base + b->memory.size - 4, b->ecam.base,
                                b->ecam.base + b->ecam.size - 4, b->prefetch.base - 4, ~3ull,
                                machine_bridge(&machine, 1)->memory.base};
    unsigned int i;

    (void)state;
    for (i = 0; i < ARRAY_SIZE(refused); i++) {
        assert_int_equal(machine_bind(&machine, 0, id, refused[i], 4, NULL), -ENXIO);
    }
    assert_int_equal(machine_bind(&machine, 0, id, b->memory.base, 4, NULL), 0);
    assert_int_equal(machine_bind(&machine, 0, id, bridge_v2m_base(b) - 4, 4, NULL), 0);
    assert_int_equal(machine_bind(&machine, 0, id, b->prefetch.base, 4, NULL), 0);
    assert_int_equal(machine_bind(&machine, 0, id, b->prefetch.base + b->prefetch.size - 4, 4, NULL), 0);
    assert_int_equal(guest_write(&machine, b->prefetch.base + b->prefetch.size - 4, 4, 0), IO_HANDLED);
}

static void only_inside_the_servers_own_claim(void **state)
{
    const unsigned int id = machine_server(&machine), other = machine_server(&machine);

    (void)state;
    assert_int_equal(machine_bind(&machine, 0, id, memory(0), 4, NULL), -EPERM);
    assert_int_equal(server_map(&machine.guest, id, XEN_DMOP_IO_RANGE_MEMORY, memory(0), memory(5)), 0);
    assert_int_equal(machine_bind(&machine, 0, other, memory(0), 4, NULL), -EPERM);
    assert_int_equal(machine_bind(&machine, 0, id, memory(4), 4, NULL), -EPERM); /* half of it */
    assert_int_equal(machine_bind(&machine, 0, id, memory(0), 4, NULL), 0);
    assert_int_equal(machine_bind(&machine, 0, id, memory(4), 2, NULL), 0);
    assert_int_equal(machine_bind(&machine, 0, 7, memory(0), 4, NULL), -ENOENT);
    assert_int_equal(machine_bind(&machine, 0, ~0u, memory(0), 4, NULL), -ENOENT);
    machine_be(&machine, &machine.other);
    assert_int_equal(machine_bind(&machine, 0, id, memory(0), 4, NULL), -EPERM);
    assert_int_equal(machine_unbind(&machine, 0, id, memory(0), 4), -EPERM);
    assert_int_equal(machine_unbind(&machine, 0, 7, memory(0), 4), -ENOENT);
}

/* A page of the window that is another server's. */
static unsigned int neighbour_of(unsigned int id, unsigned int offset)
{
    const unsigned int other = machine_server(&machine);

    assert_int_equal(server_unmap(&machine.guest, id, XEN_DMOP_IO_RANGE_MEMORY, memory(offset),
                                  memory(offset + 0xfff)), 0);
    assert_int_equal(server_map(&machine.guest, other, XEN_DMOP_IO_RANGE_MEMORY, memory(offset),
                                memory(offset + 0xfff)), 0);
    return other;
}

static void one_at_an_address(void **state)
{
    const unsigned int id = machine_server_of(&machine, 0), other = neighbour_of(id, 0x1000);

    (void)state;
    assert_int_equal(machine_bind(&machine, 0, id, memory(0x100), 4, NULL), 0);
    assert_int_equal(machine_bind(&machine, 0, id, memory(0x100), 2, NULL), -EEXIST);
    assert_int_equal(machine_bind(&machine, 0, other, memory(0x100), 4, NULL), -EPERM);
    assert_int_equal(machine_bind(&machine, 0, id, memory(0x10a), 2, NULL), 0);
    assert_int_equal(machine_bind(&machine, 0, id, memory(0x108), 2, NULL), 0);
    assert_int_equal(machine_bind(&machine, 0, other, memory(0x1104), 4, NULL), 0);
    assert_int_equal(machine_bind(&machine, 0, id, memory(0xfc), 4, NULL), 0);
    assert_int_equal(bells(), 5);
    assert_int_equal(guest_write(&machine, memory(0x100), 4, 0), IO_HANDLED);
    assert_int_equal(guest_write(&machine, memory(0x10a), 2, 0), IO_HANDLED);
    assert_int_equal(guest_write(&machine, memory(0x108), 4, 0), IO_RETRY); /* neither of two that it covers */
    machine_answer(&machine, 0);
}

static void binding_again_gives_the_same_port(void **state)
{
    const unsigned int id = machine_server_of(&machine, 0);
    uint32_t port, again = 0;

    (void)state;
    assert_int_equal(machine_bind(&machine, 0, id, memory(0x100), 4, &port), 0);
    assert_int_equal(machine_bind(&machine, 0, id, memory(0x100), 4, &again), 0);
    assert_int_equal(port, again);
    assert_int_equal(bells(), 1);
}

#define ONES_OWN (BRIDGE_DOORBELLS - (MAX_NR_IOREQ_SERVERS - 1) * BRIDGE_DOORBELLS_SURE)

static void as_many_as_there_is_room_for(void **state)
{
    const unsigned int id = machine_server_of(&machine, 0);
    uint32_t port[ONES_OWN];
    unsigned int i;

    (void)state;
    for (i = 0; i < ONES_OWN; i++) { /* in an order that is not that of the addresses */
        const unsigned int place = i * 37 % ONES_OWN;

        assert_int_equal(machine_bind(&machine, 0, id, memory(place * 4), 4, &port[place]), 0);
        assert_int_equal(emulator_binds(&machine.guest, port[place], &machine.dom0), 0);
        event_pending(&machine.guest, port[place]);
    }
    assert_int_equal(machine_bind(&machine, 0, id, memory(0x1000), 4, NULL), -ENOSPC);
    assert_int_equal(machine_bind(&machine, 0, id, memory(0x10), 4, NULL), 0); /* it is there already */
    for (i = 0; i < ONES_OWN; i++) {
        assert_int_equal(guest_write(&machine, memory(i * 4), 4, 0), IO_HANDLED);
        assert_int_equal(event_pending(&machine.guest, port[i]), 1);
    }
    assert_int_equal(machine_unbind(&machine, 0, id, memory(0x10), 4), 0);
    assert_int_equal(machine_bind(&machine, 0, id, memory(0x1000), 4, NULL), 0);
    for (i = 0; i < ONES_OWN; i++) {
        assert_int_equal(guest_write(&machine, memory(i * 4), 4, 0), i == 4 ? IO_RETRY : IO_HANDLED);
        if (i == 4) {
            machine_answer(&machine, 0);
        } else {
            assert_int_equal(event_pending(&machine.guest, port[i]), 1);
        }
    }
}

/* 31 devices with four queues each, of one server, have room; and whoever comes later has his share. */
static void one_server_cannot_take_all(void **state)
{
    const unsigned int greedy = machine_server_of(&machine, 0);
    unsigned int taken = 0, server, other, i;

    (void)state;
    while (machine_bind(&machine, 0, greedy, memory(taken * 4), 4, NULL) == 0) {
        taken++;
    }
    assert_int_equal(taken, ONES_OWN);
    assert_true(taken >= 31 * 4);
    for (server = 1; server < MAX_NR_IOREQ_SERVERS; server++) {
        other = neighbour_of(greedy, server * 0x1000);
        for (i = 0; i < BRIDGE_DOORBELLS_SURE; i++) {
            assert_int_equal(machine_bind(&machine, 0, other, memory(server * 0x1000 + i * 4), 4, NULL), 0);
        }
        assert_int_equal(machine_bind(&machine, 0, other, memory(server * 0x1000 + i * 4), 4, NULL), -ENOSPC);
    }
    assert_int_equal(bells(), BRIDGE_DOORBELLS);
    /* What the greedy one gives back is anybody's. */
    assert_int_equal(machine_unbind(&machine, 0, greedy, memory(0), 4), 0);
    assert_int_equal(machine_bind(&machine, 0, other, memory(7 * 0x1000 + i * 4), 4, NULL), 0);
    assert_int_equal(machine_bind(&machine, 0, greedy, memory(0), 4, NULL), -ENOSPC);
    assert_int_equal(bells(), BRIDGE_DOORBELLS);
}

static void without_an_event_channel_there_is_none(void **state)
{
    const unsigned int id = machine_server_of(&machine, 0);

    (void)state;
    faults.event_channel = 0;
    assert_int_equal(machine_bind(&machine, 0, id, memory(0), 4, NULL), -ENOSPC);
    assert_int_equal(bells(), 0);
    assert_int_equal(guest_write(&machine, memory(0), 4, 0), IO_RETRY);
    machine_answer(&machine, 0);
}

static void unbind_what_is_bound(void **state)
{
    const unsigned int id = machine_server_of(&machine, 0), other = neighbour_of(id, 0x1000);

    (void)state;
    assert_int_equal(machine_unbind(&machine, 0, id, memory(0), 4), -ENOENT);
    assert_int_equal(machine_bind(&machine, 0, id, memory(0), 4, NULL), 0);
    assert_int_equal(machine_bind(&machine, 0, id, memory(8), 4, NULL), 0);
    assert_int_equal(machine_unbind(&machine, 0, id, memory(4), 4), -ENOENT);
    assert_int_equal(machine_unbind(&machine, 0, other, memory(8), 4), -ENOENT);
    assert_int_equal(server_unmap(&machine.guest, other, XEN_DMOP_IO_RANGE_MEMORY, memory(0), memory(0xfff)), -ENOENT);
    assert_int_equal(machine_unbind(&machine, 0, id, memory(12), 4), -ENOENT);
    assert_int_equal(machine_unbind(&machine, 0, id, memory(0), 4), 0);
    assert_int_equal(machine_unbind(&machine, 0, id, memory(0), 4), -ENOENT);
    assert_int_equal(bells(), 1);
}

static void they_go_with_the_claim_around_them(void **state)
{
    const unsigned int id = machine_server(&machine), other = machine_server(&machine);
    unsigned int i;

    (void)state;
    assert_int_equal(server_map(&machine.guest, id, XEN_DMOP_IO_RANGE_MEMORY, memory(0), memory(0x3fff)), 0);
    assert_int_equal(server_map(&machine.guest, other, XEN_DMOP_IO_RANGE_MEMORY, memory(0x4000), memory(0x4fff)), 0);
    for (i = 0; i < 4; i++) {
        assert_int_equal(machine_bind(&machine, 0, id, memory(i * 0x1000), 4, NULL), 0);
        assert_int_equal(machine_bind(&machine, 0, other, memory(0x4000 + i * 8), 4, NULL), 0);
    }
    assert_int_equal(server_unmap(&machine.guest, id, XEN_DMOP_IO_RANGE_MEMORY, memory(0x1000), memory(0x2fff)), 0);
    assert_int_equal(bells(), 6);
    assert_int_equal(machine_unbind(&machine, 0, id, memory(0x1000), 4), -ENOENT);
    assert_int_equal(machine_unbind(&machine, 0, id, memory(0x2000), 4), -ENOENT);
    assert_int_equal(machine_unbind(&machine, 0, id, memory(0), 4), 0);
    assert_int_equal(machine_unbind(&machine, 0, id, memory(0x3000), 4), 0);
    assert_int_equal(bells(), 4);
}

static void a_claim_taken_back_in_the_middle_of_one(void **state)
{
    const unsigned int id = machine_server(&machine);

    (void)state;
    assert_int_equal(server_map(&machine.guest, id, XEN_DMOP_IO_RANGE_MEMORY, memory(0), memory(0xfff)), 0);
    assert_int_equal(machine_bind(&machine, 0, id, memory(0x10), 4, NULL), 0);
    assert_int_equal(server_unmap(&machine.guest, id, XEN_DMOP_IO_RANGE_MEMORY, memory(0x12), memory(0xfff)), 0);
    assert_int_equal(bells(), 0);
}

static void they_go_with_the_server(void **state)
{
    const unsigned int id = machine_server_of(&machine, 0), other = neighbour_of(id, 0x1000);

    (void)state;
    assert_int_equal(machine_bind(&machine, 0, id, memory(0), 4, NULL), 0);
    assert_int_equal(machine_bind(&machine, 0, other, memory(0x1004), 4, NULL), 0);
    assert_int_equal(machine_bind(&machine, 0, id, machine_bridge(&machine, 0)->prefetch.base, 4, NULL), 0);
    assert_int_equal(server_destroy(&machine.guest, id), 0);
    assert_int_equal(bells(), 1);
    assert_int_equal(guest_write(&machine, memory(0x1004), 4, 0), IO_HANDLED);
    assert_null(machine_request(&machine));
}

static void without_bridges_there_is_nothing_to_lose(void **state)
{
    const unsigned int id = machine_server(&machine);
    struct ioreq_pci *pci = machine.pci;

    (void)state;
    machine.guest.arch.ioreq_pci = NULL;
    assert_int_equal(server_destroy(&machine.guest, id), 0);
    machine.guest.arch.ioreq_pci = pci;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_write_rings_and_does_not_wait),
        TEST(nothing_else_rings),
        TEST(sizes_and_alignments),
        TEST(only_inside_the_windows),
        TEST(only_inside_the_servers_own_claim),
        TEST(one_at_an_address),
        TEST(binding_again_gives_the_same_port),
        TEST(as_many_as_there_is_room_for),
        TEST(one_server_cannot_take_all),
        TEST(without_an_event_channel_there_is_none),
        TEST(unbind_what_is_bound),
        TEST(they_go_with_the_claim_around_them),
        TEST(a_claim_taken_back_in_the_middle_of_one),
        TEST(they_go_with_the_server),
        TEST(without_bridges_there_is_nothing_to_lose),
    };

    return RUN(tests);
}
