/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * See state.h. A file is known by its header, which is written before anything else: whenever the process is killed,
 * what is left is empty, or begins with a header and is not longer than that says. Only such a file is written to.
 */
#include "state.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAGIC      "sidebridge state"
#define MAGIC_SIZE 16u
#define VERSION    2u /* of everything in the file; to be raised with each change of it */
#define TRIES      10u

struct header {
    char magic[MAGIC_SIZE]; /* without a NUL */
    uint32_t version;
    uint32_t device_size; /* of a device's registers: who forgets to raise the version is found out */
    uint64_t size;        /* of the whole file */
    uint64_t mark;        /* 0: the rest does not count */
    uint64_t configuration;
};

struct content {
    struct header header;
    uint64_t device[]; /* of each: registers, journals of the queues, the kind's journal, each in whole words */
};

struct state {
    int file;
    const char *path;
    uint64_t present; /* bytes of the file */
    struct header header; /* of it, if there are any */
    uint64_t mark;
    size_t size;
    uint64_t configuration;
    uint64_t next_mark; /* drawn where all system calls are still allowed */
    struct content *content;
    struct state_device device[STATE_DEVICES_MAX];
};

/* For the signal handler: there is one file a process. */
static struct state *guarded;
static char truncated[STATE_ERROR_MAX + 100];

/* Says why, and lets the instruction be made again, which ends the process now that nobody handles the signal. */
static void bus_error(int signal, siginfo_t *about, void *context)
{
    const uintptr_t address = (uintptr_t)about->si_addr;
    ssize_t ignored = 0;

    (void)signal;
    (void)context;
    if (guarded && address - (uintptr_t)guarded->content < guarded->size) {
        ignored = write(STDERR_FILENO, truncated, strlen(truncated));
    }
    (void)ignored;
}

static void guard(struct state *state)
{
    const struct sigaction action = { .sa_sigaction = bus_error, .sa_flags = SA_SIGINFO | SA_RESETHAND };

    (void)snprintf(truncated, sizeof(truncated),
                   "sidebridge-dm: %.200s: has been truncated, or cannot be read any more: its state is lost\n",
                   state->path);
    guarded = state;
    (void)sigaction(SIGBUS, &action, NULL);
}

static const char *kind(mode_t mode)
{
    return S_ISDIR(mode)    ? "a directory"
           : S_ISLNK(mode)  ? "a symbolic link"
           : S_ISSOCK(mode) ? "a socket"
           : S_ISFIFO(mode) ? "a pipe"
                            : "a device";
}

static int system_error(const char *what, char *error)
{
    const int cause = errno;

    (void)snprintf(error, STATE_ERROR_MAX, "%s (%s)", what, strerror(cause));
    return -cause;
}

static int refuse(int cause, const char *why, char *error)
{
    (void)snprintf(error, STATE_ERROR_MAX, "%s", why);
    return cause;
}

/* Opens and locks a regular file that is there, or makes one. */
static int open_file(struct state *state, const char *path, char *error)
{
    struct stat about;

    /* What is no file may do things when it is opened, so it is looked at before. */
    if (lstat(path, &about) == 0 && !S_ISREG(about.st_mode)) {
        (void)snprintf(error, STATE_ERROR_MAX, "is %s, not a file to keep the state in", kind(about.st_mode));
        return -EEXIST;
    }
    state->file = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600);
    if (state->file < 0) {
        return system_error("cannot be opened", error);
    }
    if (flock(state->file, LOCK_EX | LOCK_NB)) {
        return errno == EWOULDBLOCK ? refuse(-EBUSY, "another process keeps its state there", error)
                                    : system_error("cannot be locked", error);
    }
    return 0;
}

/* Whether what was opened and locked is what has the name: somebody may have put another file in its place. */
static bool has_the_name(const struct state *state, const char *path)
{
    struct stat opened, named;

    return fstat(state->file, &opened) == 0 && lstat(path, &named) == 0 && opened.st_dev == named.st_dev &&
           opened.st_ino == named.st_ino;
}

static int open_named(struct state *state, const char *path, char *error)
{
    for (unsigned int i = 0; i < TRIES; i++) {
        const int result = open_file(state, path, error);

        if (result || has_the_name(state, path)) {
            return result;
        }
        (void)close(state->file);
        state->file = -1;
    }
    return refuse(-EBUSY, "somebody exchanges it all the time", error);
}

/* Whether the file may be written to: it is empty, or we have made it. */
static int look(struct state *state, char *error)
{
    struct header header = { 0 };
    struct stat about;
    ssize_t length;

    if (fstat(state->file, &about)) {
        return system_error("cannot be examined", error);
    }
    if (!S_ISREG(about.st_mode)) {
        return refuse(-EEXIST, "is not a file to keep the state in", error);
    }
    if (about.st_uid != geteuid()) {
        return refuse(-EPERM, "belongs to another user, who could change the state", error);
    }
    length = pread(state->file, &header, sizeof(struct header), 0);
    if (length < 0) {
        return system_error("cannot be read", error);
    }
    if (length == 0) {
        return 0;
    }
    if ((size_t)length < sizeof(struct header) || memcmp(header.magic, MAGIC, MAGIC_SIZE) != 0 ||
        (header.version == VERSION && (uint64_t)about.st_size > header.size)) {
        return refuse(-EEXIST, "is no state of sidebridge-dm and is left as it is: give another name, or remove it",
                      error);
    }
    if (header.version != VERSION || header.device_size != sizeof(struct state_registers)) {
        (void)snprintf(error, STATE_ERROR_MAX,
                       "is the state of %s sidebridge-dm (format %u.%u, this one has %u.%zu): remove it to begin anew",
                       header.version < VERSION   ? "an older"
                       : header.version > VERSION ? "a newer"
                                                  : "another",
                       header.version, header.device_size, VERSION, sizeof(struct state_registers));
        return -EPROTO;
    }
    if (header.configuration == state->configuration && (uint64_t)about.st_size == header.size) {
        state->mark = header.mark;
    }
    state->present = (uint64_t)about.st_size;
    state->header = header;
    return 0;
}

