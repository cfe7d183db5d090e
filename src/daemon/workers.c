/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Links to workers; see workers.h. */
#include "daemon/workers.h"

#include "base/fdio.h"
#include "base/log.h"
#include "daemon/jobdir.h"
#include "daemon/spawn.h"

#include <errno.h>
#include <glib-unix.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define LOG_AREA     "workers"
#define KNOCK_MS     10    /* between two tries to connect to one that is starting */
#define START_MS     30000 /* until it must listen */
#define PACKETS_TURN 16    /* taken from one link before others get their turn */

struct workers {
    char *program, *config, *run_dir;
    workers_events events;
    GHashTable *table;    /* id -> worker */
    GHashTable *children; /* pid -> source that reaps it */
};

typedef struct {
    workers *owner;
    char *id, *socket;
    pid_t pid;         /* our child while it lives, else 0 */
    int fd;            /* the link, -1: none yet */
    guint source;      /* of the link, or the timer that tries to connect */
    gint64 deadline;   /* for connecting, monotonic µs */
    JsonObject *start; /* not yet sent */
    gboolean ended;
} worker;

static void worker_free(gpointer data)
{
    worker *w = data;

    g_clear_handle_id(&w->source, g_source_remove);
    fdio_clear(&w->fd);
    g_clear_pointer(&w->start, json_object_unref);
    g_free(w->id);
    g_free(w->socket);
    g_free(w);
}

workers *workers_new(const char *program, const char *config, const char *run_dir,
                     const workers_events *events)
{
    workers *self = g_new0(workers, 1);

    self->program = g_strdup(program);
    self->config = g_strdup(config);
    self->run_dir = g_strdup(run_dir);
    self->events = *events;
    self->table = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, worker_free);
    self->children = g_hash_table_new(NULL, NULL);
    return self;
}

void workers_free(workers *self)
{
    GHashTableIter at;
    gpointer source;

    if (!self)
        return;
    g_hash_table_iter_init(&at, self->children);
    while (g_hash_table_iter_next(&at, NULL, &source))
        g_source_remove(GPOINTER_TO_UINT(source));
    g_hash_table_unref(self->children);
    g_hash_table_unref(self->table);
    g_free(self->program);
    g_free(self->config);
    g_free(self->run_dir);
    g_free(self);
}

static worker *add(workers *self, const char *id)
{
    worker *w = g_new0(worker, 1);

    w->owner = self;
    w->id = g_strdup(id);
    w->socket = g_build_filename(self->run_dir, id, "worker.sock", NULL);
    w->fd = -1;
    g_hash_table_insert(self->table, w->id, w);
    return w;
}

/* The last thing that happens to a worker. */
static void gone(worker *w)
{
    workers *self = w->owner;
    g_autofree char *id = g_strdup(w->id);
    gboolean properly = w->ended;

    g_hash_table_remove(self->table, id);
    if (properly)
        log_info("%.8s has ended", id);
    else
        log_warning("worker %.8s is gone without a word", id);
    jobdir_remove(self->run_dir, id);
    self->events.gone(id, properly, self->events.user);
}

static gboolean connect_now(worker *w, GError **error);

static gboolean understand(worker *w, GBytes *packet, GError **error)
{
    workers *self = w->owner;
    const workers_events *tell = &self->events;
    g_autoptr(JsonObject) message =
        json_parse(g_bytes_get_data(packet, NULL), (gssize)g_bytes_get_size(packet), error);
    const char *event, *text;
    JsonObject *object;
    gint64 code;

    if (!message || !json_get_string(message, "event", &event, error))
        return FALSE;
    if (!strcmp(event, "status")) {
        if (!json_get_object(message, "status", &object, error))
            return FALSE;
        tell->status(w->id, object, tell->user);
    } else if (!strcmp(event, "answer")) {
        if (!json_get_int(message, "code", 200, 599, &code, error) ||
            !json_get_object(message, "body", &object, error))
            return FALSE;
        tell->answer(w->id, (int)code, object, tell->user);
    } else if (!strcmp(event, "decision")) {
        if (!json_get_string(message, "decision", &text, error))
            return FALSE;
        tell->decision(w->id, text, tell->user);
    } else if (!strcmp(event, "stuck")) {
        if (!json_get_string(message, "why", &text, error))
            return FALSE;
        tell->stuck(w->id, text, tell->user);
    } else if (!strcmp(event, "ended")) {
        w->ended = TRUE;
    } else {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA, "unknown event \"%.32s\"", event);
        return FALSE;
    }
    return TRUE;
}

/* The link broke. A worker that lost patience with us still listens; one that is dead does not. */
static void lost(worker *w)
{
    g_autoptr(GError) error = NULL;

    g_clear_handle_id(&w->source, g_source_remove);
    fdio_clear(&w->fd);
    if (w->ended || !connect_now(w, &error))
        gone(w);
}

static gboolean on_link(int fd, GIOCondition condition, gpointer user)
{
    worker *w = user;
    g_autofree char *id = g_strdup(w->id);
    GHashTable *table = w->owner->table;

    for (guint i = 0; i < PACKETS_TURN; i++) {
        g_autoptr(GError) error = NULL;
        g_autoptr(GBytes) packet = fdio_recv_message(fd, NULL, &error);
        if (!packet) {
            if (g_error_matches(error, G_IO_ERROR, G_IO_ERROR_WOULD_BLOCK))
                return G_SOURCE_CONTINUE;
            w->source = 0;
            lost(w);
            return G_SOURCE_REMOVE;
        }
        if (!understand(w, packet, &error))
            log_warning("a message of worker %.8s was not understood: %s", w->id, error->message);
        if (g_hash_table_lookup(table, id) != w || w->fd != fd)
            return G_SOURCE_REMOVE; /* what we told changed it */
    }
    return G_SOURCE_CONTINUE;
}

