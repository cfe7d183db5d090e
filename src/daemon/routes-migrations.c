/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* /v1/migrations, /v1/compare and /v1/vms: what the local user asks for. */
#include "daemon/peers.h"
#include "daemon/routes.h"
#include "daemon/ways.h"

#include "base/log.h"
#include "daemon/stuck.h"

#include <string.h>

#define LOG_AREA "moves"

gboolean routes_may_leave(ferryd *self, exchange *x, const char *target)
{
    if (!g_ascii_strcasecmp(target, self->conf->name))
        exchange_fail(x, 400, "bad-request", "%s is this host: name another one", target);
    else if (!peers_known(self->conf, target))
        exchange_fail(
            x, 404, "unknown-host",
            "%s is not paired with this host: run 'ferry pair %s' ('ferry peers' lists those "
            "that are)",
            target, target);
    else if (!self->conf->outgoing)
        exchange_fail(
            x, 403, "outgoing-off",
            "VMs may not leave this host: set 'outgoing = yes' in [migrations] of ferryd.conf "
            "and reload ferryd");
    return !exchange_answered(x);
}

/* The request in the body, for a host we know; NULL: it has been answered. */
static request *asked_for(ferryd *self, exchange *x)
{
    GError *error = NULL;
    g_autoptr(request) asked = request_from_json(exchange_body(x), &error);

    if (!asked) {
        exchange_bad(x, error);
        return NULL;
    }
    if (!routes_time_ok(x, asked->cutover_at))
        return NULL;
    return routes_may_leave(self, x, asked->target) ? g_steal_pointer(&asked) : NULL;
}

void routes_begin(ferryd *self, exchange *x, request *begun)
{
    g_autoptr(request) asked = begun;
    g_autoptr(journal_entry) earlier = NULL;
    g_autoptr(GError) error = NULL;
    g_autofree char *id = NULL;
    const char *other = moves_leaving(self->known, asked->vm);

    if (other) {
        exchange_fail(x, 409, "conflict", "%s is moving already: 'ferry status %.8s' shows it",
                      asked->vm, other);
        return;
    }
    if (!asked->id)
        asked->id = g_uuid_string_random();
    earlier = journal_find(self->book, asked->id, &error);
    if (error) {
        exchange_fail(x, 500, "internal", "%s", error->message);
        return;
    }
    if (earlier || moves_get(self->known, asked->id, NULL, NULL, NULL) ||
        workers_has(self->crew, asked->id)) {
        exchange_fail(x, 409, "conflict", "there is a move %s already: leave \"id\" out",
                      asked->id);
        return;
    }
    id = g_strdup(asked->id);
    if (!outgoing_add(self->queue, g_steal_pointer(&asked), &error)) {
        exchange_fail(x, 500, "internal", "the move cannot be queued: %s", error->message);
        return;
    }
    exchange_answer(x, 201, moves_find(self->known, id, NULL));
}

void routes_migrate(exchange *x, gpointer user)
{
    request *asked = asked_for(user, x);

    if (asked)
        routes_begin(user, x, asked);
}

void routes_migrations(exchange *x, gpointer user)
{
    ferryd *self = user;
    JsonObject *body = json_object_new();
    JsonArray *shown = json_array_new();
    const char *all = exchange_query(x, "all");
    g_autoptr(JsonArray) list = NULL;

    list = moves_list(self->known, all && !strcmp(all, "1"));
    for (guint i = 0; i < json_array_get_length(list); i++)
        json_array_add_object_element(
            shown, ways_show(self->book, json_array_get_object_element(list, i)));
    json_object_set_array_member(body, "migrations", shown);
    exchange_answer(x, 200, body);
}

/* The migration the path names; NULL: it has been answered. */
static JsonObject *named(ferryd *self, exchange *x, const char **id)
{
    g_autoptr(GError) error = NULL;
    JsonObject *found = moves_find(self->known, exchange_part(x, 0), &error);

    if (!found)
        exchange_fail(x, 404, "unknown-migration", "%s", error->message);
    else
        *id = json_object_get_string_member(found, "id");
    return found;
}

void routes_migration(exchange *x, gpointer user)
{
    ferryd *self = user;
    const char *id = NULL, *after = exchange_query(x, "after");
    g_autoptr(JsonObject) found = named(self, x, &id);
    guint64 version;

    if (!found)
        return;
    if (after && !g_ascii_string_to_unsigned(after, 10, 0, G_MAXINT64, &version, NULL))
        exchange_fail(x, 400, "bad-request", "\"after\": a version number is expected");
    else if (!after || !moves_wait(self->known, id, (gint64)version, x))
        exchange_answer(x, 200, ways_show(self->book, found));
}

