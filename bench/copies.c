/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What GRANTS cost at least: sidebridge-dm in which this function stands for the library's, on a bridge with GRANTS.
 * It says that all has been copied, when nothing has: then each header is all zero, which is a read of the first
 * sector, and the driver takes a status byte that nobody has ever written for success. What is left is what the guest
 * does.
 *
 * With COPIES_OF_A_BYTE as many copies are made, but each is of one byte and the same granted page, for which Xen
 * looks once. What is left is also what dom0's kernel does for each copy, and how Xen is told of it.
 *
 * For measurements alone (bench/performance.py): one disk, which is only read.
 */
#include <stdint.h>

#include <xengnttab.h>

/* As the linker's --wrap calls them; what xengnttab.h says of the parameters holds for these, too. */
__typeof__(xengnttab_grant_copy) __wrap_xengnttab_grant_copy;
__typeof__(xengnttab_grant_copy) __real_xengnttab_grant_copy;

#ifdef COPIES_OF_A_BYTE
static char taken;       /* the first of a header */
static const char given; /* a status that means success */

int __wrap_xengnttab_grant_copy(xengnttab_handle *gnttab, uint32_t count, xengnttab_grant_copy_segment_t *segments)
{
    xengnttab_grant_copy_segment_t one = segments[0];

    one.len = 1;
    if (one.flags & GNTCOPY_source_gref) {
        one.dest.virt = &taken;
    } else {
        one.source.virt = (void *)(uintptr_t)&given;
    }
    for (uint32_t i = 0; i < count; i++) {
        segments[i] = one;
    }
    return __real_xengnttab_grant_copy(gnttab, count, segments);
}
#else
int __wrap_xengnttab_grant_copy(xengnttab_handle *gnttab, uint32_t count, xengnttab_grant_copy_segment_t *segments)
{
    (void)gnttab;
    for (uint32_t i = 0; i < count; i++) {
        segments[i].status = GNTST_okay;
    }
    return 0;
}
#endif
