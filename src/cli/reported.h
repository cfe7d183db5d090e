/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A report of 'ferry compare --output', to be executed. */
#pragma once
#include "cli/cli.h"

/* The requests for the moves of the report in the file `path`, of JsonObject, owned. `vm` and
 * `target` (NULL: any) are what they must be of. NULL: all that is wrong with it was explained,
 * each with its place, and *status is the exit status. */
GPtrArray *reported_load(cli *self, const char *path, const char *vm, const char *target,
                         int *status);
