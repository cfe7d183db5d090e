/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Channels that are up: data whole and in order whatever the buffers, key renewal under load, ends,
 * limits, dead links. */
#include "flow.h"
#include "nets.h"

#include <malloc.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static guint64 mib(guint64 count)
{
    return (g_test_thorough() ? 4 * count : count) * MIB;
}

/* Data. */

static void test_full_duplex(ends *e, gconstpointer data)
{
    static const struct {
        int socket;
        size_t largest;
        guint64 count;
    } cases[] = {{0, 300000, 64}, {4096, 60000, 24}, {4096, 40, 1}, {0, 20, 1}};

    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        int fds[2];
        outcome o;
        ends_sockets(fds, cases[i].socket);
        o = ends_connect(e, fds);
        flow_pair(&o, mib(cases[i].count) + 12345, cases[i].largest);
        g_assert_cmpuint(channel_bytes_out(o.client), ==, channel_bytes_in(o.server));
        g_assert_cmpuint(channel_bytes_out(o.server), ==, channel_bytes_in(o.client));
        /* Records are full where the data allows: 22 bytes on each 16 KiB. */
        g_assert_cmpuint(channel_bytes_out(o.client), <,
                         (mib(cases[i].count) + 12345) * 1003 / 1000 + 8192);
        ends_clear(&o);
    }
}

/* Both sides renew their keys again and again, while both directions are full and sockets tiny. */

typedef struct {
    flow flow;
    channel *c;
    guint wanted;
    gint *ready; /* sides that have renewed often enough */
    guint64 minimum;
} rekeying;

static gpointer stream_until_rekeyed(gpointer data)
{
    rekeying *r = data;
    gint64 deadline = g_get_monotonic_time() + FLOW_LIMIT_S * G_USEC_PER_SEC;
    gboolean ready = FALSE;
    const guint64 step = 64 * 1024;

    r->flow.total = step;
    /* Goes on until both have had enough, so that nobody renews on a quiet channel. */
    while (g_atomic_int_get(r->ready) < 2) {
        gboolean moved = FALSE;
        if (r->flow.sent == r->flow.total)
            r->flow.total += step;
        moved |= flow_send(&r->flow);
        moved |= flow_receive(&r->flow);
        if (!ready && channel_rekeys(r->c) >= r->wanted && r->flow.sent >= r->minimum &&
            r->flow.received >= r->minimum) {
            ready = TRUE;
            g_atomic_int_inc(r->ready);
        }
        if (!moved && channel_pending(r->c) == 0) {
            struct pollfd p = {.fd = channel_fd(r->c), .events = channel_wants(r->c)};
            poll(&p, 1, 100); /* the other side may just have stopped */
        }
        g_assert_cmpint(g_get_monotonic_time(), <, deadline);
    }
    return NULL;
}

static void test_rekeying(ends *e, gconstpointer data)
{
    gboolean tcp = data != NULL;
    gint ready = 0;
    int fds[2];
    outcome o;

    if (tcp)
        ends_tcp(fds);
    else
        ends_sockets(fds, 4096);
    o = ends_connect(e, fds);
    /* More than can be under way: else a side that was held up for seconds would find more than the
     * 8 KeyUpdates at once that GnuTLS takes in a second. */
    channel_set_rekey_bytes(o.client, tcp ? 16 * MIB : MIB);
    channel_set_rekey_bytes(o.server, tcp ? 16 * MIB : MIB);
    rekeying a = {.c = o.client, .wanted = 15, .ready = &ready, .minimum = mib(64)};
    rekeying z = {.c = o.server, .wanted = 15, .ready = &ready, .minimum = mib(64)};
    a.flow = (flow){.c = o.client, .sizes = g_rand_new_with_seed(3), .largest = 65000};
    z.flow = (flow){.c = o.server, .sizes = g_rand_new_with_seed(4), .largest = 65000};
    GThread *thread = g_thread_new("zulu", stream_until_rekeyed, &z);
    stream_until_rekeyed(&a);
    g_thread_join(thread);
    /* What is still under way arrives, too. */
    a.flow.total = z.flow.total = MAX(a.flow.sent, z.flow.sent) + 100000;
    thread = g_thread_new("zulu", flow_thread, &z.flow);
    flow_run(&a.flow);
    g_thread_join(thread);
    g_assert_cmpuint(channel_rekeys(o.client), >=, 15);
    g_assert_cmpuint(channel_rekeys(o.server), >=, 15);
    g_test_message("%u and %u key renewals in %" G_GUINT64_FORMAT " MiB each way",
                   channel_rekeys(o.client), channel_rekeys(o.server), a.flow.total / MIB);
    g_rand_free(a.flow.sizes);
    g_rand_free(z.flow.sizes);
    ends_clear(&o);
}

