/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Doorbells: a driver's notification stops no vCPU, wherever the BAR goes and whatever becomes of the queue; where
 * there are none everything works as before.
 */
#include "driver.h"

#include <string.h>
#include <unistd.h>

#include "faults.h"

static void set_command(struct driver *driver, uint16_t command)
{
    config_write(driver, PCI_COMMAND, 2, command);
}

static void test_notification_does_not_wait(struct driver *driver)
{
    struct machine *const machine = driver->machine;
    struct local_counters *const counters = local_guest_counters(machine->guest);

    assert_int_equal(local_guest_doorbells(machine->guest), 1);
    for (unsigned int i = 0; i < 100; i++) {
        blk_check_pattern(driver, i * 8, 8);
    }
    assert_int_equal(counters->blocking, 0);
    assert_int_equal(counters->rung, 100);
    assert_in_range(counters->reported, 100, 101); /* one was pending from the binding */
    /* What is not a notification as the binding foresees it is an access. */
    machine_write(machine, driver->notify, 4, 0);
    machine_write(machine, driver->notify, 1, 0);
    machine_write(machine, driver->notify + 2, 2, 0);
    assert_int_equal(machine_read(machine, driver->notify, 2), 0xffff);
    assert_int_equal(counters->blocking, 4);
    assert_int_equal(counters->rung, 100);
    driver_check_serves(driver);
}

static void publish_read(struct driver *driver)
{
    struct buffer buffers[3];

    blk_buffers(driver, buffers, 0, VIRTIO_BLK_T_IN, 0, 4096);
    ring_publish(driver, ring_add_indirect(driver, buffers, 3));
    driver_notify(driver);
}

/*
 * 32 reads are always under way, and the disk ends one after the other: the driver hardly ever has to notify. When none
 * ends for a while it is asked to do so again, and what it has published meanwhile is not overlooked.
 */
static void test_disk_bound_rings_seldom(struct driver *driver)
{
    struct machine *const machine = driver->machine;
    struct local_counters *const counters = local_guest_counters(machine->guest);
    static const char block[4096];
    unsigned int calls;
    int disk[2];

    assert_int_equal(pipe(disk), 0);
    driver->queue_size = BLK_QUEUE_SIZE;
    driver_start(driver, DRIVER_FEATURES);
    faults_hang(disk[0]);
    for (unsigned int i = 0; i < 32; i++) {
        publish_read(driver);
    }
    machine_settle(machine);
    counters->rung = 0;
    for (unsigned int i = 0; i < 160; i++) {
        assert_int_equal(write(disk[1], block, sizeof(block)), sizeof(block));
        assert_int_equal(driver_wait(driver).len, sizeof(block) + 1);
        publish_read(driver);
    }
    assert_true(counters->rung < 160 / 8);

    machine_settle(machine);
    counters->rung = 0;
    calls = faults_calls();
    publish_read(driver);
    assert_int_equal(counters->rung, 0);
    model_turn(machine->model, true);
    assert_int_equal(faults_calls(), calls + 1); /* the one published before has been seen */
    model_turn(machine->model, true);
    publish_read(driver);
    assert_int_equal(counters->rung, 1);
    machine_settle(machine);
    assert_int_equal(faults_calls(), calls + 2);
    assert_int_equal(close(disk[1]), 0);
    for (unsigned int i = 0; i < 34; i++) {
        (void)driver_wait(driver);
    }
    assert_int_equal(close(disk[0]), 0);
}

static void test_without_doorbells(struct machine *machine)
{
    struct driver driver;

    local_guest_refuse_doorbells(machine->guest, true);
    driver_probe(&driver, machine, 1);
    driver_start(&driver, DRIVER_FEATURES);
    *local_guest_counters(machine->guest) = (struct local_counters){ 0 };
    for (unsigned int i = 0; i < 100; i++) {
        blk_check_pattern(&driver, i * 8, 8);
    }
    assert_int_equal(local_guest_counters(machine->guest)->blocking, 100);
}

