/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Secondary PCI host bridges of a domain, at run time.
 *
 * An access to a window of a bridge is handled by the first of these that
 * applies:
 *
 * - the service area: answered here at once;
 * - the bridge asks for HOLD and waits for its first device model: the domain
 *   is paused and its virtual time stands still, until the device model says
 *   that the bus is ready or until the hold time is over. The instruction is
 *   then run again, so nothing of the access need be remembered;
 * - an ioreq server that claims the address;
 * - the background: reads give all ones, writes are ignored. A guest never
 *   takes a data abort because nobody backs a window.
 */

#include <xen/dm.h>
#include <xen/guest_access.h>
#include <xen/nospec.h>

#include <asm/ioreq.h>
#include <asm/traps.h>
#include <asm/vtimer.h>

#include "private.h"

struct ioreq_pci_bridge *ioreq_pci_find(const struct domain *d, paddr_t gpa)
{
    struct ioreq_pci *pci = d->arch.ioreq_pci;
    unsigned int i, j;

    for ( i = 0; pci && i < pci->nr_bridges; i++ )
        for ( j = 0; j < BRIDGE_WINDOWS; j++ )
            if ( bridge_window_contains(&pci->bridge[i].bridge.window[j],
                                        gpa) )
                return &pci->bridge[i];

    return NULL;
}

/*
 * The eight bytes from gpa on. Below the status page is the GICv2m frame, which
 * reads as zero: its driver is told all by properties.
 */
static uint64_t service_read(const struct ioreq_pci_bridge *b, paddr_t gpa)
{
    const uint32_t status[] = {
        [BRIDGE_STATUS_MAGIC / 4] = BRIDGE_STATUS_MAGIC_VALUE,
        [BRIDGE_STATUS_VERSION / 4] = BRIDGE_STATUS_VERSION_VALUE,
        [BRIDGE_STATUS_STATE / 4] = ACCESS_ONCE(b->state) == IOREQ_PCI_READY
                                    ? BRIDGE_STATUS_STATE_READY : 0,
        [BRIDGE_STATUS_GENERATION / 4] = ACCESS_ONCE(b->generation),
        [BRIDGE_STATUS_FLAGS / 4] = b->bridge.flags,
    };
    paddr_t offset = gpa - bridge_status_base(&b->bridge);
    uint64_t data = 0;

    /* In the frame the offset wraps. */
    if ( offset < sizeof(status) )
    {
        size_t first = array_index_nospec((size_t)offset, sizeof(status));

        memcpy(&data, (const uint8_t *)status + first,
               min(sizeof(data), sizeof(status) - first));
    }

    return data;
}

static enum io_state complete(struct cpu_user_regs *regs,
                              const mmio_info_t *info, uint64_t data)
{
    const struct hsr_dabt dabt = info->dabt;

    /* Cache maintenance has no data, and its syndrome names no register. */
    if ( info->dabt_instr.state == INSTR_CACHE || dabt.write )
        return IO_HANDLED;

    data &= ~0ULL >> (64 - (8U << dabt.size));
    set_user_reg(regs, dabt.reg, sign_extend(dabt, data));

    return IO_HANDLED;
}

/* Whether the access is to be run again once the domain is released. */
static bool hold(struct domain *d, struct ioreq_pci_bridge *b)
{
    struct ioreq_pci *pci = d->arch.ioreq_pci;
    bool waiting;

    if ( likely(ACCESS_ONCE(b->state) != IOREQ_PCI_WAITING) ||
         !(b->bridge.flags & BRIDGE_FLAG_HOLD) )
        return false;

    spin_lock(&pci->lock);

    /* Look again: the device model may have become ready meanwhile. */
    waiting = b->state == IOREQ_PCI_WAITING && !d->is_dying;

    /* One that is being shut down is paused by that, and may be resumed. */
    if ( waiting && !pci->held && !d->is_shutting_down )
    {
        pci->held = b;
        domain_pause_nosync(d);
        set_timer(&pci->hold_timer, NOW() + MILLISECS(b->bridge.hold_ms));
    }

    spin_unlock(&pci->lock);

    return waiting;
}

static void release(struct domain *d, struct ioreq_pci *pci)
{
    ASSERT(spin_is_locked(&pci->lock));

    stop_timer(&pci->hold_timer);

    if ( pci->stopped_at )
        domain_vtimer_resume(d, get_cycles() - pci->stopped_at);

    pci->stopped_at = 0;
    pci->held = NULL;
    domain_unpause(d);
}

