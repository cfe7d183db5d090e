/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Frames in and out of one channel; see lane-io.h. */
#include "relay/lane-io.h"
#include "base/log.h"

#include <errno.h>
#include <poll.h>

#define LOG_AREA "relay"

#define BATCH_ITEMS   32
#define BATCH_BYTES   (64 * 1024)
#define RECEIVE_ROUND (256 * 1024) /* then it is sending's turn */
#define GIVE_UP_MS    1000
#define GAUGE_US      10000

struct lane_io {
    lane *owner;
    session *session;
    gboolean said_bye, useful;
    gint64 beat;               /* µs between heartbeats */
    gint64 heard_at, spoke_at; /* monotonic µs */
    guint64 heard;             /* bytes that had arrived then */
    /* Being sent: items[0] to items[items_filled - 1] as iov[iov_at] to iov[iov_filled - 1]. */
    mux_item items[BATCH_ITEMS];
    struct iovec iov[2 * BATCH_ITEMS];
    unsigned items_filled, iov_at, iov_filled;
    /* Being received: `have` bytes of header and payload. */
    uint8_t header[WIRE_HEADER_SIZE];
    size_t have;
    frame *payload; /* NULL until the header was judged, and for frames without payload */
    stream *target;
};

lane_io *lane_io_new(lane *owner)
{
    lane_io *self = g_new0(lane_io, 1);

    self->owner = owner;
    self->session = owner->owner;
    self->beat = (gint64)SESSION_BEAT_MS * 1000;
    if (self->session->setup.silence_ms > 0)
        self->beat = self->beat * self->session->setup.silence_ms / SESSION_SILENCE_MS;
    return self;
}

static void clear_batch(lane_io *self)
{
    for (unsigned i = 0; i < self->items_filled; i++)
        g_clear_pointer(&self->items[i].payload, frame_unref);
    self->items_filled = self->iov_at = self->iov_filled = 0;
}

void lane_io_reset(lane_io *self)
{
    clear_batch(self);
    g_clear_pointer(&self->payload, frame_unref);
    self->have = 0;
    self->said_bye = self->useful = FALSE;
}

void lane_io_free(lane_io *self)
{
    lane_io_reset(self);
    g_free(self);
}

void lane_io_begin(lane_io *self, channel *c)
{
    self->heard_at = self->spoke_at = g_get_monotonic_time();
    self->heard = channel_bytes_in(c);
}

gint64 lane_io_silence(lane_io *self, channel *c)
{
    gint64 now = g_get_monotonic_time();
    guint64 heard = channel_bytes_in(c);

    if (heard != self->heard) {
        self->heard = heard;
        self->heard_at = now;
    }
    return now - self->heard_at;
}

gint64 lane_io_beat_due(const lane_io *self)
{
    return self->spoke_at + self->beat;
}

gboolean lane_io_was_useful(const lane_io *self)
{
    return self->useful;
}

static void add_iov(lane_io *self, const void *base, size_t length)
{
    self->iov[self->iov_filled++] = (struct iovec){.iov_base = (void *)base, .iov_len = length};
}

static void add_item(lane_io *self)
{
    mux_item *item = &self->items[self->items_filled++];

    add_iov(self, item->header, WIRE_HEADER_SIZE);
    if (item->payload && item->payload->length > 0)
        add_iov(self, item->payload->payload, item->payload->length);
}

static void add_bare(lane_io *self, frame_type type, uint8_t flags)
{
    mux_item *item = &self->items[self->items_filled];

    item->payload = NULL;
    wire_put_frame(item->header, &(wire_frame){.type = (uint8_t)type, .flags = flags});
    add_item(self);
}

/* With the lock held. A channel that is alone carries everything. */
static gboolean may_carry(lane_io *self, gint64 now)
{
    session *s = self->session;
    const gauge *others[WIRE_CHANNELS_MAX];
    guint count = 0;

    for (unsigned i = 0; i < s->setup.channels; i++) {
        const lane *l = s->lanes[i];
        if (l && l != self->owner && l->state == LANE_UP && !l->suspect)
            others[count++] = &l->worth;
    }
    if (mux_has_work(&s->mux, now))
        gauge_judge(&self->owner->worth, others, count, now, !s->urgent);
    return !self->owner->suspect && !self->owner->worth.slow;
}

