/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The guest's address space: 1 TiB of guest physical addresses, three times.
 *
 *   as they are                 memory, and that only in the 1 GiB pieces with the program and the device tree
 *   VIEW_DEVICE + address       Device-nGnRE: aligned accesses only
 *   VIEW_NORMAL + address       Normal, not cacheable: an access of any alignment leaves the processor as one
 */
#ifndef GUEST_MMU_H
#define GUEST_MMU_H

#include <stdint.h>

#define VIEW_SIZE   (1ull << 40)
#define VIEW_DEVICE (1ull << 40)
#define VIEW_NORMAL (1ull << 41)

/* Fills the tables; turns the MMU and the caches on, on the first vCPU and then, by mmu_join(), on each other. */
void mmu_enable(uintptr_t device_tree);
void mmu_join(void);

#endif
