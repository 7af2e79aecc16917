/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The guest ends while its device model owes it an answer: tests/system/domain_ends.py.
 *
 * It reads the first function behind the bridge, and prints what it gets: it may be held for that, and be suspended by
 * others meanwhile. What is next goes by its number of vCPUs:
 *
 *   1   it suspends itself, and reads the function again when it is resumed
 *   2   the second vCPU goes on reading, and once it waits for an answer the first switches the guest off
 *   3   the same, but it is reset; the third vCPU is never started
 */
#ifndef GUEST_ENDS_H
#define GUEST_ENDS_H

#include "tree.h"

void ends_test(const struct guest *guest);

#endif
