/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The table of migrations; see moves.h. */
#include "daemon/moves.h"

#include "base/log.h"
#include "daemon/pending.h"
#include "migrate/record.h"

#include <string.h>

#define LOG_AREA    "moves"
#define WAIT_MS     25000
#define HISTORY_MAX 200
#define RECENT_S    3600
#define PREFIX_MIN  4

struct moves {
    journal *book;
    GHashTable *table; /* id -> move */
    void (*changed)(const char *id, phase now, gpointer user);
    gpointer user;
};

typedef struct {
    char *id;
    JsonObject *status;
    phase now;
    gint64 version;
    GPtrArray *waiting; /* of waiter */
} move;

typedef struct {
    exchange *x;
    move *of;
    guint timer;
} waiter;

static void waiter_free(gpointer data)
{
    waiter *w = data;

    g_clear_handle_id(&w->timer, g_source_remove);
    exchange_unref(w->x);
    g_free(w);
}

/* Tells all who wait for this one. */
static void tell(move *m)
{
    g_autoptr(GPtrArray) waiting = m->waiting;

    m->waiting = g_ptr_array_new_with_free_func(waiter_free);
    for (guint i = 0; i < waiting->len; i++)
        exchange_answer(((waiter *)waiting->pdata[i])->x, 200, json_object_ref(m->status));
}

static void move_free(gpointer data)
{
    move *m = data;

    tell(m);
    g_ptr_array_unref(m->waiting);
    json_object_unref(m->status);
    g_free(m->id);
    g_free(m);
}

moves *moves_new(journal *book, void (*changed)(const char *id, phase now, gpointer user),
                 gpointer user)
{
    moves *self = g_new0(moves, 1);

    self->book = book;
    self->changed = changed;
    self->user = user;
    self->table = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, move_free);
    return self;
}

void moves_free(moves *self)
{
    if (!self)
        return;
    g_hash_table_unref(self->table);
    g_free(self);
}

static const char *text_in(JsonObject *status, const char *member)
{
    const char *text;

    return json_opt_string(status, member, &text, "", NULL) ? text : "";
}

static gboolean phase_in(JsonObject *status, phase *now)
{
    return phase_from_name(text_in(status, "phase"), now);
}

void moves_set(moves *self, const char *id, JsonObject *status)
{
    move *m = g_hash_table_lookup(self->table, id);
    gint64 version;
    phase now, before = m ? m->now : PHASES;

    if (!phase_in(status, &now) || strcmp(text_in(status, "id"), id) ||
        !json_opt_int(status, "version", 0, G_MAXINT64 / 2, &version, 0, NULL)) {
        log_warning("a status of %.8s makes no sense", id);
        return;
    }
    if (!m) {
        m = g_new0(move, 1);
        m->id = g_strdup(id);
        m->waiting = g_ptr_array_new_with_free_func(waiter_free);
        m->status = json_object_ref(status);
        g_hash_table_insert(self->table, m->id, m);
    }
    /* Who follows a move must see its version grow, whoever reports it and however often it was
     * begun anew. */
    m->version = MAX(version, m->version + 1);
    json_object_unref(m->status);
    m->status = json_copy(status);
    json_object_set_int_member(m->status, "version", m->version);
    m->now = now;
    tell(m);
    if (now != before && self->changed)
        self->changed(m->id, now, self->user);
}

void moves_set_entry(moves *self, const journal_entry *entry, const char *waiting)
{
    g_autoptr(JsonObject) status = record_json(entry);

    if (waiting)
        json_object_set_string_member(status, "waiting", waiting);
    moves_set(self, entry->id, status);
}

void moves_fail(moves *self, const char *id, const char *code, const char *text)
{
    move *m = g_hash_table_lookup(self->table, id);
    g_autoptr(JsonObject) status = NULL;
    JsonObject *error;

    if (!m || phase_is_final(m->now))
        return;
    status = json_copy(m->status);
    error = json_object_new();
    json_object_set_string_member(error, "code", code);
    json_object_set_string_member(error, "text", text);
    json_object_set_object_member(status, "error", error);
    json_object_set_string_member(
        status, "phase", phase_name(strcmp(code, "cancelled") ? PHASE_FAILED : PHASE_CANCELLED));
    json_object_set_null_member(status, "waiting");
    json_object_set_double_member(status, "ended", (double)g_get_real_time() / G_USEC_PER_SEC);
    moves_set(self, id, status);
}

void moves_drop(moves *self, const char *id)
{
    g_hash_table_remove(self->table, id);
}

static gboolean is_old(gpointer key, gpointer value, gpointer since)
{
    const move *m = value;

    return phase_is_final(m->now) &&
           json_object_get_double_member_with_default(m->status, "ended", 0) < *(double *)since;
}

void moves_prune(moves *self)
{
    double since = (double)g_get_real_time() / G_USEC_PER_SEC - RECENT_S;

    g_hash_table_foreach_remove(self->table, is_old, &since);
}

gboolean moves_get(const moves *self, const char *id, phase *now, const char **role,
                   const char **peer)
{
    move *m = g_hash_table_lookup(self->table, id);

    if (!m)
        return FALSE;
    if (now)
        *now = m->now;
    if (role)
        *role = text_in(m->status, "role");
    if (peer)
        *peer = text_in(m->status, "peer");
    return TRUE;
}

static gboolean is_of(const move *m, const char *role)
{
    return !phase_is_final(m->now) && !strcmp(text_in(m->status, "role"), role);
}

