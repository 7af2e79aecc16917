/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Time, timers and tasklets. Time moves, timers expire and tasklets run where time_advance() and tasklets_run() are
 * called, on the caller's thread, and never elsewhere.
 */
#include "../machine.h"

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t finished = PTHREAD_COND_INITIALIZER;
static _Atomic s_time_t now = SECONDS(1);
static struct timer *timers;
static struct tasklet *tasklets;
static _Thread_local const void *inside; /* the timer or tasklet that this thread runs */

s_time_t NOW(void)
{
    return now;
}

uint64_t get_cycles(void)
{
    return (uint64_t)now / 16; /* 62.5 MHz, as QEMU's */
}

void init_timer(struct timer *timer, void (*function)(void *), void *data, unsigned int cpu)
{
    (void)cpu;
    *timer = (struct timer){.function = function, .data = data};
    pthread_mutex_lock(&mutex);
    timer->next = timers;
    timers = timer;
    pthread_mutex_unlock(&mutex);
}

void set_timer(struct timer *timer, s_time_t expires)
{
    pthread_mutex_lock(&mutex);
    hypervisor_assert(timer->function != NULL, "a timer that is not initialised", __FILE__, __LINE__);
    if (!timer->killed) {
        timer->expires = expires;
        timer->active = true;
    }
    pthread_mutex_unlock(&mutex);
}

void stop_timer(struct timer *timer)
{
    pthread_mutex_lock(&mutex);
    timer->active = false;
    pthread_mutex_unlock(&mutex);
}

void kill_timer(struct timer *timer)
{
    struct timer **link;

    hypervisor_assert(inside != timer, "a timer kills itself", __FILE__, __LINE__);
    pthread_mutex_lock(&mutex);
    hypervisor_assert(timer->function != NULL, "a timer that is not initialised", __FILE__, __LINE__);
    for (link = &timers; *link != NULL && *link != timer; link = &(*link)->next) {
    }
    if (*link != NULL) {
        *link = timer->next;
    }
    timer->active = false;
    timer->killed = true;
    while (timer->running) {
        pthread_cond_wait(&finished, &mutex);
    }
    pthread_mutex_unlock(&mutex);
}

static struct timer *first_due(s_time_t limit)
{
    struct timer *timer, *first = NULL;

    for (timer = timers; timer != NULL; timer = timer->next) {
        if (timer->active && timer->expires <= limit && (first == NULL || timer->expires < first->expires)) {
            first = timer;
        }
    }
    return first;
}

void time_advance(s_time_t by)
{
    const s_time_t limit = now + by;
    struct timer *timer;

    pthread_mutex_lock(&mutex);
    while ((timer = first_due(limit)) != NULL) {
        now = MAX(now, timer->expires);
        timer->active = false;
        timer->running = true;
        inside = timer;
        pthread_mutex_unlock(&mutex);
        timer->function(timer->data);
        hypervisor_assert(locks_held() == 0, "a timer's function left a lock held", __FILE__, __LINE__);
        pthread_mutex_lock(&mutex);
        inside = NULL;
        timer->running = false;
        pthread_cond_broadcast(&finished);
    }
    now = limit;
    pthread_mutex_unlock(&mutex);
}

void time_advance_without_timers(s_time_t by)
{
    pthread_mutex_lock(&mutex);
    now += by;
    pthread_mutex_unlock(&mutex);
}

void tasklet_init(struct tasklet *tasklet, void (*function)(void *), void *data)
{
    *tasklet = (struct tasklet){.function = function, .data = data};
    pthread_mutex_lock(&mutex);
    tasklet->next = tasklets;
    tasklets = tasklet;
    pthread_mutex_unlock(&mutex);
}

void tasklet_schedule(struct tasklet *tasklet)
{
    pthread_mutex_lock(&mutex);
    tasklet->scheduled = tasklet->function != NULL && !tasklet->killed;
    pthread_mutex_unlock(&mutex);
}

void tasklet_kill(struct tasklet *tasklet)
{
    struct tasklet **link;

    hypervisor_assert(inside != tasklet, "a tasklet kills itself", __FILE__, __LINE__);
    pthread_mutex_lock(&mutex);
    for (link = &tasklets; *link != NULL && *link != tasklet; link = &(*link)->next) {
    }
    if (*link != NULL) {
        *link = tasklet->next;
    }
    tasklet->scheduled = false;
    tasklet->killed = true;
    while (tasklet->running) {
        pthread_cond_wait(&finished, &mutex);
    }
    pthread_mutex_unlock(&mutex);
}

unsigned int tasklets_run(void)
{
    struct tasklet *tasklet;
    unsigned int count = 0;

    pthread_mutex_lock(&mutex);
    for (;;) {
        for (tasklet = tasklets; tasklet != NULL && !tasklet->scheduled; tasklet = tasklet->next) {
        }
        if (tasklet == NULL) {
            break;
        }
        tasklet->scheduled = false;
        tasklet->running = true;
        inside = tasklet;
        pthread_mutex_unlock(&mutex);
        tasklet->function(tasklet->data);
        hypervisor_assert(locks_held() == 0, "a tasklet left a lock held", __FILE__, __LINE__);
        pthread_mutex_lock(&mutex);
        inside = NULL;
        tasklet->running = false;
        pthread_cond_broadcast(&finished);
        count++;
    }
    pthread_mutex_unlock(&mutex);
    return count;
}

bool time_is_quiet(void)
{
    bool quiet;

    pthread_mutex_lock(&mutex);
    quiet = timers == NULL && tasklets == NULL;
    pthread_mutex_unlock(&mutex);
    return quiet;
}
