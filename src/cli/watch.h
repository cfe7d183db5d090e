/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Watching a move to its end at the command line, and what Ctrl-C means meanwhile.
 *
 * Ending this program never ends a move by itself. SIGTERM and SIGHUP end the watching. SIGINT
 * asks, where a person can be asked; else the first one cancels the move of whoever started it, the
 * second one ends the watching.
 */
#pragma once
#include "cli/cli.h"

/* Starts `request` and watches it; or, if that is NULL, only watches `id`, whose move is somebody
 * else's: then SIGINT ends the watching. Returns the exit status. */
int watch_run(cli *self, JsonObject *request, const char *id);
