/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A device model that keeps its state in a file, in a process of its own that is killed at any instruction, time and
 * again, while the guest works: the guest sees nothing of it. Every request ends once, with an interrupt, and the disk
 * has what was written.
 *
 * With MACHINE_SANDBOX=1 in the environment each of these processes is in the sandbox.
 */
#include "driver.h"
#include "faults.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include <linux/virtio_ids.h>
#include <linux/virtio_vsock.h>
#include <xen/hvm/ioreq.h>

#include "console_driver.h"
#include "devices/rng.h"
#include "devices/vsock.h"
#include "sandbox.h"

#define STATE   "state-killed"
#define KILLS   100u
#define DEPTH   5u /* of three descriptors each */
#define BYTES   4096u
#define BLOCKS  ((unsigned int)(MACHINE_SECTORS * 512 / BYTES))
#define WAIT_MS 20000

#define JOURNAL_SIZE VIRTQUEUE_JOURNAL_SIZE(DRIVER_QUEUE_SIZE)

/*
 * A child that is not in the sandbox now and then kills itself right after it has written to something, or before or
 * after it has read from it: a moment that no timer meets.
 */
static bool may_kill_itself;

ssize_t __real_write(int descriptor, const void *data, size_t size);
ssize_t __wrap_write(int descriptor, const void *data, size_t size);
ssize_t __real_read(int descriptor, void *data, size_t size);
ssize_t __wrap_read(int descriptor, void *data, size_t size);

static void perhaps_kill_itself(void)
{
    if (may_kill_itself && random() % 100 == 0) {
        (void)kill(getpid(), SIGKILL);
    }
}

ssize_t __wrap_write(int descriptor, const void *data, size_t size)
{
    const ssize_t result = __real_write(descriptor, data, size);

    perhaps_kill_itself();
    return result;
}

ssize_t __wrap_read(int descriptor, void *data, size_t size)
{
    ssize_t result;

    perhaps_kill_itself();
    result = __real_read(descriptor, data, size);
    perhaps_kill_itself();
    return result;
}

static volatile pid_t child;
static unsigned int kills;
static bool killing;

static void expired(int signal)
{
    (void)signal;
    if (child > 0) {
        (void)kill(child, SIGKILL);
    }
}

/* In the child: says so when it serves, and does so until it is killed. */
static void serve(struct machine *machine, int ready)
{
    struct model_options options = machine->options;
    char error[MODEL_ERROR_MAX];
    struct model *model;

    options.sandbox = getenv("MACHINE_SANDBOX") != NULL;
    options.user = SANDBOX_USER_FIRST;
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) || model_create(&model, &options, error)) {
        (void)fprintf(stderr, "# %s\n", error);
        _exit(1);
    }
    if (write(ready, "", 1) != 1) {
        _exit(1);
    }
    may_kill_itself = killing && !options.sandbox;
    for (;;) {
        model_turn(model, true);
    }
}

/* Some are killed before they serve. */
static void begin(struct machine *machine)
{
    const struct itimerval soon = { .it_value = { .tv_usec = 1 + random() % (random() % 4 ? 4000 : 30000) } };
    int pipes[2];
    char byte;
    pid_t pid;

    local_guest_kill(machine->guest);
    assert_int_equal(pipe(pipes), 0);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        (void)close(pipes[0]);
        serve(machine, pipes[1]);
    }
    child = pid;
    assert_int_equal(close(pipes[1]), 0);
    if (killing && random() % 4 == 0) {
        assert_int_equal(setitimer(ITIMER_REAL, &soon, NULL), 0);
    }
    while (read(pipes[0], &byte, 1) < 0 && errno == EINTR) {
    }
    assert_int_equal(close(pipes[0]), 0);
    if (killing) {
        assert_int_equal(setitimer(ITIMER_REAL, &soon, NULL), 0);
    }
}

static void elsewhere(struct machine *machine)
{
    const struct timespec moment = { .tv_nsec = 20000 };
    int status;

    (void)nanosleep(&moment, NULL);
    if (waitpid(child, &status, WNOHANG) == child) {
        child = 0;
        if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL) {
            fail_msg("the device model ended by itself, status %#x", (unsigned int)status);
        }
        kills++;
        begin(machine);
    }
}

static void start_with(struct machine *machine, const struct machine_options *options)
{
    const struct sigaction action = { .sa_handler = expired };

    machine_start(machine, options);
    machine_stop_model(machine);
    (void)unlink(STATE);
    machine->options.state = STATE;
    machine->options.shared = options->intx_only; /* both ways to be known again */
    machine->elsewhere = elsewhere;
    assert_int_equal(sigaction(SIGALRM, &action, NULL), 0);
    srandom(4711);
    kills = 0;
    killing = false;
    begin(machine);
}

static void start(struct machine *machine, bool intx_only)
{
    start_with(machine, &(struct machine_options){ .intx_only = intx_only });
}

static void check_disk(const struct machine *machine, const uint8_t *content)
{
    uint8_t *disk = malloc(BLOCKS * BYTES);
    FILE *file = fopen(machine->path[0], "rb");

    assert_non_null(disk);
    assert_non_null(file);
    assert_int_equal(fread(disk, BYTES, BLOCKS, file), BLOCKS);
    assert_memory_equal(disk, content, BLOCKS * BYTES);
    assert_int_equal(fclose(file), 0);
    free(disk);
}

