/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Packed rings and descriptors that break the rules of virtio 1.2, section 2.8: the sibling of test_split_ring.c, with
 * the same two answers. What does not say that it is available is no input at all.
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "driver.h"
#include "faults.h"

#define AVAILABLE (1u << VRING_PACKED_DESC_F_AVAIL)
#define USED      (1u << VRING_PACKED_DESC_F_USED)

/* A read of one sector into slot 0's place: three descriptors. */
static uint16_t add_good_read(struct driver *driver)
{
    return blk_add(driver, 0, VIRTIO_BLK_T_IN, 0, 512);
}

static uint16_t add_good_indirect(struct driver *driver)
{
    struct buffer buffers[3];

    blk_buffers(driver, buffers, 0, VIRTIO_BLK_T_IN, 0, 512);
    return ring_add_indirect(driver, buffers, 3);
}

/* One of the descriptors of a chain that was added and not yet published; the flags of the first are not there yet. */
static struct vring_packed_desc *link_of(struct driver *driver, uint16_t id, unsigned int link)
{
    return ring_slot(driver, (driver->ring.id[id].first + link) % driver->queue_size);
}

static struct vring_packed_desc *table_of(struct driver *driver)
{
    return machine_memory(driver->machine, driver->memory + DRIVER_INDIRECT, 0x1000);
}

static void expect_served(struct driver *driver, uint16_t id)
{
    assert_int_equal(driver_run(driver, id), 513);
    assert_int_equal(*blk_status(driver, 0), VIRTIO_BLK_S_OK);
}

static void expect_error(struct driver *driver, uint16_t id)
{
    (void)driver_run(driver, id);
    assert_int_equal(*blk_status(driver, 0), VIRTIO_BLK_S_IOERR);
    driver_check_serves(driver);
}

/* Both flags, neither of them, or those of another round: nothing is there, until there is. */
static void test_wrap_counter_lies(struct driver *driver)
{
    for (unsigned int round = 0; round < 20; round++) {
        const uint16_t id = add_good_read(driver);
        const uint16_t right = driver->ring.id[id].flags;
        const uint16_t wrong[] = {
            (uint16_t)(right | AVAILABLE | USED), (uint16_t)(right & ~(AVAILABLE | USED)),
            (uint16_t)(right ^ (AVAILABLE | USED)),
        };

        for (unsigned int i = 0; i < 3; i++) {
            link_of(driver, id, 0)->flags = wrong[i];
            driver_kick(driver);
            machine_settle(driver->machine);
            assert_int_equal(driver_status(driver), DRIVER_RUNNING);
            assert_int_equal(*blk_status(driver, 0), 0xaa);
        }
        link_of(driver, id, 0)->flags = 0;
        expect_served(driver, id);
    }
}

/* What follows the first descriptor is there when that is: what its flags say about it is of no interest. */
static void test_partly_available(struct driver *driver)
{
    for (unsigned int round = 0; round < 20; round++) {
        const uint16_t id = add_good_read(driver);

        link_of(driver, id, 1)->flags ^= AVAILABLE | USED;
        link_of(driver, id, 2)->flags |= AVAILABLE | USED;
        expect_served(driver, id);
    }
}

static void test_id_beyond_queue(struct driver *driver)
{
    const uint16_t ids[] = { DRIVER_QUEUE_SIZE, DRIVER_QUEUE_SIZE + 1, 0x8000, 0xffff };

    for (unsigned int i = 0; i < 4; i++) {
        ring_publish(driver, ids[i]);
        driver_check_needs_reset(driver);
    }
}

