/* SPDX-License-Identifier: BSD-2-Clause */
/* See status.h; docs/guest-view.md is what is tested. */
#include "status.h"

#include <stdatomic.h>

#include "clock.h"
#include "device_model.h"
#include "hypervisor.h"
#include "mmu.h"
#include "region.h"
#include "tap.h"
#include "vcpus.h"

#define WAIT_SERVED  300000u /* milliseconds of the guest's time at most */
#define WAIT_NOBODY  250u    /* the same */
#define WAIT_LOOPS   20000u  /* between two looks: each is an exception to the hypervisor */
#define WATCHDOG     2u      /* seconds: less than the guest is held for. Many vCPUs, in real time, may need as long */
#define REGISTERS    5u
#define PAGE_STRIDES 16u

static struct {
    uintptr_t address;
    uint64_t value;
    atomic_bool over;
    uint64_t longest[VCPUS_MAX]; /* ticks between two looks at the clock */
} touch;

static uint32_t page[REGISTERS]; /* the status page's registers, as they should be */
static uint64_t page_base;

static void wait_a_little(void)
{
    for (unsigned int i = 0; i < WAIT_LOOPS; i++) {
        __asm__ volatile("");
    }
    __asm__ volatile("wfe"); /* Xen lets others run */
}

static uint32_t status_register(const struct guest *guest, unsigned int offset)
{
    return (uint32_t)device_read(guest->status.base + offset, 4);
}

static uint8_t zero_byte(uint64_t address)
{
    (void)address;
    return 0;
}

static uint8_t status_byte(uint64_t address)
{
    const uint64_t offset = address - page_base;

    return offset / 4 < REGISTERS ? (uint8_t)(page[offset / 4] >> (8 * (offset % 4))) : 0;
}

static bool apart(const struct bridge_window *one, const struct bridge_window *two)
{
    return one->base + one->size <= two->base || two->base + two->size <= one->base;
}

void status_test_tree(const struct guest *guest)
{
    const uint64_t service = guest->memory.base + guest->memory.size;

    test_begin("device tree: bridge, status page, frame");
    test_require(guest->expectation != EXPECT_UNKNOWN, "bootargs say what is expected");
    test_require(guest->ecam.size == guest->buses * BRIDGE_BUS_SIZE, "configuration space is 1 MiB a bus");
    test_require(guest->memory.size != 0, "there is a memory window");
    test_require(guest->status.base == service + BRIDGE_V2M_SIZE && guest->status.size == BRIDGE_STATUS_SIZE,
                 "the status page is the last of the service area, behind the memory window");
    if (guest->v2m.size != 0) {
        test_require(guest->v2m.base == service && guest->v2m.size == BRIDGE_V2M_SIZE,
                     "the frame is the first of the service area");
        test_require(guest->msi_first >= BRIDGE_INTERRUPT_FIRST && guest->msi_count != 0, "the frame has interrupts");
    }
    test_require(apart(&guest->ecam, &guest->memory) && apart(&guest->ecam, &guest->prefetch) &&
                     apart(&guest->memory, &guest->prefetch) && apart(&guest->ecam, &guest->status),
                 "no window overlaps another");
    test_end();
}

void status_wait(const struct guest *guest)
{
    const bool nobody = guest->expectation == EXPECT_NOBODY;
    const uint64_t begin = clock_virtual();
    const uint64_t patience = (nobody ? WAIT_NOBODY : WAIT_SERVED) * clock_ticks_a_second() / 1000;
    unsigned int looks = 0;
    bool ready = false;

    test_begin(nobody ? "status: never ready" : "status: ready in time");
    while (!ready && clock_virtual() - begin < patience) {
        ready = (status_register(guest, BRIDGE_STATUS_STATE) & BRIDGE_STATUS_STATE_READY) != 0;
        looks++;
        wait_a_little();
    }
    test_require(ready != nobody, nobody ? "the bus is not ready" : "the bus is ready");
    test_require(looks > 1 || guest->expectation == EXPECT_HELD, "one could look more than once");
    console_print("# %u looks, %u ms\n", looks,
                  (unsigned int)((clock_virtual() - begin) * 1000 / clock_ticks_a_second()));
    test_end();
}

/* The first vCPU touches the bridge; the others look at their clocks until it has got its answer. */
static void touch_or_look(unsigned int vcpu)
{
    uint64_t last = clock_virtual();

    if (vcpu == 0) {
        touch.value = load_do(LOAD_SH_W, VIEW_DEVICE + touch.address);
        touch.longest[0] = clock_virtual() - last;
        atomic_store(&touch.over, true);
    }
    while (!atomic_load(&touch.over)) {
        const uint64_t now = clock_virtual();

        if (now - last > touch.longest[vcpu]) {
            touch.longest[vcpu] = now - last;
        }
        last = now;
    }
}

