/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a secondary emulated PCI host bridge is.
 *
 * A bridge is three windows of the guest's address space, a run of interrupts and some flags. This header is the one
 * definition that the hypervisor, the device model and the command-line tool compile: how the windows are written in a
 * host device tree, what is wrong with them, what the guest is told, and how an address becomes a function's register.
 *
 *   binding.c    from property cells to struct bridge, and the rules that a bridge obeys
 *   conflict.c   windows and interrupts against what is occupied in the guest
 *   diagnosis.c  one wording for one fault, whoever reports it
 *   nodes.c      the guest's device tree nodes
 *
 * device_model.h adds what only a device model computes.
 *
 * Everything here is freestanding: no allocation, no global state, nothing but mem*, str*, snprintf and libfdt. Every
 * function may be called from any thread; the caller owns all storage and strings are borrowed for as long as the
 * struct that names them is used.
 *
 * Addresses are guest physical addresses (intermediate physical addresses, IPA) and sizes are bytes unless a name says
 * otherwise. Functions return 0 or a negative errno value.
 */
#ifndef BRIDGE_BRIDGE_H
#define BRIDGE_BRIDGE_H

#include "environment.h"

/* The property of a domain's node, under its two names (both at once is an error). */
#define BRIDGE_PROPERTY       "secondary-emulated-pci-host-bridge"
#define BRIDGE_PROPERTY_IOREQ "secondary-ioreq-pci-host-bridge"

/* The child nodes of a domain's node, by their compatible. */
#define BRIDGE_COMPATIBLE      "xen,ioreq-pci-host-bridge"
#define BRIDGE_COMPATIBLE_MMIO "xen,ioreq-mmio"

#define BRIDGE_FLAG_GRANTS 0x1U /* DMA addresses are grant references of the guest */
#define BRIDGE_FLAG_HOLD   0x2U /* park the guest at its first access until the bus is ready */
#define BRIDGE_FLAGS       (BRIDGE_FLAG_GRANTS | BRIDGE_FLAG_HOLD)

#define BRIDGE_HOLD_MS 30000U /* how long HOLD parks a guest when the binding does not say */

#define BRIDGE_BUS_SIZE        0x100000ULL /* ECAM: 1 MiB a bus (PCIe 6.0, 7.2.2) */
#define BRIDGE_BUSES_MAX       256U
#define BRIDGE_ECAM_FUNCTION   0x1000U /* ECAM: 4 KiB of configuration space a function */
#define BRIDGE_WINDOW_ALIGN    0x10000ULL
#define BRIDGE_MEMORY_MIN      0x100000ULL
#define BRIDGE_INTX_COUNT      4U
#define BRIDGE_INTERRUPT_FIRST 32U /* shared peripheral interrupts (SPI) of a GIC */

/* A GIC's end at 1019; but Xen gives a guest only as many as make a multiple of 32. */
#define BRIDGE_INTERRUPT_LAST 991U

/*
 * The service area: the last 128 KiB of the memory window, answered by the hypervisor alone and not part of the bus.
 * First a GICv2m frame, through which the guest's stock driver gives its functions MSI-X; then the status page.
 */
#define BRIDGE_SERVICE_SIZE 0x20000ULL
#define BRIDGE_V2M_SIZE     0x10000ULL
#define BRIDGE_STATUS_SIZE  0x10000ULL

/* Status page: 32-bit little-endian registers, read only. */
#define BRIDGE_STATUS_MAGIC         0x00U
#define BRIDGE_STATUS_VERSION       0x04U
#define BRIDGE_STATUS_STATE         0x08U
#define BRIDGE_STATUS_GENERATION    0x0cU /* counts attachments of device models */
#define BRIDGE_STATUS_FLAGS         0x10U
#define BRIDGE_STATUS_MAGIC_VALUE   0x42494353U /* "SCIB" */
#define BRIDGE_STATUS_VERSION_VALUE 1U
#define BRIDGE_STATUS_STATE_READY   0x1U /* a device model has declared the bus ready */

#define BRIDGE_WINDOWS 3U /* in this order: ECAM, memory, prefetch */

struct bridge_window {
    uint64_t base;
    uint64_t size; /* 0: there is no such window */
};

/*
 * A host bridge, or, without ECAM, plain ranges whose nodes the user writes: these are then `memory` and `prefetch`,
 * and there is no service area.
 */
