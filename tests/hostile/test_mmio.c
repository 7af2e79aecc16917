/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The registers of the MMIO transport as no driver uses them (virtio 1.2, section 4.2.2): accesses of the wrong kind,
 * queues that do not exist, values that do not fit, legacy registers. What status, features and queues make of bad
 * values is tested for both transports in test_common_config.c.
 */
#include "driver.h"

#include "faults.h"

#define QUEUE_RESET 0x0c0u /* of a feature that is not offered; linux/virtio_mmio.h does not name it */

static void test_queue_select_beyond(struct driver *driver)
{
    const uint32_t selects[] = { 1, 2, 0x100, 0x10000, 0x80000000, UINT32_MAX };

    for (unsigned int i = 0; i < 6; i++) {
        mmio_write(driver, VIRTIO_MMIO_QUEUE_SEL, selects[i]);
        for (unsigned int offset = VIRTIO_MMIO_QUEUE_NUM; offset <= VIRTIO_MMIO_QUEUE_READY; offset += 4) {
            mmio_write(driver, offset, 1);
            mmio_write(driver, offset, 0);
        }
        for (unsigned int offset = VIRTIO_MMIO_QUEUE_DESC_LOW; offset <= VIRTIO_MMIO_QUEUE_USED_HIGH; offset += 4) {
            mmio_write(driver, offset, UINT32_MAX);
        }
        assert_int_equal(mmio_read(driver, VIRTIO_MMIO_QUEUE_NUM_MAX), 0);
        assert_int_equal(mmio_read(driver, VIRTIO_MMIO_QUEUE_READY), 0);
        driver_check_serves(driver);
    }
    mmio_write(driver, VIRTIO_MMIO_QUEUE_SEL, 0);
    assert_int_equal(mmio_read(driver, VIRTIO_MMIO_QUEUE_READY), 1);
}

/* The low half of the register alone would be a good size. */
static void test_queue_size_beyond_16_bits(struct driver *driver)
{
    const uint32_t sizes[] = { 0x10000, 0x10000 + DRIVER_QUEUE_SIZE, 0x80000000 + DRIVER_QUEUE_SIZE, UINT32_MAX };

    for (unsigned int i = 0; i < 4; i++) {
        driver_prepare_queue(driver);
        mmio_write(driver, VIRTIO_MMIO_QUEUE_NUM, sizes[i]);
        driver_enable_queue(driver);
        assert_int_equal(mmio_read(driver, VIRTIO_MMIO_QUEUE_READY), 0);
        assert_int_equal(driver_status(driver), DRIVER_NEGOTIATED | VIRTIO_CONFIG_S_NEEDS_RESET);
        driver_check_serves(driver);
    }
}

/* CVE-2026-50626, CVE-2026-5747: what is written after the queue is enabled changes nothing. */
static void test_queue_written_after_ready(struct driver *driver)
{
    const uint32_t sizes[] = { 0, 1, 8, BLK_QUEUE_SIZE, 0x8000, UINT32_MAX };

    for (unsigned int i = 0; i < 6; i++) {
        mmio_write(driver, VIRTIO_MMIO_QUEUE_NUM, sizes[i]);
        for (unsigned int offset = VIRTIO_MMIO_QUEUE_DESC_LOW; offset <= VIRTIO_MMIO_QUEUE_USED_HIGH; offset += 4) {
            mmio_write(driver, offset, UINT32_MAX - i);
        }
        mmio_write(driver, VIRTIO_MMIO_QUEUE_READY, 1);
        for (unsigned int round = 0; round < DRIVER_QUEUE_SIZE; round++) {
            blk_check_pattern(driver, 3, 8);
        }
    }
    assert_int_equal(driver_status(driver), DRIVER_RUNNING);
}

static void test_ready_written_wrongly(struct driver *driver)
{
    struct machine *const machine = driver->machine;

    mmio_write(driver, VIRTIO_MMIO_QUEUE_READY, 2);
    mmio_write(driver, VIRTIO_MMIO_QUEUE_READY, 0x100);
    mmio_write(driver, VIRTIO_MMIO_QUEUE_READY, UINT32_MAX);
    machine_write(machine, driver->bar + VIRTIO_MMIO_QUEUE_READY, 2, 0);
    machine_write(machine, driver->bar + VIRTIO_MMIO_QUEUE_READY, 8, 0);
    assert_int_equal(mmio_read(driver, VIRTIO_MMIO_QUEUE_READY), 1);
    driver_check_serves(driver);
    driver_prepare_queue(driver);
    mmio_write(driver, VIRTIO_MMIO_QUEUE_READY, 0);
    mmio_write(driver, VIRTIO_MMIO_QUEUE_READY, 0x101);
    assert_int_equal(mmio_read(driver, VIRTIO_MMIO_QUEUE_READY), 0);
    driver_enable_queue(driver);
    assert_int_equal(mmio_read(driver, VIRTIO_MMIO_QUEUE_READY), 1);
    driver_check_serves(driver);
}

