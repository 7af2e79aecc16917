/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * See device.h. Entry points: the transport's calls, made while a guest access is being answered, which only change
 * state and queue the task; and the task, which does the work.
 */
#include "device.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define STATUS_DRIVER_MAY_SET                                                                        \
    (VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER | VIRTIO_CONFIG_S_FEATURES_OK | VIRTIO_CONFIG_S_DRIVER_OK | \
     VIRTIO_CONFIG_S_FAILED)
#define FEATURE(bit) (1ull << (bit))
#define QUEUE(index) (1ull << (index))

/* A chain that comes meanwhile waits for the end of one of these: with so many that is a small part of its time. */
#define QUIET_IN_FLIGHT 8u

static bool broken(const struct virtio_device *device)
{
    return device->status & VIRTIO_CONFIG_S_NEEDS_RESET;
}

static bool running(const struct virtio_device *device)
{
    return (device->status & VIRTIO_CONFIG_S_DRIVER_OK) && !broken(device) && !device->resetting && !device->stopped &&
           !device->paused &&
           device->transport->may_use_memory(device->transport_opaque);
}

/* 2.1.2: the device is in a state that it cannot get out of by itself. */
static void needs_reset(struct virtio_device *device)
{
    if (broken(device)) {
        return;
    }
    device->counters.needs_reset++;
    device->status |= VIRTIO_CONFIG_S_NEEDS_RESET;
    if (device->status & VIRTIO_CONFIG_S_DRIVER_OK) {
        device->transport->config_interrupt(device->transport_opaque);
    }
}

static void finish_reset(struct virtio_device *device)
{
    for (unsigned int i = 0; i < device->queue_count; i++) {
        virtqueue_reset(&device->queue[i]);
    }
    device->kicked = 0;
    device->full = 0;
    device->quiet = 0;
    device->closing = 0;
    device->wanting = 0;
    device->untaken = 0;
    device->completed = 0;
    device->starting = false;
    device->features = 0;
    device->status = 0;
    device->resetting = false;
    if (device->operations->reset) {
        device->operations->reset(device);
    }
    device->transport->reset_done(device->transport_opaque);
}

static void finish_reset_if_idle(struct virtio_device *device)
{
    if (device->resetting && !device->letting_go && virtio_device_in_flight(device) == 0) {
        finish_reset(device);
    }
}

static void let_go(struct virtio_device *device)
{
    if (device->operations->let_go) {
        device->letting_go = true;
        device->operations->let_go(device);
        device->letting_go = false;
    }
    finish_reset_if_idle(device);
}

/* Chains that are given back together, of a device that is being reset or has to be. */
static void forget(struct virtio_device *device, unsigned int index, struct virtqueue_chain *first)
{
    for (struct virtqueue_chain *chain = first; chain; chain = chain->together) {
        virtqueue_forget(&device->queue[index], chain);
    }
    finish_reset_if_idle(device);
}

static void finish_disabling(struct virtio_device *device, unsigned int index)
{
    if ((device->closing & QUEUE(index)) && device->queue[index].in_flight == 0) {
        device->closing &= ~QUEUE(index);
        device->wanting &= ~QUEUE(index);
        virtqueue_reset(&device->queue[index]);
    }
}

/*
 * A queue has been found empty. Whether that is all for now: the driver will notify, or somebody looks; else there are
 * chains again.
 */
static bool rest(struct virtio_device *device, unsigned int index)
{
    struct virtqueue *queue = &device->queue[index];

    if (queue->in_flight >= QUIET_IN_FLIGHT || loop_polling(device->loop)) {
        device->quiet |= QUEUE(index);
        loop_stay_quiet(device->loop, &device->listener);
        return true;
    }
    if (!virtqueue_listen(queue)) {
        return true;
    }
    virtqueue_quiet(queue);
    return false;
}

/*
 * Takes chains until there are no more, at most as many as the queue has entries: requests that end at once make room
 * for new ones, and a guest that is fast enough could keep us here. The rest is for the next turn of the loop.
 */
