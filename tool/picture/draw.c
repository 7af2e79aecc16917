/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * See draw.h. From above: what it is of; then, for each row of the model, the servers, their lines to the tabs of the
 * bridges, the heads of the columns, the columns with the common axis at their left, and what there is to say of
 * interrupts.
 */
#define BRIDGE_WANTS_GUEST_LAYOUT
#include "picture/draw.h"

#include <stdlib.h>

#define TEXT_MAX    160u
#define HEAD_LINES  3
#define TITLE_LINES 2

struct pen {
    const struct picture_subject *subject;
    const struct picture_drawer *drawer;
    const struct picture_measures *measures;
    const struct picture *picture;
    const struct picture_row *row;
    int width; /* without margins */
    int y;     /* where the next part begins */
};

static struct picture_paint plain(enum picture_paint_kind kind)
{
    return (struct picture_paint){.kind = kind};
}

static int column_x(const struct pen *pen, unsigned int column)
{
    const struct picture_measures *measures = pen->measures;

    return measures->margin + measures->axis + (int)column * (measures->column + measures->gap);
}

static void write_line(const struct pen *pen, int x, int y, int width, enum picture_paint_kind kind, const char *text)
{
    const struct picture_area area = {x, y, width, pen->measures->line};

    pen->drawer->text(pen->drawer->self, area, ALIGN_LEFT, plain(kind), text);
}

/* The last part of a path, as it may be printed. */
static void format_name(char *text, const char *path)
{
    const char *name = strrchr(path, '/');

    report_printable(text, TEXT_MAX, name != NULL ? name + 1 : path);
}

static void format_bridge(char *text, const struct domain *domain, int bridge)
{
    if (domain->bridge_count > 1) {
        snprintf(text, TEXT_MAX, "bridge %d", bridge);
    } else {
        snprintf(text, TEXT_MAX, "bridge");
    }
}

/* Parts of the head of the picture */

static void draw_title(struct pen *pen)
{
    const struct picture_subject *subject = pen->subject;
    const struct picture_measures *measures = pen->measures;
    char file[TEXT_MAX];
    char text[2 * TEXT_MAX];

    if (subject->file == NULL) {
        return;
    }
    format_name(file, subject->file);
    write_line(pen, measures->margin, pen->y, pen->width, PAINT_HEADING, file);
    snprintf(text, sizeof(text), "Xen %s, %zu guest%s, %u error%s, %u warning%s", subject->xen, subject->count,
             subject->count == 1 ? "" : "s", subject->errors, subject->errors == 1 ? "" : "s", subject->warnings,
             subject->warnings == 1 ? "" : "s");
    write_line(pen, measures->margin, pen->y + measures->line, pen->width, PAINT_FAINT, text);
    pen->y += TITLE_LINES * measures->line + measures->part;
}

static void format_server(char *text, const struct picture_server *server)
{
    if (server->domain != NULL) {
        char name[TEXT_MAX];

        format_name(name, server->domain->path);
        snprintf(text, TEXT_MAX, "%.*s (domain %" PRIu32 ")", 100, name, server->id);
    } else {
        snprintf(text, TEXT_MAX, "%s%.0" PRIu32 "%s", server->id == 0 ? "dom0" : "domain ", server->id,
                 server->is_there ? "" : " (missing)");
    }
}

static struct picture_paint paint_of_server(const struct picture_server *server, enum picture_paint_kind kind)
{
    return (struct picture_paint){.kind = kind, .hue = server->hue, .wrong = !server->is_there};
}

static struct picture_area tab_area(const struct pen *pen, unsigned int column, unsigned int bridge, int y)
{
    const int count = (int)pen->row->columns[column].domain->bridge_count;
    const int left = pen->measures->column * (int)bridge / count;
    const int right = pen->measures->column * ((int)bridge + 1) / count;

    return (struct picture_area){column_x(pen, column) + left, y, right - left, pen->measures->tab};
}

static int middle(struct picture_area area)
{
    return area.x + area.width / 2;
}

