/* SPDX-License-Identifier: GPL-2.0-only */
/* The host's device tree and the guest's stage 2, both as a test describes them. */
#include <stdarg.h>

#include "../device_tree.h"

enum gic_version hypervisor_gic_version = GIC_V3;
unsigned int p2m_ipa_bits = 40;
struct mapped mapped;
struct dt_device_node *device_tree_chosen, *device_tree_domain;

static struct dt_device_node nodes[16];
static struct dt_property properties[64];
static uint8_t values[64][256];
static char full_names[16][128];
static unsigned int nr_nodes, nr_properties;

struct dt_device_node *device_tree_node(struct dt_device_node *parent, const char *name)
{
    struct dt_device_node *node = &nodes[nr_nodes];
    struct dt_device_node **link = parent != NULL ? &parent->child : NULL;

    hypervisor_assert(nr_nodes < ARRAY_SIZE(nodes), "nodes", __FILE__, __LINE__);
    snprintf(full_names[nr_nodes], sizeof(full_names[0]), "%.60s/%.60s", parent != NULL ? parent->full_name : "", name);
    *node = (struct dt_device_node){.name = name, .full_name = full_names[nr_nodes], .parent = parent};
    for (; link != NULL && *link != NULL; link = &(*link)->sibling) {
    }
    if (link != NULL) {
        *link = node;
    }
    nr_nodes++;
    return node;
}

void device_tree_start(void)
{
    nr_nodes = nr_properties = 0;
    mapped = (struct mapped){.present = false};
    device_tree_chosen = device_tree_node(NULL, "chosen");
    device_tree_cells(device_tree_chosen, "#address-cells", 1, 2);
    device_tree_cells(device_tree_chosen, "#size-cells", 1, 2);
    device_tree_domain = device_tree_node(device_tree_chosen, "domU1");
    device_tree_cells(device_tree_domain, "memory", 2, 0, 512 * 1024);
}

void device_tree_remove(struct dt_device_node *node, const char *name)
{
    struct dt_property **link;

    for (link = &node->properties; *link != NULL; link = &(*link)->next) {
        if (strcmp((*link)->name, name) == 0) {
            *link = (*link)->next;
            return;
        }
    }
}

void device_tree_bytes(struct dt_device_node *node, const char *name, const void *value, uint32_t length)
{
    struct dt_property *property = &properties[nr_properties];

    hypervisor_assert(nr_properties < ARRAY_SIZE(properties) && length <= sizeof(values[0]), "properties", __FILE__,
                      __LINE__);
    device_tree_remove(node, name);
    if (length != 0) {
        memcpy(values[nr_properties], value, length);
    }
    /* As Xen has it: an empty property has no value. */
    *property = (struct dt_property){name, length, length != 0 ? values[nr_properties] : NULL, node->properties};
    node->properties = property;
    nr_properties++;
}

void device_tree_cells(struct dt_device_node *node, const char *name, unsigned int count, ...)
{
    fdt32_t cells[64];
    va_list arguments;
    unsigned int i;

    va_start(arguments, count);
    for (i = 0; i < count; i++) {
        cells[i] = cpu_to_fdt32(va_arg(arguments, unsigned int));
    }
    va_end(arguments);
    device_tree_bytes(node, name, cells, count * 4);
}

void device_tree_text(struct dt_device_node *node, const char *name, const char *text)
{
    device_tree_bytes(node, name, text, (uint32_t)strlen(text) + 1);
}

const struct dt_property *dt_find_property(const struct dt_device_node *node, const char *name, uint32_t *length)
{
    const struct dt_property *property;

    dt_for_each_property_node (node, property) {
        if (strcmp(property->name, name) == 0) {
            if (length != NULL) {
                *length = property->length;
            }
            return property;
        }
    }
    return NULL;
}

const void *dt_get_property(const struct dt_device_node *node, const char *name, uint32_t *length)
{
    const struct dt_property *property = dt_find_property(node, name, length);

    return property != NULL ? property->value : NULL;
}

bool dt_property_read_bool(const struct dt_device_node *node, const char *name)
{
    return dt_find_property(node, name, NULL) != NULL;
}

bool dt_property_read_u32(const struct dt_device_node *node, const char *name, uint32_t *value)
{
    uint32_t length;
    const __be32 *cells = dt_get_property(node, name, &length);

    if (cells == NULL || length < 4) {
        return false;
    }
    *value = (uint32_t)dt_read_number(cells, 1);
    return true;
}

