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
#include <xen/softirq.h>

#include <asm/gic.h>
#include <asm/p2m.h>

#include "private.h"

/* A bridge that the domain that is being built asks for. */
struct binding {
    struct bridge bridge;
    const char *property;
    const char *path;
};

/* What is wrong with the one that was looked at last. */
static struct bridge_diagnosis __initdata diagnosis;

/* Read before the domain is created, used up while it is constructed. */
static struct binding __initdata bindings[IOREQ_PCI_BRIDGES];
static unsigned int __initdata nr_bindings;

/* What the domain that is being constructed has got is in a bridge's way. */
static bool __initdata late_refusal;

/* The highest phandle, and the PCI domains, that it uses so far. */
static uint32_t __initdata phandle_last;
static uint32_t __initdata pci_domain_next;

static void __init report(const char *level, const char *path)
{
    static char __initdata text[BRIDGE_DIAGNOSIS_MAX];

    bridge_diagnosis_format(&diagnosis, text, sizeof(text));
    printk("%s%s: %s\n", level, path, text);
}

static const void *__init get_property(const void *node, const char *name,
                                       uint32_t *length)
{
    const struct dt_property *property = dt_find_property(node, name, NULL);

    if ( !property )
        return NULL;

    *length = property->length;

    /* An empty property is there all the same. */
    return property->value ?: "";
}

/* Adds what the node asks for, if anything. A child is read differently. */
static int __init read_binding(const struct dt_device_node *node, bool child)
{
    const struct bridge_node source = {
        .node = node,
        .property = get_property,
        .address_cells = dt_n_addr_cells(node),
        .size_cells = dt_n_size_cells(node),
    };
    struct binding found = { .path = dt_node_full_name(node) };
    /* Claims are kept in rangesets, of longs: on arm32 none is above 4GB. */
    int rc = (child ? bridge_read_child : bridge_read)(
        &source, min_t(unsigned int, p2m_ipa_bits, BITS_PER_LONG),
        &found.bridge, &found.property, &diagnosis);

    if ( rc == -ENOENT )
        return 0;

    if ( rc )
    {
        report(XENLOG_ERR, found.path);
        return rc;
    }

    if ( nr_bindings == ARRAY_SIZE(bindings) )
    {
        printk(XENLOG_ERR "%s: more than %u bridges\n", found.path,
               IOREQ_PCI_BRIDGES);
        return -ENOSPC;
    }

    bindings[nr_bindings++] = found;

    return 0;
}

/* Where a domain that is not direct-mapped will have its RAM. */
static int __init check_ram(const struct dt_device_node *node,
                            const struct binding *binding)
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

        rc = bridge_check_range(&binding->bridge, binding->property,
                                "guest RAM", bases[i], size, &diagnosis);
        left -= size;
    }

    return rc;
}

/* A direct-mapped domain has its RAM where the host has it. */
static int __init check_static_ram(const struct dt_device_node *node,
                                   const struct binding *binding)
{
    int address_cells = dt_n_addr_cells(node);
    int size_cells = dt_n_size_cells(node), rc = 0;
    unsigned int left = 0;
    const __be32 *cell;

    /* Xen says itself that these cannot be used. */
    if ( address_cells < 1 || address_cells > 2 ||
         size_cells < 1 || size_cells > 2 )
        return 0;

    /* That it is missing has been found before. */
    cell = dt_get_property(node, "xen,static-mem", &left);

    for ( left /= (address_cells + size_cells) * sizeof(*cell); !rc && left;
          left-- )
    {
        uint64_t base = dt_next_cell(address_cells, &cell);

        rc = bridge_check_range(&binding->bridge, binding->property,
                                "guest RAM", base,
                                dt_next_cell(size_cells, &cell), &diagnosis);
    }

    return rc;
}

/* Whether the domain's tree will tell it where its grant table is. */
static bool __init enhanced(const struct dt_device_node *node)
{
    const char *value;
    int rc = dt_property_read_string(node, "xen,enhanced", &value);

    return rc == -EILSEQ || rc == -ENODATA || (!rc && enhanced_by(value));
}

/* Against what is known of the domain before it is there. */
static int __init check_binding(const struct dt_device_node *node,
                                const struct binding *binding,
                                struct xen_domctl_createdomain *config,
                                const struct bridge_guest_layout *layout)
{
    const struct bridge *bridge = &binding->bridge;
    const struct binding *other;
    int rc;

    /* Without nr_spis the domain gets as many as it needs. */
    if ( !dt_find_property(node, "nr_spis", NULL) )
        config->arch.nr_spis = max(config->arch.nr_spis,
                                   bridge_spis_needed(bridge));

    rc = bridge_check_domain(bridge, binding->property, enhanced(node),
                             config->arch.nr_spis, &diagnosis);
    if ( !rc )
        rc = bridge_check_layout(bridge, binding->property, layout,
                                 &diagnosis);

    if ( !rc )
        rc = layout->direct_mapped ? check_static_ram(node, binding)
                                   : check_ram(node, binding);

    for ( other = bindings; !rc && other < binding; other++ )
        rc = bridge_check_bridge(bridge, binding->property, &other->bridge,
                                 &diagnosis);

    if ( rc )
        report(XENLOG_ERR, binding->path);
    else if ( bridge_warning(bridge, binding->property, &diagnosis) )
        report(XENLOG_WARNING, binding->path);

    return rc;
}

