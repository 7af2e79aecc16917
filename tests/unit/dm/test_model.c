/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The device model from start to end: what it claims and declares, in which order it takes itself apart, what becomes
 * of requests in flight.
 */
#include "driver.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#include "faults.h"

static void test_ready(struct driver *driver)
{
    struct machine *const machine = driver->machine;
    const uint64_t status = bridge_status_base(&machine->bridge);

    assert_int_equal(machine_read(machine, status + BRIDGE_STATUS_MAGIC, 4), BRIDGE_STATUS_MAGIC_VALUE);
    assert_int_equal(machine_read(machine, status + BRIDGE_STATUS_STATE, 4), BRIDGE_STATUS_STATE_READY);
    assert_int_equal(local_guest_claims(machine->guest), 2);
    machine_stop_model(machine);
    assert_int_equal(machine_read(machine, status + BRIDGE_STATUS_STATE, 4), 0);
    assert_int_equal(local_guest_claims(machine->guest), 0);
    assert_int_equal(config_read(driver, PCI_VENDOR_ID, 4), UINT32_MAX);
}

/*
 * 2.4.2, 4.1.4.3.2: while a request is in flight the status does not read 0, and afterwards its memory is not
 * written.
 */
static void test_reset_in_mid_io(struct driver *driver)
{
    faults_hold();
    blk_begin_read(driver);
    assert_int_equal(faults_held(), 1);
    driver_set_status(driver, 0);
    for (int i = 0; i < 10; i++) {
        assert_int_not_equal(driver_status(driver), 0);
    }
    common_write(driver, VIRTIO_PCI_COMMON_GF, 4, 1); /* ignored meanwhile */
    driver_set_status(driver, VIRTIO_CONFIG_S_ACKNOWLEDGE);
    faults_release();
    driver_reset(driver);
    memset(driver_data(driver), 0x55, 4096);
    machine_settle(driver->machine);
    for (int i = 0; i < 4096; i++) {
        assert_int_equal(((uint8_t *)driver_data(driver))[i], 0x55);
    }
    assert_int_equal(driver_given(driver), 0);
    driver_check_serves(driver);
}

static void test_stop_lets_requests_end(struct driver *driver)
{
    struct machine *const machine = driver->machine;

    faults_hold();
    blk_begin_read(driver);
    model_stop(machine->model);
    assert_false(local_guest_ready(machine->guest));
    machine_settle(machine);
    assert_int_equal(model_state(machine->model), MODEL_STOPPING);
    /* Accesses are still answered, and new requests are not taken. */
    assert_int_not_equal(driver_status(driver), 0);
    blk_begin_read(driver);
    assert_int_equal(faults_held(), 1);
    faults_release();
    assert_int_equal(driver_wait(driver).len, 4097);
    machine_settle(machine);
    assert_int_equal(model_state(machine->model), MODEL_ENDED);
    assert_false(driver_completed(driver));
    machine_destroy_model(machine, 0);
}

static struct model *signalled;

static void take_signal(int signal)
{
    model_signal(signalled, signal == SIGTERM ? MODEL_SIGNAL_STOP : MODEL_SIGNAL_GUEST);
}

static void give_signals(struct model *model)
{
    const struct sigaction action = { .sa_handler = take_signal, .sa_flags = SA_RESTART };

    signalled = model;
    assert_int_equal(sigaction(SIGTERM, &action, NULL), 0);
    assert_int_equal(sigaction(SIGALRM, &action, NULL), 0);
}

static void test_signal_in_mid_io(struct driver *driver)
{
    struct machine *const machine = driver->machine;

    give_signals(machine->model);
    faults_hold();
    blk_begin_read(driver);
    assert_int_equal(raise(SIGTERM), 0);
    machine_settle(machine);
    assert_int_equal(model_state(machine->model), MODEL_STOPPING);
    faults_release();
    model_run(machine->model);
    assert_int_equal(driver_wait(driver).len, 4097);
    assert_int_equal(model_failure(machine->model), 0);
    machine_destroy_model(machine, 0);
}

static void test_second_signal_does_not_wait(struct driver *driver)
{
    struct machine *const machine = driver->machine;

    give_signals(machine->model);
    faults_hold();
    blk_begin_read(driver);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(raise(SIGTERM), 0);
        machine_settle(machine);
    }
    assert_int_equal(model_state(machine->model), MODEL_ENDED);
    faults_release();
    machine_destroy_model(machine, 0);
}

