/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * See partial.h. A blob does not say which of its cells are phandles, so the properties that may have some are listed
 * here, with what says how many cells follow each.
 */
#define BRIDGE_WANTS_GUEST_LAYOUT
#define BRIDGE_WANTS_LIBFDT
#include <stdlib.h>

#include "partial.h"

#include <xen/device_tree_defs.h>

#define GIC_INTERRUPT_CELLS 3

#define PHANDLES_MAX    512u
#define PHANDLE_LIMIT   GUEST_PHANDLE_GIC /* Xen gives numbers from here on to nodes of its own */
#define DEPTH_MAX       HOST_TREE_DEPTH_MAX
#define ROOM            4096u

struct renumbering {
    unsigned int count;
    struct {
        uint32_t from;
        uint32_t to;
    } numbers[PHANDLES_MAX];
};

/* How a property refers: every cell is a phandle, or each is followed by cells that the target's property counts. */
static const struct reference {
    const char *name; /* a * in front stands for anything */
    const char *cells; /* NULL: none follow */
} references[] = {
    {"assigned-clock-parents", "#clock-cells"},
    {"assigned-clocks", "#clock-cells"},
    {"clocks", "#clock-cells"},
    {"dmas", "#dma-cells"},
    {"gpios", "#gpio-cells"},
    {"*-gpios", "#gpio-cells"},
    {"*-gpio", "#gpio-cells"},
    {"hwlocks", "#hwlock-cells"},
    {"interrupt-parent", NULL},
    {"interrupts-extended", "#interrupt-cells"},
    {"io-channels", "#io-channel-cells"},
    {"iommus", "#iommu-cells"},
    {"mboxes", "#mbox-cells"},
    {"memory-region", NULL},
    {"msi-parent", "#msi-cells"},
    {"nvmem-cells", NULL},
    {"operating-points-v2", NULL},
    {"pcs-handle", NULL},
    {"phy-handle", NULL},
    {"phys", "#phy-cells"},
    {"pinctrl-0", NULL},
    {"pinctrl-1", NULL},
    {"power-domains", "#power-domain-cells"},
    {"pwms", "#pwm-cells"},
    {"remote-endpoint", NULL},
    {"resets", "#reset-cells"},
    {"*-supply", NULL},
    {"thermal-sensors", "#thermal-sensor-cells"},
};

static bool is_named(const char *name, const char *pattern)
{
    const size_t length = strlen(name);

    if (pattern[0] != '*') {
        return strcmp(name, pattern) == 0;
    }
    pattern++;
    return length > strlen(pattern) && strcmp(name + length - strlen(pattern), pattern) == 0;
}

static const struct reference *find_reference(const char *name)
{
    for (size_t i = 0; i < sizeof(references) / sizeof(references[0]); i++) {
        if (is_named(name, references[i].name)) {
            return &references[i];
        }
    }
    return NULL;
}

static bool is_phandle(const char *name)
{
    return strcmp(name, "phandle") == 0 || strcmp(name, "linux,phandle") == 0;
}

static uint32_t renumbered(const struct renumbering *renumbering, uint32_t number)
{
    for (unsigned int i = 0; i < renumbering->count; i++) {
        if (renumbering->numbers[i].from == number) {
            return renumbering->numbers[i].to;
        }
    }
    return number;
}

/* Of the node that a phandle leads to: how many cells follow it. -1: there is no such node. */
static int cells_behind(const void *fdt, uint32_t phandle, const char *name)
{
    const int node = fdt_node_offset_by_phandle(fdt, phandle);
    int length = 0;
    const fdt32_t *cells;

    if (name == NULL) {
        return 0;
    }
    if (phandle == GUEST_PHANDLE_GIC && strcmp(name, "#interrupt-cells") == 0) {
        return GIC_INTERRUPT_CELLS;
    }
    if (node < 0) {
        return -1;
    }
    cells = fdt_getprop(fdt, node, name, &length);
    return cells != NULL && length == (int)sizeof(*cells) && fdt32_ld(cells) < 64 ? (int)fdt32_ld(cells) : 0;
}

/* The phandles in a value; original is the piece before any was changed, in which they still lead to their nodes. */
static void rewrite_value(const void *original, const struct renumbering *renumbering, const char *name,
                          fdt32_t *cells, int count)
{
    const struct reference *reference = find_reference(name);

    if (is_phandle(name) && count == 1) {
        cells[0] = cpu_to_fdt32(renumbered(renumbering, fdt32_ld(cells)));
    }
    for (int i = 0; reference != NULL && i < count;) {
        const uint32_t phandle = fdt32_ld(&cells[i]);
        const int behind = cells_behind(original, phandle, reference->cells);

        if (behind < 0) {
            break;
        }
        cells[i] = cpu_to_fdt32(renumbered(renumbering, phandle));
        i += 1 + behind;
    }
}

