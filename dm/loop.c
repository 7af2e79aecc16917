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
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#ifndef BLOCK_URING_CMD_DISCARD
#define BLOCK_URING_CMD_DISCARD _IO(0x12, 0) /* linux/blkdev.h, from 6.12 */
#endif

#define BACKOFF_MAX  1023u /* sleeps without polling, after one in vain */
#define EVENTS       32    /* that are handled in a turn */
#define UNLOOKED_MAX 8u    /* turns that do without a look at what is readable, if they copy little */

struct loop {
    struct io_uring ring;
    unsigned int limit;   /* requests that may be started at once */
    unsigned int started; /* requests that the kernel has or will have in this turn */
    unsigned int queued;  /* length of `waiting` */
    unsigned int polls;   /* that the kernel has */
    unsigned int unlooked; /* turns since it was looked at what is readable */
    struct loop_request *waiting;
    struct loop_request **waiting_end;
    struct loop_watch *asleep; /* NULL: none */
    struct loop_watch any;    /* of all others, and of that one when sealed: the epoll instance; descriptor -1: none */
    unsigned int watches;     /* how many others */
    struct epoll_event *happened; /* while it is being handled */
    int happened_count;
    bool disabled; /* the ring, until it is sealed or the first turn */
    bool sealed;
    unsigned int files;
    int file[LOOP_FILES_MAX]; /* those of a sealed loop: their places are how the ring knows them */
    struct loop_task *tasks;
    struct loop_task **tasks_end;
    struct loop_quiet *quiet;
    unsigned int polling; /* us */
    unsigned int backoff; /* after the next poll in vain, so many sleeps without polling */
    unsigned int skip;    /* so many sleeps without */
    struct loop_counters counters;
};

/* Of errors alone there is no way back: it is as if it had been unwatched. */
static void handle_event(struct loop_watch *watch, uint32_t events)
{
    if (events & watch->events) {
        watch->ready(watch->opaque, 0);
    } else {
        loop_unwatch(watch->loop, watch);
        watch->ready(watch->opaque, -EIO);
    }
}

static void any_ready(void *opaque, int error)
{
    struct loop *loop = opaque;
    struct epoll_event happened[EVENTS];

    if (error || loop->watches == 0) { /* without epoll nothing would be seen any more: who has most of it is told */
        if (loop->asleep && (error || loop->sealed)) {
            loop->asleep->ready(loop->asleep->opaque, error);
        }
        return;
    }
    loop->happened = happened;
    loop->happened_count = epoll_pwait(loop->any.request.descriptor, happened, EVENTS, 0, NULL);
    for (int i = 0; i < loop->happened_count; i++) {
        struct loop_watch *const watch = happened[i].data.ptr;

        if (watch) { /* nobody who was before has ended it */
            handle_event(watch, happened[i].events);
        }
    }
    loop->happened = NULL;
}

/* With no descriptor of its own: what is watched is not among the ring's files, which the ring keeps. */
static int make_epoll(struct loop *loop)
{
    if (loop->any.request.descriptor < 0) {
        loop->any.request.descriptor = epoll_create1(EPOLL_CLOEXEC);
    }
    return loop->any.request.descriptor < 0 ? -errno : 0;
}

static int add_to_epoll(struct loop *loop, struct loop_watch *watch)
{
    struct epoll_event event = { .events = watch->events, .data.ptr = watch };
    const int error = make_epoll(loop);

    return error                                                                                      ? error
           : epoll_ctl(loop->any.request.descriptor, EPOLL_CTL_ADD, watch->request.descriptor, &event) ? -errno
                                                                                                       : 0;
}

int loop_watch_events(struct loop *loop, struct loop_watch *watch, int descriptor, unsigned int events,
                      loop_ready_fn *ready, void *opaque)
{
    int error;

    *watch = (struct loop_watch){
        .request = { .descriptor = descriptor }, .loop = loop, .events = events, .ready = ready, .opaque = opaque,
    };
    error = add_to_epoll(loop, watch);
    watch->watched = !error;
    loop->watches += watch->watched;
    return error;
}

