/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The state of a migration; see status.h. */
#include "migrate/status-inside.h"

#include "base/log.h"

#include <stdarg.h>
#include <string.h>

#define LOG_AREA "move"

/* Rates are averaged over about this long: steady enough to read, quick enough to follow a change. */
#define RATE_WINDOW_US (3 * G_USEC_PER_SEC)
/* A re-dial takes moments; what takes longer is worth a word. */
#define SILENCE_US (2 * G_USEC_PER_SEC)

status *status_new(const status_setup *setup)
{
    status *self = g_new0(status, 1);

    g_mutex_init(&self->lock);
    self->setup = *setup;
    self->id = g_strdup(setup->id);
    self->role = g_strdup(setup->role);
    self->vm = g_strdup(setup->vm);
    self->peer = g_strdup(setup->peer);
    self->began = self->phase_began = g_get_real_time();
    self->blackout = -1;
    self->found = findings_new();
    return self;
}

void status_free(status *self)
{
    if (!self)
        return;
    g_mutex_clear(&self->lock);
    g_free(self->id);
    g_free(self->role);
    g_free(self->vm);
    g_free(self->vm_uuid);
    g_free(self->peer);
    g_free(self->waiting);
    g_free(self->no_link);
    g_clear_pointer(&self->changes, json_object_unref);
    g_clear_pointer(&self->way_back, json_object_unref);
    g_clear_pointer(&self->hold, json_object_unref);
    g_clear_pointer(&self->order, json_object_unref);
    findings_free(self->found);
    g_free(self->error_code);
    g_free(self->error_text);
    g_free(self);
}

JsonObject *status_to_json(status *self)
{
    JsonObject *o;

    g_mutex_lock(&self->lock);
    o = status_render(self);
    g_mutex_unlock(&self->lock);
    return o;
}

static char *to_text(const status *self)
{
    JsonObject *o = status_render(self);
    char *text = json_text(o);

    json_object_unref(o);
    return text;
}

const char *status_peer(const status *self)
{
    return self->peer;
}

/* Ends a critical section in which something shown has changed. */
static void unlock_changed(status *self)
{
    self->version++;
    g_mutex_unlock(&self->lock);
    if (self->setup.changed)
        self->setup.changed(self->setup.user);
}

/* One that was dead is looked at once more. */
static status_settled settled_in(const char *text)
{
    g_autoptr(JsonObject) object = text ? json_parse(text, -1, NULL) : NULL;
    gboolean alive;

    return object && json_get_bool(object, "settled", &alive, NULL) && alive ? SETTLED_ALIVE
                                                                            : SETTLED_UNKNOWN;
}

gboolean status_write(status *self, gboolean (*write)(journal *book, gpointer user, GError **error),
                      gpointer user, GError **error)
{
    gboolean ok;

    g_mutex_lock(&self->lock);
    ok = write(self->setup.journal, user, error);
    g_mutex_unlock(&self->lock);
    return ok;
}

gboolean status_restore(status *self, const journal_entry *entry, GError **error)
{
    phase now;

    if (!phase_from_name(entry->phase, &now)) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA,
                    "the journal has %s in a phase \"%s\", which this Ferry does not know",
                    entry->id, entry->phase);
        return FALSE;
    }
    g_mutex_lock(&self->lock);
    self->now = now;
    self->decision = entry->decision;
    self->began = entry->began;
    self->phase_began = entry->changed;
    self->settled = settled_in(entry->status);
    self->order = order_in(entry->details);
    unlock_changed(self);
    return TRUE;
}

void status_leave_journal(status *self)
{
    g_mutex_lock(&self->lock);
    self->setup.journal = NULL;
    g_mutex_unlock(&self->lock);
}

phase status_phase(status *self)
{
    phase p;

    g_mutex_lock(&self->lock);
    p = self->now;
    g_mutex_unlock(&self->lock);
    return p;
}

