/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The other end of a control socket (control.h), for people and their scripts.
 *
 *   COMMAND [NAME=VALUE]...   the answer, as JSON over several lines
 *   help                      a line for each command
 *   metrics                   the counters in Prometheus' text format
 *   top                       a live view of the devices, each second, until it is interrupted
 */
#ifndef ASK_H
#define ASK_H

/* `words` has at least one, and NULL behind the last. The exit code: 0, or 1 and a line on standard error says why. */
int ask(const char *path, char **words);

#endif
