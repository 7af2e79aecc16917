/* SPDX-License-Identifier: GPL-2.0-only */
/* What one device model has of a bridge no other one can take, unless its owner has died. */
#include "fixture.h"

#define MEMORY XEN_DMOP_IO_RANGE_MEMORY
#define PCI XEN_DMOP_IO_RANGE_PCI

static int map(unsigned int id, unsigned int type, uint64_t first, uint64_t last)
{
    return server_map(&machine.guest, id, type, first, last);
}

static bool exists(unsigned int id)
{
    return machine.guest.ioreq_server.server[id] != NULL;
}

static void ranges_that_overlap(void **state)
{
    const unsigned int owner = machine_server(&machine), other = machine_server(&machine);
    const struct bridge *b = machine_bridge(&machine, 0), *plain = machine_bridge(&machine, MACHINE_PLAIN);
    const uint64_t bases[] = {b->ecam.base + 0x8000, b->memory.base + 0x8000, b->prefetch.base + 0x8000,
                              plain->prefetch.base + 0x1000};
    unsigned int i;

    (void)state;
    for (i = 0; i < ARRAY_SIZE(bases); i++) {
        const uint64_t first = bases[i], last = first + 0xfff;

        assert_int_equal(map(owner, MEMORY, first, last), 0);
        assert_int_equal(map(other, MEMORY, first, last), -EEXIST);
        assert_int_equal(map(other, MEMORY, first - 4, first), -EEXIST);
        assert_int_equal(map(other, MEMORY, last, last + 4), -EEXIST);
        assert_int_equal(map(other, MEMORY, first + 8, first + 8), -EEXIST);
        assert_int_equal(map(other, MEMORY, 0, ~0ull), -EEXIST);
        assert_forwarded(first, IOREQ_TYPE_COPY, first);
        assert_int_equal(machine.guest_vcpu[0].io.server, owner);
        assert_int_equal(map(other, MEMORY, first - 4, first - 1), 0);
        assert_int_equal(map(other, MEMORY, last + 1, last + 4), 0);
        assert_int_equal(server_unmap(&machine.guest, owner, MEMORY, first, last), 0);
        assert_int_equal(map(other, MEMORY, first, last), 0);
    }
}

/* The part of a range that is in a window is what counts, wherever it begins. */
static void ranges_that_begin_before_a_window(void **state)
{
    const unsigned int owner = machine_server(&machine), other = machine_server(&machine);
    const struct bridge *b = machine_bridge(&machine, 0);

    (void)state;
    assert_int_equal(map(owner, MEMORY, b->memory.base - 0x1000, b->memory.base), 0);
    assert_int_equal(map(other, MEMORY, b->memory.base - 0x2000, b->memory.base - 1), 0);
    assert_int_equal(map(other, MEMORY, b->memory.base, b->memory.base), -EEXIST);
    assert_int_equal(map(other, MEMORY, b->memory.base + 1, b->memory.base + 0xfff), 0);
}

static void ranges_elsewhere_are_as_ever(void **state)
{
    const unsigned int first = machine_server(&machine), second = machine_server(&machine);

    (void)state;
    assert_int_equal(map(first, MEMORY, 0x1000, 0x1fff), 0);
    assert_int_equal(map(second, MEMORY, 0x1000, 0x1fff), 0);
    assert_int_equal(map(first, XEN_DMOP_IO_RANGE_PORT, machine_bridge(&machine, 0)->memory.base,
                         machine_bridge(&machine, 0)->memory.base), 0);
    assert_int_equal(map(second, MEMORY, machine_bridge(&machine, 0)->memory.base,
                         machine_bridge(&machine, 0)->memory.base), 0);
}

static void functions_below_anothers_ecam(void **state)
{
    const unsigned int owner = machine_server(&machine), other = machine_server(&machine);
    const uint64_t ecam = machine_bridge(&machine, 0)->ecam.base;

    (void)state;
    assert_int_equal(map(owner, MEMORY, ecam + 0x8000, ecam + 0xafff), 0);
    assert_int_equal(map(other, PCI, 0x07, 0x07), 0);
    assert_int_equal(map(other, PCI, 0x08, 0x08), -EEXIST);
    assert_int_equal(map(other, PCI, 0x0a, 0x0a), -EEXIST);
    assert_int_equal(map(other, PCI, 0x0b, 0x0b), 0);
    assert_int_equal(map(other, PCI, 0x10008, 0x10008), 0); /* of another bridge */
    assert_int_equal(map(owner, PCI, 0x09, 0x09), 0);       /* as QEMU does, that claims both */
    assert_forwarded(ecam + 0x9000, IOREQ_TYPE_PCI_CONFIG, 9ull << 32);
    assert_forwarded(ecam + 0x8000, IOREQ_TYPE_COPY, ecam + 0x8000);
}

static void an_ecam_over_anothers_function(void **state)
{
    const unsigned int owner = machine_server(&machine), other = machine_server(&machine);
    const uint64_t ecam = machine_bridge(&machine, 0)->ecam.base;

    (void)state;
    assert_int_equal(map(owner, PCI, 0x1f8, 0x1f8), 0);
    assert_int_equal(map(other, MEMORY, ecam, ecam + machine_bridge(&machine, 0)->ecam.size - 1), -EEXIST);
    assert_int_equal(map(other, MEMORY, ecam + 0x1f8fff, ecam + 0x1f8fff), -EEXIST);
    assert_int_equal(map(other, MEMORY, ecam, ecam + 0x1f7fff), 0);
    assert_int_equal(map(other, MEMORY, ecam + 0x1f9000, ecam + 0x1fffff), 0);
    assert_int_equal(map(owner, MEMORY, ecam + 0x1f8000, ecam + 0x1f8fff), 0);
}

