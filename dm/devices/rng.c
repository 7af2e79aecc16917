/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * See rng.h. The shortest kind there is. Its queue is pulled: a buffer is taken when there is something to put in, and
 * given back at once, so that nothing is in flight while a guest waits.
 *
 *   serve()  fills buffers until there are no more, or nothing may be given for now: then the timer calls it again
 */
#include "rng.h"

#include <errno.h>
#include <seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include <linux/virtio_ids.h>

#define RNG_CLASS 0xff0000u /* PCI: fits in no class */

#define SECOND     1000000000u /* ns */
#define PERIODS    8u          /* of a second: what was not asked for longer than that is forgotten */
#define RATE_MIN   64u
#define RATE_MAX   0x1000000u
#define TURN_BYTES 0x10000u /* then others have a turn of the loop */

enum {
    FILE_TIMER,
};

struct rng {
    struct virtio_device device; /* first: the operations are given this */
    struct loop *loop;
    struct loop_watch watch; /* of the timer, while it runs: else there is nothing for the loop to look at */
    struct loop_task again;
    int timer;
    bool waiting; /* for it */
    uint64_t rate;
    uint64_t credit; /* bytes that may be given */
    uint64_t since;  /* ns: the time that it counts up to */
};

static uint64_t now(void)
{
    struct timespec time;

    (void)clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * SECOND + (uint64_t)time.tv_nsec;
}

static void earn(struct rng *rng)
{
    const uint64_t passed = now() - rng->since;

    if (passed >= SECOND / PERIODS) {
        rng->credit = rng->rate / PERIODS;
        rng->since += passed;
    } else {
        const uint64_t earned = passed * rng->rate / SECOND;

        rng->credit += earned;
        rng->credit = rng->credit < rng->rate / PERIODS ? rng->credit : rng->rate / PERIODS;
        rng->since += earned * SECOND / rng->rate; /* what is less than a byte is not lost */
    }
}

/* Bytes that were put into a chain, `most` at most, or a negative errno value: none. */
static int fill(const struct virtqueue_chain *chain, size_t most)
{
    size_t done = 0;

    for (unsigned int i = 0; i < chain->writable && done < most; i++) {
        const struct iovec *vector = &chain->vector[chain->readable + i];
        const size_t part = vector->iov_len < most - done ? vector->iov_len : most - done;
        const ssize_t got = getrandom(vector->iov_base, part, GRND_NONBLOCK);

        if (got < 0 && done == 0) {
            return -errno;
        }
        done += got > 0 ? (size_t)got : 0;
        if (got < (ssize_t)part) {
            break;
        }
    }
    return done > 0 ? (int)done : -EMSGSIZE;
}

static void timer_ended(void *opaque, int error);

/* Where the loop has no memory for that it is tried in each of its turns. */
static void wait_a_period(struct rng *rng)
{
    const struct itimerspec period = { .it_value.tv_nsec = SECOND / PERIODS };

    rng->waiting = loop_watch(rng->loop, &rng->watch, rng->timer, timer_ended, rng) == 0;
    if (!rng->waiting) {
        loop_defer(rng->loop, &rng->again);
    }
    (void)timerfd_settime(rng->timer, 0, &period, NULL); /* fails for wrong arguments alone */
}

/*
 * One chain. Whether to go on: not without random numbers, of which the kernel may have none soon after it was booted.
 * A chain without room for any is refused: to give it back would tell the driver that it has got some.
 */
static bool answer(struct rng *rng, struct virtqueue_chain *chain, size_t most)
{
    const int given = fill(chain, most);

    if (given == -EAGAIN || given == -EINTR) {
        virtio_device_untake(&rng->device, 0, chain);
        return false;
    }
    if (given < 0) {
        virtio_device_refuse(&rng->device, 0, chain);
        return true;
    }
    rng->credit -= (uint64_t)given;
    virtio_device_complete(&rng->device, 0, chain, (uint32_t)given);
    return true;
}

static void serve(struct rng *rng)
{
    struct virtqueue_chain *chain;
    uint64_t end;
    bool go_on = true;

    if (rng->waiting) {
        return;
    }
    earn(rng);
    end = rng->credit > TURN_BYTES ? rng->credit - TURN_BYTES : 0;
    while (go_on && rng->credit > end) {
        if (virtio_device_take(&rng->device, 0, &chain) != VIRTIO_DEVICE_CHAIN) {
            return;
        }
        go_on = answer(rng, chain, (size_t)(rng->credit - end));
    }
    if (go_on && end > 0) {
        loop_defer(rng->loop, &rng->again);
    } else {
        wait_a_period(rng);
    }
}

static void serve_again(void *opaque)
{
    serve(opaque);
}

static void timer_ended(void *opaque, int error)
{
    struct rng *rng = opaque;
    uint64_t times;

    if (!error && read(rng->timer, &times, sizeof(times)) < 0 && errno == EAGAIN) {
        return;
    }
    loop_unwatch(rng->loop, &rng->watch);
    rng->waiting = false;
    serve(rng);
}

/* The device is the first member. */
static void available(struct virtio_device *device, unsigned int queue)
{
    (void)queue;
    serve((struct rng *)(void *)device);
}

static void driver_ok(struct virtio_device *device)
{
    serve((struct rng *)(void *)device);
}

static const struct virtio_device_operations operations = { .available = available, .driver_ok = driver_ok };

static int open_timer(const void *options, struct kind_files *files, char error[KIND_ERROR_MAX])
{
    const int timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);

    (void)options;
    if (timer < 0) {
        return kind_refuse(-errno, "no timer", error);
    }
    *files = (struct kind_files){ .count = 1, .file = { [FILE_TIMER] = timer } };
    return 0;
}

static int create(struct virtio_device **device, const struct kind_host *host, const void *opaque,
                  const struct kind_files *files, char error[KIND_ERROR_MAX])
{
    const struct rng_options *options = opaque;
    const uint16_t queue_size = RNG_QUEUE_SIZE;
    struct rng *rng = calloc(1, sizeof(*rng));
    int result;

    if (!rng) {
        return kind_refuse(-ENOMEM, "no memory for it", error);
    }
    rng->loop = host->loop;
    rng->again = (struct loop_task){ .run = serve_again, .opaque = rng };
    rng->timer = files->file[FILE_TIMER];
    rng->rate = options->rate ? options->rate : RNG_RATE_DEFAULT;
    result = virtio_device_init(&rng->device, VIRTIO_ID_RNG, &operations, host->loop, host->platform, 1, &queue_size,
                                0);
    if (result) {
        free(rng);
        return kind_refuse(result, "cannot be made a device", error);
    }
    virtio_device_pull(&rng->device, 0);
    *device = &rng->device;
    return 0;
}

static void destroy(struct virtio_device *device)
{
    struct rng *rng = (struct rng *)(void *)device;

    (void)close(rng->timer);
    virtio_device_finish(device);
    free(rng);
}

static const struct setting settings[] = {
    { "rate", SETTING_NUMBER, false, "N", "65536",
      "bytes a second that the guest gets at most; an eighth of them at once", offsetof(struct rng_options, rate),
      RATE_MIN, RATE_MAX },
};

static const int calls[] = { SCMP_SYS(getrandom), SCMP_SYS(timerfd_settime) };

const struct kind rng_kind = {
    .name = "rng",
    .help = "random numbers",
    .class_code = RNG_CLASS,
    .settings = SETTINGS(settings),
    .options_size = sizeof(struct rng_options),
    .needs = { .calls = calls, .call_count = sizeof(calls) / sizeof(calls[0]) },
    .open = open_timer,
    .create = create,
    .destroy = destroy,
};
