/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * See character.h: what a user's words mean, and how each kind of end is opened. Afterwards there are no names: what is
 * left behind in a file system when the process ends has to be harmless by itself, and replaced by who comes next.
 *
 * The link to a terminal leads through /proc/PID/fd: it leads nowhere when the process has ended. One to /dev/pts/N
 * would lead to whoever is given that number next.
 */
#include "character.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <termios.h>
#include <unistd.h>

#include "listener.h"

#define LINK_PREFIX   "/proc/"
#define LINK_MAX_TEXT 64u
#define PATH_LENGTH   4096u
#define PTY_MAJOR     136u /* and those after it: UNIX98 terminals (Linux' devices.txt) */
#define PTY_MAJORS    8u
#define CLIENTS_MAX   4 /* that wait to be sent away */
#define OWNER_ONLY    (S_IRUSR | S_IWUSR)

static int refuse(int cause, const char *path, const char *why, char *error)
{
    (void)snprintf(error, CHARACTER_ERROR_MAX, "%.80s: %s (%s)", path, why, strerror(-cause));
    return cause;
}

static int failed(const char *path, const char *why, char *error)
{
    return refuse(-errno, path, why, error);
}

/* A terminal that is there: whoever has made the link still lives. */
static bool leads_to_terminal(const char *path)
{
    struct stat about;

    return stat(path, &about) == 0 && S_ISCHR(about.st_mode) && major(about.st_rdev) - PTY_MAJOR < PTY_MAJORS;
}

/* Whether the name is free for a link; one of ours whose process has ended does not count. */
static int check_link(const char *path, char *error)
{
    char target[LINK_MAX_TEXT];
    const ssize_t length = readlink(path, target, sizeof(target));

    if (length < 0) {
        return errno == ENOENT ? 0 : refuse(-EEXIST, path, "is there already, and no link", error);
    }
    if ((size_t)length < sizeof(LINK_PREFIX) - 1 || memcmp(target, LINK_PREFIX, sizeof(LINK_PREFIX) - 1) != 0) {
        return refuse(-EEXIST, path, "is a link that this program has not made", error);
    }
    return leads_to_terminal(path) ? refuse(-EBUSY, path, "another process has it", error) : 0;
}

/* In one step, so that there is always one or the other. */
static int make_link(const char *path, int terminal, char *error)
{
    char target[LINK_MAX_TEXT], temporary[PATH_LENGTH];
    const int length = snprintf(temporary, sizeof(temporary), "%s.%ld", path, (long)getpid());

    if (length < 0 || (size_t)length >= sizeof(temporary)) {
        return refuse(-ENAMETOOLONG, path, "cannot be made", error);
    }
    (void)snprintf(target, sizeof(target), LINK_PREFIX "%ld/fd/%d", (long)getpid(), terminal);
    if ((unlink(temporary) && errno != ENOENT) || symlink(target, temporary)) {
        return failed(path, "cannot be made", error);
    }
    if (rename(temporary, path)) {
        const int cause = -errno;

        (void)unlink(temporary);
        return refuse(cause, path, "cannot be made", error);
    }
    return 0;
}

/* Nothing is done to the bytes: the guest has a line discipline of its own. */
static int make_raw(int terminal)
{
    struct termios settings;

    if (tcgetattr(terminal, &settings)) {
        return -1;
    }
    cfmakeraw(&settings);
    return tcsetattr(terminal, TCSANOW, &settings);
}

