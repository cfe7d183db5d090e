/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A DATA frame in memory: payload and what its header says, counted references, and the pool
 * that big ones come from, so that a fast stream does not ask the kernel for fresh pages all the
 * time.
 *
 * A frame belongs to the one who fills it; from the moment it is shared (queued, delivered) only
 * its reference count changes.
 */
#pragma once
#include "relay/wire.h"

typedef struct frame_pool frame_pool;

typedef struct frame {
    struct frame *next; /* in the pool, or in a list of frames to drop */
    frame_pool *pool;   /* NULL: from the heap */
    int references;     /* atomic */
    uint16_t stream;
    uint8_t flags;
    uint64_t number;
    uint32_t length;   /* of the payload */
    uint32_t capacity; /* of `payload` */
    uint8_t payload[];
} frame;

/* Thread-safe. Keeps at most `keep` unused frames of WIRE_PAYLOAD_MAX. All frames must be gone
 * before it is freed. */
frame_pool *frame_pool_new(unsigned keep);
void frame_pool_free(frame_pool *self);

/* A frame with room for `capacity` bytes (up to WIRE_PAYLOAD_MAX) and one reference: from the
 * pool when at least half of a pooled frame is wanted, else as small as asked for. Never NULL. */
frame *frame_new(frame_pool *pool, uint32_t capacity);
frame *frame_ref(frame *self);
void frame_unref(frame *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(frame, frame_unref)
/* Drops a list linked by `next`, one reference each. */
void frame_unref_list(frame *list);
