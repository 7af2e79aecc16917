/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The other spellings: virtio-pci on a domain's node, and child nodes. Each way to be refused, with the whole message;
 * each way to be accepted, with all of the result. Values lie in allocations of their exact length, so that
 * AddressSanitizer sees a read behind them.
 */
#include "fixture.h"

#define PCI  BRIDGE_COMPATIBLE ": "
#define MMIO BRIDGE_COMPATIBLE_MMIO ": "

#define REG_REASON  "reg: must have an entry for each of reg-names: ecam, memory, and maybe prefetch"
#define MMIO_REASON "reg: must have one or two entries"
#define TEXT_REASON "virtio-pci: must be empty, \"enabled\" or \"grants\""
#define SIX_REASON  "virtio-pci-ranges: must be six cells: the addresses of ECAM, memory and prefetch, two each"

#define PROPERTIES_MAX 12u

struct property {
    const char *name; /* NULL: there is none here */
    uint8_t *value;
    uint32_t length;
};

struct tree {
    struct property properties[PROPERTIES_MAX];
    unsigned int address_cells, size_cells, address_bits;
};

static const void *get_property(const void *node, const char *name, uint32_t *length)
{
    const struct tree *tree = node;

    for (unsigned int i = 0; i < PROPERTIES_MAX; i++) {
        if (tree->properties[i].name != NULL && strcmp(tree->properties[i].name, name) == 0) {
            *length = tree->properties[i].length;
            return tree->properties[i].value;
        }
    }
    return NULL;
}

static void drop(struct tree *tree, const char *name)
{
    for (unsigned int i = 0; i < PROPERTIES_MAX; i++) {
        if (tree->properties[i].name != NULL && strcmp(tree->properties[i].name, name) == 0) {
            free(tree->properties[i].value);
            tree->properties[i].name = NULL;
        }
    }
}

/* Replaces one of the same name. */
static void put(struct tree *tree, const char *name, const void *value, size_t length)
{
    unsigned int i = 0;

    drop(tree, name);
    while (tree->properties[i].name != NULL) {
        i++;
    }
    assert_true(i < PROPERTIES_MAX);
    tree->properties[i].name = name;
    tree->properties[i].length = (uint32_t)length;
    tree->properties[i].value = malloc(length);
    assert_non_null(tree->properties[i].value);
    memcpy(tree->properties[i].value, value, length);
}

/* The literal with its terminator, and any others that are inside. */
#define PUT_TEXTS(tree, name, text) put(tree, name, text, sizeof(text))

static void put_cells(struct tree *tree, const char *name, unsigned int count, const uint32_t *cells)
{
    uint8_t encoded[64];
    uint8_t *next = encoded;

    assert_true(count * 4 <= sizeof(encoded));
    for (unsigned int i = 0; i < count; i++) {
        next = put_number(next, cells[i], 1);
    }
    put(tree, name, encoded, count * 4);
}

#define PUT_CELLS(tree, name, ...)                                                                           \
    put_cells(tree, name, sizeof((const uint32_t[]){__VA_ARGS__}) / 4u, (const uint32_t[]){__VA_ARGS__})

static void finish(struct tree *tree)
{
    for (unsigned int i = 0; i < PROPERTIES_MAX; i++) {
        if (tree->properties[i].name != NULL) {
            drop(tree, tree->properties[i].name);
        }
    }
}

static struct tree empty_tree(void)
{
    const struct tree tree = {.address_cells = 2, .size_cells = 2, .address_bits = 40};

    return tree;
}

static struct tree pci_tree(void)
{
    struct tree tree = empty_tree();

    PUT_TEXTS(&tree, "compatible", BRIDGE_COMPATIBLE);
    PUT_CELLS(&tree, "reg", 0, 0x60000000, 0, 0x1000000, 0, 0x62000000, 0, 0x2000000);
    PUT_TEXTS(&tree, "reg-names", "ecam\0memory");
    PUT_CELLS(&tree, "xen,irqs", 64, 8);
    return tree;
}

static struct tree mmio_tree(void)
{
    struct tree tree = empty_tree();

    PUT_TEXTS(&tree, "compatible", BRIDGE_COMPATIBLE_MMIO);
    PUT_CELLS(&tree, "reg", 0, 0x70000000, 0, 0x1000);
    PUT_CELLS(&tree, "xen,irqs", 100, 1);
    return tree;
}

typedef int read_function(const struct bridge_node *node, unsigned int address_bits, struct bridge *bridge,
                          const char **property, struct bridge_diagnosis *diagnosis);

/* What comes out must not depend on what was there before. */
static int read_tree(const struct tree *tree, read_function *read, struct bridge *bridge, const char **property,
                     struct bridge_diagnosis *diagnosis)
{
    const struct bridge_node node = {
        .node = tree, .property = get_property, .address_cells = tree->address_cells, .size_cells = tree->size_cells,
    };

    memset(bridge, 0xa5, sizeof(*bridge));
    memset(diagnosis, 0xa5, sizeof(*diagnosis));
    *property = "(untouched)";
    return read(&node, tree->address_bits, bridge, property, diagnosis);
}

static void assert_read_refused(const struct tree *tree, read_function *read, const char *message)
{
    struct bridge bridge;
    struct bridge_diagnosis diagnosis;
    const char *property;

    assert_int_equal(read_tree(tree, read, &bridge, &property, &diagnosis), -EINVAL);
    assert_message(&diagnosis, message);
}

static void assert_read_none(const struct tree *tree, read_function *read)
{
    struct bridge bridge;
    struct bridge_diagnosis diagnosis;
    const char *property;

    assert_int_equal(read_tree(tree, read, &bridge, &property, &diagnosis), -ENOENT);
}

