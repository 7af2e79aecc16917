/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Whether each layer of the sandbox (dm/sandbox.h) holds alone: whoever has taken the process over tries to get out of
 * it, once for each pair of a layer and of something that this layer is to refuse, in a process of its own that has
 * made that layer and no other. Then the same with all layers. And each attempt must succeed where there is no layer at
 * all, or its failure would mean nothing.
 *
 * As root, in dom0 or anywhere: what cannot be tried is said to be skipped. Writes TAP. The first argument, if any, is
 * a domain to be restricted to, the second another one.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/landlock.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <liburing.h>

#define __XEN_TOOLS__ 1
#include <xen/xen.h>
#include <xen/sys/privcmd.h>
#include <xendevicemodel.h>
#include <xenevtchn.h>
#include <xenforeignmemory.h>
#include <xentoolcore.h>

#include "sandbox.h"

#define USER        (SANDBOX_USER_FIRST + 1)
#define LOOP_SIZE   8u
#define MUCH_MEMORY (64ul << 20)

enum outcome { REFUSED = 0, GOT_IN = 3, NO_LAYER_MADE = 4, CANNOT_BE_TRIED = 77 };

#define NO_LAYER     SANDBOX_LAYERS
#define ALL          (SANDBOX_LAYERS + 1)
#define CAPABILITIES (SANDBOX_LAYERS + 2) /* SANDBOX_USER without another user */
#define HANDLES      (SANDBOX_LAYERS + 3) /* the restriction of privcmd and evtchn, made by platform/xen.c */

static char directory[] = "/tmp/sb-sandbox-XXXXXX"; /* its own, with the files below */
static char secret[64];
static char itself[64]; /* a copy of this program, set-user-id root */
static char made[64];   /* none yet */
static struct sockaddr_in port_address = { .sin_family = AF_INET };
static struct sockaddr_un abstract_name = { .sun_family = AF_UNIX };
static socklen_t abstract_length = sizeof(sa_family_t); /* so that the kernel chooses one */

static pid_t victim;
static unsigned int domain = 1, other_domain;
static struct loop *loop;
static int loop_ring;                          /* descriptor */
static struct io_uring_params loop_parameters; /* of a ring of the same size: they say where is what in it */
static int pipes[2];
static int terminal; /* what stands for one: standard input */
static xenforeignmemory_handle *foreignmemory;
static xendevicemodel_handle *devicemodel;
static xenevtchn_handle *evtchn;

static enum outcome outcome(bool got_in)
{
    return got_in ? GOT_IN : REFUSED;
}

static enum outcome open_file(void)
{
    return outcome(open(secret, O_RDONLY) >= 0);
}

static enum outcome make_file(void)
{
    return outcome(open(made, O_WRONLY | O_CREAT, 0600) >= 0);
}

static enum outcome open_device(void)
{
    return outcome(open("/dev/xen/privcmd", O_RDWR) >= 0);
}

static enum outcome execute(void)
{
    char *const arguments[] = { itself, "got-in", NULL };

    (void)execve(itself, arguments, NULL);
    return REFUSED;
}

/* As another user, a set-user-id program. */
static enum outcome gain_by_execve(void)
{
    char *const arguments[] = { itself, "who", NULL };

    if (setgroups(0, NULL) || setresgid(USER, USER, USER) || setresuid(USER, USER, USER)) {
        return CANNOT_BE_TRIED;
    }
    (void)execve(itself, arguments, NULL);
    return CANNOT_BE_TRIED;
}

static enum outcome connect_port(void)
{
    const int client = socket(AF_INET, SOCK_STREAM, 0);

    return outcome(client >= 0 &&
                   connect(client, (const struct sockaddr *)&port_address, sizeof(port_address)) == 0);
}

static enum outcome connect_name(void)
{
    const int client = socket(AF_UNIX, SOCK_STREAM, 0);

    return outcome(client >= 0 && connect(client, (const struct sockaddr *)&abstract_name, abstract_length) == 0);
}

static enum outcome send_signal(void)
{
    return outcome(kill(victim, SIGWINCH) == 0);
}

static enum outcome trace(void)
{
    return outcome(ptrace(PTRACE_SEIZE, victim, NULL, NULL) == 0);
}

static enum outcome make_process(void)
{
    const pid_t pid = fork();

    if (pid == 0) {
        _exit(0);
    }
    return outcome(pid > 0);
}

