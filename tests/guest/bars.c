/* SPDX-License-Identifier: BSD-2-Clause */
/* See bars.h. */
#include "bars.h"

#include "access.h"
#include "background.h"
#include "mmu.h"
#include "pci.h"
#include "tap.h"

#define LOOKED_AT 0x1000u /* bytes of a BAR that are read */

static uint64_t bar_base[CONFIG_BARS]; /* where the BARs of the function are; 0: nowhere */

static void write_bar(const struct function *function, unsigned int index, uint64_t value)
{
    config_write(function, PCI_BAR(index), 4, (uint32_t)value);
    if (function->bar[index].wide) {
        config_write(function, PCI_BAR(index + 1), 4, (uint32_t)(value >> 32));
    }
}

/* A place in the window, behind what is taken, where the BAR is aligned; 0: there is none. */
static uint64_t take(const struct bridge_window *window, uint64_t *taken, uint64_t size)
{
    const uint64_t base = (window->base + *taken + size - 1) & ~(size - 1);

    if (base < window->base || base + size > window->base + window->size) {
        return 0;
    }
    *taken = base + size - window->base;
    return base;
}

/* True if at least one found a place. */
static bool place(const struct guest *guest, const struct function *function)
{
    uint64_t memory = 0;
    uint64_t prefetch = 0;
    bool any = false;

    for (unsigned int index = 0; index < CONFIG_BARS; index++) {
        const struct config_bar *bar = &function->bar[index];

        bar_base[index] = 0;
        if (bar->size == 0 || bar->io) {
            continue;
        }
        if (bar->wide && bar->prefetchable) {
            bar_base[index] = take(&guest->prefetch, &prefetch, bar->size);
        }
        if (bar_base[index] == 0) {
            bar_base[index] = take(&guest->memory, &memory, bar->size);
        }
        if (bar_base[index] != 0) {
            write_bar(function, index, bar_base[index]);
            any = true;
        }
    }
    return any;
}

static void decode(const struct function *function, bool on)
{
    const uint32_t command = config_read(function, PCI_COMMAND, 2) & ~PCI_COMMAND_DECODE;

    config_write(function, PCI_COMMAND, 2, command | (on ? PCI_COMMAND_MEMORY : 0));
}

/* Not decoded, decoded, not decoded: what is in a BAR cannot be known, but that it must not fault. */
static void test_decoding(const struct function *function)
{
    test_begin("BARs: every size reads, none faults");
    for (unsigned int index = 0; index < CONFIG_BARS; index++) {
        const uint64_t size = function->bar[index].size;

        for (uint64_t offset = 0; bar_base[index] != 0 && offset < size && offset < LOOKED_AT; offset += 8) {
            for (unsigned int width = 1; width <= 8; width *= 2) {
                (void)device_read(bar_base[index] + offset, width);
            }
            test_count(4);
        }
        if (bar_base[index] != 0) {
            (void)device_read(bar_base[index] + size - 4, 4);
            test_count(1);
        }
    }
    test_end();
}

static void test_not_decoded(const struct function *function, const char *name)
{
    test_begin(name);
    for (unsigned int index = 0; index < CONFIG_BARS; index++) {
        if (bar_base[index] != 0) {
            background_check(bar_base[index]);
            background_check(bar_base[index] + function->bar[index].size - 16);
        }
    }
    test_end();
}

/* Guest physical address of a virtio device's common configuration; 0: it has none that is decoded. */
static uint64_t common_configuration(const struct function *function)
{
    unsigned int at = 0;

    if (function->vendor != VIRTIO_VENDOR) {
        return 0;
    }
    while ((at = config_capability(function, PCI_CAPABILITY_VENDOR, at)) != 0) {
        const unsigned int bar = config_read(function, at + VIRTIO_CAP_BAR, 1);

        if (config_read(function, at + VIRTIO_CAP_TYPE, 1) == VIRTIO_CAP_COMMON && bar < CONFIG_BARS &&
            bar_base[bar] != 0) {
            return bar_base[bar] + config_read(function, at + VIRTIO_CAP_OFFSET, 4);
        }
    }
    return 0;
}

/* Registers are read by their own size, with each kind of load that has it. */
static void check_register(uint64_t address, unsigned int size, uint64_t value)
{
    for (enum load load = 0; load < LOADS; load++) {
        if (load_size(load) == size) {
            (void)load_check(load, false, address, value);
            (void)load_check(load, true, address, value);
        }
    }
}

