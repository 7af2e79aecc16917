/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A bridge with GRANTS: the device model reaches nothing but what was granted, maps nothing but rings, and touches
 * nothing any more when the driver is told that a request has ended.
 */
#include <errno.h>
#include <string.h>

#include "driver.h"
#include "faults.h"
#include "platform/grants.h"
#include "platform/platform.h"

#define PAGE PLATFORM_GRANT_PAGE

#define grants_test(test) driver_test(test, .grants = true, .sectors = 4096)

/* The reference that the machine has granted a page of its first bank under. */
static uint32_t reference(uint64_t address)
{
    return (uint32_t)((address - MACHINE_RAM) / PAGE);
}

static uint64_t dma(uint64_t grant_reference, uint64_t offset)
{
    return PLATFORM_GRANT_ADDRESS | grant_reference << 12 | offset;
}

/* Takes back what the driver's data pages [first, last] are granted by, which must work: nothing is in flight. */
static void end_grants(struct driver *driver, uint32_t first, uint32_t last)
{
    const uint32_t data = reference(driver_data_address(driver));

    for (uint32_t page = first; page <= last; page++) {
        assert_true(local_guest_end_grant(driver->machine->guest, data + page));
    }
}

static void grant(struct driver *driver, uint32_t page, bool writable)
{
    const uint64_t address = driver_data_address(driver) + (uint64_t)page * PAGE;

    local_guest_grant(driver->machine->guest, reference(address), address, writable);
}

/* A request whose data the device is told to be at this address, whatever that is; its status, 0xaa for none. */
static uint8_t run(struct driver *driver, uint32_t type, uint64_t address, uint32_t length)
{
    const uint16_t head = blk_add(driver, 0, type, 0, length);

    ring_move(driver, head, 1, address);
    (void)driver_run(driver, head);
    assert_int_equal(local_guest_granted(driver->machine->guest), DRIVER_RING_PAGES);
    return *blk_status(driver, 0);
}

static void expect_refused(struct driver *driver, uint32_t type, uint64_t address, uint32_t length)
{
    const unsigned int calls = faults_calls();

    assert_int_equal(run(driver, type, address, length), VIRTIO_BLK_S_IOERR);
    assert_true(type == VIRTIO_BLK_T_IN || faults_calls() == calls); /* nothing is written that was not read whole */
    driver_check_serves(driver);
}

static void test_features(struct driver *driver)
{
    const uint64_t size_max =
        machine_read(driver->machine, driver->config + offsetof(struct virtio_blk_config, size_max), 4);

    assert_true(driver->features & 1ull << VIRTIO_F_ACCESS_PLATFORM);
    assert_false(driver->features & 1ull << VIRTIO_RING_F_INDIRECT_DESC);
    assert_int_equal(size_max, PLATFORM_GRANT_BYTES);

    /* Drivers that would give guest physical addresses, and one that says one thing and means another. */
    for (unsigned int i = 0; i < 3; i++) {
        const uint32_t upper[] = { 0, 1u << (VIRTIO_F_VERSION_1 - 32), 1u << (VIRTIO_F_ACCESS_PLATFORM - 32) };

        driver_reset(driver);
        driver_set_status(driver, VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER);
        common_write(driver, VIRTIO_PCI_COMMON_GFSELECT, 4, 1);
        common_write(driver, VIRTIO_PCI_COMMON_GF, 4, upper[i]);
        driver_set_status(driver, DRIVER_NEGOTIATED);
        assert_false(driver_status(driver) & VIRTIO_CONFIG_S_FEATURES_OK);
        driver_check_serves(driver);
    }
}

static void test_transfers_of_every_shape(struct driver *driver)
{
    const uint32_t lengths[] = { 512, 4096, 4608, 8192, 65536 };

    for (unsigned int i = 0; i < 5; i++) {
        for (uint64_t offset = 0; offset < PAGE; offset += 1365) {
            uint8_t *const data = (uint8_t *)driver_data(driver) + offset;
            const uint64_t address = machine_dma(driver->machine, driver_data_address(driver) + offset);
            uint64_t word;

            memset(data, 0x3c, lengths[i]);
            assert_int_equal(run(driver, VIRTIO_BLK_T_IN, address, lengths[i]), VIRTIO_BLK_S_OK);
            for (uint32_t at = 0; at < lengths[i]; at += 8) {
                memcpy(&word, data + at, 8);
                assert_int_equal(word, machine_word(at / 8));
            }
            assert_int_equal(run(driver, VIRTIO_BLK_T_OUT, address, lengths[i]), VIRTIO_BLK_S_OK);
        }
    }
    blk_check_pattern(driver, 0, 128); /* what was written is what was read */
}

