/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a worker asks of the other host's ferryd over its control port (docs/api.md, "Peer listener"). Blocking;
 * any thread. Errors are API_ERROR_* or G_IO_ERROR_*; peer_error_code gives the API's code for them.
 */
#pragma once
#include "base/json.h"
#include "migrate/job.h"

/* Any answer the peer gave is TRUE, with its HTTP status; *answer may be NULL (no body). Caller unrefs it. */
gboolean peer_call(const job *work, const char *peer, const char *method, const char *path,
                   JsonObject *body, int *code, JsonObject **answer, GError **error);
const char *peer_error_code(const GError *error);
/* The HTTP status that goes with one of the API's codes. */
int peer_status_of_code(const char *code);

/* What the source says of the guest along with the token. */
typedef enum {
    BACK_NO,     /* it is the target's */
    BACK_WANTED, /* somebody wants it back: refuse it if it does not run */
    BACK_TAKEN   /* it runs at the source again, by order */
} peer_back;
const char *peer_back_name(peer_back back); /* NULL: BACK_NO */
gboolean peer_back_parse(const char *name, peer_back *back);
/* Sends the token and asks what was decided. FALSE: no answer, or not a final one (G_IO_ERROR_BUSY: it answers, and does not know
 * yet). */
gboolean peer_commit(const job *work, const char *peer, const char *id, const char *token,
                     peer_back back, gboolean *started, GError **error);
/* The target asks whether its guest is still its own: *taken_back. */
gboolean peer_handover(const job *work, const char *peer, const char *id, gboolean *taken_back,
                       GError **error);
/* What has become of a guest that was given to the peer: *alive, and *why if it has died (caller frees). FALSE: no answer, or
 * nothing is known yet. */
gboolean peer_proof(const job *work, const char *peer, const char *id, gboolean *alive, char **why,
                    GError **error);
/* Is it certain that a landing has ended without having accepted the guest, or is not there at all? Asked for as long as
 * `cancel` is not cancelled, but not for long. *why: a text then; caller frees. */
gboolean peer_landing_over(const job *work, const char *peer, const char *id, GCancellable *cancel,
                           char **why);
/* Ends a landing before its commit; best effort. */
void peer_end_landing(const job *work, const char *peer, const char *id);
