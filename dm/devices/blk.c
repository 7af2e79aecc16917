/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * See blk.h. A request is: header (16 bytes, device-readable, split over descriptors as the driver likes), data, and
 * one status byte, the last that the device may write (5.2.6). There is one struct request for each descriptor head,
 * so that every chain that can be in flight has its own.
 *
 *   request()    copies and judges the header, finds the status byte     -> begin_*()
 *   begin_*()    starts the I/O, or gives the status at once
 *   *_done()     goes on after a short transfer, or gives the status     -> settle() or finish()
 *   settle()     what has changed the file is made durable first, if the driver cannot flush
 *
 * Linux reports that it could not write something back once, to one fdatasync(), whoever's data they were; then all
 * seems well. So there is one at a time, for all requests that wait for one, and what it reports is kept: nothing that
 * asks for durability succeeds any more until the driver has reset the device (struct blk_journal).
 */
#include "blk.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <linux/fs.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_ids.h>

#include "virtio/copy.h"

#define BLK_CLASS 0x018000u /* PCI: mass storage, other */

#define SECTOR        512u
#define SEG_MAX       (BLK_QUEUE_SIZE - 2u) /* header and status take one descriptor each */
#define SEGMENT_BYTES 0x100000u
#define PAGE_CACHE    4096u                 /* what a file is written in, whatever its length */

#define DISCARD_SECTORS 0x400000u /* 2 GiB a request */
#define ZEROES_SECTORS  0x10000u  /* 32 MiB: perhaps they have to be written */
#define ZEROES_VECTORS  VIRTQUEUE_VECTORS /* then in so many pieces at once, */
#define ZEROES_PIECE    (LOOP_TURN_BYTES / ZEROES_VECTORS) /* each of so many bytes */

/*
 * How a range comes to read as zeroes, the best way first. A hole gives its space back, which the driver has to allow.
 * A block device may know none, and is zeroed in place by the kernel if not by itself. Some file systems know neither
 * (vfat, ramfs) or not the second (tmpfs).
 */
enum zeroing {
    ZEROING_HOLE,
    ZEROING_IN_PLACE,
    ZEROING_WRITTEN,
};
static const int zeroing_mode[ZEROING_WRITTEN] = {
    [ZEROING_HOLE] = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
    [ZEROING_IN_PLACE] = FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE,
};

/* Only read, so that it takes no memory. */
static char zeroes[ZEROES_PIECE];

/*
 * What must not be forgotten when the process is killed. The first two: data were lost that had been accepted: 0, or
 * why (a negative errno value).
 */
struct blk_journal {
    int32_t failed;   /* since the device was reset */
    int32_t lost;     /* since the device was made */
    uint64_t sectors; /* capacity that the driver has been told; 0: none yet */
};

/* The descriptors that it stands on. */
enum {
    FILE_DATA,
    FILE_CLAIM, /* of a block device that is written to */
};

struct blk;

struct request {
    struct loop_request io; /* first: the loop gives this back */
    struct blk *blk;
    unsigned int queue;
    struct virtqueue_chain *chain;
    uint8_t *status;        /* in guest memory */
    struct iovec *vector;   /* what is still to be transferred */
    unsigned int count;
    uint64_t offset;        /* in the file */
    uint64_t left;          /* bytes */
    uint64_t written;       /* bytes of the data that the device writes, from the first on */
    struct request *next;   /* in a list of those that wait for a sync */
    enum zeroing zeroing;   /* the way that is being tried */
};

/* Of the one file. */
struct sync {
    struct loop_request io; /* first: the loop gives this back */
    bool under_way;
    struct request *covered; /* end with the one that is under way */
    struct request *waiting; /* came later: what they wrote may be */
};

struct blk {
    struct virtio_device device;
    struct loop *loop;
    int file;
    int claim; /* on the block device; -1: none */
    struct sync sync;
    struct blk_journal *journal;
    struct blk_journal own; /* unless the journal is to outlive the process */
    bool read_only;
    bool block_device;
    bool discards;           /* can */
    unsigned int cannot;     /* bits of enum zeroing */
    bool packed;
    unsigned int queues;
    uint64_t sectors;
    char id[VIRTIO_BLK_ID_BYTES];
    struct virtio_blk_config config;
    struct request request[]; /* BLK_QUEUE_SIZE of each queue */
};

