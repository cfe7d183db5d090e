/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Local connections and their streams; see pump.h. */
#include "relay/pump.h"
#include "base/fdio.h"
#include "base/log.h"
#include "relay/session-inner.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define LOG_AREA "relay"

/* What the local side may leave unread in its socket; the kernel's default holds less than one
 * frame. */
#define LOCAL_SEND_BUFFER (512 * 1024)

struct pump {
    session *owner;
    stream *stream;
    pump_codec *codec;
    char *path; /* to connect to; NULL: fd is connected */
    pthread_t reader, writer;
    gboolean reader_runs;       /* set in pump_new */
    gboolean writer_runs;       /* set by the reader thread, read after it was joined */
    pthread_mutex_t write_lock; /* held for one pump_to_local; taken before the session's lock */
    int broken;                 /* atomic: the local connection is of no use any more */
    /* Guarded by the session's lock. The threads use fd without it; the last one closes it. */
    int fd;
    unsigned users;
    gboolean held, break_due; /* pump_hold; what pump_break would have done meanwhile */
};

frame *pump_frame(pump *self, uint32_t capacity)
{
    frame *f = frame_new(self->owner->pool, capacity);

    f->stream = self->stream->id;
    return f;
}

/* The local connection is of no use any more, because of an error, or because the peer said so
 * (errnum 0): breaks both its directions, and tells the peer, who in the second case knows. */
static void break_local(pump *self, const char *what, int errnum)
{
    if (!g_atomic_int_compare_and_exchange(&self->broken, FALSE, TRUE))
        return;
    log_info("%s stream %u: local connection broken%s%s%s%s",
             stream_kind_name(wire_stream_kind(self->stream->id)),
             wire_stream_number(self->stream->id), what ? " in " : "", what ? what : "",
             errnum ? ": " : " by the peer", errnum ? g_strerror(errnum) : "");
    if (self->fd >= 0)
        shutdown(self->fd, SHUT_RDWR);
    session_end(self->owner, self->stream, errnum != 0);
    pump_wake(self);
}

void pump_to_peer(pump *self, frame *bytes)
{
    session_push(self->owner, self->stream, bytes);
}

void pump_to_local(pump *self, const void *bytes, size_t length)
{
    const uint8_t *at = bytes;
    int failure = 0;

    pthread_mutex_lock(&self->write_lock);
    while (length > 0 && !failure && !g_atomic_int_get(&self->broken)) {
        ssize_t n = send(self->fd, at, length, MSG_NOSIGNAL);
        if (n >= 0) {
            at += n;
            length -= (size_t)n;
        } else if (errno != EINTR) {
            failure = errno;
        }
    }
    pthread_mutex_unlock(&self->write_lock);
    if (failure)
        break_local(self, "send", failure);
}

gboolean pump_receive(pump *self, void *out, size_t length)
{
    uint8_t *at = out;

    while (length > 0 && !g_atomic_int_get(&self->broken)) {
        ssize_t n = recv(self->fd, at, length, MSG_WAITALL);
        if (n == 0)
            return FALSE;
        if (n > 0) {
            at += n;
            length -= (size_t)n;
        } else if (errno != EINTR) {
            break_local(self, "receive", errno);
        }
    }
    return length == 0;
}

size_t pump_receive_some(pump *self, void *out, size_t room)
{
    while (!g_atomic_int_get(&self->broken)) {
        ssize_t n = recv(self->fd, out, room, 0);
        if (n >= 0)
            return (size_t)n;
        if (errno != EINTR)
            break_local(self, "receive", errno);
    }
    return 0;
}

size_t pump_waiting(pump *self)
{
    int waiting = 0;

    pthread_mutex_lock(&self->owner->lock);
    if (self->fd < 0 || ioctl(self->fd, FIONREAD, &waiting) < 0)
        waiting = 0;
    pthread_mutex_unlock(&self->owner->lock);
    return (size_t)MAX(waiting, 0);
}

