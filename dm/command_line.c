/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * See command_line.h. getopt_long() gets one list of all names: first the program's options, then the kinds.
 */
#include "command_line.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#define DOMAIN_MAX     0x7fefu /* those above are reserved (Xen's public/xen.h) */
#define POLL_US_MAX    1000u
#define MAP_LIMIT_MIN  8u /* MiB */
#define OPTION_FIRST   0x100 /* in what getopt_long() returns: beyond all characters */
#define LONG_OPTIONS   64u
#define KIND_INDENT    "      "

enum sandbox_choice {
    SANDBOX_ON,
    SANDBOX_OFF,
    SANDBOX_REQUIRE,
};

/* What the program's options fill in. */
struct general {
    unsigned int domain;
    unsigned int bridge;
    unsigned int poll_us;
    unsigned int map_limit;
    unsigned int sandbox;
    unsigned int user;
    const char *control;
    const char *ask;
    const char *state;
    bool no_msix;
    bool share;
    bool no_ready;
    bool no_sandbox;
    bool verbose;
    bool help;
    bool version;
};

#define FLAG(field, name, text) { name, SETTING_FLAG, false, NULL, NULL, text, offsetof(struct general, field), 0, 0 }

static const struct setting general_settings[] = {
    { "domain", SETTING_NUMBER, true, "N", NULL,
      "the guest's domain id: domains that Xen starts at boot are numbered from 1, in order of the device tree",
      offsetof(struct general, domain), 1, DOMAIN_MAX },
    { "bridge", SETTING_NUMBER, false, "N", "0",
      "which of the guest's bridges, counted from 0 in order of the device tree",
      offsetof(struct general, bridge), 0, UINT16_MAX },
    FLAG(no_msix, "no-msix", "interrupts by INTx only, as on a bridge without MSI vectors"),
    FLAG(share, "share",
         "answer for nothing but the devices given here, leave the rest of the bus to other device models"),
    FLAG(no_ready, "no-ready", "with --share: another device model, started later, declares the bus ready"),
    { "poll-us", SETTING_NUMBER, false, "N", "0, never",
      "look for requests for so many microseconds before going to sleep with none under way, where that pays: one that "
      "comes meanwhile needs no event; accesses to registers and signals wait so long",
      offsetof(struct general, poll_us), 0, POLL_US_MAX },
    { "state", SETTING_TEXT, false, "FILE", NULL, "keep there what is needed to go on when started again after SIGKILL",
      offsetof(struct general, state), 0, 0 },
    { "control", SETTING_TEXT, false, "PATH", NULL, "listen on a socket of that name for questions and commands",
      offsetof(struct general, control), 0, 0 },
    { "ask", SETTING_TEXT, false, "PATH", NULL,
      "be no device model, but ask one that listens there: the words that follow are a command and its arguments, "
      "NAME=VALUE; 'help' lists them",
      offsetof(struct general, ask), 0, 0 },
    { "map-limit", SETTING_NUMBER, false, "MIB", "a quarter of the memory that is free here, 32 at least",
      "map at most so much of the guest's memory at a time", offsetof(struct general, map_limit), MAP_LIMIT_MIN,
      UINT32_MAX },
    { "sandbox", SETTING_CHOICE, false, "on|off|require", "on",
      "give up what is not needed before serving; with 'require' do not serve if the kernel lacks a layer of it",
      offsetof(struct general, sandbox), 0, 0 },
    FLAG(no_sandbox, "no-sandbox", "as --sandbox=off: keep all privileges, for a debugger"),
    { "user", SETTING_NUMBER, false, "N", "1879048192 + the domain id", "the user id, and group, to serve as",
      offsetof(struct general, user), 1, INT32_MAX },
    FLAG(verbose, "verbose", "say more, and print counters at the end"),
    FLAG(help, "help", "print this text"),
    FLAG(version, "version", "print the version"),
};
static const struct settings general = SETTINGS(general_settings);

/* What every device has. */
static const struct setting device_settings[] = {
    { "addr", SETTING_NUMBER, false, "N", "the first that is free",
      "the PCI device number; in plain ranges devices come one every 0x200 bytes, in order",
      offsetof(struct model_device, number), 1, MODEL_DEVICES_MAX },
    { "name", SETTING_TEXT, false, "NAME", NULL, "what messages call the device",
      offsetof(struct model_device, name), 0, 0 },
};
static const struct settings every_device = SETTINGS(device_settings);

/* By kind and place: the options of the devices. */
static void *device_options[MODEL_DEVICES_MAX];

static int wrong(const char *what, const char *value)
{
    (void)fprintf(stderr, PROGRAM ": %s: '%s' (try --help)\n", what, value);
    return -1;
}

static int wrong_setting(const char *option, const char *name, const char *error, const char *value)
{
    char what[2 * SETTINGS_ERROR_MAX];

    (void)snprintf(what, sizeof(what), "--%s%s%s %s", option, name ? ": " : "", name ? name : "", error);
    return wrong(what, value ? value : "");
}