static struct bridge assert_read(const struct tree *tree, read_function *read, const char *name)
{
    struct bridge bridge;
    struct bridge_diagnosis diagnosis;
    const char *property;

    if (read_tree(tree, read, &bridge, &property, &diagnosis) != 0) {
        char text[BRIDGE_DIAGNOSIS_MAX];

        bridge_diagnosis_format(&diagnosis, text, sizeof(text));
        fail_msg("refused: %s", text);
    }
    assert_string_equal(property, name);
    return bridge;
}

static void assert_window(const struct bridge_window *window, uint64_t base, uint64_t size)
{
    assert_int_equal(window->base, base);
    assert_int_equal(window->size, size);
}

static void assert_rest(const struct bridge *bridge, uint32_t first, uint32_t count, uint32_t flags, uint32_t hold_ms,
                        uint32_t backend)
{
    assert_int_equal(bridge->interrupt_first, first);
    assert_int_equal(bridge->interrupt_count, count);
    assert_int_equal(bridge->flags, flags);
    assert_int_equal(bridge->hold_ms, hold_ms);
    assert_int_equal(bridge->backend, backend);
}

/* The one property, through bridge_read(). */

static void put_good_property(struct tree *tree, const char *name)
{
    PUT_CELLS(tree, name, 0, 0x10000000, 0, 0x1000000, 0, 0x34000000, 0, 0x2000000, 0, 0, 0, 0, 44, 20, 2);
}

static void domain_without_a_bridge(void **state)
{
    struct tree tree = empty_tree();

    (void)state;
    assert_read_none(&tree, bridge_read);
    PUT_CELLS(&tree, "cpus", 1);
    assert_read_none(&tree, bridge_read);
    finish(&tree);
}

static void one_property_by_either_name(void **state)
{
    static const char *const names[] = {BRIDGE_PROPERTY, BRIDGE_PROPERTY_IOREQ};

    (void)state;
    for (unsigned int i = 0; i < 2; i++) {
        struct tree tree = empty_tree();
        struct bridge bridge;

        put_good_property(&tree, names[i]);
        bridge = assert_read(&tree, bridge_read, names[i]);
        assert_window(&bridge.ecam, 0x10000000, 0x1000000);
        assert_window(&bridge.memory, 0x34000000, 0x2000000);
        assert_window(&bridge.prefetch, 0, 0);
        assert_rest(&bridge, 44, 20, BRIDGE_FLAG_HOLD, BRIDGE_HOLD_MS, 0);
        finish(&tree);
    }
}

static void both_names_and_virtio_pci_beside_either(void **state)
{
    struct tree tree = empty_tree();

    (void)state;
    put_good_property(&tree, BRIDGE_PROPERTY);
    put_good_property(&tree, BRIDGE_PROPERTY_IOREQ);
    assert_read_refused(&tree, bridge_read, P "present together with " BRIDGE_PROPERTY_IOREQ
                                              ", its other name; remove one of them");
    put(&tree, "virtio-pci", "", 0);
    drop(&tree, BRIDGE_PROPERTY_IOREQ);
    assert_read_refused(&tree, bridge_read, P "present together with virtio-pci or its ranges; remove one of them");
    drop(&tree, BRIDGE_PROPERTY);
    put_good_property(&tree, BRIDGE_PROPERTY_IOREQ);
    assert_read_refused(&tree, bridge_read, BRIDGE_PROPERTY_IOREQ
                        ": present together with virtio-pci or its ranges; remove one of them");
    finish(&tree);
}

static void one_property_empty_or_in_impossible_cells(void **state)
{
    struct tree tree = empty_tree();

    (void)state;
    put(&tree, BRIDGE_PROPERTY, "", 0);
    assert_read_refused(&tree, bridge_read, P "length 0 bytes (0 cells): expected 60 bytes (15 cells) with "
                                              "#address-cells 2 and #size-cells 2");
    put_good_property(&tree, BRIDGE_PROPERTY);
    tree.address_cells = 0;
    assert_read_refused(&tree, bridge_read, P "#address-cells 0: of the parent node must be 1 or 2");
    tree.address_cells = 2;
    tree.size_cells = 3;
    assert_read_refused(&tree, bridge_read, P "#size-cells 3: of the parent node must be 1 or 2");
    finish(&tree);
}

/* virtio-pci */

static void virtio_pci_in_three_spellings(void **state)
{
    static const struct {
        const char *value;
        size_t length;
        uint32_t flags;
    } spellings[] = {{"", 0, 0}, {"enabled", 8, 0}, {"grants", 7, BRIDGE_FLAG_GRANTS}};

    (void)state;
    for (unsigned int i = 0; i < 3; i++) {
        struct tree tree = empty_tree();
        struct bridge bridge;

        put(&tree, "virtio-pci", spellings[i].value, spellings[i].length);
        bridge = assert_read(&tree, bridge_read, "virtio-pci");
        assert_window(&bridge.ecam, 0x10000000, 0x10000000);
        assert_window(&bridge.memory, 0x23000000, 0x2000000);
        assert_window(&bridge.prefetch, 0x100000000, 0x100000000);
        assert_rest(&bridge, 44, 4, spellings[i].flags, 0, 0);
        finish(&tree);
    }
}

static void virtio_pci_in_other_words(void **state)
{
    static const struct {
        const char *value;
        size_t length;
    } others[] = {
        {"yes", 4}, {"", 1}, {"enabled", 7}, {"grants", 6}, {"enable", 7}, {"enabled-", 9}, {"Enabled", 8},
        {"grant", 6}, {"\0\0\0\1", 4}, {"no\0enabled", 11}, {"\0enabled", 9}, {"no\0grants", 10},
    };

    (void)state;
    for (unsigned int i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        struct tree tree = empty_tree();

        put(&tree, "virtio-pci", others[i].value, others[i].length);
        assert_read_refused(&tree, bridge_read, TEXT_REASON);
        finish(&tree);
    }
}