void pump_count(pump *self, uint64_t content)
{
    pthread_mutex_lock(&self->owner->lock);
    self->owner->content[wire_stream_kind(self->stream->id)] += content;
    pthread_mutex_unlock(&self->owner->lock);
}

void pump_count_found(pump *self, int64_t content)
{
    pthread_mutex_lock(&self->owner->lock);
    self->owner->found += (guint64)content;
    pthread_mutex_unlock(&self->owner->lock);
}

void pump_get_pace(pump *self, squeeze_pace *pace)
{
    stream_pace link;

    (void)session_stream_pace(self->owner, self->stream, &link);
    *pace = (squeeze_pace){.acknowledged = link.acknowledged, .blocked_us = link.blocked_us};
}

gint64 pump_round_trip(pump *self)
{
    return session_round_trip(self->owner);
}

gboolean pump_is_over(pump *self)
{
    gboolean over;

    if (g_atomic_int_get(&self->broken))
        return TRUE;
    pthread_mutex_lock(&self->owner->lock);
    over = session_is_over(self->owner);
    pthread_mutex_unlock(&self->owner->lock);
    return over;
}

void pump_fail(pump *self, GError *error)
{
    session_fail_take(self->owner, error);
}

void pump_wake(pump *self)
{
    if (self->codec->wake)
        self->codec->wake(self->codec);
}

/* The last of the two threads closes the connection. */
static void leave(pump *self)
{
    fdio_auto last = -1;

    pthread_mutex_lock(&self->owner->lock);
    if (--self->users == 0)
        last = g_steal_fd(&self->fd);
    pthread_mutex_unlock(&self->owner->lock);
}

static void *writer_main(void *data)
{
    pump *self = data;
    uint64_t consumed = 0;
    frame *f;

    while ((f = session_pull(self->owner, self->stream, consumed))) {
        GError *error = NULL;
        uint8_t flags = f->flags;

        consumed = f->number + 1;
        if (f->length == 0 || g_atomic_int_get(&self->broken)) {
            frame_unref(f);
        } else if (!self->codec->from_peer(self->codec, self, f, &error)) {
            session_fail_take(self->owner, error);
            break;
        }
        if (flags & FRAME_BROKEN)
            break_local(self, NULL, 0);
        else if (flags & FRAME_END && self->fd >= 0 && !g_atomic_int_get(&self->broken))
            shutdown(self->fd, SHUT_WR);
        if (flags & FRAME_END && self->codec->ended)
            self->codec->ended(self->codec, self, (flags & FRAME_BROKEN) != 0);
        if (!(flags & FRAME_END) && !g_atomic_int_get(&self->broken))
            consumed -= self->codec->held;
    }
    leave(self);
    return NULL;
}

static void read_all(pump *self)
{
    g_autoptr(frame) big = NULL;
    size_t n;

    for (;;) {
        GError *error = NULL;
        frame *f;

        if (!big)
            big = pump_frame(self, WIRE_PAYLOAD_MAX);
        n = pump_receive_some(self, big->payload, big->capacity);
        if (n == 0)
            return;
        /* A little data must not keep a big frame until it is acknowledged. */
        if (n < big->capacity / 2) {
            f = pump_frame(self, (uint32_t)n);
            memcpy(f->payload, big->payload, n);
        } else {
            f = g_steal_pointer(&big);
        }
        f->length = (uint32_t)n;
        if (!self->codec->from_local(self->codec, self, f, &error)) {
            session_fail_take(self->owner, error);
            return;
        }
    }
}

static gboolean connect_local(pump *self, GError **error)
{
    fdio_auto fd = fdio_unix_connect(self->path, SOCK_STREAM, error);
    gboolean over;

    if (fd < 0)
        return FALSE;
    pthread_mutex_lock(&self->owner->lock);
    self->fd = g_steal_fd(&fd);
    over = session_is_over(self->owner);
    if (over)
        shutdown(self->fd, SHUT_RDWR);
    pthread_mutex_unlock(&self->owner->lock);
    return TRUE;
}

