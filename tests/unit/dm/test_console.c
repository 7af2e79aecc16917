/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * virtio-console as a driver uses it that does everything right, with each kind of end: what comes through, both ways;
 * what becomes of output that nobody reads; what the guest is told about its ports.
 */
#include "console_driver.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <termios.h>
#include <unistd.h>

#include "faults.h"

#define PATIENCE_MS 20000
#define LARGE       0x40000u

static const struct console_options on_socket = { .socket = "console.socket" };
static const struct console_options on_pty = { .pty = "console.pty" };
static const struct console_options on_fifo = { .fifo = "console" };
static const struct console_options on_file = { .file = "console.file" };
static const struct console_options on_journal = { .journal = "guest one" };
static const struct console_options on_sink = { .sink = true };
static const struct console_options on_stdio = { .stdio = true };
static const struct console_options ports = {
    .socket = "console.socket", .port = { "org.example.0:socket:port.socket", "data:fifo:data", "log:file:port.file" },
};
static const struct console_options no_console = { .port = { "agent:pty:agent.pty" } };

static void remove_all(void)
{
    static const char *const names[] = { "console.socket", "console.pty", "console.in", "console.out", "console.file",
                                         "port.socket",    "data.in",     "data.out",   "port.file",   "agent.pty" };

    for (unsigned int i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        (void)unlink(names[i]);
    }
}

struct console_test {
    void (*test)(struct console_driver *console);
    const struct console_options *options;
};

static void run(void **state)
{
    const struct console_test *test = *state;
    struct console_driver console;
    struct machine machine;

    remove_all();
    machine_start(&machine, &(struct machine_options){
        .beside = { .kind = &console_kind, .options = test->options },
    });
    console_probe(&console, &machine);
    console_start(&console, CONSOLE_FEATURES);
    test->test(&console);
    machine_finish(&machine);
    remove_all();
}

#define console_test(test, options) { #test, run, NULL, NULL, &(struct console_test){ test, &(options) } }

/* The other side of an end. */

static int connect_to(const char *path)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    const int client = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    (void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    assert_int_equal(connect(client, (struct sockaddr *)&address, sizeof(address)), 0);
    return client;
}

static int open_end(const char *path, int flags)
{
    const int file = open(path, flags | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);

    assert_true(file >= 0);
    return file;
}

static void expect_bytes(struct machine *machine, int file, const void *data, size_t size)
{
    const uint64_t deadline = machine_now() + PATIENCE_MS;
    size_t done = 0;
    char *got = malloc(size + 1);

    assert_non_null(got);
    while (done < size) {
        const ssize_t result = read(file, got + done, size + 1 - done);

        done += result > 0 ? (size_t)result : 0;
        machine_turn(machine);
        machine_check_deadline(deadline, "output");
    }
    assert_int_equal(done, size);
    assert_memory_equal(got, data, size);
    free(got);
}

static void put_bytes(struct machine *machine, int file, const void *data, size_t size)
{
    const uint64_t deadline = machine_now() + PATIENCE_MS;
    size_t done = 0;

    while (done < size) {
        const ssize_t result = write(file, (const char *)data + done, size - done);

        done += result > 0 ? (size_t)result : 0;
        machine_turn(machine);
        machine_check_deadline(deadline, "input");
    }
}

static uint8_t *make_bytes(size_t size)
{
    uint8_t *bytes = malloc(size);

    assert_non_null(bytes);
    for (size_t i = 0; i < size; i++) {
        bytes[i] = (uint8_t)(machine_word(i / 8) >> (8 * (i % 8)));
    }
    return bytes;
}

