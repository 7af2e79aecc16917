/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * See stream.h. What is opened is one descriptor, the source of connections: the socket that listens, or one whose
 * other end the process has that connects.
 */
#include "stream.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "listener.h"
#include "virtio/copy.h"

#define PREFIX     4u                       /* the length */
#define BEFORE     (FRAMES_HEADER - PREFIX) /* room for the header of the first frame */
#define BUFFER     0x20000u
#define RETRY_MS   200
#define BACKLOG    1
#define ACCEPT     (SOCK_CLOEXEC | SOCK_NONBLOCK)

struct stream {
    struct frames frames; /* first: the operations are given this */
    struct loop *loop;
    struct loop_watch source_watch, watch;
    int source;
    bool listens;
    int peer; /* -1: none */
    unsigned int events; /* that are being watched of it */
    bool wanted;  /* frames are */
    bool blocked; /* something could not be sent */
    size_t start, end; /* of what is in the buffer */
    size_t length;     /* of the frame that is next, at `start`, with its prefix; 0: not known */
    size_t out_start, out_end; /* of a frame of which a part is sent */
    unsigned char out[PREFIX + FRAMES_DATA_MAX];
    unsigned char buffer[BEFORE + BUFFER];
};

static struct stream *stream_of(struct frames *frames)
{
    return (struct stream *)(void *)frames;
}

static void peer_ready(void *opaque, int error);

/* Only what somebody waits for. */
static void watch_peer(struct stream *stream)
{
    const unsigned int events = stream->peer < 0 ? 0 : (stream->wanted ? EPOLLIN : 0u) |
                                                           (stream->blocked || stream->out_end > 0 ? EPOLLOUT : 0u);

    if (events == stream->events) {
        return;
    }
    loop_unwatch(stream->loop, &stream->watch);
    stream->events = events;
    if (events && loop_watch_events(stream->loop, &stream->watch, stream->peer, events, peer_ready, stream)) {
        stream->events = 0;
    }
}

static void source_ready(void *opaque, int error);

