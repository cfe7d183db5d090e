/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Streams without a network: two muxes, and between them channels that lose what they carry when
 * they die and that overtake each other. Everything random comes from a seed. */
#include "relay/mux.h"

#include <string.h>

#define CHANNELS 4
#define NOW      (1000 * G_USEC_PER_SEC)
#define KINDS    3 /* streams in the property test: rpc, memory, disk */

typedef struct {  /* one direction of one channel */
    GQueue items; /* of mux_item */
} pipe_queue;

typedef struct {
    mux here, there;
    pipe_queue up[CHANNELS], down[CHANNELS]; /* here -> there, there -> here */
    GRand *random;
} net;

static void item_free(void *data)
{
    mux_item *item = data;

    g_clear_pointer(&item->payload, frame_unref);
    g_free(item);
}

static net *net_new(guint32 seed)
{
    net *n = g_new0(net, 1);

    mux_init(&n->here, FALSE);
    mux_init(&n->there, TRUE);
    for (int kind = STREAM_RPC; kind < STREAM_KINDS; kind++) {
        mux_allow(&n->here, (stream_kind)kind, 4);
        mux_allow(&n->there, (stream_kind)kind, 4);
    }
    for (int i = 0; i < CHANNELS; i++) {
        g_queue_init(&n->up[i].items);
        g_queue_init(&n->down[i].items);
    }
    n->random = g_rand_new_with_seed(seed);
    return n;
}

static void net_free(net *n)
{
    for (int i = 0; i < CHANNELS; i++) {
        g_queue_clear_full(&n->up[i].items, item_free);
        g_queue_clear_full(&n->down[i].items, item_free);
    }
    mux_clear(&n->here);
    mux_clear(&n->there);
    g_rand_free(n->random);
    g_free(n);
}

static gboolean send_one(mux *from, int channel, pipe_queue *to)
{
    mux_item *item = g_new0(mux_item, 1);

    if (!mux_next(from, channel, NOW, item)) {
        g_free(item);
        return FALSE;
    }
    g_queue_push_tail(&to->items, item);
    return TRUE;
}

/* A copy, as if it had crossed a wire. */
static frame *copy(const frame *f)
{
    frame *c = frame_new(NULL, f->length);

    c->stream = f->stream;
    c->flags = f->flags;
    c->number = f->number;
    c->length = f->length;
    memcpy(c->payload, f->payload, f->length);
    return c;
}

static void receive_one(mux *to, pipe_queue *from)
{
    mux_item *item = g_queue_pop_head(&from->items);
    g_autoptr(GError) error = NULL;
    wire_frame header;

    if (!item)
        return;
    wire_get_frame(item->header, &header, &error);
    g_assert_no_error(error);
    if (header.type == FRAME_ACK) {
        frame *gone;
        mux_acknowledge(to, &header, &gone, &error);
        frame_unref_list(gone);
    } else {
        gboolean opened;
        stream *s;
        mux_announce(to, &header, &s, &opened, &error);
        g_assert_no_error(error);
        mux_deliver(to, s, copy(item->payload));
    }
    g_assert_no_error(error);
    item_free(item);
}

/* The two ends learn of it at different times: what is in one direction may still arrive. */
static void die(net *n, int channel)
{
    int survive = g_rand_int_range(n->random, 0, 3);

    while (survive-- > 0)
        receive_one(&n->there, &n->up[channel]);
    mux_lost(&n->here, channel);
    mux_lost(&n->there, channel);
    g_queue_clear_full(&n->up[channel].items, item_free);
    g_queue_clear_full(&n->down[channel].items, item_free);
}

static frame *make(uint16_t id, uint32_t length, uint8_t flags, guint64 at)
{
    frame *f = frame_new(NULL, length);

    f->stream = id;
    f->length = length;
    f->flags = flags;
    for (uint32_t i = 0; i < length; i++)
        f->payload[i] = (uint8_t)((at + i) * 167 + id);
    return f;
}

typedef struct { /* one direction of one stream */
    mux *from, *to;
    uint16_t id;
    guint64 sent, got, total;
    gboolean ended;
} flow;

