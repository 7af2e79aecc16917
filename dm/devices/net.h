/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * virtio-net (virtio 1.2, section 5.1), on whatever gives and takes frames (backends/frames.h).
 *
 * What the guest sends goes out of its memory without a stop in between. What comes for it is read first, since only
 * then it is known how many of the driver's buffers it takes; one frame a queue waits for them, the others where they
 * come from. A frame that breaks a rule is lost, and counted; so is one that is too long for the driver's buffers.
 *
 * The driver may refuse every feature but VERSION_1, and all but that, too: which offloads there are follows.
 */
#ifndef DEVICES_NET_H
#define DEVICES_NET_H

#include <stdbool.h>

#include "kind.h"

#define NET_QUEUE_SIZE 256u

struct net_options {
    const char *tap;    /* name of the interface; one of these is there */
    const char *stream; /* path of a socket to connect to */
    const char *listen; /* or to listen to */
    const char *mac;    /* as text; NULL: the back end's choice */
    unsigned int mtu;    /* 0: the back end's */
    unsigned int queues; /* pairs of them; 0: 1 */
    unsigned int speed;  /* Mbit/s; 0: nobody knows */
    bool packed;         /* rings are offered */
};

extern const struct kind net_kind;

#endif
