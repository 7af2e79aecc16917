/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A picture as SVG. Units are pixels. What a part is, is its class, so that a page can style it; ids are stable: the
 * number of the domain, of the bridge, and the address.
 */
#include <stdlib.h>

#include "picture/markup.h"
#include "picture/picture.h"

/* Of letters of 11 pixels, on average, in the widest sans-serif that is common: text fits whichever is there. */
#define LETTER_WIDTH 6.3

/* Dark for text, middle for lines and borders, light for grounds; told apart also by who takes red for green. */
static const struct {
    const char *dark;
    const char *middle;
    const char *light;
} hues[] = {
    {"#1d4f91", "#5b8fd0", "#dce9f9"}, {"#9a4a0c", "#dd8a45", "#fde8d6"}, {"#1c6b45", "#57ab83", "#dbf1e5"},
    {"#5b378f", "#9a78cb", "#ebe2f8"}, {"#93285f", "#cf6fa3", "#f9dfed"}, {"#0f646d", "#4aa5ae", "#d5f0f2"},
    {"#6b5212", "#b3933f", "#f5edd3"}, {"#454f5c", "#8895a5", "#e5e9ee"},
};

#define HUES (sizeof(hues) / sizeof(hues[0]))

struct svg {
    FILE *stream;
    bool is_document;
};

static int height_of_block(uint64_t size)
{
    int height = 20;

    for (uint64_t left = size >> 20; left != 0; left >>= 2) {
        height += 4;
    }
    return height;
}

static const char *class_of(enum picture_paint_kind kind)
{
    static const char *const classes[] = {
        [PAINT_COLUMN] = "column",
        [PAINT_HOLE] = "hole",
        [PAINT_RAM] = "ram",
        [PAINT_SHARED_MEMORY] = "shared",
        [PAINT_LAYOUT] = "layout",
        [PAINT_HARDWARE] = "hardware",
        [PAINT_WINDOW] = "window",
        [PAINT_TAB] = "tab",
        [PAINT_SERVER] = "server",
        [PAINT_INK] = "ink",
        [PAINT_FAINT] = "faint",
        [PAINT_ADDRESS] = "address",
        [PAINT_HEADING] = "heading",
    };

    return classes[kind];
}

static bool has_hue(struct picture_paint paint)
{
    return paint.kind == PAINT_WINDOW || paint.kind == PAINT_TAB || paint.kind == PAINT_SERVER;
}

static void write_class(FILE *stream, struct picture_paint paint)
{
    fprintf(stream, " class=\"%s", class_of(paint.kind));
    if (has_hue(paint)) {
        fprintf(stream, " h%zu", paint.hue % HUES);
    }
    fprintf(stream, "%s\"", paint.wrong ? " wrong" : "");
}

static void write_hues(FILE *stream)
{
    for (size_t i = 0; i < HUES; i++) {
        fprintf(stream,
                "rect.h%zu{fill:%s;stroke:%s}text.h%zu{fill:%s}rect.tab.h%zu,rect.server.h%zu{fill:%s;stroke:#ffffff}"
                "line.h%zu{stroke:%s}circle.h%zu{fill:%s}\n",
                i, hues[i].light, hues[i].middle, i, hues[i].dark, i, i, hues[i].dark, i, hues[i].middle, i,
                hues[i].middle);
    }
}

void picture_svg_style(FILE *stream)
{
    fputs(".sidebridge text{font:11px 'DejaVu Sans',Verdana,'Segoe UI',Helvetica,Arial,sans-serif;fill:#1f2933}\n"
          ".sidebridge text.faint,.sidebridge text.hole{fill:#68737f;font-size:10px}\n"
          ".sidebridge text.hole{fill:#9aa4ae}\n"
          ".sidebridge text.address{font:10px 'DejaVu Sans Mono',Menlo,Consolas,monospace;fill:#68737f}\n"
          ".sidebridge text.heading{font-weight:bold;font-size:13px}\n"
          ".sidebridge text.layout,.sidebridge text.hardware{fill:#5d5a4d}\n"
          "rect{stroke-width:1}rect.paper{fill:#ffffff;stroke:none}"
          "rect.column{fill:#fafbfc;stroke:#cfd6dd;stroke-dasharray:2 3}\n"
          "rect.ram{fill:#dfe5ec;stroke:#93a1b1}rect.shared{fill:#e6ebd9;stroke:#9aa878}\n"
          "rect.layout{fill:#f1f0eb;stroke:#c9c6ba}rect.hardware{fill:#fbf3d0;stroke:#cdb660}\n"
          "line{stroke-width:2;fill:none}\n", stream);
    write_hues(stream);
    fputs(".sidebridge text.tab,.sidebridge text.server{fill:#ffffff;font-weight:bold}\n"
          "rect.wrong{stroke:#c81e1e;stroke-width:2}rect.tab.wrong,rect.server.wrong{fill:#ffffff;"
          "stroke:#c81e1e;stroke-dasharray:5 3}\n"
          ".sidebridge text.wrong,.sidebridge text.server.wrong{fill:#b01818}\n", stream);
}

