/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A set of numbers from a peer; see hints.h. */
#include "block/hints.h"

#include <pthread.h>
#include <xxhash.h>

struct hints {
    pthread_mutex_t lock;
    GHashTable *set; /* of hints, as pointers */
    int any;         /* atomic */
};

/* So that a peer cannot choose numbers which all fall into one bucket. */
static guint64 secret(void)
{
    static gsize made;
    static guint64 value;

    if (g_once_init_enter(&made)) {
        value = (guint64)g_random_int() << 32 | g_random_int();
        g_once_init_leave(&made, 1);
    }
    return value;
}

static guint hash(gconstpointer key)
{
    return (guint)XXH3_64bits_withSeed(&key, sizeof key, secret());
}

hints *hints_new(void)
{
    hints *self = g_new0(hints, 1);

    G_STATIC_ASSERT(sizeof(gpointer) == sizeof(uint64_t));
    pthread_mutex_init(&self->lock, NULL);
    self->set = g_hash_table_new(hash, g_direct_equal);
    return self;
}

void hints_free(hints *self)
{
    if (!self)
        return;
    g_hash_table_unref(self->set);
    pthread_mutex_destroy(&self->lock);
    g_free(self);
}

void hints_add(hints *self, const op *message)
{
    pthread_mutex_lock(&self->lock);
    for (unsigned i = 0; i < message->count; i++)
        if (g_hash_table_size(self->set) < HINTS_MOST)
            g_hash_table_add(self->set, GSIZE_TO_POINTER(op_hint(message, i)));
    pthread_mutex_unlock(&self->lock);
    if (message->count > 0)
        g_atomic_int_set(&self->any, TRUE);
}

gboolean hints_any(hints *self)
{
    return g_atomic_int_get(&self->any);
}

gboolean hints_has(hints *self, uint64_t hint)
{
    gboolean has;

    pthread_mutex_lock(&self->lock);
    has = g_hash_table_contains(self->set, GSIZE_TO_POINTER(hint));
    pthread_mutex_unlock(&self->lock);
    return has;
}
