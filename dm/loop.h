/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The event loop: one io_uring that watches descriptors and carries all file I/O.
 *
 * Four kinds of work, each a struct that its user owns and that stays where it is while in use:
 *   watch    a descriptor; its function is called each time that it is readable
 *   request  one read, write, sync, allocation or discard on a file; its function is called once, with the result
 *   task     a function to be called once, after what is being handled now, and after at most one turn of the loop
 *   quiet    somebody who is looked after without having to notify, until the loop sleeps
 *
 * Nothing is allocated after loop_create() and nothing is dropped: a request that finds the ring full waits in a
 * queue, in order, and starts when another one has ended. Watches have places of their own: however many requests
 * there are, and however long the storage takes, what becomes readable is seen.
 *
 * Where the loop sleeps when there is nothing to do:
 *   with the watch that can sleep (loop_watch_asleep()) and nothing else, neither watch nor request: in its function,
 *     that is, one blocking read(2) which brings what has happened: a sleep cannot cost less
 *   else: in io_uring_enter(2), for requests and watches alike
 * Likewise a read that is alone, with nothing else in the ring, is first tried at once, by preadv2(2) with RWF_NOWAIT:
 * what is in memory needs no ring, and no two system calls. After a few such turns what is readable has its own.
 *
 * One thread, the one that created the loop; functions that are called may call everything here but loop_run_once() and
 * loop_destroy(). Whoever wants to wake the loop, such as a signal handler, makes a watched descriptor readable.
 *
 * Functions that return int return 0 or a negative errno value.
 */
#ifndef LOOP_H
#define LOOP_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

struct loop;
struct loop_request;

/* result: bytes of a read or write, 0 of anything else, or a negative errno value. */
typedef void loop_done_fn(struct loop_request *request, int result);

/* error: 0, or why the descriptor cannot be watched any more (a negative errno value; the watch has ended). */
typedef void loop_ready_fn(void *opaque, int error);

/* Waits until a watched descriptor is readable, in a system call of its own, and handles what has come. */
typedef void loop_sleep_fn(void *opaque);

typedef void loop_task_fn(void *opaque);

struct loop_request {
    /* private */
    loop_done_fn *done;
    struct loop_request *next;
    const struct iovec *vector;
    struct iovec first; /* what is transferred of a vector that is too large */
    uint64_t offset;
    uint64_t length;
    uint32_t count;
    int descriptor;
    int flags;
    uint8_t operation;
};

struct loop_watch {
    /* private */
    struct loop_request request;
    struct loop *loop;
    loop_ready_fn *ready;
    loop_sleep_fn *sleep;
    void *opaque;
    uint32_t events;
    bool watched; /* by epoll */
    bool polled;  /* by the ring */
    bool ended;
};

struct loop_task {
    loop_task_fn *run; /* set both before the first loop_defer() */
    void *opaque;
    /* private */
    struct loop_task *next;
    bool queued;
};

struct loop_quiet {
    bool (*look)(void *opaque);   /* whether there is something to do; then it has deferred a task. No system call */
    void (*listen)(void *opaque); /* asks to be notified again; defers a task if there is something to do already */
    void *opaque; /* set all three before the first loop_stay_quiet() */
    /* private */
    struct loop_quiet *next;
    bool queued;
};

struct loop_counters {
    uint64_t polls; /* times that the loop polled instead of going to sleep */
    uint64_t found; /* of these, how often there was something to do */
};

#define LOOP_FILES_MAX 64u

/* Threads that the kernel makes at most for requests that have to wait (from Linux 5.15 on). */
#define LOOP_WORKERS_MAX 16u

/* `entries` is the number of requests that may be under way at once: 1..4096, rounded up to a power of two. */
int loop_create(struct loop **loop, unsigned int entries);

/*
 * Waits until every request under way has ended (their functions are called), then ends all watches. NULL is allowed.
 */
void loop_destroy(struct loop *loop);

/*
 * Watches until an error, loop_unwatch() or loop_destroy(); a sealed loop too, any descriptor, one watch each. Its
 * `ready` must not wait, even if there is nothing to read. As epoll_ctl(2): -EPERM for what is always readable, such as
 * a file. With events: EPOLLIN, EPOLLOUT or both, and EPOLLET.
 */
