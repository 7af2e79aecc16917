/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A virtqueue, split or packed, from the device's side (virtio 1.2, sections 2.7 and 2.8), with indirect descriptors
 * and event index.
 *
 * The rings are memory that the guest's vCPUs write while we read. Four rules keep that harmless:
 *   copy once       descriptors, ring entries and indexes are each read once, into private memory, and judged there
 *   frozen          size and addresses are copied and resolved when the queue is enabled; later changes do not matter
 *   bounded         a chain has at most as many descriptors as the queue has entries, or, indirect ones included, as it
 *                   could have
 *   RAM only        addresses are resolved by platform_map(), which knows nothing but RAM, or nothing but grants
 * What is given back is never read again, but by who goes on for a predecessor that was killed.
 *
 * A chain that breaks the rules (VIRTQUEUE_MALFORMED) is never given back: there is no place in it for an error, and a
 * driver that finds it used takes what its status byte happens to hold for the answer. Nor can the queue go
 * on when not even the head is to be trusted (VIRTQUEUE_BROKEN). The device must say NEEDS_RESET.
 *
 * A chain is copied and judged, then its buffers are mapped, until it ends: in as many turns of the event loop as that
 * takes, so that no guest can keep the loop busy; an indirect table likewise, while it is copied. The rings are mapped
 * while the queue is enabled.
 *
 * With grants only the rings are mapped, since mapping and unmapping each buffer would cost far more than to copy it.
 * What may be read is copied when the chain is taken, what was written before it is given back, for many chains by one
 * system call: virtqueue_pop() and virtqueue_deliver() only want the copies, the caller has them made and then asks
 * virtqueue_fetched() and virtqueue_delivered(). There are no indirect tables, so that each descriptor has a place of
 * its own for its buffer. Chains that share some, which no driver makes, find each other's data there.
 *
 * The device's thread only. Memory is allocated by virtqueue_init() alone.
 */
#ifndef VIRTIO_QUEUE_H
#define VIRTIO_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include <linux/virtio_ring.h>

#include "platform/platform.h"

#define VIRTQUEUE_SIZE_MAX 1024u
#define VIRTQUEUE_VECTORS  8u /* that each chain has at least */

/* What the driver programs; it has no effect before the queue is enabled. */
struct virtqueue_registers {
    uint16_t size;
    uint16_t vector; /* VIRTIO_MSI_NO_VECTOR or an MSI-X vector that exists */
    uint64_t descriptors;
    uint64_t available; /* driver area */
    uint64_t used;      /* device area */
};

/*
 * A descriptor chain that has been copied and judged. The vectors are the device's until it completes the chain: it
 * may change them. If a segment cannot be mapped, `unresolved` is set, and all have a NULL base: then the device
 * answers with an error, for which it has virtqueue_last_byte(). Empty segments are left out.
 */
struct virtqueue_chain {
    uint16_t head; /* or buffer id: below the queue's size, and of no other chain that is in flight */
    bool copied;   /* from the rings, perhaps not yet mapped */
    bool in_flight;
    bool unresolved;
    uint16_t long_place;     /* 1 + which; 0: it is short */
    unsigned int readable;   /* vectors that the device may read: the first ones */
    unsigned int writable;   /* vectors that the device may write: those after them */
    uint64_t readable_bytes; /* both together at most 4 GiB - 1 */
    uint64_t writable_bytes;
    struct iovec *vector;   /* VIRTQUEUE_VECTORS of them at least, however many are used */
    unsigned int mapped;    /* vectors that are: the first ones; if it is unresolved, the last byte */
    struct iovec *mapping;  /* these, as they were before the device changed them */
    struct platform_copy *piece; /* with grants: all vectors, likewise; NULL without */
    struct platform_copy last;   /* with grants: the last byte that the device may write */
    unsigned int first_writable; /* with grants: of the pieces */
    uint64_t room;               /* with grants: writable_bytes, as it was before the device changed it */
    unsigned int delivered;      /* with grants: pieces, from the first writable one on */
    uint32_t written;            /* what the device wrote, until the chain is given back */
    struct virtqueue_chain *together; /* the next one of those that are given back in one step */
    struct virtqueue_chain *next;     /* in lists of the device, or of the queue */
};