static void test_id_already_in_flight(struct driver *driver)
{
    uint16_t first, second;

    faults_hold();
    first = add_good_read(driver);
    ring_publish(driver, first);
    second = blk_add(driver, 1, VIRTIO_BLK_T_IN, 0, 512);
    for (unsigned int i = 0; i < 3; i++) {
        link_of(driver, second, i)->id = first;
    }
    ring_publish(driver, second);
    driver_kick(driver);
    machine_settle(driver->machine);
    assert_true(driver_status(driver) & VIRTIO_CONFIG_S_NEEDS_RESET);
    /* The one that was in flight ends as if nothing were. */
    faults_release();
    machine_settle(driver->machine);
    assert_int_equal(driver_given(driver), 1);
    assert_int_equal(*blk_status(driver, 0), VIRTIO_BLK_S_OK);
    assert_int_equal(*blk_status(driver, 1), 0xaa);
    driver_check_serves(driver);
}

/* Rings of every size, also such as are no power of two; chains begin at every slot and go beyond the end. */
static void test_chains_go_beyond_the_end(struct driver *driver)
{
    const uint16_t sizes[] = { 3, 4, 5, 7, 13, 16, 255, 256 };

    for (unsigned int i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        driver->queue_size = sizes[i];
        driver_start(driver, DRIVER_FEATURES);
        for (unsigned int round = 0; round < 2u * sizes[i] + 3; round++) {
            expect_served(driver, add_good_read(driver));
        }
    }
}

static void test_queue_size_impossible(struct driver *driver)
{
    const uint16_t sizes[] = { 0, BLK_QUEUE_SIZE + 1, 0x8000, 0xffff };

    for (unsigned int i = 0; i < 4; i++) {
        driver_prepare_queue(driver);
        common_write(driver, VIRTIO_PCI_COMMON_Q_SIZE, 2, sizes[i]);
        driver_enable_queue(driver);
        assert_int_equal(common_read(driver, VIRTIO_PCI_COMMON_Q_ENABLE, 2), 0);
        assert_true(driver_status(driver) & VIRTIO_CONFIG_S_NEEDS_RESET);
        driver_check_serves(driver);
    }
}

/* 2.8: 16 bytes for the ring, 4 for the structures that suppress events. */
static void test_area_unaligned(struct driver *driver)
{
    const unsigned int offsets[] = { VIRTIO_PCI_COMMON_Q_DESCLO, VIRTIO_PCI_COMMON_Q_AVAILLO,
                                     VIRTIO_PCI_COMMON_Q_USEDLO };

    for (unsigned int i = 0; i < 3; i++) {
        driver_prepare_queue(driver);
        common_write(driver, offsets[i], 4, (uint32_t)driver->memory + (i == 0 ? 8 : 2));
        driver_enable_queue(driver);
        assert_int_equal(common_read(driver, VIRTIO_PCI_COMMON_Q_ENABLE, 2), 0);
        driver_check_serves(driver);
    }
}

static void test_chain_without_end(struct driver *driver)
{
    for (unsigned int empty = 0; empty < 2; empty++) {
        for (unsigned int i = 0; i < DRIVER_QUEUE_SIZE; i++) {
            *ring_slot(driver, i) = (struct vring_packed_desc){
                .addr = driver_data_address(driver), .len = empty ? 0 : 16,
                .flags = VRING_DESC_F_NEXT | VRING_DESC_F_WRITE | AVAILABLE,
            };
        }
        *blk_status(driver, 0) = 0xaa;
        driver_kick(driver);
        machine_settle(driver->machine);
        assert_int_equal(driver_given(driver), 0);
        assert_int_equal(*blk_status(driver, 0), 0xaa);
        assert_true(driver_status(driver) & VIRTIO_CONFIG_S_NEEDS_RESET);
        driver_check_serves(driver);
        driver_start(driver, DRIVER_FEATURES);
    }
}

/* The driver goes on where descriptors are still in flight: there are more than the ring has. */
static void test_more_than_the_ring_has(struct driver *driver)
{
    faults_hold();
    for (unsigned int i = 0; i < 6; i++) { /* 18 of 16 */
        ring_publish(driver, blk_add(driver, i, VIRTIO_BLK_T_IN, 0, 512));
        driver_kick(driver);
        machine_settle(driver->machine);
    }
    assert_int_equal(faults_held(), 5);
    assert_true(driver_status(driver) & VIRTIO_CONFIG_S_NEEDS_RESET);
    faults_release();
    machine_settle(driver->machine);
    for (unsigned int i = 0; i < 6; i++) {
        assert_int_equal(*blk_status(driver, i), i < 5 ? VIRTIO_BLK_S_OK : 0xaa);
    }
    driver_check_serves(driver);
}

