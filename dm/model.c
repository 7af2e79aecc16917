/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * See model.h. The order in which things are given back is the reverse of the one in which they came, with two
 * additions: the guest's memory stays mapped (platform) until the last request that uses it has ended (loop); and
 * before anything waits for storage, which may last for ever, no processor of the guest waits for us any more
 * (platform).
 */
#include "model.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "pci/bus.h"
#include "commands.h"
#include "control.h"
#include "identity.h"
#include "loop.h"
#include "sandbox.h"
#include "state.h"
#include "virtio/mmio.h"
#include "virtio/pci.h"

#define LOOP_ENTRIES 512u
#define FILE_WAIT_MS 5000 /* for what a killed predecessor has under way on a file */
#define RING_WAIT_MS 1000 /* for its ring, which has the files for a moment longer than it lives */

struct device {
    const struct kind *kind;
    const char *label;
    unsigned int number;
    struct virtio_device *virtio;
    struct identity identity; /* of what its name meant when the state was opened */
    union {
        struct virtio_pci pci;
        struct virtio_mmio mmio;
    };
};

struct model {
    struct platform *platform;
    struct loop *loop;
    struct control *control; /* NULL: nobody asks */
    struct state *saved; /* NULL: nothing is kept */
    bool plain; /* the bridge has no ECAM, it is plain ranges: then mmio is used, else bus */
    struct pci_bus bus;
    struct virtio_mmio_bus mmio;
    char lacking[SANDBOX_TEXT_MAX]; /* layers of the sandbox */
    bool ready; /* we have declared the bus so */
    struct loop_watch accesses;
    unsigned int stops_wanted; /* counted by a signal handler: atomic */
    unsigned int stops;        /* of these, seen */
    bool look_wanted;          /* at what the devices stand on, likewise */
    struct loop_task again; /* nothing but one more turn, without sleeping */
    enum model_state state;
    int failure;
    bool guest_gone;
    unsigned int device_count;
    unsigned int first; /* of the devices, when there is room for buffers again */
    struct device device[MODEL_DEVICES_MAX];
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

static uint64_t guest_access(void *opaque, uint64_t address, unsigned int size, bool write, uint64_t data)
{
    struct model *model = opaque;
    const uint64_t result = pci_bus_access(&model->bus, address, size, write, data);

    for (unsigned int i = 0; i < model->device_count && model->saved; i++) {
        if (model->bus.touched == &model->device[i].pci.function) {
            state_save(state_device(model->saved, i), &model->device[i].pci);
        }
    }
    return result;
}

static void for_each_device(struct model *model, void (*function)(struct virtio_device *device))
{
    for (unsigned int i = 0; i < model->device_count; i++) {
        function(model->device[i].virtio);
    }
}

/* When the guest has changed its memory, nothing is begun any more from this moment: renew_memory(). */
static int serve_accesses(struct model *model, bool wait)
{
    const int error = model->plain ? platform_serve(model->platform, wait, virtio_mmio_bus_access, &model->mmio)
                                   : platform_serve(model->platform, wait, guest_access, model);

    if (platform_memory_changed(model->platform)) {
        for_each_device(model, virtio_device_pause);
    }
    return error;
}

static void serve(struct model *model, bool wait)
{
    const int error = serve_accesses(model, wait);

    if (error) {
        fail(model, error);
    }
}

static void accesses_ready(void *opaque, int error)
{
    if (error) {
        fail(opaque, error);
    } else {
        serve(opaque, false);
    }
}

static void wait_for_accesses(void *opaque)
{
    serve(opaque, true);
}

/* Those without a number of their own get, in order, the numbers that are left. */
static unsigned int device_number(const struct model_options *options, unsigned int index)
{
    uint32_t taken = 1; /* 0 is none of ours */
    unsigned int number = options->device[index].number;

    for (unsigned int i = 0; i < options->device_count; i++) {
        taken |= options->device[i].number ? 1u << options->device[i].number : 0;
    }
    for (unsigned int i = 0; i <= index && options->device[index].number == 0; i++) {
        if (options->device[i].number == 0) {
            number = (unsigned int)__builtin_ctz(~taken);
            taken |= 1u << number;
        }
    }
    return number;
}

/* What messages call a device: its name, or what it stands on. */
static const char *label(const struct model_device *device)
{
    const struct setting *first = device->kind->settings.setting;

    if (device->name) {
        return device->name;
    }
    return device->kind->settings.count > 0 && first->needed
               ? *(const char *const *)((const char *)device->options + first->offset)
               : device->kind->name;
}

static int complain(const struct model_device *device, int result, const char *what, char *error)
{
    (void)snprintf(error, MODEL_ERROR_MAX, "%s: %s", label(device), what);
    return result;
}

/* The kernel may still be busy with the files of a process that was killed; their locks go last. */
static int open_files(struct model *model, const struct model_options *options, const struct model_device *device,
                      struct kind_files *files, char *what)
{
    const struct timespec moment = { .tv_nsec = 10 * 1000000 };
    const int limit = platform_resumed(model->platform) ? FILE_WAIT_MS : options->sandbox ? RING_WAIT_MS : 0;

