/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a domain's node may say, through the eyes of the hypervisor: every spelling, and for each fault the message,
 * that the domain is not started, and that nothing else changes. The rules of single fields are tests/unit/bridge's.
 */
#include "fixture.h"

#include "device_tree.h"

static struct xen_domctl_createdomain config;

static int begin(void **state)
{
    (void)state;
    device_tree_start();
    config = (struct xen_domctl_createdomain){.max_vcpus = 1};
    console.lines = 0;
    console.last[0] = '\0';
    return 0;
}

static int check(unsigned int flags)
{
    return ioreq_pci_check_node(device_tree_domain, &config, flags);
}

/* Windows in the holes of the layout, 20 interrupts from 44 on. */
static void good_property(uint32_t flags)
{
    device_tree_cells(device_tree_domain, BRIDGE_PROPERTY, 15, 0, 0x10000000, 0, 0x1000000, 0, 0x23000000, 0,
                      0x2000000, 0x1, 0, 0, 0x40000000, 44, 20, flags);
}

static struct dt_device_node *good_child(const char *name, unsigned int number)
{
    struct dt_device_node *child = device_tree_node(device_tree_domain, name);

    device_tree_text(child, "compatible", BRIDGE_COMPATIBLE);
    device_tree_cells(child, "reg", 8, 0, 0x10000000 + number * 0x1000000, 0, 0x1000000, 0,
                      0x23000000 + number * 0x1000000, 0, 0x1000000);
    device_tree_bytes(child, "reg-names", "ecam\0memory", 12);
    device_tree_cells(child, "xen,irqs", 2, 48 + 8 * number, 8);
    return child;
}

/* Refused; the last line but one says why. */
static void assert_refused(unsigned int flags, const char *message)
{
    char said[sizeof(console.last)];
    const uint32_t spis = config.arch.nr_spis;

    console.lines = 0;
    console.before[0] = '\0';
    assert_int_not_equal(check(flags), 0);
    snprintf(said, sizeof(said), "%s", console.before);
    if (strstr(said, message) == NULL) {
        fail_msg("expected \"%s\", found \"%s\"", message, said);
    }
    assert_true(console_says("/chosen/domU1: not started"));
    assert_int_equal(console.lines, 2);
    assert_true(ioreq_pci_refused(device_tree_domain));
    dt_device_set_used_by(device_tree_domain, 0);
    assert_true(config.arch.nr_spis >= spis);
}

static void assert_accepted(uint32_t spis)
{
    console.lines = 0;
    if (check(0) != 0) {
        fail_msg("refused: %s", console.before);
    }
    assert_int_equal(console.lines, 0);
    assert_int_equal(config.arch.nr_spis, spis);
    assert_false(ioreq_pci_refused(device_tree_domain));
}

static void nothing_is_asked_for(void **state)
{
    (void)state;
    assert_accepted(0);
    device_tree_text(device_tree_node(device_tree_domain, "module@1000"), "compatible", "multiboot,kernel");
    device_tree_node(device_tree_domain, "nameless");
    assert_accepted(0);
}

static void the_property_under_both_names(void **state)
{
    (void)state;
    good_property(0);
    assert_accepted(32);
    device_tree_cells(device_tree_domain, BRIDGE_PROPERTY_IOREQ, 1, 0);
    assert_refused(0, "its other name; remove one of them");
    device_tree_remove(device_tree_domain, BRIDGE_PROPERTY);
    assert_refused(0, BRIDGE_PROPERTY_IOREQ ": length 4 bytes");
    device_tree_bytes(device_tree_domain, BRIDGE_PROPERTY_IOREQ, NULL, 0);
    assert_refused(0, BRIDGE_PROPERTY_IOREQ ": length 0 bytes");
}