/* What is in flight is overwritten by what ends before it, for many rounds, and then by the guest; it ends as ever. */
static void test_ring_overwritten_while_in_flight(struct driver *driver)
{
    uint16_t held;

    faults_hold();
    held = blk_add(driver, 9, VIRTIO_BLK_T_IN, 5, 512);
    ring_publish(driver, held);
    driver_kick(driver);
    machine_settle(driver->machine);
    for (unsigned int round = 0; round < 100; round++) {
        (void)driver_run(driver, blk_add(driver, 0, 99, 0, 0));
        assert_int_equal(*blk_status(driver, 0), VIRTIO_BLK_S_UNSUPP);
    }
    for (unsigned int i = 0; i < DRIVER_QUEUE_SIZE; i++) {
        struct vring_packed_desc *const slot = ring_slot(driver, i);

        slot->addr = UINT64_MAX;
        slot->len = UINT32_MAX;
        slot->id = 0xffff;
    }
    faults_release();
    assert_int_equal(driver_wait(driver).id, held);
    assert_int_equal(*blk_status(driver, 9), VIRTIO_BLK_S_OK);
    assert_int_equal(*(uint64_t *)driver_data(driver), machine_word(5 * 64));
    driver_check_serves(driver);
}

/* Seen once: what changes after the notification has been answered and before the data are there does not matter. */
static void test_descriptor_changes_after_it_was_read(struct driver *driver)
{
    for (unsigned int round = 0; round < 20; round++) {
        uint16_t id;

        faults_hold();
        id = add_good_read(driver);
        ring_publish(driver, id);
        driver_kick(driver);
        machine_settle(driver->machine);
        for (unsigned int i = 0; i < 3; i++) {
            link_of(driver, id, i)->addr = driver_data_address(driver) + 0x10000;
            link_of(driver, id, i)->len = 0x10000;
            link_of(driver, id, i)->flags ^= VRING_DESC_F_WRITE | VRING_DESC_F_INDIRECT;
            link_of(driver, id, i)->id ^= 1;
        }
        memset((char *)driver_data(driver) + 0x10000, 0x33, 0x10000);
        faults_release();
        assert_int_equal(driver_wait(driver).len, 513);
        assert_int_equal(*blk_status(driver, 0), VIRTIO_BLK_S_OK);
        assert_int_equal(((uint8_t *)driver_data(driver))[0x10000], 0x33);
        assert_int_equal(((uint8_t *)driver_data(driver))[0x1ffff], 0x33);
    }
}

static void test_address_is_no_ram(struct driver *driver)
{
    const uint64_t addresses[] = { 0, MACHINE_RAM_END - 1, MACHINE_RAM_END, driver->bar, UINT64_MAX - 255 };

    for (unsigned int i = 0; i < 5; i++) {
        uint16_t id;

        for (unsigned int link = 0; link < 2; link++) {
            id = add_good_read(driver);
            link_of(driver, id, link)->addr = addresses[i];
            expect_error(driver, id);
        }
        id = add_good_read(driver);
        link_of(driver, id, 2)->addr = addresses[i];
        link_of(driver, id, 2)->len = 2;
        driver_check_refused(driver, id);
    }
}

static void test_lengths(struct driver *driver)
{
    const uint32_t lengths[] = { UINT32_MAX - 17, 0x80000000, (uint32_t)MACHINE_BANK };
    uint16_t id;

    for (unsigned int i = 0; i < 3; i++) {
        id = add_good_read(driver);
        link_of(driver, id, 1)->len = lengths[i];
        expect_error(driver, id);
    }
    id = add_good_read(driver);
    link_of(driver, id, 1)->len = UINT32_MAX; /* the sum is more than 32 bits */
    driver_check_refused(driver, id);
    id = add_good_read(driver);
    for (unsigned int i = 0; i < 3; i++) {
        link_of(driver, id, i)->len = 0;
    }
    driver_check_refused(driver, id);
}

