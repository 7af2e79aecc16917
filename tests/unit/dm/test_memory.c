/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A guest's RAM as it is mapped (platform/memory.h), with a guest of this file: pages that have their frame number in
 * them, some absent, and a domain that has memory for so many mapped pages and no more.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <sys/mman.h>

#include "platform/memory.h"

#define BASE   0x40000000ull
#define PIECES 64u
#define SIZE   (PIECES * (uint64_t)MEMORY_PIECE)
#define BASE2  0x80001000ull
#define SIZE2  (3 * (uint64_t)MEMORY_PAGE) /* not even one piece */
#define WHOLE  6u /* pieces that are mapped as a whole, at most */
#define LIMIT  (8 * (uint64_t)MEMORY_PIECE)
#define TURN   MEMORY_PIECE_PAGES

#define MANY_PIECES 160u                      /* of which the pages are more than MEMORY_MAPPINGS */
#define SPACE       (1ull << 20 << 10)        /* for the mappings of a process, if it may have no more than usual */

static struct {
    uint64_t absent;    /* frame number */
    bool holes;         /* the last page of each piece is absent, too */
    uint64_t memory;    /* pages that may be mapped, by what memory.c says is */
    unsigned int most;  /* pages asked for in one call */
    struct memory *memory_of;
} guest;

static int map_pages(void *opaque, void *where, uint64_t frame, unsigned int pages)
{
    uint64_t *page;

    assert_ptr_equal(opaque, &guest);
    assert_in_range(pages, 1, MEMORY_PIECE_PAGES);
    if (guest.holes && frame % MEMORY_PIECE_PAGES + pages == MEMORY_PIECE_PAGES) {
        return -ENOENT;
    }
    page = mmap(where, (size_t)pages * MEMORY_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED,
                -1, 0);
    if (page == MAP_FAILED) {
        return -errno;
    }
    assert_ptr_equal(page, where);
    guest.most = pages > guest.most ? pages : guest.most;
    if (memory_counters(guest.memory_of)->mapped + pages > guest.memory) {
        return -EAGAIN;
    }
    for (unsigned int i = 0; i < pages; i++) {
        if (frame + i == guest.absent) {
            return -ENOENT;
        }
        page[i * (MEMORY_PAGE / sizeof(*page))] = frame + i;
    }
    return 0;
}

static int set_up(void **state)
{
    const struct bridge_window bank[] = { { BASE, SIZE }, { BASE2, SIZE2 } };

    guest.absent = 0;
    guest.holes = false;
    guest.memory = UINT64_MAX;
    guest.most = 0;
    *state = NULL;
    if (memory_create(&guest.memory_of, bank, 2, LIMIT, map_pages, &guest)) {
        return -1;
    }
    *state = guest.memory_of;
    return 0;
}

static int tear_down(void **state)
{
    memory_destroy(*state);
    return 0;
}

static uint64_t mapped(const struct memory *memory)
{
    return memory_counters(memory)->mapped;
}

static uint64_t maps(const struct memory *memory)
{
    return memory_counters(memory)->maps;
}

/* In a turn of its own. Looks at each page. */
static void *buffer(struct memory *memory, uint64_t address, uint64_t length)
{
    int error = -EAGAIN;
    void *where;

    while (error == -EAGAIN) {
        (void)memory_turn(memory);
        error = memory_map(memory, address, length, MEMORY_BUFFER, &where);
    }
    assert_int_equal(error, 0);
    for (uint64_t page = address / MEMORY_PAGE; page <= (address + length - 1) / MEMORY_PAGE; page++) {
        const uint64_t *content = (const void *)((char *)where - address % MEMORY_PAGE +
                                                 (page - address / MEMORY_PAGE) * MEMORY_PAGE);

        assert_int_equal(*content, page);
    }
    return where;
}

static void touch(struct memory *memory, uint64_t address)
{
    memory_unmap(memory, buffer(memory, address, 1), 1, MEMORY_BUFFER);
}

static int refused(struct memory *memory, uint64_t address, uint64_t length, enum memory_use use)
{
    void *where = NULL;
    int error;

    (void)memory_turn(memory);
    error = memory_map(memory, address, length, use, &where);
    assert_null(where);
    return error;
}

