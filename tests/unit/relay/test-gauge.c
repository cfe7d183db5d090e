/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Channels beside each other, under a clock of our own. */
#include "relay/gauge.h"

#define NOW  (1000 * G_USEC_PER_SEC)
#define MBIT (1000000 / 8)

/* Judges the first of these rates beside the others, after its trial. */
static gboolean is_slow(const double *mbits, guint count, gint64 rtt)
{
    gauge all[16] = {0};
    const gauge *others[16];

    for (guint i = 0; i < count; i++) {
        all[i].rate = (guint64)(mbits[i] * MBIT);
        all[i].rtt = rtt;
        if (i > 0)
            others[i - 1] = &all[i];
    }
    gauge_judge(&all[0], others, count - 1, NOW, TRUE);
    g_assert_false(all[0].slow);
    gauge_judge(&all[0], others, count - 1, NOW + 2 * G_USEC_PER_SEC, TRUE);
    return all[0].slow;
}

static void test_judgement(void)
{
    g_assert_false(is_slow((double[]){1}, 1, 100));
    g_assert_false(is_slow((double[]){1000, 1000, 1000, 1000}, 4, 100));
    g_assert_false(is_slow((double[]){1, 1, 1, 1}, 4, 300000));
    g_assert_false(is_slow((double[]){100, 1000}, 2, 100));
    g_assert_false(is_slow((double[]){10, 100}, 2, 50000));
    g_assert_true(is_slow((double[]){1, 1, 50, 50}, 4, 100));
    g_assert_true(is_slow((double[]){10, 10, 1000}, 3, 100));
    g_assert_false(is_slow((double[]){1000, 1, 1, 1}, 4, 100)); /* the good one of them */
    g_assert_false(is_slow((double[]){0, 1000}, 2, 100));       /* not known yet */
    g_assert_false(is_slow((double[]){1, 0, 0}, 3, 100));
}

static void test_delay(void)
{
    gauge here = {.rate = 20 * MBIT, .rtt = 1500000}, there = {.rate = 1000 * MBIT, .rtt = 1000};
    const gauge *others[] = {&there};

    gauge_judge(&here, others, 1, NOW, TRUE);
    gauge_judge(&here, others, 1, NOW + 2 * G_USEC_PER_SEC, TRUE);
    g_assert_true(here.slow);
}

/* A slow one gets another chance every 20 s, unless nothing may be tried, and at once when alone. */
static void test_trials(void)
{
    gauge here = {.rate = 1 * MBIT, .rtt = 100}, there = {.rate = 1000 * MBIT, .rtt = 100};
    const gauge *others[] = {&there};
    guint trials = 0;
    gboolean was = FALSE;

    for (gint64 now = NOW; now < NOW + 200 * G_USEC_PER_SEC; now += 100000) {
        gauge_judge(&here, others, 1, now, TRUE);
        trials += was && !here.slow;
        was = here.slow;
    }
    g_assert_cmpuint(trials, ==, 9);
    g_assert_true(here.slow);
    for (gint64 now = NOW + 200 * G_USEC_PER_SEC; now < NOW + 300 * G_USEC_PER_SEC; now += 100000) {
        gauge_judge(&here, others, 1, now, FALSE);
        g_assert_true(here.slow);
    }
    gauge_judge(&here, others, 0, NOW + 300 * G_USEC_PER_SEC, FALSE);
    g_assert_false(here.slow);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/relay/gauge/who-holds-up-the-others", test_judgement);
    g_test_add_func("/relay/gauge/delay-counts", test_delay);
    g_test_add_func("/relay/gauge/slow-ones-are-tried-again", test_trials);
    return g_test_run();
}
