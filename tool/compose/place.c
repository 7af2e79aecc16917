/* SPDX-License-Identifier: BSD-2-Clause */
/* See place.h. */
#define BRIDGE_WANTS_GUEST_LAYOUT
#include "place.h"

#include <stdlib.h>
#include <string.h>

#include "rules.h"

#define MIB             0x100000u
#define SLOT            (2u * MIB)  /* files begin at a multiple of it, as Xen and arm64 kernels want */
#define FIRST_ADDRESS   (12u * MIB) /* ImageBuilder's: firmware may still need what lies below */
#define BELOW_4G        0x100000000ull
#define STATIC_ALIGN    SLOT

/* RAM, and what of it is taken. */
struct memory {
    unsigned int bank_count;
    struct host_range banks[HOST_BANKS_MAX];
    unsigned int taken_count;
    struct host_range taken[HOST_RESERVED_MAX + SYSTEM_RANGES_MAX + SYSTEM_DOMAINS_MAX * (SYSTEM_RANGES_MAX + 1u) +
                            BOOT_FILES_MAX];
};

static void take(struct memory *memory, uint64_t base, uint64_t size)
{
    if (size != 0 && memory->taken_count < sizeof(memory->taken) / sizeof(memory->taken[0])) {
        memory->taken[memory->taken_count++] = (struct host_range){.base = base, .size = size};
    }
}

/* Inclusive, so that a range which ends at the last address has an end. */
static uint64_t last_of(const struct host_range *range)
{
    return range->size - 1 > UINT64_MAX - range->base ? UINT64_MAX : range->base + (range->size - 1);
}

/* What of [base, base + size) is taken; NULL: nothing. */
static const struct host_range *find_taken(const struct memory *memory, uint64_t base, uint64_t size)
{
    const struct host_range wanted = {.base = base, .size = size};

    for (unsigned int i = 0; i < memory->taken_count; i++) {
        if (base <= last_of(&memory->taken[i]) && memory->taken[i].base <= last_of(&wanted)) {
            return &memory->taken[i];
        }
    }
    return NULL;
}

/* The lowest place in a bank; false when there is none. */
static bool find_upwards(const struct memory *memory, const struct host_range *bank, uint64_t first, uint64_t size,
                         uint64_t *base)
{
    const uint64_t last = last_of(bank);
    uint64_t next = bank->base > first ? bank->base : first;

    for (;;) {
        const struct host_range *taken;

        if (next > UINT64_MAX - (SLOT - 1)) {
            return false;
        }
        next = (next + SLOT - 1) & ~(uint64_t)(SLOT - 1);
        if (next > last || size - 1 > last - next) {
            return false;
        }
        taken = find_taken(memory, next, size);
        if (taken == NULL) {
            *base = next;
            return true;
        }
        if (last_of(taken) == UINT64_MAX) {
            return false;
        }
        next = last_of(taken) + 1;
    }
}

/* The highest place in a bank that ends at or below `end`. */
static bool find_downwards(const struct memory *memory, const struct host_range *bank, uint64_t end, uint64_t size,
                           uint64_t *base)
{
    const uint64_t last = last_of(bank) < end - 1 ? last_of(bank) : end - 1;
    uint64_t next;

    if (last < bank->base || size - 1 > last - bank->base) {
        return false;
    }
    next = last - (size - 1);
    for (;;) {
        const struct host_range *taken;

        next &= ~(uint64_t)(STATIC_ALIGN - 1);
        if (next < bank->base) {
            return false;
        }
        taken = find_taken(memory, next, size);
        if (taken == NULL) {
            *base = next;
            return true;
        }
        if (taken->base < size) {
            return false;
        }
        next = taken->base - size;
    }
}

static int compare_banks(const void *left, const void *right)
{
    const struct host_range *a = left;
    const struct host_range *b = right;

    return a->base < b->base ? -1 : a->base > b->base;
}

static void cut_bank(struct memory *memory, const struct host_range *bank, uint64_t start, uint64_t last)
{
    const uint64_t low = bank->base > start ? bank->base : start;
    const uint64_t high = last_of(bank) < last ? last_of(bank) : last;

    if (bank->size != 0 && low <= high) {
        memory->banks[memory->bank_count++] = (struct host_range){.base = low, .size = high - low + 1};
    }
}

