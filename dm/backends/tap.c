/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * See tap.h. The descriptors that are opened: the netlink socket that tells of links, then one a queue.
 */
#include "tap.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <linux/if.h>
#include <linux/if_arp.h>
#include <linux/if_tun.h>
#include <linux/major.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>

#ifndef TUN_F_USO4 /* from Linux 6.2 on */
#define TUN_F_USO4 0x20
#define TUN_F_USO6 0x40
#endif

#define USO_BOTH     (TUN_F_USO4 | TUN_F_USO6)
#define QUEUE_FLAGS  (IFF_TAP | IFF_NO_PI | IFF_VNET_HDR)
#define TUN_MINOR    200u /* of /dev/net/tun, among the miscellaneous ones */
#define MESSAGES_MAX 8192u /* bytes of netlink messages that are read at once */
#define TURNS_MAX    16u   /* reads of them in one turn */

#define FEATURE(bit) (1ull << (bit))

/* What a virtio feature is called by TUNSETOFFLOAD. */
static const struct {
    unsigned int feature;
    unsigned int offload;
} offloads[] = {
    { VIRTIO_NET_F_GUEST_CSUM, TUN_F_CSUM },
    { VIRTIO_NET_F_GUEST_TSO4, TUN_F_TSO4 },
    { VIRTIO_NET_F_GUEST_TSO6, TUN_F_TSO6 },
    { VIRTIO_NET_F_GUEST_ECN, TUN_F_TSO_ECN },
    { VIRTIO_NET_F_GUEST_UFO, TUN_F_UFO },
    { VIRTIO_NET_F_GUEST_USO4, TUN_F_USO4 },
    { VIRTIO_NET_F_GUEST_USO6, TUN_F_USO6 },
};

enum {
    FILE_LINKS,
    FILE_QUEUES,
};

struct queue {
    struct tap *tap;
    struct loop_watch watch;
    int file;
    bool listening;
    bool used;
    ssize_t length; /* of the frame; 0: there is none */
    unsigned char frame[FRAMES_MAX + 1]; /* one byte more tells that it is too long */
};

struct tap {
    struct frames frames; /* first: the operations are given this */
    struct loop *loop;
    struct loop_watch links_watch;
    int links;
    unsigned int index; /* of the interface */
    uint8_t messages[MESSAGES_MAX] __attribute__((aligned(NLMSG_ALIGNTO)));
    struct queue queue[];
};

static struct tap *tap_of(struct frames *frames)
{
    return (struct tap *)(void *)frames;
}

static int send_frame(struct frames *frames, unsigned int queue, const struct iovec *vector, unsigned int count,
                      size_t length)
{
    (void)length;
    return writev(tap_of(frames)->queue[queue].file, vector, (int)count) < 0 ? -errno : 0;
}

static ssize_t next_frame(struct frames *frames, unsigned int index, unsigned char **frame)
{
    struct queue *queue = &tap_of(frames)->queue[index];

    if (queue->length == 0) {
        const ssize_t length = read(queue->file, queue->frame, sizeof(queue->frame));

        if (length <= 0) {
            return length == 0 || errno == EINTR ? -EAGAIN : -errno;
        }
        if (length > (ssize_t)FRAMES_MAX || length < (ssize_t)(FRAMES_HEADER + ETH_HLEN)) {
            return -EMSGSIZE;
        }
        queue->length = length;
    }
    *frame = queue->frame;
    return queue->length;
}

static void frame_done(struct frames *frames, unsigned int queue)
{
    tap_of(frames)->queue[queue].length = 0;
}

static void queue_ready(void *opaque, int error)
{
    struct queue *queue = opaque;
    const struct frames_client *client = &queue->tap->frames.client;

    if (error) {
        queue->listening = false; /* the interface is gone, and so is the link */
        queue->tap->frames.up = false;
        client->changed(client->opaque);
    } else {
        client->readable(client->opaque, (unsigned int)(queue - queue->tap->queue));
    }
}

static void listen_to(struct frames *frames, unsigned int index, bool wanted)
{
    struct tap *tap = tap_of(frames);
    struct queue *queue = &tap->queue[index];

    if (wanted && !queue->listening) {
        queue->listening = loop_watch(tap->loop, &queue->watch, queue->file, queue_ready, queue) == 0;
    } else if (!wanted && queue->listening) {
        loop_unwatch(tap->loop, &queue->watch);
        queue->listening = false;
    }
}

