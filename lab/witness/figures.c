/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Figures about one VM in one stretch of time. */
#include "figures.h"

gboolean figures_covers(const struct figures *f, gint64 at_us)
{
    return at_us >= f->begin_us && (f->end_us == 0 || at_us <= f->end_us);
}

static guint bucket_of(guint64 value)
{
    guint shift = 0;

    value = MIN(value, (G_GUINT64_CONSTANT(1) << 36) - 1);
    while (value >> shift >= 64)
        shift++;
    return shift * 32 + (guint)(value >> shift);
}

/* The highest value that falls into BUCKET. */
static guint64 bucket_top(guint bucket)
{
    guint shift = bucket < 64 ? 0 : bucket / 32 - 1;
    return ((guint64)(bucket - shift * 32 + 1) << shift) - 1;
}

void figures_write(struct figures *f, guint64 latency_us)
{
    f->writes++;
    f->latency[bucket_of(latency_us)]++;
    f->latency_max_us = MAX(f->latency_max_us, latency_us);
}

void figures_silent(const struct figures *f, struct figures_silence *silence, gint64 from_us,
                    gint64 to_us)
{
    from_us = MAX(from_us, f->begin_us);
    if (f->end_us)
        to_us = MIN(to_us, f->end_us);
    if (to_us - from_us > silence->longest_us) {
        silence->longest_us = to_us - from_us;
        silence->at_us = from_us;
    }
}

guint64 figures_latency(const struct figures *f, double part)
{
    guint64 below = 0, rank = (guint64)(part * (double)f->writes + 0.999999);

    for (guint b = 0; b < FIGURES_BUCKETS; b++) {
        below += f->latency[b];
        if (below && below >= rank)
            return MIN(bucket_top(b), f->latency_max_us);
    }
    return 0;
}
