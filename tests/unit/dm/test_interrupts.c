/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which interrupt is raised, when, and when not: MSI-X, INTx on lines of one's own and on shared ones, suppression by
 * the driver, masks and pending bits, bus mastering, power states.
 */
#include "driver.h"

#include "virtio/pci.h"

static void start(struct machine *machine, struct driver *driver, const struct machine_options *options)
{
    machine_start(machine, options);
    driver_probe(driver, machine, 1);
    driver_start(driver, DRIVER_FEATURES);
}

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
    const uint16_t command = (uint16_t)machine_config_read(driver->machine, driver->device, PCI_COMMAND, 2);

    machine_config_write(driver->machine, driver->device, PCI_COMMAND, 2, (command | set) & ~clear);
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
    machine_config_write(driver->machine, driver->device, driver->msix + PCI_MSIX_FLAGS, 2, flags);
}

static void test_msix(void **state)
{
    struct machine machine;
    struct driver driver;

    (void)state;
    start(&machine, &driver, &(struct machine_options){ 0 });
    for (unsigned int i = 1; i <= 5; i++) {
        blk_check_pattern(&driver, i, 1);
        assert_int_equal(raised(&machine, driver_msix_interrupt(&driver, 1)), i);
        assert_true(local_guest_take(machine.guest, driver_msix_interrupt(&driver, 1)));
    }
    assert_int_equal(all_raised(&machine), 5);
    assert_int_equal(machine_read(&machine, driver.isr, 1), 0);
    machine_finish(&machine);
}

static void test_msix_vector_moves(void **state)
{
    struct machine machine;
    struct driver driver;

    (void)state;
    start(&machine, &driver, &(struct machine_options){ 0 });
    common_write(&driver, VIRTIO_PCI_COMMON_Q_MSIX, 2, 0);
    assert_int_equal(common_read(&driver, VIRTIO_PCI_COMMON_Q_MSIX, 2), 0);
    blk_check_pattern(&driver, 0, 1);
    assert_int_equal(raised(&machine, driver_msix_interrupt(&driver, 0)), 1);
    common_write(&driver, VIRTIO_PCI_COMMON_Q_MSIX, 2, VIRTIO_MSI_NO_VECTOR);
    blk_check_pattern(&driver, 0, 1);
    assert_int_equal(all_raised(&machine), 1);
    machine_finish(&machine);
}

static void test_msix_mask_pends_and_replays(void **state)
{
    struct machine machine;
    struct driver driver;
    uint32_t interrupt;

    (void)state;
    start(&machine, &driver, &(struct machine_options){ 0 });
    interrupt = driver_msix_interrupt(&driver, 1);
    machine_write(&machine, table_address(&driver, 1, PCI_MSIX_ENTRY_VECTOR_CTRL), 4, 1);
    blk_check_pattern(&driver, 0, 1);
    blk_check_pattern(&driver, 0, 1);
    assert_int_equal(raised(&machine, interrupt), 0);
    assert_int_equal(pending_bits(&driver), 2);
    machine_write(&machine, table_address(&driver, 1, PCI_MSIX_ENTRY_VECTOR_CTRL), 4, 0);
    assert_int_equal(raised(&machine, interrupt), 1);
    assert_int_equal(pending_bits(&driver), 0);
    machine_finish(&machine);
}

/* The message that is sent is the one that the table has when the vector is unmasked. */
static void test_msix_message_changes_while_masked(void **state)
{
    struct machine machine;
    struct driver driver;
    uint32_t other;

    (void)state;
    start(&machine, &driver, &(struct machine_options){ 0 });
    other = driver_msix_interrupt(&driver, 1) + 5;
    machine_write(&machine, table_address(&driver, 1, PCI_MSIX_ENTRY_VECTOR_CTRL), 4, 1);
    blk_check_pattern(&driver, 0, 1);
    machine_write(&machine, table_address(&driver, 1, PCI_MSIX_ENTRY_DATA), 8, other);
    assert_int_equal(raised(&machine, other), 1);
    assert_int_equal(all_raised(&machine), 1);
    machine_finish(&machine);
}