static enum outcome become_root(void)
{
    return outcome(setresuid(0, 0, 0) == 0);
}

static enum outcome become_another(void)
{
    return outcome(setresuid(1, 1, 1) == 0);
}

static enum outcome mount_something(void)
{
    return outcome(mount("none", directory, "tmpfs", 0, NULL) == 0);
}

static enum outcome map_code(void)
{
    return outcome(mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED);
}

static enum outcome make_code_of_data(void)
{
    void *data = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    return data == MAP_FAILED ? CANNOT_BE_TRIED : outcome(mprotect(data, 4096, PROT_READ | PROT_EXEC) == 0);
}

static enum outcome take_much_memory(void)
{
    return outcome(mmap(NULL, MUCH_MEMORY, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED);
}

static enum outcome leave_core(void)
{
    struct rlimit limit;

    return outcome(getrlimit(RLIMIT_CORE, &limit) != 0 || limit.rlim_max != 0);
}

static enum outcome another_ioctl(void)
{
    int bytes;

    return outcome(ioctl(pipes[0], FIONREAD, &bytes) == 0);
}

static enum outcome read_terminal(void)
{
    char byte;

    return outcome(read(terminal, &byte, 1) >= 0);
}

static enum outcome another_ring(void)
{
    struct io_uring ring;

    return outcome(io_uring_queue_init(1, &ring, 0) == 0);
}

/* The loop's own ring, as whoever is in the process can use it: a turn of the loop has enabled it. */
static bool take_ring(struct io_uring *ring)
{
    if (loop_run_once(loop, false) || io_uring_queue_mmap(loop_ring, &loop_parameters, ring)) {
        return false;
    }
    ring->sq.sqe_head = ring->sq.sqe_tail = *ring->sq.ktail;
    return true;
}

static int run_in_ring(struct io_uring *ring)
{
    struct io_uring_cqe *cqe;

    if (io_uring_submit(ring) < 0 ||
        syscall(SYS_io_uring_enter, loop_ring, 0, 1, IORING_ENTER_GETEVENTS, NULL, 0) < 0 ||
        io_uring_peek_cqe(ring, &cqe)) {
        return -EAGAIN;
    }
    return cqe->res;
}

static enum outcome open_by_ring(void)
{
    struct io_uring ring;

    if (!take_ring(&ring)) {
        return CANNOT_BE_TRIED;
    }
    io_uring_prep_openat(io_uring_get_sqe(&ring), AT_FDCWD, secret, O_RDONLY, 0);
    return outcome(run_in_ring(&ring) >= 0);
}

/* An operation that is allowed, on a descriptor that the ring does not have. */
static enum outcome read_by_ring(void)
{
    static char byte;
    static struct iovec vector = { .iov_base = &byte, .iov_len = 1 };
    struct io_uring ring;
    int result;

    if (!take_ring(&ring)) {
        return CANNOT_BE_TRIED;
    }
    io_uring_prep_readv(io_uring_get_sqe(&ring), terminal, &vector, 1, 0);
    result = run_in_ring(&ring);
    return outcome(result >= 0);
}

static enum outcome register_in_ring(void)
{
    struct io_uring ring;
    int event = pipes[0];

    return !take_ring(&ring) ? CANNOT_BE_TRIED
                             : outcome(syscall(SYS_io_uring_register, loop_ring, IORING_REGISTER_IOWQ_MAX_WORKERS,
                                               (unsigned int[]){ 1, 1 }, 2) == 0 && event >= 0);
}

static enum outcome map_another_domain(void)
{
    static const xen_pfn_t frame = 0x40000;
    int error = 0;
    void *page;

    if (!foreignmemory) {
        return CANNOT_BE_TRIED;
    }
    page = xenforeignmemory_map(foreignmemory, other_domain, PROT_READ, 1, &frame, &error);
    return outcome(page && error == 0);
}

static enum outcome ask_about_another_domain(void)
{
    unsigned int vcpus;

