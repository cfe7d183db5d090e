/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Host certificates and trust: what is loaded, what is refused, and in which words. */
#include "certs.h"
#include "net/pki.h"

#include <glib/gstdio.h>
#include <gnutls/x509.h>
#include <string.h>
#include <sys/stat.h>

#define STRV(...) ((const char *const[]){__VA_ARGS__, NULL})

typedef struct {
    char *dir;
} fixture;

static void set_up(fixture *f, gconstpointer data)
{
    f->dir = certs_directory();
    certs_make(f->dir, "alpha", (certs_spec){.name = "alpha"});
    certs_make(f->dir, "ca", (certs_spec){.name = "Test CA", .ca = TRUE});
}

static void tear_down(fixture *f, gconstpointer data)
{
    certs_remove(f->dir);
}

static char *in(fixture *f, const char *name)
{
    return g_build_filename(f->dir, name, NULL);
}

/* Asks `self` about the chain DIR/STEM (leaf first); a NULL name means refused with `code` and a
 * message that contains `text`. */
static void check_chain(pki *self, fixture *f, const char *const *stems, const char *expected,
                        const char *name, int code, const char *text)
{
    g_autoptr(GPtrArray) chain = g_ptr_array_new_with_free_func((GDestroyNotify)g_bytes_unref);
    g_autoptr(GError) error = NULL;
    g_autofree char *found = NULL;

    for (; *stems; stems++)
        g_ptr_array_add(chain, certs_der(f->dir, *stems));
    found = pki_verify(self, chain, expected, &error);
    if (name) {
        g_assert_no_error(error);
    } else {
        g_assert_error(error, PKI_ERROR, code);
        if (!strstr(error->message, text))
            g_error("'%s' does not say '%s'", error->message, text);
    }
    g_assert_cmpstr(found, ==, name);
}

static void trusted(pki *self, fixture *f, const char *stem, const char *expected, const char *name)
{
    check_chain(self, f, STRV(stem), expected, name, 0, NULL);
}

static void refused(pki *self, fixture *f, const char *stem, const char *expected, int code,
                    const char *text)
{
    check_chain(self, f, STRV(stem), expected, NULL, code, text);
}

/* Making one's own. */

static void test_create(fixture *f, gconstpointer data)
{
    g_autofree char *crt = in(f, "pki/host.crt"), *key = in(f, "pki/host.key");
    g_autofree char *before = NULL, *after = NULL, *print = NULL;
    const pki_paths paths = {.certificate = crt, .key = key, .peers = f->dir};
    g_autoptr(GError) error = NULL;
    g_autoptr(pki) self = NULL;
    g_autoptr(GBytes) other = certs_der(f->dir, "alpha");
    struct stat st;

    g_assert_true(pki_create_host(crt, key, "zulu.example", &error));
    g_assert_no_error(error);
    g_assert_cmpint(stat(key, &st), ==, 0);
    g_assert_cmpint(st.st_mode & 07777, ==, 0600);
    self = pki_load(&paths, &error);
    g_assert_no_error(error);
    g_assert_true(pki_own(self, TRUE) && g_bytes_equal(pki_own(self, TRUE), pki_own(self, FALSE)));
    print = pki_fingerprint(pki_own(self, FALSE));
    g_assert_true(g_regex_match_simple("^[0-9a-f]{64}$", print, 0, 0));

    g_assert_true(g_file_get_contents(crt, &before, NULL, NULL));
    g_assert_true(pki_create_host(crt, key, "another", &error));
    g_assert_true(g_file_get_contents(crt, &after, NULL, NULL));
    g_assert_cmpstr(before, ==, after);

    /* It is one that another host can pin, and be found by. */
    certs_pin(self, f->dir, "alpha", "alpha");
    g_autoptr(pki) alpha = certs_load(f->dir, "alpha", NULL, NULL);
    g_assert_true(pki_pin(alpha, "zulu.example", pki_own(self, FALSE), FALSE, &error));
    g_autoptr(GPtrArray) chain = g_ptr_array_new();
    g_ptr_array_add(chain, pki_own(self, FALSE));
    g_autofree char *name = pki_verify(alpha, chain, "zulu.example", &error);
    g_assert_cmpstr(name, ==, "zulu.example");
}

