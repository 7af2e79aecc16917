/* SPDX-License-Identifier: BSD-2-Clause */
/* The command line: help, usage errors, standard input, what node and map print, and exit statuses. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "process.h"

static char *tool;
static char **trees;
static int tree_count;
static struct process_result result;

/* A good tree's file by its name. */
static char *tree(const char *name)
{
    for (int i = 0; i < tree_count; i++) {
        const char *base = strrchr(trees[i], '/');

        if (strcmp(base != NULL ? base + 1 : trees[i], name) == 0) {
            return trees[i];
        }
    }
    fail_msg("no tree %s", name);
    return NULL;
}

static void run(char *first, char *second, char *third, char *fourth, char *fifth)
{
    char *const arguments[] = {tool, first, second, third, fourth, fifth, NULL};

    process_run(arguments, NULL, 0, &result);
}

static void assert_contains(const char *text, const char *part)
{
    if (strstr(text, part) == NULL) {
        fail_msg("\"%s\" is not in:\n%s", part, text);
    }
}

static void help_and_version(void **state)
{
    (void)state;
    run("--help", NULL, NULL, NULL, NULL);
    assert_int_equal(result.status, 0);
    assert_contains(result.output, "usage: sidebridge");
    run("--version", NULL, NULL, NULL, NULL);
    assert_int_equal(result.status, 0);
    assert_contains(result.output, "sidebridge 0.");
}

static void help_of_each_command(void **state)
{
    char *const names[] = {"check", "node", "map", "picture", "qemu-args"};

    (void)state;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        char usage[64];

        snprintf(usage, sizeof(usage), "usage: sidebridge %s", names[i]);
        run(names[i], "--help", NULL, NULL, NULL);
        assert_int_equal(result.status, 0);
        assert_contains(result.output, usage);
        assert_string_equal(result.errors, "");
    }
}

static void usage_errors(void **state)
{
    (void)state;
    run(NULL, NULL, NULL, NULL, NULL);
    assert_int_equal(result.status, 2);
    run("frobnicate", NULL, NULL, NULL, NULL);
    assert_int_equal(result.status, 2);
    assert_contains(result.errors, "there is no command 'frobnicate'");
    run("check", NULL, NULL, NULL, NULL);
    assert_int_equal(result.status, 2);
    assert_contains(result.errors, "an operand is missing");
    run("node", tree("good-plain.dtb"), NULL, NULL, NULL);
    assert_int_equal(result.status, 2);
    run("map", "a", "b", "c", NULL);
    assert_int_equal(result.status, 2);
    assert_contains(result.errors, "too many operands");
    run("check", "--frobnicate", "a", NULL, NULL);
    assert_int_equal(result.status, 2);
    run("check", "-O", "dtb", "a", NULL);
    assert_int_equal(result.status, 2);
    run("node", "-O", "elf", "a", "b");
    assert_int_equal(result.status, 2);
    run("node", "--bridge", "0", "a", "b");
    assert_int_equal(result.status, 2);
    assert_contains(result.errors, "unrecognized option '--bridge'");
    run("qemu-args", "--bridge=4", "a", "b", NULL);
    assert_int_equal(result.status, 2);
    assert_contains(result.errors, "--bridge takes a number from 0 to 3");
}

static void address_bits_out_of_range(void **state)
{
    char *const wrong[] = {"31", "53", "-40", "40x", "", "99999999999999999999"};

    (void)state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        run("check", "--address-bits", wrong[i], tree("good-plain.dtb"), NULL);
        assert_int_equal(result.status, 2);
        assert_contains(result.errors, "from 32 to 52");
    }
}

static void address_bits_decide(void **state)
{
    (void)state;
    run("check", "-a", "38", tree("good-full.dtb"), NULL);
    assert_int_equal(result.status, 1);
    assert_contains(result.errors, "prefetch_address 0x4000000000: the window must end at or below the guest's last "
                                   "physical address 0x3fffffffff");
    run("check", "-a", "39", tree("good-full.dtb"), NULL);
    assert_int_equal(result.status, 0);
}

