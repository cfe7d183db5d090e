/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* TLS channels over TCP; see channel.h.
 *
 * GnuTLS is kept away from the socket by transport.h. A record is only made when the ring there has
 * room for it, so GnuTLS's sending side never sees "would block", and there is no half-sent record
 * or key update to come back to.
 */
#include "net/channel.h"
#include "net/networks.h"
#include "net/tls.h"
#include "net/transport.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Room kept in the ring for one record and, beside it, a key update or an alert. */
#define RECORD_ROOM (TLS_RECORD_MAX + TLS_OVERHEAD_MAX + 1024)

#define REKEY_BYTES    (G_GUINT64_CONSTANT(64) << 30) /* AES-GCM is good for 389 GB, RFC 8446 5.5 */
#define REKEY_PAUSE_US (200 * 1000)                   /* GnuTLS takes 8 in any second */
#define GOODBYE_US     (2 * G_USEC_PER_SEC)
#define GOODBYE_BYTES  (1024 * 1024)
#define GREETING       'F'
#define ENDED          1 /* read_end: close_notify has come; below 0 it is a GnuTLS error */

struct channel {
    gnutls_session_t session;
    char *name, *peer;

    guint64 rekey_bytes, rekey_at; /* of TLS, both directions: interval, and when it last began */
    gint64 rekey_time;
    guint rekeys;

    int read_end, write_end; /* why this direction is over, 0: it is not */
    gboolean read_told;      /* the caller knows of read_end */
    size_t staged;           /* plain text that does not fill a record yet */
    uint8_t stage[TLS_RECORD_MAX];
    transport io;
};

static size_t unsent(const channel *self)
{
    return transport_unsent(&self->io);
}

static gboolean drain(channel *self)
{
    if (self->write_end == 0 && !transport_drain(&self->io))
        self->write_end = GNUTLS_E_PUSH_ERROR;
    return self->write_end == 0;
}

/* Is the peer still there to be told what it did wrong? */
static gboolean may_alert(int code)
{
    return code != GNUTLS_E_PULL_ERROR && code != GNUTLS_E_PREMATURE_TERMINATION &&
           code != GNUTLS_E_FATAL_ALERT_RECEIVED;
}

static ssize_t read_failed(channel *self, GError **error)
{
    if (self->read_end == ENDED)
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_CONNECTION_CLOSED,
                    "%s: the other side closed the connection", self->name);
    else
        tls_error(self->session, self->read_end, self->io.read_errno, self->name, error);
    return -1;
}

static ssize_t write_failed(channel *self, GError **error)
{
    /* GnuTLS gives up both directions when reading has failed. */
    if (self->write_end == GNUTLS_E_INVALID_SESSION && self->read_end < 0)
        return read_failed(self, error);
    tls_error(self->session, self->write_end, self->io.write_errno, self->name, error);
    return -1;
}

/* Handshake. */

static char *socket_name(int fd, gboolean server)
{
    struct sockaddr_storage here = {0}, there = {0};
    socklen_t here_size = sizeof here, there_size = sizeof there;

    (void)getsockname(fd, (struct sockaddr *)&here, &here_size);
    (void)getpeername(fd, (struct sockaddr *)&there, &there_size);
    g_autofree char *ours = networks_address_text((struct sockaddr *)&here);
    g_autofree char *theirs = networks_address_text((struct sockaddr *)&there);
    return g_strdup_printf("%s -> %s", server ? theirs : ours, server ? ours : theirs);
}

/* FALSE: the deadline has come. */
static gboolean wait_for(channel *self, short events, gint64 deadline)
{
    gint64 left = deadline - g_get_monotonic_time();
    struct pollfd p = {.fd = self->io.fd, .events = events};

    return left > 0 && (poll(&p, 1, (int)MIN(left / 1000 + 1, G_MAXINT)) >= 0 || errno == EINTR);
}

/* Both steps return 0 or more when they are done, or a GnuTLS error. */
static int shake_hands(channel *self)
{
    return gnutls_handshake(self->session);
}

