/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sidebridge map: the address space of guests, one line a range, holes included, and their interrupts.
 *
 * Ranges that overlap are all drawn and marked, so that a map of a broken binding shows what is wrong with it.
 */
#include "commands.h"
#include "options.h"
#include "picture/file.h"
#include "space.h"

static const char usage[] =
    "usage: sidebridge map [-o FILE] [--json] [--address-bits N] [--xen VERSION] FILE [DOMAIN]\n"
    "\n"
    "Draws the address space of one guest, or of all. FILE is a host device tree (.dtb; - is the standard input),\n"
    "DOMAIN the name, path or number of a domain in it. Windows of its bridges are marked with *, overlaps with !.\n"
    "\n"
    OPTIONS_OUTPUT
    OPTIONS_JSON
    OPTIONS_COMMON;

/* What the bridge of this index is called. */
static const char *owner_of(const struct domain *domain, unsigned int index)
{
    static const char *const owners[DOMAIN_BRIDGES_MAX] = {"bridge 0", "bridge 1", "bridge 2", "bridge 3"};

    return domain->bridge_count > 1 ? owners[index] : "bridge";
}

static void print_range(const struct domain *domain, const struct space_range *range)
{
    const char mark = range->overlaps ? '!' : range->bridge >= 0 ? '*' : ' ';
    char size[SPACE_SIZE_MAX];

    space_format_size(range, size);
    printf("%c 0x%013" PRIx64 " - 0x%013" PRIx64 " %12s  ", mark, range->first, range->last, size);
    if (range->bridge >= 0) {
        printf("%s: ", owner_of(domain, (unsigned int)range->bridge));
    }
    puts(range->name);
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

static void print_domain(const struct domain *domain, const struct space *space)
{
    printf("domain %u ", domain->id);
    print_path(domain->path);
    printf(", GICv%u%s\n", domain->layout.gic_version, domain->layout.direct_mapped ? ", direct-mapped" : "");
    for (size_t i = 0; i < space->count; i++) {
        print_range(domain, &space->ranges[i]);
    }
    for (unsigned int i = 0; i < domain->bridge_count; i++) {
        print_bridge(domain, i);
    }
    if (domain->bridge_count == 0) {
        printf("  no bridge\n");
    }
}

static void show_domain(const struct options *options, const struct domain *domain, unsigned int address_bits)
{
    struct space space;

    space_read(&space, domain, address_bits);
    if (options->document != NULL) {
        document_add_space(options->document, domain, &space);
    } else {
        print_domain(domain, &space);
    }
}

static void draw(const struct options *options, const struct domains *domains, const char *name, struct report *report)
{
    const struct picture_subject subject = options_picture(options, domains, name, report);

    if (name == NULL || subject.count != 0) {
        (void)picture_file_write(&subject, options->output, report);
    }
}

static void show_domains(const struct options *options, const struct domains *domains, const char *name,
                         struct report *report)
{
    const struct domain *domain;

    if (options->output != NULL) {
        draw(options, domains, name, report);
        return;
    }
    domain = name != NULL ? domains_find(domains, name, report) : NULL;
    if (domain != NULL) {
        show_domain(options, domain, domains->address_bits);
    }
    for (size_t i = 0; name == NULL && i < domains->count; i++) {
        if (i > 0 && options->document == NULL) {
            putchar('\n');
        }
        show_domain(options, domains->domains[i], domains->address_bits);
    }
}

int command_map(int count, char **arguments)
{
    struct options options = {
        .usage = usage, .takes_json = true, .takes_output = true, .operands_min = 1, .operands_max = 2};

    return options_command(&options, count, arguments, show_domains);
}
