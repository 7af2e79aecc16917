/* SPDX-License-Identifier: GPL-2.0-only */
/* What a stub says when its caller did wrong; the console; allocations and guest copies, which can be told to fail. */
#include <stdarg.h>

#include "../machine.h"

struct console console;
struct faults faults = {.allocation = -1, .copy = -1, .event_channel = -1, .rangeset = -1};
_Atomic int allocations;

void hypervisor_assert(bool good, const char *what, const char *file, int line)
{
    if (!good) {
        fprintf(stderr, "%s:%d: %s\n", file, line, what);
        abort();
    }
}

__attribute__((no_sanitize_thread)) void hypervisor_access_once(void *to, const volatile void *from, size_t size)
{
    switch (size) {
    case 1:
        *(uint8_t *)to = *(const volatile uint8_t *)from;
        break;
    case 2:
        *(uint16_t *)to = *(const volatile uint16_t *)from;
        break;
    case 4:
        *(uint32_t *)to = *(const volatile uint32_t *)from;
        break;
    case 8:
        *(uint64_t *)to = *(const volatile uint64_t *)from;
        break;
    default:
        hypervisor_assert(false, "a size that is read at once", __FILE__, __LINE__);
    }
}

/* Whether the countdown says that this is the one that fails. */
bool fault_now(_Atomic int *countdown)
{
    return *countdown >= 0 && (*countdown)-- == 0;
}

void printk(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    pthread_mutex_lock(&console.mutex);
    console.lines++;
    memcpy(console.before, console.last, sizeof(console.before));
    vsnprintf(console.last, sizeof(console.last), format, arguments);
    pthread_mutex_unlock(&console.mutex);
    va_end(arguments);
}

bool console_says(const char *text)
{
    return strstr(console.last, text) != NULL;
}

void *hypervisor_allocate(size_t size)
{
    void *memory;

    hypervisor_assert(!faults.allocation_forbidden, "an allocation at run time", __FILE__, __LINE__);
    if (fault_now(&faults.allocation)) {
        return NULL;
    }
    memory = calloc(1, size);
    hypervisor_assert(memory != NULL, "out of memory", __FILE__, __LINE__);
    allocations++;
    return memory;
}

void xfree(void *memory)
{
    if (memory != NULL) {
        allocations--;
    }
    free(memory);
}

_Thread_local struct clamp clamp;

unsigned long hypervisor_index(unsigned long index, unsigned long count)
{
    clamp = (struct clamp){index, count};
    return index < count ? index : 0;
}

unsigned int hypervisor_bits_per_long = 64, hypervisor_virt_cpus = 128;

/* It may take long, and touches another domain's memory: with no lock held. */
unsigned long hypervisor_copy(void *to, const void *from, size_t size)
{
    ASSERT(locks_held() == 0);
    if (fault_now(&faults.copy)) {
        return size;
    }
    memcpy(to, from, size);
    return 0;
}
