/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A virtio device between its transport (pci.h or mmio.h, which turns registers into the calls below) and its kind
 * (blk, ...: devices/, which answers requests): status, features, queues, reset (virtio 1.2, sections 2.1, 2.2, 2.4,
 * 3.1).
 *
 * While enough of a queue's chains are in flight its driver is asked for no notifications: there will soon be an end of
 * one, when we look for new ones anyway (loop_stay_quiet()).
 *
 * A notification is noted, and the queue is worked on in a task of the event loop, after the access that notified has
 * been answered. Completions are collected likewise, so that one interrupt serves all that ended in one turn of the
 * loop.
 *
 * A reset is over when no chain is in flight any more, since until then the guest's memory is being used. Meanwhile
 * the status reads as it was, no request is started, and everything that the driver writes is ignored (2.4.2).
 *
 * The event loop's thread only.
 */
#ifndef VIRTIO_DEVICE_H
#define VIRTIO_DEVICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <linux/virtio_config.h>

#include "loop.h"
#include "platform/platform.h"
#include "queue.h"

#define VIRTIO_QUEUES_MAX 4u

struct virtio_device;

/* The kind of a device. */
struct virtio_device_operations {
    /*
     * A chain came in on a queue. The device ends it, now or later, with virtio_device_complete(): exactly once, in any
     * order, and also when a reset has begun meanwhile. Or it refuses it, at once.
     */
    void (*request)(struct virtio_device *device, unsigned int queue, struct virtqueue_chain *chain);

    /* The status of a request whose data cannot be handed over, since the driver has not granted its buffer. */
    uint8_t error_status;

    /* The driver has reset the device, which has no chain in flight any more. */
    void (*reset)(struct virtio_device *device);
};

/* The transport. All are called from the event loop's tasks or from the transport's own calls. */
struct virtio_transport_operations {
    void (*queue_interrupt)(void *opaque, unsigned int queue);
    void (*config_interrupt)(void *opaque);
    bool (*may_use_memory)(void *opaque);
    void (*reset_done)(void *opaque);
};

struct virtio_device_counters {
    uint64_t refused;     /* chains to which there is no answer */
    uint64_t needs_reset; /* times that the device gave up */
};

/* What a driver has told a device, and how far a reset is. The queues' journals say the rest. */
struct virtio_device_saved {
    uint64_t features;
    uint8_t status;
    uint8_t config_generation;
    bool resetting;
    struct {
        struct virtqueue_registers registers;
        bool enabled;
    } queue[VIRTIO_QUEUES_MAX];
};

struct virtio_device {
    const struct virtio_device_operations *operations;
    const struct virtio_transport_operations *transport;
    void *transport_opaque;
    struct loop *loop;
    struct loop_task task;

    uint16_t id;                /* virtio device id (section 5) */
    uint64_t features_offered;
    uint64_t features;          /* what the driver wrote; negotiated once FEATURES_OK is set */
    uint8_t status;             /* VIRTIO_CONFIG_S_* */
    uint8_t config_generation;
    bool resetting;
    bool stopped;
    bool paused;
    const void *config;         /* device configuration space, read only for the driver; the kind's */
    size_t config_size;

    unsigned int queue_count;
    uint32_t kicked;            /* one bit a queue: look for new chains */
    uint32_t full;              /* one bit a queue: likewise, when there is room for its buffers */
    uint32_t quiet;             /* one bit a queue: likewise, whenever there is an occasion, since it does not notify */
    struct loop_quiet listener;
    uint32_t closing;           /* one bit a queue: to be disabled when no chain of it is in flight */
    struct virtqueue queue[VIRTIO_QUEUES_MAX];
    struct virtqueue_chain *ended[VIRTIO_QUEUES_MAX]; /* with grants: to be given back, the last one first */
    struct virtio_device_counters counters;
};

/*
 * For kinds. -ENOMEM. Offers VERSION_1, EVENT_IDX and INDIRECT_DESC besides `features`; with grants ACCESS_PLATFORM,
 * which the driver has to accept, in place of INDIRECT_DESC (queue.h).
 */
