/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * See vsock.h. All queues are pulled, and no chain is held from one turn of the loop to the next.
 *
 *   take_packets()  what the guest sends: judged and done at once; data go into the connection's buffer
 *   flush()         from there to the program of the host, as it reads
 *   give_packets()  what the guest is to get: answers to what belongs to no connection, then of each connection in turn
 *                   what is `owed` to it, then what its program has written
 *
 * A guest that takes nothing is served no further once ANSWERS_MAX answers wait for it. So nothing grows.
 */
#include "vsock.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <linux/virtio_ids.h>
#include <linux/virtio_vsock.h>

#include "backends/ports.h"
#include "virtio/copy.h"

#define VSOCK_CLASS 0x028000u /* PCI: network, other */

#define ANSWERS_MAX     64u
#define PACKETS_A_TURN  64u
#define LINE_MAX_LENGTH 32u
#define GREETING        "CONNECT "
#define PORT_FIRST      0x40000000u /* of those that are given to programs of the host */
#define HEADER          sizeof(struct virtio_vsock_hdr)
#define SHUT_BOTH       (VIRTIO_VSOCK_SHUTDOWN_RCV | VIRTIO_VSOCK_SHUTDOWN_SEND)

enum {
    QUEUE_RX, /* the guest's */
    QUEUE_TX,
    QUEUE_EVENT,
    QUEUES,
};

enum {
    FILE_LISTENER,
    FILE_DIRECTORY,
};

enum state {
    STATE_FREE,
    STATE_GREETING, /* a program has connected, and is to say which port it wants */
    STATE_ASKED,    /* the guest has been asked */
    STATE_OPEN,
    STATE_ENDED,    /* the program is gone; a reset is owed to the guest */
};

/* One bit for each kind of packet. */
#define OWED(op) (1u << VIRTIO_VSOCK_OP_##op)

struct connection {
    struct vsock *vsock;
    enum state state;
    int socket; /* -1: none */
    struct loop_watch watch;
    unsigned int events; /* that are watched */
    uint32_t host_port;
    uint32_t guest_port;
    uint32_t owed;
    bool readable;   /* the socket may have something */
    bool ended;      /* the program will write nothing more */
    bool guest_done; /* the guest will send nothing more, and take nothing: end when the buffer is empty */
    bool guest_sent; /* the guest will send nothing more */
    uint32_t guest_alloc; /* its credit, as it says, */
    uint32_t guest_fwd;
    uint32_t sent;      /* bytes that it got */
    uint32_t received;  /* bytes that it has sent, of these */
    uint32_t forwarded; /* the program has so many, */
    uint32_t told;      /* which the guest knows of so many */
    uint32_t line_length;
    char line[LINE_MAX_LENGTH + 1];
};

struct answer {
    uint64_t cid;
    uint32_t host_port;
    uint32_t guest_port;
    uint16_t type;
};

struct vsock_journal {
    uint64_t started; /* the driver has, since the reset: there may be connections */
};

struct vsock {
    struct virtio_device device; /* first: the operations are given this */
    struct loop *loop;
    struct ports ports;
    struct loop_watch listener;
    bool listening;
    struct loop_task again;
    uint64_t cid;
    struct virtio_vsock_config config;
    struct vsock_journal *journal;
    struct vsock_journal own;
    bool lost; /* a predecessor's connections are, and the guest is to know */
    uint32_t next_port;
    unsigned int turn; /* of the connections, which is the next */
    unsigned int first_answer, answers;
    struct answer answer[ANSWERS_MAX];
    struct connection connection[VSOCK_CONNECTIONS];
    unsigned char (*buffer)[VSOCK_BUFFER]; /* by connection */
};

static struct vsock *vsock_of(struct virtio_device *device)
{
    return (struct vsock *)(void *)device;
}

static unsigned char *buffer_of(const struct connection *connection)
{
    return connection->vsock->buffer[connection - connection->vsock->connection];
}

static void again(struct vsock *vsock)
{
    loop_defer(vsock->loop, &vsock->again);
}

static void ready(void *opaque, int error);

