/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Dirties the lab guest's memory. */
#include "dirty.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define PAGE    4096
#define TICK_NS 10000000u

struct dirty {
    struct radio *radio;
    pthread_mutex_t lock; /* guards state */
    pthread_cond_t changed;
    struct dirty_state state;
    /* The dirtying thread's own: */
    uint64_t *memory; /* the working set */
    uint32_t *round;  /* how often each page was dirtied: says what its first word must be */
    size_t pages, next;
};

static uint64_t word_for(size_t page, uint32_t round)
{
    uint64_t x = (uint64_t)page << 32 | round;
    x = (x ^ x >> 31) * 0x9e3779b97f4a7c15u;
    return x ^ x >> 29;
}

static void *map(size_t bytes)
{
    void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return p == MAP_FAILED ? NULL : p;
}

static void release(struct dirty *d)
{
    if (d->memory)
        munmap(d->memory, d->pages * PAGE);
    if (d->round)
        munmap(d->round, d->pages * sizeof *d->round);
    d->memory = NULL;
    d->round = NULL;
    d->pages = d->next = 0;
}

/* Fills the working set with what no migration can skip or compress. */
static void resize(struct dirty *d, size_t pages)
{
    uint64_t noise = 88172645463325252u;

    release(d);
    d->pages = pages;
    d->memory = map(pages * PAGE);
    d->round = map(pages * sizeof *d->round);
    if (!d->memory || !d->round) {
        printf("guest: no memory for a working set of %zu pages\n", pages);
        release(d);
        return;
    }
    for (size_t p = 0; p < pages; p++) {
        uint64_t *page = d->memory + p * (PAGE / 8);
        for (size_t i = 1; i < PAGE / 8; i++) {
            noise ^= noise << 13;
            noise ^= noise >> 7;
            noise ^= noise << 17;
            page[i] = noise;
        }
        page[0] = word_for(p, 0);
    }
}

/* A page that is not as it was left was lost or mixed up on the way: an oracle for memory. */
static void touch(struct dirty *d)
{
    size_t p = d->next;
    volatile uint64_t *word = d->memory + p * (PAGE / 8);

    if (*word != word_for(p, d->round[p])) {
        radio_memory_error(d->radio);
        printf("guest: page %zu of the working set is not what was written\n", p);
    }
    *word = word_for(p, ++d->round[p]);
    d->next = p + 1 == d->pages ? 0 : p + 1;
}

static void *dirty_for_ever(void *user)
{
    struct dirty *d = user;
    uint64_t last = radio_now();

    /* It is load, and must not starve what measures. */
    setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), 19);
    for (;;) {
        pthread_mutex_lock(&d->lock);
        while (d->state.rate == 0) {
            pthread_cond_wait(&d->changed, &d->lock);
            last = radio_now();
        }
        uint64_t rate = d->state.rate;
        size_t pages = (size_t)d->state.wset * (1048576 / PAGE);
        pthread_mutex_unlock(&d->lock);
        if (pages != d->pages)
            resize(d, pages);

        uint64_t now = radio_now();
        uint64_t passed = now - last > 10 * TICK_NS ? 10 * TICK_NS : now - last;
        uint64_t todo = d->pages ? passed * rate * (1048576 / PAGE) / 1000000000u : 0;
        for (uint64_t i = 0; i < todo; i++)
            touch(d);
        if (todo || d->pages == 0)
            last = now;
        pthread_mutex_lock(&d->lock);
        d->state.pages += todo;
        pthread_mutex_unlock(&d->lock);
        struct timespec tick = {.tv_nsec = TICK_NS};
        nanosleep(&tick, NULL);
    }
    return NULL;
}

struct dirty *dirty_start(const struct options *o, struct radio *radio, char *error, size_t size)
{
    struct dirty *d = calloc(1, sizeof *d);
    pthread_t thread;

    if (!d) {
        snprintf(error, size, "out of memory");
        return NULL;
    }
    d->radio = radio;
    d->state.rate = o->dirty;
    d->state.wset = o->wset;
    pthread_mutex_init(&d->lock, NULL);
    pthread_cond_init(&d->changed, NULL);
    if (pthread_create(&thread, NULL, dirty_for_ever, d) != 0) {
        snprintf(error, size, "cannot start the thread that dirties memory");
        return NULL;
    }
    return d;
}

void dirty_set(struct dirty *d, unsigned rate, unsigned wset)
{
    pthread_mutex_lock(&d->lock);
    d->state.rate = rate;
    d->state.wset = wset;
    pthread_cond_signal(&d->changed);
    pthread_mutex_unlock(&d->lock);
}

void dirty_get_state(struct dirty *d, struct dirty_state *state)
{
    pthread_mutex_lock(&d->lock);
    *state = d->state;
    pthread_mutex_unlock(&d->lock);
}