static void test_contiguous(void **state)
{
    struct memory *memory = *state;
    void *where = buffer(memory, BASE + MEMORY_PIECE - 1, 2);

    assert_int_equal(mapped(memory), 2 * MEMORY_PIECE_PAGES);
    assert_ptr_equal(buffer(memory, BASE + MEMORY_PIECE, 1), (char *)where + 1);
    assert_int_equal(maps(memory), 2);
    (void)buffer(memory, BASE2, SIZE2);
    assert_int_equal(maps(memory), 3);
    assert_int_equal(mapped(memory), 2 * MEMORY_PIECE_PAGES + 3);
}

static void test_no_ram(void **state)
{
    struct memory *memory = *state;

    assert_int_equal(refused(memory, BASE - 1, 2, MEMORY_BUFFER), -EFAULT);
    assert_int_equal(refused(memory, BASE + SIZE - 1, 2, MEMORY_BUFFER), -EFAULT);
    assert_int_equal(refused(memory, BASE, 0, MEMORY_BUFFER), -EFAULT);
    assert_int_equal(refused(memory, BASE, UINT64_MAX, MEMORY_BUFFER), -EFAULT);
    assert_int_equal(refused(memory, UINT64_MAX, 1, MEMORY_RING), -EFAULT);
    assert_int_equal(maps(memory), 0);
}

/* Only what touches the page that is not there cannot be mapped. */
static void test_absent_page(void **state)
{
    const uint64_t absent = BASE + MEMORY_PIECE + 100 * MEMORY_PAGE;
    struct memory *memory = *state;

    guest.absent = absent / MEMORY_PAGE;
    (void)buffer(memory, absent - MEMORY_PAGE, MEMORY_PAGE);
    (void)buffer(memory, absent + MEMORY_PAGE, MEMORY_PAGE);
    (void)buffer(memory, absent - 100 * MEMORY_PAGE, 100 * MEMORY_PAGE);
    assert_int_equal(refused(memory, absent, 1, MEMORY_BUFFER), -EFAULT);
    assert_int_equal(refused(memory, absent - 1, 2, MEMORY_RING), -EFAULT);
    assert_int_equal(refused(memory, BASE, 3 * MEMORY_PIECE, MEMORY_RING), -EFAULT);
    assert_int_equal(mapped(memory), MEMORY_PIECE_PAGES + 101);
    guest.absent = 0;
    (void)buffer(memory, BASE + MEMORY_PIECE, MEMORY_PIECE);
    assert_int_equal(mapped(memory), 2 * MEMORY_PIECE_PAGES);
}

/* The least recently used goes first, and it comes back. */
static void test_bounded(void **state)
{
    struct memory *memory = *state;

    for (uint64_t piece = 0; piece < PIECES; piece++) {
        touch(memory, BASE); /* used all the time */
        touch(memory, BASE + piece * MEMORY_PIECE);
    }
    assert_int_equal(memory_counters(memory)->most, WHOLE * MEMORY_PIECE_PAGES);
    assert_int_equal(maps(memory), PIECES);
    assert_int_equal(memory_counters(memory)->dropped, PIECES - WHOLE);
    touch(memory, BASE);
    touch(memory, BASE + SIZE - 1);
    assert_int_equal(maps(memory), PIECES);
    touch(memory, BASE + MEMORY_PIECE);
    assert_int_equal(maps(memory), PIECES + 1);
}