/* Only one side sends, yet both renew: the receiver's KeyUpdates leave without data. */
static void test_rekeying_one_way(ends *e, gconstpointer data)
{
    gint64 deadline = g_get_monotonic_time() + FLOW_LIMIT_S * G_USEC_PER_SEC;
    int fds[2];
    outcome o;

    ends_sockets(fds, 0);
    o = ends_connect(e, fds);
    channel_set_rekey_bytes(o.client, MIB);
    channel_set_rekey_bytes(o.server, MIB);
    flow a = {o.client, 0, 0, G_MAXUINT64 / 2, g_rand_new_with_seed(1), 60000};
    flow z = {o.server, 0, 0, 0, g_rand_new_with_seed(2), 60000};
    while (channel_rekeys(o.client) < 4 || channel_rekeys(o.server) < 4) {
        flow_send(&a);
        while (flow_receive(&z))
            ;
        g_assert_false(flow_receive(&a)); /* takes in KeyUpdates */
        g_assert_cmpint(g_get_monotonic_time(), <, deadline);
    }
    g_rand_free(a.sizes);
    g_rand_free(z.sizes);
    ends_clear(&o);
}

/* Ends. */

static void test_orderly_end(ends *e, gconstpointer data)
{
    char buffer[100];
    int fds[2];
    outcome o;

    ends_tcp(fds);
    o = ends_connect(e, fds);
    flow_say(o.client, "last words", 10);
    g_clear_pointer(&o.client, channel_free);
    g_assert_cmpint(flow_hear(o.server, buffer, 4, NULL), ==, 4);
    g_assert_cmpint(flow_hear(o.server, buffer + 4, 96, NULL), ==, 6);
    g_assert_cmpmem(buffer, 10, "last words", 10);
    flow_ends_with(o.server, G_IO_ERROR_CONNECTION_CLOSED);
    ends_clear(&o);
}

/* Freed with unsent bytes: no close_notify may pretend that all is well. */
static void test_end_with_unsent(ends *e, gconstpointer data)
{
    g_autofree char *buffer = g_malloc0(4 * MIB);
    GError *error = NULL;
    int fds[2];
    outcome o;
    ssize_t taken, n, got = 0;

    ends_sockets(fds, 4096);
    o = ends_connect(e, fds);
    taken = channel_send(o.client, &(struct iovec){buffer, 4 * MIB}, 1, &error);
    g_assert_no_error(error);
    g_assert_cmpint(taken, >, 0);
    g_assert_cmpint(channel_wants(o.client) & POLLOUT, ==, POLLOUT);
    g_clear_pointer(&o.client, channel_free);
    while ((n = flow_hear(o.server, buffer, 100000, &error)) > 0)
        got += n;
    g_assert_error(error, G_IO_ERROR, G_IO_ERROR_NOT_CONNECTED);
    g_assert_cmpint(got, <, taken);
    g_clear_error(&error);
    ends_clear(&o);
}

static void test_staged_bytes_leave_with_the_end(ends *e, gconstpointer data)
{
    char buffer[100];
    int fds[2];
    outcome o;

    ends_sockets(fds, 0);
    o = ends_connect(e, fds);
    g_assert_cmpint(channel_send(o.client, &(struct iovec){"abc", 3}, 1, NULL), ==, 3);
    g_assert_cmpint(channel_receive(o.server, buffer, 100, NULL), ==, 0); /* not flushed yet */
    g_clear_pointer(&o.client, channel_free);
    g_assert_cmpint(flow_hear(o.server, buffer, 100, NULL), ==, 3);
    flow_ends_with(o.server, G_IO_ERROR_CONNECTION_CLOSED);
    ends_clear(&o);
}

static void test_peer_is_gone(ends *e, gconstpointer data)
{
    struct linger reset = {.l_onoff = 1};
    GError *error = NULL;
    char buffer[1000] = "";
    int fds[2];
    outcome o;

    ends_tcp(fds);
    o = ends_connect(e, fds);
    g_assert_cmpint(setsockopt(fds[1], SOL_SOCKET, SO_LINGER, &reset, sizeof reset), ==, 0);
    g_assert_cmpint(dup2(fds[0], fds[1]), ==, fds[1]); /* closes it under the server's feet */
    flow_ends_with(o.client, G_IO_ERROR_NOT_CONNECTED);
    while (channel_send(o.client, &(struct iovec){buffer, 1000}, 1, &error) >= 0 &&
           channel_flush(o.client, &error) >= 0)
        ;
    g_assert_error(error, G_IO_ERROR, G_IO_ERROR_NOT_CONNECTED);
    g_clear_error(&error);
    g_assert_cmpint(channel_flush(o.client, &error), ==, -1);
    g_assert_error(error, G_IO_ERROR, G_IO_ERROR_NOT_CONNECTED);
    g_clear_error(&error);
    ends_clear(&o);
}