static void test_create_after_power_cut(fixture *f, gconstpointer data)
{
    g_autofree char *crt = in(f, "host.crt"), *key = in(f, "host.key"), *before = NULL,
                    *after = NULL;
    const pki_paths paths = {.certificate = crt, .key = key, .peers = f->dir};
    g_autoptr(GError) error = NULL;
    g_autoptr(pki) self = NULL;

    g_assert_true(pki_create_host(crt, key, "zulu", &error));
    g_assert_true(g_file_get_contents(key, &before, NULL, NULL));
    g_assert_cmpint(g_unlink(crt), ==, 0);
    g_assert_true(pki_create_host(crt, key, "zulu", &error)); /* only the key had been written */
    g_assert_true(g_file_get_contents(key, &after, NULL, NULL));
    g_assert_cmpstr(before, ==, after);
    self = pki_load(&paths, &error);
    g_assert_no_error(error);

    g_assert_cmpint(g_unlink(key), ==, 0);
    g_assert_false(pki_create_host(crt, key, "zulu", &error));
    g_assert_error(error, PKI_ERROR, PKI_ERROR_LOCAL);
    g_assert_nonnull(strstr(error->message, "restore the key"));
    g_clear_error(&error);
    g_assert_false(pki_create_host(key, key, "bad name", &error));
    g_assert_error(error, PKI_ERROR, PKI_ERROR_LOCAL);
}

/* Loading. */

static void load_fails(const pki_paths *paths, const char *text)
{
    g_autoptr(GError) error = NULL;

    g_assert_null(pki_load(paths, &error));
    g_assert_error(error, PKI_ERROR, PKI_ERROR_LOCAL);
    if (!strstr(error->message, text))
        g_error("'%s' does not say '%s'", error->message, text);
}

static void test_load_refuses(fixture *f, gconstpointer data)
{
    g_autofree char *crt = in(f, "alpha.crt"), *key = in(f, "alpha.key"), *peers = in(f, "peers");
    g_autofree char *junk = in(f, "junk"), *none = in(f, "none"), *mend = NULL;
    g_autofree char *late_crt = in(f, "late.crt"), *late_key = in(f, "late.key");
    g_autofree char *early_crt = in(f, "early.crt"), *early_key = in(f, "early.key");
    pki_paths paths = {.certificate = crt, .key = key, .peers = peers};
    g_autoptr(pki) self = NULL;

    certs_make(f->dir, "late", (certs_spec){.name = "late", .from_days = -9, .until_days = -2});
    certs_make(f->dir, "early", (certs_spec){.name = "early", .from_days = 2, .until_days = 9});
    g_assert_true(g_file_set_contents(junk, "-----BEGIN CERTIFICATE-----\nAAAA\n", -1, NULL));
    g_assert_cmpint(g_chmod(junk, 0600), ==, 0);

    self = certs_load(f->dir, "alpha", NULL, NULL);
    paths.certificate = none;
    load_fails(&paths, none);
    paths.certificate = junk;
    load_fails(&paths, "no certificate in this file");
    paths.certificate = f->dir;
    load_fails(&paths, "not a regular file");
    paths.certificate = late_crt;
    paths.key = late_key;
    load_fails(&paths, "late.crt expired on ");
    paths.certificate = early_crt;
    paths.key = early_key;
    load_fails(&paths, "early.crt is not valid before ");
    paths.certificate = crt;
    paths.key = none;
    load_fails(&paths, none);
    paths.key = junk;
    load_fails(&paths, "no usable private key");
    paths.key = late_key;
    load_fails(&paths, "late.key is not the key of ");
    paths.key = key;
    paths.ca = junk;
    load_fails(&paths, "no CA certificate");
    paths.ca = NULL;
    paths.client_key = late_key;
    load_fails(&paths, "late.key is not the key of ");
    paths.client_key = NULL;
    for (int bit = 0; bit < 6; bit++) {
        g_assert_cmpint(g_chmod(key, 0600 | 1 << bit), ==, 0);
        g_free(mend);
        mend = g_strdup_printf("run 'chmod 600 %s'", key);
        load_fails(&paths, mend);
    }
}

