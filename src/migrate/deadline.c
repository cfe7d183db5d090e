/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Moves that stand still; see deadline.h. */
#include "migrate/deadline.h"

#include "migrate/patience.h"
#include "migrate/peer.h"

#define LOOK      (500 * G_TIME_SPAN_MILLISECOND)
#define SAY       (5 * G_TIME_SPAN_SECOND)  /* what has stood still for so long is worth a word */
#define NO_LINK   (5 * G_TIME_SPAN_SECOND)  /* then the target is asked … */
#define ASK_PAUSE (2 * G_TIME_SPAN_SECOND)  /* … so often */
#define STOPPED   (60 * G_TIME_SPAN_SECOND) /* most, while the guest stands still */

struct deadline {
    source *of;
    patience idle;
    gboolean said;
    gint64 asked; /* monotonic µs of the last question; 0: none */
    GCancellable *stop;
    GThread *thread;
    GMutex lock;
    GCond changed;
    gboolean over; /* under lock */
};

/* Nothing can be expected to move now. */
static gboolean is_excused(const deadline *self, const session_stats *stats, phase now)
{
    return stats->silent_since != 0 ||
           (now == PHASE_SYNCHRONIZING && self->of->hold && hold_holds(self->of->hold));
}

/* Changes with every byte of the guest's that crosses, and with every step of libvirt's job. While memory is copied its disks
 * do not count: what the guest writes reaches the target's images also when nothing else goes on there. */
static guint64 mark_of(deadline *self, const session_stats *stats, phase now)
{
    static const stream_kind kinds[] = {STREAM_RPC, STREAM_MEMORY, STREAM_DISK};
    guint64 sum = (guint64)now << 60;

    for (guint i = 0; i < G_N_ELEMENTS(kinds); i++)
        if (kinds[i] != STREAM_DISK || now != PHASE_SYNCHRONIZING)
            sum += stats->payload_out[kinds[i]] + stats->payload_in[kinds[i]];
    g_mutex_lock(&self->of->lock);
    sum += self->of->progressed;
    g_mutex_unlock(&self->of->lock);
    return sum;
}

static char *clock_text(gint64 from_now)
{
    gint64 seconds = (g_get_real_time() + from_now) / G_USEC_PER_SEC;
    g_autoptr(GDateTime) when = g_date_time_new_from_unix_local(seconds);

    return g_date_time_format(when, "%H:%M:%S");
}

static const char *what_should(phase now)
{
    return now == PHASE_MIRRORING ? "no byte of its disks has crossed, and libvirt's job has not moved,"
         : now == PHASE_SYNCHRONIZING ? "no byte of its memory has crossed"
                                      : "nothing of its last state has crossed, nor an answer come,";
}

static void say(deadline *self, phase now, gint64 idle, gint64 limit)
{
    g_autofree char *since = clock_text(-idle), *until = clock_text(limit - idle), *text = NULL;

    if (idle >= SAY && !self->said) {
        text = g_strdup_printf("%s since %s; it is given up at %s, unless something moves",
                               what_should(now), since, until);
        self->said = status_set_waiting_in(self->of->status, now, text);
    } else if (idle < SAY && self->said) {
        (void)status_set_waiting_in(self->of->status, now, NULL);
        self->said = FALSE;
    }
}

/* FALSE: the move is given up. */
static gboolean look_at_progress(deadline *self, const session_stats *stats, phase now)
{
    source *of = self->of;
    gint64 limit = (gint64)of->work->conf->stall_timeout * G_TIME_SPAN_SECOND, idle;

    if (now >= PHASE_SWITCHING)
        limit = MIN(limit, STOPPED);
    idle = patience_look(&self->idle, mark_of(self, stats, now), is_excused(self, stats, now),
                         g_get_monotonic_time());
    say(self, now, idle, limit);
    return idle < limit ||
           !source_give_up(of, "stalled",
                           "%s: %s for %d s, though there is a link to %s: look there at ferryd's log and at libvirt, "
                           "then try again; %s goes on here ('stall-timeout' in ferryd.conf says after how long)",
                           phase_name(now), what_should(now), (int)(limit / G_TIME_SPAN_SECOND),
                           of->asked->target, of->landing->machine->name);
}

/* There is no link. FALSE: there is nothing to come back to, and the move is given up. */
static gboolean ask(deadline *self)
{
    source *of = self->of;
    gint64 now = g_get_monotonic_time();
    g_autofree char *why = NULL;
    gboolean over;

    if (self->asked && now - self->asked < ASK_PAUSE)
        return TRUE;
    over = peer_landing_over(of->work, of->asked->target, of->work->id, self->stop, &why);
    self->asked = g_get_monotonic_time();
    return !over || !source_give_up(of, "peer-error", "%s has ended the landing: %s; %s goes on here",
                                    of->asked->target, why, of->landing->machine->name);
}

static gboolean look(deadline *self)
{
    phase now = status_phase(self->of->status);
    session_stats stats;

    if (now >= PHASE_COMMITTING)
        return FALSE;
    session_get_stats(self->of->session, &stats);
    if (stats.silent_since && g_get_monotonic_time() - stats.silent_since >= NO_LINK && !ask(self))
        return FALSE;
    return look_at_progress(self, &stats, now);
}

static gpointer watch(gpointer data)
{
    deadline *self = data;
    gboolean going_on = TRUE;

    g_mutex_lock(&self->lock);
    while (!self->over && going_on) {
        g_mutex_unlock(&self->lock);
        going_on = look(self);
        g_mutex_lock(&self->lock);
        if (!self->over && going_on)
            g_cond_wait_until(&self->changed, &self->lock, g_get_monotonic_time() + LOOK);
    }
    g_mutex_unlock(&self->lock);
    return NULL;
}

deadline *deadline_watch(source *of)
{
    deadline *self = g_new0(deadline, 1);

    self->of = of;
    self->stop = g_cancellable_new();
    g_mutex_init(&self->lock);
    g_cond_init(&self->changed);
    self->thread = g_thread_new("deadline", watch, self);
    return self;
}

void deadline_unwatch(deadline *self)
{
    g_mutex_lock(&self->lock);
    self->over = TRUE;
    g_cond_signal(&self->changed);
    g_mutex_unlock(&self->lock);
    g_cancellable_cancel(self->stop);
    g_thread_join(self->thread);
    g_object_unref(self->stop);
    g_cond_clear(&self->changed);
    g_mutex_clear(&self->lock);
    g_free(self);
}