    return !devicemodel ? CANNOT_BE_TRIED
                        : outcome(xendevicemodel_nr_vcpus(devicemodel, (domid_t)other_domain, &vcpus) == 0);
}

static enum outcome listen_to_another_domain(void)
{
    return !evtchn ? CANNOT_BE_TRIED : outcome(xenevtchn_bind_unbound_port(evtchn, other_domain) >= 0);
}

static const struct attempt {
    const char *name;
    enum outcome (*make)(void);
} attempts[] = {
    { "openat", open_file },
    { "openat that creates", make_file },
    { "/dev/xen reopened", open_device },
    { "execve", execute },
    { "execve of a set-user-id program", gain_by_execve },
    { "connect to a port", connect_port },
    { "connect to an abstract socket", connect_name },
    { "signal to another process", send_signal },
    { "ptrace", trace },
    { "fork", make_process },
    { "setuid 0", become_root },
    { "setuid 1", become_another },
    { "mount", mount_something },
    { "mmap of code", map_code },
    { "mprotect of data to code", make_code_of_data },
    { "much memory", take_much_memory },
    { "core file", leave_core },
    { "ioctl of another kind", another_ioctl },
    { "read of the terminal", read_terminal },
    { "another ring", another_ring },
    { "openat by the ring", open_by_ring },
    { "readv of any descriptor by the ring", read_by_ring },
    { "registering with the ring", register_in_ring },
    { "mapping another domain", map_another_domain },
    { "dm_op on another domain", ask_about_another_domain },
    { "event channel to another domain", listen_to_another_domain },
};

#define ATTEMPTS (sizeof(attempts) / sizeof(attempts[0]))

static const struct layer {
    const char *name;
    unsigned int number;
    const char *refuses[ATTEMPTS]; /* none: all */
} layers[] = {
    { "the ring", SANDBOX_RING,
      { "openat by the ring", "readv of any descriptor by the ring", "registering with the ring" } },
    { "namespaces", SANDBOX_NAMESPACES, { "connect to a port", "connect to an abstract socket" } },
    { "the empty root", SANDBOX_ROOT,
      { "openat", "openat that creates", "/dev/xen reopened", "execve", "openat by the ring" } },
    { "the user id", SANDBOX_USER,
      { "openat", "/dev/xen reopened", "signal to another process", "ptrace", "setuid 0", "setuid 1", "mount",
        "openat by the ring" } },
    { "no capabilities", CAPABILITIES, { "ptrace", "setuid 1", "mount" } },
    { "no_new_privs", SANDBOX_NO_NEW_PRIVILEGES, { "execve of a set-user-id program" } },
    { "Landlock", SANDBOX_LANDLOCK,
      { "openat", "openat that creates", "/dev/xen reopened", "execve", "mount", "openat by the ring" } },
    { "limits", SANDBOX_LIMITS,
      { "openat", "openat that creates", "/dev/xen reopened", "connect to a port", "connect to an abstract socket",
        "much memory", "core file", "another ring", "openat by the ring" } },
    { "seccomp", SANDBOX_SYSTEM_CALLS,
      { "openat", "openat that creates", "/dev/xen reopened", "execve", "connect to a port",
        "connect to an abstract socket", "signal to another process", "ptrace", "fork", "setuid 0", "setuid 1", "mount",
        "mmap of code", "mprotect of data to code", "ioctl of another kind", "read of the terminal", "another ring",
        "registering with the ring" } },
    { "the handles", HANDLES,
      { "mapping another domain", "dm_op on another domain", "event channel to another domain" } },
    { "all layers", ALL, { NULL } },
};

/* From Landlock 4 (Linux 6.7) on, and from 6 (6.12) on. */
static const struct layer more_landlock[] = {
    { "Landlock", SANDBOX_LANDLOCK, { "connect to a port" } },
    { "Landlock", SANDBOX_LANDLOCK, { "signal to another process", "connect to an abstract socket" } },
};

/* So that nothing that is tried here happens to the mounts of this machine. */
static bool own_mounts(void)
{
    return !unshare(CLONE_NEWNS) && !mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL);
}

/* Not in a container without the privilege, nor in a chroot, whose root is no mount. */
static bool can_have_own_mounts(void)
{
    int status = -1;
    const pid_t pid = fork();

    if (pid == 0) {
        _exit(!own_mounts());
    }
    return pid > 0 && waitpid(pid, &status, 0) == pid && status == 0;
}

/*
 * What an attempt needs is there, and was before the layer: so it is with the device model's own descriptors. What is
 * mounted is seen by nobody else.
 */
