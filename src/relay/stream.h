/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The two directions of a stream as data: what is under way, what must be sent (again), what has
 * arrived, and in which order it goes on. No I/O, no locks, no threads: the session's lock
 * guards them.
 *
 *   push ─► [ waiting ─take─► on channel i ─ack─► gone ]        stream_out
 *                ▲──────────lost(i)─┘
 *   announce ─► [ expected ─deliver─► here ─take─► handed out ─consumed─► gone ]        stream_in
 *
 * `announce` judges a frame by its header, before a byte of memory is spent on its payload. What
 * it has accepted counts against the window until it was consumed, even if the channel dies in
 * the middle of the payload: the frame will come again, and it must be the same.
 */
#pragma once
#include "relay/frame.h"

#define STREAM_NO_CHANNEL (-1)

typedef struct {
    uint64_t acked;  /* frames below are acknowledged and gone */
    uint64_t fresh;  /* frames below have been sent at least once */
    uint64_t next;   /* the number of the next frame pushed; acked <= fresh <= next */
    uint64_t cursor; /* no frame below it waits for a channel */
    uint32_t bytes;  /* payload of the frames from acked on */
    uint32_t queued; /* of these, payload of those that wait for a channel */
    uint64_t pushed; /* payload of all frames so far */
    gboolean ended;  /* END was pushed: nothing may follow but END with BROKEN */
    gboolean broken; /* END with BROKEN was pushed: nothing may follow */
    struct {
        frame *frame;
        int channel; /* that carries it, or STREAM_NO_CHANNEL: it waits */
    } slot[WIRE_WINDOW_FRAMES];
} stream_out;

void stream_out_init(stream_out *self);
/* Drops all frames. */
void stream_out_clear(stream_out *self);

/* Does a frame of this length fit the window? */
gboolean stream_out_has_room(const stream_out *self, uint32_t length);
/* And would not more than `most` bytes wait for a channel then? One frame may always wait. */
gboolean stream_out_may_queue(const stream_out *self, uint32_t length, uint32_t most);
/* Numbers the frame and queues it; takes over the reference. It must fit; not after END. */
void stream_out_push(stream_out *self, frame *f);
/* Queues END, or END with BROKEN, as an empty frame of stream `id`: always fits, does nothing
 * when that has been said. */
void stream_out_end(stream_out *self, uint16_t id, gboolean broken);
gboolean stream_out_is_waiting(const stream_out *self);
/* The first frame that waits, now on `channel`; a new reference, or NULL. *again: it was sent
 * before. */
frame *stream_out_take(stream_out *self, int channel, gboolean *again);
/* The channel is dead: what it carried waits again. */
void stream_out_lost(stream_out *self, int channel);
/* The peer has consumed all frames below `number`. Puts what is gone in *gone (to be dropped with
 * frame_unref_list). FALSE with an error: it acknowledges what was never sent. */
gboolean stream_out_ack(stream_out *self, uint64_t number, frame **gone, GError **error);
/* END was pushed and acknowledged. */
gboolean stream_out_is_done(const stream_out *self);

typedef struct {
    uint64_t consumed; /* frames below are consumed: what an ACK says */
    uint64_t taken;    /* frames below were handed out; consumed <= taken */
    uint64_t highest;  /* no frame from here on was announced */
    uint64_t end;      /* the number behind the last END; UINT64_MAX while there is none */
    gboolean ended;    /* END without BROKEN was announced */
    gboolean broken;   /* END with BROKEN was */
    uint32_t bytes;    /* payload announced and not consumed */
    struct {
        frame *frame; /* here, in order or not */
        uint32_t length;
        uint8_t flags;
        gboolean announced;
    } slot[WIRE_WINDOW_FRAMES];
} stream_in;

typedef enum {
    STREAM_WRONG, /* breaks the protocol; *error is set */
    STREAM_WANTED,
    STREAM_STALE /* was here before: read it, drop it, acknowledge again */
} stream_verdict;

void stream_in_init(stream_in *self);
void stream_in_clear(stream_in *self);

/* Judges the header of a DATA frame of this stream. */
stream_verdict stream_in_announce(stream_in *self, const wire_frame *header, GError **error);
/* The payload of an announced frame has arrived. FALSE when another channel was faster. Takes
 * over the reference in either case. */
gboolean stream_in_deliver(stream_in *self, frame *f);
/* Is the next frame in order here? */
gboolean stream_in_is_ready(const stream_in *self);
/* The next frame in order, with its reference, or NULL. */
frame *stream_in_take(stream_in *self);
/* All frames below `number` (at most `taken`) were handed on. */
void stream_in_consumed(stream_in *self, uint64_t number);
/* Everything up to END was consumed. */
gboolean stream_in_is_done(const stream_in *self);
