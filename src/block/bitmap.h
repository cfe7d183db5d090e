/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Bits by number, all clear at first. Memory is taken 4 KiB at a time, where bits are set: a bit for
 * each block of a disk of 1 TiB is 2 MiB at most. Bits may be set and cleared by any threads at once;
 * bitmap_next sees what was done before it. */
#pragma once
#include <gio/gio.h>
#include <stdint.h>

typedef struct bitmap bitmap;

bitmap *bitmap_new(uint64_t bits, GError **error);
/* NULL is allowed. */
void bitmap_free(bitmap *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(bitmap, bitmap_free)

/* Both return what it was. */
gboolean bitmap_set(bitmap *self, uint64_t number);
gboolean bitmap_clear(bitmap *self, uint64_t number);
/* The first set bit at `from` or behind it, and before `end`; no word of the map behind that is looked
 * at. G_MAXUINT64: to the last. */
gboolean bitmap_next(const bitmap *self, uint64_t from, uint64_t end, uint64_t *number);
