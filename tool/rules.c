/* SPDX-License-Identifier: BSD-2-Clause */
/* See rules.h. */
#include "rules.h"

#include <libfdt.h>
#include <stdlib.h>

static void report_diagnosis(struct report *report, enum report_level level, const char *path,
                             const struct bridge_diagnosis *diagnosis)
{
    char property[BRIDGE_DIAGNOSIS_MAX];
    char text[BRIDGE_DIAGNOSIS_MAX];

    /* Of the one wording, which begins with the property. */
    bridge_diagnosis_format(diagnosis, text, sizeof(text));
    snprintf(property, sizeof(property), "%.*s", (int)strcspn(text, ":"), text);
    report_property(report, level, path, property, "%s", text + strlen(property) + strlen(": "));
}

/* The properties of a domain's node that make a bridge. */
#define NAMES 4u
static const char *const names[NAMES] = {BRIDGE_PROPERTY, BRIDGE_PROPERTY_IOREQ, "virtio-pci", "virtio-pci-ranges"};

/* How often a node has each of them. */
struct name_count {
    unsigned int of[NAMES];
};

/* Of a name that is none of ours, but so like one that it was meant to be: that one. Else NULL. */
static const char *meant(const char *written)
{
    char name[128];

    /* As people write it who do not know which it is. */
    snprintf(name, sizeof(name), "%s", written);
    for (char *next = name; *next != '\0'; next++) {
        *next = *next == '_' || *next == '.' ? '-' : *next;
    }
    if ((strncmp(name, "secondary-", strlen("secondary-")) == 0 && strstr(name, "pci") != NULL) ||
        strstr(name, "pci-host-bridge") != NULL) {
        return BRIDGE_PROPERTY;
    }
    if (strncmp(name, "virtio", strlen("virtio")) == 0 && strstr(name, "pci") != NULL) {
        return strstr(name, "range") != NULL ? "virtio-pci-ranges" : "virtio-pci";
    }
    return NULL;
}

/* Counts the names; one that is nearly one of them is reported. */
static struct name_count count_names(const struct host_tree_walk *walk)
{
    const void *fdt = walk->tree->fdt;
    struct name_count count = {{0}};
    int property;

    fdt_for_each_property_offset(property, fdt, walk->node) {
        const char *name = NULL;
        unsigned int i = 0;

        if (fdt_getprop_by_offset(fdt, property, &name, NULL) == NULL || name == NULL) {
            continue;
        }
        while (i < NAMES && strcmp(name, names[i]) != 0) {
            i++;
        }
        if (i < NAMES) {
            count.of[i]++;
        } else if (meant(name) != NULL) {
            report_property(walk->tree->report, REPORT_WARNING, walk->path, name,
                            "Xen does not know this property; is it meant to be %s?", meant(name));
        }
    }
    return count;
}

/* libfdt finds the first of two properties of one name, as Xen does; but who wrote them meant one of them. */
static bool check_once(const struct host_tree_walk *walk, const struct name_count *count)
{
    bool once = true;

    for (unsigned int i = 0; i < NAMES; i++) {
        if (count->of[i] > 1) {
            report_property(walk->tree->report, REPORT_ERROR, walk->path, names[i],
                            "present %u times; keep one of them", count->of[i]);
            once = false;
        }
    }
    return once;
}

static const void *get_property(const void *node, const char *name, uint32_t *length)
{
    const struct host_tree_walk *walk = node;
    int found = 0;
    const void *value = fdt_getprop(walk->tree->fdt, walk->node, name, &found);

    *length = value != NULL ? (uint32_t)found : 0;
    return value;
}

typedef int read_function(const struct bridge_node *node, unsigned int address_bits, struct bridge *bridge,
                          const char **property, struct bridge_diagnosis *diagnosis);

/* False when the node declares no bridge; true also when it declares one that is refused. */
static bool add_bridge(const struct host_tree_walk *walk, struct domain *domain, unsigned int address_bits,
                       read_function *read)
{
    const struct bridge_node node = {
        .node = walk,
        .property = get_property,
        .address_cells = host_tree_walk_address_cells(walk),
        .size_cells = host_tree_walk_size_cells(walk),
    };
    struct bridge_diagnosis diagnosis = {.property = ""};
    struct domain_bridge *added = &domain->bridges[domain->bridge_count];
    const char *property = NULL;
    struct bridge bridge;
    const int error = read(&node, address_bits, &bridge, &property, &diagnosis);

    if (error == -ENOENT) {
        return false;
    }
    if (error != 0) {
        report_diagnosis(walk->tree->report, REPORT_ERROR, walk->path, &diagnosis);
    } else if (domain->bridge_count == DOMAIN_BRIDGES_MAX) {
        report_write(walk->tree->report, REPORT_ERROR, walk->path, "more than %u bridges", DOMAIN_BRIDGES_MAX);
    } else {
        snprintf(added->path, sizeof(added->path), "%s", walk->path);
        added->property = property;
        added->bridge = bridge;
        domain->bridge_count++;
    }
    return true;
}

