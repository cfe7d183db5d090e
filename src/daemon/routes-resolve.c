/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* /v1/migrations/ID/resolve: somebody decides what the other host does not say. And what this host has decided, for a target
 * that asks. */
#include "daemon/routes.h"

#include "base/log.h"
#include "daemon/stuck.h"
#include "daemon/ways.h"

#include <string.h>

#define LOG_AREA "resolve"

#define KEEP_S (24 * 3600) /* the disks stay at least so long for an order that was just given */

static gboolean is_last(ferryd *self, const journal_entry *entry)
{
    g_autoptr(journal_entry) last = journal_last_handover(self->book, entry->vm_uuid, NULL);

    return last && !strcmp(last->id, entry->id);
}

gboolean resolve_reopen(ferryd *self, const journal_entry *entry, const char *to, order_what what,
                        order_state state, GError **error)
{
    g_autofree char *path = settings_journal(self->conf), *details = NULL;
    g_autoptr(journal) book = journal_open(path, FALSE, error);
    g_autoptr(JsonObject) order = order_to_json(what, state, NULL);
    g_autoptr(journal_entry) now = NULL;

    if (!book)
        return FALSE;
    if (workers_has(self->crew, entry->id)) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_BUSY, "its worker is just ending; try again");
        return FALSE;
    }
    if (!is_last(self, entry)) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_EXISTS, "%s has been moved again since", entry->vm);
        return FALSE;
    }
    details = order_into(entry->details, order, error);
    if (!details || !journal_reopen(book, entry->id, to, details, error))
        return FALSE;
    now = journal_find(self->book, entry->id, error);
    if (!now)
        return FALSE;
    log_notice("%.8s: taken up again: %s", entry->id, order_name(what));
    moves_set_entry(self->known, now, "its worker is being started again");
    recovery_forget(self->recoveries, entry->id);
    recovery_schedule(self->recoveries, entry->id);
    return TRUE;
}

/* The disks must still be there when the other host has given the VM back. */
static gboolean hold_disks(ferryd *self, const journal_entry *entry, GError **error)
{
    g_autofree char *path = settings_journal(self->conf);
    g_autoptr(journal) book = journal_open(path, FALSE, error);
    g_autoptr(GPtrArray) all = book ? journal_kept_list(book, 0, error) : NULL;
    gint64 least = g_get_real_time() / G_USEC_PER_SEC + KEEP_S;
    guint held = 0;

    for (guint i = 0; all && i < all->len; i++) {
        journal_kept *kept = all->pdata[i];
        if (strcmp(kept->id, entry->id))
            continue;
        kept->until = MAX(kept->until, least);
        if (!journal_keep(book, kept, error))
            return FALSE;
        held++;
    }
    if (all && !held)
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND,
                    "the disks that were kept of %s have been deleted", entry->vm);
    return held > 0;
}

/* Of a move that has ended: a guest that has died at the target, or was left to it without its word, can be taken back. */
static gboolean may_take_back(JsonObject *found)
{
    order_state state = ORDER_ASKED;
    JsonObject *part;
    const char *code;

    if (json_get_object(found, "error", &part, NULL) && json_get_string(part, "code", &code, NULL) &&
        !strcmp(code, "guest-died"))
        return TRUE;
    return json_get_object(found, "order", &part, NULL) &&
           order_from_json(part, &state) == ORDER_GIVE_UP && state == ORDER_DONE;
}

static void resolve_ended(ferryd *self, exchange *x, JsonObject *found, const char *id,
                          order_what what)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(journal_entry) entry = journal_find(self->book, id, &error);

    if (!entry || strcmp(entry->role, "source") || entry->decision != DECISION_GIVEN_UP ||
        what != ORDER_RUN_HERE || !may_take_back(found))
        exchange_fail(x, 409, "conflict", "there is nothing to resolve: this move has ended");
    else if (hold_disks(self, entry, &error) &&
             resolve_reopen(self, entry, phase_name(PHASE_COMMITTING), what, ORDER_ASKED, &error))
        exchange_answer(x, 202, moves_find(self->known, id, NULL));
    else if (g_error_matches(error, G_IO_ERROR, G_IO_ERROR_BUSY))
        exchange_fail(x, 503, "busy", "%s", error->message);
    else
        exchange_fail(x, 409, "conflict", "%s cannot be taken back: %s", entry->vm, error->message);
}

static void resolve_running(ferryd *self, exchange *x, const char *id, order_what what)
{
    g_autoptr(JsonObject) message = json_object_new();

    json_object_set_string_member(message, "op", "resolve");
    json_object_set_string_member(message, "order", order_name(what));
    if (stuck_has(self, id))
        stuck_answer(self, x);
    else if (workers_send(self->crew, id, message, -1, NULL))
        exchange_answer(x, 202, moves_find(self->known, id, NULL));
    else
        exchange_fail(x, 503, "busy", "its worker is just being started; try again");
}

void routes_resolve(exchange *x, gpointer user)
{
    static const char *const members[] = {"order", "vm", NULL};
    ferryd *self = user;
    GError *error = NULL;
    g_autoptr(JsonObject) found = moves_find(self->known, exchange_part(x, 0), &error);
    const char *id, *name, *given, *vm = "", *role = "";
    order_what what;
    phase now;

    if (!found) {
        exchange_fail(x, 404, "unknown-migration", "%s", error->message);
        g_clear_error(&error);
        return;
    }
    if (!exchange_only(x, members))
        return;
    if (!json_get_string(exchange_body(x), "order", &name, &error) ||
        !json_get_string(exchange_body(x), "vm", &given, &error)) {
        exchange_bad(x, error);
        return;
    }
    id = json_object_get_string_member(found, "id");
    (void)json_opt_string(found, "vm", &vm, "", NULL);
    if (!order_parse(name, &what))
        exchange_fail(x, 400, "bad-request", "\"order\": run-here or give-up is expected");
    else if (strcmp(given, vm))
        exchange_fail(x, 400, "bad-request", "this is a move of %s: its name has to be given", vm);
    else if (!moves_get(self->known, id, &now, &role, NULL) || phase_is_final(now))
        resolve_ended(self, x, found, id, what);
    else if (strcmp(role, "source"))
        exchange_fail(x, 409, "conflict",
                      "the source of a move decides whose %s is: run 'ferry resolve' there", vm);
    else if (phase_may_cancel(now))
        exchange_fail(x, 409, "conflict",
                      "there is nothing to resolve: %s is this host's; 'ferry cancel' ends the move",
                      vm);
    else
        resolve_running(self, x, id, what);
}

void routes_handover(exchange *x, gpointer user)
{
    ferryd *self = user;
    g_autofree char *id = g_ascii_strdown(exchange_part(x, 0), -1);
    g_autoptr(journal_entry) entry = journal_find(self->book, id, NULL);
    JsonObject *body;

    if (!entry || strcmp(entry->role, "source") ||
        g_ascii_strcasecmp(entry->peer, exchange_peer(x))) {
        exchange_fail(x, 404, "unknown-migration", "no VM was given to you by a move %.36s", id);
        return;
    }
    body = json_object_new();
    json_object_set_string_member(body, "decision", journal_decision_name(entry->decision));
    exchange_answer(x, 200, body);
}
