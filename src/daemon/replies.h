/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The answers landings were given, for a peer that did not hear its own: who asks again for the same
 * landing gets the same answer. Main thread only.
 */
#pragma once
#include "base/json.h"

typedef struct replies replies;

/* RUN_DIR/ID/asked.json has what is needed to know a request again after a restart of ferryd. */
replies *replies_new(const char *run_dir);
void replies_free(replies *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(replies, replies_free)

/* A landing begins. `request` is what its worker is told to start, as text, with the peer and what it asked for. */
void replies_begin(replies *self, const char *id, const char *peer, const char *request);
/* The landing of a worker that was found when ferryd started: what it was, or was about to be, told to start. Caller unrefs;
 * NULL: it is none. */
JsonObject *replies_restore(replies *self, const char *id);
/* Is this the same that was asked for before, by the same? */
gboolean replies_same(const replies *self, const char *id, const char *peer, const char *request);
/* Its answer; `body` stays the caller's. Unknown ids are fine. */
void replies_set(replies *self, const char *id, int code, JsonObject *body);
/* NULL: there is none yet. Borrowed. */
JsonObject *replies_get(const replies *self, const char *id, int *code);
/* It is over. A refusal stays for a minute or two, till replies_prune has seen it twice. */
void replies_end(replies *self, const char *id);
void replies_prune(replies *self);
