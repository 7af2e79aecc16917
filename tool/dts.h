/* SPDX-License-Identifier: BSD-2-Clause */
/* Prints a flattened device tree that this program has made, as source that dtc reads. */
#ifndef TOOL_DTS_H
#define TOOL_DTS_H

#include <stdbool.h>
#include <stdio.h>

/* Whether a property's value is a list of printable strings. */
bool dts_is_text(const char *value, int length);

void dts_print(FILE *stream, const void *fdt);

#endif
