/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sidebridge node: what Xen puts into a guest's device tree for its bridge.
 *
 * The bridge's nodes come from bridge/, as in the hypervisor. Around them stands what they refer to: the root, the
 * memory and the interrupt controller, with the numbers that Xen gives them, so that the result is a tree of its own
 * that dtc and dt-validate can read. The rest of the guest's tree is not shown; root's `compatible` and `model` are
 * ours.
 */
#define BRIDGE_WANTS_GUEST_LAYOUT
#define BRIDGE_WANTS_LIBFDT
#include "commands.h"
#include "options.h"

#include <xen/device_tree_defs.h>

#include "dts.h"

#define TREE_SIZE 16384u

static const char usage[] =
    "usage: sidebridge node [-O dts|dtb | --json] [--address-bits N] [--xen VERSION] FILE DOMAIN\n"
    "\n"
    "Prints the device tree nodes that Xen makes for the bridges of a domain. FILE is a host device tree (.dtb; - is\n"
    "the standard input), DOMAIN the name, path or number of a domain in it.\n"
    "\n"
    "  -O FORMAT             dts, the source, or dtb (dts)\n"
    OPTIONS_JSON
    OPTIONS_COMMON;

static int begin_named(void *fdt, const char *name, uint64_t base)
{
    char full_name[48];

    snprintf(full_name, sizeof(full_name), "%s@%" PRIx64, name, base);
    return fdt_begin_node(fdt, full_name);
}

static int put_text(void *fdt, const char *name, const char *text)
{
    return fdt_property(fdt, name, text, (int)strlen(text) + 1);
}

static int put_reg(void *fdt, const struct bridge_window *windows, unsigned int count)
{
    fdt64_t reg[2 * DOMAIN_RANGES_MAX];

    for (unsigned int i = 0; i < count; i++) {
        reg[2 * i] = cpu_to_fdt64(windows[i].base);
        reg[2 * i + 1] = cpu_to_fdt64(windows[i].size);
    }
    return fdt_property(fdt, "reg", reg, (int)(count * 2 * sizeof(reg[0])));
}

static int put_memory(void *fdt, const struct domain *domain)
{
    struct bridge_window banks[DOMAIN_RANGES_MAX];
    const unsigned int count = domain_ram(domain, banks);
    int error = 0;

    if (count == 0) {
        return 0;
    }
    error = error != 0 ? error : begin_named(fdt, "memory", banks[0].base);
    error = error != 0 ? error : put_text(fdt, "device_type", "memory");
    error = error != 0 ? error : put_reg(fdt, banks, count);
    return error != 0 ? error : fdt_end_node(fdt);
}

static int put_interrupt_controller(void *fdt, const struct domain *domain, bool xen_4_22)
{
    const char *compatible = domain->layout.gic_version == 3 ? "arm,gic-v3" : "arm,gic-400";
    struct bridge_window windows[DOMAIN_RANGES_MAX];
    unsigned int count = 0;
    int error;

    for (unsigned int i = 0; i < domain->range_count; i++) {
        if (strncmp(domain->ranges[i].name, "the vGIC", strlen("the vGIC")) == 0) {
            windows[count].base = domain->ranges[i].base;
            windows[count].size = domain->ranges[i].size;
            count++;
        }
    }
    error = begin_named(fdt, "interrupt-controller", count > 0 ? windows[0].base : 0);
    error = error != 0 ? error : put_text(fdt, "compatible", compatible);
    error = error != 0 ? error : fdt_property_cell(fdt, "#address-cells", 0);
    error = error != 0 ? error : fdt_property_cell(fdt, "#interrupt-cells", 3);
    error = error != 0 ? error : fdt_property(fdt, "interrupt-controller", NULL, 0);
    error = error != 0 ? error : put_reg(fdt, windows, count);
    if (error == 0 && xen_4_22 && domain->layout.gic_version == 3) {
        error = fdt_property_cell(fdt, "#redistributor-regions", count - 1);
    }
    error = error != 0 ? error : fdt_property_cell(fdt, "phandle", GUEST_PHANDLE_GIC);
    return error != 0 ? error : fdt_end_node(fdt);
}

