/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * virtio-blk as a driver uses it that does everything right: all requests, direct and indirect chains, the event
 * index, reset in the middle of it, several disks.
 */
#include "driver.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <linux/magic.h>

#include "faults.h"

static void test_read(struct driver *driver)
{
    blk_check_pattern(driver, 0, 1);
    blk_check_pattern(driver, 1, 8);
    blk_check_pattern(driver, MACHINE_SECTORS - 1, 1);
    blk_check_pattern(driver, 0, 1024);
}

static void test_capacity_and_features(struct driver *driver)
{
    struct virtio_blk_config config;

    for (unsigned int i = 0; i < sizeof(config); i++) {
        ((uint8_t *)&config)[i] = (uint8_t)machine_read(driver->machine, driver->config + i, 1);
    }
    assert_int_equal(config.capacity, MACHINE_SECTORS);
    assert_int_equal(config.seg_max, BLK_QUEUE_SIZE - 2);
    assert_int_equal(config.blk_size, 512);
    assert_int_equal(config.physical_block_exp, 3);
    assert_int_equal(config.max_discard_seg, 1);
    assert_int_equal(config.write_zeroes_may_unmap, 1);
    assert_int_equal(driver->features & ~(1ull << VIRTIO_F_RING_PACKED), DRIVER_FEATURES);
    assert_int_equal(config.num_queues, 1);
}

/* Each queue has its own requests under way, of the same heads, and they end in any order. */
static void test_several_queues(struct driver *driver)
{
    const uint16_t queues = 4;
    struct driver each[4];

    assert_int_equal(machine_read(driver->machine, driver->config + offsetof(struct virtio_blk_config, num_queues), 2),
                     queues);
    driver_reset(driver);
    driver_negotiate(driver, DRIVER_FEATURES | 1ull << VIRTIO_BLK_F_MQ);
    assert_true(driver->features & 1ull << VIRTIO_BLK_F_MQ);
    driver_setup_msix(driver);
    for (uint16_t i = 0; i < queues; i++) {
        each[i] = *driver;
        each[i].queue = i;
        each[i].memory += i * 0x100000ull;
        memset(machine_memory(driver->machine, each[i].memory, DRIVER_DATA), 0, DRIVER_DATA);
        driver_setup_queue(&each[i]);
        driver_enable_queue(&each[i]);
    }
    driver_set_status(driver, DRIVER_RUNNING);
    faults_hold();
    for (uint16_t i = 0; i < queues; i++) {
        ring_publish(&each[i], blk_add(&each[i], 0, VIRTIO_BLK_T_IN, i, 512));
        driver_notify(&each[i]);
    }
    machine_settle(driver->machine);
    assert_int_equal(faults_held(), queues);
    faults_release();
    for (uint16_t i = queues; i-- > 0;) {
        assert_int_equal(driver_wait(&each[i]).len, 513);
        assert_int_equal(*(uint64_t *)driver_data(&each[i]), machine_word(i * 64u));
        for (unsigned int round = 0; round < 20; round++) {
            blk_check_pattern(&each[i], round * 8, 8);
        }
    }
}

static void test_write(struct driver *driver)
{
    uint8_t block[4096];
    int file;

    memset(driver_data(driver), 0x3c, sizeof(block));
    assert_int_equal(blk_request(driver, VIRTIO_BLK_T_OUT, 16, sizeof(block)), VIRTIO_BLK_S_OK);
    assert_int_equal(blk_request(driver, VIRTIO_BLK_T_FLUSH, 0, 0), VIRTIO_BLK_S_OK);

    file = open(driver->machine->path[0], O_RDONLY);
    assert_int_equal(pread(file, block, sizeof(block), 16 * 512), sizeof(block));
    for (unsigned int i = 0; i < sizeof(block); i++) {
        assert_int_equal(block[i], 0x3c);
    }
    assert_int_equal(close(file), 0);
    blk_check_pattern(driver, 15, 1);
    blk_check_pattern(driver, 24, 1);
}

