/* SPDX-License-Identifier: BSD-2-Clause */
/* See output.h. */
#include "output.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SUM_LENGTH     64u /* of SHA-256, in hexadecimal */
#define DESCRIPTORS    16
#define DIRECTORY_MODE 0777 /* less the umask */

static void fail(struct output *output, const char *what)
{
    report_write(output->report, REPORT_ERROR, what, "%s", strerror(errno));
    output->failed = true;
}

/* nftw() hands nothing on to its callback. */
static struct {
    const char *root;
    char *sums; /* text of the list of checksums; "" if there is none */
    struct output *output;
    bool good;
} inspected;

static bool is_listed(const char *name)
{
    const size_t length = strlen(name);

    for (const char *line = inspected.sums; *line != '\0';) {
        const size_t line_length = strcspn(line, "\n");

        if (line_length == SUM_LENGTH + 2 + length && strncmp(line + SUM_LENGTH + 2, name, length) == 0) {
            return true;
        }
        line += line_length + (line[line_length] == '\n' ? 1 : 0);
    }
    return strcmp(name, OUTPUT_SUMS) == 0 && inspected.sums[0] != '\0';
}

static int inspect(const char *path, const struct stat *status, int kind, struct FTW *place)
{
    const char *name = path + strlen(inspected.root);

    (void)status, (void)place;
    if (kind == FTW_D) {
        return 0;
    }
    name += *name == '/' ? 1 : 0;
    if (kind == FTW_F && is_listed(name)) {
        return 0;
    }
    report_write(inspected.output->report, REPORT_ERROR, inspected.root,
                 "%.128s is not one of the files that " OUTPUT_SUMS " lists; take it away, or name another directory",
                 name);
    inspected.good = false;
    return 1;
}

static char *read_sums(const char *root)
{
    char path[OUTPUT_PATH_MAX + 32];
    char *text = calloc(1, 1u << 20);
    FILE *stream;

    snprintf(path, sizeof(path), "%s/" OUTPUT_SUMS, root);
    stream = fopen(path, "r");
    if (stream != NULL && text != NULL) {
        text[fread(text, 1, (1u << 20) - 1, stream)] = '\0';
    }
    if (stream != NULL) {
        fclose(stream);
    }
    return text;
}

/* Whether nothing but compose's own is lost when the directory is replaced. */
static bool is_own(struct output *output)
{
    inspected.root = output->path;
    inspected.sums = read_sums(output->path);
    inspected.output = output;
    inspected.good = inspected.sums != NULL;
    if (inspected.good && nftw(output->path, inspect, DESCRIPTORS, FTW_PHYS) < 0) {
        fail(output, output->path);
        inspected.good = false;
    }
    free(inspected.sums);
    return inspected.good;
}

/* Where a symbolic link leads, and without slashes at its end. */
static bool resolve(struct output *output, const char *path)
{
    char *real = realpath(path, NULL);
    size_t length;

    output->replaces = real != NULL;
    snprintf(output->path, sizeof(output->path), "%s", real != NULL ? real : path);
    free(real);
    length = strlen(output->path);
    while (length > 1 && output->path[length - 1] == '/') {
        output->path[--length] = '\0';
    }
    if (length == 0 || length + 16 > sizeof(output->path)) {
        errno = length == 0 ? ENOENT : ENAMETOOLONG;
        return false;
    }
    return true;
}

bool output_init(struct output *output, const char *path, struct report *report)
{
    struct stat status;

    memset(output, 0, sizeof(*output));
    output->report = report;
    if (!resolve(output, path)) {
        fail(output, path);
        return false;
    }
    if (output->replaces && (stat(output->path, &status) != 0 || !S_ISDIR(status.st_mode))) {
        errno = ENOTDIR;
        fail(output, path);
        return false;
    }
    if (output->replaces && !is_own(output)) {
        return false;
    }
    snprintf(output->temporary, sizeof(output->temporary), "%.*s.new-XXXXXX", (int)sizeof(output->temporary) - 16,
             output->path);
    if (mkdtemp(output->temporary) == NULL) {
        fail(output, path);
        return false;
    }
    return true;
}