/*
 * The phandles of the bridges follow the GIC's, or, which cannot be seen here, the highest of a partial device tree;
 * linux,pci-domain likewise. Plain ranges use up their numbers too.
 */
static int put_bridges(void *fdt, const struct domain *domain)
{
    int error = 0;

    for (unsigned int i = 0; error == 0 && i < domain->bridge_count; i++) {
        const struct bridge_fdt_context context = {
            .phandle_gic = GUEST_PHANDLE_GIC,
            .phandle_v2m = GUEST_PHANDLE_GIC + 1 + 2 * i,
            .phandle_iommu = GUEST_PHANDLE_GIC + 2 + 2 * i,
            .pci_domain = i,
        };

        error = bridge_fdt_nodes(fdt, &domain->bridges[i].bridge, &context);
    }
    return error;
}

static int put_tree(void *fdt, const struct domain *domain, bool xen_4_22)
{
    int error = fdt_create(fdt, TREE_SIZE);

    error = error != 0 ? error : fdt_finish_reservemap(fdt);
    error = error != 0 ? error : fdt_begin_node(fdt, "");
    error = error != 0 ? error : fdt_property_cell(fdt, "#address-cells", GUEST_ROOT_ADDRESS_CELLS);
    error = error != 0 ? error : fdt_property_cell(fdt, "#size-cells", GUEST_ROOT_SIZE_CELLS);
    error = error != 0 ? error : put_text(fdt, "compatible", "xen,xenvm");
    error = error != 0 ? error : put_text(fdt, "model", "What Xen makes for a PCI host bridge");
    error = error != 0 ? error : put_memory(fdt, domain);
    error = error != 0 ? error : put_interrupt_controller(fdt, domain, xen_4_22);
    error = error != 0 ? error : put_bridges(fdt, domain);
    error = error != 0 ? error : fdt_end_node(fdt);
    return error != 0 ? error : fdt_finish(fdt);
}

/* What has no nodes is at least said, in a comment. */
static void print_plain_ranges(const struct bridge *bridge)
{
    for (unsigned int i = 1; i < BRIDGE_WINDOWS; i++) {
        if (bridge->window[i].size != 0) {
            printf("/* 0x%" PRIx64 "-0x%" PRIx64 ": plain range; its nodes are yours, in the partial device tree */\n",
                   bridge->window[i].base, bridge->window[i].base + (bridge->window[i].size - 1));
        }
    }
    if (bridge->interrupt_count != 0) {
        printf("/* its interrupts %u-%u are SPIs %u-%u in a device tree */\n", bridge->interrupt_first,
               bridge->interrupt_first + bridge->interrupt_count - 1, bridge->interrupt_first - BRIDGE_INTERRUPT_FIRST,
               bridge->interrupt_first + bridge->interrupt_count - 1 - BRIDGE_INTERRUPT_FIRST);
    }
}

static void print_tree(const struct options *options, const struct domain *domain, struct report *report)
{
    static uint64_t tree[TREE_SIZE / sizeof(uint64_t)];
    const int error = put_tree(tree, domain, options->xen_4_22);

    if (error != 0) {
        report_write(report, REPORT_ERROR, domain->path, "the guest's tree cannot be made: %s", fdt_strerror(error));
    } else if (options->document != NULL) {
        document_add_nodes(options->document, domain, tree);
    } else if (options->binary) {
        fwrite(tree, 1, fdt_totalsize(tree), stdout);
    } else {
        for (unsigned int i = 0; i < domain->bridge_count; i++) {
            if (domain->bridges[i].bridge.ecam.size == 0) {
                print_plain_ranges(&domain->bridges[i].bridge);
            }
        }
        dts_print(stdout, tree);
    }
}

static void print_domain(const struct options *options, const struct domains *domains, const char *name,
                         struct report *report)
{
    const struct domain *domain = domains_find_served(domains, name, report);

    if (domain != NULL) {
        print_tree(options, domain, report);
    }
}

int command_node(int count, char **arguments)
{
    struct options options = {
        .usage = usage, .takes_format = true, .takes_json = true, .operands_min = 2, .operands_max = 2};

    return options_command(&options, count, arguments, print_domain);
}
