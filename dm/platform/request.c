/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * See request.h. struct ioreq packs its state and its direction into one byte of bit fields, so single fields cannot be
 * read once each: the whole slot is read as four 64-bit words, and the fields are taken from that copy.
 */
#include "request.h"

#include <stddef.h>
#include <string.h>
#include <time.h>

#define SLOT_WORDS 4u
_Static_assert(sizeof(struct ioreq) == SLOT_WORDS * sizeof(uint64_t), "struct ioreq is four words");

/* The byte that holds state (low nibble), data_is_ptr, dir and df: the last but one of the slot. */
#define SLOT_STATE_BYTE (offsetof(struct ioreq, type) - 1)
#define SLOT_STATE_MASK 0x0fu

static void copy_slot(const struct ioreq *slot, struct ioreq *copy)
{
    const volatile uint64_t *from = (const volatile uint64_t *)(const void *)slot;
    uint64_t words[SLOT_WORDS];

    for (unsigned int i = 0; i < SLOT_WORDS; i++) {
        words[i] = from[i];
    }
    memcpy(copy, words, sizeof(*copy));
}

/* A private copy of a slot. */
static enum platform_request_fault judge(const struct ioreq *copy)
{
    if (copy->type == IOREQ_TYPE_INVALIDATE) {
        return PLATFORM_REQUEST_INVALIDATE;
    }
    if (copy->type != IOREQ_TYPE_COPY && copy->type != IOREQ_TYPE_PCI_CONFIG) {
        return PLATFORM_REQUEST_TYPE;
    }
    if (copy->size != 1 && copy->size != 2 && copy->size != 4 && copy->size != 8) {
        return PLATFORM_REQUEST_SIZE;
    }
    if (copy->count != 1) {
        return PLATFORM_REQUEST_COUNT;
    }
    if (copy->data_is_ptr) {
        return PLATFORM_REQUEST_POINTER;
    }
    if (copy->df) {
        return PLATFORM_REQUEST_DIRECTION;
    }
    return PLATFORM_REQUEST_GOOD;
}

/* The guest's address that a well-formed request is for; false: there is none. */
static bool locate(const struct ioreq *copy, const struct platform_config_space *space, uint64_t *address)
{
    const uint64_t offset = (copy->addr >> 32 & 0xffff) * BRIDGE_ECAM_FUNCTION;
    const uint32_t within = (uint32_t)copy->addr;

    if (copy->type == IOREQ_TYPE_COPY) {
        *address = copy->addr;
        return copy->addr <= UINT64_MAX - (copy->size - 1);
    }
    *address = space->ecam.base + offset + within;
    return copy->addr >> 48 == space->segment && offset < space->ecam.size &&
           within <= BRIDGE_ECAM_FUNCTION - copy->size;
}

unsigned int platform_request_state(const struct ioreq *slot)
{
    const uint8_t *byte = (const uint8_t *)slot + SLOT_STATE_BYTE;

    return __atomic_load_n(byte, __ATOMIC_ACQUIRE) & SLOT_STATE_MASK;
}

static void set_state(struct ioreq *slot, unsigned int state)
{
    uint8_t *byte = (uint8_t *)slot + SLOT_STATE_BYTE;
    const uint8_t old = __atomic_load_n(byte, __ATOMIC_RELAXED);

    /* Release: the hypervisor that sees RESP_READY must see the data that was written before. */
    __atomic_store_n(byte, (uint8_t)((old & ~SLOT_STATE_MASK) | state), __ATOMIC_RELEASE);
}

enum platform_request_result platform_request_serve(struct ioreq *slot, const struct platform_config_space *space,
                                                    platform_access_fn *access, void *opaque,
                                                    struct platform_request_counters *counters)
{
    const unsigned int state = platform_request_state(slot);
    enum platform_request_fault fault;
    uint64_t data = UINT64_MAX;
    struct ioreq copy;
    uint64_t address;

    if (state != STATE_IOREQ_READY && state != STATE_IOREQ_INPROCESS) {
        return PLATFORM_REQUEST_NONE;
    }
    copy_slot(slot, &copy);
    set_state(slot, STATE_IOREQ_INPROCESS);

    fault = judge(&copy);
    if (fault == PLATFORM_REQUEST_GOOD && !locate(&copy, space, &address)) {
        fault = PLATFORM_REQUEST_ADDRESS;
    }
    counters->requests[fault]++;
    if (fault == PLATFORM_REQUEST_INVALIDATE) {
        return PLATFORM_REQUEST_TAKEN;
    }
    if (fault == PLATFORM_REQUEST_GOOD) {
        data = access(opaque, address, copy.size, copy.dir == IOREQ_WRITE,
                      copy.data & platform_request_ones(copy.size));
    }
    if (copy.dir == IOREQ_READ) {
        *(volatile uint64_t *)&slot->data = data & platform_request_ones(copy.size);
    }
    set_state(slot, STATE_IORESP_READY);
    return PLATFORM_REQUEST_ANSWERED;
}

bool platform_request_answer(struct ioreq *slot)
{
    if (platform_request_state(slot) != STATE_IOREQ_INPROCESS) {
        return false;
    }
    set_state(slot, STATE_IORESP_READY);
    return true;
}

void platform_request_count(const struct platform_request_counters *from, struct platform_counters *to)
{
    for (unsigned int i = 0; i < PLATFORM_REQUEST_FAULTS; i++) {
        to->requests += i == PLATFORM_REQUEST_INVALIDATE ? 0 : from->requests[i];
        to->malformed += i == PLATFORM_REQUEST_GOOD || i == PLATFORM_REQUEST_INVALIDATE ? 0 : from->requests[i];
    }
    to->invalidations += from->requests[PLATFORM_REQUEST_INVALIDATE];
}

static uint64_t milliseconds(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now); /* it does not fail for this clock */
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

void platform_invalidation_take(struct platform_invalidation *invalidation, unsigned int vcpu)
{
    if (invalidation->waiting++ == 0) {
        invalidation->since = milliseconds();
    }
    invalidation->waits[vcpu] = true;
    invalidation->changed = true;
}

bool platform_invalidation_overdue(const struct platform_invalidation *invalidation)
{
    return invalidation->waiting > 0 && milliseconds() - invalidation->since >= PLATFORM_INVALIDATION_MS;
}

unsigned int platform_invalidation_next(struct platform_invalidation *invalidation, unsigned int vcpus)
{
    unsigned int vcpu = 0;

    while (vcpu < vcpus && !invalidation->waits[vcpu]) {
        vcpu++;
    }
    if (vcpu < vcpus) {
        invalidation->waits[vcpu] = false;
        invalidation->waiting--;
    }
    return vcpu;
}
