/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sidebridge compose: from a configuration as ImageBuilder takes it, and the files that it names, to a directory from
 * which a board boots.
 *
 *   assignments -> system        what is asked for       (compose/assignments.h, compose/system.h)
 *   files, board's tree          what there is           (compose/boot.h, compose/partial.h, compose/tree.h, host.h)
 *   places                       where it goes           (compose/place.h)
 *   tree, script, start files    what is written         (compose/tree.h, compose/script.h, compose/start.h,
 *                                                         compose/manifest.h)
 *
 * The tree that comes out is read again as `check` reads it, and nothing is written that it finds wrong.
 */
#include <getopt.h>
#include <libfdt.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>

#include "commands.h"
#include "compose/manifest.h"
#include "compose/output.h"
#include "compose/partial.h"
#include "compose/place.h"
#include "compose/script.h"
#include "compose/setting.h"
#include "compose/start.h"
#include "compose/tree.h"
#include "options.h"

static const char usage[] =
    "usage: sidebridge compose [OPTION...] CONFIGURATION -o DIRECTORY\n"
    "\n"
    "Makes what a board boots: host device tree, boot script for U-Boot, all files that it loads, and a manifest.\n"
    "CONFIGURATION is as ImageBuilder takes it (- is the standard input). Without -o nothing is written, only checked\n"
    "and shown. DIRECTORY is written whole or not at all, and replaced if it is there.\n"
    "\n"
    "  -o, --output DIRECTORY\n"
    "  -d, --directory DIR   where the files of the configuration are (where it is itself)\n"
    "  -t, --load COMMAND    how U-Boot loads a file: tftp, sd, scsi, usb, or a command such as \"load mmc 1:2\"\n"
    "  -p, --prefix PATH     put before the names of files in the script\n"
    "      --efi             also write what Xen needs as an EFI program: xen.cfg, and a tree with names of files\n"
    OPTIONS_COMMON;

struct command {
    const char *configuration;
    const char *output;
    char directory[BOOT_PATH_MAX];
    const char *prefix;
    bool efi;
    struct system_options system;
    unsigned int address_bits;
};

/* All that is made on the way; large, so not on the stack. */
struct work {
    struct assignments assignments;
    struct system system;
    struct boot boot;
    struct host_tree board;
    struct host host;
    struct manifest_extras extras;
};

#define TREE_MEMORY   0x200000u /* what is kept free for it: the most that Xen takes */
#define SCRIPT_MEMORY 0x200000u

/* What the tree says of the domains, as `check` reads it. */
static bool read_domains(const struct command *command, void *tree, struct report *report, struct domains *domains)
{
    const struct host_tree host_tree = {.fdt = tree, .report = report};

    *domains = (struct domains){.address_bits = command->address_bits,
                                .devices_known = true,
                                .xen_4_22 = command->system.xen_4_22};
    return domains_read(domains, &host_tree);
}

static struct domain *find_domain(const struct domains *domains, const char *name)
{
    for (size_t i = 0; i < domains->count; i++) {
        if (strcmp(domains->domains[i]->path + strlen("/chosen/"), name) == 0) {
            return domains->domains[i];
        }
    }
    return NULL;
}

/* Bridges go where a tree without them has room; what else is wrong with that tree is said of the finished one. */
static bool place_all_bridges(const struct command *command, struct work *work)
{
    void *draft = tree_make(&work->system, &work->boot, &work->board, TREE_WITHOUT_BRIDGES);
    struct report silent = {.stream = NULL, .file = ""}; /* what is read twice is reported once */
    struct domains domains;
    const unsigned int errors = work->assignments.report->errors;

    if (draft == NULL) {
        for (unsigned int i = 0; i < work->system.domain_count; i++) {
            partial_check(&work->system, i, &work->boot, &work->board, NULL);
        }
        return false;
    }
    (void)read_domains(command, draft, &silent, &domains);
    for (unsigned int i = 0; i < work->system.domain_count; i++) {
        struct domain *guest = find_domain(&domains, work->system.domains[i].name);

        if (guest != NULL) {
            partial_check(&work->system, i, &work->boot, &work->board, guest);
            (void)place_bridges(&work->system, &work->system.domains[i], guest, domains.address_bits);
        }
    }
    domains_finish(&domains);
    free(draft);
    return work->assignments.report->errors == errors;
}

