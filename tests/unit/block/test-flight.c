/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is under way: a request is over when all of its messages are, whoever comes last; and a peer
 * may name nothing else. */
#include "block/flight.h"

#include <errno.h>

static int dropped;

static void drop(gpointer kept)
{
    dropped++;
    g_free(kept);
}

static uint32_t add(flight *f, flight_request *request, gpointer kept)
{
    op message = {.type = OP_DATA, .offset = 65536, .length = 512, .digest = {1, 2}};

    flight_add(f, request, &message, kept);
    return message.id;
}

static gboolean done(flight *f, uint32_t id, uint32_t errnum, flight_result *result)
{
    g_autoptr(GError) error = NULL;
    gboolean over;

    flight_done(f, id, errnum, &over, result, &error);
    g_assert_no_error(error);
    return over;
}

static void not_done(flight *f, uint32_t id)
{
    g_autoptr(GError) error = NULL;
    flight_result result;
    gboolean over;

    g_assert_false(flight_done(f, id, 0, &over, &result, &error));
    g_assert_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA);
}

static void not_needed(flight *f, uint32_t id)
{
    g_autoptr(GError) error = NULL;

    g_assert_false(flight_need(f, id, &error));
    g_assert_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA);
}

static void test_order(void)
{
    flight *f = flight_new(drop);
    flight_request *a = flight_begin(f, 11), *b = flight_begin(f, 22), *none = flight_begin(f, 33);
    uint32_t a1 = add(f, a, NULL), b1 = add(f, b, NULL), a2 = add(f, a, NULL);
    flight_result result;

    g_assert_true(flight_seal(f, none, &result));
    g_assert_cmpuint(result.cookie, ==, 33);
    /* Sealed last. */
    g_assert_false(done(f, b1, 0, &result));
    g_assert_true(flight_seal(f, b, &result));
    g_assert_cmpuint(result.cookie, ==, 22);
    g_assert_cmpuint(result.errnum, ==, 0);
    /* Done last; the first error counts. */
    g_assert_false(flight_seal(f, a, &result));
    g_assert_false(done(f, a2, ENOSPC, &result));
    g_assert_true(done(f, a1, EIO, &result));
    g_assert_cmpuint(result.cookie, ==, 11);
    g_assert_cmpuint(result.errnum, ==, ENOSPC);
    g_assert_true(flight_is_empty(f));
    flight_free(f);
}

static void test_ids(void)
{
    flight *f = flight_new(drop);
    flight_result result;
    flight_request *a = flight_begin(f, 1);
    uint32_t id = add(f, a, NULL), other;

    not_done(f, id + 1);
    not_done(f, id + FLIGHT_MOST);
    not_done(f, 0);
    not_needed(f, id);
    g_assert_false(done(f, id, 0, &result));
    not_done(f, id);
    not_needed(f, id);
    other = add(f, a, NULL);
    g_assert_cmpuint(other, !=, id);
    not_done(f, id);
    g_assert_false(done(f, other, 0, &result));
    g_assert_true(flight_seal(f, a, &result));
    flight_free(f);
}

static void test_known(void)
{
    flight *f = flight_new(drop);
    flight_result result;
    flight_request *a = flight_begin(f, 1);
    char *kept = g_strdup("content"), *got;
    uint32_t first = add(f, a, kept), second = add(f, a, g_strdup("more"));
    op message;

    dropped = 0;
    g_assert_cmpuint(flight_kept(f), ==, 2);
    g_assert_true(flight_need(f, first, NULL));
    not_needed(f, first);
    not_done(f, first);
    g_assert_cmpuint(flight_kept(f), ==, 2);
    got = flight_answer(f, first, &message);
    g_assert_true(got == kept);
    g_assert_cmpuint(message.id, ==, first);
    g_assert_cmpuint(message.offset, ==, 65536);
    g_assert_cmpuint(message.length, ==, 512);
    g_assert_cmpuint(message.digest.high, ==, 2);
    not_needed(f, first);
    g_assert_cmpuint(flight_kept(f), ==, 1);
    g_free(got);
    g_assert_false(done(f, first, 0, &result));
    g_assert_cmpint(dropped, ==, 0);
    g_assert_false(done(f, second, 0, &result));
    g_assert_cmpint(dropped, ==, 1);
    g_assert_cmpuint(flight_kept(f), ==, 0);
    g_assert_true(flight_seal(f, a, &result));
    flight_free(f);
}

static void test_full_and_free(void)
{
    flight *f = flight_new(drop);
    flight_result result;
    flight_request *a = flight_begin(f, 1), *b = flight_begin(f, 2);

    dropped = 0;
    for (unsigned i = 0; i < FLIGHT_MOST; i++) {
        g_assert_true(flight_has_room(f, 1));
        (void)add(f, i % 2 ? a : b, i % 3 ? NULL : g_strdup("kept"));
    }
    g_assert_false(flight_has_room(f, 1));
    g_assert_false(flight_seal(f, a, &result));
    g_assert_false(flight_seal(f, b, &result));
    flight_free(f); /* with all that is in it */
    g_assert_cmpint(dropped, ==, (FLIGHT_MOST + 2) / 3);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/flight/order", test_order);
    g_test_add_func("/flight/ids", test_ids);
    g_test_add_func("/flight/known", test_known);
    g_test_add_func("/flight/full-and-free", test_full_and_free);
    return g_test_run();
}
