/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Rings and descriptors that break the rules of virtio 1.2, section 2.7. Two answers are possible:
 *   IOERR          the chain is in order but points to what is no RAM: the request fails, the queue goes on
 *   NEEDS_RESET    there is no place for an error: the device stops without giving the chain back, which would say that
 *                  it has been done, and works again after a reset
 */
#include <pthread.h>
#include <string.h>

#include "driver.h"

/* Descriptors 0.. hold a good read, to be spoilt; nothing is published. */
static void good_read(struct driver *driver, struct buffer buffers[3])
{
    blk_buffers(driver, buffers, 0, VIRTIO_BLK_T_IN, 0, 512);
}

static uint16_t add_good_read(struct driver *driver)
{
    struct buffer buffers[3];

    good_read(driver, buffers);
    return ring_add(driver, buffers, 3);
}

static uint16_t add_good_indirect(struct driver *driver)
{
    struct buffer buffers[3];

    good_read(driver, buffers);
    return ring_add_indirect(driver, buffers, 3);
}

static void expect_served(struct driver *driver, uint16_t head)
{
    assert_int_equal(driver_run(driver, head), 513);
    assert_int_equal(*blk_status(driver, 0), VIRTIO_BLK_S_OK);
}

static void expect_error(struct driver *driver, uint16_t head)
{
    (void)driver_run(driver, head);
    assert_int_equal(*blk_status(driver, 0), VIRTIO_BLK_S_IOERR);
    driver_check_serves(driver);
}

static void test_available_index_jumps(struct driver *driver)
{
    const uint16_t jumps[] = { DRIVER_QUEUE_SIZE + 1, 0x100, 0x7fff, 0x8000, 0xff00, 0xffff };

    for (unsigned int i = 0; i < sizeof(jumps) / sizeof(jumps[0]); i++) {
        driver_check_serves(driver);
        ring_available(driver)->idx = (uint16_t)(driver->available + jumps[i]); /* the last: backwards */
        driver_check_needs_reset(driver);
    }
}

static void test_ring_entry_beyond_queue(struct driver *driver)
{
    const uint16_t entries[] = { DRIVER_QUEUE_SIZE, DRIVER_QUEUE_SIZE + 1, 0x8000, 0xffff };

    for (unsigned int i = 0; i < 4; i++) {
        ring_publish(driver, entries[i]);
        driver_check_needs_reset(driver);
    }
}

static void test_head_already_in_flight(struct driver *driver)
{
    const uint16_t head = add_good_read(driver);

    ring_publish(driver, head);
    ring_publish(driver, head);
    driver_kick(driver);
    machine_settle(driver->machine);
    assert_true(driver_status(driver) & VIRTIO_CONFIG_S_NEEDS_RESET);
    /* The one that was in flight has ended as if nothing were. */
    assert_int_equal(ring_used(driver)->idx, 1);
    assert_int_equal(*blk_status(driver, 0), VIRTIO_BLK_S_OK);
    driver_check_serves(driver);
}

static void test_next_beyond_queue(struct driver *driver)
{
    const uint16_t nexts[] = { DRIVER_QUEUE_SIZE, 0x1000, 0xffff };

    for (unsigned int link = 0; link < 2; link++) {
        for (unsigned int i = 0; i < 3; i++) {
            const uint16_t head = add_good_read(driver);

            ring_descriptor(driver, (head + link) % DRIVER_QUEUE_SIZE)->next = nexts[i];
            driver_check_refused(driver, head);
        }
    }
}

static void test_loop_to_itself(struct driver *driver)
{
    for (unsigned int link = 0; link < 2; link++) {
        const uint16_t head = add_good_read(driver);
        const uint16_t at = (uint16_t)((head + link) % DRIVER_QUEUE_SIZE);

        ring_descriptor(driver, at)->next = at;
        driver_check_refused(driver, head);
    }
}

static void test_loop_of_two(struct driver *driver)
{
    const uint16_t head = add_good_read(driver);

    ring_descriptor(driver, head)->flags |= VRING_DESC_F_WRITE;
    ring_descriptor(driver, (head + 1u) % DRIVER_QUEUE_SIZE)->next = head;
    driver_check_refused(driver, head);
}

