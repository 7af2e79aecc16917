/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What starts the device models: for each domain that is a back end a directory of files, laid out as they are to be in
 * it, with a unit of systemd for each device model and one script for a system that has no systemd.
 */
#ifndef TOOL_COMPOSE_START_H
#define TOOL_COMPOSE_START_H

#include "manifest.h"
#include "system.h"

/* Adds the files. False, reported, when there is no memory. */
bool start_make(const struct system *system, struct manifest_extras *extras);

#endif
