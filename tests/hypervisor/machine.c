/* SPDX-License-Identifier: GPL-2.0-only */
/* The machine of machine.h. */
#include "machine.h"

static void make_domain(struct domain *d, domid_t id, struct vcpu *vcpus, unsigned int count)
{
    unsigned int i;

    memset(d, 0, sizeof(*d));
    d->domain_id = id;
    d->max_vcpus = count;
    for (i = 0; i < count; i++) {
        memset(&vcpus[i], 0, sizeof(vcpus[i]));
        vcpus[i].domain = d;
        vcpus[i].vcpu_id = (int)i;
        d->vcpu[i] = &vcpus[i];
    }
    spin_lock_init(&d->ioreq_server.lock);
}

static void make_bridge(struct ioreq_pci_bridge *b, unsigned int index, uint32_t flags, unsigned int buses)
{
    b->bridge = (struct bridge){
        .ecam = {0x40000000ull + index * 0x10000000ull, buses * BRIDGE_BUS_SIZE},
        .memory = {0x80000000ull + index * 0x4000000ull, 0x2000000},
        .interrupt_first = 44 + index * 32,
        .interrupt_count = 20,
        .flags = flags,
        .hold_ms = (flags & BRIDGE_FLAG_HOLD) != 0 ? BRIDGE_HOLD_MS : 0,
    };
    if (index == 0) {
        b->bridge.prefetch = (struct bridge_window){0x1000000000ull, 0x40000000};
    }
    if (index == MACHINE_PLAIN) {
        b->bridge.ecam.size = 0;
        b->bridge.memory.size = 0x1000;
        b->bridge.prefetch = (struct bridge_window){b->bridge.memory.base + 0x10000, 0x3000};
    }
}

void machine_start(struct machine *m, unsigned int bridges, uint32_t flags, unsigned int buses)
{
    unsigned int i;

    faults = (struct faults){.allocation = -1, .copy = -1, .event_channel = -1, .rangeset = -1};
    console.lines = 0;
    console.last[0] = '\0';
    events_init();
    make_domain(&m->dom0, 0, &m->dom0_vcpu, 1);
    make_domain(&m->guest, 1, m->guest_vcpu, 2);
    make_domain(&m->other, 2, &m->other_vcpu, 1);
    m->pci = xzalloc_flex_struct(struct ioreq_pci, bank, MACHINE_BANKS);
    m->pci->nr_bridges = bridges;
    for (i = 0; i < bridges; i++) {
        make_bridge(&m->pci->bridge[i], i, flags, buses);
        m->pci->nr_owners = (i << 16) + (bridge_buses(&m->pci->bridge[i].bridge) << 8);
    }
    m->pci->owner = xzalloc_array(uint8_t, m->pci->nr_owners);
    m->pci->nr_banks = MACHINE_BANKS;
    m->pci->bank[0] = (struct bridge_window){0xc0000000, 0x20000000};
    m->pci->bank[1] = (struct bridge_window){0x200000000, 0x40000000};
    ioreq_pci_init_run_time(&m->guest, m->pci);
    m->guest.arch.ioreq_pci = m->pci;
    faults.allocation_forbidden = true;
    machine_be(m, &m->dom0);
}

void machine_kill_guest(struct machine *m)
{
    unsigned int i;

    domain_pause(&m->guest);
    m->guest.is_dying = 1;
    ioreq_pci_relinquish(&m->guest);
    hypervisor_assert(time_is_quiet(), "a timer or tasklet is left", __FILE__, __LINE__);
    servers_destroy_all(&m->guest);
    for (i = 1; i < HYPERVISOR_EVENT_CHANNELS; i++) {
        m->guest.evtchn[i].state = ECS_FREE;
    }
}

