/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The other spellings of a bridge: from a domain's node and its child nodes to struct bridge.
 *
 *   on the domain's node      secondary-emulated-pci-host-bridge (binding.c), or virtio-pci with virtio-pci-ranges
 *   a child node of its own   xen,ioreq-pci-host-bridge, with more options; as many as wanted
 *   a child node              xen,ioreq-mmio: plain ranges and interrupts whose nodes the user writes
 *
 * Whoever has the device tree, flattened or not, lends its properties through struct bridge_node. The values that
 * virtio-pci implies are those of its first proposal, but for the addresses, which are the holes that Xen's guest
 * memory layout keeps for a PCI host bridge.
 */
#define BRIDGE_WANTS_GUEST_LAYOUT
#include "binding.h"

#define VIRTIO_PCI_ECAM_SIZE       0x10000000ull
#define VIRTIO_PCI_MEMORY_SIZE     0x2000000ull
#define VIRTIO_PCI_PREFETCH_SIZE   0x100000000ull
#define VIRTIO_PCI_INTERRUPT_FIRST 44u
#define BACKEND_LAST               0x7fefu /* DOMID_FIRST_RESERVED - 1 */

static int refuse(struct bridge_diagnosis *diagnosis, const char *property, const char *reason)
{
    const struct bridge_diagnosis refused = {
        .kind = BRIDGE_DIAGNOSIS_PROPERTY, .property = property, .reason = reason
    };

    *diagnosis = refused;
    return -EINVAL;
}

static const void *get(const struct bridge_node *node, const char *name, uint32_t *length)
{
    return node->property(node->node, name, length);
}

/* Whether the list of strings, as long as it says, has the text as one of them; *index is which. */
static bool find_string(const char *list, uint32_t length, const char *text, unsigned int *index)
{
    const size_t size = strlen(text) + 1u;
    uint32_t at = 0;

    *index = 0;
    while (at < length) {
        const char *const end = memchr(list + at, 0, length - at);

        if (end == NULL) {
            return false;
        }
        if ((size_t)(end - (list + at)) + 1u == size && memcmp(list + at, text, size) == 0) {
            return true;
        }
        at = (uint32_t)(end - list) + 1u;
        (*index)++;
    }
    return false;
}

/* A property of exactly `count` cells. -ENOENT: it is not there. */
static int read_cells(const struct bridge_node *node, const char *name, uint32_t *cells, unsigned int count,
                      struct bridge_diagnosis *diagnosis)
{
    uint32_t length = 0;
    const uint8_t *next = get(node, name, &length);
    unsigned int i;

    if (next == NULL) {
        return -ENOENT;
    }
    if (length != count * 4u) {
        return refuse(diagnosis, name, count == 1u ? "must be one cell" : count == 2u ? "must be two cells: first and how many"
                                                                            : "must be six cells: three addresses of two");
    }
    for (i = 0; i < count; i++) {
        cells[i] = (uint32_t)bridge_take_number(&next, 1);
    }
    return 0;
}

static int read_virtio_pci(const struct bridge_node *node, unsigned int address_bits, struct bridge *bridge,
                           struct bridge_diagnosis *diagnosis)
{
    uint32_t cells[6], length = 0;
    const char *const value = get(node, "virtio-pci", &length);
    unsigned int index;
    int error = read_cells(node, "virtio-pci-ranges", cells, 6, diagnosis);

    if (value == NULL) {
        return error == -ENOENT ? error : refuse(diagnosis, "virtio-pci-ranges", "needs virtio-pci beside it");
    }
    if (error == -EINVAL) {
        return error;
    }
    if (length != 0u && !find_string(value, length, "enabled", &index) && !find_string(value, length, "grants", &index)) {
        return refuse(diagnosis, "virtio-pci", "must be empty, \"enabled\" or \"grants\"");
    }
    bridge->flags = length != 0u && find_string(value, length, "grants", &index) ? BRIDGE_FLAG_GRANTS : 0u;
    bridge->ecam.base = GUEST_VPCI_ECAM_BASE;
    bridge->memory.base = GUEST_VPCI_MEM_ADDR;
    bridge->prefetch.base = GUEST_VPCI_PREFETCH_MEM_ADDR;
    if (error == 0) {
        bridge->ecam.base = ((uint64_t)cells[0] << 32) | cells[1];
        bridge->memory.base = ((uint64_t)cells[2] << 32) | cells[3];
        bridge->prefetch.base = ((uint64_t)cells[4] << 32) | cells[5];
    }
    bridge->ecam.size = VIRTIO_PCI_ECAM_SIZE;
    bridge->memory.size = VIRTIO_PCI_MEMORY_SIZE;
    bridge->prefetch.size = VIRTIO_PCI_PREFETCH_SIZE;
    bridge->interrupt_first = VIRTIO_PCI_INTERRUPT_FIRST;
    bridge->interrupt_count = BRIDGE_INTX_COUNT;
    diagnosis->property = "virtio-pci";
    return bridge_check_rules(bridge, address_bits, diagnosis);
}

