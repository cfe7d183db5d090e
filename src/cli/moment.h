/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Points in time as people write them: "2026-11-21", "2026-11-21 20:41", the same with seconds, ISO 8601 with a zone,
 * or so long ago: "45m", "12h", "7d", "2w". Without a zone it is local time.
 */
#pragma once
#include <glib.h>

/* `now` and the result: Unix µs. The error says what is expected. */
gboolean moment_parse(const char *text, gint64 now, gint64 *moment, GError **error);