static void test_write_before_read(struct driver *driver)
{
    uint16_t id = add_good_read(driver);

    driver->ring.id[id].flags |= VRING_DESC_F_WRITE;
    link_of(driver, id, 1)->flags &= (uint16_t)~VRING_DESC_F_WRITE;
    driver_check_refused(driver, id);
    id = add_good_read(driver);
    link_of(driver, id, 2)->flags &= (uint16_t)~VRING_DESC_F_WRITE;
    driver_check_refused(driver, id);
}

static void test_indirect_without_feature(struct driver *driver)
{
    driver_start(driver, DRIVER_FEATURES & ~(1ull << VIRTIO_RING_F_INDIRECT_DESC));
    driver_check_refused(driver, add_good_indirect(driver));
}

static void test_indirect_nested(struct driver *driver)
{
    for (unsigned int at = 0; at < 3; at++) {
        const uint16_t id = add_good_indirect(driver);
        struct vring_packed_desc *const table = table_of(driver);

        memcpy(table + 16, table, 3 * sizeof(*table));
        table[at] = (struct vring_packed_desc){
            .addr = driver->memory + DRIVER_INDIRECT + 16 * sizeof(*table), .len = 3 * sizeof(*table),
            .flags = VRING_DESC_F_INDIRECT,
        };
        driver_check_refused(driver, id);
    }
}

/* A table is a chain of its own: none comes before it, or after it. */
static void test_indirect_in_a_chain(struct driver *driver)
{
    for (unsigned int at = 0; at < 3; at++) {
        const uint16_t id = add_good_read(driver);
        struct vring_packed_desc *const link = link_of(driver, id, at);

        *table_of(driver) = *link;
        link->addr = driver->memory + DRIVER_INDIRECT;
        link->len = sizeof(*link);
        link->flags |= VRING_DESC_F_INDIRECT;
        driver->ring.id[id].flags |= at == 0 ? VRING_DESC_F_INDIRECT : 0;
        driver_check_refused(driver, id);
    }
}

/* 2.8.8: of the flags in a table all but WRITE mean nothing, nor does WRITE of the table itself. */
static void test_indirect_flags_without_meaning(struct driver *driver)
{
    for (unsigned int bit = 0; bit < 16; bit++) {
        const uint16_t flag = (uint16_t)(1u << bit);
        const uint16_t id = add_good_indirect(driver);

        for (unsigned int i = 0; i < 3 && !(flag & (VRING_DESC_F_WRITE | VRING_DESC_F_INDIRECT)); i++) {
            table_of(driver)[i].flags |= flag;
            table_of(driver)[i].id = 0xffff;
        }
        driver->ring.id[id].flags |= VRING_DESC_F_WRITE;
        expect_served(driver, id);
    }
}

static void test_indirect_table_length(struct driver *driver)
{
    const uint32_t lengths[] = { 0, 1, 15, 17, 47, 49, 16 * (BLK_QUEUE_SIZE + 1), 0x10000000, 0xfffffff0, UINT32_MAX };

    for (unsigned int i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        const uint16_t id = add_good_indirect(driver);

        link_of(driver, id, 0)->len = lengths[i];
        driver_check_refused(driver, id);
    }
}

static void test_indirect_table_is_no_ram(struct driver *driver)
{
    const uint64_t addresses[] = { 0, MACHINE_RAM_END - 16, MACHINE_RAM_END, driver->bar, UINT64_MAX - 15 };

    for (unsigned int i = 0; i < 5; i++) {
        const uint16_t id = add_good_indirect(driver);

        link_of(driver, id, 0)->addr = addresses[i];
        driver_check_refused(driver, id);
    }
}

