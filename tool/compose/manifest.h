/* SPDX-License-Identifier: BSD-2-Clause */
/* What was made: each file with its address, size and checksum, and the checksums alone as sha256sum(1) reads them. */
#ifndef TOOL_COMPOSE_MANIFEST_H
#define TOOL_COMPOSE_MANIFEST_H

#include "boot.h"
#include "output.h"

#define MANIFEST_NAME "manifest"

/* A file that the boot loader does not load. */
struct manifest_extra {
    char name[BOOT_NAME_MAX];
    void *data;
    uint64_t size;
    bool executable;
};

#define MANIFEST_EXTRAS_MAX (16u + SYSTEM_DOMAINS_MAX * (DOMAIN_BRIDGES_MAX + 2u))

struct manifest_extras {
    unsigned int count;
    struct manifest_extra list[MANIFEST_EXTRAS_MAX];
};

/* data was allocated, and belongs to the extras from now on; false when it is NULL, or there is no room. */
bool manifest_add(struct manifest_extras *extras, const char *name, void *data, uint64_t size, bool executable);

void manifest_finish(struct manifest_extras *extras);

/* Writes all files, then manifest and checksums, into the output. */
void manifest_write(struct boot *boot, const struct manifest_extras *extras, struct output *output);

#endif
