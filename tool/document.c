/* SPDX-License-Identifier: BSD-2-Clause */
/* See document.h. */
#include "document.h"

#include <libfdt.h>
#include <stdlib.h>

#include "dts.h"

#define FORMAT 1 /* of the document; raised when something of it changes its meaning or goes away */

struct document {
    struct json_object *root;
    struct json_object *files;
    struct json_object *file;     /* the one that is being made, and what belongs to it: */
    struct json_object *messages;
    struct json_object *wrong;    /* by path: the children of /chosen that have an error; not part of the document */
    bool failed;                  /* no memory for some of it */
};

/* Gives value to the object, and returns it. NULL: one of the two could not be made, and the value is gone. */
static struct json_object *put(struct document *document, struct json_object *object, const char *name,
                               struct json_object *value)
{
    if (object == NULL || value == NULL || json_object_object_add(object, name, value) != 0) {
        json_object_put(value);
        document->failed = true;
        return NULL;
    }
    return value;
}

/* The same to an array. */
static struct json_object *append(struct document *document, struct json_object *array, struct json_object *value)
{
    if (array == NULL || value == NULL || json_object_array_add(array, value) != 0) {
        json_object_put(value);
        document->failed = true;
        return NULL;
    }
    return value;
}

static struct json_object *text_of(const char *text)
{
    const size_t room = REPORT_PRINTABLE_MAX(strlen(text));
    char *printable = malloc(room);
    struct json_object *value = NULL;

    if (printable != NULL) {
        report_printable(printable, room, text);
        value = json_object_new_string(printable);
        free(printable);
    }
    return value;
}

static void put_text(struct document *document, struct json_object *object, const char *name, const char *text)
{
    if (text != NULL) {
        (void)put(document, object, name, text_of(text));
    } else if (object == NULL || json_object_object_add(object, name, NULL) != 0) {
        document->failed = true;
    }
}

static void put_number(struct document *document, struct json_object *object, const char *name, uint64_t number)
{
    (void)put(document, object, name, json_object_new_uint64(number));
}

static void put_bool(struct document *document, struct json_object *object, const char *name, bool value)
{
    (void)put(document, object, name, json_object_new_boolean(value));
}

/* An object or array that is put at once, and filled later. */
static struct json_object *open_object(struct document *document, struct json_object *object, const char *name)
{
    return put(document, object, name, json_object_new_object());
}

static struct json_object *open_array(struct document *document, struct json_object *object, const char *name)
{
    return put(document, object, name, json_object_new_array());
}

struct document *document_create(void)
{
    struct document *document = calloc(1, sizeof(*document));

    if (document == NULL) {
        return NULL;
    }
    document->root = json_object_new_object();
    put_text(document, document->root, "sidebridge", SIDEBRIDGE_VERSION);
    put_number(document, document->root, "format", FORMAT);
    document->files = open_array(document, document->root, "files");
    return document;
}

void document_destroy(struct document *document)
{
    if (document != NULL) {
        json_object_put(document->wrong);
        json_object_put(document->root);
        free(document);
    }
}

/* The domain, or another child of /chosen, that the node is or belongs to. */
static void mark_wrong(struct document *document, const char *node)
{
    static const char chosen[] = "/chosen/";
    char path[HOST_TREE_PATH_MAX];

    if (strncmp(node, chosen, strlen(chosen)) == 0) {
        snprintf(path, sizeof(path), "%.*s", (int)(strlen(chosen) + strcspn(node + strlen(chosen), "/")), node);
        (void)put(document, document->wrong, path, json_object_new_boolean(true));
    }
}

static void add_message(void *context, const struct report_message *message)
{
    static const char *const levels[] = {"error", "warning", "note"};
    struct document *document = context;
    struct json_object *object = append(document, document->messages, json_object_new_object());
    const char *instead = report_instead(message);
    char what[1024];

    snprintf(what, sizeof(what), "%s", message->text);
    if (instead > message->text) {
        what[instead - message->text - 2] = '\0'; /* without "; " or ": " */
    }
    put_text(document, object, "level", levels[message->level]);
    put_text(document, object, "node", message->node);
    put_text(document, object, "property", message->property);
    put_text(document, object, "what", what);
    put_text(document, object, "instead", instead);
    if (message->level == REPORT_ERROR && message->node != NULL) {
        mark_wrong(document, message->node);
    }
}