void rules_read_bridge(const struct host_tree_walk *walk, struct domain *domain, unsigned int address_bits)
{
    const struct name_count count = count_names(walk);

    if (!check_once(walk, &count)) {
        return;
    }
    (void)add_bridge(walk, domain, address_bits, bridge_read);
}

/* A node that Xen passes over, although its compatible was meant to be one of ours. */
static void check_compatible(const struct host_tree_walk *walk)
{
    int length = 0;
    const char *next = fdt_getprop(walk->tree->fdt, walk->node, "compatible", &length);
    const char *const end = next != NULL ? next + length : NULL;

    while (next < end) {
        char text[65];
        const size_t size = strnlen(next, (size_t)(end - next));

        snprintf(text, sizeof(text), "%.*s", size < sizeof(text) ? (int)size : (int)sizeof(text) - 1, next);
        if (strstr(text, "ioreq") != NULL || strstr(text, "pci-host") != NULL ||
            (strncmp(text, "xen,", 4) == 0 && strstr(text, "mmio") != NULL)) {
            if (next + size == end) {
                report_property(walk->tree->report, REPORT_WARNING, walk->path, "compatible",
                                "\"%s\" does not end in NUL, so that Xen does not read it", text);
            } else {
                report_property(walk->tree->report, REPORT_WARNING, walk->path, "compatible",
                                "Xen does not know \"%s\"; is it meant to be %s?", text,
                                strstr(text, "mmio") != NULL ? BRIDGE_COMPATIBLE_MMIO : BRIDGE_COMPATIBLE);
            }
        }
        next += size + 1;
    }
}

/* Options of a bridge that Xen does not know: it passes over them. */
static void check_options(const struct host_tree_walk *walk)
{
    static const char *const options[] = {"xen,irqs", "xen,grants", "xen,hold-ms", "xen,backend"};
    const void *fdt = walk->tree->fdt;
    int property;

    fdt_for_each_property_offset(property, fdt, walk->node) {
        const char *name = NULL;
        unsigned int i = 0;

        if (fdt_getprop_by_offset(fdt, property, &name, NULL) == NULL || name == NULL ||
            strncmp(name, "xen,", 4) != 0) {
            continue;
        }
        while (i < 4 && strcmp(name, options[i]) != 0) {
            i++;
        }
        if (i == 4) {
            report_property(walk->tree->report, REPORT_WARNING, walk->path, name,
                            "Xen does not know this property; a bridge may have xen,irqs, xen,grants, xen,hold-ms "
                            "and xen,backend");
        }
    }
}

static void check_misplaced(const struct host_tree_walk *walk)
{
    const struct name_count count = count_names(walk);

    for (unsigned int i = 0; i < NAMES; i++) {
        if (count.of[i] == 0) {
            continue;
        }
        if (strcmp(walk->path, "/chosen") == 0) {
            report_property(walk->tree->report, REPORT_ERROR, walk->path, names[i],
                            "dom0 cannot have a bridge; the property belongs to the node of a domain below /chosen");
        } else {
            report_property(walk->tree->report, REPORT_ERROR, walk->path, names[i],
                            "not read here; the property belongs to a child of /chosen that is compatible with "
                            "\"xen,domain\"");
        }
        return;
    }
}

void rules_read_child(const struct host_tree_walk *walk, struct domain *domain, unsigned int address_bits)
{
    check_misplaced(walk);
    if (add_bridge(walk, domain, address_bits, bridge_read_child)) {
        check_options(walk);
    } else {
        check_compatible(walk);
    }
}

void rules_check_elsewhere(const struct host_tree_walk *walk)
{
    static const char *const bridges[] = {BRIDGE_COMPATIBLE, BRIDGE_COMPATIBLE_MMIO, NULL};

    check_misplaced(walk);
    if (host_tree_is_compatible(walk->tree, walk->node, bridges)) {
        report_property(walk->tree->report, REPORT_ERROR, walk->path, "compatible",
                        "not read here; a bridge is a child of a domain's node, which is a child of /chosen that is "
                        "compatible with \"xen,domain\"");
    }
}

void rules_check_guest(const struct domain *domain, struct report *report)
{
    struct bridge_diagnosis diagnosis;

    if (bridge_check_guest(&domain->layout, domain->cpus, domain->nr_spis, &diagnosis) != 0) {
        report_diagnosis(report, REPORT_ERROR, domain->path, &diagnosis);
    }
}

