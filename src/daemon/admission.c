/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Slots and the queue before them; see admission.h. */
#include "daemon/admission.h"

#include <string.h>

/* More than this many wait only if somebody is trying to make us remember them. */
#define WAITING_MAX 1024

typedef struct {
    char *id;
    gint64 asked, patience;
} waiter;

struct admission {
    guint slots;
    GHashTable *holders; /* set of ids */
    GQueue *queue;       /* of waiter */
};

static void waiter_free(waiter *w)
{
    g_free(w->id);
    g_free(w);
}

admission *admission_new(guint slots)
{
    admission *self = g_new0(admission, 1);

    self->slots = slots;
    self->holders = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    self->queue = g_queue_new();
    return self;
}

void admission_free(admission *self)
{
    if (!self)
        return;
    g_hash_table_unref(self->holders);
    g_queue_free_full(self->queue, (GDestroyNotify)waiter_free);
    g_free(self);
}

void admission_set_slots(admission *self, guint slots)
{
    self->slots = slots;
}

static void forget_silent(admission *self, gint64 now)
{
    for (GList *l = self->queue->head, *next; l; l = next) {
        waiter *w = l->data;
        next = l->next;
        if (w->patience && now - w->asked > w->patience) {
            g_queue_delete_link(self->queue, l);
            waiter_free(w);
        }
    }
}

static GList *find(admission *self, const char *id)
{
    for (GList *l = self->queue->head; l; l = l->next)
        if (!strcmp(((waiter *)l->data)->id, id))
            return l;
    return NULL;
}

gboolean admission_ask(admission *self, const char *id, gint64 patience, gint64 now, guint *ahead)
{
    GList *at;
    waiter *w;
    guint place;

    if (g_hash_table_contains(self->holders, id))
        return TRUE;
    forget_silent(self, now);
    at = find(self, id);
    place = at ? (guint)g_queue_link_index(self->queue, at) : self->queue->length;
    if (ahead)
        *ahead = place;
    if (g_hash_table_size(self->holders) + place < self->slots) {
        admission_leave(self, id);
        admission_take(self, id);
        return TRUE;
    }
    if (!at && patience && self->queue->length >= WAITING_MAX)
        return FALSE;
    if (!at) {
        w = g_new0(waiter, 1);
        w->id = g_strdup(id);
        g_queue_push_tail(self->queue, w);
    } else {
        w = at->data;
    }
    w->asked = now;
    w->patience = patience;
    return FALSE;
}

void admission_take(admission *self, const char *id)
{
    g_hash_table_add(self->holders, g_strdup(id));
}

void admission_leave(admission *self, const char *id)
{
    GList *at = find(self, id);

    g_hash_table_remove(self->holders, id);
    if (at) {
        waiter_free(at->data);
        g_queue_delete_link(self->queue, at);
    }
}

guint admission_slots(const admission *self)
{
    return self->slots;
}

guint admission_held(const admission *self)
{
    return g_hash_table_size(self->holders);
}

guint admission_waiting(admission *self, gint64 now)
{
    forget_silent(self, now);
    return self->queue->length;
}
