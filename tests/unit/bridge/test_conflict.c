/* SPDX-License-Identifier: BSD-2-Clause */
/* A bridge against what is occupied: both parties named, neighbours accepted, the layout with what the guest has. */
#include "fixture.h"

static void range_overlap_names_both(void **state)
{
    const struct bridge bridge = good_bridge();
    struct bridge_diagnosis diagnosis;

    (void)state;
    assert_int_equal(
        bridge_check_range(&bridge, BRIDGE_PROPERTY, "guest RAM", 0x35ffffff, 0x1000, &diagnosis), -EEXIST);
    assert_message(&diagnosis, P "memory_address 0x34000000: 0x34000000-0x35ffffff overlaps guest RAM "
                                 "0x35ffffff-0x36000ffe; move one of them");
    assert_string_equal(diagnosis.other, "guest RAM");
    assert_int_equal(
        bridge_check_range(&bridge, BRIDGE_PROPERTY, "passthrough", 0x0, 0x10000001, &diagnosis), -EEXIST);
    assert_message(&diagnosis, P "ecam_address 0x10000000: 0x10000000-0x10ffffff overlaps passthrough 0x0-0x10000000; "
                                 "move one of them");
}

static void range_inside_and_around(void **state)
{
    const struct bridge bridge = good_bridge();
    struct bridge_diagnosis diagnosis;

    (void)state;
    assert_int_equal(bridge_check_range(&bridge, BRIDGE_PROPERTY, "x", 0x10500000, 1, &diagnosis), -EEXIST);
    assert_int_equal(bridge_check_range(&bridge, BRIDGE_PROPERTY, "x", 0, ~0ull, &diagnosis), -EEXIST);
}

static void range_neighbours_and_size_0(void **state)
{
    const struct bridge bridge = good_bridge();
    struct bridge_diagnosis diagnosis;

    (void)state;
    assert_int_equal(bridge_check_range(&bridge, BRIDGE_PROPERTY, "x", 0x0, 0x10000000, &diagnosis), 0);
    assert_int_equal(bridge_check_range(&bridge, BRIDGE_PROPERTY, "x", 0x11000000, 0x23000000, &diagnosis), 0);
    assert_int_equal(bridge_check_range(&bridge, BRIDGE_PROPERTY, "x", 0x36000000, 1, &diagnosis), 0);
    assert_int_equal(bridge_check_range(&bridge, BRIDGE_PROPERTY, "x", 0x10500000, 0, &diagnosis), 0);
}

static void range_that_wraps_ends_at_the_last_address(void **state)
{
    struct fields fields = good_fields();
    struct bridge bridge;
    struct bridge_diagnosis diagnosis;

    (void)state;
    fields.address_bits = 64;
    fields.ecam_address = 0xffffffffff000000;
    bridge = accepted(&fields);
    assert_int_equal(bridge_check_range(&bridge, BRIDGE_PROPERTY, "x", 0xffffffff00000000, ~0ull, &diagnosis),
                     -EEXIST);
    assert_int_equal(diagnosis.other_last, ~0ull);
    assert_int_equal(bridge_check_range(&bridge, BRIDGE_PROPERTY, "x", 0x9000000000000000, 1, &diagnosis), 0);
}

static void absent_prefetch_overlaps_nothing(void **state)
{
    struct bridge bridge = good_bridge();
    struct bridge_diagnosis diagnosis;

    (void)state;
    assert_int_equal(bridge_check_range(&bridge, BRIDGE_PROPERTY, "x", 0, 0x1000, &diagnosis), 0);
    bridge.prefetch.size = 0x10000;
    assert_int_equal(bridge_check_range(&bridge, BRIDGE_PROPERTY, "x", 0, 0x1000, &diagnosis), -EEXIST);
    assert_string_equal(diagnosis.field, "prefetch_address");
}

