/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What an ioreq server claims of a bridge: ranges of its windows, single
 * functions, and doorbells inside its memory ranges.
 *
 * Whatever is claimed of a bridge has one owner: a range of the ECAM window and
 * the functions in it are the same for that. What is claimed beside the windows
 * is as ever: the newest server comes first.
 *
 * Who claims a function is known by a byte a function, so that a configuration
 * access costs the same however many are claimed. A doorbell is an address
 * that, when written, sets an event channel pending.
 */

#include <xen/event.h>
#include <xen/nospec.h>

#include "private.h"

/*
 * A server whose device model does not know how to say ready, such as QEMU's,
 * counts as ready so long after the last range that it has mapped.
 */
#define IOREQ_PCI_SETTLE MILLISECS(2000)

/*
 * Whether another server has any byte of the bridge from first to last. One
 * whose device model, of the same domain, has died must not shut out its
 * successor: it goes once that has what it claims.
 */
static bool taken(struct domain *d, unsigned int id, unsigned int segment,
                  uint64_t first, uint64_t last, bool claimed)
{
    const struct bridge *b = &d->arch.ioreq_pci->bridge[segment].bridge;
    paddr_t sbdf = (paddr_t)segment << 16;
    unsigned int i;

    for ( i = 0; i < MAX_NR_IOREQ_SERVERS; i++ )
    {
        struct ioreq_server *s = d->ioreq_server.server[i];

        if ( i == id || !s ||
             (!rangeset_overlaps_range(s->range[XEN_DMOP_IO_RANGE_MEMORY],
                                       first, last) &&
              !(bridge_window_contains(&b->ecam, first) &&
                rangeset_overlaps_range(
                    s->range[XEN_DMOP_IO_RANGE_PCI],
                    sbdf + (first - b->ecam.base) / BRIDGE_ECAM_FUNCTION,
                    sbdf + (last - b->ecam.base) / BRIDGE_ECAM_FUNCTION))) )
            continue;

        if ( claimed )
            ioreq_pci_give_up(d, i);
        else if ( s->emulator != current->domain ||
                  ioreq_pci_life(d, i) != IOREQ_PCI_ORPHAN )
            return true;
    }

    return false;
}

int ioreq_pci_map(struct domain *d, ioservid_t id, uint32_t type,
                  uint64_t first, uint64_t last, bool claimed)
{
    struct ioreq_pci *pci = d->arch.ioreq_pci;
    struct ioreq_pci_server *server;
    unsigned int i, j, sbdf = 0, touched = 0, buses = 0;

    /* Without bridges all is as it is without us. */
    if ( !pci )
        return 0;

    /* A rangeset would cut off what is above. */
    if ( last > ULONG_MAX )
        return -EINVAL;

    if ( type == XEN_DMOP_IO_RANGE_PCI )
    {
        const struct bridge *b;

        /* Functions are claimed one by one: the work of a call is bounded. */
        if ( first != last || first >= pci->nr_owners )
            return -EINVAL;

        sbdf = array_index_nospec((unsigned int)first, pci->nr_owners);
        b = &pci->bridge[sbdf >> 16].bridge;
        first = b->ecam.base + (paddr_t)(sbdf & 0xffff) * BRIDGE_ECAM_FUNCTION;
        last = first + BRIDGE_ECAM_FUNCTION - 1;
        if ( !bridge_window_contains(&b->ecam, first) )
            return -EINVAL;
    }

    server = &pci->server[array_index_nospec(id, MAX_NR_IOREQ_SERVERS)];

    for ( i = 0; type != XEN_DMOP_IO_RANGE_PORT && i < IOREQ_PCI_BRIDGES; i++ )
        for ( j = 0; j < BRIDGE_WINDOWS; j++ )
        {
            const struct bridge *b = &pci->bridge[i].bridge;
            const struct bridge_window *w = &b->window[j];
            uint64_t from = max(first, w->base);
            uint64_t to = min(last, w->base + (w->size - 1));

            if ( !w->size || from > to )
                continue;

            if ( taken(d, id, i, from, to, claimed) )
                return -EEXIST;

            touched |= 1U << i;
            if ( w == &b->ecam || !b->ecam.size )
                buses |= 1U << i;
        }

    if ( !claimed )
        return 0;

    if ( !touched )
    {
        server->elsewhere = true;
        return 0;
    }

    server->ours = true;
    server->buses |= buses;
    if ( type == XEN_DMOP_IO_RANGE_PCI )
        pci->owner[sbdf] = id + 1;
    else
        for ( i = 0; i < IOREQ_PCI_BRIDGES; i++ )
            if ( touched & server->buses & (1U << i) )
                server->settled[i] = NOW() + IOREQ_PCI_SETTLE;

    /* From now on it may be asked for something: is anybody there? */
    (void)ioreq_pci_life(d, id);
    ioreq_pci_emulator_closed(d);

    return 0;
}

struct ioreq_server *ioreq_pci_select(struct domain *d, ioreq_t *p)
{
    const struct ioreq_pci *pci = d->arch.ioreq_pci;
    const struct ioreq_pci_bridge *b = ioreq_pci_find(d, p->addr);
    struct ioreq_server *s;
    unsigned int segment, sbdf, owner;
    uint64_t offset;

    if ( !b || !bridge_window_contains(&b->bridge.ecam, p->addr) )
        return NULL;

