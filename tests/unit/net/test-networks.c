/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Allowed networks: parsing, and that no other network is ever used, with real interfaces. */
#include "base/fdio.h"
#include "net/networks.h"
#include "nets.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define STRV(...) ((const char *const[]){__VA_ARGS__, NULL})
#define PORT      16551
#define LONG_MS   30000

static networks *parse(const char *const *cidrs)
{
    g_autoptr(GError) error = NULL;
    networks *self = networks_parse(cidrs, &error);

    g_assert_no_error(error);
    return self;
}

static gboolean allows(const networks *self, const char *address)
{
    g_autoptr(GSocketAddress) a = g_inet_socket_address_new_from_string(address, 1);
    struct sockaddr_storage native;

    g_assert_true(g_socket_address_to_native(a, &native, sizeof native, NULL));
    return networks_allow(self, (struct sockaddr *)&native);
}

static void test_bad_entries(void)
{
    static const struct {
        const char *entry, *text;
    } bad[] = {{"", "with its length"},
               {"10.70.0.0", "with its length"},
               {"10.70.0.0/", "0 to 32"},
               {"10.70.0.0/33", "0 to 32"},
               {"10.70.0.0/-1", "0 to 32"},
               {"10.70.0.0/+8", "0 to 32"},
               {"10.70.0.0/24/24", "0 to 32"},
               {"10.70.0.0/24 ", "0 to 32"},
               {"10.70.0.0/99999999999999999999", "0 to 32"},
               {"10.70.0.1/24", "bits after the length"},
               {"10.70.1.0/23", "bits after the length"},
               {"10.70.0/24", "neither"},
               {"migration/24", "neither"},
               {"fd00::/129", "0 to 128"},
               {"fd00:7::1/64", "bits after the length"},
               {"fd00::%eth0/64", "neither"},
               {"::ffff:10.70.0.0/120", "write IPv4 networks as IPv4"}};

    for (guint i = 0; i < G_N_ELEMENTS(bad); i++) {
        g_autoptr(GError) error = NULL;
        g_autofree char *named = g_strdup_printf("'%s'", bad[i].entry);
        g_assert_null(networks_parse(STRV("10.0.0.0/8", bad[i].entry), &error));
        g_assert_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT);
        g_assert_nonnull(strstr(error->message, named));
        g_assert_nonnull(strstr(error->message, bad[i].text));
    }
}

static void test_allow(void)
{
    g_autoptr(networks) some = parse(STRV("10.70.0.0/23", "192.168.5.5/32", "fd00:7::/61"));
    g_autoptr(networks) all6 = parse(STRV("::/0")), all4 = parse(STRV("0.0.0.0/0"));
    g_autoptr(networks) none = parse(STRV(NULL)), null = parse(NULL);
    struct sockaddr other = {.sa_family = AF_UNIX};
    g_autofree char *text = networks_text(some);

    g_assert_cmpstr(text, ==, "10.70.0.0/23, 192.168.5.5/32, fd00:7::/61");
    g_assert_true(allows(some, "10.70.0.0"));
    g_assert_true(allows(some, "10.70.1.255"));
    g_assert_false(allows(some, "10.70.2.0"));
    g_assert_false(allows(some, "10.69.255.255"));
    g_assert_true(allows(some, "192.168.5.5"));
    g_assert_false(allows(some, "192.168.5.4"));
    g_assert_true(allows(some, "fd00:7:0:7:ffff::"));
    g_assert_false(allows(some, "fd00:7:0:8::"));
    g_assert_true(allows(some, "::ffff:10.70.1.1"));
    g_assert_false(allows(some, "::ffff:10.70.2.1"));
    g_assert_false(allows(some, "::10.70.1.1"));
    g_assert_true(allows(all6, "fe80::1"));
    g_assert_false(allows(all6, "10.70.0.1"));
    g_assert_false(allows(all6, "::ffff:10.70.0.1"));
    g_assert_true(allows(all4, "::ffff:10.70.0.1"));
    g_assert_false(allows(all4, "fe80::1"));
    g_assert_false(allows(none, "10.70.0.1"));
    g_assert_false(allows(null, "::1"));
    g_assert_true(networks_empty(none) && networks_empty(null) && !networks_empty(some));
    g_assert_false(networks_allow(all4, &other));
    g_assert_false(networks_allow(all6, &other));
    g_assert_false(networks_allow(all6, NULL));
}

