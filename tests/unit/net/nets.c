/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Network namespaces for tests; see nets.h. */
#include "nets.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <gio/gio.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

void nets_ip(const char *format, ...)
{
    g_autofree char *arguments = NULL, *line = NULL, *errors = NULL;
    g_autoptr(GError) error = NULL;
    int status = 0;
    va_list args;

    va_start(args, format);
    arguments = g_strdup_vprintf(format, args);
    va_end(args);
    line = g_strdup_printf("ip %s", arguments);
    g_spawn_command_line_sync(line, NULL, &errors, &status, &error);
    g_assert_no_error(error);
    if (status != 0)
        g_error("%s: %s", line, errors);
}

static int open_namespace(void)
{
    g_autofree char *path = g_strdup_printf("/proc/self/task/%d/ns/net", (int)gettid());
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    g_assert_cmpint(fd, >=, 0);
    return fd;
}

gboolean nets_enter(nets *self)
{
    g_autofree char *ip = g_find_program_in_path("ip");

    self->outside = open_namespace();
    if (!ip || unshare(CLONE_NEWNET) < 0) {
        g_test_skip(!ip ? "ip(8) is not installed"
                        : "making a network namespace is not permitted here (run as root)");
        close(self->outside);
        return FALSE;
    }
    self->there = open_namespace();
    nets_ip("link set lo up");
    g_assert_cmpint(unshare(CLONE_NEWNET), ==, 0);
    self->here = open_namespace();
    nets_ip("link set lo up");
    return TRUE;
}

void nets_leave(nets *self)
{
    g_assert_cmpint(setns(self->outside, CLONE_NEWNET), ==, 0);
    close(self->outside);
    close(self->here);
    close(self->there);
}

void nets_be_here(nets *self)
{
    g_assert_cmpint(setns(self->here, CLONE_NEWNET), ==, 0);
}

void nets_be_there(nets *self)
{
    g_assert_cmpint(setns(self->there, CLONE_NEWNET), ==, 0);
}

static void add_address(const char *name, const char *address)
{
    /* nodad: usable at once. */
    nets_ip("addr add %s dev %s%s", address, name, strchr(address, ':') ? " nodad" : "");
    nets_ip("link set %s up", name);
}

/* The kernel notices a carrier a little later than ip(8) returns. */
static void await_running(const char *name)
{
    gint64 deadline = g_get_monotonic_time() + 30 * G_USEC_PER_SEC;
    struct ifreq request = {0};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    g_strlcpy(request.ifr_name, name, sizeof request.ifr_name);
    do {
        g_assert_cmpint(g_get_monotonic_time(), <, deadline);
        g_usleep(500);
        g_assert_cmpint(ioctl(fd, SIOCGIFFLAGS, &request), ==, 0);
    } while (!(request.ifr_flags & IFF_RUNNING));
    close(fd);
}

void nets_link(nets *self, const char *name, const char *address_here, const char *address_there)
{
    g_autofree char *one = g_strdup_printf("%s0", name), *other = g_strdup_printf("%s1", name);

    nets_be_here(self);
    nets_ip("link add dev %s type veth peer name %s netns /proc/%d/fd/%d", one, other,
            (int)getpid(), self->there);
    add_address(one, address_here);
    nets_be_there(self);
    add_address(other, address_there);
    await_running(other);
    nets_be_here(self);
    await_running(one);
}

int nets_listen(const char *address)
{
    g_autoptr(GSocketAddress) a = g_inet_socket_address_new_from_string(address, 16551);
    struct sockaddr_storage native;
    int on = 1, fd = socket(g_socket_address_get_family(a), SOCK_STREAM | SOCK_CLOEXEC, 0);

    g_assert_true(g_socket_address_to_native(a, &native, sizeof native, NULL));
    g_assert_cmpint(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on), ==, 0);
    g_assert_cmpint(
        bind(fd, (struct sockaddr *)&native, (socklen_t)g_socket_address_get_native_size(a)), ==,
        0);
    g_assert_cmpint(listen(fd, 8), ==, 0);
    return fd;
}

int nets_accept(int listener)
{
    struct pollfd p = {.fd = listener, .events = POLLIN};
    int fd;

    g_assert_cmpint(poll(&p, 1, 30000), ==, 1);
    fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    g_assert_cmpint(fd, >=, 0);
    return fd;
}
