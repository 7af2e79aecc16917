/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A host device tree in memory: read whole, proved to be well-formed, then walked once from its root to its end.
 *
 * Nothing of the file is believed before libfdt has checked it in full. The walk keeps its own stack, of bounded depth,
 * and looks at each node once, so that its time is linear in the size of the file whatever the file says.
 */
#ifndef TOOL_HOST_TREE_H
#define TOOL_HOST_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "report.h"

#define HOST_TREE_SIZE_MAX  (16u * 1024u * 1024u)
#define HOST_TREE_DEPTH_MAX 32
#define HOST_TREE_PATH_MAX  1024

struct host_tree {
    void *fdt;
    struct report *report;
};

/* file may be "-", the standard input. On failure the reason is in the report and there is nothing to finish. */
bool host_tree_init(struct host_tree *tree, const char *file, struct report *report);

void host_tree_finish(struct host_tree *tree);

/* A place in the walk. path and the stacks are valid until the next step. */
struct host_tree_walk {
    const struct host_tree *tree;
    int node;
    int depth; /* 0: the root */
    char path[HOST_TREE_PATH_MAX];
    size_t path_length[HOST_TREE_DEPTH_MAX];   /* of the path at each depth */
    uint32_t address_cells[HOST_TREE_DEPTH_MAX]; /* what the node at each depth says of its children, or inherits */
    uint32_t size_cells[HOST_TREE_DEPTH_MAX];
    int nodes[HOST_TREE_DEPTH_MAX]; /* the node itself and its ancestors */
};

/* Before the first node. */
void host_tree_walk_init(struct host_tree_walk *walk, const struct host_tree *tree);

/* On to the next node, in the order of the file; false at the end, or, reported, when it is nested too deeply. */
bool host_tree_walk_next(struct host_tree_walk *walk);

/* The #address-cells and #size-cells that hold for properties of the node itself: its parent's. */
uint32_t host_tree_walk_address_cells(const struct host_tree_walk *walk);
uint32_t host_tree_walk_size_cells(const struct host_tree_walk *walk);

/*
 * From an address on the bus that the node is on to the CPU's, through the `ranges` of its ancestors, as Xen does it.
 * False when there is no way: an ancestor without ranges, or none of them has the address.
 */
bool host_tree_walk_translate(const struct host_tree_walk *walk, uint64_t *address);

/* Whether Xen takes the node for one that is there: its `status` is missing, "okay" or "ok". */
bool host_tree_is_available(const struct host_tree *tree, int node);

/* Whether the node's `compatible` lists one of the NULL-terminated names. */
bool host_tree_is_compatible(const struct host_tree *tree, int node, const char *const *names);

/* Number of `cells` cells (1 or 2) at *next, which moves on. */
uint64_t host_tree_take_number(const uint8_t **next, uint32_t cells);

#endif
