/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A lane: one of the session's places for a channel, and the thread that keeps a channel in it. The
 * channel may die and be replaced any number of times; the lane stays.
 */
#pragma once
#include "relay/gauge.h"
#include "relay/session-inner.h"

typedef enum {
    LANE_DOWN, /* no channel: the source dials or pauses, the target waits to be given one */
    LANE_UP,   /* `current` carries frames */
    LANE_OVER  /* the thread ends; nothing is legal any more */
} lane_state;

typedef struct lane_io lane_io; /* the frames half sent and half received; the thread's own */

struct lane {
    session *owner;
    unsigned index;
    int wake; /* eventfd: look at the session again */
    pthread_t thread;
    lane_io *io;
    /* Guarded by the session's lock: */
    lane_state state;
    channel *current;     /* changed by the thread, which alone may use it without the lock */
    channel *replacement; /* takes the place of `current` */
    gboolean idle;        /* waits for something to send: whoever has something wakes it */
    gboolean suspect;     /* silent for too long: others carry what it had, it gets nothing new */
    gauge worth;          /* slow: others carry everything */
    gboolean astray;      /* source: is up, but not where it belongs */
    gboolean scouting;    /* the scout dials for it just now */
    gint64 scouted_at;    /* monotonic µs, when that was last tried */
};

/* Starts the thread. NULL with an error when that is impossible. */
lane *lane_new(session *owner, unsigned index, GError **error);
/* Waits for the thread, which ends with the session. Without the lock. */
void lane_join(lane *self);
/* After lane_join, when nobody wakes it any more. */
void lane_free(lane *self);
/* Makes the thread look at the session's state (and `replacement`) again. Any thread. */
void lane_wake(lane *self);
