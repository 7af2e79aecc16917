/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * As much of Xen as xen/ioreq-pci/ uses, for user space.
 *
 * The hypervisor's real files are compiled against this one header: every name that they include below xen/, asm/ and
 * public/ is a link to it. What is declared here behaves as the interface of Xen of that name does, and checks its
 * caller besides: see stubs/. Written for these tests; nothing of it is taken from Xen.
 *
 * Fields that Xen itself changes while another processor looks at them without a lock are atomic here, so that
 * ThreadSanitizer reports the races of our files and not those.
 */
#ifndef TESTS_HYPERVISOR_H
#define TESTS_HYPERVISOR_H

#include <errno.h>
#include <inttypes.h>
#include <libfdt.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <xen/hvm/ioreq.h>

/* The guest's memory layout, as an assembler would read it: see bridge/environment.h. */
#define __XEN_TOOLS__ 1
#define __ASSEMBLY__ 1
#define xen_mk_ullong(number) number##ULL
#include <xen/arch-arm.h>
#undef __ASSEMBLY__

#define CONFIG_IOREQ_PCI 1
#define CONFIG_GICV3_ESPI 0
#define IS_ENABLED(option) (option)
#define CONFIG_IOREQ_SERVER 1

#define __init
#define __initdata
#define __initconst
#define __read_mostly
#define likely(x) (x)
#define unlikely(x) (x)

/* Neither adds a branch to the file that uses it. */
#define ASSERT(condition) hypervisor_assert(!!(condition), #condition, __FILE__, __LINE__)
#define ASSERT_UNREACHABLE() hypervisor_assert(false, "unreachable", __FILE__, __LINE__)
/* What differs on arm32: see test_binding.c and test_claims.c. */
extern unsigned int hypervisor_bits_per_long, hypervisor_virt_cpus;
#define BITS_PER_LONG hypervisor_bits_per_long
#undef ULONG_MAX
#define ULONG_MAX (~0ULL >> (64 - BITS_PER_LONG))
#define MAX_VIRT_CPUS hypervisor_virt_cpus

#define BUILD_BUG_ON(condition) _Static_assert(!(condition), #condition)
#define BUG_ON(condition) hypervisor_assert(!(condition), #condition, __FILE__, __LINE__)
void hypervisor_assert(bool good, const char *what, const char *file, int line);

/* An intended look without a lock: ThreadSanitizer does not see it. */
void hypervisor_access_once(void *to, const volatile void *from, size_t size);
#ifdef HYPERVISOR_SIMPLE_MACROS /* for a tool that does not read GCC's statement expressions */
#define ACCESS_ONCE(x) (x)
#else
#define ACCESS_ONCE(x) \
    ({ __typeof__((x) + 0) value_ = 0; hypervisor_access_once(&value_, &(x), sizeof(x)); value_; })
#endif
#define smp_rmb() __atomic_thread_fence(__ATOMIC_ACQUIRE)
#define smp_wmb() __atomic_thread_fence(__ATOMIC_RELEASE)
#define smp_mb() __atomic_thread_fence(__ATOMIC_SEQ_CST)

#define min(x, y) ({ __typeof__(x) x_ = (x); __typeof__(y) y_ = (y); x_ < y_ ? x_ : y_; })
#define max(x, y) ({ __typeof__(x) x_ = (x); __typeof__(y) y_ = (y); x_ > y_ ? x_ : y_; })
#define min_t(type, x, y) min((type)(x), (type)(y))
#define MIN(x, y) ((x) < (y) ? (x) : (y))
#define MAX(x, y) ((x) > (y) ? (x) : (y))
#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))
#define container_of(pointer, type, member) ((type *)((char *)(pointer) - offsetof(type, member)))

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef uint32_t __be32;
typedef uint64_t paddr_t;
typedef int64_t s_time_t;
typedef uint16_t domid_t;
#define DOMID_INVALID 0x7ff4U
typedef uint16_t ioservid_t;
typedef uint32_t evtchn_port_t;
/* Unsigned, other than the C library's. */
#define register_t hypervisor_register_t
typedef unsigned long register_t;

