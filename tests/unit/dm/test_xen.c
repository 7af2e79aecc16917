/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The platform on Xen, with what is below it in this file: a hypervisor that knows one bridge and does as each test
 * says. What a real one does is for the system tests; here is what it must be able to refuse, and what must not be
 * left behind then.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define __XEN_TOOLS__ 1
#include <xen/xen.h>
#include <xen/hvm/dm_op.h>
#include <xen/hvm/ioreq.h>
#include <xen/sys/privcmd.h>
#include <xendevicemodel.h>
#include <xenevtchn.h>
#include <xenforeignmemory.h>
#include <xengnttab.h>
#include <xentoolcore.h>

#include "dm_op.h"
#include "platform/platform.h"

#define PAGE      4096u
#define DOMAIN    3u
#define SERVER    5u
#define RAM_BASE  0x40000000ull
#define RAM_SIZE  0x00800000ull
#define PIECE     0x200000ull
#define ECAM_BASE 0x10000000ull
#define BELL      0x23000000ull
#define PORTS     256u
#define GRANTED   500u
#define GRANTED_PAGES 100u
#define PORT_NONE 255u /* not bound by anybody */
#define WAKE_NEAR 253u /* of the device model to itself */
#define WAKE_FAR  254u

/* The hypervisor. Ports of the guest count from 100, ours from 1. */
static struct {
    int describe;              /* negative errno value of these operations */
    int adopt;
    unsigned int adopting;     /* so many times is the orphan another one's, and then there is none */
    int bind;
    uint32_t state;
    uint32_t flags;
    unsigned int vcpus;
    unsigned int full;         /* so many times is there no place for a server */
    unsigned int bogus;        /* guest's port that cannot be bound */
    bool page_fails;
    bool enable_fails;
    int gone;                  /* errno value: what a look for the server gives */
    bool restrict_fails;
    uint64_t bad_frame;        /* cannot be mapped */
    int map_error;             /* errno value: nothing can be mapped */

    bool restricted;           /* to the guest: all handles, and privcmd */
    bool restricted_privcmd;
    unsigned int servers;
    unsigned int ports;
    unsigned int bells;
    unsigned int page_mappings;
    uint64_t mapped;           /* bytes of guest memory */
    unsigned int handles;
    unsigned int naps;
    uint64_t claimed;
    unsigned int notified;
    int evtchn[2];             /* /dev/xen/evtchn, and what is behind it: it gives ports and unmasks them */
    unsigned int system_calls; /* of ours, that is, not of Xen's libraries */
    unsigned int copies;
    unsigned char granted[GRANTED_PAGES][PAGE]; /* by references from GRANTED on */
    _Alignas(PAGE) unsigned char page[PAGE];
} xen;

static struct ioreq *slot(unsigned int vcpu)
{
    return &((struct shared_iopage *)(void *)xen.page)->vcpu_ioreq[vcpu];
}

int __real_open64(const char *path, int flags, ...);
int __wrap_open64(const char *path, int flags, ...);
int __wrap_open64(const char *path, int flags, ...)
{
    if (strcmp(path, "/dev/xen/privcmd") == 0) {
        xen.restricted = xen.restricted_privcmd = false;
        path = "/dev/null";
    }
    return __real_open64(path, flags);
}

#define COUNTED(type, name, parameters, arguments) \
    type __real_##name parameters; \
    type __wrap_##name parameters; \
    type __wrap_##name parameters \
    { \
        xen.system_calls++; \
        return __real_##name arguments; \
    }
COUNTED(ssize_t, read, (int descriptor, void *to, size_t size), (descriptor, to, size))
COUNTED(ssize_t, write, (int descriptor, const void *from, size_t size), (descriptor, from, size))
COUNTED(int, poll, (struct pollfd *descriptors, nfds_t count, int timeout), (descriptors, count, timeout))

int __wrap_nanosleep(const struct timespec *time, struct timespec *left);
int __wrap_nanosleep(const struct timespec *time, struct timespec *left)
{
    (void)time;
    (void)left;
    xen.naps++;
    return 0;
}

static int set_level(const struct xen_dm_op *op)
{
    return op->u.set_irq_level.irq == 44 ? 0 : -EINVAL;
}

static int answer(struct bridge_dm_op *op, struct bridge_window *ram)
{
    switch (op->op) {
    case XEN_DMOP_set_irq_level:
        return set_level((const struct xen_dm_op *)(const void *)op);
    case BRIDGE_DM_OP_DESCRIBE:
        op->u.describe = (struct bridge_dm_op_describe){
            .flags = xen.flags,
            .window = { { ECAM_BASE, 0x100000 }, { BELL, 0x1000000 } },
            .interrupt_first = 44,
            .interrupt_count = 12,
            .state = xen.state,
            .ram_banks = 1,
        };
        ram[0] = (struct bridge_window){ RAM_BASE, RAM_SIZE };
        return xen.describe;
    case BRIDGE_DM_OP_ADOPT:
        if (xen.adopting) {
            xen.adopting--;
            return -EBUSY;
        }
        op->u.adopt.server = SERVER;
        return xen.adopt;
    case BRIDGE_DM_OP_BIND:
        xen.bells += xen.bind ? 0 : 1;
        op->u.doorbell.port = 200;
        return xen.bind;
    case BRIDGE_DM_OP_UNBIND:
        xen.bells--;
        return 0;
    default:
        return 0;
    }
}