/* A queue that is not used is detached, so that the kernel gives its frames to the others. */
static int set_queue(const struct queue *queue, bool used)
{
    struct ifreq request = { .ifr_flags = used ? IFF_ATTACH_QUEUE : IFF_DETACH_QUEUE };

    return ioctl(queue->file, TUNSETQUEUE, &request) ? -errno : 0;
}

static int use(struct frames *frames, unsigned int count)
{
    struct tap *tap = tap_of(frames);

    for (unsigned int i = 0; i < frames->queues; i++) {
        struct queue *queue = &tap->queue[i];
        const int error = queue->used == (i < count) ? 0 : set_queue(queue, i < count);

        if (error) {
            return error;
        }
        queue->used = i < count;
    }
    return 0;
}

/* The kernel wants CSUM with everything, a TSO with ECN, and both of USO or none. */
static unsigned int offloads_of(uint64_t features)
{
    unsigned int flags = 0;

    for (unsigned int i = 0; i < sizeof(offloads) / sizeof(offloads[0]); i++) {
        flags |= features & FEATURE(offloads[i].feature) ? offloads[i].offload : 0;
    }
    flags &= flags & (TUN_F_TSO4 | TUN_F_TSO6) ? ~0u : ~(unsigned int)TUN_F_TSO_ECN;
    flags &= (flags & USO_BOTH) == USO_BOTH ? ~0u : ~(unsigned int)USO_BOTH;
    return flags & TUN_F_CSUM ? flags : 0;
}

static int set_offload(struct frames *frames, uint64_t features)
{
    return ioctl(tap_of(frames)->queue[0].file, TUNSETOFFLOAD, (unsigned long)offloads_of(features)) ? -errno : 0;
}

static void destroy(struct frames *frames)
{
    struct tap *tap = tap_of(frames);

    for (unsigned int i = 0; i < frames->queues; i++) {
        (void)close(tap->queue[i].file);
    }
    (void)close(tap->links);
    free(tap);
}

static const struct frames_operations operations = {
    .send = send_frame, .next = next_frame, .done = frame_done, .listen = listen_to, .use = use,
    .offload = set_offload, .destroy = destroy,
};

/* The answer comes as every other message about a link. */
static int ask_for_link(int links, unsigned int index)
{
    const struct {
        struct nlmsghdr header;
        struct ifinfomsg link;
    } request = {
        .header = {
            .nlmsg_len = sizeof(request), .nlmsg_type = RTM_GETLINK, .nlmsg_flags = NLM_F_REQUEST,
        },
        .link = { .ifi_index = (int)index },
    };

    return write(links, &request, sizeof(request)) < 0 ? -errno : 0;
}

static bool is_up(unsigned int flags)
{
    return (flags & (IFF_UP | IFF_RUNNING)) == (IFF_UP | IFF_RUNNING);
}

/* Whether it was about our link. */
static bool read_message(struct tap *tap, const struct nlmsghdr *message)
{
    const struct ifinfomsg *link = NLMSG_DATA(message);

    if ((message->nlmsg_type != RTM_NEWLINK && message->nlmsg_type != RTM_DELLINK) ||
        message->nlmsg_len < NLMSG_LENGTH(sizeof(*link)) || link->ifi_index != (int)tap->index) {
        return false;
    }
    tap->frames.up = message->nlmsg_type == RTM_NEWLINK && is_up(link->ifi_flags);
    return true;
}

static bool read_messages(struct tap *tap, ssize_t length)
{
    const struct nlmsghdr *message = (const struct nlmsghdr *)(const void *)tap->messages;
    bool ours = false;

    for (; length >= 0 && NLMSG_OK(message, (size_t)length); message = NLMSG_NEXT(message, length)) {
        ours |= read_message(tap, message);
    }
    return ours;
}

/* If there were more than the kernel keeps for us, we ask. */
static void links_ready(void *opaque, int error)
{
    struct tap *tap = opaque;
    const struct frames_client *client = &tap->frames.client;
    bool ours = false;

    for (unsigned int turns = TURNS_MAX; turns > 0 && !error; turns--) {
        const ssize_t length = read(tap->links, tap->messages, sizeof(tap->messages));

        if (length < 0 && errno == ENOBUFS) {
            (void)ask_for_link(tap->links, tap->index);
        } else if (length <= 0) {
            break;
        }
        ours |= read_messages(tap, length);
    }
    if (ours) {
        client->changed(client->opaque);
    }
}

