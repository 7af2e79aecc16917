/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * See control.h. A client is read while nothing waits to be written to it, and written to while something does.
 */
#include "control.h"

#include <errno.h>
#include <json-c/json.h>
#include <seccomp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "listener.h"

struct client {
    struct control *control;
    struct loop_watch watch;
    int socket; /* -1: nobody */
    size_t length;
    char line[CONTROL_LINE_MAX];
    char *answer; /* what is still to be written; NULL: nothing */
    size_t written;
};

struct control {
    struct loop *loop;
    struct loop_watch watch;
    bool listens;
    int socket;
    const struct control_command *commands;
    void *opaque;
    struct json_tokener *tokener;
    struct json_object *greeting;
    struct client client[CONTROL_CLIENTS_MAX];
};

static const int calls[] = {
    SCMP_SYS(accept4),
    SCMP_SYS(recvfrom),
    SCMP_SYS(sendto),
};

const struct sandbox_needs control_needs = {
    .calls = calls, .call_count = sizeof(calls) / sizeof(calls[0]), .descriptors = CONTROL_CLIENTS_MAX,
};

static void listen_to(struct control *control, bool listen);

static void hang_up(struct client *client)
{
    loop_unwatch(client->control->loop, &client->watch);
    (void)close(client->socket);
    client->socket = -1;
    free(client->answer);
    client->answer = NULL;
    client->length = 0;
    listen_to(client->control, true);
}

static void client_ready(void *opaque, int error);

static bool watch_client(struct client *client, unsigned int events)
{
    return loop_watch_events(client->control->loop, &client->watch, client->socket, events, client_ready, client) == 0;
}

/* False: nobody is there any more, and the client is gone. */
static bool write_answer(struct client *client)
{
    const size_t length = strlen(client->answer);

    while (client->written < length) {
        const ssize_t sent = send(client->socket, client->answer + client->written, length - client->written,
                                  MSG_NOSIGNAL | MSG_DONTWAIT);

        if (sent < 0 && errno == EAGAIN) {
            return true;
        }
        if (sent < 0 && errno != EINTR) {
            hang_up(client);
            return false;
        }
        client->written += sent > 0 ? (size_t)sent : 0;
    }
    free(client->answer);
    client->answer = NULL;
    return true;
}

/* Takes the document. As write_answer(). */
static bool answer(struct client *client, struct json_object *document)
{
    const char *text = json_object_to_json_string_ext(document, JSON_C_TO_STRING_PLAIN);
    const size_t length = text ? strlen(text) : 0;

    client->answer = text ? malloc(length + 2) : NULL;
    if (client->answer) {
        memcpy(client->answer, text, length);
        memcpy(client->answer + length, "\n", 2);
    }
    client->written = 0;
    (void)json_object_put(document);
    if (!client->answer) {
        hang_up(client); /* no memory for it */
        return false;
    }
    return write_answer(client);
}

static struct json_object *document_of(const char *name, struct json_object *content, struct json_object *id)
{
    struct json_object *document = json_object_new_object();

    (void)json_object_object_add(document, name, content);
    if (id) {
        (void)json_object_object_add(document, "id", json_object_get(id));
    }
    return document;
}

static struct json_object *error_of(const char *class, const char *sentence, struct json_object *id)
{
    struct json_object *error = json_object_new_object();

    (void)json_object_object_add(error, "class", json_object_new_string(class));
    (void)json_object_object_add(error, "desc", json_object_new_string(sentence));
    return document_of("error", error, id);
}

static struct json_object *list_commands(const struct control *control)
{
    struct json_object *list = json_object_new_array();

    for (const struct control_command *command = control->commands; command->name; command++) {
        struct json_object *entry = json_object_new_object();

        (void)json_object_object_add(entry, "name", json_object_new_string(command->name));
        (void)json_object_object_add(entry, "help", json_object_new_string(command->help));
        if (command->arguments) {
            (void)json_object_object_add(entry, "arguments", json_object_new_string(command->arguments));
        }
        (void)json_object_array_add(list, entry);
    }
    return list;
}

