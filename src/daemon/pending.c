/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Waiting requests; see pending.h. */
#include "daemon/pending.h"

#include <string.h>

struct pending {
    char *what;
    guint timeout_ms;
    GQueue *list; /* of waiting */
};

typedef struct {
    pending *owner;
    char *id;
    exchange *x;
    guint timer;
} waiting;

pending *pending_new(const char *what, guint timeout_ms)
{
    pending *self = g_new0(pending, 1);

    self->what = g_strdup(what);
    self->timeout_ms = timeout_ms;
    self->list = g_queue_new();
    return self;
}

static void waiting_free(waiting *w)
{
    g_clear_handle_id(&w->timer, g_source_remove);
    exchange_unref(w->x);
    g_free(w->id);
    g_free(w);
}

static void give_up(waiting *w)
{
    exchange_fail(w->x, 504, "slow", "no word about %s %.8s yet: libvirt there may be slow; try again",
                  w->owner->what, w->id);
}

void pending_free(pending *self)
{
    waiting *w;

    if (!self)
        return;
    while ((w = g_queue_pop_head(self->list))) {
        give_up(w);
        waiting_free(w);
    }
    g_queue_free(self->list);
    g_free(self->what);
    g_free(self);
}

static gboolean on_timeout(gpointer user)
{
    waiting *w = user;

    w->timer = 0;
    g_queue_remove(w->owner->list, w);
    give_up(w);
    waiting_free(w);
    return G_SOURCE_REMOVE;
}

void pending_add(pending *self, const char *id, exchange *x)
{
    waiting *w = g_new0(waiting, 1);

    w->owner = self;
    w->id = g_strdup(id);
    w->x = exchange_ref(x);
    w->timer = g_timeout_add(self->timeout_ms, on_timeout, w);
    g_queue_push_tail(self->list, w);
}

gboolean pending_has(pending *self, const char *id)
{
    for (GList *l = self->list->head; l; l = l->next)
        if (!strcmp(((waiting *)l->data)->id, id))
            return TRUE;
    return FALSE;
}

void pending_answer(pending *self, const char *id, guint status, JsonObject *body)
{
    for (GList *l = self->list->head, *next; l; l = next) {
        waiting *w = l->data;
        next = l->next;
        if (strcmp(w->id, id))
            continue;
        g_queue_delete_link(self->list, l);
        exchange_answer(w->x, status, body ? json_object_ref(body) : NULL);
        waiting_free(w);
    }
}

void pending_fail(pending *self, const char *id, guint status, const char *code, const char *text)
{
    g_autoptr(JsonObject) body = exchange_error(code, text, NULL);

    pending_answer(self, id, status, body);
}