static void test_address_text(void)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(80)};
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(16551)};
    struct sockaddr local = {.sa_family = AF_UNIX};
    g_autofree char *a = NULL, *b = NULL, *c = NULL, *d = NULL;

    inet_pton(AF_INET, "10.70.0.1", &in.sin_addr);
    inet_pton(AF_INET6, "fd00:7::1", &in6.sin6_addr);
    a = networks_address_text((struct sockaddr *)&in);
    b = networks_address_text((struct sockaddr *)&in6);
    inet_pton(AF_INET6, "::ffff:10.70.0.1", &in6.sin6_addr);
    c = networks_address_text((struct sockaddr *)&in6);
    d = networks_address_text(&local);
    g_assert_cmpstr(a, ==, "10.70.0.1:80");
    g_assert_cmpstr(b, ==, "[fd00:7::1]:16551");
    g_assert_cmpstr(c, ==, "10.70.0.1:16551");
    g_assert_cmpstr(d, ==, "local");
}

/* With interfaces. Each test has namespaces of its own. */

static int dial(networks *allowed, const char *address, int timeout_ms, GError **error)
{
    g_autoptr(GInetAddress) to = g_inet_address_new_from_string(address);

    return networks_dial(allowed, to, PORT, timeout_ms, error);
}

static char *bound_to(int fd)
{
    char name[32] = "";
    socklen_t size = sizeof name;

    g_assert_cmpint(getsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, name, &size), ==, 0);
    return g_strndup(name, size);
}

static char *local_address(int fd)
{
    struct sockaddr_storage address;
    socklen_t size = sizeof address;

    g_assert_cmpint(getsockname(fd, (struct sockaddr *)&address, &size), ==, 0);
    ((struct sockaddr_in *)&address)->sin_port = 0;
    return networks_address_text((struct sockaddr *)&address);
}

static void test_local_addresses(void)
{
    g_autoptr(networks) allowed = parse(STRV("fd00:7::/64", "10.71.0.0/16", "10.70.0.0/24"));
    g_autoptr(GPtrArray) list = NULL;
    g_autoptr(GString) text = g_string_new(NULL);
    g_autoptr(GError) error = NULL;
    nets n;

    if (!nets_enter(&n))
        return;
    nets_link(&n, "mig", "10.70.0.1/24", "10.70.0.2/24");
    nets_link(&n, "fast", "10.71.2.1/22", "10.71.2.2/22");
    nets_link(&n, "lan", "192.168.1.1/24", "192.168.1.2/24");
    nets_link(&n, "down", "10.71.9.1/24", "10.71.9.2/24");
    nets_ip("addr add fd00:7::1/64 dev mig0 nodad");
    nets_ip("addr add 10.70.0.7/32 dev lan0");
    nets_ip("link set down0 down");
    list = networks_local_addresses(allowed, &error);
    g_assert_no_error(error);
    for (guint i = 0; i < list->len; i++) {
        const networks_local *l = list->pdata[i];
        g_autofree char *address = g_inet_address_to_string(l->address);
        g_string_append_printf(text, "%d %s %s/%u; ", l->network, l->interface, address, l->prefix);
    }
    g_assert_cmpstr(text->str, ==,
                    "0 mig0 fd00:7::1/64; 1 fast0 10.71.2.1/22; 2 mig0 10.70.0.1/24; "
                    "2 lan0 10.70.0.7/32; ");
    nets_leave(&n);
}

