/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * See net.h.
 */
#include "net.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/if.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <linux/virtio_ids.h>

#define PATIENCE_MS 20000

bool net_namespace(void)
{
    struct ifreq request = { .ifr_name = "sb-probe", .ifr_flags = IFF_TAP | IFF_NO_PI };
    int file = -1, quiet;
    bool can = unshare(CLONE_NEWNET) == 0;

    if (can) {
        file = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
        can = file >= 0 && ioctl(file, TUNSETIFF, &request) == 0;
        (void)close(file);
    }
    /* Nobody else sends on it. */
    quiet = open("/proc/sys/net/ipv6/conf/default/disable_ipv6", O_WRONLY | O_CLOEXEC);
    if (quiet >= 0) {
        (void)!write(quiet, "1", 1);
        (void)close(quiet);
    }
    return can;
}

static struct ifreq interface(const struct net_driver *net)
{
    struct ifreq request = { 0 };

    (void)snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", net->options.tap);
    return request;
}

void net_set_link(struct net_driver *net, bool up)
{
    struct ifreq request = interface(net);
    socklen_t size = sizeof(int);
    int error;

    assert_int_equal(ioctl(net->peer, SIOCGIFFLAGS, &request), 0);
    request.ifr_flags = (short)(up ? request.ifr_flags | IFF_UP : request.ifr_flags & ~IFF_UP);
    assert_int_equal(ioctl(net->peer, SIOCSIFFLAGS, &request), 0);
    assert_int_equal(getsockopt(net->peer, SOL_SOCKET, SO_ERROR, &error, &size), 0); /* ENETDOWN is told once */
    machine_settle(net->machine);
}

static void open_peer(struct net_driver *net)
{
    struct sockaddr_ll address = { .sll_family = AF_PACKET, .sll_protocol = __builtin_bswap16(ETH_P_ALL) };
    struct ifreq request = interface(net);
    const int on = 1;

    net->peer = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    assert_true(net->peer >= 0);
    assert_int_equal(ioctl(net->peer, SIOCGIFINDEX, &request), 0);
    address.sll_ifindex = request.ifr_ifindex;
    assert_int_equal(setsockopt(net->peer, SOL_PACKET, PACKET_VNET_HDR, &on, sizeof(on)), 0);
    assert_int_equal(setsockopt(net->peer, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof(on)), 0);
    net_set_link(net, true);
    assert_int_equal(bind(net->peer, (const struct sockaddr *)&address, sizeof(address)), 0);
}

void net_begin(struct net_driver *net, struct machine *machine, const struct machine_options *machine_options,
               const struct net_options *options)
{
    struct machine_options with = *machine_options;

    *net = (struct net_driver){ .machine = machine, .peer = -1, .options = *options };
    net->options.packed = getenv("DRIVER_PACKED") != NULL;
    with.beside = (struct model_device){ .kind = &net_kind, .options = &net->options, .name = "net0" };
    machine_start(machine, &with);
    driver_probe_kind(&net->device, machine, 2, VIRTIO_ID_NET, NET_QUEUE_SIZE);
    if (options->tap) {
        open_peer(net);
    }
}

void net_end(struct net_driver *net)
{
    if (net->peer >= 0) {
        assert_int_equal(close(net->peer), 0);
    }
    machine_finish(net->machine);
}

bool net_has(const struct net_driver *net, unsigned int feature)
{
    return net->device.features & 1ull << feature;
}

static unsigned int pairs(const struct net_driver *net)
{
    return net_has(net, VIRTIO_NET_F_MQ) ? net->options.queues : 1;
}

