/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A virtio device between its transport (pci.h or mmio.h, which turns registers into the calls below) and its kind
 * (blk, ...: devices/, which answers requests): status, features, queues, reset (virtio 1.2, sections 2.1, 2.2, 2.4,
 * 3.1).
 *
 * A queue is of one of two kinds, as its device says:
 *   pushed  chains are work: each is handed to the kind, by `request`, as soon as there is one
 *   pulled  chains are room, for what comes from elsewhere: the kind takes them when it has something, by
 *           virtio_device_take(). Where it found too few, `available` says when it should try again; else nobody asks
 *           the driver for notifications. Chains have no status byte: those that cannot be answered are refused.
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

#define VIRTIO_QUEUES_MAX 64u /* one bit each */

struct virtio_device;

/*
 * The kind of a device. What it has no use for is NULL. All are called from tasks of the event loop, but for those of
 * which it is said that a guest access waits for them: they change what the kind remembers, and defer what is to be
 * done.
 */
struct virtio_device_operations {
    /*
     * A chain came in on a pushed queue. The device ends it, now or later, with virtio_device_complete(): exactly once,
     * in any order, and also when a reset has begun meanwhile. Or it refuses it, at once.
     */
    void (*request)(struct virtio_device *device, unsigned int queue, struct virtqueue_chain *chain);

    /*
     * The status of a request of a pushed queue whose data cannot be handed over, since the driver has not granted its
     * buffer: what the last byte becomes that the device may write.
     */
    uint8_t error_status;

    /* In a pulled queue in which virtio_device_take() has found too few chains there may be more now. */
    void (*available)(struct virtio_device *device, unsigned int queue);

    /*
     * The driver has started the device, or it is for a predecessor that was killed that we go on: chains may be taken
     * and features are agreed on. Once until the next reset.
     */
    void (*driver_ok)(struct virtio_device *device);

    /*
     * The driver has written into the device configuration space: 1 to 8 bytes, all within config_size. What it reads
     * afterwards is the kind's business. A guest access waits.
     */
    void (*config_write)(struct virtio_device *device, uint64_t offset, unsigned int size, uint64_t data);

    /*
     * A reset has begun, or the guest changes its memory, or the process is to end: chains that wait for what may never
     * come (a peer that reads, not the storage) are completed, or put back with virtio_device_untake(), the last one
     * first. No more are taken until it goes on. Perhaps a guest access waits.
     */
    void (*let_go)(struct virtio_device *device);

    /* The driver has reset the device, which has no chain in flight any more. Perhaps a guest access waits. */
    void (*reset)(struct virtio_device *device);
};

enum virtio_device_taken {
    VIRTIO_DEVICE_CHAIN,
    VIRTIO_DEVICE_NONE,  /* the driver has offered no more */
    VIRTIO_DEVICE_LATER, /* not now: no memory in this turn, the device does not run, ... */
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
    bool starting;              /* the kind is still to be told that the driver has started the device */
    bool letting_go;            /* the kind is being asked to: a reset is not over before it has */
    const void *config;         /* device configuration space, as the driver reads it; the kind's */
    size_t config_size;

    unsigned int queue_count;
    /* One bit a queue: */
    uint64_t kicked;            /* look for new chains */
    uint64_t full;              /* likewise, when there is room for its buffers */
    uint64_t quiet;             /* likewise, whenever there is an occasion, since it does not notify */
    struct loop_quiet listener;
    uint64_t closing;           /* to be disabled when no chain of it is in flight */
    uint64_t pulled;            /* it is */
    uint64_t wanting;           /* pulled, and the kind has found too few chains */
    uint64_t untaken;           /* chains were put back in this turn */
    uint64_t completed;         /* the driver may want to be interrupted */
    uint64_t giving;            /* with grants: something is in `ended` */
    struct virtqueue *queue;    /* queue_count of them */
    struct virtqueue_chain **ended; /* with grants, by queue: to be given back, the last one first */
    struct virtio_device_counters counters;
};

