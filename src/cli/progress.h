/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The progress of a phase as one line: with a bar for a terminal, without for a log. Pure
 * functions; strings returned are the caller's. */
#pragma once
#include "cli/migration.h"

/* At most `columns` wide: "mirroring     [#####-----]  47 %  1.9 GiB of 4.0 GiB  113 MiB/s  36 s
 * left". What has no room is left out: the bar first, then from the end. `now`: Unix seconds. */
char *progress_bar(const migration *m, guint columns, double now);
/* The same for a log: "mirroring: 1.9 GiB of 4.0 GiB (47 %), 113 MiB/s, 36 s left" */
char *progress_text(const migration *m);
/* What is left to say of a phase that the next one has followed: `m` is its last known state,
 * `ended` in Unix seconds. "mirroring      4.0 GiB in 36 s (113 MiB/s)" */
char *progress_done(const migration *m, double ended);
