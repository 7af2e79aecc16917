/* SPDX-License-Identifier: BSD-2-Clause */
/* See tree.h. The nodes are children of the root, and docs/guest-view.md says what is in them. */
#define BRIDGE_WANTS_LIBFDT
#include "tree.h"

/* One entry of `ranges`: three cells of a PCI address, two of the guest's, two of size. */
#define RANGE_CELLS        7
#define SPACE_PREFETCHABLE 0x40000000u

/* Two cells. */
static uint64_t number(const fdt32_t *cells)
{
    return ((uint64_t)fdt32_to_cpu(cells[0]) << 32) | fdt32_to_cpu(cells[1]);
}

static const fdt32_t *cells_of(const void *tree, int node, const char *name, int *count)
{
    int length = 0;
    const fdt32_t *cells = node >= 0 ? fdt_getprop(tree, node, name, &length) : NULL;

    *count = cells != NULL ? length / (int)sizeof(*cells) : 0;
    return cells;
}

static uint32_t cell_of(const void *tree, int node, const char *name, int index)
{
    int count;
    const fdt32_t *cells = cells_of(tree, node, name, &count);

    return index < count ? fdt32_to_cpu(cells[index]) : 0;
}

static struct bridge_window window_of(const void *tree, int node)
{
    struct bridge_window window = { 0, 0 };
    int count;
    const fdt32_t *cells = cells_of(tree, node, "reg", &count);

    if (count >= 4) {
        window.base = number(&cells[0]);
        window.size = number(&cells[2]);
    }
    return window;
}

static int find(const void *tree, const char *compatible)
{
    return fdt_node_offset_by_compatible(tree, -1, compatible);
}

static void read_bridge(const void *tree, struct guest *guest)
{
    const int node = find(tree, "pci-host-ecam-generic");
    int count;
    const fdt32_t *ranges = cells_of(tree, node, "ranges", &count);

    guest->ecam = window_of(tree, node);
    guest->buses = cell_of(tree, node, "bus-range", 1) + 1;
    for (int at = 0; at + RANGE_CELLS <= count; at += RANGE_CELLS) {
        const bool prefetchable = (fdt32_to_cpu(ranges[at]) & SPACE_PREFETCHABLE) != 0;
        struct bridge_window *window = prefetchable ? &guest->prefetch : &guest->memory;

        window->base = number(&ranges[at + 3]);
        window->size = number(&ranges[at + 5]);
    }
}

/* What follows the word in the kernel's command line; NULL: it is not there. */
static const char *argument(const void *tree, const char *word)
{
    const int node = fdt_path_offset(tree, "/chosen");
    const size_t size = strlen(word);
    int length = 0;
    const char *arguments = node >= 0 ? fdt_getprop(tree, node, "bootargs", &length) : NULL;

    for (int at = 0; at + (int)size <= length; at++) {
        if (memcmp(&arguments[at], word, size) == 0) {
            return &arguments[at] + size;
        }
    }
    return NULL;
}

static enum expectation read_expectation(const void *tree)
{
    static const char *const words[] = { "sb.expect=nobody", "sb.expect=served", "sb.expect=held",
                                         "sb.expect=hammer", "sb.expect=ends" };

    for (int word = 0; word < EXPECT_UNKNOWN; word++) {
        if (argument(tree, words[word]) != NULL) {
            return (enum expectation)word;
        }
    }
    return EXPECT_UNKNOWN;
}

static uint32_t read_seconds(const void *tree)
{
    const char *digit = argument(tree, "sb.seconds=");
    uint32_t seconds = 0;

    for (; digit != NULL && *digit >= '0' && *digit <= '9'; digit++) {
        seconds = 10 * seconds + (uint32_t)(*digit - '0');
    }
    return seconds;
}

static uint32_t count_vcpus(const void *tree)
{
    uint32_t vcpus = 0;
    int node;

    fdt_for_each_subnode(node, tree, fdt_path_offset(tree, "/cpus")) {
        vcpus++;
    }
    return vcpus;
}

bool tree_read(const void *tree, struct guest *guest)
{
    int v2m;

    memset(guest, 0, sizeof(*guest));
    if (fdt_check_header(tree) != 0) {
        return false;
    }
    v2m = find(tree, "arm,gic-v2m-frame");
    guest->expectation = read_expectation(tree);
    guest->seconds = read_seconds(tree);
    guest->vcpus = count_vcpus(tree);
    guest->uart = window_of(tree, find(tree, "arm,sbsa-uart"));
    guest->v2m = window_of(tree, v2m);
    guest->msi_first = cell_of(tree, v2m, "arm,msi-base-spi", 0);
    guest->msi_count = cell_of(tree, v2m, "arm,msi-num-spis", 0);
    guest->status = window_of(tree, find(tree, "xen,ioreq-pci-status"));
    read_bridge(tree, guest);
    return true;
}
