/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Answers kept; see replies.h. */
#include "daemon/replies.h"

#include "base/fdio.h"
#include "base/log.h"

#include <string.h>

#define LOG_AREA "landings"

/* Prunings that what is over survives. */
#define LIVES 2

struct replies {
    char *run_dir;
    GHashTable *table; /* id -> reply */
};

typedef struct {
    char *peer, *digest; /* of the request */
    int code;
    JsonObject *body; /* NULL: not answered yet */
    guint lives;      /* left; 0: its landing is not over */
} reply;

static void reply_free(gpointer data)
{
    reply *r = data;

    g_free(r->peer);
    g_free(r->digest);
    g_clear_pointer(&r->body, json_object_unref);
    g_free(r);
}

replies *replies_new(const char *run_dir)
{
    replies *self = g_new0(replies, 1);

    self->run_dir = g_strdup(run_dir);
    self->table = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, reply_free);
    return self;
}

void replies_free(replies *self)
{
    if (!self)
        return;
    g_hash_table_unref(self->table);
    g_free(self->run_dir);
    g_free(self);
}

static void add(replies *self, const char *id, const char *peer, const char *request)
{
    reply *r = g_new0(reply, 1);

    r->peer = g_strdup(peer);
    r->digest = g_compute_checksum_for_string(G_CHECKSUM_SHA256, request, -1);
    g_hash_table_replace(self->table, g_strdup(id), r);
}

static char *file_of(const replies *self, const char *id)
{
    return g_build_filename(self->run_dir, id, "asked.json", NULL);
}

void replies_begin(replies *self, const char *id, const char *peer, const char *request)
{
    g_autofree char *file = file_of(self, id);
    g_autoptr(GError) error = NULL;

    add(self, id, peer, request);
    if (!fdio_replace_file(file, request, strlen(request), 0600, &error))
        log_warning("this landing does not outlive ferryd before it is answered: %s", error->message);
}

JsonObject *replies_restore(replies *self, const char *id)
{
    g_autofree char *file = file_of(self, id), *text = NULL;
    g_autoptr(JsonObject) start = NULL;
    const char *peer;
    gsize length;

    if (g_file_get_contents(file, &text, &length, NULL))
        start = json_parse(text, (gssize)length, NULL);
    if (!start || !json_get_string(start, "peer", &peer, NULL))
        return NULL;
    add(self, id, peer, text);
    return g_steal_pointer(&start);
}

gboolean replies_same(const replies *self, const char *id, const char *peer, const char *request)
{
    g_autofree char *digest = g_compute_checksum_for_string(G_CHECKSUM_SHA256, request, -1);
    const reply *r = g_hash_table_lookup(self->table, id);

    return r && !g_ascii_strcasecmp(r->peer, peer) && !strcmp(r->digest, digest);
}

void replies_set(replies *self, const char *id, int code, JsonObject *body)
{
    reply *r = g_hash_table_lookup(self->table, id);

    if (!r || r->body)
        return;
    r->code = code;
    r->body = json_object_ref(body);
}

JsonObject *replies_get(const replies *self, const char *id, int *code)
{
    const reply *r = g_hash_table_lookup(self->table, id);

    if (!r || !r->body)
        return NULL;
    *code = r->code;
    return r->body;
}

void replies_end(replies *self, const char *id)
{
    reply *r = g_hash_table_lookup(self->table, id);

    /* There is nothing to land on any more: better no answer than a good one. */
    if (r && (!r->body || r->code < 300))
        g_hash_table_remove(self->table, id);
    else if (r)
        r->lives = LIVES;
}

static gboolean is_spent(gpointer key, gpointer value, gpointer user)
{
    reply *r = value;

    return r->lives && --r->lives == 0;
}

void replies_prune(replies *self)
{
    g_hash_table_foreach_remove(self->table, is_spent, NULL);
}
