/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * See dts.h. A property's value has no type in a flattened tree: one that is a list of printable strings is printed as
 * such, any other as cells, in rows where a reader looks for entries (interrupt-map, ranges).
 */
#include "dts.h"

#include <ctype.h>
#include <inttypes.h>
#include <libfdt.h>
#include <stdbool.h>
#include <string.h>

static bool is_text(const char *value, int length)
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

static int row_cells(const char *name)
{
    if (strcmp(name, "interrupt-map") == 0) {
        return 8;
    }
    return strcmp(name, "ranges") == 0 ? 7 : INT32_MAX;
}

static void print_cells(FILE *stream, const char *name, const fdt32_t *cells, int length, int depth)
{
    const int row = row_cells(name);

    fputc('<', stream);
    for (int i = 0; i < length / 4; i++) {
        if (i > 0 && i % row == 0) {
            fprintf(stream, ">,\n%*s<", (depth + 1) * 8, "");
        } else if (i > 0) {
            fputc(' ', stream);
        }
        fprintf(stream, "0x%" PRIx32, fdt32_ld(cells + i));
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
            if (is_text(value, length)) {
                print_text(stream, value, length);
            } else {
                print_cells(stream, name, value, length, depth);
            }
        }
        fputs(";\n", stream);
    }
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
        fprintf(stream, "\n%*s%s {\n", depth * 8, "", node == 0 ? "/" : fdt_get_name(fdt, node, NULL));
        open = depth + 1;
        print_properties(stream, fdt, node, depth + 1);
    }
    for (; open > 0; open--) {
        fprintf(stream, "%*s};\n", (open - 1) * 8, "");
    }
}
