/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Conflicts: a bridge's windows and interrupts against what is occupied in its guest.
 *
 * Ranges are compared by their inclusive bounds, so that one which ends at the last address needs no 65th bit. The
 * caller names what only it knows (RAM, passed-through devices, shared memory); what Xen's public guest memory layout
 * occupies is listed here, once, with the numbers of Xen's own header. Called at boot by the hypervisor, and by the
 * command-line tool.
 */
#define BRIDGE_WANTS_GUEST_LAYOUT
#include "bridge.h"

/* What a guest must have, any of it, for an entry of the layout to be there. */
#define ALWAYS    0x01U
#define TOOLSTACK 0x02U /* not direct-mapped: the layout keeps room for what a toolstack may add */
#define GICV2     0x04U
#define GICV3     0x08U
#define VPL011    0x10U
#define VPCI      0x20U

static const struct {
    unsigned int presence;
    struct bridge_layout_range range;
} layout_ranges[] = {
    {TOOLSTACK, {"virtio-mmio", GUEST_VIRTIO_MMIO_BASE, GUEST_VIRTIO_MMIO_SIZE}},
    {GICV2, {"the vGIC's distributor", GUEST_GICD_BASE, GUEST_GICD_SIZE}},
    {GICV2, {"the vGIC's CPU interface", GUEST_GICC_BASE, GUEST_GICC_SIZE}},
    {GICV3, {"the vGIC's distributor", GUEST_GICV3_GICD_BASE, GUEST_GICV3_GICD_SIZE}},
    {GICV3, {"the vGIC's redistributors", GUEST_GICV3_GICR0_BASE, GUEST_GICV3_GICR0_SIZE}},
    {VPCI, {"vPCI's ECAM", GUEST_VPCI_ECAM_BASE, GUEST_VPCI_ECAM_SIZE}},
    {TOOLSTACK, {"the ACPI tables", GUEST_ACPI_BASE, GUEST_ACPI_SIZE}},
    {VPL011, {"vpl011", GUEST_PL011_BASE, GUEST_PL011_SIZE}},
    {VPCI, {"vPCI's memory window", GUEST_VPCI_MEM_ADDR, GUEST_VPCI_MEM_SIZE}},
    {ALWAYS, {"the grant table", GUEST_GNTTAB_BASE, GUEST_GNTTAB_SIZE}},
    {TOOLSTACK, {"the magic pages", GUEST_MAGIC_BASE, GUEST_MAGIC_SIZE}},
    {VPCI, {"vPCI's prefetchable window", GUEST_VPCI_PREFETCH_MEM_ADDR, GUEST_VPCI_PREFETCH_MEM_SIZE}},
};

static unsigned int presence_of(const struct bridge_guest_layout *layout)
{
    unsigned int presence = ALWAYS | (layout->vpci ? VPCI : 0U);

    if (!layout->direct_mapped) {
        presence |= TOOLSTACK | (layout->vpl011 ? VPL011 : 0U) | (layout->gic_version == 2U ? GICV2 : GICV3);
    }
    return presence;
}

bool bridge_layout_next(const struct bridge_guest_layout *layout, unsigned int *cursor,
                        struct bridge_layout_range *range)
{
    while (*cursor < sizeof(layout_ranges) / sizeof(layout_ranges[0])) {
        const unsigned int i = (*cursor)++;

        if ((layout_ranges[i].presence & presence_of(layout)) != 0U) {
            *range = layout_ranges[i].range;
            return true;
        }
    }
    return false;
}

/* The last address of a range whose size is not 0; one that would wrap around ends at the last address there is. */
static uint64_t last_of(struct bridge_window range)
{
    return range.size - 1U > ~0ULL - range.base ? ~0ULL : range.base + (range.size - 1U);
}

/* -EEXIST, with *diagnosis, when a range of the bridge, of addresses or of interrupts, overlaps another's. */
static int compare(enum bridge_diagnosis_kind kind, const char *property, const char *field, struct bridge_window range,
                   const char *name, struct bridge_window other, struct bridge_diagnosis *diagnosis)
{
    const struct bridge_diagnosis conflict = {
        .kind = kind, .property = property, .field = field, .value = range.base, .reason = "move one of them",
        .first = range.base, .last = last_of(range), .other = name, .other_first = other.base,
        .other_last = last_of(other)
    };

    if (range.size == 0U || other.size == 0U || conflict.first > conflict.other_last ||
        conflict.other_first > conflict.last) {
        return 0;
    }
    *diagnosis = conflict;
    return -EEXIST;
}

int bridge_check_range(const struct bridge *bridge, const char *property, const char *name, uint64_t base,
                       uint64_t size, struct bridge_diagnosis *diagnosis)
{
    static const char *const fields[] = {"ecam_address", "memory_address", "prefetch_address"};
    const struct bridge_window other = {base, size};
    unsigned int i;
    int error = 0;

    for (i = 0; error == 0 && i < BRIDGE_WINDOWS; i++) {
        error = compare(BRIDGE_DIAGNOSIS_RANGES, property, fields[i], bridge->window[i], name, other, diagnosis);
    }
    return error;
}

int bridge_check_interrupts(const struct bridge *bridge, const char *property, const char *name, uint32_t first,
                            uint32_t count, struct bridge_diagnosis *diagnosis)
{
    const struct bridge_window interrupts = {bridge->interrupt_first, bridge->interrupt_count};
    const struct bridge_window other = {first, count};

    return compare(BRIDGE_DIAGNOSIS_INTERRUPTS, property, "irq_start", interrupts, name, other, diagnosis);
}

int bridge_check_bridge(const struct bridge *bridge, const char *property, const struct bridge *other,
                        struct bridge_diagnosis *diagnosis)
{
    static const char name[] = "another bridge of the domain";
    unsigned int i;
    int error = 0;

    for (i = 0; error == 0 && i < BRIDGE_WINDOWS; i++) {
        error = bridge_check_range(bridge, property, name, other->window[i].base, other->window[i].size, diagnosis);
    }
    return error == 0 ? bridge_check_interrupts(bridge, property, name, other->interrupt_first, other->interrupt_count,
                                                diagnosis)
                      : error;
}

int bridge_check_layout(const struct bridge *bridge, const char *property, const struct bridge_guest_layout *layout,
                        struct bridge_diagnosis *diagnosis)
{
    const unsigned int presence = presence_of(layout);
    struct bridge_layout_range range;
    unsigned int cursor = 0;
    int error = 0;

    while (error == 0 && bridge_layout_next(layout, &cursor, &range)) {
        error = bridge_check_range(bridge, property, range.name, range.base, range.size, diagnosis);
    }
    if (error == 0 && (presence & VPL011) != 0U) {
        error = bridge_check_interrupts(bridge, property, "vpl011", GUEST_VPL011_SPI, 1, diagnosis);
    }
    if (error == 0 && (presence & TOOLSTACK) != 0U) {
        error = bridge_check_interrupts(bridge, property, "virtio-mmio", GUEST_VIRTIO_MMIO_SPI_FIRST,
                                        GUEST_VIRTIO_MMIO_SPI_LAST - GUEST_VIRTIO_MMIO_SPI_FIRST + 1, diagnosis);
    }
    return error;
}
