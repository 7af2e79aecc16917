/* SPDX-License-Identifier: BSD-2-Clause */
/* See file.h. */
#include "picture/file.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static bool ends_in(const char *file, const char *ending)
{
    const size_t length = strlen(file);

    return length > strlen(ending) && strcmp(file + length - strlen(ending), ending) == 0;
}

bool picture_file_is_report(const char *file)
{
    return ends_in(file, ".html");
}

bool picture_file_is_known(const char *file)
{
    return ends_in(file, ".svg") || picture_file_is_report(file);
}

/* What mkstemp() makes is the owner's alone; this is to be like any other file. */
static bool open_to_others(int descriptor)
{
    const mode_t mask = umask(0);

    umask(mask);
    return fchmod(descriptor, 0666 & ~mask) == 0;
}

static bool write_whole(const struct picture_subject *subject, const char *file, int descriptor)
{
    FILE *stream = fdopen(descriptor, "w");
    bool good;

    if (stream == NULL) {
        close(descriptor);
        return false;
    }
    good = open_to_others(descriptor) &&
           (picture_file_is_report(file) ? picture_html(subject, stream) : picture_svg(subject, stream, true));
    if (!good) {
        errno = errno != 0 ? errno : ENOMEM;
    }
    good = good && fflush(stream) == 0 && ferror(stream) == 0 && fsync(descriptor) == 0;
    return fclose(stream) == 0 && good;
}

bool picture_file_write(const struct picture_subject *subject, const char *file, struct report *report)
{
    static const char ending[] = ".XXXXXX";
    char *unfinished = malloc(strlen(file) + sizeof(ending));
    int descriptor = -1;
    bool good = false;

    if (unfinished != NULL) {
        strcpy(unfinished, file);
        strcat(unfinished, ending);
        descriptor = mkstemp(unfinished);
    }
    if (descriptor >= 0) {
        good = write_whole(subject, file, descriptor) && rename(unfinished, file) == 0;
    }
    if (!good) {
        report_write(report, REPORT_ERROR, NULL, "%.256s cannot be written: %s", file, strerror(errno));
        if (descriptor >= 0) {
            (void)unlink(unfinished);
        }
    }
    free(unfinished);
    return good;
}
