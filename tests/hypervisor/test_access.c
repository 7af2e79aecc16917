/* SPDX-License-Identifier: GPL-2.0-only */
/* One access, in the order in which it is looked at: service area, claims, background. */
#include "fixture.h"

static const unsigned int sizes[] = {1, 2, 4, 8};

/* The status page as bytes. */
static uint8_t status_byte(unsigned int offset, uint32_t state, uint32_t generation, uint32_t flags)
{
    const uint32_t registers[] = {BRIDGE_STATUS_MAGIC_VALUE, BRIDGE_STATUS_VERSION_VALUE, state, generation, flags};

    return offset / 4 < ARRAY_SIZE(registers) ? (uint8_t)(registers[offset / 4] >> (8 * (offset % 4))) : 0;
}

static void no_bridges(void **state)
{
    struct ioreq_pci *pci = machine.pci;

    (void)state;
    machine.guest.arch.ioreq_pci = NULL;
    assert_int_equal(guest_read(&machine, 0x40000000, 4).state, IO_UNHANDLED);
    assert_int_equal(guest_write(&machine, 0x40000000, 4, 0), IO_UNHANDLED);
    machine.guest.arch.ioreq_pci = pci;
}

static void outside_of_all_windows(void **state)
{
    unsigned int i;

    (void)state;
    for (i = 0; i < machine.pci->nr_bridges; i++) {
        const struct bridge *b = machine_bridge(&machine, i);
        const uint64_t addresses[] = {0, ~0ull, b->ecam.base - 1, b->ecam.base + b->ecam.size, b->memory.base - 1,
                                      b->memory.base + b->memory.size, b->prefetch.base - 1,
                                      b->prefetch.base + b->prefetch.size};
        unsigned int j;

        for (j = 0; j < ARRAY_SIZE(addresses); j++) {
            const struct result result = guest_read(&machine, addresses[j], 4);

            assert_int_equal(result.state, IO_UNHANDLED);
            assert_int_equal(result.value, MACHINE_POISON);
        }
    }
}

static void background_of_every_window(void **state)
{
    unsigned int i, j;

    (void)state;
    for (i = 0; i < machine.pci->nr_bridges; i++) {
        const struct bridge *b = machine_bridge(&machine, i);
        const uint64_t ecam = i == MACHINE_PLAIN ? b->memory.base : b->ecam.base;
        const uint64_t addresses[] = {ecam, i == MACHINE_PLAIN ? b->memory.base : ecam + b->ecam.size - 8,
                                      b->memory.base,
                                      i == MACHINE_PLAIN ? b->memory.base + b->memory.size - 8 :
                                      bridge_v2m_base(b) - 8,
                                      b->prefetch.size ? b->prefetch.base : ecam,
                                      b->prefetch.size ? b->prefetch.base + b->prefetch.size - 8 : ecam};

        for (j = 0; j < ARRAY_SIZE(addresses) * ARRAY_SIZE(sizes); j++) {
            const uint64_t address = addresses[j / ARRAY_SIZE(sizes)];
            const unsigned int size = sizes[j % ARRAY_SIZE(sizes)];

            assert_read(address, size, all_ones(size));
            assert_int_equal(guest_read_signed(&machine, address, size).value, ~0ull);
            assert_int_equal(guest_write(&machine, address, size, 0x1234), IO_HANDLED);
        }
    }
    assert_null(machine_request(&machine));
}

static void service_area_every_size_and_offset(void **state)
{
    const struct bridge *b = machine_bridge(&machine, 1);
    const uint64_t base = bridge_status_base(b);
    const unsigned int id = machine_function_server(&machine);
    unsigned int offset, i, byte;

    (void)state;
    assert_int_equal(machine_ready(&machine, 1, id, 1), 0);
    for (offset = 0; offset < 0x40; offset++) {
        for (i = 0; i < ARRAY_SIZE(sizes); i++) {
            uint64_t expected = 0;

            for (byte = 0; byte < sizes[i]; byte++) {
                expected |= (uint64_t)status_byte(offset + byte, 1, 1, 0) << (8 * byte);
            }
            assert_read(base + offset, sizes[i], expected);
        }
    }
    for (i = 0; i < ARRAY_SIZE(sizes); i++) {
        assert_read(base + BRIDGE_STATUS_SIZE - 8, sizes[i], 0);
        assert_read(bridge_v2m_base(b), sizes[i], 0);
        assert_read(base - 8, sizes[i], 0);
        assert_int_equal(guest_write(&machine, base, sizes[i], ~0ull), IO_HANDLED);
    }
    assert_read(bridge_v2m_base(b) + 0xfcc, 4, 0); /* MSI_IIDR, which drivers read first */
    assert_read(base, 4, BRIDGE_STATUS_MAGIC_VALUE);
}

