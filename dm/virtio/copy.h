/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Copying out of memory that the guest may be writing: every byte is read exactly once, so that what is judged
 * afterwards is what is used afterwards. A plain memcpy() promises neither that, nor that the compiler will not read
 * again later.
 */
#ifndef VIRTIO_COPY_H
#define VIRTIO_COPY_H

#include <stddef.h>
#include <stdint.h>

/* Whole words where both sides are aligned to 8 bytes, else single bytes. */
static inline void virtio_copy_in(void *to, const void *from, size_t size)
{
    size_t done = 0;

    if (((uintptr_t)to | (uintptr_t)from) % sizeof(uint64_t) == 0) {
        for (; size - done >= sizeof(uint64_t); done += sizeof(uint64_t)) {
            *(uint64_t *)(void *)((char *)to + done) =
                *(const volatile uint64_t *)(const volatile void *)((const char *)from + done);
        }
    }
    for (; done < size; done++) {
        ((uint8_t *)to)[done] = ((const volatile uint8_t *)from)[done];
    }
}

#endif
