/* SPDX-License-Identifier: BSD-2-Clause */
/* See model.h. */
#include "picture/model.h"

#include <stdlib.h>

/* v2m frame and status page are one block, the bridge's service area: nobody looks for one of them alone. */
static void add_block(struct picture_column *column, const struct space_range *range)
{
    struct picture_block *last = column->count > 0 ? &column->blocks[column->count - 1] : NULL;

    if (range->kind == SPACE_STATUS && last != NULL && last->range.kind == SPACE_V2M &&
        last->range.bridge == range->bridge) {
        last->range.last = range->last;
        snprintf(last->range.name, sizeof(last->range.name), "MSI frame, status page");
        return;
    }
    column->blocks[column->count].range = *range;
    column->count++;
}

/* Blocks that overlap share the width: each takes the first lane that is free where it begins. */
static void give_lanes(struct picture_column *column)
{
    uint64_t last[SPACE_RANGES_MAX]; /* of each lane */
    unsigned int lanes = 0;
    uint64_t end = 0; /* last address of the blocks that hang together */
    size_t begin = 0; /* the first of them */

    for (size_t i = 0; i < column->count; i++) {
        struct picture_block *block = &column->blocks[i];

        if (lanes > 0 && block->range.first > end) {
            lanes = 0;
            begin = i;
        }
        block->lane = 0;
        while (block->lane < lanes && last[block->lane] >= block->range.first) {
            block->lane++;
        }
        lanes = block->lane == lanes ? lanes + 1 : lanes;
        last[block->lane] = block->range.last;
        end = lanes == 1 || block->range.last > end ? block->range.last : end;
        for (size_t j = begin; j <= i; j++) {
            column->blocks[j].lanes = lanes;
        }
    }
}

static void read_column(struct picture_column *column, const struct domain *domain, unsigned int address_bits)
{
    struct space space;

    space_read(&space, domain, address_bits);
    column->domain = domain;
    column->count = 0;
    for (size_t i = 0; i < space.count; i++) {
        add_block(column, &space.ranges[i]);
    }
    give_lanes(column);
}

/* The address after a range, with which the next one may begin. */
static uint64_t end_of(const struct space_range *range)
{
    return range->last == UINT64_MAX ? UINT64_MAX : range->last + 1;
}

static int compare_places(const void *left, const void *right)
{
    const struct picture_place *a = left;
    const struct picture_place *b = right;

    return a->address < b->address ? -1 : a->address > b->address;
}

static void collect_places(struct picture_row *row)
{
    size_t count = 0;
    size_t kept = 0;

    for (unsigned int i = 0; i < row->count; i++) {
        for (size_t j = 0; j < row->columns[i].count; j++) {
            row->places[count++].address = row->columns[i].blocks[j].range.first;
            row->places[count++].address = end_of(&row->columns[i].blocks[j].range);
        }
    }
    qsort(row->places, count, sizeof(row->places[0]), compare_places);
    for (size_t i = 0; i < count; i++) {
        if (kept == 0 || row->places[i].address != row->places[kept - 1].address) {
            row->places[kept++] = row->places[i];
        }
    }
    row->place_count = kept;
}

static size_t place_of(const struct picture_row *row, uint64_t address)
{
    const struct picture_place wanted = {.address = address};
    const struct picture_place *found =
        bsearch(&wanted, row->places, row->place_count, sizeof(row->places[0]), compare_places);

    return (size_t)(found - row->places);
}

static int compare_ends(const void *left, const void *right)
{
    const struct picture_block *a = *(struct picture_block *const *)left;
    const struct picture_block *b = *(struct picture_block *const *)right;

    return a->end_place < b->end_place ? -1 : a->end_place > b->end_place;
}

/* All blocks of the row, by the place at which they end. */
static size_t sort_blocks(struct picture_row *row, struct picture_block **sorted)
{
    size_t count = 0;

    for (unsigned int i = 0; i < row->count; i++) {
        for (size_t j = 0; j < row->columns[i].count; j++) {
            struct picture_block *block = &row->columns[i].blocks[j];

            block->first_place = place_of(row, block->range.first);
            block->end_place = place_of(row, end_of(&block->range));
            sorted[count++] = block;
        }
    }
    qsort(sorted, count, sizeof(sorted[0]), compare_ends);
    return count;
}

/*
 * Each place as high as it can be: below the place before it, and below the beginning of all that ends at it by as much
 * as that wants. What ends at a place begins at earlier ones, so that one pass from the top does it.
 */
