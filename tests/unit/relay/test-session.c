/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Sessions over real TLS: data goes through whole and in order, whatever happens to channels. */
#include "base/fdio.h"
#include "pair.h"
#include "party.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define FINISH_MS 60000

static void finish(pair *p)
{
    g_assert_true(session_finish(p->source.session, FINISH_MS));
    pair_wait(p, p->source.alive == 0 && p->target.alive == 0);
    g_assert_true(session_finish(p->target.session, FINISH_MS));
    g_assert_no_error(p->source.failure);
    g_assert_no_error(p->target.failure);
}

/* Six streams both ways; *between* runs while they are on their way. */
static void carry(const pair_setup *setup, guint32 bytes, void (*between)(pair *))
{
    g_autoptr(pair) p = pair_new(setup);
    const char *memory_in, *memory_out, *disk_in, *disk_out;
    GThread *clients[6];
    session_stats s, t;

    pair_offer(p, STREAM_MEMORY, 2, &memory_in, &memory_out);
    pair_offer(p, STREAM_DISK, 4, &disk_in, &disk_out);
    server *memory = server_new(memory_out), *disk = server_new(disk_out);
    for (unsigned i = 0; i < 6; i++)
        clients[i] = client_start(i < 2 ? memory_in : disk_in, 100 * i + setup->seed, bytes,
                                  i % 3 * (bytes / 2));
    if (between)
        between(p);
    for (unsigned i = 0; i < 6; i++)
        g_thread_join(clients[i]);
    server_join(memory, 2);
    server_join(disk, 4);
    finish(p);

    session_get_stats(p->source.session, &s);
    session_get_stats(p->target.session, &t);
    g_assert_cmpuint(s.payload_out[STREAM_MEMORY], ==, 2 * (16 + (guint64)bytes));
    g_assert_cmpuint(s.payload_out[STREAM_DISK], ==, 4 * (16 + (guint64)bytes));
    g_assert_cmpuint(t.payload_in[STREAM_MEMORY], ==, s.payload_out[STREAM_MEMORY]);
    g_assert_cmpuint(t.payload_in[STREAM_DISK], ==, s.payload_out[STREAM_DISK]);
    g_assert_cmpuint(s.payload_in[STREAM_DISK], ==, t.payload_out[STREAM_DISK]);
    g_assert_cmpuint(s.wire_out, >, s.payload_out[STREAM_MEMORY] + s.payload_out[STREAM_DISK]);
    g_assert_cmpuint(s.channels_alive, ==, 0);
    if (setup->cut_max > 0) {
        g_assert_cmpuint(s.channels_lost, >, 0);
        g_assert_cmpuint(s.resent, >, 0);
    } else if (!setup->wired) {
        g_assert_cmpuint(s.channels_lost, ==, 0);
        g_assert_cmpuint(s.resent, ==, 0);
    }
}

static void test_plain(void)
{
    carry(&(pair_setup){.channels = 4, .seed = 1}, 8 << 20, NULL);
}

static void test_one_channel(void)
{
    carry(&(pair_setup){.channels = 1, .seed = 2}, 2 << 20, NULL);
}

static void test_cut(const void *seed)
{
    carry(
        &(pair_setup){
            .channels = 4, .seed = GPOINTER_TO_UINT(seed), .cut_min = 1, .cut_max = 4 << 20},
        4 << 20, NULL);
}

static void cut_everything(pair *p)
{
    for (unsigned round = 1; round <= 4; round++) {
        unsigned dialled;
        pair_wait(p, p->source.alive == 4 && p->target.alive == 4);
        pair_set_refuse(p, TRUE);
        pair_cut_all(p);
        pair_wait(p, p->source.alive == 0 && p->target.alive == 0);
        dialled = p->dialled;
        pair_wait(p, p->dialled >= dialled + 4);
        pair_set_refuse(p, FALSE);
    }
}

static void test_all_cut(void)
{
    carry(&(pair_setup){.channels = 4, .seed = 3, .wired = TRUE}, 16 << 20, cut_everything);
}

static gpointer flood(gpointer fd)
{
    g_autofree char *bytes = g_malloc0(1 << 20);

    for (int i = 0; i < 64; i++)
        g_assert_true(fdio_write_full(GPOINTER_TO_INT(fd), bytes, 1 << 20, NULL));
    shutdown(GPOINTER_TO_INT(fd), SHUT_WR);
    return NULL;
}

