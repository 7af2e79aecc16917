/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * See pci.h. Registers whose reading changes nothing are read by making an image of their structure and copying from
 * it, so that any size and offset has an answer; writes must hit a field exactly (4.1.3.1), or are ignored.
 */
#include "pci.h"

#include <linux/virtio_pci.h>

#include "common_config.h"

#define VENDOR_VIRTIO    0x1af4u  /* 4.1.2 */
#define DEVICE_BASE      0x1040u
#define REVISION         1u
#define NOTIFICATION_SIZE 2u /* 4.1.5.2, without NOTIFICATION_DATA */
#define CAPABILITY_SIZE  ((uint8_t)sizeof(struct virtio_pci_cap))

static void queue_interrupt(void *opaque, unsigned int queue)
{
    struct virtio_pci *pci = opaque;
    const uint16_t vector = pci->device->queue[queue].registers.vector;

    if (!pci_msix_enabled(&pci->function)) {
        pci->isr |= VIRTIO_PCI_ISR_QUEUE;
        pci_intx_assert(&pci->function);
    } else if (vector != VIRTIO_MSI_NO_VECTOR) {
        pci_msix_send(&pci->function, vector);
    }
}

static void config_interrupt(void *opaque)
{
    struct virtio_pci *pci = opaque;

    pci->isr |= VIRTIO_PCI_ISR_CONFIG; /* 4.1.4.5.1: with MSI-X, too */
    if (!pci_msix_enabled(&pci->function)) {
        pci_intx_assert(&pci->function);
    } else if (pci->config_vector != VIRTIO_MSI_NO_VECTOR) {
        pci_msix_send(&pci->function, pci->config_vector);
    }
}

static bool may_use_memory(void *opaque)
{
    const struct virtio_pci *pci = opaque;

    return pci_function_mastering(&pci->function);
}

static void reset_done(void *opaque)
{
    struct virtio_pci *pci = opaque;

    pci->device_feature_select = 0;
    pci->driver_feature_select = 0;
    pci->queue_select = 0;
    pci->config_vector = VIRTIO_MSI_NO_VECTOR;
    pci->isr = 0;
    pci_intx_deassert(&pci->function);
    for (unsigned int queue = 0; queue < pci->device->queue_count; queue++) {
        pci_function_use_doorbell(&pci->function, queue, false);
    }
    pci_function_reset_done(&pci->function);
}

static const struct virtio_transport_operations transport_operations = {
    .queue_interrupt = queue_interrupt,
    .config_interrupt = config_interrupt,
    .may_use_memory = may_use_memory,
    .reset_done = reset_done,
};

static uint64_t common_access(struct virtio_pci *pci, uint64_t offset, unsigned int size, bool write, uint64_t data)
{
    struct virtio_pci_common_cfg image;

    if (write) {
        virtio_common_write(pci, (unsigned int)offset, size, data);
        return 0;
    }
    virtio_common_image(pci, &image);
    return virtio_read_image(&image, sizeof(image), offset, size);
}

/* 4.1.4.5: reading clears the status and takes the interrupt back. */
static uint64_t isr_access(struct virtio_pci *pci, uint64_t offset, bool write)
{
    const uint8_t isr = pci->isr;

    if (write || offset != 0) {
        return UINT64_MAX;
    }
    pci->isr = 0;
    if (isr != 0) {
        pci_intx_deassert(&pci->function);
    }
    return isr;
}

/*
 * 4.1.5.2: the driver writes the queue's index, 16 bits; the address says the same. The value is not looked at, which a
 * doorbell loses: a notification too many costs little, one too few can stop the guest.
 */
static uint64_t notify_access(struct virtio_pci *pci, uint64_t offset, unsigned int size, bool write)
{
    if (write && offset % VIRTIO_PCI_MULTIPLIER == 0 && (size == 2 || size == 4)) {
        virtio_device_kick(pci->device, (unsigned int)(offset / VIRTIO_PCI_MULTIPLIER));
    }
    return UINT64_MAX;
}