/* A driver that does not negotiate FLUSH gets durable writes; what can be seen from here is that they work. */
static void test_write_without_flush_feature(struct driver *driver)
{
    driver_start(driver, 1ull << VIRTIO_F_VERSION_1);
    memset(driver_data(driver), 0x3c, 512);
    assert_int_equal(blk_request(driver, VIRTIO_BLK_T_OUT, 16, 512), VIRTIO_BLK_S_OK);
    memset(driver_data(driver), 0, 512);
    assert_int_equal(blk_request(driver, VIRTIO_BLK_T_IN, 16, 512), VIRTIO_BLK_S_OK);
    assert_int_equal(((uint8_t *)driver_data(driver))[511], 0x3c);
}

static void check_zero(struct driver *driver, uint64_t sector, uint32_t sectors)
{
    memset(driver_data(driver), 0x55, sectors * 512);
    assert_int_equal(blk_request(driver, VIRTIO_BLK_T_IN, sector, sectors * 512), VIRTIO_BLK_S_OK);
    for (uint32_t i = 0; i < sectors * 512; i++) {
        assert_int_equal(((uint8_t *)driver_data(driver))[i], 0);
    }
}

static void test_discard(struct driver *driver)
{
    assert_int_equal(blk_range_request(driver, VIRTIO_BLK_T_DISCARD, 64, 64, 0), VIRTIO_BLK_S_OK);
    check_zero(driver, 64, 64);
    blk_check_pattern(driver, 63, 1);
    blk_check_pattern(driver, 128, 1);
    assert_int_equal(blk_range_request(driver, VIRTIO_BLK_T_DISCARD, 64, 0, 0), VIRTIO_BLK_S_OK);
}

static long blocks(const struct driver *driver)
{
    struct stat about;

    assert_int_equal(stat(driver->machine->path[0], &about), 0);
    return (long)about.st_blocks;
}

/* Zeroes either way; space is given back if the driver allows it, and kept if not. */
static void test_write_zeroes(struct driver *driver)
{
    const long before = blocks(driver);

    assert_int_equal(blk_range_request(driver, VIRTIO_BLK_T_WRITE_ZEROES, 256, 64, 0), VIRTIO_BLK_S_OK);
    check_zero(driver, 256, 64);
    assert_int_equal(blocks(driver), before);
    assert_int_equal(blk_range_request(driver, VIRTIO_BLK_T_WRITE_ZEROES, 64, 64,
                                       VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP), VIRTIO_BLK_S_OK);
    check_zero(driver, 64, 64);
    assert_true(blocks(driver) < before);
    blk_check_pattern(driver, 255, 1);
    blk_check_pattern(driver, 320, 1);
}

/* tmpfs knows holes, but no zeroing in place. */
static void test_write_zeroes_on_tmpfs(struct driver *driver)
{
    struct statfs about;

    assert_int_equal(statfs(driver->machine->path[0], &about), 0);
    if (about.f_type != TMPFS_MAGIC) {
        print_message("/dev/shm is no tmpfs\n");
        return;
    }
    assert_true(driver->features & 1ull << VIRTIO_BLK_F_DISCARD);
    test_write_zeroes(driver);
    test_discard(driver);
}

/* As the ring does that a device model leaves behind: what it reads and writes is still open somewhere. */
static int duplicate_opened(const char *path)
{
    struct stat wanted, about;

    assert_int_equal(stat(path, &wanted), 0);
    for (int descriptor = 3; descriptor < 256; descriptor++) {
        if (fstat(descriptor, &about) == 0 && about.st_dev == wanted.st_dev && about.st_ino == wanted.st_ino &&
            (fcntl(descriptor, F_GETFL) & O_ACCMODE) == O_RDWR) {
            return dup(descriptor);
        }
    }
    fail_msg("%s is not open", path);
    return -1;
}

static void check_free_at_once(struct driver *driver, const char *path)
{
    const int left = duplicate_opened(path);
    int other;

    machine_stop_model(driver->machine);
    other = open(path, O_RDWR | O_EXCL | O_CLOEXEC);
    assert_true(other >= 0);
    assert_int_equal(flock(other, LOCK_EX | LOCK_NB), 0);
    assert_int_equal(close(other), 0);
    assert_int_equal(close(left), 0);
}

static void test_file_is_free_when_the_device_model_has_ended(struct driver *driver)
{
    check_free_at_once(driver, driver->machine->path[0]);
}