/* So much goes through the port, both ways. */
static void check_both_ways(struct console_driver *console, unsigned int port, int to, int from)
{
    uint8_t *const bytes = make_bytes(LARGE);
    uint8_t *const got = malloc(LARGE);
    size_t put = 0, read = 0;

    for (size_t i = 0; i < LARGE; i += 0x1000) {
        console_begin_write(console, port, 0, bytes + i, 0x1000);
        expect_bytes(console->device.machine, from, bytes + i, 0x1000);
        (void)driver_wait(console_output(console, port));
    }
    while (read < LARGE) {
        const ssize_t more = put < LARGE ? write(to, bytes + put, LARGE - put) : 0;

        put += more > 0 ? (size_t)more : 0;
        machine_turn(console->device.machine);
        read += console_take(console, port, got + read, (uint32_t)(LARGE - read));
    }
    assert_memory_equal(got, bytes, LARGE);
    free(got);
    free(bytes);
}

/* Sockets. */

static void test_socket_both_ways(struct console_driver *console)
{
    const int client = connect_to(on_socket.socket);

    machine_settle(console->device.machine);
    check_both_ways(console, 0, client, client);
    assert_int_equal(close(client), 0);
}

static void test_nobody_is_there(struct console_driver *console)
{
    int client;

    for (unsigned int i = 0; i < 100; i++) {
        console_write(console, 0, "lost", 4);
    }
    client = connect_to(on_socket.socket);
    machine_settle(console->device.machine);
    console_write(console, 0, "heard", 5);
    expect_bytes(console->device.machine, client, "heard", 5);
    assert_int_equal(close(client), 0);
}

static void expect_end(struct machine *machine, int file)
{
    char byte;

    machine_settle(machine);
    assert_int_equal(read(file, &byte, 1), 0);
}

static void test_clients_come_one_after_the_other(struct console_driver *console)
{
    struct machine *const machine = console->device.machine;
    char text[8];

    for (unsigned int i = 0; i < 5; i++) {
        const int client = connect_to(on_socket.socket);
        int other;

        machine_settle(machine);
        other = connect_to(on_socket.socket);
        expect_end(machine, other);
        assert_int_equal(close(other), 0);
        console_write(console, 0, "there", 5);
        expect_bytes(machine, client, "there", 5);
        put_bytes(machine, client, "here", 4);
        console_read(console, 0, text, 4);
        assert_memory_equal(text, "here", 4);
        assert_int_equal(close(client), 0);
        machine_settle(machine);
    }
}

/* What it has written comes, though it has gone, or has only said that it will write no more. */
static void test_last_words(struct console_driver *console)
{
    struct machine *const machine = console->device.machine;
    int client = connect_to(on_socket.socket);
    char text[8];

    put_bytes(machine, client, "bye", 3);
    assert_int_equal(shutdown(client, SHUT_WR), 0);
    console_read(console, 0, text, 3);
    assert_memory_equal(text, "bye", 3);
    machine_settle(machine);
    console_write(console, 0, "answer", 6);
    expect_bytes(machine, client, "answer", 6);
    assert_int_equal(close(client), 0);
    machine_settle(machine);

    client = connect_to(on_socket.socket);
    assert_int_equal(write(client, "gone", 4), 4);
    assert_int_equal(close(client), 0);
    console_write(console, 0, "echo", 4);
    console_read(console, 0, text, 4);
    assert_memory_equal(text, "gone", 4);
    machine_settle(machine);
    client = connect_to(on_socket.socket);
    machine_settle(machine);
    console_write(console, 0, "next", 4);
    expect_bytes(machine, client, "next", 4);
    assert_int_equal(close(client), 0);
}

/* Nobody reads, and the guest goes on. */
static void flood(struct console_driver *console)
{
    uint8_t *const bytes = make_bytes(0x4000);

    for (unsigned int i = 0; i < 200; i++) {
        console_write(console, 0, bytes, 0x4000);
    }
    free(bytes);
}

static void test_client_that_does_not_read(struct console_driver *console)
{
    const int client = connect_to(on_socket.socket);
    char text[4];

    machine_settle(console->device.machine);
    flood(console);
    put_bytes(console->device.machine, client, "stop", 4);
    console_read(console, 0, text, 4);
    assert_memory_equal(text, "stop", 4);
    assert_int_equal(close(client), 0);
}

