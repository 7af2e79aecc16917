/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The host lets the device model down: disks that fail, shrink or are taken, no descriptors, no memory, a guest that
 * vanishes, a second device model, an end in the middle of everything.
 */
#include "driver.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "faults.h"
#include "virtio/pci.h"

static void check_failure(struct driver *driver, int result, uint32_t type, uint32_t length, uint8_t status)
{
    const struct virtio_blk_discard_write_zeroes range = { .sector = 800, .num_sectors = 8 };

    memcpy(driver_data(driver), &range, sizeof(range));
    faults_fail(result);
    assert_int_equal(blk_request(driver, type, 800, length), status);
    driver_check_serves(driver);
}

static void test_input_output_error(struct driver *driver)
{
    check_failure(driver, -EIO, VIRTIO_BLK_T_IN, 4096, VIRTIO_BLK_S_IOERR);
    check_failure(driver, -EIO, VIRTIO_BLK_T_OUT, 4096, VIRTIO_BLK_S_IOERR);
    check_failure(driver, -EIO, VIRTIO_BLK_T_DISCARD, 16, VIRTIO_BLK_S_IOERR);
    check_failure(driver, -EIO, VIRTIO_BLK_T_WRITE_ZEROES, 16, VIRTIO_BLK_S_IOERR);
    check_failure(driver, -EFAULT, VIRTIO_BLK_T_IN, 4096, VIRTIO_BLK_S_IOERR);
}

static void test_no_space(struct driver *driver)
{
    check_failure(driver, -ENOSPC, VIRTIO_BLK_T_OUT, 4096, VIRTIO_BLK_S_IOERR);
    check_failure(driver, -ENOSPC, VIRTIO_BLK_T_WRITE_ZEROES, 16, VIRTIO_BLK_S_IOERR);
}

static void end_with(struct driver *driver, int result)
{
    struct machine *const machine = driver->machine;
    char error[MODEL_ERROR_MAX], expected[MODEL_ERROR_MAX];

    (void)snprintf(expected, sizeof(expected), "%s: not all that the guest has written is on stable storage (%s)",
                   machine->path[0], strerror(-result));
    assert_int_equal(model_destroy(machine->model, error), result);
    assert_string_equal(error, expected);
    machine->model = NULL;
}

/* Linux reports a failed writeback once: the next fdatasync() succeeds, and the data are lost all the same. */
static void test_failed_flush_is_remembered(struct driver *driver)
{
    unsigned int syncs;

    faults_fail_sync(-EIO);
    assert_int_equal(blk_request(driver, VIRTIO_BLK_T_FLUSH, 0, 0), VIRTIO_BLK_S_IOERR);
    syncs = faults_syncs();
    for (unsigned int i = 0; i < 3; i++) {
        assert_int_equal(blk_request(driver, VIRTIO_BLK_T_FLUSH, 0, 0), VIRTIO_BLK_S_IOERR);
        assert_int_equal(blk_request(driver, VIRTIO_BLK_T_OUT, 800, 4096), VIRTIO_BLK_S_OK);
        blk_check_pattern(driver, 0, 8);
    }
    assert_int_equal(faults_syncs(), syncs);
    driver_start(driver, DRIVER_FEATURES);
    assert_int_equal(blk_request(driver, VIRTIO_BLK_T_FLUSH, 0, 0), VIRTIO_BLK_S_OK);
    syncs = faults_syncs();
    end_with(driver, -EIO);
    assert_int_equal(faults_syncs(), syncs + 1); /* what can be saved is */
}

