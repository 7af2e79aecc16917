/* SPDX-License-Identifier: BSD-2-Clause */
/* See system.h. Here: what concerns the whole system, and dom0. */
#include "system.h"

#include <string.h>

#include "keys.h"
#include "setting.h"

#define DOM0_MEMORY_MIB 1500u

const struct system_domain *system_find_domain(const struct system *system, uint32_t number)
{
    for (unsigned int i = 0; i < system->domain_count; i++) {
        if (system->domains[i].number == number) {
            return &system->domains[i];
        }
    }
    return NULL;
}

static const struct assignment *need(const struct assignments *assignments, const char *name, const char *what)
{
    const struct assignment *found = setting_find(assignments, name, 0);

    if (found == NULL) {
        report_write(assignments->report, REPORT_ERROR, name, "missing: %s", what);
    }
    return found;
}

static void read_load(struct system *system, const struct system_options *options)
{
    static const struct {
        const char *name;
        const char *command;
    } aliases[] = {{"tftp", "tftpb"}, {"sd", "load mmc 0:1"}, {"scsi", "load scsi 0:1"}, {"usb", "fatload usb 0:1"}};
    const struct assignment *from = setting_find(system->assignments, "LOAD_CMD", 0);

    if (options->load == NULL) {
        system->load = from != NULL ? from->value : "";
        if (from == NULL) {
            report_write(system->assignments->report, REPORT_ERROR, "LOAD_CMD",
                         "missing: how U-Boot is to load files, such as \"tftpb\" or \"load mmc 0:1\"; or give -t");
        } else {
            (void)setting_check_load(system->assignments, from, from->value);
        }
        return;
    }
    system->load = options->load;
    for (size_t i = 0; i < sizeof(aliases) / sizeof(aliases[0]); i++) {
        if (strcmp(options->load, aliases[i].name) == 0) {
            system->load = aliases[i].command;
        }
    }
    (void)setting_check_load(system->assignments, NULL, system->load);
}

static void read_boot(struct system *system)
{
    static const char *const names[] = {"booti", "bootm", "bootz", "bootefi", "none"};
    const struct assignment *from = setting_find(system->assignments, "BOOT_CMD", 0);

    for (unsigned int i = 0; from != NULL && i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcmp(from->value, names[i]) == 0) {
            system->boot = (enum system_boot)i;
            return;
        }
    }
    if (from != NULL) {
        assignment_report(system->assignments, from, REPORT_ERROR,
                          "\"%.32s\" is none of booti, bootm, bootz, bootefi, none", from->value);
    }
}

/* What is written: a name without a directory, since all of it is in the one that compose makes. */
static const char *read_output_name(const struct system *system, const char *name, const char *missing)
{
    const struct assignment *from = setting_find(system->assignments, name, 0);
    const char *slash = from != NULL ? strrchr(from->value, '/') : NULL;
    const char *base = slash != NULL ? slash + 1 : from != NULL ? from->value : missing;

    if (from != NULL && setting_check_file_name(system->assignments, from, base) &&
        (base[0] == '\0' || strcmp(base, ".") == 0 || strcmp(base, "..") == 0)) {
        assignment_report(system->assignments, from, REPORT_ERROR, "\"%.64s\" does not end in the name of a file",
                          from->value);
    }
    return base;
}

