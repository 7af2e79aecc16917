/* SPDX-License-Identifier: BSD-2-Clause */
/* See hammer.h. */
#include "hammer.h"

#include "device_model.h"

#include <stdatomic.h>

#include "abort.h"
#include "access.h"
#include "clock.h"
#include "mmu.h"
#include "pci.h"
#include "tap.h"
#include "vcpus.h"

#define BURST          64u /* accesses between two looks at the clock */
#define DEVICES_HOT    4u  /* on bus 0: where a device model has its functions */
#define DEVICES_ABSENT 8u  /* from here on there is none */
#define DEVICE_LAST    2u  /* only the last device model has it */
#define BAR_STEP       0x10000u
#define BARS_HOT       16u /* multiples of BAR_STEP from the beginning of a window where BARs are put */
#define ACCESSES_MIN   1000u
#define WAIT_MAX       45u  /* seconds: the hypervisor gives a device model up after 30 */
#define WAIT_LAST      600u /* seconds more until the last device model must be there */

enum target { TARGET_ECAM, TARGET_FUNCTION, TARGET_MEMORY, TARGET_PREFETCH, TARGET_BAR, TARGET_SERVICE, TARGETS };

struct hammer {
    uint64_t random; /* never 0 */
    unsigned int accesses;
    unsigned int pairs;
    unsigned int wrong;
    uint64_t wrong_address; /* the last one */
    uint64_t longest;       /* wait for one access, in ticks */
};

static const struct guest *bridge;
static struct hammer hammers[VCPUS_MAX];
static atomic_bool over;

/* xorshift (Marsaglia, Journal of Statistical Software 8(14), 2003) */
static uint64_t next_random(struct hammer *hammer)
{
    hammer->random ^= hammer->random << 13;
    hammer->random ^= hammer->random >> 7;
    hammer->random ^= hammer->random << 17;
    return hammer->random;
}

static unsigned int below(struct hammer *hammer, unsigned int limit)
{
    return (unsigned int)((next_random(hammer) >> 16) % limit);
}

static uint64_t somewhere(struct hammer *hammer, struct bridge_window window)
{
    return window.base + (window.size != 0 ? (next_random(hammer) >> 8) % window.size : 0);
}

static uint64_t function_of(unsigned int device)
{
    const struct bridge_ecam_address address = { .device = (uint8_t)device };

    return bridge->ecam.base + bridge_ecam_encode(address);
}

static uint64_t choose(struct hammer *hammer)
{
    const struct bridge_window service = { bridge->memory.base + bridge->memory.size, BRIDGE_SERVICE_SIZE };

    switch ((enum target)below(hammer, TARGETS)) {
    case TARGET_ECAM: return somewhere(hammer, bridge->ecam);
    case TARGET_FUNCTION: return function_of(below(hammer, DEVICES_HOT)) + below(hammer, PCI_LEGACY_END);
    case TARGET_PREFETCH: return somewhere(hammer, bridge->prefetch.size != 0 ? bridge->prefetch : bridge->memory);
    case TARGET_BAR: return bridge->memory.base + below(hammer, BARS_HOT * BAR_STEP);
    case TARGET_SERVICE: return somewhere(hammer, service);
    default: return somewhere(hammer, bridge->memory);
    }
}

/* What would else be hit seldom: BARs that are decoded. */
static void place_bars(struct hammer *hammer)
{
    const uint64_t function = function_of(1 + below(hammer, DEVICES_HOT - 1));

    for (unsigned int bar = 0; bar < 6; bar += 2) {
        device_write(function + PCI_BAR(bar), 4, bridge->memory.base + BAR_STEP * below(hammer, BARS_HOT));
        device_write(function + PCI_BAR(bar + 1), 4, 0);
    }
    device_write(function + PCI_COMMAND, 2, PCI_COMMAND_MEMORY | 4u);
}

/* The status page's first two registers; all of the rest but state and generation is 0. */
static bool service_known(uint64_t address, unsigned int size, uint64_t *data)
{
    static const uint64_t first = BRIDGE_STATUS_MAGIC_VALUE | (uint64_t)BRIDGE_STATUS_VERSION_VALUE << 32;
    const uint64_t offset = address - bridge->status.base;

    *data = offset < 8 ? first >> (8 * offset) : 0;
    return offset + size <= BRIDGE_STATUS_STATE || offset >= 0x18;
}

/* Whether an aligned load can give one thing only, whoever serves the bridge. */
static bool known(uint64_t address, unsigned int size, uint64_t *data)
{
    if (bridge_window_contains(&bridge->ecam, address)) {
        *data = ~0ull;
        return bridge_ecam_decode(address - bridge->ecam.base).device >= DEVICES_ABSENT;
    }
    return address - (bridge->memory.base + bridge->memory.size) < BRIDGE_SERVICE_SIZE &&
           service_known(address, size, data);
}

