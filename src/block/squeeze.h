/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Whether a stream should compress its blocks: when that is faster than sending them as they are,
 * by what was measured. Pure: the caller has the clock, the link and the compressor. One thread at
 * a time.
 *
 * A stream that is sent plain is as fast as its link, L. Compressed, with the ratio r, it is as
 * fast as L/r or as the CPU compresses, whichever is less. L shows only while the link is what
 * holds us up, that is, while pushing blocks; the CPU's rate only while we compress. So:
 *
 *   compressing,  the link holds us up    right as it is: then the CPU is faster than L/r
 *   compressing,  the CPU holds us up     plain if L is known to be higher; else plain is tried, at
 *                                         growing intervals
 *   plain,        the link holds us up    compress if the CPU and L/r are both higher than L
 *   neither                               no reason to change
 *
 * It starts by compressing. Blocks that do not shrink are skipped over in growing steps, so that
 * what cannot be compressed costs next to nothing. */
#pragma once
#include <glib.h>
#include <stdint.h>

/* All cumulative, for one stream. */
typedef struct {
    guint64 acknowledged; /* bytes the peer has taken, as sent */
    guint64 blocked_us;   /* time spent waiting for the link */
} squeeze_pace;

typedef struct {
    gboolean on; /* compresses */
    /* What was measured; bytes in a second, 0: not known yet. */
    double link;  /* as sent */
    double flow;  /* the same, whether or not the link holds us up: over some intervals */
    double cpu;   /* of content, while it compresses */
    double ratio; /* sent / content, when compressing */
    double busy;  /* how much of `cpu` is left when the CPU does everything else as well; to 1 */
    /* This interval. */
    gint64 since; /* monotonic µs */
    squeeze_pace before;
    unsigned blocks;
    guint64 content, sent, spent_us;
    unsigned settling; /* intervals until the last change shows */
    gboolean sampling; /* plain, and the link holds us up: looks at a block now and then */
    unsigned skip, skipped;
    gint64 trial_at, trial_pause; /* when plain may be tried again */
} squeeze;

void squeeze_init(squeeze *self, gint64 now, const squeeze_pace *pace);
/* Is it time for squeeze_look? */
gboolean squeeze_is_due(const squeeze *self, gint64 now);
/* Draws conclusions from what happened since the last time. */
void squeeze_look(squeeze *self, gint64 now, const squeeze_pace *pace);
/* Shall the next block be tried? Then say by squeeze_note what came of it. */
gboolean squeeze_wants(squeeze *self);
/* A block of `content` bytes goes out as `sent` bytes: `sent` equals `content` if it did not shrink
 * or was not tried; `spent_us`: by compressing, if it was. */
void squeeze_note(squeeze *self, uint32_t content, uint32_t sent, gboolean tried, gint64 spent_us);
