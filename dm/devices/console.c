/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * See console.h. All queues are pulled: a chain is taken when its port's end can do something with it, and is put back
 * if it cannot after all, so that between two turns of the event loop nothing is held but what is being written to a
 * file. At most one chain of a queue is under way.
 *
 * What a killed process leaves is in the journal, by port. A chain is known by a number that grows when it is given back
 * (virtio_device_given()): so what is noted about it stops to count in that very instant.
 *
 *   output    how much of the chain has been written, and how much more is being attempted. An attempt that was under
 *             way counts as made: no byte is written twice. What could be lost is one attempt (CHARACTER_PIECE), if the
 *             process was killed between the note and the system call, some instructions; one that is made is whole,
 *             since it is asked first whether there is room. In a file the place is noted, and the same bytes are
 *             written there again.
 *   input     what has been read is kept in the journal until the chain that it was copied to has been given back. A
 *             read that was under way is lost with an end that dies with the process (a terminal, a socket), as is what
 *             was in that end. A FIFO lives on: it is noted how many bytes it is about to give, into a buffer in which
 *             each of them is MARK before; if the buffer has changed they were given (if all are MARK they are lost).
 *   messages  to the guest are about what is, not about what happens, and may come twice.
 */
#include "console.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <linux/virtio_console.h>
#include <linux/virtio_ids.h>

#include <asm/ioctls.h>
#include <seccomp.h>

#include "backends/character.h"
#include "virtio/copy.h"

#define CONSOLE_CLASS 0x078000u /* PCI: communication controller, other */

#define TURN_BYTES    0x10000u /* for a port, of a turn of the event loop */
#define TURN_CHAINS   CONSOLE_QUEUE_SIZE
#define EMERGENCY_MAX 64u
#define MARK          0xa5

/* The queues of messages about ports; those of a port: port_queue(). */
#define CONTROL_TO_GUEST   2u
#define CONTROL_FROM_GUEST 3u

/* Messages that the guest is still to be sent about a port, in this order. */
enum {
    OWED_ADD = 1,
    OWED_CONSOLE = 2,
    OWED_NAME = 4,
    OWED_OPEN = 8,
    OWED_SIZE = 16,
};

struct port_journal {
    uint64_t written_of;  /* the chain that the next one is about, by that number */
    uint64_t written;     /* bytes of it; in the upper half: more that are being attempted. Of a file: where, plus 1 */
    uint64_t delivering;  /* 0, or the least that the number is when the chain with input has been given back */
    uint32_t expected;    /* bytes that a read is about to give */
    uint32_t start;       /* of what is still to be delivered of `buffer` */
    uint32_t next;        /* what `start` becomes with `delivering` */
    uint16_t columns;     /* what the guest knows of the terminal, or will as soon as nothing is owed */
    uint16_t rows;
    uint8_t owed;
    bool known;           /* the guest has said that it has the port */
    bool guest_open;
    bool told_open;       /* what the guest knows of the end */
    struct character_line buffer; /* what was read; of a journal: the line that is being written */
};

struct console_journal {
    struct port_journal port[CONSOLE_PORTS_MAX];
};

struct console;

struct port {
    struct console *console;
    struct port_journal *journal;
    struct character end;
    char name[CONSOLE_NAME_MAX + 1];
    bool exists;
    bool pending;           /* to be looked after in the next task */
    uint64_t giving;        /* the least that the number is when the last chain of output has been given back */
    uint64_t dropped;       /* bytes of output */
    struct virtqueue_chain *held; /* is being written to a file */
    unsigned int vector;          /* of it, the first one that is still to be written */
    uint64_t offset;              /* in the file */
    struct loop_request append;
};

struct console {
    struct virtio_device device; /* first: the operations are given this */
    struct loop *loop;
    struct loop_task task;
    struct console_journal *journal;
    struct console_journal *own; /* unless the journal is to outlive the process */
    struct virtio_console_config config;
    unsigned int emergency_count;
    char emergency[EMERGENCY_MAX];
    unsigned int ports; /* those from 0 on, whether or not the first one exists */
    struct port port[CONSOLE_PORTS_MAX];
};

static struct console *console_of(struct virtio_device *device)
{
    return (struct console *)(void *)device;
}

static unsigned int number_of(const struct port *port)
{
    return (unsigned int)(port - port->console->port);
}

static bool is_console(const struct port *port)
{
    return number_of(port) == 0;
}

/* 5.3.2: that of input, and the next one of output. */
static unsigned int port_queue(unsigned int number)
{
    return number == 0 ? 0 : 2 * (number + 1);
}

static bool multiport(const struct console *console)
{
    return virtio_device_has(&console->device, VIRTIO_CONSOLE_F_MULTIPORT);
}

