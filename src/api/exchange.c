/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Answers and what is asked; see exchange.h. */
#include "api/exchange-inside.h"

#include "base/log.h"

#include <string.h>

#define LOG_AREA "api"
#define KEY      "ferry-exchange"

exchange *exchange_new(SoupServerMessage *message, connection *from, guint patience_ms)
{
    exchange *self = g_new0(exchange, 1);

    g_atomic_ref_count_init(&self->references);
    self->message = g_object_ref(message);
    self->from = connection_ref(from);
    self->patience_ms = patience_ms;
    self->parts = g_ptr_array_new_with_free_func(g_free);
    self->held = TRUE;
    g_object_set_data(G_OBJECT(message), KEY, self);
    return self;
}

exchange *exchange_of(SoupServerMessage *message)
{
    return g_object_get_data(G_OBJECT(message), KEY);
}

exchange *exchange_ref(exchange *self)
{
    g_atomic_ref_count_inc(&self->references);
    return self;
}

static void let_go(exchange *self)
{
    if (self->message && self->paused) {
        self->paused = FALSE;
        soup_server_message_unpause(self->message);
    }
}

void exchange_unref(exchange *self)
{
    /* Nobody is left who could answer. */
    if (g_atomic_int_get(&self->references) == 1 && !self->answered && self->message) {
        log_error("a request was left without an answer");
        exchange_fail(self, 500, "internal", "ferryd lost this request; its log may say why");
    }
    if (!g_atomic_ref_count_dec(&self->references))
        return;
    if (self->message)
        g_object_set_data(G_OBJECT(self->message), KEY, NULL);
    g_clear_object(&self->message);
    connection_unref(self->from);
    g_free(self->peer);
    g_ptr_array_unref(self->parts);
    g_clear_pointer(&self->query, g_hash_table_unref);
    g_clear_pointer(&self->body, json_object_unref);
    g_free(self);
}

const char *exchange_peer(const exchange *self)
{
    return self->peer;
}

const char *exchange_who(const exchange *self)
{
    return connection_who(self->from);
}

gint64 exchange_uid(const exchange *self)
{
    return connection_uid(self->from);
}

GBytes *exchange_certificate(const exchange *self)
{
    GPtrArray *chain = connection_chain(self->from);

    return chain && chain->len ? chain->pdata[0] : NULL;
}

const char *exchange_part(const exchange *self, guint n)
{
    g_return_val_if_fail(n < self->parts->len, "");
    return self->parts->pdata[n];
}

const char *exchange_query(const exchange *self, const char *name)
{
    return self->query ? g_hash_table_lookup(self->query, name) : NULL;
}

JsonObject *exchange_body(const exchange *self)
{
    return self->body;
}

gboolean exchange_answered(const exchange *self)
{
    return self->answered;
}

gboolean exchange_only(exchange *self, const char *const *members)
{
    g_autoptr(GList) given = json_object_get_members(self->body);

    for (GList *m = given; m; m = m->next)
        if (!g_strv_contains(members, m->data)) {
            g_autofree char *known = g_strjoinv(", ", (char **)members);
            exchange_fail(self, 400, "bad-request", "\"%.64s\" is not known here; known are: %s",
                          (char *)m->data, *known ? known : "none");
            return FALSE;
        }
    return TRUE;
}

void exchange_answer(exchange *self, guint status, JsonObject *body)
{
    g_autoptr(JsonObject) taken = body;

    if (self->answered)
        return;
    self->answered = TRUE;
    if (!self->message)
        return;
    soup_server_message_set_status(self->message, status, NULL);
    if (taken) {
        char *text = json_text(taken);
        soup_server_message_set_response(self->message, "application/json", SOUP_MEMORY_TAKE, text,
                                         strlen(text));
    }
    connection_theirs(self->from, self->patience_ms);
    let_go(self);
}

JsonObject *exchange_error(const char *code, const char *text, JsonArray *found)
{
    JsonObject *body = json_object_new(), *error = json_object_new();

    json_object_set_string_member(error, "code", code);
    json_object_set_string_member(error, "text", text);
    if (found)
        json_object_set_array_member(error, "findings", found);
    json_object_set_object_member(body, "error", error);
    return body;
}

void exchange_fail(exchange *self, guint status, const char *code, const char *format, ...)
{
    g_autofree char *text = NULL;
    g_autofree char *valid = NULL;
    va_list args;

    va_start(args, format);
    text = g_strdup_vprintf(format, args);
    va_end(args);
    valid = g_utf8_make_valid(text, -1);
    exchange_answer(self, status, exchange_error(code, valid, NULL));
}

void exchange_bad(exchange *self, GError *error)
{
    exchange_fail(self, 400, "bad-request", "%s", error->message);
    g_error_free(error);
}

void exchange_pause(exchange *self)
{
    if (self->answered || !self->message)
        return;
    self->paused = TRUE;
    soup_server_message_pause(self->message);
}

void exchange_release(exchange *self)
{
    if (!self->held)
        return;
    self->held = FALSE;
    exchange_unref(self);
}

void exchange_gone(exchange *self)
{
    g_object_set_data(G_OBJECT(self->message), KEY, NULL);
    self->paused = FALSE;
    g_clear_object(&self->message);
    exchange_release(self);
}