/* The node is from now on nobody's: by default it would be domain 0's. */
static void __init refuse(struct dt_device_node *node)
{
    printk(XENLOG_ERR "%s: not started\n", dt_node_full_name(node));
    dt_device_set_used_by(node, DOMID_INVALID);
}

bool __init ioreq_pci_refused(const struct dt_device_node *node)
{
    return dt_device_used_by(node) == DOMID_INVALID;
}

int __init ioreq_pci_check_node(struct dt_device_node *node,
                                struct xen_domctl_createdomain *config,
                                unsigned int flags)
{
    const struct bridge_guest_layout layout = {
        .gic_version = gic_hw_version() == GIC_V3 ? 3 : 2,
        .vpl011 = dt_property_read_bool(node, "vpl011"),
        .direct_mapped = flags & CDF_directmap,
    };
    const struct dt_device_node *child;
    unsigned int i;
    uint32_t nr_spis = 0;
    int rc;

    nr_bindings = 0;
    late_refusal = false;
    phandle_last = 0;
    pci_domain_next = 0;

    rc = read_binding(node, false);

    for ( child = node->child; !rc && child; child = child->sibling )
        rc = read_binding(child, true);

    /* What Xen itself would refuse to create; extended SPIs are left to it. */
    if ( !IS_ENABLED(CONFIG_GICV3_ESPI) )
        (void)dt_property_read_u32(node, "nr_spis", &nr_spis);

    if ( !rc && nr_bindings )
    {
        rc = bridge_check_guest(&layout, config->max_vcpus, nr_spis,
                                &diagnosis);
        if ( rc )
            report(XENLOG_ERR, dt_node_full_name(node));
    }

    for ( i = 0; !rc && i < nr_bindings; i++ )
        rc = check_binding(node, &bindings[i], config, &layout);

    if ( rc )
        refuse(node);

    return rc;
}

static bool __init shares_memory(const struct dt_device_node *node)
{
    const struct dt_device_node *child;

    for ( child = node->child; child; child = child->sibling )
        if ( dt_device_is_compatible(child, "xen,domain-shared-memory-v1") )
            return true;

    return false;
}

bool __init ioreq_pci_refuse(struct domain *d, struct dt_device_node *node)
{
    int rc;

    if ( !late_refusal )
        return false;

    refuse(node);

    /*
     * The references to memory that it shares are counted when its owner is
     * built, for all the others and in any order: they could not be put. Of
     * its pauses Xen takes one back when it has booted.
     */
    rc = shares_memory(node) ? domain_pause_by_systemcontroller(d) ?: -EBUSY
                             : -ERESTART;

    for ( ; rc == -ERESTART; rc = domain_kill(d) )
        process_pending_softirqs();

    if ( rc )
        printk(XENLOG_ERR "%s: keeps its memory (%d)\n",
               dt_node_full_name(node), rc);

    return true;
}

int __init ioreq_pci_init(struct domain *d, const struct membank *bank,
                          unsigned int nr_banks)
{
    struct ioreq_pci *pci;
    unsigned int i;

    if ( !nr_bindings )
        return 0;

    pci = xzalloc_flex_struct(struct ioreq_pci, bank, nr_banks);
    if ( !pci )
        return -ENOMEM;

    pci->nr_bridges = nr_bindings;
    for ( i = 0; i < nr_bindings; i++ )
    {
        pci->bridge[i].bridge = bindings[i].bridge;
        pci->nr_owners = (i << 16) + (bridge_buses(&bindings[i].bridge) << 8);
    }

    pci->nr_banks = nr_banks;
    for ( i = 0; i < pci->nr_banks; i++ )
    {
        pci->bank[i].base = bank[i].start;
        pci->bank[i].size = bank[i].size;
    }

    /* From here on domain destruction frees what there is. */
    ioreq_pci_init_run_time(d, pci);
    d->arch.ioreq_pci = pci;

    pci->owner = xzalloc_array(uint8_t, pci->nr_owners);

    return pci->owner ? 0 : -ENOMEM;
}

void __init ioreq_pci_partial_tree(const void *fdt)
{
    int node, length;

    for ( node = 0; node >= 0; node = fdt_next_node(fdt, node, NULL) )
    {
        const fdt32_t *cell = fdt_getprop(fdt, node, "linux,pci-domain",
                                          &length);

        phandle_last = max(phandle_last, fdt_get_phandle(fdt, node));
        if ( cell && length == sizeof(*cell) )
            pci_domain_next = max(pci_domain_next, fdt32_to_cpu(*cell) + 1);
    }

    if ( node != -FDT_ERR_NOTFOUND )
        phandle_last = ~0U;
}