/* Input is taken when the guest has a buffer. */
static void test_guest_that_does_not_read(struct console_driver *console)
{
    const int client = connect_to(on_socket.socket);
    uint8_t *const bytes = make_bytes(LARGE);
    uint8_t *const got = malloc(LARGE);
    ssize_t more, put = 0;

    machine_settle(console->device.machine);
    do {
        more = write(client, bytes + put, (size_t)(LARGE - put));
        put += more > 0 ? more : 0;
        machine_settle(console->device.machine);
    } while (more > 0 && put < (ssize_t)LARGE);
    console_read(console, 0, got, (uint32_t)put);
    assert_memory_equal(got, bytes, (size_t)put);
    free(got);
    free(bytes);
    assert_int_equal(close(client), 0);
}

/* Terminals. */

static void test_pty_both_ways(struct console_driver *console)
{
    const int terminal = open_end(on_pty.pty, O_RDWR);
    char text[16];

    assert_true(isatty(terminal));
    console_write(console, 0, "\r\nlogin: ", 9);
    expect_bytes(console->device.machine, terminal, "\r\nlogin: ", 9);
    put_bytes(console->device.machine, terminal, "root\r\x03\x04", 7);
    console_read(console, 0, text, 7);
    assert_memory_equal(text, "root\r\x03\x04", 7);
    check_both_ways(console, 0, terminal, terminal);
    assert_int_equal(close(terminal), 0);
}

/* What nobody has read yet is there for who comes later; what there is no room for is not. */
static void test_pty_that_nobody_reads(struct console_driver *console)
{
    uint8_t *const bytes = make_bytes(0x4000);
    char got[0x1000];
    int terminal;

    flood(console);
    terminal = open_end(on_pty.pty, O_RDWR);
    assert_in_range(read(terminal, got, sizeof(got)), 0x400, sizeof(got));
    assert_memory_equal(got, bytes, 0x400);
    free(bytes);
    assert_int_equal(close(terminal), 0);
}

static void test_users_come_and_go(struct console_driver *console)
{
    for (unsigned int i = 0; i < 5; i++) {
        const int terminal = open_end(on_pty.pty, O_RDWR);
        char byte;

        put_bytes(console->device.machine, terminal, "x", 1);
        console_read(console, 0, &byte, 1);
        console_write(console, 0, &byte, 1);
        expect_bytes(console->device.machine, terminal, "x", 1);
        assert_int_equal(close(terminal), 0);
    }
}

static uint32_t size_in_config(struct console_driver *console)
{
    return (uint32_t)machine_read(console->device.machine, console->device.config, 4);
}

static uint32_t config_interrupt(struct console_driver *console)
{
    const struct driver *device = &console->device;

    return device->msix ? driver_msix_interrupt(device, 0)
           : device->mmio ? device->machine->bridge.interrupt_first + device->device - 1
                          : bridge_intx_interrupt(&device->machine->bridge, device->device, 1);
}

/* It is seen when somebody types, or on SIGHUP. */
static void test_size(struct console_driver *console)
{
    const struct winsize first = { .ws_row = 25, .ws_col = 80 }, second = { .ws_row = 50, .ws_col = 132 };
    struct machine *const machine = console->device.machine;
    const int terminal = open_end(on_pty.pty, O_RDWR);
    char byte;

    assert_true(console->device.features & 1ull << VIRTIO_CONSOLE_F_SIZE);
    assert_int_equal(size_in_config(console), 0);
    (void)local_guest_take(machine->guest, config_interrupt(console));
    assert_int_equal(ioctl(terminal, TIOCSWINSZ, &first), 0);
    put_bytes(machine, terminal, "x", 1);
    console_read(console, 0, &byte, 1);
    assert_int_equal(size_in_config(console), 80 | 25 << 16);
    assert_true(local_guest_take(machine->guest, config_interrupt(console)));

    assert_int_equal(ioctl(terminal, TIOCSWINSZ, &second), 0);
    model_signal(machine->model, MODEL_SIGNAL_LOOK);
    machine_settle(machine);
    assert_int_equal(size_in_config(console), 132 | 50 << 16);
    assert_true(local_guest_take(machine->guest, config_interrupt(console)));
    assert_int_equal(close(terminal), 0);
}

