/* SPDX-License-Identifier: BSD-2-Clause */
/* See abort.h. */
#include "abort.h"

#include "mmu.h"
#include "tap.h"

#define VECTOR_SYNCHRONOUS 4u /* from EL1 with its own stack pointer */
#define ABORTS_MAX         40u

#define CLASS_SHIFT      26u
#define CLASS_DATA_ABORT 0x25u /* from EL1 */

void abort_report(unsigned int vector)
{
    static unsigned int aborts;
    uint64_t syndrome;
    uint64_t address;
    uint64_t instruction;

    __asm__ volatile("mrs %0, esr_el1" : "=r"(syndrome));
    __asm__ volatile("mrs %0, far_el1" : "=r"(address));
    __asm__ volatile("mrs %0, elr_el1" : "=r"(instruction));
    if (test_fault()) {
        console_print("# exception: vector %u, syndrome %x, address %x, pc %x\n", vector, syndrome,
                      address % VIEW_SIZE, instruction);
    }
    if (vector != VECTOR_SYNCHRONOUS || syndrome >> CLASS_SHIFT != CLASS_DATA_ABORT) {
        test_bail_out("an exception that is no data abort");
    }
    if (++aborts > ABORTS_MAX) {
        test_bail_out("too many data aborts");
    }
}
