/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Whom to trust; see trust.h. */
#include "net/trust.h"
#include "net/certificate.h"
#include "net/pins.h"

#include <string.h>

#define CHAIN_MAX 10

struct trust {
    const pki_paths *paths;
    gnutls_x509_trust_list_t authorities; /* NULL: no CA */
    GMutex lock; /* guards authorities: GnuTLS does not say that verifying only reads */
};

trust *trust_new(const pki_paths *paths, GError **error)
{
    trust *self = g_new0(trust, 1);
    g_autoptr(GBytes) pem = NULL;
    gnutls_datum_t datum;
    gsize size;

    self->paths = paths;
    g_mutex_init(&self->lock);
    if (!paths->ca)
        return self;
    pem = certificate_read_file(paths->ca, FALSE, error);
    if (pem) {
        datum.data = (void *)g_bytes_get_data(pem, &size);
        datum.size = (unsigned)size;
        if (gnutls_x509_trust_list_init(&self->authorities, 0) == 0 &&
            gnutls_x509_trust_list_add_trust_mem(self->authorities, &datum, NULL,
                                                 GNUTLS_X509_FMT_PEM, 0, 0) > 0)
            return self;
        g_set_error(error, PKI_ERROR, PKI_ERROR_LOCAL,
                    "%s: there is no CA certificate in this file (PEM is expected)", paths->ca);
    }
    trust_free(self);
    return NULL;
}

void trust_free(trust *self)
{
    if (!self)
        return;
    if (self->authorities)
        gnutls_x509_trust_list_deinit(self->authorities, 1);
    g_mutex_clear(&self->lock);
    g_free(self);
}

static gboolean refuse(GError **error, pki_error code, const char *format, ...) G_GNUC_PRINTF(3, 4);

static gboolean refuse(GError **error, pki_error code, const char *format, ...)
{
    g_autofree char *text = NULL;
    va_list args;

    va_start(args, format);
    text = g_strdup_vprintf(format, args);
    va_end(args);
    g_set_error_literal(error, PKI_ERROR, (int)code, text);
    return FALSE;
}

/* "the certificate for 'a, b' (SHA-256 12ab…)": the names come from a stranger, but
 * certificate_names gives only such as can be a host's. */
static char *describe(certificate *leaf, GBytes *der)
{
    g_auto(GStrv) names = certificate_names(leaf);
    g_autofree char *list = g_strjoinv(", ", names);
    g_autofree char *print = pki_fingerprint(der);

    if (strlen(list) > 80)
        strcpy(list + 77, "...");
    return g_strdup_printf("the certificate for '%s' (SHA-256 %.16s...)", list, print);
}

static gboolean other_host(GError **error, const char *name, const char *expected)
{
    return refuse(error, PKI_ERROR_NAME,
                  "this is %s, not %s: check the address of %s in the configuration or in DNS",
                  name, expected, expected);
}

static gboolean pin_ok(const pin *known, certificate *leaf, const char *expected, GError **error)
{
    g_autofree char *whose = g_strdup_printf("the certificate of %s", known->name);
    g_autoptr(GError) late = NULL;

    if (!certificate_in_time(leaf, time(NULL), whose, &late))
        return refuse(
            error, PKI_ERROR_EXPIRED,
            "%s: check both hosts' clocks, or make a new one there, then run 'ferry pair "
            "--accept' there and 'ferry pair %s --replace' here",
            late->message, known->name);
    if (expected && g_ascii_strcasecmp(known->name, expected) != 0)
        return other_host(error, known->name, expected);
    return TRUE;
}

/* What GnuTLS says about the chain: 0 or GNUTLS_CERT_* bits. */
static unsigned chain_status(trust *self, GPtrArray *crts, unsigned flags)
{
    unsigned status = GNUTLS_CERT_INVALID;
    int rc;

    flags |= GNUTLS_PROFILE_TO_VFLAGS(GNUTLS_PROFILE_MEDIUM);
    g_mutex_lock(&self->lock);
    rc = gnutls_x509_trust_list_verify_crt2(self->authorities, (gnutls_x509_crt_t *)crts->pdata,
                                            crts->len, NULL, 0, flags, &status, NULL);
    g_mutex_unlock(&self->lock);
    return rc < 0 ? GNUTLS_CERT_INVALID : status;
}

/* Neither this certificate nor a CA above it is known. `pinned`: the pin of the host asked for. */
static gboolean stranger(trust *self, const pin *pinned, const char *shown, const char *expected,
                         GError **error)
{
    if (pinned)
        return refuse(error, PKI_ERROR_UNTRUSTED,
                      "%s showed %s, which is not the one it was paired with: if it has a new one, "
                      "run 'ferry pair --accept' there and 'ferry pair %s --replace' here; if not, "
                      "another machine answers in its place",
                      expected, shown, expected);
    if (self->authorities)
        return refuse(
            error, PKI_ERROR_UNTRUSTED,
            "%s belongs to no paired host and is not signed by a CA in %s: run 'ferry pair "
            "%s'",
            shown, self->paths->ca, expected ? expected : "NAME");
    return refuse(error, PKI_ERROR_UNTRUSTED, "%s belongs to no paired host: run 'ferry pair %s'",
                  shown, expected ? expected : "NAME");
}