static void read_frame(struct system *system, const struct system_options *options)
{
    const struct assignments *assignments = system->assignments;
    const struct assignment *heap = setting_find(assignments, "XEN_STATIC_HEAP", 0);

    system->has_memory_start = setting_find(assignments, "MEMORY_START", 0) != NULL;
    setting_number(assignments, "MEMORY_START", 0, 0, UINT64_MAX, &system->memory_start);
    system->has_memory_end = setting_find(assignments, "MEMORY_END", 0) != NULL;
    setting_number(assignments, "MEMORY_END", 0, 0, UINT64_MAX, &system->memory_end);
    if (system->has_memory_end && system->memory_end <= system->memory_start) {
        assignment_report(assignments, setting_find(assignments, "MEMORY_END", 0), REPORT_ERROR,
                          "not above MEMORY_START, 0x%" PRIx64, system->memory_start);
    }
    read_load(system, options);
    read_boot(system);
    setting_flag(assignments, "DBG_FDT_PRINT_CHOSEN", 0, &system->prints_chosen);
    system->device_tree = need(assignments, "DEVICE_TREE", "the board's device tree, a .dtb file");
    system->xen = need(assignments, "XEN", "the file of the hypervisor");
    system->policy = setting_find(assignments, "XEN_POLICY", 0);
    system->xen_load = setting_find(assignments, "XEN_LOAD", 0);
    system->dom0_load = setting_find(assignments, "DOM0_LOAD", 0);
    if (system->xen_load != NULL) {
        (void)setting_check_load(assignments, system->xen_load, system->xen_load->value);
    }
    if (system->dom0_load != NULL) {
        (void)setting_check_load(assignments, system->dom0_load, system->dom0_load->value);
    }
    system->bitstream = setting_find(assignments, "BITSTREAM", 0);
    system->extra_commands = setting_find(assignments, "APPEND_EXTRA_CMDS", 0);
    system->passthrough_repository = setting_find(assignments, "PASSTHROUGH_DTS_REPO", 0);
    system->source_name = read_output_name(system, "UBOOT_SOURCE", "boot.source");
    system->script_name = read_output_name(system, "UBOOT_SCRIPT", "boot.scr");
    system->tree_name = read_output_name(system, "FDTEDIT", "host.dtb");
    if (heap != NULL) {
        system->heap_count = setting_ranges(assignments, heap, system->heap, SYSTEM_RANGES_MAX);
    }
}

/* NAME[0] to NAME[count - 1], where NUMBER says the count. */
static unsigned int read_list(const struct system *system, const char *number, const char *name,
                              const struct assignment **list, unsigned int room)
{
    uint64_t count = 0;

    setting_number(system->assignments, number, 0, 0, room, &count);
    for (unsigned int i = 0; i < count; i++) {
        list[i] = setting_find(system->assignments, name, i);
        if (list[i] == NULL) {
            report_write(system->assignments->report, REPORT_ERROR, name, "%s is %u, but there is no %s[%u]", number,
                         (unsigned int)count, name, i);
            return i;
        }
    }
    return (unsigned int)count;
}

/* False, reported, when it does not fit. */
static bool append(const struct system *system, const char *key, char *line, const char *text)
{
    const size_t length = strlen(line);

    if (length + strlen(text) + 2 > SYSTEM_TEXT_MAX) {
        report_write(system->assignments->report, REPORT_ERROR, key, "longer than %u bytes", SYSTEM_TEXT_MAX - 1);
        return false;
    }
    snprintf(line + length, SYSTEM_TEXT_MAX - length, "%s%s", length != 0 ? " " : "", text);
    return true;
}

/* The words of a command line but those that begin with dom0, which there is none to read. */
static void copy_without_dom0(const struct system *system, char *line, const struct assignment *from)
{
    struct words words;

    if (setting_words(system->assignments, from, '\0', &words)) {
        for (size_t i = 0; i < words.count; i++) {
            if (strncmp(words.word[i], "dom0", strlen("dom0")) == 0) {
                assignment_report(system->assignments, from, REPORT_NOTE, "%.64s left out, because there is no dom0",
                                  words.word[i]);
            } else if (!append(system, "XEN_CMD", line, words.word[i])) {
                break;
            }
        }
    }
    words_finish(&words);
}

