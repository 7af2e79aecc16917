/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A report of a system as one HTML file: what is wrong with it, pictures of its guests, and the same in tables. It
 * needs nothing but itself, no script and no font, and says so to the browser. On paper a picture or a table that fits
 * on a page is on one.
 */
#include <stdlib.h>

#include "picture/markup.h"
#include "picture/picture.h"

#define COLUMNS  4u /* of a picture: as many as are legible on A4, across */
#define TEXT_MAX 128u

static const char style[] =
    "body{font:14px/1.45 'DejaVu Sans',Verdana,'Segoe UI',Helvetica,Arial,sans-serif;color:#1f2933;background:#fff;"
    "max-width:1100px;margin:24px auto;padding:0 20px}\n"
    "h1{font-size:22px;margin:0 0 4px}h2{font-size:16px;margin:30px 0 8px}\n"
    "p.summary{margin:0;color:#68737f}.error{color:#b01818}.warning{color:#8a5a00}.note{color:#68737f}\n"
    "table{border-collapse:collapse;width:100%;font-size:12px}caption{text-align:left;font-weight:bold;padding:6px 0}\n"
    "th,td{border-bottom:1px solid #dfe4ea;padding:3px 10px 3px 0;text-align:left;vertical-align:top}\n"
    "th{color:#68737f;font-weight:normal;border-bottom-color:#93a1b1}\n"
    "td.address{font-family:'DejaVu Sans Mono',Menlo,Consolas,monospace;font-size:11px;white-space:nowrap}\n"
    "td.size{text-align:right;white-space:nowrap}tr.hole td{color:#9aa4ae}tr.window td{background:#f1f6fd}\n"
    "tr.wrong td{color:#b01818;font-weight:bold}figure{margin:12px 0}svg{max-width:100%;height:auto}\n"
    ".spaces{columns:2;column-gap:32px}.spaces table{break-inside:avoid;margin-bottom:14px}\n"
    "@page{size:A4;margin:14mm}\n"
    "@media print{body{margin:0;padding:0;max-width:none}figure,table,tr,h2{break-inside:avoid}h2{break-after:avoid}"
    "figure{text-align:center}svg{max-height:250mm;width:auto}.spaces td{font-size:9px;padding:1px 6px 1px 0}"
    "*{-webkit-print-color-adjust:exact;print-color-adjust:exact}}\n";

/* Text of a device tree, which may be of any length and any bytes. */
static void put_text(FILE *stream, const char *text)
{
    for (const char *next = text; *next != '\0'; next++) {
        const char byte[2] = {*next, '\0'};
        char printable[REPORT_PRINTABLE_MAX(1)];

        report_printable(printable, sizeof(printable), byte);
        markup_write(stream, printable, sizeof(printable));
    }
}

static void put_cell(FILE *stream, const char *class, const char *text)
{
    if (class != NULL) {
        fprintf(stream, "<td class=\"%s\">", class);
    } else {
        fputs("<td>", stream);
    }
    put_text(stream, text);
    fputs("</td>", stream);
}

static const char *name_of(const struct domain *domain)
{
    return strrchr(domain->path, '/') + 1;
}

static void put_messages(FILE *stream, const struct messages *messages)
{
    static const char *const levels[] = {"error", "warning", "note"};

    if (messages->count == 0) {
        fputs("<p>None.</p>\n", stream);
        return;
    }
    fputs("<table id=\"messages\"><thead><tr><th></th><th>where</th><th>what</th><th>what would be right</th></tr>"
          "</thead><tbody>\n", stream);
    for (size_t i = 0; i < messages->count; i++) {
        const struct report_message *message = &messages->messages[i];
        const char *instead = report_instead(message);
        const size_t length = instead > message->text ? (size_t)(instead - message->text) - 2 : strlen(message->text);
        char *what = strndup(message->text, length);

        fputs("<tr>", stream);
        put_cell(stream, levels[message->level], levels[message->level]);
        put_cell(stream, NULL, message->node != NULL ? message->node : "the file");
        fputs("<td>", stream);
        if (message->property != NULL) {
            put_text(stream, message->property);
            fputs(": ", stream);
        }
        put_text(stream, what != NULL ? what : message->text);
        fputs("</td>", stream);
        put_cell(stream, NULL, instead != NULL ? instead : "");
        fputs("</tr>\n", stream);
        free(what);
    }
    fputs("</tbody></table>\n", stream);
}

