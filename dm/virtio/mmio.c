/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * See mmio.h. Control registers are two switches, one over what can be read and one over what can be written; what they
 * mean to a device is decided in device.c, as for every transport.
 */
#include "mmio.h"

#include <errno.h>

#include <linux/virtio_mmio.h>

#define MAGIC         0x74726976u /* 4.2.2: "virt" */
#define VERSION       2u
#define VENDOR_VIRTIO 0x1af4u

static void set_level(struct virtio_mmio *mmio, bool level)
{
    if (platform_interrupt(mmio->bus->platform, mmio->interrupt, level)) {
        mmio->bus->counters.lost_interrupts++;
    }
}

/* "High" is said again each time: the default vGIC of Xen takes lines as edges. */
static void assert_interrupt(struct virtio_mmio *mmio, uint32_t reason)
{
    mmio->interrupt_status |= reason;
    set_level(mmio, true);
}

/* For the same reason it is said again when a reason is left that the driver may not have seen. */
static void acknowledge(struct virtio_mmio *mmio, uint32_t reasons)
{
    if (mmio->interrupt_status & reasons) {
        mmio->interrupt_status &= ~reasons;
        set_level(mmio, mmio->interrupt_status != 0);
    }
}

static void queue_interrupt(void *opaque, unsigned int queue)
{
    (void)queue;
    assert_interrupt(opaque, VIRTIO_MMIO_INT_VRING);
}

static void config_interrupt(void *opaque)
{
    assert_interrupt(opaque, VIRTIO_MMIO_INT_CONFIG);
}

static bool may_use_memory(void *opaque)
{
    (void)opaque;
    return true;
}

static void reset_done(void *opaque)
{
    struct virtio_mmio *mmio = opaque;

    mmio->device_feature_select = 0;
    mmio->driver_feature_select = 0;
    mmio->queue_select = 0;
    acknowledge(mmio, UINT32_MAX);
}

static const struct virtio_transport_operations transport_operations = {
    .queue_interrupt = queue_interrupt,
    .config_interrupt = config_interrupt,
    .may_use_memory = may_use_memory,
    .reset_done = reset_done,
};

static const struct virtqueue *selected(const struct virtio_mmio *mmio)
{
    return mmio->queue_select < mmio->device->queue_count ? &mmio->device->queue[mmio->queue_select] : NULL;
}

static uint32_t control_read(const struct virtio_mmio *mmio, uint64_t offset)
{
    const struct virtio_device *device = mmio->device;
    const struct virtqueue *queue = selected(mmio);

    switch (offset) {
    case VIRTIO_MMIO_INTERRUPT_STATUS:
        return mmio->interrupt_status;
    case VIRTIO_MMIO_MAGIC_VALUE:
        return MAGIC;
    case VIRTIO_MMIO_VERSION:
        return VERSION;
    case VIRTIO_MMIO_DEVICE_ID:
        return device->id;
    case VIRTIO_MMIO_VENDOR_ID:
        return VENDOR_VIRTIO;
    case VIRTIO_MMIO_DEVICE_FEATURES:
        return virtio_device_features(device->features_offered, mmio->device_feature_select);
    case VIRTIO_MMIO_QUEUE_NUM_MAX:
        return queue ? queue->size_max : 0;
    case VIRTIO_MMIO_QUEUE_READY:
        return queue ? queue->enabled : 0;
    case VIRTIO_MMIO_STATUS:
        return device->status;
    case VIRTIO_MMIO_SHM_LEN_LOW: /* 4.2.2: no shared memory region of whatever id */
    case VIRTIO_MMIO_SHM_LEN_HIGH:
    case VIRTIO_MMIO_SHM_BASE_LOW:
    case VIRTIO_MMIO_SHM_BASE_HIGH:
        return UINT32_MAX;
    case VIRTIO_MMIO_CONFIG_GENERATION:
        return device->config_generation;
    default:
        return 0;
    }
}

static uint32_t placeholder_read(uint64_t offset)
{
    return offset == VIRTIO_MMIO_MAGIC_VALUE ? MAGIC : offset == VIRTIO_MMIO_VERSION ? VERSION : 0;
}

static void set_half(uint64_t *address, unsigned int shift, uint32_t value)
{
    *address = (*address & ~((uint64_t)UINT32_MAX << shift)) | (uint64_t)value << shift;
}

/* Any value is taken, and judged when the queue is enabled; a size beyond 16 bits is as impossible as 0. */
static void queue_write(struct virtqueue_registers *registers, uint64_t offset, uint32_t value)
{
    switch (offset) {
    case VIRTIO_MMIO_QUEUE_NUM:
        registers->size = value <= UINT16_MAX ? (uint16_t)value : 0;
        break;
    case VIRTIO_MMIO_QUEUE_DESC_LOW:
    case VIRTIO_MMIO_QUEUE_DESC_HIGH:
        set_half(&registers->descriptors, offset == VIRTIO_MMIO_QUEUE_DESC_HIGH ? 32 : 0, value);
        break;
    case VIRTIO_MMIO_QUEUE_AVAIL_LOW:
    case VIRTIO_MMIO_QUEUE_AVAIL_HIGH:
        set_half(&registers->available, offset == VIRTIO_MMIO_QUEUE_AVAIL_HIGH ? 32 : 0, value);
        break;
    case VIRTIO_MMIO_QUEUE_USED_LOW:
    case VIRTIO_MMIO_QUEUE_USED_HIGH:
        set_half(&registers->used, offset == VIRTIO_MMIO_QUEUE_USED_HIGH ? 32 : 0, value);
        break;
    default:
        break;
    }
}

