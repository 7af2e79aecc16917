/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a picture shows, whoever draws it: guests as columns of address space on one common scale, the domains that
 * serve their bridges, and their interrupts.
 *
 * Columns stand in rows, each row with servers and a scale of its own. On the scale every address at which something
 * begins or ends in one of the row's columns has a place, in order; the same height is the same address in all of them.
 * Places are as near to each other as what lies between can be read: a size is seen from its height, roughly as its
 * logarithm, and a hole of any size is small.
 */
#ifndef TOOL_PICTURE_MODEL_H
#define TOOL_PICTURE_MODEL_H

#include "domain.h"
#include "space.h"

#define PICTURE_COLUMNS_MAX 8u
#define PICTURE_SERVERS_MAX (PICTURE_COLUMNS_MAX * DOMAIN_BRIDGES_MAX)
#define PICTURE_PLACES_MAX  (2u * PICTURE_COLUMNS_MAX * SPACE_RANGES_MAX)

/* A range of a column. Where several overlap, each has a lane of the column's width. */
struct picture_block {
    struct space_range range;
    unsigned int lane;
    unsigned int lanes; /* 1: the whole width */
    int top;            /* in the drawer's units from the top of the column */
    int bottom;
    size_t first_place; /* of the row's */
    size_t end_place;
};

struct picture_column {
    const struct domain *domain;
    struct picture_block blocks[SPACE_RANGES_MAX];
    size_t count;
};

/* A domain that serves bridges of the row. */
struct picture_server {
    uint32_t id;
    const struct domain *domain; /* NULL: dom0, or a domain that is not in the tree */
    bool is_there;
    unsigned int hue; /* the same in all rows of a picture */
};

struct picture_place {
    uint64_t address;
    int position;
};

struct picture_row {
    struct picture_column columns[PICTURE_COLUMNS_MAX];
    unsigned int count;
    struct picture_server servers[PICTURE_SERVERS_MAX]; /* by rising id */
    unsigned int server_count;
    struct picture_place places[PICTURE_PLACES_MAX];
    size_t place_count;
    int height;              /* of the columns */
    uint32_t interrupts_end; /* the strips end before this interrupt, a multiple of 32 */
};

struct picture {
    const struct domains *domains;
    uint32_t *servers; /* all that serve anybody, by rising id: the index is the hue */
    size_t server_count;
};

/* False when there is no memory; else picture_finish() has to follow. domains have to outlive the picture. */
bool picture_init(struct picture *picture, const struct domains *domains);

void picture_finish(struct picture *picture);

/* How much room a drawer wants, in its units. */
struct picture_scale {
    int between;                 /* two places, at least */
    int hole;                    /* a hole, to be read */
    int (*block)(uint64_t size); /* anything else of that many bytes */
};

/* The domains from `first` on, `count` of them, at most PICTURE_COLUMNS_MAX. */
void picture_row_make(struct picture_row *row, const struct picture *picture, size_t first, unsigned int count,
                      const struct picture_scale *scale);

/* Which of the row's servers serves a bridge: its index. */
unsigned int picture_row_server(const struct picture_row *row, const struct bridge *bridge);

#endif
