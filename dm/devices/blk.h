/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * virtio-blk (virtio 1.2, section 5.2) on a regular file or a block device of the host.
 *
 * Requests go to the event loop as they come and end in any order. Data move between the file and guest memory
 * without a stop in between; they go through the host's page cache, since memory of another Xen domain cannot be the
 * target of direct I/O. What has been reported as written is on stable storage after a FLUSH, or at once if the
 * driver did not negotiate it.
 *
 * Whatever goes wrong with the file is VIRTIO_BLK_S_IOERR for the request that met it, and for no other; but once data
 * could not be made durable, nothing that asks for durability succeeds until the driver has reset the device.
 */
#ifndef DEVICES_BLK_H
#define DEVICES_BLK_H

#include <stdbool.h>

#include "virtio/device.h"

#define BLK_CLASS      0x018000u /* PCI: mass storage, other */
#define BLK_QUEUE_SIZE 256u

struct blk;

struct blk_options {
    const char *path; /* borrowed for as long as the disk is there */
    const char *id; /* what GET_ID answers, cut after 20 bytes; NULL: the end of the path */
    bool read_only;
};

/*
 * What must not be forgotten when the process is killed; all zero at first. The first two: data were lost that had been
 * accepted: 0, or why (a negative errno value).
 */
struct blk_journal {
    int32_t failed;   /* since the device was reset */
    int32_t lost;     /* since the device was made */
    uint64_t sectors; /* capacity that the driver has been told */
};

/*
 * Opens the file and locks it (flock; shared when read only) against other device models; a block device, unless read
 * only, also against all other use. On failure *error is a sentence for the user (static storage); the result says why:
 * as open(2), -EBUSY somebody else has it, -EINVAL neither file nor block device or less than a sector, -ESTALE it was
 * exchanged meanwhile.
 */
int blk_create(struct blk **blk, struct loop *loop, struct platform *platform, const struct blk_options *options,
               const char **error);

/* Nothing is in flight. Anybody may have the file then, whoever else has its descriptor. NULL is allowed. */
void blk_destroy(struct blk *blk);

/* What the transport is given. Borrowed. */
struct virtio_device *blk_device(struct blk *blk);

/* What was opened. Borrowed. */
int blk_file(const struct blk *blk);

const char *blk_path(const struct blk *blk);

/* The journal is kept there from now on. */
void blk_keep_journal(struct blk *blk, struct blk_journal *journal);

/*
 * Looks whether the file has another size than the driver knows: true, and the driver is told. It is known once that
 * cannot be forgotten, even if the process is killed.
 */
bool blk_resized(struct blk *blk);
void blk_resize_known(struct blk *blk);

/* Waits until what was written is on stable storage. Negative errno value: not all is, or some was lost before. */
int blk_sync(struct blk *blk);

#endif
