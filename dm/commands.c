/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * See commands.h. The names in the answers are what metrics are made of (ask.c): change them with care.
 */
#include "commands.h"

#include <json-c/json.h>

#include "model.h"

static void add_text(struct json_object *object, const char *name, const char *text)
{
    (void)json_object_object_add(object, name, json_object_new_string(text));
}

static void add_number(struct json_object *object, const char *name, uint64_t number)
{
    (void)json_object_object_add(object, name, json_object_new_uint64(number));
}

static void add_bool(struct json_object *object, const char *name, bool value)
{
    (void)json_object_object_add(object, name, json_object_new_boolean(value));
}

struct json_object *model_greeting(unsigned int domain, unsigned int bridge)
{
    struct json_object *greeting = json_object_new_object();

    add_text(greeting, "program", "sidebridge-dm");
    add_text(greeting, "version", SIDEBRIDGE_VERSION);
    add_number(greeting, "domain", domain);
    add_number(greeting, "bridge", bridge);
    return greeting;
}

/* How far the driver is (virtio 1.2, section 2.1). */
static const char *driver_state(const struct virtio_device *device)
{
    return device->status & VIRTIO_CONFIG_S_NEEDS_RESET  ? "needs reset"
           : device->status & VIRTIO_CONFIG_S_FAILED     ? "failed"
           : device->status & VIRTIO_CONFIG_S_DRIVER_OK  ? "running"
           : device->status & VIRTIO_CONFIG_S_DRIVER     ? "starting"
                                                         : "none";
}

static struct json_object *describe(const struct model *model, unsigned int index)
{
    const struct model_view view = model_view(model, index);
    struct json_object *object = json_object_new_object();
    char text[32];

    add_text(object, "name", view.name);
    add_text(object, "kind", view.kind->name);
    (void)snprintf(text, sizeof(text), model_plain(model) ? "%u" : "00:%02x.0", view.number);
    add_text(object, model_plain(model) ? "place" : "function", text);
    add_text(object, "driver", driver_state(view.virtio));
    (void)snprintf(text, sizeof(text), "0x%llx", (unsigned long long)view.virtio->features);
    add_text(object, "features", text);
    return object;
}

static struct json_object *status(void *opaque, struct json_object *arguments, char error[CONTROL_ERROR_MAX])
{
    static const char *const name[] = {
        [MODEL_SERVING] = "serving", [MODEL_STOPPING] = "stopping", [MODEL_ENDED] = "ended",
    };
    const struct model *model = opaque;
    struct json_object *object = json_object_new_object(), *devices = json_object_new_array();

    (void)arguments;
    (void)error;
    add_text(object, "state", name[model_state(model)]);
    add_bool(object, "resumed", model_resumed(model));
    add_text(object, "sandbox-lacks", model_sandbox_lacks(model));
    for (unsigned int i = 0; i < model_devices(model); i++) {
        (void)json_object_array_add(devices, describe(model, i));
    }
    (void)json_object_object_add(object, "devices", devices);
    return object;
}

static struct json_object *count_queue(const struct virtqueue *queue)
{
    struct json_object *object = json_object_new_object();

    add_number(object, "size", queue->enabled ? queue->size : 0);
    add_number(object, "in-flight", queue->in_flight);
    add_number(object, "taken", queue->journal->taken);
    add_number(object, "used", queue->journal->used);
    return object;
}

static struct json_object *count_device(const struct model *model, unsigned int index)
{
    const struct model_view view = model_view(model, index);
    struct json_object *object = json_object_new_object(), *queues = json_object_new_array();

    add_text(object, "name", view.name);
    add_text(object, "kind", view.kind->name);
    add_number(object, "refused", view.virtio->counters.refused);
    add_number(object, "needs-reset", view.virtio->counters.needs_reset);
    for (unsigned int i = 0; i < view.virtio->queue_count; i++) {
        (void)json_object_array_add(queues, count_queue(&view.virtio->queue[i]));
    }
    (void)json_object_object_add(object, "queues", queues);
    return object;
}

static struct json_object *counters(void *opaque, struct json_object *arguments, char error[CONTROL_ERROR_MAX])
{
    const struct model *model = opaque;
    const struct platform_counters platform = model_counters(model);
    struct json_object *object = json_object_new_object(), *devices = json_object_new_array();

    (void)arguments;
    (void)error;
    add_number(object, "accesses", platform.requests);
    add_number(object, "malformed", platform.malformed);
    add_number(object, "doorbells", platform.doorbells);
    add_number(object, "invalidations", platform.invalidations);
    add_number(object, "mapped-bytes", platform.mapped);
    add_number(object, "dropped-pieces", platform.dropped);
    for (unsigned int i = 0; i < model_devices(model); i++) {
        (void)json_object_array_add(devices, count_device(model, i));
    }
    (void)json_object_object_add(object, "devices", devices);
    return object;
}

static struct json_object *look(void *opaque, struct json_object *arguments, char error[CONTROL_ERROR_MAX])
{
    (void)arguments;
    (void)error;
    model_look(opaque);
    return NULL;
}

static struct json_object *stop(void *opaque, struct json_object *arguments, char error[CONTROL_ERROR_MAX])
{
    (void)arguments;
    (void)error;
    model_stop(opaque);
    return NULL;
}

const struct control_command model_commands[] = {
    { "status", "what is served, and how far its drivers are", NULL, status },
    { "counters", "accesses of the guest, doorbells, memory; of each queue: what was taken and given back", NULL,
      counters },
    { "look", "tell the guest if a disk has grown or shrunk, as SIGHUP", NULL, look },
    { "stop", "end in order, as SIGTERM", NULL, stop },
    { 0 },
};
