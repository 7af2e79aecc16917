/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * See listener.h.
 */
#include "listener.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static int new_socket(void)
{
    const int made = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    return made < 0 ? -errno : made;
}

/* Only who is refused knows that nobody listens. */
static int clear_place(const struct sockaddr_un *address)
{
    struct stat about;
    int probe, error;

    if (lstat(address->sun_path, &about)) {
        return errno == ENOENT ? 0 : -errno;
    }
    if (!S_ISSOCK(about.st_mode)) {
        return -EEXIST;
    }
    probe = new_socket();
    if (probe < 0) {
        return probe;
    }
    error = connect(probe, (const struct sockaddr *)address, sizeof(*address)) ? errno : 0;
    (void)close(probe);
    if (error != ECONNREFUSED) {
        return -EBUSY;
    }
    return unlink(address->sun_path) && errno != ENOENT ? -errno : 0;
}

int listener_open(const char *path, int waiting, bool own)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    int listener, error;

    if (strlen(path) >= sizeof(address.sun_path)) {
        return -ENAMETOOLONG;
    }
    memcpy(address.sun_path, path, strlen(path));
    error = clear_place(&address);
    if (error) {
        return error;
    }
    listener = new_socket();
    if (listener < 0) {
        return listener;
    }
    /* The mode of the socket becomes that of its name, so that it is never anybody else's. */
    if ((own && fchmod(listener, S_IRUSR | S_IWUSR)) ||
        bind(listener, (const struct sockaddr *)&address, sizeof(address)) || listen(listener, waiting)) {
        error = errno == EADDRINUSE ? -EBUSY : -errno;
        (void)close(listener);
        return error;
    }
    return listener;
}
