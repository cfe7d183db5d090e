/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The latency guard's controller; see guard.h. */
#include "migrate/guard.h"

#include "base/rate.h"

#include <string.h>

#define PATIENCE       G_TIME_SPAN_SECOND /* for GUARD_REQUESTS requests */
#define WAITING_SHARE  4                  /* a quiet guest spends less than this part of it waiting */
#define EASY           0.9                /* of the bound: below, faster is tried */
#define BEFORE_MAX     64
#define BEFORE_LEAST   3   /* samples that make a baseline */
#define LIFE_LEAST     100 /* requests that make a mean */
#define GROWTH         1.2
#define LEAP           1.5 /* instead, below half of the bound */
#define STEP           (G_GUINT64_CONSTANT(1) << 20)
#define UNBOUND        2   /* what is sent at less than rate / UNBOUND is not held up by it */
#define IN_VAIN_ROUNDS 4
#define HELPED         0.8 /* of the latency before the first cut: below, it did help */

struct guard {
    double factor, patience;
    virt_block_times last; /* counters where the present sample begins */
    gint64 last_at;        /* µs; 0: none yet */

    double before[BEFORE_MAX]; /* samples before the copy, a ring */
    guint seen;
    double baseline; /* µs; 0: none yet */

    double window[GUARD_SAMPLES]; /* at the present rate */
    guint filled;
    gint64 round_at; /* where the window begins: time, what was sent and written by then */
    guint64 round_sent, round_written;

    guint64 rate;
    double high, first; /* now; before the first of the present cuts */
    guint in_vain;      /* rounds at the lowest rate */
};

guard *guard_new(double factor, double patience_us)
{
    guard *self = g_new0(guard, 1);

    self->factor = factor;
    self->patience = patience_us;
    return self;
}

void guard_free(guard *self)
{
    g_free(self);
}

void guard_set_factor(guard *self, double factor)
{
    self->factor = factor;
    self->rate = 0;
    self->filled = self->in_vain = 0;
    self->round_at = 0;
}

guint64 guard_rate(const guard *self)
{
    return self->rate;
}

double guard_latency(const guard *self)
{
    return self->high;
}

double guard_bound(const guard *self)
{
    return self->baseline > 0 ? MAX(self->factor * self->baseline, self->patience) : 0;
}

/* The second highest, where there are at least as many as in a window. */
static double high_of(const double *samples, guint count)
{
    double highest = 0, second = 0;

    for (guint i = 0; i < count; i++)
        if (samples[i] > highest) {
            second = highest;
            highest = samples[i];
        } else if (samples[i] > second) {
            second = samples[i];
        }
    return count < GUARD_SAMPLES ? highest : second;
}

static void settle_baseline(guard *self, const virt_block_times *life)
{
    double known = 0;

    if (self->seen >= BEFORE_LEAST)
        known = high_of(self->before, MIN(self->seen, BEFORE_MAX));
    else if (life->requests >= LIFE_LEAST)
        known = (double)life->nanoseconds / 1000 / (double)life->requests;
    self->baseline = MAX(known, GUARD_FLOOR_US);
}

/* The mean latency since the last sample, 0 of a quiet guest; FALSE: it is too early to say. */
static gboolean sample(guard *self, gint64 now, const virt_block_times *guest, double *latency)
{
    guint64 requests = guest->requests - self->last.requests;
    double waited = (double)(guest->nanoseconds - self->last.nanoseconds) / 1000;
    gint64 span = now - self->last_at;
    gboolean begins = !self->last_at || guest->requests < self->last.requests ||
                      guest->nanoseconds < self->last.nanoseconds;
    gboolean tells = requests >= GUARD_REQUESTS ||
                     (span >= PATIENCE && requests && waited * WAITING_SHARE >= (double)span);

    if (!begins && !tells && span < PATIENCE)
        return FALSE;
    self->last = *guest;
    self->last_at = now;
    *latency = tells ? waited / (double)requests : 0;
    return !begins;
}

static void next_round(guard *self, gint64 now, const virt_block_times *guest, guint64 sent)
{
    self->filled = 0;
    self->round_at = now;
    self->round_sent = sent;
    self->round_written = guest->written;
}

static guard_verdict cut(guard *self, guint64 speed, guint64 least)
{
    gboolean lowest = self->rate && self->rate <= least;
    guint64 from = self->rate ? MIN(self->rate, speed) : speed;

    if (!self->rate && speed <= least)
        return GUARD_SAME; /* so little is not what slows it down */
    if (!lowest) {
        if (!self->rate)
            self->first = self->high;
        self->rate = MAX((guint64)((double)from * GUARD_CUT), least);
        self->in_vain = 0;
        return GUARD_SLOWER;
    }
    self->rate = least;
    if (self->high < self->first * HELPED || ++self->in_vain < IN_VAIN_ROUNDS)
        return GUARD_SAME;
    self->baseline = self->high;
    self->in_vain = 0;
    return GUARD_IN_VAIN;
}

static guard_verdict grow(guard *self, guint64 speed, double bound)
{
    double growth = self->high <= bound / 2 ? LEAP : GROWTH;

    self->in_vain = 0;
    if (!self->rate)
        return GUARD_SAME;
    if (speed < self->rate / UNBOUND) {
        self->rate = 0;
        return GUARD_LIFTED;
    }
    self->rate = MIN((guint64)((double)self->rate * growth) + STEP, RATE_MAX);
    return GUARD_FASTER;
}

static guard_verdict judge(guard *self, gint64 now, const virt_block_times *guest, guint64 sent)
{
    double seconds = (double)MAX(now - self->round_at, 1) / G_USEC_PER_SEC;
    guint64 speed = (guint64)((double)(sent - self->round_sent) / seconds);
    guint64 written = (guint64)((double)(guest->written - self->round_written) / seconds);
    guint64 least = MAX(GUARD_LEAST, 2 * written);
    double bound = guard_bound(self);
    guard_verdict verdict = GUARD_SAME;

    self->high = high_of(self->window, self->filled);
    if (self->high > bound)
        verdict = cut(self, speed, least);
    else if (self->high <= bound * EASY)
        verdict = grow(self, speed, bound);
    next_round(self, now, guest, sent);
    return verdict;
}

guard_verdict guard_look(guard *self, gint64 now, const virt_block_times *guest, gboolean copying,
                         guint64 sent)
{
    double latency;

    if (!sample(self, now, guest, &latency))
        return GUARD_SAME;
    if (!copying) {
        if (latency > 0)
            self->before[self->seen++ % BEFORE_MAX] = latency;
        return GUARD_SAME;
    }
    if (self->baseline <= 0)
        settle_baseline(self, guest);
    if (self->factor <= 0)
        return GUARD_SAME;
    if (!self->round_at) { /* what began before the copy, or before it was switched on, does not count */
        next_round(self, now, guest, sent);
        return GUARD_SAME;
    }
    self->window[self->filled++] = latency;
    return self->filled < GUARD_SAMPLES ? GUARD_SAME : judge(self, now, guest, sent);
}
