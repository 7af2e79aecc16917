/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The guests that a host device tree describes: what Xen will give to each, and what is wrong with what it is told.
 *
 * For every domain's node (compatible "xen,domain", child of /chosen) domains_read() makes a struct domain, with the
 * bridges as bridge/ reads them and the ranges that are occupied beside them, and checks one against the other
 * (rules.h).
 * All faults go to the tree's report, in the words of bridge_diagnosis_format() where the hypervisor has the same
 * check.
 *
 * Xen numbers the domains from 1, in the order of the tree.
 */
#ifndef TOOL_DOMAIN_H
#define TOOL_DOMAIN_H

#include "bridge.h"
#include "host_tree.h"

#define DOMAIN_RANGES_MAX  64u
#define DOMAIN_MODULE_ALIGN 0x200000u /* what Xen rounds a module's place up to */
#define DOMAIN_NAME_MAX    48u
#define DOMAIN_DEVICE_INTERRUPTS_MAX 64u
/* Bits of `capabilities`. */
#define CAPABILITY_CONTROL  0x1u
#define CAPABILITY_HARDWARE 0x2u
#define CAPABILITY_XENSTORE 0x4u

#define DOMAIN_BRIDGES_MAX 4u /* xen/ioreq-pci/private.h: IOREQ_PCI_BRIDGES */

enum domain_range_kind {
    DOMAIN_RAM,
    DOMAIN_SHARED_MEMORY,
    DOMAIN_LAYOUT,   /* what Xen puts into every guest of this kind */
    DOMAIN_HARDWARE, /* emulated where the hardware's is, in a direct-mapped guest */
    DOMAIN_DEVICE,   /* of a passed-through device, which a host's tree alone does not show */
};

struct domain_range {
    enum domain_range_kind kind;
    char name[DOMAIN_NAME_MAX];
    uint64_t base;
    uint64_t size;
};

/* A bridge, or plain ranges. */
struct domain_bridge {
    char path[HOST_TREE_PATH_MAX]; /* of the node that declares it: the domain's, or a child of it */
    const char *property;
    struct bridge bridge;
};

struct domain {
    char path[HOST_TREE_PATH_MAX];
    unsigned int id;
    uint32_t cpus;
    bool has_memory;           /* and says how much in a way that can be used: */
    uint64_t memory_kib;
    bool enhanced;             /* it has a grant table */
    bool wants_xenstore;       /* and a xenstore */
    bool has_nr_spis;
    uint32_t nr_spis;
    bool has_kernel;
    uint64_t modules_size;     /* bytes of RAM for its kernel and ramdisk */
    bool has_passthrough;      /* a partial device tree, which is not in this file */
    bool has_colors;           /* llc-colors */
    uint32_t capabilities;     /* CAPABILITY_*, of Xen 4.21 and newer */
    unsigned int static_count;
    struct bridge_window static_memory[DOMAIN_RANGES_MAX]; /* of the host's */
    uint32_t vpl011_interrupt; /* of a direct-mapped guest; 0: none or not known */
    struct bridge_guest_layout layout;
    unsigned int range_count;
    struct domain_range ranges[DOMAIN_RANGES_MAX];
    unsigned int device_interrupt_count; /* of passed-through devices, likewise */
    uint32_t device_interrupts[DOMAIN_DEVICE_INTERRUPTS_MAX];
    unsigned int bridge_count; /* of those that can be used */
    struct domain_bridge bridges[DOMAIN_BRIDGES_MAX]; /* in the order in which Xen numbers them */
};

/* A growing array of domains. */
struct domains {
    struct domain **domains;
    size_t count;
    unsigned int address_bits; /* IN: width of a guest's physical addresses; 0: 40, or what the host's tree shows */
    bool has_control;          /* OUT: there is a dom0, or a domain with capabilities in its place */
    bool xen_4_22;             /* IN: where versions of Xen differ, go by 4.22, else by 4.17 */
    bool devices_known;        /* IN: whoever calls has passed-through devices checked himself */
};

/* False when anything is wrong, in the tree or with one of its domains; the report then says what. */
bool domains_read(struct domains *domains, const struct host_tree *tree);

void domains_finish(struct domains *domains);

/* By path, by the node's name, or by number; NULL, reported, when there is none. */
const struct domain *domains_find(const struct domains *domains, const char *name, struct report *report);

/* The same, when something is to be made for its bridges. NULL, reported, if it has none or the tree has errors. */
const struct domain *domains_find_served(const struct domains *domains, const char *name, struct report *report);

/* The banks of its RAM; banks has room for DOMAIN_RANGES_MAX. */
unsigned int domain_ram(const struct domain *domain, struct bridge_window *banks);

#endif
