/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Max-min fair shares: known divisions, and what must be true of any. */
#include "migrate/budget.h"

#define MOST 8

static void known_divisions(void)
{
    static const struct {
        guint64 limit;
        guint count;
        guint64 wants[4], shares[4];
    } cases[] = {
        {0, 2, {5, 0}, {0, 0}},                        /* no limit is to be divided */
        {100, 1, {0}, {100}},
        {100, 2, {0, 0}, {50, 50}},
        {100, 2, {10, 0}, {10, 90}},                   /* what one cannot use the other has */
        {100, 2, {200, 0}, {50, 50}},
        {100, 2, {30, 40}, {30, 40}},
        {90, 4, {0, 10, 20, 0}, {30, 10, 20, 30}},     /* twice something was left over */
        {100, 3, {20, 35, 60}, {20, 35, 45}},
        {10, 3, {0, 0, 0}, {3, 3, 3}},
        {2, 3, {0, 0, 0}, {1, 1, 1}},                  /* 0 would be no limit */
    };

    budget_divide(100, NULL, 0, NULL);
    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        guint64 shares[4];
        budget_divide(cases[i].limit, cases[i].wants, cases[i].count, shares);
        for (guint k = 0; k < cases[i].count; k++)
            g_assert_cmpuint(shares[k], ==, cases[i].shares[k]);
    }
}

static guint64 random_rate(void)
{
    return g_test_rand_int_range(0, 3) ? (guint64)g_test_rand_int_range(1, 1000000000) : 0;
}

/* Never more than wanted, never more than there is; and who has less than it wants has as much as
 * anybody. */
static void any_division_is_fair(void)
{
    for (guint round = 0; round < 10000; round++) {
        guint count = (guint)g_test_rand_int_range(1, MOST + 1);
        guint64 limit = (guint64)g_test_rand_int_range(MOST, 1000000000);
        guint64 wants[MOST], shares[MOST], sum = 0, highest = 0;
        gboolean all_content = TRUE;

        for (guint i = 0; i < count; i++)
            wants[i] = random_rate();
        budget_divide(limit, wants, count, shares);
        for (guint i = 0; i < count; i++) {
            g_assert_cmpuint(shares[i], >, 0);
            g_assert_true(!wants[i] || shares[i] <= wants[i]);
            sum += shares[i];
            highest = MAX(highest, shares[i]);
        }
        g_assert_cmpuint(sum, <=, limit);
        for (guint i = 0; i < count; i++) {
            gboolean content = shares[i] == wants[i];
            all_content = all_content && content;
            g_assert_true(content || shares[i] == highest);
        }
        g_assert_true(all_content || sum + count > limit); /* nothing lies idle but a remainder */
    }
}

static void least_of_two(void)
{
    g_assert_cmpuint(budget_least(0, 0), ==, 0);
    g_assert_cmpuint(budget_least(5, 0), ==, 5);
    g_assert_cmpuint(budget_least(0, 5), ==, 5);
    g_assert_cmpuint(budget_least(5, 3), ==, 3);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/budget/known", known_divisions);
    g_test_add_func("/budget/fair", any_division_is_fair);
    g_test_add_func("/budget/least", least_of_two);
    return g_test_run();
}
