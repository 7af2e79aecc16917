/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Listening at a name in the file system, for whatever serves others there: before the process gives up its privileges.
 * A socket that a process has left behind which is no more makes room; anything else at that name stays.
 */
#ifndef LISTENER_H
#define LISTENER_H

#include <stdbool.h>

/*
 * A UNIX stream socket that does not block, on which `waiting` may wait to be accepted; `own`: for this user alone.
 * Returns the descriptor, the caller's, or a negative errno value: -ENAMETOOLONG, -EEXIST what is there is no socket,
 * -EBUSY somebody listens there, else as socket(2), bind(2), listen(2).
 */
int listener_open(const char *path, int waiting, bool own);

#endif