static unsigned int kind_count(void)
{
    unsigned int count = 0;

    while (kinds[count]) {
        count++;
    }
    return count;
}

static bool needs_first(const struct kind *kind)
{
    return kind->settings.count > 0 && kind->settings.setting[0].needed;
}

static void print_kind_name(const struct kind *kind, const char *mark, FILE *to)
{
    if (needs_first(kind)) {
        (void)fprintf(to, "%s--%s%s %s[,...]", mark, kind->name, mark, kind->settings.setting[0].value);
    } else {
        (void)fprintf(to, "%s--%s%s [...]", mark, kind->name, mark);
    }
}

/* Without the one that stands without its name. */
static struct settings named_settings(const struct kind *kind)
{
    const unsigned int first = needs_first(kind);

    return (struct settings){ kind->settings.setting + first, kind->settings.count - first };
}

static void print_help(FILE *to)
{
    (void)fputs("Usage: " PROGRAM " --domain N [OPTION]... DEVICE...\n"
                "  or:  " PROGRAM " --ask PATH COMMAND [NAME=VALUE]...\n"
                "Gives a Xen guest virtio devices behind its secondary PCI host bridge, or in plain ranges.\n"
                "\n"
                "Options:\n",
                to);
    settings_print_help(&general, "--", '=', to);
    (void)fprintf(to,
                  "\nDevices, up to %u in all, each with settings NAME=VALUE or NAME, separated by commas; a comma\n"
                  "that belongs to a value is written twice:\n",
                  MODEL_DEVICES_MAX);
    for (const struct kind *const *kind = kinds; *kind; kind++) {
        const struct settings named = named_settings(*kind);

        (void)fputs("  ", to);
        print_kind_name(*kind, "", to);
        (void)fputs("\n" KIND_INDENT, to);
        settings_print_text((*kind)->help, sizeof(KIND_INDENT) - 1, to);
        if (needs_first(*kind)) {
            (void)fprintf(to, KIND_INDENT "%s: ", (*kind)->settings.setting[0].value);
            settings_print_text((*kind)->settings.setting[0].help, sizeof(KIND_INDENT) - 1, to);
        }
        settings_print_help(&named, "    ", '=', to);
    }
    (void)fputs("  Every device:\n", to);
    settings_print_help(&every_device, "    ", '=', to);
}

void command_line_print_options(FILE *to)
{
    settings_print_manual(&general, "--", ' ', to);
}

void command_line_print_kinds(FILE *to)
{
    for (const struct kind *const *kind = kinds; *kind; kind++) {
        const struct settings named = named_settings(*kind);

        (void)fputs("## ", to);
        print_kind_name(*kind, "", to);
        (void)fprintf(to, "\n\nGives %s.", (*kind)->help);
        if (needs_first(*kind)) {
            (void)fprintf(to, " _%s_ is %s.", (*kind)->settings.setting[0].value, (*kind)->settings.setting[0].help);
        }
        (void)fputs("\n\n", to);
        settings_print_manual(&named, "", '=', to);
    }
    (void)fputs("## Every device\n\n", to);
    settings_print_manual(&every_device, "", '=', to);
}

/*
 * Cuts *rest at its first single comma, in place; a double comma becomes one. Returns the part before; *rest is NULL
 * at the end.
 */
static char *cut(char **rest)
{
    char *const start = *rest;
    char *to = start;
    char *from = start;

    for (; *from != '\0'; from++) {
        if (*from == ',' && *++from != ',') {
            *to = '\0';
            *rest = from;
            return start;
        }
        *to++ = *from;
    }
    *to = '\0';
    *rest = NULL;
    return start;
}

static int set_of_device(const struct model_device *device, void *options, const char *name, const char *value)
{
    char error[SETTINGS_ERROR_MAX];
    int result = settings_set(&every_device, (void *)(uintptr_t)device, name, value, error);

    if (result == -ENOENT) {
        result = settings_set(&device->kind->settings, options, name, value, error);
    }
    if (result == -ENOENT) {
        return wrong_setting(device->kind->name, NULL, "knows no option", name);
    }
    return result ? wrong_setting(device->kind->name, name, error, value) : 0;
}

static int parse_device(struct command_line *line, const struct kind *kind, char *argument)
{
    const unsigned int place = line->model.device_count;
    struct model_device *device = &line->model.device[place];
    char *rest = argument;

    if (place == MODEL_DEVICES_MAX) {
        return wrong("too many devices", argument ? argument : kind->name);
    }
    device_options[place] = calloc(1, kind->options_size ? kind->options_size : 1);
    if (!device_options[place]) {
        return wrong("no memory for a device", kind->name);
    }
    *device = (struct model_device){ .kind = kind, .options = device_options[place] };
    for (bool first = needs_first(kind); rest; first = false) {
        char *const word = cut(&rest);
        char *const equals = first ? NULL : strchr(word, '=');

        if (equals) {
            *equals = '\0';
        }
        if (set_of_device(device, device_options[place], first ? kind->settings.setting[0].name : word,
                          first    ? word
                          : equals ? equals + 1
                                   : NULL)) {
            return -1;
        }
    }
    line->model.device_count++;
    return 0;
}

