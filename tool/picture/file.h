/* SPDX-License-Identifier: BSD-2-Clause */
/* A picture in a file, whose name says in which form. */
#ifndef TOOL_PICTURE_FILE_H
#define TOOL_PICTURE_FILE_H

#include "picture/picture.h"

/* Whether a picture can be written into a file of this name. */
bool picture_file_is_known(const char *file);

/* Whether that is a report, which has the messages too. */
bool picture_file_is_report(const char *file);

/* All of it or, reported, nothing: a file of that name stays as it was until the new one is whole. */
bool picture_file_write(const struct picture_subject *subject, const char *file, struct report *report);

#endif
