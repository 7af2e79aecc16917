/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * See identity.h.
 */
#include "identity.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#ifndef BLKGETDISKSEQ
#define BLKGETDISKSEQ _IOR(0x12, 128, uint64_t) /* Linux 5.15 */
#endif

static int identity_of_block_device(int descriptor, const struct stat *about, struct identity *identity)
{
    uint64_t sequence;

    *identity = (struct identity){ .device = about->st_rdev };
    if (ioctl(descriptor, BLKGETDISKSEQ, &sequence) == 0) {
        identity->which = sequence;
        return 0;
    }
    return ioctl(descriptor, BLKGETSIZE64, &identity->size) ? -errno : 0;
}

int identity_of(int descriptor, struct identity *identity)
{
    struct stat about;
    struct statx more;

    *identity = (struct identity){ 0 };
    if (fstat(descriptor, &about)) {
        return -errno;
    }
    if (S_ISBLK(about.st_mode)) {
        return identity_of_block_device(descriptor, &about, identity);
    }
    if (!S_ISREG(about.st_mode)) {
        return -EINVAL;
    }
    *identity = (struct identity){ .device = about.st_dev, .which = about.st_ino };
    if (statx(descriptor, "", AT_EMPTY_PATH, STATX_BTIME, &more) == 0 && (more.stx_mask & STATX_BTIME)) {
        identity->born = (uint64_t)more.stx_btime.tv_sec * 1000000000u + more.stx_btime.tv_nsec;
    } else {
        identity->size = (uint64_t)about.st_size;
    }
    return 0;
}

int identity_of_name(const char *path, struct identity *identity)
{
    struct stat about;
    int descriptor, result;

    *identity = (struct identity){ 0 };
    /* To open something else may do things. */
    if (stat(path, &about)) {
        return -errno;
    }
    if (!S_ISREG(about.st_mode) && !S_ISBLK(about.st_mode)) {
        return -EINVAL;
    }
    descriptor = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    if (descriptor < 0) {
        return -errno;
    }
    result = identity_of(descriptor, identity);
    (void)close(descriptor);
    return result;
}

bool identity_equal(const struct identity *one, const struct identity *other)
{
    return one->device == other->device && one->which == other->which && one->born == other->born &&
           one->size == other->size;
}
