/* SPDX-License-Identifier: BSD-2-Clause */
/* The property's rules: each one broken alone, with the whole message; each limit reached, and accepted. */
#include "fixture.h"

/* Of struct bridge, without the padding that follows its last field. */
#define BRIDGE_BYTES (offsetof(struct bridge, backend) + sizeof(((struct bridge *)0)->backend))

static void good_binding_is_read_field_by_field(void **state)
{
    struct fields fields = good_fields();
    struct bridge bridge;

    (void)state;
    fields.prefetch_address = 0x4000000000;
    fields.prefetch_size = 0x100000000;
    fields.flags = BRIDGE_FLAG_HOLD;
    bridge = accepted(&fields);
    assert_int_equal(bridge.ecam.base, 0x10000000);
    assert_int_equal(bridge.ecam.size, 0x1000000);
    assert_int_equal(bridge.memory.base, 0x34000000);
    assert_int_equal(bridge.memory.size, 0x2000000);
    assert_int_equal(bridge.prefetch.base, 0x4000000000);
    assert_int_equal(bridge.prefetch.size, 0x100000000);
    assert_int_equal(bridge.interrupt_first, 44);
    assert_int_equal(bridge.interrupt_count, 20);
    assert_int_equal(bridge.flags, BRIDGE_FLAG_HOLD);
    assert_int_equal(bridge.hold_ms, BRIDGE_HOLD_MS);
}

static void every_combination_of_parent_cells_reads_the_same(void **state)
{
    (void)state;
    for (unsigned int address_cells = 1; address_cells <= 2; address_cells++) {
        for (unsigned int size_cells = 1; size_cells <= 2; size_cells++) {
            const struct bridge expected = good_bridge();
            struct fields fields = good_fields();
            struct bridge bridge;

            fields.address_cells = address_cells;
            fields.size_cells = size_cells;
            bridge = accepted(&fields);
            assert_memory_equal(&bridge, &expected, BRIDGE_BYTES);
        }
    }
}

static void no_hold_no_hold_time(void **state)
{
    (void)state;
    assert_int_equal(good_bridge().hold_ms, 0);
}

static void parent_cells_0_and_3_are_refused(void **state)
{
    struct fields fields = good_fields();

    (void)state;
    fields.address_cells = 0;
    assert_refused(&fields, P "#address-cells 0: of the parent node must be 1 or 2");
    fields.address_cells = 3;
    assert_refused(&fields, P "#address-cells 3: of the parent node must be 1 or 2");
    fields.address_cells = 2;
    fields.size_cells = 0;
    assert_refused(&fields, P "#size-cells 0: of the parent node must be 1 or 2");
    fields.size_cells = 3;
    assert_refused(&fields, P "#size-cells 3: of the parent node must be 1 or 2");
}

static void parent_cells_huge_are_refused(void **state)
{
    const uint8_t byte = 0;
    struct bridge bridge;
    struct bridge_diagnosis diagnosis;

    (void)state;
    assert_int_equal(read_lone(BRIDGE_PROPERTY, &byte, 1, 0xffffffffu, 1, 40, &bridge, &diagnosis), -EINVAL);
    assert_message(&diagnosis, P "#address-cells 4294967295: of the parent node must be 1 or 2");
    assert_int_equal(read_lone(BRIDGE_PROPERTY, &byte, 1, 2, 0xffffffffu, 40, &bridge, &diagnosis), -EINVAL);
    assert_message(&diagnosis, P "#size-cells 4294967295: of the parent node must be 1 or 2");
}

static void length_empty(void **state)
{
    struct bridge bridge;
    struct bridge_diagnosis diagnosis;

    (void)state;
    assert_int_equal(read_lone(BRIDGE_PROPERTY, "", 0, 2, 2, 40, &bridge, &diagnosis), -EINVAL);
    assert_message(&diagnosis, P "length 0 bytes (0 cells): expected 60 bytes (15 cells) with #address-cells 2 and "
                                 "#size-cells 2");
}

static void length_one_cell_less(void **state)
{
    struct fields fields = good_fields();

    (void)state;
    fields.length = 56;
    assert_refused(&fields, P "length 56 bytes (14 cells): expected 60 bytes (15 cells) with #address-cells 2 and "
                              "#size-cells 2");
}

