/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * See settings.h.
 */
#include "settings.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define HELP_COLUMN  24u
#define HELP_COLUMNS 100u

static void *place(const struct setting *setting, void *values)
{
    return (char *)values + setting->offset;
}

static const void *value_of(const struct setting *setting, const void *values)
{
    return (const char *)values + setting->offset;
}

static int set_flag(bool *flag, const char *value, char *error)
{
    if (value && strcmp(value, "on") != 0 && strcmp(value, "off") != 0) {
        (void)snprintf(error, SETTINGS_ERROR_MAX, "is 'on' or 'off'");
        return -EINVAL;
    }
    *flag = !value || strcmp(value, "on") == 0;
    return 0;
}

static int set_number(const struct setting *setting, unsigned int *number, const char *value, char *error)
{
    unsigned long parsed;
    char *end = NULL;

    errno = 0;
    parsed = *value >= '0' && *value <= '9' ? strtoul(value, &end, strncmp(value, "0x", 2) == 0 ? 16 : 10) : 0;
    if (!end || *end != '\0' || errno || parsed < setting->least || parsed > setting->most) {
        (void)snprintf(error, SETTINGS_ERROR_MAX, "wants a number, %u to %u", setting->least, setting->most);
        return -EINVAL;
    }
    *number = (unsigned int)parsed;
    return 0;
}

static int set_choice(const struct setting *setting, unsigned int *choice, const char *value, char *error)
{
    const char *word = setting->value;

    for (unsigned int i = 0; word; i++) {
        const size_t length = strcspn(word, "|");

        if (strlen(value) == length && strncmp(value, word, length) == 0) {
            *choice = i;
            return 0;
        }
        word = word[length] == '|' ? word + length + 1 : NULL;
    }
    (void)snprintf(error, SETTINGS_ERROR_MAX, "wants %s", setting->value);
    return -EINVAL;
}

static int add_text(const struct setting *setting, const char **texts, const char *value, char *error)
{
    for (unsigned int i = 0; i + 1 < setting->most; i++) { /* the last one stays NULL */
        if (!texts[i]) {
            texts[i] = value;
            return 0;
        }
    }
    (void)snprintf(error, SETTINGS_ERROR_MAX, "may be given %u times", setting->most - 1);
    return -ENOSPC;
}

static int set(const struct setting *setting, void *values, const char *value, char *error)
{
    if (setting->type == SETTING_FLAG) {
        return set_flag(place(setting, values), value, error);
    }
    if (!value || *value == '\0') {
        (void)snprintf(error, SETTINGS_ERROR_MAX, "wants a value: %s", setting->value);
        return -EINVAL;
    }
    switch (setting->type) {
    case SETTING_NUMBER:
        return set_number(setting, place(setting, values), value, error);
    case SETTING_CHOICE:
        return set_choice(setting, place(setting, values), value, error);
    case SETTING_TEXTS:
        return add_text(setting, place(setting, values), value, error);
    default:
        *(const char **)place(setting, values) = value;
        return 0;
    }
}

int settings_set(const struct settings *settings, void *values, const char *name, const char *value,
                 char error[SETTINGS_ERROR_MAX])
{
    for (unsigned int i = 0; i < settings->count; i++) {
        if (strcmp(settings->setting[i].name, name) == 0) {
            return set(&settings->setting[i], values, value, error);
        }
    }
    (void)snprintf(error, SETTINGS_ERROR_MAX, "is not known");
    return -ENOENT;
}

const char *settings_missing(const struct settings *settings, const void *values)
{
    for (unsigned int i = 0; i < settings->count; i++) {
        const struct setting *setting = &settings->setting[i];

        if (setting->needed && (setting->type == SETTING_NUMBER
                                    ? *(const unsigned int *)value_of(setting, values) == 0
                                    : !*(const char *const *)value_of(setting, values))) {
            return setting->name;
        }
    }
    return NULL;
}