static void several_files_and_one_that_is_missing(void **state)
{
    (void)state;
    run("check", tree("good-plain.dtb"), "/nonexistent/file", tree("good-full.dtb"), NULL);
    assert_int_equal(result.status, 1);
    assert_string_equal(result.errors, "/nonexistent/file: cannot be opened: No such file or directory\n");
    assert_contains(result.output, "good-full.dtb: 1 domain, 1 with a bridge; 0 errors, 0 warnings, 0 notes");
}

static void a_directory_is_not_a_file(void **state)
{
    (void)state;
    run("check", "/", NULL, NULL, NULL);
    assert_int_equal(result.status, 1);
    assert_string_equal(result.errors, "/: cannot be read: Is a directory\n");
}

static void standard_input(void **state)
{
    static uint8_t blob[65536];
    char *const arguments[] = {tool, "check", "-", NULL};
    FILE *file = fopen(tree("good-plain.dtb"), "rb");
    size_t size;

    (void)state;
    assert_non_null(file);
    size = fread(blob, 1, sizeof(blob), file);
    fclose(file);
    process_run(arguments, blob, size, &result);
    assert_int_equal(result.status, 0);
    assert_string_equal(result.output, "<stdin>: 1 domain, 1 with a bridge; 0 errors, 0 warnings, 0 notes\n");
}

/* What a shell makes of a script in which $0 is the tool, $1 and $2 are the files of two good trees. */
static void run_script(char *script)
{
    char *const arguments[] = {"/bin/sh", "-c", script, tool, tree("good-plain.dtb"), tree("good-full.dtb"), NULL};

    process_run(arguments, NULL, 0, &result);
}

/* Nobody can tell how much will come, and it does not come at once. */
static void input_from_a_pipe(void **state)
{
    (void)state;
    run_script("{ head -c 99 \"$1\"; sleep 0.2; tail -c +100 \"$1\"; } | \"$0\" check -");
    assert_int_equal(result.status, 0);
    assert_string_equal(result.output, "<stdin>: 1 domain, 1 with a bridge; 0 errors, 0 warnings, 0 notes\n");
    run_script("work=$(mktemp -d) && mkfifo \"$work/pipe\" && { cat \"$1\" > \"$work/pipe\" & } && "
               "\"$0\" check \"$work/pipe\"; status=$?; rm -r \"$work\"; exit $status");
    assert_int_equal(result.status, 0);
    assert_contains(result.output, "/pipe: 1 domain, 1 with a bridge; 0 errors, 0 warnings, 0 notes\n");
    run_script("head -c 99 \"$1\" | \"$0\" check -");
    assert_int_equal(result.status, 1);
    assert_contains(result.errors, "<stdin>: truncated");
}

static void input_without_an_end(void **state)
{
    (void)state;
    run("check", "/dev/zero", NULL, NULL, NULL);
    assert_int_equal(result.status, 1);
    assert_contains(result.errors, "/dev/zero: larger than 16 MiB");
    run_script("\"$0\" check - < /dev/zero");
    assert_int_equal(result.status, 1);
}

static void source_instead_of_a_blob(void **state)
{
    char *const arguments[] = {tool, "check", "-", NULL};
    const char *const sources[] = {"/dts-v1/;\n/ { };\n", "\n\n/* a comment */ /dts-v1/;", "// a comment\n"};

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        process_run(arguments, sources[i], strlen(sources[i]), &result);
        assert_int_equal(result.status, 1);
        assert_string_equal(result.errors, "<stdin>: this is the source of a device tree; compile it first: dtc -I "
                                           "dts -O dtb\n");
    }
}

static void node_by_name_path_and_number(void **state)
{
    char *const names[] = {"domU2", "/chosen/domU2", "2"};
    static char first[PROCESS_TEXT_MAX];

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        run("node", tree("good-two-domains.dtb"), names[i], NULL, NULL);
        assert_int_equal(result.status, 0);
        assert_contains(result.output, "memory@40000000");
        assert_contains(result.output, "reg = <0x0 0x40000000 0x0 0x4000000>");
        if (i == 0) {
            strcpy(first, result.output);
        }
        assert_string_equal(result.output, first);
    }
}

static void node_of_nobody(void **state)
{
    (void)state;
    run("node", tree("good-plain.dtb"), "domU9", NULL, NULL);
    assert_int_equal(result.status, 1);
    assert_contains(result.errors, "there is no domain \"domU9\"");
    assert_string_equal(result.output, "");
    run("node", tree("good-typo.dtb"), "domU1", NULL, NULL);
    assert_int_equal(result.status, 1);
    assert_contains(result.errors, "/chosen/domU1: the domain has no bridge (secondary-emulated-pci-host-bridge)");
}

