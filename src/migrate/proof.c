/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The source's half of the proof of life: until the target has seen the guest run for long enough everything is kept here,
 * however long that takes. The word comes over the session, or is asked for where that cannot bring it any more. */
#include "migrate/source-inside.h"

#include "migrate/insist.h"
#include "migrate/peer.h"

#define LOOK_PAUSE G_USEC_PER_SEC

/* As long as the session can bring it. */
static status_settled wait_for_word(source *self)
{
    status_settled word;

    g_mutex_lock(&self->lock);
    while (self->proof == SETTLED_UNKNOWN && self->session && !self->session_over &&
           handover_has_link(self))
        g_cond_wait_until(&self->changed, &self->lock, g_get_monotonic_time() + LOOK_PAUSE);
    word = self->proof;
    g_mutex_unlock(&self->lock);
    return word;
}

static gboolean ask(void *user, GError **error)
{
    source *self = user;
    const char *name = self->landing->machine->name, *target = self->asked->target;
    g_autofree char *why = NULL;
    gboolean alive;

    if (wait_for_word(self) != SETTLED_UNKNOWN)
        return TRUE;
    if (!peer_proof(self->work, target, self->work->id, &alive, &why, error)) {
        if (g_error_matches(*error, G_IO_ERROR, G_IO_ERROR_BUSY))
            g_prefix_error(error, "settling: ");
        else
            g_prefix_error(error,
                           "settling: %s has started %s, and must say whether it has been seen running; until then its "
                           "disks are kept here (asking every 2 seconds): ",
                           target, name);
        return FALSE;
    }
    g_mutex_lock(&self->lock);
    self->proof = alive ? SETTLED_ALIVE : SETTLED_DEAD;
    if (!self->died && !alive)
        self->died = g_strdup_printf("died (%s)", why ? why : "it does not say how");
    source_leave_word(self);
    return TRUE;
}

status_settled proof_wait(source *self)
{
    g_autofree char *waiting =
        g_strdup_printf("settling: %s watches %s run for a few seconds before the move counts as completed",
                        self->asked->target, self->landing->machine->name);
    status_settled word = status_get_settled(self->status);

    if (word == SETTLED_UNKNOWN || (word == SETTLED_DEAD && !self->died)) {
        status_set_waiting(self->status, waiting);
        insist(self->status, ask, NULL, self);
        status_set_waiting(self->status, NULL);
        word = self->proof;
        status_set_settled(self->status, word);
    }
    return word;
}
