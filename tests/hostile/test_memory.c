/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Memory under us: the guest exchanges pages of its RAM for others, gives them back, has more of it than may be mapped,
 * and uses all of it at once.
 */
#include "driver.h"

#include <string.h>
#include <time.h>

#include "faults.h"

#define PAGE  4096u
#define MIB   0x100000ull
#define PIECE 0x200000ull /* what the device model maps at once */

/* A read of so many sectors into a buffer elsewhere in the guest's memory; by slot 0. */
static uint16_t add_read(struct driver *driver, uint64_t address, uint64_t sector, uint32_t sectors)
{
    struct buffer buffers[3];

    blk_buffers(driver, buffers, 0, VIRTIO_BLK_T_IN, sector, sectors * 512);
    buffers[1].address = address;
    return ring_add(driver, buffers, 3);
}

static void check_read(struct driver *driver, uint64_t address, uint64_t sector, uint32_t sectors)
{
    const uint64_t *words = machine_memory(driver->machine, address, sectors * 512);

    assert_int_equal(driver_run(driver, add_read(driver, address, sector, sectors)), sectors * 512 + 1);
    assert_int_equal(*blk_status(driver, 0), VIRTIO_BLK_S_OK);
    for (uint64_t word = 0; word < sectors * 64; word++) {
        assert_int_equal(words[word], machine_word(sector * 64 + word));
    }
}

static struct ioreq *post_invalidation(struct driver *driver, unsigned int vcpu)
{
    return local_guest_post(driver->machine->guest, vcpu, &local_invalidation);
}

static void wait_for_answer(struct driver *driver, struct ioreq *slot)
{
    const uint64_t deadline = machine_now() + 20000;

    while (platform_request_state(slot) != STATE_IORESP_READY) {
        machine_turn(driver->machine);
        machine_check_deadline(deadline, "an invalidation");
    }
    slot->state = STATE_IOREQ_NONE;
}

static void invalidate(struct driver *driver)
{
    wait_for_answer(driver, post_invalidation(driver, 0));
}

/* Exchanges pages, but keeps what is in them: as a guest that moves what is in use. */
static void move(struct driver *driver, uint64_t address, uint64_t length)
{
    static uint8_t content[DRIVER_DATA];

    memcpy(content, machine_memory(driver->machine, address, length), length);
    local_guest_exchange(driver->machine->guest, address, length);
    memcpy(machine_memory(driver->machine, address, length), content, length);
}

static void test_buffers_exchanged(struct driver *driver)
{
    struct machine *const machine = driver->machine;

    blk_check_pattern(driver, 3, 8);
    for (unsigned int i = 0; i < 10; i++) {
        local_guest_exchange(machine->guest, driver_data_address(driver), 64 * PAGE);
        invalidate(driver);
        blk_check_pattern(driver, 3, 512);
        memset(driver_data(driver), (int)i + 1, 8 * 512);
        assert_int_equal(blk_request(driver, VIRTIO_BLK_T_OUT, 600, 8 * 512), VIRTIO_BLK_S_OK);
        local_guest_exchange(machine->guest, driver_data_address(driver), 64 * PAGE);
        invalidate(driver);
        assert_int_equal(blk_request(driver, VIRTIO_BLK_T_IN, 600, 8 * 512), VIRTIO_BLK_S_OK);
        for (unsigned int byte = 0; byte < 8 * 512; byte++) {
            assert_int_equal(((uint8_t *)driver_data(driver))[byte], i + 1);
        }
    }
    assert_int_equal(local_guest_counters(machine->guest)->requests.requests[PLATFORM_REQUEST_INVALIDATE], 20);
}

/* Rings, indirect tables, headers and status bytes. */
static void test_rings_exchanged(struct driver *driver)
{
    for (unsigned int i = 0; i < 3 * DRIVER_QUEUE_SIZE; i++) {
        move(driver, driver->memory, DRIVER_DATA);
        invalidate(driver);
        blk_check_pattern(driver, 3, 8);
    }
    assert_int_equal(driver_status(driver), DRIVER_RUNNING);
}

/*
 * What is in flight ends first; the vCPU waits, others do not, and what they ask for begins afterwards, in the new
 * memory.
 */