struct domain;
struct vcpu;

/* Console: what is printed is kept, and may be looked for. "%pd" is printed as an address and a 'd'. */
#define XENLOG_ERR "<0>"
#define XENLOG_WARNING "<1>"
#define XENLOG_INFO "<2>"
#define XENLOG_G_ERR "<0>"
#define XENLOG_G_WARNING "<1>"
#define XENLOG_G_INFO "<2>"
void printk(const char *format, ...);

/* Memory: allocations are counted; they may be told to fail, and not to happen. */
void *hypervisor_allocate(size_t size);
void xfree(void *memory);
#define xzalloc(type) ((type *)hypervisor_allocate(sizeof(type)))
#define xzalloc_array(type, count) ((type *)hypervisor_allocate(sizeof(type) * (count)))
#define xzalloc_bytes(size) hypervisor_allocate(size)
#define xmalloc(type) xzalloc(type)
#define xmalloc_array(type, count) xzalloc_array(type, count)
#define xzalloc_flex_struct(type, field, count) \
    ((type *)hypervisor_allocate(offsetof(type, field) + sizeof(((type *)NULL)->field[0]) * (count)))
#define XFREE(pointer) do { xfree(pointer); (pointer) = NULL; } while ( 0 )

/* Lists. */
struct list_head {
    struct list_head *next, *prev;
};
#define list_for_each_entry(position, head, member) \
    for ( position = container_of((head)->next, __typeof__(*position), member); &position->member != (head); \
          position = container_of(position->member.next, __typeof__(*position), member) )

/*
 * Locks: a lock's class is the text it was initialised with. Taking a lock again, giving back another's and taking two
 * classes in an order other than the documented one, or than one seen before, are failures.
 */
typedef struct hypervisor_lock {
    pthread_mutex_t mutex;
    unsigned int class;
    unsigned int depth;      /* of the holder */
    void *_Atomic holder;
} spinlock_t;
void hypervisor_lock_init(struct hypervisor_lock *lock, const char *class);
void hypervisor_lock_destroy(struct hypervisor_lock *lock);
#define spin_lock_init(lock) hypervisor_lock_init(lock, #lock)
void spin_lock(spinlock_t *lock);
void spin_unlock(spinlock_t *lock);
void rspin_lock(spinlock_t *lock);
void rspin_unlock(spinlock_t *lock);
/* Stronger than Xen's: held by this very thread. */
bool spin_is_locked(spinlock_t *lock);
#define rspin_is_locked(lock) spin_is_locked(lock)

/* Time: moves only when a test says so. */
#define STIME_MAX INT64_MAX
#define MICROSECS(us) ((s_time_t)(us) * 1000)
#define MILLISECS(ms) ((s_time_t)(ms) * 1000000)
#define SECONDS(s) ((s_time_t)(s) * 1000000000)
s_time_t NOW(void);
uint64_t get_cycles(void);
static inline unsigned int smp_processor_id(void) { return 0; }

struct timer {
    void (*function)(void *data);
    void *data;
    s_time_t expires;
    bool active, killed, running;
    struct timer *next;
};
void init_timer(struct timer *timer, void (*function)(void *), void *data, unsigned int cpu);
void set_timer(struct timer *timer, s_time_t expires);
void stop_timer(struct timer *timer);
void kill_timer(struct timer *timer);

struct tasklet {
    void (*function)(void *data);
    void *data;
    bool scheduled, killed, running;
    struct tasklet *next;
};
void tasklet_init(struct tasklet *tasklet, void (*function)(void *), void *data);
void tasklet_schedule(struct tasklet *tasklet);
void tasklet_kill(struct tasklet *tasklet);

/* Sets of ranges, inclusive bounds. */
struct rangeset;
struct rangeset *rangeset_new(struct domain *d, const char *name, unsigned int flags);
void rangeset_destroy(struct rangeset *r);
int rangeset_add_range(struct rangeset *r, unsigned long s, unsigned long e);
int rangeset_remove_range(struct rangeset *r, unsigned long s, unsigned long e);
bool rangeset_contains_range(struct rangeset *r, unsigned long s, unsigned long e);
bool rangeset_overlaps_range(struct rangeset *r, unsigned long s, unsigned long e);

