/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A session against a peer that has the right certificate and the wrong intentions. */
#include "base/fdio.h"
#include "raw.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static const uint16_t disk0 = STREAM_DISK << 12;

typedef struct {
    const char *name, *why;
    wire_frame frames[3]; /* up to the first without a type */
} violation;

#define DATA(...)                                                                                  \
    {                                                                                              \
        .type = FRAME_DATA, .stream = STREAM_DISK << 12, __VA_ARGS__                               \
    }

static const violation by_source[] = {
    {"unknown-type", "unknown type 9", {{.type = 9}}},
    {"unknown-kind", "unknown kind 15", {{.type = FRAME_DATA, .stream = 0xf000, .length = 1}}},
    {"too-long", "bytes; at most", {DATA(.length = WIRE_PAYLOAD_MAX + 1)}},
    {"memory-not-offered",
     "memory stream, which this move has none of",
     {{.type = FRAME_DATA, .stream = STREAM_MEMORY << 12, .length = 1}}},
    {"too-many-streams",
     "disk stream 3, where at most 2",
     {{.type = FRAME_DATA, .stream = (STREAM_DISK << 12) + 2, .length = 1}}},
    {"beyond-window", "beyond the window", {DATA(.number = WIRE_WINDOW_FRAMES, .length = 1)}},
    {"changed", "not the same", {DATA(.number = 7, .length = 5), DATA(.number = 7, .length = 6)}},
    {"after-end",
     "the end of its stream",
     {DATA(.number = 7, .flags = FRAME_END), DATA(.number = 8, .length = 1)}},
    {"before-end",
     "the end of its stream",
     {DATA(.number = 7, .length = 1), DATA(.number = 6, .flags = FRAME_END)}},
    {"acknowledges-unsent",
     "control stream 0: acknowledges frame 1, sent were 0",
     {{.type = FRAME_ACK, .number = 1}}},
    {"acknowledges-unknown-stream",
     "does not exist",
     {{.type = FRAME_ACK, .stream = STREAM_RPC << 12, .number = 1}}},
    {"ends-control", "flags", {{.type = FRAME_DATA, .flags = FRAME_END}}},
};

static pair *target_alone(void)
{
    pair *p = pair_new(&(pair_setup){.channels = 2, .raw_source = TRUE});

    g_assert_true(
        session_offer(p->target.session, STREAM_DISK, pair_path(p, "disk"), 2, NULL, NULL, NULL));
    return p;
}

static void test_source(const void *data)
{
    const violation *v = data;
    g_autoptr(pair) p = target_alone();
    g_autoptr(channel) c = pair_raw_source(p, 0);

    for (int i = 0; i < 3 && v->frames[i].type; i++)
        g_assert_true(raw_frame(c, v->frames[i], NULL));
    pair_wait(p, p->target.failure);
    g_assert_true(
        g_str_has_prefix(p->target.failure->message, "the peer broke the data protocol: "));
    if (!strstr(p->target.failure->message, v->why))
        g_error("\"%s\" does not say \"%s\"", p->target.failure->message, v->why);
    g_assert_true(raw_ends_with_bye(c, FRAME_BROKEN));
}

/* 9 MiB where 8 are allowed, with gaps so that nothing can be handed on. */
static void test_window_bytes(void)
{
    g_autoptr(pair) p = target_alone();
    g_autoptr(channel) c = pair_raw_source(p, 0);

    for (uint64_t i = 0; i <= WIRE_WINDOW_BYTES / WIRE_PAYLOAD_MAX; i++)
        g_assert_true(
            raw_frame(c, (wire_frame)DATA(.number = 1 + i, .length = WIRE_PAYLOAD_MAX), NULL) ||
            i == WIRE_WINDOW_BYTES / WIRE_PAYLOAD_MAX);
    pair_wait(p, p->target.failure);
    g_assert_nonnull(strstr(p->target.failure->message, "does not fit the window"));
}

static void test_target_opens(void)
{
    g_autoptr(pair) p = pair_new(&(pair_setup){.channels = 1, .raw_target = TRUE});
    g_autoptr(channel) c = pair_raw_target(p);

    g_assert_true(raw_frame(c, (wire_frame)DATA(.length = 1), NULL));
    pair_wait(p, p->source.failure);
    g_assert_nonnull(strstr(p->source.failure->message, "has not opened"));
    g_assert_true(raw_ends_with_bye(c, FRAME_BROKEN));
}

/* Duplicates are no violation: they are dropped and acknowledged again. */
static void test_duplicates(void)
{
    g_autoptr(pair) p = target_alone();
    g_autoptr(channel) a = pair_raw_source(p, 0), b = pair_raw_source(p, 1);
    wire_frame message = {.type = FRAME_DATA, .length = 5};

    g_assert_true(raw_frame(a, message, "first"));
    pair_wait(p, p->target.controls->len == 1);
    g_assert_true(raw_frame(b, message, "again"));
    message.number = 1;
    g_assert_true(raw_frame(b, message, "after"));
    pair_wait(p, p->target.controls->len == 2);
    g_assert_cmpstr(p->target.controls->pdata[0], ==, "first");
    g_assert_cmpstr(p->target.controls->pdata[1], ==, "after");
    g_assert_null(p->target.failure);
}

