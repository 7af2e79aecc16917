/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * See ask.h.
 */
#include "ask.h"

#include <errno.h>
#include <json-c/json.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "command_line.h"

#define DEVICE_WIDTH 24

struct peer {
    FILE *input;
    int output;
    char *line;
    size_t size;
    struct json_object *greeting;
};

static int complain(const char *path, const char *what)
{
    (void)fprintf(stderr, PROGRAM ": %s: %s\n", path, what);
    return 1;
}

static struct json_object *member(struct json_object *object, const char *name)
{
    struct json_object *value = NULL;

    (void)json_object_object_get_ex(object, name, &value);
    return value;
}

static const char *text_of(struct json_object *object, const char *name)
{
    const char *text = json_object_get_string(member(object, name));

    return text ? text : "";
}

static uint64_t number_of(struct json_object *object, const char *name)
{
    return json_object_get_uint64(member(object, name));
}

/* The next document; NULL: there is none. */
static struct json_object *receive(struct peer *peer)
{
    return getline(&peer->line, &peer->size, peer->input) > 0 ? json_tokener_parse(peer->line) : NULL;
}

/* The answer to a command, which becomes the caller's, or NULL after a message. Takes the arguments. */
static struct json_object *command(struct peer *peer, const char *path, const char *name, struct json_object *arguments)
{
    struct json_object *request = json_object_new_object(), *answer, *result;

    (void)json_object_object_add(request, "execute", json_object_new_string(name));
    if (arguments) {
        (void)json_object_object_add(request, "arguments", arguments);
    }
    answer = dprintf(peer->output, "%s\n", json_object_to_json_string_ext(request, JSON_C_TO_STRING_PLAIN)) < 0
                 ? NULL
                 : receive(peer);
    (void)json_object_put(request);
    if (!answer) {
        (void)complain(path, "the device model has ended");
        return NULL;
    }
    if (member(answer, "error")) {
        (void)complain(path, text_of(member(answer, "error"), "desc"));
        (void)json_object_put(answer);
        return NULL;
    }
    result = member(answer, "return");
    result = result ? json_object_get(result) : json_object_new_object(); /* null: nothing to say */
    (void)json_object_put(answer);
    return result;
}

static int help(struct json_object *commands)
{
    (void)puts("help: print this text\nmetrics: the counters in Prometheus' text format\ntop: a live view");
    for (size_t i = 0; i < json_object_array_length(commands); i++) {
        struct json_object *entry = json_object_array_get_idx(commands, i);

        (void)printf("%s%s%s: %s\n", text_of(entry, "name"), member(entry, "arguments") ? " " : "",
                     text_of(entry, "arguments"), text_of(entry, "help"));
    }
    return 0;
}

/* A label's value: what Prometheus wants to be escaped. */
static void print_label(const char *name, const char *value)
{
    (void)printf("%s=\"", name);
    for (; *value != '\0'; value++) {
        if (*value == '\n') {
            (void)fputs("\\n", stdout);
        } else {
            (void)printf("%s%c", *value == '"' || *value == '\\' ? "\\" : "", *value);
        }
    }
    (void)putchar('"');
}

