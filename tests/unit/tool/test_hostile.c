/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Device trees that are broken or made to break the tool: cut, corrupt, deep, wide, with names that are no text. The
 * tool must say what is wrong and exit with 1, or 0 when nothing is; never crash, hang or print what a terminal would
 * obey.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <libfdt.h>

#include "bridge.h"
#include "process.h"

#define BLOB_MAX (18u * 1024u * 1024u)

static char *tool;
static uint8_t good[65536];
static size_t good_size;
static uint8_t *blob; /* BLOB_MAX bytes */
static unsigned int depth; /* of the node that is being put into it */
static struct process_result result;

static void run(char *command, char *domain, const void *input, size_t size)
{
    char *const arguments[] = {tool, command, "-", domain, NULL};

    process_run(arguments, input, size, &result);
    if (result.status != 0 && result.status != 1) {
        fail_msg("%s: exit status %d:\n%s", command, result.status, result.errors);
    }
}

static void assert_refused(const void *input, size_t size, const char *message)
{
    run("check", NULL, input, size);
    assert_int_equal(result.status, 1);
    if (strstr(result.errors, message) == NULL) {
        fail_msg("\"%s\" is not in:\n%s", message, result.errors);
    }
}

static void set_header(unsigned int word, uint32_t value)
{
    memcpy(blob, good, good_size);
    fdt32_st(blob + word * 4, value);
}

static void empty_file(void **state)
{
    (void)state;
    assert_refused("", 0, "0 bytes are too few for a flattened device tree");
}

static void every_truncation(void **state)
{
    (void)state;
    for (size_t size = 1; size < good_size; size += 1 + size / 16) {
        run("check", NULL, good, size);
        assert_int_equal(result.status, 1);
    }
    assert_refused(good, good_size - 1, "truncated: the header says");
}

static void wrong_magic(void **state)
{
    (void)state;
    set_header(0, 0xfeed0dd0);
    assert_refused(blob, good_size, "magic 0xfeed0dd0, expected 0xd00dfeed");
}

static void total_size_lies(void **state)
{
    (void)state;
    set_header(1, (uint32_t)good_size + 4096);
    assert_refused(blob, good_size, "truncated: the header says");
    set_header(1, 0xffffffff);
    assert_refused(blob, good_size, "truncated: the header says 4294967295 bytes");
    set_header(1, 0);
    assert_refused(blob, good_size, "not a well-formed flattened device tree");
    set_header(1, 48);
    assert_refused(blob, good_size, "not a well-formed flattened device tree");
}

static void offsets_and_sizes_lie(void **state)
{
    static const unsigned int words[] = {2, 3, 4, 8, 9};
    static const uint32_t values[] = {0x7fffffff, 0xfffffff0, 0xffffffff, 1};

    (void)state;
    for (size_t i = 0; i < 5; i++) {
        for (size_t j = 0; j < 4; j++) {
            set_header(words[i], values[j]);
            assert_refused(blob, good_size, "not a well-formed flattened device tree");
        }
    }
}

static void wrong_version(void **state)
{
    (void)state;
    set_header(5, 1);
    assert_refused(blob, good_size, "FDT_ERR_BADVERSION");
    set_header(6, 99);
    assert_refused(blob, good_size, "FDT_ERR_BADVERSION");
}

/* Any byte, any of a few values: the answer may be anything but a crash. Under sanitizers, that is the test. */
static void every_byte_corrupted(void **state)
{
    (void)state;
    for (size_t i = 0; i < good_size; i += 7) {
        memcpy(blob, good, good_size);
        blob[i] = (uint8_t)(blob[i] ^ (i % 3 == 0 ? 0xffu : i % 3 == 1 ? 0x80u : 0x01u));
        run("map", NULL, blob, good_size);
        run("picture", NULL, blob, good_size);
    }
}

static void larger_than_the_limit(void **state)
{
    (void)state;
    memset(blob, 0, BLOB_MAX);
    assert_refused(blob, BLOB_MAX, "larger than 16 MiB");
}

static void not_a_device_tree(void **state)
{
    (void)state;
    memset(blob, 'x', 100000);
    assert_refused(blob, 100000, "not a flattened device tree: magic 0x78787878");
}

static void begin_node(const char *name)
{
    assert_int_equal(fdt_begin_node(blob, name), 0);
    depth++;
}

static void end_node(void)
{
    assert_int_equal(fdt_end_node(blob), 0);
    depth--;
}

static void put(const char *name, const void *value, size_t length)
{
    assert_int_equal(fdt_property(blob, name, value, (int)length), 0);
}

static void put_cell(const char *name, uint32_t value)
{
    assert_int_equal(fdt_property_cell(blob, name, value), 0);
}

