/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Channels find back to their networks; see scout.h. */
#include "relay/scout.h"
#include "base/log.h"
#include "relay/lane.h"

#include <time.h>

#define LOG_AREA "relay"

/* With the lock held: the lane whose turn is next, and when; NULL: all are where they belong. */
static lane *next_astray(const session *s, gint64 *when)
{
    lane *next = NULL;

    for (unsigned i = 0; i < s->setup.channels; i++) {
        lane *l = s->lanes[i];
        if (l && l->state == LANE_UP && l->astray && !l->replacement &&
            (!next || l->scouted_at < next->scouted_at))
            next = l;
    }
    *when = next ? next->scouted_at + SCOUT_PAUSE_MS * 1000 : 0;
    return next;
}

/* With the lock held, but not while it dials. */
static void bring_home(session *s, lane *l)
{
    g_autoptr(GError) error = NULL;
    channel *superfluous, *c;
    gboolean is_home;

    l->scouting = TRUE;
    pthread_mutex_unlock(&s->lock);
    c = s->setup.dial(l->index, TRUE, &is_home, s->setup.user, &error);
    if (!c)
        log_debug("channel %u: still away from its network: %s", l->index, error->message);
    superfluous = c;
    pthread_mutex_lock(&s->lock);
    l->scouting = FALSE;
    l->scouted_at = g_get_monotonic_time();
    /* The peer has taken it in place of what the lane has now, whatever that is. */
    if (c && s->state == SESSION_RUNNING && l->state != LANE_OVER) {
        superfluous = l->replacement;
        l->replacement = c;
        lane_wake(l);
    }
    if (superfluous) {
        pthread_mutex_unlock(&s->lock);
        channel_free(superfluous);
        pthread_mutex_lock(&s->lock);
    }
}

void *scout_main(void *its_session)
{
    session *s = its_session;

    pthread_mutex_lock(&s->lock);
    while (s->state == SESSION_RUNNING) {
        gint64 when;
        lane *l = next_astray(s, &when);
        struct timespec until = {.tv_sec = when / G_USEC_PER_SEC,
                                 .tv_nsec = when % G_USEC_PER_SEC * 1000};

        if (!l || s->urgent)
            pthread_cond_wait(&s->news, &s->lock);
        else if (g_get_monotonic_time() < when)
            pthread_cond_timedwait(&s->news, &s->lock, &until);
        else
            bring_home(s, l);
    }
    pthread_mutex_unlock(&s->lock);
    return NULL;
}
