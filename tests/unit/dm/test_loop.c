/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The event loop by itself: nothing is lost when the ring is full, watches see what stays readable, tasks run once.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

#include <liburing.h>

#include "loop.h"

#define REQUESTS 1000u

struct read_request {
    struct loop_request request; /* first */
    struct iovec vector;
    uint32_t data;
    int result;
    unsigned int ended;
};

static int make_file(void)
{
    char path[] = "loop-XXXXXX";
    const int file = mkstemp(path);

    assert_true(file >= 0);
    assert_int_equal(unlink(path), 0);
    for (uint32_t i = 0; i < REQUESTS; i++) {
        assert_int_equal(pwrite(file, &i, sizeof(i), (off_t)(i * sizeof(i))), sizeof(i));
    }
    return file;
}

static void read_ended(struct loop_request *request, int result)
{
    struct read_request *read = (struct read_request *)(void *)request;

    read->result = result;
    read->ended++;
}

/* A thousand requests for a ring of four. */
static struct read_request *start_reads(struct loop **loop, int file)
{
    struct read_request *read = calloc(REQUESTS, sizeof(*read));

    assert_non_null(read);
    assert_int_equal(loop_create(loop, 4), 0);
    for (uint32_t i = 0; i < REQUESTS; i++) {
        read[i].vector = (struct iovec){ &read[i].data, sizeof(read[i].data) };
        loop_read(*loop, &read[i].request, file, &read[i].vector, 1, i * sizeof(uint32_t), read_ended);
    }
    return read;
}

static void test_full_ring_loses_nothing(void **state)
{
    const int file = make_file();
    struct read_request *read;
    struct loop *loop;

    (void)state;
    read = start_reads(&loop, file);
    assert_int_equal(loop_requests(loop), REQUESTS);
    while (loop_requests(loop) > 0) {
        assert_int_equal(loop_run_once(loop, true), 0);
    }
    for (uint32_t i = 0; i < REQUESTS; i++) {
        assert_int_equal(read[i].ended, 1);
        assert_int_equal(read[i].result, sizeof(uint32_t));
        assert_int_equal(read[i].data, i);
    }
    loop_destroy(loop);
    assert_int_equal(close(file), 0);
    free(read);
}

static void test_destroy_waits_for_requests(void **state)
{
    const int file = make_file();
    struct read_request *read;
    struct loop *loop;

    (void)state;
    read = start_reads(&loop, file);
    loop_destroy(loop);
    for (uint32_t i = 0; i < REQUESTS; i++) {
        assert_int_equal(read[i].ended, 1);
    }
    assert_int_equal(close(file), 0);
    free(read);
}

static void count_ready(void *opaque, int error)
{
    assert_int_equal(error, 0);
    ++*(unsigned int *)opaque;
}

/* With nothing but its own operations and files: everything goes on as without. */
static void test_sealed_loop_does_all_it_offers(void **state)
{
    const int event = eventfd(1, EFD_NONBLOCK), file = make_file();
    struct read_request *read, more[3] = { 0 };
    struct loop_watch watch;
    unsigned int ready = 0;
    struct loop *loop;

    (void)state;
    read = start_reads(&loop, file);
    assert_int_equal(loop_watch(loop, &watch, event, count_ready, &ready), 0);
    assert_int_equal(loop_add_file(loop, file), 0);
    assert_int_equal(loop_seal(loop), 0);
    more[0].vector = (struct iovec){ &more[0].data, sizeof(more[0].data) };
    loop_write(loop, &more[0].request, file, &more[0].vector, 1, REQUESTS * sizeof(uint32_t), read_ended);
    loop_allocate(loop, &more[1].request, file, 0, 0, REQUESTS * sizeof(uint32_t), read_ended);
    loop_sync(loop, &more[2].request, file, read_ended);
    while (loop_requests(loop) > 0) {
        assert_int_equal(loop_run_once(loop, true), 0);
    }
    for (uint32_t i = 0; i < REQUESTS; i++) {
        assert_int_equal(read[i].result, sizeof(uint32_t));
        assert_int_equal(read[i].data, i);
    }
    assert_int_equal(more[0].result, sizeof(uint32_t));
    assert_int_equal(more[1].result, 0);
    assert_int_equal(more[2].result, 0);
    assert_true(ready > 0);
    loop_destroy(loop);
    assert_int_equal(close(event), 0);
    assert_int_equal(close(file), 0);
    free(read);
}

