/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Accepting connections and shaking hands; see listener.h. */
#include "api/listener.h"

#include "api/gtls.h"
#include "api/ports.h"
#include "api/rationed.h"
#include "base/fdio.h"
#include "base/log.h"

#include <errno.h>
#include <grp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define LOG_AREA "api"

/* Open at once; a move needs one or two between two hosts. */
#define LOCAL_MAX    256
#define TLS_MAX      192
#define TLS_EACH_MAX 48
/* GIO shakes hands in a small pool of threads: nobody may sit in one for long. */
#define HANDSHAKE_MS 5000

struct listener {
    ports *ports;
    gate *door;
    GTlsCertificate *shown; /* NULL: a UNIX socket */
    GCancellable *end;      /* of handshakes */
    guint patience_ms;
    listener_ready ready;
    gpointer user;
};

static gboolean accept_any(GTlsConnection *tls, GTlsCertificate *leaf, GTlsCertificateFlags flags,
                           gpointer user)
{
    return TRUE; /* server.c decides, for each request */
}

typedef struct {
    listener *self; /* not touched once `end` is cancelled */
    GCancellable *end;
    GSocketAddress *local, *remote;
} handshake;

static void handshake_free(handshake *h)
{
    g_object_unref(h->end);
    g_object_unref(h->local);
    g_object_unref(h->remote);
    g_free(h);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC(handshake, handshake_free)

static void handshake_done(GObject *source, GAsyncResult *result, gpointer user)
{
    g_autoptr(handshake) h = user;
    GTlsConnection *tls = G_TLS_CONNECTION(source);
    connection *who = connection_of(h->remote);
    g_autoptr(GError) error = NULL;
    gboolean done = g_tls_connection_handshake_finish(tls, result, &error);
    g_autoptr(GPtrArray) chain = NULL;

    if (g_cancellable_is_cancelled(h->end))
        return;
    if (done && gtls_version_ok(tls, &error)) {
        GTlsCertificate *leaf = g_tls_connection_get_peer_certificate(tls);
        chain = leaf ? gtls_chain(leaf) : NULL;
    }
    if (chain && chain->len) {
        connection_set_chain(who, chain);
        connection_theirs(who, h->self->patience_ms);
        h->self->ready(G_IO_STREAM(tls), h->local, h->remote, h->self->user);
    } else if (gate_may_log(h->self->door)) {
        log_notice("a connection from %s was closed: %s", connection_who(who),
                   error ? error->message : "it showed no certificate");
    }
}

static void shake_hands(listener *self, GSocketConnection *stream, GSocketAddress *local,
                        GSocketAddress *remote)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GIOStream) below =
        rationed_new(G_IO_STREAM(stream), connection_ration(connection_of(remote)));
    /* Without a database: GIO would read all of the system's authorities anew for each connection,
     * which costs whoever knocks nothing and us milliseconds. */
    g_autoptr(GIOStream) tls = g_initable_new(
        g_tls_backend_get_server_connection_type(g_tls_backend_get_default()), NULL, &error,
        "base-io-stream", below, "certificate", self->shown, "database", NULL, NULL);
    handshake *h;

    if (!tls) {
        log_error("TLS cannot be used: %s", error->message);
        return;
    }
    g_object_set(tls, "authentication-mode", G_TLS_AUTHENTICATION_REQUIRED, "require-close-notify",
                 FALSE, NULL);
    g_signal_connect(tls, "accept-certificate", G_CALLBACK(accept_any), NULL);
    h = g_new0(handshake, 1);
    h->self = self;
    h->end = g_object_ref(self->end);
    h->local = g_object_ref(local);
    h->remote = g_object_ref(remote);
    g_tls_connection_handshake_async(G_TLS_CONNECTION(tls), G_PRIORITY_DEFAULT, self->end,
                                     handshake_done, h);
}

static gboolean on_fd(int listening, GIOCondition condition, gpointer user)
{
    listener *self = user;
    g_autoptr(GError) error = NULL;
    g_autoptr(GSocketAddress) local = NULL, remote = NULL;
    g_autoptr(GSocket) socket = ports_accept(listening, &remote, &error);
    g_autoptr(GSocketConnection) stream = NULL;
    g_autofree char *who = NULL;
    connection *entered;

    if (!socket) {
        if (error && gate_may_log(self->door))
            log_error("%s", error->message);
        return G_SOURCE_CONTINUE;
    }
    local = g_socket_get_local_address(socket, NULL);
    who = gate_who(remote);
    if (!local || !gate_enter(self->door, who))
        return G_SOURCE_CONTINUE;
    stream = g_socket_connection_factory_create_connection(socket);
    entered = connection_new(stream, remote, self->door);
    connection_theirs(entered,
                      self->shown ? MIN(HANDSHAKE_MS, self->patience_ms) : self->patience_ms);
    if (self->shown)
        shake_hands(self, stream, local, remote);
    else
        self->ready(G_IO_STREAM(stream), local, remote, self->user);
    return G_SOURCE_CONTINUE;
}

static listener *listener_new(guint patience_ms, listener_ready ready, gpointer user)
{
    listener *self = g_new0(listener, 1);

    self->patience_ms = patience_ms;
    self->ready = ready;
    self->user = user;
    self->end = g_cancellable_new();
    return self;
}

/* The socket is root's alone until its group is set. */
static gboolean open_to_group(const char *path, const char *group, GError **error)
{
    struct group *entry = getgrnam(group);

    if (!entry) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND,
                    "api-group '%s' does not exist on this host", group);
        return FALSE;
    }
    if (chown(path, (uid_t)-1, entry->gr_gid) < 0 || chmod(path, 0660) < 0)
        return fdio_error(error, errno, "%s", path);
    return TRUE;
}

listener *listener_unix(const char *path, const char *group, guint patience_ms,
                        listener_ready ready, gpointer user, GError **error)
{
    g_autoptr(listener) self = listener_new(patience_ms, ready, user);
    fdio_auto fd = fdio_unix_listen(path, SOCK_STREAM, 0600, error);

    if (fd < 0 || (group && !open_to_group(path, group, error)))
        return NULL;
    self->door = gate_new("api socket", LOCAL_MAX, LOCAL_MAX);
    self->ports = ports_adopt(g_steal_fd(&fd), on_fd, self);
    return g_steal_pointer(&self);
}

listener *listener_tls(const char *const *addresses, guint16 port, GTlsCertificate *shown,
                       guint patience_ms, listener_ready ready, gpointer user, GError **error)
{
    g_autoptr(listener) self = listener_new(patience_ms, ready, user);

    self->shown = g_object_ref(shown);
    self->door = gate_new("control port", TLS_MAX, TLS_EACH_MAX);
    self->ports = ports_listen(addresses, port, on_fd, self, error);
    return self->ports ? g_steal_pointer(&self) : NULL;
}

void listener_free(listener *self)
{
    if (!self)
        return;
    ports_free(self->ports);
    g_cancellable_cancel(self->end);
    g_object_unref(self->end);
    g_clear_object(&self->shown);
    gate_unref(self->door);
    g_free(self);
}

guint16 listener_port(const listener *self)
{
    return ports_number(self->ports);
}

guint listener_connections(const listener *self)
{
    return gate_inside(self->door);
}

void listener_show(listener *self, GTlsCertificate *certificate)
{
    g_set_object(&self->shown, certificate);
}