/* As long as the device's queue could be, whatever the driver has made of it. */
static void test_indirect_chain_longer_than_small_ring(struct driver *driver)
{
    struct buffer buffers[BLK_QUEUE_SIZE];

    buffers[0] = (struct buffer){ blk_header(driver, 0, VIRTIO_BLK_T_IN, 9), 16, false };
    for (unsigned int i = 1; i < BLK_QUEUE_SIZE - 1; i++) {
        buffers[i] = (struct buffer){ driver_data_address(driver) + (i - 1) * 512, 512, true };
    }
    buffers[BLK_QUEUE_SIZE - 1] = (struct buffer){ blk_status_address(driver, 0), 1, true };
    for (unsigned int i = 0; i < 40; i++) {
        assert_int_equal(driver_run(driver, ring_add_indirect(driver, buffers, BLK_QUEUE_SIZE)),
                         (BLK_QUEUE_SIZE - 2) * 512 + 1);
        assert_int_equal(*blk_status(driver, 0), VIRTIO_BLK_S_OK);
    }
}

static void test_reserved_flags(struct driver *driver)
{
    for (unsigned int bit = 3; bit < 15; bit++) {
        const uint16_t flag = (uint16_t)(bit == VRING_PACKED_DESC_F_AVAIL ? 0 : 1u << bit);
        const uint16_t id = add_good_read(driver);

        driver->ring.id[id].flags |= flag;
        link_of(driver, id, 1)->flags |= flag;
        link_of(driver, id, 2)->flags |= flag;
        expect_served(driver, id);
    }
}

/* What a driver says of its wishes can only cost it an interrupt. */
static void test_events_wild(struct driver *driver)
{
    for (unsigned int i = 0; i < 64; i++) {
        *ring_driver_event(driver) = (struct vring_packed_desc_event){
            .off_wrap = (uint16_t)(i * 0x1357 + (i % 3) * 0x8000), .flags = (uint16_t)(i % 2 ? i : 0xfffe + i),
        };
        *ring_device_event(driver) = (struct vring_packed_desc_event){ .off_wrap = 0xffff, .flags = 0xffff };
        ring_publish(driver, add_good_read(driver));
        driver_kick(driver);
        assert_int_equal(driver_wait(driver).len, 513);
    }
    driver_check_serves(driver);
}

/* Whether the device interrupts for `count` flushes that end in one turn, the driver having asked for `event`. */
static bool interrupts_for(struct driver *driver, unsigned int count, struct vring_packed_desc_event event)
{
    const uint32_t interrupt = driver->mmio ? driver->machine->bridge.interrupt_first + driver->device - 1
                                            : driver_msix_interrupt(driver, 1);

    *ring_driver_event(driver) = event;
    (void)local_guest_take(driver->machine->guest, interrupt);
    for (unsigned int i = 0; i < count; i++) {
        ring_publish(driver, blk_add(driver, i, 99, 0, 0));
    }
    driver_kick(driver);
    machine_settle(driver->machine);
    for (unsigned int i = 0; i < count; i++) {
        assert_true(driver_completed(driver));
        (void)driver_wait(driver);
    }
    return local_guest_take(driver->machine->guest, interrupt);
}

static struct vring_packed_desc_event event_at(const struct driver *driver, unsigned int ahead)
{
    const unsigned int slot = driver->ring.used + ahead;
    const bool wrap = driver->ring.used_wrap ^ (slot >= driver->queue_size);

    return (struct vring_packed_desc_event){
        .off_wrap = (uint16_t)(slot % driver->queue_size | (unsigned int)wrap << VRING_PACKED_EVENT_F_WRAP_CTR),
        .flags = VRING_PACKED_EVENT_FLAG_DESC,
    };
}