/* Where a server's line leaves its box: not where another one's line goes down to a tab. */
static int server_x(const struct pen *pen, unsigned int index, struct picture_area box)
{
    int x = middle(box);
    bool moved = true;

    while (moved) {
        moved = false;
        for (unsigned int i = 0; i < pen->row->count; i++) {
            const struct domain *domain = pen->row->columns[i].domain;

            for (unsigned int j = 0; j < domain->bridge_count; j++) {
                const int other = middle(tab_area(pen, i, j, 0));

                if (abs(other - x) < pen->measures->rail &&
                    picture_row_server(pen->row, &domain->bridges[j].bridge) != index) {
                    x = other + pen->measures->rail;
                    moved = true;
                }
            }
        }
    }
    return x;
}

/* The rail of a server, from its box, and from there down to each of its bridges. */
static void draw_wires(const struct pen *pen, unsigned int index, struct picture_area box, int rail, int bottom)
{
    const struct picture_drawer *drawer = pen->drawer;
    const struct picture_paint paint = paint_of_server(&pen->row->servers[index], PAINT_SERVER);
    const int start = server_x(pen, index, box);
    int left = start;
    int right = start;

    for (unsigned int i = 0; i < pen->row->count; i++) {
        const struct domain *domain = pen->row->columns[i].domain;

        for (unsigned int j = 0; j < domain->bridge_count; j++) {
            const int x = middle(tab_area(pen, i, j, 0));

            if (picture_row_server(pen->row, &domain->bridges[j].bridge) == index) {
                drawer->line(drawer->self, x, rail, x, bottom, paint, true);
                left = x < left ? x : left;
                right = x > right ? x : right;
            }
        }
    }
    drawer->line(drawer->self, left, rail, right, rail, paint, false);
    drawer->line(drawer->self, start, box.y + box.height, start, rail, paint, false);
}

static int rails_height(const struct pen *pen)
{
    return ((int)pen->row->server_count + 1) * pen->measures->rail;
}

static void draw_servers(struct pen *pen)
{
    const struct picture_measures *measures = pen->measures;
    const struct picture_drawer *drawer = pen->drawer;
    const int bottom = pen->y + measures->server_height + rails_height(pen);
    const int room = pen->width - measures->axis + measures->gap;
    int step = measures->server_width + measures->gap;

    if ((int)pen->row->server_count * step > room) {
        step = room / (int)pen->row->server_count;
    }
    for (unsigned int i = 0; i < pen->row->server_count; i++) {
        const struct picture_server *server = &pen->row->servers[i];
        const struct picture_area box = {column_x(pen, 0) + (int)i * step, pen->y, step - measures->gap,
                                         measures->server_height};
        char text[TEXT_MAX];
        char id[TEXT_MAX];

        draw_wires(pen, i, box, pen->y + measures->server_height + ((int)i + 1) * measures->rail, bottom);
        format_server(text, server);
        snprintf(id, sizeof(id), "server-%" PRIu32 "-above-%u", server->id, pen->row->columns[0].domain->id);
        drawer->box(drawer->self, box, paint_of_server(server, PAINT_SERVER), id, text);
        drawer->text(drawer->self, (struct picture_area){box.x + measures->inset, box.y,
                                                         box.width - 2 * measures->inset, box.height},
                     ALIGN_CENTRE, paint_of_server(server, PAINT_SERVER), text);
    }
    if (pen->row->server_count > 0) {
        pen->y = bottom;
    }
}

/* Heads of columns */

static void draw_tabs(struct pen *pen)
{
    const struct picture_drawer *drawer = pen->drawer;

    for (unsigned int i = 0; i < pen->row->count; i++) {
        const struct domain *domain = pen->row->columns[i].domain;

        for (unsigned int j = 0; j < domain->bridge_count; j++) {
            const struct bridge *bridge = &domain->bridges[j].bridge;
            const struct picture_server *server = &pen->row->servers[picture_row_server(pen->row, bridge)];
            const struct picture_area area = tab_area(pen, i, j, pen->y);
            char text[TEXT_MAX];
            char id[TEXT_MAX];
            char title[2 * TEXT_MAX];

            format_bridge(text, domain, (int)j);
            snprintf(id, sizeof(id), "domain-%u-bridge-%u", domain->id, j);
            report_printable(title, sizeof(title), domain->bridges[j].path);
            drawer->box(drawer->self, area, paint_of_server(server, PAINT_TAB), id, title);
            if (strlen(text) > drawer->fit(drawer->self, area.width - pen->measures->inset)) {
                snprintf(text, sizeof(text), "%u", j);
            }
            drawer->text(drawer->self, area, ALIGN_CENTRE, paint_of_server(server, PAINT_TAB), text);
        }
    }
    if (pen->row->server_count > 0) {
        pen->y += pen->measures->tab + pen->measures->edge;
    }
}