static void cancelled_in_queue(ferryd *self, const char *id)
{
    moves_fail(self->known, id, "cancelled", "cancelled while it waited for a free slot");
}

void routes_cancel(exchange *x, gpointer user)
{
    ferryd *self = user;
    const char *id = NULL;
    g_autoptr(JsonObject) found = named(self, x, &id), message = NULL;
    g_autoptr(GError) error = NULL;
    phase now;

    if (!found)
        return;
    if (!moves_get(self->known, id, &now, NULL, NULL) || phase_is_final(now)) {
        exchange_fail(x, 409, "conflict", "this move has ended already");
    } else if (stuck_has(self, id)) {
        if (stuck_close(self, id, &error))
            exchange_answer(x, 202, moves_find(self->known, id, NULL));
        else
            exchange_fail(x, 500, "internal", "the move cannot be closed: %s", error->message);
    } else if (!phase_may_cancel(now)) {
        exchange_fail(
            x, 409, "conflict",
            "it is too late: the VM belongs to the other host, or is about to; 'ferry return' there "
            "brings it back when the move has ended");
    } else if (outgoing_remove(self->queue, id)) {
        cancelled_in_queue(self, id);
        exchange_answer(x, 202, moves_find(self->known, id, NULL));
    } else {
        message = json_object_new();
        json_object_set_string_member(message, "op", "cancel");
        json_object_set_string_member(message, "why", "cancelled by the user");
        if (workers_send(self->crew, id, message, -1, &error))
            exchange_answer(x, 202, g_steal_pointer(&found));
        else
            exchange_fail(x, 503, "busy", "its worker is just being started; try again");
    }
}

/* A running one's worker is told; what comes of it is seen in its status. */
static void set_running(ferryd *self, exchange *x, const char *id, const request_limits *wanted)
{
    g_autoptr(JsonObject) message = json_object_new();

    json_object_set_string_member(message, "op", "limits");
    request_limits_to_json(wanted, message);
    if (stuck_has(self, id))
        stuck_answer(self, x);
    else if (workers_send(self->crew, id, message, -1, NULL))
        exchange_answer(x, 202, moves_find(self->known, id, NULL));
    else
        exchange_fail(x, 503, "busy", "its worker is just being started; try again");
}

void routes_set(exchange *x, gpointer user)
{
    static const char *const members[] = {"bandwidth", "latency_guard", NULL};
    ferryd *self = user;
    const char *id = NULL, *role, *peer;
    g_autoptr(JsonObject) found = named(self, x, &id);
    request_limits wanted;
    GError *error = NULL;
    phase now;

    if (!found || !exchange_only(x, members))
        return;
    if (!request_limits_from_json(exchange_body(x), &wanted, &error))
        exchange_bad(x, g_steal_pointer(&error));
    else if (wanted.bandwidth < 0 && wanted.latency_guard < 0)
        exchange_fail(x, 400, "bad-request", "say what to set: \"bandwidth\" or \"latency_guard\"");
    else if (!moves_get(self->known, id, &now, &role, &peer) || phase_is_final(now))
        exchange_fail(x, 409, "conflict", "this move has ended already");
    else if (strcmp(role, "source"))
        exchange_fail(x, 409, "conflict", "this VM comes from %s: set it there, or 'bandwidth' in "
                      "ferryd.conf here for all moves together", peer);
    else if (now >= PHASE_SWITCHING)
        exchange_fail(x, 409, "conflict", "it is too late: the guest is being switched over, and "
                      "no limit holds any more");
    else if (outgoing_set(self->queue, id, &wanted, &error))
        exchange_answer(x, 202, moves_find(self->known, id, NULL));
    else if (g_error_matches(error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT))
        exchange_fail(x, 409, "conflict", "%s", error->message);
    else if (error)
        exchange_fail(x, 500, "internal", "it cannot be written down: %s", error->message);
    else
        set_running(self, x, id, &wanted);
    g_clear_error(&error);
}

void routes_vms(exchange *x, gpointer user)
{
    g_autoptr(JsonObject) start = json_object_new();

    json_object_set_string_member(start, "op", "start");
    json_object_set_string_member(start, "mode", "list");
    ferryd_compare(user, start, x);
}

void routes_compare(exchange *x, gpointer user)
{
    ferryd *self = user;
    g_autoptr(request) asked = asked_for(self, x);
    g_autoptr(JsonObject) start = NULL;

    if (!asked)
        return;
    start = json_object_new();
    json_object_set_string_member(start, "op", "start");
    json_object_set_string_member(start, "mode", "compare");
    json_object_set_object_member(start, "request", request_to_json(asked));
    ferryd_compare(self, start, x);
}