/* Limits. */

/* A peer that does not read stops us, after a bounded number of bytes. */
static void test_send_is_bounded(ends *e, gconstpointer data)
{
    g_autofree char *block = g_malloc0(MIB);
    GError *error = NULL;
    guint64 taken = 0;
    ssize_t n;
    int fds[2];
    outcome o;

    ends_sockets(fds, 4096);
    o = ends_connect(e, fds);
    while ((n = channel_send(o.client, &(struct iovec){block, MIB}, 1, &error)) > 0)
        taken += (guint64)n;
    g_assert_no_error(error);
    g_assert_cmpuint(taken, <=, 512 * 1024);
    g_assert_cmpint(channel_flush(o.client, &error), ==, 0);
    g_assert_cmpint(channel_wants(o.client), ==, POLLIN | POLLOUT);
    ends_clear(&o);
}

static void test_memory(ends *e, gconstpointer data)
{
    enum { COUNT = 16 };
    outcome o[COUNT];
    gsize before, after;

#if defined(__SANITIZE_ADDRESS__)
    g_test_skip("malloc does not count under AddressSanitizer");
    return;
#endif
    before = mallinfo2().uordblks + mallinfo2().hblkhd;
    for (int i = 0; i < COUNT; i++) {
        int fds[2];
        ends_sockets(fds, 0);
        o[i] = ends_connect(e, fds);
        flow_pair(&o[i], 2 * MIB, 60000);
    }
    after = mallinfo2().uordblks + mallinfo2().hblkhd;
    g_test_message("%zu KiB a channel", (after - before) / 1024 / (2 * COUNT));
    g_assert_cmpuint(after - before, <, 2 * COUNT * MIB);
    for (int i = 0; i < COUNT; i++)
        ends_clear(&o[i]);
}

/* A link that is gone without a word. */
static void test_stall_timeout(ends *e, gconstpointer sending)
{
    g_autoptr(GError) error = NULL;
    struct sockaddr_storage address;
    socklen_t size = sizeof address;
    char buffer[100];
    int listener, fds[2];
    outcome o;
    nets n;

    if (!nets_enter(&n))
        return;
    nets_link(&n, "mig", "10.70.0.1/24", "10.70.0.2/24");
    nets_be_there(&n);
    listener = nets_listen("10.70.0.2");
    g_assert_cmpint(getsockname(listener, (struct sockaddr *)&address, &size), ==, 0);
    nets_be_here(&n);
    fds[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    g_assert_cmpint(connect(fds[0], (struct sockaddr *)&address, size), ==, 0);
    fds[1] = nets_accept(listener);
    o = ends_connect(e, fds);
    channel_set_stall_timeout(o.client, 1500);
    nets_be_there(&n);
    nets_ip("link set mig1 down");
    nets_be_here(&n);
    if (sending)
        g_assert_cmpint(channel_send(o.client, &(struct iovec){"x", 1}, 1, &error), ==, 1);
    channel_flush(o.client, &error);
    g_assert_cmpint(flow_hear(o.client, buffer, sizeof buffer, &error), ==, -1);
    g_assert_true(g_error_matches(error, G_IO_ERROR, G_IO_ERROR_TIMED_OUT) ||
                  g_error_matches(error, G_IO_ERROR, G_IO_ERROR_HOST_UNREACHABLE));
    ends_clear(&o);
    close(listener);
    nets_leave(&n);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#define ADD(path, data, function)                                                                  \
    g_test_add(path, ends, data, ends_set_up, function, ends_tear_down)
    ADD("/channel/full-duplex", NULL, test_full_duplex);
    ADD("/channel/rekey/full-duplex-tiny-sockets", NULL, test_rekeying);
    ADD("/channel/rekey/full-duplex-tcp", "tcp", test_rekeying);
    ADD("/channel/rekey/one-way", NULL, test_rekeying_one_way);
    ADD("/channel/end/in-order", NULL, test_orderly_end);
    ADD("/channel/end/with-unsent-bytes", NULL, test_end_with_unsent);
    ADD("/channel/end/staged-bytes-leave", NULL, test_staged_bytes_leave_with_the_end);
    ADD("/channel/end/peer-is-gone", NULL, test_peer_is_gone);
    ADD("/channel/limit/send", NULL, test_send_is_bounded);
    ADD("/channel/limit/memory", NULL, test_memory);
    ADD("/channel/stall/while-sending", "sending", test_stall_timeout);
    ADD("/channel/stall/while-idle", NULL, test_stall_timeout);
    return g_test_run();
}