/* The one setter of the phase; lock held. */
static gboolean set_phase(status *self, phase to, GError **error)
{
    phase from = self->now;
    gint64 phase_began = self->phase_began;

    if (!phase_may_follow(from, to)) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT, "no step leads from %s to %s",
                    phase_name(from), phase_name(to));
        return FALSE;
    }
    self->now = to;
    self->phase_began = g_get_real_time();
    self->done = self->total = 0;
    self->rate = 0;
    self->rate_at = 0;
    g_clear_pointer(&self->waiting, g_free);
    if (phase_is_final(to))
        self->ended = self->phase_began;
    if (self->setup.journal) {
        g_autofree char *text = to_text(self);
        gboolean ok = phase_is_final(to)
                          ? journal_end(self->setup.journal, self->id, phase_name(to), text, error)
                          : journal_set_phase(self->setup.journal, self->id, phase_name(to), text,
                                              error);
        if (!ok) {
            self->now = from;
            self->phase_began = phase_began;
            self->ended = 0;
            return FALSE;
        }
    }
    log_info("%s -> %s", phase_name(from), phase_name(to));
    return TRUE;
}

gboolean status_enter(status *self, phase to, GError **error)
{
    gboolean ok;

    g_mutex_lock(&self->lock);
    ok = set_phase(self, to, error);
    unlock_changed(self);
    return ok;
}

static gboolean advance(status *self, phase to, GError **error)
{
    while (self->now < to && !phase_is_final(self->now)) {
        phase next = (phase)(self->now + 1);
        if (!set_phase(self, next, error))
            return FALSE;
    }
    return TRUE;
}

gboolean status_advance(status *self, phase to, GError **error)
{
    gboolean ok;

    g_mutex_lock(&self->lock);
    ok = advance(self, to, error);
    unlock_changed(self);
    return ok;
}

gboolean status_cancel(status *self, const char *why)
{
    gboolean won;

    g_mutex_lock(&self->lock);
    won = phase_may_cancel(self->now);
    if (won && !self->cancelled) {
        self->cancelled = TRUE;
        if (!self->error_code) {
            self->error_code = g_strdup("cancelled");
            self->error_text = g_strdup(why);
        }
        log_notice("cancelled while %s: %s", phase_name(self->now), why);
    }
    unlock_changed(self);
    return won;
}

gboolean status_give_up(status *self, const char *code, const char *text)
{
    gboolean won;

    g_mutex_lock(&self->lock);
    won = phase_may_cancel(self->now) && !self->cancelled;
    self->given_up |= won;
    if (won && !self->error_code) {
        self->error_code = g_strdup(code);
        self->error_text = g_strdup(text);
        log_error("%s", text);
    }
    unlock_changed(self);
    return won;
}

gboolean status_is_cancelled(status *self)
{
    gboolean cancelled;

    g_mutex_lock(&self->lock);
    cancelled = self->cancelled;
    g_mutex_unlock(&self->lock);
    return cancelled;
}

gboolean status_commit(status *self, journal_decision decision, const char *token, GError **error)
{
    gboolean ok = FALSE;

    g_mutex_lock(&self->lock);
    if (self->cancelled || self->given_up)
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_CANCELLED, "the move was %s",
                    self->cancelled ? "cancelled" : "given up");
    else
        ok = advance(self, PHASE_COMMITTING, error) &&
             journal_decide(self->setup.journal, self->id, decision, token, error);
    if (ok)
        self->decision = decision;
    unlock_changed(self);
    return ok;
}

gboolean status_decide(status *self, journal_decision decision, const char *token, GError **error)
{
    gboolean ok;

    g_mutex_lock(&self->lock);
    ok = journal_decide(self->setup.journal, self->id, decision, token, error);
    if (ok)
        self->decision = decision;
    g_mutex_unlock(&self->lock);
    return ok;
}

journal_decision status_decision(status *self)
{
    journal_decision decision;

    g_mutex_lock(&self->lock);
    decision = self->decision;
    g_mutex_unlock(&self->lock);
    return decision;
}