/* It leads nowhere when the process has ended, is made again by the next one, and takes nobody else's place. */
static void test_link_is_made_again(struct console_driver *console)
{
    struct machine *const machine = console->device.machine;
    char error[MODEL_ERROR_MAX];
    struct stat about;

    assert_int_equal(stat(on_pty.pty, &about), 0);
    assert_true(S_ISCHR(about.st_mode));
    machine_stop_model(machine);
    assert_int_equal(stat(on_pty.pty, &about), -1);
    machine_start_model(machine);
    assert_int_equal(stat(on_pty.pty, &about), 0);
    machine_stop_model(machine);

    assert_int_equal(unlink(on_pty.pty), 0);
    assert_int_equal(symlink("/dev/null", on_pty.pty), 0);
    assert_int_equal(model_create(&machine->model, &machine->options, error), -EEXIST);
    assert_int_equal(unlink(on_pty.pty), 0);
    machine->model = NULL;
    machine_start_model(machine);
}

/* FIFOs, files, lines. */

static void test_fifo_both_ways(struct console_driver *console)
{
    const int to = open_end("console.in", O_RDWR), from = open_end("console.out", O_RDWR);

    check_both_ways(console, 0, to, from);
    flood(console);
    assert_int_equal(close(to), 0);
    assert_int_equal(close(from), 0);
}

static void check_file(const char *path, const void *data, size_t size)
{
    const int file = open_end(path, O_RDONLY);
    char *got = malloc(size + 1);

    assert_non_null(got);
    assert_int_equal(read(file, got, size + 1), size);
    assert_memory_equal(got, data, size);
    free(got);
    assert_int_equal(close(file), 0);
}

static void test_file(struct console_driver *console)
{
    uint8_t *const bytes = make_bytes(LARGE);
    int file;

    for (unsigned int i = 0; i < LARGE; i += 0x4000) {
        console_write(console, 0, bytes + i, 0x4000);
    }
    check_file(on_file.file, bytes, LARGE);
    console_write(console, 0, "", 0);

    /* Somebody cuts it, as who keeps logs small; or adds to it. */
    file = open_end(on_file.file, O_WRONLY | O_TRUNC);
    console_write(console, 0, "anew", 4);
    assert_int_equal(pwrite(file, "more", 4, 4), 4);
    console_write(console, 0, "last", 4);
    check_file(on_file.file, "anewmorelast", 12);
    assert_int_equal(close(file), 0);
    free(bytes);
}

/* Pieces that the storage takes come one after the other; what it does not take is lost, and the guest goes on. */
static void test_file_on_bad_storage(struct console_driver *console)
{
    faults_cut(3);
    console_write(console, 0, "cut short", 9);
    faults_fail(-ENOSPC);
    console_write(console, 0, "lost", 4);
    console_write(console, 0, "kept", 4);
    check_file(on_file.file, "cut shortkept", 13);
}

/* A reset waits for the storage, and for nothing else. */
static void test_reset_while_the_file_is_written(struct console_driver *console)
{
    faults_hold();
    console_begin_write(console, 0, 0, "slow", 4);
    machine_settle(console->device.machine);
    driver_set_status(&console->device, 0);
    machine_settle(console->device.machine);
    assert_int_not_equal(driver_status(&console->device), 0);
    faults_release();
    driver_reset(&console->device); /* waits */
    console_start(console, CONSOLE_FEATURES);
    console_write(console, 0, "next", 4);
    check_file(on_file.file, "slownext", 8);
}

