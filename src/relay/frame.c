/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Frames and their pool; see frame.h. */
#include "relay/frame.h"

#include <pthread.h>

struct frame_pool {
    pthread_mutex_t lock; /* guards the rest; innermost of all locks */
    frame *unused;
    unsigned count, keep;
};

frame_pool *frame_pool_new(unsigned keep)
{
    frame_pool *self = g_new0(frame_pool, 1);

    pthread_mutex_init(&self->lock, NULL);
    self->keep = keep;
    return self;
}

void frame_pool_free(frame_pool *self)
{
    while (self->unused) {
        frame *f = self->unused;
        self->unused = f->next;
        g_free(f);
    }
    pthread_mutex_destroy(&self->lock);
    g_free(self);
}

static frame *pool_take(frame_pool *self)
{
    frame *f;

    pthread_mutex_lock(&self->lock);
    f = self->unused;
    if (f) {
        self->unused = f->next;
        self->count--;
    }
    pthread_mutex_unlock(&self->lock);
    return f;
}

static gboolean pool_put(frame_pool *self, frame *f)
{
    gboolean kept;

    pthread_mutex_lock(&self->lock);
    kept = self->count < self->keep;
    if (kept) {
        f->next = self->unused;
        self->unused = f;
        self->count++;
    }
    pthread_mutex_unlock(&self->lock);
    return kept;
}

frame *frame_new(frame_pool *pool, uint32_t capacity)
{
    frame *f = NULL;

    g_assert(capacity <= WIRE_PAYLOAD_MAX);
    if (capacity < WIRE_PAYLOAD_MAX / 2)
        pool = NULL;
    else
        capacity = WIRE_PAYLOAD_MAX;
    if (pool)
        f = pool_take(pool);
    if (!f)
        f = g_malloc(sizeof *f + capacity);
    *f = (frame){.pool = pool, .references = 1, .capacity = capacity};
    return f;
}

frame *frame_ref(frame *self)
{
    g_atomic_int_inc(&self->references);
    return self;
}

void frame_unref(frame *self)
{
    if (!g_atomic_int_dec_and_test(&self->references))
        return;
    if (!self->pool || !pool_put(self->pool, self))
        g_free(self);
}

void frame_unref_list(frame *list)
{
    while (list) {
        frame *f = list;
        list = f->next;
        frame_unref(f);
    }
}