/* A kind that needs nothing may stand alone: then the next word is another option, or nothing. */
static char *argument_of(const struct kind *kind, int argc, char **argv)
{
    if (!optarg && !needs_first(kind) && optind < argc && argv[optind][0] != '-') {
        return argv[optind++];
    }
    return optarg;
}

static int parse_options(struct command_line *line, struct general *values, int argc, char **argv)
{
    struct option list[LONG_OPTIONS] = { 0 };
    int option;

    if (general.count + kind_count() >= LONG_OPTIONS) {
        abort(); /* a matter of this program alone */
    }
    for (unsigned int i = 0; i < general.count; i++) {
        list[i] = (struct option){ general.setting[i].name,
                                   general.setting[i].value ? required_argument : no_argument, NULL,
                                   OPTION_FIRST + (int)i };
    }
    for (unsigned int i = 0; kinds[i]; i++) {
        list[general.count + i] = (struct option){
            kinds[i]->name, needs_first(kinds[i]) ? required_argument : optional_argument, NULL,
            OPTION_FIRST + (int)(general.count + i),
        };
    }
    while ((option = getopt_long(argc, argv, "", list, NULL)) != -1) {
        const unsigned int index = (unsigned int)(option - OPTION_FIRST);
        char error[SETTINGS_ERROR_MAX];

        if (option < OPTION_FIRST) {
            (void)fputs("(try " PROGRAM " --help)\n", stderr);
            return -1;
        }
        if (index >= general.count) {
            const struct kind *kind = kinds[index - general.count];

            if (parse_device(line, kind, argument_of(kind, argc, argv))) {
                return -1;
            }
        } else if (settings_set(&general, values, list[index].name, optarg, error)) {
            return wrong_setting(list[index].name, NULL, error, optarg);
        }
        if (values->help || values->version) {
            return 0;
        }
    }
    line->ask = values->ask;
    line->words = argv + optind;
    return optind < argc && !values->ask ? wrong("no such argument", argv[optind]) : 0;
}

static int check(const struct command_line *line, const struct general *values)
{
    const char *missing = settings_missing(&general, values);

    if (missing) {
        return wrong_setting(missing, NULL, "is missing", "");
    }
    if (values->no_ready && !values->share) {
        return wrong("--no-ready is for a bus that is shared; an option is missing", "--share");
    }
    if (values->share && line->model.device_count == 0) {
        return wrong("--share without a device; an option is missing, such as", "--blk");
    }
    if (values->sandbox == SANDBOX_REQUIRE && values->no_sandbox) {
        return wrong("--sandbox=require excludes another option", "--no-sandbox");
    }
    return 0;
}

static void fill_in(struct command_line *line, const struct general *values)
{
    line->verbose = values->verbose;
    line->model.domain = values->domain;
    line->model.bridge = values->bridge;
    line->model.msix = !values->no_msix;
    line->model.shared = values->share;
    line->model.no_ready = values->no_ready;
    line->model.poll_us = values->poll_us;
    line->model.control = values->control;
    line->model.state = values->state;
    line->model.map_limit = (uint64_t)values->map_limit << 20;
    line->model.sandbox = values->sandbox != SANDBOX_OFF && !values->no_sandbox;
    line->model.sandbox_required = values->sandbox == SANDBOX_REQUIRE;
    line->model.user = values->user ? values->user : SANDBOX_USER_FIRST + values->domain;
}

static enum command_line_result print(const struct general *values)
{
    if (values->help) {
        print_help(stdout);
    } else {
        (void)puts(PROGRAM " " SIDEBRIDGE_VERSION);
    }
    if (fflush(stdout) || ferror(stdout)) {
        (void)fprintf(stderr, PROGRAM ": standard output: %s\n", strerror(errno));
        return COMMAND_LINE_FAILED;
    }
    return COMMAND_LINE_PRINTED;
}

enum command_line_result command_line_parse(struct command_line *line, int argc, char **argv)
{
    struct general values = { 0 };

    if (parse_options(line, &values, argc, argv)) {
        return COMMAND_LINE_WRONG;
    }
    if (values.help || values.version) {
        return print(&values);
    }
    if (line->ask) {
        return *line->words ? COMMAND_LINE_ASK : (wrong("--ask without a command", "help"), COMMAND_LINE_WRONG);
    }
    if (check(line, &values)) {
        return COMMAND_LINE_WRONG;
    }
    fill_in(line, &values);
    return COMMAND_LINE_SERVE;
}
