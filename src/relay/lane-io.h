/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Frames in and out of one channel: what is half sent, what is half received. Used by the lane's
 * thread alone; takes the session's lock for each look at the streams.
 *
 * Priorities are decided when a batch is filled, so little may lie behind that point: a batch is
 * filled only when the channel has given everything before it to the kernel, it takes frames until
 * it has 64 KiB, and the kernel keeps little that it has not sent (TCP_NOTSENT_LOWAT).
 */
#pragma once
#include "relay/lane.h"

typedef enum {
    LANE_IO_DEAD,  /* *error says why; the channel is of no use any more */
    LANE_IO_IDLE,  /* nothing moved: wait */
    LANE_IO_MOVED, /* bytes moved: try again */
    LANE_IO_STOP   /* the session has failed: close the channel */
} lane_io_result;

lane_io *lane_io_new(lane *owner);
void lane_io_free(lane_io *self);
/* A new channel: silence is counted from here. */
void lane_io_begin(lane_io *self, channel *c);
/* Forgets all that belongs to the channel that has died. */
void lane_io_reset(lane_io *self);

lane_io_result lane_io_receive(lane_io *self, channel *c, GError **error);
/* What is sent is decided here, and whether anything: see gauge.h, and `suspect`. */
lane_io_result lane_io_send(lane_io *self, channel *c, GError **error);
/* For how long nothing at all has arrived, not even half a frame: µs. Receive first: what lies in
 * the kernel while this process sleeps is no silence. */
gint64 lane_io_silence(lane_io *self, channel *c);
/* Monotonic µs when lane_io_send has a heartbeat to send if nothing else is sent. */
gint64 lane_io_beat_due(const lane_io *self);
/* Sends what is half sent, then BYE BROKEN, as far as that is possible within a second. */
void lane_io_give_up(lane_io *self, channel *c);
/* The channel has carried at least one valid frame of the peer. */
gboolean lane_io_was_useful(const lane_io *self);
