/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The control socket: one JSON object a line, one JSON object back for each. */
#pragma once

#include "watch.h"

#include <json-glib/json-glib.h>

/* A request longer than this closes the connection. */
#define CONTROL_LINE 65536
#define CONTROL_CLIENTS 16

struct control;

/* Serves WATCH on the UNIX socket PATH (replaced if nobody listens there) in the default main
 * context. */
struct control *control_new(const char *path, struct watch *watch, GError **error);
void control_free(struct control *control);

/* For the other side: sends the line REQUEST to the socket PATH and returns the answer. Blocks. */
JsonNode *control_ask(const char *path, const char *request, GError **error);
