/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Servers whose emulator is gone.
 *
 * When a process dies its ends of the server's event channels are closed; the
 * server, its page, its ports and its claims stay, and so does a vCPU that
 * waits for an answer. Another process of the emulator's domain may adopt the
 * server and answer. If none does within the hold time the server is
 * destroyed, which answers what is pending with all ones. So is one whose ports
 * have never been bound.
 *
 * Closing happens with event channel locks held, and destroying a server has
 * to wait until the domain is descheduled: so a tasklet does all of it.
 */

#include <xen/event.h>
#include <xen/ioreq.h>

#include "private.h"

static void orphan_timer_expired(void *data)
{
    struct ioreq_pci *pci = data;

    tasklet_schedule(&pci->orphan_tasklet);
}

void ioreq_pci_emulator_closed(struct domain *d)
{
    if ( d->arch.ioreq_pci )
        tasklet_schedule(&d->arch.ioreq_pci->orphan_tasklet);
}

static bool is_orphan(const struct domain *d, unsigned int id)
{
    const struct ioreq_server *s = d->ioreq_server.server[id];
    const struct ioreq_vcpu *sv;

    if ( !s )
        return false;

    list_for_each_entry ( sv, &s->ioreq_vcpu_list, list_entry )
        if ( evtchn_from_port(d, sv->ioreq_evtchn)->state == ECS_UNBOUND )
            return true;

    return false;
}

static void look_for_orphans(void *data)
{
    struct domain *d = data;
    struct ioreq_pci *pci = d->arch.ioreq_pci;
    s_time_t now = NOW(), next = STIME_MAX;
    unsigned int id;

    if ( d->is_dying )
        return;

    rspin_lock(&d->ioreq_server.lock);

    for ( id = 0; id < MAX_NR_IOREQ_SERVERS; id++ )
    {
        s_time_t *until = &pci->orphan_until[id];

        if ( !is_orphan(d, id) )
        {
            *until = 0;
            continue;
        }

        if ( !*until )
            *until = now + MILLISECS(BRIDGE_HOLD_MS);

        if ( now >= *until )
        {
            printk(XENLOG_G_WARNING
                   "%pd: ioreq server %u: no device model for %u ms, destroyed\n",
                   d, id, BRIDGE_HOLD_MS);
            ioreq_server_destroy_orphan(d, id);
            *until = 0;
        }
        else
            /* Soon, to see when somebody has bound the ports again. */
            next = min(next, min(*until, now + SECONDS(1)));
    }

    if ( next != STIME_MAX )
        set_timer(&pci->orphan_timer, next);

    rspin_unlock(&d->ioreq_server.lock);
}

void ioreq_pci_orphan_init(struct domain *d, struct ioreq_pci *pci)
{
    tasklet_init(&pci->orphan_tasklet, look_for_orphans, d);
    init_timer(&pci->orphan_timer, orphan_timer_expired, pci,
               smp_processor_id());
}

int ioreq_pci_adopt(struct domain *d, const struct ioreq_pci_bridge *b,
                    struct bridge_dm_op_adopt *op)
{
    struct ioreq_pci *pci = d->arch.ioreq_pci;
    unsigned int server = MAX_NR_IOREQ_SERVERS;
    uint64_t sbdf = ((uint64_t)op->index << 16) | op->function;

    spin_lock(&pci->lock);
    if ( op->function == BRIDGE_DM_OP_WHOLE && b->state == IOREQ_PCI_READY )
        server = b->server;
    else if ( op->function <= 0xffff && sbdf < pci->nr_owners &&
              pci->owner[sbdf] )
        server = pci->owner[sbdf] - 1;
    spin_unlock(&pci->lock);

    if ( ioreq_pci_check_server(d, server) || !is_orphan(d, server) )
        return -ENOENT;

    pci->orphan_until[server] = NOW() + MILLISECS(BRIDGE_HOLD_MS);
    op->server = server;

    return 0;
}

/*
 * Local variables:
 * mode: C
 * c-file-style: "BSD"
 * c-basic-offset: 4
 * indent-tabs-mode: nil
 * End:
 */