/* Without FLUSH each write is durable, or fails, from then on. */
static void test_failed_durable_write_is_remembered(struct driver *driver)
{
    driver_start(driver, 1ull << VIRTIO_F_VERSION_1);
    assert_int_equal(blk_request(driver, VIRTIO_BLK_T_OUT, 800, 4096), VIRTIO_BLK_S_OK);
    faults_fail_sync(-ENOSPC);
    for (unsigned int i = 0; i < 3; i++) {
        assert_int_equal(blk_request(driver, VIRTIO_BLK_T_OUT, 800, 4096), VIRTIO_BLK_S_IOERR);
        blk_check_pattern(driver, 0, 8);
    }
    assert_int_equal(blk_range_request(driver, VIRTIO_BLK_T_WRITE_ZEROES, 800, 8, 0), VIRTIO_BLK_S_IOERR);
    driver_start(driver, 1ull << VIRTIO_F_VERSION_1);
    assert_int_equal(blk_request(driver, VIRTIO_BLK_T_OUT, 800, 4096), VIRTIO_BLK_S_OK);
    end_with(driver, -ENOSPC);
}

static void test_failed_sync_at_the_end(struct driver *driver)
{
    assert_int_equal(blk_request(driver, VIRTIO_BLK_T_OUT, 800, 4096), VIRTIO_BLK_S_OK);
    faults_fail_sync(-EIO);
    end_with(driver, -EIO);
}

/* A write that the file system refuses at once is that request's error, and nothing is lost. */
static void test_refused_write_is_not_remembered(struct driver *driver)
{
    driver_start(driver, 1ull << VIRTIO_F_VERSION_1);
    check_failure(driver, -ENOSPC, VIRTIO_BLK_T_OUT, 4096, VIRTIO_BLK_S_IOERR);
    assert_int_equal(blk_request(driver, VIRTIO_BLK_T_OUT, 800, 4096), VIRTIO_BLK_S_OK);
}

/* Which of several gets the one report is not known: there is one fdatasync() at a time, for all that wait. */
static void test_flushes_that_wait_fail_together(struct driver *driver)
{
    const unsigned int syncs = faults_syncs();

    faults_fail_sync(-EIO);
    for (unsigned int slot = 0; slot < 4; slot++) {
        ring_publish(driver, blk_add(driver, slot, VIRTIO_BLK_T_FLUSH, 0, 0));
    }
    driver_kick(driver);
    for (unsigned int slot = 0; slot < 4; slot++) {
        (void)driver_wait(driver);
        assert_int_equal(*blk_status(driver, slot), VIRTIO_BLK_S_IOERR);
    }
    assert_int_equal(faults_syncs(), syncs + 1);
    end_with(driver, -EIO);
}

/* One for the first, one for all that came while it was under way; a reset meanwhile waits for it. */
static void test_one_sync_for_all_that_wait(struct driver *driver)
{
    struct machine *const machine = driver->machine;
    uint64_t deadline;

    faults_hold();
    for (unsigned int slot = 0; slot < 5; slot++) {
        ring_publish(driver, blk_add(driver, slot, VIRTIO_BLK_T_FLUSH, 0, 0));
        driver_kick(driver);
        machine_settle(machine);
        assert_int_equal(faults_held(), 1);
    }
    faults_release();
    for (unsigned int slot = 0; slot < 5; slot++) {
        (void)driver_wait(driver);
        assert_int_equal(*blk_status(driver, slot), VIRTIO_BLK_S_OK);
    }
    faults_hold();
    for (unsigned int slot = 0; slot < 5; slot++) {
        ring_publish(driver, blk_add(driver, slot, VIRTIO_BLK_T_FLUSH, 0, 0));
    }
    driver_kick(driver);
    machine_settle(machine);
    driver_set_status(driver, 0);
    machine_settle(machine);
    assert_int_not_equal(driver_status(driver), 0);
    faults_release();
    deadline = machine_now() + 20000;
    while (driver_status(driver) != 0) {
        machine_check_deadline(deadline, "a reset");
    }
    driver_check_serves(driver);
}

static void fail_range(struct driver *driver, int result, uint32_t type, uint32_t flags, uint8_t status)
{
    faults_fail(result);
    assert_int_equal(blk_range_request(driver, type, 800, 600, flags), status);
    driver_check_serves(driver);
}

