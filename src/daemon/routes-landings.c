/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* /v1/landings: what a peer's worker asks for. A peer sees and ends its own landings only. */
#include "daemon/routes.h"

#include "base/fdio.h"
#include "base/log.h"
#include "daemon/stuck.h"
#include "migrate/peer.h"

#include <string.h>

#define LOG_AREA "landings"

/* A peer that waits for a slot asks again every second or so. */
#define PATIENCE_US (10 * G_USEC_PER_SEC)
/* Of a packet to a worker, for what is around the landing request. */
#define AROUND 4096

static void busy(ferryd *self, exchange *x, guint ahead)
{
    g_autofree char *before =
        ahead ? g_strdup_printf(", and %u more before this one", ahead) : g_strdup("");

    exchange_fail(
        x, 503, "busy", "%s takes %u moves at a time (max-incoming), and %u are under way%s",
        self->conf->name, self->conf->max_incoming, admission_held(self->arriving), before);
}

static gboolean is_taken(ferryd *self, const char *id)
{
    g_autoptr(journal_entry) earlier = journal_find(self->book, id, NULL);

    return earlier || workers_has(self->crew, id) || moves_get(self->known, id, NULL, NULL, NULL);
}

/* The same landing once more: whoever asked has not heard the answer. */
static void land_again(ferryd *self, exchange *x, const char *id)
{
    int code;
    JsonObject *body = replies_get(self->answered, id, &code);

    if (body)
        exchange_answer(x, (guint)code, json_object_ref(body));
    else
        pending_add(self->starts, id, x);
}

/* The slot is held: begin. */
static void land(ferryd *self, exchange *x, const char *id, JsonObject *start, const char *text)
{
    g_autoptr(GError) error = NULL;

    if (!ferryd_may_begin(self, x)) {
        admission_leave(self->arriving, id);
        return;
    }
    if (!workers_start(self->crew, id, start, &error)) {
        admission_leave(self->arriving, id);
        log_error("%.8s: no worker can be started: %s", id, error->message);
        exchange_fail(x, 500, "internal", "%s cannot start a worker; its log says why",
                      self->conf->name);
        return;
    }
    g_hash_table_replace(self->owners, g_strdup(id), g_strdup(exchange_peer(x)));
    replies_begin(self->answered, id, exchange_peer(x), text);
    pending_add(self->starts, id, x);
}

void routes_land(exchange *x, gpointer user)
{
    ferryd *self = user;
    JsonObject *body = exchange_body(x);
    g_autoptr(JsonObject) start = json_object_new();
    g_autofree char *id = NULL, *text = NULL;
    const char *given;
    gboolean dry_run;
    guint ahead = 0;
    GError *error = NULL;

    /* The worker checks the rest. */
    if (!json_get_string(body, "id", &given, &error) ||
        !json_opt_bool(body, "dry_run", &dry_run, FALSE, &error)) {
        exchange_bad(x, error);
        return;
    }
    id = g_ascii_strdown(given, -1);
    json_object_set_string_member(start, "op", "start");
    json_object_set_string_member(start, "mode", "land");
    json_object_set_string_member(start, "peer", exchange_peer(x));
    json_object_set_object_member(start, "landing", json_object_ref(body));
    text = json_text(start);
    if (!g_uuid_string_is_valid(id))
        exchange_fail(x, 400, "bad-request", "\"id\": a UUID is expected");
    else if (strlen(text) > FDIO_MESSAGE_MAX - AROUND)
        exchange_fail(x, 413, "too-large", "this VM's description is too large");
    else if (!self->conf->incoming)
        exchange_fail(
            x, 403, "incoming-off",
            "%s takes no VMs: set 'incoming = yes' in [migrations] of its ferryd.conf and "
            "reload ferryd there",
            self->conf->name);
    else if (dry_run)
        ferryd_compare(self, start, x);
    else if (replies_same(self->answered, id, exchange_peer(x), text))
        land_again(self, x, id);
    else if (is_taken(self, id))
        exchange_fail(x, 409, "conflict",
                      "%s knows a migration %s already, and not the same: ask with another id",
                      self->conf->name, id);
    else if (!admission_ask(self->arriving, id, PATIENCE_US, g_get_monotonic_time(), &ahead))
        busy(self, x, ahead);
    else
        land(self, x, id, start, text);
}

