/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is under way of one disk stream, at the source: NBD requests, and the messages that each of
 * them has become. Pure bookkeeping: no I/O, no lock; ids from a peer are checked.
 *
 *   flight_begin ─► flight_add, flight_add … ─► flight_seal        the reader
 *                        └─► flight_done, flight_done …            what the peer says
 *   The last of all of these says that the request is over.
 *
 *   What is sent before it is asked for: flight_begin_ahead ─► flight_add ─► flight_seal, and perhaps flight_claim.
 *
 *   A message:  sent ──done──► gone        known ──need──► asked ──flight_answer──► sent
 *                                            └─done──► gone
 */
#pragma once
#include "block/op.h"

#define FLIGHT_MOST 4096 /* messages */

typedef struct flight flight;
typedef struct flight_request flight_request;

typedef struct {
    uint64_t cookie;
    uint32_t errnum; /* the first one of its messages, or 0 */
    gboolean ahead;  /* of flight_begin_ahead, and nobody has claimed it */
} flight_result;

/* `drop` frees what is kept of known messages. */
flight *flight_new(GDestroyNotify drop);
void flight_free(flight *self);

/* Room for `messages` more? */
gboolean flight_has_room(const flight *self, unsigned messages);
/* How many messages are known or asked: what is kept for them. */
unsigned flight_kept(const flight *self);
gboolean flight_is_empty(const flight *self);

flight_request *flight_begin(flight *self, uint64_t cookie);
/* Nobody has asked for it yet. If somebody does, before it is over, its end becomes a part of theirs. */
flight_request *flight_begin_ahead(flight *self, uint64_t cookie);
void flight_claim(flight_request *ahead, flight_request *request);
/* One more message of it, with everything the peer may ask for again: `kept` (taken over) for a
 * KNOWN one, else NULL. Sets message->id. There must be room. */
void flight_add(flight *self, flight_request *request, op *message, gpointer kept);
/* No more messages follow. TRUE: it is over, with *result; `request` is gone. */
gboolean flight_seal(flight *self, flight_request *request, flight_result *result);

/* Message `id` is done. *over: so is its request, with *result. FALSE with G_IO_ERROR_INVALID_DATA:
 * no such message is under way, or it has been asked for. */
gboolean flight_done(flight *self, uint32_t id, uint32_t errnum, gboolean *over,
                     flight_result *result, GError **error);
/* The peer does not hold what it was thought to know. FALSE as above: there is no such message, it
 * is not a known one, or it has been asked for before. */
gboolean flight_need(flight *self, uint32_t id, GError **error);
/* Takes what was kept of a message asked for, which counts as sent from now on; *message says what
 * it was, but for its form and body. */
gpointer flight_answer(flight *self, uint32_t id, op *message);
