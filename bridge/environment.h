/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where bridge/ finds its integer types, errno values, string functions, snprintf, libfdt and Xen's public memory
 * layout: in the hypervisor's headers when it is compiled there, else in the C library's, libfdt's and Xen's
 * installed ones.
 *
 * A file that needs libfdt or Xen's guest memory layout (GUEST_*) asks for it before it includes this header, by
 * defining BRIDGE_WANTS_LIBFDT or BRIDGE_WANTS_GUEST_LAYOUT; the other files, and the device model, depend on
 * neither.
 */
#ifndef BRIDGE_ENVIRONMENT_H
#define BRIDGE_ENVIRONMENT_H

#ifdef __XEN__

#include <xen/errno.h>
#include <xen/inttypes.h>
#include <xen/lib.h>
#include <xen/string.h>
#include <xen/types.h>

#ifdef BRIDGE_WANTS_LIBFDT
#include <xen/libfdt/libfdt.h>
#endif

#ifdef BRIDGE_WANTS_GUEST_LAYOUT
#include <public/xen.h>
#endif

#else

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
#ifdef BRIDGE_UNDEFINES_ASSEMBLY
#undef __ASSEMBLY__
#undef BRIDGE_UNDEFINES_ASSEMBLY
#endif
#endif

#endif

#endif
