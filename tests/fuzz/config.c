/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Fuzz target "config": an arbitrary configuration file. Either it is refused, or what comes of it keeps every rule that
 * the model and its devices rely on.
 */
#include <assert.h>
#include <ctype.h>
#include <getopt.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "command_line.h"

static void check_text(const char *text)
{
    for (; *text != '\0'; text++) {
        assert(!iscntrl((unsigned char)*text) || *text == '\t');
    }
}

static void check_number(const struct setting *setting, unsigned int number)
{
    assert(number == 0 || (number >= setting->least && number <= setting->most)); /* 0: was not said */
}

static void check_settings(const struct settings *settings, const void *options)
{
    assert(!settings_missing(settings, options));
    for (unsigned int i = 0; i < settings->count; i++) {
        const struct setting *setting = &settings->setting[i];
        const void *value = (const char *)options + setting->offset;

        if (setting->type == SETTING_TEXT && *(const char *const *)value) {
            check_text(*(const char *const *)value);
            assert(**(const char *const *)value != '\0');
        } else if (setting->type == SETTING_NUMBER) {
            check_number(setting, *(const unsigned int *)value);
        } else if (setting->type == SETTING_FLAG) {
            assert(*(const unsigned char *)value <= 1);
        }
    }
}

static void check_devices(const struct model_options *model)
{
    assert(model->device_count <= MODEL_DEVICES_MAX);
    for (unsigned int i = 0; i < model->device_count; i++) {
        const struct model_device *device = &model->device[i];

        assert(device->kind && device->number <= MODEL_DEVICES_MAX);
        check_settings(&device->kind->settings, device->options);
        for (unsigned int j = 0; j < i; j++) {
            assert(!device->name || !model->device[j].name || strcmp(device->name, model->device[j].name) != 0);
            assert(!device->number || device->number != model->device[j].number);
        }
        if (device->name) {
            check_text(device->name);
            assert(*device->name != '\0');
        }
    }
}

static void check(const struct command_line *line)
{
    const struct model_options *model = &line->model;

    assert(model->domain >= 1 && model->domain < 0x7ff0 && model->bridge <= UINT16_MAX && model->poll_us <= 1000);
    assert(!model->no_ready || model->shared);
    assert(!model->shared || model->device_count > 0);
    if (model->state) {
        check_text(model->state);
    }
    check_devices(model);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static int file = -1;
    struct command_line line = { 0 };
    char path[64];
    char *argv[] = { (char[]){ "sidebridge-dm" }, (char[]){ "--config" }, path, NULL };

    if (file < 0) {
        file = memfd_create("config", 0);
    }
    if (file < 0 || ftruncate(file, 0) || pwrite(file, data, size, 0) != (ssize_t)size) {
        abort();
    }
    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", file);
    optind = 0;
    switch (command_line_parse(&line, 3, argv)) {
    case COMMAND_LINE_SERVE:
        check(&line);
        break;
    case COMMAND_LINE_WRONG:
        break;
    case COMMAND_LINE_PRINTED:
    case COMMAND_LINE_FAILED:
        abort();
    }
    command_line_finish();
    return 0;
}