/* Before the model sleeps, or while it does: it wakes up, from every kind of sleep. */
static void test_signal_wakes(struct driver *driver)
{
    struct machine *const machine = driver->machine;
    const uint64_t deadline = machine_now() + 5000;

    machine_settle(machine);
    give_signals(machine->model);
    for (unsigned int i = 0; i < 20; i++) {
        const struct itimerval soon = { .it_value = { .tv_usec = 1 + 500 * i } };

        assert_int_equal(setitimer(ITIMER_REAL, &soon, NULL), 0);
        model_turn(machine->model, true);
    }
    for (unsigned int i = 0; i < 3; i++) {
        assert_int_equal(raise(SIGALRM), 0);
        model_turn(machine->model, true);
    }
    assert_int_equal(model_state(machine->model), MODEL_SERVING);
    assert_int_equal(raise(SIGTERM), 0);
    model_run(machine->model);
    machine_check_deadline(deadline, "waking up");
    machine_destroy_model(machine, 0);
}

static struct machine *ending;
static unsigned int looks;

static void check_nobody_waits(void *opaque)
{
    (void)opaque;
    assert_int_equal(local_guest_claims(ending->guest), 0);
    assert_int_equal(machine_config_read(ending, 1, PCI_VENDOR_ID, 4), UINT32_MAX);
    looks++;
}

/* The storage takes its time with the last sync: no processor of the guest waits for it, and its error is reported. */
static void test_nobody_waits_for_the_last_sync(struct driver *driver)
{
    struct machine *const machine = driver->machine;

    ending = machine;
    looks = 0;
    model_stop(machine->model);
    machine_settle(machine);
    assert_int_equal(model_state(machine->model), MODEL_ENDED);
    faults_meanwhile(check_nobody_waits, NULL);
    faults_fail_sync(-EIO);
    machine_destroy_model(machine, -EIO);
    assert_int_equal(looks, 1);
}

static int slow_disk;

static void disk_goes_on(int signal)
{
    static const char block[4096];

    (void)signal;
    looks += looks == 0 && local_guest_claims(ending->guest) == 0 &&
             write(slow_disk, block, sizeof(block)) == sizeof(block);
}

/* The same for requests under way that a second signal leaves to end by themselves. */
static void test_nobody_waits_for_what_is_under_way(struct driver *driver)
{
    const struct itimerval soon = { .it_value = { .tv_usec = 100000 }, .it_interval = { .tv_usec = 100000 } };
    const struct itimerval never = { 0 };
    const struct sigaction action = { .sa_handler = disk_goes_on, .sa_flags = SA_RESTART };
    struct machine *const machine = driver->machine;
    int disk[2];

    ending = machine;
    looks = 0;
    assert_int_equal(pipe(disk), 0);
    slow_disk = disk[1];
    faults_hang(disk[0]);
    blk_begin_read(driver);
    machine_settle(machine);
    for (int i = 0; i < 2; i++) {
        model_signal(machine->model, MODEL_SIGNAL_STOP);
        machine_settle(machine);
    }
    assert_int_equal(model_state(machine->model), MODEL_ENDED);
    assert_int_equal(sigaction(SIGALRM, &action, NULL), 0);
    assert_int_equal(setitimer(ITIMER_REAL, &soon, NULL), 0);
    machine_destroy_model(machine, 0);
    assert_int_equal(setitimer(ITIMER_REAL, &never, NULL), 0);
    assert_int_equal(looks, 1);
    assert_true(close(disk[0]) == 0 && close(disk[1]) == 0);
}

static void test_guest_gone(struct driver *driver)
{
    struct machine *const machine = driver->machine;

    faults_hold();
    blk_begin_read(driver);
    local_guest_die(machine->guest);
    machine_settle(machine);
    assert_int_equal(model_state(machine->model), MODEL_STOPPING);
    faults_release();
    model_run(machine->model);
    assert_true(model_guest_gone(machine->model));
    assert_int_equal(model_failure(machine->model), 0);
    machine_destroy_model(machine, 0);
}

static void test_end_makes_durable(struct driver *driver)
{
    const unsigned int before = faults_syncs();

    memset(driver_data(driver), 1, 512);
    assert_int_equal(blk_request(driver, VIRTIO_BLK_T_OUT, 0, 512), VIRTIO_BLK_S_OK);
    assert_int_equal(faults_syncs(), before);
    assert_int_equal(blk_request(driver, VIRTIO_BLK_T_FLUSH, 0, 0), VIRTIO_BLK_S_OK);
    assert_int_equal(faults_syncs(), before + 1);
    driver_start(driver, 1ull << VIRTIO_F_VERSION_1);
    assert_int_equal(blk_request(driver, VIRTIO_BLK_T_OUT, 0, 512), VIRTIO_BLK_S_OK);
    assert_int_equal(faults_syncs(), before + 2);
    assert_int_equal(blk_range_request(driver, VIRTIO_BLK_T_DISCARD, 64, 8, 0), VIRTIO_BLK_S_OK);
    assert_int_equal(faults_syncs(), before + 3);
    for (uint32_t unmap = 0; unmap < 2; unmap++) {
        assert_int_equal(blk_range_request(driver, VIRTIO_BLK_T_WRITE_ZEROES, 64, 8, unmap), VIRTIO_BLK_S_OK);
        assert_int_equal(faults_syncs(), before + 4 + unmap);
    }
}

