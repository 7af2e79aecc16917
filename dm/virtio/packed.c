/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Packed virtqueues (virtio 1.2, section 2.8): see ring.h. One ring of descriptors, which the driver fills in order and
 * the device, in order, writes over with what it gives back; that may be another chain, in whose place a new one comes
 * while the old one is in flight. So the descriptors of a chain are copied into the journal when it is taken, all of
 * them, and nothing is read from the ring about it again: what is walked, mapped, or taken once more after this process
 * was killed, is the copy.
 *
 * What follows from the two counts of the journal, which are of descriptors, is kept at hand: where in the ring the
 * next ones are, and their wrap counters. No more descriptors are in flight than the ring has, whatever the driver
 * says: so there is a place for each copy.
 */
#include "ring.h"

#include <errno.h>
#include <string.h>

#include "copy.h"

#define AVAILABLE (1u << VRING_PACKED_DESC_F_AVAIL)
#define USED      (1u << VRING_PACKED_DESC_F_USED)
#define EVENT     3u /* flags of an event suppression structure (2.8.10) */

_Static_assert(sizeof(struct vring_packed_desc) == sizeof(struct vring_desc), "as long as the split ones");

static struct virtqueue_point point(const struct virtqueue *queue, uint64_t count)
{
    return (struct virtqueue_point){ .slot = (uint16_t)(count % queue->size), .wrap = count / queue->size % 2 == 0 };
}

/* `count` is at most the size of the ring. */
static inline void advance(const struct virtqueue *queue, struct virtqueue_point *at, unsigned int count)
{
    unsigned int slot = at->slot + count;

    if (slot >= queue->size) {
        slot -= queue->size;
        at->wrap = !at->wrap;
    }
    at->slot = (uint16_t)slot;
}

static inline uint16_t read_flags(const struct virtqueue *queue, struct virtqueue_point at)
{
    return __atomic_load_n(&queue->slots[at.slot].flags, __ATOMIC_ACQUIRE);
}

/* 2.8.1: what these flags mean depends on how often the ring has been gone through. */
static inline bool is_available(uint16_t flags, bool wrap)
{
    return !(flags & AVAILABLE) == !wrap && !(flags & USED) == wrap;
}

static inline bool is_used(uint16_t flags, bool wrap)
{
    return !(flags & USED) == !wrap;
}

static void begin(struct virtqueue *queue)
{
    queue->next_taken = point(queue, queue->journal->taken);
    queue->next_used = point(queue, queue->journal->used);
}

/* There is one, as long as no more descriptors are in flight than the ring has. */
static inline uint16_t take_place(struct virtqueue *queue)
{
    unsigned int word = 0, place;

    while (queue->place_used[word] == UINT64_MAX) {
        word++;
    }
    place = (unsigned int)__builtin_ctzll(~queue->place_used[word]);
    queue->place_used[word] |= 1ull << place;
    return (uint16_t)(word * 64 + place);
}

static inline bool place_is_used(const struct virtqueue *queue, uint16_t place)
{
    return queue->place_used[place / 64] & 1ull << place % 64;
}

static void free_places(struct virtqueue *queue, uint16_t first, unsigned int count)
{
    for (uint16_t place = first; count > 0; count--) {
        queue->place_used[place / 64] &= ~(1ull << place % 64);
        place = queue->journal->entry[place].next;
    }
}

/* What a predecessor has taken keeps its places. False: they are not such as can be. */
static bool keep_places(struct virtqueue *queue, const struct virtqueue_journal_entry *entry)
{
    uint16_t place = entry->first;

    for (unsigned int i = 0; i < entry->count; i++) {
        if (place >= queue->size_max || place_is_used(queue, place)) {
            return false;
        }
        queue->place_used[place / 64] |= 1ull << place % 64;
        place = queue->journal->entry[place].next;
    }
    return entry->count > 0;
}

/*
 * Killed while giving back: what the driver can see has happened. It may have seen it, and have made something else
 * available there: that has the same used flag, and not the one of before.
 */
static bool has_been_given(const struct virtqueue *queue)
{
    const struct virtqueue_journal *journal = queue->journal;
    const struct virtqueue_point at = point(queue, journal->used);

    return journal->completing == journal->used || is_used(read_flags(queue, at), at.wrap);
}

/* The driver must not find what was written behind one that it was not to find yet, when it is to find another one. */
static void hide(struct virtqueue *queue)
{
    struct virtqueue_point at = point(queue, queue->journal->used);

    for (uint64_t left = queue->journal->taken - queue->journal->used; left > 0; left--) {
        if (is_used(read_flags(queue, at), at.wrap)) {
            __atomic_store_n(&queue->slots[at.slot].flags, at.wrap ? AVAILABLE : USED, __ATOMIC_RELEASE);
        }
        advance(queue, &at, 1);
    }
}

