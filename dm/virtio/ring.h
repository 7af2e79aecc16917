/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What differs between the two formats of a virtqueue, which are split.c and packed.c; all else is queue.c. Used by
 * these three alone. What a function does to the journal it does in an order that virtqueue_recover() understands
 * wherever it stops.
 */
#ifndef VIRTIO_RING_H
#define VIRTIO_RING_H

#include "queue.h"

/* One of the three areas of a queue (2.6): its length is `fixed` and `entry` for each entry of the queue. */
struct virtqueue_area {
    uint8_t alignment;
    uint8_t fixed;
    uint8_t entry;
    bool writable; /* by the device */
};

struct virtqueue_format {
    struct virtqueue_area area[VIRTQUEUE_AREAS];
    bool any_size; /* need not be a power of two */

    /* The queue has just been enabled: works out what follows from the counts of the journal. */
    void (*begin)(struct virtqueue *queue);

    /* The same after a predecessor was killed, of which it also ends what it can tell has happened. */
    int (*recover)(struct virtqueue *queue);

    /* EMPTY, BROKEN, or CHAIN: the next one that is available is noted as taken. */
    enum virtqueue_result (*next)(struct virtqueue *queue, uint16_t *head);

    /*
     * Copies what a chain that is taken is made of, by virtqueue_add_segment(); maps no buffers yet. 0, -EINVAL, or as
     * platform_map_buffer().
     */
    int (*walk)(struct virtqueue *queue, struct virtqueue_chain *chain);

    /* virtqueue_complete_together() */
    void (*give_back)(struct virtqueue *queue, struct virtqueue_chain *first);

    bool (*waiting)(const struct virtqueue *queue);
    void (*quiet)(struct virtqueue *queue);
    void (*listen)(struct virtqueue *queue);

    /* Whether the driver wants to be interrupted for what was given back from `signalled_used` on, which is something. */
    bool (*interrupts)(const struct virtqueue *queue);
};

extern const struct virtqueue_format virtqueue_split;
extern const struct virtqueue_format virtqueue_packed;

/* Each store of a journal is one step, and the steps are in this order for whoever comes after us. */
static inline void virtqueue_note(uint64_t *where, uint64_t value)
{
    __atomic_store_n(where, value, __ATOMIC_RELEASE);
}

/*
 * Adds one buffer to a chain, which has had fewer before than the queue could have; `place` is below size_max and of no
 * other buffer in flight, if the driver is in order. False: the chain is not as it should be.
 */
bool virtqueue_add_segment(struct virtqueue *queue, struct virtqueue_chain *chain, uint16_t place, uint64_t address,
                           uint32_t length, bool writable);

/*
 * Maps an indirect table: a whole number of descriptors, of 16 bytes each, as many as the device's queue could have at
 * most, of which the driver may use less: Linux makes its ring smaller when memory is short, and its requests not. To
 * be unmapped with platform_unmap_buffer(). 0, -EINVAL, or as platform_map_buffer().
 */
int virtqueue_map_table(struct virtqueue *queue, uint64_t address, uint32_t length, const void **table);

#endif
