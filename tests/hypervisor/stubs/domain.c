/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Domains: pausing, virtual time, event channels, registers.
 *
 * A vCPU runs between vcpu_enter() and vcpu_leave(). A test without threads may also set is_running itself, to be a
 * vCPU that has not been descheduled yet, and call vcpu_deschedule() then.
 */
#include <time.h>

#include "../machine.h"

#define STUCK_SECONDS 60

_Thread_local struct vcpu *current;

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;

/* Waits for a change; whoever waits for a minute is stuck, and that is what these tests look for. */
static void wait_for_change(const char *what)
{
    struct timespec until;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += STUCK_SECONDS;
    hypervisor_assert(pthread_cond_timedwait(&changed, &mutex, &until) == 0, what, __FILE__, __LINE__);
}

static bool any_running(const struct domain *d)
{
    const struct vcpu *v;

    for_each_vcpu (d, v) {
        if (v->is_running) {
            return true;
        }
    }
    return false;
}

struct killing killing;

int domain_kill(struct domain *d)
{
    hypervisor_assert(!d->is_dying || killing.softirqs, "a domain is killed again without softirqs", __FILE__,
                      __LINE__);
    hypervisor_assert(killing.calls > 0, "a domain is killed that is dead", __FILE__, __LINE__);
    d->is_dying = true;
    killing.softirqs = false;
    ioreq_pci_relinquish(d);
    return --killing.calls > 0 ? -ERESTART : killing.result;
}

/* One takes back the pause that a domain is created with. */
int domain_pause_by_systemcontroller(struct domain *d)
{
    d->controller_pause_count++;
    return 0;
}

void process_pending_softirqs(void)
{
    killing.softirqs = true;
}

void domain_pause_nosync(struct domain *d)
{
    d->pause_count++;
}

void domain_pause(struct domain *d)
{
    hypervisor_assert(current == NULL || current->domain != d, "a domain waits for itself", __FILE__, __LINE__);
    domain_pause_nosync(d);
    pthread_mutex_lock(&mutex);
    while (any_running(d)) {
        wait_for_change("a vCPU that is paused goes on running");
    }
    pthread_mutex_unlock(&mutex);
}

void domain_unpause(struct domain *d)
{
    hypervisor_assert(d->pause_count-- > 0, "a domain is unpaused that is not paused", __FILE__, __LINE__);
    pthread_mutex_lock(&mutex);
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&mutex);
}

void vcpu_enter(struct vcpu *v)
{
    pthread_mutex_lock(&mutex);
    while (v->domain->pause_count != 0) {
        wait_for_change("a domain is paused for ever");
    }
    v->is_switched_out = false;
    v->is_running = true;
    hypervisor_assert(!v->domain->time_stopped, "a vCPU runs without time", __FILE__, __LINE__);
    pthread_mutex_unlock(&mutex);
    current = v;
}

void vcpu_deschedule(struct vcpu *v)
{
    pthread_mutex_lock(&mutex);
    v->is_running = false;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&mutex);
    ioreq_pci_descheduled(v->domain);
    v->is_switched_out = true;
}

void vcpu_leave(struct vcpu *v)
{
    vcpu_deschedule(v);
    current = NULL;
}

void vcpu_wait_for(struct vcpu *v, const _Atomic bool *pending)
{
    vcpu_leave(v);
    pthread_mutex_lock(&mutex);
    while (*pending) {
        wait_for_change("a vCPU waits for ever");
    }
    pthread_mutex_unlock(&mutex);
    vcpu_enter(v);
}

void vcpu_go_on(_Atomic bool *pending)
{
    pthread_mutex_lock(&mutex);
    *pending = false;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&mutex);
}

void domain_shutdown(struct domain *d)
{
    d->is_shutting_down = true;
    ioreq_pci_shutdown(d);
}

void domain_vtimer_stop(struct domain *d)
{
    hypervisor_assert(d->pause_count > 0 && !any_running(d), "time is stopped under a vCPU", __FILE__, __LINE__);
    hypervisor_assert(!d->time_stopped, "time is stopped twice", __FILE__, __LINE__);
    d->time_stopped = true;
    d->times_stopped++;
}

void domain_vtimer_resume(struct domain *d, uint64_t ticks)
{
    hypervisor_assert(d->time_stopped, "time goes on that was not stopped", __FILE__, __LINE__);
    hypervisor_assert(d->pause_count > 0 && !any_running(d), "time goes on under a vCPU", __FILE__, __LINE__);
    hypervisor_assert(ticks <= get_cycles(), "time would go back", __FILE__, __LINE__);
    d->time_stopped = false;
    d->ticks_hidden += ticks;
}

register_t sign_extend(struct hsr_dabt dabt, register_t value)
{
    const unsigned int unused = 64 - (8u << dabt.size);

    hypervisor_assert(((value << unused) >> unused) == value, "bits above the size of an access", __FILE__, __LINE__);
    return dabt.sign ? (register_t)((long)(value << unused) >> unused) : value;
}

void set_user_reg(struct cpu_user_regs *regs, int reg, register_t value)
{
    if (reg < 31) {
        regs->x[reg] = value;
    }
}

register_t get_user_reg(struct cpu_user_regs *regs, int reg)
{
    return reg < 31 ? regs->x[reg] : 0;
}
