/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Rates and factors as people write them: what is read, and that nothing ambiguous is. */
#include "base/rate.h"

#include <gio/gio.h>
#include <string.h>

#define MIB (G_GUINT64_CONSTANT(1) << 20)

static void what_is_clear_is_read(void)
{
    static const struct {
        const char *text;
        guint64 bytes;
    } cases[] = {
        {"0", 0},
        {"none", 0},
        {" None ", 0},
        {"100M", 100 * MIB},
        {"100m", 100 * MIB},
        {"100MiB", 100 * MIB},
        {"100MiB/s", 100 * MIB},
        {"100 MiB/s", 100 * MIB},
        {"100mib/s", 100 * MIB},
        {"1.5G", 1536 * MIB},
        {"512K", MIB / 2},
        {"1T", MIB * MIB},
        {"100MB", 100000000},
        {"100MB/s", 100000000},
        {"400kB/s", 400000},
        {"800Mbit", 100000000},
        {"800Mbit/s", 100000000},
        {"1Gbit/s", 125000000},
        {"2.5Gbit/s", 312500000},
        {"1mbit/s", 125000},
    };

    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GError) error = NULL;
        guint64 bytes = 1;
        if (!rate_parse(cases[i].text, &bytes, &error))
            g_error("'%s': %s", cases[i].text, error->message);
        g_assert_cmpuint(bytes, ==, cases[i].bytes);
    }
}

static void what_is_not_clear_is_refused(void)
{
    static const struct {
        const char *text, *complaint;
    } cases[] = {
        {"100", "the unit is missing"},
        {"1.5", "the unit is missing"},
        {"00", "the unit is missing"},
        {"100Mb", "the unit is one of"}, /* megabits, say some */
        {"100Mb/s", "the unit is one of"},
        {"100Mbps", "the unit is one of"},
        {"100MiBit", "the unit is one of"},
        {"100B", "the unit is one of"},
        {"100M/s/s", "the unit is one of"},
        {"100/s", "the unit is one of"},
        {"100P", "the unit is one of"},
        {"100%", "the unit is one of"},
        {"1e3M", "the unit is one of"},
        {"", "such as 100MiB/s"},
        {"M", "such as 100MiB/s"},
        {"-1M", "such as 100MiB/s"},
        {"+1M", "such as 100MiB/s"},
        {".5G", "such as 100MiB/s"},
        {"1.M", "such as 100MiB/s"},
        {"inf", "such as 100MiB/s"},
        {"0x10M", "the unit is one of"},
        {"off", "such as 100MiB/s"},
        {"99999999999999999999M", "such as 100MiB/s"},
        {"1K", "from 1Mbit/s to 1T"},
        {"0M", "from 1Mbit/s to 1T"},
        {"2T", "from 1Mbit/s to 1T"},
    };

    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GError) error = NULL;
        guint64 bytes;
        if (rate_parse(cases[i].text, &bytes, &error))
            g_error("'%s' was read", cases[i].text);
        g_assert_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT);
        if (!strstr(error->message, cases[i].complaint))
            g_error("'%s': %s", cases[i].text, error->message);
    }
}

static void factors(void)
{
    static const char *const bad[] = {"", "1", "1.0", "101", "-2", "x", "1.5x", "nan"};
    double factor = -1;

    g_assert_true(rate_parse_factor("off", &factor, NULL) && factor == 0);
    g_assert_true(rate_parse_factor("0", &factor, NULL) && factor == 0);
    g_assert_true(rate_parse_factor("1.5", &factor, NULL) && factor == 1.5);
    g_assert_true(rate_parse_factor("100", &factor, NULL) && factor == 100);
    g_assert_true(rate_parse_factor(" 2 ", &factor, NULL) && factor == 2);
    for (guint i = 0; i < G_N_ELEMENTS(bad); i++) {
        g_autoptr(GError) error = NULL;
        g_assert_false(rate_parse_factor(bad[i], &factor, &error));
        g_assert_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT);
    }
}

static void texts(void)
{
    static const struct {
        guint64 bytes;
        const char *text;
    } cases[] = {{0, "no limit"},
                 {100 * MIB, "100 MiB/s"},
                 {MIB * 3 / 2, "1.5 MiB/s"},
                 {125000, "122 KiB/s"},
                 {MIB - 1, "1.0 MiB/s"},
                 {MIB * 1024 - 1, "1.0 GiB/s"}};

    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *text = rate_text(cases[i].bytes);
        g_assert_cmpstr(text, ==, cases[i].text);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/rate/clear", what_is_clear_is_read);
    g_test_add_func("/rate/ambiguous", what_is_not_clear_is_refused);
    g_test_add_func("/rate/factors", factors);
    g_test_add_func("/rate/texts", texts);
    return g_test_run();
}
