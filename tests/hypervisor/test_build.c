/* SPDX-License-Identifier: GPL-2.0-only */
/* A domain with bridges is built: what it is given, what is looked for in its way, and what is left when that fails. */
#include "fixture.h"

#include "device_tree.h"

static struct xen_domctl_createdomain config;
static struct domain domain;
static struct kernel_info info;
static uint8_t tree[16384];

static int begin(void **state)
{
    (void)state;
    device_tree_start();
    faults = (struct faults){.allocation = -1, .copy = -1, .event_channel = -1, .rangeset = -1};
    config = (struct xen_domctl_createdomain){.max_vcpus = 1};
    memset(&domain, 0, sizeof(domain));
    domain.domain_id = 1;
    info = (struct kernel_info){
        .d = &domain, .fdt = tree, .phandle_intc = 65000,
        .mem = {1, {{0x40000000, 0x20000000}}},
    };
    return 0;
}

static int end(void **state)
{
    (void)state;
    ioreq_pci_destroy(&domain);
    assert_null(domain.arch.ioreq_pci);
    assert_int_equal(allocations, 0);
    assert_true(time_is_quiet());
    return 0;
}

/* A bridge by the property, whose child node declares another one, and plain ranges. */
static void ask(void)
{
    struct dt_device_node *bridge, *ranges;

    device_tree_cells(device_tree_domain, BRIDGE_PROPERTY, 15, 0, 0x10000000, 0, 0x1000000, 0, 0x23000000, 0, 0x2000000,
                      0x1, 0, 0, 0x40000000, 44, 20, BRIDGE_FLAG_HOLD);
    bridge = device_tree_node(device_tree_domain, "bridge@18000000");
    device_tree_text(bridge, "compatible", BRIDGE_COMPATIBLE);
    device_tree_cells(bridge, "reg", 8, 0, 0x18000000, 0, 0x100000, 0, 0x28000000, 0, 0x1000000);
    device_tree_bytes(bridge, "reg-names", "ecam\0memory", 12);
    device_tree_cells(bridge, "xen,irqs", 2, 64, 4);
    device_tree_cells(bridge, "xen,backend", 1, 5);
    device_tree_bytes(bridge, "xen,grants", NULL, 0);
    device_tree_text(device_tree_domain, "xen,enhanced", "enabled");
    ranges = device_tree_node(device_tree_domain, "device@30000000");
    device_tree_text(ranges, "compatible", BRIDGE_COMPATIBLE_MMIO);
    device_tree_cells(ranges, "reg", 4, 0, 0x30000000, 0, 0x1000);
    device_tree_cells(ranges, "xen,irqs", 2, 70, 1);
    assert_int_equal(ioreq_pci_check_node(device_tree_domain, &config, 0), 0);
    assert_int_equal(config.arch.nr_spis, 39);
}

static int init(void)
{
    return ioreq_pci_init(&domain, info.mem.bank, info.mem.nr_banks);
}

static int write_nodes(int size)
{
    int rc;

    assert_int_equal(fdt_create(tree, size), 0);
    assert_int_equal(fdt_finish_reservemap(tree), 0);
    assert_int_equal(fdt_begin_node(tree, ""), 0);
    rc = ioreq_pci_make_nodes(&domain, &info);
    if (rc == 0) {
        assert_int_equal(fdt_end_node(tree), 0);
        assert_int_equal(fdt_finish(tree), 0);
        assert_int_equal(fdt_check_full(tree, sizeof(tree)), 0);
    }
    return rc;
}

static uint32_t cell_of(const char *path, const char *name, unsigned int index)
{
    int length;
    const fdt32_t *cells = fdt_getprop(tree, fdt_path_offset(tree, path), name, &length);

    assert_non_null(cells);
    assert_true(length >= (int)(4 * index + 4));
    return fdt32_to_cpu(cells[index]);
}