static void kill_child(struct machine *machine)
{
    const struct itimerval never = { 0 };

    assert_int_equal(setitimer(ITIMER_REAL, &never, NULL), 0);
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, NULL, 0), child);
    child = 0;
    local_guest_kill(machine->guest);
    machine->elsewhere = NULL;
}

/* The last one is killed, too; then one in this process goes on for it and ends in order. */
static void finish(struct machine *machine, const uint8_t *content)
{
    kill_child(machine);
    machine_start_model(machine);
    machine_stop_model(machine);
    if (content) {
        check_disk(machine, content);
    }
    machine_finish(machine);
    assert_int_equal(unlink(STATE), 0);
}

static uint32_t interrupt_of(const struct driver *driver)
{
    return driver->msix ? driver_msix_interrupt(driver, 1)
                        : bridge_intx_interrupt(&driver->machine->bridge, driver->device, 1);
}

/* As a driver that sleeps between interrupts. Returns the elements seen. */
static unsigned int wait_for_interrupt(struct driver *driver, bool *pending)
{
    const uint64_t deadline = machine_now() + WAIT_MS;
    unsigned int seen = 0;

    while (!local_guest_take(driver->machine->guest, interrupt_of(driver))) {
        machine_turn(driver->machine);
        machine_check_deadline(deadline, "an interrupt");
    }
    if (!driver->msix && !(machine_read(driver->machine, driver->isr, 1) & 1)) {
        return 0; /* not ours */
    }
    do {
        while (driver_completed(driver)) {
            const struct vring_used_elem element = driver_wait(driver);

            assert_true(element.id < driver->queue_size);
            assert_true(pending[element.id]);
            pending[element.id] = false;
            seen++;
        }
        __atomic_thread_fence(__ATOMIC_SEQ_CST);
    } while (driver_completed(driver));
    return seen;
}

/* Several requests at once, each of one block that no other is about. */
static void work(struct driver *driver, uint8_t *content, unsigned int *number)
{
    bool pending[DRIVER_QUEUE_SIZE] = { false };
    unsigned int block[DEPTH], left = 0;
    bool write[DEPTH];
    uint8_t *data = driver_data(driver);

    for (unsigned int i = 0; i < DEPTH && left == i; i++) {
        struct buffer buffers[3];
        uint16_t head;

        block[i] = (unsigned int)random() % (BLOCKS / DEPTH) * DEPTH + i;
        write[i] = random() % 2;
        memset(data + i * BYTES, write[i] ? (int)(++*number & 0xff) : 0, BYTES);
        blk_buffers(driver, buffers, i, write[i] ? VIRTIO_BLK_T_OUT : VIRTIO_BLK_T_IN, block[i] * (BYTES / 512), BYTES);
        buffers[1].address += i * BYTES;
        head = ring_add(driver, buffers, 3);
        pending[head] = true;
        ring_publish(driver, head);
        driver_notify(driver);
        left++;
    }
    while (left > 0) {
        left -= wait_for_interrupt(driver, pending);
    }
    for (unsigned int i = 0; i < DEPTH; i++) {
        assert_int_equal(*blk_status(driver, i), VIRTIO_BLK_S_OK);
        if (write[i]) {
            memcpy(content + block[i] * BYTES, data + i * BYTES, BYTES);
        } else {
            assert_memory_equal(content + block[i] * BYTES, data + i * BYTES, BYTES);
        }
    }
}

static void check_requests(bool intx_only)
{
    uint8_t *content = calloc(BLOCKS, BYTES);
    struct machine machine;
    struct driver driver;
    unsigned int number = 0;

    assert_non_null(content);
    start(&machine, intx_only);
    for (uint64_t word = 0; word < (uint64_t)BLOCKS * BYTES / 8; word++) {
        ((uint64_t *)(void *)content)[word] = machine_word(word);
    }
    driver_probe(&driver, &machine, 1);
    driver_start(&driver, DRIVER_FEATURES);
    killing = true;
    expired(SIGALRM);
    while (kills < KILLS) {
        work(&driver, content, &number);
    }
    killing = false;
    work(&driver, content, &number);
    finish(&machine, content);
    free(content);
}

static void test_requests_msix(void **state)
{
    (void)state;
    check_requests(false);
}

static void test_requests_intx(void **state)
{
    (void)state;
    check_requests(true);
}

/* A driver that finds, resets and starts the device again and again. What it reads back is what it wrote. */
static void test_registers(void **state)
{
    struct machine machine;
    struct driver driver;

    (void)state;
    start(&machine, false);
    killing = true;
    expired(SIGALRM);
    while (kills < KILLS) {
        driver_probe(&driver, &machine, 1);
        driver_start(&driver, DRIVER_FEATURES);
        blk_check_pattern(&driver, 3, 8);
        if (kills % 2) {
            driver_function_reset(&driver);
        }
    }
    killing = false;
    finish(&machine, NULL);
}

