/* SPDX-License-Identifier: BSD-2-Clause */
/* See vcpus.h. */
#include "vcpus.h"

#include <stdatomic.h>
#include <stdint.h>

#include "hypervisor.h"

#define STACK_SIZE 0x2000u

extern void secondary_entry(void);

static uint8_t stacks[VCPUS_MAX - 1][STACK_SIZE] __attribute__((aligned(16)));
static void (*_Atomic work)(unsigned int vcpu);
static atomic_uint busy;

/* Xen numbers vCPUs in the lowest affinity field; 16 of them fit. */
static unsigned int this_vcpu(void)
{
    uint64_t affinity;

    __asm__ volatile("mrs %0, mpidr_el1" : "=r"(affinity));
    return (unsigned int)(affinity & 0xf);
}

static bool cpu_on(unsigned int vcpu)
{
    return hypervisor_psci(PSCI_CPU_ON, vcpu, (uintptr_t)secondary_entry, (uintptr_t)stacks[vcpu]) == 0;
}

_Noreturn void vcpus_secondary(void)
{
    work(this_vcpu());
    atomic_fetch_sub(&busy, 1);
    for (;;) {
        __asm__ volatile("wfi");
    }
}

bool vcpus_suspend(void (*what)(unsigned int vcpu))
{
    atomic_store(&work, what);
    atomic_store(&busy, 1);
    return hypervisor_psci(PSCI_SYSTEM_SUSPEND, (uintptr_t)secondary_entry, (uintptr_t)stacks[1], 0) == 0;
}

bool vcpus_run(unsigned int count, void (*what)(unsigned int vcpu))
{
    bool started = count <= VCPUS_MAX;

    atomic_store(&work, what);
    atomic_store(&busy, count - 1);
    for (unsigned int vcpu = 1; started && vcpu < count; vcpu++) {
        started = cpu_on(vcpu);
    }
    if (started) {
        what(0);
        while (atomic_load(&busy) != 0) {
        }
    }
    return started;
}