/* A partial tree with these as its highest phandle and PCI domain. */
static void use_partial_tree(uint32_t phandle, uint32_t pci_domain)
{
    uint8_t partial[1024];

    assert_int_equal(fdt_create(partial, sizeof(partial)), 0);
    assert_int_equal(fdt_finish_reservemap(partial), 0);
    assert_int_equal(fdt_begin_node(partial, ""), 0);
    assert_int_equal(fdt_begin_node(partial, "passthrough"), 0);
    assert_int_equal(fdt_property_u32(partial, "phandle", phandle), 0);
    assert_int_equal(fdt_property_u32(partial, "linux,pci-domain", pci_domain), 0);
    assert_int_equal(fdt_begin_node(partial, "inner"), 0);
    assert_int_equal(fdt_property_u32(partial, "linux,phandle", 9), 0);
    assert_int_equal(fdt_property_u64(partial, "linux,pci-domain", 99), 0); /* not a number of one cell */
    assert_int_equal(fdt_end_node(partial), 0);
    assert_int_equal(fdt_end_node(partial), 0);
    assert_int_equal(fdt_end_node(partial), 0);
    assert_int_equal(fdt_finish(partial), 0);
    ioreq_pci_partial_tree(partial);
}

static void without_a_bridge(void **state)
{
    struct meminfo regions = {1, {{0x10000000, 0x1000000}}};

    (void)state;
    assert_int_equal(ioreq_pci_check_node(device_tree_domain, &config, 0), 0);
    assert_int_equal(init(), 0);
    assert_null(domain.arch.ioreq_pci);
    assert_int_equal(write_nodes(sizeof(tree)), 0);
    ioreq_pci_trim_ext_regions(&domain, regions.bank, &regions.nr_banks);
    assert_int_equal(regions.nr_banks, 1);
}

static void what_it_is_given(void **state)
{
    const struct ioreq_pci *pci;

    (void)state;
    info.mem.nr_banks = 2;
    info.mem.bank[1] = (struct membank){0x200000000, 0x10000000};
    ask();
    assert_int_equal(init(), 0);
    pci = domain.arch.ioreq_pci;
    assert_int_equal(pci->nr_bridges, 3);
    assert_int_equal(pci->nr_banks, 2);
    assert_int_equal(pci->bank[1].base, 0x200000000);
    assert_int_equal(pci->bank[1].size, 0x10000000);
    assert_int_equal(pci->bridge[0].bridge.flags, BRIDGE_FLAG_HOLD);
    assert_int_equal(pci->bridge[1].bridge.backend, 5);
    assert_int_equal(pci->bridge[2].bridge.ecam.size, 0);
    assert_int_equal(pci->owner[16 * 256 - 1], 0);
    use_partial_tree(65000, 6);
    assert_int_equal(write_nodes(IOREQ_PCI_FDT_SIZE + 256), 0);
    assert_true(fdt_path_offset(tree, "/v2m@24fe0000") > 0);
    assert_true(fdt_path_offset(tree, "/v2m@28fe0000") < 0); /* no vectors */
    assert_int_equal(cell_of("/pcie@10000000", "linux,pci-domain", 0), 7);
    assert_int_equal(cell_of("/pcie@18000000", "linux,pci-domain", 0), 8);
    assert_int_equal(cell_of("/pcie@10000000", "interrupt-map", 4), 65000);
    assert_int_equal(cell_of("/pcie@10000000", "msi-parent", 0), cell_of("/v2m@24fe0000", "phandle", 0));
    assert_int_equal(cell_of("/pcie@18000000", "iommu-map", 2), 5);
    assert_true(cell_of("/pcie@18000000", "iommu-map", 1) > 65000);
    assert_true(fdt_path_offset(tree, "/device@30000000") < 0); /* the user writes that */
}

static void the_next_domain_begins_anew(void **state)
{
    (void)state;
    ask();
    device_tree_start();
    assert_int_equal(ioreq_pci_check_node(device_tree_domain, &config, 0), 0);
    assert_int_equal(init(), 0);
    assert_null(domain.arch.ioreq_pci);
}

