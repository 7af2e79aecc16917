/* SPDX-License-Identifier: BSD-2-Clause */
/* The half of environment.h for everybody but the hypervisor; included by it alone. */
#ifndef BRIDGE_USERLAND_H
#define BRIDGE_USERLAND_H

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#ifdef BRIDGE_WANTS_LIBFDT
#include <libfdt.h>
#endif

/*
 * On a machine that is not Arm, <xen/xen.h> gives that machine's layout. arch-arm.h alone, read as an assembler would
 * read it, is the layout's numbers without the types that only xen.h could declare.
 */
#ifdef BRIDGE_WANTS_GUEST_LAYOUT
#ifndef __XEN_TOOLS__
#define __XEN_TOOLS__ 1
#endif
#ifndef __ASSEMBLY__
#define __ASSEMBLY__ 1
#define BRIDGE_UNDEFINES_ASSEMBLY
#endif
#ifndef xen_mk_ullong
#define xen_mk_ullong(number) number##ULL
#endif
#include <xen/arch-arm.h>
#define MAX_VIRT_CPUS GUEST_MAX_VCPUS /* of the hypervisor, on arm64 */
#ifdef BRIDGE_UNDEFINES_ASSEMBLY
#undef __ASSEMBLY__
#undef BRIDGE_UNDEFINES_ASSEMBLY
#endif
#endif

#endif
