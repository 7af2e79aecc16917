/* SPDX-License-Identifier: BSD-2-Clause */
/* See space.h. */
#include "space.h"

#include <stdlib.h>

static void add_range(struct space *space, enum space_kind kind, int bridge, const char *name,
                      const struct bridge_window *window)
{
    struct space_range *range = &space->ranges[space->count];

    if (window->size == 0) {
        return;
    }
    range->kind = kind;
    range->bridge = bridge;
    range->first = window->base;
    range->last = window->size - 1 > UINT64_MAX - window->base ? UINT64_MAX : window->base + (window->size - 1);
    range->overlaps = false;
    snprintf(range->name, sizeof(range->name), "%s", name);
    space->count++;
}

static void add_bridge(struct space *space, int index, const struct bridge *bridge)
{
    const struct bridge_window memory = {bridge->memory.base, bridge->memory.size - BRIDGE_SERVICE_SIZE};
    const struct bridge_window v2m = {bridge_v2m_base(bridge), BRIDGE_V2M_SIZE};
    const struct bridge_window status = {bridge_status_base(bridge), BRIDGE_STATUS_SIZE};

    if (bridge->ecam.size == 0) {
        add_range(space, SPACE_PLAIN, index, "plain range", &bridge->memory);
        add_range(space, SPACE_PLAIN, index, "second plain range", &bridge->prefetch);
        return;
    }
    add_range(space, SPACE_ECAM, index, "ECAM", &bridge->ecam);
    add_range(space, SPACE_MEMORY, index, "memory", &memory);
    add_range(space, SPACE_V2M, index, "v2m frame", &v2m);
    add_range(space, SPACE_STATUS, index, "status page", &status);
    add_range(space, SPACE_PREFETCH, index, "prefetchable memory", &bridge->prefetch);
}

static int compare_ranges(const void *left, const void *right)
{
    const struct space_range *a = left;
    const struct space_range *b = right;

    if (a->first != b->first) {
        return a->first < b->first ? -1 : 1;
    }
    return a->last < b->last ? -1 : a->last > b->last;
}

static struct space_range hole(uint64_t first, uint64_t last)
{
    return (struct space_range){.kind = SPACE_HOLE, .first = first, .last = last, .bridge = -1, .name = "-"};
}

/* Between the sorted ranges, of which the last ones make room. */
static void add_holes(struct space *space, unsigned int address_bits)
{
    struct space_range sorted[SPACE_RANGES_MAX / 2];
    const size_t count = space->count;
    const uint64_t end = 1ull << address_bits;
    uint64_t next = 0; /* the first address that nobody has so far */

    memcpy(sorted, space->ranges, count * sizeof(sorted[0]));
    space->count = 0;
    for (size_t i = 0; i < count; i++) {
        if (sorted[i].first > next) {
            space->ranges[space->count++] = hole(next, sorted[i].first - 1);
        }
        sorted[i].overlaps = sorted[i].first < next;
        space->ranges[space->count++] = sorted[i];
        if (sorted[i].last >= next) {
            next = sorted[i].last == UINT64_MAX ? UINT64_MAX : sorted[i].last + 1;
        }
    }
    if (next < end) {
        space->ranges[space->count++] = hole(next, end - 1);
    }
}

/* A direct-mapped guest's RAM may lie where its grant table would be, if it had one: then it is RAM. */
static bool is_replaced(const struct domain *domain, const struct domain_range *range)
{
    bool replaced = false;

    for (unsigned int i = 0; i < domain->range_count && !replaced; i++) {
        const struct domain_range *other = &domain->ranges[i];

        replaced = range->kind == DOMAIN_LAYOUT && other->kind == DOMAIN_RAM && !domain->enhanced &&
                   (range->base - other->base < other->size || other->base - range->base < range->size);
    }
    return replaced;
}

void space_read(struct space *space, const struct domain *domain, unsigned int address_bits)
{
    static const enum space_kind kinds[] = {
        [DOMAIN_RAM] = SPACE_RAM,
        [DOMAIN_SHARED_MEMORY] = SPACE_SHARED_MEMORY,
        [DOMAIN_LAYOUT] = SPACE_LAYOUT,
        [DOMAIN_HARDWARE] = SPACE_HARDWARE,
    };

    space->count = 0;
    for (unsigned int i = 0; i < domain->range_count; i++) {
        const struct domain_range *range = &domain->ranges[i];
        const struct bridge_window window = {range->base, range->size};

        if (!is_replaced(domain, range)) {
            add_range(space, kinds[range->kind], -1, range->name, &window);
        }
    }
    for (unsigned int i = 0; i < domain->bridge_count; i++) {
        add_bridge(space, (int)i, &domain->bridges[i].bridge);
    }
    qsort(space->ranges, space->count, sizeof(space->ranges[0]), compare_ranges);
    add_holes(space, address_bits);
}

const char *space_kind_name(enum space_kind kind)
{
    static const char *const names[] = {
        [SPACE_HOLE] = "hole",
        [SPACE_RAM] = "ram",
        [SPACE_SHARED_MEMORY] = "shared-memory",
        [SPACE_LAYOUT] = "layout",
        [SPACE_HARDWARE] = "hardware",
        [SPACE_ECAM] = "ecam",
        [SPACE_MEMORY] = "memory",
        [SPACE_V2M] = "v2m",
        [SPACE_STATUS] = "status",
        [SPACE_PREFETCH] = "prefetch",
        [SPACE_PLAIN] = "plain",
    };

    return names[kind];
}

void space_format_size(const struct space_range *range, char *text)
{
    static const char *const units[] = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    double size = ((double)(range->last - range->first) + 1) / 1024;
    unsigned int unit = 0;

    while (unit < 5 && size >= 1024) {
        size /= 1024;
        unit++;
    }
    snprintf(text, SPACE_SIZE_MAX, "%.*f %s", size == (double)(uint64_t)size ? 0 : 1, size, units[unit]);
}
