/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a kind of device can rely on, whatever it is: as many queues as there may be, of all sizes; queues that it pulls
 * chains from when it has something to put in; its own configuration space; when it is told what.
 *
 * The kind here has 64 queues. The even ones are pushed, and a chain of theirs is answered at once with a status byte;
 * the odd ones are pulled, and do what the test says.
 */
#include "driver.h"

#include <stdlib.h>
#include <string.h>

#include "loop.h"
#include "pci/bus.h"
#include "virtio/pci.h"

#define QUEUES     VIRTIO_QUEUES_MAX
#define LAST       (QUEUES - 2) /* of the pushed ones */
#define PULLED     (QUEUES - 1)
#define HELD       QUEUES       /* chains */
#define STRIDE     0x20000ull   /* of the queues' memory */
#define BYTES      64u          /* of a buffer that is offered */
#define BUFFERS(i) (DRIVER_DATA + (i) * 2u * BYTES)
#define STATUS     0x5a

struct fake {
    struct virtio_device device; /* first: the operations are given this */
    struct virtio_pci pci;
    struct pci_bus bus;
    struct platform *platform;
    struct loop *loop;
    bool holding; /* what is pushed is kept */
    bool letting_go;
    unsigned int held;
    struct virtqueue_chain *hold[HELD];
    unsigned int available[QUEUES]; /* times */
    unsigned int started, resets, let_gos;
    uint64_t last_offset, last_data;
    unsigned int last_size;
    uint8_t config[12];
};

/* There is one at a time. */
static struct fake *kind;

static void request(struct virtio_device *device, unsigned int queue, struct virtqueue_chain *chain)
{
    if (kind->holding) {
        kind->hold[kind->held++] = chain;
        return;
    }
    *(volatile uint8_t *)virtqueue_last_byte(chain) = STATUS;
    virtio_device_complete(device, queue, chain, (uint32_t)chain->writable_bytes);
}

static void available(struct virtio_device *device, unsigned int queue)
{
    (void)device;
    kind->available[queue]++;
}

static void driver_ok(struct virtio_device *device)
{
    assert_true(device->status & VIRTIO_CONFIG_S_DRIVER_OK);
    kind->started++;
}

static void configured(struct virtio_device *device, uint64_t offset, unsigned int size, uint64_t data)
{
    (void)device;
    kind->last_offset = offset;
    kind->last_size = size;
    kind->last_data = data;
    memcpy(kind->config + offset, &data, size);
}

/* Half of what is held is completed, the rest put back. */
static void let_go(struct virtio_device *device)
{
    kind->let_gos++;
    kind->letting_go = true;
    while (kind->held > 0) {
        struct virtqueue_chain *const chain = kind->hold[--kind->held];

        if (kind->held % 2) {
            virtio_device_complete(device, 0, chain, 0);
        } else {
            virtio_device_untake(device, 0, chain);
        }
    }
    kind->letting_go = false;
}

static void reset(struct virtio_device *device)
{
    assert_int_equal(virtio_device_in_flight(device), 0);
    assert_false(kind->letting_go);
    kind->resets++;
}

static const struct virtio_device_operations operations = {
    .request = request, .error_status = 0xee, .available = available, .driver_ok = driver_ok,
    .config_write = configured, .let_go = let_go, .reset = reset,
};

/* The last ones have room for more. */
static uint16_t queue_size(unsigned int queue)
{
    return (uint16_t)(queue < LAST ? 8u << queue % 6 : VIRTQUEUE_SIZE_MAX);
}

static void work(struct machine *machine)
{
    (void)machine;
    (void)platform_turn(kind->platform);
    assert_int_equal(platform_serve(kind->platform, false, pci_bus_access, &kind->bus), 0);
    assert_int_equal(loop_run_once(kind->loop, false), 0);
}

