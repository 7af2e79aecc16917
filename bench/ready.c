/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How long a device model takes until it serves, in dom0: from fork(2) to the line on its standard error that says so.
 *
 *   bench-ready COMMAND...    starts the command, ends it by SIGTERM, three times, and prints the nanoseconds of each
 *
 * Exit status 1 when it ended without a word.
 */
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define STARTS 3

static uint64_t now(void)
{
    struct timespec time;

    (void)clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

static bool start(char **command)
{
    const uint64_t begin = now();
    char said[256];
    ssize_t length;
    uint64_t end;
    int ends[2];
    pid_t child;

    if (pipe(ends)) {
        return false;
    }
    child = fork();
    if (child == 0) {
        (void)dup2(ends[1], STDERR_FILENO);
        (void)execvp(*command, command);
        _exit(127);
    }
    (void)close(ends[1]);
    length = child < 0 ? -1 : read(ends[0], said, sizeof(said) - 1);
    end = now();
    if (length > 0) {
        said[length] = '\0';
        (void)kill(child, SIGTERM);
    }
    (void)waitpid(child, NULL, 0);
    (void)close(ends[0]);
    if (length <= 0 || !strstr(said, ": ready: ")) {
        return false;
    }
    (void)printf("sb: dom0 ready after %llu ns\n", (unsigned long long)(end - begin));
    return true;
}

int main(int argc, char **argv)
{
    for (unsigned int i = 0; argc > 1 && i < STARTS; i++) {
        if (!start(argv + 1)) {
            (void)fprintf(stderr, "bench-ready: %s did not say that it is ready\n", argv[1]);
            return 1;
        }
    }
    return argc > 1 ? 0 : 2;
}