static void take_chains(struct virtio_device *device, unsigned int index, struct virtqueue_chain **taken)
{
    struct virtqueue *queue = &device->queue[index];
    struct virtqueue_chain *chain;

    if (platform_has_room(queue->platform)) {
        device->full |= QUEUE(index); /* others were refused: each in turn */
        return;
    }
    virtqueue_quiet(queue);
    for (unsigned int budget = queue->size; budget > 0 && !broken(device); budget--) {
        switch (virtqueue_pop(queue, &chain)) {
        case VIRTQUEUE_CHAIN:
            if (chain->piece) {
                *taken = chain;
                taken = &chain->next;
            } else {
                device->operations->request(device, index, chain);
            }
            break;
        case VIRTQUEUE_MALFORMED:
            virtio_device_refuse(device, index, chain);
            return;
        case VIRTQUEUE_BROKEN:
            needs_reset(device);
            return;
        case VIRTQUEUE_LATER:
            virtio_device_kick(device, index);
            return;
        case VIRTQUEUE_FULL:
            device->full |= QUEUE(index);
            return;
        case VIRTQUEUE_EMPTY:
            if (rest(device, index)) {
                return;
            }
            break;
        }
    }
    virtio_device_kick(device, index);
}

static void work_on(struct virtio_device *device, unsigned int index)
{
    struct virtqueue_chain *taken = NULL;

    take_chains(device, index, &taken);
    if (taken) {
        platform_copy_end(device->queue[index].platform);
    }
    while (taken) {
        struct virtqueue_chain *const chain = taken;

        taken = chain->next;
        virtqueue_fetched(chain);
        device->operations->request(device, index, chain);
    }
}

static void refuse_together(struct virtio_device *device, unsigned int index, struct virtqueue_chain *first)
{
    const bool resetting = device->resetting;

    device->counters.refused++;
    forget(device, index, first);
    if (!resetting) {
        finish_disabling(device, index);
        needs_reset(device);
    }
}

static void complete_together(struct virtio_device *device, unsigned int index, struct virtqueue_chain *first)
{
    virtqueue_complete_together(&device->queue[index], first);
    device->completed |= QUEUE(index);
    finish_disabling(device, index);
}

/* With grants: what was written has been copied, if that was possible. */
static void give_back(struct virtio_device *device, unsigned int index, struct virtqueue_chain *first)
{
    bool delivered = true;

    for (struct virtqueue_chain *chain = first; chain; chain = chain->together) {
        delivered &= virtqueue_delivered(chain);
    }
    if (delivered) {
        complete_together(device, index, first);
    } else {
        refuse_together(device, index, first);
    }
}

/* The same in a pushed queue, where the status can say that it was not. */
static void give_back_with_status(struct virtio_device *device, unsigned int index, struct virtqueue_chain *chain)
{
    struct virtqueue *queue = &device->queue[index];

    if (!virtqueue_delivered(chain)) {
        /* That is an error, for which there may be no place either. */
        *(volatile uint8_t *)chain->last.memory = device->operations->error_status;
        chain->written = 0;
        virtqueue_deliver(queue, chain, 0);
        platform_copy_end(queue->platform);
    }
    give_back(device, index, chain);
}

/* With grants: the chains that have been completed, by as few copies as possible. */
static void give_all_back(struct virtio_device *device, unsigned int index)
{
    struct virtqueue *queue = &device->queue[index];
    struct virtqueue_chain *ended = device->ended[index];
    struct virtqueue_chain *first = NULL;

    device->ended[index] = NULL;
    device->giving &= ~QUEUE(index);
    while (ended) {
        struct virtqueue_chain *const one = ended;

        ended = one->next;
        one->next = first;
        first = one;
        for (struct virtqueue_chain *chain = one; chain && !device->resetting; chain = chain->together) {
            virtqueue_deliver(queue, chain, chain->written);
        }
    }
    platform_copy_end(queue->platform);
    while (first) {
        struct virtqueue_chain *const one = first;

        first = one->next;
        if (device->resetting) {
            forget(device, index, one);
        } else if (queue->status) {
            give_back_with_status(device, index, one);
        } else {
            give_back(device, index, one);
        }
    }
}

/* Whether chains may be taken from a queue. */
static bool may_take(const struct virtio_device *device, unsigned int index)
{
    return !(device->closing & QUEUE(index)) && device->queue[index].enabled && running(device);
}

/* For those whose bit is set, the lowest first. */
static inline bool next_queue(uint64_t *queues, unsigned int *index)
{
    if (*queues == 0) {
        return false;
    }
    *index = (unsigned int)__builtin_ctzll(*queues);
    *queues &= *queues - 1;
    return true;
}

