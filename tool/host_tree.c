/* SPDX-License-Identifier: BSD-2-Clause */
/* See host_tree.h. */
#include "host_tree.h"

#include <errno.h>
#include <libfdt.h>
#include <stdlib.h>
#include <string.h>

/* What Xen assumes when no ancestor says it. */
#define ADDRESS_CELLS_DEFAULT 2u
#define SIZE_CELLS_DEFAULT    1u

/* The whole of a stream of unknown length, which may be a pipe; NULL, reported, when that fails. */
static uint8_t *read_stream(FILE *stream, size_t *size, struct report *report)
{
    uint8_t *data = malloc(HOST_TREE_SIZE_MAX + 1u);

    if (data == NULL) {
        report_write(report, REPORT_ERROR, NULL, "out of memory");
        return NULL;
    }
    *size = fread(data, 1, HOST_TREE_SIZE_MAX + 1u, stream);
    if (ferror(stream) != 0) {
        report_write(report, REPORT_ERROR, NULL, "cannot be read: %s", strerror(errno));
        free(data);
        return NULL;
    }
    return data;
}

static bool looks_like_source(const uint8_t *data, size_t size)
{
    static const char *const openings[] = {"/dts-v1/", "/*", "//", "#include", "/ {", "/{"};
    size_t start = 0;

    while (start < size && (data[start] == ' ' || data[start] == '\n' || data[start] == '\t')) {
        start++;
    }
    for (size_t i = 0; i < sizeof(openings) / sizeof(openings[0]); i++) {
        const size_t length = strlen(openings[i]);

        if (size - start >= length && memcmp(data + start, openings[i], length) == 0) {
            return true;
        }
    }
    return false;
}

static bool check_blob(const uint8_t *data, size_t size, struct report *report)
{
    int error;

    if (size > HOST_TREE_SIZE_MAX) {
        report_write(report, REPORT_ERROR, NULL, "larger than %u MiB: not a device tree that Xen would take",
                     HOST_TREE_SIZE_MAX >> 20);
        return false;
    }
    if (looks_like_source(data, size)) {
        report_write(report, REPORT_ERROR, NULL,
                     "this is the source of a device tree; compile it first: dtc -I dts -O dtb");
        return false;
    }
    if (size < sizeof(struct fdt_header)) {
        report_write(report, REPORT_ERROR, NULL, "%zu bytes are too few for a flattened device tree", size);
        return false;
    }
    if (fdt_magic(data) != FDT_MAGIC) {
        report_write(report, REPORT_ERROR, NULL, "not a flattened device tree: magic 0x%08x, expected 0x%08x",
                     fdt_magic(data), FDT_MAGIC);
        return false;
    }
    if (fdt_totalsize(data) > size) {
        report_write(report, REPORT_ERROR, NULL, "truncated: the header says %u bytes, the file has %zu",
                     fdt_totalsize(data), size);
        return false;
    }
    error = fdt_check_full(data, size);
    if (error != 0) {
        report_write(report, REPORT_ERROR, NULL, "not a well-formed flattened device tree: %s", fdt_strerror(error));
        return false;
    }
    return true;
}

bool host_tree_init(struct host_tree *tree, const char *file, struct report *report)
{
    const bool is_stdin = strcmp(file, "-") == 0;
    FILE *stream = is_stdin ? stdin : fopen(file, "rb");
    uint8_t *data;
    size_t size = 0;

    if (stream == NULL) {
        report_write(report, REPORT_ERROR, NULL, "cannot be opened: %s", strerror(errno));
        return false;
    }
    data = read_stream(stream, &size, report);
    if (!is_stdin) {
        fclose(stream);
    }
    if (data == NULL) {
        return false;
    }
    if (!check_blob(data, size, report)) {
        free(data);
        return false;
    }
    tree->fdt = data;
    tree->report = report;
    return true;
}

void host_tree_finish(struct host_tree *tree)
{
    free(tree->fdt);
    tree->fdt = NULL;
}

void host_tree_walk_init(struct host_tree_walk *walk, const struct host_tree *tree)
{
    memset(walk, 0, sizeof(*walk));
    walk->tree = tree;
    walk->node = -1;
    walk->depth = -1;
}

/* What the node says in `name`, one cell, or else what was inherited. */
static uint32_t cell_or(const void *fdt, int node, const char *name, uint32_t inherited)
{
    int length = 0;
    const fdt32_t *value = fdt_getprop(fdt, node, name, &length);

    return value != NULL && length >= (int)sizeof(*value) ? fdt32_ld(value) : inherited;
}