static int exchange_greetings(channel *self)
{
    char greeting = 0;
    int rc = (int)gnutls_record_recv(self->session, &greeting, 1);

    if (rc == 0)
        return GNUTLS_E_PREMATURE_TERMINATION;
    return rc > 0 && greeting != GREETING ? GNUTLS_E_UNEXPECTED_PACKET : rc;
}

/* Repeats a step until it is done and all output has left, or the deadline has come. */
static gboolean complete(channel *self, int (*step)(channel *), gint64 deadline, GError **error)
{
    int rc = GNUTLS_E_AGAIN;

    for (;;) {
        if (rc < 0)
            rc = step(self);
        drain(self); /* if it fails, an alert may still lie in the socket that says more */
        if (rc < 0 && gnutls_error_is_fatal(rc)) {
            if (self->io.eof)
                rc = GNUTLS_E_PREMATURE_TERMINATION;
            tls_error(self->session, rc, self->io.read_errno, self->name, error);
            if (may_alert(rc))
                (void)gnutls_alert_send_appropriate(self->session, rc);
            return FALSE;
        }
        if (self->write_end && (rc >= 0 || self->io.dry)) {
            write_failed(self, error);
            return FALSE;
        }
        if (rc >= 0 && unsent(self) == 0)
            return TRUE;
        if (rc < 0 && self->io.in_at < self->io.in_end) /* a message was handled, here is another */
            continue;
        if (!wait_for(self, channel_wants(self), deadline)) {
            g_set_error(error, G_IO_ERROR, G_IO_ERROR_TIMED_OUT,
                        "%s: the other side did not finish the TLS handshake in time", self->name);
            return FALSE;
        }
    }
}

/* After a refusal: lets the alert arrive. Closing with input unread would reset the connection, and
 * the reset could overtake it. Bounded in bytes and time. */
static void linger(channel *self, gint64 deadline)
{
    guint64 limit = self->io.received + GOODBYE_BYTES;

    deadline = MIN(deadline, g_get_monotonic_time() + GOODBYE_US);
    while (drain(self) && unsent(self) > 0)
        if (!wait_for(self, POLLOUT, deadline))
            return;
    shutdown(self->io.fd, SHUT_WR);
    while (self->io.received < limit && wait_for(self, POLLIN, deadline)) {
        char byte;
        self->io.in_at = self->io.in_end; /* drops all but this byte */
        ration_renew(&self->io.pulled);
        if (transport_pull(&self->io, &byte, 1) <= 0 && !self->io.dry)
            return;
    }
}

static gboolean verify(channel *self, pki *identity, const char *expected, GError **error)
{
    gnutls_alert_description_t alert;

    self->peer = tls_verify_peer(self->session, identity, expected, &alert, error);
    if (self->peer)
        return TRUE;
    g_prefix_error(error, "%s: ", self->name);
    (void)gnutls_alert_send(self->session, GNUTLS_AL_FATAL, alert);
    return FALSE;
}

static channel *channel_new(pki *identity, int fd, gboolean server, const char *expected,
                            int timeout_ms, GError **error)
{
    gint64 deadline = g_get_monotonic_time() + (gint64)timeout_ms * 1000;
    g_autoptr(channel) self = g_new0(channel, 1);
    int on = 1;

    self->io.fd = fd;
    self->name = socket_name(fd, server);
    self->rekey_bytes = REKEY_BYTES;
    ration_renew(&self->io.pulled);
    self->session = tls_session_new(identity, server, error);
    if (!self->session)
        return NULL;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on); /* not on UNIX sockets */
    gnutls_transport_set_ptr(self->session, &self->io);
    gnutls_transport_set_push_function(self->session, transport_push);
    gnutls_transport_set_pull_function(self->session, transport_pull);

    if (complete(self, shake_hands, deadline, error) && verify(self, identity, expected, error)) {
        const char greeting = GREETING;
        (void)gnutls_record_send(self->session, &greeting, 1); /* into the ring: there is room */
        if (complete(self, exchange_greetings, deadline, error)) {
            self->rekey_at = self->io.made + self->io.received;
            ration_renew(&self->io.pulled);
            return g_steal_pointer(&self);
        }
    }
    linger(self, deadline);
    self->write_end = GNUTLS_E_INVALID_SESSION; /* no close_notify after a failure */
    return NULL;
}

