/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The target's half of the switchover (I1): nothing starts the guest but a commit token that was durably accepted. After
 * that nothing but the certainty that it has not run here leads to a refusal, and that is told only once what was
 * loaded is gone.
 */
#include "migrate/target-inside.h"

#include "base/log.h"
#include "migrate/control.h"
#include "migrate/insist.h"
#include "migrate/peer.h"
#include "migrate/settle.h"
#include "migrate/wayback.h"

#define LOG_AREA "accept"

#define LOOK_PAUSE       (100 * 1000) /* µs, between looks at a guest that settles */
#define AGENT_PAUSE      (2 * G_TIME_SPAN_SECOND)
#define AGENT_PATIENCE_S 1
#define RESUME_TRIES     5

/* The loaded guest, if it is there and stopped; one that runs is not ours to touch. */
static virt_domain *find_paused(target *self, GError **error)
{
    g_autoptr(virt_domain) found = virt_domain_find_uuid(self->host, self->asked->machine->uuid, error);
    virt_state state;

    if (!found || !virt_domain_state(found, &state, error))
        return NULL;
    if (state != VIRT_PAUSED) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_BUSY, "%s is here, but not paused",
                    virt_domain_name(found));
        return NULL;
    }
    return g_steal_pointer(&found);
}

static void tell_asking(target *self, gboolean accepted)
{
    g_mutex_lock(&self->lock);
    self->settled = TRUE;
    self->accepted = accepted;
    g_cond_broadcast(&self->changed);
    g_mutex_unlock(&self->lock);
    target_answer_asking(self);
}

static void reopen(void *user)
{
    target *self = user;

    (void)insist_open_host(self->work, &self->host, NULL);
}

static gboolean record_refusal(void *user, GError **error)
{
    target *self = user;

    return status_decision(self->status) == DECISION_REFUSED ||
           status_decide(self->status, DECISION_REFUSED, self->token, error);
}

static gboolean destroy_refused(void *user, GError **error)
{
    target *self = user;
    g_autoptr(virt_domain) guest = find_paused(self, error);

    if (!guest && g_error_matches(*error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND)) {
        g_clear_error(error);
        return TRUE;
    }
    return guest && virt_domain_destroy(guest, error);
}

/* Recorded first: after a crash in between the journal must not say "accepted" of a guest that is gone (I2), and nobody
 * starts a guest that is refused. Told last. */
void accept_refuse(target *self, const char *why)
{
    insist(self->status, record_refusal, reopen, self);
    /* Whoever has not asked libvirt to prepare has nothing here: a guest of this UUID is somebody else's. */
    if (status_phase(self->status) >= PHASE_MIRRORING)
        insist(self->status, destroy_refused, reopen, self);
    if (self->session)
        (void)control_send(self->session, CONTROL_REFUSED, why, NULL);
    tell_asking(self, FALSE);
}

typedef struct {
    target *self;
    gboolean may_run; /* QEMU may have been told to go on, and nobody has seen since that it did not */
    guint failures;   /* resumes after which the guest was seen to be stopped still */
    char *why;        /* of the last of them */
    gboolean ours;    /* out */
} launch;

/* Gone. If it cannot have run, the source's copy may; else it may have answered somebody here, and must not go back to
 * what it was before: it stays ours, shut off. */
static gboolean lost(launch *l, const char *how)
{
    const char *name = l->self->asked->machine->name;

    l->ours = l->may_run;
    if (l->ours)
        log_error("%s may have run here and %s", name, how);
    g_free(l->why);
    l->why = g_strdup_printf("%s %s before it was started", name, how);
    return TRUE;
}

/* One step towards a guest that is seen to run, or is known never to have run. The answer to a resume may be lost with
 * libvirtd while QEMU has got it: so nothing follows from an error but that we have to look, on a connection that answers.
 * Resuming may also fail for a passing reason (an image lock not yet released by the source's QEMU). */
