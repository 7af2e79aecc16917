/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The binding: from a domain's node to struct bridge, and every rule that needs no knowledge of the guest.
 *
 *   on the domain's node   secondary-emulated-pci-host-bridge =
 *                              <ecam_address ecam_size memory_address memory_size prefetch_address prefetch_size
 *                               irq_start irq_how_many flags>
 *                          or virtio-pci with virtio-pci-ranges, the first proposal
 *   a child node           xen,ioreq-pci-host-bridge, with more options; as many as wanted
 *   a child node           xen,ioreq-mmio: plain ranges and interrupts whose nodes the user writes
 *
 * Whoever has the device tree, flattened or not, lends its properties through struct bridge_node. The first rule that
 * is broken is the one that is reported, in the order of the fields. Each rule is described for users in
 * docs/binding.md. Called by the hypervisor while it parses a domain's node at boot, and by the command-line tool.
 */
#define BRIDGE_WANTS_GUEST_LAYOUT
#include "bridge.h"

#define BELOW_4G 0x100000000ULL

/* What virtio-pci implies; the addresses are the holes that the guest memory layout keeps for a PCI host bridge. */
#define VIRTIO_PCI        "virtio-pci"
#define VIRTIO_PCI_RANGES "virtio-pci-ranges"
#define VIRTIO_PCI_FIRST  44U
static const uint64_t virtio_pci_bases[] = {GUEST_VPCI_ECAM_BASE, GUEST_VPCI_MEM_ADDR, GUEST_VPCI_PREFETCH_MEM_ADDR};
static const uint64_t virtio_pci_sizes[] = {0x10000000ULL, 0x2000000ULL, 0x100000000ULL};

#define GICV2_VCPUS 8U /* CPU interfaces of a GICv2 */

#define BACKEND_LAST 0x7fefU /* the ids of domains end below DOMID_FIRST_RESERVED */

struct window_rule {
    const char *address_field;
    const char *size_field;
    const char *size_reason; /* why a size outside [minimum, maximum] is refused */
    const char *name;        /* in reg-names */
    uint64_t minimum;
    uint64_t maximum;
    uint64_t alignment; /* of address and size */
};

static const struct window_rule rules[] = {
    {"ecam_address", "ecam_size", "must be 0x100000 (1 MiB, one bus) to 0x10000000 (256 MiB, 256 buses)",
     "ecam", BRIDGE_BUS_SIZE, BRIDGE_BUSES_MAX * BRIDGE_BUS_SIZE, BRIDGE_BUS_SIZE},
    {"memory_address", "memory_size", "must be at least 0x100000 (1 MiB; the last 128 KiB are the service area)",
     "memory", BRIDGE_MEMORY_MIN, ~0ULL, BRIDGE_WINDOW_ALIGN},
    {"prefetch_address", "prefetch_size", "", "prefetch", 0, ~0ULL, BRIDGE_WINDOW_ALIGN},
};
static const struct window_rule mmio_rule = {"reg address", "reg size", "must be at least 0x1000 (a page)", "", 0x1000,
                                             ~0ULL, 0x1000};

/*
 * Passes `broken` on; if it is true, completes a diagnosis whose property is known. `expected` ends `reason`, but for
 * 0.
 */
static bool refuse(bool broken, struct bridge_diagnosis *diagnosis, enum bridge_diagnosis_kind kind, const char *field,
                   uint64_t value, const char *reason, uint64_t expected)
{
    const struct bridge_diagnosis refused = {
        .kind = kind, .property = diagnosis->property, .field = field, .value = value, .reason = reason,
        .expected = expected
    };

    if (broken) {
        *diagnosis = refused;
    }
    return broken;
}

/* The same for a property as a whole. */
static int refuse_whole(struct bridge_diagnosis *diagnosis, const char *property, const char *reason)
{
    diagnosis->property = property;
    (void)refuse(true, diagnosis, BRIDGE_DIAGNOSIS_PROPERTY, NULL, 0, reason, 0);
    return -EINVAL;
}

static const void *get(const struct bridge_node *node, const char *name, uint32_t *length)
{
    return node->property(node->node, name, length);
}

/* The big-endian number of `cells` cells at *next, which moves behind it. */
static uint64_t take_number(const uint8_t **next, unsigned int cells)
{
    uint64_t number = 0;
    unsigned int i;

    for (i = 0; i < cells * 4U; i++) {
        number = (number << 8) | (*next)[i];
    }
    *next += cells * 4U;
    return number;
}

