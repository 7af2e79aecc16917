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
#include <string.h>
#include <sys/uio.h>

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

/* The same out of the vectors of a chain, from `offset` on, where there are as many bytes. */
static inline void virtio_gather(void *to, const struct iovec *vector, size_t offset, size_t size)
{
    for (; size > 0 && offset >= vector->iov_len; vector++) {
        offset -= vector->iov_len;
    }
    for (; size > 0; vector++) {
        const size_t left = vector->iov_len - offset;
        const size_t part = left < size ? left : size;

        virtio_copy_in(to, (const char *)vector->iov_base + offset, part);
        to = (char *)to + part;
        size -= part;
        offset = 0;
    }
}

/* Into `count` vectors, as far as there is room; returns how far that is. */
static inline size_t virtio_scatter(const struct iovec *vector, unsigned int count, const void *from, size_t size)
{
    size_t done = 0;

    for (unsigned int i = 0; i < count && done < size; i++) {
        const size_t left = size - done;
        const size_t part = vector[i].iov_len < left ? vector[i].iov_len : left;

        memcpy(vector[i].iov_base, (const char *)from + done, part);
        done += part;
    }
    return done;
}

#endif