/* Another peer is welcome. */
static void ask_for_peer(struct stream *stream)
{
    char byte = 0;
    struct iovec vector = { &byte, 1 };
    const struct msghdr message = { .msg_iov = &vector, .msg_iovlen = 1 };

    if (loop_watch(stream->loop, &stream->source_watch, stream->source, source_ready, stream) == 0 &&
        !stream->listens) {
        (void)sendmsg(stream->source, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    }
}

static void tell(struct stream *stream)
{
    const struct frames_client *client = &stream->frames.client;
    const bool blocked = stream->blocked;

    stream->blocked = false;
    client->changed(client->opaque);
    if (blocked) {
        client->writable(client->opaque, 0);
    }
}

static void disconnect(struct stream *stream)
{
    loop_unwatch(stream->loop, &stream->watch);
    (void)close(stream->peer);
    stream->peer = -1;
    stream->events = 0;
    stream->start = BEFORE;
    stream->end = BEFORE;
    stream->length = 0;
    stream->out_start = 0;
    stream->out_end = 0;
    stream->frames.up = false;
    ask_for_peer(stream);
    tell(stream);
}

static void connected(struct stream *stream, int peer)
{
    loop_unwatch(stream->loop, &stream->source_watch);
    stream->peer = peer;
    stream->frames.up = true;
    tell(stream);
    watch_peer(stream);
}

/* The descriptor that comes with a message, or -1. */
static int receive_descriptor(int source)
{
    union {
        char bytes[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } control;
    char byte;
    struct iovec vector = { &byte, 1 };
    struct msghdr message = {
        .msg_iov = &vector, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof(control.bytes),
    };
    const struct cmsghdr *header;
    int descriptor = -1;

    if (recvmsg(source, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC) <= 0) {
        return -1;
    }
    header = CMSG_FIRSTHDR(&message);
    if (header && header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS &&
        header->cmsg_len == CMSG_LEN(sizeof(int))) {
        memcpy(&descriptor, CMSG_DATA(header), sizeof(descriptor));
    }
    return descriptor;
}

static void source_ready(void *opaque, int error)
{
    struct stream *stream = opaque;
    int peer = -1;

    if (!error) {
        peer = stream->listens ? accept4(stream->source, NULL, NULL, ACCEPT) : receive_descriptor(stream->source);
    }
    if (peer >= 0) {
        connected(stream, peer);
    } else if (!stream->listens) {
        loop_unwatch(stream->loop, &stream->source_watch); /* who was to connect is gone */
    }
}

/* What is left of the frame that was sent in part; false: the peer is gone. */
static bool flush(struct stream *stream)
{
    while (stream->out_start < stream->out_end) {
        struct iovec vector = { stream->out + stream->out_start, stream->out_end - stream->out_start };
        const struct msghdr message = { .msg_iov = &vector, .msg_iovlen = 1 };
        const ssize_t sent = sendmsg(stream->peer, &message, MSG_NOSIGNAL | MSG_DONTWAIT);

        if (sent < 0) {
            return errno == EAGAIN || errno == EINTR;
        }
        stream->out_start += (size_t)sent;
    }
    stream->out_start = 0;
    stream->out_end = 0;
    return true;
}

static void peer_ready(void *opaque, int error)
{
    struct stream *stream = opaque;
    const struct frames_client *client = &stream->frames.client;

    stream->events = error ? 0 : stream->events;
    if (error || !flush(stream)) {
        disconnect(stream);
        return;
    }
    if (stream->out_end == 0 && stream->blocked) {
        stream->blocked = false;
        client->writable(client->opaque, 0);
    }
    if (stream->peer >= 0 && stream->wanted) {
        client->readable(client->opaque, 0);
    }
    watch_peer(stream);
}

/* Keeps what has not been sent of the vectors, each byte of which is read once. */
static void keep_rest(struct stream *stream, const struct iovec *vector, unsigned int count, size_t sent)
{
    for (unsigned int i = 0; i < count; i++) {
        const size_t skipped = sent < vector[i].iov_len ? sent : vector[i].iov_len;
        const size_t left = vector[i].iov_len - skipped;

        virtio_copy_in(stream->out + stream->out_end, (const char *)vector[i].iov_base + skipped, left);
        stream->out_end += left;
        sent -= skipped;
    }
}

static int send_frame(struct frames *frames, unsigned int queue, const struct iovec *vector, unsigned int count,
                      size_t length)
{
    struct stream *stream = stream_of(frames);
    const uint32_t prefix = __builtin_bswap32((uint32_t)(length - FRAMES_HEADER));
    struct iovec out[1 + FRAMES_VECTORS_MAX] = { { (void *)(uintptr_t)&prefix, PREFIX } };
    struct msghdr message = { .msg_iov = out, .msg_iovlen = 1 };
    size_t header = FRAMES_HEADER;
    ssize_t sent;

    (void)queue;
    if (stream->peer < 0) {
        return -ENOTCONN;
    }
    if (stream->out_end > 0) {
        stream->blocked = true;
        return -EAGAIN;
    }
    for (unsigned int i = 0; i < count; i++) {
        const size_t skipped = header < vector[i].iov_len ? header : vector[i].iov_len;

        out[message.msg_iovlen++] = (struct iovec){
            (char *)vector[i].iov_base + skipped, vector[i].iov_len - skipped,
        };
        header -= skipped;
    }
    sent = sendmsg(stream->peer, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0 && errno != EAGAIN && errno != EINTR) {
        disconnect(stream);
        return -ENOTCONN;
    }
    if (sent < 0) {
        stream->blocked = true;
    } else if ((size_t)sent < PREFIX + length - FRAMES_HEADER) {
        keep_rest(stream, out, (unsigned int)message.msg_iovlen, (size_t)sent);
    }
    watch_peer(stream);
    return sent < 0 ? -EAGAIN : 0;
}

/* More bytes from the peer. 0, -EAGAIN, or -ENOTCONN: it is gone. */
static int read_more(struct stream *stream)
{
    ssize_t got;

    if (stream->start > BEFORE) {
        memmove(stream->buffer + BEFORE, stream->buffer + stream->start, stream->end - stream->start);
        stream->end -= stream->start - BEFORE;
        stream->start = BEFORE;
    }
    got = read(stream->peer, stream->buffer + stream->end, sizeof(stream->buffer) - stream->end);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
        return -EAGAIN;
    }
    if (got <= 0) {
        disconnect(stream);
        return -ENOTCONN;
    }
    stream->end += (size_t)got;
    return 0;
}

/* After a length that cannot be true nothing is where it should be. 0: the frame is not all there. */
static ssize_t find_frame(struct stream *stream)
{
    const size_t there = stream->end - stream->start;
    uint32_t length;

    if (there < PREFIX) {
        return 0;
    }
    memcpy(&length, stream->buffer + stream->start, PREFIX);
    length = __builtin_bswap32(length);
    if (length > FRAMES_DATA_MAX) {
        disconnect(stream);
        return -ENOTCONN;
    }
    if (there < PREFIX + length) {
        return 0;
    }
    if (length < ETH_HLEN) {
        stream->start += PREFIX + length;
        return -EMSGSIZE;
    }
    stream->length = PREFIX + length;
    memset(stream->buffer + stream->start - BEFORE, 0, FRAMES_HEADER); /* upon what is done with, and the prefix */
    return (ssize_t)stream->length;
}

static ssize_t next_frame(struct frames *frames, unsigned int queue, unsigned char **frame)
{
    struct stream *stream = stream_of(frames);

    (void)queue;
    while (stream->length == 0) {
        ssize_t found = stream->peer < 0 ? -ENOTCONN : find_frame(stream);

        found = found == 0 ? read_more(stream) : found;
        if (found < 0) {
            return found;
        }
    }
    *frame = stream->buffer + stream->start - BEFORE;
    return (ssize_t)(stream->length - PREFIX + FRAMES_HEADER);
}

static void frame_done(struct frames *frames, unsigned int queue)
{
    struct stream *stream = stream_of(frames);

    (void)queue;
    stream->start += stream->length;
    stream->length = 0;
}

static void listen_to(struct frames *frames, unsigned int queue, bool wanted)
{
    struct stream *stream = stream_of(frames);

    (void)queue;
    stream->wanted = wanted;
    watch_peer(stream);
}

static int use(struct frames *frames, unsigned int count)
{
    (void)frames;
    return count == 1 ? 0 : -EINVAL;
}

static void destroy(struct frames *frames)
{
    struct stream *stream = stream_of(frames);

    if (stream->peer >= 0) {
        (void)close(stream->peer);
    }
    (void)close(stream->source);
    free(stream);
}

static const struct frames_operations operations = {
    .send = send_frame, .next = next_frame, .done = frame_done, .listen = listen_to, .use = use, .destroy = destroy,
};

/* A connection to the peer, which is waited for as long as somebody is at the other end of `to`; -1: nobody. */
static int connect_to(const struct sockaddr_un *address, int to)
{
    struct pollfd end = { .fd = to, .events = 0 };

    while (poll(&end, 1, RETRY_MS) == 0) {
        const int peer = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

        if (peer >= 0 && connect(peer, (const struct sockaddr *)address, sizeof(*address)) == 0) {
            return peer;
        }
        (void)close(peer);
    }
    return -1;
}

static bool hand_over(int to, int descriptor)
{
    union {
        char bytes[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } control = { .bytes = { 0 } };
    char byte = 0;
    struct iovec vector = { &byte, 1 };
    const struct msghdr message = {
        .msg_iov = &vector, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof(control.bytes),
    };

    control.align = (struct cmsghdr){
        .cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS,
    };
    memcpy(CMSG_DATA(&control.align), &descriptor, sizeof(descriptor));
    return sendmsg(to, &message, MSG_NOSIGNAL) == 1;
}

/* Never returns. Nothing that its parent has open stays so; the end of that is the end of it. */
static void run_connector(int to, const struct sockaddr_un *address)
{
    char byte;

    (void)dup2(to, 0);
    (void)close_range(1, ~0u, 0);
    while (read(0, &byte, 1) == 1) {
        const int peer = connect_to(address, 0);
        const bool handed = peer >= 0 && hand_over(0, peer);

        (void)close(peer);
        if (!handed) {
            break;
        }
    }
    _exit(0);
}

/* Nobody waits for its end: it is the child of a child. */
static int start_connector(const char *path)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    int ends[2], status;
    pid_t child;

    if (strlen(path) >= sizeof(address.sun_path)) {
        return -ENAMETOOLONG;
    }
    memcpy(address.sun_path, path, strlen(path));
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends)) {
        return -errno;
    }
    child = fork();
    if (child == 0) {
        const pid_t grandchild = fork();

        if (grandchild == 0) {
            run_connector(ends[1], &address);
        }
        _exit(grandchild < 0);
    }
    (void)close(ends[1]);
    if (child < 0 || waitpid(child, &status, 0) != child || status != 0) {
        (void)close(ends[0]);
        return -EAGAIN;
    }
    return ends[0];
}

