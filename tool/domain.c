/* SPDX-License-Identifier: BSD-2-Clause */
/* See domain.h. The properties of a domain's node are those of Xen 4.17's docs/misc/arm/device-tree/booting.txt. */
#define BRIDGE_WANTS_GUEST_LAYOUT
#include "domain.h"

#include <libfdt.h>
#include <stdlib.h>

#include "construction.h"
#include "host.h"
#include "rules.h"

#define DOMAINS_MAX 4096u

#define GICV3_REDISTRIBUTOR_SIZE 0x20000u /* RD and SGI frame of one CPU */

#define ADDRESS_BITS_DEFAULT 40u

#define KIB 1024u

static void add_range(struct domain *domain, struct report *report, enum domain_range_kind kind, const char *name,
                      uint64_t base, uint64_t size)
{
    struct domain_range *range = &domain->ranges[domain->range_count];

    if (size == 0) {
        return;
    }
    if (domain->range_count == DOMAIN_RANGES_MAX) {
        report_write(report, REPORT_ERROR, domain->path, "more than %u ranges of memory", DOMAIN_RANGES_MAX);
        return;
    }
    range->kind = kind;
    snprintf(range->name, sizeof(range->name), "%s", name);
    range->base = base;
    range->size = size;
    domain->range_count++;
}

/* A property of one cell. False when it is absent, or, reported, not one cell. */
static bool read_cell(const struct host_tree_walk *walk, const char *name, uint32_t *cell)
{
    int length = 0;
    const fdt32_t *value = fdt_getprop(walk->tree->fdt, walk->node, name, &length);

    if (value == NULL) {
        return false;
    }
    if (length != (int)sizeof(*value)) {
        report_property(walk->tree->report, REPORT_ERROR, walk->path, name,
                        "length %d bytes: expected 4 bytes (1 cell)", length);
        return false;
    }
    *cell = fdt32_ld(value);
    return true;
}

static void read_memory(const struct host_tree_walk *walk, struct domain *domain)
{
    struct report *report = walk->tree->report;
    int length = 0;
    const uint8_t *value = fdt_getprop(walk->tree->fdt, walk->node, "memory", &length);

    if (value == NULL) {
        report_property(report, REPORT_ERROR, domain->path, "memory",
                        "missing: Xen cannot build the domain without it");
    } else if (length != 8) {
        report_property(report, REPORT_ERROR, domain->path, "memory",
                        "length %d bytes: expected 8 bytes (2 cells, the number of KiB)", length);
    } else {
        domain->memory_kib = host_tree_take_number(&value, 2);
        if (domain->memory_kib > GUEST_RAM_MAX / KIB) {
            report_property(report, REPORT_ERROR, domain->path, "memory",
                            "%" PRIu64 " KiB: a guest has at most %llu KiB", domain->memory_kib, GUEST_RAM_MAX / KIB);
            domain->memory_kib = 0;
        } else {
            domain->has_memory = true;
        }
    }
}

/* RAM as Xen places it in a guest that is not direct-mapped: the first bank, then the second. */
static void place_ram(struct domain *domain, struct report *report)
{
    static const uint64_t bases[] = GUEST_RAM_BANK_BASES;
    static const uint64_t sizes[] = GUEST_RAM_BANK_SIZES;
    uint64_t left = domain->memory_kib * KIB;

    for (unsigned int i = 0; i < GUEST_RAM_BANKS; i++) {
        const uint64_t size = left < sizes[i] ? left : sizes[i];

        add_range(domain, report, DOMAIN_RAM, "guest RAM", bases[i], size);
        left -= size;
    }
}

