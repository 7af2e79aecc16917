/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The virtio registers as no driver uses them: queues that do not exist, impossible sizes and addresses, features
 * that were not offered, states out of order, notifications of all the wrong kinds (virtio 1.2, sections 2.1, 2.2,
 * 4.1.4.3). What concerns status, features and queues runs over both transports.
 */
#include "driver.h"

#include <stdlib.h>
#include <string.h>

#include "faults.h"

static void test_queue_select_beyond(struct driver *driver)
{
    const uint16_t selects[] = { 1, 2, 0x100, 0xffff };

    for (unsigned int i = 0; i < 4; i++) {
        common_write(driver, VIRTIO_PCI_COMMON_Q_SELECT, 2, selects[i]);
        assert_int_equal(common_read(driver, VIRTIO_PCI_COMMON_Q_SIZE, 2), 0);
        for (unsigned int offset = VIRTIO_PCI_COMMON_Q_SIZE; offset < 56; offset += 2) {
            common_write(driver, offset, 2, 1);
            common_write(driver, offset, 4, 1);
            common_write(driver, offset, 8, 1);
        }
        assert_int_equal(common_read(driver, VIRTIO_PCI_COMMON_Q_SIZE, 2), 0);
        assert_int_equal(common_read(driver, VIRTIO_PCI_COMMON_Q_ENABLE, 2), 0);
        assert_int_equal(common_read(driver, VIRTIO_PCI_COMMON_Q_DESCLO, 8), 0);
        assert_int_equal(common_read(driver, VIRTIO_PCI_COMMON_Q_MSIX, 2), VIRTIO_MSI_NO_VECTOR);
        driver_check_serves(driver);
    }
}

/* A queue that cannot be: it stays disabled, the device asks for a reset, and works after it. */
static void check_enable_refused(struct driver *driver, unsigned int offset, unsigned int size, uint64_t value)
{
    driver_prepare_queue(driver);
    common_write(driver, offset, size, value);
    driver_enable_queue(driver);
    assert_int_equal(common_read(driver, VIRTIO_PCI_COMMON_Q_ENABLE, 2), 0);
    assert_int_equal(driver_status(driver), DRIVER_NEGOTIATED | VIRTIO_CONFIG_S_NEEDS_RESET);
    driver_kick(driver);
    driver_set_status(driver, DRIVER_RUNNING);
    machine_settle(driver->machine);
    driver_check_serves(driver);
}

static void test_queue_size_impossible(struct driver *driver)
{
    const uint16_t sizes[] = { 0, 3, 15, 17, 255, BLK_QUEUE_SIZE * 2, 0x8000, 0xffff };

    for (unsigned int i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        check_enable_refused(driver, VIRTIO_PCI_COMMON_Q_SIZE, 2, sizes[i]);
    }
}

static void test_smallest_queue(struct driver *driver)
{
    struct buffer buffers[3];

    driver->queue_size = 1;
    driver_start(driver, DRIVER_FEATURES);
    for (unsigned int i = 0; i < 5; i++) {
        blk_buffers(driver, buffers, 0, VIRTIO_BLK_T_IN, i, 512);
        assert_int_equal(driver_run(driver, ring_add_indirect(driver, buffers, 3)), 513);
        assert_int_equal(*blk_status(driver, 0), VIRTIO_BLK_S_OK);
    }
    /* In the ring itself there is no room for a status. */
    ring_publish(driver, ring_add(driver, buffers, 1));
    driver_kick(driver);
    machine_settle(driver->machine);
    assert_true(driver_status(driver) & VIRTIO_CONFIG_S_NEEDS_RESET);
}

