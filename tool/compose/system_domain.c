/* SPDX-License-Identifier: BSD-2-Clause */
/* See system.h. Here: what concerns one domU, but its bridges. */
#include <ctype.h>
#include <string.h>

#include "setting.h"

#define MEMORY_MIB 512u
#define KIB_OF_MIB 1024u
#define KIB        1024u

static void add_cell(struct system_domain *domain, const char *property, uint32_t value)
{
    if (domain->cell_count < SYSTEM_CELLS_MAX) {
        domain->cells[domain->cell_count++] = (struct system_cell){.property = property, .value = value};
    }
}

/* Keys that are a property of the domain's node, of one cell and the same value. */
static void read_cells(const struct system *system, struct system_domain *domain, bool xen_4_22)
{
    static const struct {
        const char *key;
        const char *property;
        uint64_t most;
        bool only_4_22; /* 4.17 passes over it */
    } cells[] = {
        {"DOMU_GRANT_VER", "max_grant_version", 2, true},
        {"DOMU_GRANT_FRAMES", "max_grant_frames", UINT32_MAX, true},
        {"DOMU_MAPTRACK_FRAMES", "max_maptrack_frames", UINT32_MAX, true},
        {"DOMU_NR_SPIS", "nr_spis", UINT32_MAX, false},
        {"DOMU_P2M_MEM_MB", "xen,domain-p2m-mem-mb", UINT32_MAX, false},
        {"DOMU_TRAP_UNMAP", "trap-unmapped-accesses", 1, true},
    };

    for (size_t i = 0; i < sizeof(cells) / sizeof(cells[0]); i++) {
        const struct assignment *found = setting_find(system->assignments, cells[i].key, domain->number);
        uint64_t value = UINT64_MAX;

        setting_number(system->assignments, cells[i].key, domain->number, 0, cells[i].most, &value);
        if (value == UINT64_MAX) {
            continue;
        }
        add_cell(domain, cells[i].property, (uint32_t)value);
        if (cells[i].only_4_22 && !xen_4_22) {
            assignment_report(system->assignments, found, REPORT_WARNING,
                              "Xen 4.17 passes over %s; say --xen 4.22 if yours is that", cells[i].property);
        }
    }
}

/* Names with blanks or | between, or numbers. */
static void read_capabilities(const struct system *system, struct system_domain *domain, bool xen_4_22)
{
    static const struct {
        const char *name;
        uint32_t bits;
    } names[] = {{"none", 0}, {"control", 1}, {"hardware", 2}, {"xenstore", 4}, {"dom0", 7}, {"domain0", 7}};
    const struct assignment *from = setting_find(system->assignments, "DOMU_CAPS", domain->number);
    uint32_t bits = 0;
    struct words words;

    if (from == NULL) {
        return;
    }
    if (setting_words(system->assignments, from, '|', &words)) {
        for (size_t i = 0; i < words.count; i++) {
            uint64_t number = 0;
            size_t j = 0;

            while (j < sizeof(names) / sizeof(names[0]) && strcasecmp(words.word[i], names[j].name) != 0) {
                j++;
            }
            if (j < sizeof(names) / sizeof(names[0])) {
                bits |= names[j].bits;
            } else if (words_number(words.word[i], &number) && number <= 7) {
                bits |= (uint32_t)number;
            } else {
                assignment_report(system->assignments, from, REPORT_ERROR,
                                  "\"%.32s\" is none of none, control, hardware, xenstore, dom0", words.word[i]);
            }
        }
        add_cell(domain, "capabilities", bits);
    }
    words_finish(&words);
    if (!xen_4_22) {
        assignment_report(system->assignments, from, REPORT_WARNING,
                          "Xen 4.17 passes over capabilities; say --xen 4.22 if yours is that");
    }
}

/* FIRST-LAST: a set of bits for the Xen of Xilinx, a text for Xen 4.20 and newer. */
static void read_colors(const struct system *system, struct system_domain *domain, bool xen_4_22)
{
    const struct assignment *from = setting_find(system->assignments, "DOMU_COLORS", domain->number);
    unsigned int first = 0;
    unsigned int last = 0;
    char rest = '\0';

    if (from == NULL) {
        return;
    }
    if (xen_4_22) {
        domain->colors = from->value;
    } else if (sscanf(from->value, "%4u-%4u%c", &first, &last, &rest) != 2 || first > last || last > 31) {
        assignment_report(system->assignments, from, REPORT_ERROR, "\"%.32s\" is not FIRST-LAST, each from 0 to 31",
                          from->value);
    } else {
        add_cell(domain, "colors", (uint32_t)(((1ull << (last + 1)) - 1) & ~((1ull << first) - 1)));
    }
}

