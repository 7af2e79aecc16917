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

/* Where the function's owner is kept; NULL: there is no such function. */
static uint8_t *owner_of(struct domain *d, uint64_t sbdf)
{
    struct ioreq_pci *pci = d->arch.ioreq_pci;
    uint64_t segment = sbdf >> 16;
    unsigned int bdf = sbdf & 0xffff;

    if ( !pci || segment >= pci->nr_bridges ||
         (bdf >> 8) >= bridge_buses(&pci->bridge[segment].bridge) )
        return NULL;

    return &pci->bridge[segment].owner[bdf];
}

static uint32_t ioreq_pci_sbdf(const struct ioreq_pci *pci,
                               const struct ioreq_pci_bridge *b,
                               unsigned int bdf)
{
    unsigned int segment = b - pci->bridge;

    return (segment << 16) | bdf;
}

int ioreq_pci_claim(struct domain *d, ioservid_t id, uint64_t first,
                    uint64_t last)
{
    uint8_t *owner = owner_of(d, first);

    /* Functions are claimed one by one: the work of a call stays bounded. */
    if ( !owner || first != last )
        return -EINVAL;

    if ( *owner )
        return -EEXIST;

    *owner = id + 1;

    return 0;
}

struct ioreq_server *ioreq_pci_select(struct domain *d, ioreq_t *p)
{
    struct ioreq_pci *pci = d->arch.ioreq_pci;
    const struct ioreq_pci_bridge *b;
    struct ioreq_server *s;
    unsigned int owner, bdf;
    uint64_t offset;

    b = pci ? ioreq_pci_find(pci, p->addr) : NULL;
    if ( !b || !bridge_window_contains(&b->bridge.ecam, p->addr) )
        return NULL;

    offset = p->addr - b->bridge.ecam.base;
    bdf = offset / BRIDGE_ECAM_FUNCTION;
    offset %= BRIDGE_ECAM_FUNCTION;

    owner = ACCESS_ONCE(b->owner[bdf]);
    if ( !owner || p->size > BRIDGE_ECAM_FUNCTION - offset )
        return NULL;

    s = d->ioreq_server.server[owner - 1];
    if ( !s || !s->enabled || !s->ioreq.va )
        return NULL;

    p->type = IOREQ_TYPE_PCI_CONFIG;
    p->addr = ((uint64_t)ioreq_pci_sbdf(pci, b, bdf) << 32) | offset;

    return s;
}

int ioreq_pci_check_server(struct domain *d, unsigned int id)
{
    const struct ioreq_server *s;

    ASSERT(spin_is_locked(&d->ioreq_server.lock));

    s = id < MAX_NR_IOREQ_SERVERS ? d->ioreq_server.server[id] : NULL;
    if ( !s )
        return -ENOENT;

    return s->emulator == current->domain ? 0 : -EPERM;
}

/* Index of the first doorbell that is not below the address. */
static unsigned int find_doorbell(const struct ioreq_pci_bridge *b,
                                  paddr_t address)
{
    unsigned int low = 0, high = b->nr_doorbells;

    while ( low < high )
    {
        unsigned int middle = (low + high) / 2;

        if ( b->doorbell[middle].address < address )
            low = middle + 1;
        else
            high = middle;
    }

    return low;
}

bool ioreq_pci_ring(struct domain *d, struct ioreq_pci_bridge *b, paddr_t gpa,
                    unsigned int size)
{
    struct ioreq_pci *pci = d->arch.ioreq_pci;
    bool found = false;
    unsigned int i;

    if ( !ACCESS_ONCE(b->nr_doorbells) )
        return false;

    read_lock(&pci->doorbell_lock);

    i = find_doorbell(b, gpa);
    if ( i < b->nr_doorbells && b->doorbell[i].address == gpa &&
         b->doorbell[i].size == size )
    {
        found = true;
        notify_via_xen_event_channel(d, b->doorbell[i].port);
    }

    read_unlock(&pci->doorbell_lock);

    return found;
}

static void remove_doorbell(struct domain *d, struct ioreq_pci_bridge *b,
                            unsigned int i)
{
    free_xen_event_channel(d, b->doorbell[i].port);
    b->nr_doorbells--;
    memmove(&b->doorbell[i], &b->doorbell[i + 1],
            (b->nr_doorbells - i) * sizeof(b->doorbell[0]));
}

static int bind(struct domain *d, struct ioreq_pci_bridge *b,
                struct bridge_dm_op_doorbell *op)
{
    unsigned int i = find_doorbell(b, op->address);
    struct ioreq_pci_doorbell *bell = &b->doorbell[i];
    int port;

