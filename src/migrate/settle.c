/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Watching a guest that was just started; see settle.h. */
#include "migrate/settle.h"

static gboolean has_advanced(const virt_life *from, const virt_life *to)
{
    return to->cpu > from->cpu || to->requests > from->requests || to->packets > from->packets;
}

settle_verdict settle_look(settle *self, const virt_life *seen, gboolean answers, gint64 now)
{
    if (seen->dead)
        return SETTLE_DEAD;
    if (!self->counted) {
        self->first = *seen;
        self->counted = TRUE;
    }
    self->moved |= answers || has_advanced(&self->first, seen);
    if (seen->state != VIRT_RUNNING) {
        self->since = 0;
        return SETTLE_STILL;
    }
    if (!self->since)
        self->since = now;
    return self->moved && now - self->since >= self->span ? SETTLE_ALIVE : SETTLE_WATCHING;
}
