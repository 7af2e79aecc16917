/* SPDX-License-Identifier: BSD-2-Clause */
/* See report.h. */
#include "report.h"

#include <stdarg.h>

#define MESSAGE_MAX 1024

static void write_printable(FILE *stream, const char *text)
{
    for (const unsigned char *next = (const unsigned char *)text; *next != '\0'; next++) {
        if (*next < 0x20 || *next > 0x7e) {
            fprintf(stream, "\\x%02x", *next);
        } else {
            fputc(*next, stream);
        }
    }
}

void report_write(struct report *report, enum report_level level, const char *node, const char *format, ...)
{
    char message[MESSAGE_MAX];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(message, sizeof(message), format, arguments);
    va_end(arguments);

    write_printable(report->stream, report->file);
    fputs(": ", report->stream);
    if (node != NULL) {
        write_printable(report->stream, node);
        fputs(": ", report->stream);
    }
    switch (level) {
    case REPORT_WARNING:
        fputs("warning: ", report->stream);
        report->warnings++;
        break;

    case REPORT_NOTE:
        fputs("note: ", report->stream);
        report->notes++;
        break;

    case REPORT_ERROR:
    default:
        report->errors++;
        break;
    }
    write_printable(report->stream, message);
    fputc('\n', report->stream);
}