static void test_address_is_no_grant(struct driver *driver)
{
    const uint32_t data = reference(driver_data_address(driver));

    expect_refused(driver, VIRTIO_BLK_T_IN, driver_data_address(driver), 512); /* guest physical */
    expect_refused(driver, VIRTIO_BLK_T_OUT, driver_data_address(driver), 512);
    expect_refused(driver, VIRTIO_BLK_T_IN, (uint64_t)data << 12, 512);
    for (unsigned int bit = 44; bit < 63; bit++) {
        expect_refused(driver, VIRTIO_BLK_T_IN, dma(data, 0) | 1ull << bit, 512);
    }
    expect_refused(driver, VIRTIO_BLK_T_IN, dma(0xffffffff, 0), 512);
    expect_refused(driver, VIRTIO_BLK_T_IN, dma(0xffffffff, 3840), 512); /* the next reference would be 0 */
    expect_refused(driver, VIRTIO_BLK_T_IN, UINT64_MAX, 512);
}

static void test_not_granted(struct driver *driver)
{
    const uint32_t data = reference(driver_data_address(driver));

    expect_refused(driver, VIRTIO_BLK_T_IN, dma(MACHINE_GRANTS, 0), 512);
    expect_refused(driver, VIRTIO_BLK_T_IN, dma(MACHINE_GRANTS - 1, 3840), 512); /* its end is not granted */

    /* Granted once, and no more. */
    assert_int_equal(run(driver, VIRTIO_BLK_T_IN, dma(data + 9, 0), PAGE), VIRTIO_BLK_S_OK);
    end_grants(driver, 9, 9);
    expect_refused(driver, VIRTIO_BLK_T_IN, dma(data + 9, 0), PAGE);
    expect_refused(driver, VIRTIO_BLK_T_OUT, dma(data + 9, 0), PAGE);
    expect_refused(driver, VIRTIO_BLK_T_IN, dma(data + 8, 3840), 512);
    expect_refused(driver, VIRTIO_BLK_T_IN, dma(data, 0), 65536); /* a hole in the middle */
    assert_int_equal(run(driver, VIRTIO_BLK_T_IN, dma(data + 8, 3584), 512), VIRTIO_BLK_S_OK);
}

static void test_granted_for_reading(struct driver *driver)
{
    const uint32_t data = reference(driver_data_address(driver));

    end_grants(driver, 9, 9);
    grant(driver, 9, false);
    expect_refused(driver, VIRTIO_BLK_T_IN, dma(data + 9, 0), PAGE);
    expect_refused(driver, VIRTIO_BLK_T_IN, dma(data + 8, 0), 2 * PAGE);
    memset((uint8_t *)driver_data(driver) + 9ull * PAGE, 0x3c, PAGE);
    assert_int_equal(run(driver, VIRTIO_BLK_T_OUT, dma(data + 9, 0), 512), VIRTIO_BLK_S_OK);
}

static void test_longer_than_announced(struct driver *driver)
{
    const uint32_t data = reference(driver_data_address(driver));

    expect_refused(driver, VIRTIO_BLK_T_IN, dma(data, 0), PLATFORM_GRANT_BYTES + 512);
    expect_refused(driver, VIRTIO_BLK_T_IN, dma(data, 0), UINT32_MAX - 600);
}

struct witness {
    struct driver *driver;
    uint16_t used; /* the used index when something was copied last */
};

static void look(void *opaque)
{
    struct witness *witness = opaque;

    witness->used = driver_given(witness->driver);
}

/* The driver takes its grants back as soon as it sees the used element. */
static void test_copied_before_the_driver_is_told(struct driver *driver)
{
    struct machine *const machine = driver->machine;
    struct witness witness = { .driver = driver };

    local_guest_interfere(machine->guest, look, &witness);
    for (uint16_t i = 0; i < 3; i++) {
        blk_check_pattern(driver, 0, 8);
        assert_int_equal(driver_given(driver), i + 1);
        assert_int_equal(witness.used, i);
    }
    local_guest_interfere(machine->guest, NULL, NULL);
}

