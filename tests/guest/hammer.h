/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A hostile guest: all vCPUs hammer every window of the bridge with accesses of every kind at random places, while
 * device models come and go. What the hypervisor alone answers must be right all the time. It takes guest->seconds of
 * the guest's time, and goes on until the last device model is there, which is the only one with a second device.
 */
#ifndef GUEST_HAMMER_H
#define GUEST_HAMMER_H

#include "tree.h"

/* After status_wait(). */
void hammer_test(const struct guest *guest);

#endif