/* The device is the disk's first member. */
static struct blk *blk_of(struct virtio_device *device)
{
    return (struct blk *)(void *)device;
}

static void finish(struct request *request, uint8_t status)
{
    /* The status is the last byte: where data are missing before it, it does not count (2.7.8.2). */
    const uint64_t written = request->written + (request->written == request->chain->writable_bytes);

    *(volatile uint8_t *)request->status = status;
    virtio_device_complete(&request->blk->device, request->queue, request->chain, (uint32_t)written);
}

static void end(struct request *request, bool well)
{
    finish(request, well ? (uint8_t)VIRTIO_BLK_S_OK : (uint8_t)VIRTIO_BLK_S_IOERR);
}

/* Drops `bytes`, of which there are as many, at the front of the vectors. */
static void drop(struct request *request, uint64_t bytes)
{
    while (request->count > 0 && bytes >= request->vector->iov_len) {
        bytes -= request->vector->iov_len;
        request->vector++;
        request->count--;
    }
    if (bytes > 0) {
        request->vector->iov_base = (char *)request->vector->iov_base + bytes;
        request->vector->iov_len -= bytes;
    }
}

static struct blk *blk_of_sync(struct loop_request *io)
{
    return (struct blk *)(void *)((char *)io - offsetof(struct blk, sync.io));
}

static void start_sync(struct blk *blk);

/*
 * The kernel had no thread or no memory to begin with, so that nothing is lost, and Linux has told nothing: what has
 * not been written will be by the next one.
 */
static bool untried(int result)
{
    return result == -ECANCELED || result == -EAGAIN || result == -ENOMEM;
}

static void sync_done(struct loop_request *io, int result)
{
    struct blk *blk = blk_of_sync(io);
    struct request *request = blk->sync.covered;

    if (result == -EINTR) {
        loop_sync(blk->loop, io, blk->file, sync_done);
        return;
    }
    blk->sync.covered = NULL;
    blk->sync.under_way = false;
    if (result < 0 && !untried(result)) {
        /* Before any driver is told, since we may be killed in between. */
        blk->journal->lost = result;
        blk->journal->failed = result;
    }
    while (request) {
        struct request *const next = request->next;

        end(request, result == 0);
        request = next;
    }
    start_sync(blk);
}

static void start_sync(struct blk *blk)
{
    if (blk->sync.under_way || !blk->sync.waiting) {
        return;
    }
    blk->sync.under_way = true;
    blk->sync.covered = blk->sync.waiting;
    blk->sync.waiting = NULL;
    if (blk->journal->failed) {
        sync_done(&blk->sync.io, blk->journal->failed);
    } else {
        loop_sync(blk->loop, &blk->sync.io, blk->file, sync_done);
    }
}

/* Ends when all that has been written so far is on stable storage, or may not be any more. */
static void make_durable(struct request *request)
{
    struct sync *sync = &request->blk->sync;

    request->next = sync->waiting;
    sync->waiting = request;
    start_sync(request->blk);
}

/* 5.2.6.2: without FLUSH the driver has no way to ask for durability, so each change is durable. */
static void settle(struct request *request)
{
    if (virtio_device_has(&request->blk->device, VIRTIO_BLK_F_FLUSH)) {
        finish(request, VIRTIO_BLK_S_OK);
    } else {
        make_durable(request);
    }
}

static void read_done(struct loop_request *io, int result);
static void write_done(struct loop_request *io, int result);

static void start_read(struct request *request)
{
    loop_read(request->blk->loop, &request->io, request->blk->file, request->vector, request->count, request->offset,
              read_done);
}

static void start_write(struct request *request)
{
    loop_write(request->blk->loop, &request->io, request->blk->file, request->vector, request->count, request->offset,
               write_done);
}

enum transfer {
    TRANSFER_FAILED,
    TRANSFER_GOES_ON,
    TRANSFER_ENDED,
};

/* What has come of a read or write. Nothing transferred is the end of a file that shrank. */
static enum transfer transferred(struct request *request, int result)
{
    if (result == -EINTR) {
        return TRANSFER_GOES_ON;
    }
    if (result <= 0 || (uint64_t)result > request->left) {
        return TRANSFER_FAILED;
    }
    drop(request, (uint64_t)result);
    request->offset += (uint64_t)result;
    request->left -= (uint64_t)result;
    return request->left > 0 ? TRANSFER_GOES_ON : TRANSFER_ENDED;
}

