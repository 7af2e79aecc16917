/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * See config_file.h. libinih asks for one line after the other, so that its line is known in each call of the handler.
 * It says nothing of sections without settings: behind each title a line of our own is put in, for which the handler
 * is called. Lines that it would cut off, misread or pass over in silence are not given to it.
 */
#include "config_file.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <ini.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define ANNOUNCEMENT "="
#define MARK         "\xef\xbb\xbf" /* that some editors put in front */

struct reading {
    struct config_file *file;
    const struct config_file_reader *reader;
    char *next; /* what has not been read yet */
    unsigned int line;
    bool titled;     /* the last line was a title */
    bool announcing; /* this line is our own */
    bool expecting;  /* this line should be a setting, and the handler has not been called yet */
    bool lost;       /* in which section we are */
    const char *section;
};

static int refuse(int cause, const char *why, char *error)
{
    (void)snprintf(error, CONFIG_FILE_ERROR_MAX, "%s (%s)", why, strerror(-cause));
    return cause;
}

/* At most one byte more than is allowed, so that more can be told. */
static int read_all(int descriptor, struct config_file *file)
{
    while (file->size <= CONFIG_FILE_MAX) {
        const ssize_t got = read(descriptor, file->content + file->size, CONFIG_FILE_MAX + 1 - file->size);

        if (got < 0 && errno != EINTR) {
            return -errno;
        }
        if (got == 0) {
            return 0;
        }
        file->size += got > 0 ? (size_t)got : 0;
    }
    return -EFBIG;
}

/* Of each line one text is kept at most, which is shorter. */
static int load(int descriptor, struct config_file *file, char *error)
{
    struct stat about;
    int result;

    if (fstat(descriptor, &about)) {
        return refuse(-errno, "cannot be read", error);
    }
    if (!S_ISREG(about.st_mode)) {
        return refuse(-EINVAL, "is no regular file", error);
    }
    file->content = malloc(CONFIG_FILE_MAX + 2);
    file->texts = malloc(CONFIG_FILE_MAX + 1);
    if (!file->content || !file->texts) {
        return refuse(-ENOMEM, "cannot be read", error);
    }
    result = read_all(descriptor, file);
    if (result == -EFBIG) {
        (void)snprintf(error, CONFIG_FILE_ERROR_MAX, "is longer than %u bytes", CONFIG_FILE_MAX);
        return result;
    }
    file->content[file->size] = '\0';
    return result ? refuse(result, "cannot be read", error) : 0;
}

int config_file_load(struct config_file *file, const char *path, char error[CONFIG_FILE_ERROR_MAX])
{
    const int descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY); /* a pipe would wait */
    int result;

    *file = (struct config_file){ 0 };
    if (descriptor < 0) {
        return refuse(-errno, "cannot be opened", error);
    }
    result = load(descriptor, file, error);
    (void)close(descriptor);
    if (result) {
        config_file_finish(file);
    }
    return result;
}

void config_file_finish(struct config_file *file)
{
    free(file->content);
    free(file->texts);
    *file = (struct config_file){ 0 };
}

static void fault(const struct reading *reading, const char *what)
{
    reading->reader->fault(reading->reader->opaque, reading->line, what);
}

static const char *keep(struct config_file *file, const char *text)
{
    char *const kept = file->texts + file->used;

    file->used += strlen(text) + 1;
    return memcpy(kept, text, strlen(text) + 1);
}

static bool printable(const char *line, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        if ((iscntrl((unsigned char)line[i]) && line[i] != '\t') || line[i] == '\0') {
            return false;
        }
    }
    return true;
}

static bool good_title(const char *title, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        const bool blank = title[i] == ' ' && i > 0 && i + 1 < length && title[i + 1] != ' ';

        if (!isalnum((unsigned char)title[i]) && !strchr("-_.", title[i]) && !blank) {
            return false;
        }
    }
    return length > 0 && length <= CONFIG_FILE_TITLE_MAX;
}

/* What follows the bracket that opens it. */
static void begin_title(struct reading *reading, const char *title)
{
    const size_t length = strcspn(title, "]");
    const char *const behind = title[length] == ']' ? title + length + 1 : NULL;

    reading->lost = true;
    if (!behind || !strchr(";#", behind[strspn(behind, " \t")])) { /* which finds the end of the line as well */
        fault(reading, behind ? "has more than a section's title" : "is a section's title without an end");
    } else if (!good_title(title, length)) {
        fault(reading, "has a title with other characters than letters, digits, - _ . and blanks between, or too many");
    } else {
        reading->lost = false;
        reading->titled = true;
    }
}

/* Whether the library is to see a line. */
static bool judge(struct reading *reading, const char *line, size_t length, size_t room)
{
    const char *const start = line + strspn(line, " \t");

    if (length >= room) {
        fault(reading, "is too long");
        return false;
    }
    if (!printable(line, length)) {
        fault(reading, "has control characters, which no text has");
        return false;
    }
    if (*start == '[') {
        begin_title(reading, start + 1);
        return reading->titled;
    }
    reading->expecting = *start != '\0' && !strchr(";#", *start);
    return true;
}

/* As fgets(3) would: the library's next line, which has room for `size` bytes. NULL: there are no more. */
static char *next_line(char *to, int size, void *opaque)
{
    struct reading *reading = opaque;
    char *const end = reading->file->content + reading->file->size;
    char *const line = reading->next;
    size_t length;
    char *newline;

    if (reading->expecting) {
        fault(reading, "is neither a section's title nor a setting NAME = VALUE");
        reading->expecting = false;
    }
    if (reading->titled) {
        reading->titled = false;
        reading->announcing = true;
        return strcpy(to, ANNOUNCEMENT);
    }
    if (line == end) {
        return NULL;
    }
    newline = memchr(line, '\n', (size_t)(end - line));
    length = (size_t)((newline ? newline : end) - line);
    reading->next = newline ? newline + 1 : end;
    reading->line++;
    length -= length > 0 && line[length - 1] == '\r';
    line[length] = '\0';
    return strcpy(to, judge(reading, line, length, (size_t)size) ? line : "");
}

static int handle(void *opaque, const char *section, const char *name, const char *value)
{
    struct reading *reading = opaque;
    struct config_file_entry entry = { .line = reading->line };

    if (reading->announcing) {
        reading->announcing = false;
        reading->section = keep(reading->file, section);
    } else {
        reading->expecting = false;
        entry.name = name;
    }
    if (!reading->lost) {
        entry.section = reading->section;
        entry.value = entry.name ? keep(reading->file, value) : NULL;
        reading->reader->entry(reading->reader->opaque, &entry);
    }
    return 1;
}

void config_file_read(struct config_file *file, const struct config_file_reader *reader)
{
    const size_t mark = sizeof(MARK) - 1;
    struct reading reading = {
        .file = file, .reader = reader, .section = "",
        .next = file->content + (strncmp(file->content, MARK, mark) == 0 ? mark : 0),
    };

    ini_allow_multiline = false; /* lines may be indented */
    ini_use_stack = false;
    ini_allow_realloc = false;
    ini_initial_alloc = CONFIG_FILE_LINE_MAX;
    ini_max_line = CONFIG_FILE_LINE_MAX;
    if (ini_parse_stream(next_line, &reading, handle, &reading) == -2) {
        fault(&reading, "cannot be read: no memory");
    }
}