/* CVE-2026-5747, CVE-2026-50626: what is written after the queue is enabled changes nothing. */
static void test_queue_written_after_enable(struct driver *driver)
{
    for (unsigned int offset = VIRTIO_PCI_COMMON_Q_DESCLO; offset < 56; offset += 4) {
        const uint64_t before = common_read(driver, offset, 4);

        common_write(driver, offset, 4, UINT32_MAX);
        common_write(driver, offset, 8, UINT64_MAX);
        assert_int_equal(common_read(driver, offset, 4), before);
        driver_check_serves(driver);
    }
    common_write(driver, VIRTIO_PCI_COMMON_Q_SIZE, 2, 0x8000);
    assert_int_equal(common_read(driver, VIRTIO_PCI_COMMON_Q_SIZE, 2), DRIVER_QUEUE_SIZE);
    for (unsigned int i = 0; i < 50; i++) {
        driver_check_serves(driver);
    }
}

static void test_enable_without_addresses(struct driver *driver)
{
    driver_reset(driver);
    driver_negotiate(driver, DRIVER_FEATURES);
    driver_enable_queue(driver);
    assert_int_equal(common_read(driver, VIRTIO_PCI_COMMON_Q_ENABLE, 2), 0);
    assert_true(driver_status(driver) & VIRTIO_CONFIG_S_NEEDS_RESET);
    driver_check_serves(driver);
}

static void test_address_impossible(struct driver *driver)
{
    const struct bridge *const bridge = &driver->machine->bridge;
    const unsigned int parts[] = {
        VIRTIO_PCI_COMMON_Q_DESCLO, VIRTIO_PCI_COMMON_Q_AVAILLO, VIRTIO_PCI_COMMON_Q_USEDLO,
    };

    for (unsigned int part = 0; part < 3; part++) {
        const uint64_t addresses[] = {
            MACHINE_RAM + 1,                        /* unaligned */
            0x1000,                                 /* nothing there */
            MACHINE_RAM_END,                        /* hole between banks */
            MACHINE_RAM_END - 16,                   /* crosses the end of a bank */
            MACHINE_RAM2 + MACHINE_BANK - 16,       /* and of the last one */
            driver->bar,                            /* our own BAR */
            bridge->ecam.base + 0x8000,             /* our own configuration space */
            bridge_v2m_base(bridge),                /* the hypervisor's */
            UINT64_MAX - 15,                        /* wraps */
            0xffffffff00000000ull,
        };

        for (unsigned int i = 0; i < sizeof(addresses) / sizeof(addresses[0]); i++) {
            check_enable_refused(driver, parts[part], 8, addresses[i]);
        }
    }
}

/* All three parts in one place: the guest's own loss, and nobody else's. */
static void test_parts_overlap(struct driver *driver)
{
    struct machine *const machine = driver->machine;

    driver_prepare_queue(driver);
    common_write(driver, VIRTIO_PCI_COMMON_Q_AVAILLO, 4, (uint32_t)driver->memory);
    common_write(driver, VIRTIO_PCI_COMMON_Q_USEDLO, 4, (uint32_t)driver->memory);
    driver_enable_queue(driver);
    driver_set_status(driver, DRIVER_RUNNING);
    for (unsigned int i = 0; i < 50; i++) {
        *(uint64_t *)machine_memory(machine, driver->memory + i % 8 * 8, 8) += 0x0001000100010001ull;
        driver_kick(driver);
        machine_settle(machine);
    }
    driver_start(driver, DRIVER_FEATURES);
    driver_check_serves(driver);
}

/* Rings of two devices, of different sizes, in one place: each counts for itself what it has taken and used. */
static void test_queues_of_two_devices_overlap(struct machine *machine)
{
    struct driver one, other;

    driver_probe(&one, machine, 1);
    driver_probe(&other, machine, 2);
    other.memory = one.memory;
    other.queue_size = BLK_QUEUE_SIZE;
    driver_start(&one, DRIVER_FEATURES);
    driver_start(&other, DRIVER_FEATURES);
    for (uint16_t i = 1; i <= 3; i++) {
        ring_publish(&one, blk_add(&one, 0, VIRTIO_BLK_T_GET_ID, 0, 20)); /* ends at once */
        driver_kick(&one);
        machine_settle(machine);
        assert_int_equal(driver_given(&one), i);
    }
    driver_kick(&other);
    machine_settle(machine);
    assert_int_equal(driver_given(&other), 3);
    assert_int_equal(driver_status(&one), DRIVER_RUNNING);
    assert_int_equal(driver_status(&other), DRIVER_RUNNING);
    for (uint16_t i = 4; i <= 40; i++) {
        /* Heads that both have, and that the smaller queue has not. */
        ring_available(&other)->ring[(i - 1) % DRIVER_QUEUE_SIZE] = (uint16_t)(i * 3);
        ring_available(&other)->idx = i;
        driver_kick(&one);
        driver_kick(&other);
        machine_settle(machine);
    }
    assert_true(driver_status(&one) & VIRTIO_CONFIG_S_NEEDS_RESET);
    driver_reset(&other);
    driver_start(&one, DRIVER_FEATURES);
    driver_check_serves(&one);
    driver_probe(&other, machine, 2);
    driver_start(&other, DRIVER_FEATURES);
    driver_check_serves(&other);
}

