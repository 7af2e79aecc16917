/* SPDX-License-Identifier: BSD-2-Clause */
/* sidebridge picture: guests, their bridges and who serves them, on the terminal or in a file. */
#include "commands.h"
#include "options.h"

#include <langinfo.h>
#include <locale.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "picture/file.h"

#define WIDTH_DEFAULT 110 /* characters, of what is no terminal */
#define WIDTH_MIN     45

static const char usage[] =
    "usage: sidebridge picture [-o FILE] [--address-bits N] [--xen VERSION] FILE [DOMAIN]\n"
    "\n"
    "Shows guests as columns of address space, with the windows and interrupts of their bridges, and who serves them.\n"
    "FILE is a host device tree (.dtb; - is the standard input), DOMAIN the name, path or number of a domain in it.\n"
    "\n"
    OPTIONS_OUTPUT
    OPTIONS_COMMON;

static struct picture_terminal find_terminal(void)
{
    const char *type = getenv("TERM");
    const char *no_color = getenv("NO_COLOR");
    struct picture_terminal terminal = {.width = WIDTH_DEFAULT};
    struct winsize size = {0};

    (void)setlocale(LC_CTYPE, "");
    terminal.utf8 = strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
    if (isatty(STDOUT_FILENO) != 0) {
        terminal.colours = type != NULL && strcmp(type, "dumb") != 0 && (no_color == NULL || no_color[0] == '\0');
        if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col != 0) {
            terminal.width = size.ws_col > WIDTH_MIN ? size.ws_col : WIDTH_MIN;
        }
    }
    return terminal;
}

static void show_picture(const struct options *options, const struct domains *domains, const char *name,
                         struct report *report)
{
    const struct picture_subject subject = options_picture(options, domains, name, report);
    const struct picture_terminal terminal = find_terminal();

    if (name != NULL && subject.count == 0) {
        return;
    }
    if (options->output != NULL) {
        (void)picture_file_write(&subject, options->output, report);
    } else if (!picture_text(&subject, stdout, &terminal)) {
        report_write(report, REPORT_ERROR, NULL, "out of memory");
    }
}

int command_picture(int count, char **arguments)
{
    struct options options = {.usage = usage, .takes_output = true, .operands_min = 1, .operands_max = 2};

    return options_command(&options, count, arguments, show_picture);
}
