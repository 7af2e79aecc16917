/* SPDX-License-Identifier: BSD-2-Clause */
/* See words.h. */
#include "words.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static bool is_between(char byte, char separator)
{
    return byte == ' ' || byte == '\t' || byte == '\n' || (separator != '\0' && byte == separator);
}

enum words_fault words_init(struct words *words, const char *text, char separator)
{
    char *to;

    words->count = 0;
    words->storage = malloc(strlen(text) + 1);
    to = words->storage;
    if (to == NULL) {
        return WORDS_NO_MEMORY;
    }
    while (*text != '\0') {
        char quote = '\0';

        if (is_between(*text, separator)) {
            text++;
            continue;
        }
        if (words->count == WORDS_MAX) {
            return WORDS_TOO_MANY;
        }
        words->word[words->count++] = to;
        for (; *text != '\0' && (quote != '\0' || !is_between(*text, separator)); text++) {
            if (quote == '\0' && (*text == '"' || *text == '\'')) {
                quote = *text;
            } else if (quote != '\0' && *text == quote) {
                quote = '\0';
            } else {
                *to++ = *text;
            }
        }
        if (quote != '\0') {
            return WORDS_OPEN_QUOTE;
        }
        /* The text has at least one byte more than its words: what is between them, or its end. */
        *to++ = '\0';
    }
    return WORDS_GOOD;
}

void words_finish(struct words *words)
{
    free(words->storage);
    words->storage = NULL;
    words->count = 0;
}

const char *words_fault_text(enum words_fault fault)
{
    static const char *const texts[] = {
        [WORDS_GOOD] = "",
        [WORDS_OPEN_QUOTE] = "a quote inside the value that is not closed",
        [WORDS_TOO_MANY] = "more than 256 words",
        [WORDS_NO_MEMORY] = "out of memory",
    };

    return texts[fault];
}

bool words_number(const char *text, uint64_t *number)
{
    char *end = NULL;

    errno = 0;
    *number = strtoull(text, &end, 0);
    return isdigit((unsigned char)text[0]) != 0 && *end == '\0' && errno == 0;
}

bool words_size(const char *text, uint64_t *size)
{
    static const char units[] = "KMG";
    char *end = NULL;
    const char *unit;

    errno = 0;
    *size = strtoull(text, &end, 0);
    if (isdigit((unsigned char)text[0]) == 0 || errno != 0) {
        return false;
    }
    if (*end == '\0') {
        return true;
    }
    unit = strchr(units, toupper((unsigned char)*end));
    if (unit == NULL || end[1] != '\0') {
        return false;
    }
    for (const char *next = units; next <= unit; next++) {
        if (*size > UINT64_MAX / 1024) {
            return false;
        }
        *size *= 1024;
    }
    return true;
}
