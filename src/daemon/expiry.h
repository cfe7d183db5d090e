/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Deleting what was kept for a time: source disks as the way back, landed data for the next try.
 *
 * Only regular files with ".ferry-" in their name, exactly where the journal has them. Its rows hold
 * real directories (journal.h), so no symbolic link on the way is followed: one that is there now was
 * not there then. What cannot be deleted is kept in the journal and complained about
 * once. Nothing is deleted of a VM that is landing here: by the journal, so also after a restart. */
#pragma once
#include "journal/journal.h"

typedef struct expiry expiry;

expiry *expiry_new(void);
void expiry_free(expiry *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(expiry, expiry_free)

/* Deletes and forgets all that expired before `now` (Unix seconds). Any thread, one at a time.
 * Returns how many files were deleted. */
guint expiry_run(expiry *self, journal *book, gint64 now, GError **error);
/* One file and its row, whatever its time. *bytes: what it took on disk, -1 if it was gone already. FALSE with
 * G_IO_ERROR_BUSY: the VM is landing here. */
gboolean expiry_drop(journal *book, const journal_kept *kept, gint64 *bytes, GError **error);
/* One file; absent is TRUE. *bytes as above. */
gboolean expiry_delete(const char *path, gint64 *bytes, GError **error);
