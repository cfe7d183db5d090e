/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* libvirt's packets through a session: put together, judged, keepalives answered on the spot. */
#include "base/bytes.h"
#include "base/fdio.h"
#include "raw.h"
#include "relay/rpc.h"

#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

typedef struct {
    rpc_judge judge;
    pair *owner;
    int32_t refuse;  /* this procedure */
    int32_t hold;    /* this procedure, until released */
    GBytes *instead; /* of the body of procedure 40 */
    /* With pair_lock held: */
    GArray *seen; /* of int32_t, procedures */
    gboolean holding, released;
} court;

typedef struct {
    pair *p;
    court source, target;
    int near, far, listener;
} talk;

static gboolean judge(const rpc_packet *packet, rpc_direction direction, void *user,
                      GBytes **instead, GError **error)
{
    court *self = user;

    g_assert_cmphex(packet->program, ==, RPC_PROGRAM_REMOTE);
    pair_lock(self->owner);
    g_array_append_val(self->seen, packet->procedure);
    pair_wake(self->owner);
    if (self->hold && packet->procedure == self->hold) {
        self->holding = TRUE;
        pair_wake(self->owner);
        while (!self->released)
            pair_wait_change(self->owner, "release");
    }
    pair_unlock(self->owner);
    if (self->instead && packet->procedure == 40)
        *instead = g_bytes_ref(self->instead);
    if (packet->procedure != self->refuse || !self->refuse)
        return TRUE;
    g_set_error(error, G_IO_ERROR, G_IO_ERROR_PERMISSION_DENIED, "not %d", self->refuse);
    return FALSE;
}

static void court_open(court *self, pair *owner)
{
    self->owner = owner;
    self->judge = (rpc_judge){.judge = judge, .user = self};
    self->seen = g_array_new(FALSE, FALSE, sizeof(int32_t));
}

static void talk_open(talk *t)
{
    const char *in, *out;

    t->p = pair_new(&(pair_setup){.channels = 2});
    court_open(&t->source, t->p);
    court_open(&t->target, t->p);
    in = pair_path(t->p, "in");
    out = pair_path(t->p, "out");
    t->listener = fdio_unix_listen(out, SOCK_STREAM, 0600, NULL);
    g_assert_true(session_offer(t->p->target.session, STREAM_RPC, out, 1, rpc_codec_new,
                                &t->target.judge, NULL));
    g_assert_true(session_listen(t->p->source.session, STREAM_RPC, in, 0600, 1, rpc_codec_new,
                                 &t->source.judge, NULL));
    t->near = fdio_unix_connect(in, SOCK_STREAM, NULL);
    t->far = accept(t->listener, NULL, NULL);
    g_assert_cmpint(t->far, >=, 0);
}

static void talk_close(talk *t)
{
    pair_free(t->p);
    close(t->near);
    close(t->far);
    close(t->listener);
    g_array_unref(t->source.seen);
    g_array_unref(t->target.seen);
}

static GByteArray *packet(uint32_t program, int32_t procedure, int32_t type, uint32_t body)
{
    GByteArray *bytes = g_byte_array_sized_new(RPC_HEADER_SIZE + body);

    g_byte_array_set_size(bytes, RPC_HEADER_SIZE + body);
    put_be32(bytes->data, bytes->len);
    put_be32(bytes->data + 4, program);
    put_be32(bytes->data + 8, 1);
    put_be32(bytes->data + 12, (uint32_t)procedure);
    put_be32(bytes->data + 16, (uint32_t)type);
    put_be32(bytes->data + 20, (uint32_t)procedure * 3);
    put_be32(bytes->data + 24, RPC_OK);
    for (uint32_t i = 0; i < body; i++)
        bytes->data[RPC_HEADER_SIZE + i] = (uint8_t)(i * 31 + (uint32_t)procedure);
    return bytes;
}

static void expect_bytes(int fd, const GByteArray *wanted)
{
    g_autofree uint8_t *got = g_malloc(wanted->len);
    g_autoptr(GError) error = NULL;

    fdio_read_full(fd, got, wanted->len, &error);
    g_assert_no_error(error);
    g_assert_cmpmem(got, wanted->len, wanted->data, wanted->len);
}

