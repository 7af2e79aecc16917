/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * See loop.h. Every submission is a struct loop_request whose address is the completion's user data; a watch is a
 * request for one poll, made anew each time, so that a descriptor that is still readable is reported again
 * (level-triggered).
 *
 * Two limits: the submission queue, emptied at every turn, and the completion queue, which is never overcommitted:
 * `started` stays below its size. The queue `waiting` holds what does not fit.
 */
#include "loop.h"

#include <errno.h>
#include <liburing.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

struct loop {
    struct io_uring ring;
    unsigned int limit;    /* requests that may be started at once */
    unsigned int started;  /* requests that the kernel has or will have at the next turn, watches included */
    unsigned int watches;  /* of those and of the waiting ones, how many are watches */
    unsigned int queued;   /* length of `waiting` */
    struct loop_request *waiting;
    struct loop_request **waiting_end;
    struct loop_task *tasks;
    struct loop_task **tasks_end;
};

int loop_create(struct loop **loop, unsigned int entries)
{
    struct loop *created;
    int error;

    if (entries == 0 || entries > 4096) {
        return -EINVAL;
    }
    created = calloc(1, sizeof(*created));
    if (!created) {
        return -ENOMEM;
    }
    error = io_uring_queue_init(entries, &created->ring, IORING_SETUP_CLAMP);
    if (error) {
        free(created);
        return error;
    }
    created->limit = *created->ring.sq.kring_entries;
    created->waiting_end = &created->waiting;
    created->tasks_end = &created->tasks;
    *loop = created;
    return 0;
}

void loop_destroy(struct loop *loop)
{
    if (!loop) {
        return;
    }
    /* The kernel would go on with a read into memory that the caller is about to unmap. */
    while (loop_requests(loop) > 0 && loop_run_once(loop, true) == 0) {
    }
    io_uring_queue_exit(&loop->ring);
    free(loop);
}

static void prepare(struct io_uring_sqe *sqe, const struct loop_request *request)
{
    switch (request->operation) {
    case IORING_OP_POLL_ADD:
        io_uring_prep_poll_add(sqe, request->descriptor, POLLIN);
        break;
    case IORING_OP_READV:
        io_uring_prep_readv(sqe, request->descriptor, request->vector, request->count, request->offset);
        break;
    case IORING_OP_WRITEV:
        io_uring_prep_writev2(sqe, request->descriptor, request->vector, request->count, request->offset,
                              request->flags);
        break;
    case IORING_OP_FALLOCATE:
        io_uring_prep_fallocate(sqe, request->descriptor, request->flags, (off_t)request->offset,
                                (off_t)request->length);
        break;
    default:
        io_uring_prep_fsync(sqe, request->descriptor, IORING_FSYNC_DATASYNC);
        break;
    }
}

static bool try_start(struct loop *loop, struct loop_request *request)
{
    struct io_uring_sqe *sqe = loop->started < loop->limit ? io_uring_get_sqe(&loop->ring) : NULL;

    if (!sqe) {
        return false;
    }
    prepare(sqe, request);
    io_uring_sqe_set_data(sqe, request);
    loop->started++;
    return true;
}

static void start(struct loop *loop, struct loop_request *request)
{
    request->next = NULL;
    if (!loop->waiting && try_start(loop, request)) {
        return;
    }
    *loop->waiting_end = request;
    loop->waiting_end = &request->next;
    loop->queued++;
}

static void start_waiting(struct loop *loop)
{
    while (loop->waiting && try_start(loop, loop->waiting)) {
        loop->waiting = loop->waiting->next;
        if (!loop->waiting) {
            loop->waiting_end = &loop->waiting;
        }
        loop->queued--;
    }
}

void loop_read(struct loop *loop, struct loop_request *request, int descriptor, const struct iovec *vector,
               unsigned int count, uint64_t offset, loop_done_fn *done)
{
    *request = (struct loop_request){ .operation = IORING_OP_READV, .descriptor = descriptor, .vector = vector,
                                      .count = count, .offset = offset, .done = done };
    start(loop, request);
}

