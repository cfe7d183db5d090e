/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Streams over channels for tests: both ways at once, in random parts, each byte checked; and what
 * tests of ends need: sending a few bytes, waiting for some, and asserting how it is over. */
#pragma once
#include "net/channel.h"
#include "ends.h"

#define FLOW_LIMIT_S 120 /* longer than anything takes on a slow machine */
#define FLOW_PATTERN 65537
#define MIB          (1024 * 1024)

/* Position n of every stream holds flow_pattern()[n % FLOW_PATTERN]. */
const guint8 *flow_pattern(void);

/* One side of a full-duplex stream. */
typedef struct {
    channel *c;
    guint64 sent, received, total; /* of the stream; `total` each way, fixed while running */
    GRand *sizes;
    size_t largest; /* of one part and of one receive */
} flow;

/* As much as fits, and what is here; return whether anything moved. */
gboolean flow_send(flow *f);
gboolean flow_receive(flow *f);
/* Both directions to the end, in this thread; or in two threads for both channels of a pair. */
void flow_run(flow *f);
gpointer flow_thread(gpointer flow);
void flow_pair(outcome *o, guint64 total, size_t largest);

/* Sends and flushes; must fit. */
void flow_say(channel *c, const void *bytes, size_t length);
/* Waits for input or an error; returns what channel_receive then says. */
ssize_t flow_hear(channel *c, void *buffer, size_t size, GError **error);
/* The next thing is this G_IO_ERROR, it stays, and nothing more is waited for. */
void flow_ends_with(channel *c, int code);
