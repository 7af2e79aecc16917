/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * INTx (PCIe 6.0, 2.2.8.1 and 7.5.1.1.3-4): level-triggered lines, four of them, shared by the functions of the bus.
 *
 * A guest's interrupt controller should sample the line. Xen's default vGIC does not: it takes each rise, or each
 * time that it is told "high", as one event, and ignores "low". So "high" is told again whenever a function asserts,
 * even when the line is high already, and whenever one function lets go while another still holds the line: the guest
 * may have served the first one only. "Low" is told when nobody holds the line, for interrupt controllers that do
 * sample it.
 */
#include "function.h"

#include "bus.h"

#define INTERRUPT_PIN 1u /* INTA, as function.c says in the header */

static uint32_t line_of(const struct pci_function *function)
{
    return bridge_intx_interrupt(function->bus->bridge, function->device, INTERRUPT_PIN);
}

static bool allowed(const struct pci_function *function)
{
    return pci_function_awake(function) && !pci_msix_enabled(function) &&
           !(pci_config_get16(&function->config, PCI_COMMAND) & PCI_COMMAND_INTX_DISABLE);
}

/* The status bit says what the function wants, whether or not it is allowed to assert. */
static void show(struct pci_function *function)
{
    const uint16_t status = pci_config_get16(&function->config, PCI_STATUS) & (uint16_t)~PCI_STATUS_INTERRUPT;

    pci_config_set16(&function->config, PCI_STATUS,
                     status | (function->intx_wanted ? PCI_STATUS_INTERRUPT : 0));
}

static void let_go(struct pci_function *function)
{
    unsigned int *holders = &function->bus->line[line_of(function) - function->bus->bridge->interrupt_first];

    function->intx_asserted = false;
    (*holders)--;
    pci_bus_interrupt(function->bus, line_of(function), *holders > 0);
}

static void take_hold(struct pci_function *function)
{
    if (!function->intx_asserted) {
        function->bus->line[line_of(function) - function->bus->bridge->interrupt_first]++;
        function->intx_asserted = true;
    }
    pci_bus_interrupt(function->bus, line_of(function), true);
}

void pci_intx_assert(struct pci_function *function)
{
    function->intx_wanted = true;
    show(function);
    if (allowed(function)) {
        take_hold(function);
    }
}

void pci_intx_deassert(struct pci_function *function)
{
    function->intx_wanted = false;
    show(function);
    if (function->intx_asserted) {
        let_go(function);
    }
}

void pci_intx_update(struct pci_function *function)
{
    const bool wanted = function->intx_wanted && allowed(function);

    if (wanted && !function->intx_asserted) {
        take_hold(function);
    } else if (!wanted && function->intx_asserted) {
        let_go(function);
    }
}
