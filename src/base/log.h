/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Logging: one line an event, to standard error, with the identity of the thing it is about.
 *
 * Every line reads "AREA[ OBJECT]: text". Started by systemd (JOURNAL_STREAM set), lines carry the
 * <N> priority prefix the journal understands; otherwise a timestamp. Debug lines are off unless
 * their area is named in FERRY_DEBUG (comma separated, "all" for every area), at run time.
 * Thread-safe; a line is written with one write(2).
 */
#pragma once
#include <glib.h>

typedef enum { LOG_ERROR = 3, LOG_WARNING = 4, LOG_NOTICE = 5, LOG_INFO = 6, LOG_DEBUG = 7 } log_level;

/* The object all lines of this process are about ("3f2a web01"); NULL for none. Copied. Call it
 * before threads start. */
void log_set_object(const char *object);

/* Use through the macros below: each .c file says once `#define LOG_AREA "relay"`. */
void log_write(log_level level, const char *area, const char *format, ...) G_GNUC_PRINTF(3, 4);
gboolean log_debug_wanted(const char *area);

#define log_error(...)   log_write(LOG_ERROR, LOG_AREA, __VA_ARGS__)
#define log_warning(...) log_write(LOG_WARNING, LOG_AREA, __VA_ARGS__)
#define log_notice(...)  log_write(LOG_NOTICE, LOG_AREA, __VA_ARGS__)
#define log_info(...)    log_write(LOG_INFO, LOG_AREA, __VA_ARGS__)
#define log_debug(...)                                                                             \
    do {                                                                                           \
        if (log_debug_wanted(LOG_AREA))                                                            \
            log_write(LOG_DEBUG, LOG_AREA, __VA_ARGS__);                                           \
    } while (0)
