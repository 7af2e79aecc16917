/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the rest of a host device tree decides for guests, read as Xen reads it: the version of their vGIC, which
 * follows the host's, and, for direct-mapped guests, where vGIC and UART are, namely where the hardware's are; RAM,
 * what the boot loader puts there, and whether there is a dom0.
 */
#ifndef TOOL_HOST_H
#define TOOL_HOST_H

#include "host_tree.h"

#define HOST_GIC_RANGES_MAX 33u  /* distributor, and as many regions of redistributors as any board has */
#define HOST_BANKS_MAX      256u /* Xen: NR_MEM_BANKS */
#define HOST_MODULES_MAX    32u  /* Xen: MAX_MODULES; it passes over those beyond */
#define HOST_RESERVED_MAX   256u
#define HOST_ADDRESS_BITS_MAX 52u /* Armv8.2: the widest physical addresses that there are */

struct host_range {
    uint64_t base;
    uint64_t size;
};

/* What Xen knows of its own console, which gives a direct-mapped guest's vpl011 its place. */
enum host_uart {
    HOST_UART_NONE,    /* neither dtuart= nor stdout-path name a node, or `console=` leaves it out */
    HOST_UART_UNKNOWN, /* Xen has no driver for it, it is disabled, or it has no address of the CPU's */
    HOST_UART_FOUND,
};

struct host_module {
    char path[HOST_TREE_PATH_MAX];
    struct host_range range;
};

struct host {
    unsigned int gic_version;     /* 2 or 3 */
    unsigned int gic_range_count; /* distributor, then CPU interface or all redistributors; 0: not known */
    struct host_range gic_ranges[HOST_GIC_RANGES_MAX];
    enum host_uart uart_state;
    struct host_range uart;
    uint32_t uart_interrupt; /* absolute; 0: not known */
    unsigned int bank_count; /* of RAM; 0: the tree does not say, firmware may */
    struct host_range banks[HOST_BANKS_MAX];
    unsigned int reserved_count; /* parts of RAM that are not to be used: /reserved-memory and the blob's own list */
    struct host_range reserved[HOST_RESERVED_MAX];
    bool has_dom0;
    unsigned int module_count;
    struct host_module modules[HOST_MODULES_MAX];
    unsigned int modules_left_out;
};

/* Walks the tree. False when the walk could not be finished. */
bool host_read(struct host *host, const struct host_tree *tree);

/* The ranges of the node's `reg` at the CPU's addresses, as many as there is room for; 0 when one has none. */
unsigned int host_read_registers(const struct host_tree_walk *walk, struct host_range *ranges, unsigned int room);

/* Bytes of RAM; 0: not known. */
uint64_t host_ram(const struct host *host);

/* How many bits the highest address has that the tree shows of RAM and GIC, HOST_ADDRESS_BITS_MAX at most. */
unsigned int host_address_bits(const struct host *host);

#endif