static void without_memory(void **state)
{
    int n;

    (void)state;
    ask();
    for (n = 0; n < 2; n++) {
        faults.allocation = n;
        assert_int_equal(init(), -ENOMEM);
        ioreq_pci_destroy(&domain);
        assert_int_equal(allocations, 0);
    }
    faults.allocation = -1;
    assert_int_equal(init(), 0);
}

static void without_room_in_the_tree(void **state)
{
    (void)state;
    ask();
    assert_int_equal(init(), 0);
    assert_int_equal(write_nodes(512), -FDT_ERR_NOSPACE);
}

static void assert_in_the_way(const char *message)
{
    ask();
    assert_int_equal(init(), 0);
    assert_int_equal(write_nodes(sizeof(tree)), -EEXIST);
    if (!console_says(message)) {
        fail_msg("expected \"%s\", found \"%s\"", message, console.last);
    }
}

static void a_device_that_xen_emulates(void **state)
{
    (void)state;
    domain.arch.vmmio.num_entries = 2;
    domain.arch.vmmio.handlers[0] = (struct mmio_handler){0x8000000, 0x10000};
    domain.arch.vmmio.handlers[1] = (struct mmio_handler){0x24000000, 0x1000};
    assert_in_the_way("/chosen/domU1: " BRIDGE_PROPERTY ": memory_address 0x23000000: 0x23000000-0x24ffffff overlaps "
                      "a device emulated by Xen 0x24000000-0x24000fff");
}

static void memory_in_the_first_window(void **state)
{
    (void)state;
    mapped = (struct mapped){true, 0x10fff, 0};
    assert_in_the_way("ecam_address 0x10000000");
}

static void memory_in_the_second_window(void **state)
{
    (void)state;
    mapped = (struct mapped){true, 0x23000, 0};
    assert_in_the_way("overlaps memory or a passed-through device 0x23000000-0x23000fff");
}

static void memory_in_the_third_window(void **state)
{
    (void)state;
    mapped = (struct mapped){true, 0x13ffff, 0};
    assert_in_the_way("prefetch_address");
}

static void memory_beside_the_windows(void **state)
{
    const unsigned long gfns[] = {0xffff, 0x11000, 0x22fff, 0x25000, 0xfffff, 0x140000};
    unsigned int i;

    (void)state;
    for (i = 0; i < ARRAY_SIZE(gfns); i++) {
        mapped = (struct mapped){true, gfns[i], 0};
        ask();
        assert_int_equal(init(), 0);
        assert_int_equal(write_nodes(sizeof(tree)), 0);
        assert_true(mapped.looked_up < 5000); /* by whole entries, not page by page */
        ioreq_pci_destroy(&domain);
        assert_true(begin(state) == 0);
    }
}

static void an_interrupt_of_another_device(void **state)
{
    (void)state;
    domain.arch.vgic.allocated_irqs[63 / 64] |= 1ul << 63;
    assert_in_the_way("44-63 overlaps an interrupt of another device 63-63");
}

static void phandles_and_domains_of_the_partial_tree(void **state)
{
    (void)state;
    ask();
    assert_int_equal(init(), 0);
    use_partial_tree(65007, 3);
    assert_int_equal(write_nodes(IOREQ_PCI_FDT_SIZE + 256), 0);
    assert_true(cell_of("/v2m@24fe0000", "phandle", 0) > 65007);
    assert_int_equal(cell_of("/pcie@10000000", "linux,pci-domain", 0), 4);
}

/* Which phandles it uses cannot be known; who has no bridge need not know it. */
static void a_damaged_partial_tree(void **state)
{
    uint8_t broken[256];

    (void)state;
    assert_int_equal(fdt_create_empty_tree(broken, sizeof(broken)), 0);
    memset(broken + fdt_off_dt_struct(broken) + 8, 0xff, 4); /* a token that is none */
    assert_int_equal(ioreq_pci_check_node(device_tree_domain, &config, 0), 0);
    ioreq_pci_partial_tree(broken);
    assert_int_equal(write_nodes(sizeof(tree)), 0);
    ask();
    assert_int_equal(init(), 0);
    ioreq_pci_partial_tree(broken);
    assert_int_equal(write_nodes(sizeof(tree)), -FDT_ERR_BADPHANDLE);
    assert_true(console_says("leaves no higher ones, or it is damaged"));
}

