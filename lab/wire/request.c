/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What can be asked of a running wire. */
#include "request.h"

#include <string.h>

gboolean request_settings_valid(const struct link_settings *s, GError **error)
{
    const char *wrong = NULL;

    /* Written so that "not a number" fails too. */
    if (!(s->delay_ms >= 0 && s->delay_ms <= LINK_DELAY_MS_MAX))
        wrong = "the delay is 0 to 60000 ms";
    else if (!(s->loss >= 0 && s->loss <= 100))
        wrong = "the loss is 0 to 100 percent";
    else if (!(s->rate_mbit == 0 || (s->rate_mbit >= 0.001 && s->rate_mbit <= LINK_RATE_MBIT_MAX)))
        wrong = "the rate is 0.001 to 100000 Mbit/s, or 0 for no limit";
    else if (s->queue < 1 || s->queue > LINK_QUEUE_MAX)
        wrong = "the queue is 1 to 1000000 frames";
    if (wrong)
        g_set_error_literal(error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT, wrong);
    return wrong == NULL;
}

static gboolean number_of(JsonNode *n, double *number)
{
    if (!JSON_NODE_HOLDS_VALUE(n) || (json_node_get_value_type(n) != G_TYPE_DOUBLE &&
                                      json_node_get_value_type(n) != G_TYPE_INT64))
        return FALSE;
    *number = json_node_get_double(n);
    return TRUE;
}

/* Changes the member NAME of S to VALUE; FALSE when there is no such member or it takes no such
 * value. */
static gboolean change(struct link_settings *s, const char *name, JsonNode *value)
{
    double number;

    if (strcmp(name, "blackhole") == 0) {
        if (!JSON_NODE_HOLDS_VALUE(value) || json_node_get_value_type(value) != G_TYPE_BOOLEAN)
            return FALSE;
        s->blackhole = json_node_get_boolean(value);
        return TRUE;
    }
    if (!number_of(value, &number))
        return FALSE;
    if (strcmp(name, "delay_ms") == 0)
        s->delay_ms = number;
    else if (strcmp(name, "loss") == 0)
        s->loss = number;
    else if (strcmp(name, "rate_mbit") == 0)
        s->rate_mbit = number;
    else if (strcmp(name, "queue") == 0)
        s->queue = (guint)CLAMP(number, 0, LINK_QUEUE_MAX + 1.0);
    else
        return FALSE;
    return TRUE;
}

/* First all is checked, then all is changed. */
static gboolean set(struct wire *w, JsonObject *o, GError **error)
{
    const char *direction =
        json_object_has_member(o, "direction") ? control_string(o, "direction") : "both";
    gboolean both = g_strcmp0(direction, "both") == 0;
    gboolean named[2] = {both || g_strcmp0(direction, "ab") == 0,
                         both || g_strcmp0(direction, "ba") == 0};
    struct link_settings s[2] = {*link_settings(w->link[0]), *link_settings(w->link[1])};
    g_autoptr(GList) members = json_object_get_members(o);

    if (!named[0] && !named[1]) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT,
                    "there is no such direction; it is ab, ba or both");
        return FALSE;
    }
    for (GList *m = members; m; m = m->next) {
        if (strcmp(m->data, "op") == 0 || strcmp(m->data, "direction") == 0)
            continue;
        for (int d = 0; d < 2; d++)
            if (named[d] && !change(&s[d], m->data, json_object_get_member(o, m->data))) {
                g_set_error(
                    error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT,
                    "'%s' cannot be set so; set takes the numbers delay_ms, loss, rate_mbit "
                    "and queue, and blackhole, which is true or false",
                    (char *)m->data);
                return FALSE;
            }
    }
    if (!request_settings_valid(&s[0], error) || !request_settings_valid(&s[1], error))
        return FALSE;
    for (int d = 0; d < 2; d++)
        link_set(w->link[d], &s[d]);
    return TRUE;
}

static JsonObject *tell_direction(const struct wire *w, int d)
{
    const struct link_settings *s = link_settings(w->link[d]);
    struct link_counters c;
    JsonObject *o = json_object_new();

    link_counters(w->link[d], &c);
    json_object_set_double_member(o, "delay_ms", s->delay_ms);
    json_object_set_double_member(o, "loss", s->loss);
    json_object_set_double_member(o, "rate_mbit", s->rate_mbit);
    json_object_set_int_member(o, "queue", s->queue);
    json_object_set_boolean_member(o, "blackhole", s->blackhole);
    json_object_set_int_member(o, "in_frames", (gint64)c.in_frames);
    json_object_set_int_member(o, "in_bytes", (gint64)c.in_bytes);
    json_object_set_int_member(o, "out_frames", (gint64)c.out_frames);
    json_object_set_int_member(o, "out_bytes", (gint64)c.out_bytes);
    json_object_set_int_member(o, "lost", (gint64)c.lost);
    json_object_set_int_member(o, "overflown", (gint64)c.overflown);
    json_object_set_int_member(o, "swallowed", (gint64)c.swallowed);
    return o;
}

static JsonNode *tell(const struct wire *w)
{
    JsonNode *n = control_ok();
    JsonObject *o = json_node_get_object(n);

    json_object_set_object_member(o, "ab", tell_direction(w, 0));
    json_object_set_object_member(o, "ba", tell_direction(w, 1));
    json_object_set_int_member(o, "dropped_a", (gint64)port_dropped(w->port[0]));
    json_object_set_int_member(o, "dropped_b", (gint64)port_dropped(w->port[1]));
    json_object_set_int_member(o, "missed_a", (gint64)port_missed(w->port[0]));
    json_object_set_int_member(o, "missed_b", (gint64)port_missed(w->port[1]));
    return n;
}

void request_run(gpointer user, const char *line, control_done done, gpointer to)
{
    struct wire *w = user;
    g_autoptr(JsonNode) n = json_from_string(line, NULL);
    JsonObject *o = n && JSON_NODE_HOLDS_OBJECT(n) ? json_node_get_object(n) : NULL;
    const char *op = o ? control_string(o, "op") : NULL;
    g_autoptr(GError) error = NULL;
    JsonNode *answer;

    g_mutex_lock(&w->lock);
    if (g_strcmp0(op, "stats") == 0)
        answer = tell(w);
    else if (g_strcmp0(op, "set") == 0)
        answer = set(w, o, &error) ? tell(w) : control_error(error->message);
    else
        answer = control_error("ask with a line {\"op\": \"set\", …} or {\"op\": \"stats\"}");
    g_mutex_unlock(&w->lock);
    done(to, answer);
}
