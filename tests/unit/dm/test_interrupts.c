/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which interrupt is raised, when, and when not: MSI-X, INTx on lines of one's own and on shared ones, suppression by
 * the driver, masks and pending bits, bus mastering, power states.
 */
#include "driver.h"

#include "virtio/pci.h"

static uint64_t raised(struct machine *machine, uint32_t interrupt)
{
    return local_guest_interrupt(machine->guest, interrupt)->raised;
}

static uint32_t line(struct machine *machine, unsigned int device)
{
    return bridge_intx_interrupt(&machine->bridge, device, 1);
}

/* The number of interrupts of all kinds. */
static uint64_t all_raised(struct machine *machine)
{
    uint64_t sum = 0;

    for (uint32_t i = 0; i < machine->bridge.interrupt_count; i++) {
        sum += raised(machine, machine->bridge.interrupt_first + i);
    }
    return sum;
}

static void set_command(struct driver *driver, uint16_t set, uint16_t clear)
{
    const uint16_t command = (uint16_t)config_read(driver, PCI_COMMAND, 2);

    config_write(driver, PCI_COMMAND, 2, (command | set) & ~clear);
}

static uint64_t table_address(struct driver *driver, unsigned int vector, unsigned int field)
{
    return driver->bar + VIRTIO_PCI_TABLE + vector * PCI_MSIX_ENTRY_SIZE + field;
}

static uint64_t pending_bits(struct driver *driver)
{
    return machine_read(driver->machine, driver->bar + VIRTIO_PCI_PBA, 8);
}

static void set_msix_flags(struct driver *driver, uint16_t flags)
{
    config_write(driver, driver->msix + PCI_MSIX_FLAGS, 2, flags);
}

static void test_msix(struct driver *driver)
{
    struct machine *const machine = driver->machine;

    for (unsigned int i = 1; i <= 5; i++) {
        blk_check_pattern(driver, i, 1);
        assert_int_equal(raised(machine, driver_msix_interrupt(driver, 1)), i);
        assert_true(local_guest_take(machine->guest, driver_msix_interrupt(driver, 1)));
    }
    assert_int_equal(all_raised(machine), 5);
    assert_int_equal(machine_read(machine, driver->isr, 1), 0);
}

static void test_msix_vector_moves(struct driver *driver)
{
    struct machine *const machine = driver->machine;

    common_write(driver, VIRTIO_PCI_COMMON_Q_MSIX, 2, 0);
    assert_int_equal(common_read(driver, VIRTIO_PCI_COMMON_Q_MSIX, 2), 0);
    blk_check_pattern(driver, 0, 1);
    assert_int_equal(raised(machine, driver_msix_interrupt(driver, 0)), 1);
    common_write(driver, VIRTIO_PCI_COMMON_Q_MSIX, 2, VIRTIO_MSI_NO_VECTOR);
    blk_check_pattern(driver, 0, 1);
    assert_int_equal(all_raised(machine), 1);
}

static void test_msix_mask_pends_and_replays(struct driver *driver)
{
    struct machine *const machine = driver->machine;
    const uint32_t interrupt = driver_msix_interrupt(driver, 1);

    machine_write(machine, table_address(driver, 1, PCI_MSIX_ENTRY_VECTOR_CTRL), 4, 1);
    blk_check_pattern(driver, 0, 1);
    blk_check_pattern(driver, 0, 1);
    assert_int_equal(raised(machine, interrupt), 0);
    assert_int_equal(pending_bits(driver), 2);
    machine_write(machine, table_address(driver, 1, PCI_MSIX_ENTRY_VECTOR_CTRL), 4, 0);
    assert_int_equal(raised(machine, interrupt), 1);
    assert_int_equal(pending_bits(driver), 0);
}

/* The message that is sent is the one that the table has when the vector is unmasked. */
static void test_msix_message_changes_while_masked(struct driver *driver)
{
    struct machine *const machine = driver->machine;
    const uint32_t other = driver_msix_interrupt(driver, 1) + 5;

    machine_write(machine, table_address(driver, 1, PCI_MSIX_ENTRY_VECTOR_CTRL), 4, 1);
    blk_check_pattern(driver, 0, 1);
    machine_write(machine, table_address(driver, 1, PCI_MSIX_ENTRY_DATA), 8, other);
    assert_int_equal(raised(machine, other), 1);
    assert_int_equal(all_raised(machine), 1);
}

static void test_msix_function_mask(struct driver *driver)
{
    struct machine *const machine = driver->machine;

    set_msix_flags(driver, PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL);
    blk_check_pattern(driver, 0, 1);
    assert_int_equal(all_raised(machine), 0);
    assert_int_equal(pending_bits(driver), 2);
    set_msix_flags(driver, PCI_MSIX_FLAGS_ENABLE);
    assert_int_equal(raised(machine, driver_msix_interrupt(driver, 1)), 1);
    assert_int_equal(all_raised(machine), 1);
}

