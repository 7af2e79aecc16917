/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The command line of sidebridge-dm, and the configuration file that it may name: what they say becomes the options of
 * a model. Options of the program are a table here, those of devices are the tables of their kinds; the texts of --help
 * and of the manual page come out of both.
 *
 * Of options that both say the command line's count, and the devices of both are there, in the order in which they are
 * said: those of the file where it is named.
 *
 * One thread, one at a time: what a command line says is borrowed from argv, which is changed, and kept in this file's
 * storage.
 */
#ifndef COMMAND_LINE_H
#define COMMAND_LINE_H

#include <stdbool.h>
#include <stdio.h>

#include "model.h"

#define PROGRAM "sidebridge-dm"

struct command_line {
    struct model_options model;
    bool verbose;
    const char *ask; /* the socket of another device model */
    char **words;    /* for it; NULL behind the last */
};

enum command_line_result {
    COMMAND_LINE_SERVE,
    COMMAND_LINE_ASK,
    COMMAND_LINE_PRINTED, /* --help, --version, or --check-config has found no fault: there is nothing more to do */
    COMMAND_LINE_WRONG,   /* lines on standard error say what */
    COMMAND_LINE_FAILED,  /* likewise: what was to be printed could not be, or --check-config has found faults */
};

enum command_line_result command_line_parse(struct command_line *line, int argc, char **argv);

/* Whatever came of it. What it has said is gone. */
void command_line_finish(void);

/* Lists of a manual page in scdoc(5)'s language: the program's options; all kinds of devices with their settings. */
void command_line_print_options(FILE *to);
void command_line_print_kinds(FILE *to);

#endif
