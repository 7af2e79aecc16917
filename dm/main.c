/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sidebridge-dm: the command line, signals and exit codes. See docs/sidebridge-dm.1.scd.
 *
 * Exit codes: 0 stopped by a signal or because the guest is gone; 1 something failed, one line on standard error says
 * what; 2 the command line is wrong.
 */
#include <errno.h>
#include <getopt.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#include "model.h"
#include "sandbox.h"

#define NAME            "sidebridge-dm"
#define MAP_LIMIT_LEAST 8u /* MiB */

#define POLL_US_MAX   1000u
#define SPARSE_BYTES  0x2000 /* what is so large comes from the kernel */
#define ALIVE_SECONDS 2 /* how often to look whether the guest is still there */

enum exit_code {
    EXIT_OK = 0,
    EXIT_FAILED = 1,
    EXIT_USAGE = 2,
};

enum option_letter {
    OPTION_DOMAIN = 'd',
    OPTION_BRIDGE = 'b',
    OPTION_BLK = 'k',
    OPTION_NO_MSIX = 'm',
    OPTION_SHARE = 's',
    OPTION_NO_READY = 'r',
    OPTION_POLL_US = 'p',
    OPTION_STATE = 'S',
    OPTION_MAP_LIMIT = 'M',
    OPTION_SANDBOX = 'x',
    OPTION_NO_SANDBOX = 'n',
    OPTION_USER = 'u',
    OPTION_VERBOSE = 'v',
    OPTION_HELP = 'h',
    OPTION_VERSION = 'V',
};

struct command_line {
    struct model_options model;
    bool has_domain;
    bool verbose;
};

static const struct option long_options[] = {
    { "domain", required_argument, NULL, OPTION_DOMAIN },
    { "bridge", required_argument, NULL, OPTION_BRIDGE },
    { "blk", required_argument, NULL, OPTION_BLK },
    { "no-msix", no_argument, NULL, OPTION_NO_MSIX },
    { "share", no_argument, NULL, OPTION_SHARE },
    { "no-ready", no_argument, NULL, OPTION_NO_READY },
    { "poll-us", required_argument, NULL, OPTION_POLL_US },
    { "state", required_argument, NULL, OPTION_STATE },
    { "map-limit", required_argument, NULL, OPTION_MAP_LIMIT },
    { "sandbox", required_argument, NULL, OPTION_SANDBOX },
    { "no-sandbox", no_argument, NULL, OPTION_NO_SANDBOX },
    { "user", required_argument, NULL, OPTION_USER },
    { "verbose", no_argument, NULL, OPTION_VERBOSE },
    { "help", no_argument, NULL, OPTION_HELP },
    { "version", no_argument, NULL, OPTION_VERSION },
    { 0 },
};

static void print_help(FILE *to)
{
    (void)fputs("Usage: " NAME " --domain N [OPTION]... --blk FILE[,readonly][,id=ID][,addr=N]...\n"
                "Gives a Xen guest virtio devices behind its secondary PCI host bridge, or in plain ranges.\n"
                "\n"
                "  --domain N     the guest's domain id\n"
                "  --bridge N     which of the guest's bridges, from 0 (default: 0)\n"
                "  --blk FILE[,readonly][,id=ID][,addr=N]\n"
                "                 a disk: a file or a block device (a comma in FILE is written twice),\n"
                "                 as PCI device N, 1 to 31 (default: the first that is free, from 1);\n"
                "                 in plain ranges: a virtio-mmio device, one every 0x200 bytes\n"
                "  --no-msix      interrupts by INTx only\n"
                "  --share        leave the rest of the bus to other device models\n"
                "  --no-ready     with --share: another device model, started later, declares the bus ready\n"
                "  --poll-us N    look for requests so long before going to sleep, where that pays (default: 0)\n"
                "  --state FILE   keep there what is needed to go on, when started again after SIGKILL\n"
                "  --map-limit MIB\n"
                "                 map at most so much of the guest's memory at a time, 8 or more (default: a\n"
                "                 quarter of the memory that is free here, 32 at least)\n"
                "  --sandbox=require\n"
                "                 do not serve if the kernel lacks a layer of the sandbox\n"
                "  --no-sandbox   keep all privileges, for a debugger\n"
                "  --user N       the user id, and group, to serve as (default: 1879048192 + the domain id)\n"
                "  --verbose      say more, and print counters at the end\n"
                "  --help         this text\n"
                "  --version      the version\n",
                to);
}

static int usage_error(const char *what, const char *value)
{
    (void)fprintf(stderr, NAME ": %s: '%s' (try --help)\n", what, value);
    return EXIT_USAGE;
}

