/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * See net.h. Queues (5.1.2): of each pair one to receive and one to transmit, then the control queue, which comes after
 * the first pair if the driver does not know of several (VIRTIO_NET_F_MQ). All are pulled, since which is which depends
 * on the driver, and since what a back end does not take yet is best left where it is.
 *
 *   receive()   a frame from the back end -> wanted()? -> deliver() into as many buffers as it takes
 *   transmit()  a chain -> the back end, and back to the driver at once
 *   obey()      a command (5.1.6.5) -> what the journal remembers
 *
 * Each of these handles so much in one turn of the loop; what is left is in `later`, for the next one. No chain is kept
 * from one turn to the next.
 *
 * A frame is never handed over twice, neither by us nor by who goes on for us after we were killed: of chains to be
 * transmitted that we had taken nobody knows whether they were. They are given back without.
 */
#include "net.h"

#include <errno.h>
#include <inttypes.h>
#include <seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <linux/virtio_ids.h>
#include <linux/virtio_net.h>

#include "backends/frames.h"
#include "backends/stream.h"
#include "backends/tap.h"
#include "virtio/copy.h"

#define NET_CLASS 0x020000u /* PCI: Ethernet controller */

#define TABLE_MAX      64u  /* addresses of one kind; of more the filter lets all pass */
#define FRAMES_TURN    256u /* of one queue, in one turn of the loop */
#define COMMANDS_TURN  16u
#define MTU_MIN        68u

#define FEATURE(bit) (1ull << (bit))
#define QUEUE(index) (1ull << (index))

/* What the driver may switch while it runs (5.1.6.5.6.1). */
#define OFFLOADS                                                                                     \
    (FEATURE(VIRTIO_NET_F_GUEST_CSUM) | FEATURE(VIRTIO_NET_F_GUEST_TSO4) | FEATURE(VIRTIO_NET_F_GUEST_TSO6) | \
     FEATURE(VIRTIO_NET_F_GUEST_ECN) | FEATURE(VIRTIO_NET_F_GUEST_UFO) | FEATURE(VIRTIO_NET_F_GUEST_USO4) |   \
     FEATURE(VIRTIO_NET_F_GUEST_USO6))

enum table {
    UNICAST,
    MULTICAST,
    TABLES,
};

/*
 * What the driver has said since it started the device. All zero: nothing, as after a reset. Whoever goes on for us
 * checks it: it may have been written by anybody.
 */
struct net_journal {
    uint64_t offloads; /* what frames that are received may have: 1 << VIRTIO_NET_F_GUEST_* */
    uint16_t pairs;    /* that are used */
    uint8_t started;
    uint8_t announce;  /* the driver is still to announce itself */
    uint8_t modes;     /* 1 << VIRTIO_NET_CTRL_RX_* */
    uint8_t has_address;
    uint8_t address[ETH_ALEN];
    uint8_t count[TABLES];
    uint8_t overflow[TABLES]; /* the table was too long: all pass */
    uint8_t table[TABLES][TABLE_MAX][ETH_ALEN];
};

struct counters {
    uint64_t sent, sent_bytes;
    uint64_t received, received_bytes;
    uint64_t unsent;    /* chains that are no frame */
    uint64_t refused;   /* by the back end */
    uint64_t doubtful;  /* perhaps sent by a predecessor that was killed, so not again */
    uint64_t unwanted;  /* not for this guest */
    uint64_t malformed; /* received with what the driver does not know, too short or too long */
    uint64_t unfit;     /* longer than the driver's buffers */
    uint64_t commands, bad_commands;
    uint64_t failed;    /* what the back end had offered and did not do */
};

struct net {
    struct virtio_device device; /* first: the operations are given this */
    struct loop *loop;
    struct loop_task task;
    struct frames *frames;
    uint64_t later; /* queues */
    bool running;
    bool stopping;  /* the task is to stop what runs */
    struct net_journal *journal;
    struct net_journal own; /* unless the journal is to outlive the process */
    uint8_t address[ETH_ALEN];
    struct virtio_net_config config;
    struct counters counters;
    unsigned int doubtful[FRAMES_QUEUES_MAX]; /* chains that a predecessor had taken, to be transmitted */
    struct virtqueue_chain *held[NET_QUEUE_SIZE]; /* while a frame is being delivered */
};

/* The device is the first member. */
static struct net *net_of(struct virtio_device *device)
{
    return (struct net *)(void *)device;
}