static void test_exchange_in_mid_io(struct driver *driver)
{
    struct machine *const machine = driver->machine;
    const uint64_t elsewhere = driver_data_address(driver) + 16 * PAGE;
    struct ioreq *slot;

    check_read(driver, elsewhere, 0, 8);
    faults_hold();
    blk_begin_read(driver);
    machine_settle(machine);
    assert_int_equal(faults_held(), 1);
    local_guest_exchange(machine->guest, elsewhere, PAGE);
    slot = post_invalidation(driver, 1);
    ring_publish(driver, add_read(driver, elsewhere, 40, 8));
    driver_kick(driver);
    machine_settle(machine);
    local_guest_event(machine->guest);
    machine_settle(machine);
    assert_int_equal(platform_request_state(slot), STATE_IOREQ_INPROCESS);
    assert_int_equal(faults_held(), 1);
    assert_int_equal(driver_status(driver), DRIVER_RUNNING);
    faults_release();
    wait_for_answer(driver, slot);
    assert_int_equal(driver_wait(driver).len, 4097);
    assert_int_equal(driver_wait(driver).len, 4097);
    assert_int_equal(*(uint64_t *)machine_memory(machine, elsewhere, PAGE), machine_word(40 * 64));
    assert_int_equal(local_guest_counters(machine->guest)->requests.requests[PLATFORM_REQUEST_INVALIDATE], 1);
}

static void test_every_vcpu_invalidates(struct driver *driver)
{
    struct machine *const machine = driver->machine;
    struct ioreq *slot[LOCAL_VCPUS];

    faults_hold();
    blk_begin_read(driver);
    machine_settle(machine);
    for (unsigned int vcpu = 0; vcpu < LOCAL_VCPUS; vcpu++) {
        slot[vcpu] = post_invalidation(driver, vcpu);
        machine_turn(machine);
    }
    machine_settle(machine);
    for (unsigned int vcpu = 0; vcpu < LOCAL_VCPUS; vcpu++) {
        assert_int_equal(platform_request_state(slot[vcpu]), STATE_IOREQ_INPROCESS);
    }
    faults_release();
    for (unsigned int vcpu = 0; vcpu < LOCAL_VCPUS; vcpu++) {
        wait_for_answer(driver, slot[vcpu]);
    }
    (void)driver_wait(driver);
    driver_check_serves(driver);
}

/* A ring that is gone: the device cannot go on, and says so before the vCPU does. */
static void test_ring_given_back(struct driver *driver)
{
    struct machine *const machine = driver->machine;

    local_guest_give_back(machine->guest, driver->memory + DRIVER_USED, PAGE);
    invalidate(driver);
    assert_int_equal(driver_status(driver), DRIVER_RUNNING | VIRTIO_CONFIG_S_NEEDS_RESET);
    driver_kick(driver);
    machine_settle(machine);
    invalidate(driver);
    local_guest_exchange(machine->guest, driver->memory + DRIVER_USED, PAGE);
    invalidate(driver);
    driver_check_serves(driver);
}

/* One page that is gone is an error to the request that touches it, and to no other of the same 2 MiB. */
static void test_buffer_given_back(struct driver *driver)
{
    struct machine *const machine = driver->machine;
    const uint64_t gone = driver_data_address(driver) + 16 * PAGE;

    for (unsigned int round = 0; round < 2; round++) {
        local_guest_give_back(machine->guest, gone, PAGE);
        invalidate(driver);
        for (unsigned int i = 0; i < 3; i++) {
            assert_in_range(driver_run(driver, add_read(driver, gone - PAGE + i * PAGE / 2, 0, 16)), 0, 16 * 512);
            assert_int_equal(*blk_status(driver, 0), VIRTIO_BLK_S_IOERR);
            check_read(driver, gone - PAGE, 8, 8);
            check_read(driver, gone + PAGE, 16, 8);
        }
        local_guest_exchange(machine->guest, gone, PAGE);
        invalidate(driver);
        check_read(driver, gone, 24, 16);
    }
    assert_int_equal(driver_status(driver), DRIVER_RUNNING);
}

/* A reset, and a queue that is enabled, while it waits. */
static void test_reset_while_invalidating(struct driver *driver)
{
    struct machine *const machine = driver->machine;
    struct ioreq *slot;

    faults_hold();
    blk_begin_read(driver);
    machine_settle(machine);
    local_guest_exchange(machine->guest, driver->memory, DRIVER_DATA);
    slot = post_invalidation(driver, 1);
    driver_set_status(driver, 0);
    machine_settle(machine);
    assert_int_equal(driver_status(driver), DRIVER_RUNNING);
    assert_int_equal(platform_request_state(slot), STATE_IOREQ_INPROCESS);
    faults_release();
    wait_for_answer(driver, slot);
    machine_settle(machine);
    assert_int_equal(driver_status(driver), 0);
    driver_check_serves(driver);

    faults_hold();
    blk_begin_read(driver);
    machine_settle(machine);
    slot = post_invalidation(driver, 1);
    machine_settle(machine);
    faults_release();
    machine_turn(machine);
    driver_start(driver, DRIVER_FEATURES);
    wait_for_answer(driver, slot);
    driver_check_serves(driver);
}

