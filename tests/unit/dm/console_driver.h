/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A guest's virtio-console driver: all queues of device 2 of a machine, each with memory of its own, and the messages
 * about ports. What it does in console_start() and console_meet() is what Linux does.
 */
#ifndef TESTS_CONSOLE_DRIVER_H
#define TESTS_CONSOLE_DRIVER_H

#include <linux/virtio_console.h>
#include <linux/virtio_ids.h>

#include "devices/console.h"
#include "driver.h"

#define CONSOLE_STRIDE   0x20000ull /* of the queues' memory */
#define CONSOLE_BUFFERS  8u         /* that the guest offers for input and for messages */
#define CONSOLE_BUFFER   512u       /* bytes of each */
#define CONSOLE_FEATURES                                                                         \
    (DRIVER_FEATURES | 1ull << VIRTIO_CONSOLE_F_SIZE | 1ull << VIRTIO_CONSOLE_F_MULTIPORT | \
     1ull << VIRTIO_CONSOLE_F_EMERG_WRITE)

struct console_driver {
    struct driver device;
    unsigned int queues;
    struct driver queue[2 * (CONSOLE_PORTS_MAX + 1)];
};

/* A message about a port, and what follows it. */
struct console_message {
    struct virtio_console_control control;
    uint32_t more;
    char data[CONSOLE_BUFFER];
};

/* As driver_probe(), of device 2. */
void console_probe(struct console_driver *console, struct machine *machine);

/* From reset to DRIVER_OK, with buffers for input in all queues that take some. */
void console_start(struct console_driver *console, uint64_t features);

/* The queues of a port. */
struct driver *console_input(struct console_driver *console, unsigned int port);
struct driver *console_output(struct console_driver *console, unsigned int port);

/* Writes to a port, and waits until the device has taken it. */
void console_write(struct console_driver *console, unsigned int port, const void *data, uint32_t size);

/* The same without waiting; its data are at a place that belongs to `slot`. */
void console_begin_write(struct console_driver *console, unsigned int port, unsigned int slot, const void *data,
                         uint32_t size);

/* Takes what has come, and offers its buffer again; how many bytes, 0: nothing has come. Or waits for so many. */
uint32_t console_take(struct console_driver *console, unsigned int port, void *data, uint32_t size);
void console_read(struct console_driver *console, unsigned int port, void *data, uint32_t size);

/* Messages. */
void console_tell(struct console_driver *console, uint32_t port, uint16_t event, uint16_t value);
bool console_told(struct console_driver *console, struct console_message *message); /* false: nothing has come */
void console_expect(struct console_driver *console, uint32_t port, uint16_t event, uint16_t value, const char *more);

/* The driver is ready, and so are ports 1 to `ports`, and port 0 if `has_console`; all are opened. Told is ignored. */
void console_meet(struct console_driver *console, bool has_console, unsigned int ports);

#endif
