/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The same thing said on the command line and in a file is the same thing; and what comes of both together. The files
 * are those of the directory that is the argument; what is told of wrong ones is tested by config-file.sh.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "command_line.h"
#include "devices/blk.h"
#include "devices/rng.h"

#define WORDS 32u

static const char *directory;

/* Up to WORDS words, of which FILE.ini is one of the directory. */
static enum command_line_result parse(struct command_line *line, const char *words)
{
    static char text[1000], path[500];
    char *argv[WORDS] = { NULL }, *rest = text;
    int argc = 0;

    *line = (struct command_line){ 0 };
    (void)snprintf(text, sizeof(text), "sidebridge-dm %s", words);
    while ((argv[argc] = strsep(&rest, " "))) {
        if (strstr(argv[argc], ".ini")) {
            (void)snprintf(path, sizeof(path), "%s/%s", directory, argv[argc]);
            argv[argc] = path;
        }
        argc++;
        assert_true(argc < (int)WORDS);
    }
    optind = 0;
    return command_line_parse(line, argc, argv);
}

static const struct blk_options *blk(const struct command_line *line, unsigned int place)
{
    assert_ptr_equal(line->model.device[place].kind, &blk_kind);
    return line->model.device[place].options;
}

static const struct rng_options *rng(const struct command_line *line, unsigned int place)
{
    assert_ptr_equal(line->model.device[place].kind, &rng_kind);
    return line->model.device[place].options;
}

/* good-everything.ini, or the same on a command line. */
static void check_everything(const struct command_line *line)
{
    const struct model_options *model = &line->model;

    assert_int_equal(model->domain, 3);
    assert_int_equal(model->bridge, 1);
    assert_false(model->msix);
    assert_int_equal(model->poll_us, 50);
    assert_true(model->shared);
    assert_int_equal(model->map_limit, 64u << 20);
    assert_true(model->sandbox);
    assert_true(model->sandbox_required);
    assert_int_equal(model->user, 4711);
    assert_false(line->verbose);
    assert_null(model->state);

    assert_int_equal(model->device_count, 4);
    assert_string_equal(model->device[0].name, "root");
    assert_string_equal(blk(line, 0)->path, "/dev/disk/root, with a comma=and more");
    assert_true(blk(line, 0)->read_only);
    assert_null(blk(line, 0)->id);
    assert_int_equal(model->device[0].number, 5);
    assert_null(model->device[1].name);
    assert_int_equal(rng(line, 1)->rate, 0);
    assert_string_equal(model->device[2].name, "slow.one");
    assert_int_equal(rng(line, 2)->rate, 64);
    assert_string_equal(model->device[3].name, "data_2");
    assert_string_equal(blk(line, 3)->path, "data.img");
    assert_string_equal(blk(line, 3)->id, "serial");
    assert_false(blk(line, 3)->read_only);
}

static void test_file_says_the_same_as_command_line(void **state)
{
    char path[] = "--blk=/dev/disk/root,, with a comma=and more,name=root,readonly,addr=5";
    char *argv[] = { "sidebridge-dm", "--domain=3", "--bridge=1", "--no-msix", "--poll-us=50", "--share",
                     "--map-limit=64", "--sandbox=require", "--user=4711", path, "--rng", (char[]){ "--rng=name=slow.one,rate=64" },
                     (char[]){ "--blk=data.img,name=data_2,id=serial" }, NULL };
    struct command_line line = { 0 };

    (void)state;
    assert_int_equal(parse(&line, "--config good-everything.ini"), COMMAND_LINE_SERVE);
    check_everything(&line);
    command_line_finish();
    line = (struct command_line){ 0 };
    optind = 0;
    assert_int_equal(command_line_parse(&line, sizeof(argv) / sizeof(argv[0]) - 1, argv), COMMAND_LINE_SERVE);
    check_everything(&line);
    command_line_finish();
}

/* Its values count, before and behind the file, flags included. */
static void test_command_line_wins(void **state)
{
    static const char *const words[] = {
        "--domain 7 --no-msix=off --sandbox off --config good-everything.ini",
        "--config good-everything.ini --domain 7 --no-msix=off --sandbox off",
        "--domain 7 --config good-everything.ini --no-msix=off --sandbox off",
    };

    (void)state;
    for (unsigned int i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        struct command_line line;

        assert_int_equal(parse(&line, words[i]), COMMAND_LINE_SERVE);
        assert_int_equal(line.model.domain, 7);
        assert_true(line.model.msix);
        assert_false(line.model.sandbox);
        assert_int_equal(line.model.bridge, 1);
        command_line_finish();
    }
}

static void test_devices_of_both_in_order(void **state)
{
    struct command_line line;

    (void)state;
    assert_int_equal(parse(&line, "--blk first --config good-everything.ini --blk last"), COMMAND_LINE_SERVE);
    assert_int_equal(line.model.device_count, 6);
    assert_string_equal(blk(&line, 0)->path, "first");
    assert_string_equal(line.model.device[1].name, "root");
    assert_string_equal(blk(&line, 5)->path, "last");
    command_line_finish();
}

static void test_other_line_ends(void **state)
{
    static const char *const words[] = { "--config good-windows.ini", "--config good-no-newline.ini" };

    (void)state;
    for (unsigned int i = 0; i < 2; i++) {
        struct command_line line;

        assert_int_equal(parse(&line, words[i]), COMMAND_LINE_SERVE);
        assert_int_equal(line.model.domain, 1);
        assert_string_equal(blk(&line, 0)->path, "a.img");
        command_line_finish();
    }
}

/* Nothing is left of what was wrong. */
static void test_good_after_bad(void **state)
{
    static const char *const words[] = {
        "--config bad-settings.ini", "--config bad-titles.ini", "--config bad-many-devices.ini", "--config none.ini",
    };

    (void)state;
    for (unsigned int i = 0; i < 4; i++) {
        struct command_line line;

        assert_int_equal(parse(&line, words[i]), COMMAND_LINE_WRONG);
        command_line_finish();
        assert_int_equal(parse(&line, "--config good-everything.ini"), COMMAND_LINE_SERVE);
        check_everything(&line);
        command_line_finish();
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_file_says_the_same_as_command_line),
        cmocka_unit_test(test_command_line_wins),
        cmocka_unit_test(test_devices_of_both_in_order),
        cmocka_unit_test(test_other_line_ends),
        cmocka_unit_test(test_good_after_bad),
    };

    if (argc != 2) {
        return 2;
    }
    directory = argv[1];
    return cmocka_run_group_tests_name("configuration file", tests, NULL, NULL);
}