static gboolean start(void *user, GError **error)
{
    launch *l = user;
    g_autoptr(virt_domain) guest =
        virt_domain_find_uuid(l->self->host, l->self->asked->machine->uuid, error);
    virt_state state;

    if (!guest && g_error_matches(*error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND)) {
        g_clear_error(error);
        return lost(l, "was gone");
    }
    if (!guest || !virt_domain_state(guest, &state, error))
        return FALSE;
    if (state == VIRT_SHUT_OFF)
        return lost(l, "was shut off");
    if (state != VIRT_PAUSED)
        return l->ours = TRUE;
    l->may_run = FALSE;
    if (l->failures == RESUME_TRIES)
        return TRUE;
    l->may_run = TRUE;
    if (virt_domain_resume(guest, error))
        return l->ours = TRUE;
    l->failures++;
    g_free(l->why);
    l->why = g_strdup((*error)->message);
    return FALSE;
}

static void look_again(void *user)
{
    reopen(((launch *)user)->self);
}

/* Accepted, durably. FALSE only if it is certain that the guest has not run here. */
static gboolean launched(target *self, GError **error)
{
    launch l = {.self = self};
    g_autofree char *why = NULL;

    insist(self->status, start, look_again, &l);
    why = l.why;
    if (!l.ours)
        g_set_error_literal(error, G_IO_ERROR, G_IO_ERROR_FAILED, why);
    return l.ours;
}

typedef struct {
    target *self;
    GError *no; /* out */
} acceptance;

/* What the journal cannot take now it can take as little of a refusal: it waits, and both guests are paused. */
static gboolean record_acceptance(void *user, GError **error)
{
    acceptance *a = user;

    if (status_commit(a->self->status, DECISION_ACCEPTED, a->self->token, error))
        return TRUE;
    if (insist_is_hopeless(*error))
        a->no = g_steal_pointer(error);
    return a->no != NULL;
}

static gboolean accepted(target *self, GError **error)
{
    acceptance a = {.self = self};

    insist(self->status, record_acceptance, NULL, &a);
    if (a.no)
        g_propagate_error(error, a.no);
    return !a.no;
}

gboolean accept_commit(target *self)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(virt_domain) guest = NULL;
    gboolean loaded;

    g_mutex_lock(&self->lock);
    loaded = self->loaded;
    g_mutex_unlock(&self->lock);
    if (!loaded)
        g_set_error_literal(&error, G_IO_ERROR, G_IO_ERROR_FAILED,
                            "a commit token came before the guest");
    else if (intake_verify(self, &error))
        guest = find_paused(self, &error);
    if (guest && accepted(self, &error) &&
        launched(self, &error)) {
        if (self->session)
            (void)control_send(self->session, CONTROL_STARTED, NULL, NULL);
        tell_asking(self, TRUE);
        return TRUE;
    }
    status_set_error(self->status, "refused", "%s could not be started here: %s",
                     self->asked->machine->name, error->message);
    accept_refuse(self, error->message);
    return FALSE;
}

static gboolean define(void *user, GError **error)
{
    target *self = user;

    return !self->made->persistent_xml ||
           virt_host_define(self->host, self->made->persistent_xml, FALSE, error);
}

/* Only one that has settled: of one that has died somebody decides which copy goes on. */
static gboolean set_autostart(void *user, GError **error)
{
    target *self = user;
    g_autoptr(virt_domain) guest = NULL;

    if (!self->made->persistent_xml || !self->asked->autostart)
        return TRUE;
    guest = virt_domain_find_uuid(self->host, self->asked->machine->uuid, error);
    return guest && virt_domain_set_autostart(guest, TRUE, error);
}

