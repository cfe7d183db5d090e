/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Life and death of a session, and what its threads do under its lock; see session.h,
 * session-inner.h. */
#include "relay/session.h"
#include "base/log.h"
#include "relay/door.h"
#include "relay/herald.h"
#include "relay/lane.h"
#include "relay/scout.h"
#include "relay/session-inner.h"

#include <string.h>
#include <time.h>

#define LOG_AREA "relay"

static gboolean may_follow(session_state from, session_state to)
{
    switch (to) {
    case SESSION_FINISHING:
        return from == SESSION_RUNNING;
    case SESSION_PARTED:
    case SESSION_FAILED:
        return from <= SESSION_FINISHING;
    case SESSION_CLOSED:
        return TRUE;
    default:
        return FALSE;
    }
}

gboolean session_set_state(session *self, session_state state)
{
    static const char *const names[] = {"RUNNING", "FINISHING", "PARTED", "FAILED", "CLOSED"};

    G_STATIC_ASSERT(G_N_ELEMENTS(names) == SESSION_CLOSED + 1);
    if (!may_follow(self->state, state))
        return FALSE;
    log_debug("session: %s -> %s", names[self->state], names[state]);
    self->state = state;
    pthread_cond_broadcast(&self->news);
    for (unsigned i = 0; i < self->setup.channels; i++)
        if (self->lanes[i])
            lane_wake(self->lanes[i]);
    if (!session_is_over(self))
        return TRUE;
    for (guint i = 0; i < self->mux.streams->len; i++) {
        stream *s = self->mux.streams->pdata[i];
        pthread_cond_broadcast(&s->ready);
        pthread_cond_broadcast(&s->room);
        if (s->pump)
            pump_break(s->pump);
    }
    for (int kind = 0; kind < STREAM_KINDS; kind++)
        if (self->doors[kind])
            door_break(self->doors[kind]);
    return TRUE;
}

void session_fail_locked(session *self, const GError *error)
{
    if (!may_follow(self->state, SESSION_FAILED))
        return;
    self->failure = g_error_copy(error);
    log_error("session failed: %s", error->message);
    session_set_state(self, SESSION_FAILED);
}

void session_blame_peer(session *self, GError *error)
{
    g_prefix_error(&error, "the peer broke the data protocol: ");
    session_fail_locked(self, error);
    g_error_free(error);
}

void session_fail(session *self, const GError *error)
{
    pthread_mutex_lock(&self->lock);
    session_fail_locked(self, error);
    pthread_mutex_unlock(&self->lock);
}

void session_fail_take(session *self, GError *error)
{
    session_fail(self, error);
    g_error_free(error);
}

void session_wake_lane(session *self)
{
    gint64 now = g_get_monotonic_time();

    /* Work that is held back by a rate needs somebody who waits for it, too. */
    if (!mux_has_work(&self->mux, now) && mux_pause(&self->mux, now) < 0)
        return;
    for (unsigned i = 0; i < self->setup.channels; i++) {
        lane *l = self->lanes[i];
        if (l && l->idle) {
            l->idle = FALSE;
            lane_wake(l);
            return;
        }
    }
}

void session_check_drained(session *self)
{
    if (self->peer_done && mux_is_drained(&self->mux))
        session_set_state(self, SESSION_PARTED);
    if (self->finishing)
        pthread_cond_broadcast(&self->news);
}

static gboolean may_push(const session *self, const stream *s)
{
    return !session_is_over(self) && !s->out.ended;
}

static void wait_for_room(session *self, stream *s, uint32_t length)
{
    if (s->pushers++ == 0)
        s->stuck_since = g_get_monotonic_time();
    do
        pthread_cond_wait(&s->room, &self->lock);
    while (may_push(self, s) && !mux_may_push(s, length));
    if (--s->pushers == 0)
        s->stuck_us += (guint64)(g_get_monotonic_time() - s->stuck_since);
    else /* one signal, and perhaps room for more than one */
        pthread_cond_signal(&s->room);
}