/* Two links lead to the same address; only the allowed one may be used. */
static void test_dial_uses_allowed_interface(void)
{
    g_autoptr(networks) lan = parse(STRV("192.168.1.0/24")), mig = parse(STRV("10.70.0.0/24"));
    g_autoptr(networks) both = parse(STRV("192.168.1.0/24", "10.70.0.0/24"));
    const struct {
        networks *allowed;
        const char *interface, *address;
    } cases[] = {{lan, "lan0", "192.168.1.1:0"},
                 {mig, "mig0", "10.70.0.1:0"},
                 {both, "mig0", "10.70.0.1:0"}}; /* its own network first */
    g_autoptr(GError) error = NULL;
    fdio_auto listener = -1;
    nets n;

    if (!nets_enter(&n))
        return;
    nets_link(&n, "lan", "192.168.1.1/24", "192.168.1.2/24");
    nets_link(&n, "mig", "10.70.0.1/24", "10.70.0.2/24");
    nets_ip("route add 10.70.0.2/32 via 192.168.1.2"); /* the more specific route: over the LAN */
    nets_be_there(&n);
    listener = nets_listen("10.70.0.2");
    nets_be_here(&n);
    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        fdio_auto fd = dial(cases[i].allowed, "10.70.0.2", LONG_MS, &error);
        g_assert_no_error(error);
        fdio_auto accepted = nets_accept(listener);
        g_autofree char *interface = bound_to(fd), *address = local_address(fd);
        int on = 0;
        socklen_t size = sizeof on;
        g_assert_cmpstr(interface, ==, cases[i].interface);
        g_assert_cmpstr(address, ==, cases[i].address);
        g_assert_cmpint(getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, &size), ==, 0);
        g_assert_cmpint(on, ==, 1);
    }
    nets_leave(&n);
}

static void dial_fails(networks *allowed, const char *address, int timeout_ms, int code,
                       const char *text)
{
    g_autoptr(GError) error = NULL;

    g_assert_cmpint(dial(allowed, address, timeout_ms, &error), ==, -1);
    g_assert_error(error, G_IO_ERROR, code);
    if (!strstr(error->message, text))
        g_error("'%s' does not say '%s'", error->message, text);
}

static void test_dial_fails_closed(void)
{
    g_autoptr(networks) mig = parse(STRV("10.70.0.0/24")), none = parse(NULL);
    g_autoptr(networks) both = parse(STRV("10.70.0.0/24", "10.71.0.0/24"));
    fdio_auto listener = -1;
    struct pollfd p = {.events = POLLIN};
    nets n;

    if (!nets_enter(&n))
        return;
    nets_link(&n, "lan", "192.168.1.1/24", "192.168.1.2/24");
    nets_link(&n, "mig", "10.70.0.1/24", "10.70.0.2/24");
    nets_ip("route add default via 192.168.1.2");
    nets_be_there(&n);
    listener = nets_listen("0.0.0.0");
    nets_be_here(&n);

    dial_fails(none, "10.70.0.2", LONG_MS, G_IO_ERROR_NETWORK_UNREACHABLE, "none is configured");
    dial_fails(mig, "fd00:7::2", LONG_MS, G_IO_ERROR_NETWORK_UNREACHABLE, "IPv6 address");
    /* The network's route is gone, and the default route would lead there over the LAN. */
    nets_ip("route del 10.70.0.0/24");
    nets_be_there(&n);
    nets_ip("addr del 10.70.0.2/24 dev mig1");
    nets_ip("addr add 10.70.0.2/32 dev lan1");
    nets_be_here(&n);
    dial_fails(mig, "10.70.0.2", 500, G_IO_ERROR_TIMED_OUT, "10.70.0.2:16551 through mig0");
    /* The link is down: so are all of its addresses. */
    nets_ip("link set mig0 down");
    dial_fails(mig, "10.70.0.2", LONG_MS, G_IO_ERROR_NETWORK_UNREACHABLE, "(10.70.0.0/24)");
    dial_fails(both, "10.70.0.2", LONG_MS, G_IO_ERROR_NETWORK_UNREACHABLE,
               "(10.70.0.0/24, 10.71.0.0/24)");
    p.fd = listener;
    g_assert_cmpint(poll(&p, 1, 0), ==, 0); /* nothing of all this came through */
    nets_leave(&n);
}

