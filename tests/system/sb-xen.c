/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What system tests want of Xen from dom0, where the testbed has no xl:
 *
 *   sb-xen memory             prints Xen's free memory in KiB
 *   sb-xen servers DOMAIN     prints how many ioreq servers dom0 has in that domain
 *   sb-xen domain DOMAIN      status 1 unless there is such a domain, be it dying
 *   sb-xen destroy DOMAIN     destroys it; returns when all is done that the caller has to do
 *   sb-xen state DOMAIN       prints "runs", or "shut down: REASON" (poweroff, reboot, suspend, crash or watchdog)
 *   sb-xen suspend DOMAIN     shuts it down with that reason, as a toolstack would do
 *   sb-xen resume DOMAIN      one that is shut down runs again
 *
 * Exit status 1, with a line on standard error, when something failed; 2 when the command line is wrong.
 */
#define __XEN_TOOLS__ 1

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <xen/domctl.h>
#include <xen/sched.h>
#include <xen/sysctl.h>
#include <xencall.h>
#include <xendevicemodel.h>

#define SERVERS_MAX 8
#define PAGE_KIB 4
#define VERSIONS 32

static int failed(const char *what)
{
    (void)fprintf(stderr, "sb-xen: %s: %s\n", what, strerror(errno));
    return 1;
}

/*
 * Every Xen has its own version of the calls for toolstacks, and libxenctrl knows one of them. What is used here is the
 * same in all: so try those from the installed headers' on.
 */
static int call(xencall_handle *xen, unsigned int hypercall, void *operation, uint32_t *version)
{
    int result = xencall1(xen, hypercall, (uint64_t)(uintptr_t)operation);

    for (unsigned int i = 0; result < 0 && errno == EACCES && i < VERSIONS; i++) {
        ++*version;
        result = xencall1(xen, hypercall, (uint64_t)(uintptr_t)operation);
    }
    return result;
}

static struct xen_domctl *domctl(xencall_handle *xen, uint32_t command, uint32_t domain)
{
    struct xen_domctl *const operation = xencall_alloc_buffer(xen, sizeof(*operation));

    if (!operation) {
        return NULL;
    }
    memset(operation, 0, sizeof(*operation));
    operation->cmd = command;
    operation->interface_version = XEN_DOMCTL_INTERFACE_VERSION;
    operation->domain = (domid_t)domain;
    return call(xen, __HYPERVISOR_domctl, operation, &operation->interface_version) < 0 ? NULL : operation;
}

static int print_memory(xencall_handle *xen)
{
    struct xen_sysctl *const operation = xencall_alloc_buffer(xen, sizeof(*operation));

    if (!operation) {
        return failed("xencall_alloc_buffer");
    }
    memset(operation, 0, sizeof(*operation));
    operation->cmd = XEN_SYSCTL_physinfo;
    operation->interface_version = XEN_SYSCTL_INTERFACE_VERSION;
    if (call(xen, __HYPERVISOR_sysctl, operation, &operation->interface_version) < 0) {
        return failed("physinfo");
    }
    (void)printf("%llu\n", (unsigned long long)operation->u.physinfo.free_pages * PAGE_KIB);
    return 0;
}

static int print_servers(uint32_t domain)
{
    xendevicemodel_handle *const model = xendevicemodel_open(NULL, 0);
    unsigned int servers = 0;

    if (!model) {
        return failed("xendevicemodel_open");
    }
    for (ioservid_t id = 0; id < SERVERS_MAX; id++) {
        if (xendevicemodel_get_ioreq_server_info(model, (domid_t)domain, id, NULL, NULL, NULL) == 0) {
            servers++;
        } else if (errno != ENOENT) {
            return failed("get_ioreq_server_info");
        }
    }
    (void)printf("%u\n", servers);
    return xendevicemodel_close(model);
}

static int look_for_domain(xencall_handle *xen, uint32_t domain)
{
    const struct xen_domctl *const operation = domctl(xen, XEN_DOMCTL_getdomaininfo, domain);

    return operation && operation->u.getdomaininfo.domain == domain ? 0 : 1;
}

static int destroy(xencall_handle *xen, uint32_t domain)
{
    return domctl(xen, XEN_DOMCTL_destroydomain, domain) ? 0 : failed("destroydomain");
}

static int print_state(xencall_handle *xen, uint32_t domain)
{
    static const char *const reasons[] = {
        [SHUTDOWN_poweroff] = "poweroff", [SHUTDOWN_reboot] = "reboot", [SHUTDOWN_suspend] = "suspend",
        [SHUTDOWN_crash] = "crash",       [SHUTDOWN_watchdog] = "watchdog",
    };
    const struct xen_domctl *const operation = domctl(xen, XEN_DOMCTL_getdomaininfo, domain);
    unsigned int reason;

    if (!operation || operation->u.getdomaininfo.domain != domain) {
        return failed("getdomaininfo");
    }
    if ((operation->u.getdomaininfo.flags & XEN_DOMINF_shutdown) == 0) {
        (void)puts("runs");
        return 0;
    }
    reason = (operation->u.getdomaininfo.flags >> XEN_DOMINF_shutdownshift) & XEN_DOMINF_shutdownmask;
    (void)printf("shut down: %s\n", reason < sizeof(reasons) / sizeof(reasons[0]) ? reasons[reason] : "?");
    return 0;
}

static int suspend(xencall_handle *xen, uint32_t domain)
{
    sched_remote_shutdown_t *const shutdown = xencall_alloc_buffer(xen, sizeof(*shutdown));

    if (!shutdown) {
        return failed("xencall_alloc_buffer");
    }
    *shutdown = (sched_remote_shutdown_t){ .domain_id = (domid_t)domain, .reason = SHUTDOWN_suspend };
    return xencall2(xen, __HYPERVISOR_sched_op, SCHEDOP_remote_shutdown, (uint64_t)(uintptr_t)shutdown) < 0
               ? failed("remote_shutdown") : 0;
}

static int resume(xencall_handle *xen, uint32_t domain)
{
    return domctl(xen, XEN_DOMCTL_resumedomain, domain) ? 0 : failed("resumedomain");
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        int (*function)(xencall_handle *xen, uint32_t domain);
    } commands[] = {
        { "domain", look_for_domain }, { "destroy", destroy }, { "state", print_state },
        { "suspend", suspend },        { "resume", resume },
    };
    const char *const command = argc > 1 ? argv[1] : "";
    const uint32_t domain = argc > 2 ? (uint32_t)strtoul(argv[2], NULL, 10) : 0;
    xencall_handle *xen;

    if (argc != (strcmp(command, "memory") == 0 ? 2 : 3)) {
        (void)fputs("Usage: sb-xen memory | servers|domain|destroy|state|suspend|resume DOMAIN\n", stderr);
        return 2;
    }
    xen = xencall_open(NULL, 0);
    if (!xen) {
        return failed("xencall_open");
    }
    if (strcmp(command, "memory") == 0) {
        return print_memory(xen);
    }
    if (strcmp(command, "servers") == 0) {
        return print_servers(domain);
    }
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
        if (strcmp(command, commands[i].name) == 0) {
            return commands[i].function(xen, domain);
        }
    }
    (void)fprintf(stderr, "sb-xen: no such command: %s\n", command);
    return 2;
}
