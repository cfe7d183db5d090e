/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One request and its answer, as a handler sees them.
 *
 * A handler answers at once, or keeps a reference and answers later; an exchange whose last
 * reference goes without an answer is answered with 500. Answering one whose client has gone does
 * nothing. Main thread only.
 */
#pragma once
#include "base/json.h"

typedef struct exchange exchange;

exchange *exchange_ref(exchange *self);
void exchange_unref(exchange *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(exchange, exchange_unref)

/* The trusted peer's name; NULL on the local listener and for strangers. Borrowed, like all below.
 */
const char *exchange_peer(const exchange *self);
/* Where it comes from, for logs: "10.0.0.1", "local". */
const char *exchange_who(const exchange *self);
/* The id of the local user who asks; -1 for other hosts, or where it is not known. */
gint64 exchange_uid(const exchange *self);
/* The leaf certificate the client showed, DER; NULL on the local listener. */
GBytes *exchange_certificate(const exchange *self);
/* What stood for the n-th "*" of the route's pattern, unescaped: UTF-8, neither empty nor with '/'.
 */
const char *exchange_part(const exchange *self, guint n);
/* A query parameter, or NULL. */
const char *exchange_query(const exchange *self, const char *name);
/* The request's JSON object; empty if it had no body. */
JsonObject *exchange_body(const exchange *self);
/* Has the body members of this NULL-terminated list only? If not, it has been answered. */
gboolean exchange_only(exchange *self, const char *const *members);
gboolean exchange_answered(const exchange *self);

/* Once; takes `body` over (NULL: none). */
void exchange_answer(exchange *self, guint status, JsonObject *body);
/* With {"error": {"code", "text"}}. */
void exchange_fail(exchange *self, guint status, const char *code, const char *format, ...)
    G_GNUC_PRINTF(4, 5);
/* 400 bad-request with the error's message; frees it. */
void exchange_bad(exchange *self, GError *error);
/* The body of an error; `found` (may be NULL) is taken over. */
JsonObject *exchange_error(const char *code, const char *text, JsonArray *found);