/* The board's RAM, as far as the configuration lets it be used; where the board's tree says nothing, what that says. */
static bool find_banks(const struct system *system, const struct host *host, struct memory *memory)
{
    struct report *report = system->assignments->report;
    const uint64_t last = system->has_memory_end ? system->memory_end - 1 : UINT64_MAX;

    for (unsigned int i = 0; i < host->bank_count; i++) {
        cut_bank(memory, &host->banks[i], system->memory_start, last);
    }
    if (host->bank_count == 0) {
        if (!system->has_memory_start || !system->has_memory_end) {
            report_write(report, REPORT_ERROR, "MEMORY_START",
                         "the board's device tree has no /memory: say where RAM is, by MEMORY_START and MEMORY_END");
            return false;
        }
        memory->banks[memory->bank_count++] =
            (struct host_range){.base = system->memory_start, .size = last - system->memory_start + 1};
    }
    if (memory->bank_count == 0) {
        report_write(report, REPORT_ERROR, "MEMORY_START",
                     "no RAM from 0x%" PRIx64 " to 0x%" PRIx64 ": the board's first bank is 0x%" PRIx64 "-0x%" PRIx64
                     "; leave MEMORY_START and MEMORY_END out, or correct them",
                     system->memory_start, last, host->banks[0].base, last_of(&host->banks[0]));
        return false;
    }
    qsort(memory->banks, memory->bank_count, sizeof(memory->banks[0]), compare_banks);
    return true;
}

static void take_known(const struct system *system, const struct host *host, struct memory *memory)
{
    for (unsigned int i = 0; i < host->reserved_count; i++) {
        take(memory, host->reserved[i].base, host->reserved[i].size);
    }
    for (unsigned int i = 0; i < system->heap_count; i++) {
        take(memory, system->heap[i].base, system->heap[i].size);
    }
    for (unsigned int i = 0; i < system->domain_count; i++) {
        const struct system_domain *domain = &system->domains[i];

        for (unsigned int j = 0; j < domain->static_count; j++) {
            take(memory, domain->static_memory[j].base, domain->static_memory[j].size);
        }
        if (domain->shared_memory.from != NULL && domain->shared_memory.has_host_address) {
            take(memory, domain->shared_memory.host_address, domain->shared_memory.size);
        }
    }
}

/* A direct-mapped guest sees its RAM where it is, so not where Xen puts something else into every such guest. */
static void take_layout(struct memory *memory)
{
    const struct bridge_guest_layout layout = {.gic_version = 3, .direct_mapped = true};
    struct bridge_layout_range range;
    unsigned int cursor = 0;

    while (bridge_layout_next(&layout, &cursor, &range)) {
        take(memory, range.base, range.size);
    }
}

/* Below 4 GiB where there is room, for the sake of devices with addresses of 32 bits. */
static bool find_static(const struct memory *memory, uint64_t size, uint64_t *base)
{
    for (unsigned int i = memory->bank_count; i > 0; i--) {
        if (find_downwards(memory, &memory->banks[i - 1], BELOW_4G, size, base)) {
            return true;
        }
    }
    for (unsigned int i = memory->bank_count; i > 0; i--) {
        if (find_downwards(memory, &memory->banks[i - 1], UINT64_MAX, size, base)) {
            return true;
        }
    }
    return false;
}

static void place_static(const struct system *system, struct system_domain *domain, struct memory *memory)
{
    const unsigned int known = memory->taken_count;
    const uint64_t size = domain->memory_kib * 1024;
    bool found;

    if (domain->direct_map) {
        take_layout(memory);
    }
    found = find_static(memory, size, &domain->static_memory[0].base);
    memory->taken_count = known;
    if (!found) {
        assignment_report(system->assignments, domain->static_from, REPORT_ERROR,
                          "no bank of the board's RAM has %" PRIu64 " KiB left in one piece", domain->memory_kib);
        return;
    }
    domain->static_memory[0].size = size;
    domain->static_count = 1;
    take(memory, domain->static_memory[0].base, size);
}

static uint64_t first_address(const struct memory *memory)
{
    const uint64_t first = memory->banks[0].base + SLOT;

    return first < FIRST_ADDRESS ? FIRST_ADDRESS : first;
}

