/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The system that a configuration describes: every key that has an effect, read and checked for itself, with the
 * defaults of ImageBuilder. What it takes a board, a file or another guest to judge comes later.
 *
 * Texts are borrowed from the assignments, which live longer.
 */
#ifndef TOOL_COMPOSE_SYSTEM_H
#define TOOL_COMPOSE_SYSTEM_H

#include "assignments.h"
#include "domain.h"
#include "words.h"

#define SYSTEM_DOMAINS_MAX  64u
#define SYSTEM_OVERLAYS_MAX 16u
#define SYSTEM_POOLS_MAX    16u
#define SYSTEM_CELLS_MAX    12u
#define SYSTEM_CHANNELS_MAX 32u
#define SYSTEM_RANGES_MAX   16u
#define SYSTEM_NAME_MAX     16u
#define SYSTEM_TEXT_MAX     1024u /* of a command line that is made here */

/* A bridge as it is asked for, and, once placed, as it is. */
struct system_bridge {
    const struct assignment *from;
    const struct assignment *devices; /* NULL: its device model is started by somebody else */
    struct bridge bridge;
    bool window_given[BRIDGE_WINDOWS]; /* its address is */
    bool interrupts_given;             /* the first one is */
    uint32_t backend_domain;           /* number of a domU; SYSTEM_DOM0: dom0 */
};
#define SYSTEM_DOM0 UINT32_MAX

/* A property of one cell. */
struct system_cell {
    const char *property;
    uint32_t value;
};

struct system_channel {
    uint32_t port;
    uint32_t remote_domain;
    uint32_t remote_port;
};

struct system_shared_memory {
    const struct assignment *from; /* NULL: there is none */
    char id[SYSTEM_NAME_MAX];
    bool has_host_address;
    uint64_t host_address;
    uint64_t guest_address;
    uint64_t size;
};

struct system_domain {
    uint32_t number;            /* n of DOMU_*[n] */
    unsigned int id;            /* Xen's */
    char name[SYSTEM_NAME_MAX]; /* of its node */
    const struct assignment *kernel;
    const struct assignment *ramdisk;      /* NULL: none, as with all that follow */
    const struct assignment *partial_tree;
    const struct assignment *paths;
    const struct assignment *load;
    const struct assignment *memory;
    const struct assignment *static_from;
    const char *command; /* "" for none */
    uint64_t memory_kib;
    uint32_t vcpus;
    bool static_wanted; /* static memory, wherever there is room */
    unsigned int static_count;
    struct bridge_window static_memory[SYSTEM_RANGES_MAX];
    bool direct_map;
    const char *enhanced;  /* NULL: no xen,enhanced */
    bool vpl011;
    const char *vpl011_value; /* NULL: an empty property */
    bool viommu;
    bool passthrough; /* passthrough = "enabled" */
    const char *colors;
    const struct assignment *pool;
    uint32_t pool_number;
    unsigned int cell_count;
    struct system_cell cells[SYSTEM_CELLS_MAX];
    unsigned int channel_count;
    struct system_channel channels[SYSTEM_CHANNELS_MAX];
    struct system_shared_memory shared_memory;
    unsigned int bridge_count;
    struct system_bridge bridges[DOMAIN_BRIDGES_MAX];
};

enum system_boot {
    SYSTEM_BOOTI,
    SYSTEM_BOOTM,
    SYSTEM_BOOTZ,
    SYSTEM_BOOTEFI,
    SYSTEM_BOOT_NONE,
};

/* What the command line of compose says beside the configuration. */
struct system_options {
    const char *load; /* -t; NULL: LOAD_CMD */
    bool xen_4_22;
};

struct system {
    const struct assignments *assignments;
    bool has_memory_start;
    uint64_t memory_start;
    bool has_memory_end;
    uint64_t memory_end;
    const char *load;
    enum system_boot boot;
    bool prints_chosen;
    const struct assignment *device_tree;
    const struct assignment *xen;
    const struct assignment *xen_load;
    const struct assignment *policy;
    const struct assignment *bitstream;
    const struct assignment *extra_commands;
    const struct assignment *passthrough_repository;
    char xen_command[SYSTEM_TEXT_MAX];
    const struct assignment *dom0_kernel; /* NULL: there is no dom0 */
    const struct assignment *dom0_ramdisk;
    const struct assignment *dom0_load;
    char dom0_command[SYSTEM_TEXT_MAX];
    const char *source_name; /* of the files to be written, without a directory */
    const char *script_name;
    const char *tree_name;
    unsigned int overlay_count;
    const struct assignment *overlays[SYSTEM_OVERLAYS_MAX];
    unsigned int heap_count;
    struct bridge_window heap[SYSTEM_RANGES_MAX];
    unsigned int pool_count;
    const struct assignment *pools[SYSTEM_POOLS_MAX];
    unsigned int domain_count;
    struct system_domain domains[SYSTEM_DOMAINS_MAX]; /* those that Xen starts, in its order */
};

/* Reports all faults to the assignments' report; false when there are any. There is nothing to finish. */
bool system_read(struct system *system, const struct assignments *assignments, const struct system_options *options);

/* NULL: Xen starts none of this number. */
const struct system_domain *system_find_domain(const struct system *system, uint32_t number);

#endif
