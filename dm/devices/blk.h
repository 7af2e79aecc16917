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
 *
 * The file is locked (flock; shared when read only) against other device models; a block device, unless read only, also
 * against all other use.
 */
#ifndef DEVICES_BLK_H
#define DEVICES_BLK_H

#include <stdbool.h>

#include "kind.h"

#define BLK_QUEUE_SIZE 256u
#define BLK_QUEUES_MAX 16u

struct blk_options {
    const char *path;
    const char *id; /* what GET_ID answers, cut after 20 bytes; NULL: the end of the path */
    bool read_only;
    bool packed;         /* offers packed rings as well */
    unsigned int queues; /* 0: 1 */
};

extern const struct kind blk_kind;

#endif