static bool parse_number(const char *text, unsigned int limit, unsigned int *number)
{
    char *end;
    unsigned long value;

    if (*text < '0' || *text > '9') {
        return false;
    }
    errno = 0;
    value = strtoul(text, &end, 0);
    if (errno || *end != '\0' || value > limit) {
        return false;
    }
    *number = (unsigned int)value;
    return true;
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

static int parse_blk(struct command_line *line, char *argument)
{
    struct blk_options *disk = &line->model.disk[line->model.disk_count];
    char *rest = argument;

    if (line->model.disk_count == MODEL_DISKS_MAX) {
        return usage_error("too many devices", argument);
    }
    disk->path = cut(&rest);
    if (*disk->path == '\0') {
        return usage_error("--blk without a file", argument);
    }
    while (rest) {
        char *word = cut(&rest);

        if (strcmp(word, "readonly") == 0) {
            disk->read_only = true;
        } else if (strncmp(word, "id=", 3) == 0) {
            disk->id = word + 3;
        } else if (strncmp(word, "addr=", 5) == 0) {
            unsigned int *device = &line->model.device[line->model.disk_count];

            if (!parse_number(word + 5, MODEL_DISKS_MAX, device) || *device == 0) {
                return usage_error("addr= wants a PCI device number, 1 to 31", word);
            }
        } else {
            return usage_error("--blk knows no option", word);
        }
    }
    line->model.disk_count++;
    return EXIT_OK;
}

/* EXIT_OK, EXIT_USAGE, or -1: help or version was printed. */
static int parse_option(struct command_line *line, int option, char *argument)
{
    unsigned int number;

    switch (option) {
    case OPTION_DOMAIN:
        line->has_domain = parse_number(argument, 0x7fff, &line->model.domain);
        return line->has_domain ? EXIT_OK : usage_error("--domain wants a domain id", argument);
    case OPTION_BRIDGE:
        return parse_number(argument, UINT16_MAX, &line->model.bridge)
                   ? EXIT_OK
                   : usage_error("--bridge wants a number", argument);
    case OPTION_BLK:
        return parse_blk(line, argument);
    case OPTION_NO_MSIX:
        line->model.msix = false;
        return EXIT_OK;
    case OPTION_SHARE:
        line->model.shared = true;
        return EXIT_OK;
    case OPTION_NO_READY:
        line->model.no_ready = true;
        return EXIT_OK;
    case OPTION_POLL_US:
        return parse_number(argument, POLL_US_MAX, &line->model.poll_us)
                   ? EXIT_OK
                   : usage_error("--poll-us wants microseconds, 1000 at most", argument);
    case OPTION_STATE:
        line->model.state = argument;
        return EXIT_OK;
    case OPTION_MAP_LIMIT:
        if (!parse_number(argument, UINT32_MAX, &number) || number < MAP_LIMIT_LEAST) {
            return usage_error("--map-limit wants a number of MiB, 8 or more", argument);
        }
        line->model.map_limit = (uint64_t)number << 20;
        return EXIT_OK;
    case OPTION_SANDBOX:
        line->model.sandbox_required = strcmp(argument, "require") == 0;
        return line->model.sandbox_required ? EXIT_OK : usage_error("--sandbox wants 'require'", argument);
    case OPTION_NO_SANDBOX:
        line->model.sandbox = false;
        return EXIT_OK;
    case OPTION_USER:
        return parse_number(argument, INT32_MAX, &line->model.user) && line->model.user > 0
                   ? EXIT_OK
                   : usage_error("--user wants the number of a user other than root", argument);
    case OPTION_VERBOSE:
        line->verbose = true;
        return EXIT_OK;
    case OPTION_HELP:
        print_help(stdout);
        return -1;
    case OPTION_VERSION:
        (void)puts(NAME " " SIDEBRIDGE_VERSION);
        return -1;
    default:
        (void)fputs("(try " NAME " --help)\n", stderr);
        return EXIT_USAGE;
    }
}

static int parse(struct command_line *line, int argc, char **argv)
{
    int option;

    while ((option = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
        const int result = parse_option(line, option, optarg);

        if (result != EXIT_OK) {
            return result;
        }
    }
    if (optind < argc) {
        return usage_error("no such argument", argv[optind]);
    }
    if (!line->has_domain) {
        return usage_error("an option is missing", "--domain");
    }
    if (line->model.no_ready && !line->model.shared) {
        return usage_error("--no-ready is for a bus that is shared; an option is missing", "--share");
    }
    if (line->model.shared && line->model.disk_count == 0) {
        return usage_error("--share without a device; an option is missing", "--blk");
    }
    if (line->model.sandbox_required && !line->model.sandbox) {
        return usage_error("--sandbox=require excludes another option", "--no-sandbox");
    }
    if (line->model.user == 0) {
        line->model.user = SANDBOX_USER_FIRST + line->model.domain;
    }
    return EXIT_OK;
}

static struct model *signalled; /* while signals are not blocked */

static void take_signal(int signal)
{
    const int saved = errno;

    model_signal(signalled, signal == SIGALRM  ? MODEL_SIGNAL_GUEST
                            : signal == SIGHUP ? MODEL_SIGNAL_DISKS
                                               : MODEL_SIGNAL_STOP);
    errno = saved;
}

static int signal_set(sigset_t *signals)
{
    return sigemptyset(signals) || sigaddset(signals, SIGTERM) || sigaddset(signals, SIGINT) ||
                   sigaddset(signals, SIGHUP) || sigaddset(signals, SIGALRM)
               ? -1
               : 0;
}

/* Until there is a model, and when it has ended, signals wait. */
static int block_signals(void)
{
    sigset_t signals;

    return signal_set(&signals) || sigprocmask(SIG_BLOCK, &signals, NULL) ? -1 : 0;
}

/* From now on signals are the model's, and one comes every ALIVE_SECONDS. */
static int give_signals(struct model *model)
{
    const struct timeval time = { .tv_sec = ALIVE_SECONDS };
    const struct itimerval period = { .it_interval = time, .it_value = time };
    struct sigaction action = { .sa_handler = take_signal, .sa_flags = SA_RESTART };

    signalled = model;
    return signal_set(&action.sa_mask) || sigaction(SIGTERM, &action, NULL) || sigaction(SIGINT, &action, NULL) ||
                   sigaction(SIGHUP, &action, NULL) || sigaction(SIGALRM, &action, NULL) ||
                   setitimer(ITIMER_REAL, &period, NULL) || sigprocmask(SIG_UNBLOCK, &action.sa_mask, NULL)
               ? -1
               : 0;
}

static void announce(const struct command_line *line, bool resumed)
{
    (void)fprintf(stderr, NAME ": %s: domain %u, bridge %u, %u device%s%s\n",
                  line->model.no_ready ? "serving" : "ready", line->model.domain, line->model.bridge,
                  line->model.disk_count, line->model.disk_count == 1 ? "" : "s",
                  resumed ? ", resumed" : "");
}

static int serve(const struct command_line *line)
{
    char error[MODEL_ERROR_MAX];
    struct model *model;

    if (model_create(&model, &line->model, error)) {
        (void)fprintf(stderr, NAME ": %s\n", error);
        return EXIT_FAILED;
    }
    if (give_signals(model)) {
        (void)fprintf(stderr, NAME ": no signals: %s\n", strerror(errno));
        (void)model_destroy(model, error);
        return EXIT_FAILED;
    }
    if (*model_sandbox_lacks(model) != '\0') {
        (void)fprintf(stderr, NAME ": the sandbox lacks: %s\n", model_sandbox_lacks(model));
    }
    announce(line, model_resumed(model));
    model_run(model);
    (void)block_signals();

    if (model_guest_gone(model)) {
        (void)fprintf(stderr, NAME ": domain %u is gone\n", line->model.domain);
    }
    if (line->verbose) {
        model_report(model, stderr);
    }
    if (model_destroy(model, error)) {
        (void)fprintf(stderr, NAME ": %s\n", error);
        return EXIT_FAILED;
    }
    return EXIT_OK;
}

/* Of help or the version: not all of it may have been written. */
static int end_output(void)
{
    if (fflush(stdout) || ferror(stdout)) {
        (void)fprintf(stderr, NAME ": standard output: %s\n", strerror(errno));
        return EXIT_FAILED;
    }
    return EXIT_OK;
}

/*
 * What is large is for all that a bridge may have, and most of it is never used. It takes no memory if it comes from
 * the kernel, cleared; the C library would clear it, in the piece of memory of which it begins with too much.
 */
static void keep_memory_sparse(void)
{
    (void)mallopt(M_MMAP_THRESHOLD, SPARSE_BYTES);
    (void)mallopt(M_TOP_PAD, SPARSE_BYTES);
    (void)malloc_trim(SPARSE_BYTES);
}

int main(int argc, char **argv)
{
    struct command_line line = { .model = { .msix = true, .sandbox = true } };
    int result = parse(&line, argc, argv);

    if (result != EXIT_OK) {
        return result < 0 ? end_output() : result;
    }
    keep_memory_sparse();
    result = sandbox_drop_inherited();
    if (result) {
        (void)fprintf(stderr, NAME ": /dev/null cannot be opened: %s\n", strerror(-result));
        return EXIT_FAILED;
    }
    (void)signal(SIGPIPE, SIG_IGN);
    if (block_signals()) {
        (void)fprintf(stderr, NAME ": signals cannot be blocked: %s\n", strerror(errno));
        return EXIT_FAILED;
    }
    return serve(&line);
}
