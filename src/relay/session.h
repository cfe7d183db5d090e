/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A session: the streams of one migration over N channels, between its two workers.
 *
 *   libvirt, QEMU ──unix──► stream pump ─► [ session: windows, order, resend ] ─► channel threads ══ TLS ══►
 *
 * Threads: one for each channel (it owns the channel, so nothing else touches its TLS), one for each
 * stream's local connection, one that accepts local connections. They share the session's one
 * lock, held for bookkeeping only, never over I/O, a callback or TLS.
 *
 * The source dials: when a channel dies its thread dials again, at once and then with growing pauses
 * (at most 1 s), until the session is closed. The target is given each new connection. A session fails only when the peer
 * breaks the protocol, when a local rule says no (see rpc.h), or when no channel is alive for
 * `link_timeout_ms`. Memory: at most WIRE_WINDOW_BYTES out and in for each open stream, plus the channels.
 */
#pragma once
#include "net/channel.h"
#include "relay/wire.h"

typedef enum { SESSION_SOURCE, SESSION_TARGET } session_role;
typedef struct session session;

typedef struct {
    session_role role;
    unsigned channels;     /* 1 to WIRE_CHANNELS_MAX: how many the source keeps up */
    int link_timeout_ms;   /* failed when no channel has been alive for so long */
    /* Source: dials channel `index` (0 to channels - 1), preamble and TLS included. Called in that
     * channel's own thread, may block; returns NULL with an error to be tried again. */
    channel *(*dial)(unsigned index, void *user, GError **error);
    /* One control message, in order, exactly once. In the session's control thread: may block only
     * briefly. NUL-terminated behind `length`. */
    void (*on_control)(const char *message, size_t length, void *user);
    /* The number of living channels has changed. Any session thread. `error` says why one died. */
    void (*on_channels)(unsigned alive, const GError *error, void *user);
    /* A stream was opened (first data of this kind is under way), from its own thread; may be NULL. */
    void (*on_stream)(stream_kind kind, unsigned number, void *user);
    /* The session is beyond repair, once; every stream has been closed. Call session_free later, from
     * another thread than the session's own. */
    void (*on_failed)(const GError *error, void *user);
    void *user;
} session_setup;

/* Starts the session; the source begins to dial at once. Copies *setup. NULL: no threads to be had. */
session *session_new(const session_setup *setup, GError **error);
/* Stops all threads, closes everything. Not from a callback. */
void session_free(session *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(session, session_free)

/* Target: one more connection (ownership passes); replaces a dead channel of the same index, and a
 * living one too: the dialler knows better. FALSE when the session is over. */
gboolean session_add_channel(session *self, unsigned index, channel *connection, GError **error);

/* What happens to the bytes between a local connection and its stream. In the pump's thread. The plain
 * codec (bytes as they are) is used where none is given; rpc.h has the one for libvirt's packets. The
 * NBD-aware codec of the disk streams will be another. RELAY: see pump.h for the contract. */
typedef struct pump_codec pump_codec;
typedef pump_codec *(*pump_codec_new)(void *user);

/* Source: listens at `path` (mode 0600 unless mode says otherwise) and carries every connection made there as a
 * stream of this kind. Target: the streams of this kind are connected to the UNIX socket at `path`; a
 * kind that was not offered is refused (the peer broke the protocol). `codec` may be NULL. At most
 * `most` streams of the kind over the session's life (I7). */
gboolean session_listen(session *self, stream_kind kind, const char *path, mode_t mode, unsigned most,
                        pump_codec_new codec, void *codec_user, GError **error);
gboolean session_offer(session *self, stream_kind kind, const char *path, unsigned most,
                       pump_codec_new codec, void *codec_user, GError **error);

/* Queues one control message (1 to WIRE_CONTROL_MAX bytes); any thread; never blocks. Fails when the
 * session is over or the peer takes none (window full). */
gboolean session_send_control(session *self, const char *message, size_t length, GError **error);

/* Waits until everything queued on control and all streams' ends have been acknowledged, then says BYE, so that the peer
 * does not see a failure in what follows. FALSE when that did not happen within timeout_ms. */
gboolean session_finish(session *self, int timeout_ms);

/* Fails the session for a local reason: closes all, calls on_failed. Any thread. */
void session_fail(session *self, const GError *error);

typedef struct {
    guint64 wire_out, wire_in;               /* TLS bytes on all channels so far, dead ones included */
    guint64 payload_out[STREAM_KINDS];       /* bytes of stream payload sent once (no resends) */
    guint64 payload_in[STREAM_KINDS];
    guint64 resent;                          /* payload bytes sent again */
    unsigned channels_alive, channels_lost;  /* now; over the life of the session */
} session_stats;
void session_get_stats(session *self, session_stats *stats);