/* Or device models of one user would take all the threads that it may have, and some would get none. */
static void test_few_workers(void **state)
{
    unsigned int most[2] = { 0, 0 }; /* asks */
    struct loop *loop;
    char path[64], target[64] = "";
    int ring = 2;

    (void)state;
    assert_int_equal(loop_create(&loop, 512), 0);
    assert_int_equal(loop_run_once(loop, false), 0);
    while (!strstr(target, "[io_uring]")) {
        assert_true(++ring < 64);
        (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", ring);
        memset(target, 0, sizeof(target));
        (void)readlink(path, target, sizeof(target) - 1);
    }
    if (syscall(SYS_io_uring_register, ring, IORING_REGISTER_IOWQ_MAX_WORKERS, most, 2)) {
        loop_destroy(loop);
        skip();
    }
    assert_in_range(most[0] + most[1], 2, LOOP_WORKERS_MAX);
    loop_destroy(loop);
}

static void test_sealed_loop_has_so_many_files(void **state)
{
    struct loop *loop;

    (void)state;
    assert_int_equal(loop_create(&loop, 4), 0);
    for (unsigned int i = 0; i < LOOP_FILES_MAX; i++) {
        assert_int_equal(loop_add_file(loop, 1), 0);
    }
    assert_int_equal(loop_add_file(loop, 1), -ENOSPC);
    assert_int_equal(loop_seal(loop), -ENOSPC);
    loop_destroy(loop);
}

static void test_watch_is_level_triggered(void **state)
{
    const int event = eventfd(0, EFD_NONBLOCK);
    struct loop_watch watch;
    unsigned int ready = 0;
    uint64_t value = 1;
    struct loop *loop;

    (void)state;
    assert_int_equal(loop_create(&loop, 4), 0);
    assert_int_equal(loop_watch(loop, &watch, event, count_ready, &ready), 0);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(loop_run_once(loop, false), 0);
    }
    assert_int_equal(ready, 0);
    assert_int_equal(write(event, &value, sizeof(value)), sizeof(value));
    for (int i = 0; i < 10; i++) {
        assert_int_equal(loop_run_once(loop, true), 0);
    }
    assert_true(ready >= 5);
    assert_int_equal(read(event, &value, sizeof(value)), sizeof(value));
    for (int i = 0; i < 5; i++) {
        assert_int_equal(loop_run_once(loop, false), 0);
    }
    ready = 0;
    assert_int_equal(loop_run_once(loop, false), 0);
    assert_int_equal(ready, 0);
    loop_destroy(loop);
    assert_int_equal(close(event), 0);
}

/* Four hung reads are all that a ring of four has under way, and more wait. */
static void test_hung_requests_do_not_starve_watches(void **state)
{
    struct read_request read[8] = { 0 };
    const int event = eventfd(1, EFD_NONBLOCK), other = eventfd(1, EFD_NONBLOCK);
    struct loop_watch early, late;
    unsigned int seen[2] = { 0 };
    struct loop *loop;
    int hung[2];

    (void)state;
    assert_int_equal(pipe(hung), 0);
    assert_int_equal(loop_create(&loop, 4), 0);
    assert_int_equal(loop_watch(loop, &early, event, count_ready, &seen[0]), 0);
    for (unsigned int i = 0; i < 8; i++) {
        read[i].vector = (struct iovec){ &read[i].data, sizeof(read[i].data) };
        loop_read(loop, &read[i].request, hung[0], &read[i].vector, 1, 0, read_ended);
    }
    for (unsigned int i = 0; i < 5; i++) {
        assert_int_equal(loop_run_once(loop, true), 0);
    }
    assert_true(seen[0] >= 4);
    assert_int_equal(loop_watch(loop, &late, other, count_ready, &seen[1]), 0);
    for (unsigned int i = 0; i < 5; i++) {
        assert_int_equal(loop_run_once(loop, true), 0);
    }
    assert_true(seen[1] >= 4);
    assert_int_equal(loop_requests(loop), 8);
    assert_int_equal(close(hung[1]), 0);
    while (loop_requests(loop) > 0) {
        assert_int_equal(loop_run_once(loop, true), 0);
    }
    for (unsigned int i = 0; i < 8; i++) {
        assert_int_equal(read[i].ended, 1);
    }
    loop_destroy(loop);
    assert_int_equal(close(hung[0]), 0);
    assert_int_equal(close(event), 0);
    assert_int_equal(close(other), 0);
}

