/* SPDX-License-Identifier: BSD-2-Clause */
/* What was made: each file with its address, size and checksum, and the checksums alone as sha256sum(1) reads them. */
#ifndef TOOL_COMPOSE_MANIFEST_H
#define TOOL_COMPOSE_MANIFEST_H

#include "boot.h"
#include "output.h"

#define MANIFEST_NAME "manifest"

/* A file that the boot loader does not load. */
struct manifest_extra {
    const char *name;
    const void *data;
    uint64_t size;
    bool executable;
};

/* Writes all files, then manifest and checksums, into the output. */
void manifest_write(struct boot *boot, const struct manifest_extra *extras, unsigned int extra_count,
                    struct output *output);

#endif
