/* SPDX-License-Identifier: BSD-2-Clause */
/* See setting.h. */
#include "setting.h"

#include <string.h>

const struct assignment *setting_find(const struct assignments *assignments, const char *name, uint32_t index)
{
    const struct assignment *found = assignments_find(assignments, name, index);

    return found != NULL && found->value[0] != '\0' ? found : NULL;
}

const char *setting_text(const struct assignments *assignments, const char *name, uint32_t index, const char *missing)
{
    const struct assignment *found = setting_find(assignments, name, index);

    return found != NULL ? found->value : missing;
}

void setting_number(const struct assignments *assignments, const char *name, uint32_t index, uint64_t least,
                    uint64_t most, uint64_t *number)
{
    const struct assignment *found = setting_find(assignments, name, index);
    uint64_t value = 0;

    if (found == NULL) {
        return;
    }
    if (!words_number(found->value, &value) || value < least || value > most) {
        assignment_report(assignments, found, REPORT_ERROR,
                          "\"%.64s\" is not a number from %" PRIu64 " to %" PRIu64, found->value, least, most);
        return;
    }
    *number = value;
}

void setting_flag(const struct assignments *assignments, const char *name, uint32_t index, bool *flag)
{
    uint64_t number = *flag ? 1 : 0;

    setting_number(assignments, name, index, 0, 1, &number);
    *flag = number == 1;
}

bool setting_words(const struct assignments *assignments, const struct assignment *from, char separator,
                   struct words *words)
{
    const enum words_fault fault = words_init(words, from->value, separator);

    if (fault != WORDS_GOOD) {
        assignment_report(assignments, from, REPORT_ERROR, "%s", words_fault_text(fault));
    }
    return fault == WORDS_GOOD;
}

unsigned int setting_ranges(const struct assignments *assignments, const struct assignment *from,
                            struct bridge_window *ranges, unsigned int room)
{
    unsigned int count = 0;
    struct words words;

    if (setting_words(assignments, from, '\0', &words)) {
        bool good = words.count > 0 && words.count % 2 == 0 && words.count / 2 <= room;

        for (size_t i = 0; good && i < words.count; i += 2) {
            good = words_number(words.word[i], &ranges[count].base) &&
                   words_number(words.word[i + 1], &ranges[count].size);
            count++;
        }
        if (!good) {
            assignment_report(assignments, from, REPORT_ERROR,
                              "\"%.64s\" is not a list of up to %u addresses, each followed by a size", from->value,
                              room);
            count = 0;
        }
    }
    words_finish(&words);
    return count;
}

static bool has_only(const char *text, const char *allowed)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-/";

    for (; *text != '\0'; text++) {
        if (strchr(letters, *text) == NULL && strchr(allowed, *text) == NULL) {
            return false;
        }
    }
    return true;
}

bool setting_check_file_name(const struct assignments *assignments, const struct assignment *from, const char *name)
{
    if (has_only(name, "+,=@~")) {
        return true;
    }
    assignment_report(assignments, from, REPORT_ERROR,
                      "\"%.128s\": U-Boot would not take this for a name alone; letters, digits and ._-/+,=@~ are safe",
                      name);
    return false;
}

bool setting_check_load(const struct assignments *assignments, const struct assignment *from, const char *load)
{
    static const char message[] = "\"%.64s\" is more than the beginning of one command; letters, digits, blanks and "
                                  "._-/:,=@${} may be in it";

    if (has_only(load, " :,=@${}")) {
        return true;
    }
    if (from != NULL) {
        assignment_report(assignments, from, REPORT_ERROR, message, load);
    } else {
        report_write(assignments->report, REPORT_ERROR, "-t", message, load);
    }
    return false;
}
