/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Secondary PCI host bridges of a domain, while a dom0less domain is built.
 *
 * What a binding may say, what the messages say and what the guest's nodes
 * look like is decided in bridge.h, which tools share; here is only what a
 * domain is known to have at each step. All of it is freed after boot.
 */

#include <xen/device_tree.h>
#include <xen/init.h>
#include <xen/libfdt/libfdt.h>
#include <xen/rangeset.h>
#include <xen/sched.h>

#include <asm/gic.h>
#include <asm/kernel.h>
#include <asm/p2m.h>

#include "private.h"

/* Values of linux,pci-domain from here on are the bridges'. */
#define IOREQ_PCI_LINUX_DOMAIN 0

static void __init report(const char *level, const char *node,
                          const struct bridge_diagnosis *diagnosis)
{
    static char __initdata text[BRIDGE_DIAGNOSIS_MAX];

    bridge_diagnosis_format(diagnosis, text, sizeof(text));
    printk("%s%s: %s\n", level, node, text);
}

/* -ENOENT: the node asks for no bridge. */
static int __init parse(const struct dt_device_node *node,
                        struct bridge *bridge, const char **property,
                        struct bridge_diagnosis *diagnosis)
{
    const void *value;
    uint32_t len;
    int rc;

    rc = bridge_choose_property(dt_get_property(node, BRIDGE_PROPERTY, NULL),
                                dt_get_property(node, BRIDGE_PROPERTY_IOREQ,
                                                NULL),
                                property, diagnosis);
    if ( rc )
        return rc;

    value = dt_get_property(node, *property, &len);

    return bridge_parse(*property, value, len, dt_n_addr_cells(node),
                        dt_n_size_cells(node), p2m_ipa_bits, bridge,
                        diagnosis);
}

/* Where a domain that is not direct-mapped will have its RAM. */
static int __init check_ram(const struct dt_device_node *node,
                            const struct bridge *bridge, const char *property,
                            struct bridge_diagnosis *diagnosis)
{
    static const uint64_t __initconst bases[] = GUEST_RAM_BANK_BASES;
    static const uint64_t __initconst sizes[] = GUEST_RAM_BANK_SIZES;
    uint64_t left = 0;
    unsigned int i;
    int rc = 0;

    /* In KiB; that it is missing is reported when the domain is built. */
    if ( !dt_property_read_u64(node, "memory", &left) )
        return 0;

    left = MIN(left, GUEST_RAM_MAX >> 10) << 10;

    for ( i = 0; !rc && i < GUEST_RAM_BANKS; i++ )
    {
        uint64_t size = MIN(left, sizes[i]);

        rc = bridge_check_range(bridge, property, "guest RAM", bases[i], size,
                                diagnosis);
        left -= size;
    }

    return rc;
}

int __init ioreq_pci_check_node(const struct dt_device_node *node,
                                struct xen_domctl_createdomain *config,
                                unsigned int flags)
{
    const struct bridge_guest_layout layout = {
        .gic_version = gic_hw_version() == GIC_V3 ? 3 : 2,
        .vpl011 = dt_property_read_bool(node, "vpl011"),
        .direct_mapped = flags & CDF_directmap,
    };
    struct bridge_diagnosis diagnosis;
    const char *property;
    struct bridge bridge;
    int rc = parse(node, &bridge, &property, &diagnosis);

    if ( rc == -ENOENT )
        return 0;

    if ( !rc )
        rc = bridge_check_enhanced(&bridge, property,
                                   dt_get_property(node, "xen,enhanced", NULL),
                                   &diagnosis);

    if ( !rc )
        rc = bridge_check_layout(&bridge, property, &layout, &diagnosis);

    if ( !rc && !layout.direct_mapped )
        rc = check_ram(node, &bridge, property, &diagnosis);

    if ( !rc && dt_get_property(node, "nr_spis", NULL) )
        rc = bridge_check_spis(&bridge, property, config->arch.nr_spis,
                               &diagnosis);
    else if ( !rc )
        config->arch.nr_spis = max(config->arch.nr_spis,
                                   bridge_spis_needed(&bridge));

    if ( rc )
    {
        report(XENLOG_ERR, dt_node_full_name(node), &diagnosis);
        printk(XENLOG_ERR "%s: not started\n", dt_node_full_name(node));
    }
    else if ( bridge_warning(&bridge, property, &diagnosis) )
        report(XENLOG_WARNING, dt_node_full_name(node), &diagnosis);

    return rc;
}

