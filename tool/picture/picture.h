/* SPDX-License-Identifier: BSD-2-Clause */
/* The media that a picture can be drawn in. All return false when there is no memory. */
#ifndef TOOL_PICTURE_PICTURE_H
#define TOOL_PICTURE_PICTURE_H

#include <stdio.h>

#include "picture/draw.h"

/* An SVG document of its own; or an element of an HTML page, which has the style once for all of them. */
bool picture_svg(const struct picture_subject *subject, FILE *stream, bool is_document);

void picture_svg_style(FILE *stream);

/* A report: what subject->messages say, pictures, and tables of all that is in them. */
bool picture_html(const struct picture_subject *subject, FILE *stream);

struct picture_terminal {
    int width; /* in characters, 40 at least */
    bool colours;
    bool utf8; /* else ASCII alone */
};

bool picture_text(const struct picture_subject *subject, FILE *stream, const struct picture_terminal *terminal);

#endif
