/* SPDX-License-Identifier: GPL-2.0-only */
/* Single functions: who has one, who may not, and what becomes of them. */
#include "fixture.h"

static int claim(unsigned int id, uint64_t sbdf)
{
    return server_map(&machine.guest, id, XEN_DMOP_IO_RANGE_PCI, sbdf, sbdf);
}

static int give_back(unsigned int id, uint64_t first, uint64_t last)
{
    return server_unmap(&machine.guest, id, XEN_DMOP_IO_RANGE_PCI, first, last);
}

static uint64_t gpa_of(unsigned int sbdf)
{
    return machine_bridge(&machine, sbdf >> 16)->ecam.base + (sbdf & 0xffff) * (uint64_t)BRIDGE_ECAM_FUNCTION;
}

static void assert_owner(unsigned int sbdf, unsigned int id)
{
    assert_forwarded(gpa_of(sbdf), IOREQ_TYPE_PCI_CONFIG, (uint64_t)sbdf << 32);
    assert_int_equal(machine.guest_vcpu[0].io.server, id);
}

static void two_servers_share_a_bridge(void **state)
{
    unsigned int first, second;

    (void)state;
    first = machine_server(&machine);
    machine_be(&machine, &machine.other);
    second = machine_server(&machine);
    assert_int_equal(claim(second, 0x10), 0);
    machine_be(&machine, &machine.dom0);
    assert_int_equal(claim(first, 0x08), 0);
    assert_owner(0x08, first);
    assert_owner(0x10, second);
    assert_background(gpa_of(0x18));
}

static void a_function_has_one_owner(void **state)
{
    const unsigned int first = machine_server(&machine), second = machine_server(&machine);

    (void)state;
    assert_int_equal(claim(first, 0x08), 0);
    assert_int_equal(claim(second, 0x08), -EEXIST);
    assert_int_equal(claim(first, 0x08), -EEXIST);
    assert_owner(0x08, first);
    /* It may give it back, and only it. */
    assert_int_equal(give_back(second, 0x08, 0x08), -ENOENT);
    assert_owner(0x08, first);
    assert_int_equal(give_back(first, 0x08, 0x08), 0);
    assert_background(gpa_of(0x08));
    assert_int_equal(claim(second, 0x08), 0);
    assert_owner(0x08, second);
}

/* The 257th range, say: the server has nothing of the bus, neither to say so nor to settle on. */
static void a_claim_that_fails_is_none(void **state)
{
    const unsigned int id = machine_server(&machine), silent = (unsigned int)server_create(&machine.guest);

    (void)state;
    faults.rangeset = 0;
    assert_int_equal(claim(id, 0x08), -ENOMEM);
    assert_int_equal(machine_ready(&machine, 0, id, 1), -ENXIO);
    assert_background(gpa_of(0x08));
    faults.rangeset = 0;
    assert_int_equal(server_map(&machine.guest, id, XEN_DMOP_IO_RANGE_MEMORY, gpa_of(0), gpa_of(1) - 1), -ENOMEM);
    tasklets_run();
    time_advance(SECONDS(10));
    tasklets_run();
    assert_int_equal(machine_status(&machine, 0, BRIDGE_STATUS_STATE), 0);
    assert_int_equal(machine_ready(&machine, 0, id, 1), -ENXIO);
    /* One that has what belongs to no bridge is left alone, whatever it failed to get. */
    assert_int_equal(server_map(&machine.guest, silent, XEN_DMOP_IO_RANGE_MEMORY, 0x1000, 0x1fff), 0);
    faults.rangeset = 0;
    assert_int_equal(claim(silent, 0x08), -ENOMEM);
    tasklets_run();
    time_advance(2 * MILLISECS(BRIDGE_HOLD_MS));
    tasklets_run();
    assert_non_null(machine.guest.ioreq_server.server[silent]);
}

/* On arm32, where what is above 4 GiB would be taken for what is below. */
static void ranges_that_a_rangeset_cannot_hold(void **state)
{
    const unsigned int id = machine_server(&machine);

    (void)state;
    hypervisor_bits_per_long = 32;
    assert_int_equal(server_map(&machine.guest, id, XEN_DMOP_IO_RANGE_MEMORY, 0x1000, 0x100000fff), -EINVAL);
    assert_int_equal(server_map(&machine.guest, id, XEN_DMOP_IO_RANGE_MEMORY, 0x100000000, 0x100000fff), -EINVAL);
    assert_int_equal(server_map(&machine.guest, id, XEN_DMOP_IO_RANGE_MEMORY, 0xfffff000, 0xffffffff), 0);
    hypervisor_bits_per_long = 64;
    assert_int_equal(server_map(&machine.guest, id, XEN_DMOP_IO_RANGE_MEMORY, 0x100000000, ~0ull), 0);
}

