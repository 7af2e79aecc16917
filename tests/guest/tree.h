/* SPDX-License-Identifier: BSD-2-Clause */
/* What the guest is told in its device tree: the bridge, its service area, the console, and what is expected. */
#ifndef GUEST_TREE_H
#define GUEST_TREE_H

#include "bridge.h"

/* What the guest is to find: "sb.expect=" in /chosen/bootargs. */
enum expectation {
    EXPECT_NOBODY, /* nobody: no device model ever, and no HOLD */
    EXPECT_SERVED, /* served: a device model will be ready; wait for it at the status page */
    EXPECT_HELD,   /* held: the same, but touch the bridge before it is ready */
    EXPECT_HAMMER, /* hammer: device models come and go; see hammer.h */
    EXPECT_ENDS,   /* ends: its device model will stop to answer; see ends.h */
    EXPECT_UNKNOWN,
};

struct guest {
    enum expectation expectation;
    uint32_t seconds; /* "sb.seconds=" there, of the guest's time; 0: not said */
    uint32_t vcpus;
    struct bridge_window uart;
    struct bridge_window ecam;
    struct bridge_window memory;   /* without the service area */
    struct bridge_window prefetch; /* size 0: none */
    struct bridge_window v2m;      /* size 0: no MSI */
    struct bridge_window status;
    uint32_t buses;
    uint32_t msi_first;
    uint32_t msi_count;
};

/* What there is of these; what is not there has size 0. False: this is no device tree. */
bool tree_read(const void *tree, struct guest *guest);

#endif
