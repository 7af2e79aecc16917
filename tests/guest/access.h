/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Loads and stores of every kind whose data abort says in its syndrome what was to be done: these are what a
 * hypervisor can emulate.
 */
#ifndef GUEST_ACCESS_H
#define GUEST_ACCESS_H

#include <stdbool.h>
#include <stdint.h>

enum load {
    LOAD_B,
    LOAD_H,
    LOAD_W,
    LOAD_X,
    LOAD_SB_W, /* sign-extended into a W register: the other half of the X register becomes zero */
    LOAD_SB_X,
    LOAD_SH_W,
    LOAD_SH_X,
    LOAD_SW_X,
    LOAD_UNSCALED_X,
    LOAD_INDEXED_W,   /* base and index register */
    LOAD_ACQUIRE_B,   /* the first of those that must be aligned, whatever the memory */
    LOAD_ACQUIRE_H,
    LOAD_ACQUIRE_W,
    LOAD_ACQUIRE_X,
    LOADS,
};

enum store {
    STORE_B,
    STORE_H,
    STORE_W,
    STORE_X,
    STORE_ZERO_X,    /* the zero register */
    STORE_RELEASE_W, /* the first of those that must be aligned */
    STORE_RELEASE_X,
    STORES,
};

const char *load_name(enum load load);
unsigned int load_size(enum load load);
unsigned int store_size(enum store store);

/* Whether it can be done at this address with the view's memory type: normal or device. */
bool load_possible(enum load load, uint64_t address, bool normal);
bool store_possible(enum store store, uint64_t address, bool normal);

/* The whole X register after the load; the address is that of a view (mmu.h). */
uint64_t load_do(enum load load, uintptr_t address);
void store_do(enum store store, uintptr_t address, uint64_t data);

/* What the register should be when the bytes at the address, the first one lowest, are those of `data`. */
uint64_t load_expected(enum load load, uint64_t data);

/* One load at a guest physical address, checked; true if it gave what the bytes `data` should give. */
bool load_check(enum load load, bool normal, uint64_t address, uint64_t data);

/* A pair of eight bytes: no syndrome says what was to be done, and the guest takes the abort. */
void pair_do(bool store, uintptr_t address);

/* Plain accesses through the device view, aligned, of 1, 2, 4 or 8 bytes. */
uint64_t device_read(uint64_t address, unsigned int size);
void device_write(uint64_t address, unsigned int size, uint64_t data);

/* start.S */
#define EACH_REGISTER 33u
void load_each_register(uintptr_t address, uint64_t value[EACH_REGISTER]);
void store_each_register(uintptr_t address);

#endif