int __wrap_ioctl(int descriptor, unsigned long request, void *argument);
int __wrap_ioctl(int descriptor, unsigned long request, void *argument)
{
    struct privcmd_dm_op *call = argument;
    int error;

    assert_true(descriptor >= 0);
    xen.system_calls++;
    if (request == IOCTL_PRIVCMD_RESTRICT) {
        assert_int_equal(*(domid_t *)argument, DOMAIN);
        assert_false(xen.restricted_privcmd);
        xen.restricted_privcmd = true;
        return 0;
    }
    assert_int_equal(request, IOCTL_PRIVCMD_DM_OP);
    assert_int_equal(call->dom, DOMAIN);
    assert_true(xen.restricted && xen.restricted_privcmd);
    error = answer(call->ubufs[0].uptr, call->num > 1 ? call->ubufs[1].uptr : NULL);
    errno = -error;
    return error ? -1 : 0;
}

/* All but grants, which it would close. */
int xentoolcore_restrict_all(domid_t domain)
{
    assert_int_equal(domain, DOMAIN);
    assert_true(xen.handles >= 3);
    xen.restricted = !xen.restrict_fails;
    errno = ENOTTY;
    return xen.restrict_fails ? -1 : 0;
}

/* What a handle is made of does not matter, but each is closed. */
#define HANDLE(name, type) \
    type *name##_open(struct xentoollog_logger *logger, unsigned int flags) \
    { \
        (void)logger; \
        (void)flags; \
        xen.handles++; \
        return (type *)(void *)&xen; \
    } \
    int name##_close(type *handle) \
    { \
        xen.handles -= handle ? 1 : 0; \
        return 0; \
    }
HANDLE(xendevicemodel, xendevicemodel_handle)
HANDLE(xenforeignmemory, xenforeignmemory_handle)
HANDLE(xenevtchn, xenevtchn_handle)
HANDLE(xengnttab, xengnttab_handle)

int xendevicemodel_nr_vcpus(xendevicemodel_handle *handle, domid_t domain, unsigned int *vcpus)
{
    (void)handle;
    (void)domain;
    *vcpus = xen.vcpus;
    return 0;
}

int xendevicemodel_create_ioreq_server(xendevicemodel_handle *handle, domid_t domain, int buffered, ioservid_t *id)
{
    (void)handle;
    (void)domain;
    assert_int_equal(buffered, HVM_IOREQSRV_BUFIOREQ_OFF);
    if (xen.full) {
        xen.full--;
        errno = ENOSPC;
        return -1;
    }
    *id = SERVER;
    xen.servers++;
    memset(xen.page, 0, sizeof(xen.page));
    return 0;
}

int xendevicemodel_destroy_ioreq_server(xendevicemodel_handle *handle, domid_t domain, ioservid_t id)
{
    (void)handle;
    (void)domain;
    assert_int_equal(id, SERVER);
    assert_int_equal(xen.servers, 1);
    xen.servers--;
    return 0;
}

int xendevicemodel_set_ioreq_server_state(xendevicemodel_handle *handle, domid_t domain, ioservid_t id, int enabled)
{
    (void)handle;
    (void)domain;
    (void)id;
    assert_int_equal(enabled, 1);
    for (unsigned int i = 0; i < xen.vcpus; i++) {
        slot(i)->vp_eport = 100 + i;
    }
    errno = ENOMEM;
    return xen.enable_fails ? -1 : 0;
}

int xendevicemodel_get_ioreq_server_info(xendevicemodel_handle *handle, domid_t domain, ioservid_t id, xen_pfn_t *page,
                                         xen_pfn_t *buffered, evtchn_port_t *port)
{
    (void)handle;
    (void)domain;
    (void)id;
    assert_true(!page && !buffered && !port);
    errno = xen.gone;
    return xen.gone ? -1 : 0;
}

int xendevicemodel_map_io_range_to_ioreq_server(xendevicemodel_handle *handle, domid_t domain, ioservid_t id,
                                                int is_mmio, uint64_t start, uint64_t end)
{
    (void)handle;
    (void)domain;
    (void)id;
    assert_int_equal(is_mmio, 1);
    assert_true(start <= end);
    errno = EEXIST;
    if (xen.claimed == start) {
        return -1;
    }
    xen.claimed = start;
    return 0;
}

int xendevicemodel_unmap_io_range_from_ioreq_server(xendevicemodel_handle *handle, domid_t domain, ioservid_t id,
                                                    int is_mmio, uint64_t start, uint64_t end)
{
    (void)handle;
    (void)domain;
    (void)id;
    (void)is_mmio;
    (void)end;
    errno = ENOENT;
    return xen.claimed == start ? 0 : -1;
}

int xendevicemodel_map_pcidev_to_ioreq_server(xendevicemodel_handle *handle, domid_t domain, ioservid_t id,
                                              uint16_t segment, uint8_t bus, uint8_t device, uint8_t function)
{
    (void)handle;
    (void)domain;
    (void)id;
    assert_true(segment == 0 && bus == 0 && device == 1 && function == 2);
    errno = EEXIST;
    return -1;
}