static bool rewrite(void *piece, const struct renumbering *renumbering)
{
    const size_t size = fdt_totalsize(piece);
    void *original = malloc(size);

    if (original == NULL) {
        return false;
    }
    memcpy(original, piece, size);
    for (int node = 0; node >= 0; node = fdt_next_node(piece, node, NULL)) {
        int property;

        fdt_for_each_property_offset(property, piece, node) {
            const char *name = NULL;
            int length = 0;
            const void *value = fdt_getprop_by_offset(piece, property, &name, &length);

            if (value != NULL && name != NULL) {
                /* It is this blob's own, which may be changed. */
                rewrite_value(original, renumbering, name, (fdt32_t *)(uintptr_t)value, length / 4);
            }
        }
    }
    free(original);
    return true;
}

/*
 * The guest's interrupt controller is /gic, or, where there is no such node, GUEST_PHANDLE_GIC: in a tree that has the
 * node from one piece, what others call by the number is the node.
 */
static bool unite_gic(void *tree, const void *other)
{
    const int gic = fdt_path_offset(other, "/gic");
    struct renumbering renumbering = {.count = 1};

    if (gic < 0 || fdt_get_phandle(other, gic) == 0 || fdt_path_offset(tree, "/gic") >= 0) {
        return true;
    }
    renumbering.numbers[0].from = GUEST_PHANDLE_GIC;
    renumbering.numbers[0].to = fdt_get_phandle(other, gic);
    return rewrite(tree, &renumbering);
}

static bool is_taken(const void *tree, const void *piece, const struct renumbering *renumbering, uint32_t number)
{
    if (number >= PHANDLE_LIMIT || fdt_node_offset_by_phandle(tree, number) >= 0 ||
        fdt_node_offset_by_phandle(piece, number) >= 0) {
        return true;
    }
    for (unsigned int i = 0; i < renumbering->count; i++) {
        if (renumbering->numbers[i].to == number) {
            return true;
        }
    }
    return false;
}

/* What the piece's phandles become: those of the same nodes in the tree, or numbers that nobody has. */
static bool renumber(const void *tree, const void *piece, struct renumbering *renumbering, char *fault)
{
    char path[HOST_TREE_PATH_MAX];
    uint32_t next = 1;

    renumbering->count = 0;
    for (int node = 0; node >= 0; node = fdt_next_node(piece, node, NULL)) {
        const uint32_t phandle = fdt_get_phandle(piece, node);
        int same;
        uint32_t to = phandle;

        if (phandle == 0) {
            continue;
        }
        same = fdt_get_path(piece, node, path, sizeof(path)) == 0 ? fdt_path_offset(tree, path) : -FDT_ERR_NOTFOUND;
        if (same >= 0 && fdt_get_phandle(tree, same) != 0) {
            to = fdt_get_phandle(tree, same);
        } else if (fdt_node_offset_by_phandle(tree, phandle) >= 0) {
            while (next < PHANDLE_LIMIT && is_taken(tree, piece, renumbering, next)) {
                next++;
            }
            to = next;
        }
        if (renumbering->count == PHANDLES_MAX || next == PHANDLE_LIMIT) {
            snprintf(fault, PARTIAL_FAULT_MAX, "more than %u phandles", PHANDLES_MAX);
            return false;
        }
        renumbering->numbers[renumbering->count].from = phandle;
        renumbering->numbers[renumbering->count].to = to;
        renumbering->count++;
    }
    return true;
}

/* Whether all properties and nodes below `one` are below `other` too; a phandle may be missing there. */
static bool is_part(const void *tree, int one, const void *other_tree, int other, int depth)
{
    int property;
    int child;

    fdt_for_each_property_offset(property, tree, one) {
        const char *name = NULL;
        int length = 0;
        int other_length = 0;
        const void *value = fdt_getprop_by_offset(tree, property, &name, &length);
        const void *other_value = fdt_getprop(other_tree, other, name, &other_length);

        if (!is_phandle(name) && (other_value == NULL || length != other_length ||
                                  memcmp(value, other_value, (size_t)length) != 0)) {
            return false;
        }
    }
    fdt_for_each_subnode(child, tree, one) {
        const int same = fdt_subnode_offset(other_tree, other, fdt_get_name(tree, child, NULL));

        if (same < 0 || depth == DEPTH_MAX || !is_part(tree, child, other_tree, same, depth + 1)) {
            return false;
        }
    }
    return true;
}