static void read_done(struct loop_request *io, int result)
{
    struct request *request = (struct request *)(void *)io;
    const enum transfer transfer = transferred(request, result);

    if (transfer == TRANSFER_GOES_ON) {
        start_read(request);
    } else {
        request->written = request->chain->writable_bytes - request->left;
        end(request, transfer == TRANSFER_ENDED);
    }
}

/* What has come of a write; `go_on` starts what is left of it. */
static void written(struct request *request, int result, void (*go_on)(struct request *))
{
    const enum transfer transfer = transferred(request, result);

    if (transfer == TRANSFER_GOES_ON) {
        go_on(request);
    } else if (transfer == TRANSFER_ENDED) {
        settle(request);
    } else {
        end(request, false);
    }
}

static void write_done(struct loop_request *io, int result)
{
    written((struct request *)(void *)io, result, start_write);
}

static void discard_done(struct loop_request *io, int result);

static void start_discard(struct request *request)
{
    struct blk *blk = request->blk;

    if (blk->block_device) {
        loop_discard(blk->loop, &request->io, blk->file, request->offset, request->left, discard_done);
    } else {
        loop_allocate(blk->loop, &request->io, blk->file, zeroing_mode[ZEROING_HOLE], request->offset, request->left,
                      discard_done);
    }
}

static void discard_done(struct loop_request *io, int result)
{
    struct request *request = (struct request *)(void *)io;

    switch (result) {
    case 0:
        settle(request);
        break;
    case -EINTR:
        start_discard(request);
        break;
    case -EOPNOTSUPP:
        finish(request, VIRTIO_BLK_S_UNSUPP);
        break;
    default:
        end(request, false);
        break;
    }
}

static void zeroes_written(struct loop_request *io, int result);

/* The next piece. The chain's vectors, of which there are as many, are of no other use. */
static void write_zeroes(struct request *request)
{
    uint64_t bytes = 0;

    request->vector = request->chain->vector;
    for (request->count = 0; request->count < ZEROES_VECTORS && bytes < request->left; request->count++) {
        const uint64_t left = request->left - bytes;

        request->vector[request->count] = (struct iovec){ zeroes, left < ZEROES_PIECE ? (size_t)left : ZEROES_PIECE };
        bytes += request->vector[request->count].iov_len;
    }
    loop_write(request->blk->loop, &request->io, request->blk->file, request->vector, request->count, request->offset,
               zeroes_written);
}

static void zeroes_written(struct loop_request *io, int result)
{
    written((struct request *)(void *)io, result, write_zeroes);
}

static void zeroing_done(struct loop_request *io, int result);

/* The best way that is left. */
static void start_zeroing(struct request *request)
{
    struct blk *blk = request->blk;

    while (request->zeroing < ZEROING_WRITTEN && (blk->cannot & 1u << request->zeroing)) {
        request->zeroing++;
    }
    if (request->zeroing == ZEROING_WRITTEN) {
        write_zeroes(request);
    } else {
        loop_allocate(blk->loop, &request->io, blk->file, zeroing_mode[request->zeroing], request->offset,
                      request->left, zeroing_done);
    }
}

static void zeroing_done(struct loop_request *io, int result)
{
    struct request *request = (struct request *)(void *)io;

    switch (result) {
    case 0:
        settle(request);
        break;
    case -EINTR:
        start_zeroing(request);
        break;
    case -EOPNOTSUPP:
        request->blk->cannot |= 1u << request->zeroing;
        start_zeroing(request);
        break;
    case -EINVAL: /* not of whole blocks of the block device */
    case -EBUSY:  /* something of it is still to be written to the device, which is claimed by another descriptor */
        request->zeroing = ZEROING_WRITTEN;
        start_zeroing(request);
        break;
    default:
        end(request, false);
        break;
    }
}

static bool beyond_end(const struct blk *blk, uint64_t sector, uint64_t count)
{
    return count > blk->sectors || sector > blk->sectors - count;
}

