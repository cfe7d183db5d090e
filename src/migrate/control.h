/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The messages two workers send each other on the control stream (docs/protocol.md, "Control"). JSON
 * objects with a member "op"; what is not defined here fails the session.
 *
 *   source -> target   commit {token}   the source has durably given the guest up: accept, start it, say so
 *                      done             the source is tidy: the landing may end
 *                      hold {on}        the move is held, perhaps for long; or not any more
 *                      rate {bytes}     the most this move could use: what is left goes to others
 *   target -> source   started          durably accepted; the guest runs
 *                      refused {why}    durably refused: the source may go on
 *                      alive            the guest has been seen running for `settle` seconds
 *                      died {why}       it was started and is dead: crashed, shut off, …
 *                      rate {bytes}     the target's share for this move: the source keeps to it
 *   both               abort {why}      before the commit only: this side ends the move
 */
#pragma once
#include "relay/session.h"

typedef enum {
    CONTROL_COMMIT,
    CONTROL_DONE,
    CONTROL_STARTED,
    CONTROL_REFUSED,
    CONTROL_ALIVE,
    CONTROL_HOLD,
    CONTROL_DIED,
    CONTROL_RATE,
    CONTROL_ABORT
} control_op;

#define CONTROL_TOKEN_SIZE 32 /* hex digits: 128 random bits */

typedef struct {
    control_op op;
    char *text;    /* commit: the token; refused, died, abort: why; else NULL */
    gboolean on;   /* hold */
    guint64 bytes; /* rate: a second, up to RATE_MAX; 0: no limit */
} control_message;

/* Validates completely, also that `sender` may say this; NULL with an error otherwise. */
control_message *control_parse(const char *text, size_t length, session_role sender, GError **error);
void control_message_free(control_message *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(control_message, control_message_free)

gboolean control_send(session *to, control_op op, const char *text, GError **error);
gboolean control_send_rate(session *to, guint64 bytes, GError **error);
gboolean control_send_hold(session *to, gboolean on, GError **error);
gboolean control_token_ok(const char *token);
/* Caller frees. */
char *control_new_token(void);