static void test_stall(void)
{
    g_autoptr(pair) p = pair_new(&(pair_setup){.channels = 2});
    const char *memory_in, *memory_out, *disk_in, *disk_out;
    g_autofree char *bytes = g_malloc(1 << 20);
    int near, far;
    ssize_t n;
    guint64 got = 0;
    session_stats stats;

    pair_offer(p, STREAM_MEMORY, 1, &memory_in, &memory_out);
    pair_offer(p, STREAM_DISK, 1, &disk_in, &disk_out);
    int listener = pair_listen_at(memory_out);
    pair_join_ends(memory_in, listener, &near, &far);
    GThread *flooder = g_thread_new("flood", flood, GINT_TO_POINTER(near));

    /* Nobody reads what floods the memory stream: 64 MiB. The disk stream and control do not care.
     */
    server *disk = server_new(disk_out);
    g_thread_join(client_start(disk_in, 5, 24 << 20, 24 << 20));
    server_join(disk, 1);
    g_assert_true(session_send_control(p->source.session, "hello", 5, NULL));
    pair_wait(p, p->target.controls->len == 1);
    session_get_stats(p->target.session, &stats);
    g_assert_cmpuint(stats.payload_in[STREAM_MEMORY], <=, WIRE_WINDOW_BYTES + (2 << 20));

    while ((n = read(far, bytes, 1 << 20)) > 0)
        got += (guint64)n;
    g_assert_cmpuint(got, ==, 64 << 20);
    g_thread_join(flooder);
    close(near);
    close(far);
    close(listener);
    finish(p);
}

static void expect(int fd, const char *text)
{
    char bytes[64] = {0};

    g_assert_true(fdio_read_full(fd, bytes, strlen(text), NULL));
    g_assert_cmpstr(bytes, ==, text);
}

static void test_half_close(void)
{
    g_autoptr(pair) p = pair_new(&(pair_setup){.channels = 2});
    const char *in, *out;
    int near, far;
    char byte;

    pair_offer(p, STREAM_DISK, 1, &in, &out);
    int listener = pair_listen_at(out);
    pair_join_ends(in, listener, &near, &far); /* though nothing was sent yet */
    pair_wait(p, p->source.opened[STREAM_DISK] == 1 && p->target.opened[STREAM_DISK] == 1);
    fdio_write_full(far, "greeting", 8, NULL); /* the server speaks first */
    expect(near, "greeting");
    fdio_write_full(near, "request", 7, NULL);
    shutdown(near, SHUT_WR);
    expect(far, "request");
    g_assert_cmpint(read(far, &byte, 1), ==, 0);
    fdio_write_full(far, "reply", 5, NULL); /* the other direction is still open */
    expect(near, "reply");
    close(far);
    g_assert_cmpint(read(near, &byte, 1), ==, 0);
    close(near);
    close(listener);
    finish(p);
}

/* Writes until the other end is gone. */
static void write_until_broken(int fd)
{
    g_autofree char *bytes = g_malloc0(1 << 16);
    g_autoptr(GError) error = NULL;

    for (int i = 0; i < 4096 && !error; i++)
        if (send(fd, bytes, 1 << 16, MSG_NOSIGNAL) < 0)
            fdio_error(&error, errno, "send");
    g_assert_nonnull(error);
}

static void test_broken(void)
{
    g_autoptr(pair) p = pair_new(&(pair_setup){.channels = 2});
    const char *in, *out;
    int near, far;
    char byte;

    pair_offer(p, STREAM_DISK, 3, &in, &out);
    int listener = pair_listen_at(out);
    pair_join_ends(in, listener, &near, &far);
    close(far); /* the target's application dies under load */
    write_until_broken(near);
    close(near);
    pair_join_ends(in, listener, &near, &far);
    close(near); /* the source's */
    write_until_broken(far);
    close(far);
    close(listener);
    unlink(out);
    near = pair_connect_to(in); /* nobody there at the target */
    g_assert_cmpint(read(near, &byte, 1), <=, 0);
    close(near);
    finish(p); /* everything has ended, so the session may */
}