static void test_loop_through_the_whole_table(struct driver *driver)
{
    for (uint16_t i = 0; i < DRIVER_QUEUE_SIZE; i++) {
        *ring_descriptor(driver, i) = (struct vring_desc){
            .addr = driver_data_address(driver), .len = 16, .flags = VRING_DESC_F_NEXT | VRING_DESC_F_WRITE,
            .next = (uint16_t)((i + 1u) % DRIVER_QUEUE_SIZE),
        };
    }
    *blk_status(driver, 0) = 0xaa;
    driver_check_refused(driver, 0);
    /* Empty descriptors count as well. */
    for (uint16_t i = 0; i < DRIVER_QUEUE_SIZE; i++) {
        ring_descriptor(driver, i)->len = 0;
        ring_descriptor(driver, i)->flags = VRING_DESC_F_NEXT;
        ring_descriptor(driver, i)->next = (uint16_t)((i + 1u) % DRIVER_QUEUE_SIZE);
    }
    *blk_status(driver, 0) = 0xaa;
    driver_check_refused(driver, 0);
}

/* Of the ring's own descriptors as many as it has; with an indirect table as many as the device's queue has at most. */
static void test_chain_longer_than_queue(struct driver *driver)
{
    struct buffer buffers[BLK_QUEUE_SIZE + 1];
    uint16_t head;

    for (unsigned int i = 0; i <= BLK_QUEUE_SIZE; i++) {
        buffers[i] = (struct buffer){ blk_header(driver, 0, VIRTIO_BLK_T_FLUSH, 0), i ? 0 : 16, false };
    }
    driver_check_refused(driver, ring_add_indirect(driver, buffers, BLK_QUEUE_SIZE + 1));

    /* One direct descriptor before an indirect table that is as long as may be. */
    *blk_status(driver, 0) = 0xaa;
    head = ring_add_indirect(driver, buffers, BLK_QUEUE_SIZE);
    *ring_descriptor(driver, driver->next_free) = (struct vring_desc){
        .addr = driver_data_address(driver), .len = 1, .flags = VRING_DESC_F_NEXT, .next = head,
    };
    head = driver->next_free;
    driver->next_free = (uint16_t)((driver->next_free + 1u) % DRIVER_QUEUE_SIZE);
    driver_check_refused(driver, head);
}

/* Linux makes its ring smaller when memory is short, and does not make its requests shorter. */
static void test_indirect_chain_longer_than_small_ring(struct driver *driver)
{
    const unsigned int counts[] = { DRIVER_QUEUE_SIZE, DRIVER_QUEUE_SIZE + 1, 100, BLK_QUEUE_SIZE };

    for (unsigned int i = 0; i < 4; i++) {
        struct buffer buffers[BLK_QUEUE_SIZE];
        const uint32_t bytes = (counts[i] - 2) * 512;

        buffers[0] = (struct buffer){ blk_header(driver, 0, VIRTIO_BLK_T_IN, 9), 16, false };
        for (unsigned int at = 1; at < counts[i] - 1; at++) {
            buffers[at] = (struct buffer){ driver_data_address(driver) + (at - 1) * 512, 512, true };
        }
        buffers[counts[i] - 1] = (struct buffer){ blk_status_address(driver, 0), 1, true };
        assert_int_equal(driver_run(driver, ring_add_indirect(driver, buffers, counts[i])), bytes + 1);
        assert_int_equal(*blk_status(driver, 0), VIRTIO_BLK_S_OK);
        assert_int_equal(((uint64_t *)driver_data(driver))[bytes / 8 - 1], machine_word(9 * 64 + bytes / 8 - 1));
    }
}

