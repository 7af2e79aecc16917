/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * virtio-rng (virtio 1.2, section 5.4): random numbers of the host's kernel, getrandom(2).
 *
 * A guest gets so many bytes a second at most, an eighth of them at once, and for a longer buffer less than it has room
 * for. A guest that wants more waits, which costs nothing but a timer that ends eight times a second.
 */
#ifndef DEVICES_RNG_H
#define DEVICES_RNG_H

#include "kind.h"

#define RNG_QUEUE_SIZE   16u
#define RNG_RATE_DEFAULT 0x10000u

struct rng_options {
    unsigned int rate; /* bytes a second; 0: RNG_RATE_DEFAULT */
};

extern const struct kind rng_kind;

#endif