typedef enum { NOT_THEIRS, UNDER_WAY, OVER } landing_state;

/* Is there a landing of this peer by this id? One that has ended is in the journal (*entry, caller
 * frees). */
static landing_state look(ferryd *self, exchange *x, char **id, journal_entry **entry)
{
    const char *role, *peer, *owner;
    gboolean reported;
    phase now;

    *id = g_ascii_strdown(exchange_part(x, 0), -1);
    *entry = NULL;
    owner = g_hash_table_lookup(self->owners, *id);
    reported = moves_get(self->known, *id, &now, &role, &peer);
    if (!owner && reported && !strcmp(role, "target"))
        owner = peer;
    if (owner && g_ascii_strcasecmp(owner, exchange_peer(x)))
        return NOT_THEIRS;
    if (owner && !(reported && phase_is_final(now)))
        return UNDER_WAY;
    *entry = journal_find(self->book, *id, NULL);
    if (*entry && !strcmp((*entry)->role, "target") &&
        !g_ascii_strcasecmp((*entry)->peer, exchange_peer(x)))
        return OVER;
    return NOT_THEIRS;
}

/* Its worker cannot be told. */
static void no_worker(ferryd *self, exchange *x, const char *id)
{
    if (stuck_has(self, id))
        stuck_answer(self, x);
    else
        exchange_fail(x, 503, "busy", "its worker is just being started; try again");
}

static void unknown(exchange *x, const char *id)
{
    exchange_fail(x, 404, "unknown-migration", "there is no landing %.36s of yours here", id);
}

static const char *error_text(const journal_entry *entry, JsonObject **parsed)
{
    JsonObject *error;
    const char *text;

    *parsed = entry->status ? json_parse(entry->status, -1, NULL) : NULL;
    return *parsed && json_get_object(*parsed, "error", &error, NULL) &&
                   json_get_string(error, "text", &text, NULL)
               ? text
               : "its log says why";
}

static void answer_shown(ferryd *self, exchange *x, const char *id)
{
    static const char *const members[] = {"phase", "settled", "error", NULL};
    g_autoptr(JsonObject) known = moves_find(self->known, id, NULL);
    JsonObject *body = json_object_new();

    for (const char *const *member = members; known && *member; member++)
        if (json_object_has_member(known, *member))
            json_object_set_member(body, *member,
                                   json_node_copy(json_object_get_member(known, *member)));
    exchange_answer(x, 200, body);
}

/* How far one is, for a source that has lost its data connections. */
void routes_landing(exchange *x, gpointer user)
{
    ferryd *self = user;
    g_autoptr(journal_entry) entry = NULL, now = NULL;
    g_autoptr(JsonObject) parsed = NULL;
    g_autoptr(GError) error = NULL;
    g_autofree char *id = NULL;
    landing_state state = look(self, x, &id, &entry);

    now = journal_find(self->book, id, &error);
    if (error) /* what cannot be read is not over */
        exchange_fail(x, 500, "internal", "%s", error->message);
    else if (state == NOT_THEIRS)
        unknown(x, id);
    else if (now && now->decision != DECISION_ACCEPTED &&
             (now->ended || now->decision == DECISION_REFUSED))
        exchange_fail(x, 410, "ended", "%s", error_text(now, &parsed));
    else
        answer_shown(self, x, id);
}