/* IN and OUT: the data must be whole sectors, all of them there. */
static void begin_transfer(struct request *request, uint64_t sector, uint64_t bytes, bool write)
{
    struct blk *blk = request->blk;

    if (bytes % SECTOR != 0 || beyond_end(blk, sector, bytes / SECTOR) || (write && blk->read_only)) {
        finish(request, VIRTIO_BLK_S_IOERR);
        return;
    }
    if (bytes == 0) {
        finish(request, VIRTIO_BLK_S_OK);
        return;
    }
    request->offset = sector * SECTOR;
    request->left = bytes;
    if (write) {
        start_write(request);
    } else {
        start_read(request);
    }
}

/* Copies `size` readable bytes out of the chain and drops them; there are as many. */
static void take(struct request *request, void *to, size_t size)
{
    virtio_gather(to, request->vector, 0, size);
    drop(request, size);
    request->chain->readable_bytes -= size;
}

/* DISCARD and WRITE_ZEROES (5.2.6.2): exactly one range, since that is what the configuration says. */
static void begin_range(struct request *request, uint32_t limit, uint32_t known_flags, void (*start)(struct request *))
{
    struct blk *blk = request->blk;
    struct virtio_blk_discard_write_zeroes range;

    if (blk->read_only || request->chain->readable_bytes != sizeof(range)) {
        finish(request, VIRTIO_BLK_S_IOERR);
        return;
    }
    take(request, &range, sizeof(range));
    if (range.flags & ~known_flags) {
        finish(request, VIRTIO_BLK_S_UNSUPP);
        return;
    }
    if (range.num_sectors > limit || beyond_end(blk, range.sector, range.num_sectors)) {
        finish(request, VIRTIO_BLK_S_IOERR);
        return;
    }
    if (range.num_sectors == 0) {
        finish(request, VIRTIO_BLK_S_OK);
        return;
    }
    request->offset = range.sector * SECTOR;
    request->left = (uint64_t)range.num_sectors * SECTOR;
    request->zeroing = range.flags & VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP ? ZEROING_HOLE : ZEROING_IN_PLACE;
    start(request);
}

static void begin_discard(struct request *request)
{
    if (request->blk->discards || request->blk->read_only) {
        begin_range(request, DISCARD_SECTORS, 0, start_discard);
    } else {
        finish(request, VIRTIO_BLK_S_UNSUPP);
    }
}

static void begin_zeroing(struct request *request)
{
    begin_range(request, ZEROES_SECTORS, VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP, start_zeroing);
}

static void begin_flush(struct request *request)
{
    if (!virtio_device_has(&request->blk->device, VIRTIO_BLK_F_FLUSH)) {
        finish(request, VIRTIO_BLK_S_UNSUPP);
        return;
    }
    make_durable(request);
}

/* As much of the id as there is room for. */
static void give_id(struct request *request)
{
    request->written = virtio_scatter(request->vector, request->count, request->blk->id, VIRTIO_BLK_ID_BYTES);
    finish(request, VIRTIO_BLK_S_OK);
}

/* Takes the status byte off the end of the writable part; false when there is none, or it cannot be written. */
static bool find_status(struct request *request)
{
    struct virtqueue_chain *chain = request->chain;

    request->status = virtqueue_last_byte(chain);
    if (!request->status) {
        return false;
    }
    chain->writable_bytes--;
    if (--chain->vector[chain->readable + chain->writable - 1].iov_len == 0) {
        chain->writable--;
    }
    return true;
}

/* The readable or the writable part of the chain becomes the request's vectors. */
static void select_vectors(struct request *request, bool writable)
{
    struct virtqueue_chain *chain = request->chain;

    request->vector = writable ? chain->vector + chain->readable : chain->vector;
    request->count = writable ? chain->writable : chain->readable;
}

static void begin(struct request *request)
{
    struct virtqueue_chain *chain = request->chain;
    struct virtio_blk_outhdr header;

    select_vectors(request, false);
    take(request, &header, sizeof(header));

    switch (header.type) {
    case VIRTIO_BLK_T_IN:
        select_vectors(request, true);
        begin_transfer(request, header.sector, chain->writable_bytes, false);
        break;
    case VIRTIO_BLK_T_OUT:
        begin_transfer(request, header.sector, chain->readable_bytes, true);
        break;
    case VIRTIO_BLK_T_FLUSH:
        begin_flush(request);
        break;
    case VIRTIO_BLK_T_GET_ID:
        select_vectors(request, true);
        give_id(request);
        break;
    case VIRTIO_BLK_T_DISCARD:
        begin_discard(request);
        break;
    case VIRTIO_BLK_T_WRITE_ZEROES:
        begin_zeroing(request);
        break;
    default:
        finish(request, VIRTIO_BLK_S_UNSUPP);
        break;
    }
}

