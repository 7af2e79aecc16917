/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the device model keeps in a file, so that one that is started after it was killed goes on in its place and the
 * guest notices nothing.
 *
 * The file is mapped, and only that matters: it is for the death of a process, not of the machine, and best lies in
 * memory (/run). Two kinds of content, each for one device:
 *   saved    registers, as a whole, twice: one is being written while the other counts. Saved after each access of the
 *            guest and before its vCPU goes on. An access that was not saved is made again, from the registers
 *            before it; one that was saved and not answered is made again, too, which changes nothing but this: a read
 *            of ISR clears it, so that the answer that is given is 0. Hence who resumes asserts all that ISR can tell.
 *   journals what was taken from the queues and given back (virtio/queue.h), and what a kind must not forget
 *
 * A file counts only for the ioreq server that carries its mark (platform/platform.h), and for the same command line
 * with the same things behind its names.
 *
 * Nothing is written into a file that this program has not made, and the mapping has storage: a file system that is
 * full says so when the file is mapped. Who truncates the file of a running process ends it (SIGBUS, and a line that
 * says so): what it goes by is gone, and to go on without would be to guess what the guest has been given.
 */
#ifndef STATE_H
#define STATE_H

#include <stddef.h>
#include <stdint.h>

#include "pci/bus.h"
#include "virtio/pci.h"

#define STATE_DEVICES_MAX (PCI_BUS_DEVICES - 1)

struct state_registers {
    uint32_t current; /* which of the two counts */
    struct virtio_pci_saved saved[2];
};

/* Where in the file a device's content is. */
struct state_device {
    struct state_registers *registers;
    void *queues; /* their journals */
    void *kind;   /* its journal */
};

/* Bytes of its journals. */
struct state_sizes {
    size_t queues;
    size_t kind;
};

#define STATE_ERROR_MAX 200u

struct state;

/*
 * Opens the file, makes it if it is not there, and locks it. `configuration` is a number for all that must be the
 * same for the file to count. The path is borrowed. One file a process. On failure `error` has a sentence for the user,
 * without the path, and a file that was there is as it was.
 * -EBUSY another process has it, -EEXIST it is something else, -EPROTO the state of another version, -EPERM somebody
 * else's; else as open(2).
 */
int state_open(struct state **state, const char *path, uint64_t configuration, char error[STATE_ERROR_MAX]);
void state_close(struct state *state); /* the file stays; NULL is allowed */

/* The mark that a server has if the file counts for it; 0: the file does not count at all. */
uint64_t state_mark(const struct state *state);

/*
 * Makes room in the file for so many devices, at most STATE_DEVICES_MAX, and maps it; what counts there stays. As
 * fallocate(2), or -EPROTO: what counts is of another form.
 */
int state_map(struct state *state, const struct state_sizes *sizes, unsigned int devices, char error[STATE_ERROR_MAX]);

/* Begins anew, once: all zero but for a new mark. */
void state_begin(struct state *state);

const struct state_device *state_device(const struct state *state, unsigned int device);

/* The registers that count; and makes those of the device count. */
const struct virtio_pci_saved *state_saved(const struct state_device *device);
void state_save(const struct state_device *device, const struct virtio_pci *pci);

#endif