static void length_one_cell_more(void **state)
{
    struct fields fields = good_fields();

    (void)state;
    fields.length = 40;
    fields.address_cells = 1;
    fields.size_cells = 1;
    assert_refused(&fields, P "length 40 bytes (10 cells): expected 36 bytes (9 cells) with #address-cells 1 and "
                              "#size-cells 1");
}

static void length_of_the_other_cell_sizes(void **state)
{
    struct fields fields = good_fields();

    (void)state;
    fields.length = 36;
    fields.size_cells = 1;
    assert_refused(&fields, P "length 36 bytes (9 cells): expected 48 bytes (12 cells) with #address-cells 2 and "
                              "#size-cells 1");
    fields.address_cells = 1;
    fields.size_cells = 2;
    assert_refused(&fields, P "length 36 bytes (9 cells): expected 48 bytes (12 cells) with #address-cells 1 and "
                              "#size-cells 2");
}

static void length_three_bytes_and_not_whole_cells(void **state)
{
    struct fields fields = good_fields();

    (void)state;
    fields.length = 3;
    assert_refused(&fields, P "length 3 bytes (0 cells): expected 60 bytes (15 cells) with #address-cells 2 and "
                              "#size-cells 2");
    fields.length = 61;
    assert_refused(&fields, P "length 61 bytes (15 cells): expected 60 bytes (15 cells) with #address-cells 2 and "
                              "#size-cells 2");
}

static void string_where_cells_are_expected(void **state)
{
    struct bridge bridge;
    struct bridge_diagnosis diagnosis;

    (void)state;
    assert_int_equal(read_lone(BRIDGE_PROPERTY, "enabled", 8, 1, 1, 40, &bridge, &diagnosis), -EINVAL);
    assert_message(&diagnosis, P "length 8 bytes (2 cells): expected 36 bytes (9 cells) with #address-cells 1 and "
                                 "#size-cells 1");
}

static void property_need_not_be_aligned_in_memory(void **state)
{
    const struct bridge expected = good_bridge();
    uint8_t *storage = malloc(61);
    struct fields fields = good_fields();
    struct bridge bridge;
    struct bridge_diagnosis diagnosis;
    uint8_t *next = storage + 1;

    (void)state;
    assert_non_null(storage);
    next = put_number(next, fields.ecam_address, 2);
    next = put_number(next, fields.ecam_size, 2);
    next = put_number(next, fields.memory_address, 2);
    next = put_number(next, fields.memory_size, 2);
    next = put_number(next, 0, 2);
    next = put_number(next, 0, 2);
    next = put_number(next, fields.irq_start, 1);
    next = put_number(next, fields.irq_how_many, 1);
    put_number(next, 0, 1);
    assert_int_equal(read_lone(BRIDGE_PROPERTY, storage + 1, 60, 2, 2, 40, &bridge, &diagnosis), 0);
    assert_memory_equal(&bridge, &expected, BRIDGE_BYTES);
    free(storage);
}

static void ecam_size_0(void **state)
{
    struct fields fields = good_fields();

    (void)state;
    fields.ecam_size = 0;
    assert_refused(&fields, P "ecam_size 0x0: must be 0x100000 (1 MiB, one bus) to 0x10000000 (256 MiB, 256 buses)");
}

static void ecam_size_above_256_buses(void **state)
{
    struct fields fields = good_fields();

    (void)state;
    fields.ecam_size = 0x10100000;
    assert_refused(&fields,
                   P "ecam_size 0x10100000: must be 0x100000 (1 MiB, one bus) to 0x10000000 (256 MiB, 256 buses)");
    fields.ecam_size = ~0ull;
    assert_refused(&fields, P "ecam_size 0xffffffffffffffff: must be 0x100000 (1 MiB, one bus) to 0x10000000 "
                              "(256 MiB, 256 buses)");
}

static void ecam_size_not_whole_buses(void **state)
{
    struct fields fields = good_fields();

    (void)state;
    fields.ecam_size = 0x180000;
    assert_refused(&fields, P "ecam_size 0x180000: must be a multiple of 0x100000");
}

static void ecam_size_limits_are_accepted(void **state)
{
    struct fields fields = good_fields();

    (void)state;
    fields.ecam_size = 0x100000;
    assert_int_equal(accepted(&fields).ecam.size, 0x100000);
    fields.ecam_size = 0x10000000;
    assert_int_equal(accepted(&fields).ecam.size, 0x10000000);
}