static bool prepare(void)
{
    static struct loop_watch watch;
    struct io_uring same;
    char path[64], target[64];

    loop_parameters = (struct io_uring_params){ .flags = IORING_SETUP_CLAMP };
    if (io_uring_queue_init_params(LOOP_SIZE, &same, &loop_parameters)) {
        return false;
    }
    io_uring_queue_exit(&same);
    if (!own_mounts() || pipe(pipes) || loop_create(&loop, LOOP_SIZE)) {
        return false;
    }
    for (int descriptor = 3; descriptor < 64; descriptor++) {
        ssize_t length;

        (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", descriptor);
        length = readlink(path, target, sizeof(target));
        if (length == (ssize_t)strlen("anon_inode:[io_uring]") && memcmp(target, "anon_inode:[io_uring]", 21) == 0) {
            loop_ring = descriptor;
        }
    }
    if (loop_watch(loop, &watch, pipes[0], NULL, NULL)) {
        return false;
    }
    terminal = open(secret, O_RDONLY); /* more than 2, so not this one for seccomp: */
    if (terminal < 0 || dup2(terminal, STDIN_FILENO) || close(terminal)) {
        return false;
    }
    terminal = STDIN_FILENO;
    foreignmemory = xenforeignmemory_open(NULL, 0);
    devicemodel = xendevicemodel_open(NULL, 0);
    evtchn = xenevtchn_open(NULL, 0);
    return true;
}

static int make_layer(unsigned int number)
{
    const struct sandbox_options options = { .loop = loop, .user = number == CAPABILITIES ? SANDBOX_SAME_USER : USER };
    char lacking[SANDBOX_TEXT_MAX];

    if (number == HANDLES || number == ALL) {
        if (foreignmemory && xentoolcore_restrict_all((domid_t)domain)) {
            return -errno;
        }
    }
    if (number == ALL && sandbox_enter(&options, lacking)) {
        (void)fprintf(stderr, "# the sandbox lacks: %s\n", lacking);
        return -EPERM;
    }
    return number < SANDBOX_LAYERS     ? sandbox_make(number, &options)
           : number == CAPABILITIES    ? sandbox_make(SANDBOX_USER, &options)
                                       : 0;
}

static unsigned int tests, failures;

static void report(bool good, const char *what, const char *layer, const char *note)
{
    tests++;
    failures += !good;
    (void)printf("%sok %u - %s: %s%s\n", good ? "" : "not ", tests, layer, what, note);
    (void)fflush(stdout);
}

/* One attempt in one process. Who is killed by seccomp has been refused. */
static void try(const struct layer *layer, const struct attempt *attempt, enum outcome expected)
{
    char note[80] = "";
    int status;
    pid_t pid;

    (void)fflush(stdout);
    pid = fork();
    if (pid == 0) {
        int error;

        error = prepare() ? make_layer(layer->number) : -errno;
        if (error) {
            (void)fprintf(stderr, "# %s: %s\n", layer->name, strerror(-error));
            _exit(NO_LAYER_MADE);
        }
        syscall(SYS_exit_group, attempt->make());
    }
    if (pid < 0 || waitpid(pid, &status, 0) != pid) {
        report(false, attempt->name, layer->name, " (no process)");
        return;
    }
    if (WIFEXITED(status) && WEXITSTATUS(status) == CANNOT_BE_TRIED) {
        report(true, attempt->name, layer->name, " # SKIP cannot be tried here");
        return;
    }
    if (WIFSIGNALED(status)) {
        (void)snprintf(note, sizeof(note), " (signal %d)", WTERMSIG(status));
    } else if (WEXITSTATUS(status) == NO_LAYER_MADE) {
        (void)snprintf(note, sizeof(note), " (the layer cannot be made)");
    }
    report((WIFEXITED(status) && WEXITSTATUS(status) == (int)expected) ||
               (expected == REFUSED && WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS &&
                (layer->number == SANDBOX_SYSTEM_CALLS || layer->number == ALL)),
           attempt->name, layer->name, note);
}

static void try_all(const struct layer *layer)
{
    for (unsigned int i = 0; i < ATTEMPTS; i++) {
        bool refuses = layer->refuses[0] == NULL && attempts[i].make != gain_by_execve;

        for (unsigned int j = 0; j < ATTEMPTS && layer->refuses[j]; j++) {
            refuses |= strcmp(layer->refuses[j], attempts[i].name) == 0;
        }
        if (refuses) {
            try(layer, &attempts[i], REFUSED);
        }
    }
}

/* Of numbers and names that the kernel chooses: several of us may be about. */
static bool make_sockets(void)
{
    const int port = socket(AF_INET, SOCK_STREAM, 0), abstract = socket(AF_UNIX, SOCK_STREAM, 0);
    struct ifreq interface = { .ifr_name = "lo", .ifr_flags = IFF_UP };
    socklen_t length = sizeof(port_address);

    (void)ioctl(port, SIOCSIFFLAGS, &interface);
    port_address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (bind(port, (const struct sockaddr *)&port_address, length) || listen(port, 64) ||
        getsockname(port, (struct sockaddr *)&port_address, &length) ||
        bind(abstract, (const struct sockaddr *)&abstract_name, abstract_length) || listen(abstract, 64)) {
        return false;
    }
    abstract_length = sizeof(abstract_name);
    return getsockname(abstract, (struct sockaddr *)&abstract_name, &abstract_length) == 0;
}

static bool copy(const char *program)
{
    const int from = open(program, O_RDONLY), to = open(itself, O_WRONLY | O_CREAT | O_EXCL, 0700);
    char data[65536];
    ssize_t length;

    while ((length = read(from, data, sizeof(data))) > 0) {
        if (write(to, data, (size_t)length) != length) {
            return false;
        }
    }
    return length == 0 && !fchmod(to, 04755) && !close(to) && !close(from);
}

/* Other users get to a file in the directory if they know its name. */
static bool make_files(const char *program)
{
    int file;

    if (!mkdtemp(directory) || chmod(directory, 0711)) {
        return false;
    }
    (void)snprintf(secret, sizeof(secret), "%s/secret", directory);
    (void)snprintf(itself, sizeof(itself), "%s/itself", directory);
    (void)snprintf(made, sizeof(made), "%s/made", directory);
    file = open(secret, O_WRONLY | O_CREAT | O_EXCL, 0600);
    return write(file, "secret", 6) == 6 && !close(file) && copy(program);
}

static void remove_files(void)
{
    (void)unlink(secret);
    (void)unlink(itself);
    (void)unlink(made);
    (void)rmdir(directory);
}

/* Somebody to be harmed: a process, a port, an abstract socket, files. */
static bool set_up(const char *program)
{
    if (!make_sockets() || !make_files(program)) {
        return false;
    }
    victim = fork();
    if (victim == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* it has the sockets, too, which a later test wants */
        for (;;) {
            (void)pause();
        }
    }
    return victim > 0;
}

int main(int argc, char **argv)
{
    static const struct layer none = { "no layer", NO_LAYER, { NULL } };
    const long landlock = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);

    if (argc == 2 && strcmp(argv[1], "got-in") == 0) {
        return GOT_IN;
    }
    if (argc == 2 && strcmp(argv[1], "who") == 0) {
        return geteuid() == 0 ? GOT_IN : REFUSED;
    }
    domain = argc > 1 ? (unsigned int)atoi(argv[1]) : domain;
    other_domain = argc > 2 ? (unsigned int)atoi(argv[2]) : other_domain;
    if (geteuid() != 0) {
        (void)puts("1..0 # SKIP not root");
        return 0;
    }
    if (!can_have_own_mounts()) {
        (void)puts("1..0 # SKIP no mounts of its own can be had here");
        return 0;
    }
    if (!set_up(argv[0][0] == '/' ? argv[0] : "/proc/self/exe")) {
        (void)printf("Bail out! %s\n", strerror(errno));
        remove_files();
        return 1;
    }
    for (unsigned int i = 0; i < ATTEMPTS; i++) {
        const bool absent = attempts[i].make == open_device && access("/dev/xen/privcmd", F_OK);

        if (!absent) {
            try(&none, &attempts[i], GOT_IN);
        }
    }
    for (unsigned int i = 0; i < sizeof(layers) / sizeof(layers[0]); i++) {
        if (layers[i].number == SANDBOX_LANDLOCK && landlock < 0) {
            report(true, "all", "Landlock", " # SKIP this kernel has none");
        } else {
            try_all(&layers[i]);
        }
    }
    if (landlock >= 4) {
        try_all(&more_landlock[0]);
    }
    if (landlock >= 6) {
        try_all(&more_landlock[1]);
    }
    (void)kill(victim, SIGKILL);
    remove_files();
    (void)printf("1..%u\n", tests);
    return failures > 0;
}
