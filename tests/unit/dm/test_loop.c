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
#include <sys/eventfd.h>
#include <unistd.h>

#include <cmocka.h>

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

static void test_watch_is_level_triggered(void **state)
{
    const int event = eventfd(0, EFD_NONBLOCK);
    struct loop_watch watch;
    unsigned int ready = 0;
    uint64_t value = 1;
    struct loop *loop;

    (void)state;
    assert_int_equal(loop_create(&loop, 4), 0);
    loop_watch(loop, &watch, event, count_ready, &ready);
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
    loop_watch(loop, &watch, 9999, keep_error, &error);
    assert_int_equal(loop_run_once(loop, true), 0);
    assert_int_equal(error, -EBADF);
    loop_destroy(loop);
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
    loop_watch(loop, &watch, ends[0], keep_error, &error);
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
        cmocka_unit_test(test_watch_is_level_triggered),
        cmocka_unit_test(test_watch_of_a_bad_descriptor),
        cmocka_unit_test(test_watch_ends_when_the_other_side_closes),
        cmocka_unit_test(test_task_runs_once_a_turn),
        cmocka_unit_test(test_entries_out_of_range),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