static void test_limit(void)
{
    g_autoptr(pair) p = pair_new(&(pair_setup){.channels = 2});
    const char *in, *out;
    int near, far, second;
    char byte;

    pair_offer(p, STREAM_MEMORY, 1, &in, &out);
    int listener = pair_listen_at(out);
    pair_join_ends(in, listener, &near, &far);
    second = pair_connect_to(in);
    g_assert_cmpint(read(second, &byte, 1), ==, 0);
    close(second);
    fdio_write_full(near, "still here", 10, NULL);
    expect(far, "still here");
    close(near);
    close(far);
    close(listener);
    finish(p);
}

static void send_controls(session *s, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        g_autofree char *text = g_strdup_printf("%u", i);
        g_assert_true(session_send_control(s, text, strlen(text), NULL));
    }
}

static void check_controls(const pair_side *side, unsigned count)
{
    g_assert_cmpuint(side->controls->len, ==, count);
    for (unsigned i = 0; i < count; i++)
        g_assert_cmpint(atoi(side->controls->pdata[i]), ==, (int)i);
}

static void test_control(void)
{
    g_autoptr(pair) p =
        pair_new(&(pair_setup){.channels = 4, .seed = 9, .cut_min = 8000, .cut_max = 30000});
    g_autoptr(GError) error = NULL;
    g_autofree char *big = g_malloc(WIRE_CONTROL_MAX + 1);

    send_controls(p->source.session, 500);
    send_controls(p->target.session, 500);
    memset(big, '7', WIRE_CONTROL_MAX + 1);
    g_assert_false(session_send_control(p->source.session, big, WIRE_CONTROL_MAX + 1, &error));
    g_assert_error(error, G_IO_ERROR, G_IO_ERROR_MESSAGE_TOO_LARGE);
    g_clear_error(&error);
    g_assert_false(session_send_control(p->source.session, big, 0, NULL));
    pair_wait(p, p->source.controls->len == 500 && p->target.controls->len == 500);
    finish(p);
    check_controls(&p->source, 500);
    check_controls(&p->target, 500);
    g_assert_false(session_send_control(p->source.session, "late", 4, &error));
    g_assert_error(error, G_IO_ERROR, G_IO_ERROR_CLOSED);
}

static void test_big_control(void)
{
    g_autoptr(pair) p = pair_new(&(pair_setup){.channels = 1});
    g_autofree char *big = g_malloc(WIRE_CONTROL_MAX);

    memset(big, '7', WIRE_CONTROL_MAX);
    g_assert_true(session_send_control(p->source.session, big, WIRE_CONTROL_MAX, NULL));
    pair_wait(p, p->target.controls->len == 1);
    finish(p);
    g_assert_cmpuint(strlen(p->target.controls->pdata[0]), ==, WIRE_CONTROL_MAX);
}

static gpointer finishing(gpointer s)
{
    return GINT_TO_POINTER(session_finish(s, FINISH_MS));
}

static void test_finish_together(void)
{
    for (int round = 0; round < 5; round++) {
        g_autoptr(pair) p = pair_new(&(pair_setup){.channels = 3});
        send_controls(p->source.session, 20);
        send_controls(p->target.session, 20);
        GThread *other = g_thread_new("finish", finishing, p->source.session);
        pair_wait(p, p->target.controls->len == 20 && p->source.controls->len == 20);
        g_assert_true(session_finish(p->target.session, FINISH_MS));
        g_assert_true(GPOINTER_TO_INT(g_thread_join(other)));
        g_assert_no_error(p->source.failure);
        g_assert_no_error(p->target.failure);
    }
}

static void test_finish_waits(void)
{
    g_autoptr(pair) p = pair_new(&(pair_setup){.channels = 2});
    const char *in, *out;
    int near, far;

    pair_offer(p, STREAM_MEMORY, 1, &in, &out);
    int listener = pair_listen_at(out);
    pair_join_ends(in, listener, &near, &far);
    g_assert_false(session_finish(p->source.session, 50)); /* a stream is open */
    fdio_write_full(near, "goes on", 7, NULL);
    expect(far, "goes on");
    close(near);
    close(far);
    close(listener);
    finish(p);
}