/* Standard error is a pipe; what comes out of it. */
static void test_journal(struct console_driver *console)
{
    static const char expected[] = "guest one: Linux version 6\nguest one: a?[1mb\tc\nguest one: \nguest one: end\n";
    const int standard_error = dup(STDERR_FILENO);
    char got[0x4000] = { 0 };
    int pipes[2];
    size_t lines = 0;
    ssize_t size;

    assert_int_equal(pipe2(pipes, O_NONBLOCK), 0);
    assert_int_equal(dup2(pipes[1], STDERR_FILENO), STDERR_FILENO);
    console_write(console, 0, "Linux ver", 9);
    console_write(console, 0, "sion 6\r\na\x1b[1mb\tc\n\nend\n", 22);
    size = read(pipes[0], got, sizeof(got));
    assert_int_equal(size, sizeof(expected) - 1);
    assert_memory_equal(got, expected, sizeof(expected) - 1);

    /* A line without an end, and a pipe that nobody reads. */
    flood(console);
    size = read(pipes[0], got, sizeof(got));
    assert_int_equal(dup2(standard_error, STDERR_FILENO), STDERR_FILENO);
    assert_true(size > 0x1000);
    for (ssize_t i = 0; i < size; i++) {
        lines += got[i] == '\n';
        assert_true(got[i] == '\n' || got[i] == '\t' || (uint8_t)got[i] >= ' ');
    }
    assert_true(lines > (size_t)size / 1000);
    assert_int_equal(close(pipes[0]) | close(pipes[1]) | close(standard_error), 0);
}

static void test_sink(struct console_driver *console)
{
    flood(console);
}

/* Standard input and output, as main() leaves them. */
static void test_stdio(void **state)
{
    const int input = dup(STDIN_FILENO), output = dup(STDOUT_FILENO);
    struct console_driver console;
    struct machine machine;
    int to[2], from[2];
    char text[4];

    (void)state;
    assert_int_equal(pipe2(to, O_NONBLOCK) | pipe2(from, O_NONBLOCK), 0);
    assert_int_equal(dup2(to[0], STDIN_FILENO), STDIN_FILENO);
    assert_int_equal(dup2(from[1], STDOUT_FILENO), STDOUT_FILENO);
    machine_start(&machine, &(struct machine_options){ .beside = { .kind = &console_kind, .options = &on_stdio } });
    console_probe(&console, &machine);
    console_start(&console, CONSOLE_FEATURES);
    console_write(&console, 0, "what?", 5);
    expect_bytes(&machine, from[0], "what?", 5);
    put_bytes(&machine, to[1], "this", 4);
    console_read(&console, 0, text, 4);
    assert_memory_equal(text, "this", 4);
    flood(&console);
    assert_int_equal(close(to[1]), 0);
    machine_settle(&machine);
    console_write(&console, 0, "more", 4);
    machine_finish(&machine);
    assert_int_equal(dup2(input, STDIN_FILENO), STDIN_FILENO);
    assert_int_equal(dup2(output, STDOUT_FILENO), STDOUT_FILENO);
    assert_int_equal(close(to[0]) | close(from[0]) | close(from[1]) | close(input) | close(output), 0);
}

/* Ports. */

