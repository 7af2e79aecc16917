/* SPDX-License-Identifier: BSD-2-Clause */
#include "grants.h"

#include <errno.h>

#include "platform.h"

#define REFERENCE_SHIFT 12u
#define REFERENCES      (1ull << 32)

static uint32_t pages(uint32_t offset, uint64_t length)
{
    return (uint32_t)((offset + length + PLATFORM_GRANT_PAGE - 1) / PLATFORM_GRANT_PAGE);
}

int platform_grants_decode(uint64_t address, uint64_t length, struct platform_grants *grants)
{
    const uint64_t first = (address & ~PLATFORM_GRANT_ADDRESS) >> REFERENCE_SHIFT;
    const uint32_t offset = (uint32_t)(address % PLATFORM_GRANT_PAGE);
    uint32_t count;

    if (!(address & PLATFORM_GRANT_ADDRESS) || length == 0 || length > PLATFORM_GRANT_BYTES) {
        return -EINVAL;
    }
    count = pages(offset, length);
    if (first >= REFERENCES || count > REFERENCES - first) {
        return -EINVAL;
    }
    *grants = (struct platform_grants){ .first = (uint32_t)first, .count = count, .offset = offset };
    return 0;
}

uint32_t platform_grants_pages(void *memory, uint64_t length, void **first)
{
    const uint32_t offset = (uint32_t)((uintptr_t)memory % PLATFORM_GRANT_PAGE);

    *first = (char *)memory - offset;
    return pages(offset, length);
}