/* Eight sectors at a time. */
static void check_zeroes(struct driver *driver, uint64_t sector, uint32_t sectors)
{
    for (const uint64_t end = sector + sectors; sector < end; sector += 8) {
        memset(driver_data(driver), 0x55, 4096);
        assert_int_equal(blk_request(driver, VIRTIO_BLK_T_IN, sector, 4096), VIRTIO_BLK_S_OK);
        for (uint32_t i = 0; i < 4096; i++) {
            assert_int_equal(((uint8_t *)driver_data(driver))[i], 0);
        }
    }
}

/* A discard that is not one after all says so; zeroes are then made in another way, at last by writing them. */
static void test_allocation_not_supported(struct driver *driver)
{
    const uint32_t flags[] = { VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP, 0, VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP };

    fail_range(driver, -EOPNOTSUPP, VIRTIO_BLK_T_DISCARD, 0, VIRTIO_BLK_S_UNSUPP);
    for (unsigned int i = 0; i < 3; i++) {
        blk_check_pattern(driver, 792, 8);
        for (uint64_t sector = 800; sector < 1400; sector += 8) {
            memset(driver_data(driver), 0x3c, 4096);
            assert_int_equal(blk_request(driver, VIRTIO_BLK_T_OUT, sector, 4096), VIRTIO_BLK_S_OK);
        }
        fail_range(driver, i < 2 ? -EOPNOTSUPP : 0, VIRTIO_BLK_T_WRITE_ZEROES, flags[i], VIRTIO_BLK_S_OK);
        check_zeroes(driver, 800, 600);
        blk_check_pattern(driver, 1400, 8);
    }
}

/* Neither holes nor zeroing in place are known any more: zeroes are written, in pieces, and short writes go on. */
static void test_zeroes_are_written(struct driver *driver)
{
    for (uint64_t bytes = 1; bytes < 2u << 20; bytes = bytes * 3 + 511) {
        struct virtio_blk_discard_write_zeroes range = { .sector = 8, .num_sectors = 3000 };
        unsigned int calls;

        driver_start(driver, DRIVER_FEATURES);
        faults_fail(-EOPNOTSUPP);
        memset(driver_data(driver), 0x3c, 4096);
        (void)blk_range_request(driver, VIRTIO_BLK_T_WRITE_ZEROES, 16, 1, 0);
        memset(driver_data(driver), 0x3c, 4096);
        assert_int_equal(blk_request(driver, VIRTIO_BLK_T_OUT, 3000, 4096), VIRTIO_BLK_S_OK);
        memcpy(driver_data(driver), &range, sizeof(range));
        calls = faults_calls();
        faults_cut(bytes);
        assert_int_equal(blk_request(driver, VIRTIO_BLK_T_WRITE_ZEROES, 0, sizeof(range)), VIRTIO_BLK_S_OK);
        assert_in_range(faults_calls() - calls, 2, 3); /* of at most 1 MiB each */
        check_zeroes(driver, 8, 3000);
        blk_check_pattern(driver, 0, 8);
        blk_check_pattern(driver, 3008, 8);
    }
    faults_fail(-EIO);
    assert_int_equal(blk_range_request(driver, VIRTIO_BLK_T_WRITE_ZEROES, 8, 3000, 0), VIRTIO_BLK_S_IOERR);
}

/* As a block device of larger blocks says: for this request alone zeroes are written. */
static void test_zeroes_of_no_whole_blocks(struct driver *driver)
{
    const unsigned int calls = faults_calls();

    fail_range(driver, -EINVAL, VIRTIO_BLK_T_WRITE_ZEROES, 0, VIRTIO_BLK_S_OK);
    assert_int_equal(faults_calls(), calls + 3);
    check_zeroes(driver, 800, 600);
    fail_range(driver, -EIO, VIRTIO_BLK_T_WRITE_ZEROES, 0, VIRTIO_BLK_S_IOERR);
}

/* EINTR is no error: the transfer goes on. EAGAIN is one: it could come for ever. */
static void test_interrupted(struct driver *driver)
{
    check_failure(driver, -EINTR, VIRTIO_BLK_T_IN, 4096, VIRTIO_BLK_S_OK);
    check_failure(driver, -EINTR, VIRTIO_BLK_T_OUT, 4096, VIRTIO_BLK_S_OK);
    check_failure(driver, -EAGAIN, VIRTIO_BLK_T_IN, 4096, VIRTIO_BLK_S_IOERR);
}

