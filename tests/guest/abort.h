/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Exceptions. Each one is a fault of the test that is running, printed with its address; the instruction is then left
 * out and the test goes on. After too many the program gives up. Data aborts may also be wanted: they are then counted.
 */
#ifndef GUEST_ABORT_H
#define GUEST_ABORT_H

#include <stdbool.h>
#include <stdint.h>

/* Called by the vectors, with the number of the vector. */
void abort_report(unsigned int vector);

/* From now on data aborts are wanted, on every vCPU, or not any more. Returns how many there were while they were. */
uint64_t abort_want(bool wanted);

#endif