/* The disk is a block device on the file that it was: that, too, is discarded, zeroed, and nobody else's. */
static void test_block_device(struct driver *driver)
{
    struct machine *const machine = driver->machine;
    char path[MACHINE_PATH];
    const int device = machine_block_device(machine->path[0], path);
    const long before = blocks(driver);
    int other;

    if (device < 0) {
        print_message("no block device can be made here\n");
        return;
    }
    machine_stop_model(machine);
    machine->disk[0].path = path;
    machine_start_model(machine);
    assert_int_equal(open(path, O_RDWR | O_EXCL), -1); /* as mount(2) would */
    driver_probe(driver, machine, driver->device);
    driver_start(driver, DRIVER_FEATURES);
    test_write(driver);
    if (driver->features & 1ull << VIRTIO_BLK_F_DISCARD) {
        test_discard(driver);
        assert_true(blocks(driver) < before);
    } else {
        print_message("this kernel cannot discard through io_uring\n");
        assert_int_equal(blk_range_request(driver, VIRTIO_BLK_T_DISCARD, 64, 64, 0), VIRTIO_BLK_S_UNSUPP);
    }
    for (uint32_t flags = 0; flags < 2; flags++) {
        /* What was written there is still on its way to the device. */
        assert_int_equal(blk_request(driver, VIRTIO_BLK_T_OUT, 512 + flags * 128, 4096), VIRTIO_BLK_S_OK);
        assert_int_equal(blk_range_request(driver, VIRTIO_BLK_T_WRITE_ZEROES, 512 + flags * 128, 64, flags),
                         VIRTIO_BLK_S_OK);
        check_zero(driver, 512 + flags * 128, 64);
        blk_check_pattern(driver, 576 + flags * 128, 64);
    }
    check_free_at_once(driver, path);

    other = open(path, O_RDWR | O_EXCL | O_CLOEXEC);
    assert_true(other >= 0);
    for (unsigned int i = 0; i < 2; i++) {
        char error[MODEL_ERROR_MAX] = "";

        machine->disk[0].read_only = i > 0; /* sees what the other does, and does nothing to it */
        assert_int_equal(model_create(&machine->model, &machine->options, error), i == 0 ? -EBUSY : 0);
        assert_true(i > 0 || strstr(error, "in use on this host: by a mount, another device or another device model"));
    }
    assert_int_equal(close(other), 0);
    assert_int_equal(close(device), 0);
}

static uint64_t told(const struct driver *driver)
{
    return driver->mmio ? 0 : local_guest_interrupt(driver->machine->guest, driver_msix_interrupt(driver, 0))->raised;
}

static uint8_t generation(struct driver *driver)
{
    return driver->mmio ? (uint8_t)mmio_read(driver, VIRTIO_MMIO_CONFIG_GENERATION)
                        : (uint8_t)common_read(driver, VIRTIO_PCI_COMMON_CFGGENERATION, 1);
}

static void resize(struct driver *driver, uint64_t bytes)
{
    const uint64_t before = machine_read(driver->machine, driver->config, 8);
    const uint8_t first = generation(driver);

    assert_int_equal(truncate(driver->machine->path[0], (off_t)bytes), 0);
    machine_settle(driver->machine);
    assert_int_equal(machine_read(driver->machine, driver->config, 8), before); /* nobody has asked to look */
    for (unsigned int i = 0; i < 3; i++) { /* once is enough */
        model_signal(driver->machine->model, MODEL_SIGNAL_LOOK);
        machine_settle(driver->machine);
        assert_int_equal(machine_read(driver->machine, driver->config, 8), bytes / 512);
        assert_int_equal(generation(driver), (uint8_t)(first + 1));
    }
}