/* What the loop does in a turn. */
static struct {
    unsigned int reads_at_once;
    unsigned int sleeps;
    unsigned int ring; /* turns */
    int event;
} calls;

int __real_io_uring_submit_and_wait(struct io_uring *ring, unsigned int count);
int __wrap_io_uring_submit_and_wait(struct io_uring *ring, unsigned int count);
int __wrap_io_uring_submit_and_wait(struct io_uring *ring, unsigned int count)
{
    calls.ring++;
    return __real_io_uring_submit_and_wait(ring, count);
}

int __real_io_uring_submit_and_get_events(struct io_uring *ring);
int __wrap_io_uring_submit_and_get_events(struct io_uring *ring);
int __wrap_io_uring_submit_and_get_events(struct io_uring *ring)
{
    calls.ring++;
    return __real_io_uring_submit_and_get_events(ring);
}

ssize_t __real_preadv64v2(int descriptor, const struct iovec *vector, int count, off_t offset, int flags);
ssize_t __wrap_preadv64v2(int descriptor, const struct iovec *vector, int count, off_t offset, int flags);
ssize_t __wrap_preadv64v2(int descriptor, const struct iovec *vector, int count, off_t offset, int flags)
{
    assert_int_equal(flags, RWF_NOWAIT);
    calls.reads_at_once++;
    return __real_preadv64v2(descriptor, vector, count, offset, flags);
}

static void sleep_in_read(void *opaque)
{
    uint64_t value;

    (void)opaque;
    assert_int_equal(read(calls.event, &value, sizeof(value)), sizeof(value));
    calls.sleeps++;
}

static void read_if_any(void *opaque, int error)
{
    assert_int_equal(error, 0);
    ++*(unsigned int *)opaque;
}

static void start_one(struct loop *loop, struct read_request *one, int descriptor)
{
    *one = (struct read_request){ .vector = { &one->data, sizeof(one->data) } };
    loop_read(loop, &one->request, descriptor, &one->vector, 1, 0, read_ended);
}

static void make_readable(void)
{
    const uint64_t value = 1;

    assert_int_equal(write(calls.event, &value, sizeof(value)), sizeof(value));
}

/*
 * With nothing under way one system call is a sleep, and a read of what is in memory is one more. This is the loop's
 * share of one request, see test_system_calls_of_a_request() in test_xen.c for the other three.
 */
static void test_sleeps_in_the_sleepers_function(void **state)
{
    const int file = make_file();
    struct loop_watch watch, other;
    struct read_request one;
    unsigned int ready = 0, others = 0;
    struct loop *loop;
    int hung[2];

    (void)state;
    memset(&calls, 0, sizeof(calls));
    calls.event = eventfd(0, 0);
    assert_int_equal(pipe(hung), 0);
    assert_int_equal(loop_create(&loop, 4), 0);
    loop_watch_asleep(loop, &watch, calls.event, read_if_any, sleep_in_read, &ready);
    for (unsigned int i = 1; i <= 3; i++) {
        make_readable();
        assert_int_equal(loop_run_once(loop, true), 0);
        assert_true(calls.sleeps == i && ready == 0);
        start_one(loop, &one, file);
        assert_int_equal(loop_run_once(loop, true), 0);
        assert_true(one.ended == 1 && one.result == sizeof(one.data));
        assert_true(calls.reads_at_once == i && calls.sleeps == i && calls.ring == 0);
    }

    /* One read after the other, and nobody sleeps: what is readable must have its turn. */
    make_readable();
    for (unsigned int i = 0; i < 10; i++) {
        start_one(loop, &one, file);
        while (!one.ended) {
            assert_int_equal(loop_run_once(loop, true), 0);
        }
    }
    assert_true(ready >= 1);

    /* One that cannot end at once goes through the ring, and the loop sleeps there. */
    start_one(loop, &one, hung[0]);
    ready = 0;
    assert_int_equal(loop_run_once(loop, true), 0);
    assert_true(calls.sleeps == 3 && ready == 1 && one.ended == 0);
    assert_int_equal(write(hung[1], "data", 4), 4);
    while (!one.ended) {
        assert_int_equal(loop_run_once(loop, true), 0);
    }
    assert_int_equal(one.result, 4);

    /* Somebody else is to be looked after: likewise. */
    assert_int_equal(loop_watch(loop, &other, hung[0], read_if_any, &others), 0);
    ready = 0;
    assert_int_equal(loop_run_once(loop, true), 0);
    assert_int_equal(write(hung[1], "data", 4), 4);
    for (unsigned int i = 0; i < 3; i++) {
        assert_int_equal(loop_run_once(loop, true), 0);
    }
    assert_true(calls.sleeps == 3 && ready > 0 && others > 0);
    loop_destroy(loop);
    assert_true(close(calls.event) == 0 && close(hung[0]) == 0 && close(hung[1]) == 0 && close(file) == 0);
}

