/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * See queue.h. Orders that matter, all against the guest's vCPUs:
 *   what says that a chain is available is read before what the chain is                    (acquire)
 *   what says that a chain is used is written after its data and all else                   (release)
 *   that is written before the driver's wish for interrupts is read                         (full fence)
 *   our wish for notifications is written before it is seen once more that nothing waits    (full fence)
 * Without the fences both sides could look before the other has written, and both go to sleep. What says so is, in a
 * split queue, the index of a ring; in a packed one, the flags of the first descriptor of what belongs together.
 */
#include "queue.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <linux/virtio_config.h>
#include <linux/virtio_pci.h>

#include "platform/grants.h"
#include "ring.h"

#define NO_HEAD UINT16_MAX
#define DESCRIPTOR 16u /* bytes, in either format */

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

/*
 * Places for buffers: first all that are for small ones, such as headers and status bytes, in as few pages as possible
 * (PLATFORM_COPY_SMALL), then the others.
 */
static size_t small_places_size(const struct virtqueue *queue)
{
    const size_t bytes = (size_t)queue->size_max * PLATFORM_COPY_SMALL;

    return (bytes + PLATFORM_GRANT_PAGE - 1) / PLATFORM_GRANT_PAGE * PLATFORM_GRANT_PAGE;
}

static size_t places_size(const struct virtqueue *queue)
{
    return small_places_size(queue) + (size_t)queue->size_max * PLATFORM_GRANT_BYTES;
}

static void *place_of(const struct virtqueue *queue, uint16_t index, uint32_t length)
{
    return length <= PLATFORM_COPY_SMALL
               ? queue->places + (size_t)index * PLATFORM_COPY_SMALL
               : queue->places + small_places_size(queue) + (size_t)index * PLATFORM_GRANT_BYTES;
}

