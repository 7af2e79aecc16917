/* SPDX-License-Identifier: BSD-2-Clause */
/* The guest's nodes, read back with libfdt as a guest would; and a tree that is too small. */
#include "fixture.h"

#include <libfdt.h>

#define TREE_SIZE 8192

static const struct bridge_fdt_context context = {
    .phandle_gic = 0xfde8, .phandle_v2m = 7, .phandle_iommu = 8, .pci_domain = 3};

static uint8_t tree[TREE_SIZE];

static int build(const struct bridge *bridge, size_t size)
{
    int error;

    assert_int_equal(fdt_create(tree, (int)size), 0);
    assert_int_equal(fdt_finish_reservemap(tree), 0);
    assert_int_equal(fdt_begin_node(tree, ""), 0);
    assert_int_equal(fdt_property_cell(tree, "#address-cells", 2), 0);
    assert_int_equal(fdt_property_cell(tree, "#size-cells", 2), 0);
    error = bridge_fdt_nodes(tree, bridge, &context);
    if (error == 0) {
        assert_int_equal(fdt_end_node(tree), 0);
        assert_int_equal(fdt_finish(tree), 0);
        assert_int_equal(fdt_check_full(tree, TREE_SIZE), 0);
    }
    return error;
}

static int built_node(const struct bridge *bridge, const char *path)
{
    int node;

    assert_int_equal(build(bridge, TREE_SIZE), 0);
    node = fdt_path_offset(tree, path);
    assert_true(node >= 0);
    return node;
}

static void assert_cells(int node, const char *name, const uint32_t *cells, size_t count)
{
    int length = 0;
    const fdt32_t *value = fdt_getprop(tree, node, name, &length);

    assert_non_null(value);
    assert_int_equal(length, count * 4);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(fdt32_ld(value + i), cells[i]);
    }
}

static void assert_cell(int node, const char *name, uint32_t cell)
{
    assert_cells(node, name, &cell, 1);
}

static void assert_text(int node, const char *name, const char *text)
{
    int length = 0;
    const char *value = fdt_getprop(tree, node, name, &length);

    assert_non_null(value);
    assert_int_equal(length, strlen(text) + 1);
    assert_string_equal(value, text);
}

static void host_bridge(void **state)
{
    const struct bridge bridge = good_bridge();
    const int node = built_node(&bridge, "/pcie@10000000");
    const uint32_t reg[] = {0, 0x10000000, 0, 0x1000000};
    const uint32_t bus_range[] = {0, 15};
    const uint32_t ranges[] = {0x02000000, 0, 0x34000000, 0, 0x34000000, 0, 0x1fe0000};
    int length = 0;

    (void)state;
    assert_text(node, "compatible", "pci-host-ecam-generic");
    assert_text(node, "device_type", "pci");
    assert_cells(node, "reg", reg, 4);
    assert_cells(node, "bus-range", bus_range, 2);
    assert_cell(node, "#address-cells", 3);
    assert_cell(node, "#size-cells", 2);
    assert_cell(node, "#interrupt-cells", 1);
    assert_cells(node, "ranges", ranges, 7);
    assert_cell(node, "linux,pci-domain", 3);
    assert_cell(node, "msi-parent", 7);
    assert_non_null(fdt_getprop(tree, node, "dma-coherent", &length));
    assert_int_equal(length, 0);
    assert_null(fdt_getprop(tree, node, "iommu-map", &length));
}

static void prefetchable_and_64_bit_ranges(void **state)
{
    struct fields fields = good_fields();
    const uint32_t ranges[] = {0x03000000, 2, 0, 2, 0, 0, 0x1fe0000, 0x43000000, 0x40, 0, 0x40, 0, 1, 0x10000};
    struct bridge bridge;

    (void)state;
    fields.memory_address = 0x200000000;
    fields.prefetch_address = 0x4000000000;
    fields.prefetch_size = 0x100010000;
    bridge = accepted(&fields);
    assert_cells(built_node(&bridge, "/pcie@10000000"), "ranges", ranges, 14);
}

static void interrupt_map_is_swizzled_and_level_high(void **state)
{
    const struct bridge bridge = good_bridge();
    const uint32_t mask[] = {0x1800, 0, 0, 7};
    const int node = built_node(&bridge, "/pcie@10000000");
    const fdt32_t *entry;
    int length = 0;

    (void)state;
    assert_cells(node, "interrupt-map-mask", mask, 4);
    entry = fdt_getprop(tree, node, "interrupt-map", &length);
    assert_non_null(entry);
    assert_int_equal(length, 16 * 8 * 4);
    for (uint32_t device = 0; device < 4; device++) {
        for (uint32_t pin = 1; pin <= 4; pin++) {
            const uint32_t expected[] = {device << 11, 0, 0, pin, 0xfde8, 0, 44 - 32 + (device + pin - 1) % 4, 4};

            for (unsigned int i = 0; i < 8; i++) {
                assert_int_equal(fdt32_ld(entry + i), expected[i]);
            }
            entry += 8;
        }
    }
}

static void v2m_frame(void **state)
{
    const struct bridge bridge = good_bridge();
    const int node = built_node(&bridge, "/v2m@35fe0000");
    const uint32_t reg[] = {0, 0x35fe0000, 0, 0x10000};

    (void)state;
    assert_text(node, "compatible", "arm,gic-v2m-frame");
    assert_cells(node, "reg", reg, 4);
    assert_non_null(fdt_getprop(tree, node, "msi-controller", NULL));
    assert_cell(node, "arm,msi-base-spi", 48);
    assert_cell(node, "arm,msi-num-spis", 16);
    assert_cell(node, "phandle", 7);
}

