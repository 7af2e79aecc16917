/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The device model as a whole: platform, event loop, bus and devices, put together and taken apart in the right order.
 *
 *   model_create()  attaches, makes the devices, claims their configuration space, or the plain ranges, last, declares
 *                   the bus ready
 *   model_turn()    one turn of the event loop; model_run() makes turns until the end
 *   model_stop()    bus not ready, no new requests, those in flight end, then the model has ended
 *   model_destroy() leaves the guest, then makes the files durable, then gives everything back
 *
 * With a file for its state, model_create() goes on where a model with the same options was killed.
 *
 * The model ends by itself when the guest is gone, which is no error. One thread.
 */
#ifndef MODEL_H
#define MODEL_H

#include <stdbool.h>
#include <stdio.h>

#include "devices/kind.h"

#define MODEL_DEVICES_MAX 31u
#define MODEL_ERROR_MAX   512u

struct model;

struct model_device {
    const struct kind *kind;
    const void *options; /* as the kind's settings fill them in */
    const char *name;    /* what its user calls it; NULL: by what it stands on */
    unsigned int number; /* PCI device, 1..31; 0: the first that is free */
};

/* Borrowed, with all that they refer to, for as long as the model lives. */
struct model_options {
    unsigned int domain;
    unsigned int bridge;
    bool msix;
    bool shared;   /* other device models have functions of the bus, too */
    unsigned int poll_us; /* loop_set_polling() */
    bool no_ready; /* another device model declares the bus ready */
    uint64_t map_limit; /* as in platform_options */
    bool sandbox;          /* gives up what it does not need (sandbox.h) before it serves */
    bool sandbox_required; /* all layers, or it does not serve */
    uint32_t user;         /* with sandbox */
    const char *control; /* name of a socket to be asked on (control.h); NULL: none */
    const char *state; /* file to keep the state in (state.h); NULL: none */
    unsigned int device_count; /* in plain ranges device i has place i (virtio/mmio.h) */
    struct model_device device[MODEL_DEVICES_MAX];
};

enum model_state {
    MODEL_SERVING,
    MODEL_STOPPING,
    MODEL_ENDED,
};

/* On failure a negative errno value, and `error` has a sentence for the user; nothing is left behind. */
int model_create(struct model **model, const struct model_options *options, char error[MODEL_ERROR_MAX]);

/*
 * 0 or what made the model fail first, or what became of data that the guest had written; then `error` has a sentence
 * for the user. NULL is allowed.
 */
int model_destroy(struct model *model, char error[MODEL_ERROR_MAX]);

void model_stop(struct model *model);

enum model_signal {
    MODEL_SIGNAL_GUEST, /* look whether the guest is still there: wanted from time to time, since nobody tells it */
    MODEL_SIGNAL_LOOK,  /* the same, and whether what devices stand on has changed: disks have grown or shrunk */
    MODEL_SIGNAL_STOP,  /* the same, and as model_stop(); when it comes again, the model ends without waiting */
};

/*
 * For signal handlers, and changes nothing but errno; what is wanted is done at the end of the turn that the model
 * makes or sleeps in.
 */
void model_signal(struct model *model, enum model_signal signal);

/* One turn; with `wait` it sleeps until there is something to do. Does nothing once the model has ended. */
void model_turn(struct model *model, bool wait);
void model_run(struct model *model);

enum model_state model_state(const struct model *model);

/* 0, or the negative errno value with which the platform or the loop failed. */
int model_failure(const struct model *model);

/* Layers of the sandbox that are lacking, for the user; empty: none, or no sandbox is wanted. Borrowed. */
const char *model_sandbox_lacks(const struct model *model);

/* Whether it went on where another one was killed. */
bool model_resumed(const struct model *model);

/* Whether the guest's end was the reason to stop. */
bool model_guest_gone(const struct model *model);

/* What the platform has counted. */
struct platform_counters model_counters(const struct model *model);

/* One of the devices, in their order. */
struct model_view {
    const char *name;
    const struct kind *kind;
    unsigned int number; /* PCI device; in plain ranges the place, from 0 */
    struct virtio_device *virtio; /* borrowed */
};
unsigned int model_devices(const struct model *model);
struct model_view model_view(const struct model *model, unsigned int index);
bool model_plain(const struct model *model); /* plain ranges, no PCI bus */

/* Looks whether what the devices stand on has changed, as at MODEL_SIGNAL_LOOK. */
void model_look(struct model *model);

/* Writes the counters, one a line. */
void model_report(const struct model *model, FILE *to);

#endif