static void read_memory(const struct system *system, struct system_domain *domain)
{
    const struct assignments *assignments = system->assignments;
    uint64_t mib = 0;
    uint64_t total = 0;

    domain->memory = setting_find(assignments, "DOMU_MEM", domain->number);
    domain->static_from = setting_find(assignments, "DOMU_STATIC_MEM", domain->number);
    setting_number(assignments, "DOMU_MEM", domain->number, 0, 1u << 24, &mib);
    domain->memory_kib = (mib != 0 ? mib : MEMORY_MIB) * KIB_OF_MIB;
    domain->direct_map = domain->static_from != NULL;
    if (domain->static_from == NULL) {
        return;
    }
    setting_flag(assignments, "DOMU_DIRECT_MAP", domain->number, &domain->direct_map);
    if (strcmp(domain->static_from->value, "auto") == 0) {
        domain->static_wanted = true;
        return;
    }
    domain->static_count = setting_ranges(assignments, domain->static_from, domain->static_memory, SYSTEM_RANGES_MAX);
    for (unsigned int i = 0; i < domain->static_count; i++) {
        total += domain->static_memory[i].size;
    }
    if (domain->static_count != 0 && mib != 0 && total / KIB != domain->memory_kib) {
        assignment_report(assignments, domain->memory, REPORT_WARNING,
                          "%" PRIu64 " MiB, but DOMU_STATIC_MEM has %" PRIu64 " KiB, which is what counts", mib,
                          total / KIB);
    }
    domain->memory_kib = domain->static_count != 0 ? total / KIB : domain->memory_kib;
}

/* "1" gives PV interfaces and xenstore, "2" no xenstore; with a dom0, 1 is the default. */
static void read_enhanced(const struct system *system, struct system_domain *domain)
{
    static const char *const values[] = {NULL, "enabled", "no-xenstore"};
    uint64_t number = system->dom0_kernel != NULL ? 1 : 0;

    setting_number(system->assignments, "DOMU_ENHANCED", domain->number, 0, 2, &number);
    domain->enhanced = values[number];
}

static void read_console(const struct system *system, struct system_domain *domain)
{
    const struct assignments *assignments = system->assignments;
    bool pl011 = false;

    domain->vpl011 = true;
    setting_flag(assignments, "DOMU_VPL011", domain->number, &domain->vpl011);
    setting_flag(assignments, "DOMU_VUART_PL011", domain->number, &pl011);
    domain->vpl011_value = pl011 ? "pl011" : NULL;
    domain->command = setting_text(assignments, "DOMU_CMD", domain->number,
                                   domain->vpl011 ? "console=ttyAMA0" : "");
}

/* "local_port remote_domain remote_port; ..." */
static void read_channels(const struct system *system, struct system_domain *domain)
{
    const struct assignment *from = setting_find(system->assignments, "DOMU_STATIC_EVTCHNS", domain->number);
    struct words words;

    if (from == NULL) {
        return;
    }
    if (setting_words(system->assignments, from, ';', &words)) {
        uint64_t numbers[WORDS_MAX];
        bool good = words.count % 3 == 0 && words.count / 3 <= SYSTEM_CHANNELS_MAX;

        for (size_t i = 0; good && i < words.count; i++) {
            good = words_number(words.word[i], &numbers[i]) && numbers[i] <= UINT32_MAX;
        }
        if (!good) {
            assignment_report(system->assignments, from, REPORT_ERROR,
                              "not \"PORT DOMAIN PORT\", or up to %u of them with ; between", SYSTEM_CHANNELS_MAX);
        }
        for (size_t i = 0; good && i < words.count; i += 3) {
            domain->channels[domain->channel_count++] = (struct system_channel){
                .port = (uint32_t)numbers[i],
                .remote_domain = (uint32_t)numbers[i + 1],
                .remote_port = (uint32_t)numbers[i + 2],
            };
        }
    }
    words_finish(&words);
}