/* Notes are made in the order in which they stand: the process may be killed between any two of them. */
static void note(uint64_t *note, uint64_t value)
{
    __atomic_store_n(note, value, __ATOMIC_RELEASE);
}

static void note_length(uint32_t *note, uint32_t value)
{
    __atomic_store_n(note, value, __ATOMIC_RELEASE);
}

static void look_after(struct port *port)
{
    port->pending = true;
    loop_defer(port->console->loop, &port->console->task);
}

static void end_ready(void *opaque)
{
    look_after(opaque);
}

/* Output. */

/* The chain that is to be written, as far as it has been; then `written` is about this one. */
static uint64_t begin_chain(struct port *port, unsigned int queue)
{
    const uint64_t given = virtio_device_given(&port->console->device, queue);
    struct port_journal *journal = port->journal;

    if (journal->written_of != given) {
        note(&journal->written, 0);
        note(&journal->written_of, given);
    }
    return journal->written;
}

static void complete_output(struct port *port, unsigned int queue, struct virtqueue_chain *chain)
{
    struct virtio_device *device = &port->console->device;

    port->giving = virtio_device_given(device, queue) + 1;
    virtio_device_complete(device, queue, chain, 0);
}

/* The piece of the readable vectors that begins at a byte of theirs, which there is. */
static struct iovec piece_at(const struct virtqueue_chain *chain, uint64_t offset)
{
    const struct iovec *vector = chain->vector;
    size_t size;

    while (offset >= vector->iov_len) {
        offset -= vector->iov_len;
        vector++;
    }
    size = vector->iov_len - offset;
    return (struct iovec){ (char *)vector->iov_base + offset, size < CHARACTER_PIECE ? size : CHARACTER_PIECE };
}

/* Whether the chain has been dealt with; else its end is full, or it is enough for this turn. */
static bool write_chain(struct port *port, unsigned int queue, const struct virtqueue_chain *chain, uint64_t *budget)
{
    uint64_t done = begin_chain(port, queue);

    while (done < chain->readable_bytes) {
        const struct iovec piece = piece_at(chain, done);
        size_t taken = 0;

        if (*budget < piece.iov_len) {
            look_after(port);
            return false;
        }
        if (character_writable(&port->end)) {
            note(&port->journal->written, done | (uint64_t)piece.iov_len << 32);
            taken = character_write(&port->end, piece.iov_base, piece.iov_len);
        }
        done += taken;
        note(&port->journal->written, done);
        *budget -= taken;
        if (taken == 0 && is_console(port)) {
            port->dropped += chain->readable_bytes - done;
            return true;
        }
        if (taken == 0) {
            return false;
        }
    }
    return true;
}

static void append_done(struct loop_request *request, int result);

static void append(struct port *port)
{
    const struct virtqueue_chain *chain = port->held;

    character_append(&port->end, &port->append, chain->vector + port->vector, chain->readable - port->vector,
                     port->offset, append_done);
}

/* Takes what has been written off the vectors; whether there is more. */
static bool advance(struct port *port, uint64_t bytes)
{
    const struct virtqueue_chain *chain = port->held;

    port->offset += bytes;
    while (port->vector < chain->readable && bytes >= chain->vector[port->vector].iov_len) {
        bytes -= chain->vector[port->vector++].iov_len;
    }
    if (port->vector == chain->readable) {
        return false;
    }
    chain->vector[port->vector].iov_base = (char *)chain->vector[port->vector].iov_base + bytes;
    chain->vector[port->vector].iov_len -= bytes;
    return true;
}

static void append_done(struct loop_request *request, int result)
{
    struct port *port = (struct port *)(void *)((char *)request - offsetof(struct port, append));
    struct virtqueue_chain *chain = port->held;

    if (result == -EINTR || (result > 0 && advance(port, (uint64_t)result))) {
        append(port);
        return;
    }
    for (; result <= 0 && port->vector < chain->readable; port->vector++) {
        port->dropped += chain->vector[port->vector].iov_len;
    }
    port->held = NULL;
    complete_output(port, port_queue(number_of(port)) + 1, chain);
    look_after(port);
}

/*
 * At the end that the file has now, since somebody may have cut it; or where a predecessor has begun to write the same
 * chain.
 */
static void begin_append(struct port *port, unsigned int queue, struct virtqueue_chain *chain)
{
    const uint64_t begun = begin_chain(port, queue);
    uint64_t size;

    if (chain->readable == 0 || character_size(&port->end, &size)) {
        port->dropped += chain->readable_bytes;
        complete_output(port, queue, chain);
        return;
    }
    port->held = chain;
    port->vector = 0;
    port->offset = begun > 0 && begun - 1 <= size ? begun - 1 : size;
    note(&port->journal->written, port->offset + 1);
    append(port);
}

