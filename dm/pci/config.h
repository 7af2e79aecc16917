/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The configuration space of one function: 256 bytes of values, which bits of them the guest can change, and
 * functions to be called when certain registers are read or have been written. The extended space (256..4095) exists
 * and is empty: it reads as zero, which says "no extended capabilities" (PCIe 6.0, 7.6.1), and ignores writes.
 *
 * Accesses of 1, 2, 4 or 8 bytes at any offset; each is taken apart into the 32-bit registers that it touches, in
 * rising order, as byte enables would. Values are little-endian. Used by the device model's thread only.
 */
#ifndef PCI_CONFIG_H
#define PCI_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

#include <linux/pci_regs.h>

#define PCI_CONFIG_SIZE          256u
#define PCI_CONFIG_SPACE         4096u
#define PCI_CONFIG_REGISTERS_MAX 16u

typedef void pci_config_fn(void *opaque);

/*
 * A register that does something: `read` is called before a byte of it is read, `written` after a byte of it was
 * written.
 */
struct pci_config_register {
    uint16_t offset;
    uint16_t size;
    pci_config_fn *read;    /* may be NULL */
    pci_config_fn *written; /* may be NULL */
    void *opaque;
};

struct pci_config {
    uint8_t value[PCI_CONFIG_SIZE];
    uint8_t writable[PCI_CONFIG_SIZE]; /* bits that a write sets and clears */
    uint8_t clear[PCI_CONFIG_SIZE];    /* bits that a write of 1 clears (RW1C) */
    uint8_t initial[PCI_CONFIG_SIZE];  /* what a reset restores */
    struct pci_config_register registers[PCI_CONFIG_REGISTERS_MAX];
    unsigned int register_count;
    uint32_t before;         /* for `written`: what the 32-bit register held that has been written */
    uint8_t capability_end;  /* where the next capability goes */
    uint8_t capability_last; /* offset of the pointer that the next capability is linked to */
};

/* All zero, read only, no capabilities. */
void pci_config_init(struct pci_config *config);

/* Guest accesses; offset + size <= PCI_CONFIG_SPACE. */
uint64_t pci_config_read(struct pci_config *config, unsigned int offset, unsigned int size);
void pci_config_write(struct pci_config *config, unsigned int offset, unsigned int size, uint64_t data);

/* Adds a register; there is room for PCI_CONFIG_REGISTERS_MAX, and it is an error of the program to add more. */
void pci_config_add_register(struct pci_config *config, const struct pci_config_register *added);

/*
 * Adds a capability of `size` bytes (its two-byte header included) at the end of the list and returns its offset. It
 * is an error of the program to overfill the space.
 */
uint8_t pci_config_add_capability(struct pci_config *config, uint8_t id, uint8_t size);

/* Values, from the device's side: no masks, no functions called. */
uint16_t pci_config_get16(const struct pci_config *config, unsigned int offset);
uint32_t pci_config_get32(const struct pci_config *config, unsigned int offset);
void pci_config_set8(struct pci_config *config, unsigned int offset, uint8_t value);
void pci_config_set16(struct pci_config *config, unsigned int offset, uint16_t value);
void pci_config_set32(struct pci_config *config, unsigned int offset, uint32_t value);

/* Which bits the guest can change. */
void pci_config_allow8(struct pci_config *config, unsigned int offset, uint8_t mask);
void pci_config_allow16(struct pci_config *config, unsigned int offset, uint16_t mask);
void pci_config_allow32(struct pci_config *config, unsigned int offset, uint32_t mask);

/* Remembers the values as the initial ones; goes back to them. */
void pci_config_seal(struct pci_config *config);
void pci_config_reset(struct pci_config *config);

#endif
