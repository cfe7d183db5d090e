/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A control socket for the lab's programs. */
#include "control.h"

#include <errno.h>
#include <gio/gunixsocketaddress.h>
#include <glib-unix.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct control {
    GMainContext *context;
    control_handler handler;
    gpointer user;
    char *path;
    GSocket *socket;
    GSource *source;
    guint clients;
};

/* Its next line is looked at only when the answer to the one before is gone: memory is bounded. */
struct client {
    struct control *control;
    GSocket *socket;
    GString *in, *out;
    gsize sent;
};

static void next_line(struct client *c);

static GSource *when(struct control *c, GSocket *s, GIOCondition condition, GUnixFDSourceFunc then,
                     gpointer user)
{
    GSource *source = g_unix_fd_source_new(g_socket_get_fd(s), condition);

    g_source_set_callback(source, G_SOURCE_FUNC(then), user, NULL);
    g_source_attach(source, c->context);
    g_source_unref(source);
    return source;
}

static void client_free(struct client *c)
{
    c->control->clients--;
    g_object_unref(c->socket);
    g_string_free(c->in, TRUE);
    g_string_free(c->out, TRUE);
    g_free(c);
}

/* FALSE when the client was freed. */
static gboolean flush(struct client *c)
{
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

static gboolean writable(gint fd, GIOCondition condition, gpointer user)
{
    struct client *c = user;

    if (flush(c))
        next_line(c);
    return G_SOURCE_REMOVE;
}

static gboolean readable(gint fd, GIOCondition condition, gpointer user)
{
    struct client *c = user;
    char part[4096];
    gssize n = recv(fd, part, sizeof part, MSG_DONTWAIT);

    if (n < 0 && errno == EAGAIN)
        return G_SOURCE_CONTINUE;
    if (n <= 0 || c->in->len + (gsize)n > CONTROL_LINE) {
        client_free(c);
        return G_SOURCE_REMOVE;
    }
    g_string_append_len(c->in, part, n);
    next_line(c);
    return G_SOURCE_REMOVE;
}

static void answered(gpointer user, JsonNode *answer)
{
    struct client *c = user;
    g_autoptr(JsonNode) owned = answer;
    g_autofree char *line = json_to_string(owned, FALSE);

    g_string_append(c->out, line);
    g_string_append_c(c->out, '\n');
    if (flush(c))
        when(c->control, c->socket, G_IO_OUT, writable, c);
}

static void next_line(struct client *c)
{
    char *end = memchr(c->in->str, '\n', c->in->len);

    if (c->out->len) {
        when(c->control, c->socket, G_IO_OUT, writable, c);
    } else if (!end) {
        when(c->control, c->socket, G_IO_IN, readable, c);
    } else {
        g_autofree char *line = g_strndup(c->in->str, (gsize)(end - c->in->str));
        g_string_erase(c->in, 0, end + 1 - c->in->str);
        g_strstrip(line);
        c->control->handler(c->control->user, line, answered, c);
    }
}

static gboolean welcome(gint fd, GIOCondition condition, gpointer user)
{
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

static GSocket *dial(const char *path, GError **error)
{
    g_autoptr(GSocketAddress) address = g_unix_socket_address_new(path);
    g_autoptr(GSocket) s =
        g_socket_new(G_SOCKET_FAMILY_UNIX, G_SOCKET_TYPE_STREAM, G_SOCKET_PROTOCOL_DEFAULT, error);
    if (!s || !g_socket_connect(s, address, NULL, error))
        return NULL;
    return g_steal_pointer(&s);
}

struct control *control_new(const char *path, GMainContext *context, control_handler handler,
                            gpointer user, GError **error)
{
    g_autoptr(GSocketAddress) address = g_unix_socket_address_new(path);
    g_autoptr(GSocket) s =
        g_socket_new(G_SOCKET_FAMILY_UNIX, G_SOCKET_TYPE_STREAM, G_SOCKET_PROTOCOL_DEFAULT, error);
    g_autoptr(GSocket) other = dial(path, NULL);

    if (!s)
        return NULL;
    if (other) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_ADDRESS_IN_USE,
                    "somebody listens on %s already; end that, or use another path", path);
        return NULL;
    }
    unlink(path);
    if (!g_socket_bind(s, address, FALSE, error) || !g_socket_listen(s, error)) {
        g_prefix_error(error, "cannot listen on %s: ", path);
        return NULL;
    }
    struct control *c = g_new0(struct control, 1);
    c->context = context;
    c->handler = handler;
    c->user = user;
    c->path = g_strdup(path);
    c->socket = g_steal_pointer(&s);
    c->source = when(c, c->socket, G_IO_IN, welcome, c);
    return c;
}

void control_free(struct control *c)
{
    g_source_destroy(c->source);
    unlink(c->path);
    g_object_unref(c->socket);
    g_free(c->path);
    g_free(c);
}

JsonNode *control_ask(const char *path, const char *request, GError **error)
{
    g_autoptr(GSocket) s = dial(path, error);
    g_autoptr(GString) answer = g_string_new(NULL);
    g_autofree char *line = g_strdup_printf("%s\n", request);
    char part[4096];
    gssize n = 1;

    if (!s) {
        g_prefix_error(error, "nobody answers on %s: ", path);
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

JsonNode *control_ok(void)
{
    JsonObject *o = json_object_new();
    json_object_set_boolean_member(o, "ok", TRUE);
    return json_node_init_object(json_node_alloc(), o);
}

JsonNode *control_error(const char *message)
{
    JsonObject *o = json_object_new();
    json_object_set_boolean_member(o, "ok", FALSE);
    json_object_set_string_member(o, "error", message);
    return json_node_init_object(json_node_alloc(), o);
}

const char *control_string(JsonObject *o, const char *name)
{
    JsonNode *n = json_object_get_member(o, name);
    return n && JSON_NODE_HOLDS_VALUE(n) && json_node_get_value_type(n) == G_TYPE_STRING
               ? json_node_get_string(n)
               : NULL;
}

int control_main(const char *program, const char *path, const char *request)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(JsonNode) answer = control_ask(path, request, &error);

    if (!answer) {
        fprintf(stderr, "%s: %s\n", program, error ? error->message : "there was no answer");
        return EXIT_FAILURE;
    }
    g_autofree char *text = json_to_string(answer, TRUE);
    puts(text);
    JsonObject *o = JSON_NODE_HOLDS_OBJECT(answer) ? json_node_get_object(answer) : NULL;
    if (!o || !json_object_get_boolean_member_with_default(o, "ok", FALSE))
        return EXIT_FAILURE;
    const char *verdict = control_string(o, "verdict");
    return !verdict || strcmp(verdict, "good") == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
