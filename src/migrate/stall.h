/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Watches, for a mirror that is synchronous, that no write waits for the target for ever: a guest's
 * own may be among them. Where the mirror runs in the background nobody has to.
 */
#pragma once
#include "relay/export.h"

typedef struct stall stall;

/* Calls `stalled` once, from a thread of its own, when requests have waited for so many seconds
 * without the target having done anything at all. Borrows `exports`. */
stall *stall_watch(export_table *exports, guint seconds, void (*stalled)(void *user), void *user);
/* `stalled` does not run any more on return. NULL is allowed. */
void stall_unwatch(stall *self);