/* Each buffer comes back once, with as many random numbers as it says, and with nothing behind them. */
static void test_random_numbers(void **state)
{
    const struct rng_options options = { .rate = 0x1000000 };
    struct machine machine;
    struct driver driver;
    uint8_t *data;

    (void)state;
    start_with(&machine, &(struct machine_options){ .beside = { .kind = &rng_kind, .options = &options } });
    driver_probe_kind(&driver, &machine, 2, VIRTIO_ID_RNG, RNG_QUEUE_SIZE);
    driver_start(&driver, DRIVER_FEATURES);
    data = driver_data(&driver);
    killing = true;
    expired(SIGALRM);
    while (kills < KILLS / 4) {
        const struct buffer buffer = { driver_data_address(&driver), BYTES, true };
        bool pending[DRIVER_QUEUE_SIZE] = { false };
        const uint16_t head = ring_add(&driver, &buffer, 1);
        uint32_t length;

        memset(data, 0, BYTES + 1);
        pending[head] = true;
        ring_publish(&driver, head);
        driver_notify(&driver);
        while (wait_for_interrupt(&driver, pending) == 0) {
        }
        length = ring_used(&driver)->ring[(driver.used - 1u) % driver.queue_size].len;
        assert_int_equal(length, BYTES);
        assert_int_equal(data[BYTES], 0);
        assert_memory_not_equal(data, data + BYTES / 2, BYTES / 2);
    }
    killing = false;
    finish(&machine, NULL);
}

#define SLOTS 8u /* of output that is under way */

/* A stream that never repeats itself. */
static uint8_t byte_of_stream(uint64_t offset)
{
    return (uint8_t)(machine_word(offset / 8) >> (8 * (offset % 8)));
}

static void check_stream(const uint8_t *data, size_t size, uint64_t *offset)
{
    for (size_t i = 0; i < size; i++, (*offset)++) {
        if (data[i] != byte_of_stream(*offset)) {
            fail_msg("byte %zu of %zu is not byte %llu", i, size, (unsigned long long)*offset);
        }
    }
}

static void fill_stream(uint8_t *data, size_t size, uint64_t offset)
{
    for (size_t i = 0; i < size; i++) {
        data[i] = byte_of_stream(offset + i);
    }
}

/* Both directions of port 1, with FIFOs, and output to port 2, with a file; how far each side of each is. */
struct streams {
    struct console_driver console;
    int to, from;
    uint64_t written[3], read; /* by the guest */
    uint64_t put, got;         /* by the host */
};

static void write_more(struct streams *streams, unsigned int port, size_t size)
{
    struct driver *queue = console_output(&streams->console, port);
    uint8_t data[8192];

    while (driver_completed(queue)) {
        (void)driver_wait(queue);
    }
    if (size > 0 && (uint16_t)(queue->available - queue->used) < SLOTS) {
        fill_stream(data, size, streams->written[port]);
        console_begin_write(&streams->console, port, queue->available % SLOTS, data, (uint32_t)size);
        streams->written[port] += size;
    }
}

static void check_file(const char *path, uint64_t size)
{
    FILE *file = fopen(path, "rb");
    uint64_t offset = 0;
    uint8_t data[8192];
    size_t more;

    assert_non_null(file);
    while ((more = fread(data, 1, sizeof(data), file)) > 0) {
        check_stream(data, more, &offset);
    }
    assert_int_equal(offset, size);
    assert_int_equal(fclose(file), 0);
}

static void move(struct streams *streams, bool more)
{
    const size_t size = 1 + (size_t)random() % 5000;
    uint8_t data[8192];
    ssize_t result;

    write_more(streams, 1, more ? size : 0);
    write_more(streams, 2, more ? size : 0);
    if (more) {
        fill_stream(data, size, streams->put);
        result = write(streams->to, data, size);
        streams->put += result > 0 ? (uint64_t)result : 0;
    }
    result = random() % 2 ? read(streams->from, data, sizeof(data)) : 0;
    check_stream(data, result > 0 ? (size_t)result : 0, &streams->got);
    check_stream(data, console_take(&streams->console, 1, data, sizeof(data)), &streams->read);
    machine_turn(streams->console.device.machine);
}

/* Both ends outlive the process: no byte comes twice, and none is lost. */
static void test_console_streams(void **state)
{
    const struct console_options options = { .sink = true, .port = { "data:fifo:killed", "log:file:killed.log" } };
    struct streams streams = { 0 };
    struct machine machine;
    uint64_t deadline;

    (void)state;
    (void)unlink("killed.log"); /* of a test that failed */
    start_with(&machine, &(struct machine_options){ .beside = { .kind = &console_kind, .options = &options } });
    streams.to = open("killed.in", O_RDWR | O_NONBLOCK | O_CLOEXEC);
    streams.from = open("killed.out", O_RDWR | O_NONBLOCK | O_CLOEXEC);
    assert_true(streams.to >= 0 && streams.from >= 0);
    console_probe(&streams.console, &machine);
    console_start(&streams.console, CONSOLE_FEATURES);
    console_meet(&streams.console, true, 2);
    killing = true;
    expired(SIGALRM);
    while (kills < KILLS) {
        move(&streams, true);
    }
    killing = false;
    deadline = machine_now() + WAIT_MS;
    while (streams.got < streams.written[1] || streams.read < streams.put || streams.console.queue[7].used !=
               streams.console.queue[7].available) {
        move(&streams, false);
        machine_check_deadline(deadline, "the rest");
    }
    assert_true(streams.written[1] > 100000 && streams.written[2] > 100000 && streams.put > 100000);
    check_file("killed.log", streams.written[2]);
    finish(&machine, NULL);
    assert_int_equal(unlink("killed.log"), 0);
    assert_int_equal(close(streams.to) | close(streams.from) | unlink("killed.in") | unlink("killed.out"), 0);
}

