/* SPDX-License-Identifier: BSD-2-Clause */
/* See host.h. */
#include "host.h"

#include <libfdt.h>
#include <string.h>

#define SPI_FIRST 32u

static const char *const gicv2_names[] = {"arm,gic-400", "arm,cortex-a15-gic", "arm,cortex-a7-gic", NULL};
static const char *const gicv3_names[] = {"arm,gic-v3", NULL};

/* The node of the console, or -1. Aliases are looked up here, once: libfdt would follow one of itself for ever. */
static int find_uart(const struct host_tree *tree)
{
    const int chosen = fdt_path_offset(tree->fdt, "/chosen");
    const int aliases = fdt_path_offset(tree->fdt, "/aliases");
    char path[HOST_TREE_PATH_MAX];
    const char *value = chosen >= 0 ? fdt_stringlist_get(tree->fdt, chosen, "stdout-path", 0, NULL) : NULL;
    size_t length;

    if (value == NULL) {
        return -1;
    }
    length = strcspn(value, ":");
    if (value[0] != '/') {
        value = aliases >= 0 && length < sizeof(path)
                    ? fdt_getprop_namelen(tree->fdt, aliases, value, (int)length, NULL) : NULL;
        if (value == NULL || value[0] != '/') {
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

/* The ranges of `reg`, as many as there is room for; 0 when they are not plain addresses of the CPU. */
static unsigned int read_reg(const struct host_tree_walk *walk, struct host_range *ranges, unsigned int room)
{
    const uint32_t address_cells = host_tree_walk_address_cells(walk);
    const uint32_t size_cells = host_tree_walk_size_cells(walk);
    int length = 0;
    const uint8_t *next = fdt_getprop(walk->tree->fdt, walk->node, "reg", &length);
    unsigned int count = 0;

    if (next == NULL || walk->depth == 0 || !walk->identity[walk->depth - 1] || address_cells < 1 ||
        address_cells > 2 || size_cells < 1 || size_cells > 2) {
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

static void read_gic(struct host *host, const struct host_tree_walk *walk, unsigned int version)
{
    unsigned int wanted = 2;
    int length = 0;
    const fdt32_t *regions = fdt_getprop(walk->tree->fdt, walk->node, "#redistributor-regions", &length);

    host->gic_version = version;
    if (version == 3 && regions != NULL && length == (int)sizeof(*regions)) {
        wanted = fdt32_ld(regions) < HOST_GIC_RANGES_MAX ? 1u + fdt32_ld(regions) : HOST_GIC_RANGES_MAX;
    }
    host->gic_range_count = read_reg(walk, host->gic_ranges, wanted);
}

static void read_uart(struct host *host, const struct host_tree_walk *walk)
{
    int length = 0;
    const fdt32_t *interrupts = fdt_getprop(walk->tree->fdt, walk->node, "interrupts", &length);

    host->has_uart = read_reg(walk, &host->uart, 1) == 1;
    if (interrupts != NULL && length >= 12 && fdt32_ld(interrupts) == 0 && fdt32_ld(interrupts + 1) < 988) {
        host->uart_interrupt = fdt32_ld(interrupts + 1) + SPI_FIRST;
    }
}

bool host_read(struct host *host, const struct host_tree *tree)
{
    struct host_tree_walk walk;
    const int uart = find_uart(tree);
    const unsigned int errors = tree->report->errors;

    memset(host, 0, sizeof(*host));
    host_tree_walk_init(&walk, tree);
    while (host_tree_walk_next(&walk)) {
        if (walk.node == uart) {
            read_uart(host, &walk);
        }
        if (host->gic_version == 0 && host_tree_is_compatible(tree, walk.node, gicv3_names)) {
            read_gic(host, &walk, 3);
        } else if (host->gic_version == 0 && host_tree_is_compatible(tree, walk.node, gicv2_names)) {
            read_gic(host, &walk, 2);
        }
    }
    if (tree->report->errors != errors) {
        return false;
    }
    if (host->gic_version == 0) {
        report_write(tree->report, REPORT_WARNING, "/", "no GIC that Xen knows; guests are taken to have a GICv3");
        host->gic_version = 3;
    }
    return true;
}
