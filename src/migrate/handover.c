/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The source's half of the switchover (I1). Order is everything here:
 *
 *   1. libvirt's Finish3 reply says that the guest is loaded and paused at the target; it waits in our hands.
 *   2. The give-up is recorded, durably. From here on only the target's durable refusal lets this guest run again.
 *   3. The token is sent. The answer may come over the session, or be asked for over the control port when the session
 *      is gone or has no link; until there is one, the guest stays as it is: stopped.
 *   4. Started: the stopped guest here is destroyed by ourselves, before libvirt can have another idea
 *      (its client resumes the source when it does not see the reply). Then the reply may pass.
 *      Refused: the reply never passes, the connection ends, and libvirt resumes the guest.
 */
#include "migrate/source-inside.h"

#include "base/hook.h"
#include "base/log.h"
#include "migrate/control.h"
#include "migrate/insist.h"
#include "migrate/peer.h"
#include "relay/permit.h"

#define LOG_AREA "handover"

/* A session waits long for a link, a stopped guest must not. */
#define NO_LINK_US (5 * G_USEC_PER_SEC)
#define LOOK_PAUSE G_USEC_PER_SEC
/* A session that lives but brings no answer: asking again costs nothing, waiting costs the guest. */
#define ANSWER_US (10 * G_USEC_PER_SEC)

gboolean handover_has_link(source *self)
{
    session_stats stats;

    session_get_stats(self->session, &stats);
    return !stats.silent_since || g_get_monotonic_time() - stats.silent_since < NO_LINK_US;
}

/* Waits for an answer over the session as long as that can bring one. */
static verdict wait_for_answer(source *self)
{
    gint64 until = g_get_monotonic_time() + ANSWER_US;
    verdict said;

    g_mutex_lock(&self->lock);
    while (self->said == VERDICT_NONE && self->session && !self->session_over &&
           handover_has_link(self) && g_get_monotonic_time() < until)
        g_cond_wait_until(&self->changed, &self->lock, g_get_monotonic_time() + LOOK_PAUSE);
    said = self->said;
    g_mutex_unlock(&self->lock);
    return said;
}

typedef struct {
    source *self;
    const char *token;
    char *since;      /* local time: nobody has answered from then on */
    gboolean started; /* out */
} question;

/* The session is gone, has no link, or brings no answer: asks over the control port. The token goes along, so that asking is committing: a
 * target that has not decided yet decides now. If a link comes back first, the answer may come there. */
static gboolean ask(void *user, GError **error)
{
    question *q = user;
    source *self = q->self;
    const char *name = self->landing->machine->name, *target = self->asked->target;
    order_what order;
    verdict said;

    g_mutex_lock(&self->lock);
    said = self->said;
    g_mutex_unlock(&self->lock);
    if (said != VERDICT_NONE) {
        q->started = said == VERDICT_STARTED;
        resolve_answered(self, q->started);
        return TRUE;
    }
    order = resolve_begin(self);
    if (peer_commit(self->work, target, self->work->id, q->token,
                    order == ORDER_RUN_HERE ? BACK_WANTED : BACK_NO, &q->started, error)) {
        resolve_answered(self, q->started);
        return TRUE;
    }
    if (resolve_forced(self, &order, *error)) {
        g_clear_error(error);
        q->started = order == ORDER_GIVE_UP;
        return TRUE;
    }
    g_prefix_error(error,
                   "%s must say whether it has started %s, and has not answered since %s (asking every 2 seconds). %s stays "
                   "paused here until then; do not resume it by hand, for it may run there. Start ferryd on %s or mend the "
                   "way to its control port. Only if it never answers again: 'ferry resolve %.8s --run-here' if it is certain "
                   "that %s does not run it, 'ferry resolve %.8s --give-up' if it does. Last answer: ",
                   target, name, q->since, name, target, self->work->id, target, self->work->id);
    return FALSE;
}

/* The guest that was stopped here. The connection of the move is only borrowed: others use it. */
typedef struct {
    source *self;
    virt_host *host;     /* our own, after the first try; else NULL */
    virt_domain *domain; /* NULL: gone */
} leftover;

static gboolean destroy(void *user, GError **error)
{
    leftover *left = user;

    if (!left->domain || virt_domain_destroy(left->domain, error))
        return TRUE;
    g_prefix_error(error, "%s runs at %s now, and its stopped copy here cannot be removed yet: ",
                   left->self->landing->machine->name, left->self->asked->target);
    return FALSE;
}