static struct bridge_window take_window(const struct bridge_node *node, const uint8_t **next)
{
    struct bridge_window window;

    window.base = take_number(next, node->address_cells);
    window.size = take_number(next, node->size_cells);
    return window;
}

static bool bad_window(const struct bridge_window *window, const struct window_rule *rule, unsigned int address_bits,
                       struct bridge_diagnosis *diagnosis)
{
    const enum bridge_diagnosis_kind kind = BRIDGE_DIAGNOSIS_ADDRESS;
    const uint64_t last = address_bits < 64U ? (1ULL << address_bits) - 1U : ~0ULL;

    return refuse(window->size < rule->minimum || window->size > rule->maximum, diagnosis, kind, rule->size_field,
                  window->size, rule->size_reason, 0) ||
           refuse(window->size % rule->alignment != 0U, diagnosis, kind, rule->size_field, window->size,
                  "must be a multiple of", rule->alignment) ||
           refuse(window->base % rule->alignment != 0U, diagnosis, kind, rule->address_field, window->base,
                  "must be a multiple of", rule->alignment) ||
           refuse(window->base > last || window->size - 1U > last - window->base, diagnosis, kind, rule->address_field,
                  window->base, "the window must end at or below the guest's last physical address", last);
}

static bool bad_windows(const struct bridge *bridge, bool pci, unsigned int address_bits,
                        struct bridge_diagnosis *diagnosis)
{
    const struct bridge_window *const memory = &bridge->memory;
    const struct bridge_window *const prefetch = &bridge->prefetch;
    const bool prefetch_there = prefetch->size != 0U || (!pci && prefetch->base != 0U);

    return (pci && bad_window(&bridge->ecam, &rules[0], address_bits, diagnosis)) ||
           bad_window(memory, pci ? &rules[1] : &mmio_rule, address_bits, diagnosis) ||
           refuse(pci && memory->base < BELOW_4G && memory->size > BELOW_4G - memory->base, diagnosis,
                  BRIDGE_DIAGNOSIS_ADDRESS, rules[1].address_field, memory->base,
                  "the window must not cross 4 GiB: it is either 32-bit or 64-bit memory space", 0) ||
           (prefetch_there && bad_window(prefetch, pci ? &rules[2] : &mmio_rule, address_bits, diagnosis)) ||
           refuse(!prefetch_there && prefetch->base != 0U, diagnosis, BRIDGE_DIAGNOSIS_ADDRESS, rules[2].address_field,
                  prefetch->base, "must be 0, because prefetch_size is 0 (no such window)", 0);
}

static bool bad_interrupts(const struct bridge *bridge, bool pci, struct bridge_diagnosis *diagnosis)
{
    const enum bridge_diagnosis_kind kind = BRIDGE_DIAGNOSIS_COUNT;
    const uint32_t first = bridge->interrupt_first;
    const uint32_t count = bridge->interrupt_count;

    if (!pci && count == 0U) {
        return false;
    }
    return refuse(first < BRIDGE_INTERRUPT_FIRST || first > BRIDGE_INTERRUPT_LAST, diagnosis, kind, "irq_start", first,
                  "must be the absolute interrupt id of an SPI, 32 to 991", 0) ||
           refuse(pci && count < BRIDGE_INTX_COUNT, diagnosis, kind, "irq_how_many", count,
                  "must be at least 4: INTA to INTD, then one for each MSI vector", 0) ||
           refuse(count > BRIDGE_INTERRUPT_LAST + 1U - first, diagnosis, kind, "irq_how_many", count,
                  "the last SPI of a guest is 991; from irq_start on there are", BRIDGE_INTERRUPT_LAST + 1U - first);
}

/* That the windows are disjoint: each is compared, as somebody else's range, with a bridge that has the later ones. */
static bool overlapping(const struct bridge *bridge, struct bridge_diagnosis *diagnosis)
{
    static const char *const names[] = {"the ECAM window", "the memory window"};
    const char *property = diagnosis->property;
    struct bridge later = *bridge;
    unsigned int i;

    for (i = 0; i < 2U; i++) {
        later.window[i].size = 0;
        if (bridge_check_range(&later, property, names[i], bridge->window[i].base, bridge->window[i].size,
                               diagnosis) != 0) {
            return true;
        }
    }
    return false;
}