int loop_watch(struct loop *loop, struct loop_watch *watch, int descriptor, loop_ready_fn *ready, void *opaque)
{
    return loop_watch_events(loop, watch, descriptor, EPOLLIN, ready, opaque);
}

void loop_unwatch(struct loop *loop, struct loop_watch *watch)
{
    if (!watch->watched) {
        return;
    }
    watch->watched = false;
    loop->watches--;
    (void)epoll_ctl(loop->any.request.descriptor, EPOLL_CTL_DEL, watch->request.descriptor, NULL);
    for (int i = 0; loop->happened && i < loop->happened_count; i++) {
        if (loop->happened[i].data.ptr == watch) {
            loop->happened[i].data.ptr = NULL;
        }
    }
}

void loop_watch_asleep(struct loop *loop, struct loop_watch *watch, int descriptor, loop_ready_fn *ready,
                       loop_sleep_fn *sleep, void *opaque)
{
    *watch = (struct loop_watch){
        .request = { .operation = IORING_OP_POLL_ADD, .descriptor = descriptor },
        .loop = loop, .events = EPOLLIN, .ready = ready, .sleep = sleep, .opaque = opaque,
    };
    loop->asleep = watch;
}

/* The fewer interruptions the better: completions are for this thread, when it asks for them. */
static int create_ring(struct loop *loop, unsigned int entries)
{
    const unsigned int choice[] = {
        IORING_SETUP_CLAMP | IORING_SETUP_R_DISABLED |
            IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN, /* Linux 6.1 */
        IORING_SETUP_CLAMP | IORING_SETUP_R_DISABLED,                /* Linux 5.10 */
        IORING_SETUP_CLAMP,
    };
    int error = -EINVAL;

    for (unsigned int i = 0; i < 3 && error == -EINVAL; i++) {
        error = io_uring_queue_init(entries, &loop->ring, choice[i]);
        loop->disabled = choice[i] & IORING_SETUP_R_DISABLED;
    }
    return error;
}

/* Of the kernel's two kinds one is for files and block devices, and what else there may be gets by with one worker. */
static void limit_workers(struct loop *loop)
{
    unsigned int most[2] = { LOOP_WORKERS_MAX - 1, 1 };

    (void)io_uring_register_iowq_max_workers(&loop->ring, most); /* Linux 5.15 */
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
    error = create_ring(created, entries);
    if (error) {
        free(created);
        return error;
    }
    limit_workers(created);
    created->limit = *created->ring.sq.kring_entries;
    created->waiting_end = &created->waiting;
    created->tasks_end = &created->tasks;
    created->any = (struct loop_watch){
        .request = { .operation = IORING_OP_POLL_ADD, .descriptor = -1 },
        .loop = created, .ready = any_ready, .opaque = created,
    };
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
    if (loop->any.request.descriptor >= 0) {
        (void)close(loop->any.request.descriptor);
    }
    free(loop);
}

int loop_add_file(struct loop *loop, int descriptor)
{
    if (loop->files == LOOP_FILES_MAX) {
        return -ENOSPC;
    }
    loop->file[loop->files++] = descriptor;
    return 0;
}

/* Which of the registered files it is; one of ours, so it is there. */
static int place_of(const struct loop *loop, int descriptor)
{
    int place = 0;

    while (loop->file[place] != descriptor) {
        place++;
    }
    return place;
}

