/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A session: the streams of one migration over N channels, between its two workers
 * (docs/protocol.md, "Sessions").
 *
 *   libvirt, QEMU ──unix──► pump ─► [ windows, order, resend ] ─► channel threads ══ TLS ══►
 *
 * Threads: one for each channel (it owns the channel, so nothing else touches its TLS), two for
 * each local connection (one a direction, so that they can simply block), one for each socket
 * listened on, one that calls the owner back, one at the source that brings channels home. They
 * share the session's one lock, held for bookkeeping only, never over I/O, a callback or TLS.
 *
 * The source dials: when a channel dies its thread dials again, at once and then with growing
 * pauses (at most 1 s), until the session is over. A channel that is not where it belongs is
 * dialled there every few seconds beside that, and changes over (scout.h). The target is given each
 * new connection. A session fails only when the peer breaks the protocol or gives up, when a local
 * rule says no (see rpc.h), or when no channel is alive for `link_timeout_ms`. Memory: at most
 * WIRE_WINDOW_BYTES out and in for each open stream, twice that if frames are half full, plus 1
 * MiB a channel and as much as a window in spare frames. Of a window only a little may wait for a
 * channel (mux.h): the rest is under way, or there is none.
 *
 * The functions may be called from any thread, but session_free and session_finish not from a
 * callback.
 */
#pragma once
#include "net/channel.h"
#include "relay/wire.h"

/* A channel on which nothing was sent for so long gets a heartbeat; one on which nothing at all has
 * arrived for so long is dead. */
#define SESSION_BEAT_MS    1000
#define SESSION_SILENCE_MS 5000

typedef enum { SESSION_SOURCE, SESSION_TARGET } session_role;
typedef struct session session;

typedef struct {
    session_role role;
    /* 1 to WIRE_CHANNELS_MAX: how many the source keeps up, and how many the target takes. */
    unsigned channels;
    int link_timeout_ms; /* failed when no channel has been alive for so long */
    int silence_ms; /* for tests: in place of SESSION_SILENCE_MS, heartbeats in proportion; 0: as is
                     */
    /* Source: dials channel `index` (0 to channels - 1), preamble and TLS included. Each channel
     * has a home, the network it is meant for: *is_home says whether it got there. With `home`
     * there or nowhere; else anywhere else is better than nothing, and from time to time home is
     * tried again. Called in threads of the session, perhaps for one channel in two of them, and
     * may block, which session_free then waits for; returns NULL with an error to be tried again.
     */
    channel *(*dial)(unsigned index, gboolean home, gboolean *is_home, void *user, GError **error);
    /* on_control, on_channels and on_failed are called one after the other from one thread, and
     * each holds up the others. One control message, in order, exactly once; acknowledged when
     * this returns. NUL-terminated behind `length`, but a NUL may be in it. */
    void (*on_control)(const char *message, size_t length, void *user);
    /* The number of living channels has changed, perhaps more than once since the last call.
     * `error` says why the last one died or could not be dialled; may be NULL. */
    void (*on_channels)(unsigned alive, const GError *error, void *user);
    /* A stream was opened: its local connection has been made, or could not be. From its own
     * thread, before its first byte moves; may be NULL. */
    void (*on_stream)(stream_kind kind, unsigned number, void *user);
    /* The session is beyond repair, once; every local connection has been broken. Call
     * session_free later. */
    void (*on_failed)(const GError *error, void *user);
    void *user;
} session_setup;

/* Starts the session; the source begins to dial at once. Copies *setup. NULL: no threads to be
 * had. Until session_listen, session_offer and session_add_channel are called nothing can come. */
session *session_new(const session_setup *setup, GError **error);
/* Stops all threads, closes everything, removes the sockets listened on. Without session_finish the
 * peer is told that we give up. NULL is allowed. */
void session_free(session *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(session, session_free)

/* Target: one more connection (ownership passes in any case); replaces a dead channel of the
 * same index, and a living one too: the dialler knows better. FALSE when the session is over or
 * the index is beyond setup.channels. Offer everything before the first channel: a stream that
 * comes sooner is one that was not offered. */
gboolean session_add_channel(session *self, unsigned index, channel *connection, GError **error);

/* What happens to the bytes between a local connection and its stream: a codec, made for each
 * stream from its `user`, which outlives the session. The contract is in pump.h. NULL is the
 * plain one: bytes as they are. rpc.h has the one for libvirt's packets; the NBD-aware one of
 * the disk streams will be another. */
typedef struct pump_codec pump_codec;
typedef pump_codec *(*pump_codec_new)(void *user);

/* Source: listens at `path`, with exactly this mode, and carries every connection made there as
 * a stream of this kind. Target: the streams of this kind are connected to the UNIX socket at
 * `path`, or, where that is NULL, end in their codec; a kind that was not offered is refused (the peer broke the protocol). At most `most`
 * streams of the kind over the session's life, up to 4096 (I7): at the source one more
 * connection is closed at once, at the target it fails the session. Once for each kind; not for
 * control. */
gboolean session_listen(session *self, stream_kind kind, const char *path, mode_t mode,
                        unsigned most, pump_codec_new codec, void *codec_user, GError **error);
gboolean session_offer(session *self, stream_kind kind, const char *path, unsigned most,
                       pump_codec_new codec, void *codec_user, GError **error);

/* Queues one control message (1 to WIRE_CONTROL_MAX bytes); never blocks. Fails with
 * G_IO_ERROR_CLOSED when the session is over or being finished, with G_IO_ERROR_BUSY when the
 * peer takes none (window full). */
gboolean session_send_control(session *self, const char *message, size_t length, GError **error);

/* Waits until everything queued on control and all streams' ends have been acknowledged, says
 * BYE, and waits for the peer's answer, which comes when the same is true there: then neither
 * sees a failure in what follows. FALSE when that did not happen within timeout_ms; before BYE
 * was said the session then goes on as before. The peer may call it as well, at the same time or
 * later, and finds it true; it need not. */
gboolean session_finish(session *self, int timeout_ms);

/* Fails the session for a local reason: closes all, calls on_failed. Any thread. */
void session_fail(session *self, const GError *error);

/* Bounds what is sent, at any time and from any thread: everything together, and disk streams by
 * themselves, in bytes of frames (headers, payload, what is sent again); 0: no limit. Memory and
 * disk wait for it, control, rpc and acknowledgements never. A rate holds on average over some
 * frames. */
void session_set_rate(session *self, guint64 all_bytes_per_s, guint64 disk_bytes_per_s);

/* Another link_timeout_ms than in the setup, from now on. Any thread. */
void session_set_link_timeout(session *self, int timeout_ms);

/* A guest stands still and waits for what is sent now: slow channels get no trials, none is brought
 * back to its network, until this is said to be over. Any thread. */
void session_set_urgent(session *self, gboolean urgent);

typedef struct {
    guint64 wire_out, wire_in;         /* TLS bytes on all channels so far, dead ones included */
    guint64 payload_out[STREAM_KINDS]; /* bytes of stream payload sent once (no resends) */
    guint64 payload_in[STREAM_KINDS];
    guint64 content[STREAM_KINDS]; /* of that, both ways: what QEMU gave or got, where a codec counts */
    guint64 found; /* of content: did not cross, because the target had it */
    guint64 resent;                         /* payload bytes sent again */
    unsigned channels_alive, channels_lost; /* now; over the life of the session */
    /* Monotonic µs since which no channel is alive, and when the session fails for it; 0: one is.
     */
    gint64 silent_since, silent_until;
} session_stats;
void session_get_stats(session *self, session_stats *stats);
