/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The latency guard: from how long the guest's own disk requests take it decides how fast a move may
 * copy the disks. A controller without clock, threads or libvirt: the caller looks, it judges.
 *
 * A sample is the mean latency of the guest's requests between two looks, of at least
 * GUARD_REQUESTS of them: looks are put together, up to a second, until there are as many. A guest
 * that asks for less in a second is quiet, unless it spent a quarter of that second waiting. Of the
 * last GUARD_SAMPLES samples, all taken at the present rate, the second highest counts: one outlier,
 * such as a stolen CPU, decides nothing. (Single requests cannot be seen from outside QEMU; a p99
 * that grows shows in these means.)
 *
 * Before the copy: the same of what was seen then is the baseline; if that was too little, the mean
 * over the guest's life; at least GUARD_FLOOR_US. Then, on every GUARD_SAMPLES samples: beyond
 * factor × baseline and the patience the rate becomes GUARD_CUT of what was copied; below, it grows again, and is
 * lifted where it no longer binds. It never goes below GUARD_LEAST, nor below twice what the guest
 * itself writes: a mirror slower than its guest would never be done. Where the lowest rate does not
 * help either, it is not the copy that slows the guest down: what it has now is the new baseline.
 */
#pragma once
#include "virt/host.h"

#define GUARD_REQUESTS 8
#define GUARD_SAMPLES  4
#define GUARD_FLOOR_US 1000.0
#define GUARD_CUT      0.6
#define GUARD_LEAST    (G_GUINT64_CONSTANT(4) << 20) /* bytes/s */

typedef struct guard guard;

typedef enum {
    GUARD_SAME,
    GUARD_SLOWER, /* guard_rate has been made smaller */
    GUARD_FASTER, /* larger */
    GUARD_LIFTED, /* there is none any more */
    GUARD_IN_VAIN /* slowing down does not help: there is a new baseline */
} guard_verdict;

/* `factor` as in rate.h; 0: off. Latencies up to `patience_us` harm nobody, whatever was usual. */
guard *guard_new(double factor, double patience_us);
void guard_free(guard *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(guard, guard_free)
/* Takes back what it has said so far. */
void guard_set_factor(guard *self, double factor);

/* One look, at `now` (monotonic µs), every 100 to 500 ms: the guest's counters, and the bytes of
 * disks the move has sent so far, in the same coin as the rate is counted in. `copying`: the copy
 * has begun; stays TRUE. */
guard_verdict guard_look(guard *self, gint64 now, const virt_block_times *guest, gboolean copying,
                         guint64 sent);
/* Bytes per second the disks may take; 0: as many as they like. */
guint64 guard_rate(const guard *self);
/* µs: what counts as the guest's latency now, and what it is held to; 0: not known (yet). */
double guard_latency(const guard *self);
double guard_bound(const guard *self);