static uint64_t bar_access(void *opaque, unsigned int bar, uint64_t offset, unsigned int size, bool write,
                           uint64_t data)
{
    struct virtio_pci *pci = opaque;
    const uint64_t within = offset % VIRTIO_PCI_REGION;

    (void)bar;
    switch (offset - within) {
    case VIRTIO_PCI_COMMON:
        return common_access(pci, within, size, write, data);
    case VIRTIO_PCI_ISR_STATUS:
        return isr_access(pci, within, write);
    case VIRTIO_PCI_DEVICE:
        return virtio_device_config(pci->device, within, size, write, data);
    case VIRTIO_PCI_NOTIFY:
        return notify_access(pci, within, size, write);
    default:
        return UINT64_MAX;
    }
}

static void function_reset(void *opaque)
{
    struct virtio_pci *pci = opaque;

    virtio_device_reset(pci->device);
}

static void function_mastering(void *opaque)
{
    struct virtio_pci *pci = opaque;

    virtio_device_kick_all(pci->device);
}

static const struct pci_function_operations function_operations = {
    .access = bar_access,
    .reset = function_reset,
    .mastering = function_mastering,
};

/* The BAR access that the window capability asks for, if it asks for a possible one (4.1.4.9.1). */
static bool window_target(const struct virtio_pci *pci, uint8_t *bar, uint32_t *offset, uint32_t *length)
{
    const struct pci_config *config = &pci->function.config;
    uint64_t size;

    *bar = config->value[pci->window + VIRTIO_PCI_CAP_BAR];
    *offset = pci_config_get32(config, pci->window + VIRTIO_PCI_CAP_OFFSET);
    *length = pci_config_get32(config, pci->window + VIRTIO_PCI_CAP_LENGTH);
    if (*bar >= PCI_FUNCTION_BARS || (*length != 1 && *length != 2 && *length != 4) || *offset % *length != 0) {
        return false;
    }
    size = pci->function.bar[*bar].size;
    return *length <= size && *offset <= size - *length && pci_function_awake(&pci->function);
}

static void window_read(void *opaque)
{
    struct virtio_pci *pci = opaque;
    uint32_t value = UINT32_MAX;
    uint32_t offset, length;
    uint8_t bar;

    if (window_target(pci, &bar, &offset, &length)) {
        value = (uint32_t)pci_function_access(&pci->function, bar, offset, length, false, 0);
        value &= (uint32_t)((1ull << (length * 8)) - 1);
    }
    pci_config_set32(&pci->function.config, pci->window + sizeof(struct virtio_pci_cap), value);
}

static void window_written(void *opaque)
{
    struct virtio_pci *pci = opaque;
    const uint32_t value = pci_config_get32(&pci->function.config, pci->window + sizeof(struct virtio_pci_cap));
    uint32_t offset, length;
    uint8_t bar;

    if (window_target(pci, &bar, &offset, &length)) {
        (void)pci_function_access(&pci->function, bar, offset, length, true, value & ((1ull << (length * 8)) - 1));
    }
}

/* 4.1.4: says where in the BAR a structure is. Returns the capability's offset. */
static uint8_t add_structure(struct virtio_pci *pci, uint8_t type, uint8_t size, uint32_t offset, uint32_t length)
{
    struct pci_config *config = &pci->function.config;
    const uint8_t at = pci_config_add_capability(config, PCI_CAP_ID_VNDR, size);

    pci_config_set8(config, at + VIRTIO_PCI_CAP_LEN, size);
    pci_config_set8(config, at + VIRTIO_PCI_CAP_CFG_TYPE, type);
    pci_config_set8(config, at + VIRTIO_PCI_CAP_BAR, VIRTIO_PCI_BAR);
    pci_config_set32(config, at + VIRTIO_PCI_CAP_OFFSET, offset);
    pci_config_set32(config, at + VIRTIO_PCI_CAP_LENGTH, length);
    return at;
}

static void add_window(struct virtio_pci *pci)
{
    struct pci_config *config = &pci->function.config;
    const uint8_t size = (uint8_t)sizeof(struct virtio_pci_cfg_cap);
    const uint8_t at = add_structure(pci, VIRTIO_PCI_CAP_PCI_CFG, size, 0, 0);
    const uint8_t data = (uint8_t)(at + sizeof(struct virtio_pci_cap));
    const struct pci_config_register window = {
        .offset = data, .size = 4, .read = window_read, .written = window_written, .opaque = pci,
    };

    pci->window = at;
    pci_config_allow8(config, at + VIRTIO_PCI_CAP_BAR, 0xff);
    pci_config_allow32(config, at + VIRTIO_PCI_CAP_OFFSET, UINT32_MAX);
    pci_config_allow32(config, at + VIRTIO_PCI_CAP_LENGTH, UINT32_MAX);
    pci_config_allow32(config, data, UINT32_MAX);
    pci_config_add_register(config, &window);
}

