/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * See faults.h. A request that is held or fails is remembered with all arguments of its call; one call in one struct.
 */
#include "faults.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "loop.h"

#define CALLS_MAX 64u

enum kind { READ, WRITE, ALLOCATE, SYNC };

struct call {
    enum kind kind;
    struct loop *loop;
    struct loop_request *request;
    int descriptor;
    const struct iovec *vector;
    unsigned int count;
    uint64_t offset;
    uint64_t length;
    int mode;
    loop_done_fn *done;
    int result; /* to fail with */
    struct loop_task task;
};

static bool holding;
static int hanging = -1;
static int failure;
static int sync_failure;
static uint64_t cut_bytes;
static struct iovec cut_vector;
static void (*sync_meanwhile)(void *opaque);
static void *sync_opaque;
static unsigned int syncs;
static unsigned int calls;
static unsigned int held;
static struct call held_call[CALLS_MAX];
static struct call failing;

void __real_loop_read(struct loop *loop, struct loop_request *request, int descriptor, const struct iovec *vector,
                      unsigned int count, uint64_t offset, loop_done_fn *done);
void __real_loop_write(struct loop *loop, struct loop_request *request, int descriptor, const struct iovec *vector,
                       unsigned int count, uint64_t offset, loop_done_fn *done);
void __real_loop_allocate(struct loop *loop, struct loop_request *request, int descriptor, int mode, uint64_t offset,
                          uint64_t length, loop_done_fn *done);
void __real_loop_sync(struct loop *loop, struct loop_request *request, int descriptor, loop_done_fn *done);
void __wrap_loop_read(struct loop *loop, struct loop_request *request, int descriptor, const struct iovec *vector,
                      unsigned int count, uint64_t offset, loop_done_fn *done);
void __wrap_loop_write(struct loop *loop, struct loop_request *request, int descriptor, const struct iovec *vector,
                       unsigned int count, uint64_t offset, loop_done_fn *done);
void __wrap_loop_allocate(struct loop *loop, struct loop_request *request, int descriptor, int mode, uint64_t offset,
                          uint64_t length, loop_done_fn *done);
void __wrap_loop_sync(struct loop *loop, struct loop_request *request, int descriptor, loop_done_fn *done);

int __real_fsync(int descriptor);
int __wrap_fsync(int descriptor);

int __wrap_fsync(int descriptor)
{
    void (*const meanwhile)(void *opaque) = sync_meanwhile;

    syncs++;
    sync_meanwhile = NULL;
    if (meanwhile) {
        meanwhile(sync_opaque);
    }
    if (sync_failure) {
        errno = -sync_failure;
        sync_failure = 0;
        return -1;
    }
    return __real_fsync(descriptor);
}

void faults_hold(void)
{
    holding = true;
}

void faults_hang(int pipe)
{
    hanging = pipe;
}

unsigned int faults_held(void)
{
    return held;
}

void faults_reset(void)
{
    holding = false;
    hanging = -1;
    held = 0;
    failure = 0;
    sync_failure = 0;
    sync_meanwhile = NULL;
    cut_bytes = 0;
}

void faults_meanwhile(void (*meanwhile)(void *opaque), void *opaque)
{
    sync_meanwhile = meanwhile;
    sync_opaque = opaque;
}

void faults_fail_sync(int result)
{
    sync_failure = result;
}

void faults_fail(int result)
{
    failure = result;
}

void faults_cut(uint64_t bytes)
{
    cut_bytes = bytes;
}

unsigned int faults_calls(void)
{
    return calls;
}

unsigned int faults_syncs(void)
{
    return syncs;
}

static void start(const struct call *call)
{
    switch (call->kind) {
    case READ:
        __real_loop_read(call->loop, call->request, call->descriptor, call->vector, call->count, call->offset,
                         call->done);
        break;
    case WRITE:
        __real_loop_write(call->loop, call->request, call->descriptor, call->vector, call->count, call->offset,
                          call->done);
        break;
    case ALLOCATE:
        __real_loop_allocate(call->loop, call->request, call->descriptor, call->mode, call->offset, call->length,
                             call->done);
        break;
    case SYNC:
        __real_loop_sync(call->loop, call->request, call->descriptor, call->done);
        break;
    }
}

void faults_release(void)
{
    holding = false;
    for (unsigned int i = 0; i < held; i++) {
        start(&held_call[i]);
    }
    held = 0;
}

void faults_release_one(void)
{
    const struct call oldest = held_call[0];

    if (held > 0) {
        held--;
        memmove(held_call, held_call + 1, held * sizeof(held_call[0]));
        start(&oldest);
    }
}

static void fail_later(void *opaque)
{
    struct call *call = opaque;

    call->done(call->request, call->result);
}

static void take(const struct call *call)
{
    struct call copy = *call;

    calls++;
    /* See open_file() in devices/blk.c. The sandbox does not let us ask. */
    if (!getenv("MACHINE_SANDBOX") && fcntl(call->descriptor, F_GETFL) & O_NONBLOCK) {
        abort();
    }
    if (call->kind == SYNC && sync_failure) {
        failure = sync_failure;
        sync_failure = 0;
    }
    if (failure) {
        failing = copy;
        failing.result = failure;
        failing.task = (struct loop_task){ .run = fail_later, .opaque = &failing };
        failure = 0;
        loop_defer(call->loop, &failing.task);
        return;
    }
    if (cut_bytes && (call->kind == READ || call->kind == WRITE)) {
        cut_vector = call->vector[0];
        cut_vector.iov_len = cut_vector.iov_len < cut_bytes ? cut_vector.iov_len : cut_bytes;
        copy.vector = &cut_vector;
        copy.count = 1;
        cut_bytes = 0;
    }
    if (hanging >= 0 && call->kind == READ) {
        copy.descriptor = hanging;
    }
    if (holding) {
        if (held == CALLS_MAX) {
            abort();
        }
        held_call[held++] = copy;
        return;
    }
    start(&copy);
}

void __wrap_loop_read(struct loop *loop, struct loop_request *request, int descriptor, const struct iovec *vector,
                      unsigned int count, uint64_t offset, loop_done_fn *done)
{
    take(&(struct call){ .kind = READ, .loop = loop, .request = request, .descriptor = descriptor, .vector = vector,
                         .count = count, .offset = offset, .done = done });
}

void __wrap_loop_write(struct loop *loop, struct loop_request *request, int descriptor, const struct iovec *vector,
                       unsigned int count, uint64_t offset, loop_done_fn *done)
{
    take(&(struct call){ .kind = WRITE, .loop = loop, .request = request, .descriptor = descriptor, .vector = vector,
                         .count = count, .offset = offset, .done = done });
}

void __wrap_loop_allocate(struct loop *loop, struct loop_request *request, int descriptor, int mode, uint64_t offset,
                          uint64_t length, loop_done_fn *done)
{
    take(&(struct call){ .kind = ALLOCATE, .loop = loop, .request = request, .descriptor = descriptor, .mode = mode,
                         .offset = offset, .length = length, .done = done });
}

void __wrap_loop_sync(struct loop *loop, struct loop_request *request, int descriptor, loop_done_fn *done)
{
    syncs++;
    take(&(struct call){ .kind = SYNC, .loop = loop, .request = request, .descriptor = descriptor, .done = done });
}