/* 2.5.2, 5.2.4: the capacity changes, and the driver is told. */
static void test_resize(struct driver *driver)
{
    const uint64_t tells = driver->mmio ? 0 : 1;

    resize(driver, 3 * MACHINE_SECTORS * 512 + 100);
    assert_int_equal(told(driver), tells);
    if (driver->mmio) {
        assert_true(mmio_read(driver, VIRTIO_MMIO_INTERRUPT_STATUS) & VIRTIO_MMIO_INT_CONFIG);
    }
    memset(driver_data(driver), 0x3c, 4096);
    assert_int_equal(blk_request(driver, VIRTIO_BLK_T_OUT, 3 * MACHINE_SECTORS - 8, 4096), VIRTIO_BLK_S_OK);
    assert_int_equal(blk_request(driver, VIRTIO_BLK_T_OUT, 3 * MACHINE_SECTORS - 7, 4096), VIRTIO_BLK_S_IOERR);
    assert_int_equal(blk_request(driver, VIRTIO_BLK_T_IN, 3 * MACHINE_SECTORS - 8, 4096), VIRTIO_BLK_S_OK);
    assert_int_equal(*(uint8_t *)driver_data(driver), 0x3c);
    resize(driver, 100 * 512);
    assert_int_equal(told(driver), 2 * tells);
    assert_int_equal(blk_request(driver, VIRTIO_BLK_T_IN, 96, 4096), VIRTIO_BLK_S_IOERR);
    blk_check_pattern(driver, 92, 8);
    resize(driver, 0);
    assert_int_equal(blk_request(driver, VIRTIO_BLK_T_IN, 0, 512), VIRTIO_BLK_S_IOERR);
    /* A driver that is not there yet needs no interrupt. */
    resize(driver, MACHINE_SECTORS * 512);
    driver_reset(driver);
    resize(driver, 2 * MACHINE_SECTORS * 512);
    assert_int_equal(told(driver), 4 * tells);
}

static void test_get_id(void **state)
{
    struct machine machine;
    struct driver driver;

    (void)state;
    driver_begin(&driver, &machine, &(struct machine_options){ .id = "a-very-long-serial-number" });
    memset(driver_data(&driver), 0x55, 32);
    assert_int_equal(blk_request(&driver, VIRTIO_BLK_T_GET_ID, 0, 20), VIRTIO_BLK_S_OK);
    assert_memory_equal(driver_data(&driver), "a-very-long-serial-n\x55", 21);
    machine_finish(&machine);

    driver_begin(&driver, &machine, &(struct machine_options){ 0 });
    assert_int_equal(blk_request(&driver, VIRTIO_BLK_T_GET_ID, 0, 20), VIRTIO_BLK_S_OK);
    assert_string_equal(driver_data(&driver), machine.path[0]);
    machine_finish(&machine);
}

/* A sync for which the kernel has no thread or no memory fails, and has lost nothing: the next one does it all. */
static void test_sync_that_was_not_tried(struct driver *driver)
{
    const int untried[] = { -ECANCELED, -EAGAIN, -ENOMEM };

    for (unsigned int i = 0; i < 3; i++) {
        faults_fail_sync(untried[i]);
        assert_int_equal(blk_request(driver, VIRTIO_BLK_T_FLUSH, 0, 0), VIRTIO_BLK_S_IOERR);
        assert_int_equal(blk_request(driver, VIRTIO_BLK_T_FLUSH, 0, 0), VIRTIO_BLK_S_OK);
    }
}

static void test_read_only(struct driver *driver)
{
    common_write(driver, VIRTIO_PCI_COMMON_DFSELECT, 4, 0);
    assert_true(common_read(driver, VIRTIO_PCI_COMMON_DF, 4) & 1u << VIRTIO_BLK_F_RO);
    assert_false(common_read(driver, VIRTIO_PCI_COMMON_DF, 4) & 1u << VIRTIO_BLK_F_DISCARD);
    assert_int_equal(blk_request(driver, VIRTIO_BLK_T_OUT, 0, 512), VIRTIO_BLK_S_IOERR);
    assert_int_equal(blk_request(driver, VIRTIO_BLK_T_FLUSH, 0, 0), VIRTIO_BLK_S_OK);
    blk_check_pattern(driver, 0, 8);
}

