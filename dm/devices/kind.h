/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A kind of device: what the program has to know about it, as one entry of a table (kinds.c). Nobody but that table
 * knows kinds by name: the model, the command line, --help, the manual page and the state are all made from it.
 *
 * To add one: a file of this directory that fills in a struct kind, a line in kinds.c and one in meson.build. To copy
 * from: rng.c, the shortest; blk.c has requests that take their time, a journal and something that can be exchanged.
 * What a guest sees is in virtio/device.h; what a device stands on is in backends/.
 *
 *   open()    before the process gives up its privileges: files, sockets, commands to the kernel. No guest yet
 *   create()  makes the device from what was opened. Nothing is opened any more
 *   destroy() nothing is in flight
 *
 * All is called on the event loop's thread. Functions that may be NULL say so.
 */
#ifndef DEVICES_KIND_H
#define DEVICES_KIND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "identity.h"
#include "sandbox.h"
#include "settings.h"
#include "virtio/device.h"

#define KIND_FILES_MAX 96u
#define KIND_ERROR_MAX 200u

/* What a device stands on: open descriptors, each of which is a place of its own for its kind; -1: nothing is there. */
struct kind_files {
    unsigned int count;
    int file[KIND_FILES_MAX];
};

void kind_files_close(struct kind_files *files); /* the last one first; then there are none */

/* A failure, which is returned: what the cause is in words is added to the sentence. */
int kind_refuse(int cause, const char *why, char error[KIND_ERROR_MAX]);

/* What a device lives in; borrowed for as long as it does. */
struct kind_host {
    struct loop *loop;
    struct platform *platform;
    const char *name; /* of the device, among those of this process */
};

struct kind {
    const char *name;      /* --NAME, [NAME ...] */
    const char *help;      /* sentences, without the last full stop */
    uint32_t class_code;   /* PCI: 24 bits */
    struct settings settings; /* the first one is needed, and is what stands without its name; or none is needed */
    size_t options_size;   /* of the struct that they fill in */
    size_t journal_size;   /* of what must not be forgotten when the process is killed; all zero at first */
    struct sandbox_needs needs;

    /*
     * NULL: nothing is to be opened. Negative errno value and a sentence without the device's name: nothing is open.
     * -EBUSY: somebody has it, who perhaps is ending.
     */
    int (*open)(const void *options, struct kind_files *files, char error[KIND_ERROR_MAX]);

    /*
     * The files are the device's if it succeeds. Those that the event loop's ring is to work on are to be given to it
     * (loop_add_file()). The options are borrowed. On failure as open().
     */
    int (*create)(struct virtio_device **device, const struct kind_host *host, const void *options,
                  const struct kind_files *files, char error[KIND_ERROR_MAX]);
    void (*destroy)(struct virtio_device *device);

    /*
     * For a device that is to outlive its process: of what it stands on, by name, or, if `files` is not NULL, as it was
     * opened. NULL: there is nothing that could be exchanged. As identity_of_name().
     */
    int (*identify)(const void *options, const struct kind_files *files, struct identity *identity);

    /* The journal is kept there from now on. NULL: it has none (journal_size 0). */
    void (*keep_journal)(struct virtio_device *device, void *journal);

    /*
     * Looks whether what the device stands on has changed in a way that the driver has to know: true, and the driver
     * is told. It is known (second function) once that cannot be forgotten, even if the process is killed. Both NULL:
     * it does not change.
     */
    bool (*changed)(struct virtio_device *device);
    void (*change_known)(struct virtio_device *device);

    /* Whether it is to have this process's standard input and output, which are nothing else. NULL: never. */
    bool (*wants_standard)(const void *options);

    /* What there is to say about it besides what model_report() says of each device; lines, each begun with its name. */
    void (*report)(struct virtio_device *device, const char *name, FILE *to); /* may be NULL */

    /* At the end: waits until all is as durable as it was said to be. Negative errno value: it is not. May be NULL. */
    int (*finish)(struct virtio_device *device);
};

/* All kinds, in the order in which help lists them; NULL behind the last. */
extern const struct kind *const kinds[];

const struct kind *kind_of_name(const char *name, size_t length); /* NULL: there is none */

#endif