static void begin_tree(void)
{
    assert_int_equal(fdt_create(blob, BLOB_MAX), 0);
    assert_int_equal(fdt_finish_reservemap(blob), 0);
    depth = 0;
    begin_node("");
}

/* Ends the nodes that are still open. */
static size_t finish_tree(void)
{
    while (depth > 0) {
        end_node();
    }
    assert_int_equal(fdt_finish(blob), 0);
    return fdt_totalsize(blob);
}

static void begin_chosen(void)
{
    begin_tree();
    begin_node("chosen");
}

static void put_domain(const char *name)
{
    const fdt32_t memory[2] = {0, cpu_to_fdt32(131072)};

    begin_node(name);
    put("compatible", "xen,domain", 11);
    put_cell("cpus", 1);
    put("memory", memory, 8);
}

/* What most trees begin with. */
static void begin_domain(void)
{
    begin_chosen();
    put_domain("domU1");
}

/* Cells of a bridge for a parent with #address-cells 2 and #size-cells 1, which is what holds when nobody says it. */
static void put_bridge(const char *name, uint32_t flags)
{
    fdt32_t cells[12] = {0, 0x10000000, 0x1000000, 0, 0x34000000, 0x2000000, 0, 0, 0, 44, 20, flags};

    for (size_t i = 0; i < 12; i++) {
        cells[i] = cpu_to_fdt32(cells[i]);
    }
    put(name, cells, sizeof(cells));
}

static void deep_nesting(void **state)
{
    (void)state;
    begin_tree();
    for (unsigned int i = 0; i < 100000; i++) {
        begin_node("n");
    }
    assert_refused(blob, finish_tree(), "nodes are nested more than 32 deep");
}

static void no_chosen(void **state)
{
    (void)state;
    begin_tree();
    assert_refused(blob, finish_tree(), "/: there is no /chosen, so that Xen starts no domain");
}

static void no_gic_is_a_warning(void **state)
{
    (void)state;
    begin_domain();
    put_bridge(BRIDGE_PROPERTY, 0);
    run("check", NULL, blob, finish_tree());
    assert_int_equal(result.status, 0);
    assert_non_null(strstr(result.errors,
                           "<stdin>: /: warning: no GIC that Xen knows: guests are taken to have a GICv3\n"));
}

static void property_twice(void **state)
{
    (void)state;
    begin_domain();
    put_bridge(BRIDGE_PROPERTY, 0);
    put_bridge(BRIDGE_PROPERTY, 1);
    assert_refused(blob, finish_tree(), "/chosen/domU1: " BRIDGE_PROPERTY ": present 2 times; keep one of them\n");
}

/* For a parent with #address-cells 2 and #size-cells 1. */
static void put_plain_range(const char *name, uint32_t base)
{
    const fdt32_t reg[3] = {0, cpu_to_fdt32(base), cpu_to_fdt32(0x1000)};

    begin_node(name);
    put("compatible", BRIDGE_COMPATIBLE_MMIO, sizeof(BRIDGE_COMPATIBLE_MMIO));
    put("reg", reg, sizeof(reg));
    end_node();
}

static void virtio_pci_twice(void **state)
{
    (void)state;
    begin_domain();
    put("virtio-pci", "enabled", 8);
    put("virtio-pci", "grants", 7);
    assert_refused(blob, finish_tree(), "/chosen/domU1: virtio-pci: present 2 times; keep one of them\n");
}

static void fifty_thousand_bridges(void **state)
{
    (void)state;
    begin_domain();
    for (unsigned int i = 0; i < 50000; i++) {
        char name[32];

        snprintf(name, sizeof(name), "r%u", i);
        put_plain_range(name, 0x60000000 + i * 0x1000);
    }
    assert_refused(blob, finish_tree(), "/chosen/domU1/r4: more than 4 bridges\n");
    assert_null(strstr(result.errors, "/chosen/domU1/r3: more"));
    run("map", NULL, blob, fdt_totalsize(blob));
    assert_non_null(strstr(result.output, "bridge 3: plain range"));
    run("picture", NULL, blob, fdt_totalsize(blob));
    assert_int_equal(result.status, 1);
    assert_non_null(strstr(result.output, "3: plain range"));
}

static void one_bridge_twice(void **state)
{
    (void)state;
    begin_domain();
    put_plain_range("r", 0x60000000);
    put_plain_range("r", 0x60000000);
    assert_refused(blob, finish_tree(), "/chosen/domU1/r: xen,ioreq-mmio: memory_address 0x60000000: "
                                        "0x60000000-0x60000fff overlaps another bridge of the domain "
                                        "0x60000000-0x60000fff; move one of them\n");
}