void net_start(struct net_driver *net, uint64_t features)
{
    driver_reset(&net->device);
    driver_negotiate(&net->device, features);
    assert_true(driver_status(&net->device) & VIRTIO_CONFIG_S_FEATURES_OK);
    driver_setup_msix(&net->device);
    net->control = 2 * pairs(net);
    net->queues = net->control + (net_has(net, VIRTIO_NET_F_CTRL_VQ) ? 1 : 0);
    for (unsigned int i = 0; i < net->queues; i++) {
        struct driver *queue = &net->queue[i];

        *queue = net->device;
        queue->queue = (uint16_t)i;
        queue->memory = NET_MEMORY + NET_STRIDE * i;
        memset(machine_memory(net->machine, queue->memory, NET_STRIDE), 0, NET_STRIDE);
        driver_setup_queue(queue);
        driver_enable_queue(queue);
        assert_int_equal(common_read(queue, VIRTIO_PCI_COMMON_Q_ENABLE, 2), 1);
    }
    driver_set_status(&net->device, DRIVER_RUNNING);
    assert_int_equal(driver_status(&net->device), DRIVER_RUNNING);
    machine_settle(net->machine);
}

uint16_t net_status(struct net_driver *net)
{
    return (uint16_t)machine_read(net->machine, net->device.config + offsetof(struct virtio_net_config, status), 2);
}

void net_frame(unsigned char *frame, size_t length, unsigned int number)
{
    static const unsigned char head[ETH_HLEN] = { 2, 0, 0, 0, 0, 7, 2, 0, 0, 0, 0, 8, 0x88, 0xb5 };

    memcpy(frame, head, ETH_HLEN);
    for (size_t i = ETH_HLEN; i < length; i++) {
        frame[i] = (unsigned char)(machine_word(number * 0x10000ull + i) >> 32);
    }
}

void net_peer_send(struct net_driver *net, const struct virtio_net_hdr *header, const void *frame, size_t length)
{
    static const struct virtio_net_hdr nothing;
    const struct iovec vector[] = {
        { (void *)(uintptr_t)(header ? header : &nothing), sizeof(*header) }, { (void *)(uintptr_t)frame, length },
    };

    assert_int_equal(writev(net->peer, vector, 2), sizeof(*header) + length);
}

static ssize_t peer_read(struct net_driver *net, struct virtio_net_hdr *header, void *frame)
{
    const struct iovec vector[] = { { header, sizeof(*header) }, { frame, NET_FRAME_MAX } };

    return readv(net->peer, vector, 2);
}

size_t net_peer_receive(struct net_driver *net, struct virtio_net_hdr *header, void *frame)
{
    const uint64_t deadline = machine_now() + PATIENCE_MS;
    ssize_t length;

    while ((length = peer_read(net, header, frame)) < 0) {
        assert_int_equal(errno, EAGAIN);
        machine_turn(net->machine);
        machine_check_deadline(deadline, "a frame from the guest");
    }
    assert_true(length >= (ssize_t)(sizeof(*header) + ETH_HLEN));
    return (size_t)length - sizeof(*header);
}

bool net_peer_has_nothing(struct net_driver *net)
{
    static unsigned char frame[NET_FRAME_MAX];
    struct virtio_net_hdr header;

    machine_settle(net->machine);
    return peer_read(net, &header, frame) < 0 && errno == EAGAIN;
}

static uint64_t slot_address(const struct driver *queue, unsigned int slot)
{
    return queue->memory + DRIVER_DATA + slot * (uint64_t)NET_SLOT;
}

unsigned char *net_slot(struct net_driver *net, unsigned int queue, unsigned int slot)
{
    return machine_memory(net->machine, slot_address(&net->queue[queue], slot), NET_SLOT);
}

uint16_t net_offer(struct net_driver *net, unsigned int pair, unsigned int slot, uint32_t length)
{
    struct driver *queue = &net->queue[2 * pair];
    const struct buffer buffer = { slot_address(queue, slot), length, true };
    const uint16_t head = ring_add(queue, &buffer, 1);

    net->offered[pair][head] = buffer;
    ring_publish(queue, head);
    return head;
}

/* Copies what the used element is about out of the guest's memory. */
static void take_buffer(struct net_driver *net, unsigned int pair, const struct vring_used_elem *element, void *to)
{
    const struct buffer *buffer = &net->offered[pair][element->id];

    assert_true(element->len <= buffer->length);
    memcpy(to, machine_memory(net->machine, buffer->address, element->len), element->len);
}