static int compare_paths(const void *left, const void *right)
{
    const struct domain *const *a = left;
    const struct domain *const *b = right;

    return strcmp((*a)->path, (*b)->path);
}

void rules_check_names(const struct domains *domains, struct report *report)
{
    const struct domain **sorted = calloc(domains->count + 1, sizeof(*sorted));

    if (sorted == NULL) {
        report_write(report, REPORT_ERROR, NULL, "out of memory");
        return;
    }
    for (size_t i = 0; i < domains->count; i++) {
        sorted[i] = domains->domains[i];
    }
    qsort(sorted, domains->count, sizeof(*sorted), compare_paths);
    for (size_t i = 1; i < domains->count; i++) {
        if (compare_paths(&sorted[i - 1], &sorted[i]) == 0) {
            report_write(report, REPORT_ERROR, sorted[i]->path, "two domains have this name; rename one of them");
        }
    }
    free(sorted);
}

/* One thing of the domain after the other, by its number; *over is set behind the last. */
static bool is_conflict(const struct domain *domain, const struct bridge *bridge, const char *property,
                        unsigned int bridge_count, unsigned int number, bool *over, struct bridge_diagnosis *diagnosis)
{
    if (number == 0) {
        return bridge_check_layout(bridge, property, &domain->layout, diagnosis) != 0;
    }
    number -= 1;
    if (number < domain->range_count) {
        const struct domain_range *range = &domain->ranges[number];

        return range->kind != DOMAIN_LAYOUT &&
               bridge_check_range(bridge, property, range->name, range->base, range->size, diagnosis) != 0;
    }
    number -= domain->range_count;
    if (number == 0) {
        return domain->layout.vpl011 && domain->vpl011_interrupt != 0 &&
               bridge_check_interrupts(bridge, property, "vpl011", domain->vpl011_interrupt, 1, diagnosis) != 0;
    }
    number -= 1;
    if (number < domain->device_interrupt_count) {
        return bridge_check_interrupts(bridge, property, "a passed-through device",
                                       domain->device_interrupts[number], 1, diagnosis) != 0;
    }
    number -= domain->device_interrupt_count;
    if (number < bridge_count) {
        return bridge_check_bridge(bridge, property, &domain->bridges[number].bridge, diagnosis) != 0;
    }
    *over = true;
    return false;
}

bool rules_find_conflict(const struct domain *domain, const struct bridge *bridge, const char *property,
                         unsigned int bridge_count, unsigned int *cursor, struct bridge_diagnosis *diagnosis)
{
    bool over = false;

    while (!over) {
        if (is_conflict(domain, bridge, property, bridge_count, (*cursor)++, &over, diagnosis)) {
            return true;
        }
    }
    return false;
}

static void check_conflicts(const struct domain *domain, const struct domain_bridge *checked, struct report *report)
{
    struct bridge_diagnosis diagnosis;
    unsigned int cursor = 0;

    while (rules_find_conflict(domain, &checked->bridge, checked->property,
                               (unsigned int)(checked - domain->bridges), &cursor, &diagnosis)) {
        report_diagnosis(report, REPORT_ERROR, checked->path, &diagnosis);
    }
}

static void check_bridge(const struct domain *domain, const struct domain_bridge *checked, struct report *report)
{
    const struct bridge *bridge = &checked->bridge;
    struct bridge_diagnosis diagnosis;

    if (bridge_check_domain(bridge, checked->property, domain->enhanced, UINT32_MAX, &diagnosis) != 0) {
        report_diagnosis(report, REPORT_ERROR, checked->path, &diagnosis);
    }
    check_conflicts(domain, checked, report);
    if (domain->has_nr_spis && bridge_check_domain(bridge, checked->property, true, domain->nr_spis, &diagnosis) != 0) {
        report_diagnosis(report, REPORT_ERROR, checked->path, &diagnosis);
    }
    if (bridge_warning(bridge, checked->property, &diagnosis)) {
        report_diagnosis(report, REPORT_WARNING, checked->path, &diagnosis);
    }
    if (bridge->ecam.size == 0 && !domain->has_passthrough) {
        report_write(report, REPORT_NOTE, checked->path,
                     "the domain has no partial device tree; nothing tells the guest what is in these ranges");
    }
}

void rules_check_domain(const struct domain *domain, bool devices_known, struct report *report)
{
    for (unsigned int i = 0; i < domain->bridge_count; i++) {
        check_bridge(domain, &domain->bridges[i], report);
    }
    if (domain->has_passthrough && !devices_known && domain->bridge_count != 0) {
        report_write(report, REPORT_NOTE, domain->path,
                     "the passed-through devices are described outside this file; only Xen checks the bridge against "
                     "them");
    }
}
