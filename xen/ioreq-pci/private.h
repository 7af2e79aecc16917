/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the bridges of a domain are at run time.
 *
 * Allocated once while the domain is built, never resized. The bridges
 * themselves, the RAM banks and the counts of these are constant from then on
 * and read without a lock. The rest is protected by these, which nest in this
 * order:
 *
 *   d->ioreq_server.lock   who claims which function, orphans
 *   lock                   states, hold, settling, doorbells
 *
 * An access looks at states and claims first without them.
 */
#ifndef __ARM_IOREQ_PCI_PRIVATE_H__
#define __ARM_IOREQ_PCI_PRIVATE_H__

#include <xen/ioreq.h>
#include <xen/sched.h>
#include <xen/spinlock.h>
#include <xen/tasklet.h>
#include <xen/timer.h>

#include <asm/ioreq-pci.h>

#include "bridge.h"
#include "compat.h"
#include "dm_op.h"

/*
 * WAITING -> READY <-> ABSENT, and WAITING -> ABSENT when a hold was given up.
 * Only WAITING holds the domain: a device model that goes away later must not
 * stop a guest that already uses the bus.
 */
enum ioreq_pci_state {
    IOREQ_PCI_WAITING,
    IOREQ_PCI_READY,
    IOREQ_PCI_ABSENT,
};

struct ioreq_pci_doorbell {
    paddr_t address;
    unsigned int size;
    ioservid_t server;
    evtchn_port_t port;
};

struct ioreq_pci_bridge {
    struct bridge bridge;
    struct domain *domain;

    enum ioreq_pci_state state;
    uint32_t generation;
    /* Server that answers for the bus; valid unless WAITING. */
    ioservid_t server;
    /* Id, plus 1, of the server that counts as ready when it has settled. */
    unsigned int settling;
    struct timer settle_timer;
};

#define IOREQ_PCI_BRIDGES 4

struct ioreq_pci {
    spinlock_t lock;

    /* The bridge that the domain is held for, NULL when it runs. */
    struct ioreq_pci_bridge *held;
    struct timer hold_timer;
    s_time_t hold_until;
    /* Counter value at which the domain's time stands still; 0: it runs. */
    uint64_t stopped_at;

    /* By segment, bus and function: id of the server that claims it, plus 1. */
    uint8_t *owner;
    unsigned int nr_owners;

    /* Sorted by address. */
    unsigned int nr_doorbells;
    struct ioreq_pci_doorbell doorbell[BRIDGE_DOORBELLS];

    /* When to give up a server whose emulator is gone; 0: it is not gone. */
    s_time_t orphan_until[MAX_NR_IOREQ_SERVERS];
    struct timer orphan_timer;
    struct tasklet orphan_tasklet;

    unsigned int nr_bridges;
    struct ioreq_pci_bridge bridge[IOREQ_PCI_BRIDGES];

    unsigned int nr_banks;
    struct bridge_window bank[];
};

void ioreq_pci_init_run_time(struct domain *d, struct ioreq_pci *pci);

/* The bridge that has a window at @gpa, NULL if there is none. */
struct ioreq_pci_bridge *ioreq_pci_find(const struct domain *d, paddr_t gpa);

/* The bus is ready, and @id answers for it, or not ready any more. */
void ioreq_pci_set_ready(struct domain *d, struct ioreq_pci_bridge *b,
                         ioservid_t id, bool ready);

/* @id maps a range of @b, if not NULL: unless it says so, it is soon ready. */
void ioreq_pci_settle(struct domain *d, struct ioreq_pci_bridge *b,
                      ioservid_t id);

/* Rings the doorbell at @gpa. False if there is none of that size. */
bool ioreq_pci_ring(struct domain *d, paddr_t gpa, unsigned int size);

/*
 * Operations of device models, called with d->ioreq_server.lock held. All that
 * name a server fail with what ioreq_pci_check_server() gives: -ENOENT if there
 * is none of that id, -EPERM if it is not the caller's.
 */
int ioreq_pci_check_server(struct domain *d, unsigned int id);
int ioreq_pci_bind(struct domain *d, const struct ioreq_pci_bridge *b,
                   struct bridge_dm_op_doorbell *op);
int ioreq_pci_unbind(struct domain *d, const struct bridge_dm_op_doorbell *op);
int ioreq_pci_adopt(struct domain *d, const struct ioreq_pci_bridge *b,
                    struct bridge_dm_op_adopt *op);

void ioreq_pci_orphan_init(struct domain *d, struct ioreq_pci *pci);

#endif /* __ARM_IOREQ_PCI_PRIVATE_H__ */

/*
 * Local variables:
 * mode: C
 * c-file-style: "BSD"
 * c-basic-offset: 4
 * indent-tabs-mode: nil
 * End:
 */