static void say(int fd, const GByteArray *bytes)
{
    g_assert_true(fdio_write_full(fd, bytes->data, bytes->len, NULL));
}

static void expect_seen(court *c, guint from, int32_t first, int32_t last)
{
    for (int32_t i = first; i <= last; i++)
        g_assert_cmpint(g_array_index(c->seen, int32_t, from + (guint)(i - first)), ==, i);
}

/* 60 packets of 0 to 590 bytes, written in pieces of 1 to 97 bytes, both ways. */
static void test_pieces(void)
{
    g_autoptr(GByteArray) all = g_byte_array_new();
    GRand *random = g_rand_new_with_seed(11);
    talk t = {0};

    for (int32_t i = 1; i <= 60; i++) {
        g_autoptr(GByteArray) one = packet(RPC_PROGRAM_REMOTE, i, RPC_CALL, (uint32_t)(i - 1) * 10);
        g_byte_array_append(all, one->data, one->len);
    }
    talk_open(&t);
    for (int way = 0; way < 2; way++) {
        int from = way ? t.far : t.near, to = way ? t.near : t.far;
        for (guint at = 0; at < all->len;) {
            guint n = (guint)g_rand_int_range(random, 1, 98);
            n = MIN(n, all->len - at);
            g_assert_true(fdio_write_full(from, all->data + at, n, NULL));
            at += n;
        }
        expect_bytes(to, all);
    }
    pair_wait(t.p, t.source.seen->len == 120 && t.target.seen->len == 120);
    for (guint from = 0; from < 120; from += 60) {
        expect_seen(&t.source, from, 1, 60);
        expect_seen(&t.target, from, 1, 60);
    }
    talk_close(&t);
    g_rand_free(random);
}

static void test_biggest(void)
{
    g_autoptr(GByteArray) big =
        packet(RPC_PROGRAM_REMOTE, 5, RPC_REPLY, RPC_PACKET_MAX - RPC_HEADER_SIZE);
    talk t = {0};

    talk_open(&t);
    for (int i = 0; i < 3; i++) { /* more than the window together */
        say(t.near, big);
        expect_bytes(t.far, big);
    }
    talk_close(&t);
}

static void fails(const GByteArray *bytes, int32_t refuse, const char *why)
{
    talk t = {.source.refuse = refuse};

    talk_open(&t);
    say(t.near, bytes);
    pair_wait(t.p, t.p->source.failure);
    if (!strstr(t.p->source.failure->message, why))
        g_error("\"%s\" does not say \"%s\"", t.p->source.failure->message, why);
    talk_close(&t);
}

static void test_impossible(void)
{
    g_autoptr(GByteArray) bad = packet(RPC_PROGRAM_REMOTE, 5, RPC_CALL, 0);

    put_be32(bad->data, RPC_HEADER_SIZE - 1);
    fails(bad, 0, "rpc packet of 27 bytes");
    put_be32(bad->data, RPC_PACKET_MAX + 1);
    fails(bad, 0, "rpc packet of 4194305 bytes");
    put_be32(bad->data, 0);
    fails(bad, 0, "rpc packet of 0 bytes");
    g_autoptr(GByteArray) descriptors = packet(RPC_PROGRAM_REMOTE, 5, 4, 0);
    fails(descriptors, 0, "unknown type");
    g_autoptr(GByteArray) negative = packet(RPC_PROGRAM_REMOTE, 5, -1, 0);
    fails(negative, 0, "unknown type");
    g_autoptr(GByteArray) long_ping = packet(RPC_PROGRAM_KEEPALIVE, 1, RPC_EVENT, 4);
    fails(long_ping, 0, "malformed rpc keepalive");
    g_autoptr(GByteArray) call_ping = packet(RPC_PROGRAM_KEEPALIVE, 1, RPC_CALL, 0);
    fails(call_ping, 0, "malformed rpc keepalive");
    g_autoptr(GByteArray) strange = packet(RPC_PROGRAM_KEEPALIVE, 3, RPC_EVENT, 0);
    fails(strange, 0, "unknown rpc keepalive");
}

