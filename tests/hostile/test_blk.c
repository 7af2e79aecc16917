/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Requests that break the rules of virtio-blk (virtio 1.2, section 5.2.6) in rings that are in order, and a disk that
 * fails. Each gets an error in its own status byte; a device that finds none asks to be reset.
 */
#include "driver.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "faults.h"

#define END MACHINE_SECTORS

static void expect(struct driver *driver, uint8_t status, uint32_t type, uint64_t sector, uint32_t length)
{
    assert_int_equal(blk_request(driver, type, sector, length), status);
    driver_check_serves(driver);
}

/* A request that is refused before the file is touched, which the host's kernel would refuse, or worse, serve. */
static void expect_refused(struct driver *driver, uint32_t type, uint64_t sector, uint32_t length)
{
    const unsigned int calls = faults_calls();

    assert_int_equal(blk_request(driver, type, sector, length), VIRTIO_BLK_S_IOERR);
    assert_int_equal(faults_calls(), calls);
    driver_check_serves(driver);
}

static void test_header_short(struct driver *driver)
{
    for (uint32_t length = 0; length < 16; length++) {
        struct buffer buffers[3];

        blk_buffers(driver, buffers, 0, VIRTIO_BLK_T_IN, 0, 512);
        buffers[0].length = length;
        assert_int_equal(driver_run(driver, ring_add(driver, buffers, 3)), 0); /* of the data nothing was written */
        assert_int_equal(*blk_status(driver, 0), VIRTIO_BLK_S_IOERR);
        driver_check_serves(driver);
    }
}

static void test_no_header(struct driver *driver)
{
    const struct buffer buffer = { blk_status_address(driver, 0), 1, true };

    assert_int_equal(driver_run(driver, ring_add(driver, &buffer, 1)), 1);
    assert_int_equal(*blk_status(driver, 0), VIRTIO_BLK_S_IOERR);
    driver_check_serves(driver);
}

/* No status byte at all, or one that cannot be written. */
static void test_status_missing_or_not_writable(struct driver *driver)
{
    const uint32_t types[] = { VIRTIO_BLK_T_IN, VIRTIO_BLK_T_OUT, VIRTIO_BLK_T_FLUSH, VIRTIO_BLK_T_GET_ID, 99 };

    for (unsigned int i = 0; i < 5; i++) {
        struct buffer buffers[3];

        blk_buffers(driver, buffers, 0, types[i], 0, 512);
        buffers[1].write = false;
        buffers[2].write = false;
        memset(driver_data(driver), 0, 512);
        driver_check_refused(driver, ring_add(driver, buffers, 3));
        *blk_status(driver, 0) = 0xaa;
        driver_check_refused(driver, ring_add(driver, buffers, 1));
    }
    blk_check_pattern(driver, 0, 1); /* nothing was written */
}

/* The last byte of the data is then taken for the status, and the length is not whole sectors. */
static void test_read_without_status_byte(struct driver *driver)
{
    struct buffer buffers[3];

    blk_buffers(driver, buffers, 0, VIRTIO_BLK_T_IN, 0, 512);
    assert_int_equal(driver_run(driver, ring_add(driver, buffers, 2)), 0);
    assert_int_equal(((uint8_t *)driver_data(driver))[511], VIRTIO_BLK_S_IOERR);
    driver_check_serves(driver);
}

static void test_sector_overflows(struct driver *driver)
{
    const uint64_t sectors[] = {
        UINT64_MAX, UINT64_MAX / 512, UINT64_MAX / 512 + 1, 1ull << 55, 1ull << 63, UINT64_MAX - 7,
    };

    for (unsigned int i = 0; i < 6; i++) {
        expect_refused(driver, VIRTIO_BLK_T_IN, sectors[i], 4096);
        expect_refused(driver, VIRTIO_BLK_T_OUT, sectors[i], 4096);
    }
}

static void test_beyond_capacity(struct driver *driver)
{
    expect_refused(driver, VIRTIO_BLK_T_IN, END, 512);
    expect_refused(driver, VIRTIO_BLK_T_OUT, END, 512);
    expect_refused(driver, VIRTIO_BLK_T_OUT, END + 1000000, 512);
}

static void test_partly_beyond_capacity(struct driver *driver)
{
    int file;

    expect_refused(driver, VIRTIO_BLK_T_IN, END - 1, 1024);
    memset(driver_data(driver), 0, 4096);
    expect_refused(driver, VIRTIO_BLK_T_OUT, END - 7, 4096);
    blk_check_pattern(driver, END - 8, 8); /* no part of it was written */
    file = open(driver->machine->path[0], O_RDONLY);
    assert_int_equal(lseek(file, 0, SEEK_END), END * 512);
    assert_int_equal(close(file), 0);
}

