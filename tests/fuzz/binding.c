/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Fuzz target "binding": from arbitrary properties to a bridge, its conflicts and its nodes.
 *
 * The input is a list of properties, each a byte that says which, a byte of length and so many bytes of value; what
 * comes first says how many cells addresses and sizes take and how wide an address is. Whatever it is: either it is
 * refused with a diagnosis that can be printed, or it is a bridge that keeps every rule that its users rely on, and
 * whose nodes are a valid tree of the size that is promised.
 */
#include <assert.h>
#include <stdlib.h>

#define BRIDGE_WANTS_LIBFDT
#include "bridge.h"

static const char *const names[] = {
    BRIDGE_PROPERTY, BRIDGE_PROPERTY_IOREQ, "virtio-pci", "virtio-pci-ranges", "compatible", "reg", "reg-names",
    "xen,irqs", "xen,grants", "xen,hold-ms", "xen,backend",
};
#define NAMES (sizeof(names) / sizeof(names[0]))

struct property {
    const uint8_t *value;
    uint32_t length;
};

static const void *get(const void *node, const char *name, uint32_t *length)
{
    const struct property *properties = node;
    size_t i;

    for (i = 0; strcmp(names[i], name) != 0; i++) {
        assert(i + 1 < NAMES);
    }
    *length = properties[i].length;
    return properties[i].value;
}

static void check_diagnosis(const struct bridge_diagnosis *diagnosis)
{
    char text[BRIDGE_DIAGNOSIS_MAX + 1], small[16];

    memset(text, 'x', sizeof(text));
    bridge_diagnosis_format(diagnosis, text, sizeof(text) - 1);
    assert(memchr(text, '\0', BRIDGE_DIAGNOSIS_MAX) != NULL && text[BRIDGE_DIAGNOSIS_MAX] == 'x');
    assert(strlen(text) < BRIDGE_DIAGNOSIS_MAX - 1); /* nothing was cut off */
    bridge_diagnosis_format(diagnosis, small, sizeof(small));
    assert(memchr(small, '\0', sizeof(small)) != NULL);
}

static bool disjoint(const struct bridge_window *a, const struct bridge_window *b)
{
    return a->size == 0 || b->size == 0 || a->base > b->base + (b->size - 1) || b->base > a->base + (a->size - 1);
}

static void check_window(const struct bridge_window *window, uint64_t alignment, unsigned int address_bits)
{
    const uint64_t last = address_bits < 64 ? (1ull << address_bits) - 1 : ~0ull;

    if (window->size != 0) {
        assert(window->base % alignment == 0 && window->size % alignment == 0);
        assert(window->base <= last && window->size - 1 <= last - window->base);
        assert(bridge_window_contains(window, window->base));
        assert(bridge_window_contains(window, window->base + (window->size - 1)));
        assert(!bridge_window_contains(window, window->base - 1) || window->base == 0);
    }
}

static void check_nodes(const struct bridge *bridge)
{
    static uint8_t tree[BRIDGE_FDT_SIZE + 256];
    const struct bridge_fdt_context context = {
        .phandle_gic = 1, .phandle_v2m = 2, .phandle_iommu = 3, .pci_domain = 0xffffffff
    };

    assert(fdt_create(tree, sizeof(tree)) == 0 && fdt_finish_reservemap(tree) == 0 && fdt_begin_node(tree, "") == 0);
    assert(bridge_fdt_nodes(tree, bridge, &context) == 0);
    assert(fdt_end_node(tree) == 0 && fdt_finish(tree) == 0 && fdt_check_full(tree, sizeof(tree)) == 0);
    assert(fdt_totalsize(tree) <= BRIDGE_FDT_SIZE);
}

