/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * See command_line.h. getopt_long() gets one list of all names: first the program's options, then the kinds. The first
 * fault of a command line ends the look at it; of a file all are told, each with its line.
 */
#include "command_line.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "config_file.h"

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
    const char *config;
    bool check_config;
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
    { "config", SETTING_TEXT, false, "FILE", NULL,
      "options and devices that a file says as well: see CONFIGURATION FILE in the manual page",
      offsetof(struct general, config), 0, 0 },
    FLAG(check_config, "check-config", "say all that is wrong with the command line and the file, and serve nothing"),
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

/* By place: the options of the devices. */
static void *device_options[MODEL_DEVICES_MAX];

/* What is parsed, and how far. */
struct parser {
    struct command_line *line;
    struct general values;
    uint64_t given; /* one bit a program's option: the command line has said it */
    unsigned int device_line[MODEL_DEVICES_MAX]; /* in the file; 0: on the command line */

    /* While the file is read: */
    unsigned int faults;
    unsigned int section_line; /* 0: no section that is to be ended */
    unsigned int section_faults; /* when it began */
    const char *section;
    struct model_device *device; /* NULL: it is the program's, or unknown */
    bool program;
    unsigned int program_line; /* where that section began; 0: nowhere yet */
    uint64_t seen; /* one bit a setting of the section */
};

/* The file, if there is one, whose texts are borrowed by the options. */
static struct config_file config_file;

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

/* `error` is set unless the result is -ENOENT: it has no setting of that name. */
static int set_of_device(struct model_device *device, const char *name, const char *value,
                         char error[SETTINGS_ERROR_MAX])
{
    const int result = settings_set(&every_device, device, name, value, error);

    return result == -ENOENT
               ? settings_set(&device->kind->settings, (void *)(uintptr_t)device->options, name, value, error)
               : result;
}

/* The next device, which is not counted yet. NULL: there are too many, or there is no memory; `why` says so. */
static struct model_device *begin_device(struct parser *parser, const struct kind *kind, const char **why)
{
    const unsigned int place = parser->line->model.device_count;
    struct model_device *device = &parser->line->model.device[place];

    if (place == MODEL_DEVICES_MAX) {
        *why = "too many devices";
        return NULL;
    }
    free(device_options[place]);
    device_options[place] = calloc(1, kind->options_size ? kind->options_size : 1);
    if (!device_options[place]) {
        *why = "no memory for a device";
        return NULL;
    }
    *device = (struct model_device){ .kind = kind, .options = device_options[place] };
    return device;
}

static int parse_device(struct parser *parser, const struct kind *kind, char *argument)
{
    const char *why;
    struct model_device *device = begin_device(parser, kind, &why);
    char *rest = argument;

    if (!device) {
        return wrong(why, argument ? argument : kind->name);
    }
    for (bool first = needs_first(kind); rest; first = false) {
        char *const word = cut(&rest);
        char *const equals = first ? NULL : strchr(word, '=');
        const char *const name = first ? kind->settings.setting[0].name : word;
        const char *const value = first ? word : equals ? equals + 1 : NULL;
        char error[SETTINGS_ERROR_MAX];
        int result;

        if (equals) {
            *equals = '\0';
        }
        result = set_of_device(device, name, value, error);
        if (result) {
            return result == -ENOENT ? wrong_setting(kind->name, NULL, "knows no option", name)
                                     : wrong_setting(kind->name, name, error, value);
        }
    }
    parser->line->model.device_count++;
    return 0;
}

static void file_fault(struct parser *parser, unsigned int line, const char *what, const char *value)
{
    (void)fprintf(stderr, PROGRAM ": %s:%u: %s%s%s%s\n", parser->values.config, line, what, value ? ": '" : "",
                  value ? value : "", value ? "'" : "");
    parser->faults++;
}

static void setting_fault(struct parser *parser, const struct config_file_entry *entry, const char *error)
{
    char what[2 * SETTINGS_ERROR_MAX];

    (void)snprintf(what, sizeof(what), "[%s] %.100s %s", entry->section, entry->name, error);
    file_fault(parser, entry->line, what, entry->value);
}

static void line_fault(void *opaque, unsigned int line, const char *what)
{
    file_fault(opaque, line, what, NULL);
}

/* What must be said and was not; where something was wrong that may have been it. */
static void end_section(struct parser *parser)
{
    const char *missing =
        parser->device && parser->faults == parser->section_faults
            ? settings_missing(&parser->device->kind->settings, parser->device->options)
            : NULL;
    char what[SETTINGS_ERROR_MAX];

    if (missing) {
        (void)snprintf(what, sizeof(what), "[%s] %s is missing", parser->section, missing);
        file_fault(parser, parser->section_line, what, NULL);
    }
    parser->line->model.device_count += parser->device != NULL;
    parser->device = NULL;
    parser->program = false;
}