static void load(struct hammer *hammer, uint64_t address, bool normal)
{
    const enum load kind = (enum load)below(hammer, LOADS);
    const bool aligned = address % load_size(kind) == 0;
    uint64_t data;
    uint64_t value;

    if (!load_possible(kind, address, normal)) {
        return;
    }
    value = load_do(kind, address + (normal ? VIEW_NORMAL : VIEW_DEVICE));
    if (aligned && known(address, load_size(kind), &data) && value != load_expected(kind, data)) {
        hammer->wrong++;
        hammer->wrong_address = address;
    }
}

static void store(struct hammer *hammer, uint64_t address, bool normal)
{
    const enum store kind = (enum store)below(hammer, STORES);

    if (store_possible(kind, address, normal)) {
        store_do(kind, address + (normal ? VIEW_NORMAL : VIEW_DEVICE), next_random(hammer));
    }
}

static void strike(struct hammer *hammer)
{
    const uint64_t address = choose(hammer) & ~(uint64_t)(below(hammer, 4) != 0 ? 7 : 0);
    const bool normal = below(hammer, 2) != 0;

    switch (below(hammer, 64)) {
    case 0:
        pair_do(below(hammer, 2) != 0, VIEW_DEVICE + (address & ~15ull));
        hammer->pairs++;
        break;
    case 1:
        place_bars(hammer);
        break;
    default:
        if (below(hammer, 2) != 0) {
            load(hammer, address, normal);
        } else {
            store(hammer, address, normal);
        }
        break;
    }
    hammer->accesses++;
}

static bool last_serves(void)
{
    return device_read(function_of(DEVICE_LAST), 2) == VIRTIO_VENDOR;
}

/* The first vCPU decides. */
static bool is_over(unsigned int vcpu, uint64_t begin)
{
    const uint64_t passed = (clock_virtual() - begin) / clock_ticks_a_second();

    if (vcpu == 0 && passed >= bridge->seconds && (passed >= bridge->seconds + WAIT_LAST || last_serves())) {
        atomic_store(&over, true);
    }
    return atomic_load(&over);
}

static void hammer_vcpu(unsigned int vcpu)
{
    struct hammer *const hammer = &hammers[vcpu];
    const uint64_t start = clock_virtual();

    hammer->random = (vcpu + 1) * 0x9e3779b97f4a7c15ull;
    while (!is_over(vcpu, start)) {
        for (unsigned int i = 0; i < BURST; i++) {
            const uint64_t begin = clock_virtual();

            strike(hammer);
            if (clock_virtual() - begin > hammer->longest) {
                hammer->longest = clock_virtual() - begin;
            }
        }
    }
}

static void report(unsigned int vcpu)
{
    const struct hammer *const hammer = &hammers[vcpu];

    console_print("# vCPU %u: %u accesses, %u of pairs, longest wait %u ms\n", vcpu, hammer->accesses, hammer->pairs,
                  (unsigned int)(hammer->longest * 1000 / clock_ticks_a_second()));
    test_count(hammer->accesses);
    test_require(hammer->accesses >= ACCESSES_MIN, "it got on");
    test_require(hammer->longest < WAIT_MAX * clock_ticks_a_second(), "it never waited longer than a hold");
    if (hammer->wrong != 0 && test_fault()) {
        console_print("# %u wrong answers, the last one at %x\n", hammer->wrong, hammer->wrong_address);
    }
}

static void test_all_vcpus(void)
{
    uint64_t aborts = abort_want(true);
    uint64_t pairs = 0;
    bool started;

    test_begin("hammer: every window, every kind of access, all vCPUs");
    console_print("sb: guest hammers for %u s or more, %u vCPUs\n", bridge->seconds, bridge->vcpus);
    started = vcpus_run(bridge->vcpus, hammer_vcpu);
    console_print("sb: guest has hammered\n");
    aborts = abort_want(false) - aborts;
    test_require(started, "all vCPUs run");
    for (unsigned int vcpu = 0; started && vcpu < bridge->vcpus; vcpu++) {
        report(vcpu);
        pairs += hammers[vcpu].pairs;
    }
    test_require(aborts == pairs, "nothing but pairs has aborted, and each of these");
    test_end();
}

static void test_last(void)
{
    test_begin("hammer: the last device model serves");
    test_require(last_serves(), "its second device is there");
    console_print("sb: guest sees generation %u\n",
                  (unsigned int)device_read(bridge->status.base + BRIDGE_STATUS_GENERATION, 4));
    test_end();
}

void hammer_test(const struct guest *guest)
{
    bridge = guest;
    test_all_vcpus();
    test_last();
}
