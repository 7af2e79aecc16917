/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The platform as Xen offers it to a device model in dom0 or another privileged domain.
 *
 * An ioreq server is created for the guest; each of the guest's vCPUs has a slot in the server's page and an event
 * channel. A vCPU that touches a claimed range fills its slot, notifies and waits until the slot is answered. Only the
 * transitions READY -> INPROCESS -> RESP_READY are ours: Xen crashes the guest at any other.
 *
 * Guest memory is mapped on demand and kept (memory.h). With grants none of this happens: then there is no struct
 * memory, and whatever is mapped has been granted.
 *
 * Order matters in platform_create(): ports are known only once the server is enabled, and nothing may be claimed
 * before they are bound.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define __XEN_TOOLS__ 1
#include <xen/xen.h>
#include <xen/memory.h>
#include <xen/hvm/dm_op.h>
#include <xen/hvm/ioreq.h>
#include <xen/sys/privcmd.h>
#include <xendevicemodel.h>
#include <xenevtchn.h>
#include <xenforeignmemory.h>
#include <xengnttab.h>
#include <xentoolcore.h>
#include <xentoollog.h>

#include "claims.h"
#include "copies.h"
#include "dm_op.h"
#include "grants.h"
#include "memory.h"
#include "platform.h"
#include "request.h"

#define PAGE_SIZE      4096u
#define VCPUS_MAX      PLATFORM_VCPUS_MAX
#define GRANTS_MAX     (PLATFORM_GRANT_BYTES / PLATFORM_GRANT_PAGE + 1u) /* pages of what is contiguous */
#define SEGMENTS_MAX   64u
#define EVENTS_MAX     64u /* taken by one platform_serve(), so that other work gets its turn */
#define PLACE_MS       (BRIDGE_HOLD_MS + 5000u)
#define PLACE_PAUSE_MS 200u
#define ADOPT_MS       3000u /* Xen keeps others away from an orphan that is being adopted for a second */
#define LIMIT_SHARE    4u  /* of the free memory of this domain is this part for what is mapped of the guest */
#define LIMIT_LEAST    0x2000000u

/* To be copied by one system call: pages, and the pieces that they are of. */
struct segments {
    unsigned int count;
    xengnttab_grant_copy_segment_t segment[SEGMENTS_MAX];
    struct platform_copy *piece[SEGMENTS_MAX];
};

struct doorbell {
    uint64_t address;
    unsigned int size;
    evtchn_port_t port;
};

struct platform {
    domid_t domain;
    struct bridge bridge;
    struct platform_config_space space; /* its segment is the bridge's index */

    int privcmd;
    xendevicemodel_handle *devicemodel;
    xenforeignmemory_handle *foreignmemory;
    xenevtchn_handle *evtchn;
    evtchn_port_t wake[2]; /* an event channel from us to us: notified here, pending there */
    xengnttab_handle *gnttab; /* NULL without BRIDGE_FLAG_GRANTS */
    struct platform_copies copies;
    struct segments segments;
    xentoollog_logger *silence;

    bool has_server;
    bool resumed;
    bool look_at_all; /* resumed: of the slots, at the first platform_serve(); until then much is the predecessor's */
    bool ready;
    ioservid_t server;
    xenforeignmemory_resource_handle *page_resource;
    struct shared_iopage *page;
    unsigned int vcpus;
    evtchn_port_t port[VCPUS_MAX]; /* 0: not bound */
    struct platform_claims claims;
    unsigned int doorbells;
    struct doorbell doorbell[BRIDGE_DOORBELLS];
    struct platform_request_counters counters;
    uint64_t rung;

    unsigned int banks;
    struct bridge_window bank[MEMORY_BANKS_MAX];
    struct memory *memory; /* NULL with BRIDGE_FLAG_GRANTS */
    struct platform_invalidation invalidation;
};

static int call_dm_op(struct platform *platform, struct privcmd_dm_op_buf *buffers, uint16_t count)
{
    struct privcmd_dm_op call = { .dom = platform->domain, .num = count, .ubufs = buffers };

    return ioctl(platform->privcmd, IOCTL_PRIVCMD_DM_OP, &call) < 0 ? -errno : 0;
}

