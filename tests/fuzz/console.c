/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Fuzz target "console": a driver of a console with ports that does anything. The input is a list of what it does to
 * rings, buffers and registers, and of what happens at the ends; after it a driver that starts the device anew has
 * its output taken.
 *
 * The device is in plain ranges, so that its registers have fixed places. There is one for all inputs.
 */
#include <assert.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <linux/virtio_config.h>
#include <linux/virtio_console.h>
#include <linux/virtio_mmio.h>
#include <linux/virtio_ring.h>

#include "devices/console.h"
#include "model.h"
#include "platform/local.h"

#define RAM        0x40000000ull
#define RAM_SIZE   0x100000ull
#define REGISTERS  0x23000000ull
#define QUEUES     8u
#define SIZE       16u
#define QUEUE_SIZE 0x4000u /* of a queue's memory: descriptors, available and used ring, buffers */
#define AVAILABLE  0x1000u
#define USED       0x2000u
#define BUFFERS    0x3000u
#define FEATURES                                                             \
    (1u << VIRTIO_CONSOLE_F_MULTIPORT | 1u << VIRTIO_CONSOLE_F_EMERG_WRITE | \
     1u << VIRTIO_RING_F_INDIRECT_DESC)

static struct local_guest *guest;
static struct model *model;
static int to_guest, from_guest;

static void turn(void *opaque)
{
    (void)opaque;
    model_turn(model, false);
}

static void end(void)
{
    char error[MODEL_ERROR_MAX];

    model_stop(model);
    while (model_state(model) != MODEL_ENDED) {
        model_turn(model, false);
    }
    assert(model_destroy(model, error) == 0);
    local_guest_destroy(guest);
}

static void begin(void)
{
    static const struct console_options options = { .sink = true, .port = { "a:fifo:fuzz-a", "b:sink" } };
    const struct local_config config = {
        .domain = 1, .bridge = { .memory = { REGISTERS, 0x1000 }, .interrupt_first = 44, .interrupt_count = 1 },
        .banks = 1, .bank = { { RAM, RAM_SIZE } },
    };
    const struct model_options wanted = {
        .domain = 1, .device_count = 1, .device = { { .kind = &console_kind, .options = &options } },
    };
    char directory[] = "/tmp/fuzz-console-XXXXXX", error[MODEL_ERROR_MAX];

    (void)signal(SIGPIPE, SIG_IGN);
    assert(mkdtemp(directory) && chdir(directory) == 0);
    assert(local_guest_create(&guest, &config) == 0);
    local_guest_run_with(guest, turn, NULL);
    assert(model_create(&model, &wanted, error) == 0);
    assert(atexit(end) == 0);
    to_guest = open("fuzz-a.in", O_RDWR | O_NONBLOCK | O_CLOEXEC);
    from_guest = open("fuzz-a.out", O_RDWR | O_NONBLOCK | O_CLOEXEC);
    assert(to_guest >= 0 && from_guest >= 0);
    (void)unlink("fuzz-a.in");
    (void)unlink("fuzz-a.out");
    (void)chdir("/");
    (void)rmdir(directory);
}

static void set(unsigned int offset, uint32_t value)
{
    local_guest_write(guest, REGISTERS + offset, 4, value);
}