static bool wants_output(struct port *port)
{
    if (port->end.place.type == CHARACTER_FILE) {
        return !port->held;
    }
    return is_console(port) || character_writable(&port->end);
}

/* With grants a chain has not been given back before the device's task has run. */
static bool all_given(struct port *port, unsigned int queue, uint64_t expected)
{
    if (virtio_device_given(&port->console->device, queue) >= expected) {
        return true;
    }
    look_after(port);
    return false;
}

static void serve_output(struct port *port)
{
    const unsigned int queue = port_queue(number_of(port)) + 1;
    struct virtio_device *device = &port->console->device;
    uint64_t budget = TURN_BYTES;
    struct virtqueue_chain *chain;

    for (unsigned int i = 0; i < TURN_CHAINS && wants_output(port); i++) {
        if (!all_given(port, queue, port->giving) || virtio_device_take(device, queue, &chain) != VIRTIO_DEVICE_CHAIN) {
            return;
        }
        if (port->end.place.type == CHARACTER_FILE) {
            begin_append(port, queue, chain);
        } else if (write_chain(port, queue, chain, &budget)) {
            complete_output(port, queue, chain);
        } else {
            virtio_device_untake(device, queue, chain);
            return;
        }
    }
    if (wants_output(port)) {
        look_after(port);
    }
}

/* Input. */

/* What has been delivered is no more to be delivered, as soon as the guest has it. */
static void settle_input(struct port *port, unsigned int queue)
{
    struct port_journal *journal = port->journal;

    if (journal->delivering > 0 && virtio_device_given(&port->console->device, queue) >= journal->delivering) {
        note_length(&journal->start, journal->next);
        if (journal->start >= journal->buffer.length) {
            note_length(&journal->buffer.length, 0);
        }
        note(&journal->delivering, 0);
    }
}

static void fetch(struct port *port, uint64_t room)
{
    struct port_journal *journal = port->journal;
    size_t most = room < CHARACTER_PIECE ? (size_t)room : CHARACTER_PIECE;
    const size_t lasting = character_lasting(&port->end, most);

    journal->start = 0;
    if (lasting > 0) {
        memset(journal->buffer.text, MARK, lasting);
        note_length(&journal->expected, (uint32_t)lasting);
        most = lasting;
    }
    note_length(&journal->buffer.length, (uint32_t)character_read(&port->end, journal->buffer.text, most));
    note_length(&journal->expected, 0);
}

static void deliver(struct port *port, unsigned int queue, struct virtqueue_chain *chain)
{
    struct port_journal *journal = port->journal;
    const uint32_t start = journal->start;
    const uint32_t given = (uint32_t)virtio_scatter(chain->vector + chain->readable, chain->writable,
                                                    journal->buffer.text + start, journal->buffer.length - start);

    note_length(&journal->next, start + given);
    note(&journal->delivering, virtio_device_given(&port->console->device, queue) + 1);
    virtio_device_complete(&port->console->device, queue, chain, given);
    settle_input(port, queue);
}

/* A driver of named ports throws away what comes before it has opened one. */
static bool wants_input(const struct port *port)
{
    const struct port_journal *journal = port->journal;

    return (!multiport(port->console) || journal->guest_open) && port->end.place.type != CHARACTER_JOURNAL &&
           (journal->buffer.length > 0 || character_readable(&port->end));
}

static void serve_input(struct port *port)
{
    const unsigned int queue = port_queue(number_of(port));
    struct virtio_device *device = &port->console->device;
    struct virtqueue_chain *chain;

    settle_input(port, queue);
    for (unsigned int i = 0; i < TURN_CHAINS && wants_input(port); i++) {
        if (!all_given(port, queue, port->journal->delivering) ||
            virtio_device_take(device, queue, &chain) != VIRTIO_DEVICE_CHAIN) {
            return;
        }
        if (port->journal->buffer.length == 0 && chain->writable_bytes > 0) {
            fetch(port, chain->writable_bytes);
        }
        if (port->journal->buffer.length > 0 && chain->writable_bytes > 0) {
            deliver(port, queue, chain);
        } else if (chain->writable_bytes == 0) {
            virtio_device_complete(device, queue, chain, 0);
        } else {
            virtio_device_untake(device, queue, chain);
        }
    }
    if (wants_input(port)) {
        look_after(port);
    }
}

/* The size of a terminal. */

/*
 * Whether that of the console is another one than the guest knows; then the configuration space has it, and a message
 * is owed.
 */
