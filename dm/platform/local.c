/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * See local.h: the guest's and the hypervisor's side first, then platform.h.
 *
 * The ioreq page, the event and the claims outlive the device model's attachment, as they do on Xen; a struct platform
 * is only the attachment.
 */
#include "local.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "claims.h"
#include "copies.h"
#include "dm_op.h"
#include "grants.h"
#include "memory.h"
#include "platform.h"

#define INTERRUPTS   (BRIDGE_INTERRUPT_LAST + 1u)
#define FUNCTIONS    256u /* of bus 0 */
#define WAIT_SECONDS 10
#define NO_PAGE      UINT32_MAX

struct platform {
    struct local_guest *guest;
    bool left;
    struct memory *memory; /* NULL with grants */
    struct platform_invalidation invalidation;
    struct platform_copies copies;
};

struct grant {
    bool valid;
    bool writable;
    uint64_t address;
    unsigned int mapped; /* times */
};

/* What the device model has mapped by grants. */
struct mapping {
    struct platform_grants grants;
    void *pages;
    struct mapping *next;
};

struct local_guest {
    struct local_config config;
    unsigned char *memory[LOCAL_BANKS_MAX];
    int file[LOCAL_BANKS_MAX];      /* what the memory is made of: more and more pages */
    uint32_t pages[LOCAL_BANKS_MAX];  /* of the file */
    uint32_t *frame[LOCAL_BANKS_MAX]; /* which of them is in each place of the bank, or NO_PAGE */
    struct grant grant[LOCAL_GRANTS];
    struct mapping *mappings;
    uint64_t granted; /* pages in them */
    struct ioreq slot[LOCAL_VCPUS];
    int event;
    struct platform_claims claims;
    enum { FREE, OURS, OTHERS } function[FUNCTIONS];
    unsigned int doorbells;
    struct {
        uint64_t address;
        unsigned int size;
        bool pending;
    } doorbell[BRIDGE_DOORBELLS];
    struct local_interrupt interrupt[INTERRUPTS];
    struct local_counters counters;
    struct platform platform;
    uint64_t mark;
    bool attached;
    bool beside;  /* so is another one, to a bus that is shared; what it has stays */
    bool resumed;
    bool unserved; /* resumed, and platform_serve() has not ended yet */
    bool ready;
    uint32_t generation;
    bool dead;
    int broken;
    bool refuse_memory;
    bool exhausted;
    bool refuse_claims;
    bool refuse_doorbells;
    void (*run)(void *opaque);
    void *run_opaque;
    void (*looked_up)(void *opaque);
    void *looked_up_opaque;
    struct local_guest *next;
};

static struct local_guest *guests;

static struct local_guest *guest_of_domain(unsigned int domain)
{
    struct local_guest *guest = guests;

    while (guest && guest->config.domain != domain) {
        guest = guest->next;
    }
    return guest;
}

const struct ioreq local_invalidation = {
    .data = UINT64_MAX, .size = 4, .dir = IOREQ_WRITE, .type = IOREQ_TYPE_INVALIDATE, .state = STATE_IOREQ_READY,
};

static int map_banks(struct local_guest *guest)
{
    for (unsigned int i = 0; i < guest->config.banks; i++) {
        const size_t size = (size_t)guest->config.bank[i].size;
        const uint32_t pages = (uint32_t)(size / MEMORY_PAGE);
        const int file = memfd_create("guest", MFD_CLOEXEC);
        void *memory = MAP_FAILED;

        if (file < 0) {
            return -errno;
        }
        guest->file[i] = file;
        if (ftruncate(file, (off_t)size) == 0) {
            memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
        }
        if (memory == MAP_FAILED) {
            return -ENOMEM;
        }
        guest->memory[i] = memory;
        guest->frame[i] = mmap(NULL, pages * sizeof(uint32_t), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
                               -1, 0);
        if (guest->frame[i] == MAP_FAILED) {
            guest->frame[i] = NULL;
            return -ENOMEM;
        }
        for (uint32_t page = 0; page < pages; page++) {
            guest->frame[i][page] = page;
        }
        guest->pages[i] = pages;
    }
    return 0;
}