struct pair {
    struct loop *loop;
    struct loop_watch *other;
    unsigned int ready;
};

static void unwatch_other(void *opaque, int error)
{
    struct pair *pair = opaque;

    assert_int_equal(error, 0);
    pair->ready++;
    loop_unwatch(pair->loop, pair->other);
}

/* Both are ready at once, and whichever is the first ends the other. */
static void test_unwatched_by_another(void **state)
{
    const int event[2] = { eventfd(1, EFD_NONBLOCK), eventfd(1, EFD_NONBLOCK) };
    struct loop_watch watch[2];
    struct pair pair[2] = { { .other = &watch[1] }, { .other = &watch[0] } };
    struct loop *loop;

    (void)state;
    for (unsigned int sealed = 0; sealed < 2; sealed++) {
        assert_int_equal(loop_create(&loop, 4), 0);
        assert_int_equal(sealed ? loop_seal(loop) : 0, 0);
        for (unsigned int i = 0; i < 2; i++) {
            pair[i].loop = loop;
            pair[i].ready = 0;
            assert_int_equal(loop_watch(loop, &watch[i], event[i], unwatch_other, &pair[i]), 0);
        }
        for (unsigned int i = 0; i < 3; i++) {
            assert_int_equal(loop_run_once(loop, false), 0);
        }
        assert_true(pair[0].ready + pair[1].ready >= 2 && (pair[0].ready == 0 || pair[1].ready == 0));
        loop_unwatch(loop, pair[0].ready ? &watch[0] : &watch[1]);
        pair[0].ready = pair[1].ready = 0;
        assert_int_equal(loop_run_once(loop, false), 0);
        assert_int_equal(pair[0].ready + pair[1].ready, 0);
        loop_destroy(loop);
    }
    assert_true(close(event[0]) == 0 && close(event[1]) == 0);
}

/* A pipe that is full is not writable until somebody has read. */
static void test_watch_of_what_can_be_written(void **state)
{
    static char page[4096];
    struct loop_watch watch;
    unsigned int ready = 0;
    struct loop *loop;
    int ends[2];

    (void)state;
    assert_int_equal(pipe2(ends, O_NONBLOCK), 0);
    while (write(ends[1], page, sizeof(page)) > 0) {
    }
    assert_int_equal(loop_create(&loop, 4), 0);
    assert_int_equal(loop_seal(loop), 0);
    assert_int_equal(loop_watch_events(loop, &watch, ends[1], EPOLLOUT, count_ready, &ready), 0);
    for (unsigned int i = 0; i < 3; i++) {
        assert_int_equal(loop_run_once(loop, false), 0);
    }
    assert_int_equal(ready, 0);
    assert_int_equal(read(ends[0], page, sizeof(page)), sizeof(page));
    assert_int_equal(loop_run_once(loop, true), 0);
    assert_int_equal(loop_run_once(loop, false), 0);
    assert_true(ready > 0);
    loop_destroy(loop);
    assert_true(close(ends[0]) == 0 && close(ends[1]) == 0);
}

static void keep_error(void *opaque, int error)
{
    *(int *)opaque = error;
}

