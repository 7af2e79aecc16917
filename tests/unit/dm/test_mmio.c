/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Devices in plain ranges: what a driver finds in which place, the level of their interrupts, a queue that is disabled
 * alone, and a binding that has no room (virtio 1.2, section 4.2).
 */
#include "driver.h"

#include <errno.h>
#include <string.h>

#include "faults.h"

#define FIRST_INTERRUPT 44u

static const struct local_interrupt *line(const struct machine *machine, unsigned int place)
{
    return local_guest_interrupt(machine->guest, FIRST_INTERRUPT + place);
}

static void test_device_and_placeholder(struct driver *driver)
{
    struct machine *const machine = driver->machine;
    uint64_t vacant;

    assert_true(local_guest_ready(machine->guest));
    assert_int_equal(local_guest_claims(machine->guest), 2);
    assert_int_equal(mmio_read(driver, VIRTIO_MMIO_VENDOR_ID), 0x1af4);
    assert_int_equal(mmio_read(driver, VIRTIO_MMIO_QUEUE_NUM_MAX), BLK_QUEUE_SIZE);
    assert_int_equal(mmio_read(driver, VIRTIO_MMIO_QUEUE_READY), 0);
    assert_int_equal(mmio_read(driver, VIRTIO_MMIO_STATUS), 0);
    assert_int_equal(mmio_read(driver, VIRTIO_MMIO_INTERRUPT_STATUS), 0);
    assert_int_equal(mmio_read(driver, VIRTIO_MMIO_CONFIG_GENERATION), 0);

    for (unsigned int place = 1; place < 16; place++) {
        vacant = place < 8 ? machine->bridge.memory.base + place * 0x200
                           : machine->bridge.prefetch.base + (place - 8) * 0x200;
        assert_int_equal(machine_read(machine, vacant + VIRTIO_MMIO_MAGIC_VALUE, 4), 0x74726976);
        assert_int_equal(machine_read(machine, vacant + VIRTIO_MMIO_VERSION, 4), 2);
        assert_int_equal(machine_read(machine, vacant + VIRTIO_MMIO_DEVICE_ID, 4), 0);
        assert_int_equal(machine_read(machine, vacant + VIRTIO_MMIO_QUEUE_NUM_MAX, 4), 0);
    }
    machine_stop_model(machine);
    assert_false(local_guest_ready(machine->guest));
    assert_int_equal(machine_read(machine, driver->bar, 4), UINT32_MAX);
}

/* 4.2.2: a shared memory region that there is not has the length -1. */
static void test_no_shared_memory(struct driver *driver)
{
    for (unsigned int id = 0; id < 3; id++) {
        mmio_write(driver, VIRTIO_MMIO_SHM_SEL, id);
        assert_int_equal(mmio_read(driver, VIRTIO_MMIO_SHM_LEN_LOW), UINT32_MAX);
        assert_int_equal(mmio_read(driver, VIRTIO_MMIO_SHM_LEN_HIGH), UINT32_MAX);
        assert_int_equal(mmio_read(driver, VIRTIO_MMIO_SHM_BASE_LOW), UINT32_MAX);
        assert_int_equal(mmio_read(driver, VIRTIO_MMIO_SHM_BASE_HIGH), UINT32_MAX);
    }
}

static void test_interrupt_is_a_level(struct driver *driver)
{
    struct machine *const machine = driver->machine;

    for (unsigned int i = 1; i <= 5; i++) {
        blk_check_pattern(driver, 0, 1);
        assert_int_equal(line(machine, 0)->raised, i);
        assert_true(line(machine, 0)->level);
        assert_int_equal(mmio_read(driver, VIRTIO_MMIO_INTERRUPT_STATUS), VIRTIO_MMIO_INT_VRING);
        assert_true(line(machine, 0)->level);
        mmio_write(driver, VIRTIO_MMIO_INTERRUPT_ACK, VIRTIO_MMIO_INT_VRING);
        assert_false(line(machine, 0)->level);
        assert_int_equal(mmio_read(driver, VIRTIO_MMIO_INTERRUPT_STATUS), 0);
    }
    assert_int_equal(line(machine, 0)->lowered, 5);
}

/* Xen's default vGIC sees edges: each completion says "high" again, acknowledged or not. */
static void test_interrupt_asserts_again(struct driver *driver)
{
    blk_check_pattern(driver, 0, 1);
    blk_check_pattern(driver, 0, 1);
    assert_int_equal(line(driver->machine, 0)->raised, 2);
}

/* What the driver does not acknowledge, it is told again. */
static void test_interrupt_reason_that_is_left(struct driver *driver)
{
    struct machine *const machine = driver->machine;

    blk_check_pattern(driver, 0, 1);
    ring_publish(driver, 0xffff);
    driver_kick(driver);
    machine_settle(machine);
    assert_true(driver_status(driver) & VIRTIO_CONFIG_S_NEEDS_RESET);
    assert_int_equal(mmio_read(driver, VIRTIO_MMIO_INTERRUPT_STATUS), VIRTIO_MMIO_INT_VRING | VIRTIO_MMIO_INT_CONFIG);
    (void)local_guest_take(machine->guest, FIRST_INTERRUPT);
    mmio_write(driver, VIRTIO_MMIO_INTERRUPT_ACK, VIRTIO_MMIO_INT_VRING);
    assert_int_equal(mmio_read(driver, VIRTIO_MMIO_INTERRUPT_STATUS), VIRTIO_MMIO_INT_CONFIG);
    assert_true(line(machine, 0)->level);
    assert_true(local_guest_take(machine->guest, FIRST_INTERRUPT));
    mmio_write(driver, VIRTIO_MMIO_INTERRUPT_ACK, VIRTIO_MMIO_INT_CONFIG);
    assert_false(line(machine, 0)->level);
}

