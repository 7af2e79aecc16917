/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One type-0 function: header, base address registers (BARs), command register, capabilities (PCIe 6.0, 7.5.1).
 *
 * A device embeds a struct pci_function, gives it an identity, BARs and capabilities, and attaches it to the bus;
 * from then on it is called through its operations. What a function may do depends on what the guest has allowed:
 *   answer BAR accesses  memory decode on, power state D0, BAR inside a window of the bridge (bus.h)
 *   send MSI-X messages  MSI-X enabled, vector and function not masked, bus mastering on, D0; else the message pends
 *   raise INTx           MSI-X not enabled, Interrupt Disable clear, D0; else the status bit alone
 *   use guest memory     pci_function_mastering()
 *
 * The device's thread only. Nothing is allocated.
 */
#ifndef PCI_FUNCTION_H
#define PCI_FUNCTION_H

#include <stdbool.h>
#include <stdint.h>

#include "config.h"

#define PCI_FUNCTION_BARS      6u
#define PCI_DOORBELLS_MAX      32u
#define PCI_MSIX_VECTORS_MAX   32u
#define PCI_MSIX_REGION_SIZE   0x1000u /* of the BAR, each for table and PBA: nothing else may live in these pages */

struct pci_bus;
struct pci_function;

struct pci_identity {
    uint16_t vendor;
    uint16_t device;
    uint16_t subsystem_vendor;
    uint16_t subsystem_device;
    uint32_t class_code; /* 24 bits: class, subclass, interface */
    uint8_t revision;
};

struct pci_function_operations {
    /* An access inside a BAR, as platform_access_fn; offset + size is within the BAR. */
    uint64_t (*access)(void *opaque, unsigned int bar, uint64_t offset, unsigned int size, bool write, uint64_t data);

    /*
     * Function-level reset: forget all state; pci_function_reset_done() when no memory of the guest is in use any
     * more.
     */
    void (*reset)(void *opaque);

    /* The guest has just allowed the function to use memory. */
    void (*mastering)(void *opaque);
};

struct pci_bar {
    uint64_t size; /* a power of two, at least 4096; 0: there is no such BAR */
    bool wide;     /* 64-bit: the next BAR is its upper half */
    bool mapped;   /* claimed at `base` */
    uint64_t base;
};

/* Where in a BAR the guest may write without waiting for us; the write then comes later and without its data. */
struct pci_doorbell {
    uint8_t bar;
    uint8_t size; /* of the write, in bytes */
    uint32_t offset;
    bool used;
    bool bound;   /* at `address` */
    uint64_t address;
};

struct pci_msix {
    uint16_t vectors; /* 0: the function has no MSI-X */
    uint8_t capability;
    uint8_t bar;
    uint32_t table;
    uint32_t pba;
    uint32_t pending; /* one bit a vector */
    uint32_t entry[PCI_MSIX_VECTORS_MAX][PCI_MSIX_ENTRY_SIZE / 4];
};

/* What a driver has told a function. */
struct pci_function_saved {
    uint8_t value[PCI_CONFIG_SIZE];
    uint32_t entry[PCI_MSIX_VECTORS_MAX][PCI_MSIX_ENTRY_SIZE / 4];
    uint32_t pending;
    bool resetting;
    bool intx_wanted;
};

struct pci_function {
    struct pci_bus *bus;
    unsigned int device; /* number on the bus, 1..31 */
    const struct pci_function_operations *operations;
    void *opaque;
    struct pci_config config;
    struct pci_bar bar[PCI_FUNCTION_BARS];
    struct pci_msix msix;
    unsigned int doorbells;
    struct pci_doorbell doorbell[PCI_DOORBELLS_MAX];
    uint8_t power_management; /* offset of the capability; 0: none */
    uint8_t express;          /* offset of the capability; 0: none */
    bool resetting;           /* by FLR: the function does not answer */
    bool intx_wanted;         /* the device has a reason to interrupt */
    bool intx_asserted;       /* and is allowed to */
};

/* An empty function; storage is the caller's. */
void pci_function_init(struct pci_function *function, const struct pci_identity *identity,
                       const struct pci_function_operations *operations, void *opaque);

/* Adds a non-prefetchable memory BAR (7.5.1.2.1). A wide one takes index and index + 1. */
void pci_function_add_bar(struct pci_function *function, unsigned int index, uint64_t size, bool wide);

/* Adds the power management capability (7.5.2): D0 and D3hot, no state lost in between. */
void pci_function_add_power_management(struct pci_function *function);

/* Adds the PCI Express capability of a root complex integrated endpoint, with function-level reset (7.5.3, 6.6.2). */
void pci_function_add_express(struct pci_function *function);

/* Adds MSI-X (7.7.2): 1..32 vectors, table and PBA each at a page of one BAR. */
void pci_function_add_msix(struct pci_function *function, unsigned int bar, uint32_t table, uint32_t pba,
                           unsigned int vectors);

/*
 * Adds a doorbell, which is the next one in order from 0; it is not in use at first. One that is in use and that the
 * platform does not take is no error, nor is one of an index that was not added: writes are accesses as any other.
 */
void pci_function_add_doorbell(struct pci_function *function, unsigned int bar, uint32_t offset, unsigned int size);
void pci_function_use_doorbell(struct pci_function *function, unsigned int index, bool use);

/* The second one of a function that is attached and that nobody has used: BARs and line are then as they were. */
void pci_function_save(const struct pci_function *function, struct pci_function_saved *saved);
void pci_function_restore(struct pci_function *function, const struct pci_function_saved *saved);

/* Ends a function-level reset. */
void pci_function_reset_done(struct pci_function *function);

/* Whether the function may read and write guest memory. */
bool pci_function_mastering(const struct pci_function *function);

/* Whether it is in D0 and not in reset. */
bool pci_function_awake(const struct pci_function *function);

/* Whether it should answer accesses to its BARs. */
bool pci_function_decodes(const struct pci_function *function);

/* Where the guest has put a BAR. */
uint64_t pci_function_bar_base(const struct pci_function *function, unsigned int index);

/*
 * An access inside a BAR that exists; offset + size is within it. Called by the bus and by a device's own window on
 * its BARs.
 */
uint64_t pci_function_access(struct pci_function *function, unsigned int bar, uint64_t offset, unsigned int size,
                             bool write, uint64_t data);

/* msix.c */
bool pci_msix_enabled(const struct pci_function *function);

/* Sends the vector's message, or makes it pend; `vector` below the number of vectors. */
void pci_msix_send(struct pci_function *function, unsigned int vector);

/* Sends what pends and may be sent now. */
void pci_msix_replay(struct pci_function *function);
void pci_msix_reset(struct pci_function *function);

/* Whether the access is in the pages of table or PBA: then it has been answered, a read in *result. */
bool pci_msix_access(struct pci_function *function, unsigned int bar, uint64_t offset, unsigned int size, bool write,
                     uint64_t data, uint64_t *result);

/* intx.c: each call of assert signals the guest anew; they do nothing visible while MSI-X is enabled. */
void pci_intx_assert(struct pci_function *function);
void pci_intx_deassert(struct pci_function *function);

/* The function's permission to assert may have changed. */
void pci_intx_update(struct pci_function *function);

#endif
