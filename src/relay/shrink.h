/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Compressing what a stream sends, when that is worth it (block/squeeze.h): measures the stream's
 * pace and the compressor. For one direction of one stream, one thread. */
#pragma once
#include "block/pack.h"
#include "block/squeeze.h"
#include "relay/pump.h"

typedef struct {
    squeeze squeeze;
    gboolean begun;
    pack *pack; /* these two are made when first needed */
    uint8_t *scratch;
} shrink;

void shrink_clear(shrink *self);
/* The content as a zstd frame, behind room for `header` bytes, in a frame of its own whose length
 * is both; shorter than the content by at least a sixteenth. NULL: send it as it is. */
frame *shrink_try(shrink *self, pump *io, const void *content, uint32_t length, uint32_t header);