/* 2.8.10: exactly when the descriptor that the driver names is used, in every place of the ring. */
static void test_interrupts_as_the_driver_wants(struct driver *driver)
{
    const struct vring_packed_desc_event always = { .flags = VRING_PACKED_EVENT_FLAG_ENABLE };
    const struct vring_packed_desc_event never = { .flags = VRING_PACKED_EVENT_FLAG_DISABLE };

    driver->queue_size = 13;
    driver_start(driver, DRIVER_FEATURES);
    for (unsigned int round = 0; round < 40; round++) {
        assert_true(interrupts_for(driver, 1, always));
        assert_false(interrupts_for(driver, 1, never));
        assert_true(interrupts_for(driver, 1, event_at(driver, 0)));
        assert_true(interrupts_for(driver, 3, event_at(driver, 4))); /* the third one, of two descriptors each */
        assert_false(interrupts_for(driver, 2, event_at(driver, 4)));
        assert_false(interrupts_for(driver, 1, event_at(driver, 12)));
    }
    /* Without the event index such a wish is one for all. */
    driver_start(driver, DRIVER_FEATURES & ~(1ull << VIRTIO_RING_F_EVENT_IDX));
    assert_true(interrupts_for(driver, 1, event_at(driver, 12)));
    assert_false(interrupts_for(driver, 1, never));
}

/* As a driver that is asked for notifications exactly where the device has found nothing. */
static void test_notifications_as_the_device_wants(struct driver *driver)
{
    struct local_counters *const counters = local_guest_counters(driver->machine->guest);

    for (unsigned int i = 0; i < 2; i++) {
        driver_start(driver, DRIVER_FEATURES & ~(i ? 1ull << VIRTIO_RING_F_EVENT_IDX : 0));
        counters->blocking = 0;
        counters->rung = 0;
        for (unsigned int round = 1; round < 100; round++) {
            driver_check_serves(driver);
            assert_int_equal(ring_device_event(driver)->flags,
                             i ? VRING_PACKED_EVENT_FLAG_ENABLE : VRING_PACKED_EVENT_FLAG_DESC);
        }
    }
}

struct scribbler {
    struct driver *driver;
    bool flags; /* of descriptors, too: what is available */
    bool stop;
};

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

/* A second vCPU that rewrites ring, indirect table, header and events, as fast as it can. */
static void *scribble(void *opaque)
{
    struct scribbler *scribbler = opaque;
    struct driver *driver = scribbler->driver;
    volatile struct vring_packed_desc *ring = ring_slot(driver, 0);
    volatile struct vring_packed_desc *table = table_of(driver);
    volatile uint32_t *event = (volatile uint32_t *)(void *)ring_driver_event(driver);
    volatile uint32_t *header = machine_memory(driver->machine, driver->memory + DRIVER_HEADER, 64);
    uint64_t state = 88172645463325252ull;

    while (!__atomic_load_n(&scribbler->stop, __ATOMIC_RELAXED)) {
        const uint64_t random = next_random(&state);
        volatile struct vring_packed_desc *const at = random & 1 ? &ring[random >> 1 & 15] : &table[random >> 1 & 15];

        at->addr = random >> 61 ? driver_data_address(driver) : random;
        at->len = random >> 5 & 7 ? 512 : (uint32_t)random;
        if (scribbler->flags) {
            at->id = random >> 8 & 15;
            at->flags = (uint16_t)((random >> 12 & 7) | (random >> 15 & 1 ? AVAILABLE : 0) |
                                   (random >> 16 & 1 ? USED : 0));
        }
        header[random >> 20 & 3] = (uint32_t)(random >> 28 & 15);
        *event = (uint32_t)(random >> 30);
    }
    return NULL;
}

static pthread_t start_scribbling(struct scribbler *scribbler)
{
    pthread_t thread;

    assert_int_equal(pthread_create(&thread, NULL, scribble, scribbler), 0);
    return thread;
}

