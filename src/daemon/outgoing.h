/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Moves away from this host: taken in, queued until there is a slot, started. The queue is kept in
 * STATE_DIR/queue.json, so that a restart of ferryd or of the host forgets none. Main thread only.
 */
#pragma once
#include "migrate/request.h"

typedef struct outgoing outgoing;
struct ferryd;

outgoing *outgoing_new(struct ferryd *owner);
void outgoing_free(outgoing *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(outgoing, outgoing_free)

/* Queues again what was queued when ferryd last ran, but for what has begun since. */
void outgoing_load(outgoing *self);
/* Takes `asked` over, with its id set. Durable when it returns TRUE. */
gboolean outgoing_add(outgoing *self, request *asked, GError **error);
/* Starts what there is a slot for. */
void outgoing_pump(outgoing *self);
/* Other limits for one that waits; what is not said stays. FALSE: it is not there (any more), or, with
 * an error, cannot have them (G_IO_ERROR_INVALID_ARGUMENT) or they cannot be made durable. */
gboolean outgoing_set(outgoing *self, const char *id, const request_limits *wanted, GError **error);
/* Takes one out of the queue again; FALSE: it is not there (any more). */
/* A queued one with a hold: when it is to switch over, Unix seconds; 0: it is not held any more. FALSE: not queued, or
 * with an error: this cannot be written down. */
gboolean outgoing_cutover(outgoing *self, const char *id, gint64 at, GError **error);
gboolean outgoing_remove(outgoing *self, const char *id);
