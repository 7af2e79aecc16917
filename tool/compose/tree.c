/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * See tree.h. libfdt puts a new node before those that its parent has, as U-Boot does, which uses it; so what is to be
 * first is made last.
 */
#define BRIDGE_WANTS_LIBFDT
#include "tree.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "partial.h"

#define ROOM_OF_SYSTEM 0x10000u
#define ROOM_OF_DOMAIN 0x4000u /* its node, its modules, bridges, command line */

struct maker {
    const struct system *system;
    const struct boot *boot;
    void *fdt;
    enum tree_form form;
    int error; /* of libfdt, the first one */
    uint32_t next_phandle;
    uint32_t channel_phandles[SYSTEM_DOMAINS_MAX]; /* of each domain's first channel */
    uint32_t pool_phandles[SYSTEM_POOLS_MAX];
};

static void put(struct maker *maker, int node, const char *name, const void *value, size_t size)
{
    if (maker->error == 0) {
        maker->error = fdt_setprop(maker->fdt, node, name, value, (int)size);
    }
}

static void put_flag(struct maker *maker, int node, const char *name)
{
    put(maker, node, name, NULL, 0);
}

static void put_text(struct maker *maker, int node, const char *name, const char *text)
{
    put(maker, node, name, text, strlen(text) + 1);
}

static void put_cell(struct maker *maker, int node, const char *name, uint32_t value)
{
    const fdt32_t cell = cpu_to_fdt32(value);

    put(maker, node, name, &cell, sizeof(cell));
}

/* Numbers of two cells each. */
static void put_numbers(struct maker *maker, int node, const char *name, const uint64_t *numbers, size_t count)
{
    fdt64_t cells[2 * SYSTEM_RANGES_MAX];

    for (size_t i = 0; i < count; i++) {
        cells[i] = cpu_to_fdt64(numbers[i]);
    }
    put(maker, node, name, cells, count * sizeof(cells[0]));
}

static void put_windows(struct maker *maker, int node, const char *name, const struct bridge_window *windows,
                        size_t count)
{
    uint64_t numbers[2 * SYSTEM_RANGES_MAX];

    for (size_t i = 0; i < count; i++) {
        numbers[2 * i] = windows[i].base;
        numbers[2 * i + 1] = windows[i].size;
    }
    put_numbers(maker, node, name, numbers, 2 * count);
}

/* A new node in front of the parent's others; 0, which is the root's, after a fault. */
static int add_node(struct maker *maker, int parent, const char *name)
{
    int node;

    if (maker->error != 0) {
        return 0;
    }
    node = fdt_add_subnode(maker->fdt, parent, name);
    if (node == -FDT_ERR_EXISTS) {
        report_write(maker->system->assignments->report, REPORT_ERROR, "DEVICE_TREE",
                     "the board's device tree has a node %.64s in /chosen already; take it out", name);
    }
    if (node < 0) {
        maker->error = node;
        return 0;
    }
    return node;
}

static int add_node_at(struct maker *maker, int parent, const char *name, uint64_t address)
{
    char full_name[64];

    snprintf(full_name, sizeof(full_name), "%s@%" PRIx64, name, address);
    return add_node(maker, parent, full_name);
}

/* A file that Xen finds by its address, or, as an EFI program, by its name. */
static void put_module(struct maker *maker, int node, const struct boot_file *file, const char *compatible,
                       size_t compatible_size)
{
    const struct bridge_window place = {.base = file->address, .size = file->size};

    put(maker, node, "compatible", compatible, compatible_size);
    if (maker->form == TREE_FOR_EFI) {
        char name[BOOT_NAME_MAX];

        snprintf(name, sizeof(name), "%s", file->name);
        for (char *slash = name; (slash = strchr(slash, '/')) != NULL;) {
            *slash = '\\';
        }
        put_text(maker, node, "xen,uefi-binary", name);
    } else {
        put_windows(maker, node, "reg", &place, 1);
    }
}

#define PUT_MODULE(maker, node, file, compatible) put_module(maker, node, file, compatible, sizeof(compatible))

static void add_module(struct maker *maker, int parent, const struct boot_file *file, const char *compatible,
                       size_t compatible_size, const char *command)
{
    int node;

    if (!file->present) {
        return;
    }
    node = add_node_at(maker, parent, "module", file->address);
    put_module(maker, node, file, compatible, compatible_size);
    if (command[0] != '\0') {
        put_text(maker, node, "bootargs", command);
    }
}