static void ecam_address_not_aligned(void **state)
{
    struct fields fields = good_fields();

    (void)state;
    fields.ecam_address = 0x10080000;
    assert_refused(&fields, P "ecam_address 0x10080000: must be a multiple of 0x100000");
}

static void ecam_address_plus_size_overflows(void **state)
{
    struct fields fields = good_fields();

    (void)state;
    fields.address_bits = 64;
    fields.ecam_address = 0xfffffffffff00000;
    assert_refused(&fields, P "ecam_address 0xfffffffffff00000: the window must end at or below the guest's last "
                              "physical address 0xffffffffffffffff");
    fields.ecam_size = 0x100000;
    assert_int_equal(accepted(&fields).ecam.base, 0xfffffffffff00000);
}

static void ecam_address_beyond_36_40_48_bits(void **state)
{
    static const unsigned int bits[] = {36, 40, 48};
    static const char *const messages[] = {
        P "ecam_address 0x1000000000: the window must end at or below the guest's last physical address 0xfffffffff",
        P "ecam_address 0x10000000000: the window must end at or below the guest's last physical address 0xffffffffff",
        P "ecam_address 0x1000000000000: the window must end at or below the guest's last physical address "
          "0xffffffffffff",
    };

    (void)state;
    for (unsigned int i = 0; i < 3; i++) {
        struct fields fields = good_fields();

        fields.address_bits = bits[i];
        fields.ecam_address = 1ull << bits[i];
        assert_refused(&fields, messages[i]);
        fields.ecam_address -= fields.ecam_size;
        assert_int_equal(accepted(&fields).ecam.base, fields.ecam_address);
    }
}

static void ecam_end_beyond_address_bits(void **state)
{
    struct fields fields = good_fields();

    (void)state;
    fields.ecam_address = 0xffffff00000;
    fields.address_bits = 44;
    assert_refused(&fields, P "ecam_address 0xffffff00000: the window must end at or below the guest's last physical "
                              "address 0xfffffffffff");
}

static void memory_size_0_and_below_1_mib(void **state)
{
    struct fields fields = good_fields();

    (void)state;
    fields.memory_size = 0;
    assert_refused(&fields,
                   P "memory_size 0x0: must be at least 0x100000 (1 MiB; the last 128 KiB are the service area)");
    fields.memory_size = 0xf0000;
    assert_refused(&fields,
                   P "memory_size 0xf0000: must be at least 0x100000 (1 MiB; the last 128 KiB are the service area)");
    fields.memory_size = 0x100000;
    assert_int_equal(accepted(&fields).memory.size, 0x100000);
}

static void memory_size_not_aligned(void **state)
{
    struct fields fields = good_fields();

    (void)state;
    fields.memory_size = 0x101000;
    assert_refused(&fields, P "memory_size 0x101000: must be a multiple of 0x10000");
}

static void memory_address_not_aligned(void **state)
{
    struct fields fields = good_fields();

    (void)state;
    fields.memory_address = 0x34001000;
    assert_refused(&fields, P "memory_address 0x34001000: must be a multiple of 0x10000");
}

static void memory_crosses_4_gib(void **state)
{
    struct fields fields = good_fields();

    (void)state;
    fields.memory_address = 0xfff00000;
    fields.memory_size = 0x200000;
    assert_refused(&fields, P "memory_address 0xfff00000: the window must not cross 4 GiB: it is either 32-bit or "
                              "64-bit memory space");
    fields.memory_size = 0x100000;
    assert_int_equal(accepted(&fields).memory.base, 0xfff00000);
}

static void memory_address_plus_size_overflows(void **state)
{
    struct fields fields = good_fields();

    (void)state;
    fields.memory_size = 0xffffffffffff0000;
    fields.address_bits = 64;
    assert_refused(&fields, P "memory_address 0x34000000: the window must end at or below the guest's last physical "
                              "address 0xffffffffffffffff");
}

static void memory_beyond_address_bits(void **state)
{
    struct fields fields = good_fields();

    (void)state;
    fields.memory_address = 0xfffff00000;
    assert_refused(&fields, P "memory_address 0xfffff00000: the window must end at or below the guest's last physical "
                              "address 0xffffffffff");
}

