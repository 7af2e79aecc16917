/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * See machine.h.
 */
#include "machine.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include <linux/loop.h>

#include "faults.h"
#include "platform/grants.h"

#define QUIET_TURNS 20
#define PATIENCE_MS 20000

/* What a test that failed has left behind; its model is never let work again. */
static struct local_guest *left_behind;

uint64_t machine_word(uint64_t number)
{
    return number * 0x9e3779b97f4a7c15ull + 0x0123456789abcdefull;
}

uint64_t machine_now(void)
{
    struct timespec now;

    assert_int_equal(clock_gettime(CLOCK_MONOTONIC, &now), 0);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

void machine_check_deadline(uint64_t deadline, const char *what)
{
    if (machine_now() > deadline) {
        fail_msg("%s takes too long", what);
    }
}

void machine_turn(void *opaque)
{
    struct machine *machine = opaque;

    if (machine->model) {
        model_turn(machine->model, false);
    } else if (machine->elsewhere) {
        machine->elsewhere(machine);
    }
}

static void make_disk(struct machine *machine, unsigned int i, const char *directory, uint64_t sectors)
{
    int file;

    (void)snprintf(machine->path[i], sizeof(machine->path[i]), "%s%sdisk-XXXXXX", directory ? directory : "",
                   directory ? "/" : "");
    file = mkstemp(machine->path[i]);
    assert_true(file >= 0);
    for (uint64_t sector = 0; sector < sectors; sector++) {
        uint64_t words[64];

        for (unsigned int word = 0; word < 64; word++) {
            words[word] = machine_word(sector * 64 + word);
        }
        assert_int_equal(pwrite(file, words, sizeof(words), (off_t)(sector * 512)), sizeof(words));
    }
    assert_int_equal(close(file), 0);
}

int machine_block_device(const char *file, char path[MACHINE_PATH])
{
    struct loop_config config = { .info.lo_flags = LO_FLAGS_AUTOCLEAR };
    const int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
    const int backing = open(file, O_RDWR | O_CLOEXEC);
    int loop = -1;

    config.fd = (uint32_t)backing;
    for (unsigned int i = 0; i < 100 && loop < 0 && control >= 0; i++) { /* others may be faster */
        (void)snprintf(path, MACHINE_PATH, "/dev/loop%d", ioctl(control, LOOP_CTL_GET_FREE));
        loop = open(path, O_RDWR | O_CLOEXEC);
        if (loop < 0 || ioctl(loop, LOOP_CONFIGURE, &config)) {
            (void)close(loop);
            loop = -1;
        }
    }
    (void)close(control);
    (void)close(backing);
    return loop;
}

void machine_start_model(struct machine *machine)
{
    char error[MODEL_ERROR_MAX];

    if (model_create(&machine->model, &machine->options, error)) {
        fail_msg("model_create: %s", error);
    }
}

void machine_stop_model(struct machine *machine)
{
    const uint64_t deadline = machine_now() + PATIENCE_MS;

    model_stop(machine->model);
    while (model_state(machine->model) != MODEL_ENDED) {
        model_turn(machine->model, false);
        machine_check_deadline(deadline, "stopping");
    }
    machine_destroy_model(machine, 0);
}

void machine_destroy_model(struct machine *machine, int result)
{
    char error[MODEL_ERROR_MAX];

    assert_int_equal(model_destroy(machine->model, error), result);
    machine->model = NULL;
}

void machine_start(struct machine *machine, const struct machine_options *options)
{
    struct local_config config = {
        .domain = MACHINE_DOMAIN,
        .bridge = {
            .ecam = { 0x10000000, 0x200000 },
            .memory = { 0x23000000, 0x1000000 },
            .prefetch = { 0x100000000ull, 0x1000000 },
            .interrupt_first = 44,
            .interrupt_count = options->interrupts ? options->interrupts : 32,
            .flags = options->grants || getenv("MACHINE_GRANTS") ? BRIDGE_FLAG_GRANTS : 0,
        },
        .banks = 2,
        .bank = { { MACHINE_RAM, MACHINE_BANK }, { MACHINE_RAM2, MACHINE_BANK } },
    };

    if (options->plain || getenv("MACHINE_PLAIN")) {
        config.bridge.ecam = (struct bridge_window){ 0 };
        config.bridge.memory.size = 0x1000;
        config.bridge.prefetch.size = 0x1000;
    }
    local_guest_destroy(left_behind);
    faults_reset();
    *machine = (struct machine){ .bridge = config.bridge, .disks = options->disks ? options->disks : 1 };
    assert_true(machine->disks <= MACHINE_DISKS);
    assert_int_equal(local_guest_create(&machine->guest, &config), 0);
    left_behind = machine->guest;
    local_guest_run_with(machine->guest, machine_turn, machine);
    for (uint32_t page = 0; page < MACHINE_GRANTS; page++) {
        local_guest_grant(machine->guest, page, MACHINE_RAM + page * 4096ull, true);
    }

    machine->options = (struct model_options){
        .domain = MACHINE_DOMAIN, .msix = !options->intx_only, .device_count = machine->disks,
    };
    for (unsigned int i = 0; i < machine->disks; i++) {
        make_disk(machine, i, options->directory, options->sectors ? options->sectors : MACHINE_SECTORS);
        machine->disk[i] = (struct blk_options){
            .path = machine->path[i], .id = options->id, .read_only = options->read_only,
            .queues = options->queues, .packed = options->packed || getenv("DRIVER_PACKED"),
        };
        machine->options.device[i] = (struct model_device){ .kind = &blk_kind, .options = &machine->disk[i] };
    }
    if (options->beside.kind) {
        machine->options.device[machine->options.device_count++] = options->beside;
    }
    machine_start_model(machine);
}

void machine_finish(struct machine *machine)
{
    if (machine->model) {
        machine_stop_model(machine);
    }
    assert_int_equal(local_guest_claims(machine->guest), 0);
    assert_int_equal(local_guest_granted(machine->guest), 0);
    local_guest_destroy(machine->guest);
    left_behind = NULL;
    for (unsigned int i = 0; i < machine->disks; i++) {
        assert_int_equal(unlink(machine->path[i]), 0);
    }
}

void machine_skip(struct machine *machine)
{
    machine_finish(machine);
    skip();
}

void machine_test_run(void **state)
{
    const struct machine_test *test = *state;
    struct machine machine;

    machine_start(&machine, &test->options);
    test->test(&machine);
    machine_finish(&machine);
}

void machine_settle(struct machine *machine)
{
    const struct timespec moment = { .tv_nsec = 100000 };

    for (int i = 0; i < QUIET_TURNS; i++) {
        machine_turn(machine);
        (void)nanosleep(&moment, NULL);
    }
}

uint64_t machine_read(struct machine *machine, uint64_t address, unsigned int size)
{
    return local_guest_read(machine->guest, address, size);
}

void machine_write(struct machine *machine, uint64_t address, unsigned int size, uint64_t data)
{
    local_guest_write(machine->guest, address, size, data);
}

static uint64_t config_address(const struct machine *machine, unsigned int device, unsigned int offset)
{
    return machine->bridge.ecam.base + device * 0x8000u + offset;
}

uint64_t machine_config_read(struct machine *machine, unsigned int device, unsigned int offset, unsigned int size)
{
    return machine_read(machine, config_address(machine, device, offset), size);
}

void machine_config_write(struct machine *machine, unsigned int device, unsigned int offset, unsigned int size,
                          uint64_t data)
{
    machine_write(machine, config_address(machine, device, offset), size, data);
}

void *machine_memory(struct machine *machine, uint64_t address, uint64_t length)
{
    void *memory = local_guest_memory(machine->guest, address, length);

    assert_non_null(memory);
    return memory;
}

uint64_t machine_dma(const struct machine *machine, uint64_t address)
{
    if ((machine->bridge.flags & BRIDGE_FLAG_GRANTS) && address - MACHINE_RAM < MACHINE_BANK) {
        return PLATFORM_GRANT_ADDRESS | (address - MACHINE_RAM);
    }
    return address;
}
