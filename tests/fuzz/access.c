/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Fuzz target "access": what a guest and its device models do to the hypervisor, as a sequence of operations.
 *
 * The input is read as bytes that choose an operation and its arguments. The hypervisor's real files run against the
 * stubs of tests/hypervisor, which end the program when they are called wrongly; after each operation the invariants
 * below must hold, and at the end nothing may be left.
 */
#include "machine.h"

#define BRIDGES 3u

static struct machine machine;

struct input {
    const uint8_t *next;
    size_t left;
};

static uint32_t take(struct input *input, unsigned int bytes)
{
    uint32_t value = 0;

    for (; bytes > 0; bytes--) {
        value <<= 8;
        if (input->left > 0) {
            value |= *input->next++;
            input->left--;
        }
    }
    return value;
}

/* Mostly in or near a window. */
static uint64_t take_address(struct input *input)
{
    const unsigned int how = take(input, 1);
    const struct bridge *b = machine_bridge(&machine, how % BRIDGES);
    const struct bridge_window *const windows[] = {&b->ecam, &b->memory, &b->prefetch};
    const struct bridge_window *w = windows[(how >> 2) % 3];

    switch ((how >> 4) & 7) {
    case 0:
        return bridge_v2m_base(b) + (take(input, 3) & 0x3ffff) - 0x8000;
    case 1:
        return w->base + w->size - 16 + (take(input, 1) & 31);
    case 2:
        return w->base - 16 + (take(input, 1) & 31);
    case 3:
        return (uint64_t)take(input, 4) << 32 | take(input, 4);
    case 4:
        return w->base + take(input, 3);
    default:
        return w->base + (take(input, 1) & 63) * 4;
    }
}

static uint64_t take_function(struct input *input)
{
    const unsigned int how = take(input, 1);

    return (how & 0xc0) == 0xc0 ? (uint64_t)take(input, 4) << 32 | take(input, 4)
                                : (uint64_t)(how >> 4) << 16 | (how & 1 ? 0x1f8 : 0) | (how & 7);
}

static void access_window(struct input *input)
{
    const unsigned int how = take(input, 1);
    const uint64_t gpa = take_address(input);
    struct hsr_dabt dabt = {
        .valid = 1, .write = how & 1, .size = (how >> 1) & 3, .sign = (how >> 3) & 1, .reg = how >> 4
    };
    const uint64_t mask = ~0ull >> (64 - (8u << dabt.size));
    const bool inside = ioreq_pci_find(&machine.guest, gpa) != NULL;
    enum instr_decode_state state = INSTR_VALID;
    struct result result;

    if (how == 0xff) {
        dabt = (struct hsr_dabt){.cache = 1, .write = 1};
        state = INSTR_CACHE;
    }
    /* A vCPU of a paused domain does nothing, and one that waits does nothing else. */
    if (machine.guest.pause_count != 0 || machine_request(&machine) != NULL) {
        return;
    }
    result = machine_access(&machine, dabt, state, gpa, MACHINE_POISON);
    ASSERT(inside ? result.state == IO_HANDLED || result.state == IO_RETRY : result.state == IO_UNHANDLED);
    if (result.state == IO_HANDLED && !dabt.write && !dabt.sign) {
        ASSERT((result.value & ~mask) == 0);
    } else if (result.state != IO_HANDLED || dabt.write) {
        ASSERT(result.value == MACHINE_POISON);
    }
    if (result.state == IO_RETRY && machine_request(&machine) == NULL) {
        ASSERT(machine.guest.pause_count == 1);
    }
    if (machine_request(&machine) != NULL && machine_request(&machine)->type == IOREQ_TYPE_PCI_CONFIG) {
        ASSERT((uint32_t)machine_request(&machine)->addr + machine_request(&machine)->size <= BRIDGE_ECAM_FUNCTION);
    }
}

