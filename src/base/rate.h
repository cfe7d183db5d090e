/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Limits as people write them, on the command line and in ferryd.conf. Pure functions; errors are
 * G_IO_ERROR_INVALID_ARGUMENT and name what is expected.
 *
 * A rate is a number, with a decimal fraction or without, and a unit that leaves no doubt:
 *
 *   100M  100MiB  100MiB/s   K, M, G, T: units of 1024, as of all sizes in ferryd.conf
 *   100MB 100MB/s            kB, MB, GB, TB: units of 1000
 *   800Mbit 800Mbit/s        kbit, Mbit, Gbit, Tbit: bits, units of 1000
 *   0  none                  no limit
 *
 * A number alone and "Mb" are refused: both have been read either way.
 */
#pragma once
#include <glib.h>

#define RATE_MIN G_GUINT64_CONSTANT(125000)             /* bytes/s: 1 Mbit/s */
#define RATE_MAX (G_GUINT64_CONSTANT(1) << 40)          /* 1 TiB/s */
#define RATE_FACTOR_MIN 1.1
#define RATE_FACTOR_MAX 100.0

/* Bytes per second from RATE_MIN to RATE_MAX, or 0: no limit. */
gboolean rate_parse(const char *text, guint64 *bytes, GError **error);
/* How many times, such as "1.5", from RATE_FACTOR_MIN to RATE_FACTOR_MAX; "off" (or 0) is 0. */
gboolean rate_parse_factor(const char *text, double *factor, GError **error);
/* "100 MiB/s", "1.2 MiB/s", "122 KiB/s", "no limit". Caller frees. */
char *rate_text(guint64 bytes);
