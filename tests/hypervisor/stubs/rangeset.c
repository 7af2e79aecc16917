/* SPDX-License-Identifier: GPL-2.0-only */
/* Sets of ranges: a sorted array of disjoint ranges, those that touch merged. One lock, innermost, is everybody's. */
#include "../machine.h"

#define RANGES 256u

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

struct rangeset {
    unsigned int count;
    struct {
        unsigned long first, last;
    } range[RANGES];
};

struct rangeset *rangeset_new(struct domain *d, const char *name, unsigned int flags)
{
    (void)d;
    (void)name;
    (void)flags;
    return fault_now(&faults.rangeset) ? NULL : calloc(1, sizeof(struct rangeset));
}

void rangeset_destroy(struct rangeset *r)
{
    free(r);
}

bool rangeset_overlaps_range(struct rangeset *r, unsigned long s, unsigned long e)
{
    bool found = false;
    unsigned int i;

    pthread_mutex_lock(&mutex);
    for (i = 0; i < r->count; i++) {
        found |= r->range[i].first <= e && s <= r->range[i].last;
    }
    pthread_mutex_unlock(&mutex);
    return found;
}

bool rangeset_contains_range(struct rangeset *r, unsigned long s, unsigned long e)
{
    bool found = false;
    unsigned int i;

    pthread_mutex_lock(&mutex);
    for (i = 0; i < r->count; i++) {
        found |= r->range[i].first <= s && e <= r->range[i].last;
    }
    pthread_mutex_unlock(&mutex);
    return found;
}

int rangeset_remove_range(struct rangeset *r, unsigned long s, unsigned long e)
{
    struct rangeset old;
    unsigned int i;

    if (fault_now(&faults.rangeset)) {
        return -ENOMEM;
    }
    pthread_mutex_lock(&mutex);
    old = *r;
    hypervisor_assert(s <= e && old.count + 1 < RANGES, "a range", __FILE__, __LINE__);
    r->count = 0;
    for (i = 0; i < old.count; i++) {
        if (old.range[i].first < s) {
            r->range[r->count].first = old.range[i].first;
            r->range[r->count++].last = MIN(old.range[i].last, s - 1);
        }
        if (old.range[i].last > e) {
            r->range[r->count].first = MAX(old.range[i].first, e + 1);
            r->range[r->count++].last = old.range[i].last;
        }
    }
    pthread_mutex_unlock(&mutex);
    return 0;
}

int rangeset_add_range(struct rangeset *r, unsigned long s, unsigned long e)
{
    unsigned int i;

    hypervisor_assert(s <= e, "a range", __FILE__, __LINE__);
    if (fault_now(&faults.rangeset) || r->count == RANGES) {
        return -ENOMEM;
    }
    pthread_mutex_lock(&mutex);
    for (i = 0; i < r->count;) {
        if ((r->range[i].first == 0 || r->range[i].first - 1 <= e) && (s == 0 || s - 1 <= r->range[i].last)) {
            s = MIN(s, r->range[i].first);
            e = MAX(e, r->range[i].last);
            r->count--;
            memmove(&r->range[i], &r->range[i + 1], (r->count - i) * sizeof(r->range[0]));
        } else {
            i++;
        }
    }
    for (i = r->count; i > 0 && r->range[i - 1].first > s; i--) {
        r->range[i] = r->range[i - 1];
    }
    r->range[i].first = s;
    r->range[i].last = e;
    r->count++;
    pthread_mutex_unlock(&mutex);
    return 0;
}
