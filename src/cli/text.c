/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Text for people; see text.h. */
#include "cli/text.h"

#include <string.h>

#define ELLIPSIS "…"

/* May this character do something to a terminal other than show up on it? */
static gboolean harmful(gunichar c)
{
    switch (g_unichar_type(c)) {
    case G_UNICODE_CONTROL:
    case G_UNICODE_FORMAT:
    case G_UNICODE_SURROGATE:
    case G_UNICODE_UNASSIGNED:
    case G_UNICODE_PRIVATE_USE:
    case G_UNICODE_LINE_SEPARATOR:
    case G_UNICODE_PARAGRAPH_SEPARATOR:
        return TRUE;
    default:
        return FALSE;
    }
}

char *text_safe(const char *text)
{
    g_autofree char *valid = g_utf8_make_valid(text ? text : "-", -1);
    GString *safe = g_string_new(NULL);

    for (const char *p = valid; *p; p = g_utf8_next_char(p)) {
        gunichar c = g_utf8_get_char(p);
        if (c == '\n' || c == '\t')
            c = ' ';
        g_string_append_unichar(safe, harmful(c) ? '?' : c);
    }
    return g_string_free(safe, FALSE);
}

char *text_safe_json(const char *json)
{
    g_autofree char *valid = g_utf8_make_valid(json, -1);
    GString *safe = g_string_new(NULL);

    for (const char *p = valid; *p; p = g_utf8_next_char(p)) {
        gunichar c = g_utf8_get_char(p);
        if (c < 0x80 ? c != 0x7f : !harmful(c))
            g_string_append_unichar(safe, c);
        else if (c < 0x10000)
            g_string_append_printf(safe, "\\u%04x", c);
        else
            g_string_append_printf(safe, "\\u%04x\\u%04x", 0xd800 + ((c - 0x10000) >> 10),
                                   0xdc00 + ((c - 0x10000) & 0x3ff));
    }
    return g_string_free(safe, FALSE);
}

static guint char_width(gunichar c)
{
    return g_unichar_iszerowidth(c) ? 0 : g_unichar_iswide(c) ? 2 : 1;
}

guint text_width(const char *text)
{
    guint width = 0;

    for (const char *p = text; *p; p = g_utf8_next_char(p))
        width += char_width(g_utf8_get_char(p));
    return width;
}

/* Bytes of the longest beginning that is at most `columns` wide. */
static gsize fitting(const char *text, guint columns)
{
    const char *p = text;
    guint width = 0;

    for (; *p; p = g_utf8_next_char(p)) {
        width += char_width(g_utf8_get_char(p));
        if (width > columns)
            break;
    }
    return (gsize)(p - text);
}

char *text_cut(const char *text, guint columns)
{
    g_autofree char *begin = NULL;

    if (text_width(text) <= columns)
        return g_strdup(text);
    if (columns == 0)
        return g_strdup("");
    begin = g_strndup(text, fitting(text, columns - 1));
    return g_strconcat(begin, ELLIPSIS, NULL);
}

char *text_pad(const char *text, guint columns, gboolean right)
{
    guint width = text_width(text), missing = columns > width ? columns - width : 0;

    return right ? g_strdup_printf("%*s%s", (int)missing, "", text)
                 : g_strdup_printf("%s%*s", text, (int)missing, "");
}

/* Bytes of the next line of `line`, which is wider than `columns`; *skip: blanks behind it. */
static gsize break_at(const char *line, guint columns, gsize *skip)
{
    gsize most = fitting(line, columns), at = most;

    while (at > 0 && line[at] != ' ')
        at--;
    if (at == 0) /* one long word; and a column narrower than a wide character still takes it */
        at = most ? most : (gsize)(g_utf8_next_char(line) - line);
    *skip = strspn(line + at, " ");
    return at;
}

GStrv text_wrap(const char *text, guint columns)
{
    g_auto(GStrv) given = g_strsplit(text, "\n", -1);
    g_autoptr(GStrvBuilder) lines = g_strv_builder_new();

    if (!*given)
        g_strv_builder_add(lines, "");
    for (char **line = given; *line; line++) {
        const char *rest = *line;
        while (columns && text_width(rest) > columns) {
            gsize skip, length = break_at(rest, columns, &skip);
            g_autofree char *part = g_strndup(rest, length);
            g_strv_builder_add(lines, g_strchomp(part));
            rest += length + skip;
        }
        if (*rest || rest == *line)
            g_strv_builder_add(lines, rest);
    }
    return g_strv_builder_end(lines);
}

char *text_size(gint64 bytes)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    double value = (double)bytes;
    guint unit = 0;

    if (bytes < 0)
        return g_strdup("?");
    /* 1023.99 KiB would be rounded to "1024 KiB". */
    for (; value >= (unit ? 1023.5 : 1024) && unit + 1 < G_N_ELEMENTS(units); unit++)
        value /= 1024;
    return g_strdup_printf(unit == 0 || value >= 99.95 ? "%.0f %s" : "%.1f %s", value, units[unit]);
}

char *text_rate(gint64 bytes_per_second)
{
    g_autofree char *size = text_size(bytes_per_second);

    return g_strconcat(size, "/s", NULL);
}

char *text_duration(double seconds)
{
    gint64 whole;

    if (!(seconds >= 0 && seconds < 1e12))
        return g_strdup("?");
    if (seconds < 9.95)
        return g_strdup_printf("%.1f s", seconds);
    whole = (gint64)(seconds + 0.5);
    if (whole < 60)
        return g_strdup_printf("%d s", (int)whole);
    if (whole < 3600)
        return g_strdup_printf("%d min %02d s", (int)(whole / 60), (int)(whole % 60));
    if (whole < 86400)
        return g_strdup_printf("%d h %02d min", (int)(whole / 3600), (int)(whole / 60 % 60));
    return g_strdup_printf("%" G_GINT64_FORMAT " d %d h", whole / 86400, (int)(whole / 3600 % 24));
}

char *text_time(double unix_seconds)
{
    g_autoptr(GDateTime) time = NULL;

    if (unix_seconds > 0 && unix_seconds < 1e11)
        time = g_date_time_new_from_unix_local((gint64)unix_seconds);
    return time ? g_date_time_format(time, "%Y-%m-%d %H:%M") : g_strdup("?");
}

guint text_percent(gint64 done, gint64 total)
{
    if (done <= 0 || total <= 0)
        return 0;
    return done >= total ? 100 : (guint)MIN(99.0, 100.0 * (double)done / (double)total);
}
