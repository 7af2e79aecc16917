/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Requests on the ioreq page that no instruction of an Arm guest makes, and a page that changes while it is looked at.
 *
 * Not here, since they are matters of xen.c and have no counterpart on the local platform: a bogus event channel
 * port, an event for a vCPU that does not exist, more than 128 vCPUs.
 */
#include <pthread.h>
#include <string.h>

#include "driver.h"

/* A good request, to be spoilt: a read or write of the command register. */
static struct ioreq good_request(const struct machine *machine, bool write)
{
    return (struct ioreq){
        .addr = machine->bridge.ecam.base + 0x8000 + PCI_COMMAND,
        .data = 0,
        .count = 1,
        .size = 2,
        .state = STATE_IOREQ_READY,
        .dir = write ? IOREQ_WRITE : IOREQ_READ,
        .type = IOREQ_TYPE_COPY,
    };
}

static uint64_t counted(struct machine *machine, enum platform_request_fault fault)
{
    return local_guest_counters(machine->guest)->requests.requests[fault];
}

/*
 * Both directions of a spoilt request: it is answered; a read gives all ones, a write does nothing; it is counted as
 * what it is; the next good request is served.
 */
static void check_malformed(struct driver *driver, struct ioreq spoilt, enum platform_request_fault fault)
{
    struct machine *machine = driver->machine;
    const uint64_t before = counted(machine, fault);
    const uint64_t command = config_read(driver, PCI_COMMAND, 2);

    for (unsigned int write = 0; write < 2; write++) {
        struct ioreq slot = spoilt;

        slot.dir = write ? IOREQ_WRITE : IOREQ_READ;
        local_guest_inject(machine->guest, 0, &slot);
        if (!write) {
            assert_int_equal(slot.data, platform_request_ones(spoilt.size));
        }
        assert_int_equal(config_read(driver, PCI_COMMAND, 2), command);
    }
    assert_int_equal(counted(machine, fault), before + 2);
    driver_check_serves(driver);
}

static void test_type_unknown(struct driver *driver)
{
    const uint8_t types[] = {
        IOREQ_TYPE_PIO, 3, IOREQ_TYPE_TIMEOFFSET, 255,
    };
    struct ioreq slot = good_request(driver->machine, false);

    for (unsigned int i = 0; i < sizeof(types); i++) {
        slot.type = types[i];
        check_malformed(driver, slot, PLATFORM_REQUEST_TYPE);
    }
}

static void test_size_not_an_access_size(struct driver *driver)
{
    const uint32_t sizes[] = { 0, 3, 5, 6, 7, 9, 16, 64, 0x80000000, UINT32_MAX };
    struct ioreq slot = good_request(driver->machine, false);

    for (unsigned int i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        slot.size = sizes[i];
        check_malformed(driver, slot, PLATFORM_REQUEST_SIZE);
    }
}

static void test_count_not_one(struct driver *driver)
{
    const uint32_t counts[] = { 0, 2, 0x10000, UINT32_MAX };
    struct ioreq slot = good_request(driver->machine, false);

    for (unsigned int i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
        slot.count = counts[i];
        check_malformed(driver, slot, PLATFORM_REQUEST_COUNT);
    }
}

static void test_data_is_pointer(struct driver *driver)
{
    struct ioreq slot = good_request(driver->machine, false);

    slot.data_is_ptr = 1;
    slot.data = MACHINE_RAM;
    check_malformed(driver, slot, PLATFORM_REQUEST_POINTER);
}

static void test_runs_backwards(struct driver *driver)
{
    struct ioreq slot = good_request(driver->machine, false);

    slot.df = 1;
    check_malformed(driver, slot, PLATFORM_REQUEST_DIRECTION);
}

static void test_address_wraps(struct driver *driver)
{
    struct ioreq slot = good_request(driver->machine, false);

    slot.addr = UINT64_MAX;
    check_malformed(driver, slot, PLATFORM_REQUEST_ADDRESS);
    slot.addr = UINT64_MAX - 2;
    slot.size = 4;
    check_malformed(driver, slot, PLATFORM_REQUEST_ADDRESS);
}

