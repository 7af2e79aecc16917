/* SPDX-License-Identifier: BSD-2-Clause */
/* See keys.h. */
#include "keys.h"

#include <stdlib.h>
#include <string.h>

enum indices {
    PLAIN,
    LIST,        /* [n] */
    DOMAIN,      /* [n], n being a domain's */
    DOMAIN_PAIR, /* [n,m] */
    DOMAIN_BOTH, /* [n] or [n,m] */
};

static const char no_disk_image[] = "no disk image is made; tell your own tool for that";
static const char no_xl[] = "no configuration of xl is made";
static const char no_lopper[] = "lopper is not run; run it, and name its output in PASSTHROUGH_DTS_REPO";
static const char no_signing[] = "nothing is signed; let mkimage -F -k DIRECTORY sign the FIT image";
static const char no_fit[] = "no FIT image is made; let mkimage -f put the files together";
static const char no_linux[] = "Linux without Xen is not composed";

static const struct key {
    const char *name;
    enum indices indices;
    const char *note; /* why it has no effect; NULL: it has one */
} keys[] = {
    {"APPEND_EXTRA_CMDS", PLAIN, NULL},
    {"BITSTREAM", PLAIN, NULL},
    {"BOOT_AUX_FILE", LIST, no_disk_image},
    {"BOOT_CMD", PLAIN, NULL},
    {"CPUPOOL", LIST, NULL},
    {"DBG_FDT_PRINT_CHOSEN", PLAIN, NULL},
    {"DEVICE_TREE", PLAIN, NULL},
    {"DOM0_CMD", PLAIN, NULL},
    {"DOM0_COLORS", PLAIN, NULL},
    {"DOM0_KERNEL", PLAIN, NULL},
    {"DOM0_LOAD", PLAIN, NULL},
    {"DOM0_MEM", PLAIN, NULL},
    {"DOM0_RAMDISK", PLAIN, NULL},
    {"DOM0_ROOTFS", PLAIN, NULL},
    {"DOM0_VCPUS", PLAIN, NULL},
    {"DOM0_VIOMMU", PLAIN, NULL},
    {"DOMU_BRIDGE", DOMAIN_BOTH, NULL},
    {"DOMU_CAPS", DOMAIN, NULL},
    {"DOMU_CMD", DOMAIN, NULL},
    {"DOMU_COLORS", DOMAIN, NULL},
    {"DOMU_CPUPOOL", DOMAIN, NULL},
    {"DOMU_DEVICES", DOMAIN_BOTH, NULL},
    {"DOMU_DIRECT_MAP", DOMAIN, NULL},
    {"DOMU_DOMID", DOMAIN, "Xen up to 4.22 numbers domains by their order"},
    {"DOMU_DRIVER_DOMAIN", DOMAIN, no_xl},
    {"DOMU_ENHANCED", DOMAIN, NULL},
    {"DOMU_GRANT_FRAMES", DOMAIN, NULL},
    {"DOMU_GRANT_VER", DOMAIN, NULL},
    {"DOMU_KERNEL", DOMAIN, NULL},
    {"DOMU_LOAD", DOMAIN, NULL},
    {"DOMU_MAPTRACK_FRAMES", DOMAIN, NULL},
    {"DOMU_MEM", DOMAIN, NULL},
    {"DOMU_NOBOOT", DOMAIN, NULL},
    {"DOMU_NR_SPIS", DOMAIN, NULL},
    {"DOMU_P2M_MEM_MB", DOMAIN, NULL},
    {"DOMU_PASSTHROUGH_DTB", DOMAIN, NULL},
    {"DOMU_PASSTHROUGH_PATHS", DOMAIN, NULL},
    {"DOMU_PASSTHROUGH_PROP", DOMAIN, NULL},
    {"DOMU_RAMDISK", DOMAIN, NULL},
    {"DOMU_ROOTFS", DOMAIN, NULL},
    {"DOMU_SHARED_MEM", DOMAIN, NULL},
    {"DOMU_STATIC_EVTCHNS", DOMAIN, NULL},
    {"DOMU_STATIC_MEM", DOMAIN, NULL},
    {"DOMU_TRAP_UNMAP", DOMAIN, NULL},
    {"DOMU_VCPUS", DOMAIN, NULL},
    {"DOMU_VCPU_HARD_AFFINITY", DOMAIN_PAIR, NULL},
    {"DOMU_VIOMMU", DOMAIN, NULL},
    {"DOMU_VPL011", DOMAIN, NULL},
    {"DOMU_VUART_PL011", DOMAIN, NULL},
    {"DT_OVERLAY", LIST, NULL},
    {"FDTEDIT", PLAIN, NULL},
    {"FIT", PLAIN, no_fit},
    {"FIT_ENC_KEY_DIR", PLAIN, no_signing},
    {"FIT_ENC_UB_DTB", PLAIN, no_signing},
    {"GPT", PLAIN, no_disk_image},
    {"LINUX", PLAIN, no_linux},
    {"LINUX_CMD", PLAIN, no_linux},
    {"LINUX_RAMDISK", PLAIN, no_linux},
    {"LINUX_ROOTFS", PLAIN, no_linux},
    {"LOAD_CMD", PLAIN, NULL},
    {"LOPPER_CMD", PLAIN, no_lopper},
    {"LOPPER_PATH", PLAIN, no_lopper},
    {"MEMORY_END", PLAIN, NULL},
    {"MEMORY_START", PLAIN, NULL},
    {"NUM_BOOT_AUX_FILE", PLAIN, no_disk_image},
    {"NUM_CPUPOOLS", PLAIN, NULL},
    {"NUM_DOMUS", PLAIN, NULL},
    {"NUM_DT_OVERLAY", PLAIN, NULL},
    {"PASSTHROUGH_DTS_REPO", PLAIN, NULL},
    {"UBOOT_SCRIPT", PLAIN, NULL},
    {"UBOOT_SOURCE", PLAIN, NULL},
    {"XEN", PLAIN, NULL},
    {"XEN_CMD", PLAIN, NULL},
    {"XEN_COLORS", PLAIN, NULL},
    {"XEN_LOAD", PLAIN, NULL},
    {"XEN_POLICY", PLAIN, NULL},
    {"XEN_STATIC_HEAP", PLAIN, NULL},
};
#define KEYS (sizeof(keys) / sizeof(keys[0]))