static unsigned int receiver(unsigned int pair)
{
    return 2 * pair;
}

static unsigned int transmitter(unsigned int pair)
{
    return 2 * pair + 1;
}

static bool has(const struct net *net, unsigned int feature)
{
    return virtio_device_has(&net->device, feature);
}

static unsigned int pairs_max(const struct net *net)
{
    return has(net, VIRTIO_NET_F_MQ) ? net->frames->queues : 1;
}

static bool is_control(const struct net *net, unsigned int queue)
{
    return has(net, VIRTIO_NET_F_CTRL_VQ) && queue == 2 * pairs_max(net);
}

static void work_later(struct net *net, unsigned int queue)
{
    net->later |= QUEUE(queue);
    loop_defer(net->loop, &net->task);
}

static void update_config(struct net *net)
{
    const struct net_journal *journal = net->journal;

    memcpy(net->config.mac, journal->has_address ? journal->address : net->address, ETH_ALEN);
    net->config.status = (uint16_t)((net->frames->up ? VIRTIO_NET_S_LINK_UP : 0) |
                                    (journal->announce ? VIRTIO_NET_S_ANNOUNCE : 0));
}

static bool in_table(const struct net_journal *journal, enum table table, const uint8_t *address)
{
    for (unsigned int i = 0; i < journal->count[table] && i < TABLE_MAX; i++) {
        if (memcmp(journal->table[table][i], address, ETH_ALEN) == 0) {
            return true;
        }
    }
    return journal->overflow[table];
}

/* 5.1.6.5.1, 5.1.6.5.2: whether the driver has asked for frames to that address. */
static bool wanted(const struct net *net, const uint8_t *address)
{
    static const uint8_t everybody[ETH_ALEN] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };
    const struct net_journal *journal = net->journal;
    const unsigned int modes = journal->modes;

    if (modes & 1u << VIRTIO_NET_CTRL_RX_PROMISC) {
        return true;
    }
    if (memcmp(address, everybody, ETH_ALEN) == 0) {
        return !(modes & 1u << VIRTIO_NET_CTRL_RX_NOBCAST);
    }
    if (address[0] & 1) {
        return !(modes & 1u << VIRTIO_NET_CTRL_RX_NOMULTI) &&
               (modes & 1u << VIRTIO_NET_CTRL_RX_ALLMULTI || in_table(journal, MULTICAST, address));
    }
    return !(modes & 1u << VIRTIO_NET_CTRL_RX_NOUNI) &&
           (modes & 1u << VIRTIO_NET_CTRL_RX_ALLUNI || memcmp(address, net->config.mac, ETH_ALEN) == 0 ||
            in_table(journal, UNICAST, address));
}

/*
 * What was on its way when the driver, or the one before it, agreed to less must not be given to it (5.1.6.4.1). Clears
 * what only tells that something need not be done.
 */
static bool acceptable(const struct net *net, unsigned char *frame)
{
    const uint64_t offloads = net->journal->offloads;
    struct virtio_net_hdr_v1 header;
    uint64_t needed = 0;

    memcpy(&header, frame, sizeof(header));
    header.flags &= VIRTIO_NET_HDR_F_NEEDS_CSUM |
                     (offloads & FEATURE(VIRTIO_NET_F_GUEST_CSUM) ? VIRTIO_NET_HDR_F_DATA_VALID : 0);
    memcpy(frame, &header, sizeof(header));
    needed |= header.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM ? FEATURE(VIRTIO_NET_F_GUEST_CSUM) : 0;
    needed |= header.gso_type & VIRTIO_NET_HDR_GSO_ECN ? FEATURE(VIRTIO_NET_F_GUEST_ECN) : 0;
    switch (header.gso_type & ~VIRTIO_NET_HDR_GSO_ECN) {
    case VIRTIO_NET_HDR_GSO_NONE:
        break;
    case VIRTIO_NET_HDR_GSO_TCPV4:
        needed |= FEATURE(VIRTIO_NET_F_GUEST_TSO4);
        break;
    case VIRTIO_NET_HDR_GSO_TCPV6:
        needed |= FEATURE(VIRTIO_NET_F_GUEST_TSO6);
        break;
    case VIRTIO_NET_HDR_GSO_UDP:
        needed |= FEATURE(VIRTIO_NET_F_GUEST_UFO);
        break;
    case VIRTIO_NET_HDR_GSO_UDP_L4:
        needed |= FEATURE(VIRTIO_NET_F_GUEST_USO4) | FEATURE(VIRTIO_NET_F_GUEST_USO6);
        break;
    default:
        return false;
    }
    return (offloads & needed) == needed;
}

