/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * See request.h. struct ioreq packs its state and its direction into one byte of bit fields, so single fields cannot be
 * read once each: the whole slot is read as four 64-bit words, and the fields are taken from that copy.
 */
#include "request.h"

#include <stddef.h>
#include <string.h>

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

static enum platform_request_fault judge(const struct ioreq *copy)
{
    if (copy->type != IOREQ_TYPE_COPY) {
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
    if (copy->addr > UINT64_MAX - (copy->size - 1)) {
        return PLATFORM_REQUEST_ADDRESS;
    }
    return PLATFORM_REQUEST_GOOD;
}

enum platform_request_fault platform_request_decode(const struct ioreq *copy, struct platform_request *request)
{
    const enum platform_request_fault fault = judge(copy);

    if (fault == PLATFORM_REQUEST_GOOD) {
        request->address = copy->addr;
        request->size = copy->size;
        request->write = copy->dir == IOREQ_WRITE;
        request->data = copy->data & platform_request_ones(copy->size);
    }
    return fault;
}

uint64_t platform_request_result(const struct platform_request *request, uint64_t data)
{
    return data & platform_request_ones(request->size);
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

bool platform_request_serve(struct ioreq *slot, platform_access_fn *access, void *opaque,
                            struct platform_request_counters *counters)
{
    const unsigned int state = platform_request_state(slot);
    struct platform_request request;
    enum platform_request_fault fault;
    struct ioreq copy;
    uint64_t data = UINT64_MAX;

    if (state != STATE_IOREQ_READY && state != STATE_IOREQ_INPROCESS) {
        return false;
    }
    copy_slot(slot, &copy);
    set_state(slot, STATE_IOREQ_INPROCESS);

    fault = platform_request_decode(&copy, &request);
    counters->requests[fault]++;
    if (fault == PLATFORM_REQUEST_GOOD) {
        data = access(opaque, request.address, request.size, request.write, request.data);
    }
    if (copy.dir == IOREQ_READ) {
        *(volatile uint64_t *)&slot->data = data & platform_request_ones(copy.size);
    }
    set_state(slot, STATE_IORESP_READY);
    return true;
}
