/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The process that keeps the index; see indexer.h. */
#include "daemon/indexer.h"

#include "base/log.h"
#include "daemon/spawn.h"

#include <signal.h>

#define LOG_AREA "index"
#define PAUSE    (5 * 60 * G_TIME_SPAN_SECOND) /* from its end, when nothing has moved since */

struct indexer {
    char *program, *config;
    gboolean (*busy)(gpointer user);
    gpointer user;
    GPid pid; /* 0: none */
    guint child, tick;
    gboolean paused;
    gint64 due; /* monotonic µs; 0: now */
};

indexer *indexer_new(const char *program, const char *config, gboolean (*busy)(gpointer user),
                     gpointer user)
{
    indexer *self = g_new0(indexer, 1);

    self->program = g_strdup(program);
    self->config = g_strdup(config);
    self->busy = busy;
    self->user = user;
    return self;
}

static void forget(indexer *self)
{
    g_spawn_close_pid(self->pid);
    self->pid = 0;
    self->paused = FALSE;
    g_clear_handle_id(&self->tick, g_source_remove);
}

void indexer_free(indexer *self)
{
    if (!self)
        return;
    if (self->pid) {
        kill(self->pid, SIGKILL);
        g_source_remove(self->child);
        forget(self);
    }
    g_free(self->program);
    g_free(self->config);
    g_free(self);
}

static void on_end(GPid pid, gint status, gpointer user)
{
    indexer *self = user;
    g_autoptr(GError) error = NULL;

    self->child = 0;
    if (!g_spawn_check_wait_status(status, &error))
        log_warning("the index of seeds could not be made: %s", error->message);
    forget(self);
    self->due = g_get_monotonic_time() + PAUSE;
}

static gboolean on_tick(gpointer user)
{
    indexer *self = user;
    gboolean busy = self->busy(self->user);

    if (busy != self->paused) {
        kill(self->pid, busy ? SIGSTOP : SIGCONT);
        self->paused = busy;
    }
    return G_SOURCE_CONTINUE;
}

void indexer_offer(indexer *self)
{
    g_autoptr(GError) error = NULL;

    if (self->busy(self->user))
        self->due = 0; /* what has moved may have left something */
    else if (!self->pid && g_get_monotonic_time() >= self->due) {
        if (!spawn_once(self->program, self->config, "--index", &self->pid, &error)) {
            log_warning("the index of seeds cannot be made: %s", error->message);
            self->due = g_get_monotonic_time() + PAUSE;
            return;
        }
        self->child = g_child_watch_add(self->pid, on_end, self);
        self->tick = g_timeout_add_seconds(1, on_tick, self);
    }
}