/* The upper half is still the old one when the queue is enabled. */
static void test_address_half_written(struct driver *driver)
{
    check_enable_refused(driver, VIRTIO_PCI_COMMON_Q_DESCHI, 4, 1);
    check_enable_refused(driver, VIRTIO_PCI_COMMON_Q_USEDHI, 4, UINT32_MAX);
    /* Halves of a half are not a field. */
    driver_prepare_queue(driver);
    common_write(driver, VIRTIO_PCI_COMMON_Q_DESCLO, 2, 0xffff);
    common_write(driver, VIRTIO_PCI_COMMON_Q_DESCLO + 2, 2, 0xffff);
    common_write(driver, VIRTIO_PCI_COMMON_Q_DESCLO + 1, 1, 0xff);
    assert_int_equal(common_read(driver, VIRTIO_PCI_COMMON_Q_DESCLO, 8), driver->memory);
    driver_check_serves(driver);
}

static void test_address_written_as_a_whole(struct driver *driver)
{
    driver_reset(driver);
    common_write(driver, VIRTIO_PCI_COMMON_Q_DESCLO, 8, 0x1122334455667788ull);
    assert_int_equal(common_read(driver, VIRTIO_PCI_COMMON_Q_DESCLO, 4), 0x55667788);
    assert_int_equal(common_read(driver, VIRTIO_PCI_COMMON_Q_DESCHI, 4), 0x11223344);
    common_write(driver, VIRTIO_PCI_COMMON_Q_DESCHI, 8, UINT64_MAX); /* astride two fields */
    assert_int_equal(common_read(driver, VIRTIO_PCI_COMMON_Q_DESCHI, 4), 0x11223344);
    assert_int_equal(common_read(driver, VIRTIO_PCI_COMMON_Q_AVAILLO, 4), 0);
    driver_check_serves(driver);
}

static void test_enable_written_wrongly(struct driver *driver)
{
    common_write(driver, VIRTIO_PCI_COMMON_Q_ENABLE, 2, 0);
    assert_int_equal(common_read(driver, VIRTIO_PCI_COMMON_Q_ENABLE, 2), 1);
    driver_check_serves(driver);
    common_write(driver, VIRTIO_PCI_COMMON_Q_ENABLE, 2, 1);
    driver_check_serves(driver);
    driver_prepare_queue(driver);
    common_write(driver, VIRTIO_PCI_COMMON_Q_ENABLE, 2, 2);
    common_write(driver, VIRTIO_PCI_COMMON_Q_ENABLE, 1, 1);
    common_write(driver, VIRTIO_PCI_COMMON_Q_ENABLE, 4, 1);
    assert_int_equal(common_read(driver, VIRTIO_PCI_COMMON_Q_ENABLE, 2), 0);
    driver_check_serves(driver);
}

static void test_enable_before_features(struct driver *driver)
{
    driver_reset(driver);
    driver_setup_queue(driver);
    driver_enable_queue(driver);
    assert_int_equal(common_read(driver, VIRTIO_PCI_COMMON_Q_ENABLE, 2), 0);
    driver_check_serves(driver);
}