int __init ioreq_pci_init(struct domain *d, const struct kernel_info *kinfo,
                          const struct dt_device_node *node)
{
    struct bridge_diagnosis diagnosis;
    const char *property;
    struct ioreq_pci *pci;
    struct bridge bridge;
    unsigned int i;
    int rc = parse(node, &bridge, &property, &diagnosis);

    /* ioreq_pci_check_node() has refused everything that is wrong. */
    if ( rc )
        return rc == -ENOENT ? 0 : rc;

    pci = xzalloc_flex_struct(struct ioreq_pci, bank, kinfo->mem.nr_banks);
    if ( !pci )
        return -ENOMEM;

    pci->bridge[0].bridge = bridge;
    pci->bridge[0].property = property;
    pci->bridge[0].owner = xzalloc_array(uint8_t, bridge_buses(&bridge) << 8);
    if ( !pci->bridge[0].owner )
    {
        xfree(pci);
        return -ENOMEM;
    }

    pci->nr_bridges = 1;
    pci->node = dt_node_full_name(node);

    pci->nr_banks = kinfo->mem.nr_banks;
    for ( i = 0; i < pci->nr_banks; i++ )
    {
        pci->bank[i].base = kinfo->mem.bank[i].start;
        pci->bank[i].size = kinfo->mem.bank[i].size;
    }

    ioreq_pci_init_run_time(d, pci);
    d->arch.ioreq_pci = pci;

    return 0;
}

static int __init check_banks(const struct bridge *bridge,
                              const char *property, const char *name,
                              const struct meminfo *mem,
                              struct bridge_diagnosis *diagnosis)
{
    unsigned int i;
    int rc = 0;

    for ( i = 0; !rc && i < mem->nr_banks; i++ )
        rc = bridge_check_range(bridge, property, name, mem->bank[i].start,
                                mem->bank[i].size, diagnosis);

    return rc;
}

/* Whatever else is mapped, such as the registers of passed-through devices. */
static int __init check_p2m(struct domain *d, const struct bridge *bridge,
                            const struct bridge_window *window,
                            const char *property,
                            struct bridge_diagnosis *diagnosis)
{
    struct p2m_domain *p2m = p2m_get_hostp2m(d);
    gfn_t gfn = gaddr_to_gfn(window->base);
    gfn_t end = gfn_add(gfn, PFN_UP(window->size));
    int rc = 0;

    p2m_read_lock(p2m);

    while ( !rc && gfn_x(gfn) < gfn_x(end) )
    {
        unsigned int order;

        if ( !mfn_eq(p2m_get_entry(p2m, gfn, NULL, NULL, &order, NULL),
                     INVALID_MFN) )
            rc = bridge_check_range(bridge, property,
                                    "memory or a passed-through device",
                                    gfn_to_gaddr(gfn), PAGE_SIZE, diagnosis);

        gfn = gfn_next_boundary(gfn, order);
    }

    p2m_read_unlock(p2m);

    return rc;
}

static int __init check_interrupts(const struct domain *d,
                                   const struct bridge *bridge,
                                   const char *property,
                                   struct bridge_diagnosis *diagnosis)
{
    unsigned int i;

    for ( i = 0; i < bridge->interrupt_count; i++ )
    {
        unsigned int irq = bridge->interrupt_first + i;

        if ( test_bit(irq, d->arch.vgic.allocated_irqs) )
            return bridge_check_interrupts(bridge, property,
                                           "an interrupt of another device",
                                           irq, 1, diagnosis);
    }

    return 0;
}

/* Against all that the domain has been given by now. */
static int __init check_domain(struct domain *d,
                               const struct kernel_info *kinfo,
                               const struct bridge *bridge,
                               const char *property,
                               struct bridge_diagnosis *diagnosis)
{
    const struct vmmio *vmmio = &d->arch.vmmio;
    int i, rc;

