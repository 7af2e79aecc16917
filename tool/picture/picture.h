/* SPDX-License-Identifier: BSD-2-Clause */
/* The media that a picture can be drawn in. All return false when there is no memory. */
#ifndef TOOL_PICTURE_PICTURE_H
#define TOOL_PICTURE_PICTURE_H

#include <stdio.h>

#include "picture/draw.h"

/* An SVG document of its own, or, for an element of an HTML page, without the XML declaration. */
bool picture_svg(const struct picture_subject *subject, FILE *stream, bool is_document);

struct picture_terminal {
    int width; /* in characters, 40 at least */
    bool colours;
    bool utf8; /* else ASCII alone */
};

bool picture_text(const struct picture_subject *subject, FILE *stream, const struct picture_terminal *terminal);

#endif
