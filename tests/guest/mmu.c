/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * See mmu.h. 4 KiB granule, 48 bits of addresses, one entry of level 0 for 512 GiB, one of level 1 for 1 GiB
 * (Arm ARM DDI 0487, D8.2).
 */
#include "mmu.h"

#define ENTRIES     512u
#define GIB_SHIFT   30u
#define TABLES      6u /* of level 1: two a view */
#define VIEW_TABLES 2u

#define DESCRIPTOR_BLOCK    1ull
#define DESCRIPTOR_TABLE    3ull
#define DESCRIPTOR_ATTR(n)  ((uint64_t)(n) << 2)
#define DESCRIPTOR_SHARED   (3ull << 8)
#define DESCRIPTOR_ACCESSED (1ull << 10)
#define DESCRIPTOR_NO_EXEC  (3ull << 53)

enum attribute { ATTRIBUTE_DEVICE, ATTRIBUTE_CACHED, ATTRIBUTE_NORMAL };
#define MAIR_VALUE 0x44ff04ull

#define TCR_T0SZ_48     16ull
#define TCR_WRITE_BACK  ((1ull << 8) | (1ull << 10))
#define TCR_SHARED      (3ull << 12)
#define TCR_NO_TTBR1    (1ull << 23)
#define TCR_IPS_SHIFT   32u
#define SCTLR_MMU       1ull
#define SCTLR_ALIGNMENT 2ull
#define SCTLR_CACHES    ((1ull << 2) | (1ull << 12))

#define CACHE_LINE 16u /* the smallest there is */

extern uint8_t _start[];
extern uint8_t __end[];

static uint64_t level0[ENTRIES] __attribute__((aligned(4096)));
static uint64_t level1[TABLES][ENTRIES] __attribute__((aligned(4096)));

static uint64_t block(uint64_t gib, enum attribute attribute, uint64_t more)
{
    return (gib << GIB_SHIFT) | DESCRIPTOR_BLOCK | DESCRIPTOR_ATTR(attribute) | DESCRIPTOR_ACCESSED |
           DESCRIPTOR_SHARED | more;
}

static void map_memory(uintptr_t address)
{
    const uint64_t gib = address >> GIB_SHIFT;

    level1[gib / ENTRIES][gib % ENTRIES] = block(gib, ATTRIBUTE_CACHED, 0);
}

static void fill_tables(uintptr_t device_tree)
{
    for (unsigned int i = 0; i < TABLES; i++) {
        level0[i] = (uintptr_t)level1[i] | DESCRIPTOR_TABLE;
    }
    for (unsigned int gib = 0; gib < VIEW_TABLES * ENTRIES; gib++) {
        level1[VIEW_TABLES + gib / ENTRIES][gib % ENTRIES] = block(gib, ATTRIBUTE_DEVICE, DESCRIPTOR_NO_EXEC);
        level1[2 * VIEW_TABLES + gib / ENTRIES][gib % ENTRIES] = block(gib, ATTRIBUTE_NORMAL, DESCRIPTOR_NO_EXEC);
    }
    map_memory((uintptr_t)_start);
    map_memory((uintptr_t)__end - 1);
    map_memory(device_tree);
}

/* What was written without caches must not be hidden by lines that were fetched before. */
static void invalidate_program(void)
{
    __asm__ volatile("dsb sy" ::: "memory");
    for (uintptr_t line = (uintptr_t)_start; line < (uintptr_t)__end; line += CACHE_LINE) {
        __asm__ volatile("dc ivac, %0" ::"r"(line) : "memory");
    }
    __asm__ volatile("dsb sy" ::: "memory");
}

/* Reads nothing from memory: what others have written there may still be in their caches only. */
void mmu_join(void)
{
    uint64_t ips;
    uint64_t control;

    __asm__ volatile("mrs %0, id_aa64mmfr0_el1" : "=r"(ips));
    ips &= 7;
    ips = ips > 5 ? 5 : ips;
    __asm__ volatile("msr mair_el1, %0" ::"r"(MAIR_VALUE));
    __asm__ volatile("msr tcr_el1, %0" ::"r"(TCR_T0SZ_48 | TCR_WRITE_BACK | TCR_SHARED | TCR_NO_TTBR1 |
                                             (ips << TCR_IPS_SHIFT)));
    __asm__ volatile("msr ttbr0_el1, %0" ::"r"(level0));
    __asm__ volatile("isb; tlbi vmalle1; ic iallu; dsb sy; isb" ::: "memory");
    __asm__ volatile("mrs %0, sctlr_el1" : "=r"(control));
    control = (control & ~SCTLR_ALIGNMENT) | SCTLR_MMU | SCTLR_CACHES;
    __asm__ volatile("msr sctlr_el1, %0; isb" ::"r"(control) : "memory");
}

void mmu_enable(uintptr_t device_tree)
{
    fill_tables(device_tree);
    invalidate_program();
    mmu_join();
}