static void *reader_main(void *data)
{
    pump *self = data;
    session *owner = self->owner;
    stream_kind kind = wire_stream_kind(self->stream->id);
    unsigned number = wire_stream_number(self->stream->id);
    g_autoptr(GError) error = NULL;
    char name[16];
    int room = LOCAL_SEND_BUFFER;

    if (self->path && !connect_local(self, &error)) {
        log_warning("%s stream %u: %s", stream_kind_name(kind), number, error->message);
        g_atomic_int_set(&self->broken, TRUE);
        session_end(owner, self->stream, TRUE);
    } else if (self->fd >= 0 &&
               setsockopt(self->fd, SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof room) < 0) {
        (void)setsockopt(self->fd, SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
    }
    if (owner->setup.on_stream)
        owner->setup.on_stream(kind, number, owner->setup.user);

    self->writer_runs = pthread_create(&self->writer, NULL, writer_main, self) == 0;
    if (self->writer_runs) {
        snprintf(name, sizeof name, "%s-%u-out", stream_kind_name(kind), number);
        pthread_setname_np(self->writer, name);
        if (!self->codec->serve)
            read_all(self);
        else if (!self->codec->serve(self->codec, self, &error))
            session_fail_take(owner, g_steal_pointer(&error));
    } else {
        session_fail_take(
            owner, g_error_new(G_IO_ERROR, G_IO_ERROR_FAILED, "cannot start one more thread"));
        leave(self);
    }
    session_end(owner, self->stream, FALSE);
    leave(self);
    return NULL;
}

pump *pump_new(session *owner, void *its_stream, int fd, const char *path, pump_codec_new codec,
               void *codec_user)
{
    pump *self = g_new0(pump, 1);
    stream *s = its_stream;
    char name[16];

    self->owner = owner;
    self->stream = s;
    self->codec = codec ? codec(codec_user) : pump_plain_codec_new(NULL);
    self->path = g_strdup(path);
    self->fd = fd;
    self->users = 2;
    pthread_mutex_init(&self->write_lock, NULL);
    self->reader_runs = pthread_create(&self->reader, NULL, reader_main, self) == 0;
    if (!self->reader_runs) {
        session_fail_take(
            owner, g_error_new(G_IO_ERROR, G_IO_ERROR_FAILED, "cannot start one more thread"));
        return self;
    }
    snprintf(name, sizeof name, "%s-%u-in", stream_kind_name(wire_stream_kind(s->id)),
             wire_stream_number(s->id));
    pthread_setname_np(self->reader, name);
    return self;
}

void pump_break(pump *self)
{
    if (self->held)
        self->break_due = TRUE;
    else if (self->fd >= 0)
        shutdown(self->fd, SHUT_RDWR);
}

void pump_hold(pump *self)
{
    pthread_mutex_lock(&self->owner->lock);
    self->held = TRUE;
    pthread_mutex_unlock(&self->owner->lock);
}

void pump_release(pump *self)
{
    pthread_mutex_lock(&self->owner->lock);
    self->held = FALSE;
    if (self->break_due)
        pump_break(self);
    pthread_mutex_unlock(&self->owner->lock);
}

void pump_free(pump *self)
{
    if (self->reader_runs)
        pthread_join(self->reader, NULL);
    if (self->writer_runs)
        pthread_join(self->writer, NULL);
    fdio_clear(&self->fd);
    self->codec->free(self->codec);
    pthread_mutex_destroy(&self->write_lock);
    g_free(self->path);
    g_free(self);
}

static gboolean plain_from_local(pump_codec *self, pump *io, frame *bytes, GError **error)
{
    pump_to_peer(io, bytes);
    return TRUE;
}

static gboolean plain_from_peer(pump_codec *self, pump *io, frame *bytes, GError **error)
{
    pump_to_local(io, bytes->payload, bytes->length);
    frame_unref(bytes);
    return TRUE;
}

pump_codec *pump_plain_codec_new(void *user)
{
    pump_codec *self = g_new0(pump_codec, 1);

    self->from_local = plain_from_local;
    self->from_peer = plain_from_peer;
    self->free = (void (*)(pump_codec *))g_free;
    return self;
}
