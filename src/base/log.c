/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Logging to standard error; see log.h. */
#include "base/log.h"

#include <stdarg.h>
#include <string.h>
#include <unistd.h>

static char *object_name; /* set once, before threads start */

void log_set_object(const char *object)
{
    g_free(object_name);
    object_name = g_strdup(object);
}

gboolean log_debug_wanted(const char *area)
{
    static gsize ready;
    static char **areas;

    if (g_once_init_enter(&ready)) {
        const char *wanted = g_getenv("FERRY_DEBUG");
        areas = g_strsplit(wanted ? wanted : "", ",", -1);
        g_once_init_leave(&ready, 1);
    }
    return g_strv_contains((const char *const *)areas, area) ||
           g_strv_contains((const char *const *)areas, "all");
}

void log_write(log_level level, const char *area, const char *format, ...)
{
    g_autoptr(GString) line = g_string_new(NULL);
    va_list args;

    if (g_getenv("JOURNAL_STREAM")) {
        g_string_printf(line, "<%d>", level);
    } else {
        g_autoptr(GDateTime) now = g_date_time_new_now_local();
        g_autofree char *stamp = g_date_time_format(now, "%H:%M:%S.%f");
        g_string_printf(line, "%.12s ", stamp);
        if (level <= LOG_WARNING)
            g_string_append(line, level == LOG_ERROR ? "ERROR " : "WARNING ");
    }
    g_string_append_printf(line, "%s%s%s: ", area, object_name ? " " : "",
                           object_name ? object_name : "");
    va_start(args, format);
    g_string_append_vprintf(line, format, args);
    va_end(args);
    /* A peer's or a guest's text must not forge a second line. */
    for (char *p = line->str; *p; p++)
        if ((unsigned char)*p < ' ')
            *p = ' ';
    g_string_append_c(line, '\n');
    (void)!write(STDERR_FILENO, line->str, line->len);
}
