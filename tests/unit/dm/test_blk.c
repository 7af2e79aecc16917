/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * virtio-blk as a driver uses it that does everything right: all requests, direct and indirect chains, the event
 * index, reset in the middle of it, several disks.
 */
#include "driver.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void start(struct machine *machine, struct driver *driver, const struct machine_options *options)
{
    machine_start(machine, options);
    driver_probe(driver, machine, 1);
    driver_start(driver, DRIVER_FEATURES);
}

static void test_read(void **state)
{
    struct machine machine;
    struct driver driver;

    (void)state;
    start(&machine, &driver, &(struct machine_options){ 0 });
    blk_check_pattern(&driver, 0, 1);
    blk_check_pattern(&driver, 1, 8);
    blk_check_pattern(&driver, MACHINE_SECTORS - 1, 1);
    blk_check_pattern(&driver, 0, 1024);
    machine_finish(&machine);
}

static void test_capacity_and_features(void **state)
{
    struct machine machine;
    struct driver driver;
    struct virtio_blk_config config;

    (void)state;
    start(&machine, &driver, &(struct machine_options){ 0 });
    for (unsigned int i = 0; i < sizeof(config); i++) {
        ((uint8_t *)&config)[i] = (uint8_t)machine_read(&machine, driver.config + i, 1);
    }
    assert_int_equal(config.capacity, MACHINE_SECTORS);
    assert_int_equal(config.seg_max, BLK_QUEUE_SIZE - 2);
    assert_int_equal(config.blk_size, 512);
    assert_int_equal(config.physical_block_exp, 3);
    assert_int_equal(config.max_discard_seg, 1);
    assert_int_equal(config.write_zeroes_may_unmap, 1);
    assert_int_equal(driver.features, DRIVER_FEATURES);
    machine_finish(&machine);
}

static void test_write(void **state)
{
    struct machine machine;
    struct driver driver;
    uint8_t block[4096];
    int file;

    (void)state;
    start(&machine, &driver, &(struct machine_options){ 0 });
    memset(driver_data(&driver), 0x3c, sizeof(block));
    assert_int_equal(blk_request(&driver, VIRTIO_BLK_T_OUT, 16, sizeof(block)), VIRTIO_BLK_S_OK);
    assert_int_equal(blk_request(&driver, VIRTIO_BLK_T_FLUSH, 0, 0), VIRTIO_BLK_S_OK);

    file = open(machine.path[0], O_RDONLY);
    assert_int_equal(pread(file, block, sizeof(block), 16 * 512), sizeof(block));
    for (unsigned int i = 0; i < sizeof(block); i++) {
        assert_int_equal(block[i], 0x3c);
    }
    assert_int_equal(close(file), 0);
    blk_check_pattern(&driver, 15, 1);
    blk_check_pattern(&driver, 24, 1);
    machine_finish(&machine);
}

/* A driver that does not negotiate FLUSH gets durable writes; what can be seen from here is that they work. */
static void test_write_without_flush_feature(void **state)
{
    struct machine machine;
    struct driver driver;

    (void)state;
    machine_start(&machine, &(struct machine_options){ 0 });
    driver_probe(&driver, &machine, 1);
    driver_start(&driver, 1ull << VIRTIO_F_VERSION_1);
    memset(driver_data(&driver), 0x3c, 512);
    assert_int_equal(blk_request(&driver, VIRTIO_BLK_T_OUT, 16, 512), VIRTIO_BLK_S_OK);
    memset(driver_data(&driver), 0, 512);
    assert_int_equal(blk_request(&driver, VIRTIO_BLK_T_IN, 16, 512), VIRTIO_BLK_S_OK);
    assert_int_equal(((uint8_t *)driver_data(&driver))[511], 0x3c);
    machine_finish(&machine);
}

static uint8_t range_request(struct driver *driver, uint32_t type, uint64_t sector, uint32_t sectors, uint32_t flags)
{
    const struct virtio_blk_discard_write_zeroes range = { .sector = sector, .num_sectors = sectors, .flags = flags };

    memcpy(driver_data(driver), &range, sizeof(range));
    return blk_request(driver, type, 0, sizeof(range));
}

static void check_zero(struct driver *driver, uint64_t sector, uint32_t sectors)
{
    memset(driver_data(driver), 0x55, sectors * 512);
    assert_int_equal(blk_request(driver, VIRTIO_BLK_T_IN, sector, sectors * 512), VIRTIO_BLK_S_OK);
    for (uint32_t i = 0; i < sectors * 512; i++) {
        assert_int_equal(((uint8_t *)driver_data(driver))[i], 0);
    }
}