/* The finished tree must be one that `check` finds nothing wrong with. */
static bool make_tree(const struct command *command, struct work *work)
{
    void *tree = tree_make(&work->system, &work->boot, &work->board, TREE_WITH_ADDRESSES);
    struct report *report = work->assignments.report;
    struct report of_tree = {.stream = report->stream, .file = work->system.tree_name};
    struct domains domains;

    if (tree == NULL) {
        return false;
    }
    boot_make(&work->boot.tree, work->system.tree_name, tree, fdt_totalsize(tree));
    (void)read_domains(command, tree, &of_tree, &domains);
    for (unsigned int i = 0; i < work->system.domain_count; i++) {
        const struct domain *domain = find_domain(&domains, work->system.domains[i].name);

        if (domain == NULL || domain->id != work->system.domains[i].id) {
            report_write(&of_tree, REPORT_ERROR, work->system.domains[i].name,
                         "would be domain %u, but %u is what its device model is told; the board's device tree has "
                         "domains of its own", domain != NULL ? domain->id : 0, work->system.domains[i].id);
        }
    }
    domains_finish(&domains);
    report->errors += of_tree.errors;
    report->warnings += of_tree.warnings;
    report->notes += of_tree.notes;
    return of_tree.errors == 0;
}

/* Some boot commands take Xen in an image of U-Boot's. */
static bool wrap_xen(struct work *work)
{
    struct boot_file *xen = &work->boot.xen;
    const bool arm64 = xen->size > 60 && memcmp(xen->data + 56, "ARM\x64", 4) == 0;
    char name[BOOT_NAME_MAX + 3];
    uint64_t size = 0;
    void *image;

    if (work->system.boot != SYSTEM_BOOTM) {
        return true;
    }
    image = script_wrap(arm64 ? SCRIPT_IMAGE_KERNEL : SCRIPT_IMAGE_KERNEL_ARM32, xen->data, xen->size, xen->address,
                        &size);
    snprintf(name, sizeof(name), "%s.ub", xen->name);
    if (image == NULL || xen->address > UINT32_MAX || strlen(name) >= BOOT_NAME_MAX) {
        free(image);
        assignment_report(&work->assignments, xen->from, REPORT_ERROR, "no image for bootm can be made of it");
        return false;
    }
    boot_make(xen, name, image, size);
    return true;
}

static bool make_script(const struct command *command, struct work *work)
{
    char *text = script_make(&work->system, &work->boot, command->directory, command->prefix);
    uint64_t size = 0;
    void *image;

    if (text == NULL) {
        return false;
    }
    image = script_wrap(SCRIPT_IMAGE_SCRIPT, text, strlen(text), work->boot.script.address, &size);
    if (image == NULL || size > SCRIPT_MEMORY) {
        report_write(work->assignments.report, REPORT_ERROR, work->system.script_name, "larger than %u bytes",
                     SCRIPT_MEMORY);
        free(image);
        free(text);
        return false;
    }
    boot_make(&work->boot.script, work->system.script_name, image, size);
    return manifest_add(&work->extras, work->system.source_name, text, strlen(text), false);
}

/* Xen as an EFI program goes by its configuration file to the tree, and from there to the files. */
static bool make_efi(const struct command *command, struct work *work)
{
    static const char tree_name[] = "host-efi.dtb";
    char *configuration = NULL;
    void *tree;

    if (!command->efi) {
        return true;
    }
    tree = tree_make(&work->system, &work->boot, &work->board, TREE_FOR_EFI);
    return tree != NULL && manifest_add(&work->extras, tree_name, tree, fdt_totalsize(tree), false) &&
           asprintf(&configuration, "[global]\ndefault=xen\n\n[xen]\ndtb=%s\n", tree_name) > 0 &&
           manifest_add(&work->extras, "xen.cfg", configuration, strlen(configuration), false);
}