static gboolean send_json(worker *w, JsonObject *message, int fd, GError **error)
{
    g_autofree char *text = json_text(message);

    return fdio_send_message(w->fd, text, strlen(text), fd, error);
}

static gboolean connect_now(worker *w, GError **error)
{
    fdio_auto fd = fdio_unix_connect(w->socket, SOCK_SEQPACKET, error);

    if (fd < 0 || !fdio_set_nonblocking(fd, TRUE, error))
        return FALSE;
    w->fd = g_steal_fd(&fd);
    w->source = g_unix_fd_add(w->fd, G_IO_IN | G_IO_HUP | G_IO_ERR, on_link, w);
    if (w->start && !send_json(w, w->start, -1, error)) {
        g_prefix_error(error, "worker %.8s: ", w->id);
        return FALSE;
    }
    g_clear_pointer(&w->start, json_object_unref);
    return TRUE;
}

static gboolean on_knock(gpointer user)
{
    worker *w = user;
    g_autoptr(GError) error = NULL;

    w->source = 0;
    if (connect_now(w, &error))
        return G_SOURCE_REMOVE;
    g_clear_handle_id(&w->source, g_source_remove);
    fdio_clear(&w->fd);
    if (w->pid && g_get_monotonic_time() < w->deadline) {
        w->source = g_timeout_add(KNOCK_MS, on_knock, w);
        return G_SOURCE_REMOVE;
    }
    log_error("a worker did not start: %s", error->message);
    if (w->pid)
        kill(w->pid, SIGKILL); /* our own child, not yet reaped: the pid is still its */
    gone(w);
    return G_SOURCE_REMOVE;
}

/* A child may end after its id is free, or taken again: it is reaped by its own number. */
typedef struct {
    workers *owner;
    char *id;
} child;

static void child_free(gpointer data)
{
    child *c = data;

    g_free(c->id);
    g_free(c);
}

static void on_exit_of_child(GPid pid, int how, gpointer user)
{
    child *c = user;
    workers *self = c->owner;
    worker *w = g_hash_table_lookup(self->table, c->id);

    g_hash_table_remove(self->children, GINT_TO_POINTER(pid));
    if (WIFSIGNALED(how))
        log_warning("worker %.8s was ended by signal %d", c->id, WTERMSIG(how));
    else if (WEXITSTATUS(how))
        log_warning("worker %.8s ended with status %d", c->id, WEXITSTATUS(how));
    if (!w || w->pid != pid)
        return;
    w->pid = 0;
    if (w->fd < 0) /* else the link says when it is over, after what is still in it */
        gone(w);
}

gboolean workers_start(workers *self, const char *id, JsonObject *start, GError **error)
{
    g_autofree char *dir = g_build_filename(self->run_dir, id, NULL);
    child *c;
    worker *w;
    pid_t pid;
    guint source;

    if (g_hash_table_contains(self->table, id)) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_EXISTS, "a worker for %s is running already", id);
        return FALSE;
    }
    /* QEMU's user must reach its sockets in qemu/, and see nothing else. */
    if ((mkdir(dir, 0711) < 0 && errno != EEXIST) || chmod(dir, 0711) < 0)
        return fdio_error(error, errno, "%s", dir);
    if (!spawn_worker(self->program, self->config, id, !start, &pid, error)) {
        jobdir_remove(self->run_dir, id);
        return FALSE;
    }
    w = add(self, id);
    w->pid = pid;
    w->start = start ? json_object_ref(start) : NULL;
    w->deadline = g_get_monotonic_time() + START_MS * 1000;
    w->source = g_timeout_add(KNOCK_MS, on_knock, w);
    c = g_new0(child, 1);
    c->owner = self;
    c->id = g_strdup(id);
    source = g_child_watch_add_full(G_PRIORITY_DEFAULT, pid, on_exit_of_child, c, child_free);
    g_hash_table_insert(self->children, GINT_TO_POINTER(pid), GUINT_TO_POINTER(source));
    log_info("%.8s: worker %d %s", id, pid, start ? "begins" : "takes up what was left");
    return TRUE;
}

guint workers_adopt(workers *self)
{
    g_auto(GStrv) ids = jobdir_list(self->run_dir);
    guint count = 0;

    for (char **id = ids; *id; id++) {
        worker *w;
        if (g_hash_table_contains(self->table, *id))
            continue;
        w = add(self, *id);
        if (connect_now(w, NULL)) {
            count++;
            continue;
        }
        g_hash_table_remove(self->table, *id);
        jobdir_remove(self->run_dir, *id);
    }
    return count;
}

gboolean workers_send(workers *self, const char *id, JsonObject *message, int fd, GError **error)
{
    worker *w = g_hash_table_lookup(self->table, id);

    if (!w || w->fd < 0) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_NOT_CONNECTED, "no worker listens for %.8s", id);
        return FALSE;
    }
    return send_json(w, message, fd, error);
}

gboolean workers_has(const workers *self, const char *id)
{
    return g_hash_table_contains(self->table, id);
}

guint workers_count(const workers *self)
{
    return g_hash_table_size(self->table);
}
