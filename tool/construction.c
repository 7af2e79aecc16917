/* SPDX-License-Identifier: BSD-2-Clause */
/* See construction.h. */
#define BRIDGE_WANTS_GUEST_LAYOUT
#include "construction.h"

#define KIB  1024u
#define PAGE 4096u
#define TREE_ROOM DOMAIN_MODULE_ALIGN /* for the guest's device tree */

static bool overlap(uint64_t base, uint64_t size, uint64_t other_base, uint64_t other_size)
{
    return size != 0 && other_size != 0 && (other_base - base < size || base - other_base < other_size);
}

/* Whether the board has RAM at all of the range; banks may follow each other. */
static bool has_ram(const struct host *host, uint64_t base, uint64_t size)
{
    bool progress = true;

    while (size != 0 && progress) {
        progress = false;
        for (unsigned int i = 0; i < host->bank_count && size != 0; i++) {
            const uint64_t offset = base - host->banks[i].base;

            if (offset < host->banks[i].size) {
                const uint64_t part = host->banks[i].size - offset < size ? host->banks[i].size - offset : size;

                base += part;
                size -= part;
                progress = true;
            }
        }
    }
    return size == 0;
}

static uint64_t last_ram(const struct host *host)
{
    uint64_t last = 0;

    for (unsigned int i = 0; i < host->bank_count; i++) {
        const uint64_t end = host->banks[i].base + (host->banks[i].size - 1);

        last = end > last ? end : last;
    }
    return last;
}

static void check_ram(const struct domain *domain, const struct host *host, unsigned int address_bits,
                      struct report *report)
{
    const uint64_t ram = host_ram(host);

    if (!domain->has_kernel) {
        report_write(report, REPORT_WARNING, domain->path,
                     "no kernel: Xen wants a child that is compatible with \"multiboot,kernel\", \"multiboot,module\"");
    }
    if (domain->has_memory && domain->memory_kib * KIB <= domain->modules_size + TREE_ROOM) {
        report_property(report, REPORT_ERROR, domain->path, "memory",
                        "%" PRIu64 " KiB: too little for its kernel, ramdisk and device tree, which want more than %"
                        PRIu64 " KiB; the unit is KiB", domain->memory_kib, (domain->modules_size + TREE_ROOM) / KIB);
    }
    if (ram != 0 && domain->static_count == 0 && domain->memory_kib > ram / KIB) {
        report_property(report, REPORT_WARNING, domain->path, "memory",
                        "%" PRIu64 " KiB: the board has %" PRIu64 " KiB, unless firmware writes more into its tree; "
                        "the unit is KiB", domain->memory_kib, ram / KIB);
    }
    for (unsigned int i = 0; i < domain->range_count; i++) {
        const struct domain_range *range = &domain->ranges[i];
        const uint64_t last = range->base + (range->size - 1);

        if (range->kind == DOMAIN_RAM && (last < range->base || last >> address_bits != 0)) {
            report_property(report, REPORT_ERROR, domain->path, "memory",
                            "guest RAM 0x%" PRIx64 "-0x%" PRIx64 " must end at or below the guest's last physical "
                            "address 0x%" PRIx64 " (--address-bits)", range->base, last,
                            ((uint64_t)1 << address_bits) - 1u);
        }
        /* What is there whoever the guest is, such as the grant table, is there in its RAM's place. */
        for (unsigned int j = 0; range->kind == DOMAIN_RAM && j < domain->range_count; j++) {
            const struct domain_range *other = &domain->ranges[j];

            if (other->kind == DOMAIN_LAYOUT && domain->enhanced &&
                overlap(range->base, range->size, other->base, other->size)) {
                report_property(report, REPORT_ERROR, domain->path, "xen,static-mem",
                                "guest RAM 0x%" PRIx64 "-0x%" PRIx64 " overlaps %s 0x%" PRIx64 "-0x%" PRIx64
                                "; move it", range->base, last, other->name, other->base,
                                other->base + (other->size - 1));
            }
        }
    }
}

