/* SPDX-License-Identifier: BSD-2-Clause */
/* See boot.h. */
#include "boot.h"

#include <errno.h>
#include <fcntl.h>
#include <libfdt.h>
#include <nettle/sha2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "setting.h"

#define IMAGE_HEADER_SIZE 64u /* of an arm64 Image (Linux: Documentation/arm64/booting.rst) */
#define IMAGE_SIZE_AT     16u
#define IMAGE_MAGIC_AT    56u
#define ZIMAGE_MAGIC_AT   36u /* of an arm32 zImage */

bool boot_path(const struct assignments *assignments, const struct assignment *from, const char *directory,
               const char *name, char *path)
{
    const int length = name[0] == '/' ? snprintf(path, BOOT_PATH_MAX, "%s", name)
                                      : snprintf(path, BOOT_PATH_MAX, "%s/%s", directory, name);

    if (length < 0 || (unsigned int)length >= BOOT_PATH_MAX) {
        assignment_report(assignments, from, REPORT_ERROR, "a path of more than %u bytes", BOOT_PATH_MAX - 1);
        return false;
    }
    return true;
}

/* Why an open file cannot be mapped, or NULL. */
static const char *map(int descriptor, struct boot_file *file)
{
    struct stat status;
    void *data;

    if (fstat(descriptor, &status) != 0) {
        return strerror(errno);
    }
    if (!S_ISREG(status.st_mode)) {
        return "not a regular file";
    }
    if (status.st_size == 0) {
        return "an empty file";
    }
    if ((uint64_t)status.st_size > BOOT_FILE_MAX) {
        return "larger than 2 GiB";
    }
    data = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE, descriptor, 0);
    if (data == MAP_FAILED) {
        return strerror(errno);
    }
    file->data = data;
    file->size = (uint64_t)status.st_size;
    file->memory_size = file->size;
    file->mapped = true;
    file->present = true;
    return NULL;
}

bool boot_map(const struct assignments *assignments, const struct assignment *from, const char *path,
              struct boot_file *file)
{
    const int descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    const char *fault = descriptor < 0 ? strerror(errno) : map(descriptor, file);

    if (descriptor >= 0) {
        close(descriptor);
    }
    if (fault != NULL) {
        assignment_report(assignments, from, REPORT_ERROR, "%.256s: %s", path, fault);
        return false;
    }
    file->from = from;
    return true;
}

/* The name for the boot loader: the path below the directory, or only its end if it is elsewhere. */
static bool name_file(const struct assignments *assignments, struct boot_file *file)
{
    const char *path = file->from->value;
    const char *slash = strrchr(path, '/');

    while (strncmp(path, "./", 2) == 0) {
        path += 2;
    }
    if (path[0] == '/' || strncmp(path, "../", 3) == 0 || strstr(path, "/../") != NULL) {
        path = slash + 1;
    }
    if (strlen(path) >= sizeof(file->name)) {
        assignment_report(assignments, file->from, REPORT_ERROR, "a name of more than %zu bytes",
                          sizeof(file->name) - 1);
        return false;
    }
    snprintf(file->name, sizeof(file->name), "%s", path);
    return setting_check_file_name(assignments, file->from, path);
}

static bool has(const struct boot_file *file, uint64_t offset, const char *bytes, size_t count)
{
    return file->size >= offset + count && memcmp(file->data + offset, bytes, count) == 0;
}

static bool is_gzip(const struct boot_file *file)
{
    return has(file, 0, "\x1f\x8b", 2);
}

static bool is_for_uboot(const struct boot_file *file)
{
    return has(file, 0, "\x27\x05\x19\x56", 4);
}

static uint64_t little_endian_64(const uint8_t *bytes)
{
    uint64_t number = 0;

    for (unsigned int i = 8; i > 0; i--) {
        number = (number << 8) | bytes[i - 1];
    }
    return number;
}

/* The first bytes of what is packed in a file; false when they cannot be had. */
static bool unpack_header(const struct boot_file *file, uint8_t *header)
{
    z_stream stream = {.next_in = (Bytef *)(uintptr_t)file->data, .next_out = header, .avail_out = IMAGE_HEADER_SIZE};
    int result;

    stream.avail_in = file->size < UINT32_MAX ? (uInt)file->size : UINT32_MAX;
    if (inflateInit2(&stream, 15 + 16) != Z_OK) {
        return false;
    }
    do {
        result = inflate(&stream, Z_SYNC_FLUSH);
    } while (result == Z_OK && stream.avail_out != 0 && stream.avail_in != 0);
    inflateEnd(&stream);
    return stream.avail_out == 0;
}