/* There is nowhere to put an error. */
static void test_status_not_granted(struct driver *driver)
{
    struct buffer buffers[3];

    blk_buffers(driver, buffers, 0, VIRTIO_BLK_T_IN, 0, 512);
    buffers[2].address = MACHINE_RAM2;
    driver_check_refused(driver, ring_add(driver, buffers, 3));
    assert_int_equal(local_guest_granted(driver->machine->guest), DRIVER_RING_PAGES);
}

/* One copy for the header, or header and data, one for data and status, and nothing is mapped. */
static void test_system_calls_of_a_request(struct driver *driver)
{
    struct local_counters *const counters = local_guest_counters(driver->machine->guest);
    const uint64_t data = machine_dma(driver->machine, driver_data_address(driver));
    const uint64_t maps = counters->grant_maps;

    for (unsigned int i = 1; i <= 10; i++) {
        counters->grant_copies = 0;
        assert_int_equal(run(driver, VIRTIO_BLK_T_IN, data, PLATFORM_GRANT_BYTES), VIRTIO_BLK_S_OK);
        assert_int_equal(run(driver, VIRTIO_BLK_T_OUT, data, PLATFORM_GRANT_BYTES), VIRTIO_BLK_S_OK);
        assert_int_equal(counters->grant_copies, 4);
    }
    assert_int_equal(counters->grant_maps, maps);
}

/* And no more for many requests, if they come and end together. */
static void test_system_calls_of_many_requests(struct driver *driver)
{
    struct local_counters *const counters = local_guest_counters(driver->machine->guest);

    faults_hold();
    counters->grant_copies = 0;
    for (unsigned int slot = 0; slot < 5; slot++) {
        ring_publish(driver, blk_add(driver, slot, VIRTIO_BLK_T_IN, 8ull * slot, PAGE));
    }
    driver_kick(driver);
    machine_settle(driver->machine);
    assert_int_equal(counters->grant_copies, 1);
    faults_release();
    for (unsigned int slot = 0; slot < 5; slot++) {
        (void)driver_wait(driver);
        assert_int_equal(*blk_status(driver, slot), VIRTIO_BLK_S_OK);
    }
    assert_in_range(counters->grant_copies, 2, 6); /* as they end */
}

/* All headers are in one page of ours, and copied one after the other, whatever is between them in the chains. */
static void test_small_copies_share_a_page(struct driver *driver)
{
    struct local_counters *const counters = local_guest_counters(driver->machine->guest);
    const uint32_t types[] = { VIRTIO_BLK_T_IN, VIRTIO_BLK_T_OUT };

    for (unsigned int i = 0; i < 2; i++) {
        faults_hold();
        counters->grant_pages = 0;
        for (unsigned int slot = 0; slot < 5; slot++) {
            ring_publish(driver, blk_add(driver, slot, types[i], 8ull * slot, PAGE));
        }
        driver_kick(driver);
        machine_settle(driver->machine);
        assert_int_equal(counters->grant_pages, types[i] == VIRTIO_BLK_T_OUT ? 5 + 1 : 1);
        faults_release();
        for (unsigned int slot = 0; slot < 5; slot++) {
            (void)driver_wait(driver);
            assert_int_equal(*blk_status(driver, slot), VIRTIO_BLK_S_OK);
        }
    }
}

/* Not offered, so not known. */
static void test_indirect(struct driver *driver)
{
    struct buffer buffers[3];

    blk_buffers(driver, buffers, 0, VIRTIO_BLK_T_IN, 0, 512);
    driver_check_refused(driver, ring_add_indirect(driver, buffers, 3));
    assert_int_equal(local_guest_granted(driver->machine->guest), DRIVER_RING_PAGES);
}

/* Enabling the queue fails, and leaves nothing mapped; a good queue is taken after a reset. */
static void expect_queue_refused(struct driver *driver, unsigned int offset, uint64_t address)
{
    driver_reset(driver);
    assert_int_equal(local_guest_granted(driver->machine->guest), 0);
    driver_negotiate(driver, DRIVER_FEATURES);
    driver_setup_queue(driver);
    common_write(driver, offset, 4, (uint32_t)address);
    common_write(driver, offset + 4, 4, address >> 32);
    for (unsigned int i = 0; i < 3; i++) {
        driver_enable_queue(driver);
        assert_int_equal(common_read(driver, VIRTIO_PCI_COMMON_Q_ENABLE, 2), 0);
        assert_true(driver_status(driver) & VIRTIO_CONFIG_S_NEEDS_RESET);
        assert_int_equal(local_guest_granted(driver->machine->guest), 0);
    }
    driver_check_serves(driver);
}

