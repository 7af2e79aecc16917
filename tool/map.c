/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sidebridge map: the address space of guests, one line a range, holes included, and their interrupts.
 *
 * Ranges that overlap are all drawn and marked, so that a map of a broken binding shows what is wrong with it.
 */
#include <stdlib.h>

#include "commands.h"
#include "options.h"

/* A domain's ranges, and those of its bridges: ECAM, memory, v2m frame, status page, prefetch. */
#define LINES_MAX (DOMAIN_RANGES_MAX + 5u * DOMAIN_BRIDGES_MAX)

static const char usage[] =
    "usage: sidebridge map [--address-bits N] [--xen VERSION] FILE [DOMAIN]\n"
    "\n"
    "Draws the address space of one guest, or of all. FILE is a host device tree (.dtb; - is the standard input),\n"
    "DOMAIN the name, path or number of a domain in it. Windows of its bridges are marked with *, overlaps with !.\n"
    "\n"
    OPTIONS_COMMON;

struct line {
    uint64_t first;
    uint64_t last;
    char name[DOMAIN_NAME_MAX];
    char mark;
};

struct map {
    struct line lines[LINES_MAX];
    size_t count;
};

static void add_line(struct map *map, uint64_t base, uint64_t size, const char *name, char mark)
{
    struct line *line = &map->lines[map->count];

    if (size != 0 && map->count < LINES_MAX) {
        line->first = base;
        line->last = size - 1 > UINT64_MAX - base ? UINT64_MAX : base + (size - 1);
        snprintf(line->name, sizeof(line->name), "%s", name);
        line->mark = mark;
        map->count++;
    }
}

/* A window of a bridge, which has a number only where there are several. */
static void add_window(struct map *map, const char *owner, uint64_t base, uint64_t size, const char *name)
{
    char text[DOMAIN_NAME_MAX];

    snprintf(text, sizeof(text), "%s: %s", owner, name);
    add_line(map, base, size, text, '*');
}

static void add_bridge(struct map *map, const char *owner, const struct bridge *bridge)
{
    if (bridge->ecam.size == 0) {
        add_window(map, owner, bridge->memory.base, bridge->memory.size, "plain range");
        add_window(map, owner, bridge->prefetch.base, bridge->prefetch.size, "second plain range");
        return;
    }
    add_window(map, owner, bridge->ecam.base, bridge->ecam.size, "ECAM");
    add_window(map, owner, bridge->memory.base, bridge->memory.size - BRIDGE_SERVICE_SIZE, "memory");
    add_window(map, owner, bridge_v2m_base(bridge), BRIDGE_V2M_SIZE, "v2m frame");
    add_window(map, owner, bridge_status_base(bridge), BRIDGE_STATUS_SIZE, "status page");
    add_window(map, owner, bridge->prefetch.base, bridge->prefetch.size, "prefetchable memory");
}

/* What the bridge of this index is called. */
static const char *owner_of(const struct domain *domain, unsigned int index)
{
    static const char *const owners[DOMAIN_BRIDGES_MAX] = {"bridge 0", "bridge 1", "bridge 2", "bridge 3"};

    return domain->bridge_count > 1 ? owners[index] : "bridge";
}

static int compare_lines(const void *left, const void *right)
{
    const struct line *a = left;
    const struct line *b = right;

    if (a->first != b->first) {
        return a->first < b->first ? -1 : 1;
    }
    return a->last < b->last ? -1 : a->last > b->last;
}

static void collect(struct map *map, const struct domain *domain)
{
    map->count = 0;
    for (unsigned int i = 0; i < domain->range_count; i++) {
        const struct domain_range *range = &domain->ranges[i];

        add_line(map, range->base, range->size, range->name, ' ');
    }
    for (unsigned int i = 0; i < domain->bridge_count; i++) {
        add_bridge(map, owner_of(domain, i), &domain->bridges[i].bridge);
    }
    qsort(map->lines, map->count, sizeof(map->lines[0]), compare_lines);
}

static void print_size(uint64_t first, uint64_t last)
{
    static const char *const units[] = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    double size = ((double)(last - first) + 1) / 1024;
    unsigned int unit = 0;

    while (unit < 5 && size >= 1024) {
        size /= 1024;
        unit++;
    }
    printf("%8.*f %s", size == (double)(uint64_t)size ? 0 : 1, size, units[unit]);
}