static void virtio_pci_ranges_are_three_addresses_of_two_cells(void **state)
{
    struct tree tree = empty_tree();
    struct bridge bridge;

    (void)state;
    tree.address_cells = 1; /* not of interest here */
    tree.size_cells = 7;
    PUT_TEXTS(&tree, "virtio-pci", "grants");
    PUT_CELLS(&tree, "virtio-pci-ranges", 0xf1, 0, 0xf1, 0x10000000, 0xef, 0x10000);
    bridge = assert_read(&tree, bridge_read, "virtio-pci");
    assert_window(&bridge.ecam, 0xf100000000, 0x10000000);
    assert_window(&bridge.memory, 0xf110000000, 0x2000000);
    assert_window(&bridge.prefetch, 0xef00010000, 0x100000000);
    assert_rest(&bridge, 44, 4, BRIDGE_FLAG_GRANTS, 0, 0);
    finish(&tree);
}

static void virtio_pci_ranges_of_another_length(void **state)
{
    static const uint32_t cells[7] = {0, 0x10000000, 0, 0x34000000, 0x40, 0, 0};
    static const size_t lengths[] = {0, 1, 20, 23, 25, 28};
    struct tree tree = empty_tree();

    (void)state;
    put(&tree, "virtio-pci", "", 0);
    for (unsigned int i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        put(&tree, "virtio-pci-ranges", cells, lengths[i]);
        assert_read_refused(&tree, bridge_read, SIX_REASON);
    }
    finish(&tree);
}

static void virtio_pci_ranges_alone(void **state)
{
    struct tree tree = empty_tree();

    (void)state;
    PUT_CELLS(&tree, "virtio-pci-ranges", 0, 0x10000000, 0, 0x34000000, 0x40, 0);
    assert_read_refused(&tree, bridge_read, "virtio-pci-ranges: needs virtio-pci beside it");
    put(&tree, "virtio-pci-ranges", "", 0);
    assert_read_refused(&tree, bridge_read, "virtio-pci-ranges: needs virtio-pci beside it");
    put_good_property(&tree, BRIDGE_PROPERTY);
    assert_read_refused(&tree, bridge_read, P "present together with virtio-pci or its ranges; remove one of them");
    finish(&tree);
}

static void virtio_pci_ranges_obey_the_rules(void **state)
{
    struct tree tree = empty_tree();

    (void)state;
    put(&tree, "virtio-pci", "", 0);
    PUT_CELLS(&tree, "virtio-pci-ranges", 0, 0x10080000, 0, 0x34000000, 0x40, 0);
    assert_read_refused(&tree, bridge_read, "virtio-pci: ecam_address 0x10080000: must be a multiple of 0x100000");
    PUT_CELLS(&tree, "virtio-pci-ranges", 0, 0x10000000, 0, 0xff000000, 0x40, 0);
    assert_read_refused(&tree, bridge_read, "virtio-pci: memory_address 0xff000000: the window must not cross 4 GiB: "
                                            "it is either 32-bit or 64-bit memory space");
    PUT_CELLS(&tree, "virtio-pci-ranges", 0, 0x10000000, 0, 0x34000000, 0x100, 0);
    assert_read_refused(&tree, bridge_read, "virtio-pci: prefetch_address 0x10000000000: the window must end at or "
                                            "below the guest's last physical address 0xffffffffff");
    PUT_CELLS(&tree, "virtio-pci-ranges", 0, 0x10000000, 0, 0x1f000000, 0x40, 0);
    assert_read_refused(&tree, bridge_read, "virtio-pci: memory_address 0x1f000000: 0x1f000000-0x20ffffff overlaps the "
                                            "ECAM window 0x10000000-0x1fffffff; move one of them");
    finish(&tree);
}

static void virtio_pci_in_a_guest_of_32_bits(void **state)
{
    struct tree tree = empty_tree();

    (void)state;
    tree.address_bits = 32;
    put(&tree, "virtio-pci", "", 0);
    assert_read_refused(&tree, bridge_read, "virtio-pci: prefetch_address 0x100000000: the window must end at or below "
                                            "the guest's last physical address 0xffffffff");
    finish(&tree);
}

static void virtio_pci_where_vpci_is(void **state)
{
    static const struct bridge_guest_layout layout = {.gic_version = 3, .vpci = true};
    struct tree tree = empty_tree();
    struct bridge_diagnosis diagnosis;
    struct bridge bridge;

    (void)state;
    put(&tree, "virtio-pci", "", 0);
    bridge = assert_read(&tree, bridge_read, "virtio-pci");
    assert_int_equal(bridge_check_layout(&bridge, "virtio-pci", &layout, &diagnosis), -EEXIST);
    assert_message(&diagnosis, "virtio-pci: ecam_address 0x10000000: 0x10000000-0x1fffffff overlaps vPCI's ECAM "
                               "0x10000000-0x1fffffff; move one of them");
    finish(&tree);
}

/* Child nodes */

static void child_that_is_no_bridge(void **state)
{
    struct tree tree = pci_tree();

    (void)state;
    drop(&tree, "compatible");
    assert_read_none(&tree, bridge_read_child);
    put(&tree, "compatible", "", 0);
    assert_read_none(&tree, bridge_read_child);
    PUT_TEXTS(&tree, "compatible", "");
    assert_read_none(&tree, bridge_read_child);
    PUT_TEXTS(&tree, "compatible", "multiboot,kernel\0multiboot,module");
    assert_read_none(&tree, bridge_read_child);
    PUT_TEXTS(&tree, "compatible", BRIDGE_COMPATIBLE "s");
    assert_read_none(&tree, bridge_read_child);
    PUT_TEXTS(&tree, "compatible", "x" BRIDGE_COMPATIBLE_MMIO);
    assert_read_none(&tree, bridge_read_child);
    finish(&tree);
}