static void test_ready_toggled_in_mid_io(struct driver *driver)
{
    for (unsigned int round = 0; round < 3; round++) {
        faults_hold();
        for (unsigned int i = 0; i < 4; i++) {
            blk_begin_read(driver);
            mmio_write(driver, VIRTIO_MMIO_QUEUE_READY, 0);
            mmio_write(driver, VIRTIO_MMIO_QUEUE_NUM, 1);
            mmio_write(driver, VIRTIO_MMIO_QUEUE_READY, 1);
        }
        driver_set_status(driver, 0);
        mmio_write(driver, VIRTIO_MMIO_QUEUE_READY, 0);
        assert_int_not_equal(driver_status(driver), 0);
        faults_release();
        driver_reset(driver);
        driver_check_serves(driver);
    }
}

static void test_address_half_written(struct driver *driver)
{
    const unsigned int halves[] = {
        VIRTIO_MMIO_QUEUE_DESC_HIGH, VIRTIO_MMIO_QUEUE_AVAIL_HIGH, VIRTIO_MMIO_QUEUE_USED_HIGH,
    };

    for (unsigned int i = 0; i < 3; i++) {
        driver_prepare_queue(driver);
        mmio_write(driver, halves[i], 1);
        driver_enable_queue(driver);
        assert_int_equal(mmio_read(driver, VIRTIO_MMIO_QUEUE_READY), 0);
        driver_check_serves(driver);
    }
}

static void test_feature_select_beyond(struct driver *driver)
{
    const uint32_t selects[] = { 2, 3, 32, 0x80000000, UINT32_MAX };

    for (unsigned int i = 0; i < 5; i++) {
        driver_reset(driver);
        mmio_write(driver, VIRTIO_MMIO_DEVICE_FEATURES_SEL, selects[i]);
        assert_int_equal(mmio_read(driver, VIRTIO_MMIO_DEVICE_FEATURES), 0);
        driver_set_status(driver, VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER);
        mmio_write(driver, VIRTIO_MMIO_DRIVER_FEATURES_SEL, 1);
        mmio_write(driver, VIRTIO_MMIO_DRIVER_FEATURES, 1); /* VERSION_1 */
        mmio_write(driver, VIRTIO_MMIO_DRIVER_FEATURES_SEL, selects[i]);
        mmio_write(driver, VIRTIO_MMIO_DRIVER_FEATURES, UINT32_MAX);
        driver_set_status(driver, DRIVER_NEGOTIATED);
        assert_int_equal(driver_status(driver), DRIVER_NEGOTIATED);
        driver_check_serves(driver);
    }
}

static void test_features_written_after_ok(struct driver *driver)
{
    for (unsigned int select = 0; select < 2; select++) {
        mmio_write(driver, VIRTIO_MMIO_DRIVER_FEATURES_SEL, select);
        mmio_write(driver, VIRTIO_MMIO_DRIVER_FEATURES, 0);
    }
    /* Without FLUSH, which it would have lost, each write would be durable, and FLUSH not be known. */
    assert_int_equal(blk_request(driver, VIRTIO_BLK_T_FLUSH, 0, 0), VIRTIO_BLK_S_OK);
    driver_check_serves(driver);
}

/* It is a reset only when all of the register is 0. */
static void test_status_beyond_8_bits(struct driver *driver)
{
    for (unsigned int bit = 8; bit < 32; bit++) {
        driver_set_status(driver, 0); /* of a driver that may: the next line is what is tested */
        driver_start(driver, DRIVER_FEATURES);
        mmio_write(driver, VIRTIO_MMIO_STATUS, 1u << bit);
        assert_int_equal(mmio_read(driver, VIRTIO_MMIO_STATUS), DRIVER_RUNNING);
        driver_check_serves(driver);
    }
}

