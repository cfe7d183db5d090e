/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Entries of the journal as migrations; see record.h. */
#include "migrate/record.h"

#include "migrate/phase.h"

/* An entry of another version may name a phase of its own; what counts is whether it is over, and
 * whether there is a way back. */
static const char *shown_phase(const journal_entry *entry)
{
    phase known;

    if (phase_from_name(entry->phase, &known))
        return entry->phase;
    return phase_name(entry->ended                         ? PHASE_FAILED
                      : entry->decision == DECISION_NONE ? PHASE_LANDING
                                                         : PHASE_COMMITTING);
}

JsonObject *record_json(const journal_entry *entry)
{
    g_autoptr(JsonObject) stored = entry->status ? json_parse(entry->status, -1, NULL) : NULL;
    JsonObject *status = stored ? json_copy(stored) : json_object_new();

    if (!json_object_has_member(status, "version"))
        json_object_set_int_member(status, "version", 0);
    json_object_set_string_member(status, "id", entry->id);
    json_object_set_string_member(status, "role", entry->role);
    json_object_set_string_member(status, "vm", entry->vm);
    json_object_set_string_member(status, "vm_uuid", entry->vm_uuid);
    json_object_set_string_member(status, "peer", entry->peer);
    json_object_set_string_member(status, "phase", shown_phase(entry));
    json_object_set_double_member(status, "began", (double)entry->began / G_USEC_PER_SEC);
    if (entry->ended)
        json_object_set_double_member(status, "ended", (double)entry->ended / G_USEC_PER_SEC);
    else
        json_object_set_null_member(status, "ended");
    return status;
}