static void child_whose_compatible_has_no_end(void **state)
{
    struct tree tree = pci_tree();

    (void)state;
    put(&tree, "compatible", BRIDGE_COMPATIBLE, strlen(BRIDGE_COMPATIBLE));
    assert_read_none(&tree, bridge_read_child);
    put(&tree, "compatible", "a\0" BRIDGE_COMPATIBLE_MMIO, 2 + strlen(BRIDGE_COMPATIBLE_MMIO));
    assert_read_none(&tree, bridge_read_child);
    put(&tree, "compatible", BRIDGE_COMPATIBLE "\0abc", strlen(BRIDGE_COMPATIBLE) + 4);
    (void)assert_read(&tree, bridge_read_child, BRIDGE_COMPATIBLE);
    finish(&tree);
}

static void child_with_windows_and_interrupts(void **state)
{
    struct tree tree = pci_tree();
    struct bridge bridge = assert_read(&tree, bridge_read_child, BRIDGE_COMPATIBLE);

    (void)state;
    assert_window(&bridge.ecam, 0x60000000, 0x1000000);
    assert_window(&bridge.memory, 0x62000000, 0x2000000);
    assert_window(&bridge.prefetch, 0, 0);
    assert_rest(&bridge, 64, 8, 0, 0, 0);
    PUT_TEXTS(&tree, "compatible", "vendor,bridge\0" BRIDGE_COMPATIBLE);
    (void)assert_read(&tree, bridge_read_child, BRIDGE_COMPATIBLE);
    finish(&tree);
}

static void child_with_everything(void **state)
{
    struct tree tree = pci_tree();
    struct bridge bridge;

    (void)state;
    PUT_TEXTS(&tree, "reg-names", "prefetch\0memory\0ecam");
    PUT_CELLS(&tree, "reg", 0x40, 0, 1, 0, 0, 0x62000000, 0, 0x2000000, 0, 0x60000000, 0, 0x1000000);
    put(&tree, "xen,grants", "", 0);
    PUT_CELLS(&tree, "xen,hold-ms", 0xffffffff);
    PUT_CELLS(&tree, "xen,backend", 0x7fef);
    bridge = assert_read(&tree, bridge_read_child, BRIDGE_COMPATIBLE);
    assert_window(&bridge.ecam, 0x60000000, 0x1000000);
    assert_window(&bridge.memory, 0x62000000, 0x2000000);
    assert_window(&bridge.prefetch, 0x4000000000, 0x100000000);
    assert_rest(&bridge, 64, 8, BRIDGE_FLAGS, 0xffffffff, 0x7fef);
    finish(&tree);
}

static void child_in_every_combination_of_cells(void **state)
{
    (void)state;
    for (unsigned int address_cells = 1; address_cells <= 2; address_cells++) {
        for (unsigned int size_cells = 1; size_cells <= 2; size_cells++) {
            struct tree tree = pci_tree();
            uint8_t reg[32];
            uint8_t *next = reg;
            struct bridge bridge;

            next = put_number(next, 0x60000000, address_cells);
            next = put_number(next, 0x1000000, size_cells);
            next = put_number(next, 0x62000000, address_cells);
            next = put_number(next, 0x2000000, size_cells);
            put(&tree, "reg", reg, (size_t)(next - reg));
            tree.address_cells = address_cells;
            tree.size_cells = size_cells;
            bridge = assert_read(&tree, bridge_read_child, BRIDGE_COMPATIBLE);
            assert_window(&bridge.ecam, 0x60000000, 0x1000000);
            assert_window(&bridge.memory, 0x62000000, 0x2000000);
            finish(&tree);
        }
    }
}

static void child_in_impossible_cells(void **state)
{
    static const unsigned int wrong[] = {0, 3, 0x40000000, 0xffffffff};

    (void)state;
    for (unsigned int i = 0; i < 4; i++) {
        struct tree tree = i % 2 == 0 ? pci_tree() : mmio_tree();
        char message[96];

        tree.address_cells = wrong[i];
        snprintf(message, sizeof(message), "reg: #address-cells %u: of the parent node must be 1 or 2", wrong[i]);
        assert_read_refused(&tree, bridge_read_child, message);
        tree.address_cells = 1;
        tree.size_cells = wrong[i];
        snprintf(message, sizeof(message), "reg: #size-cells %u: of the parent node must be 1 or 2", wrong[i]);
        assert_read_refused(&tree, bridge_read_child, message);
        finish(&tree);
    }
}

static void child_whose_reg_is_missing_or_of_odd_length(void **state)
{
    static const uint8_t bytes[49] = {0, 0, 0, 0, 0x60, 0, 0, 0};
    static const size_t lengths[] = {0, 1, 3, 15, 16, 17, 28, 31, 33, 48, 49};
    struct tree tree = pci_tree();

    (void)state;
    drop(&tree, "reg");
    assert_read_refused(&tree, bridge_read_child, REG_REASON);
    for (unsigned int i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        put(&tree, "reg", bytes, lengths[i]);
        assert_read_refused(&tree, bridge_read_child, REG_REASON);
    }
    finish(&tree);
}