static void request(struct virtio_device *device, unsigned int queue, struct virtqueue_chain *chain)
{
    struct blk *blk = blk_of(device);
    struct request *request = &blk->request[queue * BLK_QUEUE_SIZE + chain->head];

    *request = (struct request){ .blk = blk, .queue = queue, .chain = chain };
    if (!find_status(request)) {
        virtio_device_refuse(device, queue, chain);
    } else if (chain->unresolved || chain->readable_bytes < sizeof(struct virtio_blk_outhdr)) {
        finish(request, VIRTIO_BLK_S_IOERR);
    } else {
        begin(request);
    }
}

/* The driver has given up on what was lost. */
static void reset(struct virtio_device *device)
{
    struct blk *blk = blk_of(device);

    blk->journal->failed = 0;
}

static const struct virtio_device_operations operations = {
    .request = request, .error_status = VIRTIO_BLK_S_IOERR, .reset = reset,
};

/* Size and block sizes of what was opened. */
struct geometry {
    bool block_device;
    uint64_t bytes;
    unsigned int logical;
    unsigned int physical;
};

static int measure(int file, struct geometry *geometry)
{
    struct stat about;
    off_t size;

    *geometry = (struct geometry){ .logical = SECTOR, .physical = PAGE_CACHE };
    if (fstat(file, &about)) {
        return -errno;
    }
    geometry->block_device = S_ISBLK(about.st_mode);
    if (!geometry->block_device && !S_ISREG(about.st_mode)) {
        return -EINVAL;
    }
    size = lseek(file, 0, SEEK_END);
    if (size < 0 || (geometry->block_device && (ioctl(file, BLKSSZGET, &geometry->logical) ||
                                                ioctl(file, BLKPBSZGET, &geometry->physical)))) {
        return -errno;
    }
    geometry->bytes = (uint64_t)size;
    return 0;
}

static void fill_config(struct blk *blk, uint32_t segment, const struct geometry *geometry)
{
    const unsigned int logical = geometry->logical;

    blk->config = (struct virtio_blk_config){
        .capacity = blk->sectors,
        .size_max = segment,
        .seg_max = SEG_MAX,
        .blk_size = logical,
        .max_discard_sectors = DISCARD_SECTORS,
        .max_discard_seg = 1,
        .discard_sector_alignment = logical / SECTOR,
        .max_write_zeroes_sectors = ZEROES_SECTORS,
        .max_write_zeroes_seg = 1,
        .write_zeroes_may_unmap = 1,
        .num_queues = (uint16_t)blk->queues,
    };
    while (logical << blk->config.physical_block_exp < geometry->physical) {
        blk->config.physical_block_exp++;
    }
    blk->device.config = &blk->config;
    blk->device.config_size = sizeof(blk->config);
}

static uint64_t features(const struct blk *blk)
{
    const uint64_t always = 1ull << VIRTIO_BLK_F_SIZE_MAX | 1ull << VIRTIO_BLK_F_SEG_MAX |
                            1ull << VIRTIO_BLK_F_BLK_SIZE | 1ull << VIRTIO_BLK_F_TOPOLOGY | 1ull << VIRTIO_BLK_F_FLUSH;

    return always | (blk->read_only ? 1ull << VIRTIO_BLK_F_RO : 1ull << VIRTIO_BLK_F_WRITE_ZEROES) |
           (blk->discards ? 1ull << VIRTIO_BLK_F_DISCARD : 0) | (blk->packed ? 1ull << VIRTIO_F_RING_PACKED : 0) |
           (blk->queues > 1 ? 1ull << VIRTIO_BLK_F_MQ : 0);
}

/* Asked without changing anything: of a file, by a hole behind its end. */
static bool can_discard(const struct blk *blk, uint64_t bytes)
{
    const uint64_t behind = (bytes + PAGE_CACHE - 1) / PAGE_CACHE * PAGE_CACHE;

    return blk->block_device ? loop_can_discard(blk->file)
                             : fallocate(blk->file, zeroing_mode[ZEROING_HOLE], (off_t)behind, PAGE_CACHE) == 0;
}

