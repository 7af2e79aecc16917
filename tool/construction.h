/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What Xen would stumble over when it builds the domains of a host device tree: most of it ends the boot of all of them
 * with a panic. RAM against the board's, static memory, boot modules, kernels, vpl011 of direct-mapped guests, and back
 * ends that do not exist.
 *
 * What firmware may still write into the tree, the size of RAM, is warned of; the rest is an error.
 */
#ifndef TOOL_CONSTRUCTION_H
#define TOOL_CONSTRUCTION_H

#include "domain.h"
#include "host.h"

void construction_check(const struct domains *domains, const struct host *host, struct report *report);

#endif
