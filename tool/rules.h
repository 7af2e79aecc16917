/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What is checked, and reported: the bridges of a domain against the binding and against the domain, and the properties
 * that a developer put, or spelled, where Xen would not find them.
 */
#ifndef TOOL_RULES_H
#define TOOL_RULES_H

#include "domain.h"

/* Adds the bridge that the domain's node, at which the walk is, itself declares, if it does and it can be used. */
void rules_read_bridge(const struct host_tree_walk *walk, struct domain *domain, unsigned int address_bits);

/* The same for a child of the domain's node. */
void rules_read_child(const struct host_tree_walk *walk, struct domain *domain, unsigned int address_bits);

/* At any other node: no bridge belongs there. */
void rules_check_elsewhere(const struct host_tree_walk *walk);

/* The number of vCPUs and SPIs that the domain's node asks for, with or without a bridge. */
void rules_check_guest(const struct domain *domain, struct report *report);

/* That no two domains have one name. */
void rules_check_names(const struct domains *domains, struct report *report);

/* The bridges against all that is known of their domain, and against each other. */
void rules_check_domain(const struct domain *domain, struct report *report);

#endif
