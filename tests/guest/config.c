/* SPDX-License-Identifier: BSD-2-Clause */
/* See config.h. */
#include "config.h"

#include "mmu.h"
#include "pci.h"
#include "region.h"
#include "tap.h"

#define CAPABILITIES_MAX ((PCI_LEGACY_END - PCI_HEADER_END) / 4)

static uint8_t snapshot[PCI_LEGACY_END]; /* of the function that is being tested */
static uint64_t snapshot_base;

uint32_t config_read(const struct function *function, unsigned int offset, unsigned int size)
{
    return (uint32_t)device_read(function->base + offset, size);
}

void config_write(const struct function *function, unsigned int offset, unsigned int size, uint32_t value)
{
    device_write(function->base + offset, size, value);
}

static uint8_t snapshot_byte(uint64_t address)
{
    return snapshot[address - snapshot_base];
}

static void take_snapshot(const struct function *function)
{
    snapshot_base = function->base;
    for (unsigned int offset = 0; offset < PCI_LEGACY_END; offset += 4) {
        const uint32_t value = config_read(function, offset, 4);

        memcpy(&snapshot[offset], &value, sizeof(value));
    }
}

static void add(struct functions *functions, struct function *function)
{
    test_count(1);
    console_print("# function %x:%x.%u vendor %x device %x class %x\n", (uint64_t)function->address.bus,
                  (uint64_t)function->address.device, (unsigned int)function->address.function,
                  (uint64_t)function->vendor, (uint64_t)function->device,
                  (uint64_t)config_read(function, PCI_REVISION_CLASS, 4) >> 8);
    if (functions->count < FUNCTIONS_MAX) {
        functions->function[functions->count++] = *function;
    }
}

/* Whether there is a function 0 with others beside it. */
static bool scan_function(const struct guest *guest, struct functions *functions, struct bridge_ecam_address address)
{
    struct function function = { .address = address, .base = guest->ecam.base + bridge_ecam_encode(address) };
    const uint32_t id = config_read(&function, PCI_VENDOR, 4);

    if (id == UINT32_MAX) {
        test_count(1);
        return false;
    }
    function.vendor = (uint16_t)id;
    function.device = (uint16_t)(id >> 16);
    test_require(function.vendor != 0xffff && function.vendor != 0, "a function's vendor is neither 0xffff nor 0");
    add(functions, &function);
    return (config_read(&function, PCI_HEADER_TYPE, 1) & PCI_HEADER_TYPE_MANY) != 0;
}

void config_scan(const struct guest *guest, struct functions *functions)
{
    test_begin("configuration space: scan of every bus");
    functions->count = 0;
    for (unsigned int device = 0; device < guest->buses * 32; device++) {
        struct bridge_ecam_address address = { .bus = (uint8_t)(device / 32), .device = device % 32 };

        if (scan_function(guest, functions, address)) {
            for (address.function = 1; address.function < 8; address.function++) {
                (void)scan_function(guest, functions, address);
            }
        }
    }
    test_require((functions->count == 0) == (guest->expectation == EXPECT_NOBODY),
                 "there are functions if and only if there is a device model");
    console_print("# %u functions on %u buses\n", functions->count, guest->buses);
    test_end();
}

bool config_is_present(const struct guest *guest, const struct functions *functions, uint64_t address)
{
    for (unsigned int i = 0; i < functions->count; i++) {
        const struct bridge_ecam_address *found = &functions->function[i].address;
        const struct bridge_ecam_address asked = bridge_ecam_decode(address - guest->ecam.base);

        if (asked.bus == found->bus && asked.device == found->device) {
            return true; /* or another function of the device */
        }
    }
    return false;
}

/* All kinds of loads that stay in a doubleword, as PCI wants it; those that do not must do no harm. */
static void test_loads(const struct function *function)
{
    test_begin("function: every size and alignment reads the same");
    for (unsigned int offset = 0; offset < PCI_LEGACY_END; offset += 4) {
        region_loads(function->base + offset, 4, snapshot_byte);
    }
    for (unsigned int offset = 0; offset < PCI_LEGACY_END; offset += 8) {
        uint64_t both;

        memcpy(&both, &snapshot[offset], sizeof(both));
        (void)load_check(LOAD_X, false, function->base + offset, both);
    }
    for (unsigned int offset = 0; offset < PCI_HEADER_END; offset++) {
        (void)load_do(LOAD_X, VIEW_NORMAL + function->base + offset);
        (void)load_do(LOAD_SH_X, VIEW_NORMAL + function->base + offset);
    }
    region_registers(function->base, snapshot_byte);
    test_end();
}

static void test_write_back(const struct function *function)
{
    test_begin("function: post-indexed loads");
    region_write_back(function->base + PCI_VENDOR, snapshot_byte);
    region_write_back(function->base + PCI_REVISION_CLASS, snapshot_byte);
    test_end();
}

static void test_read_only(const struct function *function)
{
    test_begin("function: read-only registers ignore writes");
    region_stores_ignored(function->base + PCI_VENDOR, 4, snapshot_byte);
    region_stores_ignored(function->base + PCI_REVISION_CLASS, 4, snapshot_byte);
    region_stores_ignored(function->base + PCI_HEADER_TYPE, 1, snapshot_byte);
    region_stores_ignored(function->base + PCI_SUBSYSTEM, 4, snapshot_byte);
    region_stores_ignored(function->base + PCI_CAPABILITY_POINTER, 4, snapshot_byte);
    for (unsigned int at = config_capability(function, 0, 0), i = 0; at != 0 && i < CAPABILITIES_MAX; i++) {
        region_stores_ignored(function->base + at, 2, snapshot_byte);
        at = snapshot[at + 1];
    }
    test_end();
}

