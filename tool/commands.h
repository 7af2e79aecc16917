/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The subcommands. Each gets its own arguments, its name being arguments[0], and returns the exit status of the
 * process. Results go to the standard output, what is wrong to the standard error.
 */
#ifndef TOOL_COMMANDS_H
#define TOOL_COMMANDS_H

#define EXIT_OK       0
#define EXIT_PROBLEMS 1 /* with the device tree, or with reading or writing a file */
#define EXIT_USAGE    2

int command_compose(int count, char **arguments);
int command_check(int count, char **arguments);
int command_node(int count, char **arguments);
int command_map(int count, char **arguments);
int command_picture(int count, char **arguments);
int command_qemu_args(int count, char **arguments);

#endif