void machine_stop(struct machine *m)
{
    const struct ioreq_pci *pci = m->pci;
    unsigned int servers = 0, i;

    machine_be(m, &m->dom0);
    if (!m->guest.is_dying) {
        for (i = 0; i < MAX_NR_IOREQ_SERVERS; i++) {
            servers += m->guest.ioreq_server.server[i] != NULL;
        }
        hypervisor_assert(events_in_use(&m->guest) == pci->nr_doorbells + servers * m->guest.max_vcpus,
                          "event channels leak", __FILE__, __LINE__);
        hypervisor_assert(m->guest.pause_count == (pci->held != NULL), "pauses do not match", __FILE__, __LINE__);
        machine_kill_guest(m);
    }
    ioreq_pci_destroy(&m->guest);
    hypervisor_assert(m->guest.arch.ioreq_pci == NULL, "a pointer to freed memory is left", __FILE__, __LINE__);
    hypervisor_assert(allocations == 0, "memory leaks", __FILE__, __LINE__);
    hypervisor_assert(locks_held() == 0, "a lock is left held", __FILE__, __LINE__);
    current = NULL;
}

void machine_be(struct machine *m, struct domain *d)
{
    current = d == &m->dom0 ? &m->dom0_vcpu : d == &m->other ? &m->other_vcpu : &m->guest_vcpu[0];
}

const struct bridge *machine_bridge(const struct machine *m, unsigned int index)
{
    return &m->pci->bridge[index].bridge;
}

struct result machine_access(struct machine *m, struct hsr_dabt dabt, enum instr_decode_state state, paddr_t gpa,
                             register_t value)
{
    struct vcpu *caller = current, *v = &m->guest_vcpu[0];
    const bool running = v->is_running;
    struct cpu_user_regs regs;
    struct result result;
    mmio_info_t info = {.dabt = dabt, .dabt_instr.state = state, .gpa = gpa};
    unsigned int i;

    for (i = 0; i < ARRAY_SIZE(regs.x); i++) {
        regs.x[i] = MACHINE_POISON;
    }
    regs.x[dabt.reg] = value;
    current = v;
    v->is_running = true;
    result.state = ioreq_pci_access(&regs, v, &info);
    result.value = regs.x[dabt.reg];
    if (!running) {
        vcpu_deschedule(v);
    }
    current = caller;
    for (i = 0; i < ARRAY_SIZE(regs.x); i++) {
        hypervisor_assert(i == dabt.reg || regs.x[i] == MACHINE_POISON, "another register changed", __FILE__, __LINE__);
    }
    hypervisor_assert(locks_held() == 0, "an access left a lock held", __FILE__, __LINE__);
    return result;
}

static unsigned int log2_of(unsigned int size)
{
    return size == 1 ? 0 : size == 2 ? 1 : size == 4 ? 2 : 3;
}

struct result guest_read(struct machine *m, paddr_t gpa, unsigned int size)
{
    const struct hsr_dabt dabt = {.valid = 1, .reg = 7, .size = log2_of(size)};

    return machine_access(m, dabt, INSTR_VALID, gpa, MACHINE_POISON);
}

struct result guest_read_signed(struct machine *m, paddr_t gpa, unsigned int size)
{
    const struct hsr_dabt dabt = {.valid = 1, .reg = 7, .size = log2_of(size), .sign = 1};

    return machine_access(m, dabt, INSTR_VALID, gpa, MACHINE_POISON);
}

enum io_state guest_write(struct machine *m, paddr_t gpa, unsigned int size, register_t value)
{
    const struct hsr_dabt dabt = {.valid = 1, .reg = 7, .size = log2_of(size), .write = 1};
    const struct result result = machine_access(m, dabt, INSTR_VALID, gpa, value);

    hypervisor_assert(result.value == value, "a write changed its register", __FILE__, __LINE__);
    return result.state;
}

const ioreq_t *machine_request(const struct machine *m)
{
    return m->guest_vcpu[0].io.pending ? &m->guest_vcpu[0].io.req : NULL;
}

void machine_answer(struct machine *m, uint64_t data)
{
    struct vcpu *v = &m->guest_vcpu[0];

    v->io.req.data = data;
    v->io.pending = false;
    handle_ioserv(NULL, v);
}