static void test_link_timeout(void)
{
    g_autoptr(pair) p =
        pair_new(&(pair_setup){.channels = 2, .link_timeout_ms = 300, .wired = TRUE});
    const char *in, *out;
    int near, far;
    char byte;

    pair_offer(p, STREAM_MEMORY, 1, &in, &out);
    int listener = pair_listen_at(out);
    pair_join_ends(in, listener, &near, &far);
    pair_wait(p, p->source.alive == 2 && p->target.alive == 2);
    pair_set_refuse(p, TRUE);
    pair_cut_all(p);
    pair_wait(p, p->source.failure && p->target.failure);
    g_assert_error(p->source.failure, G_IO_ERROR, G_IO_ERROR_TIMED_OUT);
    g_assert_nonnull(strstr(p->source.failure->message, "no route to host"));
    g_assert_error(p->target.failure, G_IO_ERROR, G_IO_ERROR_TIMED_OUT);
    /* The applications see it as well. */
    g_assert_cmpint(read(near, &byte, 1), ==, 0);
    g_assert_cmpint(read(far, &byte, 1), ==, 0);
    g_assert_false(session_send_control(p->source.session, "x", 1, NULL));
    g_assert_false(session_finish(p->source.session, FINISH_MS));
    close(near);
    close(far);
    close(listener);
}

static void test_fail_tells_peer(void)
{
    g_autoptr(pair) p = pair_new(&(pair_setup){.channels = 3});
    g_autoptr(GError) why = g_error_new(G_IO_ERROR, G_IO_ERROR_NO_SPACE, "disk vda is full");

    pair_wait(p, p->source.alive == 3 && p->target.alive == 3);
    session_fail(p->target.session, why);
    pair_wait(p, p->source.failure && p->target.failure);
    g_assert_error(p->target.failure, G_IO_ERROR, G_IO_ERROR_NO_SPACE);
    g_assert_error(p->source.failure, G_IO_ERROR, G_IO_ERROR_CLOSED);
    g_assert_nonnull(strstr(p->source.failure->message, "given this session up"));
}

static void test_free_tells_peer(void)
{
    g_autoptr(pair) p = pair_new(&(pair_setup){.channels = 3});

    pair_wait(p, p->source.alive == 3 && p->target.alive == 3);
    pair_drop(&p->source);
    pair_wait(p, p->target.failure);
    g_assert_error(p->target.failure, G_IO_ERROR, G_IO_ERROR_CLOSED);
}

static void test_free_under_load(void)
{
    g_autoptr(pair) p =
        pair_new(&(pair_setup){.channels = 4, .seed = 4, .cut_min = 100000, .cut_max = 1000000});
    const char *in, *out;
    int near, far;

    pair_offer(p, STREAM_MEMORY, 1, &in, &out);
    int listener = pair_listen_at(out);
    pair_join_ends(in, listener, &near, &far);
    pair_wait(p, p->cuts > 0 || send(near, "some bytes", 10, MSG_NOSIGNAL) == 10);
    pair_drop(&p->source);
    pair_drop(&p->target);
    write_until_broken(near);
    close(near);
    close(far);
    close(listener);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/relay/session/streams-arrive-whole", test_plain);
    g_test_add_func("/relay/session/one-channel-is-enough", test_one_channel);
    for (guint seed = 1; seed <= 5; seed++) {
        g_autofree char *path =
            g_strdup_printf("/relay/session/channels-die-anywhere/seed-%u", seed);
        g_test_add_data_func(path, GUINT_TO_POINTER(seed), test_cut);
    }
    g_test_add_func("/relay/session/all-channels-die-and-come-back", test_all_cut);
    g_test_add_func("/relay/session/stalled-consumer-stops-nobody-else", test_stall);
    g_test_add_func("/relay/session/directions-end-one-by-one", test_half_close);
    g_test_add_func("/relay/session/broken-connections-break-the-other-end", test_broken);
    g_test_add_func("/relay/session/number-of-streams-is-limited", test_limit);
    g_test_add_func("/relay/session/control-comes-once-and-in-order", test_control);
    g_test_add_func("/relay/session/control-may-be-64-kib", test_big_control);
    g_test_add_func("/relay/session/both-may-finish-together", test_finish_together);
    g_test_add_func("/relay/session/finish-waits-for-streams", test_finish_waits);
    g_test_add_func("/relay/session/no-channel-for-too-long-is-the-end", test_link_timeout);
    g_test_add_func("/relay/session/failure-is-told-to-the-peer", test_fail_tells_peer);
    g_test_add_func("/relay/session/leaving-without-finish-is-told-too", test_free_tells_peer);
    g_test_add_func("/relay/session/free-under-load", test_free_under_load);
    return g_test_run();
}