static void grants_need_enhanced(void **state)
{
    (void)state;
    good_property(BRIDGE_FLAG_GRANTS);
    assert_refused(0, "add xen,enhanced");
    device_tree_text(device_tree_domain, "xen,enhanced", "enabled");
    assert_accepted(32);
    device_tree_bytes(device_tree_domain, "xen,enhanced", NULL, 0);
    assert_accepted(32);
    device_tree_text(device_tree_domain, "xen,enhanced", "no-xenstore");
    assert_accepted(32);
    device_tree_bytes(device_tree_domain, "xen,enhanced", "enabled", 7); /* not terminated: Xen takes it as empty */
    assert_accepted(32);
    device_tree_text(device_tree_domain, "xen,enhanced", "disabled");
    assert_refused(0, "add xen,enhanced");
}

static void conflicts_with_the_layout(void **state)
{
    (void)state;
    device_tree_cells(device_tree_domain, BRIDGE_PROPERTY, 15, 0, 0x10000000, 0, 0x1000000, 0, 0x22000000, 0,
                      0x2000000, 0, 0, 0, 0, 44, 4, 0);
    assert_accepted(16);
    device_tree_bytes(device_tree_domain, "vpl011", NULL, 0);
    assert_refused(0, "overlaps vpl011 0x22000000-0x22000fff");
    assert_int_equal(check(CDF_directmap), 0); /* where it is then, the layout does not say */
    device_tree_cells(device_tree_domain, BRIDGE_PROPERTY, 15, 0, 0x3000000, 0, 0x1000000, 0, 0x23000000, 0,
                      0x2000000, 0, 0, 0, 0, 44, 4, 0);
    hypervisor_gic_version = GIC_V2;
    assert_refused(0, "overlaps the vGIC's distributor");
    hypervisor_gic_version = GIC_V3;
    assert_refused(0, "overlaps the vGIC's");
}

static void conflicts_with_ram(void **state)
{
    (void)state;
    device_tree_cells(device_tree_domain, BRIDGE_PROPERTY, 15, 0, 0x60000000, 0, 0x1000000, 0, 0x23000000, 0,
                      0x2000000, 0, 0, 0, 0, 44, 4, 0);
    assert_accepted(16); /* 512 MiB end right before */
    device_tree_cells(device_tree_domain, "memory", 2, 0, 512 * 1024 + 4);
    assert_refused(0, "overlaps guest RAM 0x40000000-0x60000fff");
    assert_int_equal(check(CDF_directmap), 0);
    device_tree_cells(device_tree_domain, "xen,static-mem", 8, 0, 0x50000000, 0, 0x10000000, 0, 0x60ff0000, 0, 0x10000);
    assert_refused(CDF_directmap, "overlaps guest RAM 0x60ff0000-0x60ffffff");
    device_tree_cells(device_tree_domain, "xen,static-mem", 4, 0, 0x50000000, 0, 0x10000000);
    assert_int_equal(check(CDF_directmap), 0);
    device_tree_remove(device_tree_domain, "xen,static-mem");
    device_tree_remove(device_tree_domain, "memory");
    assert_int_equal(check(0), 0);
    device_tree_cells(device_tree_domain, BRIDGE_PROPERTY, 15, 0x2, 0, 0, 0x1000000, 0, 0x23000000, 0, 0x2000000, 0,
                      0, 0, 0, 44, 4, 0);
    device_tree_cells(device_tree_domain, "memory", 2, 0, 3 * 1024 * 1024);
    assert_int_equal(check(0), 0);
    device_tree_cells(device_tree_domain, "memory", 2, 0, 3 * 1024 * 1024 + 4); /* the second bank begins */
    assert_refused(0, "overlaps guest RAM 0x200000000-0x200000fff");
    device_tree_cells(device_tree_domain, "memory", 2, ~0u, ~0u);
    assert_refused(0, "overlaps guest RAM");
}