static bool all_descheduled(const struct domain *d)
{
    const struct vcpu *v;

    for_each_vcpu ( d, v )
        if ( ACCESS_ONCE(v->is_running) )
            return false;

    /* Pairs with the barrier before is_running is cleared. */
    smp_rmb();

    return true;
}

/*
 * Time may be stopped only when no vCPU can look at it any more, or it would
 * later go back; this cannot be waited for where the hold begins. It has to be
 * stopped then, or the domain would see what went by. So the last vCPU to be
 * descheduled does it. There is one: that which began the hold runs until then.
 */
void ioreq_pci_descheduled(struct domain *d)
{
    struct ioreq_pci *pci = d->arch.ioreq_pci;

    if ( likely(!pci) )
        return;

    /*
     * Of two that are descheduled at once, the one that does not yet see that
     * the domain is held is seen not to run by the other.
     */
    smp_mb();

    if ( likely(!ACCESS_ONCE(pci->held)) )
        return;

    spin_lock(&pci->lock);

    if ( pci->held && !pci->stopped_at && all_descheduled(d) )
    {
        pci->stopped_at = get_cycles();
        domain_vtimer_stop(d);
    }

    spin_unlock(&pci->lock);
}

static void hold_timer_expired(void *data)
{
    struct domain *d = data;
    struct ioreq_pci *pci = d->arch.ioreq_pci;

    spin_lock(&pci->lock);

    /* It may have been released, or destroyed, while this was on its way. */
    if ( pci->held && NOW() >= pci->hold_timer.expires && !d->is_dying )
    {
        printk(XENLOG_G_WARNING
               "%pd: PCI bridge %u: no device model after %u ms, going on without\n",
               d, (unsigned int)(pci->held - pci->bridge),
               pci->held->bridge.hold_ms);
        pci->held->state = IOREQ_PCI_ABSENT;
        release(d, pci);
    }

    spin_unlock(&pci->lock);
}

/*
 * A domain that is shut down, or crashes, has its vCPUs paused one by one:
 * those that wait for an answer only once they have it, for which they must
 * run.
 */
void ioreq_pci_shutdown(struct domain *d)
{
    struct ioreq_pci *pci = d->arch.ioreq_pci;

    if ( !pci )
        return;

    spin_lock(&pci->lock);

    if ( pci->held )
        release(d, pci);

    spin_unlock(&pci->lock);
}

void ioreq_pci_set_ready(struct domain *d, struct ioreq_pci_bridge *b,
                         unsigned int id, bool ready)
{
    struct ioreq_pci *pci = d->arch.ioreq_pci;
    unsigned int before = b->ready;

    ASSERT(rspin_is_locked(&d->ioreq_server.lock));

    spin_lock(&pci->lock);

    if ( ready )
        b->ready |= 1U << id;
    else
    {
        b->ready &= ~(1U << id);
        pci->server[id].settled[b - pci->bridge] = 0;
    }

    if ( b->ready & ~before )
        b->generation++;

    if ( b->ready )
    {
        b->state = IOREQ_PCI_READY;
        if ( pci->held == b )
            release(d, pci);
    }
    else if ( before )
    {
        b->state = IOREQ_PCI_ABSENT;
        /* Another one may have settled meanwhile. */
        tasklet_schedule(&pci->server_tasklet);
    }

    spin_unlock(&pci->lock);
}

void ioreq_pci_init_run_time(struct domain *d, struct ioreq_pci *pci)
{
    spin_lock_init(&pci->lock);
    init_timer(&pci->hold_timer, hold_timer_expired, d, smp_processor_id());
    ioreq_pci_server_init(d, pci);
}

enum io_state ioreq_pci_access(struct cpu_user_regs *regs, struct vcpu *v,
                               mmio_info_t *info)
{
    struct ioreq_pci_bridge *b = ioreq_pci_find(v->domain, info->gpa);
    enum io_state rc;

    if ( likely(!b) )
        return IO_UNHANDLED;

    if ( bridge_service_contains(&b->bridge, info->gpa) )
        return complete(regs, info, service_read(b, info->gpa));

    if ( hold(v->domain, b) )
        return IO_RETRY;

    if ( info->dabt.valid && info->dabt.write &&
         ioreq_pci_ring(v->domain, info->gpa, 1U << info->dabt.size) )
        return IO_HANDLED;

    rc = try_fwd_ioserv(regs, v, info);
    if ( rc == IO_HANDLED )
        return handle_ioserv(regs, v);

    return rc == IO_UNHANDLED ? complete(regs, info, ~0ULL) : rc;
}

