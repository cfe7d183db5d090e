/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The link to ferryd; see boss.h. */
#include "worker/boss.h"

#include "base/fdio.h"
#include "base/log.h"

#include <glib-unix.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#define LOG_AREA "boss"

#define STATUS_PAUSE_MS 250
#define SEND_TIMEOUT_S  5 /* a ferryd that is stopped must not stop us */
#define END_PATIENCE_S  10 /* for a ferryd that is about to connect, when there is something left to tell it */

struct boss {
    boss_setup setup;
    char *path;
    int listener, connection;
    guint listener_source, connection_source, timer, patience;
    char *phase;       /* last sent */
    JsonObject *answer; /* the last that was sent: a ferryd that was restarted has lost it */
    GQueue *unsent;    /* of JsonObject: events for a connection that is not there */
    gint pending;      /* atomic: a look at the status is on its way to the main thread */
    gint64 status_at;  /* monotonic µs when one was last sent */
};

static void drop(boss *self)
{
    g_clear_handle_id(&self->connection_source, g_source_remove);
    fdio_clear(&self->connection);
}

static gboolean send_now(boss *self, JsonObject *event)
{
    g_autofree char *text = json_text(event);
    g_autoptr(GError) error = NULL;

    if (self->connection < 0)
        return FALSE;
    if (fdio_send_message(self->connection, text, strlen(text), -1, &error))
        return TRUE;
    log_warning("ferryd cannot be told: %s", error->message);
    drop(self);
    return FALSE;
}

static void send_status(boss *self)
{
    JsonObject *status = self->setup.status(self->setup.user);
    g_autoptr(JsonObject) event = NULL;
    const char *phase = "";

    if (!status)
        return;
    (void)json_get_string(status, "phase", &phase, NULL);
    g_free(self->phase);
    self->phase = g_strdup(phase);
    self->status_at = g_get_monotonic_time();
    event = json_object_new();
    json_object_set_string_member(event, "event", "status");
    json_object_set_object_member(event, "status", status);
    (void)send_now(self, event);
}

static gboolean on_timer(gpointer user)
{
    boss *self = user;

    self->timer = 0;
    send_status(self);
    return G_SOURCE_REMOVE;
}

static gboolean on_changed(gpointer user)
{
    boss *self = user;
    g_autoptr(JsonObject) status = NULL;
    const char *phase = "";
    gint64 since;

    g_atomic_int_set(&self->pending, 0);
    status = self->setup.status(self->setup.user);
    if (!status)
        return G_SOURCE_REMOVE;
    (void)json_get_string(status, "phase", &phase, NULL);
    since = (g_get_monotonic_time() - self->status_at) / 1000;
    if (g_strcmp0(phase, self->phase) || since >= STATUS_PAUSE_MS) {
        g_clear_handle_id(&self->timer, g_source_remove);
        send_status(self);
    } else if (!self->timer) {
        self->timer = g_timeout_add((guint)(STATUS_PAUSE_MS - since), on_timer, self);
    }
    return G_SOURCE_REMOVE;
}

void boss_changed(boss *self)
{
    if (g_atomic_int_compare_and_exchange(&self->pending, 0, 1))
        g_idle_add_full(G_PRIORITY_DEFAULT, on_changed, self, NULL);
}

/* What does not fit into a packet would never be sent: the answer becomes that it does not fit. */
static void shorten(JsonObject *event)
{
    g_autofree char *text = json_text(event);
    JsonObject *outer, *inner;

    if (strlen(text) <= FDIO_MESSAGE_MAX)
        return;
    outer = json_object_new();
    inner = json_object_new();
    json_object_set_string_member(inner, "code", "too-large");
    json_object_set_string_member(inner, "text", "this VM's description is too large to be answered");
    json_object_set_object_member(outer, "error", inner);
    json_object_set_int_member(event, "code", 413);
    json_object_set_object_member(event, "body", outer);
}

typedef struct {
    boss *to;
    JsonObject *event;
} outgoing;

static void keep_answer(boss *self, JsonObject *event)
{
    const char *what;

    if (!json_get_string(event, "event", &what, NULL) || strcmp(what, "answer"))
        return;
    g_clear_pointer(&self->answer, json_object_unref);
    self->answer = json_object_ref(event);
}

