/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A channel: one TCP connection with TLS 1.3 on it, both sides authenticated. The only user of GnuTLS
 * records.
 *
 * A channel belongs to one thread at a time. It never blocks after the handshake: the caller polls
 * channel_fd() for the events channel_wants() names. TLS 1.3 only, AEAD suites only, no early data,
 * no resumption; records are sent full (16 KiB) and many to a system call; keys are renewed
 * (KeyUpdate) before the AEAD limit, in the thread that owns the channel, in both directions at once,
 * without disturbing data under way.
 */
#pragma once
#include "net/pki.h"
#include <sys/uio.h>

typedef struct channel channel;

/* Takes over `fd` (closed on failure as well) and does the handshake within timeout_ms, blocking.
 * `expected` is the peer's name, checked with pki_verify: a channel to anybody else never comes to be.
 * Errors are PKI_ERROR_*, G_IO_ERROR_TIMED_OUT, or G_IO_ERROR_* of the connection. */
channel *channel_client(pki *identity, int fd, const char *expected, int timeout_ms, GError **error);
channel *channel_server(pki *identity, int fd, const char *expected, int timeout_ms, GError **error);
/* Sends close_notify if that is possible without blocking, then closes. */
void channel_free(channel *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(channel, channel_free)

int channel_fd(const channel *self);
/* POLLIN and/or POLLOUT: what to wait for before trying again. Input TLS has already decrypted does
 * not show in poll(2): when channel_pending() is not 0, read before waiting. */
short channel_wants(const channel *self);
size_t channel_pending(const channel *self);

/* Takes bytes for sending: returns how many were taken (0: would block, POLLOUT is now in
 * channel_wants), -1 on error. What was taken is encrypted and will leave with this or a later call of
 * channel_send or channel_flush. */
ssize_t channel_send(channel *self, const struct iovec *parts, int count, GError **error);
/* 1: everything taken has gone to the kernel, 0: would block, -1: error. */
int channel_flush(channel *self, GError **error);
/* Returns bytes read, 0: would block, -1: error. The peer's orderly end is
 * G_IO_ERROR_CONNECTION_CLOSED. */
ssize_t channel_receive(channel *self, void *buffer, size_t size, GError **error);

/* Bytes of TLS records written to and read from the TCP connection so far, handshake included. Any
 * thread. */
guint64 channel_bytes_out(const channel *self);
guint64 channel_bytes_in(const channel *self);
/* "10.70.0.1:43210 -> 10.70.0.2:16551", for logs. Borrowed. */
const char *channel_name(const channel *self);
/* Makes the kernel report a peer that acknowledges nothing for this long (TCP_USER_TIMEOUT). */
void channel_set_stall_timeout(channel *self, int timeout_ms);
