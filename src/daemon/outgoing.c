/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The queue of moves away from here; see outgoing.h. */
#include "daemon/outgoing.h"

#include "base/fdio.h"
#include "base/log.h"
#include "daemon/ferryd.h"

#include <string.h>

#define LOG_AREA "queue"

struct outgoing {
    ferryd *owner;
    GQueue *queue; /* of waiting_move */
};

typedef struct {
    request *asked;
    double began;  /* Unix time, seconds */
    char *waiting; /* as last shown */
} waiting_move;

static void waiting_move_free(waiting_move *w)
{
    request_free(w->asked);
    g_free(w->waiting);
    g_free(w);
}

outgoing *outgoing_new(ferryd *owner)
{
    outgoing *self = g_new0(outgoing, 1);

    self->owner = owner;
    self->queue = g_queue_new();
    return self;
}

void outgoing_free(outgoing *self)
{
    if (!self)
        return;
    g_queue_free_full(self->queue, (GDestroyNotify)waiting_move_free);
    g_free(self);
}

static char *file_of(const outgoing *self)
{
    return g_build_filename(self->owner->conf->state_dir, "queue.json", NULL);
}

static gboolean save(const outgoing *self, GError **error)
{
    g_autoptr(JsonObject) object = json_object_new();
    g_autofree char *file = file_of(self), *text = NULL;
    JsonArray *array = json_array_new();

    for (GList *l = self->queue->head; l; l = l->next) {
        const waiting_move *w = l->data;
        JsonObject *element = json_object_new();
        json_object_set_object_member(element, "request", request_to_json(w->asked));
        json_object_set_double_member(element, "began", w->began);
        json_array_add_object_element(array, element);
    }
    json_object_set_array_member(object, "queue", array);
    text = json_text(object);
    return fdio_replace_file(file, text, strlen(text), 0600, error);
}

/* What does not save leaves an entry too many: it is noticed when the queue is loaded. */
static void save_or_log(const outgoing *self)
{
    g_autoptr(GError) error = NULL;

    if (!save(self, &error))
        log_warning("%s", error->message);
}

/* As a worker will show them. */
static JsonObject *limits_of(const outgoing *self, const request *asked)
{
    static const char *const unknown[] = {"share", "claim", "peer_share", "rate", "spared"};
    const settings *conf = self->owner->conf;
    gint64 wanted = asked->limits.bandwidth;
    guint64 own = wanted >= 0 ? (guint64)wanted : conf->move_bandwidth;
    double guard = asked->synchronous                  ? 0
                   : asked->limits.latency_guard >= 0 ? asked->limits.latency_guard
                                                      : conf->latency_guard;
    JsonObject *limits = json_object_new();

    for (guint i = 0; i < G_N_ELEMENTS(unknown); i++)
        json_object_set_null_member(limits, unknown[i]);
    json_object_set_null_member(limits, "bandwidth");
    if (own)
        json_object_set_int_member(limits, "bandwidth", (gint64)own);
    json_object_set_null_member(limits, "latency_guard");
    if (guard > 0)
        json_object_set_double_member(limits, "latency_guard", guard);
    return limits;
}

