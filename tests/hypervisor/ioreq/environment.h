/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * As much of Xen as its ioreq code needs in user space: one processor, on which the vCPU that makes requests runs, and
 * an emulator, which acts where a real one on another processor might: see test_ioreq.c.
 */
#ifndef TESTS_HYPERVISOR_IOREQ_ENVIRONMENT_H
#define TESTS_HYPERVISOR_IOREQ_ENVIRONMENT_H

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CONFIG_ARM_64 1
#define CONFIG_IOREQ_SERVER 1
#define CONFIG_X86 0
#define CONFIG_IOREQ_PCI 0 /* all of that has tests of its own */
#define IS_ENABLED(option) (option)

/* lib.h, types.h */
#define BITS_PER_LONG 64
#define GENMASK(h, l) ((~0UL << (l)) & (~0UL >> (63 - (h))))
#define GENMASK_ULL(h, l) ((~0ULL << (l)) & (~0ULL >> (63 - (h))))
#define BUILD_BUG_ON(condition) _Static_assert(!(condition), #condition)
#define ASSERT(condition) do { if ( !(condition) ) failed(#condition, __FILE__, __LINE__); } while ( 0 )
#define ASSERT_UNREACHABLE() ASSERT(false)
#define BUG_ON(condition) ASSERT(!(condition))
#define likely(x) (x)
#define unlikely(x) (x)
#define noreturn __attribute__((noreturn))
#define XENLOG_ERR
#define XENLOG_DEBUG
#define XENLOG_WARNING
#define gprintk(level, ...) ((void)(level ""), (void)snprintf(NULL, 0, __VA_ARGS__))
#define gdprintk gprintk
#define container_of(pointer, type, member) ((type *)((char *)(pointer) - offsetof(type, member)))
#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))
#define SWAP(x, y) do { __typeof__(x) x_ = (x); (x) = (y); (y) = x_; } while ( 0 )
void noreturn failed(const char *what, const char *file, int line);
#define register_t hypervisor_register_t
typedef unsigned long register_t;
typedef uint64_t paddr_t;
typedef unsigned long vaddr_t;
typedef uint16_t domid_t;
typedef uint32_t evtchn_port_t;
typedef uint64_t uint64_aligned_t;
typedef unsigned long xen_ulong_t;
#define XEN_GUEST_HANDLE(type) uint64_t
#define XEN_GUEST_HANDLE_64(type) uint64_t
#define DEFINE_XEN_GUEST_HANDLE(type) struct hypervisor_handle_

/* Memory and frames. */
#define PAGE_SIZE 4096UL
#define xzalloc(type) ((type *)calloc(1, sizeof(type)))
#define xzalloc_array(type, count) ((type *)calloc(count, sizeof(type)))
#define xfree(pointer) free(pointer)
#define xvzalloc_array xzalloc_array
#define xvfree xfree
#define xasprintf(...) (asprintf(__VA_ARGS__) < 0 ? -ENOMEM : 0)
typedef struct { unsigned long g; } gfn_t;
typedef struct { unsigned long m; } mfn_t;
#define INVALID_GFN ((gfn_t){~0UL})
static inline unsigned long gfn_x(gfn_t gfn) { return gfn.g; }
static inline bool gfn_eq(gfn_t x, gfn_t y) { return x.g == y.g; }
struct page_info { char memory[PAGE_SIZE]; };
static inline mfn_t page_to_mfn(const struct page_info *page) { return (mfn_t){(unsigned long)page}; }
#define alloc_domheap_page(d, flags) xzalloc(struct page_info)
#define get_page_and_type(page, d, type) true
#define __map_domain_page_global(page) ((void *)(page)->memory)
#define unmap_domain_page_global(va) ((void)(va))
#define clear_page(va) memset(va, 0, PAGE_SIZE)
#define put_page_alloc_ref(page) free(page)
#define put_page_and_type(page) ((void)(page))

