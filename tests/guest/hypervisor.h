/* SPDX-License-Identifier: BSD-2-Clause */
/* What the guest asks of the hypervisor: by PSCI (Arm DEN 0022) and by hypercalls (Xen, public/arch-arm.h). */
#ifndef GUEST_HYPERVISOR_H
#define GUEST_HYPERVISOR_H

#include <stdint.h>

enum psci {
    PSCI_SYSTEM_OFF = 0x84000008,
    PSCI_SYSTEM_RESET = 0x84000009,
    PSCI_CPU_ON = 0xc4000003,
    PSCI_SYSTEM_SUSPEND = 0xc400000e,
};

/* 0: done; negative: why not. */
static inline int64_t hypervisor_psci(enum psci function, uint64_t first, uint64_t second, uint64_t third)
{
    register uint64_t x0 __asm__("x0") = function;
    register uint64_t x1 __asm__("x1") = first;
    register uint64_t x2 __asm__("x2") = second;
    register uint64_t x3 __asm__("x3") = third;

    __asm__ volatile("hvc #0" : "+r"(x0), "+r"(x1), "+r"(x2), "+r"(x3)::"memory");
    return (int64_t)x0;
}

/*
 * Xen shuts the guest down unless the watchdog is set again within so many seconds; 0: it is switched off. `id` 0: a
 * new one, whose id is returned; else 0. Negative: a Xen error.
 */
static inline int64_t hypervisor_watchdog(uint32_t id, uint32_t seconds)
{
    const uint32_t argument[] = { id, seconds };
    register uint64_t number __asm__("x16") = 29; /* sched_op */
    register uint64_t x0 __asm__("x0") = 6;       /* SCHEDOP_watchdog */
    register uint64_t x1 __asm__("x1") = (uintptr_t)argument;

    __asm__ volatile("hvc #0xea1" : "+r"(x0), "+r"(x1) : "r"(number) : "memory");
    return (int64_t)x0;
}

#endif
