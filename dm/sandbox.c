/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * See sandbox.h. The order is the only one that works: each layer takes away what those before it need.
 */
#include "sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/landlock.h>
#include <mntent.h>
#include <sched.h>
#include <seccomp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <xen/xen.h>
#include <xen/sys/evtchn.h>
#include <xen/sys/gntdev.h>
#include <xen/sys/privcmd.h>

#define MEMORY_MORE    (16u << 20) /* beyond what is there: libraries allocate a little for some calls */
#define MEMORY_UNKNOWN (256u << 20)
#define DESCRIPTORS_MAX 256u
/*
 * Device models of one guest, which has so many servers, have one user, and those that were killed end a little later.
 * Threads are the loop's, in the kernel. Where one cannot be made, a request is not.
 */
#define SERVERS_MAX    8u
#define THREADS_MAX    (2 * SERVERS_MAX * (1 + LOOP_WORKERS_MAX))

static int result_of(long result)
{
    return result < 0 ? -errno : 0;
}

static int make_namespaces(const struct sandbox_options *options)
{
    static const int kind[] = { CLONE_NEWNET, CLONE_NEWIPC, CLONE_NEWUTS, CLONE_NEWCGROUP };
    int error = 0;

    (void)options;
    /* One by one: a kernel may have been built without some. */
    for (unsigned int i = 0; i < sizeof(kind) / sizeof(kind[0]); i++) {
        const int result = result_of(unshare(kind[i]));

        error = error ? error : result;
    }
    return error;
}

/* A file system with nothing in it but its root; no name leads to it yet. A descriptor, or a negative errno value. */
static int make_nothing(void)
{
    const int context = fsopen("tmpfs", FSOPEN_CLOEXEC);
    int mount = -1, error = 0;

    if (context < 0 || fsconfig(context, FSCONFIG_CMD_CREATE, NULL, NULL, 0)) {
        error = -errno;
    } else {
        mount = fsmount(context, FSMOUNT_CLOEXEC,
                        MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);
        error = mount < 0 ? -errno : 0;
    }
    if (context >= 0) {
        (void)close(context);
    }
    return error ? error : mount;
}

/* All mounts but the root's, so that none is in use because of us. */
static void detach_mounts(void)
{
    FILE *mounts = setmntent("/proc/self/mounts", "re");
    const struct mntent *mount;

    while (mounts && (mount = getmntent(mounts))) {
        if (strcmp(mount->mnt_dir, "/") != 0) {
            (void)umount2(mount->mnt_dir, MNT_DETACH);
        }
    }
    if (mounts) {
        (void)endmntent(mounts);
    }
}

/* The directory that we are in, which is mounted upon the root, becomes the root. */
static int take_as_root(void)
{
    if (syscall(SYS_pivot_root, ".", ".") == 0) {
        return result_of(umount2(".", MNT_DETACH)); /* the old one, which is upon the new one now */
    }
    if (errno != EINVAL) {
        return -errno;
    }
    /* The root is an initramfs, which stays where it is, below. */
    detach_mounts();
    return result_of(chroot("."));
}

static int make_root(const struct sandbox_options *options)
{
    int mounted, error;

    (void)options;
    if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL)) {
        return -errno;
    }
    mounted = make_nothing();
    if (mounted < 0) {
        return mounted;
    }
    error = move_mount(mounted, "", AT_FDCWD, "/", MOVE_MOUNT_F_EMPTY_PATH) || fchdir(mounted) ? -errno
                                                                                               : take_as_root();
    (void)close(mounted);
    return error ? error : result_of(chdir("/"));
}

/* By hand: libcap-ng, linked statically, brings the C library's look-up of users with it: 230 KiB, never called. */
static int drop_capabilities(void)
{
    struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
    const struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = { 0 };
    const int error = result_of(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0));

    return syscall(SYS_capset, &header, none) ? -errno : error;
}

/* The bounding set has an end, which the kernel knows. */
static int drop_bounding_set(void)
{
    for (unsigned long capability = 0; prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) == 0; capability++) {
    }
    return errno == EINVAL ? 0 : -errno;
}

static int change_user(uint32_t user)
{
    return setgroups(0, NULL) || setresgid(user, user, user) || setresuid(user, user, user) ? -errno : 0;
}

/* As much of it as can be had. */
static int make_user(const struct sandbox_options *options)
{
    const int bounding = drop_bounding_set();
    const int user = options->user == SANDBOX_SAME_USER ? 0 : change_user(options->user);
    const int capabilities = drop_capabilities();

    return user ? user : bounding ? bounding : capabilities;
}