channel *channel_client(pki *identity, int fd, const char *expected, int timeout_ms, GError **error)
{
    return channel_new(identity, fd, FALSE, expected, timeout_ms, error);
}

channel *channel_server(pki *identity, int fd, const char *expected, int timeout_ms, GError **error)
{
    return channel_new(identity, fd, TRUE, expected, timeout_ms, error);
}

/* Data. */

static gboolean room(channel *self)
{
    return TRANSPORT_OUT - unsent(self) >= RECORD_ROOM ||
           (drain(self) && TRANSPORT_OUT - unsent(self) >= RECORD_ROOM);
}

/* Renews our sending key if it is time. Only where the ring has room for a record, so that GnuTLS
 * can send the KeyUpdate at once. */
static void renew(channel *self)
{
    guint64 at = self->io.made + self->io.received;
    gint64 now;
    int rc;

    if (G_LIKELY(at - self->rekey_at < self->rekey_bytes) || self->write_end)
        return;
    now = g_get_monotonic_time();
    if (now - self->rekey_time < REKEY_PAUSE_US || TRANSPORT_OUT - unsent(self) < RECORD_ROOM)
        return;
    rc = gnutls_session_key_update(self->session, 0);
    if (rc < 0)
        self->write_end = rc;
    self->rekey_at = at;
    self->rekey_time = now;
    self->rekeys++;
}

/* Makes one record; there is room for it. */
static gboolean seal(channel *self, const void *data, size_t length)
{
    ssize_t n;

    renew(self);
    if (self->write_end)
        return FALSE;
    n = gnutls_record_send(self->session, data, length);
    if (n < 0)
        self->write_end = (int)n;
    else if ((size_t)n != length)
        self->write_end = GNUTLS_E_INTERNAL_ERROR;
    return self->write_end == 0;
}

/* 1: no plain text is held back any more, 0: no room, -1: error. */
static int seal_stage(channel *self)
{
    if (self->staged == 0)
        return 1;
    if (!room(self))
        return self->write_end ? -1 : 0;
    if (!seal(self, self->stage, self->staged))
        return -1;
    self->staged = 0;
    return 1;
}

/* Takes from one part: the bytes taken, fewer than its length when there is no room, -1: error. */
static ssize_t take(channel *self, const uint8_t *data, size_t length)
{
    size_t taken = 0;

    while (taken < length) {
        size_t n = MIN(length - taken, TLS_RECORD_MAX - self->staged);
        if (n == TLS_RECORD_MAX) { /* a whole record: no copy */
            if (!room(self))
                break;
            if (!seal(self, data + taken, n))
                return -1;
        } else {
            memcpy(self->stage + self->staged, data + taken, n);
            self->staged += n;
        }
        taken += n;
        if (self->staged == TLS_RECORD_MAX && seal_stage(self) <= 0)
            break;
    }
    return self->write_end ? -1 : (ssize_t)taken;
}

ssize_t channel_send(channel *self, const struct iovec *parts, int count, GError **error)
{
    ssize_t total = 0;

    if (self->write_end)
        return write_failed(self, error);
    if (self->staged == TLS_RECORD_MAX) {
        int rc = seal_stage(self);
        if (rc <= 0)
            return rc < 0 ? write_failed(self, error) : 0;
    }
    for (int i = 0; i < count; i++) {
        ssize_t n = take(self, parts[i].iov_base, parts[i].iov_len);
        if (n < 0)
            return write_failed(self, error);
        total += n;
        if ((size_t)n < parts[i].iov_len || self->staged == TLS_RECORD_MAX)
            break;
    }
    return total;
}

