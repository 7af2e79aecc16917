/* SPDX-License-Identifier: BSD-2-Clause */
/* The script for U-Boot that loads all files and starts Xen, as a text and as the image that `source` takes. */
#ifndef TOOL_COMPOSE_SCRIPT_H
#define TOOL_COMPOSE_SCRIPT_H

#include "boot.h"

/*
 * The text; prefix is put before each name ("" for none). It was allocated; NULL, reported, on a fault.
 */
char *script_make(const struct system *system, struct boot *boot, const char *directory, const char *prefix);

enum script_image {
    SCRIPT_IMAGE_SCRIPT,
    SCRIPT_IMAGE_KERNEL,       /* of arm64 */
    SCRIPT_IMAGE_KERNEL_ARM32,
};

/*
 * A legacy image of U-Boot's (include/image.h): a header of 64 bytes before the data, of a script also its length.
 * Allocated; NULL when there is no memory. load is 0 where it has more than 32 bits. The time in it is that of
 * SOURCE_DATE_EPOCH, or 0, so that the same input gives the same output.
 */
void *script_wrap(enum script_image kind, const void *data, uint64_t size, uint64_t load, uint64_t *image_size);

#endif