static void memory_above_4_gib_is_accepted_with_a_warning(void **state)
{
    struct fields fields = good_fields();
    struct bridge bridge = accepted(&fields);
    struct bridge_diagnosis diagnosis;

    (void)state;
    assert_false(bridge_warning(&bridge, BRIDGE_PROPERTY, &diagnosis));
    fields.memory_address = 0x100000000;
    bridge = accepted(&fields);
    assert_true(bridge_warning(&bridge, BRIDGE_PROPERTY, &diagnosis));
    assert_message(&diagnosis, P "memory_address 0x100000000: above 4 GiB: 32-bit BARs find no room; use a window "
                                 "below 4 GiB if the guest has a hole there");
}

static void prefetch_absent(void **state)
{
    (void)state;
    assert_int_equal(good_bridge().prefetch.size, 0);
}

static void prefetch_address_without_size(void **state)
{
    struct fields fields = good_fields();

    (void)state;
    fields.prefetch_address = 0x4000000000;
    assert_refused(&fields,
                   P "prefetch_address 0x4000000000: must be 0, because prefetch_size is 0 (no such window)");
}

static void prefetch_not_aligned(void **state)
{
    struct fields fields = good_fields();

    (void)state;
    fields.prefetch_address = 0x4000000000;
    fields.prefetch_size = 0x1000;
    assert_refused(&fields, P "prefetch_size 0x1000: must be a multiple of 0x10000");
    fields.prefetch_size = 0x10000;
    fields.prefetch_address = 0x4000001000;
    assert_refused(&fields, P "prefetch_address 0x4000001000: must be a multiple of 0x10000");
}

static void prefetch_beyond_address_bits(void **state)
{
    struct fields fields = good_fields();

    (void)state;
    fields.prefetch_address = 0xff00000000;
    fields.prefetch_size = 0x100010000;
    assert_refused(&fields, P "prefetch_address 0xff00000000: the window must end at or below the guest's last "
                              "physical address 0xffffffffff");
    fields.prefetch_size = 0x100000000;
    assert_int_equal(accepted(&fields).prefetch.size, 0x100000000);
}

static void windows_overlap_each_other(void **state)
{
    struct fields fields = good_fields();

    (void)state;
    fields.memory_address = 0x10ff0000;
    assert_refused(&fields, P "memory_address 0x10ff0000: 0x10ff0000-0x12feffff overlaps the ECAM window "
                              "0x10000000-0x10ffffff; move one of them");
    fields = good_fields();
    fields.prefetch_address = 0xff00000;
    fields.prefetch_size = 0x110000;
    assert_refused(&fields, P "prefetch_address 0xff00000: 0xff00000-0x1000ffff overlaps the ECAM window "
                              "0x10000000-0x10ffffff; move one of them");
    fields = good_fields();
    fields.prefetch_address = 0x35ff0000;
    fields.prefetch_size = 0x10000;
    assert_refused(&fields, P "prefetch_address 0x35ff0000: 0x35ff0000-0x35ffffff overlaps the memory window "
                              "0x34000000-0x35ffffff; move one of them");
    fields.prefetch_address = 0x36000000;
    assert_int_equal(accepted(&fields).prefetch.base, 0x36000000);
}

static void irq_start_below_32(void **state)
{
    struct fields fields = good_fields();

    (void)state;
    fields.irq_start = 31;
    assert_refused(&fields, P "irq_start 31: must be the absolute interrupt id of an SPI, 32 to 991");
    fields.irq_start = 32;
    assert_int_equal(accepted(&fields).interrupt_first, 32);
}

static void irq_start_above_991_and_extended_spi(void **state)
{
    struct fields fields = good_fields();

    (void)state;
    fields.irq_start = 992;
    assert_refused(&fields, P "irq_start 992: must be the absolute interrupt id of an SPI, 32 to 991");
    fields.irq_start = 4096;
    assert_refused(&fields, P "irq_start 4096: must be the absolute interrupt id of an SPI, 32 to 991");
    fields.irq_start = 0xffffffff;
    assert_refused(&fields, P "irq_start 4294967295: must be the absolute interrupt id of an SPI, 32 to 991");
}

static void irq_how_many_0_and_3(void **state)
{
    struct fields fields = good_fields();

    (void)state;
    fields.irq_how_many = 0;
    assert_refused(&fields, P "irq_how_many 0: must be at least 4: INTA to INTD, then one for each MSI vector");
    fields.irq_how_many = 3;
    assert_refused(&fields, P "irq_how_many 3: must be at least 4: INTA to INTD, then one for each MSI vector");
    fields.irq_how_many = 4;
    assert_int_equal(bridge_msi_count(&(struct bridge){.interrupt_count = accepted(&fields).interrupt_count}), 0);
}