void status_set_error(status *self, const char *code, const char *format, ...)
{
    g_autofree char *text = NULL;
    va_list args;

    va_start(args, format);
    text = g_strdup_vprintf(format, args);
    va_end(args);
    g_mutex_lock(&self->lock);
    if (!self->error_code) {
        self->error_code = g_strdup(code);
        self->error_text = g_steal_pointer(&text);
        log_error("%s", self->error_text);
    } else {
        log_info("then: %s", text);
    }
    unlock_changed(self);
}

gboolean status_has_error(status *self)
{
    return status_error_code(self) != NULL;
}

const char *status_error_code(status *self)
{
    const char *code;

    g_mutex_lock(&self->lock);
    code = self->error_code;
    g_mutex_unlock(&self->lock);
    return code;
}

JsonObject *status_error_json(status *self)
{
    JsonObject *outer = json_object_new(), *e;

    g_mutex_lock(&self->lock);
    e = status_render_error(self);
    json_object_set_array_member(e, "findings", findings_to_json(self->found));
    g_mutex_unlock(&self->lock);
    json_object_set_object_member(outer, "error", e);
    return outer;
}

gboolean status_end(status *self, gboolean success, GError **error)
{
    gboolean ok;

    g_mutex_lock(&self->lock);
    ok = phase_is_final(self->now) ||
         set_phase(self,
                   success ? PHASE_COMPLETED : self->cancelled ? PHASE_CANCELLED : PHASE_FAILED,
                   error);
    unlock_changed(self);
    return ok;
}

/* Into the details that are there; lock held. */
static gboolean write_order(status *self, JsonObject *order, GError **error)
{
    g_autoptr(journal_entry) entry = journal_find(self->setup.journal, self->id, error);
    g_autofree char *text = entry ? order_into(entry->details, order, error) : NULL;

    return text && journal_set_details(self->setup.journal, self->id, text, error);
}

gboolean status_set_order(status *self, order_what what, order_state state, const char *why,
                          GError **error)
{
    g_autoptr(JsonObject) order = NULL;
    gboolean ok;

    g_mutex_lock(&self->lock);
    if (!why && self->order)
        (void)json_opt_string(self->order, "why", &why, NULL, NULL);
    order = order_to_json(what, state, why);
    ok = write_order(self, order, error);
    if (ok) {
        log_notice("order %s: %s%s%s", order_name(what),
                   json_object_get_string_member(order, "state"), why ? ": " : "", why ? why : "");
        g_clear_pointer(&self->order, json_object_unref);
        self->order = g_steal_pointer(&order);
    }
    unlock_changed(self);
    return ok;
}

order_what status_order(status *self, order_state *state)
{
    order_what what;

    g_mutex_lock(&self->lock);
    what = order_from_json(self->order, state);
    g_mutex_unlock(&self->lock);
    return what;
}

void status_set_settled(status *self, status_settled settled)
{
    g_autoptr(GError) error = NULL;

    g_mutex_lock(&self->lock);
    self->settled = settled;
    if (self->setup.journal) {
        g_autofree char *text = to_text(self);
        if (!journal_set_phase(self->setup.journal, self->id, phase_name(self->now), text, &error))
            log_warning("%s", error->message);
    }
    unlock_changed(self);
}

status_settled status_get_settled(status *self)
{
    status_settled settled;

    g_mutex_lock(&self->lock);
    settled = self->settled;
    g_mutex_unlock(&self->lock);
    return settled;
}

/* Ends a critical section. */
static void unlock_waiting(status *self, const char *text)
{
    if (!g_strcmp0(self->waiting, text)) {
        g_mutex_unlock(&self->lock);
        return;
    }
    g_free(self->waiting);
    self->waiting = g_strdup(text);
    unlock_changed(self);
}

void status_set_waiting(status *self, const char *text)
{
    g_mutex_lock(&self->lock);
    unlock_waiting(self, text);
}

gboolean status_set_waiting_in(status *self, phase during, const char *text)
{
    g_mutex_lock(&self->lock);
    if (self->now == during) {
        unlock_waiting(self, text);
        return TRUE;
    }
    g_mutex_unlock(&self->lock);
    return FALSE;
}

