/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A peer that speaks frames by hand over a channel of pair_raw_source or pair_raw_target. */
#pragma once
#include "pair.h"

/* Blocking. TRUE when it could be sent. */
gboolean raw_send(channel *c, const void *bytes, size_t length);
gboolean raw_frame(channel *c, wire_frame header, const void *payload);
/* Blocking: the next frame that is no heartbeat, its payload thrown away. FALSE: the channel has
 * ended. */
gboolean raw_next(channel *c, wire_frame *header);
/* Reads on until a frame of this type; aborts the test when the channel ends before. */
wire_frame raw_expect(channel *c, frame_type type);
/* Reads on to the end of the channel; whether the last frame was BYE with these flags. */
gboolean raw_ends_with_bye(channel *c, uint8_t flags);
