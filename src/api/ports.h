/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Listening sockets in the main loop: one TCP port on some addresses, or one socket made elsewhere.
 */
#pragma once
#include <gio/gio.h>
#include <glib-unix.h>

typedef struct ports ports;

/* Calls `ready` with a listening, non-blocking socket when it can be accepted from. Port 0 takes
 * any free one, the same on all addresses. An address family that this host does not have is left
 * out, as long as one address remains. */
ports *ports_listen(const char *const *addresses, guint16 number, GUnixFDSourceFunc ready,
                    gpointer user, GError **error);
/* Takes `fd` over. */
ports *ports_adopt(int fd, GUnixFDSourceFunc ready, gpointer user);
void ports_free(ports *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ports, ports_free)

guint16 ports_number(const ports *self);
/* Accepts one connection, non-blocking and close-on-exec, and tells where it comes from. NULL: none
 * after all; only with *error set is that worth a line. */
GSocket *ports_accept(int listening, GSocketAddress **remote, GError **error);
