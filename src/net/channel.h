/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A channel: one TCP connection with TLS 1.3 on it, both sides authenticated. The only user of GnuTLS
 * records.
 *
 * A channel belongs to one thread at a time. It never blocks after the handshake: the caller polls
 * channel_fd() for the events channel_wants() names. TLS 1.3 only, AEAD suites only, no early data,
 * no resumption; records are sent full (16 KiB) and many to a system call. docs/protocol.md,
 * "Channels".
 *
 * Each side renews its sending key (KeyUpdate) after channel_set_rekey_bytes bytes of TLS in both
 * directions together, within channel_send, channel_flush or channel_receive; data under way is not
 * disturbed. A side never asks the other to renew: GnuTLS takes two requests that cross for an error.
 * One channel takes less than 1 MiB, whatever the peer sends.
 *
 * Errors of a connection that was established, beside the kernel's own (fdio_error):
 *   G_IO_ERROR_CONNECTION_CLOSED  the peer ended it in order; nothing it sent was lost
 *   G_IO_ERROR_NOT_CONNECTED      it was cut: reset, or ended without close_notify
 *   G_IO_ERROR_TIMED_OUT          the kernel gave it up, see channel_set_stall_timeout
 *   G_IO_ERROR_INVALID_DATA       the peer broke the protocol, or bytes were altered on the way
 * They last: every later call in that direction fails in the same way.
 */
#pragma once
#include "net/pki.h"
#include <sys/uio.h>

typedef struct channel channel;

/* Takes over `fd`, a stream socket (closed on failure as well), and does the handshake within
 * timeout_ms, blocking. `expected` is the peer's name, checked with pki_verify (NULL: any trusted
 * host, see channel_peer): a channel to anybody else never comes to be. Success means that *both*
 * sides have accepted: each sends one byte after it has verified the other and waits for the other's,
 * because in TLS 1.3 a client is done before its server has looked at its certificate.
 * Errors are PKI_ERROR_* (we refused the peer; it is told by a TLS alert),
 * G_IO_ERROR_PERMISSION_DENIED (the peer refused us; the sentence says why), G_IO_ERROR_TIMED_OUT,
 * G_IO_ERROR_INVALID_DATA (no TLS 1.3, garbage, another protocol), or as above. */
channel *channel_client(pki *identity, int fd, const char *expected, int timeout_ms, GError **error);
channel *channel_server(pki *identity, int fd, const char *expected, int timeout_ms, GError **error);
/* Sends close_notify if that is possible without blocking and nothing unsent is lost by it, then
 * closes. Bytes the peer sent and nobody received make the kernel reset the connection, which may
 * overtake what we sent last: end a conversation with an exchange of your own first. */
void channel_free(channel *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(channel, channel_free)

int channel_fd(const channel *self);
/* The peer's name as pki_verify gave it. Borrowed. */
const char *channel_peer(const channel *self);
/* What to wait for before trying again: POLLIN until the peer has ended, POLLOUT while anything
 * taken has not left (then call channel_flush). Input already here does not show in poll(2): when
 * channel_pending() is not 0, receive before waiting. */
short channel_wants(const channel *self);
size_t channel_pending(const channel *self);

/* Takes bytes for sending: returns how many were taken, in order over all parts (0: would block,
 * POLLOUT is now in channel_wants), -1 on error. What was taken is collected into full records and
 * large writes, and leaves with this or a later call; when nothing more is at hand, call
 * channel_flush. */
ssize_t channel_send(channel *self, const struct iovec *parts, int count, GError **error);
/* 1: everything taken has gone to the kernel, 0: would block, -1: error. */
int channel_flush(channel *self, GError **error);
/* Returns bytes read (as many as are here and fit), 0: would block, -1: error. */
ssize_t channel_receive(channel *self, void *buffer, size_t size, GError **error);

/* Bytes of TLS records written to and read from the TCP connection so far, handshake included. Any
 * thread. */
guint64 channel_bytes_out(const channel *self);
guint64 channel_bytes_in(const channel *self);
/* "10.70.0.1:43210 -> 10.70.0.2:16551", dialler first on either side, for logs. Borrowed. */
const char *channel_name(const channel *self);
/* Makes the kernel report a peer that acknowledges nothing for this long, be there data under way
 * (TCP_USER_TIMEOUT) or not (keepalives, from 1 s on). 0: the kernel's own. Linux counts a peer that
 * keeps its window shut that long as stalled too, so whoever wants to pause a stream must do it
 * above the channel and go on receiving. Nothing happens on other than TCP sockets. */
void channel_set_stall_timeout(channel *self, int timeout_ms);

/* For tests: the interval of key renewal in bytes of TLS, in and out together; default 64 GiB. It
 * should exceed what can be under way in one direction. The time between renewals is never below
 * 200 ms, because GnuTLS refuses more than 8 a second. */
void channel_set_rekey_bytes(channel *self, guint64 bytes);
/* How often this side has renewed its key. */
guint channel_rekeys(const channel *self);