static void test_dial_errors_and_fallback(void)
{
    g_autoptr(networks) mig = parse(STRV("10.70.0.0/24"));
    g_autoptr(networks) two = parse(STRV("10.70.0.0/24", "10.71.0.0/24"));
    g_autoptr(GError) error = NULL;
    g_autofree char *interface = NULL;
    fdio_auto listener = -1, fd = -1;
    nets n;

    if (!nets_enter(&n))
        return;
    nets_link(&n, "mig", "10.70.0.1/24", "10.70.0.2/24");
    nets_link(&n, "fast", "10.71.0.1/24", "10.71.0.2/24");
    dial_fails(mig, "10.70.0.2", LONG_MS, G_IO_ERROR_CONNECTION_REFUSED, "10.70.0.2:16551");
    dial_fails(mig, "10.70.0.99", 300, G_IO_ERROR_TIMED_OUT, "10.70.0.99:16551");
    /* The near link is cut beyond this host's sight; the far one leads there too. */
    nets_be_there(&n);
    nets_ip("addr del 10.70.0.2/24 dev mig1");
    nets_ip("addr add 10.70.0.2/32 dev fast1");
    listener = nets_listen("10.70.0.2");
    nets_be_here(&n);
    nets_ip("route add 10.70.0.2/32 via 10.71.0.2 dev fast0");
    fd = dial(two, "10.70.0.2", 2000, &error);
    g_assert_no_error(error);
    interface = bound_to(fd);
    g_assert_cmpstr(interface, ==, "fast0");
    nets_leave(&n);
}

static void test_dial_ipv6(void)
{
    g_autoptr(networks) allowed = parse(STRV("fd00:7::/64", "fe80::/10"));
    g_autoptr(GError) error = NULL;
    fdio_auto listener = -1, fd = -1, link_local = -1, accepted = -1;
    g_autofree char *address = NULL;
    nets n;

    if (!nets_enter(&n))
        return;
    nets_link(&n, "mig", "fd00:7::1/64", "fd00:7::2/64");
    nets_ip("addr add fe80::1/64 dev mig0 nodad");
    nets_be_there(&n);
    nets_ip("addr add fe80::2/64 dev mig1 nodad");
    listener = nets_listen("::");
    nets_be_here(&n);
    fd = dial(allowed, "fd00:7::2", LONG_MS, &error);
    g_assert_no_error(error);
    address = local_address(fd);
    g_assert_cmpstr(address, ==, "[fd00:7::1]:0");
    accepted = nets_accept(listener);
    nets_be_there(&n);
    g_assert_true(networks_accepted_ok(allowed, accepted, &error));
    g_assert_no_error(error);
    nets_be_here(&n);
    link_local = dial(allowed, "fe80::2", LONG_MS, &error);
    g_assert_no_error(error);
    fdio_clear(&accepted);
    accepted = nets_accept(listener);
    nets_be_there(&n);
    g_assert_true(networks_accepted_ok(allowed, accepted, &error));
    g_assert_no_error(error);
    nets_be_here(&n);
    nets_leave(&n);
}