static int not_opened(char *error)
{
    return kind_refuse(-errno,
                       errno == EBUSY ? "in use on this host: by a mount, another device or another device model"
                                      : "cannot be opened",
                       error);
}

/*
 * A block device that is mounted, or part of another one, is not for writing. What claims it is not the file that is
 * read and written: the event loop's ring has that one as well, and goes later than its process. Against a device model
 * that comes meanwhile there is the lock, which is the file's.
 */
static int claim_device(const char *path, struct kind_files *files, char *error)
{
    struct stat claimed, opened;

    files->file[FILE_CLAIM] = open(path, O_RDONLY | O_EXCL | O_CLOEXEC | O_NONBLOCK);
    if (files->file[FILE_CLAIM] < 0) {
        return not_opened(error);
    }
    files->count++;
    if (fstat(files->file[FILE_CLAIM], &claimed) || fstat(files->file[FILE_DATA], &opened) ||
        claimed.st_rdev != opened.st_rdev) {
        return kind_refuse(-ESTALE, "was exchanged while it was opened", error);
    }
    return 0;
}

static int lock_file(const struct blk_options *options, struct kind_files *files, char *error)
{
    const int file = files->file[FILE_DATA];
    struct geometry geometry;
    int result = measure(file, &geometry);

    if (result || geometry.bytes < SECTOR) {
        return kind_refuse(result ? result : -EINVAL,
                           result == -EINVAL ? "neither a regular file nor a block device"
                           : result          ? "its size cannot be found out"
                                             : "smaller than one sector of 512 bytes",
                           error);
    }
    result = geometry.block_device && !options->read_only ? claim_device(options->path, files, error) : 0;
    if (!result && flock(file, (options->read_only ? LOCK_SH : LOCK_EX) | LOCK_NB)) {
        result = errno == EWOULDBLOCK ? kind_refuse(-EBUSY, "in use by another device model", error)
                                      : kind_refuse(-errno, "cannot be locked", error);
    }
    return result;
}

