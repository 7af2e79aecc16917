/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a process gives up once it has opened everything, so that it is worth nothing to who takes it over: what is left
 * is its guest, the disks of its guest, and a way to say so. In layers, each of which holds alone, since each has had
 * holes; docs/security-model.md says why in this order.
 *
 * A layer that the kernel lacks, or that this process is not privileged to make, is left out and named.
 *
 * One thread, before it serves anything, and above all before it looks at what a predecessor has left: that may have
 * been written by who has taken the predecessor over.
 */
#ifndef SANDBOX_H
#define SANDBOX_H

#include <stdbool.h>
#include <stdint.h>

#include "loop.h"

enum sandbox_layer {
    SANDBOX_RING,              /* io_uring: loop_seal() */
    SANDBOX_NAMESPACES,        /* a network, IPC, a host name and control groups of its own, with nothing in them */
    SANDBOX_ROOT,              /* mounts of its own: an empty root directory, which nobody can write to */
    SANDBOX_USER,              /* a user id of its own, no group, no capability */
    SANDBOX_NO_NEW_PRIVILEGES, /* execve(2) gives none */
    SANDBOX_LANDLOCK,          /* no file; from Linux 6.7 on no TCP port, from 6.12 on no signal to anybody */
    SANDBOX_LIMITS,            /* no new descriptor but what is needed, little more memory, few threads, no core file */
    SANDBOX_SYSTEM_CALLS,      /* seccomp: those that serving needs; any other ends the process (SIGSYS) */
    SANDBOX_LAYERS,
};

/* Users that nobody else has: above those that systemd and containers give away, one a guest. */
#define SANDBOX_USER_FIRST 0x70000000u
#define SANDBOX_SAME_USER  UINT32_MAX

#define SANDBOX_TEXT_MAX 400u

/* What serving takes beyond what it always does, for one kind of device. */
struct sandbox_needs {
    const int *calls; /* system calls, as libseccomp numbers them, with any arguments */
    unsigned int call_count;
    const unsigned long *commands; /* of ioctl(2) */
    unsigned int command_count;
    unsigned int descriptors; /* that are opened or received, at most at a time */
};

struct sandbox_options {
    struct loop *loop; /* all of its watches and files are there */
    uint32_t user;     /* and group; SANDBOX_SAME_USER: gives up capabilities only */
    const struct sandbox_needs *const *needs;
    unsigned int needs_count;
};

/* One layer alone, for tests. Negative errno value: it does not hold. */
int sandbox_make(enum sandbox_layer layer, const struct sandbox_options *options);

/*
 * All layers. Returns how many are lacking, and their names with the reasons in `lacking`. There is no way back, nor is
 * there if some are lacking.
 */
unsigned int sandbox_enter(const struct sandbox_options *options, char lacking[SANDBOX_TEXT_MAX]);

/*
 * The first thing that a process does: its parent's descriptors, which it has no use for, are closed, and standard
 * input and output, unless they are to be kept, are nothing; standard error stays, or is nothing. 0, or the negative
 * errno value of opening /dev/null: what was closed is so still, the next file would get its descriptor, and what is
 * printed would go there.
 */
int sandbox_drop_inherited(bool keep_standard);

#endif
