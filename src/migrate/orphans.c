/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* VMs that a move has left behind, and both halves together; see orphans.h. */
#include "migrate/orphans.h"

#include <string.h>

static gboolean is_moving(journal *book, const char *uuid, gboolean *moving, GError **error)
{
    g_autoptr(GPtrArray) unfinished = journal_list(book, TRUE, G_MAXINT, error);

    *moving = FALSE;
    for (guint i = 0; unfinished && i < unfinished->len; i++) {
        const journal_entry *entry = unfinished->pdata[i];
        *moving |= !g_ascii_strcasecmp(entry->vm_uuid, uuid);
    }
    return unfinished != NULL;
}

gboolean orphans_vm(journal *book, const char *name, const char *uuid, virt_state state,
                    gboolean persistent, findings *found, GError **error)
{
    g_autoptr(journal_entry) last = NULL;
    g_autoptr(GError) local = NULL;
    gboolean moving;

    /* Its state was read before: a move that has begun since is in the journal by now. */
    if (!is_moving(book, uuid, &moving, error))
        return FALSE;
    if (moving)
        return TRUE;
    last = journal_last_handover(book, uuid, &local);
    if (local) {
        g_propagate_error(error, g_steal_pointer(&local));
        return FALSE;
    }
    if ((state == VIRT_PAUSED || state == VIRT_SHUT_OFF) && last && last->decision == DECISION_GIVEN_UP)
        findings_add(found, 1205, name,
                     "Do not start it. Look at the host it was given to; then 'virsh undefine' it here.",
                     "%s was given to %s by migration %.8s, and a copy that does not run is here.", name,
                     last->peer, last->id);
    else if (state == VIRT_PAUSED && !persistent)
        findings_add(found, 1204, name,
                     "Find out where it runs; if it does elsewhere, 'virsh destroy' it here, and never resume it.",
                     "%s is here, paused and without a stored definition, as a migration leaves it, and no move of the journal "
                     "brings it.", name);
    return TRUE;
}

findings *orphans_look(const settings *conf, virt_host *host, GError **error)
{
    g_autofree char *path = settings_journal(conf);
    g_autoptr(journal) book = journal_open(path, FALSE, error);
    g_autoptr(GPtrArray) vms = book ? virt_host_domains(host, error) : NULL;
    g_autoptr(findings) found = findings_new();

    if (!vms || !orphans_files(conf, book, found, error))
        return NULL;
    for (guint i = 0; i < vms->len; i++) {
        virt_domain *one = vms->pdata[i];
        g_autoptr(GError) gone = NULL;
        gboolean persistent;
        virt_state state;

        if (!virt_domain_state(one, &state, &gone) || !virt_domain_is_persistent(one, &persistent, &gone))
            continue; /* it has gone since */
        if (!orphans_vm(book, virt_domain_name(one), virt_domain_uuid(one), state, persistent, found,
                        error))
            return NULL;
    }
    return g_steal_pointer(&found);
}

char *orphans_file(const settings *conf)
{
    return g_build_filename(conf->state_dir, "orphans.json", NULL);
}
