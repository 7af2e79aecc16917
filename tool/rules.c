/* SPDX-License-Identifier: BSD-2-Clause */
/* See rules.h. */
#include "rules.h"

#include <libfdt.h>
#include <stdlib.h>

static void report_diagnosis(struct report *report, enum report_level level, const char *path,
                             const struct bridge_diagnosis *diagnosis)
{
    char text[BRIDGE_DIAGNOSIS_MAX];

    bridge_diagnosis_format(diagnosis, text, sizeof(text));
    report_write(report, level, path, "%s", text);
}

/* Not one of the two names, but so like them that it was meant to be. */
static bool looks_like_the_property(const char *name)
{
    return (strncmp(name, "secondary-", strlen("secondary-")) == 0 && strstr(name, "pci") != NULL) ||
           strstr(name, "pci-host-bridge") != NULL;
}

/* How often a node has each name of the property; a name that is nearly one of them is reported. */
struct name_count {
    unsigned int emulated;
    unsigned int ioreq;
};

static struct name_count count_names(const struct host_tree_walk *walk)
{
    const void *fdt = walk->tree->fdt;
    struct name_count count = {0, 0};
    int property;

    fdt_for_each_property_offset(property, fdt, walk->node) {
        const char *name = NULL;

        if (fdt_getprop_by_offset(fdt, property, &name, NULL) == NULL || name == NULL) {
            continue;
        }
        if (strcmp(name, BRIDGE_PROPERTY) == 0) {
            count.emulated++;
        } else if (strcmp(name, BRIDGE_PROPERTY_IOREQ) == 0) {
            count.ioreq++;
        } else if (looks_like_the_property(name)) {
            report_write(walk->tree->report, REPORT_WARNING, walk->path,
                         "%.64s: Xen does not know this property; is it meant to be " BRIDGE_PROPERTY "?", name);
        }
    }
    return count;
}

static bool check_once(const struct host_tree_walk *walk, const char *name, unsigned int count)
{
    if (count > 1) {
        report_write(walk->tree->report, REPORT_ERROR, walk->path, "%s: present %u times; keep one of them", name,
                     count);
    }
    return count <= 1;
}

void rules_read_bridge(const struct host_tree_walk *walk, struct domain *domain, unsigned int address_bits)
{
    const struct name_count count = count_names(walk);
    struct bridge_diagnosis diagnosis;
    const char *property = NULL;
    const void *value;
    int length = 0;
    int error;

    if (!check_once(walk, BRIDGE_PROPERTY, count.emulated) || !check_once(walk, BRIDGE_PROPERTY_IOREQ, count.ioreq)) {
        return;
    }
    error = bridge_choose_property(count.emulated != 0, count.ioreq != 0, &property, &diagnosis);
    if (error == -ENOENT) {
        return;
    }
    if (error == 0) {
        value = fdt_getprop(walk->tree->fdt, walk->node, property, &length);
        error = bridge_parse(property, value, value != NULL ? (size_t)length : 0,
                             host_tree_walk_address_cells(walk), host_tree_walk_size_cells(walk), address_bits,
                             &domain->bridge, &diagnosis);
    }
    if (error == 0) {
        domain->property = property;
    } else {
        report_diagnosis(walk->tree->report, REPORT_ERROR, walk->path, &diagnosis);
    }
}

void rules_check_elsewhere(const struct host_tree_walk *walk)
{
    const struct name_count count = count_names(walk);
    const char *name = count.emulated != 0 ? BRIDGE_PROPERTY : BRIDGE_PROPERTY_IOREQ;

    if (count.emulated == 0 && count.ioreq == 0) {
        return;
    }
    if (strcmp(walk->path, "/chosen") == 0) {
        report_write(walk->tree->report, REPORT_ERROR, walk->path,
                     "%s: dom0 cannot have a bridge; the property belongs to the node of a domain below /chosen", name);
    } else {
        report_write(walk->tree->report, REPORT_ERROR, walk->path,
                     "%s: not read here; the property belongs to a child of /chosen that is compatible with "
                     "\"xen,domain\"", name);
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

static void check_conflicts(const struct domain *domain, struct report *report)
{
    struct bridge_diagnosis diagnosis;

    if (bridge_check_layout(&domain->bridge, domain->property, &domain->layout, &diagnosis) != 0) {
        report_diagnosis(report, REPORT_ERROR, domain->path, &diagnosis);
    }
    for (unsigned int i = 0; i < domain->range_count; i++) {
        const struct domain_range *range = &domain->ranges[i];

        if (range->kind != DOMAIN_LAYOUT && bridge_check_range(&domain->bridge, domain->property, range->name,
                                                               range->base, range->size, &diagnosis) != 0) {
            report_diagnosis(report, REPORT_ERROR, domain->path, &diagnosis);
        }
    }
    if (domain->layout.vpl011 && domain->vpl011_interrupt != 0 &&
        bridge_check_interrupts(&domain->bridge, domain->property, "vpl011", domain->vpl011_interrupt, 1,
                                &diagnosis) != 0) {
        report_diagnosis(report, REPORT_ERROR, domain->path, &diagnosis);
    }
}

void rules_check_domain(const struct domain *domain, struct report *report)
{
    struct bridge_diagnosis diagnosis;

    if (domain->property == NULL) {
        return;
    }
    if (bridge_check_enhanced(&domain->bridge, domain->property, domain->enhanced, &diagnosis) != 0) {
        report_diagnosis(report, REPORT_ERROR, domain->path, &diagnosis);
    }
    check_conflicts(domain, report);
    if (domain->has_nr_spis &&
        bridge_check_spis(&domain->bridge, domain->property, domain->nr_spis, &diagnosis) != 0) {
        report_diagnosis(report, REPORT_ERROR, domain->path, &diagnosis);
    }
    if (bridge_warning(&domain->bridge, domain->property, &diagnosis)) {
        report_diagnosis(report, REPORT_WARNING, domain->path, &diagnosis);
    }
    if (domain->has_passthrough) {
        report_write(report, REPORT_NOTE, domain->path,
                     "the passed-through devices are described outside this file; only Xen checks the bridge against "
                     "them");
    }
}
