/* SPDX-License-Identifier: BSD-2-Clause */
/* Words and numbers in the value of a key. */
#ifndef TOOL_COMPOSE_WORDS_H
#define TOOL_COMPOSE_WORDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WORDS_MAX 256u

/* Words with blanks between; one in quotes may have blanks in it. */
struct words {
    size_t count;
    char *word[WORDS_MAX];
    char *storage;
};

enum words_fault {
    WORDS_GOOD,
    WORDS_OPEN_QUOTE,
    WORDS_TOO_MANY,
    WORDS_NO_MEMORY,
};

/* Splits a text at the blanks, and at `separator` if it is not 0. Finish it in every case. */
enum words_fault words_init(struct words *words, const char *text, char separator);

void words_finish(struct words *words);

/* What is to be said of a fault. */
const char *words_fault_text(enum words_fault fault);

/* All of the text is a number as the shell has it: decimal, 0x and hexadecimal, or 0 and octal. */
bool words_number(const char *text, uint64_t *number);

/* The same, with K, M or G behind it, or with none. */
bool words_size(const char *text, uint64_t *size);

#endif