/* Into files[FILE_LINKS]. */
static int open_links(struct kind_files *files)
{
    struct sockaddr_nl address = { .nl_family = AF_NETLINK, .nl_groups = RTMGRP_LINK };
    const int links = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);

    if (links < 0) {
        return -errno;
    }
    *files = (struct kind_files){ .count = 1, .file = { links } };
    return bind(links, (const struct sockaddr *)&address, sizeof(address)) ? -errno : 0;
}

static void set_name(struct ifreq *request, const char *name)
{
    memset(request, 0, sizeof(*request));
    memcpy(request->ifr_name, name, strnlen(name, IFNAMSIZ - 1));
}

/* Of the interface of that name; 0: there is none. */
static int index_of(int links, const char *name)
{
    struct ifreq request;

    set_name(&request, name);
    return ioctl(links, SIOCGIFINDEX, &request) ? 0 : request.ifr_ifindex;
}

/* A TAP has one descriptor a queue; whether it may have several it knows from when it was made. */
static int attach(int file, const char *name, unsigned int queues, bool there)
{
    const short flags = (short)(QUEUE_FLAGS | (queues > 1 ? IFF_MULTI_QUEUE : 0));
    struct ifreq request;

    set_name(&request, name);
    request.ifr_flags = flags;
    if (ioctl(file, TUNSETIFF, &request) == 0) {
        return 0;
    }
    if (errno != EINVAL || queues > 1 || !there) {
        return -errno;
    }
    request.ifr_flags = (short)(flags | IFF_MULTI_QUEUE);
    return ioctl(file, TUNSETIFF, &request) ? -errno : 0;
}

/* One queue, with the header that it is to have, and no offloads. */
static int open_queue(const struct tap_options *options, const char *path, bool there, struct kind_files *files)
{
    const int file = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
    int header = (int)FRAMES_HEADER, error;

    if (file < 0) {
        return -errno;
    }
    files->file[files->count++] = file;
    error = attach(file, options->name, options->queues, there);
    return error                                                                       ? error
           : ioctl(file, TUNSETVNETHDRSZ, &header) || ioctl(file, TUNSETOFFLOAD, 0ul) ? -errno
                                                                                      : 0;
}

static int set_mtu(int links, const char *name, unsigned int mtu)
{
    struct ifreq request;

    set_name(&request, name);
    request.ifr_mtu = (int)mtu;
    return ioctl(links, SIOCSIFMTU, &request) ? -errno : 0;
}

static int explain(int result, const struct tap_options *options, bool there, char *error)
{
    switch (result) {
    case -EBUSY:
        return kind_refuse(result, "in use by another process", error);
    case -ENOENT:
    case -ENODEV:
        return kind_refuse(result, "no TAP interfaces: load the module tun", error);
    case -EINVAL:
        return kind_refuse(result,
                           !there                ? "cannot be made"
                           : options->queues > 1 ? "no TAP interface that may have several queues"
                                                 : "no TAP interface",
                           error);
    case -E2BIG:
        return kind_refuse(result, "has no more queues", error);
    default:
        return kind_refuse(result, there ? "cannot be opened" : "cannot be made", error);
    }
}

/* A macvtap has a device of its own. */
static void find_device(int index, char *path, size_t size)
{
    (void)snprintf(path, size, "/dev/tap%d", index);
    if (index == 0 || access(path, F_OK)) {
        (void)snprintf(path, size, "/dev/net/tun");
    }
}

int tap_open(const struct tap_options *options, struct kind_files *files, char error[KIND_ERROR_MAX])
{
    char path[32];
    bool there;
    int result;

    if (strlen(options->name) >= IFNAMSIZ || strchr(options->name, '/')) {
        return kind_refuse(-EINVAL, "no name that an interface can have", error);
    }
    result = open_links(files);
    if (result) {
        kind_files_close(files);
        return kind_refuse(result, "no netlink socket", error);
    }
    there = index_of(files->file[FILE_LINKS], options->name) != 0;
    find_device(index_of(files->file[FILE_LINKS], options->name), path, sizeof(path));
    for (unsigned int i = 0; i < options->queues && !result; i++) {
        result = open_queue(options, path, there || i > 0, files);
    }
    if (!result && !there && options->mtu) {
        result = set_mtu(files->file[FILE_LINKS], options->name, options->mtu);
    }
    if (result) {
        kind_files_close(files);
        return explain(result, options, there, error);
    }
    return 0;
}

