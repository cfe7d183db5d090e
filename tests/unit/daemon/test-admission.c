/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Admission: first come, first served, and nobody is waited for who has gone. */
#include "daemon/admission.h"

#define S        G_USEC_PER_SEC
#define PATIENCE (10 * S)

static gboolean ask(admission *a, const char *id, gint64 now)
{
    return admission_ask(a, id, PATIENCE, now, NULL);
}

static void slots_are_counted(void)
{
    g_autoptr(admission) a = admission_new(2);

    g_assert_true(ask(a, "1", 0));
    g_assert_true(ask(a, "1", 0)); /* has it already */
    g_assert_true(ask(a, "2", 0));
    g_assert_false(ask(a, "3", 0));
    g_assert_cmpint(admission_held(a), ==, 2);
    g_assert_cmpint(admission_waiting(a, 0), ==, 1);
    admission_leave(a, "1");
    g_assert_true(ask(a, "3", 0));
    g_assert_cmpint(admission_waiting(a, 0), ==, 0);
    admission_leave(a, "unknown");
}

static void the_order_is_fair(void)
{
    g_autoptr(admission) a = admission_new(1);
    guint ahead = 99;

    g_assert_true(ask(a, "1", 0));
    g_assert_false(admission_ask(a, "2", PATIENCE, 0, &ahead));
    g_assert_cmpint(ahead, ==, 0);
    g_assert_false(admission_ask(a, "3", PATIENCE, 0, &ahead));
    g_assert_cmpint(ahead, ==, 1);
    admission_leave(a, "1");
    /* The slot is the first one's, whoever asks first. */
    g_assert_false(ask(a, "3", 1 * S));
    g_assert_false(ask(a, "4", 1 * S));
    g_assert_true(ask(a, "2", 1 * S));
    admission_leave(a, "2");
    g_assert_false(ask(a, "4", 2 * S));
    g_assert_true(ask(a, "3", 2 * S));
}

static void the_silent_are_forgotten(void)
{
    g_autoptr(admission) a = admission_new(1);

    g_assert_true(ask(a, "1", 0));
    g_assert_false(ask(a, "gone", 0));
    g_assert_false(ask(a, "3", 5 * S));
    admission_leave(a, "1");
    g_assert_false(ask(a, "3", 10 * S)); /* could still come back */
    g_assert_true(ask(a, "3", 10 * S + 1));
    g_assert_false(ask(a, "gone", 11 * S)); /* at the end now */
}

static void patience_can_be_endless(void)
{
    g_autoptr(admission) a = admission_new(0);

    g_assert_false(admission_ask(a, "1", 0, 0, NULL));
    g_assert_cmpint(admission_waiting(a, G_MAXINT64), ==, 1);
    admission_leave(a, "1");
    g_assert_cmpint(admission_waiting(a, 0), ==, 0);
}

static void limits_change(void)
{
    g_autoptr(admission) a = admission_new(1);

    admission_take(a, "1");
    admission_take(a, "2"); /* found running */
    g_assert_cmpint(admission_held(a), ==, 2);
    g_assert_false(ask(a, "3", 0));
    admission_set_slots(a, 3);
    g_assert_true(ask(a, "3", 0));
    admission_set_slots(a, 1);
    admission_leave(a, "1");
    g_assert_false(ask(a, "4", 0));
    admission_leave(a, "2");
    g_assert_false(ask(a, "4", 0));
    admission_leave(a, "3");
    g_assert_true(ask(a, "4", 0));
}

static void the_queue_is_bounded(void)
{
    g_autoptr(admission) a = admission_new(0);

    for (guint i = 0; i < 5000; i++) {
        g_autofree char *id = g_strdup_printf("%u", i);
        g_assert_false(ask(a, id, 0));
    }
    g_assert_cmpint(admission_waiting(a, 0), ==, 1024);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/admission/slots", slots_are_counted);
    g_test_add_func("/admission/order", the_order_is_fair);
    g_test_add_func("/admission/silent", the_silent_are_forgotten);
    g_test_add_func("/admission/endless", patience_can_be_endless);
    g_test_add_func("/admission/limits", limits_change);
    g_test_add_func("/admission/bounded", the_queue_is_bounded);
    return g_test_run();
}
