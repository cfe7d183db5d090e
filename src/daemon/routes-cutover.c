/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* /v1/migrations/ID/cutover: a move that is held switches over. */
#include "daemon/routes.h"
#include "daemon/stuck.h"

#include <string.h>

gboolean routes_time_ok(exchange *x, gint64 at)
{
    gint64 now = g_get_real_time() / G_USEC_PER_SEC;

    if (!at || at > now)
        return TRUE;
    exchange_fail(x, 400, "bad-request",
                  "the time of the cutover is past (by %" G_GINT64_FORMAT
                  " s by this host's clock): give one to come, or none to switch over at once",
                  now - at);
    return FALSE;
}

/* Held, and the cutover has not begun. */
static gboolean is_held(JsonObject *status)
{
    JsonObject *hold;
    const char *state;

    return json_get_object(status, "hold", &hold, NULL) &&
           json_get_string(hold, "state", &state, NULL) && strcmp(state, "over");
}

/* The group it switches over with; NULL: none. */
static const char *group_of(JsonObject *status)
{
    JsonObject *hold;
    const char *group;

    return json_get_object(status, "hold", &hold, NULL) &&
                   json_opt_string(hold, "group", &group, NULL, NULL)
               ? group
               : NULL;
}

/* Its worker does it, and shows that in its status. */
static void tell(ferryd *self, exchange *x, const char *id, gint64 at)
{
    g_autoptr(JsonObject) message = json_object_new();

    json_object_set_string_member(message, "op", "cutover");
    if (at)
        json_object_set_int_member(message, "at", at);
    if (stuck_has(self, id))
        stuck_answer(self, x);
    else if (workers_send(self->crew, id, message, -1, NULL))
        exchange_answer(x, 202, moves_find(self->known, id, NULL));
    else
        exchange_fail(x, 503, "busy", "its worker is just being started; try again");
}

void routes_cutover(exchange *x, gpointer user)
{
    static const char *const members[] = {"at", NULL};
    ferryd *self = user;
    g_autoptr(GError) error = NULL;
    g_autoptr(JsonObject) found = moves_find(self->known, exchange_part(x, 0), &error);
    const char *id, *role, *peer;
    GError *bad = NULL;
    gint64 at = 0;
    phase now;

    if (!found) {
        exchange_fail(x, 404, "unknown-migration", "%s", error->message);
        return;
    }
    id = json_object_get_string_member(found, "id");
    if (!exchange_only(x, members))
        return;
    if (!request_time_from_json(exchange_body(x), "at", &at, &bad)) {
        exchange_bad(x, bad);
        return;
    }
    if (!routes_time_ok(x, at))
        return;
    if (!moves_get(self->known, id, &now, &role, &peer) || phase_is_final(now))
        exchange_fail(x, 409, "conflict", "this move has ended already");
    else if (strcmp(role, "source"))
        exchange_fail(x, 409, "conflict", "this VM comes from %s: switch over there", peer);
    else if (!is_held(found))
        exchange_fail(x, 409, "conflict",
                      "this move is not held (any more): it switches over by itself as soon as it can");
    else if (group_of(found))
        exchange_fail(x, 409, "conflict",
                      "this move switches over with its group: 'ferry cutover --group %s' does it",
                      group_of(found));
    else if (outgoing_cutover(self->queue, id, at, &error))
        exchange_answer(x, 202, moves_find(self->known, id, NULL));
    else if (error)
        exchange_fail(x, 500, "internal", "it cannot be written down: %s", error->message);
    else
        tell(self, x, id, at);
}
