/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * See system.h. Here: the bridges of one domU and their devices.
 *
 *   DOMU_BRIDGE[0]=1                  a bridge of which all is chosen here
 *   DOMU_BRIDGE[0]="grants backend=domU1 ecam=1M@0x50000000 memory=32M irqs=36"
 *   DOMU_BRIDGE[0,1]=1                a second one
 *   DOMU_DEVICES[0]="--blk /srv/disk.img"
 */
#include <string.h>

#include "setting.h"

#define ECAM_SIZE       (16u * BRIDGE_BUS_SIZE)
#define MEMORY_SIZE     0x2000000u
#define INTERRUPT_COUNT (BRIDGE_INTX_COUNT + 28u)

/* TEXT is SIZE or SIZE@ADDRESS. */
static bool read_window(const char *text, struct bridge_window *window, bool *given)
{
    char size[32];
    const char *at = strchr(text, '@');
    const size_t length = at != NULL ? (size_t)(at - text) : strlen(text);

    if (length >= sizeof(size)) {
        return false;
    }
    snprintf(size, sizeof(size), "%.*s", (int)length, text);
    *given = at != NULL;
    return words_size(size, &window->size) && (at == NULL || words_size(at + 1, &window->base));
}

/* TEXT is COUNT or COUNT@FIRST. */
static bool read_interrupts(const char *text, struct system_bridge *bridge)
{
    struct bridge_window numbers = {0, 0};

    if (!read_window(text, &numbers, &bridge->interrupts_given) || numbers.size > UINT32_MAX ||
        numbers.base > UINT32_MAX) {
        return false;
    }
    bridge->bridge.interrupt_count = (uint32_t)numbers.size;
    bridge->bridge.interrupt_first = (uint32_t)numbers.base;
    return true;
}

static bool read_hold(const char *text, struct bridge *bridge)
{
    uint64_t milliseconds = 0;

    if (!words_number(text, &milliseconds) || milliseconds > UINT32_MAX) {
        return false;
    }
    bridge->hold_ms = (uint32_t)milliseconds;
    return true;
}

/* The node's name of a domain that Xen starts. */
static bool read_backend(const struct system *system, const char *text, struct system_bridge *bridge)
{
    if (strcmp(text, "dom0") == 0 && system->dom0_kernel != NULL) {
        bridge->backend_domain = SYSTEM_DOM0;
        return true;
    }
    for (unsigned int i = 0; i < system->domain_count; i++) {
        if (strcmp(text, system->domains[i].name) == 0) {
            bridge->backend_domain = system->domains[i].number;
            bridge->bridge.backend = system->domains[i].id;
            return true;
        }
    }
    return false;
}

static const char *value_of(const char *word, const char *name)
{
    const size_t length = strlen(name);

    return strncmp(word, name, length) == 0 ? word + length : NULL;
}

static void read_option(const struct system *system, const char *word, struct system_bridge *bridge)
{
    static const char *const windows[BRIDGE_WINDOWS] = {"ecam=", "memory=", "prefetch="};
    bool good = true;

    for (unsigned int i = 0; i < BRIDGE_WINDOWS; i++) {
        if (value_of(word, windows[i]) != NULL) {
            if (!read_window(value_of(word, windows[i]), &bridge->bridge.window[i], &bridge->window_given[i])) {
                assignment_report(system->assignments, bridge->from, REPORT_ERROR,
                                  "\"%.64s\" is not %sSIZE or %sSIZE@ADDRESS, such as 16M@0x10000000", word,
                                  windows[i], windows[i]);
            }
            return;
        }
    }
    if (strcmp(word, "1") == 0 || strcmp(word, "enabled") == 0 || strcmp(word, "hold") == 0) {
        return;
    }
    if (strcmp(word, "nohold") == 0) {
        bridge->bridge.hold_ms = 0;
    } else if (strcmp(word, "grants") == 0) {
        bridge->bridge.flags |= BRIDGE_FLAG_GRANTS;
    } else if (value_of(word, "hold=") != NULL) {
        good = read_hold(value_of(word, "hold="), &bridge->bridge);
    } else if (value_of(word, "irqs=") != NULL) {
        good = read_interrupts(value_of(word, "irqs="), bridge);
    } else if (value_of(word, "backend=") != NULL) {
        good = read_backend(system, value_of(word, "backend="), bridge);
    } else {
        good = false;
    }
    if (!good) {
        assignment_report(system->assignments, bridge->from, REPORT_ERROR,
                          "\"%.64s\" is none of hold, hold=MILLISECONDS, nohold, grants, backend=dom0 or the name of a "
                          "domU, ecam=, memory=, prefetch=SIZE[@ADDRESS], irqs=COUNT[@FIRST]", word);
    }
}

/* Options that compose gives itself. */
static bool is_ours(const char *option)
{
    static const char *const names[] = {"--domain", "--bridge", "--state", "--help", "--version"};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        const char *rest = value_of(option, names[i]);

        if (rest != NULL && (*rest == '\0' || *rest == '=')) {
            return true;
        }
    }
    return false;
}

/* A disk's FILE[,readonly][,id=ID][,addr=N], of which only the number matters here: no two are one. */
static void check_address(const struct system *system, const struct assignment *from, const char *disk, uint32_t *taken)
{
    const char *next = strstr(disk, ",addr=");
    uint64_t number = 0;
    char digits[8];

    if (next == NULL) {
        return;
    }
    next += strlen(",addr=");
    snprintf(digits, sizeof(digits), "%.*s", (int)strcspn(next, ",") < 7 ? (int)strcspn(next, ",") : 7, next);
    if (!words_number(digits, &number) || number < 1 || number > 31) {
        assignment_report(system->assignments, from, REPORT_ERROR, "addr=%s is not a number from 1 to 31", digits);
    } else if ((*taken & (1u << number)) != 0) {
        assignment_report(system->assignments, from, REPORT_ERROR, "addr=%s is there twice", digits);
    } else {
        *taken |= 1u << number;
    }
}