/* The end does not wait for it, and leaves no vCPU waiting. */
static void test_stop_while_invalidating(struct driver *driver)
{
    struct machine *const machine = driver->machine;
    struct ioreq *slot;

    faults_hold();
    blk_begin_read(driver);
    machine_settle(machine);
    slot = post_invalidation(driver, 1);
    machine_settle(machine);
    model_stop(machine->model);
    faults_release();
    machine_stop_model(machine);
    assert_int_equal(platform_request_state(slot), STATE_IORESP_READY);
    slot->state = STATE_IOREQ_NONE;
}

/*
 * Storage that hangs: the vCPU goes on after five seconds, without harm. What is in flight was asked for before, and
 * nothing is begun until it has ended.
 */
static void test_invalidate_on_hung_storage(struct driver *driver)
{
    struct machine *const machine = driver->machine;
    const uint64_t elsewhere = driver_data_address(driver) + 16 * PAGE;
    const struct timespec moment = { .tv_nsec = 10000000 };
    const uint64_t start = machine_now();
    struct ioreq *slot;

    check_read(driver, elsewhere, 0, 8);
    faults_hold();
    blk_begin_read(driver);
    machine_settle(machine);
    local_guest_exchange(machine->guest, elsewhere, PAGE);
    slot = post_invalidation(driver, 1);
    while (platform_request_state(slot) != STATE_IORESP_READY) {
        local_guest_event(machine->guest); /* as the look for the guest, now and then */
        machine_turn(machine);
        machine_check_deadline(start + 20000, "an invalidation");
        (void)nanosleep(&moment, NULL);
    }
    assert_in_range(machine_now() - start, PLATFORM_INVALIDATION_MS, 20000);
    slot->state = STATE_IOREQ_NONE;
    ring_publish(driver, add_read(driver, elsewhere, 40, 8));
    driver_kick(driver);
    machine_settle(machine);
    assert_int_equal(faults_held(), 1);
    faults_release();
    assert_int_equal(driver_wait(driver).len, 4097);
    assert_int_equal(driver_wait(driver).len, 4097);
    assert_int_equal(*(uint64_t *)machine_memory(machine, elsewhere, PAGE), machine_word(40 * 64));
}

/* With grants nothing is mapped that the guest could exchange: nobody waits for anything. */
static void test_invalidate_with_grants(struct driver *driver)
{
    struct ioreq *slot;

    faults_hold();
    blk_begin_read(driver);
    machine_settle(driver->machine);
    slot = post_invalidation(driver, 1);
    machine_turn(driver->machine);
    machine_turn(driver->machine);
    assert_int_equal(platform_request_state(slot), STATE_IORESP_READY);
    slot->state = STATE_IOREQ_NONE;
    assert_int_equal(faults_held(), 1);
    faults_release();
    (void)driver_wait(driver);
    driver_check_serves(driver);
}

static void restart_with_limit(struct driver *driver, uint64_t limit)
{
    machine_stop_model(driver->machine);
    driver->machine->options.map_limit = limit;
    machine_start_model(driver->machine);
    driver_probe(driver, driver->machine, 1);
    driver_start(driver, DRIVER_FEATURES);
}

/* The disk is read to every page of the guest's memory but where the driver is. */
static void test_more_memory_than_may_be_mapped(struct driver *driver)
{
    restart_with_limit(driver, 4 * PIECE);
    for (unsigned int round = 0; round < 2; round++) {
        for (uint64_t offset = PIECE; offset < MACHINE_BANK; offset += 0x40000) {
            check_read(driver, MACHINE_RAM + offset, 0, 0x40000 / 512);
            check_read(driver, MACHINE_RAM2 + offset, 512, 0x40000 / 512);
        }
    }
    assert_in_range(model_counters(driver->machine->model).mapped, PIECE, 4 * PIECE);
    assert_in_range(model_counters(driver->machine->model).dropped, 20, UINT64_MAX);
}