static void test_watch_of_a_bad_descriptor(void **state)
{
    struct loop_watch watch;
    struct loop *loop;
    int error = 0;

    (void)state;
    assert_int_equal(loop_create(&loop, 4), 0);
    assert_int_equal(loop_watch(loop, &watch, 9999, keep_error, &error), -EBADF);
    loop_unwatch(loop, &watch);
    assert_int_equal(loop_run_once(loop, false), 0);
    assert_int_equal(error, 0);
    loop_destroy(loop);
}

/* The descriptor by which the others are watched; there is one loop. */
static int epoll_of_the_loop(void)
{
    for (int descriptor = 3; descriptor < 256; descriptor++) {
        char path[64], target[64] = "";

        (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", descriptor);
        if (readlink(path, target, sizeof(target) - 1) > 0 && strcmp(target, "anon_inode:[eventpoll]") == 0) {
            return descriptor;
        }
    }
    fail_msg("there is none");
    return -1;
}

/* Who has most of the work learns that the others are not watched any more. */
static void test_what_is_watched_is_lost(void **state)
{
    const int event = eventfd(0, EFD_NONBLOCK), other = eventfd(0, EFD_NONBLOCK);
    struct loop_watch asleep, watch;
    unsigned int ready = 0;
    struct loop *loop;
    int error = 0;

    (void)state;
    assert_int_equal(loop_create(&loop, 4), 0);
    loop_watch_asleep(loop, &asleep, event, keep_error, NULL, &error);
    assert_int_equal(loop_watch(loop, &watch, other, count_ready, &ready), 0);
    assert_int_equal(close(epoll_of_the_loop()), 0);
    for (unsigned int i = 0; i < 3 && !error; i++) {
        assert_int_equal(loop_run_once(loop, false), 0);
    }
    assert_int_equal(error, -EBADF);
    assert_int_equal(ready, 0);
    loop_destroy(loop);
    assert_true(close(event) == 0 && close(other) == 0);
}

static void test_watch_ends_when_the_other_side_closes(void **state)
{
    struct loop_watch watch;
    struct loop *loop;
    int ends[2];
    int error = 0;

    (void)state;
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(loop_create(&loop, 4), 0);
    assert_int_equal(loop_watch(loop, &watch, ends[0], keep_error, &error), 0);
    assert_int_equal(loop_run_once(loop, false), 0);
    assert_int_equal(close(ends[1]), 0);
    for (int i = 0; i < 100 && !error; i++) {
        assert_int_equal(loop_run_once(loop, false), 0);
    }
    assert_int_equal(error, -EIO);
    loop_destroy(loop);
    assert_int_equal(close(ends[0]), 0);
}

struct repeating {
    struct loop *loop;
    struct loop_task task;
    unsigned int runs;
};

static void run_again(void *opaque)
{
    struct repeating *repeating = opaque;

    repeating->runs++;
    loop_defer(repeating->loop, &repeating->task);
    loop_defer(repeating->loop, &repeating->task);
}

/* A task that queues itself runs once a turn, and keeps a turn that is allowed to sleep from sleeping. */
static void test_task_runs_once_a_turn(void **state)
{
    struct repeating repeating = { .task = { .run = run_again, .opaque = &repeating } };

    (void)state;
    assert_int_equal(loop_create(&repeating.loop, 4), 0);
    loop_defer(repeating.loop, &repeating.task);
    for (unsigned int i = 1; i <= 5; i++) {
        assert_int_equal(loop_run_once(repeating.loop, true), 0);
        assert_int_equal(repeating.runs, i);
    }
    loop_destroy(repeating.loop);
}

struct quiet {
    struct loop *loop;
    struct loop_quiet quiet;
    struct loop_task task;
    unsigned int looks;
    unsigned int found_at; /* the look that finds something */
    unsigned int listens;
    unsigned int tasks;
};

static bool quiet_look(void *opaque)
{
    struct quiet *quiet = opaque;

    if (++quiet->looks != quiet->found_at) {
        return false;
    }
    loop_defer(quiet->loop, &quiet->task);
    return true;
}

static void quiet_listen(void *opaque)
{
    ++((struct quiet *)opaque)->listens;
}

static void quiet_run(void *opaque)
{
    ++((struct quiet *)opaque)->tasks;
}

static void quiet_init(struct quiet *quiet)
{
    *quiet = (struct quiet){
        .quiet = { .look = quiet_look, .listen = quiet_listen, .opaque = quiet },
        .task = { .run = quiet_run, .opaque = quiet },
    };
    assert_int_equal(loop_create(&quiet->loop, 4), 0);
}

/* Quiet as long as requests end, and no longer. */
static void test_quiet_until_nothing_ends(void **state)
{
    struct read_request one;
    struct quiet quiet;
    int hung[2];

    (void)state;
    quiet_init(&quiet);
    assert_int_equal(pipe(hung), 0);
    loop_stay_quiet(quiet.loop, &quiet.quiet);
    assert_int_equal(loop_run_once(quiet.loop, false), 0);
    assert_int_equal(quiet.listens, 1); /* nothing is under way */
    loop_stay_quiet(quiet.loop, &quiet.quiet);
    loop_stay_quiet(quiet.loop, &quiet.quiet);
    for (unsigned int i = 0; i < 3; i++) {
        start_one(quiet.loop, &one, hung[0]);
        assert_int_equal(write(hung[1], "data", 4), 4);
        assert_int_equal(loop_run_once(quiet.loop, true), 0);
        assert_true(one.ended == 1 && quiet.listens == 1);
    }
    start_one(quiet.loop, &one, hung[0]);
    assert_int_equal(loop_run_once(quiet.loop, true), 0); /* LOOP_QUIET_US */
    assert_true(one.ended == 0 && quiet.listens == 2);
    assert_int_equal(write(hung[1], "data", 4), 4);
    loop_destroy(quiet.loop);
    assert_true(close(hung[0]) == 0 && close(hung[1]) == 0);
}

/* Requests that go on ending, and watches that go on being readable, hide nobody's work. */
static void test_quiet_is_looked_at_in_each_turn(void **state)
{
    struct read_request one;
    struct loop_watch watch;
    struct quiet quiet;
    unsigned int ready = 0;
    int hung[2], always;

    (void)state;
    quiet_init(&quiet);
    assert_int_equal(pipe(hung), 0);
    always = eventfd(1, 0);
    assert_int_equal(loop_watch(quiet.loop, &watch, always, read_if_any, &ready), 0);
    start_one(quiet.loop, &one, hung[0]);
    loop_stay_quiet(quiet.loop, &quiet.quiet);
    for (unsigned int i = 1; i <= 3; i++) {
        quiet.found_at = quiet.looks + 1;
        assert_int_equal(loop_run_once(quiet.loop, true), 0);
        assert_int_equal(quiet.tasks, i);
    }
    assert_true(ready >= 3 && one.ended == 0);
    assert_int_equal(write(hung[1], "data", 4), 4);
    loop_destroy(quiet.loop);
    assert_true(close(hung[0]) == 0 && close(hung[1]) == 0 && close(always) == 0);
}

/* What is found by polling is work; where nothing is found it is hardly ever tried. */
static void test_polling_ends_where_it_does_not_pay(void **state)
{
    struct loop_counters counters;
    struct quiet quiet;

    (void)state;
    quiet_init(&quiet);
    loop_set_polling(quiet.loop, 100000);
    quiet.found_at = 1000;
    loop_stay_quiet(quiet.loop, &quiet.quiet);
    assert_int_equal(loop_run_once(quiet.loop, true), 0);
    assert_true(quiet.tasks == 1 && quiet.listens == 0 && quiet.looks == 1000);
    counters = loop_counters(quiet.loop);
    assert_true(counters.polls == 1 && counters.found == 1);

    loop_set_polling(quiet.loop, 1);
    for (unsigned int i = 0; i < 1000; i++) {
        loop_stay_quiet(quiet.loop, &quiet.quiet);
        assert_int_equal(loop_run_once(quiet.loop, false), 0);
    }
    assert_int_equal(quiet.listens, 1000);
    counters = loop_counters(quiet.loop);
    assert_true(counters.polls <= 12 && counters.found == 1);

    /* It pays again: then it is done each time again. */
    quiet.found_at = quiet.looks + 1;
    for (unsigned int i = 0; quiet.tasks == 1; i++) {
        loop_stay_quiet(quiet.loop, &quiet.quiet);
        assert_int_equal(loop_run_once(quiet.loop, false), 0);
        assert_true(i < 1024);
    }
    for (unsigned int i = 0; i < 10; i++) {
        quiet.found_at = quiet.looks + 1;
        assert_int_equal(loop_run_once(quiet.loop, false), 0);
    }
    assert_int_equal(quiet.tasks, 12);
    loop_destroy(quiet.loop);
}

#define LARGE (8 * (size_t)LOOP_TURN_BYTES)

/*
 * Reads of much that is in memory: no turn copies more than its share, and each looks at what is readable. The rest of
 * the requests is for the next turns, the rest of each for who asked.
 */
static void test_large_reads_keep_nobody_waiting(void **state)
{
    struct read_request read[4] = { { .ended = 0 } };
    unsigned char *memory = calloc(4, LARGE);
    const int file = make_file();
    const int event = eventfd(1, EFD_CLOEXEC); /* stays readable */
    struct iovec vector[2];
    struct loop_watch watch;
    unsigned int ready = 0;
    struct loop *loop;

    (void)state;
    assert_non_null(memory);
    assert_int_equal(ftruncate(file, LARGE), 0);
    assert_int_equal(loop_create(&loop, 8), 0);
    assert_int_equal(loop_watch(loop, &watch, event, count_ready, &ready), 0);
    for (unsigned int i = 0; i < 3; i++) {
        read[i].vector = (struct iovec){ memory + i * LARGE, LARGE };
        loop_read(loop, &read[i].request, file, &read[i].vector, 1, 0, read_ended);
    }
    vector[0] = (struct iovec){ memory + 3 * LARGE, 4096 };
    vector[1] = (struct iovec){ memory + 3 * LARGE + 4096, LOOP_TURN_BYTES };
    loop_read(loop, &read[3].request, file, vector, 2, 0, read_ended);
    for (unsigned int turn = 1; loop_requests(loop) > 0; turn++) {
        unsigned int ended = 0;

        assert_int_equal(loop_run_once(loop, false), 0);
        for (unsigned int i = 0; i < 4; i++) {
            ended += read[i].ended;
        }
        assert_in_range(ended, 0, turn);
        assert_in_range(ready, turn - 1, turn);
    }
    for (unsigned int i = 0; i < 3; i++) {
        assert_int_equal(read[i].ended, 1);
        assert_int_equal(read[i].result, LOOP_TURN_BYTES);
        assert_int_equal(*(uint32_t *)(void *)(memory + i * LARGE + 4), 1);
        assert_int_equal(read[i].vector.iov_len, LARGE);
    }
    assert_int_equal(read[3].result, 4096);
    loop_destroy(loop);
    assert_int_equal(close(event), 0);
    assert_int_equal(close(file), 0);
    free(memory);
}

static void test_entries_out_of_range(void **state)
{
    struct loop *loop;

    (void)state;
    assert_int_equal(loop_create(&loop, 0), -EINVAL);
    assert_int_equal(loop_create(&loop, 4097), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_full_ring_loses_nothing),
        cmocka_unit_test(test_destroy_waits_for_requests),
        cmocka_unit_test(test_sealed_loop_does_all_it_offers),
        cmocka_unit_test(test_few_workers),
        cmocka_unit_test(test_sealed_loop_has_so_many_files),
        cmocka_unit_test(test_watch_is_level_triggered),
        cmocka_unit_test(test_hung_requests_do_not_starve_watches),
        cmocka_unit_test(test_sleeps_in_the_sleepers_function),
        cmocka_unit_test(test_unwatched_by_another),
        cmocka_unit_test(test_watch_of_what_can_be_written),
        cmocka_unit_test(test_watch_of_a_bad_descriptor),
        cmocka_unit_test(test_what_is_watched_is_lost),
        cmocka_unit_test(test_watch_ends_when_the_other_side_closes),
        cmocka_unit_test(test_task_runs_once_a_turn),
        cmocka_unit_test(test_quiet_until_nothing_ends),
        cmocka_unit_test(test_quiet_is_looked_at_in_each_turn),
        cmocka_unit_test(test_polling_ends_where_it_does_not_pay),
        cmocka_unit_test(test_large_reads_keep_nobody_waiting),
        cmocka_unit_test(test_entries_out_of_range),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