/* Lists, locks, bits. */
struct list_head { struct list_head *next, *prev; };
#define INIT_LIST_HEAD(head) ((void)((head)->next = (head)->prev = (head)))
static inline void list_add(struct list_head *entry, struct list_head *head)
{
    *entry = (struct list_head){head->next, head};
    head->next->prev = entry;
    head->next = entry;
}
static inline void list_del(struct list_head *entry)
{
    entry->next->prev = entry->prev;
    entry->prev->next = entry->next;
}
#define list_for_each_entry(position, head, member) \
    for ( position = container_of((head)->next, __typeof__(*position), member); &position->member != (head); \
          position = container_of(position->member.next, __typeof__(*position), member) )
#define list_for_each_entry_safe(position, n, head, member) \
    for ( position = container_of((head)->next, __typeof__(*position), member), \
          n = container_of(position->member.next, __typeof__(*position), member); &position->member != (head); \
          position = n, n = container_of(n->member.next, __typeof__(*n), member) )
typedef int spinlock_t, rspinlock_t, rwlock_t;
#define spin_lock_init(lock) ((void)(*(lock) = 0))
#define rspin_lock_init spin_lock_init
#define rwlock_init spin_lock_init
#define spin_lock(lock) ((void)++*(lock))
#define spin_unlock(lock) ((void)--*(lock))
#define spin_is_locked(lock) (*(lock) > 0)
#define spin_lock_recursive spin_lock
#define spin_unlock_recursive spin_unlock
#define rspin_lock spin_lock
#define rspin_unlock spin_unlock
#define read_lock spin_lock
#define read_unlock spin_unlock
#define write_lock spin_lock
#define write_unlock spin_unlock
#define smp_rmb() __asm__ volatile ( "" ::: "memory" )
#define smp_wmb smp_rmb
#define smp_mb smp_rmb
#define _VPF_blocked_in_xen 1
#define set_bit(bit, word) ((void)(*(word) |= 1UL << (bit)))
#define clear_bit(bit, word) ((void)(*(word) &= ~(1UL << (bit))))
static inline bool test_and_clear_bit(int bit, unsigned long *word)
{
    const bool was = *word >> bit & 1;

    clear_bit(bit, word);
    return was;
}
#define bsearch(key, base, count, size, compare) ((void)(key), (void *)NULL) /* Xen itself emulates nothing */
#define sort(base, count, size, compare, swap) ((void)(compare), (void)(swap))

/* Registers and instructions. */
struct domain;
struct vcpu;
struct cpu_user_regs { register_t x[32], pc, hsr, cpsr; };
#include <asm/hsr.h>
#include <asm/mmio.h>
#define PSR_THUMB 0x20
#ifndef HSR_EC_DATA_ABORT_LOWER_EL
#define HSR_EC_DATA_ABORT_LOWER_EL 0x24
#endif
#define check_workaround_766422() false
#define decode_instruction(regs, info) (-1)
#define dcache_line_bytes 64
#define set_user_reg(regs, reg, value) ((void)((regs)->x[reg] = (value)))
#define get_user_reg(regs, reg) ((regs)->x[reg])
struct cpu_user_regs *guest_cpu_user_regs(void);

