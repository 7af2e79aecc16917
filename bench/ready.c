/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How long a device model takes until it serves, in dom0: from fork(2) to the line on its standard error that says so.
 *
 *   bench-ready DOMAIN COMMAND...    starts the command, ends it by SIGTERM, three times, and prints the nanoseconds of
 *                                    each; and, before, those of mapping a page of the domain, which for the first time
 *                                    in dom0 is a lot of work for its kernel, whoever asks for it
 *
 * Exit status 1 when it ended without a word.
 */
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <xenforeignmemory.h>

#define STARTS    3
#define RAM_FRAME 0x40000 /* the first of a guest */

static uint64_t now(void)
{
    struct timespec time;

    (void)clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

static bool map_a_page(unsigned int domain)
{
    const xen_pfn_t frame = RAM_FRAME;
    xenforeignmemory_handle *const memory = xenforeignmemory_open(NULL, 0);
    const uint64_t begin = now();
    int error = 0;
    void *const page = memory ? xenforeignmemory_map(memory, domain, PROT_READ, 1, &frame, &error) : NULL;

    if (!page || error) {
        return false;
    }
    (void)printf("sb: dom0 has mapped a page after %llu ns\n", (unsigned long long)(now() - begin));
    (void)xenforeignmemory_unmap(memory, page, 1);
    (void)xenforeignmemory_close(memory);
    return true;
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
    if (argc < 3) {
        return 2;
    }
    if (!map_a_page((unsigned int)atoi(argv[1]))) {
        (void)fprintf(stderr, "bench-ready: no page of domain %s can be mapped\n", argv[1]);
        return 1;
    }
    for (unsigned int i = 0; i < STARTS; i++) {
        if (!start(argv + 2)) {
            (void)fprintf(stderr, "bench-ready: %s did not say that it is ready\n", argv[2]);
            return 1;
        }
    }
    return 0;
}