static void make(struct machine *machine)
{
    const struct platform_options options = { .domain = MACHINE_DOMAIN };
    uint16_t sizes[QUEUES];
    unsigned int function;
    const char *error;

    kind = calloc(1, sizeof(*kind));
    assert_non_null(kind);
    for (unsigned int i = 0; i < QUEUES; i++) {
        sizes[i] = queue_size(i);
    }
    assert_int_equal(platform_create(&kind->platform, &options, &error), 0);
    assert_int_equal(loop_create(&kind->loop, 8), 0);
    assert_int_equal(virtio_device_init(&kind->device, 2, &operations, kind->loop, kind->platform, QUEUES, sizes,
                                        1ull << VIRTIO_F_RING_PACKED), 0);
    for (unsigned int i = 1; i < QUEUES; i += 2) {
        virtio_device_pull(&kind->device, i);
    }
    kind->device.config = kind->config;
    kind->device.config_size = sizeof(kind->config);
    pci_bus_init(&kind->bus, kind->platform);
    virtio_pci_init(&kind->pci, &kind->device, 0xff0000, true);
    assert_int_equal(pci_bus_attach(&kind->bus, &kind->pci.function, 1), 0);
    assert_int_equal(pci_bus_open(&kind->bus, false, &function), 0);
    machine->elsewhere = work;
}

static void destroy(void)
{
    platform_leave(kind->platform);
    loop_destroy(kind->loop);
    virtio_device_finish(&kind->device);
    platform_destroy(kind->platform);
    free(kind);
}

/* The driver of one queue. */
static struct driver driver_of(const struct driver *device, unsigned int queue)
{
    struct driver driver = *device;

    driver.queue = (uint16_t)queue;
    driver.size_max = queue_size(queue);
    driver.queue_size = queue < LAST ? 8 : driver.size_max;
    driver.memory = MACHINE_RAM + STRIDE * (1 + queue);
    return driver;
}

static void start(struct driver *device, uint64_t features)
{
    driver_reset(device);
    driver_negotiate(device, features);
    driver_setup_msix(device);
    for (unsigned int i = 0; i < QUEUES; i++) {
        struct driver driver = driver_of(device, i);

        memset(machine_memory(driver.machine, driver.memory, STRIDE), 0, STRIDE);
        driver_setup_queue(&driver);
        driver_enable_queue(&driver);
        assert_int_equal(common_read(&driver, VIRTIO_PCI_COMMON_Q_ENABLE, 2), 1);
    }
    driver_set_status(device, DRIVER_RUNNING);
    assert_int_equal(driver_status(device), DRIVER_RUNNING);
    machine_settle(device->machine);
}

static void run(void **state)
{
    const struct driver_test *test = *state;
    struct machine machine;
    struct driver device;

    machine_start(&machine, &test->options);
    machine_stop_model(&machine);
    make(&machine);
    driver_probe(&device, &machine, 1);
    if (test->started) {
        start(&device, DRIVER_FEATURES);
    }
    test->test(&device);
    destroy();
    machine.elsewhere = NULL;
    machine_finish(&machine);
}