static void make_xen_command(struct system *system, const struct system_options *options)
{
    const struct assignments *assignments = system->assignments;
    const char *xen_colors = setting_text(assignments, "XEN_COLORS", 0, NULL);
    const char *dom0_colors = setting_text(assignments, "DOM0_COLORS", 0, NULL);
    bool viommu = false;
    uint64_t memory = DOM0_MEMORY_MIB;
    uint64_t vcpus = 1;
    char text[128];

    setting_number(assignments, "DOM0_MEM", 0, 1, UINT32_MAX, &memory);
    setting_number(assignments, "DOM0_VCPUS", 0, 1, 128, &vcpus);
    setting_flag(assignments, "DOM0_VIOMMU", 0, &viommu);
    snprintf(system->xen_command, sizeof(system->xen_command), "console=dtuart dtuart=serial0");
    if (system->dom0_kernel != NULL) {
        snprintf(text, sizeof(text), "dom0_mem=%" PRIu64 "M dom0_max_vcpus=%" PRIu64, memory, vcpus);
        (void)append(system, "DOM0_MEM", system->xen_command, text);
    }
    (void)append(system, "XEN_CMD", system->xen_command, "bootscrub=0 vwfi=native sched=null");
    if (xen_colors != NULL) {
        snprintf(text, sizeof(text), "%s=%.64s", options->xen_4_22 ? "llc-coloring=on xen-llc-colors" : "xen_colors",
                 xen_colors);
        (void)append(system, "XEN_COLORS", system->xen_command, text);
    }
    if (dom0_colors != NULL && system->dom0_kernel != NULL) {
        snprintf(text, sizeof(text), "%s=%.64s", options->xen_4_22 ? "dom0-llc-colors" : "dom0_colors", dom0_colors);
        (void)append(system, "DOM0_COLORS", system->xen_command, text);
    }
    if (viommu && system->dom0_kernel != NULL) {
        (void)append(system, "DOM0_VIOMMU", system->xen_command, "dom0_viommu=1");
    }
}

static void read_xen_command(struct system *system, const struct system_options *options)
{
    static const char *const replaced[] = {"DOM0_MEM", "DOM0_VCPUS", "DOM0_COLORS", "DOM0_VIOMMU", "XEN_COLORS"};
    const struct assignment *from = setting_find(system->assignments, "XEN_CMD", 0);

    if (from == NULL) {
        make_xen_command(system, options);
        return;
    }
    if (system->dom0_kernel == NULL) {
        copy_without_dom0(system, system->xen_command, from);
    } else {
        (void)append(system, "XEN_CMD", system->xen_command, from->value);
    }
    for (size_t i = 0; i < sizeof(replaced) / sizeof(replaced[0]); i++) {
        const struct assignment *also = setting_find(system->assignments, replaced[i], 0);

        if (also != NULL) {
            assignment_report(system->assignments, also, REPORT_WARNING,
                              "no effect beside XEN_CMD, and ImageBuilder refuses the two together; put it into "
                              "XEN_CMD");
        }
    }
}

/* Behind the boot partition that files are loaded from: "load mmc 0:1" has a root on /dev/mmcblk0p2. */
static bool find_root(const char *load, char *root, size_t size)
{
    const char *colon = strchr(load, ':');
    unsigned int device = 0;
    unsigned int partition = 0;
    const char *digits = colon;

    while (digits != NULL && digits > load && digits[-1] != ' ') {
        digits--;
    }
    if (colon == NULL || sscanf(digits, "%2u:%2u", &device, &partition) != 2) {
        return false;
    }
    if (strstr(load, "mmc") != NULL) {
        snprintf(root, size, "root=/dev/mmcblk%up%u", device, partition + 1);
    } else if (strstr(load, "scsi") != NULL && device < 26) {
        snprintf(root, size, "root=/dev/sd%c%u", (char)('a' + device), partition + 1);
    } else {
        return false;
    }
    return true;
}

static void read_dom0_command(struct system *system)
{
    const struct assignment *rootfs = setting_find(system->assignments, "DOM0_ROOTFS", 0);
    char root[64] = "root=/dev/ram0";

    (void)append(system, "DOM0_CMD", system->dom0_command,
                 setting_text(system->assignments, "DOM0_CMD", 0,
                              "console=hvc0 earlycon=xen earlyprintk=xen clk_ignore_unused"));
    if (strstr(system->dom0_command, "root=") != NULL) {
        return;
    }
    if (rootfs != NULL && !find_root(system->load, root, sizeof(root))) {
        assignment_report(system->assignments, rootfs, REPORT_ERROR,
                          "no root= can be made of \"%.64s\"; write it into DOM0_CMD", system->load);
        return;
    }
    (void)append(system, "DOM0_CMD", system->dom0_command, root);
}