static bool resized(struct port *port)
{
    struct virtio_console_config *config = &port->console->config;
    struct port_journal *journal = port->journal;
    uint16_t columns, rows;

    if (!port->exists || !is_console(port) || !character_window(&port->end, &columns, &rows)) {
        return false;
    }
    config->cols = columns;
    config->rows = rows;
    if (columns == journal->columns && rows == journal->rows) {
        return false;
    }
    journal->columns = columns;
    journal->rows = rows;
    journal->owed |= journal->known ? OWED_SIZE : 0;
    look_after(port);
    return true;
}

/* Nobody tells when a terminal gets another size: it is looked at when somebody types, too. */
static void look_at_window(struct port *port)
{
    struct virtio_device *device = &port->console->device;

    if (resized(port) && virtio_device_has(device, VIRTIO_CONSOLE_F_SIZE)) {
        virtio_device_config_changed(device);
    }
}

/* Messages about ports. */

/* The next message that is owed about a port: its bit, or 0. */
static unsigned int next_owed(const struct port *port)
{
    const struct port_journal *journal = port->journal;
    const bool open_unknown = journal->known && journal->told_open != character_connected(&port->end);
    const unsigned int owed = journal->owed | (open_unknown ? OWED_OPEN : 0u);

    return owed & -owed;
}

static size_t make_message(const struct port *port, unsigned int owed, bool open, void *message)
{
    struct virtio_console_control control = { .id = number_of(port), .value = 1 };
    const struct virtio_console_resize {
        uint16_t columns;
        uint16_t rows;
    } size = { port->journal->columns, port->journal->rows };
    const void *more = NULL;
    size_t length = 0;

    switch (owed) {
    case OWED_ADD:
        control.event = VIRTIO_CONSOLE_PORT_ADD;
        break;
    case OWED_CONSOLE:
        control.event = VIRTIO_CONSOLE_CONSOLE_PORT;
        break;
    case OWED_NAME:
        control.event = VIRTIO_CONSOLE_PORT_NAME;
        more = port->name;
        length = strlen(port->name);
        break;
    case OWED_OPEN:
        control.event = VIRTIO_CONSOLE_PORT_OPEN;
        control.value = open;
        break;
    default:
        control.event = VIRTIO_CONSOLE_RESIZE;
        more = &size;
        length = sizeof(size);
        break;
    }
    memcpy(message, &control, sizeof(control));
    if (length > 0) {
        memcpy((char *)message + sizeof(control), more, length);
    }
    return sizeof(control) + length;
}

/* False: the guest has no buffer for it. */
static bool send_message(struct port *port, unsigned int owed)
{
    char message[sizeof(struct virtio_console_control) + CONSOLE_NAME_MAX];
    struct virtio_device *device = &port->console->device;
    const bool open = character_connected(&port->end);
    struct virtqueue_chain *chain;
    size_t size;

    if (virtio_device_take(device, CONTROL_TO_GUEST, &chain) != VIRTIO_DEVICE_CHAIN) {
        return false;
    }
    size = make_message(port, owed, open, message);
    if (chain->writable_bytes < size) {
        virtio_device_refuse(device, CONTROL_TO_GUEST, chain);
        return false;
    }
    (void)virtio_scatter(chain->vector + chain->readable, chain->writable, message, size);
    virtio_device_complete(device, CONTROL_TO_GUEST, chain, (uint32_t)size);
    port->journal->owed &= (uint8_t)~owed;
    port->journal->told_open = owed == OWED_OPEN ? open : port->journal->told_open;
    return true;
}

static void send_messages(struct console *console)
{
    unsigned int owed;

    for (unsigned int i = 0; i < console->ports; i++) {
        struct port *port = &console->port[i];

        while (port->exists && (owed = next_owed(port)) != 0) {
            if (!send_message(port, owed)) {
                return;
            }
        }
    }
}

static void device_ready(struct console *console)
{
    for (unsigned int i = 0; i < console->ports; i++) {
        console->port[i].journal->owed |= console->port[i].exists ? OWED_ADD : 0;
    }
}

static void port_ready(struct port *port)
{
    struct port_journal *journal = port->journal;

    (void)resized(port);
    journal->known = true;
    journal->told_open = false;
    journal->owed |= (uint8_t)((is_console(port) ? OWED_CONSOLE : OWED_NAME) | (journal->columns > 0 ? OWED_SIZE : 0));
}

