/* SPDX-License-Identifier: BSD-2-Clause */
/* The service area: status page and v2m frame. */
#ifndef GUEST_STATUS_H
#define GUEST_STATUS_H

#include "tree.h"

/* What the tree says, before anything is touched. */
void status_test_tree(const struct guest *guest);

/* Waits until the bus is ready, or, with nobody, a while to see that it is not. Touches no window of the bridge. */
void status_wait(const struct guest *guest);

/* EXPECT_HELD: the first touch of the bridge, while it is not ready. */
void status_touch_held(const struct guest *guest);

/* The pages, when the state does not change any more. */
void status_test_pages(const struct guest *guest);

#endif
