/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A mux between a peer that sends any frames and local ends that push, take and end: the window's
 * invariants (stream.h) hold after every input, so what a peer can make us hold stays bounded, and
 * what is handed out is in order and as announced.
 *
 * Input: 1 (bit 0: the peer opens streams), then steps: 1 what (lower 3 bits; the upper ones are an
 * argument), and what that step needs. */
#include "fuzz.h"
#include "relay/mux.h"

#define PENDING_MAX 8

typedef struct {
    mux mux;
    gint64 now;
    struct {
        stream *target;
        frame *payload;
    } pending[PENDING_MAX]; /* announced; the payload is still on a channel */
} world;

/* What arrives is what the protocol can carry: lengths in steps that reach the window's end. */
static gboolean read_frame(fuzz_input *in, uint8_t type, const world *w, wire_frame *f)
{
    uint8_t header[WIRE_HEADER_SIZE], who = fuzz_byte(in);
    wire_frame raw = {.type = type};
    const stream *known = NULL;
    uint64_t number = (uint64_t)(int64_t)(int8_t)fuzz_byte(in);

    raw.stream = wire_stream_id(who >> 6, who & 0x3f);
    for (guint i = 0; i < w->mux.streams->len; i++)
        if (((stream *)w->mux.streams->pdata[i])->id == raw.stream)
            known = w->mux.streams->pdata[i];
    if (type == FRAME_ACK) {
        raw.number = number + (known ? known->out.acked : 0);
    } else {
        uint16_t length = fuzz_short(in);
        raw.flags = length & 3;
        raw.length = (uint32_t)(length >> 2) * 16;
        if (number >= 0x60 && number < 0x80) /* to the window's end and beyond */
            number += WIRE_WINDOW_FRAMES - 0x70;
        raw.number = number + (known ? known->in.taken : 0);
    }
    wire_put_frame(header, &raw);
    return wire_get_frame(header, f, NULL);
}

static stream *pick(world *w, uint8_t number)
{
    return w->mux.streams->pdata[number % w->mux.streams->len];
}

static frame *payload_of(const wire_frame *f)
{
    frame *payload = frame_new(NULL, f->length);

    payload->stream = f->stream;
    payload->flags = f->flags;
    payload->number = f->number;
    payload->length = f->length;
    return payload;
}

/* FALSE: the session is over. */
static gboolean announce(world *w, fuzz_input *in, unsigned later)
{
    g_autoptr(GError) error = NULL;
    wire_frame f;
    stream *target;
    gboolean opened;
    guint before = w->mux.streams->len;
    stream_verdict verdict;

    if (!read_frame(in, FRAME_DATA, w, &f))
        return TRUE;
    verdict = mux_announce(&w->mux, &f, &target, &opened, &error);
    g_assert_cmpint(verdict == STREAM_WRONG, ==, error != NULL);
    g_assert_cmpuint(w->mux.streams->len, ==, before + (opened ? 1 : 0));
    g_assert_true(!opened || w->mux.peer_opens);
    if (verdict != STREAM_WANTED)
        return verdict != STREAM_WRONG;
    if (later < PENDING_MAX && !w->pending[later].payload) {
        w->pending[later].target = target;
        w->pending[later].payload = payload_of(&f);
    } else {
        mux_deliver(&w->mux, target, payload_of(&f));
    }
    return TRUE;
}

static void arrive(world *w, unsigned which)
{
    if (which < PENDING_MAX && w->pending[which].payload)
        mux_deliver(&w->mux, w->pending[which].target, g_steal_pointer(&w->pending[which].payload));
}

/* As session_pull does, for all there is; a few may be held back. */
static void take(world *w, fuzz_input *in)
{
    stream *s = pick(w, fuzz_byte(in));
    uint64_t held = fuzz_byte(in) & 7, next = s->in.taken;
    frame *f;

    while ((f = stream_in_take(&s->in))) {
        g_assert_cmpuint(f->number, ==, next++);
        g_assert_cmpuint(f->stream, ==, s->id);
        frame_unref(f);
    }
    if (s->in.taken > held && s->in.taken - held > s->in.consumed)
        mux_consumed(&w->mux, s, s->in.taken - held);
    s->retired = mux_has_ended(s);
}

static void push(world *w, fuzz_input *in)
{
    stream *s = pick(w, fuzz_byte(in));
    uint16_t length = fuzz_short(in);
    frame *f;

    if (length & 1) {
        if (s != w->mux.control)
            stream_out_end(&s->out, s->id, (length & 2) != 0);
        return;
    }
    if (s->out.ended || !mux_may_push(s, 1 + length))
        return;
    f = frame_new(NULL, 1 + length);
    f->stream = s->id;
    f->length = 1 + length;
    stream_out_push(&s->out, f);
}