/* What is worth waiting for at a program's socket. */
static void watch(struct connection *connection)
{
    struct loop *loop = connection->vsock->loop;
    const bool reads = connection->state == STATE_GREETING ||
                       (connection->state == STATE_OPEN && !connection->readable && !connection->ended);
    const unsigned int wanted =
        (reads ? EPOLLIN : 0) | (connection->received != connection->forwarded ? EPOLLOUT : 0);

    if (wanted == connection->events) {
        return;
    }
    if (connection->events) {
        loop_unwatch(loop, &connection->watch);
    }
    connection->events = 0;
    if (!wanted) {
        return;
    }
    if (loop_watch_events(loop, &connection->watch, connection->socket, wanted, ready, connection)) {
        again(connection->vsock); /* no memory: tried in each turn */
    } else {
        connection->events = wanted;
    }
}

static void listen_again(struct vsock *vsock);

/* The program's end is closed; what the guest is owed stays. */
static void hang_up(struct connection *connection)
{
    if (connection->events) {
        loop_unwatch(connection->vsock->loop, &connection->watch);
        connection->events = 0;
    }
    if (connection->socket >= 0) {
        (void)close(connection->socket);
        connection->socket = -1;
    }
    connection->received = connection->forwarded;
    connection->readable = false;
}

static void free_connection(struct connection *connection)
{
    hang_up(connection);
    connection->state = STATE_FREE;
    connection->owed = 0;
    listen_again(connection->vsock);
}

/* The guest is told that there is no connection any more. */
static void reset_connection(struct connection *connection)
{
    hang_up(connection);
    connection->state = STATE_ENDED;
    connection->owed = OWED(RST);
    again(connection->vsock);
}

static void owe(struct connection *connection, uint32_t packets)
{
    connection->owed |= packets;
    again(connection->vsock);
}

static struct connection *find(struct vsock *vsock, uint32_t host_port, uint32_t guest_port)
{
    for (unsigned int i = 0; i < VSOCK_CONNECTIONS; i++) {
        struct connection *connection = &vsock->connection[i];

        if (connection->state >= STATE_ASKED && connection->host_port == host_port &&
            connection->guest_port == guest_port) {
            return connection;
        }
    }
    return NULL;
}

static struct connection *begin(struct vsock *vsock, int socket, enum state state)
{
    for (unsigned int i = 0; i < VSOCK_CONNECTIONS; i++) {
        struct connection *connection = &vsock->connection[i];

        if (connection->state == STATE_FREE) {
            *connection = (struct connection){ .vsock = vsock, .state = state, .socket = socket };
            return connection;
        }
    }
    return NULL;
}

static bool full(const struct vsock *vsock)
{
    for (unsigned int i = 0; i < VSOCK_CONNECTIONS; i++) {
        if (vsock->connection[i].state == STATE_FREE) {
            return false;
        }
    }
    return true;
}

/* Buffer to program, as much as it takes. */
static void flush(struct connection *connection)
{
    while (connection->received != connection->forwarded) {
        const uint32_t at = connection->forwarded % VSOCK_BUFFER;
        const uint32_t left = connection->received - connection->forwarded;
        const uint32_t part = left < VSOCK_BUFFER - at ? left : VSOCK_BUFFER - at;
        const ssize_t sent =
            sendto(connection->socket, buffer_of(connection) + at, part, MSG_NOSIGNAL | MSG_DONTWAIT, NULL, 0);

        if (sent < 0 && errno == EINTR) {
            continue;
        }
        if (sent < 0 && errno == EAGAIN) {
            break;
        }
        if (sent < 0) {
            reset_connection(connection);
            return;
        }
        connection->forwarded += (uint32_t)sent;
    }
    /* Half of it is free that the guest takes for full. */
    if (connection->forwarded - connection->told >= VSOCK_BUFFER / 2) {
        owe(connection, OWED(CREDIT_UPDATE));
    }
    if (connection->received == connection->forwarded) {
        if (connection->guest_done) {
            reset_connection(connection); /* 5.10.6.6: the answer to a shutdown in both directions */
            return;
        }
        if (connection->guest_sent) {
            (void)shutdown(connection->socket, SHUT_WR);
        }
    }
    watch(connection);
}

/* One line, byte by byte, since what follows is the guest's. 0, -EAGAIN: not all of it yet, or -EPROTO. */
static int read_line(struct connection *connection)
{
    while (connection->line_length < LINE_MAX_LENGTH) {
        char *const to = &connection->line[connection->line_length];
        const ssize_t got = read(connection->socket, to, 1);

        if (got <= 0) {
            return got < 0 && (errno == EAGAIN || errno == EINTR) ? -EAGAIN : -EPROTO;
        }
        if (*to == '\n') {
            *to = '\0';
            return 0;
        }
        connection->line_length++;
    }
    return -EPROTO;
}

