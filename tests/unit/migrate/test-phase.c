/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Phases: the table says what the diagram in phase.h says. */
#include "migrate/phase.h"

static void test_names(void)
{
    for (guint i = 0; i < PHASES; i++) {
        phase back;
        g_assert_true(phase_from_name(phase_name((phase)i), &back));
        g_assert_cmpint(back, ==, i);
    }
    phase none;
    g_assert_false(phase_from_name("nonsense", &none));
}

static void test_straight_way(void)
{
    for (guint i = 0; i < PHASE_COMPLETED; i++)
        g_assert_true(phase_may_follow((phase)i, (phase)(i + 1)));
}

/* No step may lead from the commit point back, whatever else changes in the table. */
static void test_no_way_back(void)
{
    for (guint from = PHASE_COMMITTING; from < PHASES; from++)
        for (guint to = 0; to < from && to < PHASES; to++)
            g_assert_false(phase_may_follow((phase)from, (phase)to));
    g_assert_false(phase_may_follow(PHASE_COMMITTING, PHASE_CANCELLED));
    g_assert_false(phase_may_follow(PHASE_CLEANING, PHASE_CANCELLED));
    g_assert_true(phase_may_follow(PHASE_CLEANING, PHASE_FAILED)); /* the guest has died */
    g_assert_false(phase_may_cancel(PHASE_COMMITTING));
    g_assert_true(phase_may_cancel(PHASE_SWITCHING));
}

static void test_ends(void)
{
    for (guint p = 0; p < PHASES; p++)
        g_assert_cmpint(phase_is_final((phase)p), ==, p >= PHASE_COMPLETED);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/phase/names go there and back", test_names);
    g_test_add_func("/phase/each leads to the next", test_straight_way);
    g_test_add_func("/phase/nothing leads back over the commit point", test_no_way_back);
    g_test_add_func("/phase/three are final", test_ends);
    return g_test_run();
}
