/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Bits by number; see bitmap.h. */
#include "block/bitmap.h"
#include "base/fdio.h"

#include <errno.h>
#include <sys/mman.h>

struct bitmap {
    uint64_t *words;
    size_t count; /* of words */
};

bitmap *bitmap_new(uint64_t bits, GError **error)
{
    size_t count = (size_t)((bits + 63) / 64);
    void *words = mmap(NULL, MAX(count, 1) * sizeof(uint64_t), PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    bitmap *self;

    if (words == MAP_FAILED) {
        fdio_error(error, errno, "no memory for a map of a disk");
        return NULL;
    }
    self = g_new0(bitmap, 1);
    *self = (bitmap){.words = words, .count = count};
    return self;
}

void bitmap_free(bitmap *self)
{
    if (!self)
        return;
    munmap(self->words, MAX(self->count, 1) * sizeof(uint64_t));
    g_free(self);
}

gboolean bitmap_set(bitmap *self, uint64_t number)
{
    uint64_t bit = 1ULL << number % 64;

    return (__atomic_fetch_or(&self->words[number / 64], bit, __ATOMIC_RELAXED) & bit) != 0;
}

gboolean bitmap_clear(bitmap *self, uint64_t number)
{
    uint64_t bit = 1ULL << number % 64;

    if (!(__atomic_load_n(&self->words[number / 64], __ATOMIC_RELAXED) & bit))
        return FALSE; /* its page need not exist */
    return (__atomic_fetch_and(&self->words[number / 64], ~bit, __ATOMIC_RELAXED) & bit) != 0;
}

gboolean bitmap_next(const bitmap *self, uint64_t from, uint64_t end, uint64_t *number)
{
    uint64_t words = end / 64 + (end % 64 != 0), at = from / 64, word = 0, found;

    words = MIN(words, self->count);
    if (at < words)
        word = self->words[at] & (~0ULL << from % 64);
    while (!word && ++at < words)
        word = self->words[at];
    if (!word)
        return FALSE;
    found = at * 64 + (uint64_t)__builtin_ctzll(word);
    if (found >= end) /* of the last word, which may go on behind the end */
        return FALSE;
    *number = found;
    return TRUE;
}
