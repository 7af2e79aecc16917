/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The host device tree that Xen is to get: the board's, with overlays, devices that are given away, and /chosen.
 *
 * It is complete: nothing is left for the boot loader to put in, so that the order of the domains, which decides their
 * ids, is the one of the configuration whatever U-Boot's `fdt mknod` would have made of it.
 */
#ifndef TOOL_COMPOSE_TREE_H
#define TOOL_COMPOSE_TREE_H

#include "boot.h"
#include "host_tree.h"

#define TREE_SIZE_MAX (0x200000u - 0x10000u) /* Xen takes 2 MiB; the boot loader adds to it */

/*
 * The board's tree with its overlays applied. False when there are faults, which are reported for the files that have
 * them. Finish it with host_tree_finish() if it is true.
 */
bool tree_read_board(const struct system *system, const char *directory, struct host_tree *board);

/* What domains and modules refer to. */
enum tree_form {
    TREE_WITHOUT_BRIDGES, /* to find room for these */
    TREE_WITH_ADDRESSES,  /* files are where the boot script loads them */
    TREE_FOR_EFI,         /* Xen loads files itself, by their names */
};

/* A tree that was allocated; NULL when there are faults, which are reported. */
void *tree_make(const struct system *system, const struct boot *boot, const struct host_tree *board,
                enum tree_form form);

#endif
