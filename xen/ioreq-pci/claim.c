/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What an ioreq server claims of a bridge beyond ranges of memory: single
 * functions, and doorbells inside its memory ranges.
 *
 * A function belongs to at most one server; a byte a function says to which,
 * so that a configuration access costs the same however many are claimed. A
 * doorbell is an address that, when written, sets an event channel pending.
 */

#include <xen/event.h>
#include <xen/ioreq.h>

#include "private.h"

int ioreq_pci_map(struct domain *d, ioservid_t id, uint32_t type,
                  uint64_t first, uint64_t last)
{
    struct ioreq_pci *pci = d->arch.ioreq_pci;

    if ( type == XEN_DMOP_IO_RANGE_MEMORY )
        ioreq_pci_settle(d, ioreq_pci_find(d, first), id);

    if ( type != XEN_DMOP_IO_RANGE_PCI )
        return 0;

    /* Functions are claimed one by one: the work of a call stays bounded. */
    if ( !pci || first != last || first >= pci->nr_owners ||
         ((first >> 8) & 0xff) >=
         bridge_buses(&pci->bridge[first >> 16].bridge) )
        return -EINVAL;

    if ( pci->owner[first] )
        return -EEXIST;

    pci->owner[first] = id + 1;

    return 0;
}

struct ioreq_server *ioreq_pci_select(struct domain *d, ioreq_t *p)
{
    const struct ioreq_pci *pci = d->arch.ioreq_pci;
    const struct ioreq_pci_bridge *b = ioreq_pci_find(d, p->addr);
    struct ioreq_server *s;
    unsigned int segment, owner;
    uint64_t offset, sbdf;

    if ( !b || !bridge_window_contains(&b->bridge.ecam, p->addr) )
        return NULL;

    segment = b - pci->bridge;
    offset = p->addr - b->bridge.ecam.base;
    sbdf = (segment << 16) + offset / BRIDGE_ECAM_FUNCTION;
    offset %= BRIDGE_ECAM_FUNCTION;

    owner = ACCESS_ONCE(pci->owner[sbdf]);
    /* Configuration requests have 4 bytes at most (PCIe 6.0, 7.2.2). */
    if ( !owner || p->size > 4 || p->size > BRIDGE_ECAM_FUNCTION - offset )
        return NULL;

    s = d->ioreq_server.server[owner - 1];
    if ( !s || !s->enabled || !s->ioreq.va )
        return NULL;

    p->type = IOREQ_TYPE_PCI_CONFIG;
    p->addr = (sbdf << 32) | offset;

    return s;
}

int ioreq_pci_check_server(struct domain *d, unsigned int id)
{
    const struct ioreq_server *s =
        id < MAX_NR_IOREQ_SERVERS ? d->ioreq_server.server[id] : NULL;

    if ( !s )
        return -ENOENT;

    return s->emulator == current->domain ? 0 : -EPERM;
}

/* Index of the first doorbell that is not below the address. */
static unsigned int find_doorbell(const struct ioreq_pci *pci, paddr_t address)
{
    unsigned int low = 0, high = pci->nr_doorbells;

    while ( low < high )
    {
        unsigned int middle = (low + high) / 2;

        if ( pci->doorbell[middle].address < address )
            low = middle + 1;
        else
            high = middle;
    }

    return low;
}

bool ioreq_pci_ring(struct domain *d, paddr_t gpa, unsigned int size)
{
    struct ioreq_pci *pci = d->arch.ioreq_pci;
    bool found;
    unsigned int i;

    if ( !ACCESS_ONCE(pci->nr_doorbells) )
        return false;

    spin_lock(&pci->lock);

    i = find_doorbell(pci, gpa);
    found = i < pci->nr_doorbells && pci->doorbell[i].address == gpa &&
            pci->doorbell[i].size == size;
    if ( found )
        notify_via_xen_event_channel(d, pci->doorbell[i].port);

    spin_unlock(&pci->lock);

    return found;
}

static int bind(struct domain *d, struct ioreq_pci *pci,
                struct bridge_dm_op_doorbell *op)
{
    unsigned int i = find_doorbell(pci, op->address);
    struct ioreq_pci_doorbell *bell = &pci->doorbell[i];
    int port;