/* A migration object (docs/api.md) of a move that no worker reports on yet. */
static void show(outgoing *self, const waiting_move *w)
{
    static const char *const unknown[] = {"vm_uuid", "ended",    "blackout_ms", "total_seconds",
                                          "changes", "way_back", "error"};
    g_autoptr(JsonObject) status = json_object_new();
    JsonObject *progress = json_object_new(), *channels = json_object_new();

    json_object_set_string_member(status, "id", w->asked->id);
    json_object_set_int_member(status, "version", 0);
    json_object_set_string_member(status, "role", "source");
    json_object_set_string_member(status, "vm", w->asked->vm);
    json_object_set_string_member(status, "peer", w->asked->target);
    json_object_set_string_member(status, "phase", phase_name(PHASE_QUEUED));
    json_object_set_string_member(status, "waiting", w->waiting);
    json_object_set_double_member(status, "began", w->began);
    json_object_set_double_member(status, "phase_began", w->began);
    for (guint i = 0; i < G_N_ELEMENTS(unknown); i++)
        json_object_set_null_member(status, unknown[i]);
    json_object_set_int_member(progress, "done", 0);
    json_object_set_int_member(progress, "total", 0);
    json_object_set_int_member(progress, "rate", 0);
    json_object_set_null_member(progress, "eta");
    json_object_set_object_member(status, "progress", progress);
    json_object_set_int_member(status, "wire_bytes", 0);
    json_object_set_int_member(status, "logical_bytes", 0);
    json_object_set_int_member(status, "found_bytes", 0);
    json_object_set_int_member(channels, "alive", 0);
    json_object_set_int_member(channels, "wanted", self->owner->conf->channels);
    json_object_set_int_member(channels, "lost", 0);
    json_object_set_object_member(status, "channels", channels);
    json_object_set_object_member(status, "limits", limits_of(self, w->asked));
    json_object_set_null_member(status, "hold");
    if (w->asked->hold)
        json_object_set_object_member(status, "hold", request_hold_json("preparing", w->asked->cutover_at,
                                                        w->asked->group));
    json_object_set_array_member(status, "findings", json_array_new());
    moves_set(self->owner->known, w->asked->id, status);
}

static void set_waiting(outgoing *self, waiting_move *w, guint ahead)
{
    guint held = admission_held(self->owner->leaving);
    g_autofree char *before =
        ahead ? g_strdup_printf(", and %u more before this one", ahead) : g_strdup("");
    char *text = g_strdup_printf("a free slot here: %u of %u moves are leaving this host "
                                 "(max-outgoing)%s",
                                 held, self->owner->conf->max_outgoing, before);

    if (!g_strcmp0(text, w->waiting)) {
        g_free(text);
        return;
    }
    g_free(w->waiting);
    w->waiting = text;
    show(self, w);
}

static JsonObject *start_message(const request *asked)
{
    JsonObject *message = json_object_new();

    json_object_set_string_member(message, "op", "start");
    json_object_set_string_member(message, "mode", "migrate");
    json_object_set_object_member(message, "request", request_to_json(asked));
    return message;
}

static void start(outgoing *self, waiting_move *w)
{
    g_autoptr(JsonObject) message = start_message(w->asked);
    g_autoptr(GError) error = NULL;

    g_free(w->waiting);
    w->waiting = NULL;
    show(self, w);
    if (!workers_start(self->owner->crew, w->asked->id, message, &error)) {
        log_error("%.8s: no worker can be started: %s", w->asked->id, error->message);
        admission_leave(self->owner->leaving, w->asked->id);
        moves_fail(self->owner->known, w->asked->id, "internal", error->message);
    }
}

void outgoing_pump(outgoing *self)
{
    gint64 now = g_get_monotonic_time();
    gboolean started = FALSE;

    for (GList *l = self->queue->head, *next; l; l = next) {
        waiting_move *w = l->data;
        guint ahead = 0;
        next = l->next;
        if (!admission_ask(self->owner->leaving, w->asked->id, 0, now, &ahead)) {
            set_waiting(self, w, ahead);
            continue;
        }
        g_queue_delete_link(self->queue, l);
        start(self, w);
        waiting_move_free(w);
        started = TRUE;
    }
    if (started)
        save_or_log(self);
}

static void take(outgoing *self, request *asked, double began)
{
    waiting_move *w = g_new0(waiting_move, 1);

    w->asked = asked;
    w->began = began;
    g_queue_push_tail(self->queue, w);
}

gboolean outgoing_add(outgoing *self, request *asked, GError **error)
{
    take(self, asked, (double)g_get_real_time() / G_USEC_PER_SEC);
    if (!save(self, error)) {
        waiting_move_free(g_queue_pop_tail(self->queue));
        return FALSE;
    }
    show(self, g_queue_peek_tail(self->queue));
    log_info("%.8s: %s is to move to %s", asked->id, asked->vm, asked->target);
    outgoing_pump(self);
    return TRUE;
}