static void find_again(void *user)
{
    leftover *left = user;
    g_autoptr(GError) why = NULL;
    virt_domain *again;

    if (!insist_open_host(left->self->work, &left->host, NULL))
        return;
    again = virt_domain_find_uuid(left->host, left->self->landing->machine->uuid, &why);
    if (!again && !g_error_matches(why, G_IO_ERROR, G_IO_ERROR_NOT_FOUND))
        return;
    if (left->domain != left->self->domain)
        virt_domain_free(left->domain);
    left->domain = again;
}

/* The target runs the guest; ours must not exist any more, so this does not return before it is gone. */
static void destroy_source(source *self)
{
    leftover left = {.self = self, .domain = self->domain};

    insist(self->status, destroy, find_again, &left);
    if (left.domain != self->domain)
        virt_domain_free(left.domain);
    virt_host_close(left.host);
}

static gboolean take_back(void *user, GError **error)
{
    question *q = user;

    return status_decide(q->self->status, DECISION_TAKEN_BACK, q->token, error);
}

verdict handover_settle(source *self, const char *token)
{
    g_autofree char *waiting = g_strdup_printf(
        "%s is asked whether it has started %s, which stays paused here until it answers",
        self->asked->target, self->landing->machine->name);
    g_autoptr(GDateTime) now = g_date_time_new_now_local();
    g_autofree char *since = g_date_time_format(now, "%H:%M:%S");
    question asked = {.self = self, .token = token, .since = since};
    gint64 suspended_at;
    verdict said;

    g_free(self->token);
    self->token = g_strdup(token);
    status_set_waiting(self->status, waiting);
    said = wait_for_answer(self);
    if (said == VERDICT_NONE && hook_wrong("handover.fence")) /* resumes without the target's word */
        said = VERDICT_REFUSED;
    if (said == VERDICT_NONE) {
        insist(self->status, ask, NULL, &asked);
        said = asked.started ? VERDICT_STARTED : VERDICT_REFUSED;
    }
    status_set_waiting(self->status, NULL);
    if (said == VERDICT_REFUSED) {
        insist(self->status, take_back, NULL, &asked);
        return said;
    }
    g_mutex_lock(&self->lock);
    suspended_at = self->suspended_at;
    g_mutex_unlock(&self->lock);
    if (suspended_at)
        status_set_blackout(self->status, g_get_monotonic_time() - suspended_at);
    destroy_source(self);
    return said;
}

/* Without a session the target cannot be told for a while: nobody else shall wait for that. */
static gboolean is_lost(void *user)
{
    source *self = user;
    gboolean over;

    g_mutex_lock(&self->lock);
    over = self->session_over;
    g_mutex_unlock(&self->lock);
    return over;
}

static gboolean give_up(source *self, const char *token, GError **error)
{
    if (!self->group && status_commit(self->status, DECISION_GIVEN_UP, token, error))
        return TRUE;
    if (!self->group) {
        if (!g_error_matches(*error, G_IO_ERROR, G_IO_ERROR_CANCELLED))
            status_set_error(self->status, "journal", "%s is not given up, and goes on here: %s",
                             self->landing->machine->name, (*error)->message);
        return FALSE;
    }
    if (together_commit(self->group, self->status, token, is_lost, self, error))
        return TRUE;
    status_set_error(self->status, "group", "%s", (*error)->message);
    return FALSE;
}

static gboolean hand_over(source *self, GError **error)
{
    g_autofree char *token = control_new_token();
    g_autoptr(GError) unsent = NULL;

    if (!give_up(self, token, error))
        return FALSE;
    if (!control_send(self->session, CONTROL_COMMIT, token, &unsent))
        log_warning("the commit token was not sent over the session: %s", unsent->message);
    if (handover_settle(self, token) == VERDICT_STARTED)
        return TRUE;
    if (!self->returned)
        status_set_error(self->status, "refused", "%s refused to start the VM; it goes on here",
                         self->asked->target);
    g_set_error(error, G_IO_ERROR, G_IO_ERROR_CANCELLED, "%s refused to start the VM",
                self->asked->target);
    return FALSE;
}

gboolean handover_judge(const rpc_packet *packet, rpc_direction direction, void *source_,
                        GBytes **instead, GError **error)
{
    source *self = source_;
    gboolean good;

    if (direction != RPC_FROM_PEER || permit_finish_reply(packet) != FINISH_LOADED)
        return TRUE;
    g_mutex_lock(&self->lock);
    self->handing = TRUE;
    g_mutex_unlock(&self->lock);
    good = hand_over(self, error);
    g_mutex_lock(&self->lock);
    self->handing = FALSE;
    source_leave_word(self);
    return good;
}
