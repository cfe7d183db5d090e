/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Local sockets of a session; see door.h. */
#include "relay/door.h"
#include "base/fdio.h"
#include "base/log.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#define LOG_AREA "relay"

struct door { /* constant once made */
    session *owner;
    stream_kind kind;
    char *path;
    pump_codec_new codec;
    void *codec_user;
    int listener; /* -1: nothing listens here */
    pthread_t thread;
};

static void start_pump(door *self, stream *s, int fd)
{
    pump *p =
        pump_new(self->owner, s, fd, fd < 0 ? self->path : NULL, self->codec, self->codec_user);

    gboolean over;

    pthread_mutex_lock(&self->owner->lock);
    s->pump = p;
    /* Who ended the session meanwhile could not see this pump. */
    over = session_is_over(self->owner);
    if (over)
        pump_break(p);
    pthread_mutex_unlock(&self->owner->lock);
    if (over)
        pump_wake(p);
}

void door_connect(door *self, stream *s)
{
    start_pump(self, s, -1);
}

/* NULL: no more of these; the error says why. */
static stream *admit(door *self, GError **error)
{
    session *owner = self->owner;
    stream *s = NULL;

    pthread_mutex_lock(&owner->lock);
    if (owner->state != SESSION_RUNNING)
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_CLOSED, "the session has ended");
    else
        s = mux_open(&owner->mux, self->kind, error);
    if (s)
        session_wake_lane(owner);
    pthread_mutex_unlock(&owner->lock);
    return s;
}

static void *door_main(void *data)
{
    door *self = data;

    for (;;) {
        g_autoptr(GError) error = NULL;
        fdio_auto fd = accept4(self->listener, NULL, NULL, SOCK_CLOEXEC);
        stream *s;

        if (fd < 0 && (errno == EINTR || errno == ECONNABORTED))
            continue;
        if (fd < 0 && errno == EINVAL) /* shut down by door_break */
            return NULL;
        if (fd < 0) {
            GError *why = NULL;
            fdio_error(&why, errno, "%s: accept", self->path);
            session_fail_take(self->owner, why);
            return NULL;
        }
        s = admit(self, &error);
        if (s)
            start_pump(self, s, g_steal_fd(&fd));
        else
            log_warning("%s: connection refused: %s", self->path, error->message);
    }
}

door *door_new(session *owner, stream_kind kind, const char *path, gboolean listen, mode_t mode,
               pump_codec_new codec, void *codec_user, GError **error)
{
    g_autofree door *self = g_new0(door, 1);
    fdio_auto listener = -1;

    self->owner = owner;
    self->kind = kind;
    self->codec = codec;
    self->codec_user = codec_user;
    if (listen) {
        listener = fdio_unix_listen(path, SOCK_STREAM, mode, error);
        if (listener < 0)
            return NULL;
    }
    self->listener = listener;
    self->path = g_strdup(path);
    if (listen && pthread_create(&self->thread, NULL, door_main, self) != 0) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_FAILED, "cannot start one more thread");
        unlink(path);
        g_free(self->path);
        return NULL;
    }
    listener = -1;
    return g_steal_pointer(&self);
}

void door_break(door *self)
{
    if (self->listener >= 0)
        shutdown(self->listener, SHUT_RDWR);
}

void door_free(door *self)
{
    if (self->listener >= 0) {
        pthread_join(self->thread, NULL);
        close(self->listener);
        unlink(self->path);
    }
    g_free(self->path);
    g_free(self);
}
