/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Partial device trees: what guests are told of devices that are passed through to them. A guest gets one tree; here it
 * is put together from the one that DOMU_PASSTHROUGH_DTB names and from a piece for each of DOMU_PASSTHROUGH_PATHS,
 * found in PASSTHROUGH_DTS_REPO by the name of the device's node, as source or as blob.
 *
 * Xen copies /passthrough and /aliases to the guest, and goes by xen,reg and xen,path. Of what it finds wrong it says
 * little, and goes on; so all of it is checked here.
 */
#ifndef TOOL_COMPOSE_PARTIAL_H
#define TOOL_COMPOSE_PARTIAL_H

#include "boot.h"
#include "host_tree.h"

/* Makes the partial trees of all domains. False when there are faults, which are reported. */
bool partial_make(const struct system *system, struct boot *boot, const char *directory);

/*
 * The devices of one domain's tree against the board's; their ranges and interrupts are added to the guest, if it is
 * not NULL. boot must have the tree.
 */
void partial_check(const struct system *system, unsigned int index, const struct boot *boot,
                   const struct host_tree *board, struct domain *guest);

/* That no device is in the trees of two domains. */
void partial_check_owners(const struct system *system, const struct boot *boot);

/* xen,path of each device of a tree, for whoever marks them: *node is -1 at first. NULL at the end. */
const char *partial_next_path(const void *fdt, int *node);

/*
 * partial_merge.c: adds what a piece has to a tree. Both are copies that it may change; tree is replaced. What both
 * have must be the same, but for phandles: those of the piece are changed where they are taken. *fault says what is in
 * the way, in at most PARTIAL_FAULT_MAX bytes.
 */
#define PARTIAL_FAULT_MAX 512u
bool partial_merge(void **tree, void *piece, char *fault);

#endif
