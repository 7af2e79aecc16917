/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What system tests want of Xen from dom0, where the testbed has no xl:
 *
 *   sb-xen memory             prints Xen's free memory in KiB
 *   sb-xen servers DOMAIN     prints how many ioreq servers dom0 has in that domain
 *   sb-xen domain DOMAIN      status 1 unless there is such a domain, be it dying
 *   sb-xen destroy DOMAIN     destroys it; returns when all is done that the caller has to do
 *
 * Exit status 1, with a line on standard error, when something failed; 2 when the command line is wrong.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <xenctrl.h>
#include <xendevicemodel.h>

#define SERVERS_MAX 8

static int failed(const char *what)
{
    (void)fprintf(stderr, "sb-xen: %s: %s\n", what, strerror(errno));
    return 1;
}

static int print_memory(xc_interface *xen)
{
    xc_physinfo_t info;

    if (xc_physinfo(xen, &info)) {
        return failed("physinfo");
    }
    (void)printf("%llu\n", (unsigned long long)info.free_pages * (XC_PAGE_SIZE / 1024));
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

static int look_for_domain(xc_interface *xen, uint32_t domain)
{
    xc_dominfo_t info;

    return xc_domain_getinfo(xen, domain, 1, &info) == 1 && info.domid == domain ? 0 : 1;
}

static int destroy(xc_interface *xen, uint32_t domain)
{
    return xc_domain_destroy(xen, domain) ? failed("domain_destroy") : 0;
}

int main(int argc, char **argv)
{
    const char *const command = argc > 1 ? argv[1] : "";
    const uint32_t domain = argc > 2 ? (uint32_t)strtoul(argv[2], NULL, 10) : 0;
    xc_interface *xen;

    if (argc != (strcmp(command, "memory") == 0 ? 2 : 3)) {
        (void)fputs("Usage: sb-xen memory | servers DOMAIN | domain DOMAIN | destroy DOMAIN\n", stderr);
        return 2;
    }
    xen = xc_interface_open(NULL, NULL, 0);
    if (!xen) {
        return failed("xc_interface_open");
    }
    if (strcmp(command, "memory") == 0) {
        return print_memory(xen);
    }
    if (strcmp(command, "servers") == 0) {
        return print_servers(domain);
    }
    return strcmp(command, "destroy") == 0 ? destroy(xen, domain) : look_for_domain(xen, domain);
}
