/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tokens and proofs of pairing. */
#include "net/pairing.h"

#include <string.h>

static void test_token_has_shown_form(void)
{
    g_autoptr(GHashTable) seen = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    guint used[256] = {0};

    for (int i = 0; i < 1000; i++) {
        char *token = pairing_token();
        g_assert_true(g_regex_match_simple("^[A-Z2-7]{4}(-[A-Z2-7]{4}){3}$", token, 0, 0));
        for (const char *p = token; *p; p++)
            used[(guchar)*p]++;
        g_assert_true(g_hash_table_add(seen, token)); /* never the same again */
    }
    for (const char *p = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"; *p; p++)
        g_assert_cmpuint(used[(guchar)*p], >, 0);
}

static void test_typed_tokens(void)
{
    static const char *const good[] = {"ABCD-EFGH-IJKL-2345", "abcdefghijkl2345",
                                       " abcd efgh\tIJKL 2345\n", "a-b-c-d-e-f-g-h-ijkl2345"};
    static const struct {
        const char *typed, *text;
    } bad[] = {{"", "16 letters"},
               {"ABCD-EFGH-IJKL-234", "this has 15"},
               {"ABCD-EFGH-IJKL-23456", "this has 17"},
               {"ABCD-EFGH-IJKL-2340", "letter O"},
               {"ABCD-EFGH-IJKL-2341", "letter I or L"},
               {"ABCD-EFGH-IJKL-2348", "letter B"},
               {"ABCD-EFGH-IJKL-234\xc3\xa9", "cannot be a token"},
               {"ABCD_EFGH_IJKL_2345", "cannot be a token"}};

    for (guint i = 0; i < G_N_ELEMENTS(good); i++) {
        g_autoptr(GError) error = NULL;
        g_autofree char *token = pairing_normalize(good[i], &error);
        g_assert_no_error(error);
        g_assert_cmpstr(token, ==, "ABCD-EFGH-IJKL-2345");
    }
    for (guint i = 0; i < G_N_ELEMENTS(bad); i++) {
        g_autoptr(GError) error = NULL;
        g_assert_null(pairing_normalize(bad[i].typed, &error));
        g_assert_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT);
        g_assert_nonnull(strstr(error->message, bad[i].text));
    }
}

/* Computed with another implementation of HMAC-SHA-256 from docs/protocol.md. */
static void test_proof_is_the_documented_one(void)
{
    g_autoptr(GBytes) dialler = g_bytes_new_static("dialler", 7);
    g_autoptr(GBytes) listener = g_bytes_new_static("listener", 8);
    g_autofree char *d = pairing_proof("ABCD-EFGH-IJKL-2345", PAIRING_DIALLER, dialler, listener);
    g_autofree char *l = pairing_proof("ABCD-EFGH-IJKL-2345", PAIRING_LISTENER, dialler, listener);

    g_assert_cmpstr(d, ==, "76435a5fe1ef18b728e099df5799de8fc727cb82e7e238eb3846005ec6afdb18");
    g_assert_cmpstr(l, ==, "0750683515c27bf0eb7dd896cb3c2424d28f8048974fd10221247d3aa465c8c7");
}

static void test_proof_depends_on_everything(void)
{
    g_autoptr(GBytes) a = g_bytes_new_static("alpha", 5), z = g_bytes_new_static("zulu", 4);
    g_autoptr(GBytes) m = g_bytes_new_static("mallory", 7);
    g_autofree char *proof = pairing_proof("ABCD-EFGH-IJKL-2345", PAIRING_DIALLER, a, z);
    g_autofree char *again = pairing_proof("ABCD-EFGH-IJKL-2345", PAIRING_DIALLER, a, z);
    char *others[] = {pairing_proof("ABCD-EFGH-IJKL-2346", PAIRING_DIALLER, a, z),
                      pairing_proof("ABCD-EFGH-IJKL-2345", PAIRING_LISTENER, a, z),
                      pairing_proof("ABCD-EFGH-IJKL-2345", PAIRING_DIALLER, z, a),
                      pairing_proof("ABCD-EFGH-IJKL-2345", PAIRING_DIALLER, m, z),
                      pairing_proof("ABCD-EFGH-IJKL-2345", PAIRING_DIALLER, a, m)};
    g_autofree char *upper = g_ascii_strup(proof, -1), *cut = g_strndup(proof, 63);

    g_assert_true(pairing_proof_ok(proof, again));
    for (guint i = 0; i < G_N_ELEMENTS(others); i++) {
        g_assert_false(pairing_proof_ok(proof, others[i]));
        g_free(others[i]);
    }
    g_assert_false(pairing_proof_ok(proof, upper));
    g_assert_false(pairing_proof_ok(proof, cut));
    g_assert_false(pairing_proof_ok(proof, ""));
    g_assert_false(pairing_proof_ok(proof, NULL));
    g_assert_false(pairing_proof_ok("", ""));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/pairing/a-token-has-the-shown-form", test_token_has_shown_form);
    g_test_add_func("/pairing/what-a-person-types", test_typed_tokens);
    g_test_add_func("/pairing/the-proof-is-the-documented-one", test_proof_is_the_documented_one);
    g_test_add_func("/pairing/the-proof-depends-on-everything", test_proof_depends_on_everything);
    return g_test_run();
}