/* The last one first, as they are to be put back. */
static void put_back(struct net *net, unsigned int queue, unsigned int count)
{
    while (count > 0) {
        virtio_device_untake(&net->device, queue, net->held[--count]);
    }
}

enum room {
    ROOM_ENOUGH,
    ROOM_LATER, /* `available` tells when */
    ROOM_NEVER, /* the driver has no such buffers */
};

/*
 * Takes as many chains as the frame is long; they are in `held`. In each must be room for something, and in the first
 * for the header (5.1.6.3.1).
 */
static enum room take_room(struct net *net, unsigned int queue, size_t length, unsigned int *taken)
{
    const unsigned int most = has(net, VIRTIO_NET_F_MRG_RXBUF) ? net->device.queue[queue].size : 1;
    unsigned int count = 0;
    size_t room = 0;

    while (room < length) {
        struct virtqueue_chain *chain;

        if (count == most || virtio_device_take(&net->device, queue, &chain) != VIRTIO_DEVICE_CHAIN) {
            put_back(net, queue, count);
            return count == most ? ROOM_NEVER : ROOM_LATER;
        }
        if (chain->writable_bytes < (count == 0 ? FRAMES_HEADER : 1)) {
            virtio_device_refuse(&net->device, queue, chain);
            put_back(net, queue, count);
            return ROOM_LATER;
        }
        net->held[count++] = chain;
        room += chain->writable_bytes;
    }
    *taken = count;
    return ROOM_ENOUGH;
}

/* All of a frame at once, with the number of buffers in its header. */
static enum room deliver(struct net *net, unsigned int queue, unsigned char *frame, size_t length)
{
    unsigned int count;
    const enum room room = take_room(net, queue, length, &count);
    uint16_t buffers;
    size_t done = 0;

    if (room != ROOM_ENOUGH) {
        return room;
    }
    buffers = (uint16_t)count;
    memcpy(frame + offsetof(struct virtio_net_hdr_v1, num_buffers), &buffers, sizeof(buffers));
    for (unsigned int i = 0; i < count; i++) {
        struct virtqueue_chain *const chain = net->held[i];

        chain->written = (uint32_t)virtio_scatter(chain->vector + chain->readable, chain->writable, frame + done,
                                                  length - done);
        chain->together = i + 1 < count ? net->held[i + 1] : NULL;
        done += chain->written;
    }
    virtio_device_complete_together(&net->device, queue, net->held[0]);
    net->counters.received++;
    net->counters.received_bytes += length - FRAMES_HEADER;
    return ROOM_ENOUGH;
}

/* False: it has to wait. */
static bool handle_frame(struct net *net, unsigned int pair, unsigned char *frame, size_t length)
{
    struct counters *const counters = &net->counters;

    if (!acceptable(net, frame)) {
        counters->malformed++;
    } else if (!wanted(net, frame + FRAMES_HEADER)) {
        counters->unwanted++;
    } else {
        switch (deliver(net, receiver(pair), frame, length)) {
        case ROOM_LATER:
            return false;
        case ROOM_NEVER:
            counters->unfit++;
            break;
        case ROOM_ENOUGH:
            break;
        }
    }
    net->frames->operations->done(net->frames, pair);
    return true;
}

static void receive(struct net *net, unsigned int pair)
{
    const struct frames_operations *operations = net->frames->operations;
    size_t bytes = 0;

    for (unsigned int count = 0; count < FRAMES_TURN && bytes < LOOP_TURN_BYTES; count++) {
        unsigned char *frame;
        const ssize_t length = operations->next(net->frames, pair, &frame);

        if (length == -EMSGSIZE) {
            net->counters.malformed++;
        } else if (length < 0) {
            operations->listen(net->frames, pair, length == -EAGAIN);
            return;
        } else if (!handle_frame(net, pair, frame, (size_t)length)) {
            operations->listen(net->frames, pair, false);
            return;
        } else {
            bytes += (size_t)length;
        }
    }
    work_later(net, receiver(pair));
}