static void print_line(const struct line *line, char mark)
{
    printf("%c 0x%013" PRIx64 " - 0x%013" PRIx64 " ", mark, line->first, line->last);
    print_size(line->first, line->last);
    printf("  %s\n", line->name);
}

static void print_hole(uint64_t first, uint64_t last)
{
    const struct line hole = {.first = first, .last = last, .name = "-"};

    print_line(&hole, ' ');
}

static void print_ranges(const struct map *map, unsigned int address_bits)
{
    const uint64_t end = 1ull << address_bits;
    uint64_t next = 0; /* the first address that nobody has so far */

    for (size_t i = 0; i < map->count; i++) {
        const struct line *line = &map->lines[i];

        if (line->first > next) {
            print_hole(next, line->first - 1);
        }
        print_line(line, line->first < next ? '!' : line->mark);
        if (line->last >= next) {
            next = line->last == UINT64_MAX ? UINT64_MAX : line->last + 1;
        }
    }
    if (next < end) {
        print_hole(next, end - 1);
    }
}

/* Only what report.c would print as it is: the path is the device tree's. */
static void print_path(const char *path)
{
    for (const char *next = path; *next != '\0'; next++) {
        putchar(*next > ' ' && *next <= '~' ? *next : '?');
    }
}

static void print_interrupts(const struct bridge *bridge)
{
    const uint32_t last = bridge->interrupt_first + bridge->interrupt_count - 1;

    if (bridge->ecam.size == 0) {
        if (bridge->interrupt_count != 0) {
            printf("  interrupts %u-%u\n", bridge->interrupt_first, last);
        }
        return;
    }
    printf("  interrupts %u-%u: INTA to INTD\n", bridge->interrupt_first,
           bridge->interrupt_first + BRIDGE_INTX_COUNT - 1);
    if (bridge_msi_count(bridge) != 0) {
        printf("  interrupts %u-%u: %u MSI vectors\n", bridge_msi_first(bridge), last, bridge_msi_count(bridge));
    }
}

static void print_bridge(const struct domain *domain, unsigned int index)
{
    const struct bridge *bridge = &domain->bridges[index].bridge;

    if (domain->bridge_count > 1) {
        printf("  %s ", owner_of(domain, index));
        print_path(domain->bridges[index].path);
        putchar('\n');
    }
    print_interrupts(bridge);
    if (bridge->ecam.size == 0) {
        printf("  plain ranges, flags:");
    } else {
        printf("  %u bus%s, flags:", bridge_buses(bridge), bridge_buses(bridge) == 1 ? "" : "es");
    }
    printf("%s%s%s", (bridge->flags & BRIDGE_FLAG_GRANTS) != 0 ? " GRANTS" : "",
           (bridge->flags & BRIDGE_FLAG_HOLD) != 0 ? " HOLD" : "", bridge->flags == 0 ? " none" : "");
    if ((bridge->flags & BRIDGE_FLAG_HOLD) != 0) {
        printf(" (%u ms)", bridge->hold_ms);
    }
    if (bridge->backend != 0) {
        printf(", back end: domain %u", bridge->backend);
    }
    putchar('\n');
}

static void print_domain(const struct domain *domain, unsigned int address_bits)
{
    struct map map;

    printf("domain %u ", domain->id);
    print_path(domain->path);
    printf(", GICv%u%s\n", domain->layout.gic_version, domain->layout.direct_mapped ? ", direct-mapped" : "");
    collect(&map, domain);
    print_ranges(&map, address_bits);
    for (unsigned int i = 0; i < domain->bridge_count; i++) {
        print_bridge(domain, i);
    }
    if (domain->bridge_count == 0) {
        printf("  no bridge\n");
    }
}

static void print_domains(const struct options *options, const struct domains *domains, const char *name,
                          struct report *report)
{
    (void)options;
    const struct domain *domain = name != NULL ? domains_find(domains, name, report) : NULL;

    if (domain != NULL) {
        print_domain(domain, domains->address_bits);
    }
    for (size_t i = 0; name == NULL && i < domains->count; i++) {
        if (i > 0) {
            putchar('\n');
        }
        print_domain(domains->domains[i], domains->address_bits);
    }
}

int command_map(int count, char **arguments)
{
    struct options options = {.usage = usage, .operands_min = 1, .operands_max = 2};

    return options_command(&options, count, arguments, print_domains);
}
