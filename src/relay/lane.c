/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Channels: made, kept going, replaced; see lane.h. */
#include "relay/lane.h"
#include "base/fdio.h"
#include "base/log.h"
#include "relay/lane-io.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#define LOG_AREA "relay"

#define PAUSE_FIRST_MS 50
#define PAUSE_MAX_MS   1000
#define UNSENT_MAX     (64 * 1024)

/* With the session's lock held: the one place where a lane's state changes. */
static void set_state(lane *self, lane_state state)
{
    static const char *const names[] = {"DOWN", "UP", "OVER"};

    G_STATIC_ASSERT(G_N_ELEMENTS(names) == LANE_OVER + 1);
    if (self->state != state)
        log_debug("channel %u: %s -> %s", self->index, names[self->state], names[state]);
    self->state = state;
}

void lane_wake(lane *self)
{
    (void)eventfd_write(self->wake, 1);
}

/* Until somebody wakes the lane, `fd` has one of `events`, or the time is over. */
static void wait_for(lane *self, int fd, short events, int timeout_ms)
{
    struct pollfd waits[] = {{.fd = self->wake, .events = POLLIN}, {.fd = fd, .events = events}};
    eventfd_t ignored;

    if (poll(waits, fd < 0 ? 1 : 2, timeout_ms) > 0 && waits[0].revents)
        (void)eventfd_read(self->wake, &ignored);
}

static gboolean is_source(const session *s)
{
    return s->setup.role == SESSION_SOURCE;
}

/* Is there any use in one more channel? With the lock held. */
static gboolean is_wanted(const session *s)
{
    return !session_is_over(s) && !s->bye_answered;
}

/* What the kernel has taken but not sent cannot be overtaken by what is more urgent. */
static void keep_queue_short(channel *c)
{
    int unsent = UNSENT_MAX;

    (void)setsockopt(channel_fd(c), IPPROTO_TCP, TCP_NOTSENT_LOWAT, &unsent, sizeof unsent);
}

static int silence_ms(const lane *self)
{
    int wanted = self->owner->setup.silence_ms;

    return wanted > 0 ? wanted : SESSION_SILENCE_MS;
}

static gboolean adopt(lane *self, channel *c, gboolean is_home)
{
    session *s = self->owner;
    gboolean wanted;

    channel_set_stall_timeout(c, silence_ms(self));
    keep_queue_short(c);
    lane_io_begin(self->io, c);
    pthread_mutex_lock(&s->lock);
    wanted = is_wanted(s);
    if (wanted) {
        self->current = c;
        self->suspect = FALSE;
        gauge_reset(&self->worth);
        self->astray = !is_home;
        set_state(self, LANE_UP);
        s->alive++;
        s->silent_since = 0;
        s->channels_changed = TRUE;
        pthread_cond_broadcast(&s->news);
    }
    pthread_mutex_unlock(&s->lock);
    if (wanted)
        log_info("channel %u: up, %s", self->index, channel_name(c));
    else
        channel_free(c);
    return wanted;
}

/* Source: dials until there is a channel. FALSE: none is wanted any more. */
static gboolean dial(lane *self, int *pause_ms)
{
    session *s = self->owner;
    g_autofree char *why = NULL;

    for (;;) {
        gint64 until = g_get_monotonic_time() + *pause_ms * 1000;
        gboolean wanted, is_home = TRUE;
        GError *error = NULL;
        channel *c;

        do {
            gint64 left = until - g_get_monotonic_time();
            wait_for(self, -1, 0, left > 0 ? (int)((left + 999) / 1000) : 0);
            pthread_mutex_lock(&s->lock);
            wanted = is_wanted(s);
            c = g_steal_pointer(&self->replacement);
            pthread_mutex_unlock(&s->lock);
        } while (wanted && !c && g_get_monotonic_time() < until);
        if (c)
            return adopt(self, c, TRUE);
        if (!wanted)
            return FALSE;
        c = s->setup.dial(self->index, FALSE, &is_home, s->setup.user, &error);
        if (c)
            return adopt(self, c, is_home);
        *pause_ms = CLAMP(*pause_ms * 2, PAUSE_FIRST_MS, PAUSE_MAX_MS);
        if (!why || strcmp(why, error->message) != 0) /* once, not every second */
            log_info("channel %u: %s; trying again", self->index, error->message);
        g_free(why);
        why = g_strdup(error->message);
        pthread_mutex_lock(&s->lock);
        g_clear_error(&s->last_error);
        s->last_error = error;
        pthread_mutex_unlock(&s->lock);
    }
}

