/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sidebridge map: the address space of guests, one line a range, holes included, and their interrupts.
 *
 * Ranges that overlap are all drawn and marked, so that a map of a broken binding shows what is wrong with it.
 */
#include <stdlib.h>

#include "commands.h"
#include "options.h"

/* A domain's ranges, and those of its bridge: ECAM, memory, v2m frame, status page, prefetch. */
#define LINES_MAX (DOMAIN_RANGES_MAX + 5u)

static const char usage[] =
    "usage: sidebridge map [--address-bits N] FILE [DOMAIN]\n"
    "\n"
    "Draws the address space of one guest, or of all. FILE is a host device tree (.dtb; - is the standard input),\n"
    "DOMAIN the name, path or number of a domain in it. Windows of the bridge are marked with *, overlaps with !.\n"
    "\n"
    "  -a, --address-bits N  width of a guest's physical addresses, 32 to 52 (40)\n"
    "  -h, --help\n";

struct line {
    uint64_t first;
    uint64_t last;
    const char *name;
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
        line->name = name;
        line->mark = mark;
        map->count++;
    }
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
    const struct bridge *bridge = &domain->bridge;

    map->count = 0;
    for (unsigned int i = 0; i < domain->range_count; i++) {
        const struct domain_range *range = &domain->ranges[i];

        add_line(map, range->base, range->size, range->name, ' ');
    }
    if (domain->property != NULL) {
        add_line(map, bridge->ecam.base, bridge->ecam.size, "bridge: ECAM", '*');
        add_line(map, bridge->memory.base, bridge->memory.size - BRIDGE_SERVICE_SIZE, "bridge: memory", '*');
        add_line(map, bridge_v2m_base(bridge), BRIDGE_V2M_SIZE, "bridge: v2m frame", '*');
        add_line(map, bridge_status_base(bridge), BRIDGE_STATUS_SIZE, "bridge: status page", '*');
        add_line(map, bridge->prefetch.base, bridge->prefetch.size, "bridge: prefetchable memory", '*');
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

static void print_interrupts(const struct domain *domain)
{
    const struct bridge *bridge = &domain->bridge;

    printf("  interrupts %u-%u: INTA to INTD\n", bridge->interrupt_first,
           bridge->interrupt_first + BRIDGE_INTX_COUNT - 1);
    if (bridge_msi_count(bridge) != 0) {
        printf("  interrupts %u-%u: %u MSI vectors\n", bridge_msi_first(bridge),
               bridge_msi_first(bridge) + bridge_msi_count(bridge) - 1, bridge_msi_count(bridge));
    }
    printf("  %u bus%s, flags:%s%s%s\n", bridge_buses(bridge), bridge_buses(bridge) == 1 ? "" : "es",
           (bridge->flags & BRIDGE_FLAG_GRANTS) != 0 ? " GRANTS" : "",
           (bridge->flags & BRIDGE_FLAG_HOLD) != 0 ? " HOLD" : "", bridge->flags == 0 ? " none" : "");
}

static void print_domain(const struct domain *domain, unsigned int address_bits)
{
    struct map map;

    /* The path is the device tree's: only what report.c would print as it is. */
    printf("domain %u ", domain->id);
    for (const char *next = domain->path; *next != '\0'; next++) {
        putchar(*next > ' ' && *next <= '~' ? *next : '?');
    }
    printf(", GICv%u%s\n", domain->layout.gic_version, domain->layout.direct_mapped ? ", direct-mapped" : "");
    collect(&map, domain);
    print_ranges(&map, address_bits);
    if (domain->property != NULL) {
        print_interrupts(domain);
    } else {
        printf("  no bridge\n");
    }
}

static void print_domains(const struct options *options, const struct domains *domains, const char *name,
                          struct report *report)
{
    const struct domain *domain = name != NULL ? domains_find(domains, name) : NULL;

    if (name != NULL && domain == NULL) {
        report_write(report, REPORT_ERROR, NULL, "there is no domain \"%.64s\"", name);
    } else if (domain != NULL) {
        print_domain(domain, options->address_bits);
    } else {
        for (size_t i = 0; i < domains->count; i++) {
            if (i > 0) {
                putchar('\n');
            }
            print_domain(domains->domains[i], options->address_bits);
        }
    }
}

int command_map(int count, char **arguments)
{
    struct options options = {.usage = usage, .operands_min = 1, .operands_max = 2};
    struct report report;
    struct host_tree tree;
    struct domains domains;
    int status = EXIT_OK;

    if (!options_read(&options, count, arguments, &status)) {
        return status;
    }
    if (options_load(&options, arguments[options.operand], &report, &tree, &domains)) {
        print_domains(&options, &domains, options.operand + 1 < count ? arguments[options.operand + 1] : NULL,
                      &report);
        domains_finish(&domains);
        host_tree_finish(&tree);
    }
    return options_exit_status(&report);
}
