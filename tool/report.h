/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the tool has to say of a device tree, in the form of a compiler's messages:
 *
 *   file: /node: message
 *   file: /node: warning: message
 *
 * Text that comes from a device tree may hold any byte: whatever is not printable ASCII is written as \xNN, and a line
 * has an end. A report counts its errors, from which the exit status is made.
 */
#ifndef TOOL_REPORT_H
#define TOOL_REPORT_H

#include <stdio.h>

struct report {
    FILE *stream;
    const char *file;
    unsigned int errors;
    unsigned int warnings;
    unsigned int notes;
};

enum report_level {
    REPORT_ERROR,
    REPORT_WARNING,
    REPORT_NOTE,
};

/* node may be NULL: the message is about the file. */
__attribute__((format(printf, 4, 5))) void report_write(struct report *report, enum report_level level,
                                                        const char *node, const char *format, ...);

#endif
