/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The store of seeds; see seeds.h. */
#include "block/seeds.h"

#include "base/log.h"
#include "block/image.h"
#include "block/seeds-index.h"
#include "block/seeds-table.h"
#include "block/sha.h"

#include <string.h>

#define LOG_AREA "seeds"
#define SCANNERS 2 /* at a time */

typedef struct {
    seeds *store;
    unsigned number;
    char *path, *what;
    gboolean qcow2;
    gboolean full; /* while it is scanned: there was no room for all of it */

    GMutex lock;   /* guards the rest; taken before the store's */
    image *reader; /* for seeds_read; NULL: not opened yet, or it cannot be */
    gboolean tried;
} seed;

struct seeds {
    char *index_dir;
    GPtrArray *all; /* of seed; fixed once started */
    GThread *threads[SCANNERS];
    gint stop; /* atomic */

    GMutex lock; /* guards the rest */
    GCond changed;
    seeds_table *table;
    unsigned next;     /* seed to be scanned */
    unsigned scanning; /* threads */
    unsigned wakes;
};

static void free_seed(gpointer data)
{
    seed *self = data;

    image_free(self->reader);
    g_mutex_clear(&self->lock);
    g_free(self->path);
    g_free(self->what);
    g_free(self);
}

seeds *seeds_new(const char *index_dir)
{
    seeds *self = g_new0(seeds, 1);

    self->index_dir = g_strdup(index_dir);
    self->all = g_ptr_array_new_with_free_func(free_seed);
    self->table = seeds_table_new();
    g_mutex_init(&self->lock);
    g_cond_init(&self->changed);
    return self;
}

void seeds_add(seeds *self, const char *path, const char *format, const char *what)
{
    seed *added;

    if (self->all->len == SEEDS_MAX) {
        log_warning("%s is left out: there are %d images already", path, SEEDS_MAX);
        return;
    }
    added = g_new0(seed, 1);
    *added = (seed){.store = self,
                    .number = self->all->len,
                    .path = g_strdup(path),
                    .what = g_strdup(what),
                    .qcow2 = !strcmp(format, "qcow2")};
    g_mutex_init(&added->lock);
    g_ptr_array_add(self->all, added);
}

static image *open_image(const seed *self, GError **error)
{
    return self->qcow2 ? image_open_qcow2(self->path, error)
                       : image_open_file(self->path, FALSE, error);
}

static gboolean take(const seeds_block *blocks, unsigned count, void *user)
{
    seed *self = user;
    seeds *store = self->store;

    g_mutex_lock(&store->lock);
    for (unsigned i = 0; i < count && !self->full; i++)
        self->full = !seeds_table_add(store->table, blocks[i].hint, self->number, blocks[i].block);
    g_cond_broadcast(&store->changed);
    g_mutex_unlock(&store->lock);
    return !self->full && !g_atomic_int_get(&store->stop);
}

static void look_at(seed *self)
{
    const seeds *store = self->store;
    gint64 began = g_get_monotonic_time();
    g_autoptr(GError) error = NULL;
    g_autoptr(image) from = NULL;

    if (store->index_dir &&
        seeds_index_load(store->index_dir, self->path, self->qcow2 ? "qcow2" : "raw", take, self)) {
        log_info("%s (%s): known by its index", self->path, self->what);
        return;
    }
    from = open_image(self, &error);
    if (!from || !seeds_scan(from, &store->stop, take, self, &error))
        log_warning("a %s image does not help: %s", self->what, error->message);
    else if (self->full)
        log_warning("%s (%s): not all of it can help, there is too much", self->path, self->what);
    else if (!g_atomic_int_get(&store->stop))
        log_info("%s (%s): read in %.1f s", self->path, self->what,
                 (double)(g_get_monotonic_time() - began) / G_USEC_PER_SEC);
}