static void stop_scribbling(struct scribbler *scribbler, pthread_t thread)
{
    __atomic_store_n(&scribbler->stop, true, __ATOMIC_RELAXED);
    assert_int_equal(pthread_join(thread, NULL), 0);
    driver_start(scribbler->driver, DRIVER_FEATURES);
    for (unsigned int i = 0; i < 50; i++) {
        driver_check_serves(scribbler->driver);
    }
}

/* As driver_start(), for a device that may be broken again before the next look at its status. */
static void start_again(struct driver *driver)
{
    driver_reset(driver);
    driver_negotiate(driver, DRIVER_FEATURES);
    driver_setup_msix(driver);
    driver_setup_queue(driver);
    driver_enable_queue(driver);
    driver_set_status(driver, driver_status(driver) | VIRTIO_CONFIG_S_DRIVER_OK);
}

/* Descriptors modified after the kick: every chain comes back with an answer, or the device asks to be reset. */
static void test_descriptors_change_while_they_are_read(struct driver *driver)
{
    struct scribbler scribbler = { .driver = driver };
    const pthread_t thread = start_scribbling(&scribbler);
    const uint64_t end = machine_now() + 1500;
    unsigned int resets = 0, answered = 0;

    while (machine_now() < (resets > 0 && answered > 0 ? end : end + 20000)) {
        const uint64_t deadline = machine_now() + 20000;

        ring_publish(driver, answered % 2 ? add_good_read(driver) : add_good_indirect(driver));
        driver_kick(driver);
        while (driver_given(driver) == 0 && !(driver_status(driver) & VIRTIO_CONFIG_S_NEEDS_RESET)) {
            machine_turn(driver->machine);
            machine_check_deadline(deadline, "a request");
        }
        answered += driver_given(driver) > 0;
        resets += driver_given(driver) == 0;
        start_again(driver);
    }
    print_message("%u answered, %u resets\n", answered, resets);
    assert_true(resets > 0 && answered > 0);
    stop_scribbling(&scribbler, thread);
}

/* All of the ring: the device gives up again and again, and works after each reset. */
static void test_ring_changes_while_it_is_read(struct driver *driver)
{
    struct scribbler scribbler = { .driver = driver, .flags = true };
    const pthread_t thread = start_scribbling(&scribbler);
    const uint64_t end = machine_now() + 1500;
    unsigned int resets = 0;

    while (machine_now() < end) {
        driver_kick(driver);
        machine_turn(driver->machine);
        if (driver_status(driver) & VIRTIO_CONFIG_S_NEEDS_RESET) {
            resets++;
            start_again(driver);
        }
    }
    print_message("%u resets\n", resets);
    assert_true(resets > 0);
    stop_scribbling(&scribbler, thread);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        driver_test(test_wrap_counter_lies),
        driver_test(test_partly_available),
        driver_test(test_id_beyond_queue),
        driver_test(test_id_already_in_flight),
        driver_test(test_chains_go_beyond_the_end),
        driver_test(test_queue_size_impossible),
        driver_test(test_area_unaligned),
        driver_test(test_chain_without_end),
        driver_test(test_more_than_the_ring_has),
        driver_test(test_ring_overwritten_while_in_flight),
        driver_test(test_descriptor_changes_after_it_was_read),
        driver_test(test_address_is_no_ram),
        driver_test(test_lengths),
        driver_test(test_write_before_read),
        driver_test(test_indirect_without_feature),
        driver_test(test_indirect_nested),
        driver_test(test_indirect_in_a_chain),
        driver_test(test_indirect_flags_without_meaning),
        driver_test(test_indirect_table_length),
        driver_test(test_indirect_table_is_no_ram),
        driver_test(test_indirect_chain_longer_than_small_ring),
        driver_test(test_reserved_flags),
        driver_test(test_events_wild),
        driver_test(test_interrupts_as_the_driver_wants),
        driver_test(test_notifications_as_the_device_wants),
        driver_test(test_descriptors_change_while_they_are_read, .read_only = true),
        driver_test(test_ring_changes_while_it_is_read, .read_only = true),
    };

    return setenv("DRIVER_PACKED", "1", 1) ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