/*
 * For kinds. -ENOMEM. Offers VERSION_1, EVENT_IDX and INDIRECT_DESC besides `features`; with grants ACCESS_PLATFORM,
 * which the driver has to accept, in place of INDIRECT_DESC (queue.h). RING_PACKED is for the kind to offer. 1 to
 * VIRTIO_QUEUES_MAX queues, which have `queue_size[queue]` entries at most: virtqueue_init(). They are pushed.
 */
int virtio_device_init(struct virtio_device *device, uint16_t id, const struct virtio_device_operations *operations,
                       struct loop *loop, struct platform *platform, unsigned int queue_count,
                       const uint16_t queue_size[], uint64_t features);
void virtio_device_finish(struct virtio_device *device); /* nothing is in flight */

/* The queue is pulled. Right after virtio_device_init(). */
void virtio_device_pull(struct virtio_device *device, unsigned int queue);

/*
 * Takes a chain from a pulled queue: then it is the kind's until it completes it, refuses it or puts it back; its
 * memory can be used. If there is none, `available` is called when there may be, once. Not from where a guest access
 * waits. Who takes many bounds by itself how many in one turn of the loop.
 */
enum virtio_device_taken virtio_device_take(struct virtio_device *device, unsigned int queue,
                                            struct virtqueue_chain **chain);

/*
 * Puts back what has been taken, as it came: neither its vectors nor what they are about were changed. It is the next
 * that is taken; of several, the last one that is put back. So a kind can take chains until it knows that they suffice,
 * and else have them put back, and is told when there are more. From a pushed queue only to let go of it.
 */
void virtio_device_untake(struct virtio_device *device, unsigned int queue, struct virtqueue_chain *chain);

/*
 * Gives a chain back. With grants that is done in the device's task, for all that have been completed till then.
 * `written` counts from the first byte that the device may write without a gap, or less (2.7.8.2). In a pushed queue
 * the last byte that it may write is the status, which has been written whether or not it counts.
 */
void virtio_device_complete(struct virtio_device *device, unsigned int queue, struct virtqueue_chain *chain,
                            uint32_t written);

/*
 * The same for several, of which the driver finds all, in this order, or none: `first` and those that are linked to it
 * by `together`, each with `written`.
 */
void virtio_device_complete_together(struct virtio_device *device, unsigned int queue, struct virtqueue_chain *first);

/*
 * Instead of completing a chain that has no place for an error: the device says NEEDS_RESET, and takes no more.
 * Requests in flight end as usual.
 */
void virtio_device_refuse(struct virtio_device *device, unsigned int queue, struct virtqueue_chain *chain);

/*
 * A number that grows whenever a chain of the queue is given back, by this process or by one that it goes on for, and is
 * 0 when the queue has been reset. So a kind can note down which chain something is about: the one that is given back
 * when the number grows next.
 */
uint64_t virtio_device_given(const struct virtio_device *device, unsigned int queue);

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
 * For a device that is to outlive its process: memory for the journals of its queues, aligned to
 * VIRTQUEUE_JOURNAL_ALIGNMENT, zero unless to be restored; what is to be saved whenever the driver has changed
 * something; and its way back, in two steps, between which the accesses that wait are answered. Resuming starts anew
 * the requests that were in flight, and interrupts in any case.
 *
 * The journals lie there one after the other, each of VIRTQUEUE_JOURNAL_SIZE() for the entries that its queue may have:
 * so the size depends on nothing but what the device was made with, and tells apart devices of which one cannot go on
 * for the other.
 */
size_t virtio_device_journal_size(const struct virtio_device *device);
void virtio_device_keep_journals(struct virtio_device *device, void *memory);
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

/* The device configuration space: the same, and a write of 1 to 8 bytes, ignored if one of them is beyond its end. */
uint64_t virtio_device_config(struct virtio_device *device, uint64_t offset, unsigned int size, bool write,
                              uint64_t data);

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
