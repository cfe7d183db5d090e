/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Streams over channels for tests; see flow.h. */
#include "flow.h"

#include <poll.h>
#include <string.h>

const guint8 *flow_pattern(void)
{
    static guint8 *bytes;

    if (g_once_init_enter(&bytes)) {
        g_autoptr(GRand) random = g_rand_new_with_seed(7);
        guint8 *made = g_malloc(2 * FLOW_PATTERN);
        for (int i = 0; i < FLOW_PATTERN; i++)
            made[i] = made[i + FLOW_PATTERN] = (guint8)g_rand_int(random);
        g_once_init_leave(&bytes, made);
    }
    return bytes;
}

gboolean flow_send(flow *f)
{
    gboolean moved = FALSE;
    GError *error = NULL;

    while (f->sent < f->total) {
        struct iovec parts[4];
        guint64 at = f->sent;
        ssize_t n;
        for (int i = 0; i < 4; i++) {
            size_t size = (size_t)g_rand_int_range(f->sizes, 0, (gint32)f->largest);
            size = (size_t)MIN(MIN(size, FLOW_PATTERN), f->total - at);
            parts[i] = (struct iovec){(void *)(flow_pattern() + at % FLOW_PATTERN), size};
            at += size;
        }
        n = channel_send(f->c, parts, 4, &error);
        g_assert_no_error(error);
        f->sent += (guint64)n;
        moved |= n > 0;
        if (n < (ssize_t)(at - (f->sent - (guint64)n)))
            break;
    }
    if (f->sent == f->total) {
        channel_flush(f->c, &error);
        g_assert_no_error(error);
    }
    return moved;
}

gboolean flow_receive(flow *f)
{
    static __thread guint8 buffer[FLOW_PATTERN];
    size_t size = (size_t)g_rand_int_range(f->sizes, 1, (gint32)MIN(f->largest, FLOW_PATTERN));
    GError *error = NULL;
    ssize_t n = channel_receive(f->c, buffer, size, &error);

    g_assert_no_error(error);
    g_assert_cmpint(n, <=, size);
    if (n > 0 && memcmp(buffer, flow_pattern() + f->received % FLOW_PATTERN, (size_t)n) != 0)
        g_error("the stream is wrong within %zd bytes after %" G_GUINT64_FORMAT, n, f->received);
    f->received += (guint64)n;
    return n > 0;
}

static gboolean flow_done(flow *f)
{
    return f->sent == f->total && f->received == f->total && !(channel_wants(f->c) & POLLOUT);
}

void flow_run(flow *f)
{
    gint64 deadline = g_get_monotonic_time() + FLOW_LIMIT_S * G_USEC_PER_SEC;

    while (!flow_done(f)) {
        gboolean moved = flow_send(f);
        moved |= f->received < f->total && flow_receive(f);
        if (!moved && (f->received == f->total || channel_pending(f->c) == 0)) {
            struct pollfd p = {.fd = channel_fd(f->c), .events = channel_wants(f->c)};
            GError *error = NULL;
            if (f->received == f->total)
                p.events &= ~POLLIN;
            if (flow_done(f))
                break;
            g_assert_cmpint(poll(&p, 1, FLOW_LIMIT_S * 1000), ==, 1);
            channel_flush(f->c, &error);
            g_assert_no_error(error);
        }
        g_assert_cmpint(g_get_monotonic_time(), <, deadline);
    }
}

gpointer flow_thread(gpointer data)
{
    flow_run(data);
    return NULL;
}

void flow_pair(outcome *o, guint64 total, size_t largest)
{
    flow a = {o->client, 0, 0, total, g_rand_new_with_seed(1), largest};
    flow z = {o->server, 0, 0, total, g_rand_new_with_seed(2), largest};
    GThread *thread = g_thread_new("zulu", flow_thread, &z);

    flow_run(&a);
    g_thread_join(thread);
    g_rand_free(a.sizes);
    g_rand_free(z.sizes);
}

void flow_say(channel *c, const void *bytes, size_t length)
{
    GError *error = NULL;

    g_assert_cmpint(channel_send(c, &(struct iovec){(void *)bytes, length}, 1, &error), ==, length);
    g_assert_no_error(error);
    g_assert_cmpint(channel_flush(c, &error), ==, 1);
    g_assert_no_error(error);
}

ssize_t flow_hear(channel *c, void *buffer, size_t size, GError **error)
{
    ssize_t n;

    while ((n = channel_receive(c, buffer, size, error)) == 0) {
        struct pollfd p = {.fd = channel_fd(c), .events = channel_wants(c) & POLLIN};
        g_assert_cmpint(p.events, ==, POLLIN);
        g_assert_cmpint(poll(&p, 1, FLOW_LIMIT_S * 1000), ==, 1);
    }
    return n;
}

void flow_ends_with(channel *c, int code)
{
    char buffer[100];

    for (int i = 0; i < 3; i++) {
        g_autoptr(GError) error = NULL;
        g_assert_cmpint(flow_hear(c, buffer, sizeof buffer, &error), ==, -1);
        g_assert_error(error, G_IO_ERROR, code);
    }
    g_assert_cmpint(channel_wants(c) & POLLIN, ==, 0);
    g_assert_cmpuint(channel_pending(c), ==, 0);
}
