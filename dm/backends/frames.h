/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a network device stands on: something that takes Ethernet frames and gives some, without ever waiting. tap.h and
 * stream.h make one; devices/net.c, which knows nothing else of them, is their client.
 *
 * A frame has a struct virtio_net_hdr_v1 in front, FRAMES_HEADER bytes, little-endian: what is still to be done with it
 * (checksum, segmentation). A back end without offloads ignores it, and gives one that is all zero.
 *
 * The event loop's thread only. Nothing is allocated after it has been made. Functions that return int return 0 or a
 * negative errno value.
 */
#ifndef BACKENDS_FRAMES_H
#define BACKENDS_FRAMES_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#include <linux/if_ether.h>
#include <linux/virtio_net.h>

#define FRAMES_QUEUES_MAX 8u
#define FRAMES_VECTORS_MAX 256u /* that a frame is sent from */
#define FRAMES_HEADER     sizeof(struct virtio_net_hdr_v1)
#define FRAMES_DATA_MAX   (0x10000u + ETH_HLEN + 4u) /* of segments that are still together, with a VLAN tag */
#define FRAMES_MAX        (FRAMES_HEADER + FRAMES_DATA_MAX)

struct frames;

/* Called from the event loop. A frame may have come, a queue may take some again, or the link has changed. */
struct frames_client {
    void (*readable)(void *opaque, unsigned int queue);
    void (*writable)(void *opaque, unsigned int queue);
    void (*changed)(void *opaque);
    void *opaque;
};

struct frames_operations {
    /*
     * Takes a frame of FRAMES_HEADER + ETH_HLEN to FRAMES_MAX bytes, which are in guest memory: read once. -EAGAIN: not
     * now, `writable` says when. Other errors: it is lost.
     */
    int (*send)(struct frames *frames, unsigned int queue, const struct iovec *vector, unsigned int count,
                size_t length);

    /*
     * The frame that came first: its length with the header. It is the back end's, which keeps it, and may be written,
     * until done(), after which there is another one. -EAGAIN: there is none. -EMSGSIZE: one was too long, or too
     * short, and is lost. Other errors: as if there were none, until the link has changed.
     */
    ssize_t (*next)(struct frames *frames, unsigned int queue, unsigned char **frame);
    void (*done)(struct frames *frames, unsigned int queue);

    /* Whether `readable` is called as long as a frame may be there; at first it is not. */
    void (*listen)(struct frames *frames, unsigned int queue, bool wanted);

    /* The queues below `count` are used, the others bring nothing. At first the first one. */
    int (*use)(struct frames *frames, unsigned int count);

    /*
     * Frames that are given may have what these bits (1 << VIRTIO_NET_F_GUEST_*) allow. At first nothing. NULL: they
     * never do.
     */
    int (*offload)(struct frames *frames, uint64_t features);

    /* The loop is no more. */
    void (*destroy)(struct frames *frames);
};

struct frames {
    const struct frames_operations *operations;
    struct frames_client client;
    unsigned int queues;
    uint64_t features; /* that it makes possible: 1 << VIRTIO_NET_F_CSUM, ..._HOST_*, ..._GUEST_* */
    bool up;           /* the link */
    uint32_t mtu;      /* 0: not known */
    unsigned char address[ETH_ALEN]; /* that the guest is to have if nobody says another */
};

/* From Linux 6.2 on. */
#ifndef VIRTIO_NET_F_GUEST_USO4
#define VIRTIO_NET_F_GUEST_USO4 54
#define VIRTIO_NET_F_GUEST_USO6 55
#define VIRTIO_NET_F_HOST_USO   56
#endif
#ifndef VIRTIO_NET_HDR_GSO_UDP_L4
#define VIRTIO_NET_HDR_GSO_UDP_L4 5
#endif

#endif