static bool read_all(const struct command *command, struct work *work, struct report *report)
{
    struct report silent = {.stream = NULL, .file = ""}; /* what is read twice is reported once */
    bool good;

    if (!assignments_init(&work->assignments, command->configuration, report)) {
        return false;
    }
    good = system_read(&work->system, &work->assignments, &command->system);
    good = boot_init(&work->boot, &work->system, command->directory) && good;
    good = partial_make(&work->system, &work->boot, command->directory) && good;
    if (work->system.device_tree == NULL ||
        !tree_read_board(&work->system, command->directory, &work->board) || !good) {
        return false;
    }
    work->board.report = &silent;
    (void)host_read(&work->host, &work->board);
    work->board.report = report;
    return true;
}

static bool make_all(const struct command *command, struct work *work)
{
    bool good;

    boot_reserve(&work->boot.script, SCRIPT_MEMORY);
    boot_reserve(&work->boot.tree, TREE_MEMORY);
    work->boot.tree.load = work->boot.xen.load;
    good = place_memory(&work->system, &work->boot, &work->host);
    good = place_all_bridges(command, work) && good;
    good = good && make_tree(command, work) && wrap_xen(work) && make_script(command, work) &&
           start_make(&work->system, &work->extras) && make_efi(command, work);
    return boot_check_names(&work->boot, &work->assignments) && good;
}

static void print_bridge(const struct system_bridge *placed, unsigned int index)
{
    const struct bridge *bridge = &placed->bridge;

    printf("  bridge %u: ECAM 0x%" PRIx64 "+0x%" PRIx64 ", memory 0x%" PRIx64 "+0x%" PRIx64, index, bridge->ecam.base,
           bridge->ecam.size, bridge->memory.base, bridge->memory.size);
    if (bridge->prefetch.size != 0) {
        printf(", prefetch 0x%" PRIx64 "+0x%" PRIx64, bridge->prefetch.base, bridge->prefetch.size);
    }
    printf(", interrupts %u-%u, back end: domain %u\n", bridge->interrupt_first,
           bridge->interrupt_first + bridge->interrupt_count - 1, bridge->backend);
}

static void print_file(const struct boot_file *file)
{
    if (file->present) {
        printf("  0x%09" PRIx64 " %s\n", file->address, file->name);
    }
}

static void print_system(const struct work *work)
{
    const struct boot *boot = &work->boot;

    print_file(&boot->script);
    print_file(&boot->xen);
    print_file(&boot->tree);
    print_file(&boot->policy);
    print_file(&boot->bitstream);
    if (work->system.dom0_kernel != NULL) {
        printf("domain 0: dom0\n");
        print_file(&boot->dom0_kernel);
        print_file(&boot->dom0_ramdisk);
    }
    for (unsigned int i = 0; i < work->system.domain_count; i++) {
        const struct system_domain *domain = &work->system.domains[i];

        printf("domain %u: %s\n", domain->id, domain->name);
        print_file(&boot->kernels[i]);
        print_file(&boot->ramdisks[i]);
        print_file(&boot->partial_trees[i]);
        for (unsigned int j = 0; j < domain->bridge_count; j++) {
            print_bridge(&domain->bridges[j], j);
        }
    }
}

static bool write_all(const struct command *command, struct work *work)
{
    struct output output;

    if (command->output == NULL) {
        return true;
    }
    if (!output_init(&output, command->output, work->assignments.report)) {
        return false;
    }
    boot_sum(&work->boot);
    manifest_write(&work->boot, &work->extras, &output);
    if (!output_finish(&output)) {
        return false;
    }
    printf("%s is written; at U-Boot's prompt: %s 0x%" PRIX64 " %s%s%s; source 0x%" PRIX64 "\n", command->output,
           work->system.load, work->boot.script.address, command->prefix, command->prefix[0] != '\0' ? "/" : "",
           work->boot.script.name, work->boot.script.address);
    return true;
}

