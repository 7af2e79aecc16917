/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The directory that compose writes, all of it or nothing: files go into a new directory beside it, which at the end
 * takes its place in one step. Until then, and after any failure, what was there stays as it was.
 *
 * What is replaced must be compose's own: a directory that is empty, or in which there is nothing but what its list of
 * checksums names.
 */
#ifndef TOOL_COMPOSE_OUTPUT_H
#define TOOL_COMPOSE_OUTPUT_H

#include <stdbool.h>
#include <stdint.h>

#include "report.h"

#define OUTPUT_PATH_MAX 4096u
#define OUTPUT_SUMS     "SHA256SUMS"

struct output {
    struct report *report;
    char path[OUTPUT_PATH_MAX];
    char temporary[OUTPUT_PATH_MAX];
    bool replaces; /* there is one at path */
    bool failed;
};

/* False, reported, when the directory cannot be made or is not compose's; there is nothing to finish then. */
bool output_init(struct output *output, const char *path, struct report *report);

/* A file, whose name may have directories in it, which are made. A fault is reported, and remembered. */
void output_write(struct output *output, const char *name, const void *data, uint64_t size, bool executable);

/* Puts all in its place, or, when something failed, takes it back: false. */
bool output_finish(struct output *output);

/* Takes it back. */
void output_abandon(struct output *output);

#endif