/* It is constructed no further. */
static void give_up(unsigned int calls, int result)
{
    killing = (struct killing){calls, result, false};
    assert_true(ioreq_pci_refuse(&domain, device_tree_domain));
    assert_true(ioreq_pci_refused(device_tree_domain));
}

static void a_domain_that_is_refused_late_is_destroyed(void **state)
{
    (void)state;
    mapped = (struct mapped){true, 0x23000, 0};
    assert_in_the_way("overlaps memory or a passed-through device");
    give_up(3, 0);
    assert_true(console_says("/chosen/domU1: not started"));
    assert_true(domain.is_dying);
    assert_int_equal(killing.calls, 0);
}

static void one_that_cannot_be_destroyed(void **state)
{
    (void)state;
    mapped = (struct mapped){true, 0x23000, 0};
    assert_in_the_way("overlaps memory or a passed-through device");
    give_up(1, -EBUSY);
    assert_true(console_says("/chosen/domU1: keeps its memory (-16)"));
}

/* Others may count on it. */
static void one_with_shared_memory_is_not_destroyed(void **state)
{
    (void)state;
    device_tree_node(device_tree_domain, "module@1000");
    device_tree_text(device_tree_node(device_tree_domain, "memory@90000000"), "compatible",
                     "xen,domain-shared-memory-v1");
    mapped = (struct mapped){true, 0x23000, 0};
    assert_in_the_way("overlaps memory or a passed-through device");
    give_up(1, 0);
    assert_true(console_says("/chosen/domU1: keeps its memory"));
    assert_int_equal(domain.controller_pause_count, 1);
    assert_false(domain.is_dying);
}

static void one_whose_tree_is_full_is_destroyed(void **state)
{
    (void)state;
    ask();
    assert_int_equal(init(), 0);
    assert_int_equal(write_nodes(512), -FDT_ERR_NOSPACE);
    give_up(1, 0);
}

/* What else may keep a domain from being constructed is Xen's affair. */
static void no_other_domain_is_given_up(void **state)
{
    (void)state;
    ask();
    assert_int_equal(init(), 0);
    assert_false(ioreq_pci_refuse(&domain, device_tree_domain));
    assert_int_equal(write_nodes(sizeof(tree)), 0);
    assert_false(ioreq_pci_refuse(&domain, device_tree_domain));
    assert_false(ioreq_pci_refused(device_tree_domain));
    ioreq_pci_destroy(&domain);
    device_tree_start();
    mapped = (struct mapped){true, 0x23000, 0};
    assert_in_the_way("overlaps memory or a passed-through device");
    assert_int_equal(ioreq_pci_check_node(device_tree_chosen, &config, 0), 0); /* the next one */
    assert_false(ioreq_pci_refuse(&domain, device_tree_chosen));
}

/* 0xffffffff is no phandle, nor is 0, which would come after it. */
static void highest_phandle_of_the_partial_tree(void **state)
{
    (void)state;
    ask();
    assert_int_equal(init(), 0);
    use_partial_tree(0xfffffffe - 2 * IOREQ_PCI_BRIDGES, 3);
    assert_int_equal(write_nodes(IOREQ_PCI_FDT_SIZE + 256), 0);
    assert_true(cell_of("/v2m@24fe0000", "phandle", 0) > 0xfffffff6);
}