/* I3: what is not in the local socket is not acknowledged. */
static void test_acknowledges_late(void)
{
    enum { FRAMES = WIRE_WINDOW_BYTES / WIRE_PAYLOAD_MAX };
    g_autoptr(pair) p = target_alone();
    g_autoptr(channel) c = pair_raw_source(p, 0);
    g_autofree char *bytes = g_malloc(WIRE_WINDOW_BYTES);
    int listener = fdio_unix_listen(pair_path(p, "disk"), SOCK_STREAM, 0600, NULL), far;
    wire_frame got = {0};
    session_stats stats;

    for (uint64_t i = 0; i < FRAMES; i++)
        g_assert_true(
            raw_frame(c, (wire_frame)DATA(.number = i, .length = WIRE_PAYLOAD_MAX), NULL));
    g_assert_true(raw_frame(c, (wire_frame){.type = FRAME_DATA, .length = 4}, "last"));
    far = accept(listener, NULL, NULL);
    /* When this message has been acknowledged, all before it has arrived; nobody reads the disk. */
    do {
        wire_frame next = raw_expect(c, FRAME_ACK);
        if (next.stream == disk0)
            got = next;
        else
            break;
    } while (TRUE);
    g_assert_cmpuint(got.number, <, FRAMES / 4);
    session_get_stats(p->target.session, &stats);
    g_assert_cmpuint(stats.payload_in[STREAM_DISK], ==, WIRE_WINDOW_BYTES);
    g_assert_true(fdio_read_full(far, bytes, WIRE_WINDOW_BYTES, NULL));
    while (got.number < FRAMES)
        got = raw_expect(c, FRAME_ACK);
    g_assert_cmpuint(got.number, ==, FRAMES);
    close(far);
    close(listener);
}

static gpointer finishing(gpointer s)
{
    return GINT_TO_POINTER(session_finish(s, 60000));
}

static void test_control_window(void)
{
    g_autoptr(pair) p = pair_new(&(pair_setup){.channels = 1, .raw_target = TRUE});
    g_autoptr(channel) c = pair_raw_target(p);
    g_autoptr(GError) error = NULL;
    unsigned sent = 0;

    while (session_send_control(p->source.session, "x", 1, &error))
        sent++;
    g_assert_error(error, G_IO_ERROR, G_IO_ERROR_BUSY);
    g_assert_cmpuint(sent, >=, WIRE_WINDOW_FRAMES - 2);
    g_assert_false(session_finish(p->source.session, 50)); /* nothing is acknowledged */
    for (unsigned i = 0; i < sent; i++)
        g_assert_cmpuint(raw_expect(c, FRAME_DATA).number, ==, i);
    g_assert_true(raw_frame(c, (wire_frame){.type = FRAME_ACK, .number = sent}, NULL));
    /* Now it wants to say BYE, and waits for the answer. */
    GThread *finisher = g_thread_new("finish", finishing, p->source.session);
    g_assert_cmpuint(raw_expect(c, FRAME_BYE).flags, ==, 0);
    /* Until we are done as well it acknowledges what we have to say. */
    g_assert_true(raw_frame(c, (wire_frame){.type = FRAME_DATA, .length = 4}, "late"));
    g_assert_cmpuint(raw_expect(c, FRAME_ACK).number, ==, 1);
    g_clear_pointer(&c, channel_free);
    g_assert_true(GPOINTER_TO_INT(g_thread_join(finisher)));
}

static void test_redialled(void)
{
    g_autoptr(pair) p = target_alone();
    g_autoptr(channel) old = pair_raw_source(p, 1);
    g_autoptr(channel) new = NULL;
    wire_frame header;

    pair_wait(p, p->target.alive == 1);
    new = pair_raw_source(p, 1);
    g_assert_false(raw_next(old, &header)); /* closed in favour of the new one */
    g_assert_true(raw_frame(new, (wire_frame){.type = FRAME_DATA, .length = 2}, "hi"));
    pair_wait(p, p->target.controls->len == 1);
    g_autoptr(channel) beyond = pair_raw_source(p, 2); /* two were agreed on */
    g_assert_false(raw_next(beyond, &header));
    g_assert_null(p->target.failure);
}

static void test_bye(void)
{
    g_autoptr(pair) p = target_alone();
    g_autoptr(channel) a = pair_raw_source(p, 0), b = NULL;
    wire_frame header;

    g_assert_true(session_send_control(p->target.session, "x", 1, NULL));
    raw_expect(a, FRAME_DATA);
    b = pair_raw_source(p, 1);
    pair_wait(p, p->target.alive == 2);
    g_assert_true(raw_frame(a, (wire_frame){.type = FRAME_BYE}, NULL));
    /* Not before its own message is acknowledged; and what comes until then is taken. */
    g_assert_true(raw_frame(b, (wire_frame){.type = FRAME_DATA, .length = 4}, "late"));
    pair_wait(p, p->target.controls->len == 1);
    pair_wait(p, p->target.alive == 2);
    g_assert_true(raw_frame(b, (wire_frame){.type = FRAME_ACK, .number = 1}, NULL));
    while (raw_next(a, &header) || raw_next(b, &header))
        ;
    pair_wait(p, p->target.alive == 0);
    g_assert_null(p->target.failure);
    g_assert_true(session_finish(p->target.session, 60000));
    g_assert_false(session_send_control(p->target.session, "x", 1, NULL));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    for (unsigned i = 0; i < G_N_ELEMENTS(by_source); i++) {
        g_autofree char *path = g_strdup_printf("/relay/hostile/source/%s", by_source[i].name);
        g_test_add_data_func(path, &by_source[i], test_source);
    }
    g_test_add_func("/relay/hostile/window-of-bytes-is-enforced", test_window_bytes);
    g_test_add_func("/relay/hostile/target-may-not-open", test_target_opens);
    g_test_add_func("/relay/hostile/duplicates-are-dropped", test_duplicates);
    g_test_add_func("/relay/hostile/acknowledges-what-was-handed-on", test_acknowledges_late);
    g_test_add_func("/relay/hostile/control-window-is-bounded", test_control_window);
    g_test_add_func("/relay/hostile/dialling-again-replaces", test_redialled);
    g_test_add_func("/relay/hostile/bye-is-answered-by-closing", test_bye);
    return g_test_run();
}