/* A transfer that stops in the middle is continued where it stopped, across buffers. */
static void test_short_read(struct driver *driver)
{
    for (uint64_t bytes = 1; bytes < 4096; bytes += 97) {
        const struct buffer buffers[] = {
            { blk_header(driver, 0, VIRTIO_BLK_T_IN, 20), 16, false },
            { driver_data_address(driver), 1000, true },
            { driver_data_address(driver) + 1000, 2072, true },
            { driver_data_address(driver) + 3072, 1024, true },
            { blk_status_address(driver, 0), 1, true },
        };

        memset(driver_data(driver), 0x55, 4096);
        faults_cut(bytes);
        assert_int_equal(driver_run(driver, ring_add(driver, buffers, 5)), 4097);
        assert_int_equal(*blk_status(driver, 0), VIRTIO_BLK_S_OK);
        for (uint64_t word = 0; word < 512; word++) {
            assert_int_equal(((uint64_t *)driver_data(driver))[word], machine_word(20 * 64 + word));
        }
    }
}

static void test_short_write(struct driver *driver)
{
    for (uint64_t bytes = 1; bytes < 4096; bytes += 97) {
        memset(driver_data(driver), (int)bytes & 0x7f, 4096);
        faults_cut(bytes);
        assert_int_equal(blk_request(driver, VIRTIO_BLK_T_OUT, 20, 4096), VIRTIO_BLK_S_OK);
        memset(driver_data(driver), 0xff, 4096);
        assert_int_equal(blk_request(driver, VIRTIO_BLK_T_IN, 20, 4096), VIRTIO_BLK_S_OK);
        for (unsigned int i = 0; i < 4096; i++) {
            assert_int_equal(((uint8_t *)driver_data(driver))[i], bytes & 0x7f);
        }
    }
}

static void test_file_shrinks(struct driver *driver)
{
    struct machine *const machine = driver->machine;

    assert_int_equal(truncate(machine->path[0], 100 * 512 + 7), 0);
    assert_int_equal(blk_request(driver, VIRTIO_BLK_T_IN, 200, 4096), VIRTIO_BLK_S_IOERR);
    assert_int_equal(blk_request(driver, VIRTIO_BLK_T_IN, 96, 4096), VIRTIO_BLK_S_IOERR); /* partly */
    driver_check_serves(driver);
    assert_int_equal(truncate(machine->path[0], 0), 0);
    assert_int_equal(blk_request(driver, VIRTIO_BLK_T_IN, 0, 512), VIRTIO_BLK_S_IOERR);
}

static void expect_refused(const struct machine *machine, const struct blk_options *disk, int result, const char *words)
{
    struct model_options options = {
        .domain = MACHINE_DOMAIN, .msix = true, .device_count = 1, .device = { { .kind = &blk_kind, .options = disk } },
    };
    char error[MODEL_ERROR_MAX] = "";
    struct model *model;

    assert_int_equal(model_create(&model, &options, error), result);
    if (!strstr(error, words)) {
        fail_msg("'%s' does not say '%s'", error, words);
    }
    assert_int_equal(local_guest_claims(machine->guest), 0);
    assert_false(local_guest_ready(machine->guest));
}