static void test_start_again(struct driver *driver)
{
    struct machine *const machine = driver->machine;

    for (int i = 0; i < 5; i++) {
        machine_stop_model(machine);
        machine_start_model(machine);
        driver_probe(driver, machine, 1);
        driver_check_serves(driver);
    }
}

/* The functions that are ours work, and of the rest of the bus we hear nothing. */
static void test_shared_bus(struct machine *machine)
{
    struct driver driver[2];
    uint64_t background;

    machine_stop_model(machine);
    machine->options.shared = true;
    machine->options.device[0].number = 13;
    local_guest_occupy(machine->guest, 2 << 3);
    machine_start_model(machine);
    assert_true(local_guest_ready(machine->guest));
    for (unsigned int i = 0; i < 2; i++) {
        driver_probe(&driver[i], machine, i == 0 ? 13 : 1);
        driver_check_serves(&driver[i]);
    }
    assert_int_equal(local_guest_claims(machine->guest), 2); /* the BARs */
    background = local_guest_counters(machine->guest)->background;
    assert_int_equal(machine_config_read(machine, 2, PCI_VENDOR_ID, 4), UINT32_MAX);
    assert_int_equal(machine_config_read(machine, 3, PCI_VENDOR_ID, 4), UINT32_MAX);
    assert_int_equal(local_guest_counters(machine->guest)->background, background + 2);
    machine_stop_model(machine);
    assert_int_equal(machine_config_read(machine, 1, PCI_VENDOR_ID, 4), UINT32_MAX);
}

static void test_function_is_taken(struct machine *machine)
{
    char error[MODEL_ERROR_MAX];

    machine_stop_model(machine);
    machine->options.shared = true;
    machine->options.device[1].number = 26;
    local_guest_occupy(machine->guest, 26 << 3);
    assert_int_equal(model_create(&machine->model, &machine->options, error), -EEXIST);
    assert_string_equal(error, "domain 7, bridge 0: function 00:1a.0: another device model has it");
    assert_false(local_guest_ready(machine->guest));
    assert_int_equal(machine_config_read(machine, 1, PCI_VENDOR_ID, 4), UINT32_MAX); /* given back */
    machine->options.device[1].number = 0;
    machine_start_model(machine);
}

static void test_another_says_ready(struct machine *machine)
{
    machine_stop_model(machine);
    machine->options.shared = true;
    machine->options.no_ready = true;
    local_guest_counters(machine->guest)->readies = 0;
    machine_start_model(machine);
    assert_false(local_guest_ready(machine->guest));
    assert_int_equal(machine_config_read(machine, 1, PCI_VENDOR_ID, 2), 0x1af4);
    model_stop(machine->model);
    assert_int_equal(local_guest_counters(machine->guest)->readies, 0);
}

static void test_device_numbers(struct machine *machine)
{
    const struct {
        unsigned int wanted[4], got[4];
    } cases[] = {
        { { 0, 0, 0, 0 }, { 1, 2, 3, 4 } },
        { { 2, 0, 0, 0 }, { 2, 1, 3, 4 } },
        { { 0, 0, 1, 13 }, { 2, 3, 1, 13 } },
        { { 4, 3, 2, 1 }, { 4, 3, 2, 1 } },
    };
    char error[MODEL_ERROR_MAX];

    for (unsigned int i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        machine_stop_model(machine);
        for (unsigned int disk = 0; disk < 4; disk++) {
            machine->options.device[disk].number = cases[i].wanted[disk];
            machine->disk[disk].read_only = disk % 2;
        }
        machine_start_model(machine);
        for (unsigned int disk = 0; disk < 4; disk++) {
            struct driver driver;

            driver_probe(&driver, machine, cases[i].got[disk]);
            driver_start(&driver, 1ull << VIRTIO_F_VERSION_1 | 1ull << VIRTIO_BLK_F_RO);
            assert_int_equal(driver.features >> VIRTIO_BLK_F_RO & 1, disk % 2);
        }
    }
    machine_stop_model(machine);
    machine->options.device[0].number = machine->options.device[3].number = 9;
    assert_int_equal(model_create(&machine->model, &machine->options, error), -EEXIST);
    assert_string_equal(error, "two devices are to be PCI device 9");
}

