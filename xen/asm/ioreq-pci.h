/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Secondary PCI host bridges of a domain, emulated by ioreq servers.
 *
 * The hooks through which the rest of Xen uses arch/arm/ioreq-pci/. A domain
 * without such a bridge pays one pointer test per trapped access. Without
 * CONFIG_IOREQ_PCI none of these functions is there: callers test
 * IS_ENABLED(CONFIG_IOREQ_PCI) first.
 */
#ifndef __ASM_ARM_IOREQ_PCI_H__
#define __ASM_ARM_IOREQ_PCI_H__

#include <asm/mmio.h>

struct dmop_args;
struct domain;
struct dt_device_node;
struct kernel_info;
struct membank;
struct xen_domctl_createdomain;

/*
 * Handle a stage-2 fault on a window of one of the current domain's bridges:
 * by the service area, by holding the domain, by an ioreq server, or else by
 * the background. IO_UNHANDLED when the address is in no window.
 */
enum io_state ioreq_pci_access(struct cpu_user_regs *regs, struct vcpu *v,
                               mmio_info_t *info);

/*
 * A vCPU of the domain has been descheduled, by the caller: called in the
 * scheduler's softirq, so that the domain is still there.
 */
void ioreq_pci_descheduled(struct domain *d);

/*
 * The domain is shutting down, and those of its vCPUs are paused that can be:
 * it is not held any more. If it is resumed it will touch the bridge again.
 */
void ioreq_pci_shutdown(struct domain *d);

/* Device-model operations of bridge/dm_op.h. The caller checked privilege. */
int ioreq_pci_dm_op(struct domain *d, const struct dmop_args *args);

/* Domain destruction: first stop everything, then free the memory. */
void ioreq_pci_relinquish(struct domain *d);
void ioreq_pci_destroy(struct domain *d);

/*
 * While a dom0less domain is built, in this order:
 *
 * - before it is created: check the binding in its node and raise nr_spis to
 *   what it needs. Not 0: a message was printed, do not create the domain.
 * - once its memory is known: set its bridges up.
 * - note which phandles and PCI domains its partial device tree uses.
 * - once its interrupt controller's node is written: check the windows and
 *   interrupts against all that the domain has got and write the nodes.
 * - if it could not be constructed: destroy it, if that is because of its
 *   bridges. False: it is not, and nothing was done.
 */
int ioreq_pci_check_node(struct dt_device_node *node,
                         struct xen_domctl_createdomain *config,
                         unsigned int flags);
int ioreq_pci_init(struct domain *d, const struct membank *bank,
                   unsigned int nr_banks);
void ioreq_pci_partial_tree(const void *fdt);
int ioreq_pci_make_nodes(struct domain *d, struct kernel_info *kinfo);
bool ioreq_pci_refuse(struct domain *d, struct dt_device_node *node);

/* Whether the domain of this node was refused in one of these steps. */
bool ioreq_pci_refused(const struct dt_device_node *node);

/* Bytes of device tree that ioreq_pci_make_nodes() may write. */
#define IOREQ_PCI_FDT_SIZE (IS_ENABLED(CONFIG_IOREQ_PCI) ? 8192 : 0)

/* Takes the windows out of what will become the extended regions. */
void ioreq_pci_trim_ext_regions(const struct domain *d, struct membank *regions,
                                unsigned int *nr_regions);

#endif /* __ASM_ARM_IOREQ_PCI_H__ */

/*
 * Local variables:
 * mode: C
 * c-file-style: "BSD"
 * c-basic-offset: 4
 * indent-tabs-mode: nil
 * End:
 */