static void add_feature(char *text, bool has, const char *name)
{
    if (has) {
        const size_t used = strlen(text);

        snprintf(text + used, TEXT_MAX - used, "%s%s", used > 0 ? ", " : "", name);
    }
}

static bool serves(const struct picture *picture, const struct domain *domain)
{
    for (size_t i = 0; i < picture->server_count; i++) {
        if (picture->servers[i] == domain->id) {
            return true;
        }
    }
    return false;
}

static void draw_head(const struct pen *pen, unsigned int column)
{
    const struct picture_measures *measures = pen->measures;
    const struct domain *domain = pen->row->columns[column].domain;
    const int x = column_x(pen, column) + measures->inset;
    const int width = measures->column - 2 * measures->inset;
    const struct space_range ram = {.last = domain->memory_kib * 1024u - 1u};
    char name[TEXT_MAX];
    char text[TEXT_MAX] = "";
    char size[SPACE_SIZE_MAX] = "no RAM";

    format_name(name, domain->path);
    write_line(pen, x, pen->y, width, PAINT_HEADING, name);
    snprintf(text, sizeof(text), "domain %u", domain->id);
    pen->drawer->text(pen->drawer->self, (struct picture_area){x, pen->y, width, measures->line}, ALIGN_RIGHT,
                      plain(PAINT_FAINT), text);
    if (domain->memory_kib != 0) {
        space_format_size(&ram, size);
    }
    snprintf(text, sizeof(text), "%" PRIu32 " vCPU%s, %s, GICv%u", domain->cpus, domain->cpus == 1 ? "" : "s", size,
             domain->layout.gic_version);
    write_line(pen, x, pen->y + measures->line, width, PAINT_INK, text);
    text[0] = '\0';
    add_feature(text, serves(pen->picture, domain), "serves others");
    add_feature(text, domain->layout.direct_mapped, "direct-mapped");
    add_feature(text, domain->has_passthrough, "passthrough");
    add_feature(text, domain->layout.vpl011, "vpl011");
    add_feature(text, domain->layout.vpci, "vPCI");
    add_feature(text, domain->enhanced, "grant table");
    write_line(pen, x, pen->y + 2 * measures->line, width, PAINT_FAINT, text);
}

static void draw_heads(struct pen *pen)
{
    for (unsigned int i = 0; i < pen->row->count; i++) {
        draw_head(pen, i);
    }
    pen->y += HEAD_LINES * pen->measures->line + pen->measures->part;
}

/* Columns */

static void draw_axis(const struct pen *pen)
{
    const struct picture_measures *measures = pen->measures;

    for (size_t i = 0; i < pen->row->place_count; i++) {
        const int y = pen->y + pen->row->places[i].position - measures->line / 2;
        const struct picture_area area = {measures->margin, y, measures->axis - measures->inset, measures->line};
        char text[TEXT_MAX];

        snprintf(text, sizeof(text), "0x%09" PRIx64, pen->row->places[i].address);
        pen->drawer->text(pen->drawer->self, area, ALIGN_RIGHT, plain(PAINT_ADDRESS), text);
    }
}

static struct picture_paint paint_of_block(const struct pen *pen, const struct domain *domain,
                                           const struct space_range *range)
{
    static const enum picture_paint_kind kinds[] = {
        [SPACE_HOLE] = PAINT_HOLE,
        [SPACE_RAM] = PAINT_RAM,
        [SPACE_SHARED_MEMORY] = PAINT_SHARED_MEMORY,
        [SPACE_LAYOUT] = PAINT_LAYOUT,
        [SPACE_HARDWARE] = PAINT_HARDWARE,
    };
    struct picture_paint paint = {.kind = PAINT_WINDOW, .wrong = range->overlaps};

    if (range->bridge < 0) {
        paint.kind = kinds[range->kind];
    } else {
        const struct bridge *bridge = &domain->bridges[range->bridge].bridge;

        paint.hue = pen->row->servers[picture_row_server(pen->row, bridge)].hue;
    }
    return paint;
}

static const char *without_article(const char *name)
{
    return strncmp(name, "the ", strlen("the ")) == 0 ? name + strlen("the ") : name;
}