static void test_discard(void **state)
{
    struct machine machine;
    struct driver driver;

    (void)state;
    start(&machine, &driver, &(struct machine_options){ 0 });
    assert_int_equal(range_request(&driver, VIRTIO_BLK_T_DISCARD, 64, 64, 0), VIRTIO_BLK_S_OK);
    check_zero(&driver, 64, 64);
    blk_check_pattern(&driver, 63, 1);
    blk_check_pattern(&driver, 128, 1);
    assert_int_equal(range_request(&driver, VIRTIO_BLK_T_DISCARD, 64, 0, 0), VIRTIO_BLK_S_OK);
    machine_finish(&machine);
}

static void test_write_zeroes(void **state)
{
    struct machine machine;
    struct driver driver;
    struct stat before, after;
    uint8_t status;

    (void)state;
    start(&machine, &driver, &(struct machine_options){ 0 });
    assert_int_equal(range_request(&driver, VIRTIO_BLK_T_WRITE_ZEROES, 64, 64, VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP),
                     VIRTIO_BLK_S_OK);
    check_zero(&driver, 64, 64);
    assert_int_equal(stat(machine.path[0], &before), 0);
    status = range_request(&driver, VIRTIO_BLK_T_WRITE_ZEROES, 256, 64, 0);
    if (status == VIRTIO_BLK_S_UNSUPP) {
        print_message("this file system cannot zero a range in place\n");
    } else {
        assert_int_equal(status, VIRTIO_BLK_S_OK);
        check_zero(&driver, 256, 64);
        assert_int_equal(stat(machine.path[0], &after), 0);
        assert_int_equal(before.st_blocks, after.st_blocks);
    }
    blk_check_pattern(&driver, 255, 1);
    blk_check_pattern(&driver, 320, 1);
    machine_finish(&machine);
}

static void test_get_id(void **state)
{
    struct machine machine;
    struct driver driver;

    (void)state;
    start(&machine, &driver, &(struct machine_options){ .id = "a-very-long-serial-number" });
    memset(driver_data(&driver), 0x55, 32);
    assert_int_equal(blk_request(&driver, VIRTIO_BLK_T_GET_ID, 0, 20), VIRTIO_BLK_S_OK);
    assert_memory_equal(driver_data(&driver), "a-very-long-serial-n\x55", 21);
    machine_finish(&machine);

    start(&machine, &driver, &(struct machine_options){ 0 });
    assert_int_equal(blk_request(&driver, VIRTIO_BLK_T_GET_ID, 0, 20), VIRTIO_BLK_S_OK);
    assert_string_equal(driver_data(&driver), machine.path[0]);
    machine_finish(&machine);
}

static void test_read_only(void **state)
{
    struct machine machine;
    struct driver driver;

    (void)state;
    start(&machine, &driver, &(struct machine_options){ .read_only = true });
    common_write(&driver, VIRTIO_PCI_COMMON_DFSELECT, 4, 0);
    assert_true(common_read(&driver, VIRTIO_PCI_COMMON_DF, 4) & 1u << VIRTIO_BLK_F_RO);
    assert_false(common_read(&driver, VIRTIO_PCI_COMMON_DF, 4) & 1u << VIRTIO_BLK_F_DISCARD);
    assert_int_equal(blk_request(&driver, VIRTIO_BLK_T_OUT, 0, 512), VIRTIO_BLK_S_IOERR);
    assert_int_equal(blk_request(&driver, VIRTIO_BLK_T_FLUSH, 0, 0), VIRTIO_BLK_S_OK);
    blk_check_pattern(&driver, 0, 8);
    machine_finish(&machine);
}

static void test_indirect(void **state)
{
    struct machine machine;
    struct driver driver;
    struct buffer buffers[14];

    (void)state;
    start(&machine, &driver, &(struct machine_options){ 0 });
    for (unsigned int round = 0; round < 40; round++) {
        buffers[0] = (struct buffer){ blk_header(&driver, 0, VIRTIO_BLK_T_IN, round), 16, false };
        for (unsigned int i = 1; i < 13; i++) {
            buffers[i] = (struct buffer){ driver_data_address(&driver) + (i - 1) * 1024, 1024, true };
        }
        buffers[13] = (struct buffer){ blk_status_address(&driver, 0), 1, true };
        assert_int_equal(driver_run(&driver, ring_add_indirect(&driver, buffers, 14)), 12 * 1024 + 1);
        assert_int_equal(*blk_status(&driver, 0), VIRTIO_BLK_S_OK);
        assert_int_equal(((uint64_t *)driver_data(&driver))[12 * 128 - 1], machine_word(round * 64 + 12 * 128 - 1));
    }
    machine_finish(&machine);
}

