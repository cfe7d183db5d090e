/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* When to compress; see squeeze.h. */
#include "block/squeeze.h"

#define INTERVAL_US     (50 * G_TIME_SPAN_MILLISECOND)
#define INTERVAL_BLOCKS 8
/* Shares of an interval from which on something holds us up. */
#define LINK_SHARE 0.2
#define CPU_SHARE  0.25
/* A change has to promise so much, so that noise does not make us go to and fro. */
#define BETTER 1.15

#define SKIP_MAX    127  /* blocks that are not tried after one that did not shrink, at most */
#define SAMPLE_SKIP 31   /* the same while plain, after one that did */
#define SHRINKS     0.95 /* what is less is worth it */
#define NEW_SHARE   0.25 /* of a new value in an average */

#define TRIAL_FIRST     G_TIME_SPAN_SECOND
#define TRIAL_PAUSE_MIN (2 * G_TIME_SPAN_SECOND)
#define TRIAL_PAUSE_MAX (64 * G_TIME_SPAN_SECOND)

static void start_interval(squeeze *self, gint64 now, const squeeze_pace *pace)
{
    self->since = now;
    self->before = *pace;
    self->blocks = 0;
    self->content = self->sent = self->spent_us = 0;
}

void squeeze_init(squeeze *self, gint64 now, const squeeze_pace *pace)
{
    *self = (squeeze){.on = TRUE, .ratio = 1, .busy = 1, .settling = 1};
    self->trial_at = now + TRIAL_FIRST;
    self->trial_pause = TRIAL_PAUSE_MIN;
    start_interval(self, now, pace);
}

gboolean squeeze_is_due(const squeeze *self, gint64 now)
{
    return self->blocks >= INTERVAL_BLOCKS && now - self->since >= INTERVAL_US;
}

static void mix(double *average, double value)
{
    *average += (value - *average) * NEW_SHARE;
}

static void turn(squeeze *self, gboolean on)
{
    self->on = on;
    self->settling = 1;
    self->skip = self->skipped = 0;
    self->sampling = FALSE;
}

/* The CPU holds us up. What plain would bring is known, or has to be tried. */
static void consider_plain(squeeze *self, gint64 now, double rate)
{
    self->busy = CLAMP(rate / self->cpu, 0.01, 1);
    if (self->link > BETTER * rate) {
        turn(self, FALSE);
    } else if (now >= self->trial_at) {
        self->trial_at = now + self->trial_pause;
        self->trial_pause = MIN(2 * self->trial_pause, TRIAL_PAUSE_MAX);
        turn(self, FALSE);
    }
}

/* The link holds us up. */
static void consider_compressing(squeeze *self, gint64 now)
{
    double compressed = MIN(self->busy * self->cpu, self->link / self->ratio);

    if (self->ratio >= SHRINKS || compressed <= BETTER * self->link)
        return;
    if (now >= self->trial_at) { /* plain was right for long */
        self->trial_pause = TRIAL_PAUSE_MIN;
        self->trial_at = now + self->trial_pause;
    }
    turn(self, TRUE);
}

void squeeze_look(squeeze *self, gint64 now, const squeeze_pace *pace)
{
    double elapsed = (double)(now - self->since) / G_USEC_PER_SEC;
    double blocked = (double)(pace->blocked_us - self->before.blocked_us) / G_USEC_PER_SEC;
    double spent = (double)self->spent_us / G_USEC_PER_SEC;
    double taken = (double)(pace->acknowledged - self->before.acknowledged) / elapsed;
    gboolean by_link = blocked >= LINK_SHARE * elapsed;
    gboolean by_cpu = !by_link && spent >= CPU_SHARE * elapsed;

    mix(&self->flow, taken);
    if (self->settling > 0) {
        self->settling--;
    } else {
        if (by_link && self->link > 0)
            mix(&self->link, taken);
        else /* a link that does not hold us up may be any faster; but what one interval sees may have waited in others */
            self->link = MAX(self->link, self->flow);
        if (self->on && spent > 0) {
            self->cpu = (double)self->content / spent;
            self->ratio = (double)self->sent / (double)self->content;
        }
        if (!self->on) {
            self->sampling = by_link;
            if (by_link && self->cpu > 0)
                consider_compressing(self, now);
        } else if (by_cpu) {
            consider_plain(self, now, (double)self->content / elapsed);
        }
    }
    start_interval(self, now, pace);
}

gboolean squeeze_wants(squeeze *self)
{
    if (!self->on && !self->sampling)
        return FALSE;
    if (self->skipped < self->skip) {
        self->skipped++;
        return FALSE;
    }
    self->skipped = 0;
    return TRUE;
}

void squeeze_note(squeeze *self, uint32_t content, uint32_t sent, gboolean tried, gint64 spent_us)
{
    self->blocks++;
    self->content += content;
    self->sent += sent;
    if (!tried)
        return;
    self->spent_us += (guint64)MAX(spent_us, 0);
    if (sent >= content)
        self->skip = MIN(2 * self->skip + 1, SKIP_MAX);
    else
        self->skip = self->on ? 0 : SAMPLE_SKIP;
    if (!self->on) {
        mix(&self->ratio, (double)sent / content);
        mix(&self->cpu, (double)content * G_USEC_PER_SEC / (double)MAX(spent_us, 1));
    }
}