static void send_some(world *w, unsigned channel)
{
    mux_item item;

    for (int i = 0; i < 4 && mux_next(&w->mux, (int)channel, w->now += 1000, &item); i++) {
        wire_frame f;
        g_autoptr(GError) error = NULL;
        wire_get_frame(item.header, &f, &error);
        g_assert_no_error(error); /* what we say is what we would let through */
        g_assert_true(!item.payload || (item.payload->length == f.length &&
                                        item.payload->number == f.number));
        g_clear_pointer(&item.payload, frame_unref);
    }
    g_assert_cmpint(mux_pause(&w->mux, w->now), >=, -1);
}

static gboolean step(world *w, fuzz_input *in)
{
    uint8_t what = fuzz_byte(in);
    unsigned argument = what >> 3;
    g_autoptr(GError) error = NULL;
    wire_frame f;
    frame *gone = NULL;

    switch (what & 7) {
    case 0:
    case 1:
        return announce(w, in, argument);
    case 2:
        arrive(w, argument);
        return TRUE;
    case 3:
        take(w, in);
        return TRUE;
    case 4:
        push(w, in);
        return TRUE;
    case 5:
        send_some(w, argument & 3);
        return TRUE;
    case 6:
        if (!read_frame(in, FRAME_ACK, w, &f))
            return TRUE;
        if (!mux_acknowledge(&w->mux, &f, &gone, &error)) {
            g_assert_nonnull(error);
            g_assert_null(gone);
            return FALSE;
        }
        frame_unref_list(gone);
        return TRUE;
    default:
        if (argument < 16)
            mux_lost(&w->mux, argument & 3);
        else if (!w->mux.peer_opens)
            (void)mux_open(&w->mux, 1 + argument % 3, NULL);
        return TRUE;
    }
}

static void check_in(const stream *s)
{
    const stream_in *in = &s->in;
    uint64_t bytes = 0;

    g_assert_cmpuint(in->consumed, <=, in->taken);
    g_assert_cmpuint(in->highest, <=, in->consumed + WIRE_WINDOW_FRAMES);
    g_assert_cmpuint(in->bytes, <=, WIRE_WINDOW_BYTES);
    for (uint64_t n = in->consumed; n < in->consumed + WIRE_WINDOW_FRAMES; n++) {
        guint i = n % WIRE_WINDOW_FRAMES;
        const frame *f = in->slot[i].frame;
        bytes += in->slot[i].announced ? in->slot[i].length : 0;
        g_assert_true(!f || (in->slot[i].announced && f->number == n && n >= in->taken &&
                             f->length == in->slot[i].length && f->flags == in->slot[i].flags));
        g_assert_true(!in->slot[i].announced || n < in->highest);
    }
    g_assert_cmpuint(bytes, ==, in->bytes);
}

static void check_out(const stream *s)
{
    const stream_out *out = &s->out;
    uint64_t bytes = 0, queued = 0;

    g_assert_true(out->acked <= out->fresh && out->fresh <= out->next &&
                  out->acked <= out->cursor && out->cursor <= out->next);
    g_assert_cmpuint(out->next - out->acked, <=, WIRE_WINDOW_FRAMES);
    g_assert_cmpuint(out->bytes, <=, WIRE_WINDOW_BYTES);
    for (uint64_t n = out->acked; n < out->next; n++) {
        guint i = n % WIRE_WINDOW_FRAMES;
        gboolean waits = out->slot[i].channel == STREAM_NO_CHANNEL;
        g_assert_nonnull(out->slot[i].frame);
        g_assert_true(!waits || n >= out->cursor);
        bytes += out->slot[i].frame->length;
        queued += waits ? out->slot[i].frame->length : 0;
    }
    g_assert_cmpuint(bytes, ==, out->bytes);
    g_assert_cmpuint(queued, ==, out->queued);
    g_assert_true(out->cursor == out->next ||
                  out->slot[out->cursor % WIRE_WINDOW_FRAMES].channel == STREAM_NO_CHANNEL);
}

static void check(const mux *m)
{
    for (guint i = 0; i < m->streams->len; i++) {
        check_in(m->streams->pdata[i]);
        check_out(m->streams->pdata[i]);
    }
    for (guint i = 1; i < STREAM_KINDS; i++)
        g_assert_cmpuint(m->opened[i], <=, m->most[i]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_input in = {data, size};
    g_autofree world *w = g_new0(world, 1);
    gboolean good = TRUE;

    mux_init(&w->mux, fuzz_byte(&in) & 1);
    mux_allow(&w->mux, STREAM_RPC, 1);
    mux_allow(&w->mux, STREAM_DISK, 3);
    while (in.left && good) {
        good = step(w, &in);
        if (in.left % 64 == 0)
            check(&w->mux);
    }
    check(&w->mux);
    for (guint i = 0; i < PENDING_MAX; i++)
        g_clear_pointer(&w->pending[i].payload, frame_unref);
    mux_clear(&w->mux);
    return 0;
}
