/* SPDX-License-Identifier: BSD-2-Clause */
/* One setting of a configuration at a time: looked up, judged, and reported when it is wrong. */
#ifndef TOOL_COMPOSE_SETTING_H
#define TOOL_COMPOSE_SETTING_H

#include "system.h"

/* The assignment of NAME[index]; NULL when there is none, or its value is empty, which is the same. */
const struct assignment *setting_find(const struct assignments *assignments, const char *name, uint32_t index);

/* Its value, or what it is when it is missing. */
const char *setting_text(const struct assignments *assignments, const char *name, uint32_t index, const char *missing);

/* A number from least to most into *number, which is left as it is when the setting is missing, or, reported, wrong. */
void setting_number(const struct assignments *assignments, const char *name, uint32_t index, uint64_t least,
                    uint64_t most, uint64_t *number);

/* The same for 0 or 1. */
void setting_flag(const struct assignments *assignments, const char *name, uint32_t index, bool *flag);

/* What an assignment says as a list of words; false, reported, when it is none. Finish it in both cases. */
bool setting_words(const struct assignments *assignments, const struct assignment *from, char separator,
                   struct words *words);

/* Pairs of address and size; how many, 0 when a fault was reported. */
unsigned int setting_ranges(const struct assignments *assignments, const struct assignment *from,
                            struct bridge_window *ranges, unsigned int room);

/*
 * The name of a file as U-Boot is to read it, which takes other characters for its own language: reported when it has
 * any.
 */
bool setting_check_file_name(const struct assignments *assignments, const struct assignment *from, const char *name);

/* The same for the beginning of a command, such as "load mmc 0:1". from may be NULL: it is of the command line. */
bool setting_check_load(const struct assignments *assignments, const struct assignment *from, const char *load);

/* The two parts of system_read() that concern one domain. */
void system_read_domain(struct system *system, struct system_domain *domain, uint32_t number, bool xen_4_22);
void system_read_bridges(struct system *system, struct system_domain *domain);

#endif