static int dm_op(struct platform *platform, struct bridge_dm_op *op, void *extra, size_t extra_size)
{
    struct privcmd_dm_op_buf buffers[2] = {
        { .uptr = op, .size = sizeof(*op) },
        { .uptr = extra, .size = extra_size },
    };

    return call_dm_op(platform, buffers, extra ? 2 : 1);
}

static int describe(struct platform *platform, uint32_t *state)
{
    struct bridge_dm_op op = {
        .op = BRIDGE_DM_OP_DESCRIBE,
        .u.describe = { .index = platform->space.segment, .ram_banks = MEMORY_BANKS_MAX },
    };
    const struct bridge_dm_op_describe *answer = &op.u.describe;
    int error = dm_op(platform, &op, platform->bank, sizeof(platform->bank));

    if (error) {
        return error;
    }
    if (answer->ram_banks > MEMORY_BANKS_MAX) {
        return -E2BIG;
    }
    platform->bridge = (struct bridge){
        .ecam = answer->window[0],
        .memory = answer->window[1],
        .prefetch = answer->window[2],
        .interrupt_first = answer->interrupt_first,
        .interrupt_count = answer->interrupt_count,
        .flags = answer->flags,
    };
    platform->space.ecam = platform->bridge.ecam;
    platform->banks = answer->ram_banks;
    *state = answer->state;
    return 0;
}

/* Maps pages of the guest. What the library makes of an error does not matter: the place is reserved anew. */
static int map_pages(void *opaque, void *where, uint64_t first, unsigned int pages)
{
    const struct platform *platform = opaque;
    xen_pfn_t frame[MEMORY_PIECE_PAGES];
    int errors[MEMORY_PIECE_PAGES];
    int result = 0;

    for (unsigned int i = 0; i < pages; i++) {
        frame[i] = first + i;
    }
    if (xenforeignmemory_map2(platform->foreignmemory, platform->domain, where, PROT_READ | PROT_WRITE, MAP_FIXED,
                              pages, frame, errors) != where) {
        return errno == ENOENT || errno == EINVAL || errno == EFAULT ? -ENOENT : -errno;
    }
    for (unsigned int i = 0; i < pages && result != -ENOMEM; i++) {
        result = errors[i] == -ENOMEM ? -ENOMEM : errors[i] ? -ENOENT : result;
    }
    return result;
}

/*
 * On Linux before 6.12 each page of a guest that is mapped takes a page of this domain from it, so that what is free
 * is the measure; there may be other device models. Where it is not known, as if there were enough.
 */
static uint64_t default_limit(void)
{
    FILE *file = fopen("/proc/meminfo", "re");
    unsigned long long available = UINT64_MAX / 1024;
    char line[128];

    while (file && fgets(line, sizeof(line), file) && sscanf(line, "MemAvailable: %llu kB", &available) != 1) {
    }
    if (file) {
        (void)fclose(file);
    }
    return available * 1024 / LIMIT_SHARE > LIMIT_LEAST ? available * 1024 / LIMIT_SHARE : LIMIT_LEAST;
}

static int open_memory(struct platform *platform, uint64_t limit)
{
    return memory_create(&platform->memory, platform->bank, platform->banks, limit ? limit : default_limit(),
                         map_pages, platform);
}

/* The library would print a line for each bad reference, that is, as many as the guest likes. */
static int open_grants(struct platform *platform)
{
    platform->silence = (xentoollog_logger *)xtl_createlogger_stdiostream(stderr, XTL_CRITICAL, 0);
    platform->gnttab = platform->silence ? xengnttab_open(platform->silence, 0) : NULL;
    return platform->gnttab ? 0 : -ENODEV;
}

static int map_page(struct platform *platform)
{
    void *page = NULL;

    platform->page_resource = xenforeignmemory_map_resource(
        platform->foreignmemory, platform->domain, XENMEM_resource_ioreq_server, platform->server,
        XENMEM_resource_ioreq_server_frame_ioreq(0), 1, &page, PROT_READ | PROT_WRITE, 0);
    if (!platform->page_resource) {
        return -errno;
    }
    platform->page = page;
    return 0;
}

