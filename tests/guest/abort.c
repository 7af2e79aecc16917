/* SPDX-License-Identifier: BSD-2-Clause */
/* See abort.h. */
#include "abort.h"

#include <stdatomic.h>

#include "mmu.h"
#include "tap.h"

#define VECTOR_SYNCHRONOUS 4u /* from EL1 with its own stack pointer */
#define ABORTS_MAX         40u

#define CLASS_SHIFT      26u
#define CLASS_DATA_ABORT 0x25u /* from EL1 */

static atomic_bool aborts_wanted;
static atomic_ullong wanted_aborts;

uint64_t abort_want(bool wanted)
{
    atomic_store(&aborts_wanted, wanted);
    return atomic_load(&wanted_aborts);
}

void abort_report(unsigned int vector)
{
    static unsigned int aborts;
    uint64_t syndrome;
    uint64_t address;
    uint64_t instruction;
    bool data_abort;

    __asm__ volatile("mrs %0, esr_el1" : "=r"(syndrome));
    data_abort = vector == VECTOR_SYNCHRONOUS && syndrome >> CLASS_SHIFT == CLASS_DATA_ABORT;
    if (data_abort && atomic_load(&aborts_wanted)) {
        atomic_fetch_add(&wanted_aborts, 1);
        return;
    }
    __asm__ volatile("mrs %0, far_el1" : "=r"(address));
    __asm__ volatile("mrs %0, elr_el1" : "=r"(instruction));
    if (test_fault()) {
        console_print("# exception: vector %u, syndrome %x, address %x, pc %x\n", vector, syndrome,
                      address % VIEW_SIZE, instruction);
    }
    if (!data_abort) {
        test_bail_out("an exception that is no data abort");
    }
    if (++aborts > ABORTS_MAX) {
        test_bail_out("too many data aborts");
    }
}