/* There may be chains. Who has not found too few has no use for more. */
static void look_after(struct virtio_device *device, unsigned int index)
{
    if (!(device->pulled & QUEUE(index))) {
        work_on(device, index);
    } else if (device->wanting & QUEUE(index)) {
        device->wanting &= ~QUEUE(index);
        device->operations->available(device, index);
    }
}

static void interrupt(struct virtio_device *device)
{
    uint64_t completed = device->completed;
    unsigned int i;

    device->completed = 0;
    while (next_queue(&completed, &i)) {
        if (!device->resetting && virtqueue_interrupts(&device->queue[i])) {
            device->transport->queue_interrupt(device->transport_opaque, i);
        }
    }
}

static void work(void *opaque)
{
    struct virtio_device *device = opaque;
    uint64_t queues = device->giving;
    unsigned int i;

    while (next_queue(&queues, &i)) {
        give_all_back(device, i);
    }
    if (device->starting && running(device)) {
        device->starting = false;
        device->operations->driver_ok(device);
    }
    queues = device->kicked | device->quiet;
    device->kicked = 0;
    device->quiet = 0;
    while (next_queue(&queues, &i)) {
        if (may_take(device, i)) {
            look_after(device, i);
        } else {
            virtqueue_suspend(&device->queue[i]); /* others may need what it has mapped */
        }
    }
    queues = device->untaken;
    device->untaken = 0;
    while (next_queue(&queues, &i)) {
        virtqueue_suspend(&device->queue[i]);
    }
    interrupt(device);
}

static bool look(void *opaque)
{
    struct virtio_device *device = opaque;
    uint64_t queues = device->quiet;
    unsigned int i;

    while (next_queue(&queues, &i)) {
        if (may_take(device, i) && virtqueue_waiting(&device->queue[i])) {
            virtio_device_kick(device, i);
        }
    }
    return device->kicked != 0;
}

static void listen(void *opaque)
{
    struct virtio_device *device = opaque;
    uint64_t queues = device->quiet;
    unsigned int i;

    device->quiet = 0;
    while (next_queue(&queues, &i)) {
        if (may_take(device, i) && virtqueue_listen(&device->queue[i])) {
            virtio_device_kick(device, i);
        }
    }
}

int virtio_device_init(struct virtio_device *device, uint16_t id, const struct virtio_device_operations *operations,
                       struct loop *loop, struct platform *platform, unsigned int queue_count,
                       const uint16_t queue_size[], uint64_t features)
{
    const bool grants = platform_uses_grants(platform);

    *device = (struct virtio_device){
        .operations = operations,
        .loop = loop,
        .task = { .run = work, .opaque = device },
        .listener = { .look = look, .listen = listen, .opaque = device },
        .id = id,
        .features_offered = features | FEATURE(VIRTIO_F_VERSION_1) | FEATURE(VIRTIO_RING_F_EVENT_IDX) |
                            (grants ? FEATURE(VIRTIO_F_ACCESS_PLATFORM) : FEATURE(VIRTIO_RING_F_INDIRECT_DESC)),
    };
    device->queue = calloc(queue_count, sizeof(device->queue[0]));
    device->ended = calloc(queue_count, sizeof(device->ended[0]));
    if (!device->queue || !device->ended) {
        virtio_device_finish(device);
        return -ENOMEM;
    }
    for (unsigned int i = 0; i < queue_count; i++) {
        const int error = virtqueue_init(&device->queue[i], platform, queue_size[i]);

        if (error) {
            virtio_device_finish(device);
            return error;
        }
        device->queue_count++;
    }
    return 0;
}

void virtio_device_finish(struct virtio_device *device)
{
    while (device->queue_count > 0) {
        virtqueue_finish(&device->queue[--device->queue_count]);
    }
    free(device->queue);
    free(device->ended);
    device->queue = NULL;
    device->ended = NULL;
}

void virtio_device_pull(struct virtio_device *device, unsigned int queue)
{
    device->pulled |= QUEUE(queue);
    device->queue[queue].status = false;
}

void virtio_device_connect(struct virtio_device *device, const struct virtio_transport_operations *transport,
                           void *opaque)
{
    device->transport = transport;
    device->transport_opaque = opaque;
}

