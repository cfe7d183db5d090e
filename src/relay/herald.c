/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Control messages, channel counts and failure go to the owner from here; see herald.h. */
#include "relay/herald.h"

#include <errno.h>
#include <time.h>

/* Waits for news; TRUE when instead no channel has been alive for too long. */
static gboolean wait_for_news(session *s)
{
    gint64 deadline;
    struct timespec until;

    if (s->silent_since == 0 || session_is_over(s)) {
        pthread_cond_wait(&s->news, &s->lock);
        return FALSE;
    }
    deadline = s->silent_since + (gint64)s->setup.link_timeout_ms * 1000;
    if (g_get_monotonic_time() >= deadline)
        return TRUE;
    until = (struct timespec){.tv_sec = deadline / G_USEC_PER_SEC,
                              .tv_nsec = deadline % G_USEC_PER_SEC * 1000};
    pthread_cond_timedwait(&s->news, &s->lock, &until);
    return FALSE;
}

static void fail_for_silence(session *s)
{
    g_autoptr(GError) error = NULL;

    error = g_error_new(G_IO_ERROR, G_IO_ERROR_TIMED_OUT,
                        "no data channel to the peer for %d s%s%s; check the migration networks "
                        "and the peer's ferryd",
                        (s->setup.link_timeout_ms + 999) / 1000,
                        s->last_error ? ", the last one: " : "",
                        s->last_error ? s->last_error->message : "");
    session_fail_locked(s, error);
}

static void tell_failure(session *s)
{
    s->failure_told = TRUE;
    pthread_mutex_unlock(&s->lock);
    /* Written once, before the state became FAILED. */
    if (s->setup.on_failed)
        s->setup.on_failed(s->failure, s->setup.user);
    pthread_mutex_lock(&s->lock);
}

static void tell_channels(session *s)
{
    g_autoptr(GError) why = s->last_error ? g_error_copy(s->last_error) : NULL;
    unsigned alive = s->alive;

    s->channels_changed = FALSE;
    pthread_mutex_unlock(&s->lock);
    if (s->setup.on_channels)
        s->setup.on_channels(alive, why, s->setup.user);
    pthread_mutex_lock(&s->lock);
}

static void tell_control(session *s)
{
    frame *f = stream_in_take(&s->mux.control->in);

    pthread_mutex_unlock(&s->lock);
    f->payload[f->length] = 0; /* lane-io.c left room for it */
    if (s->setup.on_control)
        s->setup.on_control((const char *)f->payload, f->length, s->setup.user);
    pthread_mutex_lock(&s->lock);
    mux_consumed(&s->mux, s->mux.control, f->number + 1);
    session_wake_lane(s);
    session_check_drained(s);
    frame_unref(f);
}

static void wake_codecs(session *s)
{
    pthread_mutex_unlock(&s->lock);
    session_wake_codecs(s);
    pthread_mutex_lock(&s->lock);
}

void *herald_main(void *its_session)
{
    session *s = its_session;

    pthread_mutex_lock(&s->lock);
    while (s->state != SESSION_CLOSED) {
        if (session_is_over(s) && !s->codecs_woken)
            wake_codecs(s);
        else if (s->state == SESSION_FAILED && !s->failure_told)
            tell_failure(s);
        else if (s->channels_changed)
            tell_channels(s);
        else if (s->state < SESSION_FAILED && stream_in_is_ready(&s->mux.control->in))
            tell_control(s);
        else if (wait_for_news(s))
            fail_for_silence(s);
    }
    pthread_mutex_unlock(&s->lock);
    return NULL;
}
