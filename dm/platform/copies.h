/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The pieces that platform_copy() was asked for, until platform_copy_end(), in the order in which they are copied.
 *
 * Small ones come last, else it is the order in which they came. So those follow each other, and the caller keeps them
 * in one page (PLATFORM_COPY_SMALL): Xen, which has just copied to or from a page of ours, does not look for it again.
 */
#ifndef PLATFORM_COPIES_H
#define PLATFORM_COPIES_H

#include <stdbool.h>

#include "platform.h"

#define PLATFORM_COPIES_MAX 64u

struct platform_wanted_copy {
    struct platform_copy *piece;
    bool to_guest;
};

/* All zero: there are none. */
struct platform_copies {
    unsigned int large;
    unsigned int small;
    struct platform_wanted_copy wanted[PLATFORM_COPIES_MAX]; /* large ones from the front, small ones from the end */
};

static inline unsigned int platform_copies_count(const struct platform_copies *copies)
{
    return copies->large + copies->small;
}

/* index: below the count. */
static inline const struct platform_wanted_copy *platform_copies_at(const struct platform_copies *copies,
                                                                    unsigned int index)
{
    return &copies->wanted[index < copies->large ? index : PLATFORM_COPIES_MAX - 1 - (index - copies->large)];
}

/* There must be room: the count is below PLATFORM_COPIES_MAX. */
static inline void platform_copies_add(struct platform_copies *copies, struct platform_copy *piece, bool to_guest)
{
    const unsigned int place = piece->length > PLATFORM_COPY_SMALL ? copies->large++
                                                                   : PLATFORM_COPIES_MAX - 1 - copies->small++;

    copies->wanted[place] = (struct platform_wanted_copy){ piece, to_guest };
}

static inline void platform_copies_clear(struct platform_copies *copies)
{
    copies->large = copies->small = 0;
}

#endif