/* False: the back end does not take it now, and nothing has happened. */
static bool send_chain(struct net *net, unsigned int pair, struct virtqueue_chain *chain)
{
    struct counters *const counters = &net->counters;
    const uint64_t length = chain->readable_bytes;
    int error;

    if (net->doubtful[pair] > 0) {
        net->doubtful[pair]--;
        counters->doubtful++;
        return true;
    }
    if (length < FRAMES_HEADER + ETH_HLEN || length > FRAMES_MAX) {
        counters->unsent++;
        return true;
    }
    error = net->frames->operations->send(net->frames, pair, chain->vector, chain->readable, length);
    if (error == -EAGAIN) {
        return false;
    }
    counters->refused += error != 0;
    counters->sent += error == 0;
    counters->sent_bytes += error == 0 ? length - FRAMES_HEADER : 0;
    return true;
}

static void transmit(struct net *net, unsigned int pair)
{
    const unsigned int queue = transmitter(pair);
    uint64_t bytes = 0;

    for (unsigned int count = 0; count < FRAMES_TURN && bytes < LOOP_TURN_BYTES; count++) {
        struct virtqueue_chain *chain;

        if (virtio_device_take(&net->device, queue, &chain) != VIRTIO_DEVICE_CHAIN) {
            return;
        }
        bytes += chain->readable_bytes;
        if (!send_chain(net, pair, chain)) {
            virtio_device_untake(&net->device, queue, chain);
            return;
        }
        virtio_device_complete(&net->device, queue, chain, 0);
    }
    work_later(net, queue);
}

/* The data of a command, of which there are exactly `size` bytes. */
static bool read_data(const struct virtqueue_chain *chain, void *data, size_t size)
{
    if (chain->readable_bytes != sizeof(struct virtio_net_ctrl_hdr) + size) {
        return false;
    }
    virtio_gather(data, chain->vector, sizeof(struct virtio_net_ctrl_hdr), size);
    return true;
}

static bool set_mode(struct net *net, const struct virtqueue_chain *chain, uint8_t command)
{
    const unsigned int feature = command <= VIRTIO_NET_CTRL_RX_ALLMULTI ? VIRTIO_NET_F_CTRL_RX
                                                                        : VIRTIO_NET_F_CTRL_RX_EXTRA;
    struct net_journal *const journal = net->journal;
    uint8_t on;

    if (command > VIRTIO_NET_CTRL_RX_NOBCAST || !has(net, feature) || !read_data(chain, &on, sizeof(on)) || on > 1) {
        return false;
    }
    journal->modes = (uint8_t)((journal->modes & ~(1u << command)) | (unsigned int)on << command);
    return true;
}

/* One of the two tables, at the offset; then the offset is behind it. */
static bool read_table(struct net_journal *journal, const struct virtqueue_chain *chain, enum table table,
                       uint64_t *offset)
{
    const uint64_t left = chain->readable_bytes - *offset;
    uint32_t count;

    if (left < sizeof(count)) {
        return false;
    }
    virtio_gather(&count, chain->vector, *offset, sizeof(count));
    if (count > (left - sizeof(count)) / ETH_ALEN) {
        return false;
    }
    journal->overflow[table] = count > TABLE_MAX;
    journal->count[table] = (uint8_t)(count > TABLE_MAX ? 0 : count);
    if (journal->count[table] > 0) {
        virtio_gather(journal->table[table], chain->vector, *offset + sizeof(count), journal->count[table] * ETH_ALEN);
    }
    *offset += sizeof(count) + (uint64_t)count * ETH_ALEN;
    return true;
}

/* Nothing changes if the tables are not in order. */
static bool set_tables(struct net *net, const struct virtqueue_chain *chain)
{
    struct net_journal next = *net->journal;
    uint64_t offset = sizeof(struct virtio_net_ctrl_hdr);

    if (!has(net, VIRTIO_NET_F_CTRL_RX) || !read_table(&next, chain, UNICAST, &offset) ||
        !read_table(&next, chain, MULTICAST, &offset) || offset != chain->readable_bytes) {
        return false;
    }
    *net->journal = next;
    return true;
}

static bool set_address(struct net *net, const struct virtqueue_chain *chain, uint8_t command)
{
    if (command == VIRTIO_NET_CTRL_MAC_TABLE_SET) {
        return set_tables(net, chain);
    }
    if (command != VIRTIO_NET_CTRL_MAC_ADDR_SET || !has(net, VIRTIO_NET_F_CTRL_MAC_ADDR) ||
        !read_data(chain, net->journal->address, ETH_ALEN)) {
        return false;
    }
    net->journal->has_address = 1;
    update_config(net);
    return true;
}

