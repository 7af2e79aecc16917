/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * See character.h. Descriptors are watched for edges: what is said once is kept in `readable` and `writable` until the
 * opposite is found, so that one that nobody wants to read does not keep the event loop awake.
 *
 * Before each read and write it is asked whether it would have to wait (poll(2)): standard input and output are shared
 * with others, so that they cannot be made non-blocking.
 */
#include "character.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define LINE_MAX 1000u /* of a journal, name and end of line included; longer ones are cut into several */

static short asked(int descriptor, short events)
{
    struct pollfd about = { .fd = descriptor, .events = events };

    return poll(&about, 1, 0) > 0 ? about.revents : 0;
}

static size_t waiting_bytes(int descriptor)
{
    int bytes = 0;

    return ioctl(descriptor, FIONREAD, &bytes) || bytes < 0 ? 0 : (size_t)bytes;
}

static void happened(struct character *end)
{
    end->ready(end->opaque);
}

/* A watch that has ended for an error is left so: reads and writes tell the rest. */
static void input_ready(void *opaque, int error)
{
    struct character *end = opaque;

    (void)error;
    end->readable = true;
    end->writable |= end->output < 0 || end->output == end->input;
    happened(end);
}

static void output_ready(void *opaque, int error)
{
    struct character *end = opaque;

    (void)error;
    end->writable = true;
    happened(end);
}

/* -EPERM: a file, of which all can be had at once. */
static int watch(struct character *end, struct loop_watch *watch, int descriptor, uint32_t events, loop_ready_fn *ready)
{
    const int error = loop_watch_events(end->loop, watch, descriptor, events | (uint32_t)EPOLLET, ready, end);

    return error == -EPERM ? 0 : error;
}

static void accept_clients(struct character *end);

static void disconnect(struct character *end)
{
    loop_unwatch(end->loop, &end->reading);
    (void)close(end->input);
    end->input = -1;
    end->output = -1;
    end->readable = false;
    end->writable = false;
    end->deaf = false;
    accept_clients(end); /* one that there was no descriptor for */
    happened(end);
}

static bool hung_up(const struct character *end)
{
    return asked(end->input, POLLIN) & (POLLHUP | POLLERR);
}

static void client_ready(void *opaque, int error)
{
    struct character *end = opaque;

    if (hung_up(end) && waiting_bytes(end->input) == 0) {
        disconnect(end);
    } else {
        input_ready(opaque, error);
    }
}

static void adopt(struct character *end, int client)
{
    end->input = client;
    end->output = client;
    end->readable = true;
    end->writable = true;
    if (watch(end, &end->reading, client, EPOLLIN | EPOLLOUT, client_ready)) {
        disconnect(end);
    }
}