static void interrupts(void **state)
{
    const struct bridge bridge = good_bridge();
    struct bridge_diagnosis diagnosis;

    (void)state;
    assert_int_equal(bridge_check_interrupts(&bridge, BRIDGE_PROPERTY, "x", 40, 4, &diagnosis), 0);
    assert_int_equal(bridge_check_interrupts(&bridge, BRIDGE_PROPERTY, "x", 64, 1, &diagnosis), 0);
    assert_int_equal(bridge_check_interrupts(&bridge, BRIDGE_PROPERTY, "x", 50, 0, &diagnosis), 0);
    assert_int_equal(bridge_check_interrupts(&bridge, BRIDGE_PROPERTY, "x", 0, 0xffffffff, &diagnosis), -EEXIST);
    assert_int_equal(bridge_check_interrupts(&bridge, BRIDGE_PROPERTY, "serial@9000000", 63, 2, &diagnosis), -EEXIST);
    assert_message(&diagnosis, P "irq_start 44: 44-63 overlaps serial@9000000 63-64; move one of them");
}

/* A bridge whose ECAM lies where the range begins. */
static int check_layout_at(uint64_t ecam, const struct bridge_guest_layout *layout, struct bridge_diagnosis *diagnosis)
{
    struct fields fields = good_fields();
    struct bridge bridge;

    fields.ecam_size = 0x100000;
    fields.ecam_address = ecam;
    fields.memory_address = 0xfff00000;
    fields.memory_size = 0x100000;
    bridge = accepted(&fields);
    return bridge_check_layout(&bridge, BRIDGE_PROPERTY, layout, diagnosis);
}

static void assert_in_layout(uint64_t ecam, const struct bridge_guest_layout *layout, const char *other)
{
    struct bridge_diagnosis diagnosis;

    assert_int_equal(check_layout_at(ecam, layout, &diagnosis), -EEXIST);
    assert_string_equal(diagnosis.other, other);
}

static void assert_not_in_layout(uint64_t ecam, const struct bridge_guest_layout *layout)
{
    struct bridge_diagnosis diagnosis;

    assert_int_equal(check_layout_at(ecam, layout, &diagnosis), 0);
}

static void layout_gicv2(void **state)
{
    const struct bridge_guest_layout layout = {.gic_version = 2};

    (void)state;
    assert_in_layout(0x03000000, &layout, "the vGIC's distributor");
    assert_not_in_layout(0x03100000, &layout);
}

static void layout_gicv2_cpu_interface(void **state)
{
    const struct bridge_guest_layout layout = {.gic_version = 2};
    struct bridge bridge = good_bridge();
    struct bridge_diagnosis diagnosis;

    (void)state;
    bridge.ecam.base = 0x03003000;
    bridge.ecam.size = 0x1000;
    assert_int_equal(bridge_check_layout(&bridge, BRIDGE_PROPERTY, &layout, &diagnosis), -EEXIST);
    assert_message(&diagnosis, P "ecam_address 0x3003000: 0x3003000-0x3003fff overlaps the vGIC's CPU interface "
                                 "0x3002000-0x3003fff; move one of them");
}

static void layout_gicv3(void **state)
{
    const struct bridge_guest_layout layout = {.gic_version = 3};

    (void)state;
    assert_in_layout(0x03000000, &layout, "the vGIC's distributor");
    assert_in_layout(0x03f00000, &layout, "the vGIC's redistributors");
    assert_not_in_layout(0x04100000, &layout);
}

static void layout_virtio_mmio_acpi_grant_table_magic_pages(void **state)
{
    const struct bridge_guest_layout layout = {.gic_version = 3};

    (void)state;
    assert_in_layout(0x02000000, &layout, "virtio-mmio");
    assert_in_layout(0x20000000, &layout, "the ACPI tables");
    assert_in_layout(0x38f00000, &layout, "the grant table");
    assert_in_layout(0x39000000, &layout, "the magic pages");
    assert_not_in_layout(0x3a000000, &layout);
    assert_not_in_layout(0x37f00000, &layout);
}