/* A mark is where a guest with all the vCPUs that there may be would have the last slot. */
static uint64_t *mark_of(struct platform *platform)
{
    unsigned char *end = (unsigned char *)platform->page + PAGE_SIZE;

    return platform->vcpus < VCPUS_MAX ? (uint64_t *)(void *)(end - sizeof(struct ioreq)) : NULL;
}

static bool asked_to_stop(void)
{
    sigset_t pending;

    return !sigpending(&pending) && (sigismember(&pending, SIGTERM) || sigismember(&pending, SIGINT));
}

/* A device model that is to go on for the same one may be about to, or may have been killed then: soon is known. */
static int adopt(struct platform *platform, struct bridge_dm_op *op)
{
    const struct timespec pause = { .tv_nsec = PLACE_PAUSE_MS * 1000000l };
    unsigned int tries = ADOPT_MS / PLACE_PAUSE_MS;
    int error;

    while ((error = dm_op(platform, op, NULL, 0)) == -EBUSY && tries-- > 0 && !asked_to_stop()) {
        (void)nanosleep(&pause, NULL);
    }
    return error;
}

/*
 * Servers of device models that were killed before they served stay for the hold time, and a domain has eight. Xen
 * looks for such ones when a bridge is described, which has been done, so that a place is free soon.
 */
static int take_place(struct platform *platform)
{
    const struct timespec pause = { .tv_nsec = PLACE_PAUSE_MS * 1000000l };
    unsigned int tries = PLACE_MS / PLACE_PAUSE_MS;

    while (xendevicemodel_create_ioreq_server(platform->devicemodel, platform->domain, HVM_IOREQSRV_BUFIOREQ_OFF,
                                              &platform->server)) {
        if (errno != ENOSPC || tries-- == 0 || asked_to_stop()) {
            return -errno;
        }
        (void)nanosleep(&pause, NULL);
    }
    platform->has_server = true;
    return 0;
}

static int create_server(struct platform *platform)
{
    int error = take_place(platform);

    if (error) {
        return error;
    }
    error = map_page(platform);
    if (error) {
        return error;
    }
    if (xendevicemodel_set_ioreq_server_state(platform->devicemodel, platform->domain, platform->server, 1)) {
        return -errno;
    }
    return 0;
}

static int bind_ports(struct platform *platform)
{
    for (unsigned int i = 0; i < platform->vcpus; i++) {
        const int port = xenevtchn_bind_interdomain(platform->evtchn, platform->domain,
                                                    platform->page->vcpu_ioreq[i].vp_eport);

        if (port < 0) {
            return -errno;
        }
        platform->port[i] = (evtchn_port_t)port;
    }
    return 0;
}

/* Both ends are ours, so a notification of the one makes the descriptor readable. */
static int open_wake(struct platform *platform)
{
    const int near = xenevtchn_bind_unbound_port(platform->evtchn, DOMID_SELF);
    const int far = near < 0 ? -1 : xenevtchn_bind_interdomain(platform->evtchn, DOMID_SELF, (evtchn_port_t)near);

    if (far < 0) {
        return -errno;
    }
    platform->wake[0] = (evtchn_port_t)near;
    platform->wake[1] = (evtchn_port_t)far;
    return 0;
}

static int open_interfaces(struct platform *platform, const char **error)
{
    platform->privcmd = open("/dev/xen/privcmd", O_RDWR | O_CLOEXEC);
    platform->devicemodel = xendevicemodel_open(NULL, 0);
    platform->foreignmemory = xenforeignmemory_open(NULL, 0);
    if (platform->privcmd < 0 || !platform->devicemodel || !platform->foreignmemory) {
        const int cause = errno;

        *error = cause == EACCES ? "no permission for /dev/xen/privcmd: run as root"
                                 : "no /dev/xen/privcmd: not a domain on Xen, or the module xen-privcmd is missing";
        return cause == EACCES ? -EPERM : -ENODEV;
    }
    platform->evtchn = xenevtchn_open(NULL, 0);
    if (!platform->evtchn) {
        *error = "no /dev/xen/evtchn: load the module xen-evtchn";
        return -ENODEV;
    }
    if (open_wake(platform)) {
        *error = "out of event channels";
        return -ENOSPC;
    }
    /* Whoever takes this process over has this guest and no other. Grants (opened later) are what a guest gives. */
    if (xentoolcore_restrict_all(platform->domain) ||
        ioctl(platform->privcmd, IOCTL_PRIVCMD_RESTRICT, &platform->domain)) {
        *error = "cannot restrict itself to the domain: the kernel does not know how (Linux 4.11)";
        return -ENODEV;
    }
    return 0;
}