static int recover(struct virtqueue *queue)
{
    struct virtqueue_journal *journal = queue->journal;
    const bool given = journal->completing && has_been_given(queue);
    uint64_t in_flight = 0;
    bool good = true;

    if (given) {
        virtqueue_note(&journal->used, journal->completing);
    }
    if (journal->taken - journal->used > queue->size) {
        return -EINVAL;
    }
    hide(queue);
    for (unsigned int head = 0; head < queue->size_max; head++) {
        struct virtqueue_journal_entry *const entry = &journal->entry[head];
        const bool marked = entry->position & VIRTQUEUE_GIVING;
        const uint64_t taken = entry->position & ~VIRTQUEUE_GIVING;

        /* Killed while taking: it will be found in the ring. */
        virtqueue_note(&entry->position, (marked && given) || taken > journal->taken ? 0 : taken);
        if (entry->position) {
            good &= keep_places(queue, entry);
            in_flight += entry->count;
        }
    }
    virtqueue_note(&journal->completing, 0);
    begin(queue);
    return good && in_flight == journal->taken - journal->used ? 0 : -EINVAL;
}

/*
 * Copies the descriptors of the next chain, the first of which has these flags, into the journal: at most as many as
 * the ring has room for. The last one has the buffer id (2.8.6). Returns their number; 0: it has no end.
 */
static unsigned int copy_chain(struct virtqueue *queue, uint16_t flags, struct virtqueue_point *at, uint16_t *first,
                               uint16_t *id)
{
    struct virtqueue_journal *journal = queue->journal;
    const uint64_t room = queue->size - (journal->taken - journal->used);
    uint16_t *link = first;

    for (unsigned int count = 0; count < room;) {
        const uint16_t place = take_place(queue);
        struct vring_packed_desc *copy = &journal->entry[place].descriptor;

        virtio_copy_in(copy, &queue->slots[at->slot], sizeof(*copy));
        if (count++ == 0) {
            copy->flags = flags; /* read once */
        }
        *link = place;
        link = &journal->entry[place].next;
        advance(queue, at, 1);
        if (!(copy->flags & VRING_DESC_F_NEXT)) {
            *id = copy->id;
            return count;
        }
    }
    return 0;
}

static enum virtqueue_result next(struct virtqueue *queue, uint16_t *head)
{
    struct virtqueue_journal *journal = queue->journal;
    struct virtqueue_point at = queue->next_taken;
    const uint16_t flags = read_flags(queue, at);
    uint16_t first = 0, id = 0;
    unsigned int count;

    if (!is_available(flags, at.wrap)) {
        return VIRTQUEUE_EMPTY;
    }
    count = copy_chain(queue, flags, &at, &first, &id);
    if (count == 0 || id >= queue->size || journal->entry[id].position) {
        return VIRTQUEUE_BROKEN; /* whatever has been copied, no more will be */
    }
    journal->entry[id].first = first;
    journal->entry[id].count = (uint16_t)count;
    virtqueue_note(&journal->entry[id].position, journal->taken + count);
    virtqueue_note(&journal->taken, journal->taken + count);
    queue->next_taken = at;
    *head = id;
    return VIRTQUEUE_CHAIN;
}

/* 2.8.8: the table's descriptors are one after the other, and all of it. Of their flags WRITE alone means anything. */
static int walk_table(struct virtqueue *queue, struct virtqueue_chain *chain, const struct vring_packed_desc *indirect)
{
    const uint32_t entries = indirect->len / (uint32_t)sizeof(*indirect);
    const void *table = NULL;
    int error = virtqueue_map_table(queue, indirect->addr, indirect->len, &table);

    if (error) {
        return error;
    }
    for (uint32_t i = 0; i < entries && !error; i++) {
        struct vring_packed_desc descriptor;

        virtio_copy_in(&descriptor, (const char *)table + i * sizeof(descriptor), sizeof(descriptor));
        if ((descriptor.flags & VRING_DESC_F_INDIRECT) ||
            !virtqueue_add_segment(queue, chain, 0, descriptor.addr, descriptor.len,
                                   descriptor.flags & VRING_DESC_F_WRITE)) {
            error = -EINVAL;
        }
    }
    platform_unmap_buffer(queue->platform, (void *)(uintptr_t)table, indirect->len);
    return error;
}

static int walk(struct virtqueue *queue, struct virtqueue_chain *chain)
{
    const struct virtqueue_journal_entry *const entry = queue->journal->entry;
    const unsigned int count = entry[chain->head].count;
    uint16_t place = entry[chain->head].first;

    if (entry[place].descriptor.flags & VRING_DESC_F_INDIRECT) {
        return count == 1 ? walk_table(queue, chain, &entry[place].descriptor) : -EINVAL;
    }
    for (unsigned int i = 0; i < count; i++) {
        const struct vring_packed_desc *const descriptor = &entry[place].descriptor;

        if ((descriptor->flags & VRING_DESC_F_INDIRECT) ||
            !virtqueue_add_segment(queue, chain, place, descriptor->addr, descriptor->len,
                                   descriptor->flags & VRING_DESC_F_WRITE)) {
            return -EINVAL;
        }
        place = entry[place].next;
    }
    return 0;
}