static int make_no_new_privileges(const struct sandbox_options *options)
{
    (void)options;
    return result_of(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
}

/* As Linux 6.12 has it; older ones know the beginning, and less of what is in it. */
struct landlock_rules {
    uint64_t files;
    uint64_t network;
    uint64_t scopes;
};

static int make_landlock(const struct sandbox_options *options)
{
    static const unsigned int file_rights[] = { 0, 13, 14, 15, 15, 16 }; /* by version: how many there are */
    const long version = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    const struct landlock_rules rules = {
        .files = (1u << file_rights[version < 0 ? 0 : version < 5 ? version : 5]) - 1, .network = 3, .scopes = 3,
    };
    const size_t size = version >= 6 ? sizeof(rules)
                        : version >= 4 ? offsetof(struct landlock_rules, scopes)
                                       : offsetof(struct landlock_rules, network);
    int rule_set, result;

    (void)options;
    if (version < 0) {
        return -errno;
    }
    rule_set = (int)syscall(SYS_landlock_create_ruleset, &rules, size, 0);
    if (rule_set < 0) {
        return -errno;
    }
    /* Without a rule nothing is allowed. */
    result = result_of(syscall(SYS_landlock_restrict_self, rule_set, 0));
    (void)close(rule_set);
    return result;
}

/* Bytes of data that the process has: foreign memory is none. Asked for as long as there is a /proc. */
static rlim_t data_size(void)
{
    static rlim_t size;
    FILE *file = size ? NULL : fopen("/proc/self/statm", "re");
    unsigned long pages;

    if (file && fscanf(file, "%*s %*s %*s %*s %*s %lu", &pages) == 1) {
        size = (rlim_t)pages * (rlim_t)sysconf(_SC_PAGESIZE);
    }
    if (file) {
        (void)fclose(file);
    }
    return size ? size : MEMORY_UNKNOWN;
}

/* The least above all descriptors that are wanted: those with the lowest numbers that are free. */
static rlim_t descriptor_limit(const struct sandbox_options *options)
{
    int taken[DESCRIPTORS_MAX];
    unsigned int wanted = 0, count = 0;
    rlim_t limit = 1; /* no descriptor above 0, which is in use; poll(2) of one is allowed */

    for (unsigned int i = 0; i < options->needs_count; i++) {
        wanted += options->needs[i]->descriptors;
    }
    for (; count < wanted && count < DESCRIPTORS_MAX; count++) {
        taken[count] = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 0);
        if (taken[count] < 0) {
            break;
        }
        limit = (rlim_t)taken[count] + 1;
    }
    while (count > 0) {
        (void)close(taken[--count]);
    }
    return limit;
}

static int make_limits(const struct sandbox_options *options)
{
    const struct {
        int resource;
        rlim_t limit;
    } limits[] = {
        { RLIMIT_NOFILE, descriptor_limit(options) },
        { RLIMIT_NPROC, THREADS_MAX },
        { RLIMIT_CORE, 0 },
        { RLIMIT_DATA, data_size() + MEMORY_MORE },
    };

    for (unsigned int i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
        const struct rlimit limit = { .rlim_cur = limits[i].limit, .rlim_max = limits[i].limit };

        if (setrlimit((__rlimit_resource_t)limits[i].resource, &limit)) {
            return -errno;
        }
    }
    return result_of(prctl(PR_SET_DUMPABLE, 0, 0, 0, 0));
}

/* What serving needs, from all files of this program and its libraries. No argument of these does harm. */
static const int calls[] = {
    SCMP_SYS(write),
    SCMP_SYS(preadv2),
    SCMP_SYS(io_uring_enter),
    SCMP_SYS(epoll_ctl),
    SCMP_SYS(epoll_pwait),
    SCMP_SYS(poll),
    SCMP_SYS(ppoll),
    SCMP_SYS(munmap),
    SCMP_SYS(brk),
    SCMP_SYS(close),
    SCMP_SYS(fsync),
    SCMP_SYS(lseek),
    SCMP_SYS(clock_gettime),
    SCMP_SYS(clock_nanosleep), /* libxenforeignmemory, for frames that are paged out */
    SCMP_SYS(setitimer),
    SCMP_SYS(rt_sigaction),
    SCMP_SYS(rt_sigprocmask),
    SCMP_SYS(rt_sigreturn),
    SCMP_SYS(restart_syscall),
    SCMP_SYS(exit_group),
};