#define ADD_MODULE(maker, parent, file, compatible, command) \
    add_module(maker, parent, file, compatible, sizeof(compatible), command)

static bool is_one_property(const struct system_domain *domain)
{
    const struct bridge *bridge = &domain->bridges[0].bridge;

    return domain->bridge_count == 1 && bridge->backend == 0 &&
           (bridge->hold_ms == 0 || bridge->hold_ms == BRIDGE_HOLD_MS);
}

/* The one property: windows, then a cell each for interrupts and flags. */
static void put_bridge(struct maker *maker, int node, const struct bridge *bridge)
{
    struct {
        fdt64_t windows[2 * BRIDGE_WINDOWS];
        fdt32_t rest[3];
    } __attribute__((packed)) value;

    for (unsigned int i = 0; i < BRIDGE_WINDOWS; i++) {
        value.windows[2 * i] = cpu_to_fdt64(bridge->window[i].base);
        value.windows[2 * i + 1] = cpu_to_fdt64(bridge->window[i].size);
    }
    value.rest[0] = cpu_to_fdt32(bridge->interrupt_first);
    value.rest[1] = cpu_to_fdt32(bridge->interrupt_count);
    value.rest[2] = cpu_to_fdt32(bridge->flags);
    put(maker, node, BRIDGE_PROPERTY, &value, sizeof(value));
}

static void add_bridge(struct maker *maker, int parent, const struct bridge *bridge)
{
    static const char names[] = "ecam\0memory\0prefetch";
    const int node = add_node_at(maker, parent, "bridge", bridge->ecam.base);
    const bool prefetch = bridge->prefetch.size != 0;
    const fdt32_t interrupts[2] = {cpu_to_fdt32(bridge->interrupt_first), cpu_to_fdt32(bridge->interrupt_count)};

    put_text(maker, node, "compatible", BRIDGE_COMPATIBLE);
    put_windows(maker, node, "reg", bridge->window, prefetch ? 3 : 2);
    put(maker, node, "reg-names", names, prefetch ? sizeof(names) : strlen("ecam") + 1 + strlen("memory") + 1);
    put(maker, node, "xen,irqs", interrupts, sizeof(interrupts));
    if (bridge->hold_ms != 0) {
        put_cell(maker, node, "xen,hold-ms", bridge->hold_ms);
    }
    if ((bridge->flags & BRIDGE_FLAG_GRANTS) != 0) {
        put_flag(maker, node, "xen,grants");
    }
    if (bridge->backend != 0) {
        put_cell(maker, node, "xen,backend", bridge->backend);
    }
}

static void add_bridges(struct maker *maker, int node, const struct system_domain *domain)
{
    if (maker->form == TREE_WITHOUT_BRIDGES || domain->bridge_count == 0) {
        return;
    }
    if (is_one_property(domain)) {
        put_bridge(maker, node, &domain->bridges[0].bridge);
        return;
    }
    for (unsigned int i = domain->bridge_count; i > 0; i--) {
        add_bridge(maker, node, &domain->bridges[i - 1].bridge);
    }
}

/* Which vCPUs may run where: of DOMU_VCPU_HARD_AFFINITY[n,v], a node each. */
static void add_affinities(struct maker *maker, int parent, const struct system_domain *domain)
{
    for (uint32_t vcpu = domain->vcpus; vcpu > 0; vcpu--) {
        const struct assignment *found = assignments_find_pair(maker->system->assignments, "DOMU_VCPU_HARD_AFFINITY",
                                                               domain->number, vcpu - 1);
        char name[32];
        int node;

        if (found == NULL || found->value[0] == '\0') {
            continue;
        }
        snprintf(name, sizeof(name), "vcpu%u", vcpu - 1);
        node = add_node(maker, parent, name);
        put_text(maker, node, "compatible", "xen,vcpu");
        put_cell(maker, node, "id", vcpu - 1);
        put_text(maker, node, "hard-affinity", found->value);
    }
}

static void add_shared_memory(struct maker *maker, int parent, const struct system_shared_memory *memory)
{
    const uint64_t numbers[3] = {memory->host_address, memory->guest_address, memory->size};
    const bool host = memory->has_host_address;
    int node;

    if (memory->from == NULL) {
        return;
    }
    node = add_node_at(maker, parent, "shared-mem", host ? memory->host_address : memory->guest_address);
    put_text(maker, node, "compatible", "xen,domain-shared-memory-v1");
    put_text(maker, node, "xen,shm-id", memory->id);
    put_numbers(maker, node, "xen,shared-mem", host ? numbers : numbers + 1, host ? 3 : 2);
}

