/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A character end: where the bytes go that a guest writes to a port, and where those come from that it reads.
 *
 *   pty      a terminal of its own, and a symbolic link that leads to it for as long as this process lives
 *   socket   a UNIX stream socket that listens: one client at a time, which may go and come again
 *   fifo     two FIFOs, PATH.in and PATH.out: what is in them outlives this process if somebody else has them open
 *   file     a regular file at whose end output is written
 *   stdio    this process's standard input and output
 *   journal  lines on standard error, with a name before each
 *   sink     nothing
 *
 * Nothing here ever waits: an end is asked what it can take or give, and says when that may have changed. Output to a
 * file is the exception: it goes through the event loop, by character_append(), and takes as long as the storage does.
 *
 * character_open() is for before the process gives up its privileges, the rest for afterwards. One thread, that of the
 * event loop. Functions that return int return 0 or a negative errno value unless they say otherwise.
 */
#ifndef BACKENDS_CHARACTER_H
#define BACKENDS_CHARACTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "loop.h"

#define CHARACTER_ERROR_MAX 160u
#define CHARACTER_PIECE     4096u /* bytes that are moved at a time: a FIFO takes all or none (PIPE_BUF) */

enum character_type {
    CHARACTER_NONE,
    CHARACTER_PTY,
    CHARACTER_SOCKET,
    CHARACTER_FIFO,
    CHARACTER_FILE,
    CHARACTER_STDIO,
    CHARACTER_JOURNAL,
    CHARACTER_SINK,
    CHARACTER_TYPES,
};

/* What a user asks for; the text is borrowed. */
struct character_place {
    enum character_type type;
    const char *path; /* of a journal: the name; NULL: none is wanted */
};

/* The descriptors that an end stands on; -1: it has no use for that one. */
enum {
    CHARACTER_INPUT,
    CHARACTER_OUTPUT, /* perhaps the same as input: then -1 */
    CHARACTER_KEPT,   /* open for as long as the end is: the other side of a pty */
    CHARACTER_FILES,
};

/* "TYPE:PATH", or "TYPE" for those that have none. -EINVAL, and a sentence. */
int character_parse(const char *text, struct character_place *place, char error[CHARACTER_ERROR_MAX]);

/* On failure nothing is open, and `error` has a sentence. -EBUSY: another process has it, which perhaps is ending. */
int character_open(const struct character_place *place, int file[CHARACTER_FILES], char error[CHARACTER_ERROR_MAX]);

/* A line of a journal that has no end yet: its owner's, so that it can outlive the process. All zero: none. */
struct character_line {
    uint32_t length;
    char text[CHARACTER_PIECE];
};

struct character {
    /* private */
    struct character_place place;
    struct loop *loop;
    int listener; /* -1: none, likewise below */
    int input;
    int output;
    int kept;
    bool readable; /* perhaps, likewise below */
    bool writable;
    bool deaf; /* a client that has gone, of which there is still something to read */
    struct loop_watch listening;
    struct loop_watch reading; /* and writing, if output is input */
    struct loop_watch writing;
    struct character_line *line;
    void (*ready)(void *opaque);
    void *opaque;
};

/*
 * The end has the descriptors from now on, unless this fails. `ready` is called whenever there may be something to
 * read, room to write, or another client or none. The line is borrowed.
 */
int character_start(struct character *end, struct loop *loop, const struct character_place *place,
                    const int file[CHARACTER_FILES], void (*ready)(void *opaque), void *opaque);
void character_stop(struct character *end);   /* watches nothing any more: the descriptors are the caller's again */
void character_finish(struct character *end); /* when the loop has been destroyed: closes what it has */
void character_keep_line(struct character *end, struct character_line *line);

/* Whether somebody is there. Only a socket knows that nobody is. */
bool character_connected(const struct character *end);

/* Whether character_read() may have something, as far as is known without asking. */
bool character_readable(const struct character *end);

/*
 * How many bytes character_read() is sure to give, of those that are in the end and would stay there if this process
 * were killed now; 0: none stay.
 */
size_t character_lasting(const struct character *end, size_t most);

/* How many bytes; 0: none now. At most CHARACTER_PIECE. */
size_t character_read(struct character *end, void *data, size_t size);

/* Whether character_write() would take something. */
bool character_writable(struct character *end);

/* How many bytes were taken; 0: no room now, or nobody is there. At most CHARACTER_PIECE are looked at. */
size_t character_write(struct character *end, const void *data, size_t size);

/* Of a file. -EIO etc. as the file has it. */
int character_size(const struct character *end, uint64_t *size);
void character_append(struct character *end, struct loop_request *request, const struct iovec *vector,
                      unsigned int count, uint64_t offset, loop_done_fn *done);

/* The size of a terminal in characters; false: it has none, or it is not set. */
bool character_window(const struct character *end, uint16_t *columns, uint16_t *rows);

#endif