/* Memory, or the registers of passed-through devices. */
static int __init check_p2m(struct domain *d, const struct binding *binding,
                            const struct bridge_window *window)
{
    struct p2m_domain *p2m = p2m_get_hostp2m(d);
    gfn_t gfn = gaddr_to_gfn(window->base);
    gfn_t end = gfn_add(gfn, PFN_UP(window->size));
    unsigned int order;
    int rc = 0;

    p2m_read_lock(p2m);

    for ( ; !rc && gfn_x(gfn) < gfn_x(end);
          gfn = gfn_next_boundary(gfn, order) )
        if ( !mfn_eq(p2m_get_entry(p2m, gfn, NULL, NULL, &order, NULL),
                     INVALID_MFN) )
            rc = bridge_check_range(&binding->bridge, binding->property,
                                    "memory or a passed-through device",
                                    gfn_to_gaddr(gfn), PAGE_SIZE, &diagnosis);

    p2m_read_unlock(p2m);

    return rc;
}

/* Against all that the domain has been given by now. */
static int __init check_domain(struct domain *d, const struct binding *binding)
{
    const struct bridge *bridge = &binding->bridge;
    const struct vmmio *vmmio = &d->arch.vmmio;
    unsigned int i, irq;
    int rc = 0;

    for ( i = 0; !rc && i < vmmio->num_entries; i++ )
        rc = bridge_check_range(bridge, binding->property,
                                "a device emulated by Xen",
                                vmmio->handlers[i].addr,
                                vmmio->handlers[i].size, &diagnosis);

    for ( i = 0; !rc && i < BRIDGE_WINDOWS; i++ )
        rc = check_p2m(d, binding, &bridge->window[i]);

    for ( irq = bridge->interrupt_first;
          !rc && irq - bridge->interrupt_first < bridge->interrupt_count;
          irq++ )
        if ( test_bit(irq, d->arch.vgic.allocated_irqs) )
            rc = bridge_check_interrupts(bridge, binding->property,
                                         "an interrupt of another device",
                                         irq, 1, &diagnosis);

    return rc;
}

int __init ioreq_pci_make_nodes(struct domain *d, struct kernel_info *kinfo)
{
    unsigned int i;
    int rc = 0;

    BUILD_BUG_ON(IOREQ_PCI_FDT_SIZE < IOREQ_PCI_BRIDGES * BRIDGE_FDT_SIZE);

    phandle_last = max(phandle_last, kinfo->phandle_intc);

    if ( nr_bindings && phandle_last >= ~0U - 2 * IOREQ_PCI_BRIDGES )
    {
        printk(XENLOG_ERR "%s: phandle %#x in its partial device tree leaves no higher ones, or it is damaged\n",
               bindings[0].path, phandle_last);
        rc = -FDT_ERR_BADPHANDLE;
    }

    for ( i = 0; !rc && i < nr_bindings; i++ )
    {
        const struct binding *binding = &bindings[i];
        const struct bridge_fdt_context context = {
            .phandle_gic = kinfo->phandle_intc,
            .phandle_v2m = phandle_last + 2 * i + 1,
            .phandle_iommu = phandle_last + 2 * i + 2,
            .pci_domain = pci_domain_next + i,
        };

        rc = check_domain(d, binding);
        if ( rc )
            report(XENLOG_ERR, binding->path);
        else
            rc = bridge_fdt_nodes(kinfo->fdt, &binding->bridge, &context);
    }

    /* That the tree is full is reported by who has made it. */
    late_refusal = rc;

    return rc;
}

void __init ioreq_pci_trim_ext_regions(const struct domain *d,
                                       struct membank *regions,
                                       unsigned int *nr_regions)
{
    const struct ioreq_pci *pci = d->arch.ioreq_pci;
    unsigned int i, j;

    for ( i = 0; pci && i < pci->nr_bridges * BRIDGE_WINDOWS; i++ )
    {
        const struct bridge_window *window =
            &pci->bridge[i / BRIDGE_WINDOWS].bridge.window[i % BRIDGE_WINDOWS];
        uint64_t window_end = window->base + window->size;

        for ( j = *nr_regions; j-- > 0; )
        {
            struct membank *region = &regions[j];
            uint64_t end = region->start + region->size;
            uint64_t below, above;

            if ( window_end <= region->start || window->base >= end )
                continue;

            /* The larger side stays; a region is best in one piece. */
            below = max(window->base, region->start) - region->start;
            above = end - min(window_end, end);
            region->size = max(below, above);
            region->start = above > below ? window_end : region->start;
            if ( !region->size )
                *region = regions[--*nr_regions];
        }
    }
}

/*
 * Local variables:
 * mode: C
 * c-file-style: "BSD"
 * c-basic-offset: 4
 * indent-tabs-mode: nil
 * End:
 */
