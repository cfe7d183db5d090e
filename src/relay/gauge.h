/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How fast channels are, and whether one is so slow beside the others that it would hold them up.
 *
 * A frame arrives as late as its channel is slow, and what comes behind it in its stream waits,
 * until the window is used up and all channels stand still. So a channel carries nothing while the
 * others would use up half a window before a frame on it arrives. What TCP measured is only known
 * of a channel in use: each one has a trial when it is new, and again from time to time.
 */
#pragma once
#include <glib.h>

typedef struct {
    guint64 rate;   /* bytes/s as TCP measured it; 0: not known */
    gint64 rtt;     /* µs */
    gint64 least;   /* µs: the shortest it was, so without what waits in queues; 0: not known */
    gint64 read_at; /* monotonic µs */
    /* For gauge_judge: */
    gboolean slow;
    gint64 trial_ends; /* monotonic µs; 0: no frame was taken yet */
} gauge;

/* A new channel: nothing is known. */
void gauge_reset(gauge *self);
/* What the kernel knows about a TCP connection; stays unknown for any other socket. */
void gauge_read(gauge *self, int fd, gint64 now);
/* Sets self->slow, which then lasts until the next trial, or until all the others are gone or slow.
 * `others`: the channels that are alive otherwise, slow ones included. `may_try`: a slow one gets its
 * next trial when it is due. Pure. */
void gauge_judge(gauge *self, const gauge *const *others, guint count, gint64 now,
                 gboolean may_try);
