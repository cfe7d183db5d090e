/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What can be asked of a witness: a table of operations. */
#pragma once

#include "watch.h"

#include <json-glib/json-glib.h>

/* ANSWER is the callee's; it has a boolean "ok", and a sentence "error" when that is false. */
typedef void (*request_done)(gpointer user, JsonNode *answer);

/* Runs the request in LINE and calls DONE once, at once or later, from the default main context. WATCH
 * has to outlive it. */
void request_run(struct watch *watch, const char *line, request_done done, gpointer user);

/* The answer {"ok": false, "error": MESSAGE}; and {"ok": true}. */
JsonNode *request_error(const char *message);
JsonNode *request_ok(void);
