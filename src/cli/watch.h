/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Watching a move to its end at the command line, and what Ctrl-C means meanwhile.
 *
 * Ending this program never ends a move by itself. SIGTERM and SIGHUP end the watching. SIGINT
 * asks, where a person can be asked; else the first one cancels the move of whoever started it, the
 * second one ends the watching.
 */
#pragma once
#include "cli/cli.h"

/* Starts a move with POST `path` `request` and watches it; or, with `detach`, prints its ID. Returns the exit
 * status, like the next one. */
int watch_start(cli *self, const char *path, JsonObject *request, gboolean detach);
/* Watches `id`, whose move is somebody else's: SIGINT ends the watching. */
int watch_other(cli *self, const char *id);
