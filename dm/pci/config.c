/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * See config.h. An access is taken apart by part_size(); reading and writing are what is done with a part.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "values are stored as the guest sees them");

void pci_config_init(struct pci_config *config)
{
    memset(config, 0, sizeof(*config));
    config->capability_end = PCI_STD_HEADER_SIZEOF;
    config->capability_last = PCI_CAPABILITY_LIST;
}

static bool touches(const struct pci_config_register *reg, unsigned int offset, unsigned int size)
{
    return offset < reg->offset + reg->size && reg->offset < offset + size;
}

/* Bytes of the access from `offset` on that lie in one 32-bit register. */
static unsigned int part_size(unsigned int offset, unsigned int left)
{
    const unsigned int room = 4 - offset % 4;

    return left < room ? left : room;
}

static void read_part(struct pci_config *config, unsigned int offset, unsigned int size, uint8_t *bytes)
{
    for (unsigned int i = 0; i < config->register_count; i++) {
        const struct pci_config_register *reg = &config->registers[i];

        if (reg->read && touches(reg, offset, size)) {
            reg->read(reg->opaque);
        }
    }
    memcpy(bytes, &config->value[offset], size);
}

static void write_part(struct pci_config *config, unsigned int offset, unsigned int size, const uint8_t *bytes)
{
    config->before = pci_config_get32(config, offset & ~3u);
    for (unsigned int i = 0; i < size; i++) {
        const unsigned int at = offset + i;
        const uint8_t kept = (uint8_t)(config->value[at] & ~config->writable[at] & ~(config->clear[at] & bytes[i]));

        config->value[at] = (uint8_t)(kept | (bytes[i] & config->writable[at]));
    }
    for (unsigned int i = 0; i < config->register_count; i++) {
        const struct pci_config_register *reg = &config->registers[i];

        if (reg->written && touches(reg, offset, size)) {
            reg->written(reg->opaque);
        }
    }
}

uint64_t pci_config_read(struct pci_config *config, unsigned int offset, unsigned int size)
{
    uint64_t data = 0;
    uint8_t bytes[sizeof(data)] = { 0 };

    for (unsigned int done = 0, part; done < size; done += part) {
        part = part_size(offset + done, size - done);
        if (offset + done < PCI_CONFIG_SIZE) {
            read_part(config, offset + done, part, bytes + done);
        }
    }
    memcpy(&data, bytes, sizeof(data));
    return data;
}

void pci_config_write(struct pci_config *config, unsigned int offset, unsigned int size, uint64_t data)
{
    uint8_t bytes[sizeof(data)];

    memcpy(bytes, &data, sizeof(data));
    for (unsigned int done = 0, part; done < size; done += part) {
        part = part_size(offset + done, size - done);
        if (offset + done < PCI_CONFIG_SIZE) {
            write_part(config, offset + done, part, bytes + done);
        }
    }
}

void pci_config_add_register(struct pci_config *config, const struct pci_config_register *added)
{
    if (config->register_count == PCI_CONFIG_REGISTERS_MAX) {
        abort();
    }
    config->registers[config->register_count++] = *added;
}

uint8_t pci_config_add_capability(struct pci_config *config, uint8_t id, uint8_t size)
{
    const uint8_t offset = config->capability_end;
    const unsigned int end = offset + ((size + 3u) & ~3u);

    if (end >= PCI_CONFIG_SIZE) {
        abort();
    }
    config->value[config->capability_last] = offset;
    config->value[offset + PCI_CAP_LIST_ID] = id;
    config->capability_last = (uint8_t)(offset + PCI_CAP_LIST_NEXT);
    config->capability_end = (uint8_t)end;
    pci_config_set16(config, PCI_STATUS, pci_config_get16(config, PCI_STATUS) | PCI_STATUS_CAP_LIST);
    return offset;
}

uint16_t pci_config_get16(const struct pci_config *config, unsigned int offset)
{
    uint16_t value;

    memcpy(&value, &config->value[offset], sizeof(value));
    return value;
}

uint32_t pci_config_get32(const struct pci_config *config, unsigned int offset)
{
    uint32_t value;

    memcpy(&value, &config->value[offset], sizeof(value));
    return value;
}

void pci_config_set8(struct pci_config *config, unsigned int offset, uint8_t value)
{
    config->value[offset] = value;
}

void pci_config_set16(struct pci_config *config, unsigned int offset, uint16_t value)
{
    memcpy(&config->value[offset], &value, sizeof(value));
}

void pci_config_set32(struct pci_config *config, unsigned int offset, uint32_t value)
{
    memcpy(&config->value[offset], &value, sizeof(value));
}

void pci_config_allow8(struct pci_config *config, unsigned int offset, uint8_t mask)
{
    config->writable[offset] = mask;
}

void pci_config_allow16(struct pci_config *config, unsigned int offset, uint16_t mask)
{
    memcpy(&config->writable[offset], &mask, sizeof(mask));
}

void pci_config_allow32(struct pci_config *config, unsigned int offset, uint32_t mask)
{
    memcpy(&config->writable[offset], &mask, sizeof(mask));
}

void pci_config_seal(struct pci_config *config)
{
    memcpy(config->initial, config->value, sizeof(config->initial));
}

void pci_config_reset(struct pci_config *config)
{
    memcpy(config->value, config->initial, sizeof(config->value));
}
