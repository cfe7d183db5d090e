/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Writes that wait for the target; see stall.h. */
#include "migrate/stall.h"

#define LOOK (100 * G_TIME_SPAN_MILLISECOND)

struct stall {
    export_table *exports;
    gint64 patience; /* µs */
    void (*stalled)(void *user);
    void *user;
    GThread *thread;
    GMutex lock;
    GCond changed;
    gboolean over; /* under lock */
};

static gpointer watch(gpointer data)
{
    stall *self = data;

    g_mutex_lock(&self->lock);
    while (!self->over) {
        if (export_table_waiting(self->exports) > self->patience) {
            g_mutex_unlock(&self->lock);
            self->stalled(self->user);
            return NULL;
        }
        g_cond_wait_until(&self->changed, &self->lock, g_get_monotonic_time() + LOOK);
    }
    g_mutex_unlock(&self->lock);
    return NULL;
}

stall *stall_watch(export_table *exports, guint seconds, void (*stalled)(void *user), void *user)
{
    stall *self = g_new0(stall, 1);

    self->exports = exports;
    self->patience = (gint64)seconds * G_TIME_SPAN_SECOND;
    self->stalled = stalled;
    self->user = user;
    g_mutex_init(&self->lock);
    g_cond_init(&self->changed);
    self->thread = g_thread_new("stall", watch, self);
    return self;
}

void stall_unwatch(stall *self)
{
    if (!self)
        return;
    g_mutex_lock(&self->lock);
    self->over = TRUE;
    g_cond_signal(&self->changed);
    g_mutex_unlock(&self->lock);
    g_thread_join(self->thread);
    g_cond_clear(&self->changed);
    g_mutex_clear(&self->lock);
    g_free(self);
}