static int describe(const struct ioreq_pci *pci,
                    const struct ioreq_pci_bridge *b,
                    const struct dmop_args *args,
                    struct bridge_dm_op_describe *op)
{
    unsigned int room = op->ram_banks, n = min(room, pci->nr_banks);

    if ( op->pad )
        return -EINVAL;

    if ( room && (args->nr_bufs < 2 ||
                  args->buf[1].size < n * sizeof(pci->bank[0])) )
        return -EFAULT;

    op->flags = b->bridge.flags;
    memcpy(op->window, b->bridge.window, sizeof(op->window));
    op->interrupt_first = b->bridge.interrupt_first;
    op->interrupt_count = b->bridge.interrupt_count;
    op->state = ACCESS_ONCE(b->state) == IOREQ_PCI_READY
                ? BRIDGE_STATUS_STATE_READY : 0;
    op->generation = ACCESS_ONCE(b->generation);
    op->ram_banks = pci->nr_banks;

    if ( n && copy_to_guest_offset(args->buf[1].h, 0, pci->bank, n) )
        return -EFAULT;

    return 0;
}

int ioreq_pci_dm_op(struct domain *d, const struct dmop_args *args)
{
    struct ioreq_pci *pci = d->arch.ioreq_pci;
    struct ioreq_pci_bridge *b;
    struct bridge_dm_op op;
    int rc = 0;

    if ( args->nr_bufs < 1 || args->buf[0].size < sizeof(op) ||
         copy_from_guest_offset((void *)&op, args->buf[0].h, 0, sizeof(op)) )
        return -EFAULT;

    if ( op.pad )
        return -EINVAL;

    /* Every operation begins with the bridge's index. */
    if ( !pci || op.u.index >= pci->nr_bridges )
        return -ENOENT;

    op.u.index = array_index_nospec(op.u.index, pci->nr_bridges);
    b = &pci->bridge[op.u.index];

    if ( op.op == BRIDGE_DM_OP_DESCRIBE )
        rc = describe(pci, b, args, &op.u.describe);

    /* No server or claim goes between what is checked and what is done. */
    rspin_lock(&d->ioreq_server.lock);

    switch ( op.op )
    {
    case BRIDGE_DM_OP_DESCRIBE:
        /* A server that was left before a port was bound has no other trace. */
        ioreq_pci_emulator_closed(d);
        break;

    case BRIDGE_DM_OP_READY:
        rc = op.u.ready.ready > 1 || op.u.ready.pad
             ? -EINVAL : ioreq_pci_check_server(d, &op.u.ready.server);
        if ( !rc && op.u.ready.ready &&
             !(pci->server[op.u.ready.server].buses & (1U << op.u.index)) )
            rc = -ENXIO;
        if ( !rc )
        {
            (void)ioreq_pci_life(d, op.u.ready.server);
            ioreq_pci_set_ready(d, b, op.u.ready.server, op.u.ready.ready);
        }
        break;

    case BRIDGE_DM_OP_BIND:
        rc = ioreq_pci_bind(d, b, &op.u.doorbell);
        break;

    case BRIDGE_DM_OP_UNBIND:
        rc = ioreq_pci_unbind(d, &op.u.doorbell);
        break;

    case BRIDGE_DM_OP_ADOPT:
        rc = ioreq_pci_adopt(d, b, &op.u.adopt);
        break;

    default:
        rc = -EOPNOTSUPP;
        break;
    }

    rspin_unlock(&d->ioreq_server.lock);

    if ( !rc && copy_to_guest_offset(args->buf[0].h, 0, (void *)&op,
                                     sizeof(op)) )
        rc = -EFAULT;

    return rc;
}

void ioreq_pci_relinquish(struct domain *d)
{
    struct ioreq_pci *pci = d->arch.ioreq_pci;

    if ( !pci )
        return;

    kill_timer(&pci->hold_timer);
    kill_timer(&pci->server_timer);
    tasklet_kill(&pci->server_tasklet);
}

void ioreq_pci_destroy(struct domain *d)
{
    ioreq_pci_relinquish(d);

    if ( d->arch.ioreq_pci )
        xfree(d->arch.ioreq_pci->owner);

    XFREE(d->arch.ioreq_pci);
}

/*
 * Local variables:
 * mode: C
 * c-file-style: "BSD"
 * c-basic-offset: 4
 * indent-tabs-mode: nil
 * End:
 */