static int check(const struct bridge *bridge, const char *property, bool pci, unsigned int address_bits,
                 struct bridge_diagnosis *diagnosis)
{
    diagnosis->property = property;
    return bad_windows(bridge, pci, address_bits, diagnosis) || bad_interrupts(bridge, pci, diagnosis) ||
                   refuse((bridge->flags & ~BRIDGE_FLAGS) != 0U, diagnosis, BRIDGE_DIAGNOSIS_ADDRESS, "flags",
                          bridge->flags, "reserved bits must be 0; bit 0 is GRANTS, bit 1 is HOLD, together",
                          BRIDGE_FLAGS) ||
                   overlapping(bridge, diagnosis)
               ? -EINVAL
               : 0;
}

static bool bad_cells(const struct bridge_node *node, struct bridge_diagnosis *diagnosis)
{
    static const char reason[] = "of the parent node must be 1 or 2";

    return refuse(node->address_cells < 1U || node->address_cells > 2U, diagnosis, BRIDGE_DIAGNOSIS_COUNT,
                  "#address-cells", node->address_cells, reason, 0) ||
           refuse(node->size_cells < 1U || node->size_cells > 2U, diagnosis, BRIDGE_DIAGNOSIS_COUNT, "#size-cells",
                  node->size_cells, reason, 0);
}

/* The property's nine values, every address in address_cells and every size in size_cells. */
static int read_property(const struct bridge_node *node, const char *property, unsigned int address_bits,
                         struct bridge *bridge, struct bridge_diagnosis *diagnosis)
{
    static const char *const cells[2][2] = {
        {"with #address-cells 1 and #size-cells 1", "with #address-cells 1 and #size-cells 2"},
        {"with #address-cells 2 and #size-cells 1", "with #address-cells 2 and #size-cells 2"},
    };
    const uint32_t expected = (BRIDGE_WINDOWS * (node->address_cells + node->size_cells) + 3U) * 4U;
    uint32_t length = 0;
    const uint8_t *next = get(node, property, &length);
    unsigned int i;

    diagnosis->property = property;
    if (bad_cells(node, diagnosis) ||
        refuse(length != expected, diagnosis, BRIDGE_DIAGNOSIS_LENGTH, "length", length,
               cells[node->address_cells - 1U][node->size_cells - 1U], expected)) {
        return -EINVAL;
    }
    for (i = 0; i < BRIDGE_WINDOWS; i++) {
        bridge->window[i] = take_window(node, &next);
    }
    bridge->interrupt_first = (uint32_t)take_number(&next, 1);
    bridge->interrupt_count = (uint32_t)take_number(&next, 1);
    bridge->flags = (uint32_t)take_number(&next, 1);
    bridge->hold_ms = (bridge->flags & BRIDGE_FLAG_HOLD) != 0U ? BRIDGE_HOLD_MS : 0U;
    return check(bridge, property, true, address_bits, diagnosis);
}

/* Where the text is in a list of strings, which may not be one at all; -1: it is not there. */
static int find_string(const char *list, uint32_t length, const char *text)
{
    uint32_t at = 0;
    int index;

    for (index = 0; at < length; index++) {
        const uint32_t size = (uint32_t)strnlen(list + at, length - at) + 1U;

        if (size <= length - at && strcmp(list + at, text) == 0) {
            return index;
        }
        at += size;
    }
    return -1;
}

/* A property of exactly `count` cells, or none: *cells is then as it was. */
static bool bad_cell_property(const struct bridge_node *node, const char *name, uint32_t *cells, unsigned int count,
                              const char *reason, struct bridge_diagnosis *diagnosis)
{
    uint32_t length = 0;
    const uint8_t *next = get(node, name, &length);
    unsigned int i;

    if (next != NULL && length != count * 4U) {
        return refuse_whole(diagnosis, name, reason) != 0;
    }
    for (i = 0; next != NULL && i < count; i++) {
        cells[i] = (uint32_t)take_number(&next, 1);
    }
    return false;
}

static int read_virtio_pci(const struct bridge_node *node, unsigned int address_bits, struct bridge *bridge,
                           struct bridge_diagnosis *diagnosis)
{
    uint32_t length = 0;
    uint32_t ranges_length = 0;
    const uint8_t *next = get(node, VIRTIO_PCI_RANGES, &ranges_length);
    const char *const value = get(node, VIRTIO_PCI, &length);
    unsigned int i;

