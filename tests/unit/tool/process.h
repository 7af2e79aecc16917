/* SPDX-License-Identifier: BSD-2-Clause */
/* Runs the tool as a user does: arguments and input in, output, messages and exit status out, with a time limit. */
#ifndef TESTS_UNIT_TOOL_PROCESS_H
#define TESTS_UNIT_TOOL_PROCESS_H

#include <stdbool.h>
#include <stddef.h>

#define PROCESS_TEXT_MAX 65536

struct process_result {
    int status; /* of exit; -1: killed by a signal, or out of time */
    char output[PROCESS_TEXT_MAX];
    char errors[PROCESS_TEXT_MAX];
};

/* Arguments begin with the program and end with NULL. What does not fit into a text is cut. */
void process_run(char *const *arguments, const void *input, size_t input_size, struct process_result *result);

#endif
