/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Pairing tokens and proofs; see pairing.h. */
#include "net/pairing.h"

#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <stdint.h>
#include <string.h>

#define SYMBOLS     16 /* of 5 bits each */
#define GROUP       4
#define SHOWN       (SYMBOLS + SYMBOLS / GROUP - 1)
#define PROOF_HEX   64
#define DIGEST_SIZE 32

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"; /* RFC 4648 */

static char *shown(const char *symbols)
{
    char *text = g_malloc(SHOWN + 1), *at = text;

    for (int i = 0; i < SYMBOLS; i++) {
        if (i > 0 && i % GROUP == 0)
            *at++ = '-';
        *at++ = symbols[i];
    }
    *at = 0;
    return text;
}

char *pairing_token(void)
{
    uint8_t random[SYMBOLS];
    char symbols[SYMBOLS];
    char *token;

    if (gnutls_rnd(GNUTLS_RND_KEY, random, sizeof random) < 0)
        g_error("no random numbers"); /* nothing secret can be made on this machine */
    for (int i = 0; i < SYMBOLS; i++)
        symbols[i] = alphabet[random[i] % 32]; /* 256 is a multiple of 32: no bias */
    token = shown(symbols);
    gnutls_memset(random, 0, sizeof random);
    gnutls_memset(symbols, 0, sizeof symbols);
    return token;
}

char *pairing_normalize(const char *typed, GError **error)
{
    char symbols[SYMBOLS];
    int count = 0;

    for (const char *p = typed; *p; p++) {
        char c = g_ascii_toupper(*p);
        if (c == '-' || g_ascii_isspace(c))
            continue;
        if (!strchr(alphabet, c)) {
            g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT,
                        "this cannot be a token: it has letters A to Z and digits 2 to 7 only%s",
                        c == '0'   ? " (the 0 may be the letter O)"
                        : c == '1' ? " (the 1 may be the letter I or L)"
                        : c == '8' ? " (the 8 may be the letter B)"
                                   : "");
            return NULL;
        }
        if (count < SYMBOLS)
            symbols[count] = c;
        count++;
    }
    if (count != SYMBOLS) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT,
                    "a token has %d letters and digits (XXXX-XXXX-XXXX-XXXX); this has %d", SYMBOLS,
                    count);
        return NULL;
    }
    return shown(symbols);
}

static void add_hash(GHmac *hmac, GBytes *der)
{
    g_autoptr(GChecksum) sum = g_checksum_new(G_CHECKSUM_SHA256);
    guint8 digest[DIGEST_SIZE];
    gsize size, length = sizeof digest;
    const void *data = g_bytes_get_data(der, &size);

    g_checksum_update(sum, data, (gssize)size);
    g_checksum_get_digest(sum, digest, &length);
    g_hmac_update(hmac, digest, (gssize)length);
}

char *pairing_proof(const char *token, pairing_role role, GBytes *dialler, GBytes *listener)
{
    static const char label[] = "ferry-pair-1";
    g_autoptr(GHmac) hmac = g_hmac_new(G_CHECKSUM_SHA256, (const guchar *)token, strlen(token));
    guchar letter = role == PAIRING_DIALLER ? 'D' : 'L';

    g_hmac_update(hmac, (const guchar *)label, sizeof label - 1);
    g_hmac_update(hmac, &letter, 1);
    add_hash(hmac, dialler);
    add_hash(hmac, listener);
    return g_strdup(g_hmac_get_string(hmac));
}

gboolean pairing_proof_ok(const char *expected, const char *given)
{
    return expected && given && strlen(expected) == PROOF_HEX && strlen(given) == PROOF_HEX &&
           gnutls_memcmp(expected, given, PROOF_HEX) == 0;
}
