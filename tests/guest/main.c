/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The conformance test: what a guest may rely on, of the hypervisor and of any device model.
 *
 * It is booted by Xen as a dom0less guest in place of a Linux kernel, takes every address from its device tree, and
 * prints TAP on its console. tests/system/conformance.py boots it and reads that. Which accesses are tried is in
 * region.c, what should come of them in status.c, background.c, config.c and bars.c. hammer.c and ends.c are other
 * tests.
 */
#include "access.h"
#include "background.h"
#include "bars.h"
#include "config.h"
#include "ends.h"
#include "hammer.h"
#include "mmu.h"
#include "status.h"
#include "tap.h"

_Noreturn void guest_main(const void *tree);

static void test_functions(const struct guest *guest, struct functions *functions)
{
    for (unsigned int i = 0; i < functions->count; i++) {
        config_test(&functions->function[i]);
        bars_test(guest, &functions->function[i]);
    }
}

/* What was done to the devices has changed nothing of what the hypervisor says. */
static void test_status_again(const struct guest *guest, uint64_t before)
{
    test_begin("status: the same at the end");
    test_require(device_read(guest->status.base + BRIDGE_STATUS_STATE, 8) == before, "state and generation");
    test_end();
}

static void run(const struct guest *guest)
{
    static struct functions functions;
    uint64_t state;

    if (guest->expectation == EXPECT_ENDS) {
        ends_test(guest);
        return;
    }
    if (guest->expectation == EXPECT_HELD) {
        status_touch_held(guest);
    }
    status_wait(guest);
    if (guest->expectation == EXPECT_HAMMER) {
        hammer_test(guest);
        return;
    }
    status_test_pages(guest);
    state = device_read(guest->status.base + BRIDGE_STATUS_STATE, 8);
    config_scan(guest, &functions);
    background_test(guest, &functions);
    test_functions(guest, &functions);
    test_status_again(guest, state);
}

_Noreturn void guest_main(const void *tree)
{
    static struct guest guest;

    if (tree_read(tree, &guest) && guest.uart.size != 0) {
        console_open(VIEW_DEVICE + guest.uart.base);
        console_print("sb: guest run conformance\n");
        status_test_tree(&guest);
        if (guest.ecam.size != 0 && guest.memory.size != 0 && guest.status.size != 0) {
            run(&guest);
            test_finish();
        } else {
            test_bail_out("no bridge in the device tree");
        }
    }
    for (;;) {
        __asm__ volatile("wfi");
    }
}
