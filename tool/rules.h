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

/*
 * What a bridge of a domain, or one that might be, has in common with something else of the domain: its ranges, its
 * interrupts, the first bridge_count of its bridges. *cursor is 0 at first; false when nothing else is in the way.
 */
bool rules_find_conflict(const struct domain *domain, const struct bridge *bridge, const char *property,
                         unsigned int bridge_count, unsigned int *cursor, struct bridge_diagnosis *diagnosis);

/*
 * The bridges against all that is known of their domain, and against each other. What is not known is noted, but for
 * passed-through devices when the caller knows these.
 */
void rules_check_domain(const struct domain *domain, bool devices_known, struct report *report);

#endif