static void test_separate_client_certificate(fixture *f, gconstpointer data)
{
    g_autofree char *crt = in(f, "alpha.crt"), *key = in(f, "alpha.key"), *peers = in(f, "peers");
    g_autofree char *ccrt = in(f, "client.crt"), *ckey = in(f, "client.key");
    const pki_paths paths = {.certificate = crt,
                             .key = key,
                             .client_certificate = ccrt,
                             .client_key = ckey,
                             .peers = peers};
    g_autoptr(GBytes) server = certs_der(f->dir, "alpha"), client = NULL;
    g_autoptr(GError) error = NULL;
    g_autoptr(pki) self = NULL;

    certs_make(f->dir, "client", (certs_spec){.name = "alpha"});
    client = certs_der(f->dir, "client");
    self = pki_load(&paths, &error);
    g_assert_no_error(error);
    g_assert_true(g_bytes_equal(pki_own(self, TRUE), client));
    g_assert_true(g_bytes_equal(pki_own(self, FALSE), server));
    g_assert_cmpstr(pki_get_paths(self)->client_key, ==, ckey);
}

/* Pins. */

static void test_pinned(fixture *f, gconstpointer data)
{
    g_autoptr(pki) self = certs_load(f->dir, "alpha", NULL, NULL);
    g_autoptr(GError) error = NULL;

    certs_make(f->dir, "zulu", (certs_spec){.name = "something else"});
    certs_make(f->dir, "yankee", (certs_spec){.name = "zulu"});
    refused(self, f, "zulu", "zulu", PKI_ERROR_UNTRUSTED, "run 'ferry pair zulu'");
    refused(self, f, "zulu", NULL, PKI_ERROR_UNTRUSTED, "belongs to no paired host");
    certs_pin(self, f->dir, "zulu", "zulu");
    trusted(self, f, "zulu", "zulu", "zulu"); /* the file's name counts, not the certificate's */
    trusted(self, f, "zulu", NULL, "zulu");
    trusted(self, f, "zulu", "ZULU", "zulu");
    refused(self, f, "zulu", "yankee", PKI_ERROR_NAME, "this is zulu, not yankee");
    refused(self, f, "yankee", "zulu", PKI_ERROR_UNTRUSTED, "'ferry pair zulu --replace' here");
    refused(self, f, "yankee", NULL, PKI_ERROR_UNTRUSTED, "'zulu'");

    g_assert_true(pki_unpin(self, "zulu", &error)); /* while we run */
    refused(self, f, "zulu", "zulu", PKI_ERROR_UNTRUSTED, "run 'ferry pair zulu'");
    g_assert_false(pki_unpin(self, "zulu", &error));
    g_assert_error(error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND);
}

static void test_pin_removed_by_hand(fixture *f, gconstpointer data)
{
    g_autoptr(pki) self = certs_load(f->dir, "alpha", NULL, NULL);
    g_autofree char *file = in(f, "alpha.peers/zulu.crt"), *moved = in(f, "alpha.peers/mike.crt");

    certs_make(f->dir, "zulu", (certs_spec){.name = "zulu"});
    certs_pin(self, f->dir, "zulu", "zulu");
    g_assert_cmpint(g_rename(file, moved), ==, 0);
    trusted(self, f, "zulu", NULL, "mike");
    g_assert_cmpint(g_unlink(moved), ==, 0);
    refused(self, f, "zulu", NULL, PKI_ERROR_UNTRUSTED, "no paired host");
}

static void test_pinned_out_of_time(fixture *f, gconstpointer data)
{
    g_autoptr(pki) self = certs_load(f->dir, "alpha", NULL, NULL);

    certs_make(f->dir, "late", (certs_spec){.name = "late", .from_days = -9, .until_days = -2});
    certs_make(f->dir, "early", (certs_spec){.name = "early", .from_days = 2, .until_days = 9});
    refused(self, f, "late", "late", PKI_ERROR_UNTRUSTED, "no paired host"); /* a stranger's */
    certs_pin(self, f->dir, "late", "late");
    certs_pin(self, f->dir, "early", "early");
    refused(self, f, "late", "late", PKI_ERROR_EXPIRED, "the certificate of late expired on ");
    refused(self, f, "late", NULL, PKI_ERROR_EXPIRED, "'ferry pair late --replace' here");
    refused(self, f, "late", "other", PKI_ERROR_EXPIRED, "expired");
    refused(self, f, "early", "early", PKI_ERROR_EXPIRED, "is not valid before ");
}