static void begin_program(struct parser *parser, unsigned int line)
{
    char what[SETTINGS_ERROR_MAX];

    if (parser->program_line) {
        (void)snprintf(what, sizeof(what), "[" PROGRAM "] is there already, in line %u", parser->program_line);
        file_fault(parser, line, what, NULL);
    }
    parser->program = true;
    parser->program_line = line;
}

/* [KIND NAME] or [KIND] */
static void begin_section(struct parser *parser, const struct config_file_entry *entry)
{
    const size_t length = strcspn(entry->section, " ");
    const struct kind *kind = kind_of_name(entry->section, length);
    const char *why = "no section has such a title: it is " PROGRAM ", or begins with a kind of device";

    end_section(parser);
    parser->section = entry->section;
    parser->section_line = entry->line;
    parser->seen = 0;
    if (strcmp(entry->section, PROGRAM) == 0) {
        begin_program(parser, entry->line);
    } else if (kind && (parser->device = begin_device(parser, kind, &why))) {
        parser->device->name = entry->section[length] ? entry->section + length + 1 : NULL;
        parser->device_line[parser->line->model.device_count] = entry->line;
    } else {
        file_fault(parser, entry->line, why, entry->section);
    }
    parser->section_faults = parser->faults;
}

/* Whether it is the first of its name in its section; those that are unknown, too. */
static bool first_of_name(struct parser *parser, const struct settings *settings, const char *name, unsigned int base)
{
    for (unsigned int i = 0; i < settings->count; i++) {
        const uint64_t bit = 1ull << (base + i);

        if (strcmp(settings->setting[i].name, name) == 0) {
            const bool first = !(parser->seen & bit) || settings->setting[i].type == SETTING_TEXTS;

            parser->seen |= bit;
            return first;
        }
    }
    return true;
}

static bool of_command_line_alone(const char *name)
{
    static const char *const names[] = { "ask", "check-config", "config", "help", "version" };

    for (unsigned int i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcmp(names[i], name) == 0) {
            return true;
        }
    }
    return false;
}

/* One bit of `given`; 0: there is none of that name. */
static uint64_t option_bit(const char *name)
{
    for (unsigned int i = 0; i < general.count; i++) {
        if (strcmp(general.setting[i].name, name) == 0) {
            return 1ull << i;
        }
    }
    return 0;
}

static int set_program(struct parser *parser, const struct config_file_entry *entry, char error[SETTINGS_ERROR_MAX])
{
    struct general beaten = parser->values; /* what the command line says counts; the value is to be right all the same */

    if (of_command_line_alone(entry->name)) {
        (void)snprintf(error, SETTINGS_ERROR_MAX, "belongs on the command line");
        return -EINVAL;
    }
    return settings_set(&general, parser->given & option_bit(entry->name) ? &beaten : &parser->values, entry->name,
                        entry->value, error);
}

static void set_in_section(struct parser *parser, const struct config_file_entry *entry)
{
    const bool first = parser->program ? first_of_name(parser, &general, entry->name, 0)
                                       : first_of_name(parser, &every_device, entry->name, 0) &&
                                             first_of_name(parser, &parser->device->kind->settings, entry->name,
                                                           every_device.count);
    char error[SETTINGS_ERROR_MAX];
    int result;

    if (!first) {
        setting_fault(parser, entry, "is there already, in the same section");
        return;
    }
    if (!parser->program && strcmp(entry->name, "name") == 0) {
        setting_fault(parser, entry, "is what stands in the section's title");
        return;
    }
    result = parser->program ? set_program(parser, entry, error)
                             : set_of_device(parser->device, entry->name, entry->value, error);
    if (result) {
        setting_fault(parser, entry, result == -ENOENT ? "is not known" : error);
    }
}

static void take_entry(void *opaque, const struct config_file_entry *entry)
{
    struct parser *parser = opaque;

    if (!entry->name) {
        begin_section(parser, entry);
    } else if (parser->program || parser->device) {
        set_in_section(parser, entry);
    } else if (*entry->section == '\0') {
        file_fault(parser, entry->line, "stands before the first section", entry->name);
    }
}

