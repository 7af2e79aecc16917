/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the bridges of a domain are at run time.
 *
 * Allocated once while the domain is built, never resized. The bridges
 * themselves, the RAM banks and the counts of these are constant from then on
 * and read without a lock. The rest is protected by these, which nest in this
 * order:
 *
 *   d->ioreq_server.lock   who claims which function, servers, who is ready
 *   lock                   states, hold, doorbells
 *
 * Doorbells change with both held, so that either is enough to look at them.
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

    enum ioreq_pci_state state;
    uint32_t generation;
    /* The servers that say that the bus is ready, one bit each. */
    unsigned int ready;
};

#define IOREQ_PCI_BRIDGES 4

enum ioreq_pci_life {
    IOREQ_PCI_STARTING, /* nobody has ever bound its ports */
    IOREQ_PCI_SERVED,   /* somebody has */
    IOREQ_PCI_ORPHAN,   /* and has closed all of them */
    IOREQ_PCI_ADOPTED,  /* and somebody is about to bind them again */
};

/* An ioreq server, by its id; zero if there is none. */
struct ioreq_pci_server {
    enum ioreq_pci_life life; /* when it was looked at last */
    /* When it is given up because nobody is there; 0: somebody is. */
    s_time_t until;
    /* By bridge: when it counts as ready without saying so; 0: never. */
    s_time_t settled[IOREQ_PCI_BRIDGES];
    /* What it has ever claimed: of bridges, of other things, of a bus. */
    bool ours;
    bool elsewhere;
    unsigned int buses; /* one bit a bridge */
};

struct ioreq_pci {
    spinlock_t lock;

    /* The bridge that the domain is held for, NULL when it runs. */
    struct ioreq_pci_bridge *held;
    struct timer hold_timer;
    /* Counter value at which the domain's time stands still; 0: it runs. */
    uint64_t stopped_at;

    /* By segment, bus and function: id of the server that claims it, plus 1. */
    uint8_t *owner;
    unsigned int nr_owners;

    /* Sorted by address. */
    unsigned int nr_doorbells;
    struct ioreq_pci_doorbell doorbell[BRIDGE_DOORBELLS];

    struct ioreq_pci_server server[MAX_NR_IOREQ_SERVERS];
    struct timer server_timer;
    struct tasklet server_tasklet;

    unsigned int nr_bridges;
    struct ioreq_pci_bridge bridge[IOREQ_PCI_BRIDGES];

    unsigned int nr_banks;
    struct bridge_window bank[];
};

void ioreq_pci_init_run_time(struct domain *d, struct ioreq_pci *pci);

/* The bridge that has a window at @gpa, NULL if there is none. */
struct ioreq_pci_bridge *ioreq_pci_find(const struct domain *d, paddr_t gpa);

/* Rings the doorbell at @gpa. False if there is none of that size. */
bool ioreq_pci_ring(struct domain *d, paddr_t gpa, unsigned int size);

/* Part of ioreq_pci_init_run_time(). */
void ioreq_pci_server_init(struct domain *d, struct ioreq_pci *pci);

/* All that follows is called with d->ioreq_server.lock held. */

/* @id says that the bus is ready, or not (any more). */
void ioreq_pci_set_ready(struct domain *d, struct ioreq_pci_bridge *b,
                         unsigned int id, bool ready);

/* Whether anybody is there for a server that exists: looks, and remembers. */
enum ioreq_pci_life ioreq_pci_life(struct domain *d, unsigned int id);

/* Destroys a server that nobody is there for. */
void ioreq_pci_give_up(struct domain *d, unsigned int id);

/*
 * Operations of device models. All that name a server fail with what
 * ioreq_pci_check_server() gives: -ENOENT if there is none of that id, -EPERM
 * if it is not the caller's. Otherwise the id may be used as an index.
 */
int ioreq_pci_check_server(struct domain *d, uint32_t *id);
int ioreq_pci_bind(struct domain *d, const struct ioreq_pci_bridge *b,
                   struct bridge_dm_op_doorbell *op);
int ioreq_pci_unbind(struct domain *d, struct bridge_dm_op_doorbell *op);
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