static void add_structures(struct virtio_pci *pci)
{
    const uint32_t notify_length = pci->device->queue_count * VIRTIO_PCI_MULTIPLIER;
    uint8_t at;

    (void)add_structure(pci, VIRTIO_PCI_CAP_COMMON_CFG, CAPABILITY_SIZE, VIRTIO_PCI_COMMON,
                        sizeof(struct virtio_pci_common_cfg));
    (void)add_structure(pci, VIRTIO_PCI_CAP_ISR_CFG, CAPABILITY_SIZE, VIRTIO_PCI_ISR_STATUS, 1);
    if (pci->device->config_size > 0) {
        (void)add_structure(pci, VIRTIO_PCI_CAP_DEVICE_CFG, CAPABILITY_SIZE, VIRTIO_PCI_DEVICE,
                            (uint32_t)pci->device->config_size);
    }
    at = add_structure(pci, VIRTIO_PCI_CAP_NOTIFY_CFG, (uint8_t)sizeof(struct virtio_pci_notify_cap),
                       VIRTIO_PCI_NOTIFY, notify_length);
    pci_config_set32(&pci->function.config, at + VIRTIO_PCI_NOTIFY_CAP_MULT, VIRTIO_PCI_MULTIPLIER);
    add_window(pci);
}

void virtio_pci_init(struct virtio_pci *pci, struct virtio_device *device, uint32_t class_code, bool msix)
{
    const struct pci_identity identity = {
        .vendor = VENDOR_VIRTIO,
        .device = (uint16_t)(DEVICE_BASE + device->id),
        .subsystem_vendor = VENDOR_VIRTIO,
        .subsystem_device = (uint16_t)(DEVICE_BASE + device->id), /* 4.1.2.1: 0x40 or higher */
        .class_code = class_code,
        .revision = REVISION,
    };

    *pci = (struct virtio_pci){ .device = device, .config_vector = VIRTIO_MSI_NO_VECTOR };
    pci_function_init(&pci->function, &identity, &function_operations, pci);
    pci_function_add_bar(&pci->function, VIRTIO_PCI_BAR, VIRTIO_PCI_BAR_SIZE, true);
    pci_function_add_express(&pci->function);
    pci_function_add_power_management(&pci->function);
    if (msix) {
        pci_function_add_msix(&pci->function, VIRTIO_PCI_BAR, VIRTIO_PCI_TABLE, VIRTIO_PCI_PBA,
                              device->queue_count < PCI_MSIX_VECTORS_MAX ? device->queue_count + 1
                                                                         : PCI_MSIX_VECTORS_MAX);
    }
    add_structures(pci);
    for (unsigned int queue = 0; queue < device->queue_count && queue < PCI_DOORBELLS_MAX; queue++) {
        pci_function_add_doorbell(&pci->function, VIRTIO_PCI_BAR, VIRTIO_PCI_NOTIFY + queue * VIRTIO_PCI_MULTIPLIER,
                                  NOTIFICATION_SIZE);
    }
    virtio_device_connect(device, &transport_operations, pci);
}

void virtio_pci_save(const struct virtio_pci *pci, struct virtio_pci_saved *saved)
{
    pci_function_save(&pci->function, &saved->function);
    virtio_device_save(pci->device, &saved->device);
    saved->device_feature_select = pci->device_feature_select;
    saved->driver_feature_select = pci->driver_feature_select;
    saved->queue_select = pci->queue_select;
    saved->config_vector = pci->config_vector;
    saved->isr = pci->isr;
}

void virtio_pci_restore(struct virtio_pci *pci, const struct virtio_pci_saved *saved)
{
    pci->device_feature_select = saved->device_feature_select;
    pci->driver_feature_select = saved->driver_feature_select;
    pci->queue_select = saved->queue_select;
    pci->config_vector = saved->config_vector;
    pci->isr = saved->isr;
    pci_function_restore(&pci->function, &saved->function);
    virtio_device_restore(pci->device, &saved->device);
    for (unsigned int queue = 0; queue < pci->device->queue_count; queue++) {
        pci_function_use_doorbell(&pci->function, queue, pci->device->queue[queue].enabled);
    }
}