/* The directories of a name, one after the other. */
static bool make_directories(const struct output *output, const char *name)
{
    char path[OUTPUT_PATH_MAX * 2];

    for (const char *slash = strchr(name, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        snprintf(path, sizeof(path), "%s/%.*s", output->temporary, (int)(slash - name), name);
        if (mkdir(path, DIRECTORY_MODE) != 0 && errno != EEXIST) {
            return false;
        }
    }
    return true;
}

static bool write_all(int descriptor, const uint8_t *data, uint64_t size)
{
    while (size > 0) {
        const ssize_t written = write(descriptor, data, (size_t)size);

        if (written < 0 && errno != EINTR) {
            return false;
        }
        if (written > 0) {
            data += written;
            size -= (uint64_t)written;
        }
    }
    return true;
}

void output_write(struct output *output, const char *name, const void *data, uint64_t size, bool executable)
{
    char path[OUTPUT_PATH_MAX * 2];
    int descriptor;
    bool good;

    if (output->failed) {
        return;
    }
    snprintf(path, sizeof(path), "%s/%s", output->temporary, name);
    if (!make_directories(output, name)) {
        fail(output, name);
        return;
    }
    descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, executable ? 0777 : 0666);
    good = descriptor >= 0 && write_all(descriptor, data, size) && fsync(descriptor) == 0;
    if (!good) {
        fail(output, name);
    }
    if (descriptor >= 0 && close(descriptor) != 0 && good) {
        fail(output, name);
    }
}

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *place)
{
    (void)status, (void)kind, (void)place;
    return remove(path);
}

void output_abandon(struct output *output)
{
    (void)nftw(output->temporary, remove_one, DESCRIPTORS, FTW_DEPTH | FTW_PHYS);
}

/* What is on the disk at a power failure is the old or the new. */
static void make_durable(const char *path)
{
    char copy[OUTPUT_PATH_MAX];
    int descriptor;

    snprintf(copy, sizeof(copy), "%s", path);
    descriptor = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (descriptor >= 0) {
        (void)fsync(descriptor);
        close(descriptor);
    }
}

/* In two steps, where the file system does not know how to exchange: the old one is away for a moment, not lost. */
static int replace(struct output *output)
{
    char old[OUTPUT_PATH_MAX + 8];

    if (renameat2(AT_FDCWD, output->temporary, AT_FDCWD, output->path, RENAME_EXCHANGE) == 0) {
        return 0;
    }
    snprintf(old, sizeof(old), "%s.old", output->temporary);
    if (errno != EINVAL || rename(output->path, old) != 0) {
        return -1;
    }
    if (rename(output->temporary, output->path) != 0) {
        const int error = errno;

        (void)rename(old, output->path);
        errno = error;
        return -1;
    }
    return rename(old, output->temporary);
}

bool output_finish(struct output *output)
{
    struct stat status;

    /* mkdtemp() lets only its user in; the directory is to be as open as any other that he makes. */
    if (!output->failed) {
        const mode_t mask = umask(0);

        umask(mask);
        if (stat(output->path, &status) != 0) {
            status.st_mode = DIRECTORY_MODE & ~mask;
        }
        if (chmod(output->temporary, status.st_mode & 07777) != 0) {
            fail(output, output->temporary);
        }
    }
    if (!output->failed &&
        (output->replaces ? replace(output) : rename(output->temporary, output->path)) != 0) {
        fail(output, output->path);
    }
    if (!output->failed) {
        make_durable(output->path);
    }
    /* After an exchange it is the old one that is at the temporary name. */
    if (output->failed || output->replaces) {
        output_abandon(output);
    }
    return !output->failed;
}