static void format_block(char *text, const struct domain *domain, const struct space_range *range)
{
    if (range->bridge >= 0 && domain->bridge_count > 1) {
        snprintf(text, TEXT_MAX, "%d: %s", range->bridge, range->name);
    } else {
        snprintf(text, TEXT_MAX, "%s", range->kind == SPACE_HOLE ? "" : without_article(range->name));
    }
}

static void format_id(char *text, const struct domain *domain, const struct space_range *range)
{
    if (range->bridge >= 0) {
        snprintf(text, TEXT_MAX, "domain-%u-bridge-%d-%s-%" PRIx64, domain->id, range->bridge,
                 space_kind_name(range->kind), range->first);
    } else {
        snprintf(text, TEXT_MAX, "domain-%u-%s-%" PRIx64 "-%" PRIx64, domain->id, space_kind_name(range->kind),
                 range->first, range->last);
    }
}

static void draw_block(const struct pen *pen, unsigned int column, const struct picture_block *block)
{
    const struct picture_measures *measures = pen->measures;
    const struct picture_drawer *drawer = pen->drawer;
    const struct domain *domain = pen->row->columns[column].domain;
    const struct space_range *range = &block->range;
    const struct picture_paint paint = paint_of_block(pen, domain, range);
    const int left = measures->column * (int)block->lane / (int)block->lanes;
    const int right = measures->column * ((int)block->lane + 1) / (int)block->lanes;
    const struct picture_area area = {column_x(pen, column) + left, pen->y + block->top, right - left,
                                      block->bottom - block->top};
    struct picture_area inner = {area.x + measures->inset, area.y, area.width - 2 * measures->inset, area.height};
    char name[TEXT_MAX];
    char size[SPACE_SIZE_MAX];
    char id[TEXT_MAX];
    char title[2 * TEXT_MAX];

    format_block(name, domain, range);
    space_format_size(range, size);
    if (range->kind == SPACE_HOLE) {
        drawer->text(drawer->self, inner, ALIGN_CENTRE, paint, size);
        return;
    }
    format_id(id, domain, range);
    snprintf(title, sizeof(title), "0x%" PRIx64 "-0x%" PRIx64 ", %s: %s%s", range->first, range->last, size, name,
             range->overlaps ? ", overlaps what begins before it" : "");
    drawer->box(drawer->self, area, paint, id, title);
    if (strlen(name) + 1 + strlen(size) <= drawer->fit(drawer->self, inner.width)) {
        drawer->text(drawer->self, inner, ALIGN_RIGHT, paint, size);
    }
    drawer->text(drawer->self, inner, ALIGN_LEFT, paint, name);
}

static void draw_columns(struct pen *pen)
{
    const struct picture_drawer *drawer = pen->drawer;

    draw_axis(pen);
    for (unsigned int i = 0; i < pen->row->count; i++) {
        const struct picture_area area = {column_x(pen, i), pen->y, pen->measures->column, pen->row->height};

        drawer->box(drawer->self, area, plain(PAINT_COLUMN), NULL, NULL);
        for (size_t j = 0; j < pen->row->columns[i].count; j++) {
            draw_block(pen, i, &pen->row->columns[i].blocks[j]);
        }
    }
    pen->y += pen->row->height + pen->measures->part;
}

/* What is below a column */

static void fill_interrupts(const struct pen *pen, unsigned int column, uint32_t first, uint32_t count,
                            struct picture_paint paint, const char *name)
{
    const struct picture_measures *measures = pen->measures;
    const uint32_t end = pen->row->interrupts_end;
    const uint32_t whole = end - BRIDGE_INTERRUPT_FIRST;
    struct picture_area area = {column_x(pen, column), pen->y, 0, measures->strip};
    char title[TEXT_MAX];
    int right;

    if (first < BRIDGE_INTERRUPT_FIRST || first >= end || count == 0) {
        return;
    }
    count = count > end - first ? end - first : count;
    right = area.x + (int)((uint64_t)(first + count - BRIDGE_INTERRUPT_FIRST) * (unsigned int)measures->column / whole);
    area.x += (int)((uint64_t)(first - BRIDGE_INTERRUPT_FIRST) * (unsigned int)measures->column / whole);
    area.width = right > area.x ? right - area.x : 1;
    snprintf(title, sizeof(title), "interrupts %" PRIu32 "-%" PRIu32 ": %s", first, first + count - 1, name);
    pen->drawer->fill(pen->drawer->self, area, paint, title);
}

