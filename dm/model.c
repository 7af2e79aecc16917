/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * See model.h. The order in which things are given back is the reverse of the one in which they came, with one
 * addition: the guest's memory stays mapped (platform) until the last request that uses it has ended (loop).
 */
#include "model.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "pci/bus.h"
#include "loop.h"
#include "virtio/mmio.h"
#include "virtio/pci.h"

#define LOOP_ENTRIES 512u

struct disk {
    struct blk *blk;
    union {
        struct virtio_pci pci;
        struct virtio_mmio mmio;
    };
};

struct model {
    struct platform *platform;
    struct loop *loop;
    bool plain; /* the bridge has no ECAM, it is plain ranges: then mmio is used, else bus */
    struct pci_bus bus;
    struct virtio_mmio_bus mmio;
    bool ready; /* we have declared the bus so */
    struct loop_watch accesses;
    struct loop_watch stop;
    int stop_descriptor;
    enum model_state state;
    int failure;
    bool guest_gone;
    unsigned int disk_count;
    struct disk disk[MODEL_DISKS_MAX];
};

static void fail(struct model *model, int error)
{
    if (error == -ENODEV) {
        model->guest_gone = true;
    } else if (!model->failure) {
        model->failure = error;
    }
    model_stop(model);
}

static void serve(void *opaque, int error)
{
    struct model *model = opaque;

    if (!error) {
        error = model->plain ? platform_serve(model->platform, virtio_mmio_bus_access, &model->mmio)
                             : platform_serve(model->platform, pci_bus_access, &model->bus);
    }
    if (error) {
        fail(model, error);
    }
}

/* Those without a number of their own get, in order, the numbers that are left. */
static unsigned int device_number(const struct model_options *options, unsigned int index)
{
    uint32_t taken = 1; /* 0 is none of ours */
    unsigned int number = options->device[index];

    for (unsigned int i = 0; i < options->disk_count; i++) {
        taken |= options->device[i] ? 1u << options->device[i] : 0;
    }
    for (unsigned int i = 0; i <= index && options->device[index] == 0; i++) {
        if (options->device[i] == 0) {
            number = (unsigned int)__builtin_ctz(~taken);
            taken |= 1u << number;
        }
    }
    return number;
}

static int add_disk(struct model *model, const struct model_options *options, unsigned int i, char *error)
{
    struct disk *disk = &model->disk[i];
    const char *reason;
    int result = blk_create(&disk->blk, model->loop, model->platform, &options->disk[i], &reason);

    if (result) {
        (void)snprintf(error, MODEL_ERROR_MAX, "%s: %s (%s)", options->disk[i].path, reason, strerror(-result));
        return result;
    }
    model->disk_count++;
    if (model->plain) {
        result = virtio_mmio_bus_attach(&model->mmio, &disk->mmio, blk_device(disk->blk), &reason);
        if (result) {
            (void)snprintf(error, MODEL_ERROR_MAX, "%s: %s", options->disk[i].path, reason);
        }
        return result;
    }
    virtio_pci_init(&disk->pci, blk_device(disk->blk), BLK_CLASS,
                    options->msix && bridge_msi_count(platform_bridge(model->platform)) > 0);
    result = pci_bus_attach(&model->bus, &disk->pci.function, device_number(options, i));
    if (result) {
        (void)snprintf(error, MODEL_ERROR_MAX, "two devices are to be PCI device %u", device_number(options, i));
    }
    return result;
}

static int build(struct model *model, const struct model_options *options, char *error)
{
    const struct platform_options platform = {
        .domain = options->domain, .bridge = options->bridge,
        .shared = options->shared, .function = device_number(options, 0) << 3,
    };
    const char *reason;
    int result = platform_create(&model->platform, &platform, &reason);

    if (result) {
        (void)snprintf(error, MODEL_ERROR_MAX, "domain %u: %s", options->domain, reason);
        return result;
    }
    result = loop_create(&model->loop, LOOP_ENTRIES);
    if (result) {
        (void)snprintf(error, MODEL_ERROR_MAX, "no io_uring: %s (is it disabled by sysctl kernel.io_uring_disabled?)",
                       strerror(-result));
        return result;
    }
    model->plain = platform_bridge(model->platform)->ecam.size == 0;
    if (model->plain && options->shared) {
        (void)snprintf(error, MODEL_ERROR_MAX, "domain %u, bridge %u: plain ranges cannot be shared", options->domain,
                       options->bridge);
        return -EINVAL;
    }
    if (model->plain) {
        virtio_mmio_bus_init(&model->mmio, model->platform);
    } else {
        pci_bus_init(&model->bus, model->platform);
    }
    for (unsigned int i = 0; i < options->disk_count; i++) {
        result = add_disk(model, options, i, error);
        if (result) {
            return result;
        }
    }
    loop_watch(model->loop, &model->accesses, platform_descriptor(model->platform), serve, model);
    return 0;
}