void virtio_device_reset(struct virtio_device *device)
{
    if (device->resetting) {
        return;
    }
    device->resetting = true;
    let_go(device);
}

/* What virtio_device_take() has found may be used, as soon as what is in it has been fetched. */
static enum virtio_device_taken found(struct virtio_device *device, unsigned int index, struct virtqueue_chain *chain)
{
    if (chain->piece && chain->readable > 0) {
        platform_copy_end(device->queue[index].platform);
    }
    if (chain->piece) {
        virtqueue_fetched(chain);
    }
    if (chain->unresolved) {
        virtio_device_refuse(device, index, chain);
        return VIRTIO_DEVICE_LATER;
    }
    device->wanting &= ~QUEUE(index);
    return VIRTIO_DEVICE_CHAIN;
}

enum virtio_device_taken virtio_device_take(struct virtio_device *device, unsigned int index,
                                            struct virtqueue_chain **chain)
{
    struct virtqueue *queue = &device->queue[index];

    device->wanting |= QUEUE(index);
    if (!may_take(device, index)) {
        return VIRTIO_DEVICE_LATER;
    }
    if (platform_has_room(queue->platform)) {
        device->full |= QUEUE(index);
        return VIRTIO_DEVICE_LATER;
    }
    virtqueue_quiet(queue);
    for (unsigned int tries = 2; tries > 0; tries--) {
        switch (virtqueue_pop(queue, chain)) {
        case VIRTQUEUE_CHAIN:
            return found(device, index, *chain);
        case VIRTQUEUE_MALFORMED:
            virtio_device_refuse(device, index, *chain);
            return VIRTIO_DEVICE_LATER;
        case VIRTQUEUE_BROKEN:
            needs_reset(device);
            return VIRTIO_DEVICE_LATER;
        case VIRTQUEUE_LATER:
            virtio_device_kick(device, index);
            return VIRTIO_DEVICE_LATER;
        case VIRTQUEUE_FULL:
            device->full |= QUEUE(index);
            return VIRTIO_DEVICE_LATER;
        case VIRTQUEUE_EMPTY:
            if (rest(device, index)) {
                return VIRTIO_DEVICE_NONE;
            }
            break;
        }
    }
    virtio_device_kick(device, index);
    return VIRTIO_DEVICE_LATER;
}

void virtio_device_untake(struct virtio_device *device, unsigned int queue, struct virtqueue_chain *chain)
{
    if (device->resetting) {
        chain->together = NULL;
        forget(device, queue, chain);
        return;
    }
    virtqueue_untake(&device->queue[queue], chain);
    if (may_take(device, queue)) {
        device->untaken |= QUEUE(queue);
        loop_defer(device->loop, &device->task);
    } else {
        virtqueue_suspend(&device->queue[queue]);
        finish_disabling(device, queue);
    }
}

void virtio_device_complete_together(struct virtio_device *device, unsigned int queue, struct virtqueue_chain *first)
{
    if (device->resetting) {
        forget(device, queue, first);
        return;
    }
    if (first->piece) {
        first->next = device->ended[queue];
        device->ended[queue] = first;
        device->giving |= QUEUE(queue);
    } else {
        complete_together(device, queue, first);
    }
    loop_defer(device->loop, &device->task);
}

void virtio_device_complete(struct virtio_device *device, unsigned int queue, struct virtqueue_chain *chain,
                            uint32_t written)
{
    chain->written = written;
    chain->together = NULL;
    virtio_device_complete_together(device, queue, chain);
}

void virtio_device_refuse(struct virtio_device *device, unsigned int queue, struct virtqueue_chain *chain)
{
    chain->together = NULL;
    refuse_together(device, queue, chain);
}

uint64_t virtio_device_given(const struct virtio_device *device, unsigned int queue)
{
    return device->queue[queue].journal->used;
}

void virtio_device_config_changed(struct virtio_device *device)
{
    device->config_generation++;
    if (device->status & VIRTIO_CONFIG_S_DRIVER_OK) {
        device->transport->config_interrupt(device->transport_opaque);
    }
}

static uint64_t agreed(const struct virtio_device *device)
{
    return device->status & VIRTIO_CONFIG_S_FEATURES_OK ? device->features & device->features_offered : 0;
}

