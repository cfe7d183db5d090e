/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Points in time as people write them. */
#pragma once
#include <gio/gio.h>

/* "2026-12-01 02:00", with seconds if wanted, local time; or ISO 8601, with a time zone or without
 * ("2026-12-01T02:00:00Z", "…+01:00"). Unix seconds. G_IO_ERROR_INVALID_ARGUMENT says what is expected. */
gboolean when_parse(const char *text, gint64 *unix_seconds, GError **error);
