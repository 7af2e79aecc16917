/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A guest's virtio driver, of disks above all, as small as it can be: it finds a function in configuration space, puts
 * its BAR somewhere (or knows the device's registers, in plain ranges), negotiates, builds rings in guest memory and
 * waits for what is used. What it does in driver_probe() and driver_start() is what Linux does; everything below that
 * can be done wrongly on purpose.
 *
 * Rings are split, or, with DRIVER_PACKED=1 in the environment or with the feature, packed: most tests do not care.
 *
 * Each device has a megabyte of guest memory of its own: rings first, then buffers.
 */
#ifndef TESTS_DRIVER_H
#define TESTS_DRIVER_H

#include <linux/pci_regs.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_config.h>
#include <linux/virtio_mmio.h>
#include <linux/virtio_pci.h>
#include <linux/virtio_ring.h>

#include "machine.h"
#include "virtio/queue.h"

#define DRIVER_QUEUE_SIZE 16u /* small, so that wrapping is common */
#define DRIVER_WINDOW     0x100000ull
#define DRIVER_BAR_SIZE   0x8000u

/* Where things are in the device's memory. */
#define DRIVER_DESCRIPTORS 0x0000u
#define DRIVER_AVAILABLE   0x4000u
#define DRIVER_USED        0x5000u
#define DRIVER_INDIRECT    0x8000u
#define DRIVER_HEADER      0xc000u /* 64 bytes for each head: header, status */
#define DRIVER_DATA        0x10000u

#define DRIVER_FEATURES                                                                              \
    (1ull << VIRTIO_F_VERSION_1 | 1ull << VIRTIO_RING_F_INDIRECT_DESC | 1ull << VIRTIO_RING_F_EVENT_IDX | \
     1ull << VIRTIO_BLK_F_FLUSH | 1ull << VIRTIO_BLK_F_DISCARD | 1ull << VIRTIO_BLK_F_WRITE_ZEROES)

#define DRIVER_NEGOTIATED (VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER | VIRTIO_CONFIG_S_FEATURES_OK)
#define DRIVER_RUNNING    (DRIVER_NEGOTIATED | VIRTIO_CONFIG_S_DRIVER_OK)

#define DRIVER_RING_PAGES 3u /* one for each ring: what stays mapped with grants */

/* A packed ring, as its driver knows it. */
struct driver_packed {
    uint16_t next, used;      /* slots */
    bool next_wrap, used_wrap;
    uint16_t published;       /* slot after what has been published, */
    bool published_wrap;
    uint16_t unseen;          /* and how many of those before it the device has not been notified of */
    uint16_t next_id;
    struct {
        bool busy;
        uint16_t first, count, flags; /* flags: of the first one, which make all available */
    } id[VIRTQUEUE_SIZE_MAX];
};

struct driver {
    struct machine *machine;
    uint16_t id;         /* virtio's */
    unsigned int device; /* PCI device number; in plain ranges place + 1 */
    uint64_t bar;        /* or the device's registers in plain ranges */
    bool mmio;
    uint64_t memory; /* guest address of the device's megabyte */
    uint64_t common, notify, isr, config;
    uint32_t notify_multiplier;
    uint8_t msix; /* offsets of capabilities, 0: none */
    uint8_t express;
    uint8_t power_management;
    uint8_t window;
    uint64_t features;
    uint16_t queue;    /* which one of the device's; 0 but in tests that have a device of their own */
    uint16_t size_max; /* what the device says that it may have */
    uint16_t queue_size;
    uint16_t next_free; /* next descriptor to use */
    uint16_t available; /* our available index */
    uint16_t notified;  /* our available index when it was last decided whether to notify */
    uint16_t used;      /* used elements seen */
    bool packed;        /* then in place of the first three of these: */
    struct driver_packed ring;
};

struct buffer {
    uint64_t address;
    uint32_t length;
    bool write; /* device-writable */
};

/*
 * Finds the function, sizes and places the BAR, enables memory decoding and bus mastering, finds the structures. In
 * plain ranges, checks what identifies a device.
 */
void driver_probe(struct driver *driver, struct machine *machine, unsigned int device);

/* The same for a device that is no disk: its virtio id, and how many entries its queue may have. */
void driver_probe_kind(struct driver *driver, struct machine *machine, unsigned int device, uint16_t id,
                       uint16_t size_max);

/*
 * From reset to DRIVER_OK; `features` are those wanted, of those offered. Uses MSI-X, vectors 0 and 1, if it is
 * there.
 */
void driver_start(struct driver *driver, uint64_t features);

/* A machine, its device 1 found and started with DRIVER_FEATURES, and all of the guest's counters 0. */
void driver_begin(struct driver *driver, struct machine *machine, const struct machine_options *options);

/*
 * Tests in a cmocka table, as machine_test(): with device 1 of a machine of these options, which has been found, or
 * has also been started. The machine is finished when they return.
 */
#define probe_test(test, ...) \
    { #test, driver_test_run, NULL, NULL, &(struct driver_test){ test, false, { __VA_ARGS__ } } }
#define driver_test(test, ...) \
    { #test, driver_test_run, NULL, NULL, &(struct driver_test){ test, true, { __VA_ARGS__ } } }

struct driver_test {
    void (*test)(struct driver *driver);
    bool started;
    struct machine_options options;
};

void driver_test_run(void **state);

/* The steps of driver_start(). */
void driver_reset(struct driver *driver);
void driver_negotiate(struct driver *driver, uint64_t features); /* up to FEATURES_OK; grants if there are any */
void driver_setup_msix(struct driver *driver);   /* if it is there */
void driver_setup_queue(struct driver *driver); /* registers; then driver_enable_queue() */
void driver_prepare_queue(struct driver *driver); /* reset, negotiation, driver_setup_queue() */
void driver_enable_queue(struct driver *driver);
uint32_t driver_msix_interrupt(const struct driver *driver, unsigned int vector); /* what it uses for a vector */

/* The function's configuration space. */
uint64_t config_read(struct driver *driver, unsigned int offset, unsigned int size);
void config_write(struct driver *driver, unsigned int offset, unsigned int size, uint64_t data);

/* Common configuration; of the MMIO transport the register that means the same, as 32 bits. */
uint64_t common_read(struct driver *driver, unsigned int offset, unsigned int size);
void common_write(struct driver *driver, unsigned int offset, unsigned int size, uint64_t data);
uint8_t driver_status(struct driver *driver);
void driver_set_status(struct driver *driver, uint8_t status);

void driver_function_reset(struct driver *driver); /* FLR; afterwards the driver has to probe again */

/* A 32-bit register of the MMIO transport. */
uint32_t mmio_read(struct driver *driver, unsigned int offset);
void mmio_write(struct driver *driver, unsigned int offset, uint32_t data);

/* Rings. */
struct vring_desc *ring_descriptor(struct driver *driver, unsigned int index);
struct vring_avail *ring_available(struct driver *driver);
struct vring_used *ring_used(struct driver *driver);
struct vring_packed_desc *ring_slot(struct driver *driver, unsigned int index);
struct vring_packed_desc_event *ring_driver_event(struct driver *driver);
struct vring_packed_desc_event *ring_device_event(struct driver *driver);
uint16_t ring_add(struct driver *driver, const struct buffer *buffers, unsigned int count); /* returns head or id */
uint16_t ring_add_indirect(struct driver *driver, const struct buffer *buffers, unsigned int count);
uint16_t ring_add_table(struct driver *driver, uint64_t address, const struct buffer *buffers, unsigned int count);
void ring_move(struct driver *driver, uint16_t head, unsigned int link, uint64_t address); /* of ring_add()'s chain */
void ring_publish(struct driver *driver, uint16_t head); /* without a notification; of any head */
void driver_kick(struct driver *driver);   /* in any case */
void driver_notify(struct driver *driver); /* if the device wants to be notified of what was published */
uint16_t driver_given(struct driver *driver);  /* chains that the device has given back since it was reset */
bool driver_completed(struct driver *driver); /* whether there is a used element that was not waited for */
struct vring_used_elem driver_wait(struct driver *driver);

/* Publishes, notifies if wanted, waits; checks that it is this head that comes back, and returns the length. */
uint32_t driver_run(struct driver *driver, uint16_t head);

/*
 * A request's header at the place that belongs to `slot`; its guest address, and that of its status byte (set to
 * 0xaa).
 */
uint64_t blk_header(struct driver *driver, unsigned int slot, uint32_t type, uint64_t sector);
uint64_t blk_status_address(const struct driver *driver, unsigned int slot);
uint8_t *blk_status(struct driver *driver, unsigned int slot);
void *driver_data(struct driver *driver); /* at DRIVER_DATA: half a megabyte */
uint64_t driver_data_address(const struct driver *driver);

/*
 * Header, data and status of a request: those of `slot`, and `length` bytes at DRIVER_DATA, which the device writes if
 * the type is one that reads.
 */
void blk_buffers(struct driver *driver, struct buffer buffers[3], unsigned int slot, uint32_t type, uint64_t sector,
                 uint32_t length);

/* Adds such a request to the ring, without the second buffer if `length` is 0; returns the head. */
uint16_t blk_add(struct driver *driver, unsigned int slot, uint32_t type, uint64_t sector, uint32_t length);

/* A whole request in slot 0; returns the status. Its length is right; that of one that failed is not too much. */
uint8_t blk_request(struct driver *driver, uint32_t type, uint64_t sector, uint32_t length);

/* The same for DISCARD and WRITE_ZEROES, with one segment. */
uint8_t blk_range_request(struct driver *driver, uint32_t type, uint64_t sector, uint32_t sectors, uint32_t flags);

/* Publishes a read of the first 4096 bytes, notifies, and does not wait; its status byte is that of slot 0. */
void blk_begin_read(struct driver *driver);

/* Reads sectors and checks that they are as they were made. */
void blk_check_pattern(struct driver *driver, uint64_t sector, uint32_t sectors);

/*
 * Publishes a chain that has no place for an error: the device does not give it back, leaves the status byte of slot 0
 * (0xaa) alone, asks to be reset, takes no more, and works after a reset. The second one of what has been published.
 */
void driver_check_refused(struct driver *driver, uint16_t head);
void driver_check_needs_reset(struct driver *driver);

/* The next good request is served: at once, or, when the device asks for it, after a reset. */
void driver_check_serves(struct driver *driver);

#endif