unsigned int config_capability(const struct function *function, unsigned int id, unsigned int after)
{
    unsigned int at = config_read(function, after != 0 ? after + 1 : PCI_CAPABILITY_POINTER, 1);

    if ((config_read(function, PCI_STATUS, 2) & PCI_STATUS_CAPABILITY) == 0) {
        return 0;
    }
    for (unsigned int i = 0; i < CAPABILITIES_MAX && at >= PCI_HEADER_END; i++) {
        if (id == 0 || config_read(function, at, 1) == id) {
            return at;
        }
        at = config_read(function, at + 1, 1);
    }
    return 0;
}

static void test_header(const struct function *function)
{
    bool seen[PCI_LEGACY_END] = { false };
    unsigned int count = 0;
    unsigned int at;

    test_begin("function: header and capability list");
    test_require((config_read(function, PCI_HEADER_TYPE, 1) & 0x7f) == 0, "it is an endpoint");
    test_require(config_read(function, PCI_VENDOR, 2) == function->vendor, "vendor by two bytes");
    test_require(config_read(function, PCI_DEVICE, 2) == function->device, "device by two bytes");
    test_require(config_read(function, PCI_REVISION_CLASS, 4) >> 8 != 0xffffff, "class");
    for (at = config_capability(function, 0, 0); at != 0 && !seen[at]; at = config_read(function, at + 1, 1)) {
        console_print("# capability %x at %x\n", (uint64_t)config_read(function, at, 1), (uint64_t)at);
        test_require(at >= PCI_HEADER_END && at % 4 == 0, "a capability is behind the header and aligned");
        test_require(config_read(function, at, 1) != 0xff, "a capability has an id");
        seen[at] = true;
        count++;
    }
    test_require(at == 0, "the capability list has no loop");
    test_require((count != 0) == ((config_read(function, PCI_STATUS, 2) & PCI_STATUS_CAPABILITY) != 0),
                 "the status register says whether there are capabilities");
    test_end();
}

/* What is writable of a BAR, by writing all ones; the BAR is restored. */
static uint32_t size_bar(const struct function *function, unsigned int index)
{
    const uint32_t before = config_read(function, PCI_BAR(index), 4);
    uint32_t mask;

    config_write(function, PCI_BAR(index), 4, UINT32_MAX);
    mask = config_read(function, PCI_BAR(index), 4);
    config_write(function, PCI_BAR(index), 4, before);
    test_require(config_read(function, PCI_BAR(index), 4) == before, "a BAR is as it was after it was sized");
    return mask;
}

/* The number of BAR registers that it takes. */
static unsigned int test_bar(struct function *function, unsigned int index)
{
    struct config_bar *bar = &function->bar[index];
    uint64_t mask = size_bar(function, index);

    memset(bar, 0, sizeof(*bar));
    if (mask == 0) {
        test_count(1);
        return 1;
    }
    bar->io = (mask & PCI_BAR_IO) != 0;
    bar->wide = !bar->io && (mask & PCI_BAR_TYPE) == PCI_BAR_TYPE_64;
    bar->prefetchable = !bar->io && (mask & PCI_BAR_PREFETCHABLE) != 0;
    mask &= ~(uint64_t)(bar->io ? 0x3u : PCI_BAR_FLAGS);
    if (bar->wide && index + 1 < CONFIG_BARS) {
        mask |= (uint64_t)size_bar(function, index + 1) << 32;
    } else {
        mask |= 0xffffffffull << 32;
    }
    bar->size = ~mask + 1;
    test_require(bar->size >= 16 && (bar->size & (bar->size - 1)) == 0, "a BAR's size is a power of two");
    console_print("# BAR %u: size %x%s%s%s\n", index, bar->size, bar->io ? ", I/O" : "",
                  bar->wide ? ", 64 bits" : "", bar->prefetchable ? ", prefetchable" : "");
    return bar->wide ? 2 : 1;
}

static void test_bars(struct function *function)
{
    const uint32_t command = config_read(function, PCI_COMMAND, 2);

    test_begin("function: BARs can be sized, and are restored");
    config_write(function, PCI_COMMAND, 2, command & ~PCI_COMMAND_DECODE);
    test_require((config_read(function, PCI_COMMAND, 2) & PCI_COMMAND_DECODE) == 0, "decoding can be switched off");
    for (unsigned int index = 0; index < CONFIG_BARS;) {
        index += test_bar(function, index);
    }
    config_write(function, PCI_COMMAND, 2, command);
    test_require(config_read(function, PCI_COMMAND, 2) == command, "the command register can be restored");
    test_end();
}

void config_test(struct function *function)
{
    console_print("# function %x:%x.%u\n", (uint64_t)function->address.bus, (uint64_t)function->address.device,
                  (unsigned int)function->address.function);
    take_snapshot(function);
    test_header(function);
    test_loads(function);
    test_write_back(function);
    test_read_only(function);
    test_bars(function);
}
