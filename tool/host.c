/* SPDX-License-Identifier: BSD-2-Clause */
/* See host.h. */
#include "host.h"

#include <libfdt.h>
#include <string.h>

#define SPI_FIRST 32u
#define SPIS_MAX  988u /* interrupts 32 to 1019 */

static const char *const gicv2_names[] = {"arm,gic-400", "arm,cortex-a15-gic", "arm,cortex-a7-gic", NULL};
static const char *const gicv3_names[] = {"arm,gic-v3", NULL};

/* UARTs that Xen, 4.17 or a later one, has a driver for. */
static const char *const uart_names[] = {
    "amlogic,meson-gx-uart", "amlogic,meson-uart", "amlogic,meson6-uart", "amlogic,meson8-uart",
    "amlogic,meson8b-uart", "arm,pl011", "arm,sbsa-uart", "brcm,bcm2835-aux-uart", "cdns,uart-r1p12",
    "cdns,uart-r1p8", "fsl,imx8qm-lpuart", "fsl,imx8qxp-lpuart", "fsl,s32v234-linflexuart",
    "marvell,armada-3700-uart", "ns16550", "ns16550a", "nxp,s32g2-linflexuart", "nxp,s32g3-linflexuart",
    "renesas,scif", "renesas,scifa", "samsung,exynos4210-uart", "snps,dw-apb-uart", "ti,am654-uart",
    "ti,omap4-uart", NULL,
};

/* Xen's command line, as it looks for it; NULL: there is none. */
static const char *command_line(const struct host_tree *tree, int chosen)
{
    int length = 0;
    const char *text = fdt_getprop(tree->fdt, chosen, "xen,xen-bootargs", &length);

    if (text == NULL && fdt_getprop(tree->fdt, chosen, "xen,dom0-bootargs", NULL) != NULL) {
        text = fdt_getprop(tree->fdt, chosen, "bootargs", &length);
    }
    return text != NULL && memchr(text, '\0', (size_t)length) != NULL ? text : NULL;
}

/* The value of the last `name` (with its "=") on a command line, or NULL; *length is its length. */
static const char *find_word(const char *line, const char *name, size_t *length)
{
    const char *found = NULL;

    while (line != NULL && *line != '\0') {
        const size_t word = strcspn(line, " \t");

        if (strncmp(line, name, strlen(name)) == 0) {
            found = line + strlen(name);
            *length = word - strlen(name);
        }
        line += word;
        line += strspn(line, " \t");
    }
    return found;
}

/* Whether a list, with commas between, has the item. */
static bool list_has(const char *list, size_t length, const char *item)
{
    const char *const end = list + length;

    while (list < end) {
        const size_t size = strcspn(list, ", \t");

        if (size == strlen(item) && strncmp(list, item, size) == 0) {
            return true;
        }
        list += size + 1;
    }
    return false;
}

/*
 * The node of Xen's console, or -1: what dtuart= names, else stdout-path; a path or an alias, and options after a
 * colon. Aliases are looked up here, once: libfdt would follow one of itself for ever.
 */
static int find_uart(const struct host_tree *tree)
{
    const int chosen = fdt_path_offset(tree->fdt, "/chosen");
    const int aliases = fdt_path_offset(tree->fdt, "/aliases");
    const char *line = chosen >= 0 ? command_line(tree, chosen) : NULL;
    char path[HOST_TREE_PATH_MAX];
    size_t length = 0;
    const char *value = find_word(line, "console=", &length);
    int alias_length = 0;

    if (value != NULL && !list_has(value, length, "dtuart")) {
        return -1;
    }
    value = find_word(line, "dtuart=", &length);
    if (value == NULL || length == 0) {
        value = chosen >= 0 ? fdt_stringlist_get(tree->fdt, chosen, "stdout-path", 0, NULL) : NULL;
        length = value != NULL ? strlen(value) : 0;
    }
    if (value == NULL) {
        return -1;
    }
    length = strcspn(value, ":") < length ? strcspn(value, ":") : length;
    if (value[0] != '/') {
        value = aliases >= 0 && length < sizeof(path)
                    ? fdt_getprop_namelen(tree->fdt, aliases, value, (int)length, &alias_length) : NULL;
        if (value == NULL || value[0] != '/' || memchr(value, '\0', (size_t)alias_length) == NULL) {
            return -1;
        }
        length = strlen(value);
    }
    if (length >= sizeof(path)) {
        return -1;
    }
    memcpy(path, value, length);
    path[length] = '\0';
    return fdt_path_offset(tree->fdt, path);
}

