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
    self->asking = FALSE;
    while (self->proof == SETTLED_UNKNOWN && self->order == ORDER_NONE && self->session &&
           !self->session_over && handover_has_link(self))
        g_cond_wait_until(&self->changed, &self->lock, g_get_monotonic_time() + LOOK_PAUSE);
    word = self->proof;
    g_mutex_unlock(&self->lock);
    return word;
}

/* TRUE: an answer. With an order the question is another one: it is wanted back. */
static gboolean ask_peer(source *self, order_what order, GError **error)
{
    const char *target = self->asked->target;
    g_autofree char *why = NULL;
    gboolean has_it, alive;

    if (order == ORDER_RUN_HERE) {
        if (!peer_commit(self->work, target, self->work->id, self->token, BACK_WANTED, &has_it, error))
            return FALSE;
        resolve_answered(self, has_it);
        if (!has_it)
            return TRUE;
    }
    if (!peer_proof(self->work, target, self->work->id, &alive, &why, error))
        return FALSE;
    resolve_answered(self, TRUE);
    g_mutex_lock(&self->lock);
    self->proof = alive ? SETTLED_ALIVE : SETTLED_DEAD;
    if (!self->died && !alive)
        self->died = g_strdup_printf("died (%s)", why ? why : "it does not say how");
    source_leave_word(self);
    return TRUE;
}

static gboolean ask(void *user, GError **error)
{
    source *self = user;
    const char *name = self->landing->machine->name, *target = self->asked->target;
    order_what order;

    if (wait_for_word(self) != SETTLED_UNKNOWN) {
        resolve_answered(self, TRUE);
        return TRUE;
    }
    order = resolve_begin(self);
    if (ask_peer(self, order, error))
        return TRUE;
    if (g_error_matches(*error, G_IO_ERROR, G_IO_ERROR_BUSY)) {
        g_prefix_error(error, "settling: ");
        return FALSE;
    }
    if (resolve_forced(self, &order, *error)) {
        g_clear_error(error);
        return TRUE;
    }
    g_prefix_error(error,
                   "settling: %s has started %s, and must say whether it has been seen running; until then its "
                   "disks are kept here (asking every 2 seconds). Only if it never answers again: 'ferry resolve %.8s "
                   "--run-here' runs it here as it was at the switchover, if it is certain that %s does not run it; "
                   "'ferry resolve %.8s --give-up' ends the move. Last answer: ",
                   target, name, self->work->id, target, self->work->id);
    return FALSE;
}

status_settled proof_wait(source *self)
{
    g_autofree char *waiting =
        g_strdup_printf("settling: %s watches %s run for a few seconds before the move counts as completed",
                        self->asked->target, self->landing->machine->name);
    status_settled word = status_get_settled(self->status);

    if (word == SETTLED_UNKNOWN) {
        status_set_waiting(self->status, waiting);
        insist(self->status, ask, NULL, self);
        status_set_waiting(self->status, NULL);
        word = self->proof;
        if (word != SETTLED_UNKNOWN)
            status_set_settled(self->status, word);
    }
    return word;
}