/* Those that are not used any more forget what was to be received. */
static int use_pairs(struct net *net, unsigned int pairs)
{
    const struct frames_operations *operations = net->frames->operations;
    int error;

    for (unsigned int i = pairs; i < net->frames->queues; i++) {
        operations->listen(net->frames, i, false);
        operations->done(net->frames, i);
        net->later &= ~(QUEUE(receiver(i)) | QUEUE(transmitter(i)));
    }
    error = operations->use(net->frames, pairs);
    for (unsigned int i = 0; i < pairs; i++) {
        work_later(net, receiver(i));
        work_later(net, transmitter(i));
    }
    return error;
}

static bool set_pairs(struct net *net, const struct virtqueue_chain *chain, uint8_t command)
{
    struct virtio_net_ctrl_mq wish;

    if (command != VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET || !has(net, VIRTIO_NET_F_MQ) ||
        !read_data(chain, &wish, sizeof(wish)) || wish.virtqueue_pairs == 0 ||
        wish.virtqueue_pairs > net->frames->queues) {
        return false;
    }
    if (use_pairs(net, wish.virtqueue_pairs)) {
        (void)use_pairs(net, net->journal->pairs);
        return false;
    }
    net->journal->pairs = wish.virtqueue_pairs;
    return true;
}

static int set_offloads(struct net *net, uint64_t offloads)
{
    const struct frames_operations *operations = net->frames->operations;

    return operations->offload ? operations->offload(net->frames, offloads) : 0;
}

static bool switch_offloads(struct net *net, const struct virtqueue_chain *chain, uint8_t command)
{
    uint64_t wish;

    if (command != VIRTIO_NET_CTRL_GUEST_OFFLOADS_SET || !has(net, VIRTIO_NET_F_CTRL_GUEST_OFFLOADS) ||
        !read_data(chain, &wish, sizeof(wish)) || (wish & ~(net->device.features & OFFLOADS)) ||
        set_offloads(net, wish)) {
        return false;
    }
    net->journal->offloads = wish;
    return true;
}

static bool end_announcing(struct net *net, const struct virtqueue_chain *chain, uint8_t command)
{
    if (command != VIRTIO_NET_CTRL_ANNOUNCE_ACK || !has(net, VIRTIO_NET_F_GUEST_ANNOUNCE) ||
        !read_data(chain, NULL, 0)) {
        return false;
    }
    net->journal->announce = 0;
    update_config(net);
    return true;
}

static bool obey(struct net *net, const struct virtqueue_chain *chain)
{
    struct virtio_net_ctrl_hdr header;

    if (chain->readable_bytes < sizeof(header)) {
        return false;
    }
    virtio_gather(&header, chain->vector, 0, sizeof(header));
    switch (header.class) {
    case VIRTIO_NET_CTRL_RX:
        return set_mode(net, chain, header.cmd);
    case VIRTIO_NET_CTRL_MAC:
        return set_address(net, chain, header.cmd);
    case VIRTIO_NET_CTRL_ANNOUNCE:
        return end_announcing(net, chain, header.cmd);
    case VIRTIO_NET_CTRL_MQ:
        return set_pairs(net, chain, header.cmd);
    case VIRTIO_NET_CTRL_GUEST_OFFLOADS:
        return switch_offloads(net, chain, header.cmd);
    default:
        return false;
    }
}

static void obey_all(struct net *net, unsigned int queue)
{
    for (unsigned int count = 0; count < COMMANDS_TURN; count++) {
        struct virtqueue_chain *chain;
        uint8_t ack;

        if (virtio_device_take(&net->device, queue, &chain) != VIRTIO_DEVICE_CHAIN) {
            return;
        }
        if (chain->writable_bytes == 0) {
            virtio_device_refuse(&net->device, queue, chain);
            return;
        }
        ack = obey(net, chain) ? VIRTIO_NET_OK : VIRTIO_NET_ERR;
        net->counters.commands++;
        net->counters.bad_commands += ack == VIRTIO_NET_ERR;
        virtio_device_complete(&net->device, queue, chain,
                               (uint32_t)virtio_scatter(chain->vector + chain->readable, chain->writable, &ack,
                                                        sizeof(ack)));
    }
    work_later(net, queue);
}

