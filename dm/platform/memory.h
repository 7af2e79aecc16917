/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A guest's RAM as far as it is mapped into this process. For platforms on which a device model may map all of it.
 *
 * Memory is mapped when it is first asked for, in pieces of 2 MiB, and kept: mapping costs milliseconds, and on Linux
 * before 6.12 a page of dom0's own memory per page. Each bank of RAM has its whole range of this process's address
 * space reserved beforehand, so that what is contiguous for the guest is contiguous here.
 *
 *   in use    a piece is never dropped between memory_map() and memory_unmap(): it is counted how often it is in use
 *   bounded   what is not in use is dropped, the least recently used first, to make room for what is asked for; in
 *             pages, and in mappings, of which Linux gives a process few (sysctl vm.max_map_count)
 *   by pages  of a piece that cannot be mapped as a whole (the guest has given a page of it back, or there is no room)
 *             only those pages are mapped that are asked for, so that what there is can be reached
 *   a share   a turn of the event loop maps about one piece for requests; the rest is for the next turn
 *
 * The guest may exchange its pages under us. The hypervisor says so, and then all has to be dropped: memory_drop().
 *
 * Nothing is allocated after memory_create(). One thread. Addresses are guest physical, lengths are bytes.
 */
#ifndef PLATFORM_MEMORY_H
#define PLATFORM_MEMORY_H

#include <stdbool.h>
#include <stdint.h>

#include "bridge.h"

#define MEMORY_PAGE        4096u
#define MEMORY_PIECE       0x200000u
#define MEMORY_PIECE_PAGES (MEMORY_PIECE / MEMORY_PAGE)
#define MEMORY_BANKS_MAX   64u
#define MEMORY_DROP        4u /* pieces that one turn may drop and be quick */
#define MEMORY_MAPPINGS    16384u /* kept for buffers at most; fewer where Linux allows a process fewer than 65536 */

struct memory;

/*
 * Maps `pages` (1..MEMORY_PIECE_PAGES) pages of the guest, from frame number `frame` on, readable and writable at
 * `where`, in place of what is there. -ENOENT: the guest has no such page. Any other negative errno value: this
 * domain has no memory for it. Whatever is at that place after a failure is thrown away by the caller.
 */
typedef int memory_map_fn(void *opaque, void *where, uint64_t frame, unsigned int pages);

/* What for. */
enum memory_use {
    MEMORY_RING,   /* now, whatever it costs; beyond the limit if need be, but then by pages */
    MEMORY_BUFFER, /* as one turn's share and the limit allow */
};

struct memory_counters {
    uint64_t mapped;  /* pages, now */
    uint64_t most;    /* the same, at most */
    uint64_t maps;    /* calls of the function that maps */
    uint64_t dropped; /* pieces */
    uint64_t mappings; /* now: the pages are in so many */
};

/*
 * The banks are page-aligned and do not overlap. At most `limit` bytes are mapped for buffers. -EINVAL: too many
 * banks, -ENOMEM.
 */
int memory_create(struct memory **memory, const struct bridge_window *bank, unsigned int banks, uint64_t limit,
                  memory_map_fn *map, void *opaque);
void memory_destroy(struct memory *memory); /* unmaps all; NULL is allowed */

/*
 * Maps [address, address + length), of one bank, contiguously to **where, where it stays until memory_unmap(), to be
 * called once with the same arguments.
 * -EFAULT   it is not RAM, or not any more
 * -ENOMEM   this domain has no memory for it, but perhaps when others are unmapped
 * -EAGAIN   buffers: not in this turn; what has been mapped of it so far helps the next one
 * -ENOBUFS  buffers: not before others are unmapped (memory_turn()); if there are none, then never
 */
int memory_map(struct memory *memory, uint64_t address, uint64_t length, enum memory_use use, void **where);
void memory_unmap(struct memory *memory, void *where, uint64_t length, enum memory_use use);

/* Buffers that are mapped. */
unsigned int memory_buffers(const struct memory *memory);

/*
 * The buffers of a request have been unmapped, which has ended: there is room for those that have been refused, with
 * -ENOBUFS or -ENOMEM. It is given to them when a turn begins. Not to be called for what a request that has been
 * refused gives up meanwhile: it would only be tried again, and again.
 */
void memory_give_room(struct memory *memory);
bool memory_has_room(const struct memory *memory); /* that will be given: nobody else should take it before */

/* Begins a turn. Returns whether there has been room since the last one: what was refused may fit now. */
bool memory_turn(struct memory *memory);

/* Drops at most `pieces` pieces that are not in use. Returns whether no more of these are left. */
bool memory_drop(struct memory *memory, unsigned int pieces);

const struct memory_counters *memory_counters(const struct memory *memory);

#endif