static void test_ports_are_introduced(struct console_driver *console)
{
    assert_int_equal(console->queues, 10);
    assert_int_equal(machine_read(console->device.machine, console->device.config + 4, 4), 4);
    console_tell(console, VIRTIO_CONSOLE_BAD_ID, VIRTIO_CONSOLE_DEVICE_READY, 1);
    for (uint32_t i = 0; i < 4; i++) {
        console_expect(console, i, VIRTIO_CONSOLE_PORT_ADD, 1, NULL);
    }
    console_tell(console, 0, VIRTIO_CONSOLE_PORT_READY, 1);
    console_expect(console, 0, VIRTIO_CONSOLE_CONSOLE_PORT, 1, NULL);
    console_tell(console, 1, VIRTIO_CONSOLE_PORT_READY, 1);
    console_expect(console, 1, VIRTIO_CONSOLE_PORT_NAME, 1, "org.example.0");
    console_tell(console, 2, VIRTIO_CONSOLE_PORT_READY, 1);
    console_expect(console, 2, VIRTIO_CONSOLE_PORT_NAME, 1, "data");
    console_expect(console, 2, VIRTIO_CONSOLE_PORT_OPEN, 1, NULL);
    console_tell(console, 3, VIRTIO_CONSOLE_PORT_READY, 1);
    console_expect(console, 3, VIRTIO_CONSOLE_PORT_NAME, 1, "log");
    console_expect(console, 3, VIRTIO_CONSOLE_PORT_OPEN, 1, NULL);
}

static void test_guest_hears_of_clients(struct console_driver *console)
{
    struct console_message message;

    console_meet(console, true, 3);
    for (unsigned int i = 0; i < 3; i++) {
        const int client = connect_to("port.socket");

        console_expect(console, 1, VIRTIO_CONSOLE_PORT_OPEN, 1, NULL);
        check_both_ways(console, 1, client, client);
        assert_int_equal(close(client), 0);
        console_expect(console, 1, VIRTIO_CONSOLE_PORT_OPEN, 0, NULL);
    }
    machine_settle(console->device.machine);
    assert_false(console_told(console, &message));
}

/* Before it has opened the port a guest would throw it away. */
static void test_port_that_the_guest_has_not_opened(struct console_driver *console)
{
    const int client = connect_to("port.socket");
    char text[8];

    console_meet(console, true, 3);
    console_tell(console, 1, VIRTIO_CONSOLE_PORT_OPEN, 0);
    assert_int_equal(write(client, "early", 5), 5);
    machine_settle(console->device.machine);
    assert_int_equal(console_take(console, 1, text, sizeof(text)), 0);
    console_tell(console, 1, VIRTIO_CONSOLE_PORT_OPEN, 1);
    console_read(console, 1, text, 5);
    assert_memory_equal(text, "early", 5);
    assert_int_equal(close(client), 0);
}

/* Nothing is lost: the guest waits, the device model does not. */
static void test_port_waits_for_its_reader(struct console_driver *console)
{
    uint8_t *const bytes = make_bytes(16 * 0x4000);
    struct driver *queue;
    unsigned int taken;
    int reader;

    console_meet(console, true, 3);
    queue = console_output(console, 2);
    for (unsigned int i = 0; i < 16; i++) {
        console_begin_write(console, 2, i, bytes + i * 0x4000, 0x4000);
    }
    machine_settle(console->device.machine);
    taken = ring_used(queue)->idx;
    assert_in_range(taken, 1, 15);
    console_write(console, 0, "goes on", 7);
    reader = open_end("data.out", O_RDONLY);
    expect_bytes(console->device.machine, reader, bytes, 16 * 0x4000);
    machine_settle(console->device.machine);
    assert_int_equal(ring_used(queue)->idx, 16);
    assert_int_equal(close(reader), 0);
    free(bytes);
}

/* What a client had not read when it went is for the next one, and so is what the guest writes before that comes. */
static void test_port_waits_for_a_client(struct console_driver *console)
{
    struct machine *const machine = console->device.machine;
    int client;

    console_meet(console, true, 3);
    console_begin_write(console, 1, 0, "patience", 8);
    machine_settle(machine);
    assert_int_equal(ring_used(console_output(console, 1))->idx, 0);
    client = connect_to("port.socket");
    expect_bytes(machine, client, "patience", 8);
    (void)driver_wait(console_output(console, 1));
    assert_int_equal(close(client), 0);
}

static void test_port_with_a_file(struct console_driver *console)
{
    console_meet(console, true, 3);
    console_write(console, 3, "a line\n", 7);
    check_file("port.file", "a line\n", 7);
}