/* A queue that the driver has and does not use is left alone. */
static void work_on(struct net *net, unsigned int queue)
{
    if (is_control(net, queue)) {
        obey_all(net, queue);
    } else if (queue / 2 >= net->journal->pairs) {
        return;
    } else if (queue == receiver(queue / 2)) {
        receive(net, queue / 2);
    } else {
        transmit(net, queue / 2);
    }
}

static void stop(struct net *net)
{
    net->stopping = false;
    net->running = false;
    net->later = 0;
    for (unsigned int i = 0; i < net->frames->queues; i++) {
        net->frames->operations->listen(net->frames, i, false);
        net->frames->operations->done(net->frames, i);
        net->doubtful[i] = 0;
    }
}

static void work(void *opaque)
{
    struct net *net = opaque;
    uint64_t queues = net->later;

    net->later = 0;
    if (net->stopping) {
        stop(net);
        return;
    }
    for (unsigned int i = 0; queues && net->running; i++) {
        if (queues & QUEUE(i)) {
            queues &= ~QUEUE(i);
            work_on(net, i);
        }
    }
}

static void available(struct virtio_device *device, unsigned int queue)
{
    struct net *net = net_of(device);

    if (net->running && !net->stopping) {
        work_on(net, queue);
    }
}

static void readable(void *opaque, unsigned int pair)
{
    available(&((struct net *)opaque)->device, receiver(pair));
}

static void writable(void *opaque, unsigned int pair)
{
    available(&((struct net *)opaque)->device, transmitter(pair));
}

/* The link is up, or down. */
static void changed(void *opaque)
{
    struct net *net = opaque;
    const uint16_t before = net->config.status;

    update_config(net);
    if (net->config.status != before) {
        virtio_device_config_changed(&net->device);
    }
    for (unsigned int i = 0; net->running && i < net->journal->pairs; i++) {
        work_later(net, receiver(i));
    }
}

/* What the driver has agreed to, unless a predecessor knew more. */
static void begin_journal(struct net *net)
{
    struct net_journal *const journal = net->journal;

    if (journal->started) {
        journal->announce = has(net, VIRTIO_NET_F_GUEST_ANNOUNCE);
        journal->offloads &= net->device.features & OFFLOADS;
        journal->pairs = journal->pairs == 0 || journal->pairs > pairs_max(net) ? 1 : journal->pairs;
        return;
    }
    journal->offloads = net->device.features & OFFLOADS;
    journal->pairs = 1;
    journal->modes = 1u << VIRTIO_NET_CTRL_RX_PROMISC; /* for drivers that know no modes */
    __atomic_store_n(&journal->started, 1, __ATOMIC_RELEASE);
}

static void driver_ok(struct virtio_device *device)
{
    struct net *net = net_of(device);
    const bool resumed = net->journal->started;

    stop(net);
    begin_journal(net);
    update_config(net);
    for (unsigned int i = 0; i < pairs_max(net); i++) {
        net->doubtful[i] = resumed ? virtqueue_taken_before(&device->queue[transmitter(i)]) : 0;
    }
    net->running = true;
    net->counters.failed += set_offloads(net, net->journal->offloads) != 0;
    net->counters.failed += use_pairs(net, net->journal->pairs) != 0;
    if (has(net, VIRTIO_NET_F_CTRL_VQ)) {
        work_later(net, 2 * pairs_max(net));
    }
    if (resumed) {
        virtio_device_config_changed(device);
    }
}

static void reset(struct virtio_device *device)
{
    struct net *net = net_of(device);

    memset(net->journal, 0, sizeof(*net->journal));
    update_config(net);
    net->stopping = true;
    loop_defer(net->loop, &net->task);
}

static const struct virtio_device_operations operations = {
    .available = available, .driver_ok = driver_ok, .reset = reset,
};

/* Of one station, and not all zero. */
static bool parse_address(const char *text, uint8_t address[ETH_ALEN])
{
    static const uint8_t nobody[ETH_ALEN];
    unsigned int byte[ETH_ALEN];
    int length = 0;

    if (sscanf(text, "%2x:%2x:%2x:%2x:%2x:%2x%n", &byte[0], &byte[1], &byte[2], &byte[3], &byte[4], &byte[5],
               &length) != ETH_ALEN || length != 17 || text[length] != '\0') {
        return false;
    }
    for (unsigned int i = 0; i < ETH_ALEN; i++) {
        address[i] = (uint8_t)byte[i];
    }
    return !(address[0] & 1) && memcmp(address, nobody, ETH_ALEN) != 0;
}

