/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the bridges of a domain are at run time.
 *
 * Allocated once while the domain is built, never resized. The bridges
 * themselves, the RAM banks and the counts are constant from then on and read
 * without a lock. The rest is protected by these, which nest in this order:
 *
 *   d->ioreq_server.lock   who claims which function
 *   doorbell_lock          doorbells
 *   lock                   states, hold and settling
 *
 * An access looks at states and claims first without them.
 */
#ifndef __ARM_IOREQ_PCI_PRIVATE_H__
#define __ARM_IOREQ_PCI_PRIVATE_H__

#include <xen/ioreq.h>
#include <xen/rwlock.h>
#include <xen/sched.h>
#include <xen/spinlock.h>
#include <xen/tasklet.h>
#include <xen/timer.h>

#include <asm/ioreq-pci.h>

#include "bridge.h"
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

    enum ioreq_pci_state state;
    uint32_t generation;
    /* Server that answers for the bus; valid unless WAITING. */
    ioservid_t server;
    /* A server that has not said so, and when it counts as ready; 0: never. */
    ioservid_t settling;
    s_time_t settled;

    /* One a function of the ECAM: id of the server that claims it, plus 1. */
    uint8_t *owner;

    /* Sorted by address. */
    unsigned int nr_doorbells;
    struct ioreq_pci_doorbell doorbell[BRIDGE_DOORBELLS];
};

#define IOREQ_PCI_BRIDGES 4

struct ioreq_pci {
    spinlock_t lock;
    rwlock_t doorbell_lock;

    /* The bridge that the domain is held for, NULL when it runs. */
    struct ioreq_pci_bridge *held;
    struct timer hold_timer;
    s_time_t hold_until;
    /* Counter value at which the domain's time stands still; 0: it runs. */
    uint64_t stopped_at;

    struct timer settle_timer;

    /* When to give up a server whose emulator is gone; 0: it is not gone. */
    s_time_t orphan_until[MAX_NR_IOREQ_SERVERS];
    struct timer orphan_timer;
    struct tasklet orphan_tasklet;

    unsigned int nr_bridges;
    struct ioreq_pci_bridge bridge[IOREQ_PCI_BRIDGES];

    unsigned int nr_banks;
    struct bridge_dm_op_ram bank[];
};

void ioreq_pci_init_run_time(struct domain *d, struct ioreq_pci *pci);

struct ioreq_pci_bridge *ioreq_pci_find(struct ioreq_pci *pci, paddr_t gpa);

/* -ENOENT: no such server, -EPERM: not the caller's. Needs its lock. */
int ioreq_pci_check_server(struct domain *d, unsigned int id);

/* The bus is ready, and @id answers for it, or not ready any more. */
void ioreq_pci_set_ready(struct domain *d, struct ioreq_pci_bridge *b,
                         ioservid_t id, bool ready);

/* Rings the doorbell at @gpa. False if there is none of that size. */
bool ioreq_pci_ring(struct domain *d, struct ioreq_pci_bridge *b, paddr_t gpa,
                    unsigned int size);

int ioreq_pci_bind(struct domain *d, struct ioreq_pci_bridge *b,
                   struct bridge_dm_op_doorbell *op);
int ioreq_pci_unbind(struct domain *d, struct ioreq_pci_bridge *b,
                     const struct bridge_dm_op_doorbell *op);

void ioreq_pci_orphan_init(struct domain *d, struct ioreq_pci *pci);
int ioreq_pci_adopt(struct domain *d, const struct ioreq_pci_bridge *b,
                    struct bridge_dm_op_adopt *op);

#endif /* __ARM_IOREQ_PCI_PRIVATE_H__ */

/*
 * Local variables:
 * mode: C
 * c-file-style: "BSD"
 * c-basic-offset: 4
 * indent-tabs-mode: nil
 * End:
 */