enum virtqueue_result {
    VIRTQUEUE_EMPTY,
    VIRTQUEUE_CHAIN,
    VIRTQUEUE_MALFORMED,
    VIRTQUEUE_BROKEN,
    VIRTQUEUE_LATER, /* there is one, whose memory cannot all be mapped in this turn of the event loop */
    VIRTQUEUE_FULL,  /* nor before others have ended: platform_turn() */
};

/*
 * What has been taken from the queue and given back, kept so that whoever finds it after this process was killed,
 * between any two instructions, can go on: virtqueue_recover(). Counts run from 0 at a reset, and are of chains in a
 * split queue (the indexes in the rings are their low 16 bits), of descriptors in the ring in a packed one (they say
 * place and wrap counter). All zero: a queue after a reset.
 *
 * In a packed queue what was taken may be overwritten while it is in flight, by what is given back, so that it is kept
 * here.
 *
 * As long as the queue needs: VIRTQUEUE_JOURNAL_SIZE(size_max) bytes, a multiple of VIRTQUEUE_JOURNAL_ALIGNMENT.
 */
struct virtqueue_journal {
    uint64_t taken;
    uint64_t used;       /* given back */
    uint64_t completing; /* 0, or what `used` becomes when the chains that are marked have been given back */
    struct virtqueue_journal_entry {
        uint64_t position; /* by head: `taken` when it had been taken, and the mark; 0: it is the driver's */
        uint16_t first;    /* packed, by head: where its descriptors are, and how many */
        uint16_t count;
        uint16_t next;     /* packed, by place: where the next one is */
        uint16_t reserved;
        struct vring_packed_desc descriptor; /* packed, by place */
    } entry[];
};

#define VIRTQUEUE_GIVING (1ull << 63) /* the mark: it is being given back */
#define VIRTQUEUE_JOURNAL_ALIGNMENT 8u
#define VIRTQUEUE_JOURNAL_SIZE(size_max) \
    (offsetof(struct virtqueue_journal, entry) + (size_max) * sizeof(struct virtqueue_journal_entry))

#define VIRTQUEUE_AREAS 3u

struct virtqueue_format; /* ring.h */

struct virtqueue {
    struct platform *platform;
    uint16_t size_max;
    struct virtqueue_registers registers;

    /* Frozen by virtqueue_enable(). */
    bool enabled;
    bool indirect;
    bool event_index;
    const struct virtqueue_format *format;
    uint16_t size;
    union {
        void *area[VIRTQUEUE_AREAS];
        struct {
            struct vring_desc *descriptors;
            struct vring_avail *available;
            struct vring_used *used;
        };
        struct {
            struct vring_packed_desc *slots;
            struct vring_packed_desc_event *driver_event;
            struct vring_packed_desc_event *device_event;
        };
    };

    /* Packed: where in the ring the next chain is, and the next one is given back; with the wrap counters (2.8.1). */
    struct virtqueue_point {
        uint16_t slot;
        bool wrap;
    } next_taken, next_used;
    uint64_t place_used[VIRTQUEUE_SIZE_MAX / 64]; /* packed: one bit a descriptor that is kept in the journal */

    bool status;             /* chains end with a status byte: virtqueue_deliver() */
    struct virtqueue_journal *journal;
    struct virtqueue_journal *own; /* unless the journal is to outlive the process */
    bool recovering; /* there are chains in the journal that we, or a predecessor, have to take again */
    uint64_t signalled_used; /* what had been given back when it was last decided whether to interrupt */
    unsigned int in_flight;
    uint16_t pending;    /* head of a chain that was taken and is being mapped, so not in flight; UINT16_MAX: none */
    struct virtqueue_chain *untaken; /* mapped and not in flight: to be taken again, in this order, before all others */
    unsigned int mapped; /* buffers of all chains */
    struct virtqueue_chain *chain; /* size_max, by head; those of heads that have not come yet were never touched */
    struct iovec *vectors;         /* of the chains, so are: */
    struct iovec *mappings;        /* NULL with grants */
    struct platform_copy *pieces;  /* NULL without grants */
    uint64_t long_used[VIRTQUEUE_SIZE_MAX / 64]; /* one bit a place for the segments of a long chain */
    unsigned char *places; /* for buffers, two for each descriptor (place_of() in queue.c); NULL without grants */
};

/* size_max: a power of two up to VIRTQUEUE_SIZE_MAX. -ENOMEM. */
int virtqueue_init(struct virtqueue *queue, struct platform *platform, uint16_t size_max);
void virtqueue_finish(struct virtqueue *queue);