static const struct metric {
    const char *name; /* in the answer */
    const char *metric;
    const char *type;
    const char *help;
} whole[] = {
    { "accesses", "accesses_total", "counter", "Accesses of the guest, for each of which a vCPU waited." },
    { "malformed", "malformed_total", "counter", "Malformed requests." },
    { "doorbells", "doorbells_total", "counter", "Notifications for which no vCPU waited." },
    { "invalidations", "invalidations_total", "counter", "Times that the guest gave back or exchanged memory." },
    { "mapped-bytes", "mapped_bytes_max", "gauge", "Guest memory mapped at once, at most." },
    { "dropped-pieces", "dropped_pieces_total", "counter", "Pieces of guest memory that were mapped and are no more." },
}, of_device[] = {
    { "refused", "device_refused_total", "counter", "Chains to which there is no answer." },
    { "needs-reset", "device_needs_reset_total", "counter", "Times that the device gave up." },
}, of_queue[] = {
    { "taken", "queue_taken_total", "counter", "Chains taken from the driver since the device was reset." },
    { "used", "queue_used_total", "counter", "Chains given back since the device was reset." },
    { "in-flight", "queue_in_flight", "gauge", "Chains that are being worked on." },
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void print_sample(const struct metric *metric, struct json_object *greeting, struct json_object *device,
                         int queue, struct json_object *values)
{
    (void)printf("sidebridge_%s{domain=\"%llu\",bridge=\"%llu\"", metric->metric,
                 (unsigned long long)number_of(greeting, "domain"), (unsigned long long)number_of(greeting, "bridge"));
    if (device) {
        (void)putchar(',');
        print_label("kind", text_of(device, "kind"));
        (void)putchar(',');
        print_label("device", text_of(device, "name"));
    }
    if (queue >= 0) {
        (void)printf(",queue=\"%d\"", queue);
    }
    (void)printf("} %llu\n", (unsigned long long)number_of(values, metric->name));
}

static void print_metric(const struct metric *metric)
{
    (void)printf("# HELP sidebridge_%s %s\n# TYPE sidebridge_%s %s\n", metric->metric, metric->help, metric->metric,
                 metric->type);
}

static void print_of_queues(const struct metric *metric, struct json_object *greeting, struct json_object *device)
{
    struct json_object *queues = member(device, "queues");

    for (size_t i = 0; i < json_object_array_length(queues); i++) {
        print_sample(metric, greeting, device, (int)i, json_object_array_get_idx(queues, i));
    }
}

static int metrics(struct json_object *greeting, struct json_object *counters)
{
    struct json_object *devices = member(counters, "devices");

    for (size_t i = 0; i < COUNT(whole); i++) {
        print_metric(&whole[i]);
        print_sample(&whole[i], greeting, NULL, -1, counters);
    }
    for (size_t i = 0; i < COUNT(of_device); i++) {
        print_metric(&of_device[i]);
        for (size_t k = 0; k < json_object_array_length(devices); k++) {
            struct json_object *device = json_object_array_get_idx(devices, k);

            print_sample(&of_device[i], greeting, device, -1, device);
        }
    }
    for (size_t i = 0; i < COUNT(of_queue); i++) {
        print_metric(&of_queue[i]);
        for (size_t k = 0; k < json_object_array_length(devices); k++) {
            print_of_queues(&of_queue[i], greeting, json_object_array_get_idx(devices, k));
        }
    }
    return 0;
}

static uint64_t sum_of_queues(struct json_object *device, const char *name)
{
    struct json_object *queues = member(device, "queues");
    uint64_t sum = 0;

    for (size_t i = 0; i < json_object_array_length(queues); i++) {
        sum += number_of(json_object_array_get_idx(queues, i), name);
    }
    return sum;
}

/* What there was more in the last second. */
static uint64_t more(uint64_t now, uint64_t before)
{
    return now > before ? now - before : 0; /* a device that was reset counts anew */
}

static void print_view(struct json_object *before, struct json_object *now)
{
    struct json_object *devices = member(now, "devices"), *earlier = member(before, "devices");

    (void)printf("%saccesses/s %llu   doorbells/s %llu   mapped at most %llu KiB\n\n%-*s %-8s %12s %10s\n",
                 isatty(STDOUT_FILENO) ? "\033[H\033[2J" : "",
                 (unsigned long long)more(number_of(now, "accesses"), number_of(before, "accesses")),
                 (unsigned long long)more(number_of(now, "doorbells"), number_of(before, "doorbells")),
                 (unsigned long long)number_of(now, "mapped-bytes") / 1024, DEVICE_WIDTH, "device", "kind", "chains/s",
                 "in flight");
    for (size_t i = 0; i < json_object_array_length(devices); i++) {
        struct json_object *device = json_object_array_get_idx(devices, i);
        struct json_object *same = json_object_array_get_idx(earlier, i);

        (void)printf("%-*.*s %-8s %12llu %10llu\n", DEVICE_WIDTH, DEVICE_WIDTH, text_of(device, "name"),
                     text_of(device, "kind"),
                     (unsigned long long)more(sum_of_queues(device, "used"), sum_of_queues(same, "used")),
                     (unsigned long long)sum_of_queues(device, "in-flight"));
    }
    (void)fflush(stdout);
}

static int top(struct peer *peer, const char *path)
{
    struct json_object *before = command(peer, path, "counters", NULL);

    while (before && !ferror(stdout)) {
        struct json_object *now;

        (void)sleep(1);
        now = command(peer, path, "counters", NULL);
        if (now) {
            print_view(before, now);
        }
        (void)json_object_put(before);
        before = now;
    }
    return 1;
}

/* NAME=VALUE words as an object; NULL after a message, or if there are none. */
static int arguments_of(char **words, struct json_object **arguments)
{
    *arguments = *words ? json_object_new_object() : NULL;
    for (; *words; words++) {
        char *const equals = strchr(*words, '=');

        if (!equals) {
            (void)fprintf(stderr, PROGRAM ": an argument is NAME=VALUE: '%s'\n", *words);
            (void)json_object_put(*arguments);
            return 1;
        }
        *equals = '\0';
        (void)json_object_object_add(*arguments, *words, json_object_new_string(equals + 1));
    }
    return 0;
}

static int connect_to(const char *path, struct peer *peer)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };

    if (strlen(path) >= sizeof(address.sun_path)) {
        return complain(path, strerror(ENAMETOOLONG));
    }
    memcpy(address.sun_path, path, strlen(path));
    peer->output = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (peer->output < 0 || connect(peer->output, (const struct sockaddr *)&address, sizeof(address))) {
        return complain(path, errno == ECONNREFUSED ? "no device model listens there" : strerror(errno));
    }
    peer->input = fdopen(peer->output, "r");
    peer->greeting = peer->input ? receive(peer) : NULL;
    if (strcmp(text_of(member(peer->greeting, "greeting"), "program"), PROGRAM) != 0) {
        return complain(path, "that is no sidebridge-dm");
    }
    return 0;
}

