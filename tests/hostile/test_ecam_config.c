/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Configuration space as no driver uses it: what is not there, sizes and alignments, BARs in impossible places,
 * capabilities that are told nonsense, MSI-X tables that point nowhere, resets in the middle of requests.
 */
#include <string.h>

#include "device_model.h"
#include "driver.h"
#include "faults.h"
#include "virtio/pci.h"

static void test_absent_bus_device_function(struct driver *driver)
{
    struct machine *const machine = driver->machine;

    for (uint64_t offset = 0; offset < machine->bridge.ecam.size + 0x100000; offset += 0x1000) {
        const bool there = offset == 0x8000 || offset == 0x10000;

        for (unsigned int size = 1; size <= 8; size *= 2) {
            const uint64_t value = machine_read(machine, machine->bridge.ecam.base + offset, size);

            assert_true(there || value == platform_request_ones(size));
        }
        if (!there) {
            machine_write(machine, machine->bridge.ecam.base + offset + PCI_COMMAND, 2, 0xffff);
        }
    }
    driver_check_serves(driver);
}

/* Every size at every offset gives the bytes that single-byte reads give, also across 32-bit registers. */
static void test_every_size_and_alignment(struct driver *driver)
{
    uint8_t bytes[PCI_CONFIG_SIZE + 8];

    for (unsigned int offset = 0; offset < sizeof(bytes); offset++) {
        bytes[offset] = (uint8_t)config_read(driver, offset, 1);
    }
    for (unsigned int offset = 0; offset < PCI_CONFIG_SIZE; offset++) {
        for (unsigned int size = 1; size <= 8; size *= 2) {
            uint64_t expected = 0;

            memcpy(&expected, &bytes[offset], size);
            assert_int_equal(config_read(driver, offset, size), expected);
        }
    }
    driver_check_serves(driver);
}