static void lay_out(struct picture_row *row, const struct picture_scale *scale)
{
    struct picture_block *sorted[PICTURE_COLUMNS_MAX * SPACE_RANGES_MAX];
    const size_t count = sort_blocks(row, sorted);
    size_t next = 0;

    row->height = 0;
    for (size_t k = 0; k < row->place_count; k++) {
        row->height += k > 0 ? scale->between : 0;
        for (; next < count && sorted[next]->end_place == k; next++) {
            const struct space_range *range = &sorted[next]->range;
            const int wanted = range->kind == SPACE_HOLE ? scale->hole : scale->block(range->last - range->first);

            sorted[next]->top = row->places[sorted[next]->first_place].position;
            if (sorted[next]->top + wanted > row->height) {
                row->height = sorted[next]->top + wanted;
            }
        }
        row->places[k].position = row->height;
    }
    for (size_t i = 0; i < count; i++) {
        sorted[i]->bottom = row->places[sorted[i]->end_place].position;
    }
}

static int compare_ids(const void *left, const void *right)
{
    const uint32_t a = *(const uint32_t *)left;
    const uint32_t b = *(const uint32_t *)right;

    return a < b ? -1 : a > b;
}

bool picture_init(struct picture *picture, const struct domains *domains)
{
    size_t count = 0;

    picture->domains = domains;
    picture->server_count = 0;
    picture->servers = calloc(domains->count * DOMAIN_BRIDGES_MAX + 1, sizeof(*picture->servers));
    if (picture->servers == NULL) {
        return false;
    }
    for (size_t i = 0; i < domains->count; i++) {
        for (unsigned int j = 0; j < domains->domains[i]->bridge_count; j++) {
            picture->servers[count++] = domains->domains[i]->bridges[j].bridge.backend;
        }
    }
    qsort(picture->servers, count, sizeof(picture->servers[0]), compare_ids);
    for (size_t i = 0; i < count; i++) {
        if (picture->server_count == 0 || picture->servers[i] != picture->servers[picture->server_count - 1]) {
            picture->servers[picture->server_count++] = picture->servers[i];
        }
    }
    return true;
}

void picture_finish(struct picture *picture)
{
    free(picture->servers);
    picture->servers = NULL;
}

static int compare_servers(const void *left, const void *right)
{
    const struct picture_server *a = left;
    const struct picture_server *b = right;

    return a->id < b->id ? -1 : a->id > b->id;
}

static void add_server(struct picture_row *row, const struct picture *picture, uint32_t id)
{
    const struct domains *domains = picture->domains;
    const uint32_t *found =
        bsearch(&id, picture->servers, picture->server_count, sizeof(picture->servers[0]), compare_ids);
    struct picture_server *server = &row->servers[row->server_count];

    for (unsigned int i = 0; i < row->server_count; i++) {
        if (row->servers[i].id == id) {
            return;
        }
    }
    server->id = id;
    server->domain = id >= 1 && id <= domains->count ? domains->domains[id - 1] : NULL;
    server->is_there = id == 0 ? domains->has_control : server->domain != NULL;
    server->hue = (unsigned int)(found - picture->servers);
    row->server_count++;
}

unsigned int picture_row_server(const struct picture_row *row, const struct bridge *bridge)
{
    unsigned int index = 0;

    while (index + 1 < row->server_count && row->servers[index].id != bridge->backend) {
        index++;
    }
    return index;
}

void picture_row_make(struct picture_row *row, const struct picture *picture, size_t first, unsigned int count,
                      const struct picture_scale *scale)
{
    const struct domains *domains = picture->domains;
    uint32_t end = BRIDGE_INTERRUPT_FIRST + 32;

    row->count = count;
    row->server_count = 0;
    for (unsigned int i = 0; i < count; i++) {
        const struct domain *domain = domains->domains[first + i];

        read_column(&row->columns[i], domain, domains->address_bits);
        for (unsigned int j = 0; j < domain->bridge_count; j++) {
            const struct bridge *bridge = &domain->bridges[j].bridge;

            add_server(row, picture, bridge->backend);
            if (bridge->interrupt_first + bridge->interrupt_count > end) {
                end = bridge->interrupt_first + bridge->interrupt_count;
            }
        }
    }
    row->interrupts_end = (end + 31) / 32 * 32;
    qsort(row->servers, row->server_count, sizeof(row->servers[0]), compare_servers);
    collect_places(row);
    lay_out(row, scale);
}
