/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Requests that wait for a worker's word, by migration. Main thread only. */
#pragma once
#include "api/exchange.h"

typedef struct pending pending;

/* `timeout_ms` later a request is answered 504: the asker may try again. `what` completes "no word
 * about …". */
pending *pending_new(const char *what, guint timeout_ms);
/* Those still waiting are answered 504. */
void pending_free(pending *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(pending, pending_free)

/* Several may wait for the same id. Keeps a reference. */
void pending_add(pending *self, const char *id, exchange *x);
gboolean pending_has(pending *self, const char *id);
/* Answers all that wait for this id; `body` (may be NULL) stays the caller's. */
void pending_answer(pending *self, const char *id, guint status, JsonObject *body);
void pending_fail(pending *self, const char *id, guint status, const char *code, const char *text);