static void child_whose_names_are_not_those_of_its_reg(void **state)
{
    static const struct {
        const char *value;
        size_t length;
    } names[] = {
        {"", 0},                       /* none */
        {"", 1},                       /* a name of no letters */
        {"ecam", 4},                   /* no end */
        {"ecam", 5},                   /* too few */
        {"ecam\0memory", 11},          /* the second has no end */
        {"ecam\0ecam", 10},            /* twice */
        {"memory\0memory", 14},
        {"config\0memory", 14},        /* unknown */
        {"x\0ecam\0memory", 14},       /* memory's index is beyond reg */
        {"a\0b\0ecam\0memory", 16},    /* all are */
        {"memory\0prefetch", 16},      /* no ecam */
        {"Ecam\0memory", 12},
    };
    struct tree tree = pci_tree();

    (void)state;
    drop(&tree, "reg-names");
    assert_read_refused(&tree, bridge_read_child, REG_REASON);
    for (unsigned int i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        put(&tree, "reg-names", names[i].value, names[i].length);
        assert_read_refused(&tree, bridge_read_child, REG_REASON);
    }
    PUT_TEXTS(&tree, "reg-names", "ecam\0memory\0more\0prefetch"); /* a window's name without its entry */
    assert_read_refused(&tree, bridge_read_child, REG_REASON);
    PUT_TEXTS(&tree, "reg-names", "ecam\0memory\0more"); /* other names of nothing do not matter */
    (void)assert_read(&tree, bridge_read_child, BRIDGE_COMPATIBLE);
    finish(&tree);
}

static void child_without_memory_or_with_windows_of_size_0(void **state)
{
    struct tree tree = pci_tree();

    (void)state;
    PUT_TEXTS(&tree, "reg-names", "ecam\0prefetch");
    assert_read_refused(&tree, bridge_read_child, PCI "memory_size 0x0: must be at least 0x100000 (1 MiB; the last 128 "
                                                      "KiB are the service area)");
    PUT_TEXTS(&tree, "reg-names", "ecam\0memory");
    PUT_CELLS(&tree, "reg", 0, 0x60000000, 0, 0, 0, 0x62000000, 0, 0x2000000);
    assert_read_refused(&tree, bridge_read_child, REG_REASON);
    PUT_TEXTS(&tree, "reg-names", "ecam\0memory\0prefetch");
    PUT_CELLS(&tree, "reg", 0, 0x60000000, 0, 0x1000000, 0, 0x62000000, 0, 0x2000000, 0, 0x70000000, 0, 0);
    assert_read_refused(&tree, bridge_read_child, PCI "prefetch_address 0x70000000: must be 0, because prefetch_size "
                                                      "is 0 (no such window)");
    PUT_CELLS(&tree, "reg", 0, 0x60000000, 0, 0x1000000, 0, 0x62000000, 0, 0x2000000, 0, 0, 0, 0);
    (void)assert_read(&tree, bridge_read_child, BRIDGE_COMPATIBLE);
    finish(&tree);
}

static void child_obeys_the_rules(void **state)
{
    struct tree tree = pci_tree();

    (void)state;
    PUT_CELLS(&tree, "reg", 0, 0x60000000, 0, 0x180000, 0, 0x62000000, 0, 0x2000000);
    assert_read_refused(&tree, bridge_read_child, PCI "ecam_size 0x180000: must be a multiple of 0x100000");
    PUT_CELLS(&tree, "reg", 0, 0x60000000, 0, 0x20000000, 0, 0x62000000, 0, 0x2000000);
    assert_read_refused(&tree, bridge_read_child, PCI "ecam_size 0x20000000: must be 0x100000 (1 MiB, one bus) to "
                                                      "0x10000000 (256 MiB, 256 buses)");
    PUT_CELLS(&tree, "reg", 0, 0x60000000, 0, 0x4000000, 0, 0x62000000, 0, 0x2000000);
    assert_read_refused(&tree, bridge_read_child, PCI "memory_address 0x62000000: 0x62000000-0x63ffffff overlaps the "
                                                      "ECAM window 0x60000000-0x63ffffff; move one of them");
    finish(&tree);
}

static void child_without_usable_interrupts(void **state)
{
    struct tree tree = pci_tree();

    (void)state;
    drop(&tree, "xen,irqs");
    assert_read_refused(&tree, bridge_read_child, "xen,irqs: missing: the first interrupt and how many");
    put(&tree, "xen,irqs", "", 0);
    assert_read_refused(&tree, bridge_read_child, "xen,irqs: must be two cells: the first interrupt and how many");
    PUT_CELLS(&tree, "xen,irqs", 64);
    assert_read_refused(&tree, bridge_read_child, "xen,irqs: must be two cells: the first interrupt and how many");
    PUT_CELLS(&tree, "xen,irqs", 64, 8, 0);
    assert_read_refused(&tree, bridge_read_child, "xen,irqs: must be two cells: the first interrupt and how many");
    PUT_CELLS(&tree, "xen,irqs", 64, 3);
    assert_read_refused(&tree, bridge_read_child,
                        PCI "irq_how_many 3: must be at least 4: INTA to INTD, then one for each MSI vector");
    PUT_CELLS(&tree, "xen,irqs", 31, 4);
    assert_read_refused(&tree, bridge_read_child,
                        PCI "irq_start 31: must be the absolute interrupt id of an SPI, 32 to 991");
    PUT_CELLS(&tree, "xen,irqs", 988, 5);
    assert_read_refused(&tree, bridge_read_child,
                        PCI "irq_how_many 5: the last SPI of a guest is 991; from irq_start on there are 4");
    PUT_CELLS(&tree, "xen,irqs", 64, 0xffffffff);
    assert_read_refused(&tree, bridge_read_child,
                        PCI "irq_how_many 4294967295: the last SPI of a guest is 991; from irq_start on there are 928");
    finish(&tree);
}

