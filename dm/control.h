/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A UNIX socket on which whoever may open it asks a running device model, and tells it, one JSON document a line, in
 * the style of QEMU's machine protocol:
 *
 *   server  {"greeting": {...}}                              once, when somebody has connected
 *   client  {"execute": NAME, "arguments": {...}, "id": ANY}    arguments and id may be left out
 *   server  {"return": ANY, "id": ANY}  or  {"error": {"class": WORD, "desc": SENTENCE}, "id": ANY}
 *
 * What is no such line gets an error, and the next one is looked at. A line that is too long, or a client that does not
 * read its answers, costs nobody but that client: one is cut off, of the other no more is read. Memory is bounded by
 * the sizes below, times CONTROL_CLIENTS_MAX.
 *
 * The socket is made before the sandbox and belongs to who started the process (mode 0600). Its name stays when the
 * process ends, which has no directory any more then; whoever starts the next one with the same name takes it away.
 *
 * The event loop's thread only.
 */
#ifndef CONTROL_H
#define CONTROL_H

#include <json-c/json_object.h>

#include "loop.h"
#include "sandbox.h"

#define CONTROL_CLIENTS_MAX 4u
#define CONTROL_LINE_MAX    0x1000u
#define CONTROL_DEPTH_MAX   8    /* of a document */
#define CONTROL_ERROR_MAX   160u

struct control;

/* What a command of that name answers. */
struct control_command {
    const char *name;
    const char *help;      /* a sentence, without the last full stop */
    const char *arguments; /* for people, such as "device=NAME"; NULL: none */

    /*
     * The answer, which becomes the caller's; NULL is JSON's null. `arguments` is an object, or NULL. A failure:
     * `error` has a sentence, and NULL is returned.
     */
    struct json_object *(*run)(void *opaque, struct json_object *arguments, char error[CONTROL_ERROR_MAX]);
};

/*
 * Listens at that name. -EEXIST: something else has it, or another process that lives; else as socket(2), bind(2).
 * `commands` ends with one without a name. The command "commands", which lists them, is there besides. What the
 * greeting says becomes control's.
 */
int control_create(struct control **control, struct loop *loop, const char *path,
                   const struct control_command *commands, void *opaque, struct json_object *greeting);

/* Before the loop. NULL is allowed. */
void control_destroy(struct control *control);

/* An argument by its name: NULL if it is not there or no string. Borrowed. */
const char *control_text(struct json_object *arguments, const char *name);

extern const struct sandbox_needs control_needs;

#endif
