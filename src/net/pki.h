/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Host certificates: who this host is, and whom it trusts.
 *
 * A host is known by the certificate it shows. Two ways to trust one: it was *pinned* by `ferry
 * pair` (its certificate lies in PEERS/NAME.crt, and only that very certificate is NAME), or it
 * chains to a configured CA *and* its name matches one of the patterns in `ca-allow`. There is no
 * third way. One function decides for control and data alike: pki_verify.
 *
 * The name of a CA-certified peer is the first DNS subject alternative name that matches a pattern;
 * its common name counts only if it has no DNS names (RFC 6125 6.4.4); wildcards in certificates
 * never match. A pinned peer's name is the one it was paired under, and while a name is pinned, a CA
 * cannot make another certificate bear it. Upper and lower case are the same in names.
 */
#pragma once
#include <gio/gio.h>

typedef struct {
    const char *certificate;        /* PEM; default /etc/ferry/pki/host.crt */
    const char *key;                /* PEM; default /etc/ferry/pki/host.key */
    const char *client_certificate; /* shown when this host dials; NULL: the same */
    const char *client_key;
    const char *ca;              /* PEM; NULL: only pinned peers */
    const char *const *ca_allow; /* glob patterns of names; NULL or empty: none */
    const char *peers;           /* directory of pinned certificates; default /etc/ferry/peers */
} pki_paths;

typedef struct pki pki; /* immutable after pki_load but for the pins, which are read when asked */

typedef enum {
    PKI_ERROR_UNTRUSTED, /* nobody we know */
    PKI_ERROR_EXPIRED,   /* known, but outside its validity */
    PKI_ERROR_NAME,      /* valid, but not the host that was asked for */
    PKI_ERROR_LOCAL      /* our own certificate or key cannot be used */
} pki_error;
#define PKI_ERROR (pki_error_quark())
GQuark pki_error_quark(void);

/* Makes a self-signed certificate (ECDSA P-256, 10 years, CN and DNS name `name`, usable as client
 * and server) and its key (mode 0600) unless both exist. Durable; never overwrites: a key without its
 * certificate (a power cut in between) is used, a certificate without its key is PKI_ERROR_LOCAL. */
gboolean pki_create_host(const char *certificate, const char *key, const char *name,
                         GError **error);

/* Reads and checks all files named; the key must match its certificate and be unreadable to others.
 * An own certificate that has expired is PKI_ERROR_LOCAL and says which file. All errors are
 * PKI_ERROR_LOCAL. */
pki *pki_load(const pki_paths *paths, GError **error);
void pki_free(pki *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(pki, pki_free)

/* Is the holder of this certificate chain (DER, leaf first, at most 10) a host we trust, now?
 * `expected` NULL: any trusted peer (we were called); else exactly that one (we dialled it). Returns
 * its name (caller frees). Trust is decided before time, time before the name: a stranger's expired
 * certificate is UNTRUSTED, a known host's is EXPIRED whatever it is called (pinned ones too). A pin
 * directory others can write to, or that cannot be read, trusts nobody (LOCAL). Errors say what to
 * do: "… run 'ferry pair zulu'". Thread-safe. */
char *pki_verify(pki *self, GPtrArray /* of GBytes */ *chain, const char *expected, GError **error);

/* Pins a certificate under a name; durable. An older pin of that name is replaced only if `replace`
 * (else G_IO_ERROR_EXISTS; the same certificate again is no error). One certificate has one name:
 * pinning it under a second is G_IO_ERROR_EXISTS too. Removing takes effect on the next verification;
 * nothing to remove is G_IO_ERROR_NOT_FOUND. Not safe against itself from several processes. */
gboolean pki_pin(pki *self, const char *name, GBytes *der, gboolean replace, GError **error);
gboolean pki_unpin(pki *self, const char *name, GError **error);
/* [A-Za-z0-9.-]{1,200}, no leading dot or dash: the name becomes a file's name. */
gboolean pki_name_ok(const char *name);

/* SHA-256 of the DER, as 64 lower-case hex digits. Caller frees. */
char *pki_fingerprint(GBytes *der);
/* Our own certificate as shown in each role, DER. Borrowed. */
GBytes *pki_own(pki *self, gboolean as_client);
/* With the defaults filled in. Borrowed. */
const pki_paths *pki_get_paths(pki *self);

/* For src/net/tls.c: our certificate chain and key as GnuTLS wants them. Borrowed; read only. */
struct gnutls_certificate_credentials_st *pki_credentials(pki *self, gboolean as_client);
