/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A machine to try xen/ioreq-pci/ on: a guest with bridges, domain 0 and another domain that may run emulators, and
 * what a test needs to play the guest, the emulators and the passing of time.
 *
 * machine_start() and machine_stop() enclose a test; the latter destroys the guest and then looks for leaks: memory,
 * event channels, timers, pauses. A stub that finds its caller wrong ends the program.
 */
#ifndef TESTS_HYPERVISOR_MACHINE_H
#define TESTS_HYPERVISOR_MACHINE_H

#include "hypervisor.h"

#include "bridge.h"
#include "dm_op.h"
#include "private.h"

/* stubs/checks.c */
struct console {
    pthread_mutex_t mutex;
    unsigned int lines;
    char last[512];   /* the last line */
    char before[512]; /* the one before it */
};
extern struct console console;
bool console_says(const char *text);

/* The n-th from now on fails: 0 the next one; -1 none. */
struct faults {
    _Atomic int allocation, copy, event_channel, rangeset;
    bool allocation_forbidden;
};
extern struct faults faults;
extern _Atomic int allocations;
bool fault_now(_Atomic int *countdown);

/* The index that was clamped against speculation last, and its limit. */
struct clamp {
    unsigned long index, count;
};
extern _Thread_local struct clamp clamp;

/* stubs/locks.c */
unsigned int locks_held(void);
/* Called before each lock is taken, to do what another processor might do just then. */
extern void (*locks_before_take)(struct hypervisor_lock *lock);

/* stubs/time.c */
void time_advance(s_time_t by);
void time_advance_without_timers(s_time_t by); /* as if the processor that they run on were busy for so long */
unsigned int tasklets_run(void);
bool time_is_quiet(void); /* neither a timer nor a tasklet is left that was not killed */

/* stubs/domain.c */
/* What domain_kill() gives when it has been called `calls` times, with softirqs in between. */
struct killing {
    unsigned int calls;
    int result;
    bool softirqs;
};
extern struct killing killing;
void vcpu_enter(struct vcpu *v); /* returns once the domain runs */
void vcpu_leave(struct vcpu *v);
void vcpu_deschedule(struct vcpu *v);
void domain_shutdown(struct domain *d);
void vcpu_wait_for(struct vcpu *v, const _Atomic bool *pending);
void vcpu_go_on(_Atomic bool *pending);

/* stubs/events.c */
void events_init(void);
int emulator_binds(struct domain *d, evtchn_port_t port, const struct domain *emulator);
void emulator_closes(struct domain *d, evtchn_port_t port);
unsigned int event_pending(struct domain *d, evtchn_port_t port); /* how often since it was last asked */
unsigned int events_in_use(const struct domain *d);

/* stubs/servers.c; the emulator is the domain of `current` */
int server_create(struct domain *d);
int server_map_page(struct domain *d, unsigned int id);
int server_enable(struct domain *d, unsigned int id, bool enable);
int server_bind(struct domain *d, unsigned int id);
int server_map(struct domain *d, unsigned int id, uint32_t type, uint64_t first, uint64_t last);
int server_unmap(struct domain *d, unsigned int id, uint32_t type, uint64_t first, uint64_t last);
int server_destroy(struct domain *d, unsigned int id);
void server_emulator_dies(struct domain *d, const struct domain *emulator);
void servers_destroy_all(struct domain *d);

/* machine.c */
#define MACHINE_POISON 0x5a5a5a5a5a5a5a5aul /* what a register holds before an access */
#define MACHINE_BANKS 2u
#define MACHINE_PLAIN 2u /* the bridge of this index is none, but plain ranges */

struct machine {
    struct domain guest, dom0, other;
    struct vcpu guest_vcpu[HYPERVISOR_VCPUS], dom0_vcpu, other_vcpu;
    struct ioreq_pci *pci;
};

/* A guest with two vCPUs whose bridges all have these flags; `buses` of ECAM each. The caller then is domain 0. */
void machine_start(struct machine *m, unsigned int bridges, uint32_t flags, unsigned int buses);
void machine_stop(struct machine *m);
/* The guest is being destroyed; what machine_stop() would do first. */
void machine_kill_guest(struct machine *m);

void machine_be(struct machine *m, struct domain *d);
const struct bridge *machine_bridge(const struct machine *m, unsigned int index);

struct result {
    enum io_state state;
    register_t value; /* of the register afterwards */
};
/* An access of vCPU 0, which is descheduled afterwards unless it runs already, of 1, 2, 4 or 8 bytes. */
struct result machine_access(struct machine *m, struct hsr_dabt dabt, enum instr_decode_state state, paddr_t gpa,
                             register_t value);
struct result guest_read(struct machine *m, paddr_t gpa, unsigned int size);
struct result guest_read_signed(struct machine *m, paddr_t gpa, unsigned int size);
enum io_state guest_write(struct machine *m, paddr_t gpa, unsigned int size, register_t value);
/* What vCPU 0 waits for; NULL: nothing. Answering it makes the next access possible. */
const ioreq_t *machine_request(const struct machine *m);
void machine_answer(struct machine *m, uint64_t data);

/* An enabled server of the caller with its page mapped and its ports bound. */
unsigned int machine_server(struct machine *m);
/* The same, which has claimed a function of its own (MACHINE_FUNCTION) of each bridge, but plain ranges. */
unsigned int machine_function_server(struct machine *m);
#define MACHINE_FUNCTION(id) (0xf8u + (id))
/* The same, which has claimed all windows of the bridge as memory. */
unsigned int machine_server_of(struct machine *m, unsigned int index);

int machine_dm_op(struct machine *m, struct bridge_dm_op *op);
int machine_ready(struct machine *m, unsigned int index, unsigned int server, unsigned int ready);
int machine_bind(struct machine *m, unsigned int index, unsigned int server, uint64_t address, uint32_t size,
                 uint32_t *port);
int machine_unbind(struct machine *m, unsigned int index, unsigned int server, uint64_t address, uint32_t size);
int machine_adopt(struct machine *m, unsigned int index, uint32_t *server);
int machine_adopt_owner(struct machine *m, unsigned int index, uint32_t function, uint32_t *server);
/* As the guest reads it: BRIDGE_STATUS_*. */
uint32_t machine_status(struct machine *m, unsigned int index, unsigned int offset);

#endif