/* Xen finds itself that they are wrong; nothing is divided by what is 0. */
static void cells_of_static_memory(void **state)
{
    const unsigned int wrong[] = {0, 3, ~0u};
    unsigned int i;

    (void)state;
    good_child("bridge@10000000", 0);
    device_tree_cells(device_tree_domain, "#address-cells", 1, 2);
    device_tree_cells(device_tree_domain, "#size-cells", 1, 2);
    device_tree_cells(device_tree_domain, "xen,static-mem", 4, 0, 0x10000000, 0, 0x10000000);
    for (i = 0; i < ARRAY_SIZE(wrong); i++) {
        device_tree_cells(device_tree_chosen, "#address-cells", 1, wrong[i]);
        device_tree_cells(device_tree_chosen, "#size-cells", 1, wrong[i]);
        assert_int_equal(check(CDF_directmap), 0);
    }
}

static void interrupts_that_the_domain_has(void **state)
{
    (void)state;
    good_property(0);
    config.arch.nr_spis = 31;
    device_tree_cells(device_tree_domain, "nr_spis", 1, 31);
    assert_refused(0, "it must be at least 32");
    config.arch.nr_spis = 32;
    device_tree_cells(device_tree_domain, "nr_spis", 1, 32);
    assert_accepted(32);
    device_tree_remove(device_tree_domain, "nr_spis");
    config.arch.nr_spis = 100;
    assert_accepted(100);
}

/* On arm32 a claim cannot be above 4 GiB, so that no window may be. */
static void windows_of_arm32(void **state)
{
    (void)state;
    hypervisor_bits_per_long = 32;
    good_property(0);
    assert_refused(0, "prefetch_address 0x100000000: the window must end at or below");
    good_child("bridge@10000000", 0);
    device_tree_remove(device_tree_domain, BRIDGE_PROPERTY);
    assert_accepted(24);
    hypervisor_bits_per_long = 64;
}

/* Xen itself would refuse to create it, and panic. */
static void limits_of_a_guest(void **state)
{
    (void)state;
    config.max_vcpus = 200;
    assert_accepted(0); /* without a bridge that is left to Xen */
    good_property(0);
    assert_refused(0, "/chosen/domU1: cpus: 200: a guest of a host with this GIC has 1 to 128");
    hypervisor_gic_version = GIC_V2;
    config.max_vcpus = 9;
    assert_refused(0, "/chosen/domU1: cpus: 9: a guest of a host with this GIC has 1 to 8");
    config.max_vcpus = 8;
    assert_accepted(32);
    hypervisor_gic_version = GIC_V3;
    hypervisor_virt_cpus = 8; /* arm32 */
    assert_accepted(32);
    config.max_vcpus = 9;
    assert_refused(0, "/chosen/domU1: cpus: 9: a guest of a host with this GIC has 1 to 8");
    hypervisor_virt_cpus = 128;
    config.arch.nr_spis = 961;
    device_tree_cells(device_tree_domain, "nr_spis", 1, 961);
    assert_refused(0, "/chosen/domU1: nr_spis: 961: a guest's SPIs end at interrupt 991");
    config.arch.nr_spis = 960;
    device_tree_cells(device_tree_domain, "nr_spis", 1, 960);
    assert_accepted(960);
}

/* The last one that fits, and what it makes of the number of SPIs. */
static void last_interrupt_of_a_guest(void **state)
{
    (void)state;
    device_tree_cells(device_tree_domain, BRIDGE_PROPERTY, 15, 0, 0x10000000, 0, 0x1000000, 0, 0x23000000, 0,
                      0x2000000, 0, 0, 0, 0, 988, 4, 0);
    assert_accepted(960);
    device_tree_cells(device_tree_domain, BRIDGE_PROPERTY, 15, 0, 0x10000000, 0, 0x1000000, 0, 0x23000000, 0,
                      0x2000000, 0, 0, 0, 0, 989, 4, 0);
    assert_refused(0, "irq_how_many 4: the last SPI of a guest is 991; from irq_start on there are 3");
}