/* Target: waits until session_add_channel brings one. */
static gboolean take_replacement(lane *self)
{
    session *s = self->owner;

    for (;;) {
        channel *c;
        gboolean wanted;

        pthread_mutex_lock(&s->lock);
        c = g_steal_pointer(&self->replacement);
        wanted = is_wanted(s);
        pthread_mutex_unlock(&s->lock);
        if (c)
            return adopt(self, c, TRUE);
        if (!wanted)
            return FALSE;
        wait_for(self, -1, 0, -1);
    }
}

/* What the session's state asks for. TRUE: go on. */
static gboolean look(lane *self, channel *c, GError **error)
{
    session *s = self->owner;
    gboolean go_on, give_up;

    pthread_mutex_lock(&s->lock);
    self->idle = FALSE;
    give_up = s->state == SESSION_FAILED || s->state == SESSION_CLOSED;
    go_on = !session_is_over(s) && !self->replacement;
    if (self->replacement)
        g_set_error_literal(error, G_IO_ERROR, G_IO_ERROR_CONNECTION_CLOSED,
                            is_source(s) ? "its own network is back"
                                         : "the peer has dialled again");
    pthread_mutex_unlock(&s->lock);
    if (give_up)
        lane_io_give_up(self->io, c);
    return go_on;
}

/* With the lock held. A channel less: the others have more to do, and those too slow for anything
 * may not be too slow for what is left. */
static void wake_all(const session *s)
{
    for (unsigned i = 0; i < s->setup.channels; i++)
        if (s->lanes[i])
            lane_wake(s->lanes[i]);
}

/* Has the peer been silent for too long? Then it is dead, or, in half that time, at least under
 * suspicion: heartbeats should have come. What such a channel carries goes to the others at once,
 * because all streams wait for it. FALSE: dead. */
static gboolean hears_peer(lane *self, channel *c, GError **error)
{
    gint64 silence = lane_io_silence(self->io, c), limit = (gint64)silence_ms(self) * 1000;
    session *s = self->owner;
    gboolean began, ended;

    pthread_mutex_lock(&s->lock);
    began = !self->suspect && silence >= limit / 2 && s->alive > 1;
    ended = self->suspect && silence < limit / 2;
    self->suspect = (self->suspect || began) && !ended;
    if (began) {
        mux_lost(&s->mux, (int)self->index);
        wake_all(s);
    }
    pthread_mutex_unlock(&s->lock);
    if (began)
        log_info("channel %u: silent, others carry on for it", self->index);
    if (silence < limit)
        return TRUE;
    g_set_error(error, G_IO_ERROR, G_IO_ERROR_TIMED_OUT, "nothing was heard for %d s",
                (silence_ms(self) + 999) / 1000);
    return FALSE;
}

static gint64 earlier(gint64 one, gint64 other, gint64 now)
{
    return other > now ? MIN(one, other) : one;
}

/* Nothing moves: says so, and for how long nothing has to be done: ms. 0: there is something to do
 * after all. */
static int may_wait(lane *self, channel *c)
{
    session *s = self->owner;
    gint64 now = g_get_monotonic_time(), heard_at = now - lane_io_silence(self->io, c);
    gint64 limit = (gint64)silence_ms(self) * 1000, until = heard_at + limit, pause;
    gboolean full = channel_wants(c) & POLLOUT;

    until = earlier(until, heard_at + limit / 2, now);
    if (!full)
        until = MIN(until, lane_io_beat_due(self->io));
    pthread_mutex_lock(&s->lock);
    /* A channel that is full is not idle: it comes back for more by itself. */
    if (!full && !self->suspect && !self->worth.slow) {
        if (mux_has_work(&s->mux, now))
            until = now;
        pause = mux_pause(&s->mux, now);
        if (pause >= 0)
            until = MIN(until, now + pause);
        self->idle = until > now;
    }
    pthread_mutex_unlock(&s->lock);
    return until > now ? (int)((until - now + 999) / 1000) : 0;
}