static void the_last_function_of_each_bridge(void **state)
{
    const unsigned int id = machine_server(&machine);

    (void)state;
    assert_int_equal(claim(id, 0x001ff), 0); /* two buses */
    assert_int_equal(claim(id, 0x101ff), 0);
    assert_owner(0x001ff, id);
    assert_owner(0x101ff, id);
}

static void functions_that_are_not_there(void **state)
{
    const unsigned int id = machine_server(&machine);
    const uint64_t sbdfs[] = {0x00200, 0x0ffff, 0x10200, 0x1ffff, 0x20000, 0x30000, 0xffff0000, 0x100000000,
                              0x1000000000000, 0x1000000010000, ~0ull};
    unsigned int i;

    (void)state;
    for (i = 0; i < ARRAY_SIZE(sbdfs); i++) {
        assert_int_equal(claim(id, sbdfs[i]), -EINVAL);
    }
    assert_background(gpa_of(0));
}

/* As in a Xen without us: all is kept, and none of it is anybody's business. */
static void in_a_domain_without_bridges(void **state)
{
    const unsigned int id = machine_server(&machine), other = machine_server(&machine);
    struct ioreq_pci *pci = machine.pci;

    (void)state;
    machine.guest.arch.ioreq_pci = NULL;
    assert_int_equal(claim(id, 0x08), 0);
    assert_int_equal(claim(id, 0x08), -EEXIST);
    assert_int_equal(claim(other, 0x08), 0);
    assert_int_equal(server_map(&machine.guest, id, XEN_DMOP_IO_RANGE_PCI, 0x100, ~0ull), 0);
    assert_int_equal(server_map(&machine.guest, id, XEN_DMOP_IO_RANGE_MEMORY, gpa_of(0), gpa_of(8)), 0);
    assert_int_equal(server_map(&machine.guest, other, XEN_DMOP_IO_RANGE_MEMORY, gpa_of(0), gpa_of(8)), 0);
    assert_int_equal(give_back(id, 0x08, 0x08), 0);
    assert_int_equal(server_destroy(&machine.guest, other), 0);
    machine.guest.arch.ioreq_pci = pci;
}

static void ranges_of_functions_are_refused(void **state)
{
    const unsigned int id = machine_server(&machine);

    (void)state;
    assert_int_equal(server_map(&machine.guest, id, XEN_DMOP_IO_RANGE_PCI, 0x08, 0x09), -EINVAL);
    assert_int_equal(server_map(&machine.guest, id, XEN_DMOP_IO_RANGE_PCI, 0, 0xffff), -EINVAL);
    assert_int_equal(server_map(&machine.guest, id, XEN_DMOP_IO_RANGE_PCI, 0, ~0ull), -EINVAL);
    assert_background(gpa_of(0x08));
}

static void several_are_given_back_at_once(void **state)
{
    const unsigned int id = machine_server(&machine), other = machine_server(&machine);
    unsigned int function;

    (void)state;
    for (function = 0; function < 8; function++) {
        assert_int_equal(claim(id, function), 0);
    }
    assert_int_equal(give_back(id, 2, 5), 0);
    for (function = 0; function < 8; function++) {
        if (function >= 2 && function <= 5) {
            assert_background(gpa_of(function));
            assert_int_equal(claim(other, function), 0);
        } else {
            assert_owner(function, id);
        }
    }
}

static void a_claim_that_cannot_be_kept_is_none(void **state)
{
    const unsigned int id = machine_server(&machine);

    (void)state;
    faults.rangeset = 0;
    assert_int_equal(claim(id, 0x08), -ENOMEM);
    assert_background(gpa_of(0x08));
    assert_int_equal(claim(id, 0x08), 0);
    faults.rangeset = 0;
    assert_int_equal(give_back(id, 0x08, 0x08), -ENOMEM);
    assert_owner(0x08, id);
}

