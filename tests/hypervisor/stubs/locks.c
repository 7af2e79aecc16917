/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Locks that watch their order.
 *
 * Every order in which a thread takes two classes of lock is remembered; the opposite one, seen ever after, is a
 * failure, whether or not threads happened to meet. The order that xen/ioreq-pci/private.h documents counts as seen.
 */
#include "../machine.h"

#define CLASSES 16u
#define HELD 8u

void (*locks_before_take)(struct hypervisor_lock *lock);

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static const char *classes[CLASSES] = {"&d->ioreq_server.lock", "&pci->lock"};
static bool before[CLASSES][CLASSES] = {[0][1] = true};
static _Thread_local const struct hypervisor_lock *held[HELD];
static _Thread_local unsigned int nr_held;
static _Thread_local char self; /* its address names the thread */

void hypervisor_lock_init(struct hypervisor_lock *lock, const char *class)
{
    unsigned int i = 0;

    pthread_mutex_lock(&mutex);
    while (i < CLASSES && classes[i] != NULL && strcmp(classes[i], class) != 0) {
        i++;
    }
    hypervisor_assert(i < CLASSES, "too many classes of lock", __FILE__, __LINE__);
    classes[i] = class;
    pthread_mutex_unlock(&mutex);
    memset(lock, 0, sizeof(*lock));
    pthread_mutex_init(&lock->mutex, NULL);
    lock->class = i;
}

void hypervisor_lock_destroy(struct hypervisor_lock *lock)
{
    hypervisor_assert(lock->holder == NULL, "a lock goes while it is held", __FILE__, __LINE__);
    pthread_mutex_destroy(&lock->mutex);
}

static void about_to_take(const struct hypervisor_lock *lock)
{
    unsigned int i;

    if (locks_before_take != NULL) {
        locks_before_take((struct hypervisor_lock *)lock);
    }
    hypervisor_assert(nr_held < HELD, "too many locks held", __FILE__, __LINE__);
    pthread_mutex_lock(&mutex);
    for (i = 0; i < nr_held; i++) {
        hypervisor_assert(held[i] != lock, "a lock is taken again", __FILE__, __LINE__);
        if (held[i]->class != lock->class) {
            if (before[lock->class][held[i]->class]) {
                fprintf(stderr, "%s is taken with %s held\n", classes[lock->class], classes[held[i]->class]);
            }
            hypervisor_assert(!before[lock->class][held[i]->class], "order of locks", __FILE__, __LINE__);
            before[held[i]->class][lock->class] = true;
        }
    }
    pthread_mutex_unlock(&mutex);
    held[nr_held++] = lock;
}

static void given_back(const struct hypervisor_lock *lock)
{
    unsigned int i = nr_held;

    while (i > 0 && held[i - 1] != lock) {
        i--;
    }
    hypervisor_assert(i > 0, "a lock that is not held is given back", __FILE__, __LINE__);
    memmove(&held[i - 1], &held[i], (nr_held - i) * sizeof(held[0]));
    nr_held--;
}

unsigned int locks_held(void)
{
    return nr_held;
}

void spin_lock(spinlock_t *lock)
{
    about_to_take(lock);
    pthread_mutex_lock(&lock->mutex);
    lock->holder = &self;
}

void spin_unlock(spinlock_t *lock)
{
    given_back(lock);
    lock->holder = NULL;
    pthread_mutex_unlock(&lock->mutex);
}

void rspin_lock(spinlock_t *lock)
{
    if (lock->holder != &self) {
        spin_lock(lock);
    }
    lock->depth++;
}

void rspin_unlock(spinlock_t *lock)
{
    hypervisor_assert(lock->holder == &self && lock->depth > 0, "not this thread's lock", __FILE__, __LINE__);
    if (--lock->depth == 0) {
        spin_unlock(lock);
    }
}

bool spin_is_locked(spinlock_t *lock)
{
    return lock->holder == &self;
}
