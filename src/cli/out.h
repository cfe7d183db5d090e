/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Output on a terminal or into a pipe. Everything printed goes through text_safe, so that no text
 * of a peer can steer the terminal; colour is added afterwards, and only where it was asked for or
 * a terminal shows it. One thread.
 */
#pragma once
#include <glib.h>
#include <stdio.h>

typedef enum { OUT_PLAIN, OUT_BOLD, OUT_DIM, OUT_GOOD, OUT_BAD, OUT_CHANGE } out_style;
typedef enum { OUT_COLOR_AUTO, OUT_COLOR_ALWAYS, OUT_COLOR_NEVER } out_color;

typedef struct out out;

/* `stream` stays the caller's. AUTO: colour if it is a terminal and NO_COLOR is not set. */
out *out_new(FILE *stream, out_color color);
void out_free(out *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(out, out_free)

/* Can lines be drawn over again? (A terminal, and not a dumb one.) */
gboolean out_is_terminal(const out *self);
/* Columns right now; 0: not a terminal, so no limit. */
guint out_width(const out *self);
/* For tests: a terminal of that many columns, whatever the stream is. */
void out_pretend_width(out *self, guint columns);

/* A line; the line break is added. */
void out_line(out *self, out_style style, const char *format, ...) G_GNUC_PRINTF(3, 4);
/* A piece of a line. */
void out_text(out *self, out_style style, const char *format, ...) G_GNUC_PRINTF(3, 4);
/* JSON text as one line. */
void out_json(out *self, const char *json);
/* Draws `line` over the live line, which is the last one and is wiped away by the next output.
 * Nothing happens where that cannot be done. */
void out_live(out *self, const char *line);
void out_wipe(out *self);
/* Writes out what is buffered. FALSE if any output was lost (a full disk, a closed pipe). */
gboolean out_flush(out *self);
/* Was it lost because nobody reads any more, as in "ferry list | head"? That is nobody's mistake. */
gboolean out_abandoned(const out *self);
