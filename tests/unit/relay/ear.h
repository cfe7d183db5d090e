/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The target's end of a disk stream, simple and obedient: checks every message, keeps the disk in
 * memory, and answers as the test wants. At most one stream. */
#pragma once
#include "block/op.h"
#include "pair.h"
#include "relay/pump.h"

typedef struct {
    pair *p;
    /* With pair_lock held. What has come: */
    char *name; /* of OPEN; NULL: not yet */
    uint64_t size;
    uint8_t *image;
    unsigned plain, zstd, known, again, zeroes, flushes; /* messages */
    uint64_t kept_zeroes;                                /* bytes that may not be unmapped */
    gboolean ended;
    /* What to do: */
    gboolean hold;     /* DONE only at ear_release */
    gboolean forgets;  /* asks for every known block */
    GHashTable *holds; /* SHA-256 (GBytes) -> content (GBytes): what it knows */
    /* Its own: */
    pump_codec *codec;
    pump *io;
    op_digest running;
    GArray *held;       /* of uint32_t */
    GHashTable *needed; /* ids asked for */
} ear;

void ear_offer(ear *self, pair *p);
void ear_clear(ear *self);
/* Knows this content and says so. */
void ear_hold(ear *self, const void *content, uint32_t length);
/* Ends holding: says DONE with this errno for all that is held. */
void ear_release(ear *self, uint32_t errnum);
/* Says anything. After OPEN. */
void ear_say(ear *self, const void *bytes, uint32_t length);
void ear_say_ids(ear *self, op_type type, uint32_t id, uint32_t errnum);