    if ( i < b->nr_doorbells && bell->address == op->address )
    {
        op->port = bell->port;

        return bell->server == op->server && bell->size == op->size
               ? 0 : -EEXIST;
    }

    if ( b->nr_doorbells == BRIDGE_DOORBELLS )
        return -ENOSPC;

    port = alloc_unbound_xen_event_channel(d, 0, current->domain->domain_id,
                                           NULL);
    if ( port < 0 )
        return port;

    memmove(bell + 1, bell, (b->nr_doorbells - i) * sizeof(*bell));
    *bell = (struct ioreq_pci_doorbell){
        .address = op->address,
        .size = op->size,
        .server = op->server,
        .port = port,
    };
    b->nr_doorbells++;
    op->port = port;

    return 0;
}

int ioreq_pci_bind(struct domain *d, struct ioreq_pci_bridge *b,
                   struct bridge_dm_op_doorbell *op)
{
    struct ioreq_pci *pci = d->arch.ioreq_pci;
    int rc;

    if ( (op->size != 1 && op->size != 2 && op->size != 4) ||
         (op->address & (op->size - 1)) )
        return -EINVAL;

    if ( ioreq_pci_find(pci, op->address) != b ||
         bridge_window_contains(&b->bridge.ecam, op->address) ||
         bridge_service_contains(&b->bridge, op->address) )
        return -ENXIO;

    /* Its claim must not go between the check and the binding. */
    spin_lock_recursive(&d->ioreq_server.lock);

    rc = ioreq_pci_check_server(d, op->server);
    if ( !rc )
    {
        struct rangeset *claims =
            d->ioreq_server.server[op->server]->range[XEN_DMOP_IO_RANGE_MEMORY];

        if ( !rangeset_contains_range(claims, op->address,
                                      op->address + op->size - 1) )
            rc = -EPERM;
    }

    if ( !rc )
    {
        write_lock(&pci->doorbell_lock);
        rc = bind(d, b, op);
        write_unlock(&pci->doorbell_lock);
    }

    spin_unlock_recursive(&d->ioreq_server.lock);

    return rc;
}

int ioreq_pci_unbind(struct domain *d, struct ioreq_pci_bridge *b,
                     const struct bridge_dm_op_doorbell *op)
{
    struct ioreq_pci *pci = d->arch.ioreq_pci;
    unsigned int i;
    int rc;

    spin_lock_recursive(&d->ioreq_server.lock);

    rc = ioreq_pci_check_server(d, op->server);
    if ( !rc )
    {
        write_lock(&pci->doorbell_lock);

        i = find_doorbell(b, op->address);
        if ( i < b->nr_doorbells && b->doorbell[i].address == op->address &&
             b->doorbell[i].server == op->server )
            remove_doorbell(d, b, i);
        else
            rc = -ENOENT;

        write_unlock(&pci->doorbell_lock);
    }

    spin_unlock_recursive(&d->ioreq_server.lock);

    return rc;
}

void ioreq_pci_unclaim(struct domain *d, ioservid_t id, uint32_t type,
                       uint64_t first, uint64_t last)
{
    struct ioreq_pci *pci = d->arch.ioreq_pci;
    unsigned int i, j;

    if ( !pci )
        return;

    write_lock(&pci->doorbell_lock);

    for ( i = 0; i < pci->nr_bridges; i++ )
    {
        struct ioreq_pci_bridge *b = &pci->bridge[i];

        for ( j = 0; type == XEN_DMOP_IO_RANGE_PCI &&
                     j < bridge_buses(&b->bridge) << 8; j++ )
            if ( b->owner[j] == id + 1 && ioreq_pci_sbdf(pci, b, j) >= first &&
                 ioreq_pci_sbdf(pci, b, j) <= last )
                b->owner[j] = 0;

        for ( j = b->nr_doorbells;
              type == XEN_DMOP_IO_RANGE_MEMORY && j-- > 0; )
        {
            const struct ioreq_pci_doorbell *bell = &b->doorbell[j];

            if ( bell->server == id && bell->address <= last &&
                 bell->address + bell->size - 1 >= first )
                remove_doorbell(d, b, j);
        }
    }

    write_unlock(&pci->doorbell_lock);
}

void ioreq_pci_server_gone(struct domain *d, ioservid_t id)
{
    struct ioreq_pci *pci = d->arch.ioreq_pci;
    unsigned int i;

    ioreq_pci_unclaim(d, id, XEN_DMOP_IO_RANGE_PCI, 0, ~0ULL);
    ioreq_pci_unclaim(d, id, XEN_DMOP_IO_RANGE_MEMORY, 0, ~0ULL);

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