/* Does a CA of ours vouch for this chain, now? */
static gboolean chain_ok(trust *self, GPtrArray *crts, const pin *pinned, const char *shown,
                         const char *expected, GError **error)
{
    g_autoptr(GError) late = NULL;
    unsigned status = chain_status(
        self, crts, GNUTLS_VERIFY_DISABLE_TIME_CHECKS | GNUTLS_VERIFY_DISABLE_TRUSTED_TIME_CHECKS);

    if (status & GNUTLS_CERT_INSECURE_ALGORITHM)
        return refuse(error, PKI_ERROR_UNTRUSTED,
                      "%s, or one above it, has a key or signature too weak to be trusted: make a "
                      "new one",
                      shown);
    if (status)
        return stranger(self, pinned, shown, expected, error);
    if (!certificate_in_time(crts->pdata[0], time(NULL), shown, &late))
        return refuse(error, PKI_ERROR_EXPIRED,
                      "%s: check both hosts' clocks, or have its CA make a new one", late->message);
    if (chain_status(self, crts, 0))
        return refuse(error, PKI_ERROR_EXPIRED,
                      "the CA certificate that %s depends on is outside its validity: renew it",
                      shown);
    return TRUE;
}

static gboolean name_allowed(trust *self, const char *name)
{
    for (const char *const *p = self->paths->ca_allow; p && *p; p++) {
        g_autofree char *pattern = g_ascii_strdown(*p, -1);
        if (g_pattern_match_simple(pattern, name))
            return TRUE;
    }
    return FALSE;
}

/* The name a CA gave the host, if we may call it so. */
static char *name_by_ca(trust *self, GPtrArray *crts, GPtrArray *pins, const char *shown,
                        const char *expected, GError **error)
{
    g_auto(GStrv) names = certificate_names(crts->pdata[0]);
    const pin *clash = NULL;
    const char *first = NULL;

    for (guint i = 0; names[i]; i++) {
        const pin *other = pins_by_name(pins, names[i]);
        if (!name_allowed(self, names[i]))
            continue;
        if (other)
            clash = other;
        else if (!expected || g_ascii_strcasecmp(names[i], expected) == 0)
            return g_strdup(names[i]);
        else if (!first)
            first = names[i];
    }
    if (clash && (!expected || g_ascii_strcasecmp(clash->name, expected) == 0))
        refuse(error, PKI_ERROR_UNTRUSTED,
               "%s is signed by a CA, but %s was paired with another certificate: run 'ferry pair "
               "%s --replace', or 'ferry unpair %s' to trust the CA for it",
               shown, clash->name, clash->name, clash->name);
    else if (first)
        other_host(error, first, expected);
    else
        refuse(
            error, PKI_ERROR_UNTRUSTED,
            "%s is signed by a CA, but no pattern in 'ca-allow' matches its name: add one, or run "
            "'ferry pair' for its host",
            shown);
    return NULL;
}

static char *verify_by_ca(trust *self, GPtrArray *crts, GPtrArray *pins, const char *shown,
                          const char *expected, GError **error)
{
    const pin *pinned = expected ? pins_by_name(pins, expected) : NULL;

    if (!chain_ok(self, crts, pinned, shown, expected, error))
        return NULL;
    if (!certificate_for_tls(crts->pdata[0])) {
        refuse(error, PKI_ERROR_UNTRUSTED,
               "%s was not made for TLS (its extended key usage says so): make one for client and "
               "server authentication",
               shown);
        return NULL;
    }
    return name_by_ca(self, crts, pins, shown, expected, error);
}

/* Imports what a peer sent; NULL if any of it is malformed. */
static GPtrArray *import_chain(GPtrArray *chain, GError **error)
{
    g_autoptr(GPtrArray) crts =
        g_ptr_array_new_with_free_func((GDestroyNotify)gnutls_x509_crt_deinit);

    if (!chain || chain->len == 0) {
        refuse(error, PKI_ERROR_UNTRUSTED, "no certificate was shown");
        return NULL;
    }
    for (guint i = 0; i < chain->len; i++) {
        certificate *crt = i < CHAIN_MAX ? certificate_from_der(chain->pdata[i]) : NULL;
        if (!crt) {
            refuse(error, PKI_ERROR_UNTRUSTED, "the certificates shown cannot be read");
            return NULL;
        }
        g_ptr_array_add(crts, crt);
    }
    return g_steal_pointer(&crts);
}

char *trust_verify(trust *self, GPtrArray *chain, const char *expected, GError **error)
{
    g_autoptr(GPtrArray) crts = import_chain(chain, error);
    g_autoptr(GPtrArray) pins = crts ? pins_read(self->paths->peers, error) : NULL;
    g_autofree char *shown = NULL;
    const pin *known;

    if (!pins)
        return NULL;
    known = pins_by_der(pins, chain->pdata[0]);
    if (known)
        return pin_ok(known, crts->pdata[0], expected, error) ? g_strdup(known->name) : NULL;
    known = expected ? pins_by_name(pins, expected) : NULL;
    if (known && known->problem) {
        refuse(error, PKI_ERROR_LOCAL, "%s: run 'ferry pair %s --replace'", known->problem,
               known->name);
        return NULL;
    }
    shown = describe(crts->pdata[0], chain->pdata[0]);
    if (self->authorities)
        return verify_by_ca(self, crts, pins, shown, expected, error);
    stranger(self, known, shown, expected, error);
    return NULL;
}