void document_begin_file(struct document *document, struct report *report, const char *xen)
{
    document->file = append(document, document->files, json_object_new_object());
    put_text(document, document->file, "file", report->file);
    put_text(document, document->file, "xen", xen);
    document->messages = open_array(document, document->file, "messages");
    document->wrong = json_object_new_object();
    report->heard = add_message;
    report->context = document;
}

static struct json_object *verdict_of(bool wrong)
{
    return json_object_new_string(wrong ? "refused" : "accepted");
}

static void put_window(struct document *document, struct json_object *windows, const char *name,
                       const struct bridge_window *window)
{
    struct json_object *object;

    if (window->size != 0) {
        object = open_object(document, windows, name);
        put_number(document, object, "base", window->base);
        put_number(document, object, "size", window->size);
    }
}

static void put_interrupts(struct document *document, struct json_object *object, const char *name, uint32_t first,
                           uint32_t count)
{
    struct json_object *interrupts;

    if (count != 0) {
        interrupts = open_object(document, object, name);
        put_number(document, interrupts, "first", first);
        put_number(document, interrupts, "count", count);
    }
}

static void add_bridge(struct document *document, struct json_object *bridges, const struct domain_bridge *described,
                       unsigned int index)
{
    const struct bridge *bridge = &described->bridge;
    const bool pci = bridge->ecam.size != 0;
    const struct bridge_window service = {bridge_v2m_base(bridge), pci ? BRIDGE_SERVICE_SIZE : 0};
    struct json_object *object = append(document, bridges, json_object_new_object());
    struct json_object *windows;
    struct json_object *interrupts;

    put_number(document, object, "index", index);
    put_text(document, object, "kind", pci ? "pci" : "plain");
    put_text(document, object, "node", described->path);
    put_text(document, object, "property", described->property);
    put_number(document, object, "buses", bridge_buses(bridge));
    windows = open_object(document, object, "windows");
    put_window(document, windows, "ecam", &bridge->ecam);
    put_window(document, windows, pci ? "memory" : "plain", &bridge->memory);
    put_window(document, windows, "service", &service);
    put_window(document, windows, pci ? "prefetch" : "plain2", &bridge->prefetch);
    interrupts = open_object(document, object, "interrupts");
    put_interrupts(document, interrupts, "all", bridge->interrupt_first, bridge->interrupt_count);
    if (pci) {
        put_interrupts(document, interrupts, "intx", bridge->interrupt_first, BRIDGE_INTX_COUNT);
        put_interrupts(document, interrupts, "msi", bridge_msi_first(bridge), bridge_msi_count(bridge));
    }
    put_bool(document, object, "grants", (bridge->flags & BRIDGE_FLAG_GRANTS) != 0);
    put_bool(document, object, "hold", (bridge->flags & BRIDGE_FLAG_HOLD) != 0);
    put_number(document, object, "hold_ms", (bridge->flags & BRIDGE_FLAG_HOLD) != 0 ? bridge->hold_ms : 0);
    put_number(document, object, "backend", bridge->backend);
}

static void add_domain(struct document *document, struct json_object *domains, const struct domain *domain)
{
    struct json_object *object = append(document, domains, json_object_new_object());
    struct json_object *bridges;

    put_number(document, object, "id", domain->id);
    put_text(document, object, "node", domain->path);
    (void)put(document, object, "verdict",
              verdict_of(json_object_object_get_ex(document->wrong, domain->path, NULL) != 0));
    put_number(document, object, "cpus", domain->cpus);
    put_number(document, object, "memory_kib", domain->memory_kib);
    put_number(document, object, "gic", domain->layout.gic_version);
    put_bool(document, object, "direct_mapped", domain->layout.direct_mapped);
    put_bool(document, object, "vpl011", domain->layout.vpl011);
    put_bool(document, object, "vpci", domain->layout.vpci);
    put_bool(document, object, "grant_table", domain->enhanced);
    put_bool(document, object, "passthrough", domain->has_passthrough);
    bridges = open_array(document, object, "bridges");
    for (unsigned int i = 0; i < domain->bridge_count; i++) {
        add_bridge(document, bridges, &domain->bridges[i], i);
    }
}