static const struct key *find_key(const char *name)
{
    for (size_t i = 0; i < KEYS; i++) {
        if (strcmp(keys[i].name, name) == 0) {
            return &keys[i];
        }
    }
    return NULL;
}

static unsigned int least(unsigned int a, unsigned int b, unsigned int c)
{
    const unsigned int lower = a < b ? a : b;

    return lower < c ? lower : c;
}

/* How many letters have to be put in, taken out or changed to make one name the other (Levenshtein). */
static unsigned int distance(const char *left, const char *right)
{
    unsigned int row[ASSIGNMENT_NAME_MAX + 1];
    const size_t length = strlen(right);

    for (unsigned int j = 0; j <= length; j++) {
        row[j] = j;
    }
    for (unsigned int i = 0; left[i] != '\0'; i++) {
        unsigned int diagonal = row[0];

        row[0] = i + 1;
        for (size_t j = 0; j < length; j++) {
            const unsigned int changed = diagonal + (left[i] == right[j] ? 0 : 1);

            diagonal = row[j + 1];
            row[j + 1] = least(changed, row[j] + 1, diagonal + 1);
        }
    }
    return row[length];
}

#define DISTANCE_MAX 3u

/* The key that a name is likely to be meant for, or NULL. */
static const char *meant(const char *name)
{
    const char *nearest = NULL;
    unsigned int nearest_distance = DISTANCE_MAX + 1;

    for (size_t i = 0; i < KEYS; i++) {
        const unsigned int away = distance(name, keys[i].name);

        if (away < nearest_distance && away < strlen(name) / 2) {
            nearest = keys[i].name;
            nearest_distance = away;
        }
    }
    return nearest;
}

static void report_unknown(const struct assignments *assignments, const struct assignment *assignment)
{
    const char *key = meant(assignment->name);

    if (key != NULL) {
        assignment_report(assignments, assignment, REPORT_WARNING, "no such key; is it meant to be %s?", key);
    } else if (!assignment->used) {
        assignment_report(assignments, assignment, REPORT_WARNING, "no such key; it has no effect");
    }
}

static void report_indices(const struct assignments *assignments, const struct assignment *assignment,
                           const struct key *key)
{
    static const char *const forms[] = {"", "[n]", "[n], n being the domain's number",
                                        "[n,m], n being the domain's number", "[n] or [n,m]"};

    assignment_report(assignments, assignment, REPORT_ERROR, "indexed wrongly; write %s%s", key->name,
                      forms[key->indices]);
}

/* NAME is NAME[0]: an index may be left out. */
static bool is_indexed_well(const struct assignment *assignment, enum indices indices)
{
    const unsigned int count = assignment->index_count;

    switch (indices) {
    case PLAIN:
        return count == 0 || (count == 1 && assignment->index[0] == 0);
    case DOMAIN_PAIR:
        return count == 2;
    case DOMAIN_BOTH:
        return true;
    default:
        return count < 2;
    }
}

void keys_check(const struct assignments *assignments, uint32_t domain_count)
{
    for (size_t i = 0; i < assignments->count; i++) {
        const struct assignment *assignment = &assignments->entries[i];
        const struct key *key = find_key(assignment->name);

        if (key == NULL) {
            report_unknown(assignments, assignment);
        } else if (!is_indexed_well(assignment, key->indices)) {
            report_indices(assignments, assignment, key);
        } else if (key->indices >= DOMAIN && assignment->index[0] >= domain_count) {
            assignment_report(assignments, assignment, REPORT_NOTE, "no effect: NUM_DOMUS is %u", domain_count);
        } else if (key->note != NULL && assignment->value[0] != '\0') {
            assignment_report(assignments, assignment, REPORT_NOTE, "no effect: %s", key->note);
        }
    }
}