static void raw_operation(struct input *input)
{
    struct bridge_window banks[MACHINE_BANKS];
    struct bridge_dm_op op;
    struct dmop_args args = {.nr_bufs = take(input, 1) & 3, .buf = {{.h = {&op}, .size = sizeof(op)}, {.h = {banks}}}};
    unsigned int i;

    if (args.nr_bufs > 2) {
        args.nr_bufs = 1;
        args.buf[0].size = take(input, 1);
    }
    args.buf[1].size = take(input, 1) % (sizeof(banks) + 1);
    for (i = 0; i < sizeof(op); i++) {
        ((uint8_t *)&op)[i] = (uint8_t)take(input, 1);
    }
    op.op = BRIDGE_DM_OP_FIRST + (op.op & 7);
    if (ioreq_pci_dm_op(&machine.guest, &args) == 0) {
        ASSERT(args.nr_bufs >= 1 && args.buf[0].size >= sizeof(op) && op.pad == 0 && op.u.index < BRIDGES);
    }
}

/* Nothing of a bridge is claimed by two; looked for only at the end, since it takes long. */
static void check_fences(void)
{
    const struct domain *d = &machine.guest;
    unsigned int i, j, k;

    for (i = 0; i < BRIDGES * BRIDGE_WINDOWS; i++) {
        const struct bridge_window *w = &machine_bridge(&machine, i / BRIDGE_WINDOWS)->window[i % BRIDGE_WINDOWS];

        for (j = 0; j < 64 && w->size != 0; j++) { /* here and there */
            const uint64_t gpa = w->base + (j < 16 ? j * 4 : w->size / 64 * j + 4);
            unsigned int owners = 0;

            for (k = 0; k < MAX_NR_IOREQ_SERVERS; k++) {
                const struct ioreq_server *s = d->ioreq_server.server[k];
                const uint64_t sbdf = (i / BRIDGE_WINDOWS) << 16 | (gpa - w->base) / BRIDGE_ECAM_FUNCTION;

                owners += s != NULL && (rangeset_contains_range(s->range[XEN_DMOP_IO_RANGE_MEMORY], gpa, gpa) ||
                                        (i % BRIDGE_WINDOWS == 0 &&
                                         rangeset_contains_range(s->range[XEN_DMOP_IO_RANGE_PCI], sbdf, sbdf)));
            }
            ASSERT(owners <= 1);
        }
    }
}

static void check_invariants(void)
{
    const struct domain *d = &machine.guest;
    unsigned int i, j, servers = 0, bells[MAX_NR_IOREQ_SERVERS] = {0};

    ASSERT(d->pause_count == (machine.pci->held != NULL));
    ASSERT(machine.pci->held == NULL || machine.pci->held->state == IOREQ_PCI_WAITING);
    ASSERT(!d->time_stopped || machine.pci->held != NULL);
    for (i = 0; i < BRIDGES; i++) {
        const struct ioreq_pci_bridge *b = &machine.pci->bridge[i];

        ASSERT((b->state == IOREQ_PCI_READY) == (b->ready != 0));
        for (j = 0; j < MAX_NR_IOREQ_SERVERS; j++) {
            ASSERT((b->ready & (1u << j)) == 0 || d->ioreq_server.server[j] != NULL);
        }
        for (j = 0; j < bridge_buses(&b->bridge) << 8; j++) {
            const uint64_t sbdf = i << 16 | j;

            if (machine.pci->owner[sbdf] != 0) {
                const struct ioreq_server *s = d->ioreq_server.server[machine.pci->owner[sbdf] - 1];

                ASSERT(s != NULL && rangeset_contains_range(s->range[XEN_DMOP_IO_RANGE_PCI], sbdf, sbdf));
            }
        }
    }
    ASSERT(machine.pci->nr_doorbells <= BRIDGE_DOORBELLS);
    for (j = 0; j < machine.pci->nr_doorbells; j++) {
        const struct ioreq_pci_doorbell *bell = &machine.pci->doorbell[j];
        const struct ioreq_pci_bridge *b = ioreq_pci_find(d, bell->address);
        const struct ioreq_server *s = d->ioreq_server.server[bell->server];

        ASSERT(j == 0 || bell[-1].address < bell->address);
        ASSERT(b != NULL && !bridge_service_contains(&b->bridge, bell->address));
        ASSERT(s != NULL && rangeset_contains_range(s->range[XEN_DMOP_IO_RANGE_MEMORY], bell->address,
                                                    bell->address + bell->size - 1));
        ASSERT(d->evtchn[bell->port].state != ECS_FREE);
        bells[bell->server]++;
    }
    for (i = 0; i < MAX_NR_IOREQ_SERVERS; i++) {
        const struct ioreq_pci_server none = {0}, *server = &machine.pci->server[i];

        servers += d->ioreq_server.server[i] != NULL;
        ASSERT(d->ioreq_server.server[i] != NULL || memcmp(server, &none, sizeof(none)) == 0);
        ASSERT(bells[i] <= BRIDGE_DOORBELLS - (MAX_NR_IOREQ_SERVERS - 1) * BRIDGE_DOORBELLS_SURE);
    }
    ASSERT(events_in_use(d) == machine.pci->nr_doorbells + servers * d->max_vcpus);
}

