/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the readers of the binding's spellings (binding.c, reader.c) share. Private to bridge/.
 */
#ifndef BRIDGE_BINDING_H
#define BRIDGE_BINDING_H

#include "bridge.h"

/* The big-endian number of `cells` cells at *next, which moves behind it. */
uint64_t bridge_take_number(const uint8_t **next, unsigned int cells);

/*
 * Every rule that needs no knowledge of the guest, for a host bridge and for plain ranges. -EINVAL, with *diagnosis, of which
 * the caller has set the property.
 */
int bridge_check_rules(const struct bridge *bridge, unsigned int address_bits, struct bridge_diagnosis *diagnosis);
int bridge_check_mmio(const struct bridge *bridge, unsigned int address_bits, struct bridge_diagnosis *diagnosis);

#endif