static gpointer scan(gpointer user)
{
    seeds *self = user;

    seeds_scan_priority(SEEDS_LOW);
    g_mutex_lock(&self->lock);
    while (self->next < self->all->len && !g_atomic_int_get(&self->stop)) {
        seed *one = self->all->pdata[self->next++];
        g_mutex_unlock(&self->lock);
        look_at(one);
        g_mutex_lock(&self->lock);
    }
    self->scanning--;
    g_cond_broadcast(&self->changed);
    g_mutex_unlock(&self->lock);
    return NULL;
}

void seeds_start(seeds *self)
{
    unsigned count = MIN(SCANNERS, self->all->len);

    g_mutex_lock(&self->lock);
    self->scanning = count;
    g_mutex_unlock(&self->lock);
    for (unsigned i = 0; i < count; i++)
        self->threads[i] = g_thread_new("seeds", scan, self);
}

void seeds_stop(seeds *self)
{
    g_atomic_int_set(&self->stop, 1);
    g_mutex_lock(&self->lock);
    g_cond_broadcast(&self->changed);
    g_mutex_unlock(&self->lock);
}

void seeds_free(seeds *self)
{
    if (!self)
        return;
    seeds_stop(self);
    for (unsigned i = 0; i < SCANNERS; i++)
        g_clear_pointer(&self->threads[i], g_thread_join);
    g_ptr_array_unref(self->all);
    seeds_table_free(self->table);
    g_mutex_clear(&self->lock);
    g_cond_clear(&self->changed);
    g_free(self->index_dir);
    g_free(self);
}

static gboolean read_block(seed *self, uint64_t block, void *out, uint32_t length)
{
    g_autoptr(GError) error = NULL;
    gboolean good;

    g_mutex_lock(&self->lock);
    if (!self->tried) {
        self->tried = TRUE;
        self->reader = open_image(self, &error);
    }
    if (!self->reader || !image_is_shared(self->reader)) {
        good = self->reader && image_read(self->reader, block * OP_BLOCK, out, length, &error);
        g_mutex_unlock(&self->lock);
    } else {
        g_mutex_unlock(&self->lock);
        good = image_read(self->reader, block * OP_BLOCK, out, length, &error);
    }
    if (error)
        log_debug("%s", error->message);
    return good;
}

gboolean seeds_read(seeds *self, const uint8_t sha[OP_SHA256], uint32_t length, void *out)
{
    uint64_t hint = sha_hint(sha), block;
    uint8_t is[OP_SHA256];
    unsigned number;
    gboolean found;

    g_mutex_lock(&self->lock);
    found = seeds_table_find(self->table, hint, &number, &block);
    g_mutex_unlock(&self->lock);
    if (!found)
        return FALSE;
    if (read_block(self->all->pdata[number], block, out, length)) {
        sha_of(out, length, is);
        if (!memcmp(is, sha, OP_SHA256))
            return TRUE;
    }
    /* Another seed that is still to be scanned may hold it. */
    g_mutex_lock(&self->lock);
    seeds_table_drop(self->table, hint, number, block);
    g_mutex_unlock(&self->lock);
    return FALSE;
}

unsigned seeds_wait_hints(seeds *self, uint64_t from, uint64_t *out, unsigned most, gboolean *last)
{
    gint64 deadline = g_get_monotonic_time() + SEEDS_WAIT;
    unsigned count = 0, wakes;
    uint64_t there;
    gboolean over;

    g_mutex_lock(&self->lock);
    wakes = self->wakes;
    while (seeds_table_count(self->table) <= from && self->scanning && self->wakes == wakes &&
           !g_atomic_int_get(&self->stop))
        if (!g_cond_wait_until(&self->changed, &self->lock, deadline))
            break;
    over = g_atomic_int_get(&self->stop);
    there = seeds_table_count(self->table);
    while (!over && count < most && from + count < there) {
        out[count] = seeds_table_hint(self->table, from + count);
        count++;
    }
    *last = over || (!self->scanning && from + count >= there);
    g_mutex_unlock(&self->lock);
    return count;
}

void seeds_wake(seeds *self)
{
    g_mutex_lock(&self->lock);
    self->wakes++;
    g_cond_broadcast(&self->changed);
    g_mutex_unlock(&self->lock);
}
