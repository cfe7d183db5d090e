/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One accepted connection of the API: whose it is, and how long its other side may keep us waiting.
 *
 * It hangs on the socket's stream and on the address object that libsoup hands back with each
 * request; that is how a request finds its connection. Main thread only.
 */
#pragma once
#include "api/gate.h"
#include "net/ration.h"

typedef struct connection connection;

/* Counts as entered into `door` already, and leaves it when the stream is gone. Belongs to the
 * stream. */
connection *connection_new(GSocketConnection *stream, GSocketAddress *remote, gate *door);
connection *connection_ref(connection *self);
void connection_unref(connection *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(connection, connection_unref)
/* That of a request; NULL if the address is none of ours. Borrowed. */
connection *connection_of(GSocketAddress *remote);

/* It is the other side's turn: when it has not done its part within `patience_ms`, the connection
 * is shut down. Or it is ours, without a limit. */
void connection_theirs(connection *self, guint patience_ms);
void connection_ours(connection *self);
/* What its other side may send, renewed when it is its turn and with every piece of data. Lives as long
 * as the stream; borrowed. */
ration *connection_ration(connection *self);
/* The stream still exists. */
gboolean connection_alive(const connection *self);

/* "10.0.0.1", or "local". */
const char *connection_who(const connection *self);
/* The user's id at the other end of a local one; -1: not known. */
gint64 connection_uid(const connection *self);
gboolean connection_is_local(const connection *self);
/* What it showed in its TLS handshake: DER, leaf first; NULL for a local one. */
GPtrArray *connection_chain(const connection *self);
void connection_set_chain(connection *self, GPtrArray *chain);
