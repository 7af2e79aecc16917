/* SPDX-License-Identifier: BSD-2-Clause */
/* See start.h. Options of devices are passed on as they are, each quoted for whoever reads it. */
#include "start.h"

#include <stdlib.h>
#include <string.h>

static const char *backend_name(const struct system *system, const struct system_bridge *bridge)
{
    return bridge->backend_domain == SYSTEM_DOM0 ? "dom0"
                                                 : system_find_domain(system, bridge->backend_domain)->name;
}

/* Of a device model: its guest's, and the number of the bridge if that is not the first. */
static void make_name(const struct system_domain *domain, unsigned int index, char *name, size_t size)
{
    if (index == 0) {
        snprintf(name, size, "%s", domain->name);
    } else {
        snprintf(name, size, "%s-%u", domain->name, index);
    }
}

/* For systemd: what has a meaning inside double quotes is escaped, and so are specifiers and variables. */
static void quote_for_unit(FILE *stream, const char *word)
{
    fputc('"', stream);
    for (; *word != '\0'; word++) {
        if (*word == '"' || *word == '\\') {
            fputc('\\', stream);
        } else if (*word == '%' || *word == '$') {
            fputc(*word, stream);
        }
        if ((unsigned char)*word < ' ') {
            fprintf(stream, "\\x%02x", (unsigned char)*word);
        } else {
            fputc(*word, stream);
        }
    }
    fputc('"', stream);
}

static void quote_for_shell(FILE *stream, const char *word)
{
    fputc('\'', stream);
    for (; *word != '\0'; word++) {
        if (*word == '\'') {
            fputs("'\\''", stream);
        } else {
            fputc(*word, stream);
        }
    }
    fputc('\'', stream);
}

typedef void quote_function(FILE *stream, const char *word);

static void print_devices(FILE *stream, const struct system_bridge *bridge, quote_function *quote)
{
    struct words words;

    if (words_init(&words, bridge->devices->value, '\0') == WORDS_GOOD) {
        for (size_t i = 0; i < words.count; i++) {
            fputc(' ', stream);
            quote(stream, words.word[i]);
        }
    }
    words_finish(&words);
}

/* Disks that are block devices, which the unit's device policy has to let through. */
static void print_device_policy(FILE *stream, const struct system_bridge *bridge)
{
    struct words words;

    fputs("DevicePolicy=closed\nDeviceAllow=/dev/xen/privcmd rw\nDeviceAllow=/dev/xen/evtchn rw\n", stream);
    if ((bridge->bridge.flags & BRIDGE_FLAG_GRANTS) != 0) {
        fputs("DeviceAllow=/dev/xen/gntdev rw\n", stream);
    }
    if (words_init(&words, bridge->devices->value, '\0') == WORDS_GOOD) {
        for (size_t i = 0; i < words.count; i++) {
            const char *path = strstr(words.word[i], "/dev/");
            const char *equals = strchr(words.word[i], '=');

            if (path != NULL && (path == words.word[i] || path == equals + 1)) {
                fputs("DeviceAllow=", stream);
                for (; *path > ' ' && *path != ','; path++) {
                    fputs(*path == '%' ? "%%" : (const char[]){*path, '\0'}, stream);
                }
                fputs(" rw\n", stream);
            }
        }
    }
    words_finish(&words);
}

static void print_unit(FILE *stream, const struct system_domain *domain, unsigned int index)
{
    const struct system_bridge *bridge = &domain->bridges[index];
    char name[SYSTEM_NAME_MAX + 16];

    make_name(domain, index, name, sizeof(name));
    fprintf(stream,
            "[Unit]\n"
            "Description=Device model of domain %u (%s), bridge %u\n"
            "Documentation=man:sidebridge-dm(1)\n"
            "ConditionPathExists=/dev/xen/privcmd\n"
            "StartLimitIntervalSec=0\n"
            "\n"
            "[Service]\n"
            "Type=exec\n"
            "ExecStart=sidebridge-dm --domain %u --bridge %u --state /run/sidebridge/%s/state",
            domain->id, domain->name, index, domain->id, index, name);
    print_devices(stream, bridge, quote_for_unit);
    fprintf(stream,
            "\n"
            "Restart=on-failure\n"
            "RestartSec=100ms\n"
            "RuntimeDirectory=sidebridge/%s\n"
            "RuntimeDirectoryPreserve=restart\n",
            name);
    print_device_policy(stream, bridge);
    fputs("\n[Install]\nWantedBy=multi-user.target\n", stream);
}

