/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the device model's tests run on: a local guest (platform/local.h) and the whole device model serving it, in
 * one process and one thread. The guest's accesses let the model take turns until they are answered; machine_settle()
 * lets it finish.
 *
 * Disks are files of the current directory, unlinked at the end, whose 8-byte words are machine_word() of their number.
 * Any failure fails the test.
 *
 * With MACHINE_GRANTS=1 in the environment every machine has the option `grants`: most tests do not care.
 */
#ifndef TESTS_MACHINE_H
#define TESTS_MACHINE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "devices/blk.h"
#include "model.h"
#include "platform/local.h"

#define MACHINE_DOMAIN  7u
#define MACHINE_DISKS   9u
#define MACHINE_RAM     0x40000000ull
#define MACHINE_RAM_END 0x41000000ull /* then a hole */
#define MACHINE_RAM2    0x42000000ull
#define MACHINE_BANK    0x1000000ull
#define MACHINE_SECTORS 2048u
#define MACHINE_GRANTS  (MACHINE_BANK / 4096)
#define MACHINE_PATH    64u

struct machine {
    struct local_guest *guest;
    struct model *model;
    struct bridge bridge;
    struct model_options options;
    struct blk_options disk[MACHINE_DISKS];
    void (*elsewhere)(struct machine *machine); /* without a model here: lets time pass for one in another process */
    unsigned int disks;
    char path[MACHINE_DISKS][MACHINE_PATH];
};

struct machine_options {
    unsigned int disks;      /* 0 means 1 */
    bool plain;              /* two plain ranges of 0x1000 bytes in place of a PCI host bridge */
    bool intx_only;          /* no MSI-X offered */
    bool read_only;
    unsigned int queues;     /* of each disk; 0 means 1 */
    bool packed;             /* rings are offered; also with DRIVER_PACKED in the environment */
    unsigned int interrupts; /* of the bridge; 0 means 32 */
    uint64_t sectors;        /* of each disk; 0 means MACHINE_SECTORS */
    const char *id;
    const char *directory;   /* for the disks; NULL: the current one */
    struct model_device beside; /* one more device, behind the disks; without a kind: none */
    bool grants;             /* the bridge has GRANTS, and the guest has granted all of its first bank */
};

/* With MACHINE_PLAIN in the environment every machine is `plain`: so tests of devices run over both transports. */
void machine_start(struct machine *machine, const struct machine_options *options);
void machine_finish(struct machine *machine); /* stops the model if it still runs, and checks that it did not fail */

/* Starts the model again after the test has destroyed it. */
void machine_start_model(struct machine *machine);
void machine_stop_model(struct machine *machine);
void machine_destroy_model(struct machine *machine, int result); /* without stopping it; what model_destroy() gives */

/*
 * A block device (Linux' loop) on a file, which is there until what is returned, a descriptor, and others are closed;
 * -1: not on this host, or not root.
 */
int machine_block_device(const char *file, char path[MACHINE_PATH]);

/*
 * A test in a cmocka table: machine_test(test_of_something, .disks = 2). It gets a machine of these options, which is
 * finished when it returns.
 */
#define machine_test(test, ...) \
    { #test, machine_test_run, NULL, NULL, &(struct machine_test){ test, { __VA_ARGS__ } } }

struct machine_test {
    void (*test)(struct machine *machine);
    struct machine_options options;
};

/* Ends the test as skipped, with nothing left of it. */
void machine_skip(struct machine *machine);

void machine_test_run(void **state);

/* Lets the model work until it has nothing to do for a while. */
void machine_settle(struct machine *machine);
void machine_turn(void *machine);

/* Configuration space of function 0 of a device of bus 0, and raw guest accesses. */
uint64_t machine_config_read(struct machine *machine, unsigned int device, unsigned int offset, unsigned int size);
void machine_config_write(struct machine *machine, unsigned int device, unsigned int offset, unsigned int size,
                          uint64_t data);
uint64_t machine_read(struct machine *machine, uint64_t address, unsigned int size);
void machine_write(struct machine *machine, uint64_t address, unsigned int size, uint64_t data);
void *machine_memory(struct machine *machine, uint64_t address, uint64_t length);

/* What a driver tells its device in place of a guest physical address: with grants the first bank is granted. */
uint64_t machine_dma(const struct machine *machine, uint64_t address);

uint64_t machine_word(uint64_t number);

/* Monotonic milliseconds, and an unconditional failure when `deadline` has passed. */
uint64_t machine_now(void);
void machine_check_deadline(uint64_t deadline, const char *what);

#endif
