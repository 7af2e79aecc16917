/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A program of the guest, and one of dom0, that talk to each other over the guest's sockets, both ways: each serves a
 * port at which all that comes is sent back, and each sends BYTES to the other's and gets them back.
 *
 *   sb-vsock guest        AF_VSOCK
 *   sb-vsock host PATH    UNIX sockets, as sidebridge-dm has them
 *
 * Prints a line for each, and ends with 0 if every byte came back as it was.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/vm_sockets.h>

#define GUEST_PORT 52u
#define HOST_PORT  1234u
#define BYTES      (4u << 20)
#define PIECE      10007u

static bool write_all(int to, const void *data, size_t size)
{
    const char *at = data;

    while (size > 0) {
        const ssize_t done = write(to, at, size);

        if (done < 0 && errno != EINTR) {
            return false;
        }
        at += done > 0 ? done : 0;
        size -= done > 0 ? (size_t)done : 0;
    }
    return true;
}

static uint8_t byte_at(uint32_t place)
{
    return (uint8_t)(place * 2654435761u >> 24);
}

/* In a process of its own. */
static void send_bytes(int to)
{
    uint8_t piece[PIECE];

    for (uint32_t sent = 0; sent < BYTES;) {
        const uint32_t part = BYTES - sent < PIECE ? BYTES - sent : PIECE;

        for (uint32_t i = 0; i < part; i++) {
            piece[i] = byte_at(sent + i);
        }
        if (!write_all(to, piece, part)) {
            _exit(1);
        }
        sent += part;
    }
    _exit(shutdown(to, SHUT_WR) ? 1 : 0);
}

/* What comes back, up to its end. */
static bool check_bytes(int from)
{
    uint8_t piece[PIECE];
    uint32_t got = 0;
    ssize_t part;

    while ((part = read(from, piece, sizeof(piece))) > 0) {
        for (ssize_t i = 0; i < part; i++) {
            if (piece[i] != byte_at(got++)) {
                return false;
            }
        }
    }
    return part == 0 && got == BYTES;
}

static bool exchange(int socket)
{
    const pid_t sender = fork();
    int status = 1;
    bool well;

    if (sender == 0) {
        send_bytes(socket);
    }
    well = check_bytes(socket);
    (void)close(socket);
    return waitpid(sender, &status, 0) == sender && status == 0 && well;
}

static bool send_back(int server)
{
    const int client = accept(server, NULL, NULL);
    uint8_t piece[PIECE];
    ssize_t part;

    while ((part = read(client, piece, sizeof(piece))) > 0) {
        if (!write_all(client, piece, (size_t)part)) {
            return false;
        }
    }
    (void)close(client);
    return part == 0;
}

static int serve_unix(const char *path)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    const int server = socket(AF_UNIX, SOCK_STREAM, 0);

    (void)snprintf(address.sun_path, sizeof(address.sun_path), "%s_%u", path, HOST_PORT);
    return bind(server, (const struct sockaddr *)&address, sizeof(address)) || listen(server, 1) ? -1 : server;
}

/* Until the guest serves its port. */
static int ask_for_port(const char *path)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    char greeting[32], answer[32] = { 0 };

    (void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    (void)snprintf(greeting, sizeof(greeting), "CONNECT %u\n", GUEST_PORT);
    for (;;) {
        const int made = socket(AF_UNIX, SOCK_STREAM, 0);
        size_t length = 0;

        if (connect(made, (const struct sockaddr *)&address, sizeof(address)) == 0 &&
            write_all(made, greeting, strlen(greeting))) {
            while (length < sizeof(answer) - 1 && read(made, answer + length, 1) == 1 && answer[length] != '\n') {
                length++;
            }
        }
        if (length > 3 && answer[length] == '\n' && strncmp(answer, "OK ", 3) == 0) {
            return made;
        }
        (void)close(made);
        (void)sleep(1);
    }
}

static int vsock(unsigned int cid, unsigned int port, bool serves)
{
    const struct sockaddr_vm address = { .svm_family = AF_VSOCK, .svm_cid = cid, .svm_port = port };
    const int made = socket(AF_VSOCK, SOCK_STREAM, 0);
    const int error = serves ? bind(made, (const struct sockaddr *)&address, sizeof(address)) || listen(made, 1)
                             : connect(made, (const struct sockaddr *)&address, sizeof(address));

    return error ? -1 : made;
}

static int say(const char *who, const char *what, bool well)
{
    (void)printf("sb: %s %s: %s\n", who, what, well ? "well" : strerror(errno));
    (void)fflush(stdout);
    return well ? 0 : 1;
}

int main(int argc, char **argv)
{
    int server;

    (void)umask(0); /* the device model has another user */
    if (argc == 3 && strcmp(argv[1], "host") == 0) {
        server = serve_unix(argv[2]);
        return say("dom0", "sent back what the guest sent", send_back(server)) |
               say("dom0", "got back from the guest what it sent", exchange(ask_for_port(argv[2])));
    }
    if (argc == 2 && strcmp(argv[1], "guest") == 0) {
        if (vsock(VMADDR_CID_HOST, HOST_PORT + 1, false) >= 0 || errno != ECONNRESET) {
            return say("guest", "refused by a port that nobody serves", false);
        }
        server = vsock(VMADDR_CID_ANY, GUEST_PORT, true);
        return say("guest", "got back from dom0 what it sent", exchange(vsock(VMADDR_CID_HOST, HOST_PORT, false))) |
               say("guest", "sent back what dom0 sent", send_back(server));
    }
    return 2;
}