size_t net_receive(struct net_driver *net, unsigned int pair, uint32_t length, struct virtio_net_hdr_v1 *header,
                   unsigned char *frame)
{
    static unsigned char bytes[NET_FRAME_MAX + NET_HEADER];
    struct vring_used_elem element = driver_wait(&net->queue[2 * pair]);
    size_t total = element.len;

    assert_true(element.len >= NET_HEADER);
    take_buffer(net, pair, &element, bytes);
    memcpy(header, bytes, sizeof(*header));
    assert_true(header->num_buffers >= 1);
    for (unsigned int i = 1; i < header->num_buffers; i++) {
        assert_int_equal(element.len, length); /* all but the last one are full */
        assert_true(driver_completed(&net->queue[2 * pair])); /* and all are there at once */
        element = driver_wait(&net->queue[2 * pair]);
        take_buffer(net, pair, &element, bytes + total);
        total += element.len;
    }
    memcpy(frame, bytes + NET_HEADER, total - NET_HEADER);
    return total - NET_HEADER;
}

void net_expect(struct net_driver *net, unsigned int pair, const void *frame, size_t length)
{
    static unsigned char got[NET_FRAME_MAX];
    struct virtio_net_hdr_v1 header;

    assert_int_equal(net_receive(net, pair, NET_SLOT, &header, got), length);
    assert_memory_equal(got, frame, length);
    assert_int_equal(header.num_buffers, 1);
    assert_int_equal(header.gso_type, VIRTIO_NET_HDR_GSO_NONE);
    assert_int_equal(header.flags, 0);
}

void net_send(struct net_driver *net, unsigned int pair, const struct virtio_net_hdr_v1 *header, const void *frame,
              size_t length)
{
    static const struct virtio_net_hdr_v1 nothing = { .num_buffers = 0 };
    struct driver *queue = &net->queue[2 * pair + 1];
    const struct buffer buffers[] = {
        { slot_address(queue, 0), NET_HEADER, false },
        { slot_address(queue, 1), length < 0x8000 ? (uint32_t)length : 0x8000, false },
        { slot_address(queue, 1) + 0x8000, length < 0x8000 ? 0 : (uint32_t)length - 0x8000, false },
    };

    memcpy(net_slot(net, 2 * pair + 1, 0), header ? header : &nothing, NET_HEADER);
    memcpy(machine_memory(net->machine, buffers[1].address, length), frame, length);
    assert_int_equal(driver_run(queue, ring_add(queue, buffers, buffers[2].length ? 3 : 2)), 0);
}

uint8_t net_command(struct net_driver *net, uint8_t class, uint8_t command, const void *data, uint32_t length)
{
    struct driver *queue = &net->queue[net->control];
    const uint64_t address = slot_address(queue, 0);
    const struct buffer buffers[] = {
        { address, 2, false }, { address + 0x1000, length, false }, { address + 64, 1, true },
    };
    unsigned char *bytes = net_slot(net, net->control, 0);

    bytes[0] = class;
    bytes[1] = command;
    bytes[64] = 0xaa;
    if (length > 0) {
        memcpy(bytes + 0x1000, data, length);
    }
    assert_int_equal(driver_run(queue, ring_add(queue, buffers, 3)), 1);
    return bytes[64];
}

void net_check_serves(struct net_driver *net)
{
    static unsigned char frame[NET_FRAME_MAX], got[NET_FRAME_MAX];
    static unsigned int number = 1000;
    struct virtio_net_hdr header;

    net_frame(frame, 600, number);
    net_send(net, 0, NULL, frame, 600);
    assert_int_equal(net_peer_receive(net, &header, got), 600);
    assert_memory_equal(got, frame, 600);

    net_frame(frame, 700, ++number);
    (void)net_offer(net, 0, 15, NET_SLOT);
    driver_kick(&net->queue[0]);
    net_peer_send(net, NULL, frame, 700);
    net_expect(net, 0, frame, 700);
    number++;
}