static stream *find(mux *m, uint16_t id)
{
    for (guint i = 0; i < m->streams->len; i++)
        if (((stream *)m->streams->pdata[i])->id == id)
            return m->streams->pdata[i];
    return NULL;
}

static void produce(flow *f, GRand *random)
{
    stream *s = find(f->from, f->id);
    uint32_t length = 1u << g_rand_int_range(random, 0, 15);
    gboolean last;

    if (!s || s->out.ended)
        return;
    length = (uint32_t)MIN(length, f->total - f->sent);
    if (!stream_out_has_room(&s->out, length))
        return;
    last = f->sent + length == f->total;
    stream_out_push(&s->out, make(f->id, length, 0, f->sent));
    if (last)
        stream_out_end(&s->out, f->id, FALSE);
    f->sent += length;
}

static void consume(flow *f)
{
    stream *s = find(f->to, f->id);
    frame *got = s ? stream_in_take(&s->in) : NULL;

    if (!got)
        return;
    for (uint32_t i = 0; i < got->length; i++)
        g_assert_cmpint(got->payload[i], ==, (uint8_t)((f->got + i) * 167 + f->id));
    f->got += got->length;
    f->ended = (got->flags & FRAME_END) != 0;
    mux_consumed(f->to, s, got->number + 1);
    frame_unref(got);
}

static void test_loss(const void *seed)
{
    net *n = net_new(GPOINTER_TO_UINT(seed));
    flow flows[2 * KINDS];
    gboolean all = FALSE;
    guint64 rounds = 0;

    for (int i = 0; i < KINDS; i++) {
        stream *s = mux_open(&n->here, (stream_kind)(STREAM_RPC + i), NULL);
        flows[2 * i] = (flow){&n->here, &n->there, s->id, 0, 0, 3000000, FALSE};
        flows[2 * i + 1] = (flow){&n->there, &n->here, s->id, 0, 0, 1000000, FALSE};
    }
    while (!all || !mux_is_drained(&n->here) || !mux_is_drained(&n->there)) {
        int c = g_rand_int_range(n->random, 0, CHANNELS);
        g_assert_cmpuint(rounds++, <, 10000000);
        switch (g_rand_int_range(n->random, 0, 400)) {
        case 0:
            die(n, c);
            break;
        case 1 ... 100:
            send_one(&n->here, c, &n->up[c]);
            break;
        case 101 ... 200:
            send_one(&n->there, c, &n->down[c]);
            break;
        case 201 ... 260:
            receive_one(&n->there, &n->up[c]);
            break;
        case 261 ... 320:
            receive_one(&n->here, &n->down[c]);
            break;
        case 321 ... 360:
            produce(&flows[g_rand_int_range(n->random, 0, 2 * KINDS)], n->random);
            break;
        default:
            consume(&flows[g_rand_int_range(n->random, 0, 2 * KINDS)]);
        }
        all = TRUE;
        for (int i = 0; i < 2 * KINDS; i++)
            all = all && flows[i].ended && flows[i].got == flows[i].total;
    }
    g_assert_cmpuint(n->here.resent, >, 0);
    g_assert_cmpuint(n->here.payload_out[STREAM_MEMORY], ==, 3000000);
    g_assert_cmpuint(n->there.payload_in[STREAM_MEMORY], ==, 3000000);
    net_free(n);
}

static wire_frame next_header(mux *m, int channel)
{
    mux_item item;
    wire_frame header;

    g_assert_true(mux_next(m, channel, NOW, &item));
    g_assert_true(wire_get_frame(item.header, &header, NULL));
    g_clear_pointer(&item.payload, frame_unref);
    return header;
}

