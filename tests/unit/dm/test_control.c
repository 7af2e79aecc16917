/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The control socket of a model: what it answers, and what whoever is allowed to ask can do wrong. The guest goes on
 * being served meanwhile.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <json-c/json.h>

#include "control.h"
#include "driver.h"
#include "machine.h"

#define SOCKET "control-socket"

static int try_to_connect(void)
{
    const struct sockaddr_un address = { .sun_family = AF_UNIX, .sun_path = SOCKET };
    const int client = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    assert_true(client >= 0);
    if (connect(client, (const struct sockaddr *)&address, sizeof(address))) {
        (void)close(client);
        return -1;
    }
    return client;
}

/* The next line, without its end, while the model works; NULL: the other side has hung up. */
static char *read_line(struct machine *machine, int client)
{
    static char line[0x10000];
    const uint64_t deadline = machine_now() + 10000;
    size_t length = 0;

    while (length < sizeof(line)) {
        const ssize_t got = recv(client, line + length, 1, MSG_DONTWAIT);

        if (got == 0 || (got < 0 && errno == ECONNRESET)) {
            return NULL;
        }
        if (got < 0) {
            assert_int_equal(errno, EAGAIN);
            machine_turn(machine);
            machine_check_deadline(deadline, "an answer");
        } else if (line[length++] == '\n') {
            line[length - 1] = '\0';
            return line;
        }
    }
    fail_msg("an answer is too long");
    return NULL;
}

static void say(int client, const char *words, size_t length)
{
    assert_int_equal(send(client, words, length, MSG_NOSIGNAL), length);
}

static void expect_words(struct machine *machine, int client, const char *words)
{
    const char *line = read_line(machine, client);

    if (!line || !strstr(line, words)) {
        fail_msg("'%s' instead of '%s'", line ? line : "the end", words);
    }
}

static void expect(struct machine *machine, int client, const char *request, const char *words)
{
    say(client, request, strlen(request));
    say(client, "\n", 1);
    expect_words(machine, client, words);
}

static int greeted(struct machine *machine)
{
    const int client = try_to_connect();

    assert_true(client >= 0);
    expect_words(machine, client, "{\"greeting\":{\"program\":\"sidebridge-dm\"");
    return client;
}

static void start(struct machine *machine)
{
    machine_stop_model(machine);
    (void)unlink(SOCKET);
    machine->options.control = SOCKET;
    machine_start_model(machine);
}

static void check_serves(struct machine *machine, int client)
{
    struct driver driver;

    expect(machine, client, "{\"execute\":\"status\"}", "\"state\":\"serving\"");
    driver_probe(&driver, machine, 1);
    driver_start(&driver, DRIVER_FEATURES);
    driver_check_serves(&driver);
    (void)close(client);
    (void)unlink(SOCKET);
}

static void test_status_and_counters(struct machine *machine)
{
    struct driver driver;
    struct stat about;
    int client;

    start(machine);
    assert_int_equal(stat(SOCKET, &about), 0);
    assert_int_equal(about.st_mode & 0777, 0600);
    client = greeted(machine);
    expect(machine, client, "{\"execute\":\"status\"}", "\"function\":\"00:01.0\",\"driver\":\"none\"");
    driver_probe(&driver, machine, 1);
    driver_start(&driver, DRIVER_FEATURES);
    driver_check_serves(&driver);
    expect(machine, client, "{\"execute\":\"status\",\"id\":7}", "\"driver\":\"running\"");
    expect(machine, client, "{\"execute\":\"counters\"}", "\"kind\":\"blk\",\"refused\":0,\"needs-reset\":0");
    expect(machine, client, "{\"execute\":\"status\",\"id\":[1,{}]}", "\"id\":[1,{}]}");
    expect(machine, client, "{\"execute\":\"commands\"}", "\"name\":\"stop\"");
    check_serves(machine, client);
}

static void test_what_is_no_request(struct machine *machine)
{
    static const struct {
        const char *request, *words;
    } wrong[] = {
        { "", "that is no JSON" },
        { "{", "that is no JSON" },
        { "}{", "that is no JSON" },
        { "{} {}", "that is no JSON" },
        { "{\"execute\":\"status\"} x", "that is no JSON" },
        { "[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]", "that is no JSON" },
        { "\xff\xfe", "that is no JSON" },
        { "null", "a line is one JSON object" },
        { "[]", "a line is one JSON object" },
        { "{}", "\\\"execute\\\" is missing" },
        { "{\"execute\":7}", "\\\"execute\\\" is missing" },
        { "{\"execute\":\"\"}", "CommandNotFound" },
        { "{\"execute\":\"Status\"}", "CommandNotFound" },
        { "{\"execute\":\"status\",\"arguments\":[]}", "\\\"arguments\\\" is no object" },
        { "{\"execute\":\"status\",\"arguments\":{\"a\":1}}", "has no arguments" },
        { "{\"execute\":\"status\",\"more\":1}", "there is more than" },
    };
    int client;

    start(machine);
    client = greeted(machine);
    for (unsigned int i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        expect(machine, client, wrong[i].request, wrong[i].words);
    }
    say(client, "{\"execute\":\"status\"\0}\n", 22);
    expect_words(machine, client, "that is no JSON");
    check_serves(machine, client);
}

