/* SPDX-License-Identifier: BSD-2-Clause */
/* Prints a flattened device tree that this program has made, as source that dtc reads. */
#ifndef TOOL_DTS_H
#define TOOL_DTS_H

#include <stdio.h>

void dts_print(FILE *stream, const void *fdt);

#endif