void session_push(session *self, stream *s, frame *f)
{
    pthread_mutex_lock(&self->lock);
    if (may_push(self, s) && !mux_may_push(s, f->length))
        wait_for_room(self, s, f->length);
    if (may_push(self, s)) {
        stream_out_push(&s->out, g_steal_pointer(&f));
        session_wake_lane(self);
    }
    pthread_mutex_unlock(&self->lock);
    g_clear_pointer(&f, frame_unref);
}

gboolean session_stream_pace(session *self, stream *s, stream_pace *pace)
{
    gboolean over;

    pthread_mutex_lock(&self->lock);
    over = session_is_over(self);
    *pace = (stream_pace){.pushed = s->out.pushed,
                          .acknowledged = s->out.pushed - s->out.bytes,
                          .blocked_us = s->stuck_us};
    if (s->pushers > 0)
        pace->blocked_us += (guint64)(g_get_monotonic_time() - s->stuck_since);
    pthread_mutex_unlock(&self->lock);
    return !over;
}

gint64 session_round_trip(session *self)
{
    gint64 least = 0;

    pthread_mutex_lock(&self->lock);
    for (unsigned i = 0; i < self->setup.channels; i++) {
        const lane *l = self->lanes[i];
        if (l && l->state == LANE_UP && l->worth.least && (!least || l->worth.least < least))
            least = l->worth.least;
    }
    pthread_mutex_unlock(&self->lock);
    return least;
}

void session_end(session *self, stream *s, gboolean broken)
{
    pthread_mutex_lock(&self->lock);
    stream_out_end(&s->out, s->id, broken);
    pthread_cond_broadcast(&s->room);
    session_wake_lane(self);
    pthread_mutex_unlock(&self->lock);
}

frame *session_pull(session *self, stream *s, uint64_t consumed)
{
    frame *f = NULL;

    pthread_mutex_lock(&self->lock);
    mux_consumed(&self->mux, s, consumed);
    if (s->ack_due)
        session_wake_lane(self);
    session_check_drained(self);
    while (!session_is_over(self) && !stream_in_is_ready(&s->in) && !mux_has_ended(s))
        pthread_cond_wait(&s->ready, &self->lock);
    if (!session_is_over(self))
        f = stream_in_take(&s->in);
    s->retired = !f;
    pthread_mutex_unlock(&self->lock);
    return f;
}

void session_wake_codecs(session *self)
{
    g_autoptr(GPtrArray) pumps = g_ptr_array_new();

    pthread_mutex_lock(&self->lock);
    for (guint i = 0; i < self->mux.streams->len; i++) {
        stream *s = self->mux.streams->pdata[i];
        if (s->pump)
            g_ptr_array_add(pumps, s->pump);
    }
    self->codecs_woken = TRUE;
    pthread_mutex_unlock(&self->lock);
    for (guint i = 0; i < pumps->len; i++)
        pump_wake(pumps->pdata[i]);
}

void session_connect_stream(session *self, stream *s)
{
    door_connect(self->doors[wire_stream_kind(s->id)], s);
}

session *session_new(const session_setup *setup, GError **error)
{
    g_autoptr(session) self = g_new0(session, 1);
    pthread_condattr_t monotonic;

    g_assert(setup->channels >= 1 && setup->channels <= WIRE_CHANNELS_MAX);
    self->setup = *setup;
    self->pool = frame_pool_new(WIRE_WINDOW_BYTES / WIRE_PAYLOAD_MAX);
    self->lanes = g_new0(lane *, setup->channels);
    self->silent_since = g_get_monotonic_time();
    mux_init(&self->mux, setup->role == SESSION_TARGET);
    pthread_mutex_init(&self->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&self->news, &monotonic);
    pthread_condattr_destroy(&monotonic);

    self->herald_runs = pthread_create(&self->herald, NULL, herald_main, self) == 0;
    if (!self->herald_runs) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_FAILED, "cannot start one more thread");
        return NULL;
    }
    pthread_setname_np(self->herald, "herald");
    for (unsigned i = 0; i < setup->channels; i++) {
        lane *l = lane_new(self, i, error);
        if (!l)
            return NULL;
        pthread_mutex_lock(&self->lock);
        self->lanes[i] = l;
        pthread_mutex_unlock(&self->lock);
    }
    if (setup->role == SESSION_SOURCE) {
        self->scout_runs = pthread_create(&self->scout, NULL, scout_main, self) == 0;
        if (!self->scout_runs) {
            g_set_error(error, G_IO_ERROR, G_IO_ERROR_FAILED, "cannot start one more thread");
            return NULL;
        }
        pthread_setname_np(self->scout, "scout");
    }
    return g_steal_pointer(&self);
}

