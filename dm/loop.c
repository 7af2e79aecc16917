/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * See loop.h. Every submission is a struct loop_request whose address is the completion's user data; a watch is a
 * request for one poll, made anew each time, so that a descriptor that is still readable is reported again
 * (level-triggered).
 *
 * Two limits. The submission queue is filled at the beginning of a turn and emptied by it, polls first. The completion
 * queue, twice as long, is never overcommitted: half of it is for requests, of which no more than `limit` are started,
 * half for polls. Requests that have not been started are in the queue `waiting`.
 */
#include "loop.h"

#include <errno.h>
#include <liburing.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#ifndef BLOCK_URING_CMD_DISCARD
#define BLOCK_URING_CMD_DISCARD _IO(0x12, 0) /* linux/blkdev.h, from 6.12 */
#endif

struct loop {
    struct io_uring ring;
    unsigned int limit;   /* requests that may be started at once */
    unsigned int started; /* requests that the kernel has or will have in this turn */
    unsigned int queued;  /* length of `waiting` */
    unsigned int polls;   /* watches that the kernel has */
    bool looked;          /* at what is readable, since a read was last tried at once */
    struct loop_request *waiting;
    struct loop_request **waiting_end;
    struct loop_watch *watches;
    struct loop_task *tasks;
    struct loop_task **tasks_end;
};

/* The fewer interruptions the better: completions are for this thread, when it asks for them. */
static int create_ring(struct io_uring *ring, unsigned int entries)
{
    const unsigned int choice[] = {
        IORING_SETUP_CLAMP | IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN, /* Linux 6.1 */
        IORING_SETUP_CLAMP,
    };
    int error = -EINVAL;

    for (unsigned int i = 0; i < 2 && error == -EINVAL; i++) {
        error = io_uring_queue_init(entries, ring, choice[i]);
    }
    return error;
}

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
    error = create_ring(&created->ring, entries);
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
        io_uring_prep_writev(sqe, request->descriptor, request->vector, request->count, request->offset);
        break;
    case IORING_OP_FALLOCATE:
        io_uring_prep_fallocate(sqe, request->descriptor, request->flags, (off_t)request->offset,
                                (off_t)request->length);
        break;
    case IORING_OP_URING_CMD: /* BLOCK_URING_CMD_DISCARD, which Linux has documented in its header alone */
        io_uring_prep_rw(IORING_OP_URING_CMD, sqe, request->descriptor, NULL, 0, 0);
        sqe->cmd_op = BLOCK_URING_CMD_DISCARD;
        sqe->addr = request->offset;
        sqe->addr3 = request->length;
        break;
    default:
        io_uring_prep_fsync(sqe, request->descriptor, IORING_FSYNC_DATASYNC);
        break;
    }
}

/* False: the submission queue is full. */
static bool submit(struct loop *loop, struct loop_request *request)
{
    struct io_uring_sqe *sqe = io_uring_get_sqe(&loop->ring);

    if (!sqe) {
        return false;
    }
    prepare(sqe, request);
    io_uring_sqe_set_data(sqe, request);
    return true;
}

static void start(struct loop *loop, struct loop_request *request)
{
    request->next = NULL;
    *loop->waiting_end = request;
    loop->waiting_end = &request->next;
    loop->queued++;
}

/* The first one that waits, which there is. */
static struct loop_request *take_waiting(struct loop *loop)
{
    struct loop_request *request = loop->waiting;

    loop->waiting = request->next;
    if (!loop->waiting) {
        loop->waiting_end = &loop->waiting;
    }
    loop->queued--;
    return request;
}

static void start_polls(struct loop *loop)
{
    for (struct loop_watch *watch = loop->watches; watch; watch = watch->next) {
        if (!watch->polled && !watch->ended && submit(loop, &watch->request)) {
            watch->polled = true;
            loop->polls++;
        }
    }
}