static void test_length_not_whole_sectors(struct driver *driver)
{
    const uint32_t lengths[] = { 1, 511, 513, 4095, 4097 };

    for (unsigned int i = 0; i < 5; i++) {
        expect_refused(driver, VIRTIO_BLK_T_IN, 0, lengths[i]);
        expect_refused(driver, VIRTIO_BLK_T_OUT, 0, lengths[i]);
    }
    expect(driver, VIRTIO_BLK_S_OK, VIRTIO_BLK_T_IN, 0, 0);
    expect(driver, VIRTIO_BLK_S_OK, VIRTIO_BLK_T_OUT, 0, 0);
    blk_check_pattern(driver, 0, 8);
}

static void test_write_to_read_only(struct driver *driver)
{
    expect_refused(driver, VIRTIO_BLK_T_OUT, 0, 512);
    memset(driver_data(driver), 0, 16);
    expect_refused(driver, VIRTIO_BLK_T_DISCARD, 0, 16);
    expect_refused(driver, VIRTIO_BLK_T_WRITE_ZEROES, 0, 16);
}

static void test_flush_without_feature(struct driver *driver)
{
    driver_start(driver, 1ull << VIRTIO_F_VERSION_1);
    expect(driver, VIRTIO_BLK_S_UNSUPP, VIRTIO_BLK_T_FLUSH, 0, 0);
}

static uint8_t range(struct driver *driver, uint32_t type, uint64_t sector, uint32_t count, uint32_t flags)
{
    const uint8_t status = blk_range_request(driver, type, sector, count, flags);

    driver_check_serves(driver);
    return status;
}

static const uint32_t range_types[] = { VIRTIO_BLK_T_DISCARD, VIRTIO_BLK_T_WRITE_ZEROES };

static void test_range_no_segments(struct driver *driver)
{
    for (unsigned int i = 0; i < 2; i++) {
        expect_refused(driver, range_types[i], 0, 0);
    }
}

static void test_range_size_not_whole_segments(struct driver *driver)
{
    for (unsigned int i = 0; i < 2; i++) {
        for (uint32_t length = 1; length < 40; length += length == 15 ? 2 : 1) {
            memset(driver_data(driver), 0, length);
            expect_refused(driver, range_types[i], 0, length);
        }
    }
}

static void test_range_too_many_segments(struct driver *driver)
{
    for (unsigned int i = 0; i < 2; i++) {
        memset(driver_data(driver), 0, 65536);
        expect_refused(driver, range_types[i], 0, 32);
        expect_refused(driver, range_types[i], 0, 65536);
    }
}

static void test_range_beyond_capacity(struct driver *driver)
{
    for (unsigned int i = 0; i < 2; i++) {
        assert_int_equal(range(driver, range_types[i], END, 1, 0), VIRTIO_BLK_S_IOERR);
        assert_int_equal(range(driver, range_types[i], END - 1, 2, 0), VIRTIO_BLK_S_IOERR);
        assert_int_equal(range(driver, range_types[i], UINT64_MAX, 1, 0), VIRTIO_BLK_S_IOERR);
        assert_int_equal(range(driver, range_types[i], 1ull << 55, 1, 0), VIRTIO_BLK_S_IOERR);
        assert_int_equal(range(driver, range_types[i], 0, UINT32_MAX, 0), VIRTIO_BLK_S_IOERR);
        assert_int_equal(range(driver, range_types[i], 0, 0x400001, 0), VIRTIO_BLK_S_IOERR);
        assert_int_equal(range(driver, range_types[i], END, 0, 0), VIRTIO_BLK_S_OK);
    }
    blk_check_pattern(driver, 0, 64);
    blk_check_pattern(driver, END - 8, 8);
}

/* The longest that the configuration allows, and one sector more. */
static void test_range_limits(struct driver *driver)
{
    static const struct {
        uint32_t type;
        unsigned int field;
    } limits[] = {
        { VIRTIO_BLK_T_DISCARD, offsetof(struct virtio_blk_config, max_discard_sectors) },
        { VIRTIO_BLK_T_WRITE_ZEROES, offsetof(struct virtio_blk_config, max_write_zeroes_sectors) },
    };

    assert_int_equal(truncate(driver->machine->path[0], 4ll << 30), 0);
    model_signal(driver->machine->model, MODEL_SIGNAL_LOOK);
    machine_settle(driver->machine);
    for (unsigned int i = 0; i < 2; i++) {
        const uint32_t most = (uint32_t)machine_read(driver->machine, driver->config + limits[i].field, 4);

        assert_int_equal(range(driver, limits[i].type, END, most, 0), VIRTIO_BLK_S_OK);
        assert_int_equal(range(driver, limits[i].type, END, most + 1, 0), VIRTIO_BLK_S_IOERR);
        assert_int_equal(range(driver, limits[i].type, (4ull << 21) - most, most, 0), VIRTIO_BLK_S_OK);
        assert_int_equal(range(driver, limits[i].type, (4ull << 21) - most + 1, most, 0), VIRTIO_BLK_S_IOERR);
    }
}