/* 4.2.2.2: control registers are 32-bit and aligned. Whatever else comes reads as 0. */
static void test_reads_of_every_size_and_offset(struct driver *driver)
{
    struct machine *const machine = driver->machine;
    const unsigned int config_end = VIRTIO_MMIO_CONFIG + sizeof(struct virtio_blk_config);

    for (unsigned int offset = 0; offset < VIRTIO_MMIO_CONFIG; offset++) {
        for (unsigned int size = 1; size <= 8; size *= 2) {
            if (size != 4 || offset % 4 != 0) {
                assert_int_equal(machine_read(machine, driver->bar + offset, size), 0);
            }
        }
    }
    for (unsigned int offset = VIRTIO_MMIO_CONFIG; offset < 0x200; offset++) {
        for (unsigned int size = 1; size <= 8; size *= 2) {
            const uint64_t value = machine_read(machine, driver->bar + offset, size);

            for (unsigned int i = 0; i < size; i++) {
                const unsigned int at = offset + i;
                const uint64_t byte = at < config_end ? machine_read(machine, driver->bar + at, 1) : 0xff;

                assert_int_equal(value >> (8 * i) & 0xff, byte);
            }
        }
    }
    driver_check_serves(driver);
}

static void test_writes_of_every_wrong_size_and_offset(struct driver *driver)
{
    struct machine *const machine = driver->machine;

    for (unsigned int offset = 0; offset < VIRTIO_MMIO_CONFIG; offset++) {
        for (unsigned int size = 1; size <= 8; size *= 2) {
            if (size != 4 || offset % 4 != 0) {
                machine_write(machine, driver->bar + offset, size, 0);
                machine_write(machine, driver->bar + offset, size, UINT64_MAX);
                machine_write(machine, driver->bar + offset, size, 1);
            }
        }
    }
    assert_int_equal(driver_status(driver), DRIVER_RUNNING);
    assert_int_equal(mmio_read(driver, VIRTIO_MMIO_QUEUE_READY), 1);
    driver_check_serves(driver);
}

/* Also legacy registers, those of features that are not offered, and those that are nothing. */
static void test_registers_that_cannot_be_written(struct driver *driver)
{
    struct machine *const machine = driver->machine;
    const unsigned int writable[] = {
        VIRTIO_MMIO_DEVICE_FEATURES_SEL, VIRTIO_MMIO_DRIVER_FEATURES, VIRTIO_MMIO_DRIVER_FEATURES_SEL,
        VIRTIO_MMIO_QUEUE_SEL,           VIRTIO_MMIO_QUEUE_READY,     VIRTIO_MMIO_STATUS,
    };
    uint32_t before[64];

    blk_check_pattern(driver, 0, 1); /* leaves an interrupt */
    for (unsigned int i = 0; i < 64; i++) {
        before[i] = mmio_read(driver, i * 4);
    }
    assert_int_equal(before[QUEUE_RESET / 4], 0);
    for (unsigned int i = 0; i < 64; i++) {
        bool skip = i * 4 == VIRTIO_MMIO_INTERRUPT_ACK;

        for (unsigned int j = 0; j < sizeof(writable) / sizeof(writable[0]); j++) {
            skip |= i * 4 == writable[j];
        }
        if (!skip) {
            mmio_write(driver, i * 4, UINT32_MAX);
            mmio_write(driver, i * 4, 1);
        }
    }
    for (uint64_t offset = VIRTIO_MMIO_CONFIG; offset < 0x200; offset++) {
        const uint64_t config = machine_read(machine, driver->bar + offset, 1);

        machine_write(machine, driver->bar + offset, 1, ~config);
        assert_int_equal(machine_read(machine, driver->bar + offset, 1), config);
    }
    for (unsigned int i = 0; i < 64; i++) {
        assert_int_equal(mmio_read(driver, i * 4), before[i]);
    }
    driver_check_serves(driver);
}

/* An access that crosses from one place into the next touches the first only. */
static void test_crossing_places(struct machine *machine)
{
    struct driver one, two;

    driver_probe(&one, machine, 1);
    driver_probe(&two, machine, 2);
    driver_start(&one, DRIVER_FEATURES);
    driver_start(&two, DRIVER_FEATURES);
    for (unsigned int offset = 0x1f9; offset < 0x200; offset++) {
        machine_write(machine, one.bar + offset, 8, 0);
        assert_int_equal(machine_read(machine, one.bar + offset, 8), UINT64_MAX);
        assert_int_equal(machine_read(machine, two.bar + offset, 8), UINT64_MAX);
    }
    for (unsigned int offset = 0xf9; offset < 0x100; offset++) {
        machine_write(machine, one.bar + offset, 8, 0);
        assert_int_equal(machine_read(machine, one.bar + offset, 8), 0);
    }
    assert_int_equal(driver_status(&two), DRIVER_RUNNING);
    driver_check_serves(&one);
    driver_check_serves(&two);
}