static int restrict_ring(struct loop *loop)
{
    static const uint8_t operation[] = {
        IORING_OP_POLL_ADD, IORING_OP_READV, IORING_OP_WRITEV, IORING_OP_FALLOCATE, IORING_OP_FSYNC,
        IORING_OP_URING_CMD,
    };
    struct io_uring_restriction restriction[sizeof(operation) + 2] = {
        { .opcode = IORING_RESTRICTION_SQE_FLAGS_ALLOWED, .sqe_flags = IOSQE_FIXED_FILE },
        { .opcode = IORING_RESTRICTION_SQE_FLAGS_REQUIRED, .sqe_flags = IOSQE_FIXED_FILE },
    };
    struct io_uring_probe *probe = io_uring_get_probe_ring(&loop->ring);
    unsigned int count = 2;

    if (!probe) {
        return -EOPNOTSUPP;
    }
    /* What the kernel does not know it will not do. */
    for (unsigned int i = 0; i < sizeof(operation); i++) {
        if (io_uring_opcode_supported(probe, operation[i])) {
            restriction[count++] = (struct io_uring_restriction){
                .opcode = IORING_RESTRICTION_SQE_OP, .sqe_op = operation[i],
            };
        }
    }
    io_uring_free_probe(probe);
    return io_uring_register_restrictions(&loop->ring, restriction, count);
}

static int enable_ring(struct loop *loop)
{
    loop->disabled = false;
    return io_uring_enable_rings(&loop->ring);
}

