/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Interleavings: interleave [SECONDS]
 *
 * All vCPUs of a guest read and write every window while emulators of two domains create servers, map, claim, bind, say
 * ready and not ready, die, adopt and are destroyed, and while time passes so fast that holds, settling and orphans run
 * out. Run under ThreadSanitizer and under AddressSanitizer (interleave.sh); the stubs look for wrong order of locks,
 * and for whoever waits for ever.
 *
 * What must be so at any time: an access is handled, forwarded or held, and none is lost; a read that nobody answers is
 * all ones; the magic number of the status page is there. And at the end: no pause, no event channel, no memory is
 * left.
 */
#include <sched.h>
#include <time.h>
#include <unistd.h>

#include "machine.h"

#define BRIDGES 2u
#define ANSWER 0x4d4d4d4d4d4d4d4dull /* what emulators answer, in every byte */

static struct machine machine;
static _Atomic bool over, emulators_over;
static _Atomic unsigned long accesses, forwarded, retried, rung, operations, deaths, adopted, answered;

struct random {
    uint64_t state;
};

static unsigned int pick(struct random *random, unsigned int count)
{
    random->state = random->state * 6364136223846793005ull + 1442695040888963407ull;
    return (unsigned int)((random->state >> 33) % count);
}

static uint64_t pick_address(struct random *random, unsigned int index)
{
    const struct bridge *b = machine_bridge(&machine, index);

    switch (pick(random, 6)) {
    case 0:
        return bridge_status_base(b);
    case 1:
        return b->ecam.base + pick(random, 16) * 0x1000ull;
    case 2:
        return b->ecam.base + b->ecam.size - 8;
    case 3:
        return b->prefetch.base + pick(random, 8) * 8;
    default:
        return b->memory.base + pick(random, 16) * 8;
    }
}

static void check_read(uint64_t gpa, unsigned int size_log2, uint64_t value, bool was_forwarded)
{
    const uint64_t mask = ~0ull >> (64 - (8u << size_log2));

    if (gpa == bridge_status_base(machine_bridge(&machine, 0)) ||
        gpa == bridge_status_base(machine_bridge(&machine, 1))) {
        ASSERT((uint32_t)value == (BRIDGE_STATUS_MAGIC_VALUE & (uint32_t)mask) && !was_forwarded);
    } else {
        ASSERT(value == mask || (was_forwarded && value == (ANSWER & mask)));
    }
}

static void *run_vcpu(void *argument)
{
    struct vcpu *v = argument;
    struct random random = {(uint64_t)v->vcpu_id + 1};

    while (!over) {
        const struct hsr_dabt dabt = {.valid = 1, .write = pick(&random, 2), .size = pick(&random, 4), .reg = 3};
        mmio_info_t info = {.dabt = dabt, .dabt_instr.state = INSTR_VALID,
                            .gpa = pick_address(&random, pick(&random, BRIDGES))};
        const bool outside = info.gpa < 0x1000; /* the second bridge has no prefetchable window */
        struct cpu_user_regs regs = {{0}};
        bool was_forwarded = false;
        enum io_state rc;

        vcpu_enter(v);
        rc = ioreq_pci_access(&regs, v, &info);
        ASSERT(locks_held() == 0);
        if (rc == IO_RETRY && v->io.req.state != STATE_IOREQ_NONE) {
            was_forwarded = true;
            forwarded++;
            vcpu_wait_for(v, &v->io.pending);
            regs.x[3] = v->io.req.data & (~0ull >> (64 - (8u << dabt.size)));
            rc = handle_ioserv(&regs, v);
        } else if (rc == IO_RETRY) {
            retried++;
        } else if (rc == IO_HANDLED && dabt.write) {
            rung++;
        }
        vcpu_leave(v);
        ASSERT(outside ? rc == IO_UNHANDLED : rc == IO_RETRY || rc == IO_HANDLED);
        if (rc == IO_HANDLED && !dabt.write) {
            check_read(info.gpa, dabt.size, regs.x[3], was_forwarded);
        }
        accesses++;
        sched_yield();
    }
    return NULL;
}

/* What an emulator's process does with the page: answers whatever waits for it. */
static void answer_all(struct random *random)
{
    struct domain *d = &machine.guest;
    unsigned int i;

    rspin_lock(&d->ioreq_server.lock);
    for (i = 0; i < d->max_vcpus; i++) {
        struct vcpu *v = d->vcpu[i];

        if (v->io.pending && pick(random, 4) != 0) {
            const struct ioreq_server *s = d->ioreq_server.server[v->io.server];

            if (s->emulator == current->domain) {
                v->io.req.data = ANSWER;
                vcpu_go_on(&v->io.pending);
                answered++;
            }
        }
    }
    rspin_unlock(&d->ioreq_server.lock);
}