/* 5.3.6.2. What makes no sense is ignored: a message has no answer. */
static void receive(struct console *console, const struct virtio_console_control *control)
{
    struct port *port = control->id < console->ports ? &console->port[control->id] : NULL;

    if (control->event == VIRTIO_CONSOLE_DEVICE_READY && control->value) {
        device_ready(console);
    } else if (port && port->exists && control->event == VIRTIO_CONSOLE_PORT_READY && control->value) {
        port_ready(port);
    } else if (port && port->exists && control->event == VIRTIO_CONSOLE_PORT_OPEN) {
        port->journal->guest_open = control->value != 0;
        look_after(port);
    }
}

/* Whether the chain has as much for the device to read. */
static bool copy_in(const struct virtqueue_chain *chain, void *to, size_t size)
{
    if (chain->readable_bytes < size) {
        return false;
    }
    virtio_gather(to, chain->vector, 0, size);
    return true;
}

static void receive_messages(struct console *console)
{
    struct virtio_console_control control;
    struct virtqueue_chain *chain;

    for (unsigned int i = 0; i < TURN_CHAINS; i++) {
        if (virtio_device_take(&console->device, CONTROL_FROM_GUEST, &chain) != VIRTIO_DEVICE_CHAIN) {
            return;
        }
        if (copy_in(chain, &control, sizeof(control))) {
            receive(console, &control);
        }
        virtio_device_complete(&console->device, CONTROL_FROM_GUEST, chain, 0);
    }
    loop_defer(console->loop, &console->task);
}

/* What the device does. */

static void write_emergency(struct console *console)
{
    struct port *port = &console->port[0];

    if (console->emergency_count > 0 && (console->device.features_offered & 1ull << VIRTIO_CONSOLE_F_EMERG_WRITE) &&
        character_writable(&port->end)) {
        (void)character_write(&port->end, console->emergency, console->emergency_count);
    }
    console->emergency_count = 0;
}

static void serve_port(struct port *port)
{
    if (!port->exists || (!is_console(port) && !multiport(port->console))) {
        return;
    }
    look_at_window(port);
    serve_output(port);
    serve_input(port);
}

static void work(void *opaque)
{
    struct console *console = opaque;

    write_emergency(console);
    if ((console->device.status & (VIRTIO_CONFIG_S_DRIVER_OK | VIRTIO_CONFIG_S_NEEDS_RESET)) !=
        VIRTIO_CONFIG_S_DRIVER_OK) {
        return; /* driver_ok() comes when it is started anew */
    }
    if (multiport(console)) {
        receive_messages(console);
    }
    for (unsigned int i = 0; i < console->ports; i++) {
        if (console->port[i].pending) {
            console->port[i].pending = false;
            serve_port(&console->port[i]);
        }
    }
    if (multiport(console)) {
        send_messages(console);
    }
}

/* What a predecessor was about to give back, and has not, nobody will: it is delivered anew. */
static void driver_ok(struct virtio_device *device)
{
    struct console *console = console_of(device);

    for (unsigned int i = 0; i < console->ports; i++) {
        settle_input(&console->port[i], port_queue(i));
        note(&console->port[i].journal->delivering, 0);
        look_after(&console->port[i]);
    }
}

static void available(struct virtio_device *device, unsigned int queue)
{
    struct console *console = console_of(device);

    if (queue / 2 != CONTROL_TO_GUEST / 2) {
        console->port[queue < 2 ? 0 : queue / 2 - 1].pending = true;
    }
    work(console);
}

/* 5.3.4: a character, whether or not the driver has started the device. */
static void config_write(struct virtio_device *device, uint64_t offset, unsigned int size, uint64_t data)
{
    struct console *console = console_of(device);

    (void)size;
    if (offset == offsetof(struct virtio_console_config, emerg_wr) && console->emergency_count < EMERGENCY_MAX) {
        console->emergency[console->emergency_count++] = (char)data;
        loop_defer(console->loop, &console->task);
    }
}

/* What has been read and not delivered stays for the next driver. */
static void reset(struct virtio_device *device)
{
    struct console *console = console_of(device);

    for (unsigned int i = 0; i < console->ports; i++) {
        struct port_journal *journal = console->port[i].journal;

        console->port[i].giving = 0;
        journal->written_of = 0;
        journal->written = 0;
        journal->start = journal->delivering > 0 ? journal->next : journal->start;
        journal->delivering = 0;
        if (console->port[i].end.place.type != CHARACTER_JOURNAL && journal->start >= journal->buffer.length) {
            journal->buffer.length = 0;
        }
        journal->owed = 0;
        journal->known = false;
        journal->guest_open = false;
        journal->told_open = false;
    }
}

static const struct virtio_device_operations operations = {
    .available = available, .driver_ok = driver_ok, .config_write = config_write, .reset = reset,
};

/* Options. */