static void compatible_of_1_mib_and_of_no_text(void **state)
{
    char *text = malloc(1024 * 1024);

    (void)state;
    assert_non_null(text);
    memset(text, 'i', 1024 * 1024);
    memcpy(text, "xen,ioreq-mmio\x1b[2J", 18);
    begin_domain();
    begin_node("long");
    put("compatible", text, 1024 * 1024);
    end_node();
    begin_node("zeros");
    memset(text, 0, 1024 * 1024);
    put("compatible", text, 1024 * 1024);
    end_node();
    run("check", NULL, blob, finish_tree());
    assert_int_equal(result.status, 0);
    assert_non_null(strstr(result.errors, "/chosen/domU1/long: warning: compatible: \"xen,ioreq-mmio\\x1b[2Jiii"));
    assert_non_null(strstr(result.errors, "does not end in NUL, so that Xen does not read it"));
    assert_null(strchr(result.errors, '\x1b'));
    free(text);
}

static void huge_cells_for_a_child(void **state)
{
    (void)state;
    begin_domain();
    put_cell("#address-cells", 0x20000000);
    put_cell("#size-cells", 0x20000000);
    put_plain_range("r", 0x60000000);
    assert_refused(blob, finish_tree(),
                   "/chosen/domU1/r: reg: #address-cells 536870912: of the parent node must be 1 or 2\n");
}

static void two_domains_of_one_name(void **state)
{
    (void)state;
    begin_chosen();
    for (unsigned int i = 0; i < 2; i++) {
        put_domain("domU1");
        end_node();
    }
    assert_refused(blob, finish_tree(), "/chosen/domU1: two domains have this name; rename one of them\n");
}

static void two_chosen_nodes(void **state)
{
    (void)state;
    begin_tree();
    for (unsigned int i = 0; i < 2; i++) {
        begin_node("chosen");
        put_domain("domU1");
        end_node();
        end_node();
    }
    assert_refused(blob, finish_tree(), "/chosen/domU1: two domains have this name");
}

static void too_many_domains(void **state)
{
    (void)state;
    begin_chosen();
    for (unsigned int i = 0; i < 50000; i++) {
        char name[32];

        snprintf(name, sizeof(name), "domU%u", i);
        put_domain(name);
        end_node();
    }
    assert_refused(blob, finish_tree(), "/chosen/domU4096: more than 4096 domains\n");
}

static void too_many_ranges(void **state)
{
    (void)state;
    begin_domain();
    put_bridge(BRIDGE_PROPERTY, 0);
    for (unsigned int i = 0; i < 100; i++) {
        const fdt32_t cells[3] = {0, cpu_to_fdt32(0x60000000 + i * 0x1000), cpu_to_fdt32(0x1000)};
        char name[32];

        snprintf(name, sizeof(name), "shm@%u", i);
        begin_node(name);
        put("compatible", "xen,domain-shared-memory-v1", 28);
        put("xen,shared-mem", cells, sizeof(cells));
        end_node();
    }
    assert_refused(blob, finish_tree(), "/chosen/domU1: more than 64 ranges of memory");
}

static void names_that_are_no_text(void **state)
{
    (void)state;
    begin_chosen();
    put_domain("dom\x1b[2J\xff\n");
    put_bridge(BRIDGE_PROPERTY, 8);
    put("secondary-pci-\x1b\x9c", "", 0);
    assert_refused(blob, finish_tree(), "/chosen/dom\\x1b[2J\\xff\\x0a: " BRIDGE_PROPERTY ": flags 0x8");
    assert_null(strchr(result.errors, '\x1b'));
    assert_non_null(strstr(result.errors, "warning: secondary-pci-\\x1b\\x9c: Xen does not know this property"));
    run("map", NULL, blob, fdt_totalsize(blob));
    assert_null(strchr(result.output, '\x1b'));
}

static void names_and_strings_of_1_mib(void **state)
{
    char *name = malloc(1024 * 1024 + 1);

    (void)state;
    assert_non_null(name);
    memset(name, 'n', 1024 * 1024);
    name[1024 * 1024] = '\0';
    memcpy(name, "secondary-pci-", 14);
    begin_chosen();
    name[0] = '/';
    put("stdout-path", name, 1024 * 1024 + 1);
    name[0] = 's';
    put_domain(name);
    put_bridge(BRIDGE_PROPERTY, 8);
    put(name, name, 1024 * 1024 + 1);
    put("xen,enhanced", name, 1024 * 1024);
    assert_refused(blob, finish_tree(), BRIDGE_PROPERTY ": flags 0x8");
    assert_true(strlen(result.errors) < 16384);
    free(name);
}

static void many_properties(void **state)
{
    (void)state;
    begin_domain();
    for (unsigned int i = 0; i < 200000; i++) {
        put("cpus", "", 0);
    }
    put_bridge(BRIDGE_PROPERTY, 8);
    assert_refused(blob, finish_tree(), "/chosen/domU1: " BRIDGE_PROPERTY ": flags 0x8");
}