/* The kernel is asked by trying. */
static uint64_t possible_features(int file)
{
    uint64_t features = FEATURE(VIRTIO_NET_F_CSUM) | FEATURE(VIRTIO_NET_F_HOST_TSO4) |
                        FEATURE(VIRTIO_NET_F_HOST_TSO6) | FEATURE(VIRTIO_NET_F_HOST_ECN) |
                        FEATURE(VIRTIO_NET_F_HOST_UFO);

    for (unsigned int i = 0; i < sizeof(offloads) / sizeof(offloads[0]); i++) {
        const unsigned int company = offloads[i].offload == TUN_F_TSO_ECN    ? TUN_F_TSO4
                                     : offloads[i].offload & USO_BOTH ? USO_BOTH
                                                                      : 0;
        const unsigned long flags = TUN_F_CSUM | offloads[i].offload | company;

        features |= ioctl(file, TUNSETOFFLOAD, flags) == 0 ? FEATURE(offloads[i].feature) : 0;
    }
    (void)ioctl(file, TUNSETOFFLOAD, 0ul);
    return features | (features & FEATURE(VIRTIO_NET_F_GUEST_USO4) ? FEATURE(VIRTIO_NET_F_HOST_USO) : 0);
}

/*
 * Who has the other end of a macvtap has its address. The address of a TAP is that of the host's end; the guest's,
 * which must not change when it is started again, is made from its name.
 */
static int find_address(struct tap *tap, struct ifreq *request)
{
    struct stat about;
    uint64_t sum;

    if (fstat(tap->queue[0].file, &about)) {
        return -errno;
    }
    if (about.st_rdev != makedev(MISC_MAJOR, TUN_MINOR)) {
        if (ioctl(tap->links, SIOCGIFHWADDR, request)) {
            return -errno;
        }
        memcpy(tap->frames.address, request->ifr_hwaddr.sa_data, ETH_ALEN);
        return 0;
    }
    sum = settings_hash_bytes(request->ifr_name, strnlen(request->ifr_name, IFNAMSIZ), SETTINGS_HASH_START);
    memcpy(tap->frames.address, &sum, ETH_ALEN);
    tap->frames.address[0] = (unsigned char)((tap->frames.address[0] & 0xfe) | 0x02); /* local, of one station */
    return 0;
}

/* Asks what the interface is like. */
static int measure(struct tap *tap)
{
    struct ifreq request = { 0 };

    if (ioctl(tap->queue[0].file, TUNGETIFF, &request) || ioctl(tap->links, SIOCGIFINDEX, &request)) {
        return -errno;
    }
    tap->index = (unsigned int)request.ifr_ifindex;
    if (ioctl(tap->links, SIOCGIFMTU, &request)) {
        return -errno;
    }
    tap->frames.mtu = (uint32_t)request.ifr_mtu;
    if (ioctl(tap->links, SIOCGIFFLAGS, &request)) {
        return -errno;
    }
    tap->frames.up = is_up((unsigned int)request.ifr_flags);
    return find_address(tap, &request);
}

int tap_create(struct frames **frames, struct loop *loop, const struct kind_files *files, char error[KIND_ERROR_MAX])
{
    const unsigned int queues = files->count - FILE_QUEUES;
    struct tap *tap = calloc(1, sizeof(*tap) + queues * sizeof(tap->queue[0]));
    int result;

    if (!tap) {
        return kind_refuse(-ENOMEM, "no memory for it", error);
    }
    tap->frames.operations = &operations;
    tap->frames.queues = queues;
    tap->loop = loop;
    tap->links = files->file[FILE_LINKS];
    for (unsigned int i = 0; i < queues; i++) {
        tap->queue[i] = (struct queue){ .tap = tap, .file = files->file[FILE_QUEUES + i], .used = true };
    }
    tap->frames.features = possible_features(tap->queue[0].file);
    result = measure(tap);
    result = result ? result : use(&tap->frames, 1);
    result = result ? result : loop_watch(loop, &tap->links_watch, tap->links, links_ready, tap);
    if (result) {
        free(tap);
        return kind_refuse(result, "cannot be used", error);
    }
    *frames = &tap->frames;
    return 0;
}