static void pin_fails(pki *self, fixture *f, const char *name, const char *stem, gboolean replace,
                      int code)
{
    g_autoptr(GBytes) der = stem ? certs_der(f->dir, stem) : g_bytes_new_static("junk", 4);
    g_autoptr(GError) error = NULL;

    g_assert_false(pki_pin(self, name, der, replace, &error));
    g_assert_error(error, G_IO_ERROR, code);
}

static void test_pinning(fixture *f, gconstpointer data)
{
    g_autoptr(pki) self = certs_load(f->dir, "alpha", NULL, NULL);
    g_autoptr(GBytes) yankee = NULL;
    g_autoptr(GError) error = NULL;

    certs_make(f->dir, "zulu", (certs_spec){.name = "zulu"});
    certs_make(f->dir, "yankee", (certs_spec){.name = "yankee"});
    yankee = certs_der(f->dir, "yankee");
    certs_pin(self, f->dir, "zulu", "zulu");
    certs_pin(self, f->dir, "zulu", "zulu"); /* again: nothing to do */
    pin_fails(self, f, "zulu", "yankee", FALSE, G_IO_ERROR_EXISTS);
    pin_fails(self, f, "Zulu", "yankee", FALSE, G_IO_ERROR_EXISTS);
    pin_fails(self, f, "yankee", "zulu", TRUE, G_IO_ERROR_EXISTS); /* one certificate, one name */
    pin_fails(self, f, "../zulu", "yankee", TRUE, G_IO_ERROR_INVALID_ARGUMENT);
    pin_fails(self, f, "yankee", NULL, TRUE, G_IO_ERROR_INVALID_ARGUMENT);
    trusted(self, f, "zulu", NULL, "zulu");
    g_assert_true(pki_pin(self, "zulu", yankee, TRUE, &error));
    trusted(self, f, "yankee", NULL, "zulu");
    refused(self, f, "zulu", "zulu", PKI_ERROR_UNTRUSTED, "not the one it was paired with");
}

static void test_pin_directory_is_guarded(fixture *f, gconstpointer data)
{
    g_autoptr(pki) self = certs_load(f->dir, "alpha", NULL, NULL);
    g_autofree char *peers = in(f, "alpha.peers"), *bad = in(f, "alpha.peers/mike.crt");

    certs_make(f->dir, "zulu", (certs_spec){.name = "zulu"});
    certs_pin(self, f->dir, "zulu", "zulu");
    g_assert_true(g_file_set_contents(bad, "not a certificate", -1, NULL));
    trusted(self, f, "zulu", NULL, "zulu"); /* one broken pin harms no other */
    refused(self, f, "alpha", "mike", PKI_ERROR_LOCAL, "run 'ferry pair mike --replace'");
    g_assert_cmpint(g_chmod(peers, 0775), ==, 0);
    refused(self, f, "zulu", "zulu", PKI_ERROR_LOCAL, "chmod go-w");
    g_assert_cmpint(g_chmod(peers, 0755), ==, 0);
    trusted(self, f, "zulu", "zulu", "zulu");
}

/* Certificate authorities. */