/* "CONNECT PORT" */
static bool parse_port(const char *line, uint32_t *port)
{
    const char *number = line + sizeof(GREETING) - 1;
    unsigned long long value;
    char *end;

    if (strncmp(line, GREETING, sizeof(GREETING) - 1) != 0 || !isdigit((unsigned char)*number)) {
        return false;
    }
    value = strtoull(number, &end, 10);
    *port = (uint32_t)value;
    return *end == '\0' && value <= UINT32_MAX;
}

static void read_greeting(struct connection *connection)
{
    struct vsock *vsock = connection->vsock;
    const int error = read_line(connection);
    uint32_t port;

    if (error == -EAGAIN) {
        return;
    }
    if (error || !vsock->journal->started || !parse_port(connection->line, &port)) {
        free_connection(connection);
        return;
    }
    do {
        connection->host_port = PORT_FIRST + vsock->next_port++ % PORT_FIRST;
    } while (find(vsock, connection->host_port, port));
    connection->guest_port = port;
    connection->state = STATE_ASKED;
    owe(connection, OWED(REQUEST));
    watch(connection);
}

static void ready(void *opaque, int error)
{
    struct connection *connection = opaque;

    if (error) {
        connection->events = 0; /* it is not watched any more */
        if (connection->state == STATE_GREETING) {
            free_connection(connection);
        } else {
            reset_connection(connection);
        }
        return;
    }
    if (connection->state == STATE_GREETING) {
        read_greeting(connection);
        return;
    }
    connection->readable = connection->state == STATE_OPEN && !connection->ended;
    flush(connection);
    again(connection->vsock);
}

static void accept_program(void *opaque, int error)
{
    struct vsock *vsock = opaque;
    const int socket = error ? error : ports_accept(&vsock->ports);
    struct connection *connection;

    if (socket < 0) {
        return;
    }
    connection = begin(vsock, socket, STATE_GREETING);
    if (!connection) {
        (void)close(socket);
        return;
    }
    watch(connection);
    listen_again(vsock);
}

/* While there is a place for one; the others wait. */
static void listen_again(struct vsock *vsock)
{
    const bool wanted = !full(vsock);

    if (wanted && !vsock->listening) {
        vsock->listening = loop_watch(vsock->loop, &vsock->listener, vsock->ports.listener, accept_program, vsock) == 0;
    } else if (!wanted && vsock->listening) {
        loop_unwatch(vsock->loop, &vsock->listener);
        vsock->listening = false;
    }
}

/* A reset for what belongs to no connection. */
static void answer_reset(struct vsock *vsock, const struct virtio_vsock_hdr *header)
{
    vsock->answer[(vsock->first_answer + vsock->answers++) % ANSWERS_MAX] = (struct answer){
        .cid = header->dst_cid, .host_port = header->dst_port, .guest_port = header->src_port, .type = header->type,
    };
}

static void take_request(struct vsock *vsock, const struct virtio_vsock_hdr *header)
{
    const int socket = full(vsock) ? -ENOSPC : ports_connect(&vsock->ports, header->dst_port);
    struct connection *connection;

    if (socket < 0) {
        answer_reset(vsock, header);
        return;
    }
    connection = begin(vsock, socket, STATE_OPEN);
    connection->host_port = header->dst_port;
    connection->guest_port = header->src_port;
    connection->guest_alloc = header->buf_alloc;
    connection->guest_fwd = header->fwd_cnt;
    connection->owed = OWED(RESPONSE);
    listen_again(vsock);
    watch(connection);
}

/* The guest accepts what a program has asked for. */
static void take_response(struct connection *connection)
{
    char line[LINE_MAX_LENGTH];
    int length;

    if (connection->state != STATE_ASKED || connection->owed) {
        reset_connection(connection);
        return;
    }
    connection->state = STATE_OPEN;
    length = snprintf(line, sizeof(line), "OK %" PRIu32 "\n", connection->host_port);
    if (sendto(connection->socket, line, (size_t)length, MSG_NOSIGNAL | MSG_DONTWAIT, NULL, 0) != length) {
        reset_connection(connection);
        return;
    }
    watch(connection);
}

