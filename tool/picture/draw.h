/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One picture, several media: draw.c walks the model and draws it through a handful of operations, each medium being a
 * drawer that has them. Coordinates are the drawer's units (pixels, or cells of a terminal), x to the right and y down;
 * draw.c knows of the units only what the drawer's measures say.
 *
 * All text is printable ASCII. Whatever a drawer is given is borrowed for the call.
 */
#ifndef TOOL_PICTURE_DRAW_H
#define TOOL_PICTURE_DRAW_H

#include "picture/messages.h"
#include "picture/model.h"

enum picture_paint_kind {
    PAINT_COLUMN, /* the ground of a column: what is seen of it are holes */
    PAINT_HOLE,   /* what is said of one */
    PAINT_RAM,
    PAINT_SHARED_MEMORY,
    PAINT_LAYOUT,
    PAINT_HARDWARE,
    PAINT_WINDOW, /* of a bridge, in the hue of who serves it */
    PAINT_TAB,    /* the bridge itself, likewise */
    PAINT_SERVER, /* likewise */
    PAINT_INK,    /* plain text */
    PAINT_FAINT,  /* text that is to be looked up, not read */
    PAINT_ADDRESS,
    PAINT_HEADING,
};

struct picture_paint {
    enum picture_paint_kind kind;
    unsigned int hue;
    bool wrong; /* it overlaps something, or is not there */
};

struct picture_area {
    int x;
    int y;
    int width;
    int height;
};

enum picture_align {
    ALIGN_LEFT,
    ALIGN_CENTRE,
    ALIGN_RIGHT,
};

struct picture_measures {
    struct picture_scale scale;
    unsigned int columns; /* in a row, at most; 1 to PICTURE_COLUMNS_MAX */
    int width;            /* of the whole, at least */
    int margin;           /* around everything */
    int axis;             /* width of the addresses at the left */
    int column;           /* width of a column */
    int gap;              /* between columns */
    int part;             /* between parts above each other */
    int edge;             /* how far the border of a box reaches beyond it */
    int inset;            /* of text from the left and right side of its box */
    int line;             /* height of a line of text */
    int server_width;     /* at most; less when there are many */
    int server_height;
    int rail;             /* between lines that run beside each other */
    int tab;              /* height of a bridge's tab */
    int strip;            /* height of the strip of interrupts */
};

struct picture_drawer {
    void *self;
    struct picture_measures measures;
    void (*begin)(void *self, int width, int height);
    /* A box; id, unique in the picture, and title, what there is to say when it is pointed at, may be NULL. */
    void (*box)(void *self, struct picture_area area, struct picture_paint paint, const char *id, const char *title);
    /* The same without a border. */
    void (*fill)(void *self, struct picture_area area, struct picture_paint paint, const char *title);
    /* A line, level or upright, from who serves to what is served; it branches where it begins on another one. */
    void (*line)(void *self, int x1, int y1, int x2, int y2, struct picture_paint paint, bool branches);
    /* One line, in the middle of the area's height; what does not fit is cut. */
    void (*text)(void *self, struct picture_area area, enum picture_align align, struct picture_paint paint,
                 const char *text);
    /* How many characters fit into a width. */
    size_t (*fit)(void *self, int width);
    void (*end)(void *self);
};

/* What the picture is of. */
struct picture_subject {
    const struct domains *domains;
    size_t first;     /* of the domains, from 0 */
    size_t count;
    const char *file; /* any bytes; NULL: the picture has no title, somebody else says what it is of */
    const char *xen;  /* the version */
    unsigned int errors;
    unsigned int warnings;
    const struct messages *messages; /* for a report; NULL: they are not kept */
};

/* False when there is no memory. */
bool picture_draw(const struct picture_subject *subject, const struct picture_drawer *drawer);

#endif