/* The ranges of `reg` as the node has them, as many as there is room for. */
static unsigned int read_reg(const struct host_tree_walk *walk, struct host_range *ranges, unsigned int room)
{
    const uint32_t address_cells = host_tree_walk_address_cells(walk);
    const uint32_t size_cells = host_tree_walk_size_cells(walk);
    int length = 0;
    const uint8_t *next = fdt_getprop(walk->tree->fdt, walk->node, "reg", &length);
    unsigned int count = 0;

    if (next == NULL || address_cells < 1 || address_cells > 2 || size_cells < 1 || size_cells > 2) {
        return 0;
    }
    while (count < room && (uint32_t)length >= (address_cells + size_cells) * 4u) {
        ranges[count].base = host_tree_take_number(&next, address_cells);
        ranges[count].size = host_tree_take_number(&next, size_cells);
        length -= (int)((address_cells + size_cells) * 4u);
        count++;
    }
    return count;
}

unsigned int host_read_registers(const struct host_tree_walk *walk, struct host_range *ranges, unsigned int room)
{
    const unsigned int count = read_reg(walk, ranges, room);

    for (unsigned int i = 0; i < count; i++) {
        if (!host_tree_walk_translate(walk, &ranges[i].base)) {
            return 0;
        }
    }
    return count;
}

/* Xen takes the first that is there. */
static void read_gic(struct host *host, const struct host_tree_walk *walk)
{
    const struct host_tree *tree = walk->tree;
    unsigned int wanted = 2;
    int length = 0;
    const fdt32_t *regions = fdt_getprop(tree->fdt, walk->node, "#redistributor-regions", &length);

    if (host->gic_version != 0 || fdt_getprop(tree->fdt, walk->node, "interrupt-controller", NULL) == NULL ||
        !host_tree_is_available(tree, walk->node)) {
        return;
    }
    if (host_tree_is_compatible(tree, walk->node, gicv3_names)) {
        host->gic_version = 3;
        if (regions != NULL && length == (int)sizeof(*regions)) {
            wanted = fdt32_ld(regions) < HOST_GIC_RANGES_MAX ? 1u + fdt32_ld(regions) : HOST_GIC_RANGES_MAX;
        }
    } else if (host_tree_is_compatible(tree, walk->node, gicv2_names)) {
        host->gic_version = 2;
    } else {
        return;
    }
    host->gic_range_count = host_read_registers(walk, host->gic_ranges, wanted);
}

static void read_uart(struct host *host, const struct host_tree_walk *walk)
{
    int length = 0;
    const fdt32_t *interrupts = fdt_getprop(walk->tree->fdt, walk->node, "interrupts", &length);

    host->uart_state = HOST_UART_UNKNOWN;
    if (!host_tree_is_available(walk->tree, walk->node) ||
        !host_tree_is_compatible(walk->tree, walk->node, uart_names)) {
        return;
    }
    if (interrupts != NULL && length >= 12 && fdt32_ld(interrupts) == 0 && fdt32_ld(interrupts + 1) < SPIS_MAX) {
        host->uart_interrupt = fdt32_ld(interrupts + 1) + SPI_FIRST;
    }
    if (host_read_registers(walk, &host->uart, 1) == 1) {
        host->uart_state = HOST_UART_FOUND;
    }
}

/* RAM as the tree has it; firmware writes it into many trees when the board boots. */
static void read_memory(struct host *host, const struct host_tree_walk *walk)
{
    const struct host_tree *tree = walk->tree;
    int length = 0;
    const char *name = fdt_get_name(tree->fdt, walk->node, &length);
    struct host_range ranges[HOST_BANKS_MAX];
    unsigned int count;

    if (walk->depth != 1 || name == NULL || strcspn(name, "@") != strlen("memory") ||
        strncmp(name, "memory", strlen("memory")) != 0) {
        return;
    }
    count = read_reg(walk, ranges, HOST_BANKS_MAX);
    for (unsigned int i = 0; i < count && host->bank_count < HOST_BANKS_MAX; i++) {
        if (ranges[i].size != 0) {
            host->banks[host->bank_count++] = ranges[i];
        }
    }
}

static void add_reserved(struct host *host, const struct host_range *range, struct report *report)
{
    if (host->reserved_count == HOST_RESERVED_MAX) {
        report_write(report, REPORT_ERROR, "/reserved-memory", "more than %u reserved ranges", HOST_RESERVED_MAX);
    } else if (range->size != 0) {
        host->reserved[host->reserved_count++] = *range;
    }
}