static void test_ring_not_granted(struct driver *driver)
{
    struct machine *const machine = driver->machine;
    const unsigned int offsets[] = { VIRTIO_PCI_COMMON_Q_DESCLO, VIRTIO_PCI_COMMON_Q_AVAILLO,
                                     VIRTIO_PCI_COMMON_Q_USEDLO };
    const unsigned int rings[] = { DRIVER_DESCRIPTORS, DRIVER_AVAILABLE, DRIVER_USED };

    for (unsigned int i = 0; i < 3; i++) {
        expect_queue_refused(driver, offsets[i], driver->memory + rings[i]); /* guest physical */
        expect_queue_refused(driver, offsets[i], dma(MACHINE_GRANTS, 0));
        if (!driver->packed || i == 0) {
            expect_queue_refused(driver, offsets[i], dma(MACHINE_GRANTS - 1, PAGE - 16)); /* its end is not granted */
        }
    }
    driver_reset(driver);
    assert_true(local_guest_end_grant(machine->guest, reference(driver->memory + DRIVER_USED)));
    local_guest_grant(machine->guest, reference(driver->memory + DRIVER_USED), driver->memory + DRIVER_USED, false);
    driver_negotiate(driver, DRIVER_FEATURES);
    driver_setup_queue(driver);
    driver_enable_queue(driver);
    assert_int_equal(common_read(driver, VIRTIO_PCI_COMMON_Q_ENABLE, 2), 0);
    assert_int_equal(local_guest_granted(machine->guest), 0);
}

/* Every head of a split queue leads into the same long chain: there is no more to reach, nor to be mapped. */
static void test_chains_that_share_descriptors(struct driver *driver)
{
    struct machine *const machine = driver->machine;

    if (driver->packed) {
        return;
    }
    *ring_descriptor(driver, 0) = (struct vring_desc){
        .addr = machine_dma(machine, blk_header(driver, 0, VIRTIO_BLK_T_IN, 0)), .len = 16,
        .flags = VRING_DESC_F_NEXT, .next = 8,
    };
    for (uint16_t head = 1; head < 8; head++) {
        *ring_descriptor(driver, head) = *ring_descriptor(driver, 0);
    }
    for (uint16_t index = 8; index < 16; index++) {
        *ring_descriptor(driver, index) = (struct vring_desc){
            .addr = machine_dma(machine, driver_data_address(driver) + index * 512ull), .len = 512,
            .flags = VRING_DESC_F_WRITE | (index < 15 ? VRING_DESC_F_NEXT : 0), .next = (uint16_t)(index + 1),
        };
    }
    faults_hold();
    ring_descriptor(driver, 15)->len = 1;
    for (uint16_t head = 0; head < 8; head++) {
        ring_publish(driver, head);
    }
    driver_kick(driver);
    machine_settle(machine);
    assert_int_equal(faults_held(), 8);
    assert_int_equal(local_guest_granted(machine->guest), DRIVER_RING_PAGES);
    faults_release();
    for (uint16_t head = 0; head < 8; head++) {
        (void)driver_wait(driver);
    }
    assert_int_equal(local_guest_granted(machine->guest), DRIVER_RING_PAGES);
    driver_check_serves(driver);
}

/* As many good requests as there is room for are all served at once. */
static void test_full_queue(struct driver *driver)
{
    struct machine *const machine = driver->machine;

    faults_hold();
    for (unsigned int slot = 0; slot < DRIVER_QUEUE_SIZE / 4; slot++) {
        const struct buffer buffers[4] = {
            { blk_header(driver, slot, VIRTIO_BLK_T_IN, 0), 16, false },
            { driver_data_address(driver) + slot * 0x20800ull, PLATFORM_GRANT_BYTES, true },
            { driver_data_address(driver) + slot * 0x20800ull + 0x10000, PLATFORM_GRANT_BYTES, true },
            { blk_status_address(driver, slot), 1, true },
        };

        ring_publish(driver, ring_add(driver, buffers, 4));
    }
    driver_kick(driver);
    machine_settle(machine);
    assert_int_equal(faults_held(), DRIVER_QUEUE_SIZE / 4);
    faults_release();
    for (unsigned int slot = 0; slot < DRIVER_QUEUE_SIZE / 4; slot++) {
        (void)driver_wait(driver);
        assert_int_equal(*blk_status(driver, slot), VIRTIO_BLK_S_OK);
    }
    assert_int_equal(local_guest_granted(machine->guest), DRIVER_RING_PAGES);
}