/* Resumed already, as a rule; after a crash perhaps not yet. Gone: this host went down, and it is defined again, shut off. */
static gboolean ensure_running(void *user, GError **error)
{
    target *self = user;
    g_autoptr(virt_domain) guest = virt_domain_find_uuid(self->host, self->asked->machine->uuid, error);
    virt_state state;

    if (!guest && g_error_matches(*error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND)) {
        log_error("%s is not here any more; it will be defined, shut off", self->asked->machine->name);
        g_clear_error(error);
        return TRUE;
    }
    if (!guest || !virt_domain_state(guest, &state, error))
        return FALSE;
    return state != VIRT_PAUSED || virt_domain_resume(guest, error);
}

/* The guest as it is: *there is FALSE if it is shut off, or gone. */
typedef struct {
    target *self;
    gboolean there, runs;
} presence;

static gboolean find_out(void *user, GError **error)
{
    presence *p = user;
    g_autoptr(virt_domain) guest =
        virt_domain_find_uuid(p->self->host, p->self->asked->machine->uuid, error);
    virt_state state;

    p->there = p->runs = FALSE;
    if (!guest && g_error_matches(*error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND)) {
        g_clear_error(error);
        return TRUE;
    }
    if (!guest || !virt_domain_state(guest, &state, error))
        return FALSE;
    p->there = state != VIRT_SHUT_OFF;
    p->runs = p->there && state != VIRT_PAUSED;
    return TRUE;
}

static void find_out_again(void *user)
{
    reopen(((presence *)user)->self);
}

static gboolean undefine(void *user, GError **error)
{
    target *self = user;
    g_autoptr(virt_domain) guest = virt_domain_find_uuid(self->host, self->asked->machine->uuid, error);

    if (!guest && g_error_matches(*error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND)) {
        g_clear_error(error);
        return TRUE;
    }
    return guest && virt_domain_undefine(guest, error);
}

/* Durable first; then nothing here can be started any more. */
static void give_back(target *self)
{
    insist(self->status, record_refusal, reopen, self);
    insist(self->status, undefine, reopen, self);
    status_set_error(self->status, "given-back", "%s has taken %s back", self->peer,
                     self->asked->machine->name);
    self->given_back = TRUE;
    tell_asking(self, FALSE);
}

gboolean accept_give_back(target *self)
{
    const char *name = self->asked->machine->name;
    presence p = {.self = self};
    peer_back back;

    g_mutex_lock(&self->lock);
    back = self->back;
    self->back = BACK_NO;
    g_mutex_unlock(&self->lock);
    if (back == BACK_NO)
        return FALSE;
    insist(self->status, find_out, find_out_again, &p);
    /* One that has settled is this host's, whatever became of it since. */
    if (!p.there && status_get_settled(self->status) != SETTLED_ALIVE) {
        give_back(self);
        return TRUE;
    }
    if (back == BACK_TAKEN)
        status_set_error(self->status, "two-copies",
                         "%s is on both hosts: it was taken back at %s by order after it had been started here. Neither is "
                         "stopped by Ferry. Decide which one is right, and on the other host run 'virsh destroy %s' and "
                         "'virsh undefine %s'",
                         name, self->peer, name, name);
    tell_asking(self, TRUE);
    return FALSE;
}

/* Accepted before a crash, and not seen to run since: by now it may have been taken back at the source by order. */
static gboolean ask_source(void *user, GError **error)
{
    presence *p = user;
    target *self = p->self;
    gboolean taken_back = FALSE;

    if (!find_out(p, error))
        return FALSE;
    if (p->runs || self->back != BACK_NO)
        return TRUE;
    if (!peer_handover(self->work, self->peer, self->work->id, &taken_back, error)) {
        g_prefix_error(error,
                       "%s was accepted here and does not run; before it is started %s has to say that nobody has taken it back "
                       "there (asking every 2 seconds; if it is certain that it does not run there, 'virsh resume' or "
                       "'virsh start' it by hand): ",
                       self->asked->machine->name, self->peer);
        return FALSE;
    }
    if (taken_back)
        give_back(self);
    return TRUE;
}

