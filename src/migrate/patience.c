/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Standing still; see patience.h. */
#include "migrate/patience.h"

gint64 patience_look(patience *self, guint64 mark, gboolean excused, gint64 now)
{
    if (!self->last || mark != self->mark)
        self->idle = 0;
    else if (!excused)
        self->idle += CLAMP(now - self->last, 0, PATIENCE_GAP);
    self->mark = mark;
    self->last = now;
    return self->idle;
}