/* Requests that do not fit all at once wait for each other, and none fails. */
static void test_waits_for_room(struct driver *driver)
{
    struct machine *const machine = driver->machine;
    struct buffer buffers[3];

    restart_with_limit(driver, PIECE);
    faults_hold();
    for (unsigned int i = 0; i < 5; i++) {
        blk_buffers(driver, buffers, i, VIRTIO_BLK_T_IN, 0, MACHINE_SECTORS * 512); /* 1 MiB */
        buffers[1].address = MACHINE_RAM + (i + 1) * PIECE;
        ring_publish(driver, ring_add(driver, buffers, 3));
    }
    driver_kick(driver);
    machine_settle(machine);
    assert_int_equal(faults_held(), 1);
    faults_release();
    for (unsigned int i = 0; i < 5; i++) {
        const uint64_t *words = machine_memory(machine, MACHINE_RAM + (i + 1) * PIECE, PIECE / 2);

        assert_int_equal(driver_wait(driver).len, MACHINE_SECTORS * 512 + 1);
        assert_int_equal(*blk_status(driver, i), VIRTIO_BLK_S_OK);
        for (unsigned int word = 0; word < MACHINE_SECTORS * 64; word++) {
            assert_int_equal(words[word], machine_word(word));
        }
    }
    assert_int_equal(faults_held(), 0);
}

/* One that would not fit alone is an error, and nothing more. */
static void test_request_larger_than_the_limit(struct driver *driver)
{
    restart_with_limit(driver, PIECE / 2);
    assert_in_range(driver_run(driver, add_read(driver, MACHINE_RAM + PIECE, 0, MACHINE_SECTORS)), 0,
                    MACHINE_SECTORS * 512);
    assert_int_equal(*blk_status(driver, 0), VIRTIO_BLK_S_IOERR);
    check_read(driver, MACHINE_RAM + PIECE, 0, 512);
    driver_check_serves(driver);
}

/* A request that is all over the guest's memory, which is not yet mapped: other vCPUs are answered meanwhile. */
static void test_one_request_cannot_keep_the_loop(struct driver *driver)
{
    struct machine *const machine = driver->machine;
    const struct local_counters *counters = local_guest_counters(machine->guest);
    struct ioreq request = {
        .addr = driver->common, .size = 1, .count = 1, .dir = IOREQ_READ, .type = IOREQ_TYPE_COPY,
        .state = STATE_IOREQ_READY,
    };
    struct buffer buffers[2 + 14];
    unsigned int answered = 0, turns = 0;

    buffers[0] = (struct buffer){ blk_header(driver, 0, VIRTIO_BLK_T_IN, 0), 16, false };
    for (unsigned int i = 0; i < 14; i++) {
        const uint64_t bank = i < 7 ? MACHINE_RAM : MACHINE_RAM2;

        buffers[1 + i] = (struct buffer){ bank + (i % 7 + 1) * PIECE + 512, PAGE, true };
    }
    buffers[15] = (struct buffer){ blk_status_address(driver, 0), 1, true };
    ring_publish(driver, ring_add(driver, buffers, 16));
    driver_kick(driver);
    while (!driver_completed(driver)) {
        const uint64_t before = counters->memory_maps;
        struct ioreq *slot = local_guest_post(machine->guest, 2, &request);

        machine_turn(machine);
        assert_in_range(counters->memory_maps - before, 0, 1);
        answered += platform_request_state(slot) == STATE_IORESP_READY;
        slot->state = STATE_IOREQ_NONE;
        turns++;
        assert_in_range(turns, 1, 10000);
    }
    assert_in_range(answered, 13, turns); /* the last one perhaps not yet */
    assert_int_equal(driver_wait(driver).len, 14 * PAGE + 1);
    assert_int_equal(*blk_status(driver, 0), VIRTIO_BLK_S_OK);
    driver_check_serves(driver);
}

