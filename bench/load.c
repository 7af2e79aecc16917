/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The load of bench/performance.py, in a guest: reads a disk past the page cache, in an order that no read-ahead
 * guesses, and says how long that took. On a counted board a nanosecond is an instruction, whoever executes it.
 *
 *   bench-load DISK BYTES DEPTH COUNT [FIRST]
 *                      COUNT reads of BYTES (a multiple of the disk's blocks), of which DEPTH are always under way: one
 *                      by pread(2), more by io_uring; a few before that count for nothing. FIRST: where in the order to
 *                      begin (default: 0); what was read before may be in somebody's page cache
 *   bench-load seed    credits the kernel's random generator with bits that it has not: as long as it has none each
 *                      system call is slow, and a board has none for a guest
 *
 * Exit status 1, with a line on standard error, when something failed; 2 when the command line is wrong.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <liburing.h>
#include <linux/fs.h>
#include <linux/random.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define DEPTH_MAX 256u
#define BYTES_MAX 0x100000u
#define HUGE_PAGE 0x200000u
#define WARM_UP   128u
#define STRIDE    37u /* blocks from one read to the next: with any disk of a power of two of them each has its turn */

struct load {
    int disk;
    uint64_t blocks; /* of the disk, of `bytes` each */
    uint64_t bytes;
    uint64_t depth;
    uint64_t count;
    uint64_t next; /* in the order */
    char *memory; /* `depth` times `bytes` */
};

static int failed(const char *what, int error)
{
    (void)fprintf(stderr, "bench-load: %s: %s\n", what, error ? strerror(error) : "not all of it");
    return 1;
}

static int seed(void)
{
    struct {
        struct rand_pool_info info;
        uint32_t more[8];
    } entropy = { .info = { .entropy_count = 256, .buf_size = sizeof(entropy.more) } };
    const int random = open("/dev/random", O_WRONLY);

    return random < 0 || ioctl(random, RNDADDENTROPY, &entropy) ? failed("/dev/random", errno) : 0;
}

static off_t next_place(struct load *load)
{
    return (off_t)(load->next++ * STRIDE % load->blocks * load->bytes);
}

static int read_one_by_one(struct load *load, uint64_t count)
{
    for (uint64_t i = 0; i < count; i++) {
        const ssize_t done = pread(load->disk, load->memory, load->bytes, next_place(load));

        if (done != (ssize_t)load->bytes) {
            return failed("read", done < 0 ? errno : 0);
        }
    }
    return 0;
}

static void start(struct io_uring *ring, struct load *load, uint64_t slot)
{
    struct io_uring_sqe *const sqe = io_uring_get_sqe(ring); /* there is one: as many as requests */

    io_uring_prep_read(sqe, load->disk, load->memory + slot * load->bytes, (unsigned int)load->bytes,
                       (uint64_t)next_place(load));
    io_uring_sqe_set_data64(sqe, slot);
}

/* All that have ended are taken at once, and as many are started. */
static int read_at_depth(struct load *load, struct io_uring *ring, uint64_t count)
{
    uint64_t started = 0;

    while (started < load->depth && started < count) {
        start(ring, load, started++);
    }
    for (uint64_t done = 0; done < count;) {
        const int result = io_uring_submit_and_wait(ring, 1);
        struct io_uring_cqe *cqe;

        if (result < 0) {
            return failed("io_uring", -result);
        }
        for (; io_uring_peek_cqe(ring, &cqe) == 0; done++) {
            const uint64_t slot = io_uring_cqe_get_data64(cqe);
            const int bytes = cqe->res;

            io_uring_cqe_seen(ring, cqe);
            if (bytes < 0 || (uint64_t)bytes != load->bytes) {
                return failed("read", bytes < 0 ? -bytes : 0);
            }
            if (started < count) {
                start(ring, load, slot);
                started++;
            }
        }
    }
    return 0;
}

static uint64_t now(void)
{
    struct timespec time;

    (void)clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

static int read_all(struct load *load, struct io_uring *ring, uint64_t count)
{
    return load->depth == 1 ? read_one_by_one(load, count) : read_at_depth(load, ring, count);
}

/* What is done for the first time, such as that the device model maps the memory, is not measured. */
static int measure(struct load *load)
{
    struct io_uring ring;
    uint64_t begin;
    int result = io_uring_queue_init((unsigned int)load->depth, &ring, 0);

    if (result) {
        return failed("io_uring", -result);
    }
    result = read_all(load, &ring, WARM_UP + load->depth);
    begin = now();
    result = result ? result : read_all(load, &ring, load->count);
    if (!result) {
        (void)printf("sb: guest load %" PRIu64 " bytes depth %" PRIu64 ": %" PRIu64 " reads took %" PRIu64 " ns\n",
                     load->bytes, load->depth, load->count, now() - begin);
    }
    return result;
}

/* In huge pages, if the kernel knows any: what a request costs depends on how many pieces its memory is in. */
static char *allocate(uint64_t bytes)
{
    const uint64_t whole = (bytes + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE;
    char *const memory = aligned_alloc(HUGE_PAGE, whole);

    if (!memory || (madvise(memory, whole, MADV_HUGEPAGE) && errno != EINVAL)) {
        return NULL;
    }
    return memset(memory, 1, whole);
}

static bool number(const char *text, uint64_t max, uint64_t *value)
{
    char *end;

    *value = strtoull(text, &end, 10);
    return *text >= '0' && *text <= '9' && *end == '\0' && *value > 0 && *value <= max;
}

int main(int argc, char **argv)
{
    struct load load = { .next = 0 };

    if (argc == 2 && strcmp(argv[1], "seed") == 0) {
        return seed();
    }
    if (argc < 5 || argc > 6 || !number(argv[2], BYTES_MAX, &load.bytes) || !number(argv[3], DEPTH_MAX, &load.depth) ||
        !number(argv[4], UINT32_MAX, &load.count) || (argc == 6 && !number(argv[5], UINT32_MAX, &load.next))) {
        (void)fputs("Usage: bench-load DISK BYTES DEPTH COUNT [FIRST] | bench-load seed\n", stderr);
        return 2;
    }
    load.disk = open(argv[1], O_RDONLY | O_DIRECT);
    if (load.disk < 0 || ioctl(load.disk, BLKGETSIZE64, &load.blocks)) {
        return failed(argv[1], errno);
    }
    load.blocks /= load.bytes;
    load.memory = allocate(load.depth * load.bytes);
    if (!load.memory) {
        return failed("memory", errno);
    }
    return load.blocks > 0 ? measure(&load) : failed(argv[1], EINVAL);
}