void loop_write(struct loop *loop, struct loop_request *request, int descriptor, const struct iovec *vector,
                unsigned int count, uint64_t offset, bool durable, loop_done_fn *done)
{
    *request = (struct loop_request){ .operation = IORING_OP_WRITEV, .descriptor = descriptor, .vector = vector,
                                      .count = count, .offset = offset, .done = done,
                                      .flags = durable ? RWF_DSYNC : 0 };
    start(loop, request);
}

void loop_allocate(struct loop *loop, struct loop_request *request, int descriptor, int mode, uint64_t offset,
                   uint64_t length, loop_done_fn *done)
{
    *request = (struct loop_request){ .operation = IORING_OP_FALLOCATE, .descriptor = descriptor, .flags = mode,
                                      .offset = offset, .length = length, .done = done };
    start(loop, request);
}

void loop_sync(struct loop *loop, struct loop_request *request, int descriptor, loop_done_fn *done)
{
    *request = (struct loop_request){ .operation = IORING_OP_FSYNC, .descriptor = descriptor, .done = done };
    start(loop, request);
}

static void watch_again(struct loop_watch *watch)
{
    watch->loop->watches++;
    start(watch->loop, &watch->request);
}

static void watch_done(struct loop_request *request, int result)
{
    /* The request is the watch's first member. */
    struct loop_watch *watch = (struct loop_watch *)(void *)request;
    int error = 0;

    watch->loop->watches--;
    if (result < 0) {
        error = result;
    } else if (result & POLLNVAL) {
        error = -EBADF;
    } else if (!(result & POLLIN) && (result & (POLLERR | POLLHUP))) {
        error = -EIO;
    }
    watch->ready(watch->opaque, error);
    if (!error) {
        watch_again(watch);
    }
}

void loop_watch(struct loop *loop, struct loop_watch *watch, int descriptor, loop_ready_fn *ready, void *opaque)
{
    *watch = (struct loop_watch){ .loop = loop, .ready = ready, .opaque = opaque };
    watch->request = (struct loop_request){ .operation = IORING_OP_POLL_ADD, .descriptor = descriptor,
                                            .done = watch_done };
    watch_again(watch);
}

void loop_defer(struct loop *loop, struct loop_task *task)
{
    if (task->queued) {
        return;
    }
    task->queued = true;
    task->next = NULL;
    *loop->tasks_end = task;
    loop->tasks_end = &task->next;
}

/* Runs what is queued now; what these tasks queue is for the next turn. */
static void run_tasks(struct loop *loop)
{
    struct loop_task *task = loop->tasks;

    loop->tasks = NULL;
    loop->tasks_end = &loop->tasks;
    while (task) {
        struct loop_task *const next = task->next;

        task->queued = false;
        task->run(task->opaque);
        task = next;
    }
}

/* At most as many as can be under way, so that tasks get their turn however fast requests end and start. */
static void handle_completions(struct loop *loop)
{
    struct io_uring_cqe *cqe;

    for (unsigned int i = 0; i < loop->limit && io_uring_peek_cqe(&loop->ring, &cqe) == 0; i++) {
        struct loop_request *const request = io_uring_cqe_get_data(cqe);
        const int result = cqe->res;

        io_uring_cqe_seen(&loop->ring, cqe);
        loop->started--;
        request->done(request, result);
    }
}

int loop_run_once(struct loop *loop, bool wait)
{
    int result;

    start_waiting(loop);
    result = io_uring_submit_and_wait(&loop->ring, wait && !loop->tasks ? 1 : 0);
    /*
     * EAGAIN, EBUSY: the kernel is short of memory or has completions that want to be read first; what is not
     * submitted stays.
     */
    if (result < 0 && result != -EINTR && result != -EAGAIN && result != -EBUSY) {
        return result;
    }
    handle_completions(loop);
    run_tasks(loop);
    return 0;
}

unsigned int loop_requests(const struct loop *loop)
{
    return loop->started + loop->queued - loop->watches;
}
