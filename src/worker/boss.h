/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The worker's side of the link to ferryd (docs/api.md, "Between ferryd and its workers"): a SOCK_SEQPACKET
 * listener that ferryd connects to, again after its restart; the newest connection counts.
 *
 * Belongs to the main thread and its default main context, but for what says otherwise.
 */
#pragma once
#include "base/json.h"

typedef struct boss boss;

typedef struct {
    /* A message, in the main thread; *fd (or -1) is the callee's to take by setting it to -1. */
    void (*message)(JsonObject *message, int *fd, void *user);
    /* The status to show; caller unrefs; NULL: none yet. */
    JsonObject *(*status)(void *user);
    void *user;
} boss_setup;

boss *boss_new(const char *path, const boss_setup *setup, GError **error);
void boss_free(boss *self);

/* Any thread: the status has changed. Sent at once when its phase has, else at most every 250 ms. */
void boss_changed(boss *self);
/* Any thread. Sends an event (takes it over) when there is a connection, or as soon as there is one. */
void boss_send(boss *self, JsonObject *event);
/* Main thread: the last status and "ended", if anybody is there to hear it. Waits a while for somebody if there are
 * events not yet sent. */
void boss_end(boss *self);