static void test_unaligned_writes(struct driver *driver)
{
    config_write(driver, PCI_CACHE_LINE_SIZE - 1, 4, 0x11223344);
    assert_int_equal(config_read(driver, PCI_CACHE_LINE_SIZE, 1), 0x33);
    config_write(driver, PCI_CACHE_LINE_SIZE - 7, 8, 0x4400000000000000ull | (uint64_t)0x06 << 24);
    assert_int_equal(config_read(driver, PCI_CACHE_LINE_SIZE, 1), 0x44);
    config_write(driver, PCI_INTERRUPT_LINE - 3, 8, (uint64_t)0x99 << 24);
    assert_int_equal(config_read(driver, PCI_INTERRUPT_LINE, 1), 0x99);
    config_write(driver, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
    driver_check_serves(driver);
}

static void test_crossing_the_end_of_a_function(struct driver *driver)
{
    assert_int_equal(config_read(driver, 0xffe, 4), UINT32_MAX);
    assert_int_equal(config_read(driver, 0xff9, 8), UINT64_MAX);
    assert_int_equal(config_read(driver, 0xfff, 2), 0xffff);
    config_write(driver, 0xffe, 4, 0);
    /* The extended space itself is there and empty. */
    assert_int_equal(config_read(driver, 0x100, 4), 0);
    assert_int_equal(config_read(driver, 0xff8, 8), 0);
    assert_int_equal(config_read(driver, 0xfc, 8), 0);
    config_write(driver, 0x100, 8, UINT64_MAX);
    assert_int_equal(config_read(driver, 0x100, 8), 0);
    driver_check_serves(driver);
}

/* All ones into every byte changes what may be changed and nothing else. */
static void test_read_only_registers(struct driver *driver)
{
    const unsigned int offsets[] = { PCI_VENDOR_ID, PCI_CLASS_REVISION, PCI_SUBSYSTEM_VENDOR_ID, PCI_BASE_ADDRESS_2,
                                     PCI_BASE_ADDRESS_5, PCI_ROM_ADDRESS, PCI_CARDBUS_CIS };

    for (unsigned int i = 0; i < sizeof(offsets) / sizeof(offsets[0]); i++) {
        const uint64_t before = config_read(driver, offsets[i], 4);

        config_write(driver, offsets[i], 4, UINT32_MAX);
        assert_int_equal(config_read(driver, offsets[i], 4), before);
        config_write(driver, offsets[i], 4, 0);
        assert_int_equal(config_read(driver, offsets[i], 4), before);
    }
    assert_int_equal(config_read(driver, PCI_HEADER_TYPE, 1), 0);
    assert_int_equal(config_read(driver, PCI_INTERRUPT_PIN, 1), 1);
    driver_check_serves(driver);
}

static void test_command_reserved_bits(struct driver *driver)
{
    config_write(driver, PCI_COMMAND, 4, UINT32_MAX);
    assert_int_equal(config_read(driver, PCI_COMMAND, 2),
                     PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER | PCI_COMMAND_INTX_DISABLE);
    config_write(driver, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
    driver_check_serves(driver);
}

static void test_capability_list_ends(struct driver *driver)
{
    bool seen[PCI_CONFIG_SIZE] = { false };
    unsigned int count = 0;

    for (uint8_t at = (uint8_t)config_read(driver, PCI_CAPABILITY_LIST, 1); at != 0;
         at = (uint8_t)config_read(driver, at + 1, 1)) {
        assert_true(at >= 0x40 && at % 4 == 0 && !seen[at]);
        seen[at] = true;
        count++;
        config_write(driver, at, 2, 0); /* id and pointer are read only */
    }
    assert_int_equal(count, 8);
    driver_check_serves(driver);
}

static void test_bar_sizing_while_decoding(struct driver *driver)
{
    struct machine *const machine = driver->machine;

    config_write(driver, PCI_BASE_ADDRESS_0, 4, UINT32_MAX);
    assert_int_equal(config_read(driver, PCI_BASE_ADDRESS_0, 4), 0xffff8004);
    assert_false(local_guest_claimed(machine->guest, driver->bar));
    config_write(driver, PCI_BASE_ADDRESS_1, 4, UINT32_MAX);
    assert_int_equal(config_read(driver, PCI_BASE_ADDRESS_1, 4), UINT32_MAX);
    config_write(driver, PCI_BASE_ADDRESS_1, 4, driver->bar >> 32);
    config_write(driver, PCI_BASE_ADDRESS_0, 4, (uint32_t)driver->bar);
    assert_true(local_guest_claimed(machine->guest, driver->bar));
    driver_check_serves(driver);
}

static void test_bar_half_written(struct driver *driver)
{
    struct machine *const machine = driver->machine;

    /* The upper half first: 0x1_2310_0000 is in no window; then the lower: 0x1_0000_0000 is in the prefetch window. */
    config_write(driver, PCI_BASE_ADDRESS_1, 4, 1);
    assert_int_equal(local_guest_claims(machine->guest), 1);
    config_write(driver, PCI_BASE_ADDRESS_0, 4, 0);
    assert_int_equal(local_guest_claims(machine->guest), 2);
    assert_true(local_guest_claimed(machine->guest, 0x100000000ull));
    assert_int_equal(machine_read(machine, 0x100000000ull + VIRTIO_PCI_COMMON_STATUS, 1), 0xf);
    /* Bytes and halves of a register. */
    config_write(driver, PCI_BASE_ADDRESS_0 + 2, 1, 0x08);
    assert_true(local_guest_claimed(machine->guest, 0x100080000ull));
    config_write(driver, PCI_BASE_ADDRESS_0, 8, driver->bar);
    driver_check_serves(driver);
}

/* Where a BAR must not be: it is not decoded there, nothing else changes, and it comes back. */
static void check_not_decoded(struct driver *driver, uint64_t base)
{
    const unsigned int others = local_guest_claims(driver->machine->guest) - 1;
    const uint64_t aligned = base & ~(uint64_t)(DRIVER_BAR_SIZE - 1);

    config_write(driver, PCI_BASE_ADDRESS_0, 8, base);
    assert_int_equal(config_read(driver, PCI_BASE_ADDRESS_0, 8), aligned | PCI_BASE_ADDRESS_MEM_TYPE_64);
    assert_int_equal(local_guest_claims(driver->machine->guest), others);
    config_write(driver, PCI_BASE_ADDRESS_0, 8, driver->bar);
    assert_int_equal(local_guest_claims(driver->machine->guest), others + 1);
    driver_check_serves(driver);
}

static void test_bar_outside_windows(struct driver *driver)
{
    struct machine *const machine = driver->machine;

    check_not_decoded(driver, 0);
    check_not_decoded(driver, UINT64_MAX);
    check_not_decoded(driver, 0x20000000);
    check_not_decoded(driver, machine->bridge.memory.base - DRIVER_BAR_SIZE);
    check_not_decoded(driver, machine->bridge.memory.base + machine->bridge.memory.size);
    check_not_decoded(driver, machine->bridge.prefetch.base + machine->bridge.prefetch.size);
    check_not_decoded(driver, UINT64_MAX - DRIVER_BAR_SIZE + 1);
}

static void test_bar_over_ram(struct driver *driver)
{
    check_not_decoded(driver, MACHINE_RAM);
    check_not_decoded(driver, MACHINE_RAM2 + 0x100000);
}

static void test_bar_over_ecam(struct driver *driver)
{
    struct machine *const machine = driver->machine;

    check_not_decoded(driver, machine->bridge.ecam.base);
    check_not_decoded(driver, machine->bridge.ecam.base + machine->bridge.ecam.size - DRIVER_BAR_SIZE);
}

static void test_bar_over_service_area(struct driver *driver)
{
    struct machine *const machine = driver->machine;

    check_not_decoded(driver, bridge_v2m_base(&machine->bridge));
    check_not_decoded(driver, bridge_status_base(&machine->bridge));
}

/* The one that was there first stays; when it goes, the other one gets the place. */
static void test_bar_over_bar(struct driver *driver)
{
    struct machine *const machine = driver->machine;
    struct driver second;

    driver_probe(&second, machine, 2);
    assert_int_equal(local_guest_claims(machine->guest), 3);
    config_write(&second, PCI_BASE_ADDRESS_0, 8, driver->bar);
    assert_int_equal(local_guest_claims(machine->guest), 2);
    driver_check_serves(driver);
    config_write(driver, PCI_COMMAND, 2, 0);
    assert_int_equal(machine_read(machine, driver->bar + VIRTIO_PCI_COMMON_STATUS, 1), 0); /* the second's */
    config_write(driver, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
    config_write(&second, PCI_BASE_ADDRESS_0, 8, second.bar);
    assert_int_equal(local_guest_claims(machine->guest), 3);
    driver_check_serves(driver);
    driver_start(&second, DRIVER_FEATURES);
    driver_check_serves(&second);
}

static void test_claim_refused_by_platform(struct driver *driver)
{
    struct machine *const machine = driver->machine;

    local_guest_refuse_claims(machine->guest, true);
    config_write(driver, PCI_COMMAND, 2, 0);
    config_write(driver, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
    assert_int_equal(machine_read(machine, driver->bar, 4), UINT32_MAX);
    local_guest_refuse_claims(machine->guest, false);
    config_write(driver, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
    driver_check_serves(driver);
}

static void test_decode_disabled_in_use(struct driver *driver)
{
    faults_hold();
    blk_begin_read(driver);
    config_write(driver, PCI_COMMAND, 2, PCI_COMMAND_MASTER);
    assert_int_equal(machine_read(driver->machine, driver->common, 4), UINT32_MAX);
    faults_release();
    assert_int_equal(driver_wait(driver).len, 4097); /* the request is not concerned */
    config_write(driver, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
    driver_check_serves(driver);
}

static void test_bar_moved_in_mid_io(struct driver *driver)
{
    const uint64_t moved = 0x800000;

    faults_hold();
    blk_begin_read(driver);
    config_write(driver, PCI_BASE_ADDRESS_0, 8, driver->bar + moved);
    assert_int_equal(machine_read(driver->machine, driver->common, 4), UINT32_MAX);
    driver->bar += moved;
    driver->common += moved;
    driver->notify += moved;
    driver->isr += moved;
    faults_release();
    assert_int_equal(driver_wait(driver).len, 4097);
    driver_check_serves(driver);
}

/* The window capability (virtio 1.2, 4.1.4.9): impossible targets read as all ones and are not written. */
static void set_window(struct driver *driver, uint8_t bar, uint32_t offset, uint32_t length)
{
    config_write(driver, driver->window + VIRTIO_PCI_CAP_BAR, 1, bar);
    config_write(driver, driver->window + VIRTIO_PCI_CAP_OFFSET, 4, offset);
    config_write(driver, driver->window + VIRTIO_PCI_CAP_LENGTH, 4, length);
}

static void test_window_bad_target(struct driver *driver)
{
    const struct {
        uint8_t bar;
        uint32_t offset, length;
    } bad[] = {
        { 1, 0, 4 },          { 2, 0, 4 },          { 5, 0, 4 },          { 6, 0, 4 },
        { 255, 0, 4 },        { 0, 0, 0 },          { 0, 0, 3 },          { 0, 0, 8 },
        { 0, 0, UINT32_MAX }, { 0, 0x8000, 4 },     { 0, 0x7ffe, 4 },     { 0, 1, 4 },
        { 0, 1, 2 },          { 0, UINT32_MAX, 1 }, { 0, 0xfffffffc, 4 }, { 0, 0x80000000, 0x80000000 },
    };

    for (unsigned int i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        set_window(driver, bad[i].bar, bad[i].offset, bad[i].length);
        assert_int_equal(config_read(driver, driver->window + 16, 4), UINT32_MAX);
        config_write(driver, driver->window + 16, 4, 0);
        driver_check_serves(driver);
    }
}

static void test_window_good_target(struct driver *driver)
{
    set_window(driver, 0, VIRTIO_PCI_COMMON_STATUS, 1);
    assert_int_equal(config_read(driver, driver->window + 16, 4), 0xf);
    assert_int_equal(config_read(driver, driver->window + 16, 1), 0xf);
    set_window(driver, 0, VIRTIO_PCI_COMMON_Q_SELECT, 2);
    config_write(driver, driver->window + 16, 2, 7);
    assert_int_equal(common_read(driver, VIRTIO_PCI_COMMON_Q_SELECT, 2), 7);
    set_window(driver, 0, VIRTIO_PCI_TABLE + 8, 4);
    assert_int_equal(config_read(driver, driver->window + 16, 4), driver_msix_interrupt(driver, 0));
    /* It works without memory decoding: that is what it is for. */
    config_write(driver, PCI_COMMAND, 2, PCI_COMMAND_MASTER);
    set_window(driver, 0, VIRTIO_PCI_COMMON_STATUS, 1);
    config_write(driver, driver->window + 16, 1, 0);
    assert_int_equal(config_read(driver, driver->window + 16, 1), 0);
    config_write(driver, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
    driver_check_serves(driver);
}

/* The window is the BAR by another way, and in D3 nothing is behind either. */
static void test_window_in_d3(struct driver *driver)
{
    set_window(driver, 0, VIRTIO_PCI_COMMON_STATUS, 1);
    config_write(driver, driver->power_management + PCI_PM_CTRL, 2, 3);
    assert_int_equal(config_read(driver, driver->window + 16, 4), UINT32_MAX);
    config_write(driver, driver->window + 16, 1, 0);
    config_write(driver, driver->power_management + PCI_PM_CTRL, 2, 0);
    assert_int_equal(config_read(driver, driver->window + 16, 1), DRIVER_RUNNING);
    driver_check_serves(driver);
}

static void test_function_level_reset(struct driver *driver)
{
    struct machine *const machine = driver->machine;

    assert_true(config_read(driver, driver->express + PCI_EXP_DEVCAP, 4) & PCI_EXP_DEVCAP_FLR);
    driver_function_reset(driver);
    assert_int_equal(config_read(driver, PCI_COMMAND, 2), 0);
    assert_int_equal(config_read(driver, PCI_BASE_ADDRESS_0, 8), PCI_BASE_ADDRESS_MEM_TYPE_64);
    assert_int_equal(config_read(driver, driver->msix + PCI_MSIX_FLAGS, 2), 1);
    assert_int_equal(local_guest_claims(machine->guest), 1);
    driver_probe(driver, machine, 1);
    assert_int_equal(machine_read(machine, driver->bar + VIRTIO_PCI_TABLE + PCI_MSIX_ENTRY_VECTOR_CTRL, 4), 1);
    assert_int_equal(driver_status(driver), 0);
    driver_check_serves(driver);
}

/* The function does not answer while a request still uses the guest's memory. */
static void test_function_level_reset_in_mid_io(struct driver *driver)
{
    struct machine *const machine = driver->machine;

    faults_hold();
    blk_begin_read(driver);
    driver_function_reset(driver);
    assert_int_equal(config_read(driver, PCI_COMMAND, 4), UINT32_MAX);
    config_write(driver, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
    assert_int_equal(local_guest_claims(machine->guest), 1);
    faults_release();
    machine_settle(machine);
    assert_int_equal(config_read(driver, PCI_COMMAND, 2), 0);
    assert_int_equal(driver_given(driver), 0);
    driver_probe(driver, machine, 1);
    driver_check_serves(driver);
}

static void test_function_level_reset_during_reset(struct driver *driver)
{
    struct machine *const machine = driver->machine;

    faults_hold();
    blk_begin_read(driver);
    driver_set_status(driver, 0);
    driver_function_reset(driver);
    driver_function_reset(driver);
    faults_release();
    machine_settle(machine);
    driver_probe(driver, machine, 1);
    driver_check_serves(driver);
}

static void test_msix_table_access_sizes(struct driver *driver)
{
    struct machine *const machine = driver->machine;
    const uint64_t table = driver->bar + VIRTIO_PCI_TABLE;

    assert_int_equal(machine_read(machine, table, 1), 0xff);
    assert_int_equal(machine_read(machine, table, 2), 0xffff);
    assert_int_equal(machine_read(machine, table + 2, 4), UINT32_MAX);
    assert_int_equal(machine_read(machine, table + 4, 8), UINT64_MAX);
    machine_write(machine, table + 8, 1, 0);
    machine_write(machine, table + 8, 2, 0);
    machine_write(machine, table + 10, 4, 0);
    machine_write(machine, table + 4, 8, 0);
    assert_int_equal(machine_read(machine, table, 8), bridge_v2m_base(&machine->bridge) + BRIDGE_V2M_SETSPI);
    assert_int_equal(machine_read(machine, table + 8, 8), driver_msix_interrupt(driver, 0));
    machine_write(machine, table, 8, UINT64_MAX);
    assert_int_equal(machine_read(machine, table, 8), UINT64_MAX - 3);
    machine_write(machine, table + 8, 8, UINT64_MAX);
    assert_int_equal(machine_read(machine, table + 8, 8), 0x1ffffffffull);
    driver_setup_msix(driver);
    driver_check_serves(driver);
}

static void test_msix_past_the_table(struct driver *driver)
{
    struct machine *const machine = driver->machine;

    for (uint64_t offset = 2 * PCI_MSIX_ENTRY_SIZE; offset < VIRTIO_PCI_REGION; offset += 4) {
        machine_write(machine, driver->bar + VIRTIO_PCI_TABLE + offset, 4, 0);
        assert_int_equal(machine_read(machine, driver->bar + VIRTIO_PCI_TABLE + offset, 4), UINT32_MAX);
    }
    /* Behind the last structure of the BAR. */
    for (uint64_t offset = VIRTIO_PCI_PBA + VIRTIO_PCI_REGION; offset < VIRTIO_PCI_BAR_SIZE; offset += 64) {
        machine_write(machine, driver->bar + offset, 8, 0);
        assert_int_equal(machine_read(machine, driver->bar + offset, 8), UINT64_MAX);
    }
    driver_check_serves(driver);
}

static void test_msix_pba_write(struct driver *driver)
{
    struct machine *const machine = driver->machine;
    const uint64_t pba = driver->bar + VIRTIO_PCI_PBA;

    machine_write(machine, pba, 8, UINT64_MAX);
    machine_write(machine, pba, 4, UINT32_MAX);
    assert_int_equal(machine_read(machine, pba, 8), 0);
    assert_int_equal(machine_read(machine, pba + 8, 8), 0);
    assert_int_equal(machine_read(machine, pba, 2), 0xffff);
    driver_check_serves(driver);
}

/* What is pending stays so, neither more nor less, and is sent once when the mask goes. */
static void test_msix_pba_write_while_pending(struct driver *driver)
{
    struct machine *const machine = driver->machine;
    const uint64_t pba = driver->bar + VIRTIO_PCI_PBA;
    const uint64_t before = local_guest_counters(machine->guest)->interrupts;

    config_write(driver, driver->msix + PCI_MSIX_FLAGS, 2, PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL);
    blk_check_pattern(driver, 0, 1);
    for (unsigned int size = 1; size <= 8; size *= 2) {
        machine_write(machine, pba, size, 0);
        assert_int_equal(machine_read(machine, pba, 8), 2);
        machine_write(machine, pba, size, UINT64_MAX);
        assert_int_equal(machine_read(machine, pba, 4), 2);
    }
    config_write(driver, driver->msix + PCI_MSIX_FLAGS, 2, PCI_MSIX_FLAGS_ENABLE);
    assert_int_equal(local_guest_counters(machine->guest)->interrupts, before + 1);
    assert_true(local_guest_take(machine->guest, driver_msix_interrupt(driver, 1)));
    assert_int_equal(machine_read(machine, pba, 8), 0);
    driver_check_serves(driver);
}

/* Messages to elsewhere raise nothing; after the table is put right, interrupts come. */
static void check_bad_message(struct driver *driver, uint64_t address, uint32_t data)
{
    struct machine *machine = driver->machine;
    const uint64_t entry = driver->bar + VIRTIO_PCI_TABLE + PCI_MSIX_ENTRY_SIZE;
    const uint64_t before = local_guest_counters(machine->guest)->interrupts;

    machine_write(machine, entry, 8, address);
    machine_write(machine, entry + 8, 8, data);
    blk_check_pattern(driver, 0, 1);
    assert_int_equal(local_guest_counters(machine->guest)->interrupts, before);
    driver_setup_msix(driver);
    driver_check_serves(driver);
    assert_true(local_guest_counters(machine->guest)->interrupts > before);
    assert_true(local_guest_take(machine->guest, driver_msix_interrupt(driver, 1)));
}

static void test_msix_enabled_without_address(struct driver *driver)
{
    check_bad_message(driver, 0, 0);
}

static void test_msix_data_outside_the_frame(struct driver *driver)
{
    struct machine *const machine = driver->machine;

    for (unsigned int i = 0; i < 7; i++) {
        const uint32_t first = machine->bridge.interrupt_first;
        const uint32_t data[] = { first, first + 3, first + 32, 31, 0, UINT32_MAX, (first + 5) | 0x10000 };

        check_bad_message(driver, bridge_v2m_base(&machine->bridge) + BRIDGE_V2M_SETSPI, data[i]);
    }
}

static void test_msix_address_not_the_frame(struct driver *driver)
{
    struct machine *const machine = driver->machine;

    for (unsigned int i = 0; i < 6; i++) {
        const uint64_t frame = bridge_v2m_base(&machine->bridge) + BRIDGE_V2M_SETSPI;
        const uint64_t address[] = {
            frame + 4, frame - 0x40, frame | 1ull << 32, MACHINE_RAM, machine->bridge.ecam.base, UINT64_MAX,
        };

        check_bad_message(driver, address[i], driver_msix_interrupt(driver, 1));
    }
}

static void test_power_state_d3(struct driver *driver)
{
    struct machine *const machine = driver->machine;
    const uint64_t before = local_guest_counters(machine->guest)->interrupts;

    faults_hold();
    blk_begin_read(driver);
    config_write(driver, driver->power_management + PCI_PM_CTRL, 2, 3);
    assert_int_equal(config_read(driver, driver->power_management + PCI_PM_CTRL, 2), 3 | PCI_PM_CTRL_NO_SOFT_RESET);
    assert_int_equal(machine_read(machine, driver->common, 4), UINT32_MAX);
    faults_release();
    machine_settle(machine);
    assert_int_equal(local_guest_counters(machine->guest)->interrupts, before);
    config_write(driver, driver->power_management + PCI_PM_CTRL, 2, 0);
    assert_int_equal(driver_wait(driver).len, 4097);
    assert_int_equal(local_guest_counters(machine->guest)->interrupts, before + 1);
    assert_int_equal(driver_status(driver), 0xf);
}

/* A function that sleeps holds no line; when it wakes, what it wanted is wanted still. */
static void test_power_state_d3_lets_go_of_the_line(struct driver *driver)
{
    struct machine *const machine = driver->machine;

    blk_check_pattern(driver, 0, 1);
    assert_true(local_guest_interrupt(machine->guest, 45)->level);
    config_write(driver, driver->power_management + PCI_PM_CTRL, 2, 3);
    assert_false(local_guest_interrupt(machine->guest, 45)->level);
    config_write(driver, driver->power_management + PCI_PM_CTRL, 2, 0);
    assert_true(local_guest_interrupt(machine->guest, 45)->level);
    assert_int_equal(machine_read(machine, driver->isr, 1), 1);
    assert_false(local_guest_interrupt(machine->guest, 45)->level);
    driver_check_serves(driver);
}

/* It ends the sleep as well as all else, once the request that is under way has ended. */
static void test_function_level_reset_in_d3_in_mid_io(struct driver *driver)
{
    struct machine *const machine = driver->machine;
    uint64_t deadline;

    faults_hold();
    blk_begin_read(driver);
    config_write(driver, driver->power_management + PCI_PM_CTRL, 2, 3);
    driver_function_reset(driver);
    assert_int_equal(config_read(driver, driver->power_management + PCI_PM_CTRL, 2), 0xffff);
    config_write(driver, driver->power_management + PCI_PM_CTRL, 2, 3); /* nobody is there */
    faults_release();
    deadline = machine_now() + 20000;
    while (config_read(driver, PCI_VENDOR_ID, 2) == 0xffff) {
        machine_check_deadline(deadline, "a reset");
    }
    assert_int_equal(config_read(driver, driver->power_management + PCI_PM_CTRL, 2), PCI_PM_CTRL_NO_SOFT_RESET);
    assert_int_equal(driver_given(driver), 0);
    driver_probe(driver, machine, 1);
    driver_check_serves(driver);
}

/* 7.5.2.2: D1 and D2 are not offered: the write is completed, and nothing changes, in D0 and in D3. */
static void test_power_states_that_are_not_offered(struct driver *driver)
{
    const unsigned int control = driver->power_management + PCI_PM_CTRL;

    for (uint64_t power = 1; power < 3; power++) {
        for (unsigned int size = 1; size <= 4; size *= 2) {
            config_write(driver, control, size, power);
            assert_int_equal(config_read(driver, control, 2), PCI_PM_CTRL_NO_SOFT_RESET);
            driver_check_serves(driver);
        }
        config_write(driver, control, 2, 3);
        config_write(driver, control, 2, power);
        assert_int_equal(config_read(driver, control, 2), 3 | PCI_PM_CTRL_NO_SOFT_RESET);
        assert_int_equal(machine_read(driver->machine, driver->common, 4), UINT32_MAX);
        config_write(driver, control, 2, 0);
        driver_check_serves(driver);
    }
}

static void test_intx_disable_while_asserted(struct driver *driver)
{
    struct machine *const machine = driver->machine;

    for (unsigned int i = 0; i < 10; i++) {
        blk_check_pattern(driver, 0, 1);
        config_write(driver, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER | PCI_COMMAND_INTX_DISABLE);
        assert_false(local_guest_interrupt(machine->guest, 45)->level);
        config_write(driver, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
        assert_true(local_guest_interrupt(machine->guest, 45)->level);
        driver_function_reset(driver);
        assert_false(local_guest_interrupt(machine->guest, 45)->level);
        driver_probe(driver, machine, 1);
        driver_check_serves(driver);
    }
}

/*
 * Random writes of every size to every offset, for as long as it takes to find something; then the function is set
 * right again.
 */
static void test_random_writes(struct driver *driver)
{
    struct machine *const machine = driver->machine;
    uint64_t random = 88172645463325252ull;

    for (unsigned int i = 0; i < 20000; i++) {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        if (i % 3 == 0) {
            config_write(driver, (unsigned int)(random >> 8) % 0x104, 1u << (random & 3), random >> 20);
        } else if (i % 3 == 1) {
            (void)config_read(driver, (unsigned int)(random >> 8) % 0x104, 1u << (random & 3));
        } else {
            machine_write(machine, machine->bridge.memory.base + (random >> 8) % 0x300000, 1u << (random & 3),
                          random >> 3);
        }
    }
    machine_settle(machine);
    driver_function_reset(driver);
    machine_settle(machine);
    driver_probe(driver, machine, 1);
    driver_start(driver, DRIVER_FEATURES);
    driver_check_serves(driver);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        driver_test(test_absent_bus_device_function, .disks = 2),
        driver_test(test_every_size_and_alignment, .disks = 2),
        driver_test(test_unaligned_writes, .disks = 2),
        driver_test(test_crossing_the_end_of_a_function, .disks = 2),
        driver_test(test_read_only_registers, .disks = 2),
        driver_test(test_command_reserved_bits, .disks = 2),
        driver_test(test_capability_list_ends, .disks = 2),
        driver_test(test_bar_sizing_while_decoding, .disks = 2),
        driver_test(test_bar_half_written, .disks = 2),
        driver_test(test_bar_outside_windows, .disks = 2),
        driver_test(test_bar_over_ram, .disks = 2),
        driver_test(test_bar_over_ecam, .disks = 2),
        driver_test(test_bar_over_service_area, .disks = 2),
        driver_test(test_bar_over_bar, .disks = 2),
        driver_test(test_claim_refused_by_platform, .disks = 2),
        driver_test(test_decode_disabled_in_use, .disks = 2),
        driver_test(test_bar_moved_in_mid_io, .disks = 2),
        driver_test(test_window_bad_target, .disks = 2),
        driver_test(test_window_good_target, .disks = 2),
        driver_test(test_window_in_d3, .disks = 2),
        driver_test(test_function_level_reset, .disks = 2),
        driver_test(test_function_level_reset_in_mid_io, .disks = 2),
        driver_test(test_function_level_reset_during_reset, .disks = 2),
        driver_test(test_msix_table_access_sizes, .disks = 2),
        driver_test(test_msix_past_the_table, .disks = 2),
        driver_test(test_msix_pba_write, .disks = 2),
        driver_test(test_msix_pba_write_while_pending, .disks = 2),
        driver_test(test_msix_enabled_without_address, .disks = 2),
        driver_test(test_msix_data_outside_the_frame, .disks = 2),
        driver_test(test_msix_address_not_the_frame, .disks = 2),
        driver_test(test_power_state_d3, .disks = 2),
        driver_test(test_power_state_d3_lets_go_of_the_line, .intx_only = true),
        driver_test(test_function_level_reset_in_d3_in_mid_io, .disks = 2),
        driver_test(test_power_states_that_are_not_offered),
        driver_test(test_intx_disable_while_asserted, .intx_only = true),
        driver_test(test_random_writes, .disks = 2),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