/* What is in use stays; when all is, buffers wait, and rings are mapped page by page. */
static void test_in_use(void **state)
{
    const uint64_t more = LIMIT - WHOLE * (uint64_t)MEMORY_PIECE;
    struct memory *memory = *state;
    void *where[WHOLE];
    void *rest, *ring;

    for (unsigned int i = 0; i < WHOLE; i++) {
        where[i] = buffer(memory, BASE + i * (uint64_t)MEMORY_PIECE, 1);
    }
    (void)buffer(memory, BASE, 1); /* the first is in use twice */
    rest = buffer(memory, BASE + SIZE / 2, more);
    assert_int_equal(mapped(memory), LIMIT / MEMORY_PAGE);
    assert_int_equal(refused(memory, BASE + SIZE - 1, 1, MEMORY_BUFFER), -ENOBUFS);
    assert_false(memory_turn(memory));
    assert_int_equal(memory_map(memory, BASE + SIZE - 2 * MEMORY_PAGE, MEMORY_PAGE, MEMORY_RING, &ring), 0);
    assert_int_equal(mapped(memory), LIMIT / MEMORY_PAGE + 1);
    assert_true(memory_drop(memory, UINT32_MAX));
    assert_int_equal(mapped(memory), LIMIT / MEMORY_PAGE + 1);

    memory_unmap(memory, where[0], 1, MEMORY_BUFFER);
    assert_false(memory_turn(memory)); /* who knows whether it was given up for lack of room */
    memory_give_room(memory);
    assert_true(memory_has_room(memory));
    assert_true(memory_turn(memory));
    assert_false(memory_has_room(memory));
    memory_give_room(memory); /* nobody has been refused since */
    assert_false(memory_turn(memory));
    assert_int_equal(refused(memory, BASE + SIZE - 1, 1, MEMORY_BUFFER), -ENOBUFS);
    memory_unmap(memory, where[1], 1, MEMORY_BUFFER);
    memory_give_room(memory);
    assert_true(memory_turn(memory));
    assert_int_equal(memory_buffers(memory), WHOLE);
    touch(memory, BASE + SIZE - 1); /* its piece is in use, and so one page more is mapped */
    assert_int_equal(mapped(memory), LIMIT / MEMORY_PAGE - MEMORY_PIECE_PAGES + 2);
    assert_int_equal(*(uint64_t *)where[2], BASE / MEMORY_PAGE + 2 * MEMORY_PIECE_PAGES);
    memory_unmap(memory, ring, MEMORY_PAGE, MEMORY_RING);
    memory_unmap(memory, rest, more, MEMORY_BUFFER);
    (void)buffer(memory, BASE + SIZE / 4, 1);
    assert_int_equal(mapped(memory), WHOLE * MEMORY_PIECE_PAGES);
}

/* Scattered pages fit where their pieces would not. */
static void test_scattered(void **state)
{
    struct memory *memory = *state;

    for (unsigned int i = 0; i < PIECES; i++) {
        (void)buffer(memory, BASE + i * (uint64_t)MEMORY_PIECE, MEMORY_PAGE);
    }
    assert_int_equal(mapped(memory), WHOLE * MEMORY_PIECE_PAGES + PIECES - WHOLE);
}

/* A buffer that does not fit by itself leaves nothing in use. */
static void test_larger_than_the_limit(void **state)
{
    struct memory *memory = *state;
    int error;
    void *where;

    do {
        (void)memory_turn(memory);
        error = memory_map(memory, BASE, LIMIT + 1, MEMORY_BUFFER, &where);
    } while (error == -EAGAIN);
    assert_int_equal(error, -ENOBUFS);
    assert_int_equal(memory_buffers(memory), 0);
    assert_true(memory_drop(memory, UINT32_MAX));
    assert_int_equal(mapped(memory), 0);
}

/* A turn maps about a piece; what has been mapped need not be mapped again. */
static void test_share_of_a_turn(void **state)
{
    struct memory *memory = *state;
    unsigned int turns = 0;
    void *where;
    int error;

    do {
        const uint64_t before = mapped(memory);

        (void)memory_turn(memory);
        error = memory_map(memory, BASE, LIMIT, MEMORY_BUFFER, &where);
        assert_in_range(mapped(memory) - before, 1, TURN);
        turns++;
    } while (error == -EAGAIN);
    assert_int_equal(error, 0);
    assert_int_equal(turns, LIMIT / MEMORY_PIECE);
    assert_int_equal(maps(memory), LIMIT / MEMORY_PIECE); /* some of them by pages, all at once */

    /* Attempts that fail count as well. */
    guest.absent = (BASE + SIZE - MEMORY_PAGE) / MEMORY_PAGE;
    memory_unmap(memory, where, LIMIT, MEMORY_BUFFER);
    (void)memory_turn(memory);
    assert_int_equal(memory_map(memory, BASE + SIZE - 1, 1, MEMORY_BUFFER, &where), -EFAULT);
    assert_int_equal(memory_map(memory, BASE + SIZE - 1, 1, MEMORY_BUFFER, &where), -EAGAIN);
}