uint64_t settings_hash_bytes(const void *data, size_t size, uint64_t sum)
{
    for (size_t i = 0; i < size; i++) {
        sum = (sum ^ ((const uint8_t *)data)[i]) * 0x100000001b3; /* FNV-1a */
    }
    return sum;
}

static uint64_t hash_text(const char *text, uint64_t sum)
{
    return settings_hash_bytes(text ? text : "", text ? strlen(text) + 1 : 1, sum);
}

uint64_t settings_hash(const struct settings *settings, const void *values, uint64_t sum)
{
    for (unsigned int i = 0; i < settings->count; i++) {
        const struct setting *setting = &settings->setting[i];
        const void *value = value_of(setting, values);

        switch (setting->type) {
        case SETTING_FLAG:
            sum = settings_hash_bytes(value, sizeof(bool), sum);
            break;
        case SETTING_NUMBER:
        case SETTING_CHOICE:
            sum = settings_hash_bytes(value, sizeof(unsigned int), sum);
            break;
        case SETTING_TEXT:
            sum = hash_text(*(const char *const *)value, sum);
            break;
        case SETTING_TEXTS:
            for (const char *const *text = value; *text; text++) {
                sum = hash_text(*text, sum);
            }
            sum = hash_text(NULL, sum);
            break;
        }
    }
    return sum;
}

void settings_print_text(const char *text, unsigned int column, FILE *to)
{
    unsigned int at = column;

    while (*text != '\0') {
        const unsigned int length = (unsigned int)strcspn(text, " ");

        if (at > column && at + 1 + length > HELP_COLUMNS) {
            (void)fprintf(to, "\n%*s", (int)column, "");
            at = column;
        }
        (void)fprintf(to, "%s%.*s", at > column ? " " : "", (int)length, text);
        at += length + (at > column);
        text += length + (text[length] == ' ');
    }
    (void)fputc('\n', to);
}

void settings_print_help(const struct settings *settings, const char *before, char between, FILE *to)
{
    for (unsigned int i = 0; i < settings->count; i++) {
        const struct setting *setting = &settings->setting[i];
        char name[100], text[600];
        const int length = snprintf(name, sizeof(name), "  %s%s%.*s%s", before, setting->name, setting->value != NULL,
                                    &between, setting->value ? setting->value : "");

        (void)fprintf(to, "%-*s", (int)HELP_COLUMN, name);
        if ((unsigned int)length >= HELP_COLUMN) {
            (void)fprintf(to, "\n%*s", (int)HELP_COLUMN, "");
        }
        (void)snprintf(text, sizeof(text), "%s%s%s%s", setting->help, setting->normal ? " (default: " : "",
                       setting->normal ? setting->normal : "", setting->normal ? ")" : "");
        settings_print_text(text, HELP_COLUMN, to);
    }
}

/* What scdoc would take for its own. */
static void print_escaped(const char *text, FILE *to)
{
    for (; *text != '\0'; text++) {
        if (strchr("\\*_#[]|", *text)) {
            (void)fputc('\\', to);
        }
        (void)fputc(*text, to);
    }
}

void settings_print_manual(const struct settings *settings, const char *before, char between, FILE *to)
{
    for (unsigned int i = 0; i < settings->count; i++) {
        const struct setting *setting = &settings->setting[i];

        (void)fprintf(to, "*%s%s%.*s*", before, setting->name, setting->value && between == '=', &between);
        if (setting->value) {
            (void)fputs(between == '=' ? "_" : " _", to);
            print_escaped(setting->value, to);
            (void)fputc('_', to);
        }
        (void)fprintf(to, "\n\t%c", toupper(*setting->help));
        print_escaped(setting->help + 1, to);
        (void)fputc('.', to);
        if (setting->normal) {
            (void)fputs(" Default: ", to);
            print_escaped(setting->normal, to);
            (void)fputc('.', to);
        }
        (void)fputs("\n\n", to);
    }
}
