/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Holds a migration's memory stream back, so that QEMU cannot come to the end of it and stop the guest (a hold,
 * docs/design.md, "Hold and cutover").
 *
 * QEMU stops the guest when few pages remain to be sent. Each takes 8 bytes of the stream at least (one full of zeroes),
 * and all that can be on its way without us is what the socket and QEMU's own buffer take. So from how much has
 * arrived here and how much memory remained to be sent after that follows a place in the stream up to which we
 * may read without QEMU coming near its end, whatever the pages hold: valve_limit.
 *
 * One thread (the stream's reader) takes, others look and allow. All functions are for any thread.
 */
#pragma once
#include "relay/pump.h"

typedef struct valve valve;

/* Shut: nothing passes. `dry` (may be NULL) is called in the reader thread, without a lock held, whenever it
 * begins to wait. */
valve *valve_new(void (*dry)(void *user), void *user);
/* After the session's. */
void valve_free(valve *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(valve, valve_free)

/* For the codec: how many bytes, at most `most`, may be read now; waits until there are any. What is returned
 * counts as passed but for what valve_give_back takes off again. 0: the connection is over. */
size_t valve_take(valve *self, pump *io, size_t most);
void valve_give_back(valve *self, size_t unread);
void valve_wake(valve *self);
/* The codec, and its pump, are no more. */
void valve_leave(valve *self);

/* Bytes that QEMU is known to have sent: passed, and waiting in the socket. */
guint64 valve_arrived(valve *self);
/* Up to here bytes may pass, if that is at least `worth` more than now; nothing is ever taken back. Returns whether it was. */
gboolean valve_allow(valve *self, guint64 limit, guint64 worth);
/* The reader waits. */
gboolean valve_is_dry(valve *self);
/* Everything passes from now on. */
void valve_open(valve *self);

/* A place in the stream, for valve_allow: `arrived` was asked for before QEMU was for `remaining` (bytes of memory that it has
 * yet to send) and the size of its pages. 0: nothing may pass. Pure but for `room`, which is valve_room(). */
guint64 valve_limit(guint64 arrived, guint64 remaining, guint64 page, guint64 room);
/* Bytes of the stream that can be under way between QEMU and us: what the kernel lets a UNIX socket hold, and QEMU's buffer. */
guint64 valve_room(void);
/* A guest with no more memory than this, in bytes, cannot be held: all of it could be under way. */
guint64 valve_least_memory(guint64 page);
