/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Token buckets; see bucket.h. */
#include "relay/bucket.h"

#define KEPT_NS  (20 * 1000 * 1000)
#define SECOND   1e9      /* ns */
#define DEBT_MAX (3600e9) /* ns: a rate may be absurd, the clock must not overflow */

void bucket_set_rate(bucket *self, guint64 rate, gint64 now)
{
    double debt = (double)MAX(self->paid_at - now * 1000, 0);

    if (rate == self->rate)
        return;
    if (self->rate > 0 && rate > 0)
        debt = debt * (double)self->rate / (double)rate;
    self->paid_at = now * 1000 + (gint64)MIN(debt, DEBT_MAX);
    self->rate = rate;
}

gint64 bucket_wait(const bucket *self, gint64 now)
{
    gint64 debt = self->paid_at - now * 1000;

    return self->rate == 0 || debt <= 0 ? 0 : (debt + 999) / 1000;
}

void bucket_take(bucket *self, guint64 bytes, gint64 now)
{
    if (self->rate == 0)
        return;
    self->paid_at = MAX(self->paid_at, now * 1000 - KEPT_NS) +
                    (gint64)MIN((double)bytes * SECOND / (double)self->rate, DEBT_MAX);
}
