/* SPDX-License-Identifier: BSD-2-Clause */
/* The keys of a configuration: ImageBuilder's, and ours. Which there are, and how they are indexed. */
#ifndef TOOL_COMPOSE_KEYS_H
#define TOOL_COMPOSE_KEYS_H

#include "assignments.h"

/*
 * Says what no key is (and which one may be meant), what is indexed otherwise than its key, what belongs to no domain
 * below domain_count, and which keys are known and have no effect here.
 */
void keys_check(const struct assignments *assignments, uint32_t domain_count);

#endif
