/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a running model answers on its control socket (control.h).
 */
#ifndef COMMANDS_H
#define COMMANDS_H

#include "control.h"

/* For a struct model as their opaque. */
extern const struct control_command model_commands[];

struct json_object *model_greeting(unsigned int domain, unsigned int bridge);

#endif
