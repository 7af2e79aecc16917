/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What is checked, and reported: the bridge of a domain against the binding and against the domain, and the properties
 * that a developer put, or spelled, where Xen would not find them.
 */
#ifndef TOOL_RULES_H
#define TOOL_RULES_H

#include "domain.h"

/* Reads the bridge of the domain at whose node the walk is; domain->property stays NULL without a usable one. */
void rules_read_bridge(const struct host_tree_walk *walk, struct domain *domain, unsigned int address_bits);

/* At any other node: no bridge belongs there. */
void rules_check_elsewhere(const struct host_tree_walk *walk);

/* That no two domains have one name. */
void rules_check_names(const struct domains *domains, struct report *report);

/* The bridge against all that is known of its domain. */
void rules_check_domain(const struct domain *domain, struct report *report);

#endif