/* What a terminal would obey comes back as text. */
static void operands_that_are_no_text(void **state)
{
    static char name[100001];

    (void)state;
    memset(name, 0x9c, sizeof(name) - 1);
    run("node", tree("good-plain.dtb"), "dom\x1b[2J\xff\n", NULL, NULL);
    assert_int_equal(result.status, 1);
    assert_contains(result.errors, "there is no domain \"dom\\x1b[2J\\xff\\x0a\"");
    run("map", tree("good-plain.dtb"), name, NULL, NULL);
    assert_int_equal(result.status, 1);
    assert_null(strchr(result.errors, '\x9c'));
    assert_true(strlen(result.errors) < 16384);
    run("check", "no\x1b[2Jsuch\xff", NULL, NULL, NULL);
    assert_int_equal(result.status, 1);
    assert_string_equal(result.errors, "no\\x1b[2Jsuch\\xff: cannot be opened: No such file or directory\n");
}

static void node_prints_the_bridge(void **state)
{
    (void)state;
    run("node", tree("good-full.dtb"), "domU1", NULL, NULL);
    assert_int_equal(result.status, 0);
    assert_contains(result.output, "/dts-v1/;");
    assert_contains(result.output, "interrupt_controller: interrupt-controller@3001000 {");
    assert_contains(result.output, "compatible = \"pci-host-ecam-generic\";");
    assert_contains(result.output, "<0x43000000 0x40 0x0 0x40 0x0 0x1 0x0>;");
    assert_contains(result.output, "iommu-map = <0x0 &iommu_0 0x0 0x1>;");
    assert_contains(result.output, "<0x1800 0x0 0x0 0x4 &interrupt_controller 0x0 0xe 0x4>;");
    assert_contains(result.output, "msi-parent = <&v2m>;");
    run("node", tree("good-gicv2.dtb"), "domU1", NULL, NULL);
    assert_contains(result.output, "compatible = \"arm,gic-400\";");
}

/* What Xen 4.17 does not write into the guest's tree is not printed for it. */
static void node_of_each_version(void **state)
{
    (void)state;
    run("node", tree("good-full.dtb"), "domU1", NULL, NULL);
    assert_null(strstr(result.output, "redistributor-regions"));
    run("node", "--xen=4.22", tree("good-full.dtb"), "domU1", NULL);
    assert_contains(result.output, "#redistributor-regions = <0x1>;");
    run("node", "--xen=4.22", tree("good-gicv2.dtb"), "domU1", NULL);
    assert_null(strstr(result.output, "redistributor-regions"));
}

static void map_draws_ranges_holes_and_interrupts(void **state)
{
    (void)state;
    run("map", tree("good-full.dtb"), NULL, NULL, NULL);
    assert_int_equal(result.status, 0);
    assert_contains(result.output, "domain 1 /chosen/domU1, GICv3\n");
    assert_contains(result.output, "  0x0000000000000 - 0x0000001ffffff       32 MiB  -\n");
    assert_contains(result.output, "* 0x0000010000000 - 0x0000010ffffff       16 MiB  bridge: ECAM\n");
    assert_contains(result.output, "* 0x0000034000000 - 0x0000035fdffff     31.9 MiB  bridge: memory\n");
    assert_contains(result.output, "* 0x0000035fe0000 - 0x0000035feffff       64 KiB  bridge: v2m frame\n");
    assert_contains(result.output, "* 0x0000035ff0000 - 0x0000035ffffff       64 KiB  bridge: status page\n");
    assert_contains(result.output, "  0x0000022000000 - 0x0000022000fff        4 KiB  vpl011\n");
    assert_contains(result.output, "  0x0000038000000 - 0x0000038ffffff       16 MiB  the grant table\n");
    assert_contains(result.output, "  0x0000040000000 - 0x0000047ffffff      128 MiB  guest RAM\n");
    assert_contains(result.output, "* 0x0004000000000 - 0x00040ffffffff        4 GiB  bridge: prefetchable memory\n");
    assert_contains(result.output, "  0x0004100000000 - 0x000ffffffffff      764 GiB  -\n");
    assert_contains(result.output, "interrupts 44-47: INTA to INTD\n");
    assert_contains(result.output, "interrupts 48-63: 16 MSI vectors\n");
    assert_contains(result.output, "16 buses, flags: GRANTS HOLD (30000 ms)\n");
}