/* The claim comes last: a guest that finds a device finds all of it. */
static int open_bus(struct model *model, const struct model_options *options, char *error)
{
    unsigned int device;
    int result = model->plain ? virtio_mmio_bus_open(&model->mmio)
                              : pci_bus_open(&model->bus, options->shared, &device);

    if (result && !options->shared) {
        (void)snprintf(error, MODEL_ERROR_MAX, "cannot claim the %s: %s", model->plain ? "ranges" : "ECAM window",
                       strerror(-result));
    } else if (result) {
        (void)snprintf(error, MODEL_ERROR_MAX, "domain %u, bridge %u: function 00:%02x.0: %s", options->domain,
                       options->bridge, device,
                       result == -EEXIST ? "another device model has it" : strerror(-result));
    }
    if (result || options->no_ready) {
        return result;
    }
    result = platform_ready(model->platform, true);
    if (result) {
        (void)snprintf(error, MODEL_ERROR_MAX, "cannot declare the bus ready: %s", strerror(-result));
    } else {
        model->ready = true;
    }
    return result;
}

int model_create(struct model **model, const struct model_options *options, char error[MODEL_ERROR_MAX])
{
    struct model *created;
    int result;

    if (options->disk_count > MODEL_DISKS_MAX) {
        (void)snprintf(error, MODEL_ERROR_MAX, "more than %u devices", MODEL_DISKS_MAX);
        return -EINVAL;
    }
    created = calloc(1, sizeof(*created));
    if (!created) {
        (void)snprintf(error, MODEL_ERROR_MAX, "out of memory");
        return -ENOMEM;
    }
    result = build(created, options, error);
    if (!result) {
        result = open_bus(created, options, error);
    }
    if (result) {
        (void)model_destroy(created);
        return result;
    }
    *model = created;
    return 0;
}

int model_destroy(struct model *model)
{
    int result;

    if (!model) {
        return 0;
    }
    model_stop(model);
    loop_destroy(model->loop);
    result = model->failure;
    for (unsigned int i = 0; i < model->disk_count; i++) {
        const int error = blk_sync(model->disk[i].blk);

        result = result ? result : error;
        blk_destroy(model->disk[i].blk);
    }
    platform_destroy(model->platform);
    free(model);
    return result;
}

static unsigned int in_flight(const struct model *model)
{
    unsigned int count = 0;

    for (unsigned int i = 0; i < model->disk_count; i++) {
        count += virtio_device_in_flight(blk_device(model->disk[i].blk));
    }
    return count;
}

void model_stop(struct model *model)
{
    if (model->state != MODEL_SERVING) {
        return;
    }
    model->state = MODEL_STOPPING;
    if (model->ready && !model->guest_gone) {
        const int error = platform_ready(model->platform, false);

        if (error && error != -ENODEV && !model->failure) {
            model->failure = error;
        }
    }
    for (unsigned int i = 0; i < model->disk_count; i++) {
        virtio_device_stop(blk_device(model->disk[i].blk));
    }
}

static void stop_wanted(void *opaque, int error)
{
    struct model *model = opaque;
    struct signalfd_siginfo signal;

    if (!error && read(model->stop_descriptor, &signal, sizeof(signal)) < 0 && errno != EAGAIN) {
        error = -errno;
    }
    if (error) {
        fail(model, error);
    } else if (model->state == MODEL_SERVING) {
        model_stop(model);
    } else {
        model->state = MODEL_ENDED;
    }
}

void model_stop_when(struct model *model, int descriptor)
{
    model->stop_descriptor = descriptor;
    loop_watch(model->loop, &model->stop, descriptor, stop_wanted, model);
}

void model_turn(struct model *model, bool wait)
{
    int error;

    if (model->state == MODEL_ENDED) {
        return;
    }
    error = loop_run_once(model->loop, wait);
    if (error) {
        fail(model, error);
        model->state = MODEL_ENDED;
    } else if (model->state == MODEL_STOPPING && in_flight(model) == 0) {
        model->state = MODEL_ENDED;
    }
}

void model_run(struct model *model)
{
    while (model->state != MODEL_ENDED) {
        model_turn(model, true);
    }
}

enum model_state model_state(const struct model *model)
{
    return model->state;
}

int model_failure(const struct model *model)
{
    return model->failure;
}

bool model_guest_gone(const struct model *model)
{
    return model->guest_gone;
}

void model_report(const struct model *model, FILE *to)
{
    const struct pci_bus_counters *bus = &model->bus.counters;
    const struct virtio_mmio_counters *mmio = &model->mmio.counters; /* one of the two is all 0 */
    const struct platform_counters platform = platform_counters(model->platform);

    (void)fprintf(to, "accesses: %llu, malformed: %llu\n", (unsigned long long)platform.requests,
                  (unsigned long long)platform.malformed);
    (void)fprintf(to, "doorbells rung: %llu\n", (unsigned long long)platform.doorbells);
    (void)fprintf(to, "accesses that nothing answers: %llu\n",
                  (unsigned long long)(bus->unanswered + mmio->unanswered));
    (void)fprintf(to, "claims refused: %llu\n",
                  (unsigned long long)(bus->refused_claims + mmio->refused_claims));
    (void)fprintf(to, "MSI-X messages to nowhere: %llu\n", (unsigned long long)bus->bad_messages);
    (void)fprintf(to, "interrupts refused: %llu\n",
                  (unsigned long long)(bus->lost_interrupts + mmio->lost_interrupts));
    for (unsigned int i = 0; i < model->disk_count; i++) {
        const struct virtio_device_counters *device = &blk_device(model->disk[i].blk)->counters;

        (void)fprintf(to, "device %u: malformed chains: %llu, gave up: %llu\n", i + 1,
                      (unsigned long long)device->malformed, (unsigned long long)device->needs_reset);
    }
}
