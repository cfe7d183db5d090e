/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* All streams of a session: which exist, which may, and what a channel sends next. No I/O and no
 * threads of its own: the session's lock guards it; only the two conditions of a stream are
 * waited on.
 *
 * What goes first: acknowledgements (they are short and let the peer go on), then control, then
 * rpc, then memory and disk in turn, one frame each. Rates only ever hold back memory and disk, but
 * `all` counts whatever is sent.
 */
#pragma once
#include "relay/bucket.h"
#include "relay/stream.h"

#include <pthread.h>

typedef struct {
    uint16_t id;
    stream_out out;
    stream_in in;
    gboolean retired;     /* nobody takes from `in` any more: a late BROKEN is consumed at once */
    gboolean ack_due;     /* in.consumed has not been told (on a channel that lived) */
    pthread_cond_t ready; /* `in` has the next frame in order */
    pthread_cond_t room;  /* `out` has room again */
    unsigned pushers;     /* threads that wait for it */
    gint64 stuck_since;   /* monotonic µs since which there are any */
    guint64 stuck_us;     /* how long there were, before */
    void *pump;           /* the stream's other end; NULL for control */
} stream;

typedef struct {
    gboolean peer_opens;           /* we are the target */
    stream *control;               /* always open */
    GPtrArray *streams;            /* all ever opened, control first; owned */
    guint turn;                    /* whose turn it is among memory and disk */
    unsigned most[STREAM_KINDS];   /* how many may ever be opened; 0: not offered */
    unsigned opened[STREAM_KINDS]; /* so far */
    bucket all, disk; /* of what channels are given: headers, payload, what is sent again */
    guint64 payload_out[STREAM_KINDS], payload_in[STREAM_KINDS], resent;
} mux;

void mux_init(mux *self, gboolean peer_opens);
void mux_clear(mux *self);

/* At most `most` (up to 4096) streams of this kind over the session's life. */
void mux_allow(mux *self, stream_kind kind, unsigned most);
/* Opens the next stream of a kind and queues its empty frame 0. NULL: there are too many. */
stream *mux_open(mux *self, stream_kind kind, GError **error);

typedef struct {
    uint8_t header[WIRE_HEADER_SIZE];
    frame *payload; /* a reference, or NULL */
} mux_item;
/* The next thing for `channel` to send; FALSE: nothing, or nothing that rates let go now. `now` is
 * in monotonic µs. */
gboolean mux_next(mux *self, int channel, gint64 now, mux_item *item);
gboolean mux_has_work(const mux *self, gint64 now);
/* µs until rates let something go that waits; -1: nothing is held back. */
gint64 mux_pause(const mux *self, gint64 now);

/* Is there room in the window, and little enough of this stream that waits for a channel? What
 * waits is late: memory at the end of a move is the guest's blackout. */
gboolean mux_may_push(const stream *s, uint32_t length);

/* Judges the header of a DATA frame. *target is its stream, *opened whether this frame has
 * opened it. */
stream_verdict mux_announce(mux *self, const wire_frame *header, stream **target, gboolean *opened,
                            GError **error);
/* Its payload is here; takes over the reference. */
void mux_deliver(mux *self, stream *target, frame *f);
/* An ACK; see stream_out_ack. */
gboolean mux_acknowledge(mux *self, const wire_frame *header, frame **gone, GError **error);
/* All frames of a stream below `number` were handed on. */
void mux_consumed(mux *self, stream *target, uint64_t number);
/* The channel is dead: what it carried goes again, acknowledgements included. */
void mux_lost(mux *self, int channel);

/* Both directions have ended, ours is acknowledged, the peer's consumed. */
gboolean mux_has_ended(const stream *s);
/* All we have sent is acknowledged, all that has arrived was consumed, and every stream has
 * ended in both directions. */
gboolean mux_is_drained(const mux *self);
