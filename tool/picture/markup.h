/* SPDX-License-Identifier: BSD-2-Clause */
/* Text in SVG and HTML: the one place where it is escaped. */
#ifndef TOOL_PICTURE_MARKUP_H
#define TOOL_PICTURE_MARKUP_H

#include <stddef.h>
#include <stdio.h>

/* As much of a printable text as `length` says; it may be the value of an attribute in double quotes. */
void markup_write(FILE *stream, const char *text, size_t length);

#endif