static struct stream_options stream_of(const struct net_options *options)
{
    return (struct stream_options){
        .path = options->listen ? options->listen : options->stream, .listens = options->listen != NULL,
    };
}

static int open_net(const void *opaque, struct kind_files *files, char error[KIND_ERROR_MAX])
{
    const struct net_options *options = opaque;
    const struct tap_options tap = {
        .name = options->tap, .queues = options->queues ? options->queues : 1, .mtu = options->mtu,
    };
    const struct stream_options stream = stream_of(options);
    uint8_t address[ETH_ALEN];

    if (!options->tap + !options->stream + !options->listen != 2) {
        return kind_refuse(-EINVAL, "wants one of tap, stream and listen", error);
    }
    if (!options->tap && options->queues > 1) {
        return kind_refuse(-EINVAL, "a stream has one pair of queues", error);
    }

    if (options->mac && !parse_address(options->mac, address)) {
        return kind_refuse(-EINVAL, "mac is to be the address of one station, such as 02:00:00:00:00:01", error);
    }
    return options->tap ? tap_open(&tap, files, error) : stream_open(&stream, files, error);
}

static uint64_t features(const struct net *net, const struct net_options *options)
{
    const uint64_t guest = net->frames->features & OFFLOADS;

    return net->frames->features | FEATURE(VIRTIO_NET_F_MAC) | FEATURE(VIRTIO_NET_F_STATUS) |
           FEATURE(VIRTIO_NET_F_MRG_RXBUF) | FEATURE(VIRTIO_NET_F_CTRL_VQ) | FEATURE(VIRTIO_NET_F_CTRL_RX) |
           FEATURE(VIRTIO_NET_F_CTRL_RX_EXTRA) | FEATURE(VIRTIO_NET_F_CTRL_MAC_ADDR) |
           FEATURE(VIRTIO_NET_F_GUEST_ANNOUNCE) | (guest ? FEATURE(VIRTIO_NET_F_CTRL_GUEST_OFFLOADS) : 0) |
           (net->frames->queues > 1 ? FEATURE(VIRTIO_NET_F_MQ) : 0) |
           (options->packed ? FEATURE(VIRTIO_F_RING_PACKED) : 0) |
           (net->config.mtu >= MTU_MIN ? FEATURE(VIRTIO_NET_F_MTU) : 0) |
           (net->config.duplex == 1 ? FEATURE(VIRTIO_NET_F_SPEED_DUPLEX) : 0);
}

static void fill_config(struct net *net, const struct net_options *options)
{
    const uint32_t mtu = options->mtu ? options->mtu : net->frames->mtu;

    if (!options->mac || !parse_address(options->mac, net->address)) {
        memcpy(net->address, net->frames->address, ETH_ALEN);
    }
    net->config = (struct virtio_net_config){
        .max_virtqueue_pairs = (uint16_t)net->frames->queues,
        .mtu = (uint16_t)(mtu < UINT16_MAX ? mtu : UINT16_MAX),
        .speed = options->speed ? options->speed : UINT32_MAX,
        .duplex = options->speed ? 1 : UINT8_MAX,
    };
    update_config(net);
}

static int init(struct net *net, const struct kind_host *host, const struct net_options *options)
{
    const unsigned int queues = 2 * net->frames->queues + 1;
    uint16_t sizes[2 * FRAMES_QUEUES_MAX + 1];
    int error;

    net->loop = host->loop;
    net->task = (struct loop_task){ .run = work, .opaque = net };
    net->journal = &net->own;
    net->frames->client = (struct frames_client){ readable, writable, changed, net };
    fill_config(net, options);
    for (unsigned int i = 0; i < queues; i++) {
        sizes[i] = NET_QUEUE_SIZE;
    }
    error = virtio_device_init(&net->device, VIRTIO_ID_NET, &operations, host->loop, host->platform, queues, sizes,
                               features(net, options));
    if (error) {
        return error;
    }
    for (unsigned int i = 0; i < queues; i++) {
        virtio_device_pull(&net->device, i);
    }
    net->device.config = &net->config;
    net->device.config_size = offsetof(struct virtio_net_config, rss_max_key_size);
    return 0;
}