static void test_address_is_no_ram(struct driver *driver)
{
    for (unsigned int i = 0; i < 9; i++) {
        const uint64_t addresses[] = {
            0,
            0x1000,
            MACHINE_RAM - 2,
            MACHINE_RAM_END - 1, /* one byte inside, the rest in the hole */
            MACHINE_RAM_END,
            MACHINE_RAM2 + MACHINE_BANK,
            driver->bar,         /* CVE-2021-3416: its own registers */
            driver->machine->bridge.ecam.base,
            UINT64_MAX - 255,
        };
        struct buffer buffers[3];

        good_read(driver, buffers);
        buffers[1].address = addresses[i];
        expect_error(driver, ring_add(driver, buffers, 3));
        /* The header. */
        good_read(driver, buffers);
        buffers[0].address = addresses[i];
        expect_error(driver, ring_add(driver, buffers, 3));
        /* The status: nothing to write an error to. */
        good_read(driver, buffers);
        buffers[2].address = addresses[i];
        buffers[2].length = 2;
        driver_check_refused(driver, ring_add(driver, buffers, 3));
    }
}

/* Nothing of it can be mapped but the one byte that counts. */
static void test_status_is_all_that_can_be_mapped(struct driver *driver)
{
    uint8_t *const status = machine_memory(driver->machine, MACHINE_RAM2, 1);
    struct buffer buffers[2];

    for (unsigned int i = 0; i < 2; i++) {
        buffers[0] = (struct buffer){ i ? 0x1000 : blk_header(driver, 0, VIRTIO_BLK_T_IN, 0), 16, false };
        buffers[1] = (struct buffer){ MACHINE_RAM2 - 512, 513, true };
        *status = 0xaa;
        assert_int_equal(driver_run(driver, ring_add(driver, buffers, 2)), 0);
        assert_int_equal(*status, VIRTIO_BLK_S_IOERR);
        driver_check_serves(driver);
    }
    /* Its address wraps. */
    buffers[0].address = blk_header(driver, 0, VIRTIO_BLK_T_IN, 0);
    buffers[1] = (struct buffer){ UINT64_MAX - 511, (uint32_t)MACHINE_RAM2 + 513, true };
    *status = 0xaa;
    driver_check_refused(driver, ring_add(driver, buffers, 2));
    assert_int_equal(*status, 0xaa);
}

static void test_length_zero(struct driver *driver)
{
    struct buffer buffers[6];

    good_read(driver, buffers + 1);
    buffers[0] = (struct buffer){ 0, 0, false };
    buffers[4] = (struct buffer){ UINT64_MAX, 0, true };
    expect_served(driver, ring_add(driver, buffers, 5));
    /* Nothing at all. */
    *blk_status(driver, 0) = 0xaa;
    driver_check_refused(driver, ring_add(driver, buffers, 1));
}

static void test_length_huge(struct driver *driver)
{
    const uint32_t lengths[] = { UINT32_MAX - 17, 0x80000000, (uint32_t)MACHINE_BANK };
    struct buffer buffers[3];

    for (unsigned int i = 0; i < 3; i++) {
        good_read(driver, buffers);
        buffers[1].length = lengths[i];
        expect_error(driver, ring_add(driver, buffers, 3));
    }
}

static void test_sum_of_lengths_overflows(struct driver *driver)
{
    struct buffer buffers[3];

    good_read(driver, buffers);
    buffers[1].length = UINT32_MAX;
    driver_check_refused(driver, ring_add(driver, buffers, 3));
    good_read(driver, buffers);
    buffers[0].length = 0x80000000;
    buffers[1].length = 0x80000000;
    driver_check_refused(driver, ring_add(driver, buffers, 3));
}

static void test_write_before_read(struct driver *driver)
{
    struct buffer buffers[3];

    good_read(driver, buffers);
    buffers[0].write = true;
    buffers[1].write = false;
    driver_check_refused(driver, ring_add(driver, buffers, 3));
    good_read(driver, buffers);
    buffers[2].write = false;
    driver_check_refused(driver, ring_add(driver, buffers, 3));
}

static void test_indirect_without_feature(struct driver *driver)
{
    driver_start(driver, DRIVER_FEATURES & ~(1ull << VIRTIO_RING_F_INDIRECT_DESC));
    driver_check_refused(driver, add_good_indirect(driver));
}

static struct vring_desc *indirect_table(struct driver *driver)
{
    return machine_memory(driver->machine, driver->memory + DRIVER_INDIRECT, 0x1000);
}

