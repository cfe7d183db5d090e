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

/* Parses {"10.70.0.0/24", "fd00:7::/64"}; host bits set or a bad length is an error naming the entry.
 * An empty list is legal and allows nothing. */
networks *networks_parse(const char *const *cidrs, GError **error);
void networks_free(networks *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(networks, networks_free)

gboolean networks_empty(const networks *self);
/* IPv4-mapped IPv6 addresses count as IPv4. */
gboolean networks_allow(const networks *self, const struct sockaddr *address);

typedef struct {
    char *interface;
    GInetAddress *address;
    guint prefix; /* length of the interface's own network, 0 to 128 */
    int network;  /* index into the parsed list */
} networks_local;
/* Addresses this host has on allowed networks right now (interface up), in order of the list. Elements
 * are networks_local, freed with the array. */
GPtrArray *networks_local_addresses(const networks *self, GError **error);

/* A TCP connection to address:port from a local address on an allowed network (the one that shares a
 * block with it, else any allowed one), bound to its interface, within timeout_ms; TCP_NODELAY on.
 * Blocking; any thread. Returns the descriptor (caller owns). The error says which network is missing. */
int networks_dial(const networks *self, GInetAddress *address, guint16 port, int timeout_ms,
                  GError **error);
/* Did this accepted connection arrive at one of our addresses on an allowed network? */
gboolean networks_accepted_ok(const networks *self, int fd, GError **error);