static void one_operation(struct random *random)
{
    struct domain *d = &machine.guest;
    const unsigned int index = pick(random, BRIDGES), id = pick(random, MAX_NR_IOREQ_SERVERS);
    const struct bridge *b = machine_bridge(&machine, index);
    const uint64_t bell = b->memory.base + pick(random, 16) * 8;
    const unsigned int sbdf = index << 16 | pick(random, 16);
    struct bridge_dm_op describe = {.op = BRIDGE_DM_OP_DESCRIBE, .u.index = index};
    uint32_t server;
    int created;

    operations++;
    switch (pick(random, 17)) {
    case 0:
        created = server_create(d);
        if (created >= 0) {
            server_map_page(d, (unsigned int)created);
            server_enable(d, (unsigned int)created, true);
            server_bind(d, (unsigned int)created);
        }
        break;
    case 1:
        machine_ready(&machine, index, id, 1);
        break;
    case 2:
        machine_ready(&machine, index, id, 0);
        break;
    case 3:
    case 4:
        machine_bind(&machine, index, id, bell, 4, NULL);
        break;
    case 5:
        machine_unbind(&machine, index, id, bell, 4);
        break;
    case 6:
    case 7:
        server_map(d, id, XEN_DMOP_IO_RANGE_PCI, sbdf, sbdf);
        break;
    case 8:
        server_unmap(d, id, XEN_DMOP_IO_RANGE_PCI, sbdf, sbdf);
        break;
    case 9:
    case 10:
        server_map(d, id, XEN_DMOP_IO_RANGE_MEMORY, b->memory.base, b->memory.base + 0xfff);
        break;
    case 11:
        server_unmap(d, id, XEN_DMOP_IO_RANGE_MEMORY, b->memory.base + 0x40, b->memory.base + 0xfff);
        break;
    case 12:
        server_map(d, id, XEN_DMOP_IO_RANGE_MEMORY, b->ecam.base, b->ecam.base + b->ecam.size - 1);
        break;
    case 13:
        if (pick(random, 4) == 0) {
            server_destroy(d, id);
        }
        break;
    case 14:
        if (pick(random, 8) == 0) {
            deaths++;
            server_emulator_dies(d, current->domain);
        }
        break;
    case 15:
        ASSERT(machine_dm_op(&machine, &describe) == 0);
        break;
    default:
        if (machine_adopt(&machine, index, &server) == 0) {
            adopted++;
            server_bind(d, server);
        }
        break;
    }
}

static void *run_emulator(void *argument)
{
    struct vcpu *v = argument;
    struct random random = {v->domain->domain_id + 100u};

    current = v;
    while (!emulators_over) {
        if (pick(&random, 3) == 0) {
            one_operation(&random);
        }
        answer_all(&random);
        sched_yield();
    }
    return NULL;
}

/* When no vCPU can look at it any more, the time of a domain that is held stands still. */
static void check_time(void)
{
    bool looked_at = false;
    unsigned int i;

    spin_lock(&machine.pci->lock);
    for (i = 0; i < machine.guest.max_vcpus; i++) {
        looked_at |= !machine.guest.vcpu[i]->is_switched_out;
    }
    ASSERT(!machine.pci->held || looked_at || machine.guest.time_stopped);
    spin_unlock(&machine.pci->lock);
}

static void *run_time(void *unused)
{
    while (!emulators_over) {
        check_time();
        time_advance(MILLISECS(20));
        sched_yield();
    }
    return unused;
}

static void *run_tasklets(void *unused)
{
    while (!emulators_over) {
        tasklets_run();
        sched_yield();
    }
    return unused;
}

/* Another round of the same guest: everything that happens only once may happen again. */
static void one_round(unsigned int milliseconds)
{
    pthread_t vcpus[HYPERVISOR_VCPUS], others[4];
    unsigned int i;

    over = emulators_over = false;
    machine_start(&machine, BRIDGES, BRIDGE_FLAG_HOLD, 2);
    faults.allocation_forbidden = true;
    for (i = 0; i < machine.guest.max_vcpus; i++) {
        pthread_create(&vcpus[i], NULL, run_vcpu, machine.guest.vcpu[i]);
    }
    pthread_create(&others[0], NULL, run_emulator, &machine.dom0_vcpu);
    pthread_create(&others[1], NULL, run_emulator, &machine.other_vcpu);
    pthread_create(&others[2], NULL, run_time, NULL);
    pthread_create(&others[3], NULL, run_tasklets, NULL);
    usleep(milliseconds * 1000);
    /* First the guest, whom the others must release, if by nothing else then by time. */
    over = true;
    for (i = 0; i < machine.guest.max_vcpus; i++) {
        pthread_join(vcpus[i], NULL);
    }
    emulators_over = true;
    for (i = 0; i < ARRAY_SIZE(others); i++) {
        pthread_join(others[i], NULL);
    }
    machine_stop(&machine);
}

int main(int argc, char **argv)
{
    const time_t until = time(NULL) + (argc > 1 ? atoi(argv[1]) : 5);
    unsigned int rounds = 0;

    do {
        one_round(200);
        rounds++;
    } while (time(NULL) < until);
    printf("%u rounds, %lu accesses: %lu forwarded (%lu answered), %lu retried, %lu writes done at once; "
           "%lu operations, %lu deaths, %lu adopted\n",
           rounds, accesses, forwarded, answered, retried, rung, operations, deaths, adopted);
    ASSERT(forwarded > 0 && retried > 0 && rung > 0 && deaths > 0 && adopted > 0 && answered > 0);
    return 0;
}
