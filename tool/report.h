/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the tool has to say of a device tree, in the form of a compiler's messages:
 *
 *   file: /node: message
 *   file: /node: warning: property: message
 *   file:line: key: message
 *
 * A message says what is wrong, then, after its last semicolon, what would be right; or it is itself what would be
 * right ("must be one cell"). Text that comes from a device tree may hold any byte: whatever is not printable ASCII is
 * written as \xNN, and a line has an end. A report counts its errors, from which the exit status is made.
 */
#ifndef TOOL_REPORT_H
#define TOOL_REPORT_H

#include <stdio.h>

enum report_level {
    REPORT_ERROR,
    REPORT_WARNING,
    REPORT_NOTE,
};

/* Strings are borrowed and, but for the text, as the device tree has them. */
struct report_message {
    enum report_level level;
    const char *node;     /* NULL: it is about the file */
    const char *property; /* NULL: it is about no property of the node */
    const char *text;     /* without the property */
};

struct report {
    FILE *stream; /* NULL: messages are not printed */
    const char *file;
    unsigned int line; /* of a text, which the next message is about; 0: the file is none */
    unsigned int errors;
    unsigned int warnings;
    unsigned int notes;
    void (*heard)(void *context, const struct report_message *message); /* gets each message too; may be NULL */
    void *context;
};

/* node, or the key of a line, may be NULL: the message is about the file. */
__attribute__((format(printf, 4, 5))) void report_write(struct report *report, enum report_level level,
                                                        const char *node, const char *format, ...);

/* Of a property of the node, with whose name the message begins. */
__attribute__((format(printf, 5, 6))) void report_property(struct report *report, enum report_level level,
                                                           const char *node, const char *property, const char *format,
                                                           ...);

/* Where a message's text says what would be right; NULL: it does not. */
const char *report_instead(const struct report_message *message);

/* text as it is printed: printable ASCII, the rest as \xNN; cut, and always terminated, when room is too small. */
void report_printable(char *printable, size_t room, const char *text);

/* The room that report_printable() needs for a text of that length. */
#define REPORT_PRINTABLE_MAX(length) (4u * (length) + 1u)

#endif