/* Exceptions. */
struct cpu_user_regs {
    register_t x[31];
};
struct hsr_dabt {
    unsigned int write : 1;
    unsigned int cache : 1;
    unsigned int reg : 5;
    unsigned int sign : 1;
    unsigned int size : 2;
    unsigned int valid : 1;
};
enum instr_decode_state {
    INSTR_ERROR,
    INSTR_VALID,
    INSTR_LDR_STR_POSTINDEXING,
    INSTR_CACHE,
};
typedef struct {
    struct hsr_dabt dabt;
    struct instr_details {
        enum instr_decode_state state;
    } dabt_instr;
    paddr_t gpa;
} mmio_info_t;
enum io_state {
    IO_ABORT,
    IO_HANDLED,
    IO_UNHANDLED,
    IO_RETRY,
};
/* Fails when the value has bits above the size of the access, as Xen's newer handle_read() does. */
register_t sign_extend(struct hsr_dabt dabt, register_t value);
void set_user_reg(struct cpu_user_regs *regs, int reg, register_t value);
register_t get_user_reg(struct cpu_user_regs *regs, int reg);
enum io_state try_fwd_ioserv(struct cpu_user_regs *regs, struct vcpu *v, mmio_info_t *info);
enum io_state handle_ioserv(struct cpu_user_regs *regs, struct vcpu *v);

/* Domains. */
#define MAX_NR_IOREQ_SERVERS 8
#define CDF_directmap (1u << 1)
#define HYPERVISOR_VCPUS 4
#define HYPERVISOR_EVENT_CHANNELS 512
#define HYPERVISOR_INTERRUPTS 1020

enum { ECS_FREE, ECS_RESERVED, ECS_UNBOUND, ECS_INTERDOMAIN };
struct evtchn {
    _Atomic unsigned int state;
    domid_t remote;
    unsigned int pending; /* how often it was set pending while bound */
};

struct mmio_handler {
    paddr_t addr;
    paddr_t size;
};
struct vmmio {
    int num_entries;
    struct mmio_handler handlers[16];
};
struct p2m_domain {
    bool locked;
};
struct ioreq_pci;
struct arch_domain {
    struct ioreq_pci *ioreq_pci;
    struct vmmio vmmio;
    struct {
        unsigned long allocated_irqs[HYPERVISOR_INTERRUPTS / (8 * sizeof(long)) + 1];
    } vgic;
    struct p2m_domain p2m;
};
struct vcpu_io {
    ioreq_t req;
    /* Of the stubs: the request waits for this server's answer. */
    _Atomic bool pending;
    ioservid_t server;
};
struct vcpu {
    struct domain *domain;
    int vcpu_id;
    _Atomic bool is_running;
    _Atomic bool is_switched_out; /* of the stubs: all is done that follows */
    struct vcpu_io io;
};
struct domain {
    domid_t domain_id;
    _Atomic unsigned int is_dying;
    _Atomic bool is_shutting_down;
    unsigned int max_vcpus;
    int controller_pause_count;
    struct vcpu *vcpu[HYPERVISOR_VCPUS];
    struct {
        spinlock_t lock;
        struct ioreq_server *server[MAX_NR_IOREQ_SERVERS];
    } ioreq_server;
    struct arch_domain arch;

    /* What the stubs keep. */
    _Atomic int pause_count;
    _Atomic bool time_stopped;
    unsigned int times_stopped;
    uint64_t ticks_hidden; /* from the domain, by domain_vtimer_resume() */
    struct evtchn evtchn[HYPERVISOR_EVENT_CHANNELS];
};
#define for_each_vcpu(d, v) \
    for ( unsigned int vcpu_ = 0; vcpu_ < (d)->max_vcpus && ((v) = (d)->vcpu[vcpu_]) != NULL; vcpu_++ )
