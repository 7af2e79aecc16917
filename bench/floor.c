/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What nobody can do without: sidebridge-dm in which these functions stand for the event loop's own. It sleeps in one
 * blocking read of the event channels, and a read of the disk has ended as soon as it is asked for: nothing is
 * transferred. So what a request costs is the least that it can cost with Xen, Linux and virtio as they are.
 *
 * With FLOOR_READS the read is made all the same, by one system call and nothing around it.
 *
 * For measurements alone (bench/performance.py): one disk, which is only read, and no signal is heard.
 */
#include <stddef.h>

#include "loop.h"

/* As the linker's --wrap calls them; what loop.h says of the parameters holds for these, too. */
__typeof__(loop_watch_asleep) __wrap_loop_watch_asleep;
__typeof__(loop_read) __wrap_loop_read;
__typeof__(loop_defer) __wrap_loop_defer;
__typeof__(loop_run_once) __wrap_loop_run_once;

static loop_sleep_fn *sleep_in;
static void *sleep_opaque;
static struct loop_task *due; /* the disk's */

void __wrap_loop_watch_asleep(struct loop *loop, struct loop_watch *watch, int descriptor, loop_ready_fn *ready,
                              loop_sleep_fn *sleep, void *opaque)
{
    (void)loop;
    (void)watch;
    (void)descriptor;
    (void)ready;
    sleep_in = sleep;
    sleep_opaque = opaque;
}

void __wrap_loop_read(struct loop *loop, struct loop_request *request, int descriptor, const struct iovec *vector,
                      unsigned int count, uint64_t offset, loop_done_fn *done)
{
    ssize_t bytes = 0;

    (void)loop;
#ifdef FLOOR_READS
    bytes = preadv2(descriptor, vector, (int)count, (off_t)offset, 0);
#else
    (void)descriptor;
    (void)offset;
    for (unsigned int i = 0; i < count; i++) {
        bytes += (ssize_t)vector[i].iov_len;
    }
#endif
    done(request, (int)bytes);
}

void __wrap_loop_defer(struct loop *loop, struct loop_task *task)
{
    (void)loop;
    due = task;
}

int __wrap_loop_run_once(struct loop *loop, bool wait)
{
    struct loop_task *const task = due;

    (void)loop;
    due = NULL;
    if (task) {
        task->run(task->opaque);
    } else if (wait) {
        sleep_in(sleep_opaque);
    }
    return 0;
}
