/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A move in a few lines: what it is doing, or how it ended, what it cost and changed, and the way
 * back. */
#pragma once
#include "cli/migration.h"
#include "cli/out.h"

/* "web01 -> zulu: mirroring, 47 %", then one line a fact. `now`: Unix seconds. */
void summary_print(const migration *m, out *to, double now);
/* "web01 runs on zulu now." and the like, for an ended one. Caller frees. */
char *summary_verdict(const migration *m);