static const char script_head[] =
    "#!/bin/sh\n"
    "# Starts and stops the device models of this domain, where there is no systemd: sidebridge-dm start|stop\n"
    "# One that fails is started again, and goes on where it was.\n"
    "run=/run/sidebridge\n"
    "\n"
    "serve() {\n"
    "    name=$1\n"
    "    shift\n"
    "    mkdir -p \"$run/$name\"\n"
    "    (\n"
    "        trap 'kill \"$child\"; wait \"$child\"; exit 0' TERM\n"
    "        while :; do\n"
    "            sidebridge-dm --state \"$run/$name/state\" \"$@\" &\n"
    "            child=$!\n"
    "            wait \"$child\" && exit 0\n"
    "            sleep 0.1\n"
    "        done\n"
    "    ) &\n"
    "    echo $! > \"$run/$name/pid\"\n"
    "}\n"
    "\n"
    "start() {\n"
    "    modprobe -a xen-privcmd xen-evtchn xen-gntdev 2> /dev/null\n";

static const char script_tail[] =
    "}\n"
    "\n"
    "stop() {\n"
    "    for file in \"$run\"/*/pid; do\n"
    "        [ ! -f \"$file\" ] || { kill \"$(cat \"$file\")\"; rm \"$file\"; }\n"
    "    done\n"
    "}\n"
    "\n"
    "case ${1:-start} in\n"
    "start | stop) \"${1:-start}\" ;;\n"
    "*) echo \"usage: $0 start|stop\" >&2; exit 2 ;;\n"
    "esac\n";

/* A text that is being written, and becomes a file. */
struct text {
    char *bytes;
    size_t size;
    FILE *stream;
};

static bool open_text(struct text *text)
{
    text->stream = open_memstream(&text->bytes, &text->size);
    return text->stream != NULL;
}

static bool close_text(struct text *text, struct manifest_extras *extras, const char *name, bool executable)
{
    if (fclose(text->stream) != 0) {
        free(text->bytes);
        return false;
    }
    return manifest_add(extras, name, text->bytes, text->size, executable);
}

/* Whether a bridge's device model is to be started in the domain of that name. */
static bool is_served(const struct system *system, const struct system_bridge *bridge, const char *backend)
{
    return bridge->devices != NULL && strcmp(backend_name(system, bridge), backend) == 0;
}

static bool make_units(const struct system *system, const struct system_domain *domain, const char *backend,
                       struct manifest_extras *extras, FILE *script)
{
    bool good = true;

    for (unsigned int i = 0; good && i < domain->bridge_count; i++) {
        char name[SYSTEM_NAME_MAX + 16];
        char path[BOOT_NAME_MAX];
        struct text unit;

        if (!is_served(system, &domain->bridges[i], backend)) {
            continue;
        }
        make_name(domain, i, name, sizeof(name));
        fprintf(script, "    serve %s --domain %u --bridge %u", name, domain->id, i);
        print_devices(script, &domain->bridges[i], quote_for_shell);
        fputc('\n', script);
        snprintf(path, sizeof(path), "%s/etc/systemd/system/sidebridge-dm@%s.service", backend, name);
        good = open_text(&unit);
        if (good) {
            print_unit(unit.stream, domain, i);
            good = close_text(&unit, extras, path, false);
        }
    }
    return good;
}

static bool has_device_models(const struct system *system, const char *backend)
{
    for (unsigned int i = 0; i < system->domain_count; i++) {
        for (unsigned int j = 0; j < system->domains[i].bridge_count; j++) {
            if (is_served(system, &system->domains[i].bridges[j], backend)) {
                return true;
            }
        }
    }
    return false;
}

static bool make_backend(const struct system *system, const char *backend, struct manifest_extras *extras)
{
    static const char modules[] = "xen-privcmd\nxen-evtchn\nxen-gntdev\n";
    char path[BOOT_NAME_MAX];
    struct text script;
    bool good;

    if (!has_device_models(system, backend)) {
        return true;
    }
    if (!open_text(&script)) {
        return false;
    }
    fputs(script_head, script.stream);
    good = true;
    for (unsigned int i = 0; good && i < system->domain_count; i++) {
        good = make_units(system, &system->domains[i], backend, extras, script.stream);
    }
    fputs(script_tail, script.stream);
    snprintf(path, sizeof(path), "%s/etc/init.d/sidebridge-dm", backend);
    good = close_text(&script, extras, path, true) && good;
    snprintf(path, sizeof(path), "%s/etc/modules-load.d/sidebridge.conf", backend);
    return good && manifest_add(extras, path, strdup(modules), strlen(modules), false);
}

bool start_make(const struct system *system, struct manifest_extras *extras)
{
    bool good = make_backend(system, "dom0", extras);

    for (unsigned int i = 0; good && i < system->domain_count; i++) {
        good = make_backend(system, system->domains[i].name, extras);
    }
    if (!good) {
        report_write(system->assignments->report, REPORT_ERROR, NULL, "out of memory");
    }
    return good;
}