static void test_msix_function_mask(void **state)
{
    struct machine machine;
    struct driver driver;

    (void)state;
    start(&machine, &driver, &(struct machine_options){ 0 });
    set_msix_flags(&driver, PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL);
    blk_check_pattern(&driver, 0, 1);
    assert_int_equal(all_raised(&machine), 0);
    assert_int_equal(pending_bits(&driver), 2);
    set_msix_flags(&driver, PCI_MSIX_FLAGS_ENABLE);
    assert_int_equal(raised(&machine, driver_msix_interrupt(&driver, 1)), 1);
    assert_int_equal(all_raised(&machine), 1);
    machine_finish(&machine);
}

static void test_msix_disabled_forgets_pending(void **state)
{
    struct machine machine;
    struct driver driver;

    (void)state;
    start(&machine, &driver, &(struct machine_options){ 0 });
    set_msix_flags(&driver, PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL);
    blk_check_pattern(&driver, 0, 1);
    set_msix_flags(&driver, 0);
    assert_int_equal(pending_bits(&driver), 0);
    set_msix_flags(&driver, PCI_MSIX_FLAGS_ENABLE);
    assert_int_equal(all_raised(&machine), 0);
    machine_finish(&machine);
}

static void test_intx(void **state)
{
    struct machine machine;
    struct driver driver;

    (void)state;
    start(&machine, &driver, &(struct machine_options){ .intx_only = true });
    assert_int_equal(driver.msix, 0);
    for (unsigned int i = 1; i <= 5; i++) {
        blk_check_pattern(&driver, 0, 1);
        assert_int_equal(raised(&machine, line(&machine, 1)), i);
        assert_true(local_guest_interrupt(machine.guest, line(&machine, 1))->level);
        assert_true(machine_config_read(&machine, 1, PCI_STATUS, 2) & PCI_STATUS_INTERRUPT);
        assert_int_equal(machine_read(&machine, driver.isr, 1), 1);
        assert_false(local_guest_interrupt(machine.guest, line(&machine, 1))->level);
        assert_false(machine_config_read(&machine, 1, PCI_STATUS, 2) & PCI_STATUS_INTERRUPT);
        assert_int_equal(machine_read(&machine, driver.isr, 1), 0);
        assert_int_equal(local_guest_interrupt(machine.guest, line(&machine, 1))->lowered, i);
    }
    assert_int_equal(all_raised(&machine), 5);
    machine_finish(&machine);
}

/* Xen's default vGIC sees edges: each completion says "high" again, ISR read or not. */
static void test_intx_asserts_again(void **state)
{
    struct machine machine;
    struct driver driver;

    (void)state;
    start(&machine, &driver, &(struct machine_options){ .intx_only = true });
    blk_check_pattern(&driver, 0, 1);
    blk_check_pattern(&driver, 0, 1);
    assert_int_equal(raised(&machine, line(&machine, 1)), 2);
    machine_finish(&machine);
}

static void test_intx_without_vectors_of_the_bridge(void **state)
{
    struct machine machine;
    struct driver driver;

    (void)state;
    start(&machine, &driver, &(struct machine_options){ .interrupts = 4 });
    assert_int_equal(driver.msix, 0);
    common_write(&driver, VIRTIO_PCI_COMMON_Q_MSIX, 2, 0);
    assert_int_equal(common_read(&driver, VIRTIO_PCI_COMMON_Q_MSIX, 2), VIRTIO_MSI_NO_VECTOR);
    blk_check_pattern(&driver, 0, 1);
    assert_int_equal(raised(&machine, line(&machine, 1)), 1);
    machine_finish(&machine);
}

/* MSI-X offered, but the guest does not enable it. */
static void test_intx_while_msix_is_disabled(void **state)
{
    struct machine machine;
    struct driver driver;

    (void)state;
    start(&machine, &driver, &(struct machine_options){ 0 });
    set_msix_flags(&driver, 0);
    blk_check_pattern(&driver, 0, 1);
    assert_int_equal(raised(&machine, line(&machine, 1)), 1);
    set_msix_flags(&driver, PCI_MSIX_FLAGS_ENABLE);
    assert_false(local_guest_interrupt(machine.guest, line(&machine, 1))->level);
    machine_finish(&machine);
}

