/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The common configuration structure of the PCI transport (virtio 1.2, section 4.1.4.3): from fields to calls of
 * device.h. Used by pci.c alone.
 */
#ifndef VIRTIO_COMMON_CONFIG_H
#define VIRTIO_COMMON_CONFIG_H

#include <stdint.h>

#include <linux/virtio_pci.h>

#include "pci.h"

#define VIRTIO_PCI_ISR_QUEUE 0x1u /* 4.1.4.5; linux/virtio_pci.h names the other bit, VIRTIO_PCI_ISR_CONFIG */

/* What the driver reads now. */
void virtio_common_image(const struct virtio_pci *pci, struct virtio_pci_common_cfg *image);

/*
 * A write of `size` bytes at `offset`: ignored unless it is exactly one writable field, or a 64-bit address as a
 * whole.
 */
void virtio_common_write(struct virtio_pci *pci, unsigned int offset, unsigned int size, uint64_t data);

#endif
