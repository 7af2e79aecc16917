/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where bridge/ finds its integer types, errno values, string functions, snprintf, libfdt and Xen's public memory
 * layout: in the hypervisor's headers when it is compiled there, else in userland.h, which takes the C library's,
 * libfdt's and Xen's installed ones.
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
#include <xen/libfdt/libfdt.h>
#include <xen/string.h>
#include <xen/types.h>

#include <public/xen.h>
#else
#include "userland.h"
#endif

#endif