static void test_refused(void)
{
    g_autoptr(GByteArray) bad = packet(RPC_PROGRAM_REMOTE, 77, RPC_CALL, 0);

    fails(bad, 77, "not 77");
}

static void test_replaced(void)
{
    g_autoptr(GByteArray) call = packet(RPC_PROGRAM_REMOTE, 40, RPC_CALL, 10);
    g_autoptr(GByteArray) other = packet(RPC_PROGRAM_REMOTE, 40, RPC_CALL, 300000);
    g_autoptr(GByteArray) after = packet(RPC_PROGRAM_REMOTE, 41, RPC_CALL, 7);
    g_autofree char *zeros = g_malloc0(RPC_PACKET_MAX);
    talk t = {0};

    talk_open(&t);
    t.target.instead = g_bytes_new(other->data + RPC_HEADER_SIZE, 300000);
    say(t.near, call);
    say(t.near, after);
    expect_bytes(t.far, other);
    expect_bytes(t.far, after);
    g_bytes_unref(t.target.instead);
    t.target.instead = g_bytes_new(zeros, RPC_PACKET_MAX - RPC_HEADER_SIZE + 1);
    say(t.near, call);
    pair_wait(t.p, t.p->target.failure);
    g_assert_nonnull(strstr(t.p->target.failure->message, "too long"));
    g_bytes_unref(t.target.instead);
    talk_close(&t);
}

/* A session that fails must not end the connection while its packet is judged. */
static void test_failure_while_judging(void)
{
    g_autoptr(GByteArray) reply = packet(RPC_PROGRAM_REMOTE, 306, RPC_REPLY, 100);
    g_autoptr(GError) why = g_error_new(G_IO_ERROR, G_IO_ERROR_FAILED, "enough");
    talk t = {.source.hold = 306};
    char byte;

    talk_open(&t);
    say(t.far, reply);
    pair_wait(t.p, t.source.holding);
    session_fail(t.p->source.session, why);
    pair_wait(t.p, t.p->source.failure);
    g_assert_cmpint(recv(t.near, &byte, 1, MSG_DONTWAIT), <, 0); /* nothing, and no end */
    pair_lock(t.p);
    t.source.released = TRUE;
    pair_wake(t.p);
    pair_unlock(t.p);
    expect_bytes(t.near, reply);
    g_assert_cmpint(read(t.near, &byte, 1), ==, 0);
    talk_close(&t);
}

static GByteArray *keepalive(int32_t procedure)
{
    GByteArray *bytes = packet(RPC_PROGRAM_KEEPALIVE, procedure, RPC_EVENT, 0);

    put_be32(bytes->data + 20, 0);
    return bytes;
}

static void test_keepalive(void)
{
    g_autoptr(GByteArray) ping = keepalive(1), pong = keepalive(2);
    g_autoptr(GByteArray) call = packet(RPC_PROGRAM_REMOTE, 9, RPC_CALL, 0);
    talk t = {0};

    talk_open(&t);
    for (int way = 0; way < 2; way++) {
        int from = way ? t.far : t.near, to = way ? t.near : t.far;
        say(from, ping);
        expect_bytes(from, pong);
        say(from, pong); /* dropped */
        say(from, call);
        expect_bytes(to, call); /* and nothing before it */
    }
    pair_wait(t.p, t.source.seen->len == 2 && t.target.seen->len == 2);
    talk_close(&t);
}

/* The source holds the reply to Finish3 until the target has committed: keepalives go on meanwhile.
 */
