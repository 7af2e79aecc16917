/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The device-model operations that the hypervisor's side adds to HYPERVISOR_dm_op: the wire format, shared by
 * hypervisor and device model. buf[0] is one struct bridge_dm_op, read and written back; describe also takes buf[1].
 * All fields are in native byte order; every pad must be 0. The caller needs the device-model privilege over the
 * domain (XSM dm_op), else -EPERM.
 *
 * Common errors: -EFAULT a buffer is too small or not readable, -EOPNOTSUPP this hypervisor does not know the
 * operation, -EINVAL a pad is not 0, -ENOENT the domain has no bridge of that index. Indexes run from 0 in order of
 * the binding.
 */
#ifndef BRIDGE_DM_OP_H
#define BRIDGE_DM_OP_H

#include "bridge.h"

/* Far above Xen's own operations, which count up from 1. */
#define BRIDGE_DM_OP_FIRST    0x50434900U
#define BRIDGE_DM_OP_DESCRIBE 0x50434901U
#define BRIDGE_DM_OP_READY    0x50434902U
#define BRIDGE_DM_OP_BIND     0x50434903U
#define BRIDGE_DM_OP_UNBIND   0x50434904U
#define BRIDGE_DM_OP_ADOPT    0x50434905U

/*
 * What the bridge is, so that a device model need not be told twice. buf[1] receives the guest's RAM, ram_banks of
 * struct bridge_window in rising order; as many as there is room for are written.
 */
struct bridge_dm_op_describe {
    uint32_t index;           /* IN */
    uint32_t flags;           /* OUT: BRIDGE_FLAG_* */
    struct bridge_window window[BRIDGE_WINDOWS]; /* OUT: the memory window with its service area */
    uint32_t interrupt_first; /* OUT */
    uint32_t interrupt_count; /* OUT */
    uint32_t state;           /* OUT: BRIDGE_STATUS_STATE_* */
    uint32_t generation;      /* OUT */
    uint32_t ram_banks;       /* IN: room in buf[1]; OUT: how many banks the guest has */
    uint32_t pad;
};

/*
 * Declares the bus of a bridge ready to be probed (a parked guest goes on), or, at a device model's end, not ready. It
 * also ceases to be ready when the server is destroyed. It is ready as long as one server says so. -ENOENT: no such
 * ioreq server, -EPERM: not the caller's, -ENXIO: it has claimed nothing of the bus, that is, of the ECAM window or a
 * function of the bridge, or none of plain ranges.
 */
struct bridge_dm_op_ready {
    uint32_t index;  /* IN */
    uint32_t server; /* IN: id of the ioreq server that answers for the bus */
    uint32_t ready;  /* IN: 0 or 1, else -EINVAL */
    uint32_t pad;
};

#define BRIDGE_DOORBELLS      256U /* a domain has at most so many bound at once */
#define BRIDGE_DOORBELLS_SURE 16U  /* of which each of its eight servers is sure: no other can take them */

/*
 * Bind: from now on a guest's write of exactly `size` bytes to `address` sets the event channel pending and is done:
 * no request, nobody waits. Whatever is written is lost. All that binds is undone when the claim around it is taken
 * back or the server destroyed. Binding again what is bound (by a device model that was restarted) gives the same
 * port.
 * -EINVAL: size not 1, 2 or 4, or address not a multiple of it. -ENXIO: not inside the bridge's windows. -EPERM: not
 * inside a memory range of the caller's server. -EEXIST: bound in another size. -ENOSPC: BRIDGE_DOORBELLS are bound, or
 * those that are not are the share of others, or the guest has no event channel left.
 * Unbind: -ENOENT: the server has bound none that contains the address.
 */
struct bridge_dm_op_doorbell {
    uint32_t index;   /* IN */
    uint32_t server;  /* IN: id of the ioreq server that has claimed the address */
    uint64_t address; /* IN: guest physical */
    uint32_t size;    /* IN */
    uint32_t port;    /* OUT of bind: the guest's port, to be bound by the caller to one of its own */
};

#define BRIDGE_DM_OP_WHOLE 0xffffffffU

/*
 * Adopt: the server of a device model that died, with its page, ports, claims and doorbells: the one that has the
 * function (bus << 8 | device << 3 | function), or, with BRIDGE_DM_OP_WHOLE, one that had declared the bus ready.
 * The caller maps the page and binds the ports again. It has the hold time to do so, and for a second nobody else
 * can adopt it. -ENOENT: there is none of the caller's domain. -EBUSY: another process has adopted it less than a
 * second ago and has not bound its ports yet; try again.
 */
struct bridge_dm_op_adopt {
    uint32_t index;    /* IN */
    uint32_t function; /* IN */
    uint32_t server;   /* OUT: id of the ioreq server */
};

struct bridge_dm_op {
    uint32_t op;
    uint32_t pad;
    union {
        uint32_t index; /* every operation begins with it */
        struct bridge_dm_op_describe describe;
        struct bridge_dm_op_ready ready;
        struct bridge_dm_op_doorbell doorbell;
        struct bridge_dm_op_adopt adopt;
    } u;
};

#endif