static void service_area_is_signed_when_asked_so(void **state)
{
    const uint64_t base = bridge_status_base(machine_bridge(&machine, 0));

    (void)state;
    assert_int_equal(guest_read_signed(&machine, base, 1).value, 0x53); /* 'S' */
    machine.pci->bridge[0].generation = 0x80000000;
    assert_int_equal(guest_read_signed(&machine, base + BRIDGE_STATUS_GENERATION, 4).value, 0xffffffff80000000ull);
    assert_int_equal(guest_read(&machine, base + BRIDGE_STATUS_GENERATION, 4).value, 0x80000000);
}

static void service_area_is_not_a_servers(void **state)
{
    const struct bridge *b = machine_bridge(&machine, 0);
    const unsigned int id = machine_server_of(&machine, 0);

    (void)state;
    assert_read(bridge_status_base(b), 4, BRIDGE_STATUS_MAGIC_VALUE);
    assert_read(bridge_v2m_base(b) + 0x40, 4, 0);
    assert_int_equal(guest_write(&machine, bridge_v2m_base(b) + 0x40, 4, 48), IO_HANDLED);
    assert_null(machine_request(&machine));
    assert_int_equal(server_destroy(&machine.guest, id), 0);
}

static void status_shows_flags_and_states(void **state)
{
    const unsigned int id = machine_function_server(&machine);

    (void)state;
    assert_int_equal(machine_status(&machine, 0, BRIDGE_STATUS_FLAGS), BRIDGE_FLAG_HOLD);
    assert_int_equal(machine_status(&machine, 0, BRIDGE_STATUS_STATE), 0);
    assert_int_equal(machine_status(&machine, 0, BRIDGE_STATUS_GENERATION), 0);
    assert_int_equal(machine_ready(&machine, 0, id, 1), 0);
    assert_int_equal(machine_status(&machine, 0, BRIDGE_STATUS_STATE), BRIDGE_STATUS_STATE_READY);
    assert_int_equal(machine_status(&machine, 0, BRIDGE_STATUS_GENERATION), 1);
    assert_int_equal(machine_status(&machine, 1, BRIDGE_STATUS_STATE), 0);
    assert_int_equal(machine_ready(&machine, 0, id, 0), 0);
    assert_int_equal(machine_status(&machine, 0, BRIDGE_STATUS_STATE), 0);
    assert_int_equal(machine_status(&machine, 0, BRIDGE_STATUS_GENERATION), 1);
}

static void memory_claim_is_forwarded(void **state)
{
    const struct bridge *b = machine_bridge(&machine, 0);
    const unsigned int id = machine_server_of(&machine, 0);

    (void)state;
    assert_forwarded(b->ecam.base + 0x8000, IOREQ_TYPE_COPY, b->ecam.base + 0x8000);
    assert_forwarded(b->memory.base, IOREQ_TYPE_COPY, b->memory.base);
    assert_forwarded(b->prefetch.base + 0x1000, IOREQ_TYPE_COPY, b->prefetch.base + 0x1000);
    assert_int_equal(guest_write(&machine, b->memory.base + 4, 2, 0xabcd), IO_RETRY);
    assert_int_equal(machine_request(&machine)->dir, IOREQ_WRITE);
    assert_int_equal(machine_request(&machine)->size, 2);
    assert_int_equal(machine_request(&machine)->data, 0xabcd);
    machine_answer(&machine, 0);
    /* The other bridge is nobody's. */
    assert_background(machine_bridge(&machine, 1)->memory.base);
    assert_int_equal(server_enable(&machine.guest, id, false), 0);
    assert_background(b->memory.base);
}

