/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What only a device model computes of a bridge: from addresses to functions and their registers, from messages to
 * interrupts.
 */
#ifndef BRIDGE_DEVICE_MODEL_H
#define BRIDGE_DEVICE_MODEL_H

#include "bridge.h"

#define BRIDGE_V2M_SETSPI 0x40U /* offset in the v2m frame that an MSI message is addressed to */

/* Whether (address, data) is an MSI message that the bridge's v2m frame would take; data is then the interrupt id. */
static inline bool bridge_msi_valid(const struct bridge *bridge, uint64_t address, uint32_t data)
{
    return address == bridge_v2m_base(bridge) + BRIDGE_V2M_SETSPI &&
           data - bridge_msi_first(bridge) < bridge_msi_count(bridge);
}

/* An address in configuration space, as ECAM spells it (PCIe 6.0, 7.2.2). */
struct bridge_ecam_address {
    uint8_t bus;
    uint8_t device;           /* 0..31 */
    uint8_t function;         /* 0..7 */
    uint16_t register_offset; /* 0..4095 */
};

static inline struct bridge_ecam_address bridge_ecam_decode(uint64_t offset)
{
    const struct bridge_ecam_address address = {
        .bus = (uint8_t)(offset >> 20),
        .device = (uint8_t)((offset >> 15) & 0x1f),
        .function = (uint8_t)((offset >> 12) & 0x7),
        .register_offset = (uint16_t)(offset & 0xfff),
    };

    return address;
}

static inline uint64_t bridge_ecam_encode(struct bridge_ecam_address address)
{
    return ((uint64_t)address.bus << 20) | ((uint64_t)(address.device & 0x1fU) << 15) |
           ((uint64_t)(address.function & 0x7U) << 12) | (address.register_offset & 0xfffU);
}

#endif