    if ( i < pci->nr_doorbells && bell->address == op->address )
    {
        op->port = bell->port;

        return bell->server == op->server && bell->size == op->size
               ? 0 : -EEXIST;
    }

    if ( pci->nr_doorbells == BRIDGE_DOORBELLS )
        return -ENOSPC;

    port = alloc_unbound_xen_event_channel(d, 0, current->domain->domain_id,
                                           NULL);
    if ( port < 0 )
        return port;

    memmove(bell + 1, bell, (pci->nr_doorbells - i) * sizeof(*bell));
    *bell = (struct ioreq_pci_doorbell){
        .address = op->address,
        .size = op->size,
        .server = op->server,
        .port = port,
    };
    pci->nr_doorbells++;
    op->port = port;

    return 0;
}

int ioreq_pci_bind(struct domain *d, const struct ioreq_pci_bridge *b,
                   struct bridge_dm_op_doorbell *op)
{
    struct ioreq_pci *pci = d->arch.ioreq_pci;
    int rc;

    if ( (op->size != 1 && op->size != 2 && op->size != 4) ||
         (op->address & (op->size - 1)) )
        return -EINVAL;

    if ( ioreq_pci_find(d, op->address) != b ||
         bridge_window_contains(&b->bridge.ecam, op->address) ||
         bridge_service_contains(&b->bridge, op->address) )
        return -ENXIO;

    rc = ioreq_pci_check_server(d, op->server);
    if ( rc )
        return rc;

    if ( !rangeset_contains_range(d->ioreq_server.server[op->server]
                                      ->range[XEN_DMOP_IO_RANGE_MEMORY],
                                  op->address, op->address + op->size - 1) )
        return -EPERM;

    spin_lock(&pci->lock);
    rc = bind(d, pci, op);
    spin_unlock(&pci->lock);

    return rc;
}

/* Removes the server's doorbells from first to last. False: there is none. */
static bool remove_doorbells(struct domain *d, ioservid_t id, paddr_t first,
                             paddr_t last)
{
    struct ioreq_pci *pci = d->arch.ioreq_pci;
    unsigned int i, kept = 0;
    bool removed;

    spin_lock(&pci->lock);

    for ( i = 0; i < pci->nr_doorbells; i++ )
    {
        const struct ioreq_pci_doorbell *bell = &pci->doorbell[i];

        if ( bell->server == id && bell->address <= last &&
             bell->address + bell->size - 1 >= first )
            free_xen_event_channel(d, bell->port);
        else
            pci->doorbell[kept++] = *bell;
    }

    removed = kept != pci->nr_doorbells;
    pci->nr_doorbells = kept;

    spin_unlock(&pci->lock);

    return removed;
}

int ioreq_pci_unbind(struct domain *d, const struct bridge_dm_op_doorbell *op)
{
    int rc = ioreq_pci_check_server(d, op->server);

    if ( rc )
        return rc;

    return remove_doorbells(d, op->server, op->address, op->address) ? 0
                                                                     : -ENOENT;
}

void ioreq_pci_unmap(struct domain *d, ioservid_t id, uint32_t type,
                     uint64_t first, uint64_t last)
{
    struct ioreq_pci *pci = d->arch.ioreq_pci;
    uint64_t i;

    if ( !pci )
        return;

    if ( type == XEN_DMOP_IO_RANGE_MEMORY )
        (void)remove_doorbells(d, id, first, last);
    else if ( type == XEN_DMOP_IO_RANGE_PCI )
        for ( i = first; i <= last && i < pci->nr_owners; i++ )
            if ( pci->owner[i] == id + 1 )
                pci->owner[i] = 0;
}

void ioreq_pci_server_gone(struct domain *d, ioservid_t id)
{
    struct ioreq_pci *pci = d->arch.ioreq_pci;
    unsigned int i;

    ioreq_pci_unmap(d, id, XEN_DMOP_IO_RANGE_PCI, 0, ~0ULL);
    ioreq_pci_unmap(d, id, XEN_DMOP_IO_RANGE_MEMORY, 0, ~0ULL);

    for ( i = 0; pci && i < pci->nr_bridges; i++ )
        ioreq_pci_set_ready(d, &pci->bridge[i], id, false);
}

/*
 * Local variables:
 * mode: C
 * c-file-style: "BSD"
 * c-basic-offset: 4
 * indent-tabs-mode: nil
 * End:
 */