/* "ID HOST_ADDRESS GUEST_ADDRESS SIZE", of which the host's address may be missing. */
static void read_shared_memory(const struct system *system, struct system_domain *domain)
{
    const struct assignment *from = setting_find(system->assignments, "DOMU_SHARED_MEM", domain->number);
    struct system_shared_memory *memory = &domain->shared_memory;
    struct words words;

    if (from == NULL) {
        return;
    }
    if (setting_words(system->assignments, from, '\0', &words)) {
        const size_t last = words.count - 1;
        bool good = words.count == 3 || words.count == 4;

        memory->has_host_address = words.count == 4;
        good = good && words_number(words.word[last], &memory->size) &&
               words_number(words.word[last - 1], &memory->guest_address);
        good = good && (!memory->has_host_address || words_number(words.word[1], &memory->host_address));
        good = good && strlen(words.word[0]) < sizeof(memory->id);
        if (good) {
            snprintf(memory->id, sizeof(memory->id), "%s", words.word[0]);
            memory->from = from;
        } else {
            assignment_report(system->assignments, from, REPORT_ERROR,
                              "not \"ID [HOST_ADDRESS] GUEST_ADDRESS SIZE\", the ID of at most %zu bytes",
                              sizeof(memory->id) - 1);
        }
    }
    words_finish(&words);
}

static void read_pool(const struct system *system, struct system_domain *domain)
{
    uint64_t number = 0;

    domain->pool = setting_find(system->assignments, "DOMU_CPUPOOL", domain->number);
    if (domain->pool == NULL) {
        return;
    }
    if (system->pool_count == 0) {
        assignment_report(system->assignments, domain->pool, REPORT_ERROR,
                          "there are no pools; CPUPOOL[n] and NUM_CPUPOOLS make them");
        return;
    }
    setting_number(system->assignments, "DOMU_CPUPOOL", domain->number, 0, system->pool_count - 1, &number);
    domain->pool_number = (uint32_t)number;
}

static void read_passthrough(const struct system *system, struct system_domain *domain)
{
    const struct assignments *assignments = system->assignments;
    const struct assignment *property = setting_find(assignments, "DOMU_PASSTHROUGH_PROP", domain->number);

    domain->partial_tree = setting_find(assignments, "DOMU_PASSTHROUGH_DTB", domain->number);
    domain->paths = setting_find(assignments, "DOMU_PASSTHROUGH_PATHS", domain->number);
    domain->passthrough = property != NULL && strcmp(property->value, "enabled") == 0;
    if (property != NULL && !domain->passthrough) {
        assignment_report(assignments, property, REPORT_WARNING, "\"%.32s\" is not \"enabled\", and has no effect",
                          property->value);
    }
}

void system_read_domain(struct system *system, struct system_domain *domain, uint32_t number, bool xen_4_22)
{
    const struct assignments *assignments = system->assignments;
    uint64_t vcpus = 1;

    domain->number = number;
    snprintf(domain->name, sizeof(domain->name), "domU%u", number);
    domain->kernel = setting_find(assignments, "DOMU_KERNEL", number);
    domain->ramdisk = setting_find(assignments, "DOMU_RAMDISK", number);
    domain->load = setting_find(assignments, "DOMU_LOAD", number);
    if (domain->kernel == NULL) {
        report_write(assignments->report, REPORT_ERROR, "DOMU_KERNEL", "DOMU_KERNEL[%u] is missing, and NUM_DOMUS asks "
                     "for domU%u", number, number);
    }
    if (domain->load != NULL) {
        (void)setting_check_load(assignments, domain->load, domain->load->value);
    }
    setting_number(assignments, "DOMU_VCPUS", number, 1, 128, &vcpus);
    domain->vcpus = (uint32_t)vcpus;
    setting_flag(assignments, "DOMU_VIOMMU", number, &domain->viommu);
    read_memory(system, domain);
    read_enhanced(system, domain);
    read_console(system, domain);
    read_cells(system, domain, xen_4_22);
    read_capabilities(system, domain, xen_4_22);
    read_colors(system, domain, xen_4_22);
    read_channels(system, domain);
    read_shared_memory(system, domain);
    read_pool(system, domain);
    read_passthrough(system, domain);
}
