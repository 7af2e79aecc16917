/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The binding: from the cells of the property to a struct bridge, and every rule that needs no knowledge of the guest.
 *
 *   <ecam_address ecam_size memory_address memory_size prefetch_address prefetch_size irq_start irq_how_many flags>
 *
 * Addresses take the parent's #address-cells, sizes its #size-cells, the last three fields one cell each. The first
 * rule that is broken is the one that is reported, in the order of the fields. Each rule is described for users in
 * docs/binding.md. Called by the hypervisor while it parses a domain's node at boot, and by the command-line tool.
 */
#include "binding.h"

#define BELOW_4G 0x100000000ull

struct window_rule {
    const char *address_field;
    const char *size_field;
    const char *size_reason; /* why a size outside [minimum, maximum] is refused */
    uint64_t minimum;
    uint64_t maximum;
    uint64_t alignment; /* of address and size */
};

static const struct window_rule ecam_rule = {
    "ecam_address", "ecam_size", "must be 0x100000 (1 MiB, one bus) to 0x10000000 (256 MiB, 256 buses)",
    BRIDGE_BUS_SIZE, BRIDGE_BUSES_MAX * BRIDGE_BUS_SIZE, BRIDGE_BUS_SIZE
};
static const struct window_rule memory_rule = {
    "memory_address", "memory_size", "must be at least 0x100000 (1 MiB; the last 128 KiB are the service area)",
    BRIDGE_MEMORY_MIN, ~0ull, BRIDGE_WINDOW_ALIGN
};
static const struct window_rule prefetch_rule = {
    "prefetch_address", "prefetch_size", "", 0, ~0ull, BRIDGE_WINDOW_ALIGN
};
static const struct window_rule mmio_rule = {
    "reg address", "reg size", "must be at least 0x1000 (a page)", 0x1000, ~0ull, 0x1000
};

/* Completes a diagnosis whose property is known. `expected` ends the sentence of `reason` unless it is 0. */
static int refuse(struct bridge_diagnosis *diagnosis, enum bridge_diagnosis_kind kind, const char *field,
                  uint64_t value, const char *reason, uint64_t expected)
{
    const struct bridge_diagnosis refused = {
        .kind = kind, .property = diagnosis->property, .field = field, .value = value, .reason = reason,
        .expected = expected
    };

    *diagnosis = refused;
    return -EINVAL;
}

uint64_t bridge_take_number(const uint8_t **next, unsigned int cells)
{
    uint64_t number = 0;
    unsigned int i;

    for (i = 0; i < cells * 4u; i++) {
        number = (number << 8) | (*next)[i];
    }
    *next += cells * 4u;
    return number;
}

static int check_length(size_t length, unsigned int address_cells, unsigned int size_cells,
                        struct bridge_diagnosis *diagnosis)
{
    static const char *const cells[2][2] = {
        {"with #address-cells 1 and #size-cells 1", "with #address-cells 1 and #size-cells 2"},
        {"with #address-cells 2 and #size-cells 1", "with #address-cells 2 and #size-cells 2"},
    };
    const size_t expected = (3u * ((size_t)address_cells + size_cells) + 3u) * 4u;

    if (address_cells < 1u || address_cells > 2u) {
        return refuse(diagnosis, BRIDGE_DIAGNOSIS_COUNT, "#address-cells", address_cells,
                      "of the parent node must be 1 or 2", 0);
    }
    if (size_cells < 1u || size_cells > 2u) {
        return refuse(diagnosis, BRIDGE_DIAGNOSIS_COUNT, "#size-cells", size_cells,
                      "of the parent node must be 1 or 2", 0);
    }
    if (length != expected) {
        return refuse(diagnosis, BRIDGE_DIAGNOSIS_LENGTH, "length", length,
                      cells[address_cells - 1u][size_cells - 1u], expected);
    }
    return 0;
}

static int check_window(const struct bridge_window *window, const struct window_rule *rule,
                        unsigned int address_bits, struct bridge_diagnosis *diagnosis)
{
    const enum bridge_diagnosis_kind kind = BRIDGE_DIAGNOSIS_ADDRESS;
    const uint64_t last = address_bits < 64u ? (1ull << address_bits) - 1u : ~0ull;

    if (window->size < rule->minimum || window->size > rule->maximum) {
        return refuse(diagnosis, kind, rule->size_field, window->size, rule->size_reason, 0);
    }
    if (window->size % rule->alignment != 0u) {
        return refuse(diagnosis, kind, rule->size_field, window->size, "must be a multiple of", rule->alignment);
    }
    if (window->base % rule->alignment != 0u) {
        return refuse(diagnosis, kind, rule->address_field, window->base, "must be a multiple of", rule->alignment);
    }
    if (window->base > last || window->size - 1u > last - window->base) {
        return refuse(diagnosis, kind, rule->address_field, window->base,
                      "the window must end at or below the guest's last physical address", last);
    }
    return 0;
}

