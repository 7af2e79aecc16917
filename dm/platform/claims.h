/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The ranges of guest address space that a device model has claimed, as the hypervisor keeps them for an ioreq
 * server. Both platforms have such a table, so that -EEXIST and -ENOENT mean the same on both.
 *
 * Fixed size, no allocation: one ioreq server has this many ranges and no more. One thread.
 */
#ifndef PLATFORM_CLAIMS_H
#define PLATFORM_CLAIMS_H

#include <stdbool.h>
#include <stdint.h>

#define PLATFORM_CLAIMS_MAX 256u /* Xen: MAX_NR_IO_RANGES of a server */

struct platform_claims {
    unsigned int count;
    struct {
        uint64_t base;
        uint64_t size;
    } claim[PLATFORM_CLAIMS_MAX];
};

/* -EINVAL: size 0 or past the end of the address space. -EEXIST: overlaps another claim. -ENOSPC: the table is full. */
int platform_claims_add(struct platform_claims *claims, uint64_t base, uint64_t size);

/* Takes back exactly one earlier claim. -ENOENT: there is none of that base and size. */
int platform_claims_remove(struct platform_claims *claims, uint64_t base, uint64_t size);

/* Whether [address, address + size), which does not wrap, lies wholly in one claim. */
bool platform_claims_contain(const struct platform_claims *claims, uint64_t address, uint64_t size);

#endif