static void too_high_a_phandle_in_the_partial_tree(void **state)
{
    (void)state;
    ask();
    assert_int_equal(init(), 0);
    use_partial_tree(0xfffffffe - 2 * IOREQ_PCI_BRIDGES + 1, 3);
    assert_int_equal(write_nodes(IOREQ_PCI_FDT_SIZE + 256), -FDT_ERR_BADPHANDLE);
    assert_non_null(strstr(console.last, "phandle 0xfffffff7 in its partial device tree leaves no higher ones"));
}

/* It keeps nobody from starting who has no bridge. */
static void highest_phandle_without_a_bridge(void **state)
{
    (void)state;
    assert_int_equal(ioreq_pci_check_node(device_tree_domain, &config, 0), 0);
    assert_int_equal(init(), 0);
    use_partial_tree(0xfffffffe, 3);
    assert_int_equal(write_nodes(sizeof(tree)), 0);
}

static void assert_region(const struct meminfo *regions, unsigned int index, uint64_t start, uint64_t size)
{
    assert_true(index < regions->nr_banks);
    assert_int_equal(regions->bank[index].start, start);
    assert_int_equal(regions->bank[index].size, size);
}

/*
 * The windows: 10000000+1000000, 23000000+2000000, 100000000+40000000, 18000000+100000, 28000000+1000000,
 * 30000000+1000.
 */
static void windows_are_no_extended_regions(void **state)
{
    struct meminfo regions = {6, {
        {0xf000000, 0x8000000},    /* a window in it, most is above */
        {0x21000000, 0x2800000},   /* a window begins in it */
        {0x24800000, 0x1000000},   /* a window ends in it */
        {0x100000000, 0x40000000}, /* is a window */
        {0x30000800, 0x200},       /* is in a window */
        {0x140000000, 0x10000000}, /* comes right after one */
    }};

    (void)state;
    ask();
    assert_int_equal(init(), 0);
    ioreq_pci_trim_ext_regions(&domain, regions.bank, &regions.nr_banks);
    assert_int_equal(regions.nr_banks, 4);
    assert_region(&regions, 0, 0x11000000, 0x6000000);
    assert_region(&regions, 1, 0x21000000, 0x2000000);
    assert_region(&regions, 2, 0x25000000, 0x800000);
    assert_region(&regions, 3, 0x140000000, 0x10000000);
    /* Two windows in one region: the largest piece is what is left of it. */
    regions = (struct meminfo){1, {{0x22000000, 0x7000000}}};
    ioreq_pci_trim_ext_regions(&domain, regions.bank, &regions.nr_banks);
    assert_int_equal(regions.nr_banks, 1);
    assert_region(&regions, 0, 0x25000000, 0x3000000);
}

#define TEST_BUILD(function) cmocka_unit_test_setup_teardown(function, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST_BUILD(without_a_bridge),
        TEST_BUILD(what_it_is_given),
        TEST_BUILD(the_next_domain_begins_anew),
        TEST_BUILD(without_memory),
        TEST_BUILD(without_room_in_the_tree),
        TEST_BUILD(a_device_that_xen_emulates),
        TEST_BUILD(memory_in_the_first_window),
        TEST_BUILD(memory_in_the_second_window),
        TEST_BUILD(memory_in_the_third_window),
        TEST_BUILD(memory_beside_the_windows),
        TEST_BUILD(an_interrupt_of_another_device),
        TEST_BUILD(phandles_and_domains_of_the_partial_tree),
        TEST_BUILD(a_damaged_partial_tree),
        TEST_BUILD(a_domain_that_is_refused_late_is_destroyed),
        TEST_BUILD(one_that_cannot_be_destroyed),
        TEST_BUILD(one_with_shared_memory_is_not_destroyed),
        TEST_BUILD(one_whose_tree_is_full_is_destroyed),
        TEST_BUILD(no_other_domain_is_given_up),
        TEST_BUILD(highest_phandle_of_the_partial_tree),
        TEST_BUILD(too_high_a_phandle_in_the_partial_tree),
        TEST_BUILD(highest_phandle_without_a_bridge),
        TEST_BUILD(windows_are_no_extended_regions),
    };

    return RUN(tests);
}
