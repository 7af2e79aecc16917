/* SPDX-License-Identifier: BSD-2-Clause */
/* See access.h. A register begins with a value that no right answer has: what an access leaves of it is seen. */
#include "access.h"

#include "mmu.h"
#include "tap.h"

#define UNTOUCHED 0x5a5aa5a55a5aa5a5ull

static const struct {
    const char *name;
    unsigned int size;
    bool sign;
    bool wide;
} loads[LOADS] = {
    [LOAD_B] = { "ldrb w", 1, false, false },
    [LOAD_H] = { "ldrh w", 2, false, false },
    [LOAD_W] = { "ldr w", 4, false, false },
    [LOAD_X] = { "ldr x", 8, false, true },
    [LOAD_SB_W] = { "ldrsb w", 1, true, false },
    [LOAD_SB_X] = { "ldrsb x", 1, true, true },
    [LOAD_SH_W] = { "ldrsh w", 2, true, false },
    [LOAD_SH_X] = { "ldrsh x", 2, true, true },
    [LOAD_SW_X] = { "ldrsw x", 4, true, true },
    [LOAD_UNSCALED_X] = { "ldur x", 8, false, true },
    [LOAD_INDEXED_W] = { "ldr w, [x, x]", 4, false, false },
    [LOAD_ACQUIRE_B] = { "ldarb w", 1, false, false },
    [LOAD_ACQUIRE_H] = { "ldarh w", 2, false, false },
    [LOAD_ACQUIRE_W] = { "ldar w", 4, false, false },
    [LOAD_ACQUIRE_X] = { "ldar x", 8, false, true },
};

static const unsigned int store_sizes[STORES] = { 1, 2, 4, 8, 8, 4, 8 };

const char *load_name(enum load load)
{
    return loads[load].name;
}

unsigned int load_size(enum load load)
{
    return loads[load].size;
}

unsigned int store_size(enum store store)
{
    return store_sizes[store];
}

bool load_possible(enum load load, uint64_t address, bool normal)
{
    return (normal && load < LOAD_ACQUIRE_B) || address % load_size(load) == 0;
}

bool store_possible(enum store store, uint64_t address, bool normal)
{
    return (normal && store < STORE_RELEASE_W) || address % store_size(store) == 0;
}

#define LOAD(instruction) __asm__ volatile(instruction : "+r"(value) : "r"(address), "r"(address - 3) : "memory")

uint64_t load_do(enum load load, uintptr_t address)
{
    uint64_t value = UNTOUCHED;

    switch (load) {
    case LOAD_B: LOAD("ldrb %w0, [%1]"); break;
    case LOAD_H: LOAD("ldrh %w0, [%1]"); break;
    case LOAD_W: LOAD("ldr %w0, [%1]"); break;
    case LOAD_X: LOAD("ldr %0, [%1]"); break;
    case LOAD_SB_W: LOAD("ldrsb %w0, [%1]"); break;
    case LOAD_SB_X: LOAD("ldrsb %0, [%1]"); break;
    case LOAD_SH_W: LOAD("ldrsh %w0, [%1]"); break;
    case LOAD_SH_X: LOAD("ldrsh %0, [%1]"); break;
    case LOAD_SW_X: LOAD("ldrsw %0, [%1]"); break;
    case LOAD_UNSCALED_X: LOAD("ldur %0, [%2, #3]"); break;
    case LOAD_INDEXED_W: LOAD("mov %0, #3; ldr %w0, [%2, %0]"); break;
    case LOAD_ACQUIRE_B: LOAD("ldarb %w0, [%1]"); break;
    case LOAD_ACQUIRE_H: LOAD("ldarh %w0, [%1]"); break;
    case LOAD_ACQUIRE_W: LOAD("ldar %w0, [%1]"); break;
    case LOAD_ACQUIRE_X: LOAD("ldar %0, [%1]"); break;
    default: break;
    }
    return value;
}

#define STORE(instruction) __asm__ volatile(instruction ::"r"(data), "r"(address) : "memory")

void store_do(enum store store, uintptr_t address, uint64_t data)
{
    switch (store) {
    case STORE_B: STORE("strb %w0, [%1]"); break;
    case STORE_H: STORE("strh %w0, [%1]"); break;
    case STORE_W: STORE("str %w0, [%1]"); break;
    case STORE_X: STORE("str %0, [%1]"); break;
    case STORE_ZERO_X: STORE("str xzr, [%1]"); break;
    case STORE_RELEASE_W: STORE("stlr %w0, [%1]"); break;
    case STORE_RELEASE_X: STORE("stlr %0, [%1]"); break;
    default: break;
    }
}

void pair_do(bool store, uintptr_t address)
{
    uint64_t first = UNTOUCHED;
    uint64_t second = UNTOUCHED;

    if (store) {
        __asm__ volatile("stp %0, %1, [%2]" ::"r"(first), "r"(second), "r"(address) : "memory");
    } else {
        __asm__ volatile("ldp %0, %1, [%2]" : "+r"(first), "+r"(second) : "r"(address) : "memory");
    }
}

uint64_t load_expected(enum load load, uint64_t data)
{
    const unsigned int unused = 64 - 8 * loads[load].size;
    const uint64_t top = data << unused;
    const uint64_t value = loads[load].sign ? (uint64_t)((int64_t)top >> unused) : top >> unused;

    return loads[load].wide ? value : value & UINT32_MAX;
}

bool load_check(enum load load, bool normal, uint64_t address, uint64_t data)
{
    const uint64_t value = load_do(load, address + (normal ? VIEW_NORMAL : VIEW_DEVICE));
    const uint64_t expected = load_expected(load, data);

    if (value == expected) {
        test_count(1);
        return true;
    }
    if (test_fault()) {
        console_print("# %s at %x (%s): %x, not %x\n", load_name(load), address, normal ? "normal" : "device", value,
                      expected);
    }
    return false;
}

uint64_t device_read(uint64_t address, unsigned int size)
{
    const enum load load = size == 1 ? LOAD_B : size == 2 ? LOAD_H : size == 4 ? LOAD_W : LOAD_X;

    return load_do(load, VIEW_DEVICE + address);
}

void device_write(uint64_t address, unsigned int size, uint64_t data)
{
    const enum store store = size == 1 ? STORE_B : size == 2 ? STORE_H : size == 4 ? STORE_W : STORE_X;

    store_do(store, VIEW_DEVICE + address, data);
}
