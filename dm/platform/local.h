/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A guest and its hypervisor inside this process: what tests, fuzzers and benchmarks run the device model against.
 *
 * A test creates a guest (RAM banks, a bridge, a domain id); the device model attaches to it with platform_create().
 * The guest's accesses then behave as on Xen: the service area is answered at once; what is claimed is put into a
 * slot of an ioreq page, an event is raised, and the guest waits, that is, it calls `run` until the slot is answered;
 * everything else is background. What would be a trap, a hypercall or an interrupt is counted.
 *
 * The device model maps the guest's memory (memory.h) as on Xen: a mapping goes on to show the page that it was made
 * for, though the guest may have exchanged it for another one meanwhile.
 *
 * On a bridge with BRIDGE_FLAG_GRANTS the device model can map what is in the guest's grant table, and nothing else.
 *
 * The interrupt controller is Xen's default vGIC: level true makes an interrupt pending, level false is only recorded.
 *
 * One thread, but for the memory: local_guest_memory() may be written by any thread, as a guest's other vCPUs would.
 * The device model may run in a child process: all of the guest is shared with it.
 */
#ifndef PLATFORM_LOCAL_H
#define PLATFORM_LOCAL_H

#include <stdbool.h>
#include <stdint.h>

#include "bridge.h"
#include "request.h"

#define LOCAL_BANKS_MAX 4u
#define LOCAL_VCPUS     4u
#define LOCAL_GRANTS    8192u /* size of the grant table; references from 0 */

struct local_guest;

struct local_bank {
    uint64_t base; /* page-aligned */
    uint64_t size;
};

struct local_config {
    unsigned int domain; /* unique among the guests that exist */
    struct bridge bridge;
    unsigned int banks;
    struct local_bank bank[LOCAL_BANKS_MAX];
};

struct local_counters {
    uint64_t blocking;   /* guest accesses that waited for the device model */
    uint64_t rung;       /* guest accesses that rang a doorbell and went on */
    uint64_t background; /* guest accesses that nobody claimed */
    uint64_t service;    /* guest accesses that the hypervisor answered itself */
    uint64_t answers;    /* notifications of an answered slot: one hypercall each */
    uint64_t claims;     /* hypercalls, by kind, refused ones included */
    uint64_t releases;
    uint64_t readies;
    uint64_t interrupts;
    uint64_t binds;      /* of doorbells, and the opposite */
    uint64_t reported;   /* doorbells that the device model was told of: no hypercall */
    uint64_t grant_copies; /* calls that copied, and pages that were mapped by grants, unmapped ones included */
    uint64_t grant_maps;
    uint64_t grant_pages;  /* pages of ours that had to be found to copy: each that is not that of the copy before */
    uint64_t memory_maps;  /* mappings of guest memory, without grants */
    struct platform_request_counters requests; /* what the device model made of the slots */
};

struct local_interrupt {
    uint64_t raised;  /* times that level true was set */
    uint64_t lowered; /* times that level false was set */
    bool level;
    bool pending;     /* raised since the guest took it last */
};

/* -ENOMEM, -EINVAL (no banks or too many), -EEXIST (the domain id is in use). */
int local_guest_create(struct local_guest **guest, const struct local_config *config);
void local_guest_destroy(struct local_guest *guest); /* the device model has detached before; NULL is allowed */

/* How the guest waits: `run` lets the device model work a little and returns. */
void local_guest_run_with(struct local_guest *guest, void (*run)(void *opaque), void *opaque);

/* Guest accesses of 1, 2, 4 or 8 bytes, by vCPU 0. A wait that lasts longer than ten seconds aborts the process. */
uint64_t local_guest_read(struct local_guest *guest, uint64_t address, unsigned int size);
void local_guest_write(struct local_guest *guest, uint64_t address, unsigned int size, uint64_t data);

/* The guest's own view of its RAM; NULL outside of one bank. */
void *local_guest_memory(struct local_guest *guest, uint64_t address, uint64_t length);

/*
 * The guest exchanges pages of its memory for new ones, which read as zeroes, or gives them back: then it must not
 * touch them, and nobody can map them, until they are exchanged for new ones. Whole pages of one bank; not with grants.
 * The request that tells the device model, as Xen makes it, goes into a vCPU's slot by post or inject.
 */
void local_guest_exchange(struct local_guest *guest, uint64_t address, uint64_t length);
void local_guest_give_back(struct local_guest *guest, uint64_t address, uint64_t length);
extern const struct ioreq local_invalidation;

/*
 * Grants a page, for writing too if `writable`, to the device model's domain; end takes the grant back, which a guest
 * cannot do while the page is mapped: false.
 */
void local_guest_grant(struct local_guest *guest, uint32_t reference, uint64_t address, bool writable);
bool local_guest_end_grant(struct local_guest *guest, uint32_t reference);
uint64_t local_guest_granted(const struct local_guest *guest); /* pages that are mapped now */

/* Takes a pending interrupt: whether it was pending. */
bool local_guest_take(struct local_guest *guest, uint32_t interrupt);
const struct local_interrupt *local_guest_interrupt(const struct local_guest *guest, uint32_t interrupt);

struct local_counters *local_guest_counters(struct local_guest *guest); /* the caller may reset them */
bool local_guest_ready(const struct local_guest *guest);                /* what the status page says */
unsigned int local_guest_claims(const struct local_guest *guest);       /* claims that exist now */
bool local_guest_claimed(const struct local_guest *guest, uint64_t address);
unsigned int local_guest_doorbells(const struct local_guest *guest); /* that are bound now */
void local_guest_occupy(struct local_guest *guest, unsigned int function); /* of bus 0: is another device model's */

/* Puts *slot, as it is, into a vCPU's slot, raises the event and waits for the answer, which goes to *slot. */
void local_guest_inject(struct local_guest *guest, unsigned int vcpu, struct ioreq *slot);

/*
 * As inject, but does not wait: *slot stays in the page. The slot itself, to be changed under the device model's
 * hands.
 */
struct ioreq *local_guest_post(struct local_guest *guest, unsigned int vcpu, const struct ioreq *slot);

void local_guest_event(struct local_guest *guest);                      /* an event without a request */
/* The device model was killed: what it had claimed stays. */
void local_guest_kill(struct local_guest *guest);
void local_guest_die(struct local_guest *guest);                        /* the domain is destroyed */
void local_guest_break(struct local_guest *guest, int error);           /* platform_serve() fails from now on */
void local_guest_refuse_memory(struct local_guest *guest, bool refuse); /* platform_map() gives NULL */
void local_guest_exhaust(struct local_guest *guest, bool exhaust); /* the device model's domain has no memory */
void local_guest_refuse_claims(struct local_guest *guest, bool refuse); /* platform_claim() gives -ENOSPC */
void local_guest_refuse_doorbells(struct local_guest *guest, bool refuse); /* platform_bind() gives -EOPNOTSUPP */

/*
 * Calls `looked_up` at the end of every platform_map(), and at the beginning of every platform_copy_end():
 * what a guest would do to its memory at the worst moment.
 */
void local_guest_interfere(struct local_guest *guest, void (*looked_up)(void *opaque), void *opaque);

#endif
