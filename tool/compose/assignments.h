/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A configuration as ImageBuilder takes it: the shell's NAME=value and NAME[n]=value, which here are read, never run.
 *
 * Understood are quotes, backslashes, comments, several assignments on a line, lines that are continued, arrays in
 * parentheses, NAME+=value, and references to what was assigned above ($NAME, ${NAME}, ${NAME[n]}). The last
 * assignment of a name wins, in the place of the first. Whatever else a shell would do - commands, substitutions,
 * redirections, the environment - is a fault that is named, with its line.
 *
 * As in the shell, NAME and NAME[0] are the same.
 */
#ifndef TOOL_COMPOSE_ASSIGNMENTS_H
#define TOOL_COMPOSE_ASSIGNMENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "report.h"

#define ASSIGNMENTS_FILE_MAX (1u << 20)
#define ASSIGNMENTS_MAX      4096u
#define ASSIGNMENT_VALUE_MAX 16384u /* bytes; references cannot multiply beyond it */
#define ASSIGNMENT_NAME_MAX  64u
#define ASSIGNMENT_INDEX_MAX 65535u

struct assignment {
    char name[ASSIGNMENT_NAME_MAX];
    unsigned int index_count; /* as it is written: 0, 1 or 2 */
    uint32_t index[2];
    char *value;
    unsigned int line;
    bool used; /* another value refers to it */
};

struct assignments {
    struct report *report; /* its `file` is the configuration's */
    struct assignment *entries;
    size_t count;
};

/* file may be "-". Reports all faults; false when there are any. Finish it in both cases. */
bool assignments_init(struct assignments *assignments, const char *file, struct report *report);

void assignments_finish(struct assignments *assignments);

/* NAME, or NAME[index]; NULL when there is none. */
const struct assignment *assignments_find(const struct assignments *assignments, const char *name, uint32_t index);

/* NAME[first,second] */
const struct assignment *assignments_find_pair(const struct assignments *assignments, const char *name, uint32_t first,
                                               uint32_t second);

#define ASSIGNMENT_KEY_MAX (ASSIGNMENT_NAME_MAX + 24u)

/* The key as it is written, such as DOMU_MEM[1]. */
void assignment_key(const struct assignment *assignment, char *key, size_t size);

/* Reports of an assignment: file, line, key. */
__attribute__((format(printf, 4, 5))) void assignment_report(const struct assignments *assignments,
                                                             const struct assignment *assignment,
                                                             enum report_level level, const char *format, ...);

#endif
