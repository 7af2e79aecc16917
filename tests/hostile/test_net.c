/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Drivers that break the rules of virtio-net (virtio 1.2, section 5.1) in rings that are in order, and an interface of
 * the host that fails. A frame that is none is lost, and its buffer given back; a command gets an error; a device whose
 * driver gives it no room for a header asks to be reset.
 */
#include "net.h"

#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <linux/if.h>

static bool possible;
static unsigned char frame[NET_FRAME_MAX], got[NET_FRAME_MAX];

static void run_with(void (*test)(struct net_driver *net), const struct net_options *options)
{
    struct machine machine;
    struct net_driver net;

    if (!possible) {
        skip();
    }
    net_begin(&net, &machine, &(struct machine_options){ .disks = 1 }, options);
    net_start(&net, NET_ALL);
    test(&net);
    net_end(&net);
}

static void run(void **state)
{
    static const struct net_options options = { .tap = NET_TAP, .mac = NET_ADDRESS, .queues = NET_PAIRS };

    run_with(*(void (**)(struct net_driver *net))*state, &options);
}

#define net_test(test) \
    { #test, run, NULL, NULL, (void (*[])(struct net_driver *net)){ test } }

static uint64_t data_address(const struct net_driver *net, unsigned int queue)
{
    return net->queue[queue].memory + DRIVER_DATA;
}

static unsigned char *data(struct net_driver *net, unsigned int queue)
{
    return machine_memory(net->machine, data_address(net, queue), NET_STRIDE - DRIVER_DATA);
}

static void check_serves(struct net_driver *net)
{
    net_start(net, NET_ALL);
    net_check_serves(net);
}

static void check_needs_reset(struct net_driver *net)
{
    machine_settle(net->machine);
    assert_true(driver_status(&net->device) & VIRTIO_CONFIG_S_NEEDS_RESET);
    check_serves(net);
}

/* A chain to be transmitted that is given back, and of which nothing comes out. */
static void expect_lost(struct net_driver *net, const struct buffer *buffers, unsigned int count)
{
    struct driver *queue = &net->queue[1];

    assert_int_equal(driver_run(queue, ring_add(queue, buffers, count)), 0);
    assert_true(net_peer_has_nothing(net));
    assert_int_equal(driver_status(&net->device), DRIVER_RUNNING);
}

static void test_transmit_shorter_than_its_header(struct net_driver *net)
{
    for (uint32_t length = 0; length < NET_HEADER + ETH_HLEN; length++) {
        const struct buffer buffer = { data_address(net, 1), length, false };

        expect_lost(net, &buffer, 1);
    }
    net_check_serves(net);
}

static void test_transmit_too_long(struct net_driver *net)
{
    const uint32_t lengths[] = { 0x10020, 0x20000, 0x100000, 0xfffff000 };

    for (unsigned int i = 0; i < 4; i++) {
        /* In pieces, since with grants none is longer. */
        struct buffer buffers[DRIVER_QUEUE_SIZE];
        unsigned int count = 0;

        for (uint32_t done = 0; done < lengths[i] && count < DRIVER_QUEUE_SIZE; count++) {
            const uint32_t left = lengths[i] - done;

            buffers[count] = (struct buffer){ MACHINE_RAM, left < 0x10000 ? left : 0x10000, false };
            done += buffers[count].length;
        }
        expect_lost(net, buffers, count);
    }
    net_check_serves(net);
}

static void test_transmit_of_what_the_device_may_write(struct net_driver *net)
{
    const struct buffer written = { data_address(net, 1), 100, true };
    const struct buffer both[] = {
        { data_address(net, 1), NET_HEADER + 60, false }, { data_address(net, 1) + 0x1000, 100, true },
    };
    struct virtio_net_hdr header;
    struct driver *queue = &net->queue[1];

    expect_lost(net, &written, 1);
    /* What can be read is a frame, and what can be written is left alone. */
    memset(data(net, 1), 0, NET_HEADER);
    memset(data(net, 1) + 0x1000, 0x11, 100);
    net_frame(data(net, 1) + NET_HEADER, 60, 1);
    assert_int_equal(driver_run(queue, ring_add(queue, both, 2)), 0);
    assert_int_equal(net_peer_receive(net, &header, got), 60);
    assert_int_equal(data(net, 1)[0x1000], 0x11);
    net_check_serves(net);
}

/* Split as nobody does: the header in single bytes, each in a descriptor of its own, and the rest. */
static void test_transmit_in_single_bytes(struct net_driver *net)
{
    struct buffer buffers[DRIVER_QUEUE_SIZE];
    struct virtio_net_hdr header;
    struct driver *queue = &net->queue[1];

    memset(data(net, 1), 0, NET_HEADER);
    net_frame(data(net, 1) + NET_HEADER, 200, 3);
    for (unsigned int i = 0; i < DRIVER_QUEUE_SIZE; i++) {
        buffers[i] = (struct buffer){ data_address(net, 1) + i, i + 1 < DRIVER_QUEUE_SIZE ? 1 : NET_HEADER + 200 - i,
                                      false };
    }
    assert_int_equal(driver_run(queue, ring_add(queue, buffers, DRIVER_QUEUE_SIZE)), 0);
    assert_int_equal(net_peer_receive(net, &header, got), 200);
    assert_memory_equal(got, data(net, 1) + NET_HEADER, 200);
    net_check_serves(net);
}

/* What the header says is wrong is lost in the host's kernel, or comes out with a header that is right. */
static void test_transmit_header_lies(struct net_driver *net)
{
    static const uint16_t values[] = { 0, 1, 13, 14, 60, 61, 0x7fff, 0xfffe, 0xffff };
    const unsigned int count = sizeof(values) / sizeof(values[0]);
    const uint8_t types[] = { 0, 1, 2, 3, 4, 5, 6, 0x7f, 0x80, 0x81, 0x84, 0xff };

    for (unsigned int i = 0; i < count * count * 12; i++) {
        const struct virtio_net_hdr_v1 header = {
            .flags = (uint8_t)(i % 3 ? VIRTIO_NET_HDR_F_NEEDS_CSUM : i % 5 ? 0 : 0xff),
            .gso_type = types[i % 12],
            .hdr_len = values[(i + 1) % count],
            .gso_size = values[i / count % count],
            .csum_start = values[i % count],
            .csum_offset = values[(i / 7) % count],
            .num_buffers = values[(i + 3) % count],
        };
        net_frame(frame, 60, i);
        net_send(net, 0, &header, frame, 60);
        if (i % 16 == 0) {
            while (!net_peer_has_nothing(net)) {
            }
        }
    }
    while (!net_peer_has_nothing(net)) {
    }
    assert_int_equal(driver_status(&net->device), DRIVER_RUNNING);
    net_check_serves(net);
}

/* Beyond memory: no answer is possible, and none is given. */
static void test_transmit_from_nowhere(struct net_driver *net)
{
    struct driver *queue = &net->queue[1];
    const struct buffer buffer = { MACHINE_RAM2 + MACHINE_BANK, 100, false };

    ring_publish(queue, ring_add(queue, &buffer, 1));
    driver_kick(queue);
    check_needs_reset(net);
}

static void test_receive_buffer_smaller_than_the_header(struct net_driver *net)
{
    for (uint32_t length = 0; length < NET_HEADER; length++) {
        net_frame(frame, 60, 1);
        (void)net_offer(net, 0, 0, length);
        driver_kick(&net->queue[0]);
        net_peer_send(net, NULL, frame, 60);
        check_needs_reset(net);
    }
}

static void test_receive_buffer_that_is_not_to_be_written(struct net_driver *net)
{
    const struct buffer buffer = { data_address(net, 0), 1000, false };

    net_frame(frame, 60, 1);
    ring_publish(&net->queue[0], ring_add(&net->queue[0], &buffer, 1));
    driver_kick(&net->queue[0]);
    net_peer_send(net, NULL, frame, 60);
    check_needs_reset(net);
}

static void test_receive_to_nowhere(struct net_driver *net)
{
    const struct buffer buffer = { MACHINE_RAM2 + MACHINE_BANK, 1000, true };

    net_frame(frame, 60, 1);
    ring_publish(&net->queue[0], ring_add(&net->queue[0], &buffer, 1));
    driver_kick(&net->queue[0]);
    net_peer_send(net, NULL, frame, 60);
    machine_settle(net->machine);
    assert_false(driver_completed(&net->queue[0]));
    check_needs_reset(net);
}

/* Without MRG_RXBUF a frame that does not fit is lost, and the buffer is for the next one. */
static void test_receive_buffer_smaller_than_the_frame(struct net_driver *net)
{
    net_start(net, NET_ALL & ~NET_FEATURE(MRG_RXBUF));
    (void)net_offer(net, 0, 0, NET_HEADER + 100);
    driver_notify(&net->queue[0]);
    for (unsigned int i = 0; i < 50; i++) {
        net_frame(frame, 101, i);
        net_peer_send(net, NULL, frame, 101);
    }
    machine_settle(net->machine);
    assert_false(driver_completed(&net->queue[0]));
    net_frame(frame, 100, 1);
    net_peer_send(net, NULL, frame, 100);
    net_expect(net, 0, frame, 100);
}

/* All that the ring can hold is not enough: the frame is lost, the next one, which fits, is not. */
static void test_too_few_buffers_to_merge(struct net_driver *net)
{
    for (unsigned int i = 0; i < DRIVER_QUEUE_SIZE; i++) {
        (void)net_offer(net, 0, i, NET_HEADER + 1);
    }
    driver_notify(&net->queue[0]);
    for (unsigned int i = 0; i < 20; i++) {
        net_frame(frame, 1000, i);
        net_peer_send(net, NULL, frame, 1000);
    }
    machine_settle(net->machine);
    assert_false(driver_completed(&net->queue[0]));
    net_frame(frame, 60, 1);
    net_peer_send(net, NULL, frame, 60);
    {
        struct virtio_net_hdr_v1 header;

        assert_int_equal(net_receive(net, 0, NET_HEADER + 1, &header, got), 60);
        assert_memory_equal(got, frame, 60);
        assert_int_equal(header.num_buffers, 6);
    }
    check_serves(net);
}

/* Buffers of many pieces, and of one byte each. */
static void test_receive_in_single_bytes(struct net_driver *net)
{
    struct buffer buffers[DRIVER_QUEUE_SIZE];

    for (unsigned int i = 0; i < DRIVER_QUEUE_SIZE; i++) {
        buffers[i] = (struct buffer){ data_address(net, 0) + i, i + 1 < DRIVER_QUEUE_SIZE ? 1 : 1000, true };
    }
    net_frame(frame, 300, 1);
    ring_publish(&net->queue[0], ring_add(&net->queue[0], buffers, DRIVER_QUEUE_SIZE));
    driver_notify(&net->queue[0]);
    net_peer_send(net, NULL, frame, 300);
    assert_int_equal(driver_wait(&net->queue[0]).len, NET_HEADER + 300);
    assert_memory_equal(data(net, 0) + NET_HEADER, frame, 300);
}

/* Offers buffers until nothing comes any more; the number of frames. */
static unsigned int receive_all(struct net_driver *net)
{
    unsigned int count = 0, before;

    do {
        before = count;
        for (unsigned int slot = 0; slot < DRIVER_QUEUE_SIZE; slot++) {
            (void)net_offer(net, 0, slot, NET_SLOT);
        }
        driver_notify(&net->queue[0]);
        machine_settle(net->machine);
        for (; driver_completed(&net->queue[0]); count++) {
            (void)driver_wait(&net->queue[0]);
        }
    } while (count == before + DRIVER_QUEUE_SIZE);
    return count;
}

/* The interface keeps some hundred frames, and one waits here; the rest is lost. */
static void test_flood_from_the_host(struct net_driver *net)
{
    unsigned int count;

    for (unsigned int i = 0; i < 3000; i++) {
        net_frame(frame, 60 + i % 1400, i);
        net_peer_send(net, NULL, frame, 60 + i % 1400);
        if (i % 100 == 0) {
            machine_turn(net->machine);
        }
    }
    machine_settle(net->machine);
    count = receive_all(net);
    assert_in_range(count, 100, 3000);
    check_serves(net);
}

/* As fast as it can, nobody reads; others have their turn. */
static void test_flood_from_the_guest(struct net_driver *net)
{
    struct driver *queue = &net->queue[1];
    const struct buffer buffer = { data_address(net, 1), NET_HEADER + 60, false };
    struct driver disk;

    driver_probe(&disk, net->machine, 1);
    driver_start(&disk, DRIVER_FEATURES);
    memset(data(net, 1), 0, NET_HEADER);
    net_frame(data(net, 1) + NET_HEADER, 60, 1);
    for (unsigned int round = 0; round < 300; round++) {
        for (unsigned int i = 0; i < DRIVER_QUEUE_SIZE; i++) {
            ring_publish(queue, ring_add(queue, &buffer, 1));
        }
        driver_kick(queue);
        if (round % 50 == 0) {
            blk_check_pattern(&disk, 3, 8);
        }
        for (unsigned int i = 0; i < DRIVER_QUEUE_SIZE; i++) {
            (void)driver_wait(queue);
        }
    }
    while (!net_peer_has_nothing(net)) {
    }
    check_serves(net);
}

static uint8_t command(struct net_driver *net, uint8_t class, uint8_t code, const void *bytes, uint32_t length)
{
    const uint8_t ack = net_command(net, class, code, bytes, length);

    assert_int_equal(driver_status(&net->device), DRIVER_RUNNING);
    return ack;
}

/* Every class and command with every length: what is not exactly as it should be is an error, and changes nothing. */
static void test_commands_of_unknown_class_or_length(struct net_driver *net)
{
    static const unsigned char bytes[64] = { 0 };

    for (unsigned int class = 0; class < 256; class += class < 8 ? 1 : 31) {
        for (unsigned int code = 0; code < 256; code += code < 8 ? 1 : 31) {
            for (uint32_t length = 0; length < 20; length++) {
                const bool good = (class == VIRTIO_NET_CTRL_RX && code <= VIRTIO_NET_CTRL_RX_NOBCAST && length == 1) ||
                                  (class == VIRTIO_NET_CTRL_MAC && code == VIRTIO_NET_CTRL_MAC_ADDR_SET &&
                                   length == ETH_ALEN) ||
                                  (class == VIRTIO_NET_CTRL_MAC && code == VIRTIO_NET_CTRL_MAC_TABLE_SET &&
                                   length == 8) ||
                                  (class == VIRTIO_NET_CTRL_ANNOUNCE && code == VIRTIO_NET_CTRL_ANNOUNCE_ACK &&
                                   length == 0) ||
                                  (class == VIRTIO_NET_CTRL_GUEST_OFFLOADS &&
                                   code == VIRTIO_NET_CTRL_GUEST_OFFLOADS_SET && length == 8);

                assert_int_equal(command(net, (uint8_t)class, (uint8_t)code, bytes, length),
                                 good ? VIRTIO_NET_OK : VIRTIO_NET_ERR);
            }
        }
    }
    check_serves(net);
}

static void test_commands_without_header_or_place_for_the_answer(struct net_driver *net)
{
    struct driver *queue = &net->queue[net->control];
    const struct buffer shorter[] = {
        { data_address(net, net->control), 1, false }, { data_address(net, net->control) + 64, 1, true },
    };
    const struct buffer none = { data_address(net, net->control), 3, false };

    assert_int_equal(driver_run(queue, ring_add(queue, shorter, 2)), 1);
    assert_int_equal(data(net, net->control)[64], VIRTIO_NET_ERR);
    assert_int_equal(driver_run(queue, ring_add(queue, shorter + 1, 1)), 1);
    assert_int_equal(data(net, net->control)[64], VIRTIO_NET_ERR);
    ring_publish(queue, ring_add(queue, &none, 1));
    driver_kick(queue);
    check_needs_reset(net);
}

/* An answer is one byte, however much the driver has room for. */
static void test_command_with_much_room_for_the_answer(struct net_driver *net)
{
    struct driver *queue = &net->queue[net->control];
    const struct buffer buffers[] = {
        { data_address(net, net->control), 2, false }, { data_address(net, net->control) + 64, 1000, true },
    };

    memset(data(net, net->control), 99, 2);
    memset(data(net, net->control) + 64, 0x11, 1000);
    assert_int_equal(driver_run(queue, ring_add(queue, buffers, 2)), 1);
    assert_int_equal(data(net, net->control)[64], VIRTIO_NET_ERR);
    assert_int_equal(data(net, net->control)[65], 0x11);
    assert_int_equal(data(net, net->control)[64 + 999], 0x11);
    check_serves(net);
}

static void test_pairs_out_of_range(struct net_driver *net)
{
    const uint16_t pairs[] = { 0, NET_PAIRS + 1, 8, 9, 255, 256, 0x7fff, 0x8000, 0x8001, 0xffff };

    for (unsigned int i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
        assert_int_equal(command(net, VIRTIO_NET_CTRL_MQ, VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET, &pairs[i], 2),
                         VIRTIO_NET_ERR);
        net_check_serves(net);
    }
}

/* Not supported, and not to be mistaken for a number of pairs. */
static void test_steering_tables(struct net_driver *net)
{
    static const unsigned char table[200] = { 1 };

    assert_int_equal(command(net, VIRTIO_NET_CTRL_MQ, VIRTIO_NET_CTRL_MQ_RSS_CONFIG, table, 200), VIRTIO_NET_ERR);
    assert_int_equal(command(net, VIRTIO_NET_CTRL_MQ, VIRTIO_NET_CTRL_MQ_HASH_CONFIG, table, 200), VIRTIO_NET_ERR);
    assert_int_equal(command(net, VIRTIO_NET_CTRL_VLAN, VIRTIO_NET_CTRL_VLAN_ADD, table, 2), VIRTIO_NET_ERR);
    net_check_serves(net);
}

static void test_address_tables_that_lie(struct net_driver *net)
{
    static const uint32_t counts[] = {
        1, 2, 3, 64, 65, 0xffff, 0x10000, 0x2aaaaaaa, 0x2aaaaaab, 0x55555555, 0x55555556, 0x80000000, 0xfffffffe,
        0xffffffff,
    };
    unsigned char bytes[0x1000 - 0x100] = { 0 };

    for (unsigned int i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
        for (uint32_t length = 4; length < 24; length++) {
            memset(bytes, 0, sizeof(bytes));
            memcpy(bytes, &counts[i], 4);
            /* The two counts and the addresses are all that there is; 12 is 1 address and an empty table, 8 + 6. */
            assert_int_equal(command(net, VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_TABLE_SET, bytes, length),
                             length == 8 + counts[i] * 6ull ? VIRTIO_NET_OK : VIRTIO_NET_ERR);
            memset(bytes, 0, sizeof(bytes));
            memcpy(bytes + 4, &counts[i], 4);
            assert_int_equal(command(net, VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_TABLE_SET, bytes, length),
                             length == 8 + counts[i] * 6ull ? VIRTIO_NET_OK : VIRTIO_NET_ERR);
        }
    }
    check_serves(net);
}

/* Those that were not agreed to cannot be switched on; what the driver cannot handle does not come. */
static void test_offloads_that_were_not_agreed_to(struct net_driver *net)
{
    const uint64_t agreed = NET_FEATURE(GUEST_CSUM);

    net_start(net, NET_CONTROL | NET_FEATURE(CTRL_GUEST_OFFLOADS) | agreed);
    for (unsigned int bit = 0; bit < 64; bit++) {
        const uint64_t wish = 1ull << bit;

        assert_int_equal(command(net, VIRTIO_NET_CTRL_GUEST_OFFLOADS, VIRTIO_NET_CTRL_GUEST_OFFLOADS_SET, &wish, 8),
                         wish == agreed ? VIRTIO_NET_OK : VIRTIO_NET_ERR);
    }
    net_check_serves(net);
}

/* Commands for which the driver has not negotiated the feature. */
static void test_commands_that_were_not_agreed_to(struct net_driver *net)
{
    static const unsigned char bytes[12] = { 1 };

    net_start(net, NET_BASIC | NET_FEATURE(CTRL_VQ));
    for (unsigned int code = 0; code < 6; code++) {
        assert_int_equal(command(net, VIRTIO_NET_CTRL_RX, (uint8_t)code, bytes, 1), VIRTIO_NET_ERR);
    }
    assert_int_equal(command(net, VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_ADDR_SET, bytes, 6), VIRTIO_NET_ERR);
    assert_int_equal(command(net, VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_TABLE_SET, bytes + 1, 8), VIRTIO_NET_ERR);
    assert_int_equal(command(net, VIRTIO_NET_CTRL_ANNOUNCE, VIRTIO_NET_CTRL_ANNOUNCE_ACK, bytes, 0), VIRTIO_NET_ERR);
    assert_int_equal(command(net, VIRTIO_NET_CTRL_MQ, VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET, bytes, 2), VIRTIO_NET_ERR);
    assert_int_equal(command(net, VIRTIO_NET_CTRL_GUEST_OFFLOADS, VIRTIO_NET_CTRL_GUEST_OFFLOADS_SET, bytes + 4, 8),
                     VIRTIO_NET_ERR);
    net_check_serves(net);
}

static void test_unused_pairs_are_notified(struct net_driver *net)
{
    for (unsigned int queue = 2; queue < 2 * NET_PAIRS; queue++) {
        const struct buffer buffer = { data_address(net, queue), 100, !(queue & 1) };

        ring_publish(&net->queue[queue], ring_add(&net->queue[queue], &buffer, 1));
        for (unsigned int i = 0; i < 10; i++) {
            driver_kick(&net->queue[queue]);
        }
    }
    machine_settle(net->machine);
    assert_true(net_peer_has_nothing(net));
    for (unsigned int queue = 2; queue < 2 * NET_PAIRS; queue++) {
        assert_false(driver_completed(&net->queue[queue]));
    }
    net_check_serves(net);
}

/* Reset while frames go both ways, at every moment. */
static void test_reset_in_the_middle(struct net_driver *net)
{
    for (unsigned int i = 0; i < 60; i++) {
        for (unsigned int j = 0; j < 8; j++) {
            const struct buffer buffer = { data_address(net, 1), NET_HEADER + 60, false };

            (void)net_offer(net, 0, j, NET_SLOT);
            ring_publish(&net->queue[1], ring_add(&net->queue[1], &buffer, 1));
            net_frame(frame, 60, j);
            net_peer_send(net, NULL, frame, 60);
        }
        driver_kick(&net->queue[0]);
        driver_kick(&net->queue[1]);
        for (unsigned int turns = i % 4; turns > 0; turns--) {
            machine_turn(net->machine);
        }
        net_start(net, i % 2 ? NET_ALL : NET_BASIC);
    }
    while (!net_peer_has_nothing(net)) {
    }
    net_start(net, NET_ALL);
    (void)receive_all(net);
    check_serves(net);
}

/* The interface is taken away while the guest uses it: the link is down, nothing hangs, the rest is served. */
static void test_interface_is_deleted(struct net_driver *net)
{
    struct driver disk;
    unsigned char request[64] = { 0 };
    struct ifreq interface = { .ifr_name = NET_TAP };
    const int links = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, 0);

    driver_probe(&disk, net->machine, 1);
    driver_start(&disk, DRIVER_FEATURES);
    (void)net_offer(net, 0, 0, NET_SLOT);
    driver_notify(&net->queue[0]);
    /* RTM_DELLINK */
    assert_int_equal(ioctl(net->peer, SIOCGIFINDEX, &interface), 0);
    memcpy(request, (const uint32_t[]){ 32, 17 | 1 << 16 }, 8);
    memcpy(request + 20, &interface.ifr_ifindex, 4);
    assert_int_equal(write(links, request, 32), 32);
    assert_int_equal(close(links), 0);
    machine_settle(net->machine);
    assert_int_equal(net_status(net), 0);
    net_frame(frame, 60, 1);
    net_send(net, 0, NULL, frame, 60);
    net_start(net, NET_ALL);
    net_frame(frame, 60, 1);
    net_send(net, 0, NULL, frame, 60);
    assert_int_equal(driver_status(&net->device), DRIVER_RUNNING);
    blk_check_pattern(&disk, 3, 8);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        net_test(test_transmit_shorter_than_its_header),
        net_test(test_transmit_too_long),
        net_test(test_transmit_of_what_the_device_may_write),
        net_test(test_transmit_in_single_bytes),
        net_test(test_transmit_header_lies),
        net_test(test_transmit_from_nowhere),
        net_test(test_receive_buffer_smaller_than_the_header),
        net_test(test_receive_buffer_that_is_not_to_be_written),
        net_test(test_receive_to_nowhere),
        net_test(test_receive_buffer_smaller_than_the_frame),
        net_test(test_too_few_buffers_to_merge),
        net_test(test_receive_in_single_bytes),
        net_test(test_flood_from_the_host),
        net_test(test_flood_from_the_guest),
        net_test(test_commands_of_unknown_class_or_length),
        net_test(test_commands_without_header_or_place_for_the_answer),
        net_test(test_command_with_much_room_for_the_answer),
        net_test(test_pairs_out_of_range),
        net_test(test_steering_tables),
        net_test(test_address_tables_that_lie),
        net_test(test_offloads_that_were_not_agreed_to),
        net_test(test_commands_that_were_not_agreed_to),
        net_test(test_unused_pairs_are_notified),
        net_test(test_reset_in_the_middle),
        net_test(test_interface_is_deleted),
    };

    possible = net_namespace();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