/* The node with all below it; an error of libfdt. */
static int copy_node(void *tree, int parent, const void *piece, int from, int depth)
{
    const char *name = fdt_get_name(piece, from, NULL);
    const int node = depth < DEPTH_MAX ? fdt_add_subnode(tree, parent, name) : -FDT_ERR_BADSTRUCTURE;
    int error = node < 0 ? node : 0;
    int last = -1;
    int property;

    if (error != 0) {
        return error;
    }
    fdt_for_each_property_offset(property, piece, from) {
        const char *property_name = NULL;
        int length = 0;
        const void *value = fdt_getprop_by_offset(piece, property, &property_name, &length);

        error = error != 0 ? error : fdt_setprop(tree, node, property_name, value, length);
    }
    /* A new node is put before the others, so the last one comes first. */
    while (error == 0) {
        int child;
        int next = -1;

        fdt_for_each_subnode(child, piece, from) {
            if (child == last) {
                break;
            }
            next = child;
        }
        if (next < 0) {
            break;
        }
        error = copy_node(tree, node, piece, next, depth + 1);
        last = next;
    }
    return error;
}

static bool same_cells(const void *tree, int node, const void *piece, int other)
{
    return fdt_address_cells(tree, node) == fdt_address_cells(piece, other) &&
           fdt_size_cells(tree, node) == fdt_size_cells(piece, other);
}

static bool merge_devices(void *tree, const void *piece, char *fault)
{
    const int from = fdt_path_offset(piece, "/passthrough");
    int child;

    if (!same_cells(tree, fdt_path_offset(tree, "/passthrough"), piece, from)) {
        snprintf(fault, PARTIAL_FAULT_MAX,
                 "#address-cells and #size-cells of /passthrough are not those of the others");
        return false;
    }
    fdt_for_each_subnode(child, piece, from) {
        const int parent = fdt_path_offset(tree, "/passthrough");
        const char *name = fdt_get_name(piece, child, NULL);
        const int same = fdt_subnode_offset(tree, parent, name);
        int error;

        if (same >= 0) {
            if (!is_part(piece, child, tree, same, 0) || !is_part(tree, same, piece, child, 0)) {
                snprintf(fault, PARTIAL_FAULT_MAX, "/passthrough/%.128s is in another piece too, and different there",
                         name);
                return false;
            }
            continue;
        }
        error = copy_node(tree, parent, piece, child, 0);
        if (error != 0) {
            snprintf(fault, PARTIAL_FAULT_MAX, "/passthrough/%.128s cannot be added: %s", name, fdt_strerror(error));
            return false;
        }
    }
    return true;
}

static bool merge_aliases(void *tree, const void *piece, char *fault)
{
    const int from = fdt_path_offset(piece, "/aliases");
    int property;

    if (from < 0) {
        return true;
    }
    if (fdt_path_offset(tree, "/aliases") < 0 && fdt_add_subnode(tree, 0, "aliases") < 0) {
        snprintf(fault, PARTIAL_FAULT_MAX, "/aliases cannot be added");
        return false;
    }
    fdt_for_each_property_offset(property, piece, from) {
        const int to = fdt_path_offset(tree, "/aliases");
        const char *name = NULL;
        int length = 0;
        int other_length = 0;
        const void *value = fdt_getprop_by_offset(piece, property, &name, &length);
        const void *other = fdt_getprop(tree, to, name, &other_length);

        if (other != NULL && (length != other_length || memcmp(value, other, (size_t)length) != 0)) {
            snprintf(fault, PARTIAL_FAULT_MAX, "the alias %.128s is in another piece too, and different there", name);
            return false;
        }
        if (other == NULL && fdt_setprop(tree, to, name, value, length) != 0) {
            snprintf(fault, PARTIAL_FAULT_MAX, "the alias %.128s cannot be added", name);
            return false;
        }
    }
    return true;
}

/* The placeholder of the guest's interrupt controller, which gives its phandle. */
static bool merge_gic(void *tree, const void *piece, char *fault)
{
    const int from = fdt_path_offset(piece, "/gic");
    int error = 0;

    if (from >= 0 && fdt_path_offset(tree, "/gic") < 0) {
        error = copy_node(tree, 0, piece, from, 0);
    }
    if (error != 0) {
        snprintf(fault, PARTIAL_FAULT_MAX, "/gic cannot be added: %s", fdt_strerror(error));
    }
    return error == 0;
}

bool partial_merge(void **tree, void *piece, char *fault)
{
    const size_t size = (size_t)fdt_totalsize(*tree) + 2u * (size_t)fdt_totalsize(piece) + ROOM;
    struct renumbering *renumbering = malloc(sizeof(*renumbering));
    void *merged = malloc(size);
    bool good = merged != NULL && renumbering != NULL && fdt_open_into(*tree, merged, (int)size) == 0;

    snprintf(fault, PARTIAL_FAULT_MAX, "out of memory");
    good = good && renumber(merged, piece, renumbering, fault) && rewrite(piece, renumbering) &&
           unite_gic(piece, merged) && unite_gic(merged, piece) &&
           merge_gic(merged, piece, fault) && merge_devices(merged, piece, fault) &&
           merge_aliases(merged, piece, fault);
    free(renumbering);
    if (!good) {
        free(merged);
        return false;
    }
    (void)fdt_pack(merged);
    free(*tree);
    *tree = merged;
    return true;
}