static void irq_range_overflows(void **state)
{
    struct fields fields = good_fields();

    (void)state;
    fields.irq_start = 988;
    fields.irq_how_many = 5;
    assert_refused(&fields, P "irq_how_many 5: the last SPI of a guest is 991; from irq_start on there are 4");
    fields.irq_how_many = 0xffffffff;
    assert_refused(&fields, P "irq_how_many 4294967295: the last SPI of a guest is 991; from irq_start on there are 4");
    fields.irq_how_many = 4;
    assert_int_equal(accepted(&fields).interrupt_first, 988);
    fields.irq_start = 32;
    fields.irq_how_many = 960;
    assert_int_equal(accepted(&fields).interrupt_count, 960);
}

static void flags_reserved_bits(void **state)
{
    struct fields fields = good_fields();

    (void)state;
    fields.flags = 0x4;
    assert_refused(&fields, P "flags 0x4: reserved bits must be 0; bit 0 is GRANTS, bit 1 is HOLD, together 0x3");
    fields.flags = 0x80000001;
    assert_refused(&fields,
                   P "flags 0x80000001: reserved bits must be 0; bit 0 is GRANTS, bit 1 is HOLD, together 0x3");
    fields.flags = 0x3;
    assert_int_equal(accepted(&fields).flags, 0x3);
}

static void first_broken_field_is_the_one_reported(void **state)
{
    struct fields fields = good_fields();

    (void)state;
    fields.flags = 0x10;
    fields.memory_size = 0;
    assert_refused(&fields,
                   P "memory_size 0x0: must be at least 0x100000 (1 MiB; the last 128 KiB are the service area)");
}

static void message_names_the_property_as_it_is_spelled(void **state)
{
    struct bridge bridge;
    struct bridge_diagnosis diagnosis;

    (void)state;
    assert_int_equal(read_lone(BRIDGE_PROPERTY_IOREQ, "", 0, 1, 1, 40, &bridge, &diagnosis), -EINVAL);
    assert_message(&diagnosis, "secondary-ioreq-pci-host-bridge: length 0 bytes (0 cells): expected 36 bytes "
                               "(9 cells) with #address-cells 1 and #size-cells 1");
}

static void nr_spis_too_small(void **state)
{
    const struct bridge bridge = good_bridge();
    struct bridge_diagnosis diagnosis;

    (void)state;
    assert_int_equal(bridge_check_domain(&bridge, BRIDGE_PROPERTY, true, 31, &diagnosis), -EINVAL);
    assert_message(&diagnosis, P "nr_spis 31: of the domain does not reach the bridge's last interrupt; it must be at "
                                 "least 32");
    assert_int_equal(bridge_check_domain(&bridge, BRIDGE_PROPERTY, true, 0, &diagnosis), -EINVAL);
    assert_int_equal(bridge_check_domain(&bridge, BRIDGE_PROPERTY, true, 32, &diagnosis), 0);
}

static void vcpus_that_a_guest_cannot_have(void **state)
{
    struct bridge_guest_layout layout = {.gic_version = 2};
    struct bridge_diagnosis diagnosis;

    (void)state;
    assert_int_equal(bridge_check_guest(&layout, 1, 0, &diagnosis), 0);
    assert_int_equal(bridge_check_guest(&layout, 8, 0, &diagnosis), 0);
    assert_int_equal(bridge_check_guest(&layout, 9, 0, &diagnosis), -EINVAL);
    assert_message(&diagnosis, "cpus: 9: a guest of a host with this GIC has 1 to 8");
    assert_int_equal(bridge_check_guest(&layout, 0, 0, &diagnosis), -EINVAL);
    assert_message(&diagnosis, "cpus: 0: a guest of a host with this GIC has 1 to 8");
    layout.gic_version = 3;
    assert_int_equal(bridge_check_guest(&layout, 128, 0, &diagnosis), 0);
    assert_int_equal(bridge_check_guest(&layout, 129, 0, &diagnosis), -EINVAL);
    assert_message(&diagnosis, "cpus: 129: a guest of a host with this GIC has 1 to 128");
    assert_int_equal(bridge_check_guest(&layout, 0, 0, &diagnosis), -EINVAL);
    assert_message(&diagnosis, "cpus: 0: a guest of a host with this GIC has 1 to 128");
}