static void place_file(const struct system *system, struct boot_file *file, struct memory *memory)
{
    const uint64_t size = file->memory_size;

    if (!file->present) {
        return;
    }
    for (unsigned int i = 0; i < memory->bank_count; i++) {
        if (find_upwards(memory, &memory->banks[i], first_address(memory), size, &file->address)) {
            take(memory, file->address, size);
            return;
        }
    }
    if (file->from != NULL) {
        assignment_report(system->assignments, file->from, REPORT_ERROR,
                          "no bank of the board's RAM has 0x%" PRIx64 " bytes left for it in one piece", size);
    } else {
        report_write(system->assignments->report, REPORT_ERROR, file->name,
                     "no bank of the board's RAM has 0x%" PRIx64 " bytes left for it in one piece", size);
    }
}

bool place_memory(struct system *system, struct boot *boot, const struct host *host)
{
    const unsigned int errors = system->assignments->report->errors;
    struct boot_file *list[BOOT_FILES_MAX];
    const unsigned int count = boot_list(boot, list);
    static struct memory memory;

    memset(&memory, 0, sizeof(memory));
    if (!find_banks(system, host, &memory)) {
        return false;
    }
    take_known(system, host, &memory);
    for (unsigned int i = 0; i < system->domain_count; i++) {
        if (system->domains[i].static_wanted) {
            place_static(system, &system->domains[i], &memory);
        }
    }
    for (unsigned int i = 0; i < count; i++) {
        place_file(system, list[i], &memory);
    }
    return system->assignments->report->errors == errors;
}

/* What a hole is looked for from: where Xen's guest layout keeps room for a PCI host bridge. */
static const uint64_t window_starts[BRIDGE_WINDOWS] = {GUEST_VPCI_ECAM_BASE, GUEST_VPCI_MEM_ADDR,
                                                       GUEST_VPCI_PREFETCH_MEM_ADDR};
static const char *const window_names[BRIDGE_WINDOWS] = {"ecam", "memory", "prefetch"};

/* A window that does not cross 4 GiB, or does not have to lie below it, at the first place from `next` on. */
static bool find_window(const struct domain *guest, struct bridge *candidate, unsigned int window, uint64_t next,
                        uint64_t end)
{
    const uint64_t size = candidate->window[window].size;
    const uint64_t alignment = window == 0 ? BRIDGE_BUS_SIZE : BRIDGE_WINDOW_ALIGN * 16u;

    for (;;) {
        struct bridge_diagnosis diagnosis;
        unsigned int cursor = 0;

        if (next > UINT64_MAX - alignment) {
            return false;
        }
        next = (next + alignment - 1) / alignment * alignment;
        if (next >= end || size > end - next) {
            return false;
        }
        candidate->window[window].base = next;
        if (!rules_find_conflict(guest, candidate, BRIDGE_COMPATIBLE, guest->bridge_count, &cursor, &diagnosis)) {
            return true;
        }
        if (diagnosis.kind != BRIDGE_DIAGNOSIS_RANGES || diagnosis.other_last == UINT64_MAX) {
            return false;
        }
        next = diagnosis.other_last + 1;
    }
}

/*
 * First where a stock guest's layout has room, then from the bottom of the address space; 32-bit space for what is not
 * prefetchable, if there is any.
 */
static bool place_window(const struct domain *guest, struct bridge *bridge, unsigned int window,
                         unsigned int address_bits)
{
    const uint64_t end = address_bits < 64 ? 1ull << address_bits : UINT64_MAX;
    const uint64_t low_end = end < BELOW_4G ? end : BELOW_4G;
    struct bridge candidate = {.window = {{0, 0}, {0, 0}, {0, 0}}};
    bool found;

    candidate.window[window].size = bridge->window[window].size;
    if (window == 2) {
        found = find_window(guest, &candidate, window, window_starts[2], end);
    } else {
        found = find_window(guest, &candidate, window, window_starts[window], low_end) ||
                find_window(guest, &candidate, window, MIB, low_end) ||
                find_window(guest, &candidate, window, BELOW_4G, end);
    }
    bridge->window[window].base = candidate.window[window].base;
    return found;
}

#define INTERRUPT_START 44u /* behind those that Xen's guest layout gives to vpl011 and virtio-mmio */

