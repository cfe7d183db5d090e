/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* After a worker has died: what the journal says decides (docs/design.md, "After a crash").
 *
 *   source: none, taken-back   the VM runs here, or is resumed; the landing is ended
 *           given-up           the target is asked until it answers; then as at any hand-over
 *   target: none, refused      what was loaded is destroyed, the refusal recorded, the rest tidied
 *           accepted           the guest is ours and runs
 */
#include "migrate/source-inside.h"
#include "migrate/target-inside.h"

#include "base/log.h"

#define LOG_AREA "recover"

#define RETRY_PAUSE (2 * G_USEC_PER_SEC)

/* libvirtd may have gone down together with us: nothing can be decided without it. */
static virt_host *open_host(const job *work, status *shown)
{
    for (;;) {
        g_autoptr(GError) error = NULL;
        virt_host *host = virt_host_open(work->conf->libvirt_socket, &error);

        if (host)
            return host;
        log_warning("%s (trying again)", error->message);
        status_set_waiting(shown, error->message);
        g_usleep(RETRY_PAUSE);
    }
}

static landing_request *journaled_landing(const journal_entry *entry, JsonObject **details,
                                          GError **error)
{
    JsonObject *landing;

    *details = json_parse(entry->details ? entry->details : "{}", -1, error);
    if (!*details || !json_get_object(*details, "landing", &landing, error))
        return NULL;
    return landing_request_from_json(landing, error);
}

void source_recover(source *self, const journal_entry *entry)
{
    g_autoptr(JsonObject) details = NULL;
    g_autoptr(GError) error = NULL;
    gboolean moved = entry->decision == DECISION_GIVEN_UP;

    self->recovering = TRUE;
    if (!status_restore(self->status, entry, &error)) {
        (void)source_fail(self, error);
        return;
    }
    self->landing = journaled_landing(entry, &details, NULL);
    if (!self->landing) {
        /* It died before it had looked at the VM: nothing has been touched. */
        self->recovering = FALSE;
        status_set_error(self->status, "worker-died", "ferry-worker died while %s; nothing has changed",
                         entry->phase);
        source_finish(self, FALSE);
        return;
    }
    self->host = open_host(self->work, self->status);
    status_set_vm(self->status, self->landing->machine->name, self->landing->machine->uuid);
    self->domain = virt_domain_find(self->host, self->landing->machine->uuid, &error);
    if (moved && status_phase(self->status) == PHASE_COMMITTING)
        moved = handover_settle(self, entry->token) == VERDICT_STARTED;
    if (!moved)
        status_set_error(self->status, "worker-died", "ferry-worker died while %s; %s goes on here",
                         entry->phase, self->landing->machine->name);
    source_finish(self, moved);
}

/* Accepted, and perhaps still paused: it is ours, so it runs. Gone: this host went down; it is defined again, shut off. */
static void run_accepted(target *self)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(virt_domain) guest =
        virt_domain_find(self->host, self->asked->machine->uuid, &error);
    virt_state state;

    if (guest && virt_domain_state(guest, &state, &error) && state == VIRT_PAUSED)
        (void)virt_domain_resume(guest, &error);
    if (error)
        log_error("%s: %s", self->asked->machine->name, error->message);
}

void target_recover(target *self, const journal_entry *entry)
{
    g_autoptr(JsonObject) details = NULL;
    g_autoptr(GError) error = NULL;
    JsonObject *made;
    gboolean ours = entry->decision == DECISION_ACCEPTED;

    details = json_parse(entry->details ? entry->details : "{}", -1, &error);
    if (!details || !json_get_object(details, "plan", &made, &error) ||
        !(self->made = plan_from_json(made, &error)) ||
        !status_restore(self->status, entry, &error)) {
        status_set_error(self->status, "internal", "journal: %s", error->message);
        return;
    }
    self->prepared = TRUE;
    self->token = g_strdup(entry->token);
    self->host = open_host(self->work, self->status);
    if (ours)
        run_accepted(self);
    else
        status_set_error(self->status, "worker-died", "ferry-worker died while %s", entry->phase);
    g_mutex_lock(&self->lock);
    self->settled = ours || entry->decision == DECISION_REFUSED;
    self->accepted = ours;
    g_mutex_unlock(&self->lock);
    target_answer_asking(self);
    target_finish(self, ours);
}
