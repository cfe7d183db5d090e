/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The local ends of streams in tests: a client that connects to the source's socket and a server
 * that the target connects to. Both send a sequence that only its seed decides, in pieces of
 * random length, and check what they get against the sequence the other side's seed decides.
 *
 * A stream begins with the client's 16 bytes: seed, and how many bytes each side sends. */
#pragma once
#include <glib.h>

typedef struct server server;
/* Serves every connection made to `path`, as its client asks for. */
server *server_new(const char *path);
/* Waits until `count` connections have been served to their ends and were all right. */
void server_join(server *self, unsigned count);

/* Connects to `path`, sends `up` bytes, expects `down` bytes; a thread. */
GThread *client_start(const char *path, guint32 seed, guint32 up, guint32 down);
