/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Following a move; see follow.h. */
#include "cli/follow.h"

#include "cli/cli.h"

#define RETRY_US (500 * 1000)

struct follow {
    const follow_events *events;
    void *user;
    GCancellable *stop;
    GAsyncQueue *queue; /* of event: from the threads to the main context */
    GThread *watcher, *canceller;
    char *socket;
    /* The watcher's alone, until it has ended. */
    client *api;
    const char *path;
    JsonObject *request;
    char *id;
    GMutex lock; /* with `woken`: interrupts the pause between two tries */
    GCond woken;
    gboolean stopped;
};

typedef enum { CHANGED, AWAY, BACK, FAILED, CANCEL_DONE } event_kind;

typedef struct {
    event_kind kind;
    migration *m;
    GError *error;
} event;

static void event_free(gpointer data)
{
    event *self = data;

    g_clear_pointer(&self->m, migration_free);
    g_clear_error(&self->error);
    g_free(self);
}

/* In the main context: tells what has come in. */
static gboolean tell(gpointer user)
{
    follow *self = user;
    event *e = g_async_queue_try_pop(self->queue);

    if (!e)
        return G_SOURCE_REMOVE;
    switch (e->kind) {
    case CHANGED:
        self->events->changed(g_steal_pointer(&e->m), self->user);
        break;
    case AWAY:
        self->events->away(e->error, self->user);
        break;
    case BACK:
        self->events->back(self->user);
        break;
    case FAILED:
        self->events->failed(self->api, e->error, self->user);
        break;
    case CANCEL_DONE:
        self->events->cancel_done(e->error, self->user);
        break;
    }
    event_free(e);
    return G_SOURCE_REMOVE;
}

/* One idle callback an event. Takes `m` and `error`. */
static void post(follow *self, event_kind kind, migration *m, GError *error)
{
    event *e = g_new0(event, 1);

    e->kind = kind;
    e->m = m;
    e->error = error;
    g_async_queue_push(self->queue, e);
    g_idle_add_full(G_PRIORITY_DEFAULT, tell, self, NULL);
}

static gboolean pause_is_over(follow *self)
{
    gint64 until = g_get_monotonic_time() + RETRY_US;
    gboolean stopped;

    g_mutex_lock(&self->lock);
    while (!self->stopped && g_cond_wait_until(&self->woken, &self->lock, until))
        ;
    stopped = self->stopped;
    g_mutex_unlock(&self->lock);
    return !stopped;
}

/* Takes the answer; FALSE: the move has ended, or it cannot be read. */
static gboolean report(follow *self, JsonObject *answer, gint64 *version)
{
    g_autoptr(JsonObject) object = answer;
    g_autoptr(GError) error = NULL;
    g_autoptr(migration) m = migration_from_json(object, &error);
    gboolean ended;

    if (!m) {
        post(self, FAILED, NULL, g_steal_pointer(&error));
        return FALSE;
    }
    g_free(self->id);
    self->id = g_strdup(m->id);
    *version = m->version;
    ended = migration_has_ended(m);
    post(self, CHANGED, g_steal_pointer(&m), NULL);
    return !ended;
}

static JsonObject *ask(follow *self, gint64 after, GError **error)
{
    g_autofree char *suffix =
        after < 0 ? g_strdup("") : g_strdup_printf("?after=%" G_GINT64_FORMAT, after);
    g_autofree char *path = cli_path("/v1/migrations/", self->id, suffix);

    return client_call(self->api, "GET", path, NULL, CLIENT_TIMEOUT_LONG, self->stop, error);
}

/* A ferryd that is restarting may also answer before it has found everything again. */
static gboolean will_pass(const client *api, const GError *error)
{
    return error->domain != CLIENT_ERROR || error->code != CLIENT_ERROR_ANSWER ||
           client_status(api) >= 500;
}

static gpointer watch(gpointer user)
{
    follow *self = user;
    gboolean away = FALSE;
    gint64 version = -1;
    GError *error = NULL;
    JsonObject *answer = self->request
                             ? client_call(self->api, "POST", self->path, self->request,
                                           CLIENT_TIMEOUT_LONG, self->stop, &error)
                             : ask(self, -1, &error);

    if (!answer) {
        post(self, FAILED, NULL, error);
        return NULL;
    }
    while (report(self, answer, &version)) {
        while (!(answer = ask(self, away ? -1 : version, &error))) {
            if (g_cancellable_is_cancelled(self->stop)) {
                g_clear_error(&error);
                return NULL;
            }
            if (!will_pass(self->api, error)) {
                post(self, FAILED, NULL, error);
                return NULL;
            }
            if (away)
                g_clear_error(&error);
            else
                post(self, AWAY, NULL, g_steal_pointer(&error));
            away = TRUE;
            if (!pause_is_over(self))
                return NULL;
        }
        if (away)
            post(self, BACK, NULL, NULL);
        away = FALSE;
    }
    return NULL;
}

follow *follow_new(const char *socket, const char *path, JsonObject *request, const char *id,
                   const follow_events *events, void *user)
{
    follow *self = g_new0(follow, 1);

    self->events = events;
    self->user = user;
    self->stop = g_cancellable_new();
    self->queue = g_async_queue_new_full(event_free);
    self->socket = g_strdup(socket);
    self->api = client_local(socket);
    self->path = path;
    self->request = request ? json_object_ref(request) : NULL;
    self->id = g_strdup(id);
    g_mutex_init(&self->lock);
    g_cond_init(&self->woken);
    self->watcher = g_thread_new("watcher", watch, self);
    return self;
}

void follow_free(follow *self)
{
    if (!self)
        return;
    g_mutex_lock(&self->lock);
    self->stopped = TRUE;
    g_cond_signal(&self->woken);
    g_mutex_unlock(&self->lock);
    g_cancellable_cancel(self->stop);
    g_thread_join(self->watcher);
    if (self->canceller)
        g_thread_join(self->canceller);
    while (g_source_remove_by_user_data(self))
        ;
    g_async_queue_unref(self->queue);
    client_free(self->api);
    g_clear_pointer(&self->request, json_object_unref);
    g_object_unref(self->stop);
    g_mutex_clear(&self->lock);
    g_cond_clear(&self->woken);
    g_free(self->socket);
    g_free(self->id);
    g_free(self);
}

typedef struct {
    follow *self;
    char *path;
} cancel_call;

static gpointer cancel_move(gpointer user)
{
    cancel_call *call = user;
    g_autoptr(client) api = client_local(call->self->socket);
    GError *error = NULL;
    JsonObject *answer =
        client_call(api, "POST", call->path, NULL, CLIENT_TIMEOUT, call->self->stop, &error);

    if (answer)
        json_object_unref(answer);
    post(call->self, CANCEL_DONE, NULL, error);
    g_free(call->path);
    g_free(call);
    return NULL;
}

void follow_cancel_move(follow *self, const char *id)
{
    cancel_call *call = g_new0(cancel_call, 1);

    if (self->canceller)
        g_thread_join(self->canceller); /* answered, or at most one call's time away */
    call->self = self;
    call->path = cli_path("/v1/migrations/", id, "/cancel");
    self->canceller = g_thread_new("cancel", cancel_move, call);
}