bool virtio_device_has(const struct virtio_device *device, unsigned int feature)
{
    return agreed(device) & FEATURE(feature);
}

void virtio_device_stop(struct virtio_device *device)
{
    device->stopped = true;
    let_go(device);
}

void virtio_device_pause(struct virtio_device *device)
{
    device->paused = true;
    let_go(device);
    for (unsigned int i = 0; i < device->queue_count; i++) {
        virtqueue_suspend(&device->queue[i]);
    }
}

void virtio_device_unmap(struct virtio_device *device)
{
    for (unsigned int i = 0; i < device->queue_count; i++) {
        virtqueue_unmap(&device->queue[i]);
    }
}

void virtio_device_map(struct virtio_device *device)
{
    for (unsigned int i = 0; i < device->queue_count; i++) {
        if (virtqueue_map(&device->queue[i])) {
            needs_reset(device);
        }
    }
}

void virtio_device_continue(struct virtio_device *device)
{
    device->paused = false;
    virtio_device_kick_all(device);
}

unsigned int virtio_device_in_flight(const struct virtio_device *device)
{
    unsigned int in_flight = 0;

    for (unsigned int i = 0; i < device->queue_count; i++) {
        in_flight += device->queue[i].in_flight;
    }
    return in_flight;
}

/*
 * 2.2.1: nothing that was not offered. A driver that does not accept ACCESS_PLATFORM would give us addresses where
 * grants are wanted (6.2), and one that uses grants knows VERSION_1. Otherwise a driver may leave VERSION_1 out, as
 * small ones do (6.1 leaves it to the device): there is one interface and one byte order, whatever it says.
 */
static bool acceptable(const struct virtio_device *device)
{
    const bool grants = device->features_offered & FEATURE(VIRTIO_F_ACCESS_PLATFORM);
    const uint64_t required = grants ? FEATURE(VIRTIO_F_ACCESS_PLATFORM) | FEATURE(VIRTIO_F_VERSION_1) : 0;

    return (device->features & ~device->features_offered) == 0 && (device->features & required) == required;
}

/* 2.1.1: the driver sets bits one after the other and clears none but by writing 0, which is the reset. */
void virtio_device_set_status(struct virtio_device *device, uint32_t value)
{
    const uint8_t old = device->status;
    uint8_t set = (uint8_t)(value & STATUS_DRIVER_MAY_SET & ~old);

    if (device->resetting) {
        return;
    }
    if (value == 0) {
        virtio_device_reset(device);
        return;
    }
    if ((set & VIRTIO_CONFIG_S_FEATURES_OK) && !acceptable(device)) {
        set &= (uint8_t)~VIRTIO_CONFIG_S_FEATURES_OK;
    }
    if (!((old | set) & VIRTIO_CONFIG_S_FEATURES_OK)) {
        set &= (uint8_t)~VIRTIO_CONFIG_S_DRIVER_OK;
    }
    device->status = old | set;
    if (set & VIRTIO_CONFIG_S_DRIVER_OK) {
        device->starting = device->operations->driver_ok != NULL;
        if (old & VIRTIO_CONFIG_S_NEEDS_RESET) {
            device->transport->config_interrupt(device->transport_opaque);
        }
        virtio_device_kick_all(device);
    }
}

void virtio_device_set_features(struct virtio_device *device, unsigned int select, uint32_t value)
{
    if (device->resetting || select > 1 || (device->status & VIRTIO_CONFIG_S_FEATURES_OK)) {
        return;
    }
    device->features &= ~(0xffffffffull << (32 * select));
    device->features |= (uint64_t)value << (32 * select);
}

uint32_t virtio_device_features(uint64_t features, unsigned int select)
{
    return select > 1 ? 0 : (uint32_t)(features >> (32 * select));
}

uint64_t virtio_read_image(const void *image, size_t image_size, uint64_t offset, unsigned int size)
{
    uint64_t data = UINT64_MAX;

    if (offset < image_size) {
        memcpy(&data, (const char *)image + offset, image_size - offset < size ? image_size - offset : size);
    }
    return data;
}

uint64_t virtio_device_config(struct virtio_device *device, uint64_t offset, unsigned int size, bool write,
                              uint64_t data)
{
    if (!write) {
        return virtio_read_image(device->config, device->config_size, offset, size);
    }
    if (device->operations->config_write && !device->resetting && size <= device->config_size &&
        offset <= device->config_size - size) {
        device->operations->config_write(device, offset, size, data);
    }
    return 0;
}

