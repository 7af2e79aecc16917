/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A console's driver that breaks the rules: messages about ports that make no sense or come in floods, chains of odd
 * shape, registers that are not to be written. After each the next good bytes come through, both ways.
 */
#include "console_driver.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define PORTS       3u
#define PATIENCE_MS 20000
#define NOWHERE     0x41800000ull /* between the banks of RAM */

static const struct console_options options = {
    .socket = "hostile.socket",
    .port = { "one:socket:hostile-1.socket", "two:fifo:hostile-2", "three:file:hostile-3.file" },
};
static const char *const files[] = { "hostile.socket", "hostile-1.socket", "hostile-2.in", "hostile-2.out",
                                     "hostile-3.file" };

static void run(void **state)
{
    void (*const test)(struct console_driver *console) = (void (*)(struct console_driver *))(uintptr_t)*state;
    struct console_driver console;
    struct machine machine;

    machine_start(&machine, &(struct machine_options){ .beside = { .kind = &console_kind, .options = &options } });
    console_probe(&console, &machine);
    console_start(&console, CONSOLE_FEATURES);
    console_meet(&console, true, PORTS);
    test(&console);
    machine_finish(&machine);
    for (unsigned int i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        (void)unlink(files[i]);
    }
}

#define hostile_test(test) { #test, run, NULL, NULL, (void *)(uintptr_t)(test) }

static int connect_to(const char *path)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    const int client = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    (void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    assert_int_equal(connect(client, (struct sockaddr *)&address, sizeof(address)), 0);
    return client;
}

static void check_port(struct console_driver *console, unsigned int port, const char *path)
{
    const uint64_t deadline = machine_now() + PATIENCE_MS;
    const int client = connect_to(path);
    char text[8];

    machine_settle(console->device.machine);
    console_write(console, port, "good", 4);
    while (read(client, text, sizeof(text)) != 4) {
        machine_turn(console->device.machine);
        machine_check_deadline(deadline, "good output");
    }
    assert_memory_equal(text, "good", 4);
    assert_int_equal(write(client, "too", 3), 3);
    console_read(console, port, text, 3);
    assert_memory_equal(text, "too", 3);
    assert_int_equal(close(client), 0);
}

static bool asks_for_reset(struct console_driver *console)
{
    machine_settle(console->device.machine);
    return driver_status(&console->device) & VIRTIO_CONFIG_S_NEEDS_RESET;
}

/* At once, or, when the device asks for it, after a reset. What was left for the console comes first. */
static void check_serves(struct console_driver *console)
{
    char text[CONSOLE_BUFFER];

    if (asks_for_reset(console)) {
        console_start(console, CONSOLE_FEATURES);
    }
    console_meet(console, true, PORTS);
    do {
        machine_settle(console->device.machine);
    } while (console_take(console, 0, text, sizeof(text)) > 0);
    check_port(console, 0, options.socket);
    check_port(console, 1, "hostile-1.socket");
}

static void check_refused(struct console_driver *console)
{
    assert_true(asks_for_reset(console));
    check_serves(console);
}

/* Messages. */

static void test_messages_that_are_too_short(struct console_driver *console)
{
    static const uint8_t bytes[8];
    struct driver *queue = &console->queue[3];

    for (uint32_t size = 0; size < 8; size++) {
        const struct buffer buffer = { driver_data_address(queue), size, false };

        memcpy(driver_data(queue), bytes, sizeof(bytes));
        assert_int_equal(driver_run(queue, ring_add(queue, &buffer, 1)), 0);
    }
    assert_false(asks_for_reset(console));
    check_serves(console);
}

