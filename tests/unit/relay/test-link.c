/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Sessions and their links over real TLS: what they measure, and how they behave when links are
 * slow, silent, or come back. */
#include "base/fdio.h"
#include "pair.h"
#include "relay/session-inner.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* The first stream that was opened. */
static stream *first_stream(session *s)
{
    stream *found;

    pthread_mutex_lock(&s->lock);
    found = s->mux.streams->pdata[1];
    pthread_mutex_unlock(&s->lock);
    return found;
}

typedef struct {
    session *session;
    stream *stream;
    unsigned frames;
} pusher;

static gpointer push(gpointer data)
{
    const pusher *self = data;

    for (unsigned i = 0; i < self->frames; i++) {
        frame *f = frame_new(NULL, 1024);
        f->stream = self->stream->id;
        f->length = 1024;
        memset(f->payload, 'x', 1024);
        session_push(self->session, self->stream, f);
    }
    return NULL;
}

typedef struct {
    int fd;
    const char *bytes;
    size_t length;
} pusher_bytes;

static gpointer write_all(gpointer data)
{
    const pusher_bytes *self = data;

    g_assert_true(fdio_write_full(self->fd, self->bytes, self->length, NULL));
    return NULL;
}

static stream_pace pace_of(const pusher *p)
{
    stream_pace pace;

    g_assert_true(session_stream_pace(p->session, p->stream, &pace));
    return pace;
}

static void test_pace(void)
{
    g_autoptr(pair) p = pair_new(&(pair_setup){.channels = 2, .wired = TRUE});
    const char *in, *out;
    char bytes[1024];
    stream_pace pace;
    int near, far;

    pair_offer(p, STREAM_MEMORY, 1, &in, &out);
    int listener = pair_listen_at(out);
    pair_join_ends(in, listener, &near, &far);
    pusher self = {p->source.session, first_stream(p->source.session), 1000};
    pair_set_refuse(p, TRUE);
    pair_cut_all(p);
    pair_wait(p, p->source.alive == 0);
    g_assert_cmpuint(pace_of(&self).blocked_us, ==, 0);

    /* No channel: 256 KiB wait, and so does whoever has more. */
    GThread *thread = g_thread_new("push", push, &self);
    guint64 before = 0;
    for (int i = 0; i < 3; i++) { /* the wait that goes on counts */
        while ((pace = pace_of(&self)).blocked_us <= before)
            g_thread_yield();
        before = pace.blocked_us;
    }
    g_assert_cmpuint(pace.pushed, ==, 256 * 1024);
    g_assert_cmpuint(pace.acknowledged, ==, 0);

    pair_set_refuse(p, FALSE);
    for (int i = 0; i < 1000; i++)
        g_assert_true(fdio_read_full(far, bytes, sizeof bytes, NULL));
    g_thread_join(thread);
    while ((pace = pace_of(&self)).acknowledged < 1000 * 1024)
        g_thread_yield();
    g_assert_cmpuint(pace.pushed, ==, 1000 * 1024);
    g_assert_cmpuint(pace.acknowledged, ==, 1000 * 1024);
    g_assert_cmpuint(pace.blocked_us, >=, before);
    before = pace.blocked_us;
    g_assert_cmpuint(pace_of(&self).blocked_us, ==, before);

    g_autoptr(GError) why = g_error_new(G_IO_ERROR, G_IO_ERROR_FAILED, "enough");
    session_fail(p->source.session, why);
    g_assert_false(session_stream_pace(p->source.session, self.stream, &pace));
    close(near);
    close(far);
    close(listener);
}

/* The connection lives and nothing passes: no byte, no end, no error. */
static void test_silence_is_death(void)
{
    g_autoptr(pair) p = pair_new(&(pair_setup){.channels = 2, .silence_ms = 500, .wired = TRUE});
    unsigned dialled;

    pair_wait(p, p->source.alive == 2 && p->target.alive == 2);
    g_assert_no_error(p->source.failure);
    dialled = p->dialled;
    g_assert_cmpuint(dialled, ==, 2); /* heartbeats keep idle channels */
    pair_set_hold(p, TRUE);
    pair_wait(p, p->source.alive == 0 && p->target.alive == 0);
    pair_wait(p, p->dialled >= dialled + 2);
    pair_set_hold(p, FALSE);
    pair_wait(p, p->source.alive == 2 && p->target.alive == 2);
    g_assert_true(session_send_control(p->source.session, "x", 1, NULL));
    pair_wait(p, p->target.controls->len == 1);
    g_assert_true(session_finish(p->source.session, 60000));
}