/* 4.2.2: 1 enables, 0 disables; nothing else is said. */
static void write_queue_ready(struct virtio_mmio *mmio, uint32_t value)
{
    if (value == 1) {
        virtio_device_enable_queue(mmio->device, mmio->queue_select);
    } else if (value == 0) {
        virtio_device_disable_queue(mmio->device, mmio->queue_select);
    }
}

static void control_write(struct virtio_mmio *mmio, uint64_t offset, uint32_t value)
{
    struct virtqueue *queue;

    switch (offset) {
    case VIRTIO_MMIO_QUEUE_NOTIFY:
        virtio_device_kick(mmio->device, value);
        break;
    case VIRTIO_MMIO_INTERRUPT_ACK:
        acknowledge(mmio, value);
        break;
    case VIRTIO_MMIO_DEVICE_FEATURES_SEL:
        mmio->device_feature_select = value;
        break;
    case VIRTIO_MMIO_DRIVER_FEATURES_SEL:
        mmio->driver_feature_select = value;
        break;
    case VIRTIO_MMIO_DRIVER_FEATURES:
        virtio_device_set_features(mmio->device, mmio->driver_feature_select, value);
        break;
    case VIRTIO_MMIO_QUEUE_SEL:
        mmio->queue_select = value;
        break;
    case VIRTIO_MMIO_QUEUE_READY:
        write_queue_ready(mmio, value);
        break;
    case VIRTIO_MMIO_STATUS:
        virtio_device_set_status(mmio->device, value);
        break;
    default:
        queue = virtio_device_open_queue(mmio->device, mmio->queue_select);
        if (queue) {
            queue_write(&queue->registers, offset, value);
        }
        break;
    }
}

/* mmio is NULL in a place without a device. */
static uint64_t access_place(struct virtio_mmio *mmio, uint64_t offset, unsigned int size, bool write, uint64_t data)
{
    if (offset >= VIRTIO_MMIO_CONFIG) {
        return mmio ? virtio_device_config(mmio->device, offset - VIRTIO_MMIO_CONFIG, size, write, data) : UINT64_MAX;
    }
    if (size != sizeof(uint32_t) || offset % sizeof(uint32_t) != 0) {
        return 0;
    }
    if (!write) {
        return mmio ? control_read(mmio, offset) : placeholder_read(offset);
    }
    if (mmio) {
        control_write(mmio, offset, (uint32_t)data);
    }
    return 0;
}

void virtio_mmio_bus_init(struct virtio_mmio_bus *bus, struct platform *platform)
{
    *bus = (struct virtio_mmio_bus){ .platform = platform, .ranges = platform_bridge(platform) };
}

int virtio_mmio_bus_attach(struct virtio_mmio_bus *bus, struct virtio_mmio *mmio, struct virtio_device *device,
                           const char **error)
{
    const uint64_t places = (bus->ranges->memory.size + bus->ranges->prefetch.size) / VIRTIO_MMIO_STRIDE;

    if (bus->count == VIRTIO_MMIO_DEVICES_MAX || bus->count >= places) {
        *error = "the binding's ranges have no room for it: each device takes 0x200 bytes";
        return -ENOSPC;
    }
    if (bus->count >= bus->ranges->interrupt_count) {
        *error = "the binding has no interrupt for it: each device takes one of xen,irqs";
        return -ENOSPC;
    }
    *mmio = (struct virtio_mmio){
        .bus = bus, .device = device, .interrupt = bus->ranges->interrupt_first + bus->count,
    };
    virtio_device_connect(device, &transport_operations, mmio);
    bus->device[bus->count++] = mmio;
    return 0;
}

static void release(struct virtio_mmio_bus *bus, const struct bridge_window *range)
{
    if (platform_release(bus->platform, range->base, range->size)) {
        bus->counters.refused_claims++;
    }
}

int virtio_mmio_bus_open(struct virtio_mmio_bus *bus)
{
    const struct bridge_window *const memory = &bus->ranges->memory;
    const struct bridge_window *const prefetch = &bus->ranges->prefetch;
    int result = platform_claim(bus->platform, memory->base, memory->size);

    if (!result && prefetch->size != 0) {
        result = platform_claim(bus->platform, prefetch->base, prefetch->size);
        if (result) {
            release(bus, memory);
        }
    }
    return result;
}

uint64_t virtio_mmio_bus_access(void *opaque, uint64_t address, unsigned int size, bool write, uint64_t data)
{
    struct virtio_mmio_bus *bus = opaque;
    uint64_t offset = address - bus->ranges->memory.base;
    uint64_t place;

    if (offset >= bus->ranges->memory.size) {
        offset = address - bus->ranges->prefetch.base;
        if (offset >= bus->ranges->prefetch.size) {
            bus->counters.unanswered++;
            return UINT64_MAX;
        }
        offset += bus->ranges->memory.size;
    }
    place = offset / VIRTIO_MMIO_STRIDE;
    return access_place(place < bus->count ? bus->device[place] : NULL, offset % VIRTIO_MMIO_STRIDE, size, write,
                        data);
}