static void expect_text(struct machine *machine, int file, const char *text)
{
    const uint64_t deadline = machine_now() + WAIT_MS;
    char got[64] = "";
    size_t size = 0;

    while (size < strlen(text)) {
        const ssize_t result = read(file, got + size, sizeof(got) - size);

        size += result > 0 ? (size_t)result : 0;
        machine_turn(machine);
        machine_check_deadline(deadline, text);
    }
    assert_memory_equal(got, text, size);
}

static int connect_client(void)
{
    const struct sockaddr_un address = { .sun_family = AF_UNIX, .sun_path = "killed.socket" };
    const int client = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    assert_int_equal(connect(client, (const struct sockaddr *)&address, sizeof(address)), 0);
    return client;
}

static void expect_size(struct console_driver *console, const struct winsize *size)
{
    const uint16_t expected[] = { size->ws_col, size->ws_row };
    const uint64_t deadline = machine_now() + WAIT_MS;
    struct console_message message;

    while (!console_told(console, &message)) {
        machine_turn(console->device.machine);
        machine_check_deadline(deadline, "a size");
    }
    assert_int_equal(message.control.id, 0);
    assert_int_equal(message.control.event, VIRTIO_CONSOLE_RESIZE);
    assert_int_equal(message.more, sizeof(expected));
    assert_memory_equal(message.data, expected, sizeof(expected));
}

/* Ends that die with the process come back by the same names, and the guest is told who is there. */
static void test_console_comes_back(void **state)
{
    const struct console_options options = { .pty = "killed.pty", .port = { "agent:socket:killed.socket" } };
    const struct winsize size = { .ws_col = 100, .ws_row = 40 };
    struct console_driver console;
    struct machine machine;
    char got[8];

    (void)state;
    start_with(&machine, &(struct machine_options){ .beside = { .kind = &console_kind, .options = &options } });
    console_probe(&console, &machine);
    console_start(&console, CONSOLE_FEATURES);
    console_meet(&console, true, 1);
    for (unsigned int i = 0; i < 5; i++) {
        const int client = connect_client(), terminal = open("killed.pty", O_RDWR | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);

        console_expect(&console, 1, VIRTIO_CONSOLE_PORT_OPEN, 1, NULL);
        console_write(&console, 1, "question", 8);
        expect_text(&machine, client, "question");
        assert_int_equal(write(client, "answer", 6), 6);
        console_read(&console, 1, got, 6);
        assert_memory_equal(got, "answer", 6);

        assert_true(terminal >= 0);
        assert_int_equal(ioctl(terminal, TIOCSWINSZ, &size), 0);
        assert_int_equal(write(terminal, "typed", 5), 5);
        console_read(&console, 0, got, 5);
        assert_memory_equal(got, "typed", 5);
        if (i == 0) {
            expect_size(&console, &size);
        }
        assert_int_equal(machine_read(&machine, console.device.config, 4), 100 | 40 << 16);
        console_write(&console, 0, "shown", 5);
        expect_text(&machine, terminal, "shown");

        expired(SIGALRM);
        console_expect(&console, 1, VIRTIO_CONSOLE_PORT_OPEN, 0, NULL);
        assert_int_equal(close(client) | close(terminal), 0);
    }
    assert_int_equal(kills, 5);
    finish(&machine, NULL);
    assert_int_equal(unlink("killed.pty") | unlink("killed.socket"), 0);
}

/* Rings of chains of one descriptor each, of which the driver has made heads 0..available - 1 available. */
static void make_rings(struct machine *machine, uint16_t available, bool packed)
{
    struct driver driver = { .machine = machine, .memory = MACHINE_RAM, .queue_size = DRIVER_QUEUE_SIZE };

    memset(machine_memory(machine, MACHINE_RAM, DRIVER_HEADER), 0, DRIVER_HEADER);
    for (uint16_t i = 0; i < available; i++) {
        if (packed) {
            *ring_slot(&driver, i) = (struct vring_packed_desc){
                .addr = MACHINE_RAM + DRIVER_DATA, .len = 1, .id = i, .flags = 1u << VRING_PACKED_DESC_F_AVAIL,
            };
        } else {
            *ring_descriptor(&driver, i) = (struct vring_desc){ .addr = MACHINE_RAM + DRIVER_DATA, .len = 1 };
            ring_available(&driver)->ring[i] = i;
            ring_available(&driver)->idx = (uint16_t)(i + 1);
        }
    }
}

static void open_queue(struct virtqueue *queue, struct platform *platform, struct virtqueue_journal *journal,
                       bool packed)
{
    assert_int_equal(virtqueue_init(queue, platform, DRIVER_QUEUE_SIZE), 0);
    virtqueue_keep_journal(queue, journal);
    queue->registers = (struct virtqueue_registers){
        .size = DRIVER_QUEUE_SIZE, .vector = VIRTIO_MSI_NO_VECTOR, .descriptors = MACHINE_RAM + DRIVER_DESCRIPTORS,
        .available = MACHINE_RAM + DRIVER_AVAILABLE, .used = MACHINE_RAM + DRIVER_USED,
    };
    assert_int_equal(virtqueue_enable(queue, packed ? 1ull << VIRTIO_F_RING_PACKED : 0), 0);
}

