/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * See function.h. Everything that a guest's write to the command register, a BAR, the power state or the MSI-X
 * control can change is worked out anew, from the register values, by permissions_changed(): there is no second copy
 * of them that could disagree.
 */
#include "function.h"

#include <stdlib.h>
#include <string.h>

#include "bus.h"

#define COMMAND_WRITABLE (PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER | PCI_COMMAND_INTX_DISABLE)
#define STATUS_CLEAR                                                                                 \
    (PCI_STATUS_PARITY | PCI_STATUS_SIG_TARGET_ABORT | PCI_STATUS_REC_TARGET_ABORT | PCI_STATUS_REC_MASTER_ABORT | \
     PCI_STATUS_SIG_SYSTEM_ERROR | PCI_STATUS_DETECTED_PARITY)
#define EXPRESS_SIZE  0x3cu /* version 2 */
#define EXPRESS_V2    2u
#define INTERRUPT_PIN 1u /* INTA */
#define POWER_D0      0u /* what PCI_PM_CTRL_STATE_MASK selects */
#define POWER_D3      3u

static void permissions_changed(void *opaque)
{
    struct pci_function *function = opaque;

    pci_bus_decode(function->bus);
    pci_msix_replay(function);
    pci_intx_update(function);
    if (pci_function_mastering(function)) {
        function->operations->mastering(function->opaque);
    }
}

void pci_function_init(struct pci_function *function, const struct pci_identity *identity,
                       const struct pci_function_operations *operations, void *opaque)
{
    struct pci_config *config = &function->config;
    const struct pci_config_register command = {
        .offset = PCI_COMMAND, .size = 2, .written = permissions_changed, .opaque = function,
    };

    *function = (struct pci_function){ .operations = operations, .opaque = opaque };
    pci_config_init(config);
    pci_config_set16(config, PCI_VENDOR_ID, identity->vendor);
    pci_config_set16(config, PCI_DEVICE_ID, identity->device);
    pci_config_set32(config, PCI_CLASS_REVISION, identity->class_code << 8 | identity->revision);
    pci_config_set16(config, PCI_SUBSYSTEM_VENDOR_ID, identity->subsystem_vendor);
    pci_config_set16(config, PCI_SUBSYSTEM_ID, identity->subsystem_device);
    pci_config_set8(config, PCI_INTERRUPT_PIN, INTERRUPT_PIN);

    pci_config_allow16(config, PCI_COMMAND, COMMAND_WRITABLE);
    pci_config_allow8(config, PCI_CACHE_LINE_SIZE, 0xff);
    pci_config_allow8(config, PCI_INTERRUPT_LINE, 0xff);
    config->clear[PCI_STATUS] = STATUS_CLEAR & 0xff;
    config->clear[PCI_STATUS + 1] = STATUS_CLEAR >> 8;
    pci_config_add_register(config, &command);
}

void pci_function_add_bar(struct pci_function *function, unsigned int index, uint64_t size, bool wide)
{
    struct pci_config *config = &function->config;
    const unsigned int offset = PCI_BASE_ADDRESS_0 + index * 4;
    const struct pci_config_register bar = {
        .offset = (uint16_t)offset, .size = wide ? 8 : 4, .written = permissions_changed, .opaque = function,
    };
    const uint64_t mask = ~(size - 1);

    function->bar[index] = (struct pci_bar){ .size = size, .wide = wide };
    pci_config_set32(config, offset, wide ? PCI_BASE_ADDRESS_MEM_TYPE_64 : PCI_BASE_ADDRESS_MEM_TYPE_32);
    pci_config_allow32(config, offset, (uint32_t)mask);
    if (wide) {
        pci_config_allow32(config, offset + 4, (uint32_t)(mask >> 32));
    }
    pci_config_add_register(config, &bar);
}

/* 7.5.2.2: what asks for a state that is not offered, D1 or D2, is ignored. */
static void power_written(void *opaque)
{
    struct pci_function *function = opaque;
    const unsigned int offset = function->power_management + PCI_PM_CTRL;
    const uint16_t control = pci_config_get16(&function->config, offset);
    const uint16_t state = control & PCI_PM_CTRL_STATE_MASK;

    if (state != POWER_D0 && state != POWER_D3) {
        pci_config_set16(&function->config, offset, (uint16_t)function->config.before);
        return;
    }
    permissions_changed(function);
}

void pci_function_add_power_management(struct pci_function *function)
{
    struct pci_config *config = &function->config;
    const uint8_t offset = pci_config_add_capability(config, PCI_CAP_ID_PM, PCI_PM_SIZEOF);
    const struct pci_config_register control = {
        .offset = (uint16_t)(offset + PCI_PM_CTRL), .size = 2, .written = power_written, .opaque = function,
    };

    function->power_management = offset;
    pci_config_set16(config, offset + PCI_PM_PMC, 3); /* version of the interface: 1.2 */
    pci_config_set16(config, offset + PCI_PM_CTRL, PCI_PM_CTRL_NO_SOFT_RESET);
    pci_config_allow16(config, offset + PCI_PM_CTRL, PCI_PM_CTRL_STATE_MASK);
    pci_config_add_register(config, &control);
}

/* FLR: the function is as after power on, and does not answer until the device has let go of the guest's memory. */
static void device_control_written(void *opaque)
{
    struct pci_function *function = opaque;
    const unsigned int control = function->express + PCI_EXP_DEVCTL;

    if (!(pci_config_get16(&function->config, control) & PCI_EXP_DEVCTL_BCR_FLR)) {
        return;
    }
    function->resetting = true;
    pci_config_reset(&function->config);
    pci_msix_reset(function);
    pci_intx_deassert(function);
    pci_bus_decode(function->bus);
    function->operations->reset(function->opaque);
}

