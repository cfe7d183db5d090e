/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The inside of a session, for the files of relay/ only.
 *
 *   door.c    local sockets: those listened on (source) and those connected to (target)
 *   pump.c    one local connection <-> its stream
 *   mux.c     all streams; what is sent next           pure
 *   stream.c  windows, order, resending of one stream  pure
 *   lane.c    one channel: dial, send, receive
 *   gauge.c   how fast channels are, and which would hold up the others
 *   scout.c   brings channels back to their own network (source)
 *   herald.c  tells the owner: control messages, channels, failure; watches the link timeout
 *   session.c life and death, and what the others do under the lock
 *
 * Locks: session.lock guards all that is marked so below. It is held for bookkeeping only: never
 * over I/O that can block, a callback, TLS, or the end of a thread. Inside it only the lock of
 * the frame pool is taken. A pump's and a codec's own locks are taken before it, never inside.
 */
#pragma once
#include "relay/mux.h"
#include "relay/pump.h"
#include "relay/session.h"

typedef enum {
    SESSION_RUNNING,   /* everything is legal */
    SESSION_FINISHING, /* ours is done: BYE goes out on every channel; no new streams or control
                        * messages, but the peer may still send some; the source still dials */
    SESSION_PARTED,    /* both are done, and both know: channels close, nothing fails any more */
    SESSION_FAILED,    /* `failure` says why: channels say BYE BROKEN, local connections break */
    SESSION_CLOSED     /* session_free waits for the threads to end */
} session_state;

typedef struct lane lane;
typedef struct door door;

struct session {
    session_setup setup; /* constant, but for link_timeout_ms: guarded by lock */
    frame_pool *pool;    /* has its own lock */
    lane **lanes;        /* setup.channels of them; see lane.h for what of them is guarded */

    pthread_mutex_t lock;
    /* Guarded by lock: */
    session_state state;
    mux mux;
    door *doors[STREAM_KINDS]; /* set once */
    pthread_cond_t news;       /* for herald, scout, session_finish: control, state, what follows */
    GError *failure;
    GError *last_error; /* why the last channel died or could not be dialled; may be NULL */
    unsigned alive, lost;
    gint64 silent_since; /* monotonic µs since which no channel has been alive; 0: one is */
    gboolean channels_changed;
    gboolean urgent;     /* nothing is tried out that could hold a frame up */
    gboolean finishing;    /* somebody waits in session_finish */
    gboolean peer_done;    /* it said BYE: when all is done here too, we close */
    gboolean bye_answered; /* it closed a channel in order, after our BYE */
    gboolean failure_told;
    gboolean codecs_woken;     /* of those that were there when it ended */
    guint64 wire_out, wire_in; /* of channels that are gone */
    guint64 content[STREAM_KINDS]; /* see session_stats */
    guint64 found;                 /* the same */

    pthread_t herald;
    gboolean herald_runs; /* set before other threads see it */
    pthread_t scout;
    gboolean scout_runs; /* source; used by session_new and session_free alone */
};

/* All that follows is called with the lock held, unless it says otherwise. */

static inline gboolean session_is_over(const session *self)
{
    return self->state > SESSION_FINISHING;
}
/* The one place where the state changes. Wakes everybody. Illegal changes are ignored: FAILED after
 * PARTED, and anything but CLOSED after that. Returns whether it changed. */
gboolean session_set_state(session *self, session_state state);
/* Fails it with a copy of `error`. */
void session_fail_locked(session *self, const GError *error);
/* The peer broke the protocol: takes over the error, prefixes it, and fails the session. */
void session_blame_peer(session *self, GError *error);
/* There is something to send: wakes one idle channel. */
void session_wake_lane(session *self);
/* After anything that may have been the last thing to be done. */
void session_check_drained(session *self);

/* Without the lock, for pumps. Queues a frame of a stream when mux_may_push: blocks.
 * Takes it over, and drops it when the session is over or the stream has ended. */
void session_push(session *self, stream *s, frame *f);
/* How the link takes a stream, all cumulative: what was given to session_push and taken by it, what
 * of that the peer has acknowledged (so it was consumed there), and how long session_push has
 * blocked for want of room, the present wait included. FALSE: the session is over, nothing will
 * change any more. Takes the lock itself. */
typedef struct {
    guint64 pushed, acknowledged; /* bytes of payload */
    guint64 blocked_us;           /* several threads that wait at once count once */
} stream_pace;
gboolean session_stream_pace(session *self, stream *s, stream_pace *pace);
/* The shortest round trip of any channel, in µs; 0: not known. Takes the lock itself. */
gint64 session_round_trip(session *self);
/* Queues END, with BROKEN or without; see stream_out_end. */
void session_end(session *self, stream *s, gboolean broken);
/* Says that all frames below `consumed` were handed on, and waits for the next one: NULL when
 * the stream has ended in both directions or the session is over. */
frame *session_pull(session *self, stream *s, uint64_t consumed);
/* Target: the peer has opened a stream: gives it its local connection. */
void session_connect_stream(session *self, stream *s);
/* After the session is over, perhaps more than once: codecs stop waiting. The pumps must still be
 * there. */
void session_wake_codecs(session *self);
/* Fails the session from a thread of its own; takes over the error. */
void session_fail_take(session *self, GError *error);