static bool put_pictures(FILE *stream, const struct picture_subject *subject)
{
    struct picture_subject part = *subject;
    const size_t end = subject->first + subject->count;
    bool good = true;

    part.file = NULL;
    for (; good && part.first < end; part.first += COLUMNS) {
        part.count = end - part.first < COLUMNS ? end - part.first : COLUMNS;
        fputs("<figure>\n", stream);
        good = picture_svg(&part, stream, false);
        fputs("</figure>\n", stream);
    }
    return good;
}

static void put_guest(FILE *stream, const struct domain *domain)
{
    const struct space_range ram = {.last = domain->memory_kib * 1024u - 1u};
    char text[TEXT_MAX];

    snprintf(text, sizeof(text), "%u", domain->id);
    fputs("<tr>", stream);
    put_cell(stream, NULL, text);
    put_cell(stream, NULL, name_of(domain));
    snprintf(text, sizeof(text), "%" PRIu32, domain->cpus);
    put_cell(stream, NULL, text);
    snprintf(text, sizeof(text), "none");
    if (domain->memory_kib != 0) {
        space_format_size(&ram, text);
    }
    put_cell(stream, NULL, text);
    snprintf(text, sizeof(text), "GICv%u%s%s%s%s%s", domain->layout.gic_version,
             domain->layout.direct_mapped ? ", direct-mapped" : "", domain->has_passthrough ? ", passthrough" : "",
             domain->layout.vpl011 ? ", vpl011" : "", domain->layout.vpci ? ", vPCI" : "",
             domain->enhanced ? ", grant table" : "");
    put_cell(stream, NULL, text);
    snprintf(text, sizeof(text), "%u", domain->bridge_count);
    put_cell(stream, NULL, text);
    fputs("</tr>\n", stream);
}

static void format_window(char *text, const struct bridge_window *window)
{
    if (window->size == 0) {
        snprintf(text, TEXT_MAX, "-");
    } else {
        snprintf(text, TEXT_MAX, "0x%" PRIx64 "-0x%" PRIx64, window->base, window->base + (window->size - 1));
    }
}

static void put_server(FILE *stream, const struct domains *domains, uint32_t id)
{
    char text[TEXT_MAX];

    if (id == 0) {
        snprintf(text, sizeof(text), "dom0%s", domains->has_control ? "" : " (missing)");
    } else if (id <= domains->count) {
        snprintf(text, sizeof(text), "%.100s (domain %" PRIu32 ")", name_of(domains->domains[id - 1]), id);
    } else {
        snprintf(text, sizeof(text), "domain %" PRIu32 " (missing)", id);
    }
    put_cell(stream, NULL, text);
}

static void put_bridge(FILE *stream, const struct domains *domains, const struct domain *domain, unsigned int index)
{
    const struct bridge *bridge = &domain->bridges[index].bridge;
    char text[TEXT_MAX];

    fputs("<tr>", stream);
    snprintf(text, sizeof(text), "%.100s", name_of(domain));
    put_cell(stream, NULL, text);
    snprintf(text, sizeof(text), "%u", index);
    put_cell(stream, NULL, text);
    put_server(stream, domains, bridge->backend);
    for (unsigned int i = 0; i < BRIDGE_WINDOWS; i++) {
        format_window(text, &bridge->window[i]);
        put_cell(stream, "address", text);
    }
    snprintf(text, sizeof(text), bridge->interrupt_count != 0 ? "%" PRIu32 "-%" PRIu32 : "-", bridge->interrupt_first,
             bridge->interrupt_first + bridge->interrupt_count - 1);
    put_cell(stream, NULL, text);
    snprintf(text, sizeof(text), "%s%s", (bridge->flags & BRIDGE_FLAG_GRANTS) != 0 ? "GRANTS " : "",
             (bridge->flags & BRIDGE_FLAG_HOLD) != 0 ? "HOLD" : "");
    put_cell(stream, NULL, text);
    fputs("</tr>\n", stream);
}

