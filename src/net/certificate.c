/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* X.509 details behind pki.h; see certificate.h. */
#include "net/certificate.h"
#include "base/fdio.h"
#include "net/pki.h"

#include <errno.h>
#include <fcntl.h>
#include <gnutls/crypto.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define DAY             (24 * 60 * 60)
#define COMMON_NAME_MAX 64 /* ub-common-name, RFC 5280 A.1 */

/* What reading `path` ran into, as PKI_ERROR_LOCAL. */
static gboolean local_error(GError **error, const char *path, const char *text)
{
    g_set_error(error, PKI_ERROR, PKI_ERROR_LOCAL, "%s: %s", path, text);
    return FALSE;
}

static gboolean secret_ok(const char *path, const struct stat *st, GError **error)
{
    if (st->st_uid != geteuid() && st->st_uid != 0) {
        g_set_error(error, PKI_ERROR, PKI_ERROR_LOCAL,
                    "%s: this private key belongs to another user: run 'chown root %s' and make a "
                    "new key if that user is not trusted",
                    path, path);
        return FALSE;
    }
    if (st->st_mode & 077) {
        g_set_error(error, PKI_ERROR, PKI_ERROR_LOCAL,
                    "%s: this private key is open to others (mode %04o): run 'chmod 600 %s'", path,
                    (unsigned)st->st_mode & 07777, path);
        return FALSE;
    }
    return TRUE;
}

GBytes *certificate_read_file(const char *path, gboolean secret, GError **error)
{
    /* O_NONBLOCK: a FIFO put there must not hang us. */
    fdio_auto fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    g_autofree uint8_t *data = NULL;
    struct stat st;
    size_t length = 0;

    if (fd < 0 || fstat(fd, &st) < 0) {
        local_error(error, path, g_strerror(errno));
        return NULL;
    }
    if (!S_ISREG(st.st_mode)) {
        local_error(error, path, "not a regular file");
        return NULL;
    }
    if (secret && !secret_ok(path, &st, error))
        return NULL;
    if (st.st_size > CERTIFICATE_FILE_MAX) {
        local_error(error, path, "too large for a PEM file");
        return NULL;
    }
    data = g_malloc((size_t)st.st_size + 1);
    while (length < (size_t)st.st_size) {
        ssize_t n = read(fd, data + length, (size_t)st.st_size - length);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            local_error(error, path, g_strerror(errno));
            return NULL;
        }
        if (n == 0)
            break;
        length += (size_t)n;
    }
    data[length] = 0;
    return g_bytes_new_take(g_steal_pointer(&data), length);
}

static certificate *import(GBytes *bytes, gnutls_x509_crt_fmt_t format)
{
    g_autoptr(certificate) crt = NULL;
    gsize size;
    gnutls_datum_t datum = {.data = (void *)g_bytes_get_data(bytes, &size)};

    datum.size = (unsigned)size;
    if (size > CERTIFICATE_FILE_MAX || gnutls_x509_crt_init(&crt) < 0 ||
        gnutls_x509_crt_import(crt, &datum, format) < 0)
        return NULL;
    return g_steal_pointer(&crt);
}

certificate *certificate_from_der(GBytes *der)
{
    gsize size = g_bytes_get_size(der);

    return size > 0 && size <= CERTIFICATE_DER_MAX ? import(der, GNUTLS_X509_FMT_DER) : NULL;
}

certificate *certificate_from_file(const char *path, GError **error)
{
    g_autoptr(GBytes) pem = certificate_read_file(path, FALSE, error);
    certificate *crt = pem ? import(pem, GNUTLS_X509_FMT_PEM) : NULL;

    if (pem && !crt)
        local_error(error, path, "there is no certificate in this file (PEM is expected)");
    return crt;
}

GBytes *certificate_to_der(certificate *crt)
{
    gnutls_datum_t out = {0};
    GBytes *der;

    if (gnutls_x509_crt_export2(crt, GNUTLS_X509_FMT_DER, &out) < 0)
        g_error("out of memory");
    der = g_bytes_new(out.data, out.size);
    gnutls_free(out.data);
    return der;
}

static char *date(time_t when)
{
    g_autoptr(GDateTime) time = g_date_time_new_from_unix_utc((gint64)when);

    return time ? g_date_time_format(time, "%Y-%m-%d %H:%M UTC") : g_strdup("a bad date");
}

gboolean certificate_in_time(certificate *crt, time_t when, const char *whose, GError **error)
{
    time_t from = gnutls_x509_crt_get_activation_time(crt);
    time_t until = gnutls_x509_crt_get_expiration_time(crt);

    /* GnuTLS gives -1 for a time it cannot read; that is out of time too. */
    if (from != (time_t)-1 && when >= from && when <= until)
        return TRUE;
    g_autofree char *text = date(when < from ? from : until);
    g_set_error(error, PKI_ERROR, PKI_ERROR_EXPIRED,
                when < from ? "%s is not valid before %s" : "%s expired on %s", whose, text);
    return FALSE;
}

static void add_name(GPtrArray *names, const char *text, size_t length)
{
    g_autofree char *name = g_ascii_strdown(text, (gssize)length);

    /* A NUL inside would make the name shorter than what was certified. */
    if (strlen(name) == length && pki_name_ok(name))
        g_ptr_array_add(names, g_steal_pointer(&name));
}