static void test_msix_disabled_forgets_pending(struct driver *driver)
{
    set_msix_flags(driver, PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL);
    blk_check_pattern(driver, 0, 1);
    set_msix_flags(driver, 0);
    assert_int_equal(pending_bits(driver), 0);
    set_msix_flags(driver, PCI_MSIX_FLAGS_ENABLE);
    assert_int_equal(all_raised(driver->machine), 0);
}

static void test_intx(struct driver *driver)
{
    struct machine *const machine = driver->machine;

    assert_int_equal(driver->msix, 0);
    for (unsigned int i = 1; i <= 5; i++) {
        blk_check_pattern(driver, 0, 1);
        assert_int_equal(raised(machine, line(machine, 1)), i);
        assert_true(local_guest_interrupt(machine->guest, line(machine, 1))->level);
        assert_true(config_read(driver, PCI_STATUS, 2) & PCI_STATUS_INTERRUPT);
        assert_int_equal(machine_read(machine, driver->isr, 1), 1);
        assert_false(local_guest_interrupt(machine->guest, line(machine, 1))->level);
        assert_false(config_read(driver, PCI_STATUS, 2) & PCI_STATUS_INTERRUPT);
        assert_int_equal(machine_read(machine, driver->isr, 1), 0);
        assert_int_equal(local_guest_interrupt(machine->guest, line(machine, 1))->lowered, i);
    }
    assert_int_equal(all_raised(machine), 5);
}

/* Xen's default vGIC sees edges: each completion says "high" again, ISR read or not. */
static void test_intx_asserts_again(struct driver *driver)
{
    struct machine *const machine = driver->machine;

    blk_check_pattern(driver, 0, 1);
    blk_check_pattern(driver, 0, 1);
    assert_int_equal(raised(machine, line(machine, 1)), 2);
}

static void test_intx_without_vectors_of_the_bridge(struct driver *driver)
{
    struct machine *const machine = driver->machine;

    assert_int_equal(driver->msix, 0);
    common_write(driver, VIRTIO_PCI_COMMON_Q_MSIX, 2, 0);
    assert_int_equal(common_read(driver, VIRTIO_PCI_COMMON_Q_MSIX, 2), VIRTIO_MSI_NO_VECTOR);
    blk_check_pattern(driver, 0, 1);
    assert_int_equal(raised(machine, line(machine, 1)), 1);
}

/* MSI-X offered, but the guest does not enable it. */
static void test_intx_while_msix_is_disabled(struct driver *driver)
{
    struct machine *const machine = driver->machine;

    set_msix_flags(driver, 0);
    blk_check_pattern(driver, 0, 1);
    assert_int_equal(raised(machine, line(machine, 1)), 1);
    set_msix_flags(driver, PCI_MSIX_FLAGS_ENABLE);
    assert_false(local_guest_interrupt(machine->guest, line(machine, 1))->level);
}

static void test_intx_disable_bit(struct driver *driver)
{
    struct machine *const machine = driver->machine;

    set_command(driver, PCI_COMMAND_INTX_DISABLE, 0);
    blk_check_pattern(driver, 0, 1);
    assert_int_equal(all_raised(machine), 0);
    assert_true(config_read(driver, PCI_STATUS, 2) & PCI_STATUS_INTERRUPT);
    set_command(driver, 0, PCI_COMMAND_INTX_DISABLE);
    assert_int_equal(raised(machine, line(machine, 1)), 1);
    set_command(driver, PCI_COMMAND_INTX_DISABLE, 0);
    assert_false(local_guest_interrupt(machine->guest, line(machine, 1))->level);
}

/* Devices 1 and 5 share a line. Whoever lets go first, the guest is told about the other. */
static void test_intx_shared_line(struct machine *machine)
{
    struct driver one, five;
    uint32_t shared;

    driver_probe(&one, machine, 1);
    driver_probe(&five, machine, 5);
    driver_start(&one, DRIVER_FEATURES);
    driver_start(&five, DRIVER_FEATURES);
    shared = line(machine, 1);
    assert_int_equal(shared, line(machine, 5));

    blk_check_pattern(&one, 0, 1);
    blk_check_pattern(&five, 0, 1);
    assert_true(local_guest_take(machine->guest, shared));
    assert_int_equal(machine_read(machine, one.isr, 1), 1);
    assert_true(local_guest_interrupt(machine->guest, shared)->level);
    assert_true(local_guest_take(machine->guest, shared));
    assert_int_equal(machine_read(machine, five.isr, 1), 1);
    assert_false(local_guest_interrupt(machine->guest, shared)->level);
    assert_false(local_guest_take(machine->guest, shared));
}

static void test_intx_ends_with_reset(struct driver *driver)
{
    struct machine *const machine = driver->machine;

    blk_check_pattern(driver, 0, 1);
    driver_reset(driver);
    assert_false(local_guest_interrupt(machine->guest, line(machine, 1))->level);
    assert_int_equal(machine_read(machine, driver->isr, 1), 0);
}

