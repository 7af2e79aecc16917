/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a guest is told of its bridge: a v2m frame for MSI, the status page, the grant-dma translation, the host bridge.
 *
 * The host bridge is a generic ECAM bridge (the Devicetree binding host-generic-pci), its nodes are children of the
 * root, and they come after the interrupt controller, because Linux looks for v2m frames behind it. docs/guest-
 * view.md shows the result. Called by the hypervisor while it builds a domain's device tree, and by the command-line
 * tool.
 *
 * A libfdt error sticks in the writer and turns the later calls into nothing, so that only the end need look at it.
 */
#define BRIDGE_WANTS_LIBFDT
#include "bridge.h"

#define SLOTS 4U /* of the interrupt map: the swizzle of INTx repeats every four devices */

/* Cells of an interrupt-map entry: child address (3), pin (1), phandle (1), the GIC's specifier (3). */
#define MAP_ENTRY_CELLS 8U

/* phys.hi of a PCI address (IEEE 1275 PCI bus binding, 2.2.1.1). */
#define SPACE_MEMORY_32    0x02000000U
#define SPACE_MEMORY_64    0x03000000U
#define SPACE_PREFETCHABLE 0x40000000U
#define DEVICE_SHIFT       11U

/* A GIC's interrupt specifier. */
#define GIC_SPI        0U
#define GIC_LEVEL_HIGH 4U

struct writer {
    void *fdt;
    int error;
};

static void put_bytes(struct writer *writer, const char *name, const void *value, size_t length)
{
    if (writer->error == 0) {
        writer->error = fdt_property(writer->fdt, name, value, (int)length);
    }
}

/* Turns the cells to big-endian, in place, and writes them. */
static void put_cells(struct writer *writer, const char *name, uint32_t *cells, size_t count)
{
    size_t i;

    for (i = 0; i < count; i++) {
        cells[i] = cpu_to_fdt32(cells[i]);
    }
    put_bytes(writer, name, cells, count * sizeof(cells[0]));
}

static void put_cell(struct writer *writer, const char *name, uint32_t cell)
{
    put_cells(writer, name, &cell, 1);
}

/* Two cells, the high one first. */
static void split(uint32_t *cells, uint64_t number)
{
    cells[0] = (uint32_t)(number >> 32);
    cells[1] = (uint32_t)(number & 0xffffffffU);
}

static void begin_node(struct writer *writer, const char *name, const char *compatible)
{
    if (writer->error == 0) {
        writer->error = fdt_begin_node(writer->fdt, name);
    }
    put_bytes(writer, "compatible", compatible, strlen(compatible) + 1U);
}

/* A node with a unit address and its one `reg`. */
static void begin_node_at(struct writer *writer, const char *name, const char *compatible, uint64_t base,
                          uint64_t size)
{
    uint32_t reg[4];
    char full_name[48];

    snprintf(full_name, sizeof(full_name), "%s@%" PRIx64, name, base);
    begin_node(writer, full_name, compatible);
    split(&reg[0], base);
    split(&reg[2], size);
    put_cells(writer, "reg", reg, 4);
}

static void end_node(struct writer *writer)
{
    if (writer->error == 0) {
        writer->error = fdt_end_node(writer->fdt);
    }
}

static void put_v2m_frame(struct writer *writer, const struct bridge *bridge, uint32_t phandle)
{
    begin_node_at(writer, "v2m", "arm,gic-v2m-frame", bridge_v2m_base(bridge), BRIDGE_V2M_SIZE);
    put_bytes(writer, "msi-controller", NULL, 0);
    put_cell(writer, "arm,msi-base-spi", bridge_msi_first(bridge));
    put_cell(writer, "arm,msi-num-spis", bridge_msi_count(bridge));
    put_cell(writer, "phandle", phandle);
    end_node(writer);
}

static void put_grant_dma(struct writer *writer, const struct bridge_fdt_context *context)
{
    char name[sizeof("iommu-4294967295")];

    (void)snprintf(name, sizeof(name), "iommu-%" PRIu32, context->pci_domain);
    begin_node(writer, name, "xen,grant-dma");
    put_cell(writer, "#iommu-cells", 1);
    put_cell(writer, "phandle", context->phandle_iommu);
    end_node(writer);
}

/* One entry of `ranges`, 7 cells: PCI addresses are the guest's physical ones. */
static void fill_range(uint32_t *cells, uint32_t space, uint64_t base, uint64_t size)
{
    cells[0] = space;
    split(&cells[1], base);
    split(&cells[3], base);
    split(&cells[5], size);
}