/* A table that refers to itself, and one that refers to a table that would be good. */
static void test_indirect_nested(struct driver *driver)
{
    for (unsigned int at = 0; at < 3; at++) {
        for (unsigned int good = 0; good < 2; good++) {
            const uint16_t head = add_good_indirect(driver);
            struct vring_desc *const table = indirect_table(driver);

            memcpy(table + 16, table, 3 * sizeof(*table));
            table[at].flags = VRING_DESC_F_INDIRECT;
            table[at].addr = driver->memory + DRIVER_INDIRECT + good * 16 * sizeof(*table);
            table[at].len = 3 * sizeof(*table);
            driver_check_refused(driver, head);
        }
    }
}

static void test_indirect_with_next(struct driver *driver)
{
    const uint16_t head = add_good_indirect(driver);

    ring_descriptor(driver, head)->flags |= VRING_DESC_F_NEXT;
    driver_check_refused(driver, head);
}

/* 2.7.5.3.2: the device ignores this flag. */
static void test_indirect_with_write(struct driver *driver)
{
    const uint16_t head = add_good_indirect(driver);

    ring_descriptor(driver, head)->flags |= VRING_DESC_F_WRITE;
    expect_served(driver, head);
}

static void test_indirect_table_length(struct driver *driver)
{
    const uint32_t lengths[] = {
        0, 1, 15, 17, 47, 49, 16 * (BLK_QUEUE_SIZE + 1), 0x10000000, 0xfffffff0, UINT32_MAX,
        32, /* the chain runs out of the table */
    };

    for (unsigned int i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        const uint16_t head = add_good_indirect(driver);

        ring_descriptor(driver, head)->len = lengths[i];
        driver_check_refused(driver, head);
    }
}

static void test_indirect_table_is_no_ram(struct driver *driver)
{
    for (unsigned int i = 0; i < 5; i++) {
        const uint64_t addresses[] = { 0, MACHINE_RAM_END - 16, MACHINE_RAM_END, driver->bar, UINT64_MAX - 15 };
        const uint16_t head = add_good_indirect(driver);

        ring_descriptor(driver, head)->addr = addresses[i];
        driver_check_refused(driver, head);
    }
}

/* Unaligned tables are legal, if odd. */
static void test_indirect_table_unaligned(struct driver *driver)
{
    for (unsigned int shift = 1; shift < 16; shift += 3) {
        const uint16_t head = add_good_indirect(driver);
        char *const table = (char *)indirect_table(driver);

        memmove(table + shift, table, 48);
        ring_descriptor(driver, head)->addr += shift;
        expect_served(driver, head);
    }
}

static void test_indirect_loop_inside(struct driver *driver)
{
    for (uint16_t at = 0; at < 3; at++) {
        for (uint16_t to = 0; to <= at; to++) {
            const uint16_t head = add_good_indirect(driver);

            indirect_table(driver)[at].flags |= VRING_DESC_F_NEXT;
            indirect_table(driver)[at].next = to;
            driver_check_refused(driver, head);
        }
    }
}

static void test_indirect_next_beyond_table(struct driver *driver)
{
    const uint16_t nexts[] = { 3, 4, 0x1000, 0xffff };

    for (unsigned int i = 0; i < 4; i++) {
        const uint16_t head = add_good_indirect(driver);

        indirect_table(driver)[0].next = nexts[i];
        driver_check_refused(driver, head);
    }
}

/* Flags that are not defined are ignored: the request is good. */
static void test_reserved_flags(struct driver *driver)
{
    for (unsigned int bit = 3; bit < 16; bit++) {
        const uint16_t head = add_good_read(driver);

        for (unsigned int i = 0; i < 3; i++) {
            ring_descriptor(driver, (head + i) % DRIVER_QUEUE_SIZE)->flags |= (uint16_t)(1u << bit);
        }
        expect_served(driver, head);
    }
    ring_available(driver)->flags = 0xfffe;
    driver_check_serves(driver);
}

static void test_used_ring_overwritten(struct driver *driver)
{
    for (unsigned int i = 0; i < 40; i++) {
        const uint16_t used = driver->used;

        memset(ring_used(driver), (int)i * 7, sizeof(struct vring_used) + DRIVER_QUEUE_SIZE * 8 + 2);
        ring_used(driver)->idx = used;
        driver_kick(driver); /* our own overwriting said that no notification is wanted */
        driver_check_serves(driver);
    }
}

