/* SPDX-License-Identifier: GPL-2.0-only */
/* Where Xen 4.22, whose names our sources use, differs from older versions. */
#ifndef __ARM_IOREQ_PCI_COMPAT_H__
#define __ARM_IOREQ_PCI_COMPAT_H__

#include <xen/fdt-kernel.h>

/* Values of "xen,enhanced". */
#define enhanced_by(value) \
    (!strcmp(value, "enabled") || !strcmp(value, "legacy") || \
     !strcmp(value, "no-xenstore"))

#endif /* __ARM_IOREQ_PCI_COMPAT_H__ */

/*
 * Local variables:
 * mode: C
 * c-file-style: "BSD"
 * c-basic-offset: 4
 * indent-tabs-mode: nil
 * End:
 */