static int check_memory(const struct bridge_window *memory, unsigned int address_bits,
                        struct bridge_diagnosis *diagnosis)
{
    const int error = check_window(memory, &memory_rule, address_bits, diagnosis);

    if (error == 0 && memory->base < BELOW_4G && memory->size > BELOW_4G - memory->base) {
        return refuse(diagnosis, BRIDGE_DIAGNOSIS_ADDRESS, memory_rule.address_field, memory->base,
                      "the window must not cross 4 GiB: it is either 32-bit or 64-bit memory space", 0);
    }
    return error;
}

static int check_prefetch(const struct bridge_window *prefetch, unsigned int address_bits,
                          struct bridge_diagnosis *diagnosis)
{
    if (prefetch->size != 0u) {
        return check_window(prefetch, &prefetch_rule, address_bits, diagnosis);
    }
    if (prefetch->base != 0u) {
        return refuse(diagnosis, BRIDGE_DIAGNOSIS_ADDRESS, prefetch_rule.address_field, prefetch->base,
                      "must be 0, because prefetch_size is 0 (no such window)", 0);
    }
    return 0;
}

static int check_interrupts(const struct bridge *bridge, uint32_t minimum, const char *too_few,
                            struct bridge_diagnosis *diagnosis)
{
    const uint32_t first = bridge->interrupt_first;
    const uint32_t count = bridge->interrupt_count;

    if (first < BRIDGE_INTERRUPT_FIRST || first > BRIDGE_INTERRUPT_LAST) {
        return refuse(diagnosis, BRIDGE_DIAGNOSIS_COUNT, "irq_start", first,
                      "must be the absolute interrupt id of an SPI, 32 to 1019", 0);
    }
    if (count < minimum) {
        return refuse(diagnosis, BRIDGE_DIAGNOSIS_COUNT, "irq_how_many", count, too_few, 0);
    }
    if (count > BRIDGE_INTERRUPT_LAST + 1u - first) {
        return refuse(diagnosis, BRIDGE_DIAGNOSIS_COUNT, "irq_how_many", count,
                      "the last SPI is 1019; from irq_start on there are", BRIDGE_INTERRUPT_LAST + 1u - first);
    }
    return 0;
}

/* That the windows are disjoint: each is compared, as somebody else's range, with a bridge that has the later ones. */
static int check_disjoint(const struct bridge *bridge, struct bridge_diagnosis *diagnosis)
{
    const char *property = diagnosis->property;
    struct bridge later = *bridge;
    int error;

    later.ecam.size = 0;
    error = bridge_check_range(&later, property, "the ECAM window", bridge->ecam.base, bridge->ecam.size, diagnosis);
    if (error == 0) {
        later.memory.size = 0;
        error = bridge_check_range(&later, property, "the memory window", bridge->memory.base, bridge->memory.size,
                                   diagnosis);
    }
    return error == 0 ? 0 : -EINVAL;
}

int bridge_check_rules(const struct bridge *bridge, unsigned int address_bits, struct bridge_diagnosis *diagnosis)
{
    int error = check_window(&bridge->ecam, &ecam_rule, address_bits, diagnosis);

    if (error == 0) {
        error = check_memory(&bridge->memory, address_bits, diagnosis);
    }
    if (error == 0) {
        error = check_prefetch(&bridge->prefetch, address_bits, diagnosis);
    }
    if (error == 0) {
        error = check_interrupts(bridge, BRIDGE_INTX_COUNT,
                                 "must be at least 4: INTA to INTD, then one for each MSI vector", diagnosis);
    }
    if (error == 0 && (bridge->flags & ~BRIDGE_FLAGS) != 0u) {
        error = refuse(diagnosis, BRIDGE_DIAGNOSIS_ADDRESS, "flags", bridge->flags,
                       "reserved bits must be 0; bit 0 is GRANTS, bit 1 is HOLD, together", BRIDGE_FLAGS);
    }
    if (error == 0) {
        error = check_disjoint(bridge, diagnosis);
    }
    return error;
}