static void test_without_multiport(struct console_driver *console)
{
    const int client = connect_to(ports.socket);
    char text[4];

    console_start(console, CONSOLE_FEATURES & ~(1ull << VIRTIO_CONSOLE_F_MULTIPORT));
    console_write(console, 0, "one", 3);
    expect_bytes(console->device.machine, client, "one", 3);
    put_bytes(console->device.machine, client, "two", 3);
    console_read(console, 0, text, 3);
    console_begin_write(console, 2, 0, "nobody", 6);
    machine_settle(console->device.machine);
    assert_int_equal(ring_used(console_output(console, 2))->idx, 0);
    assert_int_equal(close(client), 0);
}

static void test_ports_alone(struct console_driver *console)
{
    struct console_message message;
    int terminal;

    console_tell(console, VIRTIO_CONSOLE_BAD_ID, VIRTIO_CONSOLE_DEVICE_READY, 1);
    console_expect(console, 1, VIRTIO_CONSOLE_PORT_ADD, 1, NULL);
    console_tell(console, 0, VIRTIO_CONSOLE_PORT_READY, 1);
    machine_settle(console->device.machine);
    assert_false(console_told(console, &message));
    console_meet(console, false, 1);
    terminal = open_end("agent.pty", O_RDWR);
    check_both_ways(console, 1, terminal, terminal);
    assert_int_equal(close(terminal), 0);
}

/* A driver that starts anew is told anew. */
static void test_again_after_a_reset(struct console_driver *console)
{
    test_ports_are_introduced(console);
    console_start(console, CONSOLE_FEATURES);
    test_ports_are_introduced(console);
}

static void test_as_many_ports_as_there_may_be(void **state)
{
    struct console_options options = { .sink = true };
    static char text[CONSOLE_PORTS_MAX - 1][32];
    struct console_driver console;
    struct machine machine;

    (void)state;
    for (unsigned int i = 0; i < CONSOLE_PORTS_MAX - 1; i++) {
        (void)snprintf(text[i], sizeof(text[i]), "port-%u:socket:p%u.socket", i + 1, i + 1);
        options.port[i] = text[i];
    }
    machine_start(&machine, &(struct machine_options){ .beside = { .kind = &console_kind, .options = &options } });
    console_probe(&console, &machine);
    assert_int_equal(console.queues, 64);
    console_start(&console, CONSOLE_FEATURES);
    console_meet(&console, true, CONSOLE_PORTS_MAX - 1);
    for (unsigned int i = 1; i < CONSOLE_PORTS_MAX; i++) {
        char path[32], byte;
        int client;

        (void)snprintf(path, sizeof(path), "p%u.socket", i);
        client = connect_to(path);
        console_expect(&console, i, VIRTIO_CONSOLE_PORT_OPEN, 1, NULL);
        console_write(&console, i, "y", 1);
        expect_bytes(&machine, client, "y", 1);
        put_bytes(&machine, client, "z", 1);
        console_read(&console, i, &byte, 1);
        assert_int_equal(close(client), 0);
        console_expect(&console, i, VIRTIO_CONSOLE_PORT_OPEN, 0, NULL);
        assert_int_equal(unlink(path), 0);
    }
    machine_finish(&machine);
}

/* Before and after the driver has started the device. */
static void test_emergency_writes(struct console_driver *console)
{
    struct machine *const machine = console->device.machine;
    const int terminal = open_end(on_pty.pty, O_RDWR);
    const uint64_t place = console->device.config + offsetof(struct virtio_console_config, emerg_wr);

    machine_write(machine, place, 4, 'O');
    machine_write(machine, place, 4, 'o');
    driver_reset(&console->device);
    machine_write(machine, place, 1, 'p');
    machine_write(machine, place, 4, 's');
    expect_bytes(machine, terminal, "Oops", 4);
    assert_int_equal(close(terminal), 0);
}

