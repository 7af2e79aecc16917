/* SPDX-License-Identifier: BSD-2-Clause */
/* The generic timer's counters (Arm ARM DDI 0487, D11): the guest's time, which stands still while it is held. */
#ifndef GUEST_CLOCK_H
#define GUEST_CLOCK_H

#include <stdint.h>

static inline uint64_t clock_virtual(void)
{
    uint64_t now;

    __asm__ volatile("isb; mrs %0, cntvct_el0" : "=r"(now)::"memory");
    return now;
}

/* Goes on while the guest is held. */
static inline uint64_t clock_physical(void)
{
    uint64_t now;

    __asm__ volatile("isb; mrs %0, cntpct_el0" : "=r"(now)::"memory");
    return now;
}

static inline uint64_t clock_ticks_a_second(void)
{
    uint64_t frequency;

    __asm__ volatile("mrs %0, cntfrq_el0" : "=r"(frequency));
    return frequency;
}

#endif