static void a_memory_window_above_4_gib_is_warned_of(void **state)
{
    (void)state;
    device_tree_cells(device_tree_domain, BRIDGE_PROPERTY, 15, 0, 0x10000000, 0, 0x1000000, 0x1, 0, 0, 0x2000000, 0,
                      0, 0, 0, 44, 4, 0);
    assert_int_equal(check(0), 0);
    assert_int_equal(console.lines, 1);
    assert_true(console_says("<1>/chosen/domU1: " BRIDGE_PROPERTY ": memory_address 0x100000000: above 4 GiB"));
}

static void virtio_pci(void **state)
{
    (void)state;
    device_tree_bytes(device_tree_domain, "virtio-pci", NULL, 0);
    assert_accepted(16);
    device_tree_text(device_tree_domain, "virtio-pci", "enabled");
    assert_accepted(16);
    device_tree_text(device_tree_domain, "virtio-pci", "grants");
    assert_refused(0, "xen,enhanced");
    device_tree_text(device_tree_domain, "xen,enhanced", "enabled");
    assert_accepted(16);
    device_tree_text(device_tree_domain, "virtio-pci", "yes");
    assert_refused(0, "must be empty, \"enabled\" or \"grants\"");
    device_tree_bytes(device_tree_domain, "virtio-pci", "enabled", 7); /* not terminated */
    assert_refused(0, "must be empty, \"enabled\" or \"grants\"");
    device_tree_text(device_tree_domain, "virtio-pci", "enabled");
    device_tree_cells(device_tree_domain, "virtio-pci-ranges", 5, 0, 0, 0, 0, 0);
    assert_refused(0, "virtio-pci-ranges: must be six cells");
    device_tree_cells(device_tree_domain, "virtio-pci-ranges", 6, 0xf1, 0, 0xf1, 0x10000000, 0xf0, 0);
    assert_int_equal(check(0), 0); /* with a warning: its memory window is above 4 GiB */
    assert_true(console_says("above 4 GiB"));
    device_tree_cells(device_tree_domain, "virtio-pci-ranges", 6, 0xf1, 0, 0xf1, 0x1000, 0xf0, 0);
    assert_refused(0, "virtio-pci: memory_address");
    device_tree_remove(device_tree_domain, "virtio-pci");
    assert_refused(0, "virtio-pci-ranges: needs virtio-pci beside it");
    good_property(0);
    device_tree_remove(device_tree_domain, "virtio-pci-ranges");
    device_tree_bytes(device_tree_domain, "virtio-pci", NULL, 0);
    assert_refused(0, "present together with virtio-pci");
}

static void child_nodes(void **state)
{
    struct dt_device_node *child;

    (void)state;
    child = good_child("bridge@10000000", 0);
    assert_accepted(24);
    good_child("bridge@11000000", 1);
    assert_accepted(32);
    device_tree_bytes(child, "xen,grants", NULL, 0);
    assert_refused(0, "xen,enhanced");
    device_tree_text(device_tree_domain, "xen,enhanced", "enabled");
    assert_accepted(32);
    device_tree_cells(child, "xen,hold-ms", 1, 100);
    device_tree_cells(child, "xen,backend", 1, 3);
    assert_accepted(32);
    device_tree_cells(child, "xen,hold-ms", 2, 0, 100);
    assert_refused(0, "xen,hold-ms: must be one cell");
    device_tree_remove(child, "xen,backend");
    device_tree_cells(child, "xen,hold-ms", 1, 0);
    assert_accepted(32);
    device_tree_cells(child, "xen,backend", 1, 0x7ff0);
    assert_refused(0, "xen,backend: is not the id of a domain");
    device_tree_cells(child, "xen,backend", 1, 0x7fef);
    assert_accepted(32);
    device_tree_bytes(child, "xen,backend", "ab", 2);
    assert_refused(0, "xen,backend: must be one cell");
    device_tree_remove(child, "xen,backend");
    device_tree_cells(child, "xen,irqs", 1, 48);
    assert_refused(0, "xen,irqs: must be two cells");
    device_tree_cells(child, "xen,irqs", 2, 48, 3);
    assert_refused(0, "must be at least 4");
    device_tree_remove(child, "xen,irqs");
    assert_refused(0, "xen,irqs: missing");
}