static void layout_vpl011_only_when_there(void **state)
{
    const struct bridge_guest_layout with = {.gic_version = 3, .vpl011 = true};
    const struct bridge_guest_layout without = {.gic_version = 3};

    (void)state;
    assert_in_layout(0x22000000, &with, "vpl011");
    assert_not_in_layout(0x22000000, &without);
}

static void layout_vpci_windows_only_when_there(void **state)
{
    const struct bridge_guest_layout with = {.gic_version = 3, .vpci = true};
    const struct bridge_guest_layout without = {.gic_version = 3};

    (void)state;
    assert_in_layout(0x10000000, &with, "vPCI's ECAM");
    assert_in_layout(0x23000000, &with, "vPCI's memory window");
    assert_in_layout(0x100000000, &with, "vPCI's prefetchable window");
    assert_not_in_layout(0x10000000, &without);
    assert_not_in_layout(0x23000000, &without);
    assert_not_in_layout(0x100000000, &without);
}

static void layout_direct_mapped_has_the_grant_table_only(void **state)
{
    const struct bridge_guest_layout layout = {.gic_version = 3, .vpl011 = true, .direct_mapped = true};

    (void)state;
    assert_not_in_layout(0x02000000, &layout);
    assert_not_in_layout(0x03000000, &layout);
    assert_not_in_layout(0x22000000, &layout);
    assert_in_layout(0x38000000, &layout, "the grant table");
}

static void layout_interrupts(void **state)
{
    struct bridge_guest_layout layout = {.gic_version = 3, .vpl011 = true};
    struct fields fields = good_fields();
    struct bridge bridge;
    struct bridge_diagnosis diagnosis;

    (void)state;
    fields.irq_start = 32;
    fields.irq_how_many = 4;
    bridge = accepted(&fields);
    assert_int_equal(bridge_check_layout(&bridge, BRIDGE_PROPERTY, &layout, &diagnosis), -EEXIST);
    assert_message(&diagnosis, P "irq_start 32: 32-35 overlaps vpl011 32-32; move one of them");
    layout.vpl011 = false;
    assert_int_equal(bridge_check_layout(&bridge, BRIDGE_PROPERTY, &layout, &diagnosis), -EEXIST);
    assert_message(&diagnosis, P "irq_start 32: 32-35 overlaps virtio-mmio 33-43; move one of them");
    layout.direct_mapped = true;
    assert_int_equal(bridge_check_layout(&bridge, BRIDGE_PROPERTY, &layout, &diagnosis), 0);
}

static void layout_ranges_are_listed_in_rising_order(void **state)
{
    const struct bridge_guest_layout layouts[] = {
        {.gic_version = 2, .vpl011 = true, .vpci = true}, {.gic_version = 3, .vpl011 = true, .vpci = true}};
    const unsigned int counts[] = {10, 10};

    (void)state;
    for (unsigned int i = 0; i < 2; i++) {
        struct bridge_layout_range range;
        uint64_t end = 0;
        unsigned int count = 0;
        unsigned int cursor = 0;

        while (bridge_layout_next(&layouts[i], &cursor, &range)) {
            assert_true(range.base >= end);
            end = range.base + range.size;
            count++;
        }
        assert_int_equal(count, counts[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(range_overlap_names_both),
        cmocka_unit_test(range_inside_and_around),
        cmocka_unit_test(range_neighbours_and_size_0),
        cmocka_unit_test(range_that_wraps_ends_at_the_last_address),
        cmocka_unit_test(absent_prefetch_overlaps_nothing),
        cmocka_unit_test(interrupts),
        cmocka_unit_test(layout_gicv2),
        cmocka_unit_test(layout_gicv2_cpu_interface),
        cmocka_unit_test(layout_gicv3),
        cmocka_unit_test(layout_virtio_mmio_acpi_grant_table_magic_pages),
        cmocka_unit_test(layout_vpl011_only_when_there),
        cmocka_unit_test(layout_vpci_windows_only_when_there),
        cmocka_unit_test(layout_direct_mapped_has_the_grant_table_only),
        cmocka_unit_test(layout_interrupts),
        cmocka_unit_test(layout_ranges_are_listed_in_rising_order),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
