/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Two ends for tests of channels; see ends.h. */
#include "ends.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

void ends_set_up(ends *self, gconstpointer data)
{
    self->dir = certs_directory();
    certs_make(self->dir, "alpha", (certs_spec){.name = "alpha"});
    certs_make(self->dir, "zulu", (certs_spec){.name = "zulu"});
    self->alpha = certs_load(self->dir, "alpha", NULL, NULL);
    self->zulu = certs_load(self->dir, "zulu", NULL, NULL);
    certs_pin(self->alpha, self->dir, "zulu", "zulu");
    certs_pin(self->zulu, self->dir, "alpha", "alpha");
}

void ends_tear_down(ends *self, gconstpointer data)
{
    pki_free(self->alpha);
    pki_free(self->zulu);
    certs_remove(self->dir);
}

void ends_sockets(int fds[2], int buffer)
{
    g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), ==, 0);
    for (int i = 0; i < 2 && buffer > 0; i++) {
        setsockopt(fds[i], SOL_SOCKET, SO_SNDBUF, &buffer, sizeof buffer);
        setsockopt(fds[i], SOL_SOCKET, SO_RCVBUF, &buffer, sizeof buffer);
    }
}

void ends_tcp(int fds[2])
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t size = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    g_assert_cmpint(bind(listener, (struct sockaddr *)&address, size), ==, 0);
    g_assert_cmpint(listen(listener, 1), ==, 0);
    g_assert_cmpint(getsockname(listener, (struct sockaddr *)&address, &size), ==, 0);
    fds[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    g_assert_cmpint(connect(fds[0], (struct sockaddr *)&address, size), ==, 0);
    fds[1] = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    g_assert_cmpint(fds[1], >=, 0);
    close(listener);
}

struct ends_thread {
    GThread *thread;
    pki *identity;
    int fd, timeout_ms;
    const char *expected;
    GError *error;
};

static gpointer serve(gpointer data)
{
    ends_thread *self = data;

    return channel_server(self->identity, self->fd, self->expected, self->timeout_ms, &self->error);
}

ends_thread *ends_serve(pki *identity, int fd, const char *expected, int timeout_ms)
{
    ends_thread *self = g_new0(ends_thread, 1);

    self->identity = identity;
    self->fd = fd;
    self->timeout_ms = timeout_ms;
    self->expected = expected;
    self->thread = g_thread_new("server", serve, self);
    return self;
}

channel *ends_join(ends_thread *self, GError **error)
{
    channel *c = g_thread_join(self->thread);

    g_assert_true((c == NULL) == (self->error != NULL));
    if (self->error)
        g_propagate_error(error, self->error);
    g_free(self);
    return c;
}

outcome ends_shake(pki *client, pki *server, const int fds[2], const char *expect_server,
                   const char *expect_client)
{
    outcome o = {0};
    ends_thread *thread = ends_serve(server, fds[1], expect_client, ENDS_TIMEOUT_MS);

    o.client = channel_client(client, fds[0], expect_server, ENDS_TIMEOUT_MS, &o.client_error);
    o.server = ends_join(thread, &o.server_error);
    g_assert_true((o.client == NULL) == (o.client_error != NULL));
    return o;
}

outcome ends_connect(ends *self, const int fds[2])
{
    outcome o = ends_shake(self->alpha, self->zulu, fds, "zulu", "alpha");

    g_assert_no_error(o.client_error);
    g_assert_no_error(o.server_error);
    return o;
}

void ends_clear(outcome *o)
{
    g_clear_pointer(&o->client, channel_free);
    g_clear_pointer(&o->server, channel_free);
    g_clear_error(&o->client_error);
    g_clear_error(&o->server_error);
}

gnutls_session_t ends_raw_client(ends *self, int fd, const char *stem, const char *priority,
                                 const char *alpn)
{
    gnutls_certificate_credentials_t credentials;
    gnutls_session_t session;

    g_assert_cmpint(gnutls_certificate_allocate_credentials(&credentials), ==, 0);
    if (stem) {
        g_autofree char *crt = g_strdup_printf("%s/%s.crt", self->dir, stem);
        g_autofree char *key = g_strdup_printf("%s/%s.key", self->dir, stem);
        g_assert_cmpint(
            gnutls_certificate_set_x509_key_file(credentials, crt, key, GNUTLS_X509_FMT_PEM), >=,
            0);
    }
    g_assert_cmpint(gnutls_init(&session, GNUTLS_CLIENT | GNUTLS_NO_SIGNAL), ==, 0);
    g_assert_cmpint(gnutls_priority_set_direct(session, priority, NULL), ==, 0);
    g_assert_cmpint(gnutls_credentials_set(session, GNUTLS_CRD_CERTIFICATE, credentials), ==, 0);
    if (alpn) {
        const gnutls_datum_t name = {(unsigned char *)alpn, (unsigned)strlen(alpn)};
        g_assert_cmpint(gnutls_alpn_set_protocols(session, &name, 1, 0), ==, 0);
    }
    gnutls_session_set_ptr(session, credentials);
    gnutls_transport_set_int(session, fd);
    return session;
}

void ends_raw_free(gnutls_session_t session)
{
    gnutls_certificate_credentials_t credentials = gnutls_session_get_ptr(session);

    close(gnutls_transport_get_int(session));
    gnutls_deinit(session);
    gnutls_certificate_free_credentials(credentials);
}