/* The address and size cells of `name` are usable, and its length is a whole number of entries; else reported. */
static bool check_entries(const struct host_tree_walk *walk, const char *name, uint32_t address_cells,
                          uint32_t size_cells, uint32_t entry_cells, int length)
{
    struct report *report = walk->tree->report;

    if (address_cells < 1 || address_cells > 2 || size_cells < 1 || size_cells > 2) {
        report_property(report, REPORT_ERROR, walk->path, name,
                        "#address-cells %u and #size-cells %u of the parent node must each be 1 or 2", address_cells,
                        size_cells);
        return false;
    }
    if (length == 0 || (uint32_t)length % (entry_cells * 4u) != 0) {
        report_property(report, REPORT_ERROR, walk->path, name,
                        "length %d bytes: expected entries of %u bytes (%u cells)", length, entry_cells * 4u,
                        entry_cells);
        return false;
    }
    return true;
}

/* xen,static-mem: host memory for the guest's RAM, which a direct-mapped guest sees where it is. */
static void read_static_memory(const struct host_tree_walk *walk, struct domain *domain)
{
    struct report *report = walk->tree->report;
    const uint32_t address_cells = host_tree_walk_address_cells(walk);
    const uint32_t size_cells = host_tree_walk_size_cells(walk);
    int length = 0;
    const uint8_t *next = fdt_getprop(walk->tree->fdt, walk->node, "xen,static-mem", &length);
    const uint8_t *end = next + (next != NULL ? length : 0);
    uint64_t total = 0;

    if (next == NULL) {
        if (domain->layout.direct_mapped) {
            report_property(report, REPORT_ERROR, domain->path, "direct-map", "needs xen,static-mem");
        } else {
            place_ram(domain, report);
        }
        return;
    }
    if (!check_entries(walk, "xen,static-mem", address_cells, size_cells, address_cells + size_cells, length)) {
        return;
    }
    while (next < end) {
        const uint64_t base = host_tree_take_number(&next, address_cells);
        const uint64_t size = host_tree_take_number(&next, size_cells);

        total = size > UINT64_MAX - total ? UINT64_MAX : total + size;
        if (domain->static_count < DOMAIN_RANGES_MAX) {
            domain->static_memory[domain->static_count++] = (struct bridge_window){.base = base, .size = size};
        }
        if (domain->layout.direct_mapped) {
            add_range(domain, report, DOMAIN_RAM, "guest RAM", base, size);
        }
    }
    if (total != domain->memory_kib * KIB) {
        report_property(report, REPORT_ERROR, domain->path, "xen,static-mem",
                        "0x%" PRIx64 " bytes in all, but memory says 0x%" PRIx64 "; make them equal", total,
                        domain->memory_kib * KIB);
    }
    if (!domain->layout.direct_mapped) {
        place_ram(domain, report);
    }
}

/* xen,shared-mem of a child: [host address,] guest address, size, in the cells of the domain's node. */
static void read_shared_memory(const struct host_tree_walk *walk, struct domain *domain)
{
    const uint32_t address_cells = host_tree_walk_address_cells(walk);
    const uint32_t size_cells = host_tree_walk_size_cells(walk);
    int length = 0;
    const uint8_t *next = fdt_getprop(walk->tree->fdt, walk->node, "xen,shared-mem", &length);
    uint32_t cells = 2u * address_cells + size_cells;
    uint64_t base;

    if (next == NULL) {
        report_property(walk->tree->report, REPORT_ERROR, walk->path, "xen,shared-mem", "missing");
        return;
    }
    if ((uint32_t)length == (address_cells + size_cells) * 4u) {
        cells = address_cells + size_cells;
    }
    if (!check_entries(walk, "xen,shared-mem", address_cells, size_cells, cells, length)) {
        return;
    }
    if (cells == 2u * address_cells + size_cells) {
        next += address_cells * 4u;
    }
    base = host_tree_take_number(&next, address_cells);
    add_range(domain, walk->tree->report, DOMAIN_SHARED_MEMORY, "static shared memory", base,
              host_tree_take_number(&next, size_cells));
}

