/* SPDX-License-Identifier: BSD-2-Clause */
/* Configuration space: which functions there are, and whether their headers make sense. */
#ifndef GUEST_CONFIG_H
#define GUEST_CONFIG_H

#include "device_model.h"
#include "tree.h"

#define FUNCTIONS_MAX 64u
#define CONFIG_BARS   6u

struct config_bar {
    uint64_t size; /* 0: there is none of this index, or it is the upper half of the one before */
    bool wide;
    bool prefetchable;
    bool io;
};

struct function {
    struct bridge_ecam_address address;
    uint64_t base; /* guest physical address of its configuration space */
    uint16_t vendor;
    uint16_t device;
    struct config_bar bar[CONFIG_BARS];
};

struct functions {
    unsigned int count;
    struct function function[FUNCTIONS_MAX];
};

/* Looks for functions on every bus, and prints them. */
void config_scan(const struct guest *guest, struct functions *functions);

/* Whether one of them answers for the address in configuration space. */
bool config_is_present(const struct guest *guest, const struct functions *functions, uint64_t address);

/* One function's header: reads of all sizes, read-only registers, capabilities; and BARs, then in function->bar[]. */
void config_test(struct function *function);

/* The first capability with this id, behind the one at `after` (0: from the beginning); 0: there is none. */
unsigned int config_capability(const struct function *function, unsigned int id, unsigned int after);

uint32_t config_read(const struct function *function, unsigned int offset, unsigned int size);
void config_write(const struct function *function, unsigned int offset, unsigned int size, uint32_t value);

#endif
