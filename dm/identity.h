/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What tells a disk's file from every other that may come to its name: for as long as the machine is not restarted, two
 * that are equal are the same file or the same block device, and not one that came later and was given the same
 * numbers. Its size may have changed.
 */
#ifndef IDENTITY_H
#define IDENTITY_H

#include <stdbool.h>
#include <stdint.h>

struct identity {
    uint64_t device; /* of a file: the one that it is on; of a block device: its own number */
    uint64_t which;  /* of a file: inode; of a block device: how many block devices there were before (Linux 5.15) */
    uint64_t born;   /* of a file, if its file system knows: when it was made, in nanoseconds */
    uint64_t size;   /* bytes: where what tells it from a later one is not known, the size has to do */
};

/*
 * Of what is open there, or would be opened by that name. Negative errno value, -EINVAL if it is neither a regular file
 * nor a block device; then all is 0.
 */
int identity_of(int descriptor, struct identity *identity);
int identity_of_name(const char *path, struct identity *identity);

bool identity_equal(const struct identity *one, const struct identity *other);

#endif