/* Its other side is kept open: so it stays as it is, and keeps what nobody reads, when a user comes and goes. */
static int open_pty(const char *path, int file[CHARACTER_FILES], char *error)
{
    const int result = check_link(path, error);

    if (result) {
        return result;
    }
    file[CHARACTER_INPUT] = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
    if (file[CHARACTER_INPUT] < 0 || unlockpt(file[CHARACTER_INPUT])) {
        return failed(path, "no terminal can be had", error);
    }
    file[CHARACTER_KEPT] = ioctl(file[CHARACTER_INPUT], TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (file[CHARACTER_KEPT] < 0 || make_raw(file[CHARACTER_KEPT])) {
        return failed(path, "no terminal can be had", error);
    }
    return make_link(path, file[CHARACTER_KEPT], error);
}

static int open_socket(const char *path, int file[CHARACTER_FILES], char *error)
{
    const int listener = listener_open(path, CLIENTS_MAX, true);

    if (listener < 0) {
        return refuse(listener, path,
                      listener == -EEXIST         ? "is there already, and no socket"
                      : listener == -EBUSY        ? "another process listens there"
                      : listener == -ENAMETOOLONG ? "is too long for a socket"
                                                  : "cannot be made",
                      error);
    }
    file[CHARACTER_INPUT] = listener;
    return 0;
}

/* For both directions, so that nobody need be at the other end, and it never ends. */
static int open_fifo(const char *path, const char *which, int *file, char *error)
{
    char name[PATH_LENGTH];
    struct stat about;
    const int length = snprintf(name, sizeof(name), "%s.%s", path, which);

    if (length < 0 || (size_t)length >= sizeof(name)) {
        return refuse(-ENAMETOOLONG, path, "cannot be made", error);
    }
    if (mkfifo(name, OWNER_ONLY) && errno != EEXIST) {
        return failed(name, "cannot be made", error);
    }
    *file = open(name, O_RDWR | O_NONBLOCK | O_CLOEXEC);
    if (*file < 0 || fstat(*file, &about)) {
        return failed(name, "cannot be opened", error);
    }
    return S_ISFIFO(about.st_mode) ? 0 : refuse(-EEXIST, name, "is there already, and no FIFO", error);
}

static int open_fifos(const char *path, int file[CHARACTER_FILES], char *error)
{
    const int result = open_fifo(path, "in", &file[CHARACTER_INPUT], error);

    return result ? result : open_fifo(path, "out", &file[CHARACTER_OUTPUT], error);
}

/* Nobody else of us writes to it: they would take each other's place. */
static int open_file(const char *path, int file[CHARACTER_FILES], char *error)
{
    struct stat about;

    file[CHARACTER_OUTPUT] = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, OWNER_ONLY);
    if (file[CHARACTER_OUTPUT] < 0 || fstat(file[CHARACTER_OUTPUT], &about)) {
        return failed(path, "cannot be opened", error);
    }
    if (!S_ISREG(about.st_mode)) {
        return refuse(-EINVAL, path, "is no regular file", error);
    }
    /* A name that is no regular file must not make us wait; of one that is, the ring would give EAGAIN. */
    if (fcntl(file[CHARACTER_OUTPUT], F_SETFL, 0)) {
        return failed(path, "cannot be opened", error);
    }
    if (flock(file[CHARACTER_OUTPUT], LOCK_EX | LOCK_NB)) {
        return errno == EWOULDBLOCK ? refuse(-EBUSY, path, "another process has it", error)
                                    : failed(path, "cannot be locked", error);
    }
    return 0;
}

/* As main() has left them. Then they are nothing, for whoever asks next. */
static int open_stdio(const char *path, int file[CHARACTER_FILES], char *error)
{
    const int nothing = open("/dev/null", O_RDWR | O_CLOEXEC);

    (void)path;
    file[CHARACTER_INPUT] = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    file[CHARACTER_OUTPUT] = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    if (nothing < 0 || file[CHARACTER_INPUT] < 0 || file[CHARACTER_OUTPUT] < 0 || dup2(nothing, STDIN_FILENO) < 0 ||
        dup2(nothing, STDOUT_FILENO) < 0) {
        const int cause = -errno;

        if (nothing >= 0) {
            (void)close(nothing);
        }
        return refuse(cause, "stdio", "cannot be used", error);
    }
    return close(nothing) ? failed("stdio", "cannot be used", error) : 0;
}

static int open_nothing(const char *path, int file[CHARACTER_FILES], char *error)
{
    (void)path;
    (void)file;
    (void)error;
    return 0;
}

static const struct {
    const char *name;
    bool has_path;
    int (*open)(const char *path, int file[CHARACTER_FILES], char *error);
} types[CHARACTER_TYPES] = {
    [CHARACTER_PTY] = { "pty", true, open_pty },
    [CHARACTER_SOCKET] = { "socket", true, open_socket },
    [CHARACTER_FIFO] = { "fifo", true, open_fifos },
    [CHARACTER_FILE] = { "file", true, open_file },
    [CHARACTER_STDIO] = { "stdio", false, open_stdio },
    [CHARACTER_JOURNAL] = { "journal", true, open_nothing },
    [CHARACTER_SINK] = { "sink", false, open_nothing },
};

int character_parse(const char *text, struct character_place *place, char error[CHARACTER_ERROR_MAX])
{
    const size_t length = strcspn(text, ":");
    const char *path = text[length] == ':' && text[length + 1] != '\0' ? text + length + 1 : NULL;

    for (unsigned int i = CHARACTER_NONE + 1; i < CHARACTER_TYPES; i++) {
        if (strlen(types[i].name) == length && strncmp(types[i].name, text, length) == 0) {
            *place = (struct character_place){ (enum character_type)i, path };
            if (types[i].has_path == (path != NULL) && (path || text[length] == '\0')) {
                return 0;
            }
            (void)snprintf(error, CHARACTER_ERROR_MAX, "'%.60s': %s", text,
                           types[i].has_path ? "a colon and a path, or a name, are missing" : "has nothing behind it");
            return -EINVAL;
        }
    }
    (void)snprintf(error, CHARACTER_ERROR_MAX,
                   "'%.60s': begins with none of pty: socket: fifo: file: journal: stdio sink", text);
    return -EINVAL;
}

int character_open(const struct character_place *place, int file[CHARACTER_FILES], char error[CHARACTER_ERROR_MAX])
{
    int result;

    for (unsigned int i = 0; i < CHARACTER_FILES; i++) {
        file[i] = -1;
    }
    result = types[place->type].open(place->path, file, error);
    for (unsigned int i = 0; result && i < CHARACTER_FILES; i++) {
        if (file[i] >= 0) {
            (void)close(file[i]);
        }
        file[i] = -1;
    }
    return result;
}