    for (int waited = 0; device->kind->open; waited += 10) {
        const int result = device->kind->open(device->options, files, what);

        if (result != -EBUSY || waited >= limit) {
            return result;
        }
        (void)nanosleep(&moment, NULL);
    }
    return 0;
}

/* The state counts for what was looked at: is that what was opened? */
static int check_identity(const struct model *model, const struct device *device, const struct model_device *options,
                          const struct kind_files *files, char *what)
{
    struct identity opened;
    int result;

    if (!model->saved || !device->kind->identify) {
        return 0;
    }
    result = device->kind->identify(options->options, files, &opened);
    if (result || !identity_equal(&opened, &device->identity)) {
        (void)snprintf(what, KIND_ERROR_MAX, "was exchanged while it was opened");
        return result ? result : -ESTALE;
    }
    return 0;
}

static int create_device(struct model *model, const struct model_options *options, unsigned int i, char *what)
{
    const struct model_device *wanted = &options->device[i];
    const struct kind_host host = { model->loop, model->platform, label(wanted) };
    struct device *device = &model->device[i];
    struct kind_files files = { 0 };
    int result;

    device->kind = wanted->kind;
    device->label = host.name;
    result = open_files(model, options, wanted, &files, what);
    if (!result) {
        result = check_identity(model, device, wanted, &files, what);
    }
    if (!result) {
        result = device->kind->create(&device->virtio, &host, wanted->options, &files, what);
    }
    if (result) {
        kind_files_close(&files);
    } else {
        model->device_count++;
    }
    return result;
}

static int add_device(struct model *model, const struct model_options *options, unsigned int i, char *error)
{
    struct device *device = &model->device[i];
    char what[KIND_ERROR_MAX];
    const char *reason;
    int result = create_device(model, options, i, what);

    if (result) {
        return complain(&options->device[i], result, what, error);
    }
    device->number = model->plain ? i : device_number(options, i);
    if (model->plain) {
        result = virtio_mmio_bus_attach(&model->mmio, &device->mmio, device->virtio, &reason);
        return result ? complain(&options->device[i], result, reason, error) : 0;
    }
    virtio_pci_init(&device->pci, device->virtio, device->kind->class_code,
                    options->msix && bridge_msi_count(platform_bridge(model->platform)) > 0);
    result = pci_bus_attach(&model->bus, &device->pci.function, device->number);
    if (result) {
        (void)snprintf(error, MODEL_ERROR_MAX, "two devices are to be PCI device %u", device->number);
    }
    return result;
}

static int identify(const struct model_device *device, struct identity *identity, char *error)
{
    const int result = device->kind->identify ? device->kind->identify(device->options, NULL, identity) : 0;

    if (result) {
        (void)snprintf(error, MODEL_ERROR_MAX, "%s: %s (%s)", label(device),
                       result == -EINVAL ? "neither a regular file nor a block device" : "cannot be opened",
                       strerror(-result));
    }
    return result;
}

/*
 * A number for all that must be the same for one model to go on for another: what devices stand on, not only its names.
 * While that cannot be looked at it is not known whether there is something to go on for, so that nothing must be
 * touched.
 */
static int configure(struct model *model, const struct model_options *options, uint64_t *configuration, char *error)
{
    const unsigned int numbers[] = {
        options->domain, options->bridge, options->msix, options->shared, options->device_count,
    };
    uint64_t sum = settings_hash_bytes(SIDEBRIDGE_VERSION, sizeof(SIDEBRIDGE_VERSION), SETTINGS_HASH_START);

    sum = settings_hash_bytes(numbers, sizeof(numbers), sum);
    for (unsigned int i = 0; i < options->device_count; i++) {
        const struct model_device *device = &options->device[i];
        const unsigned int number = device_number(options, i);
        struct identity *identity = &model->device[i].identity;
        const int result = identify(device, identity, error);

        if (result) {
            return result;
        }
        sum = settings_hash_bytes(device->kind->name, strlen(device->kind->name) + 1, sum);
        sum = settings_hash_bytes(&number, sizeof(number), sum);
        sum = settings_hash_bytes(identity, sizeof(*identity), sum);
        sum = settings_hash(&device->kind->settings, device->options, sum);
    }
    *configuration = sum;
    return 0;
}

static int attach(struct model *model, const struct model_options *options, char *error)
{
    struct platform_options platform = {
        .domain = options->domain, .bridge = options->bridge,
        .shared = options->shared, .function = device_number(options, 0) << 3, .map_limit = options->map_limit,
    };
    char refusal[STATE_ERROR_MAX];
    uint64_t configuration = 0;
    const char *reason;
    int result;

    if (options->state) {
        result = configure(model, options, &configuration, error);
        if (result) {
            return result;
        }
        result = state_open(&model->saved, options->state, configuration, refusal);
        if (result) {
            (void)snprintf(error, MODEL_ERROR_MAX, "%s: %s", options->state, refusal);
            return result;
        }
        platform.mark = state_mark(model->saved);
    }
    result = platform_create(&model->platform, &platform, &reason);
    if (result) {
        (void)snprintf(error, MODEL_ERROR_MAX, "domain %u: %s", options->domain, reason);
    }
    return result;
}

static int map_state(struct model *model, const struct model_options *options, char *error)
{
    struct state_sizes sizes[MODEL_DEVICES_MAX];
    char refusal[STATE_ERROR_MAX];
    int result;

    if (!model->saved) {
        return 0;
    }
    for (unsigned int i = 0; i < model->device_count; i++) {
        const struct device *device = &model->device[i];

        sizes[i] = (struct state_sizes){
            virtio_device_journal_size(device->virtio), device->kind->journal_size,
        };
    }
    result = state_map(model->saved, sizes, model->device_count, refusal);
    if (result) {
        (void)snprintf(error, MODEL_ERROR_MAX, "%s: %s", options->state, refusal);
    }
    return result;
}

static int open_control(struct model *model, const struct model_options *options, char *error)
{
    int result;

    if (!options->control) {
        return 0;
    }
    result = control_create(&model->control, model->loop, options->control, model_commands, model,
                            model_greeting(options->domain, options->bridge));
    if (result) {
        (void)snprintf(error, MODEL_ERROR_MAX, "%s: %s", options->control,
                       result == -EEXIST ? "is there, and in use or no socket" : strerror(-result));
    }
    return result;
}

static void nothing(void *opaque)
{
    (void)opaque;
}

static int build(struct model *model, const struct model_options *options, char *error)
{
    int result = attach(model, options, error);

    if (result) {
        return result;
    }
    result = loop_create(&model->loop, LOOP_ENTRIES);
    if (result) {
        (void)snprintf(error, MODEL_ERROR_MAX, "no io_uring: %s (is it disabled by sysctl kernel.io_uring_disabled?)",
                       strerror(-result));
        return result;
    }
    loop_set_polling(model->loop, options->poll_us);
    model->again.run = nothing;
    model->plain = platform_bridge(model->platform)->ecam.size == 0;
    if (model->plain && (options->shared || options->state)) {
        (void)snprintf(error, MODEL_ERROR_MAX, "domain %u, bridge %u: plain ranges %s", options->domain,
                       options->bridge, options->shared ? "cannot be shared" : "keep no state");
        return -EINVAL;
    }
    if (model->plain) {
        virtio_mmio_bus_init(&model->mmio, model->platform);
    } else {
        pci_bus_init(&model->bus, model->platform);
    }
    for (unsigned int i = 0; i < options->device_count; i++) {
        result = add_device(model, options, i, error);
        if (result) {
            return result;
        }
    }
    result = map_state(model, options, error);
    if (!result) {
        result = open_control(model, options, error);
    }
    if (result) {
        return result;
    }
    loop_watch_asleep(model->loop, &model->accesses, platform_descriptor(model->platform), accesses_ready,
                      wait_for_accesses, model);
    return 0;
}

/*
 * Everything is open, nothing has been served, and what a predecessor has left in its state, which may be anything, has
 * not been looked at.
 */
static int enter_sandbox(struct model *model, const struct model_options *options, char *error)
{
    const struct sandbox_needs *needs[MODEL_DEVICES_MAX + 1];
    const struct sandbox_options sandbox = {
        .loop = model->loop, .user = options->user, .needs = needs,
        .needs_count = model->device_count + (model->control != NULL),
    };

    for (unsigned int i = 0; i < model->device_count; i++) {
        needs[i] = &model->device[i].kind->needs;
    }
    needs[model->device_count] = &control_needs;
    if (sandbox_enter(&sandbox, model->lacking) > 0 && options->sandbox_required) {
        (void)snprintf(error, MODEL_ERROR_MAX, "the sandbox lacks: %s", model->lacking);
        return -EPERM;
    }
    return 0;
}

static void keep_journals(struct model *model)
{
    for (unsigned int i = 0; i < model->device_count; i++) {
        const struct state_device *state = state_device(model->saved, i);
        const struct device *device = &model->device[i];

        virtio_device_keep_journals(device->virtio, state->queues);
        if (device->kind->keep_journal) {
            device->kind->keep_journal(device->virtio, state->kind);
        }
    }
}

/* The functions are as the guest left them. */
static void take_over(struct model *model)
{
    keep_journals(model);
    for (unsigned int i = 0; i < model->device_count; i++) {
        virtio_pci_restore(&model->device[i].pci, state_saved(state_device(model->saved, i)));
    }
}

/*
 * The functions are as the first of us makes them. What the file was for is gone: who has the claims knows that, and
 * not who comes while a predecessor is still ending.
 */
static int begin_state(struct model *model, const struct model_options *options, char *error)
{
    int result;

    state_begin(model->saved);
    keep_journals(model);
    for (unsigned int i = 0; i < model->device_count; i++) {
        state_save(state_device(model->saved, i), &model->device[i].pci);
    }
    result = platform_set_mark(model->platform, state_mark(model->saved));
    if (result) {
        (void)snprintf(error, MODEL_ERROR_MAX, "%s: no state can be kept for a guest with so many vCPUs",
                       options->state);
    }
    return result;
}

/* What it stands on may have changed. */
static void look_at(struct model *model, unsigned int i)
{
    struct device *device = &model->device[i];

    if (device->kind->changed && device->kind->changed(device->virtio)) {
        if (model->saved) {
            state_save(state_device(model->saved, i), &device->pci);
        }
        device->kind->change_known(device->virtio);
    }
}

/*
 * Accesses that waited are made, perhaps again, before anything is done about the queues: one may be a reset, after
 * which the guest's memory is no longer ours.
 */
static int resume(struct model *model, char *error)
{
    const int result = serve_accesses(model, false);

    if (result) {
        (void)snprintf(error, MODEL_ERROR_MAX, "cannot go on: %s", strerror(-result));
        return result;
    }
    for (unsigned int i = 0; i < model->device_count; i++) {
        virtio_device_resume(model->device[i].virtio);
        state_save(state_device(model->saved, i), &model->device[i].pci);
        look_at(model, i);
    }
    return 0;
}

/* The claim comes when all else is there: a guest that finds a device finds all of it. */
static int claim_bus(struct model *model, const struct model_options *options, char *error)
{
    unsigned int device;
    int result = model->plain ? virtio_mmio_bus_open(&model->mmio)
                              : pci_bus_open(&model->bus, options->shared, &device);

    if (result && !options->shared) {
        (void)snprintf(error, MODEL_ERROR_MAX, "domain %u, bridge %u: cannot claim the %s: %s", options->domain,
                       options->bridge, model->plain ? "ranges" : "ECAM window",
                       result == -EEXIST ? "another device model has some of it" : strerror(-result));
    } else if (result) {
        (void)snprintf(error, MODEL_ERROR_MAX, "domain %u, bridge %u: function 00:%02x.0: %s", options->domain,
                       options->bridge, device,
                       result == -EEXIST ? "another device model has it" : strerror(-result));
    }
    return result;
}

static int declare_ready(struct model *model, const struct model_options *options, char *error)
{
    const int result = options->no_ready ? 0 : platform_ready(model->platform, true);

    if (result) {
        (void)snprintf(error, MODEL_ERROR_MAX, "cannot declare the bus ready: %s", strerror(-result));
    } else {
        model->ready = !options->no_ready;
    }
    return result;
}

/* Nothing is served before this has ended. */
static int open_model(struct model *model, const struct model_options *options, char *error)
{
    const bool resumed = platform_resumed(model->platform);
    int result;

    if (resumed) {
        take_over(model);
    }
    result = claim_bus(model, options, error);
    if (!result && model->saved && !resumed) {
        result = begin_state(model, options, error);
    }
    if (!result) {
        result = declare_ready(model, options, error);
    }
    return result || !resumed ? result : resume(model, error);
}

int model_create(struct model **model, const struct model_options *options, char error[MODEL_ERROR_MAX])
{
    char ignored[MODEL_ERROR_MAX];
    struct model *created;
    int result;

    if (options->device_count > MODEL_DEVICES_MAX) {
        (void)snprintf(error, MODEL_ERROR_MAX, "more than %u devices", MODEL_DEVICES_MAX);
        return -EINVAL;
    }
    created = calloc(1, sizeof(*created));
    if (!created) {
        (void)snprintf(error, MODEL_ERROR_MAX, "out of memory");
        return -ENOMEM;
    }
    result = build(created, options, error);
    if (!result && options->sandbox) {
        result = enter_sandbox(created, options, error);
    }
    if (!result) {
        result = open_model(created, options, error);
    }
    if (result) {
        (void)model_destroy(created, ignored);
        return result;
    }
    *model = created;
    return 0;
}

int model_destroy(struct model *model, char error[MODEL_ERROR_MAX])
{
    int result;

    if (!model) {
        return 0;
    }
    model_stop(model);
    platform_leave(model->platform);
    control_destroy(model->control);
    loop_destroy(model->loop);
    result = model->failure;
    (void)snprintf(error, MODEL_ERROR_MAX, "stopped by an error: %s", strerror(-result));
    for (unsigned int i = 0; i < model->device_count; i++) {
        const struct device *device = &model->device[i];
        const int lost = device->kind->finish ? device->kind->finish(device->virtio) : 0;

        if (lost && !result) {
            (void)snprintf(error, MODEL_ERROR_MAX, "%s: not all that the guest has written is on stable storage (%s)",
                           device->label, strerror(-lost));
            result = lost;
        }
        device->kind->destroy(device->virtio);
    }
    platform_destroy(model->platform);
    state_close(model->saved);
    free(model);
    return result;
}

static unsigned int in_flight(const struct model *model)
{
    unsigned int count = 0;

    for (unsigned int i = 0; i < model->device_count; i++) {
        count += virtio_device_in_flight(model->device[i].virtio);
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
    for_each_device(model, virtio_device_stop);
}

void model_signal(struct model *model, enum model_signal signal)
{
    if (signal == MODEL_SIGNAL_STOP) {
        (void)__atomic_add_fetch(&model->stops_wanted, 1, __ATOMIC_RELAXED);
    } else if (signal == MODEL_SIGNAL_LOOK) {
        __atomic_store_n(&model->look_wanted, true, __ATOMIC_RELAXED);
    }
    platform_wake(model->platform);
}

/* The first is a wish to stop, another one to do so without waiting. */
static void look_for_signals(struct model *model)
{
    if (__atomic_exchange_n(&model->look_wanted, false, __ATOMIC_RELAXED)) {
        model_look(model);
    }
    for (; model->stops != __atomic_load_n(&model->stops_wanted, __ATOMIC_RELAXED); model->stops++) {
        if (model->state == MODEL_SERVING) {
            model_stop(model);
        } else {
            model->state = MODEL_ENDED;
        }
    }
}

/*
 * The guest has exchanged pages of its memory. Requests in flight belong to the old ones: they end first, and those
 * that come meanwhile wait, since the devices are paused. Then everything that is mapped is dropped, a part each turn,
 * since accesses of the guest's other processors are to be answered meanwhile.
 */
static void renew_memory(struct model *model)
{
    int error;

    if (!platform_drop_memory(model->platform)) {
        loop_defer(model->loop, &model->again);
        return;
    }
    if (in_flight(model) > 0) {
        return;
    }
    for_each_device(model, virtio_device_unmap);
    while (!platform_drop_memory(model->platform)) {
    }
    for_each_device(model, virtio_device_map);
    error = platform_memory_renewed(model->platform);
    if (error) {
        fail(model, error);
    }
    for_each_device(model, virtio_device_continue);
}

/* To those who wait for it; each time another one is the first. */
static void give_room(struct model *model)
{
    for (unsigned int i = 0; i < model->device_count; i++) {
        virtio_device_room(model->device[(model->first + i) % model->device_count].virtio);
    }
    model->first = (model->first + 1) % model->device_count;
}

void model_turn(struct model *model, bool wait)
{
    int error;

    if (model->state == MODEL_ENDED) {
        return;
    }
    if (platform_turn(model->platform)) {
        give_room(model);
    }
    error = loop_run_once(model->loop, wait);
    look_for_signals(model);
    if (error) {
        fail(model, error);
        model->state = MODEL_ENDED;
        return;
    }
    if (platform_memory_changed(model->platform)) {
        renew_memory(model);
    }
    if (model->state == MODEL_STOPPING && in_flight(model) == 0) {
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

const char *model_sandbox_lacks(const struct model *model)
{
    return model->lacking;
}

bool model_resumed(const struct model *model)
{
    return platform_resumed(model->platform);
}

unsigned int model_devices(const struct model *model)
{
    return model->device_count;
}

struct model_view model_view(const struct model *model, unsigned int index)
{
    const struct device *device = &model->device[index];

    return (struct model_view){ device->label, device->kind, device->number, device->virtio };
}

bool model_plain(const struct model *model)
{
    return model->plain;
}

void model_look(struct model *model)
{
    for (unsigned int i = 0; i < model->device_count; i++) {
        look_at(model, i);
    }
}

bool model_guest_gone(const struct model *model)
{
    return model->guest_gone;
}

struct platform_counters model_counters(const struct model *model)
{
    return platform_counters(model->platform);
}

void model_report(const struct model *model, FILE *to)
{
    const struct pci_bus_counters *bus = &model->bus.counters;
    const struct virtio_mmio_counters *mmio = &model->mmio.counters; /* one of the two is all 0 */
    const struct platform_counters platform = platform_counters(model->platform);
    const struct loop_counters loop = loop_counters(model->loop);

    (void)fprintf(to, "accesses: %llu, malformed: %llu\n", (unsigned long long)platform.requests,
                  (unsigned long long)platform.malformed);
    (void)fprintf(to, "doorbells rung: %llu\n", (unsigned long long)platform.doorbells);
    (void)fprintf(to, "polled: %llu, found without an event: %llu\n", (unsigned long long)loop.polls,
                  (unsigned long long)loop.found);
    (void)fprintf(to, "guest memory mapped at most: %llu KiB, pieces dropped: %llu, changed by the guest: %llu times\n",
                  (unsigned long long)platform.mapped / 1024, (unsigned long long)platform.dropped,
                  (unsigned long long)platform.invalidations);
    (void)fprintf(to, "accesses that nothing answers: %llu\n",
                  (unsigned long long)(bus->unanswered + mmio->unanswered));
    (void)fprintf(to, "claims refused: %llu\n",
                  (unsigned long long)(bus->refused_claims + mmio->refused_claims));
    (void)fprintf(to, "MSI-X messages to nowhere: %llu\n", (unsigned long long)bus->bad_messages);
    (void)fprintf(to, "interrupts refused: %llu\n",
                  (unsigned long long)(bus->lost_interrupts + mmio->lost_interrupts));
    for (unsigned int i = 0; i < model->device_count; i++) {
        const struct virtio_device_counters *device = &model->device[i].virtio->counters;

        (void)fprintf(to, "%s: requests without an answer: %llu, gave up: %llu\n", model->device[i].label,
                      (unsigned long long)device->refused, (unsigned long long)device->needs_reset);
        if (model->device[i].kind->report) {
            model->device[i].kind->report(model->device[i].virtio, model->device[i].label, to);
        }
    }
}