/* What follows the header in the chain, of which there is as much. The guest has credit, or breaks the rules. */
static void take_data(struct connection *connection, const struct virtqueue_chain *chain, uint32_t length)
{
    size_t skip = HEADER;

    if (connection->state != STATE_OPEN || connection->guest_sent ||
        length > VSOCK_BUFFER - (connection->received - connection->forwarded)) {
        reset_connection(connection);
        return;
    }
    for (unsigned int i = 0; i < chain->readable && length > 0; i++) {
        const struct iovec *vector = &chain->vector[i];
        size_t at = skip < vector->iov_len ? skip : vector->iov_len;

        skip -= at;
        while (at < vector->iov_len && length > 0) {
            const uint32_t to = connection->received % VSOCK_BUFFER;
            size_t part = vector->iov_len - at;

            part = part < length ? part : length;
            part = part < VSOCK_BUFFER - to ? part : VSOCK_BUFFER - to;
            memcpy(buffer_of(connection) + to, (const char *)vector->iov_base + at, part);
            at += part;
            length -= (uint32_t)part;
            connection->received += (uint32_t)part;
        }
    }
    flush(connection);
}

static void take_shutdown(struct connection *connection, uint32_t flags)
{
    if (connection->state != STATE_OPEN) {
        reset_connection(connection);
        return;
    }
    connection->guest_sent |= (flags & VIRTIO_VSOCK_SHUTDOWN_SEND) != 0;
    connection->guest_done |= (flags & SHUT_BOTH) == SHUT_BOTH;
    if (flags & VIRTIO_VSOCK_SHUTDOWN_RCV) {
        connection->ended = true;
        connection->readable = false;
        (void)shutdown(connection->socket, SHUT_RD);
        connection->guest_done |= connection->guest_sent;
    }
    flush(connection);
}

static void take_for_connection(struct connection *connection, const struct virtio_vsock_hdr *header,
                                const struct virtqueue_chain *chain)
{
    connection->guest_alloc = header->buf_alloc;
    connection->guest_fwd = header->fwd_cnt;
    switch (header->op) {
    case VIRTIO_VSOCK_OP_RESPONSE:
        take_response(connection);
        break;
    case VIRTIO_VSOCK_OP_RST:
        free_connection(connection);
        break;
    case VIRTIO_VSOCK_OP_SHUTDOWN:
        take_shutdown(connection, header->flags);
        break;
    case VIRTIO_VSOCK_OP_RW:
        take_data(connection, chain, header->len);
        break;
    case VIRTIO_VSOCK_OP_CREDIT_UPDATE:
        again(connection->vsock);
        break;
    case VIRTIO_VSOCK_OP_CREDIT_REQUEST:
        owe(connection, OWED(CREDIT_UPDATE));
        break;
    default: /* a request for what is there already, too */
        reset_connection(connection);
        break;
    }
}

/* 5.10.6.4.1: what has another sender than the guest is dropped; what is for nobody is answered by a reset. */
static void take_packet(struct vsock *vsock, const struct virtio_vsock_hdr *header,
                        const struct virtqueue_chain *chain)
{
    struct connection *connection;

    if (header->src_cid != vsock->cid) {
        return;
    }
    connection = header->dst_cid == VSOCK_HOST && header->type == VIRTIO_VSOCK_TYPE_STREAM
                     ? find(vsock, header->dst_port, header->src_port)
                     : NULL;
    if (connection && header->len > chain->readable_bytes - HEADER) {
        reset_connection(connection);
    } else if (connection && connection->state != STATE_ENDED) {
        take_for_connection(connection, header, chain);
    } else if (connection && header->op == VIRTIO_VSOCK_OP_RST) {
        free_connection(connection);
    } else if (!connection && header->op == VIRTIO_VSOCK_OP_REQUEST && header->dst_cid == VSOCK_HOST &&
               header->type == VIRTIO_VSOCK_TYPE_STREAM) {
        take_request(vsock, header);
    } else if (!connection && header->op != VIRTIO_VSOCK_OP_RST) {
        answer_reset(vsock, header);
    }
}

