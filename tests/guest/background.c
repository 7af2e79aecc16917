/* SPDX-License-Identifier: BSD-2-Clause */
/* See background.h. */
#include "background.h"

#include "mmu.h"
#include "region.h"
#include "tap.h"

#define PLACES      12u
#define PLACES_ECAM 6u /* a device model may have to answer for all of configuration space */
#define PLACE_SIZE  16u
#define STEP        0x9e3779b97f4a7c15ull /* of places: 2^64 over the golden ratio */

static uint8_t ones_byte(uint64_t address)
{
    (void)address;
    return 0xff;
}

/* The ends first, then places all over the window. */
static uint64_t place_of(const struct bridge_window *window, unsigned int index)
{
    if (index < 2) {
        return window->base + (index == 0 ? 0 : window->size - PLACE_SIZE);
    }
    return window->base + (index * STEP) % window->size / PLACE_SIZE * PLACE_SIZE;
}

void background_check(uint64_t address)
{
    region_loads(address, PLACE_SIZE, ones_byte);
    region_stores_ignored(address, PLACE_SIZE, ones_byte);
}

static void test_window(const char *name, const struct guest *guest, const struct bridge_window *window,
                        const struct functions *functions)
{
    const unsigned int places = window == &guest->ecam ? PLACES_ECAM : PLACES;

    if (window->size == 0) {
        test_skip(name, "there is no such window");
        return;
    }
    test_begin(name);
    for (unsigned int i = 0; i < places; i++) {
        const uint64_t place = place_of(window, i);

        if (window != &guest->ecam || !config_is_present(guest, functions, place)) {
            background_check(place);
            region_registers(place, ones_byte);
        }
    }
    test_end();
}

/* Of each device number where there is none, the first and the last registers; on bus 0 by every kind of load. */
static void test_absent(const struct guest *guest, const struct functions *functions)
{
    test_begin("background: absent functions");
    for (unsigned int device = 0; device < guest->buses * 32; device++) {
        const uint64_t base = guest->ecam.base + device * 8ull * BRIDGE_ECAM_FUNCTION;

        if (!config_is_present(guest, functions, base)) {
            if (device < 32) {
                region_loads(base, 4, ones_byte);
            }
            (void)load_check(LOAD_SB_W, false, base, UINT64_MAX);
            (void)load_check(LOAD_W, false, base, UINT32_MAX);
            (void)load_check(LOAD_W, false, base + 7 * BRIDGE_ECAM_FUNCTION, UINT32_MAX);
            (void)load_check(LOAD_X, false, base + 8 * BRIDGE_ECAM_FUNCTION - 8, UINT64_MAX);
        }
    }
    test_end();
}

/* One access that begins where nobody answers and ends where Xen does, or in another page. */
static void test_borders(const struct guest *guest)
{
    const uint64_t service = guest->memory.base + guest->memory.size;

    test_begin("background: accesses across borders");
    for (unsigned int before = 1; before < 8; before++) {
        (void)load_check(LOAD_X, true, service - before, UINT64_MAX);
        (void)load_check(LOAD_X, true, guest->memory.base + 0x1000 - before, UINT64_MAX);
        store_do(STORE_X, VIEW_NORMAL + service - before, 0);
    }
    (void)load_check(LOAD_SH_W, true, service - 1, UINT64_MAX);
    (void)load_check(LOAD_SW_X, true, service - 3, UINT64_MAX);
    test_end();
}

static void test_write_back(const struct guest *guest)
{
    test_begin("background: post-indexed loads");
    region_write_back(guest->memory.base, ones_byte);
    region_write_back(guest->memory.base + guest->memory.size - 8, ones_byte);
    test_end();
}

void background_test(const struct guest *guest, const struct functions *functions)
{
    test_window("background: configuration space, every size and alignment", guest, &guest->ecam, functions);
    test_window("background: memory window, every size and alignment", guest, &guest->memory, functions);
    test_window("background: prefetchable window, every size and alignment", guest, &guest->prefetch, functions);
    test_absent(guest, functions);
    test_borders(guest);
    test_write_back(guest);
}
