/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A guest's network over a UNIX stream socket: both ends connect and listen, the peer goes and comes back, reads slowly
 * or not at all, and sends what is no frame.
 */
#include "net.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define PATH    "net-stream"
#define WAIT_MS 20000

static unsigned char frame[NET_FRAME_MAX], got[NET_FRAME_MAX];
static int listener = -1, peer = -1;

static struct sockaddr_un address(void)
{
    return (struct sockaddr_un){ .sun_family = AF_UNIX, .sun_path = PATH };
}

static void listen_as_peer(void)
{
    const struct sockaddr_un to = address();

    (void)unlink(PATH);
    listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    assert_int_equal(bind(listener, (const struct sockaddr *)&to, sizeof(to)), 0);
    assert_int_equal(listen(listener, 1), 0);
}

/* The device model has connected, or is connected to; the link is up. */
static void connect_peer(struct net_driver *net)
{
    const uint64_t deadline = machine_now() + WAIT_MS;
    const struct sockaddr_un to = address();

    if (listener < 0) {
        peer = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_int_equal(connect(peer, (const struct sockaddr *)&to, sizeof(to)), 0);
    }
    while (listener >= 0 && (peer = accept(listener, NULL, NULL)) < 0) {
        machine_turn(net->machine);
        machine_check_deadline(deadline, "a connection");
    }
    assert_int_equal(fcntl(peer, F_SETFL, O_NONBLOCK), 0);
    while (!(net_status(net) & VIRTIO_NET_S_LINK_UP)) {
        machine_turn(net->machine);
        machine_check_deadline(deadline, "the link");
    }
}

static void leave(struct net_driver *net)
{
    const uint64_t deadline = machine_now() + WAIT_MS;

    assert_int_equal(close(peer), 0);
    peer = -1;
    while (net_status(net) & VIRTIO_NET_S_LINK_UP) {
        machine_turn(net->machine);
        machine_check_deadline(deadline, "the link");
    }
}

static void send_bytes(struct net_driver *net, const void *bytes, size_t length)
{
    for (size_t done = 0; done < length;) {
        const ssize_t sent = send(peer, (const char *)bytes + done, length - done, MSG_NOSIGNAL);

        assert_true(sent > 0 || errno == EAGAIN);
        done += sent > 0 ? (size_t)sent : 0;
        machine_turn(net->machine);
    }
}

static void receive_bytes(struct net_driver *net, void *bytes, size_t length)
{
    const uint64_t deadline = machine_now() + WAIT_MS;

    for (size_t done = 0; done < length;) {
        const ssize_t part = recv(peer, (char *)bytes + done, length - done, 0);

        assert_true(part > 0 || (part < 0 && errno == EAGAIN));
        done += part > 0 ? (size_t)part : 0;
        machine_turn(net->machine);
        machine_check_deadline(deadline, "bytes from the guest");
    }
}

static void peer_send(struct net_driver *net, uint32_t length, unsigned int number)
{
    const uint32_t prefix = __builtin_bswap32(length);

    net_frame(frame, length, number);
    send_bytes(net, &prefix, sizeof(prefix));
    send_bytes(net, frame, length);
}

static void peer_expect(struct net_driver *net, uint32_t length, unsigned int number)
{
    uint32_t prefix;

    receive_bytes(net, &prefix, sizeof(prefix));
    assert_int_equal(__builtin_bswap32(prefix), length);
    receive_bytes(net, got, length);
    net_frame(frame, length, number);
    assert_memory_equal(got, frame, length);
}

static void check_serves(struct net_driver *net)
{
    for (unsigned int i = 0; i < 10; i++) {
        net_frame(frame, 60 + 100 * i, i);
        net_send(net, 0, NULL, frame, 60 + 100 * i);
        peer_expect(net, 60 + 100 * i, i);
        (void)net_offer(net, 0, i, NET_SLOT);
        driver_notify(&net->queue[0]);
        peer_send(net, 60 + 100 * i, i);
        net_expect(net, 0, frame, 60 + 100 * i);
    }
}

static void run_on(const struct net_options *options, void (*test)(struct net_driver *net))
{
    struct machine machine;
    struct net_driver net;

    (void)unlink(PATH);
    net_begin(&net, &machine, &(struct machine_options){ .disks = 1 }, options);
    net_start(&net, NET_ALL);
    assert_false(net_has(&net, VIRTIO_NET_F_CSUM) || net_has(&net, VIRTIO_NET_F_GUEST_TSO4) ||
                 net_has(&net, VIRTIO_NET_F_CTRL_GUEST_OFFLOADS));
    assert_int_equal(net_status(&net), 0);
    if (!options->listen) {
        listen_as_peer();
    }
    connect_peer(&net);
    test(&net);
    if (peer >= 0) {
        assert_int_equal(close(peer), 0);
    }
    if (listener >= 0) {
        assert_int_equal(close(listener), 0);
    }
    peer = -1;
    listener = -1;
    net_end(&net);
    (void)unlink(PATH);
}

static void run(void **state)
{
    static const struct net_options connects = { .stream = PATH }, listens = { .listen = PATH };
    void (*const test)(struct net_driver *net) = *(void (**)(struct net_driver *net))*state;

    run_on(&connects, test);
    run_on(&listens, test);
}

#define stream_test(test) { #test, run, NULL, NULL, (void (*[])(struct net_driver *net)){ test } }

static void test_frames_both_ways(struct net_driver *net)
{
    check_serves(net);
}

static void test_peer_comes_back(struct net_driver *net)
{
    for (unsigned int i = 0; i < 5; i++) {
        leave(net);
        net_frame(frame, 60, i);
        net_send(net, 0, NULL, frame, 60); /* lost */
        connect_peer(net);
        check_serves(net);
    }
}

