/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Calls that take long; see await.h. */
#include "migrate/await.h"

/* What takes longer is worth a word. */
#define A_WHILE (3 * G_TIME_SPAN_SECOND)

struct await {
    status *shown;
    char *text;
    GThread *thread;
    GMutex lock;
    GCond changed;
    gboolean over; /* under lock */
};

static gpointer run(gpointer data)
{
    await *self = data;
    gint64 until = g_get_monotonic_time() + A_WHILE;

    g_mutex_lock(&self->lock);
    while (!self->over && g_cond_wait_until(&self->changed, &self->lock, until))
        ;
    if (!self->over) {
        status_set_waiting(self->shown, self->text);
        while (!self->over)
            g_cond_wait(&self->changed, &self->lock);
        status_set_waiting(self->shown, NULL);
    }
    g_mutex_unlock(&self->lock);
    return NULL;
}

await *await_begin(status *shown, const char *whose)
{
    await *self = g_new0(await, 1);
    g_autoptr(GDateTime) now = g_date_time_new_now_local();
    g_autofree char *since = g_date_time_format(now, "%H:%M:%S");

    self->shown = shown;
    self->text = g_strdup_printf("waiting for %s since %s", whose, since);
    g_mutex_init(&self->lock);
    g_cond_init(&self->changed);
    self->thread = g_thread_new("await", run, self);
    return self;
}

void await_end(await *self)
{
    g_mutex_lock(&self->lock);
    self->over = TRUE;
    g_cond_signal(&self->changed);
    g_mutex_unlock(&self->lock);
    g_thread_join(self->thread);
    g_cond_clear(&self->changed);
    g_mutex_clear(&self->lock);
    g_free(self->text);
    g_free(self);
}