void moves_each(const moves *self,
                void (*each)(const char *id, phase now, JsonObject *status, gpointer user),
                gpointer user)
{
    GHashTableIter at;
    gpointer value;

    g_hash_table_iter_init(&at, self->table);
    while (g_hash_table_iter_next(&at, NULL, &value)) {
        const move *m = value;
        each(m->id, m->now, m->status, user);
    }
}

const char *moves_leaving(const moves *self, const char *vm)
{
    GHashTableIter at;
    gpointer value;

    g_hash_table_iter_init(&at, self->table);
    while (g_hash_table_iter_next(&at, NULL, &value)) {
        const move *m = value;
        /* One that only tidies up has left already, or was taken back. */
        if (is_of(m, "source") && m->now != PHASE_CLEANING &&
            (!strcmp(text_in(m->status, "vm"), vm) ||
             !g_ascii_strcasecmp(text_in(m->status, "vm_uuid"), vm)))
            return m->id;
    }
    return NULL;
}

guint moves_unfinished(const moves *self, const char *role)
{
    GHashTableIter at;
    gpointer value;
    guint count = 0;

    g_hash_table_iter_init(&at, self->table);
    while (g_hash_table_iter_next(&at, NULL, &value))
        count += is_of(value, role);
    return count;
}

static double began(JsonObject *status)
{
    return json_object_get_double_member_with_default(status, "began", 0);
}

static gboolean finished(JsonObject *status)
{
    phase now;

    return phase_in(status, &now) && phase_is_final(now);
}

static int latest_first(gconstpointer a, gconstpointer b)
{
    JsonObject *one = *(JsonObject *const *)a, *other = *(JsonObject *const *)b;
    gboolean done = finished(one), other_done = finished(other);

    if (done != other_done)
        return done ? 1 : -1;
    return began(one) < began(other) ? 1 : began(one) > began(other) ? -1 : 0;
}

/* All that are known, memory before journal, in the order of moves_list. Elements are JsonObject.
 */
static GPtrArray *known(moves *self)
{
    GPtrArray *all = g_ptr_array_new_with_free_func((GDestroyNotify)json_object_unref);
    g_autoptr(GError) error = NULL;
    g_autoptr(GPtrArray) entries = journal_list(self->book, FALSE, HISTORY_MAX, &error);
    GHashTableIter at;
    gpointer value;

    if (error)
        log_warning("the history cannot be read: %s", error->message);
    g_hash_table_iter_init(&at, self->table);
    while (g_hash_table_iter_next(&at, NULL, &value))
        g_ptr_array_add(all, json_object_ref(((move *)value)->status));
    for (guint i = 0; entries && i < entries->len; i++) {
        const journal_entry *entry = entries->pdata[i];
        if (!g_hash_table_contains(self->table, entry->id))
            g_ptr_array_add(all, record_json(entry));
    }
    g_ptr_array_sort(all, latest_first);
    return all;
}

JsonObject *moves_find(moves *self, const char *what, GError **error)
{
    g_autofree char *lower = g_ascii_strdown(what, -1);
    const move *followed = g_hash_table_lookup(self->table, lower);
    g_autoptr(GPtrArray) all = followed ? NULL : known(self);
    JsonObject *by_prefix = NULL;

    if (followed) /* the usual case: nobody reads the history for each change of a move */
        return json_object_ref(followed->status);
    for (guint i = 0; i < all->len; i++)
        if (!strcmp(text_in(all->pdata[i], "id"), lower))
            return json_object_ref(all->pdata[i]);
    for (guint i = 0; i < all->len; i++)
        if (!strcmp(text_in(all->pdata[i], "vm"), what))
            return json_object_ref(all->pdata[i]);
    for (guint i = 0; strlen(lower) >= PREFIX_MIN && i < all->len; i++) {
        if (!g_str_has_prefix(text_in(all->pdata[i], "id"), lower))
            continue;
        if (by_prefix) {
            g_set_error(error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND,
                        "several moves have an id that begins with '%.64s': give more digits",
                        what);
            return NULL;
        }
        by_prefix = all->pdata[i];
    }
    if (by_prefix)
        return json_object_ref(by_prefix);
    g_set_error(error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND,
                "no move '%.64s' is known here: 'ferry list --all' shows those that are", what);
    return NULL;
}

JsonArray *moves_list(moves *self, gboolean all)
{
    g_autoptr(GPtrArray) list = known(self);
    JsonArray *array = json_array_new();
    double since = (double)g_get_real_time() / G_USEC_PER_SEC - RECENT_S;

    for (guint i = 0; i < list->len; i++) {
        JsonObject *status = list->pdata[i];
        if (all || !finished(status) ||
            json_object_get_double_member_with_default(status, "ended", 0) > since)
            json_array_add_object_element(array, json_object_ref(status));
    }
    return array;
}

static gboolean on_timeout(gpointer user)
{
    waiter *w = user;
    move *m = w->of;

    w->timer = 0;
    exchange_answer(w->x, 200, json_object_ref(m->status));
    g_ptr_array_remove(m->waiting, w);
    return G_SOURCE_REMOVE;
}

gboolean moves_wait(moves *self, const char *id, gint64 version, exchange *x)
{
    move *m = g_hash_table_lookup(self->table, id);
    waiter *w;

    if (!m || m->version != version || phase_is_final(m->now))
        return FALSE;
    w = g_new0(waiter, 1);
    w->x = exchange_ref(x);
    w->of = m;
    w->timer = g_timeout_add(WAIT_MS, on_timeout, w);
    g_ptr_array_add(m->waiting, w);
    return TRUE;
}
