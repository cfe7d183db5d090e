/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* GnuTLS sessions as Ferry wants them, and what their errors mean to an operator. Used by
 * channel.c only, which does the input and output. */
#pragma once
#include "net/pki.h"
#include <gnutls/gnutls.h>

#define TLS_RECORD_MAX   16384 /* RFC 8446 5.1: plain text in one record */
#define TLS_OVERHEAD_MAX 256   /* header, content type, tag, rounded up (RFC 8446 5.2) */

/* A session that has not shaken hands yet: TLS 1.3, AEAD suites, certificates on both sides, no
 * tickets, no early data, no automatic rekeying. Its transport functions are still to be set. */
gnutls_session_t tls_session_new(pki *identity, gboolean server, GError **error);

/* After the handshake, before any data: is the other side `expected` (NULL: any trusted host)?
 * Returns its name (caller frees), or NULL: *error says why and *alert is what to tell it. */
char *tls_verify_peer(gnutls_session_t session, pki *identity, const char *expected,
                      gnutls_alert_description_t *alert, GError **error);

/* Sets *error for a failed GnuTLS call. `code` is what it returned (0: the connection ended without a
 * word), `errnum` the error of the connection underneath (0: none), `name` that of the connection.
 * G_IO_ERROR_PERMISSION_DENIED: the peer refused our certificate; NOT_CONNECTED: the connection was
 * lost; TIMED_OUT: the kernel gave it up; INVALID_DATA: the peer does not speak our protocol. */
void tls_error(gnutls_session_t session, int code, int errnum, const char *name, GError **error);
