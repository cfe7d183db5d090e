/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A client of the API: one request, one answer, blocking, bounded in size and time.
 *
 * A client may be used in any thread, by one at a time; it needs and runs nobody else's main loop.
 * Every call is a connection of its own, so trust is decided anew each time.
 */
#pragma once
#include "base/json.h"
#include "net/pki.h"

typedef struct client client;

typedef enum {
    CLIENT_ERROR_UNREACHABLE, /* nobody answers: name, route, refused, or not in time */
    CLIENT_ERROR_ANSWER,  /* the other side said no: see client_status, client_code, client_findings
                           */
    CLIENT_ERROR_PROTOCOL /* what answers there is no ferryd we can speak to */
} client_error;
#define CLIENT_ERROR (client_error_quark())
GQuark client_error_quark(void);

/* For calls that are answered at once; and for those that may wait up to 25 s before they answer.
 */
#define CLIENT_TIMEOUT      15
#define CLIENT_TIMEOUT_LONG 45

/* This host's ferryd, through its UNIX socket (RUN_DIR/api.sock). */
client *client_local(const char *socket);
/* Another host's, over HTTPS with our client certificate: TLS 1.3, and nothing is sent before the
 * other side has proven to be `name` (pki_verify). `identity` must outlive the client. */
client *client_peer(pki *identity, const char *host, guint16 port, const char *name,
                    GError **error);
/* Pairing only: a host nobody has vouched for yet. `certificate` NULL accepts anybody, which is
 * good for finding out the certificate and nothing else; else exactly that one (DER). */
client *client_stranger(pki *identity, const char *host, guint16 port, GBytes *certificate,
                        GError **error);
void client_free(client *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(client, client_free)

/* `path` begins with /v1/; parts that come from people or peers go through g_uri_escape_string.
 * `body` may be NULL; it stays the caller's. The whole call takes at most `timeout_s` seconds.
 * Returns the answer's object (empty for 204; caller unrefs), or NULL: PKI_ERROR_UNTRUSTED,
 * _EXPIRED or _NAME if the other side is not whom we asked for, G_IO_ERROR_CANCELLED, or a
 * CLIENT_ERROR. All messages are for operators and free of control characters. */
JsonObject *client_call(client *self, const char *method, const char *path, JsonObject *body,
                        guint timeout_s, GCancellable *cancel, GError **error);

/* Of the last call: its HTTP status (0: none); with CLIENT_ERROR_ANSWER the code ("busy", …; "" if
 * there was none) and the findings (NULL: none). Borrowed until the next call. */
int client_status(const client *self);
const char *client_code(const client *self);
JsonArray *client_findings(const client *self);
/* The other host's leaf certificate, DER, whether it was accepted or not; NULL: none was seen.
 * Borrowed. */
GBytes *client_certificate(const client *self);
/* Whom it speaks to: "ferryd at 10.0.0.2:16550". Borrowed. */
const char *client_name(const client *self);
