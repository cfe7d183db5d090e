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

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/relay/link/pace-of-a-stream", test_pace);
    return g_test_run();
}
