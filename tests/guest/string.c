/* SPDX-License-Identifier: BSD-2-Clause */
/* What libfdt and the compiler want of a C library. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "tap.h"

extern uintptr_t __stack_chk_guard;
extern void __stack_chk_fail(void);

uintptr_t __stack_chk_guard = 0x2d9b1c4700ull;

void __stack_chk_fail(void)
{
    test_bail_out("the stack of libfdt is broken");
}

void *memcpy(void *to, const void *from, size_t size)
{
    uint8_t *target = to;
    const uint8_t *source = from;

    for (size_t i = 0; i < size; i++) {
        target[i] = source[i];
    }
    return to;
}

void *memmove(void *to, const void *from, size_t size)
{
    uint8_t *target = to;
    const uint8_t *source = from;

    if (target <= source) {
        return memcpy(to, from, size);
    }
    while (size-- != 0) {
        target[size] = source[size];
    }
    return to;
}

void *memset(void *to, int value, size_t size)
{
    uint8_t *target = to;

    for (size_t i = 0; i < size; i++) {
        target[i] = (uint8_t)value;
    }
    return to;
}

int memcmp(const void *one, const void *two, size_t size)
{
    const uint8_t *left = one;
    const uint8_t *right = two;

    for (size_t i = 0; i < size; i++) {
        if (left[i] != right[i]) {
            return left[i] < right[i] ? -1 : 1;
        }
    }
    return 0;
}

void *memchr(const void *in, int value, size_t size)
{
    const uint8_t *bytes = in;

    for (size_t i = 0; i < size; i++) {
        if (bytes[i] == (uint8_t)value) {
            return (void *)(uintptr_t)&bytes[i];
        }
    }
    return NULL;
}

size_t strnlen(const char *text, size_t size)
{
    size_t length = 0;

    while (length < size && text[length] != '\0') {
        length++;
    }
    return length;
}

size_t strlen(const char *text)
{
    return strnlen(text, SIZE_MAX);
}

char *strrchr(const char *text, int character)
{
    const char *found = NULL;

    do {
        if (*text == (char)character) {
            found = text;
        }
    } while (*text++ != '\0');
    return (char *)(uintptr_t)found;
}