/* Xen's own: enabled, also when it has no value or is not a string; "no-xenstore" too gives a grant table. */
static void read_enhanced(const struct host_tree_walk *walk, struct domain *domain, bool xen_4_22)
{
    int length = 0;
    const char *value = fdt_getprop(walk->tree->fdt, walk->node, "xen,enhanced", &length);

    if (value == NULL) {
        return;
    }
    domain->wants_xenstore = memchr(value, '\0', (size_t)length) == NULL || strcmp(value, "enabled") == 0 ||
                             (xen_4_22 && strcmp(value, "legacy") == 0);
    domain->enhanced = domain->wants_xenstore || strcmp(value, "no-xenstore") == 0;
}

/*
 * The vGIC of a direct-mapped guest, where the host's is: of a GICv2 the distributor's page and 8 KiB of CPU interface,
 * of a GICv3 as many regions of redistributors as its vCPUs need.
 */
static void add_gic(const struct host *host, struct domain *domain, struct report *report)
{
    uint64_t cpus = 0;

    if (host->gic_range_count == 0) {
        report_property(report, REPORT_NOTE, domain->path, "direct-map", "the GIC's address is not known, not checked");
        return;
    }
    if (host->gic_version == 2) {
        add_range(domain, report, DOMAIN_HARDWARE, "the vGIC", host->gic_ranges[0].base, GUEST_GICD_SIZE);
        if (host->gic_range_count > 1) {
            add_range(domain, report, DOMAIN_HARDWARE, "the vGIC", host->gic_ranges[1].base, GUEST_GICC_SIZE);
        }
        return;
    }
    add_range(domain, report, DOMAIN_HARDWARE, "the vGIC", host->gic_ranges[0].base, GUEST_GICV3_GICD_SIZE);
    for (unsigned int i = 1; i < host->gic_range_count && (i == 1 || cpus < domain->cpus); i++) {
        add_range(domain, report, DOMAIN_HARDWARE, "the vGIC", host->gic_ranges[i].base, host->gic_ranges[i].size);
        cpus += host->gic_ranges[i].size / GICV3_REDISTRIBUTOR_SIZE;
    }
}

static void read_layout(const struct host *host, struct domain *domain, struct report *report)
{
    struct bridge_layout_range range;
    unsigned int cursor = 0;

    while (bridge_layout_next(&domain->layout, &cursor, &range)) {
        add_range(domain, report, DOMAIN_LAYOUT, range.name, range.base, range.size);
    }
    if (!domain->layout.direct_mapped) {
        return;
    }
    add_gic(host, domain, report);
    if (domain->layout.vpl011 && host->uart_state == HOST_UART_FOUND) {
        add_range(domain, report, DOMAIN_HARDWARE, "vpl011", host->uart.base, GUEST_PL011_SIZE);
    }
}

/* All but the children: shared memory and modules follow in the walk. */
static void read_domain(const struct host_tree_walk *walk, const struct host *host, struct domain *domain,
                        bool xen_4_22)
{
    struct report *report = walk->tree->report;
    const void *fdt = walk->tree->fdt;

    snprintf(domain->path, sizeof(domain->path), "%s", walk->path);
    domain->layout.gic_version = host->gic_version;
    domain->layout.vpl011 = fdt_getprop(fdt, walk->node, "vpl011", NULL) != NULL;
    domain->layout.vpci = fdt_getprop(fdt, walk->node, "vpci", NULL) != NULL;
    domain->layout.direct_mapped = fdt_getprop(fdt, walk->node, "direct-map", NULL) != NULL;
    read_enhanced(walk, domain, xen_4_22);
    domain->has_colors = fdt_getprop(fdt, walk->node, "llc-colors", NULL) != NULL;
    (void)read_cell(walk, "capabilities", &domain->capabilities);
    domain->has_nr_spis = read_cell(walk, "nr_spis", &domain->nr_spis);
    if (fdt_getprop(fdt, walk->node, "cpus", NULL) == NULL) {
        report_property(report, REPORT_ERROR, domain->path, "cpus", "missing: Xen cannot build the domain without it");
    } else if (read_cell(walk, "cpus", &domain->cpus)) {
        rules_check_guest(domain, report);
    }
    if (domain->layout.direct_mapped && host->uart_state == HOST_UART_FOUND) {
        domain->vpl011_interrupt = host->uart_interrupt;
    }
    read_memory(walk, domain);
    read_static_memory(walk, domain);
    read_layout(host, domain, report);
}

