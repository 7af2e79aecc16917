/* SPDX-License-Identifier: BSD-2-Clause */
/* BARs: placed in the windows, decoded, and not decoded any more; and what is in a virtio device's. */
#ifndef GUEST_BARS_H
#define GUEST_BARS_H

#include "config.h"

/* One function, after config_test(); its BARs and command register are restored. */
void bars_test(const struct guest *guest, const struct function *function);

#endif