void session_free(session *self)
{
    if (!self)
        return;
    pthread_mutex_lock(&self->lock);
    session_set_state(self, SESSION_CLOSED);
    pthread_mutex_unlock(&self->lock);
    /* The herald and this wake codecs, which must still be there. */
    if (self->herald_runs)
        pthread_join(self->herald, NULL);
    if (self->scout_runs)
        pthread_join(self->scout, NULL);
    session_wake_codecs(self);
    /* Lanes and doors make pumps, so they end first; pumps wake lanes, so those go last. */
    for (unsigned i = 0; i < self->setup.channels; i++)
        if (self->lanes[i])
            lane_join(self->lanes[i]);
    for (int kind = 0; kind < STREAM_KINDS; kind++)
        g_clear_pointer(&self->doors[kind], door_free);
    for (guint i = 0; i < self->mux.streams->len; i++) {
        stream *s = self->mux.streams->pdata[i];
        if (s->pump)
            pump_free(s->pump);
    }
    for (unsigned i = 0; i < self->setup.channels; i++)
        g_clear_pointer(&self->lanes[i], lane_free);
    mux_clear(&self->mux);
    frame_pool_free(self->pool);
    pthread_cond_destroy(&self->news);
    pthread_mutex_destroy(&self->lock);
    g_clear_error(&self->failure);
    g_clear_error(&self->last_error);
    g_free(self->lanes);
    g_free(self);
}

gboolean session_add_channel(session *self, unsigned index, channel *connection, GError **error)
{
    channel *superfluous = connection;
    gboolean taken = FALSE;

    if (index >= self->setup.channels) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT,
                    "channel %u, where %u were agreed on", index, self->setup.channels);
    } else {
        pthread_mutex_lock(&self->lock);
        taken = !session_is_over(self) && self->lanes[index]->state != LANE_OVER;
        if (taken) {
            superfluous = self->lanes[index]->replacement;
            self->lanes[index]->replacement = connection;
            lane_wake(self->lanes[index]);
        } else {
            g_set_error(error, G_IO_ERROR, G_IO_ERROR_CLOSED, "the session has ended");
        }
        pthread_mutex_unlock(&self->lock);
    }
    g_clear_pointer(&superfluous, channel_free);
    return taken;
}

static gboolean add_door(session *self, stream_kind kind, const char *path, gboolean listen,
                         mode_t mode, unsigned most, pump_codec_new codec, void *codec_user,
                         GError **error)
{
    door *d;

    g_assert(kind > STREAM_CONTROL && kind < STREAM_KINDS && !self->doors[kind]);
    pthread_mutex_lock(&self->lock);
    mux_allow(&self->mux, kind, most);
    pthread_mutex_unlock(&self->lock);
    d = door_new(self, kind, path, listen, mode, codec, codec_user, error);
    pthread_mutex_lock(&self->lock);
    self->doors[kind] = d;
    if (!d)
        mux_allow(&self->mux, kind, 0);
    else if (session_is_over(self))
        door_break(d);
    pthread_mutex_unlock(&self->lock);
    return d != NULL;
}

gboolean session_listen(session *self, stream_kind kind, const char *path, mode_t mode,
                        unsigned most, pump_codec_new codec, void *codec_user, GError **error)
{
    g_assert(self->setup.role == SESSION_SOURCE);
    return add_door(self, kind, path, TRUE, mode, most, codec, codec_user, error);
}

gboolean session_offer(session *self, stream_kind kind, const char *path, unsigned most,
                       pump_codec_new codec, void *codec_user, GError **error)
{
    g_assert(self->setup.role == SESSION_TARGET);
    return add_door(self, kind, path, FALSE, 0, most, codec, codec_user, error);
}