static void put_space(FILE *stream, const struct domain *domain, unsigned int address_bits)
{
    struct space space;

    space_read(&space, domain, address_bits);
    fprintf(stream, "<table id=\"space-%u\"><caption>", domain->id);
    put_text(stream, name_of(domain));
    fputs("</caption><thead><tr><th>from</th><th>to</th><th>size</th><th></th></tr></thead><tbody>\n", stream);
    for (size_t i = 0; i < space.count; i++) {
        const struct space_range *range = &space.ranges[i];
        char text[TEXT_MAX];

        fprintf(stream, "<tr class=\"%s%s\">", range->kind == SPACE_HOLE ? "hole" : range->bridge >= 0 ? "window" : "",
                range->overlaps ? " wrong" : "");
        snprintf(text, sizeof(text), "0x%09" PRIx64, range->first);
        put_cell(stream, "address", text);
        snprintf(text, sizeof(text), "0x%09" PRIx64, range->last);
        put_cell(stream, "address", text);
        space_format_size(range, text);
        put_cell(stream, "size", text);
        if (range->bridge >= 0) {
            snprintf(text, sizeof(text), "bridge %d: %s%s", range->bridge, range->name,
                     range->overlaps ? ", overlaps" : "");
        } else {
            snprintf(text, sizeof(text), "%s%s", range->kind == SPACE_HOLE ? "" : range->name,
                     range->overlaps ? ", overlaps" : "");
        }
        put_cell(stream, NULL, text);
        fputs("</tr>\n", stream);
    }
    fputs("</tbody></table>\n", stream);
}

static void put_tables(FILE *stream, const struct picture_subject *subject)
{
    struct domain *const *domains = subject->domains->domains;
    const size_t end = subject->first + subject->count;

    fputs("<h2>Guests</h2>\n<table id=\"guests\"><thead><tr><th>domain</th><th>name</th><th>vCPUs</th><th>memory</th>"
          "<th></th><th>bridges</th></tr></thead><tbody>\n", stream);
    for (size_t i = subject->first; i < end; i++) {
        put_guest(stream, domains[i]);
    }
    fputs("</tbody></table>\n<h2>Bridges</h2>\n<table id=\"bridges\"><thead><tr><th>guest</th><th>bridge</th>"
          "<th>served by</th><th>ECAM</th><th>memory</th><th>prefetchable</th><th>interrupts</th><th>flags</th></tr>"
          "</thead><tbody>\n", stream);
    for (size_t i = subject->first; i < end; i++) {
        for (unsigned int j = 0; j < domains[i]->bridge_count; j++) {
            put_bridge(stream, subject->domains, domains[i], j);
        }
    }
    fputs("</tbody></table>\n<h2>Address spaces</h2>\n<div class=\"spaces\">\n", stream);
    for (size_t i = subject->first; i < end; i++) {
        put_space(stream, domains[i], subject->domains->address_bits);
    }
    fputs("</div>\n", stream);
}

bool picture_html(const struct picture_subject *subject, FILE *stream)
{
    const char *slash = strrchr(subject->file, '/');
    const char *name = slash != NULL ? slash + 1 : subject->file;
    bool good;

    fputs("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
          "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n"
          "<meta name=\"viewport\" content=\"width=device-width\">\n<title>", stream);
    put_text(stream, name);
    fprintf(stream, "</title>\n<style>\n%s", style);
    picture_svg_style(stream);
    fputs("</style>\n</head>\n<body>\n<h1>", stream);
    put_text(stream, name);
    fprintf(stream, "</h1>\n<p class=\"summary\">As Xen %s builds it: %zu guest%s, %u error%s, %u warning%s. "
            "sidebridge %s</p>\n", subject->xen, subject->count, subject->count == 1 ? "" : "s", subject->errors,
            subject->errors == 1 ? "" : "s", subject->warnings, subject->warnings == 1 ? "" : "s", SIDEBRIDGE_VERSION);
    fputs("<h2>Errors, warnings and notes</h2>\n", stream);
    put_messages(stream, subject->messages);
    fputs("<h2>Address spaces, and who serves what</h2>\n", stream);
    good = put_pictures(stream, subject);
    put_tables(stream, subject);
    fputs("</body>\n</html>\n", stream);
    return good && !subject->messages->failed;
}
