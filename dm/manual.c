/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Completes the source of the manual page, from standard input to standard output: the lists of options come out of
 * the tables that the program goes by. A program of the build.
 */
#include <stdio.h>
#include <string.h>

#include "command_line.h"

int main(void)
{
    char line[1000];

    while (fgets(line, sizeof(line), stdin)) {
        if (strcmp(line, "@OPTIONS@\n") == 0) {
            command_line_print_options(stdout);
        } else if (strcmp(line, "@DEVICES@\n") == 0) {
            command_line_print_kinds(stdout);
        } else {
            (void)fputs(line, stdout);
        }
    }
    return ferror(stdin) || fflush(stdout) || ferror(stdout);
}
