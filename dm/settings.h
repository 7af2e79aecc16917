/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a user can set, as tables: an entry says name, type, range, default and meaning of one setting, and where its
 * value goes. The command line, the configuration file, --help, the manual page and the number by which a state is
 * known are all made from the same tables, so that nothing about a setting stands twice.
 *
 * One thread. Nothing is allocated; texts are borrowed from whoever sets them.
 */
#ifndef SETTINGS_H
#define SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define SETTINGS_ERROR_MAX 160u

enum setting_type {
    SETTING_FLAG,   /* bool: off, unless given; as NAME, or NAME=on, NAME=off */
    SETTING_TEXT,   /* const char *: not empty */
    SETTING_NUMBER, /* unsigned int: from `least` to `most`, decimal, or with 0x */
    SETTING_CHOICE, /* unsigned int: index of one of the words of `value`, which are separated by | */
    SETTING_TEXTS,  /* const char *[most]: one more each time that it is given; NULL: no more */
};

struct setting {
    const char *name;
    enum setting_type type;
    bool needed; /* it has no default: it must be given */
    const char *value; /* what a user puts in its place, such as FILE or N; NULL: a flag */
    const char *normal; /* the default, in words; NULL: none is worth mentioning */
    const char *help; /* sentences, without the last full stop */
    size_t offset; /* of the value in the struct that is filled in, all zero at first */
    uint32_t least;
    uint32_t most;
};

/* A table of settings for one struct. */
struct settings {
    const struct setting *setting;
    unsigned int count;
};

#define SETTINGS(table) { (table), sizeof(table) / sizeof((table)[0]) }

/*
 * Sets one by its name; `value` NULL: it came without. -ENOENT: there is none of that name; -EINVAL: not with this
 * value, and `error` says what would do. -ENOSPC: given too often.
 */
int settings_set(const struct settings *settings, void *values, const char *name, const char *value,
                 char error[SETTINGS_ERROR_MAX]);

/* The name of the first that must be given, a text or a number from 1 on, and was not; NULL: none. */
const char *settings_missing(const struct settings *settings, const void *values);

/* A number that differs, most probably, when a value does: `sum` goes on. */
uint64_t settings_hash(const struct settings *settings, const void *values, uint64_t sum);
uint64_t settings_hash_bytes(const void *data, size_t size, uint64_t sum);
#define SETTINGS_HASH_START 0xcbf29ce484222325u

/* A column for the names, the help beside it. `before` a name, such as "--"; `between` it and its value. */
void settings_print_help(const struct settings *settings, const char *before, char between, FILE *to);
void settings_print_text(const char *text, unsigned int column, FILE *to); /* words, in lines of 100 columns at most */

/* The same as a list in scdoc(5)'s language, for a manual page. */
void settings_print_manual(const struct settings *settings, const char *before, char between, FILE *to);

#endif