static void test_message_in_pieces(struct console_driver *console)
{
    const struct virtio_console_control control = { 0, VIRTIO_CONSOLE_PORT_READY, 1 };
    struct driver *queue = &console->queue[3];
    struct console_message message;
    struct buffer buffers[8];

    memcpy(driver_data(queue), &control, sizeof(control));
    for (unsigned int i = 0; i < 8; i++) {
        buffers[i] = (struct buffer){ driver_data_address(queue) + i, 1, false };
    }
    assert_int_equal(driver_run(queue, ring_add(queue, buffers, 8)), 0);
    machine_settle(console->device.machine);
    assert_true(console_told(console, &message));
    assert_int_equal(message.control.event, VIRTIO_CONSOLE_CONSOLE_PORT);
    check_serves(console);
}

static void test_messages_that_make_no_sense(struct console_driver *console)
{
    static const uint32_t numbers[] = { 0, 1, PORTS, PORTS + 1, CONSOLE_PORTS_MAX, 0x80000000u, UINT32_MAX };
    struct console_message message;

    for (unsigned int i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        for (uint16_t event = 0; event < 12; event++) {
            console_tell(console, numbers[i], event, 0);
            console_tell(console, numbers[i], event, UINT16_MAX);
        }
        console_tell(console, numbers[i], UINT16_MAX, 1);
        while (console_told(console, &message)) {
            assert_true(message.control.id <= PORTS);
        }
    }
    assert_false(asks_for_reset(console));
    check_serves(console);
}

/* Nobody takes the answers: what is owed is remembered once. */
static void test_flood_of_messages(struct console_driver *console)
{
    struct console_message message;
    unsigned int answers = 0;

    for (unsigned int i = 0; i < 2000; i++) {
        console_tell(console, 0, VIRTIO_CONSOLE_DEVICE_READY, 1);
        console_tell(console, i % 5, VIRTIO_CONSOLE_PORT_READY, 1);
        console_tell(console, i % 5, VIRTIO_CONSOLE_PORT_OPEN, i % 2);
    }
    for (unsigned int quiet = 0; quiet < 2; quiet++) {
        machine_settle(console->device.machine);
        for (; console_told(console, &message); answers++) {
            quiet = 0;
        }
    }
    assert_in_range(answers, 1, 2 * CONSOLE_BUFFERS + 4 * 5);
    check_serves(console);
}

static void test_messages_nobody_wants(struct console_driver *console)
{
    struct driver *queue = &console->queue[3];
    const struct buffer written = { driver_data_address(queue), 64, true };
    const struct buffer mixed[] = { { driver_data_address(queue), 8, false }, { driver_data_address(queue), 8, true } };

    memset(driver_data(queue), 0xff, 64);
    assert_int_equal(driver_run(queue, ring_add(queue, &written, 1)), 0);
    assert_int_equal(driver_run(queue, ring_add(queue, mixed, 2)), 0);
    assert_false(asks_for_reset(console));
    check_serves(console);
}

/* There is no way to give half a message: the first buffer that is offered now is too small for any. */
static void test_buffer_that_is_too_small_for_a_message(struct console_driver *console)
{
    for (uint32_t size = 0; size < 8; size++) {
        console_start(console, CONSOLE_FEATURES);
        for (unsigned int i = 0; i < CONSOLE_BUFFERS; i++) {
            ring_descriptor(&console->queue[2], i)->len = size;
        }
        console_tell(console, 0, VIRTIO_CONSOLE_DEVICE_READY, 1);
        check_refused(console);
    }
}

/* Output. */

static void test_output_of_odd_shape(struct console_driver *console)
{
    struct buffer buffers[DRIVER_QUEUE_SIZE];

    for (unsigned int port = 0; port <= PORTS; port += PORTS) {
        struct driver *queue = console_output(console, port);

        for (unsigned int i = 0; i < DRIVER_QUEUE_SIZE; i++) {
            buffers[i] = (struct buffer){ driver_data_address(queue) + i, i % 3, false };
        }
        assert_int_equal(driver_run(queue, ring_add(queue, buffers, DRIVER_QUEUE_SIZE)), 0);
        assert_int_equal(driver_run(queue, ring_add(queue, buffers, 1)), 0);
        buffers[1] = (struct buffer){ driver_data_address(queue), 64, true };
        assert_int_equal(driver_run(queue, ring_add(queue, buffers, 2)), 0);
        assert_int_equal(driver_run(queue, ring_add(queue, buffers + 1, 1)), 0);
    }
    assert_false(asks_for_reset(console));
    check_serves(console);
}

