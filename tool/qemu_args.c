/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sidebridge qemu-args: what QEMU has to be told of a domain and its bridge to be its device model.
 *
 * QEMU's machine "xenpvh" (10.0) does not ask Xen: windows, INTA's interrupt, RAM and the number of vCPUs come by its
 * command line. It has a host bridge of 256 buses or none, and two banks of RAM, of which it takes the first one to be
 * full before the second one begins. Besides the ECAM window it claims each of its functions, always on segment 0,
 * which is the domain's bridge 0; Xen refuses that if these are plain ranges.
 */
#include "commands.h"
#include "options.h"

#define QEMU_ECAM_SIZE (BRIDGE_BUSES_MAX * BRIDGE_BUS_SIZE)
#define QEMU_RAM_BANKS 2u

static const char usage[] =
    "usage: sidebridge qemu-args [--bridge N] [--address-bits N] [--xen VERSION] FILE DOMAIN\n"
    "\n"
    "Prints the arguments with which QEMU serves the bridge of a domain; devices are yours to add:\n"
    "qemu-system-aarch64 $(sidebridge qemu-args host.dtb domU1) -nodefaults -device ...\n"
    "FILE is a host device tree (.dtb; - is the standard input), DOMAIN the name, path or number of a domain in it.\n"
    "\n"
    "  -b, --bridge N        which bridge, counted from 0, if the domain has several\n"
    OPTIONS_COMMON;

static void print_window(const char *name, uint64_t base, uint64_t size)
{
    printf(",%s-base=0x%" PRIx64 ",%s-size=0x%" PRIx64, name, base, name, size);
}

/* RAM that is not where QEMU has it by default, which is the guest layout of Xen. */
static void print_ram(const struct bridge_window *banks, unsigned int count)
{
    const unsigned int low = count == QEMU_RAM_BANKS && banks[1].base < banks[0].base ? 1 : 0;

    print_window("ram-low", banks[low].base, banks[low].size);
    if (count == QEMU_RAM_BANKS) {
        print_window("ram-high", banks[1 - low].base, banks[1 - low].size);
    }
}

static void print_arguments(const struct domain *domain, const struct bridge *bridge, struct report *report)
{
    struct bridge_window banks[DOMAIN_RANGES_MAX];
    const unsigned int count = domain_ram(domain, banks);

    if (count == 0) {
        report_property(report, REPORT_ERROR, domain->path, "memory", "none; QEMU serves no domain without RAM");
        return;
    }
    if (domain->layout.direct_mapped && count > QEMU_RAM_BANKS) {
        report_write(report, REPORT_ERROR, domain->path, "%u banks of RAM (xen,static-mem): QEMU has at most %u", count,
                     QEMU_RAM_BANKS);
        return;
    }
    printf("-M xenpvh");
    if (domain->layout.direct_mapped) {
        print_ram(banks, count);
    }
    print_window("pci-ecam", bridge->ecam.base, bridge->ecam.size);
    print_window("pci-mmio", bridge->memory.base, bridge->memory.size - BRIDGE_SERVICE_SIZE);
    if (bridge->prefetch.size != 0) {
        print_window("pci-mmio-high", bridge->prefetch.base, bridge->prefetch.size);
    }
    printf(",pci-intx-irq-base=%" PRIu32 "\n", bridge->interrupt_first);
    printf("-m %" PRIu64 "k -smp %" PRIu32 "\n", domain->memory_kib, domain->cpus);
    printf("-xen-domid %u -xen-attach\n", domain->id);
}

static void print_bridge(const struct domain *domain, int number, struct report *report)
{
    const struct domain_bridge *chosen;

    if (number < 0 && domain->bridge_count > 1) {
        report_write(report, REPORT_ERROR, domain->path, "the domain has %u bridges; choose one by --bridge 0 to %u",
                     domain->bridge_count, domain->bridge_count - 1);
        return;
    }
    if (number >= (int)domain->bridge_count) {
        report_write(report, REPORT_ERROR, domain->path, "the domain has no bridge %d; its last one is %u", number,
                     domain->bridge_count - 1);
        return;
    }
    chosen = &domain->bridges[number < 0 ? 0 : number];
    if (chosen->bridge.ecam.size == 0) {
        report_property(report, REPORT_ERROR, chosen->path, chosen->property,
                        "plain ranges; QEMU serves a PCI host bridge only");
    } else if (chosen->bridge.ecam.size != QEMU_ECAM_SIZE) {
        report_property(report, REPORT_ERROR, chosen->path, chosen->property,
                        "ecam_size 0x%" PRIx64 ": QEMU serves 0x%llx (256 MiB, 256 buses) only; make it that large",
                        chosen->bridge.ecam.size, QEMU_ECAM_SIZE);
    } else if (number > 0 && domain->bridges[0].bridge.ecam.size != 0) {
        report_property(report, REPORT_ERROR, chosen->path, chosen->property,
                        "QEMU claims its functions on the domain's bridge 0; make this one that");
    } else {
        print_arguments(domain, &chosen->bridge, report);
    }
}

static void print_domain(const struct options *options, const struct domains *domains, const char *name,
                         struct report *report)
{
    const struct domain *domain = domains_find_served(domains, name, report);

    if (domain != NULL) {
        print_bridge(domain, options->bridge, report);
    }
}

int command_qemu_args(int count, char **arguments)
{
    struct options options = {.usage = usage, .takes_bridge = true, .operands_min = 2, .operands_max = 2};

    return options_command(&options, count, arguments, print_domain);
}
