/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The random numbers that a guest gets: that they are some, how fast they come, and that a driver that breaks the rules
 * does no harm, not to the disk beside it either. Device 1 is a disk, device 2 gives random numbers.
 */
#include "driver.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>
#include <sys/types.h>

#include <linux/virtio_ids.h>

#include "devices/rng.h"

#define FAST    0x1000000u
#define SLOW    8000u
#define BURST   (SLOW / 8)
#define BYTES   64u /* what Linux asks for at once */
#define SECOND  1000u

/* Of the kernel's function, which the device calls: */
static unsigned int calls;
static int failing; /* errno of each; 0: none */

ssize_t __real_getrandom(void *buffer, size_t length, unsigned int flags);
ssize_t __wrap_getrandom(void *buffer, size_t length, unsigned int flags);

ssize_t __wrap_getrandom(void *buffer, size_t length, unsigned int flags)
{
    calls++;
    assert_true(flags & GRND_NONBLOCK);
    if (failing) {
        errno = failing;
        return -1;
    }
    return __real_getrandom(buffer, length, flags);
}

static const struct rng_options fast = { .rate = FAST };
static const struct rng_options slow = { .rate = SLOW };

static void start(struct driver *driver)
{
    driver_start(driver, DRIVER_FEATURES);
    memset(driver_data(driver), 0, 0x80000);
}

static void run(void **state)
{
    const struct driver_test *test = *state;
    struct machine machine;
    struct driver driver;

    machine_start(&machine, &test->options);
    driver_probe_kind(&driver, &machine, 2, VIRTIO_ID_RNG, RNG_QUEUE_SIZE);
    failing = 0;
    start(&driver);
    test->test(&driver);
    machine_finish(&machine);
}

#define rng_test(test, rate, ...) \
    { #test, run, NULL, NULL, \
      &(struct driver_test){ test, true, { .beside = { .kind = &rng_kind, .options = &(rate) }, __VA_ARGS__ } } }

/* Publishes a buffer for `length` bytes at this place of the data, and notifies if that is wanted. */
static uint16_t ask(struct driver *driver, uint32_t offset, uint32_t length)
{
    const struct buffer buffer = { driver_data_address(driver) + offset, length, true };
    const uint16_t head = ring_add(driver, &buffer, 1);

    ring_publish(driver, head);
    driver_notify(driver);
    return head;
}

/* Bytes that one buffer brings; there is at least one. */
static uint32_t get(struct driver *driver, uint32_t offset, uint32_t length)
{
    const uint16_t head = ask(driver, offset, length);
    const struct vring_used_elem element = driver_wait(driver);

    assert_int_equal(element.id, head);
    assert_in_range(element.len, 1, length);
    return element.len;
}

static void get_all(struct driver *driver, uint32_t offset, uint32_t length)
{
    for (uint32_t done = 0; done < length;) {
        const uint32_t part = length - done < 0x4000 ? length - done : 0x4000;

        done += get(driver, offset + done, part);
    }
}

static void check_serves(struct driver *driver)
{
    if (driver_status(driver) != DRIVER_RUNNING) {
        start(driver);
    }
    (void)get(driver, 0, BYTES);
}

/* Of 20,000 bits, as FIPS 140-2 judged them: how many are set, and how often each value of four comes. */
static void check_random(const uint8_t *bytes)
{
    unsigned int set = 0, count[16] = { 0 };
    double squares = 0;

    for (unsigned int i = 0; i < 2500; i++) {
        set += (unsigned int)__builtin_popcount(bytes[i]);
        count[bytes[i] >> 4]++;
        count[bytes[i] & 15]++;
    }
    for (unsigned int i = 0; i < 16; i++) {
        squares += (double)count[i] * count[i];
    }
    squares = squares * 16 / 5000 - 5000;
    assert_in_range(set, 9600, 10400); /* wider than theirs: one in 10^8 is outside */
    assert_true(squares > 1 && squares < 75);
}

static void test_numbers_are_random(struct driver *driver)
{
    uint8_t *data = driver_data(driver);

    get_all(driver, 0, 0x80000);
    for (unsigned int i = 0; i + 2500 <= 0x80000; i += 2500) {
        check_random(data + i);
    }
}

