/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What GIO's TLS must do for the API: TLS 1.3 and nothing older, certificates as files and as DER.
 *
 * GIO takes its protocol versions from the environment once, at its first use of TLS. This module
 * sets them when the program starts, and gtls_version_ok proves for each connection that it worked.
 */
#pragma once
#include <gio/gio.h>

/* Certificate (with its chain, if the file has one) and key, both PEM. Caller unrefs. */
GTlsCertificate *gtls_certificate(const char *certificate, const char *key, GError **error);
/* As DER, leaf first, at most GTLS_CHAIN_MAX; elements are GBytes. Caller unrefs. */
#define GTLS_CHAIN_MAX 10
GPtrArray *gtls_chain(GTlsCertificate *leaf);
/* After the handshake: was it TLS 1.3? */
gboolean gtls_version_ok(GTlsConnection *connection, GError **error);
