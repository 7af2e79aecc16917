/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a hypervisor offers a device model: the bridge it is to answer for, guest accesses, guest memory, interrupts.
 *
 * Two implementations, one of which is linked: xen.c (a dom0 or other back-end domain on Xen) and local.c (all in one
 * process, for tests, fuzzers and benchmarks; it counts what would be traps, hypercalls and interrupts). Layers above
 * know nothing of either.
 *
 * One thread. No call blocks on the guest, but for platform_serve() when asked to. Functions that return int return 0
 * or a negative errno value. Addresses are guest physical addresses, but for mapping on a bridge with grants.
 */
#ifndef PLATFORM_PLATFORM_H
#define PLATFORM_PLATFORM_H

#include <stdbool.h>
#include <stdint.h>

#include "bridge.h"

struct platform;

struct platform_counters {
    uint64_t requests;  /* guest accesses, for each of which a vCPU waited */
    uint64_t malformed; /* of these */
    uint64_t doorbells; /* reports of doorbells */
    uint64_t invalidations; /* times that the guest has exchanged memory or given it back */
    uint64_t mapped;        /* bytes of guest memory that were mapped at once, at most */
    uint64_t dropped;       /* pieces of it that were mapped and are no more */
};

/*
 * Answers one guest access inside a claimed range: `size` is 1, 2, 4 or 8, and address .. address + size - 1 does not
 * wrap. A read returns its data in the low bits (the platform masks it to size); a write's return value is ignored.
 * Called from platform_serve() only. It must not wait for anything: the guest's vCPU is stopped until it returns, so
 * work that the access asks for (a queue notification) is noted and done after platform_serve() has returned.
 */
typedef uint64_t platform_access_fn(void *opaque, uint64_t address, unsigned int size, bool write, uint64_t data);

/* Which bridge, and what of it. */
struct platform_options {
    unsigned int domain;
    unsigned int bridge;
    bool shared;           /* not all of the bus, but single functions: others may serve it too */
    unsigned int function; /* with shared, one of these functions: what a killed predecessor left is known by it */
    uint64_t mark;         /* of a predecessor in whose place to go on (platform_set_mark()); 0: none */
    uint64_t map_limit;    /* bytes of guest memory mapped at once, at most; 0: as this domain's free memory allows */
};

/*
 * Attaches to a bridge; nothing is claimed yet. On failure *error is a sentence for the user (static storage) that
 * says what is missing and what to do.
 * -ENOENT no such domain or bridge, -EPERM not privileged, -ENODEV no hypervisor, -EBUSY another device model serves
 * it.
 */
int platform_create(struct platform **platform, const struct platform_options *options, const char **error);

/*
 * Whether this goes on where the predecessor with that mark was killed. Then accesses wait that it has perhaps already
 * made: the first platform_serve() answers them all. Until that has ended all that the predecessor has claimed may be
 * claimed as if it were not, and platform_leave() leaves it to the next who tries to go on.
 */
bool platform_resumed(const struct platform *platform);

/* From now on it can be resumed by who knows the mark, not 0. -EOPNOTSUPP: not for a guest with so many vCPUs. */
int platform_set_mark(struct platform *platform, uint64_t mark);

/*
 * Declares the bus not ready, gives back all claims, answers what waits with all ones: afterwards no processor of the
 * guest waits for us, and platform_serve() finds no more accesses. What is mapped stays. NULL is allowed.
 */
void platform_leave(struct platform *platform);

/* The same, if it has not been done, and unmaps guest memory. NULL is allowed. */
void platform_destroy(struct platform *platform);

/* The bridge, as the hypervisor describes it. Borrowed; constant while the platform lives. */
const struct bridge *platform_bridge(const struct platform *platform);

/* Whether guest memory is reached by grants: platform_map(). */
static inline bool platform_uses_grants(const struct platform *platform)
{
    return platform_bridge(platform)->flags & BRIDGE_FLAG_GRANTS;
}

/* A file descriptor that polls readable while guest accesses (may) wait: then call platform_serve(). */
int platform_descriptor(const struct platform *platform);

/*
 * Answers every access that waits, each by one call of `access`; with `wait` sleeps until there is one, or somebody
 * calls platform_wake(). Malformed requests are answered with all ones (a write: ignored) and counted. -ENODEV: the
 * guest is gone, no more will come. Other errors: the event channel broke.
 */
int platform_serve(struct platform *platform, bool wait, platform_access_fn *access, void *opaque);

/*
 * Makes the descriptor readable, and platform_serve() look whether the guest is still there, which nobody tells us. For
 * signal handlers, too: changes nothing but errno.
 */
void platform_wake(struct platform *platform);

/*
 * Claims [base, base + size) of the guest's address space: accesses wholly inside reach platform_serve(). Ranges of
 * one platform must not overlap (-EEXIST). Release takes back exactly one earlier claim (-ENOENT).
 */
int platform_claim(struct platform *platform, uint64_t base, uint64_t size);
int platform_release(struct platform *platform, uint64_t base, uint64_t size);

/*
 * Claims the configuration space of one function (bus << 8 | device << 3 | function, as in a requester id); accesses
 * have addresses in the ECAM window. -EEXIST: it is another device model's. -EINVAL: the bridge has no such function.
 */
