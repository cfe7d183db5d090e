/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Does a guest change its memory faster than it crosses? Then the move does not end by itself, and yet nothing stands
 * still. Pure: who looks says what time it is.
 */
#pragma once
#include <glib.h>

typedef struct {
    guint64 done; /* of memory, at the beginning of a window of a few seconds */
    gint64 since; /* monotonic µs; 0: none has begun */
    guint64 rate; /* out: bytes/s in the last whole window … */
    gboolean behind; /* … and whether that was too little */
} pace;

/* `done`: bytes of memory sent so far; `dirty_rate`: bytes/s; `iteration`: how often all that had changed was
 * sent. TRUE: `behind` is another than before. */
gboolean pace_look(pace *self, guint64 done, guint64 dirty_rate, guint iteration, gint64 now);
