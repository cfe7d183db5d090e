/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Control messages; see control.h. */
#include "migrate/control.h"

#include "base/hook.h"
#include "base/json.h"
#include "base/rate.h"

#include <string.h>
#include <sys/random.h>

#define TEXT_MAX 2048

static const struct {
    const char *name;
    gboolean from_source, from_target;
    const char *text; /* the member that carries the text, or NULL */
} ops[] = {
    [CONTROL_COMMIT] = {"commit", TRUE, FALSE, "token"},
    [CONTROL_DONE] = {"done", TRUE, FALSE, NULL},
    [CONTROL_STARTED] = {"started", FALSE, TRUE, NULL},
    [CONTROL_REFUSED] = {"refused", FALSE, TRUE, "why"},
    [CONTROL_ALIVE] = {"alive", FALSE, TRUE, NULL},
    [CONTROL_HOLD] = {"hold", TRUE, FALSE, NULL},
    [CONTROL_DIED] = {"died", FALSE, TRUE, "why"},
    [CONTROL_RATE] = {"rate", TRUE, TRUE, NULL},
    [CONTROL_ABORT] = {"abort", TRUE, TRUE, "why"},
};
G_STATIC_ASSERT(G_N_ELEMENTS(ops) == CONTROL_ABORT + 1);

gboolean control_token_ok(const char *token)
{
    return strlen(token) == CONTROL_TOKEN_SIZE &&
           strspn(token, "0123456789abcdef") == CONTROL_TOKEN_SIZE;
}

char *control_new_token(void)
{
    guint8 random[CONTROL_TOKEN_SIZE / 2];
    GString *text = g_string_new(NULL);

    if (getrandom(random, sizeof random, 0) != sizeof random)
        g_error("getrandom: no randomness"); /* cannot happen for 16 bytes once booted */
    for (guint i = 0; i < sizeof random; i++)
        g_string_append_printf(text, "%02x", random[i]);
    return g_string_free(text, FALSE);
}

static gboolean take_text(control_message *message, JsonObject *object, GError **error)
{
    const char *text;

    if (!json_get_string(object, ops[message->op].text, &text, error))
        return FALSE;
    if (strlen(text) > TEXT_MAX || (message->op == CONTROL_COMMIT && !control_token_ok(text))) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA, "\"%s\" is not valid",
                    ops[message->op].text);
        return FALSE;
    }
    message->text = g_strdup(text);
    return TRUE;
}

static gboolean take_rate(control_message *message, JsonObject *object, GError **error)
{
    gint64 bytes;

    if (!json_get_int(object, "bytes", 0, (gint64)RATE_MAX, &bytes, error))
        return FALSE;
    message->bytes = (guint64)bytes;
    return TRUE;
}

control_message *control_parse(const char *text, size_t length, session_role sender, GError **error)
{
    g_autoptr(control_message) message = g_new0(control_message, 1);
    g_autoptr(JsonObject) object = json_parse(text, (gssize)length, error);
    g_autofree char *step = NULL;
    const char *op;

    if (!object || !json_get_string(object, "op", &op, error)) {
        g_prefix_error(error, "control message: ");
        return NULL;
    }
    for (guint i = 0; i < G_N_ELEMENTS(ops); i++) {
        if (strcmp(op, ops[i].name) ||
            !(sender == SESSION_SOURCE ? ops[i].from_source : ops[i].from_target))
            continue;
        message->op = (control_op)i;
        if ((ops[i].text && !take_text(message, object, error)) ||
            (i == CONTROL_HOLD && !json_get_bool(object, "on", &message->on, error)) ||
            (i == CONTROL_RATE && !take_rate(message, object, error))) {
            g_prefix_error(error, "control message \"%s\": ", ops[i].name);
            return NULL;
        }
        step = g_strconcat("heard:", ops[i].name, NULL);
        hook_before(step);
        return g_steal_pointer(&message);
    }
    g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA,
                "control message \"%.40s\" is not one the other side may send", op);
    return NULL;
}

void control_message_free(control_message *self)
{
    if (!self)
        return;
    g_free(self->text);
    g_free(self);
}

static gboolean say(session *to, control_op op, JsonObject *object, GError **error)
{
    g_autofree char *step = g_strconcat("send:", ops[op].name, NULL);
    g_autofree char *line = NULL;
    gboolean sent;

    json_object_set_string_member(object, "op", ops[op].name);
    line = json_text(object);
    hook_before(step);
    if (hook_wrong(step)) /* it is lost on the way */
        return TRUE;
    sent = session_send_control(to, line, strlen(line), error);
    hook_after(step);
    return sent;
}

gboolean control_send_hold(session *to, gboolean on, GError **error)
{
    g_autoptr(JsonObject) object = json_object_new();

    json_object_set_boolean_member(object, "on", on);
    return say(to, CONTROL_HOLD, object, error);
}

gboolean control_send_rate(session *to, guint64 bytes, GError **error)
{
    g_autoptr(JsonObject) object = json_object_new();

    json_object_set_int_member(object, "bytes", (gint64)bytes);
    return say(to, CONTROL_RATE, object, error);
}

gboolean control_send(session *to, control_op op, const char *text, GError **error)
{
    g_autoptr(JsonObject) object = json_object_new();

    if (ops[op].text) {
        g_autofree char *whole = g_utf8_make_valid(text ? text : "", -1);
        /* Cut on a character, not inside one. */
        g_autofree char *cut = g_utf8_substring(whole, 0, MIN(g_utf8_strlen(whole, -1), TEXT_MAX / 4));
        json_object_set_string_member(object, ops[op].text, cut);
    }
    return say(to, op, object, error);
}