static void unmap_page(struct platform *platform)
{
    if (platform->page_resource) {
        (void)xenforeignmemory_unmap_resource(platform->foreignmemory, platform->page_resource);
        platform->page_resource = NULL;
        platform->page = NULL;
    }
}

/*
 * A device model that was killed has left its server, and perhaps a vCPU that waits for it. If it is the one that we
 * are to go on for, its server becomes ours. Else what waits is answered with all ones when the server goes, and the
 * bus starts anew with ours. -ENOENT: there is none. -EBUSY: another device model is becoming its owner.
 */
static int take_orphan(struct platform *platform, const struct platform_options *options)
{
    struct bridge_dm_op op = {
        .op = BRIDGE_DM_OP_ADOPT,
        .u.adopt = { .index = platform->space.segment,
                     .function = options->shared ? options->function : BRIDGE_DM_OP_WHOLE },
    };
    const int error = adopt(platform, &op);

    if (error) {
        return error;
    }
    platform->server = (ioservid_t)op.u.adopt.server;
    if (options->mark && !map_page(platform) && mark_of(platform) && *mark_of(platform) == options->mark) {
        platform->has_server = platform->resumed = platform->look_at_all = true;
        return 0;
    }
    unmap_page(platform);
    return xendevicemodel_destroy_ioreq_server(platform->devicemodel, platform->domain, platform->server) ? -errno : 0;
}

static int attach(struct platform *platform, const struct platform_options *options, const char **error)
{
    uint32_t state;
    int result = open_interfaces(platform, error);

    if (result) {
        return result;
    }

    result = describe(platform, &state);
    switch (result) {
    case 0:
        break;
    case -ESRCH:
        *error = "there is no such domain";
        return -ENOENT;
    case -ENOENT:
        *error = "the domain has no secondary PCI host bridge of that index: "
                 "is " BRIDGE_PROPERTY " in its node of the host device tree?";
        return -ENOENT;
    case -EPERM:
        *error = "this domain may not be a device model for that domain";
        return -EPERM;
    case -EOPNOTSUPP:
        *error = "this Xen knows no secondary PCI host bridges: it was built without CONFIG_IOREQ_PCI";
        return -ENODEV;
    default:
        *error = "Xen does not describe the bridge";
        return result;
    }
    if (xendevicemodel_nr_vcpus(platform->devicemodel, platform->domain, &platform->vcpus) ||
        platform->vcpus > VCPUS_MAX) {
        *error = "the domain has too many vCPUs";
        return -E2BIG;
    }
    result = take_orphan(platform, options);
    if (result == -EBUSY || (result && (state & BRIDGE_STATUS_STATE_READY) && !options->shared)) {
        *error = "another device model serves this bridge";
        return -EBUSY;
    }

    if (platform_uses_grants(platform) && open_grants(platform)) {
        *error = "no /dev/xen/gntdev: the bridge has the flag GRANTS; load the module xen-gntdev";
        return -ENODEV;
    }
    result = platform_uses_grants(platform) ? 0 : open_memory(platform, options->map_limit);
    if (result) {
        *error = "no memory to map the guest's in";
        return result;
    }
    result = platform->resumed ? 0 : create_server(platform);
    result = result ? result : bind_ports(platform);
    if (result == -ENOSPC) {
        *error = "the domain has all its ioreq servers already";
    } else if (result) {
        *error = "cannot create an ioreq server for the domain";
    }
    return result;
}

int platform_create(struct platform **platform, const struct platform_options *options, const char **error)
{
    struct platform *created;
    int result;

    *error = NULL;
    if (options->domain >= DOMID_FIRST_RESERVED) {
        *error = "not a domain id";
        return -ENOENT;
    }
    created = calloc(1, sizeof(*created));
    if (!created) {
        *error = "out of memory";
        return -ENOMEM;
    }
    created->domain = (domid_t)options->domain;
    created->space.segment = options->bridge;
    created->privcmd = -1;

    result = attach(created, options, error);
    if (result) {
        platform_destroy(created);
        return result;
    }
    *platform = created;
    return 0;
}