static void take(struct virtqueue *queue, uint16_t head)
{
    struct virtqueue_chain *chain = NULL;

    assert_int_equal(virtqueue_pop(queue, &chain), VIRTQUEUE_CHAIN);
    assert_int_equal(chain->head, head);
}

/* A child process that takes one chain and gives back two others together, stopped before it begins. */
static pid_t stopped_child(struct virtqueue *queue)
{
    const pid_t pid = fork();
    int status;

    assert_true(pid >= 0);
    if (pid == 0) {
        struct virtqueue_chain *chain;

        (void)ptrace(PTRACE_TRACEME, 0, NULL, NULL);
        (void)raise(SIGSTOP);
        (void)virtqueue_pop(queue, &chain);
        queue->chain[0].together = &queue->chain[3];
        virtqueue_complete_together(queue, &queue->chain[0]);
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSTOPPED(status));
    return pid;
}

/* Lets it do one instruction; whether it has not ended. */
static bool step(pid_t pid)
{
    int status;

    assert_int_equal(ptrace(PTRACE_SINGLESTEP, pid, NULL, NULL), 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFSTOPPED(status);
}

/* What the driver finds in that place of what has been given back; -1: nothing yet. */
static int given(const struct virtqueue *queue, uint16_t place, bool packed)
{
    const uint16_t both = 1u << VRING_PACKED_DESC_F_AVAIL | 1u << VRING_PACKED_DESC_F_USED;

    if (packed) {
        return (queue->slots[place].flags & both) == both ? queue->slots[place].id : -1;
    }
    return queue->used->idx > place ? (int)queue->used->ring[place].id : -1;
}

/* Goes on from there: heads 0, 2, 3 and 4 come once, but for 0 and 3 if they have been given back, both or none. */
static bool check_recovers(struct platform *platform, struct virtqueue_journal *journal, bool packed)
{
    struct virtqueue_chain *chain;
    struct virtqueue queue;
    uint16_t used;
    bool seen;

    open_queue(&queue, platform, journal, packed);
    seen = given(&queue, 1, packed) >= 0;
    if (seen) {
        assert_int_equal(given(&queue, 2, packed), 3);
    }
    assert_int_equal(virtqueue_recover(&queue), 0);
    used = (uint16_t)queue.journal->used;
    assert_true(used == 1 || used == 3);
    assert_int_equal(used, seen ? 3 : 1); /* what the driver can see has happened */
    assert_int_equal(given(&queue, 1, packed), seen ? 0 : -1);
    if (used == 1) {
        take(&queue, 0);
    }
    take(&queue, 2);
    if (used == 1) {
        take(&queue, 3);
    }
    take(&queue, 4);
    assert_int_equal(virtqueue_pop(&queue, &chain), VIRTQUEUE_EMPTY);
    assert_int_equal(queue.in_flight, used == 1 ? 4 : 2);
    virtqueue_complete(&queue, &queue.chain[2], 0);
    assert_int_equal(given(&queue, used, packed), 2);
    assert_int_equal(given(&queue, (uint16_t)(used + 1), packed), -1);
    virtqueue_finish(&queue);
    return used == 3;
}

/* Whatever instruction was the last one before the process was killed. */
static void check_each_instruction(bool packed)
{
    struct virtqueue_journal *journal =
        mmap(NULL, JOURNAL_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    const struct platform_options options = { .domain = MACHINE_DOMAIN };
    static struct {
        uint8_t journal[JOURNAL_SIZE];
        uint8_t rings[DRIVER_HEADER];
    } now;
    unsigned int states = 0, given_back = 0;
    struct platform *platform;
    struct virtqueue queue;
    struct machine machine;
    const char *error;
    uint8_t *rings;
    pid_t pid;

    assert_true(journal != MAP_FAILED);
    machine_start(&machine, &(struct machine_options){ 0 });
    machine_stop_model(&machine);
    assert_int_equal(platform_create(&platform, &options, &error), 0);
    rings = machine_memory(&machine, MACHINE_RAM, DRIVER_HEADER);
    make_rings(&machine, 5, packed);
    open_queue(&queue, platform, journal, packed);
    for (uint16_t head = 0; head < 4; head++) {
        take(&queue, head);
    }
    virtqueue_complete(&queue, &queue.chain[1], 0);
    pid = stopped_child(&queue);
    do {
        if (memcmp(now.journal, journal, JOURNAL_SIZE) == 0 && memcmp(now.rings, rings, DRIVER_HEADER) == 0) {
            continue;
        }
        memcpy(now.journal, journal, JOURNAL_SIZE);
        memcpy(now.rings, rings, DRIVER_HEADER);
        given_back += check_recovers(platform, journal, packed);
        states++;
        memcpy(journal, now.journal, JOURNAL_SIZE);
        memcpy(rings, now.rings, DRIVER_HEADER);
    } while (step(pid));
    assert_in_range(states, 11, packed ? 26 : 16); /* one for each store, and the first */
    assert_in_range(given_back, 4, 6);
    virtqueue_finish(&queue);
    platform_destroy(platform);
    machine_finish(&machine);
    assert_int_equal(munmap(journal, JOURNAL_SIZE), 0);
}

static void test_each_instruction(void **state)
{
    (void)state;
    check_each_instruction(false);
}

static void test_each_instruction_packed(void **state)
{
    (void)state;
    check_each_instruction(true);
}

/* A packed queue's journal that says what cannot be is refused, and harms nobody. */
static void test_journals_that_cannot_be(void **state)
{
    static uint64_t memory[JOURNAL_SIZE / sizeof(uint64_t)];
    struct virtqueue_journal *journal = (struct virtqueue_journal *)(void *)memory;
    const struct platform_options options = { .domain = MACHINE_DOMAIN };
    struct platform *platform;
    struct machine machine;
    const char *error;

    (void)state;
    machine_start(&machine, &(struct machine_options){ 0 });
    machine_stop_model(&machine);
    assert_int_equal(platform_create(&platform, &options, &error), 0);
    make_rings(&machine, 5, true);
    for (unsigned int i = 0; i < 8; i++) {
        struct virtqueue_journal_entry *const entry = journal->entry;
        struct virtqueue queue;

        memset(memory, 0, sizeof(memory));
        journal->taken = 3;
        entry[1] = (struct virtqueue_journal_entry){ .position = 2, .first = 4, .count = 2 };
        entry[2] = (struct virtqueue_journal_entry){ .position = 3, .first = 6, .count = 1 };
        entry[4].next = 5;
        switch (i) {
        case 1:
            entry[1].count = 0;
            break;
        case 2:
            entry[1].count = UINT16_MAX;
            break;
        case 3:
            entry[1].first = DRIVER_QUEUE_SIZE;
            break;
        case 4:
            entry[4].next = UINT16_MAX;
            break;
        case 5:
            entry[4].next = 6; /* another's */
            break;
        case 6:
            journal->taken = 4;
            break;
        case 7:
            journal->used = 4;
            break;
        default:
            break;
        }
        open_queue(&queue, platform, journal, true);
        assert_int_equal(virtqueue_recover(&queue), i == 0 ? 0 : -EINVAL);
        virtqueue_finish(&queue);
    }
    platform_destroy(platform);
    machine_finish(&machine);
}

/* A file counts for one process, for the same devices and for what the predecessor has left, or the bus starts anew. */
static void test_when_a_file_counts(void **state)
{
    char error[MODEL_ERROR_MAX];
    struct machine machine;
    struct driver driver;

    (void)state;
    start(&machine, false);
    driver_probe(&driver, &machine, 1);
    driver_start(&driver, DRIVER_FEATURES);
    assert_int_equal(model_create(&machine.model, &machine.options, error), -EBUSY);
    assert_non_null(strstr(error, STATE ": another process keeps its state there"));
    kill_child(&machine);
    for (unsigned int i = 0; i < 4; i++) {
        char path[] = STATE "-2";

        local_guest_kill(machine.guest);
        machine.disk[0].read_only = i == 1;
        machine.options.state = i == 2 ? path : i == 3 ? NULL : STATE;
        machine_start_model(&machine);
        assert_int_equal(machine_config_read(&machine, 1, PCI_COMMAND, 2) != 0, i == 0);
        if (i == 0) {
            blk_check_pattern(&driver, 3, 8);
        }
        machine_stop_model(&machine);
        if (i == 0) { /* ended in order: there is nothing to go on for */
            machine_start_model(&machine);
            assert_int_equal(machine_config_read(&machine, 1, PCI_COMMAND, 2), 0);
            machine_stop_model(&machine);
        }
    }
    machine.options.state = "nowhere/state";
    assert_int_equal(model_create(&machine.model, &machine.options, error), -ENOENT);
    assert_string_equal(error, "nowhere/state: cannot be opened (No such file or directory)");
    machine.model = NULL;
    machine_finish(&machine);
    assert_int_equal(unlink(STATE), 0);
    assert_int_equal(unlink(STATE "-2"), 0);
}

/* Kills the one that serves; the next one's first sync fails if `failing`. */
static void exchange(struct machine *machine, bool failing)
{
    const unsigned int before = kills;

    faults_fail_sync(failing ? -EIO : 0);
    assert_int_equal(kill(child, SIGKILL), 0);
    while (kills == before) {
        machine_turn(machine);
    }
    faults_reset();
}

/* Whoever comes after one whose flush has failed knows of it, until the reset and at the end. */
static void test_failed_flush_is_remembered(void **state)
{
    struct machine machine;
    struct driver driver;

    (void)state;
    start(&machine, false);
    driver_probe(&driver, &machine, 1);
    driver_start(&driver, DRIVER_FEATURES);
    exchange(&machine, true);
    assert_int_equal(blk_request(&driver, VIRTIO_BLK_T_FLUSH, 0, 0), VIRTIO_BLK_S_IOERR);
    for (unsigned int i = 0; i < 2; i++) {
        exchange(&machine, false);
        assert_int_equal(blk_request(&driver, VIRTIO_BLK_T_FLUSH, 0, 0), VIRTIO_BLK_S_IOERR);
    }
    driver_start(&driver, DRIVER_FEATURES);
    exchange(&machine, false);
    assert_int_equal(blk_request(&driver, VIRTIO_BLK_T_FLUSH, 0, 0), VIRTIO_BLK_S_OK);
    kill_child(&machine);
    machine_start_model(&machine);
    machine_destroy_model(&machine, -EIO);
    machine_finish(&machine);
    assert_int_equal(unlink(STATE), 0);
}

/* The disk grows, and nobody says so; whoever comes next tells the driver; later ones raise the interrupt alone. */
static void test_disk_that_has_grown(void **state)
{
    struct machine machine;
    struct driver driver;
    uint8_t generation;

    (void)state;
    start(&machine, false);
    driver_probe(&driver, &machine, 1);
    driver_start(&driver, DRIVER_FEATURES);
    generation = (uint8_t)common_read(&driver, VIRTIO_PCI_COMMON_CFGGENERATION, 1);
    assert_int_equal(truncate(machine.path[0], 2 * MACHINE_SECTORS * 512), 0);
    for (unsigned int i = 0; i < 3; i++) {
        exchange(&machine, false);
        blk_check_pattern(&driver, 0, 8);
        assert_int_equal(machine_read(&machine, driver.config, 8), 2 * MACHINE_SECTORS);
        assert_int_equal(common_read(&driver, VIRTIO_PCI_COMMON_CFGGENERATION, 1), (uint8_t)(generation + 1));
        assert_int_equal(local_guest_interrupt(machine.guest, driver_msix_interrupt(&driver, 0))->raised, 2 + i);
    }
    assert_int_equal(blk_request(&driver, VIRTIO_BLK_T_IN, 2 * MACHINE_SECTORS - 8, 4096), VIRTIO_BLK_S_OK);
    finish(&machine, NULL);
}

/*
 * The predecessor has answered a read of ISR, by which it was cleared, and was killed before the guest had the answer.
 * Whoever comes next makes the read again, and the guest learns all the same that the configuration has changed.
 */
static void test_lost_answer_of_isr(void **state)
{
    struct ioreq read = {
        .count = 1, .size = 1, .state = STATE_IOREQ_INPROCESS, .dir = IOREQ_READ, .type = IOREQ_TYPE_COPY,
    };
    struct machine machine;
    struct driver driver;
    struct ioreq *posted;

    (void)state;
    start(&machine, true);
    driver_probe(&driver, &machine, 1);
    driver_start(&driver, DRIVER_FEATURES);
    assert_int_equal(truncate(machine.path[0], 2 * MACHINE_SECTORS * 512), 0);
    exchange(&machine, false);
    assert_true(machine_read(&machine, driver.isr, 1) & VIRTIO_PCI_ISR_CONFIG);
    kill_child(&machine);
    read.addr = driver.isr;
    posted = local_guest_post(machine.guest, 0, &read);
    machine_start_model(&machine);
    assert_int_equal(platform_request_state(posted), STATE_IORESP_READY);
    posted->state = STATE_IOREQ_NONE;
    assert_true(machine_read(&machine, driver.isr, 1) & VIRTIO_PCI_ISR_CONFIG);
    machine_stop_model(&machine);
    machine_finish(&machine);
    assert_int_equal(unlink(STATE), 0);
}

/* A disk that cannot be opened for a moment, with which nothing is known, ends nothing that can be gone on with. */
static void test_disk_is_away_for_a_moment(void **state)
{
    char error[MODEL_ERROR_MAX], expected[MODEL_ERROR_MAX], away[MACHINE_PATH + 8];
    struct machine machine;
    struct driver driver;

    (void)state;
    start(&machine, false);
    driver_probe(&driver, &machine, 1);
    driver_start(&driver, DRIVER_FEATURES);
    kill_child(&machine);
    (void)snprintf(away, sizeof(away), "%s-away", machine.path[0]);
    (void)snprintf(expected, sizeof(expected), "%s: cannot be opened (No such file or directory)", machine.path[0]);
    assert_int_equal(rename(machine.path[0], away), 0);
    assert_int_equal(model_create(&machine.model, &machine.options, error), -ENOENT);
    assert_string_equal(error, expected);
    assert_int_equal(rename(away, machine.path[0]), 0);
    machine_start_model(&machine);
    assert_true(model_resumed(machine.model));
    blk_check_pattern(&driver, 3, 8);
    machine_stop_model(&machine);
    machine_finish(&machine);
    assert_int_equal(unlink(STATE), 0);
}

/*
 * The next one comes before the last one's event channels are closed: on a shared bus it is another device model, whose
 * functions are taken. That costs nothing of the state.
 */
static void test_next_comes_too_early(void **state)
{
    const uint64_t deadline = machine_now() + WAIT_MS;
    char error[MODEL_ERROR_MAX];
    struct machine machine;
    struct driver driver;
    int result;

    (void)state;
    start(&machine, true);
    driver_probe(&driver, &machine, 1);
    driver_start(&driver, DRIVER_FEATURES);
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, NULL, 0), child);
    child = 0;
    machine.elsewhere = NULL;
    do { /* its ring has the disk for a moment longer */
        result = model_create(&machine.model, &machine.options, error);
        machine_check_deadline(deadline, "the end of a ring");
    } while (result == -EBUSY);
    assert_int_equal(result, -EEXIST);
    assert_string_equal(error, "domain 7, bridge 0: function 00:01.0: another device model has it");
    local_guest_kill(machine.guest);
    machine_start_model(&machine);
    assert_true(model_resumed(machine.model));
    blk_check_pattern(&driver, 3, 8);
    machine_stop_model(&machine);
    machine_finish(&machine);
    assert_int_equal(unlink(STATE), 0);
}

