/* SPDX-License-Identifier: BSD-2-Clause */
/* See script.h. */
#include "script.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#define HEADER_SIZE    64u
#define HEADER_MAGIC   0x27051956u
#define OS_LINUX       5u
#define ARCH_ARM       2u
#define ARCH_ARM64     22u
#define TYPE_KERNEL    2u
#define TYPE_SCRIPT    6u
#define SCRIPT_LENGTHS 8u /* of the one script, and a 0 behind the last */

static void put_cell(uint8_t *at, uint32_t value)
{
    at[0] = (uint8_t)(value >> 24);
    at[1] = (uint8_t)(value >> 16);
    at[2] = (uint8_t)(value >> 8);
    at[3] = (uint8_t)value;
}

static uint32_t build_time(void)
{
    const char *text = getenv("SOURCE_DATE_EPOCH");
    uint64_t seconds = 0;

    return text != NULL && words_number(text, &seconds) && seconds <= UINT32_MAX ? (uint32_t)seconds : 0;
}

void *script_wrap(enum script_image kind, const void *data, uint64_t size, uint64_t load, uint64_t *image_size)
{
    const uint64_t lengths = kind == SCRIPT_IMAGE_SCRIPT ? SCRIPT_LENGTHS : 0;
    uint8_t *image = size <= UINT32_MAX - lengths ? calloc(1, (size_t)(HEADER_SIZE + lengths + size)) : NULL;
    const uint32_t address = load <= UINT32_MAX ? (uint32_t)load : 0;

    if (image == NULL) {
        return NULL;
    }
    if (lengths != 0) {
        put_cell(image + HEADER_SIZE, (uint32_t)size);
    }
    memcpy(image + HEADER_SIZE + lengths, data, (size_t)size);
    put_cell(image, HEADER_MAGIC);
    put_cell(image + 8, build_time());
    put_cell(image + 12, (uint32_t)(lengths + size));
    put_cell(image + 16, address);
    put_cell(image + 20, address);
    put_cell(image + 24, (uint32_t)crc32_z(0, image + HEADER_SIZE, (size_t)(lengths + size)));
    image[28] = OS_LINUX;
    image[29] = kind == SCRIPT_IMAGE_KERNEL_ARM32 ? ARCH_ARM : ARCH_ARM64;
    image[30] = kind == SCRIPT_IMAGE_SCRIPT ? TYPE_SCRIPT : TYPE_KERNEL;
    snprintf((char *)image + 32, 32, "sidebridge");
    put_cell(image + 4, (uint32_t)crc32_z(0, image, HEADER_SIZE));
    *image_size = HEADER_SIZE + lengths + size;
    return image;
}

struct writer {
    FILE *stream;
    const struct system *system;
    const char *prefix;
};

static void load(const struct writer *writer, const struct boot_file *file)
{
    if (file->present) {
        fprintf(writer->stream, "%s 0x%" PRIX64 " %s%s%s\n", file->load != NULL ? file->load : writer->system->load,
                file->address, writer->prefix, writer->prefix[0] != '\0' ? "/" : "", file->name);
    }
}

/* Xen comes after what it starts: with secure boot U-Boot takes the program that was loaded last for the signed one. */
static void load_all(const struct writer *writer, const struct boot *boot)
{
    load(writer, &boot->dom0_kernel);
    load(writer, &boot->dom0_ramdisk);
    for (unsigned int i = 0; i < writer->system->domain_count; i++) {
        load(writer, &boot->kernels[i]);
        load(writer, &boot->ramdisks[i]);
        load(writer, &boot->partial_trees[i]);
    }
    load(writer, &boot->policy);
    load(writer, &boot->xen);
    load(writer, &boot->tree);
    load(writer, &boot->bitstream);
}

static bool append_commands(const struct writer *writer, const char *directory)
{
    const struct assignments *assignments = writer->system->assignments;
    const struct assignment *from = writer->system->extra_commands;
    struct boot_file file = {.present = false};
    char path[BOOT_PATH_MAX];
    bool good;

    if (from == NULL) {
        return true;
    }
    if (!boot_path(assignments, from, directory, from->value, path) || !boot_map(assignments, from, path, &file)) {
        return false;
    }
    good = memchr(file.data, '\0', (size_t)file.size) == NULL;
    if (!good) {
        assignment_report(assignments, from, REPORT_ERROR, "not a text: it has a byte 0");
    } else {
        fwrite(file.data, 1, (size_t)file.size, writer->stream);
        fputs(file.data[file.size - 1] != '\n' ? "\n" : "", writer->stream);
    }
    boot_unmap(&file);
    return good;
}

static void start(const struct writer *writer, const struct boot *boot)
{
    static const char *const commands[] = {
        [SYSTEM_BOOTI] = "booti 0x%" PRIX64 " - 0x%" PRIX64 "\n",
        [SYSTEM_BOOTM] = "bootm 0x%" PRIX64 " - 0x%" PRIX64 "\n",
        [SYSTEM_BOOTZ] = "bootz 0x%" PRIX64 " - 0x%" PRIX64 "\n",
        [SYSTEM_BOOTEFI] = "bootefi 0x%" PRIX64 " 0x%" PRIX64 "\n",
        [SYSTEM_BOOT_NONE] = "setenv host_kernel_addr 0x%" PRIX64 "\nsetenv host_fdt_addr 0x%" PRIX64 "\n",
    };

    fprintf(writer->stream, commands[writer->system->boot], boot->xen.address, boot->tree.address);
}

char *script_make(const struct system *system, struct boot *boot, const char *directory, const char *prefix)
{
    char *text = NULL;
    size_t size = 0;
    struct writer writer = {.stream = open_memstream(&text, &size), .system = system, .prefix = prefix};
    bool good;

    if (writer.stream == NULL) {
        report_write(system->assignments->report, REPORT_ERROR, NULL, "out of memory");
        return NULL;
    }
    load_all(&writer, boot);
    fprintf(writer.stream, "fdt addr 0x%" PRIX64 "\nfdt resize 1024\n", boot->tree.address);
    if (boot->bitstream.present) {
        fprintf(writer.stream, "fpga load 0 0x%" PRIX64 " 0x%" PRIX64 "\n", boot->bitstream.address,
                boot->bitstream.size);
    }
    /* The tree stays where it is: U-Boot would move it to an address that Xen may not reach. */
    fputs("setenv fdt_high 0xffffffffffffffff\n", writer.stream);
    good = append_commands(&writer, directory);
    if (system->prints_chosen) {
        fputs("fdt print /chosen\n", writer.stream);
    }
    start(&writer, boot);
    if (fclose(writer.stream) != 0 || !good) {
        free(text);
        return NULL;
    }
    return text;
}
