/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Pairing: two hosts learn each other's certificates with a one-time token.
 *
 * The token (16 base32 characters, 80 random bits, shown as XXXX-XXXX-XXXX-XXXX) is made on one host
 * and typed on the other. Each side then proves over the TLS connection that it knows the token
 * *and* which two certificates this connection was made with:
 *     proof(role) = HMAC-SHA-256(token, "ferry-pair-1" || role || SHA-256(dialler's DER) ||
 *                                SHA-256(listener's DER))
 * The key is the token as shown (19 ASCII characters), the role one letter ('D' or 'L'), hashes raw.
 * A man in the middle shows other certificates, so the proofs he could relay do not fit, and 80 bits
 * cannot be searched. docs/protocol.md, "Pairing".
 */
#pragma once
#include <gio/gio.h>

typedef enum { PAIRING_DIALLER, PAIRING_LISTENER } pairing_role;

/* A new token in its shown form. Caller frees. */
char *pairing_token(void);
/* Brings what a person typed (lower case, blanks, no dashes) into the shown form, or NULL with
 * G_IO_ERROR_INVALID_ARGUMENT. Caller frees. */
char *pairing_normalize(const char *typed, GError **error);
/* The proof `role` sends, 64 lower-case hex digits; `token` in its shown form; certificates as DER,
 * as they were seen on this very connection. Caller frees. */
char *pairing_proof(const char *token, pairing_role role, GBytes *dialler, GBytes *listener);
/* Compares in constant time; anything but 64 digits (NULL too) is FALSE. */
gboolean pairing_proof_ok(const char *expected, const char *given);