xenforeignmemory_resource_handle *xenforeignmemory_map_resource(
    xenforeignmemory_handle *handle, domid_t domain, unsigned int type, unsigned int id, unsigned long frame,
    unsigned long frames, void **address, int protection, int flags)
{
    (void)handle;
    (void)domain;
    (void)type;
    (void)frame;
    (void)protection;
    (void)flags;
    assert_true(id == SERVER && frames == 1);
    errno = ENOMEM;
    if (xen.page_fails) {
        return NULL;
    }
    *address = xen.page;
    xen.page_mappings++;
    return (xenforeignmemory_resource_handle *)(void *)&xen;
}

int xenforeignmemory_unmap_resource(xenforeignmemory_handle *handle, xenforeignmemory_resource_handle *resource)
{
    (void)handle;
    assert_non_null(resource);
    xen.page_mappings--;
    return 0;
}

/* What is reserved in place of memory of the guest unmaps it. */
void *__real_mmap64(void *where, size_t size, int protection, int flags, int file, off_t offset);
void *__wrap_mmap64(void *where, size_t size, int protection, int flags, int file, off_t offset);
void *__wrap_mmap64(void *where, size_t size, int protection, int flags, int file, off_t offset)
{
    xen.mapped -= (flags & MAP_FIXED) && protection == PROT_NONE ? size : 0;
    return __real_mmap64(where, size, protection, flags, file, offset);
}