int platform_claim_function(struct platform *platform, unsigned int function);

/*
 * Binds a doorbell: no vCPU waits for a guest's write of exactly `size` bytes (1, 2 or 4; aligned) to `address`,
 * which lies in a claim. Such writes are reported by platform_serve() as accesses with data 0, later, at least one
 * for all since the last report, and one when it is bound. To be unbound before the claim is released. -ENOSPC: there
 * are too many, -EOPNOTSUPP: the hypervisor has none. Without a doorbell a write is an access as any other.
 */
int platform_bind(struct platform *platform, uint64_t address, unsigned int size);
void platform_unbind(struct platform *platform, uint64_t address);

/* Declares the bus ready to be probed, or not. */
int platform_ready(struct platform *platform, bool ready);

/*
 * Maps guest memory [address, address + length), length > 0: contiguous in this process and shared with running vCPUs.
 * Everything read through it may change at any time: copy once, then validate the copy. It is valid until it is
 * unmapped, to be called once with the same memory and length.
 *
 * Without BRIDGE_FLAG_GRANTS `address` is a guest physical address; all of it must be RAM of one bank. What was mapped
 * is kept as long as it fits (platform_options.map_limit), so that mapping it again costs next to nothing.
 *
 * With it `address` is made of grant references (grants.h); the guest must have granted each page to this domain, for
 * writing too if `write`. Nothing else of the guest can be reached. Without `write` the memory must not be written:
 * that is a fault. Mapping and unmapping are system calls, and the guest cannot take back a page while it is mapped: it
 * is for rings alone.
 *
 * platform_map() is for rings, in use for as long as their queue: it is mapped at once. NULL: it cannot be.
 */
void *platform_map(struct platform *platform, uint64_t address, uint64_t length, bool write);
void platform_unmap(struct platform *platform, void *memory, uint64_t length);

/*
 * The same for a buffer of one request, of which there are many: as one turn's share and the limit allow. Not with
 * BRIDGE_FLAG_GRANTS.
 * -EFAULT   it cannot be mapped: it is not RAM
 * -ENOMEM   this domain has no memory for it, but perhaps when others are unmapped
 * -EAGAIN   not in this turn of the event loop, but perhaps in the next
 * -ENOBUFS  not until another request ends; platform_turn() says so. If no buffers are mapped it cannot be
 */
int platform_map_buffer(struct platform *platform, uint64_t address, uint64_t length, bool write, void **memory);
void platform_unmap_buffer(struct platform *platform, void *memory, uint64_t length);
unsigned int platform_buffers(const struct platform *platform); /* that are mapped */

/*
 * A request has ended, and its buffers are unmapped. If others were refused, with -ENOBUFS or -ENOMEM, then there may
 * be room for them: they get it when the next turn of the event loop begins, and nobody should take it from them
 * before. What a request gives up because it was refused itself is no room: it would be tried without end.
 */
void platform_give_room(struct platform *platform);
bool platform_has_room(const struct platform *platform);

/* A turn of the event loop begins. Whether those that were refused are to be tried now. */
bool platform_turn(struct platform *platform);

/*
 * Whether the guest has exchanged pages of its memory, or given them back: then what is mapped may be another's, or
 * nobody's, and processors of the guest wait until it is dropped. Nothing more is to be mapped until
 *   all buffers are unmapped, then
 *   platform_drop_memory() has returned true: it drops what is not in use, a part each turn; then
 *   all rings are unmapped, platform_drop_memory() has done so again, and they are mapped anew; then
 *   platform_memory_renewed() lets the processors go on (it fails as platform_serve()).
 * A processor that has waited for 5 seconds, because storage hangs, is let go on by platform_serve(); the rest is to be
 * done all the same.
 */
bool platform_memory_changed(const struct platform *platform);
bool platform_drop_memory(struct platform *platform);
int platform_memory_renewed(struct platform *platform);

#define PLATFORM_GRANT_BYTES 0x10000u /* with grants: what is mapped or copied at once is no longer, hence 17 pages */

/* A piece of guest memory, and as much memory of this process. */
struct platform_copy {
    uint64_t address; /* made of grant references (grants.h) */
    void *memory;
    uint32_t length;  /* 1..PLATFORM_GRANT_BYTES */
    bool failed;      /* it was not copied, or in part: not granted, or not for writing */
};

#define PLATFORM_COPY_SMALL 16u /* bytes: pieces up to here are copied for less if their memory is in one page */

/*
 * With BRIDGE_FLAG_GRANTS only: wants pieces to be copied, to the guest or from it. All that is wanted is done when
 * platform_copy_end() returns, by one system call for some dozens of pages, the small ones last. Until then the pieces
 * must stay where they are. Nothing is mapped, nor is anything of the guest in use afterwards.
 */
void platform_copy(struct platform *platform, struct platform_copy *piece, unsigned int count, bool to_guest);
void platform_copy_end(struct platform *platform);

/*
 * Sets the level of an interrupt of the bridge (absolute id). An edge (MSI) is level true alone. INTx needs both: true
 * again at every assertion, since the default vGIC takes lines as edges, and false when the line falls.
 */
int platform_interrupt(struct platform *platform, uint32_t interrupt, bool level);

/* What there was so far. */
struct platform_counters platform_counters(const struct platform *platform);

#endif
