/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Split virtqueues (virtio 1.2, section 2.7): see ring.h.
 */
#include "ring.h"

#include <errno.h>

#include "copy.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "rings are little-endian");

static uint16_t available_index(const struct virtqueue *queue)
{
    return __atomic_load_n(&queue->available->idx, __ATOMIC_ACQUIRE);
}

static void begin(struct virtqueue *queue)
{
    (void)queue; /* the counts of the journal are all there is */
}

static int recover(struct virtqueue *queue)
{
    struct virtqueue_journal *journal = queue->journal;
    /* Killed while giving back: what the driver can see has happened. */
    const bool given = journal->completing &&
                       __atomic_load_n(&queue->used->idx, __ATOMIC_RELAXED) == (uint16_t)journal->completing;

    if (given) {
        virtqueue_note(&journal->used, journal->completing);
    }
    for (unsigned int head = 0; head < queue->size_max; head++) {
        uint64_t *const position = &journal->entry[head].position;
        const bool marked = *position & VIRTQUEUE_GIVING;
        const uint64_t taken = *position & ~VIRTQUEUE_GIVING;

        /* Killed while taking: it will be found in the available ring. */
        virtqueue_note(position, (marked && given) || taken > journal->taken ? 0 : taken);
    }
    virtqueue_note(&journal->completing, 0);
    return 0;
}

static enum virtqueue_result next(struct virtqueue *queue, uint16_t *head)
{
    struct virtqueue_journal *journal = queue->journal;
    const uint16_t waiting = (uint16_t)(available_index(queue) - (uint16_t)journal->taken);
    uint16_t found;

    if (waiting == 0) {
        return VIRTQUEUE_EMPTY;
    }
    if (waiting > queue->size) {
        return VIRTQUEUE_BROKEN;
    }
    found = __atomic_load_n(&queue->available->ring[journal->taken & (queue->size - 1u)], __ATOMIC_RELAXED);
    if (found >= queue->size || journal->entry[found].position) {
        return VIRTQUEUE_BROKEN;
    }
    virtqueue_note(&journal->entry[found].position, journal->taken + 1);
    virtqueue_note(&journal->taken, journal->taken + 1);
    *head = found;
    return VIRTQUEUE_CHAIN;
}

/* Where descriptors are read from: the queue's own table, then at most one indirect table. */
struct table {
    const void *descriptors;
    uint32_t entries;
    bool indirect;
};

/* 2.7.5.3: an indirect table refers to no other table, and ends its chain. As virtqueue_map_table(). */
static int open_indirect(struct virtqueue *queue, const struct vring_desc *descriptor, struct table *table)
{
    int error;

    if (table->indirect || (descriptor->flags & VRING_DESC_F_NEXT)) {
        return -EINVAL;
    }
    error = virtqueue_map_table(queue, descriptor->addr, descriptor->len, &table->descriptors);
    if (!error) {
        table->entries = descriptor->len / (uint32_t)sizeof(*descriptor);
        table->indirect = true;
    }
    return error;
}

static void close_table(struct virtqueue *queue, const struct table *table)
{
    if (table->indirect) {
        platform_unmap_buffer(queue->platform, (void *)(uintptr_t)table->descriptors,
                              table->entries * sizeof(struct vring_desc));
    }
}

static int walk(struct virtqueue *queue, struct virtqueue_chain *chain)
{
    struct table table = { .descriptors = queue->descriptors, .entries = queue->size };
    int error = -EINVAL;
    uint16_t index = chain->head;
    unsigned int seen = 0;

    while (seen < (table.indirect ? queue->size_max : queue->size) && index < table.entries) {
        struct vring_desc descriptor;

        virtio_copy_in(&descriptor, (const char *)table.descriptors + index * sizeof(descriptor), sizeof(descriptor));
        if (descriptor.flags & VRING_DESC_F_INDIRECT) {
            /* Once at most, so it need not count: the loop stays bounded. */
            error = open_indirect(queue, &descriptor, &table);
            if (error) {
                break;
            }
            error = -EINVAL;
            index = 0;
            continue;
        }
        if (!virtqueue_add_segment(queue, chain, index, descriptor.addr, descriptor.len,
                                   descriptor.flags & VRING_DESC_F_WRITE)) {
            break;
        }
        if (!(descriptor.flags & VRING_DESC_F_NEXT)) {
            error = 0;
            break;
        }
        index = descriptor.next;
        seen++;
    }
    close_table(queue, &table);
    return error;
}