static void all_go_with_their_server(void **state)
{
    const unsigned int first = machine_server(&machine), second = machine_server(&machine);

    (void)state;
    assert_int_equal(claim(first, 0x00008), 0);
    assert_int_equal(claim(first, 0x101ff), 0);
    assert_int_equal(claim(second, 0x00009), 0);
    assert_int_equal(server_destroy(&machine.guest, first), 0);
    assert_background(gpa_of(0x00008));
    assert_background(gpa_of(0x101ff));
    assert_owner(0x00009, second);
    assert_int_equal(claim(second, 0x00008), 0);
    assert_owner(0x00008, second);
}

static void other_types_of_range_are_not_functions(void **state)
{
    const unsigned int id = machine_server(&machine);
    struct ioreq_pci *pci = machine.pci;

    (void)state;
    assert_int_equal(claim(id, 0x08), 0);
    assert_int_equal(server_map(&machine.guest, id, XEN_DMOP_IO_RANGE_PORT, 0x08, 0x08), 0);
    assert_int_equal(server_unmap(&machine.guest, id, XEN_DMOP_IO_RANGE_PORT, 0x08, 0x08), 0);
    assert_int_equal(server_map(&machine.guest, id, XEN_DMOP_IO_RANGE_MEMORY, 0x08, 0x08), 0);
    assert_int_equal(server_unmap(&machine.guest, id, XEN_DMOP_IO_RANGE_MEMORY, 0x08, 0x08), 0);
    assert_owner(0x08, id);
    machine.guest.arch.ioreq_pci = NULL;
    assert_int_equal(server_map(&machine.guest, id, XEN_DMOP_IO_RANGE_MEMORY, 0x08, 0x08), 0);
    assert_int_equal(server_unmap(&machine.guest, id, XEN_DMOP_IO_RANGE_MEMORY, 0x08, 0x08), 0);
    machine.guest.arch.ioreq_pci = pci;
    /* What is not there is given back without harm: a rangeset may hold what was claimed elsewhere. */
    ioreq_pci_unmap(&machine.guest, (ioservid_t)id, XEN_DMOP_IO_RANGE_PCI, 0x00200, 0x00200);
    ioreq_pci_unmap(&machine.guest, (ioservid_t)(id + 1), XEN_DMOP_IO_RANGE_PCI, 0x08, 0x08);
    assert_owner(0x08, id);
}

#define assert_clamped(limit, value) \
    do { \
        assert_int_equal(clamp.count, limit); \
        assert_int_equal(clamp.index, value); \
        clamp = (struct clamp){0}; \
    } while (0)

/* A processor that guesses that a check went well must read nothing beyond either. */
static void indexes_that_others_choose_are_clamped(void **state)
{
    const unsigned int id = machine_server(&machine), owners = machine.pci->nr_owners;
    uint32_t server;

    (void)state;
    assert_int_equal(machine_adopt_owner(&machine, 1, 0x1fe, &server), -ENOENT);
    assert_clamped(owners, 0x101fe);
    assert_int_equal(claim(id, 0x101ff), 0);
    assert_clamped(MAX_NR_IOREQ_SERVERS, id);
    assert_int_equal(guest_read(&machine, gpa_of(0x101ff), 4).state, IO_RETRY);
    assert_clamped(owners, 0x101ff);
    machine_answer(&machine, 0);
    assert_int_equal(give_back(id, 0x101ff, 0x101ff), 0);
    assert_clamped(owners, 0x101ff);
    assert_int_equal(machine_ready(&machine, 0, id, 0), 0);
    assert_clamped(MAX_NR_IOREQ_SERVERS, id);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(two_servers_share_a_bridge),
        TEST(a_function_has_one_owner),
        TEST(a_claim_that_fails_is_none),
        TEST(ranges_that_a_rangeset_cannot_hold),
        TEST(the_last_function_of_each_bridge),
        TEST(functions_that_are_not_there),
        TEST(in_a_domain_without_bridges),
        TEST(ranges_of_functions_are_refused),
        TEST(several_are_given_back_at_once),
        TEST(a_claim_that_cannot_be_kept_is_none),
        TEST(all_go_with_their_server),
        TEST(other_types_of_range_are_not_functions),
        TEST(indexes_that_others_choose_are_clamped),
    };

    return RUN(tests);
}