static inline uint16_t used_flags(bool wrap, uint32_t written)
{
    return (uint16_t)((wrap ? AVAILABLE | USED : 0) | (written ? VRING_DESC_F_WRITE : 0));
}

/* The driver finds the first one last: until its flags are there it does not look behind them. */
static void give_back(struct virtqueue *queue, struct virtqueue_chain *first)
{
    struct virtqueue_journal *journal = queue->journal;
    const struct virtqueue_point start = queue->next_used;
    struct virtqueue_point at = start;
    uint64_t used = journal->used;

    for (struct virtqueue_chain *chain = first; chain; chain = chain->together) {
        struct virtqueue_journal_entry *const entry = &journal->entry[chain->head];
        struct vring_packed_desc *const slot = &queue->slots[at.slot];

        virtqueue_note(&entry->position, entry->position | VIRTQUEUE_GIVING);
        virtqueue_forget(queue, chain);
        free_places(queue, entry->first, entry->count);
        __atomic_store_n(&slot->id, chain->head, __ATOMIC_RELAXED);
        __atomic_store_n(&slot->len, chain->written, __ATOMIC_RELAXED);
        if (chain != first) {
            __atomic_store_n(&slot->flags, used_flags(at.wrap, chain->written), __ATOMIC_RELAXED);
        }
        used += entry->count;
        advance(queue, &at, entry->count);
    }
    virtqueue_note(&journal->completing, used);
    __atomic_store_n(&queue->slots[start.slot].flags, used_flags(start.wrap, first->written), __ATOMIC_RELEASE);
    virtqueue_note(&journal->used, used);
    for (struct virtqueue_chain *chain = first; chain; chain = chain->together) {
        virtqueue_note(&journal->entry[chain->head].position, 0);
    }
    virtqueue_note(&journal->completing, 0);
    queue->next_used = at;
}

static bool waiting(const struct virtqueue *queue)
{
    return is_available(read_flags(queue, queue->next_taken), queue->next_taken.wrap);
}

/* Both halves at once: the driver reads them so. */
static void set_event(struct virtqueue *queue, uint16_t offset, uint16_t flags)
{
    const struct vring_packed_desc_event event = { .off_wrap = offset, .flags = flags };
    uint32_t both;

    memcpy(&both, &event, sizeof(both));
    __atomic_store_n((uint32_t *)(void *)queue->device_event, both, __ATOMIC_RELAXED);
}

static void quiet(struct virtqueue *queue)
{
    set_event(queue, 0, VRING_PACKED_EVENT_FLAG_DISABLE);
}

static void listen(struct virtqueue *queue)
{
    const struct virtqueue_point at = queue->next_taken;

    if (queue->event_index) {
        set_event(queue, (uint16_t)(at.slot | (unsigned int)at.wrap << VRING_PACKED_EVENT_F_WRAP_CTR),
                  VRING_PACKED_EVENT_FLAG_DESC);
    } else {
        set_event(queue, 0, VRING_PACKED_EVENT_FLAG_ENABLE);
    }
}

/* 2.8.10: flags that are not defined ask for an interrupt. */
static bool interrupts(const struct virtqueue *queue)
{
    const uint32_t both = __atomic_load_n((const uint32_t *)(const void *)queue->driver_event, __ATOMIC_RELAXED);
    const int64_t given = (int64_t)(queue->journal->used - queue->signalled_used);
    struct vring_packed_desc_event event;
    int64_t wanted;

    memcpy(&event, &both, sizeof(event));
    if ((event.flags & EVENT) != VRING_PACKED_EVENT_FLAG_DESC || !queue->event_index) {
        return (event.flags & EVENT) != VRING_PACKED_EVENT_FLAG_DISABLE;
    }
    wanted = event.off_wrap & ((1u << VRING_PACKED_EVENT_F_WRAP_CTR) - 1);
    if ((event.off_wrap >> VRING_PACKED_EVENT_F_WRAP_CTR) != queue->next_used.wrap) {
        wanted -= queue->size; /* of the round before */
    }
    return wanted < queue->next_used.slot && wanted >= queue->next_used.slot - given;
}

const struct virtqueue_format virtqueue_packed = {
    .area = {
        { .alignment = VRING_DESC_ALIGN_SIZE, .entry = sizeof(struct vring_packed_desc), .writable = true },
        { .alignment = sizeof(uint32_t), .fixed = sizeof(struct vring_packed_desc_event) },
        { .alignment = sizeof(uint32_t), .fixed = sizeof(struct vring_packed_desc_event), .writable = true },
    },
    .any_size = true,
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
