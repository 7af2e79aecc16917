/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Sockets between the guest, which is packets here, and programs of this host, which are UNIX sockets of this process.
 * Device 1 is a disk, device 2 has the sockets.
 */
#include "driver.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <linux/virtio_ids.h>
#include <linux/virtio_vsock.h>

#include "devices/vsock.h"

#define PATH    "vsock-test"
#define SERVED  1234u /* by the program of the host */
#define PORT    5000u /* of the guest */
#define CID     VSOCK_CID_DEFAULT
#define HEADER  44u
#define SLOT    0x2000u /* of a received packet */
#define RECEIVE 0x1000u
#define CREDIT  0x40000u

enum {
    RX,
    TX,
    EVENT,
    QUEUES,
};

/* The guest's side. There is one at a time. */
static struct guest {
    struct driver device;
    struct driver queue[QUEUES];
    int server; /* listens at the port that is served */
} *guest;

static char *directory;

static const struct vsock_options options = { .path = PATH };

static void address_of(struct sockaddr_un *address, const char *path)
{
    *address = (struct sockaddr_un){ .sun_family = AF_UNIX };
    (void)snprintf(address->sun_path, sizeof(address->sun_path), "%s", path);
}

static int serve(uint32_t port)
{
    const int server = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
    struct sockaddr_un address;
    char path[64];

    (void)snprintf(path, sizeof(path), PATH "_%u", port);
    (void)unlink(path);
    address_of(&address, path);
    assert_int_equal(bind(server, (const struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(server, 100), 0);
    return server;
}

/* A program that asks for a port of the guest. */
static int connect_program(const char *greeting)
{
    const int program = socket(AF_UNIX, SOCK_STREAM, 0);
    struct sockaddr_un address;

    address_of(&address, PATH);
    assert_int_equal(connect(program, (const struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(write(program, greeting, strlen(greeting)), strlen(greeting));
    assert_int_equal(fcntl(program, F_SETFL, O_NONBLOCK), 0);
    return program;
}

static void post(unsigned int count)
{
    struct driver *rx = &guest->queue[RX];

    for (unsigned int i = 0; i < count; i++) {
        const struct buffer buffer = { driver_data_address(rx) + rx->next_free * SLOT, HEADER + RECEIVE, true };

        ring_publish(rx, ring_add(rx, &buffer, 1));
    }
    driver_notify(rx);
}

static void start(void)
{
    struct driver *device = &guest->device;

    driver_reset(device);
    driver_negotiate(device, DRIVER_FEATURES);
    driver_setup_msix(device);
    for (unsigned int i = 0; i < QUEUES; i++) {
        struct driver *queue = &guest->queue[i];

        *queue = *device;
        queue->queue = (uint16_t)i;
        queue->size_max = i == EVENT ? 8 : VSOCK_QUEUE_SIZE;
        queue->queue_size = i == EVENT ? 8 : DRIVER_QUEUE_SIZE;
        queue->memory = MACHINE_RAM + (2 + i) * 0x100000ull;
        memset(machine_memory(device->machine, queue->memory, DRIVER_HEADER), 0, DRIVER_HEADER);
        driver_setup_queue(queue);
        driver_enable_queue(queue);
    }
    driver_set_status(device, DRIVER_RUNNING);
    assert_int_equal(driver_status(device), DRIVER_RUNNING);
}

static void run(void **state)
{
    const struct driver_test *test = *state;
    struct machine machine;

    assert_int_equal(chdir(directory), 0); /* the last one has left it */
    guest = calloc(1, sizeof(*guest));
    assert_non_null(guest);
    machine_start(&machine, &test->options);
    driver_probe_kind(&guest->device, &machine, 2, VIRTIO_ID_VSOCK, VSOCK_QUEUE_SIZE);
    guest->server = serve(SERVED);
    start();
    post(8);
    test->test(&guest->device);
    assert_int_equal(chdir(directory), 0);
    machine_finish(&machine);
    assert_int_equal(close(guest->server), 0);
    free(guest);
}

#define vsock_test(test, ...) \
    { #test, run, NULL, NULL, \
      &(struct driver_test){ test, true, { .beside = { .kind = &vsock_kind, .options = &options }, __VA_ARGS__ } } }

static struct virtio_vsock_hdr packet(uint16_t op, uint32_t host_port, uint32_t guest_port)
{
    return (struct virtio_vsock_hdr){
        .src_cid = CID, .dst_cid = VSOCK_HOST, .src_port = guest_port, .dst_port = host_port,
        .type = VIRTIO_VSOCK_TYPE_STREAM, .op = op, .buf_alloc = CREDIT,
    };
}

/* Publishes a packet with as many bytes of data as the header says, if `data` is there. */
static void publish(const struct virtio_vsock_hdr *header, const void *data)
{
    struct driver *tx = &guest->queue[TX];
    const struct buffer buffer = {
        driver_data_address(tx) + tx->next_free * SLOT, HEADER + (data ? header->len : 0), false,
    };
    char *to = machine_memory(tx->machine, buffer.address, SLOT);

    memcpy(to, header, HEADER);
    if (data) {
        memcpy(to + HEADER, data, header->len);
    }
    ring_publish(tx, ring_add(tx, &buffer, 1));
    driver_notify(tx);
}

static void send_packet(const struct virtio_vsock_hdr *header, const void *data)
{
    publish(header, data);
    assert_int_equal(driver_wait(&guest->queue[TX]).len, 0);
}

static void send_op(uint16_t op, uint32_t host_port, uint32_t guest_port)
{
    const struct virtio_vsock_hdr header = packet(op, host_port, guest_port);

    send_packet(&header, NULL);
}

/* The next packet; its data, of which there are as many as it says, are borrowed until the next call. */
static struct virtio_vsock_hdr receive(const uint8_t **data)
{
    static uint8_t kept[RECEIVE];
    struct driver *rx = &guest->queue[RX];
    const struct vring_used_elem element = driver_wait(rx);
    const uint8_t *from = machine_memory(rx->machine, driver_data_address(rx) + element.id * SLOT, SLOT);
    struct virtio_vsock_hdr header;

    memcpy(&header, from, HEADER);
    assert_int_equal(element.len, HEADER + header.len);
    memcpy(kept, from + HEADER, header.len);
    assert_int_equal(header.dst_cid, CID);
    if (data) {
        *data = kept;
    }
    post(1);
    return header;
}

static struct virtio_vsock_hdr expect_op(uint16_t op, uint32_t host_port, uint32_t guest_port)
{
    const struct virtio_vsock_hdr header = receive(NULL);

    assert_int_equal(header.op, op);
    assert_int_equal(header.src_port, host_port);
    assert_int_equal(header.dst_port, guest_port);
    return header;
}

static void expect_nothing(void)
{
    machine_settle(guest->device.machine);
    assert_false(driver_completed(&guest->queue[RX]));
}

static int accept_guest(void)
{
    const int program = accept4(guest->server, NULL, NULL, SOCK_NONBLOCK);

    assert_true(program >= 0);
    return program;
}

/* The guest connects to the port that is served; the program's end. */
static int connect_guest(uint32_t guest_port)
{
    struct virtio_vsock_hdr header;

    send_op(VIRTIO_VSOCK_OP_REQUEST, SERVED, guest_port);
    header = expect_op(VIRTIO_VSOCK_OP_RESPONSE, SERVED, guest_port);
    assert_int_equal(header.src_cid, VSOCK_HOST);
    assert_int_equal(header.type, VIRTIO_VSOCK_TYPE_STREAM);
    assert_int_equal(header.buf_alloc, VSOCK_BUFFER);
    assert_int_equal(header.fwd_cnt, 0);
    return accept_guest();
}

static void check_program_gets(int program, const void *expected, size_t length)
{
    char got[RECEIVE];

    machine_settle(guest->device.machine);
    assert_int_equal(read(program, got, sizeof(got)), length);
    assert_memory_equal(got, expected, length);
}

/* The other one has closed it, perhaps with something unread. */
static void check_program_has_ended(int program)
{
    char byte;

    machine_settle(guest->device.machine);
    assert_true(read(program, &byte, 1) == 0 || errno == ECONNRESET);
    assert_int_equal(close(program), 0);
}

static void check_serves(void)
{
    static uint32_t port = 90000;
    const uint8_t *data;
    struct virtio_vsock_hdr header;
    int program;

    if (driver_status(&guest->device) != DRIVER_RUNNING) {
        start();
        post(8);
    }
    program = connect_guest(++port);
    header = packet(VIRTIO_VSOCK_OP_RW, SERVED, port);
    header.len = 5;
    send_packet(&header, "hello");
    check_program_gets(program, "hello", 5);
    assert_int_equal(write(program, "world!", 6), 6);
    header = receive(&data);
    assert_int_equal(header.op, VIRTIO_VSOCK_OP_RW);
    assert_int_equal(header.len, 6);
    assert_int_equal(header.fwd_cnt, 5);
    assert_memory_equal(data, "world!", 6);
    header = packet(VIRTIO_VSOCK_OP_SHUTDOWN, SERVED, port);
    header.flags = VIRTIO_VSOCK_SHUTDOWN_RCV | VIRTIO_VSOCK_SHUTDOWN_SEND;
    send_packet(&header, NULL);
    (void)expect_op(VIRTIO_VSOCK_OP_RST, SERVED, port);
    check_program_has_ended(program);
}

static void test_guest_connects(struct driver *device)
{
    assert_int_equal(machine_read(device->machine, device->config, 8), CID);
    for (unsigned int i = 0; i < 100; i++) { /* more than there are at a time */
        check_serves();
    }
}

static void test_program_connects(struct driver *device)
{
    const int program = connect_program("CONNECT 5000\nearly");
    struct virtio_vsock_hdr header;
    const uint8_t *data;
    char expected[32];
    uint32_t port;

    (void)device;
    header = receive(NULL);
    port = header.src_port;
    assert_int_equal(header.op, VIRTIO_VSOCK_OP_REQUEST);
    assert_int_equal(header.dst_port, PORT);
    expect_nothing(); /* what was written early waits for the answer */
    send_op(VIRTIO_VSOCK_OP_RESPONSE, port, PORT);
    (void)snprintf(expected, sizeof(expected), "OK %u\n", port);
    check_program_gets(program, expected, strlen(expected));
    header = receive(&data);
    assert_int_equal(header.len, 5);
    assert_memory_equal(data, "early", 5);
    send_op(VIRTIO_VSOCK_OP_RST, port, PORT);
    check_program_has_ended(program);
    check_serves();
}

static void test_guest_refuses(struct driver *device)
{
    const int program = connect_program("CONNECT 5000\n");
    const struct virtio_vsock_hdr header = receive(NULL);

    (void)device;
    send_op(VIRTIO_VSOCK_OP_RST, header.src_port, PORT);
    check_program_has_ended(program);
    check_serves();
}

static void test_bad_greetings(struct driver *device)
{
    static const char *const greetings[] = {
        "\n", "CONNECT\n", "CONNECT \n", "CONNECT x\n", "CONNECT -1\n", "CONNECT 4294967296\n", "connect 1\n",
        "CONNECT 1 \n", "CONNECT 000000000000000000000000000000000000000000000001\n",
    };

    (void)device;
    for (unsigned int i = 0; i < sizeof(greetings) / sizeof(greetings[0]); i++) {
        const int program = connect_program(greetings[i]);
        char byte;

        expect_nothing();
        assert_true(read(program, &byte, 1) == 0 || errno == ECONNRESET);
        assert_int_equal(close(program), 0);
    }
    check_serves();
}

static void test_nobody_listens(struct driver *device)
{
    (void)device;
    send_op(VIRTIO_VSOCK_OP_REQUEST, 999, PORT);
    (void)expect_op(VIRTIO_VSOCK_OP_RST, 999, PORT);
    check_serves();
}

/* What belongs to nothing is answered by a reset, a reset by nothing; what has another sender is not there. */
static void test_packets_for_nobody(struct driver *device)
{
    static const uint16_t ops[] = { 0, 2, 4, 5, 6, 7, 8, 0xffff };
    struct virtio_vsock_hdr header;

    (void)device;
    for (unsigned int i = 0; i < sizeof(ops) / sizeof(ops[0]); i++) {
        send_op(ops[i], SERVED, PORT);
        (void)expect_op(VIRTIO_VSOCK_OP_RST, SERVED, PORT);
    }
    send_op(VIRTIO_VSOCK_OP_RST, SERVED, PORT);
    header = packet(VIRTIO_VSOCK_OP_REQUEST, SERVED, PORT);
    header.src_cid = CID + 1;
    send_packet(&header, NULL);
    expect_nothing();
    header = packet(VIRTIO_VSOCK_OP_REQUEST, SERVED, PORT);
    header.dst_cid = 77;
    send_packet(&header, NULL);
    assert_int_equal(expect_op(VIRTIO_VSOCK_OP_RST, SERVED, PORT).src_cid, 77);
    header = packet(VIRTIO_VSOCK_OP_REQUEST, SERVED, PORT);
    header.type = VIRTIO_VSOCK_TYPE_SEQPACKET;
    send_packet(&header, NULL);
    assert_int_equal(expect_op(VIRTIO_VSOCK_OP_RST, SERVED, PORT).type, VIRTIO_VSOCK_TYPE_SEQPACKET);
    check_serves();
}

/* In a connection that is there: ends it, and nothing else. */
static void test_wrong_packets_of_a_connection(struct driver *device)
{
    static const uint16_t ops[] = { 0, 1, 2, 8 };

    (void)device;
    for (unsigned int i = 0; i < sizeof(ops) / sizeof(ops[0]); i++) {
        const int program = connect_guest(PORT);

        send_op(ops[i], SERVED, PORT);
        (void)expect_op(VIRTIO_VSOCK_OP_RST, SERVED, PORT);
        check_program_has_ended(program);
        check_serves();
    }
    for (unsigned int i = 0; i < 2; i++) {
        struct virtio_vsock_hdr header = packet(VIRTIO_VSOCK_OP_RW, SERVED, PORT);
        const int program = connect_guest(PORT);

        header.len = i ? 1 : UINT32_MAX; /* than what is behind the header */
        send_packet(&header, NULL);
        (void)expect_op(VIRTIO_VSOCK_OP_RST, SERVED, PORT);
        check_program_has_ended(program);
        check_serves();
    }
}

/* The guest gets no more than it has room for, as it says. */
static void test_credit_of_the_guest(struct driver *device)
{
    static char data[3000];
    struct virtio_vsock_hdr header = packet(VIRTIO_VSOCK_OP_REQUEST, SERVED, PORT);
    uint32_t got = 0;
    int program;

    (void)device;
    header.buf_alloc = 100;
    send_packet(&header, NULL);
    (void)expect_op(VIRTIO_VSOCK_OP_RESPONSE, SERVED, PORT);
    program = accept_guest();
    assert_int_equal(write(program, data, sizeof(data)), sizeof(data));
    while (got < sizeof(data)) {
        header = receive(NULL);
        assert_int_equal(header.op, VIRTIO_VSOCK_OP_RW);
        assert_int_equal(header.len, 100);
        got += header.len;
        expect_nothing();
        header = packet(VIRTIO_VSOCK_OP_CREDIT_UPDATE, SERVED, PORT);
        header.buf_alloc = 100;
        header.fwd_cnt = got;
        send_packet(&header, NULL);
    }
    /* More taken than it got, less room than is under way: none. */
    for (unsigned int i = 0; i < 2; i++) {
        header.fwd_cnt = i ? got - 200 : got + 1000;
        send_packet(&header, NULL);
        assert_int_equal(write(program, data, 10), 10);
        expect_nothing();
    }
    send_op(VIRTIO_VSOCK_OP_RST, SERVED, PORT);
    check_program_has_ended(program);
    check_serves();
}

/* A program that does not read: what is beyond the guest's credit ends the connection; if it reads, all is there. */
static void test_credit_of_the_host(struct driver *device)
{
    static uint8_t data[RECEIVE];

    (void)device;
    for (unsigned int i = 0; i < 2; i++) {
        struct virtio_vsock_hdr header = packet(VIRTIO_VSOCK_OP_RW, SERVED, PORT);
        const int program = connect_guest(PORT);
        uint32_t sent = 0, taken = 0, got = 0;

        header.len = sizeof(data);
        while (sent - taken + sizeof(data) <= VSOCK_BUFFER) {
            memset(data, (int)(sent / sizeof(data)), sizeof(data));
            send_packet(&header, data);
            sent += sizeof(data);
            if (driver_completed(&guest->queue[RX])) {
                taken = expect_op(VIRTIO_VSOCK_OP_CREDIT_UPDATE, SERVED, PORT).fwd_cnt;
            }
            assert_true(sent < 0x1000000);
        }
        expect_nothing();
        if (i == 0) {
            /* Some of the buffer may be free that the guest does not know of. */
            for (unsigned int j = 0; j <= VSOCK_BUFFER / sizeof(data) && !driver_completed(&guest->queue[RX]); j++) {
                send_packet(&header, data);
            }
            (void)expect_op(VIRTIO_VSOCK_OP_RST, SERVED, PORT);
            assert_int_equal(close(program), 0);
        } else {
            while (got < sent) {
                uint8_t piece[1024];
                const ssize_t length = read(program, piece, sizeof(piece));

                for (ssize_t k = 0; k < length; k++) {
                    assert_int_equal(piece[k], (got + (uint32_t)k) / sizeof(data) % 256);
                }
                got += length > 0 ? (uint32_t)length : 0;
                machine_turn(device->machine);
            }
            do {
                taken = expect_op(VIRTIO_VSOCK_OP_CREDIT_UPDATE, SERVED, PORT).fwd_cnt;
            } while (sent - taken >= VSOCK_BUFFER / 2);
            send_op(VIRTIO_VSOCK_OP_CREDIT_REQUEST, SERVED, PORT);
            assert_int_equal(expect_op(VIRTIO_VSOCK_OP_CREDIT_UPDATE, SERVED, PORT).fwd_cnt, sent);
            send_op(VIRTIO_VSOCK_OP_RST, SERVED, PORT);
            check_program_has_ended(program);
        }
        check_serves();
    }
}

static void test_either_end_stops_writing(struct driver *device)
{
    struct virtio_vsock_hdr header;
    int program = connect_guest(PORT);

    (void)device;
    assert_int_equal(shutdown(program, SHUT_WR), 0);
    assert_int_equal(expect_op(VIRTIO_VSOCK_OP_SHUTDOWN, SERVED, PORT).flags, VIRTIO_VSOCK_SHUTDOWN_SEND);
    header = packet(VIRTIO_VSOCK_OP_RW, SERVED, PORT);
    header.len = 3;
    send_packet(&header, "abc");
    check_program_gets(program, "abc", 3);
    header = packet(VIRTIO_VSOCK_OP_SHUTDOWN, SERVED, PORT);
    header.flags = VIRTIO_VSOCK_SHUTDOWN_RCV | VIRTIO_VSOCK_SHUTDOWN_SEND;
    send_packet(&header, NULL);
    (void)expect_op(VIRTIO_VSOCK_OP_RST, SERVED, PORT);
    check_program_has_ended(program);

    program = connect_guest(PORT);
    header.flags = VIRTIO_VSOCK_SHUTDOWN_SEND;
    send_packet(&header, NULL);
    machine_settle(device->machine);
    assert_int_equal(read(program, &(char){ 0 }, 1), 0);
    assert_int_equal(write(program, "xyz", 3), 3);
    assert_int_equal(receive(NULL).len, 3);
    assert_int_equal(close(program), 0);
    (void)expect_op(VIRTIO_VSOCK_OP_SHUTDOWN, SERVED, PORT);
    header.flags = VIRTIO_VSOCK_SHUTDOWN_RCV;
    send_packet(&header, NULL);
    (void)expect_op(VIRTIO_VSOCK_OP_RST, SERVED, PORT);
    check_serves();
}

static void test_as_many_connections_as_there_may_be(struct driver *device)
{
    int program[VSOCK_CONNECTIONS];
    int waiting;

    for (uint32_t i = 0; i < VSOCK_CONNECTIONS; i++) {
        program[i] = connect_guest(PORT + i);
    }
    send_op(VIRTIO_VSOCK_OP_REQUEST, SERVED, PORT - 1);
    (void)expect_op(VIRTIO_VSOCK_OP_RST, SERVED, PORT - 1);
    waiting = connect_program("CONNECT 1\n"); /* waits for a place */
    expect_nothing();
    send_op(VIRTIO_VSOCK_OP_RST, SERVED, PORT);
    assert_int_equal(receive(NULL).op, VIRTIO_VSOCK_OP_REQUEST);
    check_program_has_ended(program[0]);
    driver_reset(device);
    for (uint32_t i = 1; i < VSOCK_CONNECTIONS; i++) {
        check_program_has_ended(program[i]);
    }
    check_program_has_ended(waiting);
    check_serves();
}

/* The guest sends, and takes nothing: it is served no further, until it does. */
static void test_answers_are_not_taken(struct driver *device)
{
    const struct virtio_vsock_hdr header = packet(VIRTIO_VSOCK_OP_CREDIT_REQUEST, SERVED, PORT);
    struct driver *tx = &guest->queue[TX];
    unsigned int sent = 0, got = 0;

    for (unsigned int idle = 0; idle < 50;) {
        publish(&header, NULL);
        sent++;
        for (idle = 0; idle < 50 && !driver_completed(tx); idle++) {
            machine_turn(device->machine);
        }
        if (idle < 50) {
            (void)driver_wait(tx);
        }
        assert_true(sent < 100);
    }
    assert_true(sent > 8);
    while (got < sent) {
        (void)expect_op(VIRTIO_VSOCK_OP_RST, SERVED, PORT);
        got++;
    }
    (void)driver_wait(tx);
    expect_nothing();
    check_serves();
}

/* No place for a header: the device asks for a reset. */
static void test_short_chains(struct driver *device)
{
    for (uint32_t length = 0; length <= HEADER; length += 11) {
        struct driver *queue = &guest->queue[length == HEADER ? RX : TX];
        const struct buffer buffer = { driver_data_address(queue), length, length == HEADER };

        if (length == HEADER) {
            start(); /* no other buffers */
        }
        ring_publish(queue, ring_add(queue, &buffer, 1));
        driver_kick(queue);
        if (length == HEADER) {
            publish(&(struct virtio_vsock_hdr){ .src_cid = CID, .op = 7 }, NULL);
        }
        machine_settle(device->machine);
        assert_true(driver_status(device) & VIRTIO_CONFIG_S_NEEDS_RESET);
        check_serves();
    }
}

/* A header in pieces of one descriptor each, and data in others. */
static void test_header_in_pieces(struct driver *device)
{
    struct driver *tx = &guest->queue[TX];
    const int program = connect_guest(PORT);
    struct virtio_vsock_hdr header = packet(VIRTIO_VSOCK_OP_RW, SERVED, PORT);
    struct buffer buffers[6];

    header.len = 4;
    memcpy(driver_data(tx), &header, HEADER);
    memcpy((char *)driver_data(tx) + HEADER, "data", 4);
    for (unsigned int i = 0; i < 6; i++) {
        static const uint32_t at[] = { 0, 1, 10, 40, 46, 47, 48 };

        buffers[i] = (struct buffer){ driver_data_address(tx) + at[i], at[i + 1] - at[i], false };
    }
    assert_int_equal(driver_run(tx, ring_add(tx, buffers, 6)), 0);
    check_program_gets(program, "data", 4);
    send_op(VIRTIO_VSOCK_OP_RST, SERVED, PORT);
    check_program_has_ended(program);
    (void)device;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        vsock_test(test_guest_connects),
        vsock_test(test_guest_connects, .intx_only = true),
        vsock_test(test_program_connects),
        vsock_test(test_guest_refuses),
        vsock_test(test_bad_greetings),
        vsock_test(test_nobody_listens),
        vsock_test(test_packets_for_nobody),
        vsock_test(test_wrong_packets_of_a_connection),
        vsock_test(test_credit_of_the_guest),
        vsock_test(test_credit_of_the_host),
        vsock_test(test_either_end_stops_writing),
        vsock_test(test_as_many_connections_as_there_may_be),
        vsock_test(test_answers_are_not_taken),
        vsock_test(test_short_chains),
        vsock_test(test_header_in_pieces),
    };

    int failed;

    directory = getcwd(NULL, 0);
    failed = cmocka_run_group_tests_name("vsock", tests, NULL, NULL);
    free(directory);
    return failed;
}
