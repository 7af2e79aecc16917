/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Ioreq servers, as far as an emulator and a vCPU see them, with the hooks of the patched Xen: who is told what, in
 * which order, and with which lock held.
 */
#include "../machine.h"

/* Takes the lock, found or not. */
static struct ioreq_server *lock_and_find(struct domain *d, unsigned int id, int *rc)
{
    struct ioreq_server *s;

    rspin_lock(&d->ioreq_server.lock);
    s = id < MAX_NR_IOREQ_SERVERS ? d->ioreq_server.server[id] : NULL;
    *rc = s == NULL ? -ENOENT : s->emulator == current->domain ? 0 : -EPERM;
    return s;
}

int server_create(struct domain *d)
{
    struct ioreq_server *s = calloc(1, sizeof(*s));
    unsigned int i;
    int id = 0;

    domain_pause(d);
    rspin_lock(&d->ioreq_server.lock);
    while (id < MAX_NR_IOREQ_SERVERS && d->ioreq_server.server[id] != NULL) {
        id++;
    }
    if (id == MAX_NR_IOREQ_SERVERS) {
        free(s);
        id = -ENOSPC;
    } else {
        s->target = d;
        s->emulator = current->domain;
        s->ioreq_vcpu_list.next = s->ioreq_vcpu_list.prev = &s->ioreq_vcpu_list;
        for (i = 0; i < ARRAY_SIZE(s->range); i++) {
            s->range[i] = rangeset_new(d, "", 0);
        }
        for (i = 0; i < d->max_vcpus; i++) {
            struct list_head *entry = &s->vcpu[i].list_entry;

            s->vcpu[i].vcpu = d->vcpu[i];
            s->vcpu[i].ioreq_evtchn =
                (evtchn_port_t)alloc_unbound_xen_event_channel(d, i, s->emulator->domain_id, NULL);
            entry->prev = s->ioreq_vcpu_list.prev;
            entry->next = &s->ioreq_vcpu_list;
            entry->prev->next = entry->next->prev = entry;
        }
        d->ioreq_server.server[id] = s;
    }
    rspin_unlock(&d->ioreq_server.lock);
    domain_unpause(d);
    return id;
}

int server_map_page(struct domain *d, unsigned int id)
{
    int rc;
    struct ioreq_server *s = lock_and_find(d, id, &rc);

    if (rc == 0) {
        s->ioreq.va = s;
    }
    rspin_unlock(&d->ioreq_server.lock);
    return rc;
}

int server_enable(struct domain *d, unsigned int id, bool enable)
{
    int rc;
    struct ioreq_server *s = lock_and_find(d, id, &rc);

    if (rc == 0) {
        domain_pause(d);
        s->enabled = enable;
        domain_unpause(d);
    }
    rspin_unlock(&d->ioreq_server.lock);
    return rc;
}

int server_bind(struct domain *d, unsigned int id)
{
    evtchn_port_t ports[HYPERVISOR_VCPUS];
    struct ioreq_server *s;
    unsigned int i;
    int rc;

    s = lock_and_find(d, id, &rc);
    for (i = 0; rc == 0 && i < d->max_vcpus; i++) {
        ports[i] = s->vcpu[i].ioreq_evtchn;
    }
    rspin_unlock(&d->ioreq_server.lock);
    for (i = 0; rc == 0 && i < d->max_vcpus; i++) {
        rc = emulator_binds(d, ports[i], current->domain);
    }
    return rc;
}

/* The emulator's process is killed: all its ends close, those of its doorbells too. */
void server_emulator_dies(struct domain *d, const struct domain *emulator)
{
    evtchn_port_t port;

    for (port = 1; port < HYPERVISOR_EVENT_CHANNELS; port++) {
        if (d->evtchn[port].state == ECS_INTERDOMAIN && d->evtchn[port].remote == emulator->domain_id) {
            emulator_closes(d, port);
        }
    }
}

int server_map(struct domain *d, unsigned int id, uint32_t type, uint64_t first, uint64_t last)
{
    struct ioreq_server *s;
    int rc;

    if (first > last) {
        return -EINVAL;
    }
    s = lock_and_find(d, id, &rc);
    if (rc == 0 && rangeset_overlaps_range(s->range[type], first, last)) {
        rc = -EEXIST;
    }
    if (rc == 0) {
        rc = ioreq_pci_map(d, (ioservid_t)id, type, first, last, false);
    }
    if (rc == 0) {
        rc = rangeset_add_range(s->range[type], first, last);
    }
    if (rc == 0) {
        (void)ioreq_pci_map(d, (ioservid_t)id, type, first, last, true);
    }
    rspin_unlock(&d->ioreq_server.lock);
    return rc;
}