unsigned int machine_server(struct machine *m)
{
    const int id = server_create(&m->guest);

    hypervisor_assert(id >= 0, "no server", __FILE__, __LINE__);
    hypervisor_assert(server_map_page(&m->guest, (unsigned int)id) == 0, "no page", __FILE__, __LINE__);
    hypervisor_assert(server_enable(&m->guest, (unsigned int)id, true) == 0, "not enabled", __FILE__, __LINE__);
    hypervisor_assert(server_bind(&m->guest, (unsigned int)id) == 0, "not bound", __FILE__, __LINE__);
    return (unsigned int)id;
}

unsigned int machine_function_server(struct machine *m)
{
    const unsigned int id = machine_server(m);
    unsigned int i;

    for (i = 0; i < m->pci->nr_bridges; i++) {
        const uint64_t sbdf = i << 16 | MACHINE_FUNCTION(id);

        hypervisor_assert(i == MACHINE_PLAIN || server_map(&m->guest, id, XEN_DMOP_IO_RANGE_PCI, sbdf, sbdf) == 0,
                          "not claimed", __FILE__, __LINE__);
    }
    return id;
}

unsigned int machine_server_of(struct machine *m, unsigned int index)
{
    const struct bridge *b = machine_bridge(m, index);
    const struct bridge_window *const windows[] = {&b->ecam, &b->memory, &b->prefetch};
    const unsigned int id = machine_server(m);
    unsigned int i;

    for (i = 0; i < ARRAY_SIZE(windows); i++) {
        if (windows[i]->size != 0) {
            hypervisor_assert(server_map(&m->guest, id, XEN_DMOP_IO_RANGE_MEMORY, windows[i]->base,
                                         windows[i]->base + windows[i]->size - 1) == 0,
                              "not mapped", __FILE__, __LINE__);
        }
    }
    return id;
}

int machine_dm_op(struct machine *m, struct bridge_dm_op *op)
{
    const struct dmop_args args = {
        .domid = m->guest.domain_id, .nr_bufs = 1, .buf = {{.h = {op}, .size = sizeof(*op)}}
    };
    const int rc = ioreq_pci_dm_op(&m->guest, &args);

    hypervisor_assert(locks_held() == 0, "an operation left a lock held", __FILE__, __LINE__);
    return rc;
}

int machine_ready(struct machine *m, unsigned int index, unsigned int server, unsigned int ready)
{
    struct bridge_dm_op op = {.op = BRIDGE_DM_OP_READY, .u.ready = {.index = index, .server = server, .ready = ready}};

    return machine_dm_op(m, &op);
}

int machine_bind(struct machine *m, unsigned int index, unsigned int server, uint64_t address, uint32_t size,
                 uint32_t *port)
{
    struct bridge_dm_op op = {
        .op = BRIDGE_DM_OP_BIND,
        .u.doorbell = {.index = index, .server = server, .address = address, .size = size}
    };
    const int rc = machine_dm_op(m, &op);

    if (rc == 0 && port != NULL) {
        *port = op.u.doorbell.port;
    }
    return rc;
}

int machine_unbind(struct machine *m, unsigned int index, unsigned int server, uint64_t address, uint32_t size)
{
    struct bridge_dm_op op = {
        .op = BRIDGE_DM_OP_UNBIND,
        .u.doorbell = {.index = index, .server = server, .address = address, .size = size}
    };

    return machine_dm_op(m, &op);
}

int machine_adopt(struct machine *m, unsigned int index, uint32_t *server)
{
    return machine_adopt_owner(m, index, BRIDGE_DM_OP_WHOLE, server);
}

int machine_adopt_owner(struct machine *m, unsigned int index, uint32_t function, uint32_t *server)
{
    struct bridge_dm_op op = {.op = BRIDGE_DM_OP_ADOPT, .u.adopt = {.index = index, .function = function}};
    const int rc = machine_dm_op(m, &op);

    if (rc == 0) {
        *server = op.u.adopt.server;
    }
    return rc;
}

uint32_t machine_status(struct machine *m, unsigned int index, unsigned int offset)
{
    const struct result result = guest_read(m, bridge_status_base(machine_bridge(m, index)) + offset, 4);

    hypervisor_assert(result.state == IO_HANDLED, "the status page is always there", __FILE__, __LINE__);
    return (uint32_t)result.value;
}
