/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Points in time as people write them. */
#include "cli/moment.h"

#include <gio/gio.h>

#define NOW (G_GINT64_CONSTANT(1790000000) * G_USEC_PER_SEC) /* 2026-09-21 14:13:20 UTC */

static void gives(const char *text, gint64 expected)
{
    g_autoptr(GError) error = NULL;
    gint64 moment = -1;

    g_assert_true(moment_parse(text, NOW, &moment, &error));
    g_assert_no_error(error);
    g_assert_cmpint(moment / G_USEC_PER_SEC, ==, expected);
}

static void test_times(void)
{
    g_setenv("TZ", "UTC-02", TRUE); /* two hours east */
    gives("2026-09-21", 1789941600);
    gives("2026-09-21 14:13", 1789992780);
    gives("2026-09-21 14:13:20", 1789992800);
    gives("2026-09-21T14:13:20", 1789992800);
    gives("2026-09-21T14:13:20Z", 1790000000);
    gives("2026-09-21 14:13:20+01:00", 1789996400);
}

static void test_ago(void)
{
    gives("0m", 1790000000);
    gives("45m", 1790000000 - 45 * 60);
    gives("12h", 1790000000 - 12 * 3600);
    gives("7d", 1790000000 - 7 * 86400);
    gives("2w", 1790000000 - 14 * 86400);
}

static void test_mistakes(void)
{
    static const char *const wrong[] = {"",      "m",     "-1h",        "1.5h",  "7 d", "99999999d",
                                        "noon",  "14:13", "2026-13-01", "7days", "2026-09-21 25:00",
                                        "2026-09-21 ", NULL};

    for (guint i = 0; wrong[i]; i++) {
        g_autoptr(GError) error = NULL;
        gint64 moment;
        g_assert_false(moment_parse(wrong[i], NOW, &moment, &error));
        g_assert_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/moment/dates and times", test_times);
    g_test_add_func("/moment/so long ago", test_ago);
    g_test_add_func("/moment/anything else is refused", test_mistakes);
    return g_test_run();
}