int bridge_check_mmio(const struct bridge *bridge, unsigned int address_bits, struct bridge_diagnosis *diagnosis)
{
    int error = check_window(&bridge->memory, &mmio_rule, address_bits, diagnosis);

    if (error == 0 && bridge->prefetch.size != 0u) {
        error = check_window(&bridge->prefetch, &mmio_rule, address_bits, diagnosis);
    }
    if (error == 0 && bridge->interrupt_count != 0u) {
        error = check_interrupts(bridge, 1, "must be at least 1, or leave xen,irqs out", diagnosis);
    }
    return error == 0 ? check_disjoint(bridge, diagnosis) : error;
}

int bridge_choose_property(bool has_emulated, bool has_ioreq, const char **property,
                           struct bridge_diagnosis *diagnosis)
{
    if (!has_emulated && !has_ioreq) {
        return -ENOENT;
    }
    *property = has_emulated ? BRIDGE_PROPERTY : BRIDGE_PROPERTY_IOREQ;
    if (has_emulated && has_ioreq) {
        diagnosis->property = *property;
        return refuse(diagnosis, BRIDGE_DIAGNOSIS_PROPERTY, NULL, 0,
                      "present together with " BRIDGE_PROPERTY_IOREQ ", its other name; remove one of them", 0);
    }
    return 0;
}

int bridge_parse(const char *property, const void *value, size_t length, unsigned int address_cells,
                 unsigned int size_cells, unsigned int address_bits, struct bridge *bridge,
                 struct bridge_diagnosis *diagnosis)
{
    const uint8_t *next = value;
    int error;

    diagnosis->property = property;
    error = check_length(length, address_cells, size_cells, diagnosis);
    if (error != 0) {
        return error;
    }
    bridge->ecam.base = bridge_take_number(&next, address_cells);
    bridge->ecam.size = bridge_take_number(&next, size_cells);
    bridge->memory.base = bridge_take_number(&next, address_cells);
    bridge->memory.size = bridge_take_number(&next, size_cells);
    bridge->prefetch.base = bridge_take_number(&next, address_cells);
    bridge->prefetch.size = bridge_take_number(&next, size_cells);
    bridge->interrupt_first = (uint32_t)bridge_take_number(&next, 1);
    bridge->interrupt_count = (uint32_t)bridge_take_number(&next, 1);
    bridge->flags = (uint32_t)bridge_take_number(&next, 1);
    bridge->backend = 0;
    bridge->hold_ms = (bridge->flags & BRIDGE_FLAG_HOLD) != 0u ? BRIDGE_HOLD_MS : 0u;
    return bridge_check_rules(bridge, address_bits, diagnosis);
}

bool bridge_warning(const struct bridge *bridge, const char *property, struct bridge_diagnosis *diagnosis)
{
    if (bridge->memory.base < BELOW_4G || bridge->ecam.size == 0u) {
        return false;
    }
    diagnosis->property = property;
    (void)refuse(diagnosis, BRIDGE_DIAGNOSIS_ADDRESS, memory_rule.address_field, bridge->memory.base,
                 "above 4 GiB: 32-bit BARs find no room; use a window below 4 GiB if the guest has a hole there", 0);
    return true;
}

int bridge_check_spis(const struct bridge *bridge, const char *property, uint32_t nr_spis,
                      struct bridge_diagnosis *diagnosis)
{
    if (nr_spis >= bridge_spis_needed(bridge)) {
        return 0;
    }
    diagnosis->property = property;
    return refuse(diagnosis, BRIDGE_DIAGNOSIS_COUNT, "nr_spis", nr_spis,
                  "of the domain does not reach the bridge's last interrupt; it must be at least",
                  bridge_spis_needed(bridge));
}

int bridge_check_enhanced(const struct bridge *bridge, const char *property, bool enhanced,
                          struct bridge_diagnosis *diagnosis)
{
    if ((bridge->flags & BRIDGE_FLAG_GRANTS) == 0u || enhanced) {
        return 0;
    }
    diagnosis->property = property;
    return refuse(diagnosis, BRIDGE_DIAGNOSIS_ADDRESS, "flags", bridge->flags,
                  "GRANTS (bit 0) needs the domain's grant table: add xen,enhanced, or clear the bit", 0);
}
