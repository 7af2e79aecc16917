/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sidebridge: PCI host bridges of dom0less domains, seen from the desk of who writes the host device tree.
 *
 * The rules, the words and the guest's nodes are those of bridge/, which the hypervisor compiles too.
 */
#include <stdio.h>
#include <string.h>

#include "commands.h"
#include "options.h"

static const char usage[] =
    "usage: sidebridge COMMAND [OPTION...] FILE...\n"
    "\n"
    "  check FILE...          say what is wrong with the bridges in host device trees\n"
    "  node FILE DOMAIN       print the nodes that Xen makes for the bridge of a domain\n"
    "  map FILE [DOMAIN]      list the address space of guests\n"
    "  picture FILE [DOMAIN]  draw it, with bridges, interrupts and who serves whom\n"
    "  qemu-args FILE DOMAIN  print what QEMU has to be told to serve the bridge of a domain\n"
    "  compose FILE           make all that a board boots from a configuration as ImageBuilder takes it\n"
    "\n"
    "  -h, --help             this text; 'sidebridge COMMAND --help' says more\n"
    "  -V, --version\n"
    "\n"
    "Exit status: 0 all is well, 1 something is wrong with a file, 2 the command line is.\n";

static const struct {
    const char *name;
    int (*run)(int count, char **arguments);
} commands[] = {
    {"check", command_check},
    {"node", command_node},
    {"map", command_map},
    {"picture", command_picture},
    {"qemu-args", command_qemu_args},
    {"compose", command_compose},
};

int main(int count, char **arguments)
{
    const char *name = count > 1 ? arguments[1] : "";

    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
        if (strcmp(name, commands[i].name) == 0) {
            return commands[i].run(count - 1, arguments + 1);
        }
    }
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0) {
        fputs(usage, stdout);
        return options_end_output();
    }
    if (strcmp(name, "--version") == 0 || strcmp(name, "-V") == 0) {
        puts("sidebridge " SIDEBRIDGE_VERSION);
        return options_end_output();
    }
    if (count > 1) {
        fprintf(stderr, "sidebridge: there is no command '%s'\n", name);
    }
    fputs(usage, stderr);
    return EXIT_USAGE;
}