static void test_no_number_comes_twice(struct driver *driver)
{
    uint8_t *data = driver_data(driver);

    for (uint32_t i = 0; i < 64; i++) {
        get_all(driver, i * BYTES, BYTES);
        for (uint32_t j = 0; j < i; j++) {
            assert_memory_not_equal(data + i * BYTES, data + j * BYTES, BYTES);
        }
    }
}

/* What is beyond the end of a buffer, or of what was written, is as it was. */
static void test_no_more_is_written_than_is_said(struct driver *driver)
{
    uint8_t *data = driver_data(driver);

    for (uint32_t length = 1; length < 300; length += 7) {
        memset(data, 0, 0x1000);
        get_all(driver, 0, length);
        for (uint32_t i = length; i < 0x1000; i++) {
            assert_int_equal(data[i], 0);
        }
    }
}

/* Never more than the rate and one burst, whatever the driver asks for; and not much less. */
static void test_rate_is_held(struct driver *driver)
{
    const uint64_t begin = machine_now();
    uint64_t given = 0;

    while (machine_now() - begin < SECOND) {
        given += get(driver, 0, BYTES);
        assert_true(given <= BURST + (machine_now() - begin + 1) * SLOW / SECOND);
    }
    assert_true(given >= SLOW / 2);
    /* What is not asked for is not saved up. */
    while (machine_now() - begin < 2 * SECOND) {
        machine_turn(driver->machine);
    }
    given = 0;
    for (uint64_t now = machine_now(); machine_now() - now < 20;) {
        driver_kick(driver);
        given += driver_completed(driver) ? driver_wait(driver).len : 0;
        if (ring_available(driver)->idx == driver->used) {
            (void)ask(driver, 0, BYTES);
        }
    }
    assert_true(given >= BURST && given <= BURST + 200 * SLOW / SECOND);
}

/* Eight times a second the timer, and nothing else; the disk is served meanwhile. */
static void test_waiting_costs_nothing(struct driver *driver)
{
    struct driver disk;
    uint64_t begin;

    get_all(driver, 0, BURST);
    for (uint32_t i = 0; i < 4; i++) {
        (void)ask(driver, i * BURST, BURST); /* each as much as comes in a period */
    }
    machine_settle(driver->machine);
    driver_probe(&disk, driver->machine, 1);
    driver_start(&disk, DRIVER_FEATURES);
    calls = 0;
    for (begin = machine_now(); machine_now() - begin < 400;) {
        blk_check_pattern(&disk, 3, 8);
    }
    assert_in_range(calls, 2, 4);
}

static void test_reset_while_it_waits(struct driver *driver)
{
    for (unsigned int i = 0; i < 3; i++) {
        get_all(driver, 0, BURST);
        for (uint32_t slot = 0; slot < DRIVER_QUEUE_SIZE; slot++) {
            (void)ask(driver, slot * BYTES, BYTES);
        }
        machine_settle(driver->machine);
        driver_reset(driver);
        memset(driver_data(driver), 0x77, BURST);
        machine_settle(driver->machine);
        for (uint32_t byte = 0; byte < BURST; byte++) {
            assert_int_equal(((uint8_t *)driver_data(driver))[byte], 0x77);
        }
        start(driver);
        check_serves(driver);
    }
    (void)ask(driver, 0, BURST);
    (void)ask(driver, 0, BURST); /* still waits when the model is stopped */
}

/* A driver that resets gains nothing by it. */
static void test_reset_gives_no_credit(struct driver *driver)
{
    const uint64_t begin = machine_now();
    uint64_t given = 0;

    while (machine_now() - begin < SECOND / 2) {
        given += get(driver, 0, BYTES);
        start(driver);
    }
    assert_true(given <= BURST + (machine_now() - begin + 1) * SLOW / SECOND);
}

/* Soon after the boot the host's kernel may have no random numbers yet: the guest waits for them. */
static void test_kernel_has_none_yet(struct driver *driver)
{
    failing = EAGAIN;
    (void)ask(driver, 0, BYTES);
    machine_settle(driver->machine);
    assert_false(driver_completed(driver));
    assert_int_equal(driver_status(driver), DRIVER_RUNNING);
    failing = 0;
    assert_int_equal(driver_wait(driver).len, BYTES);
}