/* The same of a request for eight megabytes that are in memory on both sides. */
static void test_huge_request_cannot_keep_the_loop(struct driver *driver)
{
    struct machine *const machine = driver->machine;
    const uint64_t *words = machine_memory(machine, MACHINE_RAM2, 8 * MIB);
    struct ioreq request = {
        .addr = driver->common, .size = 1, .count = 1, .dir = IOREQ_READ, .type = IOREQ_TYPE_COPY,
        .state = STATE_IOREQ_READY,
    };
    unsigned int answered = 0;
    uint16_t head;

    check_read(driver, MACHINE_RAM2, 0, 16384);
    memset(machine_memory(machine, MACHINE_RAM2, 8 * MIB), 0, 8 * MIB);
    head = add_read(driver, MACHINE_RAM2, 0, 16384);
    ring_publish(driver, head);
    driver_kick(driver);
    while (!driver_completed(driver)) {
        struct ioreq *slot = local_guest_post(machine->guest, 2, &request);
        const bool before = words[8 * MIB / sizeof(*words) - 1] != 0;

        machine_turn(machine);
        answered += !before && platform_request_state(slot) == STATE_IORESP_READY;
        slot->state = STATE_IOREQ_NONE;
    }
    assert_in_range(answered, 3, UINT32_MAX); /* a turn copies, the next one looks */
    assert_int_equal(driver_wait(driver).len, 8 * MIB + 1);
    for (uint64_t word = 0; word < 8 * MIB / sizeof(*words); word++) {
        assert_int_equal(words[word], machine_word(word));
    }
}

static void count_call(void *opaque)
{
    ++*(unsigned int *)opaque;
}

/* While one request hangs, what another one gives up because it does not fit is no reason to try it again. */
static void test_refused_request_sleeps(struct driver *driver)
{
    struct machine *const machine = driver->machine;
    const struct buffer large[] = {
        { blk_header(driver, 0, VIRTIO_BLK_T_IN, 0), 16, false },
        { MACHINE_RAM2, PAGE, true },
        { MACHINE_RAM2 + PIECE, PAGE, true },
        { MACHINE_RAM2 + 2 * PIECE, 400 * PAGE, true },
        { blk_status_address(driver, 0), 1, true },
    };
    const struct buffer refused[] = {
        { blk_header(driver, 1, VIRTIO_BLK_T_IN, 0), 16, false },
        { MACHINE_RAM2 + 3 * PIECE, PAGE, true },
        { MACHINE_RAM2 + 4 * PIECE, 200 * PAGE, true },
        { blk_status_address(driver, 1), 1, true },
    };
    unsigned int calls = 0;

    restart_with_limit(driver, 4 * PIECE);
    (void)blk_header(driver, 0, VIRTIO_BLK_T_IN, 0);
    (void)blk_header(driver, 1, VIRTIO_BLK_T_IN, 0);
    faults_hold();
    ring_publish(driver, ring_add(driver, large, 5));
    driver_kick(driver);
    machine_settle(machine);
    assert_int_equal(faults_held(), 1);
    ring_publish(driver, ring_add(driver, refused, 4));
    driver_kick(driver);
    machine_settle(machine);
    assert_int_equal(faults_held(), 1);
    local_guest_interfere(machine->guest, count_call, &calls);
    for (unsigned int i = 0; i < 100; i++) {
        machine_turn(machine);
    }
    local_guest_interfere(machine->guest, NULL, NULL);
    assert_int_equal(calls, 0);
    faults_release();
    assert_int_equal(driver_wait(driver).len, 402 * PAGE + 1);
    assert_int_equal(driver_wait(driver).len, 201 * PAGE + 1);
    assert_int_equal(*blk_status(driver, 1), VIRTIO_BLK_S_OK);
}

/* A read of one sector, by an indirect table somewhere in the guest's memory. */
static void add_read_by_table(struct driver *driver, unsigned int slot, uint64_t address)
{
    struct buffer buffers[3];

    blk_buffers(driver, buffers, slot, VIRTIO_BLK_T_IN, 0, 512);
    ring_publish(driver, ring_add_table(driver, address, buffers, 3));
}

/* Tables all over the guest's memory, which is not yet mapped: a turn maps no more than for one request's buffers. */
static void test_indirect_tables_cannot_keep_the_loop(struct driver *driver)
{
    struct machine *const machine = driver->machine;
    const struct local_counters *counters = local_guest_counters(machine->guest);
    uint64_t before;

    driver_check_serves(driver);
    for (unsigned int i = 0; i < 14; i++) {
        add_read_by_table(driver, i, (i < 7 ? MACHINE_RAM : MACHINE_RAM2) + (i % 7 + 1) * PIECE);
    }
    before = counters->memory_maps;
    driver_kick(driver);
    assert_in_range(counters->memory_maps - before, 0, 2); /* it may let the model take a turn or two */
    for (unsigned int turn = 0; turn < 100; turn++) {
        before = counters->memory_maps;
        machine_turn(machine);
        assert_in_range(counters->memory_maps - before, 0, 1);
    }
    for (unsigned int i = 0; i < 14; i++) {
        assert_int_equal(driver_wait(driver).len, 513);
        assert_int_equal(*blk_status(driver, i), VIRTIO_BLK_S_OK);
    }
}

