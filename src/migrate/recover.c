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

/* NULL: it is certain that there is no such VM here. */
static virt_domain *find_vm(const job *work, status *shown, virt_host **host, const char *uuid)
{
    for (;;) {
        g_autoptr(GError) error = NULL;
        virt_domain *found = virt_domain_find_uuid(*host, uuid, &error);

        if (found || g_error_matches(error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND))
            return found;
        log_warning("%s (trying again)", error->message);
        g_usleep(RETRY_PAUSE);
        virt_host_close(*host);
        *host = open_host(work, shown);
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
    self->domain = find_vm(self->work, self->status, &self->host, self->landing->machine->uuid);
    if (moved && status_phase(self->status) == PHASE_COMMITTING)
        moved = handover_settle(self, entry->token) == VERDICT_STARTED;
    if (!moved)
        status_set_error(self->status, "worker-died", "ferry-worker died while %s; %s goes on here",
                         entry->phase, self->landing->machine->name);
    source_finish(self, moved);
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
    if (!ours)
        status_set_error(self->status, "worker-died", "ferry-worker died while %s", entry->phase);
    g_mutex_lock(&self->lock);
    self->settled = self->accepted = ours;
    g_mutex_unlock(&self->lock);
    if (ours)
        target_answer_asking(self);
    target_finish(self, ours);
}
