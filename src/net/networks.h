/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Networks that may carry migrations. Fail closed: no other network is ever used, in either direction.
 *
 * Dialling binds to a local address *and* its interface (SO_BINDTODEVICE), because a route that
 * vanishes with its link would otherwise lead the connection out through another interface.
 */
#pragma once
#include <gio/gio.h>
#include <sys/socket.h>

typedef struct networks networks; /* immutable list of CIDR blocks, IPv4 and IPv6 */

/* Parses {"10.70.0.0/24", "fd00:7::/64"}; host bits set, no length or a bad one is
 * G_IO_ERROR_INVALID_ARGUMENT naming the entry. An empty list (or NULL) is legal and allows nothing. */
networks *networks_parse(const char *const *cidrs, GError **error);
void networks_free(networks *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(networks, networks_free)

gboolean networks_empty(const networks *self);
/* "10.70.0.0/24, fd00:7::/64", for messages. Caller frees. */
char *networks_text(const networks *self);
/* IPv4-mapped IPv6 addresses count as IPv4. Anything but IPv4 and IPv6 is not allowed. */
gboolean networks_allow(const networks *self, const struct sockaddr *address);

typedef struct {
    char *interface;
    GInetAddress *address;
    guint prefix; /* length of the interface's own network, 0 to 128 */
    int network;  /* index into the parsed list: the first block the address is in */
} networks_local;
/* Addresses this host has on allowed networks right now (interface up and with a link), in order of
 * the list. Elements are networks_local, freed with the array. */
GPtrArray *networks_local_addresses(const networks *self, GError **error);

/* A TCP connection to address:port within timeout_ms, TCP_NODELAY on, from a local address on an
 * allowed network and bound to its interface: first from the addresses whose network the target is
 * in, then from any other of the same family, each getting its share of the time. Blocking; any
 * thread. Returns the descriptor (caller owns; non-blocking), or -1: G_IO_ERROR_NETWORK_UNREACHABLE
 * when there is no address to dial from (says which network is missing), else what the kernel said to
 * the last attempt, G_IO_ERROR_TIMED_OUT included. Binding to an interface needs CAP_NET_RAW before
 * Linux 5.7. */
int networks_dial(const networks *self, GInetAddress *address, guint16 port, int timeout_ms,
                  GError **error);
/* Did this accepted connection arrive at one of our addresses on an allowed network? If so it is
 * bound to that address's interface: Linux takes packets for any of its addresses on every interface,
 * and from now on neither they nor our answers may use another. Otherwise FALSE with
 * G_IO_ERROR_PERMISSION_DENIED. */
gboolean networks_accepted_ok(const networks *self, int fd, GError **error);

/* "10.70.0.1:43210", "[fd00:7::1]:16551"; "local" for other families. Caller frees. */
char *networks_address_text(const struct sockaddr *address);