static void fill_batch(lane_io *self, channel *c)
{
    session *s = self->session;
    gint64 now = g_get_monotonic_time();
    gboolean may, was_slow, slow;
    size_t bytes = 0;

    pthread_mutex_lock(&s->lock);
    if (now - self->owner->worth.read_at >= GAUGE_US) /* this does not block */
        gauge_read(&self->owner->worth, channel_fd(c), now);
    was_slow = self->owner->worth.slow;
    may = may_carry(self, now);
    slow = self->owner->worth.slow;
    while (may && self->items_filled < BATCH_ITEMS && bytes < BATCH_BYTES &&
           mux_next(&s->mux, (int)self->owner->index, now, &self->items[self->items_filled])) {
        frame *f = self->items[self->items_filled].payload;
        bytes += WIRE_HEADER_SIZE + (f ? f->length : 0);
        add_item(self);
    }
    if (self->items_filled == 0 && s->state == SESSION_FINISHING && !self->said_bye) {
        add_bare(self, FRAME_BYE, 0);
        self->said_bye = TRUE;
    }
    if (self->items_filled == 0 && now >= lane_io_beat_due(self))
        add_bare(self, FRAME_BEAT, 0);
    if (self->items_filled > 0)
        self->spoke_at = now;
    session_wake_lane(s); /* if there is more than one channel's share */
    session_check_drained(s);
    pthread_mutex_unlock(&s->lock);
    if (slow != was_slow)
        log_info("channel %u: %s", self->owner->index,
                 slow ? "so slow that it would hold up the others; they carry everything"
                      : "is tried again beside the others");
}

/* 1: the whole batch was taken and has left, 0: would block, -1: dead. */
static int push_batch(lane_io *self, channel *c, GError **error)
{
    while (self->iov_at < self->iov_filled) {
        ssize_t n = channel_send(c, self->iov + self->iov_at,
                                 (int)(self->iov_filled - self->iov_at), error);
        if (n <= 0)
            return (int)n;
        while (n > 0 && (size_t)n >= self->iov[self->iov_at].iov_len)
            n -= (ssize_t)self->iov[self->iov_at++].iov_len;
        if (n > 0) {
            self->iov[self->iov_at].iov_base = (uint8_t *)self->iov[self->iov_at].iov_base + n;
            self->iov[self->iov_at].iov_len -= (size_t)n;
        }
    }
    clear_batch(self);
    return channel_flush(c, error);
}

lane_io_result lane_io_send(lane_io *self, channel *c, GError **error)
{
    int sent = push_batch(self, c, error);

    if (sent > 0) {
        fill_batch(self, c);
        if (self->items_filled == 0)
            return LANE_IO_IDLE;
        sent = push_batch(self, c, error);
    }
    return sent < 0 ? LANE_IO_DEAD : sent == 0 ? LANE_IO_IDLE : LANE_IO_MOVED;
}

void lane_io_give_up(lane_io *self, channel *c)
{
    gint64 deadline = g_get_monotonic_time() + GIVE_UP_MS * 1000;
    gboolean told = FALSE;
    int sent;

    while ((sent = push_batch(self, c, NULL)) >= 0) {
        gint64 left = deadline - g_get_monotonic_time();
        struct pollfd wait = {.fd = channel_fd(c), .events = POLLOUT};

        if (sent > 0 && told)
            return;
        if (sent > 0) {
            add_bare(self, FRAME_BYE, FRAME_BROKEN);
            told = TRUE;
        } else if (left <= 0 || poll(&wait, 1, (int)(left / 1000) + 1) < 0) {
            return;
        }
    }
}

static lane_io_result blame(lane_io *self, GError *why)
{
    pthread_mutex_lock(&self->session->lock);
    session_blame_peer(self->session, why);
    pthread_mutex_unlock(&self->session->lock);
    return LANE_IO_STOP;
}