static void test_order(void)
{
    mux m;

    mux_init(&m, FALSE);
    for (int kind = STREAM_RPC; kind < STREAM_KINDS; kind++)
        mux_allow(&m, (stream_kind)kind, 2);
    stream *disk0 = mux_open(&m, STREAM_DISK, NULL), *disk1 = mux_open(&m, STREAM_DISK, NULL),
           *memory = mux_open(&m, STREAM_MEMORY, NULL), *rpc = mux_open(&m, STREAM_RPC, NULL);
    for (int i = 0; i < 2; i++) {
        stream_out_push(&disk0->out, make(disk0->id, 10, 0, 0));
        stream_out_push(&disk1->out, make(disk1->id, 10, 0, 0));
        stream_out_push(&memory->out, make(memory->id, 10, 0, 0));
        stream_out_push(&rpc->out, make(rpc->id, 10, 0, 0));
        stream_out_push(&m.control->out, make(0, 10, 0, 0));
    }
    stream_in_announce(&memory->in, &(wire_frame){.type = FRAME_DATA, .stream = memory->id}, NULL);
    mux_deliver(&m, memory, make(memory->id, 0, 0, 0));
    frame_unref(stream_in_take(&memory->in));
    mux_consumed(&m, memory, 1);

    wire_frame ack = next_header(&m, 0);
    g_assert_cmpint(ack.type, ==, FRAME_ACK);
    g_assert_cmpint(ack.stream, ==, memory->id);
    g_assert_cmpuint(ack.number, ==, 1);
    for (int i = 0; i < 2; i++)
        g_assert_cmpint(next_header(&m, 0).stream, ==, 0);
    for (int i = 0; i < 3; i++)
        g_assert_cmpint(next_header(&m, 0).stream, ==, rpc->id);
    /* The three bulk streams take turns, each in its own order. */
    for (uint64_t round = 0; round < 3; round++) {
        guint seen = 0;
        for (int i = 0; i < 3; i++) {
            wire_frame h = next_header(&m, 0);
            g_assert_cmpuint(h.number, ==, round);
            seen |= h.stream == disk0->id ? 1 : h.stream == disk1->id ? 2 : 4;
        }
        g_assert_cmpuint(seen, ==, 7);
    }
    g_assert_false(mux_has_work(&m, NOW));
    mux_clear(&m);
}

static void test_acknowledgement_survives(void)
{
    net *n = net_new(7);
    stream *here = mux_open(&n->here, STREAM_DISK, NULL), *there;

    send_one(&n->here, 0, &n->up[0]);
    receive_one(&n->there, &n->up[0]);
    there = find(&n->there, here->id);
    frame_unref(stream_in_take(&there->in));
    mux_consumed(&n->there, there, 1);
    g_assert_true(send_one(&n->there, 1, &n->down[1]));
    die(n, 1); /* and the acknowledgement with it; the frame's own channel lives */
    g_assert_true(send_one(&n->there, 0, &n->down[0]));
    receive_one(&n->here, &n->down[0]);
    g_assert_cmpuint(here->out.acked, ==, 1);
    net_free(n);
}

/* END, then BROKEN, and the acknowledgement of everything overtakes BROKEN. */
static void test_late_broken(void)
{
    net *n = net_new(8);
    stream *here = mux_open(&n->here, STREAM_DISK, NULL), *there;

    stream_out_end(&here->out, here->id, FALSE);
    for (int i = 0; i < 2; i++) {
        send_one(&n->here, 0, &n->up[0]);
        receive_one(&n->there, &n->up[0]);
    }
    there = find(&n->there, here->id);
    stream_out_end(&there->out, there->id, FALSE);
    send_one(&n->there, 0, &n->down[0]);
    receive_one(&n->here, &n->down[0]);
    frame_unref(stream_in_take(&here->in));
    mux_consumed(&n->here, here, 1);
    stream_out_end(&here->out, here->id, TRUE);
    send_one(&n->here, 0, &n->up[0]); /* the acknowledgement comes first */
    receive_one(&n->there, &n->up[0]);
    for (uint64_t i = 0; i < 2; i++)
        frame_unref(stream_in_take(&there->in));
    mux_consumed(&n->there, there, 2);
    g_assert_true(mux_has_ended(there));
    there->retired = TRUE;
    send_one(&n->here, 0, &n->up[0]);
    receive_one(&n->there, &n->up[0]);
    g_assert_true(mux_has_ended(there));
    while (send_one(&n->there, 0, &n->down[0]))
        receive_one(&n->here, &n->down[0]);
    g_assert_true(mux_has_ended(here));
    g_assert_true(mux_is_drained(&n->here) && mux_is_drained(&n->there));
    net_free(n);
}

