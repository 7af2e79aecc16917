/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a test says of the host's device tree and of the guest's stage 2 (stubs/device_tree.c).
 *
 * Nodes and properties come from a pool that device_tree_start() empties: afterwards there are /chosen, with two cells
 * for addresses and two for sizes, and below it a domain's node with `memory`.
 */
#ifndef TESTS_HYPERVISOR_DEVICE_TREE_H
#define TESTS_HYPERVISOR_DEVICE_TREE_H

#include "hypervisor.h"

extern struct dt_device_node *device_tree_chosen, *device_tree_domain;
void device_tree_start(void);
struct dt_device_node *device_tree_node(struct dt_device_node *parent, const char *name);
/* A property of that name is replaced. */
void device_tree_bytes(struct dt_device_node *node, const char *name, const void *value, uint32_t length);
void device_tree_cells(struct dt_device_node *node, const char *name, unsigned int count, ...);
void device_tree_text(struct dt_device_node *node, const char *name, const char *text);
void device_tree_remove(struct dt_device_node *node, const char *name);

/* At most one page is mapped. */
struct mapped {
    bool present;
    unsigned long gfn;
    unsigned int looked_up; /* how often an entry was read */
};
extern struct mapped mapped;

#endif
