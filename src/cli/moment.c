/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Points in time; see moment.h. */
#include "cli/moment.h"

#include <gio/gio.h>
#include <string.h>

static const struct {
    char letter;
    gint64 seconds;
} units[] = {{'m', 60}, {'h', 3600}, {'d', 86400}, {'w', 7 * 86400}};

static gboolean so_long_ago(const char *text, gint64 now, gint64 *moment)
{
    gsize length = strlen(text);
    g_autofree char *digits = length ? g_strndup(text, length - 1) : g_strdup("");
    guint64 count;

    for (guint i = 0; length && i < G_N_ELEMENTS(units); i++)
        if (text[length - 1] == units[i].letter &&
            g_ascii_string_to_unsigned(digits, 10, 0, 1000000, &count, NULL)) {
            *moment = now - (gint64)count * units[i].seconds * G_USEC_PER_SEC;
            return TRUE;
        }
    return FALSE;
}

/* GLib wants a 'T', and a time with seconds. */
static char *completed(const char *text)
{
    char *whole = g_strdup(text), *time = strpbrk(whole, " T");
    const char *missing = !time                       ? "T00:00:00"
                          : strlen(time + 1) == 5 ? ":00"
                                                  : "";
    char *result;

    if (time)
        *time = 'T';
    result = g_strconcat(whole, missing, NULL);
    g_free(whole);
    return result;
}

gboolean moment_parse(const char *text, gint64 now, gint64 *moment, GError **error)
{
    g_autofree char *whole = completed(text);
    g_autoptr(GTimeZone) here = g_time_zone_new_local();
    g_autoptr(GDateTime) when = g_date_time_new_from_iso8601(whole, here);

    if (so_long_ago(text, now, moment))
        return TRUE;
    if (when) {
        *moment = g_date_time_to_unix(when) * G_USEC_PER_SEC;
        return TRUE;
    }
    g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT,
                "'%s': a time such as '2026-11-21', '2026-11-21 20:41', '12h' or '7d' is expected",
                text);
    return FALSE;
}