int loop_seal(struct loop *loop)
{
    int error = loop->disabled ? make_epoll(loop) : -EOPNOTSUPP;

    if (!error && loop->asleep) {
        error = add_to_epoll(loop, loop->asleep);
    }
    if (!error) {
        error = loop_add_file(loop, loop->any.request.descriptor);
    }
    if (!error) {
        error = io_uring_register_files(&loop->ring, loop->file, loop->files);
    }
    if (error) {
        return error;
    }
    loop->sealed = true;
    error = restrict_ring(loop);
    return error ? error : enable_ring(loop);
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
    if (loop->sealed) {
        sqe->fd = place_of(loop, request->descriptor);
        io_uring_sqe_set_flags(sqe, IOSQE_FIXED_FILE);
    }
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

static void start_poll(struct loop *loop, struct loop_watch *watch)
{
    if (!watch->polled && !watch->ended && submit(loop, &watch->request)) {
        watch->polled = true;
        loop->polls++;
    }
}

static void start_polls(struct loop *loop)
{
    if (loop->any.request.descriptor >= 0) {
        start_poll(loop, &loop->any);
    }
    if (loop->asleep && !loop->sealed) {
        start_poll(loop, loop->asleep);
    }
}

/* Leaves no more of a read or write than a turn may transfer. How many bytes that is; 0 for other requests. */
static uint64_t cut(struct loop_request *request)
{
    uint64_t bytes = 0;
    uint32_t count = 0;

    if (request->operation != IORING_OP_READV && request->operation != IORING_OP_WRITEV) {
        return 0;
    }
    if (request->vector->iov_len > LOOP_TURN_BYTES) {
        request->first = (struct iovec){ request->vector->iov_base, LOOP_TURN_BYTES };
        request->vector = &request->first;
        request->count = 1;
    }
    while (count < request->count && bytes + request->vector[count].iov_len <= LOOP_TURN_BYTES) {
        bytes += request->vector[count++].iov_len;
    }
    request->count = count;
    return bytes;
}

/* False: the turn has started as much as it may, and there is more. */
static bool start_waiting(struct loop *loop)
{
    uint64_t bytes = 0;

    while (loop->waiting && loop->started < loop->limit) {
        if (bytes >= LOOP_TURN_BYTES) {
            return false;
        }
        bytes += cut(loop->waiting);
        if (!submit(loop, loop->waiting)) {
            break;
        }
        (void)take_waiting(loop);
        loop->started++;
    }
    return true;
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

void loop_stay_quiet(struct loop *loop, struct loop_quiet *quiet)
{
    if (!quiet->queued) {
        quiet->queued = true;
        quiet->next = loop->quiet;
        loop->quiet = quiet;
    }
}

void loop_set_polling(struct loop *loop, unsigned int microseconds)
{
    loop->polling = microseconds;
}

bool loop_polling(const struct loop *loop)
{
    return loop->polling > 0;
}

struct loop_counters loop_counters(const struct loop *loop)
{
    return loop->counters;
}

static void listen_to_all(struct loop *loop)
{
    while (loop->quiet) {
        struct loop_quiet *const quiet = loop->quiet;

        loop->quiet = quiet->next;
        quiet->queued = false;
        quiet->listen(quiet->opaque);
    }
}

static uint64_t now(void)
{
    struct timespec time;

    (void)clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

static bool look_at_all(const struct loop *loop)
{
    bool found = false;

    for (const struct loop_quiet *quiet = loop->quiet; quiet; quiet = quiet->next) {
        found |= quiet->look(quiet->opaque);
    }
    return found;
}

static bool poll_for_work(struct loop *loop)
{
    const uint64_t end = now() + loop->polling * 1000ull;
    bool found;

    loop->counters.polls++;
    do {
        found = look_at_all(loop);
    } while (!found && now() < end);
    loop->counters.found += found;
    return found;
}

/* There is nothing to do: whoever is quiet has work now (true: it was found by polling), or notifies from now on. */
static bool end_quiet(struct loop *loop)
{
    if (loop->polling > 0 && loop->skip > 0) {
        loop->skip--;
    } else if (loop->polling > 0) {
        if (poll_for_work(loop)) {
            loop->backoff = 0;
            return true;
        }
        loop->skip = loop->backoff;
        loop->backoff = loop->backoff < BACKOFF_MAX ? 2 * loop->backoff + 1 : BACKOFF_MAX;
    }
    listen_to_all(loop);
    return false;
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

/* The watch that can sleep, if there is no other, and nothing is in the ring. */
static struct loop_watch *sleeper(const struct loop *loop)
{
    return loop->started == 0 && loop->watches == 0 && loop->asleep && !loop->asleep->ended ? loop->asleep : NULL;
}

/* Whether the one request that waits was a read of what is in memory; it has ended. */
static bool read_at_once(struct loop *loop)
{
    struct loop_request *const request = loop->waiting;
    uint64_t bytes;
    ssize_t result;

    if (loop->queued != 1 || request->operation != IORING_OP_READV || !sleeper(loop)) {
        return false;
    }
    bytes = cut(request);
    result = preadv2(request->descriptor, request->vector, (int)request->count, (off_t)request->offset, RWF_NOWAIT);
    if (result < 0 && (errno == EAGAIN || errno == EOPNOTSUPP || errno == ESPIPE)) {
        return false; /* not in memory; or no file of which that can be found out */
    }
    (void)take_waiting(loop);
    loop->unlooked += (unsigned int)(bytes * UNLOOKED_MAX / LOOP_TURN_BYTES);
    request->done(request, result < 0 ? -errno : (int)result);
    return true;
}

/* A turn of the ring. */
static int turn_ring(struct loop *loop, bool wait)
{
    struct __kernel_timespec quiet_time = { .tv_nsec = LOOP_QUIET_US * 1000 };
    struct io_uring_cqe *ended = NULL;
    int result;

    result = loop->disabled ? enable_ring(loop) : 0;
    if (result) {
        return result;
    }
    start_polls(loop);
    wait &= start_waiting(loop);
    if (wait && loop->quiet) {
        result = io_uring_submit_and_wait_timeout(&loop->ring, &ended, 1, &quiet_time, NULL);
        if (!ended) {
            listen_to_all(loop);
        }
    } else {
        result = wait ? io_uring_submit_and_wait(&loop->ring, 1) : io_uring_submit_and_get_events(&loop->ring);
    }
    loop->unlooked = 0;
    /*
     * EAGAIN, EBUSY: the kernel is short of memory or has completions that want to be read first; what is not
     * submitted stays.
     */
    if (result < 0 && result != -ETIME && result != -EINTR && result != -EAGAIN && result != -EBUSY) {
        return result;
    }
    handle_completions(loop);
    (void)look_at_all(loop);
    return 0;
}

int loop_run_once(struct loop *loop, bool wait)
{
    const bool found = loop->quiet && !loop->tasks && loop_requests(loop) == 0 && end_quiet(loop);
    int error = 0;

    if (loop->unlooked < UNLOOKED_MAX && (found || read_at_once(loop))) {
        loop->unlooked++;
    } else if (wait && !loop->tasks && !loop->waiting && sleeper(loop)) {
        loop->unlooked = 0;
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
