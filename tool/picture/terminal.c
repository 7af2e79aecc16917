/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A picture as text. Units are characters. A box shares its border with its neighbours: what is drawn are the strokes
 * that leave the middle of a character, and which character that makes is looked up at the end. A line that goes on
 * across another one makes a cross; one that begins on it, a branch.
 */
#include <stdlib.h>

#include "picture/picture.h"

enum stroke {
    STROKE_UP = 1,
    STROKE_DOWN = 2,
    STROKE_LEFT = 4,
    STROKE_RIGHT = 8,
};

struct cell {
    unsigned char strokes;
    unsigned char letter; /* covers the strokes; 0: none. LETTER_CUT, LETTER_FULL */
    unsigned char colour; /* an index of colours[] */
};

#define LETTER_CUT  1
#define LETTER_FULL 2

struct canvas {
    FILE *stream;
    const struct picture_terminal *terminal;
    int width;
    int height;
    struct cell *cells; /* NULL: no memory */
};

enum {
    COLOUR_NONE,
    COLOUR_FAINT,
    COLOUR_BOLD,
    COLOUR_WRONG,
    COLOUR_MEMORY,
    COLOUR_HUES, /* from here on, those of servers */
};

static const char *const colours[] = {"", "2", "1", "1;31", "1;37", "1;34", "1;33", "1;32", "1;35", "1;36", "34", "33",
                                      "32"};

#define HUES (sizeof(colours) / sizeof(colours[0]) - COLOUR_HUES)

static unsigned char colour_of(struct picture_paint paint)
{
    if (paint.wrong) {
        return COLOUR_WRONG;
    }
    switch (paint.kind) {
    case PAINT_WINDOW:
    case PAINT_TAB:
    case PAINT_SERVER:
        return (unsigned char)(COLOUR_HUES + paint.hue % HUES);

    case PAINT_HEADING:
        return COLOUR_BOLD;

    case PAINT_RAM:
    case PAINT_SHARED_MEMORY:
        return COLOUR_MEMORY;

    case PAINT_INK:
        return COLOUR_NONE;

    case PAINT_COLUMN:
    case PAINT_HOLE:
    case PAINT_LAYOUT:
    case PAINT_HARDWARE:
    case PAINT_FAINT:
    case PAINT_ADDRESS:
    default:
        return COLOUR_FAINT;
    }
}

static struct cell *cell_at(struct canvas *canvas, int x, int y)
{
    const bool inside = canvas->cells != NULL && x >= 0 && y >= 0 && x < canvas->width && y < canvas->height;

    return inside ? &canvas->cells[(size_t)y * (size_t)canvas->width + (size_t)x] : NULL;
}

static void add_stroke(struct canvas *canvas, int x, int y, unsigned char strokes, unsigned char colour)
{
    struct cell *cell = cell_at(canvas, x, y);

    if (cell != NULL) {
        cell->strokes |= strokes;
        cell->colour = colour != COLOUR_FAINT || cell->colour == COLOUR_NONE ? colour : cell->colour;
    }
}

static void put_letter(struct canvas *canvas, int x, int y, unsigned char letter, unsigned char colour)
{
    struct cell *cell = cell_at(canvas, x, y);

    if (cell != NULL) {
        cell->letter = letter;
        cell->colour = colour;
    }
}

static void begin(void *self, int width, int height)
{
    struct canvas *canvas = self;

    canvas->width = width;
    canvas->height = height;
    canvas->cells = calloc((size_t)width * (size_t)height, sizeof(*canvas->cells));
}

static void draw_level(struct canvas *canvas, int x1, int x2, int y, unsigned char colour)
{
    for (int x = x1; x <= x2; x++) {
        add_stroke(canvas, x, y, (unsigned char)((x > x1 ? STROKE_LEFT : 0) | (x < x2 ? STROKE_RIGHT : 0)), colour);
    }
}

static void draw_upright(struct canvas *canvas, int x, int y1, int y2, unsigned char colour)
{
    for (int y = y1; y <= y2; y++) {
        add_stroke(canvas, x, y, (unsigned char)((y > y1 ? STROKE_UP : 0) | (y < y2 ? STROKE_DOWN : 0)), colour);
    }
}

static void box(void *self, struct picture_area area, struct picture_paint paint, const char *id, const char *title)
{
    struct canvas *canvas = self;
    const unsigned char colour = colour_of(paint);

    (void)id, (void)title;
    draw_level(canvas, area.x, area.x + area.width, area.y, colour);
    draw_level(canvas, area.x, area.x + area.width, area.y + area.height, colour);
    draw_upright(canvas, area.x, area.y, area.y + area.height, colour);
    draw_upright(canvas, area.x + area.width, area.y, area.y + area.height, colour);
}

