/* SPDX-License-Identifier: BSD-2-Clause */
/* See partial.h. */
#define BRIDGE_WANTS_LIBFDT
#include "partial.h"

#include <errno.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "host.h"
#include "rules.h"

#define PAGE        4096u
#define SPI_FIRST   32u
#define SPI_LAST    1019u
#define RANGES_MAX  32u

/* Where pieces come from while those of one domain are read. */
struct reader {
    const struct system *system;
    const struct assignment *from;
    void *tree; /* what is put together so far; NULL: nothing */
};

static void report(const struct reader *reader, const char *path, const char *fault)
{
    assignment_report(reader->system->assignments, reader->from, REPORT_ERROR, "%.256s: %.200s", path, fault);
}

/* Runs dtc, whose own messages name file and line; the blob is then what the descriptor has. */
static bool compile(const char *path, int descriptor)
{
    char output[32];
    char *arguments[] = {"dtc", "-q", "-I", "dts", "-O", "dtb", "-o", output, (char *)(uintptr_t)path, NULL};
    pid_t process = 0;
    int status = 0;

    snprintf(output, sizeof(output), "/proc/self/fd/%d", descriptor);
    if (posix_spawnp(&process, "dtc", NULL, NULL, arguments, environ) != 0) {
        return false;
    }
    while (waitpid(process, &status, 0) < 0) {
        if (errno != EINTR) {
            return false;
        }
    }
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/* A blob, or the source of one; NULL, reported, when it is neither. */
static void *read_piece(const struct reader *reader, const char *path)
{
    const size_t length = strlen(path);
    struct report of_file = {.stream = reader->system->assignments->report->stream, .file = path};
    struct host_tree piece = {.fdt = NULL};
    char compiled[32];
    int descriptor;

    if (length < 4 || strcmp(path + length - 4, ".dts") != 0) {
        (void)host_tree_init(&piece, path, &of_file);
    } else {
        descriptor = memfd_create("partial tree", 0);
        snprintf(compiled, sizeof(compiled), "/proc/self/fd/%d", descriptor);
        if (descriptor < 0 || !compile(path, descriptor)) {
            report(reader, path, "dtc cannot compile it, or is not installed");
        } else {
            (void)host_tree_init(&piece, compiled, &of_file);
        }
        if (descriptor >= 0) {
            close(descriptor);
        }
    }
    reader->system->assignments->report->errors += of_file.errors;
    return piece.fdt;
}

static void add_piece(struct reader *reader, const char *path)
{
    char fault[PARTIAL_FAULT_MAX];
    void *piece = read_piece(reader, path);

    if (piece == NULL) {
        return;
    }
    if (fdt_path_offset(piece, "/passthrough") < 0) {
        report(reader, path, "has no node /passthrough, which is all that Xen reads");
    } else if (reader->tree == NULL) {
        reader->tree = piece;
        return;
    } else if (!partial_merge(&reader->tree, piece, fault)) {
        report(reader, path, fault);
    }
    free(piece);
}

/* The directory of PASSTHROUGH_DTS_REPO, "REPOSITORY [DIRECTORY]"; false, reported, when it is none here. */
static bool find_repository(const struct system *system, const char *directory, char *path)
{
    const struct assignment *from = system->passthrough_repository;
    char below[BOOT_PATH_MAX];
    struct words words;
    bool good;

    if (words_init(&words, from->value, '\0') != WORDS_GOOD || words.count < 1 || words.count > 2) {
        assignment_report(system->assignments, from, REPORT_ERROR, "not a directory, and maybe another one below it");
        words_finish(&words);
        return false;
    }
    snprintf(below, sizeof(below), "%s%s%s", words.word[0], words.count == 2 ? "/" : "",
             words.count == 2 ? words.word[1] : "");
    good = boot_path(system->assignments, from, directory, below, path);
    if (good && access(path, R_OK | X_OK) != 0) {
        assignment_report(system->assignments, from, REPORT_ERROR,
                          "%.256s: %s; nothing is fetched: a repository must be cloned before", path, strerror(errno));
        good = false;
    }
    words_finish(&words);
    return good;
}

/* A device's piece has the name of its node. */
static void add_device(struct reader *reader, const char *repository, const char *device)
{
    static const char *const endings[] = {".dts", ".dtb"};
    const char *slash = strrchr(device, '/');
    char path[BOOT_PATH_MAX + 8];

    for (size_t i = 0; slash != NULL && i < sizeof(endings) / sizeof(endings[0]); i++) {
        snprintf(path, sizeof(path), "%s%s%s", repository, slash, endings[i]);
        if (access(path, R_OK) == 0) {
            add_piece(reader, path);
            return;
        }
    }
    assignment_report(reader->system->assignments, reader->from, REPORT_ERROR,
                      "no piece for %.128s: there is neither %.200s%.64s.dts nor .dtb", device, repository,
                      slash != NULL ? slash : "/?");
}

static void add_devices(struct reader *reader, const char *repository)
{
    struct words words;

    if (words_init(&words, reader->from->value, '\0') == WORDS_GOOD) {
        for (size_t i = 0; i < words.count; i++) {
            add_device(reader, repository, words.word[i]);
        }
    }
    words_finish(&words);
}

/* Devices that are given away, but that the guest is told nothing of. */
static void check_described(const struct reader *reader)
{
    struct words words;

    if (words_init(&words, reader->from->value, '\0') == WORDS_GOOD) {
        for (size_t i = 0; i < words.count; i++) {
            const char *path = NULL;
            int node = -1;

            while (reader->tree != NULL && (path = partial_next_path(reader->tree, &node)) != NULL &&
                   strcmp(path, words.word[i]) != 0) {
            }
            if (path == NULL) {
                assignment_report(reader->system->assignments, reader->from, REPORT_WARNING,
                                  "%.128s is no xen,path of the guest's partial tree: it is kept from dom0, and nobody "
                                  "gets it", words.word[i]);
            }
        }
    }
    words_finish(&words);
}

static void make_one(const struct system *system, unsigned int index, struct boot *boot, const char *directory,
                     const char *repository)
{
    const struct system_domain *domain = &system->domains[index];
    const unsigned int errors = system->assignments->report->errors;
    struct reader reader = {.system = system};
    char path[BOOT_PATH_MAX];
    char name[32];

    if (domain->partial_tree != NULL) {
        reader.from = domain->partial_tree;
        if (boot_path(system->assignments, reader.from, directory, reader.from->value, path)) {
            if (access(path, R_OK) != 0) {
                report(&reader, path, strerror(errno));
            } else {
                add_piece(&reader, path);
            }
        }
    }
    if (domain->paths != NULL && repository != NULL) {
        reader.from = domain->paths;
        add_devices(&reader, repository);
    }
    if (domain->paths != NULL && system->assignments->report->errors == errors) {
        reader.from = domain->paths;
        check_described(&reader);
    }
    if (reader.tree != NULL) {
        snprintf(name, sizeof(name), "%s-passthrough.dtb", domain->name);
        boot_make(&boot->partial_trees[index], name, reader.tree, fdt_totalsize(reader.tree));
        boot->partial_trees[index].from = reader.from;
        boot->partial_trees[index].load = domain->load != NULL ? domain->load->value : NULL;
    }
}

bool partial_make(const struct system *system, struct boot *boot, const char *directory)
{
    const unsigned int errors = system->assignments->report->errors;
    char repository[BOOT_PATH_MAX];
    bool has_repository = false;

    if (system->passthrough_repository != NULL) {
        has_repository = find_repository(system, directory, repository);
    }
    for (unsigned int i = 0; i < system->domain_count; i++) {
        make_one(system, i, boot, directory, has_repository ? repository : NULL);
    }
    partial_check_owners(system, boot);
    return system->assignments->report->errors == errors;
}

/* A property that is one text; NULL if it is none. */
static const char *text_of(const void *fdt, int node, const char *name)
{
    int length = 0;
    const char *text = fdt_getprop(fdt, node, name, &length);

    return text != NULL && length > 1 && memchr(text, '\0', (size_t)length) == text + length - 1 ? text : NULL;
}

const char *partial_next_path(const void *fdt, int *node)
{
    while ((*node = fdt_next_node(fdt, *node, NULL)) >= 0) {
        const char *path = text_of(fdt, *node, "xen,path");

        if (path != NULL) {
            return path;
        }
    }
    return NULL;
}

/* Whether one of the first `count` trees has the device. */
static const struct system_domain *find_owner(const struct system *system, const struct boot *boot, unsigned int count,
                                              const char *wanted)
{
    for (unsigned int i = 0; i < count; i++) {
        const char *path;
        int node = -1;

        while (boot->partial_trees[i].present &&
               (path = partial_next_path(boot->partial_trees[i].data, &node)) != NULL) {
            if (strcmp(path, wanted) == 0) {
                return &system->domains[i];
            }
        }
    }
    return NULL;
}

void partial_check_owners(const struct system *system, const struct boot *boot)
{
    for (unsigned int i = 0; i < system->domain_count; i++) {
        const char *path;
        int node = -1;

        while (boot->partial_trees[i].present &&
               (path = partial_next_path(boot->partial_trees[i].data, &node)) != NULL) {
            const struct system_domain *other = find_owner(system, boot, i, path);

            if (other != NULL) {
                assignment_report(system->assignments, boot->partial_trees[i].from, REPORT_ERROR,
                                  "%.128s is given to %s too; a device has one owner", path, other->name);
            }
        }
    }
}

/* One device as its node describes it, while it is checked. */
struct device {
    const struct system *system;
    const struct assignment *from;
    struct domain *guest; /* NULL: what it has is not kept */
    const char *path;     /* in the partial tree */
    unsigned int register_count; /* of the board's node, rounded to pages */
    struct host_range registers[RANGES_MAX];
};

__attribute__((format(printf, 3, 4))) static void say(const struct device *device, enum report_level level,
                                                      const char *format, ...)
{
    char message[512];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(message, sizeof(message), format, arguments);
    va_end(arguments);
    assignment_report(device->system->assignments, device->from, level, "%.128s: %s", device->path, message);
}

static bool walk_to(struct host_tree_walk *walk, const struct host_tree *tree, const char *path)
{
    host_tree_walk_init(walk, tree);
    while (host_tree_walk_next(walk)) {
        if (strcmp(walk->path, path) == 0) {
            return true;
        }
    }
    return false;
}

static bool has_interrupt(const struct domain *guest, uint32_t interrupt)
{
    for (unsigned int i = 0; i < guest->device_interrupt_count; i++) {
        if (guest->device_interrupts[i] == interrupt) {
            return true;
        }
    }
    return false;
}

/* SPIs of a node's `interrupts`, as a GIC has them: three cells, the first of which is 0. */
static void keep_interrupts(const struct device *device, const void *fdt, int node)
{
    struct domain *guest = device->guest;
    int length = 0;
    const fdt32_t *cells = fdt_getprop(fdt, node, "interrupts", &length);

    for (int i = 0; guest != NULL && cells != NULL && i + 2 < length / 4; i += 3) {
        const uint32_t number = fdt32_ld(&cells[i + 1]);

        if (fdt32_ld(&cells[i]) != 0 || number > SPI_LAST - SPI_FIRST || has_interrupt(guest, number + SPI_FIRST)) {
            continue;
        }
        if (guest->device_interrupt_count == DOMAIN_DEVICE_INTERRUPTS_MAX) {
            say(device, REPORT_ERROR, "with it %s has more than %u interrupts of devices", guest->path,
                DOMAIN_DEVICE_INTERRUPTS_MAX);
            return;
        }
        guest->device_interrupts[guest->device_interrupt_count++] = number + SPI_FIRST;
    }
}

/* The board's node that xen,path names. */
static void read_host_node(struct device *device, const struct host_tree *board, const char *host_path)
{
    struct host_tree_walk walk;

    if (!walk_to(&walk, board, host_path)) {
        say(device, REPORT_ERROR, "xen,path: the board's device tree has no node %.128s", host_path);
        return;
    }
    if (!host_tree_is_available(board, walk.node)) {
        say(device, REPORT_WARNING, "xen,path: %.128s is disabled in the board's device tree", host_path);
    }
    keep_interrupts(device, board->fdt, walk.node);
    device->register_count = host_read_registers(&walk, device->registers, RANGES_MAX);
    for (unsigned int i = 0; i < device->register_count; i++) {
        struct host_range *range = &device->registers[i];
        const uint64_t first = range->base & ~(uint64_t)(PAGE - 1);

        range->size = (range->base - first + range->size + PAGE - 1) & ~(uint64_t)(PAGE - 1);
        range->base = first;
    }
}

static bool is_in_registers(const struct device *device, uint64_t base, uint64_t size)
{
    for (unsigned int i = 0; i < device->register_count; i++) {
        const struct host_range *range = &device->registers[i];

        if (base - range->base < range->size && size <= range->size - (base - range->base)) {
            return true;
        }
    }
    return false;
}

/* Where the guest finds it, against what it has besides; only the first thing in the way is named. */
static void keep_range(const struct device *device, uint64_t base, uint64_t size)
{
    struct domain *guest = device->guest;
    const struct bridge place = {.window = {{base, size}, {0, 0}, {0, 0}}};
    const char *slash = strrchr(device->path, '/');
    struct bridge_diagnosis diagnosis;
    unsigned int cursor = 0;

    if (guest == NULL || size == 0) {
        return;
    }
    if (rules_find_conflict(guest, &place, "xen,reg", 0, &cursor, &diagnosis)) {
        say(device, REPORT_ERROR, "xen,reg: 0x%" PRIx64 "-0x%" PRIx64 " in the guest overlaps %s 0x%" PRIx64
            "-0x%" PRIx64, base, base + (size - 1), diagnosis.other, diagnosis.other_first, diagnosis.other_last);
    }
    if (guest->range_count == DOMAIN_RANGES_MAX) {
        say(device, REPORT_ERROR, "with it %s has more than %u ranges", guest->path, DOMAIN_RANGES_MAX);
        return;
    }
    guest->ranges[guest->range_count].kind = DOMAIN_DEVICE;
    guest->ranges[guest->range_count].base = base;
    guest->ranges[guest->range_count].size = size;
    snprintf(guest->ranges[guest->range_count].name, DOMAIN_NAME_MAX, "the passed-through %.28s",
             slash != NULL ? slash + 1 : "?");
    guest->range_count++;
}

/* Entries of the board's address, size, the guest's address. */
static void check_registers(const struct device *device, const struct host_tree_walk *walk, bool has_path)
{
    const uint32_t address_cells = host_tree_walk_address_cells(walk);
    const uint32_t size_cells = host_tree_walk_size_cells(walk);
    int length = 0;
    const uint8_t *next = fdt_getprop(walk->tree->fdt, walk->node, "xen,reg", &length);
    const uint32_t entry = (2u * address_cells + size_cells) * 4u;

    if (address_cells < 1 || address_cells > 2 || size_cells < 1 || size_cells > 2) {
        say(device, REPORT_ERROR, "xen,reg: #address-cells and #size-cells of the parent node must be 1 or 2");
        return;
    }
    if (length == 0 || (uint32_t)length % entry != 0) {
        say(device, REPORT_ERROR, "xen,reg: length %d bytes: expected entries of %u bytes: address, size, the guest's "
            "address", length, entry);
        return;
    }
    for (const uint8_t *const end = next + length; next < end;) {
        const uint64_t base = host_tree_take_number(&next, address_cells);
        const uint64_t size = host_tree_take_number(&next, size_cells);
        const uint64_t guest = host_tree_take_number(&next, address_cells);

        if (base % PAGE != 0 || size % PAGE != 0 || size == 0 || guest % PAGE != 0) {
            say(device, REPORT_ERROR, "xen,reg: 0x%" PRIx64 " bytes at 0x%" PRIx64 ", for the guest at 0x%" PRIx64
                ": must be whole pages of 4 KiB", size, base, guest);
        } else if (has_path && device->register_count != 0 && !is_in_registers(device, base, size)) {
            say(device, REPORT_WARNING,
                "xen,reg: 0x%" PRIx64 "-0x%" PRIx64 " is more than the registers of the board's node; the guest gets "
                "other hardware too", base, base + (size - 1));
        }
        keep_range(device, guest, size);
    }
}

static void check_device(struct device *device, const struct host_tree_walk *walk, const struct host_tree *board)
{
    const void *fdt = walk->tree->fdt;
    const char *host_path = text_of(fdt, walk->node, "xen,path");
    const bool has_registers = fdt_getprop(fdt, walk->node, "xen,reg", NULL) != NULL;
    const bool forced = fdt_getprop(fdt, walk->node, "xen,force-assign-without-iommu", NULL) != NULL;

    device->path = walk->path;
    device->register_count = 0;
    if (host_path == NULL && !has_registers) {
        return;
    }
    if (host_path != NULL) {
        read_host_node(device, board, host_path);
    }
    if (!has_registers) {
        say(device, REPORT_ERROR, "xen,reg: missing beside xen,path; Xen would not give the device");
    } else if (host_path == NULL && !forced) {
        say(device, REPORT_ERROR, "xen,path: missing beside xen,reg; Xen would not give the device");
    } else {
        check_registers(device, walk, host_path != NULL);
    }
    keep_interrupts(device, fdt, walk->node);
}

void partial_check(const struct system *system, unsigned int index, const struct boot *boot,
                   const struct host_tree *board, struct domain *guest)
{
    const struct boot_file *file = &boot->partial_trees[index];
    const struct host_tree tree = {.fdt = (void *)(uintptr_t)file->data, .report = system->assignments->report};
    struct device device = {.system = system, .from = file->from, .guest = guest};
    struct host_tree_walk walk;

    if (!file->present) {
        return;
    }
    host_tree_walk_init(&walk, &tree);
    while (host_tree_walk_next(&walk)) {
        if (strncmp(walk.path, "/passthrough/", strlen("/passthrough/")) == 0) {
            check_device(&device, &walk, board);
        }
    }
}