/* What Xen rounds up to more than there are. */
static void nr_spis_too_large(void **state)
{
    const struct bridge_guest_layout layout = {.gic_version = 3};
    struct bridge_diagnosis diagnosis;

    (void)state;
    assert_int_equal(bridge_check_guest(&layout, 1, 960, &diagnosis), 0);
    assert_int_equal(bridge_check_guest(&layout, 1, 961, &diagnosis), -EINVAL);
    assert_message(&diagnosis, "nr_spis: 961: a guest's SPIs end at interrupt 991; it must be at most 960");
}

static void grants_without_enhanced(void **state)
{
    struct fields fields = good_fields();
    struct bridge bridge = accepted(&fields);
    struct bridge_diagnosis diagnosis;

    (void)state;
    assert_int_equal(bridge_check_domain(&bridge, BRIDGE_PROPERTY, false, UINT32_MAX, &diagnosis), 0);
    fields.flags = BRIDGE_FLAG_GRANTS;
    bridge = accepted(&fields);
    assert_int_equal(bridge_check_domain(&bridge, BRIDGE_PROPERTY, true, UINT32_MAX, &diagnosis), 0);
    assert_int_equal(bridge_check_domain(&bridge, BRIDGE_PROPERTY, false, UINT32_MAX, &diagnosis), -EINVAL);
    assert_message(&diagnosis, P "flags 0x1: GRANTS (bit 0) needs the domain's grant table: add xen,enhanced, or "
                                 "clear the bit");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_binding_is_read_field_by_field),
        cmocka_unit_test(every_combination_of_parent_cells_reads_the_same),
        cmocka_unit_test(no_hold_no_hold_time),
        cmocka_unit_test(parent_cells_0_and_3_are_refused),
        cmocka_unit_test(parent_cells_huge_are_refused),
        cmocka_unit_test(length_empty),
        cmocka_unit_test(length_one_cell_less),
        cmocka_unit_test(length_one_cell_more),
        cmocka_unit_test(length_of_the_other_cell_sizes),
        cmocka_unit_test(length_three_bytes_and_not_whole_cells),
        cmocka_unit_test(string_where_cells_are_expected),
        cmocka_unit_test(property_need_not_be_aligned_in_memory),
        cmocka_unit_test(ecam_size_0),
        cmocka_unit_test(ecam_size_above_256_buses),
        cmocka_unit_test(ecam_size_not_whole_buses),
        cmocka_unit_test(ecam_size_limits_are_accepted),
        cmocka_unit_test(ecam_address_not_aligned),
        cmocka_unit_test(ecam_address_plus_size_overflows),
        cmocka_unit_test(ecam_address_beyond_36_40_48_bits),
        cmocka_unit_test(ecam_end_beyond_address_bits),
        cmocka_unit_test(memory_size_0_and_below_1_mib),
        cmocka_unit_test(memory_size_not_aligned),
        cmocka_unit_test(memory_address_not_aligned),
        cmocka_unit_test(memory_crosses_4_gib),
        cmocka_unit_test(memory_address_plus_size_overflows),
        cmocka_unit_test(memory_beyond_address_bits),
        cmocka_unit_test(memory_above_4_gib_is_accepted_with_a_warning),
        cmocka_unit_test(prefetch_absent),
        cmocka_unit_test(prefetch_address_without_size),
        cmocka_unit_test(prefetch_not_aligned),
        cmocka_unit_test(prefetch_beyond_address_bits),
        cmocka_unit_test(windows_overlap_each_other),
        cmocka_unit_test(irq_start_below_32),
        cmocka_unit_test(irq_start_above_991_and_extended_spi),
        cmocka_unit_test(irq_how_many_0_and_3),
        cmocka_unit_test(irq_range_overflows),
        cmocka_unit_test(flags_reserved_bits),
        cmocka_unit_test(first_broken_field_is_the_one_reported),
        cmocka_unit_test(message_names_the_property_as_it_is_spelled),
        cmocka_unit_test(nr_spis_too_small),
        cmocka_unit_test(vcpus_that_a_guest_cannot_have),
        cmocka_unit_test(nr_spis_too_large),
        cmocka_unit_test(grants_without_enhanced),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
