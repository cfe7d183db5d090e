/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Standing still, and being too slow, by clocks of our own. */
#include "migrate/pace.h"
#include "migrate/patience.h"

#define SECOND (gint64) G_USEC_PER_SEC

/* Looks every second for so long; returns what the last look said. */
static gint64 looks(patience *self, guint64 mark, gboolean excused, guint count)
{
    gint64 idle = 0;

    for (guint i = 0; i < count; i++)
        idle = patience_look(self, mark, excused, self->last ? self->last + SECOND : 1000);
    return idle;
}

static void test_counts(void)
{
    patience self = {0};

    g_assert_cmpint(looks(&self, 0, FALSE, 1), ==, 0);
    g_assert_cmpint(looks(&self, 0, FALSE, 10), ==, 10 * SECOND);
    g_assert_cmpint(looks(&self, 1, FALSE, 1), ==, 0);
    g_assert_cmpint(looks(&self, 1, FALSE, 3), ==, 3 * SECOND);
    g_assert_cmpint(looks(&self, 0, FALSE, 1), ==, 0); /* any change is one */
}

static void test_excused(void)
{
    patience self = {0};

    looks(&self, 7, FALSE, 6);
    g_assert_cmpint(looks(&self, 7, TRUE, 100), ==, 5 * SECOND);
    g_assert_cmpint(looks(&self, 7, FALSE, 1), ==, 6 * SECOND);
    g_assert_cmpint(looks(&self, 8, TRUE, 1), ==, 0);
}

static void test_nobody_looked(void)
{
    patience self = {0};

    patience_look(&self, 7, FALSE, 1000);
    g_assert_cmpint(patience_look(&self, 7, FALSE, 1000 + (gint64)3600 * SECOND), ==, PATIENCE_GAP);
    g_assert_cmpint(patience_look(&self, 7, FALSE, 0), ==, PATIENCE_GAP); /* no clock runs back */
}

static void test_pace(void)
{
    pace self = {0};

    /* A first pass says nothing, nor half a window. */
    g_assert_false(pace_look(&self, 0, 100, 1, SECOND));
    g_assert_false(pace_look(&self, 30, 100, 1, 4 * SECOND));
    g_assert_false(pace_look(&self, 31, 100, 2, 5 * SECOND));
    g_assert_true(pace_look(&self, 60, 100, 2, 7 * SECOND));
    g_assert_true(self.behind);
    g_assert_cmpuint(self.rate, ==, 10);
    g_assert_false(pace_look(&self, 90, 100, 3, 10 * SECOND)); /* as before */
    g_assert_true(self.behind);
    g_assert_true(pace_look(&self, 120, 10, 4, 13 * SECOND));
    g_assert_false(self.behind);
    /* Counted anew: nothing follows. */
    g_assert_false(pace_look(&self, 5, 1000, 5, 16 * SECOND));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/patience/counts while nothing changes", test_counts);
    g_test_add_func("/patience/excused time does not count", test_excused);
    g_test_add_func("/patience/nor time in which nobody looked", test_nobody_looked);
    g_test_add_func("/pace/guests faster than their move", test_pace);
    return g_test_run();
}