/* It goes in the middle of a frame, either way: nothing of that comes to the next one. */
static void test_peer_goes_in_the_middle(struct net_driver *net)
{
    for (unsigned int i = 1; i < 64; i += 7) {
        const uint32_t prefix = __builtin_bswap32(60);

        (void)net_offer(net, 0, i % DRIVER_QUEUE_SIZE, NET_SLOT);
        driver_notify(&net->queue[0]);
        net_frame(frame, 60, i);
        send_bytes(net, &prefix, i < 4 ? i : 4);
        send_bytes(net, frame, i < 4 ? 0 : i - 4);
        leave(net);
        assert_false(driver_completed(&net->queue[0]));
        connect_peer(net);
        peer_send(net, 100, i);
        net_expect(net, 0, frame, 100);
    }
}

/* In single bytes, and many at once. */
static void test_frames_in_pieces(struct net_driver *net)
{
    unsigned char bytes[10 * 104];

    for (unsigned int i = 0; i < 10; i++) {
        memcpy(bytes + 104 * i, (const unsigned char[]){ 0, 0, 0, 100 }, 4);
        net_frame(bytes + 104 * i + 4, 100, i);
        (void)net_offer(net, 0, i, NET_SLOT);
    }
    driver_notify(&net->queue[0]);
    for (size_t i = 0; i < 104 * 3; i++) {
        send_bytes(net, bytes + i, 1);
    }
    send_bytes(net, bytes + 104 * 3, 104 * 7);
    for (unsigned int i = 0; i < 10; i++) {
        net_frame(frame, 100, i);
        net_expect(net, 0, frame, 100);
    }
}

/* The guest's frames wait when the peer does not read, and then come, all and in order. */
static void test_peer_reads_nothing_for_a_while(struct net_driver *net)
{
    struct driver *queue = &net->queue[1];
    unsigned int sent = 0, held = 0;

    for (unsigned int round = 0; round < 3; round++) {
        const unsigned int first = sent;

        for (; held < DRIVER_QUEUE_SIZE;) {
            const struct buffer buffer = { queue->memory + DRIVER_DATA + held * NET_SLOT, NET_HEADER + 8000, false };

            net_frame(net_slot(net, 1, held) + NET_HEADER, 8000, sent);
            ring_publish(queue, ring_add(queue, &buffer, 1));
            driver_notify(queue);
            machine_settle(net->machine);
            held++;
            sent++;
            if (driver_completed(queue)) {
                (void)driver_wait(queue);
                held--;
                if (sent - first < 200) {
                    continue;
                }
                fail_msg("a peer that does not read has no end");
            }
        }
        for (unsigned int i = first; i < sent; i++) {
            peer_expect(net, 8000, i);
        }
        for (; held > 0; held--) {
            (void)driver_wait(queue);
        }
    }
    check_serves(net);
}

static void test_length_that_cannot_be_true(struct net_driver *net)
{
    static const uint32_t lengths[] = { 0x10013, 0x20000, 0x7fffffff, 0x80000000, 0xffffffff };

    for (unsigned int i = 0; i < 5; i++) {
        const uint64_t deadline = machine_now() + WAIT_MS;
        const uint32_t prefix = __builtin_bswap32(lengths[i]);

        send_bytes(net, &prefix, 4);
        while (recv(peer, got, 1, 0) != 0) { /* until it has hung up */
            machine_turn(net->machine);
            machine_check_deadline(deadline, "the end of the connection");
        }
        assert_int_equal(close(peer), 0);
        connect_peer(net);
        check_serves(net);
    }
}

static void test_frames_too_short(struct net_driver *net)
{
    for (uint32_t length = 0; length < ETH_HLEN; length++) {
        const uint32_t prefix = __builtin_bswap32(length);

        send_bytes(net, &prefix, 4);
        send_bytes(net, frame, length);
    }
    check_serves(net);
}

static void test_two_listen_at_one_place(void **state)
{
    const struct net_options options = { .listen = PATH };
    struct kind_files files = { 0 }, second;
    char error[KIND_ERROR_MAX];

    (void)state;
    (void)unlink(PATH);
    assert_int_equal(net_kind.open(&options, &files, error), 0);
    assert_int_equal(net_kind.open(&options, &second, error), -EBUSY);
    kind_files_close(&files);
    assert_int_equal(net_kind.open(&options, &files, error), 0); /* what is left over is in nobody's way */
    kind_files_close(&files);
    assert_int_equal(unlink(PATH), 0);
    assert_int_equal(close(open(PATH, O_CREAT | O_WRONLY, 0600)), 0);
    assert_int_equal(net_kind.open(&options, &files, error), -EADDRINUSE); /* what is no socket stays */
    assert_int_equal(unlink(PATH), 0);
}

static void test_options_that_exclude_each_other(void **state)
{
    static const struct net_options wrong[] = {
        { .tap = NULL }, { .tap = "a", .stream = PATH }, { .stream = PATH, .listen = PATH },
        { .stream = PATH, .queues = 2 }, { .tap = "a", .stream = PATH, .listen = PATH },
    };

    (void)state;
    for (unsigned int i = 0; i < 5; i++) {
        struct kind_files files;
        char error[KIND_ERROR_MAX];

        assert_int_equal(net_kind.open(&wrong[i], &files, error), -EINVAL);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        stream_test(test_frames_both_ways),
        stream_test(test_peer_comes_back),
        stream_test(test_peer_goes_in_the_middle),
        stream_test(test_frames_in_pieces),
        stream_test(test_peer_reads_nothing_for_a_while),
        stream_test(test_length_that_cannot_be_true),
        stream_test(test_frames_too_short),
        cmocka_unit_test(test_two_listen_at_one_place),
        cmocka_unit_test(test_options_that_exclude_each_other),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
