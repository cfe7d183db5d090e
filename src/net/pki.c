/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Host certificates and trust; see pki.h. */
#include "net/pki.h"
#include "base/fdio.h"
#include "net/certificate.h"
#include "net/pins.h"
#include "net/trust.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#define NAME_MAX_LENGTH 200

struct pki {
    pki_paths paths; /* strings owned */
    gnutls_certificate_credentials_t server, client;
    GBytes *own_server, *own_client;
    trust *trust;
};

G_DEFINE_QUARK(ferry - pki - error, pki_error)

gboolean pki_name_ok(const char *name)
{
    size_t length = strlen(name);

    if (length < 1 || length > NAME_MAX_LENGTH || name[0] == '.' || name[0] == '-')
        return FALSE;
    for (const char *p = name; *p; p++)
        if (!g_ascii_isalnum(*p) && *p != '.' && *p != '-')
            return FALSE;
    return TRUE;
}

char *pki_fingerprint(GBytes *der)
{
    return g_compute_checksum_for_bytes(G_CHECKSUM_SHA256, der);
}

/* Own certificate. */

static private_key *load_key(const char *path, GError **error)
{
    g_autoptr(GBytes) pem = certificate_read_file(path, TRUE, error);
    g_autoptr(private_key) key = NULL;
    gsize size;
    gnutls_datum_t datum;
    int rc;

    if (!pem)
        return NULL;
    datum.data = (void *)g_bytes_get_data(pem, &size);
    datum.size = (unsigned)size;
    rc = gnutls_x509_privkey_init(&key);
    if (rc == 0)
        rc = gnutls_x509_privkey_import2(key, &datum, GNUTLS_X509_FMT_PEM, NULL, GNUTLS_PKCS_PLAIN);
    explicit_bzero(datum.data, size);
    if (rc < 0) {
        g_set_error(error, PKI_ERROR, PKI_ERROR_LOCAL,
                    "%s: there is no usable private key in this file (PEM without a password is "
                    "expected): %s",
                    path, gnutls_strerror(rc));
        return NULL;
    }
    return g_steal_pointer(&key);
}

static gboolean create_key(const char *path, private_key *key, GError **error)
{
    gnutls_datum_t out = {0};
    gboolean ok;
    int rc = gnutls_x509_privkey_export2(key, GNUTLS_X509_FMT_PEM, &out);

    if (rc < 0) {
        g_set_error(error, PKI_ERROR, PKI_ERROR_LOCAL, "%s: %s", path, gnutls_strerror(rc));
        return FALSE;
    }
    ok = certificate_create_file(path, out.data, out.size, 0600, error);
    explicit_bzero(out.data, out.size);
    gnutls_free(out.data);
    return ok;
}

static gboolean create_certificate(const char *path, certificate *crt, GError **error)
{
    gnutls_datum_t out = {0};
    gboolean ok;
    int rc = gnutls_x509_crt_export2(crt, GNUTLS_X509_FMT_PEM, &out);

    if (rc < 0) {
        g_set_error(error, PKI_ERROR, PKI_ERROR_LOCAL, "%s: %s", path, gnutls_strerror(rc));
        return FALSE;
    }
    ok = certificate_create_file(path, out.data, out.size, 0644, error);
    gnutls_free(out.data);
    return ok;
}

gboolean pki_create_host(const char *crt_path, const char *key_path, const char *name,
                         GError **error)
{
    gboolean have_crt = access(crt_path, F_OK) == 0, have_key = access(key_path, F_OK) == 0;
    g_autoptr(private_key) key = NULL;
    g_autoptr(certificate) crt = NULL;

    if (have_crt && have_key)
        return TRUE;
    if (have_crt) {
        g_set_error(error, PKI_ERROR, PKI_ERROR_LOCAL,
                    "%s exists but its key %s does not: restore the key, or remove the certificate "
                    "so that a new one is made (paired hosts must then be paired again)",
                    crt_path, key_path);
        return FALSE;
    }
    if (!pki_name_ok(name)) {
        g_set_error(
            error, PKI_ERROR, PKI_ERROR_LOCAL,
            "'%s' cannot be the name of a host: letters, digits, dots and dashes are allowed",
            name);
        return FALSE;
    }
    /* The key first: it may lie there without a certificate, never the other way round. */
    key = have_key ? load_key(key_path, error) : certificate_new_key(error);
    if (!key || (!have_key && !create_key(key_path, key, error)))
        return FALSE;
    crt = certificate_self_sign(key, name, error);
    return crt && create_certificate(crt_path, crt, error);
}

/* Reads one certificate with its chain and its key; returns the leaf as DER. */
static GBytes *load_own(gnutls_certificate_credentials_t *credentials, const char *crt_path,
                        const char *key_path, GError **error)
{
    g_autoptr(GBytes) pem = certificate_read_file(crt_path, FALSE, error);
    g_autoptr(certificate) crt = pem ? certificate_from_file(crt_path, error) : NULL;
    g_autoptr(GBytes) key = NULL;
    g_autoptr(private_key) checked = NULL;
    g_autoptr(GError) late = NULL;
    gnutls_datum_t crt_datum, key_datum;
    gsize crt_size, key_size;
    int rc;

    if (!crt)
        return NULL;
    if (!certificate_in_time(crt, time(NULL), crt_path, &late)) {
        g_set_error(error, PKI_ERROR, PKI_ERROR_LOCAL,
                    "%s: put a new certificate there (and pair again the hosts that had pinned it)",
                    late->message);
        return NULL;
    }
    checked = load_key(key_path, error);
    key = checked ? certificate_read_file(key_path, TRUE, error) : NULL;
    if (!key)
        return NULL;
    crt_datum.data = (void *)g_bytes_get_data(pem, &crt_size);
    crt_datum.size = (unsigned)crt_size;
    key_datum.data = (void *)g_bytes_get_data(key, &key_size);
    key_datum.size = (unsigned)key_size;
    rc = gnutls_certificate_allocate_credentials(credentials);
    if (rc == 0)
        rc = gnutls_certificate_set_x509_key_mem(*credentials, &crt_datum, &key_datum,
                                                 GNUTLS_X509_FMT_PEM);
    explicit_bzero(key_datum.data, key_size);
    if (rc == GNUTLS_E_CERTIFICATE_KEY_MISMATCH) {
        g_set_error(error, PKI_ERROR, PKI_ERROR_LOCAL,
                    "%s is not the key of %s: name a certificate and the key it was made with",
                    key_path, crt_path);
        return NULL;
    }
    if (rc < 0) {
        g_set_error(error, PKI_ERROR, PKI_ERROR_LOCAL, "%s: cannot be used: %s", crt_path,
                    gnutls_strerror(rc));
        return NULL;
    }
    return certificate_to_der(crt);
}

