/* SPDX-License-Identifier: BSD-2-Clause */
/* Every kind of access at every alignment, around a few places of a region whose content is known. */
#ifndef GUEST_REGION_H
#define GUEST_REGION_H

#include "access.h"

/* The byte at a guest physical address. */
typedef uint8_t (*region_byte_fn)(uint64_t address);

/* Loads of all kinds that lie within [address, address + size), size at most 16, aligned and not. */
void region_loads(uint64_t address, unsigned int size, region_byte_fn byte);

/* Stores of all kinds there, which must change nothing. */
void region_stores_ignored(uint64_t address, unsigned int size, region_byte_fn byte);

/* Each general register, and the zero register, takes part in an access of eight bytes. */
void region_registers(uint64_t address, region_byte_fn byte);

/*
 * Loads that write back the address afterwards. Their aborts have no valid syndrome, but these few Xen decodes: the
 * value must come into the right register, all of it, and nothing into another.
 */
void region_write_back(uint64_t address, region_byte_fn byte);

#endif