/* What a user must not ask for. */
static void test_wrong_options(void **state)
{
    static const struct {
        struct console_options options;
        const char *because;
    } wrong[] = {
        { { 0 }, "leads nowhere" },
        { { .sink = true, .pty = "x" }, "two ends" },
        { { .port = { "a" } }, "an end are missing" },
        { { .port = { "a:socket" } }, "missing" },
        { { .port = { "a:sink:x" } }, "nothing behind it" },
        { { .port = { "a:tty:x" } }, "begins with none of" },
        { { .port = { ":sink" } }, "a name is" },
        { { .port = { "a/b:sink" } }, "a name is" },
        { { .port = { "..:sink" } }, "a name is" },
        { { .port = { "a:sink", "b:sink", "a:sink" } }, "two of that name" },
        { { .file = "/dev/null" }, "no regular file" },
        { { .socket = "/nowhere/socket" }, "cannot be made" },
        { { .pty = "." }, "no link" },
        { { .sink = true, .port = { "a:file:." } }, "port a: " },
    };

    (void)state;
    for (unsigned int i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        struct kind_files files = { 0 };
        char error[KIND_ERROR_MAX] = "";

        assert_true(console_kind.open(&wrong[i].options, &files, error) < 0);
        assert_int_equal(files.count, 0);
        if (!strstr(error, wrong[i].because)) {
            fail_msg("%u: %s", i, error);
        }
    }
}

/* Two processes want the same: the second one is told, and harms nothing. */
static void test_what_another_process_has(void **state)
{
    static const struct console_options *const options[] = { &on_pty, &on_socket, &on_file };

    (void)state;
    remove_all();
    for (unsigned int i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
        struct kind_files first = { 0 }, second = { 0 };
        char error[KIND_ERROR_MAX];

        assert_int_equal(console_kind.open(options[i], &first, error), 0);
        assert_int_equal(console_kind.open(options[i], &second, error), -EBUSY);
        assert_int_equal(second.count, 0);
        kind_files_close(&first);
        assert_int_equal(console_kind.open(options[i], &second, error), 0);
        kind_files_close(&second);
    }
    remove_all();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        console_test(test_socket_both_ways, on_socket),
        console_test(test_nobody_is_there, on_socket),
        console_test(test_clients_come_one_after_the_other, on_socket),
        console_test(test_last_words, on_socket),
        console_test(test_client_that_does_not_read, on_socket),
        console_test(test_guest_that_does_not_read, on_socket),
        console_test(test_pty_both_ways, on_pty),
        console_test(test_pty_that_nobody_reads, on_pty),
        console_test(test_users_come_and_go, on_pty),
        console_test(test_size, on_pty),
        console_test(test_link_is_made_again, on_pty),
        console_test(test_fifo_both_ways, on_fifo),
        console_test(test_file, on_file),
        console_test(test_file_on_bad_storage, on_file),
        console_test(test_reset_while_the_file_is_written, on_file),
        console_test(test_journal, on_journal),
        console_test(test_sink, on_sink),
        cmocka_unit_test(test_stdio),
        console_test(test_ports_are_introduced, ports),
        console_test(test_guest_hears_of_clients, ports),
        console_test(test_port_that_the_guest_has_not_opened, ports),
        console_test(test_port_waits_for_its_reader, ports),
        console_test(test_port_waits_for_a_client, ports),
        console_test(test_port_with_a_file, ports),
        console_test(test_without_multiport, ports),
        console_test(test_ports_alone, no_console),
        console_test(test_again_after_a_reset, ports),
        cmocka_unit_test(test_as_many_ports_as_there_may_be),
        console_test(test_emergency_writes, on_pty),
        cmocka_unit_test(test_wrong_options),
        cmocka_unit_test(test_what_another_process_has),
    };

    (void)signal(SIGPIPE, SIG_IGN); /* as main() does */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