/* This domain is short of memory: what is not in use is given up, then it is an error, and nothing more. */
static void test_no_memory(void **state)
{
    struct memory *memory = *state;

    touch(memory, BASE);
    touch(memory, BASE + MEMORY_PIECE);
    guest.memory = mapped(memory);
    (void)buffer(memory, BASE + 2 * MEMORY_PIECE, 1);
    assert_in_range(mapped(memory), 1, guest.memory);
    guest.memory = 0;
    assert_int_equal(refused(memory, BASE + 5 * MEMORY_PIECE, 1, MEMORY_BUFFER), -ENOMEM);
    assert_int_equal(refused(memory, BASE + 5 * MEMORY_PIECE, 1, MEMORY_RING), -ENOMEM);
    guest.memory = UINT64_MAX;
    touch(memory, BASE + 5 * MEMORY_PIECE);
}

static void test_drop_in_parts(void **state)
{
    struct memory *memory = *state;
    void *used;

    for (uint64_t piece = 0; piece < 5; piece++) {
        touch(memory, BASE + piece * MEMORY_PIECE);
    }
    used = buffer(memory, BASE, 1);
    assert_false(memory_drop(memory, 3));
    assert_true(memory_drop(memory, 3));
    assert_int_equal(mapped(memory), MEMORY_PIECE_PAGES);
    memory_unmap(memory, used, 1, MEMORY_BUFFER);
    assert_true(memory_drop(memory, 1));
    assert_int_equal(mapped(memory), 0);
    touch(memory, BASE);
    assert_int_equal(guest.most, MEMORY_PIECE_PAGES);
}

/*
 * A guest that has given back one page of each piece, so that none can be mapped as a whole, uses every other page of
 * its memory: more mappings than Linux lets a process have (sysctl vm.max_map_count).
 */
static void test_more_mappings_than_linux_allows(void **state)
{
    const struct bridge_window bank = { BASE, MANY_PIECES * (uint64_t)MEMORY_PIECE };
    static void *used[MANY_PIECES * MEMORY_PIECE_PAGES / 2];
    unsigned int count = 0;
    struct memory *memory;
    int error = 0;

    memory_destroy(guest.memory_of);
    *state = guest.memory_of = NULL;
    assert_int_equal(memory_create(&memory, &bank, 1, bank.size, map_pages, &guest), 0);
    *state = guest.memory_of = memory;
    guest.holes = true;
    for (uint64_t offset = 0; offset < bank.size; offset += 2 * MEMORY_PAGE) {
        touch(memory, BASE + offset);
        assert_in_range(memory_counters(memory)->mappings, 1, MEMORY_MAPPINGS);
    }
    assert_int_equal(mapped(memory), memory_counters(memory)->mappings);

    for (unsigned int i = 0; error != -ENOBUFS; i += error == 0) {
        (void)memory_turn(memory);
        assert_in_range(i, 0, MEMORY_MAPPINGS);
        error = memory_map(memory, BASE + i * 2ull * MEMORY_PAGE, 1, MEMORY_BUFFER, &used[i]);
        count = i;
    }
    assert_in_range(count, 1024, MEMORY_MAPPINGS);
    assert_int_equal(memory_counters(memory)->mappings, count);
    for (unsigned int i = 0; i < MEMORY_PIECE_PAGES / 2; i++) {
        memory_unmap(memory, used[i], 1, MEMORY_BUFFER);
    }
    touch(memory, BASE + count * 2ull * MEMORY_PAGE);
    assert_int_equal(memory_counters(memory)->mappings, count - MEMORY_PIECE_PAGES / 2 + 1);
    assert_int_equal(*(uint64_t *)used[count - 1], BASE / MEMORY_PAGE + 2 * (count - 1));
}

/* The process has as many mappings as it may: that is an error, and nothing more. */
static void test_no_mapping_left(void **state)
{
    unsigned char *const space = mmap(NULL, SPACE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    struct memory *memory = *state;
    uint64_t taken = 0;

    assert_ptr_not_equal(space, MAP_FAILED);
    while (taken < SPACE && mprotect(space + taken, MEMORY_PAGE, PROT_READ) == 0) {
        taken += 2 * MEMORY_PAGE;
    }
    (void)mmap(NULL, MEMORY_PAGE, PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0); /* the last one */
    assert_int_equal(refused(memory, BASE, 1, MEMORY_BUFFER), taken < SPACE ? -ENOMEM : 0);
    assert_int_equal(munmap(space, SPACE), 0);
    touch(memory, BASE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_contiguous, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_no_ram, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_absent_page, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_bounded, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_in_use, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_scattered, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_larger_than_the_limit, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_share_of_a_turn, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_no_memory, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_drop_in_parts, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_more_mappings_than_linux_allows, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_no_mapping_left, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
