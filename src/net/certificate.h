/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* X.509 details behind pki.h: bounded reading of PEM files, names, validity, self-signing. Used in
 * src/net only. Errors are PKI_ERROR_LOCAL unless said otherwise. */
#pragma once
#include <gio/gio.h>
#include <gnutls/abstract.h>
#include <gnutls/x509.h>

/* Largest PEM file read, and largest DER certificate taken from a peer. */
#define CERTIFICATE_FILE_MAX (256 * 1024)
#define CERTIFICATE_DER_MAX  (64 * 1024)

typedef struct gnutls_x509_crt_int certificate;
static inline void certificate_free(certificate *crt)
{
    gnutls_x509_crt_deinit(crt);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC(certificate, certificate_free)

typedef struct gnutls_x509_privkey_int private_key;
static inline void private_key_free(private_key *key)
{
    gnutls_x509_privkey_deinit(key);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC(private_key, private_key_free)

/* A whole regular file of at most CERTIFICATE_FILE_MAX bytes. A `secret` one must belong to this
 * user or root and be closed to everybody else; the error names the command that mends it. */
GBytes *certificate_read_file(const char *path, gboolean secret, GError **error);
/* One certificate from DER; NULL if it is none. Caller frees. */
certificate *certificate_from_der(GBytes *der);
/* The first certificate in a PEM file. Caller frees. */
certificate *certificate_from_file(const char *path, GError **error);
GBytes *certificate_to_der(certificate *crt);

/* Is it within its validity at `when`? PKI_ERROR_EXPIRED: "WHOSE expired on …" or "… is not valid
 * before …", with no advice: the caller knows whose it is. */
gboolean certificate_in_time(certificate *crt, time_t when, const char *whose, GError **error);
/* Host names in it: the DNS subject alternative names, or the common name if there are none
 * (RFC 6125 6.4.4). Only such as pki_name_ok accepts, in lower case. Caller frees (g_strfreev). */
char **certificate_names(certificate *crt);
/* Is it meant for TLS (no extended key usage, or one of client, server, any)? */
gboolean certificate_for_tls(certificate *crt);

/* A new key, and a certificate for it signed by itself; see pki_create_host. */
private_key *certificate_new_key(GError **error);
certificate *certificate_self_sign(private_key *key, const char *name, GError **error);
/* Puts `data` at a path where nothing is, durably; G_IO_ERROR_EXISTS if something is. */
gboolean certificate_create_file(const char *path, const void *data, size_t length, mode_t mode,
                                 GError **error);