static void fill(void *self, struct picture_area area, struct picture_paint paint, const char *title)
{
    const unsigned char letter = paint.kind == PAINT_COLUMN ? '.' : paint.kind == PAINT_TAB ? LETTER_FULL : '-';

    (void)title;
    for (int x = area.x; x < area.x + area.width; x++) {
        put_letter(self, x, area.y, letter, colour_of(paint));
    }
}

static void line(void *self, int x1, int y1, int x2, int y2, struct picture_paint paint, bool branches)
{
    (void)branches;
    if (y1 == y2) {
        draw_level(self, x1, x2, y1, colour_of(paint));
    } else {
        draw_upright(self, x1, y1, y2, colour_of(paint));
    }
}

static size_t fit(void *self, int width)
{
    (void)self;
    return width > 0 ? (size_t)width : 0;
}

static void text(void *self, struct picture_area area, enum picture_align align, struct picture_paint paint,
                 const char *words)
{
    const int length = (int)strlen(words);
    const int shown = length < area.width ? length : area.width;
    const int left = area.x + (align == ALIGN_LEFT ? 0 : align == ALIGN_CENTRE ? (area.width - shown + 1) / 2
                                                                               : area.width - shown);

    for (int i = 0; i < shown; i++) {
        const bool cut = i == shown - 1 && length > shown;

        put_letter(self, left + i, area.y + area.height / 2, cut ? LETTER_CUT : (unsigned char)words[i],
                   colour_of(paint));
    }
}

static const char *glyph_of(const struct cell *cell, bool utf8, char *letter)
{
    static const char *const lines[] = {" ", "│", "│", "│", "─", "┘", "┐", "┤", "─", "└", "┌", "├", "─", "┴", "┬", "┼"};
    static const char *const plain_lines[] = {" ", "|", "|", "|", "-", "+", "+", "+",
                                              "-", "+", "+", "+", "-", "+", "+", "+"};

    switch (cell->letter) {
    case 0:
        return (utf8 ? lines : plain_lines)[cell->strokes];

    case LETTER_CUT:
        return utf8 ? "…" : "~";

    case LETTER_FULL:
        return utf8 ? "█" : "#";

    default:
        letter[0] = (char)cell->letter;
        return letter;
    }
}

static void print_row(const struct canvas *canvas, int y)
{
    const struct cell *cells = &canvas->cells[(size_t)y * (size_t)canvas->width];
    unsigned char colour = COLOUR_NONE;
    int end = canvas->width;

    while (end > 0 && cells[end - 1].letter == 0 && cells[end - 1].strokes == 0) {
        end--;
    }
    for (int x = 0; x < end; x++) {
        char letter[2] = "";

        if (canvas->terminal->colours && cells[x].colour != colour) {
            colour = cells[x].colour;
            fprintf(canvas->stream, "\033[0%s%sm", colour != COLOUR_NONE ? ";" : "", colours[colour]);
        }
        fputs(glyph_of(&cells[x], canvas->terminal->utf8, letter), canvas->stream);
    }
    fputs(colour != COLOUR_NONE ? "\033[0m\n" : "\n", canvas->stream);
}

static void end(void *self)
{
    struct canvas *canvas = self;

    for (int y = 0; canvas->cells != NULL && y < canvas->height; y++) {
        print_row(canvas, y);
    }
}

static int height_of_block(uint64_t size)
{
    return size >= (uint64_t)1 << 30 ? 4 : 2;
}

/* Columns of 28 characters or more, as many as there is room for. */
static struct picture_measures measure(const struct picture_terminal *terminal)
{
    struct picture_measures measures = {
        .scale = {.between = 1, .hole = 2, .block = height_of_block},
        .width = 40,
        .axis = 15,
        .gap = 2,
        .part = 1,
        .edge = 1,
        .inset = 2,
        .line = 1,
        .server_width = 28,
        .server_height = 2,
        .rail = 1,
        .tab = 2,
        .strip = 1,
    };
    const int room = terminal->width - measures.axis;
    int columns = room / (28 + measures.gap);

    columns = columns < 1 ? 1 : columns > (int)PICTURE_COLUMNS_MAX ? (int)PICTURE_COLUMNS_MAX : columns;
    measures.columns = (unsigned int)columns;
    measures.column = room / columns - measures.gap;
    measures.column = measures.column > 36 ? 36 : measures.column;
    return measures;
}

bool picture_text(const struct picture_subject *subject, FILE *stream, const struct picture_terminal *terminal)
{
    struct canvas canvas = {.stream = stream, .terminal = terminal};
    const struct picture_drawer drawer = {
        .self = &canvas,
        .measures = measure(terminal),
        .begin = begin,
        .box = box,
        .fill = fill,
        .line = line,
        .text = text,
        .fit = fit,
        .end = end,
    };
    const bool drawn = picture_draw(subject, &drawer) && canvas.cells != NULL;

    free(canvas.cells);
    return drawn;
}