/* Until the channel is of no use any more; *error says why unless that is as it should be. */
static void carry(lane *self, channel *c, GError **error)
{
    while (look(self, c, error)) {
        lane_io_result in = lane_io_receive(self->io, c, error), out = LANE_IO_IDLE;
        int time_ms;

        if (in != LANE_IO_DEAD && in != LANE_IO_STOP)
            out = lane_io_send(self->io, c, error);
        if (in == LANE_IO_DEAD || out == LANE_IO_DEAD)
            return;
        if (in == LANE_IO_STOP) {
            (void)look(self, c, NULL);
            return;
        }
        if (in == LANE_IO_IDLE && out == LANE_IO_IDLE) {
            if (!hears_peer(self, c, error))
                return;
            time_ms = may_wait(self, c);
            if (time_ms > 0)
                wait_for(self, channel_fd(c), channel_wants(c) | POLLIN, time_ms);
        }
    }
}

/* TRUE: a connection to its own network is there in its place, or about to be: the peer may see
 * that first. */
static gboolean drop(lane *self, channel *c, GError *error)
{
    session *s = self->owner;
    gboolean in_order = error && g_error_matches(error, G_IO_ERROR, G_IO_ERROR_CONNECTION_CLOSED);
    gboolean lost, replaced;

    pthread_mutex_lock(&s->lock);
    replaced = self->replacement || (self->scouting && in_order);
    s->wire_out += channel_bytes_out(c);
    s->wire_in += channel_bytes_in(c);
    self->current = NULL;
    self->idle = FALSE;
    set_state(self, LANE_DOWN);
    mux_lost(&s->mux, (int)self->index);
    s->alive--;
    s->bye_answered |= in_order && !replaced && s->state == SESSION_FINISHING;
    lost = !session_is_over(s) && !s->bye_answered && !(replaced && is_source(s));
    if (lost) {
        s->lost++;
        g_clear_error(&s->last_error);
        s->last_error = error ? g_error_copy(error) : NULL;
    }
    if (s->alive == 0)
        s->silent_since = g_get_monotonic_time();
    if (s->alive == 0 && s->bye_answered)
        session_set_state(s, SESSION_PARTED);
    s->channels_changed = TRUE;
    pthread_cond_broadcast(&s->news);
    wake_all(s);
    pthread_mutex_unlock(&s->lock);
    if (lost)
        log_warning("channel %u: lost, %s: %s", self->index, channel_name(c),
                    error ? error->message : "closed");
    else
        log_info("channel %u: closed%s%s", self->index, error ? ", " : "",
                 error ? error->message : "");
    channel_free(c);
    lane_io_reset(self->io);
    return replaced;
}

static void *lane_main(void *data)
{
    lane *self = data;
    session *s = self->owner;
    int pause_ms = 0;

    while (is_source(s) ? dial(self, &pause_ms) : take_replacement(self)) {
        g_autoptr(GError) error = NULL;
        channel *c = self->current;

        carry(self, c, &error);
        /* A channel that came up and carried nothing must not be dialled without a pause. */
        pause_ms = lane_io_was_useful(self->io) ? 0 : MAX(pause_ms, PAUSE_FIRST_MS);
        if (drop(self, c, error))
            pause_ms = PAUSE_MAX_MS; /* unless the replacement comes before */
    }
    pthread_mutex_lock(&s->lock);
    set_state(self, LANE_OVER);
    g_clear_pointer(&self->replacement, channel_free);
    pthread_mutex_unlock(&s->lock);
    return NULL;
}

lane *lane_new(session *owner, unsigned index, GError **error)
{
    lane *self = g_new0(lane, 1);
    char name[16];

    self->owner = owner;
    self->index = index;
    self->io = lane_io_new(self);
    self->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (self->wake < 0) {
        fdio_error(error, errno, "eventfd");
        lane_free(self);
        return NULL;
    }
    if (pthread_create(&self->thread, NULL, lane_main, self) != 0) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_FAILED, "cannot start one more thread");
        lane_free(self);
        return NULL;
    }
    snprintf(name, sizeof name, "channel-%u", index);
    pthread_setname_np(self->thread, name);
    return self;
}

void lane_join(lane *self)
{
    pthread_join(self->thread, NULL);
}

void lane_free(lane *self)
{
    fdio_clear(&self->wake);
    lane_io_free(self->io);
    g_free(self);
}