static struct json_object *run(const struct control *control, const char *name, struct json_object *arguments,
                               struct json_object *id)
{
    const struct control_command *command = control->commands;
    char error[CONTROL_ERROR_MAX] = "";
    struct json_object *result;

    if (strcmp(name, "commands") == 0) {
        return document_of("return", list_commands(control), id);
    }
    while (command->name && strcmp(command->name, name) != 0) {
        command++;
    }
    if (!command->name) {
        return error_of("CommandNotFound", "there is no such command: \"commands\" lists them", id);
    }
    if (arguments && !command->arguments && json_object_object_length(arguments) > 0) {
        return error_of("GenericError", "the command has no arguments", id);
    }
    result = command->run(control->opaque, arguments, error);
    return *error ? error_of("GenericError", error, id) : document_of("return", result, id);
}

static struct json_object *judge(const struct control *control, struct json_object *request)
{
    struct json_object *name, *arguments = NULL, *id = NULL;

    if (!json_object_is_type(request, json_type_object)) {
        return error_of("GenericError", "a line is one JSON object", NULL);
    }
    (void)json_object_object_get_ex(request, "id", &id);
    if (!json_object_object_get_ex(request, "execute", &name) || !json_object_is_type(name, json_type_string)) {
        return error_of("GenericError", "\"execute\" is missing, which names a command", id);
    }
    if (json_object_object_get_ex(request, "arguments", &arguments) &&
        !json_object_is_type(arguments, json_type_object)) {
        return error_of("GenericError", "\"arguments\" is no object", id);
    }
    json_object_object_foreach(request, key, value)
    {
        (void)value;
        if (strcmp(key, "execute") != 0 && strcmp(key, "arguments") != 0 && strcmp(key, "id") != 0) {
            return error_of("GenericError", "there is more than \"execute\", \"arguments\" and \"id\"", id);
        }
    }
    return run(control, json_object_get_string(name), arguments, id);
}

/* A line without its end. As write_answer(). */
static bool handle_line(struct client *client, size_t length)
{
    struct json_tokener *tokener = client->control->tokener;
    struct json_object *request, *document;

    client->line[length] = '\0'; /* in place of its end; with it the document ends, whatever it is */
    json_tokener_reset(tokener);
    request = json_tokener_parse_ex(tokener, client->line, (int)length + 1);
    if (json_tokener_get_error(tokener) != json_tokener_success || strlen(client->line) != length) {
        document = error_of("GenericError", "that is no JSON, or not all on one line", NULL);
    } else {
        document = judge(client->control, request);
    }
    (void)json_object_put(request);
    return answer(client, document);
}

/* As long as answers can be written. As write_answer(). */
static bool handle_lines(struct client *client)
{
    char *end;

    while (!client->answer && (end = memchr(client->line, '\n', client->length))) {
        const size_t length = (size_t)(end - client->line);

        if (!handle_line(client, length)) {
            return false;
        }
        client->length -= length + 1;
        memmove(client->line, end + 1, client->length);
    }
    return true;
}

/* As write_answer(). */
static bool read_some(struct client *client)
{
    const ssize_t length = recv(client->socket, client->line + client->length, CONTROL_LINE_MAX - client->length,
                                MSG_DONTWAIT);

    if (length < 0 && (errno == EAGAIN || errno == EINTR)) {
        return true;
    }
    if (length <= 0) {
        hang_up(client);
        return false;
    }
    client->length += (size_t)length;
    if (!handle_lines(client)) {
        return false;
    }
    if (client->length == CONTROL_LINE_MAX && !client->answer) {
        /* What follows cannot be told from the middle of the line. */
        if (answer(client, error_of("GenericError", "the line is too long", NULL))) {
            hang_up(client);
        }
        return false;
    }
    return true;
}