static int put_question(struct peer *peer, const char *path, char **words)
{
    struct json_object *arguments, *answer;
    const bool own = strcmp(words[0], "help") == 0 || strcmp(words[0], "metrics") == 0;
    int result = 0;

    if (strcmp(words[0], "top") == 0) {
        return top(peer, path);
    }
    if (arguments_of(words + 1, &arguments)) {
        return 1;
    }
    answer = command(peer, path,
                     !own                 ? words[0]
                     : words[0][0] == 'h' ? "commands"
                                          : "counters",
                     arguments);
    if (!answer) {
        return 1;
    }
    if (!own) {
        (void)puts(json_object_to_json_string_ext(answer, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_NOSLASHESCAPE));
    } else if (words[0][0] == 'h') {
        result = help(answer);
    } else {
        result = metrics(member(peer->greeting, "greeting"), answer);
    }
    (void)json_object_put(answer);
    if (fflush(stdout) || ferror(stdout)) {
        return complain("standard output", strerror(errno));
    }
    return result;
}

int ask(const char *path, char **words)
{
    struct peer peer = { .output = -1 };
    int result;

    (void)signal(SIGPIPE, SIG_IGN);
    result = connect_to(path, &peer);
    if (!result) {
        result = put_question(&peer, path, words);
    }
    if (peer.input) {
        (void)fclose(peer.input);
    }
    free(peer.line);
    (void)json_object_put(peer.greeting);
    return result;
}