static void read_dom0(struct system *system)
{
    static const char *const of_dom0[] = {"DOM0_RAMDISK", "DOM0_CMD", "DOM0_ROOTFS", "DOM0_MEM", "DOM0_VCPUS",
                                          "DOM0_COLORS", "DOM0_VIOMMU"};
    const struct assignments *assignments = system->assignments;

    system->dom0_kernel = setting_find(assignments, "DOM0_KERNEL", 0);
    if (system->dom0_kernel != NULL) {
        system->dom0_ramdisk = setting_find(assignments, "DOM0_RAMDISK", 0);
        read_dom0_command(system);
        return;
    }
    for (size_t i = 0; i < sizeof(of_dom0) / sizeof(of_dom0[0]); i++) {
        const struct assignment *found = setting_find(assignments, of_dom0[i], 0);

        if (found != NULL) {
            assignment_report(assignments, found, REPORT_ERROR, "there is no DOM0_KERNEL, so no dom0; take it out");
        }
    }
}

/* Domains that a toolstack is to start later are no part of what Xen starts. */
static bool is_left_to_toolstack(const struct system *system, uint32_t number)
{
    static const char *const names[] = {"DOMU_NOBOOT", "DOMU_ROOTFS"};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        const struct assignment *found = setting_find(system->assignments, names[i], number);

        if (found != NULL) {
            assignment_report(system->assignments, found, REPORT_NOTE,
                              "domU%u is not started by Xen; no configuration of xl is made", number);
            return true;
        }
    }
    return false;
}

static bool is_connected(const struct system *system, const struct system_domain *domain,
                         const struct system_channel *channel)
{
    const struct system_domain *remote = system_find_domain(system, channel->remote_domain);

    for (unsigned int i = 0; remote != NULL && i < remote->channel_count; i++) {
        if (remote->channels[i].port == channel->remote_port && remote->channels[i].remote_domain == domain->number &&
            remote->channels[i].remote_port == channel->port) {
            return true;
        }
    }
    return false;
}

/* That each static event channel has another end, which says the same of it. */
static void check_channels(const struct system *system, const struct system_domain *domain)
{
    for (unsigned int i = 0; i < domain->channel_count; i++) {
        const struct system_channel *channel = &domain->channels[i];

        if (!is_connected(system, domain, channel)) {
            assignment_report(system->assignments,
                              setting_find(system->assignments, "DOMU_STATIC_EVTCHNS", domain->number), REPORT_ERROR,
                              "port %u: DOMU_STATIC_EVTCHNS[%u] has no \"%u %u %u\" to be its other end",
                              channel->port, channel->remote_domain, channel->remote_port, domain->number,
                              channel->port);
        }
    }
}

bool system_read(struct system *system, const struct assignments *assignments, const struct system_options *options)
{
    const unsigned int errors = assignments->report->errors;
    uint64_t count = 0;

    memset(system, 0, sizeof(*system));
    system->assignments = assignments;
    setting_number(assignments, "NUM_DOMUS", 0, 0, SYSTEM_DOMAINS_MAX, &count);
    keys_check(assignments, (uint32_t)count);
    read_frame(system, options);
    read_dom0(system);
    read_xen_command(system, options);
    system->overlay_count = read_list(system, "NUM_DT_OVERLAY", "DT_OVERLAY", system->overlays, SYSTEM_OVERLAYS_MAX);
    system->pool_count = read_list(system, "NUM_CPUPOOLS", "CPUPOOL", system->pools, SYSTEM_POOLS_MAX);
    if (system->dom0_kernel == NULL && count == 0) {
        report_write(assignments->report, REPORT_ERROR, "DOM0_KERNEL",
                     "missing, and NUM_DOMUS is 0: there is no domain to start");
    }
    for (uint32_t i = 0; i < count; i++) {
        if (!is_left_to_toolstack(system, i)) {
            struct system_domain *domain = &system->domains[system->domain_count++];

            domain->id = system->domain_count;
            system_read_domain(system, domain, i, options->xen_4_22);
        }
    }
    for (unsigned int i = 0; i < system->domain_count; i++) {
        system_read_bridges(system, &system->domains[i]);
        check_channels(system, &system->domains[i]);
    }
    return assignments->report->errors == errors;
}
