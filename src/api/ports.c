/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Binding and accepting; see ports.h. */
#include "api/ports.h"

#include "base/fdio.h"
#include "base/log.h"

#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#define LOG_AREA "listen"
#define BACKLOG  128

typedef struct {
    int fd;
    guint source;
} port;

struct ports {
    GArray *list; /* of port */
    guint16 number;
};

static ports *ports_new(void)
{
    ports *self = g_new0(ports, 1);

    self->list = g_array_new(FALSE, FALSE, sizeof(port));
    return self;
}

void ports_free(ports *self)
{
    if (!self)
        return;
    for (guint i = 0; i < self->list->len; i++) {
        port *p = &g_array_index(self->list, port, i);
        g_source_remove(p->source);
        close(p->fd);
    }
    g_array_unref(self->list);
    g_free(self);
}

static void add(ports *self, int fd, GUnixFDSourceFunc ready, gpointer user)
{
    port p = {fd, g_unix_fd_add(fd, G_IO_IN, ready, user)};

    g_array_append_val(self->list, p);
}

ports *ports_adopt(int fd, GUnixFDSourceFunc ready, gpointer user)
{
    ports *self = ports_new();

    (void)g_unix_set_fd_nonblocking(fd, TRUE, NULL);
    add(self, fd, ready, user);
    return self;
}

static guint16 number_of(int fd)
{
    struct sockaddr_storage at;
    socklen_t size = sizeof at;

    if (getsockname(fd, (struct sockaddr *)&at, &size) < 0)
        return 0;
    return ntohs(at.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&at)->sin6_port
                                          : ((struct sockaddr_in *)&at)->sin_port);
}

/* An IPv6 socket takes IPv6 only, so that "0.0.0.0" and "::" can stand side by side. */
static int bind_one(const char *address, guint16 number, GError **error)
{
    g_autoptr(GSocketAddress) at = g_inet_socket_address_new_from_string(address, number);
    struct sockaddr_storage raw;
    fdio_auto fd = -1;
    int one = 1;

    if (!at) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT, "'%s' is no IP address",
                    address);
        return -1;
    }
    if (!g_socket_address_to_native(at, &raw, sizeof raw, error))
        return -1;
    fd = socket(raw.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) < 0 ||
        (raw.ss_family == AF_INET6 &&
         setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof one) < 0) ||
        bind(fd, (struct sockaddr *)&raw, (socklen_t)g_socket_address_get_native_size(at)) < 0 ||
        listen(fd, BACKLOG) < 0) {
        int failed = errno;
        if (failed == EAFNOSUPPORT ||
            (failed == EADDRNOTAVAIL && raw.ss_family == AF_INET6 &&
             IN6_IS_ADDR_UNSPECIFIED(&((struct sockaddr_in6 *)&raw)->sin6_addr)))
            g_set_error(error, G_IO_ERROR, G_IO_ERROR_NOT_SUPPORTED,
                        "listen on %s port %u: this host does not have this kind of address",
                        address, number);
        else
            fdio_error(error, failed, "listen on %s port %u", address, number);
        return -1;
    }
    return g_steal_fd(&fd);
}

ports *ports_listen(const char *const *addresses, guint16 number, GUnixFDSourceFunc ready,
                    gpointer user, GError **error)
{
    g_autoptr(ports) self = ports_new();
    g_autoptr(GError) last = NULL;

    self->number = number;
    for (guint i = 0; addresses[i]; i++) {
        g_autoptr(GError) problem = NULL;
        int fd = bind_one(addresses[i], self->number, &problem);
        if (fd < 0 && !g_error_matches(problem, G_IO_ERROR, G_IO_ERROR_NOT_SUPPORTED)) {
            g_propagate_error(error, g_steal_pointer(&problem));
            return NULL;
        }
        if (fd < 0) {
            log_notice("%s", problem->message);
            g_clear_error(&last);
            last = g_steal_pointer(&problem);
            continue;
        }
        add(self, fd, ready, user);
        if (!self->number)
            self->number = number_of(fd);
    }
    if (self->list->len == 0) {
        if (last)
            g_propagate_error(error, g_steal_pointer(&last));
        else
            g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT, "no address to listen on");
        return NULL;
    }
    return g_steal_pointer(&self);
}

guint16 ports_number(const ports *self)
{
    return self->number;
}

GSocket *ports_accept(int listening, GSocketAddress **remote, GError **error)
{
    fdio_auto fd = accept4(listening, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    g_autoptr(GSocket) accepted = NULL;

    if (fd < 0) {
        if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED)
            fdio_error(error, errno, "accept");
        return NULL;
    }
    accepted = g_socket_new_from_fd(fd, error);
    if (!accepted)
        return NULL;
    fd = -1;
    *remote = g_socket_get_remote_address(accepted, NULL);
    return *remote ? g_steal_pointer(&accepted) : NULL; /* gone already */
}