extern _Thread_local struct vcpu *current;
void domain_pause(struct domain *d);
int domain_kill(struct domain *d);
void process_pending_softirqs(void);
void domain_pause_nosync(struct domain *d);
int domain_pause_by_systemcontroller(struct domain *d);
void domain_unpause(struct domain *d);
void domain_vtimer_stop(struct domain *d);
void domain_vtimer_resume(struct domain *d, uint64_t ticks);

/* Event channels. */
typedef void (*xen_event_channel_notification_t)(struct vcpu *v, unsigned int port);
int alloc_unbound_xen_event_channel(struct domain *d, unsigned int vcpu, domid_t remote,
                                    xen_event_channel_notification_t notification);
void free_xen_event_channel(struct domain *d, int port);
void notify_via_xen_event_channel(struct domain *d, int port);
struct evtchn *evtchn_from_port(const struct domain *d, evtchn_port_t port);

/* Ioreq servers. */
#define XEN_DMOP_IO_RANGE_PORT 0
#define XEN_DMOP_IO_RANGE_MEMORY 1
#define XEN_DMOP_IO_RANGE_PCI 2
struct ioreq_page {
    void *va;
};
struct ioreq_vcpu {
    struct list_head list_entry;
    struct vcpu *vcpu;
    evtchn_port_t ioreq_evtchn;
};
struct ioreq_server {
    struct domain *target, *emulator;
    spinlock_t lock;
    struct ioreq_page ioreq;
    struct list_head ioreq_vcpu_list;
    struct rangeset *range[XEN_DMOP_IO_RANGE_PCI + 1];
    bool enabled;
    struct ioreq_vcpu vcpu[HYPERVISOR_VCPUS];
};
void ioreq_server_destroy_orphan(struct domain *d, ioservid_t id);
int ioreq_pci_map(struct domain *d, ioservid_t id, uint32_t type, uint64_t first, uint64_t last, bool claimed);
void ioreq_pci_unmap(struct domain *d, ioservid_t id, uint32_t type, uint64_t first, uint64_t last);
void ioreq_pci_server_gone(struct domain *d, ioservid_t id);
void ioreq_pci_emulator_closed(struct domain *d);
struct ioreq_server *ioreq_pci_select(struct domain *d, ioreq_t *p);

/* Hypercall arguments: a handle is a pointer, and may be told to fault. */
typedef struct {
    void *p;
} hypervisor_handle_t;
struct xen_dm_op_buf {
    hypervisor_handle_t h;
    uint64_t size;
};
struct dmop_args {
    domid_t domid;
    unsigned int nr_bufs;
    struct xen_dm_op_buf buf[2];
};
unsigned long hypervisor_copy(void *to, const void *from, size_t size);
#define copy_from_guest_offset(to, handle, offset, count) \
    hypervisor_copy(to, (char *)(handle).p + (offset), (count) * sizeof(*(to)))
#define copy_to_guest_offset(handle, offset, from, count) \
    hypervisor_copy((char *)(handle).p + (offset), from, (count) * sizeof(*(from)))
/* 0 for an index that is out of range. */
unsigned long hypervisor_index(unsigned long index, unsigned long count);
#define array_index_nospec(index, count) hypervisor_index(index, count)

/* The host's device tree: a node is what a test made of it. */
struct dt_property {
    const char *name;
    uint32_t length;
    void *value;
    struct dt_property *next;
};
struct dt_device_node {
    const char *name, *full_name;
    struct dt_property *properties;
    struct dt_device_node *parent, *child, *sibling, *allnext;
    domid_t used_by; /* 0, domain 0, if nobody has said otherwise */
};
static inline void dt_device_set_used_by(struct dt_device_node *node, domid_t used_by)
{
    node->used_by = used_by;
}
static inline domid_t dt_device_used_by(const struct dt_device_node *node)
{
    return node->used_by;
}
#define dt_for_each_child_node(parent, node) for ( node = (parent)->child; node != NULL; node = node->sibling )
#define dt_for_each_property_node(node, property) \
    for ( property = (node)->properties; property != NULL; property = property->next )