bool platform_resumed(const struct platform *platform)
{
    return platform->resumed;
}

int platform_set_mark(struct platform *platform, uint64_t mark)
{
    uint64_t *where = mark_of(platform);

    if (!where) {
        return -EOPNOTSUPP;
    }
    __atomic_store_n(where, mark, __ATOMIC_RELEASE);
    return 0;
}

const struct bridge *platform_bridge(const struct platform *platform)
{
    return &platform->bridge;
}

int platform_descriptor(const struct platform *platform)
{
    return xenevtchn_fd(platform->evtchn);
}

void platform_wake(struct platform *platform)
{
    (void)xenevtchn_notify(platform->evtchn, platform->wake[0]);
}

static int notify(struct platform *platform, unsigned int vcpu)
{
    return xenevtchn_notify(platform->evtchn, platform->port[vcpu]) ? -errno : 0;
}

/* Lets the processors go on that wait until the guest's memory has been dropped. */
static int end_invalidations(struct platform *platform)
{
    unsigned int vcpu;
    int error = 0;

    while ((vcpu = platform_invalidation_next(&platform->invalidation, platform->vcpus)) < platform->vcpus) {
        if (platform_request_answer(&platform->page->vcpu_ioreq[vcpu]) && !error) {
            error = notify(platform, vcpu);
        }
    }
    return error;
}

/* Answers the slot of one vCPU if it asks for something. With grants nothing is mapped for longer than granted. */
static int serve_vcpu(struct platform *platform, unsigned int vcpu, platform_access_fn *access, void *opaque)
{
    struct ioreq *slot = &platform->page->vcpu_ioreq[vcpu];

    if (platform->invalidation.waits[vcpu]) {
        return 0;
    }
    switch (platform_request_serve(slot, &platform->space, access, opaque, &platform->counters)) {
    case PLATFORM_REQUEST_ANSWERED:
        return notify(platform, vcpu);
    case PLATFORM_REQUEST_TAKEN:
        if (platform->memory) {
            platform_invalidation_take(&platform->invalidation, vcpu);
            return 0;
        }
        return platform_request_answer(slot) ? notify(platform, vcpu) : 0;
    default:
        return 0;
    }
}

/* A domain that ends takes its ioreq servers with it. */
static int look_for_guest(struct platform *platform)
{
    if (!platform->page) {
        return 0; /* platform_leave() */
    }
    if (xendevicemodel_get_ioreq_server_info(platform->devicemodel, platform->domain, platform->server, NULL, NULL,
                                             NULL) &&
        (errno == ESRCH || errno == ENOENT)) {
        platform->has_server = false;
        platform->ready = false;
        return -ENODEV;
    }
    return 0;
}

/* A port of none of the kinds was that of a doorbell until just now. */
static int serve_port(struct platform *platform, evtchn_port_t port, platform_access_fn *access, void *opaque)
{
    for (unsigned int vcpu = 0; vcpu < platform->vcpus; vcpu++) {
        if (platform->port[vcpu] == port) {
            return serve_vcpu(platform, vcpu, access, opaque);
        }
    }
    for (unsigned int i = 0; i < platform->doorbells; i++) {
        if (platform->doorbell[i].port == port) {
            platform->rung++;
            (void)access(opaque, platform->doorbell[i].address, platform->doorbell[i].size, true, 0);
            return 0;
        }
    }
    return port == platform->wake[1] ? look_for_guest(platform) : 0;
}

/*
 * /dev/xen/evtchn gives as many ports as fit, at least one, for which it waits, and masks each; written back, they are
 * unmasked. Fewer than fit: there are no more. How many there are, or a negative errno value.
 */
static int take_events(struct platform *platform, bool wait, evtchn_port_t port[EVENTS_MAX])
{
    struct pollfd readable = { .fd = xenevtchn_fd(platform->evtchn), .events = POLLIN };
    ssize_t bytes = 0;

    if (wait || poll(&readable, 1, 0) == 1) {
        bytes = read(readable.fd, port, EVENTS_MAX * sizeof(*port));
    }
    if (bytes < 0) {
        return errno == EINTR ? 0 : -errno;
    }
    /* Before they are served: what happens meanwhile is an event again. */
    if (bytes > 0 && write(readable.fd, port, (size_t)bytes) != bytes) {
        return -EIO;
    }
    return (int)((size_t)bytes / sizeof(*port));
}

