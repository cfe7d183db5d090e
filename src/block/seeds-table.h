/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Digest -> place, for seeds.c only: a hash table of 64-bit hints (first bytes of a SHA-256) that
 * also remembers their order. 24 bytes a block at best, 48 when it has just grown. One thread at a
 * time. */
#pragma once
#include "block/seeds.h"

typedef struct seeds_table seeds_table;

seeds_table *seeds_table_new(void);
void seeds_table_free(seeds_table *self);
/* `seed` < SEEDS_MAX, `block` counted in OP_BLOCK. A hint that is there keeps its place, unless
 * that was dropped. FALSE: full. */
gboolean seeds_table_add(seeds_table *self, uint64_t hint, unsigned seed, uint64_t block);
gboolean seeds_table_find(const seeds_table *self, uint64_t hint, unsigned *seed, uint64_t *block);
/* The block is not there any more. Its hint keeps its number. */
void seeds_table_drop(seeds_table *self, uint64_t hint, unsigned seed, uint64_t block);
/* How many hints there have been, and the one of that number, in the order they came. */
uint64_t seeds_table_count(const seeds_table *self);
uint64_t seeds_table_hint(const seeds_table *self, uint64_t number);
