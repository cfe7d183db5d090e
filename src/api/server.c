/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Routing, trust and bounded bodies over libsoup; see server.h. */
#include "api/server.h"

#include "api/exchange-inside.h"
#include "api/gtls.h"
#include "api/listener.h"
#include "base/log.h"

#include <string.h>

#define LOG_AREA  "api"
#define PARTS_MAX 32 /* of a path */

struct server {
    server_setup setup;
    char *name;
    SoupServer *soup;
    listener *local, *peers;
    pki *identity;
};

/* Do the parts of `path` fit the pattern? Fills `found` with what stood for each "*". */
static gboolean fits(const char *pattern, char **path, GPtrArray *found)
{
    g_auto(GStrv) wanted = g_strsplit(pattern, "/", -1);

    if (g_strv_length(wanted) != g_strv_length(path))
        return FALSE;
    for (guint i = 0; wanted[i]; i++) {
        g_autofree char *plain = NULL;
        if (strcmp(wanted[i], "*")) {
            if (strcmp(wanted[i], path[i]))
                return FALSE;
            continue;
        }
        plain = g_uri_unescape_string(path[i], "/");
        if (!plain || !*plain || !g_utf8_validate(plain, -1, NULL))
            return FALSE;
        g_ptr_array_add(found, g_steal_pointer(&plain));
    }
    return TRUE;
}

typedef enum { FOUND, NO_SUCH_PATH, OTHER_METHOD, OTHER_CLIENT } verdict;

static verdict find_route(server *self, exchange *x, guint who)
{
    const char *method = soup_server_message_get_method(x->message);
    const char *path = g_uri_get_path(soup_server_message_get_uri(x->message));
    g_auto(GStrv) parts = g_strsplit(path, "/", PARTS_MAX);
    verdict best = NO_SUCH_PATH;

    for (const server_route *route = self->setup.routes; route->method; route++) {
        g_ptr_array_set_size(x->parts, 0);
        if (!fits(route->pattern, parts, x->parts))
            continue;
        if (!(route->who & who)) {
            best = OTHER_CLIENT;
        } else if (strcmp(route->method, method)) {
            best = OTHER_METHOD;
        } else {
            x->route = route;
            return FOUND;
        }
    }
    return best;
}

/* What this client is to us; a trusted peer's name goes into the exchange. */
static guint judge(server *self, exchange *x, GError **error)
{
    GPtrArray *chain = connection_chain(x->from);

    if (connection_is_local(x->from))
        return ROUTE_LOCAL;
    if (!chain ||
        !self->identity) { /* cannot be: the listener lets nobody in without a certificate */
        g_set_error(error, PKI_ERROR, PKI_ERROR_UNTRUSTED, "no certificate was shown");
        return ROUTE_STRANGER;
    }
    x->peer = pki_verify(self->identity, chain, NULL, error);
    return x->peer ? ROUTE_PEER | ROUTE_STRANGER : ROUTE_STRANGER;
}

/* Refuses an untrusted client with a sentence for *its* operator; our own log has the details. */
static void refuse_stranger(server *self, exchange *x, const GError *why)
{
    g_autofree char *fingerprint = pki_fingerprint(exchange_certificate(x));

    log_notice("%s was refused: %s", exchange_who(x), why->message);
    if (g_error_matches(why, PKI_ERROR, PKI_ERROR_EXPIRED))
        exchange_fail(
            x, 403, "untrusted",
            "%s refuses this host's certificate because it has expired or is not yet valid: renew "
            "it, then pair the hosts again (SHA-256 %.16s…)",
            self->name, fingerprint);
    else
        exchange_fail(
            x, 403, "untrusted",
            "%s does not trust this host's certificate: run 'ferry pair %s' (SHA-256 %.16s…)",
            self->name, self->name, fingerprint);
}

static void too_large(exchange *x)
{
    exchange_fail(x, 413, "too-large", "a request may have at most %" G_GSIZE_FORMAT " bytes here",
                  x->most);
}

/* Who is it, and may they do this? Answers if not. */
static void admit(server *self, exchange *x)
{
    SoupMessageHeaders *headers = soup_server_message_get_request_headers(x->message);
    g_autoptr(GError) stranger = NULL;
    guint who = judge(self, x, &stranger);
    verdict result = find_route(self, x, who);

    x->most = who == ROUTE_STRANGER ? SERVER_STRANGER_MAX : SERVER_BODY_MAX;
    if (result != FOUND && who == ROUTE_STRANGER)
        refuse_stranger(self, x, stranger); /* learns nothing about what there is */
    else if (result == NO_SUCH_PATH)
        exchange_fail(x, 404, "not-found", "there is nothing at this path");
    else if (result == OTHER_METHOD)
        exchange_fail(x, 405, "not-found", "this method is not possible for this path");
    else if (result == OTHER_CLIENT)
        exchange_fail(x, 403, "forbidden", "this is for %s only",
                      who == ROUTE_LOCAL ? "other hosts" : "the local API socket");
    else if (soup_message_headers_get_content_length(headers) > (goffset)x->most)
        too_large(x);
}