/* A read in as many pieces as there are buffers but for the first and the last one. */
static void scattered_read(struct driver *driver, struct buffer *buffers, unsigned int count, uint64_t sector,
                           uint32_t piece)
{
    buffers[0] = (struct buffer){ blk_header(driver, 0, VIRTIO_BLK_T_IN, sector), 16, false };
    for (unsigned int i = 1; i < count - 1; i++) {
        buffers[i] = (struct buffer){ driver_data_address(driver) + (i - 1) * piece, piece, true };
    }
    buffers[count - 1] = (struct buffer){ blk_status_address(driver, 0), 1, true };
}

static void test_indirect(struct driver *driver)
{
    struct buffer buffers[14];

    for (unsigned int round = 0; round < 40; round++) {
        scattered_read(driver, buffers, 14, round, 1024);
        assert_int_equal(driver_run(driver, ring_add_indirect(driver, buffers, 14)), 12 * 1024 + 1);
        assert_int_equal(*blk_status(driver, 0), VIRTIO_BLK_S_OK);
        assert_int_equal(((uint64_t *)driver_data(driver))[12 * 128 - 1], machine_word(round * 64 + 12 * 128 - 1));
    }
}

/* The header in pieces of every size, the data in odd ones, the status in the same buffer as the data. */
static void test_any_layout(struct driver *driver)
{
    for (uint32_t cut = 1; cut < 16; cut++) {
        const uint64_t header = blk_header(driver, 0, VIRTIO_BLK_T_IN, 5);
        const struct buffer buffers[] = {
            { header, cut, false },
            { header + cut, 16 - cut, false },
            { driver_data_address(driver), cut, true },
            { driver_data_address(driver) + cut, 512 - cut + 1, true },
        };

        assert_int_equal(driver_run(driver, ring_add(driver, buffers, 4)), 513);
        assert_int_equal(((uint8_t *)driver_data(driver))[512], VIRTIO_BLK_S_OK);
        assert_int_equal(((uint64_t *)driver_data(driver))[63], machine_word(5 * 64 + 63));
    }
}

/* Header and data in one buffer. */
static void test_write_in_one_buffer(struct driver *driver)
{
    const struct virtio_blk_outhdr header = { .type = VIRTIO_BLK_T_OUT, .sector = 9 };
    const struct buffer buffers[] = {
        { driver_data_address(driver), 16 + 1024, false },
        { blk_status_address(driver, 0), 1, true },
    };
    uint8_t *const data = driver_data(driver);

    memcpy(data, &header, sizeof(header));
    memset(data + sizeof(header), 0x77, 1024);
    (void)blk_header(driver, 0, 0, 0);
    assert_int_equal(driver_run(driver, ring_add(driver, buffers, 2)), 1);
    assert_int_equal(*blk_status(driver, 0), VIRTIO_BLK_S_OK);
    assert_int_equal(blk_request(driver, VIRTIO_BLK_T_IN, 9, 1024), VIRTIO_BLK_S_OK);
    assert_int_equal(data[0], 0x77);
    assert_int_equal(data[1023], 0x77);
    blk_check_pattern(driver, 11, 1);
}

/* As many requests in flight as the queue has room for, many times round the ring. */
static void full_queue(struct driver *driver)
{
    const unsigned int depth = driver->queue_size / 3;

    for (unsigned int round = 0; round < 200; round++) {
        for (unsigned int i = 0; i < depth; i++) {
            struct buffer buffers[3];

            blk_buffers(driver, buffers, i, VIRTIO_BLK_T_IN, round + i, 4096);
            buffers[1].address += i * 4096;
            ring_publish(driver, ring_add(driver, buffers, 3));
        }
        driver_notify(driver);
        for (unsigned int i = 0; i < depth; i++) {
            assert_int_equal(driver_wait(driver).len, 4097);
        }
        for (unsigned int i = 0; i < depth; i++) {
            assert_int_equal(*blk_status(driver, i), VIRTIO_BLK_S_OK);
            assert_int_equal(((uint64_t *)driver_data(driver))[i * 512], machine_word((round + i) * 64));
        }
    }
}

static void test_full_queue_event_index(struct driver *driver)
{
    full_queue(driver);
}

static void test_full_queue_flags(struct driver *driver)
{
    driver_start(driver, DRIVER_FEATURES & ~(1ull << VIRTIO_RING_F_EVENT_IDX));
    full_queue(driver);
}

static void test_full_queue_intx(struct driver *driver)
{
    full_queue(driver);
}

