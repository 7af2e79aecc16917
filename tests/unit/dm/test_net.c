/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The network interface that a guest sees, on a TAP of a network namespace of the test's own: frames both ways,
 * offloads, receive buffers, the link, the control queue, several queues; a driver that refuses features one by one.
 */
#include "net.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <linux/if.h>

#define SEGMENT 1448u
#define TCP_HEAD (ETH_HLEN + 20u + 20u)

static bool possible;
static unsigned char frame[NET_FRAME_MAX], got[NET_FRAME_MAX];

struct net_test {
    void (*test)(struct net_driver *net);
    uint64_t features; /* 0: it is not started */
    struct net_options options;
    struct machine_options machine;
};

static void run(void **state)
{
    const struct net_test *test = *state;
    struct net_options options = test->options;
    struct machine machine;
    struct net_driver net;

    if (!possible) {
        skip();
    }
    options.tap = options.tap ? options.tap : NET_TAP;
    net_begin(&net, &machine, &test->machine, &options);
    if (test->features) {
        net_start(&net, test->features);
    }
    test->test(&net);
    net_end(&net);
}

#define net_test(test, features, ...) \
    { #test, run, NULL, NULL, &(struct net_test){ test, features, { __VA_ARGS__ }, { .disks = 1 } } }

static void test_frames_go_out_as_they_are(struct net_driver *net)
{
    const size_t lengths[] = { ETH_HLEN, ETH_HLEN + 1, 60, 1514 };
    struct virtio_net_hdr header;

    for (unsigned int i = 0; i < 4; i++) {
        net_frame(frame, lengths[i], i);
        net_send(net, 0, NULL, frame, lengths[i]);
        assert_int_equal(net_peer_receive(net, &header, got), lengths[i]);
        assert_memory_equal(got, frame, lengths[i]);
        assert_int_equal(header.gso_type, VIRTIO_NET_HDR_GSO_NONE);
    }
}

static void test_frames_come_in_as_they_are(struct net_driver *net)
{
    const size_t lengths[] = { ETH_HLEN + 1, 60, 1514 };

    for (unsigned int i = 0; i < 3; i++) {
        (void)net_offer(net, 0, i, NET_SLOT);
        net_frame(frame, lengths[i], i);
        net_peer_send(net, NULL, frame, lengths[i]);
        net_expect(net, 0, frame, lengths[i]);
    }
}

/* What comes before there are buffers waits, in order, and the driver is asked to notify of buffers. */
static void test_frames_wait_for_buffers(struct net_driver *net)
{
    for (unsigned int i = 0; i < 40; i++) {
        net_frame(frame, 100 + i, i);
        net_peer_send(net, NULL, frame, 100 + i);
    }
    machine_settle(net->machine);
    for (unsigned int i = 0; i < 40; i++) {
        (void)net_offer(net, 0, i % DRIVER_QUEUE_SIZE, NET_SLOT);
        driver_notify(&net->queue[0]);
        net_frame(frame, 100 + i, i);
        net_expect(net, 0, frame, 100 + i);
    }
}

/* `count` TCP segments that are still one. */
static size_t tcp_frame(struct virtio_net_hdr *header, unsigned int count)
{
    static const unsigned char head[40] = {
        0x45, 0, 0, 0, 0, 1, 0x40, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2,
        0x10, 0, 0x20, 0, 0, 0, 0, 1, 0, 0, 0, 1, 0x50, 0x10, 1, 0, 0, 0, 0, 0,
    };
    const size_t length = TCP_HEAD + count * (size_t)SEGMENT;
    const unsigned int total = (unsigned int)length - ETH_HLEN;

    net_frame(frame, length, count);
    frame[12] = 0x08;
    frame[13] = 0x00;
    memcpy(frame + ETH_HLEN, head, sizeof(head));
    frame[ETH_HLEN + 2] = (unsigned char)(total >> 8);
    frame[ETH_HLEN + 3] = (unsigned char)total;
    *header = (struct virtio_net_hdr){
        .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM, .gso_type = VIRTIO_NET_HDR_GSO_TCPV4, .hdr_len = TCP_HEAD,
        .gso_size = SEGMENT, .csum_start = ETH_HLEN + 20, .csum_offset = 16,
    };
    return length;
}

static void offer_all(struct net_driver *net, uint32_t length)
{
    for (unsigned int i = 0; i < DRIVER_QUEUE_SIZE; i++) {
        (void)net_offer(net, 0, i, length);
    }
    driver_notify(&net->queue[0]);
}

/* A frame larger than any buffer comes in as many as it takes, all at once; the next one uses what is left over. */
static void test_one_frame_in_several_buffers(struct net_driver *net)
{
    struct virtio_net_hdr_v1 header;
    struct virtio_net_hdr sent;
    const size_t length = tcp_frame(&sent, 40);

    for (unsigned int i = 0; i < 10; i++) {
        offer_all(net, 4096);
        net_peer_send(net, &sent, frame, length);
        assert_int_equal(net_receive(net, 0, 4096, &header, got), length);
        assert_memory_equal(got, frame, length);
        assert_int_equal(header.num_buffers, (length + NET_HEADER + 4095) / 4096);
        assert_int_equal(header.gso_type, VIRTIO_NET_HDR_GSO_TCPV4);
        assert_int_equal(header.gso_size, SEGMENT);
        assert_int_equal(header.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM, VIRTIO_NET_HDR_F_NEEDS_CSUM);
        assert_int_equal(header.csum_start, sent.csum_start);
        assert_int_equal(header.csum_offset, sent.csum_offset);
        net_frame(frame, 64, 5);
        net_peer_send(net, NULL, frame, 64);
        net_expect(net, 0, frame, 64);
        net_start(net, NET_ALL);
        (void)tcp_frame(&sent, 40);
    }
}

/* Too few for it: it waits, and no buffer of it is used until there are enough. */
static void test_a_frame_waits_for_all_of_its_buffers(struct net_driver *net)
{
    struct virtio_net_hdr_v1 header;
    struct virtio_net_hdr sent;
    const size_t length = tcp_frame(&sent, 20);

    net_peer_send(net, &sent, frame, length);
    for (unsigned int i = 0; i < (length + NET_HEADER) / 4096; i++) {
        (void)net_offer(net, 0, i, 4096);
        driver_notify(&net->queue[0]);
        machine_settle(net->machine);
        assert_false(driver_completed(&net->queue[0]));
    }
    (void)net_offer(net, 0, 15, 4096);
    driver_notify(&net->queue[0]);
    assert_int_equal(net_receive(net, 0, 4096, &header, got), length);
    assert_memory_equal(got, frame, length);
}

/* Offloads that the driver has not agreed to are made by the host's kernel. */
static void test_host_segments_what_the_driver_does_not(struct net_driver *net)
{
    struct virtio_net_hdr_v1 header;
    struct virtio_net_hdr sent;
    const size_t length = tcp_frame(&sent, 4);

    offer_all(net, NET_SLOT);
    net_peer_send(net, &sent, frame, length);
    for (unsigned int i = 0; i < 4; i++) {
        assert_int_equal(net_receive(net, 0, NET_SLOT, &header, got), TCP_HEAD + SEGMENT);
        assert_memory_equal(got + TCP_HEAD, frame + TCP_HEAD + i * SEGMENT, SEGMENT);
        assert_int_equal(header.flags, 0);
        assert_int_equal(header.gso_type, VIRTIO_NET_HDR_GSO_NONE);
    }
    machine_settle(net->machine);
    assert_false(driver_completed(&net->queue[0]));
}

static void test_host_is_given_segments(struct net_driver *net)
{
    struct virtio_net_hdr sent, header;
    const size_t length = tcp_frame(&sent, 40);
    struct virtio_net_hdr_v1 full = { .num_buffers = 0 };

    memcpy(&full, &sent, sizeof(sent));
    net_send(net, 0, &full, frame, length);
    assert_int_equal(net_peer_receive(net, &header, got), length);
    assert_memory_equal(got, frame, length);
    assert_int_equal(header.gso_type, VIRTIO_NET_HDR_GSO_TCPV4);
    assert_int_equal(header.gso_size, SEGMENT);
}

/* Switched by the driver while it runs (5.1.6.5.6). */
static void test_offloads_are_switched(struct net_driver *net)
{
    const uint64_t offloads[] = { 0, NET_FEATURE(GUEST_CSUM) | NET_FEATURE(GUEST_TSO4), 0 };
    struct virtio_net_hdr_v1 header;
    struct virtio_net_hdr sent;
    size_t length;

    for (unsigned int i = 0; i < 3; i++) {
        assert_int_equal(net_command(net, VIRTIO_NET_CTRL_GUEST_OFFLOADS, VIRTIO_NET_CTRL_GUEST_OFFLOADS_SET,
                                     &offloads[i], 8), VIRTIO_NET_OK);
        length = tcp_frame(&sent, 2);
        for (unsigned int j = 0; j < 2; j++) {
            (void)net_offer(net, 0, 2 * i + j, NET_SLOT);
        }
        driver_notify(&net->queue[0]);
        net_peer_send(net, &sent, frame, length);
        assert_int_equal(net_receive(net, 0, NET_SLOT, &header, got),
                         offloads[i] ? length : TCP_HEAD + SEGMENT);
        if (!offloads[i]) {
            assert_int_equal(net_receive(net, 0, NET_SLOT, &header, got), TCP_HEAD + SEGMENT);
        }
        assert_int_equal(header.gso_type, offloads[i] ? VIRTIO_NET_HDR_GSO_TCPV4 : VIRTIO_NET_HDR_GSO_NONE);
    }
}

/* Each is left out once, with all others accepted; and each is accepted alone. */
static void test_each_feature_refused(struct net_driver *net)
{
    uint64_t offered;

    net_start(net, NET_ALL);
    offered = net->device.features;
    assert_true(offered & NET_FEATURE(CSUM) && offered & NET_FEATURE(GUEST_TSO4) && offered & NET_FEATURE(HOST_TSO6));
    for (unsigned int bit = 0; bit < 64; bit++) {
        if ((offered & 1ull << bit) && bit != VIRTIO_F_ACCESS_PLATFORM && bit != VIRTIO_F_VERSION_1) {
            net_start(net, offered & ~(1ull << bit));
            net_check_serves(net);
            net_start(net, 1ull << VIRTIO_F_VERSION_1 | 1ull << bit);
            net_check_serves(net);
        }
    }
    net_start(net, 1ull << VIRTIO_F_VERSION_1);
    net_check_serves(net);
}

static void read_config(struct net_driver *net, struct virtio_net_config *config)
{
    for (unsigned int i = 0; i < offsetof(struct virtio_net_config, rss_max_key_size); i++) {
        ((unsigned char *)config)[i] = (unsigned char)machine_read(net->machine, net->device.config + i, 1);
    }
}

static void test_configuration(struct net_driver *net)
{
    static const uint8_t address[ETH_ALEN] = { 2, 0, 0, 0, 0, 7 };
    struct virtio_net_config config;

    read_config(net, &config);
    assert_memory_equal(config.mac, address, ETH_ALEN);
    assert_int_equal(config.status, VIRTIO_NET_S_LINK_UP);
    assert_int_equal(config.max_virtqueue_pairs, NET_PAIRS);
    assert_int_equal(config.mtu, 9000);
    assert_int_equal(config.speed, 25000);
    assert_int_equal(config.duplex, 1);
    assert_true(net_has(net, VIRTIO_NET_F_MTU) && net_has(net, VIRTIO_NET_F_SPEED_DUPLEX) &&
                net_has(net, VIRTIO_NET_F_MQ));
    /* An interface that is made gets it, too. */
    {
        struct ifreq request = { .ifr_name = NET_TAP };

        assert_int_equal(ioctl(net->peer, SIOCGIFMTU, &request), 0);
        assert_int_equal(request.ifr_mtu, 9000);
    }
}

/* Without anything said: an address of its own that stays, the interface's MTU, and no speed. */
static void test_configuration_that_nobody_gave(struct net_driver *net)
{
    struct virtio_net_config config, again;

    read_config(net, &config);
    assert_int_equal(config.mac[0] & 3, 2);
    assert_int_equal(config.mtu, 1500);
    assert_false(net_has(net, VIRTIO_NET_F_SPEED_DUPLEX));
    assert_false(net_has(net, VIRTIO_NET_F_MQ));
    assert_int_equal(close(net->peer), 0);
    net->peer = -1;
    machine_stop_model(net->machine);
    machine_start_model(net->machine);
    driver_probe_kind(&net->device, net->machine, 2, 1, NET_QUEUE_SIZE);
    read_config(net, &again);
    assert_memory_equal(config.mac, again.mac, ETH_ALEN);
}

static void test_link_follows_the_interface(struct net_driver *net)
{
    uint8_t generation = 0;

    if (!net->device.mmio) {
        generation = (uint8_t)common_read(&net->device, VIRTIO_PCI_COMMON_CFGGENERATION, 1);
    }
    assert_int_equal(net_status(net), VIRTIO_NET_S_LINK_UP);
    net_set_link(net, false);
    assert_int_equal(net_status(net), 0);
    if (!net->device.mmio) {
        assert_true(local_guest_take(net->machine->guest, driver_msix_interrupt(&net->device, 0)));
        assert_int_not_equal(common_read(&net->device, VIRTIO_PCI_COMMON_CFGGENERATION, 1), generation);
    }
    net_frame(frame, 60, 1);
    net_send(net, 0, NULL, frame, 60); /* lost, and the buffer is the driver's again */
    net_set_link(net, true);
    assert_int_equal(net_status(net), VIRTIO_NET_S_LINK_UP);
    net_check_serves(net);
}

static uint8_t set_mode(struct net_driver *net, uint8_t mode, uint8_t on)
{
    return net_command(net, VIRTIO_NET_CTRL_RX, mode, &on, 1);
}

/* Whether a frame to that address comes. */
static bool comes(struct net_driver *net, const char *address)
{
    static unsigned int number;
    struct virtio_net_hdr_v1 header;

    net_frame(frame, 64, ++number);
    memcpy(frame, address, ETH_ALEN);
    net_peer_send(net, NULL, frame, 64);
    machine_settle(net->machine);
    if (!driver_completed(&net->queue[0])) {
        return false;
    }
    assert_int_equal(net_receive(net, 0, NET_SLOT, &header, got), 64);
    assert_memory_equal(got, frame, 64);
    (void)net_offer(net, 0, number % DRIVER_QUEUE_SIZE, NET_SLOT);
    driver_notify(&net->queue[0]);
    return true;
}

#define OWN       "\x02\x00\x00\x00\x00\x07"
#define OTHER     "\x02\x00\x00\x00\x00\x09"
#define MULTI     "\x01\x00\x5e\x00\x00\x05"
#define EVERYBODY "\xff\xff\xff\xff\xff\xff"

static void expect_filter(struct net_driver *net, bool own, bool other, bool multi, bool everybody)
{
    assert_int_equal(comes(net, OWN), own);
    assert_int_equal(comes(net, OTHER), other);
    assert_int_equal(comes(net, MULTI), multi);
    assert_int_equal(comes(net, EVERYBODY), everybody);
}

static void test_receive_modes(struct net_driver *net)
{
    (void)net_offer(net, 0, 0, NET_SLOT);
    expect_filter(net, true, true, true, true); /* a driver that has said nothing gets all */
    assert_int_equal(set_mode(net, VIRTIO_NET_CTRL_RX_PROMISC, 0), VIRTIO_NET_OK);
    expect_filter(net, true, false, false, true);
    assert_int_equal(set_mode(net, VIRTIO_NET_CTRL_RX_ALLMULTI, 1), VIRTIO_NET_OK);
    expect_filter(net, true, false, true, true);
    assert_int_equal(set_mode(net, VIRTIO_NET_CTRL_RX_NOMULTI, 1), VIRTIO_NET_OK);
    assert_int_equal(set_mode(net, VIRTIO_NET_CTRL_RX_ALLUNI, 1), VIRTIO_NET_OK);
    expect_filter(net, true, true, false, true);
    assert_int_equal(set_mode(net, VIRTIO_NET_CTRL_RX_NOUNI, 1), VIRTIO_NET_OK);
    assert_int_equal(set_mode(net, VIRTIO_NET_CTRL_RX_NOBCAST, 1), VIRTIO_NET_OK);
    expect_filter(net, false, false, false, false);
    assert_int_equal(set_mode(net, VIRTIO_NET_CTRL_RX_PROMISC, 1), VIRTIO_NET_OK);
    expect_filter(net, true, true, true, true);
    net_start(net, NET_CONTROL); /* forgotten */
    (void)net_offer(net, 0, 0, NET_SLOT);
    expect_filter(net, true, true, true, true);
}

/* Two tables, each a count and so many addresses. */
static uint8_t set_tables(struct net_driver *net, uint32_t unicast, uint32_t multicast)
{
    unsigned char data[2 * (4 + 100 * ETH_ALEN)] = { 0 };
    unsigned char *at = data;

    memcpy(at, &unicast, 4);
    for (uint32_t i = 0; i < unicast; i++) {
        memcpy(at + 4 + i * ETH_ALEN, i == unicast - 1 ? OTHER : "\x02\x00\x00\x00\x01\x00", ETH_ALEN);
    }
    at += 4 + unicast * ETH_ALEN;
    memcpy(at, &multicast, 4);
    for (uint32_t i = 0; i < multicast; i++) {
        memcpy(at + 4 + i * ETH_ALEN, i == multicast - 1 ? MULTI : "\x01\x00\x00\x00\x01\x00", ETH_ALEN);
    }
    at += 4 + multicast * ETH_ALEN;
    return net_command(net, VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_TABLE_SET, data, (uint32_t)(at - data));
}

static void test_address_tables(struct net_driver *net)
{
    (void)net_offer(net, 0, 0, NET_SLOT);
    assert_int_equal(set_mode(net, VIRTIO_NET_CTRL_RX_PROMISC, 0), VIRTIO_NET_OK);
    assert_int_equal(set_tables(net, 1, 0), VIRTIO_NET_OK);
    expect_filter(net, true, true, false, true);
    assert_int_equal(set_tables(net, 0, 64), VIRTIO_NET_OK);
    expect_filter(net, true, false, true, true);
    assert_int_equal(set_tables(net, 64, 0), VIRTIO_NET_OK);
    expect_filter(net, true, true, false, true);
    assert_int_equal(set_tables(net, 0, 65), VIRTIO_NET_OK); /* more than are kept: all */
    assert_true(comes(net, "\x01\x00\x5e\x01\x01\x01"));
    assert_false(comes(net, OTHER));
    assert_int_equal(set_tables(net, 65, 0), VIRTIO_NET_OK);
    assert_true(comes(net, "\x02\x09\x09\x09\x09\x09"));
    assert_false(comes(net, MULTI));
    assert_int_equal(set_tables(net, 0, 0), VIRTIO_NET_OK);
    expect_filter(net, true, false, false, true);
}

static void test_address_is_set(struct net_driver *net)
{
    struct virtio_net_config config;

    (void)net_offer(net, 0, 0, NET_SLOT);
    assert_int_equal(set_mode(net, VIRTIO_NET_CTRL_RX_PROMISC, 0), VIRTIO_NET_OK);
    assert_int_equal(net_command(net, VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_ADDR_SET, OTHER, ETH_ALEN),
                     VIRTIO_NET_OK);
    expect_filter(net, false, true, false, true);
    read_config(net, &config);
    assert_memory_equal(config.mac, OTHER, ETH_ALEN);
    driver_reset(&net->device);
    read_config(net, &config);
    assert_memory_equal(config.mac, OWN, ETH_ALEN);
}

static uint8_t set_pairs(struct net_driver *net, uint16_t pairs)
{
    return net_command(net, VIRTIO_NET_CTRL_MQ, VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET, &pairs, 2);
}

/* All pairs that are used send, and what comes is received on one of them; nothing is on the others. */
static void test_several_pairs(struct net_driver *net)
{
    const uint16_t pairs[] = { 1, 4, 2, 3, 4, 1 };
    struct virtio_net_hdr header;

    assert_int_equal(net->control, 2 * NET_PAIRS);
    for (unsigned int i = 0; i < 6; i++) {
        unsigned int received = 0;

        assert_int_equal(set_pairs(net, pairs[i]), VIRTIO_NET_OK);
        for (unsigned int pair = 0; pair < pairs[i]; pair++) {
            net_frame(frame, 200, pair);
            net_send(net, pair, NULL, frame, 200);
            assert_int_equal(net_peer_receive(net, &header, got), 200);
            assert_memory_equal(got, frame, 200);
        }
        for (unsigned int pair = 0; pair < NET_PAIRS; pair++) {
            for (unsigned int slot = 0; slot < DRIVER_QUEUE_SIZE && i == 0; slot++) {
                (void)net_offer(net, pair, slot, NET_SLOT);
            }
            driver_notify(&net->queue[2 * pair]);
        }
        for (unsigned int number = 0; number < 8; number++) {
            size_t length = tcp_frame(&header, 1); /* the kernel chooses by the flow */

            frame[35] = (unsigned char)number;
            header.gso_type = VIRTIO_NET_HDR_GSO_NONE;
            net_peer_send(net, &header, frame, length);
        }
        machine_settle(net->machine);
        for (unsigned int pair = 0; pair < NET_PAIRS; pair++) {
            while (driver_completed(&net->queue[2 * pair])) {
                struct virtio_net_hdr_v1 full;

                assert_true(pair < pairs[i]);
                assert_int_equal(net_receive(net, pair, NET_SLOT, &full, got), TCP_HEAD + SEGMENT);
                (void)net_offer(net, pair, received++, NET_SLOT);
                driver_notify(&net->queue[2 * pair]);
            }
        }
        assert_int_equal(received, 8);
    }
}

/* A driver that does not know of several pairs has its control queue after the first one. */
static void test_control_queue_without_several_pairs(struct net_driver *net)
{
    assert_int_equal(net->control, 2);
    assert_int_equal(set_mode(net, VIRTIO_NET_CTRL_RX_PROMISC, 0), VIRTIO_NET_OK);
    assert_int_equal(set_pairs(net, 1), VIRTIO_NET_ERR);
    net_check_serves(net);
}

/* A reset in the middle: what was to be received is forgotten, and nothing of it comes to the next driver. */
static void test_reset_forgets(struct net_driver *net)
{
    struct virtio_net_hdr sent;
    const size_t length = tcp_frame(&sent, 30);

    for (unsigned int i = 0; i < 20; i++) {
        net_peer_send(net, &sent, frame, length);
        machine_settle(net->machine);
        net_start(net, i % 2 ? NET_ALL : 1ull << VIRTIO_F_VERSION_1);
        for (unsigned int j = 0; j < 30; j++) {
            /* What is left in the interface may come as single segments, or is lost. */
            machine_turn(net->machine);
        }
    }
    net_start(net, 1ull << VIRTIO_F_VERSION_1);
    offer_all(net, NET_SLOT);
    machine_settle(net->machine);
    while (driver_completed(&net->queue[0])) {
        struct virtio_net_hdr_v1 header;

        assert_true(net_receive(net, 0, NET_SLOT, &header, got) <= TCP_HEAD + SEGMENT);
        assert_int_equal(header.gso_type, VIRTIO_NET_HDR_GSO_NONE);
    }
}

/* The model says what there was. */
static void test_report(struct net_driver *net)
{
    char *text = NULL;
    size_t size = 0;
    FILE *file = open_memstream(&text, &size);

    net_check_serves(net);
    assert_int_equal(net_command(net, 99, 0, NULL, 0), VIRTIO_NET_ERR);
    assert_non_null(file);
    model_report(net->machine->model, file);
    assert_int_equal(fclose(file), 0);
    assert_non_null(strstr(text, "net0: frames sent: 1 (600 bytes), received: 1 (700 bytes)\n"));
    assert_non_null(strstr(text, "net0: commands: 1, of these in vain: 1,"));
    free(text);
}

/* A TAP that another process has. */
static void test_in_use(struct net_driver *net)
{
    const struct net_options options = { .tap = NET_TAP, .queues = 1 };
    struct kind_files files;
    char error[KIND_ERROR_MAX];

    (void)net;
    assert_int_equal(net_kind.open(&options, &files, error), -EBUSY);
    assert_non_null(strstr(error, "in use by another process"));
}

static void test_options_that_are_wrong(void **state)
{
    static const struct net_options wrong[] = {
        { .tap = "sb-none", .mac = "02:00:00:00:00" },       { .tap = "sb-none", .mac = "02:00:00:00:00:00:00" },
        { .tap = "sb-none", .mac = "03:00:00:00:00:01" },    { .tap = "sb-none", .mac = "00:00:00:00:00:00" },
        { .tap = "sb-none", .mac = "2:0:0:0:0:1" },          { .tap = "sb-none", .mac = "02:00:00:00:00:0g" },
        { .tap = "0123456789abcdef" },                       { .tap = "a/b" },
        { .tap = "lo" },
    };

    (void)state;
    if (!possible) {
        skip();
    }
    for (unsigned int i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        struct kind_files files;
        char error[KIND_ERROR_MAX] = "";

        assert_int_equal(net_kind.open(&wrong[i], &files, error), -EINVAL);
        assert_true(strlen(error) > 10);
    }
}

#define OWN_ADDRESS .mac = NET_ADDRESS

int main(void)
{
    const struct CMUnitTest tests[] = {
        net_test(test_frames_go_out_as_they_are, NET_BASIC),
        net_test(test_frames_come_in_as_they_are, NET_BASIC),
        net_test(test_frames_wait_for_buffers, NET_ALL),
        net_test(test_one_frame_in_several_buffers, NET_ALL),
        net_test(test_a_frame_waits_for_all_of_its_buffers, NET_ALL),
        net_test(test_host_segments_what_the_driver_does_not, NET_BASIC),
        net_test(test_host_is_given_segments, NET_ALL),
        net_test(test_offloads_are_switched, NET_ALL),
        net_test(test_each_feature_refused, 0, .queues = NET_PAIRS),
        net_test(test_configuration, NET_ALL, OWN_ADDRESS, .mtu = 9000, .queues = NET_PAIRS, .speed = 25000),
        net_test(test_configuration_that_nobody_gave, NET_ALL),
        net_test(test_link_follows_the_interface, NET_ALL),
        net_test(test_receive_modes, NET_CONTROL, OWN_ADDRESS),
        net_test(test_address_tables, NET_CONTROL, OWN_ADDRESS),
        net_test(test_address_is_set, NET_CONTROL, OWN_ADDRESS),
        net_test(test_several_pairs, NET_ALL, .queues = NET_PAIRS),
        net_test(test_control_queue_without_several_pairs, NET_CONTROL, OWN_ADDRESS, .queues = NET_PAIRS),
        net_test(test_reset_forgets, NET_ALL),
        net_test(test_report, NET_ALL),
        net_test(test_in_use, 0),
        cmocka_unit_test(test_options_that_are_wrong),
    };

    possible = net_namespace();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