/* One at a time: another one is sent away, unless the one that is there has gone. */
static void accept_clients(struct character *end)
{
    int client;

    while ((client = accept4(end->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        if (end->input >= 0 && !hung_up(end)) {
            (void)close(client);
            continue;
        }
        if (end->input >= 0) {
            loop_unwatch(end->loop, &end->reading);
            (void)close(end->input);
            end->deaf = false;
        }
        adopt(end, client);
    }
}

static void listener_ready(void *opaque, int error)
{
    (void)error;
    accept_clients(opaque);
    happened(opaque);
}

static int start_watches(struct character *end)
{
    int error = 0;

    switch (end->place.type) {
    case CHARACTER_SOCKET:
        return watch(end, &end->listening, end->listener, EPOLLIN, listener_ready);
    case CHARACTER_PTY:
        return watch(end, &end->reading, end->input, EPOLLIN | EPOLLOUT, input_ready);
    case CHARACTER_FIFO:
    case CHARACTER_STDIO:
        error = watch(end, &end->reading, end->input, EPOLLIN, input_ready);
        return error ? error : watch(end, &end->writing, end->output, EPOLLOUT, output_ready);
    case CHARACTER_FILE:
        return loop_add_file(end->loop, end->output);
    default:
        return 0;
    }
}

void character_stop(struct character *end)
{
    loop_unwatch(end->loop, &end->listening);
    loop_unwatch(end->loop, &end->reading);
    loop_unwatch(end->loop, &end->writing);
}

int character_start(struct character *end, struct loop *loop, const struct character_place *place,
                    const int file[CHARACTER_FILES], void (*ready)(void *opaque), void *opaque)
{
    const bool socket = place->type == CHARACTER_SOCKET;
    int error;

    *end = (struct character){
        .place = *place,
        .loop = loop,
        .listener = socket ? file[CHARACTER_INPUT] : -1,
        .input = socket ? -1 : file[CHARACTER_INPUT],
        .output = socket                            ? -1
                  : place->type == CHARACTER_PTY    ? file[CHARACTER_INPUT]
                  : place->type == CHARACTER_JOURNAL ? STDERR_FILENO
                                                    : file[CHARACTER_OUTPUT],
        .kept = file[CHARACTER_KEPT],
        .readable = file[CHARACTER_INPUT] >= 0 && !socket,
        .writable = true,
        .ready = ready,
        .opaque = opaque,
    };
    error = start_watches(end);
    if (error) {
        character_stop(end);
    }
    return error;
}

static void close_if_open(int descriptor)
{
    if (descriptor >= 0) {
        (void)close(descriptor);
    }
}

void character_finish(struct character *end)
{
    if (end->place.type == CHARACTER_FILE) {
        (void)flock(end->output, LOCK_UN); /* before the last who has it is gone: that is the ring, sooner or later */
    }
    close_if_open(end->kept);
    close_if_open(end->listener);
    close_if_open(end->input);
    if (end->output != end->input && end->output != STDERR_FILENO) {
        close_if_open(end->output);
    }
}

void character_keep_line(struct character *end, struct character_line *line)
{
    end->line = line;
}

bool character_connected(const struct character *end)
{
    return end->place.type != CHARACTER_SOCKET || (end->input >= 0 && !end->deaf);
}

bool character_readable(const struct character *end)
{
    return end->readable;
}

size_t character_lasting(const struct character *end, size_t most)
{
    const size_t bytes = end->place.type == CHARACTER_FIFO ? waiting_bytes(end->input) : 0;

    most = most < CHARACTER_PIECE ? most : CHARACTER_PIECE;
    return bytes < most ? bytes : most;
}

size_t character_read(struct character *end, void *data, size_t size)
{
    ssize_t result = -1;

    if (end->readable && (asked(end->input, POLLIN) & ~POLLOUT)) {
        result = read(end->input, data, size < CHARACTER_PIECE ? size : CHARACTER_PIECE);
    }
    if (result > 0) {
        return (size_t)result;
    }
    end->readable = false;
    /* A client that has only said that it will write no more is still there, and reads. */
    if (result == 0 && end->place.type == CHARACTER_SOCKET && hung_up(end)) {
        disconnect(end);
    }
    return 0;
}

/* What a line may have: no control character of the guest's gets into somebody's terminal or between lines. */
static char harmless(char character)
{
    const unsigned char byte = (unsigned char)character;

    return byte == '\t' || (byte >= ' ' && byte != 0x7f) ? character : '?';
}

/* It is begun anew before it is written: none is written twice. */
static void write_line(const struct character *end)
{
    const size_t length = end->line->length;
    char text[LINE_MAX + 1];
    size_t size = 0;

    end->line->length = 0;
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    while (end->place.path[size] != '\0' && size < LINE_MAX / 2) {
        text[size] = end->place.path[size];
        size++;
    }
    text[size++] = ':';
    text[size++] = ' ';
    for (size_t i = 0; i < length && size < LINE_MAX; i++) {
        text[size++] = harmless(end->line->text[i]);
    }
    text[size++] = '\n';
    (void)!write(end->output, text, size); /* nobody reads it, or the disk is full: what could be said, and where? */
}

static size_t write_lines(struct character *end, const char *data, size_t size)
{
    struct character_line *line = end->line;

    for (size_t i = 0; i < size; i++) {
        const char character = *(const volatile char *)&data[i];

        if (character == '\n' || line->length >= LINE_MAX / 2 - 3) {
            if (!(asked(end->output, POLLOUT) & POLLOUT)) {
                return i;
            }
            write_line(end);
        }
        if (character != '\n' && character != '\r') {
            line->text[line->length] = character;
            line->length++;
        }
    }
    return size;
}

bool character_writable(struct character *end)
{
    switch (end->place.type) {
    case CHARACTER_SINK:
        return true;
    case CHARACTER_SOCKET:
        if (end->input < 0 || end->deaf) {
            return false;
        }
        break;
    default:
        break;
    }
    if (end->writable && !(asked(end->output, POLLOUT) & (POLLOUT | POLLERR | POLLHUP))) {
        end->writable = end->place.type == CHARACTER_JOURNAL; /* nobody watches it: it is asked each time */
        return false;
    }
    return end->writable;
}

size_t character_write(struct character *end, const void *data, size_t size)
{
    ssize_t result;

    size = size < CHARACTER_PIECE ? size : CHARACTER_PIECE;
    if (end->place.type == CHARACTER_SINK) {
        return size;
    }
    if (end->place.type == CHARACTER_JOURNAL) {
        return write_lines(end, data, size);
    }
    result = write(end->output, data, size);
    if (result > 0) {
        return (size_t)result;
    }
    if (end->place.type == CHARACTER_SOCKET && result < 0 && errno != EAGAIN && errno != EINTR) {
        if (waiting_bytes(end->input) > 0) {
            end->deaf = true;
        } else {
            disconnect(end);
            return 0;
        }
    }
    end->writable = false;
    return 0;
}

int character_size(const struct character *end, uint64_t *size)
{
    const off_t result = lseek(end->output, 0, SEEK_END);

    *size = result < 0 ? 0 : (uint64_t)result;
    return result < 0 ? -errno : 0;
}

void character_append(struct character *end, struct loop_request *request, const struct iovec *vector,
                      unsigned int count, uint64_t offset, loop_done_fn *done)
{
    loop_write(end->loop, request, end->output, vector, count, offset, done);
}

bool character_window(const struct character *end, uint16_t *columns, uint16_t *rows)
{
    struct winsize size;

    if (end->place.type != CHARACTER_PTY || ioctl(end->input, TIOCGWINSZ, &size) || size.ws_col == 0 ||
        size.ws_row == 0) {
        return false;
    }
    *columns = size.ws_col;
    *rows = size.ws_row;
    return true;
}