static void test_intx_disable_bit(void **state)
{
    struct machine machine;
    struct driver driver;

    (void)state;
    start(&machine, &driver, &(struct machine_options){ .intx_only = true });
    set_command(&driver, PCI_COMMAND_INTX_DISABLE, 0);
    blk_check_pattern(&driver, 0, 1);
    assert_int_equal(all_raised(&machine), 0);
    assert_true(machine_config_read(&machine, 1, PCI_STATUS, 2) & PCI_STATUS_INTERRUPT);
    set_command(&driver, 0, PCI_COMMAND_INTX_DISABLE);
    assert_int_equal(raised(&machine, line(&machine, 1)), 1);
    set_command(&driver, PCI_COMMAND_INTX_DISABLE, 0);
    assert_false(local_guest_interrupt(machine.guest, line(&machine, 1))->level);
    machine_finish(&machine);
}

/* Devices 1 and 5 share a line. Whoever lets go first, the guest is told about the other. */
static void test_intx_shared_line(void **state)
{
    struct machine machine;
    struct driver one, five;
    uint32_t shared;

    (void)state;
    machine_start(&machine, &(struct machine_options){ .disks = 5, .intx_only = true });
    driver_probe(&one, &machine, 1);
    driver_probe(&five, &machine, 5);
    driver_start(&one, DRIVER_FEATURES);
    driver_start(&five, DRIVER_FEATURES);
    shared = line(&machine, 1);
    assert_int_equal(shared, line(&machine, 5));

    blk_check_pattern(&one, 0, 1);
    blk_check_pattern(&five, 0, 1);
    assert_true(local_guest_take(machine.guest, shared));
    assert_int_equal(machine_read(&machine, one.isr, 1), 1);
    assert_true(local_guest_interrupt(machine.guest, shared)->level);
    assert_true(local_guest_take(machine.guest, shared));
    assert_int_equal(machine_read(&machine, five.isr, 1), 1);
    assert_false(local_guest_interrupt(machine.guest, shared)->level);
    assert_false(local_guest_take(machine.guest, shared));
    machine_finish(&machine);
}

static void test_intx_ends_with_reset(void **state)
{
    struct machine machine;
    struct driver driver;

    (void)state;
    start(&machine, &driver, &(struct machine_options){ .intx_only = true });
    blk_check_pattern(&driver, 0, 1);
    driver_reset(&driver);
    assert_false(local_guest_interrupt(machine.guest, line(&machine, 1))->level);
    assert_int_equal(machine_read(&machine, driver.isr, 1), 0);
    machine_finish(&machine);
}

static void test_suppressed_by_event_index(void **state)
{
    struct machine machine;
    struct driver driver;
    struct buffer buffers[2];

    (void)state;
    start(&machine, &driver, &(struct machine_options){ 0 });
    ring_available(&driver)->ring[driver.queue_size] = 2; /* wake me when the third has been used */
    for (unsigned int i = 0; i < 4; i++) {
        buffers[0] = (struct buffer){ blk_header(&driver, i, VIRTIO_BLK_T_FLUSH, 0), 16, false };
        buffers[1] = (struct buffer){ blk_status_address(&driver, i), 1, true };
        ring_publish(&driver, ring_add(&driver, buffers, 2));
        driver_kick(&driver);
        while (ring_used(&driver)->idx != i + 1) {
            machine_turn(&machine);
        }
        assert_int_equal(all_raised(&machine), i >= 2 ? 1 : 0);
    }
    machine_finish(&machine);
}

static void test_suppressed_by_flag(void **state)
{
    struct machine machine;
    struct driver driver;

    (void)state;
    machine_start(&machine, &(struct machine_options){ 0 });
    driver_probe(&driver, &machine, 1);
    driver_start(&driver, 1ull << VIRTIO_F_VERSION_1);
    ring_available(&driver)->flags = VRING_AVAIL_F_NO_INTERRUPT;
    blk_check_pattern(&driver, 0, 1);
    assert_int_equal(all_raised(&machine), 0);
    ring_available(&driver)->flags = 0;
    blk_check_pattern(&driver, 0, 1);
    assert_int_equal(all_raised(&machine), 1);
    machine_finish(&machine);
}

