/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The virtio transport over PCI (virtio 1.2, section 4.1), modern interface only: a virtio device as a PCI function.
 *
 * One 64-bit memory BAR, so that a device costs one claim of the platform and fits any window:
 *   0x0000 common configuration   0x1000 ISR status   0x2000 device configuration
 *   0x3000 notifications, 4 bytes a queue             0x4000 MSI-X table   0x5000 MSI-X pending bits
 *
 * Interrupts go by MSI-X when the guest has enabled it, else by INTx and the ISR status. A device with more queues than
 * a function has vectors shares them as its driver likes; notifications of queues for which there is no doorbell are
 * accesses as any other. The event loop's thread only.
 */
#ifndef VIRTIO_PCI_H
#define VIRTIO_PCI_H

#include <stdbool.h>
#include <stdint.h>

#include "device.h"
#include "pci/function.h"

#define VIRTIO_PCI_BAR        0u
#define VIRTIO_PCI_BAR_SIZE   0x8000u
#define VIRTIO_PCI_COMMON     0x0000u
#define VIRTIO_PCI_ISR_STATUS 0x1000u
#define VIRTIO_PCI_DEVICE     0x2000u
#define VIRTIO_PCI_NOTIFY     0x3000u
#define VIRTIO_PCI_TABLE      0x4000u
#define VIRTIO_PCI_PBA        0x5000u
#define VIRTIO_PCI_REGION     0x1000u /* size of each */
#define VIRTIO_PCI_MULTIPLIER 4u      /* notify_off_multiplier */

struct virtio_pci_saved {
    struct pci_function_saved function;
    struct virtio_device_saved device;
    uint32_t device_feature_select;
    uint32_t driver_feature_select;
    uint16_t queue_select;
    uint16_t config_vector;
    uint8_t isr;
};

struct virtio_pci {
    struct pci_function function;
    struct virtio_device *device;
    uint32_t device_feature_select;
    uint32_t driver_feature_select;
    uint16_t queue_select;
    uint16_t config_vector;
    uint8_t isr;
    uint8_t window; /* offset of the capability that gives access to the BAR through configuration space (4.1.4.9) */
};

/* Makes a function of a device; storage is the caller's, the device is borrowed. class_code: 24 bits. */
void virtio_pci_init(struct virtio_pci *pci, struct virtio_device *device, uint32_t class_code, bool msix);

/* Of both function and device: see virtio_device_save(); virtio_device_resume() is still to follow. */
void virtio_pci_save(const struct virtio_pci *pci, struct virtio_pci_saved *saved);
void virtio_pci_restore(struct virtio_pci *pci, const struct virtio_pci_saved *saved);

#endif