/* This domain has no memory to map a table in while others are in flight: it is looked at when they have ended. */
static void test_no_memory_for_indirect_table(struct driver *driver)
{
    struct machine *const machine = driver->machine;

    driver_check_serves(driver);
    faults_hold();
    ring_publish(driver, blk_add(driver, 3, VIRTIO_BLK_T_IN, 0, 512));
    driver_kick(driver);
    machine_settle(machine);
    assert_int_equal(faults_held(), 1);
    local_guest_exhaust(machine->guest, true);
    add_read_by_table(driver, 15, MACHINE_RAM2);
    driver_kick(driver);
    machine_settle(machine);
    assert_int_equal(driver_status(driver), DRIVER_RUNNING);
    local_guest_exhaust(machine->guest, false);
    faults_release();
    assert_int_equal(driver_wait(driver).len, 513);
    assert_int_equal(driver_wait(driver).len, 513);
    assert_int_equal(*blk_status(driver, 15), VIRTIO_BLK_S_OK);
    assert_int_equal(driver_status(driver), DRIVER_RUNNING);
}

static void add_huge_read(struct driver *driver, unsigned int slot, uint64_t address)
{
    struct buffer buffers[3];

    blk_buffers(driver, buffers, slot, VIRTIO_BLK_T_IN, 0, PIECE);
    buffers[1].address = address;
    driver->next_free = (uint16_t)(3 * slot);
    ring_publish(driver, ring_add(driver, buffers, 3));
}

/*
 * One disk always has more requests than fit, and the next one is there as soon as one has ended: the other disk's
 * is served all the same.
 */
static void test_room_is_given_in_turn(struct driver *driver)
{
    struct machine *const machine = driver->machine;

    for (unsigned int polling = 0; polling < 2; polling++) {
        for (unsigned int busy = 1; busy <= 2; busy++) {
            struct driver first, second;
            unsigned int ended = 0;

            machine_stop_model(machine);
            machine->options.map_limit = 4 * PIECE;
            machine->options.poll_us = polling * 50;
            machine_start_model(machine);
            driver_probe(&first, machine, busy);
            driver_start(&first, DRIVER_FEATURES);
            driver_probe(&second, machine, 3 - busy);
            driver_start(&second, DRIVER_FEATURES);
            faults_hold();
            for (unsigned int i = 0; i < 3; i++) {
                add_huge_read(&first, i, MACHINE_RAM2 + 2 * i * PIECE);
            }
            driver_kick(&first);
            machine_settle(machine);
            assert_int_equal(faults_held(), 2);
            add_huge_read(&second, 0, MACHINE_RAM2 + 7 * PIECE);
            driver_kick(&second);
            machine_settle(machine);
            assert_int_equal(faults_held(), 2);
            while (!driver_completed(&second)) {
                faults_release_one();
                machine_turn(machine);
                while (driver_completed(&first)) {
                    const unsigned int slot = driver_wait(&first).id / 3;

                    add_huge_read(&first, slot, MACHINE_RAM2 + 2 * slot * PIECE);
                    driver_notify(&first);
                    ended++;
                }
                assert_in_range(ended, 0, 12);
            }
            assert_int_equal(driver_wait(&second).len, PIECE + 1);
            faults_release();
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        driver_test(test_buffers_exchanged),
        driver_test(test_rings_exchanged),
        driver_test(test_exchange_in_mid_io),
        driver_test(test_every_vcpu_invalidates),
        driver_test(test_ring_given_back),
        driver_test(test_buffer_given_back),
        driver_test(test_reset_while_invalidating),
        driver_test(test_stop_while_invalidating),
        driver_test(test_invalidate_on_hung_storage),
        driver_test(test_invalidate_with_grants, .grants = true),
        driver_test(test_more_memory_than_may_be_mapped),
        driver_test(test_waits_for_room),
        driver_test(test_request_larger_than_the_limit),
        driver_test(test_one_request_cannot_keep_the_loop),
        driver_test(test_huge_request_cannot_keep_the_loop, .sectors = 16384),
        driver_test(test_refused_request_sleeps, .sectors = 16384),
        driver_test(test_indirect_tables_cannot_keep_the_loop),
        driver_test(test_no_memory_for_indirect_table),
        driver_test(test_room_is_given_in_turn, .disks = 2, .sectors = 16384),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
