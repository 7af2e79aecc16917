/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * See claims.h. The table is searched from its start: a device model has one claim for the ECAM window, which is the
 * first to be searched for most of a guest's boot, and about one a function.
 */
#include "claims.h"

#include <errno.h>

int platform_claims_add(struct platform_claims *claims, uint64_t base, uint64_t size)
{
    if (size == 0 || base > UINT64_MAX - (size - 1)) {
        return -EINVAL;
    }

    for (unsigned int i = 0; i < claims->count; i++) {
        const uint64_t last = claims->claim[i].base + (claims->claim[i].size - 1);

        if (base <= last && claims->claim[i].base <= base + (size - 1)) {
            return -EEXIST;
        }
    }
    if (claims->count == PLATFORM_CLAIMS_MAX) {
        return -ENOSPC;
    }

    claims->claim[claims->count].base = base;
    claims->claim[claims->count].size = size;
    claims->count++;
    return 0;
}

int platform_claims_remove(struct platform_claims *claims, uint64_t base, uint64_t size)
{
    for (unsigned int i = 0; i < claims->count; i++) {
        if (claims->claim[i].base == base && claims->claim[i].size == size) {
            claims->claim[i] = claims->claim[--claims->count];
            return 0;
        }
    }
    return -ENOENT;
}

bool platform_claims_contain(const struct platform_claims *claims, uint64_t address, uint64_t size)
{
    for (unsigned int i = 0; i < claims->count; i++) {
        const uint64_t offset = address - claims->claim[i].base;

        if (offset < claims->claim[i].size && size <= claims->claim[i].size - offset) {
            return true;
        }
    }
    return false;
}