/* 5.2.6.2: flags that are not known are UNSUPP; UNMAP belongs to write zeroes alone. */
static void test_range_reserved_flags(struct driver *driver)
{
    for (unsigned int i = 0; i < 2; i++) {
        for (unsigned int bit = 1; bit < 32; bit++) {
            assert_int_equal(range(driver, range_types[i], 0, 8, 1u << bit), VIRTIO_BLK_S_UNSUPP);
        }
    }
    assert_int_equal(range(driver, VIRTIO_BLK_T_DISCARD, 0, 8, VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP),
                     VIRTIO_BLK_S_UNSUPP);
    blk_check_pattern(driver, 0, 64);
}

static void test_get_id_short_buffer(struct driver *driver)
{
    for (uint32_t length = 0; length < 25; length++) {
        const uint32_t given = length < 20 ? length : 20;

        memset(driver_data(driver), 0x55, 64);
        if (length > 0) {
            assert_int_equal(driver_run(driver, blk_add(driver, 0, VIRTIO_BLK_T_GET_ID, 0, length)),
                             length <= 20 ? length + 1 : 20);
            assert_int_equal(*blk_status(driver, 0), VIRTIO_BLK_S_OK);
        }
        assert_memory_equal(driver_data(driver), "0123456789abcdefghij", given);
        assert_int_equal(((uint8_t *)driver_data(driver))[given], 0x55);
        driver_check_serves(driver);
    }
}

/* Unknown types, SCSI passthrough (CVE-2026-48914) and secure erase among them. */
static void test_unknown_type(struct driver *driver)
{
    const uint32_t types[] = {
        2, 3, 5, 6, 7, 9, 10, 12, VIRTIO_BLK_T_SECURE_ERASE, 15, 99, 0x80000000, 0x80000001, UINT32_MAX,
    };

    for (unsigned int i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        expect(driver, VIRTIO_BLK_S_UNSUPP, types[i], 0, 512);
    }
}

/* A sector to be read by the device, and one to be written by it. */
static void run_both_directions(struct driver *driver, uint32_t type, uint64_t sector, uint32_t written)
{
    const struct buffer buffers[] = {
        { blk_header(driver, 0, type, sector), 16, false },
        { driver_data_address(driver), 512, false },
        { driver_data_address(driver) + 512, 512, true },
        { blk_status_address(driver, 0), 1, true },
    };

    assert_int_equal(driver_run(driver, ring_add(driver, buffers, 4)), written);
    assert_int_equal(*blk_status(driver, 0), VIRTIO_BLK_S_OK);
}

/* Data in both directions: what does not belong to the request is left alone. */
static void test_data_of_the_wrong_direction(struct driver *driver)
{
    uint8_t *const data = driver_data(driver);

    memset(data, 0x55, 1024);
    run_both_directions(driver, VIRTIO_BLK_T_OUT, 40, 0);
    assert_int_equal(data[512], 0x55);
    run_both_directions(driver, VIRTIO_BLK_T_IN, 41, 513);
    assert_int_equal(data[0], 0x55);
    assert_int_equal(((uint64_t *)(void *)data)[64], machine_word(41 * 64));
    driver_check_serves(driver);
}

static void test_status_shares_memory_with_data(struct driver *driver)
{
    struct buffer buffers[3];

    blk_buffers(driver, buffers, 0, VIRTIO_BLK_T_IN, 0, 512);
    buffers[2].address = driver_data_address(driver) + 100;
    assert_int_equal(driver_run(driver, ring_add(driver, buffers, 3)), 513);
    assert_int_equal(((uint8_t *)driver_data(driver))[100], VIRTIO_BLK_S_OK);
    driver_check_serves(driver);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        driver_test(test_header_short),
        driver_test(test_no_header),
        driver_test(test_status_missing_or_not_writable),
        driver_test(test_read_without_status_byte),
        driver_test(test_sector_overflows),
        driver_test(test_beyond_capacity),
        driver_test(test_partly_beyond_capacity),
        driver_test(test_length_not_whole_sectors),
        driver_test(test_write_to_read_only, .read_only = true),
        probe_test(test_flush_without_feature),
        driver_test(test_range_no_segments),
        driver_test(test_range_size_not_whole_segments),
        driver_test(test_range_too_many_segments),
        driver_test(test_range_beyond_capacity),
        driver_test(test_range_limits),
        driver_test(test_range_reserved_flags),
        driver_test(test_get_id_short_buffer, .id = "0123456789abcdefghij"),
        driver_test(test_unknown_type),
        driver_test(test_data_of_the_wrong_direction),
        driver_test(test_status_shares_memory_with_data),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