static void take_packets(struct vsock *vsock)
{
    for (unsigned int i = 0; vsock->answers < ANSWERS_MAX; i++) {
        struct virtio_vsock_hdr header;
        struct virtqueue_chain *chain;

        if (i == PACKETS_A_TURN) {
            again(vsock);
            return;
        }
        if (virtio_device_take(&vsock->device, QUEUE_TX, &chain) != VIRTIO_DEVICE_CHAIN) {
            return;
        }
        if (chain->readable_bytes < HEADER) {
            virtio_device_refuse(&vsock->device, QUEUE_TX, chain);
            return;
        }
        virtio_gather(&header, chain->vector, 0, HEADER);
        take_packet(vsock, &header, chain);
        virtio_device_complete(&vsock->device, QUEUE_TX, chain, 0);
    }
}

static struct virtio_vsock_hdr header_of(const struct connection *connection, uint16_t op)
{
    return (struct virtio_vsock_hdr){
        .src_cid = VSOCK_HOST, .dst_cid = connection->vsock->cid, .src_port = connection->host_port,
        .dst_port = connection->guest_port, .type = VIRTIO_VSOCK_TYPE_STREAM, .op = op,
        .buf_alloc = VSOCK_BUFFER, .fwd_cnt = connection->forwarded,
    };
}

static uint32_t credit(const struct connection *connection)
{
    const uint32_t under_way = connection->sent - connection->guest_fwd;

    return under_way < connection->guest_alloc ? connection->guest_alloc - under_way : 0;
}

static bool has_data(const struct connection *connection)
{
    return connection->state == STATE_OPEN && connection->readable && credit(connection) > 0;
}

/* The program's data, behind the header; 0: none for now. */
static uint32_t read_data(struct connection *connection, const struct virtqueue_chain *chain)
{
    struct iovec vector[VIRTQUEUE_VECTORS];
    size_t skip = HEADER, room = credit(connection);
    int count = 0;
    ssize_t got;

    for (unsigned int i = 0; i < chain->writable && room > 0 && count < (int)VIRTQUEUE_VECTORS; i++) {
        const struct iovec *from = &chain->vector[chain->readable + i];
        const size_t at = skip < from->iov_len ? skip : from->iov_len;
        const size_t part = from->iov_len - at < room ? from->iov_len - at : room;

        skip -= at;
        room -= part;
        if (part > 0) {
            vector[count++] = (struct iovec){ (char *)from->iov_base + at, part };
        }
    }
    got = readv(connection->socket, vector, count);
    if (got > 0) {
        return (uint32_t)got;
    }
    connection->readable = false;
    if (got == 0) {
        connection->ended = true;
        owe(connection, OWED(SHUTDOWN));
    } else if (errno != EAGAIN && errno != EINTR) {
        reset_connection(connection);
    }
    watch(connection);
    return 0;
}

/* Puts the next packet of a connection into a chain; how many bytes there are in it; 0: it has none after all. */
static uint32_t put_packet(struct connection *connection, struct virtqueue_chain *chain)
{
    static const uint16_t order[] = {
        VIRTIO_VSOCK_OP_RST, VIRTIO_VSOCK_OP_REQUEST, VIRTIO_VSOCK_OP_RESPONSE, VIRTIO_VSOCK_OP_SHUTDOWN,
        VIRTIO_VSOCK_OP_CREDIT_UPDATE,
    };
    struct virtio_vsock_hdr header;
    uint32_t length = 0;
    unsigned int i = 0;

    while (i < sizeof(order) / sizeof(order[0]) && !(connection->owed & 1u << order[i])) {
        i++;
    }
    if (i < sizeof(order) / sizeof(order[0])) {
        header = header_of(connection, order[i]);
        header.flags = order[i] == VIRTIO_VSOCK_OP_SHUTDOWN ? VIRTIO_VSOCK_SHUTDOWN_SEND : 0;
        connection->owed &= ~(1u << order[i]);
    } else {
        length = read_data(connection, chain);
        if (length == 0) {
            return 0;
        }
        connection->sent += length;
        header = header_of(connection, VIRTIO_VSOCK_OP_RW);
        header.len = length;
    }
    connection->told = connection->forwarded;
    (void)virtio_scatter(chain->vector + chain->readable, chain->writable, &header, HEADER);
    if (header.op == VIRTIO_VSOCK_OP_RST) {
        free_connection(connection);
    }
    return (uint32_t)HEADER + length;
}

