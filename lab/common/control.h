/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A control socket for the lab's programs: one JSON object a line, one JSON object back for each. */
#pragma once

#include <gio/gio.h>
#include <json-glib/json-glib.h>

/* A request longer than this closes the connection. */
#define CONTROL_LINE 65536
#define CONTROL_CLIENTS 16

struct control;

/* ANSWER is the callee's; it has a boolean "ok", and a sentence "error" when that is false. */
typedef void (*control_done)(gpointer to, JsonNode *answer);

/* Handles the request in LINE (without its newline) and calls DONE with TO once, at once or later, from
 * the main context the socket is served in. */
typedef void (*control_handler)(gpointer user, const char *line, control_done done, gpointer to);

/* Serves the UNIX socket PATH (replaced if nobody listens there any more) in CONTEXT (NULL: the default). */
struct control *control_new(const char *path, GMainContext *context, control_handler handler,
                            gpointer user, GError **error);
void control_free(struct control *control);

/* The answers {"ok": true} and {"ok": false, "error": MESSAGE}. */
JsonNode *control_ok(void);
JsonNode *control_error(const char *message);

/* The member NAME of a request, if it is a string; else NULL. */
const char *control_string(JsonObject *request, const char *name);

/* For the other side: sends the line REQUEST to the socket PATH and returns the answer. Blocks. */
JsonNode *control_ask(const char *path, const char *request, GError **error);

/* The whole of `PROGRAM ctl PATH REQUEST`: asks, prints, and returns the exit status, which is 0 only
 * when the answer is "ok" and its "verdict", if it has one, "good". */
int control_main(const char *program, const char *path, const char *request);
