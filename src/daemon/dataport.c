/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Reading preambles; see dataport.h. */
#include "daemon/dataport.h"

#include "api/gate.h"
#include "api/ports.h"
#include "base/fdio.h"
#include "base/log.h"
#include "base/uuid.h"
#include "relay/wire.h"

#include <errno.h>
#include <sys/socket.h>

#define LOG_AREA      "data"
#define HALF_OPEN_MAX 128
#define EACH_MAX      48 /* a move opens up to WIRE_CHANNELS_MAX at once */

struct dataport {
    ports *ports;
    gate *door;
    const networks *allowed;
    guint patience_ms;
    dataport_take take;
    gpointer user;
    GHashTable *arriving; /* set of arrival */
};

typedef struct {
    dataport *owner;
    GSocket *socket;
    char *who;
    guint source, timer;
    uint8_t preamble[WIRE_PREAMBLE_SIZE];
    size_t got;
} arrival;

static void arrival_free(gpointer data)
{
    arrival *a = data;

    g_clear_handle_id(&a->source, g_source_remove);
    g_clear_handle_id(&a->timer, g_source_remove);
    gate_leave(a->owner->door, a->who);
    g_object_unref(a->socket); /* closes it */
    g_free(a->who);
    g_free(a);
}

static void turn_away(dataport *self, const char *who, const char *why)
{
    if (gate_may_log(self->door))
        log_warning("a connection from %s was closed: %s", who, why);
}

static void done(arrival *a, const char *problem)
{
    if (problem)
        turn_away(a->owner, a->who, problem);
    g_hash_table_remove(a->owner->arriving, a);
}

static void hand_over(arrival *a)
{
    dataport *self = a->owner;
    int fd = g_socket_get_fd(a->socket);
    g_autoptr(GError) error = NULL;
    g_autofree char *id = NULL;
    wire_preamble preamble;

    if (!wire_get_preamble(a->preamble, &preamble, &error)) {
        done(a, error->message);
        return;
    }
    id = uuid_from_bytes(preamble.landing);
    if (!fdio_set_nonblocking(fd, FALSE, &error) ||
        !self->take(id, preamble.channel, fd, self->user, &error)) {
        done(a, error->message);
        return;
    }
    log_debug("%s: channel %u of %.8s", a->who, preamble.channel, id);
    done(a, NULL);
}

static gboolean on_readable(int fd, GIOCondition condition, gpointer user)
{
    arrival *a = user;
    ssize_t n = recv(fd, a->preamble + a->got, sizeof a->preamble - a->got, 0);

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return G_SOURCE_CONTINUE;
    if (n > 0) {
        a->got += (size_t)n;
        if (a->got < sizeof a->preamble)
            return G_SOURCE_CONTINUE;
    }
    a->source = 0;
    if (n > 0)
        hand_over(a);
    else
        done(a, "it ended before it had said what it wants");
    return G_SOURCE_REMOVE;
}

static gboolean on_late(gpointer user)
{
    arrival *a = user;

    a->timer = 0;
    done(a, "it did not say what it wants in time");
    return G_SOURCE_REMOVE;
}

static gboolean on_fd(int listening, GIOCondition condition, gpointer user)
{
    dataport *self = user;
    g_autoptr(GError) error = NULL;
    g_autoptr(GSocketAddress) remote = NULL;
    g_autoptr(GSocket) socket = ports_accept(listening, &remote, &error);
    g_autofree char *who = NULL;
    arrival *a;

    if (!socket) {
        if (error && gate_may_log(self->door))
            log_error("%s", error->message);
        return G_SOURCE_CONTINUE;
    }
    who = gate_who(remote);
    if (!networks_accepted_ok(self->allowed, g_socket_get_fd(socket), &error)) {
        turn_away(self, who, error->message);
        return G_SOURCE_CONTINUE;
    }
    if (!gate_enter(self->door, who))
        return G_SOURCE_CONTINUE;
    a = g_new0(arrival, 1);
    a->owner = self;
    a->socket = g_steal_pointer(&socket);
    a->who = g_steal_pointer(&who);
    a->source =
        g_unix_fd_add(g_socket_get_fd(a->socket), G_IO_IN | G_IO_HUP | G_IO_ERR, on_readable, a);
    a->timer = g_timeout_add(self->patience_ms, on_late, a);
    g_hash_table_add(self->arriving, a);
    return G_SOURCE_CONTINUE;
}

dataport *dataport_new(const char *const *addresses, guint16 port, const networks *allowed,
                       guint patience_ms, dataport_take take, gpointer user, GError **error)
{
    g_autoptr(dataport) self = g_new0(dataport, 1);

    self->allowed = allowed;
    self->patience_ms = patience_ms;
    self->take = take;
    self->user = user;
    self->door = gate_new("data port", HALF_OPEN_MAX, EACH_MAX);
    self->arriving = g_hash_table_new_full(NULL, NULL, arrival_free, NULL);
    self->ports = ports_listen(addresses, port, on_fd, self, error);
    return self->ports ? g_steal_pointer(&self) : NULL;
}

void dataport_free(dataport *self)
{
    if (!self)
        return;
    ports_free(self->ports);
    g_hash_table_unref(self->arriving);
    gate_unref(self->door);
    g_free(self);
}

void dataport_allow(dataport *self, const networks *allowed)
{
    self->allowed = allowed;
}

guint16 dataport_number(const dataport *self)
{
    return ports_number(self->ports);
}

guint dataport_half_open(const dataport *self)
{
    return gate_inside(self->door);
}
