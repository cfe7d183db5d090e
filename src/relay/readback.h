/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Reads back from the medium what a sink has written, and compares it with its ledgers: while the move
 * goes on what has come to rest, at its end the remainder. */
#pragma once
#include "relay/sink.h"

typedef struct readback readback;

/* Starts its thread. `owner` has ledgers, and outlives it. */
readback *readback_new(sink *owner, GError **error);
/* NULL is allowed. */
void readback_free(readback *self);
/* All disks are sealed: the remainder, and what did not agree before. The error names disk and
 * offset. */
gboolean readback_finish(readback *self, GError **error);