/* The driver may take its grants back at once, and whatever ends later writes nothing any more. */
static void test_reset_during_a_request(struct driver *driver)
{
    struct machine *const machine = driver->machine;

    faults_hold();
    memset(driver_data(driver), 0x55, PAGE);
    blk_begin_read(driver);
    machine_settle(machine);
    driver_set_status(driver, 0);
    machine_settle(machine);
    assert_int_not_equal(driver_status(driver), 0);
    end_grants(driver, 0, 0);
    faults_release();
    machine_settle(machine);
    assert_int_equal(driver_status(driver), 0);
    assert_int_equal(local_guest_granted(machine->guest), 0);
    assert_int_equal(*(uint8_t *)driver_data(driver), 0x55);
    grant(driver, 0, true);
    driver_check_serves(driver);
}

/* Taken back while the disk is busy: an error, or, when it is the place of the status, none can be told. */
static void test_grants_taken_back_during_a_request(struct driver *driver)
{
    struct machine *const machine = driver->machine;
    const uint64_t status = blk_status_address(driver, 0) & ~(PAGE - 1ull);

    faults_hold();
    blk_begin_read(driver);
    machine_settle(machine);
    end_grants(driver, 0, 0);
    faults_release();
    assert_int_equal(driver_wait(driver).len, 0);
    assert_int_equal(*blk_status(driver, 0), VIRTIO_BLK_S_IOERR);
    grant(driver, 0, true);
    driver_check_serves(driver);

    faults_hold();
    blk_begin_read(driver);
    machine_settle(machine);
    assert_true(local_guest_end_grant(machine->guest, reference(status)));
    faults_release();
    machine_settle(machine);
    local_guest_grant(machine->guest, reference(status), status, true);
    driver_check_needs_reset(driver);
}

static void test_copying_fails(struct driver *driver)
{
    struct machine *const machine = driver->machine;

    local_guest_refuse_memory(machine->guest, true);
    blk_begin_read(driver);
    machine_settle(machine);
    local_guest_refuse_memory(machine->guest, false);
    driver_check_needs_reset(driver);
    assert_int_equal(local_guest_granted(machine->guest), DRIVER_RING_PAGES);
}

static void test_addresses(void **state)
{
    struct platform_grants grants;

    (void)state;
    assert_int_equal(platform_grants_decode(dma(7, 0), 0, &grants), -EINVAL);
    assert_int_equal(platform_grants_decode(dma(7, 0), PLATFORM_GRANT_BYTES + 1, &grants), -EINVAL);
    assert_int_equal(platform_grants_decode(7 << 12, 1, &grants), -EINVAL);
    assert_int_equal(platform_grants_decode(dma(1ull << 32, 0), 1, &grants), -EINVAL);
    assert_int_equal(platform_grants_decode(dma(0xffffffff, 4095), 2, &grants), -EINVAL);
    assert_int_equal(platform_grants_decode(dma(0xffffffff, 4095), 1, &grants), 0);
    assert_int_equal(grants.first, 0xffffffff);
    assert_int_equal(grants.count, 1);
    assert_int_equal(grants.offset, 4095);
    assert_int_equal(platform_grants_decode(dma(7, 4095), 2, &grants), 0);
    assert_int_equal(grants.count, 2);
    assert_int_equal(platform_grants_decode(dma(7, 0), PLATFORM_GRANT_BYTES, &grants), 0);
    assert_int_equal(grants.count, 16);
    assert_int_equal(platform_grants_decode(dma(7, 4095), PLATFORM_GRANT_BYTES, &grants), 0);
    assert_int_equal(grants.count, 17);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_addresses),
        grants_test(test_features),
        grants_test(test_transfers_of_every_shape),
        grants_test(test_address_is_no_grant),
        grants_test(test_not_granted),
        grants_test(test_granted_for_reading),
        grants_test(test_longer_than_announced),
        grants_test(test_copied_before_the_driver_is_told),
        grants_test(test_status_not_granted),
        grants_test(test_system_calls_of_a_request),
        grants_test(test_system_calls_of_many_requests),
        grants_test(test_small_copies_share_a_page),
        grants_test(test_indirect),
        grants_test(test_ring_not_granted),
        grants_test(test_chains_that_share_descriptors),
        grants_test(test_full_queue),
        grants_test(test_reset_during_a_request),
        grants_test(test_grants_taken_back_during_a_request),
        grants_test(test_copying_fails),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