/* A child of /reserved-memory that says where it is; one that only says how large is placed by Linux. */
static void read_reserved(struct host *host, const struct host_tree_walk *walk)
{
    struct host_range ranges[HOST_BANKS_MAX];
    unsigned int count;

    if (walk->depth != 2 || strncmp(walk->path, "/reserved-memory/", strlen("/reserved-memory/")) != 0) {
        return;
    }
    count = read_reg(walk, ranges, HOST_BANKS_MAX);
    for (unsigned int i = 0; i < count; i++) {
        add_reserved(host, &ranges[i], walk->tree->report);
    }
}

static void read_reserve_map(struct host *host, const struct host_tree *tree)
{
    const int count = fdt_num_mem_rsv(tree->fdt);

    for (int i = 0; i < count; i++) {
        struct host_range range;

        if (fdt_get_mem_rsv(tree->fdt, i, &range.base, &range.size) == 0) {
            add_reserved(host, &range, tree->report);
        }
    }
}

static void read_module(struct host *host, const struct host_tree_walk *walk, unsigned int *unknown)
{
    static const char *const modules[] = {"multiboot,module", "xen,multiboot-module", NULL};
    static const char *const kernels[] = {"multiboot,kernel", "xen,linux-zimage", NULL};
    static const char *const others[] = {"multiboot,ramdisk", "xen,linux-initrd", "xen,xsm-policy",
                                         "multiboot,device-tree", NULL};
    static const char *const domains[] = {"xen,domain", NULL};
    const struct host_tree *tree = walk->tree;
    struct host_module *module = &host->modules[host->module_count];
    bool kernel;

    if (walk->depth < 2 || walk->depth > 3 || strncmp(walk->path, "/chosen/", strlen("/chosen/")) != 0 ||
        !host_tree_is_compatible(tree, walk->node, modules)) {
        return;
    }
    kernel = host_tree_is_compatible(tree, walk->node, kernels);
    if (!kernel && !host_tree_is_compatible(tree, walk->node, others)) {
        kernel = (*unknown)++ == 0; /* Xen's guess */
    }
    if (kernel && !host_tree_is_compatible(tree, walk->nodes[walk->depth - 1], domains)) {
        host->has_dom0 = true;
    }
    if (host->module_count == HOST_MODULES_MAX) {
        host->modules_left_out++;
    } else if (read_reg(walk, &module->range, 1) == 1) {
        snprintf(module->path, sizeof(module->path), "%s", walk->path);
        host->module_count++;
    }
}

bool host_read(struct host *host, const struct host_tree *tree)
{
    struct host_tree_walk walk;
    const int uart = find_uart(tree);
    const unsigned int errors = tree->report->errors;
    unsigned int unknown_modules = 0;

    memset(host, 0, sizeof(*host));
    read_reserve_map(host, tree);
    host_tree_walk_init(&walk, tree);
    while (host_tree_walk_next(&walk)) {
        if (walk.node == uart) {
            read_uart(host, &walk);
        }
        read_gic(host, &walk);
        read_memory(host, &walk);
        read_reserved(host, &walk);
        read_module(host, &walk, &unknown_modules);
    }
    if (tree->report->errors != errors) {
        return false;
    }
    if (host->gic_version == 0) {
        report_write(tree->report, REPORT_WARNING, "/", "no GIC that Xen knows: guests are taken to have a GICv3");
        host->gic_version = 3;
    }
    return true;
}

uint64_t host_ram(const struct host *host)
{
    uint64_t total = 0;

    for (unsigned int i = 0; i < host->bank_count; i++) {
        total = host->banks[i].size > UINT64_MAX - total ? UINT64_MAX : total + host->banks[i].size;
    }
    return total;
}

static unsigned int bits_of(unsigned int bits, const struct host_range *range)
{
    const uint64_t last = range->size > 0 ? range->base + (range->size - 1) : range->base;

    while (bits < HOST_ADDRESS_BITS_MAX && last >> bits != 0) {
        bits++;
    }
    return bits;
}

unsigned int host_address_bits(const struct host *host)
{
    unsigned int bits = 0;

    for (unsigned int i = 0; i < host->bank_count; i++) {
        bits = bits_of(bits, &host->banks[i]);
    }
    for (unsigned int i = 0; i < host->gic_range_count; i++) {
        bits = bits_of(bits, &host->gic_ranges[i]);
    }
    return bits;
}
