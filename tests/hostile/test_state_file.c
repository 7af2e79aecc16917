/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The wrong file given as --state, or the right one at the wrong moment: what was there stays as it was, the message
 * says what it is, and the next good start serves. And the right file with other disks than the guest had.
 */
#include "driver.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/loop.h>
#include <linux/pci_regs.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "identity.h"
#include "state.h"

#define STATE "state-file"
#define OTHER "state-file-other"

/* Fields of a state file's header: what every version begins with, and then those of this one. */
#define AT_VERSION     16
#define AT_DEVICE_SIZE 20
#define AT_SIZE        24

/* Called once, between a file's opening and its locking. */
static void (*before_flock)(void);

int __real_flock(int descriptor, int operation);
int __wrap_flock(int descriptor, int operation);

int __wrap_flock(int descriptor, int operation)
{
    void (*const now)(void) = before_flock;

    before_flock = NULL;
    if (now) {
        now();
    }
    return __real_flock(descriptor, operation);
}

static void expect_refused(struct machine *machine, int result, const char *words)
{
    char error[MODEL_ERROR_MAX] = "";

    assert_int_equal(model_create(&machine->model, &machine->options, error), result);
    machine->model = NULL;
    if (!strstr(error, words)) {
        fail_msg("'%s' does not say '%s'", error, words);
    }
    assert_int_equal(strncmp(error, machine->options.state, strlen(machine->options.state)), 0);
}

/* In a process of its own, which ends with it. */
static void in_child(struct machine *machine, void (*do_it)(struct machine *machine), int *status)
{
    const pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid == 0) {
        do_it(machine);
        _exit(0);
    }
    assert_int_equal(waitpid(pid, status, 0), pid);
}

static void serve_and_die(struct machine *machine)
{
    machine_start_model(machine);
    machine_config_write(machine, 1, PCI_COMMAND, 2, PCI_COMMAND_MASTER);
    (void)raise(SIGKILL);
}

/* One that has kept its state, and a guest that has found its device, are left behind. */
static void killed(struct machine *machine)
{
    int status;

    machine->options.state = STATE;
    in_child(machine, serve_and_die, &status);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    local_guest_kill(machine->guest);
}

static void expect_resumes(struct machine *machine, bool resumes)
{
    machine_start_model(machine);
    assert_int_equal(model_resumed(machine->model), resumes);
    assert_int_equal(machine_config_read(machine, 1, PCI_COMMAND, 2) & PCI_COMMAND_MASTER,
                     resumes ? PCI_COMMAND_MASTER : 0);
    machine_stop_model(machine);
}

static void write_file(const char *path, const void *data, size_t size)
{
    const int file = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

    assert_int_equal(write(file, data, size), size);
    assert_int_equal(close(file), 0);
}