int local_guest_create(struct local_guest **guest, const struct local_config *config)
{
    struct local_guest *created;
    int error;

    if (config->banks == 0 || config->banks > LOCAL_BANKS_MAX) {
        return -EINVAL;
    }
    if (guest_of_domain(config->domain)) {
        return -EEXIST;
    }
    created = mmap(NULL, sizeof(*created), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (created == MAP_FAILED) {
        return -ENOMEM;
    }
    created->config = *config;
    for (unsigned int i = 0; i < LOCAL_BANKS_MAX; i++) {
        created->file[i] = -1;
    }
    created->next = guests;
    guests = created;
    created->event = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    error = created->event < 0 ? -errno : map_banks(created);
    if (error) {
        local_guest_destroy(created);
        return error;
    }
    *guest = created;
    return 0;
}

void local_guest_destroy(struct local_guest *guest)
{
    struct local_guest **link = &guests;

    if (!guest) {
        return;
    }
    while (*link != guest) {
        link = &(*link)->next;
    }
    *link = guest->next;
    for (unsigned int i = 0; i < guest->config.banks; i++) {
        if (guest->memory[i]) {
            (void)munmap(guest->memory[i], (size_t)guest->config.bank[i].size);
        }
        if (guest->frame[i]) {
            (void)munmap(guest->frame[i], guest->config.bank[i].size / MEMORY_PAGE * sizeof(uint32_t));
        }
        if (guest->file[i] >= 0) {
            (void)close(guest->file[i]);
        }
    }
    if (guest->event >= 0) {
        (void)close(guest->event);
    }
    (void)munmap(guest, sizeof(*guest));
}

void local_guest_run_with(struct local_guest *guest, void (*run)(void *opaque), void *opaque)
{
    guest->run = run;
    guest->run_opaque = opaque;
}

void local_guest_event(struct local_guest *guest)
{
    const uint64_t one = 1;

    if (write(guest->event, &one, sizeof(one)) != sizeof(one)) {
        abort();
    }
}

struct ioreq *local_guest_post(struct local_guest *guest, unsigned int vcpu, const struct ioreq *slot)
{
    struct ioreq request = *slot;

    request.state = STATE_IOREQ_NONE;
    guest->slot[vcpu] = request;
    __atomic_thread_fence(__ATOMIC_RELEASE);
    guest->slot[vcpu].state = slot->state;
    guest->counters.blocking++;
    local_guest_event(guest);
    return &guest->slot[vcpu];
}

void local_guest_inject(struct local_guest *guest, unsigned int vcpu, struct ioreq *slot)
{
    struct ioreq *posted = local_guest_post(guest, vcpu, slot);
    const time_t start = time(NULL);

    while (platform_request_state(posted) != STATE_IORESP_READY) {
        if (!guest->run || time(NULL) > start + WAIT_SECONDS) {
            (void)fprintf(stderr, "local: access to 0x%llx is not answered\n", (unsigned long long)slot->addr);
            abort();
        }
        guest->run(guest->run_opaque);
    }
    *slot = *posted;
    posted->state = STATE_IOREQ_NONE;
}

/* The hypervisor's part of a bridge: design.md 2.3. */
static uint64_t service_read(struct local_guest *guest, uint64_t address)
{
    const uint64_t status = bridge_status_base(&guest->config.bridge);

    switch (address - status) {
    case BRIDGE_STATUS_MAGIC:
        return BRIDGE_STATUS_MAGIC_VALUE;
    case BRIDGE_STATUS_VERSION:
        return BRIDGE_STATUS_VERSION_VALUE;
    case BRIDGE_STATUS_STATE:
        return guest->ready ? BRIDGE_STATUS_STATE_READY : 0;
    case BRIDGE_STATUS_GENERATION:
        return guest->generation;
    case BRIDGE_STATUS_FLAGS:
        return guest->config.bridge.flags;
    default:
        return 0;
    }
}

static bool function_claimed(const struct local_guest *guest, uint64_t address, unsigned int size)
{
    const uint64_t offset = address - guest->config.bridge.ecam.base;

    return offset < FUNCTIONS * BRIDGE_ECAM_FUNCTION && guest->function[offset / BRIDGE_ECAM_FUNCTION] == OURS &&
           offset % BRIDGE_ECAM_FUNCTION + size <= BRIDGE_ECAM_FUNCTION;
}

static bool ring(struct local_guest *guest, uint64_t address, unsigned int size)
{
    for (unsigned int i = 0; i < guest->doorbells; i++) {
        if (guest->doorbell[i].address == address && guest->doorbell[i].size == size) {
            guest->doorbell[i].pending = true;
            guest->counters.rung++;
            local_guest_event(guest);
            return true;
        }
    }
    return false;
}

static uint64_t guest_access(struct local_guest *guest, uint64_t address, unsigned int size, bool write, uint64_t data)
{
    struct ioreq slot = {
        .addr = address,
        .data = data & platform_request_ones(size),
        .count = 1,
        .size = size,
        .state = STATE_IOREQ_READY,
        .dir = write ? IOREQ_WRITE : IOREQ_READ,
        .type = IOREQ_TYPE_COPY,
    };

    if (bridge_service_contains(&guest->config.bridge, address)) {
        guest->counters.service++;
        return write ? 0 : service_read(guest, address) & platform_request_ones(size);
    }
    if (write && ring(guest, address, size)) {
        return 0;
    }
    if (function_claimed(guest, address, size)) {
        const uint64_t offset = address - guest->config.bridge.ecam.base;

        slot.type = IOREQ_TYPE_PCI_CONFIG;
        slot.addr = offset / BRIDGE_ECAM_FUNCTION << 32 | offset % BRIDGE_ECAM_FUNCTION;
    } else if (!platform_claims_contain(&guest->claims, address, size)) {
        guest->counters.background++;
        return platform_request_ones(size);
    }
    local_guest_inject(guest, 0, &slot);
    return slot.data;
}

uint64_t local_guest_read(struct local_guest *guest, uint64_t address, unsigned int size)
{
    return guest_access(guest, address, size, false, 0);
}

void local_guest_write(struct local_guest *guest, uint64_t address, unsigned int size, uint64_t data)
{
    (void)guest_access(guest, address, size, true, data);
}

void *local_guest_memory(struct local_guest *guest, uint64_t address, uint64_t length)
{
    for (unsigned int i = 0; i < guest->config.banks; i++) {
        const uint64_t offset = address - guest->config.bank[i].base;
        const uint64_t size = guest->config.bank[i].size;

        if (offset < size && length > 0 && length <= size - offset) {
            return guest->memory[i] + offset;
        }
    }
    return NULL;
}

/* The bank that has an address; there is one. */
static unsigned int bank_of(const struct local_guest *guest, uint64_t address)
{
    unsigned int i = 0;

    while (address - guest->config.bank[i].base >= guest->config.bank[i].size) {
        i++;
    }
    return i;
}

/* Maps pages of the guest in this place, as they are now: how many it could at once, 0 if there is none. */
static unsigned int map_some(const struct local_guest *guest, void *place, uint64_t address, unsigned int pages,
                             int protection)
{
    const unsigned int i = bank_of(guest, address);
    const uint32_t *frame = &guest->frame[i][(address - guest->config.bank[i].base) / MEMORY_PAGE];
    unsigned int run = 1;

    if (*frame == NO_PAGE) {
        return 0;
    }
    while (run < pages && frame[run] == *frame + run) {
        run++;
    }
    if (mmap(place, (size_t)run * MEMORY_PAGE, protection, MAP_SHARED | MAP_FIXED, guest->file[i],
             (off_t)*frame * MEMORY_PAGE) != place) {
        abort();
    }
    return run;
}

void local_guest_exchange(struct local_guest *guest, uint64_t address, uint64_t length)
{
    const unsigned int i = bank_of(guest, address);

    for (uint64_t done = 0; done < length; done += MEMORY_PAGE) {
        const uint64_t offset = address + done - guest->config.bank[i].base;

        guest->frame[i][offset / MEMORY_PAGE] = guest->pages[i]++;
        if (ftruncate(guest->file[i], (off_t)guest->pages[i] * MEMORY_PAGE)) {
            abort();
        }
        (void)map_some(guest, guest->memory[i] + offset, address + done, 1, PROT_READ | PROT_WRITE);
    }
}

void local_guest_give_back(struct local_guest *guest, uint64_t address, uint64_t length)
{
    const unsigned int i = bank_of(guest, address);
    const uint64_t offset = address - guest->config.bank[i].base;
    void *const place = guest->memory[i] + offset;

    for (uint64_t done = 0; done < length; done += MEMORY_PAGE) {
        guest->frame[i][(offset + done) / MEMORY_PAGE] = NO_PAGE;
    }
    if (mmap(place, (size_t)length, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != place) {
        abort();
    }
}

void local_guest_grant(struct local_guest *guest, uint32_t reference, uint64_t address, bool writable)
{
    if (guest->grant[reference].mapped > 0 || !local_guest_memory(guest, address, PLATFORM_GRANT_PAGE)) {
        abort();
    }
    guest->grant[reference] = (struct grant){ .valid = true, .writable = writable, .address = address };
}

bool local_guest_end_grant(struct local_guest *guest, uint32_t reference)
{
    if (guest->grant[reference].mapped == 0) {
        guest->grant[reference].valid = false;
    }
    return !guest->grant[reference].valid;
}

uint64_t local_guest_granted(const struct local_guest *guest)
{
    return guest->granted;
}

bool local_guest_take(struct local_guest *guest, uint32_t interrupt)
{
    const bool pending = guest->interrupt[interrupt].pending;

    guest->interrupt[interrupt].pending = false;
    return pending;
}

const struct local_interrupt *local_guest_interrupt(const struct local_guest *guest, uint32_t interrupt)
{
    return &guest->interrupt[interrupt];
}

struct local_counters *local_guest_counters(struct local_guest *guest)
{
    return &guest->counters;
}

bool local_guest_ready(const struct local_guest *guest)
{
    return guest->ready;
}

unsigned int local_guest_claims(const struct local_guest *guest)
{
    return guest->claims.count;
}

bool local_guest_claimed(const struct local_guest *guest, uint64_t address)
{
    return platform_claims_contain(&guest->claims, address, 1);
}

void local_guest_die(struct local_guest *guest)
{
    guest->dead = true;
    local_guest_event(guest);
}

void local_guest_break(struct local_guest *guest, int error)
{
    guest->broken = error;
    local_guest_event(guest);
}

void local_guest_refuse_memory(struct local_guest *guest, bool refuse)
{
    guest->refuse_memory = refuse;
}

void local_guest_interfere(struct local_guest *guest, void (*looked_up)(void *opaque), void *opaque)
{
    guest->looked_up = looked_up;
    guest->looked_up_opaque = opaque;
}

void local_guest_exhaust(struct local_guest *guest, bool exhaust)
{
    guest->exhausted = exhaust;
}

void local_guest_refuse_claims(struct local_guest *guest, bool refuse)
{
    guest->refuse_claims = refuse;
}

/* What goes with a server. */
static void forget_server(struct local_guest *guest)
{
    guest->claims.count = 0;
    guest->doorbells = 0;
    guest->mark = 0;
    for (unsigned int i = 0; i < FUNCTIONS; i++) {
        guest->function[i] = guest->function[i] == OURS ? FREE : guest->function[i];
    }
}

void local_guest_kill(struct local_guest *guest)
{
    guest->attached = false;
}

void local_guest_occupy(struct local_guest *guest, unsigned int function)
{
    guest->function[function] = OTHERS;
}

void local_guest_refuse_doorbells(struct local_guest *guest, bool refuse)
{
    guest->refuse_doorbells = refuse;
}

unsigned int local_guest_doorbells(const struct local_guest *guest)
{
    return guest->doorbells;
}

/* A memory_map_fn. */
static int map_pages(void *opaque, void *where, uint64_t frame, unsigned int pages)
{
    struct local_guest *guest = opaque;
    unsigned int done = 0;

    guest->counters.memory_maps++;
    if (guest->exhausted) {
        return -ENOMEM;
    }
    while (done < pages) {
        const unsigned int run = map_some(guest, (char *)where + (size_t)done * MEMORY_PAGE,
                                          (frame + done) * MEMORY_PAGE, pages - done, PROT_READ | PROT_WRITE);

        if (run == 0) {
            return -ENOENT;
        }
        done += run;
    }
    return 0;
}

static int open_memory(struct platform *platform, uint64_t limit)
{
    const struct local_config *config = &platform->guest->config;
    struct bridge_window bank[LOCAL_BANKS_MAX];

    for (unsigned int i = 0; i < config->banks; i++) {
        bank[i] = (struct bridge_window){ .base = config->bank[i].base, .size = config->bank[i].size };
    }
    return memory_create(&platform->memory, bank, config->banks, limit ? limit : UINT64_MAX, map_pages,
                         platform->guest);
}

int platform_create(struct platform **platform, const struct platform_options *options, const char **error)
{
    struct local_guest *guest = guest_of_domain(options->domain);

    *error = NULL;
    if (!guest || guest->dead) {
        *error = "there is no such domain";
        return -ENOENT;
    }
    if (options->bridge != 0) {
        *error = "the domain has no secondary PCI host bridge of that index";
        return -ENOENT;
    }
    if (guest->attached && !options->shared) {
        *error = "another device model serves this bridge";
        return -EBUSY;
    }
    guest->platform = (struct platform){ .guest = guest };
    if (!(guest->config.bridge.flags & BRIDGE_FLAG_GRANTS) && open_memory(&guest->platform, options->map_limit)) {
        *error = "no memory to map the guest's in";
        return -ENOMEM;
    }
    guest->beside = guest->attached;
    guest->attached = true;
    guest->resumed = guest->unserved = options->mark != 0 && options->mark == guest->mark && !guest->beside;
    if (!guest->resumed && !guest->beside) {
        forget_server(guest);
        guest->generation++;
    }
    *platform = &guest->platform;
    return 0;
}

static void end_invalidations(struct platform *platform)
{
    struct local_guest *guest = platform->guest;
    unsigned int vcpu;

    while ((vcpu = platform_invalidation_next(&platform->invalidation, LOCAL_VCPUS)) < LOCAL_VCPUS) {
        guest->counters.answers += platform_request_answer(&guest->slot[vcpu]);
    }
}

static uint64_t background(void *opaque, uint64_t address, unsigned int size, bool write, uint64_t data)
{
    (void)opaque, (void)address, (void)size, (void)write, (void)data;
    return UINT64_MAX;
}

/* One that nothing was answered for yet is left to the next who tries to go on, as on Xen. */
void platform_leave(struct platform *platform)
{
    if (!platform || platform->left || platform->guest->beside || platform->guest->unserved) {
        return;
    }
    if (!platform->guest->dead) {
        (void)platform_ready(platform, false);
        (void)platform_serve(platform, false, background, NULL);
    }
    forget_server(platform->guest);
    platform->left = true;
}

void platform_destroy(struct platform *platform)
{
    if (!platform) {
        return;
    }
    if (platform->guest->beside) {
        memory_destroy(platform->memory);
        return;
    }
    platform_leave(platform);
    platform_memory_renewed(platform);
    memory_destroy(platform->memory);
    platform->guest->attached = false;
}

bool platform_resumed(const struct platform *platform)
{
    return platform->guest->resumed;
}

int platform_set_mark(struct platform *platform, uint64_t mark)
{
    if (!platform->guest->beside) {
        platform->guest->mark = mark;
    }
    return 0;
}

const struct bridge *platform_bridge(const struct platform *platform)
{
    return &platform->guest->config.bridge;
}

int platform_descriptor(const struct platform *platform)
{
    return platform->guest->event;
}

static void serve_vcpu(struct platform *platform, unsigned int vcpu, platform_access_fn *access, void *opaque)
{
    struct local_guest *guest = platform->guest;
    const struct platform_config_space space = { .ecam = guest->config.bridge.ecam };
    enum platform_request_result result;

    if (platform->invalidation.waits[vcpu]) {
        return;
    }
    result = platform_request_serve(&guest->slot[vcpu], &space, access, opaque, &guest->counters.requests);
    if (result == PLATFORM_REQUEST_TAKEN && platform->memory) {
        platform_invalidation_take(&platform->invalidation, vcpu);
    } else if (result == PLATFORM_REQUEST_ANSWERED ||
               (result == PLATFORM_REQUEST_TAKEN && platform_request_answer(&guest->slot[vcpu]))) {
        guest->counters.answers++;
    }
}

void platform_wake(struct platform *platform)
{
    local_guest_event(platform->guest);
}

int platform_serve(struct platform *platform, bool wait, platform_access_fn *access, void *opaque)
{
    struct local_guest *guest = platform->guest;
    struct pollfd readable = { .fd = guest->event, .events = POLLIN };
    uint64_t events;

    if (wait) {
        (void)poll(&readable, 1, -1);
    }
    if (guest->dead) {
        return -ENODEV;
    }
    if (guest->broken) {
        return guest->broken;
    }
    if (read(guest->event, &events, sizeof(events)) < 0 && errno != EAGAIN) {
        return -errno;
    }
    for (unsigned int i = 0; i < LOCAL_VCPUS; i++) {
        serve_vcpu(platform, i, access, opaque);
    }
    guest->unserved = false;
    if (platform_invalidation_overdue(&platform->invalidation)) {
        end_invalidations(platform);
    }
    for (unsigned int i = 0; i < guest->doorbells; i++) {
        if (guest->doorbell[i].pending) {
            guest->doorbell[i].pending = false;
            guest->counters.reported++;
            (void)access(opaque, guest->doorbell[i].address, guest->doorbell[i].size, true, 0);
        }
    }
    return 0;
}

int platform_claim(struct platform *platform, uint64_t base, uint64_t size)
{
    struct local_guest *guest = platform->guest;

    guest->counters.claims++;
    if (guest->refuse_claims) {
        return -ENOSPC;
    }
    /* The predecessor's claims are still there: the guest must not see them gone for a moment. */
    if (guest->unserved && platform_claims_contain(&guest->claims, base, size)) {
        return 0;
    }
    return platform_claims_add(&guest->claims, base, size);
}

int platform_release(struct platform *platform, uint64_t base, uint64_t size)
{
    platform->guest->counters.releases++;
    return platform_claims_remove(&platform->guest->claims, base, size);
}

int platform_claim_function(struct platform *platform, unsigned int function)
{
    if (function >= FUNCTIONS) {
        return -EINVAL;
    }
    if (platform->guest->function[function] == OTHERS ||
        (platform->guest->function[function] == OURS && !platform->guest->unserved)) {
        return -EEXIST;
    }
    platform->guest->function[function] = OURS;
    return 0;
}

int platform_bind(struct platform *platform, uint64_t address, unsigned int size)
{
    struct local_guest *guest = platform->guest;
    unsigned int i = 0;

    guest->counters.binds++;
    if (guest->refuse_doorbells) {
        return -EOPNOTSUPP;
    }
    while (i < guest->doorbells && guest->doorbell[i].address != address) {
        i++;
    }
    if (i == BRIDGE_DOORBELLS) {
        return -ENOSPC;
    }
    if (!platform_claims_contain(&guest->claims, address, size)) {
        return -EPERM;
    }
    guest->doorbell[i].address = address;
    guest->doorbell[i].size = size;
    guest->doorbell[i].pending = true; /* as an event channel that was just bound */
    guest->doorbells += i == guest->doorbells;
    local_guest_event(guest);
    return 0;
}

void platform_unbind(struct platform *platform, uint64_t address)
{
    struct local_guest *guest = platform->guest;

    guest->counters.binds++;
    for (unsigned int i = 0; i < guest->doorbells; i++) {
        if (guest->doorbell[i].address == address) {
            guest->doorbell[i] = guest->doorbell[--guest->doorbells];
            return;
        }
    }
}

struct platform_counters platform_counters(const struct platform *platform)
{
    struct platform_counters counters = { .doorbells = platform->guest->counters.reported };

    platform_request_count(&platform->guest->counters.requests, &counters);
    if (platform->memory) {
        counters.mapped = memory_counters(platform->memory)->most * MEMORY_PAGE;
        counters.dropped = memory_counters(platform->memory)->dropped;
    }
    return counters;
}

int platform_ready(struct platform *platform, bool ready)
{
    platform->guest->counters.readies++;
    platform->guest->ready = ready;
    return 0;
}

static bool may_map(const struct local_guest *guest, const struct platform_grants *grants, bool write)
{
    for (uint32_t i = 0; i < grants->count; i++) {
        const uint64_t reference = (uint64_t)grants->first + i;

        if (reference >= LOCAL_GRANTS || !guest->grant[reference].valid ||
            (write && !guest->grant[reference].writable)) {
            return false;
        }
    }
    return true;
}

static void *map_grants(struct local_guest *guest, uint64_t address, uint64_t length, bool write)
{
    struct platform_grants grants;
    struct mapping *mapping;

    if (platform_grants_decode(address, length, &grants) || !may_map(guest, &grants, write)) {
        return NULL;
    }
    mapping = malloc(sizeof(*mapping));
    if (!mapping) {
        return NULL;
    }
    *mapping = (struct mapping){ .grants = grants, .next = guest->mappings };
    mapping->pages = mmap(NULL, (size_t)grants.count * PLATFORM_GRANT_PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS,
                          -1, 0);
    if (mapping->pages == MAP_FAILED) {
        free(mapping);
        return NULL;
    }
    for (uint32_t i = 0; i < grants.count; i++) {
        struct grant *grant = &guest->grant[grants.first + i];

        if (map_some(guest, (char *)mapping->pages + (size_t)i * PLATFORM_GRANT_PAGE, grant->address, 1,
                     write ? PROT_READ | PROT_WRITE : PROT_READ) == 0) {
            abort();
        }
        grant->mapped++;
    }
    guest->mappings = mapping;
    guest->granted += grants.count;
    guest->counters.grant_maps += grants.count;
    return (char *)mapping->pages + grants.offset;
}

static int map(struct platform *platform, uint64_t address, uint64_t length, bool write, enum memory_use use,
               void **memory)
{
    struct local_guest *guest = platform->guest;
    int result = -EFAULT;

    if (!guest->refuse_memory && platform->memory) {
        result = memory_map(platform->memory, address, length, use, memory);
    } else if (!guest->refuse_memory) {
        *memory = map_grants(guest, address, length, write);
        result = *memory ? 0 : -EFAULT;
    }
    if (guest->looked_up) {
        guest->looked_up(guest->looked_up_opaque);
    }
    return result;
}

static void unmap_grants(struct local_guest *guest, void *memory, uint64_t length)
{
    struct mapping **link = &guest->mappings;
    struct mapping *mapping;
    uint32_t pages;
    void *first;

    pages = platform_grants_pages(memory, length, &first);
    while (*link && (*link)->pages != first) {
        link = &(*link)->next;
    }
    mapping = *link;
    if (!mapping || mapping->grants.count != pages) {
        (void)fprintf(stderr, "local: %p, %u pages, is not what was mapped\n", first, pages);
        abort();
    }
    for (uint32_t i = 0; i < pages; i++) {
        guest->grant[mapping->grants.first + i].mapped--;
    }
    guest->granted -= pages;
    (void)munmap(first, (size_t)pages * PLATFORM_GRANT_PAGE);
    *link = mapping->next;
    free(mapping);
}

static void unmap(struct platform *platform, void *memory, uint64_t length, enum memory_use use)
{
    if (platform->memory) {
        memory_unmap(platform->memory, memory, length, use);
    } else {
        unmap_grants(platform->guest, memory, length);
    }
}

void *platform_map(struct platform *platform, uint64_t address, uint64_t length, bool write)
{
    void *memory;

    return map(platform, address, length, write, MEMORY_RING, &memory) ? NULL : memory;
}

void platform_unmap(struct platform *platform, void *memory, uint64_t length)
{
    unmap(platform, memory, length, MEMORY_RING);
}

int platform_map_buffer(struct platform *platform, uint64_t address, uint64_t length, bool write, void **memory)
{
    return map(platform, address, length, write, MEMORY_BUFFER, memory);
}

void platform_unmap_buffer(struct platform *platform, void *memory, uint64_t length)
{
    unmap(platform, memory, length, MEMORY_BUFFER);
}

unsigned int platform_buffers(const struct platform *platform)
{
    return platform->memory ? memory_buffers(platform->memory) : 0;
}

void platform_give_room(struct platform *platform)
{
    if (platform->memory) {
        memory_give_room(platform->memory);
    }
}

bool platform_has_room(const struct platform *platform)
{
    return platform->memory && memory_has_room(platform->memory);
}

bool platform_turn(struct platform *platform)
{
    return platform->memory && memory_turn(platform->memory);
}

bool platform_memory_changed(const struct platform *platform)
{
    return platform->invalidation.changed;
}

bool platform_drop_memory(struct platform *platform)
{
    return memory_drop(platform->memory, MEMORY_DROP);
}

int platform_memory_renewed(struct platform *platform)
{
    platform->invalidation.changed = false;
    end_invalidations(platform);
    return 0;
}

static bool copy(struct local_guest *guest, const struct platform_copy *piece, bool to_guest)
{
    struct platform_grants grants;

    if (guest->refuse_memory || platform_grants_decode(piece->address, piece->length, &grants) ||
        !may_map(guest, &grants, to_guest)) {
        return false;
    }
    for (uint32_t done = 0; done < piece->length;) {
        const uint32_t at = (grants.offset + done) % PLATFORM_GRANT_PAGE;
        const uint32_t rest = PLATFORM_GRANT_PAGE - at;
        const uint32_t part = piece->length - done < rest ? piece->length - done : rest;
        const uint32_t page = (grants.offset + done) / PLATFORM_GRANT_PAGE;
        char *const there = local_guest_memory(guest, guest->grant[grants.first + page].address + at, part);
        char *const here = (char *)piece->memory + done;

        memcpy(to_guest ? there : here, to_guest ? here : there, part);
        done += part;
    }
    return true;
}

/* Not before platform_copy_end(), as on Xen. */
void platform_copy(struct platform *platform, struct platform_copy *piece, unsigned int count, bool to_guest)
{
    for (unsigned int i = 0; i < count; i++) {
        if (platform_copies_count(&platform->copies) == PLATFORM_COPIES_MAX) {
            platform_copy_end(platform);
        }
        platform_copies_add(&platform->copies, &piece[i], to_guest);
    }
}

void platform_copy_end(struct platform *platform)
{
    struct local_guest *guest = platform->guest;
    struct platform_copies *copies = &platform->copies;
    uintptr_t page = 0;

    if (guest->looked_up) {
        guest->looked_up(guest->looked_up_opaque);
    }
    guest->counters.grant_copies += platform_copies_count(copies) > 0;
    for (unsigned int i = 0; i < platform_copies_count(copies); i++) {
        const struct platform_wanted_copy *const wanted = platform_copies_at(copies, i);
        struct platform_copy *const piece = wanted->piece;
        const uintptr_t first = (uintptr_t)piece->memory / PLATFORM_GRANT_PAGE;

        guest->counters.grant_pages += first != page;
        guest->counters.grant_pages += ((uintptr_t)piece->memory + piece->length - 1) / PLATFORM_GRANT_PAGE - first;
        piece->failed = !copy(guest, piece, wanted->to_guest);
        page = first;
    }
    platform_copies_clear(copies);
}

int platform_interrupt(struct platform *platform, uint32_t interrupt, bool level)
{
    struct local_guest *guest = platform->guest;
    struct local_interrupt *state;

    guest->counters.interrupts++;
    if (interrupt - guest->config.bridge.interrupt_first >= guest->config.bridge.interrupt_count) {
        return -EINVAL;
    }
    state = &guest->interrupt[interrupt];
    state->level = level;
    if (level) {
        state->raised++;
        state->pending = true;
    } else {
        state->lowered++;
    }
    return 0;
}