static void test_ca(fixture *f, gconstpointer data)
{
    g_autoptr(pki) self = certs_load(f->dir, "alpha", "ca", STRV("web*.example", "Zulu"));
    g_autoptr(pki) nobody = certs_load(f->dir, "alpha", "ca", NULL);

    certs_make(f->dir, "other-ca", (certs_spec){.name = "Test CA", .ca = TRUE});
    certs_make(f->dir, "zulu", (certs_spec){.name = "zulu", .issuer = "ca"});
    certs_make(f->dir, "forged", (certs_spec){.name = "zulu", .issuer = "other-ca"});
    certs_make(f->dir, "self", (certs_spec){.name = "zulu"});
    certs_make(f->dir, "yankee", (certs_spec){.name = "yankee", .issuer = "ca"});

    trusted(self, f, "zulu", NULL, "zulu");
    trusted(self, f, "zulu", "zulu", "zulu");
    trusted(self, f, "zulu", "ZULU", "zulu");
    refused(self, f, "zulu", "web1.example", PKI_ERROR_NAME, "this is zulu, not web1.example");
    refused(self, f, "forged", "zulu", PKI_ERROR_UNTRUSTED, "not signed by a CA in ");
    refused(self, f, "self", "zulu", PKI_ERROR_UNTRUSTED, "not signed by a CA in ");
    refused(self, f, "yankee", NULL, PKI_ERROR_UNTRUSTED, "no pattern in 'ca-allow'");
    refused(self, f, "yankee", "yankee", PKI_ERROR_UNTRUSTED, "no pattern in 'ca-allow'");
    refused(nobody, f, "zulu", "zulu", PKI_ERROR_UNTRUSTED, "no pattern in 'ca-allow'");
}

static void test_ca_names(fixture *f, gconstpointer data)
{
    g_autoptr(pki) self = certs_load(f->dir, "alpha", "ca", STRV("web*.example", "zulu"));

    certs_make(f->dir, "two",
               (certs_spec){.name = "zulu",
                            .dns = STRV("mail.example", "WEB1.example", "web2.example"),
                            .issuer = "ca"});
    trusted(self, f, "two", NULL, "web1.example"); /* the first that matches */
    trusted(self, f, "two", "web2.example", "web2.example");
    refused(self, f, "two", "zulu", PKI_ERROR_NAME, "not zulu"); /* CN beside DNS names */
    refused(self, f, "two", "mail.example", PKI_ERROR_NAME, "not mail.example");

    certs_make(f->dir, "wild",
               (certs_spec){.name = "zulu", .dns = STRV("*.example"), .issuer = "ca"});
    refused(self, f, "wild", "web1.example", PKI_ERROR_UNTRUSTED, "ca-allow");
    refused(self, f, "wild", NULL, PKI_ERROR_UNTRUSTED, "ca-allow");

    certs_make(f->dir, "odd", (certs_spec){.name = "zulu\n/../x", .issuer = "ca"});
    refused(self, f, "odd", NULL, PKI_ERROR_UNTRUSTED, "the certificate for ''");
}

static void test_ca_out_of_time(fixture *f, gconstpointer data)
{
    g_autoptr(pki) self = certs_load(f->dir, "alpha", "ca", STRV("*"));
    g_autoptr(pki) by_old = NULL;

    certs_make(f->dir, "late",
               (certs_spec){.name = "late", .issuer = "ca", .from_days = -9, .until_days = -2});
    refused(self, f, "late", "late", PKI_ERROR_EXPIRED, "'late' (SHA-256 ");
    refused(self, f, "late", "zulu", PKI_ERROR_EXPIRED, "expired on ");
    certs_make(f->dir, "old",
               (certs_spec){.name = "Old CA", .ca = TRUE, .from_days = -99, .until_days = -2});
    certs_make(f->dir, "zulu", (certs_spec){.name = "zulu", .issuer = "old"});
    by_old = certs_load(f->dir, "alpha", "old", STRV("*"));
    refused(by_old, f, "zulu", "zulu", PKI_ERROR_EXPIRED, "the CA certificate that ");
}

static void test_ca_chain(fixture *f, gconstpointer data)
{
    g_autoptr(pki) self = certs_load(f->dir, "alpha", "ca", STRV("*"));

    certs_make(f->dir, "sub", (certs_spec){.name = "Sub CA", .ca = TRUE, .issuer = "ca"});
    certs_make(f->dir, "host", (certs_spec){.name = "host", .issuer = "ca"});
    certs_make(f->dir, "zulu", (certs_spec){.name = "zulu", .issuer = "sub"});
    certs_make(f->dir, "forged", (certs_spec){.name = "zulu", .issuer = "host"});
    check_chain(self, f, STRV("zulu", "sub"), "zulu", "zulu", 0, NULL);
    refused(self, f, "zulu", "zulu", PKI_ERROR_UNTRUSTED, "not signed");
    check_chain(self, f, STRV("forged", "host"), "zulu", NULL, PKI_ERROR_UNTRUSTED, "not signed");
    /* Whose key the connection proved is the first; the rest only vouches. */
    check_chain(self, f, STRV("forged", "zulu", "sub"), "zulu", NULL, PKI_ERROR_UNTRUSTED,
                "not signed");
}