static void client_ready(void *opaque, int error)
{
    struct client *client = opaque;
    const bool waited = client->answer;

    if (error) {
        hang_up(client);
        return;
    }
    if (!(waited ? write_answer(client) && handle_lines(client) : read_some(client))) {
        return;
    }
    if (waited != (client->answer != NULL)) {
        loop_unwatch(client->control->loop, &client->watch);
        if (!watch_client(client, client->answer ? EPOLLOUT : EPOLLIN)) {
            hang_up(client);
        }
    }
}

static void greet(struct control *control, struct client *client, int socket)
{
    client->socket = socket;
    if (!answer(client, document_of("greeting", json_object_get(control->greeting), NULL))) {
        return;
    }
    if (!watch_client(client, client->answer ? EPOLLOUT : EPOLLIN)) {
        hang_up(client);
    }
}

static void accept_client(void *opaque, int error)
{
    struct control *control = opaque;
    unsigned int place = 0, count = 0;
    int socket;

    if (error) {
        return;
    }
    for (unsigned int i = 0; i < CONTROL_CLIENTS_MAX; i++) {
        place = control->client[i].socket < 0 ? i : place;
        count += control->client[i].socket >= 0;
    }
    socket = accept4(control->socket, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (socket < 0) {
        return;
    }
    if (count + 1 == CONTROL_CLIENTS_MAX) {
        listen_to(control, false); /* the others wait until somebody hangs up */
    }
    greet(control, &control->client[place], socket);
}

static void listen_to(struct control *control, bool listen)
{
    if (!listen) {
        loop_unwatch(control->loop, &control->watch);
        control->listens = false;
    } else if (!control->listens) {
        control->listens = loop_watch(control->loop, &control->watch, control->socket, accept_client, control) == 0;
    }
}

static int open_socket(struct control *control, const char *path)
{
    control->socket = listener_open(path, CONTROL_CLIENTS_MAX, true);
    if (control->socket < 0) {
        return control->socket == -EBUSY ? -EEXIST : control->socket;
    }
    listen_to(control, true);
    return control->listens ? 0 : -ENOMEM;
}

int control_create(struct control **control, struct loop *loop, const char *path,
                   const struct control_command *commands, void *opaque, struct json_object *greeting)
{
    struct control *created = calloc(1, sizeof(*created));
    int error;

    if (!created) {
        (void)json_object_put(greeting);
        return -ENOMEM;
    }
    *created = (struct control){
        .loop = loop, .socket = -1, .commands = commands, .opaque = opaque,
        .tokener = json_tokener_new_ex(CONTROL_DEPTH_MAX), .greeting = greeting,
    };
    for (unsigned int i = 0; i < CONTROL_CLIENTS_MAX; i++) {
        created->client[i].control = created;
        created->client[i].socket = -1;
    }
    error = created->tokener ? open_socket(created, path) : -ENOMEM;
    if (error) {
        control_destroy(created);
        return error;
    }
    json_tokener_set_flags(created->tokener, JSON_TOKENER_STRICT);
    *control = created;
    return 0;
}

void control_destroy(struct control *control)
{
    if (!control) {
        return;
    }
    loop_unwatch(control->loop, &control->watch);
    for (unsigned int i = 0; i < CONTROL_CLIENTS_MAX; i++) {
        if (control->client[i].socket >= 0) {
            loop_unwatch(control->loop, &control->client[i].watch);
            (void)close(control->client[i].socket);
            free(control->client[i].answer);
        }
    }
    if (control->socket >= 0) {
        (void)close(control->socket);
    }
    json_tokener_free(control->tokener);
    (void)json_object_put(control->greeting);
    free(control);
}

const char *control_text(struct json_object *arguments, const char *name)
{
    struct json_object *value;

    return json_object_object_get_ex(arguments, name, &value) && json_object_is_type(value, json_type_string)
               ? json_object_get_string(value)
               : NULL;
}