static void test_feature_select_beyond(struct driver *driver)
{
    const uint32_t selects[] = { 2, 3, 32, 0x80000000, UINT32_MAX };

    driver_reset(driver);
    for (unsigned int i = 0; i < 5; i++) {
        common_write(driver, VIRTIO_PCI_COMMON_DFSELECT, 4, selects[i]);
        assert_int_equal(common_read(driver, VIRTIO_PCI_COMMON_DF, 4), 0);
        common_write(driver, VIRTIO_PCI_COMMON_GFSELECT, 4, selects[i]);
        common_write(driver, VIRTIO_PCI_COMMON_GF, 4, UINT32_MAX);
        assert_int_equal(common_read(driver, VIRTIO_PCI_COMMON_GF, 4), 0);
        driver_check_serves(driver);
        driver_reset(driver);
    }
}

static uint8_t try_features(struct driver *driver, uint64_t features)
{
    driver_reset(driver);
    driver_set_status(driver, VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER);
    for (unsigned int select = 0; select < 2; select++) {
        common_write(driver, VIRTIO_PCI_COMMON_GFSELECT, 4, select);
        common_write(driver, VIRTIO_PCI_COMMON_GF, 4, (uint32_t)(features >> (32 * select)));
    }
    driver_set_status(driver, DRIVER_NEGOTIATED);
    return driver_status(driver);
}

static void test_features_not_offered(struct driver *driver)
{
    for (unsigned int bit = 0; bit < 64; bit++) {
        const uint64_t feature = 1ull << bit;
        const bool offered = (feature & DRIVER_FEATURES) || bit == VIRTIO_BLK_F_SIZE_MAX ||
                             bit == VIRTIO_BLK_F_SEG_MAX || bit == VIRTIO_BLK_F_BLK_SIZE ||
                             bit == VIRTIO_BLK_F_TOPOLOGY;
        const uint8_t status = try_features(driver, 1ull << VIRTIO_F_VERSION_1 | feature);

        assert_int_equal(!!(status & VIRTIO_CONFIG_S_FEATURES_OK), offered);
    }
    driver_check_serves(driver);
}

/* ACCESS_PLATFORM and RING_RESET are not there, packed rings unless asked for: none must be offered by accident. */
static void test_features_left_out(struct driver *driver)
{
    common_write(driver, VIRTIO_PCI_COMMON_DFSELECT, 4, 1);
    assert_int_equal(common_read(driver, VIRTIO_PCI_COMMON_DF, 4), 1u << (VIRTIO_F_VERSION_1 - 32));
    driver_check_serves(driver);
}

/* Small drivers accept nothing at all, or nothing above bit 31: they are served as any other. */
static void test_features_without_version_1(struct driver *driver)
{
    const uint64_t features[] = { 0, DRIVER_FEATURES & ~(1ull << VIRTIO_F_VERSION_1) };

    for (unsigned int i = 0; i < 2; i++) {
        driver_start(driver, features[i]);
        assert_int_equal(driver->features, features[i]);
        for (unsigned int round = 0; round < 40; round++) {
            blk_check_pattern(driver, round, 8);
        }
        memset(driver_data(driver), 0x3c, 512);
        assert_int_equal(blk_request(driver, VIRTIO_BLK_T_OUT, 2000, 512), VIRTIO_BLK_S_OK);
    }
}

/* After a refusal the driver may think again, without a reset. */
static void test_features_after_failure(struct driver *driver)
{
    assert_false(try_features(driver, UINT64_MAX) & VIRTIO_CONFIG_S_FEATURES_OK);
    driver_negotiate(driver, DRIVER_FEATURES);
    assert_true(driver_status(driver) & VIRTIO_CONFIG_S_FEATURES_OK);
    driver_setup_msix(driver);
    driver_setup_queue(driver);
    driver_enable_queue(driver);
    driver_set_status(driver, DRIVER_RUNNING);
    driver_check_serves(driver);
}

