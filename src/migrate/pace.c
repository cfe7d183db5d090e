/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Guests that are faster than their move; see pace.h. */
#include "migrate/pace.h"

#define WINDOW (3 * G_TIME_SPAN_SECOND)
/* The first pass sends everything once: nothing follows from it. */
#define PASSES 2

gboolean pace_look(pace *self, guint64 done, guint64 dirty_rate, guint iteration, gint64 now)
{
    gint64 length = now - self->since;
    gboolean before = self->behind;

    if (self->since && done >= self->done && length < WINDOW)
        return FALSE;
    self->behind = FALSE;
    if (self->since && done >= self->done) {
        self->rate = (done - self->done) * G_USEC_PER_SEC / (guint64)length;
        self->behind = iteration >= PASSES && dirty_rate > self->rate;
    }
    self->done = done;
    self->since = now;
    return self->behind != before;
}