static void alias_of_itself(void **state)
{
    (void)state;
    begin_tree();
    begin_node("aliases");
    put("serial0", "serial0", 8);
    end_node();
    begin_node("chosen");
    put("stdout-path", "serial0:1", 10);
    run("check", NULL, blob, finish_tree());
    assert_int_equal(result.status, 0);
}

static void stdout_path_is_no_string(void **state)
{
    static const char *const values[] = {"", "abc", "/nonexistent", ":", "/"};
    static const size_t lengths[] = {0, 3, 13, 2, 2};

    (void)state;
    for (size_t i = 0; i < 5; i++) {
        begin_chosen();
        put("stdout-path", values[i], lengths[i]);
        run("check", NULL, blob, finish_tree());
        assert_int_equal(result.status, 0);
    }
}

static void cells_of_a_few_bytes(void **state)
{
    (void)state;
    begin_chosen();
    put("#address-cells", "\1", 1);
    put("#size-cells", "", 0);
    put_domain("domU1");
    put_bridge(BRIDGE_PROPERTY, 0);
    run("check", NULL, blob, finish_tree());
    assert_int_equal(result.status, 0);
}

static void huge_cells_for_static_and_shared_memory(void **state)
{
    (void)state;
    begin_chosen();
    put_cell("#address-cells", 0xffffffff);
    put_cell("#size-cells", 0x80000001);
    put_domain("domU1");
    put_cell("#address-cells", 0x40000000);
    put_cell("#size-cells", 0);
    put("xen,static-mem", "", 0);
    begin_node("shm@0");
    put("compatible", "xen,domain-shared-memory-v1", 28);
    put_cell("xen,shared-mem", 0);
    assert_refused(blob, finish_tree(), "xen,static-mem: #address-cells 4294967295 and #size-cells 2147483649 of the "
                                        "parent node must each be 1 or 2");
    assert_non_null(strstr(result.errors, "/chosen/domU1/shm@0: xen,shared-mem: #address-cells 1073741824"));
}

static void map_of_overlaps_marks_them(void **state)
{
    const fdt32_t cells[12] = {0, cpu_to_fdt32(0x10000000), cpu_to_fdt32(0x1000000), 0, cpu_to_fdt32(0x46000000),
                               cpu_to_fdt32(0x2000000), 0, 0, 0, cpu_to_fdt32(44), cpu_to_fdt32(4), 0};

    (void)state;
    begin_domain();
    put(BRIDGE_PROPERTY, cells, sizeof(cells));
    run("map", NULL, blob, finish_tree());
    assert_int_equal(result.status, 1);
    assert_non_null(strstr(result.output, "! 0x0000046000000 - 0x0000047fdffff"));
    run("node", "domU1", blob, fdt_totalsize(blob));
    assert_int_equal(result.status, 1);
    assert_string_equal(result.output, "");
}

int main(int count, char **arguments)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(empty_file),
        cmocka_unit_test(every_truncation),
        cmocka_unit_test(wrong_magic),
        cmocka_unit_test(total_size_lies),
        cmocka_unit_test(offsets_and_sizes_lie),
        cmocka_unit_test(wrong_version),
        cmocka_unit_test(every_byte_corrupted),
        cmocka_unit_test(larger_than_the_limit),
        cmocka_unit_test(not_a_device_tree),
        cmocka_unit_test(deep_nesting),
        cmocka_unit_test(no_chosen),
        cmocka_unit_test(no_gic_is_a_warning),
        cmocka_unit_test(property_twice),
        cmocka_unit_test(virtio_pci_twice),
        cmocka_unit_test(fifty_thousand_bridges),
        cmocka_unit_test(one_bridge_twice),
        cmocka_unit_test(compatible_of_1_mib_and_of_no_text),
        cmocka_unit_test(huge_cells_for_a_child),
        cmocka_unit_test(two_domains_of_one_name),
        cmocka_unit_test(two_chosen_nodes),
        cmocka_unit_test(too_many_domains),
        cmocka_unit_test(too_many_ranges),
        cmocka_unit_test(names_that_are_no_text),
        cmocka_unit_test(names_and_strings_of_1_mib),
        cmocka_unit_test(many_properties),
        cmocka_unit_test(alias_of_itself),
        cmocka_unit_test(stdout_path_is_no_string),
        cmocka_unit_test(cells_of_a_few_bytes),
        cmocka_unit_test(huge_cells_for_static_and_shared_memory),
        cmocka_unit_test(map_of_overlaps_marks_them),
    };
    FILE *file = count > 2 ? fopen(arguments[count - 1], "rb") : NULL;

    blob = malloc(BLOB_MAX);
    if (file == NULL || blob == NULL) {
        return 99;
    }
    tool = arguments[1];
    good_size = fread(good, 1, sizeof(good), file);
    fclose(file);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