struct bridge {
    union {
        struct bridge_window window[BRIDGE_WINDOWS];
        struct {
            struct bridge_window ecam;
            struct bridge_window memory;   /* non-prefetchable; its end is the service area */
            struct bridge_window prefetch; /* may be absent */
        };
    };
    uint32_t interrupt_first;      /* absolute interrupt id of INTA, 32..991 */
    uint32_t interrupt_count;      /* INTA..INTD, then MSI vectors */
    uint32_t flags;                /* BRIDGE_FLAG_* */
    uint32_t hold_ms;              /* with BRIDGE_FLAG_HOLD: how long at most */
    uint32_t backend;              /* id of the domain that the device models run in */
};

/* How a diagnosis is worded. */
enum bridge_diagnosis_kind {
    BRIDGE_DIAGNOSIS_PROPERTY,   /* the property as a whole: there is no field and no value */
    BRIDGE_DIAGNOSIS_ADDRESS,    /* value is an address, a size or flags: hexadecimal */
    BRIDGE_DIAGNOSIS_COUNT,      /* value is an interrupt or a number of things: decimal */
    BRIDGE_DIAGNOSIS_LENGTH,     /* value and expected are bytes of a property */
    BRIDGE_DIAGNOSIS_RANGES,     /* a conflict of address ranges */
    BRIDGE_DIAGNOSIS_INTERRUPTS, /* a conflict of interrupts */
};

/*
 * Why something was refused, or what deserves a warning. All strings are borrowed: property and other from the caller,
 * the rest are constants. `reason` says what is wrong and what would be right; its sentence ends with `expected`.
 */
struct bridge_diagnosis {
    enum bridge_diagnosis_kind kind;
    const char *property; /* as it is spelled in the device tree */
    const char *field;    /* "memory_address", "length", ...; NULL: the property has but one */
    uint64_t value;       /* what the field says */
    const char *reason;
    uint64_t expected;    /* 0: nothing to add */
    const char *other;    /* a conflict: who is there already; else NULL */
    uint64_t other_first; /* a conflict: what both parties occupy, inclusive bounds */
    uint64_t other_last;
    uint64_t first;
    uint64_t last;
};

#define BRIDGE_DIAGNOSIS_MAX 256U /* a buffer of this size holds every diagnosis, terminator included */

/* Writes the one wording of the diagnosis, without node name and newline, into text[size]; always terminated. */
void bridge_diagnosis_format(const struct bridge_diagnosis *diagnosis, char *text, size_t size);

/* A node of a device tree, as whoever has the tree lends it. */
struct bridge_node {
    const void *node;
    /* A property's value and length; NULL when it is not there, else never NULL, be it empty. */
    const void *(*property)(const void *node, const char *name, uint32_t *length);
    unsigned int address_cells; /* of the node's parent */
    unsigned int size_cells;
};

/*
 * The bridge that a domain's node itself declares, under any of its spellings, after every rule of the binding that
 * needs no knowledge of the guest. *property is the one that is to be named, and address_bits the width of guest
 * physical addresses (for example 40). -ENOENT: there is no bridge. -EINVAL: refused, *diagnosis says why, *bridge is
 * unspecified.
 */
int bridge_read(const struct bridge_node *node, unsigned int address_bits, struct bridge *bridge, const char **property,
                struct bridge_diagnosis *diagnosis);

/* The same for a child of a domain's node. -ENOENT: it is no bridge. */
int bridge_read_child(const struct bridge_node *node, unsigned int address_bits, struct bridge *bridge,
                      const char **property, struct bridge_diagnosis *diagnosis);

/* True, with *diagnosis filled in, when the bridge is usable but not for everybody (memory window above 4 GiB). */
bool bridge_warning(const struct bridge *bridge, const char *property, struct bridge_diagnosis *diagnosis);

/*
 * -EINVAL, with *diagnosis, when the bridge wants grants and the domain has no grant table (`xen,enhanced`), or when
 * nr_spis, the number of SPIs of the domain, does not reach the bridge's last interrupt.
 */
int bridge_check_domain(const struct bridge *bridge, const char *property, bool enhanced, uint32_t nr_spis,
                        struct bridge_diagnosis *diagnosis);

/*
 * -EEXIST, with *diagnosis naming both parties, when one of the windows overlaps [base, base + size). Size 0
 * overlaps nothing.
 */
int bridge_check_range(const struct bridge *bridge, const char *property, const char *name, uint64_t base,
                       uint64_t size, struct bridge_diagnosis *diagnosis);

/* -EEXIST, with *diagnosis, when the bridge's interrupts overlap [first, first + count). */
int bridge_check_interrupts(const struct bridge *bridge, const char *property, const char *name, uint32_t first,
                            uint32_t count, struct bridge_diagnosis *diagnosis);

/* -EEXIST, with *diagnosis, when two bridges of a domain overlap in a window or an interrupt. */
int bridge_check_bridge(const struct bridge *bridge, const char *property, const struct bridge *other,
                        struct bridge_diagnosis *diagnosis);