/* The name is cut, never the bounds, when a path is longer than anybody would read. */
static void append_name(struct host_tree_walk *walk)
{
    const int depth = walk->depth;
    const size_t start = depth > 1 ? walk->path_length[depth - 1] : 0;
    const char *name = fdt_get_name(walk->tree->fdt, walk->node, NULL);
    int written;

    written = snprintf(walk->path + start, sizeof(walk->path) - start, "/%s", name != NULL ? name : "?");
    walk->path_length[depth] = start + (size_t)written < sizeof(walk->path) ? start + (size_t)written
                                                                            : sizeof(walk->path) - 1;
}

bool host_tree_walk_next(struct host_tree_walk *walk)
{
    const void *fdt = walk->tree->fdt;
    const int node = walk->node < 0 ? 0 : fdt_next_node(fdt, walk->node, &walk->depth);
    uint32_t address_cells = ADDRESS_CELLS_DEFAULT;
    uint32_t size_cells = SIZE_CELLS_DEFAULT;

    if (walk->node < 0) {
        walk->depth = 0;
    }
    if (node < 0 || walk->depth < 0) {
        return false;
    }
    if (walk->depth >= HOST_TREE_DEPTH_MAX) {
        report_write(walk->tree->report, REPORT_ERROR, walk->path, "nodes are nested more than %d deep",
                     HOST_TREE_DEPTH_MAX);
        return false;
    }
    walk->node = node;
    append_name(walk);
    if (walk->depth > 0) {
        address_cells = walk->address_cells[walk->depth - 1];
        size_cells = walk->size_cells[walk->depth - 1];
    }
    walk->nodes[walk->depth] = node;
    walk->address_cells[walk->depth] = cell_or(fdt, node, "#address-cells", address_cells);
    walk->size_cells[walk->depth] = cell_or(fdt, node, "#size-cells", size_cells);
    return true;
}

uint32_t host_tree_walk_address_cells(const struct host_tree_walk *walk)
{
    return walk->depth > 0 ? walk->address_cells[walk->depth - 1] : ADDRESS_CELLS_DEFAULT;
}

uint32_t host_tree_walk_size_cells(const struct host_tree_walk *walk)
{
    return walk->depth > 0 ? walk->size_cells[walk->depth - 1] : SIZE_CELLS_DEFAULT;
}

/* Through the ranges of the bus at that depth: of child address, parent address and size. */
static bool translate(const struct host_tree_walk *walk, int bus, uint64_t *address)
{
    const uint32_t child_cells = walk->address_cells[bus];
    const uint32_t parent_cells = walk->address_cells[bus - 1];
    const uint32_t size_cells = walk->size_cells[bus];
    int length = 0;
    const uint8_t *next = fdt_getprop(walk->tree->fdt, walk->nodes[bus], "ranges", &length);

    if (next == NULL) {
        return false;
    }
    if (length == 0) {
        return true;
    }
    if (child_cells < 1 || child_cells > 2 || parent_cells < 1 || parent_cells > 2 || size_cells < 1 ||
        size_cells > 2) {
        return false;
    }
    for (; (uint32_t)length >= (child_cells + parent_cells + size_cells) * 4u;
         length -= (int)((child_cells + parent_cells + size_cells) * 4u)) {
        const uint64_t child = host_tree_take_number(&next, child_cells);
        const uint64_t parent = host_tree_take_number(&next, parent_cells);
        const uint64_t size = host_tree_take_number(&next, size_cells);

        if (*address - child < size) {
            *address = parent + (*address - child);
            return true;
        }
    }
    return false;
}

bool host_tree_walk_translate(const struct host_tree_walk *walk, uint64_t *address)
{
    bool found = true;

    for (int bus = walk->depth - 1; found && bus > 0; bus--) {
        found = translate(walk, bus, address);
    }
    return found;
}

bool host_tree_is_available(const struct host_tree *tree, int node)
{
    int length = 0;
    const char *status = fdt_getprop(tree->fdt, node, "status", &length);

    return status == NULL || (memchr(status, '\0', (size_t)length) != NULL &&
                              (strcmp(status, "okay") == 0 || strcmp(status, "ok") == 0));
}

bool host_tree_is_compatible(const struct host_tree *tree, int node, const char *const *names)
{
    int length = 0;
    const char *value = fdt_getprop(tree->fdt, node, "compatible", &length);

    for (unsigned int i = 0; value != NULL && names[i] != NULL; i++) {
        if (fdt_stringlist_contains(value, length, names[i]) == 1) {
            return true;
        }
    }
    return false;
}

uint64_t host_tree_take_number(const uint8_t **next, uint32_t cells)
{
    uint64_t number = 0;

    for (uint32_t i = 0; i < cells * 4u; i++) {
        number = (number << 8) | (*next)[i];
    }
    *next += cells * 4u;
    return number;
}