void status_set_vm(status *self, const char *name, const char *uuid)
{
    g_mutex_lock(&self->lock);
    g_free(self->vm);
    g_free(self->vm_uuid);
    self->vm = g_strdup(name);
    self->vm_uuid = g_strdup(uuid);
    unlock_changed(self);
}

void status_set_progress(status *self, guint64 done, guint64 total)
{
    gint64 now = g_get_monotonic_time();

    g_mutex_lock(&self->lock);
    if (self->rate_at && now > self->rate_at && done >= self->done) {
        double step = (double)(now - self->rate_at);
        double sample = (double)(done - self->done) * G_USEC_PER_SEC / step;
        double weight = MIN(1.0, step / RATE_WINDOW_US);
        self->rate = self->rate > 0 ? self->rate + weight * (sample - self->rate) : sample;
    }
    self->rate_at = now;
    self->done = done;
    self->total = total;
    unlock_changed(self);
}

static char *clock_text(gint64 monotonic)
{
    gint64 unix_us = g_get_real_time() + monotonic - g_get_monotonic_time();
    g_autoptr(GDateTime) when = g_date_time_new_from_unix_local(unix_us / G_USEC_PER_SEC);

    return g_date_time_format(when, "%H:%M:%S");
}

/* NULL: there is a link, or has been a moment ago. */
static char *describe_silence(const session_stats *stats, const char *peer)
{
    g_autofree char *since = NULL, *until = NULL;

    if (!stats->silent_since || g_get_monotonic_time() - stats->silent_since < SILENCE_US)
        return NULL;
    since = clock_text(stats->silent_since);
    until = clock_text(stats->silent_until);
    return g_strdup_printf("no link to %s since %s; trying until %s", peer, since, until);
}

void status_set_session(status *self, const session_stats *stats)
{
    g_autofree char *no_link = describe_silence(stats, self->peer);

    g_mutex_lock(&self->lock);
    self->stats = *stats;
    g_free(self->no_link);
    self->no_link = g_steal_pointer(&no_link);
    unlock_changed(self);
}

void status_set_limits(status *self, const status_limits *limits)
{
    g_mutex_lock(&self->lock);
    if (!memcmp(&self->limits, limits, sizeof *limits)) {
        g_mutex_unlock(&self->lock);
        return;
    }
    self->limits = *limits;
    unlock_changed(self);
}

void status_set_blackout(status *self, gint64 microseconds)
{
    g_mutex_lock(&self->lock);
    self->blackout = microseconds;
    unlock_changed(self);
}

void status_set_plan(status *self, const plan *made)
{
    JsonObject *changes = plan_to_json(made);

    /* The definitions are the hosts' affair; here they would only be noise. */
    json_object_remove_member(changes, "live_xml");
    json_object_remove_member(changes, "persistent_xml");
    g_mutex_lock(&self->lock);
    g_clear_pointer(&self->changes, json_object_unref);
    self->changes = changes;
    unlock_changed(self);
}

void status_set_hold(status *self, JsonObject *hold)
{
    g_mutex_lock(&self->lock);
    g_clear_pointer(&self->hold, json_object_unref);
    self->hold = hold;
    unlock_changed(self);
}

void status_set_way_back(status *self, gint64 until, const char *const *disks)
{
    JsonObject *way_back = json_object_new();
    JsonArray *paths = json_array_new();

    for (guint i = 0; disks[i]; i++)
        json_array_add_string_element(paths, disks[i]);
    json_object_set_int_member(way_back, "until", until);
    json_object_set_array_member(way_back, "disks", paths);
    g_mutex_lock(&self->lock);
    g_clear_pointer(&self->way_back, json_object_unref);
    self->way_back = way_back;
    unlock_changed(self);
}

void status_take_findings(status *self, findings *found)
{
    g_mutex_lock(&self->lock);
    findings_take(self->found, found);
    unlock_changed(self);
}