static void backend_is_the_id_of_a_domain(void **state)
{
    static const uint32_t wrong[] = {0x7ff0, 0x8000, 0xffffffff};
    struct tree tree = pci_tree();

    (void)state;
    for (unsigned int i = 0; i < 3; i++) {
        PUT_CELLS(&tree, "xen,backend", wrong[i]);
        assert_read_refused(&tree, bridge_read_child, "xen,backend: is not the id of a domain");
    }
    put(&tree, "xen,backend", "", 0);
    assert_read_refused(&tree, bridge_read_child, "xen,backend: must be one cell");
    PUT_CELLS(&tree, "xen,backend", 0, 1);
    assert_read_refused(&tree, bridge_read_child, "xen,backend: must be one cell");
    PUT_CELLS(&tree, "xen,backend", 0);
    assert_int_equal(assert_read(&tree, bridge_read_child, BRIDGE_COMPATIBLE).backend, 0);
    finish(&tree);
}

static void hold_ms_0_is_no_hold(void **state)
{
    struct tree tree = pci_tree();
    struct bridge bridge;

    (void)state;
    PUT_CELLS(&tree, "xen,hold-ms", 0);
    bridge = assert_read(&tree, bridge_read_child, BRIDGE_COMPATIBLE);
    assert_rest(&bridge, 64, 8, 0, 0, 0);
    PUT_CELLS(&tree, "xen,hold-ms", 1);
    bridge = assert_read(&tree, bridge_read_child, BRIDGE_COMPATIBLE);
    assert_rest(&bridge, 64, 8, BRIDGE_FLAG_HOLD, 1, 0);
    put(&tree, "xen,hold-ms", "", 0);
    assert_read_refused(&tree, bridge_read_child, "xen,hold-ms: must be one cell");
    put(&tree, "xen,hold-ms", "\0\0\0", 3);
    assert_read_refused(&tree, bridge_read_child, "xen,hold-ms: must be one cell");
    finish(&tree);
}

static void grants_by_being_there(void **state)
{
    struct tree tree = pci_tree();
    struct bridge_diagnosis diagnosis;
    struct bridge bridge;

    (void)state;
    PUT_CELLS(&tree, "xen,grants", 0); /* its value does not matter */
    bridge = assert_read(&tree, bridge_read_child, BRIDGE_COMPATIBLE);
    assert_int_equal(bridge.flags, BRIDGE_FLAG_GRANTS);
    assert_int_equal(bridge_check_domain(&bridge, BRIDGE_COMPATIBLE, true, UINT32_MAX, &diagnosis), 0);
    assert_int_equal(bridge_check_domain(&bridge, BRIDGE_COMPATIBLE, false, UINT32_MAX, &diagnosis), -EINVAL);
    assert_message(&diagnosis, PCI "flags 0x1: GRANTS (bit 0) needs the domain's grant table: add xen,enhanced, or "
                                   "clear the bit");
    finish(&tree);
}

/* Plain ranges */

static void plain_range_with_an_interrupt(void **state)
{
    struct tree tree = mmio_tree();
    struct bridge bridge = assert_read(&tree, bridge_read_child, BRIDGE_COMPATIBLE_MMIO);
    struct bridge_diagnosis diagnosis;

    (void)state;
    assert_window(&bridge.ecam, 0, 0);
    assert_window(&bridge.memory, 0x70000000, 0x1000);
    assert_window(&bridge.prefetch, 0, 0);
    assert_rest(&bridge, 100, 1, 0, 0, 0);
    assert_int_equal(bridge_spis_needed(&bridge), 69);
    assert_false(bridge_service_contains(&bridge, 0x70000000));
    assert_false(bridge_service_contains(&bridge, 0x70000fff));
    assert_false(bridge_warning(&bridge, BRIDGE_COMPATIBLE_MMIO, &diagnosis));
    finish(&tree);
}

static void plain_ranges_two_with_all_options(void **state)
{
    struct tree tree = mmio_tree();
    struct bridge_diagnosis diagnosis;
    struct bridge bridge;

    (void)state;
    PUT_CELLS(&tree, "reg", 0, 0xfffff000, 0, 0x2000, 0xff, 0xfffff000, 0, 0x1000);
    PUT_TEXTS(&tree, "reg-names", "ecam\0memory"); /* does not matter */
    put(&tree, "xen,grants", "", 0);
    PUT_CELLS(&tree, "xen,hold-ms", 100);
    PUT_CELLS(&tree, "xen,backend", 3);
    bridge = assert_read(&tree, bridge_read_child, BRIDGE_COMPATIBLE_MMIO);
    assert_window(&bridge.ecam, 0, 0);
    assert_window(&bridge.memory, 0xfffff000, 0x2000);
    assert_window(&bridge.prefetch, 0xfffffff000, 0x1000);
    assert_rest(&bridge, 100, 1, BRIDGE_FLAGS, 100, 3);
    assert_false(bridge_warning(&bridge, BRIDGE_COMPATIBLE_MMIO, &diagnosis));
    finish(&tree);
}

static void plain_ranges_without_interrupts(void **state)
{
    struct tree tree = mmio_tree();
    struct bridge_diagnosis diagnosis;
    struct bridge bridge;

    (void)state;
    drop(&tree, "xen,irqs");
    bridge = assert_read(&tree, bridge_read_child, BRIDGE_COMPATIBLE_MMIO);
    assert_rest(&bridge, 0, 0, 0, 0, 0);
    assert_int_equal(bridge_spis_needed(&bridge), 0);
    assert_int_equal(bridge_check_domain(&bridge, BRIDGE_COMPATIBLE_MMIO, true, 0, &diagnosis), 0);
    assert_int_equal(bridge_check_interrupts(&bridge, BRIDGE_COMPATIBLE_MMIO, "x", 0, 0xffffffff, &diagnosis), 0);
    finish(&tree);
}