/* A kernel or a ramdisk: bytes that are to lie in the guest's RAM. */
static void read_module(const struct host_tree_walk *walk, struct domain *domain)
{
    const uint32_t address_cells = host_tree_walk_address_cells(walk);
    const uint32_t size_cells = host_tree_walk_size_cells(walk);
    int length = 0;
    const uint8_t *next = fdt_getprop(walk->tree->fdt, walk->node, "reg", &length);
    uint64_t size;

    if (next == NULL || address_cells > 2 || size_cells < 1 || size_cells > 2 ||
        (uint32_t)length < (address_cells + size_cells) * 4u) {
        return;
    }
    next += address_cells * 4u;
    size = host_tree_take_number(&next, size_cells);
    if (size < GUEST_RAM_MAX && domain->modules_size < GUEST_RAM_MAX) {
        domain->modules_size += (size + DOMAIN_MODULE_ALIGN - 1) / DOMAIN_MODULE_ALIGN * DOMAIN_MODULE_ALIGN;
    }
}

static void read_child(const struct host_tree_walk *walk, struct domain *domain)
{
    static const char *const shared_memory[] = {"xen,domain-shared-memory-v1", NULL};
    static const char *const partial_tree[] = {"multiboot,device-tree", NULL};
    static const char *const kernel[] = {"multiboot,kernel", NULL};
    static const char *const in_ram[] = {"multiboot,kernel", "multiboot,ramdisk", NULL};

    if (host_tree_is_compatible(walk->tree, walk->node, shared_memory)) {
        read_shared_memory(walk, domain);
    }
    if (host_tree_is_compatible(walk->tree, walk->node, partial_tree)) {
        domain->has_passthrough = true;
    }
    if (host_tree_is_compatible(walk->tree, walk->node, kernel)) {
        domain->has_kernel = true;
    }
    if (host_tree_is_compatible(walk->tree, walk->node, in_ram)) {
        read_module(walk, domain);
    }
}

static struct domain *append_domain(struct domains *domains, struct report *report, const char *path)
{
    struct domain *domain = NULL;

    if (domains->count == DOMAINS_MAX) {
        report_write(report, REPORT_ERROR, path, "more than %u domains", DOMAINS_MAX);
        return NULL;
    }
    if (domains->domains == NULL) {
        domains->domains = calloc(DOMAINS_MAX, sizeof(*domains->domains));
    }
    if (domains->domains != NULL) {
        domain = calloc(1, sizeof(*domain));
    }
    if (domain == NULL) {
        report_write(report, REPORT_ERROR, path, "out of memory");
        return NULL;
    }
    domains->domains[domains->count] = domain;
    domains->count++;
    domain->id = (unsigned int)domains->count;
    return domain;
}

static bool is_domain(const struct host_tree_walk *walk)
{
    static const char *const names[] = {"xen,domain", NULL};

    return walk->depth == 2 && walk->path_length[1] == strlen("/chosen") &&
           strncmp(walk->path, "/chosen", strlen("/chosen")) == 0 &&
           host_tree_is_compatible(walk->tree, walk->node, names);
}