int loop_watch(struct loop *loop, struct loop_watch *watch, int descriptor, loop_ready_fn *ready, void *opaque);
int loop_watch_events(struct loop *loop, struct loop_watch *watch, int descriptor, unsigned int events,
                      loop_ready_fn *ready, void *opaque);

/* From now on `ready` is not called any more. Before the descriptor is closed. Does nothing if it is not watched. */
void loop_unwatch(struct loop *loop, struct loop_watch *watch);

/*
 * The same for the descriptor from which most of the work comes; one a loop, before it is sealed, and for good.
 */
void loop_watch_asleep(struct loop *loop, struct loop_watch *watch, int descriptor, loop_ready_fn *ready,
                       loop_sleep_fn *sleep, void *opaque);

/*
 * What is in memory is copied while a read or write is started. So that nobody waits for long, a turn starts no more of
 * them once it has started so many bytes, and no request transfers more.
 */
#define LOOP_TURN_BYTES 0x100000u

/*
 * File I/O at an offset in bytes. The vectors (count 1..1024) stay the caller's and valid until the request has
 * ended. Short results are results: all of requests for more than LOOP_TURN_BYTES are. loop_allocate is fallocate(2)
 * with that mode; loop_sync is fdatasync(2).
 * loop_discard is for block devices, and for those alone of which loop_can_discard() says so: Linux knows it from 6.12
 * on, and not each of them can.
 */
void loop_read(struct loop *loop, struct loop_request *request, int descriptor, const struct iovec *vector,
               unsigned int count, uint64_t offset, loop_done_fn *done);
void loop_write(struct loop *loop, struct loop_request *request, int descriptor, const struct iovec *vector,
                unsigned int count, uint64_t offset, loop_done_fn *done);
void loop_allocate(struct loop *loop, struct loop_request *request, int descriptor, int mode, uint64_t offset,
                   uint64_t length, loop_done_fn *done);
void loop_discard(struct loop *loop, struct loop_request *request, int descriptor, uint64_t offset, uint64_t length,
                  loop_done_fn *done);
bool loop_can_discard(int descriptor);
void loop_sync(struct loop *loop, struct loop_request *request, int descriptor, loop_done_fn *done);

/*
 * Before the first turn: the ring will do nothing but what this file offers, and with no descriptors but those that
 * were added, and one to watch others, for good, whoever asks it (IORING_REGISTER_RESTRICTIONS). Nothing can be added
 * any more. -EOPNOTSUPP: the kernel does not know how (Linux 5.10). -ENOSPC: more than LOOP_FILES_MAX.
 *
 * The ring holds what was added for a moment longer than the process lives. What is watched it does not.
 */
int loop_add_file(struct loop *loop, int descriptor);
int loop_seal(struct loop *loop);

/* Queues a task; one that is queued already stays where it is. */
void loop_defer(struct loop *loop, struct loop_task *task);

/*
 * Somebody is not notified of new work, but looked after in each turn, whatever it is that the turn is about, until the
 * loop has nothing else to do. If requests are under way, that is when nothing has happened for LOOP_QUIET_US; else it
 * is now, or, with polling, when there was nothing to find for that time. Then `listen` is called, once.
 */
void loop_stay_quiet(struct loop *loop, struct loop_quiet *quiet);

#define LOOP_QUIET_US 1000u

/*
 * Polls for so long before it sleeps with no request under way; 0, as at first: never. When that was in vain it is not
 * done again for a while, the longer the more often: where the guest has no processor while we poll it never pays.
 */
void loop_set_polling(struct loop *loop, unsigned int microseconds);
bool loop_polling(const struct loop *loop);
struct loop_counters loop_counters(const struct loop *loop);

/*
 * One turn: starts what waits, handles what has happened, runs the tasks. With `wait` it sleeps until something
 * happens, unless tasks are queued. An error means that the ring is broken.
 */
int loop_run_once(struct loop *loop, bool wait);

/* Requests that have not ended, waiting ones included, watches not. */
unsigned int loop_requests(const struct loop *loop);

#endif
