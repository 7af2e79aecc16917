/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * See ports.h.
 */
#include "ports.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <unistd.h>

#include "listener.h"

#define BACKLOG 16

static int refuse(int cause, const char *why, char *error)
{
    (void)snprintf(error, PORTS_ERROR_MAX, "%s (%s)", why, strerror(-cause));
    return cause;
}

/* By its name in the current directory. */
static int connect_to(const struct sockaddr_un *address)
{
    const int made = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (made < 0 || connect(made, (const struct sockaddr *)address, sizeof(*address))) {
        const int error = -errno;

        (void)close(made);
        return error;
    }
    return made;
}

/* Who may not copy a mount is not in the sandbox, and gets by with the directory itself. */
static int open_directory(const char *path)
{
    int directory = open_tree(AT_FDCWD, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);

    if (directory < 0 && errno == EPERM) {
        directory = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    }
    return directory < 0 ? -errno : directory;
}

int ports_open(struct ports *ports, const char *path, char error[PORTS_ERROR_MAX])
{
    const char *slash = strrchr(path, '/');
    const char *name = slash ? slash + 1 : path;
    char directory[sizeof(((struct sockaddr_un *)0)->sun_path)] = ".";

    if (strlen(path) > PORTS_NAME_MAX || *name == '\0') {
        return refuse(-EINVAL, "no name for a socket, or too long", error);
    }
    if (slash) {
        memcpy(directory, path, (size_t)(slash - path) + 1);
        directory[slash - path + 1] = '\0';
    }
    memcpy(ports->name, name, strlen(name) + 1);
    ports->directory = open_directory(directory);
    if (ports->directory < 0) {
        return refuse(ports->directory, "its directory cannot be opened", error);
    }
    ports->listener = listener_open(path, BACKLOG, false);
    if (ports->listener < 0) {
        (void)close(ports->directory);
        return refuse(ports->listener, "cannot be listened at", error);
    }
    return 0;
}

int ports_accept(const struct ports *ports)
{
    const int accepted = accept4(ports->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

    return accepted < 0 ? -errno : accepted;
}

int ports_connect(const struct ports *ports, uint32_t port)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };

    (void)snprintf(address.sun_path, sizeof(address.sun_path), "%s_%" PRIu32, ports->name, port);
    return fchdir(ports->directory) ? -errno : connect_to(&address);
}