/* Not enabled, registers as after power on. No chain may be in flight. */
void virtqueue_reset(struct virtqueue *queue);

/*
 * Takes the registers as they are, and those of these features that the driver has accepted, one bit each: RING_PACKED,
 * INDIRECT_DESC, not with grants, EVENT_IDX. -EINVAL: size not in 1..size_max or, split, not a power of two; or an
 * address not aligned to 16, 2, 4 (2.7), packed 16, 4, 4 (2.8). -EFAULT: a part of the queue cannot be mapped.
 */
int virtqueue_enable(struct virtqueue *queue, uint64_t features);

/* The journal is kept there from now on; the queue is as after virtqueue_init(). Zero, unless it is to be recovered. */
void virtqueue_keep_journal(struct virtqueue *queue, struct virtqueue_journal *journal);

/*
 * Goes on where the journal says that a predecessor was killed: the queue has just been enabled as it was. What was
 * taken and not given back is taken again, first and in the same order: requests are to be such that this does no harm.
 * -EINVAL: that is no journal of such a queue.
 */
int virtqueue_recover(struct virtqueue *queue);

/* How many chains these are, which will be taken first. */
unsigned int virtqueue_taken_before(const struct virtqueue *queue);

/*
 * Gives up the buffers of chains that are taken and not in flight: whenever no chains may be taken, and of those that
 * were put back when a turn of the event loop ends, since others may need what they have mapped.
 */
void virtqueue_suspend(struct virtqueue *queue);

/*
 * For when the guest has changed its memory (platform_memory_changed()): when the queue is suspended, and none of its
 * chains is in flight, the rings are unmapped, and mapped anew; -EFAULT: they cannot be, and the queue is not enabled
 * any more.
 */
void virtqueue_unmap(struct virtqueue *queue);
int virtqueue_map(struct virtqueue *queue);

/*
 * Takes the next chain. CHAIN and MALFORMED set *chain, which is in flight until virtqueue_complete(). After LATER and
 * FULL the same one is next; a chain that is larger than what may be mapped at all is CHAIN, and unresolved.
 */
enum virtqueue_result virtqueue_pop(struct virtqueue *queue, struct virtqueue_chain **chain);

/*
 * Puts a chain back that was taken, and whose vectors are as they came: it is taken again before all others that are
 * not in flight, the one that was put back last first.
 */
void virtqueue_untake(struct virtqueue *queue, struct virtqueue_chain *chain);

/*
 * The last byte that the device may write, where devices have their status; the vectors are still as they came. In a
 * chain that is unresolved it is mapped alone. NULL: it cannot be mapped, or there is none.
 */
void *virtqueue_last_byte(const struct virtqueue_chain *chain);

/* With grants, when the copies that virtqueue_pop() wants have been made: then the chain is as it is to be. */
void virtqueue_fetched(struct virtqueue_chain *chain);

/*
 * With grants: wants the first `bytes` that the device wrote to be handed over, and the status byte, if there is one;
 * then says whether that was possible. May be done again, with fewer bytes.
 */
void virtqueue_deliver(struct virtqueue *queue, struct virtqueue_chain *chain, uint64_t bytes);
bool virtqueue_delivered(const struct virtqueue_chain *chain);

/*
 * Gives a chain back; `written` is the number of bytes that the device wrote without a gap from the first that it may
 * write, or less (2.7.8.2).
 */
void virtqueue_complete(struct virtqueue *queue, struct virtqueue_chain *chain, uint32_t written);

/*
 * The same for several, of which the driver finds all, in this order, or none: `first` and those that are linked to it
 * by `together`, each with `written`.
 */
void virtqueue_complete_together(struct virtqueue *queue, struct virtqueue_chain *first);

/* Forgets a chain without telling the guest: its queue is being, or has to be, reset. */
void virtqueue_forget(struct virtqueue *queue, struct virtqueue_chain *chain);

/* Asks the driver for no notifications while the queue is being worked on: advice only (2.7.10). */
void virtqueue_quiet(struct virtqueue *queue);

/* Asks for them again. Returns whether chains have become available meanwhile, for which none may come. */
bool virtqueue_listen(struct virtqueue *queue);

/* Whether there are chains to be taken; for a queue that is quiet, to look once more. */
bool virtqueue_waiting(const struct virtqueue *queue);

/* Whether the driver wants to be interrupted for what was completed since the last call (2.7.7). */
bool virtqueue_interrupts(struct virtqueue *queue);

#endif
