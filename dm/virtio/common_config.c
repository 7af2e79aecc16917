/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * See common_config.h. The writable fields are a table; each has a function that is called with the value.
 *
 * While the device is being reset, and for a queue that does not exist or is enabled, writes are ignored: device.h
 * decides.
 */
#include "common_config.h"

#include <stddef.h>
#include <string.h>

static struct virtqueue *selected(const struct virtio_pci *pci)
{
    return pci->queue_select < pci->device->queue_count ? &pci->device->queue[pci->queue_select] : NULL;
}

static void queue_image(const struct virtio_pci *pci, struct virtio_pci_common_cfg *image)
{
    const struct virtqueue *queue = selected(pci);

    if (!queue) {
        image->queue_msix_vector = VIRTIO_MSI_NO_VECTOR;
        return; /* size 0: 4.1.4.3.1 */
    }
    image->queue_size = queue->registers.size;
    image->queue_msix_vector = queue->registers.vector;
    image->queue_enable = queue->enabled;
    image->queue_notify_off = pci->queue_select;
    image->queue_desc_lo = (uint32_t)queue->registers.descriptors;
    image->queue_desc_hi = (uint32_t)(queue->registers.descriptors >> 32);
    image->queue_avail_lo = (uint32_t)queue->registers.available;
    image->queue_avail_hi = (uint32_t)(queue->registers.available >> 32);
    image->queue_used_lo = (uint32_t)queue->registers.used;
    image->queue_used_hi = (uint32_t)(queue->registers.used >> 32);
}

void virtio_common_image(const struct virtio_pci *pci, struct virtio_pci_common_cfg *image)
{
    const struct virtio_device *device = pci->device;

    *image = (struct virtio_pci_common_cfg){
        .device_feature_select = pci->device_feature_select,
        .device_feature = virtio_device_features(device->features_offered, pci->device_feature_select),
        .guest_feature_select = pci->driver_feature_select,
        .guest_feature = virtio_device_features(device->features, pci->driver_feature_select),
        .msix_config = pci->config_vector,
        .num_queues = (uint16_t)device->queue_count,
        .device_status = device->status,
        .config_generation = device->config_generation,
        .queue_select = pci->queue_select,
    };
    queue_image(pci, image);
}

static void write_device_feature_select(struct virtio_pci *pci, uint32_t value)
{
    pci->device_feature_select = value;
}

static void write_driver_feature_select(struct virtio_pci *pci, uint32_t value)
{
    pci->driver_feature_select = value;
}

static void write_driver_feature(struct virtio_pci *pci, uint32_t value)
{
    virtio_device_set_features(pci->device, pci->driver_feature_select, value);
}

/* 4.1.5.1.2: a vector that does not exist reads back as none. */
static uint16_t valid_vector(const struct virtio_pci *pci, uint32_t value)
{
    return value < pci->function.msix.vectors ? (uint16_t)value : VIRTIO_MSI_NO_VECTOR;
}

static void write_config_vector(struct virtio_pci *pci, uint32_t value)
{
    pci->config_vector = valid_vector(pci, value);
}

/* Unlike the rest of a queue, its vector may change while it is enabled: drivers move interrupts. */
static void write_queue_vector(struct virtio_pci *pci, uint32_t value)
{
    struct virtqueue *queue = selected(pci);

    if (queue) {
        queue->registers.vector = valid_vector(pci, value);
    }
}

static void write_status(struct virtio_pci *pci, uint32_t value)
{
    virtio_device_set_status(pci->device, value);
}

static void write_queue_select(struct virtio_pci *pci, uint32_t value)
{
    pci->queue_select = (uint16_t)value;
}

/* Any value is taken, and judged when the queue is enabled. */
static void write_queue_size(struct virtio_pci *pci, uint32_t value)
{
    struct virtqueue *queue = virtio_device_open_queue(pci->device, pci->queue_select);

    if (queue) {
        queue->registers.size = (uint16_t)value;
    }
}

/* 4.1.4.3.2: a driver never writes 0. */
static void write_queue_enable(struct virtio_pci *pci, uint32_t value)
{
    const struct virtqueue *queue = selected(pci);

    if (queue && value == 1) {
        virtio_device_enable_queue(pci->device, pci->queue_select);
        pci_function_use_doorbell(&pci->function, pci->queue_select, queue->enabled);
    }
}

static const struct field {
    uint8_t offset;
    uint8_t size;
    void (*write)(struct virtio_pci *pci, uint32_t value);
} fields[] = {
    { VIRTIO_PCI_COMMON_DFSELECT, 4, write_device_feature_select },
    { VIRTIO_PCI_COMMON_GFSELECT, 4, write_driver_feature_select },
    { VIRTIO_PCI_COMMON_GF, 4, write_driver_feature },
    { VIRTIO_PCI_COMMON_MSIX, 2, write_config_vector },
    { VIRTIO_PCI_COMMON_STATUS, 1, write_status },
    { VIRTIO_PCI_COMMON_Q_SELECT, 2, write_queue_select },
    { VIRTIO_PCI_COMMON_Q_SIZE, 2, write_queue_size },
    { VIRTIO_PCI_COMMON_Q_MSIX, 2, write_queue_vector },
    { VIRTIO_PCI_COMMON_Q_ENABLE, 2, write_queue_enable },
};

/* A queue's addresses: 64 bits, written as a whole or in two halves. */
static const struct address {
    uint8_t offset;
    uint8_t member;
} addresses[] = {
    { VIRTIO_PCI_COMMON_Q_DESCLO, offsetof(struct virtqueue_registers, descriptors) },
    { VIRTIO_PCI_COMMON_Q_AVAILLO, offsetof(struct virtqueue_registers, available) },
    { VIRTIO_PCI_COMMON_Q_USEDLO, offsetof(struct virtqueue_registers, used) },
};

static void write_address(struct virtio_pci *pci, const struct address *address, unsigned int offset,
                          unsigned int size, uint64_t data)
{
    struct virtqueue *queue = virtio_device_open_queue(pci->device, pci->queue_select);

    if (queue) {
        memcpy((char *)&queue->registers + address->member + (offset - address->offset), &data, size);
    }
}

void virtio_common_write(struct virtio_pci *pci, unsigned int offset, unsigned int size, uint64_t data)
{
    if (pci->device->resetting) {
        return;
    }
    for (unsigned int i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        if (fields[i].offset == offset && fields[i].size == size) {
            fields[i].write(pci, (uint32_t)data);
            return;
        }
    }
    for (unsigned int i = 0; i < sizeof(addresses) / sizeof(addresses[0]); i++) {
        const unsigned int within = offset - addresses[i].offset;

        if ((size == 8 && within == 0) || (size == 4 && (within == 0 || within == 4))) {
            write_address(pci, &addresses[i], offset, size, data);
            return;
        }
    }
}
