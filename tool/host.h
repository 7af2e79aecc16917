/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the hardware's part of a host device tree decides for guests: the version of their vGIC, which follows the
 * host's, and, for direct-mapped guests, where vGIC and UART are, namely where the hardware's are.
 */
#ifndef TOOL_HOST_H
#define TOOL_HOST_H

#include "host_tree.h"

#define HOST_GIC_RANGES_MAX 8u

struct host_range {
    uint64_t base;
    uint64_t size;
};

struct host {
    unsigned int gic_version; /* 2 or 3 */
    unsigned int gic_range_count; /* distributor, then CPU interface or redistributors; 0: not known */
    struct host_range gic_ranges[HOST_GIC_RANGES_MAX];
    bool has_uart;
    struct host_range uart;
    uint32_t uart_interrupt; /* absolute; 0: not known */
};

/* Walks the tree. False when the walk could not be finished. */
bool host_read(struct host *host, const struct host_tree *tree);

#endif
