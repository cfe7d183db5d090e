/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The HTTP server of the API: listeners, a table of routes, and who may use which.
 *
 * Every request is answered in JSON (docs/api.md). Before a body is read it is known whether there
 * is such a route and whether this client may use it. On TLS the client's certificate is judged for
 * each request (pki_verify), so forgetting a peer takes effect at once; who is not trusted reaches
 * ROUTE_STRANGER only. Main thread only.
 */
#pragma once
#include "api/exchange.h"
#include "net/pki.h"

typedef struct server server;

typedef enum {
    ROUTE_LOCAL = 1,   /* on the UNIX socket */
    ROUTE_PEER = 2,    /* on TLS, by a trusted peer */
    ROUTE_STRANGER = 4 /* on TLS, by anybody */
} route_for;

typedef void (*server_handler)(exchange *x, gpointer user);

typedef struct {
    const char *method;
    const char *pattern; /* "/v1/peers/" followed by "*", which stands for one part of a path */
    guint who;           /* of route_for */
    server_handler handler;
} server_route;

#define SERVER_BODY_MAX     (4 * 1024 * 1024)
#define SERVER_STRANGER_MAX (16 * 1024)

typedef struct {
    const server_route *routes; /* ended by a NULL method; must outlive the server */
    const char *name;           /* this host's, for texts; copied */
    guint patience_ms; /* how long a client may take for a request, and to read its answer */
    gpointer user;     /* for the handlers */
} server_setup;

server *server_new(const server_setup *setup);
/* Aborts all requests under way. */
void server_free(server *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(server, server_free)

/* The UNIX socket, for root and a group (a name, or NULL). */
gboolean server_listen_local(server *self, const char *path, const char *group, GError **error);
/* The TLS port (0: any free one). `identity` is borrowed until another replaces it. */
gboolean server_listen_peers(server *self, pki *identity, const char *const *addresses,
                             guint16 port, GError **error);
gboolean server_set_identity(server *self, pki *identity, GError **error);
guint16 server_port(const server *self);
/* Connections open on the TLS port. */
guint server_connections(const server *self);