static void test_keepalive_while_judging(void)
{
    g_autoptr(GByteArray) ping = keepalive(1), pong = keepalive(2);
    g_autoptr(GByteArray) reply = packet(RPC_PROGRAM_REMOTE, 306, RPC_REPLY, 100);
    talk t = {.source.hold = 306};

    talk_open(&t);
    say(t.far, reply);
    pair_wait(t.p, t.source.holding);
    for (int i = 0; i < 5; i++) {
        say(t.near, ping);
        expect_bytes(t.near, pong);
    }
    g_assert_true(session_send_control(t.p->target.session, "committed", 9, NULL));
    pair_wait(t.p, t.p->source.controls->len == 1);
    pair_lock(t.p);
    t.source.released = TRUE;
    pair_wake(t.p);
    pair_unlock(t.p);
    expect_bytes(t.near, reply);
    talk_close(&t);
}

static void raw_rpc(channel *c, uint64_t number, const uint8_t *bytes, uint32_t length)
{
    g_assert_true(raw_frame(
        c,
        (wire_frame){
            .type = FRAME_DATA, .stream = STREAM_RPC << 12, .number = number, .length = length},
        bytes));
}

/* The acknowledgement of control, and how far rpc was acknowledged before it. */
static uint64_t acknowledged_before(channel *c, uint64_t control)
{
    uint64_t rpc = 0;

    for (;;) {
        wire_frame ack = raw_expect(c, FRAME_ACK);
        if (ack.stream == 0 && ack.number == control)
            return rpc;
        if (ack.stream != 0)
            rpc = ack.number;
    }
}

static void test_hostile_peer(void)
{
    g_autoptr(GByteArray) call = packet(RPC_PROGRAM_REMOTE, 8, RPC_CALL, 60), ping = keepalive(1);
    g_autoptr(GByteArray) two = g_byte_array_new();
    g_autoptr(pair) p = pair_new(&(pair_setup){.channels = 1, .raw_source = TRUE});
    const char *out = pair_path(p, "out");
    int listener = fdio_unix_listen(out, SOCK_STREAM, 0600, NULL), far;
    court c = {0};

    court_open(&c, p);
    g_assert_true(
        session_offer(p->target.session, STREAM_RPC, out, 1, rpc_codec_new, &c.judge, NULL));
    g_autoptr(channel) raw = pair_raw_source(p, 0);
    g_byte_array_append(two, call->data, call->len);
    g_byte_array_append(two, call->data, call->len);
    /* One packet and a half: the frames of the half are kept from being acknowledged. */
    raw_rpc(raw, 0, two->data, 30);
    raw_rpc(raw, 1, two->data + 30, call->len);
    raw_rpc(raw, 2, two->data + 30 + call->len, 8);
    far = accept(listener, NULL, NULL);
    expect_bytes(far, call);
    g_assert_cmpuint(raw_expect(raw, FRAME_ACK).number, ==, 1);
    raw_frame(raw, (wire_frame){.type = FRAME_DATA, .length = 1}, "a");
    g_assert_cmpuint(acknowledged_before(raw, 1), ==, 0);
    raw_rpc(raw, 3, two->data + 38 + call->len, two->len - call->len - 38);
    expect_bytes(far, call);
    g_assert_cmpuint(raw_expect(raw, FRAME_ACK).number, ==, 4);
    raw_rpc(raw, 4, ping->data, ping->len);
    pair_wait(p, p->target.failure);
    g_assert_nonnull(strstr(p->target.failure->message, "keepalive from the peer"));
    pair_drop(&p->target);
    g_array_unref(c.seen);
    close(far);
    close(listener);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/relay/rpc/packets-in-any-pieces", test_pieces);
    g_test_add_func("/relay/rpc/biggest-packet-passes", test_biggest);
    g_test_add_func("/relay/rpc/impossible-packets-fail-the-session", test_impossible);
    g_test_add_func("/relay/rpc/refusal-fails-the-session", test_refused);
    g_test_add_func("/relay/rpc/keepalive-is-answered-on-each-side", test_keepalive);
    g_test_add_func("/relay/rpc/keepalive-is-answered-while-judging", test_keepalive_while_judging);
    g_test_add_func("/relay/rpc/failure-waits-for-the-judge", test_failure_while_judging);
    g_test_add_func("/relay/rpc/judge-may-replace-a-body", test_replaced);
    g_test_add_func("/relay/rpc/half-packets-are-not-acknowledged", test_hostile_peer);
    return g_test_run();
}