int virtio_device_init(struct virtio_device *device, uint16_t id, const struct virtio_device_operations *operations,
                       struct loop *loop, struct platform *platform, unsigned int queue_count, uint16_t queue_size,
                       uint64_t features);
void virtio_device_finish(struct virtio_device *device); /* nothing is in flight */

/*
 * Gives a chain back. With grants that is done in the device's task, for all that have been completed till then.
 * `written` counts from the first byte that the device may write without a gap, or less (2.7.8.2); the last byte that
 * it may write is the status, which has been written whether or not it counts.
 */
void virtio_device_complete(struct virtio_device *device, unsigned int queue, struct virtqueue_chain *chain,
                            uint32_t written);

/*
 * Instead of completing a chain that has no place for an error: the device says NEEDS_RESET, and takes no more.
 * Requests in flight end as usual.
 */
void virtio_device_refuse(struct virtio_device *device, unsigned int queue, struct virtqueue_chain *chain);

/* The configuration space has changed: new generation, and the driver is told (2.5.2). */
void virtio_device_config_changed(struct virtio_device *device);

/* Whether the driver accepted a feature. */
bool virtio_device_has(const struct virtio_device *device, unsigned int feature);

/* For whoever ends the process: starts no more requests; those in flight end as usual. */
void virtio_device_stop(struct virtio_device *device);
unsigned int virtio_device_in_flight(const struct virtio_device *device);

/*
 * For when the guest has changed its memory (platform_memory_changed()): starts no more requests; when nothing is in
 * flight, unmaps the rings; maps them, or says NEEDS_RESET; and goes on.
 */
void virtio_device_pause(struct virtio_device *device);
void virtio_device_unmap(struct virtio_device *device);
void virtio_device_map(struct virtio_device *device);
void virtio_device_continue(struct virtio_device *device);

/*
 * For a device that is to outlive its process: journals for its queues, VIRTIO_QUEUES_MAX of them, zero unless to be
 * restored; what is to be saved whenever the driver has changed something; and its way back, in two steps, between
 * which the accesses that wait are answered. Resuming starts anew the requests that were in flight, and interrupts in
 * any case.
 */
void virtio_device_keep_journals(struct virtio_device *device, struct virtqueue_journal *journals);
void virtio_device_save(const struct virtio_device *device, struct virtio_device_saved *saved);
void virtio_device_restore(struct virtio_device *device, const struct virtio_device_saved *saved);
void virtio_device_resume(struct virtio_device *device);

/* For transports. */
void virtio_device_connect(struct virtio_device *device, const struct virtio_transport_operations *transport,
                           void *opaque);
void virtio_device_set_status(struct virtio_device *device, uint32_t value);
void virtio_device_set_features(struct virtio_device *device, unsigned int select, uint32_t value);
uint32_t virtio_device_features(uint64_t features, unsigned int select); /* one of the 32-bit parts */

/* Bytes of a structure for an access of 1 to 8 of them, all ones where it has none. */
uint64_t virtio_read_image(const void *image, size_t image_size, uint64_t offset, unsigned int size);

/*
 * The queue whose registers the driver may change now; NULL: none of that index, enabled already, or the device is
 * being reset.
 */
struct virtqueue *virtio_device_open_queue(struct virtio_device *device, unsigned int index);
void virtio_device_enable_queue(struct virtio_device *device, unsigned int index);

/*
 * Takes no more chains from the queue. When none is in flight, which may be now, it is disabled, with its registers as
 * after power on.
 */
void virtio_device_disable_queue(struct virtio_device *device, unsigned int index);
void virtio_device_kick(struct virtio_device *device, unsigned int index); /* any index */
void virtio_device_kick_all(struct virtio_device *device);
void virtio_device_room(struct virtio_device *device); /* platform_turn() says so: kicks what waits for it */
void virtio_device_reset(struct virtio_device *device);

#endif