static void test_largest_queue(struct driver *driver)
{
    struct buffer buffers[BLK_QUEUE_SIZE];

    driver->queue_size = BLK_QUEUE_SIZE;
    driver_start(driver, DRIVER_FEATURES);
    scattered_read(driver, buffers, BLK_QUEUE_SIZE, 7, 512);
    for (unsigned int i = 0; i < 3; i++) {
        assert_int_equal(driver_run(driver, ring_add(driver, buffers, BLK_QUEUE_SIZE)), 254 * 512 + 1);
        assert_int_equal(*blk_status(driver, 0), VIRTIO_BLK_S_OK);
        assert_int_equal(driver_run(driver, ring_add_indirect(driver, buffers, BLK_QUEUE_SIZE)), 254 * 512 + 1);
        assert_int_equal(*blk_status(driver, 0), VIRTIO_BLK_S_OK);
        assert_int_equal(((uint64_t *)driver_data(driver))[253 * 64], machine_word((7 + 253) * 64));
    }
}

/* Buffers placed before DRIVER_OK, notified before it: they are served once it is set. */
static void test_early_buffers(struct driver *driver)
{
    driver_prepare_queue(driver);
    driver_enable_queue(driver);
    ring_publish(driver, blk_add(driver, 0, VIRTIO_BLK_T_IN, 1, 512));
    driver_kick(driver);
    machine_settle(driver->machine);
    assert_false(driver_completed(driver));
    driver_set_status(driver, driver_status(driver) | VIRTIO_CONFIG_S_DRIVER_OK);
    assert_int_equal(driver_wait(driver).len, 513);
}

static void test_reset_and_again(struct driver *driver)
{
    for (unsigned int i = 0; i < 20; i++) {
        blk_check_pattern(driver, i, 4);
        driver_start(driver, i % 2 ? DRIVER_FEATURES : 1ull << VIRTIO_F_VERSION_1);
    }
}

static void test_several_disks(struct machine *machine)
{
    struct driver driver[MACHINE_DISKS];

    for (unsigned int i = 0; i < MACHINE_DISKS; i++) {
        driver_probe(&driver[i], machine, i + 1);
        driver_start(&driver[i], DRIVER_FEATURES);
    }
    assert_int_equal(local_guest_claims(machine->guest), driver[0].mmio ? 2 : MACHINE_DISKS + 1);
    for (unsigned int i = 0; i < MACHINE_DISKS; i++) {
        memset(driver_data(&driver[i]), (int)i, 512);
        assert_int_equal(blk_request(&driver[i], VIRTIO_BLK_T_OUT, 100, 512), VIRTIO_BLK_S_OK);
    }
    for (unsigned int i = 0; i < MACHINE_DISKS; i++) {
        assert_int_equal(blk_request(&driver[i], VIRTIO_BLK_T_IN, 100, 512), VIRTIO_BLK_S_OK);
        assert_int_equal(((uint8_t *)driver_data(&driver[i]))[100], i);
        blk_check_pattern(&driver[i], 101, 8);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        driver_test(test_read),
        driver_test(test_capacity_and_features),
        driver_test(test_write),
        probe_test(test_write_without_flush_feature),
        driver_test(test_discard),
        driver_test(test_write_zeroes),
        driver_test(test_write_zeroes_on_tmpfs, .directory = "/dev/shm"),
        cmocka_unit_test(test_get_id),
        driver_test(test_file_is_free_when_the_device_model_has_ended),
        driver_test(test_block_device),
        driver_test(test_resize),
        driver_test(test_sync_that_was_not_tried),
        driver_test(test_read_only, .read_only = true),
        driver_test(test_several_queues, .queues = 4),
        driver_test(test_indirect),
        driver_test(test_any_layout),
        driver_test(test_write_in_one_buffer),
        driver_test(test_full_queue_event_index),
        probe_test(test_full_queue_flags),
        driver_test(test_full_queue_intx, .intx_only = true),
        probe_test(test_largest_queue),
        probe_test(test_early_buffers),
        driver_test(test_reset_and_again),
        machine_test(test_several_disks, .disks = MACHINE_DISKS),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
