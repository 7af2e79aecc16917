/* SPDX-License-Identifier: BSD-2-Clause */
/* sidebridge check: everything that is wrong with the bridges of some host device trees. */
#include <limits.h>

#include "commands.h"
#include "options.h"

static const char usage[] =
    "usage: sidebridge check [--json] [--address-bits N] [--xen VERSION] FILE...\n"
    "\n"
    "Checks the PCI host bridges of the domains in host device trees (.dtb; - is the standard input), in the words of\n"
    "the hypervisor. Exit status: 0 all is well, 1 something is wrong, 2 the command line is.\n"
    "\n"
    OPTIONS_JSON
    OPTIONS_COMMON;

static void print_summary(const struct options *options, const struct domains *domains, const char *name,
                          struct report *report)
{
    size_t bridges = 0;

    (void)name;
    if (options->document != NULL) {
        return;
    }
    for (size_t i = 0; i < domains->count; i++) {
        bridges += domains->domains[i]->bridge_count != 0 ? 1u : 0u;
    }
    printf("%s: %zu domain%s, %zu with a bridge; %u error%s, %u warning%s, %u note%s\n", report->file, domains->count,
           domains->count == 1 ? "" : "s", bridges, report->errors, report->errors == 1 ? "" : "s", report->warnings,
           report->warnings == 1 ? "" : "s", report->notes, report->notes == 1 ? "" : "s");
}

int command_check(int count, char **arguments)
{
    struct options options = {.usage = usage, .takes_json = true, .operands_min = 1, .operands_max = INT_MAX};
    int status = EXIT_OK;

    if (!options_read(&options, count, arguments, &status)) {
        return status;
    }
    for (int i = options.operand; i < count; i++) {
        if (options_run(&options, arguments[i], NULL, print_summary) != EXIT_OK) {
            status = EXIT_PROBLEMS;
        }
    }
    return options_end(&options, status);
}
