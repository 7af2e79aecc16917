/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Ioreq servers: whether somebody is there for them, and for which bridges they
 * count as ready.
 *
 * Xen sees domains, not processes. What it sees of a device model are the
 * server's event channels: those of the vCPUs that it serves are bound, and all
 * of them are closed when it dies. The server, its page, its ports and its
 * claims stay, and so does a vCPU that waits for an answer. Another process of
 * the emulator's domain may adopt the server and answer. If none does within
 * the hold time the server is destroyed, which answers what is pending with all
 * ones. Before, it goes only for a device model of the same domain that claims
 * what it has. A server that nobody has ever bound a port of is given up in the
 * same way, but goes for nobody: its device model may just be starting.
 *
 * A server that claims only what belongs to no bridge is none of our business.
 * One that has claimed nothing at all is: a device model that was killed before
 * it did would else take one of the domain's few places for ever.
 *
 * Closing happens with event channel locks held, and destroying a server has
 * to wait until the domain is descheduled: so a tasklet does all of it. It also
 * declares ready what has settled, which depends on the same.
 */

#include <xen/event.h>
#include <xen/nospec.h>

#include "private.h"

void ioreq_pci_emulator_closed(struct domain *d)
{
    if ( d->arch.ioreq_pci )
        tasklet_schedule(&d->arch.ioreq_pci->server_tasklet);
}

static void server_timer_expired(void *data)
{
    ioreq_pci_emulator_closed(data);
}

int ioreq_pci_check_server(struct domain *d, uint32_t *id)
{
    const struct ioreq_server *s;

    if ( *id >= MAX_NR_IOREQ_SERVERS )
        return -ENOENT;

    *id = array_index_nospec(*id, MAX_NR_IOREQ_SERVERS);
    s = d->ioreq_server.server[*id];
    if ( !s )
        return -ENOENT;

    return s->emulator == current->domain ? 0 : -EPERM;
}

/*
 * A device model need not know of all vCPUs, and may close what it has bound:
 * it is there as long as one port is bound.
 */
static bool is_bound(const struct domain *d, const struct ioreq_server *s)
{
    const struct ioreq_vcpu *sv;

    list_for_each_entry ( sv, &s->ioreq_vcpu_list, list_entry )
        if ( evtchn_from_port(d, sv->ioreq_evtchn)->state == ECS_INTERDOMAIN )
            return true;

    return false;
}

enum ioreq_pci_life ioreq_pci_life(struct domain *d, unsigned int id)
{
    struct ioreq_pci_server *server = &d->arch.ioreq_pci->server[id];

    if ( is_bound(d, d->ioreq_server.server[id]) )
    {
        server->life = IOREQ_PCI_SERVED;
        server->until = 0;
    }
    else if ( server->life == IOREQ_PCI_SERVED )
        server->life = IOREQ_PCI_ORPHAN;

    return server->life;
}

void ioreq_pci_give_up(struct domain *d, unsigned int id)
{
    printk(XENLOG_G_WARNING
           "%pd: ioreq server %u: its device model is gone, destroyed\n",
           d, id);
    ioreq_server_destroy_orphan(d, id);
}

/*
 * Declares the buses ready that the server has settled on, or gives it up, when
 * it is time to. Returns when to look again.
 */
static s_time_t look_at_server(struct domain *d, unsigned int id, s_time_t now)
{
    struct ioreq_pci *pci = d->arch.ioreq_pci;
    struct ioreq_pci_server *server = &pci->server[id];
    const struct ioreq_server *s = d->ioreq_server.server[id];
    s_time_t next = STIME_MAX;
    unsigned int i;

    if ( !s || (server->elsewhere && !server->ours) )
        return next;

    if ( ioreq_pci_life(d, id) == IOREQ_PCI_SERVED )
    {
        for ( i = 0; i < IOREQ_PCI_BRIDGES; i++ )
        {
            if ( !server->settled[i] )
                continue;

            if ( now < server->settled[i] )
                next = min(next, server->settled[i]);
            else
                ioreq_pci_set_ready(d, &pci->bridge[i], id, true);
        }

        return next;
    }

    /* Nobody can adopt what was a dying domain's. */
    if ( s->emulator->is_dying )
        server->until = now;
    else if ( !server->until )
        server->until = now + MILLISECS(BRIDGE_HOLD_MS);

    /* Soon, to see when somebody has bound the ports again. */
    if ( now < server->until )
        return min(server->until, now + SECONDS(1));

    ioreq_pci_give_up(d, id);

    return next;
}

static void look(void *data)
{
    struct domain *d = data;
    s_time_t now = NOW(), next = STIME_MAX;
    unsigned int id;

    if ( d->is_dying )
        return;

    rspin_lock(&d->ioreq_server.lock);

    for ( id = 0; id < MAX_NR_IOREQ_SERVERS; id++ )
        next = min(next, look_at_server(d, id, now));

    if ( next != STIME_MAX )
        set_timer(&d->arch.ioreq_pci->server_timer, next);

    rspin_unlock(&d->ioreq_server.lock);
}

void ioreq_pci_server_init(struct domain *d, struct ioreq_pci *pci)
{
    tasklet_init(&pci->server_tasklet, look, d);
    init_timer(&pci->server_timer, server_timer_expired, d, smp_processor_id());
}

int ioreq_pci_adopt(struct domain *d, const struct ioreq_pci_bridge *b,
                    struct bridge_dm_op_adopt *op)
{
    struct ioreq_pci *pci = d->arch.ioreq_pci;
    unsigned int sbdf = (op->index << 16) | op->function, wanted = 0;
    /* Of one that is adopted now, and of one that might be dead again. */
    s_time_t until = NOW() + MILLISECS(BRIDGE_HOLD_MS);
    uint32_t id;
    int rc = -ENOENT;

    /* The servers that it may be, one bit each. */
    if ( op->function == BRIDGE_DM_OP_WHOLE )
        wanted = b->ready;
    else if ( op->function <= 0xffff && sbdf < pci->nr_owners )
    {
        sbdf = array_index_nospec(sbdf, pci->nr_owners);
        wanted = (1U << pci->owner[sbdf]) >> 1;
    }

    for ( id = 0; id < MAX_NR_IOREQ_SERVERS; id++ )
    {
        struct ioreq_pci_server *server = &pci->server[id];

        if ( !(wanted & (1U << id)) || ioreq_pci_check_server(d, &id) ||
             ioreq_pci_life(d, id) < IOREQ_PCI_ORPHAN )
            continue;

        /* Whoever has adopted it is about to bind its ports, or is dead. */
        rc = -EBUSY;
        if ( server->life == IOREQ_PCI_ADOPTED &&
             until < server->until + SECONDS(1) )
            continue;

        /* From now on it is whoever adopts it that may die. */
        server->life = IOREQ_PCI_ADOPTED;
        server->until = until;
        op->server = id;

        return 0;
    }

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