static void test_disk_that_cannot_be(struct machine *machine)
{
    const struct sockaddr_un address = { .sun_family = AF_UNIX, .sun_path = "socket" };
    int file;

    machine_stop_model(machine);
    expect_refused(machine, &(struct blk_options){ .path = "no-such-file" }, -ENOENT,
                   "no-such-file: cannot be opened");
    expect_refused(machine, &(struct blk_options){ .path = "." }, -EISDIR, "cannot be opened");
    expect_refused(machine, &(struct blk_options){ .path = ".", .read_only = true }, -EINVAL,
                   "neither a regular file");
    expect_refused(machine, &(struct blk_options){ .path = "/dev/null" }, -EINVAL, "neither a regular file");
    file = open("small", O_RDWR | O_CREAT | O_TRUNC, 0600);
    assert_int_equal(write(file, "x", 1), 1);
    assert_int_equal(close(file), 0);
    expect_refused(machine, &(struct blk_options){ .path = "small" }, -EINVAL, "smaller than one sector");
    assert_int_equal(unlink("small"), 0);
    assert_int_equal(symlink("turns", "turns"), 0);
    expect_refused(machine, &(struct blk_options){ .path = "turns" }, -ELOOP, "cannot be opened");
    assert_int_equal(unlink("turns"), 0);
    file = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(bind(file, (const struct sockaddr *)&address, sizeof(address)), 0);
    expect_refused(machine, &(struct blk_options){ .path = address.sun_path }, -ENXIO, "cannot be opened");
    assert_int_equal(close(file), 0);
    assert_int_equal(unlink(address.sun_path), 0);
    assert_int_equal(mkfifo("pipe", 0600), 0);
    expect_refused(machine, &(struct blk_options){ .path = "pipe" }, -EINVAL, "neither a regular file");
    assert_int_equal(unlink("pipe"), 0);
    machine_start_model(machine);
}

static void test_second_device_model(struct driver *driver)
{
    struct machine *const machine = driver->machine;
    struct model *second;
    char error[MODEL_ERROR_MAX];

    assert_int_equal(model_create(&second, &machine->options, error), -EBUSY);
    assert_non_null(strstr(error, "another device model serves this bridge"));
    assert_true(local_guest_ready(machine->guest));
    driver_check_serves(driver);
}

static void test_disk_of_another_device_model(struct machine *machine)
{
    const struct local_config config = {
        .domain = 8, .bridge = machine->bridge, .banks = 1, .bank = { { MACHINE_RAM, 0x100000 } },
    };
    struct model_options options = machine->options;
    struct local_guest *other;
    struct model *model;
    char error[MODEL_ERROR_MAX];

    assert_int_equal(local_guest_create(&other, &config), 0);
    options.domain = 8;
    assert_int_equal(model_create(&model, &options, error), -EBUSY);
    assert_non_null(strstr(error, "in use by another device model"));
    local_guest_destroy(other);
}

static void test_no_such_domain(void **state)
{
    struct model_options options = { .domain = 99 };
    struct model *model;
    char error[MODEL_ERROR_MAX];

    (void)state;
    assert_int_equal(model_create(&model, &options, error), -ENOENT);
    assert_string_equal(error, "domain 99: there is no such domain");
}

/* No descriptor left at any moment of the start: an error each time, nothing left behind, and then it works. */
static void test_no_descriptors(struct machine *machine)
{
    struct rlimit limit, few;
    unsigned int failures = 0;
    struct driver driver;

    machine_stop_model(machine);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    few = limit;
    for (few.rlim_cur = 3; few.rlim_cur < 40; few.rlim_cur++) {
        char error[MODEL_ERROR_MAX];

        assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
        if (model_create(&machine->model, &machine->options, error) == 0) {
            break;
        }
        failures++;
        assert_int_equal(local_guest_claims(machine->guest), 0);
        machine->model = NULL;
    }
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    assert_true(failures >= 4);
    assert_non_null(machine->model);
    driver_probe(&driver, machine, 3);
    driver_check_serves(&driver);
}