typedef struct {
    target *self;
    settle course;
    gint64 agent_at;  /* monotonic µs: when its agent is asked next */
    gboolean answers; /* it has */
    const char *name;
    virt_life life;   /* the last look */
} watching;

static gboolean look(void *user, GError **error)
{
    watching *w = user;
    g_autoptr(virt_domain) guest =
        virt_domain_find_uuid(w->self->host, w->self->asked->machine->uuid, error);
    gint64 now = g_get_monotonic_time();

    if (!guest && g_error_matches(*error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND)) {
        g_clear_error(error);
        w->life = (virt_life){.state = VIRT_SHUT_OFF, .dead = TRUE, .how = "was gone"};
        return TRUE;
    }
    if (!guest || !virt_domain_life(guest, &w->life, error))
        return FALSE;
    if (w->life.state == VIRT_RUNNING && !w->answers && now >= w->agent_at) {
        w->answers = virt_domain_answers(guest, AGENT_PATIENCE_S);
        w->agent_at = g_get_monotonic_time() + AGENT_PAUSE;
    }
    return TRUE;
}

static void look_once_more(void *user)
{
    reopen(((watching *)user)->self);
}

/* What is shown meanwhile. */
static void show_course(watching *w, settle_verdict now)
{
    g_autofree char *text = NULL;

    if (now == SETTLE_STILL)
        text = g_strdup_printf("settling: %s %s: 'virsh resume' it, so that this move can complete", w->name,
                               w->life.how ? w->life.how : "does not run");
    else
        text = g_strdup_printf("settling: %s has to be seen running for %u s", w->name,
                               w->self->work->conf->settle);
    status_set_waiting(w->self->status, text);
}

/* Does it go on running? FALSE: it is dead, and the status says how. */
static gboolean has_settled(target *self)
{
    watching w = {.self = self,
                  .course.span = (gint64)self->work->conf->settle * G_TIME_SPAN_SECOND,
                  .name = self->asked->machine->name};
    gint64 began = g_get_monotonic_time();
    settle_verdict now;

    for (;;) {
        insist(self->status, look, look_once_more, &w);
        now = settle_look(&w.course, &w.life, w.answers, g_get_monotonic_time());
        if (now == SETTLE_ALIVE || now == SETTLE_DEAD)
            break;
        show_course(&w, now);
        if (accept_give_back(self))
            return FALSE;
        g_usleep(LOOK_PAUSE);
    }
    status_set_waiting(self->status, NULL);
    if (now == SETTLE_DEAD)
        status_set_error(self->status, "guest-died",
                         "%s was started here and %s %.0f s later: 'virsh start %s' starts it again on its disks here; %s "
                         "keeps those it had at the switchover",
                         w.name, w.life.how,
                         (double)(g_get_monotonic_time() - began) / G_USEC_PER_SEC, w.name, self->peer);
    if (now == SETTLE_DEAD && self->session)
        (void)control_send(self->session, CONTROL_DIED, w.life.how, NULL);
    return now == SETTLE_ALIVE;
}

gboolean accept_settle(target *self)
{
    gboolean alive = status_get_settled(self->status) == SETTLED_ALIVE;

    if (!alive && self->recovering) {
        presence p = {.self = self};
        insist(self->status, define, reopen, self);
        insist(self->status, ask_source, find_out_again, &p);
    }
    if (self->given_back)
        return FALSE;
    if (!alive) {
        insist(self->status, ensure_running, reopen, self);
        insist(self->status, define, reopen, self);
        alive = has_settled(self);
        if (self->given_back)
            return FALSE;
        status_set_settled(self->status, alive ? SETTLED_ALIVE : SETTLED_DEAD);
    }
    if (!alive)
        return FALSE;
    insist(self->status, set_autostart, reopen, self);
    wayback_supersede(self->work, self->asked->machine->uuid, self->peer);
    if (self->session)
        (void)control_send(self->session, CONTROL_ALIVE, NULL, NULL);
    return TRUE;
}