static void windows_of_child_nodes(void **state)
{
    struct dt_device_node *child = good_child("bridge@10000000", 0);

    (void)state;
    device_tree_cells(child, "reg", 12, 0x1, 0, 0, 0x40000000, 0, 0x23000000, 0, 0x1000000, 0, 0x10000000, 0,
                      0x1000000);
    device_tree_bytes(child, "reg-names", "prefetch\0memory\0ecam", 21);
    assert_accepted(24);
    device_tree_bytes(child, "reg-names", "prefetch\0memory\0ecam", 20); /* the last one is not terminated */
    assert_refused(0, "reg: must have an entry for each of reg-names");
    device_tree_bytes(child, "reg-names", "prefetch\0memory", 16); /* an entry too many */
    assert_refused(0, "reg: must have an entry for each of reg-names");
    device_tree_bytes(child, "reg-names", "prefetch\0memory\0ecamera", 24);
    assert_refused(0, "reg: must have an entry for each of reg-names");
    device_tree_remove(child, "reg-names");
    assert_refused(0, "reg: must have an entry for each of reg-names");
    device_tree_bytes(child, "reg-names", "prefetch\0memory\0ecam", 21);
    device_tree_cells(child, "reg", 8, 0x1, 0, 0, 0x40000000, 0, 0x23000000, 0, 0x1000000); /* one too few */
    assert_refused(0, "reg: must have an entry for each of reg-names");
    device_tree_remove(child, "reg");
    assert_refused(0, "reg: must have an entry for each of reg-names");
    device_tree_cells(child, "reg", 8, 0x1, 0, 0, 0x40000000, 0, 0x23000000, 0, 0x1000000);
    device_tree_bytes(child, "reg-names", "prefetch\0memory", 16);
    assert_refused(0, "reg: must have an entry for each of reg-names");
    device_tree_cells(child, "reg", 8, 0, 0x10000000, 0, 0x1000000, 0, 0x23000000, 0, 0x1000000);
    device_tree_bytes(child, "reg-names", "ecam\0memory\0prefetch", 21); /* a name without its entry */
    assert_refused(0, "reg: must have an entry for each of reg-names");
}

static void cells_of_child_nodes(void **state)
{
    struct dt_device_node *child = good_child("bridge@10000000", 0);

    (void)state;
    device_tree_cells(child, "reg", 4, 0x10000000, 0x1000000, 0x23000000, 0x1000000);
    device_tree_cells(device_tree_domain, "#address-cells", 1, 1);
    device_tree_cells(device_tree_domain, "#size-cells", 1, 1);
    assert_accepted(24);
    device_tree_cells(device_tree_domain, "#address-cells", 1, 0);
    assert_refused(0, "reg: #address-cells 0: of the parent node must be 1 or 2");
    device_tree_cells(device_tree_domain, "#address-cells", 1, 3);
    assert_refused(0, "reg: #address-cells 3: of the parent node must be 1 or 2");
    device_tree_cells(device_tree_domain, "#address-cells", 1, 1);
    device_tree_cells(device_tree_domain, "#size-cells", 1, 0);
    assert_refused(0, "reg: #size-cells 0: of the parent node must be 1 or 2");
    device_tree_cells(device_tree_domain, "#size-cells", 1, 3);
    assert_refused(0, "reg: #size-cells 3: of the parent node must be 1 or 2");
}

