/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A guest's virtio-net driver, with several queues, and who is at the other end of its TAP interface: a packet socket
 * of the host, by which frames are sent and seen with the header that says what is still to be done with them.
 *
 * Interfaces are made in a network namespace of the test's own: net_namespace(), once.
 */
#ifndef TESTS_NET_H
#define TESTS_NET_H

#include <linux/if_ether.h>
#include <linux/virtio_net.h>

#include "devices/net.h"
#include "driver.h"

#define NET_TAP     "sb-test"
#define NET_ADDRESS "02:00:00:00:00:07"
#define NET_PAIRS   4u
#define NET_QUEUES  (2 * NET_PAIRS + 1)
#define NET_HEADER  sizeof(struct virtio_net_hdr_v1)
#define NET_MEMORY  (MACHINE_RAM + 0x400000) /* the queues have a part each, beyond the disks' */
#define NET_STRIDE  0x40000ull
#define NET_SLOT    0x2000u    /* of a buffer; there are DRIVER_QUEUE_SIZE of them */
#define NET_FRAME_MAX 0x10020u

#define NET_FEATURE(name) (1ull << VIRTIO_NET_F_##name)
#define NET_BASIC         (1ull << VIRTIO_F_VERSION_1 | NET_FEATURE(MAC) | NET_FEATURE(STATUS))
#define NET_CONTROL       (NET_BASIC | NET_FEATURE(CTRL_VQ) | NET_FEATURE(CTRL_RX) | NET_FEATURE(CTRL_RX_EXTRA) | \
                           NET_FEATURE(CTRL_MAC_ADDR))
#define NET_ALL           (~0ull & ~(1ull << VIRTIO_F_RING_PACKED))

struct net_driver {
    struct driver device;
    struct driver queue[NET_QUEUES]; /* those that have been started */
    unsigned int queues;
    unsigned int control; /* which one it is */
    struct machine *machine;
    int peer;             /* -1: none */
    struct buffer offered[NET_PAIRS][DRIVER_QUEUE_SIZE]; /* by head */
    struct net_options options;
};

/* False: no interface can be made here. */
bool net_namespace(void);

/* The guest's device 2, beside a disk, is a network interface with these options; it has been found, not started. */
void net_begin(struct net_driver *net, struct machine *machine, const struct machine_options *machine_options,
               const struct net_options *options);
void net_end(struct net_driver *net);

/* From reset to DRIVER_OK with these of the features that are offered, and all queues that follow from them. */
void net_start(struct net_driver *net, uint64_t features);
bool net_has(const struct net_driver *net, unsigned int feature);

/* The interface up or down; then the peer can, or cannot, send. */
void net_set_link(struct net_driver *net, bool up);
uint16_t net_status(struct net_driver *net); /* of the device's configuration */

/* At the other end. Lengths are without header; a frame is of a number, by which it is known. */
void net_frame(unsigned char *frame, size_t length, unsigned int number);
void net_peer_send(struct net_driver *net, const struct virtio_net_hdr *header, const void *frame, size_t length);
size_t net_peer_receive(struct net_driver *net, struct virtio_net_hdr *header, void *frame); /* waits */
bool net_peer_has_nothing(struct net_driver *net);

/* The driver offers a buffer of that length in `slot` of a pair's receive queue, and does not notify. */
uint16_t net_offer(struct net_driver *net, unsigned int pair, unsigned int slot, uint32_t length);
unsigned char *net_slot(struct net_driver *net, unsigned int queue, unsigned int slot);

/* Waits for one frame, of one buffer or several of `length` bytes each; its length without header. */
size_t net_receive(struct net_driver *net, unsigned int pair, uint32_t length, struct virtio_net_hdr_v1 *header,
                   unsigned char *frame);
void net_expect(struct net_driver *net, unsigned int pair, const void *frame, size_t length);

/* Sends one frame, header and data in descriptors of their own, and waits until the buffer is the driver's again. */
void net_send(struct net_driver *net, unsigned int pair, const struct virtio_net_hdr_v1 *header, const void *frame,
              size_t length);

/* A command, with `length` bytes of data; its answer. */
uint8_t net_command(struct net_driver *net, uint8_t class, uint8_t command, const void *data, uint32_t length);

/* A frame goes out, and one comes in, of a buffer that is then offered. */
void net_check_serves(struct net_driver *net);

#endif