static void plain_ranges_in_a_reg_that_cannot_be(void **state)
{
    static const uint8_t bytes[64] = {0, 0, 0, 0, 0x70, 0, 0, 0};
    static const size_t lengths[] = {0, 1, 12, 15, 17, 31, 33, 48, 64};
    struct tree tree = mmio_tree();

    (void)state;
    drop(&tree, "reg");
    assert_read_refused(&tree, bridge_read_child, MMIO_REASON);
    for (unsigned int i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        put(&tree, "reg", bytes, lengths[i]);
        assert_read_refused(&tree, bridge_read_child, MMIO_REASON);
    }
    finish(&tree);
}

static void plain_ranges_are_whole_pages(void **state)
{
    struct tree tree = mmio_tree();

    (void)state;
    PUT_CELLS(&tree, "reg", 0, 0x70000000, 0, 0);
    assert_read_refused(&tree, bridge_read_child, MMIO "reg size 0x0: must be at least 0x1000 (a page)");
    PUT_CELLS(&tree, "reg", 0, 0x70000000, 0, 0xfff);
    assert_read_refused(&tree, bridge_read_child, MMIO "reg size 0xfff: must be at least 0x1000 (a page)");
    PUT_CELLS(&tree, "reg", 0, 0x70000000, 0, 0x1800);
    assert_read_refused(&tree, bridge_read_child, MMIO "reg size 0x1800: must be a multiple of 0x1000");
    PUT_CELLS(&tree, "reg", 0, 0x70000800, 0, 0x1000);
    assert_read_refused(&tree, bridge_read_child, MMIO "reg address 0x70000800: must be a multiple of 0x1000");
    PUT_CELLS(&tree, "reg", 0, 0x70000000, 0, 0x1000, 0, 0x71000000, 0, 0x10);
    assert_read_refused(&tree, bridge_read_child, MMIO "reg size 0x10: must be at least 0x1000 (a page)");
    PUT_CELLS(&tree, "reg", 0x100, 0, 0, 0x1000);
    assert_read_refused(&tree, bridge_read_child, MMIO "reg address 0x10000000000: the window must end at or below the "
                                                       "guest's last physical address 0xffffffffff");
    PUT_CELLS(&tree, "reg", 0, 0x1000, 0xffffffff, 0xfffff000);
    assert_read_refused(&tree, bridge_read_child, MMIO "reg address 0x1000: the window must end at or below the "
                                                       "guest's last physical address 0xffffffffff");
    PUT_CELLS(&tree, "reg", 0, 0x70000000, 0, 0x2000, 0, 0x70001000, 0, 0x1000);
    assert_read_refused(&tree, bridge_read_child, MMIO "prefetch_address 0x70001000: 0x70001000-0x70001fff overlaps "
                                                       "the memory window 0x70000000-0x70001fff; move one of them");
    finish(&tree);
}

static void plain_ranges_with_interrupts_that_cannot_be(void **state)
{
    struct tree tree = mmio_tree();

    (void)state;
    PUT_CELLS(&tree, "xen,irqs", 31, 1);
    assert_read_refused(&tree, bridge_read_child,
                        MMIO "irq_start 31: must be the absolute interrupt id of an SPI, 32 to 991");
    PUT_CELLS(&tree, "xen,irqs", 991, 2);
    assert_read_refused(&tree, bridge_read_child,
                        MMIO "irq_how_many 2: the last SPI of a guest is 991; from irq_start on there are 1");
    PUT_CELLS(&tree, "xen,irqs", 991);
    assert_read_refused(&tree, bridge_read_child, "xen,irqs: must be two cells: the first interrupt and how many");
    PUT_CELLS(&tree, "xen,irqs", 991, 1);
    (void)assert_read(&tree, bridge_read_child, BRIDGE_COMPATIBLE_MMIO);
    finish(&tree);
}

/* With both compatibles a node is a bridge. */
static void child_with_both_compatibles(void **state)
{
    struct tree tree = pci_tree();

    (void)state;
    PUT_TEXTS(&tree, "compatible", BRIDGE_COMPATIBLE_MMIO "\0" BRIDGE_COMPATIBLE);
    (void)assert_read(&tree, bridge_read_child, BRIDGE_COMPATIBLE);
    finish(&tree);
}

/* Two bridges of a domain */

static void assert_bridges(const struct bridge *bridge, const struct bridge *other, const char *message)
{
    struct bridge_diagnosis diagnosis;

    assert_int_equal(bridge_check_bridge(bridge, BRIDGE_COMPATIBLE, other, &diagnosis), -EEXIST);
    assert_message(&diagnosis, message);
}

static void bridges_side_by_side(void **state)
{
    const struct bridge other = good_bridge();
    struct bridge bridge = other;
    struct bridge_diagnosis diagnosis;

    (void)state;
    bridge.ecam.base = other.ecam.base + other.ecam.size;
    bridge.memory.base = other.memory.base - bridge.memory.size;
    bridge.interrupt_first = other.interrupt_first + other.interrupt_count;
    assert_int_equal(bridge_check_bridge(&bridge, BRIDGE_COMPATIBLE, &other, &diagnosis), 0);
    assert_int_equal(bridge_check_bridge(&other, BRIDGE_COMPATIBLE, &bridge, &diagnosis), 0);
}