static void test_place_without_a_device(struct driver *driver)
{
    struct driver vacant = *driver;

    for (unsigned int place = 1; place < 8; place++) {
        vacant.bar = driver->bar + place * 0x200;
        for (unsigned int offset = 0; offset < 0x200; offset += 4) {
            const uint32_t before = mmio_read(&vacant, offset);

            mmio_write(&vacant, offset, 1);
            mmio_write(&vacant, offset, UINT32_MAX);
            machine_write(driver->machine, vacant.bar + offset, 8, UINT64_MAX);
            assert_int_equal(mmio_read(&vacant, offset), before);
        }
        assert_int_equal(mmio_read(&vacant, VIRTIO_MMIO_DEVICE_ID), 0);
    }
    driver_check_serves(driver);
}

static void test_acknowledge_what_is_not_there(struct driver *driver)
{
    struct machine *const machine = driver->machine;
    const struct local_interrupt *const line = local_guest_interrupt(machine->guest, machine->bridge.interrupt_first);

    mmio_write(driver, VIRTIO_MMIO_INTERRUPT_ACK, UINT32_MAX);
    assert_int_equal(line->raised + line->lowered, 0);
    blk_check_pattern(driver, 0, 1);
    mmio_write(driver, VIRTIO_MMIO_INTERRUPT_ACK, ~(uint32_t)VIRTIO_MMIO_INT_VRING);
    mmio_write(driver, VIRTIO_MMIO_INTERRUPT_ACK, 0);
    assert_int_equal(mmio_read(driver, VIRTIO_MMIO_INTERRUPT_STATUS), VIRTIO_MMIO_INT_VRING);
    assert_true(line->level);
    mmio_write(driver, VIRTIO_MMIO_INTERRUPT_ACK, UINT32_MAX);
    assert_int_equal(mmio_read(driver, VIRTIO_MMIO_INTERRUPT_STATUS), 0);
    assert_false(line->level);
    driver_check_serves(driver);
}

static void kick_everything(struct driver *driver)
{
    const uint32_t values[] = { 0, 1, 3, 4, 31, 32, 0xffff, 0x10000, 0x80000000, UINT32_MAX };

    for (unsigned int i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        mmio_write(driver, VIRTIO_MMIO_QUEUE_NOTIFY, values[i]);
        machine_write(driver->machine, driver->bar + VIRTIO_MMIO_QUEUE_NOTIFY, 2, values[i]);
        machine_write(driver->machine, driver->bar + VIRTIO_MMIO_QUEUE_NOTIFY, 8, values[i]);
    }
    machine_settle(driver->machine);
}

static void test_notify_in_every_state(struct driver *driver)
{
    kick_everything(driver); /* never set up */
    driver_reset(driver);
    kick_everything(driver); /* reset */
    driver_negotiate(driver, DRIVER_FEATURES);
    kick_everything(driver); /* queue disabled */
    driver_setup_queue(driver);
    driver_enable_queue(driver);
    kick_everything(driver); /* before DRIVER_OK */
    driver_set_status(driver, DRIVER_RUNNING);
    driver_check_serves(driver);
    kick_everything(driver); /* running, nothing new */
    assert_int_equal(driver_status(driver), DRIVER_RUNNING);
    mmio_write(driver, VIRTIO_MMIO_QUEUE_READY, 0);
    kick_everything(driver); /* queue disabled again, the old rings still in memory */
    assert_int_equal(driver_status(driver), DRIVER_RUNNING);
    driver_reset(driver);
    kick_everything(driver);
    assert_int_equal(driver_status(driver), 0);
    driver_check_serves(driver);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        driver_test(test_queue_select_beyond, .plain = true),
        driver_test(test_queue_size_beyond_16_bits, .plain = true),
        driver_test(test_queue_written_after_ready, .plain = true),
        driver_test(test_ready_written_wrongly, .plain = true),
        driver_test(test_ready_toggled_in_mid_io, .plain = true),
        driver_test(test_address_half_written, .plain = true),
        driver_test(test_feature_select_beyond, .plain = true),
        driver_test(test_features_written_after_ok, .plain = true),
        driver_test(test_status_beyond_8_bits, .plain = true),
        driver_test(test_reads_of_every_size_and_offset, .plain = true),
        driver_test(test_writes_of_every_wrong_size_and_offset, .plain = true),
        driver_test(test_registers_that_cannot_be_written, .plain = true),
        machine_test(test_crossing_places, .plain = true, .disks = 2),
        driver_test(test_place_without_a_device, .plain = true),
        driver_test(test_acknowledge_what_is_not_there, .plain = true),
        probe_test(test_notify_in_every_state, .plain = true),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