static void no_msi_vectors_no_v2m_frame(void **state)
{
    struct fields fields = good_fields();
    struct bridge bridge;

    (void)state;
    fields.irq_how_many = 4;
    bridge = accepted(&fields);
    assert_null(fdt_getprop(tree, built_node(&bridge, "/pcie@10000000"), "msi-parent", NULL));
    assert_int_equal(fdt_path_offset(tree, "/v2m@35fe0000"), -FDT_ERR_NOTFOUND);
}

static void status_page(void **state)
{
    const struct bridge bridge = good_bridge();
    const int node = built_node(&bridge, "/ioreq-pci-status@35ff0000");
    const uint32_t reg[] = {0, 0x35ff0000, 0, 0x10000};

    (void)state;
    assert_text(node, "compatible", "xen,ioreq-pci-status");
    assert_cells(node, "reg", reg, 4);
}

/* What a guest makes of iommu-map for a function, bus << 8 | device << 3 | function (Devicetree binding pci-iommu). */
static uint32_t translated(int node, uint32_t function)
{
    const fdt32_t *map = fdt_getprop(tree, node, "iommu-map", NULL);
    const fdt32_t *mask = fdt_getprop(tree, node, "iommu-map-mask", NULL);
    const uint32_t masked = function & fdt32_to_cpu(*mask);

    assert_true(masked >= fdt32_to_cpu(map[0]) && masked - fdt32_to_cpu(map[0]) < fdt32_to_cpu(map[3]));
    return masked - fdt32_to_cpu(map[0]) + fdt32_to_cpu(map[2]);
}

static void grants_map_every_function_to_the_back_end(void **state)
{
    const uint32_t backends[] = {0, 2, 0x7fef};
    struct fields fields = good_fields();
    struct bridge bridge;
    uint32_t function;
    unsigned int i;
    int node;

    (void)state;
    fields.flags = BRIDGE_FLAG_GRANTS;
    bridge = accepted(&fields);
    for (i = 0; i < 3; i++) {
        const uint32_t map[] = {0, 8, backends[i], 1};

        bridge.backend = backends[i];
        node = built_node(&bridge, "/pcie@10000000");
        assert_cells(node, "iommu-map", map, 4);
        assert_cell(node, "iommu-map-mask", 0);
        for (function = 0; function < 0x10000; function++) {
            assert_int_equal(translated(node, function), backends[i]);
        }
    }
    node = fdt_path_offset(tree, "/iommu-3");
    assert_true(node >= 0);
    assert_text(node, "compatible", "xen,grant-dma");
    assert_cell(node, "#iommu-cells", 1);
    assert_cell(node, "phandle", 8);
}

static void largest_nodes_fit_their_promise(void **state)
{
    struct fields fields = good_fields();
    struct bridge bridge;
    uint32_t empty;

    (void)state;
    fields.address_bits = 64;
    fields.ecam_address = 0xffffffffe0000000;
    fields.ecam_size = 0x10000000;
    fields.memory_address = 0xfffffffff0000000;
    fields.memory_size = 0x0ff00000;
    fields.prefetch_address = 0xffffffff00000000;
    fields.prefetch_size = 0x10000000;
    fields.flags = BRIDGE_FLAG_GRANTS | BRIDGE_FLAG_HOLD;
    bridge = accepted(&fields);
    assert_int_equal(fdt_create(tree, TREE_SIZE), 0);
    assert_int_equal(fdt_finish_reservemap(tree), 0);
    assert_int_equal(fdt_begin_node(tree, ""), 0);
    assert_int_equal(fdt_property_cell(tree, "#address-cells", 2), 0);
    assert_int_equal(fdt_property_cell(tree, "#size-cells", 2), 0);
    assert_int_equal(fdt_end_node(tree), 0);
    assert_int_equal(fdt_finish(tree), 0);
    empty = fdt_totalsize(tree);
    assert_int_equal(build(&bridge, TREE_SIZE), 0);
    assert_true(fdt_totalsize(tree) - empty <= BRIDGE_FDT_SIZE);
    print_message("largest nodes: %u bytes\n", fdt_totalsize(tree) - empty);
}

static void every_smaller_tree_says_no_space(void **state)
{
    struct fields fields = good_fields();
    struct bridge bridge;
    size_t size;

    (void)state;
    fields.flags = BRIDGE_FLAG_GRANTS;
    bridge = accepted(&fields);
    assert_int_equal(build(&bridge, TREE_SIZE), 0);
    for (size = 200; size < fdt_totalsize(tree) - 32; size += 4) {
        assert_int_equal(build(&bridge, size), -FDT_ERR_NOSPACE);
        assert_int_equal(build(&bridge, TREE_SIZE), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(host_bridge),
        cmocka_unit_test(prefetchable_and_64_bit_ranges),
        cmocka_unit_test(interrupt_map_is_swizzled_and_level_high),
        cmocka_unit_test(v2m_frame),
        cmocka_unit_test(no_msi_vectors_no_v2m_frame),
        cmocka_unit_test(status_page),
        cmocka_unit_test(grants_map_every_function_to_the_back_end),
        cmocka_unit_test(largest_nodes_fit_their_promise),
        cmocka_unit_test(every_smaller_tree_says_no_space),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
