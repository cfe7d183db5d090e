/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The control socket. */
#include "control.h"
#include "request.h"

#include <errno.h>
#include <gio/gunixsocketaddress.h>
#include <glib-unix.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct control {
    struct watch *watch;
    char *path;
    GSocket *socket;
    guint source;
    guint clients;
};

/* Its next line is looked at only when the answer to the one before is gone: memory stays bounded. */
struct client {
    struct control *control;
    GSocket *socket;
    GString *in, *out;
    gsize sent;
    guint source; /* 0 while a request is worked on */
};

static void next_line(struct client *c);

static void client_free(struct client *c) {
    c->control->clients--;
    g_object_unref(c->socket);
    g_string_free(c->in, TRUE);
    g_string_free(c->out, TRUE);
    g_free(c);
}

/* FALSE when the client was freed. */
static gboolean flush(struct client *c) {
    while (c->sent < c->out->len) {
        gssize n = send(g_socket_get_fd(c->socket), c->out->str + c->sent, c->out->len - c->sent,
                        MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && errno == EAGAIN)
            return TRUE;
        if (n < 0) {
            client_free(c);
            return FALSE;
        }
        c->sent += (gsize)n;
    }
    g_string_truncate(c->out, 0);
    c->sent = 0;
    return TRUE;
}

static gboolean writable(gint fd, GIOCondition condition, gpointer user) {
    struct client *c = user;

    c->source = 0;
    if (flush(c))
        next_line(c);
    return G_SOURCE_REMOVE;
}

static gboolean readable(gint fd, GIOCondition condition, gpointer user) {
    struct client *c = user;
    char part[4096];
    gssize n = recv(fd, part, sizeof part, MSG_DONTWAIT);

    if (n < 0 && errno == EAGAIN)
        return G_SOURCE_CONTINUE;
    c->source = 0;
    if (n <= 0 || c->in->len + (gsize)n > CONTROL_LINE) {
        client_free(c);
        return G_SOURCE_REMOVE;
    }
    g_string_append_len(c->in, part, n);
    next_line(c);
    return G_SOURCE_REMOVE;
}

static void answered(gpointer user, JsonNode *answer) {
    struct client *c = user;
    g_autoptr(JsonNode) owned = answer;
    g_autofree char *line = json_to_string(owned, FALSE);

    g_string_append(c->out, line);
    g_string_append_c(c->out, '\n');
    if (flush(c))
        c->source = g_unix_fd_add(g_socket_get_fd(c->socket), G_IO_OUT, writable, c);
}

static void next_line(struct client *c) {
    char *end = memchr(c->in->str, '\n', c->in->len);
    int fd = g_socket_get_fd(c->socket);

    if (c->out->len) {
        c->source = g_unix_fd_add(fd, G_IO_OUT, writable, c);
    } else if (!end) {
        c->source = g_unix_fd_add(fd, G_IO_IN, readable, c);
    } else {
        g_autofree char *line = g_strndup(c->in->str, (gsize)(end - c->in->str));
        g_string_erase(c->in, 0, end + 1 - c->in->str);
        g_strstrip(line);
        request_run(c->control->watch, line, answered, c);
    }
}

static gboolean welcome(gint fd, GIOCondition condition, gpointer user) {
    struct control *control = user;
    g_autoptr(GSocket) s = g_socket_accept(control->socket, NULL, NULL);

    if (!s || control->clients == CONTROL_CLIENTS)
        return G_SOURCE_CONTINUE;
    struct client *c = g_new0(struct client, 1);
    c->control = control;
    c->socket = g_steal_pointer(&s);
    c->in = g_string_new(NULL);
    c->out = g_string_new(NULL);
    control->clients++;
    next_line(c);
    return G_SOURCE_CONTINUE;
}

static GSocket *dial(const char *path, GError **error) {
    g_autoptr(GSocketAddress) address = g_unix_socket_address_new(path);
    g_autoptr(GSocket) s = g_socket_new(G_SOCKET_FAMILY_UNIX, G_SOCKET_TYPE_STREAM,
                                        G_SOCKET_PROTOCOL_DEFAULT, error);
    if (!s || !g_socket_connect(s, address, NULL, error))
        return NULL;
    return g_steal_pointer(&s);
}

struct control *control_new(const char *path, struct watch *watch, GError **error) {
    g_autoptr(GSocketAddress) address = g_unix_socket_address_new(path);
    g_autoptr(GSocket) s = g_socket_new(G_SOCKET_FAMILY_UNIX, G_SOCKET_TYPE_STREAM,
                                        G_SOCKET_PROTOCOL_DEFAULT, error);
    g_autoptr(GSocket) other = dial(path, NULL);

    if (!s)
        return NULL;
    if (other) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_ADDRESS_IN_USE,
                    "a witness listens on %s already; end it, or use another path", path);
        return NULL;
    }
    unlink(path);
    if (!g_socket_bind(s, address, FALSE, error) || !g_socket_listen(s, error)) {
        g_prefix_error(error, "cannot listen on %s: ", path);
        return NULL;
    }
    struct control *c = g_new0(struct control, 1);
    c->watch = watch;
    c->path = g_strdup(path);
    c->socket = g_steal_pointer(&s);
    c->source = g_unix_fd_add(g_socket_get_fd(c->socket), G_IO_IN, welcome, c);
    return c;
}

void control_free(struct control *c) {
    g_source_remove(c->source);
    unlink(c->path);
    g_object_unref(c->socket);
    g_free(c->path);
    g_free(c);
}

JsonNode *control_ask(const char *path, const char *request, GError **error) {
    g_autoptr(GSocket) s = dial(path, error);
    g_autoptr(GString) answer = g_string_new(NULL);
    g_autofree char *line = g_strdup_printf("%s\n", request);
    char part[4096];
    gssize n = 1;

    if (!s) {
        g_prefix_error(error, "no witness answers on %s: ", path);
        return NULL;
    }
    if (g_socket_send(s, line, strlen(line), NULL, error) < 0)
        return NULL;
    while (n > 0 && (answer->len == 0 || answer->str[answer->len - 1] != '\n'))
        if ((n = g_socket_receive(s, part, sizeof part, NULL, error)) > 0)
            g_string_append_len(answer, part, n);
    if (n < 0)
        return NULL;
    return json_from_string(answer->str, error);
}