/* Larger than a turn may take, to a console that nobody listens to, and to a file. */
static void test_output_that_is_large(struct console_driver *console)
{
    const uint32_t size = 0x10000;

    for (unsigned int port = 0; port <= PORTS; port += PORTS) {
        struct driver *queue = console_output(console, port);
        struct buffer buffers[DRIVER_QUEUE_SIZE - 1];

        for (unsigned int i = 0; i < DRIVER_QUEUE_SIZE - 1; i++) {
            buffers[i] = (struct buffer){ driver_data_address(queue), size, false };
        }
        assert_int_equal(driver_run(queue, ring_add(queue, buffers, DRIVER_QUEUE_SIZE - 1)), 0);
    }
    check_serves(console);
}

static void test_output_from_nowhere(struct console_driver *console)
{
    for (unsigned int port = 0; port <= PORTS; port++) {
        struct driver *queue = console_output(console, port);
        const struct buffer nowhere = { NOWHERE, 16, false };
        const int client = port == 1 ? connect_to("hostile-1.socket") : -1;

        machine_settle(console->device.machine);
        ring_publish(queue, ring_add(queue, &nowhere, 1));
        driver_kick(queue);
        machine_settle(console->device.machine);
        assert_true(client < 0 || close(client) == 0);
        check_refused(console);
    }
}

static void test_chain_that_loops(struct console_driver *console)
{
    for (unsigned int i = 0; i < 4; i++) {
        struct driver *queue = &console->queue[i];

        *ring_descriptor(queue, 15) = (struct vring_desc){
            .addr = machine_dma(queue->machine, driver_data_address(queue)), .len = 1,
            .flags = (uint16_t)(VRING_DESC_F_NEXT | (i % 2 ? 0 : VRING_DESC_F_WRITE)), .next = 15,
        };
        /* What was offered before is looked at first. */
        for (unsigned int place = 0; place < DRIVER_QUEUE_SIZE; place++) {
            ring_available(queue)->ring[place] = 15;
        }
        ring_publish(queue, 15);
        driver_kick(queue);
        if (i == 0) {
            const int client = connect_to(options.socket);

            assert_int_equal(write(client, "x", 1), 1);
            machine_settle(console->device.machine);
            assert_int_equal(close(client), 0);
        } else if (i == 2 && !asks_for_reset(console)) { /* for want of a buffer for one that is owed */
            console_tell(console, 0, VIRTIO_CONSOLE_DEVICE_READY, 1);
        }
        check_refused(console);
    }
}

/* Input. */

static void test_input_buffers_of_odd_shape(struct console_driver *console)
{
    struct driver *queue = console_input(console, 0);
    const int client = connect_to(options.socket);

    machine_settle(console->device.machine);
    for (unsigned int i = 0; i < CONSOLE_BUFFERS; i++) {
        struct vring_desc *descriptor = ring_descriptor(queue, i);

        descriptor->flags = i % 3 == 0 ? 0 : VRING_DESC_F_WRITE; /* one that the device must not write */
        descriptor->len = i % 3 == 1 ? 0 : 1;
    }
    assert_int_equal(write(client, "0123456789", 10), 10);
    machine_settle(console->device.machine);
    for (unsigned int seen = 0; driver_completed(queue); seen++) {
        const struct vring_used_elem element = driver_wait(queue);

        assert_true(element.id < CONSOLE_BUFFERS && element.len <= (element.id % 3 == 2));
        assert_true(seen < CONSOLE_BUFFERS);
    }
    assert_int_equal(close(client), 0);
    console_start(console, CONSOLE_FEATURES);
    check_serves(console);
}