static void give_back(struct virtqueue *queue, struct virtqueue_chain *first)
{
    struct virtqueue_journal *journal = queue->journal;
    uint64_t used = journal->used;

    for (struct virtqueue_chain *chain = first; chain; chain = chain->together) {
        struct vring_used_elem *element = &queue->used->ring[used++ & (queue->size - 1u)];
        uint64_t *const position = &journal->entry[chain->head].position;

        virtqueue_note(position, *position | VIRTQUEUE_GIVING);
        virtqueue_forget(queue, chain);
        __atomic_store_n(&element->id, chain->head, __ATOMIC_RELAXED);
        __atomic_store_n(&element->len, chain->written, __ATOMIC_RELAXED);
    }
    virtqueue_note(&journal->completing, used);
    __atomic_store_n(&queue->used->idx, (uint16_t)used, __ATOMIC_RELEASE);
    virtqueue_note(&journal->used, used);
    for (struct virtqueue_chain *chain = first; chain; chain = chain->together) {
        virtqueue_note(&journal->entry[chain->head].position, 0);
    }
    virtqueue_note(&journal->completing, 0);
}

static bool waiting(const struct virtqueue *queue)
{
    return available_index(queue) != (uint16_t)queue->journal->taken;
}

/* 2.7.10. With the event index nothing need be done: the event asked for last has passed. */
static void quiet(struct virtqueue *queue)
{
    if (!queue->event_index) {
        __atomic_store_n(&queue->used->flags, VRING_USED_F_NO_NOTIFY, __ATOMIC_RELAXED);
    }
}

static void listen(struct virtqueue *queue)
{
    __virtio16 *event = (__virtio16 *)(void *)&queue->used->ring[queue->size];

    if (queue->event_index) {
        __atomic_store_n(event, (uint16_t)queue->journal->taken, __ATOMIC_RELAXED);
    } else {
        __atomic_store_n(&queue->used->flags, 0, __ATOMIC_RELAXED);
    }
}

/* 2.7.7 */
static bool interrupts(const struct virtqueue *queue)
{
    if (queue->event_index) {
        return vring_need_event(__atomic_load_n(&queue->available->ring[queue->size], __ATOMIC_RELAXED),
                                (uint16_t)queue->journal->used, (uint16_t)queue->signalled_used);
    }
    return !(__atomic_load_n(&queue->available->flags, __ATOMIC_RELAXED) & VRING_AVAIL_F_NO_INTERRUPT);
}

/* The events are there whether they are used or not. */
const struct virtqueue_format virtqueue_split = {
    .area = {
        { .alignment = VRING_DESC_ALIGN_SIZE, .entry = sizeof(struct vring_desc) },
        { .alignment = VRING_AVAIL_ALIGN_SIZE, .fixed = sizeof(struct vring_avail) + sizeof(__virtio16),
          .entry = sizeof(__virtio16) },
        { .alignment = VRING_USED_ALIGN_SIZE, .fixed = sizeof(struct vring_used) + sizeof(__virtio16),
          .entry = sizeof(struct vring_used_elem), .writable = true },
    },
    .begin = begin,
    .recover = recover,
    .next = next,
    .walk = walk,
    .give_back = give_back,
    .waiting = waiting,
    .quiet = quiet,
    .listen = listen,
    .interrupts = interrupts,
};
