/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * See driver.h.
 */
#include "driver.h"

#include "device_model.h"

#include <stdlib.h>
#include <string.h>

#include <linux/virtio_ids.h>

#define PATIENCE_MS 20000

uint64_t config_read(struct driver *driver, unsigned int offset, unsigned int size)
{
    return machine_config_read(driver->machine, driver->device, offset, size);
}

void config_write(struct driver *driver, unsigned int offset, unsigned int size, uint64_t data)
{
    machine_config_write(driver->machine, driver->device, offset, size, data);
}

static void place_bar(struct driver *driver)
{
    const uint16_t command = (uint16_t)config_read(driver, PCI_COMMAND, 2);

    config_write(driver, PCI_COMMAND, 2, command & ~PCI_COMMAND_MEMORY);
    config_write(driver, PCI_BASE_ADDRESS_0, 4, UINT32_MAX);
    assert_int_equal(config_read(driver, PCI_BASE_ADDRESS_0, 4),
                     (uint32_t)~(DRIVER_BAR_SIZE - 1) | PCI_BASE_ADDRESS_MEM_TYPE_64);
    config_write(driver, PCI_BASE_ADDRESS_1, 4, UINT32_MAX);
    assert_int_equal(config_read(driver, PCI_BASE_ADDRESS_1, 4), UINT32_MAX);

    driver->bar = driver->machine->bridge.memory.base + driver->device * DRIVER_WINDOW;
    config_write(driver, PCI_BASE_ADDRESS_0, 4, (uint32_t)driver->bar);
    config_write(driver, PCI_BASE_ADDRESS_1, 4, driver->bar >> 32);
    config_write(driver, PCI_COMMAND, 2, command | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
}

static void found_structure(struct driver *driver, uint8_t at)
{
    const uint8_t type = (uint8_t)config_read(driver, at + VIRTIO_PCI_CAP_CFG_TYPE, 1);
    const uint64_t where = driver->bar + config_read(driver, at + VIRTIO_PCI_CAP_OFFSET, 4);

    switch (type) {
    case VIRTIO_PCI_CAP_COMMON_CFG:
        driver->common = where;
        break;
    case VIRTIO_PCI_CAP_NOTIFY_CFG:
        driver->notify = where;
        driver->notify_multiplier = (uint32_t)config_read(driver, at + VIRTIO_PCI_NOTIFY_CAP_MULT, 4);
        break;
    case VIRTIO_PCI_CAP_ISR_CFG:
        driver->isr = where;
        break;
    case VIRTIO_PCI_CAP_DEVICE_CFG:
        driver->config = where;
        break;
    case VIRTIO_PCI_CAP_PCI_CFG:
        driver->window = at;
        break;
    default:
        fail_msg("unknown structure %u", type);
    }
}

static void find_capabilities(struct driver *driver)
{
    uint8_t at = (uint8_t)config_read(driver, PCI_CAPABILITY_LIST, 1);
    unsigned int seen = 0;

    assert_true(config_read(driver, PCI_STATUS, 2) & PCI_STATUS_CAP_LIST);
    for (; at != 0; at = (uint8_t)config_read(driver, at + PCI_CAP_LIST_NEXT, 1)) {
        assert_true(at >= PCI_STD_HEADER_SIZEOF && at % 4 == 0 && seen++ < 48);
        switch (config_read(driver, at, 1)) {
        case PCI_CAP_ID_VNDR:
            found_structure(driver, at);
            break;
        case PCI_CAP_ID_MSIX:
            driver->msix = at;
            break;
        case PCI_CAP_ID_EXP:
            driver->express = at;
            break;
        case PCI_CAP_ID_PM:
            driver->power_management = at;
            break;
        default:
            fail_msg("unknown capability");
        }
    }
    assert_true(driver->common && driver->notify && driver->isr && driver->window);
}

/* 4.2.3.1.1 */
static void probe_mmio(struct driver *driver)
{
    const struct bridge *ranges = &driver->machine->bridge;
    const uint64_t offset = (driver->device - 1) * 0x200ull;

    driver->mmio = true;
    driver->bar = offset < ranges->memory.size ? ranges->memory.base + offset
                                               : ranges->prefetch.base + (offset - ranges->memory.size);
    driver->config = driver->bar + VIRTIO_MMIO_CONFIG;
    assert_int_equal(mmio_read(driver, VIRTIO_MMIO_MAGIC_VALUE), 0x74726976);
    assert_int_equal(mmio_read(driver, VIRTIO_MMIO_VERSION), 2);
    assert_int_equal(mmio_read(driver, VIRTIO_MMIO_DEVICE_ID), driver->id);
}

void driver_probe_kind(struct driver *driver, struct machine *machine, unsigned int device, uint16_t id,
                       uint16_t size_max)
{
    *driver = (struct driver){
        .machine = machine, .id = id, .device = device, .size_max = size_max, .queue_size = DRIVER_QUEUE_SIZE,
        .memory = MACHINE_RAM + device * 0x100000ull,
    };
    if (machine->bridge.ecam.size == 0) {
        probe_mmio(driver);
        return;
    }
    assert_int_equal(config_read(driver, PCI_VENDOR_ID, 4), (0x1040u + id) << 16 | 0x1af4u);
    assert_int_equal(config_read(driver, PCI_HEADER_TYPE, 1), PCI_HEADER_TYPE_NORMAL);
    place_bar(driver);
    find_capabilities(driver);
}

void driver_probe(struct driver *driver, struct machine *machine, unsigned int device)
{
    driver_probe_kind(driver, machine, device, VIRTIO_ID_BLOCK, BLK_QUEUE_SIZE);
    assert_true(driver->config);
}

uint32_t mmio_read(struct driver *driver, unsigned int offset)
{
    return (uint32_t)machine_read(driver->machine, driver->bar + offset, 4);
}

void mmio_write(struct driver *driver, unsigned int offset, uint32_t data)
{
    machine_write(driver->machine, driver->bar + offset, 4, data);
}

static unsigned int mmio_register(unsigned int offset, bool write)
{
    switch (offset) {
    case VIRTIO_PCI_COMMON_DFSELECT:
        return VIRTIO_MMIO_DEVICE_FEATURES_SEL;
    case VIRTIO_PCI_COMMON_DF:
        return VIRTIO_MMIO_DEVICE_FEATURES;
    case VIRTIO_PCI_COMMON_GFSELECT:
        return VIRTIO_MMIO_DRIVER_FEATURES_SEL;
    case VIRTIO_PCI_COMMON_GF:
        return VIRTIO_MMIO_DRIVER_FEATURES;
    case VIRTIO_PCI_COMMON_STATUS:
        return VIRTIO_MMIO_STATUS;
    case VIRTIO_PCI_COMMON_Q_SELECT:
        return VIRTIO_MMIO_QUEUE_SEL;
    case VIRTIO_PCI_COMMON_Q_SIZE:
        return write ? VIRTIO_MMIO_QUEUE_NUM : VIRTIO_MMIO_QUEUE_NUM_MAX;
    case VIRTIO_PCI_COMMON_Q_ENABLE:
        return VIRTIO_MMIO_QUEUE_READY;
    case VIRTIO_PCI_COMMON_Q_DESCLO:
        return VIRTIO_MMIO_QUEUE_DESC_LOW;
    case VIRTIO_PCI_COMMON_Q_DESCHI:
        return VIRTIO_MMIO_QUEUE_DESC_HIGH;
    case VIRTIO_PCI_COMMON_Q_AVAILLO:
        return VIRTIO_MMIO_QUEUE_AVAIL_LOW;
    case VIRTIO_PCI_COMMON_Q_AVAILHI:
        return VIRTIO_MMIO_QUEUE_AVAIL_HIGH;
    case VIRTIO_PCI_COMMON_Q_USEDLO:
        return VIRTIO_MMIO_QUEUE_USED_LOW;
    case VIRTIO_PCI_COMMON_Q_USEDHI:
        return VIRTIO_MMIO_QUEUE_USED_HIGH;
    default:
        fail_msg("the MMIO transport has no field %u", offset);
        return 0;
    }
}

uint64_t common_read(struct driver *driver, unsigned int offset, unsigned int size)
{
    if (driver->mmio) {
        return mmio_read(driver, mmio_register(offset, false));
    }
    return machine_read(driver->machine, driver->common + offset, size);
}

void common_write(struct driver *driver, unsigned int offset, unsigned int size, uint64_t data)
{
    if (driver->mmio) {
        mmio_write(driver, mmio_register(offset, true), (uint32_t)data);
        if (size == 8) {
            mmio_write(driver, mmio_register(offset + 4, true), (uint32_t)(data >> 32));
        }
        return;
    }
    machine_write(driver->machine, driver->common + offset, size, data);
}

uint8_t driver_status(struct driver *driver)
{
    return (uint8_t)common_read(driver, VIRTIO_PCI_COMMON_STATUS, 1);
}

void driver_set_status(struct driver *driver, uint8_t status)
{
    common_write(driver, VIRTIO_PCI_COMMON_STATUS, 1, status);
}

void driver_reset(struct driver *driver)
{
    const uint64_t deadline = machine_now() + PATIENCE_MS;

    driver_set_status(driver, 0);
    while (driver_status(driver) != 0) {
        machine_check_deadline(deadline, "reset");
    }
    memset(machine_memory(driver->machine, driver->memory, DRIVER_HEADER), 0, DRIVER_HEADER);
    driver->next_free = 0;
    driver->available = 0;
    driver->notified = 0;
    driver->used = 0;
    driver->ring = (struct driver_packed){ .next_wrap = true, .used_wrap = true, .published_wrap = true };
}

void driver_function_reset(struct driver *driver)
{
    config_write(driver, driver->express + PCI_EXP_DEVCTL, 2, PCI_EXP_DEVCTL_BCR_FLR);
}

static uint64_t offered(struct driver *driver)
{
    uint64_t features = 0;

    for (unsigned int select = 0; select < 2; select++) {
        common_write(driver, VIRTIO_PCI_COMMON_DFSELECT, 4, select);
        features |= common_read(driver, VIRTIO_PCI_COMMON_DF, 4) << (32 * select);
    }
    return features;
}

void driver_negotiate(struct driver *driver, uint64_t features)
{
    features |= 1ull << VIRTIO_F_ACCESS_PLATFORM | (getenv("DRIVER_PACKED") ? 1ull << VIRTIO_F_RING_PACKED : 0);
    driver->features = features & offered(driver);
    driver->packed = driver->features & 1ull << VIRTIO_F_RING_PACKED;
    driver_set_status(driver, VIRTIO_CONFIG_S_ACKNOWLEDGE);
    driver_set_status(driver, VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER);
    for (unsigned int select = 0; select < 2; select++) {
        common_write(driver, VIRTIO_PCI_COMMON_GFSELECT, 4, select);
        common_write(driver, VIRTIO_PCI_COMMON_GF, 4, (uint32_t)(driver->features >> (32 * select)));
    }
    driver_set_status(driver, DRIVER_NEGOTIATED);
}

uint32_t driver_msix_interrupt(const struct driver *driver, unsigned int vector)
{
    return bridge_msi_first(&driver->machine->bridge) + driver->device * 2 + vector;
}

void driver_setup_msix(struct driver *driver)
{
    uint64_t table;

    if (!driver->msix) {
        return;
    }
    table = driver->bar + (config_read(driver, driver->msix + PCI_MSIX_TABLE, 4) & PCI_MSIX_TABLE_OFFSET);
    config_write(driver, driver->msix + PCI_MSIX_FLAGS, 2, PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL);
    for (unsigned int vector = 0; vector < 2; vector++) {
        const uint64_t entry = table + vector * PCI_MSIX_ENTRY_SIZE;
        const uint64_t address = bridge_v2m_base(&driver->machine->bridge) + BRIDGE_V2M_SETSPI;

        machine_write(driver->machine, entry + PCI_MSIX_ENTRY_LOWER_ADDR, 4, (uint32_t)address);
        machine_write(driver->machine, entry + PCI_MSIX_ENTRY_UPPER_ADDR, 4, address >> 32);
        machine_write(driver->machine, entry + PCI_MSIX_ENTRY_DATA, 4, driver_msix_interrupt(driver, vector));
        machine_write(driver->machine, entry + PCI_MSIX_ENTRY_VECTOR_CTRL, 4, 0);
    }
    config_write(driver, driver->msix + PCI_MSIX_FLAGS, 2, PCI_MSIX_FLAGS_ENABLE);
    common_write(driver, VIRTIO_PCI_COMMON_MSIX, 2, 0);
    assert_int_equal(common_read(driver, VIRTIO_PCI_COMMON_MSIX, 2), 0);
}

void driver_setup_queue(struct driver *driver)
{
    const struct {
        unsigned int offset;
        uint64_t address;
    } parts[] = {
        { VIRTIO_PCI_COMMON_Q_DESCLO, machine_dma(driver->machine, driver->memory + DRIVER_DESCRIPTORS) },
        { VIRTIO_PCI_COMMON_Q_AVAILLO, machine_dma(driver->machine, driver->memory + DRIVER_AVAILABLE) },
        { VIRTIO_PCI_COMMON_Q_USEDLO, machine_dma(driver->machine, driver->memory + DRIVER_USED) },
    };

    common_write(driver, VIRTIO_PCI_COMMON_Q_SELECT, 2, driver->queue);
    assert_int_equal(common_read(driver, VIRTIO_PCI_COMMON_Q_SIZE, 2), driver->size_max);
    common_write(driver, VIRTIO_PCI_COMMON_Q_SIZE, 2, driver->queue_size);
    for (unsigned int i = 0; i < 3; i++) {
        common_write(driver, parts[i].offset, 4, (uint32_t)parts[i].address);
        common_write(driver, parts[i].offset + 4, 4, parts[i].address >> 32);
    }
    if (driver->msix) {
        common_write(driver, VIRTIO_PCI_COMMON_Q_MSIX, 2, 1);
        assert_int_equal(common_read(driver, VIRTIO_PCI_COMMON_Q_MSIX, 2), 1);
    }
}

void driver_prepare_queue(struct driver *driver)
{
    driver_reset(driver);
    driver_negotiate(driver, DRIVER_FEATURES);
    driver_setup_queue(driver);
}

void driver_enable_queue(struct driver *driver)
{
    common_write(driver, VIRTIO_PCI_COMMON_Q_ENABLE, 2, 1);
}

void driver_start(struct driver *driver, uint64_t features)
{
    driver_reset(driver);
    driver_negotiate(driver, features);
    assert_true(driver_status(driver) & VIRTIO_CONFIG_S_FEATURES_OK);
    driver_setup_msix(driver);
    driver_setup_queue(driver);
    driver_enable_queue(driver);
    assert_int_equal(common_read(driver, VIRTIO_PCI_COMMON_Q_ENABLE, 2), 1);
    driver_set_status(driver, driver_status(driver) | VIRTIO_CONFIG_S_DRIVER_OK);
    assert_int_equal(driver_status(driver), DRIVER_RUNNING);
}

void driver_begin(struct driver *driver, struct machine *machine, const struct machine_options *options)
{
    machine_start(machine, options);
    driver_probe(driver, machine, 1);
    driver_start(driver, DRIVER_FEATURES);
    assert_int_equal(local_guest_granted(machine->guest),
                     machine->bridge.flags & BRIDGE_FLAG_GRANTS ? DRIVER_RING_PAGES : 0);
    *local_guest_counters(machine->guest) = (struct local_counters){ 0 };
}

void driver_test_run(void **state)
{
    const struct driver_test *test = *state;
    struct machine machine;
    struct driver driver;

    if (test->started) {
        driver_begin(&driver, &machine, &test->options);
    } else {
        machine_start(&machine, &test->options);
        driver_probe(&driver, &machine, 1);
    }
    test->test(&driver);
    machine_finish(&machine);
}

struct vring_desc *ring_descriptor(struct driver *driver, unsigned int index)
{
    return machine_memory(driver->machine, driver->memory + DRIVER_DESCRIPTORS + index * sizeof(struct vring_desc),
                          sizeof(struct vring_desc));
}

struct vring_avail *ring_available(struct driver *driver)
{
    return machine_memory(driver->machine, driver->memory + DRIVER_AVAILABLE, DRIVER_USED - DRIVER_AVAILABLE);
}

struct vring_used *ring_used(struct driver *driver)
{
    return machine_memory(driver->machine, driver->memory + DRIVER_USED, DRIVER_INDIRECT - DRIVER_USED);
}

struct vring_packed_desc *ring_slot(struct driver *driver, unsigned int index)
{
    const uint64_t size = sizeof(struct vring_packed_desc);

    return machine_memory(driver->machine, driver->memory + DRIVER_DESCRIPTORS + index * size, size);
}

struct vring_packed_desc_event *ring_driver_event(struct driver *driver)
{
    return machine_memory(driver->machine, driver->memory + DRIVER_AVAILABLE, sizeof(struct vring_packed_desc_event));
}

struct vring_packed_desc_event *ring_device_event(struct driver *driver)
{
    return machine_memory(driver->machine, driver->memory + DRIVER_USED, sizeof(struct vring_packed_desc_event));
}

static uint16_t packed_flags(bool wrap)
{
    return (uint16_t)(wrap ? 1u << VRING_PACKED_DESC_F_AVAIL : 1u << VRING_PACKED_DESC_F_USED);
}

static void advance(const struct driver *driver, uint16_t *slot, bool *wrap, unsigned int count)
{
    *wrap ^= *slot + count >= driver->queue_size;
    *slot = (uint16_t)((*slot + count) % driver->queue_size);
}

/* Descriptors of one chain, all but the first one available; returns the id. */
static uint16_t add_packed(struct driver *driver, const struct vring_packed_desc *descriptors, unsigned int count)
{
    struct driver_packed *ring = &driver->ring;
    uint16_t id = ring->next_id;

    while (ring->id[id].busy) {
        id = (uint16_t)((id + 1u) % driver->queue_size);
    }
    ring->next_id = (uint16_t)((id + 1u) % driver->queue_size);
    ring->id[id].busy = true;
    ring->id[id].first = ring->next;
    ring->id[id].count = (uint16_t)count;
    for (unsigned int i = 0; i < count; i++) {
        struct vring_packed_desc *slot = ring_slot(driver, ring->next);
        const uint16_t flags = (uint16_t)(descriptors[i].flags | packed_flags(ring->next_wrap));

        slot->addr = descriptors[i].addr;
        slot->len = descriptors[i].len;
        slot->id = id;
        if (i == 0) {
            ring->id[id].flags = flags;
        } else {
            slot->flags = flags;
        }
        advance(driver, &ring->next, &ring->next_wrap, 1);
    }
    return id;
}

static struct vring_packed_desc packed_descriptor(struct driver *driver, const struct buffer *buffer, bool next)
{
    return (struct vring_packed_desc){
        .addr = machine_dma(driver->machine, buffer->address), .len = buffer->length,
        .flags = (uint16_t)((buffer->write ? VRING_DESC_F_WRITE : 0) | (next ? VRING_DESC_F_NEXT : 0)),
    };
}

static uint16_t add_packed_buffers(struct driver *driver, const struct buffer *buffers, unsigned int count)
{
    struct vring_packed_desc descriptors[VIRTQUEUE_SIZE_MAX];

    for (unsigned int i = 0; i < count; i++) {
        descriptors[i] = packed_descriptor(driver, &buffers[i], i + 1 < count);
    }
    return add_packed(driver, descriptors, count);
}

static uint16_t add_packed_table(struct driver *driver, uint64_t address, const struct buffer *buffers,
                                 unsigned int count)
{
    struct vring_packed_desc *table = machine_memory(driver->machine, address, count * sizeof(*table));
    const struct vring_packed_desc descriptor = {
        .addr = machine_dma(driver->machine, address), .len = (uint32_t)(count * sizeof(*table)),
        .flags = VRING_DESC_F_INDIRECT,
    };

    for (unsigned int i = 0; i < count; i++) {
        table[i] = packed_descriptor(driver, &buffers[i], false);
    }
    return add_packed(driver, &descriptor, 1);
}

static void publish_packed(struct driver *driver, uint16_t id)
{
    struct driver_packed *ring = &driver->ring;
    unsigned int count;

    if (id >= driver->queue_size) {
        ring_slot(driver, ring->next)->id = id;
        ring_slot(driver, ring->next)->flags = packed_flags(ring->next_wrap);
        return;
    }
    count = ring->id[id].count;
    __atomic_store_n(&ring_slot(driver, ring->id[id].first)->flags, ring->id[id].flags, __ATOMIC_SEQ_CST);
    ring->published = ring->id[id].first;
    ring->published_wrap = ring->id[id].flags & 1u << VRING_PACKED_DESC_F_AVAIL;
    advance(driver, &ring->published, &ring->published_wrap, count);
    ring->unseen = (uint16_t)(ring->unseen + count);
}

/* 2.8.10 */
static bool packed_wants_notification(struct driver *driver)
{
    const struct vring_packed_desc_event event = *ring_device_event(driver);
    const int unseen = driver->ring.unseen;
    int wanted = event.off_wrap & 0x7fff;

    driver->ring.unseen = 0;
    if (event.flags != VRING_PACKED_EVENT_FLAG_DESC) {
        return event.flags == VRING_PACKED_EVENT_FLAG_ENABLE;
    }
    if (event.off_wrap >> VRING_PACKED_EVENT_F_WRAP_CTR != driver->ring.published_wrap) {
        wanted -= driver->queue_size;
    }
    return wanted < driver->ring.published && wanted >= driver->ring.published - unseen;
}

static bool is_used(struct driver *driver, uint16_t slot, bool wrap)
{
    const uint16_t flags = __atomic_load_n(&ring_slot(driver, slot)->flags, __ATOMIC_ACQUIRE);
    const uint16_t both = 1u << VRING_PACKED_DESC_F_AVAIL | 1u << VRING_PACKED_DESC_F_USED;

    return (flags & both) == (wrap ? both : 0);
}

static struct vring_used_elem take_packed(struct driver *driver)
{
    struct driver_packed *ring = &driver->ring;
    const struct vring_packed_desc slot = *ring_slot(driver, ring->used);

    assert_true(slot.id < driver->queue_size && ring->id[slot.id].busy);
    ring->id[slot.id].busy = false;
    driver->used++;
    advance(driver, &ring->used, &ring->used_wrap, ring->id[slot.id].count);
    *ring_driver_event(driver) = (struct vring_packed_desc_event){
        .off_wrap = (uint16_t)(ring->used | (unsigned int)ring->used_wrap << VRING_PACKED_EVENT_F_WRAP_CTR),
        .flags = driver->features & 1ull << VIRTIO_RING_F_EVENT_IDX ? VRING_PACKED_EVENT_FLAG_DESC
                                                                    : VRING_PACKED_EVENT_FLAG_ENABLE,
    };
    return (struct vring_used_elem){ .id = slot.id, .len = slot.len };
}

uint16_t ring_add(struct driver *driver, const struct buffer *buffers, unsigned int count)
{
    const uint16_t head = driver->next_free;

    if (driver->packed) {
        return add_packed_buffers(driver, buffers, count);
    }

    for (unsigned int i = 0; i < count; i++) {
        const uint16_t index = driver->next_free;

        driver->next_free = (uint16_t)((index + 1u) % driver->queue_size);
        *ring_descriptor(driver, index) = (struct vring_desc){
            .addr = machine_dma(driver->machine, buffers[i].address),
            .len = buffers[i].length,
            .flags = (uint16_t)((buffers[i].write ? VRING_DESC_F_WRITE : 0) | (i + 1 < count ? VRING_DESC_F_NEXT : 0)),
            .next = driver->next_free,
        };
    }
    return head;
}

uint16_t ring_add_table(struct driver *driver, uint64_t address, const struct buffer *buffers, unsigned int count)
{
    struct vring_desc *table = machine_memory(driver->machine, address, count * sizeof(*table));
    const uint16_t head = driver->next_free;

    if (driver->packed) {
        return add_packed_table(driver, address, buffers, count);
    }
    driver->next_free = (uint16_t)((head + 1u) % driver->queue_size);
    for (unsigned int i = 0; i < count; i++) {
        table[i] = (struct vring_desc){
            .addr = machine_dma(driver->machine, buffers[i].address),
            .len = buffers[i].length,
            .flags = (uint16_t)((buffers[i].write ? VRING_DESC_F_WRITE : 0) | (i + 1 < count ? VRING_DESC_F_NEXT : 0)),
            .next = (uint16_t)(i + 1),
        };
    }
    *ring_descriptor(driver, head) = (struct vring_desc){
        .addr = machine_dma(driver->machine, address),
        .len = (uint32_t)(count * sizeof(*table)),
        .flags = VRING_DESC_F_INDIRECT,
    };
    return head;
}

uint16_t ring_add_indirect(struct driver *driver, const struct buffer *buffers, unsigned int count)
{
    return ring_add_table(driver, driver->memory + DRIVER_INDIRECT, buffers, count);
}

void ring_move(struct driver *driver, uint16_t head, unsigned int link, uint64_t address)
{
    if (driver->packed) {
        ring_slot(driver, (driver->ring.id[head].first + link) % driver->queue_size)->addr = address;
    } else {
        ring_descriptor(driver, (head + link) % driver->queue_size)->addr = address;
    }
}

void ring_publish(struct driver *driver, uint16_t head)
{
    struct vring_avail *available = ring_available(driver);

    if (driver->packed) {
        publish_packed(driver, head);
        return;
    }
    available->ring[driver->available % driver->queue_size] = head;
    driver->available++;
    __atomic_store_n(&available->idx, driver->available, __ATOMIC_SEQ_CST);
}

void driver_kick(struct driver *driver)
{
    if (driver->mmio) {
        mmio_write(driver, VIRTIO_MMIO_QUEUE_NOTIFY, driver->queue);
        return;
    }
    machine_write(driver->machine, driver->notify + driver->queue * driver->notify_multiplier, 2, driver->queue);
    /* With a doorbell nobody waits for the model, which by now runs on another processor. */
    machine_turn(driver->machine);
}

/* Virtio 1.2, 2.7.10 */
static bool wants_notification(struct driver *driver)
{
    const struct vring_used *used = ring_used(driver);
    const uint16_t old = driver->notified;

    driver->notified = driver->available;
    if (driver->features & 1ull << VIRTIO_RING_F_EVENT_IDX) {
        const volatile uint16_t *event =
            (const volatile uint16_t *)(const volatile void *)&used->ring[driver->queue_size];

        return vring_need_event(*event, driver->available, old);
    }
    return !(*(const volatile uint16_t *)&used->flags & VRING_USED_F_NO_NOTIFY);
}

void driver_notify(struct driver *driver)
{
    if (driver->packed ? packed_wants_notification(driver) : wants_notification(driver)) {
        driver_kick(driver);
    }
}

uint16_t driver_given(struct driver *driver)
{
    uint16_t slot = driver->ring.used, count = driver->used;
    bool wrap = driver->ring.used_wrap;

    if (!driver->packed) {
        return __atomic_load_n(&ring_used(driver)->idx, __ATOMIC_ACQUIRE);
    }
    for (; is_used(driver, slot, wrap); count++) {
        advance(driver, &slot, &wrap, driver->ring.id[ring_slot(driver, slot)->id].count);
    }
    return count;
}

bool driver_completed(struct driver *driver)
{
    if (driver->packed) {
        return is_used(driver, driver->ring.used, driver->ring.used_wrap);
    }
    return __atomic_load_n(&ring_used(driver)->idx, __ATOMIC_ACQUIRE) != driver->used;
}

struct vring_used_elem driver_wait(struct driver *driver)
{
    const uint64_t deadline = machine_now() + PATIENCE_MS;

    while (!driver_completed(driver)) {
        machine_turn(driver->machine);
        machine_check_deadline(deadline, "a request");
    }
    if (driver->packed) {
        return take_packed(driver);
    }
    /* What the driver does when it is interrupted; it asks to be told about the next one. */
    ring_available(driver)->ring[driver->queue_size] = (uint16_t)(driver->used + 1);
    return ring_used(driver)->ring[driver->used++ % driver->queue_size];
}

uint32_t driver_run(struct driver *driver, uint16_t head)
{
    struct vring_used_elem element;

    ring_publish(driver, head);
    driver_notify(driver);
    element = driver_wait(driver);
    assert_int_equal(element.id, head);
    return element.len;
}

uint64_t blk_header(struct driver *driver, unsigned int slot, uint32_t type, uint64_t sector)
{
    const uint64_t address = driver->memory + DRIVER_HEADER + slot * 64;
    const struct virtio_blk_outhdr header = { .type = type, .sector = sector };

    memcpy(machine_memory(driver->machine, address, sizeof(header)), &header, sizeof(header));
    *blk_status(driver, slot) = 0xaa;
    return address;
}

uint64_t blk_status_address(const struct driver *driver, unsigned int slot)
{
    return driver->memory + DRIVER_HEADER + slot * 64 + 32;
}

uint8_t *blk_status(struct driver *driver, unsigned int slot)
{
    return machine_memory(driver->machine, blk_status_address(driver, slot), 1);
}

uint64_t driver_data_address(const struct driver *driver)
{
    return driver->memory + DRIVER_DATA;
}

void *driver_data(struct driver *driver)
{
    return machine_memory(driver->machine, driver_data_address(driver), 0x80000);
}

static bool reads(uint32_t type)
{
    return type == VIRTIO_BLK_T_IN || type == VIRTIO_BLK_T_GET_ID;
}

void blk_buffers(struct driver *driver, struct buffer buffers[3], unsigned int slot, uint32_t type, uint64_t sector,
                 uint32_t length)
{
    buffers[0] = (struct buffer){ blk_header(driver, slot, type, sector), 16, false };
    buffers[1] = (struct buffer){ driver_data_address(driver), length, reads(type) };
    buffers[2] = (struct buffer){ blk_status_address(driver, slot), 1, true };
}

uint16_t blk_add(struct driver *driver, unsigned int slot, uint32_t type, uint64_t sector, uint32_t length)
{
    struct buffer buffers[3];

    blk_buffers(driver, buffers, slot, type, sector, length);
    if (length == 0) {
        buffers[1] = buffers[2];
        return ring_add(driver, buffers, 2);
    }
    return ring_add(driver, buffers, 3);
}

uint8_t blk_request(struct driver *driver, uint32_t type, uint64_t sector, uint32_t length)
{
    const uint32_t written = driver_run(driver, blk_add(driver, 0, type, sector, length));
    const uint8_t status = *blk_status(driver, 0);

    if (status == VIRTIO_BLK_S_OK || !reads(type) || length == 0) {
        assert_int_equal(written, reads(type) ? length + 1 : 1);
    } else {
        assert_true(written < length);
    }
    return status;
}

uint8_t blk_range_request(struct driver *driver, uint32_t type, uint64_t sector, uint32_t sectors, uint32_t flags)
{
    const struct virtio_blk_discard_write_zeroes range = { .sector = sector, .num_sectors = sectors, .flags = flags };

    memcpy(driver_data(driver), &range, sizeof(range));
    return blk_request(driver, type, 0, sizeof(range));
}

void blk_begin_read(struct driver *driver)
{
    ring_publish(driver, blk_add(driver, 0, VIRTIO_BLK_T_IN, 0, 4096));
    driver_kick(driver);
}

void blk_check_pattern(struct driver *driver, uint64_t sector, uint32_t sectors)
{
    const uint64_t *words = driver_data(driver);

    memset(driver_data(driver), 0x55, sectors * 512);
    assert_int_equal(blk_request(driver, VIRTIO_BLK_T_IN, sector, sectors * 512), VIRTIO_BLK_S_OK);
    for (uint64_t word = 0; word < sectors * 64; word++) {
        assert_int_equal(words[word], machine_word(sector * 64 + word));
    }
}

void driver_check_needs_reset(struct driver *driver)
{
    driver_kick(driver);
    machine_settle(driver->machine);
    assert_true(driver_status(driver) & VIRTIO_CONFIG_S_NEEDS_RESET);
    if (driver->mmio) {
        assert_true(mmio_read(driver, VIRTIO_MMIO_INTERRUPT_STATUS) & VIRTIO_MMIO_INT_CONFIG);
    } else {
        assert_true(machine_read(driver->machine, driver->isr, 1) & VIRTIO_PCI_ISR_CONFIG);
    }
    assert_false(driver_completed(driver));
    ring_publish(driver, blk_add(driver, 1, VIRTIO_BLK_T_FLUSH, 0, 0));
    driver_kick(driver);
    machine_settle(driver->machine);
    assert_false(driver_completed(driver));
    assert_int_equal(*blk_status(driver, 1), 0xaa);
    driver_check_serves(driver);
}

void driver_check_refused(struct driver *driver, uint16_t head)
{
    ring_publish(driver, head);
    driver_kick(driver);
    machine_settle(driver->machine);
    assert_int_equal(*blk_status(driver, 0), 0xaa);
    driver_check_needs_reset(driver);
}

void driver_check_serves(struct driver *driver)
{
    if (driver_status(driver) != DRIVER_RUNNING) {
        driver_start(driver, DRIVER_FEATURES);
    }
    blk_check_pattern(driver, 3, 8);
}