bool dt_property_read_u64(const struct dt_device_node *node, const char *name, uint64_t *value)
{
    uint32_t length;
    const __be32 *cells = dt_get_property(node, name, &length);

    if (cells == NULL || length < 4) {
        return false;
    }
    *value = dt_read_number(cells, length < 8 ? 1 : 2);
    return true;
}

int dt_property_read_string(const struct dt_device_node *node, const char *name, const char **value)
{
    const struct dt_property *property = dt_find_property(node, name, NULL);

    if (property == NULL) {
        return -EINVAL;
    }
    if (property->value == NULL) {
        return -ENODATA;
    }
    if (memchr(property->value, '\0', property->length) == NULL) {
        return -EILSEQ;
    }
    *value = property->value;
    return 0;
}

int dt_property_match_string(const struct dt_device_node *node, const char *name, const char *text)
{
    uint32_t length, offset = 0;
    const char *list = dt_get_property(node, name, &length);
    int i;

    for (i = 0; list != NULL && offset < length; i++) {
        if (memchr(list + offset, '\0', length - offset) == NULL) {
            return -EILSEQ;
        }
        if (strcmp(list + offset, text) == 0) {
            return i;
        }
        offset += (uint32_t)strlen(list + offset) + 1;
    }
    return list == NULL ? -EINVAL : -ENODATA;
}

bool dt_device_is_compatible(const struct dt_device_node *node, const char *compatible)
{
    return dt_property_match_string(node, "compatible", compatible) >= 0;
}

bool dt_node_name_is_equal(const struct dt_device_node *node, const char *name)
{
    const size_t length = strcspn(node->name, "@");

    return strlen(name) == length && strncmp(node->name, name, length) == 0;
}

/* A node's own addresses are counted by its parent's property. */
static int inherited(const struct dt_device_node *node, const char *name, int otherwise)
{
    uint32_t cells;

    for (; node != NULL; node = node->parent) {
        if (dt_property_read_u32(node, name, &cells)) {
            return (int)cells;
        }
    }
    return otherwise;
}

int dt_n_addr_cells(const struct dt_device_node *node)
{
    return inherited(node->parent, "#address-cells", 2);
}

int dt_n_size_cells(const struct dt_device_node *node)
{
    return inherited(node->parent, "#size-cells", 1);
}

int dt_child_n_addr_cells(const struct dt_device_node *node)
{
    return inherited(node, "#address-cells", 2);
}

int dt_child_n_size_cells(const struct dt_device_node *node)
{
    return inherited(node, "#size-cells", 1);
}

u64 dt_read_number(const __be32 *cells, int count)
{
    u64 number = 0;

    for (; count > 0; count--) {
        uint32_t cell;

        memcpy(&cell, cells++, sizeof(cell));
        number = (number << 32) | fdt32_to_cpu(cell);
    }
    return number;
}

u64 dt_next_cell(int count, const __be32 **cell)
{
    const u64 number = dt_read_number(*cell, count);

    *cell += count;
    return number;
}

void p2m_read_lock(struct p2m_domain *p2m)
{
    hypervisor_assert(!p2m->locked, "the p2m is locked twice", __FILE__, __LINE__);
    p2m->locked = true;
}

void p2m_read_unlock(struct p2m_domain *p2m)
{
    hypervisor_assert(p2m->locked, "the p2m is not locked", __FILE__, __LINE__);
    p2m->locked = false;
}

/* One page may be mapped; around it, as in an empty table, entries cover what a table of a level would. */
mfn_t p2m_get_entry(struct p2m_domain *p2m, gfn_t gfn, void *type, void *access, unsigned int *order, bool *valid)
{
    unsigned int level;

    (void)type;
    (void)access;
    (void)valid;
    hypervisor_assert(p2m->locked, "the p2m is read without its lock", __FILE__, __LINE__);
    mapped.looked_up++;
    for (level = 27; level > 0 && mapped.present && gfn_x(gfn) >> level == mapped.gfn >> level; level -= 9) {
    }
    *order = level;
    return mapped.present && gfn_x(gfn) == mapped.gfn ? (mfn_t){1} : INVALID_MFN;
}