int stream_open(const struct stream_options *options, struct kind_files *files, char error[KIND_ERROR_MAX])
{
    const int source = options->listens ? listener_open(options->path, BACKLOG, false) : start_connector(options->path);

    if (source < 0) {
        return kind_refuse(source == -EEXIST ? -EADDRINUSE : source, /* as bind(2) calls what is no socket */
                           source == -ENAMETOOLONG ? "no name that a socket can have"
                           : source == -EBUSY      ? "another process listens there"
                           : options->listens      ? "cannot be listened to"
                                                   : "no process that connects",
                           error);
    }
    *files = (struct kind_files){ .count = 1, .file = { source } };
    return 0;
}

int stream_create(struct frames **frames, struct loop *loop, const struct stream_options *options,
                  const struct kind_files *files, char error[KIND_ERROR_MAX])
{
    struct stream *stream = calloc(1, sizeof(*stream));
    const uint64_t sum = settings_hash_bytes(options->path, strlen(options->path), SETTINGS_HASH_START);

    if (!stream) {
        return kind_refuse(-ENOMEM, "no memory for it", error);
    }
    stream->frames.operations = &operations;
    stream->frames.queues = 1;
    memcpy(stream->frames.address, &sum, ETH_ALEN);
    stream->frames.address[0] = (unsigned char)((stream->frames.address[0] & 0xfc) | 0x02);
    stream->frames.address[ETH_ALEN - 1] ^= options->listens; /* both ends may be guests */
    stream->loop = loop;
    stream->source = files->file[0];
    stream->listens = options->listens;
    stream->peer = -1;
    stream->start = BEFORE;
    stream->end = BEFORE;
    ask_for_peer(stream);
    *frames = &stream->frames;
    return 0;
}