static bool is_image(const uint8_t *header)
{
    return memcmp(header + IMAGE_MAGIC_AT, "ARM\x64", 4) == 0 ||
           memcmp(header + ZIMAGE_MAGIC_AT, "\x18\x28\x6f\x01", 4) == 0;
}

/* An executable needs more memory than its file has bytes: what it clears before it starts. */
static void read_image_size(struct boot_file *file)
{
    if (file->size >= IMAGE_HEADER_SIZE && memcmp(file->data + IMAGE_MAGIC_AT, "ARM\x64", 4) == 0) {
        const uint64_t size = little_endian_64(file->data + IMAGE_SIZE_AT);

        if (size > file->memory_size && size <= BOOT_FILE_MAX) {
            file->memory_size = size;
        }
    }
}

static void check_kernel(const struct assignments *assignments, struct boot_file *file)
{
    uint8_t header[IMAGE_HEADER_SIZE] = {0};
    bool good = file->size >= IMAGE_HEADER_SIZE;

    if (has(file, 4, "zimg", 4)) {
        assignment_report(assignments, file->from, REPORT_ERROR,
                          "a kernel that unpacks itself by EFI, which Xen cannot start; take the Image inside");
        return;
    }
    if (is_gzip(file)) {
        good = unpack_header(file, header);
    } else if (good) {
        memcpy(header, file->data, sizeof(header));
    }
    if (is_for_uboot(file)) {
        return;
    }
    if (!good || !is_image(header)) {
        assignment_report(assignments, file->from, REPORT_WARNING,
                          "neither an Image of arm64 nor a zImage of arm32, also not packed by gzip; Xen may not start "
                          "it");
    }
    read_image_size(file);
}

static void check_hypervisor(const struct assignments *assignments, struct boot_file *file)
{
    if (file->size < IMAGE_HEADER_SIZE || !is_image(file->data)) {
        assignment_report(assignments, file->from, REPORT_WARNING,
                          "neither an Image of arm64 nor a zImage of arm32: U-Boot may not start it");
    }
    read_image_size(file);
}

static void check_ramdisk(const struct assignments *assignments, struct boot_file *file)
{
    static const struct {
        const char *bytes;
        size_t count;
    } kinds[] = {{"070701", 6}, {"070702", 6}, {"\xc7\x71", 2}, {"\x1f\x8b", 2}, {"\xfd" "7zXZ", 5}, {"BZh", 3},
                 {"\x28\xb5\x2f\xfd", 4}, {"\x02\x21\x4c\x18", 4}, {"\x04\x22\x4d\x18", 4}, {"\x5d\x00\x00", 3},
                 {"\x89LZO", 4}};

    if (is_for_uboot(file)) {
        assignment_report(assignments, file->from, REPORT_ERROR,
                          "a ramdisk in an image for U-Boot; name the cpio archive that it was made of");
        return;
    }
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        if (has(file, 0, kinds[i].bytes, kinds[i].count)) {
            return;
        }
    }
    assignment_report(assignments, file->from, REPORT_WARNING, "not a cpio archive, also not a packed one");
}

static void check_nothing(const struct assignments *assignments, struct boot_file *file)
{
    (void)assignments, (void)file;
}

typedef void check_function(const struct assignments *assignments, struct boot_file *file);

static void open_file(const struct system *system, const char *directory, const struct assignment *from,
                      const struct assignment *load, check_function *check, struct boot_file *file)
{
    char path[BOOT_PATH_MAX];

    if (from == NULL) {
        return;
    }
    file->from = from;
    file->load = load != NULL ? load->value : NULL;
    if (name_file(system->assignments, file) &&
        boot_path(system->assignments, from, directory, from->value, path) &&
        boot_map(system->assignments, from, path, file)) {
        check(system->assignments, file);
    }
}

bool boot_init(struct boot *boot, const struct system *system, const char *directory)
{
    const unsigned int errors = system->assignments->report->errors;

    memset(boot, 0, sizeof(*boot));
    open_file(system, directory, system->xen, system->xen_load, check_hypervisor, &boot->xen);
    open_file(system, directory, system->dom0_kernel, system->dom0_load, check_kernel, &boot->dom0_kernel);
    open_file(system, directory, system->dom0_ramdisk, system->dom0_load, check_ramdisk, &boot->dom0_ramdisk);
    open_file(system, directory, system->policy, system->xen_load, check_nothing, &boot->policy);
    open_file(system, directory, system->bitstream, system->xen_load, check_nothing, &boot->bitstream);
    for (unsigned int i = 0; i < system->domain_count; i++) {
        const struct system_domain *domain = &system->domains[i];

        open_file(system, directory, domain->kernel, domain->load, check_kernel, &boot->kernels[i]);
        open_file(system, directory, domain->ramdisk, domain->load, check_ramdisk, &boot->ramdisks[i]);
    }
    return system->assignments->report->errors == errors;
}