static void a_dead_servers_claims_are_its_successors(void **state)
{
    const unsigned int dead = machine_server_of(&machine, 0);
    const struct bridge *b = machine_bridge(&machine, 0);
    unsigned int id;

    (void)state;
    assert_int_equal(machine_ready(&machine, 0, dead, 1), 0);
    assert_int_equal(machine_bind(&machine, 0, dead, b->memory.base, 4, NULL), 0);
    assert_int_equal(guest_read(&machine, b->ecam.base, 4).state, IO_RETRY);
    server_emulator_dies(&machine.guest, &machine.dom0);
    id = machine_server(&machine);
    assert_true(exists(dead));
    assert_int_equal(map(id, PCI, 0x08, 0x08), 0);
    assert_false(exists(dead));
    assert_true(console_says("ioreq server 0: its device model is gone, destroyed"));
    assert_null(machine_request(&machine)); /* what waited was answered */
    machine_answer(&machine, 0);
    assert_int_equal(machine.pci->nr_doorbells, 0);
    assert_int_equal(machine_status(&machine, 0, BRIDGE_STATUS_STATE), 0);
    assert_forwarded(b->ecam.base + 0x8000, IOREQ_TYPE_PCI_CONFIG, 8ull << 32);
    assert_background(b->memory.base);
}

static void two_dead_ones_in_the_way_of_one(void **state)
{
    const unsigned int first = machine_function_server(&machine), second = machine_function_server(&machine);
    const struct bridge_window *ecam = &machine_bridge(&machine, 0)->ecam;

    (void)state;
    server_emulator_dies(&machine.guest, &machine.dom0);
    assert_int_equal(map(machine_server(&machine), MEMORY, ecam->base, ecam->base + ecam->size - 1), 0);
    assert_false(exists(first));
    assert_false(exists(second));
}

/* A dead one is in a window that is looked at first, a live one in another. */
static void a_claim_that_is_refused_takes_nobody_down(void **state)
{
    const unsigned int dead = machine_function_server(&machine);
    const uint64_t prefetch = machine_bridge(&machine, 0)->prefetch.base;
    unsigned int other;

    (void)state;
    server_emulator_dies(&machine.guest, &machine.dom0);
    assert_int_equal(map(machine_server(&machine), MEMORY, prefetch, prefetch + 0xfff), 0);
    other = machine_server(&machine);
    assert_int_equal(map(other, MEMORY, 0, ~0ull), -EEXIST);
    assert_true(exists(dead));
    faults.rangeset = 0;
    assert_int_equal(map(other, MEMORY, 0, prefetch - 1), -ENOMEM);
    assert_true(exists(dead));
    assert_int_equal(map(other, MEMORY, 0, prefetch - 1), 0);
    assert_false(exists(dead));
}

static void a_dead_server_of_another_domain_is_not_ours(void **state)
{
    const uint64_t gpa = machine_bridge(&machine, 0)->memory.base;
    unsigned int dead;

    (void)state;
    machine_be(&machine, &machine.other);
    dead = machine_server_of(&machine, 0);
    server_emulator_dies(&machine.guest, &machine.other);
    machine_be(&machine, &machine.dom0);
    assert_int_equal(map(machine_server(&machine), MEMORY, gpa, gpa), -EEXIST);
    assert_true(exists(dead));
}

/* It cannot be told from one whose device model was killed: it has the hold time. */
static void one_that_just_starts_is_not_dead(void **state)
{
    const uint64_t gpa = machine_bridge(&machine, 0)->memory.base;
    const int starting = server_create(&machine.guest);
    const unsigned int other = machine_server(&machine);

    (void)state;
    assert_int_equal(map((unsigned int)starting, MEMORY, gpa, gpa), 0);
    assert_int_equal(map(other, MEMORY, gpa, gpa), -EEXIST);
    assert_int_equal(server_bind(&machine.guest, (unsigned int)starting), 0);
    assert_int_equal(map(other, MEMORY, gpa, gpa), -EEXIST);
    server_emulator_dies(&machine.guest, &machine.dom0);
    assert_int_equal(server_bind(&machine.guest, other), 0);
    assert_int_equal(map(other, MEMORY, gpa, gpa), 0);
    assert_false(exists((unsigned int)starting));
}

static void one_that_is_being_adopted_is_not_dead(void **state)
{
    const uint64_t gpa = machine_bridge(&machine, 0)->memory.base;
    const unsigned int id = machine_server_of(&machine, 0);
    uint32_t server;

    (void)state;
    assert_int_equal(machine_ready(&machine, 0, id, 1), 0);
    server_emulator_dies(&machine.guest, &machine.dom0);
    assert_int_equal(machine_adopt(&machine, 0, &server), 0);
    assert_int_equal(map(machine_server(&machine), MEMORY, gpa, gpa), -EEXIST);
    assert_true(exists(id));
    assert_int_equal(server_bind(&machine.guest, id), 0);
    tasklets_run();
    server_emulator_dies(&machine.guest, &machine.dom0);
    assert_int_equal(map(machine_server(&machine), MEMORY, gpa, gpa), 0);
    assert_false(exists(id));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(ranges_that_overlap),
        TEST(ranges_that_begin_before_a_window),
        TEST(ranges_elsewhere_are_as_ever),
        TEST(functions_below_anothers_ecam),
        TEST(an_ecam_over_anothers_function),
        TEST(a_dead_servers_claims_are_its_successors),
        TEST(two_dead_ones_in_the_way_of_one),
        TEST(a_claim_that_is_refused_takes_nobody_down),
        TEST(a_dead_server_of_another_domain_is_not_ours),
        TEST(one_that_just_starts_is_not_dead),
        TEST(one_that_is_being_adopted_is_not_dead),
    };

    return RUN(tests);
}