static int create(struct virtio_device **device, const struct kind_host *host, const void *opaque,
                  const struct kind_files *files, char error[KIND_ERROR_MAX])
{
    const struct net_options *options = opaque;
    const struct stream_options stream = stream_of(options);
    struct net *net = calloc(1, sizeof(*net));
    int result;

    if (!net) {
        return kind_refuse(-ENOMEM, "no memory for it", error);
    }
    result = options->tap ? tap_create(&net->frames, host->loop, files, error)
                          : stream_create(&net->frames, host->loop, &stream, files, error);
    if (result) {
        free(net);
        return result;
    }
    result = init(net, host, options);
    if (result) {
        net->frames->operations->destroy(net->frames);
        free(net);
        return kind_refuse(result, "no memory for it", error);
    }
    *device = &net->device;
    return 0;
}

static void destroy(struct virtio_device *device)
{
    struct net *net = net_of(device);

    net->frames->operations->destroy(net->frames);
    virtio_device_finish(&net->device);
    free(net);
}

static void keep_journal(struct virtio_device *device, void *journal)
{
    struct net *net = net_of(device);

    net->journal = journal;
    update_config(net);
}

static void report(struct virtio_device *device, const char *name, FILE *to)
{
    const struct counters *counters = &net_of(device)->counters;

    (void)fprintf(to, "%s: frames sent: %" PRIu64 " (%" PRIu64 " bytes), received: %" PRIu64 " (%" PRIu64 " bytes)\n",
                  name, counters->sent, counters->sent_bytes, counters->received, counters->received_bytes);
    (void)fprintf(to, "%s: not sent: %" PRIu64 " malformed, %" PRIu64 " refused by the host, %" PRIu64
                      " perhaps sent before\n",
                  name, counters->unsent, counters->refused, counters->doubtful);
    (void)fprintf(to, "%s: not received: %" PRIu64 " for others, %" PRIu64 " malformed, %" PRIu64
                      " too long for the driver's buffers\n",
                  name, counters->unwanted, counters->malformed, counters->unfit);
    (void)fprintf(to, "%s: commands: %" PRIu64 ", of these in vain: %" PRIu64 ", failed on this host: %" PRIu64 "\n",
                  name, counters->commands, counters->bad_commands, counters->failed);
}

static const struct setting settings[] = {
    { "tap", SETTING_TEXT, false, "NAME", NULL,
      "a TAP interface of this host, which is made if it is not there, or a macvtap; one of this, stream and listen",
      offsetof(struct net_options, tap), 0, 0 },
    { "stream", SETTING_TEXT, false, "PATH", NULL, "a UNIX socket to connect to, as often as its other end comes back",
      offsetof(struct net_options, stream), 0, 0 },
    { "listen", SETTING_TEXT, false, "PATH", NULL, "a UNIX socket to listen to, for one peer at a time",
      offsetof(struct net_options, listen), 0, 0 },
    { "mac", SETTING_TEXT, false, "ADDRESS", "made from NAME or PATH; a macvtap's own", "the guest's Ethernet address",
      offsetof(struct net_options, mac), 0, 0 },
    { "mtu", SETTING_NUMBER, false, "BYTES", "the interface's", "the longest packet, as the guest is told",
      offsetof(struct net_options, mtu), MTU_MIN, UINT16_MAX },
    { "queues", SETTING_NUMBER, false, "N", "1", "pairs of queues that the guest may use, one for each processor",
      offsetof(struct net_options, queues), 1, FRAMES_QUEUES_MAX },
    { "packed", SETTING_FLAG, false, NULL, NULL, "offers the guest packed rings as well, in place of split ones",
      offsetof(struct net_options, packed), 0, 0 },
    { "speed", SETTING_NUMBER, false, "MBITS", "unknown", "what the guest is told of the link",
      offsetof(struct net_options, speed), 1, INT32_MAX },
};

static const int calls[] = { SCMP_SYS(writev), SCMP_SYS(sendmsg), SCMP_SYS(recvmsg), SCMP_SYS(accept4) };
static const unsigned long commands[] = { TAP_COMMANDS };

const struct kind net_kind = {
    .name = "net",
    .help = "a network interface",
    .class_code = NET_CLASS,
    .settings = SETTINGS(settings),
    .options_size = sizeof(struct net_options),
    .journal_size = sizeof(struct net_journal),
    .needs = { calls, sizeof(calls) / sizeof(calls[0]), commands, sizeof(commands) / sizeof(commands[0]),
               STREAM_DESCRIPTORS },
    .open = open_net,
    .create = create,
    .destroy = destroy,
    .keep_journal = keep_journal,
    .report = report,
};
