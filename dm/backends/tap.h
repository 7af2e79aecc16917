/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Frames to and from a TAP interface of the host, or a macvtap or ipvtap one, found by the name of the link. Each queue
 * is a descriptor of its own; frames go to the kernel and come from it by one system call each, with the header that
 * says what is left to do, so that the kernel of the guest and that of the host leave segments and checksums to each
 * other. Memory of another Xen domain is no obstacle: the kernel copies.
 *
 * The link is up when the interface is (`ip link set NAME up`), and, of a macvtap, what it stands on. A socket that
 * listens for that is opened with the rest.
 *
 * A TAP that is not there is made, and is there as long as the process. One that is to be there for a successor is to
 * be made before.
 */
#ifndef BACKENDS_TAP_H
#define BACKENDS_TAP_H

#include <sys/ioctl.h>

#include <linux/if_tun.h>

#include "devices/kind.h"
#include "frames.h"

struct tap_options {
    const char *name;
    unsigned int queues; /* 1..FRAMES_QUEUES_MAX */
    unsigned int mtu;    /* that an interface gets if it is made; 0: as it is */
};

/* As kind->open(). -EBUSY: another process has it. */
int tap_open(const struct tap_options *options, struct kind_files *files, char error[KIND_ERROR_MAX]);

/* Of what was opened, which is its own if it succeeds. */
int tap_create(struct frames **frames, struct loop *loop, const struct kind_files *files, char error[KIND_ERROR_MAX]);

/* Commands of ioctl(2) that it makes once it has been created. */
#define TAP_COMMANDS TUNSETOFFLOAD, TUNSETQUEUE

#endif