/* The phandle of the other end, which was looked for when the configuration was read. */
static uint32_t remote_phandle(const struct maker *maker, const struct system_domain *domain,
                               const struct system_channel *channel)
{
    const struct system_domain *remote = system_find_domain(maker->system, channel->remote_domain);

    for (unsigned int i = 0; remote != NULL && i < remote->channel_count; i++) {
        if (remote->channels[i].port == channel->remote_port && remote->channels[i].remote_domain == domain->number) {
            return maker->channel_phandles[remote - maker->system->domains] + i;
        }
    }
    return 0;
}

static void add_channels(struct maker *maker, int parent, const struct system_domain *domain)
{
    for (unsigned int i = domain->channel_count; i > 0; i--) {
        const struct system_channel *channel = &domain->channels[i - 1];
        char name[32];
        int node;
        const fdt32_t link[2] = {cpu_to_fdt32(channel->port),
                                 cpu_to_fdt32(remote_phandle(maker, domain, channel))};

        snprintf(name, sizeof(name), "evtchn@%u", channel->port);
        node = add_node(maker, parent, name);
        put_text(maker, node, "compatible", "xen,evtchn-v1");
        put(maker, node, "xen,evtchn", link, sizeof(link));
        put_cell(maker, node, "phandle", maker->channel_phandles[domain - maker->system->domains] + i - 1);
    }
}

static void put_domain_properties(struct maker *maker, int node, const struct system_domain *domain)
{
    const uint64_t memory = domain->memory_kib;

    put_text(maker, node, "compatible", "xen,domain");
    put_cell(maker, node, "#address-cells", 2);
    put_cell(maker, node, "#size-cells", 2);
    put_numbers(maker, node, "memory", &memory, 1);
    put_cell(maker, node, "cpus", domain->vcpus);
    if (domain->static_count != 0) {
        put_windows(maker, node, "xen,static-mem", domain->static_memory, domain->static_count);
    }
    if (domain->direct_map) {
        put_flag(maker, node, "direct-map");
    }
    if (domain->vpl011 && domain->vpl011_value != NULL) {
        put_text(maker, node, "vpl011", domain->vpl011_value);
    } else if (domain->vpl011) {
        put_flag(maker, node, "vpl011");
    }
    if (domain->enhanced != NULL) {
        put_text(maker, node, "xen,enhanced", domain->enhanced);
    }
    if (domain->viommu) {
        put_flag(maker, node, "viommu");
    }
    if (domain->passthrough) {
        put_text(maker, node, "passthrough", "enabled");
    }
    if (domain->colors != NULL) {
        put_text(maker, node, "llc-colors", domain->colors);
    }
    if (domain->pool != NULL) {
        put_cell(maker, node, "domain-cpupool", maker->pool_phandles[domain->pool_number]);
    }
    for (unsigned int i = 0; i < domain->cell_count; i++) {
        put_cell(maker, node, domain->cells[i].property, domain->cells[i].value);
    }
}

static void add_domain(struct maker *maker, int chosen, const struct system_domain *domain)
{
    const size_t index = (size_t)(domain - maker->system->domains);
    const int node = add_node(maker, chosen, domain->name);

    put_domain_properties(maker, node, domain);
    add_channels(maker, node, domain);
    add_affinities(maker, node, domain);
    add_shared_memory(maker, node, &domain->shared_memory);
    add_bridges(maker, node, domain);
    ADD_MODULE(maker, node, &maker->boot->partial_trees[index], "multiboot,device-tree\0multiboot,module", "");
    ADD_MODULE(maker, node, &maker->boot->ramdisks[index], "multiboot,ramdisk\0multiboot,module", "");
    ADD_MODULE(maker, node, &maker->boot->kernels[index], "multiboot,kernel\0multiboot,module", domain->command);
}