static int open_file(const void *opaque, struct kind_files *files, char error[KIND_ERROR_MAX])
{
    const struct blk_options *options = opaque;
    /*
     * Without O_NONBLOCK the opening of a pipe would wait for its other end. With it, io_uring would give EAGAIN on
     * file systems that cannot do without waiting, such as an initramfs, instead of letting a kernel thread wait.
     */
    const int file = open(options->path, (options->read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC | O_NONBLOCK);
    int result;

    if (file < 0) {
        return not_opened(error);
    }
    *files = (struct kind_files){ .count = 1, .file = { file } };
    result = fcntl(file, F_SETFL, 0) ? not_opened(error) : lock_file(options, files, error);
    if (result) {
        kind_files_close(files);
    }
    return result;
}

static void set_id(struct blk *blk, const struct blk_options *options)
{
    const char *slash = strrchr(options->path, '/');
    const char *id = options->id ? options->id : slash ? slash + 1 : options->path;

    memcpy(blk->id, id, strnlen(id, sizeof(blk->id)));
}

static void finish_blk(struct blk *blk)
{
    virtio_device_finish(&blk->device);
    free(blk);
}

static int make_device(struct blk *blk, struct platform *platform)
{
    uint16_t queue_size[BLK_QUEUES_MAX];

    for (unsigned int i = 0; i < blk->queues; i++) {
        queue_size[i] = BLK_QUEUE_SIZE;
    }
    return virtio_device_init(&blk->device, VIRTIO_ID_BLOCK, &operations, blk->loop, platform, blk->queues, queue_size,
                              features(blk));
}

static int create(struct virtio_device **device, const struct kind_host *host, const void *opaque,
                  const struct kind_files *files, char error[KIND_ERROR_MAX])
{
    const struct blk_options *options = opaque;
    const bool grants = platform_uses_grants(host->platform);
    const unsigned int queues = options->queues ? options->queues : 1;
    struct blk *blk = calloc(1, sizeof(*blk) + queues * BLK_QUEUE_SIZE * sizeof(blk->request[0]));
    struct geometry geometry;
    int result;

    if (!blk) {
        return kind_refuse(-ENOMEM, "no memory for it", error);
    }
    blk->loop = host->loop;
    blk->journal = &blk->own;
    blk->file = files->file[FILE_DATA];
    blk->claim = files->count > FILE_CLAIM ? files->file[FILE_CLAIM] : -1;
    blk->read_only = options->read_only;
    blk->packed = options->packed;
    blk->queues = queues;
    result = measure(blk->file, &geometry);
    if (!result) {
        blk->block_device = geometry.block_device;
        blk->sectors = geometry.bytes / SECTOR;
        blk->discards = !blk->read_only && can_discard(blk, geometry.bytes);
        result = loop_add_file(blk->loop, blk->file);
    }
    if (!result) {
        result = make_device(blk, host->platform);
    }
    if (result) {
        finish_blk(blk);
        return kind_refuse(result, "cannot be made a disk", error);
    }
    fill_config(blk, grants ? PLATFORM_GRANT_BYTES : SEGMENT_BYTES, &geometry);
    set_id(blk, options);
    blk->journal->sectors = blk->sectors;
    *device = &blk->device;
    return 0;
}

static void destroy(struct virtio_device *device)
{
    struct blk *blk = blk_of(device);

    if (blk->claim >= 0) {
        (void)close(blk->claim);
    }
    (void)flock(blk->file, LOCK_UN); /* before the last who has it is gone: that is the ring, sooner or later */
    (void)close(blk->file);
    finish_blk(blk);
}

static int identify(const void *options, const struct kind_files *files, struct identity *identity)
{
    return files ? identity_of(files->file[FILE_DATA], identity)
                 : identity_of_name(((const struct blk_options *)options)->path, identity);
}

static void keep_journal(struct virtio_device *device, void *opaque)
{
    struct blk *blk = blk_of(device);
    struct blk_journal *journal = opaque;

    blk->journal = journal;
    if (journal->sectors == 0) {
        journal->sectors = blk->sectors;
    }
}

/* The file has another size than the driver knows. */
static bool resized(struct virtio_device *device)
{
    struct blk *blk = blk_of(device);
    const off_t bytes = lseek(blk->file, 0, SEEK_END);

    if (bytes < 0 || (uint64_t)bytes / SECTOR == blk->journal->sectors) {
        return false;
    }
    blk->sectors = (uint64_t)bytes / SECTOR;
    blk->config.capacity = blk->sectors;
    virtio_device_config_changed(device);
    return true;
}

static void resize_known(struct virtio_device *device)
{
    struct blk *blk = blk_of(device);

    blk->journal->sectors = blk->sectors;
}

/* What was written is on stable storage, unless some was lost before. */
static int sync_file(struct virtio_device *device)
{
    const struct blk *blk = blk_of(device);
    const int error = !blk->read_only && fsync(blk->file) ? -errno : 0;

    return blk->journal->lost ? blk->journal->lost : error;
}

static const struct setting settings[] = {
    { "file", SETTING_TEXT, true, "FILE", NULL, "a regular file or a block device",
      offsetof(struct blk_options, path), 0, 0 },
    { "readonly", SETTING_FLAG, false, NULL, NULL, "the guest cannot write to it; others may have it read-only, too",
      offsetof(struct blk_options, read_only), 0, 0 },
    { "id", SETTING_TEXT, false, "ID", "the last part of FILE",
      "the serial number that the guest sees, 20 bytes at most",
      offsetof(struct blk_options, id), 0, 0 },
    { "queues", SETTING_NUMBER, false, "N", "1", "how many queues the guest may use, each for some of its processors",
      offsetof(struct blk_options, queues), 1, BLK_QUEUES_MAX },
    { "packed", SETTING_FLAG, false, NULL, NULL, "offers the guest packed rings as well, in place of split ones",
      offsetof(struct blk_options, packed), 0, 0 },
};

const struct kind blk_kind = {
    .name = "blk",
    .help = "a disk",
    .class_code = BLK_CLASS,
    .settings = SETTINGS(settings),
    .options_size = sizeof(struct blk_options),
    .journal_size = sizeof(struct blk_journal),
    .open = open_file,
    .create = create,
    .destroy = destroy,
    .identify = identify,
    .keep_journal = keep_journal,
    .changed = resized,
    .change_known = resize_known,
    .finish = sync_file,
};
