/* SPDX-License-Identifier: GPL-2.0-only */
/* What newer versions of Xen call otherwise than Xen 4.17 does. */
#ifndef __ARM_IOREQ_PCI_COMPAT_H__
#define __ARM_IOREQ_PCI_COMPAT_H__

#include <asm/kernel.h>

#define rspin_lock(l) spin_lock_recursive(l)
#define rspin_unlock(l) spin_unlock_recursive(l)
#define rspin_is_locked(l) spin_is_locked(l)

#define phandle_intc phandle_gic

/* Values of "xen,enhanced". */
#define enhanced_by(value) \
    (!strcmp(value, "enabled") || !strcmp(value, "no-xenstore"))

#endif /* __ARM_IOREQ_PCI_COMPAT_H__ */

/*
 * Local variables:
 * mode: C
 * c-file-style: "BSD"
 * c-basic-offset: 4
 * indent-tabs-mode: nil
 * End:
 */
