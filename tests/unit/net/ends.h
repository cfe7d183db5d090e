/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Two ends for tests of channels: hosts "alpha" (dials) and "zulu" (listens) that trust each other,
 * the server's handshake in a thread, and ends that speak GnuTLS directly where a channel would be
 * too well-behaved. */
#pragma once
#include "certs.h"
#include "net/channel.h"
#include <gnutls/gnutls.h>

#define ENDS_TIMEOUT_MS 30000

typedef struct {
    char *dir;
    pki *alpha, *zulu;
} ends;

/* What each side got out of a handshake. */
typedef struct {
    channel *client, *server;
    GError *client_error, *server_error;
} outcome;

void ends_set_up(ends *self, gconstpointer data);
void ends_tear_down(ends *self, gconstpointer data);

/* Connected stream sockets; `buffer` limits both sides' send and receive buffers, 0: as they are.
 */
void ends_sockets(int fds[2], int buffer);
/* The same over loopback TCP. */
void ends_tcp(int fds[2]);

/* A handshake between two identities over these sockets. */
outcome ends_shake(pki *client, pki *server, const int fds[2], const char *expect_server,
                   const char *expect_client);
/* The same between alpha and zulu; it must succeed. */
outcome ends_connect(ends *self, const int fds[2]);
void ends_clear(outcome *o);

/* A thread with channel_server(zulu, fd, expected, timeout_ms); ends_join gives what came of it. */
typedef struct ends_thread ends_thread;
ends_thread *ends_serve(pki *identity, int fd, const char *expected, int timeout_ms);
channel *ends_join(ends_thread *self, GError **error);

/* A blocking GnuTLS client on `fd` as DIR/STEM (NULL: without a certificate), any priority string,
 * ALPN protocol `alpn` (NULL: none). Handshake not done yet. */
gnutls_session_t ends_raw_client(ends *self, int fd, const char *stem, const char *priority,
                                 const char *alpn);
void ends_raw_free(gnutls_session_t session);