static bool place_interrupts(const struct domain *guest, struct bridge *bridge)
{
    struct bridge candidate = {.interrupt_first = INTERRUPT_START, .interrupt_count = bridge->interrupt_count};

    while (candidate.interrupt_first <= BRIDGE_INTERRUPT_LAST &&
           candidate.interrupt_count <= BRIDGE_INTERRUPT_LAST + 1u - candidate.interrupt_first) {
        struct bridge_diagnosis diagnosis;
        unsigned int cursor = 0;

        if (!rules_find_conflict(guest, &candidate, BRIDGE_COMPATIBLE, guest->bridge_count, &cursor, &diagnosis)) {
            bridge->interrupt_first = candidate.interrupt_first;
            return true;
        }
        candidate.interrupt_first = (uint32_t)diagnosis.other_last + 1;
    }
    return false;
}

static void report_diagnosis(const struct system *system, const struct system_bridge *bridge,
                             const struct bridge_diagnosis *diagnosis)
{
    char text[BRIDGE_DIAGNOSIS_MAX];

    bridge_diagnosis_format(diagnosis, text, sizeof(text));
    assignment_report(system->assignments, bridge->from, REPORT_ERROR, "%s", text);
}

/* What the configuration gives, against what is there; only what it gives. */
static void check_given(const struct system *system, const struct domain *guest, const struct system_bridge *bridge)
{
    struct bridge given = bridge->bridge;
    struct bridge_diagnosis diagnosis;
    unsigned int cursor = 0;

    for (unsigned int i = 0; i < BRIDGE_WINDOWS; i++) {
        given.window[i].size = bridge->window_given[i] ? given.window[i].size : 0;
    }
    given.interrupt_count = bridge->interrupts_given ? given.interrupt_count : 0;
    while (rules_find_conflict(guest, &given, BRIDGE_COMPATIBLE, guest->bridge_count, &cursor, &diagnosis)) {
        report_diagnosis(system, bridge, &diagnosis);
    }
}

/* What one bridge has by now is taken for the others. */
static void add_to_guest(struct domain *guest, const struct bridge *bridge)
{
    if (guest->bridge_count < DOMAIN_BRIDGES_MAX) {
        guest->bridges[guest->bridge_count++].bridge = *bridge;
    }
}

/* The part of a bridge that the configuration gives, so that no other is placed on it. */
static struct bridge given_part(const struct system_bridge *bridge)
{
    struct bridge given = bridge->bridge;

    for (unsigned int i = 0; i < BRIDGE_WINDOWS; i++) {
        if (!bridge->window_given[i]) {
            given.window[i] = (struct bridge_window){0, 0};
        }
    }
    if (!bridge->interrupts_given) {
        given.interrupt_first = 0;
        given.interrupt_count = 0;
    }
    return given;
}

static void place_bridge(const struct system *system, struct domain *guest, struct system_bridge *bridge,
                         unsigned int index, unsigned int address_bits)
{
    for (unsigned int i = 0; i < BRIDGE_WINDOWS; i++) {
        if (bridge->bridge.window[i].size == 0 || bridge->window_given[i]) {
            continue;
        }
        if (!place_window(guest, &bridge->bridge, i, address_bits)) {
            assignment_report(system->assignments, bridge->from, REPORT_ERROR,
                              "the guest's address space has no room for %s=0x%" PRIx64, window_names[i],
                              bridge->bridge.window[i].size);
            continue;
        }
        bridge->window_given[i] = true;
        guest->bridges[index].bridge = given_part(bridge);
    }
    if (!bridge->interrupts_given && !place_interrupts(guest, &bridge->bridge)) {
        assignment_report(system->assignments, bridge->from, REPORT_ERROR, "no %u interrupts in a row are free",
                          bridge->bridge.interrupt_count);
    } else {
        bridge->interrupts_given = true;
    }
    guest->bridges[index].bridge = given_part(bridge);
}

bool place_bridges(const struct system *system, struct system_domain *domain, struct domain *guest,
                   unsigned int address_bits)
{
    const unsigned int errors = system->assignments->report->errors;

    guest->bridge_count = 0;
    for (unsigned int i = 0; i < domain->bridge_count; i++) {
        const struct bridge given = given_part(&domain->bridges[i]);

        check_given(system, guest, &domain->bridges[i]);
        add_to_guest(guest, &given);
    }
    for (unsigned int i = 0; i < domain->bridge_count; i++) {
        place_bridge(system, guest, &domain->bridges[i], i, address_bits);
    }
    return system->assignments->report->errors == errors;
}
