/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Ways back, as the journal and the files kept have them. They block; any thread, each with its own `book`.
 *
 * A way back belongs to the move that began it. Its disks are at that move's source; at its target there is only the
 * time they are kept until, and a note (in the entry's details) once it is known that they are gone. */
#pragma once
#include "base/json.h"
#include "journal/journal.h"

/* What is kept here of that VM since `move`, a move from here: {"id", "vm", "vm_uuid", "until", "bytes", "disks":
 * [{"path", "bytes"}]}, caller unrefs. NULL without error: nothing is, the way back has ended. */
JsonObject *ways_kept(journal *book, const journal_entry *move, GError **error);
/* Deletes it: {"vm", "vm_uuid", "disks": [paths], "freed"}, also if nothing was there. G_IO_ERROR_BUSY: the VM is
 * on its way back; what has not been deleted stays. */
JsonObject *ways_end(journal *book, const journal_entry *move, GError **error);
/* `move` brought a VM here, and the other host has nothing of it any more. */
gboolean ways_note_end(journal *book, const journal_entry *move, GError **error);

/* The same migration object (new; caller unrefs), with "open" in its "way_back": can the VM still go back? At the
 * target that is what was said and is known; only the source knows for sure. */
JsonObject *ways_show(journal *book, JsonObject *migration);
