/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The virtio transport over MMIO (virtio 1.2, section 4.2), version 2: devices in plain ranges, which the user has
 * described to the guest himself.
 *
 * The ranges of the binding (memory, then prefetch) are a row of places of 0x200 bytes: control registers, then 0x100
 * bytes of device configuration space. The first device has the first place and the first interrupt of the binding,
 * and so on. A place without a device reads as a placeholder (device id 0, 4.2.2), which drivers pass over in silence.
 *
 * What an access does (4.2.2.2 demands 32-bit aligned ones of a control register):
 *   control register, 32-bit and aligned    as the specification says; one that there is not, or that is only written,
 *                                           reads as 0, and writes to what is only read, or is not there, are ignored
 *   control register, of any other kind     reads as 0, writes are ignored
 *   configuration space, of any kind        its bytes, all ones behind its end; writes are the kind's (device.h)
 *
 * A reset that finds requests in flight is over when they have ended (device.h), until then the status is not 0. Linux'
 * driver does not look (2.4.2 says that it should): should it ever reset a device under load, as a crash kernel does,
 * its next steps are ignored, its probe fails, and it must be bound again.
 *
 * The event loop's thread only.
 */
#ifndef VIRTIO_MMIO_H
#define VIRTIO_MMIO_H

#include <stdbool.h>
#include <stdint.h>

#include "device.h"

#define VIRTIO_MMIO_STRIDE      0x200u
#define VIRTIO_MMIO_DEVICES_MAX 32u

struct virtio_mmio_bus;

struct virtio_mmio {
    struct virtio_mmio_bus *bus;
    struct virtio_device *device;
    uint32_t interrupt; /* absolute interrupt id; level */
    uint32_t interrupt_status;
    uint32_t device_feature_select;
    uint32_t driver_feature_select;
    uint32_t queue_select;
};

struct virtio_mmio_counters {
    uint64_t unanswered;      /* accesses to outside of the ranges */
    uint64_t refused_claims;  /* the platform did not take a range back */
    uint64_t lost_interrupts; /* the platform refused to raise or lower */
};

struct virtio_mmio_bus {
    struct platform *platform;
    const struct bridge *ranges;
    unsigned int count;
    struct virtio_mmio *device[VIRTIO_MMIO_DEVICES_MAX];
    struct virtio_mmio_counters counters;
};

/* Storage is the caller's, the platform, whose bridge has no ECAM, is borrowed. */
void virtio_mmio_bus_init(struct virtio_mmio_bus *bus, struct platform *platform);

/*
 * Puts a device, which is borrowed, into the next place. -ENOSPC: there is none, or no interrupt for it; *error is then
 * a sentence for the user (static storage).
 */
int virtio_mmio_bus_attach(struct virtio_mmio_bus *bus, struct virtio_mmio *mmio, struct virtio_device *device,
                           const char **error);

/* Claims the ranges: from now on the guest finds the devices. As platform_claim(). */
int virtio_mmio_bus_open(struct virtio_mmio_bus *bus);

/* A platform_access_fn; opaque is the bus. */
uint64_t virtio_mmio_bus_access(void *opaque, uint64_t address, unsigned int size, bool write, uint64_t data);

#endif