/* Header, `segments` of one sector each from sector `first` on, status; the data go to where these have their place. */
static uint16_t add_scattered(struct driver *driver, unsigned int slot, unsigned int first, unsigned int segments)
{
    struct buffer buffers[64];

    buffers[0] = (struct buffer){ blk_header(driver, slot, VIRTIO_BLK_T_IN, first), 16, false };
    for (unsigned int i = 0; i < segments; i++) {
        buffers[1 + i] = (struct buffer){ driver_data_address(driver) + (first + i) * 512, 512, true };
    }
    buffers[1 + segments] = (struct buffer){ blk_status_address(driver, slot), 1, true };
    return ring_add(driver, buffers, segments + 2);
}

static void check_sectors(struct driver *driver, unsigned int first, unsigned int count)
{
    const uint64_t *words = driver_data(driver);

    for (uint64_t word = first * 64; word < (first + count) * 64; word++) {
        assert_int_equal(words[word], machine_word(word));
    }
}

static void start_with_full_ring(struct driver *driver)
{
    driver->queue_size = BLK_QUEUE_SIZE;
    driver_start(driver, DRIVER_FEATURES);
}

/* Chains that are as long as has room with each, and longer ones, of which several are under way. */
static void test_chains_of_all_lengths(struct driver *driver)
{
    start_with_full_ring(driver);
    for (unsigned int segments = 1; segments <= 2 * VIRTQUEUE_VECTORS; segments++) {
        const unsigned int other = 2 * VIRTQUEUE_VECTORS + 1 - segments;

        memset(driver_data(driver), 0x55, 1000 * 512);
        faults_hold();
        ring_publish(driver, add_scattered(driver, 0, 10, segments));
        ring_publish(driver, add_scattered(driver, 1, 100, other));
        ring_publish(driver, add_scattered(driver, 2, 200, 60));
        driver_kick(driver);
        machine_settle(driver->machine);
        faults_release();
        for (unsigned int i = 0; i < 3; i++) {
            (void)driver_wait(driver);
            assert_int_equal(*blk_status(driver, i), VIRTIO_BLK_S_OK);
        }
        check_sectors(driver, 10, segments);
        check_sectors(driver, 100, other);
        check_sectors(driver, 200, 60);
    }
}

static uint64_t resident_kib(void)
{
    unsigned long long pages = 0;
    FILE *file = fopen("/proc/self/statm", "re");

    assert_non_null(file);
    assert_int_equal(fscanf(file, "%*s %llu", &pages), 1);
    (void)fclose(file);
    return pages * (uint64_t)sysconf(_SC_PAGESIZE) / 1024;
}

/* Linux goes through all heads; long requests come one at a time. With grants each descriptor has a place. */
static void test_memory_is_for_what_is_in_flight(struct driver *driver)
{
    const uint64_t places = driver->machine->bridge.flags & BRIDGE_FLAG_GRANTS ? BLK_QUEUE_SIZE * 4u : 0;
    uint64_t before;

    start_with_full_ring(driver);
    assert_int_equal(blk_request(driver, VIRTIO_BLK_T_IN, 0, 512), VIRTIO_BLK_S_OK);
    (void)driver_run(driver, add_scattered(driver, 0, 0, 60));
    before = resident_kib();
    for (unsigned int i = 0; i < BLK_QUEUE_SIZE; i++) {
        assert_int_equal(blk_request(driver, VIRTIO_BLK_T_IN, 0, 512), VIRTIO_BLK_S_OK);
    }
    for (unsigned int i = 0; i < BLK_QUEUE_SIZE; i++) {
        (void)driver_run(driver, add_scattered(driver, 0, 0, 59));
    }
    assert_in_range(resident_kib() - before, 0, 320 + places);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        driver_test(test_ready),
        driver_test(test_reset_in_mid_io),
        driver_test(test_stop_lets_requests_end),
        driver_test(test_signal_in_mid_io),
        driver_test(test_second_signal_does_not_wait),
        driver_test(test_signal_wakes),
        driver_test(test_nobody_waits_for_the_last_sync),
        driver_test(test_nobody_waits_for_what_is_under_way),
        driver_test(test_guest_gone),
        driver_test(test_end_makes_durable),
        driver_test(test_start_again),
        machine_test(test_shared_bus, .disks = 2),
        machine_test(test_function_is_taken, .disks = 3),
        machine_test(test_another_says_ready),
        machine_test(test_device_numbers, .disks = 4),
        probe_test(test_chains_of_all_lengths),
        probe_test(test_memory_is_for_what_is_in_flight),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