static void test_features_written_after_ok(struct driver *driver)
{
    for (unsigned int select = 0; select < 2; select++) {
        common_write(driver, VIRTIO_PCI_COMMON_GFSELECT, 4, select);
        common_write(driver, VIRTIO_PCI_COMMON_GF, 4, 0);
        assert_int_equal(common_read(driver, VIRTIO_PCI_COMMON_GF, 4), (uint32_t)(DRIVER_FEATURES >> (32 * select)));
    }
    driver_check_serves(driver);
}

static void test_driver_ok_without_features_ok(struct driver *driver)
{
    driver_reset(driver);
    driver_set_status(driver, VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER | VIRTIO_CONFIG_S_DRIVER_OK);
    assert_int_equal(driver_status(driver), VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER);
    driver_check_serves(driver);
}

static void test_driver_ok_skipped(struct driver *driver)
{
    driver_prepare_queue(driver);
    driver_enable_queue(driver);
    blk_begin_read(driver);
    machine_settle(driver->machine);
    assert_false(driver_completed(driver));
    driver_check_serves(driver);
}

static void test_driver_ok_without_queues(struct driver *driver)
{
    driver_reset(driver);
    driver_negotiate(driver, DRIVER_FEATURES);
    driver_set_status(driver, DRIVER_RUNNING);
    driver_kick(driver);
    machine_settle(driver->machine);
    assert_int_equal(driver_status(driver), DRIVER_RUNNING);
    driver_start(driver, DRIVER_FEATURES);
    driver_check_serves(driver);
}

static void test_status_reserved_bits(struct driver *driver)
{
    driver_set_status(driver, DRIVER_RUNNING | 0x30 | VIRTIO_CONFIG_S_NEEDS_RESET);
    assert_int_equal(driver_status(driver), DRIVER_RUNNING);
    driver_check_serves(driver);
}

static void test_status_bits_cleared(struct driver *driver)
{
    for (unsigned int bit = 0; bit < 8; bit++) {
        driver_set_status(driver, (uint8_t)(DRIVER_RUNNING & ~(1u << bit)));
        assert_int_equal(driver_status(driver), DRIVER_RUNNING);
    }
    driver_check_serves(driver);
    driver_set_status(driver, DRIVER_RUNNING | VIRTIO_CONFIG_S_FAILED);
    assert_int_equal(driver_status(driver), DRIVER_RUNNING | VIRTIO_CONFIG_S_FAILED);
    driver_check_serves(driver);
}

static void test_status_zero_in_mid_io(struct driver *driver)
{
    for (unsigned int round = 0; round < 3; round++) {
        faults_hold();
        for (unsigned int i = 0; i < 5; i++) {
            blk_begin_read(driver);
        }
        driver_set_status(driver, 0);
        driver_set_status(driver, 0);
        assert_int_not_equal(driver_status(driver), 0);
        faults_release();
        driver_reset(driver);
        driver_check_serves(driver);
    }
}

static void test_msix_vector_beyond_table(struct driver *driver)
{
    const uint16_t vectors[] = { 2, 3, 32, 0x7fff, 0xfffe };

    for (unsigned int i = 0; i < 5; i++) {
        common_write(driver, VIRTIO_PCI_COMMON_MSIX, 2, vectors[i]);
        assert_int_equal(common_read(driver, VIRTIO_PCI_COMMON_MSIX, 2), VIRTIO_MSI_NO_VECTOR);
        common_write(driver, VIRTIO_PCI_COMMON_Q_SELECT, 2, 0);
        common_write(driver, VIRTIO_PCI_COMMON_Q_MSIX, 2, vectors[i]);
        assert_int_equal(common_read(driver, VIRTIO_PCI_COMMON_Q_MSIX, 2), VIRTIO_MSI_NO_VECTOR);
        driver_check_serves(driver);
    }
}

static void test_msix_vector_changes_in_flight(struct driver *driver)
{
    struct machine *const machine = driver->machine;

    faults_hold();
    blk_begin_read(driver);
    common_write(driver, VIRTIO_PCI_COMMON_Q_MSIX, 2, 0);
    faults_release();
    (void)driver_wait(driver);
    assert_true(local_guest_take(machine->guest, driver_msix_interrupt(driver, 0)));
    assert_false(local_guest_take(machine->guest, driver_msix_interrupt(driver, 1)));
    driver_check_serves(driver);
}