static int refuse(int cause, const char *port, const char *why, char *error)
{
    (void)snprintf(error, KIND_ERROR_MAX, "%s%.20s%s%s", port ? "port " : "", port ? port : "", port ? ": " : "", why);
    return cause;
}

/* The console's; NULL if that is as it should be. */
static const char *console_place(const struct console_options *options, struct character_place *place)
{
    const struct character_place wanted[] = {
        { options->pty ? CHARACTER_PTY : CHARACTER_NONE, options->pty },
        { options->socket ? CHARACTER_SOCKET : CHARACTER_NONE, options->socket },
        { options->fifo ? CHARACTER_FIFO : CHARACTER_NONE, options->fifo },
        { options->file ? CHARACTER_FILE : CHARACTER_NONE, options->file },
        { options->journal ? CHARACTER_JOURNAL : CHARACTER_NONE, options->journal },
        { options->stdio ? CHARACTER_STDIO : CHARACTER_NONE, NULL },
        { options->sink ? CHARACTER_SINK : CHARACTER_NONE, NULL },
    };

    *place = (struct character_place){ CHARACTER_NONE, NULL };
    for (unsigned int i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
        if (wanted[i].type != CHARACTER_NONE && place->type != CHARACTER_NONE) {
            return "two ends for one console";
        }
        *place = wanted[i].type == CHARACTER_NONE ? *place : wanted[i];
    }
    return place->type == CHARACTER_NONE && !options->port[0] ? "leads nowhere: give it pty=LINK or another end" : NULL;
}

/* Names become names of files in the guest (/dev/virtio-ports/NAME). */
static bool good_name(const char *name)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_+@";
    const size_t length = strlen(name);

    return length > 0 && length == strspn(name, allowed) && strcmp(name, ".") != 0 && strcmp(name, "..") != 0;
}

/* NAME:TYPE:PATH */
static int parse_port(const char *text, char name[CONSOLE_NAME_MAX + 1], struct character_place *place, char *error)
{
    const size_t length = strcspn(text, ":");
    char why[CHARACTER_ERROR_MAX];

    name[0] = '\0';
    if (length <= CONSOLE_NAME_MAX) {
        memcpy(name, text, length);
        name[length] = '\0';
    }
    if (!good_name(name)) {
        return refuse(-EINVAL, text, "a name is up to 64 letters, digits and .-_+@, before a colon", error);
    }
    if (text[length] == '\0') {
        return refuse(-EINVAL, name, "a colon and an end are missing", error);
    }
    return character_parse(text + length + 1, place, why) ? refuse(-EINVAL, name, why, error) : 0;
}

/* What is at each port, and its name; how many ports there are, or a negative errno value. */
static int parse(const struct console_options *options, struct character_place place[CONSOLE_PORTS_MAX],
                 char name[CONSOLE_PORTS_MAX][CONSOLE_NAME_MAX + 1], char *error)
{
    const char *wrong = console_place(options, &place[0]);
    unsigned int count = 1;

    name[0][0] = '\0';
    if (wrong) {
        return refuse(-EINVAL, NULL, wrong, error);
    }
    for (; options->port[count - 1]; count++) {
        const int result = parse_port(options->port[count - 1], name[count], &place[count], error);

        if (result) {
            return result;
        }
        for (unsigned int i = 1; i < count; i++) {
            if (strcmp(name[i], name[count]) == 0) {
                return refuse(-EINVAL, name[count], "there are two of that name", error);
            }
        }
    }
    return (int)count;
}

static int open_ends(const void *options, struct kind_files *files, char error[KIND_ERROR_MAX])
{
    char name[CONSOLE_PORTS_MAX][CONSOLE_NAME_MAX + 1];
    struct character_place place[CONSOLE_PORTS_MAX];
    const int count = parse(options, place, name, error);
    char why[CHARACTER_ERROR_MAX];

    for (int i = 0; i < count; i++) {
        int *const file = &files->file[files->count];
        const int result = place[i].type == CHARACTER_NONE ? 0 : character_open(&place[i], file, why);

        if (result) {
            kind_files_close(files);
            return refuse(result, i ? name[i] : NULL, why, error);
        }
        for (unsigned int j = 0; j < CHARACTER_FILES && place[i].type == CHARACTER_NONE; j++) {
            file[j] = -1;
        }
        files->count += CHARACTER_FILES;
    }
    return count < 0 ? count : 0;
}

/* Life. */

