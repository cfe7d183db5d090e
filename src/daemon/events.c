/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Workers' words and their ends; see events.h. */
#include "daemon/events.h"

#include "base/log.h"
#include "daemon/shares.h"
#include "daemon/stuck.h"

#include <string.h>

#define LOG_AREA   "events"
#define HELD_MAX   64 /* from here, and to here */
#define RESTARTING "its worker is being started again"

static gboolean is_fleeting(ferryd *self, const char *id)
{
    return g_hash_table_contains(self->fleeting, id);
}

static admission *slots_of(ferryd *self, const char *role)
{
    return !strcmp(role, "source") ? self->leaving : self->arriving;
}

/* A slot is for the load a move makes. One that only tidies up has given it back. */
static gboolean needs_slot(phase now)
{
    return !phase_is_final(now) && now != PHASE_CLEANING;
}

static void release(ferryd *self, const char *id)
{
    admission_leave(self->leaving, id);
    admission_leave(self->arriving, id);
    outgoing_pump(self->queue);
}

/* Who waits for a landing to be gone waits in vain. */
static void too_late(ferryd *self, const char *id)
{
    pending_fail(self->ends, id, 409, "conflict", "it is too late: the VM has been accepted");
}

void events_phase(const char *id, phase now, gpointer user)
{
    ferryd *self = user;
    const char *role;

    if (!phase_may_cancel(now) && now != PHASE_FAILED && now != PHASE_CANCELLED)
        too_late(self, id);
    if (!workers_has(self->crew, id)) /* in the queue still, or over */
        return;
    if (!needs_slot(now))
        release(self, id);
    else if (moves_get(self->known, id, NULL, &role, NULL))
        admission_take(slots_of(self, role), id);
}

static gboolean is_ready(JsonObject *status)
{
    const char *state;
    JsonObject *hold;

    return json_get_object(status, "hold", &hold, NULL) && json_get_string(hold, "state", &state, NULL) &&
           !strcmp(state, "ready");
}

typedef struct {
    const char *role;
    guint count;
} resting;

static void count_resting(const char *id, phase now, JsonObject *status, gpointer user)
{
    const char *role = json_object_get_string_member_with_default(status, "role", "");
    resting *all = user;

    all->count += !phase_is_final(now) && !strcmp(role, all->role) && is_ready(status);
}

/* One that is held makes next to no load, and needs no slot before it switches over. But what peers can have us
 * hold is bounded. */
static gboolean rests(ferryd *self, const char *id, JsonObject *status)
{
    resting all = {json_object_get_string_member_with_default(status, "role", ""), 0};
    phase now;

    if (!is_ready(status) || !moves_get(self->known, id, &now, NULL, NULL) || now != PHASE_SYNCHRONIZING)
        return FALSE;
    moves_each(self->known, count_resting, &all);
    return all.count <= HELD_MAX;
}

static void on_status(const char *id, JsonObject *status, gpointer user)
{
    ferryd *self = user;

    if (is_fleeting(self, id))
        return;
    moves_set(self->known, id, status);
    if (rests(self, id, status))
        release(self, id);
    shares_update(self);
}

static void on_answer(const char *id, int code, JsonObject *body, gpointer user)
{
    ferryd *self = user;

    replies_set(self->answered, id, code, body);
    pending_answer(self->starts, id, (guint)code, body);
    if (code >= 300) /* it only tidies up now */
        release(self, id);
}

static void on_decision(const char *id, const char *decision, gpointer user)
{
    ferryd *self = user;
    g_autoptr(JsonObject) body = json_object_new();

    /* Who waits with the right token is sent away with the wrong one, and will ask again. */
    if (!strcmp(decision, "another-token")) {
        pending_fail(self->commits, id, 409, "conflict", "this landing knows another token");
        return;
    }
    json_object_set_string_member(body, "decision", decision);
    pending_answer(self->commits, id, 200, body);
}

static void on_stuck(const char *id, const char *why, gpointer user)
{
    stuck_add(user, id, why);
}

/* The worker is gone and the journal says that its migration has not ended. */
static void recover(ferryd *self, const journal_entry *entry)
{
    if (stuck_has(self, entry->id)) {
        pending_fail(self->ends, entry->id, 503, "busy", "somebody has to look after it first");
        stuck_show(self, entry);
        release(self, entry->id);
        return;
    }
    moves_set_entry(self->known, entry, RESTARTING);
    pending_fail(self->ends, entry->id, 503, "busy", "its worker is just being started; try again");
    recovery_schedule(self->recoveries, entry->id);
}

/* Nobody will say anything about it any more. What has ended stays in memory for a while, so that
 * its version goes on from where it was; `entry` is NULL if it never came to be in the journal. */
static void close_book(ferryd *self, const char *id, const journal_entry *entry)
{
    const char *role;
    phase now;

    if (entry && entry->decision == DECISION_ACCEPTED)
        too_late(self, id);
    if (entry && moves_get(self->known, id, &now, NULL, NULL) && !phase_is_final(now))
        moves_set_entry(self->known, entry, NULL);
    else if (!entry && moves_get(self->known, id, NULL, &role, NULL) && !strcmp(role, "target"))
        moves_drop(self->known, id);
    else if (!entry)
        moves_fail(
            self->known, id, "internal",
            "its worker ended before it had begun; the VM was not touched; see ferryd's log");
    pending_answer(self->ends, id, 204, NULL);
    recovery_forget(self->recoveries, id);
    g_hash_table_remove(self->owners, id);
    release(self, id);
    ferryd_sweep(self); /* what was kept of this VM before may have had its time */
}

static void on_gone(const char *id, gboolean properly, gpointer user)
{
    ferryd *self = user;
    g_autoptr(journal_entry) entry = NULL;
    g_autoptr(GError) error = NULL;

    pending_fail(self->starts, id, 500, "internal",
                 "the worker for this ended unexpectedly; see the "
                 "log of ferryd there");
    pending_fail(self->commits, id, 503, "busy", "its worker is just being started; try again");
    if (g_hash_table_remove(self->fleeting, id))
        return;
    replies_end(self->answered, id);
    entry = journal_find(self->book, id, &error);
    if (error)
        log_error("%.8s: %s", id, error->message);
    if (entry && !entry->ended)
        recover(self, entry);
    else if (error) /* not known: better one worker too many, which finds nothing to do */
        recovery_schedule(self->recoveries, id);
    else
        close_book(self, id, entry);
    shares_update(self);
}

workers_events events_of_workers(ferryd *self)
{
    return (workers_events){.status = on_status,
                            .answer = on_answer,
                            .decision = on_decision,
                            .stuck = on_stuck,
                            .gone = on_gone,
                            .user = self};
}

gboolean events_take_up(ferryd *self, GError **error)
{
    g_autoptr(GPtrArray) unfinished = journal_list(self->book, TRUE, G_MAXUINT, error);

    if (!unfinished)
        return FALSE;
    for (guint i = 0; i < unfinished->len; i++) {
        const journal_entry *entry = unfinished->pdata[i];
        gboolean alive = workers_has(self->crew, entry->id);
        phase now;
        moves_set_entry(self->known, entry, alive ? "its worker's next word" : RESTARTING);
        if (phase_from_name(entry->phase, &now) && needs_slot(now))
            admission_take(slots_of(self, entry->role), entry->id);
        if (!alive)
            recovery_schedule(self->recoveries, entry->id);
    }
    return TRUE;
}