#define kind_test(test, started, ...) \
    { #test, run, NULL, NULL, &(struct driver_test){ test, started, { __VA_ARGS__ } } }

/* Publishes a buffer that the device may write, full of 0x11; its place is that of `slot`. */
static uint16_t offer(struct driver *driver, unsigned int slot)
{
    const struct buffer buffer = { driver->memory + BUFFERS(slot), BYTES, true };
    const uint16_t head = ring_add(driver, &buffer, 1);

    memset(machine_memory(driver->machine, buffer.address, BYTES), 0x11, BYTES);
    ring_publish(driver, head);
    return head;
}

static const uint8_t *buffer(struct driver *driver, unsigned int slot)
{
    return machine_memory(driver->machine, driver->memory + BUFFERS(slot), BYTES);
}

static struct virtqueue_chain *take(unsigned int queue)
{
    struct virtqueue_chain *chain = NULL;

    assert_int_equal(virtio_device_take(&kind->device, queue, &chain), VIRTIO_DEVICE_CHAIN);
    assert_non_null(chain);
    return chain;
}

static void expect_none(unsigned int queue, enum virtio_device_taken why)
{
    struct virtqueue_chain *chain;

    assert_int_equal(virtio_device_take(&kind->device, queue, &chain), why);
}

/* All are there, of the sizes that the kind wants, with the vectors and doorbells that a function can have. */
static void test_as_many_queues_as_there_may_be(struct driver *device)
{
    struct local_counters *const counters = local_guest_counters(device->machine->guest);

    assert_int_equal(common_read(device, VIRTIO_PCI_COMMON_NUMQ, 2), QUEUES);
    assert_int_equal(config_read(device, device->msix + PCI_MSIX_FLAGS, 2) & PCI_MSIX_FLAGS_QSIZE,
                     PCI_MSIX_VECTORS_MAX - 1);
    assert_int_equal(local_guest_doorbells(device->machine->guest), PCI_DOORBELLS_MAX);
    for (unsigned int i = 0; i < QUEUES; i += 2) {
        struct driver driver = driver_of(device, i);
        const struct buffer one = { driver.memory + BUFFERS(0), 1, true };
        const uint64_t blocking = counters->blocking;

        assert_int_equal(driver_run(&driver, ring_add(&driver, &one, 1)), 1);
        assert_int_equal(*buffer(&driver, 0), STATUS);
        assert_int_equal(counters->blocking - blocking, i < PCI_DOORBELLS_MAX ? 0 : 1);
        assert_true(local_guest_take(device->machine->guest, driver_msix_interrupt(device, 1)));
    }
}

static void test_vectors_that_there_are(struct driver *device)
{
    common_write(device, VIRTIO_PCI_COMMON_Q_SELECT, 2, LAST);
    common_write(device, VIRTIO_PCI_COMMON_Q_MSIX, 2, PCI_MSIX_VECTORS_MAX - 1);
    assert_int_equal(common_read(device, VIRTIO_PCI_COMMON_Q_MSIX, 2), PCI_MSIX_VECTORS_MAX - 1);
    common_write(device, VIRTIO_PCI_COMMON_Q_MSIX, 2, PCI_MSIX_VECTORS_MAX);
    assert_int_equal(common_read(device, VIRTIO_PCI_COMMON_Q_MSIX, 2), VIRTIO_MSI_NO_VECTOR);
    common_write(device, VIRTIO_PCI_COMMON_Q_SELECT, 2, QUEUES);
    assert_int_equal(common_read(device, VIRTIO_PCI_COMMON_Q_SIZE, 2), 0);
}

/* A ring of 1,024, and a chain of all of it, direct and indirect. */
static void test_longest_ring_and_chain(struct driver *device)
{
    struct driver driver = driver_of(device, LAST);
    static struct buffer buffers[VIRTQUEUE_SIZE_MAX];

    for (unsigned int i = 0; i < VIRTQUEUE_SIZE_MAX; i++) {
        buffers[i] = (struct buffer){ driver.memory + DRIVER_DATA + i, 1, i >= 10 };
    }
    for (unsigned int i = 0; i < 2; i++) {
        memset(driver_data(&driver), 0, VIRTQUEUE_SIZE_MAX);
        assert_int_equal(driver_run(&driver, ring_add(&driver, buffers, VIRTQUEUE_SIZE_MAX)), VIRTQUEUE_SIZE_MAX - 10);
        assert_int_equal(((uint8_t *)driver_data(&driver))[VIRTQUEUE_SIZE_MAX - 1], STATUS);
        if (!(driver.features & 1ull << VIRTIO_RING_F_INDIRECT_DESC)) {
            continue;
        }
        memset(driver_data(&driver), 0, VIRTQUEUE_SIZE_MAX);
        assert_int_equal(driver_run(&driver, ring_add_indirect(&driver, buffers, VIRTQUEUE_SIZE_MAX)),
                         VIRTQUEUE_SIZE_MAX - 10);
        assert_int_equal(((uint8_t *)driver_data(&driver))[VIRTQUEUE_SIZE_MAX - 1], STATUS);
    }
}

/* Whether the device asks for notifications. */
static bool listens(struct driver *driver)
{
    return driver->packed ? ring_device_event(driver)->flags == VRING_PACKED_EVENT_FLAG_ENABLE
                          : !(ring_used(driver)->flags & VRING_USED_F_NO_NOTIFY);
}

/* Nothing is taken before there is something to put in, and the driver is asked to notify only where chains lack. */
static void test_chains_are_taken_when_they_are_needed(struct driver *device)
{
    struct driver driver;

    start(device, DRIVER_FEATURES & ~(1ull << VIRTIO_RING_F_EVENT_IDX));
    driver = driver_of(device, PULLED);
    assert_false(listens(&driver));
    (void)offer(&driver, 0);
    driver_kick(&driver);
    machine_settle(device->machine);
    assert_int_equal(kind->available[PULLED], 0);
    assert_int_equal(virtio_device_in_flight(&kind->device), 0);

    memset(take(PULLED)->vector[0].iov_base, 0x22, 2);
    assert_int_equal(kind->device.queue[PULLED].in_flight, 1);
    assert_false(listens(&driver));
    virtio_device_complete(&kind->device, PULLED, &kind->device.queue[PULLED].chain[0], 2);
    machine_settle(device->machine);
    assert_int_equal(driver_wait(&driver).len, 2);
    assert_int_equal(buffer(&driver, 0)[1], 0x22);
    assert_int_equal(buffer(&driver, 0)[2], 0x11);
    assert_true(local_guest_take(device->machine->guest, driver_msix_interrupt(device, 1)));

    for (unsigned int i = 0; i < 3; i++) {
        expect_none(PULLED, VIRTIO_DEVICE_NONE);
        assert_true(listens(&driver));
        machine_settle(device->machine);
        assert_int_equal(kind->available[PULLED], i);
        (void)offer(&driver, 1);
        (void)offer(&driver, 2);
        driver_kick(&driver);
        machine_settle(device->machine);
        assert_int_equal(kind->available[PULLED], i + 1);
        driver_kick(&driver); /* told once is enough */
        machine_settle(device->machine);
        assert_int_equal(kind->available[PULLED], i + 1);
        for (unsigned int left = 2; left > 0; left--) {
            virtio_device_complete(&kind->device, PULLED, take(PULLED), 0);
            assert_false(listens(&driver));
            (void)driver_wait(&driver);
        }
    }
}

/* With the event index the next buffer after those that there are is the one that is notified of. */
static void test_event_index_of_a_pulled_queue(struct driver *device)
{
    struct driver driver = driver_of(device, PULLED);
    struct local_counters *const counters = local_guest_counters(device->machine->guest);

    for (unsigned int i = 0; i < 4; i++) {
        (void)offer(&driver, i);
        driver_notify(&driver);
    }
    machine_settle(device->machine);
    counters->blocking = 0;
    for (unsigned int i = 0; i < 2; i++) {
        virtio_device_complete(&kind->device, PULLED, take(PULLED), 0);
        (void)driver_wait(&driver);
    }
    (void)offer(&driver, 4);
    driver_notify(&driver);
    assert_int_equal(counters->blocking, 0);
    for (unsigned int i = 0; i < 3; i++) {
        virtio_device_complete(&kind->device, PULLED, take(PULLED), 0);
        (void)driver_wait(&driver);
    }
    expect_none(PULLED, VIRTIO_DEVICE_NONE);
    (void)offer(&driver, 5);
    driver_notify(&driver);
    machine_settle(device->machine);
    assert_int_equal(counters->blocking, 1);
    assert_int_equal(kind->available[PULLED], 1);
}

/* Too few: they are put back, nobody is told of them again, and when there are more all come in their order. */
static void test_too_few_are_put_back(struct driver *device)
{
    struct driver driver = driver_of(device, PULLED);
    struct virtqueue *const queue = &kind->device.queue[PULLED];
    struct virtqueue_chain *chain[4];
    uint16_t head[4];

    for (unsigned int i = 0; i < 2; i++) {
        head[i] = offer(&driver, i);
        chain[i] = take(PULLED);
    }
    expect_none(PULLED, VIRTIO_DEVICE_NONE);
    for (unsigned int i = 2; i-- > 0;) {
        virtio_device_untake(&kind->device, PULLED, chain[i]);
    }
    assert_int_equal(queue->in_flight, 0);
    /* In the same turn of the loop nothing has to be mapped anew. */
    for (unsigned int i = 0; i < 2; i++) {
        assert_ptr_equal(take(PULLED), chain[i]);
        assert_int_equal(chain[i]->head, head[i]);
    }
    expect_none(PULLED, VIRTIO_DEVICE_NONE);
    for (unsigned int i = 2; i-- > 0;) {
        virtio_device_untake(&kind->device, PULLED, chain[i]);
    }
    /* Later their memory is not in use. */
    machine_settle(device->machine);
    assert_int_equal(kind->available[PULLED], 0);
    assert_int_equal(platform_buffers(kind->platform), 0);

    for (unsigned int i = 2; i < 4; i++) {
        head[i] = offer(&driver, i);
        driver_notify(&driver);
    }
    machine_settle(device->machine);
    assert_int_equal(kind->available[PULLED], 1);
    for (unsigned int i = 0; i < 4; i++) {
        chain[i] = take(PULLED);
        assert_int_equal(chain[i]->head, head[i]);
        memset(chain[i]->vector[0].iov_base, (int)i, BYTES);
        chain[i]->written = BYTES - i;
        chain[i]->together = NULL;
        if (i > 0) {
            chain[i - 1]->together = chain[i];
        }
    }
    expect_none(PULLED, VIRTIO_DEVICE_NONE);
    virtio_device_complete_together(&kind->device, PULLED, chain[0]);
    machine_settle(device->machine);
    assert_int_equal(driver_given(&driver), 4);
    for (unsigned int i = 0; i < 4; i++) {
        const struct vring_used_elem element = driver_wait(&driver);

        assert_int_equal(element.id, head[i]);
        assert_int_equal(element.len, BYTES - i);
        assert_int_equal(buffer(&driver, i)[BYTES - i - 1], i);
        /* With grants nothing else is handed over, and no status byte. */
        assert_int_equal(buffer(&driver, i)[BYTES - 1], i == 0 || !queue->places ? (uint8_t)i : 0x11);
    }
    assert_int_equal(queue->in_flight, 0);
    assert_int_equal(virtio_device_take(&kind->device, PULLED, &chain[0]), VIRTIO_DEVICE_NONE);
}

static void spoil_split(struct driver *driver, uint16_t head, unsigned int how)
{
    if (how == 1) {
        ring_descriptor(driver, head)->flags |= VRING_DESC_F_NEXT;
        ring_descriptor(driver, head)->next = 0xffff;
    } else if (how == 2) {
        ring_available(driver)->ring[driver->available - 1u] = 0xffff;
    } else {
        ring_available(driver)->idx = 0x8000;
    }
}

static void spoil_packed(struct driver *driver, uint16_t id, unsigned int how)
{
    struct vring_packed_desc *const slot = ring_slot(driver, driver->ring.id[id].first);

    if (how == 1) {
        slot->flags |= VRING_DESC_F_INDIRECT; /* of a length that no table has */
        slot->len = 1;
    } else if (how == 2) {
        slot->id = 0xffff;
    } else {
        for (unsigned int i = 0; i < driver->queue_size; i++) {
            ring_slot(driver, i)->flags |= VRING_DESC_F_NEXT;
        }
    }
}

/* Broken ones are not given to the kind: the device asks for a reset, after which all is well. */
static void test_broken_chains_of_a_pulled_queue(struct driver *device)
{
    struct driver driver = driver_of(device, PULLED);

    for (unsigned int i = 0; i < 4; i++) {
        uint16_t head = offer(&driver, 0);

        if (i == 0) {
            ring_move(&driver, head, 0, machine_dma(device->machine, MACHINE_RAM) - 4096);
        } else if (driver.packed) {
            spoil_packed(&driver, head, i);
        } else {
            spoil_split(&driver, head, i);
        }
        if (i == 0 && kind->device.queue[PULLED].places) {
            /* Where it goes is found out when it is to go there. */
            virtio_device_complete(&kind->device, PULLED, take(PULLED), 1);
            machine_settle(device->machine);
            assert_int_equal(driver_given(&driver), 0);
        } else {
            expect_none(PULLED, VIRTIO_DEVICE_LATER);
        }
        assert_true(driver_status(device) & VIRTIO_CONFIG_S_NEEDS_RESET);
        assert_int_equal(virtio_device_in_flight(&kind->device), 0);
        expect_none(PULLED, VIRTIO_DEVICE_LATER);
        start(device, DRIVER_FEATURES);
        driver = driver_of(device, PULLED);
        head = offer(&driver, 0);
        virtio_device_complete(&kind->device, PULLED, take(PULLED), 3);
        assert_int_equal(driver_wait(&driver).id, head);
    }
}

/* With grants: one of those that belong together cannot be reached, so that none is given back. */
static void test_one_of_several_is_not_granted(struct driver *device)
{
    struct driver driver = driver_of(device, PULLED);
    struct virtqueue_chain *chain[3];

    for (unsigned int i = 0; i < 3; i++) {
        const uint16_t head = offer(&driver, i);

        if (i == 1) {
            ring_move(&driver, head, 0, machine_dma(device->machine, MACHINE_RAM) - 4096);
        }
        chain[i] = take(PULLED);
        chain[i]->written = 7;
    }
    chain[0]->together = chain[1];
    chain[1]->together = chain[2];
    virtio_device_complete_together(&kind->device, PULLED, chain[0]);
    machine_settle(device->machine);
    assert_int_equal(driver_given(&driver), 0);
    assert_true(driver_status(device) & VIRTIO_CONFIG_S_NEEDS_RESET);
    assert_int_equal(virtio_device_in_flight(&kind->device), 0);
    start(device, DRIVER_FEATURES);
}

/* What a chain of a pulled queue brings is there when it is taken. */
static void test_pulled_chain_brings_something(struct driver *device)
{
    struct driver driver = driver_of(device, PULLED);
    const struct buffer buffers[] = {
        { driver.memory + BUFFERS(0), BYTES, false },
        { driver.memory + BUFFERS(1), BYTES, true },
    };
    struct virtqueue_chain *chain;

    memset(machine_memory(device->machine, buffers[0].address, BYTES), 0x77, BYTES);
    ring_publish(&driver, ring_add(&driver, buffers, 2));
    chain = take(PULLED);
    assert_int_equal(chain->readable, 1);
    assert_int_equal(chain->writable, 1);
    assert_int_equal(((uint8_t *)chain->vector[0].iov_base)[BYTES - 1], 0x77);
    virtio_device_complete(&kind->device, PULLED, chain, 0);
    assert_int_equal(driver_wait(&driver).len, 0);
}

static void set_command(struct driver *device, uint16_t command)
{
    config_write(device, PCI_COMMAND, 2, command);
}

/* While a queue cannot be used nothing comes of it, and the kind is told when it can. */
static void test_told_when_it_goes_on(struct driver *device)
{
    assert_int_equal(kind->started, 0);
    expect_none(PULLED, VIRTIO_DEVICE_LATER); /* not enabled */
    start(device, DRIVER_FEATURES);
    assert_int_equal(kind->started, 1);
    assert_int_equal(kind->available[PULLED], 0); /* since that the reset has been forgotten */
    expect_none(PULLED, VIRTIO_DEVICE_NONE);

    set_command(device, PCI_COMMAND_MEMORY);
    expect_none(PULLED, VIRTIO_DEVICE_LATER);
    set_command(device, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
    machine_settle(device->machine);
    assert_int_equal(kind->available[PULLED], 1);

    virtio_device_pause(&kind->device);
    virtio_device_unmap(&kind->device);
    expect_none(PULLED, VIRTIO_DEVICE_LATER);
    virtio_device_map(&kind->device);
    virtio_device_continue(&kind->device);
    machine_settle(device->machine);
    assert_int_equal(kind->available[PULLED], 2);
    assert_int_equal(kind->started, 1);

    /* A driver that starts the device before it may use memory. */
    set_command(device, PCI_COMMAND_MEMORY);
    start(device, DRIVER_FEATURES);
    assert_int_equal(kind->started, 1);
    set_command(device, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
    machine_settle(device->machine);
    assert_int_equal(kind->started, 2);
}

/* Whoever waits for what may never come lets go, whatever the reason, and what was put back comes again. */
static void test_letting_go(struct driver *device)
{
    struct driver driver = driver_of(device, 0);

    kind->holding = true;
    kind->let_gos = 0;
    for (unsigned int i = 0; i < 4; i++) {
        (void)offer(&driver, i);
    }
    driver_kick(&driver);
    machine_settle(device->machine);
    assert_int_equal(kind->held, 4);
    virtio_device_pause(&kind->device);
    assert_int_equal(kind->let_gos, 1);
    machine_settle(device->machine);
    assert_int_equal(virtio_device_in_flight(&kind->device), 0);
    assert_int_equal(platform_buffers(kind->platform), 0);
    assert_int_equal(driver_given(&driver), 2);
    virtio_device_continue(&kind->device);
    machine_settle(device->machine);
    assert_int_equal(kind->held, 2);
    assert_int_equal(kind->hold[0]->head, 0);
    assert_int_equal(kind->hold[1]->head, 2);
    driver_reset(device);
    assert_int_equal(kind->let_gos, 2);
    assert_int_equal(kind->held, 0);
    assert_int_equal(kind->resets, 2);

    start(device, DRIVER_FEATURES);
    driver = driver_of(device, 0);
    (void)offer(&driver, 0);
    driver_kick(&driver);
    machine_settle(device->machine);
    assert_int_equal(kind->held, 1);
    virtio_device_stop(&kind->device);
    assert_int_equal(kind->held, 0);
    assert_int_equal(virtio_device_in_flight(&kind->device), 0);
    assert_int_equal(driver_given(&driver), 0);
}

/* Every offset and size: as far as it is within the space; never in the middle of a reset. */
static void test_configuration_is_written(struct driver *device)
{
    const uint64_t data = 0x8877665544332211;

    for (unsigned int size = 1; size <= 8; size *= 2) {
        for (unsigned int offset = 0; offset < sizeof(kind->config) + 8; offset++) {
            const bool within = offset + size <= sizeof(kind->config);
            const uint64_t mask = size == 8 ? UINT64_MAX : (1ull << size * 8) - 1;

            kind->last_size = 0;
            machine_write(device->machine, device->config + offset, size, data);
            assert_int_equal(kind->last_size, within ? size : 0);
            if (within) {
                assert_int_equal(kind->last_offset, offset);
                assert_int_equal(kind->last_data & mask, data & mask);
                assert_int_equal(machine_read(device->machine, device->config + offset, size), data & mask);
            }
        }
    }
    kind->last_size = 0;
    kind->device.resetting = true;
    machine_write(device->machine, device->config, 4, data);
    kind->device.resetting = false;
    assert_int_equal(kind->last_size, 0);
}

/* Sizes of journals are those of the queues, and what was taken from a pulled queue comes again, first. */
static void test_journals_of_a_pulled_queue(struct driver *device)
{
    const size_t size = virtio_device_journal_size(&kind->device);
    struct virtio_pci_saved *const saved = calloc(1, sizeof(*saved));
    unsigned char *const journal = calloc(1, size);
    struct driver driver;
    uint16_t head[3];
    size_t sum = 0;

    assert_non_null(saved);
    assert_non_null(journal);
    for (unsigned int i = 0; i < QUEUES; i++) {
        sum += VIRTQUEUE_JOURNAL_SIZE(queue_size(i));
    }
    assert_int_equal(size, sum);
    virtio_device_keep_journals(&kind->device, journal);
    start(device, DRIVER_FEATURES);
    driver = driver_of(device, PULLED);
    for (unsigned int i = 0; i < 3; i++) {
        head[i] = offer(&driver, i);
        (void)take(PULLED);
    }
    virtio_device_complete(&kind->device, PULLED, &kind->device.queue[PULLED].chain[head[1]], 1);
    machine_settle(device->machine);
    virtio_pci_save(&kind->pci, saved);
    /* Another one goes on: what this one holds is forgotten, and never touches the guest again. */
    for (unsigned int i = 0; i < 3; i += 2) {
        virtqueue_forget(&kind->device.queue[PULLED], &kind->device.queue[PULLED].chain[head[i]]);
    }
    local_guest_kill(device->machine->guest);
    destroy();
    make(device->machine);
    virtio_device_keep_journals(&kind->device, journal);
    virtio_pci_restore(&kind->pci, saved);
    virtio_device_resume(&kind->device);
    machine_settle(device->machine);
    assert_int_equal(kind->started, 1);
    for (unsigned int i = 0; i < 3; i += 2) {
        struct virtqueue_chain *const chain = take(PULLED);

        assert_int_equal(chain->head, head[i]);
        virtio_device_complete(&kind->device, PULLED, chain, 0);
    }
    expect_none(PULLED, VIRTIO_DEVICE_NONE);
    driver_reset(device);
    free(saved);
    free(journal);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        kind_test(test_as_many_queues_as_there_may_be, true),
        kind_test(test_vectors_that_there_are, false),
        kind_test(test_longest_ring_and_chain, true),
        kind_test(test_chains_are_taken_when_they_are_needed, true),
        kind_test(test_event_index_of_a_pulled_queue, true),
        kind_test(test_too_few_are_put_back, true),
        kind_test(test_too_few_are_put_back, true, .grants = true),
        kind_test(test_broken_chains_of_a_pulled_queue, true),
        kind_test(test_one_of_several_is_not_granted, true, .grants = true),
        kind_test(test_pulled_chain_brings_something, true),
        kind_test(test_told_when_it_goes_on, false),
        kind_test(test_letting_go, true),
        kind_test(test_configuration_is_written, false),
        kind_test(test_journals_of_a_pulled_queue, true),
    };

    return cmocka_run_group_tests_name("queues", tests, NULL, NULL);
}