gboolean session_send_control(session *self, const char *message, size_t length, GError **error)
{
    gboolean sent = FALSE;
    frame *f;

    if (length == 0 || length > WIRE_CONTROL_MAX) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_MESSAGE_TOO_LARGE,
                    "a control message of %zu bytes; 1 to %d are possible", length,
                    WIRE_CONTROL_MAX);
        return FALSE;
    }
    f = frame_new(self->pool, (uint32_t)length);
    f->length = (uint32_t)length;
    memcpy(f->payload, message, length);
    pthread_mutex_lock(&self->lock);
    if (self->state != SESSION_RUNNING) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_CLOSED, "the session has ended");
    } else if (!stream_out_has_room(&self->mux.control->out, f->length)) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_BUSY,
                    "the peer does not take control messages any more");
    } else {
        stream_out_push(&self->mux.control->out, g_steal_pointer(&f));
        session_wake_lane(self);
        sent = TRUE;
    }
    pthread_mutex_unlock(&self->lock);
    g_clear_pointer(&f, frame_unref);
    return sent;
}

gboolean session_finish(session *self, int timeout_ms)
{
    gint64 deadline = g_get_monotonic_time() + (gint64)timeout_ms * 1000;
    struct timespec until = {.tv_sec = deadline / G_USEC_PER_SEC,
                             .tv_nsec = deadline % G_USEC_PER_SEC * 1000};
    gboolean done, late = FALSE;

    pthread_mutex_lock(&self->lock);
    self->finishing = TRUE;
    for (;;) {
        if (self->state == SESSION_RUNNING && mux_is_drained(&self->mux))
            session_set_state(self, SESSION_FINISHING);
        if (self->state > SESSION_PARTED || (self->state == SESSION_PARTED && self->alive == 0))
            break;
        if (late)
            break;
        late = pthread_cond_timedwait(&self->news, &self->lock, &until) != 0;
    }
    self->finishing = FALSE;
    done = self->state == SESSION_PARTED && mux_is_drained(&self->mux);
    pthread_mutex_unlock(&self->lock);
    return done;
}

void session_set_rate(session *self, guint64 all_bytes_per_s, guint64 disk_bytes_per_s)
{
    gint64 now = g_get_monotonic_time();

    pthread_mutex_lock(&self->lock);
    bucket_set_rate(&self->mux.all, all_bytes_per_s, now);
    bucket_set_rate(&self->mux.disk, disk_bytes_per_s, now);
    /* Each of them may be waiting for the end of a pause that has another length now. */
    for (unsigned i = 0; i < self->setup.channels; i++)
        if (self->lanes[i])
            lane_wake(self->lanes[i]);
    pthread_mutex_unlock(&self->lock);
}

void session_set_link_timeout(session *self, int timeout_ms)
{
    pthread_mutex_lock(&self->lock);
    self->setup.link_timeout_ms = timeout_ms;
    pthread_cond_broadcast(&self->news);
    pthread_mutex_unlock(&self->lock);
}

void session_set_urgent(session *self, gboolean urgent)
{
    pthread_mutex_lock(&self->lock);
    self->urgent = urgent;
    pthread_cond_broadcast(&self->news);
    pthread_mutex_unlock(&self->lock);
}

void session_get_stats(session *self, session_stats *stats)
{
    pthread_mutex_lock(&self->lock);
    *stats = (session_stats){.wire_out = self->wire_out,
                             .wire_in = self->wire_in,
                             .resent = self->mux.resent,
                             .channels_alive = self->alive,
                             .channels_lost = self->lost};
    if (self->silent_since && !session_is_over(self)) {
        stats->silent_since = self->silent_since;
        stats->silent_until = self->silent_since + (gint64)self->setup.link_timeout_ms * 1000;
    }
    for (unsigned i = 0; i < self->setup.channels; i++) {
        const channel *c = self->lanes[i] ? self->lanes[i]->current : NULL;
        stats->wire_out += c ? channel_bytes_out(c) : 0;
        stats->wire_in += c ? channel_bytes_in(c) : 0;
    }
    memcpy(stats->payload_out, self->mux.payload_out, sizeof stats->payload_out);
    memcpy(stats->payload_in, self->mux.payload_in, sizeof stats->payload_in);
    memcpy(stats->content, self->content, sizeof stats->content);
    stats->found = self->found;
    pthread_mutex_unlock(&self->lock);
}