    rc = check_banks(bridge, property, "guest RAM", &kinfo->mem, diagnosis);
    if ( rc )
        return rc;

    rc = check_banks(bridge, property, "static shared memory",
                     &kinfo->shm_mem, diagnosis);
    if ( rc )
        return rc;

    for ( i = 0; i < vmmio->num_entries; i++ )
    {
        rc = bridge_check_range(bridge, property, "a device emulated by Xen",
                                vmmio->handlers[i].addr,
                                vmmio->handlers[i].size, diagnosis);
        if ( rc )
            return rc;
    }

    rc = check_p2m(d, bridge, &bridge->ecam, property, diagnosis);
    if ( !rc )
        rc = check_p2m(d, bridge, &bridge->memory, property, diagnosis);
    if ( !rc )
        rc = check_p2m(d, bridge, &bridge->prefetch, property, diagnosis);
    if ( !rc )
        rc = check_interrupts(d, bridge, property, diagnosis);

    return rc;
}

int __init ioreq_pci_make_nodes(struct domain *d, struct kernel_info *kinfo)
{
    const struct ioreq_pci *pci = d->arch.ioreq_pci;
    struct bridge_diagnosis diagnosis;
    unsigned int i;
    int rc = 0;

    for ( i = 0; pci && !rc && i < pci->nr_bridges; i++ )
    {
        const struct bridge *bridge = &pci->bridge[i].bridge;
        const struct bridge_fdt_context context = {
            .phandle_gic = kinfo->phandle_gic,
            .phandle_v2m = ++kinfo->phandle_last,
            .phandle_iommu = ++kinfo->phandle_last,
            .pci_domain = IOREQ_PCI_LINUX_DOMAIN + i,
            .backend = 0,
        };

        rc = check_domain(d, kinfo, bridge, pci->bridge[i].property,
                          &diagnosis);
        if ( rc )
            report(XENLOG_ERR, pci->node, &diagnosis);
        else
            rc = bridge_fdt_nodes(kinfo->fdt, bridge, &context);
    }

    return rc;
}

unsigned int __init ioreq_pci_fdt_size(const struct domain *d)
{
    const struct ioreq_pci *pci = d->arch.ioreq_pci;

    return pci ? pci->nr_bridges * BRIDGE_FDT_SIZE : 0;
}

static int __init remove_window(struct rangeset *r,
                                const struct bridge_window *window)
{
    return window->size
           ? rangeset_remove_range(r, window->base,
                                   window->base + window->size - 1)
           : 0;
}

int __init ioreq_pci_trim_ext_regions(const struct domain *d,
                                      struct meminfo *ext_regions,
                                      ioreq_pci_add_region_t *add)
{
    const struct ioreq_pci *pci = d->arch.ioreq_pci;
    struct rangeset *r;
    unsigned int i;
    int rc = 0;

    if ( !pci )
        return 0;

    r = rangeset_new(NULL, NULL, 0);
    if ( !r )
        return -ENOMEM;

    for ( i = 0; !rc && i < ext_regions->nr_banks; i++ )
        rc = rangeset_add_range(r, ext_regions->bank[i].start,
                                ext_regions->bank[i].start +
                                ext_regions->bank[i].size - 1);

    for ( i = 0; !rc && i < pci->nr_bridges; i++ )
    {
        const struct bridge *bridge = &pci->bridge[i].bridge;

        rc = remove_window(r, &bridge->ecam);
        if ( !rc )
            rc = remove_window(r, &bridge->memory);
        if ( !rc )
            rc = remove_window(r, &bridge->prefetch);
    }

    ext_regions->nr_banks = 0;
    if ( !rc )
        rc = rangeset_report_ranges(r, 0, ~0UL, add, ext_regions);

    rangeset_destroy(r);

    return rc;
}

/*
 * Local variables:
 * mode: C
 * c-file-style: "BSD"
 * c-basic-offset: 4
 * indent-tabs-mode: nil
 * End:
 */
