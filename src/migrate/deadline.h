/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* At the source, from phase mirroring until the commit: gives a move up in which nothing moves any more, or whose landing
 * is over, and says what it waits for until then (docs/design.md, "Deadlines").
 *
 * While there is no link, link-timeout counts instead; but the target's ferryd is asked whether there still is
 * a landing to come back to.
 */
#pragma once
#include "migrate/source-inside.h"

typedef struct deadline deadline;

/* `self` has its session, and move_run is about to begin. */
deadline *deadline_watch(source *self);
/* Nothing of it runs any more on return. */
void deadline_unwatch(deadline *self);