static void put_ranges(struct writer *writer, const struct bridge *bridge)
{
    uint32_t cells[2U * 7U];

    fill_range(&cells[0], bridge->memory.base >> 32 == 0U ? SPACE_MEMORY_32 : SPACE_MEMORY_64, bridge->memory.base,
               bridge->memory.size - BRIDGE_SERVICE_SIZE);
    if (bridge->prefetch.size != 0U) {
        fill_range(&cells[7], SPACE_MEMORY_64 | SPACE_PREFETCHABLE, bridge->prefetch.base, bridge->prefetch.size);
    }
    put_cells(writer, "ranges", cells, bridge->prefetch.size != 0U ? 14U : 7U);
}

/*
 * INTx. The GIC's #address-cells is 0, so that no parent address comes between its phandle and the interrupt specifier.
 * A bridge on this bus swizzles for the devices behind it, and asks here with its own device number.
 */
static void put_interrupt_map(struct writer *writer, const struct bridge *bridge, uint32_t phandle_gic)
{
    uint32_t mask[4] = {(SLOTS - 1U) << DEVICE_SHIFT, 0, 0, 7};
    uint32_t map[SLOTS * BRIDGE_INTX_COUNT * MAP_ENTRY_CELLS];
    uint32_t *next = map;
    unsigned int device;
    unsigned int pin;

    for (device = 0; device < SLOTS; device++) {
        for (pin = 1; pin <= BRIDGE_INTX_COUNT; pin++) {
            const uint32_t spi = bridge_intx_interrupt(bridge, device, pin) - BRIDGE_INTERRUPT_FIRST;
            const uint32_t entry[MAP_ENTRY_CELLS] = {
                device << DEVICE_SHIFT, 0, 0, pin, phandle_gic, GIC_SPI, spi, GIC_LEVEL_HIGH
            };

            memcpy(next, entry, sizeof(entry));
            next += MAP_ENTRY_CELLS;
        }
    }
    put_cell(writer, "#interrupt-cells", 1);
    put_cells(writer, "interrupt-map-mask", mask, 4);
    put_cells(writer, "interrupt-map", map, sizeof(map) / sizeof(map[0]));
}

static void put_host_bridge(struct writer *writer, const struct bridge *bridge,
                            const struct bridge_fdt_context *context)
{
    uint32_t bus_range[2] = {0, bridge_buses(bridge) - 1U};
    uint32_t iommu_map[4] = {0, context->phandle_iommu, bridge->backend, 1};

    begin_node_at(writer, "pcie", "pci-host-ecam-generic", bridge->ecam.base, bridge->ecam.size);
    put_bytes(writer, "device_type", "pci", sizeof("pci"));
    put_cells(writer, "bus-range", bus_range, 2);
    put_cell(writer, "#address-cells", 3);
    put_cell(writer, "#size-cells", 2);
    put_ranges(writer, bridge);
    put_interrupt_map(writer, bridge, context->phandle_gic);
    put_cell(writer, "linux,pci-domain", context->pci_domain);
    put_bytes(writer, "dma-coherent", NULL, 0);
    if (bridge_msi_count(bridge) != 0U) {
        put_cell(writer, "msi-parent", context->phandle_v2m);
    }
    if ((bridge->flags & BRIDGE_FLAG_GRANTS) != 0U) {
        /* With mask 0 every function of every bus maps as if it were 00:00.0: to the back end's domain id. */
        put_cells(writer, "iommu-map", iommu_map, 4);
        put_cell(writer, "iommu-map-mask", 0);
    }
    end_node(writer);
}

int bridge_fdt_nodes(void *fdt, const struct bridge *bridge, const struct bridge_fdt_context *context)
{
    struct writer writer = {fdt, 0};

    if (bridge->ecam.size == 0U) {
        return 0;
    }
    if (bridge_msi_count(bridge) != 0U) {
        put_v2m_frame(&writer, bridge, context->phandle_v2m);
    }
    begin_node_at(&writer, "ioreq-pci-status", "xen,ioreq-pci-status", bridge_status_base(bridge),
                  BRIDGE_STATUS_SIZE);
    end_node(&writer);
    if ((bridge->flags & BRIDGE_FLAG_GRANTS) != 0U) {
        put_grant_dma(&writer, context);
    }
    put_host_bridge(&writer, bridge, context);
    return writer.error;
}
