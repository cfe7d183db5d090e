/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A move as it is watched: a bar per phase on a terminal, lines in a pipe, JSON lines with --json.
 */
#pragma once
#include "cli/cli.h"
#include "cli/migration.h"

typedef struct view view;

view *view_new(cli *owner);
void view_free(view *self);
/* A new state; takes `m`. */
void view_show(view *self, migration *m);
/* Draws the bar again: the terminal's width or the time has changed. */
void view_redraw(view *self);
/* A sentence beside the progress, on standard error. */
void view_say(view *self, const char *format, ...) G_GNUC_PRINTF(2, 3);
/* Standard error is needed for a question: nothing is drawn over it until it is answered. */
void view_hold(view *self, gboolean hold);
/* How it ended, for people: the summary, or what went wrong. */
void view_end(view *self);
/* The latest state, NULL: none yet. Borrowed. */
const migration *view_latest(const view *self);