static void start(void)
{
    static const unsigned int places[] = { VIRTIO_MMIO_QUEUE_DESC_LOW, VIRTIO_MMIO_QUEUE_AVAIL_LOW,
                                           VIRTIO_MMIO_QUEUE_USED_LOW };

    set(VIRTIO_MMIO_STATUS, 0);
    for (unsigned int i = 0; local_guest_read(guest, REGISTERS + VIRTIO_MMIO_STATUS, 4) != 0; i++) {
        assert(i < 1000);
        turn(NULL);
    }
    memset(local_guest_memory(guest, RAM, RAM_SIZE), 0, QUEUES * QUEUE_SIZE);
    set(VIRTIO_MMIO_STATUS, VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER);
    for (unsigned int select = 0; select < 2; select++) {
        set(VIRTIO_MMIO_DRIVER_FEATURES_SEL, select);
        set(VIRTIO_MMIO_DRIVER_FEATURES, select ? 1 : FEATURES);
    }
    set(VIRTIO_MMIO_STATUS, VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER | VIRTIO_CONFIG_S_FEATURES_OK);
    for (unsigned int i = 0; i < QUEUES; i++) {
        set(VIRTIO_MMIO_QUEUE_SEL, i);
        set(VIRTIO_MMIO_QUEUE_NUM, SIZE);
        for (unsigned int place = 0; place < 3; place++) {
            set(places[place], (uint32_t)RAM + i * QUEUE_SIZE + place * AVAILABLE);
            set(places[place] + 4, 0);
        }
        set(VIRTIO_MMIO_QUEUE_READY, 1);
    }
    set(VIRTIO_MMIO_STATUS, VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER | VIRTIO_CONFIG_S_FEATURES_OK |
                                VIRTIO_CONFIG_S_DRIVER_OK);
}

static uint8_t *memory_of(unsigned int queue)
{
    return local_guest_memory(guest, RAM + queue % QUEUES * QUEUE_SIZE, QUEUE_SIZE);
}

static void publish(unsigned int queue, uint16_t head)
{
    struct vring_avail *available = (struct vring_avail *)(void *)(memory_of(queue) + AVAILABLE);

    available->ring[available->idx % SIZE] = head;
    __atomic_store_n(&available->idx, (uint16_t)(available->idx + 1), __ATOMIC_RELEASE);
}

static void describe(unsigned int queue, const uint8_t step[6])
{
    struct vring_desc *descriptor = (struct vring_desc *)(void *)memory_of(queue) + step[2] % SIZE;

    *descriptor = (struct vring_desc){
        .addr = RAM + queue % QUEUES * QUEUE_SIZE + (step[5] & 0x80 ? RAM_SIZE : BUFFERS + step[3]),
        .len = step[4], .flags = step[5] & 7, .next = (uint16_t)(step[5] >> 3 & 15),
    };
}

/* Eight bytes of the input each. */
static void do_step(const uint8_t step[8])
{
    uint8_t bytes[4096];

    switch (step[0] % 8) {
    case 0:
    case 1:
        describe(step[1], step);
        break;
    case 2:
        publish(step[1], step[2] % (SIZE + 1));
        set(VIRTIO_MMIO_QUEUE_NOTIFY, step[1] % (QUEUES + 1));
        break;
    case 3:
        memcpy(memory_of(step[1]) + BUFFERS + step[2], step + 3, 5);
        break;
    case 4:
        local_guest_write(guest, REGISTERS + VIRTIO_MMIO_CONFIG + step[1] % 16, 1u << step[2] % 3, step[3]);
        break;
    case 5:
        (void)!write(to_guest, step, 8);
        break;
    case 6:
        (void)!read(from_guest, bytes, sizeof(bytes));
        break;
    default:
        if (step[1] == 0) {
            start();
        } else {
            memory_of(step[1])[(step[2] << 8 | step[3]) % QUEUE_SIZE] = step[4];
        }
        break;
    }
    turn(NULL);
}

static void check_serves(void)
{
    const struct vring_used *used;

    start();
    *(struct vring_desc *)(void *)memory_of(1) = (struct vring_desc){ .addr = RAM + BUFFERS, .len = 8 };
    publish(1, 0);
    set(VIRTIO_MMIO_QUEUE_NOTIFY, 1);
    used = (const struct vring_used *)(const void *)(memory_of(1) + USED);
    for (unsigned int i = 0; __atomic_load_n(&used->idx, __ATOMIC_ACQUIRE) != 1; i++) {
        assert(i < 1000);
        turn(NULL);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!model) {
        begin();
    }
    start();
    for (size_t i = 0; i + 8 <= size; i += 8) {
        do_step(data + i);
    }
    check_serves();
    return 0;
}
