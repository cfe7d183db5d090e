/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Moves that are stuck; see stuck.h. */
#include "daemon/stuck.h"

#include "base/log.h"

#include <string.h>

#define LOG_AREA "stuck"

void stuck_add(ferryd *self, const char *id, const char *why)
{
    g_hash_table_replace(self->stuck, g_strdup(id), g_strdup(why));
}

gboolean stuck_has(const ferryd *self, const char *id)
{
    return g_hash_table_contains(self->stuck, id);
}

/* What the decision on record means for somebody with virsh (I1). Caller frees. */
static char *advice(const journal_entry *entry)
{
    gboolean source = !strcmp(entry->role, "source");

    if (source && entry->decision == DECISION_GIVEN_UP)
        return g_strdup_printf("%s was given to %s: run it here only if it is certain that it does "
                               "not run there",
                               entry->vm, entry->peer);
    if (source || entry->decision == DECISION_ACCEPTED)
        return g_strdup_printf("%s belongs to this host: 'virsh resume' it if it is paused",
                               entry->vm);
    return g_strdup_printf("%s belongs to %s: 'virsh destroy' it if it is paused here, and never "
                           "resume it",
                           entry->vm, entry->peer);
}

void stuck_show(ferryd *self, const journal_entry *entry)
{
    g_autofree char *by_hand = advice(entry);
    g_autofree char *text = g_strdup_printf(
        "Ferry " FERRY_VERSION " does not understand what its journal has of this move (%s) and "
        "leaves it alone: restart ferryd with the version that began it; or put things right by "
        "hand (%s) and close the move with 'ferry cancel %.8s'",
        (const char *)g_hash_table_lookup(self->stuck, entry->id), by_hand, entry->id);

    log_error("%.8s: %s", entry->id, text);
    moves_set_entry(self->known, entry, text);
}

void stuck_answer(ferryd *self, exchange *x)
{
    exchange_fail(x, 503, "busy",
                  "%s cannot go on with this move before somebody looks after it: 'ferry list' "
                  "there says why",
                  self->conf->name);
}

gboolean stuck_close(ferryd *self, const char *id, GError **error)
{
    g_autofree char *path = settings_journal(self->conf), *text = NULL;
    g_autoptr(journal_entry) entry = journal_find(self->book, id, error);
    g_autoptr(journal) book = entry ? journal_open(path, FALSE, error) : NULL;
    g_autoptr(JsonObject) shown = NULL;

    if (!book)
        return FALSE;
    moves_fail(self->known, id, "closed",
               "closed by hand: Ferry did not understand what its journal had of this move");
    shown = moves_find(self->known, id, error);
    text = shown ? json_text(shown) : NULL;
    if (!text || !journal_end(book, id, phase_name(PHASE_FAILED), text, error)) {
        stuck_show(self, entry);
        return FALSE;
    }
    log_notice("%.8s: closed by hand; neither %s nor its disks were touched", id, entry->vm);
    g_hash_table_remove(self->stuck, id);
    g_hash_table_remove(self->owners, id);
    recovery_forget(self->recoveries, id);
    return TRUE;
}