/* The header in pieces of every size, the data in odd ones, the status in the same buffer as the data. */
static void test_any_layout(void **state)
{
    struct machine machine;
    struct driver driver;

    (void)state;
    start(&machine, &driver, &(struct machine_options){ 0 });
    for (uint32_t cut = 1; cut < 16; cut++) {
        const uint64_t header = blk_header(&driver, 0, VIRTIO_BLK_T_IN, 5);
        const struct buffer buffers[] = {
            { header, cut, false },
            { header + cut, 16 - cut, false },
            { driver_data_address(&driver), cut, true },
            { driver_data_address(&driver) + cut, 512 - cut + 1, true },
        };

        assert_int_equal(driver_run(&driver, ring_add(&driver, buffers, 4)), 513);
        assert_int_equal(((uint8_t *)driver_data(&driver))[512], VIRTIO_BLK_S_OK);
        assert_int_equal(((uint64_t *)driver_data(&driver))[63], machine_word(5 * 64 + 63));
    }
    machine_finish(&machine);
}

/* Header and data in one buffer. */
static void test_write_in_one_buffer(void **state)
{
    struct machine machine;
    struct driver driver;
    const struct virtio_blk_outhdr header = { .type = VIRTIO_BLK_T_OUT, .sector = 9 };
    uint8_t *data;

    (void)state;
    start(&machine, &driver, &(struct machine_options){ 0 });
    data = driver_data(&driver);
    memcpy(data, &header, sizeof(header));
    memset(data + sizeof(header), 0x77, 1024);
    (void)blk_header(&driver, 0, 0, 0);
    assert_int_equal(driver_run(&driver, ring_add(&driver,
                                                  (struct buffer[]){
                                                      { driver_data_address(&driver), 16 + 1024, false },
                                                      { blk_status_address(&driver, 0), 1, true },
                                                  },
                                                  2)),
                     1);
    assert_int_equal(*blk_status(&driver, 0), VIRTIO_BLK_S_OK);
    assert_int_equal(blk_request(&driver, VIRTIO_BLK_T_IN, 9, 1024), VIRTIO_BLK_S_OK);
    assert_int_equal(data[0], 0x77);
    assert_int_equal(data[1023], 0x77);
    blk_check_pattern(&driver, 11, 1);
    machine_finish(&machine);
}

/* As many requests in flight as the queue has room for, many times round the ring. */
static void full_queue(uint64_t features, bool intx_only)
{
    struct machine machine;
    struct driver driver;

    machine_start(&machine, &(struct machine_options){ .intx_only = intx_only });
    driver_probe(&driver, &machine, 1);
    driver_start(&driver, features);
    for (unsigned int round = 0; round < 200; round++) {
        const unsigned int depth = driver.queue_size / 3;

        for (unsigned int i = 0; i < depth; i++) {
            const struct buffer buffers[] = {
                { blk_header(&driver, i, VIRTIO_BLK_T_IN, round + i), 16, false },
                { driver_data_address(&driver) + i * 4096, 4096, true },
                { blk_status_address(&driver, i), 1, true },
            };

            ring_publish(&driver, ring_add(&driver, buffers, 3));
        }
        driver_notify(&driver);
        for (unsigned int i = 0; i < depth; i++) {
            assert_int_equal(driver_wait(&driver).len, 4097);
        }
        for (unsigned int i = 0; i < depth; i++) {
            assert_int_equal(*blk_status(&driver, i), VIRTIO_BLK_S_OK);
            assert_int_equal(((uint64_t *)driver_data(&driver))[i * 512], machine_word((round + i) * 64));
        }
    }
    machine_finish(&machine);
}

static void test_full_queue_event_index(void **state)
{
    (void)state;
    full_queue(DRIVER_FEATURES, false);
}

static void test_full_queue_flags(void **state)
{
    (void)state;
    full_queue(DRIVER_FEATURES & ~(1ull << VIRTIO_RING_F_EVENT_IDX), false);
}

static void test_full_queue_intx(void **state)
{
    (void)state;
    full_queue(DRIVER_FEATURES, true);
}