static void wrong(mux *m, wire_frame header, const char *why)
{
    g_autoptr(GError) error = NULL;
    gboolean opened;
    stream *s;

    header.type = FRAME_DATA;
    g_assert_cmpint(mux_announce(m, &header, &s, &opened, &error), ==, STREAM_WRONG);
    g_assert_nonnull(error);
    if (!strstr(error->message, why))
        g_error("\"%s\" does not say \"%s\"", error->message, why);
}

static stream *announce(mux *m, wire_frame header, stream_verdict wanted)
{
    g_autoptr(GError) error = NULL;
    gboolean opened;
    stream *s;

    header.type = FRAME_DATA;
    g_assert_cmpint(mux_announce(m, &header, &s, &opened, &error), ==, wanted);
    g_assert_no_error(error);
    return s;
}

static void test_hostile_data(void)
{
    const uint16_t disk = wire_stream_id(STREAM_DISK, 1);
    mux m;
    stream *s;

    mux_init(&m, TRUE);
    mux_allow(&m, STREAM_DISK, 2);
    wrong(&m, (wire_frame){.stream = wire_stream_id(STREAM_MEMORY, 0), .length = 1}, "none of");
    wrong(&m, (wire_frame){.stream = wire_stream_id(STREAM_DISK, 2), .length = 1}, "at most 2");
    s = announce(&m, (wire_frame){.stream = disk, .number = 3, .length = 100}, STREAM_WANTED);
    announce(&m, (wire_frame){.stream = disk, .number = 3, .length = 100}, STREAM_WANTED);
    wrong(&m, (wire_frame){.stream = disk, .number = 3, .length = 99}, "not the same");
    wrong(&m, (wire_frame){.stream = disk, .number = 3, .length = 100, .flags = FRAME_END},
          "not the same");
    g_assert_cmpuint(s->in.bytes, ==, 100);
    wrong(&m, (wire_frame){.stream = disk, .number = WIRE_WINDOW_FRAMES, .length = 1},
          "beyond the window");
    wrong(&m, (wire_frame){.stream = disk, .number = UINT64_MAX, .length = 1}, "beyond the window");
    wrong(&m, (wire_frame){.stream = disk, .number = 2, .flags = FRAME_END},
          "the end of its stream");
    announce(&m, (wire_frame){.stream = disk, .number = 4, .flags = FRAME_END}, STREAM_WANTED);
    wrong(&m, (wire_frame){.stream = disk, .number = 5, .length = 1}, "the end of its stream");
    wrong(&m, (wire_frame){.stream = disk, .number = 1, .flags = FRAME_END},
          "the end of its stream");
    mux_deliver(&m, s, frame_new(NULL, 0)); /* number 0, empty */
    announce(&m, (wire_frame){.stream = disk, .length = 5}, STREAM_WANTED);
    frame_unref(stream_in_take(&s->in));
    announce(&m, (wire_frame){.stream = disk, .length = 7}, STREAM_STALE);
    mux_clear(&m);

    mux_init(&m, FALSE);
    mux_allow(&m, STREAM_DISK, 2);
    wrong(&m, (wire_frame){.stream = disk, .length = 1}, "has not opened");
    mux_clear(&m);
}

/* END, then END with BROKEN, in either order of arrival; and nothing else. */
static void test_two_ends(void)
{
    const uint16_t disk = wire_stream_id(STREAM_DISK, 0);
    const wire_frame end = {.stream = disk, .number = 4, .length = 9, .flags = FRAME_END};
    const wire_frame broken = {.stream = disk, .number = 5, .flags = FRAME_END | FRAME_BROKEN};
    wire_frame other;
    mux m;

    for (int swapped = 0; swapped < 2; swapped++) {
        mux_init(&m, TRUE);
        mux_allow(&m, STREAM_DISK, 1);
        stream *s = announce(&m, swapped ? broken : end, STREAM_WANTED);
        if (!swapped) {
            other = broken;
            other.length = 1;
            wrong(&m, other, "the end of its stream");
            other = broken;
            other.number = 6;
            wrong(&m, other, "the end of its stream");
            other.number = 3;
            wrong(&m, other, "the end of its stream");
        } else {
            other = end;
            other.number = 3;
            wrong(&m, other, "the end of its stream");
        }
        announce(&m, swapped ? end : broken, STREAM_WANTED);
        g_assert_cmpuint(s->in.end, ==, 6);
        other = broken;
        other.number = 6;
        wrong(&m, other, "the end of its stream");
        other.flags = FRAME_END;
        wrong(&m, other, "the end of its stream");
        mux_clear(&m);
    }
}

