/* SPDX-License-Identifier: BSD-2-Clause */
/* Work on all vCPUs at once. */
#ifndef GUEST_VCPUS_H
#define GUEST_VCPUS_H

#include <stdbool.h>

#define VCPUS_MAX 8u

/*
 * Starts all vCPUs but the first by PSCI, runs work(0) to work(count - 1), each on the vCPU of that number, and returns
 * when all have. To be called once. False: one of them did not start.
 */
bool vcpus_run(unsigned int count, void (*work)(unsigned int vcpu));

/*
 * Suspends the guest by PSCI, of which no other vCPU may run: what resumes then is work(0) alone, and this does not
 * return. False: the hypervisor has no such call.
 */
bool vcpus_suspend(void (*work)(unsigned int vcpu));

/* Called by secondary_entry, and does not return. */
_Noreturn void vcpus_secondary(void);

#endif