static void test_line_without_end(struct machine *machine)
{
    static char line[2 * CONTROL_LINE_MAX];
    int client, other;

    start(machine);
    client = greeted(machine);
    memset(line, ' ', sizeof(line));
    say(client, line, sizeof(line));
    expect_words(machine, client, "the line is too long");
    assert_null(read_line(machine, client));
    (void)close(client);

    client = greeted(machine); /* the longest that there may be, one byte after the other */
    memcpy(line, "{\"execute\":\"status\"}", 20);
    line[CONTROL_LINE_MAX - 1] = '\n';
    for (size_t i = 0; i < CONTROL_LINE_MAX; i++) {
        say(client, line + i, 1);
        machine_turn(machine);
    }
    expect_words(machine, client, "serving");
    other = greeted(machine);
    check_serves(machine, other);
    (void)close(client);
}

/* Who asks and asks, and does not read what is answered, is not read any more, and costs no memory. */
static void test_answers_that_nobody_reads(struct machine *machine)
{
    static const char question[] = "{\"execute\":\"counters\"}\n";
    unsigned int asked = 0, answered = 0;
    size_t part = 0;
    int client;

    start(machine);
    client = greeted(machine);
    for (unsigned int idle = 0; idle < 50;) {
        const ssize_t sent = send(client, question + part, sizeof(question) - 1 - part, MSG_NOSIGNAL);

        if (sent < 0) {
            assert_int_equal(errno, EAGAIN);
            idle++;
        } else {
            idle = 0;
            part += (size_t)sent;
            asked += part == sizeof(question) - 1;
            part %= sizeof(question) - 1;
        }
        machine_turn(machine);
        assert_true(asked < 1000000);
    }
    while (answered < asked) {
        expect_words(machine, client, "{\"return\":{\"accesses\"");
        answered++;
    }
    say(client, question + part, sizeof(question) - 1 - part);
    expect_words(machine, client, "{\"return\":{\"accesses\"");
    check_serves(machine, client);
}

static void test_more_clients_than_places(struct machine *machine)
{
    int client[CONTROL_CLIENTS_MAX + 2];

    start(machine);
    for (unsigned int i = 0; i < CONTROL_CLIENTS_MAX; i++) {
        client[i] = greeted(machine);
    }
    client[CONTROL_CLIENTS_MAX] = try_to_connect();
    client[CONTROL_CLIENTS_MAX + 1] = try_to_connect();
    assert_true(client[CONTROL_CLIENTS_MAX] >= 0 && client[CONTROL_CLIENTS_MAX + 1] >= 0);
    machine_settle(machine);
    assert_int_equal(recv(client[CONTROL_CLIENTS_MAX], &(char){ 0 }, 1, MSG_DONTWAIT), -1); /* waits */
    (void)close(client[0]);
    (void)close(client[2]);
    expect_words(machine, client[CONTROL_CLIENTS_MAX], "greeting");
    expect_words(machine, client[CONTROL_CLIENTS_MAX + 1], "greeting");
    for (unsigned int i = 0; i < 1000; i++) { /* come and go */
        (void)close(client[1]);
        client[1] = try_to_connect();
        machine_turn(machine);
    }
    (void)close(client[1]);
    (void)close(client[3]);
    (void)close(client[CONTROL_CLIENTS_MAX]);
    check_serves(machine, client[CONTROL_CLIENTS_MAX + 1]);
}

static void expect_refused(struct machine *machine)
{
    char error[MODEL_ERROR_MAX];
    struct model *model;

    assert_int_equal(model_create(&model, &machine->options, error), -EEXIST);
    assert_string_equal(error, SOCKET ": is there, and in use or no socket");
}

/* A name that is taken: a file stays, a socket that lives is another's, one that is left behind makes room. */
static void test_name_that_is_taken(struct machine *machine)
{
    FILE *file;
    struct stat about;
    int other;
    const struct sockaddr_un address = { .sun_family = AF_UNIX, .sun_path = SOCKET };

    start(machine);
    machine_stop_model(machine);
    machine_start_model(machine); /* the former one's name is still there */
    machine_stop_model(machine);
    (void)unlink(SOCKET);

    file = fopen(SOCKET, "w");
    assert_int_equal(fputs("a file", file), 1);
    assert_int_equal(fclose(file), 0);
    expect_refused(machine);
    assert_true(stat(SOCKET, &about) == 0 && S_ISREG(about.st_mode) && about.st_size == 6);
    assert_int_equal(unlink(SOCKET), 0);

    other = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(other, (const struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(other, 1), 0);
    expect_refused(machine);
    (void)close(other);
    machine_start_model(machine);
    check_serves(machine, greeted(machine));
}

static void test_stop(struct machine *machine)
{
    int client;

    start(machine);
    client = greeted(machine);
    expect(machine, client, "{\"execute\":\"look\"}", "{\"return\":null}");
    expect(machine, client, "{\"execute\":\"stop\",\"id\":\"x\"}", "{\"return\":null,\"id\":\"x\"}");
    machine_settle(machine);
    assert_int_equal(model_state(machine->model), MODEL_ENDED);
    (void)close(client);
    (void)unlink(SOCKET);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        machine_test(test_status_and_counters),
        machine_test(test_what_is_no_request),
        machine_test(test_line_without_end),
        machine_test(test_answers_that_nobody_reads),
        machine_test(test_more_clients_than_places),
        machine_test(test_name_that_is_taken),
        machine_test(test_stop),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
