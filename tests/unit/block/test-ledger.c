/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What was written and not read back: ledgers, and the bitmaps below them. */
#include "block/bitmap.h"
#include "block/ledger.h"

#include <string.h>

static op_digest digest_of(uint64_t number)
{
    return op_digest_of(&number, sizeof number);
}

static void test_bitmap(void)
{
    const uint64_t bits = 1ULL << 34; /* of a disk of 1 PiB: costs what is set */
    const uint64_t set[] = {0, 1, 63, 64, 4096 * 8, 1ULL << 28};
    g_autoptr(GError) error = NULL;
    g_autoptr(bitmap) map = bitmap_new(bits, &error);
    uint64_t number, at = 0;

    g_assert_no_error(error);
    for (guint i = 0; i < G_N_ELEMENTS(set); i++) {
        g_assert_false(bitmap_set(map, set[i]));
        g_assert_true(bitmap_set(map, set[i]));
    }
    for (guint i = 0; i < G_N_ELEMENTS(set); i++, at = number + 1) {
        g_assert_true(bitmap_next(map, at, G_MAXUINT64, &number));
        g_assert_cmpuint(number, ==, set[i]);
    }
    g_assert_true(bitmap_clear(map, 63));
    g_assert_false(bitmap_clear(map, 63));
    g_assert_true(bitmap_next(map, 2, G_MAXUINT64, &number));
    g_assert_cmpuint(number, ==, 64);
    g_assert_false(bitmap_next(map, bits, G_MAXUINT64, &number));
}

/* What is set at the end and behind it is not found, be it in the same word or a later one. */
static void test_bitmap_end(void)
{
    const struct {
        uint64_t from, end;
        gboolean found;
    } asked[] = {{0, 70, FALSE},  {0, 71, TRUE},    {65, 70, FALSE},   {70, 71, TRUE},
                 {70, 70, FALSE}, {71, 70, FALSE},  {0, 64, FALSE},    {64, 128, TRUE},
                 {0, 0, FALSE},   {71, 128, FALSE}, {71, 1000, FALSE}, {200, 100, FALSE}};
    g_autoptr(GError) error = NULL;
    g_autoptr(bitmap) map = bitmap_new(1000, &error);
    uint64_t number;

    g_assert_no_error(error);
    (void)bitmap_set(map, 70);
    for (guint i = 0; i < G_N_ELEMENTS(asked); i++) {
        g_assert_cmpint(bitmap_next(map, asked[i].from, asked[i].end, &number), ==,
                        asked[i].found);
        if (asked[i].found)
            g_assert_cmpuint(number, ==, 70);
    }
}

static void test_ledger(void)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(ledger) book = ledger_new(g_get_tmp_dir(), 1ULL << 40, &error);
    const uint64_t blocks[] = {0, 7, 8, (1ULL << 24) - 1};
    uint64_t number, written, left, from = 0;
    op_digest wanted, found;
    gboolean any;

    g_assert_no_error(error);
    for (guint i = 0; i < G_N_ELEMENTS(blocks); i++) {
        g_assert_true(ledger_get(book, blocks[i], &found, &any, &error));
        g_assert_false(any);
        wanted = digest_of(i);
        g_assert_true(ledger_put(book, blocks[i], &wanted, &error));
        g_assert_true(ledger_get(book, blocks[i], &found, &any, &error));
        g_assert_true(any && op_digest_equal(&found, &wanted));
    }
    for (guint i = 0; i < G_N_ELEMENTS(blocks); i++, from = number + 1) {
        g_assert_true(ledger_take(book, from, &number, &found, &any, &error));
        g_assert_true(any);
        g_assert_cmpuint(number, ==, blocks[i]);
        wanted = digest_of(i);
        g_assert_true(op_digest_equal(&found, &wanted));
    }
    g_assert_true(ledger_take(book, 0, &number, &found, &any, &error));
    g_assert_false(any);
    ledger_count(book, &written, &left);
    g_assert_cmpuint(written, ==, 4);
    g_assert_cmpuint(left, ==, 0);

    /* Written again, or not read after all: once more. */
    wanted = digest_of(99);
    g_assert_true(ledger_put(book, 7, &wanted, &error));
    ledger_give_back(book, 8);
    ledger_give_back(book, 8);
    ledger_count(book, &written, &left);
    g_assert_cmpuint(written, ==, 4);
    g_assert_cmpuint(left, ==, 2);
    g_assert_true(ledger_take(book, 0, &number, &found, &any, &error));
    g_assert_cmpuint(number, ==, 7);
    g_assert_true(op_digest_equal(&found, &wanted));
    g_assert_true(ledger_take(book, 8, &number, &found, &any, &error));
    g_assert_cmpuint(number, ==, 8);
}

static void test_nowhere(void)
{
    g_autoptr(GError) error = NULL;

    g_assert_null(ledger_new("/nowhere/at/all", 1 << 20, &error));
    g_assert_nonnull(strstr(error->message, "a ledger cannot be kept in /nowhere/at/all"));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/ledger/bitmap", test_bitmap);
    g_test_add_func("/ledger/bitmap/end", test_bitmap_end);
    g_test_add_func("/ledger/ledger", test_ledger);
    g_test_add_func("/ledger/nowhere", test_nowhere);
    return g_test_run();
}