static void function_claim_comes_before_memory_claim(void **state)
{
    const struct bridge *b = machine_bridge(&machine, 1);
    const unsigned int id = machine_server_of(&machine, 1);
    const uint64_t bdf = 0x1a5; /* 01:14.5 */
    const uint64_t gpa = b->ecam.base + bdf * BRIDGE_ECAM_FUNCTION;

    (void)state;
    assert_int_equal(server_map(&machine.guest, id, XEN_DMOP_IO_RANGE_PCI, 0x10000 | bdf, 0x10000 | bdf), 0);
    assert_forwarded(gpa + 0x104, IOREQ_TYPE_PCI_CONFIG, (uint64_t)(0x10000 | bdf) << 32 | 0x104);
    assert_forwarded(gpa + 0xffc, IOREQ_TYPE_PCI_CONFIG, (uint64_t)(0x10000 | bdf) << 32 | 0xffc);
    assert_forwarded(gpa - 4, IOREQ_TYPE_COPY, gpa - 4);
    assert_forwarded(gpa + 0x1000, IOREQ_TYPE_COPY, gpa + 0x1000);
    /* Beyond the end of the function: not a configuration access of it. */
    assert_int_equal(guest_read(&machine, gpa + 0xffe, 4).state, IO_RETRY);
    assert_int_equal(machine_request(&machine)->type, IOREQ_TYPE_COPY);
    machine_answer(&machine, 0);
    assert_forwarded(b->memory.base, IOREQ_TYPE_COPY, b->memory.base);
}

static void function_of_a_server_that_cannot_answer_yet(void **state)
{
    const struct bridge *b = machine_bridge(&machine, 0);
    const unsigned int id = (unsigned int)server_create(&machine.guest);

    (void)state;
    assert_int_equal(server_map(&machine.guest, id, XEN_DMOP_IO_RANGE_PCI, 8, 8), 0);
    assert_background(b->ecam.base + 0x8000);
    assert_int_equal(server_enable(&machine.guest, id, true), 0);
    assert_background(b->ecam.base + 0x8000); /* its page is not mapped */
    assert_int_equal(server_map_page(&machine.guest, id), 0);
    assert_forwarded(b->ecam.base + 0x8000, IOREQ_TYPE_PCI_CONFIG, 8ull << 32);
    assert_int_equal(server_enable(&machine.guest, id, false), 0);
    assert_background(b->ecam.base + 0x8000);
}

/* Accesses of all kinds to all places, answered by nobody, or by a server that does not matter here. */
static void a_guest_cannot_fill_the_console(void **state)
{
    unsigned int i, j;

    (void)state;
    console.lines = 0;
    for (i = 0; i < 1000 * machine.pci->nr_bridges; i++) {
        const struct bridge *b = machine_bridge(&machine, i % machine.pci->nr_bridges);
        const uint64_t addresses[] = {b->ecam.base + i * 8, b->memory.base + i * 8, b->prefetch.base + i * 8,
                                      b->memory.base + b->memory.size - 4 - i % 8, bridge_v2m_base(b) + i,
                                      bridge_status_base(b) + i, b->memory.base - 4, ~0ull - i};

        for (j = 0; j < ARRAY_SIZE(addresses); j++) {
            guest_read(&machine, addresses[j], sizes[i % ARRAY_SIZE(sizes)]);
            guest_write(&machine, addresses[j], sizes[i % ARRAY_SIZE(sizes)], ~0ull);
        }
    }
    assert_int_equal(console.lines, 0);
}

static void plain_ranges_have_no_service_area(void **state)
{
    const struct bridge *b = machine_bridge(&machine, MACHINE_PLAIN);
    const unsigned int id = machine_server(&machine);
    const uint64_t last = b->memory.base + b->memory.size - 4;

    (void)state;
    assert_background(last);
    assert_int_equal(guest_read(&machine, b->memory.base + b->memory.size, 4).state, IO_UNHANDLED);
    assert_int_equal(server_map(&machine.guest, id, XEN_DMOP_IO_RANGE_MEMORY, b->memory.base, last + 3), 0);
    assert_forwarded(last, IOREQ_TYPE_COPY, last);
    assert_int_equal(machine_bind(&machine, MACHINE_PLAIN, id, last, 4, NULL), 0);
    assert_int_equal(guest_write(&machine, last, 4, 0), IO_HANDLED);
    assert_int_equal(server_map(&machine.guest, id, XEN_DMOP_IO_RANGE_PCI, 0x20000, 0x20000), -EINVAL);
}

