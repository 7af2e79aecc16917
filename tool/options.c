/* SPDX-License-Identifier: BSD-2-Clause */
/* See options.h. */
#include "options.h"

#include <getopt.h>
#include <stddef.h>
#include <stdlib.h>

#include "commands.h"
#include "picture/file.h"

#define ADDRESS_BITS_MIN 32
#define ADDRESS_BITS_MAX 52

#define OPTIONS_MAX 8 /* of one subcommand */

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

bool options_read_version(const char *text, bool *xen_4_22)
{
    *xen_4_22 = strcmp(text, "4.22") == 0;
    if (!*xen_4_22 && strcmp(text, "4.17") != 0) {
        fprintf(stderr, "sidebridge: --xen takes 4.17 or 4.22\n");
        return false;
    }
    return true;
}

bool options_read_address_bits(const char *text, unsigned int *address_bits)
{
    int number = 0;

    if (!read_number("--address-bits", text, ADDRESS_BITS_MIN, ADDRESS_BITS_MAX, &number)) {
        return false;
    }
    *address_bits = (unsigned int)number;
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

/* The options that a subcommand takes: letters for getopt_long(), and names. */
static void list_options(const struct options *options, char *letters, struct option *names)
{
    static const struct {
        struct option name;
        const char *letters;
        size_t taken; /* offset of what says that it is taken; 0: it always is */
    } all[] = {
        {{"address-bits", required_argument, NULL, 'a'}, "a:", 0},
        {{"help", no_argument, NULL, 'h'}, "h", 0},
        {{"xen", required_argument, NULL, 'x'}, "", 0},
        {{"bridge", required_argument, NULL, 'b'}, "b:", offsetof(struct options, takes_bridge)},
        {{"json", no_argument, NULL, 'j'}, "", offsetof(struct options, takes_json)},
        {{"output", required_argument, NULL, 'o'}, "o:", offsetof(struct options, takes_output)},
        {{NULL, 0, NULL, 'O'}, "O:", offsetof(struct options, takes_format)},
    };
    size_t count = 0;

    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        if (all[i].taken != 0 && !*(const bool *)((const char *)options + all[i].taken)) {
            continue;
        }
        letters = stpcpy(letters, all[i].letters);
        if (all[i].name.name != NULL) {
            names[count++] = all[i].name;
        }
    }
    names[count] = (struct option){NULL, 0, NULL, 0};
}

static bool make_document(struct options *options)
{
    if (options->document == NULL) {
        options->document = document_create();
    }
    if (options->document == NULL) {
        fprintf(stderr, "sidebridge: out of memory\n");
    }
    return options->document != NULL;
}

bool options_read(struct options *options, int count, char **arguments, int *status)
{
    char letters[OPTIONS_MAX * 2 + 1];
    struct option names[OPTIONS_MAX + 1];
    bool good = true;
    int option;

    options->address_bits = 0;
    options->binary = false;
    options->xen_4_22 = false;
    options->bridge = -1;
    options->output = NULL;
    options->document = NULL;
    list_options(options, letters, names);
    do {
        option = getopt_long(count, arguments, letters, names, NULL);
        switch (option) {
        case -1:
            break;

        case 'a':
            good = options_read_address_bits(optarg, &options->address_bits);
            break;

        case 'b':
            good = read_number("--bridge", optarg, 0, (int)DOMAIN_BRIDGES_MAX - 1, &options->bridge);
            break;

        case 'h':
            fputs(options->usage, stdout);
            document_destroy(options->document);
            *status = options_end_output();
            return false;

        case 'j':
            good = make_document(options);
            break;

        case 'o':
            options->output = optarg;
            good = picture_file_is_known(optarg);
            if (!good) {
                fprintf(stderr, "sidebridge: -o takes the name of a file that ends in .svg or .html\n");
            }
            break;

        case 'O':
            good = read_format(optarg, &options->binary);
            break;

        case 'x':
            good = options_read_version(optarg, &options->xen_4_22);
            break;

        default:
            good = false;
            break;
        }
    } while (option != -1 && good);

    if (good && options->document != NULL && options->output != NULL) {
        fprintf(stderr, "sidebridge: --json and -o exclude each other\n");
        good = false;
    }
    options->operand = optind;
    if (good && (count - optind < options->operands_min || count - optind > options->operands_max)) {
        fprintf(stderr, "sidebridge: %s\n", count - optind < options->operands_min ? "an operand is missing"
                                                                                  : "too many operands");
        good = false;
    }
    if (!good) {
        document_destroy(options->document);
    }
    return good || usage_error(arguments[0], status);
}

static const char *xen_of(const struct options *options)
{
    return options->xen_4_22 ? "4.22" : "4.17";
}

static void read_domains(const struct options *options, struct domains *domains, const char *file,
                         options_print_fn *print, const char *name, struct report *report)
{
    struct host_tree tree;

    if (!host_tree_init(&tree, file, report)) {
        return;
    }
    (void)domains_read(domains, &tree);
    if (options->document != NULL) {
        document_add_domains(options->document, domains);
    }
    print(options, domains, name, report);
    domains_finish(domains);
    host_tree_finish(&tree);
}

struct picture_subject options_picture(const struct options *options, const struct domains *domains, const char *name,
                                       struct report *report)
{
    const struct domain *only = name != NULL ? domains_find(domains, name, report) : NULL;

    return (struct picture_subject){
        .domains = domains,
        .first = only != NULL ? only->id - 1u : 0,
        .count = only != NULL ? 1 : name != NULL ? 0 : domains->count,
        .file = report->file,
        .xen = xen_of(options),
        .errors = report->errors,
        .warnings = report->warnings,
        .messages = report->heard == messages_hear ? report->context : NULL,
    };
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
    struct report report = {
        .stream = options->document == NULL ? stderr : NULL,
        .file = strcmp(file, "-") == 0 ? "<stdin>" : file,
    };
    struct domains domains = {.address_bits = options->address_bits, .xen_4_22 = options->xen_4_22};

    struct messages messages = {0};

    if (options->document != NULL) {
        document_begin_file(options->document, &report, xen_of(options));
    } else if (options->output != NULL && picture_file_is_report(options->output)) {
        report.heard = messages_hear;
        report.context = &messages;
    }
    read_domains(options, &domains, file, print, name, &report);
    messages_finish(&messages);
    if (options->document != NULL) {
        document_end_file(options->document, &report);
    }
    return options_end_output() == EXIT_OK && report.errors == 0 ? EXIT_OK : EXIT_PROBLEMS;
}

int options_end(struct options *options, int status)
{
    if (options->document != NULL) {
        const bool printed = document_print(options->document) && options_end_output() == EXIT_OK;

        document_destroy(options->document);
        options->document = NULL;
        return printed ? status : EXIT_PROBLEMS;
    }
    return status;
}

int options_command(struct options *options, int count, char **arguments, options_print_fn *print)
{
    int status = EXIT_OK;

    if (!options_read(options, count, arguments, &status)) {
        return status;
    }
    status = options_run(options, arguments[options->operand],
                         options->operand + 1 < count ? arguments[options->operand + 1] : NULL, print);
    return options_end(options, status);
}