int bridge_read(const struct bridge_node *node, unsigned int address_bits, struct bridge *bridge, const char **property,
                struct bridge_diagnosis *diagnosis)
{
    const struct bridge none = { .backend = 0 };
    uint32_t length = 0;
    const void *value;
    int error = bridge_choose_property(get(node, BRIDGE_PROPERTY, &length) != NULL,
                                       get(node, BRIDGE_PROPERTY_IOREQ, &length) != NULL, property, diagnosis);

    *bridge = none;
    if (error == -ENOENT) {
        *property = "virtio-pci";
        return read_virtio_pci(node, address_bits, bridge, diagnosis);
    }
    if (error == 0 && get(node, "virtio-pci", &length) != NULL) {
        error = refuse(diagnosis, *property, "present together with virtio-pci; remove one of them");
    }
    if (error == 0) {
        value = get(node, *property, &length);
        error = bridge_parse(*property, value, length, node->address_cells, node->size_cells, address_bits, bridge,
                             diagnosis);
    }
    return error;
}

/* reg and, for a bridge, reg-names: up to three windows in any order, or up to two plain ranges. */
static int read_windows(const struct bridge_node *node, bool pci, struct bridge *bridge,
                        struct bridge_diagnosis *diagnosis)
{
    static const char *const names[] = {"ecam", "memory", "prefetch"};
    struct bridge_window *const windows[] = {&bridge->ecam, &bridge->memory, &bridge->prefetch};
    const uint32_t size = (node->address_cells + node->size_cells) * 4u;
    uint32_t length = 0, names_length = 0;
    const uint8_t *const reg = get(node, "reg", &length);
    const char *const list = get(node, "reg-names", &names_length);
    unsigned int i, found = 0;

    if (node->address_cells < 1u || node->address_cells > 2u || node->size_cells < 1u || node->size_cells > 2u) {
        return refuse(diagnosis, "reg", "#address-cells and #size-cells of the domain's node must be 1 or 2");
    }
    for (i = pci ? 0u : 1u; i < 3u; i++) {
        unsigned int index = i - 1u;
        const uint8_t *next = reg;

        if (reg == NULL || (pci && (list == NULL || !find_string(list, names_length, names[i], &index))) ||
            index >= length / size) {
            continue;
        }
        next += index * size;
        windows[i]->base = bridge_take_number(&next, node->address_cells);
        windows[i]->size = bridge_take_number(&next, node->size_cells);
        found++;
    }
    if (found == 0u || length != found * size) {
        return refuse(diagnosis, "reg", pci ? "must have one entry for each of reg-names: ecam, memory, and optionally prefetch"
                                            : "must have one or two entries");
    }
    return 0;
}

int bridge_read_child(const struct bridge_node *node, unsigned int address_bits, struct bridge *bridge,
                      const char **property, struct bridge_diagnosis *diagnosis)
{
    const struct bridge none = { .backend = 0 };
    uint32_t length = 0, irqs[2] = {0, 0};
    const char *const compatible = get(node, "compatible", &length);
    unsigned int index;
    bool pci;
    int error;

    *bridge = none;
    if (compatible == NULL) {
        return -ENOENT;
    }
    pci = find_string(compatible, length, BRIDGE_COMPATIBLE, &index);
    if (!pci && !find_string(compatible, length, BRIDGE_COMPATIBLE_MMIO, &index)) {
        return -ENOENT;
    }
    *property = pci ? BRIDGE_COMPATIBLE : BRIDGE_COMPATIBLE_MMIO;

    error = read_windows(node, pci, bridge, diagnosis);
    if (error == 0) {
        error = read_cells(node, "xen,irqs", irqs, 2, diagnosis);
        if (error == -ENOENT) {
            error = pci ? refuse(diagnosis, "xen,irqs", "missing: first interrupt and how many") : 0;
        }
    }
    if (error == 0) {
        bridge->interrupt_first = irqs[0];
        bridge->interrupt_count = irqs[1];
        error = read_cells(node, "xen,backend", &bridge->backend, 1, diagnosis);
    }
    if (error == 0 && bridge->backend > BACKEND_LAST) {
        error = refuse(diagnosis, "xen,backend", "is not the id of a domain");
    }
    if (error == 0 || error == -ENOENT) {
        error = read_cells(node, "xen,hold-ms", &bridge->hold_ms, 1, diagnosis);
    }
    if (error != 0 && error != -ENOENT) {
        return error;
    }
    bridge->flags = (bridge->hold_ms != 0u ? BRIDGE_FLAG_HOLD : 0u) |
                    (get(node, "xen,grants", &length) != NULL ? BRIDGE_FLAG_GRANTS : 0u);
    diagnosis->property = *property;
    return pci ? bridge_check_rules(bridge, address_bits, diagnosis) : bridge_check_mmio(bridge, address_bits, diagnosis);
}
