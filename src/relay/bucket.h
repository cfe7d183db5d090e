/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A token bucket: how much may be sent at a given rate. Pure; the caller brings the clock and the
 * lock.
 *
 * Whoever finds the bucket open takes all that a frame needs, be it more than is there: the next
 * one waits until that is paid for. So the rate holds on average whatever the size of frames, and
 * nothing has to be cut. What is not used is kept for 20 ms, so that waiting for whole milliseconds
 * loses nothing.
 */
#pragma once
#include <glib.h>

typedef struct {
    guint64 rate;   /* bytes/s; 0: no limit */
    gint64 paid_at; /* monotonic ns when all that was taken is paid for */
} bucket;

/* Zeroed is no limit. `now` is in monotonic µs, here and below. What was taken and is not paid for
 * yet is paid at the new rate. */
void bucket_set_rate(bucket *self, guint64 rate, gint64 now);
/* µs until bytes may be taken; 0: now. */
gint64 bucket_wait(const bucket *self, gint64 now);
void bucket_take(bucket *self, guint64 bytes, gint64 now);
