/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * MSI-X (PCIe 6.0, 6.1.4 and 7.7.2). A message is never written anywhere: if it is one that the bridge's GICv2m frame
 * would take, the interrupt that it names is raised; any other is counted and forgotten, as a write to nowhere would
 * be.
 *
 * Table and PBA are read and written in aligned units of 4 or 8 bytes (7.7.2: anything else is undefined): the rest
 * reads as all ones and is ignored.
 */
#include "function.h"

#include "bus.h"
#include "device_model.h"

#define ENTRY_WORDS ((unsigned int)(PCI_MSIX_ENTRY_SIZE / 4))
#define WORD_LOW    (PCI_MSIX_ENTRY_LOWER_ADDR / 4)
#define WORD_HIGH   (PCI_MSIX_ENTRY_UPPER_ADDR / 4)
#define WORD_DATA   (PCI_MSIX_ENTRY_DATA / 4)
#define WORD_CTRL   (PCI_MSIX_ENTRY_VECTOR_CTRL / 4)

_Static_assert(PCI_MSIX_VECTORS_MAX <= 32, "pending bits are one word");

static uint16_t control(const struct pci_function *function)
{
    return pci_config_get16(&function->config, function->msix.capability + PCI_MSIX_FLAGS);
}

bool pci_msix_enabled(const struct pci_function *function)
{
    return function->msix.vectors != 0 && (control(function) & PCI_MSIX_FLAGS_ENABLE);
}

static bool may_send(const struct pci_function *function, unsigned int vector)
{
    return pci_function_mastering(function) && !(control(function) & PCI_MSIX_FLAGS_MASKALL) &&
           !(function->msix.entry[vector][WORD_CTRL] & PCI_MSIX_ENTRY_CTRL_MASKBIT);
}

static void deliver(struct pci_function *function, const uint32_t *entry)
{
    const uint64_t address = (uint64_t)entry[WORD_HIGH] << 32 | entry[WORD_LOW];

    if (bridge_msi_valid(function->bus->bridge, address, entry[WORD_DATA])) {
        pci_bus_interrupt(function->bus, entry[WORD_DATA], true);
    } else {
        function->bus->counters.bad_messages++;
    }
}

void pci_msix_send(struct pci_function *function, unsigned int vector)
{
    struct pci_msix *msix = &function->msix;

    if (!pci_msix_enabled(function) || vector >= msix->vectors) {
        return;
    }
    if (may_send(function, vector)) {
        msix->pending &= ~(1u << vector);
        deliver(function, msix->entry[vector]);
    } else {
        msix->pending |= 1u << vector;
    }
}

void pci_msix_replay(struct pci_function *function)
{
    struct pci_msix *msix = &function->msix;

    if (!pci_msix_enabled(function)) {
        msix->pending = 0;
        return;
    }
    for (unsigned int vector = 0; vector < msix->vectors && msix->pending != 0; vector++) {
        if (msix->pending & 1u << vector) {
            pci_msix_send(function, vector);
        }
    }
}

void pci_msix_reset(struct pci_function *function)
{
    struct pci_msix *msix = &function->msix;

    msix->pending = 0;
    for (unsigned int vector = 0; vector < PCI_MSIX_VECTORS_MAX; vector++) {
        for (unsigned int word = 0; word < ENTRY_WORDS; word++) {
            msix->entry[vector][word] = word == WORD_CTRL ? PCI_MSIX_ENTRY_CTRL_MASKBIT : 0;
        }
    }
}

static void write_word(struct pci_msix *msix, unsigned int vector, unsigned int word, uint32_t value)
{
    static const uint32_t writable[ENTRY_WORDS] = { ~3u, ~0u, ~0u, PCI_MSIX_ENTRY_CTRL_MASKBIT };

    msix->entry[vector][word] = value & writable[word];
}

static uint64_t table_access(struct pci_function *function, uint32_t offset, unsigned int size, bool write,
                             uint64_t data)
{
    struct pci_msix *msix = &function->msix;
    const unsigned int vector = offset / PCI_MSIX_ENTRY_SIZE;
    const unsigned int word = offset / 4 % ENTRY_WORDS;
    uint64_t value;

    if (vector >= msix->vectors) {
        return UINT64_MAX;
    }
    if (write) {
        write_word(msix, vector, word, (uint32_t)data);
        if (size == 8) {
            write_word(msix, vector, word + 1, (uint32_t)(data >> 32));
        }
        pci_msix_replay(function);
        return 0;
    }
    value = msix->entry[vector][word];
    if (size == 8) {
        value |= (uint64_t)msix->entry[vector][word + 1] << 32;
    }
    return value;
}

/* The pending bits are 64 a word, those of vectors that do not exist are 0; writes are ignored. */
static uint64_t pba_access(const struct pci_msix *msix, uint32_t offset)
{
    return offset == 0 ? msix->pending : 0;
}

bool pci_msix_access(struct pci_function *function, unsigned int bar, uint64_t offset, unsigned int size, bool write,
                     uint64_t data, uint64_t *result)
{
    const struct pci_msix *msix = &function->msix;
    const bool aligned = (size == 4 || size == 8) && offset % size == 0;

    if (msix->vectors == 0 || bar != msix->bar) {
        return false;
    }
    if (offset - msix->table < PCI_MSIX_REGION_SIZE) {
        *result = aligned ? table_access(function, (uint32_t)offset - msix->table, size, write, data) : UINT64_MAX;
        return true;
    }
    if (offset - msix->pba < PCI_MSIX_REGION_SIZE) {
        *result = aligned ? pba_access(msix, (uint32_t)offset - msix->pba) : UINT64_MAX;
        return true;
    }
    return false;
}