static void test_accepted(void)
{
    g_autoptr(networks) mig = parse(STRV("10.70.0.0/24")), lan = parse(STRV("192.168.1.0/24"));
    g_autoptr(networks) none = parse(NULL);
    g_autoptr(GError) error = NULL;
    fdio_auto listener = -1, over_mig = -1, over_lan = -1, good = -1, bad = -1;
    g_autofree char *interface = NULL;
    int pair[2];
    nets n;

    if (!nets_enter(&n))
        return;
    nets_link(&n, "lan", "192.168.1.1/24", "192.168.1.2/24");
    nets_link(&n, "mig", "10.70.0.1/24", "10.70.0.2/24");
    listener = nets_listen("::"); /* both families: peers show as IPv4-mapped */
    nets_be_there(&n);
    over_mig = dial(mig, "10.70.0.1", LONG_MS, &error);
    g_assert_no_error(error);
    good = nets_accept(listener);
    over_lan = dial(lan, "192.168.1.1", LONG_MS, &error);
    g_assert_no_error(error);
    bad = nets_accept(listener);
    nets_be_here(&n);

    g_assert_true(networks_accepted_ok(mig, good, &error));
    g_assert_no_error(error);
    interface = bound_to(good);
    g_assert_cmpstr(interface, ==, "mig0");
    g_assert_false(networks_accepted_ok(mig, bad, &error));
    g_assert_error(error, G_IO_ERROR, G_IO_ERROR_PERMISSION_DENIED);
    g_assert_nonnull(strstr(error->message, "192.168.1.1:16551"));
    g_assert_nonnull(strstr(error->message, "10.70.0.0/24"));
    g_clear_error(&error);
    g_assert_false(networks_accepted_ok(none, good, &error));
    g_assert_error(error, G_IO_ERROR, G_IO_ERROR_PERMISSION_DENIED);
    g_clear_error(&error);
    g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), ==, 0);
    g_assert_false(networks_accepted_ok(mig, pair[0], &error));
    g_assert_error(error, G_IO_ERROR, G_IO_ERROR_PERMISSION_DENIED);
    close(pair[0]);
    close(pair[1]);
    nets_leave(&n);
}

static guint64 packets_in(const char *interface)
{
    g_autofree char *text = NULL;
    guint64 packets = 0;
    char *at;

    g_assert_true(g_file_get_contents("/proc/thread-self/net/dev", &text, NULL, NULL));
    at = strstr(text, interface);
    g_assert_nonnull(at);
    g_assert_cmpint(sscanf(at + strlen(interface) + 1, "%*u %" G_GUINT64_FORMAT, &packets), ==, 1);
    return packets;
}

/* A peer sends to our migration address by way of the LAN: Linux accepts that on any interface. */
static void test_accepted_through_another_interface(void)
{
    g_autoptr(networks) mig = parse(STRV("10.70.0.0/24")), lan = parse(STRV("192.168.1.0/24"));
    g_autoptr(GError) error = NULL;
    fdio_auto listener = -1, sender = -1, accepted = -1;
    guint64 before, deadline = (guint64)g_get_monotonic_time() + 30 * G_USEC_PER_SEC;
    int waiting = -1;
    nets n;

    if (!nets_enter(&n))
        return;
    nets_link(&n, "lan", "192.168.1.1/24", "192.168.1.2/24");
    nets_link(&n, "mig", "10.70.0.1/24", "10.70.0.2/24");
    listener = nets_listen("10.70.0.1");
    nets_be_there(&n);
    nets_ip("route add 10.70.0.1/32 via 192.168.1.1 dev lan1");
    sender = dial(lan, "10.70.0.1", LONG_MS, &error);
    g_assert_no_error(error);
    accepted = nets_accept(listener);
    nets_be_here(&n);
    g_assert_true(networks_accepted_ok(mig, accepted, &error));
    before = packets_in("lan0");
    g_assert_cmpint(write(sender, "secret", 6), ==, 6);
    while (packets_in("lan0") == before) {
        g_assert_cmpuint((guint64)g_get_monotonic_time(), <, deadline);
        g_thread_yield();
    }
    g_assert_cmpint(ioctl(accepted, FIONREAD, &waiting), ==, 0);
    g_assert_cmpint(waiting, ==, 0); /* it came to the host, but not to this connection */
    nets_leave(&n);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/networks/bad-entries", test_bad_entries);
    g_test_add_func("/networks/allow", test_allow);
    g_test_add_func("/networks/address-text", test_address_text);
    g_test_add_func("/networks/local-addresses", test_local_addresses);
    g_test_add_func("/networks/dial/allowed-interface", test_dial_uses_allowed_interface);
    g_test_add_func("/networks/dial/fails-closed", test_dial_fails_closed);
    g_test_add_func("/networks/dial/errors-and-fallback", test_dial_errors_and_fallback);
    g_test_add_func("/networks/dial/ipv6", test_dial_ipv6);
    g_test_add_func("/networks/accepted/by-address", test_accepted);
    g_test_add_func("/networks/accepted/through-another-interface",
                    test_accepted_through_another_interface);
    return g_test_run();
}
