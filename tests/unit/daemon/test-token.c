/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The one-time token: once, for ten minutes, five attempts, and only between these two
 * certificates. */
#include "daemon/token.h"

#include "net/pairing.h"

#define END (TOKEN_LIFE_S * G_USEC_PER_SEC)

static GBytes *bytes(const char *text)
{
    return g_bytes_new(text, 5);
}

static token_verdict try(token *t, const char *text, gint64 now)
{
    g_autoptr(GBytes) dialler = bytes("alpha"), listener = bytes("zulu ");
    g_autofree char *proof = pairing_proof(text, PAIRING_DIALLER, dialler, listener);
    g_autofree char *expected = pairing_proof(text, PAIRING_LISTENER, dialler, listener);
    g_autofree char *answer = NULL;
    token_verdict verdict = token_try(t, proof, dialler, listener, now, &answer);

    if (verdict == TOKEN_RIGHT)
        g_assert_cmpstr(answer, ==, expected);
    else
        g_assert_null(answer);
    return verdict;
}

static void it_works_once(void)
{
    g_autoptr(token) t = token_new();
    g_autofree char *text = NULL;

    g_assert_cmpint(try(t, "AAAA-AAAA-AAAA-AAAA", 0), ==, TOKEN_NONE);
    text = g_strdup(token_make(t, 0));
    g_assert_cmpint(try(t, text, END - 1), ==, TOKEN_RIGHT);
    g_assert_cmpint(try(t, text, END - 1), ==, TOKEN_NONE);
}

static void it_gets_too_old(void)
{
    g_autoptr(token) t = token_new();
    g_autofree char *text = g_strdup(token_make(t, 0));

    g_assert_cmpint(try(t, text, END), ==, TOKEN_NONE);
    g_assert_cmpint(try(t, text, 0), ==, TOKEN_NONE); /* gone for good */
}

static void a_new_one_voids_the_old(void)
{
    g_autoptr(token) t = token_new();
    g_autofree char *first = g_strdup(token_make(t, 0));
    g_autofree char *second = g_strdup(token_make(t, 0));

    g_assert_cmpstr(first, !=, second);
    g_assert_cmpint(try(t, first, 1), ==, TOKEN_WRONG);
    g_assert_cmpint(try(t, second, 1), ==, TOKEN_RIGHT);
}

static void five_wrong_attempts_end_it(void)
{
    g_autoptr(token) t = token_new();
    g_autofree char *text = g_strdup(token_make(t, 0));

    for (guint i = 0; i < TOKEN_ATTEMPTS; i++)
        g_assert_cmpint(try(t, "AAAA-AAAA-AAAA-AAAA", 1), ==, TOKEN_WRONG);
    g_assert_cmpint(try(t, text, 1), ==, TOKEN_NONE);
    g_free(text);
    text = g_strdup(token_make(t, 2)); /* a new one has all its attempts */
    for (guint i = 0; i < TOKEN_ATTEMPTS - 1; i++)
        g_assert_cmpint(try(t, "AAAA-AAAA-AAAA-AAAA", 3), ==, TOKEN_WRONG);
    g_assert_cmpint(try(t, text, 3), ==, TOKEN_RIGHT);
}

static void other_certificates_do_not_fit(void)
{
    g_autoptr(token) t = token_new();
    const char *text = token_make(t, 0);
    g_autoptr(GBytes) alpha = bytes("alpha"), zulu = bytes("zulu "), middle = bytes("middl");
    g_autofree char *seen = pairing_proof(text, PAIRING_DIALLER, alpha, middle);
    g_autofree char *reflected = pairing_proof(text, PAIRING_LISTENER, middle, zulu);
    g_autofree char *answer = NULL;

    /* What alpha proves to somebody in the middle is of no use to him towards zulu. */
    g_assert_cmpint(token_try(t, seen, middle, zulu, 1, &answer), ==, TOKEN_WRONG);
    g_assert_cmpint(token_try(t, reflected, middle, zulu, 1, &answer), ==, TOKEN_WRONG);
    g_assert_cmpint(token_try(t, "", middle, zulu, 1, &answer), ==, TOKEN_WRONG);
    g_assert_null(answer);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/token/once", it_works_once);
    g_test_add_func("/token/old", it_gets_too_old);
    g_test_add_func("/token/new", a_new_one_voids_the_old);
    g_test_add_func("/token/attempts", five_wrong_attempts_end_it);
    g_test_add_func("/token/certificates", other_certificates_do_not_fit);
    return g_test_run();
}
