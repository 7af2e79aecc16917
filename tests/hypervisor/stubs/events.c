/* SPDX-License-Identifier: GPL-2.0-only */
/* Event channels between a domain and its emulators. Changes happen with the event lock held, as in Xen. */
#include "../machine.h"

static spinlock_t event_lock;

void events_init(void)
{
    hypervisor_lock_init(&event_lock, "event lock");
}

struct evtchn *evtchn_from_port(const struct domain *d, evtchn_port_t port)
{
    hypervisor_assert(port > 0 && port < HYPERVISOR_EVENT_CHANNELS, "a port that is none", __FILE__, __LINE__);
    return (struct evtchn *)&d->evtchn[port];
}

int alloc_unbound_xen_event_channel(struct domain *d, unsigned int vcpu, domid_t remote,
                                    xen_event_channel_notification_t notification)
{
    int port;

    hypervisor_assert(vcpu < d->max_vcpus && notification == NULL, "arguments of an event channel", __FILE__, __LINE__);
    if (fault_now(&faults.event_channel)) {
        return -ENOSPC;
    }
    spin_lock(&event_lock);
    for (port = 1; port < HYPERVISOR_EVENT_CHANNELS && d->evtchn[port].state != ECS_FREE; port++) {
    }
    hypervisor_assert(port < HYPERVISOR_EVENT_CHANNELS, "event channels leak", __FILE__, __LINE__);
    d->evtchn[port].remote = remote;
    d->evtchn[port].pending = 0;
    d->evtchn[port].state = ECS_UNBOUND;
    spin_unlock(&event_lock);
    return port;
}

void free_xen_event_channel(struct domain *d, int port)
{
    spin_lock(&event_lock);
    hypervisor_assert(evtchn_from_port(d, port)->state != ECS_FREE, "an event channel is freed twice", __FILE__,
                      __LINE__);
    d->evtchn[port].state = ECS_FREE;
    spin_unlock(&event_lock);
}

void notify_via_xen_event_channel(struct domain *d, int port)
{
    spin_lock(&event_lock);
    hypervisor_assert(evtchn_from_port(d, port)->state != ECS_FREE, "a freed event channel is rung", __FILE__,
                      __LINE__);
    if (d->evtchn[port].state == ECS_INTERDOMAIN) {
        d->evtchn[port].pending++;
    }
    spin_unlock(&event_lock);
}

int emulator_binds(struct domain *d, evtchn_port_t port, const struct domain *emulator)
{
    int rc = -EINVAL;

    spin_lock(&event_lock);
    if (d->evtchn[port].state == ECS_UNBOUND && d->evtchn[port].remote == emulator->domain_id) {
        d->evtchn[port].state = ECS_INTERDOMAIN;
        d->evtchn[port].pending++; /* Xen sets it, so that nothing is lost */
        rc = 0;
    }
    spin_unlock(&event_lock);
    return rc;
}

void emulator_closes(struct domain *d, evtchn_port_t port)
{
    spin_lock(&event_lock);
    if (d->evtchn[port].state == ECS_INTERDOMAIN) {
        d->evtchn[port].state = ECS_UNBOUND;
        ioreq_pci_emulator_closed(d);
    }
    spin_unlock(&event_lock);
}

unsigned int event_pending(struct domain *d, evtchn_port_t port)
{
    unsigned int pending;

    spin_lock(&event_lock);
    pending = d->evtchn[port].pending;
    d->evtchn[port].pending = 0;
    spin_unlock(&event_lock);
    return pending;
}

unsigned int events_in_use(const struct domain *d)
{
    unsigned int port, count = 0;

    for (port = 1; port < HYPERVISOR_EVENT_CHANNELS; port++) {
        count += d->evtchn[port].state != ECS_FREE;
    }
    return count;
}
