/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The streams of a session and what is sent next; see mux.h. */
#include "relay/mux.h"

/* What may wait for a channel; the rest of a window is under way. */
#define QUEUE_MEMORY (256 * 1024)
#define QUEUE_DISK   (1024 * 1024)

static stream *stream_new(mux *self, uint16_t id)
{
    stream *s = g_new0(stream, 1);

    s->id = id;
    stream_out_init(&s->out);
    stream_in_init(&s->in);
    pthread_cond_init(&s->ready, NULL);
    pthread_cond_init(&s->room, NULL);
    g_ptr_array_add(self->streams, s);
    self->opened[wire_stream_kind(id)]++;
    return s;
}

static void stream_free(void *data)
{
    stream *s = data;

    stream_out_clear(&s->out);
    stream_in_clear(&s->in);
    pthread_cond_destroy(&s->ready);
    pthread_cond_destroy(&s->room);
    g_free(s);
}

void mux_init(mux *self, gboolean peer_opens)
{
    *self = (mux){.peer_opens = peer_opens, .most[STREAM_CONTROL] = 1};
    self->streams = g_ptr_array_new_with_free_func(stream_free);
    self->control = stream_new(self, wire_stream_id(STREAM_CONTROL, 0));
}

void mux_clear(mux *self)
{
    g_clear_pointer(&self->streams, g_ptr_array_unref);
}

void mux_allow(mux *self, stream_kind kind, unsigned most)
{
    g_assert(kind > STREAM_CONTROL && kind < STREAM_KINDS && most <= WIRE_STREAM_NUMBERS);
    self->most[kind] = most;
}

gboolean mux_has_ended(const stream *s)
{
    return stream_in_is_done(&s->in) && stream_out_is_done(&s->out);
}

/* What the source counts as ended has said and got END on both sides, and so it has here; only our
 * END's acknowledgement may still be on its way. */
static unsigned count_open(const mux *self)
{
    unsigned open = 0;

    for (guint i = 1; i < self->streams->len; i++) {
        const stream *s = self->streams->pdata[i];
        open += !stream_in_is_done(&s->in) || !s->out.ended;
    }
    return open;
}

static gboolean may_open(const mux *self, uint16_t id, GError **error)
{
    stream_kind kind = wire_stream_kind(id);

    if (self->most[kind] == 0)
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_PERMISSION_DENIED,
                    "a %s stream, which this move has none of", stream_kind_name(kind));
    else if (wire_stream_number(id) >= self->most[kind])
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_PERMISSION_DENIED,
                    "%s stream %u, where at most %u are allowed", stream_kind_name(kind),
                    wire_stream_number(id) + 1, self->most[kind]);
    else if (count_open(self) >= WIRE_STREAMS_MAX)
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_PERMISSION_DENIED,
                    "one more stream, where %u are open already", WIRE_STREAMS_MAX);
    else
        return TRUE;
    return FALSE;
}

stream *mux_open(mux *self, stream_kind kind, GError **error)
{
    uint16_t id = wire_stream_id(kind, MIN(self->opened[kind], WIRE_STREAM_NUMBERS - 1));
    stream *s;

    if (self->opened[kind] >= self->most[kind] && self->most[kind] > 0) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_PERMISSION_DENIED,
                    "%s connection %u, where at most %u are allowed", stream_kind_name(kind),
                    self->opened[kind] + 1, self->most[kind]);
        return NULL;
    }
    if (!may_open(self, id, error))
        return NULL;
    s = stream_new(self, id);
    frame *first = frame_new(NULL, 0);
    first->stream = id;
    stream_out_push(&s->out, first);
    return s;
}

static stream *find(const mux *self, uint16_t id)
{
    for (guint i = 0; i < self->streams->len; i++)
        if (((stream *)self->streams->pdata[i])->id == id)
            return self->streams->pdata[i];
    return NULL;
}

/* µs for which rates hold a stream back. */
static gint64 held_back(const mux *self, const stream *s, gint64 now)
{
    switch (wire_stream_kind(s->id)) {
    case STREAM_MEMORY:
        return bucket_wait(&self->all, now);
    case STREAM_DISK:
        return MAX(bucket_wait(&self->all, now), bucket_wait(&self->disk, now));
    default:
        return 0;
    }
}

static gboolean may_send(const mux *self, const stream *s, gint64 now)
{
    return stream_out_is_waiting(&s->out) && held_back(self, s, now) == 0;
}

/* The stream whose frame goes next: control and rpc before all others, those in turn. */
static stream *next_sender(const mux *self, gint64 now)
{
    stream *chosen = NULL;
    guint distance = G_MAXUINT, count = self->streams->len;

    for (guint i = 0; i < count; i++) {
        stream *s = self->streams->pdata[i];
        guint d = (i + count - self->turn % count) % count;

        if (!may_send(self, s, now))
            continue;
        if (wire_stream_kind(s->id) <= STREAM_RPC)
            return s;
        if (d < distance) {
            distance = d;
            chosen = s;
        }
    }
    return chosen;
}

static stream *next_acknowledger(const mux *self)
{
    for (guint i = 0; i < self->streams->len; i++)
        if (((stream *)self->streams->pdata[i])->ack_due)
            return self->streams->pdata[i];
    return NULL;
}

static void put_ack(stream *s, mux_item *item)
{
    s->ack_due = FALSE;
    wire_put_frame(item->header,
                   &(wire_frame){.type = FRAME_ACK, .stream = s->id, .number = s->in.consumed});
}

