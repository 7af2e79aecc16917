/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The command line of sidebridge-dm: what it says becomes the options of a model. Options of the program are a table
 * here, those of devices are the tables of their kinds; the texts of --help and of the manual page come out of both.
 *
 * One thread, once a process: what a command line says is borrowed from argv, which is changed, and kept in this file's
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
    COMMAND_LINE_PRINTED, /* --help or --version: there is nothing more to do */
    COMMAND_LINE_WRONG,   /* a line on standard error says what */
    COMMAND_LINE_FAILED,  /* likewise: what was to be printed could not be */
};

enum command_line_result command_line_parse(struct command_line *line, int argc, char **argv);

/* Lists of a manual page in scdoc(5)'s language: the program's options; all kinds of devices with their settings. */
void command_line_print_options(FILE *to);
void command_line_print_kinds(FILE *to);

#endif
