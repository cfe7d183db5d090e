/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Where streams of one kind meet the local host: on the source a socket that is listened on, each
 * connection a stream; on the target the socket that each stream of the peer is connected to. */
#pragma once
#include "relay/session-inner.h"

/* `path` is listened on when `listen` is true, with a thread of its own. The caller has
 * registered the kind with mux_allow. */
door *door_new(session *owner, stream_kind kind, const char *path, gboolean listen, mode_t mode,
               pump_codec_new codec, void *codec_user, GError **error);
/* Target: gives a stream that the peer has opened its local connection. Without the lock. */
void door_connect(door *self, stream *s);
/* No more connections; does not wait. */
void door_break(door *self);
/* Waits for the thread and removes the socket. */
void door_free(door *self);