    segment = b - pci->bridge;
    offset = p->addr - b->bridge.ecam.base;
    sbdf = (segment << 16) + (unsigned int)(offset / BRIDGE_ECAM_FUNCTION);
    sbdf = array_index_nospec(sbdf, pci->nr_owners);
    offset %= BRIDGE_ECAM_FUNCTION;
    owner = ACCESS_ONCE(pci->owner[sbdf]);
    /* Configuration requests have 4 bytes at most (PCIe 6.0, 7.2.2). */
    if ( !owner || p->size > 4 || p->size > BRIDGE_ECAM_FUNCTION - offset )
        return NULL;

    s = d->ioreq_server.server[owner - 1];
    if ( !s || !s->enabled || !s->ioreq.va )
        return NULL;

    p->type = IOREQ_TYPE_PCI_CONFIG;
    p->addr = ((uint64_t)sbdf << 32) | offset;

    return s;
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

/* Whether the server may have one more: all others are sure of their share. */
static bool room_for_doorbell(const struct ioreq_pci *pci, unsigned int id)
{
    unsigned int bound[MAX_NR_IOREQ_SERVERS] = { 0 }, taken = 0, i;

    for ( i = 0; i < pci->nr_doorbells; i++ )
        bound[pci->doorbell[i].server]++;

    for ( i = 0; i < MAX_NR_IOREQ_SERVERS; i++ )
        taken += i == id ? bound[i] : max(bound[i], BRIDGE_DOORBELLS_SURE);

    return taken < BRIDGE_DOORBELLS;
}

int ioreq_pci_bind(struct domain *d, const struct ioreq_pci_bridge *b,
                   struct bridge_dm_op_doorbell *op)
{
    struct ioreq_pci *pci = d->arch.ioreq_pci;
    unsigned int i = find_doorbell(pci, op->address);
    struct ioreq_pci_doorbell *bell = &pci->doorbell[i];
    int rc;

    if ( (op->size != 1 && op->size != 2 && op->size != 4) ||
         (op->address & (op->size - 1)) )
        return -EINVAL;

    if ( ioreq_pci_find(d, op->address) != b ||
         bridge_window_contains(&b->bridge.ecam, op->address) ||
         bridge_service_contains(&b->bridge, op->address) )
        return -ENXIO;

    rc = ioreq_pci_check_server(d, &op->server);
    if ( rc )
        return rc;

    if ( !rangeset_contains_range(d->ioreq_server.server[op->server]
                                      ->range[XEN_DMOP_IO_RANGE_MEMORY],
                                  op->address, op->address + op->size - 1) )
        return -EPERM;

    if ( i < pci->nr_doorbells && bell->address == op->address )
    {
        op->port = bell->port;

        return bell->size == op->size ? 0 : -EEXIST;
    }

    if ( !room_for_doorbell(pci, op->server) )
        return -ENOSPC;

    rc = alloc_unbound_xen_event_channel(d, 0, current->domain->domain_id,
                                         NULL);
    if ( rc < 0 )
        return rc;

    op->port = rc;

    spin_lock(&pci->lock);

    memmove(bell + 1, bell, (pci->nr_doorbells - i) * sizeof(*bell));
    *bell = (struct ioreq_pci_doorbell){
        .address = op->address,
        .size = op->size,
        .server = op->server,
        .port = op->port,
    };
    pci->nr_doorbells++;

    spin_unlock(&pci->lock);

    return 0;
}

/* Removes the server's doorbells from first to last: -ENOENT if none is there. */
static int remove_doorbells(struct domain *d, ioservid_t id, paddr_t first,
                            paddr_t last)
{
    struct ioreq_pci *pci = d->arch.ioreq_pci;
    unsigned int i, kept = 0;
    int rc;

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

    rc = kept == pci->nr_doorbells ? -ENOENT : 0;
    pci->nr_doorbells = kept;

    spin_unlock(&pci->lock);

    return rc;
}

int ioreq_pci_unbind(struct domain *d, struct bridge_dm_op_doorbell *op)
{
    int rc = ioreq_pci_check_server(d, &op->server);

    return rc ?: remove_doorbells(d, op->server, op->address, op->address);
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
    else if ( type == XEN_DMOP_IO_RANGE_PCI && first < pci->nr_owners )
        for ( i = array_index_nospec((unsigned int)first, pci->nr_owners);
              i <= last && i < pci->nr_owners; i++ )
            if ( pci->owner[i] == id + 1 )
                pci->owner[i] = 0;
}

void ioreq_pci_server_gone(struct domain *d, ioservid_t id)
{
    struct ioreq_pci *pci = d->arch.ioreq_pci;
    unsigned int i;

    ioreq_pci_unmap(d, id, XEN_DMOP_IO_RANGE_PCI, 0, ~0ULL);
    ioreq_pci_unmap(d, id, XEN_DMOP_IO_RANGE_MEMORY, 0, ~0ULL);

    if ( !pci )
        return;

    for ( i = 0; i < pci->nr_bridges; i++ )
        ioreq_pci_set_ready(d, &pci->bridge[i], id, false);

    /* The next one of this id is another one. */
    pci->server[id] = (struct ioreq_pci_server){};
}

/*
 * Local variables:
 * mode: C
 * c-file-style: "BSD"
 * c-basic-offset: 4
 * indent-tabs-mode: nil
 * End:
 */
