/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Times as people write them. */
#include "cli/when.h"

#include <string.h>

static void test_times(void)
{
    static const struct {
        const char *text;
        gint64 seconds; /* 0: refused */
    } cases[] = {{"2026-12-01 02:00", 1796086800}, /* in Berlin */
                 {"2026-12-01 02:00:30", 1796086830},
                 {"2026-12-01T02:00", 1796086800},
                 {"2026-12-01T01:00:00Z", 1796086800},
                 {"2026-12-01 01:00Z", 1796086800},
                 {"2026-12-01T03:00+02:00", 1796086800},
                 {"2026-07-01 02:00", 1782864000}, /* summer */
                 {"", 0},
                 {"tomorrow", 0},
                 {"02:00", 0},
                 {"2026-12-01", 0},
                 {"2026-12-01 2:00", 0},
                 {"2026-12-01 02:60", 0},
                 {"2026-13-01 02:00", 0},
                 {"2026-02-30 02:00", 0},
                 {"2026-12-01 02:00 ", 0},
                 {"2026-12-01 02:00 Mars/Hellas", 0},
                 {"1796086800", 0}};

    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GError) error = NULL;
        gint64 seconds = 0;
        gboolean good = when_parse(cases[i].text, &seconds, &error);
        g_test_message("'%s'", cases[i].text);
        g_assert_cmpint(good, ==, cases[i].seconds != 0);
        if (good)
            g_assert_cmpint(seconds, ==, cases[i].seconds);
        else
            g_assert_nonnull(strstr(error->message, "2026-12-01 02:00"));
    }
}

int main(int argc, char **argv)
{
    /* As POSIX writes it: no zone files are needed. */
    g_setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3", TRUE);
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/when/times", test_times);
    return g_test_run();
}
