/* SPDX-License-Identifier: BSD-2-Clause */
/* See options.h. */
#include "options.h"

#include <getopt.h>
#include <stdlib.h>

#include "commands.h"

#define ADDRESS_BITS_DEFAULT 40u
#define ADDRESS_BITS_MIN     32u
#define ADDRESS_BITS_MAX     52u

static bool usage_error(const char *command, int *status)
{
    fprintf(stderr, "Try 'sidebridge %s --help'.\n", command);
    *status = EXIT_USAGE;
    return false;
}

static bool read_address_bits(const char *text, unsigned int *bits)
{
    char *end = NULL;
    const long number = strtol(text, &end, 10);

    if (end == text || *end != '\0' || number < (long)ADDRESS_BITS_MIN || number > (long)ADDRESS_BITS_MAX) {
        fprintf(stderr, "sidebridge: --address-bits takes a number from %u to %u\n", ADDRESS_BITS_MIN,
                ADDRESS_BITS_MAX);
        return false;
    }
    *bits = (unsigned int)number;
    return true;
}

static bool read_format(const char *text, bool *binary)
{
    *binary = strcmp(text, "dtb") == 0;
    if (!*binary && strcmp(text, "dts") != 0) {
        fprintf(stderr, "sidebridge: -O takes dts or dtb\n");
        return false;
    }
    return true;
}

bool options_read(struct options *options, int count, char **arguments, int *status)
{
    static const struct option names[] = {
        {"address-bits", required_argument, NULL, 'a'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    bool good = true;
    int option;

    options->address_bits = ADDRESS_BITS_DEFAULT;
    options->binary = false;
    do {
        option = getopt_long(count, arguments, options->takes_format ? "a:hO:" : "a:h", names, NULL);
        switch (option) {
        case -1:
            break;

        case 'a':
            good = read_address_bits(optarg, &options->address_bits);
            break;

        case 'h':
            fputs(options->usage, stdout);
            *status = EXIT_OK;
            return false;

        case 'O':
            good = read_format(optarg, &options->binary);
            break;

        default:
            good = false;
            break;
        }
    } while (option != -1 && good);

    options->operand = optind;
    if (good && (count - optind < options->operands_min || count - optind > options->operands_max)) {
        fprintf(stderr, "sidebridge: %s\n", count - optind < options->operands_min ? "an operand is missing"
                                                                                  : "too many operands");
        good = false;
    }
    return good || usage_error(arguments[0], status);
}

int options_run(const struct options *options, const char *file, const char *name,
                void (*print)(const struct options *options, const struct domains *domains, const char *name,
                              struct report *report))
{
    struct report report = {.stream = stderr, .file = strcmp(file, "-") == 0 ? "<stdin>" : file};
    struct domains domains = {.address_bits = options->address_bits};
    struct host_tree tree;

    if (host_tree_init(&tree, file, &report)) {
        (void)domains_read(&domains, &tree);
        print(options, &domains, name, &report);
        domains_finish(&domains);
        host_tree_finish(&tree);
    }
    if (fflush(stdout) != 0 || ferror(stdout) != 0) {
        perror("sidebridge: standard output");
        return EXIT_PROBLEMS;
    }
    return report.errors == 0 ? EXIT_OK : EXIT_PROBLEMS;
}