const struct dt_property *dt_find_property(const struct dt_device_node *node, const char *name, uint32_t *length);
const void *dt_get_property(const struct dt_device_node *node, const char *name, uint32_t *length);
bool dt_property_read_bool(const struct dt_device_node *node, const char *name);
bool dt_property_read_u32(const struct dt_device_node *node, const char *name, uint32_t *value);
bool dt_property_read_u64(const struct dt_device_node *node, const char *name, uint64_t *value);
int dt_property_read_string(const struct dt_device_node *node, const char *name, const char **value);
int dt_property_match_string(const struct dt_device_node *node, const char *name, const char *text);
bool dt_device_is_compatible(const struct dt_device_node *node, const char *compatible);
bool dt_node_name_is_equal(const struct dt_device_node *node, const char *name);
int dt_n_addr_cells(const struct dt_device_node *node);
int dt_n_size_cells(const struct dt_device_node *node);
int dt_child_n_addr_cells(const struct dt_device_node *node);
int dt_child_n_size_cells(const struct dt_device_node *node);
u64 dt_read_number(const __be32 *cells, int count);
u64 dt_next_cell(int count, const __be32 **cell);
static inline const char *dt_node_full_name(const struct dt_device_node *node) { return node->full_name; }
static inline const char *dt_node_name(const struct dt_device_node *node) { return node->name; }
#define be32_to_cpu(value) fdt32_to_cpu(value)
#define be32_to_cpup(pointer) fdt32_to_cpu(*(pointer))

/* What a domain is built from. */
struct xen_domctl_createdomain {
    struct {
        uint32_t nr_spis;
    } arch;
    uint32_t flags;
    uint32_t max_vcpus;
};
#define enhanced_by(value) (!strcmp(value, "enabled") || !strcmp(value, "no-xenstore"))
struct membank {
    paddr_t start;
    paddr_t size;
};
struct meminfo {
    unsigned int nr_banks;
    struct membank bank[8];
};
struct kernel_info {
    struct domain *d;
    void *fdt;
    struct meminfo mem;
    struct meminfo shm_mem;
    uint32_t phandle_intc;
};
enum gic_version { GIC_INVALID, GIC_V2, GIC_V3 };
extern enum gic_version hypervisor_gic_version;
static inline enum gic_version gic_hw_version(void) { return hypervisor_gic_version; }
static inline bool test_bit(unsigned int bit, const unsigned long *bits)
{
    return (bits[bit / (8 * sizeof(long))] >> (bit % (8 * sizeof(long)))) & 1;
}

/* Stage 2. */
#define PAGE_SHIFT 12
#define PAGE_SIZE (1UL << PAGE_SHIFT)
#define PFN_UP(address) (((address) + PAGE_SIZE - 1) >> PAGE_SHIFT)
typedef struct { unsigned long g; } gfn_t;
typedef struct { unsigned long m; } mfn_t;
#define INVALID_MFN ((mfn_t){~0UL})
extern unsigned int p2m_ipa_bits;
static inline unsigned long gfn_x(gfn_t gfn) { return gfn.g; }
static inline gfn_t _gfn(unsigned long gfn) { return (gfn_t){gfn}; }
static inline gfn_t gfn_add(gfn_t gfn, unsigned long pages) { return (gfn_t){gfn.g + pages}; }
static inline gfn_t gaddr_to_gfn(paddr_t address) { return (gfn_t){address >> PAGE_SHIFT}; }
static inline paddr_t gfn_to_gaddr(gfn_t gfn) { return (paddr_t)gfn.g << PAGE_SHIFT; }
static inline bool mfn_eq(mfn_t x, mfn_t y) { return x.m == y.m; }
static inline gfn_t gfn_next_boundary(gfn_t gfn, unsigned int order)
{
    return (gfn_t){((gfn.g >> order) + 1) << order};
}
static inline struct p2m_domain *p2m_get_hostp2m(struct domain *d) { return &d->arch.p2m; }
void p2m_read_lock(struct p2m_domain *p2m);
void p2m_read_unlock(struct p2m_domain *p2m);
mfn_t p2m_get_entry(struct p2m_domain *p2m, gfn_t gfn, void *type, void *access, unsigned int *order, bool *valid);

#endif