void status_touch_held(const struct guest *guest)
{
    const int64_t watchdog = guest->vcpus == 1 ? hypervisor_watchdog(0, WATCHDOG) : 0;
    uint64_t held = clock_physical();
    uint64_t seen = 0;

    test_begin("hold: parked at the first touch until ready, without seeing the time pass");
    test_require(guest->vcpus > 1 || watchdog > 0, "there is a watchdog");
    test_require(status_register(guest, BRIDGE_STATUS_STATE) == 0, "the bus is not ready before");
    touch.address = guest->ecam.base;
    test_require(vcpus_run(guest->vcpus, touch_or_look), "all vCPUs run");
    test_require(status_register(guest, BRIDGE_STATUS_STATE) == BRIDGE_STATUS_STATE_READY, "the bus is ready after");
    held = clock_physical() - held;
    for (unsigned int vcpu = 0; vcpu < guest->vcpus; vcpu++) {
        seen = seen > touch.longest[vcpu] ? seen : touch.longest[vcpu];
    }
    test_require(seen < held / 4, "the guest's time stood still");
    test_require(held > WATCHDOG * clock_ticks_a_second(), "it was held for longer than its watchdog waits");
    test_require(guest->vcpus > 1 || hypervisor_watchdog((uint32_t)watchdog, 0) == 0, "the watchdog is still there");
    test_require(touch.value == load_do(LOAD_SH_W, VIEW_DEVICE + guest->ecam.base), "the parked load is right");
    console_print("# held for %u ms, of which %u vCPUs have seen %u ms at most\n",
                  (unsigned int)(held * 1000 / clock_ticks_a_second()), guest->vcpus,
                  (unsigned int)(seen * 1000 / clock_ticks_a_second()));
    test_end();
}

static void test_registers(const struct guest *guest)
{
    const bool ready = guest->expectation != EXPECT_NOBODY;

    test_begin("status: magic, version, state, generation, flags");
    for (unsigned int i = 0; i < REGISTERS; i++) {
        page[i] = status_register(guest, 4 * i);
    }
    console_print("# magic %x, version %u, state %x, generation %u, flags %x\n", (uint64_t)page[0], page[1],
                  (uint64_t)page[2], page[3], (uint64_t)page[4]);
    test_require(page[0] == BRIDGE_STATUS_MAGIC_VALUE, "magic");
    test_require(page[1] == BRIDGE_STATUS_VERSION_VALUE, "version");
    test_require(page[2] == (ready ? BRIDGE_STATUS_STATE_READY : 0), "state");
    test_require(page[3] == (ready ? 1 : 0), "generation counts one device model, or none");
    test_require((page[4] & ~BRIDGE_FLAGS) == 0, "flags");
    test_require(guest->expectation != EXPECT_HELD || (page[4] & BRIDGE_FLAG_HOLD) != 0, "flags say HOLD");
    test_require(guest->expectation != EXPECT_NOBODY || (page[4] & BRIDGE_FLAG_HOLD) == 0, "flags do not say HOLD");
    test_end();
}

/* Aligned, or at least inside eight aligned bytes: more than that is not promised. */
static void test_loads(const char *name, const struct bridge_window *window, region_byte_fn byte)
{
    test_begin(name);
    for (unsigned int offset = 0; offset < 0x20; offset += 8) {
        region_loads(window->base + offset, 8, byte);
    }
    for (unsigned int i = 1; i <= PAGE_STRIDES; i++) {
        region_loads(window->base + i * (window->size / PAGE_STRIDES) - 8, 8, byte);
    }
    region_registers(window->base, byte);
    test_end();
}

static void test_stores(const char *name, const struct bridge_window *window, region_byte_fn byte)
{
    test_begin(name);
    for (unsigned int offset = 0; offset < 0x20; offset += 8) {
        region_stores_ignored(window->base + offset, 8, byte);
    }
    region_stores_ignored(window->base + BRIDGE_V2M_SETSPI, 8, byte);
    region_stores_ignored(window->base + window->size - 16, 16, byte);
    test_end();
}

static void test_frame(const struct guest *guest)
{
    if (guest->v2m.size == 0) {
        test_skip("frame: reads as zero", "no frame in the device tree");
        test_skip("frame: writes are ignored", "no frame in the device tree");
        return;
    }
    test_loads("frame: reads as zero, every size and alignment", &guest->v2m, zero_byte);
    test_begin("frame: its driver's registers read as zero");
    for (unsigned int offset = 0; offset < 0x1000; offset += 4) {
        (void)load_check(LOAD_W, false, guest->v2m.base + offset, 0);
    }
    test_end();
    test_stores("frame: writes are ignored", &guest->v2m, zero_byte);
}

void status_test_pages(const struct guest *guest)
{
    page_base = guest->status.base;
    test_registers(guest);
    test_loads("status: every size and alignment", &guest->status, status_byte);
    test_begin("status: post-indexed loads");
    region_write_back(guest->status.base, status_byte);
    test_end();
    test_stores("status: writes are ignored", &guest->status, status_byte);
    test_frame(guest);
}
