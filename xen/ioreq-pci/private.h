/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the bridges of a domain are at run time.
 *
 * Allocated once while the domain is built, never resized. The bridges
 * themselves, the RAM banks and the counts are constant from then on and read
 * without a lock; everything else is protected by the lock, but for a bridge's
 * state, which an access looks at first without it.
 */
#ifndef __ARM_IOREQ_PCI_PRIVATE_H__
#define __ARM_IOREQ_PCI_PRIVATE_H__

#include <xen/spinlock.h>
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

struct ioreq_pci_bridge {
    struct bridge bridge;
    enum ioreq_pci_state state;
    /* As the binding spells it; constant text. */
    const char *property;
    uint32_t generation;
};

#define IOREQ_PCI_BRIDGES 1

struct ioreq_pci {
    spinlock_t lock;

    /* The bridge that the domain is held for, NULL when it runs. */
    struct ioreq_pci_bridge *held;
    struct timer hold_timer;
    s_time_t hold_until;
    /* Counter value at which the domain's time stands still; 0: it runs. */
    uint64_t stopped_at;

    /* Full name of the domain's node in the host device tree. */
    const char *node;

    unsigned int nr_bridges;
    struct ioreq_pci_bridge bridge[IOREQ_PCI_BRIDGES];

    unsigned int nr_banks;
    struct bridge_dm_op_ram bank[];
};

void ioreq_pci_hold_init(struct domain *d, struct ioreq_pci *pci);

#endif /* __ARM_IOREQ_PCI_PRIVATE_H__ */

/*
 * Local variables:
 * mode: C
 * c-file-style: "BSD"
 * c-basic-offset: 4
 * indent-tabs-mode: nil
 * End:
 */