static void test_config_generation_and_read_only_fields(struct driver *driver)
{
    struct machine *const machine = driver->machine;
    const struct {
        unsigned int offset, size;
    } fields[] = {
        { VIRTIO_PCI_COMMON_DF, 4 },     { VIRTIO_PCI_COMMON_NUMQ, 2 }, { VIRTIO_PCI_COMMON_CFGGENERATION, 1 },
        { VIRTIO_PCI_COMMON_Q_NOFF, 2 },
    };

    for (unsigned int i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        const uint64_t before = common_read(driver, fields[i].offset, fields[i].size);

        common_write(driver, fields[i].offset, fields[i].size, UINT64_MAX);
        assert_int_equal(common_read(driver, fields[i].offset, fields[i].size), before);
    }
    for (uint64_t offset = 0; offset < sizeof(struct virtio_blk_config); offset++) {
        const uint64_t before = machine_read(machine, driver->config + offset, 1);

        machine_write(machine, driver->config + offset, 1, ~before);
        assert_int_equal(machine_read(machine, driver->config + offset, 1), before);
    }
    driver_check_serves(driver);
}

/*
 * Reads of any size at any offset of every structure, and behind their ends: bytes, and all ones where there are
 * none.
 */
static void test_reads_of_every_size_and_offset(struct driver *driver)
{
    struct machine *const machine = driver->machine;

    common_write(driver, VIRTIO_PCI_COMMON_Q_SELECT, 2, 0);
    for (unsigned int offset = 0; offset < 80; offset++) {
        for (unsigned int size = 1; size <= 8; size *= 2) {
            for (unsigned int i = 0; i < size; i++) {
                const uint64_t byte = offset + i < 56 ? common_read(driver, offset + i, 1) : 0xff;

                assert_int_equal(common_read(driver, offset, size) >> (8 * i) & 0xff, byte);
            }
        }
    }
    assert_int_equal(machine_read(machine, driver->config + sizeof(struct virtio_blk_config) - 1, 8) >> 8,
                     UINT64_MAX >> 8);
    assert_int_equal(machine_read(machine, driver->config + 0xfff, 1), 0xff);
    assert_int_equal(machine_read(machine, driver->notify, 4), UINT32_MAX);
    assert_int_equal(machine_read(machine, driver->isr + 1, 1), 0xff);
    machine_write(machine, driver->isr, 1, 0xff);
    driver_check_serves(driver);
}

/* An access that crosses from one structure into the next answers for the first only. */
static void test_crossing_structures(struct driver *driver)
{
    struct machine *const machine = driver->machine;

    for (unsigned int page = 0; page < 7; page++) {
        machine_write(machine, driver->bar + page * 0x1000 + 0xffc, 8, UINT64_MAX);
        (void)machine_read(machine, driver->bar + page * 0x1000 + 0xffc, 8);
    }
    driver_check_serves(driver);
}

static void test_queue_reset_is_not_there(struct driver *driver)
{
    common_write(driver, VIRTIO_PCI_COMMON_Q_RESET, 2, 1);
    assert_int_equal(common_read(driver, VIRTIO_PCI_COMMON_Q_RESET, 2), 0xffff);
    assert_int_equal(common_read(driver, VIRTIO_PCI_COMMON_Q_ENABLE, 2), 1);
    driver_check_serves(driver);
}

static void kick_everywhere(struct driver *driver)
{
    for (unsigned int size = 1; size <= 8; size *= 2) {
        for (uint64_t offset = 0; offset < 0x1000; offset += offset < 32 ? 1 : 0xf7) {
            machine_write(driver->machine, driver->notify + offset, size, offset * 0x10001);
        }
    }
    machine_settle(driver->machine);
}

static void test_notify_absent_queue_wrong_width_wrong_value(struct driver *driver)
{
    kick_everywhere(driver);
    assert_int_equal(driver_status(driver), DRIVER_RUNNING);
    driver_check_serves(driver);
}

