/* SPDX-License-Identifier: BSD-2-Clause */
/* See region.h. */
#include "region.h"

#include "mmu.h"
#include "tap.h"

#define PATTERN 0x0123456789abcdefull

static uint64_t bytes_at(uint64_t address, unsigned int size, region_byte_fn byte)
{
    uint64_t data = 0;

    for (unsigned int i = 0; i < size; i++) {
        data |= (uint64_t)byte(address + i) << (8 * i);
    }
    return data;
}

void region_loads(uint64_t address, unsigned int size, region_byte_fn byte)
{
    for (unsigned int offset = 0; offset < size; offset++) {
        for (enum load load = 0; load < LOADS; load++) {
            const uint64_t at = address + offset;

            if (offset + load_size(load) > size) {
                continue;
            }
            for (int normal = 0; normal < 2; normal++) {
                if (load_possible(load, at, normal != 0)) {
                    (void)load_check(load, normal != 0, at, bytes_at(at, load_size(load), byte));
                }
            }
        }
    }
}

void region_stores_ignored(uint64_t address, unsigned int size, region_byte_fn byte)
{
    for (unsigned int offset = 0; offset < size; offset++) {
        for (enum store store = 0; store < STORES; store++) {
            const uint64_t at = address + offset;

            if (offset + store_size(store) > size) {
                continue;
            }
            if (store_possible(store, at, false)) {
                store_do(store, VIEW_DEVICE + at, PATTERN);
            }
            if (store_possible(store, at, true)) {
                store_do(store, VIEW_NORMAL + at, ~PATTERN);
            }
            for (unsigned int i = 0; i < store_size(store); i++) {
                (void)load_check(LOAD_B, false, at + i, byte(at + i));
            }
        }
    }
}

void region_registers(uint64_t address, region_byte_fn byte)
{
    const uint64_t data = bytes_at(address, 8, byte);
    uint64_t value[EACH_REGISTER];

    load_each_register(VIEW_DEVICE + address, value);
    for (unsigned int i = 0; i < 31; i++) {
        if (value[i] == data) {
            test_count(1);
        } else if (test_fault()) {
            console_print("# ldr x%u at %x: %x, not %x\n", i, address, value[i], data);
        }
    }
    test_require(value[31] == 0, "the zero register stays zero");
    test_require(value[32] == 0, "a load into the zero register leaves the stack pointer alone");
    store_each_register(VIEW_DEVICE + address);
    (void)load_check(LOAD_X, false, address, data);
}

#define POST_INDEXED(instruction) \
    __asm__ volatile(instruction : "+r"(zero), "+r"(value), "+r"(base)::"memory")

/* What a load has left in x0, in its target register, and by how much the address has moved. */
struct post_indexed {
    uint64_t zero;
    uint64_t value;
    uint64_t moved;
};

static void check_post_indexed(uint64_t address, unsigned int size, uint64_t data, struct post_indexed left)
{
    if (left.value == data && left.zero == PATTERN && left.moved == size) {
        test_count(1);
    } else if (test_fault()) {
        console_print("# post-indexed load of %u at %x: %x, not %x; x0 %s, base moved by %x\n", size, address,
                      left.value, data, left.zero == PATTERN ? "as it was" : "changed", left.moved);
    }
}

static void post_indexed(uint64_t address, unsigned int size, uint64_t data)
{
    register uint64_t zero __asm__("x0") = PATTERN;
    register uint64_t value __asm__("x5") = PATTERN;
    register uint64_t base __asm__("x6") = VIEW_DEVICE + address;

    switch (size) {
    case 1: POST_INDEXED("ldrb %w1, [%2], #1"); break;
    case 2: POST_INDEXED("ldrh %w1, [%2], #2"); break;
    case 4: POST_INDEXED("ldr %w1, [%2], #4"); break;
    default: POST_INDEXED("ldr %1, [%2], #8"); break;
    }
    check_post_indexed(address, size, data, (struct post_indexed){ zero, value, base - VIEW_DEVICE - address });
}

void region_write_back(uint64_t address, region_byte_fn byte)
{
    for (unsigned int size = 1; size <= 8; size *= 2) {
        post_indexed(address, size, bytes_at(address, size, byte));
    }
}