/*
 * The header first; all of the file has storage when this has succeeded. What counts stays, what does not is marked as
 * such.
 */
static int make_room(struct state *state, char *error)
{
    const struct header header = {
        .magic = MAGIC, .version = VERSION, .device_size = sizeof(struct state_registers), .size = state->size,
        .mark = state->mark, .configuration = state->configuration,
    };
    int cause;

    if (state->present > state->size && ftruncate(state->file, (off_t)state->size)) {
        return system_error("cannot be cut", error);
    }
    cause = pwrite(state->file, &header, sizeof(header), 0) < 0 ? errno : EINTR;
    while (cause == EINTR) { /* what io_uring has to tell counts as a signal here */
        cause = posix_fallocate(state->file, 0, (off_t)state->size);
    }
    if (cause) {
        (void)ftruncate(state->file, (off_t)(state->present < state->size ? state->present : state->size));
        if (state->present > 0) {
            (void)pwrite(state->file, &state->header, sizeof(struct header), 0);
        }
        errno = cause;
        return system_error("has no room for the state", error);
    }
    return 0;
}

static size_t words(size_t bytes)
{
    return (bytes + sizeof(uint64_t) - 1) / sizeof(uint64_t);
}

static size_t words_of(const struct state_sizes *sizes)
{
    return words(sizeof(struct state_registers)) + words(sizes->queues) + words(sizes->kind);
}

int state_map(struct state *state, const struct state_sizes *sizes, unsigned int devices, char error[STATE_ERROR_MAX])
{
    uint64_t *next;
    void *content;
    int result;

    state->size = sizeof(struct content);
    for (unsigned int i = 0; i < devices; i++) {
        state->size += words_of(&sizes[i]) * sizeof(uint64_t);
    }
    if (state->mark && state->present != state->size) {
        return refuse(-EPROTO, "is the state of another sidebridge-dm, of the same version: remove it to begin anew",
                      error);
    }
    result = make_room(state, error);
    if (result) {
        return result;
    }
    content = mmap(NULL, state->size, PROT_READ | PROT_WRITE, MAP_SHARED, state->file, 0);
    if (content == MAP_FAILED) {
        return system_error("cannot be mapped", error);
    }
    state->content = content;
    next = state->content->device;
    for (unsigned int i = 0; i < devices; i++) {
        state->device[i].registers = (struct state_registers *)(void *)next;
        state->device[i].queues = next + words(sizeof(struct state_registers));
        state->device[i].kind = (uint64_t *)state->device[i].queues + words(sizes[i].queues);
        next += words_of(&sizes[i]);
    }
    guard(state);
    return 0;
}

int state_open(struct state **state, const char *path, uint64_t configuration, char error[STATE_ERROR_MAX])
{
    struct state *opened = calloc(1, sizeof(*opened));
    int result;

    if (!opened) {
        return refuse(-ENOMEM, "no memory for it", error);
    }
    if (getrandom(&opened->next_mark, sizeof(opened->next_mark), 0) != sizeof(opened->next_mark)) {
        abort(); /* it does not fail for so few bytes */
    }
    opened->next_mark |= 1;
    opened->file = -1;
    opened->path = path;
    opened->configuration = configuration;
    result = open_named(opened, path, error);
    if (!result) {
        result = look(opened, error);
    }
    if (result) {
        state_close(opened);
        return result;
    }
    *state = opened;
    return 0;
}

void state_close(struct state *state)
{
    if (!state) {
        return;
    }
    if (state->content) {
        guarded = NULL;
        (void)munmap(state->content, state->size);
    }
    if (state->file >= 0) {
        (void)close(state->file);
    }
    free(state);
}

uint64_t state_mark(const struct state *state)
{
    return state->mark;
}

void state_begin(struct state *state)
{
    /* Whoever is killed in between leaves nothing that counts. */
    __atomic_store_n(&state->content->header.mark, 0, __ATOMIC_SEQ_CST);
    memset(state->content->device, 0, state->size - sizeof(*state->content));
    state->mark = state->next_mark;
    __atomic_store_n(&state->content->header.mark, state->mark, __ATOMIC_SEQ_CST);
}

const struct state_device *state_device(const struct state *state, unsigned int device)
{
    return &state->device[device];
}

const struct virtio_pci_saved *state_saved(const struct state_device *device)
{
    const struct state_registers *registers = device->registers;

    return &registers->saved[__atomic_load_n(&registers->current, __ATOMIC_ACQUIRE) & 1];
}

void state_save(const struct state_device *device, const struct virtio_pci *pci)
{
    struct state_registers *registers = device->registers;
    const uint32_t next = ~registers->current & 1;

    virtio_pci_save(pci, &registers->saved[next]);
    __atomic_store_n(&registers->current, next, __ATOMIC_RELEASE);
}
