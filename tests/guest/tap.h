/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The console, and the Test Anything Protocol on it.
 *
 * A test is any number of checks between test_begin() and test_end(); it fails if one of them did not hold, or if the
 * guest took an exception meanwhile (abort.c). A test's first few faults are printed, all are counted.
 */
#ifndef GUEST_TAP_H
#define GUEST_TAP_H

#include <stdbool.h>
#include <stdint.h>

/* From now on console_print() goes to the SBSA UART at this address. */
void console_open(uintptr_t uart);

/* %s, %u (unsigned int), %x (uint64_t), %%; nothing else. */
void console_print(const char *format, ...);

void test_begin(const char *name);
void test_end(void);
void test_skip(const char *name, const char *why);

/* Counts as checks that held; the test's line says how many there were. */
void test_count(unsigned int checks);

/* A check that did not hold: whether the caller may print what it was; it then does so, as a line from "# ". */
bool test_fault(void);

/* One check with a sentence for what should hold. */
void test_require(bool holds, const char *what);

/* The plan and the closing line. */
void test_finish(void);

/* What makes going on senseless; does not return. */
_Noreturn void test_bail_out(const char *why);

#endif