#define SOCKETS "vsock-killed"

/* A program of the host that serves port 77; a device model of another user may connect. */
static int serve_port(void)
{
    const struct sockaddr_un address = { .sun_family = AF_UNIX, .sun_path = SOCKETS "_77" };
    const int server = socket(AF_UNIX, SOCK_STREAM, 0);

    (void)unlink(address.sun_path);
    assert_int_equal(bind(server, (const struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(chmod(address.sun_path, 0777), 0);
    assert_int_equal(listen(server, 1), 0);
    return server;
}

/* What a guest does to connect to port 77; whether it may. */
static bool connect_from_guest(struct driver queue[3], uint32_t port)
{
    const struct virtio_vsock_hdr request = {
        .src_cid = VSOCK_CID_DEFAULT, .dst_cid = VSOCK_HOST, .src_port = port, .dst_port = 77,
        .type = VIRTIO_VSOCK_TYPE_STREAM, .op = VIRTIO_VSOCK_OP_REQUEST, .buf_alloc = 4096,
    };
    const struct buffer room = { driver_data_address(&queue[0]), 4096, true };
    const struct buffer packet = { driver_data_address(&queue[1]), sizeof(request), false };
    const struct virtio_vsock_hdr *answer = driver_data(&queue[0]);

    ring_publish(&queue[0], ring_add(&queue[0], &room, 1));
    driver_notify(&queue[0]);
    memcpy(driver_data(&queue[1]), &request, sizeof(request));
    (void)driver_run(&queue[1], ring_add(&queue[1], &packet, 1));
    assert_int_equal(driver_wait(&queue[0]).len, sizeof(*answer));
    assert_int_equal(answer->dst_port, port);
    return answer->op == VIRTIO_VSOCK_OP_RESPONSE;
}

/* Sockets end with the process that had them: the guest is told so, once, and new ones can be made. */
static void test_sockets_are_reset(void **state)
{
    const struct vsock_options options = { .path = SOCKETS };
    struct driver device, queue[3];
    struct machine machine;
    int server, program;

    (void)state;
    start_with(&machine, &(struct machine_options){ .beside = { .kind = &vsock_kind, .options = &options } });
    server = serve_port();
    driver_probe_kind(&device, &machine, 2, VIRTIO_ID_VSOCK, VSOCK_QUEUE_SIZE);
    driver_reset(&device);
    driver_negotiate(&device, DRIVER_FEATURES);
    driver_setup_msix(&device);
    for (unsigned int i = 0; i < 3; i++) {
        queue[i] = device;
        queue[i].queue = (uint16_t)i;
        queue[i].size_max = i == 2 ? 8 : VSOCK_QUEUE_SIZE;
        queue[i].queue_size = i == 2 ? 8 : DRIVER_QUEUE_SIZE;
        queue[i].memory += i * 0x100000ull;
        memset(machine_memory(&machine, queue[i].memory, DRIVER_HEADER), 0, DRIVER_HEADER);
        driver_setup_queue(&queue[i]);
        driver_enable_queue(&queue[i]);
    }
    driver_set_status(&device, DRIVER_RUNNING);
    for (uint32_t i = 0; i < 4; i++) {
        const struct buffer event = { driver_data_address(&queue[2]), sizeof(struct virtio_vsock_event), true };

        ring_publish(&queue[2], ring_add(&queue[2], &event, 1));
        driver_notify(&queue[2]);
        assert_true(connect_from_guest(queue, 1000 + i));
        program = accept(server, NULL, NULL);
        assert_true(program >= 0);
        *(uint32_t *)driver_data(&queue[2]) = UINT32_MAX;
        assert_false(driver_completed(&queue[2]));
        exchange(&machine, false);
        assert_int_equal(driver_wait(&queue[2]).len, sizeof(struct virtio_vsock_event));
        assert_int_equal(*(uint32_t *)driver_data(&queue[2]), VIRTIO_VSOCK_EVENT_TRANSPORT_RESET);
        assert_int_equal(read(program, &(char){ 0 }, 1), 0);
        assert_int_equal(close(program), 0);
    }
    assert_int_equal(close(server), 0);
    finish(&machine, NULL);
    assert_int_equal(unlink(SOCKETS), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_instruction),
        cmocka_unit_test(test_each_instruction_packed),
        cmocka_unit_test(test_journals_that_cannot_be),
        cmocka_unit_test(test_requests_msix),
        cmocka_unit_test(test_requests_intx),
        cmocka_unit_test(test_registers),
        cmocka_unit_test(test_random_numbers),
        cmocka_unit_test(test_console_streams),
        cmocka_unit_test(test_sockets_are_reset),
        cmocka_unit_test(test_console_comes_back),
        cmocka_unit_test(test_when_a_file_counts),
        cmocka_unit_test(test_failed_flush_is_remembered),
        cmocka_unit_test(test_disk_that_has_grown),
        cmocka_unit_test(test_lost_answer_of_isr),
        cmocka_unit_test(test_disk_is_away_for_a_moment),
        cmocka_unit_test(test_next_comes_too_early),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