static void test_virtio(uint64_t common)
{
    const uint8_t failed = VIRTIO_STATUS_BEGUN | VIRTIO_STATUS_FAILED;
    uint64_t queue_size;

    test_begin("virtio: common configuration by every kind of load");
    device_write(common + VIRTIO_STATUS, 1, 0);
    check_register(common + VIRTIO_STATUS, 1, 0);
    device_write(common + VIRTIO_STATUS, 1, VIRTIO_STATUS_BEGUN);
    check_register(common + VIRTIO_STATUS, 1, VIRTIO_STATUS_BEGUN);
    device_write(common + VIRTIO_FEATURE_WORD, 4, 1);
    test_require((device_read(common + VIRTIO_FEATURE, 4) & VIRTIO_VERSION_1) != 0, "it offers VERSION_1");
    check_register(common + VIRTIO_FEATURE, 4, device_read(common + VIRTIO_FEATURE, 4));
    check_register(common + VIRTIO_MSIX_CONFIG, 2, 0xffff);
    test_require(device_read(common + VIRTIO_QUEUES, 2) != 0, "it has a queue");
    device_write(common + VIRTIO_QUEUE_SELECT, 2, 0);
    queue_size = device_read(common + VIRTIO_QUEUE_SIZE, 2);
    test_require(queue_size != 0 && (queue_size & (queue_size - 1)) == 0, "its first queue's size is a power of two");
    check_register(common + VIRTIO_QUEUE_SIZE, 2, queue_size);
    device_write(common + VIRTIO_STATUS, 1, failed);
    check_register(common + VIRTIO_STATUS, 1, failed);
    device_write(common + VIRTIO_STATUS, 1, 0);
    check_register(common + VIRTIO_STATUS, 1, 0);
    test_end();
}

static void test_msix(const struct function *function, unsigned int capability)
{
    const unsigned int vectors = (config_read(function, capability + PCI_MSIX_CONTROL, 2) & 0x7ff) + 1;
    const uint32_t table = config_read(function, capability + PCI_MSIX_TABLE, 4);
    const uint64_t base = table % 8 < CONFIG_BARS ? bar_base[table % 8] : 0;

    test_begin("MSI-X: table entries are masked, and keep what is written");
    test_require(base != 0, "the table is in a BAR");
    for (unsigned int vector = 0; base != 0 && vector < vectors; vector++) {
        const uint64_t entry = base + table / 8 * 8 + vector * PCI_MSIX_ENTRY_SIZE;
        const uint64_t before = device_read(entry, 8);

        check_register(entry + PCI_MSIX_ENTRY_MASK, 4, 1);
        device_write(entry, 8, 0x89abcdef76543210ull);
        check_register(entry, 8, 0x89abcdef76543210ull);
        check_register(entry + 4, 4, 0x89abcdef);
        device_write(entry + PCI_MSIX_ENTRY_DATA, 4, 0xfedcba98);
        check_register(entry + PCI_MSIX_ENTRY_DATA, 4, 0xfedcba98);
        device_write(entry, 8, before);
        device_write(entry + PCI_MSIX_ENTRY_DATA, 4, 0);
    }
    test_end();
}

static void test_decoded(const struct function *function)
{
    const uint64_t common = common_configuration(function);
    const unsigned int msix = config_capability(function, PCI_CAPABILITY_MSIX, 0);

    test_decoding(function);
    if (msix != 0) {
        test_msix(function, msix);
    }
    if (common != 0) {
        test_virtio(common);
    }
}

void bars_test(const struct guest *guest, const struct function *function)
{
    const uint32_t command = config_read(function, PCI_COMMAND, 2);
    uint64_t before[CONFIG_BARS];

    for (unsigned int index = 0; index < CONFIG_BARS; index++) {
        before[index] = config_read(function, PCI_BAR(index), 4);
    }
    decode(function, false);
    if (place(guest, function)) {
        test_not_decoded(function, "BARs: nobody answers before they are decoded");
        decode(function, true);
        test_decoded(function);
        decode(function, false);
        test_not_decoded(function, "BARs: nobody answers after they were decoded");
    }
    for (unsigned int index = 0; index < CONFIG_BARS; index++) {
        config_write(function, PCI_BAR(index), 4, (uint32_t)before[index]);
    }
    config_write(function, PCI_COMMAND, 2, command);
}