int platform_serve(struct platform *platform, bool wait, platform_access_fn *access, void *opaque)
{
    evtchn_port_t port[EVENTS_MAX];
    int error = 0;
    int count;

    for (unsigned int vcpu = 0; vcpu < platform->vcpus && platform->look_at_all; vcpu++) {
        error = serve_vcpu(platform, vcpu, access, opaque);
        if (error) {
            return error;
        }
        wait = false;
    }
    platform->look_at_all = false;
    if (platform_invalidation_overdue(&platform->invalidation)) {
        error = end_invalidations(platform);
        if (error) {
            return error;
        }
    }
    count = take_events(platform, wait, port);
    for (int i = 0; i < count && !error; i++) {
        error = serve_port(platform, port[i], access, opaque);
    }
    return count < 0 ? count : error;
}

int platform_claim(struct platform *platform, uint64_t base, uint64_t size)
{
    int error = platform_claims_add(&platform->claims, base, size);

    if (!error && xendevicemodel_map_io_range_to_ioreq_server(platform->devicemodel, platform->domain,
                                                              platform->server, 1, base, base + size - 1)) {
        /* The predecessor's claims are still there, and made by now is what it was making. */
        error = errno == EEXIST && platform->look_at_all ? 0 : -errno;
        if (error) {
            (void)platform_claims_remove(&platform->claims, base, size);
        }
    }
    return error;
}

int platform_release(struct platform *platform, uint64_t base, uint64_t size)
{
    const int error = platform_claims_remove(&platform->claims, base, size);

    if (error) {
        return error;
    }
    return xendevicemodel_unmap_io_range_from_ioreq_server(platform->devicemodel, platform->domain, platform->server, 1,
                                                           base, base + size - 1)
               ? -errno
               : 0;
}

int platform_claim_function(struct platform *platform, unsigned int function)
{
    return xendevicemodel_map_pcidev_to_ioreq_server(platform->devicemodel, platform->domain, platform->server,
                                                     (uint16_t)platform->space.segment, (uint8_t)(function >> 8),
                                                     (uint8_t)(function >> 3 & 0x1f), (uint8_t)(function & 0x7)) &&
                   !(errno == EEXIST && platform->look_at_all)
               ? -errno
               : 0;
}

static struct bridge_dm_op doorbell_op(const struct platform *platform, uint32_t op, const struct doorbell *doorbell)
{
    return (struct bridge_dm_op){
        .op = op,
        .u.doorbell = { .index = platform->space.segment, .server = platform->server,
                        .address = doorbell->address, .size = doorbell->size },
    };
}

int platform_bind(struct platform *platform, uint64_t address, unsigned int size)
{
    struct doorbell doorbell = { .address = address, .size = size };
    struct bridge_dm_op op = doorbell_op(platform, BRIDGE_DM_OP_BIND, &doorbell);
    xenevtchn_port_or_error_t port;
    int error;

    if (platform->doorbells == BRIDGE_DOORBELLS) {
        return -ENOSPC;
    }
    error = dm_op(platform, &op, NULL, 0);
    if (error) {
        return error;
    }
    port = xenevtchn_bind_interdomain(platform->evtchn, platform->domain, op.u.doorbell.port);
    if (port < 0) {
        error = -errno;
        op = doorbell_op(platform, BRIDGE_DM_OP_UNBIND, &doorbell);
        (void)dm_op(platform, &op, NULL, 0);
        return error;
    }
    doorbell.port = (evtchn_port_t)port;
    platform->doorbell[platform->doorbells++] = doorbell;
    return 0;
}

void platform_unbind(struct platform *platform, uint64_t address)
{
    for (unsigned int i = 0; i < platform->doorbells; i++) {
        struct doorbell *doorbell = &platform->doorbell[i];
        struct bridge_dm_op op = doorbell_op(platform, BRIDGE_DM_OP_UNBIND, doorbell);

        if (doorbell->address == address) {
            (void)dm_op(platform, &op, NULL, 0);
            (void)xenevtchn_unbind(platform->evtchn, doorbell->port);
            *doorbell = platform->doorbell[--platform->doorbells];
            return;
        }
    }
}

