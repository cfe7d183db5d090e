/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The data port: accepts, reads the preamble that names a landing (relay/wire.h), and hands the
 * connection to whoever has that landing. TLS is the worker's; not one byte behind the preamble is
 * read here.
 *
 * Anybody may connect: only on allowed networks is one listened to at all, for at most the given
 * time, and only so many at once. Main thread only.
 */
#pragma once
#include "net/networks.h"

typedef struct dataport dataport;

/* Takes the connection of a channel to landing `id` (lower-case UUID); the descriptor, blocking,
 * stays the caller's. The error is logged. */
typedef gboolean (*dataport_take)(const char *id, guint channel, int fd, gpointer user,
                                  GError **error);

/* Port 0 takes any free one. `allowed` is borrowed until dataport_allow replaces it. */
dataport *dataport_new(const char *const *addresses, guint16 port, const networks *allowed,
                       guint patience_ms, dataport_take take, gpointer user, GError **error);
void dataport_free(dataport *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(dataport, dataport_free)
void dataport_allow(dataport *self, const networks *allowed);
guint16 dataport_number(const dataport *self);
/* Connections whose preamble is not complete. */
guint dataport_half_open(const dataport *self);