gboolean outgoing_set(outgoing *self, const char *id, const request_limits *wanted, GError **error)
{
    for (GList *l = self->queue->head; l; l = l->next) {
        waiting_move *w = l->data;
        request_limits *limits = &w->asked->limits, before = *limits;
        if (strcmp(w->asked->id, id))
            continue;
        if (w->asked->synchronous && wanted->latency_guard > 0) {
            g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT,
                        "this move's mirror is synchronous, and with that there is no latency guard");
            return FALSE;
        }
        if (wanted->bandwidth >= 0)
            limits->bandwidth = wanted->bandwidth;
        if (wanted->latency_guard >= 0)
            limits->latency_guard = wanted->latency_guard;
        if (!save(self, error)) {
            *limits = before;
            return FALSE;
        }
        show(self, w);
        return TRUE;
    }
    return FALSE;
}

gboolean outgoing_cutover(outgoing *self, const char *id, gint64 at, GError **error)
{
    for (GList *l = self->queue->head; l; l = l->next) {
        waiting_move *w = l->data;
        gboolean held = w->asked->hold;
        gint64 before = w->asked->cutover_at;
        if (strcmp(w->asked->id, id))
            continue;
        w->asked->hold = at != 0;
        w->asked->cutover_at = at;
        if (!save(self, error)) {
            w->asked->hold = held;
            w->asked->cutover_at = before;
            return FALSE;
        }
        show(self, w);
        return TRUE;
    }
    return FALSE;
}

gboolean outgoing_remove(outgoing *self, const char *id)
{
    for (GList *l = self->queue->head; l; l = l->next) {
        waiting_move *w = l->data;
        if (strcmp(w->asked->id, id))
            continue;
        g_queue_delete_link(self->queue, l);
        waiting_move_free(w);
        admission_leave(self->owner->leaving, id);
        save_or_log(self);
        outgoing_pump(self); /* the others move up */
        return TRUE;
    }
    return FALSE;
}

static void load_one(outgoing *self, JsonNode *node)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(request) asked = NULL;
    g_autoptr(journal_entry) entry = NULL;
    JsonObject *object;
    double began;

    if (!JSON_NODE_HOLDS_OBJECT(node) ||
        !json_get_object(json_node_get_object(node), "request", &object, &error) ||
        !(asked = request_from_json(object, &error)) || !asked->id) {
        log_warning("a queued move was not understood: %s", error ? error->message : "no id");
        return;
    }
    began = json_object_get_double_member_with_default(json_node_get_object(node), "began", 0);
    entry = journal_find(self->owner->book, asked->id, NULL);
    if (entry)
        return; /* it has begun since */
    if (workers_has(self->owner->crew, asked->id)) {
        /* ferryd may have died before it had told its worker. One that knows already takes no
         * notice. */
        g_autoptr(JsonObject) message = start_message(asked);
        admission_take(self->owner->leaving, asked->id);
        (void)workers_send(self->owner->crew, asked->id, message, -1, NULL);
        return;
    }
    take(self, g_steal_pointer(&asked), began);
    show(self, g_queue_peek_tail(self->queue));
}

void outgoing_load(outgoing *self)
{
    g_autofree char *file = file_of(self), *text = NULL;
    g_autoptr(JsonObject) object = NULL;
    g_autoptr(GError) error = NULL;
    JsonArray *array;
    gsize length;

    if (!g_file_get_contents(file, &text, &length, NULL))
        return;
    object = json_parse(text, (gssize)length, &error);
    if (!object || !json_get_array(object, "queue", &array, &error)) {
        log_warning("%s: %s; the moves queued there are lost", file, error->message);
        return;
    }
    for (guint i = 0; i < json_array_get_length(array); i++)
        load_one(self, json_array_get_element(array, i));
    outgoing_pump(self);
}