static int read_config(struct parser *parser)
{
    const struct config_file_reader reader = { take_entry, line_fault, parser };
    char error[CONFIG_FILE_ERROR_MAX];

    if (config_file.content) {
        return wrong("--config may be given once", parser->values.config);
    }
    if (config_file_load(&config_file, parser->values.config, error)) {
        (void)fprintf(stderr, PROGRAM ": %s: %s\n", parser->values.config, error);
        return -1;
    }
    config_file_read(&config_file, &reader);
    end_section(parser);
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

/* First the program's options, then the kinds. A flag may have a value behind '=', to take back what a file says. */
static void list_options(struct option list[LONG_OPTIONS])
{
    if (general.count + kind_count() >= LONG_OPTIONS) {
        abort(); /* a matter of this program alone */
    }
    for (unsigned int i = 0; i < general.count; i++) {
        list[i] = (struct option){ general.setting[i].name,
                                   general.setting[i].value ? required_argument : optional_argument, NULL,
                                   OPTION_FIRST + (int)i };
    }
    for (unsigned int i = 0; kinds[i]; i++) {
        list[general.count + i] = (struct option){
            kinds[i]->name, needs_first(kinds[i]) ? required_argument : optional_argument, NULL,
            OPTION_FIRST + (int)(general.count + i),
        };
    }
}

static int parse_option(struct parser *parser, unsigned int index)
{
    const struct setting *setting = &general.setting[index];
    char error[SETTINGS_ERROR_MAX];

    if (settings_set(&general, &parser->values, setting->name, optarg, error)) {
        return wrong_setting(setting->name, NULL, error, optarg);
    }
    parser->given |= 1ull << index;
    return strcmp(setting->name, "config") == 0 ? read_config(parser) : 0;
}

static int parse_options(struct parser *parser, int argc, char **argv)
{
    struct option list[LONG_OPTIONS] = { 0 };
    int option;

    list_options(list);
    while ((option = getopt_long(argc, argv, "", list, NULL)) != -1) {
        const unsigned int index = (unsigned int)(option - OPTION_FIRST);
        int result;

        if (option < OPTION_FIRST) {
            (void)fputs("(try " PROGRAM " --help)\n", stderr);
            return -1;
        }
        if (index >= general.count) {
            const struct kind *kind = kinds[index - general.count];

            result = parse_device(parser, kind, argument_of(kind, argc, argv));
        } else {
            result = parse_option(parser, index);
        }
        if (result || parser->values.help || parser->values.version) {
            return result;
        }
    }
    parser->line->ask = parser->values.ask;
    parser->line->words = argv + optind;
    return optind < argc && !parser->values.ask ? wrong("no such argument", argv[optind]) : 0;
}

static int same_as_before(struct parser *parser, unsigned int place, const char *what, const char *value)
{
    if (!parser->device_line[place]) {
        return wrong(what, value);
    }
    file_fault(parser, parser->device_line[place], what, value);
    return 0;
}

/* Devices have names and numbers of their own. */
static int check_devices(struct parser *parser)
{
    const struct model_options *model = &parser->line->model;
    int result = 0;

    for (unsigned int i = 0; i < model->device_count; i++) {
        const struct model_device *device = &model->device[i];
        char number[16];

        (void)snprintf(number, sizeof(number), "%u", device->number);
        for (unsigned int j = 0; j < i; j++) {
            if (device->name && model->device[j].name && strcmp(device->name, model->device[j].name) == 0) {
                result |= same_as_before(parser, i, "another device has the same name", device->name);
            }
            if (device->number != 0 && device->number == model->device[j].number) {
                result |= same_as_before(parser, i, "another device has the same addr", number);
            }
        }
    }
    return result;
}

/* All that is wrong with what was said in good order. */
static int check(struct parser *parser)
{
    const struct general *values = &parser->values;
    const char *missing = settings_missing(&general, values);
    int result = check_devices(parser);

    if (missing) {
        result = wrong_setting(missing, NULL, "is missing", "");
    }
    if (values->no_ready && !values->share) {
        result = wrong("--no-ready is for a bus that is shared; an option is missing", "--share");
    }
    if (values->share && parser->line->model.device_count == 0) {
        result = wrong("--share without a device; an option is missing, such as", "--blk");
    }
    if (values->sandbox == SANDBOX_REQUIRE && values->no_sandbox) {
        result = wrong("--sandbox=require excludes another option", "--no-sandbox");
    }
    return result;
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
    struct parser parser = { .line = line };
    int result = parse_options(&parser, argc, argv);

    if (!result && (parser.values.help || parser.values.version)) {
        return print(&parser.values);
    }
    if (!result && line->ask) {
        return *line->words ? COMMAND_LINE_ASK : (wrong("--ask without a command", "help"), COMMAND_LINE_WRONG);
    }
    result = result ? result : check(&parser);
    if (result || parser.faults > 0) {
        return parser.values.check_config ? COMMAND_LINE_FAILED : COMMAND_LINE_WRONG;
    }
    fill_in(line, &parser.values);
    return parser.values.check_config ? COMMAND_LINE_PRINTED : COMMAND_LINE_SERVE;
}

void command_line_finish(void)
{
    for (unsigned int i = 0; i < MODEL_DEVICES_MAX; i++) {
        free(device_options[i]);
        device_options[i] = NULL;
    }
    config_file_finish(&config_file);
}