static void draw_strip(const struct pen *pen, unsigned int column)
{
    const struct domain *domain = pen->row->columns[column].domain;
    const struct bridge_guest_layout *layout = &domain->layout;
    char text[TEXT_MAX];

    fill_interrupts(pen, column, BRIDGE_INTERRUPT_FIRST, pen->row->interrupts_end - BRIDGE_INTERRUPT_FIRST,
                    plain(PAINT_COLUMN), "nobody's");
    if (!layout->direct_mapped) {
        fill_interrupts(pen, column, GUEST_VIRTIO_MMIO_SPI_FIRST,
                        GUEST_VIRTIO_MMIO_SPI_LAST - GUEST_VIRTIO_MMIO_SPI_FIRST + 1, plain(PAINT_LAYOUT),
                        "virtio-mmio");
    }
    if (layout->vpl011) {
        fill_interrupts(pen, column, layout->direct_mapped ? domain->vpl011_interrupt : GUEST_VPL011_SPI, 1,
                        plain(PAINT_HARDWARE), "vpl011");
    }
    for (unsigned int i = 0; i < domain->bridge_count; i++) {
        const struct bridge *bridge = &domain->bridges[i].bridge;
        const struct picture_server *server = &pen->row->servers[picture_row_server(pen->row, bridge)];

        format_bridge(text, domain, (int)i);
        fill_interrupts(pen, column, bridge->interrupt_first, bridge->interrupt_count,
                        paint_of_server(server, PAINT_TAB), text);
    }
}

/* A line below a column; returns the y of the next one. */
static int write_below(const struct pen *pen, unsigned int column, int y, enum picture_paint_kind kind,
                       const char *text)
{
    write_line(pen, column_x(pen, column), y, pen->measures->column, kind, text);
    return y + pen->measures->line;
}

static int describe_bridge(const struct pen *pen, unsigned int column, unsigned int index, int y)
{
    const struct domain *domain = pen->row->columns[column].domain;
    const struct bridge *bridge = &domain->bridges[index].bridge;
    const uint32_t last = bridge->interrupt_first + bridge->interrupt_count - 1;
    char name[TEXT_MAX];
    char text[2 * TEXT_MAX];
    char hold[40] = "";

    if ((bridge->flags & BRIDGE_FLAG_HOLD) != 0) {
        const bool whole = bridge->hold_ms % 1000 == 0;

        snprintf(hold, sizeof(hold), ", HOLD %" PRIu32 " %s", whole ? bridge->hold_ms / 1000 : bridge->hold_ms,
                 whole ? "s" : "ms");
    }
    format_bridge(name, domain, (int)index);
    if (bridge->ecam.size == 0) {
        snprintf(text, sizeof(text), "%s: plain ranges%s", name, hold);
    } else {
        snprintf(text, sizeof(text), "%s: %u bus%s%s%s", name, bridge_buses(bridge),
                 bridge_buses(bridge) == 1 ? "" : "es", (bridge->flags & BRIDGE_FLAG_GRANTS) != 0 ? ", GRANTS" : "",
                 hold);
    }
    y = write_below(pen, column, y, PAINT_INK, text);
    if (bridge->ecam.size == 0) {
        if (bridge->interrupt_count != 0) {
            snprintf(text, sizeof(text), bridge->interrupt_count == 1 ? "%" PRIu32 : "%" PRIu32 " to %" PRIu32,
                     bridge->interrupt_first, last);
            y = write_below(pen, column, y, PAINT_FAINT, text);
        }
        return y;
    }
    snprintf(text, sizeof(text), "%" PRIu32 "-%" PRIu32 " INTA-D", bridge->interrupt_first,
             bridge->interrupt_first + BRIDGE_INTX_COUNT - 1);
    if (bridge_msi_count(bridge) != 0) {
        const size_t used = strlen(text);

        snprintf(text + used, sizeof(text) - used, ", %" PRIu32 "-%" PRIu32 " MSI", bridge_msi_first(bridge), last);
    }
    return write_below(pen, column, y, PAINT_FAINT, text);
}