static int start_ends(struct console *console, const struct character_place *place, const int *file, char *error)
{
    for (unsigned int i = 0; i < console->ports; i++) {
        struct port *port = &console->port[i];
        int result;

        port->console = console;
        port->journal = &console->journal->port[i];
        if (place[i].type == CHARACTER_NONE) {
            continue;
        }
        result = character_start(&port->end, console->loop, &place[i], file + i * CHARACTER_FILES, end_ready, port);
        if (result) {
            return refuse(result, i ? port->name : NULL, strerror(-result), error);
        }
        port->exists = true;
        character_keep_line(&port->end, &port->journal->buffer);
        (void)resized(port);
    }
    return 0;
}

static void finish_console(struct console *console)
{
    virtio_device_finish(&console->device);
    free(console->own);
    free(console);
}

static int start_device(struct console *console, const struct kind_host *host)
{
    const enum character_type type = console->port[0].end.place.type;
    const unsigned int queues = console->ports > 1 ? 2 * (console->ports + 1) : 2;
    const uint64_t features =
        (console->ports > 1 ? 1ull << VIRTIO_CONSOLE_F_MULTIPORT : 0) |
        (type == CHARACTER_PTY ? 1ull << VIRTIO_CONSOLE_F_SIZE : 0) |
        (type != CHARACTER_NONE && type != CHARACTER_FILE ? 1ull << VIRTIO_CONSOLE_F_EMERG_WRITE : 0);
    uint16_t sizes[2 * (CONSOLE_PORTS_MAX + 1)];
    int result;

    for (unsigned int i = 0; i < queues; i++) {
        sizes[i] = CONSOLE_QUEUE_SIZE;
    }
    console->config.max_nr_ports = console->ports;
    result = virtio_device_init(&console->device, VIRTIO_ID_CONSOLE, &operations, host->loop, host->platform, queues,
                                sizes, features);
    for (unsigned int i = 0; i < queues && !result; i++) {
        virtio_device_pull(&console->device, i);
    }
    console->device.config = &console->config;
    console->device.config_size = sizeof(console->config);
    return result;
}

static int create(struct virtio_device **device, const struct kind_host *host, const void *opaque,
                  const struct kind_files *files, char error[KIND_ERROR_MAX])
{
    char name[CONSOLE_PORTS_MAX][CONSOLE_NAME_MAX + 1];
    struct character_place place[CONSOLE_PORTS_MAX];
    const int ports = parse(opaque, place, name, error);
    struct console *console = ports < 0 ? NULL : calloc(1, sizeof(*console));
    int result;

    if (!console) {
        return ports < 0 ? ports : refuse(-ENOMEM, NULL, "no memory for it", error);
    }
    console->own = calloc(1, sizeof(*console->own));
    console->journal = console->own;
    console->loop = host->loop;
    console->task = (struct loop_task){ .run = work, .opaque = console };
    console->ports = (unsigned int)ports;
    memcpy(console->port[0].name, name[0], sizeof(name[0]));
    for (unsigned int i = 0; i < console->ports; i++) {
        memcpy(console->port[i].name, name[i], sizeof(name[i]));
    }
    result = console->own ? start_ends(console, place, files->file, error)
                          : refuse(-ENOMEM, NULL, "no memory for it", error);
    if (!result) {
        result = start_device(console, host);
        (void)(result ? refuse(result, NULL, strerror(-result), error) : 0);
    }
    if (result) {
        for (unsigned int i = 0; i < console->ports; i++) {
            if (console->port[i].exists) {
                character_stop(&console->port[i].end);
            }
        }
        finish_console(console);
        return result;
    }
    *device = &console->device;
    return 0;
}

static void destroy(struct virtio_device *device)
{
    struct console *console = console_of(device);

    for (unsigned int i = 0; i < console->ports; i++) {
        if (console->port[i].exists) {
            character_finish(&console->port[i].end);
        }
    }
    finish_console(console);
}

/* What a predecessor was killed in: see the head of this file. */
static void settle_attempts(struct port *port)
{
    struct port_journal *journal = port->journal;
    bool given = false;

    if (port->end.place.type != CHARACTER_FILE) {
        journal->written = (journal->written & UINT32_MAX) + (journal->written >> 32);
    }
    if (port->end.place.type == CHARACTER_JOURNAL || journal->expected == 0 || journal->buffer.length > 0) {
        journal->expected = 0;
        return;
    }
    for (uint32_t i = 0; i < journal->expected && i < CHARACTER_PIECE; i++) {
        given |= (uint8_t)journal->buffer.text[i] != MARK;
    }
    note_length(&journal->buffer.length, given && journal->expected <= CHARACTER_PIECE ? journal->expected : 0);
    note_length(&journal->expected, 0);
}

