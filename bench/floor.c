/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What nobody can do without: sidebridge-dm with this in place of its event loop (loop.h). It sleeps in one blocking
 * read of the event channels, and file I/O has ended as soon as it is asked for: nothing is transferred. So what a
 * request costs is the least that it can cost with Xen, Linux and virtio as they are.
 *
 * With FLOOR_READS a read is made all the same, by one system call and nothing around it.
 *
 * For measurements alone (bench/performance.py). No signal is heard, there is one disk, and no plain ranges.
 */
#include "loop.h"

#include <errno.h>
#include <stdlib.h>

struct loop {
    struct loop_watch *watch;
    struct loop_task *task; /* the disk's, when it is queued */
};

int loop_create(struct loop **loop, unsigned int entries)
{
    (void)entries;
    *loop = calloc(1, sizeof(**loop));
    return *loop ? 0 : -ENOMEM;
}

void loop_destroy(struct loop *loop)
{
    free(loop);
}

void loop_watch_asleep(struct loop *loop, struct loop_watch *watch, int descriptor, loop_ready_fn *ready,
                       loop_sleep_fn *sleep, void *opaque)
{
    (void)descriptor;
    (void)ready;
    *watch = (struct loop_watch){ .sleep = sleep, .opaque = opaque };
    loop->watch = watch;
}

static int bytes_of(const struct iovec *vector, unsigned int count)
{
    size_t bytes = 0;

    for (unsigned int i = 0; i < count; i++) {
        bytes += vector[i].iov_len;
    }
    return (int)bytes;
}

void loop_read(struct loop *loop, struct loop_request *request, int descriptor, const struct iovec *vector,
               unsigned int count, uint64_t offset, loop_done_fn *done)
{
    (void)loop;
#ifdef FLOOR_READS
    (void)bytes_of;
    done(request, (int)preadv2(descriptor, vector, (int)count, (off_t)offset, 0));
#else
    (void)descriptor;
    (void)offset;
    done(request, bytes_of(vector, count));
#endif
}

void loop_write(struct loop *loop, struct loop_request *request, int descriptor, const struct iovec *vector,
                unsigned int count, uint64_t offset, loop_done_fn *done)
{
    (void)loop;
    (void)descriptor;
    (void)offset;
    done(request, bytes_of(vector, count));
}

void loop_allocate(struct loop *loop, struct loop_request *request, int descriptor, int mode, uint64_t offset,
                   uint64_t length, loop_done_fn *done)
{
    (void)loop;
    (void)descriptor;
    (void)mode;
    (void)offset;
    (void)length;
    done(request, 0);
}

void loop_sync(struct loop *loop, struct loop_request *request, int descriptor, loop_done_fn *done)
{
    (void)loop;
    (void)descriptor;
    done(request, 0);
}

void loop_defer(struct loop *loop, struct loop_task *task)
{
    loop->task = task;
}

int loop_run_once(struct loop *loop, bool wait)
{
    struct loop_task *const task = loop->task;

    loop->task = NULL;
    if (task) {
        task->run(task->opaque);
    } else if (wait) {
        loop->watch->sleep(loop->watch->opaque);
    }
    return 0;
}

unsigned int loop_requests(const struct loop *loop)
{
    (void)loop;
    return 0;
}
