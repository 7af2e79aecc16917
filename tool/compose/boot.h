/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The files that a boot loader loads: those that the configuration names, which are looked at here, and those that
 * compose makes. Each has a name, which is the same in the directory that is written and for the boot loader, and,
 * once placed, an address.
 */
#ifndef TOOL_COMPOSE_BOOT_H
#define TOOL_COMPOSE_BOOT_H

#include "system.h"

#define BOOT_NAME_MAX  256u
#define BOOT_PATH_MAX  4096u
#define BOOT_FILE_MAX  (1ull << 31) /* bytes of one file */
#define BOOT_FILES_MAX (8u + 3u * SYSTEM_DOMAINS_MAX)

#define BOOT_SHA256_SIZE 32u

struct boot_file {
    bool present;
    const struct assignment *from; /* NULL: no key names it */
    char name[BOOT_NAME_MAX];
    const uint8_t *data;
    uint64_t size;
    bool mapped;          /* data is the mapping of a file that the configuration names; else it is allocated */
    uint64_t memory_size; /* bytes from its address on that are to be free, size or more */
    uint64_t address;
    const char *load;     /* a load command of its own, or NULL */
    uint8_t sha256[BOOT_SHA256_SIZE];
};

struct boot {
    struct boot_file script;
    struct boot_file xen;
    struct boot_file tree;
    struct boot_file dom0_kernel;
    struct boot_file dom0_ramdisk;
    struct boot_file policy;
    struct boot_file bitstream;
    struct boot_file kernels[SYSTEM_DOMAINS_MAX]; /* in the order of system.domains */
    struct boot_file ramdisks[SYSTEM_DOMAINS_MAX];
    struct boot_file partial_trees[SYSTEM_DOMAINS_MAX];
};

/*
 * Opens what the configuration names, relative to directory, and says what is missing or none of what it should be.
 * False when there are faults. Finish it in both cases.
 */
bool boot_init(struct boot *boot, const struct system *system, const char *directory);

void boot_finish(struct boot *boot);

/* The path of a file that an assignment names; false, reported, when it is too long. path has BOOT_PATH_MAX bytes. */
bool boot_path(const struct assignments *assignments, const struct assignment *from, const char *directory,
               const char *name, char *path);

/* Maps a whole file for reading; false, reported, when it cannot be, or is empty. */
bool boot_map(const struct assignments *assignments, const struct assignment *from, const char *path,
              struct boot_file *file);

/* A file that is made once it has its place: so many bytes are kept for it. */
void boot_reserve(struct boot_file *file, uint64_t memory_size);

void boot_unmap(struct boot_file *file);

/* Makes it a file of compose's: data was allocated, and belongs to it from now on. */
void boot_make(struct boot_file *file, const char *name, void *data, uint64_t size);

/* All that are present, in the order of their addresses; how many. list has BOOT_FILES_MAX places. */
unsigned int boot_list(struct boot *boot, struct boot_file **list);

/* That no two different files have one name, of those that there are so far. */
bool boot_check_names(struct boot *boot, const struct assignments *assignments);

/* The checksums of all. */
void boot_sum(struct boot *boot);

#endif