static void node_prints_all_bridges_with_numbers_of_their_own(void **state)
{
    (void)state;
    run("node", tree("good-four-bridges.dtb"), "domU1", NULL, NULL);
    assert_int_equal(result.status, 0);
    /* The domain's own first: it takes the GIC's phandle + 1 and + 2, pci domain 0, and has no grants. */
    assert_contains(result.output, "pcie@10000000");
    assert_contains(result.output, "v2m_35fe0000: v2m@35fe0000");
    assert_contains(result.output, "phandle = <0xfde9>;");
    assert_contains(result.output, "msi-parent = <&v2m_35fe0000>;");
    assert_contains(result.output, "linux,pci-domain = <0x0>;");
    assert_null(strstr(result.output, "iommu-0"));
    assert_contains(result.output, "pcie@60000000");
    assert_contains(result.output, "v2m_63fe0000: v2m@63fe0000");
    assert_contains(result.output, "phandle = <0xfdeb>;");
    assert_contains(result.output, "iommu_1: iommu-1 {");
    assert_contains(result.output, "phandle = <0xfdec>;");
    assert_contains(result.output, "iommu-map = <0x0 &iommu_1 0x0 0x1>;");
    assert_contains(result.output, "linux,pci-domain = <0x1>;");
    assert_contains(result.output, "pcie@80000000");
    assert_contains(result.output, "phandle = <0xfdee>;");
    assert_contains(result.output, "iommu-map = <0x0 &iommu_2 0x3 0x1>;");
    assert_contains(result.output, "linux,pci-domain = <0x2>;");
    assert_contains(result.output, "/* 0x70000000-0x70000fff: plain range; its nodes are yours, in the partial device "
                                   "tree */\n/* its interrupts 100-100 are SPIs 68-68 in a device tree */\n/dts-v1/;");
    assert_null(strstr(result.output, "@70000000"));
}

static void node_of_plain_ranges_alone(void **state)
{
    (void)state;
    run("node", tree("good-mmio-two-ranges.dtb"), "domU1", NULL, NULL);
    assert_int_equal(result.status, 0);
    assert_contains(result.output, "/* 0x70000000-0x70000fff: plain range;");
    assert_contains(result.output, "/* 0x100000000-0x1001fffff: plain range;");
    assert_null(strstr(result.output, "interrupts"));
    assert_null(strstr(result.output, "pci"));
}

static void map_draws_all_bridges(void **state)
{
    (void)state;
    run("map", tree("good-four-bridges.dtb"), NULL, NULL, NULL);
    assert_int_equal(result.status, 0);
    assert_contains(result.output, "* 0x0000010000000 - 0x0000010ffffff       16 MiB  bridge 0: ECAM\n");
    assert_contains(result.output, "* 0x0000060000000 - 0x0000060ffffff       16 MiB  bridge 1: ECAM\n");
    assert_contains(result.output, "* 0x0000080000000 - 0x00000800fffff        1 MiB  bridge 2: ECAM\n");
    assert_contains(result.output, "* 0x0000070000000 - 0x0000070000fff        4 KiB  bridge 3: plain range\n");
    assert_contains(result.output, "  bridge 0 /chosen/domU1\n  interrupts 44-47: INTA to INTD\n"
                                   "  interrupts 48-63: 16 MSI vectors\n  16 buses, flags: none\n"
                                   "  bridge 1 /chosen/domU1/bridge@60000000\n  interrupts 64-67: INTA to INTD\n"
                                   "  interrupts 68-71: 4 MSI vectors\n  16 buses, flags: GRANTS\n"
                                   "  bridge 2 /chosen/domU1/bridge@80000000\n  interrupts 72-75: INTA to INTD\n"
                                   "  1 bus, flags: GRANTS, back end: domain 3\n"
                                   "  bridge 3 /chosen/domU1/uart@70000000\n  interrupts 100-100\n"
                                   "  plain ranges, flags: none\n");
}