static char *or_default(const char *path, const char *fallback)
{
    return g_strdup(path ? path : fallback);
}

pki *pki_load(const pki_paths *paths, GError **error)
{
    g_autoptr(pki) self = g_new0(pki, 1);
    pki_paths *p = &self->paths;

    p->certificate = or_default(paths->certificate, "/etc/ferry/pki/host.crt");
    p->key = or_default(paths->key, "/etc/ferry/pki/host.key");
    p->client_certificate = or_default(paths->client_certificate, p->certificate);
    p->client_key = or_default(paths->client_key, p->key);
    p->ca = g_strdup(paths->ca);
    p->ca_allow = (const char *const *)g_strdupv((char **)paths->ca_allow);
    p->peers = or_default(paths->peers, "/etc/ferry/peers");

    self->own_server = load_own(&self->server, p->certificate, p->key, error);
    if (!self->own_server)
        return NULL;
    self->own_client = load_own(&self->client, p->client_certificate, p->client_key, error);
    if (!self->own_client)
        return NULL;
    self->trust = trust_new(p, error);
    return self->trust ? g_steal_pointer(&self) : NULL;
}

void pki_free(pki *self)
{
    if (!self)
        return;
    if (self->server)
        gnutls_certificate_free_credentials(self->server);
    if (self->client)
        gnutls_certificate_free_credentials(self->client);
    trust_free(self->trust);
    g_clear_pointer(&self->own_server, g_bytes_unref);
    g_clear_pointer(&self->own_client, g_bytes_unref);
    g_free((char *)self->paths.certificate);
    g_free((char *)self->paths.key);
    g_free((char *)self->paths.client_certificate);
    g_free((char *)self->paths.client_key);
    g_free((char *)self->paths.ca);
    g_strfreev((char **)self->paths.ca_allow);
    g_free((char *)self->paths.peers);
    g_free(self);
}

GBytes *pki_own(pki *self, gboolean as_client)
{
    return as_client ? self->own_client : self->own_server;
}

struct gnutls_certificate_credentials_st *pki_credentials(pki *self, gboolean as_client)
{
    return as_client ? self->client : self->server;
}

const pki_paths *pki_get_paths(pki *self)
{
    return &self->paths;
}

char *pki_verify(pki *self, GPtrArray *chain, const char *expected, GError **error)
{
    return trust_verify(self->trust, chain, expected, error);
}

gboolean pki_pin(pki *self, const char *name, GBytes *der, gboolean replace, GError **error)
{
    g_autoptr(certificate) crt = certificate_from_der(der);
    g_autoptr(GPtrArray) pins = NULL;
    g_autofree char *path = NULL;
    const pin *same_name, *same_der;
    gnutls_datum_t pem = {0};
    gboolean ok;

    if (!pki_name_ok(name) || !crt) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT,
                    crt ? "'%.64s' cannot be the name of a host: letters, digits, dots and dashes "
                          "are allowed"
                        : "what is to be pinned for %.64s is not a certificate",
                    name);
        return FALSE;
    }
    pins = pins_read(self->paths.peers, error);
    if (!pins)
        return FALSE;
    same_name = pins_by_name(pins, name);
    same_der = pins_by_der(pins, der);
    if (same_der && same_der == same_name)
        return TRUE;
    if (same_der) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_EXISTS,
                    "the host that shows this certificate is already paired as %s: 'ferry unpair %s' "
                    "first if it is now called %s",
                    same_der->name, same_der->name, name);
        return FALSE;
    }
    if (same_name && !replace) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_EXISTS,
                    "%s is already paired with another certificate: --replace it if that host has a "
                    "new one",
                    same_name->name);
        return FALSE;
    }
    path = pins_path(self->paths.peers, same_name ? same_name->name : name);
    if (gnutls_x509_crt_export2(crt, GNUTLS_X509_FMT_PEM, &pem) < 0)
        g_error("out of memory");
    ok = same_name ? fdio_replace_file(path, pem.data, pem.size, 0644, error)
                   : certificate_create_file(path, pem.data, pem.size, 0644, error);
    gnutls_free(pem.data);
    return ok;
}

gboolean pki_unpin(pki *self, const char *name, GError **error)
{
    g_autoptr(GPtrArray) pins = pins_read(self->paths.peers, error);
    const pin *known = pins ? pins_by_name(pins, name) : NULL;
    g_autofree char *path = NULL;

    if (!pins)
        return FALSE;
    if (!known) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND, "%s is not paired with this host",
                    name);
        return FALSE;
    }
    path = pins_path(self->paths.peers, known->name);
    if (unlink(path) < 0)
        return fdio_error(error, errno, "%s: remove", path);
    return fdio_sync_parent(path, error);
}
