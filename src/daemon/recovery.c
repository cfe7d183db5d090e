/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Recoveries and their pauses; see recovery.h. */
#include "daemon/recovery.h"

#include "base/log.h"

#define LOG_AREA    "recovery"
#define PAUSE_MAX_S 60

struct recovery {
    workers *crew;
    GHashTable *table; /* id -> attempt */
};

typedef struct {
    recovery *owner;
    char *id;
    guint tries, timer;
} attempt;

static void attempt_free(gpointer data)
{
    attempt *a = data;

    g_clear_handle_id(&a->timer, g_source_remove);
    g_free(a->id);
    g_free(a);
}

recovery *recovery_new(workers *crew)
{
    recovery *self = g_new0(recovery, 1);

    self->crew = crew;
    self->table = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, attempt_free);
    return self;
}

void recovery_free(recovery *self)
{
    if (!self)
        return;
    g_hash_table_unref(self->table);
    g_free(self);
}

static gboolean on_time(gpointer user)
{
    attempt *a = user;
    g_autofree char *id = g_strdup(a->id);
    recovery *self = a->owner;
    g_autoptr(GError) error = NULL;

    a->timer = 0;
    if (workers_has(self->crew, id) || workers_start(self->crew, id, NULL, &error))
        return G_SOURCE_REMOVE;
    log_error("%.8s: no worker can be started: %s", id, error->message);
    recovery_schedule(self, id);
    return G_SOURCE_REMOVE;
}

void recovery_schedule(recovery *self, const char *id)
{
    attempt *a = g_hash_table_lookup(self->table, id);
    guint pause;

    if (!a) {
        a = g_new0(attempt, 1);
        a->owner = self;
        a->id = g_strdup(id);
        g_hash_table_insert(self->table, a->id, a);
    }
    if (a->timer)
        return;
    pause = a->tries == 0 ? 0 : MIN(1u << MIN(a->tries - 1, 10), PAUSE_MAX_S);
    a->tries++;
    if (pause)
        log_warning("%.8s: its worker is started again in %u s", id, pause);
    a->timer = g_timeout_add(pause * 1000, on_time, a);
}

void recovery_forget(recovery *self, const char *id)
{
    g_hash_table_remove(self->table, id);
}
