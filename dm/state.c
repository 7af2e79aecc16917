/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * See state.h.
 */
#include "state.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <unistd.h>

struct content {
    uint64_t mark; /* never 0, but in a file that was just made */
    uint64_t configuration;
    struct state_device device[];
};

struct state {
    int file;
    size_t size;
    uint64_t configuration;
    struct content *content;
};

int state_open(struct state **state, const char *path, uint64_t configuration, unsigned int devices, const char **error)
{
    struct state *opened = calloc(1, sizeof(*opened));
    void *content;

    if (!opened) {
        *error = "out of memory";
        return -ENOMEM;
    }
    opened->configuration = configuration;
    opened->size = sizeof(struct content) + devices * sizeof(struct state_device);
    opened->file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (opened->file < 0) {
        const int cause = -errno;

        *error = "cannot be opened";
        free(opened);
        return cause;
    }
    if (flock(opened->file, LOCK_EX | LOCK_NB)) {
        *error = "another process keeps its state there";
        state_close(opened);
        return -EBUSY;
    }
    content = ftruncate(opened->file, (off_t)opened->size)
                  ? MAP_FAILED
                  : mmap(NULL, opened->size, PROT_READ | PROT_WRITE, MAP_SHARED, opened->file, 0);
    if (content == MAP_FAILED) {
        const int cause = -errno;

        *error = "cannot be mapped";
        state_close(opened);
        return cause;
    }
    opened->content = content;
    *state = opened;
    return 0;
}

void state_close(struct state *state)
{
    if (!state) {
        return;
    }
    if (state->content) {
        (void)munmap(state->content, state->size);
    }
    (void)close(state->file);
    free(state);
}

uint64_t state_mark(const struct state *state)
{
    return state->content->configuration == state->configuration ? state->content->mark : 0;
}

void state_begin(struct state *state)
{
    uint64_t mark;

    if (getrandom(&mark, sizeof(mark), 0) != sizeof(mark)) {
        abort(); /* it does not fail for so few bytes */
    }
    memset(state->content, 0, state->size);
    state->content->configuration = state->configuration;
    state->content->mark = mark | 1;
}

struct state_device *state_device(struct state *state, unsigned int device)
{
    return &state->content->device[device];
}

const struct virtio_pci_saved *state_saved(const struct state_device *device)
{
    return &device->saved[__atomic_load_n(&device->current, __ATOMIC_ACQUIRE) & 1];
}

void state_save(struct state_device *device, const struct virtio_pci *pci)
{
    const uint32_t next = ~device->current & 1;

    virtio_pci_save(pci, &device->saved[next]);
    __atomic_store_n(&device->current, next, __ATOMIC_RELEASE);
}
