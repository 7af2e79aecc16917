/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the tests of bridge/ share: a good binding as fields, its encoding into cells, and the message of a refusal.
 *
 * A test takes good_fields(), spoils one of them and states the whole message. Cells are copied into an allocation of
 * the exact length, so that AddressSanitizer sees a read behind the property.
 */
#ifndef TESTS_UNIT_BRIDGE_FIXTURE_H
#define TESTS_UNIT_BRIDGE_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include "bridge.h"

#include <cmocka.h>

#define P BRIDGE_PROPERTY ": "

struct fields {
    uint64_t ecam_address, ecam_size;
    uint64_t memory_address, memory_size;
    uint64_t prefetch_address, prefetch_size;
    uint32_t irq_start, irq_how_many, flags;
    unsigned int address_cells, size_cells, address_bits;
    size_t length; /* of the property; 0: what is right */
};

static inline struct fields good_fields(void)
{
    const struct fields fields = {
        .ecam_address = 0x10000000, .ecam_size = 0x1000000, .memory_address = 0x34000000, .memory_size = 0x2000000,
        .irq_start = 44, .irq_how_many = 20, .address_cells = 2, .size_cells = 2, .address_bits = 40,
    };

    return fields;
}

static inline uint8_t *put_number(uint8_t *next, uint64_t number, unsigned int cells)
{
    for (unsigned int i = cells * 4; i > 0; i--) {
        *next++ = (uint8_t)(i > 8 ? 0 : number >> ((i - 1) * 8));
    }
    return next;
}

/* A domain's node that has this property only. */
struct lone_property {
    const char *name;
    const void *value;
    uint32_t length;
};

static inline const void *get_lone_property(const void *node, const char *name, uint32_t *length)
{
    const struct lone_property *property = node;

    if (strcmp(name, property->name) != 0) {
        return NULL;
    }
    *length = property->length;
    return property->value;
}

static inline int read_lone(const char *name, const void *value, size_t length, unsigned int address_cells,
                            unsigned int size_cells, unsigned int address_bits, struct bridge *bridge,
                            struct bridge_diagnosis *diagnosis)
{
    const struct lone_property property = {name, value, (uint32_t)length};
    const struct bridge_node node = {
        .node = &property, .property = get_lone_property, .address_cells = address_cells, .size_cells = size_cells};
    const char *named = NULL;
    const int error = bridge_read(&node, address_bits, bridge, &named, diagnosis);

    assert_string_equal(named, name);
    return error;
}

static inline int parse_fields(const struct fields *fields, struct bridge *bridge, struct bridge_diagnosis *diagnosis)
{
    const size_t right = (3 * ((size_t)fields->address_cells + fields->size_cells) + 3) * 4;
    const size_t length = fields->length != 0 ? fields->length : right;
    uint8_t encoded[256] = {0};
    uint8_t *next = encoded;
    uint8_t *exact = malloc(length);
    int error;

    assert_true(right <= sizeof(encoded) && length <= sizeof(encoded));
    assert_non_null(exact);
    next = put_number(next, fields->ecam_address, fields->address_cells);
    next = put_number(next, fields->ecam_size, fields->size_cells);
    next = put_number(next, fields->memory_address, fields->address_cells);
    next = put_number(next, fields->memory_size, fields->size_cells);
    next = put_number(next, fields->prefetch_address, fields->address_cells);
    next = put_number(next, fields->prefetch_size, fields->size_cells);
    next = put_number(next, fields->irq_start, 1);
    next = put_number(next, fields->irq_how_many, 1);
    put_number(next, fields->flags, 1);
    memcpy(exact, encoded, length);
    error = read_lone(BRIDGE_PROPERTY, exact, length, fields->address_cells, fields->size_cells,
                      fields->address_bits, bridge, diagnosis);
    free(exact);
    return error;
}

static inline void assert_message(const struct bridge_diagnosis *diagnosis, const char *message)
{
    char text[BRIDGE_DIAGNOSIS_MAX];

    bridge_diagnosis_format(diagnosis, text, sizeof(text));
    assert_string_equal(text, message);
}

static inline void assert_refused(const struct fields *fields, const char *message)
{
    struct bridge bridge;
    struct bridge_diagnosis diagnosis;

    memset(&diagnosis, 0xa5, sizeof(diagnosis));
    assert_int_equal(parse_fields(fields, &bridge, &diagnosis), -EINVAL);
    assert_message(&diagnosis, message);
}

static inline struct bridge accepted(const struct fields *fields)
{
    struct bridge bridge;
    struct bridge_diagnosis diagnosis;

    memset(&bridge, 0xa5, sizeof(bridge));
    if (parse_fields(fields, &bridge, &diagnosis) != 0) {
        char text[BRIDGE_DIAGNOSIS_MAX];

        bridge_diagnosis_format(&diagnosis, text, sizeof(text));
        fail_msg("refused: %s", text);
    }
    return bridge;
}

static inline struct bridge good_bridge(void)
{
    const struct fields fields = good_fields();

    return accepted(&fields);
}

#endif