/* What is known of a device model's options: they begin with --, and a disk has a file. */
static void check_devices(const struct system *system, const struct assignment *from)
{
    uint32_t taken = 0;
    struct words words;

    if (setting_words(system->assignments, from, '\0', &words)) {
        for (size_t i = 0; i < words.count; i++) {
            const char *word = words.word[i];
            const bool is_value = i > 0 && strncmp(word, "--", 2) != 0;
            const char *disk = value_of(word, "--blk=");

            if (strcmp(word, "--blk") == 0 && i + 1 < words.count) {
                disk = words.word[i + 1];
            }
            if (strncmp(word, "--", 2) == 0 && is_ours(word)) {
                assignment_report(system->assignments, from, REPORT_ERROR, "%.32s is given by compose; take it out",
                                  word);
            } else if (!is_value && strncmp(word, "--", 2) != 0) {
                assignment_report(system->assignments, from, REPORT_ERROR,
                                  "\"%.64s\": options of sidebridge-dm are expected, such as \"--blk /srv/disk.img\"",
                                  word);
            } else if (strcmp(word, "--blk") == 0 && (disk == NULL || strncmp(disk, "--", 2) == 0)) {
                assignment_report(system->assignments, from, REPORT_ERROR, "--blk: its file is missing");
            } else if (disk != NULL && disk[0] != '/') {
                assignment_report(system->assignments, from, REPORT_WARNING,
                                  "\"%.64s\": the file's path in its back end should begin with /", disk);
            }
            if (disk != NULL) {
                check_address(system, from, disk, &taken);
            }
        }
    }
    words_finish(&words);
}

static bool is_absent(const struct assignment *from)
{
    return from == NULL || from->value[0] == '\0' || strcmp(from->value, "0") == 0;
}

/* NAME[n] for the first bridge, NAME[n,0] being the same, and NAME[n,m]. */
static const struct assignment *find(const struct system *system, const char *name, uint32_t number, uint32_t index)
{
    const struct assignment *pair = assignments_find_pair(system->assignments, name, number, index);
    const struct assignment *found = index == 0 && pair == NULL ? assignments_find(system->assignments, name, number)
                                                                : pair;

    return is_absent(found) ? NULL : found;
}

static void read_bridge(const struct system *system, struct system_domain *domain, const struct assignment *from)
{
    struct system_bridge *bridge = &domain->bridges[domain->bridge_count++];
    struct words words;

    bridge->from = from;
    bridge->backend_domain = SYSTEM_DOM0;
    bridge->bridge.ecam.size = ECAM_SIZE;
    bridge->bridge.memory.size = MEMORY_SIZE;
    bridge->bridge.interrupt_count = INTERRUPT_COUNT;
    bridge->bridge.hold_ms = BRIDGE_HOLD_MS;
    if (setting_words(system->assignments, from, '\0', &words)) {
        for (size_t i = 0; i < words.count; i++) {
            read_option(system, words.word[i], bridge);
        }
    }
    words_finish(&words);
    bridge->bridge.flags |= bridge->bridge.hold_ms != 0 ? BRIDGE_FLAG_HOLD : 0;
    if (bridge->backend_domain == SYSTEM_DOM0 && system->dom0_kernel == NULL) {
        assignment_report(system->assignments, from, REPORT_ERROR,
                          "there is no dom0 to be its back end; name one: backend=domU1");
    }
    if (bridge->backend_domain == domain->number) {
        assignment_report(system->assignments, from, REPORT_ERROR, "its back end is the domain itself");
    }
    /* Without a dom0 a domain has a grant table only if it is said, and here it is. */
    if ((bridge->bridge.flags & BRIDGE_FLAG_GRANTS) != 0 && domain->enhanced == NULL &&
        setting_find(system->assignments, "DOMU_ENHANCED", domain->number) == NULL) {
        domain->enhanced = "no-xenstore";
    }
}

void system_read_bridges(struct system *system, struct system_domain *domain)
{
    for (uint32_t i = 0; i < DOMAIN_BRIDGES_MAX; i++) {
        const struct assignment *from = find(system, "DOMU_BRIDGE", domain->number, i);
        const struct assignment *devices = find(system, "DOMU_DEVICES", domain->number, i);

        if (from != NULL) {
            read_bridge(system, domain, from);
            domain->bridges[domain->bridge_count - 1].devices = devices;
        } else if (devices != NULL) {
            char index[16] = "";

            snprintf(index, sizeof(index), i == 0 ? "" : ",%u", i);
            assignment_report(system->assignments, devices, REPORT_ERROR,
                              "there is no bridge for them; add DOMU_BRIDGE[%u%s]=1", domain->number, index);
        }
        if (devices != NULL) {
            check_devices(system, devices);
        }
    }
    for (size_t i = 0; i < system->assignments->count; i++) {
        const struct assignment *other = &system->assignments->entries[i];

        if (strcmp(other->name, "DOMU_BRIDGE") == 0 && other->index_count == 2 && other->index[0] == domain->number &&
            other->index[1] >= DOMAIN_BRIDGES_MAX) {
            assignment_report(system->assignments, other, REPORT_ERROR, "a domain has at most %u bridges, 0 to %u",
                              DOMAIN_BRIDGES_MAX, DOMAIN_BRIDGES_MAX - 1);
        }
    }
}
