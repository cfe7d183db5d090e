/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Token buckets under a clock of our own. */
#include "relay/bucket.h"

#define SECOND G_USEC_PER_SEC
#define START  (1000 * SECOND)

/* Takes pieces as soon as they may be taken, polling every `step` µs: the bytes taken in `span` µs.
 */
static guint64 run(bucket *b, gint64 from, gint64 span, gint64 step, guint64 piece)
{
    guint64 taken = 0;

    for (gint64 now = from; now < from + span; now += step)
        while (bucket_wait(b, now) == 0) {
            bucket_take(b, piece, now);
            taken += piece;
        }
    return taken;
}

static void near(guint64 taken, guint64 wanted, guint64 slack)
{
    g_assert_cmpuint(taken, >=, wanted - slack);
    g_assert_cmpuint(taken, <=, wanted + slack);
}

static void test_no_limit(void)
{
    bucket b = {0};

    for (int i = 0; i < 1000; i++) {
        g_assert_cmpint(bucket_wait(&b, START), ==, 0);
        bucket_take(&b, 1 << 30, START);
    }
}

static void test_rate(void)
{
    const guint64 pieces[] = {100, 16 * 1024, 128 * 1024, 3 << 20};
    const gint64 steps[] = {1, 100, 1000, 19000};

    for (guint p = 0; p < G_N_ELEMENTS(pieces); p++)
        for (guint s = 0; s < G_N_ELEMENTS(steps); s++) {
            bucket b = {0};
            bucket_set_rate(&b, 10000000, START);
            /* What may be too much is one piece, and what 20 ms have saved. */
            near(run(&b, START, 2 * SECOND, steps[s], pieces[p]), 20000000, pieces[p] + 220000);
        }
}

static void test_waits_exactly(void)
{
    bucket b = {0};
    gint64 wait;

    bucket_set_rate(&b, 1000000, START);
    bucket_take(&b, 500000, START + SECOND); /* 20000 of it were there */
    wait = bucket_wait(&b, START + SECOND);
    g_assert_cmpint(wait, ==, 480000);
    g_assert_cmpint(bucket_wait(&b, START + SECOND + wait - 1), ==, 1);
    g_assert_cmpint(bucket_wait(&b, START + SECOND + wait), ==, 0);
}

static void test_idle_saves_little(void)
{
    bucket b = {0};

    bucket_set_rate(&b, 1000000, START);
    near(run(&b, START + 100 * SECOND, 1, 1, 1000), 20000, 1000);
}

static void test_changes(void)
{
    bucket b = {0};

    bucket_set_rate(&b, 1000, START);
    bucket_take(&b, 1000000, START); /* a thousand seconds */
    g_assert_cmpint(bucket_wait(&b, START), ==, 1000 * SECOND);
    bucket_set_rate(&b, 1000000, START);
    g_assert_cmpint(bucket_wait(&b, START), ==, SECOND);
    bucket_set_rate(&b, 500000, START + SECOND / 2);
    g_assert_cmpint(bucket_wait(&b, START + SECOND / 2), ==, SECOND);
    bucket_set_rate(&b, 0, START + SECOND / 2);
    g_assert_cmpint(bucket_wait(&b, START + SECOND / 2), ==, 0);
    bucket_set_rate(&b, 1, START + SECOND);
    g_assert_cmpint(bucket_wait(&b, START + 2 * SECOND), ==, 0);
}

static void test_absurd(void)
{
    bucket b = {0};

    bucket_set_rate(&b, 1, START);
    for (int i = 0; i < 1000; i++)
        bucket_take(&b, G_MAXUINT32, START);
    g_assert_cmpint(bucket_wait(&b, START), >, 0);
    bucket_set_rate(&b, G_MAXUINT64, START);
    g_assert_cmpint(bucket_wait(&b, START + 1), ==, 0);
    bucket_take(&b, G_MAXUINT32, START + 1);
    g_assert_cmpint(bucket_wait(&b, START + 2), ==, 0);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/relay/bucket/no-limit", test_no_limit);
    g_test_add_func("/relay/bucket/rate-holds-for-all-sizes", test_rate);
    g_test_add_func("/relay/bucket/waits-exactly", test_waits_exactly);
    g_test_add_func("/relay/bucket/idleness-saves-little", test_idle_saves_little);
    g_test_add_func("/relay/bucket/rate-may-change", test_changes);
    g_test_add_func("/relay/bucket/absurd-numbers", test_absurd);
    return g_test_run();
}
