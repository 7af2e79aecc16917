/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The host bridge and its root bus: from a guest's address to a function's register, and which BARs are decoded.
 *
 * Bus 0 has up to 31 functions, function 0 of devices 1..31; the other buses of the ECAM window, and device 0, are
 * empty. What nobody answers reads as all ones, and writes to it are ignored. What is claimed is given back with the
 * platform.
 *
 * A BAR is decoded, which is to say claimed from the platform, while its function decodes, it lies wholly inside a
 * window of the bridge (the memory window without its service area, or the prefetch window) and nobody else has
 * claimed any of it. One that does not is simply not there. A claim that was refused is tried again whenever some BAR
 * or command register changes.
 *
 * The device model's thread only.
 */
#ifndef PCI_BUS_H
#define PCI_BUS_H

#include "function.h"
#include "platform/platform.h"

#define PCI_BUS_DEVICES 32u

struct pci_bus_counters {
    uint64_t unanswered;      /* accesses to nothing */
    uint64_t refused_claims;  /* BARs that overlap something, or for which the platform has no room */
    uint64_t bad_messages;    /* MSI-X messages to elsewhere than the bridge's frame */
    uint64_t lost_interrupts; /* the platform refused to raise or lower */
};

struct pci_bus {
    struct platform *platform;
    const struct bridge *bridge;
    struct pci_function *function[PCI_BUS_DEVICES];
    unsigned int line[BRIDGE_INTX_COUNT]; /* functions that hold each INTx line */
    struct pci_function *touched; /* by the last access; NULL: none */
    struct pci_bus_counters counters;
};

/* An empty bus; storage is the caller's, the platform is borrowed. */
void pci_bus_init(struct pci_bus *bus, struct platform *platform);

/* Puts a function at a device number, 1..31; its values become the ones that a reset restores. -EEXIST, -EINVAL. */
int pci_bus_attach(struct pci_bus *bus, struct pci_function *function, unsigned int device);

/*
 * From now on the guest finds the functions. Claims the ECAM window, or, when the bus is shared with other device
 * models, the functions alone: if that fails, *device is the one that could not be had.
 */
int pci_bus_open(struct pci_bus *bus, bool shared, unsigned int *device);

/* A platform_access_fn; opaque is the bus. */
uint64_t pci_bus_access(void *opaque, uint64_t address, unsigned int size, bool write, uint64_t data);

/* For functions: works out anew which BARs are decoded, which doorbells are bound; sets an interrupt's level. */
void pci_bus_decode(struct pci_bus *bus);
void pci_bus_doorbells(struct pci_function *function);
void pci_bus_interrupt(struct pci_bus *bus, uint32_t interrupt, bool level);

#endif
