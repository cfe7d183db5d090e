/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One direction of a cable. */
#include "link.h"

#define OVERHEAD 24 /* preamble 8, checksum 4, gap 12 */
#define SHORTEST 60

struct link {
    struct link_settings settings;
    struct link_counters counters;
    guint64 random;
    /* A ring: [head, mid) is on its way and has a time to arrive, [mid, tail) waits for the sender.
     * It is left in its order only, so that a frame waits for one before it that was to be delayed
     * more. */
    struct link_frame **frames;
    guint64 head, mid, tail, room;
    gsize bytes;
    gint64 free_ns; /* when the sender is free again */
};

struct link *link_new(const struct link_settings *settings, guint64 seed)
{
    struct link *l = g_new0(struct link, 1);
    l->settings = *settings;
    l->random = seed;
    l->room = 1024;
    l->frames = g_new(struct link_frame *, l->room);
    return l;
}

static struct link_frame **at(const struct link *l, guint64 i)
{
    return &l->frames[i & (l->room - 1)];
}

void link_free(struct link *l)
{
    for (guint64 i = l->head; i < l->tail; i++)
        g_free(*at(l, i));
    g_free(l->frames);
    g_free(l);
}

void link_set(struct link *l, const struct link_settings *settings)
{
    l->settings = *settings;
}

const struct link_settings *link_settings(const struct link *l)
{
    return &l->settings;
}

void link_counters(const struct link *l, struct link_counters *counters)
{
    *counters = l->counters;
}

/* 0 ≤ result < 1. (splitmix64) */
static double draw(struct link *l)
{
    guint64 z = l->random += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return (double)((z ^ z >> 31) >> 11) / 9007199254740992.0;
}

static void grow(struct link *l)
{
    guint64 room = l->room * 2;
    struct link_frame **frames = g_new(struct link_frame *, room);

    for (guint64 i = l->head; i < l->tail; i++)
        frames[i & (room - 1)] = *at(l, i);
    g_free(l->frames);
    l->frames = frames;
    l->room = room;
}

static gint64 duration_ns(const struct link *l, gsize length)
{
    gsize bytes = MAX(length, SHORTEST) + OVERHEAD;
    return l->settings.rate_mbit > 0 ? (gint64)((double)bytes * 8000 / l->settings.rate_mbit) : 0;
}

/* Lets the sender work up to NOW_NS. When a frame begins to leave, its arrival is settled. */
static void send_waiting(struct link *l, gint64 now_ns)
{
    while (l->mid < l->tail && (l->free_ns <= now_ns || l->settings.rate_mbit == 0)) {
        struct link_frame *f = *at(l, l->mid++);
        gint64 start = l->settings.rate_mbit > 0 ? MAX(l->free_ns, f->in_ns) : now_ns;
        l->free_ns = start + duration_ns(l, f->length);
        f->due_ns = l->free_ns + (gint64)(l->settings.delay_ms * 1e6);
    }
}

void link_push(struct link *l, const guint8 *data, gsize length, gint64 now_ns)
{
    l->counters.in_frames++;
    l->counters.in_bytes += length;
    /* Drawn for every frame, so that which are lost does not depend on what else happens. */
    gboolean lost = draw(l) * 100 < l->settings.loss;
    send_waiting(l, now_ns);
    if (l->settings.blackhole) {
        l->counters.swallowed++;
    } else if (lost) {
        l->counters.lost++;
    } else if (l->tail - l->mid >= l->settings.queue || l->bytes + length > LINK_BYTES_MAX) {
        l->counters.overflown++;
    } else {
        struct link_frame *f = g_malloc(sizeof *f + length);
        f->in_ns = now_ns;
        f->due_ns = G_MAXINT64;
        f->length = (guint32)length;
        memcpy(f->data, data, length);
        if (l->tail - l->head == l->room)
            grow(l);
        *at(l, l->tail++) = f;
        l->bytes += length;
        send_waiting(l, now_ns);
    }
}

const struct link_frame *link_peek(struct link *l, guint i, gint64 now_ns)
{
    send_waiting(l, now_ns);
    if (l->head + i >= l->mid || (*at(l, l->head + i))->due_ns > now_ns)
        return NULL;
    return *at(l, l->head + i);
}

void link_pop(struct link *l, guint n)
{
    for (; n > 0; n--, l->head++) {
        struct link_frame *f = *at(l, l->head);
        l->counters.out_frames++;
        l->counters.out_bytes += f->length;
        l->bytes -= f->length;
        g_free(f);
    }
}

gint64 link_next(const struct link *l)
{
    gint64 next = l->head < l->mid ? (*at(l, l->head))->due_ns : G_MAXINT64;
    return l->mid < l->tail ? MIN(next, l->free_ns) : next;
}