/* The used index itself: it is ours, and comes right with the next request. */
static void test_used_index_overwritten(struct driver *driver)
{
    uint16_t head;

    driver_check_serves(driver);
    head = add_good_read(driver);
    ring_publish(driver, head);
    ring_used(driver)->idx = 0x7777;
    driver_kick(driver);
    machine_settle(driver->machine);
    assert_int_equal(ring_used(driver)->idx, driver->used + 1);
    assert_int_equal(driver_wait(driver).id, head);
    driver_check_serves(driver);
}

static void test_event_index_wild(struct driver *driver)
{
    for (unsigned int i = 0; i < 100; i++) {
        ring_available(driver)->ring[DRIVER_QUEUE_SIZE] = (uint16_t)(i * 0x4321);
        driver_check_serves(driver);
    }
}

struct spoiler {
    struct driver *driver;
    uint16_t head;
    bool indirect;
    unsigned int calls;
};

/* Spoils the descriptor whose buffer has just been looked up: it has been read, and must not be read again. */
static void spoil(void *opaque)
{
    struct spoiler *spoiler = opaque;
    const unsigned int call = spoiler->calls++;
    struct vring_desc *descriptor;

    if (!spoiler->indirect) {
        descriptor = ring_descriptor(spoiler->driver, (spoiler->head + call) % DRIVER_QUEUE_SIZE);
    } else if (call == 0) {
        descriptor = ring_descriptor(spoiler->driver, spoiler->head);
    } else {
        descriptor = &indirect_table(spoiler->driver)[call - 1];
    }
    *descriptor = (struct vring_desc){ .addr = UINT64_MAX, .len = UINT32_MAX, .flags = 0xffff, .next = 0xffff };
}

/* XSA-155: the same, without a thread and without luck. */
static void test_descriptor_changes_after_it_was_read(struct driver *driver)
{
    struct machine *const machine = driver->machine;

    for (unsigned int indirect = 0; indirect < 2; indirect++) {
        struct spoiler spoiler = { .driver = driver, .indirect = indirect != 0 };

        spoiler.head = indirect ? add_good_indirect(driver) : add_good_read(driver);
        local_guest_interfere(machine->guest, spoil, &spoiler);
        assert_int_equal(driver_run(driver, spoiler.head), 513);
        local_guest_interfere(machine->guest, NULL, NULL);
        assert_int_equal(spoiler.calls, indirect ? 4 : 3);
        assert_int_equal(*blk_status(driver, 0), VIRTIO_BLK_S_OK);
        assert_int_equal(((uint64_t *)driver_data(driver))[63], machine_word(63));
        driver_check_serves(driver);
    }
}

struct scribbler {
    struct driver *driver;
    bool ring; /* available ring and index, too */
    bool stop;
};

static uint64_t next_random(uint64_t *random)
{
    *random ^= *random << 13;
    *random ^= *random >> 7;
    *random ^= *random << 17;
    return *random;
}

/*
 * A second vCPU that rewrites descriptors, indirect table, header and event index, and perhaps the ring, as fast as
 * it can.
 */