    if (value == NULL) {
        return next != NULL ? refuse_whole(diagnosis, VIRTIO_PCI_RANGES, "needs virtio-pci beside it") : -ENOENT;
    }
    if (next != NULL && ranges_length != BRIDGE_WINDOWS * 8U) {
        return refuse_whole(diagnosis, VIRTIO_PCI_RANGES,
                            "must be six cells: the addresses of ECAM, memory and prefetch, two each");
    }
    if (find_string(value, length, "grants") == 0) {
        bridge->flags = BRIDGE_FLAG_GRANTS;
    } else if (length != 0U && find_string(value, length, "enabled") != 0) {
        return refuse_whole(diagnosis, VIRTIO_PCI, "must be empty, \"enabled\" or \"grants\"");
    }
    for (i = 0; i < BRIDGE_WINDOWS; i++) {
        bridge->window[i].base = next != NULL ? take_number(&next, 2) : virtio_pci_bases[i];
        bridge->window[i].size = virtio_pci_sizes[i];
    }
    bridge->interrupt_first = VIRTIO_PCI_FIRST;
    bridge->interrupt_count = BRIDGE_INTX_COUNT;
    return check(bridge, VIRTIO_PCI, true, address_bits, diagnosis);
}

int bridge_read(const struct bridge_node *node, unsigned int address_bits, struct bridge *bridge, const char **property,
                struct bridge_diagnosis *diagnosis)
{
    uint32_t length = 0;
    const bool emulated = get(node, BRIDGE_PROPERTY, &length) != NULL;
    const bool ioreq = get(node, BRIDGE_PROPERTY_IOREQ, &length) != NULL;

    memset(bridge, 0, sizeof(*bridge));
    if (!emulated && !ioreq) {
        *property = VIRTIO_PCI;
        return read_virtio_pci(node, address_bits, bridge, diagnosis);
    }
    *property = emulated ? BRIDGE_PROPERTY : BRIDGE_PROPERTY_IOREQ;
    if (emulated && ioreq) {
        return refuse_whole(diagnosis, *property, "present together with " BRIDGE_PROPERTY_IOREQ
                                                  ", its other name; remove one of them");
    }
    if (get(node, VIRTIO_PCI, &length) != NULL || get(node, VIRTIO_PCI_RANGES, &length) != NULL) {
        return refuse_whole(diagnosis, *property, "present together with virtio-pci or its ranges; remove one of them");
    }
    return read_property(node, *property, address_bits, bridge, diagnosis);
}

/* reg and, for a bridge, reg-names: up to three windows in any order, or up to two plain ranges. */
static int read_windows(const struct bridge_node *node, bool pci, struct bridge *bridge,
                        struct bridge_diagnosis *diagnosis)
{
    const uint32_t size = (node->address_cells + node->size_cells) * 4U;
    uint32_t length = 0;
    uint32_t names_length = 0;
    const uint8_t *const reg = get(node, "reg", &length);
    const char *const names = get(node, "reg-names", &names_length);
    uint32_t named = 0;
    uint32_t found = 0;
    unsigned int i;

    diagnosis->property = "reg";
    if (bad_cells(node, diagnosis)) {
        return -EINVAL;
    }
    for (i = pci ? 0U : 1U; reg != NULL && i < BRIDGE_WINDOWS; i++) {
        const int index = pci ? find_string(names, names_length, rules[i].name) : (int)i - 1;

        named += index >= 0 ? 1U : 0U;
        if (index >= 0 && (uint32_t)index < length / size) {
            const uint8_t *next = reg + (uint32_t)index * size;

            bridge->window[i] = take_window(node, &next);
            found++;
        }
    }
    if (found == 0U || (pci && named != found) || length != found * size || pci != (bridge->ecam.size != 0U)) {
        return refuse_whole(diagnosis, "reg",
                            pci ? "must have an entry for each of reg-names: ecam, memory, and maybe prefetch"
                                : "must have one or two entries");
    }
    return 0;
}

/* What a child node says besides its windows. */
static int read_options(const struct bridge_node *node, bool pci, struct bridge *bridge,
                        struct bridge_diagnosis *diagnosis)
{
    static const char one_cell[] = "must be one cell";
    uint32_t irqs[2] = {0, 0};
    uint32_t length = 0;