static void select_without_bridges(void **state)
{
    struct ioreq_pci *pci = machine.pci;
    ioreq_t request = {.type = IOREQ_TYPE_COPY, .addr = machine_bridge(&machine, 0)->ecam.base, .size = 4};

    (void)state;
    machine.guest.arch.ioreq_pci = NULL;
    assert_null(ioreq_pci_select(&machine.guest, &request));
    machine.guest.arch.ioreq_pci = pci;
    assert_null(ioreq_pci_select(&machine.guest, &request)); /* claimed by nobody */
    request.addr = 0;
    assert_null(ioreq_pci_select(&machine.guest, &request));
    request.addr = machine_bridge(&machine, 0)->memory.base;
    assert_null(ioreq_pci_select(&machine.guest, &request));
}

static void cache_maintenance_is_ignored(void **state)
{
    const struct bridge *b = machine_bridge(&machine, 0);
    /* The syndrome is not valid: it names neither register nor size. */
    const struct hsr_dabt dabt = {.valid = 0, .cache = 1, .write = 1};
    const struct hsr_dabt dabt_read = {.valid = 0, .cache = 1, .write = 0};
    const uint64_t addresses[] = {b->ecam.base, b->ecam.base + 0x8000, b->memory.base, bridge_status_base(b),
                                  bridge_v2m_base(b), b->prefetch.base};
    unsigned int i, round, id;

    (void)state;
    for (round = 0; round < 2; round++) {
        for (i = 0; i < ARRAY_SIZE(addresses); i++) {
            struct result result = machine_access(&machine, dabt, INSTR_CACHE, addresses[i], MACHINE_POISON);

            assert_int_equal(result.state, IO_HANDLED);
            assert_int_equal(result.value, MACHINE_POISON);
            result = machine_access(&machine, dabt_read, INSTR_CACHE, addresses[i], MACHINE_POISON);
            assert_int_equal(result.state, IO_HANDLED);
            assert_int_equal(result.value, MACHINE_POISON);
            assert_null(machine_request(&machine));
        }
        if (round == 0) { /* and again when somebody is there */
            id = machine_server_of(&machine, 0);
            assert_int_equal(server_map(&machine.guest, id, XEN_DMOP_IO_RANGE_PCI, 8, 8), 0);
            assert_int_equal(machine_bind(&machine, 0, id, b->memory.base, 1, NULL), 0);
        }
    }
    assert_int_equal(event_pending(&machine.guest, machine.pci->doorbell[0].port), 0);
}

static void a_vcpu_with_a_request_gets_no_second_one(void **state)
{
    const struct bridge *b = machine_bridge(&machine, 0);

    (void)state;
    machine_server_of(&machine, 0);
    assert_int_equal(guest_read(&machine, b->memory.base, 4).state, IO_RETRY);
    assert_int_equal(guest_read(&machine, b->memory.base, 4).state, IO_ABORT);
    machine_answer(&machine, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(no_bridges),
        TEST(outside_of_all_windows),
        TEST(background_of_every_window),
        TEST(service_area_every_size_and_offset),
        TEST(service_area_is_signed_when_asked_so),
        TEST(service_area_is_not_a_servers),
        TEST_WITH_HOLD(status_shows_flags_and_states),
        TEST(memory_claim_is_forwarded),
        TEST(function_claim_comes_before_memory_claim),
        TEST(function_of_a_server_that_cannot_answer_yet),
        TEST(a_guest_cannot_fill_the_console),
        TEST(plain_ranges_have_no_service_area),
        TEST(select_without_bridges),
        TEST(cache_maintenance_is_ignored),
        TEST(a_vcpu_with_a_request_gets_no_second_one),
    };

    return RUN(tests);
}