/* The address says which queue; a wrong value there is a notification all the same. */
static void test_notify_wrong_value_still_notifies(struct driver *driver)
{
    const uint64_t values[] = { 1, 0xffff, 0x1234 };

    for (unsigned int i = 0; i < 3; i++) {
        ring_publish(driver, blk_add(driver, 0, VIRTIO_BLK_T_FLUSH, 0, 0));
        machine_write(driver->machine, driver->notify, 2, values[i]);
        assert_int_equal(driver_wait(driver).len, 1);
    }
    driver_check_serves(driver);
}

/* Nor is one that lies beside the queue's address; the next right one finds what there is. */
static void test_notify_of_wrong_width_is_none(struct driver *driver)
{
    struct machine *const machine = driver->machine;

    ring_publish(driver, blk_add(driver, 0, VIRTIO_BLK_T_GET_ID, 0, 20)); /* ends at once */
    machine_write(machine, driver->notify, 1, 0);
    machine_write(machine, driver->notify, 8, 0);
    machine_write(machine, driver->notify + 1, 2, 0);
    machine_write(machine, driver->notify + driver->notify_multiplier, 2, 0);
    (void)machine_read(machine, driver->notify, 2);
    machine_settle(machine);
    assert_false(driver_completed(driver));
    driver_kick(driver);
    assert_int_equal(driver_wait(driver).len, 21);
    driver_check_serves(driver);
}

static void test_notify_in_every_state(struct driver *driver)
{
    kick_everywhere(driver); /* never set up */
    driver_reset(driver);
    kick_everywhere(driver); /* reset */
    driver_negotiate(driver, DRIVER_FEATURES);
    kick_everywhere(driver); /* queue disabled */
    driver_setup_queue(driver);
    driver_enable_queue(driver);
    kick_everywhere(driver); /* before DRIVER_OK */
    driver_set_status(driver, DRIVER_RUNNING);
    driver_check_serves(driver);
    driver_reset(driver);
    kick_everywhere(driver); /* after reset, the old rings still in memory */
    assert_int_equal(driver_status(driver), 0);
    driver_check_serves(driver);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        driver_test(test_queue_size_impossible),
        probe_test(test_smallest_queue),
        probe_test(test_enable_without_addresses),
        driver_test(test_address_impossible),
        probe_test(test_parts_overlap),
        machine_test(test_queues_of_two_devices_overlap, .disks = 2),
        probe_test(test_enable_before_features),
        driver_test(test_features_not_offered),
        driver_test(test_features_left_out),
        driver_test(test_features_without_version_1),
        driver_test(test_features_after_failure),
        probe_test(test_driver_ok_without_features_ok),
        probe_test(test_driver_ok_skipped),
        probe_test(test_driver_ok_without_queues),
        driver_test(test_status_reserved_bits),
        driver_test(test_status_bits_cleared),
        driver_test(test_status_zero_in_mid_io),
    };
    const struct CMUnitTest tests_of_pci[] = {
        driver_test(test_queue_select_beyond),
        driver_test(test_queue_written_after_enable),
        driver_test(test_address_half_written),
        probe_test(test_address_written_as_a_whole),
        driver_test(test_enable_written_wrongly),
        driver_test(test_feature_select_beyond),
        driver_test(test_features_written_after_ok),
        driver_test(test_msix_vector_beyond_table),
        driver_test(test_msix_vector_changes_in_flight),
        driver_test(test_config_generation_and_read_only_fields),
        driver_test(test_reads_of_every_size_and_offset),
        driver_test(test_crossing_structures),
        driver_test(test_queue_reset_is_not_there),
        driver_test(test_notify_absent_queue_wrong_width_wrong_value),
        driver_test(test_notify_wrong_value_still_notifies),
        driver_test(test_notify_of_wrong_width_is_none),
        probe_test(test_notify_in_every_state),
    };
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);

    return getenv("MACHINE_PLAIN") ? failed : failed + cmocka_run_group_tests(tests_of_pci, NULL, NULL);
}