    if (pci && get(node, "xen,irqs", &length) == NULL) {
        return refuse_whole(diagnosis, "xen,irqs", "missing: the first interrupt and how many");
    }
    if (bad_cell_property(node, "xen,irqs", irqs, 2, "must be two cells: the first interrupt and how many",
                          diagnosis) ||
        bad_cell_property(node, "xen,backend", &bridge->backend, 1, one_cell, diagnosis) ||
        bad_cell_property(node, "xen,hold-ms", &bridge->hold_ms, 1, one_cell, diagnosis)) {
        return -EINVAL;
    }
    if (bridge->backend > BACKEND_LAST) {
        return refuse_whole(diagnosis, "xen,backend", "is not the id of a domain");
    }
    bridge->interrupt_first = irqs[0];
    bridge->interrupt_count = irqs[1];
    bridge->flags = (bridge->hold_ms != 0U ? BRIDGE_FLAG_HOLD : 0U) |
                    (get(node, "xen,grants", &length) != NULL ? BRIDGE_FLAG_GRANTS : 0U);
    return 0;
}

int bridge_read_child(const struct bridge_node *node, unsigned int address_bits, struct bridge *bridge,
                      const char **property, struct bridge_diagnosis *diagnosis)
{
    uint32_t length = 0;
    const char *const compatible = get(node, "compatible", &length);
    const bool pci = compatible != NULL && find_string(compatible, length, BRIDGE_COMPATIBLE) >= 0;

    if (!pci && (compatible == NULL || find_string(compatible, length, BRIDGE_COMPATIBLE_MMIO) < 0)) {
        return -ENOENT;
    }
    memset(bridge, 0, sizeof(*bridge));
    *property = pci ? BRIDGE_COMPATIBLE : BRIDGE_COMPATIBLE_MMIO;
    if (read_windows(node, pci, bridge, diagnosis) != 0 || read_options(node, pci, bridge, diagnosis) != 0) {
        return -EINVAL;
    }
    return check(bridge, *property, pci, address_bits, diagnosis);
}

bool bridge_warning(const struct bridge *bridge, const char *property, struct bridge_diagnosis *diagnosis)
{
    diagnosis->property = property;
    return refuse(bridge->memory.base >= BELOW_4G && bridge->ecam.size != 0U, diagnosis, BRIDGE_DIAGNOSIS_ADDRESS,
                  rules[1].address_field, bridge->memory.base,
                  "above 4 GiB: 32-bit BARs find no room; use a window below 4 GiB if the guest has a hole there", 0);
}

int bridge_check_domain(const struct bridge *bridge, const char *property, bool enhanced, uint32_t nr_spis,
                        struct bridge_diagnosis *diagnosis)
{
    const uint32_t needed = bridge_spis_needed(bridge);

    diagnosis->property = property;
    return refuse((bridge->flags & BRIDGE_FLAG_GRANTS) != 0U && !enhanced, diagnosis, BRIDGE_DIAGNOSIS_ADDRESS, "flags",
                  bridge->flags, "GRANTS (bit 0) needs the domain's grant table: add xen,enhanced, or clear the bit",
                  0) ||
                   refuse(nr_spis < needed, diagnosis, BRIDGE_DIAGNOSIS_COUNT, "nr_spis", nr_spis,
                          "of the domain does not reach the bridge's last interrupt; it must be at least", needed)
               ? -EINVAL
               : 0;
}

int bridge_check_guest(const struct bridge_guest_layout *layout, uint32_t vcpus, uint32_t nr_spis,
                       struct bridge_diagnosis *diagnosis)
{
    const enum bridge_diagnosis_kind kind = BRIDGE_DIAGNOSIS_COUNT;
    const uint32_t vcpus_max = layout->gic_version == 2U ? GICV2_VCPUS : MAX_VIRT_CPUS;
    const uint32_t spis = BRIDGE_INTERRUPT_LAST + 1U - BRIDGE_INTERRUPT_FIRST;

    diagnosis->property = "cpus";
    if (refuse(vcpus == 0U || vcpus > vcpus_max, diagnosis, kind, NULL, vcpus,
               "a guest of a host with this GIC has 1 to", vcpus_max)) {
        return -EINVAL;
    }
    diagnosis->property = "nr_spis";
    return refuse(nr_spis > spis, diagnosis, kind, NULL, nr_spis,
                  "a guest's SPIs end at interrupt 991; it must be at most", spis)
               ? -EINVAL
               : 0;
}
