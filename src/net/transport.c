/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Buffers between GnuTLS and a socket; see transport.h. */
#include "net/transport.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

size_t transport_unsent(const transport *self)
{
    return (size_t)(self->made - self->sent);
}

ssize_t transport_push(void *data, const void *bytes, size_t length)
{
    transport *self = data;
    size_t at = self->made % TRANSPORT_OUT, first = MIN(length, TRANSPORT_OUT - at);

    if (length > TRANSPORT_OUT - transport_unsent(self)) {
        errno = EAGAIN;
        return -1;
    }
    memcpy(self->out + at, bytes, first);
    memcpy(self->out, (const uint8_t *)bytes + first, length - first);
    __atomic_store_n(&self->made, self->made + length, __ATOMIC_RELAXED);
    return (ssize_t)length;
}

gboolean transport_drain(transport *self)
{
    size_t left;

    while (self->write_errno == 0 && (left = transport_unsent(self)) > 0) {
        size_t at = self->sent % TRANSPORT_OUT, first = MIN(left, TRANSPORT_OUT - at);
        struct iovec parts[2] = {{self->out + at, first}, {self->out, left - first}};
        struct msghdr message = {.msg_iov = parts, .msg_iovlen = left > first ? 2 : 1};
        ssize_t n = sendmsg(self->fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n >= 0)
            __atomic_store_n(&self->sent, self->sent + (guint64)n, __ATOMIC_RELAXED);
        else if (errno == EAGAIN || errno == EWOULDBLOCK)
            break;
        else if (errno != EINTR)
            self->write_errno = errno;
    }
    return self->write_errno == 0;
}

/* Fills the empty `in`; -1 with errno set. */
static int refill(transport *self)
{
    ssize_t n;

    do
        n = recv(self->fd, self->in, TRANSPORT_IN, MSG_DONTWAIT);
    while (n < 0 && errno == EINTR);
    if (n < 0) {
        self->dry = errno == EAGAIN || errno == EWOULDBLOCK;
        self->read_errno = self->dry ? 0 : errno;
        return -1;
    }
    self->eof = n == 0;
    self->in_at = 0;
    self->in_end = (size_t)n;
    __atomic_store_n(&self->received, self->received + (guint64)n, __ATOMIC_RELAXED);
    return 0;
}

ssize_t transport_pull(void *data, void *bytes, size_t length)
{
    transport *self = data;

    self->dry = FALSE;
    if (ration_is_used_up(&self->pulled)) {
        errno = self->read_errno = EMSGSIZE;
        return -1;
    }
    if (self->in_at == self->in_end && refill(self) < 0)
        return -1;
    length = MIN(length, self->in_end - self->in_at);
    memcpy(bytes, self->in + self->in_at, length);
    self->in_at += length;
    self->pulled.taken += length;
    return (ssize_t)length;
}
