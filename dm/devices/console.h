/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * virtio-console (virtio 1.2, section 5.3): a console, and ports with names, each with a character end
 * (backends/character.h) on the host.
 *
 * Port 0 is the console. It takes whatever the guest writes, at once: what its end has no room for is dropped and
 * counted, since a guest that writes to its console waits for it with its interrupts off. A named port takes no more
 * than its end does: what nobody reads stays in the guest's queue, and it is told whether somebody is there. Input is
 * read from an end only when the guest has a buffer for it, and has opened the port.
 *
 * With ports the device offers MULTIPORT; a driver that does not accept it has the console alone.
 *
 * When the process is killed and another one goes on for it, no byte is transferred twice, and where the end itself
 * outlives the process none is lost: console.c says how, and where that ends.
 */
#ifndef DEVICES_CONSOLE_H
#define DEVICES_CONSOLE_H

#include <stdbool.h>

#include "kind.h"

#define CONSOLE_PORTS_MAX  31u /* the console included: two queues each, and two for messages about them */
#define CONSOLE_QUEUE_SIZE 64u
#define CONSOLE_NAME_MAX   64u /* bytes of a port's name */

/* The console's end: one of these at most. */
struct console_options {
    const char *pty;
    const char *socket;
    const char *fifo;
    const char *file;
    const char *journal;
    bool stdio;
    bool sink;
    const char *port[CONSOLE_PORTS_MAX]; /* NAME:TYPE:PATH, up to the first NULL */
};

extern const struct kind console_kind;

#endif
