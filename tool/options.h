/* SPDX-License-Identifier: BSD-2-Clause */
/* Command-line options of the subcommands: all take the same few, and each says which. */
#ifndef TOOL_OPTIONS_H
#define TOOL_OPTIONS_H

#include <stdbool.h>

#include "document.h"
#include "domain.h"
#include "picture/draw.h"

/* What --help says of the options that all have. */
#define OPTIONS_COMMON \
    "  -a, --address-bits N  width of a guest's physical addresses, 32 to 52 (40, or more if the tree needs it)\n" \
    "      --xen VERSION     where versions differ, as 4.17 (the default) or 4.22 has it\n" \
    "  -h, --help\n"

struct options {
    const char *usage;         /* IN: what --help prints */
    bool takes_format;         /* IN: -O is an option of this subcommand */
    bool takes_bridge;         /* IN: --bridge is */
    bool takes_json;           /* IN: --json is */
    bool takes_output;         /* IN: -o is */
    int operands_min;          /* IN */
    int operands_max;          /* IN */
    unsigned int address_bits; /* OUT; 0: not given */
    bool xen_4_22;             /* OUT: --xen 4.22 */
    bool binary;               /* OUT: -O dtb */
    int bridge;                /* OUT: --bridge; -1: not given */
    const char *output;        /* OUT: -o, the name of a file for a picture; NULL: not given */
    struct document *document; /* OUT: --json, to be printed by options_end(); NULL: not given */
    int operand;               /* OUT: index of the first operand */
};

/* What --help says of --json. */
#define OPTIONS_JSON "      --json            one JSON document with all of it; its form is in sidebridge(1)\n"

/* What --help says of -o. */
#define OPTIONS_OUTPUT "  -o, --output FILE     draw into a file: its name ends in .svg, or .html for a report\n"

/* The arguments of options that all have; false, said on the standard error, when they are wrong. */
bool options_read_address_bits(const char *text, unsigned int *address_bits);
bool options_read_version(const char *text, bool *xen_4_22);

/* False when the subcommand has nothing more to do: it returns *status. Else options_end() has to follow. */
bool options_read(struct options *options, int count, char **arguments, int *status);

/*
 * What a subcommand prints of a tree's domains; name is the one that the command line names, or NULL. With --json it
 * prints nothing, but may add to the document, in which the domains are.
 */
typedef void options_print_fn(const struct options *options, const struct domains *domains, const char *name,
                              struct report *report);

/*
 * Reads the domains of a tree, has them printed, and flushes the standard output. EXIT_PROBLEMS when the report has
 * errors or the output could not be written.
 */
int options_run(const struct options *options, const char *file, const char *name, options_print_fn *print);

/* The picture of a tree's domains, or of the one that has the name; if there is none, reported, count is 0. */
struct picture_subject options_picture(const struct options *options, const struct domains *domains, const char *name,
                                       struct report *report);

/* Flushes the standard output. EXIT_PROBLEMS, having said why, when not all could be written. */
int options_end_output(void);

/* Prints the document, if there is one. The exit status: that of the runs, or EXIT_PROBLEMS. */
int options_end(struct options *options, int status);

/* All of a subcommand whose operands are a tree and, if it is there, a domain. */
int options_command(struct options *options, int count, char **arguments, options_print_fn *print);

#endif
