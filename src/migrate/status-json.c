/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A migration as the API shows it (docs/api.md, "Migration"). */
#include "migrate/status-inside.h"

static void set_real(JsonObject *object, const char *member, gint64 microseconds)
{
    if (microseconds > 0)
        json_object_set_double_member(object, member, (double)microseconds / G_USEC_PER_SEC);
    else
        json_object_set_null_member(object, member);
}

static void set_text(JsonObject *object, const char *member, const char *text)
{
    if (text)
        json_object_set_string_member(object, member, text);
    else
        json_object_set_null_member(object, member);
}

static void set_child(JsonObject *object, const char *member, JsonObject *child)
{
    if (child)
        json_object_set_object_member(object, member, json_object_ref(child));
    else
        json_object_set_null_member(object, member);
}

static void set_waiting(JsonObject *object, const status *self)
{
    g_autofree char *both = NULL;

    if (phase_is_final(self->now)) {
        set_text(object, "waiting", NULL);
        return;
    }
    if (self->waiting && self->no_link)
        both = g_strdup_printf("%s; %s", self->waiting, self->no_link);
    set_text(object, "waiting", both ? both : self->waiting ? self->waiting : self->no_link);
}

static JsonObject *progress_json(const status *self)
{
    JsonObject *p = json_object_new();

    json_object_set_int_member(p, "done", (gint64)self->done);
    json_object_set_int_member(p, "total", (gint64)self->total);
    json_object_set_int_member(p, "rate", (gint64)self->rate);
    if (self->rate > 0 && self->total >= self->done)
        json_object_set_int_member(p, "eta", (gint64)((double)(self->total - self->done) / self->rate));
    else
        json_object_set_null_member(p, "eta");
    return p;
}

static JsonObject *channels_json(const status *self)
{
    JsonObject *c = json_object_new();

    json_object_set_int_member(c, "alive", self->stats.channels_alive);
    json_object_set_int_member(c, "wanted", self->setup.channels_wanted);
    json_object_set_int_member(c, "lost", self->stats.channels_lost);
    return c;
}

static void set_limit(JsonObject *object, const char *member, guint64 bytes)
{
    if (bytes)
        json_object_set_int_member(object, member, (gint64)bytes);
    else
        json_object_set_null_member(object, member);
}

static JsonObject *limits_json(const status *self)
{
    const status_limits *l = &self->limits;
    JsonObject *o = json_object_new();

    set_limit(o, "bandwidth", l->own);
    set_limit(o, "share", l->share);
    set_limit(o, "claim", l->claim);
    set_limit(o, "peer_share", l->peer_share);
    set_limit(o, "rate", l->rate);
    if (l->guard > 0)
        json_object_set_double_member(o, "latency_guard", l->guard);
    else
        json_object_set_null_member(o, "latency_guard");
    set_limit(o, "spared", l->spared);
    return o;
}

JsonObject *status_render_error(const status *self)
{
    JsonObject *e = json_object_new();

    json_object_set_string_member(e, "code", self->error_code);
    json_object_set_string_member(e, "text", self->error_text);
    return e;
}

static void set_settled(JsonObject *object, status_settled settled)
{
    if (settled == SETTLED_UNKNOWN)
        json_object_set_null_member(object, "settled");
    else
        json_object_set_boolean_member(object, "settled", settled == SETTLED_ALIVE);
}

JsonObject *status_render(const status *self)
{
    JsonObject *o = json_object_new();
    const session_stats *s = &self->stats;

    json_object_set_string_member(o, "id", self->id);
    json_object_set_int_member(o, "version", self->version);
    json_object_set_string_member(o, "role", self->role);
    json_object_set_string_member(o, "vm", self->vm);
    set_text(o, "vm_uuid", self->vm_uuid);
    json_object_set_string_member(o, "peer", self->peer);
    json_object_set_string_member(o, "phase", phase_name(self->now));
    set_waiting(o, self);
    set_real(o, "began", self->began);
    set_real(o, "phase_began", self->phase_began);
    set_real(o, "ended", self->ended);
    json_object_set_object_member(o, "progress", progress_json(self));
    json_object_set_int_member(o, "wire_bytes", (gint64)(s->wire_out + s->wire_in));
    json_object_set_int_member(o, "logical_bytes",
                               (gint64)(s->content[STREAM_DISK] + s->content[STREAM_MEMORY]));
    json_object_set_int_member(o, "found_bytes", (gint64)s->found);
    if (self->blackout >= 0)
        json_object_set_double_member(o, "blackout_ms", (double)self->blackout / 1000);
    else
        json_object_set_null_member(o, "blackout_ms");
    set_settled(o, self->settled);
    if (self->ended)
        json_object_set_double_member(o, "total_seconds",
                                      (double)(self->ended - self->began) / G_USEC_PER_SEC);
    else
        json_object_set_null_member(o, "total_seconds");
    json_object_set_object_member(o, "channels", channels_json(self));
    json_object_set_object_member(o, "limits", limits_json(self));
    set_child(o, "changes", self->changes);
    set_child(o, "way_back", self->way_back);
    set_child(o, "order", self->order);
    set_child(o, "hold", self->hold);
    json_object_set_array_member(o, "findings", findings_to_json(self->found));
    json_object_set_null_member(o, "error");
    if (self->error_code)
        json_object_set_object_member(o, "error", status_render_error(self));
    return o;
}
