/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Starting `ferry-worker --recover` for moves whose worker has died: at once, then with pauses that
 * grow to a minute, for ever: what was given up and not yet accepted must come to its end. Main
 * thread only. */
#pragma once
#include "daemon/workers.h"

typedef struct recovery recovery;

recovery *recovery_new(workers *crew);
void recovery_free(recovery *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(recovery, recovery_free)

/* One more try for this one; the pause depends on how many there were. */
void recovery_schedule(recovery *self, const char *id);
/* It has come to its end. */
void recovery_forget(recovery *self, const char *id);