/* Idle channels beat: over several times the limit none of them dies. Judged by the bytes that have
 * arrived, because the clock of a busy machine says nothing. */
static void test_heartbeats(void)
{
    g_autoptr(pair) p = pair_new(&(pair_setup){.channels = 2, .silence_ms = 1000});
    session_stats first, now;

    pair_wait(p, p->source.alive == 2 && p->target.alive == 2);
    session_get_stats(p->source.session, &first);
    do /* a heartbeat is 16 bytes and 22 of TLS; 2 channels, 20 beats each */
        session_get_stats(p->source.session, &now);
    while (now.wire_in < first.wire_in + 2 * 20 * 38);
    g_assert_cmpuint(now.channels_lost, ==, 0);
    g_assert_cmpuint(p->dialled, ==, 2);
}

static void test_coming_home(void)
{
    g_autoptr(pair) p = pair_new(&(pair_setup){.channels = 2, .wired = TRUE});
    session_stats stats;
    unsigned scouted;

    pair_wait(p, p->source.alive == 2 && p->target.alive == 2);
    pair_set_strand(p, TRUE);
    pair_cut_all(p);
    pair_wait(p, p->scouted >= 2); /* in vain */
    pair_wait(p, p->source.alive == 2 && p->target.alive == 2);
    pair_set_strand(p, FALSE);
    pair_lock(p);
    scouted = p->scouted;
    pair_unlock(p);
    pair_wait(p, p->scouted >= scouted + 2);
    for (int i = 0; i < 100; i++)
        g_assert_true(session_send_control(p->source.session, "x", 1, NULL));
    pair_wait(p, p->target.controls->len == 100);
    session_get_stats(p->source.session, &stats);
    g_assert_cmpuint(stats.channels_lost, ==, 2); /* by the cut; coming home is no loss */
    g_assert_true(session_finish(p->source.session, 60000));
}

/* Writes so many bytes into a stream of a kind and reads them at the other end: µs. */
static gint64 timed(pair *p, stream_kind kind, size_t length)
{
    g_autofree char *bytes = g_malloc0(length), *got = g_malloc(length);
    const char *in, *out;
    int near, far;
    pusher_bytes job;

    pair_offer(p, kind, 1, &in, &out);
    int listener = pair_listen_at(out);
    pair_join_ends(in, listener, &near, &far);
    job = (pusher_bytes){near, bytes, length};
    gint64 began = g_get_monotonic_time();
    GThread *writer = g_thread_new("write", write_all, &job);
    g_assert_true(fdio_read_full(far, got, length, NULL));
    began = g_get_monotonic_time() - began;
    g_thread_join(writer);
    close(near);
    close(far);
    close(listener);
    return began;
}

/* A rate can only be seen by a clock, but only one bound is asserted: it is never exceeded. */
static void test_rate(void)
{
    g_autoptr(pair) p = pair_new(&(pair_setup){.channels = 4});

    session_set_rate(p->source.session, 0, 8 << 20);
    g_assert_cmpint(timed(p, STREAM_DISK, 4 << 20), >=, 400000);
    session_set_rate(p->source.session, 8 << 20, 0);
    g_assert_cmpint(timed(p, STREAM_MEMORY, 4 << 20), >=, 400000);
    /* 1 byte a second: nothing moves, but what is urgent does, and a new rate is felt at once. */
    session_set_rate(p->source.session, 1, 0);
    g_assert_true(session_send_control(p->source.session, "x", 1, NULL));
    pair_wait(p, p->target.controls->len == 1);
    session_set_rate(p->source.session, 0, 0);
    timed(p, STREAM_RPC, 4 << 20);
    g_assert_true(session_finish(p->source.session, 60000));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/relay/link/pace-of-a-stream", test_pace);
    g_test_add_func("/relay/link/silence-is-death", test_silence_is_death);
    g_test_add_func("/relay/link/idle-channels-beat", test_heartbeats);
    g_test_add_func("/relay/link/channels-come-home", test_coming_home);
    g_test_add_func("/relay/link/rates-hold", test_rate);
    return g_test_run();
}
