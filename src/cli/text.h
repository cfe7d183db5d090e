/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Text for people: what is safe to show, how wide it is, and sizes, rates and times as one reads
 * them.
 *
 * Pure functions. Whatever comes from a peer, a VM or a file may hold escape sequences that
 * reprogram a terminal, or marks that turn the direction of writing around: text_safe takes them
 * out. All strings returned are the caller's.
 */
#pragma once
#include <glib.h>

/* Valid UTF-8 without control and format characters: each is replaced by '?', a line break or tab
 * by a blank. NULL gives "-". */
char *text_safe(const char *text);
/* The same for JSON text, where such characters can only stand inside strings: there they become
 * \u escapes, so that nothing is lost. */
char *text_safe_json(const char *json);

/* Columns on a terminal; `text` is safe already. */
guint text_width(const char *text);
/* At most `columns` wide; what was cut is marked by "…" if there is room for it. */
char *text_cut(const char *text, guint columns);
/* At least `columns` wide. */
char *text_pad(const char *text, guint columns, gboolean right);
/* Lines of at most `columns` (0: no limit), broken at blanks, and inside words that are longer;
 * "\n" in `text` always breaks. At least one line. */
GStrv text_wrap(const char *text, guint columns);

/* Units of 1024: "0 B", "999 B", "1.5 KiB", "118 MiB"; negative is "?". */
char *text_size(gint64 bytes);
/* "118 MiB/s" */
char *text_rate(gint64 bytes_per_second);
/* "0.4 s", "36 s", "2 min 05 s", "1 h 02 min", "3 d 4 h"; negative is "?". */
char *text_duration(double seconds);
/* Local time to the minute, "2026-11-21 20:41"; not a time: "?". */
char *text_time(double unix_seconds);
/* The share as a whole number from 0 to 100; never 100 before `done` has reached `total`. */
guint text_percent(gint64 done, gint64 total);