static void put_data(mux *self, stream *s, int channel, mux_item *item)
{
    stream_kind kind = wire_stream_kind(s->id);
    gboolean again;
    frame *f = stream_out_take(&s->out, channel, &again);
    guint i;

    item->payload = f;
    pthread_cond_signal(&s->room);
    wire_put_frame(item->header, &(wire_frame){.type = FRAME_DATA,
                                               .flags = f->flags,
                                               .stream = s->id,
                                               .length = f->length,
                                               .number = f->number});
    if (again)
        self->resent += f->length;
    else
        self->payload_out[kind] += f->length;
    if (kind > STREAM_RPC && g_ptr_array_find(self->streams, s, &i))
        self->turn = i + 1;
}

gboolean mux_next(mux *self, int channel, gint64 now, mux_item *item)
{
    stream *acknowledged = next_acknowledger(self);
    stream *s = acknowledged ? acknowledged : next_sender(self, now);
    guint64 size = WIRE_HEADER_SIZE;

    item->payload = NULL;
    if (!s)
        return FALSE;
    if (acknowledged) {
        put_ack(s, item);
    } else {
        put_data(self, s, channel, item);
        size += item->payload->length;
        if (wire_stream_kind(s->id) == STREAM_DISK)
            bucket_take(&self->disk, size, now);
    }
    bucket_take(&self->all, size, now);
    return TRUE;
}

gboolean mux_may_push(const stream *s, uint32_t length)
{
    stream_kind kind = wire_stream_kind(s->id);
    uint32_t most = kind == STREAM_MEMORY ? QUEUE_MEMORY
                    : kind == STREAM_DISK ? QUEUE_DISK
                                          : WIRE_WINDOW_BYTES;

    return stream_out_may_queue(&s->out, length, most);
}

gboolean mux_has_work(const mux *self, gint64 now)
{
    for (guint i = 0; i < self->streams->len; i++) {
        const stream *s = self->streams->pdata[i];
        if (s->ack_due || may_send(self, s, now))
            return TRUE;
    }
    return FALSE;
}

gint64 mux_pause(const mux *self, gint64 now)
{
    gint64 least = -1;

    for (guint i = 0; i < self->streams->len; i++) {
        const stream *s = self->streams->pdata[i];
        gint64 wait = stream_out_is_waiting(&s->out) ? held_back(self, s, now) : 0;
        if (wait > 0 && (least < 0 || wait < least))
            least = wait;
    }
    return least;
}

static void name_stream(GError **error, uint16_t id)
{
    g_prefix_error(error, "%s stream %u: ", stream_kind_name(wire_stream_kind(id)),
                   wire_stream_number(id));
}

stream_verdict mux_announce(mux *self, const wire_frame *header, stream **target, gboolean *opened,
                            GError **error)
{
    stream_verdict verdict;

    *opened = FALSE;
    *target = find(self, header->stream);
    if (!*target) {
        if (!self->peer_opens) {
            g_set_error(error, G_IO_ERROR, G_IO_ERROR_PERMISSION_DENIED,
                        "data of a stream that this side has not opened");
            name_stream(error, header->stream);
            return STREAM_WRONG;
        }
        if (!may_open(self, header->stream, error)) {
            g_prefix_error(error, "the peer opens ");
            return STREAM_WRONG;
        }
        *target = stream_new(self, header->stream);
        *opened = TRUE;
    }
    verdict = stream_in_announce(&(*target)->in, header, error);
    if (verdict == STREAM_WRONG)
        name_stream(error, header->stream);
    if (verdict == STREAM_STALE)
        (*target)->ack_due = (*target)->in.consumed > 0;
    return verdict;
}

void mux_deliver(mux *self, stream *target, frame *f)
{
    uint32_t length = f->length;

    if (!stream_in_deliver(&target->in, f))
        return;
    self->payload_in[wire_stream_kind(target->id)] += length;
    while (target->retired && (f = stream_in_take(&target->in))) {
        mux_consumed(self, target, f->number + 1);
        frame_unref(f);
    }
    if (stream_in_is_ready(&target->in))
        pthread_cond_signal(&target->ready);
}

gboolean mux_acknowledge(mux *self, const wire_frame *header, frame **gone, GError **error)
{
    stream *s = find(self, header->stream);

    *gone = NULL;
    if (!s) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA,
                    "acknowledges a stream that does not exist");
        name_stream(error, header->stream);
        return FALSE;
    }
    if (!stream_out_ack(&s->out, header->number, gone, error)) {
        name_stream(error, header->stream);
        return FALSE;
    }
    if (*gone)
        pthread_cond_signal(&s->room);
    if (mux_has_ended(s)) /* who waits for more need not */
        pthread_cond_broadcast(&s->ready);
    return TRUE;
}

void mux_consumed(mux *self, stream *target, uint64_t number)
{
    if (number == target->in.consumed)
        return;
    stream_in_consumed(&target->in, number);
    target->ack_due = TRUE;
}

void mux_lost(mux *self, int channel)
{
    for (guint i = 0; i < self->streams->len; i++) {
        stream *s = self->streams->pdata[i];
        stream_out_lost(&s->out, channel);
        /* The channel may have taken an acknowledgement with it. */
        s->ack_due = s->in.consumed > 0;
    }
}

gboolean mux_is_drained(const mux *self)
{
    for (guint i = 0; i < self->streams->len; i++) {
        const stream *s = self->streams->pdata[i];
        if (s->out.acked != s->out.next || s->in.bytes > 0)
            return FALSE;
        if (s != self->control && !mux_has_ended(s))
            return FALSE;
    }
    return TRUE;
}
