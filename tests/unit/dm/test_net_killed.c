/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A device model with a network interface, in a process of its own that is killed time and again while frames go both
 * ways: some are lost, none comes twice or out of order, every buffer comes back once, and the driver is asked to
 * announce itself. The interface is there before the first of them, and stays.
 *
 * With MACHINE_SANDBOX=1 in the environment each of these processes is in the sandbox.
 */
#include "net.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <linux/if.h>
#include <linux/if_tun.h>

#include "sandbox.h"

#define STATE   "state-net-killed"
#define KILLS   60u
#define BYTES   200u
#define BUFFERS 8u /* offered at a time */

static bool possible;
static pid_t child;
static unsigned int kills, kill_in; /* steps of the guest's waiting; 0: not */

static bool serving; /* this is the process that is to be killed */

ssize_t __real_writev(int file, const struct iovec *vector, int count);
ssize_t __wrap_writev(int file, const struct iovec *vector, int count);

/* Now and then it is killed when a frame has gone out, and nobody knows of it yet. */
ssize_t __wrap_writev(int file, const struct iovec *vector, int count)
{
    const ssize_t result = __real_writev(file, vector, count);

    if (serving && random() % 32 == 0) {
        __builtin_trap(); /* the sandbox has no kill(2) */
    }
    return result;
}

static void serve(struct machine *machine, int ready)
{
    struct model_options options = machine->options;
    char error[MODEL_ERROR_MAX];
    struct model *model;

    options.sandbox = getenv("MACHINE_SANDBOX") != NULL;
    options.user = SANDBOX_USER_FIRST;
    (void)signal(SIGILL, SIG_DFL); /* cmocka would catch it */
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) || model_create(&model, &options, error)) {
        (void)fprintf(stderr, "# %s\n", error);
        _exit(1);
    }
    if (write(ready, "", 1) != 1) {
        _exit(1);
    }
    serving = kill_in > 0;
    for (;;) {
        model_turn(model, true);
    }
}

static void begin(struct machine *machine)
{
    int pipes[2];
    char byte;

    local_guest_kill(machine->guest);
    assert_int_equal(pipe(pipes), 0);
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        (void)close(pipes[0]);
        serve(machine, pipes[1]);
    }
    assert_int_equal(close(pipes[1]), 0);
    assert_int_equal(read(pipes[0], &byte, 1), 1);
    assert_int_equal(close(pipes[0]), 0);
}

/* Whether it has been; it does not end by itself. */
static bool is_killed(int options)
{
    int status;

    if (waitpid(child, &status, options) != child) {
        return false;
    }
    assert_true(WIFSIGNALED(status) && (WTERMSIG(status) == SIGKILL || WTERMSIG(status) == SIGILL));
    child = 0;
    kills++;
    return true;
}

static void kill_child(void)
{
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_true(is_killed(0));
}

static void elsewhere(struct machine *machine)
{
    const struct timespec moment = { .tv_nsec = 20000 };

    (void)nanosleep(&moment, NULL);
    if (kill_in > 0 && --kill_in == 0) {
        assert_int_equal(kill(child, SIGKILL), 0);
        kill_in = 1 + (unsigned int)random() % 200;
    }
    if (is_killed(WNOHANG)) {
        begin(machine);
    }
}

static void make_interface(bool there)
{
    struct ifreq request = { .ifr_name = NET_TAP, .ifr_flags = IFF_TAP | IFF_NO_PI };
    const int file = open("/dev/net/tun", O_RDWR | O_CLOEXEC);

    assert_int_equal(ioctl(file, TUNSETIFF, &request), 0);
    assert_int_equal(ioctl(file, TUNSETPERSIST, (unsigned long)there), 0);
    assert_int_equal(close(file), 0);
}

/* What a frame's number is; it is in its first bytes behind the head. */
static unsigned int number_of(const unsigned char *frame)
{
    unsigned int number;

    memcpy(&number, frame + ETH_HLEN, sizeof(number));
    return number;
}

static void make_frame(unsigned char *frame, unsigned int number)
{
    net_frame(frame, BYTES, number);
    memcpy(frame + ETH_HLEN, &number, sizeof(number));
}

static void check_frame(const unsigned char *frame, unsigned int *last)
{
    unsigned char expected[BYTES];
    const unsigned int number = number_of(frame);

    make_frame(expected, number);
    assert_memory_equal(frame, expected, BYTES);
    assert_true(number > *last);
    *last = number;
}

/* Which slot a buffer that has been offered is in. */
static unsigned int slot_of(const struct net_driver *net, uint32_t head)
{
    return (unsigned int)((net->offered[0][head].address - net->queue[0].memory - DRIVER_DATA) / NET_SLOT);
}

/* All frames that have come, each buffer once; offers them again. */
static unsigned int receive_all(struct net_driver *net, unsigned int *last)
{
    unsigned int count = 0;

    while (driver_completed(&net->queue[0])) {
        const struct vring_used_elem element = driver_wait(&net->queue[0]);
        const unsigned int slot = slot_of(net, element.id);

        assert_int_equal(element.len, NET_HEADER + BYTES);
        check_frame(net_slot(net, 0, slot) + NET_HEADER, last);
        (void)net_offer(net, 0, slot, NET_SLOT);
        driver_notify(&net->queue[0]);
        count++;
    }
    return count;
}