static void test_hostile_window(void)
{
    mux m;

    mux_init(&m, TRUE);
    mux_allow(&m, STREAM_MEMORY, 1);
    uint16_t id = wire_stream_id(STREAM_MEMORY, 0);
    for (unsigned i = 0; i < WIRE_WINDOW_BYTES / WIRE_PAYLOAD_MAX; i++)
        announce(&m, (wire_frame){.stream = id, .number = i, .length = WIRE_PAYLOAD_MAX},
                 STREAM_WANTED);
    wrong(&m, (wire_frame){.stream = id, .number = 500, .length = 1}, "does not fit the window");
    mux_clear(&m);
}

static void test_too_many_open(void)
{
    mux m;

    mux_init(&m, TRUE);
    mux_allow(&m, STREAM_DISK, WIRE_STREAM_NUMBERS);
    for (unsigned i = 0; i < WIRE_STREAMS_MAX; i++)
        announce(&m, (wire_frame){.stream = wire_stream_id(STREAM_DISK, i), .length = 1},
                 STREAM_WANTED);
    wrong(&m, (wire_frame){.stream = wire_stream_id(STREAM_DISK, 100), .length = 1}, "are open");
    mux_clear(&m);
}

static void test_hostile_acknowledgement(void)
{
    g_autoptr(GError) error = NULL;
    wire_frame ack = {.type = FRAME_ACK, .number = 1};
    frame *gone;
    mux m;

    mux_init(&m, FALSE);
    mux_allow(&m, STREAM_DISK, 1);
    stream *s = mux_open(&m, STREAM_DISK, NULL);
    ack.stream = s->id;
    g_assert_false(mux_acknowledge(&m, &ack, &gone, &error)); /* queued, but never sent */
    g_assert_nonnull(strstr(error->message, "disk stream 0: acknowledges frame 1, sent were 0"));
    g_clear_error(&error);
    next_header(&m, 0);
    g_assert_true(mux_acknowledge(&m, &ack, &gone, &error));
    frame_unref_list(gone);
    g_assert_true(mux_acknowledge(&m, &ack, &gone, &error)); /* repeated */
    g_assert_null(gone);
    ack.number = 2;
    g_assert_false(mux_acknowledge(&m, &ack, &gone, &error));
    g_clear_error(&error);
    ack.stream = wire_stream_id(STREAM_RPC, 0);
    g_assert_false(mux_acknowledge(&m, &ack, &gone, &error));
    g_assert_nonnull(strstr(error->message, "does not exist"));
    mux_clear(&m);
}

static void test_window_stops_sender(void)
{
    mux m;

    mux_init(&m, FALSE);
    mux_allow(&m, STREAM_DISK, 1);
    stream *s = mux_open(&m, STREAM_DISK, NULL);
    unsigned count = 0;
    while (stream_out_has_room(&s->out, 1)) {
        stream_out_push(&s->out, make(s->id, 1, 0, 0));
        count++;
    }
    g_assert_cmpuint(s->out.bytes, ==, count);
    stream_out_end(&s->out, s->id, FALSE); /* both ends still fit */
    stream_out_end(&s->out, s->id, FALSE);
    stream_out_end(&s->out, s->id, TRUE);
    stream_out_end(&s->out, s->id, TRUE);
    g_assert_cmpuint(s->out.next, ==, WIRE_WINDOW_FRAMES);
    mux_clear(&m);

    mux_init(&m, FALSE);
    mux_allow(&m, STREAM_DISK, 1);
    s = mux_open(&m, STREAM_DISK, NULL);
    for (count = 0; stream_out_has_room(&s->out, WIRE_PAYLOAD_MAX); count++)
        stream_out_push(&s->out, make(s->id, WIRE_PAYLOAD_MAX, 0, 0));
    g_assert_cmpuint(count, ==, WIRE_WINDOW_BYTES / WIRE_PAYLOAD_MAX);
    g_assert_false(stream_out_has_room(&s->out, 1));
    g_assert_true(stream_out_has_room(&s->out, 0)); /* an END always fits the bytes */
    mux_clear(&m);
}