static void check_static_memory(const struct domains *domains, const struct domain *domain,
                                const struct bridge_window *memory, const struct host *host, struct report *report)
{
    const uint64_t last = memory->base + (memory->size - 1);

    if (memory->size == 0 || memory->base % PAGE != 0 || memory->size % PAGE != 0 || last < memory->base) {
        report_property(report, REPORT_ERROR, domain->path, "xen,static-mem",
                        "0x%" PRIx64 " bytes at 0x%" PRIx64 ": must be whole pages of 4 KiB", memory->size,
                        memory->base);
        return;
    }
    if (host->bank_count != 0 && !has_ram(host, memory->base, memory->size)) {
        const bool hole = memory->base <= last_ram(host);

        /* A hole stays a hole; what follows the last bank may be RAM that only firmware knows. */
        report_property(report, hole ? REPORT_ERROR : REPORT_WARNING, domain->path, "xen,static-mem",
                        "0x%" PRIx64 "-0x%" PRIx64 ": the board has no RAM there%s", memory->base, last,
                        hole ? "" : ", unless firmware writes more into its tree");
    }
    for (unsigned int i = 0; i < host->module_count; i++) {
        const struct host_module *module = &host->modules[i];

        if (overlap(memory->base, memory->size, module->range.base, module->range.size)) {
            report_property(report, REPORT_ERROR, domain->path, "xen,static-mem",
                            "0x%" PRIx64 "-0x%" PRIx64 " overlaps the boot module %.128s 0x%" PRIx64 "-0x%" PRIx64
                            "; move one of them", memory->base, last, module->path, module->range.base,
                            module->range.base + (module->range.size - 1));
        }
    }
    for (size_t i = 0; i < domains->count && domains->domains[i] != domain; i++) {
        const struct domain *other = domains->domains[i];

        for (unsigned int j = 0; j < other->static_count; j++) {
            if (overlap(memory->base, memory->size, other->static_memory[j].base, other->static_memory[j].size)) {
                report_property(report, REPORT_ERROR, domain->path, "xen,static-mem",
                                "0x%" PRIx64 "-0x%" PRIx64 " overlaps that of %.128s 0x%" PRIx64 "-0x%" PRIx64
                                "; move one of them", memory->base, last, other->path, other->static_memory[j].base,
                                other->static_memory[j].base + (other->static_memory[j].size - 1));
            }
        }
    }
}

/* Xen gives a direct-mapped guest's vpl011 the place and the interrupt of its own console. */
static void check_vpl011(const struct domain *domain, const struct host *host, struct report *report)
{
    if (!domain->layout.direct_mapped || !domain->layout.vpl011) {
        return;
    }
    switch (host->uart_state) {
    case HOST_UART_FOUND:
        if (host->uart.size < GUEST_PL011_SIZE) {
            report_property(report, REPORT_ERROR, domain->path, "vpl011",
                            "takes the place of Xen's console in a direct-mapped domain, whose registers 0x%" PRIx64
                            "-0x%" PRIx64 " are less than a page; leave vpl011 out", host->uart.base,
                            host->uart.base + (host->uart.size - 1));
        } else if (host->uart_interrupt == 0) {
            report_property(report, REPORT_NOTE, domain->path, "vpl011",
                            "the interrupt of Xen's console is not known, not checked");
        }
        break;
    case HOST_UART_UNKNOWN:
        report_property(report, REPORT_ERROR, domain->path, "vpl011",
                        "takes the place of Xen's console in a direct-mapped domain, and Xen has no driver for what "
                        "dtuart= or stdout-path names, or it is disabled; leave vpl011 out");
        break;
    case HOST_UART_NONE:
    default:
        report_property(report, REPORT_ERROR, domain->path, "vpl011",
                        "takes the place of Xen's console in a direct-mapped domain, and there is none: neither "
                        "dtuart= in xen,xen-bootargs nor stdout-path names a node of this tree");
        break;
    }
}

