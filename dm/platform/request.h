/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One guest access as Xen hands it to a device model: a slot of the ioreq page (struct ioreq of <xen/hvm/ioreq.h>).
 *
 * The page is shared with the hypervisor, and in the worst case with somebody who lies. So a slot is copied once, the
 * copy is judged, and nothing of the slot is looked at again; only then is the answer written and the state moved on.
 * Both platforms use these functions, so that what the tests see is what runs on Xen.
 *
 * A slot's states: NONE -> READY (hypervisor) -> INPROCESS -> RESP_READY (device model) -> NONE (hypervisor). Any other
 * move of ours crashes the guest.
 *
 * Whether anybody decodes the address is for the layers above: their access function answers every address.
 */
#ifndef PLATFORM_REQUEST_H
#define PLATFORM_REQUEST_H

#include <stdbool.h>
#include <stdint.h>

#include <xen/hvm/ioreq.h>

#include "platform.h"

#define PLATFORM_VCPUS_MAX (4096u / (unsigned int)sizeof(struct ioreq)) /* slots of a page */

/* What a request is, or why it is malformed. */
enum platform_request_fault {
    PLATFORM_REQUEST_GOOD,
    PLATFORM_REQUEST_INVALIDATE, /* not an access: the guest has changed its memory */
    PLATFORM_REQUEST_TYPE,      /* none of IOREQ_TYPE_COPY, IOREQ_TYPE_PCI_CONFIG and IOREQ_TYPE_INVALIDATE */
    PLATFORM_REQUEST_SIZE,      /* not 1, 2, 4 or 8 */
    PLATFORM_REQUEST_COUNT,     /* not exactly one access */
    PLATFORM_REQUEST_POINTER,   /* the data is a guest address: no Arm instruction asks for that */
    PLATFORM_REQUEST_DIRECTION, /* runs backwards: no Arm instruction asks for that */
    PLATFORM_REQUEST_ADDRESS,   /* wraps, or is not in the configuration space of one function of the bridge */
    PLATFORM_REQUEST_FAULTS,
};

/* How many requests there were, of each kind. */
struct platform_request_counters {
    uint64_t requests[PLATFORM_REQUEST_FAULTS];
};

/* How many there were that were accesses, how many of these were malformed, and how many invalidations. */
void platform_request_count(const struct platform_request_counters *from, struct platform_counters *to);

/* The configuration space of a bridge: where the guest sees it, and the number that requests for it have. */
struct platform_config_space {
    struct bridge_window ecam;
    unsigned int segment;
};

enum platform_request_result {
    PLATFORM_REQUEST_NONE,     /* there is none in the slot */
    PLATFORM_REQUEST_ANSWERED, /* the caller tells the hypervisor, through the slot's event channel */
    PLATFORM_REQUEST_TAKEN,    /* an invalidation: platform_request_answer() is to follow */
};

/*
 * Serves one slot: when it holds a request (READY, or INPROCESS: left half done by a device model that died), answers
 * it, by one call of `access` or, when it is malformed, with all ones (a write: not at all), and moves it to
 * RESP_READY. A slot in another state is left alone. A request for a function's configuration space is given its
 * address in the ECAM window.
 *
 * An invalidation is only moved to INPROCESS; so it is not served again while it is (the caller knows which one).
 */
enum platform_request_result platform_request_serve(struct ioreq *slot, const struct platform_config_space *space,
                                                    platform_access_fn *access, void *opaque,
                                                    struct platform_request_counters *counters);

/* Answers an invalidation. Whether it was still there: then the caller tells the hypervisor. */
bool platform_request_answer(struct ioreq *slot);

/*
 * Invalidations that were taken: processors wait until what is mapped of the guest's memory has been dropped, which may
 * take as long as a request to a disk. They do not wait longer than this: no harm is done then, since what is still in
 * flight was asked for before, and nothing is begun until it has ended. Their guest would take them for dead.
 */
#define PLATFORM_INVALIDATION_MS 5000u

struct platform_invalidation {
    bool changed;         /* what is mapped has still to be dropped */
    unsigned int waiting; /* processors */
    uint64_t since;       /* milliseconds, the first of them */
    bool waits[PLATFORM_VCPUS_MAX];
};

void platform_invalidation_take(struct platform_invalidation *invalidation, unsigned int vcpu);

/* Whether processors have waited for so long that they are to go on. */
bool platform_invalidation_overdue(const struct platform_invalidation *invalidation);

/* A processor that waits, which it does no more then; `vcpus`: there is none. */
unsigned int platform_invalidation_next(struct platform_invalidation *invalidation, unsigned int vcpus);

/* A slot's state, STATE_IOREQ_*, with acquire semantics: what the hypervisor wrote before it is visible after. */
unsigned int platform_request_state(const struct ioreq *slot);

/* All ones for an access of `size` bytes; 64 bits of them when size is not an access size. */
static inline uint64_t platform_request_ones(unsigned int size)
{
    return size < 8 ? (1ull << (size * 8)) - 1 : UINT64_MAX;
}

#endif