static size_t read_file(const char *path, uint8_t **data)
{
    FILE *file = fopen(path, "rb");
    size_t size;

    assert_non_null(file);
    assert_int_equal(fseek(file, 0, SEEK_END), 0);
    size = (size_t)ftell(file);
    rewind(file);
    *data = malloc(size + 1);
    assert_int_equal(fread(*data, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
    return size;
}

/* The file is refused, and is afterwards what it was. */
static void expect_left_alone(struct machine *machine, int result, const char *words)
{
    uint8_t *before, *after;
    const size_t size = read_file(machine->options.state, &before);

    expect_refused(machine, result, words);
    assert_int_equal(read_file(machine->options.state, &after), size);
    assert_memory_equal(before, after, size);
    free(before);
    free(after);
}

static void set_field(off_t where, const void *value, size_t size)
{
    const int file = open(STATE, O_WRONLY);

    assert_int_equal(pwrite(file, value, size, where), size);
    assert_int_equal(close(file), 0);
}

static void finish(struct machine *machine)
{
    (void)unlink(STATE);
    machine->options.state = NULL;
    machine_start_model(machine);
}

static void test_a_disk_by_mistake(struct machine *machine)
{
    machine_stop_model(machine);
    machine->options.state = machine->path[1];
    machine->options.device_count = 1;
    expect_left_alone(machine, -EEXIST, "is no state of sidebridge-dm and is left as it is");
    machine->options.device_count = 2;
    expect_left_alone(machine, -EEXIST, "is no state of sidebridge-dm and is left as it is");
    finish(machine);
}

static void test_short_and_strange_files(struct machine *machine)
{
    static const char *const content[] = {
        "\n", "sidebridge state", "sidebridge statE, and much that is none of ours: 0123456789 0123456789 0123456789",
    };

    machine_stop_model(machine);
    machine->options.state = STATE;
    for (unsigned int i = 0; i < 3; i++) {
        write_file(STATE, content[i], strlen(content[i]));
        expect_left_alone(machine, -EEXIST, "is no state of sidebridge-dm");
    }
    finish(machine);
}

static void test_what_is_no_file(struct machine *machine)
{
    const struct sockaddr_un address = { .sun_family = AF_UNIX, .sun_path = STATE };
    const int listener = socket(AF_UNIX, SOCK_STREAM, 0);

    machine_stop_model(machine);
    machine->options.state = STATE;
    assert_int_equal(mkdir(STATE, 0700), 0);
    expect_refused(machine, -EEXIST, "is a directory");
    assert_int_equal(rmdir(STATE), 0);
    assert_int_equal(mkfifo(STATE, 0600), 0);
    expect_refused(machine, -EEXIST, "is a pipe");
    assert_int_equal(unlink(STATE), 0);
    assert_int_equal(bind(listener, (const struct sockaddr *)&address, sizeof(address)), 0);
    expect_refused(machine, -EEXIST, "is a socket");
    assert_int_equal(unlink(STATE), 0);
    assert_int_equal(close(listener), 0);
    machine->options.state = "/dev/null";
    expect_refused(machine, -EEXIST, "is a device");
    machine->options.state = STATE;
    finish(machine);
}

/* Neither to a file, which stays as it is, nor to nothing, which is not made. */
static void test_symbolic_link(struct machine *machine)
{
    uint8_t *data;

    machine_stop_model(machine);
    machine->options.state = STATE;
    write_file(OTHER, "", 0);
    for (unsigned int i = 0; i < 2; i++) {
        assert_int_equal(symlink(OTHER, STATE), 0);
        expect_refused(machine, -EEXIST, "is a symbolic link");
        assert_int_equal(unlink(STATE), 0);
        if (i == 0) {
            assert_int_equal(read_file(OTHER, &data), 0);
            free(data);
            assert_int_equal(unlink(OTHER), 0);
        }
    }
    assert_int_equal(access(OTHER, F_OK), -1);
    finish(machine);
}

static void test_of_another_user(struct machine *machine)
{
    machine_stop_model(machine);
    machine->options.state = STATE;
    write_file(STATE, "", 0);
    if (chown(STATE, 12345, 12345) == 0) { /* only root can */
        expect_left_alone(machine, -EPERM, "belongs to another user");
    }
    finish(machine);
}

static void test_empty_file(struct machine *machine)
{
    machine_stop_model(machine);
    write_file(STATE, "", 0);
    killed(machine);
    expect_resumes(machine, true);
    finish(machine);
}

static void test_newer_and_older_version(struct machine *machine)
{
    uint32_t version, size;

    machine_stop_model(machine);
    killed(machine);
    version = 3;
    set_field(AT_VERSION, &version, sizeof(version));
    expect_left_alone(machine, -EPROTO, "is the state of a newer sidebridge-dm (format 3.");
    version = 1;
    set_field(AT_VERSION, &version, sizeof(version));
    expect_left_alone(machine, -EPROTO, "is the state of an older sidebridge-dm (format 1.");
    version = 2;
    set_field(AT_VERSION, &version, sizeof(version));
    size = (uint32_t)sizeof(struct state_registers) - 8;
    set_field(AT_DEVICE_SIZE, &size, sizeof(size));
    expect_left_alone(machine, -EPROTO, "is the state of another sidebridge-dm");
    size += 8;
    set_field(AT_DEVICE_SIZE, &size, sizeof(size));
    expect_resumes(machine, true);
    finish(machine);
}

/* Something that begins as a state does, but is larger than that says. */
static void test_longer_than_it_says(struct machine *machine)
{
    machine_stop_model(machine);
    killed(machine);
    assert_int_equal(truncate(STATE, 1 << 20), 0);
    expect_left_alone(machine, -EEXIST, "is no state of sidebridge-dm");
    finish(machine);
}

/* Whatever the moment at which its maker was killed. */
static void test_cut_short(struct machine *machine)
{
    static const off_t sizes[] = { 0, 48, 1024, 2048 };

    machine_stop_model(machine);
    for (unsigned int i = 0; i < 4; i++) {
        killed(machine);
        assert_int_equal(truncate(STATE, sizes[i]), 0);
        machine_start_model(machine); /* what is left is zero, so it counts for nobody who sees its devices */
        machine_stop_model(machine);
        expect_resumes(machine, false);
    }
    finish(machine);
}

/* The state of more devices becomes one of fewer, and the other way round. */
static void test_other_number_of_devices(struct machine *machine)
{
    machine_stop_model(machine);
    killed(machine);
    machine->options.device_count = 1;
    expect_resumes(machine, false);
    killed(machine);
    machine->options.device_count = 2;
    expect_resumes(machine, false);
    killed(machine);
    expect_resumes(machine, true);
    finish(machine);
}

/* Whether this process may mount what nobody else sees. */
static bool own_mounts(void)
{
    char map[32];
    const int length = snprintf(map, sizeof(map), "0 %u 1", geteuid());
    int file;
    bool done;

    if (unshare(CLONE_NEWNS) == 0) {
        return true;
    }
    if (unshare(CLONE_NEWUSER | CLONE_NEWNS)) {
        return false;
    }
    file = open("/proc/self/uid_map", O_WRONLY | O_CLOEXEC);
    done = write(file, map, (size_t)length) == length;
    (void)close(file);
    return done;
}

/* On a file system of one page. */
static void fill_file_system(struct machine *machine)
{
    char error[MODEL_ERROR_MAX];
    struct stat about;

    if (!own_mounts() || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
        mount("none", "full", "tmpfs", 0, "size=4096")) {
        _exit(77);
    }
    machine->options.state = "full/state";
    if (model_create(&machine->model, &machine->options, error) != -ENOSPC ||
        strcmp(error, "full/state: has no room for the state (No space left on device)") != 0 ||
        stat("full/state", &about) != 0 || about.st_size != 0) {
        (void)fprintf(stderr, "# %s\n", error);
        _exit(1);
    }
}

static void test_full_file_system(struct machine *machine)
{
    int status;

    machine_stop_model(machine);
    (void)mkdir("full", 0700);
    in_child(machine, fill_file_system, &status);
    (void)rmdir("full");
    if (!WIFEXITED(status) || (WEXITSTATUS(status) != 0 && WEXITSTATUS(status) != 77)) {
        fail_msg("status %#x", (unsigned int)status);
    }
    finish(machine);
    if (WEXITSTATUS(status) == 77) {
        machine_skip(machine); /* no user namespaces here */
    }
}

/* Neither the state nor a disk can be there; a disk that is only read can. */
static void use_read_only_file_system(struct machine *machine)
{
    struct model_options *const options = &machine->options;
    char error[MODEL_ERROR_MAX] = "";

    if (!own_mounts() || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
        mount("none", "full", "tmpfs", 0, "size=1m")) {
        _exit(77);
    }
    write_file("full/disk", error, sizeof(error));
    if (mount(NULL, "full", NULL, MS_REMOUNT | MS_RDONLY, NULL)) {
        _exit(77);
    }
    options->state = "full/state";
    if (model_create(&machine->model, options, error) != -EROFS ||
        strcmp(error, "full/state: cannot be opened (Read-only file system)") != 0) {
        (void)fprintf(stderr, "# %s\n", error);
        _exit(1);
    }
    options->state = NULL;
    machine->disk[0].path = "full/disk";
    if (model_create(&machine->model, options, error) != -EROFS || !strstr(error, "full/disk: cannot be opened")) {
        (void)fprintf(stderr, "# %s\n", error);
        _exit(2);
    }
    machine->disk[0].read_only = true;
    _exit(model_create(&machine->model, options, error) ? 3 : 0);
}

static void test_read_only_file_system(struct machine *machine)
{
    int status;

    machine_stop_model(machine);
    (void)mkdir("full", 0700);
    in_child(machine, use_read_only_file_system, &status);
    (void)rmdir("full");
    local_guest_kill(machine->guest);
    if (!WIFEXITED(status) || (WEXITSTATUS(status) != 0 && WEXITSTATUS(status) != 77)) {
        fail_msg("status %#x", (unsigned int)status);
    }
    finish(machine);
    if (WEXITSTATUS(status) == 77) {
        machine_skip(machine); /* no user namespaces here */
    }
}

static void limit_file_size(struct machine *machine)
{
    const struct rlimit limit = { .rlim_cur = 1024, .rlim_max = 1024 };
    char error[MODEL_ERROR_MAX];

    (void)signal(SIGXFSZ, SIG_IGN);
    machine->options.state = STATE;
    if (setrlimit(RLIMIT_FSIZE, &limit) || model_create(&machine->model, &machine->options, error) != -EFBIG ||
        strcmp(error, STATE ": has no room for the state (File too large)") != 0) {
        (void)fprintf(stderr, "# %s\n", error);
        _exit(1);
    }
}

/* There is no room for two devices, so that what counts for one stays. */
static void limit_more_devices(struct machine *machine)
{
    struct rlimit limit;
    struct stat about;
    char error[MODEL_ERROR_MAX] = "";

    (void)signal(SIGXFSZ, SIG_IGN);
    if (stat(STATE, &about)) {
        _exit(1);
    }
    limit.rlim_cur = limit.rlim_max = (rlim_t)about.st_size;
    machine->options.device_count = 2;
    if (setrlimit(RLIMIT_FSIZE, &limit) || model_create(&machine->model, &machine->options, error) != -EFBIG) {
        (void)fprintf(stderr, "# %s\n", error);
        _exit(2);
    }
}

static void test_no_room_for_more_devices(struct machine *machine)
{
    uint8_t *before, *after;
    size_t size;
    int status;

    machine_stop_model(machine);
    machine->options.device_count = 1;
    killed(machine);
    size = read_file(STATE, &before);
    in_child(machine, limit_more_devices, &status);
    assert_int_equal(status, 0);
    assert_int_equal(read_file(STATE, &after), size);
    assert_memory_equal(before, after, size);
    free(before);
    free(after);
    local_guest_kill(machine->guest);
    finish(machine);
}

static void test_limited_file_size(struct machine *machine)
{
    int status;

    machine_stop_model(machine);
    in_child(machine, limit_file_size, &status);
    assert_int_equal(status, 0);
    finish(machine);
}

/* What it says ends up in OTHER. */
static void be_truncated(struct machine *machine)
{
    const int log = open(OTHER, O_RDWR | O_CREAT | O_TRUNC, 0600);

    machine->options.state = STATE;
    machine_start_model(machine);
    if (dup2(log, STDERR_FILENO) < 0 || truncate(STATE, 0)) {
        _exit(1);
    }
    machine_config_write(machine, 1, PCI_COMMAND, 2, PCI_COMMAND_MASTER);
}

/* The process ends, as if killed, but says why; the next one begins anew. */
static void test_truncated_while_in_use(struct machine *machine)
{
    uint8_t *said;
    size_t size;
    int status;

    machine_stop_model(machine);
    in_child(machine, be_truncated, &status);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGBUS);
    local_guest_kill(machine->guest);
    size = read_file(OTHER, &said);
    said[size] = '\0';
    assert_non_null(strstr((char *)said, "sidebridge-dm: " STATE ": has been truncated"));
    free(said);
    assert_int_equal(unlink(OTHER), 0);
    machine->options.state = STATE;
    expect_resumes(machine, false);
    finish(machine);
}

static void test_two_processes(struct machine *machine)
{
    char error[STATE_ERROR_MAX];
    struct state *state;

    machine_stop_model(machine);
    machine->options.state = STATE;
    machine_start_model(machine);
    machine_config_write(machine, 1, PCI_COMMAND, 2, PCI_COMMAND_MASTER);
    assert_int_equal(state_open(&state, STATE, 1, error), -EBUSY);
    assert_string_equal(error, "another process keeps its state there");
    assert_int_equal(machine_config_read(machine, 1, PCI_COMMAND, 2), PCI_COMMAND_MASTER);
    machine_stop_model(machine);
    finish(machine);
}

static void put_another_in_its_place(void)
{
    assert_int_equal(rename(OTHER, STATE), 0);
}

static void remove_it(void)
{
    assert_int_equal(unlink(STATE), 0);
}

/* Another process that opens the name later gets what we have locked, not another file. */
static void check_raced(void (*race)(void))
{
    char error[STATE_ERROR_MAX];
    struct state *one, *other;

    write_file(STATE, "", 0);
    write_file(OTHER, "", 0);
    before_flock = race;
    assert_int_equal(state_open(&one, STATE, 1, error), 0);
    assert_null(before_flock);
    assert_int_equal(state_open(&other, STATE, 1, error), -EBUSY);
    state_close(one);
    (void)unlink(OTHER);
}

static void test_exchanged_while_it_is_opened(struct machine *machine)
{
    check_raced(put_another_in_its_place);
    check_raced(remove_it);
    machine_stop_model(machine);
    finish(machine);
}

/* The path's last part is exchanged for something that is no file once it has been looked at. */
static void exchange_for_link(void)
{
    assert_int_equal(unlink(STATE), 0);
    assert_int_equal(symlink(OTHER, STATE), 0);
}

static void test_exchanged_for_a_link(struct machine *machine)
{
    char error[STATE_ERROR_MAX];
    struct state *state;

    write_file(STATE, "", 0);
    before_flock = exchange_for_link;
    assert_int_equal(state_open(&state, STATE, 1, error), -EEXIST);
    assert_int_equal(access(OTHER, F_OK), -1);
    machine_stop_model(machine);
    finish(machine);
}

/* Same name, same size, another file: also one that got the inode of the first. */
static void test_disk_that_was_swapped(struct machine *machine)
{
    uint8_t *content;
    size_t size;

    machine_stop_model(machine);
    for (unsigned int i = 0; i < 2; i++) {
        size = read_file(machine->path[0], &content);
        killed(machine);
        if (i == 0) {
            write_file(OTHER, content, size);
            assert_int_equal(rename(OTHER, machine->path[0]), 0);
        } else {
            assert_int_equal(unlink(machine->path[0]), 0);
            write_file(machine->path[0], content, size);
        }
        free(content);
        expect_resumes(machine, false);
        killed(machine);
        expect_resumes(machine, true);
    }
    finish(machine);
}

/* It is the same disk, which has shrunk. */
static void test_disk_of_another_size(struct machine *machine)
{
    machine_stop_model(machine);
    killed(machine);
    assert_int_equal(truncate(machine->path[0], (MACHINE_SECTORS - 8) * 512), 0);
    expect_resumes(machine, true);
    finish(machine);
}

static struct machine *swapped;

static void swap_disk(void)
{
    uint8_t *content;
    const size_t size = read_file(swapped->path[0], &content);

    write_file(OTHER, content, size);
    assert_int_equal(rename(OTHER, swapped->path[0]), 0);
    free(content);
}

/* Between the look at its name and its opening. What was killed can still be gone on for. */
static void test_disk_that_is_swapped_meanwhile(struct machine *machine)
{
    char error[MODEL_ERROR_MAX];

    machine_stop_model(machine);
    swapped = machine;
    machine->options.state = STATE;
    (void)unlink(STATE);
    before_flock = swap_disk; /* the first lock is the state's */
    assert_int_equal(model_create(&machine->model, &machine->options, error), -ESTALE);
    machine->model = NULL;
    assert_non_null(strstr(error, "was exchanged while it was opened"));
    finish(machine);
}

/* The number of a block device is not enough: another disk may have got it. */
static void test_block_device(struct machine *machine)
{
    struct identity before, again, after;
    int control, loop, backing, number;
    char path[32];

    machine_stop_model(machine);
    control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
    number = control >= 0 ? ioctl(control, LOOP_CTL_GET_FREE) : -1;
    (void)close(control);
    (void)snprintf(path, sizeof(path), "/dev/loop%d", number);
    loop = number >= 0 ? open(path, O_RDWR | O_CLOEXEC) : -1;
    backing = open(machine->path[0], O_RDWR | O_CLOEXEC);
    finish(machine);
    if (loop < 0 || ioctl(loop, LOOP_SET_FD, backing)) {
        (void)close(loop);
        (void)close(backing);
        machine_skip(machine); /* no loop devices here, or not root */
    }
    assert_int_equal(identity_of(loop, &before), 0);
    assert_int_equal(identity_of_name(path, &again), 0);
    assert_true(identity_equal(&before, &again));
    assert_true(before.which != 0 || before.size == MACHINE_SECTORS * 512);
    assert_int_equal(ioctl(loop, LOOP_CLR_FD), 0);
    assert_int_equal(close(loop), 0);
    loop = open(path, O_RDWR | O_CLOEXEC);
    assert_int_equal(ioctl(loop, LOOP_SET_FD, backing), 0);
    assert_int_equal(identity_of(loop, &after), 0);
    assert_int_equal(ioctl(loop, LOOP_CLR_FD), 0);
    assert_int_equal(close(loop), 0);
    assert_int_equal(close(backing), 0);
    assert_int_equal(before.device, after.device);
    assert_false(identity_equal(&before, &after));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        machine_test(test_a_disk_by_mistake, .disks = 2),
        machine_test(test_short_and_strange_files),
        machine_test(test_what_is_no_file),
        machine_test(test_symbolic_link),
        machine_test(test_of_another_user),
        machine_test(test_empty_file),
        machine_test(test_newer_and_older_version),
        machine_test(test_longer_than_it_says),
        machine_test(test_cut_short),
        machine_test(test_other_number_of_devices, .disks = 2),
        machine_test(test_full_file_system, .disks = 2),
        machine_test(test_read_only_file_system),
        machine_test(test_limited_file_size),
        machine_test(test_no_room_for_more_devices, .disks = 2),
        machine_test(test_truncated_while_in_use),
        machine_test(test_two_processes),
        machine_test(test_exchanged_while_it_is_opened),
        machine_test(test_exchanged_for_a_link),
        machine_test(test_disk_that_was_swapped),
        machine_test(test_disk_of_another_size),
        machine_test(test_disk_that_is_swapped_meanwhile),
        machine_test(test_block_device),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
