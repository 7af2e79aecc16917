/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where everything goes that the configuration does not place: files and static memory in the board's RAM, windows and
 * interrupts of bridges in their guests.
 *
 * The same description gives the same places, and a guest that is added behind the others moves none of them: files
 * are placed upwards, first those of the system, then each guest's, in order; static memory downwards; a bridge is
 * placed by what its own guest has, and by nothing else.
 */
#ifndef TOOL_COMPOSE_PLACE_H
#define TOOL_COMPOSE_PLACE_H

#include "boot.h"
#include "host.h"

/* Addresses for all files, and for static memory that is wanted. Reports what finds no room. */
bool place_memory(struct system *system, struct boot *boot, const struct host *host);

/*
 * Windows and interrupts of the bridges of one domain, of which guest is all that is known, bridges apart: its ranges
 * and those of devices that are passed through. Those that the configuration places are checked against these.
 */
bool place_bridges(const struct system *system, struct system_domain *domain, struct domain *guest,
                   unsigned int address_bits);

#endif