static void test_largest_queue(void **state)
{
    struct machine machine;
    struct driver driver;
    struct buffer buffers[BLK_QUEUE_SIZE];

    (void)state;
    machine_start(&machine, &(struct machine_options){ 0 });
    driver_probe(&driver, &machine, 1);
    driver.queue_size = BLK_QUEUE_SIZE;
    driver_start(&driver, DRIVER_FEATURES);
    buffers[0] = (struct buffer){ blk_header(&driver, 0, VIRTIO_BLK_T_IN, 7), 16, false };
    for (unsigned int i = 1; i < BLK_QUEUE_SIZE - 1; i++) {
        buffers[i] = (struct buffer){ driver_data_address(&driver) + (i - 1) * 512, 512, true };
    }
    buffers[BLK_QUEUE_SIZE - 1] = (struct buffer){ blk_status_address(&driver, 0), 1, true };
    for (unsigned int i = 0; i < 3; i++) {
        assert_int_equal(driver_run(&driver, ring_add(&driver, buffers, BLK_QUEUE_SIZE)), 254 * 512 + 1);
        assert_int_equal(*blk_status(&driver, 0), VIRTIO_BLK_S_OK);
        assert_int_equal(driver_run(&driver, ring_add_indirect(&driver, buffers, BLK_QUEUE_SIZE)), 254 * 512 + 1);
        assert_int_equal(*blk_status(&driver, 0), VIRTIO_BLK_S_OK);
        assert_int_equal(((uint64_t *)driver_data(&driver))[253 * 64], machine_word((7 + 253) * 64));
    }
    machine_finish(&machine);
}

/* Buffers placed before DRIVER_OK, notified before it: they are served once it is set. */
static void test_early_buffers(void **state)
{
    struct machine machine;
    struct driver driver;
    struct buffer buffers[3];

    (void)state;
    machine_start(&machine, &(struct machine_options){ 0 });
    driver_probe(&driver, &machine, 1);
    driver_reset(&driver);
    driver_negotiate(&driver, DRIVER_FEATURES);
    driver_setup_queue(&driver);
    driver_enable_queue(&driver);
    buffers[0] = (struct buffer){ blk_header(&driver, 0, VIRTIO_BLK_T_IN, 1), 16, false };
    buffers[1] = (struct buffer){ driver_data_address(&driver), 512, true };
    buffers[2] = (struct buffer){ blk_status_address(&driver, 0), 1, true };
    ring_publish(&driver, ring_add(&driver, buffers, 3));
    driver_kick(&driver);
    machine_settle(&machine);
    assert_false(driver_completed(&driver));
    driver_set_status(&driver, driver_status(&driver) | VIRTIO_CONFIG_S_DRIVER_OK);
    assert_int_equal(driver_wait(&driver).len, 513);
    machine_finish(&machine);
}

static void test_reset_and_again(void **state)
{
    struct machine machine;
    struct driver driver;

    (void)state;
    start(&machine, &driver, &(struct machine_options){ 0 });
    for (unsigned int i = 0; i < 20; i++) {
        blk_check_pattern(&driver, i, 4);
        driver_start(&driver, i % 2 ? DRIVER_FEATURES : 1ull << VIRTIO_F_VERSION_1);
    }
    machine_finish(&machine);
}

static void test_several_disks(void **state)
{
    struct machine machine;
    struct driver driver[MACHINE_DISKS];

    (void)state;
    machine_start(&machine, &(struct machine_options){ .disks = MACHINE_DISKS });
    for (unsigned int i = 0; i < MACHINE_DISKS; i++) {
        driver_probe(&driver[i], &machine, i + 1);
        driver_start(&driver[i], DRIVER_FEATURES);
    }
    assert_int_equal(local_guest_claims(machine.guest), driver[0].mmio ? 2 : MACHINE_DISKS + 1);
    for (unsigned int i = 0; i < MACHINE_DISKS; i++) {
        memset(driver_data(&driver[i]), (int)i, 512);
        assert_int_equal(blk_request(&driver[i], VIRTIO_BLK_T_OUT, 100, 512), VIRTIO_BLK_S_OK);
    }
    for (unsigned int i = 0; i < MACHINE_DISKS; i++) {
        assert_int_equal(blk_request(&driver[i], VIRTIO_BLK_T_IN, 100, 512), VIRTIO_BLK_S_OK);
        assert_int_equal(((uint8_t *)driver_data(&driver[i]))[100], i);
        blk_check_pattern(&driver[i], 101, 8);
    }
    machine_finish(&machine);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_read),
        cmocka_unit_test(test_capacity_and_features),
        cmocka_unit_test(test_write),
        cmocka_unit_test(test_write_without_flush_feature),
        cmocka_unit_test(test_discard),
        cmocka_unit_test(test_write_zeroes),
        cmocka_unit_test(test_get_id),
        cmocka_unit_test(test_read_only),
        cmocka_unit_test(test_indirect),
        cmocka_unit_test(test_any_layout),
        cmocka_unit_test(test_write_in_one_buffer),
        cmocka_unit_test(test_full_queue_event_index),
        cmocka_unit_test(test_full_queue_flags),
        cmocka_unit_test(test_full_queue_intx),
        cmocka_unit_test(test_largest_queue),
        cmocka_unit_test(test_early_buffers),
        cmocka_unit_test(test_reset_and_again),
        cmocka_unit_test(test_several_disks),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
