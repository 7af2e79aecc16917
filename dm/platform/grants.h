/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Addresses on a bridge with BRIDGE_FLAG_GRANTS: not where something is in the guest, but what the guest has granted.
 * Its driver grants the pages of a buffer to the back end's domain under consecutive references, for the time of one
 * request (a ring: for as long as the queue lives), and makes an address of the first one:
 *
 *   bit 63      always 1
 *   62 .. 44    0
 *   43 .. 12    grant reference
 *   11 .. 0     offset in the page
 *
 * as Linux does since 5.19 (drivers/xen/grant-dma-ops.c). Both platforms take addresses apart with this function, so
 * that what the tests see is what runs on Xen.
 */
#ifndef PLATFORM_GRANTS_H
#define PLATFORM_GRANTS_H

#include <stdint.h>

#define PLATFORM_GRANT_PAGE    4096u /* a grant is a page of Xen's, whatever the guest's own are */
#define PLATFORM_GRANT_ADDRESS (1ull << 63)

struct platform_grants {
    uint32_t first; /* reference */
    uint32_t count; /* how many of them, consecutive; the last one does not wrap */
    uint32_t offset;
};

/*
 * The grants that [address, address + length) consists of. -EINVAL: not such an address, references that wrap, or a
 * length of 0 or above PLATFORM_GRANT_BYTES.
 */
int platform_grants_decode(uint64_t address, uint64_t length, struct platform_grants *grants);

/* From the first byte of a mapping of `length` bytes to the pages that it consists of; returns their number. */
uint32_t platform_grants_pages(void *memory, uint64_t length, void **first);

#endif
