/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Digest -> place; see seeds-table.h. */
#include "block/seeds-table.h"

#define FIRST_SLOTS 4096
#define BLOCK_BITS  48 /* of a place; the seed is above */
#define DROPPED     UINT64_MAX

G_STATIC_ASSERT(OP_SIZE_MAX / OP_BLOCK < 1ULL << BLOCK_BITS);
G_STATIC_ASSERT(SEEDS_MAX < 1 << (64 - BLOCK_BITS));

typedef struct {
    uint64_t hint, place;
} entry;

struct seeds_table {
    GArray *entries; /* of entry, in the order they came */
    uint32_t *slots; /* 1 + number of an entry, 0: free; at most half of them are taken */
    unsigned bits;   /* 2^bits slots */
    uint64_t factor; /* odd, random: guests choose what their disks hold, and so the hints */
};

static gsize slot_of(const seeds_table *self, uint64_t hint)
{
    return (gsize)(hint * self->factor >> (64 - self->bits));
}

/* The slot where the hint is, or the free one where it belongs. */
static uint32_t *find(const seeds_table *self, uint64_t hint)
{
    gsize mask = ((gsize)1 << self->bits) - 1;

    for (gsize i = slot_of(self, hint);; i = (i + 1) & mask) {
        uint32_t *slot = &self->slots[i];
        if (!*slot || g_array_index(self->entries, entry, *slot - 1).hint == hint)
            return slot;
    }
}

static void grow(seeds_table *self, unsigned bits)
{
    g_free(self->slots);
    self->bits = bits;
    self->slots = g_new0(uint32_t, (gsize)1 << bits);
    for (guint i = 0; i < self->entries->len; i++)
        *find(self, g_array_index(self->entries, entry, i).hint) = i + 1;
}

seeds_table *seeds_table_new(void)
{
    seeds_table *self = g_new0(seeds_table, 1);

    self->entries = g_array_new(FALSE, FALSE, sizeof(entry));
    self->factor = (uint64_t)g_random_int() << 32 | g_random_int() | 1;
    grow(self, g_bit_storage(FIRST_SLOTS - 1));
    return self;
}

void seeds_table_free(seeds_table *self)
{
    if (!self)
        return;
    g_array_unref(self->entries);
    g_free(self->slots);
    g_free(self);
}

static uint64_t place_of(unsigned seed, uint64_t block)
{
    return (uint64_t)seed << BLOCK_BITS | block;
}

gboolean seeds_table_add(seeds_table *self, uint64_t hint, unsigned seed, uint64_t block)
{
    entry added = {hint, place_of(seed, block)};
    uint32_t *slot = find(self, hint);

    if (*slot) {
        entry *there = &g_array_index(self->entries, entry, *slot - 1);
        if (there->place == DROPPED)
            there->place = added.place;
        return TRUE;
    }
    if (self->entries->len == SEEDS_BLOCKS_MAX)
        return FALSE;
    g_array_append_val(self->entries, added);
    *slot = self->entries->len;
    if (self->entries->len > (gsize)1 << (self->bits - 1))
        grow(self, self->bits + 1);
    return TRUE;
}

gboolean seeds_table_find(const seeds_table *self, uint64_t hint, unsigned *seed, uint64_t *block)
{
    uint32_t slot = *find(self, hint);
    uint64_t place = slot ? g_array_index(self->entries, entry, slot - 1).place : DROPPED;

    *seed = (unsigned)(place >> BLOCK_BITS);
    *block = place & ((1ULL << BLOCK_BITS) - 1);
    return place != DROPPED;
}

void seeds_table_drop(seeds_table *self, uint64_t hint, unsigned seed, uint64_t block)
{
    uint32_t slot = *find(self, hint);
    entry *there = slot ? &g_array_index(self->entries, entry, slot - 1) : NULL;

    if (there && there->place == place_of(seed, block))
        there->place = DROPPED;
}

uint64_t seeds_table_count(const seeds_table *self)
{
    return self->entries->len;
}

uint64_t seeds_table_hint(const seeds_table *self, uint64_t number)
{
    return g_array_index(self->entries, entry, number).hint;
}