/* It may be anything: who had taken the predecessor over has written it. */
static void bound(struct port *port)
{
    const uint64_t given = virtio_device_given(&port->console->device, port_queue(number_of(port)));
    struct port_journal *journal = port->journal;
    const uint32_t length = journal->buffer.length;

    journal->delivering = journal->delivering <= given + 1 ? journal->delivering : 0;
    journal->buffer.length = length <= CHARACTER_PIECE ? length : 0;
    journal->start = journal->start <= journal->buffer.length ? journal->start : journal->buffer.length;
    journal->next = journal->next <= journal->buffer.length ? journal->next : journal->buffer.length;
}

static void keep_journal(struct virtio_device *device, void *opaque)
{
    struct console *console = console_of(device);
    const struct console_journal *before = console->journal;

    console->journal = opaque;
    if (console->journal->port[0].columns == 0) {
        console->journal->port[0].columns = before->port[0].columns;
        console->journal->port[0].rows = before->port[0].rows;
    }
    console->config.cols = console->journal->port[0].columns; /* until somebody sets another one */
    console->config.rows = console->journal->port[0].rows;
    for (unsigned int i = 0; i < console->ports; i++) {
        struct port *port = &console->port[i];

        port->journal = &console->journal->port[i];
        if (port->exists) {
            settle_attempts(port);
            bound(port);
            character_keep_line(&port->end, &port->journal->buffer);
        }
    }
}

/* SIGHUP: a terminal may have another size. */
static bool changed(struct virtio_device *device)
{
    struct console *console = console_of(device);
    const bool told = resized(&console->port[0]) && virtio_device_has(device, VIRTIO_CONSOLE_F_SIZE);

    if (told) {
        virtio_device_config_changed(device);
    }
    return told;
}

static void change_known(struct virtio_device *device)
{
    (void)device; /* it is noted as it is found */
}

static void report(struct virtio_device *device, const char *name, FILE *to)
{
    const struct console *console = console_of(device);

    for (unsigned int i = 0; i < console->ports; i++) {
        const struct port *port = &console->port[i];

        if (port->exists) {
            (void)fprintf(to, "%s: %s%s: bytes that nobody took: %llu\n", name, i ? "port " : "console", port->name,
                          (unsigned long long)port->dropped);
        }
    }
}

static bool wants_standard(const void *opaque)
{
    const struct console_options *options = opaque;
    struct character_place place;
    char ignored[CHARACTER_ERROR_MAX];
    bool wanted = options->stdio;

    for (unsigned int i = 0; options->port[i]; i++) {
        const size_t name = strcspn(options->port[i], ":");

        wanted |= options->port[i][name] == ':' &&
                  character_parse(options->port[i] + name + 1, &place, ignored) == 0 && place.type == CHARACTER_STDIO;
    }
    return wanted;
}

#define END(member, value, help) \
    { #member, SETTING_TEXT, false, value, NULL, help, offsetof(struct console_options, member), 0, 0 }
#define FLAG_END(member, help) \
    { #member, SETTING_FLAG, false, NULL, NULL, help, offsetof(struct console_options, member), 0, 0 }

static const struct setting settings[] = {
    END(pty, "LINK", "the console is a terminal of its own, to which the symbolic link LINK leads"),
    END(socket, "PATH", "it is a UNIX stream socket, which listens there: one client at a time"),
    END(fifo, "PATH", "it reads the FIFO PATH.in and writes PATH.out; they are made if they are not there"),
    END(file, "PATH", "its output is added to that file"),
    END(journal, "NAME", "its output is lines on standard error, with NAME before each"),
    FLAG_END(stdio, "it is standard input and output"),
    FLAG_END(sink, "its output is lost"),
    { "port", SETTING_TEXTS, false, "NAME:END", NULL,
      "a port that the guest finds as /dev/virtio-ports/NAME; END is pty:LINK, socket:PATH, fifo:PATH, file:PATH, "
      "journal:NAME, stdio or sink. May be given 30 times",
      offsetof(struct console_options, port), 0, CONSOLE_PORTS_MAX },
};

static const int calls[] = { SCMP_SYS(accept4) };
static const unsigned long commands[] = { FIONREAD, TIOCGWINSZ };

const struct kind console_kind = {
    .name = "console",
    .help = "a console, or ports with names, or both",
    .class_code = CONSOLE_CLASS,
    .settings = SETTINGS(settings),
    .options_size = sizeof(struct console_options),
    .journal_size = sizeof(struct console_journal),
    .needs = { calls, sizeof(calls) / sizeof(calls[0]), commands, sizeof(commands) / sizeof(commands[0]),
               CONSOLE_PORTS_MAX + 1 },
    .open = open_ends,
    .create = create,
    .destroy = destroy,
    .keep_journal = keep_journal,
    .changed = changed,
    .change_known = change_known,
    .report = report,
    .wants_standard = wants_standard,
};
