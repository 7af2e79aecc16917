/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What nobody can do without: sidebridge-dm whose reads have ended as soon as they are asked for, and transfer nothing.
 * So nothing is ever in the ring, and the event loop sleeps in its one blocking read of the event channels: what a request
 * costs is the least that it can cost with Xen, Linux and virtio as they are.
 *
 * With FLOOR_READS the read is made all the same, by one system call and nothing around it.
 *
 * For measurements alone (bench/performance.py).
 */
#include "loop.h"

void __wrap_loop_read(struct loop *loop, struct loop_request *request, int descriptor, const struct iovec *vector,
                      unsigned int count, uint64_t offset, loop_done_fn *done);

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
