/* SPDX-License-Identifier: GPL-2.0-only */
/* What every test here begins and ends with: a machine, by the flags and the number of its bridges. */
#ifndef TESTS_HYPERVISOR_FIXTURE_H
#define TESTS_HYPERVISOR_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>

#include "machine.h"

#include <cmocka.h>

static struct machine machine;

/* Two bridges of two buses and plain ranges, without HOLD. */
static inline int start(void **state)
{
    (void)state;
    machine_start(&machine, 3, 0, 2);
    return 0;
}

static inline int start_with_hold(void **state)
{
    (void)state;
    machine_start(&machine, 3, BRIDGE_FLAG_HOLD, 2);
    return 0;
}

static inline int stop(void **state)
{
    (void)state;
    machine_stop(&machine);
    return 0;
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, start, stop)
#define TEST_WITH_HOLD(function) cmocka_unit_test_setup_teardown(function, start_with_hold, stop)
#define RUN(tests) cmocka_run_group_tests(tests, NULL, NULL)

/* What a read gives that nobody answers. */
static inline uint64_t all_ones(unsigned int size)
{
    return ~0ull >> (64 - 8 * size);
}

#define assert_read(gpa, size, expected) \
    do { \
        const struct result result_ = guest_read(&machine, gpa, size); \
        assert_int_equal(result_.state, IO_HANDLED); \
        assert_int_equal(result_.value, expected); \
    } while (0)

/* Background: nobody is asked. */
#define assert_background(gpa) \
    do { \
        assert_read(gpa, 4, all_ones(4)); \
        assert_null(machine_request(&machine)); \
    } while (0)

/* A 4-byte read is forwarded as such a request, and then answered. */
#define assert_forwarded(gpa, request_type, request_address) \
    do { \
        assert_int_equal(guest_read(&machine, gpa, 4).state, IO_RETRY); \
        assert_non_null(machine_request(&machine)); \
        assert_int_equal(machine_request(&machine)->type, request_type); \
        assert_int_equal(machine_request(&machine)->addr, request_address); \
        machine_answer(&machine, 0); \
    } while (0)

#endif