static void add_dom0(struct maker *maker, int chosen)
{
    const struct boot *boot = maker->boot;
    int node;

    if (boot->policy.present) {
        node = add_node(maker, chosen, "xen-policy");
        PUT_MODULE(maker, node, &boot->policy, "xen,xsm-policy\0xen,multiboot-module\0multiboot,module");
    }
    if (boot->dom0_ramdisk.present) {
        node = add_node(maker, chosen, "dom0-ramdisk");
        PUT_MODULE(maker, node, &boot->dom0_ramdisk,
                   "multiboot,ramdisk\0xen,linux-initrd\0xen,multiboot-module\0multiboot,module");
    }
    if (boot->dom0_kernel.present) {
        node = add_node(maker, chosen, "dom0");
        PUT_MODULE(maker, node, &boot->dom0_kernel,
                   "multiboot,kernel\0xen,linux-zimage\0xen,multiboot-module\0multiboot,module");
        put_text(maker, chosen, "xen,dom0-bootargs", maker->system->dom0_command);
    }
}

/* Of a cpu's node, which gets one if it has none; 0 when there is no such node, or it was taken before. */
static uint32_t take_cpu(struct maker *maker, const struct assignment *pool, const char *name, char *taken, size_t room)
{
    char path[128];
    int node;
    uint32_t phandle;

    snprintf(path, sizeof(path), "/cpus/%s", name);
    node = strlen(name) < 64 ? fdt_path_offset(maker->fdt, path) : -FDT_ERR_NOTFOUND;
    if (node < 0) {
        assignment_report(maker->system->assignments, pool, REPORT_ERROR, "the board's device tree has no %.100s",
                          path);
        return 0;
    }
    snprintf(path, sizeof(path), " %s ", name);
    if (strstr(taken, path) != NULL) {
        assignment_report(maker->system->assignments, pool, REPORT_ERROR, "%s is in another pool already", name);
        return 0;
    }
    if (strlen(taken) + strlen(path) < room) {
        strcat(taken, path);
    }
    phandle = fdt_get_phandle(maker->fdt, node);
    if (phandle == 0) {
        phandle = maker->next_phandle++;
        put_cell(maker, node, "phandle", phandle);
    }
    return phandle;
}

#define POOL_CPUS_MAX 128u

/* "cpu@0,cpu@1 null" */
static bool find_pool_cpus(struct maker *maker, unsigned int index, const char *list, char *taken, size_t room,
                           fdt32_t *cells, unsigned int *count)
{
    struct words names;
    bool good = words_init(&names, list, ',') == WORDS_GOOD && names.count > 0 && names.count <= POOL_CPUS_MAX;

    *count = 0;
    for (size_t i = 0; good && i < names.count; i++) {
        const uint32_t phandle = take_cpu(maker, maker->system->pools[index], names.word[i], taken, room);

        good = phandle != 0;
        cells[(*count)++] = cpu_to_fdt32(phandle);
    }
    words_finish(&names);
    return good;
}

/* The CPUs are looked for first, since a node that is added moves those behind it. */
static void add_pools(struct maker *maker)
{
    static char taken[8192];

    taken[0] = '\0';
    for (unsigned int i = maker->system->pool_count; i > 0; i--) {
        const struct assignment *pool = maker->system->pools[i - 1];
        fdt32_t cells[POOL_CPUS_MAX];
        unsigned int count = 0;
        struct words words;
        char name[32];
        int node;

        if (words_init(&words, pool->value, '\0') != WORDS_GOOD || words.count < 1 || words.count > 2) {
            assignment_report(maker->system->assignments, pool, REPORT_ERROR,
                              "not a list of CPUs with commas between, and maybe a scheduler: \"cpu@1,cpu@2 null\"");
        } else if (find_pool_cpus(maker, i - 1, words.word[0], taken, sizeof(taken), cells, &count)) {
            snprintf(name, sizeof(name), "cpupool_%u", i - 1);
            node = add_node(maker, fdt_path_offset(maker->fdt, "/chosen"), name);
            put_text(maker, node, "compatible", "xen,cpupool");
            put(maker, node, "cpupool-cpus", cells, count * sizeof(cells[0]));
            put_cell(maker, node, "phandle", maker->pool_phandles[i - 1]);
            if (words.count == 2) {
                put_text(maker, node, "cpupool-sched", words.word[1]);
            }
        }
        words_finish(&words);
    }
}

