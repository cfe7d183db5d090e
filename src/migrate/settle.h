/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Proof of life: when a guest that has just been started here counts as running, or as dead (docs/design.md, "Proof of
 * life"). Pure: what libvirt shows of it goes in, a judgement comes out.
 */
#pragma once
#include "virt/host.h"

typedef enum {
    SETTLE_WATCHING, /* too early to say */
    SETTLE_STILL,    /* it is there and does nothing: paused by somebody, or stopped by a disk error */
    SETTLE_ALIVE,
    SETTLE_DEAD
} settle_verdict;

/* All zero but `span` at first. */
typedef struct {
    gint64 span;      /* how long it has to run without a break, µs; 0: one sign of life is enough */
    gint64 since;     /* monotonic µs: it has been seen running from then on; 0: it does not run */
    virt_life first;  /* what was counted at the first look */
    gboolean counted; /* there was one */
    gboolean moved;   /* CPU time, disk or network have advanced since */
} settle;

/* One more look, `now` in monotonic µs. A guest that answers (its agent did) needs no other sign. */
settle_verdict settle_look(settle *self, const virt_life *seen, gboolean answers, gint64 now);
