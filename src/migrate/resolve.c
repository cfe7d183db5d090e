/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The guest was given up, and the target does not say whether it has it: somebody who knows may say so instead (docs/design.md,
 * "Orders"). The target is asked one last time; only when it does not answer the order counts. It is on record before the
 * decision it leads to; and the target hears of it as soon as it can be reached.
 */
#include "migrate/source-inside.h"

#include "migrate/insist.h"
#include "migrate/peer.h"

static void set_order(source *self, order_what what, order_state state, const char *why)
{
    g_autoptr(GError) error = NULL;

    /* Of an order that did not come to anything nobody needs to know after a crash. */
    (void)status_set_order(self->status, what, state, why, &error);
}

void source_resolve(source *self, order_what what)
{
    gboolean possible;

    g_mutex_lock(&self->lock);
    possible = self->asking;
    if (possible)
        self->order = what;
    source_leave_word(self);
    set_order(self, what, possible ? ORDER_ASKED : ORDER_OVERRULED,
              possible ? NULL : "nobody has to be asked: the two hosts are in touch");
}

order_what resolve_begin(source *self)
{
    order_what what;

    g_mutex_lock(&self->lock);
    self->asking = TRUE;
    what = self->order;
    g_mutex_unlock(&self->lock);
    return what;
}

/* The order, if there is one; it is over. */
static order_what take_order(source *self)
{
    order_what what;

    g_mutex_lock(&self->lock);
    what = self->order;
    self->order = ORDER_NONE;
    self->asking = FALSE;
    g_mutex_unlock(&self->lock);
    return what;
}

static gboolean record_taken_back(void *user, GError **error)
{
    source *self = user;

    return status_decide(self->status, DECISION_TAKEN_BACK, self->token, error);
}

static void bring_back(source *self)
{
    insist(self->status, record_taken_back, NULL, self);
    self->returned = TRUE;
}

void resolve_answered(source *self, gboolean target_has_it)
{
    order_what what = take_order(self);
    const char *name = self->landing->machine->name, *target = self->asked->target;
    g_autofree char *why = NULL;

    if (what == ORDER_NONE)
        return;
    if (target_has_it == (what == ORDER_GIVE_UP)) {
        why = g_strdup_printf(target_has_it ? "%s answers, and has %s" : "%s answers, and has given %s back", target,
                              name);
        if (!target_has_it)
            bring_back(self);
        set_order(self, what, what == ORDER_RUN_HERE ? ORDER_FORCED : ORDER_DONE, why);
        return;
    }
    why = g_strdup_printf(target_has_it ? "%s answers: it has %s, which is its own" :
                                          "%s answers: it has refused %s, which goes on here",
                          target, name);
    set_order(self, what, ORDER_OVERRULED, why);
}

typedef struct {
    source *self;
    order_what what;
    const char *why;
} forcing;

static gboolean record_order(void *user, GError **error)
{
    forcing *f = user;

    return status_set_order(f->self->status, f->what, ORDER_FORCED, f->why, error);
}

gboolean resolve_forced(source *self, order_what *what, const GError *error)
{
    g_autofree char *why = NULL;
    forcing f = {.self = self};

    /* It answers: so it will decide. */
    if (g_error_matches(error, G_IO_ERROR, G_IO_ERROR_BUSY))
        return FALSE;
    g_mutex_lock(&self->lock);
    f.what = self->order;
    g_mutex_unlock(&self->lock);
    if (f.what == ORDER_NONE)
        return FALSE;
    f.why = why = g_strdup_printf("%s does not answer: %s", self->asked->target, error->message);
    insist(self->status, record_order, NULL, &f);
    *what = take_order(self);
    if (*what == ORDER_RUN_HERE)
        bring_back(self);
    else
        set_order(self, *what, ORDER_DONE, why);
    return TRUE;
}

void resolve_restore(source *self)
{
    order_state state = ORDER_ASKED;
    order_what what = status_order(self->status, &state);

    if (what == ORDER_NONE || state == ORDER_OVERRULED)
        return;
    if (status_decision(self->status) == DECISION_TAKEN_BACK) {
        self->returned = TRUE;
        self->ran = state == ORDER_DONE;
    } else if (state != ORDER_DONE)
        self->order = what; /* the target is asked once more */
}

typedef struct {
    source *self;
    gboolean has_it;
} telling;

static gboolean tell(void *user, GError **error)
{
    telling *t = user;
    source *self = t->self;

    if (peer_commit(self->work, self->asked->target, self->work->id, self->token, BACK_TAKEN, &t->has_it,
                    error))
        return TRUE;
    g_prefix_error(error,
                   "%s was taken back by order and is this host's; %s has to hear of it, and must not run it too (telling it "
                   "every 2 seconds): ",
                   self->landing->machine->name, self->asked->target);
    return FALSE;
}

void resolve_tell(source *self)
{
    const char *name = self->landing->machine->name, *target = self->asked->target;
    telling t = {.self = self};
    g_autofree char *waiting = g_strdup_printf(
        "%s was taken back by order and is this host's; %s is told, so that it never runs it too", name, target);

    if (!status_has_error(self->status))
        set_order(self, ORDER_RUN_HERE, ORDER_DONE, NULL);
    (void)status_advance(self->status, PHASE_CLEANING, NULL);
    status_set_waiting(self->status, waiting);
    insist(self->status, tell, NULL, &t);
    status_set_waiting(self->status, NULL);
    if (t.has_it)
        status_set_error(self->status, "two-copies",
                         "%s is on both hosts: it was taken back here by order, and %s had started it. Neither is stopped "
                         "by Ferry. Decide which one is right, and on the other host run 'virsh destroy %s' and "
                         "'virsh undefine %s'",
                         name, target, name, name);
    else
        status_set_error(self->status, "taken-back", "%s was taken back by order and is this host's again; %s does not have it",
                         name, target);
}
