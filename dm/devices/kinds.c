/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The table of kinds.
 */
#include <string.h>
#include <unistd.h>

#include "blk.h"
#include "console.h"
#include "kind.h"
#include "net.h"
#include "rng.h"
#include "vsock.h"

const struct kind *const kinds[] = {
    &blk_kind,
    &net_kind,
    &console_kind,
    &rng_kind,
    &vsock_kind,
    NULL,
};

void kind_files_close(struct kind_files *files)
{
    while (files->count > 0) {
        const int file = files->file[--files->count];

        if (file >= 0) {
            (void)close(file);
        }
    }
}

int kind_refuse(int cause, const char *why, char error[KIND_ERROR_MAX])
{
    (void)snprintf(error, KIND_ERROR_MAX, "%s (%s)", why, strerror(-cause));
    return cause;
}

const struct kind *kind_of_name(const char *name, size_t length)
{
    for (const struct kind *const *kind = kinds; *kind; kind++) {
        if (strlen((*kind)->name) == length && strncmp((*kind)->name, name, length) == 0) {
            return *kind;
        }
    }
    return NULL;
}