static void test_suppressed_by_event_index(struct driver *driver)
{
    struct machine *const machine = driver->machine;

    ring_available(driver)->ring[driver->queue_size] = 2; /* wake me when the third has been used */
    for (unsigned int i = 0; i < 4; i++) {
        ring_publish(driver, blk_add(driver, i, VIRTIO_BLK_T_FLUSH, 0, 0));
        driver_kick(driver);
        while (ring_used(driver)->idx != i + 1) {
            machine_turn(machine);
        }
        assert_int_equal(all_raised(machine), i >= 2 ? 1 : 0);
    }
}

static void test_suppressed_by_flag(struct driver *driver)
{
    struct machine *const machine = driver->machine;

    driver_start(driver, 1ull << VIRTIO_F_VERSION_1);
    ring_available(driver)->flags = VRING_AVAIL_F_NO_INTERRUPT;
    blk_check_pattern(driver, 0, 1);
    assert_int_equal(all_raised(machine), 0);
    ring_available(driver)->flags = 0;
    blk_check_pattern(driver, 0, 1);
    assert_int_equal(all_raised(machine), 1);
}

/* Requests that end in one turn of the event loop share one interrupt. */
static void test_one_interrupt_for_many(struct driver *driver)
{
    for (unsigned int i = 0; i < 5; i++) {
        ring_publish(driver, blk_add(driver, i, VIRTIO_BLK_T_GET_ID, 0, 20));
    }
    driver_kick(driver);
    for (unsigned int i = 0; i < 5; i++) {
        (void)driver_wait(driver);
    }
    assert_int_equal(all_raised(driver->machine), 1);
}

/* 7.5.1.1.3: without bus mastering a function uses no memory: no request is taken, no message sent. */
static void test_bus_mastering(struct driver *driver)
{
    struct machine *const machine = driver->machine;

    set_command(driver, 0, PCI_COMMAND_MASTER);
    ring_publish(driver, blk_add(driver, 0, VIRTIO_BLK_T_GET_ID, 0, 20));
    driver_kick(driver);
    machine_settle(machine);
    assert_false(driver_completed(driver));
    set_command(driver, PCI_COMMAND_MASTER, 0);
    assert_int_equal(driver_wait(driver).len, 21);
    assert_int_equal(all_raised(machine), 1);
}

static void test_needs_reset_interrupts(void **state)
{
    struct machine machine;
    struct driver driver;

    (void)state;
    for (unsigned int intx = 0; intx < 2; intx++) {
        driver_begin(&driver, &machine, &(struct machine_options){ .intx_only = intx != 0 });
        ring_publish(&driver, 0xffff);
        driver_kick(&driver);
        machine_settle(&machine);
        assert_true(driver_status(&driver) & VIRTIO_CONFIG_S_NEEDS_RESET);
        if (!intx) {
            assert_int_equal(raised(&machine, driver_msix_interrupt(&driver, 0)), 1);
        }
        /* 4.1.4.5.1: the bit is set however the driver is told; reading clears it. */
        assert_int_equal(machine_read(&machine, driver.isr, 1), VIRTIO_PCI_ISR_CONFIG);
        assert_int_equal(machine_read(&machine, driver.isr, 1), 0);
        assert_int_equal(all_raised(&machine), 1);
        machine_finish(&machine);
    }
}

/* Both reasons at once: one read shows and clears both, and takes the line back. */
static void test_intx_of_queue_and_configuration(struct driver *driver)
{
    struct machine *const machine = driver->machine;

    blk_check_pattern(driver, 0, 1);
    ring_publish(driver, 0xffff);
    driver_kick(driver);
    machine_settle(machine);
    assert_int_equal(machine_read(machine, driver->isr, 1), 1 | VIRTIO_PCI_ISR_CONFIG);
    assert_false(local_guest_interrupt(machine->guest, line(machine, 1))->level);
    assert_int_equal(machine_read(machine, driver->isr, 1), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        driver_test(test_msix),
        driver_test(test_msix_vector_moves),
        driver_test(test_msix_mask_pends_and_replays),
        driver_test(test_msix_message_changes_while_masked),
        driver_test(test_msix_function_mask),
        driver_test(test_msix_disabled_forgets_pending),
        driver_test(test_intx, .intx_only = true),
        driver_test(test_intx_asserts_again, .intx_only = true),
        driver_test(test_intx_without_vectors_of_the_bridge, .interrupts = 4),
        driver_test(test_intx_while_msix_is_disabled),
        driver_test(test_intx_disable_bit, .intx_only = true),
        machine_test(test_intx_shared_line, .disks = 5, .intx_only = true),
        driver_test(test_intx_ends_with_reset, .intx_only = true),
        driver_test(test_suppressed_by_event_index),
        probe_test(test_suppressed_by_flag),
        driver_test(test_one_interrupt_for_many),
        driver_test(test_bus_mastering),
        cmocka_unit_test(test_needs_reset_interrupts),
        driver_test(test_intx_of_queue_and_configuration, .intx_only = true),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
