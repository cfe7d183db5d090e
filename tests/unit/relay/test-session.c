/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Sessions over real TLS: data goes through whole and in order, whatever happens to channels. */
#include "pair.h"
#include "party.h"

static void offer(pair *p, stream_kind kind, unsigned most, const char **from, const char **to)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *from_name = g_strdup_printf("%s-in", stream_kind_name(kind));
    g_autofree char *to_name = g_strdup_printf("%s-out", stream_kind_name(kind));

    *from = pair_path(p, from_name);
    *to = pair_path(p, to_name);
    session_offer(p->target.session, kind, *to, most, NULL, NULL, &error);
    g_assert_no_error(error);
    session_listen(p->source.session, kind, *from, 0600, most, NULL, NULL, &error);
    g_assert_no_error(error);
}

static void carry(const pair_setup *setup, guint32 bytes)
{
    g_autoptr(pair) p = pair_new(setup);
    const char *memory_in, *memory_out, *disk_in, *disk_out;
    GThread *clients[6];

    offer(p, STREAM_MEMORY, 2, &memory_in, &memory_out);
    offer(p, STREAM_DISK, 4, &disk_in, &disk_out);
    server *memory = server_new(memory_out), *disk = server_new(disk_out);
    for (unsigned i = 0; i < 6; i++)
        clients[i] = client_start(i < 2 ? memory_in : disk_in, 100 * i + setup->seed, bytes,
                                  i % 3 * (bytes / 2));
    for (unsigned i = 0; i < 6; i++)
        g_thread_join(clients[i]);
    server_join(memory, 2);
    server_join(disk, 4);
    g_assert_true(session_finish(p->source.session, 60000));
    pair_wait(p, p->target.alive == 0);
    g_assert_null(p->source.failure);
    g_assert_null(p->target.failure);

    session_stats s, t;
    session_get_stats(p->source.session, &s);
    session_get_stats(p->target.session, &t);
    g_assert_cmpuint(s.payload_out[STREAM_MEMORY], ==, t.payload_in[STREAM_MEMORY]);
    g_assert_cmpuint(s.payload_out[STREAM_DISK], ==, 4 * (16 + (guint64)bytes));
    g_assert_cmpuint(s.payload_in[STREAM_DISK], ==, t.payload_out[STREAM_DISK]);
    g_assert_cmpuint(s.channels_alive, ==, 0);
}

static void test_plain(void)
{
    carry(&(pair_setup){.channels = 4, .seed = 1}, 8 << 20);
}

static void test_cut(void)
{
    carry(&(pair_setup){.channels = 4, .seed = 2, .cut_min = 2000, .cut_max = 4 << 20}, 8 << 20);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/relay/session/streams-arrive-whole", test_plain);
    g_test_add_func("/relay/session/channels-die-anywhere", test_cut);
    return g_test_run();
}
