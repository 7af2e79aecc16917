/* SPDX-License-Identifier: BSD-2-Clause */
/* See messages.h. */
#include "picture/messages.h"

#include <stdlib.h>
#include <string.h>

static bool make_room(struct messages *messages)
{
    const size_t room = messages->room > 0 ? 2 * messages->room : 16;
    struct report_message *grown;

    if (messages->count < messages->room) {
        return true;
    }
    grown = realloc(messages->messages, room * sizeof(*grown));
    if (grown == NULL) {
        return false;
    }
    messages->messages = grown;
    messages->room = room;
    return true;
}

void messages_hear(void *context, const struct report_message *message)
{
    struct messages *messages = context;
    struct report_message copy = {.level = message->level};

    copy.node = message->node != NULL ? strdup(message->node) : NULL;
    copy.property = message->property != NULL ? strdup(message->property) : NULL;
    copy.text = strdup(message->text);
    if ((message->node != NULL && copy.node == NULL) || (message->property != NULL && copy.property == NULL) ||
        copy.text == NULL || !make_room(messages)) {
        free((char *)copy.node);
        free((char *)copy.property);
        free((char *)copy.text);
        messages->failed = true;
        return;
    }
    messages->messages[messages->count++] = copy;
}

void messages_finish(struct messages *messages)
{
    for (size_t i = 0; i < messages->count; i++) {
        free((char *)messages->messages[i].node);
        free((char *)messages->messages[i].property);
        free((char *)messages->messages[i].text);
    }
    free(messages->messages);
    *messages = (struct messages){0};
}