static uint32_t count_queued(const stream_out *out)
{
    uint32_t bytes = 0;

    for (uint64_t n = out->acked; n < out->next; n++)
        if (out->slot[n % WIRE_WINDOW_FRAMES].channel == STREAM_NO_CHANNEL)
            bytes += out->slot[n % WIRE_WINDOW_FRAMES].frame->length;
    return bytes;
}

static unsigned push_all(stream *s, uint32_t length)
{
    unsigned count = 0;

    for (; mux_may_push(s, length); count++)
        stream_out_push(&s->out, make(s->id, length, 0, 0));
    g_assert_cmpuint(s->out.queued, ==, count_queued(&s->out));
    return count;
}

/* What waits for a channel is bounded by itself; the window only bounds what is under way. */
static void test_short_queues(void)
{
    frame *gone;
    mux m;

    mux_init(&m, FALSE);
    mux_allow(&m, STREAM_DISK, 1);
    mux_allow(&m, STREAM_MEMORY, 1);
    stream *memory = mux_open(&m, STREAM_MEMORY, NULL), *disk = mux_open(&m, STREAM_DISK, NULL);
    g_assert_cmpuint(push_all(memory, WIRE_PAYLOAD_MAX), ==, 2);
    g_assert_cmpuint(push_all(disk, WIRE_PAYLOAD_MAX), ==, 8);
    for (int i = 0; i < 8; i++) /* the opening frames, the two of memory, four of disk */
        next_header(&m, i % 2);
    g_assert_cmpuint(push_all(memory, WIRE_PAYLOAD_MAX), ==, 2);
    g_assert_cmpuint(push_all(disk, WIRE_PAYLOAD_MAX), ==, 4);

    mux_lost(&m, 0);
    mux_lost(&m, 1);
    g_assert_cmpuint(memory->out.queued, ==, 4 * WIRE_PAYLOAD_MAX);
    g_assert_false(mux_may_push(memory, 1));
    /* What waits again may have arrived after all. */
    mux_acknowledge(&m, &(wire_frame){.type = FRAME_ACK, .stream = memory->id, .number = 3}, &gone,
                    NULL);
    frame_unref_list(gone);
    g_assert_cmpuint(memory->out.queued, ==, 2 * WIRE_PAYLOAD_MAX);
    g_assert_cmpuint(memory->out.queued, ==, count_queued(&memory->out));
    g_assert_cmpuint(memory->out.pushed - memory->out.bytes, ==, 2 * WIRE_PAYLOAD_MAX);
    while (mux_has_work(&m, NOW))
        next_header(&m, 0);
    g_assert_cmpuint(push_all(memory, 1000), ==, 256 * 1024 / 1000);
    mux_clear(&m);
}

