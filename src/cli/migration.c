/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A migration as the API shows it; see migration.h. */
#include "cli/migration.h"

#include "cli/cli.h"
#include "cli/report.h"

#include <string.h>

static double real(JsonObject *object, const char *member)
{
    JsonNode *node = object ? json_object_get_member(object, member) : NULL;

    if (!node || !JSON_NODE_HOLDS_VALUE(node) ||
        (json_node_get_value_type(node) != G_TYPE_DOUBLE &&
         json_node_get_value_type(node) != G_TYPE_INT64))
        return -1;
    return json_node_get_double(node);
}

static gint64 whole(JsonObject *object, const char *member)
{
    gint64 value;

    return object && json_opt_int(object, member, 0, G_MAXINT64, &value, -1, NULL) ? value : -1;
}

static const char *string(JsonObject *object, const char *member)
{
    const char *text;

    return object && json_opt_string(object, member, &text, NULL, NULL) ? text : NULL;
}

static JsonObject *child(JsonObject *object, const char *member)
{
    JsonObject *value;

    return object && json_get_object(object, member, &value, NULL) ? value : NULL;
}

static JsonArray *list(JsonObject *object, const char *member)
{
    JsonArray *value;

    return object && json_get_array(object, member, &value, NULL) ? value : NULL;
}

migration *migration_from_json(JsonObject *object, GError **error)
{
    g_autoptr(migration) self = g_new0(migration, 1);
    JsonObject *progress = child(object, "progress"), *channels = child(object, "channels");
    JsonObject *limits = child(object, "limits");
    JsonObject *failure = child(object, "error"), *way_back = child(object, "way_back");

    self->json = json_object_ref(object);
    if (!json_get_string(object, "id", &self->id, error) ||
        !json_get_string(object, "vm", &self->vm, error) ||
        !json_get_string(object, "peer", &self->peer, error) ||
        !json_get_string(object, "phase", &self->phase, error) ||
        !json_get_int(object, "version", 0, G_MAXINT64, &self->version, error)) {
        g_prefix_error(error, "ferryd showed a migration this program cannot read: ");
        return NULL;
    }
    self->source = g_strcmp0(string(object, "role"), "target") != 0;
    self->waiting = string(object, "waiting");
    self->error_code = string(failure, "code");
    self->error_text = string(failure, "text");
    self->began = real(object, "began");
    self->phase_began = real(object, "phase_began");
    self->ended = real(object, "ended");
    self->done = whole(progress, "done");
    self->total = whole(progress, "total");
    self->rate = whole(progress, "rate");
    self->eta = whole(progress, "eta");
    self->wire_bytes = whole(object, "wire_bytes");
    self->logical_bytes = whole(object, "logical_bytes");
    self->found_bytes = whole(object, "found_bytes");
    self->blackout_ms = real(object, "blackout_ms");
    self->total_seconds = real(object, "total_seconds");
    self->bandwidth = whole(limits, "bandwidth");
    self->share = whole(limits, "share");
    self->peer_share = whole(limits, "peer_share");
    self->limit = whole(limits, "rate");
    self->spared = whole(limits, "spared");
    self->latency_guard = real(limits, "latency_guard");
    self->channels_alive = whole(channels, "alive");
    self->channels_wanted = whole(channels, "wanted");
    self->hold = string(child(object, "hold"), "state");
    self->cutover_at = real(child(object, "hold"), "cutover_at");
    self->way_back_until = real(way_back, "until");
    if (!way_back || !json_opt_bool(way_back, "open", &self->way_back_open, TRUE, NULL))
        self->way_back_open = way_back != NULL;
    self->way_back_disks = list(way_back, "disks");
    self->changes = child(object, "changes");
    self->findings = list(object, "findings");
    self->blocked_by = report_blocking(self->findings);
    return g_steal_pointer(&self);
}

void migration_free(migration *self)
{
    if (!self)
        return;
    json_object_unref(self->json);
    g_free(self->blocked_by);
    g_free(self);
}

gboolean migration_has_ended(const migration *self)
{
    static const char *const final[] = {"completed", "failed", "cancelled", NULL};

    return g_strv_contains(final, self->phase);
}

gboolean migration_may_cancel(const migration *self)
{
    static const char *const past[] = {"committing", "cleaning", NULL};

    return !g_strv_contains(past, self->phase) && !migration_has_ended(self);
}

int migration_exit_status(const migration *self)
{
    if (!strcmp(self->phase, "completed"))
        return CLI_OK;
    if (!strcmp(self->phase, "cancelled"))
        return CLI_CANCELLED;
    return self->blocked_by || !g_strcmp0(self->error_code, "blocked") ||
                   !g_strcmp0(self->error_code, "changed")
               ? CLI_BLOCKED
               : CLI_FAILED;
}

char *migration_short_id(const migration *self)
{
    g_autofree char *valid = g_utf8_make_valid(self->id, -1);

    return g_utf8_substring(valid, 0, MIN(8, g_utf8_strlen(valid, -1)));
}

char *migration_direction(const migration *self)
{
    return g_strconcat(self->source ? "-> " : "<- ", self->peer, NULL);
}
