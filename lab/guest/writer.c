/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Writes the lab guest's records. */
#include "writer.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct writer {
    struct ring *ring;
    struct radio *radio;
    char vm[REPORT_NAME];
    uint64_t boot;
    struct record *record; /* aligned for O_DIRECT; the writing thread's own */
    uint32_t previous;     /* the writing thread's own, as is noise */
    uint64_t noise;
    pthread_mutex_t lock; /* guards everything below; never held during a write */
    pthread_cond_t changed;
    struct writer_state state;
    uint64_t started_ns;                            /* of the write in flight */
    struct writer_failure failure[REPORT_FAILURES]; /* a ring: number f is at f % REPORT_FAILURES */
};

static void make_record(struct writer *w, uint64_t seq)
{
    struct record *r = w->record;
    uint64_t disks = ring_disks(w->ring);

    memset(r, 0, offsetof(struct record, fill));
    r->magic = RECORD_MAGIC;
    memcpy(r->vm, w->vm, sizeof r->vm);
    r->boot = w->boot;
    r->seq = seq;
    r->mono_ns = radio_now();
    r->disks = (uint32_t)disks;
    r->disk = (uint32_t)(seq % disks);
    r->slots = ring_slots(w->ring);
    r->slot = (uint32_t)(seq / disks % r->slots);
    r->previous = w->previous;
    for (size_t i = 0; i + 8 <= sizeof r->fill; i += 8) {
        w->noise ^= w->noise << 13;
        w->noise ^= w->noise >> 7;
        w->noise ^= w->noise << 17;
        memcpy(r->fill + i, &w->noise, 8);
    }
    report_seal(r, sizeof *r, &r->sum);
    w->previous = r->sum;
}

static void write_one(struct writer *w)
{
    pthread_mutex_lock(&w->lock);
    uint64_t seq = ++w->state.attempted;
    w->started_ns = radio_now();
    pthread_mutex_unlock(&w->lock);

    make_record(w, seq);
    uint64_t start = radio_now();
    int error = ring_write(w->ring, w->record);
    struct report r = {.kind = error ? REPORT_FAILED : REPORT_RECORD,
                       .seq = seq,
                       .disk = w->record->disk,
                       .slot = w->record->slot,
                       .record_sum = w->record->sum,
                       .error = error,
                       .latency_us = (radio_now() - start) / 1000};

    pthread_mutex_lock(&w->lock);
    w->state.finished = seq;
    w->started_ns = 0;
    if (error)
        w->failure[w->state.failures++ % REPORT_FAILURES] = (struct writer_failure){seq, error};
    pthread_mutex_unlock(&w->lock);
    radio_report(w->radio, &r);
}

/* Waits until DUE or, when the rate is 0, until it is not. Returns when the next write is due. */
static uint64_t pace(struct writer *w, uint64_t due)
{
    pthread_mutex_lock(&w->lock);
    for (;;) {
        uint64_t now = radio_now();
        if (w->state.rate == 0) {
            pthread_cond_wait(&w->changed, &w->lock);
            due = 0;
        } else if (now < due) {
            struct timespec until = {.tv_sec = (time_t)(due / 1000000000u),
                                     .tv_nsec = (long)(due % 1000000000u)};
            pthread_cond_timedwait(&w->changed, &w->lock, &until);
        } else {
            /* Time lost while the guest stood still is not made up for with a burst. */
            uint64_t interval = 1000000000u / w->state.rate;
            due = now - due > interval ? now + interval : due + interval;
            pthread_mutex_unlock(&w->lock);
            return due;
        }
    }
}

static void *write_for_ever(void *user)
{
    for (uint64_t due = 0;;) {
        due = pace(user, due);
        write_one(user);
    }
    return NULL;
}

static bool find_last(void *user, uint32_t disk, uint32_t slot, const struct record *r, int error)
{
    struct writer *w = user;

    if (r && r->disks == ring_disks(w->ring) && r->slots == ring_slots(w->ring) &&
        r->seq > w->state.attempted) {
        w->state.attempted = r->seq;
        w->previous = r->sum;
    } else if (!r) {
        printf("guest: disk %u slot %u holds no valid record (error %d)\n", disk, slot, error);
    }
    return true;
}

struct writer *writer_start(const struct options *o, uint64_t boot, struct ring *ring,
                            struct radio *radio, char *error, size_t size)
{
    struct writer *w = calloc(1, sizeof *w);
    pthread_condattr_t attr;
    pthread_t thread;

    if (!w || posix_memalign((void **)&w->record, RECORD_SIZE, RECORD_SIZE) != 0) {
        snprintf(error, size, "out of memory");
        return NULL;
    }
    w->ring = ring;
    w->radio = radio;
    memcpy(w->vm, o->vm, sizeof w->vm);
    w->boot = boot;
    w->noise = boot | 1;
    w->state.rate = o->writes;
    pthread_mutex_init(&w->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&w->changed, &attr);
    if (!ring_walk(ring, w->vm, find_last, w)) {
        snprintf(error, size, "out of memory");
        return NULL;
    }
    w->state.finished = w->state.attempted;
    w->state.first = w->state.attempted + 1;
    if (ring_disks(ring) > 0 && pthread_create(&thread, NULL, write_for_ever, w) != 0) {
        snprintf(error, size, "cannot start the thread that writes records");
        return NULL;
    }
    return w;
}

void writer_set_rate(struct writer *w, unsigned rate)
{
    pthread_mutex_lock(&w->lock);
    w->state.rate = rate;
    pthread_cond_signal(&w->changed);
    pthread_mutex_unlock(&w->lock);
}

void writer_get_state(struct writer *w, struct writer_state *state)
{
    pthread_mutex_lock(&w->lock);
    *state = w->state;
    state->busy_us = w->started_ns ? (radio_now() - w->started_ns) / 1000 : 0;
    pthread_mutex_unlock(&w->lock);
}

bool writer_failure(struct writer *w, unsigned i, struct writer_failure *failure)
{
    pthread_mutex_lock(&w->lock);
    uint64_t total = w->state.failures;
    uint64_t kept = total < REPORT_FAILURES ? total : REPORT_FAILURES;
    bool there = i < kept;
    if (there)
        *failure = w->failure[(total - kept + i) % REPORT_FAILURES];
    pthread_mutex_unlock(&w->lock);
    return there;
}