/* Marks the devices that guests get, each for one. */
static void mark_devices(struct maker *maker)
{
    const struct assignments *assignments = maker->system->assignments;

    for (unsigned int i = 0; i < maker->system->domain_count; i++) {
        const struct assignment *paths = maker->system->domains[i].paths;
        struct words words;

        if (paths == NULL) {
            continue;
        }
        if (words_init(&words, paths->value, '\0') != WORDS_GOOD) {
            assignment_report(assignments, paths, REPORT_ERROR, "not a list of paths with blanks between");
        }
        for (size_t j = 0; j < words.count; j++) {
            const int node = words.word[j][0] == '/' ? fdt_path_offset(maker->fdt, words.word[j]) : -FDT_ERR_BADPATH;

            if (node < 0) {
                assignment_report(assignments, paths, REPORT_ERROR, "the board's device tree has no node %.128s",
                                  words.word[j]);
            } else {
                put_flag(maker, node, "xen,passthrough");
            }
        }
        words_finish(&words);
    }
}

/* The devices of partial trees too, so that nobody has to mark them by hand. */
static void mark_described_devices(struct maker *maker)
{
    for (unsigned int i = 0; i < maker->system->domain_count; i++) {
        const struct boot_file *file = &maker->boot->partial_trees[i];
        const char *path;
        int partial_node = -1;

        while (file->present && (path = partial_next_path(file->data, &partial_node)) != NULL) {
            const int node = fdt_path_offset(maker->fdt, path);

            if (node > 0) {
                put_flag(maker, node, "xen,passthrough");
            }
        }
    }
}

/* Of as many cells as the root says, 1 or 2 (Xen: process_chosen_node()). */
static void put_heap(struct maker *maker, int chosen)
{
    const struct system *system = maker->system;
    const int cells[2] = {fdt_address_cells(maker->fdt, 0), fdt_size_cells(maker->fdt, 0)};
    uint8_t value[16 * SYSTEM_RANGES_MAX];
    uint8_t *next = value;

    for (unsigned int i = 0; i < 2 * system->heap_count; i++) {
        const uint64_t number = i % 2 == 0 ? system->heap[i / 2].base : system->heap[i / 2].size;
        const int count = cells[i % 2];

        if (count < 1 || count > 2 || (count == 1 && number > UINT32_MAX)) {
            report_write(system->assignments->report, REPORT_ERROR, "XEN_STATIC_HEAP",
                         "0x%" PRIx64 " does not fit: the root of the board's device tree has %s %d", number,
                         i % 2 == 0 ? "#address-cells" : "#size-cells", count);
            return;
        }
        for (int byte = count * 4 - 1; byte >= 0; byte--) {
            *next++ = (uint8_t)(number >> (8 * byte));
        }
    }
    if (next != value) {
        put(maker, chosen, "xen,static-heap", value, (size_t)(next - value));
    }
}

static int find_chosen(struct maker *maker)
{
    const int chosen = fdt_path_offset(maker->fdt, "/chosen");

    return chosen >= 0 ? chosen : add_node(maker, 0, "chosen");
}

/* Nodes that /chosen has already, and that say where something is, would be read by the cells that are set here. */
static void check_chosen(const struct maker *maker, int chosen)
{
    int node;

    if (fdt_address_cells(maker->fdt, chosen) == 2 && fdt_size_cells(maker->fdt, chosen) == 2) {
        return;
    }
    fdt_for_each_subnode(node, maker->fdt, chosen) {
        if (fdt_getprop(maker->fdt, node, "reg", NULL) != NULL) {
            report_write(maker->system->assignments->report, REPORT_ERROR, "DEVICE_TREE",
                         "/chosen/%.64s of the board's device tree has a reg, with cells other than 2 and 2; take it "
                         "out",
                         fdt_get_name(maker->fdt, node, NULL));
        }
    }
}

static void number_phandles(struct maker *maker)
{
    uint32_t highest = 0;

    if (fdt_find_max_phandle(maker->fdt, &highest) != 0 || highest >= UINT32_MAX - 0x10000u) {
        highest = 0;
    }
    maker->next_phandle = highest + 1;
    for (unsigned int i = 0; i < maker->system->pool_count; i++) {
        maker->pool_phandles[i] = maker->next_phandle++;
    }
    for (unsigned int i = 0; i < maker->system->domain_count; i++) {
        maker->channel_phandles[i] = maker->next_phandle;
        maker->next_phandle += maker->system->domains[i].channel_count;
    }
}

