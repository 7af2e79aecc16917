/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * See bus.h.
 */
#include "bus.h"

#include "device_model.h"

#include <errno.h>

void pci_bus_init(struct pci_bus *bus, struct platform *platform)
{
    *bus = (struct pci_bus){ .platform = platform, .bridge = platform_bridge(platform) };
}

int pci_bus_attach(struct pci_bus *bus, struct pci_function *function, unsigned int device)
{
    if (device == 0 || device >= PCI_BUS_DEVICES) {
        return -EINVAL;
    }
    if (bus->function[device]) {
        return -EEXIST;
    }
    function->bus = bus;
    function->device = device;
    pci_config_seal(&function->config);
    bus->function[device] = function;
    return 0;
}

int pci_bus_open(struct pci_bus *bus, bool shared, unsigned int *device)
{
    if (!shared) {
        return platform_claim(bus->platform, bus->bridge->ecam.base, bus->bridge->ecam.size);
    }
    for (*device = 0; *device < PCI_BUS_DEVICES; ++*device) {
        const int error = bus->function[*device] ? platform_claim_function(bus->platform, *device << 3) : 0;

        if (error) {
            return error;
        }
    }
    return 0;
}

void pci_bus_doorbells(struct pci_function *function)
{
    for (unsigned int i = 0; i < function->doorbells; i++) {
        struct pci_doorbell *doorbell = &function->doorbell[i];
        const struct pci_bar *bar = &function->bar[doorbell->bar];

        if (doorbell->bound && !(doorbell->used && bar->mapped)) {
            platform_unbind(function->bus->platform, doorbell->address);
            doorbell->bound = false;
        } else if (!doorbell->bound && doorbell->used && bar->mapped) {
            doorbell->address = bar->base + doorbell->offset;
            doorbell->bound = platform_bind(function->bus->platform, doorbell->address, doorbell->size) == 0;
        }
    }
}

static void release(struct pci_bus *bus, struct pci_function *function, struct pci_bar *bar)
{
    bar->mapped = false;
    pci_bus_doorbells(function);
    /* Released or not, we do not answer there any more; a platform that still sends accesses gets all ones. */
    if (platform_release(bus->platform, bar->base, bar->size)) {
        bus->counters.refused_claims++;
    }
}

static bool inside(uint64_t window_base, uint64_t window_size, uint64_t base, uint64_t size)
{
    const uint64_t offset = base - window_base;

    return offset < window_size && size <= window_size - offset;
}

static bool wanted(const struct pci_function *function, unsigned int index)
{
    const struct bridge *bridge = function->bus->bridge;
    const uint64_t base = pci_function_bar_base(function, index);
    const uint64_t size = function->bar[index].size;

    return size != 0 && pci_function_decodes(function) &&
           (inside(bridge->memory.base, bridge->memory.size - BRIDGE_SERVICE_SIZE, base, size) ||
            inside(bridge->prefetch.base, bridge->prefetch.size, base, size));
}

static void map(struct pci_bus *bus, struct pci_function *function, unsigned int index)
{
    struct pci_bar *bar = &function->bar[index];
    const uint64_t base = pci_function_bar_base(function, index);

    if (bar->mapped || !wanted(function, index)) {
        return;
    }
    if (platform_claim(bus->platform, base, bar->size)) {
        bus->counters.refused_claims++;
        return;
    }
    bar->base = base;
    bar->mapped = true;
    pci_bus_doorbells(function);
}

static void unmap(struct pci_bus *bus, struct pci_function *function, unsigned int index)
{
    struct pci_bar *bar = &function->bar[index];

    if (bar->mapped && (!wanted(function, index) || bar->base != pci_function_bar_base(function, index))) {
        release(bus, function, bar);
    }
}

/* All releases come before the claims: guests exchange the addresses of two BARs. */
void pci_bus_decode(struct pci_bus *bus)
{
    void (*const step[])(struct pci_bus *, struct pci_function *, unsigned int) = { unmap, map };

    for (unsigned int i = 0; i < sizeof(step) / sizeof(step[0]); i++) {
        for (unsigned int device = 0; device < PCI_BUS_DEVICES; device++) {
            for (unsigned int index = 0; bus->function[device] && index < PCI_FUNCTION_BARS; index++) {
                step[i](bus, bus->function[device], index);
            }
        }
    }
}

void pci_bus_interrupt(struct pci_bus *bus, uint32_t interrupt, bool level)
{
    if (platform_interrupt(bus->platform, interrupt, level)) {
        bus->counters.lost_interrupts++;
    }
}

static uint64_t unanswered(struct pci_bus *bus)
{
    bus->counters.unanswered++;
    return UINT64_MAX;
}

static uint64_t config_access(struct pci_bus *bus, uint64_t offset, unsigned int size, bool write, uint64_t data)
{
    const struct bridge_ecam_address where = bridge_ecam_decode(offset);
    struct pci_function *function;

    if (where.bus != 0 || where.function != 0 || where.register_offset + size > PCI_CONFIG_SPACE) {
        return unanswered(bus);
    }
    function = bus->function[where.device];
    if (!function || function->resetting) {
        return unanswered(bus);
    }
    bus->touched = function;
    if (write) {
        pci_config_write(&function->config, where.register_offset, size, data);
        return 0;
    }
    return pci_config_read(&function->config, where.register_offset, size);
}

uint64_t pci_bus_access(void *opaque, uint64_t address, unsigned int size, bool write, uint64_t data)
{
    struct pci_bus *bus = opaque;

    bus->touched = NULL;
    if (inside(bus->bridge->ecam.base, bus->bridge->ecam.size, address, size)) {
        return config_access(bus, address - bus->bridge->ecam.base, size, write, data);
    }
    for (unsigned int device = 0; device < PCI_BUS_DEVICES; device++) {
        struct pci_function *function = bus->function[device];

        for (unsigned int i = 0; function && i < PCI_FUNCTION_BARS; i++) {
            if (function->bar[i].mapped && inside(function->bar[i].base, function->bar[i].size, address, size)) {
                bus->touched = function;
                return pci_function_access(function, i, address - function->bar[i].base, size, write, data);
            }
        }
    }
    return unanswered(bus);
}