/* Descriptors run out while it serves: it needs none. */
static void test_no_descriptors_while_serving(struct driver *driver)
{
    struct rlimit limit, none;

    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    none = limit;
    none.rlim_cur = 0;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    for (unsigned int i = 0; i < 20; i++) {
        driver_check_serves(driver);
        driver_start(driver, DRIVER_FEATURES);
    }
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

static void test_guest_memory_cannot_be_mapped(struct driver *driver)
{
    struct machine *const machine = driver->machine;

    /* The rings. */
    driver_prepare_queue(driver);
    local_guest_refuse_memory(machine->guest, true);
    driver_enable_queue(driver);
    assert_true(driver_status(driver) & VIRTIO_CONFIG_S_NEEDS_RESET);
    local_guest_refuse_memory(machine->guest, false);
    driver_check_serves(driver);
    /* Buffers. */
    local_guest_refuse_memory(machine->guest, true);
    blk_begin_read(driver);
    machine_settle(machine);
    local_guest_refuse_memory(machine->guest, false);
    driver_check_needs_reset(driver);
}

static void test_event_channel_breaks(struct driver *driver)
{
    struct machine *const machine = driver->machine;

    faults_hold();
    blk_begin_read(driver);
    local_guest_break(machine->guest, -EIO);
    machine_settle(machine);
    assert_int_equal(model_state(machine->model), MODEL_STOPPING);
    faults_release();
    model_run(machine->model);
    assert_int_equal(model_failure(machine->model), -EIO);
    assert_false(model_guest_gone(machine->model));
    machine_destroy_model(machine, -EIO);
}

/* Fills a disk's queue with reads, all of the same buffers. */
static void fill_queue(struct machine *machine, struct driver *driver, unsigned int device)
{
    struct buffer buffers[3];

    driver_probe(driver, machine, device);
    driver->queue_size = BLK_QUEUE_SIZE;
    driver_start(driver, DRIVER_FEATURES);
    blk_buffers(driver, buffers, 0, VIRTIO_BLK_T_IN, 0, 4096);
    for (unsigned int i = 0; i < BLK_QUEUE_SIZE; i++) {
        ring_publish(driver, ring_add_indirect(driver, buffers, 3));
    }
    driver_kick(driver);
    machine_settle(machine);
}

/* All that can be under way at once is, and does not end: accesses are answered all the same, and a signal is heard. */
static void test_hung_storage_starves_nobody(struct machine *machine)
{
    struct driver driver[2];
    int ends[2];

    if (machine->bridge.flags & BRIDGE_FLAG_GRANTS) {
        return; /* no indirect descriptors, so that no queue is long enough */
    }
    assert_int_equal(pipe(ends), 0);
    faults_hang(ends[0]);
    for (unsigned int i = 0; i < 2; i++) {
        fill_queue(machine, &driver[i], i + 1);
    }
    for (unsigned int i = 0; i < 10; i++) {
        assert_int_equal(driver_status(&driver[1]), DRIVER_RUNNING);
    }
    model_signal(machine->model, MODEL_SIGNAL_STOP);
    machine_settle(machine);
    assert_int_equal(model_state(machine->model), MODEL_STOPPING);
    assert_false(driver_completed(&driver[0]));
    assert_int_equal(close(ends[1]), 0);
    machine_stop_model(machine);
    assert_int_equal(close(ends[0]), 0);
    for (unsigned int i = 0; i < 2; i++) {
        assert_int_equal(driver_given(&driver[i]), BLK_QUEUE_SIZE);
        assert_int_equal(*blk_status(&driver[i], 0), VIRTIO_BLK_S_IOERR);
    }
}

/* All that a guest can do wrong, many times: none of it is told on standard error, which may be a disk's log. */
static void test_guest_cannot_fill_the_log(struct driver *driver)
{
    struct machine *const machine = driver->machine;
    const int standard_error = dup(STDERR_FILENO);
    FILE *const log = tmpfile();
    struct stat about;

    assert_non_null(log);
    assert_true(dup2(fileno(log), STDERR_FILENO) >= 0);
    for (unsigned int i = 0; i < 100; i++) {
        struct ioreq slot = {
            .addr = machine->bridge.ecam.base, .count = 1, .size = 3, .state = STATE_IOREQ_READY,
            .dir = IOREQ_READ, .type = i % 2 ? IOREQ_TYPE_COPY : IOREQ_TYPE_PIO,
        };

        local_guest_inject(machine->guest, 0, &slot);
        (void)config_read(driver, 0xffe, 4);
        config_write(driver, PCI_BASE_ADDRESS_0, 8, MACHINE_RAM);
        config_write(driver, PCI_BASE_ADDRESS_0, 8, driver->bar);
        machine_write(machine, driver->bar + VIRTIO_PCI_TABLE + PCI_MSIX_ENTRY_DATA, 8, i); /* a message to nowhere */
        common_write(driver, VIRTIO_PCI_COMMON_Q_SIZE, 2, 0xffff);
        (void)blk_request(driver, 99, UINT64_MAX, 511); /* refused */
        faults_fail(-EIO);
        (void)blk_request(driver, VIRTIO_BLK_T_IN, 0, 512);
        ring_publish(driver, 0xffff);
        driver_kick(driver);
        machine_settle(machine);
        driver_check_serves(driver);
    }
    assert_true(dup2(standard_error, STDERR_FILENO) >= 0);
    assert_int_equal(close(standard_error), 0);
    assert_int_equal(fstat(fileno(log), &about), 0);
    assert_int_equal(about.st_size, 0);
    assert_int_equal(fclose(log), 0);
}

static void test_guest_destroyed_in_mid_io(struct driver *driver)
{
    struct machine *const machine = driver->machine;

    faults_hold();
    for (unsigned int i = 0; i < 5; i++) {
        blk_begin_read(driver);
    }
    local_guest_die(machine->guest);
    machine_settle(machine);
    faults_release();
    model_run(machine->model);
    assert_true(model_guest_gone(machine->model));
    machine_destroy_model(machine, 0);
}

/* Taken apart without being stopped, with requests in flight: everything ends before the memory goes. */
static void test_destroyed_in_mid_io(void **state)
{
    struct machine machine;
    struct driver driver;

    (void)state;
    for (unsigned int round = 0; round < 10; round++) {
        driver_begin(&driver, &machine, &(struct machine_options){ 0 });
        for (unsigned int i = 0; i < 5; i++) {
            blk_begin_read(&driver);
        }
        machine_destroy_model(&machine, 0);
        machine_finish(&machine);
    }
}

/* The end, and a new device model for the same guest, whose driver starts over. */
static void test_restart(struct driver *driver)
{
    struct machine *const machine = driver->machine;

    for (unsigned int round = 0; round < 5; round++) {
        blk_begin_read(driver);
        machine_destroy_model(machine, 0);
        assert_int_equal(config_read(driver, PCI_VENDOR_ID, 4), UINT32_MAX);
        machine_start_model(machine);
        driver_probe(driver, machine, 1);
        driver_start(driver, DRIVER_FEATURES);
        driver_check_serves(driver);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        driver_test(test_input_output_error),
        driver_test(test_no_space),
        driver_test(test_failed_flush_is_remembered),
        driver_test(test_failed_durable_write_is_remembered),
        driver_test(test_failed_sync_at_the_end),
        driver_test(test_refused_write_is_not_remembered),
        driver_test(test_flushes_that_wait_fail_together),
        driver_test(test_one_sync_for_all_that_wait),
        driver_test(test_allocation_not_supported),
        driver_test(test_zeroes_are_written, .sectors = 4096),
        driver_test(test_zeroes_of_no_whole_blocks),
        driver_test(test_interrupted),
        driver_test(test_short_read),
        driver_test(test_short_write),
        driver_test(test_file_shrinks),
        machine_test(test_disk_that_cannot_be),
        driver_test(test_second_device_model),
        machine_test(test_disk_of_another_device_model),
        cmocka_unit_test(test_no_such_domain),
        machine_test(test_no_descriptors, .disks = 3),
        driver_test(test_no_descriptors_while_serving),
        driver_test(test_guest_memory_cannot_be_mapped),
        driver_test(test_event_channel_breaks),
        machine_test(test_hung_storage_starves_nobody, .disks = 2),
        driver_test(test_guest_cannot_fill_the_log),
        driver_test(test_guest_destroyed_in_mid_io),
        cmocka_unit_test(test_destroyed_in_mid_io),
        driver_test(test_restart),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
