/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Follows one move through the API in a thread of its own: starts it, or finds it, then waits for
 * each change. A ferryd that goes away is waited for, because the move goes on without it.
 *
 * All functions are for the thread that runs the default main context, where events are told as
 * well.
 */
#pragma once
#include "api/client.h"
#include "cli/migration.h"

typedef struct follow follow;

typedef struct {
    /* Its state has changed, or was read again (the version tells); `m` is the callee's. */
    void (*changed)(migration *m, void *user);
    /* ferryd does not answer (once an outage), and answers again. */
    void (*away)(const GError *error, void *user);
    void (*back)(void *user);
    /* It could not be started or found; nothing follows. `api` says more of the error. */
    void (*failed)(const client *api, const GError *error, void *user);
    /* How asking to cancel it went; error NULL: it will be. */
    void (*cancel_done)(const GError *error, void *user);
} follow_events;

/* Starts a move with POST `path` `request`, or finds `id` if they are NULL. `socket` and `events` are
 * borrowed, and `path` is a constant. */
follow *follow_new(const char *socket, const char *path, JsonObject *request, const char *id,
                   const follow_events *events, void *user);
/* Ends following, never the move. */
void follow_free(follow *self);
/* Asks ferryd to cancel the move with this ID. */
void follow_cancel_move(follow *self, const char *id);