static uint32_t put_answer(struct vsock *vsock, struct virtqueue_chain *chain)
{
    const struct answer *answer = &vsock->answer[vsock->first_answer];
    const struct virtio_vsock_hdr header = {
        .src_cid = answer->cid, .dst_cid = vsock->cid, .src_port = answer->host_port, .dst_port = answer->guest_port,
        .type = answer->type, .op = VIRTIO_VSOCK_OP_RST,
    };

    (void)virtio_scatter(chain->vector + chain->readable, chain->writable, &header, HEADER);
    vsock->first_answer = (vsock->first_answer + 1) % ANSWERS_MAX;
    vsock->answers--;
    return (uint32_t)HEADER;
}

/* The next one that has something for the guest; NULL: none. */
static struct connection *next_giver(struct vsock *vsock)
{
    for (unsigned int i = 0; i < VSOCK_CONNECTIONS; i++) {
        struct connection *connection = &vsock->connection[vsock->turn++ % VSOCK_CONNECTIONS];

        if (connection->owed || has_data(connection)) {
            return connection;
        }
    }
    return NULL;
}

static void give_packets(struct vsock *vsock)
{
    struct connection *connection = NULL;

    for (unsigned int i = 0; vsock->answers > 0 || (connection = next_giver(vsock)); i++) {
        struct virtqueue_chain *chain;
        uint32_t written;

        if (i == PACKETS_A_TURN) {
            again(vsock);
            return;
        }
        if (virtio_device_take(&vsock->device, QUEUE_RX, &chain) != VIRTIO_DEVICE_CHAIN) {
            return;
        }
        if (chain->writable_bytes <= HEADER) {
            virtio_device_refuse(&vsock->device, QUEUE_RX, chain);
            return;
        }
        written = vsock->answers > 0 ? put_answer(vsock, chain) : put_packet(connection, chain);
        if (written > 0) {
            virtio_device_complete(&vsock->device, QUEUE_RX, chain, written);
        } else {
            virtio_device_untake(&vsock->device, QUEUE_RX, chain);
        }
    }
}

/* 5.10.6.7: the guest's connections are no more, since who had them is not. */
static void tell_loss(struct vsock *vsock)
{
    const struct virtio_vsock_event event = { .id = VIRTIO_VSOCK_EVENT_TRANSPORT_RESET };
    struct virtqueue_chain *chain;

    if (!vsock->lost || virtio_device_take(&vsock->device, QUEUE_EVENT, &chain) != VIRTIO_DEVICE_CHAIN) {
        return;
    }
    if (chain->writable == 0 || chain->vector[chain->readable].iov_len < sizeof(event)) {
        virtio_device_refuse(&vsock->device, QUEUE_EVENT, chain);
        return;
    }
    memcpy(chain->vector[chain->readable].iov_base, &event, sizeof(event));
    virtio_device_complete(&vsock->device, QUEUE_EVENT, chain, sizeof(event));
    vsock->lost = false;
}

static void work(void *opaque)
{
    struct vsock *vsock = opaque;

    tell_loss(vsock);
    take_packets(vsock);
    give_packets(vsock);
    if (vsock->answers > 0 && vsock->answers < ANSWERS_MAX) {
        take_packets(vsock); /* it had stopped, perhaps, for want of room that there is now */
    }
    listen_again(vsock);
}

static void available(struct virtio_device *device, unsigned int queue)
{
    (void)queue;
    work(vsock_of(device));
}

static void driver_ok(struct virtio_device *device)
{
    vsock_of(device)->journal->started = 1;
    work(vsock_of(device));
}

static void reset(struct virtio_device *device)
{
    struct vsock *vsock = vsock_of(device);

    for (unsigned int i = 0; i < VSOCK_CONNECTIONS; i++) {
        free_connection(&vsock->connection[i]);
    }
    vsock->answers = 0;
    vsock->lost = false;
    vsock->journal->started = 0;
}

static const struct virtio_device_operations operations = {
    .available = available, .driver_ok = driver_ok, .reset = reset,
};

static int open_ports(const void *opaque, struct kind_files *files, char error[KIND_ERROR_MAX])
{
    const struct vsock_options *options = opaque;
    struct ports ports;
    const int result = ports_open(&ports, options->path, error);

    if (!result) {
        *files = (struct kind_files){
            .count = 2, .file = { [FILE_LISTENER] = ports.listener, [FILE_DIRECTORY] = ports.directory },
        };
    }
    return result;
}

static void finish_vsock(struct vsock *vsock)
{
    virtio_device_finish(&vsock->device);
    free(vsock->buffer);
    free(vsock);
}