static bool walk_domains(struct domains *domains, const struct host_tree *tree, const struct host *host)
{
    struct host_tree_walk walk;
    struct domain *domain = NULL;

    host_tree_walk_init(&walk, tree);
    while (host_tree_walk_next(&walk)) {
        if (walk.depth <= 2) {
            domain = NULL;
        }
        if (is_domain(&walk)) {
            domain = append_domain(domains, tree->report, walk.path);
            if (domain == NULL) {
                return false;
            }
            read_domain(&walk, host, domain, domains->xen_4_22);
            rules_read_bridge(&walk, domain, domains->address_bits);
        } else if (domain != NULL && walk.depth == 3) {
            rules_read_child(&walk, domain, domains->address_bits);
            read_child(&walk, domain);
        } else {
            rules_check_elsewhere(&walk);
        }
    }
    return true;
}

static bool is_overlay(const struct host_tree *tree)
{
    int node;

    fdt_for_each_subnode(node, tree->fdt, 0) {
        if (fdt_subnode_offset(tree->fdt, node, "__overlay__") >= 0) {
            return true;
        }
    }
    return false;
}

bool domains_read(struct domains *domains, const struct host_tree *tree)
{
    const unsigned int errors = tree->report->errors;
    struct host host;

    if (!host_read(&host, tree)) {
        return false;
    }
    if (is_overlay(tree)) {
        report_write(tree->report, REPORT_ERROR, "/",
                     "this is an overlay (.dtbo), not a host's tree: apply it first, as fdtoverlay does");
        return false;
    }
    if (fdt_path_offset(tree->fdt, "/chosen") < 0) {
        report_write(tree->report, REPORT_ERROR, "/", "there is no /chosen, so that Xen starts no domain");
        return false;
    }
    if (domains->address_bits == 0) {
        domains->address_bits = host_address_bits(&host) > ADDRESS_BITS_DEFAULT ? host_address_bits(&host)
                                                                               : ADDRESS_BITS_DEFAULT;
    }
    if (!walk_domains(domains, tree, &host)) {
        return false;
    }
    domains->has_control = host.has_dom0;
    rules_check_names(domains, tree->report);
    for (size_t i = 0; i < domains->count; i++) {
        rules_check_domain(domains->domains[i], domains->devices_known, tree->report);
        domains->has_control |= (domains->domains[i]->capabilities & (CAPABILITY_CONTROL | CAPABILITY_HARDWARE)) != 0;
    }
    construction_check(domains, &host, tree->report);
    return tree->report->errors == errors;
}

void domains_finish(struct domains *domains)
{
    for (size_t i = 0; i < domains->count; i++) {
        free(domains->domains[i]);
    }
    free(domains->domains);
    domains->domains = NULL;
    domains->count = 0;
}

const struct domain *domains_find(const struct domains *domains, const char *name, struct report *report)
{
    char number[16];

    for (size_t i = 0; i < domains->count; i++) {
        const struct domain *domain = domains->domains[i];

        snprintf(number, sizeof(number), "%u", domain->id);
        if (strcmp(name, domain->path) == 0 || strcmp(name, domain->path + strlen("/chosen/")) == 0 ||
            strcmp(name, number) == 0) {
            return domain;
        }
    }
    report_write(report, REPORT_ERROR, NULL, "there is no domain \"%.64s\"", name);
    return NULL;
}

const struct domain *domains_find_served(const struct domains *domains, const char *name, struct report *report)
{
    const struct domain *domain = domains_find(domains, name, report);

    if (domain == NULL) {
        return NULL;
    }
    if (report->errors != 0) {
        report_write(report, REPORT_ERROR, domain->path, "nothing is printed because of the errors above");
        return NULL;
    }
    if (domain->bridge_count == 0) {
        report_write(report, REPORT_ERROR, domain->path, "the domain has no bridge (" BRIDGE_PROPERTY ")");
        return NULL;
    }
    return domain;
}

unsigned int domain_ram(const struct domain *domain, struct bridge_window *banks)
{
    unsigned int count = 0;

    for (unsigned int i = 0; i < domain->range_count; i++) {
        if (domain->ranges[i].kind == DOMAIN_RAM) {
            banks[count].base = domain->ranges[i].base;
            banks[count].size = domain->ranges[i].size;
            count++;
        }
    }
    return count;
}