static void bridges_that_overlap_in_any_window_or_interrupt(void **state)
{
    struct bridge other = good_bridge();
    struct bridge apart = other;
    struct bridge bridge;

    (void)state;
    other.prefetch.base = 0x4000000000;
    other.prefetch.size = 0x10000;
    apart.ecam.base = 0x60000000;
    apart.memory.base = 0x62000000;
    apart.prefetch.base = 0x4000010000;
    apart.prefetch.size = 0x10000;
    apart.interrupt_first = 64;
    for (unsigned int i = 0; i < BRIDGE_WINDOWS; i++) {
        for (unsigned int j = 0; j < BRIDGE_WINDOWS; j++) {
            static const char *const fields[] = {"ecam", "memory", "prefetch"};
            const uint64_t last = other.window[j].base + other.window[j].size - 1;
            char message[BRIDGE_DIAGNOSIS_MAX];

            bridge = apart;
            bridge.window[i].base = last;
            bridge.window[i].size = 0x1000;
            snprintf(message, sizeof(message),
                     PCI "%s_address 0x%" PRIx64 ": 0x%" PRIx64 "-0x%" PRIx64
                         " overlaps another bridge of the domain 0x%" PRIx64 "-0x%" PRIx64 "; move one of them",
                     fields[i], last, last, last + 0xfff, other.window[j].base, last);
            assert_bridges(&bridge, &other, message);
        }
    }
    bridge = apart;
    bridge.interrupt_first = 63;
    assert_bridges(&bridge, &other,
                   PCI "irq_start 63: 63-82 overlaps another bridge of the domain 44-63; move one of them");
    bridge.interrupt_first = 41;
    bridge.interrupt_count = 4;
    assert_bridges(&bridge, &other,
                   PCI "irq_start 41: 41-44 overlaps another bridge of the domain 44-63; move one of them");
}

static void bridge_and_plain_ranges(void **state)
{
    const struct bridge bridge = good_bridge();
    struct bridge plain = {.memory = {0x70000000, 0x1000}};
    struct bridge_diagnosis diagnosis;

    (void)state;
    /* Neither its missing windows nor its missing interrupts are in the way of anything. */
    assert_int_equal(bridge_check_bridge(&plain, BRIDGE_COMPATIBLE_MMIO, &bridge, &diagnosis), 0);
    assert_int_equal(bridge_check_bridge(&bridge, BRIDGE_PROPERTY, &plain, &diagnosis), 0);
    plain.prefetch.base = 0x35fff000;
    plain.prefetch.size = 0x1000;
    assert_int_equal(bridge_check_bridge(&plain, BRIDGE_COMPATIBLE_MMIO, &bridge, &diagnosis), -EEXIST);
    assert_message(&diagnosis, MMIO "prefetch_address 0x35fff000: 0x35fff000-0x35ffffff overlaps another bridge of the "
                                    "domain 0x34000000-0x35ffffff; move one of them");
    plain.prefetch.size = 0;
    plain.interrupt_first = 50;
    plain.interrupt_count = 1;
    assert_int_equal(bridge_check_bridge(&plain, BRIDGE_COMPATIBLE_MMIO, &bridge, &diagnosis), -EEXIST);
    assert_message(&diagnosis,
                   MMIO "irq_start 50: 50-50 overlaps another bridge of the domain 44-63; move one of them");
}

static void plain_ranges_make_no_nodes(void **state)
{
    static const struct bridge_fdt_context context = {.phandle_gic = 1, .phandle_v2m = 2, .phandle_iommu = 3};
    const struct bridge plain = {.memory = {0x70000000, 0x1000}, .flags = BRIDGE_FLAGS};

    (void)state;
    assert_int_equal(bridge_fdt_nodes(NULL, &plain, &context), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(domain_without_a_bridge),
        cmocka_unit_test(one_property_by_either_name),
        cmocka_unit_test(both_names_and_virtio_pci_beside_either),
        cmocka_unit_test(one_property_empty_or_in_impossible_cells),
        cmocka_unit_test(virtio_pci_in_three_spellings),
        cmocka_unit_test(virtio_pci_in_other_words),
        cmocka_unit_test(virtio_pci_ranges_are_three_addresses_of_two_cells),
        cmocka_unit_test(virtio_pci_ranges_of_another_length),
        cmocka_unit_test(virtio_pci_ranges_alone),
        cmocka_unit_test(virtio_pci_ranges_obey_the_rules),
        cmocka_unit_test(virtio_pci_in_a_guest_of_32_bits),
        cmocka_unit_test(virtio_pci_where_vpci_is),
        cmocka_unit_test(child_that_is_no_bridge),
        cmocka_unit_test(child_whose_compatible_has_no_end),
        cmocka_unit_test(child_with_windows_and_interrupts),
        cmocka_unit_test(child_with_everything),
        cmocka_unit_test(child_in_every_combination_of_cells),
        cmocka_unit_test(child_in_impossible_cells),
        cmocka_unit_test(child_whose_reg_is_missing_or_of_odd_length),
        cmocka_unit_test(child_whose_names_are_not_those_of_its_reg),
        cmocka_unit_test(child_without_memory_or_with_windows_of_size_0),
        cmocka_unit_test(child_obeys_the_rules),
        cmocka_unit_test(child_without_usable_interrupts),
        cmocka_unit_test(backend_is_the_id_of_a_domain),
        cmocka_unit_test(hold_ms_0_is_no_hold),
        cmocka_unit_test(grants_by_being_there),
        cmocka_unit_test(plain_range_with_an_interrupt),
        cmocka_unit_test(plain_ranges_two_with_all_options),
        cmocka_unit_test(plain_ranges_without_interrupts),
        cmocka_unit_test(plain_ranges_in_a_reg_that_cannot_be),
        cmocka_unit_test(plain_ranges_are_whole_pages),
        cmocka_unit_test(plain_ranges_with_interrupts_that_cannot_be),
        cmocka_unit_test(child_with_both_compatibles),
        cmocka_unit_test(bridges_side_by_side),
        cmocka_unit_test(bridges_that_overlap_in_any_window_or_interrupt),
        cmocka_unit_test(bridge_and_plain_ranges),
        cmocka_unit_test(plain_ranges_make_no_nodes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