int server_unmap(struct domain *d, unsigned int id, uint32_t type, uint64_t first, uint64_t last)
{
    struct ioreq_server *s;
    int rc;

    if (first > last) {
        return -EINVAL;
    }
    s = lock_and_find(d, id, &rc);
    if (rc == 0 && !rangeset_contains_range(s->range[type], first, last)) {
        rc = -ENOENT;
    }
    if (rc == 0) {
        rc = rangeset_remove_range(s->range[type], first, last);
    }
    if (rc == 0) {
        ioreq_pci_unmap(d, (ioservid_t)id, type, first, last);
    }
    rspin_unlock(&d->ioreq_server.lock);
    return rc;
}

/* Frees the server; whoever waits for it goes on with all ones. */
static void release(struct domain *d, unsigned int id, bool domain_goes)
{
    struct ioreq_server *s = d->ioreq_server.server[id];
    unsigned int i;

    for (i = 0; i < d->max_vcpus; i++) {
        struct vcpu *v = d->vcpu[i];

        free_xen_event_channel(d, (int)s->vcpu[i].ioreq_evtchn);
        if (v->io.pending && v->io.server == id) {
            v->io.req.data = ~0ULL;
            vcpu_go_on(&v->io.pending);
        }
    }
    for (i = 0; i < ARRAY_SIZE(s->range); i++) {
        rangeset_destroy(s->range[i]);
    }
    d->ioreq_server.server[id] = NULL;
    if (!domain_goes) {
        domain_unpause(d);
    }
    free(s);
}

void ioreq_server_destroy_orphan(struct domain *d, ioservid_t id)
{
    ASSERT(rspin_is_locked(&d->ioreq_server.lock));
    ASSERT(d->ioreq_server.server[id] != NULL);
    domain_pause(d);
    ioreq_pci_server_gone(d, id);
    release(d, id, false);
}

int server_destroy(struct domain *d, unsigned int id)
{
    int rc;

    (void)lock_and_find(d, id, &rc);
    if (rc == 0) {
        ioreq_server_destroy_orphan(d, (ioservid_t)id);
    }
    rspin_unlock(&d->ioreq_server.lock);
    return rc;
}

/* The domain is being destroyed: Xen frees its servers without a word to anybody. */
void servers_destroy_all(struct domain *d)
{
    unsigned int id;

    rspin_lock(&d->ioreq_server.lock);
    for (id = 0; id < MAX_NR_IOREQ_SERVERS; id++) {
        if (d->ioreq_server.server[id] != NULL) {
            release(d, id, true);
        }
    }
    rspin_unlock(&d->ioreq_server.lock);
}

static struct ioreq_server *select_range(struct domain *d, const ioreq_t *p)
{
    unsigned int id = MAX_NR_IOREQ_SERVERS;

    while (id-- > 0) {
        struct ioreq_server *s = d->ioreq_server.server[id];

        if (s != NULL && s->enabled && s->ioreq.va != NULL &&
            rangeset_contains_range(s->range[XEN_DMOP_IO_RANGE_MEMORY], p->addr, p->addr + p->size - 1)) {
            return s;
        }
    }
    return NULL;
}

enum io_state try_fwd_ioserv(struct cpu_user_regs *regs, struct vcpu *v, mmio_info_t *info)
{
    const bool cache = info->dabt_instr.state == INSTR_CACHE;
    struct domain *d = v->domain;
    struct ioreq_server *s;
    ioreq_t p = {
        .type = IOREQ_TYPE_COPY,
        .addr = info->gpa,
        .count = 1,
        .size = cache ? 64u : 1u << info->dabt.size,
        .dir = !info->dabt.write,
        .state = STATE_IOREQ_READY,
    };

    if (v->io.req.state != STATE_IOREQ_NONE) {
        return IO_ABORT;
    }
    s = ioreq_pci_select(d, &p);
    if (s == NULL) {
        ASSERT(p.type == IOREQ_TYPE_COPY && p.addr == info->gpa);
        s = select_range(d, &p);
    }
    if (s == NULL) {
        return IO_UNHANDLED;
    }
    if (cache) {
        return IO_HANDLED;
    }
    ASSERT(info->dabt.valid);
    p.data = get_user_reg(regs, info->dabt.reg);
    v->io.req = p;
    for (v->io.server = 0; d->ioreq_server.server[v->io.server] != s; v->io.server++) {
    }
    notify_via_xen_event_channel(d, (int)s->vcpu[v->vcpu_id].ioreq_evtchn);
    v->io.pending = true;
    return IO_RETRY;
}

/* On the way back to the guest, of a request that is answered. */
enum io_state handle_ioserv(struct cpu_user_regs *regs, struct vcpu *v)
{
    (void)regs;
    v->io.req.state = STATE_IOREQ_NONE;
    return IO_HANDLED;
}