void routes_end_landing(exchange *x, gpointer user)
{
    ferryd *self = user;
    g_autoptr(journal_entry) entry = NULL;
    g_autoptr(JsonObject) message = json_object_new();
    g_autofree char *id = NULL;
    landing_state state = look(self, x, &id, &entry);
    phase now;

    if (state == NOT_THEIRS) {
        unknown(x, id);
        return;
    }
    if (state == OVER ? entry->decision == DECISION_ACCEPTED
                      : moves_get(self->known, id, &now, NULL, NULL) && !phase_may_cancel(now) &&
                            now != PHASE_FAILED && now != PHASE_CANCELLED) {
        exchange_fail(x, 409, "conflict", "it is too late: the VM belongs to %s", self->conf->name);
        return;
    }
    json_object_set_string_member(message, "op", "cancel");
    json_object_set_string_member(message, "why", "the source has ended the move");
    if (state == OVER) {
        exchange_answer(x, 204, NULL);
    } else if (workers_has(self->crew, id)) {
        (void)workers_send(self->crew, id, message, -1, NULL); /* else it is just about to go */
        pending_add(self->ends, id, x);
    } else {
        no_worker(self, x, id);
    }
}

static void answer_decision(exchange *x, const char *decision)
{
    JsonObject *body = json_object_new();

    json_object_set_string_member(body, "decision", decision);
    exchange_answer(x, 200, body);
}

/* The landing has ended, and its source wants the guest back: a worker looks whether it can have it. */
static void take_up_again(ferryd *self, exchange *x, const journal_entry *entry, peer_back back)
{
    g_autoptr(GError) error = NULL;

    if (resolve_reopen(self, entry, phase_name(PHASE_CLEANING), ORDER_GIVE_UP,
                       back == BACK_TAKEN ? ORDER_FORCED : ORDER_ASKED, &error))
        pending_add(self->commits, entry->id, x);
    else if (g_error_matches(error, G_IO_ERROR, G_IO_ERROR_EXISTS))
        exchange_fail(x, 409, "conflict", "%s", error->message);
    else
        exchange_fail(x, 503, "busy", "%s", error->message);
}

/* The token by the control port, for a source whose data connections are all gone. */
void routes_commit_landing(exchange *x, gpointer user)
{
    static const char *const members[] = {"token", "back", NULL};
    ferryd *self = user;
    g_autoptr(journal_entry) entry = NULL;
    g_autoptr(JsonObject) message = json_object_new();
    g_autofree char *id = NULL;
    landing_state state;
    const char *text, *name;
    GError *error = NULL;
    peer_back back;

    if (!exchange_only(x, members))
        return;
    if (!json_get_string(exchange_body(x), "token", &text, &error) ||
        !json_opt_string(exchange_body(x), "back", &name, NULL, &error)) {
        exchange_bad(x, error);
        return;
    }
    if (!peer_back_parse(name, &back)) {
        exchange_fail(x, 400, "bad-request", "\"back\": wanted or taken is expected");
        return;
    }
    state = look(self, x, &id, &entry);
    json_object_set_string_member(message, "op", "commit");
    json_object_set_string_member(message, "token", text);
    if (name)
        json_object_set_string_member(message, "back", name);
    if (state == NOT_THEIRS) {
        unknown(x, id);
    } else if (state == UNDER_WAY) {
        if (workers_send(self->crew, id, message, -1, NULL))
            pending_add(self->commits, id, x);
        else
            no_worker(self, x, id);
    } else if (entry->decision == DECISION_ACCEPTED && !g_strcmp0(entry->token, text) &&
               back != BACK_NO) {
        take_up_again(self, x, entry, back);
    } else if (entry->decision == DECISION_ACCEPTED && !g_strcmp0(entry->token, text)) {
        answer_decision(x, "accepted");
    } else if (entry->decision == DECISION_ACCEPTED) {
        exchange_fail(x, 409, "conflict", "this landing knows another token");
    } else if (entry->ended) {
        /* Refused, or ended before any token came: nobody will ever accept it. */
        answer_decision(x, "refused");
    } else {
        no_worker(self, x, id);
    }
}
