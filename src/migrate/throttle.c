/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The limits of a move at its source, and the thread that looks at the guest; see throttle.h. */
#include "migrate/throttle.h"

#include "base/log.h"
#include "base/rate.h"
#include "migrate/budget.h"
#include "migrate/control.h"
#include "migrate/guard.h"

#define LOG_AREA "throttle"

#define LOOK_BEFORE (100 * G_TIME_SPAN_MILLISECOND) /* there is little time for a baseline */
#define LOOK_LATER  (250 * G_TIME_SPAN_MILLISECOND)

struct throttle {
    status *shown;
    gboolean guards; /* there can be a guard */
    virt_domain *domain; /* read-only once the thread runs, as are the disks */
    GStrv disks;
    GThread *thread;

    GMutex lock; /* guards the rest; taken before the status's and the session's */
    GCond changed;
    guard *guard;
    status_limits limits;
    session *to;       /* NULL: nothing is copied yet */
    gboolean resting, over;
    guint64 told;      /* to the target */
};

throttle *throttle_new(status *shown, const settings *conf, const request *asked)
{
    const request_limits *wanted = &asked->limits;
    throttle *self = g_new0(throttle, 1);

    g_mutex_init(&self->lock);
    g_cond_init(&self->changed);
    self->shown = shown;
    self->limits.own = wanted->bandwidth >= 0 ? (guint64)wanted->bandwidth : conf->move_bandwidth;
    self->guards = !asked->synchronous;
    if (self->guards)
        self->limits.guard = wanted->latency_guard >= 0 ? wanted->latency_guard : conf->latency_guard;
    self->limits.share = self->limits.claim = conf->bandwidth;
    self->limits.rate = budget_least(self->limits.own, self->limits.share);
    self->guard = guard_new(self->limits.guard, conf->latency_patience * 1000.0);
    status_set_limits(shown, &self->limits);
    return self;
}

/* Makes the limits hold, and shows them. Lock held. */
static void apply(throttle *self)
{
    status_limits *l = &self->limits;

    l->rate = budget_least(budget_least(l->own, l->share), l->peer_share);
    l->spared = self->resting ? 0 : guard_rate(self->guard);
    status_set_limits(self->shown, l);
    if (self->to)
        session_set_rate(self->to, self->resting ? 0 : l->rate, l->spared);
}

/* Lets the target know what we could use, so that the rest of its limit goes to others. Whatever cannot be
 * said now is said at the next look. Lock held. */
static void tell(throttle *self)
{
    guint64 most = budget_least(self->limits.own, self->limits.claim);

    if (self->to && !self->resting && most != self->told &&
        control_send_rate(self->to, most, NULL))
        self->told = most;
}

static void note(throttle *self, guard_verdict verdict, gboolean was_free)
{
    g_autofree char *rate = rate_text(guard_rate(self->guard));
    double now = guard_latency(self->guard) / 1000, bound = guard_bound(self->guard) / 1000;

    if (verdict == GUARD_SLOWER && was_free)
        log_notice("slowed down to spare the guest: its disks take %.1f ms, more than %.1f ms; the "
                   "copy gets %s",
                   now, bound, rate);
    else if (verdict == GUARD_LIFTED)
        log_notice("the guest's disks take %.1f ms: the copy is not held back any more", now);
    else if (verdict == GUARD_IN_VAIN)
        log_notice("slowing down does not help the guest: its disks take %.1f ms with the copy at %s",
                   now, rate);
    else if (verdict != GUARD_SAME)
        log_debug("the guest's disks take %.1f ms of at most %.1f ms: %s for the copy", now, bound,
                  rate);
}

static gpointer look(gpointer user)
{
    throttle *self = user;

    g_mutex_lock(&self->lock);
    while (!self->over) {
        session *to = self->to;
        session_stats stats = {0};
        virt_block_times guest;
        gboolean seen;

        if (self->resting) {
            g_cond_wait(&self->changed, &self->lock);
            continue;
        }
        g_mutex_unlock(&self->lock);
        /* During a migration libvirt may have no time for us: then there is no look. */
        seen = virt_domain_block_times(self->domain, (const char *const *)self->disks, &guest, NULL);
        if (to)
            session_get_stats(to, &stats);
        g_mutex_lock(&self->lock);
        if (seen && !self->resting) {
            gboolean was_free = guard_rate(self->guard) == 0;
            guard_verdict verdict = guard_look(self->guard, g_get_monotonic_time(), &guest,
                                               to != NULL, stats.payload_out[STREAM_DISK]);
            note(self, verdict, was_free);
            if (verdict != GUARD_SAME)
                apply(self);
        }
        tell(self);
        if (!self->resting)
            g_cond_wait_until(&self->changed, &self->lock,
                              g_get_monotonic_time() + (to ? LOOK_LATER : LOOK_BEFORE));
    }
    g_mutex_unlock(&self->lock);
    return NULL;
}

void throttle_watch(throttle *self, virt_domain *domain, GStrv disks)
{
    self->domain = domain;
    self->disks = disks;
    self->thread = g_thread_new("throttle", look, self);
}

void throttle_drive(throttle *self, session *to)
{
    g_mutex_lock(&self->lock);
    self->to = to;
    apply(self);
    tell(self);
    g_mutex_unlock(&self->lock);
}

static void set_resting(throttle *self, gboolean resting, gboolean over)
{
    g_mutex_lock(&self->lock);
    self->over |= over;
    g_cond_broadcast(&self->changed);
    if (self->resting != resting) {
        self->resting = resting;
        apply(self);
    }
    g_mutex_unlock(&self->lock);
}

void throttle_rest(throttle *self)
{
    set_resting(self, TRUE, FALSE);
}

void throttle_resume(throttle *self)
{
    set_resting(self, FALSE, FALSE);
}

void throttle_free(throttle *self)
{
    if (!self)
        return;
    set_resting(self, TRUE, TRUE);
    g_clear_pointer(&self->thread, g_thread_join);
    g_mutex_clear(&self->lock);
    g_cond_clear(&self->changed);
    guard_free(self->guard);
    g_strfreev(self->disks);
    g_free(self);
}

void throttle_set(throttle *self, const request_limits *wanted)
{
    g_autofree char *rate = NULL;

    g_mutex_lock(&self->lock);
    if (wanted->bandwidth >= 0)
        self->limits.own = (guint64)wanted->bandwidth;
    if (wanted->latency_guard >= 0 && self->guards) {
        self->limits.guard = wanted->latency_guard;
        guard_set_factor(self->guard, wanted->latency_guard);
    }
    apply(self);
    tell(self);
    rate = rate_text(self->limits.own);
    log_notice("set by the user: bandwidth %s, latency guard %.4g%s", rate, self->limits.guard,
               !self->guards             ? " (the mirror is synchronous: it stays off)"
               : self->limits.guard > 0 ? ""
                                         : " (off)");
    g_mutex_unlock(&self->lock);
}

void throttle_set_share(throttle *self, guint64 share, guint64 claim)
{
    g_mutex_lock(&self->lock);
    self->limits.share = share;
    self->limits.claim = claim;
    apply(self);
    tell(self);
    g_mutex_unlock(&self->lock);
}

void throttle_set_peer_share(throttle *self, guint64 share)
{
    g_mutex_lock(&self->lock);
    self->limits.peer_share = share;
    apply(self);
    g_mutex_unlock(&self->lock);
}