/* Domains. */
#include <public/hvm/ioreq.h>
#define MAX_NR_IOREQ_SERVERS 8
#define VCPUS 2
struct arch_vcpu_io { struct instr_details dabt_instr; struct hsr_dabt dabt; };
enum vio_completion { VIO_no_completion, VIO_mmio_completion, VIO_pio_completion };
struct vcpu_io { enum vio_completion completion; bool suspended; ioreq_t req; struct arch_vcpu_io info; };
struct vcpu {
    struct domain *domain;
    unsigned int vcpu_id;
    unsigned long pause_flags;
    bool mapcache_invalidate, defer_shutdown, paused_for_shutdown;
    struct vcpu_io io;
};
struct domain {
    domid_t domain_id;
    bool creation_finished, crashed;
    int pause_count;
    unsigned long options;
    struct vcpu *vcpu[VCPUS];
    struct {
        spinlock_t lock;
        struct ioreq_server *server[MAX_NR_IOREQ_SERVERS];
    } ioreq_server;
    struct { struct vmmio vmmio; } arch;
};
#define XEN_DOMCTL_CDF_trap_unmapped_accesses 1UL
extern struct vcpu *current;
#define for_each_vcpu(d, v) for ( unsigned int v_ = 0; v_ < VCPUS && ((v) = (d)->vcpu[v_]) != NULL; v_++ )
#define is_idle_vcpu(v) false
#define is_hvm_domain(d) true
#define vcpu_runnable(v) ((v)->pause_flags == 0 && (v)->domain->pause_count == 0)
#define vcpu_wake(v) ((void)(v))
#define domain_pause(d) ((void)(d)->pause_count++)
#define domain_unpause(d) ((void)(d)->pause_count--)
#define domain_crash(d) ((void)((d)->crashed = true))
#define get_knownalive_domain(d) ((void)(d))
#define put_domain(d) ((void)(d))
static inline bool vcpu_start_shutdown_deferral(struct vcpu *v)
{
    v->defer_shutdown = !v->paused_for_shutdown;
    return v->defer_shutdown;
}
#define vcpu_end_shutdown_deferral(v) ((void)((v)->defer_shutdown = false))

/* Event channels: a port is its vCPU's number and 1. */
#define alloc_unbound_xen_event_channel(d, vcpu, remote, notification) ((int)(vcpu) + 1)
#define free_xen_event_channel(d, port) ((void)(port))
#define notify_via_xen_event_channel(d, port) ((void)(d), (void)(port))
#define prepare_wait_on_xen_event_channel(port) set_bit(_VPF_blocked_in_xen, &current->pause_flags)
void other_processor(void); /* the emulator may do something here */
void do_softirq(void);      /* others run until the vCPU is not blocked */
#define wait_on_xen_event_channel(port, condition) \
    do { \
        other_processor(); \
        if ( condition ) \
            break; \
        set_bit(_VPF_blocked_in_xen, &current->pause_flags); \
        do_softirq(); \
    } while ( 0 )

/* Sets of ranges: one range is enough here. */
struct rangeset { unsigned long first, last; bool used; };
#define RANGESETF_prettyprint_hex 0
#define rangeset_new(d, name, flags) ((void)(name), xzalloc(struct rangeset))
#define rangeset_destroy(r) free(r)
#define rangeset_limit(r, limit) ((void)(r))
static inline bool rangeset_contains_range(const struct rangeset *r, unsigned long first, unsigned long last)
{
    return r->used && r->first <= first && last <= r->last;
}
#define rangeset_contains_singleton(r, value) rangeset_contains_range(r, value, value)
static inline bool rangeset_overlaps_range(const struct rangeset *r, unsigned long first, unsigned long last)
{
    return r->used && r->first <= last && first <= r->last;
}
static inline int rangeset_add_range(struct rangeset *r, unsigned long first, unsigned long last)
{
    ASSERT(!r->used);
    *r = (struct rangeset){first, last, true};
    return 0;
}
static inline int rangeset_remove_range(struct rangeset *r, unsigned long first, unsigned long last)
{
    r->used = false;
    return 0;
}

/* Constants of what is not built, or not asked for. */
#define MEMF_no_refcount 0
#define PGT_writable_page 0
#define HVMMEM_ioreq_server 15
#define HVM_IOREQSRV_BUFIOREQ_OFF 0
#define HVM_IOREQSRV_BUFIOREQ_ATOMIC 2
#define XENMEM_resource_ioreq_server_frame_bufioreq 0
#define XENMEM_resource_ioreq_server_frame_ioreq(n) (1UL + (n))
#define guest_cmpxchg64(d, pointer, old, new) ((void)(d), *(pointer) = (new))

/* arch/arm/ioreq-pci/, which is not built. */
enum io_state ioreq_pci_access(struct cpu_user_regs *regs, struct vcpu *v, mmio_info_t *info);

#endif
