/* SPDX-License-Identifier: BSD-2-Clause */
/* See markup.h. */
#include "picture/markup.h"

void markup_write(FILE *stream, const char *text, size_t length)
{
    for (size_t i = 0; i < length && text[i] != '\0'; i++) {
        switch (text[i]) {
        case '&':
            fputs("&amp;", stream);
            break;

        case '<':
            fputs("&lt;", stream);
            break;

        case '>':
            fputs("&gt;", stream);
            break;

        case '"':
            fputs("&quot;", stream);
            break;

        default:
            fputc(text[i], stream);
            break;
        }
    }
}