static void plain_ranges(void **state)
{
    struct dt_device_node *child = device_tree_node(device_tree_domain, "device@24000000");

    (void)state;
    device_tree_text(child, "compatible", BRIDGE_COMPATIBLE_MMIO);
    device_tree_cells(child, "reg", 4, 0, 0x24000000, 0, 0x1000);
    assert_accepted(0);
    device_tree_cells(child, "reg", 8, 0, 0x24000000, 0, 0x1000, 0x1, 0, 0, 0x1000); /* no warning: no BARs */
    device_tree_cells(child, "xen,irqs", 2, 50, 1);
    assert_accepted(19);
    device_tree_cells(child, "reg", 4, 0x1, 0, 0, 0x1000);
    assert_accepted(19);
    device_tree_cells(child, "xen,irqs", 2, 31, 1);
    assert_refused(0, "irq_start 31");
    device_tree_cells(child, "xen,irqs", 2, 900, 100);
    assert_refused(0, "the last SPI of a guest is 991");
    device_tree_cells(child, "xen,irqs", 2, 50, 0);
    assert_int_equal(check(0), 0);
    device_tree_cells(child, "reg", 8, 0, 0x24000000, 0, 0x1000, 0, 0x24000000, 0, 0x1000);
    assert_refused(0, "overlaps the memory window");
    device_tree_cells(child, "reg", 8, 0, 0x24000000, 0, 0x1000, 0, 0x25000000, 0, 0x1001);
    assert_refused(0, "must be a multiple of 0x1000");
    device_tree_cells(child, "reg", 12, 0, 0x24000000, 0, 0x1000, 0, 0x25000000, 0, 0x1000, 0, 0x26000000, 0, 0x1000);
    assert_refused(0, "reg: must have one or two entries");
    device_tree_cells(child, "reg", 4, 0, 0x24000000, 0, 0);
    assert_refused(0, "must be at least 0x1000");
    device_tree_bytes(child, "reg", NULL, 0);
    assert_refused(0, "reg: must have one or two entries");
}

static void several_of_them(void **state)
{
    struct dt_device_node *child;

    (void)state;
    good_child("bridge@10000000", 0);
    good_child("bridge@11000000", 1);
    child = good_child("bridge@12000000", 2);
    assert_accepted(40);
    device_tree_cells(child, "reg", 8, 0, 0x12000000, 0, 0x1000000, 0, 0x24800000, 0, 0x1000000);
    assert_refused(0, "overlaps another bridge of the domain 0x24000000-0x24ffffff");
    device_tree_cells(child, "reg", 8, 0, 0x12000000, 0, 0x1000000, 0, 0x25000000, 0, 0x1000000);
    device_tree_cells(child, "xen,irqs", 2, 63, 4);
    assert_refused(0, "63-66 overlaps another bridge of the domain 56-63");
    device_tree_cells(child, "xen,irqs", 2, 64, 4);
    device_tree_cells(device_tree_domain, BRIDGE_PROPERTY, 15, 0, 0x18000000, 0, 0x1000000, 0, 0x28000000, 0,
                      0x2000000, 0, 0, 0, 0, 80, 4, 0);
    assert_accepted(52);
    good_child("bridge@13000000", 3);
    assert_refused(0, "bridge@13000000: more than 4 bridges");
}

#define TEST_BINDING(function) cmocka_unit_test_setup(function, begin)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST_BINDING(nothing_is_asked_for),
        TEST_BINDING(the_property_under_both_names),
        TEST_BINDING(grants_need_enhanced),
        TEST_BINDING(conflicts_with_the_layout),
        TEST_BINDING(conflicts_with_ram),
        TEST_BINDING(cells_of_static_memory),
        TEST_BINDING(interrupts_that_the_domain_has),
        TEST_BINDING(windows_of_arm32),
        TEST_BINDING(limits_of_a_guest),
        TEST_BINDING(last_interrupt_of_a_guest),
        TEST_BINDING(a_memory_window_above_4_gib_is_warned_of),
        TEST_BINDING(virtio_pci),
        TEST_BINDING(child_nodes),
        TEST_BINDING(windows_of_child_nodes),
        TEST_BINDING(cells_of_child_nodes),
        TEST_BINDING(plain_ranges),
        TEST_BINDING(several_of_them),
    };

    return RUN(tests);
}