static void check_bridge(const struct bridge *bridge, const char *property, unsigned int address_bits)
{
    const struct bridge_guest_layout layout = {.gic_version = 3, .vpl011 = true, .vpci = address_bits & 1};
    const bool pci = bridge->ecam.size != 0;
    struct bridge_diagnosis diagnosis;

    assert((bridge->flags & ~BRIDGE_FLAGS) == 0);
    check_window(&bridge->ecam, BRIDGE_BUS_SIZE, address_bits);
    check_window(&bridge->memory, pci ? BRIDGE_WINDOW_ALIGN : 0x1000, address_bits);
    check_window(&bridge->prefetch, pci ? BRIDGE_WINDOW_ALIGN : 0x1000, address_bits);
    assert(disjoint(&bridge->ecam, &bridge->memory) && disjoint(&bridge->ecam, &bridge->prefetch) &&
           disjoint(&bridge->memory, &bridge->prefetch));
    assert(bridge_buses(bridge) <= BRIDGE_BUSES_MAX && bridge->memory.size != 0);
    if (bridge->interrupt_count != 0) {
        assert(bridge->interrupt_first >= BRIDGE_INTERRUPT_FIRST && bridge->interrupt_first <= BRIDGE_INTERRUPT_LAST);
        assert(bridge->interrupt_count <= BRIDGE_INTERRUPT_LAST + 1 - bridge->interrupt_first);
    }
    if (pci) {
        assert(bridge->memory.size >= BRIDGE_MEMORY_MIN && bridge->interrupt_count >= BRIDGE_INTX_COUNT);
        assert(bridge_service_contains(bridge, bridge->memory.base + (bridge->memory.size - 1)));
        assert(!bridge_service_contains(bridge, bridge->memory.base));
    } else {
        assert(!bridge_service_contains(bridge, bridge->memory.base));
        assert(!bridge_service_contains(bridge, bridge->memory.base + (bridge->memory.size - 1)));
    }
    assert(bridge_spis_needed(bridge) <= BRIDGE_INTERRUPT_LAST + 1 - BRIDGE_INTERRUPT_FIRST);
    assert(bridge_check_domain(bridge, property, true, bridge_spis_needed(bridge), &diagnosis) == 0);
    /* A bridge is in its own way. */
    assert(bridge_check_bridge(bridge, property, bridge, &diagnosis) == -EEXIST);
    check_diagnosis(&diagnosis);
    if (bridge_check_layout(bridge, property, &layout, &diagnosis) != 0) {
        check_diagnosis(&diagnosis);
    }
    if (bridge_check_domain(bridge, property, false, UINT32_MAX, &diagnosis) != 0) {
        check_diagnosis(&diagnosis);
    }
    if (bridge_warning(bridge, property, &diagnosis)) {
        check_diagnosis(&diagnosis);
    }
    check_nodes(bridge);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const unsigned int widths[] = {32, 36, 39, 40, 42, 48, 52, 64};
    struct property properties[NAMES] = {{NULL, 0}};
    struct bridge_node node = {.node = properties, .property = get};
    struct bridge_diagnosis diagnosis;
    unsigned int address_bits, spelling;
    const char *property = NULL;
    struct bridge bridge;
    uint8_t *copies[NAMES] = {NULL};
    size_t at = 2, i;
    int rc;

    if (size < 2) {
        return 0;
    }
    node.address_cells = data[0] & 3;
    node.size_cells = (data[0] >> 2) & 3;
    address_bits = widths[(data[0] >> 4) & 7];
    while (size - at >= 2) {
        const size_t name = data[at] % NAMES, length = data[at + 1] < size - at - 2 ? data[at + 1] : size - at - 2;

        /* Of exactly its size, so that a byte too many is found. */
        free(copies[name]);
        copies[name] = malloc(length == 0 ? 1 : length);
        memcpy(copies[name], &data[at + 2], length);
        properties[name] = (struct property){copies[name], (uint32_t)length};
        at += 2 + length;
    }
    for (spelling = 0; spelling < 2; spelling++) {
        memset(&diagnosis, 0, sizeof(diagnosis));
        memset(&bridge, 0xa5, sizeof(bridge));
        rc = (spelling == 0 ? bridge_read : bridge_read_child)(&node, address_bits, &bridge, &property, &diagnosis);
        assert(rc == 0 || rc == -ENOENT || rc == -EINVAL);
        if (rc == -EINVAL) {
            check_diagnosis(&diagnosis);
        } else if (rc == 0) {
            check_bridge(&bridge, property, address_bits);
        }
    }
    for (i = 0; i < NAMES; i++) {
        free(copies[i]);
    }
    return 0;
}
