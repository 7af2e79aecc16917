/* SPDX-License-Identifier: BSD-2-Clause */
/* See process.h. Files in place of pipes, so that no side can block the other. */
#include "process.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define TIME_LIMIT_SECONDS 60

static void run_child(char *const *arguments, FILE *input, FILE *output, FILE *errors)
{
    if (dup2(fileno(input), 0) < 0 || dup2(fileno(output), 1) < 0 || dup2(fileno(errors), 2) < 0) {
        _exit(126);
    }
    alarm(TIME_LIMIT_SECONDS);
    execv(arguments[0], arguments);
    _exit(127);
}

static void read_text(FILE *stream, char *text)
{
    size_t size;

    rewind(stream);
    size = fread(text, 1, PROCESS_TEXT_MAX - 1, stream);
    text[size] = '\0';
    fclose(stream);
}

void process_run(char *const *arguments, const void *input, size_t input_size, struct process_result *result)
{
    FILE *in = tmpfile();
    FILE *out = tmpfile();
    FILE *err = tmpfile();
    int status = 0;
    pid_t pid;

    if (in == NULL || out == NULL || err == NULL || (input_size != 0 && fwrite(input, input_size, 1, in) != 1)) {
        abort();
    }
    rewind(in);
    fflush(NULL);
    pid = fork();
    if (pid == 0) {
        run_child(arguments, in, out, err);
    }
    if (pid < 0 || waitpid(pid, &status, 0) != pid) {
        abort();
    }
    fclose(in);
    read_text(out, result->output);
    read_text(err, result->errors);
    result->status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}