static unsigned int see_all(struct net_driver *net, unsigned int *last)
{
    static unsigned char frame[NET_FRAME_MAX];
    unsigned int count = 0;

    for (;;) {
        struct virtio_net_hdr header;
        const struct iovec vector[] = { { &header, sizeof(header) }, { frame, sizeof(frame) } };

        if (readv(net->peer, vector, 2) < 0) {
            assert_true(errno == EAGAIN);
            return count;
        }
        check_frame(frame, last);
        count++;
    }
}

static void start(struct net_driver *net, struct machine *machine)
{
    static const struct net_options options = { .tap = NET_TAP, .mac = NET_ADDRESS };

    make_interface(true);
    net_begin(net, machine, &(struct machine_options){ .disks = 1 }, &options);
    machine_stop_model(machine);
    (void)unlink(STATE);
    machine->options.state = STATE;
    machine->elsewhere = elsewhere;
    srandom(4711);
    kills = 0;
    kill_in = 0;
    begin(machine);
    driver_probe_kind(&net->device, machine, 2, 1, NET_QUEUE_SIZE);
    net_start(net, NET_ALL);
}

/* The last one is killed, too; then one in this process goes on for it and ends in order. */
static void finish(struct net_driver *net)
{
    kill_in = 0;
    kill_child();
    local_guest_kill(net->machine->guest);
    net->machine->elsewhere = NULL;
    machine_start_model(net->machine);
    net_check_serves(net);
    net_end(net);
    assert_int_equal(unlink(STATE), 0);
    make_interface(false);
}

static void test_no_frame_twice(void **state)
{
    unsigned int sent = 0, received = 0, receive_last = 0, seen = 0, see_last = 0;
    unsigned char frame[BYTES];
    struct machine machine;
    struct net_driver net;

    (void)state;
    if (!possible) {
        skip();
    }
    start(&net, &machine);
    for (unsigned int slot = 0; slot < BUFFERS; slot++) {
        (void)net_offer(&net, 0, slot, NET_SLOT);
    }
    driver_kick(&net.queue[0]);
    kill_in = 50;
    while (kills < KILLS) {
        make_frame(frame, ++sent);
        net_peer_send(&net, NULL, frame, BYTES);
        net_send(&net, 0, NULL, frame, BYTES);
        received += receive_all(&net, &receive_last);
        seen += see_all(&net, &see_last);
    }
    machine_settle(&machine);
    received += receive_all(&net, &receive_last);
    seen += see_all(&net, &see_last);
    print_message("# %u kills: of %u frames %u were received, %u sent\n", kills, sent, received, seen);
    /* An interface that nobody reads loses what comes. */
    assert_true(received <= sent && received > sent / 2);
    assert_true(seen <= sent && seen >= sent - 2 * kills);
    finish(&net);
}

/* It goes on with what the driver has set, asks it to announce itself, and is told that it has. */
static void test_goes_on_as_it_was(void **state)
{
    static const unsigned char other[ETH_ALEN] = { 2, 0, 0, 0, 0, 9 };
    const uint8_t off = 0;
    struct machine machine;
    struct net_driver net;
    uint8_t address[ETH_ALEN];

    (void)state;
    if (!possible) {
        skip();
    }
    start(&net, &machine);
    assert_int_equal(net_status(&net), VIRTIO_NET_S_LINK_UP);
    assert_int_equal(net_command(&net, VIRTIO_NET_CTRL_RX, VIRTIO_NET_CTRL_RX_PROMISC, &off, 1), VIRTIO_NET_OK);
    assert_int_equal(net_command(&net, VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_ADDR_SET, other, ETH_ALEN),
                     VIRTIO_NET_OK);
    kill_child();
    begin(&machine);
    machine_settle(&machine);
    assert_int_equal(net_status(&net), VIRTIO_NET_S_LINK_UP | VIRTIO_NET_S_ANNOUNCE);
    for (unsigned int i = 0; i < ETH_ALEN; i++) {
        address[i] = (uint8_t)machine_read(&machine, net.device.config + i, 1);
    }
    assert_memory_equal(address, other, ETH_ALEN);
    assert_int_equal(net_command(&net, VIRTIO_NET_CTRL_ANNOUNCE, VIRTIO_NET_CTRL_ANNOUNCE_ACK, NULL, 0),
                     VIRTIO_NET_OK);
    assert_int_equal(net_status(&net), VIRTIO_NET_S_LINK_UP);
    {
        unsigned char frame[BYTES];

        (void)net_offer(&net, 0, 0, NET_SLOT);
        driver_kick(&net.queue[0]);
        net_frame(frame, BYTES, 1); /* to the address that it has no more */
        net_peer_send(&net, NULL, frame, BYTES);
        machine_settle(&machine);
        assert_false(driver_completed(&net.queue[0]));
        memcpy(frame, other, ETH_ALEN);
        net_peer_send(&net, NULL, frame, BYTES);
        net_expect(&net, 0, frame, BYTES);
    }
    net_start(&net, NET_ALL);
    assert_int_equal(net_status(&net), VIRTIO_NET_S_LINK_UP);
    finish(&net);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_frame_twice),
        cmocka_unit_test(test_goes_on_as_it_was),
    };

    possible = net_namespace();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