static void map_of_plain_ranges_alone(void **state)
{
    (void)state;
    run("map", tree("good-mmio-two-ranges.dtb"), NULL, NULL, NULL);
    assert_int_equal(result.status, 0);
    assert_contains(result.output, "* 0x0000070000000 - 0x0000070000fff        4 KiB  bridge: plain range\n");
    assert_contains(result.output, "* 0x0000100000000 - 0x00001001fffff        2 MiB  bridge: second plain range\n");
    assert_null(strstr(result.output, "interrupts"));
    assert_null(strstr(result.output, "status page"));
}

static void map_of_one_of_two_domains(void **state)
{
    (void)state;
    run("map", tree("good-two-domains.dtb"), NULL, NULL, NULL);
    assert_contains(result.output, "domain 1 /chosen/domU1");
    assert_contains(result.output, "\n\ndomain 2 /chosen/domU2");
    run("map", tree("good-two-domains.dtb"), "domU2", NULL, NULL);
    assert_null(strstr(result.output, "domU1"));
    run("map", tree("good-two-domains.dtb"), "3", NULL, NULL);
    assert_int_equal(result.status, 1);
}

static void qemu_args_of_a_bridge(void **state)
{
    (void)state;
    run("qemu-args", tree("good-virtio-pci.dtb"), "domU1", NULL, NULL);
    assert_int_equal(result.status, 0);
    assert_string_equal(result.errors, "");
    /* The memory window is without its service area. */
    assert_string_equal(result.output, "-M xenpvh,pci-ecam-base=0x10000000,pci-ecam-size=0x10000000,"
                                       "pci-mmio-base=0x23000000,pci-mmio-size=0x1fe0000,"
                                       "pci-mmio-high-base=0x100000000,pci-mmio-high-size=0x100000000,"
                                       "pci-intx-irq-base=44\n-m 131072k -smp 1\n-xen-domid 1 -xen-attach\n");
    run("qemu-args", tree("good-direct-map-qemu.dtb"), "domU1", NULL, NULL);
    assert_int_equal(result.status, 0);
    assert_string_equal(result.output, "-M xenpvh,ram-low-base=0x40000000,ram-low-size=0x2000000,"
                                       "ram-high-base=0x80000000,ram-high-size=0x8000000,"
                                       "pci-ecam-base=0x10000000,pci-ecam-size=0x10000000,"
                                       "pci-mmio-base=0x22000000,pci-mmio-size=0xe0000,pci-intx-irq-base=44\n"
                                       "-m 163840k -smp 3\n-xen-domid 1 -xen-attach\n");
}

static void qemu_args_refused(char *name, char *option, const char *message)
{
    run("qemu-args", option, tree(name), "domU1", NULL);
    assert_int_equal(result.status, 1);
    assert_string_equal(result.output, "");
    assert_contains(result.errors, message);
}

static void qemu_args_of_what_qemu_cannot_serve(void **state)
{
    (void)state;
    qemu_args_refused("good-full.dtb", "-a40", "good-full.dtb: /chosen/domU1: secondary-emulated-pci-host-bridge: "
                      "ecam_size 0x1000000: QEMU serves 0x10000000 (256 MiB, 256 buses) only; make it that large\n");
    qemu_args_refused("good-mmio.dtb", "-a40", "plain ranges; QEMU serves a PCI host bridge only\n");
    qemu_args_refused("good-typo.dtb", "-a40", "/chosen/domU1: the domain has no bridge");
    qemu_args_refused("good-four-bridges.dtb", "-a40", "the domain has 4 bridges; choose one by --bridge 0 to 3\n");
    qemu_args_refused("good-four-bridges.dtb", "--bridge=2", "/chosen/domU1/bridge@80000000: "
                      "xen,ioreq-pci-host-bridge: ecam_size 0x100000: QEMU serves ");
    qemu_args_refused("good-four-bridges.dtb", "--bridge=3", "/chosen/domU1/uart@70000000: xen,ioreq-mmio: plain");
    qemu_args_refused("good-virtio-pci.dtb", "--bridge=1", "the domain has no bridge 1; its last one is 0\n");
    qemu_args_refused("good-two-bridges-qemu.dtb", "-b1", "/chosen/domU1/bridge@60000000: xen,ioreq-pci-host-bridge: "
                      "QEMU claims its functions on the domain's bridge 0; make this one that\n");
    run("qemu-args", "-b0", tree("good-two-bridges-qemu.dtb"), "domU1", NULL);
    assert_int_equal(result.status, 0);
    run("qemu-args", "-b1", tree("good-two-bridges-qemu.dtb"), "domU2", NULL);
    assert_int_equal(result.status, 0);
    assert_contains(result.output, "pci-ecam-base=0x60000000");
    run("qemu-args", tree("good-virtio-pci.dtb"), "domU9", NULL, NULL);
    assert_int_equal(result.status, 1);
    assert_contains(result.errors, "there is no domain \"domU9\"");
}

