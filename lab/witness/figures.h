/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Figures about one VM in one stretch of time: write latency, silences, probes lost. Fixed in size. */
#pragma once

#include <glib.h>

#define FIGURES_SERIES 16 /* probe series of a VM: two for each address */

/* Times in µs on the witness's clock, which never runs backwards. */
struct figures_silence {
    gint64 longest_us, at_us; /* the longest, and when it began */
};

struct figures_series {
    guint64 sent, answered, lost;
    struct figures_silence silence; /* between answers */
    gint64 send_gap_us;             /* the longest the witness itself kept from sending */
};

/* Counts of values 0…2^36 in steps of at most 1/32 of the value. */
#define FIGURES_BUCKETS (32 * 32)

struct figures {
    gint64 begin_us, end_us; /* end_us 0: still going on */
    guint64 writes, failed;
    guint32 latency[FIGURES_BUCKETS]; /* µs */
    guint64 latency_max_us;
    struct figures_silence reports; /* between acknowledged records */
    struct figures_series series[FIGURES_SERIES];
};

gboolean figures_covers(const struct figures *f, gint64 at_us);

void figures_write(struct figures *f, guint64 latency_us);

/* Notes in SILENCE that nothing was heard from FROM_US to TO_US, as far as it lies within F. */
void figures_silent(const struct figures *f, struct figures_silence *silence, gint64 from_us,
                    gint64 to_us);

/* The latency in µs that PART (0–1) of all writes did not exceed; at most 1/32 too high. */
guint64 figures_latency(const struct figures *f, double part);