static bool compose(const struct command *command, struct report *report)
{
    struct work *work = calloc(1, sizeof(*work));
    bool good;

    if (work == NULL) {
        report_write(report, REPORT_ERROR, NULL, "out of memory");
        return false;
    }
    good = read_all(command, work, report) && make_all(command, work);
    if (good) {
        print_system(work);
        good = write_all(command, work);
    }
    manifest_finish(&work->extras);
    if (work->board.fdt != NULL) {
        host_tree_finish(&work->board);
    }
    boot_finish(&work->boot);
    assignments_finish(&work->assignments);
    free(work);
    return good;
}

static bool is_prefix_good(const char *prefix)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-/+,=@~:${}";

    if (prefix[strspn(prefix, allowed)] == '\0') {
        return true;
    }
    fprintf(stderr, "sidebridge: --prefix: letters, digits and ._-/+,=@~:${} may be in it\n");
    return false;
}

/* False when there is nothing more to do: *status is what to return. */
static bool read_command_line(struct command *command, int count, char **arguments, int *status)
{
    static const struct option names[] = {
        {"address-bits", required_argument, NULL, 'a'}, {"directory", required_argument, NULL, 'd'},
        {"efi", no_argument, NULL, 'e'},                {"help", no_argument, NULL, 'h'},
        {"load", required_argument, NULL, 't'},         {"output", required_argument, NULL, 'o'},
        {"prefix", required_argument, NULL, 'p'},       {"xen", required_argument, NULL, 'x'},
        {NULL, 0, NULL, 0},
    };
    const char *directory = NULL;
    char copy[BOOT_PATH_MAX];
    bool good = true;
    int option = 0;

    command->prefix = "";
    while (good && (option = getopt_long(count, arguments, "a:d:ho:p:t:", names, NULL)) != -1) {
        switch (option) {
        case 'a':
            good = options_read_address_bits(optarg, &command->address_bits);
            break;
        case 'd':
            directory = optarg;
            break;
        case 'e':
            command->efi = true;
            break;
        case 'h':
            fputs(usage, stdout);
            *status = options_end_output();
            return false;
        case 'o':
            command->output = optarg;
            break;
        case 'p':
            command->prefix = optarg;
            good = is_prefix_good(optarg);
            break;
        case 't':
            command->system.load = optarg;
            break;
        case 'x':
            good = options_read_version(optarg, &command->system.xen_4_22);
            break;
        default:
            good = false;
            break;
        }
    }
    if (good && count - optind != 1) {
        fprintf(stderr, "sidebridge: %s\n", count == optind ? "an operand is missing" : "too many operands");
        good = false;
    }
    if (!good) {
        fprintf(stderr, "Try 'sidebridge %s --help'.\n", arguments[0]);
        *status = EXIT_USAGE;
        return false;
    }
    command->configuration = arguments[optind];
    snprintf(copy, sizeof(copy), "%s", command->configuration);
    snprintf(command->directory, sizeof(command->directory), "%s",
             directory != NULL ? directory : strcmp(copy, "-") == 0 ? "." : dirname(copy));
    return true;
}

int command_compose(int count, char **arguments)
{
    static struct command command;
    struct report report = {.stream = stderr};
    int status = EXIT_OK;
    bool good;

    if (!read_command_line(&command, count, arguments, &status)) {
        return status;
    }
    report.file = strcmp(command.configuration, "-") == 0 ? "<stdin>" : command.configuration;
    good = compose(&command, &report);
    good = options_end_output() == EXIT_OK && good;
    if (!good && command.output != NULL) {
        fprintf(stderr, "%s: %u error%s; nothing was written\n", report.file, report.errors,
                report.errors == 1 ? "" : "s");
    }
    return good ? EXIT_OK : EXIT_PROBLEMS;
}
