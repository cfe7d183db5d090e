/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Holding a memory stream back; see valve.h. */
#include "relay/valve.h"

#include "base/fdio.h"

#include <sys/socket.h>

#define PAGE_ON_STREAM 8             /* bytes: the header that says which page it is */
#define REMAINS_MIN    (8ULL << 20)  /* bytes: QEMU may stop the guest when it can send the rest in 1 ms (hold.c) */
#define QEMU_BUFFER    (32ULL << 10) /* IO_BUF_SIZE */
/* Beyond its send buffer a socket takes one more piece: 32 KiB of pages and what fits into the head. */
#define ONE_PIECE      (40ULL << 10)
#define ROOM_UNKNOWN   (1ULL << 20)

struct valve {
    void (*dry)(void *user);
    void *user;

    GMutex lock; /* guards the rest; taken before the session's */
    GCond changed;
    pump *io;    /* NULL: there is no stream (any more) */
    guint64 passed, limit;
    gboolean open, waits;
};

valve *valve_new(void (*dry)(void *user), void *user)
{
    valve *self = g_new0(valve, 1);

    g_mutex_init(&self->lock);
    g_cond_init(&self->changed);
    self->dry = dry;
    self->user = user;
    return self;
}

void valve_free(valve *self)
{
    if (!self)
        return;
    g_mutex_clear(&self->lock);
    g_cond_clear(&self->changed);
    g_free(self);
}

/* Lock held. */
static gboolean is_shut(const valve *self)
{
    return !self->open && self->passed >= self->limit;
}

size_t valve_take(valve *self, pump *io, size_t most)
{
    g_mutex_lock(&self->lock);
    self->io = io;
    if (is_shut(self)) {
        self->waits = TRUE;
        g_mutex_unlock(&self->lock);
        if (self->dry)
            self->dry(self->user);
        g_mutex_lock(&self->lock);
    }
    while (is_shut(self) && !pump_is_over(io))
        g_cond_wait(&self->changed, &self->lock);
    self->waits = FALSE;
    if (is_shut(self))
        most = 0;
    else if (!self->open)
        most = MIN(most, self->limit - self->passed);
    self->passed += most;
    g_mutex_unlock(&self->lock);
    return most;
}

void valve_give_back(valve *self, size_t unread)
{
    g_mutex_lock(&self->lock);
    self->passed -= unread;
    g_mutex_unlock(&self->lock);
}

void valve_wake(valve *self)
{
    g_mutex_lock(&self->lock);
    g_cond_broadcast(&self->changed);
    g_mutex_unlock(&self->lock);
}

void valve_leave(valve *self)
{
    g_mutex_lock(&self->lock);
    self->io = NULL;
    g_mutex_unlock(&self->lock);
}

/* While it reads, `passed` is ahead of what has been read: only what waits is exact, so only then it counts. */
guint64 valve_arrived(valve *self)
{
    guint64 arrived = 0;

    g_mutex_lock(&self->lock);
    if (self->waits)
        arrived = self->passed + (self->io ? pump_waiting(self->io) : 0);
    g_mutex_unlock(&self->lock);
    return arrived;
}

gboolean valve_allow(valve *self, guint64 limit, guint64 worth)
{
    gboolean more;

    g_mutex_lock(&self->lock);
    more = limit > self->limit && limit - self->limit >= worth;
    if (more)
        self->limit = limit;
    g_cond_broadcast(&self->changed);
    g_mutex_unlock(&self->lock);
    return more;
}

gboolean valve_is_dry(valve *self)
{
    gboolean dry;

    g_mutex_lock(&self->lock);
    dry = self->waits && is_shut(self);
    g_mutex_unlock(&self->lock);
    return dry;
}

void valve_open(valve *self)
{
    g_mutex_lock(&self->lock);
    self->open = TRUE;
    g_cond_broadcast(&self->changed);
    g_mutex_unlock(&self->lock);
}

guint64 valve_limit(guint64 arrived, guint64 remaining, guint64 page, guint64 room)
{
    guint64 ahead;

    if (!arrived || !page || remaining <= REMAINS_MIN)
        return 0;
    ahead = arrived + (remaining - REMAINS_MIN) / page * PAGE_ON_STREAM;
    return ahead > room ? ahead - room : 0;
}

/* QEMU's end of the connection is as libvirt made it: with the kernel's default, as a new socket of ours has it. */
guint64 valve_room(void)
{
    fdio_auto fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int buffer = 0;
    socklen_t length = sizeof buffer;

    if (fd < 0 || getsockopt(fd, SOL_SOCKET, SO_SNDBUF, &buffer, &length) < 0 || buffer <= 0)
        return ROOM_UNKNOWN;
    return (guint64)buffer + ONE_PIECE + QEMU_BUFFER;
}

guint64 valve_least_memory(guint64 page)
{
    return REMAINS_MIN + valve_room() / PAGE_ON_STREAM * page;
}