/* Requests that end in one turn of the event loop share one interrupt. */
static void test_one_interrupt_for_many(void **state)
{
    struct machine machine;
    struct driver driver;
    struct buffer buffers[3];

    (void)state;
    start(&machine, &driver, &(struct machine_options){ 0 });
    for (unsigned int i = 0; i < 5; i++) {
        buffers[0] = (struct buffer){ blk_header(&driver, i, VIRTIO_BLK_T_GET_ID, 0), 16, false };
        buffers[1] = (struct buffer){ driver_data_address(&driver), 20, true };
        buffers[2] = (struct buffer){ blk_status_address(&driver, i), 1, true };
        ring_publish(&driver, ring_add(&driver, buffers, 3));
    }
    driver_kick(&driver);
    for (unsigned int i = 0; i < 5; i++) {
        (void)driver_wait(&driver);
    }
    assert_int_equal(all_raised(&machine), 1);
    machine_finish(&machine);
}

/* 7.5.1.1.3: without bus mastering a function uses no memory: no request is taken, no message sent. */
static void test_bus_mastering(void **state)
{
    struct machine machine;
    struct driver driver;
    struct buffer buffers[3];

    (void)state;
    start(&machine, &driver, &(struct machine_options){ 0 });
    set_command(&driver, 0, PCI_COMMAND_MASTER);
    buffers[0] = (struct buffer){ blk_header(&driver, 0, VIRTIO_BLK_T_GET_ID, 0), 16, false };
    buffers[1] = (struct buffer){ driver_data_address(&driver), 20, true };
    buffers[2] = (struct buffer){ blk_status_address(&driver, 0), 1, true };
    ring_publish(&driver, ring_add(&driver, buffers, 3));
    driver_kick(&driver);
    machine_settle(&machine);
    assert_false(driver_completed(&driver));
    set_command(&driver, PCI_COMMAND_MASTER, 0);
    assert_int_equal(driver_wait(&driver).len, 21);
    assert_int_equal(all_raised(&machine), 1);
    machine_finish(&machine);
}

static void test_needs_reset_interrupts(void **state)
{
    struct machine machine;
    struct driver driver;

    (void)state;
    start(&machine, &driver, &(struct machine_options){ 0 });
    ring_publish(&driver, 0xffff);
    driver_kick(&driver);
    machine_settle(&machine);
    assert_true(driver_status(&driver) & VIRTIO_CONFIG_S_NEEDS_RESET);
    assert_int_equal(raised(&machine, driver_msix_interrupt(&driver, 0)), 1);
    machine_finish(&machine);

    start(&machine, &driver, &(struct machine_options){ .intx_only = true });
    ring_publish(&driver, 0xffff);
    driver_kick(&driver);
    machine_settle(&machine);
    assert_int_equal(machine_read(&machine, driver.isr, 1), VIRTIO_PCI_ISR_CONFIG);
    machine_finish(&machine);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_msix),
        cmocka_unit_test(test_msix_vector_moves),
        cmocka_unit_test(test_msix_mask_pends_and_replays),
        cmocka_unit_test(test_msix_message_changes_while_masked),
        cmocka_unit_test(test_msix_function_mask),
        cmocka_unit_test(test_msix_disabled_forgets_pending),
        cmocka_unit_test(test_intx),
        cmocka_unit_test(test_intx_asserts_again),
        cmocka_unit_test(test_intx_without_vectors_of_the_bridge),
        cmocka_unit_test(test_intx_while_msix_is_disabled),
        cmocka_unit_test(test_intx_disable_bit),
        cmocka_unit_test(test_intx_shared_line),
        cmocka_unit_test(test_intx_ends_with_reset),
        cmocka_unit_test(test_suppressed_by_event_index),
        cmocka_unit_test(test_suppressed_by_flag),
        cmocka_unit_test(test_one_interrupt_for_many),
        cmocka_unit_test(test_bus_mastering),
        cmocka_unit_test(test_needs_reset_interrupts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
