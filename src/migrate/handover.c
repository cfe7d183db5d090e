/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The source's half of the switchover (I1). Order is everything here:
 *
 *   1. libvirt's Finish3 reply says that the guest is loaded and paused at the target; it waits in our hands.
 *   2. The give-up is recorded, durably. From here on only the target's durable refusal lets this guest run again.
 *   3. The token is sent. The answer may come over the session, or be asked for over the control port when the session
 *      is gone; until there is one, the guest stays as it is: stopped.
 *   4. Started: the stopped guest here is destroyed by ourselves, before libvirt can have another idea
 *      (its client resumes the source when it does not see the reply). Then the reply may pass.
 *      Refused: the reply never passes, the connection ends, and libvirt resumes the guest.
 */
#include "migrate/source-inside.h"

#include "base/log.h"
#include "migrate/control.h"
#include "migrate/peer.h"
#include "relay/permit.h"

#define LOG_AREA "handover"

#define ASK_PAUSE (2 * G_TIME_SPAN_SECOND)

/* Waits for an answer over the session as long as there is one. */
static verdict wait_for_answer(source *self)
{
    verdict said;

    g_mutex_lock(&self->lock);
    while (self->said == VERDICT_NONE && self->session && !self->session_over)
        g_cond_wait(&self->changed, &self->lock);
    said = self->said;
    g_mutex_unlock(&self->lock);
    return said;
}

/* The session is gone: asks over the control port until the target answers. The token goes along, so that asking is
 * committing: a target that has not decided yet decides now. */
static verdict ask_until_answered(source *self, const char *token)
{
    g_autofree char *waiting = g_strdup_printf(
        "%s has not said whether it has started %s; the guest stays paused until it does "
        "(asking every two seconds)",
        self->asked->target, self->landing->machine->name);

    for (;;) {
        g_autoptr(GError) error = NULL;
        gboolean started;

        if (peer_commit(self->work, self->asked->target, self->work->id, token, &started, &error))
            return started ? VERDICT_STARTED : VERDICT_REFUSED;
        log_warning("%s: %s", waiting, error->message);
        status_set_waiting(self->status, waiting);
        g_mutex_lock(&self->lock);
        g_cond_wait_until(&self->changed, &self->lock, g_get_monotonic_time() + ASK_PAUSE);
        g_mutex_unlock(&self->lock);
    }
}

/* The target runs the guest; ours must not exist any more, so this does not return before it is gone. */
static void destroy_source(source *self)
{
    while (self->domain) {
        g_autoptr(GError) error = NULL;

        if (virt_domain_destroy(self->domain, &error))
            return;
        log_error("%s runs at %s now, and its stopped copy here cannot be removed yet: %s",
                  self->landing->machine->name, self->asked->target, error->message);
        status_set_waiting(self->status, error->message);
        g_usleep(ASK_PAUSE);
        /* libvirtd may have been restarted under us. The old connection stays: others use it. */
        g_autoptr(virt_host) host = virt_host_open(self->work->conf->libvirt_socket, NULL);
        g_autoptr(GError) why = NULL;
        g_autoptr(virt_domain) again =
            host ? virt_domain_find_uuid(host, self->landing->machine->uuid, &why) : NULL;
        if (again ? virt_domain_destroy(again, NULL)
                  : g_error_matches(why, G_IO_ERROR, G_IO_ERROR_NOT_FOUND))
            return;
    }
}

verdict handover_settle(source *self, const char *token)
{
    g_autofree char *waiting = g_strdup_printf(
        "the word of %s whether it has started %s, which stays paused here until then",
        self->asked->target, self->landing->machine->name);
    gint64 suspended_at;
    verdict said;

    status_set_waiting(self->status, waiting);
    said = wait_for_answer(self);

    if (said == VERDICT_NONE)
        said = ask_until_answered(self, token);
    status_set_waiting(self->status, NULL);
    if (said == VERDICT_STARTED) {
        g_mutex_lock(&self->lock);
        suspended_at = self->suspended_at;
        g_mutex_unlock(&self->lock);
        if (suspended_at)
            status_set_blackout(self->status, g_get_monotonic_time() - suspended_at);
        destroy_source(self);
        return said;
    }
    for (;;) {
        g_autoptr(GError) error = NULL;
        if (status_decide(self->status, DECISION_TAKEN_BACK, token, &error))
            break;
        log_error("%s", error->message);
        g_usleep(ASK_PAUSE);
    }
    return said;
}

static gboolean hand_over(source *self, GError **error)
{
    g_autofree char *token = control_new_token();
    g_autoptr(GError) unsent = NULL;

    if (!status_commit(self->status, DECISION_GIVEN_UP, token, error))
        return FALSE;
    if (!control_send(self->session, CONTROL_COMMIT, token, &unsent))
        log_warning("the commit token was not sent over the session: %s", unsent->message);
    if (handover_settle(self, token) == VERDICT_STARTED)
        return TRUE;
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

    if (direction == RPC_FROM_PEER && permit_finish_reply(packet) == FINISH_LOADED)
        return hand_over(self, error);
    return TRUE;
}