/* Commands of ioctl(2). What they do to another domain is refused by the handles themselves (platform/xen.c). */
static const unsigned long commands[] = {
    IOCTL_PRIVCMD_DM_OP,
    IOCTL_PRIVCMD_MMAPBATCH_V2,
    IOCTL_PRIVCMD_MMAPBATCH, /* libxenforeignmemory tries it where the other one fails in some way */
    IOCTL_EVTCHN_NOTIFY,
    IOCTL_EVTCHN_BIND_INTERDOMAIN,
    IOCTL_EVTCHN_UNBIND,
    IOCTL_GNTDEV_MAP_GRANT_REF,
    IOCTL_GNTDEV_GET_OFFSET_FOR_VADDR,
    IOCTL_GNTDEV_UNMAP_GRANT_REF,
    IOCTL_GNTDEV_GRANT_COPY,
};

static int allow(scmp_filter_ctx filter, const struct sandbox_needs *needs)
{
    int error = 0;

    for (unsigned int i = 0; i < needs->call_count && !error; i++) {
        error = seccomp_rule_add(filter, SCMP_ACT_ALLOW, needs->calls[i], 0);
    }
    for (unsigned int i = 0; i < needs->command_count && !error; i++) {
        error = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1,
                                 SCMP_A1(SCMP_CMP_EQ, needs->commands[i]));
    }
    return error;
}

static int add_rules(scmp_filter_ctx filter, const struct sandbox_options *options)
{
    const struct sandbox_needs always = {
        calls, sizeof(calls) / sizeof(calls[0]), commands, sizeof(commands) / sizeof(commands[0]), 0,
    };
    int error = allow(filter, &always);

    for (unsigned int i = 0; i < options->needs_count && !error; i++) {
        error = allow(filter, options->needs[i]);
    }
    /* Of a lock, no more than to give it up. */
    error = error ? error : seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(flock), 1, SCMP_A1(SCMP_CMP_EQ, LOCK_UN));
    /* Not what is typed into the terminal that standard error may be. */
    error = error ? error : seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(read), 1, SCMP_A0(SCMP_CMP_GT, 2));
    return error ? error
                 : seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1,
                                    SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
}

static int make_system_calls(const struct sandbox_options *options)
{
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_KILL_PROCESS);
    int error = filter ? 0 : -ENOMEM;

    error = error ? error : seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
    /* The one that is made for each request and cannot be judged by its number alone comes first. */
    error = error ? error : seccomp_syscall_priority(filter, SCMP_SYS(ioctl), UINT8_MAX);
    error = error ? error : add_rules(filter, options);
    error = error ? error : seccomp_load(filter);
    seccomp_release(filter);
    return error;
}

static int make_ring(const struct sandbox_options *options)
{
    return loop_seal(options->loop);
}

static const struct {
    const char *name;
    int (*make)(const struct sandbox_options *options);
} layers[SANDBOX_LAYERS] = {
    [SANDBOX_RING] = { "io_uring restrictions", make_ring },
    [SANDBOX_NAMESPACES] = { "namespaces", make_namespaces },
    [SANDBOX_ROOT] = { "empty root", make_root },
    [SANDBOX_USER] = { "user id", make_user },
    [SANDBOX_NO_NEW_PRIVILEGES] = { "no_new_privs", make_no_new_privileges },
    [SANDBOX_LANDLOCK] = { "Landlock", make_landlock },
    [SANDBOX_LIMITS] = { "resource limits", make_limits },
    [SANDBOX_SYSTEM_CALLS] = { "seccomp", make_system_calls },
};

int sandbox_make(enum sandbox_layer layer, const struct sandbox_options *options)
{
    return layers[layer].make(options);
}

unsigned int sandbox_enter(const struct sandbox_options *options, char lacking[SANDBOX_TEXT_MAX])
{
    unsigned int count = 0;
    size_t length = 0;

    (void)data_size();
    lacking[0] = '\0';
    for (unsigned int i = 0; i < SANDBOX_LAYERS; i++) {
        const int error = layers[i].make(options);

        if (error) {
            length += (size_t)snprintf(lacking + length, SANDBOX_TEXT_MAX - length, "%s%s (%s)", count ? ", " : "",
                                       layers[i].name, strerror(-error));
            length = length < SANDBOX_TEXT_MAX ? length : SANDBOX_TEXT_MAX - 1;
            count++;
        }
    }
    return count;
}

int sandbox_drop_inherited(bool keep_standard)
{
    const int nothing = open("/dev/null", O_RDWR);

    if (nothing < 0) {
        return -errno;
    }
    for (int descriptor = STDIN_FILENO; descriptor <= STDERR_FILENO; descriptor++) {
        const bool keep = keep_standard || descriptor == STDERR_FILENO;

        if (!keep || fcntl(descriptor, F_GETFD) < 0) {
            (void)dup2(nothing, descriptor);
        }
    }
    (void)close_range(STDERR_FILENO + 1, ~0u, 0);
    return 0;
}