static void test_bound_while_the_queue_is_enabled(struct driver *driver)
{
    struct machine *const machine = driver->machine;

    driver_prepare_queue(driver);
    assert_int_equal(local_guest_doorbells(machine->guest), 0);
    driver_enable_queue(driver);
    assert_int_equal(local_guest_doorbells(machine->guest), 1);
    driver_enable_queue(driver);
    assert_int_equal(local_guest_doorbells(machine->guest), 1);
    driver_reset(driver);
    assert_int_equal(local_guest_doorbells(machine->guest), 0);
    /* A queue that is nowhere, and one that does not exist. */
    driver_negotiate(driver, DRIVER_FEATURES);
    driver_setup_queue(driver);
    common_write(driver, VIRTIO_PCI_COMMON_Q_DESCHI, 4, 0x1000);
    driver_enable_queue(driver);
    common_write(driver, VIRTIO_PCI_COMMON_Q_SELECT, 2, 1);
    driver_enable_queue(driver);
    assert_int_equal(local_guest_doorbells(machine->guest), 0);
    driver_start(driver, DRIVER_FEATURES);
    driver_probe(driver, machine, 2);
    driver_start(driver, DRIVER_FEATURES);
    assert_int_equal(local_guest_doorbells(machine->guest), 2);
    machine_stop_model(machine);
    assert_int_equal(local_guest_doorbells(machine->guest), 0);
}

static void test_goes_with_its_bar(struct driver *driver)
{
    struct machine *const machine = driver->machine;
    const uint64_t away = driver->bar + 0x10000;
    uint64_t background;

    set_command(driver, PCI_COMMAND_MASTER);
    assert_int_equal(local_guest_doorbells(machine->guest), 0);
    config_write(driver, PCI_BASE_ADDRESS_0, 8, away);
    assert_int_equal(local_guest_doorbells(machine->guest), 0);
    set_command(driver, PCI_COMMAND_MASTER | PCI_COMMAND_MEMORY);
    assert_int_equal(local_guest_doorbells(machine->guest), 1);
    background = local_guest_counters(machine->guest)->background;
    driver_kick(driver);
    assert_int_equal(local_guest_counters(machine->guest)->background, background + 1);
    assert_int_equal(local_guest_counters(machine->guest)->rung, 0);
    driver->notify += away - driver->bar;
    driver->common += away - driver->bar;
    blk_check_pattern(driver, 0, 8);
    assert_int_equal(local_guest_counters(machine->guest)->rung, 1);
    /* Moved while it is decoded, and asleep. */
    config_write(driver, PCI_BASE_ADDRESS_0, 8, driver->bar);
    driver->notify -= away - driver->bar;
    driver->common -= away - driver->bar;
    blk_check_pattern(driver, 0, 8);
    assert_int_equal(local_guest_counters(machine->guest)->rung, 2);
    config_write(driver, driver->power_management + PCI_PM_CTRL, 2, 3);
    assert_int_equal(local_guest_doorbells(machine->guest), 0);
    config_write(driver, driver->power_management + PCI_PM_CTRL, 2, 0);
    blk_check_pattern(driver, 0, 8);
    assert_int_equal(local_guest_counters(machine->guest)->rung, 3);
}

static void test_function_level_reset(struct driver *driver)
{
    struct machine *const machine = driver->machine;

    driver_function_reset(driver);
    assert_int_equal(local_guest_doorbells(machine->guest), 0);
    driver_probe(driver, machine, 1);
    assert_int_equal(local_guest_doorbells(machine->guest), 0);
    driver_start(driver, DRIVER_FEATURES);
    assert_int_equal(local_guest_doorbells(machine->guest), 1);
    driver_check_serves(driver);
}

/* Rung, and gone before anybody has looked: the request is found when the BAR is there again. */
static void test_no_notification_is_lost(struct driver *driver)
{
    ring_publish(driver, blk_add(driver, 0, VIRTIO_BLK_T_IN, 0, 4096));
    machine_write(driver->machine, driver->notify, 2, 0);
    set_command(driver, PCI_COMMAND_MASTER);
    set_command(driver, PCI_COMMAND_MASTER | PCI_COMMAND_MEMORY);
    assert_int_equal(driver_wait(driver).len, 4097);
    assert_int_equal(*blk_status(driver, 0), VIRTIO_BLK_S_OK);
}

static void test_report(struct driver *driver)
{
    struct machine *const machine = driver->machine;
    char text[4096];
    FILE *file = fmemopen(text, sizeof(text), "w");

    blk_check_pattern(driver, 0, 8);
    local_guest_counters(machine->guest)->reported = 4711;
    model_report(machine->model, file);
    assert_int_equal(fclose(file), 0);
    assert_non_null(strstr(text, "\ndoorbells rung: 4711\n"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        driver_test(test_notification_does_not_wait),
        driver_test(test_disk_bound_rings_seldom),
        machine_test(test_without_doorbells),
        probe_test(test_bound_while_the_queue_is_enabled, .disks = 2),
        driver_test(test_goes_with_its_bar),
        driver_test(test_function_level_reset),
        driver_test(test_no_notification_is_lost),
        driver_test(test_report),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
