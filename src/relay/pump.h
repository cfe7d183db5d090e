/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A pump: one local connection and the stream it is carried by. And the contract of codecs,
 * which say what becomes of the bytes on the way.
 *
 *   local socket ──recv──► codec.from_local ──pump_to_peer──► stream        "reader" thread
 *   local socket ◄──pump_to_local── codec.from_peer ◄──next frame── stream  "writer" thread
 *
 * Two threads, so that I/O can simply block, and one direction never waits for the other: a
 * codec that is held up in one direction can still answer in the other (libvirt's keepalives).
 *
 * The end: end of file here sends END, END from the peer shuts our sending side down. When the
 * local connection breaks, END goes out with BROKEN, and what still arrives is thrown away.
 */
#pragma once
#include "block/squeeze.h"
#include "relay/frame.h"
#include "relay/session.h"

typedef struct pump pump;

/* One codec belongs to one pump. Functions returning FALSE with an error fail the whole session:
 * they are for what a rule forbids. A broken connection or an ended session is nothing a codec
 * has to care for: pump_to_peer and pump_to_local then swallow what they are given. */
struct pump_codec {
    /* Bytes from the local connection, at least one; takes over the reference. Reader thread. */
    gboolean (*from_local)(pump_codec *self, pump *io, frame *bytes, GError **error);
    /* In its place, for a codec that reads by itself (pump_receive), or is the end of the stream
     * and has no local connection: runs in the reader thread, and when it returns TRUE our
     * direction ends. */
    gboolean (*serve)(pump_codec *self, pump *io, GError **error);
    /* The payload of the next frame in order, never empty; takes over the reference. Writer
     * thread. When it returns, all frames so far are acknowledged but the last `held` ones: a codec
     * that keeps bytes back counts the frames they are in, this one included (I3). It must not hold
     * more than half a window. */
    gboolean (*from_peer)(pump_codec *self, pump *io, frame *bytes, GError **error);
    unsigned held;
    /* The peer's direction has ended; `broken`: because its local connection broke. Writer thread.
     * May be NULL. */
    void (*ended)(pump_codec *self, pump *io, gboolean broken);
    /* pump_is_over has become TRUE: wakes serve and from_peer wherever they wait. Any thread, more
     * than once, perhaps from within pump_to_local or pump_receive: those must not be called with a
     * lock held that this takes. May be NULL. */
    void (*wake)(pump_codec *self);
    void (*free)(pump_codec *self);
};

/* Bytes as they are. */
pump_codec *pump_plain_codec_new(void *user);

/* For codecs. A frame to fill, from the session's pool. */
frame *pump_frame(pump *self, uint32_t capacity);
/* Sends bytes as one frame; blocks until the window has room. Takes over the reference. Any thread
 * of the codec; one after the other where order matters. */
void pump_to_peer(pump *self, frame *bytes);
/* Reads exactly so many bytes from the local connection; FALSE when it ended or broke before.
 * Reader thread. */
gboolean pump_receive(pump *self, void *out, size_t length);
/* Reads what is there, at least one byte; 0: it ended or broke. Reader thread. */
size_t pump_receive_some(pump *self, void *out, size_t room);
/* Bytes that lie unread in the local connection. Any thread, as long as the pump is there. */
size_t pump_waiting(pump *self);
/* So much content has gone this way or that, whatever it was as payload. Any thread of the codec. */
void pump_count(pump *self, uint64_t content);
/* So much of that did not have to cross, because the target had it; negative: it did after all. */
void pump_count_found(pump *self, int64_t content);
/* How the link takes this stream. Any thread of the codec. */
void pump_get_pace(pump *self, squeeze_pace *pace);
/* The shortest round trip to the peer, in µs; 0: not known. Any thread of the codec. */
gint64 pump_round_trip(pump *self);
/* The local connection is broken, or the session is over: nothing that is done matters any more. */
gboolean pump_is_over(pump *self);
/* Fails the session for what a rule forbids, from a thread of the codec's own; takes over the
 * error. */
void pump_fail(pump *self, GError *error);
/* Writes all bytes to the local connection, in one piece as far as other callers are concerned.
 * Either thread. */
void pump_to_local(pump *self, const void *bytes, size_t length);

/* For codecs. From here to pump_release the local connection stays open even if the session fails
 * meanwhile, and pump_to_local still writes to it: whoever waits there must not take our end for an
 * answer. Writer thread. */
void pump_hold(pump *self);
void pump_release(pump *self);

/* For the session. Starts the threads. The local connection is `fd` (taken over), or, when that
 * is -1, is made to the UNIX socket at `path`, or, when that is NULL, there is none: the codec has
 * `serve` and is the end itself. */
pump *pump_new(session *owner, void *its_stream, int fd, const char *path, pump_codec_new codec,
               void *codec_user);
/* Makes both threads end soon; does not wait. With the session's lock held. */
void pump_break(pump *self);
/* What of that has to be done without the lock. */
void pump_wake(pump *self);
/* Waits for them. Without the lock, not from a thread of the session. */
void pump_free(pump *self);
