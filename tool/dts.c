/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * See dts.h. A property's value has no type in a flattened tree: one that is a list of printable strings is printed as
 * such, any other as cells, in rows where a reader looks for entries (interrupt-map, ranges). Nodes that have a phandle
 * get a label, and the properties that are known to refer to one use it.
 */
#include "dts.h"

#include <ctype.h>
#include <inttypes.h>
#include <libfdt.h>
#include <string.h>

bool dts_is_text(const char *value, int length)
{
    bool empty = true; /* the string that is being read */

    for (int i = 0; i < length; i++) {
        if (value[i] == '\0') {
            if (empty) {
                return false;
            }
            empty = true;
        } else if (isprint((unsigned char)value[i]) == 0) {
            return false;
        } else {
            empty = false;
        }
    }
    return length > 0 && empty;
}

static void print_text(FILE *stream, const char *value, int length)
{
    for (const char *next = value; next < value + length; next += strlen(next) + 1) {
        fprintf(stream, "%s\"%s\"", next == value ? "" : ", ", next);
    }
}

/* How the cells of a property are read: `row` to an entry, of which cell `reference` is a phandle (-1: none is). */
struct cell_format {
    const char *name;
    int row;
    int reference;
};

static const struct cell_format formats[] = {
    {"interrupt-map", 8, 4},
    {"iommu-map", 4, 1},
    {"msi-parent", 1, 0},
    {"ranges", 7, -1},
};

static struct cell_format format_of(const char *name)
{
    const struct cell_format other = {name, INT32_MAX, -1};

    for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
        if (strcmp(name, formats[i].name) == 0) {
            return formats[i];
        }
    }
    return other;
}

/* Whether a second node below the root has the name, unit addresses apart, and a label. */
static bool is_ambiguous(const void *fdt, const char *name, size_t length)
{
    unsigned int count = 0;
    int node;

    fdt_for_each_subnode(node, fdt, 0) {
        const char *other = fdt_get_name(fdt, node, NULL);

        if (strcspn(other, "@") == length && strncmp(other, name, length) == 0 && fdt_get_phandle(fdt, node) != 0) {
            count++;
        }
    }
    return count > 1;
}

/* The node's name as a label may be spelled; its unit address is part of it only where it must. */
static void print_label(FILE *stream, const void *fdt, int node)
{
    const char *name = fdt_get_name(fdt, node, NULL);
    const size_t length = strcspn(name, "@");
    const size_t end = is_ambiguous(fdt, name, length) ? strlen(name) : length;

    for (size_t i = 0; i < end; i++) {
        fputc(isalnum((unsigned char)name[i]) != 0 ? name[i] : '_', stream);
    }
}

static void print_reference(FILE *stream, const void *fdt, uint32_t phandle)
{
    const int node = fdt_node_offset_by_phandle(fdt, phandle);

    if (node < 0) {
        fprintf(stream, "0x%" PRIx32, phandle);
    } else {
        fputc('&', stream);
        print_label(stream, fdt, node);
    }
}

static void print_cells(FILE *stream, const void *fdt, const char *name, const fdt32_t *cells, int length, int depth)
{
    const struct cell_format format = format_of(name);

    fputc('<', stream);
    for (int i = 0; i < length / 4; i++) {
        if (i > 0 && i % format.row == 0) {
            fprintf(stream, ">,\n%*s<", (depth + 1) * 8, "");
        } else if (i > 0) {
            fputc(' ', stream);
        }
        if (i % format.row == format.reference) {
            print_reference(stream, fdt, fdt32_ld(cells + i));
        } else {
            fprintf(stream, "0x%" PRIx32, fdt32_ld(cells + i));
        }
    }
    fputc('>', stream);
}

static void print_properties(FILE *stream, const void *fdt, int node, int depth)
{
    int property;

    fdt_for_each_property_offset(property, fdt, node) {
        const char *name = "";
        int length = 0;
        const void *value = fdt_getprop_by_offset(fdt, property, &name, &length);

        fprintf(stream, "%*s%s", depth * 8, "", name);
        if (length > 0) {
            fputs(" = ", stream);
            if (dts_is_text(value, length)) {
                print_text(stream, value, length);
            } else {
                print_cells(stream, fdt, name, value, length, depth);
            }
        }
        fputs(";\n", stream);
    }
}

static void print_name(FILE *stream, const void *fdt, int node, int depth)
{
    fprintf(stream, "\n%*s", depth * 8, "");
    if (node == 0) {
        fputs("/ {\n", stream);
        return;
    }
    if (fdt_get_phandle(fdt, node) != 0) {
        print_label(stream, fdt, node);
        fputs(": ", stream);
    }
    fprintf(stream, "%s {\n", fdt_get_name(fdt, node, NULL));
}

void dts_print(FILE *stream, const void *fdt)
{
    int open = 0; /* nodes whose brace is still open */
    int depth = 0;

    fputs("/dts-v1/;\n", stream);
    for (int node = 0; node >= 0 && depth >= 0; node = fdt_next_node(fdt, node, &depth)) {
        for (; open > depth; open--) {
            fprintf(stream, "%*s};\n", (open - 1) * 8, "");
        }
        print_name(stream, fdt, node, depth);
        open = depth + 1;
        print_properties(stream, fdt, node, depth + 1);
    }
    for (; open > 0; open--) {
        fprintf(stream, "%*s};\n", (open - 1) * 8, "");
    }
}