char **certificate_names(certificate *crt)
{
    g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
    gboolean has_dns = FALSE;
    char text[512];

    for (unsigned i = 0;; i++) {
        size_t size = sizeof text;
        int type = gnutls_x509_crt_get_subject_alt_name(crt, i, text, &size, NULL);
        if (type == GNUTLS_E_SHORT_MEMORY_BUFFER)
            continue; /* longer than any host name */
        if (type < 0)
            break;
        if (type == GNUTLS_SAN_DNSNAME) {
            has_dns = TRUE;
            add_name(names, text, size);
        }
    }
    if (!has_dns) {
        size_t size = sizeof text;
        if (gnutls_x509_crt_get_dn_by_oid(crt, GNUTLS_OID_X520_COMMON_NAME, 0, 0, text, &size) == 0)
            add_name(names, text, size);
    }
    g_ptr_array_add(names, NULL);
    return (char **)g_ptr_array_free(g_steal_pointer(&names), FALSE);
}

gboolean certificate_for_tls(certificate *crt)
{
    static const char *const good[] = {GNUTLS_KP_TLS_WWW_SERVER, GNUTLS_KP_TLS_WWW_CLIENT,
                                       GNUTLS_KP_ANY, NULL};
    char oid[128];

    for (unsigned i = 0;; i++) {
        size_t size = sizeof oid;
        int rc = gnutls_x509_crt_get_key_purpose_oid(crt, i, oid, &size, NULL);
        if (rc == GNUTLS_E_SHORT_MEMORY_BUFFER)
            continue;
        if (rc < 0) /* the end; with nothing before it, the certificate does not restrict its use */
            return i == 0 && rc == GNUTLS_E_REQUESTED_DATA_NOT_AVAILABLE;
        if (g_strv_contains(good, oid))
            return TRUE;
    }
}

private_key *certificate_new_key(GError **error)
{
    g_autoptr(private_key) key = NULL;
    int rc = gnutls_x509_privkey_init(&key);

    if (rc == 0)
        rc = gnutls_x509_privkey_generate(key, GNUTLS_PK_ECDSA,
                                          GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 0);
    if (rc < 0) {
        g_set_error(error, PKI_ERROR, PKI_ERROR_LOCAL, "cannot make a key: %s",
                    gnutls_strerror(rc));
        return NULL;
    }
    return g_steal_pointer(&key);
}

certificate *certificate_self_sign(private_key *key, const char *name, GError **error)
{
    g_autoptr(certificate) crt = NULL;
    uint8_t serial[16], id[20];
    size_t id_size = sizeof id;
    time_t now = time(NULL);
    size_t length = strlen(name);
    int rc = gnutls_x509_crt_init(&crt);

    if (rc == 0)
        rc = gnutls_rnd(GNUTLS_RND_NONCE, serial, sizeof serial);
    serial[0] = (uint8_t)((serial[0] & 0x7f) | 0x40); /* positive, and never shorter */

#define STEP(call)                                                                                 \
    if (rc >= 0)                                                                                   \
    rc = (call)
    STEP(gnutls_x509_crt_set_version(crt, 3));
    STEP(gnutls_x509_crt_set_serial(crt, serial, sizeof serial));
    /* A day back: the two hosts' clocks need not agree. */
    STEP(gnutls_x509_crt_set_activation_time(crt, now - DAY));
    STEP(gnutls_x509_crt_set_expiration_time(crt, now + (time_t)3652 * DAY));
    STEP(gnutls_x509_crt_set_dn_by_oid(crt, GNUTLS_OID_X520_COMMON_NAME, 0, name,
                                       (unsigned)MIN(length, COMMON_NAME_MAX)));
    STEP(gnutls_x509_crt_set_subject_alt_name(crt, GNUTLS_SAN_DNSNAME, name, (unsigned)length,
                                              GNUTLS_FSAN_SET));
    STEP(gnutls_x509_crt_set_key(crt, key));
    STEP(gnutls_x509_crt_set_basic_constraints(crt, 0, -1));
    STEP(gnutls_x509_crt_set_key_usage(crt, GNUTLS_KEY_DIGITAL_SIGNATURE));
    STEP(gnutls_x509_crt_set_key_purpose_oid(crt, GNUTLS_KP_TLS_WWW_SERVER, 0));
    STEP(gnutls_x509_crt_set_key_purpose_oid(crt, GNUTLS_KP_TLS_WWW_CLIENT, 0));
    STEP(gnutls_x509_crt_get_key_id(crt, 0, id, &id_size));
    STEP(gnutls_x509_crt_set_subject_key_id(crt, id, id_size));
    STEP(gnutls_x509_crt_sign2(crt, crt, key, GNUTLS_DIG_SHA256, 0));
#undef STEP
    if (rc < 0) {
        g_set_error(error, PKI_ERROR, PKI_ERROR_LOCAL, "cannot make a certificate: %s",
                    gnutls_strerror(rc));
        return NULL;
    }
    return g_steal_pointer(&crt);
}

gboolean certificate_create_file(const char *path, const void *data, size_t length, mode_t mode,
                                 GError **error)
{
    g_autofree char *parent = g_path_get_dirname(path);
    g_autofree char *beside = g_strdup_printf("%s.new-XXXXXX", path);
    fdio_auto fd = -1;
    gboolean ok = FALSE;

    if (g_mkdir_with_parents(parent, 0755) < 0)
        return fdio_error(error, errno, "%s: create", parent);
    fd = g_mkstemp_full(beside, O_WRONLY | O_CLOEXEC, (int)mode);
    if (fd < 0)
        return fdio_error(error, errno, "%s: create", path);
    if (!fdio_write_full(fd, data, length, error))
        g_prefix_error(error, "%s: ", path);
    else if (fchmod(fd, mode) < 0 || fsync(fd) < 0 || link(beside, path) < 0)
        fdio_error(error, errno, "%s: create", path); /* link(2): never replaces a file */
    else
        ok = TRUE;
    unlink(beside);
    return ok && fdio_sync_parent(path, error);
}