static void *scribble(void *opaque)
{
    struct scribbler *scribbler = opaque;
    struct driver *driver = scribbler->driver;
    volatile uint64_t *table = (volatile uint64_t *)(void *)ring_descriptor(driver, 0);
    volatile uint64_t *indirect = (volatile uint64_t *)(void *)indirect_table(driver);
    volatile uint32_t *header = machine_memory(driver->machine, driver->memory + DRIVER_HEADER, 64);
    volatile uint16_t *ring = (volatile uint16_t *)(void *)ring_available(driver);
    const uint64_t flags = VRING_DESC_F_NEXT | VRING_DESC_F_WRITE;
    const uint64_t good[2] = { driver_data_address(driver), 512 | flags << 32 };
    uint64_t state = 88172645463325252ull;

    while (!__atomic_load_n(&scribbler->stop, __ATOMIC_RELAXED)) {
        const uint64_t random = next_random(&state);

        table[random % (2 * DRIVER_QUEUE_SIZE)] = random >> 60 ? good[random & 1] : random;
        indirect[(random >> 8) % 16] = random >> 61 ? good[random >> 8 & 1] : random * 3;
        if (random % 8 == 0) {
            /* The second word of a descriptor: NEXT, WRITE, INDIRECT as they come, next inside the table. */
            table[(random >> 16) % DRIVER_QUEUE_SIZE * 2 + 1] =
                512 | (random >> 20 & 7) << 32 | (random >> 24 & 15) << 48;
        }
        header[(random >> 12) % 4] = (uint32_t)(random >> 28 & 15);
        ring[2 + DRIVER_QUEUE_SIZE] = (uint16_t)(random >> 30);
        if (scribbler->ring) {
            ring[2 + (random >> 40) % DRIVER_QUEUE_SIZE] = random >> 50 & 15;
            ring[1] = (uint16_t)(ring[1] + (random % 64 == 0));
        }
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
    struct scribbler scribbler = { .driver = driver, .ring = false };
    const pthread_t thread = start_scribbling(&scribbler);
    const uint64_t end = machine_now() + 1500;
    unsigned int resets = 0, answered = 0;

    /* On a busy machine the other thread may not have its turn so soon. */
    while (machine_now() < (resets > 0 && answered > 0 ? end : end + 20000)) {
        const uint64_t deadline = machine_now() + 20000;
        const uint16_t head = add_good_read(driver);

        ring_publish(driver, head);
        driver_kick(driver);
        while (!driver_completed(driver) && !(driver_status(driver) & VIRTIO_CONFIG_S_NEEDS_RESET)) {
            machine_turn(driver->machine);
            machine_check_deadline(deadline, "a request");
        }
        if (driver_completed(driver)) {
            assert_int_equal(driver_wait(driver).id, head);
            answered++;
        } else {
            resets++;
            start_again(driver);
        }
    }
    print_message("%u answered, %u resets\n", answered, resets);
    assert_true(resets > 0 && answered > 0);
    stop_scribbling(&scribbler, thread);
}

/* The ring and its index, too: the device gives up again and again, and works after each reset. */
static void test_ring_changes_while_it_is_read(struct driver *driver)
{
    struct scribbler scribbler = { .driver = driver, .ring = true };
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

/* Memory that cannot be mapped for now: not even an error can be told. */
static void test_mapping_fails_for_a_while(struct driver *driver)
{
    struct machine *const machine = driver->machine;

    local_guest_refuse_memory(machine->guest, true);
    ring_publish(driver, add_good_read(driver));
    driver_kick(driver);
    machine_settle(machine);
    local_guest_refuse_memory(machine->guest, false);
    driver_check_needs_reset(driver);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        driver_test(test_available_index_jumps),
        driver_test(test_ring_entry_beyond_queue),
        driver_test(test_head_already_in_flight),
        driver_test(test_next_beyond_queue),
        driver_test(test_loop_to_itself),
        driver_test(test_loop_of_two),
        driver_test(test_loop_through_the_whole_table),
        driver_test(test_chain_longer_than_queue),
        driver_test(test_indirect_chain_longer_than_small_ring),
        driver_test(test_address_is_no_ram),
        driver_test(test_status_is_all_that_can_be_mapped),
        driver_test(test_length_zero),
        driver_test(test_length_huge),
        driver_test(test_sum_of_lengths_overflows),
        driver_test(test_write_before_read),
        driver_test(test_indirect_without_feature),
        driver_test(test_indirect_nested),
        driver_test(test_indirect_with_next),
        driver_test(test_indirect_with_write),
        driver_test(test_indirect_table_length),
        driver_test(test_indirect_table_is_no_ram),
        driver_test(test_indirect_table_unaligned),
        driver_test(test_indirect_loop_inside),
        driver_test(test_indirect_next_beyond_table),
        driver_test(test_reserved_flags),
        driver_test(test_used_ring_overwritten),
        driver_test(test_used_index_overwritten),
        driver_test(test_event_index_wild),
        driver_test(test_descriptor_changes_after_it_was_read),
        driver_test(test_descriptors_change_while_they_are_read, .read_only = true),
        driver_test(test_ring_changes_while_it_is_read, .read_only = true),
        driver_test(test_mapping_fails_for_a_while),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