/* Xen 4.17 does not tell a guest how many regions of redistributors there are, which then takes the first for all. */
static void check_redistributors(const struct domains *domains, const struct domain *domain, struct report *report)
{
    unsigned int regions = 0;

    for (unsigned int i = 0; i < domain->range_count; i++) {
        regions += domain->ranges[i].kind == DOMAIN_HARDWARE && strcmp(domain->ranges[i].name, "the vGIC") == 0;
    }
    if (!domains->xen_4_22 && domain->layout.gic_version == 3 && regions > 2) {
        report_property(report, REPORT_WARNING, domain->path, "cpus",
                        "%" PRIu32 ": they have redistributors in %u regions, and Xen 4.17 makes no "
                        "#redistributor-regions: the guest finds those of the first region only; fewer vCPUs",
                        domain->cpus, regions - 1);
    }
}

/* Who is to serve the bridge: nobody if there is no such domain. */
static void check_backend(const struct domains *domains, const struct domain *domain,
                          const struct domain_bridge *checked, struct report *report)
{
    const uint32_t backend = checked->bridge.backend;

    if (backend == domain->id || (backend == 0 && (domain->capabilities & CAPABILITY_HARDWARE) != 0)) {
        report_write(report, REPORT_ERROR, checked->path, "its back end is domain %u, which is the domain itself",
                     backend);
    } else if (backend == 0 && !domains->has_control) {
        report_write(report, REPORT_WARNING, checked->path,
                     "its back end is dom0, and this tree starts none: nobody can serve the bridge");
    } else if (backend > domains->count) {
        report_property(report, REPORT_WARNING, checked->path, "xen,backend",
                        "%u: this tree starts the domains up to %zu; that one would have to come later", backend,
                        domains->count);
    }
}

/* Colours came after 4.17, which passes over them. */
static void check_colors(const struct domains *domains, const struct domain *domain, struct report *report)
{
    if (!domain->has_colors) {
        return;
    }
    if (!domains->xen_4_22) {
        report_property(report, REPORT_WARNING, domain->path, "llc-colors", "Xen 4.17 does not know this property");
    } else if (domain->static_count != 0) {
        report_property(report, REPORT_ERROR, domain->path, "llc-colors",
                        "Xen gives memory by colours or at fixed places (xen,static-mem), not both");
    }
}

void construction_check(const struct domains *domains, const struct host *host, struct report *report)
{
    bool has_xenstore = host->has_dom0;

    for (size_t i = 0; i < domains->count; i++) {
        const bool capable = (domains->domains[i]->capabilities & CAPABILITY_XENSTORE) != 0;

        has_xenstore = has_xenstore || (domains->xen_4_22 && capable);
    }
    for (size_t i = 0; i < domains->count; i++) {
        const struct domain *domain = domains->domains[i];

        check_ram(domain, host, domains->address_bits, report);
        for (unsigned int j = 0; j < domain->static_count; j++) {
            check_static_memory(domains, domain, &domain->static_memory[j], host, report);
        }
        check_colors(domains, domain, report);
        if (domain->wants_xenstore && !has_xenstore) {
            report_property(report, REPORT_ERROR, domain->path, "xen,enhanced",
                            "wants a xenstore, which is dom0's, and this tree starts none; \"no-xenstore\" gives a "
                            "grant table alone");
        }
        check_vpl011(domain, host, report);
        check_redistributors(domains, domain, report);
        for (unsigned int j = 0; j < domain->bridge_count; j++) {
            check_backend(domains, domain, &domain->bridges[j], report);
        }
    }
    if (host->modules_left_out != 0) {
        report_write(report, REPORT_ERROR, "/chosen", "%u boot modules: Xen passes over those beyond %u",
                     host->module_count + host->modules_left_out, HOST_MODULES_MAX);
    }
}