struct virtqueue *virtio_device_open_queue(struct virtio_device *device, unsigned int index)
{
    if (device->resetting || index >= device->queue_count || device->queue[index].enabled) {
        return NULL;
    }
    return &device->queue[index];
}

/* Queues are set up after the features are agreed on (3.1.1), on which their format depends. */
void virtio_device_enable_queue(struct virtio_device *device, unsigned int index)
{
    struct virtqueue *queue = virtio_device_open_queue(device, index);

    if (!queue || !(device->status & VIRTIO_CONFIG_S_FEATURES_OK)) {
        return;
    }
    if (virtqueue_enable(queue, agreed(device))) {
        needs_reset(device);
        return;
    }
    if (device->pulled & QUEUE(index)) {
        virtqueue_quiet(queue);
    }
    virtio_device_kick(device, index);
}

void virtio_device_disable_queue(struct virtio_device *device, unsigned int index)
{
    if (!device->resetting && index < device->queue_count && device->queue[index].enabled) {
        device->closing |= QUEUE(index);
        finish_disabling(device, index);
    }
}

void virtio_device_kick(struct virtio_device *device, unsigned int index)
{
    if (index < device->queue_count) {
        device->kicked |= QUEUE(index);
        loop_defer(device->loop, &device->task);
    }
}

void virtio_device_room(struct virtio_device *device)
{
    uint64_t full = device->full;
    unsigned int i;

    device->full = 0;
    while (next_queue(&full, &i)) {
        virtio_device_kick(device, i);
    }
}

void virtio_device_kick_all(struct virtio_device *device)
{
    for (unsigned int i = 0; i < device->queue_count; i++) {
        virtio_device_kick(device, i);
    }
}

size_t virtio_device_journal_size(const struct virtio_device *device)
{
    size_t size = 0;

    for (unsigned int i = 0; i < device->queue_count; i++) {
        size += VIRTQUEUE_JOURNAL_SIZE(device->queue[i].size_max);
    }
    return size;
}

void virtio_device_keep_journals(struct virtio_device *device, void *memory)
{
    unsigned char *journal = memory;

    for (unsigned int i = 0; i < device->queue_count; i++) {
        virtqueue_keep_journal(&device->queue[i], (struct virtqueue_journal *)(void *)journal);
        journal += VIRTQUEUE_JOURNAL_SIZE(device->queue[i].size_max);
    }
}

void virtio_device_save(const struct virtio_device *device, struct virtio_device_saved *saved)
{
    saved->features = device->features;
    saved->status = device->status;
    saved->config_generation = device->config_generation;
    saved->resetting = device->resetting;
    for (unsigned int i = 0; i < device->queue_count; i++) {
        saved->queue[i].registers = device->queue[i].registers;
        saved->queue[i].enabled = device->queue[i].enabled;
    }
}

void virtio_device_restore(struct virtio_device *device, const struct virtio_device_saved *saved)
{
    device->features = saved->features;
    device->status = saved->status;
    device->config_generation = saved->config_generation;
    device->resetting = saved->resetting;
    for (unsigned int i = 0; i < device->queue_count; i++) {
        device->queue[i].registers = saved->queue[i].registers;
        if (!saved->queue[i].enabled) {
            continue;
        }
        if (virtqueue_enable(&device->queue[i], agreed(device)) || virtqueue_recover(&device->queue[i])) {
            needs_reset(device);
        }
    }
}

void virtio_device_resume(struct virtio_device *device)
{
    if (device->resetting) {
        finish_reset(device); /* what was in flight ended with the predecessor */
        return;
    }
    for (unsigned int i = 0; i < device->queue_count; i++) {
        if (device->queue[i].enabled) {
            device->transport->queue_interrupt(device->transport_opaque, i);
        }
    }
    /* A change of the configuration may be what the lost answer to a read of ISR has told. */
    if (device->status & VIRTIO_CONFIG_S_DRIVER_OK) {
        device->starting = device->operations->driver_ok != NULL;
        device->transport->config_interrupt(device->transport_opaque);
    }
    virtio_device_kick_all(device);
}