static void on_body_chunk(SoupServerMessage *message, GBytes *chunk, gpointer user)
{
    exchange *x = exchange_of(message);
    SoupMessageBody *body = soup_server_message_get_request_body(message);

    if (!x)
        return;
    ration_renew(connection_ration(x->from));
    x->received += g_bytes_get_size(chunk);
    if (x->received > x->most && !x->answered) {
        soup_message_body_set_accumulate(body, FALSE);
        soup_message_body_truncate(body);
        too_large(x);
    }
}

static void on_end(SoupServer *soup, SoupServerMessage *message, gpointer user)
{
    server *self = user;
    connection *from = connection_of(soup_server_message_get_remote_address(message));
    exchange *x = exchange_of(message);

    if (from)
        connection_theirs(from, self->setup.patience_ms);
    if (x)
        exchange_gone(x);
}

/* The connection broke under a request that waits for its answer. */
static void on_disconnected(SoupServerMessage *message, gpointer user)
{
    on_end(NULL, message, user);
}

/* The headers are there, the body is not. When a status is set here, libsoup does not call
 * on_request; it reads what follows and, because nothing accumulates, forgets it. */
static void on_headers(SoupServer *soup, SoupServerMessage *message, const char *path,
                       GHashTable *query, gpointer user)
{
    server *self = user;
    connection *from = connection_of(soup_server_message_get_remote_address(message));
    exchange *x;

    if (!from) { /* cannot be: all come through start() */
        soup_server_message_set_status(message, 500, NULL);
        return;
    }
    x = exchange_new(message, from, self->setup.patience_ms);
    g_signal_connect(message, "disconnected", G_CALLBACK(on_disconnected), self);
    x->query = query ? g_hash_table_ref(query) : NULL;
    admit(self, x);
    if (x->answered)
        soup_message_body_set_accumulate(soup_server_message_get_request_body(message), FALSE);
    g_signal_connect(message, "got-chunk", G_CALLBACK(on_body_chunk), NULL);
}

static gboolean parse_body(exchange *x, GError **error)
{
    g_autoptr(GBytes) bytes =
        soup_message_body_flatten(soup_server_message_get_request_body(x->message));
    gsize size;
    const char *text = g_bytes_get_data(bytes, &size);

    x->body = size ? json_parse(text, (gssize)size, error) : json_object_new();
    return x->body != NULL;
}

static void on_request(SoupServer *soup, SoupServerMessage *message, const char *path,
                       GHashTable *query, gpointer user)
{
    server *self = user;
    exchange *x = exchange_of(message);
    const server_route *route;
    GError *error = NULL;

    if (!x || x->answered)
        return;
    route = x->route;
    connection_ours(x->from);
    log_debug("%s%s%s: %s %s", exchange_who(x), x->peer ? " " : "", x->peer ? x->peer : "",
              route->method, path);
    if (parse_body(x, &error))
        route->handler(x, self->setup.user);
    else
        exchange_bad(x, error);
    exchange_pause(x);
    exchange_release(x);
}

/* A connection is ready: libsoup takes over. */
static void start(GIOStream *stream, GSocketAddress *local, GSocketAddress *remote, gpointer user)
{
    server *self = user;
    g_autoptr(GError) error = NULL;

    if (!soup_server_accept_iostream(self->soup, stream, local, remote, &error))
        log_warning("a connection cannot be used: %s", error->message);
}

server *server_new(const server_setup *setup)
{
    server *self = g_new0(server, 1);

    self->setup = *setup;
    self->name = g_strdup(setup->name);
    /* Raw: an escaped slash is part of a name, not of the path. */
    self->soup = soup_server_new("raw-paths", TRUE, NULL);
    soup_server_add_early_handler(self->soup, NULL, on_headers, self, NULL);
    soup_server_add_handler(self->soup, NULL, on_request, self, NULL);
    g_signal_connect(self->soup, "request-finished", G_CALLBACK(on_end), self);
    g_signal_connect(self->soup, "request-aborted", G_CALLBACK(on_end), self);
    return self;
}

void server_free(server *self)
{
    if (!self)
        return;
    listener_free(self->local);
    listener_free(self->peers);
    soup_server_disconnect(self->soup);
    g_signal_handlers_disconnect_by_data(self->soup, self);
    g_object_unref(self->soup);
    g_free(self->name);
    g_free(self);
}

gboolean server_listen_local(server *self, const char *path, const char *group, GError **error)
{
    self->local = listener_unix(path, group, self->setup.patience_ms, start, self, error);
    return self->local != NULL;
}

static GTlsCertificate *own_certificate(pki *identity, GError **error)
{
    const pki_paths *paths = pki_get_paths(identity);

    return gtls_certificate(paths->certificate, paths->key, error);
}

gboolean server_listen_peers(server *self, pki *identity, const char *const *addresses,
                             guint16 port, GError **error)
{
    g_autoptr(GTlsCertificate) shown = own_certificate(identity, error);

    if (!shown)
        return FALSE;
    self->identity = identity;
    self->peers = listener_tls(addresses, port, shown, self->setup.patience_ms, start, self, error);
    return self->peers != NULL;
}

gboolean server_set_identity(server *self, pki *identity, GError **error)
{
    g_autoptr(GTlsCertificate) shown = own_certificate(identity, error);

    if (!shown)
        return FALSE;
    self->identity = identity;
    listener_show(self->peers, shown);
    return TRUE;
}

guint16 server_port(const server *self)
{
    return listener_port(self->peers);
}

guint server_connections(const server *self)
{
    return listener_connections(self->peers);
}