static void test_ca_purpose_and_strength(fixture *f, gconstpointer data)
{
    g_autoptr(pki) self = certs_load(f->dir, "alpha", "ca", STRV("*"));

    certs_make(f->dir, "mail",
               (certs_spec){.name = "mail", .issuer = "ca", .purpose = GNUTLS_KP_EMAIL_PROTECTION});
    refused(self, f, "mail", "mail", PKI_ERROR_UNTRUSTED, "not made for TLS");
    certs_make(f->dir, "client",
               (certs_spec){.name = "client", .issuer = "ca", .purpose = GNUTLS_KP_TLS_WWW_CLIENT});
    trusted(self, f, "client", "client", "client");
    certs_make(f->dir, "weak", (certs_spec){.name = "weak", .issuer = "ca", .weak = TRUE});
    refused(self, f, "weak", "weak", PKI_ERROR_UNTRUSTED, "too weak");
}

static void test_pin_beats_ca(fixture *f, gconstpointer data)
{
    g_autoptr(pki) self = certs_load(f->dir, "alpha", "ca", STRV("*"));

    certs_make(f->dir, "pinned", (certs_spec){.name = "zulu"});
    certs_make(f->dir, "zulu", (certs_spec){.name = "zulu", .issuer = "ca"});
    trusted(self, f, "zulu", "zulu", "zulu");
    certs_pin(self, f->dir, "pinned", "Zulu");
    refused(self, f, "zulu", "zulu", PKI_ERROR_UNTRUSTED, "was paired with another certificate");
    refused(self, f, "zulu", NULL, PKI_ERROR_UNTRUSTED, "was paired with another certificate");
    trusted(self, f, "pinned", "zulu", "Zulu");
}

/* Hostile input. */

static void test_malformed_chains(fixture *f, gconstpointer data)
{
    g_autoptr(pki) self = certs_load(f->dir, "alpha", "ca", STRV("*"));
    g_autoptr(GPtrArray) chain = g_ptr_array_new_with_free_func((GDestroyNotify)g_bytes_unref);
    g_autoptr(GBytes) good = NULL;
    g_autoptr(GError) error = NULL;
    gsize size;

    g_assert_null(pki_verify(self, NULL, NULL, &error));
    g_assert_error(error, PKI_ERROR, PKI_ERROR_UNTRUSTED);
    g_clear_error(&error);
    g_assert_null(pki_verify(self, chain, NULL, &error));
    g_assert_error(error, PKI_ERROR, PKI_ERROR_UNTRUSTED);
    g_clear_error(&error);

    certs_make(f->dir, "zulu", (certs_spec){.name = "zulu", .issuer = "ca"});
    good = certs_der(f->dir, "zulu");
    size = g_bytes_get_size(good);
    for (gsize cut = 0; cut < size; cut++) { /* every truncation */
        g_ptr_array_set_size(chain, 0);
        g_ptr_array_add(chain, g_bytes_new_from_bytes(good, 0, cut));
        g_assert_null(pki_verify(self, chain, NULL, NULL));
    }
    for (gsize at = 0; at < size; at++) { /* every altered byte: the signature covers all */
        g_autofree guint8 *copy = g_memdup2(g_bytes_get_data(good, NULL), size);
        copy[at] ^= 0x10;
        g_ptr_array_set_size(chain, 0);
        g_ptr_array_add(chain, g_bytes_new(copy, size));
        g_assert_null(pki_verify(self, chain, NULL, NULL));
    }
    g_ptr_array_set_size(chain, 0);
    for (int i = 0; i < 11; i++)
        g_ptr_array_add(chain, g_bytes_ref(good));
    g_assert_null(pki_verify(self, chain, NULL, &error));
    g_assert_error(error, PKI_ERROR, PKI_ERROR_UNTRUSTED);
}