static void test_input_to_nowhere(struct console_driver *console)
{
    const int client = connect_to(options.socket);
    struct driver *queue = console_input(console, 0);
    char text[64];

    machine_settle(console->device.machine);
    for (unsigned int i = 0; i < CONSOLE_BUFFERS; i++) {
        ring_descriptor(queue, i)->addr = NOWHERE;
    }
    assert_int_equal(write(client, "lost?", 5), 5);
    assert_true(asks_for_reset(console));
    console_start(console, CONSOLE_FEATURES);
    console_meet(console, true, PORTS);
    if (!(console->device.machine->bridge.flags & BRIDGE_FLAG_GRANTS)) { /* then it was on its way */
        console_read(console, 0, text, 5);
        assert_memory_equal(text, "lost?", 5);
    }
    assert_int_equal(close(client), 0);
    machine_settle(console->device.machine);
    check_serves(console);
}

/* Queues and registers. */

static void test_queues_without_multiport(struct console_driver *console)
{
    console_start(console, CONSOLE_FEATURES & ~(1ull << VIRTIO_CONSOLE_F_MULTIPORT));
    for (unsigned int i = 2; i < console->queues; i++) {
        struct driver *queue = &console->queue[i];
        const struct buffer buffer = { driver_data_address(queue), 8, false };

        memset(driver_data(queue), 0, 8);
        ring_publish(queue, ring_add(queue, &buffer, 1));
        driver_kick(queue);
    }
    machine_settle(console->device.machine);
    for (unsigned int i = 2; i < console->queues; i++) {
        assert_int_equal(ring_used(&console->queue[i])->idx, 0);
    }
    check_port(console, 0, options.socket);
    console_start(console, CONSOLE_FEATURES);
    check_serves(console);
}

static void test_configuration_space(struct console_driver *console)
{
    const uint64_t config = console->device.config;

    for (unsigned int offset = 0; offset < 16; offset++) {
        for (unsigned int size = 1; size <= 4; size *= 2) {
            if (offset % size == 0) {
                machine_write(console->device.machine, config + offset, size, 0x41414141);
            }
        }
    }
    for (unsigned int i = 0; i < 1000; i++) {
        machine_write(console->device.machine, config + 8, 4, i);
    }
    assert_int_equal(machine_read(console->device.machine, config + 4, 4), PORTS + 1);
    check_serves(console);
}

/* In the middle of output that waits for a reader, of input, and of messages. */
static void test_resets(struct console_driver *console)
{
    static const uint8_t bytes[0x4000];

    for (unsigned int i = 0; i < 50; i++) {
        const int client = connect_to(options.socket);

        for (unsigned int slot = 0; slot < 8; slot++) {
            console_begin_write(console, 2, slot, bytes, sizeof(bytes));
            console_begin_write(console, 3, slot, bytes, sizeof(bytes));
        }
        assert_int_equal(write(client, bytes, 1000), 1000);
        console_tell(console, i % 4, VIRTIO_CONSOLE_PORT_READY, 1);
        console_start(console, CONSOLE_FEATURES);
        console_tell(console, 0, VIRTIO_CONSOLE_PORT_OPEN, 1);
        assert_int_equal(close(client), 0);
    }
    check_serves(console);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        hostile_test(test_messages_that_are_too_short),
        hostile_test(test_message_in_pieces),
        hostile_test(test_messages_that_make_no_sense),
        hostile_test(test_flood_of_messages),
        hostile_test(test_messages_nobody_wants),
        hostile_test(test_buffer_that_is_too_small_for_a_message),
        hostile_test(test_output_of_odd_shape),
        hostile_test(test_output_that_is_large),
        hostile_test(test_output_from_nowhere),
        hostile_test(test_chain_that_loops),
        hostile_test(test_input_buffers_of_odd_shape),
        hostile_test(test_input_to_nowhere),
        hostile_test(test_queues_without_multiport),
        hostile_test(test_configuration_space),
        hostile_test(test_resets),
    };

    (void)signal(SIGPIPE, SIG_IGN); /* as main() does */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