static void test_interrupt_ends_with_reset(struct driver *driver)
{
    blk_check_pattern(driver, 0, 1);
    driver_reset(driver);
    assert_false(line(driver->machine, 0)->level);
    assert_int_equal(mmio_read(driver, VIRTIO_MMIO_INTERRUPT_STATUS), 0);
}

/* The ninth place is the first of the second range. */
static void test_each_has_its_place_and_interrupt(struct machine *machine)
{
    struct driver driver[9];

    for (unsigned int i = 0; i < 9; i++) {
        driver_probe(&driver[i], machine, i + 1);
        driver_start(&driver[i], DRIVER_FEATURES);
    }
    assert_int_equal(driver[8].bar, machine->bridge.prefetch.base);
    for (unsigned int i = 0; i < 9; i++) {
        blk_check_pattern(&driver[i], i, 1);
        for (unsigned int other = 0; other < 9; other++) {
            assert_int_equal(line(machine, other)->raised, other <= i);
        }
    }
}

static void test_queue_disabled_and_enabled(struct driver *driver)
{
    struct machine *const machine = driver->machine;

    blk_check_pattern(driver, 0, 1);
    mmio_write(driver, VIRTIO_MMIO_QUEUE_READY, 0);
    assert_int_equal(mmio_read(driver, VIRTIO_MMIO_QUEUE_READY), 0);
    blk_begin_read(driver);
    machine_settle(machine);
    assert_false(driver_completed(driver));

    memset(machine_memory(machine, driver->memory, DRIVER_HEADER), 0, DRIVER_HEADER);
    driver->next_free = driver->available = driver->notified = driver->used = 0;
    driver_setup_queue(driver);
    driver_enable_queue(driver);
    assert_int_equal(mmio_read(driver, VIRTIO_MMIO_QUEUE_READY), 1);
    driver_check_serves(driver);
}

/* 4.2.2.1: what reads as disabled is not used; until then it reads as enabled, and takes nothing new. */
static void test_queue_disabled_in_mid_io(struct driver *driver)
{
    struct machine *const machine = driver->machine;

    faults_hold();
    blk_begin_read(driver);
    mmio_write(driver, VIRTIO_MMIO_QUEUE_READY, 0);
    assert_int_equal(mmio_read(driver, VIRTIO_MMIO_QUEUE_READY), 1);
    blk_begin_read(driver);
    machine_settle(machine);
    assert_int_equal(faults_held(), 1);
    assert_int_equal(mmio_read(driver, VIRTIO_MMIO_QUEUE_READY), 1);
    faults_release();
    assert_int_equal(driver_wait(driver).len, 4097);
    machine_settle(machine);
    assert_int_equal(mmio_read(driver, VIRTIO_MMIO_QUEUE_READY), 0);
    assert_false(driver_completed(driver));
    driver_start(driver, DRIVER_FEATURES);
    driver_check_serves(driver);
}

static void check_refused(struct machine *machine, unsigned int disks, const char *words)
{
    char error[MODEL_ERROR_MAX];
    struct model *model;

    machine->options.device_count = disks;
    for (unsigned int i = 1; i < disks; i++) {
        machine->options.device[i] = machine->options.device[0];
    }
    assert_int_equal(model_create(&model, &machine->options, error), -ENOSPC);
    assert_non_null(strstr(error, words));
    assert_int_equal(local_guest_claims(machine->guest), 0);
    assert_false(local_guest_ready(machine->guest));
}

static void test_more_devices_than_the_binding_has_room_for(void **state)
{
    struct machine machine;

    (void)state;
    machine_start(&machine, &(struct machine_options){ .plain = true, .interrupts = 2, .read_only = true });
    machine_stop_model(&machine);
    check_refused(&machine, 3, "no interrupt for it");
    machine_finish(&machine);

    machine_start(&machine, &(struct machine_options){ .plain = true, .read_only = true });
    machine_stop_model(&machine);
    check_refused(&machine, 17, "no room for it");
    machine.options.device_count = 16;
    machine_start_model(&machine);
    machine_finish(&machine);
}

static void test_range_that_cannot_be_claimed(struct machine *machine)
{
    char error[MODEL_ERROR_MAX];
    struct model *model;

    machine_stop_model(machine);
    local_guest_refuse_claims(machine->guest, true);
    assert_int_equal(model_create(&model, &machine->options, error), -ENOSPC);
    assert_non_null(strstr(error, "cannot claim the ranges"));
    local_guest_refuse_claims(machine->guest, false);
    machine_start_model(machine);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        probe_test(test_device_and_placeholder, .plain = true),
        driver_test(test_no_shared_memory, .plain = true),
        driver_test(test_interrupt_is_a_level, .plain = true),
        driver_test(test_interrupt_asserts_again, .plain = true),
        driver_test(test_interrupt_reason_that_is_left, .plain = true),
        driver_test(test_interrupt_ends_with_reset, .plain = true),
        machine_test(test_each_has_its_place_and_interrupt, .plain = true, .disks = 9, .sectors = 64),
        driver_test(test_queue_disabled_and_enabled, .plain = true),
        driver_test(test_queue_disabled_in_mid_io, .plain = true),
        cmocka_unit_test(test_more_devices_than_the_binding_has_room_for),
        machine_test(test_range_that_cannot_be_claimed, .plain = true),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
