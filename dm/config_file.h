/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A configuration file as text: sections with a title, and in each settings NAME = VALUE, one a line. Comments are lines
 * that begin with # or ;, and what follows a blank and a ; in others. What is meant by it all is the reader's business
 * (command_line.c).
 *
 * One thread, before the process gives up its privileges. The library's variables are set for all of the process.
 */
#ifndef CONFIG_FILE_H
#define CONFIG_FILE_H

#include <stddef.h>

#define CONFIG_FILE_MAX       0x10000u /* bytes */
#define CONFIG_FILE_LINE_MAX  4352u    /* bytes: a path, and what stands before it */
#define CONFIG_FILE_TITLE_MAX 48u
#define CONFIG_FILE_ERROR_MAX 160u

/* What is read stays valid until config_file_finish(). */
struct config_file {
    /* private */
    char *content;
    size_t size;
    char *texts; /* the titles and values, as they are needed */
    size_t used;
};

/* The beginning of a section, or a setting in it. */
struct config_file_entry {
    unsigned int line;
    const char *section; /* letters, digits, and - _ . with single blanks; empty: before the first one */
    const char *name;    /* NULL: the section begins; valid during the call */
    const char *value;   /* perhaps empty */
};

/* Called for each in the order of lines; `fault` for lines that are neither: `what` is a sentence about the line. */
struct config_file_reader {
    void (*entry)(void *opaque, const struct config_file_entry *entry);
    void (*fault)(void *opaque, unsigned int line, const char *what);
    void *opaque;
};

/* Negative errno value, and `error` says why; then there is nothing to finish. */
int config_file_load(struct config_file *file, const char *path, char error[CONFIG_FILE_ERROR_MAX]);

/* Once. All of the file, whatever is wrong with it. What belongs to a section with a broken title is left out. */
void config_file_read(struct config_file *file, const struct config_file_reader *reader);

void config_file_finish(struct config_file *file); /* also when it is all zero */

#endif