static void begin(void *self, int width, int height)
{
    const struct svg *svg = self;
    FILE *stream = svg->stream;

    if (svg->is_document) {
        fputs("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n", stream);
    }
    fprintf(stream,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"sidebridge\" width=\"%d\" height=\"%d\" "
            "viewBox=\"0 0 %d %d\">\n", width, height, width, height);
    if (svg->is_document) {
        fputs("<style>\n", stream);
        picture_svg_style(stream);
        fputs("</style>\n", stream);
    }
    fprintf(stream, "<rect class=\"paper\" width=\"%d\" height=\"%d\"/>\n", width, height);
}

/* A rectangle, with what a browser shows when it is pointed at. */
static void write_rectangle(FILE *stream, struct picture_area area, struct picture_paint paint, const char *id,
                            const char *title, int radius)
{
    fputs("<rect", stream);
    if (id != NULL) {
        fprintf(stream, " id=\"%s\"", id);
    }
    write_class(stream, paint);
    fprintf(stream, " x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\"", area.x, area.y, area.width, area.height);
    if (radius != 0) {
        fprintf(stream, " rx=\"%d\"", radius);
    }
    if (title == NULL) {
        fputs("/>\n", stream);
        return;
    }
    fputs("><title>", stream);
    markup_write(stream, title, SIZE_MAX);
    fputs("</title></rect>\n", stream);
}

static void box(void *self, struct picture_area area, struct picture_paint paint, const char *id, const char *title)
{
    const struct svg *svg = self;

    write_rectangle(svg->stream, area, paint, id, title,
                    paint.kind == PAINT_SERVER ? 6 : paint.kind == PAINT_TAB ? 3 : 0);
}

static void fill(void *self, struct picture_area area, struct picture_paint paint, const char *title)
{
    const struct svg *svg = self;

    write_rectangle(svg->stream, area, paint, NULL, title, 0);
}

static void line(void *self, int x1, int y1, int x2, int y2, struct picture_paint paint, bool branches)
{
    FILE *stream = ((const struct svg *)self)->stream;

    fputs("<line", stream);
    write_class(stream, paint);
    fprintf(stream, " x1=\"%d\" y1=\"%d\" x2=\"%d\" y2=\"%d\"/>\n", x1, y1, x2, y2);
    if (branches) {
        fputs("<circle", stream);
        write_class(stream, paint);
        fprintf(stream, " cx=\"%d\" cy=\"%d\" r=\"4\"/>\n", x1, y1);
    }
}

static size_t fit(void *self, int width)
{
    (void)self;
    return width > 0 ? (size_t)(width / LETTER_WIDTH) : 0;
}

static void text(void *self, struct picture_area area, enum picture_align align, struct picture_paint paint,
                 const char *words)
{
    static const char *const anchors[] = {[ALIGN_LEFT] = "start", [ALIGN_CENTRE] = "middle", [ALIGN_RIGHT] = "end"};
    FILE *stream = ((const struct svg *)self)->stream;
    const size_t length = strlen(words);
    const size_t room = fit(self, area.width);
    const int x = area.x + (align == ALIGN_LEFT ? 0 : align == ALIGN_CENTRE ? area.width / 2 : area.width);

    if (length == 0 || room == 0) {
        return;
    }
    fputs("<text", stream);
    write_class(stream, paint);
    fprintf(stream, " x=\"%d\" y=\"%d\" text-anchor=\"%s\">", x, area.y + area.height / 2 + 4, anchors[align]);
    markup_write(stream, words, length > room ? room - 1 : length);
    fputs(length > room ? "&#8230;</text>\n" : "</text>\n", stream);
}

static void end(void *self)
{
    fputs("</svg>\n", ((const struct svg *)self)->stream);
}

bool picture_svg(const struct picture_subject *subject, FILE *stream, bool is_document)
{
    struct svg svg = {.stream = stream, .is_document = is_document};
    const struct picture_drawer drawer = {
        .self = &svg,
        .measures = {
            .scale = {.between = 12, .hole = 18, .block = height_of_block},
            .columns = 6,
            .width = 324,
            .margin = 20,
            .axis = 96,
            .column = 214,
            .gap = 14,
            .part = 14,
            .edge = 5,
            .inset = 8,
            .line = 16,
            .server_width = 214,
            .server_height = 28,
            .rail = 10,
            .tab = 20,
            .strip = 12,
        },
        .begin = begin,
        .box = box,
        .fill = fill,
        .line = line,
        .text = text,
        .fit = fit,
        .end = end,
    };

    return picture_draw(subject, &drawer);
}
