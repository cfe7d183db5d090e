/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* After a worker has died: what the journal says decides (docs/design.md, "After a crash").
 *
 *   source: none, taken-back   the VM runs here, or is resumed; the landing is ended
 *           given-up           the target is asked until it answers; then as at any hand-over
 *   target: none, refused      the refusal is recorded, what was loaded destroyed, the rest tidied
 *           accepted           the guest is ours and runs
 */
#include "migrate/source-inside.h"
#include "migrate/target-inside.h"

#include "migrate/insist.h"

/* The VM as libvirt has it. */
typedef struct {
    const job *work;
    virt_host *host; /* libvirtd may have gone down together with us: nothing can be decided without it */
    const char *uuid;
    virt_domain *found; /* out; NULL: it is certain that there is no such VM here */
} search;

static gboolean open_host(void *user, GError **error)
{
    search *s = user;

    return insist_open_host(s->work, &s->host, error);
}

static gboolean find_vm(void *user, GError **error)
{
    search *s = user;

    s->found = virt_domain_find_uuid(s->host, s->uuid, error);
    if (!s->found && !g_error_matches(*error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND))
        return FALSE;
    g_clear_error(error);
    return TRUE;
}

static void reopen(void *user)
{
    (void)open_host(user, NULL);
}

/* Absent is NULL without an error: the worker died before it had looked at the VM. */
static landing_request *journaled_landing(const journal_entry *entry, GError **error)
{
    g_autoptr(JsonObject) details = json_parse(entry->details ? entry->details : "{}", -1, error);
    g_autoptr(landing_request) asked = NULL;
    JsonObject *landing, *paths;

    if (!details)
        return NULL;
    if (!json_object_has_member(details, "landing") && entry->decision == DECISION_NONE)
        return NULL;
    if (!json_get_object(details, "landing", &landing, error) ||
        !json_get_object(details, "paths", &paths, error))
        return NULL;
    asked = landing_request_from_json(landing, error);
    return asked && vm_take_paths(asked->machine, paths, error) ? g_steal_pointer(&asked) : NULL;
}

static plan *journaled_plan(const journal_entry *entry, GError **error)
{
    g_autoptr(JsonObject) details = json_parse(entry->details ? entry->details : "{}", -1, error);
    JsonObject *made;

    return details && json_get_object(details, "plan", &made, error) ? plan_from_json(made, error)
                                                                     : NULL;
}

typedef struct {
    source *self;
    journal_entry *now; /* out */
} lookup;

static gboolean read_again(void *user, GError **error)
{
    lookup *l = user;

    l->now = journal_find(l->self->work->journal, l->self->work->id, error);
    if (!l->now && !*error)
        g_set_error_literal(error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND, "the journal has lost this migration");
    return l->now != NULL;
}

/* A member of a group that has joined can be given up by another worker at any time, until it has withdrawn. NULL: what
 * the entry says holds. */
static journal_entry *decided_since(source *self, const journal_entry *entry)
{
    g_autofree char *because = g_strdup_printf("the worker of %s has died", self->asked->vm);
    lookup again = {.self = self};

    if (!self->group || entry->decision != DECISION_NONE || together_withdraw(self->group, because))
        return NULL;
    insist(self->status, read_again, NULL, &again);
    return again.now;
}

gboolean source_recover(source *self, const journal_entry *found, GError **error)
{
    g_autoptr(journal_entry) since = decided_since(self, found);
    const journal_entry *entry = since ? since : found;
    gboolean moved = entry->decision == DECISION_GIVEN_UP;
    g_autoptr(GError) unreadable = NULL;
    search s = {.work = self->work};

    self->landing = journaled_landing(entry, &unreadable);
    if (unreadable) {
        g_propagate_error(error, g_steal_pointer(&unreadable));
        return FALSE;
    }
    if (!status_restore(self->status, entry, error))
        return FALSE;
    if (self->hold)
        hold_end(self->hold);
    if (!self->landing) {
        /* It died before it had looked at the VM: nothing has been touched. */
        status_set_error(self->status, "worker-died", "ferry-worker died while %s; nothing has changed",
                         entry->phase);
        source_finish(self, FALSE);
        return TRUE;
    }
    self->recovering = TRUE;
    s.uuid = self->landing->machine->uuid;
    status_set_vm(self->status, self->landing->machine->name, s.uuid);
    insist(self->status, open_host, NULL, &s);
    insist(self->status, find_vm, reopen, &s);
    self->host = s.host;
    self->domain = s.found;
    self->token = g_strdup(entry->token);
    resolve_restore(self);
    if (moved && status_phase(self->status) == PHASE_COMMITTING)
        moved = handover_settle(self, entry->token) == VERDICT_STARTED;
    if (!moved && !self->returned)
        status_set_error(self->status, "worker-died", "ferry-worker died while %s; %s goes on here",
                         entry->phase, self->landing->machine->name);
    source_finish(self, moved);
    return TRUE;
}

gboolean target_recover(target *self, const journal_entry *entry, GError **error)
{
    gboolean ours = entry->decision == DECISION_ACCEPTED;
    search s = {.work = self->work};

    self->made = journaled_plan(entry, error);
    if (!self->made || !status_restore(self->status, entry, error))
        return FALSE;
    self->prepared = self->recovering = TRUE;
    self->token = g_strdup(entry->token);
    insist(self->status, open_host, NULL, &s);
    self->host = s.host;
    if (!ours)
        status_set_error(self->status, "worker-died", "ferry-worker died while %s", entry->phase);
    g_mutex_lock(&self->lock);
    self->settled = self->accepted = ours;
    g_mutex_unlock(&self->lock);
    /* Whether one that is wanted back can be had is seen later. */
    if (ours && self->back == BACK_NO)
        target_answer_asking(self);
    target_finish(self, ours);
    return TRUE;
}
