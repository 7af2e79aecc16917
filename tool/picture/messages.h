/* SPDX-License-Identifier: BSD-2-Clause */
/* The messages of a report, kept to be shown beside a picture. */
#ifndef TOOL_PICTURE_MESSAGES_H
#define TOOL_PICTURE_MESSAGES_H

#include <stdbool.h>
#include <stddef.h>

#include "report.h"

struct messages {
    struct report_message *messages; /* their strings are ours */
    size_t count;
    size_t room;
    bool failed; /* there was no memory for some of them */
};

/* For struct report's `heard`, with struct messages, at first all zeroes, as its context. */
void messages_hear(void *messages, const struct report_message *message);

void messages_finish(struct messages *messages);

#endif