static void finish_file(struct boot_file *file)
{
    /* Both kinds are compose's alone; const is for whoever reads them. */
    void *data = (void *)(uintptr_t)file->data;

    if (file->mapped) {
        munmap(data, (size_t)file->size);
    } else {
        free(data);
    }
    file->data = NULL;
    file->present = false;
}

void boot_unmap(struct boot_file *file)
{
    finish_file(file);
}

void boot_finish(struct boot *boot)
{
    struct boot_file *list[BOOT_FILES_MAX];
    const unsigned int count = boot_list(boot, list);

    for (unsigned int i = 0; i < count; i++) {
        finish_file(list[i]);
    }
}

void boot_make(struct boot_file *file, const char *name, void *data, uint64_t size)
{
    if (file->present) {
        finish_file(file);
    }
    snprintf(file->name, sizeof(file->name), "%s", name);
    file->data = data;
    file->size = size;
    file->memory_size = size;
    file->mapped = false;
    file->present = true;
}

void boot_reserve(struct boot_file *file, uint64_t memory_size)
{
    file->memory_size = memory_size;
    file->present = true;
}

static void list_file(struct boot_file *file, struct boot_file **list, unsigned int *count)
{
    if (file->present) {
        list[(*count)++] = file;
    }
}

unsigned int boot_list(struct boot *boot, struct boot_file **list)
{
    struct boot_file *const first[] = {&boot->script, &boot->xen, &boot->tree, &boot->dom0_kernel, &boot->dom0_ramdisk,
                                       &boot->policy, &boot->bitstream};
    unsigned int count = 0;

    for (size_t i = 0; i < sizeof(first) / sizeof(first[0]); i++) {
        list_file(first[i], list, &count);
    }
    for (unsigned int i = 0; i < SYSTEM_DOMAINS_MAX; i++) {
        list_file(&boot->kernels[i], list, &count);
        list_file(&boot->ramdisks[i], list, &count);
        list_file(&boot->partial_trees[i], list, &count);
    }
    return count;
}

static bool is_same(const struct boot_file *left, const struct boot_file *right)
{
    if (left->from != NULL && right->from != NULL && strcmp(left->from->value, right->from->value) == 0) {
        return true;
    }
    return left->size == right->size && memcmp(left->data, right->data, (size_t)left->size) == 0;
}

static void report_name(const struct assignments *assignments, const struct boot_file *file, const char *other)
{
    if (file->from != NULL) {
        assignment_report(assignments, file->from, REPORT_ERROR,
                          "%.128s: another file has the name %.128s, which on a FAT file system is the same",
                          file->name, other);
    } else {
        report_write(assignments->report, REPORT_ERROR, file->name, "another file has the name %.128s", other);
    }
}

bool boot_check_names(struct boot *boot, const struct assignments *assignments)
{
    struct boot_file *list[BOOT_FILES_MAX];
    const unsigned int count = boot_list(boot, list);
    bool good = true;

    for (unsigned int i = 0; i < count; i++) {
        for (unsigned int j = 0; j < i; j++) {
            const bool equal = strcmp(list[i]->name, list[j]->name) == 0;

            if (list[i]->data != NULL && list[j]->data != NULL &&
                strcasecmp(list[i]->name, list[j]->name) == 0 && !(equal && is_same(list[i], list[j]))) {
                report_name(assignments, list[i]->from != NULL ? list[i] : list[j], list[j]->name);
                good = false;
                break;
            }
        }
    }
    return good;
}

static void sum(struct boot_file *file)
{
    struct sha256_ctx context;

    sha256_init(&context);
    sha256_update(&context, (size_t)file->size, file->data);
    sha256_digest(&context, BOOT_SHA256_SIZE, file->sha256);
}

void boot_sum(struct boot *boot)
{
    struct boot_file *list[BOOT_FILES_MAX];
    const unsigned int count = boot_list(boot, list);

    for (unsigned int i = 0; i < count; i++) {
        unsigned int j = 0;

        while (j < i && strcmp(list[i]->name, list[j]->name) != 0) {
            j++;
        }
        if (j < i) {
            memcpy(list[i]->sha256, list[j]->sha256, BOOT_SHA256_SIZE);
        } else {
            sum(list[i]);
        }
    }
}
