/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Certificates for tests; see certs.h. */
#include "certs.h"

#include <glib/gstdio.h>
#include <gnutls/abstract.h>
#include <gnutls/crypto.h>
#include <gnutls/x509.h>
#include <string.h>
#include <time.h>

#define MUST(call) g_assert_cmpint((call), >=, 0)

char *certs_directory(void)
{
    g_autoptr(GError) error = NULL;
    char *dir = g_dir_make_tmp("ferry-certs-XXXXXX", &error);

    g_assert_no_error(error);
    return dir;
}

void certs_remove(char *directory)
{
    g_autoptr(GDir) dir = g_dir_open(directory, 0, NULL);
    const char *entry;

    while (dir && (entry = g_dir_read_name(dir))) {
        char *path = g_build_filename(directory, entry, NULL);
        if (g_file_test(path, G_FILE_TEST_IS_DIR) && !g_file_test(path, G_FILE_TEST_IS_SYMLINK)) {
            certs_remove(path);
        } else {
            g_unlink(path);
            g_free(path);
        }
    }
    g_rmdir(directory);
    g_free(directory);
}

static char *file(const char *dir, const char *stem, const char *suffix)
{
    return g_strdup_printf("%s/%s%s", dir, stem, suffix);
}

static void load_datum(const char *path, gnutls_datum_t *out)
{
    char *text;
    gsize size;

    g_assert_true(g_file_get_contents(path, &text, &size, NULL));
    out->data = (unsigned char *)text;
    out->size = (unsigned)size;
}

static void save(const char *path, const gnutls_datum_t *data, int mode)
{
    g_autoptr(GError) error = NULL;

    g_file_set_contents_full(path, (char *)data->data, data->size, G_FILE_SET_CONTENTS_NONE, mode,
                             &error);
    g_assert_no_error(error);
}

static gnutls_x509_crt_t load_crt(const char *dir, const char *stem)
{
    g_autofree char *path = file(dir, stem, ".crt");
    gnutls_x509_crt_t crt;
    gnutls_datum_t pem;

    load_datum(path, &pem);
    MUST(gnutls_x509_crt_init(&crt));
    MUST(gnutls_x509_crt_import(crt, &pem, GNUTLS_X509_FMT_PEM));
    g_free(pem.data);
    return crt;
}

static void sign(gnutls_x509_crt_t crt, gnutls_x509_privkey_t key, const char *dir,
                 const char *issuer)
{
    gnutls_x509_crt_t ca_crt;
    gnutls_x509_privkey_t ca_key;
    gnutls_datum_t pem;

    if (!issuer) {
        MUST(gnutls_x509_crt_sign2(crt, crt, key, GNUTLS_DIG_SHA256, 0));
        return;
    }
    g_autofree char *path = file(dir, issuer, ".key");
    ca_crt = load_crt(dir, issuer);
    load_datum(path, &pem);
    MUST(gnutls_x509_privkey_init(&ca_key));
    MUST(gnutls_x509_privkey_import(ca_key, &pem, GNUTLS_X509_FMT_PEM));
    g_free(pem.data);
    MUST(gnutls_x509_crt_sign2(crt, ca_crt, ca_key, GNUTLS_DIG_SHA256, 0));
    gnutls_x509_crt_deinit(ca_crt);
    gnutls_x509_privkey_deinit(ca_key);
}

void certs_make(const char *dir, const char *stem, certs_spec spec)
{
    g_autofree char *crt_path = file(dir, stem, ".crt"), *key_path = file(dir, stem, ".key");
    gnutls_x509_crt_t crt;
    gnutls_x509_privkey_t key;
    gnutls_datum_t out;
    unsigned char serial[8];
    time_t now = time(NULL);

    MUST(gnutls_x509_privkey_init(&key));
    if (spec.weak)
        MUST(gnutls_x509_privkey_generate(key, GNUTLS_PK_RSA, 1024, 0));
    else
        MUST(gnutls_x509_privkey_generate(key, GNUTLS_PK_ECDSA,
                                          GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 0));
    MUST(gnutls_x509_crt_init(&crt));
    MUST(gnutls_x509_crt_set_version(crt, 3));
    MUST(gnutls_rnd(GNUTLS_RND_NONCE, serial, sizeof serial));
    serial[0] &= 0x7f;
    MUST(gnutls_x509_crt_set_serial(crt, serial, sizeof serial));
    if (spec.from_days == 0 && spec.until_days == 0) {
        spec.from_days = -1;
        spec.until_days = 30;
    }
    MUST(gnutls_x509_crt_set_activation_time(crt, now + spec.from_days * 86400));
    MUST(gnutls_x509_crt_set_expiration_time(crt, now + spec.until_days * 86400));
    if (spec.name)
        MUST(gnutls_x509_crt_set_dn_by_oid(crt, GNUTLS_OID_X520_COMMON_NAME, 0, spec.name,
                                           (unsigned)strlen(spec.name)));
    for (guint i = 0; spec.dns && spec.dns[i]; i++)
        MUST(gnutls_x509_crt_set_subject_alt_name(crt, GNUTLS_SAN_DNSNAME, spec.dns[i],
                                                  (unsigned)strlen(spec.dns[i]),
                                                  i ? GNUTLS_FSAN_APPEND : GNUTLS_FSAN_SET));
    MUST(gnutls_x509_crt_set_key(crt, key));
    MUST(gnutls_x509_crt_set_basic_constraints(crt, spec.ca, -1));
    MUST(gnutls_x509_crt_set_key_usage(crt, spec.ca ? GNUTLS_KEY_KEY_CERT_SIGN
                                                    : GNUTLS_KEY_DIGITAL_SIGNATURE));
    if (spec.purpose)
        MUST(gnutls_x509_crt_set_key_purpose_oid(crt, spec.purpose, 0));
    sign(crt, key, dir, spec.issuer);

    MUST(gnutls_x509_crt_export2(crt, GNUTLS_X509_FMT_PEM, &out));
    save(crt_path, &out, 0644);
    gnutls_free(out.data);
    MUST(gnutls_x509_privkey_export2(key, GNUTLS_X509_FMT_PEM, &out));
    save(key_path, &out, 0600);
    gnutls_free(out.data);
    gnutls_x509_crt_deinit(crt);
    gnutls_x509_privkey_deinit(key);
}

GBytes *certs_der(const char *dir, const char *stem)
{
    gnutls_x509_crt_t crt = load_crt(dir, stem);
    gnutls_datum_t out;
    GBytes *der;

    MUST(gnutls_x509_crt_export2(crt, GNUTLS_X509_FMT_DER, &out));
    der = g_bytes_new(out.data, out.size);
    gnutls_free(out.data);
    gnutls_x509_crt_deinit(crt);
    return der;
}

pki *certs_load(const char *dir, const char *stem, const char *ca, const char *const *allow)
{
    g_autofree char *crt = file(dir, stem, ".crt"), *key = file(dir, stem, ".key");
    g_autofree char *peers = file(dir, stem, ".peers");
    g_autofree char *ca_path = ca ? file(dir, ca, ".crt") : NULL;
    const pki_paths paths = {
        .certificate = crt, .key = key, .ca = ca_path, .ca_allow = allow, .peers = peers};
    g_autoptr(GError) error = NULL;
    pki *self = pki_load(&paths, &error);

    g_assert_no_error(error);
    return self;
}

void certs_pin(pki *self, const char *dir, const char *other, const char *name)
{
    g_autoptr(GBytes) der = certs_der(dir, other);
    g_autoptr(GError) error = NULL;

    pki_pin(self, name, der, FALSE, &error);
    g_assert_no_error(error);
}