/* The guest's memory is zeros with each page's frame number at its begin. */
void *xenforeignmemory_map2(xenforeignmemory_handle *handle, uint32_t domain, void *where, int protection, int flags,
                            size_t pages, const xen_pfn_t frame[], int error[])
{
    unsigned char *memory = mmap(where, pages * PAGE, protection, flags | MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    (void)handle;
    (void)domain;
    xen.mapped += pages * PAGE; /* also if it fails: then the place is reserved anew */
    if (xen.map_error) {
        errno = xen.map_error;
        return NULL;
    }
    assert_ptr_equal(memory, where);
    for (size_t i = 0; i < pages; i++) {
        error[i] = frame[i] == xen.bad_frame ? -ENOENT : 0;
        memcpy(memory + i * PAGE, &frame[i], sizeof(frame[i]));
    }
    return memory;
}

void *xengnttab_map_domain_grant_refs(xengnttab_handle *handle, uint32_t count, uint32_t domain, uint32_t *references,
                                      int protection)
{
    (void)handle;
    (void)count;
    (void)domain;
    (void)references;
    (void)protection;
    return NULL;
}

int xengnttab_grant_copy(xengnttab_handle *handle, uint32_t count, xengnttab_grant_copy_segment_t *segment)
{
    (void)handle;
    xen.copies++;
    for (uint32_t i = 0; i < count; i++) {
        const bool out = segment[i].flags == GNTCOPY_dest_gref;
        const uint32_t reference = out ? segment[i].dest.foreign.ref : segment[i].source.foreign.ref;
        const uint32_t offset = out ? segment[i].dest.foreign.offset : segment[i].source.foreign.offset;
        const domid_t domain = out ? segment[i].dest.foreign.domid : segment[i].source.foreign.domid;
        unsigned char *const memory = out ? segment[i].source.virt : segment[i].dest.virt;

        assert_true(domain == DOMAIN && segment[i].len > 0 && offset + segment[i].len <= PAGE);
        segment[i].status = GNTST_okay;
        if (reference - GRANTED >= GRANTED_PAGES) {
            segment[i].status = GNTST_bad_gntref;
        } else if (out) {
            memcpy(xen.granted[reference - GRANTED] + offset, memory, segment[i].len);
        } else {
            memcpy(memory, xen.granted[reference - GRANTED] + offset, segment[i].len);
        }
    }
    return 0;
}

int xengnttab_unmap(xengnttab_handle *handle, void *memory, uint32_t count)
{
    (void)handle;
    (void)memory;
    (void)count;
    return 0;
}

int xenevtchn_fd(xenevtchn_handle *handle)
{
    (void)handle;
    return xen.evtchn[0];
}

/* Ports become pending. */
static void raise_ports(const evtchn_port_t *port, unsigned int count)
{
    assert_int_equal(send(xen.evtchn[1], port, count * sizeof(*port), 0), count * sizeof(*port));
}

static void raise_port(evtchn_port_t port)
{
    raise_ports(&port, 1);
}

/* And have been unmasked, in whatever pieces. */
static void expect_unmasked(const evtchn_port_t *port, unsigned int count)
{
    evtchn_port_t unmasked[2 * PORTS];

    assert_int_equal(recv(xen.evtchn[1], unmasked, sizeof(unmasked), MSG_DONTWAIT), count * sizeof(*port));
    assert_memory_equal(unmasked, port, count * sizeof(*port));
}

/* The channel from us to us. */
xenevtchn_port_or_error_t xenevtchn_bind_unbound_port(xenevtchn_handle *handle, uint32_t domain)
{
    (void)handle;
    assert_int_equal(domain, DOMID_SELF);
    assert_false(xen.restricted);
    return WAKE_NEAR;
}

xenevtchn_port_or_error_t xenevtchn_bind_interdomain(xenevtchn_handle *handle, uint32_t domain, evtchn_port_t port)
{
    (void)handle;
    if (domain == DOMID_SELF) {
        assert_int_equal(port, WAKE_NEAR);
        assert_false(xen.restricted);
        return WAKE_FAR;
    }
    assert_int_equal(domain, DOMAIN);
    errno = EINVAL;
    if (port == xen.bogus) {
        return -1;
    }
    return (xenevtchn_port_or_error_t)++xen.ports;
}

int xenevtchn_unbind(xenevtchn_handle *handle, evtchn_port_t port)
{
    (void)handle;
    assert_true(port && port <= xen.ports);
    return 0;
}

int xenevtchn_notify(xenevtchn_handle *handle, evtchn_port_t port)
{
    (void)handle;
    xen.notified = port;
    if (port == WAKE_NEAR) {
        raise_port(WAKE_FAR);
    }
    return 0;
}

/* The tests. */
static const struct platform_options whole = { .domain = DOMAIN };

static int set_up(void **state)
{
    (void)state;
    memset(&xen, 0, sizeof(xen));
    xen.vcpus = 2;
    xen.adopt = -ENOENT;
    return socketpair(AF_UNIX, SOCK_STREAM, 0, xen.evtchn);
}

static int tear_down(void **state)
{
    (void)state;
    return close(xen.evtchn[0]) || close(xen.evtchn[1]) ? -1 : 0;
}

/* So many descriptors are open that the next one would be this. */
static int next_descriptor(void)
{
    const int next = dup(0);

    assert_true(next >= 0);
    assert_int_equal(close(next), 0);
    return next;
}

static void check_refused(const struct platform_options *options, int result, const char *sentence)
{
    const int next = next_descriptor();
    struct platform *platform = NULL;
    const char *error = NULL;

    assert_int_equal(platform_create(&platform, options, &error), result);
    assert_null(platform);
    assert_non_null(error);
    assert_non_null(strstr(error, sentence));
    assert_int_equal(xen.servers, 0);
    assert_int_equal(xen.page_mappings, 0);
    assert_int_equal(xen.handles, 0);
    assert_int_equal(next_descriptor(), next);
}

static struct platform *attach(const struct platform_options *options)
{
    struct platform *platform = NULL;
    const char *error = NULL;

    assert_int_equal(platform_create(&platform, options, &error), 0);
    assert_null(error);
    return platform;
}

static void detach(struct platform *platform)
{
    platform_destroy(platform);
    assert_int_equal(xen.page_mappings, 0);
    assert_int_equal(xen.handles, 0);
}

struct accesses {
    unsigned int count;
    uint64_t address;
    bool write;
};

static uint64_t count_access(void *opaque, uint64_t address, unsigned int size, bool write, uint64_t data)
{
    struct accesses *accesses = opaque;

    (void)size;
    (void)data;
    accesses->count++;
    accesses->address = address;
    accesses->write = write;
    return 0x1234;
}

static void ask(unsigned int vcpu)
{
    const uint32_t port = slot(vcpu)->vp_eport;

    *slot(vcpu) = (struct ioreq){
        .addr = ECAM_BASE, .size = 2, .count = 1, .dir = IOREQ_READ, .type = IOREQ_TYPE_COPY,
        .state = STATE_IOREQ_READY, .vp_eport = port,
    };
}

static void check_serves(struct platform *platform)
{
    struct accesses accesses = { 0 };

    ask(1);
    raise_port(2);
    xen.notified = 0;
    assert_int_equal(platform_serve(platform, false, count_access, &accesses), 0);
    assert_int_equal(accesses.count, 1);
    assert_int_equal(slot(1)->state, STATE_IORESP_READY);
    assert_int_equal(slot(1)->data, 0x1234);
    assert_int_equal(xen.notified, 2);
}

static void test_describe_refused(void **state)
{
    (void)state;
    xen.describe = -ESRCH;
    check_refused(&whole, -ENOENT, "there is no such domain");
    xen.describe = -ENOENT;
    check_refused(&whole, -ENOENT, "no secondary PCI host bridge of that index");
    xen.describe = -EPERM;
    check_refused(&whole, -EPERM, "may not be a device model for that domain");
    xen.describe = -EOPNOTSUPP;
    check_refused(&whole, -ENODEV, "built without CONFIG_IOREQ_PCI");
    xen.describe = -EFAULT;
    check_refused(&whole, -EFAULT, "Xen does not describe the bridge");
    check_refused(&(struct platform_options){ .domain = DOMID_FIRST_RESERVED }, -ENOENT, "not a domain id");
}

/* Nothing is asked of Xen before (see __wrap_ioctl()). */
static void test_restricted_to_the_guest(void **state)
{
    (void)state;
    xen.restrict_fails = true;
    check_refused(&whole, -ENODEV, "cannot restrict itself to the domain");
    xen.restrict_fails = false;
    detach(attach(&whole));
}

static void test_more_than_128_vcpus(void **state)
{
    (void)state;
    xen.vcpus = 129;
    check_refused(&whole, -E2BIG, "too many vCPUs");
    xen.vcpus = 128;
    detach(attach(&whole));
}

static void test_second_device_model(void **state)
{
    (void)state;
    xen.state = BRIDGE_STATUS_STATE_READY;
    check_refused(&whole, -EBUSY, "another device model serves this bridge");
    detach(attach(&(struct platform_options){ .domain = DOMAIN, .shared = true, .function = 8 }));
}

/* It is left alone, and so are the others' claims: there is a device model then, or this one is the next to try. */
static void test_an_orphan_that_another_one_adopts(void **state)
{
    (void)state;
    xen.adopting = 4;
    xen.state = BRIDGE_STATUS_STATE_READY;
    check_refused(&whole, -EBUSY, "another device model serves this bridge");
    assert_int_equal(xen.naps, 4);
    assert_int_equal(xen.adopting, 0);
    xen.state = 0;
    xen.adopting = UINT32_MAX;
    check_refused(&whole, -EBUSY, "another device model serves this bridge");
    assert_int_equal(xen.servers, 0);
}

static void test_no_place_for_a_server(void **state)
{
    (void)state;
    xen.full = 3;
    detach(attach(&whole));
    assert_int_equal(xen.naps, 3);
    xen.full = UINT32_MAX;
    check_refused(&whole, -ENOSPC, "has all its ioreq servers already");
}

static void test_page_or_enable_fails(void **state)
{
    (void)state;
    xen.page_fails = true;
    check_refused(&whole, -ENOMEM, "cannot create an ioreq server");
    xen.page_fails = false;
    xen.enable_fails = true;
    check_refused(&whole, -ENOMEM, "cannot create an ioreq server");
}

static void test_vp_eport_bogus(void **state)
{
    (void)state;
    xen.bogus = 101;
    check_refused(&whole, -EINVAL, "cannot create an ioreq server");
    xen.bogus = 0;
    detach(attach(&whole));
}

/* An event of no port of ours, and a slot of a vCPU that there is not. */
static void test_event_for_no_vcpu(void **state)
{
    struct platform *platform = attach(&whole);
    struct accesses accesses = { 0 };

    (void)state;
    ask(2);
    raise_port(PORT_NONE);
    raise_port(1);
    assert_int_equal(platform_serve(platform, false, count_access, &accesses), 0);
    assert_int_equal(accesses.count, 0);
    assert_int_equal(slot(2)->state, STATE_IOREQ_READY);
    assert_int_equal(xen.notified, 0);
    check_serves(platform);
    detach(platform);
    assert_int_equal(xen.servers, 0);
}

/* As many ports as there are in one system call, up to 64; what is left is for the next one. */
static void test_events_come_in_batches(void **state)
{
    struct platform *platform = attach(&whole);
    struct accesses accesses = { 0 };
    evtchn_port_t ports[100];

    (void)state;
    assert_int_equal(platform_bind(platform, BELL, 2), 0);
    for (unsigned int i = 0; i < 100; i++) {
        ports[i] = xen.ports;
    }
    raise_ports(ports, 100);
    xen.system_calls = 0;
    assert_int_equal(platform_serve(platform, true, count_access, &accesses), 0);
    assert_int_equal(accesses.count, 64);
    assert_int_equal(xen.system_calls, 2); /* read, and write to unmask */
    assert_int_equal(platform_serve(platform, false, count_access, &accesses), 0);
    assert_int_equal(accesses.count, 100);
    expect_unmasked(ports, 100);
    xen.system_calls = 0;
    assert_int_equal(platform_serve(platform, false, count_access, &accesses), 0); /* does not wait */
    assert_int_equal(xen.system_calls, 1);
    assert_int_equal(accesses.count, 100);
    detach(platform);
}

/* The platform's share of one request: the doorbell comes, the interrupt goes. The read is loop.c's: test_loop.c. */
static void test_system_calls_of_a_request(void **state)
{
    struct platform *platform = attach(&whole);
    struct accesses accesses = { 0 };

    (void)state;
    assert_int_equal(platform_bind(platform, BELL, 2), 0);
    raise_port(xen.ports);
    xen.system_calls = 0;
    assert_int_equal(platform_serve(platform, true, count_access, &accesses), 0);
    assert_int_equal(platform_interrupt(platform, 44, true), 0);
    assert_int_equal(accesses.count, 1);
    assert_int_equal(xen.system_calls, 3); /* read, write, ioctl */
    detach(platform);
}

static void test_guest_gone(void **state)
{
    struct platform *platform = attach(&whole);
    struct accesses accesses = { 0 };

    (void)state;
    platform_wake(platform);
    assert_int_equal(platform_serve(platform, true, count_access, &accesses), 0);
    check_serves(platform);
    xen.gone = ESRCH;
    platform_wake(platform);
    assert_int_equal(platform_serve(platform, false, count_access, &accesses), -ENODEV);
    detach(platform);
    assert_int_equal(xen.servers, 1); /* it went with the guest: not destroyed once more */
}

/* Another domain has got the id: it has no server of ours. Any other error is no sign that the guest is gone. */
static void test_domain_id_is_used_again(void **state)
{
    struct platform *platform = attach(&whole);
    struct accesses accesses = { 0 };

    (void)state;
    xen.gone = EPERM;
    platform_wake(platform);
    assert_int_equal(platform_serve(platform, true, count_access, &accesses), 0);
    check_serves(platform);
    xen.gone = ENOENT;
    platform_wake(platform);
    assert_int_equal(platform_serve(platform, true, count_access, &accesses), -ENODEV);
    detach(platform);
    assert_int_equal(xen.servers, 1); /* the new domain's, if it has one by now, is left alone */
}

/* /dev/xen/evtchn gives an error, or does not take back what it gave: the end, not a loop without one. */
static void test_event_channel_breaks(void **state)
{
    struct platform *platform = attach(&whole);
    struct accesses accesses = { 0 };
    const int nothing = open("/dev/null", O_WRONLY);
    const int channel = xen.evtchn[0];

    (void)state;
    for (unsigned int wait = 0; wait < 2; wait++) {
        xen.evtchn[0] = nothing;
        assert_int_equal(platform_serve(platform, wait != 0, count_access, &accesses), -EBADF);
        xen.evtchn[0] = channel;
    }
    check_serves(platform);
    raise_port(1);
    assert_true(signal(SIGPIPE, SIG_IGN) != SIG_ERR);
    assert_int_equal(shutdown(channel, SHUT_WR), 0);
    assert_int_equal(platform_serve(platform, true, count_access, &accesses), -EIO);
    assert_int_equal(accesses.count, 0);
    assert_int_equal(close(nothing), 0);
    detach(platform);
}

static void test_memory(void **state)
{
    struct platform *platform = attach(&whole);
    xen_pfn_t *frame;

    (void)state;
    frame = platform_map(platform, RAM_BASE + PIECE - PAGE, 2 * PAGE, true);
    assert_non_null(frame);
    assert_int_equal(frame[0], (RAM_BASE + PIECE) / PAGE - 1);
    assert_int_equal(frame[PAGE / sizeof(*frame)], (RAM_BASE + PIECE) / PAGE);
    assert_ptr_equal(platform_map(platform, RAM_BASE + PIECE, PAGE, false), frame + PAGE / sizeof(*frame));
    assert_non_null(platform_map(platform, RAM_BASE + RAM_SIZE - 1, 1, true));

    assert_null(platform_map(platform, RAM_BASE - 1, 1, true));
    assert_null(platform_map(platform, RAM_BASE - 1, 2, true));
    assert_null(platform_map(platform, RAM_BASE + RAM_SIZE, 1, true));
    assert_null(platform_map(platform, RAM_BASE + RAM_SIZE - 1, 2, true));
    assert_null(platform_map(platform, RAM_BASE + 1, UINT64_MAX, true));
    assert_null(platform_map(platform, RAM_BASE, 0, true));
    assert_null(platform_map(platform, BELL, PAGE, true));
    detach(platform);
}

/* A page that the guest has given back cannot be mapped, and all others of its piece can; later it may be there. */
static void test_page_given_back(void **state)
{
    const uint64_t absent = RAM_BASE + PIECE + 7 * PAGE;
    struct platform *platform = attach(&whole);

    (void)state;
    xen.bad_frame = absent / PAGE;
    assert_null(platform_map(platform, absent, 1, true));
    assert_null(platform_map(platform, absent - 1, 2, true));
    assert_null(platform_map(platform, RAM_BASE, 2 * PIECE, true));
    assert_non_null(platform_map(platform, RAM_BASE + PIECE - PAGE, 8 * PAGE, true));
    assert_non_null(platform_map(platform, absent + PAGE, PIECE - 8 * PAGE, true));
    assert_non_null(platform_map(platform, RAM_BASE, PIECE, true));
    xen.bad_frame = 0;
    assert_non_null(platform_map(platform, absent, PAGE, true));
    check_serves(platform);
    detach(platform);
}

/* Neither the library's failure nor that of a single page is more than an error to who asked. */
static void test_no_memory_to_map(void **state)
{
    struct platform *platform = attach(&whole);
    void *memory;

    (void)state;
    for (unsigned int i = 0; i < 3; i++) {
        const int errors[] = { ENOMEM, EAGAIN, ENOBUFS };

        xen.map_error = errors[i]; /* a device model that tried again later, as of its own -EAGAIN, would for ever */
        assert_null(platform_map(platform, RAM_BASE, PAGE, true));
        assert_int_equal(platform_map_buffer(platform, RAM_BASE, PAGE, true, &memory), -EAGAIN);
        assert_false(platform_turn(platform));
        assert_int_equal(platform_map_buffer(platform, RAM_BASE, PAGE, true, &memory), -ENOMEM);
        assert_false(platform_turn(platform));
    }
    xen.map_error = 0;
    assert_non_null(platform_map(platform, RAM_BASE, PAGE, true));
    check_serves(platform);
    detach(platform);
}

static void invalidate(unsigned int vcpu, bool half_done)
{
    const uint32_t port = slot(vcpu)->vp_eport;

    *slot(vcpu) = (struct ioreq){
        .data = UINT64_MAX, .size = 4, .dir = IOREQ_WRITE, .type = IOREQ_TYPE_INVALIDATE,
        .state = half_done ? STATE_IOREQ_INPROCESS : STATE_IOREQ_READY,
        .vp_eport = port,
    };
}

/*
 * The guest has exchanged memory: what is mapped is dropped before its vCPUs go on, and not mapped before that. Events
 * that come meanwhile, and accesses of other vCPUs, change nothing.
 */
static void test_invalidate(void **state)
{
    struct platform *platform = attach(&whole);
    struct accesses accesses = { 0 };
    void *ring, *buffer;

    (void)state;
    ring = platform_map(platform, RAM_BASE, PAGE, true);
    assert_non_null(ring);
    assert_false(platform_turn(platform));
    assert_int_equal(platform_map_buffer(platform, RAM_BASE + PIECE, PAGE, true, &buffer), 0);
    assert_int_equal(xen.mapped, 2 * PIECE);
    invalidate(0, false);
    xen.notified = 0;
    for (unsigned int i = 0; i < 2; i++) {
        raise_port(1);
        assert_int_equal(platform_serve(platform, false, count_access, &accesses), 0);
        assert_int_equal(slot(0)->state, STATE_IOREQ_INPROCESS);
        assert_true(platform_memory_changed(platform));
    }
    assert_int_equal(xen.notified, 0);
    check_serves(platform);
    assert_true(platform_drop_memory(platform));
    assert_int_equal(xen.mapped, 2 * PIECE); /* in use */
    platform_unmap_buffer(platform, buffer, PAGE);
    assert_true(platform_drop_memory(platform));
    assert_int_equal(xen.mapped, PIECE);
    platform_unmap(platform, ring, PAGE);
    assert_true(platform_drop_memory(platform));
    assert_int_equal(xen.mapped, 0);
    xen.notified = 0;
    assert_int_equal(platform_memory_renewed(platform), 0);
    assert_false(platform_memory_changed(platform));
    assert_int_equal(slot(0)->state, STATE_IORESP_READY);
    assert_int_equal(xen.notified, 1);
    assert_int_equal(platform_counters(platform).invalidations, 1);
    assert_int_equal(platform_counters(platform).malformed, 0);
    assert_int_equal(accesses.count, 0);
    detach(platform);
}

/* Its predecessor was killed while it did that. */
static void test_invalidate_left_half_done(void **state)
{
    struct platform_options options = whole;
    struct platform *platform = attach(&whole);
    struct accesses accesses = { 0 };

    (void)state;
    assert_int_equal(platform_set_mark(platform, 77), 0);
    invalidate(0, true);
    invalidate(1, false);
    xen.adopt = 0;
    options.mark = 77;
    struct platform *next = attach(&options);
    assert_int_equal(platform_serve(next, false, count_access, &accesses), 0);
    assert_true(platform_memory_changed(next));
    assert_true(platform_drop_memory(next));
    assert_int_equal(platform_memory_renewed(next), 0);
    assert_int_equal(slot(0)->state, STATE_IORESP_READY);
    assert_int_equal(slot(1)->state, STATE_IORESP_READY);
    platform_destroy(next);
    xen.servers = 1;
    platform_destroy(platform);
}

/* Nobody can say of a guest with 128 vCPUs who served it. */
static void test_goes_on_or_starts_anew(void **state)
{
    struct platform_options options = whole;
    struct platform *platform = attach(&whole);
    struct accesses accesses = { 0 };

    (void)state;
    assert_false(platform_resumed(platform));
    assert_int_equal(platform_set_mark(platform, 77), 0);
    assert_int_equal(platform_claim(platform, ECAM_BASE, PAGE), 0);
    assert_int_equal(platform_claim(platform, ECAM_BASE, PAGE), -EEXIST);
    ask(0);

    /* It was killed: its server and its claim are there. The right mark adopts both, and answers what waits. */
    xen.adopt = 0;
    options.mark = 77;
    struct platform *next = attach(&options);
    assert_true(platform_resumed(next));
    assert_int_equal(platform_claim(next, ECAM_BASE, PAGE), 0);
    assert_int_equal(platform_claim_function(next, 0x0a), 0);
    assert_int_equal(platform_serve(next, false, count_access, &accesses), 0);
    assert_int_equal(accesses.count, 1);
    assert_int_equal(slot(0)->state, STATE_IORESP_READY);
    assert_int_equal(xen.servers, 1);
    /* All that the predecessor had has been claimed: what is refused now is somebody else's. */
    xen.claimed = BELL;
    assert_int_equal(platform_claim(next, BELL, PAGE), -EEXIST);
    assert_int_equal(platform_claim_function(next, 0x0a), -EEXIST);
    xen.claimed = ECAM_BASE;
    platform_destroy(next);
    assert_int_equal(xen.servers, 0);

    /* Another mark: the server goes, and the function may be somebody else's. */
    xen.servers = 1;
    options.mark = 78;
    next = attach(&options);
    assert_false(platform_resumed(next));
    assert_int_equal(platform_claim_function(next, 0x0a), -EEXIST);
    assert_int_equal(platform_claim(next, ECAM_BASE, PAGE), -EEXIST);
    platform_destroy(next);
    assert_int_equal(xen.servers, 0);

    xen.servers = 1;
    platform_destroy(platform); /* as the end of the killed process would */

    xen.adopt = -ENOENT;
    xen.vcpus = 128;
    platform = attach(&whole);
    assert_int_equal(platform_set_mark(platform, 79), -EOPNOTSUPP);
    detach(platform);
}

static void test_doorbells(void **state)
{
    struct platform *platform = attach(&whole);
    struct accesses accesses = { 0 };

    (void)state;
    xen.bind = -EOPNOTSUPP;
    assert_int_equal(platform_bind(platform, BELL, 2), -EOPNOTSUPP);
    xen.bind = 0;
    xen.bogus = 200;
    assert_int_equal(platform_bind(platform, BELL, 2), -EINVAL);
    assert_int_equal(xen.bells, 0);
    xen.bogus = 0;

    assert_int_equal(platform_bind(platform, BELL, 2), 0);
    raise_port(xen.ports);
    assert_int_equal(platform_serve(platform, false, count_access, &accesses), 0);
    assert_true(accesses.count == 1 && accesses.address == BELL && accesses.write);
    assert_int_equal(platform_counters(platform).doorbells, 1);
    assert_int_equal(platform_counters(platform).requests, 0);

    /* A last event may come after it is unbound. */
    platform_unbind(platform, BELL);
    platform_unbind(platform, BELL);
    assert_int_equal(xen.bells, 0);
    raise_port(xen.ports);
    assert_int_equal(platform_serve(platform, false, count_access, &accesses), 0);
    assert_int_equal(accesses.count, 1);

    for (unsigned int i = 0; i < BRIDGE_DOORBELLS; i++) {
        assert_int_equal(platform_bind(platform, BELL + 2 * i, 2), 0);
    }
    assert_int_equal(platform_bind(platform, BELL + 2 * BRIDGE_DOORBELLS, 2), -ENOSPC);
    check_serves(platform);
    detach(platform);
}

static void test_interrupt_refused(void **state)
{
    struct platform *platform = attach(&whole);

    (void)state;
    assert_int_equal(platform_interrupt(platform, 44, true), 0);
    assert_int_equal(platform_interrupt(platform, 45, true), -EINVAL);
    detach(platform);
}

static void test_grants_alone(void **state)
{
    struct platform *platform;

    (void)state;
    xen.flags = BRIDGE_FLAG_GRANTS;
    platform = attach(&whole);
    assert_null(platform_map(platform, RAM_BASE, PAGE, true));
    assert_null(platform_map(platform, 1ull << 63 | PAGE, PAGE, true)); /* a reference that is not granted */
    /* Nothing is mapped for longer than it is granted: nothing is to be dropped. */
    invalidate(1, false);
    raise_port(2);
    assert_int_equal(platform_serve(platform, false, count_access, &(struct accesses){ 0 }), 0);
    assert_int_equal(slot(1)->state, STATE_IORESP_READY);
    assert_int_equal(xen.notified, 2);
    assert_false(platform_memory_changed(platform));
    check_serves(platform);
    detach(platform);
}

static uint64_t granted(uint32_t reference, uint32_t offset)
{
    return 1ull << 63 | (uint64_t)reference << 12 | offset;
}

/* Whatever the shape, page by page, and by few system calls. */
static void test_copies(void **state)
{
    static unsigned char memory[5][PLATFORM_GRANT_BYTES];
    struct platform_copy piece[] = {
        { granted(GRANTED, 4095), memory[0], 2, true },
        { granted(GRANTED + 20, 100), memory[1], PLATFORM_GRANT_BYTES, true },
        { granted(GRANTED + 40, 0), memory[2], PLATFORM_GRANT_BYTES, true },
        { granted(GRANTED + 60, 4095), memory[3], PLATFORM_GRANT_BYTES, true },
        { granted(GRANTED + 80, 0), memory[4], PAGE, true },
    };
    struct platform_copy bad[] = {
        { granted(GRANTED + 99, 4000), memory[0], 97, false }, /* its last byte is not granted */
        { granted(GRANTED + 99, 4000), memory[0], 96, true },
        { RAM_BASE, memory[0], 1, false },
    };
    struct platform *platform;

    (void)state;
    xen.flags = BRIDGE_FLAG_GRANTS;
    platform = attach(&whole);
    for (unsigned int i = 0; i < sizeof(xen.granted); i++) {
        xen.granted[i / PAGE][i % PAGE] = (unsigned char)(i * 7 + i / PAGE);
    }
    platform_copy(platform, piece, 5, false);
    platform_copy_end(platform);
    assert_int_equal(xen.copies, 2);
    assert_memory_equal(memory[0], &xen.granted[0][4095], 2);
    assert_memory_equal(memory[1], &xen.granted[20][100], PLATFORM_GRANT_BYTES);
    assert_memory_equal(memory[2], &xen.granted[40][0], PLATFORM_GRANT_BYTES);
    assert_memory_equal(memory[3], &xen.granted[60][4095], PLATFORM_GRANT_BYTES);
    assert_memory_equal(memory[4], xen.granted[80], PAGE);

    memset(memory, 0x5a, sizeof(memory));
    platform_copy(platform, &piece[1], 1, true);
    platform_copy(platform, &piece[0], 1, true);
    assert_int_equal(xen.copies, 2); /* until all that is wanted is known */
    platform_copy_end(platform);
    platform_copy_end(platform);
    assert_int_equal(xen.copies, 3);
    assert_memory_equal(&xen.granted[0][4095], memory[0], 2);
    assert_memory_equal(&xen.granted[20][100], memory[1], PLATFORM_GRANT_BYTES);
    assert_int_equal(xen.granted[20][99], (unsigned char)((20 * PAGE + 99) * 7 + 20));
    assert_int_not_equal(xen.granted[36][100], 0x5a);

    for (unsigned int i = 0; i < 5; i++) {
        assert_false(piece[i].failed);
    }
    platform_copy(platform, bad, 3, false);
    platform_copy_end(platform);
    assert_true(bad[0].failed && !bad[1].failed && bad[2].failed);
    assert_int_equal(xen.copies, 4);
    detach(platform);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_describe_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_restricted_to_the_guest, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_more_than_128_vcpus, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_second_device_model, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_an_orphan_that_another_one_adopts, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_no_place_for_a_server, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_page_or_enable_fails, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_vp_eport_bogus, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_event_for_no_vcpu, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_events_come_in_batches, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_system_calls_of_a_request, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_guest_gone, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_domain_id_is_used_again, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_event_channel_breaks, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_memory, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_page_given_back, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_no_memory_to_map, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_invalidate, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_invalidate_left_half_done, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_goes_on_or_starts_anew, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_doorbells, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_interrupt_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_grants_alone, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_copies, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
