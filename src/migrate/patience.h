/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* For how long something has stood still. Pure: who looks says what time it is.
 *
 * Only time in which it could have moved counts: not what was excused (no link, a hold), nor a gap between two looks, when
 * this process was stopped itself or its host slept. Times are monotonic µs.
 */
#pragma once
#include <glib.h>

typedef struct {
    guint64 mark;      /* as it was at the last look */
    gint64 idle, last; /* counted so far; the last look, 0: none yet */
} patience;

/* A gap between looks counts as this at most. */
#define PATIENCE_GAP G_USEC_PER_SEC

/* `mark` is any number that changes with progress. Returns for how long it has not. */
gint64 patience_look(patience *self, guint64 mark, gboolean excused, gint64 now);