/* Rates hold back memory and disk, or disk alone, and never anything else. */
static void test_rates(void)
{
    gint64 now = NOW;
    mux_item item;
    mux m;

    mux_init(&m, FALSE);
    for (int kind = STREAM_RPC; kind < STREAM_KINDS; kind++)
        mux_allow(&m, (stream_kind)kind, 1);
    stream *disk = mux_open(&m, STREAM_DISK, NULL), *memory = mux_open(&m, STREAM_MEMORY, NULL),
           *rpc = mux_open(&m, STREAM_RPC, NULL);
    while (mux_has_work(&m, now))
        next_header(&m, 0);
    bucket_set_rate(&m.disk, 1000000, now);
    for (int i = 0; i < 2; i++)
        stream_out_push(&disk->out, make(disk->id, 9984, 0, 0)); /* 10000 with its header */
    stream_out_push(&memory->out, make(memory->id, 10, 0, 0));
    g_assert_cmpint(mux_pause(&m, now), ==, -1);
    g_assert_cmpint(next_header(&m, 0).stream, ==, disk->id);
    g_assert_cmpint(mux_pause(&m, now), ==, 10000);
    g_assert_cmpint(next_header(&m, 0).stream, ==, memory->id);
    g_assert_false(mux_has_work(&m, now));
    g_assert_false(mux_next(&m, 0, now, &item));
    now += 10000;
    g_assert_cmpint(mux_pause(&m, now), ==, -1);
    g_assert_true(mux_has_work(&m, now));
    g_assert_true(mux_next(&m, 0, now, &item));
    g_clear_pointer(&item.payload, frame_unref);

    /* What is sent again counts as well, here in what all may. */
    bucket_set_rate(&m.disk, 0, now);
    bucket_set_rate(&m.all, 1000000, now);
    mux_lost(&m, 0);
    stream_out_push(&rpc->out, make(rpc->id, 9984, 0, 0));
    stream_out_push(&m.control->out, make(0, 4984, 0, 0));
    for (int i = 0; i < 2; i++) { /* with what was opened */
        g_assert_true(mux_next(&m, 0, now, &item));
        g_clear_pointer(&item.payload, frame_unref);
    }
    g_assert_cmpint(mux_pause(&m, now), >=, 5000);
    while (mux_next(&m, 0, now, &item)) /* rpc does not wait */
        g_clear_pointer(&item.payload, frame_unref);
    g_assert_false(stream_out_is_waiting(&rpc->out));
    g_assert_true(stream_out_is_waiting(&disk->out));
    g_assert_cmpint(mux_pause(&m, now), >=, 15000);
    stream_in_announce(&memory->in, &(wire_frame){.type = FRAME_DATA, .stream = memory->id}, NULL);
    mux_deliver(&m, memory, make(memory->id, 0, 0, 0));
    frame_unref(stream_in_take(&memory->in));
    mux_consumed(&m, memory, 1);
    g_assert_cmpint(next_header(&m, 0).type, ==, FRAME_ACK);
    for (guint64 frames = 0; stream_out_is_waiting(&disk->out); frames++) {
        g_assert_cmpuint(frames, <, 10);
        now += mux_pause(&m, now) > 0 ? mux_pause(&m, now) : 0;
        g_assert_true(mux_next(&m, 0, now, &item));
        g_clear_pointer(&item.payload, frame_unref);
    }
    g_assert_cmpint(now, >=, NOW + 10000 + 15000 + 10000);
    mux_clear(&m);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    for (guint seed = 1; seed <= 8; seed++) {
        g_autofree char *path = g_strdup_printf("/relay/mux/survives-loss/seed-%u", seed);
        g_test_add_data_func(path, GUINT_TO_POINTER(seed), test_loss);
    }
    g_test_add_func("/relay/mux/urgent-frames-first-bulk-in-turn", test_order);
    g_test_add_func("/relay/mux/lost-acknowledgement-comes-again", test_acknowledgement_survives);
    g_test_add_func("/relay/mux/broken-may-come-late", test_late_broken);
    g_test_add_func("/relay/mux/hostile-data-is-refused", test_hostile_data);
    g_test_add_func("/relay/mux/broken-may-follow-the-end", test_two_ends);
    g_test_add_func("/relay/mux/window-is-enforced", test_hostile_window);
    g_test_add_func("/relay/mux/open-streams-are-limited", test_too_many_open);
    g_test_add_func("/relay/mux/hostile-acknowledgements-are-refused",
                    test_hostile_acknowledgement);
    g_test_add_func("/relay/mux/full-window-stops-the-sender", test_window_stops_sender);
    g_test_add_func("/relay/mux/little-waits-for-a-channel", test_short_queues);
    g_test_add_func("/relay/mux/rates-hold-back-bulk-alone", test_rates);
    return g_test_run();
}