/* From here on what a driver must not do. Refused is a chain that has no room, or none that can be written. */
static void check_refused(struct driver *driver, uint16_t head)
{
    ring_publish(driver, head);
    driver_kick(driver);
    machine_settle(driver->machine);
    assert_true(driver_status(driver) & VIRTIO_CONFIG_S_NEEDS_RESET);
    assert_false(driver_completed(driver));
    check_serves(driver);
}

static void test_readable_buffer_alone(struct driver *driver)
{
    const struct buffer buffer = { driver_data_address(driver), BYTES, false };

    check_refused(driver, ring_add(driver, &buffer, 1));
}

static void test_readable_buffer_before(struct driver *driver)
{
    const struct buffer buffers[] = {
        { driver_data_address(driver), BYTES, false }, { driver_data_address(driver) + BYTES, BYTES, true },
    };
    const uint8_t *data = driver_data(driver);

    assert_int_equal(driver_run(driver, ring_add(driver, buffers, 2)), BYTES);
    for (uint32_t i = 0; i < BYTES; i++) {
        assert_int_equal(data[i], 0);
    }
    check_serves(driver);
}

static void test_zero_length(struct driver *driver)
{
    struct buffer buffers[] = {
        { driver_data_address(driver), 0, true }, { driver_data_address(driver), 3, true },
        { driver_data_address(driver), 0, true },
    };

    check_refused(driver, ring_add(driver, buffers, 1));
    if (!(driver->machine->bridge.flags & BRIDGE_FLAG_GRANTS)) {
        assert_int_equal(driver_run(driver, ring_add(driver, buffers, 3)), 3);
    }
    check_serves(driver);
}

/* Larger than all that may be given at once, of one piece or of many. */
static void test_huge(struct driver *driver)
{
    struct buffer buffers[DRIVER_QUEUE_SIZE];

    for (unsigned int i = 0; i < DRIVER_QUEUE_SIZE; i++) {
        buffers[i] = (struct buffer){ driver_data_address(driver) + i * 0x8000, 0x8000, true };
    }
    assert_in_range(driver_run(driver, ring_add(driver, buffers, DRIVER_QUEUE_SIZE)), 1, BURST);
    if (!(driver->machine->bridge.flags & BRIDGE_FLAG_GRANTS)) {
        const struct buffer half = { MACHINE_RAM + MACHINE_BANK / 2, MACHINE_BANK / 2, true };

        assert_in_range(driver_run(driver, ring_add(driver, &half, 1)), 1, BURST);
    }
    check_serves(driver);
}

static void test_outside_memory(struct driver *driver)
{
    const struct buffer buffers[] = {
        { MACHINE_RAM_END, BYTES, true },
        { MACHINE_RAM_END - 8, BYTES, true },
        { MACHINE_RAM - 4096, BYTES, true },
        { UINT64_MAX - 8, BYTES, true },
    };

    for (unsigned int i = 0; i < sizeof(buffers) / sizeof(buffers[0]); i++) {
        check_refused(driver, ring_add(driver, &buffers[i], 1));
    }
}

static void test_chain_without_end(struct driver *driver)
{
    const struct buffer buffer = { driver_data_address(driver), BYTES, true };
    const uint16_t head = ring_add(driver, &buffer, 1);

    ring_descriptor(driver, head)->flags |= VRING_DESC_F_NEXT;
    ring_descriptor(driver, head)->next = head;
    check_refused(driver, head);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        rng_test(test_numbers_are_random, fast),
        rng_test(test_no_number_comes_twice, fast),
        rng_test(test_no_number_comes_twice, fast, .intx_only = true),
        rng_test(test_no_more_is_written_than_is_said, fast),
        rng_test(test_rate_is_held, slow),
        rng_test(test_waiting_costs_nothing, slow),
        rng_test(test_reset_while_it_waits, slow),
        rng_test(test_reset_gives_no_credit, slow),
        rng_test(test_kernel_has_none_yet, fast),
        rng_test(test_readable_buffer_alone, fast),
        rng_test(test_readable_buffer_before, fast),
        rng_test(test_zero_length, fast),
        rng_test(test_huge, slow),
        rng_test(test_outside_memory, fast),
        rng_test(test_chain_without_end, fast),
    };

    return cmocka_run_group_tests_name("rng", tests, NULL, NULL);
}
