/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * See console_driver.h.
 */
#include "console_driver.h"

#include <string.h>

#define FIRST_QUEUE (MACHINE_RAM + 0x400000ull)
#define PATIENCE_MS 20000

static void find_queues(struct console_driver *console)
{
    console->queues = 0;
    for (uint16_t i = 0; i < 2 * (CONSOLE_PORTS_MAX + 1); i++) {
        struct driver *queue = &console->queue[i];

        common_write(&console->device, VIRTIO_PCI_COMMON_Q_SELECT, 2, i);
        if (common_read(&console->device, VIRTIO_PCI_COMMON_Q_SIZE, 2) == 0) {
            break;
        }
        *queue = console->device;
        queue->queue = i;
        queue->memory = FIRST_QUEUE + i * CONSOLE_STRIDE;
        console->queues++;
    }
}

void console_probe(struct console_driver *console, struct machine *machine)
{
    driver_probe_kind(&console->device, machine, 2, VIRTIO_ID_CONSOLE, CONSOLE_QUEUE_SIZE);
    find_queues(console);
}

static bool takes_input(unsigned int queue)
{
    return queue % 2 == 0;
}

static uint64_t buffer_address(const struct driver *queue, unsigned int slot)
{
    return driver_data_address(queue) + slot * CONSOLE_BUFFER;
}

/* The descriptor of a slot is always the same one. */
static void offer(struct driver *queue, unsigned int slot)
{
    *ring_descriptor(queue, slot) = (struct vring_desc){
        .addr = machine_dma(queue->machine, buffer_address(queue, slot)), .len = CONSOLE_BUFFER,
        .flags = VRING_DESC_F_WRITE,
    };
    ring_publish(queue, (uint16_t)slot);
    driver_notify(queue);
}

void console_start(struct console_driver *console, uint64_t features)
{
    driver_reset(&console->device);
    find_queues(console);
    driver_negotiate(&console->device, features);
    driver_setup_msix(&console->device);
    for (unsigned int i = 0; i < console->queues; i++) {
        struct driver *queue = &console->queue[i];

        memset(machine_memory(queue->machine, queue->memory, DRIVER_HEADER), 0, DRIVER_HEADER);
        queue->features = console->device.features;
        driver_setup_queue(queue);
        driver_enable_queue(queue);
        assert_int_equal(common_read(queue, VIRTIO_PCI_COMMON_Q_ENABLE, 2), 1);
    }
    driver_set_status(&console->device, DRIVER_RUNNING);
    assert_int_equal(driver_status(&console->device), DRIVER_RUNNING);
    for (unsigned int i = 0; i < console->queues; i++) {
        for (unsigned int slot = 0; takes_input(i) && slot < CONSOLE_BUFFERS; slot++) {
            offer(&console->queue[i], slot);
        }
    }
    machine_settle(console->device.machine);
}

struct driver *console_input(struct console_driver *console, unsigned int port)
{
    return &console->queue[port == 0 ? 0 : 2 * (port + 1)];
}

struct driver *console_output(struct console_driver *console, unsigned int port)
{
    return console_input(console, port) + 1;
}

static uint16_t add_output(struct driver *queue, uint32_t offset, const void *data, uint32_t size)
{
    const struct buffer buffer = { driver_data_address(queue) + offset, size, false };

    memcpy(machine_memory(queue->machine, buffer.address, size + 1), data, size);
    return ring_add(queue, &buffer, 1);
}

void console_write(struct console_driver *console, unsigned int port, const void *data, uint32_t size)
{
    struct driver *queue = console_output(console, port);

    assert_int_equal(driver_run(queue, add_output(queue, 0, data, size)), 0);
}

void console_begin_write(struct console_driver *console, unsigned int port, unsigned int slot, const void *data,
                         uint32_t size)
{
    struct driver *queue = console_output(console, port);

    ring_publish(queue, add_output(queue, slot * 0x4000, data, size));
    driver_notify(queue);
}

static uint32_t take(struct driver *queue, void *data, uint32_t size)
{
    struct vring_used_elem element;

    if (!driver_completed(queue)) {
        return 0;
    }
    element = driver_wait(queue);
    assert_in_range(element.len, 1, size);
    assert_true(element.id < CONSOLE_BUFFERS);
    memcpy(data, machine_memory(queue->machine, buffer_address(queue, element.id), element.len), element.len);
    offer(queue, element.id);
    return element.len;
}

uint32_t console_take(struct console_driver *console, unsigned int port, void *data, uint32_t size)
{
    return take(console_input(console, port), data, size);
}

void console_read(struct console_driver *console, unsigned int port, void *data, uint32_t size)
{
    const uint64_t deadline = machine_now() + PATIENCE_MS;
    char piece[CONSOLE_BUFFER];
    uint32_t done = 0;

    while (done < size) {
        const uint32_t length = console_take(console, port, piece, sizeof(piece));

        assert_true(length <= size - done);
        memcpy((char *)data + done, piece, length);
        done += length;
        machine_turn(console->device.machine);
        machine_check_deadline(deadline, "input");
    }
}

void console_tell(struct console_driver *console, uint32_t port, uint16_t event, uint16_t value)
{
    const struct virtio_console_control control = { port, event, value };
    struct driver *queue = &console->queue[3];

    assert_int_equal(driver_run(queue, add_output(queue, 0, &control, sizeof(control))), 0);
}

bool console_told(struct console_driver *console, struct console_message *message)
{
    char data[CONSOLE_BUFFER];
    const uint32_t size = take(&console->queue[2], data, sizeof(data));

    if (size == 0) {
        return false;
    }
    assert_true(size >= sizeof(message->control));
    memcpy(&message->control, data, sizeof(message->control));
    message->more = size - (uint32_t)sizeof(message->control);
    memcpy(message->data, data + sizeof(message->control), message->more);
    return true;
}

void console_expect(struct console_driver *console, uint32_t port, uint16_t event, uint16_t value, const char *more)
{
    const uint64_t deadline = machine_now() + PATIENCE_MS;
    struct console_message message;

    while (!console_told(console, &message)) {
        machine_turn(console->device.machine);
        machine_check_deadline(deadline, "a message");
    }
    assert_int_equal(message.control.id, port);
    assert_int_equal(message.control.event, event);
    assert_int_equal(message.control.value, value);
    assert_int_equal(message.more, more ? strlen(more) : 0);
    assert_memory_equal(message.data, more ? more : "", message.more);
}

void console_meet(struct console_driver *console, bool has_console, unsigned int ports)
{
    struct console_message message;

    console_tell(console, VIRTIO_CONSOLE_BAD_ID, VIRTIO_CONSOLE_DEVICE_READY, 1);
    for (unsigned int i = has_console ? 0 : 1; i <= ports; i++) {
        console_tell(console, i, VIRTIO_CONSOLE_PORT_READY, 1);
        console_tell(console, i, VIRTIO_CONSOLE_PORT_OPEN, 1);
    }
    for (unsigned int quiet = 0; quiet < 2; quiet++) {
        machine_settle(console->device.machine);
        while (console_told(console, &message)) {
            quiet = 0;
        }
    }
}