static void one_operation(struct input *input)
{
    struct domain *d = &machine.guest;
    const unsigned int what = take(input, 1), id = (what >> 5) & 7;
    uint64_t address;
    uint32_t server;

    switch (what & 31) {
    case 0:
        machine_be(&machine, id & 1 ? &machine.dom0 : &machine.other);
        break;
    case 1:
        server_create(d);
        break;
    case 2:
        server_map_page(d, id);
        server_enable(d, id, true);
        server_bind(d, id);
        break;
    case 3:
        server_enable(d, id, false);
        break;
    case 4:
        server_destroy(d, id);
        break;
    case 5:
        server_emulator_dies(d, current->domain);
        break;
    case 6:
        tasklets_run();
        break;
    case 7:
        time_advance(MILLISECS(1));
        break;
    case 8:
        time_advance(MILLISECS(take(input, 2)));
        break;
    case 9:
        machine.guest_vcpu[1].is_running = !machine.guest_vcpu[1].is_running && machine.guest.pause_count == 0;
        break;
    case 10:
        if (machine_request(&machine) != NULL) {
            machine_answer(&machine, take(input, 4));
        }
        break;
    case 11:
    case 12:
        machine_ready(&machine, take(input, 1) & 3, id, what & 1);
        break;
    case 13:
    case 14:
        address = take_address(input);
        machine_bind(&machine, take(input, 1) & 3, id, address, 1u << (address & 3), NULL);
        break;
    case 15:
        address = take_address(input);
        machine_unbind(&machine, take(input, 1) & 3, id, address, 4);
        break;
    case 16:
        machine_adopt(&machine, id, &server);
        break;
    case 17:
    case 18:
        address = take_function(input);
        server_map(d, id, XEN_DMOP_IO_RANGE_PCI, address, address);
        break;
    case 19:
        address = take_function(input);
        server_unmap(d, id, XEN_DMOP_IO_RANGE_PCI, address, address + take(input, 1) % 8);
        break;
    case 20:
    case 21:
        address = take_address(input);
        server_map(d, id, XEN_DMOP_IO_RANGE_MEMORY, address, address + take(input, 3));
        break;
    case 22:
        address = take_address(input);
        server_unmap(d, id, XEN_DMOP_IO_RANGE_MEMORY, address, address + take(input, 2));
        break;
    case 23:
        raw_operation(input);
        break;
    case 24:
        faults.event_channel = faults.rangeset = -1;
        faults.copy = (int)id;
        break;
    default:
        access_window(input);
        break;
    }
    /* A request that was abandoned is completed on the way back to the guest. */
    if (machine_request(&machine) == NULL && machine.guest_vcpu[0].io.req.state != STATE_IOREQ_NONE) {
        machine_answer(&machine, ~0ull);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = {data, size};
    unsigned int operations = 0;

    machine_start(&machine, BRIDGES, take(&input, 1) & BRIDGE_FLAG_HOLD, 2);
    while (input.left > 0 && operations++ < 200) {
        if (machine.guest.pause_count != 0 && machine.guest_vcpu[1].is_running && (operations & 3) == 0) {
            machine.guest_vcpu[1].is_running = false; /* a pause takes effect some time */
        }
        one_operation(&input);
        machine.guest_vcpu[1].is_running = machine.guest_vcpu[1].is_running && machine.guest.pause_count != 0;
        check_invariants();
    }
    machine.guest_vcpu[1].is_running = false;
    check_fences();
    machine_stop(&machine);
    return 0;
}