int platform_ready(struct platform *platform, bool ready)
{
    struct bridge_dm_op op = {
        .op = BRIDGE_DM_OP_READY,
        .u.ready = { .index = platform->space.segment, .server = platform->server, .ready = ready },
    };
    const int error = dm_op(platform, &op, NULL, 0);

    if (!error) {
        platform->ready = ready;
    }
    return error;
}

int platform_interrupt(struct platform *platform, uint32_t interrupt, bool level)
{
    struct xen_dm_op op = {
        .op = XEN_DMOP_set_irq_level,
        .u.set_irq_level = { .irq = interrupt, .level = level },
    };
    struct privcmd_dm_op_buf buffer = { .uptr = &op, .size = sizeof(op) };

    /* Not by the library, which allocates memory for each call. */
    return call_dm_op(platform, &buffer, 1);
}

struct platform_counters platform_counters(const struct platform *platform)
{
    struct platform_counters counters = { .doorbells = platform->rung };

    platform_request_count(&platform->counters, &counters);
    if (platform->memory) {
        counters.mapped = memory_counters(platform->memory)->most * PAGE_SIZE;
        counters.dropped = memory_counters(platform->memory)->dropped;
    }
    return counters;
}

static void *map_grants(struct platform *platform, uint64_t address, uint64_t length, bool write)
{
    struct platform_grants grants;
    uint32_t reference[GRANTS_MAX];
    char *memory;

    if (platform_grants_decode(address, length, &grants)) {
        return NULL;
    }
    for (uint32_t i = 0; i < grants.count; i++) {
        reference[i] = grants.first + i;
    }
    memory = xengnttab_map_domain_grant_refs(platform->gnttab, grants.count, platform->domain, reference,
                                             write ? PROT_READ | PROT_WRITE : PROT_READ);
    return memory ? memory + grants.offset : NULL;
}

static void unmap_grants(struct platform *platform, void *memory, uint64_t length)
{
    void *first;
    const uint32_t pages = platform_grants_pages(memory, length, &first);

    (void)xengnttab_unmap(platform->gnttab, first, pages);
}

static void copy_segments(struct platform *platform)
{
    struct segments *segments = &platform->segments;
    const bool failed =
        segments->count > 0 && xengnttab_grant_copy(platform->gnttab, segments->count, segments->segment) != 0;

    for (unsigned int i = 0; i < segments->count; i++) {
        segments->piece[i]->failed |= failed || segments->segment[i].status != GNTST_okay;
    }
    segments->count = 0;
}

static void add_segment(struct segments *segments, struct platform_copy *piece,
                        const xengnttab_grant_copy_segment_t *segment)
{
    segments->piece[segments->count] = piece;
    segments->segment[segments->count++] = *segment;
}

/* Page by page. */
static void add_segments(struct platform *platform, struct platform_copy *piece, bool to_guest)
{
    struct platform_grants grants;
    char *memory = piece->memory;
    uint32_t left = piece->length;

    piece->failed = platform_grants_decode(piece->address, piece->length, &grants) != 0;
    for (uint32_t i = 0; !piece->failed && i < grants.count; i++) {
        const uint16_t offset = (uint16_t)(i == 0 ? grants.offset : 0);
        const uint16_t length = (uint16_t)(left < PAGE_SIZE - offset ? left : PAGE_SIZE - offset);
        xengnttab_grant_copy_segment_t segment = { .len = length };

        if (to_guest) {
            segment.source.virt = memory;
            segment.dest.foreign.ref = grants.first + i;
            segment.dest.foreign.offset = offset;
            segment.dest.foreign.domid = platform->domain;
            segment.flags = GNTCOPY_dest_gref;
        } else {
            segment.source.foreign.ref = grants.first + i;
            segment.source.foreign.offset = offset;
            segment.source.foreign.domid = platform->domain;
            segment.dest.virt = memory;
            segment.flags = GNTCOPY_source_gref;
        }
        add_segment(&platform->segments, piece, &segment);
        memory += length;
        left -= length;
    }
}

