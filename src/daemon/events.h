/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What happens when workers report, answer, decide and go. */
#pragma once
#include "daemon/ferryd.h"

/* For workers_new. */
workers_events events_of_workers(ferryd *self);
/* For moves_new: a migration has another phase. */
void events_phase(const char *id, phase now, gpointer user);
/* ferryd has just started: takes up what the journal says is unfinished. Workers have been adopted.
 */
gboolean events_take_up(ferryd *self, GError **error);
