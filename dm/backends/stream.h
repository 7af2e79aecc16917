/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Frames over a UNIX stream socket: each with its length before it, 32 bits, big-endian, as passt and QEMU have it.
 * There are no offloads.
 *
 * Either it listens, and serves one peer at a time, or it connects, as often as the peer is gone, and comes back. The
 * process is by then where there are no names of files: another process, made when this one is opened, does nothing but
 * to connect to that one name whenever it is asked to, and to hand over what it has got. It ends with this one.
 *
 * The link is up while there is a peer. What the guest sends meanwhile is lost.
 */
#ifndef BACKENDS_STREAM_H
#define BACKENDS_STREAM_H

#include "devices/kind.h"
#include "frames.h"

struct stream_options {
    const char *path;
    bool listens;
};

#define STREAM_DESCRIPTORS 1u /* that it receives, at most at a time */

/* As kind->open(). */
int stream_open(const struct stream_options *options, struct kind_files *files, char error[KIND_ERROR_MAX]);

/* Of what was opened, which is its own if it succeeds. */
int stream_create(struct frames **frames, struct loop *loop, const struct stream_options *options,
                  const struct kind_files *files, char error[KIND_ERROR_MAX]);

#endif