void document_add_domains(struct document *document, const struct domains *domains)
{
    struct json_object *array = open_array(document, document->file, "domains");

    put_number(document, document->file, "address_bits", domains->address_bits);
    for (size_t i = 0; i < domains->count; i++) {
        add_domain(document, array, domains->domains[i]);
    }
}

static struct json_object *find_domain(const struct document *document, const struct domain *domain)
{
    struct json_object *domains = json_object_object_get(document->file, "domains");

    return domains != NULL ? json_object_array_get_idx(domains, domain->id - 1u) : NULL;
}

void document_add_space(struct document *document, const struct domain *domain, const struct space *space)
{
    struct json_object *array = open_array(document, find_domain(document, domain), "ranges");

    for (size_t i = 0; i < space->count; i++) {
        const struct space_range *range = &space->ranges[i];
        struct json_object *object = append(document, array, json_object_new_object());

        put_number(document, object, "first", range->first);
        put_number(document, object, "last", range->last);
        put_text(document, object, "kind", space_kind_name(range->kind));
        put_text(document, object, "name", range->name);
        if (range->bridge >= 0) {
            put_number(document, object, "bridge", (unsigned int)range->bridge);
        }
        put_bool(document, object, "overlaps", range->overlaps);
    }
}

/* true, a list of strings, or a list of cells. */
static void put_property(struct document *document, struct json_object *object, const char *name, const char *value,
                         int length)
{
    struct json_object *array;

    if (length == 0) {
        put_bool(document, object, name, true);
        return;
    }
    array = open_array(document, object, name);
    if (dts_is_text(value, length)) {
        for (const char *next = value; next < value + length; next += strlen(next) + 1) {
            (void)append(document, array, text_of(next));
        }
    } else {
        for (int i = 0; i < length / 4; i++) {
            const fdt32_t *cell = (const fdt32_t *)(const void *)value + i;

            (void)append(document, array, json_object_new_uint64(fdt32_ld(cell)));
        }
    }
}

/* Of a tree that is not deep, since this program has made it. */
static void put_node(struct document *document, struct json_object *object, const char *name, const void *fdt, int node)
{
    struct json_object *const described = open_object(document, object, name);
    struct json_object *const properties = open_object(document, described, "properties");
    struct json_object *const nodes = open_object(document, described, "nodes");
    int offset;

    fdt_for_each_property_offset(offset, fdt, node) {
        const char *property = "";
        int length = 0;
        const void *value = fdt_getprop_by_offset(fdt, offset, &property, &length);

        put_property(document, properties, property, value, length);
    }
    fdt_for_each_subnode(offset, fdt, node) {
        put_node(document, nodes, fdt_get_name(fdt, offset, NULL), fdt, offset);
    }
}

void document_add_nodes(struct document *document, const struct domain *domain, const void *fdt)
{
    put_node(document, find_domain(document, domain), "tree", fdt, 0);
}

void document_end_file(struct document *document, const struct report *report)
{
    (void)put(document, document->file, "verdict", verdict_of(report->errors != 0));
    put_number(document, document->file, "errors", report->errors);
    put_number(document, document->file, "warnings", report->warnings);
    put_number(document, document->file, "notes", report->notes);
    json_object_put(document->wrong);
    document->wrong = NULL;
}

bool document_print(const struct document *document)
{
    const int how = JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED | JSON_C_TO_STRING_NOSLASHESCAPE;
    const char *text = json_object_to_json_string_ext(document->root, how);

    if (document->failed || text == NULL) {
        fprintf(stderr, "sidebridge: out of memory\n");
        return false;
    }
    puts(text);
    return true;
}
