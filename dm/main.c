/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sidebridge-dm: signals and exit codes. See docs/sidebridge-dm.1.scd.
 *
 * Exit codes: 0 stopped by a signal or because the guest is gone; 1 something failed, one line on standard error says
 * what; 2 the command line or the configuration file is wrong.
 */
#include <errno.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/time.h>

#include "ask.h"
#include "command_line.h"

#define SPARSE_BYTES  0x2000 /* what is so large comes from the kernel */
#define ALIVE_SECONDS 2 /* how often to look whether the guest is still there */

enum exit_code {
    EXIT_OK = 0,
    EXIT_FAILED = 1,
    EXIT_USAGE = 2,
};

static struct model *signalled; /* while signals are not blocked */

static void take_signal(int signal)
{
    const int saved = errno;

    model_signal(signalled, signal == SIGALRM  ? MODEL_SIGNAL_GUEST
                            : signal == SIGHUP ? MODEL_SIGNAL_LOOK
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
    (void)fprintf(stderr, PROGRAM ": %s: domain %u, bridge %u, %u device%s%s\n",
                  line->model.no_ready ? "serving" : "ready", line->model.domain, line->model.bridge,
                  line->model.device_count, line->model.device_count == 1 ? "" : "s",
                  resumed ? ", resumed" : "");
}

static int serve(const struct command_line *line)
{
    char error[MODEL_ERROR_MAX];
    struct model *model;

    if (model_create(&model, &line->model, error)) {
        (void)fprintf(stderr, PROGRAM ": %s\n", error);
        return EXIT_FAILED;
    }
    if (give_signals(model)) {
        (void)fprintf(stderr, PROGRAM ": no signals: %s\n", strerror(errno));
        (void)model_destroy(model, error);
        return EXIT_FAILED;
    }
    if (*model_sandbox_lacks(model) != '\0') {
        (void)fprintf(stderr, PROGRAM ": the sandbox lacks: %s\n", model_sandbox_lacks(model));
    }
    announce(line, model_resumed(model));
    model_run(model);
    (void)block_signals();

    if (model_guest_gone(model)) {
        (void)fprintf(stderr, PROGRAM ": domain %u is gone\n", line->model.domain);
    }
    if (line->verbose) {
        model_report(model, stderr);
    }
    if (model_destroy(model, error)) {
        (void)fprintf(stderr, PROGRAM ": %s\n", error);
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

static bool standard_is_wanted(const struct command_line *line)
{
    bool wanted = false;

    for (unsigned int i = 0; i < line->model.device_count; i++) {
        const struct model_device *device = &line->model.device[i];

        wanted |= device->kind->wants_standard && device->kind->wants_standard(device->options);
    }
    return wanted;
}

static int begin(const struct command_line *line)
{
    int result;

    keep_memory_sparse();
    result = sandbox_drop_inherited(standard_is_wanted(line));
    if (result) {
        (void)fprintf(stderr, PROGRAM ": /dev/null cannot be opened: %s\n", strerror(-result));
        return EXIT_FAILED;
    }
    (void)signal(SIGPIPE, SIG_IGN);
    if (block_signals()) {
        (void)fprintf(stderr, PROGRAM ": signals cannot be blocked: %s\n", strerror(errno));
        return EXIT_FAILED;
    }
    return serve(line);
}

int main(int argc, char **argv)
{
    struct command_line line = { 0 };
    int code = EXIT_USAGE;

    switch (command_line_parse(&line, argc, argv)) {
    case COMMAND_LINE_SERVE:
        code = begin(&line);
        break;
    case COMMAND_LINE_ASK:
        code = ask(line.ask, line.words);
        break;
    case COMMAND_LINE_PRINTED:
        code = EXIT_OK;
        break;
    case COMMAND_LINE_FAILED:
        code = EXIT_FAILED;
        break;
    case COMMAND_LINE_WRONG:
        break;
    }
    command_line_finish();
    return code;
}
