/* SPDX-License-Identifier: BSD-2-Clause */
/* See report.h. */
#include "report.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define MESSAGE_MAX  1024
#define PROPERTY_MAX 64 /* as much of its name as is printed */

void report_printable(char *printable, size_t room, const char *text)
{
    size_t used = 0;

    for (const unsigned char *next = (const unsigned char *)text; *next != '\0'; next++) {
        const bool escaped = *next < 0x20 || *next > 0x7e;

        if (used + (escaped ? 4 : 1) >= room) {
            break;
        }
        if (escaped) {
            snprintf(printable + used, room - used, "\\x%02x", *next);
            used += 4;
        } else {
            printable[used++] = (char)*next;
        }
    }
    printable[used] = '\0';
}

static void write_printable(FILE *stream, const char *text, size_t limit)
{
    const size_t length = strnlen(text, limit);

    for (size_t i = 0; i < length; i++) {
        const char byte[2] = {text[i], '\0'};
        char printable[REPORT_PRINTABLE_MAX(1)];

        report_printable(printable, sizeof(printable), byte);
        fputs(printable, stream);
    }
}

static void count(struct report *report, enum report_level level)
{
    switch (level) {
    case REPORT_WARNING:
        report->warnings++;
        break;

    case REPORT_NOTE:
        report->notes++;
        break;

    case REPORT_ERROR:
    default:
        report->errors++;
        break;
    }
}

static void print(const struct report *report, const struct report_message *message)
{
    FILE *stream = report->stream;

    write_printable(stream, report->file, SIZE_MAX);
    if (report->line != 0) {
        fprintf(stream, ":%u", report->line);
    }
    fputs(": ", stream);
    if (message->node != NULL) {
        write_printable(stream, message->node, SIZE_MAX);
        fputs(": ", stream);
    }
    if (message->level != REPORT_ERROR) {
        fputs(message->level == REPORT_WARNING ? "warning: " : "note: ", stream);
    }
    if (message->property != NULL) {
        write_printable(stream, message->property, PROPERTY_MAX);
        fputs(": ", stream);
    }
    write_printable(stream, message->text, SIZE_MAX);
    fputc('\n', stream);
}

static __attribute__((format(printf, 5, 0))) void write_message(struct report *report, enum report_level level,
                                                                const char *node, const char *property,
                                                                const char *format, va_list arguments)
{
    char text[MESSAGE_MAX];
    const struct report_message message = {.level = level, .node = node, .property = property, .text = text};

    vsnprintf(text, sizeof(text), format, arguments);
    count(report, level);
    if (report->stream != NULL) {
        print(report, &message);
    }
    if (report->heard != NULL) {
        report->heard(report->context, &message);
    }
}

void report_write(struct report *report, enum report_level level, const char *node, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    write_message(report, level, node, NULL, format, arguments);
    va_end(arguments);
}

void report_property(struct report *report, enum report_level level, const char *node, const char *property,
                     const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    write_message(report, level, node, property, format, arguments);
    va_end(arguments);
}

const char *report_instead(const struct report_message *message)
{
    static const char *const openings[] = {"must ", "expected ", "needs "};
    const char *instead = NULL;

    if (message->level == REPORT_NOTE) {
        return NULL;
    }
    for (const char *next = message->text; (next = strstr(next, "; ")) != NULL;) {
        next += strlen("; ");
        instead = next;
    }
    for (size_t i = 0; instead == NULL && i < sizeof(openings) / sizeof(openings[0]); i++) {
        const size_t length = strlen(openings[i]);

        if (strncmp(message->text, openings[i], length) == 0) {
            return message->text;
        }
        for (const char *next = message->text; (next = strstr(next, ": ")) != NULL;) {
            next += strlen(": ");
            instead = strncmp(next, openings[i], length) == 0 ? next : instead;
        }
    }
    return instead;
}
