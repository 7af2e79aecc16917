/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The address space of a guest, from its first address to its last: what is where, and the holes between. What `map`
 * lists, --json tells and the picture shows is this.
 */
#ifndef TOOL_SPACE_H
#define TOOL_SPACE_H

#include "domain.h"

enum space_kind {
    SPACE_HOLE,
    SPACE_RAM,
    SPACE_SHARED_MEMORY,
    SPACE_LAYOUT,   /* what Xen puts into every guest of this kind */
    SPACE_HARDWARE, /* emulated where the hardware's is, in a direct-mapped guest */
    SPACE_ECAM,     /* from here on: windows of bridges */
    SPACE_MEMORY,   /* without the service area */
    SPACE_V2M,
    SPACE_STATUS,
    SPACE_PREFETCH,
    SPACE_PLAIN,
};

struct space_range {
    enum space_kind kind;
    uint64_t first;
    uint64_t last; /* inclusive */
    int bridge;    /* whose window it is; -1: nobody's */
    bool overlaps; /* one that begins before it */
    char name[DOMAIN_NAME_MAX];
};

/* A domain's ranges, those of its bridges (ECAM, memory, v2m frame, status page, prefetch), and a hole before each. */
#define SPACE_RANGES_MAX (2u * (DOMAIN_RANGES_MAX + 5u * DOMAIN_BRIDGES_MAX) + 1u)

struct space {
    struct space_range ranges[SPACE_RANGES_MAX]; /* in rising order of their first addresses, then of their last */
    size_t count;
};

/* address_bits: the width of the guest's addresses; what lies beyond, in a broken tree, is there too. */
void space_read(struct space *space, const struct domain *domain, unsigned int address_bits);

/* A word for machines: "ram", "ecam", "hole"... */
const char *space_kind_name(enum space_kind kind);

/* The number of bytes, for readers: "64 KiB", "31.9 MiB". text has room for SPACE_SIZE_MAX. */
#define SPACE_SIZE_MAX 24u
void space_format_size(const struct space_range *range, char *text);

#endif