/* What Xen's guest memory layout (public/arch-arm.h) puts into a guest. */
struct bridge_guest_layout {
    unsigned int gic_version; /* 2 or 3: which vGIC the guest has */
    bool vpl011;              /* it has the emulated UART, with its interrupt */
    bool vpci;                /* it has Xen's own vPCI host bridge */
    bool direct_mapped;       /* vGIC and UART are where the hardware's are, which the caller checks */
};

/*
 * Xen's own limits on the guest of a bridge: -EINVAL, with *diagnosis, when it has not this number of vCPUs or SPIs.
 * nr_spis is what its node says; 0 if that says nothing.
 */
int bridge_check_guest(const struct bridge_guest_layout *layout, uint32_t vcpus, uint32_t nr_spis,
                       struct bridge_diagnosis *diagnosis);

struct bridge_layout_range {
    const char *name;
    uint64_t base;
    uint64_t size;
};

/* The layout's ranges one after the other, in rising order of address. *cursor is 0 at first; false at the end. */
bool bridge_layout_next(const struct bridge_guest_layout *layout, unsigned int *cursor,
                        struct bridge_layout_range *range);

/* Checks against every range and interrupt of the layout. -EEXIST as above. Guest RAM is not part of it. */
int bridge_check_layout(const struct bridge *bridge, const char *property, const struct bridge_guest_layout *layout,
                        struct bridge_diagnosis *diagnosis);

/*
 * Number of the highest interrupt that the bridge needs, plus one, less the 32 private ones: what nr_spis must be at
 * least.
 */
static inline uint32_t bridge_spis_needed(const struct bridge *bridge)
{
    return bridge->interrupt_count != 0U
               ? bridge->interrupt_first + bridge->interrupt_count - BRIDGE_INTERRUPT_FIRST
               : 0U;
}

/* What the generated nodes refer to. */
struct bridge_fdt_context {
    uint32_t phandle_gic;   /* the guest's interrupt controller, whose #address-cells is 0 and #interrupt-cells 3 */
    uint32_t phandle_v2m;   /* given to the v2m frame; used only when there are MSI vectors */
    uint32_t phandle_iommu; /* given to the xen,grant-dma node; used only with BRIDGE_FLAG_GRANTS */
    uint32_t pci_domain;    /* linux,pci-domain, unique in the guest */
};

/* No bridge's nodes take more than this many bytes of a flattened device tree, strings included. */
#define BRIDGE_FDT_SIZE 2048U

/*
 * Writes the bridge's nodes (v2m frame, status page, grant-dma, host bridge) through libfdt's sequential-write
 * interface. The caller has the root node open, with #address-cells = #size-cells = 2, and has written the interrupt
 * controller. Returns 0 or a negative libfdt error (-FDT_ERR_NOSPACE when the tree is full).
 */
int bridge_fdt_nodes(void *fdt, const struct bridge *bridge, const struct bridge_fdt_context *context);

static inline bool bridge_window_contains(const struct bridge_window *window, uint64_t address)
{
    return address - window->base < window->size;
}

/* The v2m frame, with which the service area begins. */
static inline uint64_t bridge_v2m_base(const struct bridge *bridge)
{
    return bridge->memory.base + bridge->memory.size - BRIDGE_SERVICE_SIZE;
}

static inline bool bridge_service_contains(const struct bridge *bridge, uint64_t address)
{
    return bridge->ecam.size != 0U && address - bridge_v2m_base(bridge) < BRIDGE_SERVICE_SIZE;
}

static inline uint64_t bridge_status_base(const struct bridge *bridge)
{
    return bridge_v2m_base(bridge) + BRIDGE_V2M_SIZE;
}

static inline unsigned int bridge_buses(const struct bridge *bridge)
{
    return (unsigned int)(bridge->ecam.size / BRIDGE_BUS_SIZE);
}

static inline uint32_t bridge_msi_first(const struct bridge *bridge)
{
    return bridge->interrupt_first + BRIDGE_INTX_COUNT;
}

static inline uint32_t bridge_msi_count(const struct bridge *bridge)
{
    return bridge->interrupt_count - BRIDGE_INTX_COUNT;
}

/* Interrupt id of a function's pin (1 = INTA .. 4 = INTD) on the root bus, swizzled (PCIe 6.0, 2.2.8.1, table 2-21). */
static inline uint32_t bridge_intx_interrupt(const struct bridge *bridge, unsigned int device, unsigned int pin)
{
    return bridge->interrupt_first + ((device + pin - 1U) % BRIDGE_INTX_COUNT);
}

#endif
