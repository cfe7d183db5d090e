/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Limits as people write them; see rate.h. */
#include "base/rate.h"

#include <gio/gio.h>
#include <string.h>

#define DIGITS_MAX 15 /* what a double holds exactly */

static gboolean expected(GError **error, const char *text, const char *what)
{
    g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT, "'%.64s': %s", text, what);
    return FALSE;
}

/* Digits, perhaps with a point between them; *rest is behind it. */
static gboolean take_number(const char *text, double *number, const char **rest)
{
    gsize whole = strspn(text, "0123456789"), length = whole;

    if (!whole)
        return FALSE;
    if (text[whole] == '.') {
        gsize fraction = strspn(text + whole + 1, "0123456789");
        if (!fraction)
            return FALSE;
        length += 1 + fraction;
    }
    if (length > DIGITS_MAX)
        return FALSE;
    *number = g_ascii_strtod(text, NULL);
    *rest = text + length;
    return TRUE;
}

/* How many bytes "MiB/s" and its like are; 0: that is no unit. */
static double unit_bytes(const char *unit)
{
    static const char letters[] = "KMGT";
    const char *letter = *unit ? strchr(letters, g_ascii_toupper(*unit)) : NULL;
    g_autofree char *name = NULL;
    double thousands = 1, kibi = 1;

    if (!letter)
        return 0;
    for (const char *p = letters; p <= letter; p++) {
        thousands *= 1000;
        kibi *= 1024;
    }
    name = g_strdup(unit + 1);
    if (g_str_has_suffix(name, "/s") && name[2])
        name[strlen(name) - 2] = 0;
    if (!*name || !g_ascii_strcasecmp(name, "iB"))
        return kibi;
    if (!strcmp(name, "B"))
        return thousands;
    return !g_ascii_strcasecmp(name, "bit") ? thousands / 8 : 0;
}

gboolean rate_parse(const char *text, guint64 *bytes, GError **error)
{
    g_autofree char *given = g_strstrip(g_strdup(text));
    const char *unit;
    double number, factor;

    if (!strcmp(given, "0") || !g_ascii_strcasecmp(given, "none")) {
        *bytes = 0;
        return TRUE;
    }
    if (!take_number(given, &number, &unit))
        return expected(error, text, "a rate such as 100MiB/s, 800Mbit/s or none is expected");
    unit += strspn(unit, " ");
    if (!*unit)
        return expected(error, text,
                        "the unit is missing: 100M is 100 MiB/s, 800Mbit/s are bits, 0 is no limit");
    factor = unit_bytes(unit);
    if (factor == 0)
        return expected(error, text,
                        "the unit is one of M, MiB/s, MB/s (bytes) or Mbit/s (bits), with K, G or T "
                        "for M");
    if (number * factor < (double)RATE_MIN || number * factor > (double)RATE_MAX)
        return expected(error, text, "a rate from 1Mbit/s to 1T, or none, is expected");
    *bytes = (guint64)(number * factor);
    return TRUE;
}

gboolean rate_parse_factor(const char *text, double *factor, GError **error)
{
    g_autofree char *given = g_strstrip(g_strdup(text));
    const char *rest = "";

    if (!g_ascii_strcasecmp(given, "off") || !strcmp(given, "0")) {
        *factor = 0;
        return TRUE;
    }
    if (!take_number(given, factor, &rest) || *rest || *factor < RATE_FACTOR_MIN ||
        *factor > RATE_FACTOR_MAX)
        return expected(error, text, "a factor from 1.1 to 100, such as 1.5, or off is expected");
    return TRUE;
}

char *rate_text(guint64 bytes)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    double value = (double)bytes;
    guint unit = 0;

    if (!bytes)
        return g_strdup("no limit");
    /* 1023.9 KiB would be rounded to "1024 KiB". */
    for (; value >= (unit ? 1023.5 : 1024) && unit + 1 < G_N_ELEMENTS(units); unit++)
        value /= 1024;
    return g_strdup_printf(!unit || value >= 99.95 ? "%.0f %s/s" : "%.1f %s/s", value, units[unit]);
}
