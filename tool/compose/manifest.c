/* SPDX-License-Identifier: BSD-2-Clause */
/* See manifest.h. */
#include "manifest.h"

#include <nettle/sha2.h>
#include <stdlib.h>
#include <string.h>

bool manifest_add(struct manifest_extras *extras, const char *name, void *data, uint64_t size, bool executable)
{
    struct manifest_extra *extra = &extras->list[extras->count];

    if (data == NULL || extras->count == MANIFEST_EXTRAS_MAX) {
        free(data);
        return false;
    }
    snprintf(extra->name, sizeof(extra->name), "%s", name);
    extra->data = data;
    extra->size = size;
    extra->executable = executable;
    extras->count++;
    return true;
}

void manifest_finish(struct manifest_extras *extras)
{
    for (unsigned int i = 0; i < extras->count; i++) {
        free(extras->list[i].data);
    }
    extras->count = 0;
}

struct writer {
    FILE *manifest;
    FILE *sums;
    char *manifest_text;
    char *sums_text;
    size_t manifest_size;
    size_t sums_size;
};

static void print_sum(FILE *stream, const uint8_t *sum)
{
    for (unsigned int i = 0; i < BOOT_SHA256_SIZE; i++) {
        fprintf(stream, "%02x", sum[i]);
    }
}

static void add(const struct writer *writer, const char *name, const char *address, uint64_t size, const uint8_t *sum,
                bool first)
{
    fprintf(writer->manifest, "%18s %10" PRIu64 " ", address, size);
    print_sum(writer->manifest, sum);
    fprintf(writer->manifest, " %s\n", name);
    if (first) {
        print_sum(writer->sums, sum);
        fprintf(writer->sums, "  %s\n", name);
    }
}

/* Whether a file of this name was in the list before: two domains may have the same kernel. */
static bool is_first(struct boot_file *const *list, unsigned int index)
{
    for (unsigned int i = 0; i < index; i++) {
        if (strcmp(list[i]->name, list[index]->name) == 0) {
            return false;
        }
    }
    return true;
}

static void add_extra(const struct writer *writer, const char *name, const void *data, uint64_t size)
{
    uint8_t sum[BOOT_SHA256_SIZE];
    struct sha256_ctx context;

    sha256_init(&context);
    sha256_update(&context, (size_t)size, data);
    sha256_digest(&context, sizeof(sum), sum);
    add(writer, name, "-", size, sum, true);
}

void manifest_write(struct boot *boot, const struct manifest_extras *extras, struct output *output)
{
    struct boot_file *list[BOOT_FILES_MAX];
    const unsigned int count = boot_list(boot, list);
    struct writer writer = {NULL, NULL, NULL, NULL, 0, 0};

    writer.manifest = open_memstream(&writer.manifest_text, &writer.manifest_size);
    writer.sums = open_memstream(&writer.sums_text, &writer.sums_size);
    if (writer.manifest == NULL || writer.sums == NULL) {
        report_write(output->report, REPORT_ERROR, NULL, "out of memory");
        output->failed = true;
    } else {
        fprintf(writer.manifest, "#          address       size %-64s file\n", "SHA-256");
        for (unsigned int i = 0; i < count; i++) {
            char address[24];
            const bool first = is_first(list, i);

            snprintf(address, sizeof(address), "0x%016" PRIx64, list[i]->address);
            add(&writer, list[i]->name, address, list[i]->size, list[i]->sha256, first);
            if (first) {
                output_write(output, list[i]->name, list[i]->data, list[i]->size, false);
            }
        }
        for (unsigned int i = 0; i < extras->count; i++) {
            const struct manifest_extra *extra = &extras->list[i];

            add_extra(&writer, extra->name, extra->data, extra->size);
            output_write(output, extra->name, extra->data, extra->size, extra->executable);
        }
        fflush(writer.manifest);
        output_write(output, MANIFEST_NAME, writer.manifest_text, writer.manifest_size, false);
        add_extra(&writer, MANIFEST_NAME, writer.manifest_text, writer.manifest_size);
        fflush(writer.sums);
        output_write(output, OUTPUT_SUMS, writer.sums_text, writer.sums_size, false);
    }
    if (writer.manifest != NULL) {
        fclose(writer.manifest);
    }
    if (writer.sums != NULL) {
        fclose(writer.sums);
    }
    free(writer.manifest_text);
    free(writer.sums_text);
}
