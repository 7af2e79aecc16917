/* SPDX-License-Identifier: BSD-2-Clause */
/* See options.h. */
#include "options.h"

#include <getopt.h>
#include <stdlib.h>

#include "commands.h"

#define ADDRESS_BITS_MIN     32
#define ADDRESS_BITS_MAX     52

static bool usage_error(const char *command, int *status)
{
    fprintf(stderr, "Try 'sidebridge %s --help'.\n", command);
    *status = EXIT_USAGE;
    return false;
}

static bool read_number(const char *option, const char *text, int least, int most, int *result)
{
    char *end = NULL;
    const long number = strtol(text, &end, 10);

    if (end == text || *end != '\0' || number < least || number > most) {
        fprintf(stderr, "sidebridge: %s takes a number from %d to %d\n", option, least, most);
        return false;
    }
    *result = (int)number;
    return true;
}

static bool read_version(const char *text, bool *xen_4_22)
{
    *xen_4_22 = strcmp(text, "4.22") == 0;
    if (!*xen_4_22 && strcmp(text, "4.17") != 0) {
        fprintf(stderr, "sidebridge: --xen takes 4.17 or 4.22\n");
        return false;
    }
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
        {"bridge", required_argument, NULL, 'b'}, /* the first, to be left out */
        {"address-bits", required_argument, NULL, 'a'},
        {"help", no_argument, NULL, 'h'},
        {"xen", required_argument, NULL, 'x'},
        {NULL, 0, NULL, 0},
    };
    const char *letters = options->takes_format ? "a:hO:" : options->takes_bridge ? "a:b:h" : "a:h";
    int address_bits = 0;
    bool good = true;
    int option;

    options->binary = false;
    options->xen_4_22 = false;
    options->bridge = -1;
    do {
        option = getopt_long(count, arguments, letters, options->takes_bridge ? names : names + 1, NULL);
        switch (option) {
        case -1:
            break;

        case 'a':
            good = read_number("--address-bits", optarg, ADDRESS_BITS_MIN, ADDRESS_BITS_MAX, &address_bits);
            break;

        case 'b':
            good = read_number("--bridge", optarg, 0, (int)DOMAIN_BRIDGES_MAX - 1, &options->bridge);
            break;

        case 'h':
            fputs(options->usage, stdout);
            *status = options_end_output();
            return false;

        case 'O':
            good = read_format(optarg, &options->binary);
            break;

        case 'x':
            good = read_version(optarg, &options->xen_4_22);
            break;

        default:
            good = false;
            break;
        }
    } while (option != -1 && good);

    options->address_bits = (unsigned int)address_bits;
    options->operand = optind;
    if (good && (count - optind < options->operands_min || count - optind > options->operands_max)) {
        fprintf(stderr, "sidebridge: %s\n", count - optind < options->operands_min ? "an operand is missing"
                                                                                  : "too many operands");
        good = false;
    }
    return good || usage_error(arguments[0], status);
}

int options_end_output(void)
{
    if (fflush(stdout) != 0 || ferror(stdout) != 0) {
        perror("sidebridge: standard output");
        return EXIT_PROBLEMS;
    }
    return EXIT_OK;
}

int options_run(const struct options *options, const char *file, const char *name, options_print_fn *print)
{
    struct report report = {.stream = stderr, .file = strcmp(file, "-") == 0 ? "<stdin>" : file};
    struct domains domains = {.address_bits = options->address_bits, .legacy_grants = options->xen_4_22};
    struct host_tree tree;

    if (host_tree_init(&tree, file, &report)) {
        (void)domains_read(&domains, &tree);
        print(options, &domains, name, &report);
        domains_finish(&domains);
        host_tree_finish(&tree);
    }
    return options_end_output() == EXIT_OK && report.errors == 0 ? EXIT_OK : EXIT_PROBLEMS;
}

int options_command(struct options *options, int count, char **arguments, options_print_fn *print)
{
    int status = EXIT_OK;

    if (!options_read(options, count, arguments, &status)) {
        return status;
    }
    return options_run(options, arguments[options->operand],
                       options->operand + 1 < count ? arguments[options->operand + 1] : NULL, print);
}