static void start_waiting(struct loop *loop)
{
    while (loop->waiting && loop->started < loop->limit && submit(loop, loop->waiting)) {
        (void)take_waiting(loop);
        loop->started++;
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
                unsigned int count, uint64_t offset, loop_done_fn *done)
{
    *request = (struct loop_request){ .operation = IORING_OP_WRITEV, .descriptor = descriptor, .vector = vector,
                                      .count = count, .offset = offset, .done = done };
    start(loop, request);
}

void loop_allocate(struct loop *loop, struct loop_request *request, int descriptor, int mode, uint64_t offset,
                   uint64_t length, loop_done_fn *done)
{
    *request = (struct loop_request){ .operation = IORING_OP_FALLOCATE, .descriptor = descriptor, .flags = mode,
                                      .offset = offset, .length = length, .done = done };
    start(loop, request);
}

void loop_discard(struct loop *loop, struct loop_request *request, int descriptor, uint64_t offset, uint64_t length,
                  loop_done_fn *done)
{
    *request = (struct loop_request){ .operation = IORING_OP_URING_CMD, .descriptor = descriptor, .offset = offset,
                                      .length = length, .done = done };
    start(loop, request);
}

/* Asks for a discard of nothing, which is invalid where one of something would be made. */
static bool refuses_nothing(struct io_uring *ring, int descriptor)
{
    const struct loop_request nothing = { .operation = IORING_OP_URING_CMD, .descriptor = descriptor };
    struct io_uring_probe *probe = io_uring_get_probe_ring(ring);
    const bool known = probe && io_uring_opcode_supported(probe, IORING_OP_URING_CMD);
    struct io_uring_cqe *cqe;

    io_uring_free_probe(probe);
    if (!known) {
        return false; /* this, too, would be invalid */
    }
    prepare(io_uring_get_sqe(ring), &nothing);
    return io_uring_submit_and_wait(ring, 1) == 1 && io_uring_peek_cqe(ring, &cqe) == 0 && cqe->res == -EINVAL;
}

bool loop_can_discard(int descriptor)
{
    struct io_uring ring;
    bool can;

    if (io_uring_queue_init(1, &ring, 0)) {
        return false;
    }
    can = refuses_nothing(&ring, descriptor);
    io_uring_queue_exit(&ring);
    return can;
}

void loop_sync(struct loop *loop, struct loop_request *request, int descriptor, loop_done_fn *done)
{
    *request = (struct loop_request){ .operation = IORING_OP_FSYNC, .descriptor = descriptor, .done = done };
    start(loop, request);
}

static void watch_done(struct loop_watch *watch, int result)
{
    int error = 0;

    watch->polled = false;
    watch->loop->polls--;
    if (result < 0) {
        error = result;
    } else if (result & POLLNVAL) {
        error = -EBADF;
    } else if (!(result & POLLIN) && (result & (POLLERR | POLLHUP))) {
        error = -EIO;
    }
    watch->ended = error != 0;
    watch->ready(watch->opaque, error);
}

void loop_watch_asleep(struct loop *loop, struct loop_watch *watch, int descriptor, loop_ready_fn *ready,
                       loop_sleep_fn *sleep, void *opaque)
{
    *watch = (struct loop_watch){
        .request = { .operation = IORING_OP_POLL_ADD, .descriptor = descriptor },
        .loop = loop, .next = loop->watches, .ready = ready, .sleep = sleep, .opaque = opaque,
    };
    loop->watches = watch;
}

void loop_watch(struct loop *loop, struct loop_watch *watch, int descriptor, loop_ready_fn *ready, void *opaque)
{
    loop_watch_asleep(loop, watch, descriptor, ready, NULL, opaque);
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

    for (unsigned int i = 0; i < 2 * loop->limit && io_uring_peek_cqe(&loop->ring, &cqe) == 0; i++) {
        struct loop_request *const request = io_uring_cqe_get_data(cqe);
        const int result = cqe->res;

        io_uring_cqe_seen(&loop->ring, cqe);
        if (request->operation == IORING_OP_POLL_ADD) {
            /* The request is the watch's first member. */
            watch_done((struct loop_watch *)(void *)request, result);
        } else {
            loop->started--;
            request->done(request, result);
        }
    }
}

/* The only watch, if it can sleep, and nothing is in the ring. */
static struct loop_watch *sleeper(const struct loop *loop)
{
    struct loop_watch *watch = loop->watches;

    return loop->started == 0 && watch && !watch->next && watch->sleep && !watch->ended ? watch : NULL;
}

/* Whether the one request that waits was a read of what is in memory; it has ended. */
static bool read_at_once(struct loop *loop)
{
    struct loop_request *request = loop->waiting;
    ssize_t result;

    if (!loop->looked || loop->queued != 1 || loop->tasks || !sleeper(loop) ||
        request->operation != IORING_OP_READV) {
        return false;
    }
    loop->looked = false;
    result = preadv2(request->descriptor, request->vector, (int)request->count, (off_t)request->offset, RWF_NOWAIT);
    if (result < 0 && (errno == EAGAIN || errno == EOPNOTSUPP)) {
        return false;
    }
    (void)take_waiting(loop);
    request->done(request, result < 0 ? -errno : (int)result);
    return true;
}

/* A turn of the ring. */
static int turn_ring(struct loop *loop, bool wait)
{
    int result;

    start_polls(loop);
    start_waiting(loop);
    result = wait ? io_uring_submit_and_wait(&loop->ring, 1) : io_uring_submit_and_get_events(&loop->ring);
    loop->looked = true;
    /*
     * EAGAIN, EBUSY: the kernel is short of memory or has completions that want to be read first; what is not
     * submitted stays.
     */
    if (result < 0 && result != -EINTR && result != -EAGAIN && result != -EBUSY) {
        return result;
    }
    handle_completions(loop);
    return 0;
}

int loop_run_once(struct loop *loop, bool wait)
{
    int error = 0;

    if (read_at_once(loop)) {
        /* The rest has the next turn. */
    } else if (wait && !loop->tasks && !loop->waiting && sleeper(loop)) {
        loop->looked = true;
        sleeper(loop)->sleep(sleeper(loop)->opaque);
    } else {
        error = turn_ring(loop, wait && !loop->tasks);
    }
    if (!error) {
        run_tasks(loop);
    }
    return error;
}

unsigned int loop_requests(const struct loop *loop)
{
    return loop->started + loop->queued;
}