static gboolean on_send(gpointer user)
{
    g_autofree outgoing *out = user;

    shorten(out->event);
    keep_answer(out->to, out->event);
    if (send_now(out->to, out->event))
        json_object_unref(out->event);
    else
        g_queue_push_tail(out->to->unsent, out->event);
    return G_SOURCE_REMOVE;
}

void boss_send(boss *self, JsonObject *event)
{
    outgoing *out = g_new(outgoing, 1);

    *out = (outgoing){.to = self, .event = event};
    g_idle_add_full(G_PRIORITY_DEFAULT, on_send, out, NULL);
}

static gboolean on_readable(gint fd, GIOCondition condition, gpointer user)
{
    boss *self = user;
    g_autoptr(GError) error = NULL;
    g_autoptr(GBytes) packet = NULL;
    g_autoptr(JsonObject) message = NULL;
    fdio_auto passed = -1;

    packet = fdio_recv_message(fd, &passed, &error);
    if (!packet) {
        log_info("ferryd has gone%s%s", error ? ": " : "", error ? error->message : "");
        self->connection_source = 0;
        drop(self);
        return G_SOURCE_REMOVE;
    }
    message = json_parse(g_bytes_get_data(packet, NULL), (gssize)g_bytes_get_size(packet), &error);
    if (message)
        self->setup.message(message, &passed, self->setup.user);
    else
        log_warning("a message of ferryd's was not understood: %s", error->message);
    return self->connection == fd ? G_SOURCE_CONTINUE : G_SOURCE_REMOVE;
}

static gboolean on_connection(gint fd, GIOCondition condition, gpointer user)
{
    boss *self = user;
    struct timeval patience = {.tv_sec = SEND_TIMEOUT_S};
    int accepted = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
    JsonObject *event;

    if (accepted < 0)
        return G_SOURCE_CONTINUE;
    drop(self);
    (void)setsockopt(accepted, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    self->connection = accepted;
    self->connection_source =
        g_unix_fd_add(accepted, G_IO_IN | G_IO_HUP | G_IO_ERR, on_readable, self);
    send_status(self);
    if (self->answer && g_queue_is_empty(self->unsent))
        (void)send_now(self, self->answer);
    while ((event = g_queue_pop_head(self->unsent))) {
        if (!send_now(self, event)) {
            g_queue_push_head(self->unsent, event);
            break;
        }
        json_object_unref(event);
    }
    return G_SOURCE_CONTINUE;
}

boss *boss_new(const char *path, const boss_setup *setup, GError **error)
{
    int listener = fdio_unix_listen(path, SOCK_SEQPACKET, 0600, error);
    boss *self;

    if (listener < 0)
        return NULL;
    self = g_new0(boss, 1);
    self->setup = *setup;
    self->path = g_strdup(path);
    self->listener = listener;
    self->connection = -1;
    self->unsent = g_queue_new();
    self->listener_source = g_unix_fd_add(listener, G_IO_IN, on_connection, self);
    return self;
}

static gboolean on_patience(gpointer user)
{
    boss *self = user;

    self->patience = 0;
    return G_SOURCE_REMOVE;
}

void boss_end(boss *self)
{
    g_autoptr(JsonObject) ended = json_object_new();

    /* What other threads have left for us goes out first. */
    while (g_main_context_iteration(NULL, FALSE))
        ;
    self->patience = g_timeout_add_seconds(END_PATIENCE_S, on_patience, self);
    while (self->patience && !g_queue_is_empty(self->unsent))
        g_main_context_iteration(NULL, TRUE);
    g_clear_handle_id(&self->patience, g_source_remove);
    send_status(self);
    json_object_set_string_member(ended, "event", "ended");
    (void)send_now(self, ended);
}

void boss_free(boss *self)
{
    if (!self)
        return;
    drop(self);
    g_clear_handle_id(&self->timer, g_source_remove);
    g_clear_handle_id(&self->listener_source, g_source_remove);
    fdio_clear(&self->listener);
    (void)unlink(self->path);
    g_queue_free_full(self->unsent, (GDestroyNotify)json_object_unref);
    g_clear_pointer(&self->answer, json_object_unref);
    g_free(self->phase);
    g_free(self->path);
    g_free(self);
}