/* A request for configuration space as Xen makes it: segment at bit 48, bus 40, device 35, function 32, offset 0. */
static void test_config_space(struct driver *driver)
{
    struct machine *const machine = driver->machine;
    const uint64_t command = 1ull << 35 | PCI_COMMAND;
    const struct {
        uint64_t address;
        uint32_t size;
    } spoilt[] = {
        { 1ull << 48 | command, 2 },        /* another bridge's */
        { 0xffffull << 48 | command, 2 },
        { 2ull << 40, 2 },                  /* past the last bus */
        { 0xffffull << 32, 2 },
        { 1ull << 35 | 0x1000, 1 },         /* past the last register */
        { 1ull << 35 | 0xfff, 2 },
        { 1ull << 35 | 0xffc, 8 },
        { 1ull << 35 | 0x80000000, 4 },
        { 1ull << 35 | 0xffffffff, 1 },
        { UINT64_MAX, 8 },
    };
    struct ioreq slot = good_request(machine, false);

    slot.type = IOREQ_TYPE_PCI_CONFIG;
    for (unsigned int i = 0; i < sizeof(spoilt) / sizeof(spoilt[0]); i++) {
        slot.addr = spoilt[i].address;
        slot.size = spoilt[i].size;
        check_malformed(driver, slot, PLATFORM_REQUEST_ADDRESS);
    }
    slot.addr = command;
    slot.size = 2;
    slot.state = STATE_IOREQ_READY;
    local_guest_inject(machine->guest, 0, &slot);
    assert_int_equal(slot.data, config_read(driver, PCI_COMMAND, 2));
    slot.addr = 1ull << 40 | 0x1full << 35 | 7ull << 32 | 0xff8; /* the last doubleword of the window: nobody there */
    slot.size = 8;
    slot.state = STATE_IOREQ_READY;
    local_guest_inject(machine->guest, 0, &slot);
    assert_int_equal(slot.data, UINT64_MAX);
    assert_int_equal(counted(machine, PLATFORM_REQUEST_ADDRESS), 2 * sizeof(spoilt) / sizeof(spoilt[0]));
}

static void test_address_outside_every_range(struct driver *driver)
{
    struct machine *const machine = driver->machine;
    const uint64_t *const ram = machine_memory(machine, MACHINE_RAM, 8);

    for (unsigned int i = 0; i < 6; i++) {
        const uint64_t addresses[] = {
            0, MACHINE_RAM, machine->bridge.ecam.base - 8, machine->bridge.ecam.base + machine->bridge.ecam.size,
            machine->bridge.memory.base, UINT64_MAX - 7,
        };
        struct ioreq slot = good_request(machine, false);
        const uint64_t kept = *ram;

        slot.addr = addresses[i];
        slot.size = 8;
        local_guest_inject(machine->guest, 0, &slot);
        assert_int_equal(slot.data, UINT64_MAX);
        slot.dir = IOREQ_WRITE;
        slot.state = STATE_IOREQ_READY;
        slot.data = 0x1111;
        local_guest_inject(machine->guest, 0, &slot);
        assert_int_equal(*ram, kept);
        driver_check_serves(driver);
    }
}

static void inject_everywhere(struct driver *driver, uint64_t address, uint32_t size)
{
    struct ioreq slot = good_request(driver->machine, false);

    slot.addr = address;
    slot.size = size;
    local_guest_inject(driver->machine->guest, 0, &slot);
    assert_int_equal(slot.data, platform_request_ones(size));
    slot.state = STATE_IOREQ_READY;
    slot.dir = IOREQ_WRITE;
    slot.data = 0;
    local_guest_inject(driver->machine->guest, 0, &slot);
    driver_check_serves(driver);
}

static void test_straddles_ecam_end(struct driver *driver)
{
    struct machine *const machine = driver->machine;
    const uint64_t end = machine->bridge.ecam.base + machine->bridge.ecam.size;

    inject_everywhere(driver, end - 4, 8);
    inject_everywhere(driver, end - 1, 2);
    inject_everywhere(driver, machine->bridge.ecam.base - 1, 2);
}

