/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Listening for the API, UNIX and TLS: from bind to a connection whose handshake is done.
 *
 * Anybody may knock at the TLS port. So connections are bounded in number, patience and bytes, and only
 * those that speak TLS 1.3 and show a certificate come through; whose certificate it is, is decided
 * for each request (server.h). Main thread only.
 */
#pragma once
#include "api/connection.h"

typedef struct listener listener;
/* A connection is ready to be read from. The callee refs what it keeps. */
typedef void (*listener_ready)(GIOStream *stream, GSocketAddress *local, GSocketAddress *remote,
                               gpointer user);

/* A UNIX socket for root, and with `group` (a name; may be NULL) for that group. */
listener *listener_unix(const char *path, const char *group, guint patience_ms,
                        listener_ready ready, gpointer user, GError **error);
/* One TLS port on some addresses; port 0 takes any free one. */
listener *listener_tls(const char *const *addresses, guint16 port, GTlsCertificate *shown,
                       guint patience_ms, listener_ready ready, gpointer user, GError **error);
/* Stops listening and shuts down what is still shaking hands. */
void listener_free(listener *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(listener, listener_free)

guint16 listener_port(const listener *self);
guint listener_connections(const listener *self);
/* For connections from now on. */
void listener_show(listener *self, GTlsCertificate *certificate);