static void output_that_cannot_be_written(void **state)
{
    char *const texts[] = {"--help", "--version", "check --help"};
    char command[4096];

    (void)state;
    snprintf(command, sizeof(command), "'%s' node '%s' domU1 > /dev/full 2> /dev/null", tool,
             tree("good-plain.dtb"));
    assert_int_equal(WEXITSTATUS(system(command)), 1);
    snprintf(command, sizeof(command), "'%s' check '%s' > /dev/full 2> /dev/null", tool, tree("good-plain.dtb"));
    assert_int_equal(WEXITSTATUS(system(command)), 1);
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        snprintf(command, sizeof(command), "test \"$('%s' %s 2>&1 > /dev/full)\" = "
                 "'sidebridge: standard output: No space left on device'", tool, texts[i]);
        assert_int_equal(WEXITSTATUS(system(command)), 0);
        snprintf(command, sizeof(command), "'%s' %s > /dev/full 2> /dev/null", tool, texts[i]);
        assert_int_equal(WEXITSTATUS(system(command)), 1);
    }
}

/* Also where the file that is read gets the descriptor of what is written to. */
static void output_that_is_read_only_or_closed(void **state)
{
    char *const scripts[] = {
        "\"$0\" node \"$1\" domU1 1< \"$2\"", "\"$0\" map \"$1\" 1< \"$2\"", "\"$0\" check \"$1\" 1< \"$2\"",
        "\"$0\" node \"$1\" domU1 >&-",      "\"$0\" map \"$1\" >&-",      "\"$0\" check \"$1\" >&-",
        "\"$0\" node \"$1\" domU1 <&- >&- 2>&-",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(scripts) / sizeof(scripts[0]); i++) {
        run_script(scripts[i]);
        assert_int_equal(result.status, 1);
        assert_string_equal(result.output, "");
    }
    run("check", tree("good-plain.dtb"), tree("good-full.dtb"), NULL, NULL);
    assert_int_equal(result.status, 0);
}

int main(int count, char **arguments)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(help_and_version),
        cmocka_unit_test(help_of_each_command),
        cmocka_unit_test(usage_errors),
        cmocka_unit_test(address_bits_out_of_range),
        cmocka_unit_test(address_bits_decide),
        cmocka_unit_test(several_files_and_one_that_is_missing),
        cmocka_unit_test(a_directory_is_not_a_file),
        cmocka_unit_test(standard_input),
        cmocka_unit_test(input_from_a_pipe),
        cmocka_unit_test(input_without_an_end),
        cmocka_unit_test(source_instead_of_a_blob),
        cmocka_unit_test(node_by_name_path_and_number),
        cmocka_unit_test(node_of_nobody),
        cmocka_unit_test(operands_that_are_no_text),
        cmocka_unit_test(node_prints_the_bridge),
        cmocka_unit_test(node_of_each_version),
        cmocka_unit_test(map_draws_ranges_holes_and_interrupts),
        cmocka_unit_test(node_prints_all_bridges_with_numbers_of_their_own),
        cmocka_unit_test(node_of_plain_ranges_alone),
        cmocka_unit_test(map_draws_all_bridges),
        cmocka_unit_test(map_of_plain_ranges_alone),
        cmocka_unit_test(map_of_one_of_two_domains),
        cmocka_unit_test(qemu_args_of_a_bridge),
        cmocka_unit_test(qemu_args_of_what_qemu_cannot_serve),
        cmocka_unit_test(output_that_cannot_be_written),
        cmocka_unit_test(output_that_is_read_only_or_closed),
    };

    if (count < 3) {
        return 99;
    }
    tool = arguments[1];
    trees = arguments + 2;
    tree_count = count - 2;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
