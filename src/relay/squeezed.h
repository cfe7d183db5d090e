/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Bytes in order, compressed when that is faster: the codec of memory streams, both directions and
 * both sides (docs/protocol.md, "Compressed").
 *
 * A frame: 1 form (0 plain, 1 zstd), 3 zero, 4 length of the content (1 to SQUEEZED_CONTENT_MAX),
 * then the content or the zstd frame that gives it. */
#pragma once
#include "relay/pump.h"

#define SQUEEZED_CONTENT_MAX 131072

/* `valve_` (may be NULL): a valve that holds back what comes from the local connection. */
pump_codec *squeezed_codec_new(void *valve_);