static void fill_in(struct vsock *vsock, const struct kind_host *host, const struct vsock_options *options,
                    const struct kind_files *files)
{
    const char *slash = strrchr(options->path, '/');

    vsock->loop = host->loop;
    vsock->again = (struct loop_task){ .run = work, .opaque = vsock };
    vsock->cid = options->cid ? options->cid : VSOCK_CID_DEFAULT;
    vsock->config.guest_cid = vsock->cid;
    vsock->journal = &vsock->own;
    vsock->ports = (struct ports){ files->file[FILE_LISTENER], files->file[FILE_DIRECTORY], "" };
    (void)snprintf(vsock->ports.name, sizeof(vsock->ports.name), "%s", slash ? slash + 1 : options->path);
    for (unsigned int i = 0; i < VSOCK_CONNECTIONS; i++) {
        vsock->connection[i] = (struct connection){ .vsock = vsock, .socket = -1 };
    }
}

static int create(struct virtio_device **device, const struct kind_host *host, const void *options,
                  const struct kind_files *files, char error[KIND_ERROR_MAX])
{
    static const uint16_t sizes[QUEUES] = { VSOCK_QUEUE_SIZE, VSOCK_QUEUE_SIZE, 8 };
    struct vsock *vsock = calloc(1, sizeof(*vsock));
    int result;

    if (!vsock) {
        return kind_refuse(-ENOMEM, "no memory for it", error);
    }
    fill_in(vsock, host, options, files);
    vsock->buffer = calloc(VSOCK_CONNECTIONS, sizeof(*vsock->buffer)); /* from the kernel: it takes none until used */
    result = vsock->buffer ? virtio_device_init(&vsock->device, VIRTIO_ID_VSOCK, &operations, host->loop,
                                                host->platform, QUEUES, sizes, 0)
                           : -ENOMEM;
    if (result) {
        finish_vsock(vsock);
        return kind_refuse(result, "cannot be made a device", error);
    }
    for (unsigned int i = 0; i < QUEUES; i++) {
        virtio_device_pull(&vsock->device, i);
    }
    vsock->device.config = &vsock->config;
    vsock->device.config_size = sizeof(vsock->config);
    listen_again(vsock);
    *device = &vsock->device;
    return 0;
}

/* The loop, and all watches with it, has ended. */
static void destroy(struct virtio_device *device)
{
    struct vsock *vsock = vsock_of(device);

    for (unsigned int i = 0; i < VSOCK_CONNECTIONS; i++) {
        if (vsock->connection[i].socket >= 0) {
            (void)close(vsock->connection[i].socket);
        }
    }
    (void)close(vsock->ports.listener);
    (void)close(vsock->ports.directory);
    finish_vsock(vsock);
}

static void keep_journal(struct virtio_device *device, void *journal)
{
    struct vsock *vsock = vsock_of(device);

    vsock->journal = journal;
    vsock->lost = vsock->journal->started != 0;
}

static const struct setting settings[] = {
    { "path", SETTING_TEXT, true, "PATH", NULL,
      "the UNIX socket at which programs of the host ask for ports of the guest; one that serves PORT for the guest "
      "listens at PATH_PORT",
      offsetof(struct vsock_options, path), 0, 0 },
    { "cid", SETTING_NUMBER, false, "N", "3", "the guest's context id, by which it knows itself",
      offsetof(struct vsock_options, cid), VSOCK_CID_DEFAULT, INT32_MAX },
};

static const int calls[] = {
    SCMP_SYS(accept4), SCMP_SYS(socket), SCMP_SYS(connect), SCMP_SYS(fchdir), SCMP_SYS(shutdown), SCMP_SYS(sendto),
    SCMP_SYS(readv),
};

const struct kind vsock_kind = {
    .name = "vsock",
    .help = "stream sockets (AF_VSOCK) between programs of the guest and of this host",
    .class_code = VSOCK_CLASS,
    .settings = SETTINGS(settings),
    .options_size = sizeof(struct vsock_options),
    .journal_size = sizeof(struct vsock_journal),
    .needs = { .calls = calls, .call_count = sizeof(calls) / sizeof(calls[0]), .descriptors = VSOCK_CONNECTIONS + 1 },
    .open = open_ports,
    .create = create,
    .destroy = destroy,
    .keep_journal = keep_journal,
};