void pci_function_reset_done(struct pci_function *function)
{
    function->resetting = false;
}

void pci_function_add_express(struct pci_function *function)
{
    struct pci_config *config = &function->config;
    const uint8_t offset = pci_config_add_capability(config, PCI_CAP_ID_EXP, EXPRESS_SIZE);
    const struct pci_config_register control = {
        .offset = (uint16_t)(offset + PCI_EXP_DEVCTL), .size = 2, .written = device_control_written, .opaque = function,
    };

    function->express = offset;
    pci_config_set16(config, offset + PCI_EXP_FLAGS, EXPRESS_V2 | PCI_EXP_TYPE_RC_END << 4);
    pci_config_set32(config, offset + PCI_EXP_DEVCAP, PCI_EXP_DEVCAP_RBER | PCI_EXP_DEVCAP_FLR);
    pci_config_set16(config, offset + PCI_EXP_DEVCTL, PCI_EXP_DEVCTL_RELAX_EN | PCI_EXP_DEVCTL_NOSNOOP_EN);
    pci_config_allow16(config, offset + PCI_EXP_DEVCTL, 0xffff & ~PCI_EXP_DEVCTL_AUX_PME);
    pci_config_add_register(config, &control);
}

void pci_function_add_msix(struct pci_function *function, unsigned int bar, uint32_t table, uint32_t pba,
                           unsigned int vectors)
{
    struct pci_config *config = &function->config;
    const uint8_t offset = pci_config_add_capability(config, PCI_CAP_ID_MSIX, PCI_CAP_MSIX_SIZEOF);
    const struct pci_config_register control = {
        .offset = (uint16_t)(offset + PCI_MSIX_FLAGS), .size = 2, .written = permissions_changed, .opaque = function,
    };

    function->msix = (struct pci_msix){
        .vectors = (uint16_t)vectors, .capability = offset, .bar = (uint8_t)bar, .table = table, .pba = pba,
    };
    pci_config_set16(config, offset + PCI_MSIX_FLAGS, (uint16_t)(vectors - 1));
    pci_config_set32(config, offset + PCI_MSIX_TABLE, table | bar);
    pci_config_set32(config, offset + PCI_MSIX_PBA, pba | bar);
    pci_config_allow16(config, offset + PCI_MSIX_FLAGS, PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL);
    pci_config_add_register(config, &control);
    pci_msix_reset(function);
}

void pci_function_add_doorbell(struct pci_function *function, unsigned int bar, uint32_t offset, unsigned int size)
{
    if (function->doorbells == PCI_DOORBELLS_MAX) {
        abort();
    }
    function->doorbell[function->doorbells++] = (struct pci_doorbell){
        .bar = (uint8_t)bar, .size = (uint8_t)size, .offset = offset,
    };
}

void pci_function_use_doorbell(struct pci_function *function, unsigned int index, bool use)
{
    if (index < function->doorbells) {
        function->doorbell[index].used = use;
        pci_bus_doorbells(function);
    }
}

void pci_function_save(const struct pci_function *function, struct pci_function_saved *saved)
{
    memcpy(saved->value, function->config.value, sizeof(saved->value));
    memcpy(saved->entry, function->msix.entry, sizeof(saved->entry));
    saved->pending = function->msix.pending;
    saved->resetting = function->resetting;
    saved->intx_wanted = function->intx_wanted;
}

void pci_function_restore(struct pci_function *function, const struct pci_function_saved *saved)
{
    memcpy(function->config.value, saved->value, sizeof(saved->value));
    memcpy(function->msix.entry, saved->entry, sizeof(saved->entry));
    function->msix.pending = saved->pending;
    function->resetting = saved->resetting;
    function->intx_wanted = saved->intx_wanted;
    pci_bus_decode(function->bus);
    pci_intx_update(function);
}

bool pci_function_awake(const struct pci_function *function)
{
    const uint16_t control = function->power_management == 0
                                 ? 0
                                 : pci_config_get16(&function->config, function->power_management + PCI_PM_CTRL);

    return !function->resetting && (control & PCI_PM_CTRL_STATE_MASK) == POWER_D0;
}

bool pci_function_mastering(const struct pci_function *function)
{
    return pci_function_awake(function) &&
           (pci_config_get16(&function->config, PCI_COMMAND) & PCI_COMMAND_MASTER);
}

bool pci_function_decodes(const struct pci_function *function)
{
    return pci_function_awake(function) &&
           (pci_config_get16(&function->config, PCI_COMMAND) & PCI_COMMAND_MEMORY);
}

uint64_t pci_function_bar_base(const struct pci_function *function, unsigned int index)
{
    const unsigned int offset = PCI_BASE_ADDRESS_0 + index * 4;
    uint64_t base = pci_config_get32(&function->config, offset) & ~(uint32_t)0xf;

    if (function->bar[index].wide) {
        base |= (uint64_t)pci_config_get32(&function->config, offset + 4) << 32;
    }
    return base;
}

uint64_t pci_function_access(struct pci_function *function, unsigned int bar, uint64_t offset, unsigned int size,
                             bool write, uint64_t data)
{
    uint64_t result;

    if (pci_msix_access(function, bar, offset, size, write, data, &result)) {
        return result;
    }
    return function->operations->access(function->opaque, bar, offset, size, write, data);
}