static void test_names(void)
{
    g_autofree char *longest = g_strnfill(200, 'a'), *longer = g_strnfill(201, 'a');

    g_assert_true(pki_name_ok("zulu"));
    g_assert_true(pki_name_ok("ZULU-1.example"));
    g_assert_true(pki_name_ok(longest));
    for (const char *const *p = STRV("", ".zulu", "..", "-zulu", "zu/lu", "zu lu", "zul\xc3\xbc",
                                     "zulu\n", "*", longer);
         *p; p++)
        g_assert_false(pki_name_ok(*p));
}

/* Verifying while pins come and go, from several threads. */

typedef struct {
    pki *self;
    GPtrArray *chain;
    gint *stop;
} verifying;

static gpointer verify_until_told(gpointer data)
{
    verifying *v = data;

    while (!g_atomic_int_get(v->stop)) {
        g_autoptr(GError) error = NULL;
        g_autofree char *name = pki_verify(v->self, v->chain, NULL, &error);
        g_assert_no_error(error);
        g_assert_cmpstr(name, ==, "zulu");
    }
    return NULL;
}

static void test_threads(fixture *f, gconstpointer data)
{
    g_autoptr(pki) self = certs_load(f->dir, "alpha", "ca", STRV("zulu"));
    g_autoptr(GPtrArray) chain = g_ptr_array_new_with_free_func((GDestroyNotify)g_bytes_unref);
    g_autoptr(GBytes) a = NULL, b = NULL;
    g_autoptr(GError) error = NULL;
    GThread *threads[3];
    gint stop = 0;
    verifying v = {self, chain, &stop};

    certs_make(f->dir, "zulu", (certs_spec){.name = "zulu", .issuer = "ca"});
    certs_make(f->dir, "a", (certs_spec){.name = "a"});
    certs_make(f->dir, "b", (certs_spec){.name = "b"});
    a = certs_der(f->dir, "a");
    b = certs_der(f->dir, "b");
    g_ptr_array_add(chain, certs_der(f->dir, "zulu"));
    for (int i = 0; i < 3; i++)
        threads[i] = g_thread_new("verify", verify_until_told, &v);
    for (int i = 0; i < 50; i++) {
        g_assert_true(pki_pin(self, "mike", i % 2 ? a : b, TRUE, &error));
        if (i % 5 == 4)
            g_assert_true(pki_unpin(self, "mike", &error));
        g_assert_no_error(error);
    }
    g_atomic_int_set(&stop, 1);
    for (int i = 0; i < 3; i++)
        g_thread_join(threads[i]);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#define ADD(path, function) g_test_add(path, fixture, NULL, set_up, function, tear_down)
    ADD("/pki/create/makes-both-once", test_create);
    ADD("/pki/create/goes-on-after-a-power-cut", test_create_after_power_cut);
    ADD("/pki/load/refuses", test_load_refuses);
    ADD("/pki/load/separate-client-certificate", test_separate_client_certificate);
    ADD("/pki/pin/only-that-certificate", test_pinned);
    ADD("/pki/pin/files-changed-by-hand", test_pin_removed_by_hand);
    ADD("/pki/pin/out-of-time", test_pinned_out_of_time);
    ADD("/pki/pin/rules", test_pinning);
    ADD("/pki/pin/directory-is-guarded", test_pin_directory_is_guarded);
    ADD("/pki/ca/allowed-names-only", test_ca);
    ADD("/pki/ca/which-name", test_ca_names);
    ADD("/pki/ca/out-of-time", test_ca_out_of_time);
    ADD("/pki/ca/chains", test_ca_chain);
    ADD("/pki/ca/purpose-and-strength", test_ca_purpose_and_strength);
    ADD("/pki/ca/a-pin-beats-it", test_pin_beats_ca);
    ADD("/pki/malformed-chains", test_malformed_chains);
    ADD("/pki/threads", test_threads);
    g_test_add_func("/pki/names", test_names);
    return g_test_run();
}
