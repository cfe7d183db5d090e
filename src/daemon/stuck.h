/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Moves that no worker can bring to their end, because what the journal has of them cannot be
 * understood: another version wrote it, or it was damaged. They hold no slot and get no worker until
 * ferryd is restarted; people are told what to do, and may close them. Main thread only.
 */
#pragma once
#include "daemon/ferryd.h"

/* Its worker says that it does not understand the entry. */
void stuck_add(ferryd *self, const char *id, const char *why);
gboolean stuck_has(const ferryd *self, const char *id);
/* Its worker is gone: shows what is wrong, and what can be done. */
void stuck_show(ferryd *self, const journal_entry *entry);
/* Whoever waits for it from elsewhere. */
void stuck_answer(ferryd *self, exchange *x);
/* Ends the entry, as failed, and touches nothing else. */
gboolean stuck_close(ferryd *self, const char *id, GError **error);