static void make(struct maker *maker)
{
    int chosen;

    number_phandles(maker);
    mark_devices(maker);
    mark_described_devices(maker);
    chosen = find_chosen(maker);
    check_chosen(maker, chosen);
    put_cell(maker, chosen, "#address-cells", 2);
    put_cell(maker, chosen, "#size-cells", 2);
    put_text(maker, chosen, "xen,xen-bootargs", maker->system->xen_command);
    put_heap(maker, chosen);
    add_pools(maker);
    for (unsigned int i = maker->system->domain_count; i > 0; i--) {
        add_domain(maker, fdt_path_offset(maker->fdt, "/chosen"), &maker->system->domains[i - 1]);
    }
    add_dom0(maker, fdt_path_offset(maker->fdt, "/chosen"));
    if (maker->error == 0) {
        maker->error = fdt_pack(maker->fdt);
    }
}

void *tree_make(const struct system *system, const struct boot *boot, const struct host_tree *board,
                enum tree_form form)
{
    struct report *report = system->assignments->report;
    const unsigned int errors = report->errors;
    const size_t size = fdt_totalsize(board->fdt) + ROOM_OF_SYSTEM + system->domain_count * (size_t)ROOM_OF_DOMAIN;
    struct maker maker = {.system = system, .boot = boot, .form = form, .fdt = malloc(size)};

    if (maker.fdt == NULL) {
        report_write(report, REPORT_ERROR, NULL, "out of memory");
        return NULL;
    }
    maker.error = fdt_open_into(board->fdt, maker.fdt, (int)size);
    if (maker.error == 0) {
        make(&maker);
    }
    if (maker.error != 0 && report->errors == errors) {
        report_write(report, REPORT_ERROR, system->tree_name, "the tree cannot be made: %s",
                     fdt_strerror(maker.error));
    } else if (maker.error == 0 && fdt_totalsize(maker.fdt) > TREE_SIZE_MAX) {
        report_write(report, REPORT_ERROR, system->tree_name, "%u bytes: Xen and the boot loader have room for %u",
                     fdt_totalsize(maker.fdt), TREE_SIZE_MAX);
    }
    if (report->errors != errors) {
        free(maker.fdt);
        return NULL;
    }
    return maker.fdt;
}

/* What is wrong with a file is said with its name, not the configuration's. */
static bool read_tree(const struct system *system, const struct assignment *from, const char *directory,
                      struct host_tree *tree, char *path)
{
    struct report *report = system->assignments->report;
    struct report of_file = {.stream = report->stream, .file = path};
    bool good;

    if (!boot_path(system->assignments, from, directory, from->value, path)) {
        return false;
    }
    if (access(path, R_OK) != 0) {
        assignment_report(system->assignments, from, REPORT_ERROR, "%.256s: %s", path, strerror(errno));
        return false;
    }
    good = host_tree_init(tree, path, &of_file);
    report->errors += of_file.errors;
    tree->report = report;
    return good;
}

/* libfdt spoils both trees when it fails, so both are copies; tree's is replaced. */
static bool apply(const struct system *system, const struct assignment *from, const char *directory,
                  struct host_tree *tree)
{
    char path[BOOT_PATH_MAX];
    struct host_tree overlay;
    size_t size;
    void *copy;
    int error;

    if (!read_tree(system, from, directory, &overlay, path)) {
        return false;
    }
    size = (size_t)fdt_totalsize(tree->fdt) + fdt_totalsize(overlay.fdt) * 2u + 1024u;
    copy = malloc(size);
    error = copy != NULL ? fdt_open_into(tree->fdt, copy, (int)size) : -FDT_ERR_NOSPACE;
    error = error != 0 ? error : fdt_overlay_apply(copy, overlay.fdt);
    host_tree_finish(&overlay);
    if (error != 0) {
        free(copy);
        assignment_report(system->assignments, from, REPORT_ERROR, "cannot be applied to DEVICE_TREE: %s%s",
                          fdt_strerror(error),
                          error == -FDT_ERR_NOTFOUND ? "; was the board's tree compiled with dtc -@?" : "");
        return false;
    }
    free(tree->fdt);
    tree->fdt = copy;
    return true;
}

bool tree_read_board(const struct system *system, const char *directory, struct host_tree *board)
{
    char path[BOOT_PATH_MAX];
    bool good = true;

    if (!read_tree(system, system->device_tree, directory, board, path)) {
        return false;
    }
    for (unsigned int i = 0; good && i < system->overlay_count; i++) {
        good = apply(system, system->overlays[i], directory, board);
    }
    if (!good) {
        host_tree_finish(board);
    }
    return good;
}