int channel_flush(channel *self, GError **error)
{
    int rc;

    if (self->write_end)
        return (int)write_failed(self, error);
    rc = seal_stage(self);
    if (rc >= 0)
        renew(self);
    if (rc < 0 || !drain(self))
        return (int)write_failed(self, error);
    return rc == 1 && unsent(self) == 0;
}

ssize_t channel_receive(channel *self, void *buffer, size_t size, GError **error)
{
    size_t got = 0;

    while (got < size && self->read_end == 0) {
        ssize_t n = gnutls_record_recv(self->session, (uint8_t *)buffer + got, size - got);
        if (n > 0) {
            got += (size_t)n;
            ration_renew(&self->io.pulled);
        } else if (n == 0) {
            self->read_end = ENDED;
        } else if (gnutls_error_is_fatal((int)n)) {
            self->read_end = self->io.eof ? GNUTLS_E_PREMATURE_TERMINATION : (int)n;
        } else if (self->io.dry) {
            break;
        } /* else it was a key update or the like, and the next record may be data */
    }
    if (self->read_end < 0 && !self->read_told && may_alert(self->read_end) && room(self))
        (void)gnutls_alert_send_appropriate(self->session, self->read_end);
    renew(self);
    if (unsent(self) > 0)
        drain(self);
    if (got > 0 || size == 0 || self->read_end == 0)
        return (ssize_t)got;
    self->read_told = TRUE;
    return read_failed(self, error);
}

size_t channel_pending(const channel *self)
{
    if (self->read_end)
        return !self->read_told;
    return gnutls_record_check_pending(self->session) + (self->io.in_end - self->io.in_at);
}

short channel_wants(const channel *self)
{
    return (short)((self->read_end ? 0 : POLLIN) |
                   (self->write_end == 0 && (unsent(self) || self->staged) ? POLLOUT : 0));
}

void channel_free(channel *self)
{
    if (!self)
        return;
    /* Only after everything else: what is still here is lost, and the peer shall see that. */
    if (self->session && self->write_end == 0 && channel_flush(self, NULL) == 1 &&
        gnutls_bye(self->session, GNUTLS_SHUT_WR) == 0)
        drain(self);
    if (self->session)
        gnutls_deinit(self->session);
    close(self->io.fd);
    g_free(self->name);
    g_free(self->peer);
    g_free(self);
}

/* About the channel. */

int channel_fd(const channel *self)
{
    return self->io.fd;
}

const char *channel_peer(const channel *self)
{
    return self->peer;
}

const char *channel_name(const channel *self)
{
    return self->name;
}

guint64 channel_bytes_out(const channel *self)
{
    return __atomic_load_n(&self->io.sent, __ATOMIC_RELAXED);
}

guint64 channel_bytes_in(const channel *self)
{
    return __atomic_load_n(&self->io.received, __ATOMIC_RELAXED);
}

void channel_set_stall_timeout(channel *self, int timeout_ms)
{
    /* The kernel counts keepalives in seconds; TCP_USER_TIMEOUT then decides, not their number. */
    unsigned timeout = (unsigned)MAX(timeout_ms, 0);
    int on = timeout > 0, seconds = MAX(1, timeout_ms / 3000);

    (void)setsockopt(self->io.fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout, sizeof timeout);
    (void)setsockopt(self->io.fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    if (on) {
        (void)setsockopt(self->io.fd, IPPROTO_TCP, TCP_KEEPIDLE, &seconds, sizeof seconds);
        (void)setsockopt(self->io.fd, IPPROTO_TCP, TCP_KEEPINTVL, &seconds, sizeof seconds);
    }
}

void channel_set_rekey_bytes(channel *self, guint64 bytes)
{
    self->rekey_bytes = bytes;
}

guint channel_rekeys(const channel *self)
{
    return self->rekeys;
}