static void draw_interrupts(struct pen *pen)
{
    const struct picture_measures *measures = pen->measures;
    int bottom = pen->y;

    for (unsigned int i = 0; i < pen->row->count; i++) {
        const struct domain *domain = pen->row->columns[i].domain;
        int y = pen->y + measures->strip;
        char text[TEXT_MAX];

        draw_strip(pen, i);
        snprintf(text, sizeof(text), "interrupts %u to %" PRIu32, BRIDGE_INTERRUPT_FIRST, pen->row->interrupts_end - 1);
        y = write_below(pen, i, y, PAINT_FAINT, text);
        for (unsigned int j = 0; j < domain->bridge_count; j++) {
            y = describe_bridge(pen, i, j, y);
        }
        if (domain->bridge_count == 0) {
            y = write_below(pen, i, y, PAINT_INK, "no bridge");
        }
        bottom = y > bottom ? y : bottom;
    }
    pen->y = bottom + 2 * measures->part;
}

/* The whole */

static void draw_row(struct pen *pen)
{
    draw_servers(pen);
    draw_tabs(pen);
    draw_heads(pen);
    draw_columns(pen);
    draw_interrupts(pen);
}

/* Drawers that draw nothing: to learn how high the picture is. */
static void measure_box(void *self, struct picture_area area, struct picture_paint paint, const char *id,
                        const char *title)
{
    (void)self, (void)area, (void)paint, (void)id, (void)title;
}

static void measure_fill(void *self, struct picture_area area, struct picture_paint paint, const char *title)
{
    (void)self, (void)area, (void)paint, (void)title;
}

static void measure_line(void *self, int x1, int y1, int x2, int y2, struct picture_paint paint, bool branches)
{
    (void)self, (void)x1, (void)y1, (void)x2, (void)y2, (void)paint, (void)branches;
}

static void measure_text(void *self, struct picture_area area, enum picture_align align, struct picture_paint paint,
                         const char *text)
{
    (void)self, (void)area, (void)align, (void)paint, (void)text;
}

/* As wide as the columns, or the servers, of a row want it. */
static int width_of(const struct picture *picture, const struct picture_measures *measures, unsigned int columns)
{
    const unsigned int servers =
        picture->server_count < measures->columns ? (unsigned int)picture->server_count : measures->columns;
    const int wanted = measures->axis + (int)columns * (measures->column + measures->gap) - measures->gap;
    const int for_servers = measures->axis + (int)servers * (measures->server_width + measures->gap) - measures->gap;
    const int width = wanted > for_servers ? wanted : for_servers;

    return width > measures->width ? width : measures->width;
}

/* Rows of as even a length as can be. */
static unsigned int columns_of(size_t count, unsigned int most)
{
    const size_t rows = (count + most - 1) / most;

    return rows > 0 ? (unsigned int)((count + rows - 1) / rows) : 0;
}

static int draw_rows(const struct picture_subject *subject, const struct picture *picture,
                     const struct picture_drawer *drawer, struct picture_row *row)
{
    const size_t end = subject->first + subject->count;
    const unsigned int columns = columns_of(subject->count, drawer->measures.columns);
    struct pen pen = {
        .subject = subject,
        .drawer = drawer,
        .measures = &drawer->measures,
        .picture = picture,
        .row = row,
        .width = width_of(picture, &drawer->measures, columns),
        .y = drawer->measures.margin,
    };

    draw_title(&pen);
    for (size_t i = subject->first; i < end; i += columns) {
        picture_row_make(row, picture, i, end - i < columns ? (unsigned int)(end - i) : columns,
                         &drawer->measures.scale);
        draw_row(&pen);
    }
    return pen.y + drawer->measures.margin;
}

bool picture_draw(const struct picture_subject *subject, const struct picture_drawer *drawer)
{
    const struct picture_measures *measures = &drawer->measures;
    const unsigned int columns = columns_of(subject->count, measures->columns);
    struct picture_row *row = calloc(1, sizeof(*row));
    struct picture_drawer measuring = *drawer;
    struct picture picture;

    if (row == NULL || !picture_init(&picture, subject->domains)) {
        free(row);
        return false;
    }
    measuring.box = measure_box;
    measuring.fill = measure_fill;
    measuring.line = measure_line;
    measuring.text = measure_text;
    drawer->begin(drawer->self, 2 * measures->margin + width_of(&picture, measures, columns) + measures->edge,
                  draw_rows(subject, &picture, &measuring, row));
    (void)draw_rows(subject, &picture, drawer, row);
    drawer->end(drawer->self);
    picture_finish(&picture);
    free(row);
    return true;
}
