/* SPDX-License-Identifier: BSD-2-Clause */
/* What nobody answers: reads give all ones, writes are ignored, and there is never an abort. */
#ifndef GUEST_BACKGROUND_H
#define GUEST_BACKGROUND_H

#include "config.h"

/* Every window where nobody answers: both ends, and places in between. No BAR may be decoded. */
void background_test(const struct guest *guest, const struct functions *functions);

/* Checks that nobody answers for the 16 bytes at an address, as part of the test that is running. */
void background_check(uint64_t address);

#endif
