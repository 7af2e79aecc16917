/* SPDX-License-Identifier: BSD-2-Clause */
/* Registers of a type-0 header (PCIe 6.0, 7.5.1), and of the capabilities that are looked into. */
#ifndef GUEST_PCI_H
#define GUEST_PCI_H

#define PCI_VENDOR             0x00u
#define PCI_DEVICE             0x02u
#define PCI_COMMAND            0x04u
#define PCI_COMMAND_DECODE     0x3u
#define PCI_COMMAND_MEMORY     0x2u
#define PCI_STATUS             0x06u
#define PCI_STATUS_CAPABILITY  0x10u
#define PCI_REVISION_CLASS     0x08u
#define PCI_HEADER_TYPE        0x0eu
#define PCI_HEADER_TYPE_MANY   0x80u
#define PCI_BAR(n)             (0x10u + 4u * (n))
#define PCI_BAR_IO             0x1u
#define PCI_BAR_TYPE           0x6u
#define PCI_BAR_TYPE_64        0x4u
#define PCI_BAR_PREFETCHABLE   0x8u
#define PCI_BAR_FLAGS          0xfu
#define PCI_SUBSYSTEM          0x2cu
#define PCI_CAPABILITY_POINTER 0x34u
#define PCI_HEADER_END         0x40u
#define PCI_LEGACY_END         0x100u

#define PCI_CAPABILITY_VENDOR 0x09u
#define PCI_CAPABILITY_MSIX   0x11u

#define PCI_MSIX_CONTROL     0x02u
#define PCI_MSIX_TABLE       0x04u
#define PCI_MSIX_ENTRY_SIZE  16u
#define PCI_MSIX_ENTRY_DATA  8u
#define PCI_MSIX_ENTRY_MASK  12u

/* virtio 1.2, 4.1.4 */
#define VIRTIO_VENDOR        0x1af4u
#define VIRTIO_CAP_LENGTH    2u
#define VIRTIO_CAP_TYPE      3u
#define VIRTIO_CAP_COMMON    1u
#define VIRTIO_CAP_BAR       4u
#define VIRTIO_CAP_OFFSET    8u
#define VIRTIO_FEATURE_WORD  0x00u
#define VIRTIO_FEATURE       0x04u
#define VIRTIO_VERSION_1     0x1u /* of feature word 1 */
#define VIRTIO_MSIX_CONFIG   0x10u
#define VIRTIO_QUEUES        0x12u
#define VIRTIO_STATUS        0x14u
#define VIRTIO_STATUS_BEGUN  0x03u
#define VIRTIO_STATUS_FAILED 0x80u
#define VIRTIO_QUEUE_SELECT  0x16u
#define VIRTIO_QUEUE_SIZE    0x18u
#define VIRTIO_COMMON_SIZE   0x38u

#endif