static void test_straddles_two_functions(struct driver *driver)
{
    struct machine *const machine = driver->machine;

    inject_everywhere(driver, machine->bridge.ecam.base + 0x8ffc, 8);
    inject_everywhere(driver, machine->bridge.ecam.base + 0x7fff, 2);
}

static void test_straddles_two_bars(struct driver *driver)
{
    struct machine *const machine = driver->machine;

    machine_config_write(machine, 2, PCI_BASE_ADDRESS_0, 8, driver->bar + DRIVER_BAR_SIZE);
    machine_config_write(machine, 2, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
    assert_true(local_guest_claimed(machine->guest, driver->bar + DRIVER_BAR_SIZE));
    inject_everywhere(driver, driver->bar + DRIVER_BAR_SIZE - 4, 8);
    inject_everywhere(driver, driver->bar - 4, 8);
}

/* States in which a slot holds no request of ours, or one that an earlier device model left half done. */
static void test_state_is_not_ready(struct driver *driver)
{
    struct machine *const machine = driver->machine;
    struct ioreq *posted;

    for (unsigned int value = 0; value < 16; value++) {
        struct ioreq slot = good_request(machine, false);
        const bool answered = value == STATE_IOREQ_READY || value == STATE_IOREQ_INPROCESS;

        slot.state = value & 0xf;
        slot.data = 0x5555;
        posted = local_guest_post(machine->guest, 1, &slot);
        machine_settle(machine);
        assert_int_equal(platform_request_state(posted), answered ? STATE_IORESP_READY : value);
        assert_int_equal(posted->data, answered ? config_read(driver, PCI_COMMAND, 2) : 0x5555);
        posted->state = STATE_IOREQ_NONE;
        driver_check_serves(driver);
    }
}

static void test_spurious_events(struct driver *driver)
{
    struct machine *const machine = driver->machine;

    for (unsigned int i = 0; i < 100; i++) {
        const uint64_t answers = local_guest_counters(machine->guest)->answers;

        local_guest_event(machine->guest);
        machine_turn(machine);
        assert_int_equal(local_guest_counters(machine->guest)->answers, answers);
    }
    driver_check_serves(driver);
}

/* All vCPUs at once. */
static void test_every_vcpu_waits(struct driver *driver)
{
    struct machine *const machine = driver->machine;
    struct ioreq *posted[LOCAL_VCPUS];

    for (unsigned int vcpu = 0; vcpu < LOCAL_VCPUS; vcpu++) {
        const struct ioreq slot = good_request(machine, false);

        posted[vcpu] = local_guest_post(machine->guest, vcpu, &slot);
    }
    machine_settle(machine);
    for (unsigned int vcpu = 0; vcpu < LOCAL_VCPUS; vcpu++) {
        assert_int_equal(platform_request_state(posted[vcpu]), STATE_IORESP_READY);
        posted[vcpu]->state = STATE_IOREQ_NONE;
    }
    driver_check_serves(driver);
}

static void test_vp_eport_bogus(struct driver *driver)
{
    struct machine *const machine = driver->machine;
    struct ioreq slot = good_request(machine, false);

    slot.vp_eport = UINT32_MAX;
    local_guest_inject(machine->guest, 0, &slot);
    assert_int_equal(slot.data, config_read(driver, PCI_COMMAND, 2));
    driver_check_serves(driver);
}

struct scribbler {
    struct ioreq *slot;
    bool stop;
};

/* Writes everything but the state, which the device model owns meanwhile. */
static void *scribble(void *opaque)
{
    struct scribbler *scribbler = opaque;
    volatile uint64_t *words = (volatile uint64_t *)(void *)scribbler->slot;

    for (uint64_t i = 1; !__atomic_load_n(&scribbler->stop, __ATOMIC_RELAXED); i++) {
        words[0] = i * 0x9e3779b97f4a7c15ull;
        words[2] = i % 3 ? 0x0000000400000001ull : i * 0xda942042e4dd58b5ull;
        ((volatile uint8_t *)words)[31] = (uint8_t)(i % 4 ? IOREQ_TYPE_COPY + i % 2 : i);
    }
    return NULL;
}

static uint64_t judging_access(void *opaque, uint64_t address, unsigned int size, bool write, uint64_t data)
{
    (void)opaque, (void)write;
    assert_true(size == 1 || size == 2 || size == 4 || size == 8);
    assert_true(address <= UINT64_MAX - (size - 1));
    assert_true((data & ~platform_request_ones(size)) == 0);
    return UINT64_MAX;
}

/* XSA-197: what was judged is what is used, however the page changes. */
static void test_slot_changes_under_us(void **state)
{
    const struct platform_config_space space = { .ecam = { 0x10000000, 0x100000 } };
    struct platform_request_counters counters = { { 0 } };
    struct ioreq slot __attribute__((aligned(8)));
    struct scribbler scribbler = { .slot = &slot };
    const uint64_t deadline = machine_now() + 20000;
    uint64_t good = 0, served = 0;
    enum platform_request_result result;
    pthread_t thread;

    (void)state;
    memset(&slot, 0, sizeof(slot));
    assert_int_equal(pthread_create(&thread, NULL, scribble, &scribbler), 0);
    /* Both kinds, many times: that takes a moment, until both threads run. */
    while (good < 10000 || served - good < 10000) {
        __atomic_store_n((uint8_t *)&slot + 30, STATE_IOREQ_READY | (served % 2 ? 0x20 : 0), __ATOMIC_RELEASE);
        result = platform_request_serve(&slot, &space, judging_access, NULL, &counters);
        assert_true(result == PLATFORM_REQUEST_ANSWERED ||
                    (result == PLATFORM_REQUEST_TAKEN && platform_request_answer(&slot)));
        assert_int_equal(platform_request_state(&slot), STATE_IORESP_READY);
        good = counters.requests[PLATFORM_REQUEST_GOOD];
        served++;
        machine_check_deadline(deadline, "a good request");
    }
    __atomic_store_n(&scribbler.stop, true, __ATOMIC_RELAXED);
    assert_int_equal(pthread_join(thread, NULL), 0);
    for (unsigned int i = 0; i < PLATFORM_REQUEST_FAULTS; i++) {
        served -= counters.requests[i];
    }
    assert_int_equal(served, 0);
}

/* A request that is written as a read and turned round: the direction is the copy's. */
static void test_direction_flips(struct driver *driver)
{
    struct machine *const machine = driver->machine;
    struct ioreq slot, *posted;
    const uint64_t command = config_read(driver, PCI_COMMAND, 2);

    slot = good_request(machine, true);
    posted = local_guest_post(machine->guest, 1, &slot);
    posted->dir = IOREQ_READ;
    machine_settle(machine);
    assert_int_equal(posted->data, command);
    assert_int_equal(config_read(driver, PCI_COMMAND, 2), command);
    posted->state = STATE_IOREQ_NONE;
    driver_check_serves(driver);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        driver_test(test_type_unknown, .disks = 2),
        driver_test(test_size_not_an_access_size, .disks = 2),
        driver_test(test_count_not_one, .disks = 2),
        driver_test(test_data_is_pointer, .disks = 2),
        driver_test(test_runs_backwards, .disks = 2),
        driver_test(test_address_wraps, .disks = 2),
        driver_test(test_config_space, .disks = 2),
        driver_test(test_address_outside_every_range, .disks = 2),
        driver_test(test_straddles_ecam_end, .disks = 2),
        driver_test(test_straddles_two_functions, .disks = 2),
        driver_test(test_straddles_two_bars, .disks = 2),
        driver_test(test_state_is_not_ready, .disks = 2),
        driver_test(test_spurious_events, .disks = 2),
        driver_test(test_every_vcpu_waits, .disks = 2),
        driver_test(test_vp_eport_bogus, .disks = 2),
        cmocka_unit_test(test_slot_changes_under_us),
        driver_test(test_direction_flips, .disks = 2),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
