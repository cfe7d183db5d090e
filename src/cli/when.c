/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Points in time; see when.h. */
#include "cli/when.h"

#include <string.h>

#define TO_THE_MINUTE "0000-00-00 00:00"

/* Does it begin like that, a digit for each 0? */
static gboolean begins_to_the_minute(const char *text)
{
    for (const char *form = TO_THE_MINUTE; *form; form++, text++)
        if (*form == '0' ? !g_ascii_isdigit(*text)
                         : *text != *form && !(*form == ' ' && *text == 'T'))
            return FALSE;
    return TRUE;
}

gboolean when_parse(const char *text, gint64 *unix_seconds, GError **error)
{
    const char *rest = begins_to_the_minute(text) ? text + strlen(TO_THE_MINUTE) : NULL;
    /* GLib wants seconds. */
    g_autofree char *whole =
        rest && *rest != ':' ? g_strdup_printf("%.*s:00%s", (int)(rest - text), text, rest) : NULL;
    g_autoptr(GTimeZone) here = g_time_zone_new_local();
    g_autoptr(GDateTime) time = rest ? g_date_time_new_from_iso8601(whole ? whole : text, here) : NULL;

    if (!time) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT,
                    "'%s': a time such as '2026-12-01 02:00' (local) or '2026-12-01T02:00:00Z' is expected",
                    text);
        return FALSE;
    }
    *unix_seconds = g_date_time_to_unix(time);
    return TRUE;
}
