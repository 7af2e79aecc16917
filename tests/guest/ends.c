/* SPDX-License-Identifier: BSD-2-Clause */
/* See ends.h. */
#include "ends.h"

#include <stdatomic.h>

#include "access.h"
#include "clock.h"
#include "device_model.h"
#include "hypervisor.h"
#include "tap.h"
#include "vcpus.h"

#define DEVICE     1u /* the first one that sidebridge-dm has */
#define WAITS_FROM 1u /* seconds without an answer until a vCPU counts as one that waits */

static const struct guest *bridge;
static atomic_uint answers;

static unsigned int read_function(void)
{
    const struct bridge_ecam_address address = { .device = DEVICE };

    return (unsigned int)device_read(bridge->ecam.base + bridge_ecam_encode(address), 2);
}

static void read_again(unsigned int vcpu)
{
    (void)vcpu;
    console_print("sb: guest is resumed and reads %x\n", (uint64_t)read_function());
}

static void end_or_read(unsigned int vcpu)
{
    unsigned int before = 0;
    uint64_t since = clock_virtual();

    if (vcpu != 0) {
        for (;;) {
            (void)read_function();
            atomic_fetch_add(&answers, 1);
        }
    }
    while (clock_virtual() - since < WAITS_FROM * clock_ticks_a_second()) {
        if (atomic_load(&answers) != before) {
            before = atomic_load(&answers);
            since = clock_virtual();
        }
        __asm__ volatile("wfe"); /* Xen lets others run */
    }
    console_print("sb: guest ends while a vCPU waits, %s answers\n", before != 0 ? "after" : "without");
    (void)hypervisor_psci(bridge->vcpus == 2 ? PSCI_SYSTEM_OFF : PSCI_SYSTEM_RESET, 0, 0, 0);
    test_bail_out("the guest goes on");
}

void ends_test(const struct guest *guest)
{
    bridge = guest;
    console_print("sb: guest touches its bridge\n");
    console_print("sb: guest reads %x\n", (uint64_t)read_function());
    if (guest->vcpus != 1) {
        (void)vcpus_run(2, end_or_read);
    } else if (!vcpus_suspend(read_again)) {
        console_print("sb: guest cannot suspend itself\n");
    }
}