static lane_io_result on_data_header(lane_io *self, const wire_frame *header)
{
    session *s = self->session;
    GError *error = NULL;
    gboolean opened;
    stream_verdict verdict;

    pthread_mutex_lock(&s->lock);
    if (s->state > SESSION_PARTED) {
        pthread_mutex_unlock(&s->lock);
        return LANE_IO_STOP;
    }
    verdict = mux_announce(&s->mux, header, &self->target, &opened, &error);
    pthread_mutex_unlock(&s->lock);
    if (verdict == STREAM_WRONG)
        return blame(self, error);
    if (opened)
        session_connect_stream(s, self->target);
    /* A control message gets a NUL behind it. A stale payload is read as well, and dropped when it
     * is delivered. */
    self->payload = frame_new(s->pool, MIN(header->length + 1, WIRE_PAYLOAD_MAX));
    self->payload->stream = header->stream;
    self->payload->flags = header->flags;
    self->payload->number = header->number;
    self->payload->length = header->length;
    return LANE_IO_MOVED;
}

static lane_io_result on_ack(lane_io *self, const wire_frame *header)
{
    session *s = self->session;
    GError *error = NULL;
    frame *gone;

    pthread_mutex_lock(&s->lock);
    mux_acknowledge(&s->mux, header, &gone, &error);
    session_check_drained(s);
    pthread_mutex_unlock(&s->lock);
    frame_unref_list(gone);
    return error ? blame(self, error) : LANE_IO_MOVED;
}

static lane_io_result on_bye(lane_io *self, const wire_frame *header)
{
    session *s = self->session;
    g_autoptr(GError) why = NULL;

    pthread_mutex_lock(&s->lock);
    if (header->flags & FRAME_BROKEN) {
        why = g_error_new(G_IO_ERROR, G_IO_ERROR_CLOSED,
                          "the peer has given this session up; its log says why");
        session_fail_locked(s, why);
    } else {
        s->peer_done = TRUE;
        session_check_drained(s);
    }
    pthread_mutex_unlock(&s->lock);
    return why ? LANE_IO_STOP : LANE_IO_MOVED;
}

static lane_io_result on_header(lane_io *self)
{
    wire_frame header;
    GError *error = NULL;

    if (!wire_get_frame(self->header, &header, &error))
        return blame(self, error);
    self->useful = TRUE;
    switch ((frame_type)header.type) {
    case FRAME_DATA:
        return on_data_header(self, &header);
    case FRAME_ACK:
        self->have = 0;
        return on_ack(self, &header);
    case FRAME_BYE:
        self->have = 0;
        return on_bye(self, &header);
    case FRAME_BEAT:
        self->have = 0;
        break;
    }
    return LANE_IO_MOVED;
}

static void on_payload(lane_io *self)
{
    session *s = self->session;

    pthread_mutex_lock(&s->lock);
    mux_deliver(&s->mux, self->target, g_steal_pointer(&self->payload));
    if (self->target == s->mux.control)
        pthread_cond_broadcast(&s->news);
    session_check_drained(s);
    pthread_mutex_unlock(&s->lock);
    self->have = 0;
    /* A stale frame wants its acknowledgement again: lane_io_send comes next in this thread. */
}

lane_io_result lane_io_receive(lane_io *self, channel *c, GError **error)
{
    size_t moved = 0;

    while (moved < RECEIVE_ROUND) {
        lane_io_result result = LANE_IO_MOVED;
        ssize_t n;

        if (self->payload)
            n = channel_receive(c, self->payload->payload + self->have - WIRE_HEADER_SIZE,
                                WIRE_HEADER_SIZE + self->payload->length - self->have, error);
        else
            n = channel_receive(c, self->header + self->have, WIRE_HEADER_SIZE - self->have, error);
        if (n < 0)
            return LANE_IO_DEAD;
        if (n == 0)
            break;
        self->have += (size_t)n;
        moved += (size_t)n;
        if (!self->payload && self->have == WIRE_HEADER_SIZE)
            result = on_header(self);
        if (self->payload && self->have == WIRE_HEADER_SIZE + self->payload->length)
            on_payload(self);
        if (result != LANE_IO_MOVED)
            return result;
    }
    return moved > 0 ? LANE_IO_MOVED : LANE_IO_IDLE;
}