/* Address space: what no request has used takes no memory. */
static bool make_places(struct virtqueue *queue)
{
    void *places = mmap(NULL, places_size(queue), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
                        -1, 0);

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

static uint64_t area_size(const struct virtqueue *queue, unsigned int area)
{
    return queue->format->area[area].fixed + (uint64_t)queue->format->area[area].entry * queue->size;
}

static void unmap_rings(struct virtqueue *queue)
{
    for (unsigned int i = 0; i < VIRTQUEUE_AREAS; i++) {
        if (queue->area[i]) {
            platform_unmap(queue->platform, queue->area[i], area_size(queue, i));
        }
        queue->area[i] = NULL;
    }
}

static uint64_t area_address(const struct virtqueue_registers *registers, unsigned int area)
{
    return area == 0 ? registers->descriptors : area == 1 ? registers->available : registers->used;
}

static int map_rings(struct virtqueue *queue)
{
    for (unsigned int i = 0; i < VIRTQUEUE_AREAS; i++) {
        queue->area[i] = platform_map(queue->platform, area_address(&queue->registers, i), area_size(queue, i),
                                      queue->format->area[i].writable);
        if (!queue->area[i]) {
            unmap_rings(queue);
            return -EFAULT;
        }
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
        (void)munmap(queue->places, places_size(queue));
    }
    queue->own = NULL;
    queue->chain = NULL;
    queue->vectors = NULL;
    queue->mappings = NULL;
    queue->pieces = NULL;
    queue->places = NULL;
}

/* Without touching what has not been used, so that it takes no memory. */
static void forget_journal(struct virtqueue_journal *journal, uint16_t size_max)
{
    journal->taken = 0;
    journal->used = 0;
    journal->completing = 0;
    for (unsigned int head = 0; head < size_max; head++) {
        if (journal->entry[head].position) {
            journal->entry[head].position = 0;
        }
    }
}

void virtqueue_reset(struct virtqueue *queue)
{
    virtqueue_suspend(queue);
    unmap_rings(queue);
    queue->registers = (struct virtqueue_registers){ .size = queue->size_max, .vector = VIRTIO_MSI_NO_VECTOR };
    queue->enabled = false;
    forget_journal(queue->journal, queue->size_max);
    memset(queue->place_used, 0, sizeof(queue->place_used));
    queue->recovering = false;
    queue->signalled_used = 0;
}

void virtqueue_keep_journal(struct virtqueue *queue, struct virtqueue_journal *journal)
{
    queue->journal = journal;
}

int virtqueue_recover(struct virtqueue *queue)
{
    const int error = queue->format->recover(queue);

    queue->recovering = true;
    queue->signalled_used = queue->journal->used;
    return error;
}

unsigned int virtqueue_taken_before(const struct virtqueue *queue)
{
    unsigned int count = 0;

    for (unsigned int head = 0; head < queue->size && queue->recovering; head++) {
        count += queue->journal->entry[head].position != 0 && !queue->chain[head].in_flight;
    }
    return count;
}

/* Head of the oldest of the chains that a predecessor has taken and we have not; -1: there is none. */
static int oldest_taken_before(const struct virtqueue *queue)
{
    const struct virtqueue_journal_entry *entry = queue->journal->entry;
    int oldest = -1;

    for (int head = 0; head < queue->size; head++) {
        if (entry[head].position && !queue->chain[head].in_flight &&
            (oldest < 0 || entry[head].position < entry[oldest].position)) {
            oldest = head;
        }
    }
    return oldest;
}

static bool has(uint64_t features, unsigned int feature)
{
    return features & 1ull << feature;
}

int virtqueue_enable(struct virtqueue *queue, uint64_t features)
{
    const struct virtqueue_format *format = has(features, VIRTIO_F_RING_PACKED) ? &virtqueue_packed : &virtqueue_split;
    const uint16_t size = queue->registers.size;

    if (size == 0 || size > queue->size_max || (!format->any_size && (size & (size - 1)) != 0)) {
        return -EINVAL;
    }
    for (unsigned int i = 0; i < VIRTQUEUE_AREAS; i++) {
        if (area_address(&queue->registers, i) % format->area[i].alignment != 0) {
            return -EINVAL;
        }
    }
    queue->format = format;
    queue->size = size;
    if (map_rings(queue)) {
        return -EFAULT;
    }
    queue->indirect = has(features, VIRTIO_RING_F_INDIRECT_DESC);
    queue->event_index = has(features, VIRTIO_RING_F_EVENT_IDX);
    queue->enabled = true;
    format->begin(queue);
    return 0;
}

bool virtqueue_add_segment(struct virtqueue *queue, struct virtqueue_chain *chain, uint16_t place, uint64_t address,
                           uint32_t length, bool writable)
{
    const unsigned int count = chain->readable + chain->writable;

    if (!writable && chain->writable > 0) {
        return false; /* 2.7.4.2: what the device writes comes last */
    }
    if (length == 0) {
        return true;
    }
    if (chain->readable_bytes + chain->writable_bytes + length > UINT32_MAX) {
        return false; /* 2.7.5.2 */
    }
    if (count == VIRTQUEUE_VECTORS - 1) {
        lengthen(queue, chain);
    }
    if (queue->places) {
        chain->piece[count] = (struct platform_copy){
            .address = address,
            .memory = place_of(queue, place, length),
            .length = length,
        };
    }
    /* Where it is in the guest, until it is mapped. */
    chain->vector[count] = (struct iovec){
        .iov_base = (void *)(uintptr_t)address, .iov_len = length,
    };
    if (writable) {
        chain->writable++;
        chain->writable_bytes += length;
    } else {
        chain->readable++;
        chain->readable_bytes += length;
    }
    return true;
}

int virtqueue_map_table(struct virtqueue *queue, uint64_t address, uint32_t length, const void **table)
{
    const uint32_t entries = length / DESCRIPTOR;
    void *memory;
    int error;

    if (!queue->indirect || entries == 0 || entries > queue->size_max || length % DESCRIPTOR != 0) {
        return -EINVAL;
    }
    error = platform_map_buffer(queue->platform, address, length, false, &memory);
    if (!error) {
        *table = memory;
    }
    return error;
}

/*
 * Copies a chain. A table for which there is no room, or no memory, is tried again when others have ended. If there are
 * none it is as one that is not there: the place for an error is in it.
 */
static enum virtqueue_result copy(struct virtqueue *queue, struct virtqueue_chain *chain)
{
    const int error = queue->format->walk(queue, chain);

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
    enum virtqueue_result result;
    int before;

    if (queue->untaken) {
        return take_again(queue, chain);
    }
    if (queue->pending != NO_HEAD) {
        return take(queue, chain);
    }
    before = queue->recovering ? oldest_taken_before(queue) : -1;
    if (before >= 0) {
        queue->pending = (uint16_t)before;
        return take(queue, chain);
    }
    queue->recovering = false;
    result = queue->format->next(queue, &queue->pending);
    return result == VIRTQUEUE_CHAIN ? take(queue, chain) : result;
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
    queue->format->give_back(queue, first);
}

void virtqueue_complete(struct virtqueue *queue, struct virtqueue_chain *chain, uint32_t written)
{
    chain->written = written;
    chain->together = NULL;
    virtqueue_complete_together(queue, chain);
}

void virtqueue_quiet(struct virtqueue *queue)
{
    queue->format->quiet(queue);
}

bool virtqueue_waiting(const struct virtqueue *queue)
{
    return queue->format->waiting(queue);
}

bool virtqueue_listen(struct virtqueue *queue)
{
    queue->format->listen(queue);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    return queue->format->waiting(queue);
}

bool virtqueue_interrupts(struct virtqueue *queue)
{
    bool wanted;

    if (!queue->enabled || queue->signalled_used == queue->journal->used) {
        return false;
    }
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    wanted = queue->format->interrupts(queue);
    queue->signalled_used = queue->journal->used;
    return wanted;
}