void platform_copy_end(struct platform *platform)
{
    struct platform_copies *copies = &platform->copies;

    for (unsigned int i = 0; i < platform_copies_count(copies); i++) {
        const struct platform_wanted_copy *const wanted = platform_copies_at(copies, i);

        if (platform->segments.count > SEGMENTS_MAX - GRANTS_MAX) {
            copy_segments(platform);
        }
        add_segments(platform, wanted->piece, wanted->to_guest);
    }
    copy_segments(platform);
    platform_copies_clear(copies);
}

void platform_copy(struct platform *platform, struct platform_copy *piece, unsigned int count, bool to_guest)
{
    for (unsigned int i = 0; i < count; i++) {
        if (platform_copies_count(&platform->copies) == PLATFORM_COPIES_MAX) {
            platform_copy_end(platform);
        }
        platform_copies_add(&platform->copies, &piece[i], to_guest);
    }
}

void *platform_map(struct platform *platform, uint64_t address, uint64_t length, bool write)
{
    void *memory;

    if (!platform->memory) {
        return map_grants(platform, address, length, write);
    }
    return memory_map(platform->memory, address, length, MEMORY_RING, &memory) ? NULL : memory;
}

void platform_unmap(struct platform *platform, void *memory, uint64_t length)
{
    if (!platform->memory) {
        unmap_grants(platform, memory, length);
    } else {
        memory_unmap(platform->memory, memory, length, MEMORY_RING);
    }
}

int platform_map_buffer(struct platform *platform, uint64_t address, uint64_t length, bool write, void **memory)
{
    (void)write; /* without grants all is */
    return platform->memory ? memory_map(platform->memory, address, length, MEMORY_BUFFER, memory) : -EFAULT;
}

void platform_unmap_buffer(struct platform *platform, void *memory, uint64_t length)
{
    memory_unmap(platform->memory, memory, length, MEMORY_BUFFER);
}

unsigned int platform_buffers(const struct platform *platform)
{
    return platform->memory ? memory_buffers(platform->memory) : 0;
}

void platform_give_room(struct platform *platform)
{
    if (platform->memory) {
        memory_give_room(platform->memory);
    }
}

bool platform_has_room(const struct platform *platform)
{
    return platform->memory && memory_has_room(platform->memory);
}

bool platform_turn(struct platform *platform)
{
    return platform->memory && memory_turn(platform->memory);
}

bool platform_memory_changed(const struct platform *platform)
{
    return platform->invalidation.changed;
}

bool platform_drop_memory(struct platform *platform)
{
    return memory_drop(platform->memory, MEMORY_DROP);
}

int platform_memory_renewed(struct platform *platform)
{
    platform->invalidation.changed = false;
    return end_invalidations(platform);
}

/* What waits is answered by Xen, with all ones; the event channels close with their descriptor. */
static void destroy_server(struct platform *platform)
{
    (void)xendevicemodel_destroy_ioreq_server(platform->devicemodel, platform->domain, platform->server);
}

void platform_leave(struct platform *platform)
{
    if (!platform) {
        return;
    }
    if (platform->ready) {
        (void)platform_ready(platform, false);
    }
    /* One that nothing was answered for yet is left to the next who tries to go on. */
    if (platform->has_server && !platform->look_at_all) {
        destroy_server(platform);
    }
    platform->has_server = false;
    platform->vcpus = 0;
    unmap_page(platform);
}

void platform_destroy(struct platform *platform)
{
    if (!platform) {
        return;
    }
    platform_leave(platform);
    memory_destroy(platform->memory);
    if (platform->gnttab) {
        (void)xengnttab_close(platform->gnttab);
    }
    if (platform->silence) {
        xtl_logger_destroy(platform->silence);
    }
    if (platform->evtchn) {
        (void)xenevtchn_close(platform->evtchn);
    }
    if (platform->foreignmemory) {
        (void)xenforeignmemory_close(platform->foreignmemory);
    }
    if (platform->devicemodel) {
        (void)xendevicemodel_close(platform->devicemodel);
    }
    if (platform->privcmd >= 0) {
        (void)close(platform->privcmd);
    }
    free(platform);
}
