/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Worker processes and our links to them (docs/api.md, "Between ferryd and its workers").
 *
 * A worker lives on its own; what ends when we end is the link. One is known by its id from its
 * start until it is gone, that is when nobody listens on its socket any more. Main thread only; no
 * call blocks for long.
 */
#pragma once
#include "base/json.h"

typedef struct workers workers;

/* All may call back into workers_*. */
typedef struct {
    void (*status)(const char *id, JsonObject *status, gpointer user);
    void (*answer)(const char *id, int code, JsonObject *body, gpointer user);
    void (*decision)(const char *id, const char *decision, gpointer user);
    /* Recovering: it does not understand what the journal has of its migration, and ends. */
    void (*stuck)(const char *id, const char *why, gpointer user);
    /* Its id is free again. `properly`: it had said that it has ended. */
    void (*gone)(const char *id, gboolean properly, gpointer user);
    gpointer user;
} workers_events;

/* `config` is what workers are told to read. */
workers *workers_new(const char *program, const char *config, const char *run_dir,
                     const workers_events *events);
/* Drops the links; the processes go on. */
void workers_free(workers *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(workers, workers_free)

/* Links to every worker that listens in RUN_DIR now; removes what dead ones have left there.
 * Returns how many. */
guint workers_adopt(workers *self);
/* Starts one and tells it `start` (borrowed) as soon as it listens; `start` NULL: it is to recover.
 */
gboolean workers_start(workers *self, const char *id, JsonObject *start, GError **error);
/* Sends a message, with a descriptor or -1 (stays the caller's). */
gboolean workers_send(workers *self, const char *id, JsonObject *message, int fd, GError **error);
gboolean workers_has(const workers *self, const char *id);
guint workers_count(const workers *self);
