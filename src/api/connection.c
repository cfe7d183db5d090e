/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Accepted connections; see connection.h. */
#include "api/connection.h"

#include "base/log.h"

#define LOG_AREA "api"
#define KEY      "ferry-connection"

struct connection {
    gatomicrefcount references;
    GSocket *socket; /* NULL once the stream is gone */
    gate *door;
    char *who;
    gboolean local;
    GPtrArray *chain;
    guint timer;
    ration allowed;
};

connection *connection_ref(connection *self)
{
    g_atomic_ref_count_inc(&self->references);
    return self;
}

void connection_unref(connection *self)
{
    if (!g_atomic_ref_count_dec(&self->references))
        return;
    g_clear_pointer(&self->chain, g_ptr_array_unref);
    g_free(self->who);
    g_free(self);
}

static void stream_gone(gpointer data)
{
    connection *self = data;

    g_clear_handle_id(&self->timer, g_source_remove);
    g_clear_object(&self->socket);
    gate_leave(self->door, self->who);
    g_clear_pointer(&self->door, gate_unref);
    connection_unref(self);
}

/* Shut down rather than closed: whoever reads or writes now, TLS or libsoup, sees the end and lets
 * the stream go. */
static gboolean out_of_patience(gpointer data)
{
    connection *self = data;

    self->timer = 0;
    log_debug("%s kept us waiting: closed", self->who);
    (void)g_socket_shutdown(self->socket, TRUE, TRUE, NULL);
    return G_SOURCE_REMOVE;
}

connection *connection_new(GSocketConnection *stream, GSocketAddress *remote, gate *door)
{
    connection *self = g_new0(connection, 1);

    g_atomic_ref_count_init(&self->references); /* the stream's */
    self->socket = g_object_ref(g_socket_connection_get_socket(stream));
    self->door = gate_ref(door);
    self->who = gate_who(remote);
    self->local = !G_IS_INET_SOCKET_ADDRESS(remote);
    g_object_set_data_full(G_OBJECT(stream), KEY, self, stream_gone);
    g_object_set_data_full(G_OBJECT(remote), KEY, connection_ref(self),
                           (GDestroyNotify)connection_unref);
    return self;
}

connection *connection_of(GSocketAddress *remote)
{
    return remote ? g_object_get_data(G_OBJECT(remote), KEY) : NULL;
}

void connection_ours(connection *self)
{
    g_clear_handle_id(&self->timer, g_source_remove);
}

void connection_theirs(connection *self, guint patience_ms)
{
    connection_ours(self);
    ration_renew(&self->allowed);
    if (self->socket)
        self->timer = g_timeout_add(patience_ms, out_of_patience, self);
}

ration *connection_ration(connection *self)
{
    return &self->allowed;
}

gboolean connection_alive(const connection *self)
{
    return self->socket != NULL;
}

const char *connection_who(const connection *self)
{
    return self->who;
}

gint64 connection_uid(const connection *self)
{
    g_autoptr(GCredentials) user =
        self->local && self->socket ? g_socket_get_credentials(self->socket, NULL) : NULL;
    uid_t uid = user ? g_credentials_get_unix_user(user, NULL) : (uid_t)-1;

    return uid == (uid_t)-1 ? -1 : (gint64)uid;
}

gboolean connection_is_local(const connection *self)
{
    return self->local;
}

GPtrArray *connection_chain(const connection *self)
{
    return self->chain;
}

void connection_set_chain(connection *self, GPtrArray *chain)
{
    g_clear_pointer(&self->chain, g_ptr_array_unref);
    self->chain = g_ptr_array_ref(chain);
}
