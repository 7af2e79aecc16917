/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * See queue.h. Orders that matter, all against the guest's vCPUs:
 *   the available index is read before the ring entry and descriptors that it announces     (acquire)
 *   a used element, and the data of its chain, are written before the used index            (release)
 *   the used index is written before the driver's wish for interrupts is read               (full fence)
 *   our wish for notifications is written before the available index is read once more      (full fence)
 * Without the fences both sides could look before the other has written, and both go to sleep.
 */
#include "queue.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <linux/virtio_pci.h>

#include "copy.h"

#define NO_HEAD UINT16_MAX

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "rings are little-endian");

/*
 * Vectors: VIRTQUEUE_VECTORS for each chain, and as many as the longest may have for each that is longer. Of the latter
 * no more are in use, and were ever touched, than long chains are in flight, whatever heads the driver goes through.
 * The last one is for the last byte: virtqueue_deliver().
 */
static size_t vectors_of_long(const struct virtqueue *queue)
{
    return queue->size_max + 1u;
}

static size_t vectors_of_all(const struct virtqueue *queue)
{
    return queue->size_max * (VIRTQUEUE_VECTORS + vectors_of_long(queue));
}

/* Address space: what no request has used takes no memory. */
static bool make_places(struct virtqueue *queue)
{
    void *places = mmap(NULL, (size_t)queue->size_max * PLATFORM_GRANT_BYTES, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    queue->places = places == MAP_FAILED ? NULL : places;
    queue->pieces = calloc(vectors_of_all(queue), sizeof(*queue->pieces));
    return queue->places && queue->pieces;
}

static bool make_mappings(struct virtqueue *queue)
{
    queue->mappings = calloc(vectors_of_all(queue), sizeof(*queue->mappings));
    return queue->mappings != NULL;
}

int virtqueue_init(struct virtqueue *queue, struct platform *platform, uint16_t size_max)
{
    *queue = (struct virtqueue){
        .platform = platform, .size_max = size_max, .status = true, .pending = NO_HEAD,
    };
    queue->own = calloc(1, VIRTQUEUE_JOURNAL_SIZE(size_max));
    queue->journal = queue->own;
    queue->chain = calloc(size_max, sizeof(*queue->chain));
    queue->vectors = calloc(vectors_of_all(queue), sizeof(*queue->vectors));
    if (!queue->own || !queue->chain || !queue->vectors ||
        !(platform_uses_grants(platform) ? make_places(queue) : make_mappings(queue))) {
        virtqueue_finish(queue);
        return -ENOMEM;
    }
    virtqueue_reset(queue);
    return 0;
}

static inline void give_vectors(struct virtqueue *queue, struct virtqueue_chain *chain, size_t first)
{
    chain->vector = &queue->vectors[first];
    chain->mapping = queue->mappings ? &queue->mappings[first] : NULL;
    chain->piece = queue->pieces ? &queue->pieces[first] : NULL;
}

/* The chain is longer than most. There is room, as it is one of at most `size_max`; the lowest has been used most. */
static void lengthen(struct virtqueue *queue, struct virtqueue_chain *chain)
{
    const struct virtqueue_chain before = *chain;
    unsigned int word = 0, place;

    while (queue->long_used[word] == UINT64_MAX) {
        word++;
    }
    place = word * 64 + (unsigned int)__builtin_ctzll(~queue->long_used[word]);
    queue->long_used[word] |= 1ull << place % 64;
    chain->long_place = (uint16_t)(place + 1);
    give_vectors(queue, chain, queue->size_max * VIRTQUEUE_VECTORS + place * vectors_of_long(queue));
    memcpy(chain->vector, before.vector, (VIRTQUEUE_VECTORS - 1) * sizeof(*chain->vector));
    if (chain->piece) {
        memcpy(chain->piece, before.piece, (VIRTQUEUE_VECTORS - 1) * sizeof(*chain->piece));
    }
}

/* What it was copied to is no longer its own. */
static inline void uncopy(struct virtqueue *queue, struct virtqueue_chain *chain)
{
    if (chain->long_place) {
        const unsigned int place = chain->long_place - 1u;

        queue->long_used[place / 64] &= ~(1ull << place % 64);
        chain->long_place = 0;
    }
    chain->copied = false;
}

/* The rings' sizes in bytes (2.7); the event is there whether it is used or not. */
static size_t descriptors_size(uint16_t size)
{
    return size * sizeof(struct vring_desc);
}

static size_t available_size(uint16_t size)
{
    return sizeof(struct vring_avail) + size * sizeof(__virtio16) + sizeof(__virtio16);
}

static size_t used_size(uint16_t size)
{
    return sizeof(struct vring_used) + size * sizeof(struct vring_used_elem) + sizeof(__virtio16);
}

static void unmap_rings(struct virtqueue *queue)
{
    if (queue->descriptors) {
        platform_unmap(queue->platform, queue->descriptors, descriptors_size(queue->size));
    }
    if (queue->available) {
        platform_unmap(queue->platform, queue->available, available_size(queue->size));
    }
    if (queue->used) {
        platform_unmap(queue->platform, queue->used, used_size(queue->size));
    }
    queue->descriptors = NULL;
    queue->available = NULL;
    queue->used = NULL;
}

static int map_rings(struct virtqueue *queue)
{
    const struct virtqueue_registers *registers = &queue->registers;
    const uint16_t size = queue->size;

    queue->descriptors = platform_map(queue->platform, registers->descriptors, descriptors_size(size), false);
    queue->available = platform_map(queue->platform, registers->available, available_size(size), false);
    queue->used = platform_map(queue->platform, registers->used, used_size(size), true);
    if (!queue->descriptors || !queue->available || !queue->used) {
        unmap_rings(queue);
        return -EFAULT;
    }
    return 0;
}

static void unmap_buffers(struct virtqueue *queue, struct virtqueue_chain *chain)
{
    while (chain->mapped > 0) {
        const struct iovec *mapping = &chain->mapping[--chain->mapped];

        platform_unmap_buffer(queue->platform, mapping->iov_base, mapping->iov_len);
        queue->mapped--;
    }
}

/* What is mapped of a chain that is pending; it will be copied anew. */
static void give_up(struct virtqueue *queue, struct virtqueue_chain *chain)
{
    unmap_buffers(queue, chain);
    uncopy(queue, chain);
}

static void suspend(struct virtqueue *queue, struct virtqueue_chain *chain)
{
    if (chain->mapped > 0) {
        platform_give_room(queue->platform);
    }
    give_up(queue, chain);
    queue->recovering = true;
}

void virtqueue_suspend(struct virtqueue *queue)
{
    for (; queue->untaken; queue->untaken = queue->untaken->next) {
        suspend(queue, queue->untaken);
    }
    if (queue->pending != NO_HEAD) {
        suspend(queue, &queue->chain[queue->pending]);
        queue->pending = NO_HEAD;
    }
}

void virtqueue_unmap(struct virtqueue *queue)
{
    unmap_rings(queue);
}

int virtqueue_map(struct virtqueue *queue)
{
    const int error = queue->enabled ? map_rings(queue) : 0;

    queue->enabled &= error == 0;
    return error;
}

void virtqueue_finish(struct virtqueue *queue)
{
    virtqueue_suspend(queue);
    unmap_rings(queue);
    free(queue->own);
    free(queue->chain);
    free(queue->vectors);
    free(queue->mappings);
    free(queue->pieces);
    if (queue->places) {
        (void)munmap(queue->places, (size_t)queue->size_max * PLATFORM_GRANT_BYTES);
    }
    queue->own = NULL;
    queue->chain = NULL;
    queue->vectors = NULL;
    queue->mappings = NULL;
    queue->pieces = NULL;
    queue->places = NULL;
}

void virtqueue_reset(struct virtqueue *queue)
{
    virtqueue_suspend(queue);
    unmap_rings(queue);
    queue->registers = (struct virtqueue_registers){ .size = queue->size_max, .vector = VIRTIO_MSI_NO_VECTOR };
    queue->enabled = false;
    if (queue->noted) {
        memset(queue->journal, 0, VIRTQUEUE_JOURNAL_SIZE(queue->size_max));
        queue->noted = false;
    }
    queue->recovering = false;
    queue->signalled_used = 0;
}

void virtqueue_keep_journal(struct virtqueue *queue, struct virtqueue_journal *journal)
{
    queue->journal = journal;
    queue->noted = true;
}

/* Each store of a journal is one step, and the steps are in this order for whoever comes after us. */
static void note(uint64_t *where, uint64_t value)
{
    __atomic_store_n(where, value, __ATOMIC_RELEASE);
}

void virtqueue_recover(struct virtqueue *queue)
{
    struct virtqueue_journal *journal = queue->journal;
    /* Killed while giving back: what the driver can see has happened. */
    const bool given = journal->completing &&
                       __atomic_load_n(&queue->used->idx, __ATOMIC_RELAXED) == (uint16_t)journal->completing;

    if (given) {
        note(&journal->used, journal->completing);
    }
    for (unsigned int head = 0; head < queue->size_max; head++) {
        const uint64_t position = journal->position[head] & ~VIRTQUEUE_GIVING;
        const bool marked = journal->position[head] & VIRTQUEUE_GIVING;

        /* Killed while taking: it will be found in the available ring. */
        note(&journal->position[head], (marked && given) || position > journal->taken ? 0 : position);
    }
    note(&journal->completing, 0);
    queue->recovering = true;
    queue->signalled_used = (uint16_t)journal->used;
}

/* Head of the oldest of the chains that a predecessor has taken and we have not; -1: there is none. */
static int taken_before(const struct virtqueue *queue)
{
    const uint64_t *position = queue->journal->position;
    int oldest = -1;

    for (int head = 0; head < queue->size; head++) {
        if (position[head] && !queue->chain[head].in_flight && (oldest < 0 || position[head] < position[oldest])) {
            oldest = head;
        }
    }
    return oldest;
}

int virtqueue_enable(struct virtqueue *queue, bool indirect, bool event_index)
{
    const struct virtqueue_registers registers = queue->registers;
    const uint16_t size = registers.size;

    if (size == 0 || size > queue->size_max || (size & (size - 1)) != 0 ||
        registers.descriptors % VRING_DESC_ALIGN_SIZE != 0 || registers.available % VRING_AVAIL_ALIGN_SIZE != 0 ||
        registers.used % VRING_USED_ALIGN_SIZE != 0) {
        return -EINVAL;
    }
    queue->size = size;
    if (map_rings(queue)) {
        return -EFAULT;
    }
    queue->indirect = indirect;
    queue->event_index = event_index;
    queue->enabled = true;
    queue->noted = true;
    return 0;
}

/* Adds one descriptor's buffer to the chain; there is room, since the chain is no longer than the queue could be. */
static bool add_segment(struct virtqueue *queue, struct virtqueue_chain *chain, uint16_t index,
                        const struct vring_desc *descriptor)
{
    const bool writable = descriptor->flags & VRING_DESC_F_WRITE;
    const unsigned int count = chain->readable + chain->writable;

    if (!writable && chain->writable > 0) {
        return false; /* 2.7.4.2: what the device writes comes last */
    }
    if (descriptor->len == 0) {
        return true;
    }
    if (chain->readable_bytes + chain->writable_bytes + descriptor->len > UINT32_MAX) {
        return false; /* 2.7.5.2 */
    }
    if (count == VIRTQUEUE_VECTORS - 1) {
        lengthen(queue, chain);
    }
    if (queue->places) {
        chain->piece[count] = (struct platform_copy){
            .address = descriptor->addr,
            .memory = queue->places + (size_t)index * PLATFORM_GRANT_BYTES,
            .length = descriptor->len,
        };
    }
    /* Where it is in the guest, until it is mapped. */
    chain->vector[count] = (struct iovec){
        .iov_base = (void *)(uintptr_t)descriptor->addr, .iov_len = descriptor->len,
    };
    if (writable) {
        chain->writable++;
        chain->writable_bytes += descriptor->len;
    } else {
        chain->readable++;
        chain->readable_bytes += descriptor->len;
    }
    return true;
}

/* Where descriptors are read from: the queue's own table, then at most one indirect table. */
struct table {
    const struct vring_desc *descriptors;
    uint32_t entries;
    bool indirect;
};

/*
 * 2.7.5.3: an indirect table is a whole number of descriptors, refers to no other table, and ends its chain. A chain
 * may be as long as the device's queue, of which the driver may use less: Linux makes its ring smaller when memory is
 * short, and its requests not. 0, -EINVAL, or as platform_map_buffer().
 */
static int open_indirect(struct virtqueue *queue, const struct vring_desc *descriptor, struct table *table)
{
    const uint32_t entries = descriptor->len / (uint32_t)sizeof(struct vring_desc);
    void *memory;
    int error;

    if (!queue->indirect || table->indirect || (descriptor->flags & VRING_DESC_F_NEXT) || entries == 0 ||
        entries > queue->size_max || descriptor->len % sizeof(struct vring_desc) != 0) {
        return -EINVAL;
    }
    error = platform_map_buffer(queue->platform, descriptor->addr, descriptor->len, false, &memory);
    if (!error) {
        *table = (struct table){ .descriptors = memory, .entries = entries, .indirect = true };
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

/* Copies what the chain is made of; maps no buffers yet. As open_indirect(). */
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
        if (!add_segment(queue, chain, index, &descriptor)) {
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

/*
 * Copies a chain. A table for which there is no room, or no memory, is tried again when others have ended. If there are
 * none it is as one that is not there: the place for an error is in it.
 */
static enum virtqueue_result copy(struct virtqueue *queue, struct virtqueue_chain *chain)
{
    const int error = walk(queue, chain);

    chain->copied = error == 0;
    if (error == -EAGAIN) {
        return VIRTQUEUE_LATER;
    }
    if ((error == -ENOBUFS || error == -ENOMEM) && platform_buffers(queue->platform) > 0) {
        return VIRTQUEUE_FULL;
    }
    return error ? VIRTQUEUE_MALFORMED : VIRTQUEUE_CHAIN;
}

/* 0, -EAGAIN or -ENOBUFS as platform_map_buffer(), or -EFAULT for all other reasons. */
static int map_buffer(struct virtqueue *queue, struct virtqueue_chain *chain, const struct iovec *buffer,
                      bool writable)
{
    struct iovec *mapping = &chain->mapping[chain->mapped];
    int error;

    error = platform_map_buffer(queue->platform, (uintptr_t)buffer->iov_base, buffer->iov_len, writable,
                                &mapping->iov_base);
    if (error) {
        return error == -EAGAIN || error == -ENOBUFS ? error : -EFAULT;
    }
    mapping->iov_len = buffer->iov_len;
    chain->mapped++;
    queue->mapped++;
    return 0;
}

static int map_segments(struct virtqueue *queue, struct virtqueue_chain *chain)
{
    while (chain->mapped < chain->readable + chain->writable) {
        struct iovec *vector = &chain->vector[chain->mapped];
        const int error = map_buffer(queue, chain, vector, chain->mapped >= chain->readable);

        if (error) {
            return error;
        }
        *vector = chain->mapping[chain->mapped - 1];
    }
    return 0;
}

/* What is mapped of the rest is of no use any more, and perhaps in the way. */
static int map_last_byte(struct virtqueue *queue, struct virtqueue_chain *chain)
{
    struct iovec byte;
    uintptr_t address;

    unmap_buffers(queue, chain);
    if (chain->writable == 0) {
        return -EFAULT;
    }
    byte = chain->vector[chain->readable + chain->writable - 1];
    address = (uintptr_t)byte.iov_base;
    if (address > UINTPTR_MAX - (byte.iov_len - 1)) {
        return -EFAULT;
    }
    byte = (struct iovec){ .iov_base = (void *)(address + byte.iov_len - 1), .iov_len = 1 };
    return map_buffer(queue, chain, &byte, true);
}

/*
 * Maps what is not yet mapped of a chain. For the lack of room it gives up what it has, so that no two can wait for
 * each other. One that finds no room though nobody else has any is larger than what may be mapped.
 */
static enum virtqueue_result resolve(struct virtqueue *queue, struct virtqueue_chain *chain)
{
    int error = chain->unresolved ? -EFAULT : map_segments(queue, chain);

    if (error == -EFAULT || (error == -ENOBUFS && platform_buffers(queue->platform) == chain->mapped)) {
        chain->unresolved = true;
        error = map_last_byte(queue, chain);
    }
    if (error == -EAGAIN) {
        return VIRTQUEUE_LATER;
    }
    if (error == -ENOBUFS && platform_buffers(queue->platform) > 0) {
        give_up(queue, chain);
        return VIRTQUEUE_FULL;
    }
    for (unsigned int i = 0; chain->unresolved && i < chain->readable + chain->writable; i++) {
        chain->vector[i].iov_base = NULL;
    }
    return VIRTQUEUE_CHAIN;
}

/* With grants, in place of mapping: wants what may be read, and knows where the rest will go. */
static enum virtqueue_result fetch(struct virtqueue *queue, struct virtqueue_chain *chain)
{
    const unsigned int count = chain->readable + chain->writable;

    for (unsigned int i = 0; i < count; i++) {
        chain->vector[i].iov_base = chain->piece[i].memory;
        chain->unresolved |= chain->piece[i].length > PLATFORM_GRANT_BYTES;
    }
    if (chain->writable > 0) {
        const struct platform_copy *const last = &chain->piece[count - 1];
        const uint32_t before = last->length - 1;

        chain->last = (struct platform_copy){
            .address = last->address <= UINT64_MAX - before ? last->address + before : 0, /* 0 is no grant */
            .memory = (char *)last->memory + (before < PLATFORM_GRANT_BYTES ? before : 0),
            .length = 1,
        };
    }
    chain->first_writable = chain->readable;
    chain->room = chain->writable_bytes;
    if (!chain->unresolved) {
        platform_copy(queue->platform, chain->piece, chain->readable, false);
    }
    return VIRTQUEUE_CHAIN;
}

void virtqueue_fetched(struct virtqueue_chain *chain)
{
    for (unsigned int i = 0; i < chain->readable; i++) {
        chain->unresolved |= chain->piece[i].failed;
    }
    for (unsigned int i = 0; chain->unresolved && i < chain->readable + chain->writable; i++) {
        chain->vector[i].iov_base = NULL;
    }
}

static uint16_t available_index(const struct virtqueue *queue)
{
    return __atomic_load_n(&queue->available->idx, __ATOMIC_ACQUIRE);
}

/* The first of those that were put back. */
static enum virtqueue_result take_again(struct virtqueue *queue, struct virtqueue_chain **taken)
{
    struct virtqueue_chain *const chain = queue->untaken;

    queue->untaken = chain->next;
    queue->in_flight++;
    chain->in_flight = true;
    *taken = chain;
    return VIRTQUEUE_CHAIN;
}

/* Goes on with the chain that is pending. */
static enum virtqueue_result take(struct virtqueue *queue, struct virtqueue_chain **taken)
{
    struct virtqueue_chain *chain = &queue->chain[queue->pending];
    enum virtqueue_result result = VIRTQUEUE_CHAIN;

    if (!chain->copied) {
        uncopy(queue, chain); /* an attempt that is made again */
        *chain = (struct virtqueue_chain){ .head = queue->pending };
        give_vectors(queue, chain, queue->pending * VIRTQUEUE_VECTORS);
        result = copy(queue, chain);
    }
    if (chain->copied) {
        result = queue->places ? fetch(queue, chain) : resolve(queue, chain);
    }
    if (result == VIRTQUEUE_CHAIN || result == VIRTQUEUE_MALFORMED) {
        queue->pending = NO_HEAD;
        queue->in_flight++;
        chain->in_flight = true;
        *taken = chain;
    }
    return result;
}

enum virtqueue_result virtqueue_pop(struct virtqueue *queue, struct virtqueue_chain **chain)
{
    struct virtqueue_journal *journal = queue->journal;
    int before;
    uint16_t waiting, head;

    if (queue->untaken) {
        return take_again(queue, chain);
    }
    if (queue->pending != NO_HEAD) {
        return take(queue, chain);
    }
    before = queue->recovering ? taken_before(queue) : -1;
    if (before >= 0) {
        queue->pending = (uint16_t)before;
        return take(queue, chain);
    }
    queue->recovering = false;
    waiting = (uint16_t)(available_index(queue) - (uint16_t)journal->taken);
    if (waiting == 0) {
        return VIRTQUEUE_EMPTY;
    }
    if (waiting > queue->size) {
        return VIRTQUEUE_BROKEN;
    }
    head = __atomic_load_n(&queue->available->ring[journal->taken & (queue->size - 1u)], __ATOMIC_RELAXED);
    if (head >= queue->size || journal->position[head]) {
        return VIRTQUEUE_BROKEN;
    }
    note(&journal->position[head], journal->taken + 1);
    note(&journal->taken, journal->taken + 1);
    queue->pending = head;
    return take(queue, chain);
}

void virtqueue_untake(struct virtqueue *queue, struct virtqueue_chain *chain)
{
    chain->in_flight = false;
    queue->in_flight--;
    chain->together = NULL;
    chain->next = queue->untaken;
    queue->untaken = chain;
}

void *virtqueue_last_byte(const struct virtqueue_chain *chain)
{
    const struct iovec *last;

    if (chain->writable == 0) {
        return NULL;
    }
    if (chain->piece) {
        return chain->last.memory;
    }
    if (chain->unresolved) {
        return chain->mapped > 0 ? chain->mapping[0].iov_base : NULL;
    }
    last = &chain->vector[chain->readable + chain->writable - 1];
    return (char *)last->iov_base + last->iov_len - 1;
}

void virtqueue_deliver(struct virtqueue *queue, struct virtqueue_chain *chain, uint64_t bytes)
{
    struct platform_copy *const piece = &chain->piece[chain->first_writable];
    const bool status = queue->status && chain->last.length > 0;
    unsigned int count = 0;

    bytes -= status && bytes == chain->room; /* that comes in any case */
    for (; bytes > 0; count++) {
        piece[count].length = piece[count].length < bytes ? piece[count].length : (uint32_t)bytes;
        bytes -= piece[count].length;
    }
    if (status) {
        piece[count++] = chain->last;
    }
    chain->delivered = count;
    platform_copy(queue->platform, piece, count, true);
}

bool virtqueue_delivered(const struct virtqueue_chain *chain)
{
    bool good = true;

    for (unsigned int i = 0; i < chain->delivered; i++) {
        good &= !chain->piece[chain->first_writable + i].failed;
    }
    return good;
}

void virtqueue_forget(struct virtqueue *queue, struct virtqueue_chain *chain)
{
    unmap_buffers(queue, chain);
    platform_give_room(queue->platform);
    uncopy(queue, chain);
    chain->in_flight = false;
    queue->in_flight--;
}

void virtqueue_complete_together(struct virtqueue *queue, struct virtqueue_chain *first)
{
    struct virtqueue_journal *journal = queue->journal;
    uint64_t used = journal->used;

    for (struct virtqueue_chain *chain = first; chain; chain = chain->together) {
        struct vring_used_elem *element = &queue->used->ring[used++ & (queue->size - 1u)];

        note(&journal->position[chain->head], journal->position[chain->head] | VIRTQUEUE_GIVING);
        virtqueue_forget(queue, chain);
        __atomic_store_n(&element->id, chain->head, __ATOMIC_RELAXED);
        __atomic_store_n(&element->len, chain->written, __ATOMIC_RELAXED);
    }
    note(&journal->completing, used);
    __atomic_store_n(&queue->used->idx, (uint16_t)used, __ATOMIC_RELEASE);
    note(&journal->used, used);
    for (struct virtqueue_chain *chain = first; chain; chain = chain->together) {
        note(&journal->position[chain->head], 0);
    }
    note(&journal->completing, 0);
}

void virtqueue_complete(struct virtqueue *queue, struct virtqueue_chain *chain, uint32_t written)
{
    chain->written = written;
    chain->together = NULL;
    virtqueue_complete_together(queue, chain);
}

static void set_available_event(struct virtqueue *queue, uint16_t value)
{
    __virtio16 *event = (__virtio16 *)(void *)&queue->used->ring[queue->size];

    __atomic_store_n(event, value, __ATOMIC_RELAXED);
}

void virtqueue_quiet(struct virtqueue *queue)
{
    /* With the event index nothing need be done: the event asked for last has passed. */
    if (!queue->event_index) {
        __atomic_store_n(&queue->used->flags, VRING_USED_F_NO_NOTIFY, __ATOMIC_RELAXED);
    }
}

bool virtqueue_waiting(const struct virtqueue *queue)
{
    return available_index(queue) != (uint16_t)queue->journal->taken;
}

bool virtqueue_listen(struct virtqueue *queue)
{
    if (queue->event_index) {
        set_available_event(queue, (uint16_t)queue->journal->taken);
    } else {
        __atomic_store_n(&queue->used->flags, 0, __ATOMIC_RELAXED);
    }
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    return virtqueue_waiting(queue);
}

bool virtqueue_interrupts(struct virtqueue *queue)
{
    const uint16_t old = queue->signalled_used;
    const uint16_t new = (uint16_t)queue->journal->used;

    if (!queue->enabled || old == new) {
        return false;
    }
    queue->signalled_used = new;
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    if (queue->event_index) {
        return vring_need_event(__atomic_load_n(&queue->available->ring[queue->size], __ATOMIC_RELAXED), new, old);
    }
    return !(__atomic_load_n(&queue->available->flags, __ATOMIC_RELAXED) & VRING_AVAIL_F_NO_INTERRUPT);
}
