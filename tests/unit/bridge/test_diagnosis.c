/* SPDX-License-Identifier: BSD-2-Clause */
/* The wording: always terminated, never cut, however long the caller's names are. */
#include "fixture.h"

#include <stdlib.h>

#define LONG_NAME "a-name-that-is-longer-than-anything-a-device-tree-would-call-a-node@ffffffffffffffff"

static void text_is_cut_to_its_buffer(void **state)
{
    const struct bridge_diagnosis diagnosis = {.property = "property", .reason = "a reason"};

    (void)state;
    for (size_t size = 1; size < 20; size++) {
        char *text = malloc(size);

        assert_non_null(text);
        memset(text, 'x', size);
        bridge_diagnosis_format(&diagnosis, text, size);
        assert_true(strlen(text) < size);
        assert_memory_equal(text, "property: a reason", strlen(text));
        free(text);
    }
}

/* Formats into a larger buffer than promised, to see what the longest messages need. */
static void assert_fits(const struct bridge_diagnosis *diagnosis)
{
    char text[2 * BRIDGE_DIAGNOSIS_MAX];

    bridge_diagnosis_format(diagnosis, text, sizeof(text));
    assert_true(strlen(text) < BRIDGE_DIAGNOSIS_MAX);
}

static void longest_conflict_fits(void **state)
{
    struct bridge_diagnosis diagnosis = {
        .kind = BRIDGE_DIAGNOSIS_RANGES, .property = LONG_NAME, .field = "prefetch_address", .value = ~0ull,
        .reason = "move one of them", .other = LONG_NAME, .other_first = ~0ull, .other_last = ~0ull,
        .first = ~0ull, .last = ~0ull};

    (void)state;
    assert_fits(&diagnosis);
    diagnosis.kind = BRIDGE_DIAGNOSIS_INTERRUPTS;
    assert_fits(&diagnosis);
}

static void longest_reasons_fit(void **state)
{
    const struct bridge bridge = {
        .ecam = {0, ~0ull}, .memory = {~0ull, ~0ull}, .interrupt_first = 1019, .interrupt_count = 1, .flags = 3};
    struct bridge_diagnosis diagnosis;

    (void)state;
    assert_true(bridge_warning(&bridge, LONG_NAME, &diagnosis));
    assert_fits(&diagnosis);
    assert_int_equal(bridge_check_domain(&bridge, LONG_NAME, true, 0, &diagnosis), -EINVAL);
    assert_fits(&diagnosis);
    assert_int_equal(bridge_check_domain(&bridge, LONG_NAME, false, UINT32_MAX, &diagnosis), -EINVAL);
    assert_fits(&diagnosis);
}

static void longest_length_fits(void **state)
{
    struct bridge bridge;
    struct bridge_diagnosis diagnosis;

    (void)state;
    assert_int_equal(read_lone(BRIDGE_PROPERTY, "", 0xffffffff, 2, 2, 40, &bridge, &diagnosis), -EINVAL);
    diagnosis.property = LONG_NAME;
    diagnosis.value = ~0ull;
    assert_fits(&diagnosis);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_is_cut_to_its_buffer),
        cmocka_unit_test(longest_conflict_fits),
        cmocka_unit_test(longest_reasons_fit),
        cmocka_unit_test(longest_length_fits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
