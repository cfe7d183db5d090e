/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One direction of a cable: queue, rate, loss and delay. Pure: frames and times come in, frames go out. */
#pragma once

#include <glib.h>

/*
 *   push → (black hole, loss) → queue, at most `queue` frames → sender, at `rate` → delay → pop
 *
 * Frames never overtake each other. Rate counts what a real cable carries: at least 60 bytes and 24 more
 * for each frame (preamble, checksum, gap). Not thread-safe; times are ns on one monotonic clock.
 */
#define LINK_DELAY_MS_MAX 60000.0
#define LINK_RATE_MBIT_MAX 100000.0
#define LINK_QUEUE_MAX 1000000u
#define LINK_BYTES_MAX (256u << 20) /* held at a time, on the way included; more is dropped */

struct link_settings {
    double delay_ms;   /* one way */
    double loss;       /* percent, 0–100 */
    double rate_mbit;  /* 0: unlimited */
    guint queue;       /* frames waiting for the sender */
    gboolean blackhole; /* everything that comes in vanishes; what is on its way still arrives */
};

struct link_counters {
    guint64 in_frames, in_bytes;
    guint64 out_frames, out_bytes;
    guint64 lost;      /* by chance */
    guint64 overflown; /* the queue, or LINK_BYTES_MAX, was full */
    guint64 swallowed; /* by the black hole */
};

struct link_frame {
    gint64 in_ns;  /* came in */
    gint64 due_ns; /* may go out; set when it leaves the queue */
    guint32 length;
    guint8 data[];
};

struct link;

/* The same SEED loses the same frames: whether frame n is lost depends on SEED, n and loss alone. */
struct link *link_new(const struct link_settings *settings, guint64 seed);
void link_free(struct link *link);

/* Applies to every frame that has not yet left the queue. */
void link_set(struct link *link, const struct link_settings *settings);
const struct link_settings *link_settings(const struct link *link);
void link_counters(const struct link *link, struct link_counters *counters);

void link_push(struct link *link, const guint8 *data, gsize length, gint64 now_ns);

/* The next frame that may go out at NOW_NS, without taking it, then the one after; NULL: none. I counts
 * from 0. */
const struct link_frame *link_peek(struct link *link, guint i, gint64 now_ns);
void link_pop(struct link *link, guint n); /* N frames seen by link_peek() have gone out */

/* When something is to do next; G_MAXINT64: not before the next push. */
gint64 link_next(const struct link *link);
